"""Lines of bank statements in our words, whichever way the bank writes them. Pure.

The reader has given days and amounts their plain writing; its cells and facts are told at the
head of `resources/systems/bank_reports.py`.
"""

import re
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Any

from sync_assets.domain.orders import Problem, Rejected, Row
from sync_assets.domain.payments import LONGEST_TEXT, Found
from sync_assets.mappers.payload import storable

Payload = Mapping[str, Any]

CODE = "thing.malformed"

_AMOUNT = re.compile(r"-?[0-9]{1,14}(?:\.[0-9]{1,6})?")
_CURRENCY = re.compile(r"[A-Z]{3}")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_NUMBER = re.compile(r"[0-9]{1,18}")


def report_line(account: str, payload: Payload) -> Found:
    """One line of a file as a bank line, or a statement for itself; raises Rejected.

    `account` is our name of the bank account.
    """
    row, facts = _part(payload, "row"), _part(payload, "facts")
    if row.get("kind") == "statement":
        return Found(statements=[_statement(account, facts)])
    if row.get("kind") == "line":
        return Found(bank_lines=[_bank_line(account, payload, row, facts)])
    raise _unread("row.kind", "is neither line nor statement")


def _statement(account: str, facts: Mapping[str, str]) -> Row:
    sequence = facts.get("sequence") or facts.get("legal_sequence") or ""
    return {
        "statement_ref": _statement_ref(account, facts),
        "account": account,
        "number": int(sequence) if _NUMBER.fullmatch(sequence) else 0,
        "currency": _currency(facts),
        "opening_amount": _amount(facts, "opening") if facts.get("opening") else None,
        "closing_amount": _amount(facts, "closing") if facts.get("closing") else None,
        "from_on": _day(facts, "from"),
        "until_on": _day(facts, "until"),
    }


def _bank_line(
    account: str, payload: Payload, row: Mapping[str, str], facts: Mapping[str, str]
) -> Row:
    return {
        "bank_line_ref": f"{account}:{_needed(row, 'key')}",
        "account": account,
        "statement_ref": _statement_ref(account, facts),
        "booked_on": _day(row, "booked_on"),
        "valued_on": _day(row, "valued_on") if row.get("valued_on") else None,
        "amount": _amount(row, "amount"),
        "currency": _currency(row),
        "bank_reference": _text(row, "bank_reference"),
        "end_to_end_id": _text(row, "end_to_end_id"),
        "counterparty": _text(row, "counterparty"),
        "description": _description(row),
        "is_reversal": row.get("is_reversal") == "true",
        "file_name": str(payload["file"]),
        "file_line": int(payload["line"]),
    }


def _statement_ref(account: str, facts: Mapping[str, str]) -> str:
    """Account and the bank's id; a page of a statement has balances of its own."""
    page = f"p{facts['page']}" if facts.get("page") else ""
    parts = [account, _needed(facts, "statement_id"), facts.get("sequence", ""), page]
    return storable(":".join(part for part in parts if part))


def _description(row: Mapping[str, str]) -> str:
    """The remittance information; what the bank kept for itself explains a difference."""
    charges = f"charges {row['charges']}" if row.get("charges") else ""
    text = " ".join(part for part in (row.get("description", ""), charges) if part)
    return storable(text)[:LONGEST_TEXT]


# Values


def _unread(part: str, message: str) -> Rejected:
    return Rejected([Problem(CODE, part, message)])


def _part(payload: Payload, key: str) -> Mapping[str, str]:
    found = payload.get(key)
    if not isinstance(found, Mapping):
        raise _unread(key, "is not an object")
    return found


def _needed(cells: Mapping[str, str], key: str) -> str:
    if not (text := cells.get(key)):
        raise _unread(key, "is missing")
    return storable(text)


def _text(cells: Mapping[str, str], key: str) -> str | None:
    text = cells.get(key)
    return storable(text)[:LONGEST_TEXT] if text else None


def _amount(cells: Mapping[str, str], key: str) -> Decimal:
    text = cells.get(key, "")
    if not _AMOUNT.fullmatch(text):
        raise _unread(key, "is not a plain amount")
    return Decimal(text)


def _currency(cells: Mapping[str, str]) -> str:
    text = cells.get("currency", "")
    if not _CURRENCY.fullmatch(text):
        raise _unread("currency", "is not a currency code of three capitals")
    return text


def _day(cells: Mapping[str, str], key: str) -> date:
    text = cells.get(key, "")
    try:
        if _DAY.fullmatch(text):
            return date.fromisoformat(text)
    except ValueError:
        pass
    raise _unread(key, "is not a day")
