"""What makes invoices and credit notes in the Odoo stand-in: invoicing an order, and taking a
document back; each is asked by a wizard first.
"""

from collections.abc import Sequence
from decimal import Decimal

from resources.sandbox import odoo_errors as errors
from resources.sandbox.odoo_invoices import ENTRY, LINE, SALES, tell_sale
from resources.sandbox.odoo_orm import ZERO, Context, Database, Rules
from resources.sandbox.odoo_rows import Row
from resources.sandbox.odoo_sales import tax_field

REVERSAL, INVOICING = "account.move.reversal", "sale.advance.payment.inv"
#: What takes a document back; a credit note is taken back by a plain entry.
REVERSED_BY = {"out_invoice": "out_refund", "out_receipt": "out_refund"}
NOTHING_TO_INVOICE = (
    "Cannot create an invoice. No items are available to invoice.\n\n"
    "To resolve this issue, please ensure that:\n"
    "   • The products have been delivered before attempting to invoice them.\n"
    "   • The invoicing policy of the product is configured correctly.\n\n"
    "If you want to invoice based on ordered quantities instead:\n"
    "   • For consumable or storable products, open the product, go to the 'General Information' "
    "tab and change the 'Invoicing Policy' from 'Delivered Quantities' to 'Ordered Quantities'.\n"
    "   • For services (and other products), change the 'Invoicing Policy' to 'Prepaid/Fixed "
    "Price'.\n"
)


class Reversal(Rules):
    """The question how to take documents back; those it is asked of come with the context."""

    def complete(self, db: Database, row: Row, context: Context) -> None:
        row["move_ids"] = tuple(context.get("active_ids") or row.get("move_ids", ()))
        if row.get("date") is None:
            row["date"] = db.tables.transaction.start.date()


def reverse(db: Database, wizards: Sequence[int], context: Context) -> Row:
    """Make the drafts that take documents back."""
    [wizard] = wizards
    made = [_reversed(db, wizard, move) for move in db.value(REVERSAL, wizard, "move_ids")]
    kind = db.value(ENTRY, made[0], "move_type")
    return {
        "name": "Reverse Moves",
        "type": "ir.actions.act_window",
        "res_model": ENTRY,
        "view_mode": "form",
        "res_id": made[0],
        "context": {"default_move_type": kind},
    }


def _reversed(db: Database, wizard: int, move: int) -> int:
    row, asked = db.tables.rows[ENTRY][move], db.tables.rows[REVERSAL][wizard]
    if row["state"] != "posted":
        raise errors.user_error("You can only reverse posted moves.")
    kind, reason = REVERSED_BY.get(row["move_type"], "entry"), asked.get("reason")
    kept = ("partner_id", "company_id", "currency_id", "invoice_origin")
    now = db.tables.transaction.start
    values: Row = {
        **{name: row[name] for name in kept if name in row},
        "move_type": kind,
        "state": "draft",
        "payment_state": "not_paid",
        "ref": f"Reversal of: {row['name']}" + (f", {reason}" if reason else ""),
        "date": asked["date"],
        "invoice_date": asked["date"] if kind in SALES else None,
        "journal_id": asked["journal_id"],
        "reversed_entry_id": move,
        "create_date": now,
        "write_date": now,
    }
    values |= {name: row.get(name) for name in ("amount_untaxed", "amount_tax", "amount_total")}
    made = db.tables.insert(ENTRY, {**values, "amount_residual": row.get("amount_total")})
    for line in db.value(ENTRY, move, "invoice_line_ids") if kind in SALES else ():
        copied = db.tables.insert(LINE, {**db.tables.rows[LINE][line], "move_id": made})
        tell_sale(db, db.tables.rows[LINE][copied].get("sale_line_ids", ()))
    return made


class Invoicing(Rules):
    """The question how to invoice orders, which come with the context."""

    def complete(self, db: Database, row: Row, context: Context) -> None:
        row["sale_order_ids"] = tuple(context.get("active_ids") or row.get("sale_order_ids", ()))


def create_invoices(db: Database, wizards: Sequence[int], context: Context) -> Row:
    """Make the draft invoices of orders."""
    [wizard] = wizards
    made = [invoice(db, order) for order in db.value(INVOICING, wizard, "sale_order_ids")]
    return {
        "name": "Invoices",
        "type": "ir.actions.act_window",
        "res_model": ENTRY,
        "res_id": made[0],
        "target": "current",
        "view_mode": "list,kanban,form,activity",
    }


def invoice(db: Database, order: int) -> int:
    """Make a draft of what an order has not invoiced yet."""
    row = db.tables.rows["sale.order"][order]
    lines = [line for line in db.value("sale.order", order, "order_line") if _open(db, line)]
    if not lines:
        raise errors.user_error(NOTHING_TO_INVOICE)
    head = {
        "move_type": "out_invoice",
        "ref": row.get("client_order_ref"),
        "invoice_origin": row["name"],
        "partner_id": row["partner_invoice_id"],
        "company_id": row["company_id"],
        "currency_id": row["currency_id"],
    }
    return db.create(ENTRY, {**head, "invoice_line_ids": [_sold(db, line) for line in lines]}, {})


def _sold(db: Database, line: int) -> list[object]:
    row = db.tables.rows["sale.order.line"][line]
    values = {
        "product_id": row.get("product_id"),
        "name": row["name"],
        "quantity": str(_open(db, line)),
        "price_unit": str(row["price_unit"]),
        "tax_ids": [[6, 0, list(row.get(tax_field(db), ()))]],
        "sale_line_ids": [[6, 0, [line]]],
    }
    return [0, 0, values]


def _open(db: Database, line: int) -> Decimal:
    row = db.tables.rows["sale.order.line"][line]
    return Decimal(row["product_uom_qty"] - row.get("qty_invoiced", ZERO))


RULES: dict[str, Rules] = {REVERSAL: Reversal(), INVOICING: Invoicing()}
