"""The state of a system: a person's pause, the breaker's memory, and the one probe of all."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Barrier
from typing import Any

import pytest
from hypothesis import settings as tried
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import IntegrityError

from resources.errors import CircuitOpen, Paused
from resources.store import audit, circuit, outbox, postgres, systems
from resources.store.circuit import CLOSED, Circuit, Rules
from resources.store.engine import connected, engine_for
from resources.store.frames import read_rows

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
RULES = Rules(failures=3, seconds=30, probe_seconds=90)


def after(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def failing(times: int, at: datetime = NOON, memory: Circuit = CLOSED) -> Circuit:
    for _ in range(times):
        memory = circuit.after_failure(memory, "a", at, RULES)
    return memory


# The circuit, as a value


def test_a_circuit_opens_after_failures_in_a_row() -> None:
    assert failing(2) == Circuit(failures=2)
    assert failing(3) == Circuit(failures=3, openings=1, opened_at=NOON, probe_at=after(30))


def test_an_answer_ends_the_row() -> None:
    assert circuit.after_answer(failing(2), "b") == CLOSED


def test_calls_that_left_before_it_opened_change_nothing() -> None:
    memory = failing(3)
    assert circuit.after_failure(memory, "b", after(1), RULES) == memory
    assert circuit.after_answer(memory, "b") == memory


def test_one_caller_gets_the_probe_when_it_is_due() -> None:
    memory = failing(3)
    assert circuit.claimed(memory, "a", after(29), RULES) is None
    taken = circuit.claimed(memory, "a", after(30), RULES)
    assert taken is not None
    assert (taken.probed_by, taken.probe_at) == ("a", after(120))
    assert circuit.claimed(taken, "b", after(119), RULES) is None
    assert circuit.claimed(taken, "a", after(119), RULES) == taken


def test_a_prober_that_died_is_followed_by_another() -> None:
    taken = circuit.claimed(failing(3), "a", after(30), RULES)
    assert taken is not None
    second = circuit.claimed(taken, "b", after(120), RULES)
    assert second is not None
    assert second.probed_by == "b"
    assert circuit.after_answer(second, "a") == second


def test_each_probe_that_fails_doubles_the_pause_up_to_ten_minutes() -> None:
    memory, now, pauses = failing(3), NOON, []
    for _ in range(6):
        assert memory.probe_at is not None
        now = memory.probe_at
        taken = circuit.claimed(memory, "a", now, RULES)
        assert taken is not None
        memory = circuit.after_failure(taken, "a", now, RULES)
        assert memory.probe_at is not None
        pauses.append((memory.probe_at - now).total_seconds())
    assert pauses == [60, 120, 240, 480, 600, 600]
    assert memory.opened_at == NOON
    assert circuit.pause_seconds(10_000, RULES) == 600
    assert circuit.pause_seconds(3, Rules(seconds=900)) == 900


def test_after_a_good_probe_the_pause_is_short_again() -> None:
    taken = circuit.claimed(failing(3), "a", after(30), RULES)
    assert taken is not None
    assert circuit.after_answer(taken, "a") == CLOSED


class Breaker(RuleBasedStateMachine):
    """Several callers and one circuit; what must hold whatever they do in whatever order."""

    callers = st.sampled_from(["a", "b", "c"])

    def __init__(self) -> None:
        super().__init__()
        self.memory, self.now = CLOSED, NOON
        self.in_a_row = 0
        self.probing: dict[str, datetime] = {}

    @rule(seconds=st.integers(1, 200))
    def time_passes(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)

    def _goes(self, caller: str) -> bool:
        """Whether a call of `caller` goes out now; it is noted when it is a probe."""
        if circuit.may_ask(self.memory, caller):
            return True
        taken = circuit.claimed(self.memory, caller, self.now, RULES)
        if taken is None:
            return False
        assert all(end <= self.now for end in self.probing.values())
        assert taken.probe_at is not None
        self.memory, self.probing = taken, {caller: taken.probe_at}
        return True

    @rule(caller=callers)
    def a_call_fails(self, caller: str) -> None:
        if not self._goes(caller):
            return
        self.memory = circuit.after_failure(self.memory, caller, self.now, RULES)
        self.probing.pop(caller, None)
        self.in_a_row += 1

    @rule(caller=callers)
    def a_call_is_answered(self, caller: str) -> None:
        if not self._goes(caller):
            return
        self.memory = circuit.after_answer(self.memory, caller)
        self.probing.pop(caller, None)
        self.in_a_row = 0
        assert self.memory == CLOSED

    @precondition(lambda self: self.memory.opened_at is not None)
    @rule(caller=callers)
    def a_late_answer_of_before_changes_nothing(self, caller: str) -> None:
        if self.memory.probed_by != caller:
            assert circuit.after_answer(self.memory, caller) == self.memory
            assert circuit.after_failure(self.memory, caller, self.now, RULES) == self.memory

    @invariant()
    def it_is_open_exactly_after_enough_failures(self) -> None:
        assert (self.memory.opened_at is not None) == (self.in_a_row >= RULES.failures)
        assert self.memory.failures == self.in_a_row

    @invariant()
    def an_open_circuit_has_a_probe_within_ten_minutes(self) -> None:
        if self.memory.opened_at is not None:
            assert self.memory.probe_at is not None
            assert self.memory.probe_at <= self.now + timedelta(seconds=600)


TestBreaker = Breaker.TestCase
TestBreaker.settings = tried(max_examples=60, stateful_step_count=40, deadline=None)


# The state in the database


def state(connection: Connection, system: str = "odoo") -> dict[str, Any]:
    (row,) = read_rows(connection, "select * from ops.system where system = :s", s=system)
    return row


def fail(connection: Connection, times: int, at: datetime = NOON, caller: str = "a") -> None:
    for _ in range(times):
        systems.failed(connection, "odoo", caller, at, RULES, "no answer")


def pause(connection: Connection, until: datetime | None = None, now: datetime = NOON) -> None:
    systems.pause(connection, "odoo", by="olga", reason="stock count", until=until, now=now)


def test_a_system_nobody_spoke_of_is_running(connection: Connection) -> None:
    assert systems.is_running(connection, "odoo", NOON)
    assert systems.standing(connection, "odoo") == systems.Standing("odoo")


def test_a_paused_system_is_not_asked_and_says_who_why_and_until_when(
    connection: Connection,
) -> None:
    pause(connection, after(3600))
    assert not systems.is_running(connection, "odoo", NOON)
    assert systems.is_running(connection, "us", NOON)
    error = systems.why_not(systems.standing(connection, "odoo"), NOON)
    assert isinstance(error, Paused)
    assert str(error) == "odoo: paused by olga (stock count) until 2026-03-02 13:00 UTC"
    assert error.until == after(3600)


def test_a_pause_without_an_end_says_how_to_end_it(connection: Connection) -> None:
    pause(connection)
    error = systems.why_not(systems.standing(connection, "odoo"), after(10**8))
    assert str(error) == "odoo: paused by olga (stock count) until `sync-assets resume odoo`"


def test_a_pause_ends_by_itself(connection: Connection) -> None:
    pause(connection, after(60))
    assert not systems.is_running(connection, "odoo", after(59))
    assert systems.is_running(connection, "odoo", after(60))
    assert systems.why_not(systems.standing(connection, "odoo"), after(60)) is None
    systems.end_pause(connection, "odoo", after(59))
    assert state(connection)["state"] == "paused"
    systems.end_pause(connection, "odoo", after(60))
    assert (state(connection)["state"], state(connection)["until"]) == ("running", None)


def test_what_a_person_does_is_audited_and_what_the_breaker_does_is_not(
    connection: Connection,
) -> None:
    pause(connection, after(60))
    assert systems.resume(connection, "odoo", by="olga", now=NOON)
    assert not systems.resume(connection, "odoo", by="olga", now=NOON)
    systems.drain(connection, "odoo", by="igor", now=NOON)
    fail(connection, 3)
    found = read_rows(connection, "select actor, action, subject_ref from ops.audit order by id")
    assert [tuple(row.values()) for row in found] == [
        ("olga", "system.paused", "odoo"),
        ("olga", "system.resumed", "odoo"),
        ("igor", "system.drained", "odoo"),
    ]
    assert audit.broken(connection) == []


def test_failures_in_a_row_open_the_circuit(connection: Connection) -> None:
    fail(connection, 2)
    assert systems.is_running(connection, "odoo", NOON)
    fail(connection, 1)
    row = state(connection)
    assert (row["state"], row["until"], row["changed_by"]) == (
        "circuit_open",
        after(30),
        "pipeline",
    )
    error = systems.why_not(systems.standing(connection, "odoo"), after(1))
    assert isinstance(error, CircuitOpen)
    assert str(error) == (
        "odoo: 3 calls in a row failed, the last: no answer; "
        "the next call goes at 2026-03-02 12:00:30 UTC"
    )
    assert systems.is_running(connection, "odoo", after(30))


def test_a_good_probe_closes_the_circuit_and_a_bad_one_opens_it_for_longer(
    connection: Connection,
) -> None:
    fail(connection, 3)
    found = systems.claim_probe(connection, "odoo", "p", after(30), RULES)
    assert systems.why_not(found, after(30), "p") is None
    assert isinstance(systems.why_not(found, after(30), "q"), CircuitOpen)
    systems.failed(connection, "odoo", "p", after(31), RULES, "gone")
    assert state(connection)["reason"] == "4 calls in a row failed, the last: gone"
    assert state(connection)["until"] == after(91)
    assert state(connection)["changed_at"] == NOON

    systems.claim_probe(connection, "odoo", "p", after(91), RULES)
    systems.answered(connection, "odoo", "p", after(92))
    row = state(connection)
    assert (row["state"], row["until"], row["failures"], row["opened_at"]) == (
        "running",
        None,
        0,
        None,
    )


def test_a_pause_is_neither_replaced_nor_ended_by_the_breaker(connection: Connection) -> None:
    pause(connection, after(3600))
    fail(connection, 3)
    row = state(connection)
    assert (row["state"], row["until"], row["reason"]) == ("paused", after(3600), "stock count")
    found = systems.claim_probe(connection, "odoo", "p", after(30), RULES)
    assert isinstance(systems.why_not(found, after(30), "p"), Paused)
    systems.answered(connection, "odoo", "a", after(31))
    assert state(connection)["state"] == "paused"
    # When the pause is over, the circuit is still open, and a probe goes first.
    found = systems.claim_probe(connection, "odoo", "p", after(3600), RULES)
    assert systems.why_not(found, after(3600), "q") is not None
    assert state(connection)["state"] == "circuit_open"


def test_a_pause_while_the_circuit_is_open_wins(connection: Connection) -> None:
    fail(connection, 3)
    pause(connection)
    assert not systems.is_running(connection, "odoo", after(10**6))
    assert isinstance(systems.why_not(systems.standing(connection, "odoo"), after(10**6)), Paused)


def test_a_person_who_resumes_says_that_it_works_again(connection: Connection) -> None:
    fail(connection, 3)
    assert systems.resume(connection, "odoo", by="olga", now=after(1))
    assert systems.is_running(connection, "odoo", after(1))
    assert systems.standing(connection, "odoo").circuit == CLOSED


@pytest.mark.parametrize(
    ("columns", "rule"),
    [
        ("opened_at = now()", "open_circuit_has_a_probe"),
        ("probed_by = 'x'", "probe_is_of_an_open_circuit"),
    ],
)
def test_half_a_memory_is_refused_by_the_database(
    connection: Connection, columns: str, rule: str
) -> None:
    pause(connection)
    with pytest.raises(IntegrityError, match=rule):
        connection.execute(text(f"update ops.system set {columns}"))


# Draining


def wants(connection: Connection, *, due: datetime = NOON, thing: str = "us:1") -> None:
    outbox.intend(
        connection,
        "odoo",
        [outbox.Intended("sales_order.create", thing, {}, "h", 1, outbox.LANES["order"], "c")],
        due,
    )


def test_a_draining_system_runs_again_when_nothing_due_is_left(connection: Connection) -> None:
    pause(connection)
    wants(connection)
    wants(connection, due=after(3600), thing="us:2")
    assert systems.drain(connection, "odoo", by="olga", now=NOON)
    assert systems.is_running(connection, "odoo", NOON)
    assert not systems.end_drain(connection, "odoo", NOON)
    (write,) = outbox.lease(connection, "odoo", worker="w", now=NOON, limit=9)
    assert not systems.end_drain(connection, "odoo", NOON)
    outbox.settle(connection, [outbox.Settled(write.id, "done")], worker="w", now=NOON)
    assert systems.end_drain(connection, "odoo", NOON)
    assert state(connection)["state"] == "running"


def test_a_system_without_a_backlog_runs_at_once(connection: Connection) -> None:
    pause(connection)
    assert not systems.drain(connection, "odoo", by="olga", now=NOON)
    assert state(connection)["state"] == "running"


def test_nothing_is_leased_for_a_paused_system_whose_probe_is_not_due(
    connection: Connection,
) -> None:
    wants(connection)
    pause(connection, after(10))
    fail(connection, 3)
    assert outbox.lease(connection, "odoo", worker="w", now=after(9), limit=9) == []
    assert outbox.lease(connection, "odoo", worker="w", now=after(29), limit=9) == []
    assert len(outbox.lease(connection, "odoo", worker="w", now=after(30), limit=9)) == 1


# Several processes


@pytest.fixture
def engines(database: postgres.Databases) -> Iterator[list[Engine]]:
    made = [engine_for(database) for _ in range(4)]
    yield made
    for engine in made:
        engine.dispose()


def together(engines: list[Engine], do: Callable[[Engine, str], Any]) -> list[Any]:
    """Let all do the same at the same moment, each under a name of its own."""
    start = Barrier(len(engines))

    def one(number: int) -> Any:
        start.wait(30)
        return do(engines[number], f"caller {number}")

    with ThreadPoolExecutor(len(engines)) as pool:
        return list(pool.map(one, range(len(engines))))


def test_of_all_processes_one_sends_the_probe(engines: list[Engine]) -> None:
    with connected(engines[0]) as connection:
        fail(connection, 3)

    def claim(engine: Engine, caller: str) -> bool:
        with connected(engine) as connection:
            found = systems.claim_probe(connection, "odoo", caller, after(30), RULES)
        return systems.why_not(found, after(30), caller) is None

    assert sum(together(engines, claim)) == 1


def test_failures_of_all_processes_count_together(engines: list[Engine]) -> None:
    def one(engine: Engine, caller: str) -> None:
        with connected(engine) as connection:
            systems.failed(connection, "odoo", caller, NOON, Rules(failures=4), "gone")

    together(engines, one)
    with connected(engines[0]) as connection:
        row = state(connection)
    assert (row["state"], row["failures"]) == ("circuit_open", 4)
