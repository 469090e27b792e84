"""Reading what PayPal says, in files and over the API, value by value: exact or `Rejected`.

Messages name the part and the fault, and what to do; never the value.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from sync_assets.domain.money import digits_of
from sync_assets.domain.orders import Problem, Rejected, Row
from sync_assets.domain.payments import LONGEST_TEXT, EventKind
from sync_assets.mappers.payload import storable

Payload = Mapping[str, Any]
ZERO = Decimal()

_CURRENCY = re.compile(r"[A-Z]{3}")
_HUNDREDTHS = re.compile(r"[0-9]{1,14}", re.ASCII)
_DECIMAL = re.compile(r"-?(?:[0-9]{1,12}(?:\.[0-9]{1,6})?|\.[0-9]{1,6})", re.ASCII)
_STAMP = re.compile(r"\d{4}/\d\d/\d\d \d\d:\d\d:\d\d [+-]\d{4}", re.ASCII)
_ID = re.compile(r"[!-~]{1,120}")


def event_row(
    provider: str,
    kind: EventKind,
    movement_id: str,
    *,
    payment_id: str | None,
    group_id: str | None,
    order_reference: str | None,
    money: tuple[Decimal, str],
    happened_at: datetime,
    reason: str | None,
) -> Row:
    return {
        "event_ref": f"{provider}:{movement_id}:{kind}",
        "provider": provider,
        "kind": str(kind),
        "payment_id": payment_id,
        "group_id": group_id,
        "movement_id": movement_id,
        "order_reference": order_reference,
        "amount": abs(money[0]),
        "currency": money[1],
        "happened_at": happened_at,
        "reason": reason or "",
    }


class Cells:
    """The texts of one row; an empty one is none."""

    def __init__(self, body: Payload) -> None:
        self.body = body

    def said(self, name: str) -> str | None:
        value = self.body.get(name)
        return cut(value.strip()) or None if isinstance(value, str) else None

    def own(self, name: str) -> str | None:
        """What the shop put in to know the payment by; an address of a person is not kept."""
        found = self.said(name)
        return None if found is None or "@" in found else found

    def needed(self, name: str) -> str:
        return self.said(name) or missing(name)


def unread(part: str, message: str) -> Rejected:
    return Rejected([Problem("thing.malformed", part, message)])


def missing(part: str) -> str:
    raise unread(part, "is missing")


def mapping(value: Payload, key: str) -> Payload:
    found = value.get(key)
    if not isinstance(found, Mapping):
        raise unread(key, "is not an object")
    return found


def part(value: Payload, key: str) -> Payload:
    """An object that may be left out."""
    found = value.get(key)
    return found if isinstance(found, Mapping) else {}


def text_of(value: object) -> str | None:
    return cut(value) if isinstance(value, str) and value else None


def cut(text: str) -> str:
    return storable(text)[:LONGEST_TEXT]


def id_of(text: str, part: str) -> str:
    if not _ID.fullmatch(text):
        raise unread(part, "is no id")
    return text


def currency_of(text: object) -> str:
    if not isinstance(text, str) or not _CURRENCY.fullmatch(text):
        raise unread("currency", "is not a currency code of three capitals")
    return text


def same_currency(part: str, said: str, currency: str) -> None:
    if said != currency:
        raise unread(part, f"is in {said}, its transaction in {currency}; book it by hand")


def units(row: Cells, amount: str, side: str, currency: str) -> Decimal:
    """A signed amount of a file: credits are positive."""
    text, mark = row.needed(amount), row.needed(side)
    if not _HUNDREDTHS.fullmatch(text):
        raise unread(amount, "is not a whole number of hundredths")
    if mark not in ("CR", "DR"):
        raise unread(side, "is neither CR nor DR")
    value = Decimal(text).scaleb(-2)
    if digits_of(currency) == 0 and value % 1:
        raise unread(amount, f"has parts of a {currency}; ask PayPal how the report counts it")
    return value if mark == "CR" else -value


def fee_units(row: Cells, currency: str) -> Decimal:
    """The fee of a row as it moves the balance; none where the columns are empty."""
    text = row.said("Fee Amount")
    if text is None or (not text.strip("0") and row.said("Fee Debit or Credit") is None):
        return ZERO
    same_currency("Fee Currency", row.said("Fee Currency") or currency, currency)
    return units(row, "Fee Amount", "Fee Debit or Credit", currency)


def balance(said: object) -> Decimal | None:
    return Decimal(said) if isinstance(said, str) and _DECIMAL.fullmatch(said) else None


def money_of(value: Payload, key: str) -> tuple[Decimal, str]:
    said = mapping(value, key)
    text = said.get("value")
    if not isinstance(text, str) or not _DECIMAL.fullmatch(text):
        raise unread(key, "is not a plain decimal")
    return Decimal(text), currency_of(said.get("currency_code"))


def stamp(text: str) -> datetime:
    """A time of a file, `2026/01/06 00:00:30 -0800`, in the offset it is written with."""
    try:
        if _STAMP.fullmatch(text):
            return datetime.fromisoformat(f"{text[:19].replace('/', '-')}{text[20:]}")
    except ValueError:
        pass
    raise unread("Transaction Completion Date", "is not a date and time with an offset")


def moment(text: str, part: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None:
            raise unread(part, "names no time zone")
        return moment.astimezone(UTC)
    except (ValueError, OverflowError) as fault:
        raise unread(part, "is not a date and time") from fault
