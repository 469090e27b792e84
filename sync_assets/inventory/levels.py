"""Stock levels: from what sources said to one current row per SKU and location, and its history.

A reading older than what is held changes nothing. Unchanged numbers keep their row; only the moment
they are true for moves on, which is what lets reservations fall. Reading is `reading.py`.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd
import pyarrow
from sqlalchemy import Connection, text

from resources.store import exceptions, raw, versions
from resources.store.engine import connected, one_at_a_time
from resources.store.exceptions import Exceptional
from resources.store.frames import read_rows
from resources.wiring import Systems
from sync_assets import policies
from sync_assets.domain.orders import Problem, Rejected, Row
from sync_assets.inventory.places import owners, places_of
from sync_assets.mappers import stock_files
from sync_assets.mappers.stock import STOCK_MAPPERS
from sync_assets.mapping import parsed
from sync_assets.trouble import exceptional

CHUNK = 5_000
FILES = "files"
#: How a version came that says a whole reading no longer showed the item.
GONE = "gone"
LEVELS = versions.Versioned(
    "core.stock_level_versions",
    key=("sku", "location"),
    compared=(
        *("source", "on_hand_units", "allocated_units", "quarantined_units", "incoming_units"),
    ),
    carried=("true_at", "item_id"),
)
UNITS = ("on_hand_units", "allocated_units", "quarantined_units", "incoming_units")
TYPES = {
    "sku": pyarrow.large_string(),
    "location": pyarrow.large_string(),
    "source": pyarrow.large_string(),
    **dict.fromkeys(UNITS, pyarrow.int64()),
    "true_at": pyarrow.timestamp("us", "UTC"),
    "item_id": pyarrow.int64(),
}


@dataclass
class Levels:
    """What one step did with the levels it was given."""

    mapped: int = 0
    new: int = 0
    changed: int = 0
    #: Older than what is held.
    late: int = 0
    set_aside: int = 0
    without_sku: int = 0
    #: Two items of an ERP have the SKU: nobody can say whose number counts.
    doubled: int = 0
    unplaced: int = 0
    gone: int = 0

    def add(self, other: "Levels") -> None:
        """Count another step in."""
        for one in fields(self):
            setattr(self, one.name, getattr(self, one.name) + getattr(other, one.name))


def take_in(
    connection: Connection,
    rows: pd.DataFrame | pyarrow.Table,
    now: datetime,
    run_id: str | None,
    *,
    is_whole: bool = False,
) -> versions.Kept:
    """Make these levels the current ones: a new version where a number differs.

    Of a whole reading, `core.stock_readings` tells the moment once for all rows; otherwise the
    moment of the rows that did not change moves on, row by row.
    """
    with versions.staged(connection, LEVELS, "stage_levels", rows) as stage:
        if not is_whole:  # before the levels are written: marks follow the order of the queues
            mark_orders_of(connection, stage, now)
        held = versions.keep_changed(
            connection,
            LEVELS,
            f"(select s.*, r.read_at from {stage} s left join core.stock_readings r "  # noqa: S608
            "on r.source = s.source and r.location = s.location)",
            now,
            run_id,
            late="(s.true_at < c.true_at or s.true_at < s.read_at)",
        )
        if not is_whole:
            _move_on(connection, stage)
    return held


def _move_on(connection: Connection, stage: str) -> None:
    """Let what was told again be true for the later moment."""
    with versions.joined_well(connection, stage):
        connection.exec_driver_sql(
            f"update core.stock_level_versions c set true_at = s.true_at from {stage} s "  # noqa: S608
            "where c.sku = s.sku and c.location = s.location and c.replaced_at is null "
            "and c.true_at < s.true_at"
        )


def mark_orders_of(connection: Connection, staged: str, now: datetime) -> None:
    """Mark the orders that wait for a reading of these SKUs and locations, changed or not."""
    connection.execute(
        text(
            f"""
            insert into ops.stale as old (queue, key, since)
            select distinct 'reservation', v.order_ref, cast(:now as timestamptz)
            from core.reservation_versions v join {staged} s using (sku, location)
            where v.replaced_at is null and v.state = 'open' and v.allocated_at is not null
            order by 2 on conflict (queue, key) do update set since = old.since
            """  # noqa: S608
        ),
        {"now": now},
    )


def map_levels(systems: Systems, kind: str, run_id: str | None, *, again: bool = False) -> Levels:
    """Bring core.stock_levels up to the newest raw levels of one kind of source.

    `again`: also those that were set aside before, and may find their SKU or location now.
    """
    total, table = Levels(), f"{kind}__stock_levels"
    if again:
        with connected(systems.engine) as connection:
            _look_again(systems, connection, kind, table)
    while True:
        with (
            connected(systems.engine) as connection,
            one_at_a_time(connection, f"map {table}"),
        ):
            said = raw.unmapped(connection, table, CHUNK)
            if not said:
                count_readings(connection, table, sources_of(systems, kind), systems.now())
                return total
            total.add(_take_chunk(systems, connection, kind, said, run_id))
            raw.mark_mapped(connection, table, said, systems.now())


def still_true(
    connection: Connection, table: str, source: str, rows: Sequence[Row], now: datetime
) -> None:
    """Move on the moment of levels that were told again and did not change.

    Those that did wait to be mapped, with a moment of their own.
    """
    connection.exec_driver_sql("drop table if exists stage_still")
    connection.execute(
        text(
            f"""
            create temp table stage_still on commit drop as
            select v.sku, v.location, max(s.true_at) as true_at from core.stock_level_versions v
            join unnest(cast(:items as bigint[]), cast(:skus as text[]), cast(:codes as text[]),
                        cast(:places as text[]), cast(:moments as timestamptz[]))
                as s (item, sku, code, place, true_at)
                on v.sku = s.sku and v.location = s.place and v.item_id is not distinct from s.item
            where v.source = :source and v.replaced_at is null and v.true_at < s.true_at
              and not exists (select from raw.{table} r where r.source = :source
                and r.resource_id = coalesce(s.item::text, s.sku) || '@' || s.code
                and r.mapped_at is null)
            group by 1, 2
            """  # noqa: S608
        ),
        {
            "source": source,
            "items": [row["item_id"] for row in rows],
            "skus": [row["sku"] for row in rows],
            "codes": [row["warehouse"] for row in rows],
            "places": [row["location"] for row in rows],
            "moments": [row["true_at"] for row in rows],
        },
    )
    mark_orders_of(connection, "stage_still", now)
    connection.exec_driver_sql(
        "update core.stock_level_versions v set true_at = s.true_at from stage_still s "
        "where v.sku = s.sku and v.location = s.location and v.replaced_at is null "
        "and v.true_at < s.true_at"
    )


def count_readings(
    connection: Connection, table: str, sources: Collection[str], now: datetime
) -> None:
    """Let whole readings count of which everything is in the levels now."""
    rows = connection.execute(
        text(
            f"""
            update core.stock_readings r set read_at = seen_at
            where source = any(:sources) and (read_at is null or read_at < seen_at)
              and not exists (select from raw.{table} u
                where u.source = r.source and u.mapped_at is null)
            returning location
            """  # noqa: S608
        ),
        {"sources": sorted(sources)},
    )
    places = sorted({row.location for row in rows})
    connection.execute(
        text(
            """
            insert into ops.stale as old (queue, key, since)
            select distinct 'reservation', v.order_ref, cast(:now as timestamptz)
            from core.reservation_versions v
            where v.replaced_at is null and v.state = 'open' and v.allocated_at is not null
              and v.location = any(:locations)
            order by 2 on conflict (queue, key) do update set since = old.since
            """
        ),
        {"now": now, "locations": places},
    )


def _look_again(systems: Systems, connection: Connection, kind: str, table: str) -> None:
    """Let newest versions be mapped again of which the levels have nothing, though they could."""
    policy = policies.in_force(systems, connection).policy
    known = [
        (source, code, name)
        for source in sources_of(systems, kind)
        for code, name in places_of(policy, source).items()
    ]
    connection.execute(
        text(
            f"""
            update raw.{table} r set mapped_at = null from (
                select distinct on (u.source, u.resource_id) u.version, u.via, p.place,
                    left(u.resource_id, -length(p.code) - 1) as thing
                from raw.{table} u
                join unnest(cast(:sources as text[]), cast(:codes as text[]),
                            cast(:places as text[])) as p (source, code, place)
                    on p.source = u.source and p.code = split_part(u.resource_id, '@', -1)
                order by u.source, u.resource_id, u.changed_at desc, u.version desc
            ) n
            where r.version = n.version and r.mapped_at is not null and n.via <> :gone
              and not exists (select from core.stock_level_versions v
                where v.replaced_at is null and v.location = n.place
                  and coalesce(v.item_id::text, v.sku) = n.thing)
            """  # noqa: S608
        ),
        {
            "sources": [source for source, _, _ in known],
            "codes": [code for _, code, _ in known],
            "places": [name for _, _, name in known],
            "gone": GONE,
        },
    )


def sources_of(systems: Systems, kind: str) -> list[str]:
    """The systems of a kind that tell stock."""
    told = {**systems.settings.erps, **systems.settings.warehouses}
    return [name for name, one in told.items() if one.kind == kind]


def _take_chunk(
    systems: Systems,
    connection: Connection,
    kind: str,
    said: list[dict[str, Any]],
    run_id: str | None,
) -> Levels:
    total = Levels(mapped=len(said))
    told: list[Row] = []
    faults: list[Exceptional] = []
    for version in said:
        try:
            told.append({**_row(systems, kind, version), "source": version["source"]})
        except Rejected as refusal:
            faults += [_malformed(systems, kind, version, one) for one in refusal.problems]
            total.set_aside += 1
    exceptions.reconcile(
        connection,
        faults,
        subjects=[_subject(kind, version) for version in said],
        codes=["thing.malformed"],
        now=systems.now(),
        run_id=run_id,
    )
    placed = _placed(systems, connection, told, total, run_id)
    named = _named(connection, placed, total)
    kept = take_in(connection, level_frame(named), systems.now(), run_id)
    total.new, total.changed, total.late = kept.new, kept.changed, kept.late
    return total


def _subject(kind: str, version: Mapping[str, Any]) -> str:
    return f"{version['source']}:{kind}__stock_levels:{version['resource_id']}"


def _malformed(
    systems: Systems, kind: str, version: Mapping[str, Any], problem: Problem
) -> Exceptional:
    return exceptional(
        Problem("thing.malformed", problem.part, problem.message),
        _subject(kind, version),
        systems.settings.service_levels,
        sender_ref=version["resource_id"],
        version=version["version"],
    )


def _row(systems: Systems, kind: str, version: Mapping[str, Any]) -> Row:
    """One raw version as a level of a warehouse; of what is gone only the item is known."""
    moment = version["changed_at"]
    if version["via"] == GONE:
        item, _, warehouse = version["resource_id"].partition("@")
        names = {"item_id": int(item), "sku": None, "warehouse": warehouse, "is_gone": True}
        return {**names, **dict.fromkeys(UNITS, 0), "true_at": moment}
    body = parsed(version["payload"])
    if kind == FILES:
        zone = ZoneInfo(systems.settings.stock_files()[version["source"]].timezone)
        return stock_files.stock_level(body, version["source"], moment, zone, systems.now())
    return {**STOCK_MAPPERS[kind].stock_level(body), "true_at": moment}


def _placed(
    systems: Systems,
    connection: Connection,
    rows: list[Row],
    total: Levels,
    run_id: str | None,
) -> list[Row]:
    """Levels with our name of the location; a code the policy does not know is told once."""
    policy = policies.in_force(systems, connection).policy
    known = {source: places_of(policy, source) for source in {row["source"] for row in rows}}
    seen = {(row["source"], row["warehouse"]) for row in rows}
    unknown = sorted(pair for pair in seen if pair[1] not in known[pair[0]])
    exceptions.reconcile(
        connection,
        [_unknown(systems, source, code) for source, code in unknown],
        subjects=[f"{source}:{code}" for source, code in seen],
        codes=["stock.location_unknown"],
        now=systems.now(),
        run_id=run_id,
    )
    placed = [
        {**row, "location": known[row["source"]][row["warehouse"]]}
        for row in rows
        if row["warehouse"] in known[row["source"]]
    ]
    total.unplaced += len(rows) - len(placed)
    return placed


def _unknown(systems: Systems, source: str, code: str) -> Exceptional:
    message = f"{source} tells stock of {code!r}, which no location of the policy names"
    problem = Problem("stock.location_unknown", "warehouse", message)
    levels = systems.settings.service_levels
    return exceptional(problem, f"{source}:{code}", levels, sender_ref=code)


def _named(connection: Connection, rows: list[Row], total: Levels) -> list[Row]:
    """Levels of a SKU that is one item's; for the others nobody can say whose number counts."""
    gone = [row for row in rows if row.get("is_gone")]
    shown = [row for row in rows if not row.get("is_gone")]
    total.gone += len(gone)
    total.without_sku += sum(row["sku"] is None for row in shown)
    shown = [row for row in shown if row["sku"] is not None]
    whose = owners(connection, {r["source"] for r in shown}, {r["sku"] for r in shown})
    own = [row for row in shown if whose.is_owner(row["source"], row["sku"], row["item_id"])]
    claims = Counter((row["sku"], row["location"]) for row in own)
    single = [row for row in own if claims[row["sku"], row["location"]] == 1]
    total.doubled += len(shown) - len(single)
    told = {(row["sku"], row["location"]) for row in single}
    held = [row for row in _held_of(connection, gone) if (row["sku"], row["location"]) not in told]
    return single + held


def _held_of(connection: Connection, gone: list[Row]) -> list[Row]:
    """What is held of items that are gone, with nothing of it left."""
    rows = read_rows(
        connection,
        """
        select v.sku, v.location, v.source, v.item_id, g.true_at
        from core.stock_level_versions v
        join unnest(cast(:items as bigint[]), cast(:places as text[]), cast(:sources as text[]),
                    cast(:moments as timestamptz[])) as g (item, place, source, true_at)
            on v.item_id = g.item and v.location = g.place and v.source = g.source
        where v.replaced_at is null
        """,
        items=[row["item_id"] for row in gone],
        places=[row["location"] for row in gone],
        sources=[row["source"] for row in gone],
        moments=[row["true_at"] for row in gone],
    )
    return [{**row, **dict.fromkeys(UNITS, 0)} for row in rows]


def level_frame(rows: Sequence[Row]) -> pyarrow.Table:
    """Levels as a table of the columns and types that `take_in` takes."""
    return pyarrow.table(
        {name: pyarrow.array([row[name] for row in rows], kind) for name, kind in TYPES.items()}
    )
