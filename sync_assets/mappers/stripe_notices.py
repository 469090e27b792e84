"""What Stripe says of a payment's life, as events: from its API's objects and its webhooks alike.

Pure. An event's key is made of the object and of what happened to it, never of Stripe's id of the
notice, so that the same fact has one key whichever way it came. Also here is how Stripe writes
amounts, moments and ids; settlement lines are in `stripe_settlements`.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from sync_assets.domain.orders import Problem, Rejected, Row
from sync_assets.domain.payments import LONGEST_TEXT, EventKind, Found
from sync_assets.mappers.payload import storable

Payload = Mapping[str, Any]
#: When a kind of thing happened, where the one who tells knows better than the object.
Moments = Mapping[EventKind, datetime]

#: Meta data of a payment that names the order: Stripe's plugins for shops, and orchestrators.
ORDER_KEYS = ("order_id", "external_identifier")
#: https://docs.stripe.com/currencies: ISK and UGX are told in hundredths though they have none.
_CODES = {
    0: "BIF CLP DJF GNF JPY KMF KRW MGA PYG RWF VND VUV XAF XOF XPF",
    3: "BHD JOD KWD OMR TND",
}
_DIGITS = {code: count for count, codes in _CODES.items() for code in codes.split()}
LONGEST_ID = 255
#: In units no currency's sum leaves decimal(20, 6).
_MOST = 10**14
_CURRENCY = re.compile(r"[A-Za-z]{3}")
_MAIL = re.compile(r"[^\s@<>(),;:]+@[^\s@<>(),;:]+")


def digits(currency: str) -> int:
    """How many digits behind the point the smallest unit stands for, by Stripe's own list."""
    return _DIGITS.get(currency, 2)


def unread(part: str, message: str) -> Rejected:
    """What is raised for a value that cannot be read."""
    return Rejected([Problem("thing.malformed", part, message)])


def currency_of(value: object, part: str = "currency") -> str:
    """A currency code in capitals; Stripe writes small letters, and its reports either."""
    if not isinstance(value, str) or not _CURRENCY.fullmatch(value):
        raise unread(part, "is not a currency code of three letters")
    return value.upper()


def minor(body: Payload, key: str, currency: str) -> Decimal:
    """A signed amount told as a whole number of smallest units."""
    value = body.get(key)
    if type(value) is not int or not -_MOST < value < _MOST:
        raise unread(key, "is not a whole number of smallest units")
    return Decimal(value).scaleb(-digits(currency))


def moment(body: Payload, key: str) -> datetime:
    """A moment told in seconds since 1970."""
    value = body.get(key)
    if type(value) is not int or not 0 <= value < 10**11:
        raise unread(key, "is not a time in seconds")
    return datetime.fromtimestamp(value, UTC)


def id_of(value: object) -> str | None:
    """An id; an object stands for its own, as Stripe sends it where it is asked to expand."""
    if isinstance(value, Mapping):
        value = value.get("id")
    return storable(value)[:LONGEST_ID] if isinstance(value, str) and value else None


def word_of(value: object) -> str:
    """A word of theirs; empty where it is none."""
    return value if isinstance(value, str) else ""


def own_id(body: Payload) -> str:
    """The id of an object, which must be there."""
    found = id_of(body)
    if found is None:
        raise unread("id", "is missing")
    return found


def words(*said: object) -> str:
    """Their words, cut to what is kept; an e-mail address in them is left out."""
    text = ": ".join(one for one in said if isinstance(one, str) and one)
    return _MAIL.sub("…", storable(text))[:LONGEST_TEXT]


def whole(value: object, part: str) -> Payload:
    """An object, which must be one."""
    if not isinstance(value, Mapping):
        raise unread(part, "is not an object")
    return value


@dataclass(frozen=True)
class Teller:
    """Whose account speaks, and which meta data of its payments names the order."""

    provider: str
    order_keys: Sequence[str] = ORDER_KEYS

    def ref(self, *parts: str) -> str:
        """Our key of something of the account's."""
        return ":".join((self.provider, *parts))

    def order_of(self, metadata: object) -> str | None:
        """The order that meta data names, by the first key that has a value."""
        said = metadata if isinstance(metadata, Mapping) else {}
        found = (said.get(key) for key in self.order_keys)
        return next((words(one) for one in found if isinstance(one, str) and one), None)


@dataclass(frozen=True)
class _Subject:
    """What events are about: an object, the payment it belongs to, and the currency it is in."""

    teller: Teller
    key: str
    currency: str
    payment: str | None
    group: str | None
    movement: str | None
    order: str | None

    def event(
        self,
        kind: EventKind,
        at: datetime,
        amount: Decimal | None,
        reason: str = "",
        number: int = 1,
    ) -> Row:
        """A row of payment events; `number` tells several of a kind apart."""
        parts = (self.key, str(kind)) if number == 1 else (self.key, str(kind), str(number))
        return {
            "event_ref": self.teller.ref(*parts),
            "provider": self.teller.provider,
            "kind": str(kind),
            "payment_id": self.payment,
            "group_id": self.group,
            "movement_id": self.movement,
            "order_reference": self.order,
            "amount": None if amount is None else abs(amount),
            "currency": self.currency,
            "happened_at": at,
            "reason": reason,
        }


def _movement(teller: Teller, thing: Payload) -> _Subject:
    """A refund or dispute: it names its charge and payment intent."""
    key = own_id(thing)
    return _Subject(
        teller,
        key,
        currency_of(thing.get("currency")),
        payment=id_of(thing.get("charge")),
        group=id_of(thing.get("payment_intent")),
        movement=key,
        order=teller.order_of(thing.get("metadata")),
    )


def charge_events(teller: Teller, charge: Payload, moments: Moments) -> list[Row]:
    """Authorised, captured (as much as was), voided or failed.

    Of several captures of one charge Stripe tells the sum only; the one event grows with it.
    """
    key, made, status = own_id(charge), moment(charge, "created"), word_of(charge.get("status"))
    about = replace(_movement(teller, charge), payment=key, movement=None)
    amount = minor(charge, "amount", about.currency)
    if status == "pending":
        return []
    if status == "failed":
        at = moments.get(EventKind.CAPTURE_FAILED, made)
        return [
            about.event(EventKind.CAPTURE_FAILED, at, amount, words(charge.get("failure_code")))
        ]
    if status != "succeeded":
        raise unread("status", "is a word we do not know")
    found = [about.event(EventKind.AUTHORISED, made, amount)]
    if charge.get("captured") is True:
        is_told = "amount_captured" in charge  # not before 2020
        part = minor(charge, "amount_captured", about.currency) if is_told else amount
        at = moments.get(EventKind.CAPTURED) or _booked(charge, "balance_transaction") or made
        found.append(about.event(EventKind.CAPTURED, at, part))
    elif charge.get("refunded") is True:
        found.append(about.event(EventKind.VOIDED, moments.get(EventKind.VOIDED, made), amount))
    return found


def refunded_charge_events(teller: Teller, charge: Payload, moments: Moments) -> list[Row]:
    """Events of a charge and of the refunds it lists; newer versions of the API list none."""
    found = charge_events(teller, charge, moments)
    listed = charge.get("refunds")
    refunds = listed.get("data") if isinstance(listed, Mapping) else None
    if charge.get("captured") is not True or not isinstance(refunds, list):
        return found
    about = {"charge": charge.get("id"), "payment_intent": charge.get("payment_intent")}
    for place, one in enumerate(refunds):
        found += refund_events(teller, {**whole(one, f"refunds[{place}]"), **about}, {})
    return found


#: Whether the money has gone to the customer, and whether it came back or never will.
_REFUND_IS = {
    "succeeded": (True, False),
    "pending": (False, False),
    "requires_action": (False, False),
    "failed": (False, True),
    "canceled": (False, True),
}


def refund_events(teller: Teller, refund: Payload, moments: Moments) -> list[Row]:
    """Refunded, and failed; one that failed after its money had left was both.

    What gives back a part that was never captured is no refund of money we had.
    """
    about, made = _movement(teller, refund), moment(refund, "created")
    amount, booked = minor(refund, "amount", about.currency), refund.get("balance_transaction")
    word = word_of(refund.get("status") or "succeeded")  # the oldest have no status
    if word not in _REFUND_IS:
        raise unread("status", "is a word we do not know")
    is_done, is_failed = _REFUND_IS[word]
    if refund.get("reason") == "expired_uncaptured_charge":
        void = replace(about, key=about.payment or about.key, movement=None)
        return [void.event(EventKind.VOIDED, made, amount)]
    if isinstance(booked, Mapping) and booked.get("reporting_category") == _NEVER_CAPTURED:
        return []
    found: list[Row] = []
    if is_done or (is_failed and booked):
        found.append(about.event(EventKind.REFUNDED, made, amount))
    if is_failed:
        told = moments.get(EventKind.REFUND_FAILED)
        at = told or _booked(refund, "failure_balance_transaction") or made
        reason = words(refund.get("failure_reason") or word)
        found.append(about.event(EventKind.REFUND_FAILED, at, amount, reason))
    return found


_NEVER_CAPTURED = "partial_capture_reversal"
#: An inquiry that is closed never took money. `charge_refunded` and `prevented` end in a refund.
_DISPUTE_ENDS = {
    "won": EventKind.DISPUTE_WON,
    "warning_closed": EventKind.DISPUTE_WON,
    "lost": EventKind.DISPUTE_LOST,
}


def dispute_events(teller: Teller, dispute: Payload, moments: Moments) -> list[Row]:
    """Opened, won or lost, and its money taken and given back as its balance transactions tell."""
    about, last = _movement(teller, dispute), moment(dispute, "created")
    amount, status = minor(dispute, "amount", about.currency), word_of(dispute.get("status"))
    reason = words(dispute.get("reason"), status)
    found = [about.event(EventKind.DISPUTE_OPENED, last, amount, reason)]
    counted: dict[EventKind, int] = {}
    for line in _booked_lines(dispute):
        currency, last = currency_of(line.get("currency")), moment(line, "created")
        moved = minor(line, "amount", currency)
        kind = EventKind.CHARGEBACK if moved < 0 else EventKind.CHARGEBACK_REVERSED
        counted[kind] = counted.get(kind, 0) + 1
        # Booked in another currency, it says nothing of what the customer's bank took.
        told = moved if currency == about.currency else amount
        found.append(about.event(kind, last, told, reason, counted[kind]))
    end = _DISPUTE_ENDS.get(status)
    if end is not None:
        found.append(about.event(end, moments.get(end, last), amount, reason))
    return found


def _booked_lines(dispute: Payload) -> list[Payload]:
    """The balance transactions of a dispute that move something, the oldest first."""
    lines = dispute.get("balance_transactions")
    said = lines if isinstance(lines, list) else []
    found = [whole(one, f"balance_transactions[{place}]") for place, one in enumerate(said)]
    return sorted((one for one in found if one.get("amount")), key=lambda x: moment(x, "created"))


#: Where a payout stands; one that was cancelled never reaches the bank.
PAYOUT_STATE = {
    "pending": "in_transit",
    "in_transit": "in_transit",
    "paid": "paid",
    "failed": "failed",
    "canceled": "failed",
}


def payout_events(teller: Teller, payout: Payload, moments: Moments) -> list[Row]:
    """Paid, or failed; one on its way is no event."""
    state, about = payout_state(payout), replace(_movement(teller, payout), payment=None)
    amount, at = minor(payout, "amount", about.currency), moment(payout, "arrival_date")
    if state == "in_transit":
        return []
    if state == "paid":
        at = moments.get(EventKind.PAYOUT_PAID, at)
        return [about.event(EventKind.PAYOUT_PAID, at, amount)]
    told = moments.get(EventKind.PAYOUT_FAILED)
    at = told or _booked(payout, "failure_balance_transaction") or at
    reason = words(payout.get("failure_code") or payout.get("status"))
    return [about.event(EventKind.PAYOUT_FAILED, at, amount, reason)]


def payout_state(payout: Payload) -> str:
    """Our word for where a payout stands."""
    word = word_of(payout.get("status"))
    if word not in PAYOUT_STATE:
        raise unread("status", "is a word we do not know")
    return PAYOUT_STATE[word]


def intent_events(teller: Teller, intent: Payload, moments: Moments) -> list[Row]:
    """Authorised, captured or voided, keyed by the charge as the charge's own events are."""
    key, charge = own_id(intent), id_of(intent.get("latest_charge"))
    kind, part = _INTENT_IS.get(word_of(intent.get("status")), (None, ""))
    if kind is None or (kind is EventKind.VOIDED and charge is None):
        return []  # nothing was authorised yet
    about = replace(
        _movement(teller, intent), key=charge or key, payment=charge, group=key, movement=None
    )
    amount = minor(intent, part, about.currency) if part else None
    at = moments.get(kind) or moment(intent, "created")
    return [about.event(kind, at, amount, words(intent.get("cancellation_reason")))]


_INTENT_IS: Mapping[str, tuple[EventKind | None, str]] = {
    "requires_capture": (EventKind.AUTHORISED, "amount_capturable"),
    "succeeded": (EventKind.CAPTURED, "amount_received"),
    "canceled": (EventKind.VOIDED, ""),
}


def _booked(thing: Payload, key: str) -> datetime | None:
    """When a balance transaction that was asked for with the object was booked."""
    line = thing.get(key)
    return moment(line, "created") if isinstance(line, Mapping) else None


# Webhooks

Reader = Callable[[Teller, Payload, Moments], list[Row]]
_REFUND: tuple[Reader, tuple[EventKind, ...]] = (refund_events, (EventKind.REFUND_FAILED,))
_DISPUTE: tuple[Reader, tuple[EventKind, ...]] = (dispute_events, ())
#: By type of notice: who reads its object, and what happened at the very moment of the notice.
NOTICES: Mapping[str, tuple[Reader, tuple[EventKind, ...]]] = {
    "charge.succeeded": (charge_events, (EventKind.CAPTURED,)),
    "charge.captured": (charge_events, (EventKind.CAPTURED,)),
    "charge.failed": (charge_events, (EventKind.CAPTURE_FAILED,)),
    "charge.expired": (charge_events, (EventKind.VOIDED,)),
    "charge.refunded": (refunded_charge_events, (EventKind.VOIDED,)),
    "refund.created": _REFUND,
    "refund.updated": _REFUND,
    "refund.failed": _REFUND,
    "charge.refund.updated": _REFUND,
    "charge.dispute.created": _DISPUTE,
    "charge.dispute.updated": _DISPUTE,
    "charge.dispute.funds_withdrawn": _DISPUTE,
    "charge.dispute.funds_reinstated": _DISPUTE,
    "charge.dispute.closed": (dispute_events, (EventKind.DISPUTE_WON, EventKind.DISPUTE_LOST)),
    "payout.paid": (payout_events, (EventKind.PAYOUT_PAID,)),
    "payout.failed": (payout_events, (EventKind.PAYOUT_FAILED,)),
    "payout.canceled": (payout_events, (EventKind.PAYOUT_FAILED,)),
    "payment_intent.amount_capturable_updated": (intent_events, (EventKind.AUTHORISED,)),
    "payment_intent.succeeded": (intent_events, (EventKind.CAPTURED,)),
    "payment_intent.canceled": (intent_events, (EventKind.VOIDED,)),
}


def notice(provider: str, payload: Payload, *, order_keys: Sequence[str] = ORDER_KEYS) -> Found:
    """The events a webhook's body tells; raises Rejected. Types that say nothing of money: none.

    No row of a payout is made of a notice: notices come in any order, and an old one must not
    take back what the API said.
    """
    known = NOTICES.get(str(payload.get("type")))
    if known is None:
        return Found()
    read, kinds = known
    thing = whole(whole(payload.get("data"), "data").get("object"), "data.object")
    at = moment(payload, "created")
    return Found(events=read(Teller(provider, order_keys), thing, dict.fromkeys(kinds, at)))
