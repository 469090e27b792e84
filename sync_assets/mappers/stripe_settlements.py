"""What Stripe settles, as lines and payouts: from balance transactions of its API and from the rows
of its itemised reports, which are the same transactions in other clothes and have the same keys.

Pure. Conventions: `amount` and `gross` are signed as the balance moves; net = gross - fee, and the
fee includes its tax. Only the API tells the tax apart (`fee_details`); a report's row has none.
Sources: https://docs.stripe.com/reports/reporting-categories and .../balance-transaction-types.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from sync_assets.domain.money import rounded
from sync_assets.domain.orders import Row
from sync_assets.domain.payments import Found, SettledKind, ToldBy
from sync_assets.mappers import csv_words
from sync_assets.mappers.payload import ZERO, storable
from sync_assets.mappers.stripe_notices import (
    ORDER_KEYS,
    Payload,
    Reader,
    Teller,
    charge_events,
    currency_of,
    digits,
    dispute_events,
    id_of,
    minor,
    moment,
    notice,
    own_id,
    payout_events,
    payout_state,
    refund_events,
    unread,
    whole,
    word_of,
    words,
)

__all__ = ["OBJECTS", "notice", "report_line"]

#: Held where money goes, released where it comes back: Stripe has one word for both.
_RESERVE = "reserve"
#: Of methods that are no cards: what went to the customer, and what came back because it failed.
_REFUND = "refund or its failure"
#: Kinds by `reporting_category`, which Stripe made for book-keeping.
CATEGORIES: Mapping[str, SettledKind | str] = {
    "charge": SettledKind.SALE,
    # Both take back a part of the sale's own line, which shows more than was paid in the end.
    "charge_failure": SettledKind.SALE,
    "partial_capture_reversal": SettledKind.SALE,
    "refund": SettledKind.REFUND,
    "refund_failure": SettledKind.REFUND_FAILED,
    "dispute": SettledKind.CHARGEBACK,
    "dispute_reversal": SettledKind.CHARGEBACK_REVERSED,
    "fee": SettledKind.FEE,
    "network_cost": SettledKind.FEE,
    "tax": SettledKind.FEE,  # tax on Stripe's own fees, of type tax_fee
    "risk_reserved_funds": _RESERVE,
    "connect_reserved_funds": _RESERVE,
    "payment_network_reserved_funds": _RESERVE,
    "currency_conversion": SettledKind.CONVERSION,
    "payout": SettledKind.PAYOUT,
    "payout_reversal": SettledKind.PAYOUT_RETURNED,
    "topup": SettledKind.TOPUP,
    "topup_reversal": SettledKind.TOPUP,
    "other_adjustment": SettledKind.ADJUSTMENT,
    "transfer": SettledKind.ADJUSTMENT,
    "transfer_reversal": SettledKind.ADJUSTMENT,
    "connect_collection_transfer": SettledKind.ADJUSTMENT,
    "platform_earning": SettledKind.ADJUSTMENT,
    "platform_earning_refund": SettledKind.ADJUSTMENT,
    "contribution": SettledKind.ADJUSTMENT,
}
#: Kinds by `type`, where the category is missing or a word we do not know. An `adjustment` may be
#: anything: only its category tells.
TYPES: Mapping[str, SettledKind | str] = {
    "charge": SettledKind.SALE,
    "payment": SettledKind.SALE,
    "payment_failure_refund": SettledKind.SALE,
    "payment_reversal": SettledKind.SALE,
    "refund": SettledKind.REFUND,
    "payment_refund": _REFUND,
    "refund_failure": SettledKind.REFUND_FAILED,
    "stripe_fee": SettledKind.FEE,
    "stripe_fx_fee": SettledKind.FEE,
    "tax_fee": SettledKind.FEE,
    "network_cost": SettledKind.FEE,
    "reserved_funds": _RESERVE,
    "reserve_transaction": _RESERVE,
    "reserve_hold": _RESERVE,
    "reserve_release": _RESERVE,
    "payment_network_reserve_hold": _RESERVE,
    "payment_network_reserve_release": _RESERVE,
    "payout_minimum_balance_hold": _RESERVE,
    "payout_minimum_balance_release": _RESERVE,
    "payout": SettledKind.PAYOUT,
    "payout_cancel": SettledKind.PAYOUT_RETURNED,
    "payout_failure": SettledKind.PAYOUT_RETURNED,
    "topup": SettledKind.TOPUP,
    "topup_reversal": SettledKind.TOPUP,
    "transfer": SettledKind.ADJUSTMENT,
    "transfer_cancel": SettledKind.ADJUSTMENT,
    "transfer_failure": SettledKind.ADJUSTMENT,
    "transfer_refund": SettledKind.ADJUSTMENT,
}
#: The counterpart of a reserve's line: the same money, seen from the other balance.
_MIRROR = "risk_reserved"
#: No currency is worth so many of another.
_MOST = 10**9
_CHARGE_IDS = ("ch_", "py_")
_AMOUNT = re.compile(r"-?[0-9]{1,13}(?:[.,][0-9]{1,6})?")


@dataclass(frozen=True)
class _Sums:
    """The amounts of one line, in one currency."""

    currency: str
    gross: Decimal
    fee: Decimal
    tax: Decimal
    net: Decimal

    def check(self) -> None:
        """Refuse what does not come out; nobody can tell which of the amounts is wrong."""
        due = self.gross - self.fee - self.tax
        if due != self.net:
            fee = f"{self.fee}" if not self.tax else f"({self.fee} + tax {self.tax})"
            raise unread("net", f"is {self.net}, but gross {self.gross} - fee {fee} is {due}")

    def columns(self) -> Row:
        """Their columns of a line."""
        return {
            "currency": self.currency,
            "gross_amount": self.gross,
            "fee_amount": self.fee,
            "fee_tax_amount": self.tax,
            "net_amount": self.net,
        }


def kind_of(category: str, kind: str, gross: Decimal) -> tuple[SettledKind, str]:
    """Our kind of a line, and what its description begins with where we do not know the word."""
    found = CATEGORIES.get(category) or TYPES.get(kind)
    if found is None:
        return SettledKind.ADJUSTMENT, f"unknown type {category or kind or 'without a name'}: "
    if found == _RESERVE:
        return (SettledKind.RESERVE_HELD if gross < 0 else SettledKind.RESERVE_RELEASED), ""
    if found == _REFUND:
        return (SettledKind.REFUND if gross < 0 else SettledKind.REFUND_FAILED), ""
    return SettledKind(found), ""


# The API


def balance_transaction(
    provider: str, payload: Payload, *, order_keys: Sequence[str] = ORDER_KEYS
) -> Found:
    """The line of a balance transaction, best read with its `source` expanded.

    `_payout` is our client's: Stripe tells a transaction's payout only to who asks by payout. The
    line of a payout comes from here, its row of payouts from the payout itself.
    """
    teller, sums = Teller(provider, order_keys), _sums(payload)
    if payload.get("balance_type") == _MIRROR:
        return Found()
    kind, unknown = _kind_told(payload, sums.gross)
    source, payout_id = payload.get("source"), id_of(payload.get("_payout"))
    said: Payload = source if isinstance(source, Mapping) else {}
    if kind is SettledKind.PAYOUT:
        payout_id = payout_id or id_of(source)
    more = {
        **_ids(source, said),
        "order_reference": teller.order_of(said.get("metadata")),
        "method": _method(said),
        **_paid(payload, said, sums),
        "occurred_at": moment(payload, "created"),
        "description": words(unknown + word_of(payload.get("description"))),
        "fee_detail": _fee_detail(payload, sums.currency),
        "told_by": str(ToldBy.API),
        "file_name": None,
        "file_line": 0,
    }
    return Found(lines=[_line(teller, own_id(payload), kind, payout_id, sums, more)])


def _kind_told(payload: Payload, gross: Decimal) -> tuple[SettledKind, str]:
    category, pool = word_of(payload.get("reporting_category")), payload.get("balance_type")
    if pool not in (None, "payments"):  # its money is not in the balance that is paid out
        return SettledKind.ADJUSTMENT, f"unknown type {category} of the balance {pool}: "
    return kind_of(category, word_of(payload.get("type")), gross)


def _line(
    teller: Teller, key: str, kind: SettledKind, payout_id: str | None, sums: _Sums, more: Row
) -> Row:
    """A row of settlement lines."""
    return {
        "line_ref": teller.ref(key),
        "provider": teller.provider,
        "kind": str(kind),
        "payout_ref": teller.ref(payout_id) if payout_id else None,
        **sums.columns(),
        **more,
    }


def _sums(payload: Payload) -> _Sums:
    currency = currency_of(payload.get("currency"))
    fee = minor(payload, "fee", currency)
    parts = _fee_parts(payload, currency)
    tax, told = parts.get("tax", ZERO), sum(parts.values(), ZERO)
    if parts and told != fee:
        raise unread("fee_details", f"come to {told}, but fee is {fee}")
    sums = _Sums(
        currency,
        minor(payload, "amount", currency),
        fee - tax,
        tax,
        minor(payload, "net", currency),
    )
    sums.check()
    return sums


def _fee_parts(payload: Payload, currency: str) -> dict[str, Decimal]:
    """Parts of the fee by their type: stripe_fee, application_fee, tax, …"""
    said = payload.get("fee_details")
    if said is None:
        return {}
    if not isinstance(said, list):
        raise unread("fee_details", "is not a list")
    parts: dict[str, Decimal] = {}
    for place, one in enumerate(said):
        part = whole(one, f"fee_details[{place}]")
        name = words(part.get("type")) or "fee"
        parts[name] = parts.get(name, ZERO) + minor(part, "amount", currency)
    return parts


def _fee_detail(payload: Payload, currency: str) -> str | None:
    parts = _fee_parts(payload, currency)
    named = {name: str(amount) for name, amount in sorted(parts.items())}
    return json.dumps(named, ensure_ascii=False) if named else None


def _ids(source: object, said: Payload) -> Row:
    """Payment, group and movement: a charge is the payment, anything else a movement of one."""
    key = id_of(source)
    is_charge = said.get("object") == "charge" or (key or "").startswith(_CHARGE_IDS)
    return {
        "payment_id": key if is_charge else id_of(said.get("charge")),
        "group_id": id_of(said.get("payment_intent")),
        "movement_id": None if is_charge else key,
    }


def _method(source: Payload) -> str | None:
    """`visa`, `ideal`, …: a card's brand, or the method itself."""
    details = source.get("payment_method_details")
    name = details.get("type") if isinstance(details, Mapping) else None
    if not isinstance(details, Mapping) or not isinstance(name, str):
        return None
    more = details.get(name)
    brand = more.get("brand") if isinstance(more, Mapping) else None
    return words(brand or name).lower() or None


def _paid(payload: Payload, source: Payload, sums: _Sums) -> Row:
    """What the customer paid, where Stripe changed it into the balance's currency."""
    nothing: Row = {"paid_amount": None, "paid_currency": None, "exchange_rate": None}
    rate = payload.get("exchange_rate")
    if rate is None:
        return nothing
    if type(rate) not in (int, Decimal) or not Decimal(rate).is_finite() or not 0 < rate < _MOST:
        raise unread("exchange_rate", "is not an exact number above zero")
    told = {**nothing, "exchange_rate": rounded(Decimal(rate), 6)}
    if not source.get("currency") or currency_of(source["currency"]) == sums.currency:
        return told
    currency = currency_of(source["currency"])
    amounts = [
        minor(source, key, currency) for key in ("amount", "amount_captured") if source.get(key)
    ]
    if not amounts:
        return told
    # A charge tells what was authorised and what was captured; the line is one of the two.
    due = abs(sums.gross) / Decimal(rate)
    paid = min(amounts, key=lambda amount: abs(abs(amount) - due))
    signed = -abs(paid) if sums.gross < 0 else abs(paid)
    return {**told, "paid_amount": signed, "paid_currency": currency}


def payout(provider: str, payload: Payload, *, order_keys: Sequence[str] = ORDER_KEYS) -> Found:
    """The row of a payout, and its event once it is paid or has failed.

    Of a payout that a person made Stripe does not know the lines: it takes a part of the balance
    and is a `statement` without opening and closing amounts.
    """
    teller, key = Teller(provider, order_keys), own_id(payload)
    currency = currency_of(payload.get("currency"))
    row = {
        "payout_ref": teller.ref(key),
        "provider": provider,
        "payout_id": key,
        "kind": "statement" if payload.get("automatic") is False else "payout",
        "currency": currency,
        "paid_amount": minor(payload, "amount", currency),
        "opening_amount": None,
        "closing_amount": None,
        "paid_on": moment(payload, "arrival_date").date(),
        "state": payout_state(payload),
        "bank_reference": _bank_reference(payload),
    }
    return Found(payouts=[row], events=payout_events(teller, payload, {}))


def _bank_reference(payload: Payload) -> str | None:
    """The trace id that banks show, once Stripe has it; else the text of the statement."""
    trace = payload.get("trace_id")
    told = trace.get("value") if isinstance(trace, Mapping) else None
    return words(told or payload.get("statement_descriptor")) or None


def _events(read: Reader) -> Callable[[str, Payload], Found]:
    """What an object of the API tells, which is events only."""

    def found(provider: str, payload: Payload, *, order_keys: Sequence[str] = ORDER_KEYS) -> Found:
        return Found(events=read(Teller(provider, order_keys), payload, {}))

    return found


OBJECTS: Mapping[str, Callable[[str, Mapping[str, Any]], Found]] = {
    "balance_transactions": balance_transaction,
    "charges": _events(charge_events),
    "refunds": _events(refund_events),
    "disputes": _events(dispute_events),
    "payouts": payout,
}


# Reports


def report_line(
    provider: str, payload: Payload, *, order_keys: Sequence[str] = ORDER_KEYS
) -> Found:
    """The line of one row of an itemised report, and the payout where the row is one.

    Amounts are decimals in whole units. A row whose net does not come out is refused with its
    sums; a payout told with a positive gross was taken from our bank, as everywhere at Stripe.
    """
    row, teller = whole(payload.get("row"), "row"), Teller(provider, order_keys)
    key = _cell(row, "balance_transaction_id")
    if not key:
        raise unread("balance_transaction_id", "is empty")
    sums = _row_sums(row)
    kind, unknown = kind_of(_cell(row, "reporting_category"), "", sums.gross)
    payout_id, occurred_at = _cell(row, "automatic_payout_id"), _row_moment(row)
    if kind is SettledKind.PAYOUT:
        payout_id = payout_id or _cell(row, "source_id")
    more = {
        **_row_ids(row),
        "order_reference": _row_order(row, order_keys),
        "method": (_cell(row, "card_brand") or _cell(row, "payment_method_type")).lower() or None,
        **_row_paid(row, sums.currency),
        "occurred_at": occurred_at,
        "description": words(unknown + _cell(row, "description")),
        "fee_detail": None,
        "told_by": str(ToldBy.FILE),
        "file_name": payload.get("file"),
        "file_line": payload.get("line", 0),
    }
    found = Found(lines=[_line(teller, key, kind, payout_id, sums, more)])
    if kind is SettledKind.PAYOUT and payout_id:
        found.payouts.append(_row_payout(teller, payout_id, row, sums, occurred_at))
    return found


def _cell(row: Payload, name: str) -> str:
    value = row.get(name)
    return storable(value.strip()) if isinstance(value, str) else ""


def _row_sums(row: Payload) -> _Sums:
    currency = currency_of(_cell(row, "currency"))
    gross, fee, net = (_amount(row, name, currency) for name in ("gross", "fee", "net"))
    sums = _Sums(currency, gross, fee, ZERO, net)
    sums.check()
    return sums


def _amount(row: Payload, name: str, currency: str) -> Decimal:
    """A decimal as reports write it: a point or a comma before the fraction, nothing else.

    Stripe never parts thousands, so `1,234` can only be money of a currency with three digits.
    """
    text = _cell(row, name)
    if not _AMOUNT.fullmatch(text):
        raise unread(name, "is not a plain amount")
    value = Decimal(text.replace(",", "."))
    if value != rounded(value, digits(currency)):
        raise unread(name, f"has more digits than {currency} has")
    return value


def _row_moment(row: Payload) -> datetime:
    """When it was booked; without a column in UTC, a report is in UTC unless asked otherwise."""
    name = "created_utc" if _cell(row, "created_utc") else "created"
    found = csv_words.moment(_cell(row, name), UTC)
    if found is None:
        raise unread(name, "is not a date and time")
    return found


def _row_ids(row: Payload) -> Row:
    source, charge = _cell(row, "source_id"), _cell(row, "charge_id")
    is_charge = source.startswith(_CHARGE_IDS)
    return {
        "payment_id": charge or (source if is_charge else "") or None,
        "group_id": _cell(row, "payment_intent_id") or None,
        "movement_id": None if is_charge else source or None,
    }


def _row_order(row: Payload, order_keys: Sequence[str]) -> str | None:
    cells = (_cell(row, f"payment_metadata[{key}]") for key in order_keys)
    return next((words(cell) for cell in cells if cell), None)


def _row_paid(row: Payload, settled: str) -> Row:
    told: Row = {"paid_amount": None, "paid_currency": None, "exchange_rate": None}
    if not _cell(row, "customer_facing_amount") or not _cell(row, "customer_facing_currency"):
        return told
    currency = currency_of(_cell(row, "customer_facing_currency"), "customer_facing_currency")
    if currency == settled:
        return told
    amount = _amount(row, "customer_facing_amount", currency)
    return {**told, "paid_amount": amount, "paid_currency": currency}


def _row_payout(
    teller: Teller, payout_id: str, row: Payload, sums: _Sums, occurred_at: datetime
) -> Row:
    """The payout of a row; a report tells it once it is booked, and a failure as another row."""
    return {
        "payout_ref": teller.ref(payout_id),
        "provider": teller.provider,
        "payout_id": payout_id,
        "kind": "payout" if _cell(row, "automatic_payout_id") else "statement",
        "currency": sums.currency,
        # What an instant payout costs is taken from the balance, not from what is sent.
        "paid_amount": -sums.gross,
        "opening_amount": None,
        "closing_amount": None,
        "paid_on": _effective_on(row) or occurred_at.date(),
        "state": "paid",
        "bank_reference": words(_cell(row, "trace_id")) or None,
    }


def _effective_on(row: Payload) -> date | None:
    text = _cell(row, "automatic_payout_effective_at_utc") or _cell(
        row, "automatic_payout_effective_at"
    )
    if not text:
        return None
    found = csv_words.moment(text if len(text) > 10 else f"{text} 00:00", UTC)
    if found is None:
        raise unread("automatic_payout_effective_at", "is not a day")
    return found.date()
