"""Handing runs to warm workers: started once, by whoever takes it, or by whoever takes it back."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine
from sqlalchemy.exc import IntegrityError

from resources.store import handover, presence
from resources.store.engine import connected
from resources.store.frames import read_rows, scalar

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
KNOWN = {"orders_now": "snapshot-1"}


def ask(engine: Engine, run: str = "run-1", snapshot: str = "snapshot-1") -> None:
    with connected(engine) as connection:
        handover.ask(connection, run, "orders_now", snapshot, NOON)


def take(engine: Engine, worker: str = "w1") -> str | None:
    with connected(engine) as connection:
        return handover.take(connection, worker, KNOWN, NOON)


def take_back(engine: Engine, run: str = "run-1") -> bool:
    with connected(engine) as connection:
        return handover.take_back(connection, run)


def beat(engine: Engine, worker: str = "w1", at: datetime = NOON, run: str | None = None) -> None:
    with connected(engine) as connection:
        handover.beat(connection, worker, run, at)


def test_an_offered_run_is_taken_once_the_oldest_first(engine: Engine) -> None:
    for run in ("run-1", "run-2"):
        ask(engine, run)
    assert [take(engine), take(engine, "w2"), take(engine, "w3")] == ["run-1", "run-2", None]
    with connected(engine) as connection:
        assert handover.was_taken(connection, "run-1")


def test_what_was_taken_cannot_be_taken_back_and_the_other_way_round(engine: Engine) -> None:
    ask(engine, "run-1")
    ask(engine, "run-2")
    take(engine)
    assert take_back(engine, "run-1") is False
    assert take_back(engine, "run-2") is True
    assert take(engine) is None


def test_taking_and_taking_back_at_once_start_a_run_exactly_once(engine: Engine) -> None:
    for number in range(20):
        ask(engine, f"run-{number}")
    with ThreadPoolExecutor(4) as pool:
        taken = [pool.submit(take, engine, f"w{n % 2}") for n in range(20)]
        back = [pool.submit(take_back, engine, f"run-{n}") for n in range(20)]
        started = [one.result() for one in taken if one.result()]
        started += [f"run-{n}" for n, one in enumerate(back) if one.result()]
    assert sorted(started) == sorted(f"run-{number}" for number in range(20))


def test_a_worker_with_other_code_leaves_a_run_alone_and_notices(engine: Engine) -> None:
    ask(engine, snapshot="snapshot-2")
    assert take(engine) is None
    with connected(engine) as connection:
        assert handover.offered_otherwise(connection, KNOWN)
        assert not handover.offered_otherwise(connection, {"other": "snapshot-1"})


def test_a_worker_is_there_as_long_as_it_beats(engine: Engine) -> None:
    beat(engine)
    with connected(engine) as connection:
        assert handover.somebody_is_there(connection, NOON + timedelta(seconds=14))
        assert not handover.somebody_is_there(connection, NOON + timedelta(seconds=15))
        handover.leave(connection, "w1")
        assert not handover.somebody_is_there(connection, NOON)


@pytest.mark.parametrize(("seconds", "lost"), [(14, False), (15, True)])
def test_a_run_is_lost_with_its_worker(engine: Engine, seconds: int, lost: bool) -> None:
    ask(engine)
    take(engine)
    beat(engine, run="run-1")
    with connected(engine) as connection:
        now = NOON + timedelta(seconds=seconds)
        assert handover.is_lost(connection, "run-1", now) is lost
        handover.end(connection, "run-1", NOON)
        assert not handover.is_lost(connection, "run-1", now)
        assert not handover.is_lost(connection, "never handed over", now)


def test_a_run_is_offered_once(engine: Engine) -> None:
    ask(engine)
    with pytest.raises(IntegrityError, match="handover_pkey"):
        ask(engine)


# ---------------------------------------------------------------- who is at work


def at_work(engine: Engine, name: str = "orders_now") -> int:
    with connected(engine) as connection:
        return presence.at_work(connection, name)


def test_everybody_at_work_is_counted_and_nobody_else(engine: Engine) -> None:
    with presence.held(engine, "orders_now", NOON), presence.held(engine, "orders_now", NOON):
        assert (at_work(engine), at_work(engine, "orders")) == (2, 0)
    assert at_work(engine) == 0


def test_a_killed_process_is_not_at_work(engine: Engine) -> None:
    with presence.held(engine, "orders_now", NOON), connected(engine) as connection:
        scalar(
            connection,
            "select count(pg_terminate_backend(pid)) from pg_locks "
            "where locktype = 'advisory' and classid = :space",
            space=presence.NAMESPACE,
        )
        for _ in range(200):  # the server ends the process by itself, a moment later
            if presence.at_work(connection, "orders_now") == 0:
                break
            connection.exec_driver_sql("select pg_sleep(0.01)")
        assert presence.at_work(connection, "orders_now") == 0


def test_a_failing_block_lets_go(engine: Engine) -> None:
    with pytest.raises(ValueError, match="x"), presence.held(engine, "orders_now", NOON):
        raise ValueError("x")
    assert at_work(engine) == 0


def test_who_was_asked_and_who_began_is_remembered(engine: Engine) -> None:
    later = NOON + timedelta(seconds=3)
    with connected(engine) as connection:
        assert presence.last(connection, "orders_now") == (None, None)
        presence.asked(connection, "orders_now", NOON)
    with presence.held(engine, "orders_now", later), connected(engine) as connection:
        assert presence.last(connection, "orders_now") == (NOON, later)
        assert len(read_rows(connection, "select * from ops.job")) == 1
