"""Adyen's notices in our words: each item an event of a payment, or nothing where no money is told.

Pure. A code that is in no table is rejected, so that a new one of Adyen's is seen. What settles is
told by reports; those of payments give the same events as the notices, under the same keys.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from sync_assets.domain.money import digits_of
from sync_assets.domain.orders import Problem, Rejected, Row
from sync_assets.domain.payments import CURRENCY, LONGEST_TEXT, EventKind, Found
from sync_assets.mappers.payload import storable
from sync_assets.mappers.refund_verdicts import ADYEN_DIGITS

Payload = Mapping[str, Any]

K = EventKind
#: What a code means when it reports success, and when it does not; None says nothing of money.
#: https://docs.adyen.com/api-explorer/Webhooks/1/overview
MEANING: dict[str, tuple[EventKind | None, EventKind | None]] = {
    "AUTHORISATION": (K.AUTHORISED, None),
    "CAPTURE": (K.CAPTURED, K.CAPTURE_FAILED),
    "CAPTURE_FAILED": (K.CAPTURE_FAILED, None),
    "CANCELLATION": (K.VOIDED, None),
    "TECHNICAL_CANCEL": (K.VOIDED, None),
    "EXPIRE": (K.VOIDED, None),  # what was not captured, and only that
    "REFUND": (K.REFUNDED, K.REFUND_FAILED),
    "REFUND_WITH_DATA": (K.REFUNDED, K.REFUND_FAILED),
    "REFUND_FAILED": (K.REFUND_FAILED, None),
    "REFUNDED_REVERSED": (K.REFUND_FAILED, None),
    # No money has moved: an enquiry, a dispute, or one that goes on before the scheme.
    "REQUEST_FOR_INFORMATION": (K.DISPUTE_OPENED, None),
    "NOTIFICATION_OF_CHARGEBACK": (K.DISPUTE_OPENED, None),
    "PREARBITRATION_OPEN": (K.DISPUTE_OPENED, None),
    "SCHEME_ARBITRATION": (K.DISPUTE_OPENED, None),
    "CHARGEBACK": (K.CHARGEBACK, None),
    "SECOND_CHARGEBACK": (K.CHARGEBACK, None),
    "CHARGEBACK_REVERSED": (K.CHARGEBACK_REVERSED, None),
    # How it ended; the money is told by the three above.
    "ISSUER_RESPONSE_TIMEFRAME_EXPIRED": (K.DISPUTE_WON, None),
    "PREARBITRATION_ISSUER_WITHDRAWN": (K.DISPUTE_WON, None),
    "PREARBITRATION_WON": (K.DISPUTE_WON, None),
    "SCHEME_ARBITRATION_WON": (K.DISPUTE_WON, None),
    "DISPUTE_DEFENSE_PERIOD_ENDED": (K.DISPUTE_LOST, None),
    "PREARBITRATION_LOST": (K.DISPUTE_LOST, None),
    "SCHEME_ARBITRATION_LOST": (K.DISPUTE_LOST, None),
    "REPORT_AVAILABLE": (K.REPORT_READY, None),
}
#: Codes that move nothing of ours, or of which another one tells the money.
SILENT = frozenset(
    {
        # an authorisation grew or shrank; what is captured of it is told
        "AUTHORISATION_ADJUSTMENT",
        # each payment of an order in parts, and each attempt to rescue one, has its AUTHORISATION
        *("ORDER_OPENED", "ORDER_CLOSED", "AUTORESCUE", "CANCEL_AUTORESCUE"),
        *("OFFER_CLOSED", "PENDING", "RECURRING_CONTRACT"),
        # words about a dispute
        *("NOTIFICATION_OF_FRAUD", "INFORMATION_SUPPLIED", "ISSUER_COMMENTS"),
        *("PREARBITRATION_ACCEPTED", "PREARBITRATION_DECLINED"),
        # a rejected payment is then cancelled or refunded, and that is told
        *("MANUAL_REVIEW_ACCEPT", "MANUAL_REVIEW_REJECT"),
        # a refund that waits for its capture, or was taken back before it went
        *("POSTPONED_REFUND", "VOID_PENDING_REFUND"),
        # payouts to others than us (deprecated); a settlement shows them as PaidOut
        *("PAYOUT_THIRDPARTY", "PAYOUT_DECLINE", "PAYOUT_EXPIRE", "PAIDOUT_REVERSED"),
        # new bank details of a shopper
        *("ACH_NOTIFICATION_OF_CHANGE", "DIRECT_DEBIT_NOTICE_OF_CHANGE_NOTIFICATION"),
    }
)
#: Reasons of these are about money; that of an authorisation has digits of the customer's card.
TELLING = frozenset(K) - {K.AUTHORISED, K.CAPTURED, K.VOIDED, K.REFUNDED}
PLATFORM_REPORT = "balancePlatform.report.created"


def notice(provider: str, payload: Payload) -> Found:
    """The events of one notice: of each item, of a bare item, or of a balance platform's report."""
    found = Found()
    if payload.get("type") == PLATFORM_REPORT:
        found.events.append(_platform_report(provider, payload))
    elif "notificationItems" in payload:
        items = payload["notificationItems"]
        if not isinstance(items, list):
            raise unread("notificationItems", "is not a list")
        for one in items:
            found.events += _events(provider, _object(one, "NotificationRequestItem"))
    elif "eventCode" in payload:
        found.events += _events(provider, payload)
    elif not isinstance(payload.get("type"), str):
        raise unread("notificationItems", "is missing")
    return found


def _events(provider: str, item: Payload) -> list[Row]:
    code = item.get("eventCode")
    kind = _kind(item, code, _succeeded(item))
    if kind is None:
        return []
    said: dict[str, Any] = {
        "psp_reference": needed(item, "pspReference"),
        "happened_at": _moment(item, "eventDate"),
        "reason": _reason(item) if kind in TELLING else "",
    }
    if kind is K.REPORT_READY:
        return [_report(provider, item, said)]
    original = _text(item.get("originalReference"))
    is_payment = code in ("AUTHORISATION", "EXPIRE") and original is None
    return [
        event(
            provider,
            kind,
            payment_id=said["psp_reference"] if is_payment else original,
            movement_id=None if is_payment else said["psp_reference"],
            order_reference=_text(item.get("merchantReference")),
            amount=_amount(item),
            is_second=code == "SECOND_CHARGEBACK",
            **said,
        )
    ]


def _kind(item: Payload, code: object, succeeded: bool) -> EventKind | None:
    if code == "CANCEL_OR_REFUND":
        more = item.get("additionalData")
        action = more.get("modification.action") if isinstance(more, Mapping) else None
        if action in ("cancel", "refund"):
            code = "CANCELLATION" if action == "cancel" else "REFUND"
        elif succeeded:  # money may have moved, or not
            raise unread("modification.action", "is neither cancel nor refund")
        else:
            return None
    word = code if isinstance(code, str) else ""
    if word in MEANING:
        return MEANING[word][0 if succeeded else 1]
    if word not in SILENT:
        raise unread("eventCode", f"is a word that we do not know: {storable(word)[:60]!r}")
    return None


def event(
    provider: str,
    kind: EventKind,
    *,
    psp_reference: str,
    payment_id: str | None,
    movement_id: str | None,
    order_reference: str | None,
    amount: tuple[Decimal, str] | None,
    happened_at: datetime,
    reason: str = "",
    is_second: bool = False,
) -> Row:
    """An event row; a notice and a report that tell the same thing give it the same key.

    A second chargeback takes the money again and has the dispute's reference, like the first:
    only its key tells them apart.
    """
    word = f"second_{kind}" if is_second else str(kind)
    return {
        "event_ref": f"{provider}:{psp_reference}:{word}",
        "provider": provider,
        "kind": str(kind),
        "payment_id": payment_id,
        "group_id": payment_id,
        "movement_id": movement_id,
        "order_reference": order_reference,
        "amount": amount[0] if amount else None,
        "currency": amount[1] if amount else None,
        "happened_at": happened_at,
        "reason": reason,
    }


def _report(provider: str, item: Payload, said: dict[str, Any]) -> Row:
    """Its reference is the file's name, its reason the address; its amount means nothing."""
    address = _text(item.get("reason")) or ""
    if len(address) > LONGEST_TEXT:
        raise unread("reason", f"is an address of more than {LONGEST_TEXT} characters")
    name = said["psp_reference"]
    # Accounts number their batches each for itself, so that a name is one of several.
    said["psp_reference"] = f"{_text(item.get('merchantAccountCode')) or ''}/{name}".lstrip("/")
    said["reason"] = address
    return event(
        provider,
        K.REPORT_READY,
        payment_id=None,
        movement_id=name,
        order_reference=None,
        amount=None,
        **said,
    )


def _platform_report(provider: str, payload: Payload) -> Row:
    """A report of a balance platform: https://docs.adyen.com/api-explorer/report-webhooks."""
    data = _object(payload, "data")
    item = {
        "merchantAccountCode": _text(data.get("balancePlatform")),
        "reason": needed(data, "downloadUrl"),
    }
    created = data if data.get("creationDate") else payload
    at = _moment(created, "creationDate" if created is data else "timestamp")
    said = {"psp_reference": needed(data, "fileName"), "happened_at": at, "reason": ""}
    return _report(provider, item, said)


# Parts


def unread(part: str, message: str) -> Rejected:
    """What is raised where a part cannot be read."""
    return Rejected([Problem("thing.malformed", part, message)])


def needed(value: Payload, key: str) -> str:
    """Text that must be there."""
    found = _text(value.get(key))
    if found is None:
        raise unread(key, "is missing")
    return found


def currency_of(value: object, part: str = "currency") -> str:
    """A currency code."""
    if not isinstance(value, str) or not re.fullmatch(CURRENCY, value):
        raise unread(part, "is not a currency code of three capitals")
    return value


def digits(currency: str) -> int:
    """How many digits Adyen counts a currency with."""
    return ADYEN_DIGITS.get(currency, digits_of(currency))


def cut(text: str) -> str:
    """As much of somebody's words as is kept."""
    return storable(text)[:LONGEST_TEXT]


def _object(value: object, key: str) -> Payload:
    found = value.get(key) if isinstance(value, Mapping) else None
    if not isinstance(found, Mapping):
        raise unread(key, "is not an object")
    return found


def _text(value: object) -> str | None:
    return storable(value) if isinstance(value, str) and value else None


def _succeeded(item: Payload) -> bool:
    word = str(item.get("success")).lower()
    if word not in ("true", "false"):
        raise unread("success", "is neither true nor false")
    return word == "true"


def _reason(item: Payload) -> str:
    said = _text(item.get("reason")) or ""
    return "" if said == "null" else cut(said)


def _amount(item: Payload) -> tuple[Decimal, str]:
    amount = _object(item, "amount")
    currency, value = currency_of(amount.get("currency")), amount.get("value")
    if type(value) is not int or not 0 <= value < 10**15:
        raise unread("amount", "is not a whole number of smallest units")
    return Decimal(value).scaleb(-digits(currency)), currency


def _moment(item: Payload, key: str) -> datetime:
    value = item.get(key)
    try:
        moment = datetime.fromisoformat(value if isinstance(value, str) else "")
        if moment.tzinfo is None:
            raise unread(key, "names no time zone")
        return moment.astimezone(UTC)
    except (ValueError, OverflowError) as fault:
        raise unread(key, "is not a date and time") from fault
