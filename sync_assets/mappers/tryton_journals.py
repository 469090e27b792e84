"""Our journal entries in Tryton's words, and its entries and invoices in ours. Pure.

A line has debit or credit in the company's currency; where its own is another one, that amount
stands beside as a second currency, with the sign of the line. A difference of exchange is 0 there.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import date
from decimal import Decimal
from typing import Any

from sync_assets.domain.journals import (
    JournalDocument,
    JournalLine,
    SeenJournal,
    Total,
    invoiced,
    unfit,
)
from sync_assets.domain.money import digits_of, rounded
from sync_assets.domain.orders import Problem, Rejected, Row
from sync_assets.mappers.payload import storable

Payload = dict[str, Any]
References = Mapping[str, Mapping[str, int]]

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
    known = _Known(document, references)
    payload = {
        "key": document.key,
        "company": known.plain("company", document.company),
        "journal": known.find("journal", document.journal),
        "date": document.on.isoformat(),
        "lines": [_line(line, document, known) for line in document.lines],
    }
    known.check_currency()
    if known.problems:
        raise Rejected(known.problems)
    return payload


def _line(line: JournalLine, document: JournalDocument, known: "_Known") -> Payload:
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


class _Known:
    """The ids behind the names of one entry, and why it cannot be sent."""

    def __init__(self, document: JournalDocument, references: References) -> None:
        self.document, self.references = document, references
        self.problems: list[Problem] = list(unfit(document))

    def check_currency(self) -> None:
        """Note a company that keeps its books in another currency."""
        name, wanted = self.document.company, self.document.company_currency
        kept = self.references.get("company_currency", {}).get(name)
        if kept is not None and kept != self.references.get("currency", {}).get(wanted):
            self.problem("company", f"company {name!r} does not keep its books in {wanted}")

    def find(self, kind: str, code: str) -> int:
        """The id of a code of the entry's own company; 0 where there is none."""
        company = self.document.company
        found = self.references.get(kind, {}).get(f"{company}/{code}")
        if found is None:
            self.problem(kind, f"Tryton has no single {kind} {code!r} in company {company!r}")
        return found or 0

    def plain(self, kind: str, name: str) -> int:
        """The id of a name that belongs to no company; 0 where there is none."""
        found = self.references.get(kind, {}).get(name)
        if found is None:
            self.problem(kind, f"Tryton has no single {kind} {name!r}")
        return found or 0

    def problem(self, kind: str, message: str) -> None:
        """Remember a reason, each once."""
        found = Problem(f"erp.{kind}_unknown", kind, f"{message}; nothing was sent")
        if found not in self.problems:
            self.problems.append(found)


def seen_journal(payload: Mapping[str, Any]) -> SeenJournal:
    """Return an entry as Tryton shows it; reversed once a posted entry takes it back."""
    state = _state("entry", ENTRY_STATES, payload)
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
        totals=_totals(payload["lines"], currency),
        total_amount=rounded(debits, digits_of(currency)),
        lines=len(payload["lines"]),
        twins=len(payload.get("twins", ())),
        payload=dict(payload),
    )


def _totals(lines: Iterable[Payload], company_currency: str) -> dict[tuple[str, str], Total]:
    """What the lines of each account and currency come to."""
    sums: dict[tuple[str, str], list[Decimal]] = defaultdict(lambda: [Decimal(), Decimal()])
    for line in lines:
        second = (line["second_currency."] or {}).get("code")
        books = _amount(line["debit"]) - _amount(line["credit"])
        both = sums[
            line["account."]["code"] or f"#{line['account.']['id']}", second or company_currency
        ]
        both[0] += _amount(line["amount_second_currency"]) if second else books
        both[1] += books
    return {
        key: Total(rounded(own, digits_of(key[1])), rounded(books, digits_of(company_currency)))
        for key, (own, books) in sums.items()
    }


def invoice(erp: str, resource_id: str, payload: Mapping[str, Any]) -> Row:
    """Return an invoice to a customer; one that comes to less than nothing is a credit memo."""
    state = _state("invoice", INVOICE_STATES, payload)
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
        text = f"the invoice cannot be read ({type(fault).__name__})"
        raise Rejected([Problem("thing.malformed", "invoice", text)]) from fault


def _state(what: str, words: Mapping[str, str], payload: Mapping[str, Any]) -> str:
    word = payload.get("state")
    if not isinstance(word, str) or word not in words:
        text = f"Tryton calls the {what} {word!r}, a word we do not know"
        raise Rejected([Problem("erp.unknown_state", "state", text)])
    return words[word]


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
