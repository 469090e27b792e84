"""Files that warehouses drop: what they say is kept, then the file is moved away.

A file that was read and not moved is read again and says nothing new. A broken line is set aside
with its number and its neighbours go on; a file of which no line can be trusted is refused whole.
"""

from collections.abc import Sequence

from sqlalchemy import Connection

from resources.store import exceptions, raw
from resources.store.engine import connected
from resources.systems.warehouse_files import IncomingFile, Kind, Outcome, WarehouseFiles
from resources.wiring import Systems
from sync_assets.domain.orders import Problem
from sync_assets.reading import Page, Tally, keep, was_read
from sync_assets.shipments.things import ships, systems_of
from sync_assets.trouble import exceptional

TABLES = {
    Kind.ACKNOWLEDGEMENT: "files__acknowledgements",
    Kind.SHIPMENT: "files__shipments",
    Kind.RETURN: "files__returns",
}
LINE, FILE = "warehouse_file.line_invalid", "warehouse_file.refused"
#: Broken lines told of one file; the rest are counted.
MOST_TOLD = 20


def warehouses(systems: Systems) -> list[str]:
    """Warehouses that exchange files about shipping."""
    names = systems_of(systems.settings, "files")
    return [name for name in names if ships(systems.settings.warehouses[name])]


def read(systems: Systems, warehouse: str, run_id: str | None) -> Tally:
    """Read every file that waits, oldest first, and move it away once it is kept."""
    total, began = Tally(), systems.now()
    with systems.warehouse(warehouse) as client:
        assert isinstance(client, WarehouseFiles)
        for file in client.incoming():
            with connected(systems.engine) as connection:
                total.add(_keep(systems, connection, warehouse, file, run_id))
            outcome = Outcome.REFUSED if file.refusal else Outcome.DONE
            client.acknowledge(file.name, outcome, file.refusal or "")
    was_read(systems, warehouse, "files", began)
    return total


def _keep(
    systems: Systems,
    connection: Connection,
    warehouse: str,
    file: IncomingFile,
    run_id: str | None,
) -> Tally:
    levels, total = systems.settings.service_levels, Tally()
    if file.kind is not None and not file.refusal and not file.duplicate_of:
        reading = raw.Reading(
            warehouse, "delta", systems.now(), run_id, correlation_id=file.digest[:32]
        )
        page: Page = [*file.rows]
        total.add(keep(connection, TABLES[file.kind], page, reading, levels))
        total.broken += len(file.broken)
    _tell(systems, connection, warehouse, file)
    return total


def _tell(systems: Systems, connection: Connection, warehouse: str, file: IncomingFile) -> None:
    """Open what is wrong with this file; files before it keep theirs until a person ends them."""

    def told(code: str, part: str, message: str) -> exceptions.Exceptional:
        levels = systems.settings.service_levels
        return exceptional(Problem(code, part, message), warehouse, levels, sender_ref=file.name)

    found: Sequence[exceptions.Exceptional] = [
        told(LINE, f"{file.name}:{line.number}", f"{file.name}, line {line.number}: {line.reason}")
        for line in file.broken[:MOST_TOLD]
    ]
    if len(file.broken) > MOST_TOLD:
        more = f"{file.name}: {len(file.broken) - MOST_TOLD} more lines cannot be read"
        found = [*found, told(LINE, f"{file.name}:more", more)]
    if file.refusal:
        found = [*found, told(FILE, file.name, f"{file.name}: {file.refusal}")]
    exceptions.open_all(connection, found, now=systems.now())
