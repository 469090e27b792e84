"""Catalog and inventory: products, listings, prices; stock, reservations, availability, drift."""

from importlib.resources import files

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

#: One file per noun; none needs another but the marts.
PARTS = ("catalog", "stock", "publishing", "marts")


def upgrade() -> None:
    """Add what the catalog and the stock of every channel are kept in."""
    folder = files("resources.store.migrations").joinpath("versions")
    for part in PARTS:
        op.get_bind().exec_driver_sql(folder.joinpath(f"0003_{part}.sql").read_text())


def downgrade() -> None:
    """Nothing: going down to nothing drops whole schemas, and no data is thrown away half way."""
