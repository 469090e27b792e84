"""Accounts and plain journal entries of the Odoo stand-in: lines with debit and credit in the
company's currency beside an amount in their own, and entries that balance.

Taxes, reconciliation and rates are left out: a line in another currency brings both amounts.
"""

from decimal import Decimal

from resources.sandbox import odoo_errors as errors
from resources.sandbox.odoo_catalog import current_company
from resources.sandbox.odoo_orm import ZERO, Context, Database, Derived, Rules, along, rounded
from resources.sandbox.odoo_rows import Row

ENTRY, LINE, ACCOUNT = "account.move", "account.move.line", "account.account"
AMOUNTS = ("debit", "credit", "balance", "amount_currency", "currency_id")
UNBALANCED = "The entry is not balanced."
WRONG_SIGN = (
    "The operation cannot be completed: The amount expressed in the secondary currency must be "
    "positive when account is debited and negative when account is credited. If the currency is "
    "the same as the one from the company, this amount must strictly be equal to the balance."
)
NO_ACCOUNT = "The operation cannot be completed: Missing required account on accountable line."


class Accounts(Rules):
    """Accounts: each company has its own code of one; here all that have the account share it."""

    def prepare(self, db: Database, id_: int | None, values: Row) -> Row:
        if "code" not in values:
            return values
        rest = {name: value for name, value in values.items() if name != "code"}
        return {**rest, "code_store": values["code"]}

    def complete(self, db: Database, row: Row, context: Context) -> None:
        row["company_ids"] = row.get("company_ids") or (current_company(db, context),)


def _code(db: Database, id_: int, context: Context) -> str | None:
    """The code in the company that asks, which others do not see."""
    row = db.tables.get(ACCOUNT, id_) or {}
    is_mine = current_company(db, context) in row.get("company_ids", ())
    return row.get("code_store") if is_mine else None


def _account_name(db: Database, id_: int, context: Context) -> str:
    code = _code(db, id_, context)
    name = str((db.tables.get(ACCOUNT, id_) or {}).get("name"))
    return f"{code} {name}" if code else name


def is_entry(db: Database, move: int) -> bool:
    """Whether a document is a plain entry."""
    return bool(db.value(ENTRY, move, "move_type") == "entry")


def completed(db: Database, row: Row) -> Row:
    """The amounts of an entry's new line as the server stores them, rounded without a word."""
    company = db.value(ENTRY, row["move_id"], "company_id")
    own = db.value("res.company", company, "currency_id")
    currency = row.get("currency_id") or own
    balance = row.get("balance") or row.get("debit", ZERO) - row.get("credit", ZERO)
    amount = row.get("amount_currency")
    if currency == own and amount is not None:
        balance = amount  # written last, so it wins over debit and credit
    balance = _rounded(db, own, balance)
    amount = balance if amount is None else _rounded(db, currency, amount)
    if row.get("account_id") is None:
        raise errors.validation_error(NO_ACCOUNT)
    if amount * balance < 0:
        raise errors.validation_error(WRONG_SIGN)
    return {
        "debit": max(balance, ZERO),
        "credit": max(-balance, ZERO),
        "balance": balance,
        "amount_currency": amount,
        "currency_id": currency,
    }


def _rounded(db: Database, currency: int, amount: Decimal) -> Decimal:
    return rounded(amount, db.value("res.currency", currency, "rounding"))


def check_balance(db: Database, move: int) -> None:
    """Refuse an entry whose debits are not its credits."""
    lines = db.value(ENTRY, move, "line_ids")
    if is_entry(db, move) and sum(db.value(LINE, line, "balance") for line in lines):
        raise errors.user_error(UNBALANCED)


def sum_up(db: Database, move: int, without: int | None = None) -> None:
    """Work out the total of an entry: what its debits come to, in their own currencies."""
    rows = [db.tables.rows[LINE][n] for n in db.value(ENTRY, move, "line_ids") if n != without]
    if rows and db.value(ENTRY, move, "state") == "draft":
        debits = [row["amount_currency"] for row in rows if row.get("debit")]
        db.tables.change(ENTRY, move, {"amount_total": sum(debits, ZERO)})


def lines_of(db: Database, move: int) -> list[Row]:
    """The lines of an entry as tests read them: codes and names for ids, exact amounts."""
    found = []
    for line in db.value(ENTRY, move, "line_ids"):
        row = db.tables.rows[LINE][line]
        found.append(
            {
                "account": db.follow(LINE, line, "account_id.code_store"),
                "name": row.get("name"),
                "balance": row.get("balance", ZERO),
                "amount": row.get("amount_currency", ZERO),
                "currency": db.follow(LINE, line, "currency_id.name"),
                "partner": db.follow(LINE, line, "partner_id.name"),
            }
        )
    return found


NAMES = {ACCOUNT: _account_name}
RULES: dict[str, Rules] = {ACCOUNT: Accounts()}
DERIVED: dict[tuple[str, str], Derived] = {
    (ACCOUNT, "code"): _code,
    (ENTRY, "company_currency_id"): along(ENTRY, "company_id.currency_id"),
}
