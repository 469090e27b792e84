"""Amazon's transactions of the finances API (2024-06-19) in our words: events of payments. Pure.

No settlement lines come from here. The report and the API tell the same money in another grain
under other ids, so a deployment reads its lines from one of them, and that is the report (mapper
`amazon_settlements`): it is what the payout is made of. A transaction says earlier that a customer
paid, got money back or charged it back, and that Amazon paid out.

The older events (finances v0) have no ids, and tell what is told here a second time; they are
refused, as is every transaction without its id.
https://developer-docs.amazon.com/sp-api/docs/finances-api-v2024-06-19-reference
"""

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from sync_assets.domain.orders import Row
from sync_assets.domain.payments import EventKind, Found
from sync_assets.mappers.amazon_settlements import currency_of, cut, unread

Payload = Mapping[str, Any]
ZERO = Decimal()

K = EventKind
#: What a transaction is where the customer's money goes (from us, to us); none: it cannot.
PAID: Mapping[str, tuple[EventKind | None, EventKind | None]] = {
    "shipment": (None, K.CAPTURED),
    "refund": (K.REFUNDED, None),
    "chargeback": (K.CHARGEBACK, K.CHARGEBACK_REVERSED),
    "guaranteeclaim": (K.CHARGEBACK, K.CHARGEBACK_REVERSED),
}
#: Money that left our balance, or came back to it.
TRANSFERS = frozenset({"transfer"})
#: Types that say nothing of what a customer paid; their money stands in the report.
SILENT = frozenset(
    {
        *("adjustment", "adhocdisbursement", "affordabilityexpense", "capacityreservationbilling"),
        *("affordabilityexpensereversal", "chargerefund", "couponpayment", "debtrecovery"),
        *("ebtrefundreimbursementonly", "failedadhocdisbursement", "fbaliquidation"),
        *("imagingservicesfee", "loanservicing", "networkcomminglingtransaction", "retrocharge"),
        *("paywithamazon", "productadspayment", "removalshipment", "removalshipmentadjustment"),
        *("rentaltransaction", "reserve", "safetreimbursement", "sellerdealpayment", "servicefee"),
        *("sellerreviewenrollmentpayment", "serviceprovidercredit", "shipmentsettle"),
        *("taxwithholding", "tdsreimbursement", "trialshipment", "valueaddedservicecharge"),
    }
)
#: Parts of the breakdown that the customer pays, wherever they stand; discounts are negative, and
#: Amazon counts them among the expenses.
CUSTOMER = frozenset(
    {
        *("sales", "productcharges", "shipping", "shippingcharges", "giftwrap", "giftwrapcharges"),
        *("tax", "promorebates", "promotionalrebates", "promotions", "discounts"),
    }
)
#: Parts that may hold some of both.
MIXED = frozenset({"expenses"})
STATES = frozenset({"RELEASED", "DEFERRED", "DEFERRED_RELEASED"})
_AMOUNT = re.compile(r"-?[0-9]{1,12}(?:\.[0-9]{1,6})?")


def transaction(provider: str, payload: Payload) -> Found:
    """What a transaction says of a payment; raises Rejected.

    What was deferred is told once, when it was posted: its release is another transaction, which
    names the first one.
    """
    key = _word(payload, "transactionId")
    if key is None:
        raise unread("transactionId", "is missing; only finances 2024-06-19 are read")
    of_type = _word(payload, "transactionType")
    if of_type is None:
        raise unread("transactionType", "is missing")
    word = "".join(of_type.casefold().split())
    if word in SILENT:
        return Found()
    if word not in PAID and word not in TRANSFERS:
        raise unread("transactionType", f"is a word that we do not know: {cut(of_type)[:60]!r}")
    state = _word(payload, "transactionStatus")
    if state is not None and state.upper() not in STATES:
        raise unread("transactionStatus", f"is a word that we do not know: {cut(state)[:60]!r}")
    related = _related(payload)
    if "DEFERRED_TRANSACTION_ID" in related:
        return Found()
    if word in TRANSFERS:
        return _transferred(provider, key, payload, related)
    return _paid(provider, key, word, payload, related)


OBJECTS: Mapping[str, Callable[[str, Payload], Found]] = {"transactions": transaction}


def _paid(
    provider: str, key: str, word: str, payload: Payload, related: Mapping[str, str]
) -> Found:
    total, currency = _money(payload, "totalAmount")
    customer = _from_customer(payload, total, currency)
    if customer == 0:
        return Found()
    kind = PAID[word][customer > 0]
    if kind is None:
        raise unread("breakdowns", f"come to {customer} of the customer's in a {word}")
    order = related.get("ORDER_ID")
    if order is None:
        raise unread("relatedIdentifiers", "have no ORDER_ID")
    event = _event(provider, kind, key, payload, (customer, currency))
    return Found(
        events=[event | {"payment_id": order, "group_id": order, "order_reference": order}]
    )


def _transferred(provider: str, key: str, payload: Payload, related: Mapping[str, str]) -> Found:
    """A payout, or one that came back; the report's payout has another id, that of its settlement.

    Amazon's group of events is that settlement under a third name.
    """
    total, currency = _money(payload, "totalAmount")
    if total == 0:
        return Found()
    kind = K.PAYOUT_PAID if total < 0 else K.PAYOUT_FAILED
    ids = ("SETTLEMENT_ID", "DISBURSEMENT_ID", "TRANSFER_ID")
    movement = next((related[name] for name in ids if name in related), key)
    event = _event(provider, kind, key, payload, (total, currency))
    return Found(events=[event | {"movement_id": movement}])


def _event(
    provider: str, kind: EventKind, key: str, payload: Payload, money: tuple[Decimal, str]
) -> Row:
    return {
        "event_ref": f"{provider}:{key}:{kind}",
        "provider": provider,
        "kind": str(kind),
        "payment_id": None,
        "group_id": None,
        "movement_id": key,
        "order_reference": None,
        "amount": abs(money[0]),
        "currency": money[1],
        "happened_at": _moment(payload, "postedDate"),
        "reason": _word(payload, "description") or "",
    }


# The breakdown


def _from_customer(payload: Payload, total: Decimal, currency: str) -> Decimal:
    """What the customer pays of a transaction: articles, shipping, tax, less discounts.

    The breakdown must come to the total, and each part of it that is looked into to its own sum.
    """
    parts = _parts(payload)
    if not parts:
        raise unread("breakdowns", "are missing, so nobody tells what the customer paid")
    _ties("breakdowns", parts, total, currency)
    return sum(_customers(parts, currency), ZERO)


def _customers(parts: list[Payload], currency: str) -> Iterator[Decimal]:
    for part in parts:
        name = "".join((_word(part, "breakdownType") or "").casefold().split())
        amount = _amount_in(part, currency)
        if name in CUSTOMER:
            yield amount
        elif name in MIXED:
            inner = _parts(part)
            if inner:
                _ties(f"breakdowns.{name}", inner, amount, currency)
                yield from _customers(inner, currency)


def _ties(name: str, parts: list[Payload], total: Decimal, currency: str) -> None:
    found = sum((_amount_in(part, currency) for part in parts), ZERO)
    if found != total:
        raise unread(name, f"do not tie: their sum is {found}, the total is {total}")


def _parts(value: Payload) -> list[Payload]:
    """The parts of a breakdown; the contract's own example has the list inside an object."""
    said = value.get("breakdowns")
    if isinstance(said, Mapping):
        said = said.get("breakdowns")
    if said is None:
        return []
    if not isinstance(said, list) or not all(isinstance(one, Mapping) for one in said):
        raise unread("breakdowns", "are no list of objects")
    return said


def _amount_in(part: Payload, currency: str) -> Decimal:
    amount, said = _money(part, "breakdownAmount")
    if said != currency:
        raise unread("breakdownAmount", f"is in {said}, its transaction in {currency}")
    return amount


# Values


def _money(value: Payload, key: str) -> tuple[Decimal, str]:
    said = value.get(key)
    if not isinstance(said, Mapping):
        raise unread(key, "is missing")
    amount = said.get("currencyAmount")
    if isinstance(amount, Decimal) and amount.is_finite() and abs(amount.adjusted()) < 20:
        amount = f"{amount.normalize():f}"
    text = str(amount) if type(amount) in (int, str) else ""
    if not _AMOUNT.fullmatch(text):
        raise unread(key, "is not a plain amount")
    return Decimal(text) + ZERO, currency_of(said.get("currencyCode"), key)


def _related(payload: Payload) -> dict[str, str]:
    """Ids by their name."""
    said = payload.get("relatedIdentifiers")
    if said is None:
        return {}
    if not isinstance(said, list) or not all(isinstance(one, Mapping) for one in said):
        raise unread("relatedIdentifiers", "are no list of objects")
    pairs = (
        (_word(one, "relatedIdentifierName"), _word(one, "relatedIdentifierValue")) for one in said
    )
    return {name.upper(): value for name, value in pairs if name and value}


def _moment(value: Payload, key: str) -> datetime:
    said = value.get(key)
    try:
        moment = datetime.fromisoformat(said if isinstance(said, str) else "")
        if moment.tzinfo is None:
            raise unread(key, "names no time zone")
        return moment.astimezone(UTC)
    except (ValueError, OverflowError) as fault:
        raise unread(key, "is not a date and time") from fault


def _word(value: Payload, key: str) -> str | None:
    said = value.get(key)
    return cut(said.strip()) or None if isinstance(said, str) else None
