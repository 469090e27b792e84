"""Alarms: which troubles people are told of, and the sensors that look for them.

The rules are functions of stored facts; a sensor reads the facts and hands what is found to the
notifier. What failed in Dagster itself is read in `failures`.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import dagster as dg

from resources.notify import Notifier, Told, channels, duration
from resources.settings import Settings
from resources.store.alerts import MOST_THINGS, Alert, Severity
from resources.store.engine import connected
from resources.wiring import Systems
from sensors import failures
from sync_assets.domain import service_levels as rules
from sync_assets.domain.service_levels import Case, Level
from sync_assets.service_levels import Standing, is_paused, standing

#: Which watch an alert belongs to: what that watch no longer finds is over.
STANDING, RUNS = "standing", failures.SCOPE
#: Broken by so much, a promise is an emergency.
GRAVE = 2.0
#: A pause somebody may have forgotten, and one whose end nobody noticed.
LONG_PAUSE, UNNOTICED = timedelta(days=1), timedelta(minutes=15)
#: A worker that was away for longer was taken out of service.
RETIRED = timedelta(days=1)


# ---------------------------------------------------------------- what is worth telling


def alerts(now: Standing, settings: Settings) -> list[Alert]:
    """Every trouble that the facts show."""
    levels = {level.name: level for level in now.levels}
    return [
        *_orders(levels[rules.ORDER_ACCEPTANCE.name]),
        *_silence(levels[rules.SOURCE_SILENCE.name]),
        *_backlog(levels[rules.BACKLOG.name]),
        *_silent_warehouses(levels[rules.RELEASE_ACKNOWLEDGEMENT.name], now),
        *_late_shipments(levels[rules.SHIPMENT_CONFIRMATION.name]),
        *_overdue(now, levels[rules.EXCEPTION_AGE.name]),
        *_parked(now),
        *_resting(now, settings),
        *_workers(now),
        *_quarantined(now),
    ]


def _alert(key: str, title: str, severity: Severity, what: str, then: str, **more: Any) -> Alert:
    return Alert(key, STANDING, title, severity, what, then, **more)


def _severity(cases: Iterable[Case]) -> Severity:
    worst = max(one.share for one in cases)
    return Severity.CRITICAL if worst >= GRAVE else Severity.WARNING


def _named(keys: Sequence[str]) -> dict[str, Any]:
    """At most twenty keys, and how many there are."""
    unique = list(dict.fromkeys(keys))
    return {"things": tuple(unique[:MOST_THINGS]), "things_count": len(unique)}


def _orders(level: Level) -> list[Alert]:
    late = level.breached
    if not late:
        return []
    return [
        _alert(
            "order_acceptance",
            "Orders wait too long for their ERP",
            _severity(late),
            level.sentence,
            f"sync-assets status; sync-assets trace {late[0].key}",
            since_at=min(one.since_at for one in late),
            at_stake=rules.at_stake(late),
            **_named([one.key for one in late]),
        )
    ]


def _silence(level: Level) -> list[Alert]:
    return [
        _alert(
            f"silent:{one.key}",
            f"{one.key} is silent",
            Severity.CRITICAL if one.note == rules.READING else Severity.WARNING,
            _silent(one),
            "sync-assets doctor"
            if one.note == rules.READING
            else "look at the sender's webhooks and at the receiver: sync-assets doctor",
            since_at=one.since_at,
        )
        for one in level.breached
    ]


def _silent_warehouses(level: Level, now: Standing) -> list[Alert]:
    """One alert a warehouse, with the orders it holds."""
    orders = {one.fulfilment_ref: one.order_ref for one in now.facts.requests}
    by_system: dict[str, list[Case]] = defaultdict(list)
    for one in level.breached:
        by_system[one.note].append(one)
    return [
        _alert(
            f"silent_warehouse:{system}",
            f"Warehouse {system} does not acknowledge what it is asked to ship",
            _severity(late),
            f"Releases it has not acknowledged: {len(late):,}; the oldest waits for "
            f"{rules.number(late[0].value or 0)} minutes, not {rules.number(late[0].limit)}.",
            f"sync-assets doctor; sync-assets fulfilments list --system {system}",
            since_at=min(one.since_at for one in late),
            at_stake=rules.at_stake(late),
            **_named([orders[one.key] for one in late]),
        )
        for system, late in sorted(by_system.items())
    ]


def _late_shipments(level: Level) -> list[Alert]:
    late = level.breached
    if not late:
        return []
    return [
        _alert(
            "shipment_confirmation",
            "Orders do not leave in time",
            _severity(late),
            level.sentence,
            "sync-assets fulfilments list --late",
            since_at=min(one.since_at for one in late),
            at_stake=rules.at_stake(late),
            **_named([one.key for one in late]),
        )
    ]


def _silent(one: Case) -> str:
    limit = rules.number(one.limit)
    if one.value is None:
        return "It was never read to its end."
    if one.note == rules.READING:
        return f"It was not read to its end for {rules.number(one.value)} minutes, not {limit}."
    return f"Nothing came for {rules.number(one.value)} minutes, which may be {limit}; {one.note}."


def _backlog(level: Level) -> list[Alert]:
    return [
        _alert(
            f"backlog:{one.key}",
            f"Writes pile up for {one.key}",
            Severity.WARNING if one.note else _severity([one]),
            f"Writes waiting: {rules.number(one.value or 0)}, more than {rules.number(one.limit)}"
            f"{f'; it is {one.note}' if one.note else ''}.",
            "sync-assets status",
            since_at=one.since_at,
        )
        for one in level.breached
    ]


def _overdue(now: Standing, level: Level) -> list[Alert]:
    """One alert for each owner role: what is past its due time, or older than the role may take."""
    old = {(one.key, one.since_at) for one in level.breached}
    late = defaultdict(list)
    for one in now.facts.exceptions:
        if one.due_at < now.facts.at or (one.subject_ref, one.opened_at) in old:
            late[one.owner_role].append(one)
    return [
        _alert(
            f"overdue:{role}",
            f"Exceptions of {role} are overdue",
            Severity.WARNING,
            f"Exceptions that wait for {role} beyond their time: {len(found):,}; the oldest is "
            "open for "
            f"{duration(now.facts.at - min(one.opened_at for one in found))}.",
            "sync-assets exceptions list",
            since_at=min(one.opened_at for one in found),
            at_stake=rules.at_stake(
                Case(one.subject_ref, 0, 1, one.opened_at, one.amount, one.currency)
                for one in found
            ),
            **_named([one.subject_ref for one in found]),
        )
        for role, found in sorted(late.items())
    ]


def _parked(now: Standing) -> list[Alert]:
    return [
        _alert(
            f"parked:{row['system']}",
            f"Writes for {row['system']} are parked",
            Severity.WARNING,
            f"Writes given to a person: {row['parked']:,}; later writes of the same things wait.",
            "sync-assets exceptions list",
            since_at=row["oldest_at"],
            things=tuple(row["things"]),
            things_count=row["parked"],
        )
        for row in now.parked
    ]


def _resting(now: Standing, settings: Settings) -> list[Alert]:
    """Systems nobody asks: a breaker that opened, and pauses that may have been forgotten."""
    patience = timedelta(minutes=settings.service_levels.order_acceptance_minutes)
    found = []
    for row in now.found.systems:
        name, at = row["system"], now.facts.at
        if row["opened_at"] is not None:
            found.append(_open_breaker(name, row, at, patience))
        if is_paused(row, at) and at - row["changed_at"] > LONG_PAUSE:
            found.append(
                _paused(
                    name, row, f"paused for {duration(at - row['changed_at'])}", "long:", at, ""
                )
            )
        elif row["state"] == "paused" and row["until"] and at - row["until"] > UNNOTICED:
            over = f"a pause that ended {duration(at - row['until'])} ago"
            found.append(_paused(name, row, over, "ended:", at, " and was not asked since"))
    return found


def _open_breaker(name: str, row: Mapping[str, Any], at: datetime, patience: timedelta) -> Alert:
    lasted = at - row["opened_at"]
    return _alert(
        f"breaker:{name}",
        f"{name} does not answer",
        Severity.CRITICAL if lasted > patience else Severity.WARNING,
        f"{row['failures']} calls in a row failed, so it is left alone; the next probe goes at "
        f"{row['probe_at']:%H:%M:%S} UTC.",
        "sync-assets doctor; sync-assets status",
        since_at=row["opened_at"],
    )


def _paused(
    name: str, row: Mapping[str, Any], state: str, kind: str, at: datetime, more: str
) -> Alert:
    until = f" until {row['until']:%Y-%m-%d %H:%M} UTC" if row["until"] else " without an end"
    return _alert(
        f"pause_{kind}{name}",
        f"{name} has {state}" if kind == "ended:" else f"{name} is {state}",
        Severity.WARNING,
        f"It was paused by {row['changed_by']}{until}{more}; what is meant for it is kept and "
        "waits.",
        f"sync-assets resume {name}",
        since_at=row["changed_at"],
    )


def _workers(now: Standing) -> list[Alert]:
    """Nothing where no worker ever was: then every run starts in a process of its own."""
    beats = [row["beat_at"] for row in now.found.workers]
    if now.found.alive or not beats or now.facts.at - max(beats) > RETIRED:
        return []
    return [
        _alert(
            "worker",
            "No warm worker is alive",
            Severity.WARNING,
            "Urgent runs start some seconds later; runs waiting to be taken: "
            f"{now.found.handovers}.",
            "sync-assets up, or sync-assets worker",
            since_at=max(beats),
        )
    ]


def _quarantined(now: Standing) -> list[Alert]:
    return [
        _alert(
            f"quarantined:{row['store']}",
            f"Deliveries of {row['store']} were set aside",
            Severity.WARNING,
            f"Deliveries of the last 24 hours that could not be read: {row['quarantined']:,}; each "
            "is kept with its reason.",
            "sync-assets exceptions list",
            since_at=row["oldest_at"],
        )
        for row in now.found.quarantined
    ]


# ---------------------------------------------------------------- the sensors


def build(
    settings: Settings, jobs: Sequence[str], checks: Sequence[dg.AssetCheckKey]
) -> list[dg.SensorDefinition]:
    """The sensors that tell people: what stands badly, and what failed in Dagster."""
    on = dg.DefaultSensorStatus.RUNNING
    status = on if settings.automation else dg.DefaultSensorStatus.STOPPED
    return [
        _watching(
            "alarms",
            STANDING,
            lambda _, systems: found_in(systems),
            60,
            status,
            "Tells people of broken service levels, silent sources, backlogs, overdue exceptions, "
            "parked writes, open breakers, forgotten pauses and absent workers; once each.",
        ),
        _watching(
            "failures",
            RUNS,
            lambda instance, _: failures.alerts(
                failures.failed_runs(instance, jobs), failures.failed_checks(instance, checks)
            ),
            30,
            status,
            "Tells people when the newest run of a job failed, or the newest comparison of two "
            "systems found a difference, and when it is over.",
        ),
    ]


def found_in(systems: Systems) -> list[Alert]:
    """Read how we stand and answer what is worth telling."""
    with connected(systems.engine) as connection:
        now = standing(connection, systems.settings, systems.now())
    return alerts(now, systems.settings)


def notifier(systems: Systems) -> Notifier:
    """The notifier of a deployment."""
    given = systems.settings.notify
    return Notifier(given, systems.engine, systems.now, channels(given, systems.transports))


def _watching(
    name: str,
    scope: str,
    look: Callable[[dg.DagsterInstance, Systems], list[Alert]],
    seconds: int,
    status: dg.DefaultSensorStatus,
    description: str,
) -> dg.SensorDefinition:
    @dg.sensor(
        name=name,
        minimum_interval_seconds=seconds,
        default_status=status,
        description=description,
    )
    def watch(
        context: dg.SensorEvaluationContext, systems: dg.ResourceParam[Systems]
    ) -> dg.SkipReason:
        found = look(context.instance, systems)
        told = notifier(systems).tell(found, scope)
        return dg.SkipReason(_said(len(found), told))

    return watch


def _said(found: int, told: Sequence[Told]) -> str:
    """What a tick did, for the UI."""
    parts = [
        f"{one.channel} was told of {one.alerts}"
        if one.failed is None
        else f"{one.channel} failed: {one.failed}"
        for one in told
    ]
    return "; ".join([f"{found} troubles", *(parts or ["nobody had to be told"])])
