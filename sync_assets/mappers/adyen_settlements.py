"""Adyen's reports in our words: lines of a settlement detail report are what was settled and paid
out; lines of a payments accounting report are events of payments, the same as its notices tell.

Pure. In a settlement detail report all money of a line is in its net currency: net is credit less
debit, the fee is commission, markup, scheme fees and interchange, gross is net and fee. What the
customer paid stands beside it in the gross currency.
https://docs.adyen.com/reporting/settlement-reconciliation/transaction-level/settlement-details-report
"""

import json
import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sync_assets.domain.money import rounded
from sync_assets.domain.orders import Row
from sync_assets.domain.payments import EventKind, Found, SettledKind, ToldBy
from sync_assets.mappers.adyen_notices import currency_of, cut, digits, event, notice, unread
from sync_assets.mappers.payload import storable

__all__ = ["notice", "report_line"]

Payload = Mapping[str, Any]
Cells = Mapping[str, str]
ZERO = Decimal()

S = SettledKind
#: Types of a settlement detail report; one with a pair is the first where the money leaves us.
#: https://docs.adyen.com/developers/reporting/settlement-detail-report/settlement-detail-report-structure/journal-types
KINDS: Mapping[str, SettledKind | tuple[SettledKind, SettledKind]] = {
    "Settled": S.SALE,
    "SettledInstallment": S.SALE,
    "Refunded": S.REFUND,
    "RefundedInstallment": S.REFUND,
    "RefundedReversed": S.REFUND_FAILED,
    "Chargeback": S.CHARGEBACK,
    "SecondChargeback": S.CHARGEBACK,
    "ChargebackReversed": S.CHARGEBACK_REVERSED,
    "Fee": S.FEE,
    "MiscCosts": S.FEE,
    "PaymentCost": S.FEE,
    "SettleCost": S.FEE,
    "InvoiceDeduction": S.FEE,
    "AuthorisationSchemeFee": S.FEE,
    "DepositCorrection": (S.RESERVE_HELD, S.RESERVE_RELEASED),
    "ReserveAdjustment": (S.RESERVE_HELD, S.RESERVE_RELEASED),
    "MerchantPayin": S.TOPUP,
    "MerchantPayinReversed": S.TOPUP,
    "MatchedStatement": S.TOPUP,
    "MerchantPayout": S.PAYOUT,
    "BankInstructionReturned": S.PAYOUT_RETURNED,
    # a negative batch goes on into the next: "to batch 4" there, "from batch 3" here
    "Balancetransfer": S.ADJUSTMENT,
    "ManualCorrected": S.ADJUSTMENT,
    "InternalCompanyPayout": S.ADJUSTMENT,
    "EpaPaid": S.ADJUSTMENT,
    "PaidOut": S.ADJUSTMENT,
    "PaidOutReversed": S.ADJUSTMENT,
}
#: A modification has one line of these; any other type may come back with the same reference.
ONCE = frozenset(
    {
        *("Settled", "Refunded", "RefundedReversed"),
        *("Chargeback", "SecondChargeback", "ChargebackReversed"),
    }
)
#: The parts of a fee, by our names.
FEES = {
    "commission": "Commission (NC)",
    "markup": "Markup (NC)",
    "scheme_fees": "Scheme Fees (NC)",
    "interchange": "Interchange (NC)",
}

E = EventKind
#: Record types of a payments accounting report that are events, and the column of their amount.
#: They are those that notices tell: a capture or refund when it is sent, not when it settles, for
#: that is the settlement detail report's word, and one thing must not be told at two times.
EVENTS: Mapping[str, tuple[EventKind, str]] = {
    "Authorised": (E.AUTHORISED, "Authorised (PC)"),
    "SentForSettle": (E.CAPTURED, "Captured (PC)"),
    "CaptureFailed": (E.CAPTURE_FAILED, "Captured (PC)"),
    "Cancelled": (E.VOIDED, "Authorised (PC)"),
    "Expired": (E.VOIDED, "Authorised (PC)"),
    "SentForRefund": (E.REFUNDED, "Captured (PC)"),
    "RefundFailed": (E.REFUND_FAILED, "Captured (PC)"),
    "RefundedReversed": (E.REFUND_FAILED, "Original Amount"),
    "Chargeback": (E.CHARGEBACK, "Original Amount"),
    "SecondChargeback": (E.CHARGEBACK, "Original Amount"),
    "ChargebackReversed": (E.CHARGEBACK_REVERSED, "Original Amount"),
}
#: Record types that move nothing of ours, or whose money the settlement detail report tells.
NO_EVENT = frozenset(
    {
        *("Received", "Refused", "Error", "Retried"),
        *("Settled", "SettledInstallment", "Refunded", "RefundedInstallment", "SettledBulk"),
        *("SettledExternally", "SettledExternallyWithInfo"),  # another acquirer pays these out
        *("RefundedExternally", "RefundedExternallyWithInfo"),
        *("ChargebackExternally", "ChargebackExternallyWithInfo"),
        *("ChargebackReversedExternally", "ChargebackReversedExternallyWithInfo"),
    }
)

#: The zone of an abbreviation, and which of the two it is in the hour that comes twice. A report
#: names a zone by one word all year (a real one has PST in June beside PDT): the word tells where
#: the account is, and the clock there is what was meant.
ZONES: Mapping[str, tuple[str, int]] = {
    "UTC": ("UTC", 0),
    **{word: ("Europe/Amsterdam", fold) for word, fold in (("CET", 1), ("CEST", 0))},
    **{word: ("Europe/London", fold) for word, fold in (("GMT", 1), ("BST", 0))},
    **{word: ("Europe/Lisbon", fold) for word, fold in (("WET", 1), ("WEST", 0))},
    **{word: ("Europe/Helsinki", fold) for word, fold in (("EET", 1), ("EEST", 0))},
    **{word: ("America/Los_Angeles", fold) for word, fold in (("PST", 1), ("PDT", 0))},
    **{word: ("America/Denver", fold) for word, fold in (("MST", 1), ("MDT", 0))},
    **{word: ("America/Chicago", fold) for word, fold in (("CST", 1), ("CDT", 0))},
    **{word: ("America/New_York", fold) for word, fold in (("EST", 1), ("EDT", 0))},
    **{word: ("America/Sao_Paulo", fold) for word, fold in (("BRT", 1), ("BRST", 0))},
    **{word: ("Australia/Sydney", fold) for word, fold in (("AEST", 1), ("AEDT", 0))},
    **{word: ("Pacific/Auckland", fold) for word, fold in (("NZST", 1), ("NZDT", 0))},
    "SGT": ("Asia/Singapore", 0),
    "HKT": ("Asia/Hong_Kong", 0),
    "JST": ("Asia/Tokyo", 0),
}
_TIME = re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(?:\.\d{1,6})?", re.ASCII)
_AMOUNT = re.compile(r"-?(?:[0-9]{1,12}(?:\.[0-9]{0,20})?|\.[0-9]{1,20})")
_TRANSFER = re.compile(r"\bTX[0-9A-Z]+", re.ASCII)


def report_line(provider: str, payload: Payload) -> Found:
    """What one line of a report says."""
    kinds: Mapping[str, Callable[[str, Payload], Found]] = {
        "settlement_detail": _settled,
        "payments_accounting": _told,
    }
    if payload["kind"] not in kinds:
        raise unread("kind", "is not a report of Adyen's that we read")
    return kinds[payload["kind"]](provider, payload)


# Settlement detail report


def _settled(provider: str, payload: Payload) -> Found:
    row = payload["row"]
    word = _needed(row, "Type")
    currency = currency_of(_cell(row, "Net Currency"), "Net Currency")
    net = _net(row)
    fees = {name: part for name, column in FEES.items() if (part := _amount(row, column))}
    kind = _kind(word, net)
    # Whatever column the parts of a fee by itself stand in, it is a fee on nothing.
    gross = net if kind is S.FEE else _gross(row, currency, net, sum(fees.values(), ZERO))
    at, day = _moment(row)
    payout_id = _payout_id(row, currency)
    transfer = _TRANSFER.search(_cell(row, "Modification Reference"))
    payment_id = _text(row, "Psp Reference")
    line: Row = {
        "line_ref": _line_ref(provider, word, payload, payout_id, transfer),
        "provider": provider,
        "kind": str(kind),
        "payout_ref": payout_id and f"{provider}:{payout_id}",
        "payment_id": payment_id,
        "group_id": payment_id,
        "movement_id": _movement(row, payment_id, transfer),
        "order_reference": _text(row, "Merchant Reference", "Merchant Order Reference"),
        "method": _text(row, "Payment Method"),
        "currency": currency,
        "gross_amount": gross,
        "fee_amount": gross - net,
        "fee_tax_amount": ZERO,
        "net_amount": net,
        **_paid(row, currency),
        "occurred_at": at,
        "description": _description(row, word),
        "fee_detail": json.dumps({name: str(fees[name]) for name in fees}) if fees else None,
        "told_by": str(ToldBy.FILE),
        "file_name": payload["file"],
        "file_line": payload["line"],
    }
    payouts = [_payout(line, payout_id, day, transfer)] if kind is S.PAYOUT else []
    return Found(lines=[line], payouts=payouts)


def _net(row: Cells) -> Decimal:
    net = _difference(row, "Net Credit (NC)", "Net Debit (NC)")
    if net is None:
        raise unread("Net Credit (NC)", "is empty, and so is Net Debit (NC)")
    return net


def _gross(row: Cells, currency: str, net: Decimal, fee: Decimal) -> Decimal:
    """Gross in the net currency.

    Where the customer paid in it, gross is told too, and must tie. Parts of a fee that are finer
    than the currency's smallest unit are left to Adyen's rounding: what was taken counts.
    """
    gross = _difference(row, "Gross Credit (GC)", "Gross Debit (GC)")
    if gross is None or _cell(row, "Gross Currency") != currency:
        return net + fee
    if gross - fee != net and abs(gross - fee - net) >= Decimal(1).scaleb(-digits(currency)):
        raise unread("Net Credit (NC)", f"does not tie: gross {gross} - fees {fee} is not {net}")
    return gross


def _kind(word: str, net: Decimal) -> SettledKind:
    kind = KINDS.get(word, S.ADJUSTMENT)
    return kind if isinstance(kind, SettledKind) else kind[net > 0]


def _payout_id(row: Cells, currency: str) -> str | None:
    """Account, batch and currency: a batch is paid out once in each of its currencies."""
    batch = _text(row, "Batch Number")
    return batch and f"{_needed(row, 'Merchant Account')}:{batch}:{currency}"


def _line_ref(
    provider: str,
    word: str,
    payload: Payload,
    payout_id: str | None,
    transfer: re.Match[str] | None,
) -> str:
    """Adyen numbers modifications, not lines; what is no modification is named by all it says."""
    row = payload["row"]
    own = _text(row, "Modification Reference", "Psp Reference") or ""
    if word in ONCE and _text(row, "Psp Reference"):
        return storable(f"{provider}:{own}:{word}")
    if word == "MerchantPayout" and transfer is not None:
        return storable(f"{provider}:{payout_id}:{word}:{transfer[0]}")
    net = _net(row).normalize()
    time = _text(row, "Booking Date", "Creation Date")
    parts = [provider, payout_id or _needed(row, "Merchant Account"), word]
    parts += [_cell(row, "Psp Reference"), own, f"{time}", f"{net:f}"]
    occurrence = payload.get("facts", {}).get("occurrence")
    return storable(
        ":".join([part for part in parts if part] + ([occurrence] if occurrence else []))
    )


def _movement(row: Cells, payment_id: str | None, transfer: re.Match[str] | None) -> str | None:
    """The modification's reference; that of a line of the account is words, but for a transfer."""
    if payment_id is not None:
        return _text(row, "Modification Reference", "Psp Reference")
    return transfer[0] if transfer else None


def _paid(row: Cells, currency: str) -> Row:
    """What the customer paid, where that is another currency; the rate to six digits."""
    paid_currency = _cell(row, "Gross Currency")
    paid = _difference(row, "Gross Credit (GC)", "Gross Debit (GC)")
    if paid is None or paid_currency == currency:
        return {"paid_amount": None, "paid_currency": None, "exchange_rate": None}
    text = _cell(row, "Exchange Rate")
    if text and not _AMOUNT.fullmatch(text):
        raise unread("Exchange Rate", "is not a plain number")
    return {
        "paid_amount": paid,
        "paid_currency": currency_of(paid_currency, "Gross Currency"),
        "exchange_rate": rounded(Decimal(text), 6) if text else None,
    }


def _description(row: Cells, word: str) -> str:
    """The type, and for a line of the account its words."""
    said = [_cell(row, "Modification Merchant Reference")]
    if not _cell(row, "Psp Reference"):
        said.insert(0, _cell(row, "Modification Reference"))
    words = " ".join(dict.fromkeys(one for one in said if one))
    return cut(f"{word} {words}".strip() if word in KINDS else f"unknown type {word}: {words}")


def _payout(line: Row, payout_id: str | None, day: date, transfer: re.Match[str] | None) -> Row:
    if payout_id is None:
        raise unread("Batch Number", "is missing of a payout")
    return {
        "payout_ref": line["payout_ref"],
        "provider": line["provider"],
        "payout_id": payout_id,
        "kind": "payout",
        "currency": line["currency"],
        "paid_amount": -line["net_amount"],
        "opening_amount": None,
        "closing_amount": None,
        "paid_on": day,
        "state": "paid",
        "bank_reference": transfer[0] if transfer else None,
    }


# Payments accounting report


def _told(provider: str, payload: Payload) -> Found:
    row = payload["row"]
    word = _needed(row, "Record Type")
    if word in NO_EVENT:
        return Found()
    if word not in EVENTS:
        raise unread("Record Type", f"is a word that we do not know: {storable(word)[:60]!r}")
    kind, column = EVENTS[word]
    payment_id = _needed(row, "Psp Reference")
    movement_id = None if kind is E.AUTHORISED else _text(row, "Modification Psp Reference")
    if movement_id is None and kind not in (E.AUTHORISED, E.VOIDED):
        raise unread("Modification Psp Reference", f"is missing of a {word}")
    amount = _amount(row, column) or _amount(row, "Original Amount")
    if amount is None:
        raise unread("Original Amount", "is missing")
    return Found(
        events=[
            event(
                provider,
                kind,
                psp_reference=movement_id or payment_id,
                payment_id=payment_id,
                movement_id=movement_id,
                order_reference=_text(row, "Merchant Reference", "Merchant Order Reference"),
                amount=(
                    abs(amount),
                    currency_of(_cell(row, "Payment Currency"), "Payment Currency"),
                ),
                happened_at=_moment(row)[0],
                is_second=word == "SecondChargeback",
            )
        ]
    )


# Cells


def _cell(row: Cells, column: str) -> str:
    return row.get(column, "").strip()


def _text(row: Cells, *columns: str) -> str | None:
    """The first of these columns that says something."""
    found = next((text for column in columns if (text := _cell(row, column))), None)
    return storable(found) if found else None


def _needed(row: Cells, column: str) -> str:
    found = _text(row, column)
    if found is None:
        raise unread(column, "is missing")
    return found


def _amount(row: Cells, column: str) -> Decimal | None:
    """Plain money of at most six digits behind the point; None where nothing is said."""
    text = _cell(row, column)
    if not text:
        return None
    amount = _money(text)
    if amount is None:
        raise unread(column, "is not a plain amount of at most six digits behind the point")
    return amount


@lru_cache(maxsize=65536)
def _money(text: str) -> Decimal | None:
    if not _AMOUNT.fullmatch(text):
        return None
    amount = Decimal(text)
    if len(text.partition(".")[2]) <= 6:
        return amount
    kept = rounded(amount, 6)
    return kept if kept == amount else None


def _difference(row: Cells, credit: str, debit: str) -> Decimal | None:
    came, went = _amount(row, credit), _amount(row, debit)
    return None if came is None and went is None else (came or ZERO) - (went or ZERO)


def _moment(row: Cells) -> tuple[datetime, date]:
    """When it was booked, or made where that is not told; and which day that is there."""
    prefix = "Booking Date" if _cell(row, "Booking Date") else "Creation Date"
    text = _cell(row, prefix)
    zone, fold = _zone(_cell(row, f"{prefix} TimeZone") or _cell(row, "TimeZone"))
    try:
        local = datetime.fromisoformat(text if _TIME.fullmatch(text) else "")
        return local.replace(tzinfo=zone, fold=fold).astimezone(UTC), local.date()
    except (ValueError, OverflowError) as fault:
        raise unread(prefix, "is not a date and time") from fault


@lru_cache(maxsize=256)
def _zone(word: str) -> tuple[ZoneInfo, int]:
    name, fold = ZONES.get(word, (word, 0))
    try:
        return ZoneInfo(name), fold
    except (ZoneInfoNotFoundError, ValueError, OSError) as fault:
        message = f"is a zone that we do not know: {storable(word)[:40]!r}"
        raise unread("TimeZone", message) from fault
