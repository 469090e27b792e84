"""The stand-in's webhooks do what the recorded store's did, and our client tends them."""

import base64
import json
import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from woocommerce_shop import API, RECORDED_HOME, Clock, basket, client, get, recorded, replay, store

from resources.errors import ContractBroken, Refused, SignInAgain, UnknownOutcome
from resources.http import Manners
from resources.http import client as polite
from resources.sandbox.faults import Fault, Trouble
from resources.sandbox.woocommerce import WooCommerceStandIn
from resources.sandbox.woocommerce_webhooks import Mishaps, pumping, signature
from resources.systems.woocommerce import WooCommerce

HOOK = "https://us.example/webhooks"
SECRET = "s3cret-for-all"
ORDER_TOPICS = ("order.created", "order.updated", "order.deleted", "order.restored")
CUSTOMER_TOPICS = ("customer.created", "customer.updated", "customer.deleted")


class Receiver:
    """Keeps what it is sent, and answers what it is told to."""

    def __init__(self, *statuses: int) -> None:
        self.statuses, self.requests = list(statuses), list[httpx.Request]()

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        status = self.statuses.pop(0) if len(self.statuses) > 1 else [*self.statuses, 200][0]
        if status == 0:
            raise httpx.ConnectError("refused", request=request)
        return httpx.Response(status)

    @property
    def news(self) -> list[httpx.Request]:
        """Deliveries without pings."""
        return [one for one in self.requests if "X-WC-Webhook-Topic" in one.headers]

    @property
    def topics(self) -> list[str]:
        return [one.headers["X-WC-Webhook-Topic"] for one in self.news]

    @property
    def pings(self) -> list[str]:
        return [one.content.decode() for one in self.requests if one not in self.news]


def hooked(*topics: str, clock: Clock | None = None, **more: Any) -> WooCommerceStandIn:
    """A shop with a webhook a topic, all of them answered their first ping."""
    shop = store(clock, **more)
    for topic in topics or (*ORDER_TOPICS, *CUSTOMER_TOPICS):
        shop.webhooks.add(topic, f"{HOOK}/{topic}", SECRET, topic, "active")
    shop.deliver(Receiver())
    return shop


def shown(shop: WooCommerceStandIn, hook: int = 1) -> dict[str, Any]:
    found: dict[str, Any] = get(shop, f"webhooks/{hook}").json()
    return found


# REST, as recorded


def in_words_of(shop: WooCommerceStandIn, value: Any, swap: dict[int, int]) -> Any:
    text = json.dumps(value).replace(RECORDED_HOME, shop.home)
    for theirs, ours in swap.items():
        text = text.replace(f"webhooks/{theirs}", f"webhooks/{ours}")
    return json.loads(text)


def test_the_admin_walk_is_answered_as_recorded(recordings: Path) -> None:
    entries = [e for e in recorded("21_webhook_admin") if "request" in e]
    clock = Clock()
    shop, swap = store(clock), dict[int, int]()
    for number, entry in enumerate(entries):
        asked, theirs = entry["request"], entry["response"]
        clock.at(entry["at"][:19])
        answer = replay(shop, entry, swap)
        assert answer.status_code == theirs["status"], number
        ours, body = answer.json(), theirs["body"]
        if theirs["status"] == 201:
            swap[body["id"]] = ours["id"]
            assert answer.headers["Location"] == f"{shop.home}{API}/webhooks/{ours['id']}"
            shop.deliver(Receiver(500 if "500" in asked["body"]["delivery_url"] else 200))
        if answer.is_success:
            assert answer.headers["Allow"] == theirs["headers"]["Allow"]
        if isinstance(body, list):
            assert {one["status"] for one in ours} == {one["status"] for one in body}
            assert len(ours) == len(body) == int(answer.headers["X-WP-Total"])
            continue
        same = {name: value for name, value in body.items() if name != "id"}
        assert {name: ours[name] for name in same} == in_words_of(shop, same, swap), number


def test_the_secret_is_never_shown_and_one_is_made_up_where_none_is_given() -> None:
    shop = store()
    given = {"topic": "order.created", "delivery_url": HOOK, "secret": "known"}
    for body in (given, {**given, "secret": ""}):
        made = client(shop).post(f"{API}/webhooks", json=body)
        assert "known" not in made.text
        assert "secret" not in made.json()
    kept = [hook.secret for hook in shop.webhooks.hooks.values()]
    assert kept[0] == "known"
    assert len(kept[1]) > 30


def test_the_list_shows_the_newest_second_first_and_filters_by_status(recordings: Path) -> None:
    entry = next(e for e in recorded("21_webhook_admin") if e["note"] == "list")
    clock = Clock()
    shop = store(clock)
    theirs = sorted(entry["response"]["body"], key=lambda one: int(one["id"]))
    for one in theirs:
        clock.at(one["date_created_gmt"])
        shop.webhooks.add(one["topic"], one["delivery_url"], "x", one["name"], one["status"])
    place = {one["id"]: number for number, one in enumerate(theirs, 1)}
    listed = [one["id"] for one in get(shop, "webhooks", per_page=10).json()]

    assert listed == [place[one["id"]] for one in entry["response"]["body"]]
    assert get(shop, "webhooks", status="disabled").json() == []


def test_a_webhook_needs_force_to_go_and_takes_what_waits_along() -> None:
    shop = hooked("order.created")
    shop.place(basket())
    refused = client(shop).delete(f"{API}/webhooks/1")
    gone = client(shop).delete(f"{API}/webhooks/1", params={"force": "true"})
    receiver = Receiver()

    assert (refused.status_code, gone.status_code) == (501, 200)
    assert shop.deliver(receiver) == 0
    assert get(shop, "webhooks/1").status_code == 404
    assert client(shop).put(f"{API}/webhooks/1", json={"status": "active"}).status_code == 400


# Deliveries, as recorded


def test_every_recorded_sample_carries_our_signature_of_its_body(recordings: Path) -> None:
    samples = json.loads((recordings / "woocommerce" / "webhook_samples.json").read_text())
    signed = [one for one in samples if one["secret"] is not None]
    assert len(signed) == 24
    for one in signed:
        body = base64.b64decode(one["body_base64"])
        assert signature(one["secret"], body) == one["headers"]["X-WC-Webhook-Signature"]


def test_a_delivery_has_the_recorded_headers_and_the_signed_text_of_rest(recordings: Path) -> None:
    samples = json.loads((recordings / "woocommerce" / "webhook_samples.json").read_text())
    theirs = next(one["headers"] for one in samples if one["secret"])
    shop, receiver = hooked("order.created"), Receiver()
    order = shop.place(basket(billing={"last_name": "Müller/Søn"}))
    shop.deliver(receiver)
    (request,) = receiver.news
    ours = request.headers
    same = ("User-Agent", "Accept", "Accept-Encoding", "Content-Type", "Connection")

    assert set(ours) == {name.lower() for name in theirs}
    assert {name: ours[name] for name in same} == {name: theirs[name] for name in same}
    assert ours["X-WC-Webhook-Source"] == f"{shop.home}/"
    assert ours["X-WC-Webhook-ID"] == "1"
    assert (ours["X-WC-Webhook-Resource"], ours["X-WC-Webhook-Event"]) == ("order", "created")
    assert len(ours["X-WC-Webhook-Delivery-ID"]) == len(theirs["X-WC-Webhook-Delivery-ID"])
    assert request.content == shop.entry(order).text.encode()
    assert rb"M\u00fcller\/S\u00f8n" in request.content
    assert ours["X-WC-Webhook-Signature"] == signature(SECRET, request.content)


def test_a_ping_is_an_unsigned_form(recordings: Path) -> None:
    (sample, *_) = json.loads((recordings / "woocommerce" / "webhook_samples.json").read_text())
    shop, receiver = store(), Receiver()
    shop.webhooks.add("order.created", HOOK, SECRET, "x", "active")
    shop.deliver(receiver)
    (ping,) = receiver.requests

    assert ping.content == base64.b64decode(sample["body_base64"]).replace(b"6", b"1")
    assert set(ping.headers) == {name.lower() for name in sample["headers"]}
    assert ping.headers["Content-Type"] == sample["headers"]["Content-Type"]


#: Ids the recorded actions made, by the place of the entry, and how to find ours in the answer.
MADE = {1: {"2024": "id"}, 5: {"2025": "id", "4824": "line"}, 7: {"2026": "id"}}


def act(
    shop: WooCommerceStandIn, action: dict[str, Any], swap: dict[str, str], made: dict[str, str]
) -> int:
    """Put a recorded action to the shop, with its ids replaced by ours; learn the new ones."""
    path, body = action["path"], json.dumps(action["body"], default=str)
    for old, new in swap.items():
        path, body = path.replace(old, new), body.replace(old, new)
    sent = None if action["body"] is None else body
    json_type = {"Content-Type": "application/json"}
    answer = client(shop).request(action["method"], path, content=sent, headers=json_type)
    for theirs, where in made.items():
        said = answer.json()
        swap[theirs] = str(said["id"] if where == "id" else said["line_items"][0]["id"])
    return answer.status_code


def test_each_recorded_action_fires_the_recorded_topics_in_their_order(recordings: Path) -> None:
    entries = recorded("22_webhook_deliveries")
    names = {number: topic for topic, number in entries[0]["webhooks"].items()}
    shop = hooked()
    swap = {"1672": str(next(iter(shop.products)))}
    for place, entry in enumerate(entries[1:13], 1):
        if "taken out of the trash" in entry["note"]:  # the recorded one went there once more
            shop.trash(int(swap["2024"]))
            shop.deliver(Receiver())
        if "restored by the admin" in entry["note"]:
            shop.restore(int(swap["2024"]))
        else:
            status = act(shop, entry["action"], swap, MADE.get(place, {}))
            assert status == entry["action"]["status"], entry["note"]
        theirs = [(names[one["webhook_id"]], one["arg"]) for one in map(json.loads, entry["queue"])]
        expected = [(topic, int(swap[str(arg)])) for topic, arg in theirs if topic in ORDER_TOPICS]
        assert shop.queued() == expected, entry["note"]
        shop.deliver(receiver := Receiver())
        assert receiver.topics == [topic for topic, _ in expected], entry["note"]


def test_the_storefront_tells_of_the_update_before_the_creation(recordings: Path) -> None:
    entry = next(e for e in recorded("23_storefront_checkout") if "BEFORE" in e["note"])
    theirs = [
        one["request"]["headers"]["X-WC-Webhook-Topic"]
        for one in entry["deliveries"]
        if one["request"]["headers"]["X-WC-Webhook-Resource"] == "order"
    ]
    shop, receiver = hooked(), Receiver()
    shop.place(basket())
    shop.deliver(receiver)

    assert receiver.topics == theirs == ["order.updated", "order.created"]
    assert receiver.news[0].content == receiver.news[1].content


def test_accounts_are_told_created_and_updated_and_edits_updated() -> None:
    shop = hooked()
    account = shop.add_customer("mira@example.com", "Mira", "Lake")
    shop.deliver(receiver := Receiver())
    shop.edit_customer(account, first_name="Myra")
    shop.deliver(receiver)

    assert receiver.topics == ["customer.created", "customer.updated", "customer.updated"]
    assert json.loads(receiver.news[-1].content)["first_name"] == "Myra"


def test_what_waits_for_one_thing_takes_further_changes_in(recordings: Path) -> None:
    entry = next(e for e in recorded("22_webhook_deliveries") if "five times" in e["note"])
    shop = hooked()
    order = shop.place(basket())
    shop.deliver(Receiver())
    for number in range(5):
        shop.edit(order, customer_note=f"note {number}")
    shop.deliver(receiver := Receiver())

    assert len(receiver.news) == len(entry["deliveries"]) == 1
    assert json.loads(receiver.news[0].content)["customer_note"] == "note 4"


def test_the_body_is_what_the_thing_is_at_delivery(recordings: Path) -> None:
    entries = recorded("22_webhook_deliveries")
    gone = next(e for e in entries if "error object" in e["note"])
    shop = hooked("order.created")
    first, second = shop.place(basket(status="pending")), shop.place(basket())
    shop.set_status(first, "completed")
    shop.delete(second)
    shop.deliver(receiver := Receiver())

    assert json.loads(receiver.news[0].content)["status"] == "completed"
    theirs = base64.b64decode(gone["deliveries"][0]["request"]["body_base64"])
    assert receiver.news[1].content == theirs
    assert receiver.news[1].headers["X-WC-Webhook-Signature"] == signature(SECRET, theirs)


def test_an_owner_without_rights_sends_signed_error_objects(recordings: Path) -> None:
    entry = next(e for e in recorded("28_server_side_changes") if "lost the right" in e["note"])
    shop = hooked("order.created")
    shop.webhooks.owner_can_read = False
    shop.place(basket())
    shop.deliver(receiver := Receiver())

    theirs = base64.b64decode(entry["deliveries"][0]["request"]["body_base64"])
    assert receiver.news[0].content == theirs


def test_a_deleted_topic_says_no_more_than_the_id(recordings: Path) -> None:
    entry = next(e for e in recorded("22_webhook_deliveries") if e["note"] == "order to trash")
    shop = hooked("order.deleted", first_id=2022)
    order = shop.place(basket())
    shop.trash(order)
    shop.deliver(receiver := Receiver())

    assert order == 2024
    theirs = base64.b64decode(entry["deliveries"][0]["request"]["body_base64"])
    assert receiver.news[0].content == theirs


def test_an_action_of_the_store_may_be_a_topic(recordings: Path) -> None:
    entry = next(e for e in recorded("21_webhook_admin") if "action.* topic" in e["note"])
    shop = hooked("action.woocommerce_order_status_completed", first_id=1844)
    shop.set_status(shop.place(basket()), "completed")
    shop.deliver(receiver := Receiver())

    theirs = base64.b64decode(entry["delivery"]["request"]["body_base64"])
    assert receiver.news[0].content == theirs
    assert receiver.news[0].headers["X-WC-Webhook-Resource"] == "action"


def test_deliveries_of_one_second_share_their_id() -> None:
    clock = Clock()
    shop = hooked("order.created", clock=clock)
    shop.place(basket())
    shop.place(basket())
    shop.deliver(receiver := Receiver())
    clock.tick()
    shop.place(basket())
    shop.deliver(receiver)
    first, second, third = [one.headers["X-WC-Webhook-Delivery-ID"] for one in receiver.news]

    assert first == second != third


# Failures, as recorded


def test_seven_failures_in_a_row_disable_and_then_events_are_lost(recordings: Path) -> None:
    table = recorded("24_webhook_failures")[0]["table"]
    shop, receiver = hooked("order.created"), Receiver(500)
    for row in table:
        before = len(receiver.news)
        shop.place(basket())
        shop.deliver(receiver)
        assert len(receiver.news) - before == row["deliveries"], row["event"]
        hook, theirs = shop.webhooks.hooks[1], row["webhook_after"]
        assert (hook.status, str(hook.failures)) == (theirs["status"], theirs["failure_count"])
    assert len(receiver.news) == recorded("24_webhook_failures")[0]["all_attempts_seen"] == 7
    assert shown(shop)["status"] == "disabled"
    assert [one["id"] for one in get(shop, "webhooks", status="disabled").json()] == [1]


def disabled() -> WooCommerceStandIn:
    shop = hooked("order.created")
    for _ in range(7):
        shop.place(basket())
    shop.deliver(Receiver(500))
    assert shown(shop)["status"] == "disabled"
    return shop


def test_switching_on_keeps_the_count_and_the_next_failure_disables_again() -> None:
    shop = disabled()
    client(shop).put(f"{API}/webhooks/1", json={"status": "active"})
    assert (shown(shop)["status"], shop.webhooks.hooks[1].failures) == ("active", 6)
    shop.place(basket())
    shop.deliver(Receiver(500))
    assert shown(shop)["status"] == "disabled"


def test_one_success_sets_the_count_to_none_and_what_was_lost_stays_lost() -> None:
    shop = disabled()
    shop.place(basket())
    client(shop).put(f"{API}/webhooks/1", json={"status": "active"})
    order = shop.place(basket())
    shop.deliver(receiver := Receiver())

    assert [json.loads(one.content)["id"] for one in receiver.news] == [order]
    assert shop.webhooks.hooks[1].failures == 0


def test_which_answers_fail_and_which_bring_another_ping(recordings: Path) -> None:
    entry = next(e for e in recorded("24_webhook_failures") if "which answers" in e["note"])
    for row in entry["table"]:
        shop, receiver = store(), Receiver(row["answer"])
        shop.webhooks.add("order.created", HOOK, SECRET, "x", "active")
        shop.deliver(receiver)
        pings = len(receiver.pings)
        shop.place(basket())
        shop.deliver(receiver)
        found = (
            len(receiver.news),
            len(receiver.pings) - pings,
            shop.webhooks.hooks[1].failures,
        )
        theirs = (row["deliveries"], row["pings_again"], row["failure_count_after"])
        assert found == theirs, row["answer"]


def test_a_refused_connection_is_a_failure_and_not_tried_again() -> None:
    shop, receiver = hooked("order.created"), Receiver(0)
    shop.place(basket())
    shop.deliver(receiver)
    shop.deliver(receiver)
    assert (len(receiver.requests), shop.webhooks.hooks[1].failures) == (1, 1)


def test_another_address_is_pinged_and_pauses_and_names_are_not() -> None:
    shop, receiver = hooked("order.created"), Receiver()
    for change in ({"name": "n"}, {"status": "paused"}, {"status": "active"}):
        client(shop).put(f"{API}/webhooks/1", json=change)
    client(shop).put(f"{API}/webhooks/1", json={"delivery_url": f"{HOOK}/p2"})
    shop.deliver(receiver)

    assert receiver.pings == ["webhook_id=1"]
    assert str(receiver.requests[0].url) == f"{HOOK}/p2"


def test_a_pause_loses_what_happens_and_not_what_waited_before() -> None:
    shop, receiver = hooked("order.created"), Receiver()
    before = shop.place(basket())
    client(shop).put(f"{API}/webhooks/1", json={"status": "paused"})
    shop.place(basket())
    shop.deliver(receiver)
    client(shop).put(f"{API}/webhooks/1", json={"status": "active"})
    shop.deliver(receiver)

    assert [json.loads(one.content)["id"] for one in receiver.news] == [before]


# Mishaps


def sent(mishaps: Mishaps, orders: int = 40, clock: Clock | None = None) -> list[int]:
    shop, receiver = hooked("order.created", clock=clock), Receiver()
    shop.webhooks.mishaps = mishaps
    for _ in range(orders):
        shop.place(basket())
    while shop.deliver(receiver):
        pass
    return [json.loads(one.content)["id"] for one in receiver.news]


def test_mishaps_lose_double_and_upset_a_share_and_the_seed_decides_which() -> None:
    whole = sent(Mishaps())
    lost, doubled = sent(Mishaps(lost=0.25, seed=3)), sent(Mishaps(doubled=0.25, seed=3))
    upset = sent(Mishaps(reordered=1, seed=3))

    assert whole == sorted(whole)
    assert set(lost) < set(whole)
    assert 20 <= len(lost) < 40
    assert set(doubled) == set(whole)
    assert 40 < len(doubled) <= 60
    assert (sorted(upset), upset == whole) == (whole, False)
    assert lost == sent(Mishaps(lost=0.25, seed=3)) != sent(Mishaps(lost=0.25, seed=4))


def test_what_is_delayed_waits_for_its_time() -> None:
    clock = Clock()
    shop, receiver = hooked("order.created", clock=clock), Receiver()
    shop.webhooks.mishaps = Mishaps(delayed=1, delay=timedelta(seconds=90))
    shop.place(basket())

    assert shop.deliver(receiver) == 0
    clock.tick(90)
    assert shop.deliver(receiver) == 1


def test_a_receiver_that_writes_back_does_not_keep_the_pump_for_ever() -> None:
    shop = hooked("order.updated")
    order = shop.place(basket())

    def writes_back(request: httpx.Request) -> httpx.Response:
        shop.edit(order, meta_data=[{"key": "_erp", "value": "SO1"}])
        return httpx.Response(200)

    assert shop.deliver(writes_back) == 1
    assert shop.queued() == [("order.updated", order)]


def test_the_pump_delivers_in_the_background_until_its_block_ends() -> None:
    shop, came = hooked("order.created"), threading.Event()

    def post(request: httpx.Request) -> httpx.Response:
        came.set()
        return httpx.Response(200)

    with pumping([shop], 0.01, post) as thread:
        shop.place(basket())
        assert came.wait(10)
    assert not thread.is_alive()


# Our client


def ours(shop: WooCommerceStandIn, **options: Any) -> WooCommerce:
    manners = Manners(attempts=1)
    auth = options.pop("auth", ("ck_test", "cs_test"))
    http = polite("us", shop.home, manners, auth=auth, transport=shop.transport())
    return WooCommerce(http, "us")


def test_the_client_makes_changes_lists_and_removes_webhooks() -> None:
    shop = store()
    made = ours(shop).create_webhook("order.updated", HOOK, "one", "sync-assets order.updated")
    changed = ours(shop).update_webhook(made["id"], status="paused", secret="two")
    listed = ours(shop).webhooks()
    ours(shop).delete_webhook(made["id"])
    ours(shop).delete_webhook(made["id"])

    assert (made["status"], changed["status"]) == ("active", "paused")
    assert [(one["id"], one["name"]) for one in listed] == [(1, "sync-assets order.updated")]
    assert ours(shop).webhooks() == []


def test_the_client_reads_every_page_of_webhooks() -> None:
    shop = store()
    for _ in range(201):
        shop.webhooks.add("order.updated", HOOK, "x", "x", "active")
    assert [one["id"] for one in ours(shop).webhooks()] == list(range(1, 202))
    assert shop.calls["GET webhooks"] == 3


def test_a_key_that_may_only_read_is_told_to_be_mended_and_makes_nothing() -> None:
    shop = store(read_only=True)
    with pytest.raises(SignInAgain):
        ours(shop).create_webhook("order.updated", HOOK, "x", "x")
    assert shop.webhooks.hooks == {}
    assert ours(shop).webhooks() == []


@pytest.mark.parametrize(
    ("ask", "kind"),
    [
        (lambda one: one.create_webhook("order.refunded", HOOK, "x", "x"), Refused),
        (lambda one: one.update_webhook(99, status="active"), Refused),
    ],
)
def test_a_refusal_is_named_as_one(ask: Callable[[WooCommerce], Any], kind: type) -> None:
    with pytest.raises(kind):
        ask(ours(store()))


def test_a_lost_answer_to_a_creation_is_not_sent_again() -> None:
    shop = store()
    shop.faults.plan(Fault(Trouble.CUT_AFTER, "POST webhooks"))
    with pytest.raises(UnknownOutcome):
        ours(shop).create_webhook("order.updated", HOOK, "x", "x")
    assert len(shop.webhooks.hooks) == 1


def test_a_list_that_is_none_is_a_broken_contract() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json={"webhooks": []})

    http = polite("us", "https://us.example", Manners(), transport=httpx.MockTransport(answer))
    with pytest.raises(ContractBroken):
        WooCommerce(http, "us").webhooks()


# Which things there are


def test_ids_are_listed_from_the_newest_down_to_the_floor() -> None:
    shop = store()
    placed = [shop.place(basket()) for _ in range(250)]
    shop.trash(placed[200])
    shop.calls.clear()

    assert ours(shop).order_ids(placed[180]) == set(placed[180:]) - {placed[200]}
    assert shop.calls["GET orders"] == 1
    assert ours(shop).order_ids(trashed=True) == {placed[200]}
    assert ours(shop).order_ids() == set(placed) - {placed[200]}


def test_accounts_of_any_role_are_listed_by_id() -> None:
    shop = store()
    made = [shop.add_customer(f"{n}@example.com") for n in range(101)]
    assert ours(shop).customer_ids() == set(made)
    assert ours(shop).customer_ids(made[99]) == set(made[99:])


def test_only_the_shops_own_word_makes_an_order_gone(recordings: Path) -> None:
    entry = next(e for e in recorded("17_trash_and_delete") if "deleted order: 404" in e["note"])
    shop = store()
    kept, trashed, deleted = (shop.place(basket()) for _ in range(3))
    shop.trash(trashed)
    shop.delete(deleted)

    assert ours(shop).why_gone(kept) is None
    assert ours(shop).why_gone(trashed) is None
    assert json.loads(str(ours(shop).why_gone(deleted))) == entry["response"]["body"]


def test_a_route_that_is_missing_makes_nothing_gone() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(404, json={"code": "rest_no_route", "message": "no route"})

    http = polite("us", "https://us.example", Manners(), transport=httpx.MockTransport(answer))
    with pytest.raises(Refused):
        WooCommerce(http, "us").why_gone(7)
