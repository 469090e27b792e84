"""Our journal entries in Odoo's words, 18 and 19, and its entries and invoices in ours. Pure.

The head is a row for `load()`, lines are values for a write, amounts as exact text. A line has its
amount in its own currency beside debit or credit in the company's; a difference of exchange is 0 in
the other currency, as in the entries Odoo makes of one itself.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from decimal import Decimal
from html import escape
from typing import Any

from sync_assets.domain.journals import JournalDocument, JournalLine, SeenJournal, invoiced
from sync_assets.domain.money import digits_of, rounded
from sync_assets.domain.orders import Problem, Rejected, Row
from sync_assets.mappers.journal_names import Names, References, state_of, totals, unreadable
from sync_assets.mappers.odoo import xid
from sync_assets.mappers.odoo_stock import number
from sync_assets.mappers.payload import storable

Payload = dict[str, Any]

STATE_OF = {"draft": "draft", "posted": "posted", "cancel": "cancelled"}
KIND_OF = {"out_invoice": "invoice", "out_refund": "credit_memo"}


def journal(document: JournalDocument, references: References) -> Payload:
    """Return an entry as head and lines; raises Rejected with every reason."""
    known = Names("Odoo", document, references)
    known.company()
    journal_id = known.find("journal", document.journal)
    lines = [_line(line, known) for line in document.lines]
    if known.problems:
        raise Rejected(known.problems)
    head = {
        "id": xid("je", document.key),
        "move_type": "entry",
        "ref": document.key,
        "date": document.on.isoformat(),
        "journal_id/.id": str(journal_id),
        "narration": escape(f"{document.reference}: {document.description}"),
    }
    return {"key": document.key, "head": head, "lines": lines}


def _line(line: JournalLine, known: Names) -> Payload:
    return {
        "account_id": known.find("account", line.account),
        "name": line.description,
        "currency_id": known.plain("currency", line.currency),
        "amount_currency": f"{line.amount:f}",
        "debit": f"{max(line.company_amount, Decimal()):f}",
        "credit": f"{max(-line.company_amount, Decimal()):f}",
        "party": line.party,
    }


def seen_journal(payload: Mapping[str, Any]) -> SeenJournal:
    """Return an entry as Odoo shows it; reversed once a posted entry takes it back."""
    state = state_of("Odoo", "entry", STATE_OF, payload)
    if state == "posted" and any(r["state"] == "posted" for r in payload.get("reversals", ())):
        state = "reversed"
    is_booked = payload["state"] == "posted"
    currency = payload["company_currency_id"][1]
    debits = sum((number(line["debit"]) for line in payload["lines"]), Decimal())
    return SeenJournal(
        key=payload.get("ref") or "",
        remote_id=int(payload["id"]),
        number=payload.get("name") or None,
        state=state,
        booked_on=date.fromisoformat(payload["date"]) if is_booked else None,
        totals=totals(_amounts(payload["lines"]), currency),
        total_amount=rounded(debits, digits_of(currency)),
        lines=len(payload["lines"]),
        twins=len(payload.get("twins", ())),
        payload=dict(payload),
    )


def _amounts(lines: Iterable[Payload]) -> Iterator[tuple[str, str, Decimal, Decimal]]:
    """Lines as sums want them; an account without a code has its id."""
    for line in lines:
        code = line["account_code"] or f"#{line['account_id'][0]}"
        books = number(line["debit"]) - number(line["credit"])
        yield code, line["currency_id"][1], number(line["amount_currency"]), books


def invoice(erp: str, resource_id: str, payload: Mapping[str, Any]) -> Row:
    """Return an invoice or credit note to a customer; amounts are positive there."""
    word = payload.get("move_type")
    if not isinstance(word, str) or word not in KIND_OF:
        text = f"Odoo calls the document {word!r}, which is no invoice to a customer"
        raise Rejected([Problem("erp.unknown_kind", "move_type", text)])
    state = state_of("Odoo", "invoice", STATE_OF, payload)
    try:
        currency, day = str(payload["currency_id"][1]), payload["invoice_date"]
        return {
            "invoice_ref": f"{erp}:{resource_id}",
            "system": erp,
            "order_ref": _only_order(payload["orders"]),
            "number": _text(payload["name"]),
            "state": state,
            "kind": KIND_OF[word],
            "currency": currency,
            "total_amount": invoiced(number(payload["amount_total"]), currency),
            "tax_amount": invoiced(number(payload["amount_tax"]), currency),
            "invoiced_on": date.fromisoformat(day) if day else None,
        }
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as fault:
        raise unreadable(fault) from fault


def _only_order(orders: Iterable[Payload]) -> str | None:
    """The key of the one order; Odoo may put several orders on one invoice."""
    found = {order["reference"] for order in orders}
    return _text(found.pop()) if len(found) == 1 else None


def _text(value: object) -> str | None:
    """Text the database can hold; `false` and the `/` of drafts are none."""
    return None if value in (None, False, "", "/") else storable(str(value))
