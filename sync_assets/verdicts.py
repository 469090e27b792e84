"""Whether the tables a plan is made from passed their last check, in whatever run that was."""

from collections.abc import Sequence

from resources.store.engine import connected
from resources.store.frames import read_rows
from resources.wiring import Systems


class ChecksFailed(Exception):
    """A core table failed its last check; planning from it would spread the fault."""


def require_passed(systems: Systems, tables: Sequence[str]) -> None:
    """Refuse to go on when the last check of a table failed, in whatever run that was."""
    with connected(systems.engine) as connection:
        failed = read_rows(
            connection,
            "select table_name, failures, run_id from ops.verdict "
            "where not passed and table_name = any(:tables)",
            tables=list(tables),
        )
    if failed:
        named = ", ".join(f"{row['table_name']} ({row['failures']} rows)" for row in failed)
        raise ChecksFailed(
            f"The last check failed for {named}; mend the rows or the rule, run the check again, "
            "then plan."
        )
