"""How everything stands, as one object: what `status` shows, prints as JSON and watches."""

from collections import defaultdict
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection

from resources.metrics import Promise
from resources.settings import Settings
from resources.store import alerts as stored_alerts
from resources.store import facts as stored
from resources.store.alerts import Alert, Severity
from sensors import alarms
from sync_assets.domain import service_levels as rules
from sync_assets.domain.service_levels import Level, State
from sync_assets.ops import money_overview, report
from sync_assets.service_levels import Standing, is_paused, standing

Found = dict[str, Any]
GRAVITY = list(reversed(Severity))
STATES = list(reversed(State))


def overview(
    connection: Connection, settings: Settings, now: datetime, *, whole: bool = True
) -> Found:
    """Everything a person must see, what is wrong first."""
    found = standing(connection, settings, now)
    told = report.status(connection, now, whole=whole)
    return {
        **told,
        "troubles": troubles(connection, found, settings),
        "systems": systems(found, settings),
        "queues": found.found.queues,
        "inbox": found.found.inbox,
        "deliveries": found.found.deliveries,
        "quarantined": found.found.quarantined,
        "levels": [level(one) for one in sorted(found.levels, key=_worst_first)],
        "money": money_overview.money(connection, found.found, settings, whole=whole),
        "owners": owners(found.found.exceptions),
        "workers": found.found.workers,
        "workers_alive": found.found.alive,
        "runs_waiting_for_a_worker": found.found.handovers,
        "accepted_last_hour": found.found.accepted,
    }


def troubles(connection: Connection, found: Standing, settings: Settings) -> list[Found]:
    """What is wrong now, the gravest first, and what to do next; failed runs as last seen."""
    seen = [_trouble(one) for one in alarms.alerts(found, settings)]
    rows = stored_alerts.open_ones(connection)
    runs = [{name: row[name] for name in _TROUBLE} for row in rows if row["scope"] == alarms.RUNS]
    return sorted([*seen, *runs], key=lambda one: GRAVITY.index(Severity(one["severity"])))


_TROUBLE = (
    "key",
    "severity",
    "title",
    "what",
    "next_step",
    "since_at",
    "things",
    "things_count",
    "at_stake",
)


def _trouble(alert: Alert) -> Found:
    values = {name: getattr(alert, name) for name in _TROUBLE}
    return {**values, "severity": alert.severity.value, "things": list(alert.things)}


def systems(found: Standing, settings: Settings) -> list[Found]:
    """One row for each system we know: state, lag, queue, calls; those in trouble first."""
    facts, at = found.found, found.found.at
    known = [*settings.stores, *settings.erps]
    known += [row["source"] for row in facts.streams] + [row["system"] for row in facts.queues]
    known += [row["system"] for row in facts.systems] + [row["system"] for row in facts.calls]
    states = {row["system"]: row for row in facts.systems}
    rows = [_system(name, states.get(name), facts, at) for name in dict.fromkeys(known)]
    return sorted(rows, key=lambda row: (row["state"] == "running", -(row["error_rate"] or 0)))


def _system(name: str, row: Found | None, facts: stored.Facts, at: datetime) -> Found:
    read = [one for one in facts.streams if one["source"] == name]
    # Master data is read now and then; how far behind a store is, its orders say.
    urgent = [one for one in read if one["stream"].startswith("orders")] or read
    lags = [int((at - one["complete_until"]).total_seconds()) for one in urgent]
    queue = [one for one in facts.queues if one["system"] == name]
    calls = next((one for one in facts.calls if one["system"] == name), None)
    counts = {
        state: sum(one["writes"] for one in queue if one["state"] == state)
        for state in ("waiting", "leased", "unknown", "parked")
    }
    return {
        "system": name,
        **_resting(row, at),
        "lag_seconds": max(lags, default=None),
        **counts,
        "oldest_at": min((one["oldest_at"] for one in queue), default=None),
        "calls": calls["calls"] if calls else 0,
        "errors": calls["errors"] if calls else 0,
        "throttled": calls["throttled"] if calls else 0,
        "error_rate": round(calls["errors"] / calls["calls"], 4)
        if calls and calls["calls"]
        else None,
    }


def _resting(row: Found | None, at: datetime) -> Found:
    """The state in force, why, and until when."""
    names = ("reason", "until", "failures", "opened_at", "probe_at", "changed_at", "changed_by")
    values = {name: row[name] if row else None for name in names}
    state = row["state"] if row else "running"
    if row and state == "paused" and not is_paused(row, at):
        state = "running"
    if row and state != "paused" and row["opened_at"] is not None:
        state = "circuit_open"
    return {"state": state, **values}


def level(one: Level) -> Found:
    """A service level as plain values."""
    return {
        "level": one.name,
        "state": one.state.value,
        "value": None if one.value is None else round(one.value, 1),
        "threshold": one.threshold,
        "unit": one.unit,
        "measured": one.total,
        "breached": len(one.breached),
        "worst": [case.key for case in one.worst],
        "at_stake": rules.at_stake(one.breached),
        "sentence": one.sentence,
    }


def _worst_first(one: Level) -> int:
    return STATES.index(one.state)


def promise(one: Level) -> Promise:
    """A service level as numbers for metrics."""
    return Promise(one.name, one.unit, one.state.value, one.value, one.threshold, len(one.breached))


def owners(exceptions: stored.Rows) -> list[Found]:
    """Open exceptions by the role that owns them, those with the most overdue first."""
    groups: dict[str, list[Found]] = defaultdict(list)
    for row in exceptions:
        groups[row["owner_role"]].append(row)
    found = [
        {
            "owner_role": role,
            "open": sum(row["open"] for row in rows),
            "overdue": sum(row["overdue"] for row in rows),
            "oldest_at": min(row["oldest_at"] for row in rows),
            "amounts": _money(rows, "amount"),
            "overdue_amounts": _money(rows, "overdue_amount"),
        }
        for role, rows in groups.items()
    ]
    return sorted(found, key=lambda one: (-one["overdue"], one["owner_role"]))


def _money(rows: stored.Rows, column: str) -> dict[str, Decimal]:
    """Sums by currency; rows without money add nothing."""
    sums: dict[str, Decimal] = defaultdict(Decimal)
    for row in rows:
        if row["currency"] and row[column]:
            sums[row["currency"]] += row[column]
    return dict(sorted(sums.items()))
