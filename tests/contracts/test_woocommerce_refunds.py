"""Refunds in a WooCommerce shop: read whole, made once, refused in words we can act on."""

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import httpx
import pytest
from woocommerce_desk import connected, lines_of, lost, paid_order
from woocommerce_shop import Clock, Entry, calls, get, replay, store
from woocommerce_walks import assert_same_shape

from resources.errors import ContractBroken, Missing, Refused, TryAgain, UnknownOutcome
from resources.http import Manners, client
from resources.sandbox.faults import Fault, Trouble
from resources.sandbox.woocommerce import WooCommerceStandIn
from resources.systems.woocommerce import Broken, Raw, WooCommerce
from sync_assets.domain.returns import RefundRequest, RefundRequestLine
from sync_assets.mappers.woocommerce_refunds import refund, refund_request, seen_refund

KEY = "us:1042:m1"
MARK = "[ref us:1042:m1]"
POST = "POST orders/{id}/refunds"
LIST = "GET orders/{id}/refunds"


def one_unit(shop: WooCommerceStandIn, order: int, **fields: Any) -> Entry:
    """One unit of the first line, 19.99 and 1.77 tax."""
    line = lines_of(shop, order)[0]["id"]
    tax = [{"id": 1, "refund_total": "1.77"}]
    row = {"id": line, "quantity": 1, "refund_total": "19.99", "refund_tax": tax}
    return {"amount": "21.76", "reason": "broken", "api_refund": True, "line_items": [row]} | fields


@pytest.fixture
def shop() -> WooCommerceStandIn:
    return store()


@pytest.fixture
def order(shop: WooCommerceStandIn) -> int:
    return paid_order(shop)


# The stand-in and the recordings


def refunding_walk() -> list[tuple[Entry, httpx.Response]]:
    """The recorded order, and every recorded refund of it put to the stand-in."""
    clock = Clock()
    shop = store(clock, first_id=7001)
    entries = calls("12_refunds")
    sold = {r["sku"]: r["id"] for r in get(shop, "products").json()}
    swap = {1672: sold["ORD-A"], 1673: sold["ORD-B"]}
    made = replay(shop, entries[0], swap).json()
    theirs = entries[0]["response"]["body"]
    swap = {theirs["id"]: made["id"]}
    for kind in ("line_items", "shipping_lines"):
        pairs = zip(theirs[kind], made[kind], strict=True)
        swap |= {old["id"]: new["id"] for old, new in pairs}
    refunds = [
        entry
        for entry in entries[1:]
        if entry["request"]["method"] == "POST" and entry["request"]["path"].endswith("/refunds")
    ]
    return [(entry, replay(shop, entry, swap)) for entry in refunds]


def test_recorded_refunds_put_to_the_stand_in_are_answered_alike() -> None:
    walk = refunding_walk()

    assert len(walk) == 10
    for entry, answer in walk:
        theirs, ours = entry["response"]["body"], answer.json(parse_float=Decimal)
        assert answer.status_code == entry["response"]["status"], entry["note"]
        for name in {"code", "message", "data", "amount", "reason"} & theirs.keys():
            assert ours[name] == theirs[name], entry["note"]
        told = [
            [(line["quantity"], line["total"], line["total_tax"], line["sku"]) for line in lines]
            for lines in (ours.get("line_items", []), theirs.get("line_items", []))
        ]
        assert told[0] == told[1], entry["note"]


def test_refund_answers_have_exactly_the_recorded_keys_and_types() -> None:
    whole = [
        (entry["response"]["body"], answer.json(parse_float=Decimal))
        for entry, answer in refunding_walk()
        if answer.status_code == 201 and not entry["response"].get("body_fields_trimmed")
    ]

    assert len(whole) == 4
    for theirs, ours in whole:
        assert list(ours) == list(theirs)
        assert_same_shape([ours], [theirs])
        assert [m["key"] for m in ours["meta_data"]] == [m["key"] for m in theirs["meta_data"]]


def test_a_refund_of_shipping_stands_under_shipping_lines(
    shop: WooCommerceStandIn, order: int
) -> None:
    carriage = lines_of(shop, order)[2]
    tax = [{"id": 1, "refund_total": "0.67"}]
    back = {"id": carriage["id"], "quantity": 0, "refund_total": "7.50", "refund_tax": tax}
    shop.refund(order, None, "late", [back])

    (refund,) = shop.refunds_of(order)
    (line,) = refund["shipping_lines"]
    assert (refund["amount"], line["total"], line["total_tax"]) == ("8.17", "-7.50", "-0.67")
    assert line["meta_data"][0]["value"] == str(carriage["id"])
    assert refund["tax_lines"][0]["shipping_tax_total"] == "-0.67"
    assert refund["tax_lines"][0]["tax_total"] == "0.00"
    assert refund["line_items"] == []
    assert shop.order_json(order)["refunds"][0]["total_tax"] == "-0.67"


# Reading


def test_refunds_of_some_orders_are_read_whole_under_ids_that_name_the_order(
    shop: WooCommerceStandIn, order: int
) -> None:
    made = [shop.refund(order, f"1.0{place}") for place in range(5)]
    other = paid_order(shop)
    last = shop.refund(other, "2.00")

    found = connected(shop, per_page=2).refunds_of([order, str(other), order])

    assert {key: [row.resource_id for row in rows] for key, rows in found.items()} == {
        str(order): [f"{order}:{refund}" for refund in made],
        str(other): [f"{other}:{last}"],
    }
    sent = get(shop, f"orders/{other}/refunds/{last}").text
    (row,) = found[str(other)]
    assert row.text == sent
    assert isinstance(row, Raw)
    assert row.changed_at == shop.now()


def test_orders_that_are_gone_or_were_never_refunded_have_no_refunds(
    shop: WooCommerceStandIn, order: int
) -> None:
    assert connected(shop).refunds_of([order, 99999]) == {str(order): [], "99999": []}


def test_a_missing_route_is_not_taken_for_an_order_without_refunds() -> None:
    gone = {"code": "rest_no_route", "message": "No route."}
    with pytest.raises(Missing):
        answering(lambda _: httpx.Response(404, json=gone)).refunds_of([7])


# Making


def test_a_refund_is_made_by_the_gateway_and_leaves_the_stock_alone(
    shop: WooCommerceStandIn,
) -> None:
    (product,) = [row["id"] for row in get(shop, "products", sku="ORD-A").json()]
    shop.edit_product(product, manage_stock=True, stock_quantity=10)
    order = paid_order(shop)
    made = connected(shop).put_refund(order, one_unit(shop, order), KEY)

    (kept,) = shop.refunds_of(order)
    assert made.resource_id == f"{order}:{kept['id']}"
    assert json.loads(made.text) == get(shop, f"orders/{order}/refunds/{kept['id']}").json()
    assert kept["refunded_payment"] is True
    assert (kept["amount"], kept["reason"]) == ("21.76", f"broken {MARK}")
    assert kept["meta_data"][1]["value"] == KEY
    assert kept["line_items"][0]["taxes"] == [{"id": 1, "total": "-1.77", "subtotal": "-1.77"}]
    assert shop.stock_of("ORD-A") == 8


def test_a_refund_sent_by_other_means_does_not_ask_the_gateway(
    shop: WooCommerceStandIn, order: int
) -> None:
    shop.fail_refunds("The card was closed.")
    connected(shop).put_refund(order, one_unit(shop, order, api_refund=False), KEY)

    assert [refund["refunded_payment"] for refund in shop.refunds_of(order)] == [False]


def test_the_same_refund_again_makes_no_second_one(shop: WooCommerceStandIn, order: int) -> None:
    woo = connected(shop)
    first = woo.put_refund(order, one_unit(shop, order), KEY)
    again = woo.put_refund(order, one_unit(shop, order), KEY)

    assert again.text == first.text
    assert shop.calls[POST] == 1
    assert len(shop.refunds_of(order)) == 1


def test_a_refund_is_known_by_its_meta_data_when_its_reason_was_rewritten(
    shop: WooCommerceStandIn, order: int
) -> None:
    made = connected(shop).put_refund(order, one_unit(shop, order), KEY)
    shop.refunds[order][0]["reason"] = "as agreed by telephone"
    found = connected(shop).put_refund(order, one_unit(shop, order), KEY)

    assert found.resource_id == made.resource_id
    assert shop.calls[POST] == 1


def test_two_refunds_with_keys_that_begin_alike_are_two(
    shop: WooCommerceStandIn, order: int
) -> None:
    woo = connected(shop)
    woo.put_refund(order, {"amount": "1.00", "reason": ""}, "us:1042:m11")
    woo.put_refund(order, {"amount": "1.00", "reason": ""}, "us:1042:m1")

    reasons = [refund["reason"] for refund in shop.refunds_of(order)]
    assert reasons == ["[ref us:1042:m11]", "[ref us:1042:m1]"]


def test_a_lost_answer_is_an_unknown_outcome_and_the_next_call_finds_the_refund(
    shop: WooCommerceStandIn, order: int
) -> None:
    woo = connected(shop)
    shop.faults.plan(lost(POST))
    with pytest.raises(UnknownOutcome):
        woo.put_refund(order, one_unit(shop, order), KEY)

    found = woo.put_refund(order, one_unit(shop, order), KEY)
    assert [f"{order}:{one['id']}" for one in shop.refunds_of(order)] == [found.resource_id]


def test_a_call_that_never_arrived_is_made_by_the_next(
    shop: WooCommerceStandIn, order: int
) -> None:
    woo = connected(shop)
    shop.faults.plan(Fault(Trouble.CUT_BEFORE, POST))
    with pytest.raises(TryAgain):
        woo.put_refund(order, one_unit(shop, order), KEY)
    assert shop.refunds_of(order) == []

    woo.put_refund(order, one_unit(shop, order), KEY)
    assert len(shop.refunds_of(order)) == 1


def test_a_shop_that_died_before_it_wrote_our_meta_data_does_not_pay_twice(
    shop: WooCommerceStandIn, order: int
) -> None:
    shop.plan_crash("refund")
    made = connected(shop).put_refund(order, one_unit(shop, order), KEY)

    (kept,) = shop.refunds_of(order)
    assert made.resource_id == f"{order}:{kept['id']}"
    assert [meta["key"] for meta in kept["meta_data"]] == ["_refund_type"]
    connected(shop).put_refund(order, one_unit(shop, order), KEY)
    assert len(shop.refunds_of(order)) == 1


def test_an_error_whose_refund_cannot_be_found_is_an_unknown_outcome(
    shop: WooCommerceStandIn, order: int
) -> None:
    shop.faults.plan(Fault(Trouble.ERROR, POST, status=500))
    with pytest.raises(UnknownOutcome):
        connected(shop).put_refund(order, one_unit(shop, order), KEY)
    assert shop.refunds_of(order) == []


def test_an_error_that_cannot_be_looked_up_is_an_unknown_outcome(
    shop: WooCommerceStandIn, order: int
) -> None:
    shop.fail_refunds("The card was closed.")
    shop.faults.plan(Fault(Trouble.ERROR, LIST, skip=1, status=500))
    with pytest.raises(UnknownOutcome):
        connected(shop).put_refund(order, one_unit(shop, order), KEY)


# Refusals


@pytest.mark.parametrize("by_gateway", [True, False])
def test_more_than_what_is_left_is_refused_and_not_refunded(
    shop: WooCommerceStandIn, order: int, by_gateway: bool
) -> None:
    shop.refund(order, "50.00")
    with pytest.raises(Refused, match=r"more than the 9\.68 that is left") as refused:
        connected(shop).put_refund(order, one_unit(shop, order, api_refund=by_gateway), KEY)

    assert refused.value.code == "over_refunded"
    assert shop.calls[POST] == 1
    assert len(shop.refunds_of(order)) == 1


def test_what_the_gateway_refuses_is_refused_with_its_reason_and_asked_once(
    shop: WooCommerceStandIn, order: int
) -> None:
    shop.fail_refunds("The card was closed.")
    with pytest.raises(Refused, match="The card was closed") as refused:
        connected(shop).put_refund(order, one_unit(shop, order), KEY)

    assert refused.value.code == "gateway_refused"
    assert shop.calls[POST] == 1
    assert shop.refunds_of(order) == []


def test_a_gateway_that_cannot_refund_is_a_refusal(shop: WooCommerceStandIn) -> None:
    order = paid_order(shop, payment_method="bacs")
    with pytest.raises(Refused, match="does not support automatic refunds") as refused:
        connected(shop).put_refund(order, one_unit(shop, order), KEY)

    assert refused.value.code == "gateway_refused"
    assert shop.refunds_of(order) == []


def test_a_refund_of_an_order_that_is_gone_is_refused(shop: WooCommerceStandIn) -> None:
    with pytest.raises(Missing):
        connected(shop).put_refund(99999, {"amount": "1.00"}, KEY)


def test_a_key_that_was_refunded_twice_is_given_to_a_person(
    shop: WooCommerceStandIn, order: int
) -> None:
    for _ in range(2):
        shop.refund(order, "1.00", f"by hand {MARK}")
    with pytest.raises(Refused) as refused:
        connected(shop).put_refund(order, one_unit(shop, order), KEY)
    assert refused.value.code == "doubled"
    assert shop.calls[POST] == 0


# Answers nobody can read


def answering(handler: Callable[[httpx.Request], httpx.Response]) -> WooCommerce:
    http = client(
        "us",
        "https://shop.test",
        Manners(attempts=1),
        transport=httpx.MockTransport(handler),
        sleep=lambda _: None,
    )
    return WooCommerce(http, "us")


def test_a_refund_that_cannot_be_read_might_be_ours_so_none_is_made() -> None:
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.method)
        return httpx.Response(200, json=[{"id": 7, "amount": "1.00"}])

    with pytest.raises(ContractBroken):
        answering(answer).put_refund(5, {"amount": "1.00"}, KEY)
    assert asked == ["GET"]
    (row,) = answering(answer).refunds_of([5])["5"]
    assert isinstance(row, Broken)
    assert row.resource_id == "5:7"


@pytest.mark.parametrize("text", ['<b>Notice</b>{"id": 7}', "[]", '{"id": 0}'])
def test_an_answer_to_a_refund_that_nobody_can_read_is_an_unknown_outcome(text: str) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        is_read = request.method == "GET"
        return httpx.Response(200 if is_read else 201, text="[]" if is_read else text)

    with pytest.raises(UnknownOutcome):
        answering(answer).put_refund(5, {"amount": "1.00"}, KEY)


# From the document to the row and back


def test_a_refund_we_asked_for_comes_back_under_our_key_and_ties(
    shop: WooCommerceStandIn, order: int
) -> None:
    goods, _, carriage = lines_of(shop, order)
    lines = (
        RefundRequestLine(
            line_id=goods["id"], units=1, net_amount=Decimal("19.99"), taxes={1: Decimal("1.77")}
        ),
        RefundRequestLine(
            line_id=carriage["id"], units=0, net_amount=Decimal("7.50"), taxes={1: Decimal("0.67")}
        ),
    )
    wanted = RefundRequest(
        key=KEY,
        order_id=order,
        amount=Decimal("30.93"),
        currency="USD",
        reason="broken, and late",
        lines=lines,
    )
    woo = connected(shop)
    made = woo.put_refund(order, refund_request(wanted), KEY)
    (read,) = woo.refunds_of([order])[str(order)]

    assert read == made
    assert seen_refund(made.body).key == KEY
    head, rows = refund(made.body, "us", f"us:{order}", made.resource_id, "USD")
    parts = ("net_amount", "shipping_amount", "tax_amount", "unassigned_amount", "amount")
    assert [head[name] for name in parts] == list(
        map(Decimal, ("19.99", "7.50", "2.44", "1.00", "30.93"))
    )
    assert (head["own_key"], head["reason"]) == (KEY, "broken, and late")
    assert (head["method"], head["refund_ref"]) == (
        "gateway",
        f"us:{shop.refunds_of(order)[0]['id']}",
    )
    assert [row["line_ref"] for row in rows] == [
        f"us:{order}:product:{goods['id']}",
        f"us:{order}:shipping:{carriage['id']}",
    ]
