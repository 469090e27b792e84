"""When a check last looked at all rows of a table."""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the moment to what is kept of checks."""
    op.get_bind().exec_driver_sql("alter table ops.verdict add column whole_at timestamptz")


def downgrade() -> None:
    """Nothing: going down to nothing drops whole schemas, and no data is thrown away half way."""
