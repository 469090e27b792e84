"""Stripe: the client before a stand-in; calls and answers are held against the contract."""

import gzip
import json
import re
from collections.abc import Iterable
from copy import deepcopy
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import pydantic
import pytest

from resources.errors import ContractBroken, Refused, SignInAgain, Throttled, TryAgain
from resources.http import Manners, client
from resources.pages import Broken, Raw
from resources.sandbox.faults import Fault, Trouble
from resources.sandbox.stripe import Conversion, StripeStandIn
from resources.settings import Endpoint
from resources.systems import stripe
from resources.systems.bearer import BearerAuth
from resources.systems.stripe import Stripe
from sensors.webhooks.signatures import Genuine, sender_of
from sensors.webhooks.signatures import Refused as Forged
from sync_assets.domain.payments import Found
from sync_assets.mappers import stripe_settlements as mapper

SHARED = Path(__file__).resolve().parents[2].parent / "shared"
NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
HOUR, DAY, NOTHING = timedelta(hours=1), timedelta(days=1), timedelta()
D = Decimal

Doc = dict[str, Any]


class Clock:
    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        return self.now

    def tick(self, **span: float) -> None:
        self.now += timedelta(**span)


class Contract:
    """The operations of the OpenAPI; objects may hold nothing it does not name."""

    def __init__(self, spec: Doc) -> None:
        self.jsonschema = pytest.importorskip("jsonschema_rs")
        self.paths, self.components = spec["paths"], _plain(spec["components"])
        self.validators: dict[str, Any] = {}

    def check(self, request: httpx.Request, answer: httpx.Response) -> None:
        """Fail unless both keep to the contract."""
        operation = self._operation(request)
        self._check_parameters(operation, request)
        told = operation["responses"].get(
            str(answer.status_code), operation["responses"]["default"]
        )
        schema = told["content"]["application/json"]["schema"]
        self._validate("answer", _plain(schema), json.loads(answer.content))

    def _operation(self, request: httpx.Request) -> Doc:
        for path, operations in self.paths.items():
            pattern = re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(path))
            if re.fullmatch(pattern, request.url.path) and request.method.lower() in operations:
                found: Doc = operations[request.method.lower()]
                return found
        raise AssertionError(f"no operation {request.method} {request.url.path}")

    def _check_parameters(self, operation: Doc, request: httpx.Request) -> None:
        known = {one["name"]: one["schema"] for one in operation.get("parameters", ())}
        told: Doc = {}
        for name, text in request.url.params.multi_items():
            value = int(text) if re.fullmatch(r"\d+", text) else text
            plain, _, inner = name.rstrip("]").partition("[")
            assert plain in known, f"no parameter {name} of {request.url.path}"
            if name.endswith("[]"):
                told.setdefault(plain, []).append(text)
            elif inner:
                told.setdefault(plain, {})[inner] = value
            else:
                told[plain] = value
        for name, value in told.items():
            self._validate(f"parameter {name}", _plain(known[name]), value)

    def _validate(self, what: str, schema: Doc, value: Any) -> None:
        key = json.dumps(schema, sort_keys=True)
        if key not in self.validators:
            whole = {**schema, "components": self.components}
            self.validators[key] = self.jsonschema.Draft202012Validator(whole)
        faults = [
            f"{what} {'/'.join(map(str, fault.instance_path))}: {fault.message}"
            for fault in self.validators[key].iter_errors(value)
        ]
        assert not faults, "\n".join(faults)


def _plain(schema: Any) -> Any:
    """OpenAPI 3.0 as JSON Schema: `nullable` spelt out, and nothing that is not named."""
    if isinstance(schema, list):
        return [_plain(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    found = {name: _plain(one) for name, one in deepcopy(schema).items()}
    named = found.get("properties")
    # Of things outside what we use, the contract names their id and object only.
    if isinstance(named, dict) and named and set(named) != {"id", "object"}:
        found.setdefault("additionalProperties", False)
    if found.pop("nullable", None) is True:
        return {"anyOf": [found, {"type": "null"}]}
    return found


@cache
def contract() -> Contract:
    file = SHARED / "contracts" / "stripe" / "openapi.json.gz"
    if not file.exists():
        pytest.skip("Stripe's contract is kept beside the project (../shared), and is not there")
    return Contract(json.loads(gzip.decompress(file.read_bytes())))


def checked(standin: StripeStandIn) -> httpx.MockTransport:
    """The stand-in behind the contract: a wrong call and a wrong answer fail alike."""

    def handle(request: httpx.Request) -> httpx.Response:
        assert request.headers["Stripe-Version"] == stripe.VERSION
        answer = standin.handle(request)
        contract().check(request, answer)
        return answer

    return httpx.MockTransport(handle)


def over(transport: httpx.BaseTransport, *, key: str = "sk_test_1", attempts: int = 1) -> Stripe:
    http = client(
        "stripe",
        "https://api.stripe.com",
        Manners(attempts=attempts),
        auth=BearerAuth(pydantic.SecretStr(key)),
        transport=transport,
        sleep=lambda seconds: None,
    )
    return Stripe(http, "stripe_us")


def account() -> tuple[StripeStandIn, Stripe, Clock]:
    clock = Clock()
    standin = StripeStandIn(now=clock)
    return standin, over(checked(standin)), clock


def raws(pages: Iterable[list[Raw | Broken]]) -> list[Raw]:
    found = [one for page in pages for one in page]
    assert all(isinstance(one, Raw) for one in found)
    return [one for one in found if isinstance(one, Raw)]


def ids(pages: Iterable[list[Raw | Broken]]) -> list[str]:
    return [one.resource_id for one in raws(pages)]


def answering(*bodies: Any) -> Stripe:
    """A client of an account that says these things, one after the other, the last for ever."""
    left = list(bodies)

    def handle(_: httpx.Request) -> httpx.Response:
        body = left.pop(0) if len(left) > 1 else left[0]
        text = body if isinstance(body, str) else json.dumps(body)
        return httpx.Response(200, text=text)

    return over(httpx.MockTransport(handle))


def mapped(pages: Iterable[tuple[str, list[Raw | Broken]]]) -> Found:
    total = Found()
    for thing, page in pages:
        for one in raws([page]):
            body = json.loads(one.text, parse_float=Decimal)
            total.add(mapper.OBJECTS[thing]("stripe_us", body))
    return total


# The contract


def test_the_contract_catches_wrong_calls_and_wrong_answers() -> None:
    standin = StripeStandIn(now=Clock())
    http = httpx.Client(
        base_url="https://api.stripe.com",
        transport=checked(standin),
        headers={"Authorization": "Bearer sk_test_1", "Stripe-Version": stripe.VERSION},
    )
    with pytest.raises(AssertionError, match="no parameter order of"):
        http.get("/v1/charges", params={"order": "asc"})
    with pytest.raises(AssertionError, match="is not of type"):
        http.get("/v1/charges", params={"limit": "many"})
    with pytest.raises(AssertionError, match="no operation GET"):
        http.get("/v1/reporting/report_runs")
    standin.kept["charges"][standin.charge(100)]["status"] = "lost"
    with pytest.raises(AssertionError, match=r"is not one of"):
        http.get("/v1/charges")


# The door


def test_the_account_answers_in_which_mode_it_is() -> None:
    _, account_, _ = account()

    assert account_.ping() == "Stripe, test mode"
    assert answering({"object": "balance", "livemode": True}).ping() == "Stripe, live mode"


def test_a_key_that_is_not_taken_has_to_be_mended_by_a_person() -> None:
    standin = StripeStandIn(now=Clock())

    with pytest.raises(SignInAgain) as fault:
        over(checked(standin), key="sk_test_old").ping()

    assert fault.value.code == "invalid_request_error"
    assert "sk_test_old" not in str(fault.value)
    assert str(fault.value.reference).startswith("req_")


def test_the_key_may_be_the_user_of_basic_auth() -> None:
    standin = StripeStandIn(now=Clock())
    http = client(
        "stripe",
        "https://api.stripe.com",
        Manners(attempts=1),
        auth=("sk_test_1", ""),
        transport=checked(standin),
    )

    assert Stripe(http, "stripe_us").ping() == "Stripe, test mode"


def test_a_throttled_or_failing_account_is_asked_again() -> None:
    standin = StripeStandIn(now=Clock())
    standin.faults.plan(
        Fault(Trouble.THROTTLE, "GET /v1/charges", seconds=2),
        Fault(Trouble.ERROR, "GET /v1/charges", status=500),
    )
    standin.charge(1000)

    assert len(ids(over(standin.transport(), attempts=3).changed_since("charges", NOON, HOUR))) == 1


def test_what_does_not_pass_is_for_whoever_called() -> None:
    standin = StripeStandIn(now=Clock())
    standin.faults.plan(Fault(Trouble.THROTTLE, seconds=9))
    with pytest.raises(Throttled) as pause:
        over(standin.transport()).ping()
    standin.faults.plan(Fault(Trouble.ERROR, status=500))
    with pytest.raises(TryAgain):
        over(standin.transport()).ping()

    assert pause.value.after_seconds == 9


def test_a_refusal_names_stripes_code_and_the_parameter() -> None:
    standin, account_, _ = account()
    by_hand = standin.pay_out(by_hand=500)

    with pytest.raises(Refused) as manual:
        list(account_._walked("balance_transactions", {"payout": by_hand}))
    unchecked = over(standin.transport())
    with pytest.raises(Refused) as unknown:
        unchecked._page("charges", {"order": "asc"}, "charges")

    assert manual.value.message.endswith("not manual. (payout)")
    assert (unknown.value.code, unknown.value.message) == (
        "parameter_unknown",
        "Received unknown parameter: order (order)",
    )


# Changes


def test_new_charges_come_oldest_first_over_many_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stripe, "PAGE", 2)
    standin, account_, clock = account()
    made = []
    for _ in range(5):
        made.append(standin.charge(1000))
        clock.tick(minutes=1)

    pages = list(account_.changed_since("charges", NOON, HOUR))

    assert [ids([page]) for page in pages] == [made[:2], made[2:4], made[4:]]
    assert [one.changed_at for one in raws(pages)] == [
        NOON + timedelta(minutes=at) for at in range(5)
    ]


def test_slices_go_from_the_oldest_day_on_and_widen_where_nothing_happens() -> None:
    standin, account_, clock = account()
    first = standin.charge(1000)
    clock.tick(days=100)
    second = standin.charge(2000)
    standin.calls.clear()

    pages = list(account_.changed_since("charges", NOON, NOTHING))

    assert [ids([page]) for page in pages] == [[first], [second]]
    # Day by day it would be 101 calls.
    assert standin.calls["GET /v1/charges"] == 10


def test_a_reader_that_breaks_off_has_read_everything_before_its_last_page() -> None:
    standin, account_, clock = account()
    first = standin.charge(1000)
    clock.tick(days=3)
    second = standin.charge(2000)
    standin.faults.plan(Fault(Trouble.CUT_BEFORE, "GET /v1/charges", skip=3, times=9))
    seen: list[str] = []

    def read_on() -> None:
        for page in account_.changed_since("charges", NOON, NOTHING):
            seen.extend(ids([page]))

    with pytest.raises(TryAgain):
        read_on()

    assert (seen, second in seen) == ([first], False)


def test_a_charge_that_was_refunded_later_is_read_again_by_its_event() -> None:
    standin, account_, clock = account()
    old, untouched = standin.charge(1000), standin.charge(2000)
    clock.tick(days=5)
    refund = standin.refund(old, 400)
    clock.tick(minutes=1)

    (charge,) = raws(account_.changed_since("charges", clock.now, HOUR))
    (new,) = raws(account_.changed_since("refunds", clock.now, HOUR))

    assert (charge.resource_id, charge.body["amount_refunded"]) == (old, 400)
    assert charge.changed_at == clock.now - timedelta(minutes=1)
    assert (new.resource_id, new.body["balance_transaction"]["amount"]) == (refund, -400)
    assert untouched != old


def test_a_thing_made_and_changed_in_a_window_comes_once_with_its_latest_change() -> None:
    standin, account_, clock = account()
    charge = standin.charge(1000, capture=False)
    clock.tick(minutes=5)
    standin.capture(charge, 600)

    (one,) = raws(account_.changed_since("charges", NOON, HOUR))

    assert one.changed_at == NOON + timedelta(minutes=5)
    assert one.body["amount_captured"] == 600
    assert one.body["balance_transaction"]["created"] == int(clock.now.timestamp())
    assert standin.calls["GET /v1/charges/{id}"] == 0


def test_disputes_and_payouts_change_by_their_events() -> None:
    standin, account_, clock = account()
    dispute = standin.dispute(standin.charge(5000))
    payout = standin.pay_out()
    clock.tick(days=40)
    moment = clock.now
    standin.close_dispute(dispute, won=True)
    standin.fail_payout(payout)

    (closed,) = raws(account_.changed_since("disputes", moment, NOTHING))
    (failed,) = raws(account_.changed_since("payouts", moment, NOTHING))

    assert [line["net"] for line in closed.body["balance_transactions"]] == [-6500, 5000]
    assert (failed.body["status"], failed.changed_at) == ("failed", moment)


def test_what_changed_more_than_thirty_days_ago_is_found_only_if_it_was_made_then() -> None:
    standin, account_, clock = account()
    old = standin.charge(1000)
    clock.tick(days=1)
    moment = clock.now
    standin.refund(old)
    clock.tick(days=31)

    assert ids(account_.changed_since("charges", moment, NOTHING)) == []
    assert ids(account_.changed_since("charges", NOON, NOTHING)) == [old]


def test_a_quiet_account_costs_two_calls() -> None:
    standin, account_, _ = account()

    assert list(account_.changed_since("charges", NOON, HOUR)) == []
    assert dict(standin.calls) == {"GET /v1/charges": 1, "GET /v1/events": 1}


def test_lines_of_the_balance_know_their_source() -> None:
    standin, account_, clock = account()
    charge = standin.charge(1000, order="1042", fee=59)
    clock.tick(minutes=1)
    standin.refund(charge, order="1042")

    sale, refund = raws(account_.changed_since("balance_transactions", NOON, HOUR))

    assert (sale.body["source"]["id"], sale.body["source"]["metadata"]) == (
        charge,
        {"order_id": "1042"},
    )
    assert refund.body["source"]["charge"] == charge
    assert standin.calls["GET /v1/events"] == 0


# A payout's day


def test_a_payouts_day_has_its_payouts_and_their_lines() -> None:
    standin, account_, clock = account()
    standin.charge(1000, fee=59)
    standin.charge(2000, "eur", fee=88)
    arrives = date(2026, 11, 24)
    dollars = standin.pay_out(arrives=arrives)
    clock.tick(minutes=1)
    euros = standin.pay_out("eur", arrives=arrives)
    standin.charge(700)
    other = standin.pay_out(arrives=date(2026, 11, 25))

    pages = list(account_.of_payout_day(arrives))

    assert [thing for thing, _ in pages] == ["payouts", *["balance_transactions"] * 2]
    assert ids([pages[0][1]]) == [euros, dollars]
    assert [{one.body["_payout"] for one in raws([page])} for _, page in pages[1:]] == [
        {dollars},
        {euros},
    ]
    assert other not in str(pages)


def test_a_lines_payout_is_in_its_kept_text_and_makes_it_newer() -> None:
    standin, account_, clock = account()
    standin.charge(1000)
    clock.tick(hours=5)
    payout = standin.pay_out(arrives=date(2026, 11, 24))

    (_, line, own) = raws(page for _, page in account_.of_payout_day(date(2026, 11, 24)))

    assert line.text.startswith(f'{{"_payout": "{payout}", "id":"txn_')
    assert json.loads(line.text) == line.body
    assert line.changed_at == own.changed_at == NOON + timedelta(hours=5)


def test_a_payout_by_hand_comes_with_its_own_line_only() -> None:
    standin, account_, _ = account()
    standin.charge(1000)
    by_hand = standin.pay_out(by_hand=300, arrives=date(2026, 11, 24))

    (payout, line) = raws(page for _, page in account_.of_payout_day(date(2026, 11, 24)))

    assert (payout.resource_id, payout.body["automatic"]) == (by_hand, False)
    assert (line.body["amount"], line.body["_payout"]) == (-300, by_hand)


def test_a_day_without_payouts_is_empty() -> None:
    _, account_, _ = account()

    assert list(account_.of_payout_day(date(2026, 11, 24))) == []


def busy() -> tuple[StripeStandIn, Stripe, str]:
    """An account where most things happened once before its payout, and the payout."""
    standin, account_, clock = account()
    first = standin.charge(10_000, fee=350, tax=60, order="1042")
    standin.charge(5_000, "eur", fee=200, settled=Conversion("usd", "1.0834"), order="1043")
    held = standin.charge(4_000, capture=False)
    standin.capture(held, 2_500, fee=90)
    standin.fail_refund(standin.refund(first, 1_000))
    standin.close_dispute(standin.dispute(first, 2_000), won=True)
    standin.close_dispute(standin.dispute(held), won=False)
    standin.bill(123)
    standin.reserve(500)
    standin.release(200)
    standin.top_up(1_000)
    standin.adjust(-7)
    clock.tick(hours=1)
    return standin, account_, standin.pay_out(arrives=date(2026, 11, 24))


def test_the_lines_of_a_whole_payout_come_to_nothing() -> None:
    _, account_, payout = busy()

    found = mapped(account_.of_payout_day(date(2026, 11, 24)))

    assert {line["payout_ref"] for line in found.lines} == {f"stripe_us:{payout}"}
    assert sum(line["net_amount"] for line in found.lines) == 0
    (row,) = found.payouts
    (own,) = [line for line in found.lines if line["kind"] == "payout"]
    assert (row["payout_ref"], row["paid_amount"]) == (own["payout_ref"], -own["net_amount"])
    assert sorted({line["kind"] for line in found.lines}) == [
        *("adjustment", "chargeback", "chargeback_reversed", "fee", "payout", "refund"),
        *("refund_failed", "reserve_held", "reserve_released", "sale", "topup"),
    ]


def test_a_converted_sale_tells_what_the_customer_paid() -> None:
    _, account_, _ = busy()

    found = mapped(account_.of_payout_day(date(2026, 11, 24)))

    (line,) = [one for one in found.lines if one["paid_currency"]]
    assert (line["gross_amount"], line["currency"]) == (D("54.17"), "USD")
    assert (line["paid_amount"], line["paid_currency"]) == (D("50.00"), "EUR")
    assert (line["exchange_rate"], line["order_reference"]) == (D("1.0834"), "1043")


def test_the_next_payout_has_what_a_failed_one_returned() -> None:
    standin, account_, payout = busy()
    standin.fail_payout(payout)
    again = standin.pay_out(arrives=date(2026, 11, 26))

    found = mapped(account_.of_payout_day(date(2026, 11, 26)))

    returned, own = sorted(found.lines, key=lambda one: str(one["kind"]), reverse=True)
    assert (returned["kind"], returned["movement_id"]) == ("payout_returned", payout)
    assert (own["kind"], own["movement_id"]) == ("payout", again)
    assert returned["net_amount"] == -own["net_amount"]
    assert returned["payout_ref"] == f"stripe_us:{again}"


def test_events_are_the_same_from_the_api_and_from_webhooks() -> None:
    standin, account_, payout = busy()
    standin.settle_payout(payout)
    told = Found()
    for event in standin.kept["events"].values():
        told.add(mapper.notice("stripe_us", json.loads(json.dumps(event))))

    things = ("charges", "refunds", "disputes", "payouts")
    read = mapped((t, page) for t in things for page in account_.changed_since(t, NOON, DAY))

    assert {row["event_ref"] for row in told.events} == {row["event_ref"] for row in read.events}
    same = ("kind", "payment_id", "group_id", "movement_id", "currency", "provider")
    by_ref = {row["event_ref"]: row for row in told.events}
    for row in read.events:
        assert [row[name] for name in same] == [by_ref[row["event_ref"]][name] for name in same]
    assert told.payouts == told.lines == []


# What cannot be read


def test_what_is_no_thing_costs_none_of_its_neighbours() -> None:
    at = int(NOON.timestamp())
    items = [3, {"id": 7}, {"id": "ch_1"}, {"id": "ch_2", "created": at}]
    listed = {"object": "list", "data": items, "has_more": False}
    none = {"object": "list", "data": [], "has_more": False}
    account_ = answering(listed, none, listed, none)

    (found,) = account_.changed_since("charges", NOON, NOTHING)

    assert [(type(one), one.resource_id) for one in found] == [
        (Broken, None),
        (Broken, None),
        (Broken, "ch_1"),
        (Raw, "ch_2"),
    ]


def test_a_newest_thing_that_cannot_be_read_hides_none_of_the_older_ones() -> None:
    standin, _, clock = account()
    first = standin.charge(1000)
    clock.tick(days=3)
    second = standin.charge(2000)
    clock.tick(minutes=1)
    standin.kept["charges"][standin.charge(3000)]["id"] = 7
    standin.kept["events"].clear()

    pages = list(over(standin.transport()).changed_since("charges", NOON, NOTHING))

    assert [[one.resource_id for one in page] for page in pages] == [[first], [None, second]]


def test_a_thing_is_kept_exactly_as_it_was_sent() -> None:
    text = '{ "id":"txn_1", "created":1795176000,"exchange_rate":1.0830, "x":"\\u00e9"}'
    account_ = answering('{"data": [ ' + text + ' ], "has_more": false}')

    ((one,),) = account_.changed_since("balance_transactions", NOON, NOTHING)

    assert one == Raw("txn_1", text, json.loads(text, parse_float=Decimal), NOON)


@pytest.mark.parametrize(
    "text",
    [
        "<html>",
        "[]",
        "{}",
        '{"data": {}, "has_more": false}',
        '{"data": [{]}',
        '{"data": [3], "has_more": true}',
        '{"data": [{"id": "txn_1", "created": 1795176000}], "has_more": true}',
    ],
)
def test_a_list_that_is_broken_or_goes_on_for_ever_breaks_the_contract(text: str) -> None:
    with pytest.raises(ContractBroken):
        list(answering(text).changed_since("balance_transactions", NOON, NOTHING))


def test_an_event_that_says_nothing_hides_no_change() -> None:
    at = int(NOON.timestamp())
    event = {"data": [{"id": "evt_1", "created": at, "data": {}}], "has_more": False}

    with pytest.raises(ContractBroken, match="what it is about"):
        list(answering(event).changed_since("charges", NOON, NOTHING))


# The vendor's own examples


def test_the_stand_ins_objects_have_the_members_and_types_of_the_vendors_examples() -> None:
    file = SHARED / "contracts" / "stripe" / "fixtures3.json"
    if not file.exists():
        pytest.skip("Stripe's examples are kept beside the project (../shared), and are not there")
    theirs = json.loads(file.read_text())["resources"]
    standin, _, _ = busy()

    for thing in ("balance_transactions", "charges", "refunds", "disputes", "payouts", "events"):
        ours = next(iter(standin.kept[thing].values()))
        example = theirs[thing[:-1]]
        for name in ours.keys() - {"failure_reason", "failure_balance_transaction"}:
            assert name in example, f"{thing}.{name}"
            if ours[name] is not None and example[name] is not None:
                assert type(ours[name]) is type(example[name]), f"{thing}.{name}"


def test_deliveries_are_signed_as_our_receiver_expects() -> None:
    standin, _, clock = account()
    charge = standin.charge(1000, order="1042")
    headers, body = standin.webhook("charge.succeeded", charge)
    secret = pydantic.SecretStr(standin.webhook_secret)
    sender = sender_of("stripe", Endpoint(scheme="stripe", secrets=(secret,)))
    raw = {name.lower().encode(): value.encode() for name, value in headers.items()}

    assert isinstance(sender.judge(raw, body, clock()), Genuine)
    assert isinstance(sender.judge(raw, body + b" ", clock()), Forged)
    events = mapper.notice("stripe_us", json.loads(body)).events
    assert [row["kind"] for row in events] == ["authorised", "captured"]
