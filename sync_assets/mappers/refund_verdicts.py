"""What payment providers say of refunds, in our words: one function for each provider's notices.

A notice that says nothing of a refund gives no verdict; one that does and cannot be read is
`Rejected`. Providers count in the smallest unit of a currency, each by its own list of digits.
"""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from sync_assets.domain.money import digits_of
from sync_assets.domain.orders import Problem, Rejected
from sync_assets.domain.returns import SeenVerdict
from sync_assets.mappers.payload import storable

Payload = Mapping[str, Any]
#: Where a provider counts otherwise than ISO 4217.
STRIPE_DIGITS = {"ISK": 2, "UGX": 2, "MGA": 0}
ADYEN_DIGITS = {"CLP": 2, "CVE": 0, "IDR": 0, "ISK": 2}

STRIPE_STATE = {
    "pending": "pending",
    "requires_action": "pending",
    "succeeded": "confirmed",
    "failed": "failed",
    "canceled": "failed",
}
STRIPE_REFUND_EVENTS = frozenset(
    {"refund.created", "refund.updated", "refund.failed", "charge.refund.updated"}
)
#: What Adyen's notice means when it reports success; without success REFUND has failed.
ADYEN_STATE = {"REFUND": "confirmed", "REFUND_FAILED": "failed", "REFUNDED_REVERSED": "failed"}
_CURRENCY = re.compile(r"[A-Z]{3}")
_OURS = "refund_ref"


def stripe(event: Payload) -> list[SeenVerdict]:
    """The verdicts of an event: one of a refund, or those of a charge that lists its refunds."""
    kind = event.get("type")
    thing = _object(_object(event, "data"), "object")
    if kind in STRIPE_REFUND_EVENTS:
        return [_stripe_refund(event, thing)]
    if kind == "charge.refunded":
        listed = _object(thing, "refunds").get("data") if thing.get("refunds") else None
        refunds = listed if isinstance(listed, list) else []
        return [_stripe_refund(event, _whole(one), charge=thing) for one in refunds]
    return []


def _stripe_refund(event: Payload, refund: Payload, charge: Payload | None = None) -> SeenVerdict:
    word = refund.get("status")
    if word not in STRIPE_STATE:
        raise _unread("status", "is a word we do not know")
    currency = _currency(str(refund.get("currency", "")).upper())
    paid = _text(refund.get("charge")) or _text((charge or {}).get("id"))
    intent = _text(refund.get("payment_intent")) or _text((charge or {}).get("payment_intent"))
    said = refund.get("metadata")
    ours = _text(said.get(_OURS)) if isinstance(said, Mapping) else None
    return SeenVerdict(
        provider="stripe",
        refund_id=_needed(refund, "id"),
        payment_id=paid or intent,
        # Shops keep the charge or the payment intent; where nothing is ours both are looked for.
        reference=ours or (intent if paid else None),
        state=STRIPE_STATE[word],
        amount=_minor(refund.get("amount"), currency, STRIPE_DIGITS),
        currency=currency,
        happened_at=_epoch(event.get("created")),
        reason=storable(_text(refund.get("failure_reason")) or ""),
    )


def adyen(notice: Payload) -> list[SeenVerdict]:
    """The verdicts of a standard notice, one for each of its items that is about a refund."""
    items = notice.get("notificationItems")
    if not isinstance(items, list):
        raise _unread("notificationItems", "is not a list")
    said = [_object(_whole(one), "NotificationRequestItem") for one in items]
    return [verdict for one in said if (verdict := _adyen_item(one)) is not None]


def _adyen_item(item: Payload) -> SeenVerdict | None:
    kind = item.get("eventCode")
    if kind == "CANCEL_OR_REFUND":
        more = item.get("additionalData")
        action = more.get("modification.action") if isinstance(more, Mapping) else None
        kind = "REFUND" if action == "refund" else None
    if kind not in ADYEN_STATE:
        return None
    succeeded = str(item.get("success")).lower() == "true"
    if kind != "REFUND" and not succeeded:
        return None  # it did not fail after all
    amount = _object(item, "amount")
    currency = _currency(amount.get("currency"))
    return SeenVerdict(
        provider="adyen",
        refund_id=_needed(item, "pspReference"),
        payment_id=_text(item.get("originalReference")),
        reference=_text(item.get("merchantReference")),
        state=ADYEN_STATE[kind] if succeeded else "failed",
        amount=_minor(amount.get("value"), currency, ADYEN_DIGITS),
        currency=currency,
        happened_at=_moment(item.get("eventDate")),
        reason="" if succeeded and kind == "REFUND" else storable(_text(item.get("reason")) or ""),
    )


#: By the scheme of the endpoint that a notice came in by.
PROVIDERS: Mapping[str, Callable[[Payload], list[SeenVerdict]]] = {
    "stripe": stripe,
    "adyen": adyen,
}


#: First words of the topics that may be about refunds, by the scheme of the endpoint.
TOPICS: Mapping[str, tuple[str, ...]] = {
    "stripe": ("refund", "charge"),
    "adyen": ("REFUND", "REFUND_FAILED", "REFUNDED_REVERSED", "CANCEL_OR_REFUND"),
}


def _unread(part: str, message: str) -> Rejected:
    return Rejected([Problem("thing.malformed", part, message)])


def _whole(value: object) -> Payload:
    if not isinstance(value, Mapping):
        raise _unread("item", "is not an object")
    return value


def _object(value: Payload, key: str) -> Payload:
    found = value.get(key)
    if not isinstance(found, Mapping):
        raise _unread(key, "is not an object")
    return found


def _text(value: object) -> str | None:
    """An id or a word; an object stands for its id, as Stripe sends it when it is asked to."""
    if isinstance(value, Mapping):
        value = value.get("id")
    return storable(value) if isinstance(value, str) and value else None


def _needed(value: Payload, key: str) -> str:
    found = _text(value.get(key))
    if found is None:
        raise _unread(key, "is missing")
    return found


def _currency(value: object) -> str:
    if not isinstance(value, str) or not _CURRENCY.fullmatch(value):
        raise _unread("currency", "is not a currency code of three capitals")
    return value


def _minor(value: object, currency: str, digits: Mapping[str, int]) -> Decimal:
    if type(value) is not int or not 0 <= value < 10**15:
        raise _unread("amount", "is not a whole number of smallest units")
    return Decimal(value).scaleb(-digits.get(currency, digits_of(currency)))


def _epoch(value: object) -> datetime:
    if type(value) is not int or not 0 <= value < 10**11:
        raise _unread("created", "is not a time in seconds")
    return datetime.fromtimestamp(value, UTC)


def _moment(value: object) -> datetime:
    try:
        moment = datetime.fromisoformat(value if isinstance(value, str) else "")
    except ValueError as fault:
        raise _unread("eventDate", "is not a date and time") from fault
    if moment.tzinfo is None:
        raise _unread("eventDate", "names no time zone")
    return moment.astimezone(UTC)
