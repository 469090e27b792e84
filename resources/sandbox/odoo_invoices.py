"""Invoices and credit notes of the Odoo stand-in: lines with their taxes, posting with a number per
journal and year, a closed period that moves the date. What makes them is in `odoo_billing`; the
lines of plain entries, which are posted here too, are in `odoo_entries`.

Accounts of invoices, and payments, are left out.
"""

from calendar import monthrange
from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal

from resources.sandbox import odoo_entries as entries
from resources.sandbox import odoo_errors as errors
from resources.sandbox.odoo_amounts import line_amounts
from resources.sandbox.odoo_catalog import current_company
from resources.sandbox.odoo_orm import ZERO, Context, Database, Derived, Rules, along, rounded
from resources.sandbox.odoo_rows import Row
from resources.sandbox.odoo_sales import tax_rules

ENTRY, LINE, JOURNAL = "account.move", "account.move.line", "account.journal"
SALES = ("out_invoice", "out_refund", "out_receipt")
JOURNALS = (
    ("Customer Invoices", "INV", "sale"),
    ("Vendor Bills", "BILL", "purchase"),
    ("Miscellaneous Operations", "MISC", "general"),
)
NOT_DELETABLE = (
    "You can't delete a posted journal item. Don’t play games with your accounting records; reset "
    "the journal entry to draft before deleting it."
)


def open_books(db: Database, company: int) -> None:
    """Give a new company its journals."""
    for name, code, kind in JOURNALS:
        row = {"name": name, "code": code, "type": kind, "sequence": 5, "company_id": company}
        db.tables.insert(JOURNAL, row)


class Entries(Rules):
    """Documents: what the server fills in, and what a posted one forbids."""

    def prepare(self, db: Database, id_: int | None, values: Row) -> Row:
        if id_ is not None and db.value(ENTRY, id_, "state") == "posted":
            fixed = [name for name in ("invoice_line_ids", "line_ids") if name in values]
            if fixed:
                text = "You cannot modify the following readonly fields on a posted move: "
                raise errors.user_error(text + ", ".join(fixed))
        return values

    def complete(self, db: Database, row: Row, context: Context) -> None:
        row["move_type"] = row.get("move_type") or context.get("default_move_type") or "entry"
        company = row.get("company_id") or current_company(db, context)
        if row.get("journal_id") is None:
            row["journal_id"] = _journal(db, company, row["move_type"])
        row["company_id"] = db.value(JOURNAL, row["journal_id"], "company_id")
        if row.get("currency_id") is None:
            row["currency_id"] = db.value("res.company", row["company_id"], "currency_id")
        row |= {"state": "draft", "payment_state": "not_paid"}
        if row.get("date") is None:
            row["date"] = row.get("invoice_date") or db.tables.transaction.start.date()

    def created(self, db: Database, id_: int, context: Context) -> None:
        _check_companies(db, id_)
        sum_up(db, id_)
        entries.check_balance(db, id_)

    def written(self, db: Database, id_: int, values: Row) -> None:
        if db.value(ENTRY, id_, "state") == "draft" and values.get("invoice_date"):
            db.tables.change(ENTRY, id_, {"date": db.value(ENTRY, id_, "invoice_date")})
        _check_companies(db, id_)
        sum_up(db, id_)
        entries.check_balance(db, id_)

    def leaving(self, db: Database, id_: int) -> None:
        if db.value(ENTRY, id_, "state") == "posted":
            raise errors.user_error(NOT_DELETABLE)
        for line in db.value(ENTRY, id_, "invoice_line_ids"):
            db.tables.delete(LINE, line)


class Lines(Rules):
    """Lines: what the product gives them, and the document's sums."""

    def complete(self, db: Database, row: Row, context: Context) -> None:
        product = row.get("product_id")
        row.setdefault("quantity", Decimal(1))
        row.setdefault("sequence", 100)
        row.setdefault("price_unit", ZERO)
        if entries.is_entry(db, row["move_id"]):
            row |= entries.completed(db, row)
        if product is not None:
            row.setdefault("name", db.display_name("product.product", product))
            if "tax_ids" not in row:
                company = db.value(ENTRY, row["move_id"], "company_id")
                taxes = db.value("product.product", product, "taxes_id")
                mine = (t for t in taxes if db.value("account.tax", t, "company_id") == company)
                row["tax_ids"] = tuple(mine)

    def created(self, db: Database, id_: int, context: Context) -> None:
        self._follow(db, id_)

    def written(self, db: Database, id_: int, values: Row) -> None:
        self._follow(db, id_)

    def leaving(self, db: Database, id_: int) -> None:
        row = db.tables.rows[LINE][id_]
        sum_up(db, row["move_id"], without=id_)
        tell_sale(db, row.get("sale_line_ids", ()), without=id_)

    def _follow(self, db: Database, id_: int) -> None:
        row = db.tables.rows[LINE][id_]
        sum_up(db, row["move_id"])
        tell_sale(db, row.get("sale_line_ids", ()))


def _journal(db: Database, company: int, move_type: str) -> int:
    kind = "sale" if move_type in SALES else "general" if move_type == "entry" else "purchase"
    found = db.tables.find(JOURNAL, "company_id", company)
    return min(id_ for id_ in found if db.value(JOURNAL, id_, "type") == kind)


def _check_companies(db: Database, move: int) -> None:
    """Refuse a document that names things of another company."""
    row = db.tables.rows[ENTRY][move]
    mine = (None, row["company_id"])
    names = [("partner_id", row.get("partner_id"), "res.partner")]
    for line in db.value(ENTRY, move, "invoice_line_ids"):
        for tax in db.tables.rows[LINE][line].get("tax_ids", ()):
            names.append(("tax_ids", tax, "account.tax"))
        names.append(("account_id", db.value(LINE, line, "account_id"), entries.ACCOUNT))
    for name, other, target in names:
        if other is None:
            continue
        of_account = target == entries.ACCOUNT
        owners = db.value(target, other, "company_ids" if of_account else "company_id")
        if not set(owners if of_account else (owners,)) & set(mine):
            company = db.display_name("res.company", row["company_id"])
            shown = db.display_name(target, other)
            raise errors.company_crossover("Draft", company, name, name, shown)


def sum_up(db: Database, move: int, without: int | None = None) -> None:
    """Work out the sums of a draft and of its lines."""
    held = db.tables.rows[ENTRY][move]
    if held["move_type"] == "entry":
        entries.sum_up(db, move, without)
        return
    lines = [line for line in db.value(ENTRY, move, "invoice_line_ids") if line != without]
    if held["state"] != "draft":
        return
    unit = db.value("res.currency", held["currency_id"], "rounding")
    untaxed = tax = ZERO
    for line in lines:
        row = db.tables.rows[LINE][line]
        rules = tax_rules(db, row.get("tax_ids", ()))
        price, discount = row.get("price_unit", ZERO), row.get("discount", ZERO)
        amounts = line_amounts(price, row.get("quantity", ZERO), discount, rules, unit)
        untaxed, tax = untaxed + amounts.subtotal, tax + amounts.tax
        sums = {"price_subtotal": amounts.subtotal, "price_total": amounts.total}
        db.tables.change(LINE, line, sums)
    sums = {"amount_untaxed": rounded(untaxed, unit), "amount_tax": rounded(tax, unit)}
    total = sums["amount_untaxed"] + sums["amount_tax"]
    db.tables.change(ENTRY, move, {**sums, "amount_total": total, "amount_residual": total})


# Posting


def post(db: Database, moves: Sequence[int], context: Context) -> bool:
    """Post drafts, all or none; the answer false is a success there."""
    db.check_exists(ENTRY, moves)
    for move in moves:
        if db.value(ENTRY, move, "state") != "draft":
            name = db.value(ENTRY, move, "name") or "/"
            text = f"The entry {name} (id {move}) must be in draft."
            raise errors.user_error(text)
    for move in moves:
        _post(db, move)
    return False


def _post(db: Database, move: int) -> None:
    row, now = db.tables.rows[ENTRY][move], db.tables.transaction.start
    if row["move_type"] in SALES and not db.value(ENTRY, move, "invoice_line_ids"):
        raise errors.user_error("You need to add a line before posting.")
    values: Row = {"state": "posted", "write_date": now}
    if row["move_type"] in SALES:
        values["invoice_date"] = row.get("invoice_date") or now.date()
    day = _open_day(db, row, values.get("invoice_date") or row["date"])
    values |= {"date": day, "name": row.get("name") or _number(db, row, day)}
    db.tables.change(ENTRY, move, values)
    if row.get("reversed_entry_id") is not None:
        _settle(db, row["reversed_entry_id"], move)


def _number(db: Database, row: Row, day: date) -> str:
    """The next number of the journal's year; credit notes have a series of their own."""
    code = db.value(JOURNAL, row["journal_id"], "code")
    general = db.value(JOURNAL, row["journal_id"], "type") == "general"
    prefix = f"R{code}" if row["move_type"] == "out_refund" else code
    series = f"{prefix}/{day:%Y/%m}" if general else f"{prefix}/{day:%Y}"
    key = f"{row['journal_id']}:{series}"
    number = db.tables.next_id[key]
    db.tables.next_id[key] = number + 1
    return f"{series}/{number:0{4 if general else 5}d}"


def _open_day(db: Database, row: Row, day: date) -> date:
    """The day in the books: a closed period moves it out, without a word.

    Seen for a plain entry: the last day of the first open month. Invoices, numbered by year, go
    to the last open day of that year that is not to come.
    """
    closed: date | None = db.value("res.company", row["company_id"], "fiscalyear_lock_date")
    if closed is None or day > closed:
        return day
    first, today = closed + timedelta(days=1), db.tables.transaction.start.date()
    if row["move_type"] in SALES:
        return max(first, min(today, date(first.year, 12, 31)))
    last = date(first.year, first.month, monthrange(first.year, first.month)[1])
    return last if today > last else max(first, today)


def _settle(db: Database, first: int, counter: int) -> None:
    """A counter document settles what is still unpaid of the first."""
    due = min(db.value(ENTRY, move, "amount_residual") for move in (first, counter))
    if not due or db.value(ENTRY, first, "payment_state") not in ("not_paid", "partial"):
        return
    for move, word in ((first, "reversed"), (counter, "paid")):
        left = db.value(ENTRY, move, "amount_residual") - due
        state = "partial" if left else word
        db.tables.change(ENTRY, move, {"amount_residual": left or None, "payment_state": state})


def cancel(db: Database, moves: Sequence[int], context: Context) -> None:
    """Call documents off."""
    now = db.tables.transaction.start
    db.check_exists(ENTRY, moves)
    for move in moves:
        if db.value(ENTRY, move, "state") == "posted":
            raise errors.user_error("Only draft journal entries can be cancelled.")
        db.tables.change(ENTRY, move, {"state": "cancel", "write_date": now})


def tell_sale(db: Database, lines: Sequence[int], without: int | None = None) -> None:
    """Bring the invoiced quantity of order lines up to date; credit notes count against it."""
    for line in lines:
        if line not in db.tables.rows["sale.order.line"]:
            continue
        product, total = db.value("sale.order.line", line, "product_id"), ZERO
        for other in db.tables.find(LINE, "product_id", product):
            row = db.tables.rows[LINE][other]
            if other != without and line in row.get("sale_line_ids", ()):
                is_refund = db.value(ENTRY, row["move_id"], "move_type") == "out_refund"
                total += -row["quantity"] if is_refund else row["quantity"]
        db.tables.change("sale.order.line", line, {"qty_invoiced": total or None})


def document(db: Database, move: int) -> Row:
    """A document as tests read it: names for ids, exact amounts, lines inside."""
    row = db.tables.rows[ENTRY][move]
    return {
        "id": move,
        "name": row.get("name"),
        "type": row["move_type"],
        "state": row["state"],
        "ref": row.get("ref"),
        "company": db.display_name("res.company", row["company_id"]),
        "currency": db.value("res.currency", row["currency_id"], "name"),
        "partner": db.follow(ENTRY, move, "partner_id.name"),
        "origin": row.get("invoice_origin"),
        "reverses": row.get("reversed_entry_id"),
        "date": row["date"],
        "amount_untaxed": row.get("amount_untaxed", ZERO),
        "amount_tax": row.get("amount_tax", ZERO),
        "amount_total": row.get("amount_total", ZERO),
        "lines": [_line_document(db, line) for line in db.value(ENTRY, move, "invoice_line_ids")],
    }


def _line_document(db: Database, line: int) -> Row:
    row = db.tables.rows[LINE][line]
    return {
        "sku": db.follow(LINE, line, "product_id.default_code"),
        "name": row.get("name"),
        "quantity": row.get("quantity", ZERO),
        "price_unit": row.get("price_unit", ZERO),
        "taxes": [db.display_name("account.tax", tax) for tax in row.get("tax_ids", ())],
        "total": row.get("price_total", ZERO),
    }


# Values worked out on reading


def _signed(db: Database, id_: int, context: Context) -> Decimal:
    row = db.tables.get(ENTRY, id_) or {}
    total = Decimal(row.get("amount_total", ZERO))
    return -total if row.get("move_type") == "out_refund" else total


def _invoices(db: Database, order: int, context: Context) -> tuple[int, ...]:
    """The documents whose lines are tied to lines of the order."""
    mine = set(db.value("sale.order", order, "order_line", context))
    products = {db.value("sale.order.line", line, "product_id") for line in mine}
    found = {
        row["move_id"]
        for product in products
        for id_ in db.tables.find(LINE, "product_id", product)
        if (row := db.tables.get(LINE, id_)) and mine & set(row.get("sale_line_ids", ()))
    }
    return tuple(sorted(found))


RULES: dict[str, Rules] = {ENTRY: Entries(), LINE: Lines(), **entries.RULES}
DERIVED: dict[tuple[str, str], Derived] = {
    (ENTRY, "amount_total_signed"): _signed,
    (LINE, "date"): along(LINE, "move_id.date"),
    (LINE, "move_name"): along(LINE, "move_id.name"),
    ("sale.order", "invoice_ids"): _invoices,
    **entries.DERIVED,
}
