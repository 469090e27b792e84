"""The whole life of an order in time order, from any reference: what `sync-assets trace` answers.

Everything is read in one transaction and by a fixed number of statements, however many orders carry
the reference: finding them, their things (`trace_things`), what happened (`trace_events`,
`trace_goods`, `trace_money`), and whom they wait for (`trace_waits`).
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from sync_assets.domain import waiting, waiting_facts
from sync_assets.ops import (
    trace_events,
    trace_finding,
    trace_goods,
    trace_money,
    trace_money_facts,
    trace_things,
    trace_waits,
)
from sync_assets.ops.trace_things import Row, Things, of

Traced = dict[str, Any]


def trace(connection: Connection, reference: str, now: datetime, only: str | None = None) -> Traced:
    """Every order behind a reference, the newest first, with its life."""
    found = trace_finding.find(connection, reference)
    lives = lives_of(connection, found.orders, now)
    for one in lives:
        one["found_by"] = found.forms[one["order_ref"]]
        if only is not None:
            one["events"] = [event for event in one["events"] if event["about"] == only]
    return {
        "reference": reference,
        "at": now,
        "only": only,
        "orders": found.count,
        "found": lives,
        "of_no_order": found.nobodys,
        "batches": found.batches,
    }


def lives_of(connection: Connection, order_refs: Sequence[str], now: datetime) -> list[Traced]:
    """What orders are, whom they wait for, and what they went through."""
    if not order_refs:
        return []
    things = trace_things.gather(connection, order_refs)
    money = trace_money_facts.gather(connection, things)
    versions = trace_events.raw_versions(connection, things)
    writes = trace_events.writes(connection, things)
    exceptions = trace_events.exceptions(connection, things)
    rests = trace_waits.resting(connection)
    events = [
        *trace_events.raw_events(versions),
        *trace_events.change_events(connection, things),
        *trace_goods.return_events(things),
        *trace_goods.refund_events(things),
        *trace_events.step_events(connection, things),
        *trace_events.plan_events(connection, things),
        *trace_events.write_events(things, writes),
        *trace_events.receipt_events(connection, things),
        *trace_goods.shipment_events(things),
        *trace_goods.tracking_events(things),
        *trace_goods.parcel_events(things),
        *trace_goods.restock_events(connection, things),
        *trace_goods.verdict_events(connection, things),
        *trace_money.events(money),
        *trace_events.exception_events(things, exceptions),
        *trace_events.audit_events(connection, things),
    ]
    facts = [
        trace_waits.facts_of(
            ref,
            things,
            versions=versions,
            writes=writes,
            exceptions=exceptions,
            rests=rests,
            money=trace_money.due_of(ref, money),
        )
        for ref in order_refs
    ]
    return [
        {**_life(one, things, events, now), "money": trace_money.told(one.order_ref, money)}
        for one in facts
    ]


def events_behind(connection: Connection, subject_ref: str, now: datetime) -> list[Row]:
    """What the orders of any thing of ours went through; a thing of no order has its own story."""
    orders = trace_finding.orders_of(connection, subject_ref) or [subject_ref]
    lives = lives_of(connection, orders[: trace_finding.MOST], now)
    return sorted((event for one in lives for event in one["events"]), key=_when)


def _life(
    facts: waiting_facts.Facts, things: Things, events: Iterable[Row], now: datetime
) -> Traced:
    ref = facts.order_ref
    state, waits = waiting.state_of(facts), waiting.waits(facts, now)
    mine = {key for key, owners in things.owners.items() if ref in owners}
    orders = of(ref, things.orders)
    return {
        "order_ref": ref,
        "state": state,
        "waits_for": [_wait(wait, now) for wait in waits],
        "says": waiting.sentence(waits[0], now) if waits else waiting.at_rest(state),
        "order": orders[0] if orders else None,
        "lines": _of(ref, things.lines),
        "requests": _of(ref, things.requests),
        "shipments": _of(ref, things.shipped),
        "returns": _of(ref, things.returns),
        "refunds": _of(ref, things.refunds),
        "references": [row for row in things.references if row["our_ref"] in mine],
        "events": sorted(_of(ref, events), key=_when),
    }


def _of(order_ref: str, rows: Iterable[Row]) -> list[Row]:
    """The rows of one order, without saying whose they are in each."""
    return [
        {name: value for name, value in row.items() if name != "order_ref"}
        for row in of(order_ref, rows)
    ]


def _wait(wait: waiting.Wait, now: datetime) -> Row:
    return {
        "on": wait.on,
        "name": wait.name,
        "since": wait.since,
        "due": wait.due,
        "says": waiting.sentence(wait, now),
    }


def _when(event: Row) -> datetime:
    moment = event["at"]
    assert isinstance(moment, datetime)
    return moment
