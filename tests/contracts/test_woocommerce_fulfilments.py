"""Tracking shown to the customers of a WooCommerce shop, once per notice, and orders completed."""

from typing import Any

import httpx
import pytest
from woocommerce_desk import connected, lines_of, lost, paid_order
from woocommerce_shop import API, Entry, calls, client, get, store
from woocommerce_walks import assert_same_shape

from resources.errors import ContractBroken, Missing, Refused, TryAgain, UnknownOutcome
from resources.http import Manners
from resources.http import client as http_client
from resources.sandbox.faults import Fault, Trouble
from resources.sandbox.woocommerce import WooCommerceStandIn
from resources.systems.woocommerce import WooCommerce
from sync_assets.domain.fulfilment import NoticeLine, SeenNotice, ShippingNotice
from sync_assets.mappers import woocommerce_notices as mapper

FIRST, SECOND = "north:5512/us:1042", "east:88/us:1042"
PROBE = "GET orders/{id}/fulfillments"
POST_FULFILMENT, PUT_FULFILMENT = "POST orders/{id}/fulfillments", "PUT orders/{id}/fulfillments/"
POST_NOTE, PUT_ORDER = "POST orders/{id}/notes", "PUT orders/{id}"


def notice(key: str = FIRST, number: str = "1Z999", line: int = 1) -> Entry:
    """A notice that may go both ways."""
    meta = {
        "_items": [{"item_id": line, "qty": 1}],
        "_sync_shipment": key,
        "_sync_tracking_numbers": [number],
        "_tracking_number": number,
    }
    rows = [{"key": name, "value": value} for name, value in meta.items()]
    tracking = {"key": key, "tracking_number": number, "carrier": "ups", "url": ""}
    return {
        "key": key,
        "fulfilment": {"status": "fulfilled", "notify_customer": True, "meta_data": rows},
        "note": f"Shipped with UPS. Tracking number: {number}",
        "tracking": [tracking | {"shipped_at": "2026-11-20T18:20:42Z"}],
    }


def meta(doc: Entry) -> Entry:
    return {row["key"]: row["value"] for row in doc["meta_data"]}


def written(shop: WooCommerceStandIn, order: int) -> list[str]:
    """The notes customers were sent."""
    return [note["note"] for note in shop.notes_of(order) if note["customer_note"]]


@pytest.fixture
def shop() -> WooCommerceStandIn:
    return store()


@pytest.fixture
def modern() -> WooCommerceStandIn:
    """A shop with the feature switched on."""
    one = store()
    one.switch_fulfilments()
    return one


# Which way


def test_a_shop_without_the_feature_is_asked_once(shop: WooCommerceStandIn) -> None:
    woo = connected(shop)
    assert [woo.has_fulfilments(), woo.has_fulfilments()] == [False, False]
    assert shop.calls[PROBE] == 1


def test_the_feature_is_known_by_its_route_also_when_no_order_is_asked_for(
    modern: WooCommerceStandIn,
) -> None:
    assert connected(modern).has_fulfilments() is True


def test_a_proxy_without_a_word_and_a_shop_that_is_away_prove_nothing(
    shop: WooCommerceStandIn,
) -> None:
    woo = connected(shop)
    shop.faults.plan(Fault(Trouble.ERROR, PROBE, status=404), Fault(Trouble.CUT_BEFORE, PROBE))
    with pytest.raises(Missing):
        woo.has_fulfilments()
    with pytest.raises(TryAgain):
        woo.has_fulfilments()
    assert woo.has_fulfilments() is False


def test_an_unknown_way_is_the_callers_mistake(shop: WooCommerceStandIn) -> None:
    order = paid_order(shop)
    with pytest.raises(ValueError, match="pigeon"):
        connected(shop).put_notice(order, notice(), "pigeon")
    assert written(shop, order) == []


# Notes


def test_a_note_tells_the_customer_once_and_the_order_lists_the_tracking_number(
    shop: WooCommerceStandIn,
) -> None:
    order, woo = paid_order(shop), connected(shop)
    shown = woo.put_notice(order, notice(), "auto")
    again = woo.put_notice(order, notice(), "auto")

    text = f"Shipped with UPS. Tracking number: 1Z999\n[ref {FIRST}]"
    assert written(shop, order) == [text]
    assert meta(shop.order_json(order))["_tracking"] == notice()["tracking"]
    assert (shown["note"], shown["tracking"]) == (text, notice()["tracking"])
    assert again["id"] == shown["id"]
    assert (shop.calls[POST_NOTE], shop.calls[PUT_ORDER]) == (1, 1)
    assert woo.notices_of(order) == [shop.notes_of(order)[-1] | {"tracking": notice()["tracking"]}]


@pytest.mark.parametrize("operation", [PUT_ORDER, POST_NOTE])
def test_a_lost_answer_on_the_way_of_notes_tells_nobody_twice(
    shop: WooCommerceStandIn, operation: str
) -> None:
    order, woo = paid_order(shop), connected(shop)
    shop.faults.plan(lost(operation))
    with pytest.raises(UnknownOutcome):
        woo.put_notice(order, notice(), "notes")

    woo.put_notice(order, notice(), "notes")
    assert len(written(shop, order)) == 1
    assert meta(shop.order_json(order))["_tracking"] == notice()["tracking"]
    assert shop.calls[PUT_ORDER] == 1


def test_two_notices_on_one_order_are_two_notes_and_one_list(shop: WooCommerceStandIn) -> None:
    order, woo = paid_order(shop), connected(shop)
    woo.put_notice(order, notice(FIRST, "1Z999"), "notes")
    woo.put_notice(order, notice(SECOND, "9400"), "notes")

    rows = meta(shop.order_json(order))["_tracking"]
    assert [(row["key"], row["tracking_number"]) for row in rows] == [
        (FIRST, "1Z999"),
        (SECOND, "9400"),
    ]
    assert len(written(shop, order)) == 2
    seen = {
        tuple(row["tracking_number"] for row in one["tracking"]) for one in woo.notices_of(order)
    }
    assert seen == {("1Z999",), ("9400",)}


def test_a_corrected_number_takes_the_place_of_the_old_one_without_a_second_note(
    shop: WooCommerceStandIn,
) -> None:
    order, woo = paid_order(shop), connected(shop)
    for key in (FIRST, SECOND):
        woo.put_notice(order, notice(key, "1Z999"), "notes")
    woo.put_notice(order, notice(FIRST, "1Z000"), "notes")

    rows = meta(shop.order_json(order))["_tracking"]
    assert {row["key"]: row["tracking_number"] for row in rows} == {FIRST: "1Z000", SECOND: "1Z999"}
    assert len(written(shop, order)) == 2


def test_the_list_stands_under_the_configured_key_and_what_is_not_ours_is_left(
    shop: WooCommerceStandIn,
) -> None:
    order, woo = (
        paid_order(shop, meta_data=[{"key": "_tracking", "value": "by hand"}]),
        connected(shop),
    )
    with pytest.raises(Refused) as refused:
        woo.put_notice(order, notice(), "notes")
    assert refused.value.code == "foreign_meta"
    assert written(shop, order) == []

    woo.tracking_meta_key = "_our_tracking"
    woo.put_notice(order, notice(), "notes")
    kept = meta(shop.order_json(order))
    assert (kept["_tracking"], kept["_our_tracking"]) == ("by hand", notice()["tracking"])


def test_a_note_does_not_bump_its_order_and_the_list_does_once(shop: WooCommerceStandIn) -> None:
    order, woo = paid_order(shop), connected(shop)
    woo.put_notice(order, notice(), "notes")
    before = shop.queued()
    woo.put_notice(order, notice(), "notes")
    assert shop.queued() == before
    assert shop.calls[PUT_ORDER] == 1


def test_a_notice_for_an_order_that_is_gone_is_refused(shop: WooCommerceStandIn) -> None:
    with pytest.raises(Missing):
        connected(shop).put_notice(99999, notice(), "notes")


def test_notes_of_others_are_no_notices(shop: WooCommerceStandIn) -> None:
    order = paid_order(shop)
    shop.add_note(order, f"see [ref {FIRST}] for more", customer=True)
    assert connected(shop).notices_of(order) == []


def test_a_note_has_the_recorded_fields(shop: WooCommerceStandIn) -> None:
    order = paid_order(shop)
    connected(shop).put_notice(order, notice(), "notes")
    (theirs,) = [
        entry["response"]["body"]
        for entry in calls("13_order_status_and_stock")
        if entry.get("note") == "note to the customer (sends an e-mail)"
    ]
    ours = get(shop, f"orders/{order}/notes").json()[0]
    assert_same_shape([ours], [theirs])


# Fulfillments


def test_a_fulfilment_is_made_once_and_shown_again(modern: WooCommerceStandIn) -> None:
    order, woo = paid_order(modern), connected(modern)
    line = lines_of(modern, order)[0]["id"]
    shown = woo.put_notice(order, notice(line=line), "auto")
    again = woo.put_notice(order, notice(line=line), "auto")

    (kept,) = modern.fulfilments_of(order)
    assert shown == again == kept
    assert (kept["status"], kept["is_fulfilled"]) == ("fulfilled", True)
    assert (kept["entity_type"], kept["entity_id"]) == ("WC_Order", str(order))
    assert meta(kept) == meta(notice(line=line)["fulfilment"])
    assert woo.notices_of(order) == [kept]
    assert modern.fulfilments.told == [kept["id"]]
    assert written(modern, order) == []
    assert modern.calls[PUT_FULFILMENT + "{id}"] == 0


def test_a_lost_answer_on_the_way_of_fulfilments_makes_no_second_one(
    modern: WooCommerceStandIn,
) -> None:
    order, woo = paid_order(modern), connected(modern)
    modern.faults.plan(lost(POST_FULFILMENT))
    with pytest.raises(UnknownOutcome):
        woo.put_notice(order, notice(), "fulfilments")

    woo.put_notice(order, notice(), "fulfilments")
    assert len(modern.fulfilments_of(order)) == 1
    assert len(modern.fulfilments.told) == 1


def test_two_notices_on_one_order_are_two_fulfilments(modern: WooCommerceStandIn) -> None:
    order, woo = paid_order(modern), connected(modern)
    for key, number in ((FIRST, "1Z999"), (SECOND, "9400")):
        woo.put_notice(order, notice(key, number), "fulfilments")
        woo.put_notice(order, notice(key, number), "fulfilments")

    numbers = [meta(one)["_tracking_number"] for one in modern.fulfilments_of(order)]
    assert numbers == ["1Z999", "9400"]
    assert woo.notices_of(order) == modern.fulfilments_of(order)


def test_a_corrected_fulfilment_keeps_what_others_wrote_on_it(modern: WooCommerceStandIn) -> None:
    order, woo = paid_order(modern), connected(modern)
    made = woo.put_notice(order, notice(), "fulfilments")
    rows = [*made["meta_data"], {"key": "_packed_by", "value": "Ada"}]
    path = f"{API}/orders/{order}/fulfillments/{made['id']}"
    client(modern).put(path, json={"meta_data": rows})
    modern.faults.plan(lost(PUT_FULFILMENT))
    with pytest.raises(UnknownOutcome):
        woo.put_notice(order, notice(number="1Z000"), "fulfilments")
    woo.put_notice(order, notice(number="1Z000"), "fulfilments")

    (kept,) = modern.fulfilments_of(order)
    assert (meta(kept)["_tracking_number"], meta(kept)["_packed_by"]) == ("1Z000", "Ada")
    assert modern.calls[PUT_FULFILMENT + "{id}"] == 2  # the packer's and ours


def test_a_fulfilment_somebody_deleted_is_made_again(modern: WooCommerceStandIn) -> None:
    order, woo = paid_order(modern), connected(modern)
    made = woo.put_notice(order, notice(), "fulfilments")
    client(modern).delete(f"{API}/orders/{order}/fulfillments/{made['id']}")
    assert woo.notices_of(order) == []

    woo.put_notice(order, notice(), "fulfilments")
    assert len(modern.fulfilments_of(order)) == 1


def test_what_was_told_by_a_note_is_not_told_again_when_the_feature_comes(
    shop: WooCommerceStandIn,
) -> None:
    order = paid_order(shop)
    connected(shop).put_notice(order, notice(), "auto")
    shop.switch_fulfilments()
    woo = connected(shop)
    woo.put_notice(order, notice(), "auto")
    woo.put_notice(order, notice(SECOND, "9400"), "auto")

    assert len(written(shop, order)) == 1
    assert [meta(one)["_sync_shipment"] for one in shop.fulfilments_of(order)] == [SECOND]
    assert len(woo.notices_of(order)) == 2


def test_fulfilments_without_the_feature_or_without_items_are_refused(
    shop: WooCommerceStandIn, modern: WooCommerceStandIn
) -> None:
    with pytest.raises(Missing) as refused:
        connected(shop).put_notice(paid_order(shop), notice(), "fulfilments")
    assert refused.value.code == "rest_no_route"

    order, empty = paid_order(modern), notice()
    empty["fulfilment"]["meta_data"][0]["value"] = []
    with pytest.raises(Refused, match="at least one item"):
        connected(modern).put_notice(order, empty, "fulfilments")
    assert modern.fulfilments_of(order) == []


def says(body: Any) -> WooCommerce:
    """A shop with one answer to everything."""
    transport = httpx.MockTransport(lambda _: httpx.Response(200, json=body))
    http = http_client("us", "https://shop.test", Manners(attempts=1), transport=transport)
    return WooCommerce(http, "us")


def test_lists_wrapped_in_an_object_are_read_as_well() -> None:
    ours = notice()["fulfilment"] | {"id": 7}
    found = says({"fulfillments": [ours]}).put_notice(5, notice(), "fulfilments")
    assert found == ours


def test_a_fulfilment_the_shop_shows_as_deleted_is_no_notice() -> None:
    gone = notice()["fulfilment"] | {"id": 7, "date_deleted": "2026-11-20T18:20:42Z"}

    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json=[gone] if request.url.path.endswith("ments") else [])

    transport = httpx.MockTransport(answer)
    http = http_client("us", "https://shop.test", Manners(attempts=1), transport=transport)
    assert WooCommerce(http, "us").notices_of(5) == []


@pytest.mark.parametrize("body", [{"fulfillments": None}, ["7"], "soon"])
def test_a_list_of_fulfilments_that_is_none_breaks_the_contract(body: Any) -> None:
    with pytest.raises(ContractBroken):
        says(body).put_notice(5, notice(), "fulfilments")


@pytest.mark.parametrize("text", ["<b>Notice</b>{}", "[]", "{}"])
@pytest.mark.parametrize("way", ["fulfilments", "notes"])
def test_an_answer_to_a_notice_that_nobody_can_read_is_an_unknown_outcome(
    way: str, text: str
) -> None:
    order = {"id": 5, "status": "processing", "meta_data": []}

    def answer(request: httpx.Request) -> httpx.Response:
        if request.method == "POST":
            return httpx.Response(201, text=text)
        return httpx.Response(200, json=order if request.url.path.endswith("/5") else [])

    transport = httpx.MockTransport(answer)
    http = http_client("us", "https://shop.test", Manners(attempts=1), transport=transport)
    with pytest.raises(UnknownOutcome):
        WooCommerce(http, "us").put_notice(5, notice(), way)


# Completing


def test_a_paid_order_is_completed_once(shop: WooCommerceStandIn) -> None:
    order, woo = paid_order(shop), connected(shop)
    woo.complete(order)
    woo.complete(order)

    assert shop.order_json(order)["status"] == "completed"
    assert shop.calls[PUT_ORDER] == 1


def test_a_lost_answer_to_completing_is_found_out_by_the_next_call(
    shop: WooCommerceStandIn,
) -> None:
    order, woo = paid_order(shop), connected(shop)
    shop.faults.plan(lost(PUT_ORDER))
    with pytest.raises(UnknownOutcome):
        woo.complete(order)
    woo.complete(order)
    assert shop.calls[PUT_ORDER] == 1


@pytest.mark.parametrize(
    ("status", "code"),
    [
        ("cancelled", "ended"),
        ("refunded", "ended"),
        ("failed", "ended"),
        ("trash", "ended"),
        ("on-hold", "unpaid"),
        ("pending", "unpaid"),
        ("checkout-draft", "unpaid"),
    ],
)
def test_an_order_that_ended_or_is_not_paid_is_not_completed(
    shop: WooCommerceStandIn, status: str, code: str
) -> None:
    order = paid_order(shop, status="processing" if status == "trash" else status)
    if status == "trash":
        shop.trash(order)
    with pytest.raises(Refused) as refused:
        connected(shop).complete(order)

    assert refused.value.code == code
    assert shop.order_json(order)["status"] == status
    assert shop.calls[PUT_ORDER] == 0


def test_an_order_the_shop_moved_on_at_once_is_given_to_a_person(shop: WooCommerceStandIn) -> None:
    order = paid_order(shop)

    def moved_on(operation: str) -> None:
        if operation == PUT_ORDER:
            shop.set_status(order, "on-hold")

    shop.after_effect = moved_on
    with pytest.raises(Refused, match="is on-hold now"):
        connected(shop).complete(order)


def test_an_order_that_is_gone_cannot_be_completed(shop: WooCommerceStandIn) -> None:
    with pytest.raises(Missing):
        connected(shop).complete(99999)


# From the document to what the customer sees and back


@pytest.mark.parametrize(("is_on", "way"), [(True, "fulfilment"), (False, "note")])
def test_a_notice_with_two_parcels_is_read_back_as_it_was_wanted(is_on: bool, way: str) -> None:
    shop = store()
    shop.switch_fulfilments(is_on)
    order, woo = paid_order(shop), connected(shop)
    wanted = ShippingNotice(
        key=FIRST,
        order_id=order,
        shipped_at=shop.now(),
        carrier="ups",
        carrier_name="UPS",
        tracking_numbers=("1Z999", "1Z998"),
        lines=(NoticeLine(line_id=lines_of(shop, order)[0]["id"], units=2),),
    )
    put = woo.put_notice(order, mapper.notice(wanted, "auto"), "auto")
    (shown,) = woo.notices_of(order)

    seen = mapper.seen_notice(shown)
    assert seen == mapper.seen_notice(put)
    assert seen == SeenNotice(FIRST, str(shown["id"]), way, ("1Z999", "1Z998"))
