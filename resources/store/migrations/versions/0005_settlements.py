"""Payments, settlements and the books: expected and actual ledgers, their matches, and journals."""

from importlib.resources import files

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

#: One file per noun, in the order in which they need one another.
PARTS = ("payments", "settlements", "matches", "journals", "marts")


def upgrade() -> None:
    """Add what is kept of payments, payouts, banks and journals."""
    folder = files("resources.store.migrations").joinpath("versions")
    for part in PARTS:
        statements = folder.joinpath(f"0005_{part}.sql").read_text()
        # The driver takes a lone percent sign for a parameter.
        op.get_bind().exec_driver_sql(statements.replace("%", "%%"))


def downgrade() -> None:
    """Nothing: going down to nothing drops whole schemas, and no data is thrown away half way."""
