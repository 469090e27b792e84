"""A stand-in for an Odoo server, version 18 or 19: what tests and demos may ask of it.

The server it is stands in `odoo_server`, what may be done with products and stock in `odoo_goods`.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date
from decimal import Decimal

from resources.sandbox import (
    odoo_billing,
    odoo_counts,
    odoo_entries,
    odoo_invoices,
    odoo_sales,
    odoo_transfers,
)
from resources.sandbox.odoo_goods import Amount, Goods, Stock
from resources.sandbox.odoo_orm import ZERO
from resources.sandbox.odoo_rows import Row
from resources.sandbox.odoo_sales import ORDER, Refusal, Step
from resources.sandbox.odoo_stock import PICKING
from resources.sandbox.odoo_warehouses import add_warehouse

LOCK = "fiscalyear_lock_date"


class OdooStandIn(Goods):
    """One Odoo, to be stocked, hindered and looked into."""

    controls = frozenset(
        {"order_count", "totals_by_currency", "count", "set_stock", "serialize_races"}
        | {"refuse", "accept", "set_price", "archive", "validate"}
        | {"receive", "adjust", "scrap", "transfer", "set_aside", "ship", "return_goods"}
        | {"take_back", "invoice", "add_account", "close_books"}
    )

    @contextmanager
    def late_commit(self, seconds: float) -> Iterator[None]:
        """Let writes inside be seen only `seconds` after the start their rows are dated by."""
        self.late_seconds = seconds
        try:
            yield
        finally:
            self.late_seconds = 0.0

    def serialize_races(self, times: int) -> None:
        """Let the next loads lose a race."""
        self.races = times

    def refuse(
        self,
        reason: str,
        when: Callable[[Row], bool] = lambda order: True,
        step: Step = "create",
    ) -> None:
        """Refuse orders for a reason, on creating (also by load) or on confirming."""
        self.sales.refusals.append(Refusal(reason, when, step))

    def accept(self) -> None:
        """Forget all refusals."""
        self.sales.refusals.clear()

    def next_id(self, model: str, id_: int) -> None:
        """Let the next new record of a model have this id, which must be above those in use."""
        if self.tables.ids[model] and id_ <= self.tables.ids[model][-1]:
            raise ValueError(f"{model} {id_} is not above the ids in use")
        self.tables.next_id[model] = id_

    def add_product(
        self,
        sku: str,
        name: str,
        price: Amount,
        stock: Stock | None = None,
        *,
        kind: str = "consu",
        taxes: Sequence[int] = (),
    ) -> int:
        """Add a product and give its variant's id; without `stock`, no stock is kept of it."""
        with self.writing():
            return self._product(sku, name, price, stock, kind, taxes)

    def add_products(
        self,
        products: Iterable[tuple[str, str, Amount, Stock | None]],
    ) -> list[int]:
        """Add many products at once: SKU, name, price, stock by warehouse code."""
        with self.writing():
            return [self._product(*product, "consu", ()) for product in products]

    def _product(
        self,
        sku: str,
        name: str,
        price: Amount,
        stock: Stock | None,
        kind: str,
        taxes: Sequence[int],
    ) -> int:
        own = {"type": kind, "taxes_id": tuple(taxes), "is_storable": stock is not None or None}
        product = self.new_product(sku, name, price, **own)
        self._fill(product, stock or {})
        return product

    def set_stock(self, sku: str, warehouse: str, quantity: Decimal | int) -> None:
        """Count what a warehouse has of a product."""
        with self.writing():
            where = {"product_id": self.item(sku), "location_id": self._shelf(warehouse)}
            counted = {**where, "inventory_quantity": str(quantity)}
            odoo_counts.apply(self.db, odoo_counts.note(self.db, [counted], {}), {})

    def add_tax(
        self,
        company: str,
        name: str,
        percent: Amount,
        price_include: bool = False,
        compound: bool = False,
    ) -> int:
        """Add a sales tax; later taxes of a line are taken on top of a `compound` one."""
        values = {
            "name": name,
            "amount": str(percent),
            "company_id": self._company(company),
            "price_include_override": "tax_included" if price_include else "tax_excluded",
            "include_base_amount": compound,
        }
        with self.writing():
            return self.db.create("account.tax", values, {})

    def add_warehouse(
        self, company: str, code: str, name: str | None = None, steps: str = "ship_only"
    ) -> int:
        """Add a warehouse of a company; `steps` are those on the way out, in Odoo's word."""
        with self.writing():
            return add_warehouse(self.db, self._company(company), code, name or company, steps)

    def add_price_list(self, name: str, currency: str, company: str | None = None) -> int:
        """Add a price list, from which orders take their currency."""
        with self.writing():
            values = {"name": name, "currency_id": self.currency(currency)}
            if company is not None:
                values["company_id"] = self._company(company)
            return self.db.create("product.pricelist", values, {})

    def order_count(self) -> int:
        """How many orders there are, in whatever state."""
        return len(self.tables.ids[ORDER])

    def orders_by_ref(self) -> dict[str, list[Row]]:
        """All orders by customer reference, with names for ids and exact amounts."""
        found: dict[str, list[Row]] = {}
        with self.one_at_a_time:
            for id_ in self.tables.ids[ORDER]:
                order = odoo_sales.document(self.db, id_)
                found.setdefault(order["client_order_ref"] or "", []).append(order)
        return found

    # What leaves, what comes back, and what is credited

    def take_back(self, order_ref: str, lines: Mapping[str, Decimal | int]) -> list[str]:
        """Book goods of an order that came back, by SKU; answers the parcels' numbers."""
        return [self.return_goods(order_ref, sku, units) for sku, units in lines.items()]

    def pickings_of(self, order_ref: str) -> list[Row]:
        """The parcels of an order, oldest first: which way they go, and units by SKU."""
        with self.one_at_a_time:
            orders = self.tables.find(ORDER, "client_order_ref", order_ref)
            found = sorted(p for o in orders for p in self.tables.find(PICKING, "sale_id", o))
            return [odoo_transfers.document(self.db, picking) for picking in found]

    def invoice(self, order_ref: str, *, post: bool = True) -> int:
        """Invoice what an order has not invoiced yet, as a person would."""
        with self.writing():
            [order] = self.tables.find(ORDER, "client_order_ref", order_ref)
            made = odoo_billing.invoice(self.db, order)
            if post:
                odoo_invoices.post(self.db, [made], {})
            return made

    def invoices_by_ref(self) -> dict[str, list[Row]]:
        """All invoices, credit notes and entries by reference, oldest first."""
        found: dict[str, list[Row]] = {}
        with self.one_at_a_time:
            for id_ in self.tables.ids[odoo_invoices.ENTRY]:
                document = odoo_invoices.document(self.db, id_)
                found.setdefault(document["ref"] or "", []).append(document)
        return found

    def add_account(self, company: str, code: str, name: str, kind: str = "asset_current") -> int:
        """Add an account to a company's chart."""
        values = {"code": code, "name": name, "account_type": kind}
        with self.writing():
            where = [[6, 0, [self._company(company)]]]
            return self.db.create("account.account", {**values, "company_ids": where}, {})

    def entries_by_ref(self) -> dict[str, list[Row]]:
        """All plain entries with lines by reference, oldest first."""
        found: dict[str, list[Row]] = {}
        with self.one_at_a_time:
            for id_ in self.tables.ids[odoo_invoices.ENTRY]:
                if odoo_entries.is_entry(self.db, id_):
                    document = odoo_invoices.document(self.db, id_)
                    document["lines"] = odoo_entries.lines_of(self.db, id_)
                    found.setdefault(document["ref"] or "", []).append(document)
        return found

    def close_books(self, company: str, until: date | None) -> None:
        """Close a company's books up to a day, or open them again."""
        with self.writing():
            self.tables.change("res.company", self._company(company), {LOCK: until})

    def totals_by_currency(self, state: str = "sale") -> dict[str, Decimal]:
        """What the orders of a state come to, by currency."""
        totals: dict[str, Decimal] = {}
        with self.one_at_a_time:
            rows = [row for row in self.tables.rows[ORDER].values() if row["state"] == state]
        for row in rows:
            currency = self.db.value("res.currency", row["currency_id"], "name")
            totals[currency] = totals.get(currency, ZERO) + row.get("amount_total", ZERO)
        return totals

    def count(self, operation: str) -> int:
        """How often an operation such as `sale.order.load` was called."""
        return self.calls[operation]

    def _company(self, name: str) -> int:
        return next(i for i, row in self.tables.rows["res.company"].items() if row["name"] == name)
