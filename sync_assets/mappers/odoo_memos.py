"""Our credit memos in Odoo's words, 18 and 19, and Odoo's credit notes in ours. Pure.

The head is a row for `load()`, lines are values for a write; both are amounts as exact text. As
with orders, a line whose tax is contained in the price there gets net plus tax as its price.
"""

from collections.abc import Iterator, Mapping
from datetime import date
from decimal import Decimal
from html import escape
from typing import Any

from sync_assets.domain.money import digits_of, priced, rounded
from sync_assets.domain.orders import Problem, Rejected
from sync_assets.domain.returns import CreditMemo, MemoLine, SeenMemo
from sync_assets.mappers.odoo import PRICE_DIGITS, xid
from sync_assets.mappers.odoo_stock import number

Payload = dict[str, Any]
References = Mapping[str, Mapping[str, int]]

STATE_OF = {"draft": "draft", "posted": "posted", "cancel": "cancelled"}
ROUNDING = "Rounding"


def credit_memo(document: CreditMemo, references: References) -> Payload:
    """Return a credit memo as head and lines; raises Rejected with every reason."""
    known = _Known(document, references)
    company = known.find("company", document.company, "company")
    currency = known.find("currency", document.currency, "currency")
    lines = list(_lines(document, known))
    if known.problems:
        raise Rejected(known.problems)
    head = {
        "id": xid("cm", document.key),
        "ref": document.key,
        "currency_id/.id": str(currency),
        "invoice_date": document.issued_on.isoformat(),
        "narration": escape(document.reason),
    }
    return {
        "key": document.key,
        "order": document.order_id,
        "company": company,
        "head": head,
        "lines": lines,
    }


class _Known:
    """The ids behind the names of one memo, and the names nobody knows."""

    def __init__(self, document: CreditMemo, references: References) -> None:
        self.document, self.references = document, references
        self.problems: list[Problem] = []

    def find(self, kind: str, name: str, part: str) -> int:
        """The id of a name, that of the memo's own company first."""
        found = self._id(kind, name)
        if found is None:
            self.problem(f"erp.{kind}_unknown", part, f"Odoo has no single {part} {name!r}")
        return found or 0

    def _id(self, kind: str, name: str) -> int | None:
        ids = self.references.get(kind, {})
        return ids.get(f"{self.document.company}/{name}", ids.get(name))

    def is_gross(self, line: MemoLine) -> bool:
        """Whether Odoo reads the line's price as containing its taxes."""
        contained = set(self.references.get("gross_tax", {}).values())
        gross = [name for name in line.taxes if self._id("tax", name) in contained]
        if gross and len(gross) < len(line.taxes):
            text = f"{', '.join(line.taxes)}: some are contained in the price in Odoo, some are not"
            self.problem("erp.taxes_mixed", "tax", text)
        return bool(gross)

    def problem(self, code: str, part: str, message: str) -> None:
        """Remember a reason, each once."""
        found = Problem(code, part, message)
        if found not in self.problems:
            self.problems.append(found)


def _lines(document: CreditMemo, known: _Known) -> Iterator[Payload]:
    for place, line in enumerate(document.lines, start=1):
        taxes = [known.find("tax", name, "tax") for name in line.taxes]
        for quantity, price in _pieces(document, line, known):
            row = _row(line.item_id, line.description or line.item, quantity, price)
            is_sold = line.order_line is not None and line.units > 0
            yield row | {"tax_ids": taxes, "sequence": 10 * place, "is_sold": is_sold}


def _pieces(document: CreditMemo, line: MemoLine, known: _Known) -> list[tuple[Decimal, Decimal]]:
    """Quantities and prices that come to the line exactly; money only is one unit of it."""
    digits = digits_of(document.currency)
    amount = line.net_amount + (line.tax_amount if known.is_gross(line) else 0)
    try:
        return priced(amount, line.units or Decimal(1), max(PRICE_DIGITS, digits), digits)
    except ValueError as fault:
        known.problem("erp.amount_too_fine", line.key, str(fault))
        return []


def _row(item_id: int, name: str, quantity: Decimal, price: Decimal) -> Payload:
    return {
        "product_id": item_id,
        "name": name,
        "quantity": f"{quantity:f}",
        "price_unit": f"{price:f}",
        # Empty, not absent: otherwise Odoo fills in the product's own taxes.
        "tax_ids": [],
        "sequence": 0,
        "is_sold": False,  # whether it gives back units of a line of the order
    }


def rounding_line(document: CreditMemo, amount: Decimal, item_id: int) -> Payload:
    """Return the untaxed line that makes the memo's total equal to the refund."""
    row = _row(item_id, ROUNDING, Decimal(1), amount)
    return row | {"sequence": 10 * (len(document.lines) + 1)}


def seen_memo(payload: Mapping[str, Any]) -> SeenMemo:
    """Return a credit note as Odoo shows it; reversed once a posted entry takes it back."""
    word = payload.get("state")
    if word not in STATE_OF:
        text = f"Odoo calls the credit note {word!r}, a word we do not know"
        raise Rejected([Problem("erp.unknown_state", "state", text)])
    state = STATE_OF[word]
    if state == "posted" and any(r["state"] == "posted" for r in payload.get("reversals", ())):
        state = "reversed"
    is_booked = word == "posted"
    digits = digits_of((payload.get("currency_id") or (0, ""))[1])
    name = payload.get("name") or None
    return SeenMemo(
        key=payload.get("ref") or "",
        remote_id=int(payload["id"]),
        number=name,
        state=state,
        total_amount=rounded(number(payload.get("amount_total", 0)), digits),
        tax_amount=rounded(number(payload.get("amount_tax", 0)), digits),
        booked_on=date.fromisoformat(payload["date"]) if is_booked else None,
        # In Odoo a posted credit note is the journal entry itself.
        journal=name if is_booked else None,
        lines=len(payload.get("invoice_line_ids") or ()),
        twins=len(payload.get("twins", ())),
        payload=dict(payload),
    )
