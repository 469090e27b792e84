"""Amazon's seller account: the client before a stand-in, the stand-in before published examples."""

import gzip
import json
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

from resources.errors import (
    ContractBroken,
    Refused,
    SignInAgain,
    Throttled,
    TryAgain,
)
from resources.http import Manners, client
from resources.pages import Broken, Raw
from resources.sandbox.amazon import REPORTS, STORE, TOKEN, TRANSACTIONS, AmazonStandIn
from resources.sandbox.faults import Fault, Trouble
from resources.systems import amazon_reports
from resources.systems.amazon import USER_AGENT, Amazon
from sync_assets.domain.payments import Found
from sync_assets.mappers import amazon_finances, amazon_settlements

SHARED = Path(__file__).resolve().parents[2].parent / "shared"
EXAMPLES = SHARED / "data" / "marketplace-amazon" / "sp-api-examples.jsonl.gz"
NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
DAY, NOTHING = timedelta(days=1), timedelta()
WEEK_AGO = NOON - 7 * DAY

Doc = dict[str, Any]


class Clock:
    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        return self.now

    def seconds(self) -> float:
        return self.now.timestamp()

    def tick(self, **span: float) -> None:
        self.now += timedelta(**span)


class Seen(httpx.BaseTransport):
    """Passes calls on and keeps them."""

    def __init__(self, inner: httpx.BaseTransport) -> None:
        self.inner, self.requests = inner, list[httpx.Request]()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        return self.inner.handle_request(request)


def over(transport: httpx.BaseTransport, clock: Clock, *, attempts: int = 1, **more: Any) -> Amazon:
    http, token_http = (
        client(
            "amazon_us",
            url,
            Manners(attempts=attempts),
            transport=transport,
            sleep=lambda seconds: None,
        )
        for url in ("https://sellingpartnerapi-na.amazon.com", "https://api.amazon.com")
    )
    said = {"client_id": "amzn1.application-oa2-client.1", "client_secret": "secret"}
    said |= {"refresh_token": "Atzr|refresh"} | more
    return Amazon(http, "amazon_us", token_http, now=clock, clock=clock.seconds, **said)


def seller(**more: Any) -> tuple[AmazonStandIn, Amazon, Clock]:
    clock = Clock()
    standin = AmazonStandIn(now=clock, **more)
    return standin, over(standin.transport(), clock), clock


def ids(pages: Iterable[list[Raw | Broken]]) -> list[str | None]:
    return [one.resource_id for page in pages for one in page]


def answering(*answers: httpx.Response) -> tuple[Amazon, list[httpx.Request]]:
    """A client whose API gives these answers one after the other; the sign-in always works."""
    asked: list[httpx.Request] = []
    waiting = list(answers)

    def handle(request: httpx.Request) -> httpx.Response:
        if request.url.path == TOKEN:
            return httpx.Response(200, json={"access_token": "t", "expires_in": 3600})
        asked.append(request)
        return waiting.pop(0)

    return over(httpx.MockTransport(handle), Clock()), asked


def listed(*transactions: Doc, token: str | None = None) -> httpx.Response:
    payload = {"transactions": list(transactions), "nextToken": token}
    return httpx.Response(200, json={"payload": payload})


# Signing in


def test_the_account_answers_who_sells() -> None:
    standin, amazon, clock = seller()
    assert amazon.ping() == "Amazon"

    standin.ship("111-1", "20.00")
    clock.tick(minutes=10)

    assert amazon.ping() == "Amazon, seller A3TH9S8BH6GOGM"


def test_one_token_serves_an_hour_and_is_then_renewed() -> None:
    standin, amazon, clock = seller()
    amazon.ping()
    clock.tick(minutes=50)
    amazon.ping()
    assert standin.calls[f"POST {TOKEN}"] == 1

    clock.tick(minutes=10)
    amazon.ping()

    assert standin.calls[f"POST {TOKEN}"] == 2


def test_a_token_that_was_taken_back_is_renewed_once() -> None:
    standin, amazon, _ = seller()
    amazon.ping()
    standin.take_tokens_back()

    assert amazon.ping() == "Amazon"
    assert standin.calls[f"POST {TOKEN}"] == 2


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"client_secret": "old"}, "invalid_client"),
        ({"refresh_token": "Atzr|old"}, "invalid_grant"),
    ],
)
def test_credentials_that_are_not_taken_have_to_be_mended(wrong: Doc, code: str) -> None:
    standin, _, clock = seller()

    with pytest.raises(SignInAgain, match="authorise the application anew") as fault:
        over(standin.transport(), clock, **wrong).ping()

    assert fault.value.code == code
    assert standin.calls[f"GET {TRANSACTIONS}"] == 0


def test_a_role_that_is_missing_has_to_be_given_by_a_person() -> None:
    denied = {"errors": [{"code": "Unauthorized", "message": "Access is denied.", "details": ""}]}
    amazon, asked = answering(httpx.Response(403, json=denied, headers={"x-amzn-RequestId": "r-1"}))

    with pytest.raises(SignInAgain, match=r"Access is denied\. \[request r-1\]") as fault:
        amazon.ping()

    assert (fault.value.code, len(asked)) == ("Unauthorized", 1)


def test_every_call_says_who_calls_and_only_the_api_sees_the_token() -> None:
    standin, _, clock = seller()
    seen = Seen(standin.transport())
    standin.ship("111-1", "20.00")
    standin.settle()

    list(over(seen, clock).reports_since(WEEK_AGO))

    assert {one.headers["User-Agent"] for one in seen.requests} == {USER_AGENT}
    hosts = [one.url.host for one in seen.requests]
    tokens = [one.headers.get("x-amz-access-token") for one in seen.requests]
    api = "sellingpartnerapi-na.amazon.com"
    assert hosts == ["api.amazon.com", api, api, STORE]
    assert [bool(one) for one in tokens] == [False, True, True, False]


# Transactions


def test_transactions_come_oldest_first_through_all_pages() -> None:
    standin, amazon, clock = seller(page=2)
    made = []
    for number in range(5):
        made.append(standin.ship(f"111-{number}", "20.00"))
        clock.tick(hours=1)

    pages = list(amazon.changed_since("transactions", WEEK_AGO, NOTHING))

    assert ids(pages) == made
    first = pages[0][0]
    assert isinstance(first, Raw)
    assert first.changed_at == NOON
    assert first.body["totalAmount"] == {"currencyAmount": Decimal("20.0"), "currencyCode": "USD"}
    assert json.loads(first.text)["transactionId"] == made[0]


def test_a_transaction_that_shows_two_days_late_is_not_missed() -> None:
    standin, amazon, clock = seller(late=timedelta(hours=47))
    late = standin.ship("111-1", "20.00")
    clock.tick(hours=12)
    assert ids(amazon.changed_since("transactions", WEEK_AGO, NOTHING)) == []
    until = clock()

    clock.tick(hours=36)

    assert ids(amazon.changed_since("transactions", until, NOTHING)) == [late]


def test_a_year_is_read_in_slices_that_amazon_serves() -> None:
    standin, amazon, clock = seller()
    old = standin.ship("111-1", "20.00")
    clock.tick(days=365)
    new = standin.ship("111-2", "20.00")
    clock.tick(minutes=5)

    assert ids(amazon.changed_since("transactions", NOON, NOTHING)) == [old, new]
    assert standin.calls[f"GET {TRANSACTIONS}"] == 53


def test_a_day_is_read_whole_and_alone() -> None:
    standin, amazon, clock = seller()
    for days in (0, 1, 1, 1):
        clock.tick(days=days)
        standin.ship("111-1", "20.00")

    pages = list(amazon.of_payout_day(date(2026, 3, 3)))

    assert [(thing, [one.resource_id for one in page]) for thing, page in pages] == [
        ("transactions", [standin.movements[1].id])
    ]
    assert list(amazon.of_payout_day(date(2027, 1, 1))) == []


def test_an_empty_page_in_between_ends_nothing() -> None:
    one = {"transactionId": "t1", "postedDate": "2026-03-01T00:00:00Z"}
    amazon, asked = answering(listed(token="a"), listed(one, token="b"), listed())

    assert [ids([page]) for _, page in amazon.of_payout_day(date(2026, 3, 1))] == [["t1"]]
    assert [dict(call.url.params).get("nextToken") for call in asked] == [None, "a", "b"]
    assert {call.url.params["postedAfter"] for call in asked} == {"2026-03-01T00:00:00Z"}


def test_an_item_that_cannot_be_kept_costs_no_other() -> None:
    whole = {"transactionId": "t1", "postedDate": "2026-03-01T00:00:00Z"}
    amazon, _ = answering(listed({"transactionType": "Shipment"}, whole, whole | {"postedDate": 7}))

    ((_, page),) = amazon.of_payout_day(date(2026, 3, 1))

    assert [one.reason for one in page if isinstance(one, Broken)] == [
        "the item has no transactionId",
        "the item has no readable postedDate",
    ]
    assert [one.resource_id for one in page if isinstance(one, Raw)] == ["t1"]


@pytest.mark.parametrize(
    ("answers", "reason"),
    [
        ([httpx.Response(200, text="<html>")], "transactions are broken"),
        ([httpx.Response(200, json={"payload": {}})], "transactions are broken"),
        ([httpx.Response(200, json={"payload": {"transactions": {}}})], "transactions are broken"),
        ([listed(token="a"), listed(token="a")], "does not go on"),
        ([httpx.Response(302)], "answered 302"),
    ],
)
def test_an_answer_that_is_none_is_no_empty_list(
    answers: list[httpx.Response], reason: str
) -> None:
    amazon, _ = answering(*answers)

    with pytest.raises(ContractBroken, match=reason):
        list(amazon.of_payout_day(date(2026, 3, 1)))


def test_a_thing_that_amazon_has_not_is_not_asked_for() -> None:
    _, amazon, _ = seller()

    with pytest.raises(ValueError, match="amazon_us has no payouts; it has transactions"):
        list(amazon.changed_since("payouts", WEEK_AGO, NOTHING))


def test_too_many_calls_are_tried_again_later() -> None:
    standin, amazon, clock = seller()
    standin.faults.plan(Fault(Trouble.THROTTLE, TRANSACTIONS))
    with pytest.raises(Throttled) as fault:
        amazon.ping()
    assert fault.value.after_seconds is None  # Amazon does not say

    standin.faults.plan(Fault(Trouble.THROTTLE, TRANSACTIONS, times=2))

    assert over(standin.transport(), clock, attempts=3).ping() == "Amazon"


def test_what_breaks_on_the_way_is_tried_again() -> None:
    standin, _, clock = seller()
    for trouble in (Trouble.ERROR, Trouble.CUT_BEFORE, Trouble.CUT_AFTER):
        standin.faults.plan(Fault(trouble, TOKEN), Fault(trouble, TRANSACTIONS))

        assert over(standin.transport(), clock, attempts=3).ping() == "Amazon"


def test_a_search_that_is_refused_says_why() -> None:
    standin, _, clock = seller()
    behind = Clock()
    behind.now += DAY  # our clock is a day ahead

    with pytest.raises(Refused, match=r"Date range is invalid\. \[request ") as fault:
        list(over(standin.transport(), behind).of_payout_day(behind().date()))

    assert fault.value.code == "InvalidInput"
    assert clock() == NOON


# Settlement reports


@pytest.mark.parametrize("packed", [True, False])
def test_reports_come_oldest_first_with_name_and_content(packed: bool) -> None:
    standin, amazon, clock = seller(packed=packed)
    settlements = []
    for number in range(3):
        standin.ship(f"111-{number}", "20.00")
        settlements.append(standin.settle())
        clock.tick(days=14)

    found = list(amazon.reports_since(NOON - DAY))

    assert [name for name, _ in found] == [f"settlement-{one.id}.txt" for one in standin.reports]
    assert [content for _, content in found] == [one.content for one in standin.reports]
    assert [settlement.encode() in found[n][1] for n, settlement in enumerate(settlements)] == [
        *(True, True),
        True,
    ]


def test_reports_that_are_known_or_older_are_not_fetched() -> None:
    standin, amazon, clock = seller()
    for number in range(3):
        standin.ship(f"111-{number}", "20.00")
        standin.settle()
        clock.tick(days=14)
    old, known, new = (f"settlement-{one.id}.txt" for one in standin.reports)

    found = [name for name, _ in amazon.reports_since(NOON + DAY, known={known})]

    assert found == [new]
    assert old not in found
    assert sum(count for call, count in standin.calls.items() if "documents" in call) == 1


def test_a_long_list_of_reports_is_walked_by_its_token_alone() -> None:
    standin, amazon, clock = seller()
    standin.ship("111-1", "20.00")
    standin.settle()
    made = standin.reports[0]
    standin.reports += [
        replace(made, id=f"9{number}", made_at=NOON + timedelta(minutes=number))
        for number in range(1, 150)
    ]
    clock.tick(hours=3)

    names = [name for name, _ in amazon.reports_since(NOON - 300 * DAY)]

    assert (len(names), names[0], names[-1]) == (
        *(150, f"settlement-{made.id}.txt"),
        "settlement-9149.txt",
    )
    assert standin.calls[f"GET {REPORTS}"] == 2


def reported(**change: Any) -> httpx.Response:
    report = {
        "reportId": "1",
        "reportType": "GET_V2_SETTLEMENT_REPORT_DATA_FLAT_FILE_V2",
        "processingStatus": "DONE",
        "createdTime": "2026-03-01T00:00:00+00:00",
        "reportDocumentId": "d1",
    }
    return httpx.Response(200, json={"reports": [report | change]})


def document(**change: Any) -> httpx.Response:
    return httpx.Response(200, json={"reportDocumentId": "d1", "url": "https://s3/d1"} | change)


@pytest.mark.parametrize(
    ("answers", "kind", "reason"),
    [
        ([httpx.Response(200, json={})], ContractBroken, "list of reports is none"),
        ([httpx.Response(200, json=[])], ContractBroken, "is no object"),
        ([reported(reportId="../x")], ContractBroken, "no id, document or time"),
        ([reported(reportDocumentId=None)], ContractBroken, "no id, document or time"),
        ([reported(), document(url="http://s3/d1")], ContractBroken, "no https address"),
        ([reported(), document(compressionAlgorithm="ZIP")], ContractBroken, "do not know"),
        ([reported(), document(), httpx.Response(403)], TryAgain, "address has expired"),
        ([reported(), document(), httpx.Response(404)], Refused, "https://s3/d1 answered 404"),
        ([reported(), document(), httpx.Response(302)], ContractBroken, "a report answered 302"),
        (
            [
                reported(),
                document(compressionAlgorithm="GZIP"),
                httpx.Response(200, content=b"\x1f\x8b\x09\x00"),
            ],
            ContractBroken,
            "cannot be unpacked",
        ),
        (
            [
                *(reported(), document(compressionAlgorithm="GZIP")),
                httpx.Response(200, content=gzip.compress(b"much more text")[:-9]),
            ],
            ContractBroken,
            "ends before all of it was unpacked",
        ),
    ],
)
def test_a_report_that_cannot_be_fetched_says_why(
    answers: list[httpx.Response], kind: type[Exception], reason: str
) -> None:
    amazon, _ = answering(*answers)

    with pytest.raises(kind, match=reason):
        list(amazon.reports_since(WEEK_AGO))


def test_reports_of_other_kinds_or_unfinished_ones_are_left_out() -> None:
    for change in ({"reportType": "GET_MERCHANT_LISTINGS_ALL_DATA"}, {"processingStatus": "FATAL"}):
        amazon, asked = answering(reported(**change))
        assert list(amazon.reports_since(WEEK_AGO)) == []
        assert len(asked) == 1


def test_a_report_that_was_packed_in_pieces_is_whole() -> None:
    packed = gzip.compress(b"settlement-id\n") + gzip.compress(b"1800\n")
    said = document(compressionAlgorithm="GZIP")
    amazon, _ = answering(reported(), said, httpx.Response(200, content=packed))

    assert list(amazon.reports_since(WEEK_AGO)) == [("settlement-1.txt", b"settlement-id\n1800\n")]


@pytest.mark.parametrize("packed", [True, False])
def test_a_report_that_unpacks_to_more_than_is_allowed_is_left_to_a_person(packed: bool) -> None:
    content = b"a" * 5_000
    body = gzip.compress(content) if packed else content
    said = document(compressionAlgorithm="GZIP") if packed else document()
    amazon, _ = answering(reported(), said, httpx.Response(200, content=body))
    amazon.largest = 4_999

    with pytest.raises(Refused, match="more than 4999 bytes; fetch it yourself into the inbox"):
        list(amazon.reports_since(WEEK_AGO))


def test_a_report_that_arrives_unpacked_already_is_taken_as_it_is() -> None:
    said = document(compressionAlgorithm="GZIP")
    amazon, _ = answering(reported(), said, httpx.Response(200, content=b"settlement-id\t"))

    assert list(amazon.reports_since(WEEK_AGO)) == [("settlement-1.txt", b"settlement-id\t")]


def test_reports_are_asked_for_by_marketplace_where_some_are_named() -> None:
    standin, _, clock = seller()
    seen = Seen(standin.transport())

    list(
        over(seen, clock, marketplace_ids=("A1PA6795UKMFR9", "A13V1IB3VIYZZH")).reports_since(NOON)
    )

    assert dict(seen.requests[-1].url.params) == {
        "reportTypes": "GET_V2_SETTLEMENT_REPORT_DATA_FLAT_FILE_V2",
        "processingStatuses": "DONE",
        "createdSince": "2026-03-02T12:00:00Z",
        "pageSize": "100",
        "marketplaceIds": "A1PA6795UKMFR9,A13V1IB3VIYZZH",
    }


# From the account to our tables


def settled(amazon: Amazon) -> Found:
    found = Found()
    for name, content in amazon.reports_since(WEEK_AGO):
        report = amazon_reports.read(name, content)
        assert not report.broken
        for one in report.lines:
            payload = {"file": name, "line": one.number, "kind": report.kind}
            payload |= {"facts": {**report.facts, **one.facts}, "row": one.row}
            found.add(amazon_settlements.report_line("amazon_us", payload))
    return found


@pytest.mark.parametrize("comma", [False, True])
def test_a_settled_fortnight_ties_in_events_lines_and_payouts(comma: bool) -> None:
    standin, amazon, clock = seller(decimal_comma=comma, currency="EUR" if comma else "USD")
    sold = standin.ship(
        "111-1", "1000.00", tax="80.00", shipping="5.00", discount="5.00", commission="150.00",
        withheld="80.00", merchant_order="1042",
    )  # fmt: skip
    lost = standin.ship("111-2", "30.00", commission="4.50")
    claimed = standin.ship("111-3", "10.00")
    clock.tick(hours=1)
    standin.refund(sold, fee_kept="5.00")
    standin.charge_back(lost)
    standin.claim(claimed)
    standin.charge("Subscription Fee", "39.99")
    first = standin.settle()
    clock.tick(days=13)
    standin.ship("111-4", "99.90", commission="14.99")
    second = standin.settle(reserve="20.00")
    clock.tick(minutes=10)

    found = settled(amazon)
    for page in amazon.changed_since("transactions", NOON, NOTHING):
        for one in page:
            assert isinstance(one, Raw)
            found.add(amazon_finances.OBJECTS["transactions"]("amazon_us", one.body))

    assert [(one["payout_id"], one["paid_amount"]) for one in found.payouts] == [
        (first, Decimal("-44.99")),
        (second, Decimal("64.91")),
    ]
    for settlement in (first, second):
        net = [o["net_amount"] for o in found.lines if o["payout_ref"] == f"amazon_us:{settlement}"]
        assert sum(net) == 0
    paid = [o for o in found.lines if o["payment_id"] == "111-1" and o["kind"] == "sale"]
    assert sum(one["gross_amount"] for one in paid) == Decimal("1080.00")
    assert {one["order_reference"] for one in paid} == {"1042"}
    told = [(one["kind"], one["payment_id"], one["amount"]) for one in found.events]
    assert sorted(told, key=str) == [
        ("captured", "111-1", Decimal(1080)),
        ("captured", "111-2", Decimal(30)),
        ("captured", "111-3", Decimal(10)),
        ("captured", "111-4", Decimal("99.9")),
        ("chargeback", "111-2", Decimal(30)),
        ("chargeback", "111-3", Decimal(10)),
        ("payout_failed", None, Decimal("44.99")),
        ("payout_paid", None, Decimal("64.91")),
        ("refunded", "111-1", Decimal(1080)),
    ]
    assert [o["movement_id"] for o in found.events if "payout" in o["kind"]] == [first, second]


# The stand-in before published examples


def examples(model: str, operation: str) -> list[Doc]:
    if not EXAMPLES.exists():
        pytest.skip("Amazon's examples are kept beside the project (../shared), and are not there")
    lines = gzip.decompress(EXAMPLES.read_bytes()).decode().splitlines()
    read = [json.loads(line) for line in lines]
    return [one for one in read if (one["model"], one["operation"]) == (model, operation)]


def shape(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: shape(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    return "number" if isinstance(value, int | float) else type(value).__name__


def asked(standin: AmazonStandIn, path: str, **params: str) -> httpx.Response:
    http = httpx.Client(transport=standin.transport(), base_url="https://sp", trust_env=False)
    form = dict(
        zip(("client_id", "client_secret", "refresh_token"), standin.credentials, strict=True)
    )
    token = http.post(TOKEN, data=form | {"grant_type": "refresh_token"}).json()
    headers = {"x-amz-access-token": token["access_token"], "User-Agent": USER_AGENT}
    return http.get(path, params=params, headers=headers)


def lacks(example: Any, ours: Any, at: str = "") -> list[str]:
    """Parts of an example that an answer of ours has not, or has as something else."""
    if isinstance(example, dict) and isinstance(ours, dict):
        return [
            found
            for key, inner in example.items()
            for found in (
                lacks(inner, ours[key], f"{at}.{key}") if key in ours else [f"{at}.{key}"]
            )
        ]
    if isinstance(example, list) and isinstance(ours, list):
        return lacks(example[0], ours[0], f"{at}[]") if example and ours else []
    return [] if example == ours else [at]


def test_the_stand_in_lists_transactions_in_the_shape_of_the_example() -> None:
    (good,) = [
        o for o in examples("finances_2024-06-19", "listTransactions") if o["status"] == "200"
    ]
    standin, _, clock = seller(page=1)
    for order in ("111-1", "111-2"):
        standin.ship(order, "10.00")
    standin.settle()
    clock.tick(minutes=5)

    said = asked(standin, TRANSACTIONS, postedAfter="2026-03-01T00:00:00Z").json()

    assert lacks(shape(good["response"]), shape(said)) == []


def test_the_stand_in_refuses_in_the_words_of_the_example() -> None:
    (bad,) = [
        o for o in examples("finances_2024-06-19", "listTransactions") if o["status"] == "400"
    ]
    standin, _, _ = seller()

    said = asked(standin, TRANSACTIONS, postedBefore="2022-03-07T00:00:00Z")

    assert (said.status_code, said.json()) == (400, bad["response"])


def test_the_stand_in_lists_reports_in_the_shape_of_the_example() -> None:
    (good,) = [o for o in examples("reports_2021-06-30", "getReports") if o["status"] == "200"]
    standin, _, _ = seller(packed=False)
    for order in ("111-1", "111-2"):
        standin.ship(order, "10.00")
        standin.settle()

    kind = "GET_V2_SETTLEMENT_REPORT_DATA_FLAT_FILE_V2"
    said = asked(standin, REPORTS, reportTypes=kind, pageSize="1").json()
    (where,) = [
        o for o in examples("reports_2021-06-30", "getReportDocument") if o["status"] == "200"
    ]
    key = standin.reports[0].document
    address = asked(standin, f"/reports/2021-06-30/documents/{key}").json()

    times = ("dataStartTime", "dataEndTime", "processingStartTime", "processingEndTime")
    assert lacks(shape(good["response"]), shape(said)) == [f".reports[].{name}" for name in times]
    assert shape(where["response"]) == shape(address)


def test_the_examples_of_transactions_and_reports_are_read_by_the_client() -> None:
    (good,) = [
        o for o in examples("finances_2024-06-19", "listTransactions") if o["status"] == "200"
    ]
    last = good["response"]["payload"] | {"nextToken": None}
    amazon, _ = answering(
        httpx.Response(200, json=good["response"]), httpx.Response(200, json={"payload": last})
    )

    ((_, page),) = amazon.of_payout_day(date(2026, 3, 1))

    assert [one.reason for one in page if isinstance(one, Broken)] == [
        "the item has no transactionId",
        "the item has no transactionId",
    ]
    assert len(page) == 2


def test_every_refusal_of_the_examples_is_a_refusal_with_its_words() -> None:
    operations = [
        *(("finances_2024-06-19", "listTransactions"), ("reports_2021-06-30", "getReports")),
        ("reports_2021-06-30", "getReportDocument"),
    ]
    for model, operation in operations:
        for one in examples(model, operation):
            if one["status"] != "400":
                continue
            amazon, _ = answering(httpx.Response(400, json=one["response"]))
            error = one["response"]["errors"][0]
            with pytest.raises(Refused) as fault:
                amazon.ping()
            assert fault.value.code == error["code"]
            assert fault.value.message.startswith(error["message"])
