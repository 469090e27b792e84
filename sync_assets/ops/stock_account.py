"""How a published number came about, read from the versions of that time: facts, policy, number,
what was sent and what the shop showed. Read only.

Levels, reservations, numbers and policies are kept in every version. Kits and demand are not: of
those, today's are used, and a difference they make is told as one.
"""

import difflib
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from resources.store.frames import read_rows
from sync_assets import policies
from sync_assets.catalog.candidates import Candidates
from sync_assets.domain.explaining import Component, Explanation, SkuFacts, StockAt, explain
from sync_assets.domain.kits import KitCycle
from sync_assets.domain.policy import PolicyError

Row = dict[str, Any]
AMOUNTS = ("atp_units", "safety_units", "sellable_units", "backorder_units")


def account(
    connection: Connection, sku: str, at: datetime, channel: str | None = None
) -> list[Row]:
    """Every channel's number of a SKU at a moment, each with its steps; none if none was known."""
    found = []
    facts = _facts(connection, sku, at)
    for number in _numbers(connection, sku, at, channel):
        policy_hash, name = number["policy_hash"], number["channel"]
        steps, worked_out, trouble = _again(connection, facts, name, policy_hash)
        found.append(
            {
                "channel": name,
                "sku": sku,
                "number": number,
                "steps": steps,
                "worked_out": worked_out,
                "trouble": trouble,
                "agrees": worked_out is not None
                and all(worked_out[amount] == number[amount] for amount in AMOUNTS),
                "is_waiting": _is_waiting(connection, sku, at, number["replaced_at"]),
                **_shop_side(connection, name, sku, at),
            }
        )
    return found


def _again(
    connection: Connection, facts: SkuFacts | KitCycle, channel: str, policy_hash: str
) -> tuple[list[str], Row | None, str | None]:
    """The steps to the number, the number they lead to, or why there are none."""
    if isinstance(facts, KitCycle):
        return [str(facts)], None, str(facts)
    body = policies.kept(connection, policy_hash)
    if body is None:
        return [], None, f"the policy {policy_hash} is not kept"
    try:
        policy = policies.of(body).policy
    except PolicyError as fault:
        return [], None, f"this version cannot read the policy {policy_hash}: {fault}"
    if channel not in policy.channels:
        return [], None, f"the policy {policy_hash} knows no channel {channel}"
    said: Explanation = explain(facts, channel, policy)
    return list(said.steps), {k: v for k, v in asdict(said).items() if k != "steps"}, None


def _numbers(connection: Connection, sku: str, at: datetime, channel: str | None) -> list[Row]:
    return read_rows(
        connection,
        f"""
        select channel, atp_units, safety_units, sellable_units, backorder_units, lead_days,
            limited_by, scarcest_sku, policy_hash, computed_at, replaced_at
        from core.availability_versions v
        where sku = :sku and {_held("computed_at")}
          and (cast(:channel as text) is null or channel = :channel)
        order by channel
        """,  # noqa: S608
        sku=sku,
        at=at,
        channel=channel,
    )


def _held(since: str) -> str:
    return f"v.{since} <= :at and (v.replaced_at is null or v.replaced_at > :at)"


def _facts(connection: Connection, sku: str, at: datetime) -> SkuFacts | KitCycle:
    """Levels and reservations as of the moment; of a kit, those of all that is in it."""
    try:
        return _facts_inside(connection, sku, at, ())
    except KitCycle as fault:
        return fault


def _facts_inside(
    connection: Connection, sku: str, at: datetime, above: tuple[str, ...]
) -> SkuFacts:
    if sku in above:
        raise KitCycle([*above])
    parts = read_rows(
        connection,
        "select distinct component_sku, component_units from core.kit_components "
        "where sku = :sku order by 1",
        sku=sku,
    )
    return SkuFacts(
        sku,
        _levels(connection, sku, at),
        _reserved(connection, sku, at),
        _demand(connection, sku),
        [
            Component(
                part["component_sku"]
                and _facts_inside(connection, part["component_sku"], at, (*above, sku)),
                part["component_units"],
            )
            for part in parts
        ],
    )


def _levels(connection: Connection, sku: str, at: datetime) -> Mapping[str, StockAt]:
    rows = read_rows(
        connection,
        "select location, on_hand_units, allocated_units, quarantined_units "  # noqa: S608
        f"from core.stock_level_versions v where sku = :sku and {_held('known_at')}",
        sku=sku,
        at=at,
    )
    return {
        row["location"]: StockAt(
            row["on_hand_units"], row["allocated_units"], row["quarantined_units"]
        )
        for row in rows
    }


def _reserved(connection: Connection, sku: str, at: datetime) -> Mapping[str, int]:
    rows = read_rows(
        connection,
        "select location, sum(open_units)::bigint as units from core.reservation_versions v "  # noqa: S608
        f"where sku = :sku and state = 'open' and {_held('known_at')} group by 1",
        sku=sku,
        at=at,
    )
    return {row["location"]: int(row["units"]) for row in rows}


def _demand(connection: Connection, sku: str) -> Mapping[str, Any]:
    query = "select channel, units_per_day from core.demand where sku = :sku"
    rows = read_rows(connection, query, sku=sku)
    return {row["channel"]: row["units_per_day"] for row in rows}


def _is_waiting(
    connection: Connection, sku: str, at: datetime, replaced_at: datetime | None
) -> bool:
    """Whether the number is already known to be old; for a past one nobody can say any more."""
    if replaced_at is not None:
        return False
    query = (
        "select 1 as one from ops.stale where queue = 'availability' and key in (:sku, '*') limit 1"
    )
    return bool(read_rows(connection, query, sku=sku, at=at))


def _shop_side(connection: Connection, channel: str, sku: str, at: datetime) -> Row:
    """What was last published by then, and what the shop shows as we last read it."""
    listings = read_rows(
        connection,
        "select product_id, stock_units, backorders, stock_status, changed_at from core.listings "
        "where store = :store and lower(sku) = lower(:sku) order by product_id limit 1",
        store=channel,
        sku=sku,
    )
    receipts = read_rows(
        connection,
        "select product_id, outcome, wanted_units, written_units, read_back_units, "
        "sold_meanwhile_units, answered_at from receipt.woocommerce__stock "
        "where system = :store and lower(sku) = lower(:sku) and answered_at <= :at "
        "order by id desc limit 1",
        store=channel,
        sku=sku,
        at=at,
    )
    return {"published": next(iter(receipts), None), "shop": next(iter(listings), None)}


def near(connection: Connection, sku: str) -> list[str]:
    """Known SKUs that are nearly this one."""
    rows = read_rows(
        connection,
        "select distinct sku from core.availability_versions where replaced_at is null "
        "union select distinct sku from core.stock_level_versions where replaced_at is null",
    )
    known = [row["sku"] for row in rows]
    return Candidates(known).near(sku) or difflib.get_close_matches(sku, known, cutoff=0.5)
