"""Lines of remittance files in our words: cash on delivery, vouchers, other acquirers. Pure.

The columns are told in `resources/systems/remittance_reports.py`. In a file without a negative
gross the kind says where money went: refund, chargeback, fee and payout leave what the remitter
owes us. Where a gross is negative all signs are taken as they stand, a payout to our bank is < 0.
"""

import hashlib
import re
from collections.abc import Mapping
from datetime import date, datetime, tzinfo
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sync_assets.domain.money import digits_of
from sync_assets.domain.orders import Problem, Rejected, Row
from sync_assets.domain.payments import LONGEST_TEXT, Found, SettledKind, ToldBy
from sync_assets.mappers.csv_words import moment
from sync_assets.mappers.payload import storable

Payload = Mapping[str, Any]
Cells = Mapping[str, str]

CODE = "thing.malformed"
KIND_OF = {
    word: SettledKind(word)
    for word in (
        *("sale", "refund", "chargeback", "chargeback_reversed"),
        *("fee", "adjustment", "payout", "payout_returned", "topup", "refund_failed"),
        *("reserve_held", "reserve_released", "tax_withheld", "conversion"),
    )
}
#: What goes out, and what comes in; fees, adjustments and payouts may do either.
GOES = frozenset({SettledKind.REFUND, SettledKind.CHARGEBACK, SettledKind.RESERVE_HELD})
COMES = frozenset(
    {
        *(SettledKind.SALE, SettledKind.CHARGEBACK_REVERSED, SettledKind.REFUND_FAILED),
        *(SettledKind.RESERVE_RELEASED, SettledKind.TOPUP),
    }
)
#: What is negative in a file that leaves signs out.
TURNED = GOES | {SettledKind.FEE, SettledKind.PAYOUT, SettledKind.TAX_WITHHELD}
#: A longer key of ours is shortened to a digest.
LONGEST_REF = 200

_CURRENCY = re.compile(r"[A-Z]{3}")
_MINUS = str.maketrans("\u2212\u2013", "--")
_PLAIN = re.compile(r"[0-9]{1,14}(?:[.,][0-9]{1,6})?")
_GROUPED = re.compile(
    "(?P<whole>[0-9]{1,3}(?P<between>[.,' \u00a0\u202f\u2019])[0-9]{3}"
    r"(?:(?P=between)[0-9]{3}){0,2})(?:(?!(?P=between))[.,](?P<fraction>[0-9]{1,6}))?"
)
_EUROPEAN = re.compile(r"(\d\d?)\.(\d\d?)\.(\d{4})(.*)", re.ASCII)
_COMPACT = re.compile(r"(\d{4})/?(\d\d)/?(\d\d)(.*)", re.ASCII)
_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)


def report_line(provider: str, payload: Payload) -> Found:
    """One line of a remittance; a payout also as a payout for itself; raises Rejected."""
    row, facts = _part(payload, "row"), _part(payload, "facts")
    word = "_".join(row.get("kind", "").casefold().split())
    money = _Money(row, word, is_signed=facts.get("signs") == "signed")
    occurred_at = _occurred_at(row, _zone(facts))
    payout_ref = _payout_ref(provider, row, money.kind)
    line = {
        "line_ref": _line_ref(provider, row, money, occurred_at),
        "provider": provider,
        "kind": str(money.kind),
        "payout_ref": payout_ref,
        "payment_id": _text(row, "payment_id"),
        "group_id": None,
        "movement_id": _text(row, "transaction_id"),
        "order_reference": _text(row, "order_reference"),
        "method": _text(row, "method"),
        "currency": money.currency,
        "gross_amount": money.gross,
        "fee_amount": money.fee,
        "fee_tax_amount": money.tax,
        "net_amount": money.net,
        "paid_amount": None,
        "paid_currency": None,
        "exchange_rate": None,
        "occurred_at": occurred_at,
        "description": _description(row, word),
        "fee_detail": None,
        "told_by": str(ToldBy.FILE),
        "file_name": str(payload["file"]),
        "file_line": int(payload["line"]),
    }
    payouts = []
    if money.kind is SettledKind.PAYOUT:
        payouts.append(_payout(provider, row, money, payout_ref or "", occurred_at))
        line["movement_id"] = payouts[0]["payout_id"]
    return Found(lines=[line], payouts=payouts)


def _payout(
    provider: str, row: Cells, money: "_Money", payout_ref: str, occurred_at: datetime
) -> Row:
    return {
        "payout_ref": payout_ref,
        "provider": provider,
        "payout_id": payout_ref.removeprefix(f"{provider}:"),
        "kind": "payout",
        "currency": money.currency,
        "paid_amount": -money.net,
        "opening_amount": None,
        "closing_amount": None,
        "paid_on": _day(row, "paid_on") if row.get("paid_on") else occurred_at.date(),
        "state": "paid",
        "bank_reference": _text(row, "bank_reference"),
    }


def _payout_ref(provider: str, row: Cells, kind: SettledKind) -> str | None:
    """The payout that a line is in; a payout without an id is known by its line, bank or day."""
    if row.get("payout_id"):
        return f"{provider}:{_text(row, 'payout_id')}"
    if kind is not SettledKind.PAYOUT:
        return None
    for key in ("transaction_id", "bank_reference"):
        if row.get(key):
            return f"{provider}:{_text(row, key)}"
    if row.get("paid_on"):
        return f"{provider}:{_day(row, 'paid_on').isoformat()}"
    raise _unread("payout_id", "is empty, and so is what could stand for it")


def _line_ref(provider: str, row: Cells, money: "_Money", occurred_at: datetime) -> str:
    """The remitter's id of the line, or all that tells it from others."""
    if row.get("transaction_id"):
        return _short(provider, [_text(row, "transaction_id") or ""])
    parts = [
        *(row.get(key, "") for key in ("payout_id", "order_reference", "payment_id")),
        *(str(money.kind), occurred_at.isoformat(), money.currency),
        *(format(money.gross.normalize(), "f"), row.get("repeat", "")),
    ]
    return _short(provider, [storable(part) for part in parts if part])


def _short(provider: str, parts: list[str]) -> str:
    text = ":".join(parts)
    if len(text) > LONGEST_REF:
        text = hashlib.sha256(text.encode()).hexdigest()[:32]
    return f"{provider}:{text}"


def _description(row: Cells, word: str) -> str:
    said = " ".join(row.get("description", "").split())
    unknown = f"unknown type {word}: " if word and word not in KIND_OF else ""
    return storable(f"{unknown}{said}")[:LONGEST_TEXT]


# Amounts


class _Money:
    """What a line moves, in our signs; it ties, or is Rejected with its sums."""

    def __init__(self, row: Cells, word: str, *, is_signed: bool) -> None:
        self.currency = row.get("currency", "").upper()
        if not _CURRENCY.fullmatch(self.currency):
            raise _unread("currency", "is not a currency code of three letters")
        self.digits = digits_of(self.currency)
        self.gross = self._amount(row, "gross")
        self.fee, self.tax = self._amount(row, "fee"), self._amount(row, "fee_tax")
        self.kind = self._kind(word)
        net = self._amount(row, "net") if row.get("net") else None
        is_turned = not is_signed and self.kind in TURNED
        if is_turned:
            self.gross = -abs(self.gross)
        self._tie(net, is_turned)
        if self.kind is SettledKind.FEE:  # a fee by itself takes no fee
            self.gross, self.fee = self.gross - self.fee, Decimal()
        self._check()
        self.net = self.gross - self.fee - self.tax

    def _kind(self, word: str) -> SettledKind:
        """What it is; without a word, what comes is a sale and what goes a refund."""
        if word:
            return KIND_OF.get(word, SettledKind.ADJUSTMENT)
        return SettledKind.SALE if self.gross >= 0 else SettledKind.REFUND

    def _tie(self, net: Decimal | None, is_turned: bool) -> None:
        """Find by the net how fees are written."""
        if net is None:
            if self.fee < 0 or self.tax < 0:
                raise _unread("fee", "is negative, and no net says if it was taken or given back")
            if self.kind is SettledKind.FEE and self.gross and self.fee:
                raise _unread("fee", "stands beside a gross, and no net says if it is the same")
            return
        nets = (-net, net) if is_turned else (net,)
        costs = self.fee + self.tax
        if self.gross - costs in nets:
            return
        if self.gross + costs in nets:
            self.fee, self.tax = -self.fee, -self.tax
            return
        told = f"gross {self.gross}, fee {self.fee}, fee tax {self.tax}, net {net}"
        raise _unread("net", f"is not gross less fees: {told}")

    def _check(self) -> None:
        if self.kind in GOES and self.gross > 0:
            raise _unread("gross", f"of a {self.kind} is positive in a file with signs")
        if self.kind in COMES and self.gross < 0:
            raise _unread("gross", f"of a {self.kind} is negative")
        if self.kind is SettledKind.PAYOUT and (self.fee or self.tax):
            raise _unread("fee", "of a payout must be a line of its own, of the kind fee")

    def _amount(self, row: Cells, key: str) -> Decimal:
        text = row.get(key, "").translate(_MINUS).strip()
        if not text and key in ("fee", "fee_tax"):
            return Decimal()
        body = text
        if text[:1] in ("-", "+"):
            body = text[1:].lstrip()
        elif text[-1:] in ("-", "+"):
            body = text[:-1].rstrip()
        found = self._plain(key, body) if _PLAIN.fullmatch(body) else _grouped(key, body)
        return -found if "-" in text else found

    def _plain(self, key: str, body: str) -> Decimal:
        """One separator at most: before three digits it may stand for thousands."""
        whole, _, fraction = body.replace(",", ".").partition(".")
        if len(fraction) == 3 and len(whole) <= 3 and whole.strip("0"):
            if self.digits == 0:
                return Decimal(whole + fraction)
            if self.digits != 3 or "," in body:
                raise _unread(key, f"{body!r} may mean thousands or thousandths")
        return Decimal(f"{whole}.{fraction}" if fraction else whole)


def _grouped(key: str, body: str) -> Decimal:
    found = _GROUPED.fullmatch(body)
    if found is None:
        raise _unread(key, "is not an amount")
    whole = re.sub(r"[^0-9]", "", found["whole"])
    return Decimal(f"{whole}.{found['fraction']}" if found["fraction"] else whole)


# Values


def _unread(part: str, message: str) -> Rejected:
    return Rejected([Problem(CODE, part, message)])


def _part(payload: Payload, key: str) -> Cells:
    found = payload.get(key)
    if not isinstance(found, Mapping):
        raise _unread(key, "is not an object")
    return found


def _text(row: Cells, key: str) -> str | None:
    text = " ".join(row.get(key, "").split())
    return storable(text)[:LONGEST_TEXT] if text else None


def _zone(facts: Cells) -> tzinfo:
    try:
        return ZoneInfo(facts.get("zone", "UTC"))
    except (ZoneInfoNotFoundError, ValueError, OSError) as fault:
        raise _unread("zone", "is no time zone") from fault


def _occurred_at(row: Cells, zone: tzinfo) -> datetime:
    """When it was booked; the day it was paid stands for it where nothing else is told."""
    key = "occurred_at" if row.get("occurred_at") else "paid_on"
    text = _iso(row.get(key, ""))
    if not text:
        raise _unread("occurred_at", "is empty, and so is paid_on")
    found = moment(f"{text}T00:00" if _DAY.fullmatch(text) else text, zone)
    if found is None:
        raise _unread(key, "is no time like 2026-11-21T06:00:00+01:00, nor a day like 21.11.2026")
    return found


def _day(row: Cells, key: str) -> date:
    try:
        return date.fromisoformat(_iso(row.get(key, ""))[:10])
    except ValueError as fault:
        raise _unread(key, "is no day like 2026-11-21 or 21.11.2026") from fault


def _iso(text: str) -> str:
    """A day as ISO writes it; with slashes and the year last nobody knows which is the month."""
    if found := _EUROPEAN.fullmatch(text):
        day, month, year, time = found.groups()
        return f"{year}-{month:0>2}-{day:0>2}{time}"
    if found := _COMPACT.fullmatch(text):
        year, month, day, time = found.groups()
        return f"{year}-{month}-{day}{time}"
    return text
