"""Stock files of a warehouse: kept line by line as said, then moved out of the inbox.

A line that cannot be read is told with its file, number and reason, and costs no other; a file that
cannot be read at all is refused whole. A file says nothing of articles that are not in it. Mapping
to levels is `levels.py`: a file older than what we hold changes nothing there.
"""

import json
from collections.abc import Iterator
from datetime import datetime
from zoneinfo import ZoneInfo

from sqlalchemy import Connection

from resources.store import exceptions, raw
from resources.store.engine import connected
from resources.store.exceptions import Exceptional
from resources.systems.stock_files import Outcome, StockFile
from resources.wiring import Systems
from sync_assets import policies
from sync_assets.domain.orders import Problem, Rejected, Row
from sync_assets.inventory.levels import still_true
from sync_assets.inventory.places import places_of
from sync_assets.mappers import stock_files
from sync_assets.reading import Tally, was_read
from sync_assets.trouble import exceptional

LINE, FILE = "stock.line_invalid", "stock.file_refused"
TABLE = "files__stock_levels"
#: A file that is broken all over opens so many exceptions, and one that says how many more.
MOST_TOLD = 50


def stock_levels(systems: Systems, warehouse: str, run_id: str | None) -> Tally:
    """Keep what every file that waits says, oldest first; each in a transaction of its own."""
    inbox, total = systems.stock_files(warehouse), Tally()
    for file in inbox.stock_files():
        if file.duplicate_of is not None:
            inbox.acknowledge(file.name, Outcome.DONE, f"same content as {file.duplicate_of}")
            continue
        with connected(systems.engine) as connection:
            found = _keep(systems, connection, warehouse, file, run_id, total)
        reason = file.refusal or ("; ".join(one.message for one in found) if found else "")
        outcome = Outcome.REFUSED if file.refusal is not None else Outcome.DONE
        inbox.acknowledge(file.name, outcome, reason)
    was_read(systems, warehouse, "stock_levels", systems.now())
    return total


def _keep(
    systems: Systems,
    connection: Connection,
    warehouse: str,
    file: StockFile,
    run_id: str | None,
    total: Tally,
) -> list[Exceptional]:
    """Keep the lines that can be read; what a newer file no longer has wrong is closed."""
    now = systems.now()
    faults = [(line.number, line.reason) for line in file.broken]
    said: list[tuple[Row, raw.Said]] = []
    for number, row, text in _rows(systems, warehouse, file):
        if isinstance(row, Rejected):
            faults.append((number, str(row)))
        else:
            key = f"{row['sku']}@{row['warehouse']}"
            said.append((row, raw.Said(key, row["true_at"], text)))
    reading = raw.Reading(warehouse, "delta", now, run_id, correlation_id=file.digest[:32])
    new, refused = raw.append_storable(connection, TABLE, [one for _, one in said], reading)
    faults += [(0, reason) for _, reason in refused]
    known = places_of(policies.in_force(systems, connection).policy, warehouse)
    rows = [row for row, _ in said if row["warehouse"] in known]
    rows = [{**row, "location": known[row["warehouse"]]} for row in rows]
    still_true(connection, TABLE, warehouse, rows, now)
    found = _told(systems, warehouse, file, sorted(faults))
    exceptions.reconcile(
        connection, found, subjects=[warehouse], codes=[LINE, FILE], now=now, run_id=run_id
    )
    total.add(Tally(seen=len(file.lines) + len(file.broken), new=new, broken=len(faults)))
    return found


def _rows(
    systems: Systems, warehouse: str, file: StockFile
) -> Iterator[tuple[int, Row | Rejected, str]]:
    """Each line as a level, or why it is none; and its text."""
    zone = ZoneInfo(systems.settings.stock_files()[warehouse].timezone)
    now: datetime = systems.now()
    for line in file.lines:
        text = json.dumps(line.payload, ensure_ascii=False)
        try:
            row = stock_files.stock_level(line.payload, warehouse, file.true_at, zone, now)
        except Rejected as refusal:
            yield line.number, refusal, text
            continue
        yield line.number, row, text


def _told(
    systems: Systems, warehouse: str, file: StockFile, faults: list[tuple[int, str]]
) -> list[Exceptional]:
    levels = systems.settings.service_levels

    def told(code: str, part: str, message: str) -> Exceptional:
        return exceptional(Problem(code, part, message), warehouse, levels, sender_ref=file.name)

    if file.refusal is not None:
        return [told(FILE, file.name, f"{file.name}: {file.refusal}")]
    found = [
        told(LINE, f"{file.name}:{number}", f"{file.name}, line {number}: {reason}")
        for number, reason in faults[:MOST_TOLD]
    ]
    if len(faults) > MOST_TOLD:
        more = f"{file.name}: {len(faults) - MOST_TOLD} more lines cannot be read"
        found.append(told(LINE, f"{file.name}:more", more))
    return found
