"""PayPal's reporting: the client before a stand-in, the stand-in before the published contract."""

import json
import logging
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

from resources.errors import ContractBroken, Refused, SignInAgain, Throttled, TryAgain
from resources.http import Manners, client
from resources.pages import Broken, Raw
from resources.sandbox.faults import Fault, Trouble
from resources.sandbox.paypal import PayPalStandIn
from resources.systems import paypal
from resources.systems.paypal import PayPal
from sync_assets.domain.payments import Found
from sync_assets.mappers import paypal_settlements

NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
HOUR, DAY, NOTHING = timedelta(hours=1), timedelta(days=1), timedelta()
SEARCH, TOKEN = "GET /v1/reporting/transactions", "POST /v1/oauth2/token"

Doc = dict[str, Any]


class Clock:
    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        return self.now

    def seconds(self) -> float:
        return self.now.timestamp()


class Wire(httpx.BaseTransport):
    """Keeps what is asked of a stand-in."""

    def __init__(self, inner: httpx.BaseTransport) -> None:
        self.inner, self.asked = inner, list[httpx.Request]()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        return self.inner.handle_request(request)

    def searches(self) -> list[httpx.QueryParams]:
        return [one.url.params for one in self.asked if one.url.path == paypal.TRANSACTIONS]


def over(
    transport: httpx.BaseTransport,
    clock: Clock | None = None,
    *,
    secret: str = "secret",
    attempts: int = 1,
) -> PayPal:
    http = client(
        "paypal",
        "https://api-m.paypal.com",
        Manners(attempts=attempts),
        transport=transport,
        sleep=lambda seconds: None,
    )
    clock = clock or Clock()
    return PayPal(http, "paypal_eu", "client", secret, now=clock, clock=clock.seconds)


def account(**options: Any) -> tuple[PayPalStandIn, PayPal, Clock]:
    clock = Clock()
    standin = PayPalStandIn(now=clock, **options)
    return standin, over(standin.transport(), clock), clock


def ids(pages: Iterable[list[Raw | Broken]]) -> list[str | None]:
    return [one.resource_id for page in pages for one in page]


def said(body: Doc | str, status: int = 200) -> PayPal:
    """A client before a server that signs in and then always answers the same."""
    token = {"access_token": "A21", "expires_in": 32400}

    def handle(request: httpx.Request) -> httpx.Response:
        if request.url.path == paypal.TOKEN:
            return httpx.Response(200, json=token)
        text = body if isinstance(body, str) else json.dumps(body)
        return httpx.Response(status, text=text)

    return over(httpx.MockTransport(handle))


# Signing in


def test_the_account_answers_who_it_is() -> None:
    _, shop, _ = account(account="EZ782AXEUJUW8")

    assert shop.ping() == "PayPal, account EZ782AXEUJUW8"


def test_one_token_serves_until_it_ends() -> None:
    standin, shop, clock = account()

    shop.ping()
    clock.now += timedelta(hours=8)
    shop.ping()
    assert standin.calls[TOKEN] == 1
    clock.now += HOUR
    shop.ping()
    assert standin.calls[TOKEN] == 2


def test_a_token_that_was_taken_back_is_renewed_once() -> None:
    standin, shop, _ = account()
    shop.ping()
    standin.take_tokens_back()

    shop.ping()

    assert (standin.calls[TOKEN], standin.calls[SEARCH]) == (2, 3)


def test_a_secret_that_is_not_taken_has_to_be_mended_by_a_person() -> None:
    standin, _, clock = account()

    with pytest.raises(SignInAgain) as fault:
        over(standin.transport(), clock, secret="old").ping()

    assert (fault.value.code, fault.value.message) == (
        "invalid_client",
        "Client Authentication failed",
    )
    assert standin.calls[SEARCH] == 0


def test_an_account_without_the_permission_has_to_be_mended_by_a_person() -> None:
    text = "Authorization failed due to insufficient permissions."
    body = {"name": "NOT_AUTHORIZED", "message": text, "debug_id": "d1"}

    with pytest.raises(SignInAgain) as fault:
        said(body, 403).ping()

    assert (fault.value.code, fault.value.message) == ("NOT_AUTHORIZED", f"{text} [debug id d1]")


def test_neither_secret_nor_token_is_logged_or_told(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    standin, shop, _ = account(secret="s3cr3t-value")
    shop = over(standin.transport(), secret="s3cr3t-value")
    shop.ping()
    (token,) = standin.tokens

    assert token not in caplog.text
    assert "s3cr3t-value" not in caplog.text
    assert "s3cr3t-value" not in repr(vars(shop)["_credentials"])


def test_signing_in_is_tried_again_when_its_answer_is_lost() -> None:
    standin, _, clock = account()
    standin.faults.plan(Fault(Trouble.CUT_AFTER, TOKEN))

    over(standin.transport(), clock, attempts=2).ping()

    assert standin.calls[TOKEN] == 2


# Windows


def test_what_changed_is_asked_for_in_windows_of_31_days_at_most() -> None:
    standin, _, clock = account()
    wire = Wire(standin.transport())
    shop = over(wire, clock)
    old = standin.pay("5.00", at=NOON - 69 * DAY)
    new = standin.pay("7.00", at=NOON)

    assert ids(shop.changed_since("transactions", NOON - 70 * DAY, NOTHING)) == [old, new]
    searches = wire.searches()
    assert [(one["start_date"], one["end_date"]) for one in searches] == [
        ("2026-09-11T09:00:00Z", "2026-10-12T08:59:59Z"),
        ("2026-10-12T09:00:00Z", "2026-11-12T08:59:59Z"),
        ("2026-11-12T09:00:00Z", "2026-11-20T12:00:00Z"),
    ]
    assert (searches[0]["fields"], searches[0]["page_size"]) == ("all", "500")


def test_a_transaction_that_appears_three_hours_late_is_not_missed() -> None:
    standin, shop, clock = account(late=timedelta(hours=3))
    late = standin.pay("5.00")
    clock.now += HOUR
    moment = clock()
    assert ids(shop.changed_since("transactions", moment - HOUR, NOTHING)) == []

    clock.now += timedelta(hours=2)

    assert ids(shop.changed_since("transactions", moment, NOTHING)) == [late]


def test_a_longer_overlap_is_kept_and_history_ends_after_three_years() -> None:
    standin, _, clock = account()
    wire = Wire(standin.transport())
    shop = over(wire, clock)

    list(shop.changed_since("transactions", NOON, DAY))
    list(shop.changed_since("transactions", NOON - 2000 * DAY, NOTHING))

    starts = [one["start_date"] for one in wire.searches()]
    assert starts[:2] == ["2026-11-19T12:00:00Z", "2023-11-21T12:00:00Z"]


def test_a_window_comes_in_order_of_change_and_in_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paypal, "PAGE", 2)
    standin, shop, _ = account()
    hours = [3, 1, 2, 5, 4]
    made = {hour: standin.pay("5.00", at=NOON - hour * HOUR) for hour in hours}

    pages = list(shop.changed_since("transactions", NOON - DAY, NOTHING))

    assert [len(page) for page in pages] == [2, 2, 1]
    assert ids(pages) == [made[hour] for hour in (5, 4, 3, 2, 1)]
    assert standin.calls[SEARCH] == 3


def test_a_window_that_holds_too_much_is_halved_until_it_is_served() -> None:
    standin, shop, _ = account(most=3)
    made = [standin.pay("5.00", at=NOON - n * HOUR) for n in range(20, 0, -1)]

    assert ids(shop.changed_since("transactions", NOON - DAY, NOTHING)) == made


def test_a_second_that_holds_too_much_is_refused_and_not_cut_short() -> None:
    standin, shop, _ = account(most=3)
    for _ in range(4):
        standin.pay("5.00", at=NOON - HOUR)

    with pytest.raises(Refused) as fault:
        list(shop.changed_since("transactions", NOON - DAY, NOTHING))

    assert fault.value.code == "RESULTSET_TOO_LARGE"


def test_a_day_is_that_of_utc_and_to_its_last_second() -> None:
    standin, shop, _ = account()
    midnight = datetime(2026, 11, 19, tzinfo=UTC)
    standin.pay("1.00", at=midnight - timedelta(seconds=1))
    first = standin.pay("2.00", at=midnight)
    last = standin.pay("3.00", at=midnight + DAY - timedelta(seconds=1))
    standin.pay("4.00", at=midnight + DAY)

    pages = list(shop.of_payout_day(date(2026, 11, 19)))

    assert [(thing, ids([page])) for thing, page in pages] == [("transactions", [first, last])]


def test_a_day_to_come_is_not_asked_for() -> None:
    standin, shop, _ = account()

    assert list(shop.of_payout_day(date(2026, 11, 21))) == []
    assert standin.calls[SEARCH] == 0


def test_a_day_that_is_not_served_yet_is_asked_for_again_later() -> None:
    detail = {"issue": "Data for the given start date is not available."}
    body = {"name": "INVALID_REQUEST", "message": "No.", "details": [detail]}
    shop = said(body, 400)
    shop.now = lambda: datetime(2026, 11, 20, 1, tzinfo=UTC)

    with pytest.raises(TryAgain):
        list(shop.of_payout_day(date(2026, 11, 20)))
    with pytest.raises(Refused):
        list(shop.of_payout_day(date(2026, 11, 18)))


def test_only_transactions_can_be_asked_for() -> None:
    _, shop, _ = account()

    assert PayPal.things == ("transactions",)
    with pytest.raises(ValueError, match="paypal_eu has no disputes; it has transactions"):
        list(shop.changed_since("disputes", NOON, NOTHING))


# Answers


def test_a_transaction_is_kept_exactly_as_it_was_sent() -> None:
    info = '{"transaction_id":"T1", "transaction_updated_date":"2026-11-20T12:00:00+0000"}'
    text = f'{{ "transaction_info": {info},"payer_info":{{"x":"\\u00e9", "n":1.50}} }}'
    shop = said(f'{{"total_pages": 1, "transaction_details": [ {text} ]}}')

    ((found,),) = shop.changed_since("transactions", NOON, NOTHING)

    assert found == Raw("T1", text, json.loads(text, parse_float=Decimal), NOON)


def test_what_is_no_transaction_costs_none_of_its_neighbours() -> None:
    whole = {"transaction_id": "T1", "transaction_initiation_date": "2026-11-20T12:00:00Z"}
    details = [
        {"transaction_info": whole},
        7,
        {},
        {"transaction_info": {"transaction_id": ""}},
        {"transaction_info": {"transaction_id": "T2"}},
    ]
    shop = said({"total_pages": 1, "transaction_details": details})

    (page,) = shop.changed_since("transactions", NOON, NOTHING)

    assert [(type(one), one.resource_id) for one in page] == [
        (Broken, None),
        (Broken, None),
        (Broken, None),
        (Broken, "T2"),
        (Raw, "T1"),
    ]


def test_an_empty_window_may_leave_its_list_out() -> None:
    assert list(said({"total_pages": 0}).changed_since("transactions", NOON, NOTHING)) == []


@pytest.mark.parametrize(
    "body",
    [
        "<html>",
        "[]",
        {},
        {"total_pages": "1"},
        {"total_pages": 1, "transaction_details": {}},
        {"total_pages": 2, "transaction_details": []},
        '{"total_pages": 1, "transaction_details": [{]}',
    ],
)
def test_a_list_that_is_broken_breaks_the_contract(body: Doc | str) -> None:
    with pytest.raises(ContractBroken):
        list(said(body).changed_since("transactions", NOON, NOTHING))


@pytest.mark.parametrize("token", ["[1]", "{}", '{"access_token": "", "expires_in": 1}', "<html>"])
def test_signing_in_without_a_token_breaks_the_contract(token: str) -> None:
    shop = over(httpx.MockTransport(lambda _: httpx.Response(200, text=token)))

    with pytest.raises(ContractBroken):
        shop.ping()


def test_too_many_calls_are_waited_for_and_a_failing_server_is_asked_later() -> None:
    standin, shop, _ = account()
    standin.faults.plan(Fault(Trouble.THROTTLE, SEARCH, seconds=9))

    with pytest.raises(Throttled) as fault:
        shop.ping()
    assert fault.value.after_seconds == 9

    standin.faults.plan(Fault(Trouble.ERROR, SEARCH, status=500))
    with pytest.raises(TryAgain):
        shop.ping()


def test_what_is_refused_says_which_field_and_how_paypal_finds_the_call() -> None:
    _, shop, _ = account()

    with pytest.raises(Refused) as fault:
        shop._search(NOON - 32 * DAY, NOON, 1)

    assert fault.value.code == "INVALID_REQUEST"
    assert "Date range is greater than 31 days" in fault.value.message
    assert "[debug id " in fault.value.message


def test_balances_are_told_for_a_moment() -> None:
    standin, shop, _ = account()
    standin.pay("10.00", fee="0.59", currency="EUR", at=NOON - DAY)
    standin.withdraw("4.00", "EUR")

    before, now = shop.balances(NOON - HOUR), shop.balances()

    told = [one.body["balances"][0]["total_balance"]["value"] for one in (before, now)]
    assert told == ["9.41", "5.41"]
    assert (before.resource_id, before.changed_at) == ("2026-11-20T11:00:00Z", NOON - HOUR)


# The stand-in before the published contract


def test_the_stand_in_answers_what_the_contract_describes(recordings: Path) -> None:
    folder = recordings / "paypal"
    if not folder.exists():
        pytest.skip("PayPal's contract is not beside the project (../shared)")
    contract = json.loads((folder / "reporting_transactions_v1.json").read_text())
    schemas = contract["components"]["schemas"]
    standin, shop, _ = account()
    standin.refund(standin.pay("10.00", fee="0.59", invoice="1042", custom="x"), fee="0.10")
    standin.withdraw("4.00")

    def known(value: Any, schema: Doc, path: str) -> None:
        while "$ref" in schema:
            schema = schemas[schema["$ref"].rpartition("/")[2]]
        if isinstance(value, dict):
            for name, part in value.items():
                assert name in schema["properties"], f"{path}.{name}"
                known(part, schema["properties"][name], f"{path}.{name}")
        elif isinstance(value, list):
            for part in value:
                known(part, schema["items"], f"{path}[]")
        else:
            kind = {"string": str, "integer": int, "boolean": bool}[schema["type"]]
            assert type(value) is kind, path

    search = shop._search(NOON - HOUR, NOON, 1).json()
    known(search, schemas["search_response"], "search")
    known(shop.balances().body, schemas["balances_response"], "balances")
    assert len(search["transaction_details"]) == 3


# From the account to our lines


def test_an_accounts_movements_become_lines_that_tie_to_its_balances() -> None:
    standin, shop, _ = account()
    kept = standin.pay("100.00", fee="3.20", invoice="WC-1", custom="1")
    given = standin.pay("40.00", fee="1.50", invoice="WC-2")
    standin.refund(given, fee="1.20")
    standin.charge_back(kept, fee="16.00")
    foreign = standin.pay("50.00", fee="2.00", currency="EUR", invoice="WC-3")
    standin.convert(foreign, "USD", "51.84")
    standin.book("T2103", "-5.00")
    standin.withdraw("20.00")

    found = Found()
    for page in shop.changed_since("transactions", NOON, NOTHING):
        for one in page:
            assert isinstance(one, Raw)
            found.add(paypal_settlements.OBJECTS["transactions"]("pp", one.body))

    assert [line["kind"] for line in found.lines] == [
        *("sale", "sale", "refund", "chargeback", "fee", "sale", "conversion", "conversion"),
        *("reserve_held", "payout"),
    ]
    totals = {
        one["currency"]: Decimal(one["total_balance"]["value"])
        for one in shop.balances().body["balances"]
    }
    for currency, total in totals.items():
        nets = [line["net_amount"] for line in found.lines if line["currency"] == currency]
        assert sum(nets) == total
    assert totals["EUR"] == 0
    assert {line["payout_ref"] for line in found.lines} == {"pp:20261120:USD", "pp:20261120:EUR"}
    assert len({line["line_ref"] for line in found.lines}) == len(found.lines)
