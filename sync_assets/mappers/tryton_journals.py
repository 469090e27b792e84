"""Our journal entries in Tryton's words, and its entries and invoices in ours. Pure.

A line has debit or credit in the company's currency; where its own is another one, that amount
stands beside as a second currency, with the sign of the line. A difference of exchange is 0 there.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from decimal import Decimal
from typing import Any

from sync_assets.domain.journals import JournalDocument, JournalLine, SeenJournal, invoiced
from sync_assets.domain.money import digits_of, rounded
from sync_assets.domain.orders import Problem, Rejected, Row
from sync_assets.mappers.journal_names import Names, References, state_of, totals, unreadable
from sync_assets.mappers.payload import storable

Payload = dict[str, Any]

ENTRY_STATES = {"draft": "draft", "posted": "posted"}
INVOICE_STATES = {
    "draft": "draft",
    "validated": "draft",
    "posted": "posted",
    "paid": "posted",
    "cancelled": "cancelled",
}


def journal(document: JournalDocument, references: References) -> Payload:
    """Return an entry with its lines; raises Rejected with every reason."""
    known = Names("Tryton", document, references)
    payload = {
        "key": document.key,
        "company": known.company(),
        "journal": known.find("journal", document.journal),
        "date": document.on.isoformat(),
        "lines": [_line(line, document, known) for line in document.lines],
    }
    if known.problems:
        raise Rejected(known.problems)
    return payload


def _line(line: JournalLine, document: JournalDocument, known: Names) -> Payload:
    is_foreign = line.currency != document.company_currency
    second = known.plain("currency", line.currency) if is_foreign else None
    return {
        "account": known.find("account", line.account),
        "debit": max(line.company_amount, Decimal()),
        "credit": max(-line.company_amount, Decimal()),
        "second_currency": second,
        "amount_second_currency": line.amount if is_foreign else None,
        # The head holds our key, so the batch and what it is about stand on the lines.
        "description": line.description or f"{document.reference}: {document.description}",
        "party": line.party,
    }


def seen_journal(payload: Mapping[str, Any]) -> SeenJournal:
    """Return an entry as Tryton shows it; reversed once a posted entry takes it back."""
    state = state_of("Tryton", "entry", ENTRY_STATES, payload)
    is_booked = state == "posted"
    if is_booked and payload.get("taken_back_by"):
        state = "reversed"
    currency = payload["company."]["currency."]["code"]
    debits = sum((_amount(line["debit"]) for line in payload["lines"]), Decimal())
    return SeenJournal(
        key=payload["key"],
        remote_id=int(payload["id"]),
        number=payload.get("number") or None,
        state=state,
        booked_on=date.fromisoformat(payload["date"]) if is_booked else None,
        totals=totals(_amounts(payload["lines"], currency), currency),
        total_amount=rounded(debits, digits_of(currency)),
        lines=len(payload["lines"]),
        twins=len(payload.get("twins", ())),
        payload=dict(payload),
    )


def _amounts(
    lines: Iterable[Payload], company_currency: str
) -> Iterator[tuple[str, str, Decimal, Decimal]]:
    """Lines as sums want them; an account without a code has its id."""
    for line in lines:
        account, second = line["account."], (line["second_currency."] or {}).get("code")
        books = _amount(line["debit"]) - _amount(line["credit"])
        own = _amount(line["amount_second_currency"]) if second else books
        yield account["code"] or f"#{account['id']}", second or company_currency, own, books


def invoice(erp: str, resource_id: str, payload: Mapping[str, Any]) -> Row:
    """Return an invoice to a customer; one that comes to less than nothing is a credit memo."""
    state = state_of("Tryton", "invoice", INVOICE_STATES, payload)
    try:
        currency, day = str(payload["currency"]), payload["invoice_date"]
        total, tax = _amount(payload["total_amount"]), _amount(payload["tax_amount"])
        sign = -1 if total < 0 else 1
        return {
            "invoice_ref": f"{erp}:{resource_id}",
            "system": erp,
            "order_ref": _only_order(payload["orders"]),
            "number": storable(payload["number"]) if payload["number"] else None,
            "state": state,
            "kind": "credit_memo" if total < 0 else "invoice",
            "currency": currency,
            "total_amount": invoiced(sign * total, currency),
            "tax_amount": invoiced(sign * tax, currency),
            "invoiced_on": date.fromisoformat(day) if day else None,
        }
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as fault:
        raise unreadable(fault) from fault


def _only_order(orders: Iterable[Payload]) -> str | None:
    """The key of the one order of ours."""
    found = {order["key"] for order in orders}
    key = found.pop() if len(found) == 1 else None
    return None if key is None else storable(key)


def _amount(value: object) -> Decimal:
    """An exact amount; kept payloads hold it as text."""
    if isinstance(value, int | Decimal | str) and not isinstance(value, bool):
        exact = Decimal(value)
        if exact.is_finite():
            return exact
    raise Rejected([Problem("erp.malformed", "amount", "an amount is no exact number")])
