"""What moves a seller's balance, and the settlement report of it as a file: tab separated, one head
and one row per amount, with the country's way of writing numbers and days.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal

#: Type and description as the report has them, and the amount.
Part = tuple[str, str, Decimal]
ZERO = Decimal("0.00")
#: From the end of a period until the money is sent.
SENT_AFTER = timedelta(days=2)
COLUMNS = (
    *("settlement-id", "settlement-start-date", "settlement-end-date", "deposit-date"),
    *("total-amount", "currency", "transaction-type", "order-id", "merchant-order-id"),
    *("adjustment-id", "shipment-id", "marketplace-name", "amount-type", "amount-description"),
    *("amount", "fulfillment-id", "posted-date", "posted-date-time", "order-item-code"),
    *("merchant-order-item-id", "merchant-adjustment-item-id", "sku", "quantity-purchased"),
    "promotion-id",
)
REPORTED_AS = {"Shipment": "Order", "GuaranteeClaim": "A-to-z Guarantee Refund"} | {
    "Chargeback": "Chargeback Refund",
    "Refund": "Refund",
    "ServiceFee": "other-transaction",
}


@dataclass
class Movement:
    """One transaction, with its parts signed as they move the balance."""

    id: str
    type: str
    parts: tuple[Part, ...]
    posted_at: datetime
    #: From when on it is listed.
    shown_at: datetime
    order: str = ""
    merchant_order: str = ""
    settlement: str = ""

    @property
    def total(self) -> Decimal:
        """What the balance moves by."""
        return sum((amount for _, _, amount in self.parts), ZERO)


def written(
    facts: Mapping[str, str],
    rows: Sequence[tuple[Movement, Part]],
    end: datetime,
    *,
    decimal_comma: bool = False,
) -> bytes:
    """The file of one settlement; `facts` has its id and currency."""
    form = _Form(decimal_comma)
    head = {
        "settlement-start-date": form.time(min((one.posted_at for one, _ in rows), default=end)),
        "settlement-end-date": form.time(end),
        "deposit-date": form.time(end + SENT_AFTER),
        "total-amount": form.number(sum((part[2] for _, part in rows), ZERO)),
        "currency": facts["currency"],
    }
    text = ["\t".join(COLUMNS)]
    for line in (head, *(form.row(one, part) for one, part in rows)):
        cells = {"settlement-id": facts["settlement-id"], **line}
        text.append("\t".join(cells.get(name, "") for name in COLUMNS))
    return ("\r\n".join(text) + "\r\n").encode()


@dataclass(frozen=True)
class _Form:
    """How a country writes numbers and days."""

    decimal_comma: bool

    def row(self, one: Movement, part: Part) -> dict[str, str]:
        of_type, description, amount = part
        moved = "shipment-id" if one.type == "Shipment" else "adjustment-id"
        return {
            "transaction-type": REPORTED_AS[one.type],
            "order-id": one.order,
            "merchant-order-id": one.merchant_order,
            moved: one.id if one.order else "",
            "marketplace-name": "Amazon.de" if self.decimal_comma else "Amazon.com",
            "amount-type": of_type,
            "amount-description": description,
            "amount": self.number(amount),
            "posted-date": self.time(one.posted_at)[:10],
            "posted-date-time": self.time(one.posted_at),
        }

    def number(self, amount: Decimal) -> str:
        return f"{amount:.2f}".replace(".", "," if self.decimal_comma else ".")

    def time(self, moment: datetime) -> str:
        form = "%d.%m.%Y %H:%M:%S UTC" if self.decimal_comma else "%Y-%m-%d %H:%M:%S UTC"
        return moment.astimezone(UTC).strftime(form)
