"""Adyen's notices as events: every body it publishes, and those that production sent."""

import gzip
import json
from collections import Counter
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sync_assets.domain.orders import Rejected
from sync_assets.domain.payments import Found, PaymentEvents
from sync_assets.mappers import adyen_settlements
from sync_assets.mappers.adyen_notices import MEANING, SILENT, notice

D = Decimal
SHARED = Path(__file__).resolve().parents[2].parent / "shared"
DATA = SHARED / "data" / "payments"


def item(code: str, **change: Any) -> dict[str, Any]:
    said = {
        "eventCode": code,
        "success": "true",
        "pspReference": "M1",
        "originalReference": "P1",
        "merchantReference": "1042",
        "merchantAccountCode": "TestShop",
        "amount": {"value": 1000, "currency": "EUR"},
        "eventDate": "2026-03-02T10:00:00+01:00",
        "reason": "",
        **change,
    }
    return {"notificationItems": [{"NotificationRequestItem": said}]}


def kinds(body: dict[str, Any]) -> list[str]:
    found = notice("adyen", body)
    assert found == Found(events=found.events)
    return [one["kind"] for one in found.events]


def told(bodies: list[dict[str, Any]]) -> Counter[str]:
    return Counter(kind for body in bodies for kind in kinds(body) or ["nothing"])


def test_each_of_the_42_published_examples_has_its_meaning() -> None:
    file = DATA / "adyen" / "webhook-examples.jsonl.gz"
    if not file.exists():
        pytest.skip("Adyen's examples are kept beside the project (../shared), and are not there")
    lines = gzip.decompress(file.read_bytes()).decode().splitlines()

    assert told([json.loads(line)["body"] for line in lines]) == {
        "authorised": 1,
        "captured": 1,
        "capture_failed": 1,
        "voided": 4,  # CANCELLATION, CANCEL_OR_REFUND that cancels, EXPIRE, TECHNICAL_CANCEL
        "refunded": 1,  # REFUND_WITH_DATA
        "refund_failed": 3,  # REFUND without success, REFUND_FAILED, REFUNDED_REVERSED
        "dispute_opened": 2,  # NOTIFICATION_OF_CHARGEBACK, REQUEST_FOR_INFORMATION
        "chargeback": 2,  # the second one, too
        "chargeback_reversed": 1,
        "dispute_won": 2,  # PREARBITRATION_WON, ISSUER_RESPONSE_TIMEFRAME_EXPIRED
        "dispute_lost": 2,  # PREARBITRATION_LOST, DISPUTE_DEFENSE_PERIOD_ENDED
        "report_ready": 1,
        "nothing": 21,
    }


def test_each_of_the_26_bodies_of_production_has_its_meaning() -> None:
    folder = DATA / "provider-reports" / "adyen" / "notifications"
    if not folder.exists():
        pytest.skip("Adyen's notices are kept beside the project (../shared), and are not there")

    assert told([json.loads(file.read_text()) for file in sorted(folder.glob("*.json"))]) == {
        "authorised": 2,
        "captured": 2,
        "capture_failed": 1,
        "voided": 1,
        "refunded": 1,
        "refund_failed": 1,
        "dispute_opened": 2,
        "chargeback": 4,
        "chargeback_reversed": 1,
        "dispute_won": 1,
        "dispute_lost": 1,
        "report_ready": 1,
        "nothing": 8,  # rescues (3), orders in parts (2), an offer, a fraud alert, a contract
    }


def test_a_capture_is_an_event_of_its_payment() -> None:
    found = notice("adyen_eu", item("CAPTURE", reason="Approved"))

    assert found.events == [
        {
            "event_ref": "adyen_eu:M1:captured",
            "provider": "adyen_eu",
            "kind": "captured",
            "payment_id": "P1",
            "group_id": "P1",
            "movement_id": "M1",
            "order_reference": "1042",
            "amount": D("10.00"),
            "currency": "EUR",
            "happened_at": datetime(2026, 3, 2, 9, tzinfo=UTC),
            "reason": "",
        }
    ]
    PaymentEvents.validate(PaymentEvents.frame(found.events))


def test_an_authorisation_is_the_payment_itself_and_keeps_no_digits_of_a_card() -> None:
    body = item("AUTHORISATION", originalReference=None, reason="038141:1111:03/2030")

    (found,) = notice("adyen", body).events

    assert (found["event_ref"], found["payment_id"], found["movement_id"]) == (
        *("adyen:M1:authorised", "M1"),
        None,
    )
    assert found["reason"] == ""


def test_what_expires_names_its_payment() -> None:
    body = item("EXPIRE")
    del body["notificationItems"][0]["NotificationRequestItem"]["originalReference"]

    (found,) = notice("adyen", body).events

    assert (found["kind"], found["payment_id"], found["movement_id"]) == ("voided", "M1", None)


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("AUTHORISATION", None),
        ("CANCELLATION", None),
        ("CAPTURE", "capture_failed"),
        ("CAPTURE_FAILED", None),
        ("REFUND", "refund_failed"),
        ("REFUND_FAILED", None),
        ("REFUNDED_REVERSED", None),
        ("CHARGEBACK", None),
        ("REPORT_AVAILABLE", None),
    ],
)
def test_what_did_not_succeed(code: str, kind: str | None) -> None:
    for no in ("false", False):
        assert kinds(item(code, success=no)) == ([kind] if kind else [])


def test_a_failure_says_why() -> None:
    (found,) = notice("adyen", item("REFUND", success="false", reason="Not captured")).events
    (nulled,) = notice("adyen", item("REFUND", success="false", reason="null")).events

    assert (found["reason"], nulled["reason"]) == ("Not captured", "")


def test_a_cancel_or_refund_is_what_it_did() -> None:
    def body(action: str | None, success: str = "true") -> dict[str, Any]:
        more = {"modification.action": action} if action else {}
        return item("CANCEL_OR_REFUND", additionalData=more, success=success)

    assert kinds(body("cancel")) == ["voided"]
    assert kinds(body("refund")) == ["refunded"]
    assert kinds(body("refund", "false")) == ["refund_failed"]
    assert kinds(body(None, "false")) == []
    with pytest.raises(Rejected, match=r"modification\.action: is neither cancel nor refund"):
        kinds(body(None))


def test_a_second_chargeback_is_told_from_the_first_though_its_dispute_is_the_same() -> None:
    refs = [
        notice("adyen", item(code)).events[0]["event_ref"]
        for code in ("CHARGEBACK", "SECOND_CHARGEBACK", "CHARGEBACK_REVERSED")
    ]

    assert refs == [
        "adyen:M1:chargeback",
        "adyen:M1:second_chargeback",
        "adyen:M1:chargeback_reversed",
    ]


def test_a_report_is_named_with_its_address_and_no_amount() -> None:
    name = "settlement_detail_report_batch_4.csv"
    url = f"https://ca-live.adyen.com/reports/download/MerchantAccount/TestShop/{name}"

    (found,) = notice("adyen", item("REPORT_AVAILABLE", pspReference=name, reason=url)).events

    assert (found["kind"], found["movement_id"], found["reason"]) == ("report_ready", name, url)
    assert (found["amount"], found["currency"], found["payment_id"]) == (None, None, None)
    assert found["event_ref"] == f"adyen:TestShop/{name}:report_ready"
    with pytest.raises(Rejected, match="more than 500 characters"):
        notice("adyen", item("REPORT_AVAILABLE", reason=url + "x" * 500))


def test_a_report_of_a_balance_platform_is_named_too() -> None:
    body = {
        "type": "balancePlatform.report.created",
        "timestamp": "2026-07-02T02:01:05+02:00",
        "data": {
            "balancePlatform": "Platform",
            "downloadUrl": "https://balanceplatform-live.adyen.com/report.csv",
            "fileName": "report.csv",
        },
    }

    (found,) = notice("adyen", body).events

    assert found["event_ref"] == "adyen:Platform/report.csv:report_ready"
    assert found["reason"] == "https://balanceplatform-live.adyen.com/report.csv"
    assert found["happened_at"] == datetime(2026, 7, 2, 0, 1, 5, tzinfo=UTC)


def test_a_body_of_several_items_tells_all_of_them() -> None:
    body = item("CAPTURE")
    body["notificationItems"] += item("ORDER_CLOSED")["notificationItems"]
    body["notificationItems"] += item("REFUND", pspReference="M2")["notificationItems"]

    assert kinds(body) == ["captured", "refunded"]


@pytest.mark.parametrize(
    ("currency", "value", "amount"),
    [("JPY", 1000, "1000"), ("BHD", 1000, "1.000"), ("CLP", 1000, "10.00"), ("ISK", 5, "0.05")],
)
def test_amounts_are_counted_by_adyens_own_digits(currency: str, value: int, amount: str) -> None:
    (found,) = notice(
        "adyen", item("CAPTURE", amount={"currency": currency, "value": value})
    ).events

    assert (found["amount"], found["currency"]) == (D(amount), currency)


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"eventCode": "SOMETHING_NEW"}, "eventCode: is a word that we do not know"),
        ({"amount": {"value": D("10.5"), "currency": "EUR"}}, "amount"),
        ({"amount": {"value": -1, "currency": "EUR"}}, "amount"),
        ({"amount": {"value": 10, "currency": "eur"}}, "currency"),
        ({"amount": None}, "amount"),
        ({"eventDate": "2026-03-02T10:00:00"}, "names no time zone"),
        ({"eventDate": "0001-01-01T00:00:00+14:00"}, "eventDate"),
        ({"pspReference": ""}, "pspReference: is missing"),
        ({"success": "perhaps"}, "success"),
    ],
)
def test_a_notice_that_cannot_be_read_is_rejected(change: dict[str, Any], part: str) -> None:
    with pytest.raises(Rejected, match=part):
        notice("adyen", item(**{"code": "CAPTURE", **change}))


@pytest.mark.parametrize(
    "body", [{}, {"notificationItems": {}}, {"notificationItems": [1]}, {"type": 1}]
)
def test_a_body_that_is_no_notice_is_rejected(body: dict[str, Any]) -> None:
    with pytest.raises(Rejected):
        notice("adyen", body)


def test_no_code_has_two_meanings_and_the_settlements_mapper_offers_the_same_door() -> None:
    assert not SILENT & MEANING.keys()
    assert adyen_settlements.notice is notice


ODD = [
    *(None, True, 0, -1, 10**20, D("1.5"), "", "x", "a\x00b", "\ud800", [], {}, {"id": 1}),
    {"value": 10**20, "currency": "EUR"},
    {"modification.action": "refund"},
]


@settings(deadline=None)  # a check of a frame takes its time
@given(
    st.sampled_from([*MEANING, *SILENT, "CANCEL_OR_REFUND", "?"]),
    st.dictionaries(
        st.sampled_from([*item("")["notificationItems"][0]["NotificationRequestItem"]]),
        st.sampled_from(ODD),
        max_size=3,
    ),
)
def test_whatever_an_item_says_it_is_read_or_rejected(code: str, change: dict[str, Any]) -> None:
    try:
        found = notice("adyen", item(**{"code": code, **change}))
    except Rejected:
        return
    PaymentEvents.validate(PaymentEvents.frame(found.events))
