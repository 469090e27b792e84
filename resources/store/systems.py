"""The state of each outside system: what a person decided about it, and what its breaker remembers.

    running ──pause──> paused ──drain──> draining ──nothing due──> running
       ^                 │ └──resume, or its time is over──> running
       └──a probe answers── circuit_open <──failures in a row── running, draining

A person's pause wins over the breaker: it is neither replaced nor ended by it, and what the breaker
remembers stays beside it. Who sends and who waits is decided elsewhere; this is the state.
"""

from dataclasses import dataclass, fields, replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, text

from resources.errors import CircuitOpen, NotAsked, Paused
from resources.store import audit, circuit
from resources.store.circuit import Circuit, Rules
from resources.store.frames import read_rows

#: Who changed a state when no person did.
PIPELINE = "pipeline"


@dataclass(frozen=True)
class Standing:
    """All that is known about a system before it is called."""

    system: str
    state: str = "running"
    reason: str | None = None
    until: datetime | None = None
    changed_by: str = PIPELINE
    changed_at: datetime | None = None
    circuit: Circuit = circuit.CLOSED
    blocked_until: datetime | None = None
    told_rate: Decimal | None = None


def is_paused(standing: Standing, now: datetime) -> bool:
    """Whether a person's pause holds now; one whose time is over does not."""
    return standing.state == "paused" and (standing.until is None or standing.until > now)


def is_at_rest(standing: Standing, now: datetime) -> bool:
    """Whether nobody may ask the system now; the same rule as `ops.rests` in the database."""
    probe_at = standing.circuit.probe_at
    return is_paused(standing, now) or (probe_at is not None and probe_at > now)


def why_not(standing: Standing, now: datetime, caller: str = "") -> NotAsked | None:
    """The error that says why `caller` must not ask the system now, if so."""
    if is_paused(standing, now):
        return _paused(standing)
    if is_at_rest(standing, now) and not circuit.may_ask(standing.circuit, caller):
        return _open(standing)
    return None


def _paused(standing: Standing) -> Paused:
    name, until = standing.system, standing.until
    end = f"{until:%Y-%m-%d %H:%M} UTC" if until else f"`sync-assets resume {name}`"
    reason = f" ({standing.reason})" if standing.reason else ""
    return Paused(name, f"paused by {standing.changed_by}{reason} until {end}", until=until)


def _open(standing: Standing) -> CircuitOpen:
    memory, why = standing.circuit, standing.reason
    if why is None or standing.state != "circuit_open":
        why = f"{memory.failures} calls in a row failed"
    then = f"the next call goes at {memory.probe_at:%Y-%m-%d %H:%M:%S} UTC"
    if memory.probed_by:
        then = f"a probe is under way, failing that {then}"
    return CircuitOpen(standing.system, f"{why}; {then}", until=memory.probe_at)


def standing(connection: Connection, system: str, account: str | None = None) -> Standing:
    """Read what is known about a system; `account` names its bucket, if not the system itself."""
    rows = read_rows(
        connection,
        "select s.*, b.blocked_until, b.told_rate from (values (:system)) wanted (name) "
        "left join ops.system s on s.system = wanted.name "
        "left join ops.bucket b on b.account = :account",
        system=system,
        account=account or system,
    )
    return _standing(system, rows[0])


def _standing(system: str, row: dict[str, Any]) -> Standing:
    found = Standing(system, blocked_until=row.get("blocked_until"), told_rate=row.get("told_rate"))
    if row["system"] is None:
        return found
    return replace(
        found,
        state=row["state"],
        reason=row["reason"],
        until=row["until"],
        changed_by=row["changed_by"],
        changed_at=row["changed_at"],
        circuit=Circuit(**{field.name: row[field.name] for field in fields(Circuit)}),
    )


def is_running(connection: Connection, system: str, now: datetime) -> bool:
    """Whether the system may be asked now: not paused, and no breaker in the way."""
    found = connection.execute(
        text("select not ops.rests(:system, :now)"), {"system": system, "now": now}
    )
    return bool(found.scalar_one())


# What a person decides


def pause(
    connection: Connection,
    system: str,
    *,
    by: str,
    reason: str,
    until: datetime | None,
    now: datetime,
) -> None:
    """Let nobody ask the system until a person resumes it, or until `until`; audited."""
    _locked(connection, system, now)
    _decide(connection, system, "paused", reason, until, by, now)
    detail = {"reason": reason, "until": until.isoformat() if until else None}
    audit.record(connection, by, "system.paused", system, now, **detail)


def resume(connection: Connection, system: str, *, by: str, now: datetime) -> bool:
    """Let the system be asked again and forget its failures; whether it was at rest; audited."""
    before = _locked(connection, system, now)
    if before.state == "running" and before.circuit == circuit.CLOSED:
        return False
    _decide(connection, system, "running", None, None, by, now)
    _remember(connection, system, circuit.CLOSED)
    audit.record(connection, by, "system.resumed", system, now, was=before.state)
    return True


def drain(connection: Connection, system: str, *, by: str, now: datetime) -> bool:
    """Let the backlog of a system go; whether there is one; audited.

    A draining system is asked like a running one, and runs again when nothing due is left.
    """
    before = _locked(connection, system, now)
    _decide(connection, system, "draining", None, None, by, now)
    _remember(connection, system, circuit.CLOSED)
    audit.record(connection, by, "system.drained", system, now, was=before.state)
    return not end_drain(connection, system, now)


def end_drain(connection: Connection, system: str, now: datetime) -> bool:
    """Let a draining system be a running one when nothing due is left; whether it is so now."""
    done = connection.execute(text(_END_DRAIN), {"system": system, "now": now, "by": PIPELINE})
    return bool(done.rowcount)


_END_DRAIN = """
update ops.system s set state = 'running', changed_at = :now, changed_by = :by
where s.system = :system and s.state = 'draining'
  and not exists (select from ops.outbox o where o.system = s.system and o.due_at <= :now
      and o.state in ('waiting', 'unknown', 'leased'))
  and not exists (select from ops.inbox i where i.store = s.system and i.due_at <= :now
      and i.state in ('waiting', 'leased'))
"""


def _decide(
    connection: Connection,
    system: str,
    state: str,
    reason: str | None,
    until: datetime | None,
    by: str,
    now: datetime,
) -> None:
    connection.execute(
        text(
            "update ops.system set state = :state, reason = :reason, until = :until, "
            "changed_at = :now, changed_by = :by where system = :system"
        ),
        {
            "system": system,
            "state": state,
            "reason": reason,
            "until": until,
            "now": now,
            "by": by,
        },
    )


def end_pause(connection: Connection, system: str, now: datetime) -> None:
    """Show a pause whose time is over as what it is; nobody has to wait for this."""
    connection.execute(
        text(
            "update ops.system set state = 'running', reason = null, until = null, "
            "changed_at = :now, changed_by = :by "
            "where system = :system and state = 'paused' and until <= :now"
        ),
        {"system": system, "now": now, "by": PIPELINE},
    )


# What the breaker sees


def failed(
    connection: Connection, system: str, caller: str, now: datetime, rules: Rules, said: str
) -> Standing:
    """Record that a call showed the system to be away; opens the circuit when it is time.

    `said` is what the call ended with, for whoever asks why.
    """
    before = _locked(connection, system, now)
    memory = circuit.after_failure(before.circuit, caller, now, rules)
    return _kept(connection, before, memory, now, said)


def answered(connection: Connection, system: str, caller: str, now: datetime) -> Standing:
    """Record that the system answered; closes the circuit when it answered the probe."""
    before = _locked(connection, system, now)
    return _kept(connection, before, circuit.after_answer(before.circuit, caller), now)


def claim_probe(
    connection: Connection, system: str, caller: str, now: datetime, rules: Rules
) -> Standing:
    """Take the probe for `caller` if it is due and nobody has it; see `why_not` for the answer."""
    before = _locked(connection, system, now)
    memory = circuit.claimed(before.circuit, caller, now, rules)
    if memory is None or is_paused(before, now):
        return before
    return _kept(connection, before, memory, now)


def _locked(connection: Connection, system: str, now: datetime) -> Standing:
    """The state of a system, nobody else's until the transaction ends."""
    connection.execute(
        text(
            "insert into ops.system (system, changed_at, changed_by) values (:system, :now, :by) "
            "on conflict (system) do nothing"
        ),
        {"system": system, "now": now, "by": PIPELINE},
    )
    rows = read_rows(
        connection, "select * from ops.system where system = :system for update", system=system
    )
    return _standing(system, rows[0])


def _kept(
    connection: Connection,
    before: Standing,
    memory: Circuit,
    now: datetime,
    said: str | None = None,
) -> Standing:
    """Write the breaker's memory down, and the state that follows unless a person's holds."""
    system = before.system
    if memory != before.circuit:
        _remember(connection, system, memory)
    if not is_paused(before, now):
        if memory.opened_at is not None:
            reason = before.reason
            if said is not None and memory != before.circuit:
                reason = f"{memory.failures} calls in a row failed, the last: {said}"
            # What is told is when it opened, not when it last moved.
            since = before.changed_at if before.state == "circuit_open" else None
            _decide(
                connection, system, "circuit_open", reason, memory.probe_at, PIPELINE, since or now
            )
        elif before.state == "circuit_open":
            _decide(connection, system, "running", None, None, PIPELINE, now)
    return standing(connection, system)


def _remember(connection: Connection, system: str, memory: Circuit) -> None:
    connection.execute(
        text(
            "update ops.system set failures = :failures, openings = :openings, "
            "opened_at = :opened_at, probe_at = :probe_at, probed_by = :probed_by "
            "where system = :system"
        ),
        {"system": system, **vars(memory)},
    )
