"""The token bucket: never more than burst and rate allow, whoever asks, and urgent calls first."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as tried
from hypothesis import strategies as st
from sqlalchemy import Connection, text

from resources.store import pace, postgres
from resources.store.engine import connected, engine_for
from resources.store.frames import read_rows
from resources.store.outbox import LANES
from resources.store.pace import Limit, Turn

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
PATIENCE = timedelta(seconds=30)
AT_ONCE = Turn(True, timedelta())


def seconds(number: float) -> timedelta:
    return timedelta(seconds=number)


def take(
    connection: Connection,
    limit: Limit,
    after: float = 0.0,
    *,
    lane: str = "order",
    patience: timedelta = PATIENCE,
    ceiling: int | None = None,
) -> Turn:
    """One call at so many seconds after noon."""
    assert limit.per_second is not None
    return pace.take(
        connection,
        limit,
        limit.per_second,
        lane=LANES[lane],
        now=NOON + seconds(after),
        patience=patience,
        ceiling=ceiling,
    )


def test_a_burst_goes_at_once_and_then_the_rate_holds(connection: Connection) -> None:
    limit = Limit("odoo", Decimal(2), burst=3)
    assert [take(connection, limit) for _ in range(3)] == [AT_ONCE] * 3
    assert take(connection, limit) == Turn(False, seconds(0.5))
    assert take(connection, limit, 0.25) == Turn(False, seconds(0.25))
    assert take(connection, limit, 0.5) == AT_ONCE
    assert take(connection, limit, 0.5) == Turn(False, seconds(0.5))


def test_an_idle_bucket_fills_to_its_burst_and_no_further(connection: Connection) -> None:
    limit = Limit("odoo", Decimal(10), burst=2)
    take(connection, limit)
    turns = [take(connection, limit, 3600) for _ in range(3)]
    assert turns == [AT_ONCE, AT_ONCE, Turn(False, seconds(0.1))]


def test_a_wait_is_never_too_short(connection: Connection) -> None:
    limit = Limit("odoo", Decimal(3))
    take(connection, limit)
    turn = take(connection, limit)
    assert turn == Turn(False, timedelta(microseconds=333_334))
    assert take(connection, limit, turn.wait.total_seconds()) == AT_ONCE


def test_accounts_have_buckets_of_their_own(connection: Connection) -> None:
    first, second = Limit("odoo", Decimal(1)), Limit("us", Decimal(1))
    assert take(connection, first) == AT_ONCE
    assert take(connection, second) == AT_ONCE
    assert not take(connection, first).granted


def test_a_clock_that_is_behind_gets_nothing_extra(connection: Connection) -> None:
    limit = Limit("odoo", Decimal(1))
    assert take(connection, limit, 10) == AT_ONCE
    assert take(connection, limit, 4) == Turn(False, seconds(7))
    assert take(connection, limit, 11) == AT_ONCE


def test_a_block_holds_for_everybody_until_its_end(connection: Connection) -> None:
    limit = Limit("odoo", Decimal(1), burst=5)
    assert take(connection, limit) == AT_ONCE
    pace.block(connection, "odoo", NOON + seconds(20), NOON)
    pace.block(connection, "odoo", NOON + seconds(5), NOON)
    assert take(connection, limit, 6) == Turn(False, seconds(14))
    assert take(connection, limit, 20) == AT_ONCE


def test_what_the_system_says_is_left_lowers_the_bucket_and_never_fills_it(
    connection: Connection,
) -> None:
    limit = Limit("shipbob", Decimal(1), burst=5)
    assert take(connection, limit, ceiling=1) == AT_ONCE
    assert take(connection, limit, ceiling=100) == Turn(False, seconds(1))


def test_the_lower_of_our_limit_and_theirs_holds() -> None:
    assert pace.rate_that_holds(Limit("x", Decimal(5)), Decimal("0.5")) == Decimal("0.5")
    assert pace.rate_that_holds(Limit("x", Decimal(5)), Decimal(50)) == Decimal(5)
    assert pace.rate_that_holds(Limit("x"), Decimal("0.5")) == Decimal("0.5")
    assert pace.rate_that_holds(Limit("x"), None) is None


def test_a_told_rate_is_kept_beside_the_bucket(connection: Connection) -> None:
    pace.tell_rate(connection, "amazon", Decimal("0.0167"), NOON)
    pace.tell_rate(connection, "amazon", Decimal("0.5"), NOON)
    (row,) = read_rows(connection, "select account, told_rate from ops.bucket")
    assert row == {"account": "amazon", "told_rate": Decimal("0.5")}


# Lanes


@pytest.mark.parametrize("urgent", ["cancel", "stock"])
def test_stock_never_waits_behind_catalogue(connection: Connection, urgent: str) -> None:
    limit = Limit("odoo", Decimal(1))
    assert take(connection, limit, lane="catalog") == AT_ONCE
    for at in (0.0, 0.1, 0.2):  # three catalogue calls queue for the next token
        assert not take(connection, limit, at, lane="catalog").granted
    assert take(connection, limit, 0.3, lane=urgent) == Turn(True, seconds(0.7))
    # The token that comes at one second is taken, although the catalogue asks first then.
    assert take(connection, limit, 1.0, lane="catalog") == Turn(False, seconds(1))
    assert take(connection, limit, 2.0, lane="catalog") == AT_ONCE


def test_urgent_calls_go_one_after_the_other_at_the_rate(connection: Connection) -> None:
    limit = Limit("odoo", Decimal(2))
    turns = [take(connection, limit, lane="stock") for _ in range(4)]
    assert turns == [Turn(True, seconds(n / 2)) for n in range(4)]


def test_an_urgent_call_beyond_patience_takes_no_token(connection: Connection) -> None:
    limit = Limit("odoo", Decimal("0.1"))
    take(connection, limit)
    turn = take(connection, limit, lane="stock", patience=seconds(5))
    assert turn == Turn(False, seconds(10))
    assert take(connection, limit, 10, lane="catalog") == AT_ONCE


def test_a_catalogue_leaves_half_of_a_burst_to_those_above_it(connection: Connection) -> None:
    limit = Limit("odoo", Decimal(1), burst=9)
    assert [take(connection, limit, lane="catalog").granted for _ in range(6)] == [
        *[True] * 5,
        False,
    ]
    assert [take(connection, limit, lane="shipment").granted for _ in range(3)] == [
        *[True] * 2,
        False,
    ]
    assert [take(connection, limit, lane="order").granted for _ in range(3)] == [
        *[True] * 2,
        False,
    ]


def test_a_bucket_of_one_serves_every_lane(connection: Connection) -> None:
    limit = Limit("odoo", Decimal(1))
    assert [take(connection, limit, n, lane=lane).granted for n, lane in enumerate(LANES)] == [
        True
    ] * 5


# Whatever the order


CALLS = st.lists(
    st.tuples(
        st.integers(0, 900),  # milliseconds since the call before, in whichever process
        st.integers(-300, 300),  # how far the clock of that process is off
        st.sampled_from(list(LANES)),
    ),
    min_size=1,
    max_size=40,
)


@tried(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(calls=CALLS, rate=st.decimals("0.3", "20", places=2), burst=st.integers(1, 6))
def test_never_more_goes_than_burst_and_rate_allow(
    connection: Connection, calls: list[tuple[int, int, str]], rate: Decimal, burst: int
) -> None:
    limit, at, gone = Limit(uuid4().hex, rate, burst), 0.0, []
    for pause, _, lane in calls:
        at += pause / 1000
        turn = take(connection, limit, at, lane=lane)
        if turn.granted:
            gone.append(at + turn.wait.total_seconds())
    _assert_within(sorted(gone), rate, burst)


@tried(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(calls=CALLS, rate=st.decimals("0.3", "20", places=2), burst=st.integers(1, 6))
def test_clocks_that_differ_gain_no_more_than_they_differ(
    connection: Connection, calls: list[tuple[int, int, str]], rate: Decimal, burst: int
) -> None:
    limit, at, gone = Limit(uuid4().hex, rate, burst), 1.0, []
    for pause, off, lane in calls:
        at += pause / 1000
        turn = take(connection, limit, at + off / 1000, lane=lane)
        if turn.granted:
            gone.append(at + turn.wait.total_seconds())
    _assert_within(sorted(gone), rate, burst, slack=0.6)


def _assert_within(gone: list[float], rate: Decimal, burst: int, slack: float = 0.0) -> None:
    for first, start in enumerate(gone):
        for last in range(first, len(gone)):
            allowed = burst + float(rate) * (gone[last] - start + slack)
            assert last - first + 1 <= allowed + 1e-4


def test_processes_at_once_share_one_bucket(database: postgres.Databases) -> None:
    limit = Limit("odoo", Decimal(1), burst=7)

    def many(_: int) -> int:
        engine = engine_for(database)
        granted = 0
        for _ in range(10):
            with connected(engine) as connection:
                granted += take(connection, limit).granted
        engine.dispose()
        return granted

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(many, range(4))) == 7


def test_a_rate_of_nothing_is_refused_by_the_database(connection: Connection) -> None:
    with pytest.raises(Exception, match="bucket_rate_is_positive"):
        connection.execute(
            text(
                "insert into ops.bucket (account, tokens, filled_at, told_rate, updated_at) "
                "values ('x', 0, now(), 0, now())"
            )
        )
