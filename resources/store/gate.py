"""The gate of one account in our database: the pause, the circuit and the bucket, before each call.

On a good day a call costs nothing here: what is known of the system is read once a second, and only
a limit of calls, a failure or an answer to a probe is worth a statement of its own. A "no" is never
given from memory.
"""

import logging
import threading
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import SQLAlchemyError

from resources import limits
from resources.errors import RemoteError, Throttled
from resources.http import Outcome, lane
from resources.store import circuit, pace, systems
from resources.store.engine import connected
from resources.store.outbox import LANES
from resources.store.postgres import DatabaseUnavailable

log = logging.getLogger("sync_assets.gate")

LOOK_EVERY = timedelta(seconds=1)
COUNT_EVERY = timedelta(seconds=5)
#: What a bucket earns in less is lost in rounding; several who wait would chase one another.
LEAST_WAIT = timedelta(milliseconds=10)
#: What others wait after "too many calls" that names no time.
BLOCK_SECONDS = 1.0


@dataclass
class _Minute:
    """Calls of one minute that are not written down yet."""

    calls: int = 0
    errors: int = 0
    throttled: int = 0
    seconds: float = 0.0


class StoreGate:
    """What every call of one client passes; the processes share what it knows."""

    def __init__(
        self,
        engine: Engine,
        system: str,
        limit: pace.Limit,
        rules: circuit.Rules,
        *,
        now: Callable[[], datetime],
        sleep: Callable[[float], None],
        patience_seconds: float,
    ) -> None:
        self.engine, self.system, self.limit, self.rules = engine, system, limit, rules
        self.now, self.sleep = now, sleep
        self.patience = timedelta(seconds=patience_seconds)
        self.caller = uuid.uuid4().hex
        self._known: systems.Standing | None = None
        self._looked_at = self._counted_at = now()
        self._ceiling: int | None = None
        self._lock, self._minutes = threading.Lock(), dict[datetime, _Minute]()

    def before(self) -> None:
        """Wait for the call's turn, or raise what keeps it from going."""
        known = self._look(self.now())
        if self._refusal(known) is not None:
            known = self._look(self.now(), anew=True)
            if (refusal := self._refusal(known)) is not None:
                raise refusal
        self._wait()
        if not circuit.may_ask(known.circuit, self.caller):
            self._claim_probe()

    def _refusal(self, known: systems.Standing) -> Exception | None:
        return systems.why_not(known, self.now(), self.caller)

    def _look(self, now: datetime, *, anew: bool = False) -> systems.Standing:
        """What is known of the system, no older than a second."""
        known = self._known
        if known is None or anew or now - self._looked_at >= LOOK_EVERY:
            with connected(self.engine) as connection:
                known = systems.standing(connection, self.system, self.limit.account)
                if known.state == "paused" and not systems.is_paused(known, now):
                    systems.end_pause(connection, self.system, now)
            self._known, self._looked_at = known, now
        return known

    def _wait(self) -> None:
        """Wait for a token, and until the account is no longer blocked; never beyond patience."""
        now, waited = self.now(), timedelta()
        while True:
            turn = self._turn(now, self.patience - waited)
            if not turn.granted and waited + turn.wait > self.patience:
                seconds = turn.wait.total_seconds()
                told = f"the limit of calls is used up for {seconds:.1f} s"
                raise Throttled(self.system, told, after_seconds=seconds)
            wait = turn.wait if turn.granted else max(turn.wait, LEAST_WAIT)
            if wait:
                self.sleep(wait.total_seconds())
            if turn.granted:
                return
            waited += wait
            now = max(self.now(), now + wait)

    def _turn(self, now: datetime, patience: timedelta) -> pace.Turn:
        known = self._look(now)
        rate = pace.rate_that_holds(self.limit, known.told_rate)
        if rate is None:
            until = known.blocked_until
            wait = max(timedelta(), until - now) if until else timedelta()
            return pace.Turn(not wait, wait)
        ceiling, self._ceiling = self._ceiling, None
        with connected(self.engine) as connection:
            return pace.take(
                connection,
                self.limit,
                rate,
                lane=LANES[lane()],
                now=now,
                patience=patience,
                ceiling=ceiling,
            )

    def _claim_probe(self) -> None:
        now = self.now()
        with connected(self.engine) as connection:
            found = systems.claim_probe(connection, self.system, self.caller, now, self.rules)
        self._learn(found)
        if (refusal := self._refusal(found)) is not None:
            raise refusal

    def after(
        self,
        outcome: Outcome,
        headers: Mapping[str, str],
        seconds: float,
        fault: RemoteError | None = None,
    ) -> None:
        """Count the call, and take note of what it says about the system and its limit."""
        now = self.now()
        self._count(outcome, seconds, now)
        self._note_limit(outcome, headers, now)
        if outcome == Outcome.AWAY:
            said = fault.message if fault is not None else outcome.value
            with connected(self.engine) as connection:
                self._learn(
                    systems.failed(connection, self.system, self.caller, now, self.rules, said)
                )
        elif outcome != Outcome.FAILED and self._known and self._known.circuit != circuit.CLOSED:
            with connected(self.engine) as connection:
                self._learn(systems.answered(connection, self.system, self.caller, now))

    def _learn(self, found: systems.Standing) -> None:
        """Keep what a change of the breaker answered; it says nothing about the bucket."""
        if (known := self._known) is not None:
            found = replace(found, blocked_until=known.blocked_until, told_rate=known.told_rate)
        self._known = found

    def _note_limit(self, outcome: Outcome, headers: Mapping[str, str], now: datetime) -> None:
        told = limits.told(headers)
        if told.remaining is not None:
            self._ceiling = told.remaining
        if outcome == Outcome.THROTTLED:
            asked = limits.retry_after(headers)
            seconds = next((s for s in (asked, told.reset_seconds) if s is not None), BLOCK_SECONDS)
            # Whoever was told waits by himself; this is for all the others.
            self._block(now + timedelta(seconds=seconds), now)
        elif told.remaining == 0 and told.reset_seconds:
            until = now + timedelta(seconds=told.reset_seconds)
            self._block(until, now)
            if self._known is not None:
                self._known = replace(self._known, blocked_until=until)
        if told.rate is not None and self._known and told.rate != self._known.told_rate:
            with connected(self.engine) as connection:
                pace.tell_rate(connection, self.limit.account, told.rate, now)
            self._known = replace(self._known, told_rate=told.rate)

    def _block(self, until: datetime, now: datetime) -> None:
        with connected(self.engine) as connection:
            pace.block(connection, self.limit.account, until, now)

    def _count(self, outcome: Outcome, seconds: float, now: datetime) -> None:
        with self._lock:
            minute = self._minutes.setdefault(now.replace(second=0, microsecond=0), _Minute())
            minute.calls += 1
            minute.errors += outcome in (Outcome.AWAY, Outcome.FAILED)
            minute.throttled += outcome == Outcome.THROTTLED
            minute.seconds += seconds
        if now - self._counted_at >= COUNT_EVERY:
            self._counted_at = now
            self._write_counts()

    def close(self) -> None:
        """Write the counts down that are only remembered."""
        self._write_counts()

    def _write_counts(self) -> None:
        with self._lock:
            minutes, self._minutes = self._minutes, {}
        if not minutes:
            return
        try:
            with connected(self.engine) as connection:
                _add_calls(connection, self.system, minutes)
        except (SQLAlchemyError, DatabaseUnavailable) as fault:
            # A lost count is no reason to fail work that is done.
            log.warning("calls of %s are not counted: %s", self.system, type(fault).__name__)


def _add_calls(connection: Connection, system: str, minutes: Mapping[datetime, _Minute]) -> None:
    """Add to the calls of each minute; always in the same order, so that two never cross."""
    rows = [
        {"system": system, "minute": minute, **vars(counted), "seconds": f"{counted.seconds:.6f}"}
        for minute, counted in sorted(minutes.items())
    ]
    connection.execute(text(_ADD_CALLS), rows)


_ADD_CALLS = """
insert into ops.calls (system, minute, calls, errors, throttled, seconds)
values (:system, :minute, :calls, :errors, :throttled, cast(:seconds as numeric))
on conflict (system, minute) do update
set calls = ops.calls.calls + excluded.calls, errors = ops.calls.errors + excluded.errors,
    throttled = ops.calls.throttled + excluded.throttled,
    seconds = ops.calls.seconds + excluded.seconds
"""
