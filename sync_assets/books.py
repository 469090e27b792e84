"""One ERP as the hands need it that write into its books: its client, its names, and what of a
batch is not wanted any more.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from resources.errors import RemoteError
from resources.store.engine import connected
from resources.store.frames import read_rows
from resources.systems.roles import Erp, References
from resources.wiring import Systems


@dataclass
class Books:
    """One ERP, and who asks it."""

    systems: Systems
    kind: str
    erp: str
    client: Erp
    _references: References | None = field(default=None, init=False)

    @property
    def references(self) -> References:
        """The ERP's master data by name, read once a run."""
        if self._references is None:
            self._references = self.client.references()
        return self._references

    def is_there(self) -> bool:
        """Whether the ERP answers at all."""
        try:
            self.client.ping()
        except RemoteError:
            return False
        return True

    def unwanted(self, table: str, keys: Iterable[str]) -> set[str]:
        """Those that the plan no longer wants; a plan is newer than a leased write."""
        asked = set(keys)
        with connected(self.systems.engine) as connection:
            rows = read_rows(
                connection,
                f"select key from plan.{self.kind}__{table} "  # noqa: S608
                "where system = :erp and key = any(:keys) and action = 'create'",
                erp=self.erp,
                keys=sorted(asked),
            )
        return asked - {row["key"] for row in rows}
