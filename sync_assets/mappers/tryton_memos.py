"""Our credit memos in Tryton's words, and its credit notes in ours. Pure.

A credit note there is an invoice to the customer with negative quantities. Amounts stay `Decimal`;
Tryton works out the tax, and its total is read back.
"""

from collections.abc import Iterator, Mapping
from datetime import date
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

from sync_assets.domain.money import digits_of, priced, rounded
from sync_assets.domain.orders import Problem, Rejected
from sync_assets.domain.returns import CreditMemo, MemoLine, SeenMemo
from sync_assets.mappers.tryton import PRICE_DIGITS

Payload = dict[str, Any]
References = Mapping[str, Mapping[str, int]]

STATE_OF = {
    "draft": "draft",
    "validated": "draft",
    "posted": "posted",
    # A credit note is paid once its money is matched with it.
    "paid": "posted",
    "cancelled": "cancelled",
}
ROUNDING = "Rounding"


def credit_memo(document: CreditMemo, references: References) -> Payload:
    """Return a credit memo with its lines; raises Rejected with every reason."""
    known = _Known(document, references)
    day = document.issued_on.isoformat()
    payload = {
        "key": document.key,
        "order": document.order_id,
        "company": known.find("company", document.company),
        "currency": known.find("currency", document.currency),
        # Numbers go by the day of the invoice, the books by the other one.
        "invoice_date": day,
        "accounting_date": day,
        "description": document.reason or None,
        "lines": list(_lines(document, known)),
    }
    if known.problems:
        raise Rejected(known.problems)
    return payload


class _Known:
    """The ids behind the names of one memo, and the names nobody knows."""

    def __init__(self, document: CreditMemo, references: References) -> None:
        self.document, self.references = document, references
        self.problems: list[Problem] = []

    def find(self, kind: str, name: str) -> int:
        """The id of a name, that of the memo's own company first; 0 where there is none."""
        ids = self.references.get(kind, {})
        found = ids.get(f"{self.document.company}/{name}", ids.get(name))
        if found is None:
            self.problem(f"erp.{kind}_unknown", kind, f"Tryton has no single {kind} {name!r}")
        return found or 0

    def problem(self, code: str, part: str, message: str) -> None:
        """Remember a reason, each once."""
        found = Problem(code, part, message)
        if found not in self.problems:
            self.problems.append(found)


def _lines(document: CreditMemo, known: _Known) -> Iterator[Payload]:
    for line in document.lines:
        taxes = [known.find("tax", name) for name in line.taxes]
        for quantity, price in _pieces(document, line, known):
            yield _line(line.item_id, line.description or line.item, quantity, price, taxes)


def _pieces(document: CreditMemo, line: MemoLine, known: _Known) -> list[tuple[Decimal, Decimal]]:
    """Quantities and prices that come to the line exactly; money only is one unit of it."""
    units = line.units
    if not units or units != units.to_integral_value():
        units = Decimal(1)  # the unit has no digits behind the point
    digits = digits_of(document.currency)
    try:
        pieces = priced(line.net_amount, units, PRICE_DIGITS, digits)
        if any(_rounds_otherwise(quantity * price, digits) for quantity, price in pieces):
            pieces = priced(line.net_amount, units, digits, digits)
    except ValueError as fault:
        known.problem("erp.amount_too_fine", line.key, str(fault))
        return []
    return pieces


def _rounds_otherwise(amount: Decimal, digits: int) -> bool:
    """Whether half a cent is in the balance: Tryton rounds it to the even cent, we do not."""
    theirs = amount.quantize(Decimal(1).scaleb(-digits), ROUND_HALF_EVEN)
    return theirs != rounded(amount, digits)


def _line(
    product: int, description: str, quantity: Decimal, price: Decimal, taxes: list[int]
) -> Payload:
    return {
        "product": product,
        "description": description,
        "quantity": -quantity,
        "unit_price": price,
        "taxes": taxes,
    }


def rounding_line(document: CreditMemo, amount: Decimal, item_id: int) -> Payload:
    """Return the untaxed line that makes the memo's total equal to the refund."""
    return _line(item_id, ROUNDING, Decimal(1), amount, [])


def seen_memo(payload: Mapping[str, Any]) -> SeenMemo:
    """Return a credit note as Tryton shows it; reversed once its lines are invoiced again."""
    word = payload.get("state")
    if word not in STATE_OF:
        text = f"Tryton calls the credit note {word!r}, a word we do not know"
        raise Rejected([Problem("erp.unknown_state", "state", text)])
    state = STATE_OF[word]
    if state == "posted" and payload.get("taken_back_by"):
        state = "reversed"
    entry = payload.get("move.") or {}
    booked = entry.get("date") or payload.get("accounting_date") or payload.get("invoice_date")
    return SeenMemo(
        key=payload["key"],
        remote_id=int(payload["id"]),
        number=payload.get("number") or None,
        state=state,
        total_amount=-_amount(payload.get("total_amount")),
        tax_amount=-_amount(payload.get("tax_amount")),
        booked_on=date.fromisoformat(booked) if entry and booked else None,
        journal=entry.get("number") or None,
        lines=len(payload.get("lines") or ()),
        twins=len(payload.get("twins", ())),
        payload=dict(payload),
    )


def _amount(value: object) -> Decimal:
    if isinstance(value, int | Decimal) and not isinstance(value, bool):
        return Decimal(value)
    raise Rejected([Problem("erp.malformed", "amount", "an amount is no exact number")])
