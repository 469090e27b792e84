"""The circuit breaker of one system, as a value: what failures, successes and probes make of it.

    closed ──N failures in a row──> open ──time──> half open ──a probe answers──> closed
                                     ^                  │
                                     └──the probe fails─┘  for twice as long

Pure; that only one process sends the probe is the row lock's doing, in `systems.py`.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

LONGEST_SECONDS = 600.0


@dataclass(frozen=True)
class Rules:
    """When the circuit opens, for how long at first, and how long a probe may take."""

    failures: int = 5
    seconds: float = 30.0
    probe_seconds: float = 90.0


@dataclass(frozen=True)
class Circuit:
    """What is remembered; no failures and no `opened_at` is the closed circuit of a good day."""

    failures: int = 0
    openings: int = 0
    opened_at: datetime | None = None
    probe_at: datetime | None = None
    probed_by: str | None = None


CLOSED = Circuit()


def after_failure(circuit: Circuit, caller: str, now: datetime, rules: Rules) -> Circuit:
    """Return the circuit after a call of `caller` showed that the system is away."""
    if circuit.opened_at is not None and circuit.probed_by != caller:
        return circuit  # a call that left before it opened says nothing new
    failures = circuit.failures + 1
    if circuit.opened_at is None and failures < rules.failures:
        return replace(circuit, failures=failures)
    openings = circuit.openings + 1
    return Circuit(
        failures=failures,
        openings=openings,
        opened_at=circuit.opened_at or now,
        probe_at=now + timedelta(seconds=pause_seconds(openings, rules)),
    )


def after_answer(circuit: Circuit, caller: str) -> Circuit:
    """Return the circuit after the system answered `caller`, whatever it said."""
    if circuit.opened_at is not None and circuit.probed_by != caller:
        return circuit
    return CLOSED


def claimed(circuit: Circuit, caller: str, now: datetime, rules: Rules) -> Circuit | None:
    """Return the circuit with its probe given to `caller`; None where it is not to be had."""
    if circuit.probe_at is None or may_ask(circuit, caller):
        return circuit
    if circuit.probe_at > now:
        return None
    # A prober that died is followed by another one when its time is over.
    end = now + timedelta(seconds=rules.probe_seconds)
    return replace(circuit, probe_at=end, probed_by=caller)


def may_ask(circuit: Circuit, caller: str) -> bool:
    """Whether `caller` may call without asking anybody: the circuit is closed, or the probe its."""
    return circuit.opened_at is None or circuit.probed_by == caller


def pause_seconds(openings: int, rules: Rules) -> float:
    """How long the circuit stays open the n-th time: doubling, up to ten minutes."""
    doubled = rules.seconds * 2.0 ** min(openings - 1, 30)
    return min(doubled, max(LONGEST_SECONDS, rules.seconds))
