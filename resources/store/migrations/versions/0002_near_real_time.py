"""Near real time: deliveries announced, systems paused and paced, workers, alerts, assignments."""

from importlib.resources import files

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

#: One file per noun; none needs another.
PARTS = ("inbox", "systems", "exceptions", "alerts", "workers", "webhooks", "outbox")


def upgrade() -> None:
    """Add what deliveries, pacing, alarms and warm workers need."""
    folder = files("resources.store.migrations").joinpath("versions")
    for part in PARTS:
        op.get_bind().exec_driver_sql(folder.joinpath(f"0002_{part}.sql").read_text())


def downgrade() -> None:
    """Nothing: going down to nothing drops whole schemas, and no data is thrown away half way."""
