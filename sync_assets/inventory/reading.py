"""What ERPs say of their stock, kept as said: moves, and the levels of what moved, or of all.

A move tells which item to ask about, never how many there are: what is there is always read. The
moment a reading is true for is our clock before the first call of its page.
"""

import json
from array import array
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, text

from resources.store import raw, stale
from resources.store.engine import connected
from resources.store.frames import read_rows, scalar, stage_keys
from resources.systems.roles import Payload
from resources.wiring import Systems
from sync_assets.inventory.levels import GONE, still_true
from sync_assets.inventory.places import places
from sync_assets.mappers.stock import moved_item
from sync_assets.reading import Tally, was_read

#: An ERP dates a change with the start of its transaction: the longest one must fit in.
OVERLAP = timedelta(minutes=5)
MOVES, LEVELS = "stock_moves", "stock_levels"
READ_AGAIN = "stock_reading"
#: Items asked again because an accepted order waits for their reading; the oldest first.
MOST_AWAITED = 2_000


def stock_moves(systems: Systems, erp: str, run_id: str | None) -> Tally:
    """Keep the moves of an ERP that changed since the last reading; their items are read again.

    The first reading starts now: what was moved before is in the levels.
    """
    now, total = systems.now(), Tally()
    with connected(systems.engine) as connection:
        since = raw.complete_until(connection, erp, MOVES) or now
    with systems.erp(erp) as client:
        for page in client.moved_since(since, OVERLAP):
            reading = raw.Reading(erp, "delta", now, run_id)
            with connected(systems.engine) as connection:
                total.add(_keep_moves(systems, connection, erp, page, reading))
    was_read(systems, erp, MOVES, now)
    return total


def _keep_moves(
    systems: Systems, connection: Connection, erp: str, page: list[Payload], reading: raw.Reading
) -> Tally:
    kind = systems.settings.erps[erp].kind
    table = f"{kind}__{MOVES}"
    before = scalar(connection, f"select coalesce(max(version), 0) from raw.{table}")  # noqa: S608
    said = [_said(str(move["id"]), reading.received_at, move) for move in page]
    new = raw.append(connection, table, said, reading)
    rows = read_rows(
        connection,
        f"select resource_id from raw.{table} "  # noqa: S608
        "where source = :erp and resource_id = any(:ids) and version > :before",
        erp=erp,
        ids=[one.resource_id for one in said],
        before=before,
    )
    changed = {row["resource_id"] for row in rows}
    items = {moved_item(kind, move) for move in page if str(move["id"]) in changed}
    keys = [f"{erp}:{item}" for item in items if item is not None]
    stale.mark(connection, READ_AGAIN, keys, reading.received_at, renew=True)
    return Tally(seen=len(page), new=new)


def _said(resource_id: str, at: datetime, payload: Mapping[str, Any]) -> raw.Said:
    """Levels and moves as text; the moment of reading orders what is read twice at once."""
    return raw.Said(resource_id, at, json.dumps(payload, default=str))


def stock_levels(
    systems: Systems, erp: str, run_id: str | None, *, only_moved: bool = False
) -> Tally:
    """Keep the levels of an ERP at the policy's locations: all, or of what moved since.

    What was never read whole is read whole.
    """
    found = places(systems, erp)
    if not found:
        return Tally()
    with connected(systems.engine) as connection:
        missing = _never_read(connection, erp, found.values())
    if only_moved and not missing:
        return _of_moved(systems, erp, found, run_id)
    return _whole(systems, erp, found, run_id)


def _never_read(connection: Connection, erp: str, locations: Collection[str]) -> set[str]:
    rows = read_rows(
        connection, "select location from core.stock_readings where source = :erp", erp=erp
    )
    return set(locations) - {row["location"] for row in rows}


def _timed(
    systems: Systems, pages: Iterator[list[Payload]]
) -> Iterator[tuple[datetime, list[Payload]]]:
    """Pages with our clock before the first call of each."""
    while True:
        moment = systems.now()
        page = next(pages, None)
        if page is None:
            return
        yield moment, page


def _whole(systems: Systems, erp: str, found: Mapping[str, str], run_id: str | None) -> Tally:
    """Read every level; what a walk that came to its end did not show any more is gone."""
    began, total = systems.now(), Tally()
    met: dict[str, array[int]] = {code: array("q") for code in found}
    with connected(systems.engine) as connection:
        marks = _marked(connection, erp)
    with systems.erp(erp) as client:
        for moment, page in _timed(systems, client.stock_levels(list(found))):
            with connected(systems.engine) as connection:
                total.add(_keep_levels(systems, connection, erp, page, moment, run_id))
            for level in page:
                met.setdefault(level["warehouse"], array("q")).append(level["id"])
    with connected(systems.engine) as connection:
        _keep_gone(systems, connection, erp, met, began, run_id)
        _remember_reading(connection, erp, found.values(), began)
        stale.settle(connection, READ_AGAIN, marks)
    was_read(systems, erp, LEVELS, began)
    return total


def _keep_levels(
    systems: Systems,
    connection: Connection,
    erp: str,
    page: list[Payload],
    moment: datetime,
    run_id: str | None,
) -> Tally:
    table = f"{systems.settings.erps[erp].kind}__{LEVELS}"
    said = [_said(f"{level['id']}@{level['warehouse']}", moment, level) for level in page]
    new = raw.append(connection, table, said, raw.Reading(erp, "delta", moment, run_id))
    return Tally(seen=len(page), new=new)


def _keep_gone(
    systems: Systems,
    connection: Connection,
    erp: str,
    met: Mapping[str, Sequence[int]],
    began: datetime,
    run_id: str | None,
) -> None:
    """A version that says so for each level the walk did not show: if it comes back, that is new.

    What another reading saw since the walk began is left alone.
    """
    table = f"{systems.settings.erps[erp].kind}__{LEVELS}"
    keys = [f"{item}@{code}" for code, items in met.items() for item in items]
    stage_keys(connection, "stage_met", list(dict.fromkeys(keys)))
    rows = read_rows(
        connection,
        f"""
        select n.resource_id from (
            select distinct on (resource_id) resource_id, via, changed_at from raw.{table}
            where source = :erp order by resource_id, changed_at desc, version desc
        ) n
        where n.via <> :gone and n.changed_at < :began
          and split_part(n.resource_id, '@', 2) = any(:codes)
          and not exists (select from stage_met m where m.key = n.resource_id)
        """,  # noqa: S608
        erp=erp,
        gone=GONE,
        began=began,
        codes=list(met),
    )
    said = [_said(row["resource_id"], began, {"is_listed": False}) for row in rows]
    raw.append(connection, table, said, raw.Reading(erp, GONE, began, run_id))


def _remember_reading(
    connection: Connection, erp: str, locations: Collection[str], began: datetime
) -> None:
    """These places were read whole; it counts once what was said is in the levels."""
    connection.execute(
        text(
            """
            insert into core.stock_readings as r (source, location, seen_at)
            select :erp, location, :began
            from unnest(cast(:locations as text[])) as read (location)
            on conflict (source, location) do update
            set seen_at = greatest(r.seen_at, excluded.seen_at)
            """
        ),
        {"erp": erp, "locations": sorted(locations), "began": began},
    )


def _of_moved(systems: Systems, erp: str, found: Mapping[str, str], run_id: str | None) -> Tally:
    """Read the levels of items that moved, and of those an accepted order waits for."""
    with connected(systems.engine) as connection:
        marks = _marked(connection, erp)
        awaited = _awaited(connection, systems, erp)
    items = sorted({int(key.rpartition(":")[2]) for key in marks} | awaited)
    if not items:
        return Tally()
    total, kind = Tally(), systems.settings.erps[erp].kind
    with systems.erp(erp) as client:
        for moment, page in _timed(systems, client.stock_levels(list(found), items)):
            with connected(systems.engine) as connection:
                total.add(_keep_levels(systems, connection, erp, page, moment, run_id))
                still = _placed(page, found, moment)
                still_true(connection, f"{kind}__{LEVELS}", erp, still, moment)
    with connected(systems.engine) as connection:
        stale.settle(connection, READ_AGAIN, marks)
    was_read(systems, erp, f"{LEVELS}_of_moved", systems.now())
    return total


def _marked(connection: Connection, erp: str) -> dict[str, datetime]:
    """Items of an ERP to be read again, and since when."""
    marks = stale.waiting(connection, READ_AGAIN)
    return {key: at for key, at in marks.items() if key.startswith(f"{erp}:")}


def _placed(page: list[Payload], found: Mapping[str, str], moment: datetime) -> list[Payload]:
    """Levels with their item, our name of the place and the moment they are true for."""
    return [
        {
            "item_id": level["id"],
            "sku": level["sku"] or None,
            "warehouse": level["warehouse"],
            "location": found[level["warehouse"]],
            "true_at": moment,
        }
        for level in page
        if level["warehouse"] in found
    ]


def _awaited(connection: Connection, systems: Systems, erp: str) -> set[int]:
    """Items of accepted orders whose reservation falls with the next reading."""
    rows = read_rows(
        connection,
        """
        select distinct p.item_id from (
            select v.sku from core.reservation_versions v
            join core.orders o using (order_ref)
            left join core.stock_levels l on l.sku = v.sku and l.location = v.location
            where v.replaced_at is null and v.state = 'open' and v.allocated_at is not null
              and o.store = any(:stores) and (l.true_at is null or l.true_at <= v.allocated_at)
            order by v.allocated_at limit :most
        ) w join core.product_refs p on p.system = :erp and p.sku = w.sku
        """,
        stores=sorted(systems.settings.stores_of(erp)),
        erp=erp,
        most=MOST_AWAITED,
    )
    return {row["item_id"] for row in rows}
