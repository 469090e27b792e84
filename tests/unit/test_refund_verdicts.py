"""Payment providers' notices of refunds in our words, held against their own examples."""

import gzip
import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from sync_assets.domain.orders import Rejected
from sync_assets.mappers import refund_verdicts

D = Decimal


@pytest.fixture(scope="module")
def samples(recordings: Path) -> Path:
    folder = recordings.parent / "data" / "payments"
    if not folder.exists():
        pytest.skip("the providers' examples are kept beside the project, and are not there")
    return folder


def adyen_examples(samples: Path) -> dict[str, dict[str, Any]]:
    with gzip.open(samples / "adyen" / "webhook-examples.jsonl.gz", "rt") as lines:
        return {one["name"]: one["body"] for one in map(json.loads, lines)}


@pytest.mark.parametrize(
    ("name", "state", "reason"),
    [
        ("post-REFUND-refund", "failed", "Transaction hasn't been captured, refund not possible"),
        ("post-REFUND_FAILED-refund_failed", "failed", "Refund Failed"),
        ("post-REFUNDED_REVERSED-refunded_reversed", "failed", "test_AUTHORISATION_1"),
    ],
)
def test_adyens_own_examples(samples: Path, name: str, state: str, reason: str) -> None:
    (found,) = refund_verdicts.adyen(adyen_examples(samples)[name])
    assert (found.provider, found.refund_id, found.payment_id) == (
        "adyen",
        "QFQTPCQ8HXSKGK82",
        "9913140798220028",
    )
    assert (found.state, found.amount, found.currency) == (state, D("10.00"), "EUR")
    assert found.reason == reason
    assert found.happened_at == datetime(2021, 1, 1, tzinfo=UTC)


def test_every_other_example_of_adyen_says_nothing_of_a_refund(samples: Path) -> None:
    told = {
        name: len(refund_verdicts.adyen(body))
        for name, body in adyen_examples(samples).items()
        if "notificationItems" in body
    }
    assert {name for name, count in told.items() if count} == {
        "post-REFUND-refund",
        "post-REFUND_FAILED-refund_failed",
        "post-REFUNDED_REVERSED-refunded_reversed",
    }


def test_notices_as_production_sent_them(samples: Path) -> None:
    folder = samples / "provider-reports" / "adyen" / "notifications"
    (refund,) = refund_verdicts.adyen(json.loads((folder / "ipn_Refund.json").read_text()))
    (reversed_,) = refund_verdicts.adyen(
        json.loads((folder / "ipn_RefundedReversed.json").read_text())
    )
    assert (refund.state, reversed_.state) == ("confirmed", "failed")


def item(**change: Any) -> dict[str, Any]:
    said = {
        "eventCode": "REFUND",
        "success": "true",
        "pspReference": "R1",
        "originalReference": "P1",
        "merchantReference": "1042",
        "amount": {"value": 1000, "currency": "EUR"},
        "eventDate": "2026-03-02T10:00:00+01:00",
        **change,
    }
    return {"notificationItems": [{"NotificationRequestItem": said}]}


def test_a_cancel_or_refund_is_a_refund_only_if_it_says_so() -> None:
    refund = item(eventCode="CANCEL_OR_REFUND", additionalData={"modification.action": "refund"})
    cancel = item(eventCode="CANCEL_OR_REFUND", additionalData={"modification.action": "cancel"})
    assert [one.state for one in refund_verdicts.adyen(refund)] == ["confirmed"]
    assert refund_verdicts.adyen(cancel) == []


@pytest.mark.parametrize(
    ("currency", "value", "amount"),
    [("JPY", 1000, "1000"), ("BHD", 1000, "1.000"), ("CLP", 1000, "10.00"), ("EUR", 5, "0.05")],
)
def test_adyen_counts_by_its_own_digits(currency: str, value: int, amount: str) -> None:
    (found,) = refund_verdicts.adyen(item(amount={"value": value, "currency": currency}))
    assert found.amount == D(amount)


@pytest.mark.parametrize(
    "change",
    [
        {"amount": {"value": 10.5, "currency": "EUR"}},
        {"amount": {"value": 10, "currency": "eur"}},
        {"eventDate": "2026-03-02T10:00:00"},
        {"pspReference": ""},
    ],
)
def test_a_notice_that_cannot_be_read_is_rejected(change: dict[str, Any]) -> None:
    with pytest.raises(Rejected):
        refund_verdicts.adyen(item(**change))


def stripe_refund(samples: Path, **change: Any) -> dict[str, Any]:
    kept = json.loads((samples / "stripe" / "fixtures3.json").read_text())
    return {**kept.get("resources", kept)["refund"], **change}


def event(kind: str, thing: dict[str, Any], created: int = 1772445600) -> dict[str, Any]:
    return {"type": kind, "created": created, "data": {"object": thing}}


@pytest.mark.parametrize(
    ("word", "state"),
    [
        ("pending", "pending"),
        ("requires_action", "pending"),
        ("succeeded", "confirmed"),
        ("failed", "failed"),
        ("canceled", "failed"),
    ],
)
def test_stripes_own_refund_in_every_state(samples: Path, word: str, state: str) -> None:
    thing = stripe_refund(samples, status=word)
    (found,) = refund_verdicts.stripe(event("refund.updated", thing))
    assert (found.state, found.amount, found.currency) == (state, D("1.00"), "USD")
    assert (found.refund_id, found.payment_id) == (thing["id"], thing["charge"])
    assert found.happened_at == datetime(2026, 3, 2, 10, tzinfo=UTC)


def test_a_refund_names_its_intent_and_our_own_key(samples: Path) -> None:
    both = stripe_refund(samples, payment_intent="pi_1")
    (found,) = refund_verdicts.stripe(event("refund.created", both))
    assert found.reference == "pi_1"
    ours = stripe_refund(samples, payment_intent="pi_1", metadata={"refund_ref": "us:1:m1"})
    (found,) = refund_verdicts.stripe(event("refund.created", ours))
    assert found.reference == "us:1:m1"


def test_a_refunded_charge_tells_of_the_refunds_it_lists(samples: Path) -> None:
    charge = {
        "id": "ch_1",
        "payment_intent": "pi_1",
        "refunds": {"data": [stripe_refund(samples, charge=None, id="re_9")]},
    }
    (found,) = refund_verdicts.stripe(event("charge.refunded", charge))
    assert (found.refund_id, found.payment_id, found.reference) == ("re_9", "ch_1", "pi_1")
    assert refund_verdicts.stripe(event("charge.refunded", {"id": "ch_1"})) == []


def test_other_events_say_nothing_and_an_unknown_word_is_loud(samples: Path) -> None:
    assert refund_verdicts.stripe(event("charge.dispute.created", {"id": "dp_1"})) == []
    with pytest.raises(Rejected):
        refund_verdicts.stripe(event("refund.updated", stripe_refund(samples, status="lost")))
