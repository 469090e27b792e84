"""Sagas in the database: a state moves by an allowed, signed step from where it stands, or not."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from threading import Barrier

import pytest
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError, IntegrityError

from resources.store import sagas
from resources.store.engine import connected
from resources.store.frames import read_rows, scalar
from resources.store.sagas import Step
from sync_assets.domain.sagas import RULES, Saga

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
REF, RETURN, REFUND = "us:1:f1", "us:1:r1", "us:refund:7"
MADE = {
    "fulfilment": "insert into core.fulfilment_orders (fulfilment_ref, order_ref, store, location, "
    "system, state, release_at, planned_at, reason, core_version) values ('us:1:f1', 'us:1', 'us', "
    "'east', 'north', :state, :now, :now, 'has all of it', 1)",
    "return": "insert into core.returns (return_ref, store, source, state, reason, is_exchange, "
    "requested_at) values ('us:1:r1', 'us', 'request', :state, 'too small', false, :now)",
    "refund": "insert into core.refunds (refund_ref, order_ref, store, source, method, state, "
    "currency, amount, net_amount, shipping_amount, fee_amount, tax_amount, unassigned_amount, "
    "refunded_at) values ('us:refund:7', 'us:1', 'us', 'shop_refund', 'manual', :state, 'USD', "
    "9.90, 9.90, 0, 0, 0, 0, :now)",
}
FIRST = {"fulfilment": "planned", "return": "requested", "refund": "requested"}
SUBJECT = {"fulfilment": REF, "return": RETURN, "refund": REFUND}


def made(connection: Connection, saga: str = "fulfilment", state: str = "") -> None:
    """Make a subject that has taken no step."""
    connection.execute(text(MADE[saga]), {"state": state, "now": NOON})


def step(before: str, after: str, saga: str = "fulfilment", ref: str | None = None) -> Step:
    return Step(saga, ref or SUBJECT[saga], before, after, "pipeline", "why", "order version 1")


def begun(connection: Connection, *states: str, saga: str = "fulfilment") -> None:
    """Make a subject and let it take these steps."""
    made(connection, saga)
    way = ["", FIRST[saga], *states]
    sagas.take(connection, [step(a, b, saga) for a, b in pairwise(way)], NOON)


def stands(connection: Connection) -> str | None:
    return sagas.states(connection, "fulfilment", [REF]).get(REF)


def constraint(refused: pytest.ExceptionInfo[IntegrityError]) -> str:
    """The name of the rule that was broken."""
    return broken(refused.value)


def broken(error: IntegrityError) -> str:
    """The name of the rule that an error tells of."""
    return str(error.orig.diag.constraint_name)  # type: ignore[union-attr]


# ---------------------------------------------------------------- the rules


def test_the_table_of_rules_is_that_of_the_domain(connection: Connection) -> None:
    rows = read_rows(connection, "select saga, from_state, to_state from core.saga_rules")
    assert {(row["saga"], row["from_state"], row["to_state"]) for row in rows} == {
        (str(saga), state, then)
        for saga in Saga
        for state, after in RULES[saga].items()
        for then in after
    }


@pytest.mark.parametrize("saga", Saga)
def test_a_first_step_gives_a_subject_its_state(connection: Connection, saga: str) -> None:
    begun(connection, saga=saga)
    connection.execute(text("set constraints all immediate"))
    assert sagas.states(connection, saga, [SUBJECT[saga]]) == {SUBJECT[saga]: FIRST[saga]}


def test_a_state_moves_with_its_step_and_says_since_when(connection: Connection) -> None:
    begun(connection)
    later = NOON + timedelta(hours=1)
    assert sagas.take(connection, [step("planned", "released")], later, "run-7") == 1
    rows = read_rows(connection, "select state, state_at from core.fulfilment_orders")
    assert rows == [{"state": "released", "state_at": later}]


def test_every_step_is_kept_with_who_why_and_what_it_follows_from(connection: Connection) -> None:
    begun(connection, "released")
    found = sagas.steps_of(connection, [REF])
    assert [(row["from_state"], row["to_state"]) for row in found] == [
        ("", "planned"),
        ("planned", "released"),
    ]
    assert {(row["actor"], row["reason"], row["cause"]) for row in found} == {
        ("pipeline", "why", "order version 1")
    }


# ---------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("planned", "shipped"),
        ("planned", "planned"),
        ("planned", ""),
        ("released", "planned"),
        ("planned", "anything"),
    ],
)
def test_a_step_that_is_not_in_the_rules_is_refused(
    connection: Connection, before: str, after: str
) -> None:
    begun(connection, *(["released"] if before == "released" else []))
    with (
        pytest.raises(IntegrityError) as refused,
        connection.begin_nested(),
    ):
        sagas.take(connection, [step(before, after)], NOON)
    assert constraint(refused) == "step_is_allowed"
    assert stands(connection) == before
    assert len(sagas.steps_of(connection, [REF])) == (2 if before == "released" else 1)


@pytest.mark.parametrize(
    ("ref", "before", "after"),
    [(REF, "released", "shipped"), (REF, "", "planned"), ("us:1:f9", "planned", "released")],
)
def test_a_step_from_where_it_does_not_stand_is_refused(
    connection: Connection, ref: str, before: str, after: str
) -> None:
    begun(connection)
    with pytest.raises(IntegrityError) as refused, connection.begin_nested():
        sagas.take(connection, [step(before, after, ref=ref)], NOON)
    assert constraint(refused) == "step_begins_where_it_stands"
    assert stands(connection) == "planned"


@pytest.mark.parametrize("what", ["actor", "reason", "cause"])
def test_a_step_that_nobody_signed_is_refused(connection: Connection, what: str) -> None:
    begun(connection)
    unsigned = Step(**{**vars(step("planned", "released")), what: ""})
    with pytest.raises(IntegrityError) as refused, connection.begin_nested():
        sagas.take(connection, [unsigned], NOON)
    assert constraint(refused) == "step_is_signed"
    assert stands(connection) == "planned"


def test_of_several_steps_none_is_taken_when_one_is_refused(connection: Connection) -> None:
    begun(connection)
    with pytest.raises(IntegrityError), connection.begin_nested():
        sagas.take(connection, [step("planned", "released"), step("held", "planned")], NOON)
    assert stands(connection) == "planned"


@pytest.mark.parametrize("saga", Saga)
def test_a_state_cannot_be_updated(connection: Connection, saga: str) -> None:
    begun(connection, saga=saga)
    table, _ = sagas.TABLES[saga]
    with pytest.raises(IntegrityError) as refused, connection.begin_nested():
        connection.execute(text(f"update {table} set state = 'cancelled'"))
    assert constraint(refused) == "state_moves_by_steps"
    assert sagas.states(connection, saga, [SUBJECT[saga]]) == {SUBJECT[saga]: FIRST[saga]}


def test_what_is_not_the_state_may_be_updated(connection: Connection) -> None:
    begun(connection)
    connection.execute(text("update core.fulfilment_orders set reason = 'nearer'"))
    assert stands(connection) == "planned"


@pytest.mark.parametrize("saga", Saga)
def test_a_subject_cannot_be_made_with_a_state(connection: Connection, saga: str) -> None:
    with pytest.raises(IntegrityError) as refused, connection.begin_nested():
        made(connection, saga, FIRST[saga])
    assert constraint(refused) == "state_moves_by_steps"


@pytest.mark.parametrize("saga", Saga)
def test_a_subject_without_a_step_cannot_be_committed(engine: Engine, saga: str) -> None:
    with pytest.raises(IntegrityError) as refused, connected(engine) as connection:
        made(connection, saga)
    assert constraint(refused) == "saga_has_begun"
    table, _ = sagas.TABLES[saga]
    with connected(engine) as connection:
        assert scalar(connection, f"select count(*) from {table}") == 0


@pytest.mark.parametrize(
    "statement",
    [
        "update core.saga_steps set reason = 'otherwise'",
        "delete from core.saga_steps",
        "truncate core.saga_steps",
    ],
)
def test_steps_are_neither_changed_nor_taken_away(connection: Connection, statement: str) -> None:
    begun(connection, "released")
    with pytest.raises(DBAPIError, match="append-only"), connection.begin_nested():
        connection.execute(text(statement))
    assert len(sagas.steps_of(connection, [REF])) == 2


def test_a_step_of_an_unknown_saga_is_refused(connection: Connection) -> None:
    with pytest.raises(IntegrityError), connection.begin_nested():
        sagas.take(connection, [Step("exchange", REF, "", "planned", "a", "b", "c")], NOON)


# ---------------------------------------------------------------- two at once


def at_once(engine: Engine, *steps: Step) -> list[str]:
    """Take steps in transactions of their own that begin together; how each ended."""
    ready = Barrier(len(steps))

    def taken(one: Step) -> str:
        with connected(engine) as connection:
            scalar(connection, "select 1")
            ready.wait(timeout=10)
            try:
                sagas.take(connection, [one], NOON)
            except IntegrityError as refused:
                connection.rollback()
                return broken(refused)
        return one.to_state

    with ThreadPoolExecutor(len(steps)) as pool:
        return list(pool.map(taken, steps))


@pytest.mark.parametrize("others", ["released", "held"])
def test_of_two_steps_at_once_one_is_taken(
    engine: Engine, others: str, begin: Callable[[], None]
) -> None:
    begin()
    ended = at_once(engine, step("planned", "released"), step("planned", others))
    assert ended.count("step_begins_where_it_stands") == 1
    with connected(engine) as connection:
        taken = [row["to_state"] for row in sagas.steps_of(connection, [REF])]
        assert stands(connection) in ended
        assert taken == ["planned", stands(connection)]


def test_states_that_were_read_are_held_until_the_transaction_ends(
    engine: Engine, begin: Callable[[], None]
) -> None:
    begin()
    with connected(engine) as reader:
        assert stands(reader) == "planned"
        with connected(engine) as other:
            other.execute(text("set local lock_timeout = '50ms'"))
            with pytest.raises(DBAPIError, match="lock timeout"), other.begin_nested():
                sagas.take(other, [step("planned", "released")], NOON)
        assert stands(reader) == "planned"


@pytest.fixture
def begin(engine: Engine) -> Callable[[], None]:
    """Make a request that is planned, for everybody to see."""

    def begin() -> None:
        with connected(engine) as connection:
            begun(connection)

    return begin
