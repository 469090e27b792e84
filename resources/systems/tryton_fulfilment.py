"""What stands behind a confirmed Tryton sale: its shipments, invoices and stock; calling it
off, and seeing which orders the stock does not cover.
"""

from collections import defaultdict
from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import Any

from resources.errors import ContractBroken, Refused, RemoteError
from resources.systems.tryton_rpc import Payload, Session

#: The documents behind a sale: its field, their model, the states past which we call nothing
#: back (the parcel moved, the books have it), and what to say and the code then.
DOCUMENTS = (
    ("shipments", "stock.shipment.out", ("shipped", "done"), "has left the warehouse", "shipped"),
    ("shipment_returns", "stock.shipment.out.return", ("received", "done"), "is back", "returned"),
    ("invoices", "account.invoice", ("posted", "paid"), "needs a credit note", "invoiced"),
)
BEHIND = ("state", "shipment_state", "invoice_state", *(field for field, *_ in DOCUMENTS))


class Fulfilment:
    """Shipments, invoices and stock moves of sales, through one session."""

    def __init__(self, rpc: Session) -> None:
        self.rpc = rpc

    def withdraw(self, number: int) -> RemoteError | None:
        """Cancel what stands behind a sale and settle the exceptions; answers the refusal.

        Each step looks first, so a call broken off half way is finished by the next one.
        """
        try:
            self._cancel_documents(self._sale(number))
            sale = self._sale(number)
            if sale["shipment_state"] == "exception":
                self._ignore(number, "shipment", "moves")
            if sale["invoice_state"] == "exception":
                self._ignore(number, "invoice", "invoices")
        except (Refused, ContractBroken) as fault:
            return fault
        return None

    def withdrawn(self, numbers: Sequence[int]) -> set[int]:
        """Sales that are called off: cancelled, or done with nothing alive behind them."""
        rows = self.rpc.search("sale.sale", [["id", "in", list(numbers)]], BEHIND)
        return {row["id"] for row in rows if called_off(row)}

    def _sale(self, number: int) -> Payload:
        row: Payload = self.rpc.read("model.sale.sale.read", [number], list(BEHIND))[0]
        return row

    def _cancel_documents(self, sale: Payload) -> None:
        alive: list[tuple[str, list[int]]] = []
        # All are looked at before one is touched: half a cancellation helps nobody.
        for field, model, too_late, words, code in DOCUMENTS:
            rows = self.rpc.search(model, [["id", "in", sale[field]]], ("state",))
            if any(row["state"] in too_late for row in rows):
                raise Refused(self.rpc.system, f"order {sale['id']} {words}", code=code)
            alive.append((model, [row["id"] for row in rows if row["state"] != "cancelled"]))
        for model, ids in alive:
            if ids:
                self.rpc.write(f"model.{model}.cancel", ids)

    def _ignore(self, number: int, kind: str, things: str) -> None:
        """Tell the sale not to wait for, nor replace, what was cancelled."""
        wizard = f"wizard.sale.handle.{kind}.exception"
        at = {"active_model": "sale.sale", "active_id": number, "active_ids": [number]}
        session = self.rpc.write(f"{wizard}.create", **at)[0]
        asked = self.rpc.write(f"{wizard}.execute", session, {}, "ask", **at)
        cancelled = asked["view"]["defaults"][f"domain_{things}"]
        choice = {
            f"domain_{things}": cancelled,
            f"recreate_{things}": [],
            f"ignore_{things}": cancelled,
        }
        self.rpc.write(f"{wizard}.execute", session, {"ask": choice}, "handle", **at)
        self.rpc.write(f"{wizard}.delete", session)

    def short_of_stock(self, numbers: Sequence[int]) -> set[int]:
        """Sales the stock does not cover: what is promised beyond it was promised last."""
        lines = self.rpc.search(
            "sale.line", [["sale", "in", list(numbers)]], ("sale", "product", "warehouse")
        )
        products: dict[int, set[int]] = defaultdict(set)
        for line in lines:
            if line["product"] and line["warehouse"]:
                products[line["warehouse"]].add(line["product"])
        late: set[int] = set()
        for warehouse, wanted in products.items():
            late |= self._uncovered_lines(warehouse, self._shortages(warehouse, wanted))
        return {line["sale"] for line in lines if line["id"] in late}

    def _shortages(self, warehouse: int, products: set[int]) -> dict[int, Decimal]:
        """How many units are promised beyond what is there and comes in today."""
        rows = self.rpc.search(
            "product.product",
            [["id", "in", sorted(products)], ["active", "in", [True, False]]],
            ("forecast_quantity",),
            locations=[warehouse],
            stock_date_end=date.fromisoformat(self.rpc.read("model.ir.date.today")),
        )
        return {
            row["id"]: -Decimal(row["forecast_quantity"])
            for row in rows
            if row["forecast_quantity"] < 0
        }

    def _uncovered_lines(self, warehouse: int, shortages: dict[int, Decimal]) -> set[int]:
        late: set[int] = set()
        for move in self._open_moves(warehouse, sorted(shortages)):
            if shortages[move["product"]] > 0:
                shortages[move["product"]] -= Decimal(move["internal_quantity"])
                late.add(int(move["origin"].partition(",")[2]))
        return late

    def _open_moves(self, warehouse: int, products: list[int]) -> list[Payload]:
        """Unassigned moves of sold goods out of a warehouse, the newest first."""
        if not products:
            return []
        domain: list[Any] = [
            ["product", "in", products],
            ["state", "=", "draft"],
            ["origin", "like", "sale.line,%"],
            ["from_location", "child_of", [warehouse], "parent"],
        ]
        fields = ("product", "internal_quantity", "origin")
        return self.rpc.search("stock.move", domain, fields)[::-1]


def called_off(sale: Payload) -> bool:
    """Whether a sale is cancelled, or done because all behind it was cancelled and ignored."""
    nothing_alive = sale["shipment_state"] == "none" and sale["invoice_state"] == "none"
    behind = bool(sale["shipments"] or sale["invoices"])
    return sale["state"] == "cancelled" or (sale["state"] == "done" and nothing_alive and behind)
