"""After the sale: shipments, parcels, returns and refunds, and what is written about them."""

from importlib.resources import files

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

#: One file per noun, in the order in which they need one another.
PARTS = ("sagas", "shipments", "returns", "writes", "traces", "marts")


def upgrade() -> None:
    """Add what is kept of goods and money after an order was accepted."""
    folder = files("resources.store.migrations").joinpath("versions")
    for part in PARTS:
        statements = folder.joinpath(f"0004_{part}.sql").read_text()
        # The driver takes a lone percent sign for a parameter.
        op.get_bind().exec_driver_sql(statements.replace("%", "%%"))


def downgrade() -> None:
    """Nothing: going down to nothing drops whole schemas, and no data is thrown away half way."""
