"""Adyen's reports over the wire: the client before a stand-in, and where the password may go."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pydantic
import pytest

from resources.errors import ContractBroken, Missing, Refused, SignInAgain, Throttled, TryAgain
from resources.http import Manners, client
from resources.sandbox.adyen import HOST, AdyenStandIn, Entry
from resources.sandbox.faults import Fault, Trouble
from resources.settings import Endpoint
from resources.systems import adyen_reports
from resources.systems.adyen import Adyen, Bounded, TooLarge
from sensors.webhooks.signatures import Genuine, sender_of
from sensors.webhooks.signatures import Refused as Forged
from sync_assets.domain.payments import Found
from sync_assets.mappers.adyen_settlements import notice, report_line

D = Decimal
NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
AMSTERDAM = ZoneInfo("Europe/Amsterdam")


def over(
    transport: httpx.BaseTransport,
    *,
    password: str = "secret",
    attempts: int = 1,
    hosts: tuple[str, ...] = (HOST,),
    largest: int = 10_000,
) -> Adyen:
    http = client(
        "adyen",
        f"https://{HOST}",
        Manners(attempts=attempts),
        auth=("report@Company.TestShop", password),
        transport=Bounded(transport, "adyen", largest),
        sleep=lambda seconds: None,
    )
    return Adyen(http, "adyen", hosts, largest)


def account() -> AdyenStandIn:
    return AdyenStandIn(now=lambda: NOON)


def test_a_report_is_fetched_from_where_a_notice_says_it_is() -> None:
    standin = account()
    url = standin.publish("settlement_detail_report_batch_4.csv", "Company Account\n")

    found = over(standin.transport()).report(url)

    assert found == ("settlement_detail_report_batch_4.csv", b"Company Account\n")


@pytest.mark.parametrize(
    "url",
    [
        f"http://{HOST}/report.csv",
        f"ftp://{HOST}/report.csv",
        f"https://{HOST}:8443/report.csv",
        f"https://user:word@{HOST}/report.csv",
        f"https://{HOST}.example.com/report.csv",
        f"https://{HOST}@example.com/report.csv",
        "https://example.com/report.csv",
        "//example.com/report.csv",
        "URL_TO_DOWNLOAD_REPORT",
        "https://[::1",
        "",
        f"https://{HOST}/",
        f"https://{HOST}/a/..%2f..%2fetc%2f.hidden",
        f"https://{HOST}/a/rep%00ort.csv",
        f"https://{HOST}/{'a' * 201}",
    ],
)
def test_an_address_that_is_not_adyens_is_never_asked(url: str) -> None:
    standin = account()

    with pytest.raises(Refused):
        over(standin.transport()).report(url)

    assert standin.calls == {}


def test_a_host_counts_in_any_writing() -> None:
    standin = account()
    url = standin.publish("a.csv", "x").replace(HOST, HOST.upper())

    assert over(standin.transport(), hosts=(HOST.title(),)).report(url) == ("a.csv", b"x")


def test_another_host_gets_neither_a_call_nor_the_password() -> None:
    standin = account()
    url = standin.publish("a.csv", "x")
    standin.moved[httpx.URL(url).path] = "https://example.com/a.csv"

    with pytest.raises(Refused, match=r"example\.com/a\.csv is on no host of `report_hosts`"):
        over(standin.transport()).report(url)

    assert standin.calls == {"GET report": 1}


def test_a_report_that_moved_within_adyen_is_followed_and_keeps_its_name() -> None:
    standin = account()
    there = standin.publish("b.csv", "x")
    here = standin.publish("a.csv", "")
    standin.moved[httpx.URL(here).path] = httpx.URL(there).path

    assert over(standin.transport()).report(here) == ("a.csv", b"x")


def test_a_report_that_is_sent_round_in_circles_is_given_up() -> None:
    standin = account()
    url = standin.publish("a.csv", "x")
    standin.moved[httpx.URL(url).path] = url

    with pytest.raises(ContractBroken, match="was sent on more than 3 times"):
        over(standin.transport()).report(url)

    assert standin.calls == {"GET report": 4}


def test_a_wrong_password_says_whom_to_check() -> None:
    standin = account()
    url = standin.publish("a.csv", "x")

    with pytest.raises(SignInAgain, match="check the report user and its role"):
        over(standin.transport(), password="old").report(url)


def test_a_report_that_is_not_there_is_missing() -> None:
    with pytest.raises(Missing):
        over(account().transport()).report(f"https://{HOST}/reports/none.csv")


def test_a_page_to_sign_in_at_is_no_report() -> None:
    page = httpx.MockTransport(lambda request: httpx.Response(200, html="<html>Sign in</html>"))

    with pytest.raises(ContractBroken, match="answered a web page, not a report"):
        over(page).report(f"https://{HOST}/report.csv")


def test_passing_faults_are_tried_again() -> None:
    standin = account()
    url = standin.publish("a.csv", "x")
    standin.faults.plan(Fault(Trouble.CUT_BEFORE), Fault(Trouble.ERROR), Fault(Trouble.CUT_AFTER))

    assert over(standin.transport(), attempts=4).report(url) == ("a.csv", b"x")

    standin.faults.plan(Fault(Trouble.THROTTLE, seconds=60))
    with pytest.raises(Throttled):
        over(standin.transport()).report(url)
    standin.faults.plan(Fault(Trouble.ERROR))
    with pytest.raises(TryAgain):
        over(standin.transport()).report(url)


class Endless(httpx.SyncByteStream):
    """An answer that never ends, and how much of it was taken."""

    def __init__(self) -> None:
        self.taken, self.is_closed = 0, False

    def __iter__(self) -> Iterator[bytes]:
        while True:
            self.taken += 1000
            yield b"x" * 1000

    def close(self) -> None:
        self.is_closed = True


def test_a_report_without_end_is_not_read_to_its_end() -> None:
    endless = Endless()
    transport = httpx.MockTransport(lambda request: httpx.Response(200, stream=endless))

    with pytest.raises(TooLarge, match="more than 10000 bytes; fetch it yourself into the inbox"):
        over(transport, attempts=3).report(f"https://{HOST}/report.csv")

    assert (endless.taken, endless.is_closed) == (11_000, True)


def test_a_report_of_the_largest_size_is_taken_and_one_byte_more_is_not() -> None:
    standin = account()
    fits, large = standin.publish("a.csv", b"x" * 10_000), standin.publish("b.csv", b"x" * 10_001)
    reports = over(standin.transport())

    assert len(reports.report(fits)[1]) == 10_000
    with pytest.raises(TooLarge):
        reports.report(large)


# From the batch to our lines


def settled(standin: AdyenStandIn) -> tuple[str, str]:
    at = datetime(2026, 3, 1, 18, 30, tzinfo=AMSTERDAM)
    entries = [
        Entry(
            *("Settled", D("20.00"), at, "P1", "M1", "1042", "visa"),
            commission=D("0.10"),
            interchange=D("0.30"),
        ),
        Entry("Settled", D("9.20"), at, "P2", "M2", paid=(D("10.00"), "USD", "0.92")),
        Entry("Refunded", D("-5.00"), at, "P1", "M3", "1042", "visa", commission=D("0.10")),
        Entry("Chargeback", D("-7.00"), at, "P3", "M4", commission=D("7.50")),
        Entry("Settled", D("8.00"), at, "P4", "M5", currency="GBP"),
        Entry("Fee", D("-1.80"), at, modification="Transaction Fees March 2026"),
    ]
    return standin.settle(4, entries, datetime(2026, 3, 3, 5, 0, tzinfo=AMSTERDAM))


def test_a_notice_leads_to_a_batch_whose_lines_come_to_nothing() -> None:
    standin = account()
    _, body = standin.report_available(*settled(standin))
    (ready,) = notice("adyen", json.loads(body)).events

    name, content = over(standin.transport()).report(ready["reason"])
    report, found = adyen_reports.read(name, content), Found()
    for one in report.lines:
        payload: dict[str, Any] = {"file": name, "line": one.number, "kind": report.kind}
        found.add(report_line("adyen", {**payload, "facts": one.facts, "row": one.row}))

    sums = {
        ref: sum(one["net_amount"] for one in found.lines if one["payout_ref"] == ref)
        for ref in sorted({one["payout_ref"] for one in found.lines})
    }
    assert (ready["movement_id"], report.broken) == ("settlement_detail_report_batch_4.csv", [])
    assert sums == {"adyen:TestShop:4:EUR": D(0), "adyen:TestShop:4:GBP": D(0)}
    assert [
        (one["payout_ref"], one["paid_amount"], str(one["paid_on"])) for one in found.payouts
    ] == [
        ("adyen:TestShop:4:EUR", D("7.40"), "2026-03-03"),
        ("adyen:TestShop:4:GBP", D("8.00"), "2026-03-03"),
    ]
    assert [(one["kind"], one["gross_amount"], one["fee_amount"]) for one in found.lines] == [
        ("sale", D("20.00"), D("0.40")),
        ("sale", D("9.20"), D("0.00")),
        ("refund", D("-5.00"), D("0.10")),
        ("chargeback", D("-7.00"), D("7.50")),
        ("sale", D("8.00"), D("0.00")),
        ("fee", D("-1.80"), D("0")),
        ("payout", D("-7.40"), D("0")),
        ("payout", D("-8.00"), D("0")),
    ]


def test_notices_are_signed_as_our_receiver_expects() -> None:
    standin = account()
    headers, body = standin.notice(
        "CHARGEBACK", value=535, pspReference="D1", originalReference="P1", merchantReference="1042"
    )
    secret = pydantic.SecretStr(standin.hmac_key)
    sender = sender_of("adyen", Endpoint(scheme="adyen", secrets=(secret,)))
    raw = {name.lower().encode(): value.encode() for name, value in headers.items()}

    assert isinstance(sender.judge(raw, body, NOON), Genuine)
    assert isinstance(sender.judge(raw, body.replace(b"535", b"534"), NOON), Forged)
    (event,) = notice("adyen", json.loads(body)).events
    assert (event["event_ref"], event["amount"], event["payment_id"]) == (
        *("adyen:D1:chargeback", D("5.35")),
        "P1",
    )
