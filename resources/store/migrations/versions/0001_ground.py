"""The ground: six schemas, orders from raw to receipt, inbox, outbox, exceptions and audit."""

from importlib.resources import files

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create everything."""
    sql = files("resources.store.migrations").joinpath("versions/0001_ground.sql").read_text()
    op.get_bind().exec_driver_sql(sql)


def downgrade() -> None:
    """Drop everything we made; Alembic's own table stays."""
    for schema in ("mart", "ops", "receipt", "plan", "core", "raw"):
        op.execute(f"drop schema if exists {schema} cascade")
