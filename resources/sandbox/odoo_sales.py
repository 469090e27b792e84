"""Sales orders of the Odoo stand-in: defaults, sums, confirming, cancelling, refusals."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Literal

from resources.sandbox import odoo_errors as errors
from resources.sandbox import odoo_stock as stock
from resources.sandbox.odoo_amounts import TaxRule, line_amounts
from resources.sandbox.odoo_catalog import UNITS, current_company
from resources.sandbox.odoo_orm import ZERO, Context, Database, Derived, Rules, along, rounded
from resources.sandbox.odoo_rows import Row

ORDER, LINE = "sale.order", "sale.order.line"
Step = Literal["create", "confirm"]


@dataclass(frozen=True)
class Refusal:
    """A business rule of this customer's Odoo that says no to some orders."""

    reason: str
    when: Callable[[Row], bool]
    step: Step


@dataclass
class Sales:
    """The orders one call has touched, and the rules that may refuse them."""

    db: Database
    refusals: list[Refusal] = field(default_factory=list)
    touched: dict[int, None] = field(default_factory=dict)
    fresh: dict[int, None] = field(default_factory=dict)

    def settle(self) -> None:
        """Bring the sums of touched orders up to date, and let the rules judge new ones."""
        touched, self.touched = self.touched, {}
        fresh, self.fresh = self.fresh, {}
        for order in touched:
            if order in self.db.tables.rows[ORDER]:
                _check_companies(self.db, order)
                _sum_up(self.db, order)
        for order in fresh:
            if order in self.db.tables.rows[ORDER]:
                self.judge(order, "create")

    def forget(self) -> None:
        """Drop what a rolled back call has touched."""
        self.touched, self.fresh = {}, {}

    def judge(self, order: int, step: Step) -> None:
        """Raise the first refusal that applies to the order."""
        for refusal in self.refusals:
            if refusal.step == step and refusal.when(document(self.db, order)):
                raise errors.user_error(refusal.reason)

    def confirm(self, ids: Sequence[int]) -> bool:
        """Confirm quotations, all or none, and order their parcels."""
        db = self.db
        db.check_exists(ORDER, ids)
        if any(db.value(ORDER, id_, "state") not in ("draft", "sent") for id_ in ids):
            raise errors.user_error(errors.NOT_CONFIRMABLE)
        now = db.tables.transaction.start
        for id_ in ids:
            self.judge(id_, "confirm")
            change = {"state": "sale", "date_order": now.replace(microsecond=0)}
            db.tables.change(ORDER, id_, {**change, "write_date": now})
            stock.deliver(db, id_, db.value(ORDER, id_, "order_line"))
        return True

    def cancel(self, ids: Sequence[int], context: Context) -> bool | Row:
        """Cancel orders with their parcels; 18 asks first, and then nothing is done."""
        db = self.db
        db.check_exists(ORDER, ids)
        asks = db.version == 18 and not context.get("disable_cancel_warning")
        if asks and any(db.value(ORDER, id_, "state") != "draft" for id_ in ids):
            if len(ids) > 1:
                raise errors.value_error(f"Expected singleton: {ORDER}{tuple(ids)}")
            return _cancel_wizard(ids[0])
        now = db.tables.transaction.start
        for id_ in ids:
            db.tables.change(ORDER, id_, {"state": "cancel", "write_date": now})
            stock.cancel(db, id_)
        return True

    def back_to_draft(self, ids: Sequence[int]) -> bool:
        """Reopen cancelled orders; others stay as they are."""
        now = self.db.tables.transaction.start
        self.db.check_exists(ORDER, ids)
        for id_ in ids:
            if self.db.value(ORDER, id_, "state") in ("cancel", "sent"):
                self.db.tables.change(ORDER, id_, {"state": "draft", "write_date": now})
        return True


def _cancel_wizard(order: int) -> Row:
    return {
        "name": "Cancel Sales Order",
        "view_mode": "form",
        "res_model": "sale.order.cancel",
        "view_id": 1127,
        "type": "ir.actions.act_window",
        "context": {
            "default_template_id": 14,
            "default_order_id": order,
            "mark_so_as_canceled": True,
            "default_email_layout_xmlid": (
                "mail.mail_notification_layout_with_responsible_signature"
            ),
            "model_description": "Sales Order",
        },
        "target": "new",
    }


class Orders(Rules):
    """Sales orders: what the server fills in, and when one may go."""

    def __init__(self, sales: Sales) -> None:
        self.sales = sales

    def complete(self, db: Database, row: Row, context: Context) -> None:
        partner = row.get("partner_id")
        company = row.get("company_id") or current_company(db, context)
        defaults = {
            "name": f"S{db.tables.next_id[ORDER]:05d}",
            "state": "draft",
            "date_order": db.tables.transaction.start.replace(microsecond=0),
            "company_id": company,
            "partner_invoice_id": _address(db, partner, "invoice"),
            "partner_shipping_id": _address(db, partner, "delivery"),
            "warehouse_id": _first_warehouse(db, company),
        }
        for name, value in defaults.items():
            row.setdefault(name, value)
        row["company_id"] = company
        row["currency_id"] = _currency(db, row)

    def created(self, db: Database, id_: int, context: Context) -> None:
        self.sales.touched[id_] = self.sales.fresh[id_] = None

    def written(self, db: Database, id_: int, values: Row) -> None:
        row = db.tables.rows[ORDER][id_]
        db.tables.change(ORDER, id_, {"currency_id": _currency(db, row)})
        self.sales.touched[id_] = None

    def leaving(self, db: Database, id_: int) -> None:
        if db.value(ORDER, id_, "state") not in ("draft", "cancel"):
            raise errors.user_error(errors.ORDER_NOT_DELETABLE)
        for line in db.value(ORDER, id_, "order_line"):
            db.tables.delete(LINE, line)
        for picking in db.value(ORDER, id_, "picking_ids"):
            db.tables.change("stock.picking", picking, {"sale_id": None})


class Lines(Rules):
    """Order lines: what the product gives them, and what a change does to the order."""

    def __init__(self, sales: Sales) -> None:
        self.sales = sales

    def complete(self, db: Database, row: Row, context: Context) -> None:
        product = row.get("product_id")
        row.setdefault("sequence", 10)
        row.setdefault("product_uom_qty", Decimal(1))
        if product is None:
            if not row.get("display_type"):
                raise errors.line_needs_product()
            row.setdefault("price_unit", ZERO)
        else:
            self._complete_from_product(db, row, product)
        row.setdefault("customer_lead", ZERO)

    def _complete_from_product(self, db: Database, row: Row, product: int) -> None:
        row.setdefault("name", db.display_name("product.product", product))
        row.setdefault(unit_field(db), UNITS)
        if "price_unit" not in row:
            row["price_unit"] = db.follow("product.product", product, "product_tmpl_id.list_price")
        if tax_field(db) not in row:
            row[tax_field(db)] = _default_taxes(db, product, row.get("order_id"))

    def created(self, db: Database, id_: int, context: Context) -> None:
        order = db.tables.rows[LINE][id_]["order_id"]
        self.sales.touched[order] = None
        if db.value(ORDER, order, "state") == "sale":
            stock.deliver(db, order, [id_])

    def written(self, db: Database, id_: int, values: Row) -> None:
        self.sales.touched[db.tables.rows[LINE][id_]["order_id"]] = None

    def leaving(self, db: Database, id_: int) -> None:
        order = db.tables.rows[LINE][id_]["order_id"]
        if db.value(ORDER, order, "state") == "sale":
            raise errors.user_error(errors.LINE_NOT_DELETABLE)
        self.sales.touched[order] = None


def tax_field(db: Database) -> str:
    """The version's name of a line's taxes."""
    return "tax_id" if db.version == 18 else "tax_ids"


def unit_field(db: Database) -> str:
    """The version's name of a line's unit of measure."""
    return "product_uom" if db.version == 18 else "product_uom_id"


def _default_taxes(db: Database, product: int, order: int | None) -> tuple[int, ...]:
    company = db.follow(ORDER, order, "company_id")
    taxes: tuple[int, ...] = db.value("product.product", product, "taxes_id")
    return tuple(tax for tax in taxes if db.value("account.tax", tax, "company_id") == company)


def _address(db: Database, partner: int | None, kind: str) -> int | None:
    """The contact's own address of that kind, else the contact."""
    children = () if partner is None else db.value("res.partner", partner, "child_ids")
    fitting = (c for c in children if db.value("res.partner", c, "type") == kind)
    return next(fitting, partner)


def _first_warehouse(db: Database, company: int) -> int | None:
    found = db.search("stock.warehouse", [["company_id", "=", company]], limit=1)
    return found[0] if found else None


def _currency(db: Database, row: Row) -> int:
    if row.get("pricelist_id") is not None:
        return int(db.value("product.pricelist", row["pricelist_id"], "currency_id"))
    return int(db.value("res.company", row["company_id"], "currency_id"))


def _check_companies(db: Database, order: int) -> None:
    """Refuse an order that names things of another company."""
    row = db.tables.rows[ORDER][order]
    for name in ("partner_id", "pricelist_id", "warehouse_id"):
        _check_company(db, ORDER, order, name, row.get(name), row["company_id"])
    for line in db.value(ORDER, order, "order_line"):
        held = db.tables.rows[LINE][line]
        for tax in held.get(tax_field(db), ()):
            _check_company(db, LINE, line, tax_field(db), tax, row["company_id"])


def _check_company(
    db: Database, model: str, id_: int, name: str, other: int | None, company: int
) -> None:
    target = db.models[model].fields[name].target
    if other is None or db.value(target, other, "company_id") in (None, company):
        return
    raise errors.company_crossover(
        db.display_name(model, id_),
        db.display_name("res.company", company),
        db.models[model].fields[name].label,
        name,
        db.display_name(target, other),
    )


def _sum_up(db: Database, order: int) -> None:
    """Work out the sums of the order and of its lines."""
    currency = db.tables.rows[ORDER][order]["currency_id"]
    unit = db.value("res.currency", currency, "rounding")
    untaxed = tax = ZERO
    for line in db.value(ORDER, order, "order_line"):
        row = db.tables.rows[LINE][line]
        taxes = tax_rules(db, row.get(tax_field(db), ()))
        price, discount = row.get("price_unit", ZERO), row.get("discount", ZERO)
        amounts = line_amounts(price, row["product_uom_qty"], discount, taxes, unit)
        untaxed, tax = untaxed + amounts.subtotal, tax + amounts.tax
        if row.get("price_subtotal") != amounts.subtotal or row.get("price_tax") != amounts.tax:
            sums = {"price_subtotal": amounts.subtotal, "price_tax": amounts.tax}
            db.tables.change(LINE, line, {**sums, "price_total": amounts.total})
    sums = {"amount_untaxed": rounded(untaxed, unit), "amount_tax": rounded(tax, unit)}
    total = sums["amount_untaxed"] + sums["amount_tax"]
    db.tables.change(ORDER, order, {**sums, "amount_total": total})


def tax_rules(db: Database, taxes: Sequence[int]) -> list[TaxRule]:
    """The taxes in the server's order, sequence then id."""
    rows = sorted((db.tables.rows["account.tax"][tax].get("sequence", 1), tax) for tax in taxes)
    return [_tax_rule(db.tables.rows["account.tax"][tax]) for _, tax in rows]


def _tax_rule(row: Row) -> TaxRule:
    return TaxRule(
        percent=row["amount"],
        included=row.get("price_include_override") == "tax_included",
        raises_next=row.get("include_base_amount", False),
        is_raised=row.get("is_base_affected", True),
    )


def document(db: Database, order: int) -> Row:
    """The order as tests and rules read it: names for ids, exact amounts, lines inside."""
    row = db.tables.rows[ORDER][order]
    return {
        "id": order,
        "name": row["name"],
        "state": row["state"],
        "client_order_ref": row.get("client_order_ref"),
        "origin": row.get("origin"),
        "company": db.display_name("res.company", row["company_id"]),
        "currency": db.value("res.currency", row["currency_id"], "name"),
        "warehouse": db.follow(ORDER, order, "warehouse_id.code"),
        "partner": db.follow(ORDER, order, "partner_id.name"),
        "date_order": row["date_order"],
        "amount_untaxed": row.get("amount_untaxed", ZERO),
        "amount_tax": row.get("amount_tax", ZERO),
        "amount_total": row.get("amount_total", ZERO),
        "lines": [_line_document(db, line) for line in db.value(ORDER, order, "order_line")],
    }


def _line_document(db: Database, line: int) -> Row:
    row = db.tables.rows[LINE][line]
    return {
        "id": line,
        "sku": db.follow(LINE, line, "product_id.default_code"),
        "name": row["name"],
        "quantity": row["product_uom_qty"],
        "price_unit": row["price_unit"],
        "taxes": [db.display_name("account.tax", t) for t in row.get(tax_field(db), ())],
        "subtotal": row.get("price_subtotal", ZERO),
        "tax": row.get("price_tax", ZERO),
        "total": row.get("price_total", ZERO),
    }


# Names and values worked out on reading


def _line_name(db: Database, id_: int, context: Context) -> str:
    row = db.tables.get(LINE, id_) or {}
    order = db.follow(ORDER, row.get("order_id"), "name")
    customer = db.follow(LINE, id_, "order_id.partner_id.ref")
    first = str(row.get("name", "")).split("\n", 1)[0]
    return f"{order} - {first}" + (f" ({customer})" if customer else "")


def _invoice_status(db: Database, id_: int, context: Context) -> str:
    row = db.tables.get(ORDER, id_) or {}
    lines = db.value(ORDER, id_, "order_line", context) if row.get("state") == "sale" else ()
    if any(_to_invoice(db, line, context) for line in lines):
        return "to invoice"
    return "invoiced" if any(db.value(LINE, line, "qty_invoiced") for line in lines) else "no"


def _to_invoice(db: Database, id_: int, context: Context) -> Decimal:
    row = db.tables.get(LINE, id_) or {}
    policy = db.follow(LINE, id_, "product_id.invoice_policy")
    if policy != "order" or db.follow(LINE, id_, "order_id.state") != "sale":
        return ZERO
    return Decimal(row.get("product_uom_qty", ZERO) - row.get("qty_invoiced", ZERO))


def _duplicates(db: Database, id_: int, context: Context) -> tuple[int, ...]:
    """Other open orders with the same reference; 18 was seen to find none."""
    row = db.tables.get(ORDER, id_) or {}
    if db.version == 18 or not row.get("client_order_ref"):
        return ()
    same = db.tables.find(ORDER, "client_order_ref", row["client_order_ref"]) - {id_}
    others = ((other, db.tables.get(ORDER, other) or {}) for other in sorted(same))
    return tuple(
        other
        for other, held in others
        if held.get("partner_id") == row.get("partner_id") and held.get("state") != "cancel"
    )


NAMES: dict[str, Callable[[Database, int, Context], str]] = {LINE: _line_name}

DERIVED: dict[tuple[str, str], Derived] = {
    (ORDER, "invoice_status"): _invoice_status,
    (ORDER, "duplicated_order_ids"): _duplicates,
    (LINE, "qty_to_invoice"): _to_invoice,
    (LINE, "company_id"): along(LINE, "order_id.company_id"),
    (LINE, "currency_id"): along(LINE, "order_id.currency_id"),
    (LINE, "order_partner_id"): along(LINE, "order_id.partner_id"),
    (LINE, "state"): along(LINE, "order_id.state"),
    (LINE, "warehouse_id"): along(LINE, "order_id.warehouse_id"),
    (LINE, "product_template_id"): along(LINE, "product_id.product_tmpl_id"),
}


def rules(sales: Sales) -> dict[str, Any]:
    """The behaviour of orders and lines by model."""
    return {ORDER: Orders(sales), LINE: Lines(sales)}
