"""Versioned tables: what differs is closed and written anew, the rest stays; frames as COPY."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pandas as pd
import pyarrow
import pytest
from sqlalchemy import Connection, Engine

from resources.store import versions
from resources.store.engine import connected
from resources.store.frames import fetch_frame, read_rows, send_frame

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
TICK = timedelta(microseconds=1)
_THINGS = (
    "create temp table things (ref text, units bigint, word text, note text, "
    "known_at timestamptz not null, replaced_at timestamptz, run_id text, "
    "unique nulls not distinct (ref, replaced_at)) on commit drop"
)
SHAPE = versions.Versioned("things", key=("ref",), compared=("units", "word"), carried=("note",))


@pytest.fixture
def connection(engine: Engine) -> Iterator[Connection]:
    with connected(engine) as one:
        one.exec_driver_sql(_THINGS)
        yield one


def keep(
    connection: Connection, now: datetime, *rows: tuple[Any, ...], late: str = "false"
) -> versions.Kept:
    frame = pyarrow.table(
        {
            "ref": pyarrow.array([row[0] for row in rows], pyarrow.string()),
            "units": pyarrow.array([row[1] for row in rows], pyarrow.int64()),
            "word": pyarrow.array([row[2] for row in rows], pyarrow.string()),
            "note": pyarrow.array(["note" for _ in rows], pyarrow.string()),
        }
    )
    versions.stage(connection, SHAPE, "stage_things", frame)
    return versions.keep_changed(connection, SHAPE, "stage_things", now, "run", late=late)


def held(connection: Connection) -> list[tuple[Any, ...]]:
    query = "select ref, units, word, known_at, replaced_at from things order by ref, known_at"
    return [tuple(row.values()) for row in read_rows(connection, query)]


def many() -> pyarrow.Table:
    count = versions.FEW + 1
    return pyarrow.table(
        {
            "ref": [f"r{number}" for number in range(count)],
            "units": [None, *range(1, count)],
            "word": pyarrow.nulls(count, pyarrow.string()),
            "note": ["same"] * count,
        }
    )


def stages(connection: Connection) -> int:
    """How many tables for stages there are that are not temporary."""
    query = (
        "select count(*) from pg_class where starts_with(relname, 'stage_') "
        "and relpersistence = 'u'"
    )
    return int(connection.exec_driver_sql(query).scalar_one())


def test_many_rows_are_staged_in_a_table_that_is_gone_after(connection: Connection) -> None:
    with versions.staged(connection, SHAPE, "stage_things", many()) as stage:
        assert stages(connection) == 1
        kept = versions.keep_changed(connection, SHAPE, stage, NOON, "run")
        assert kept == versions.Kept(versions.FEW + 1, 0, 0)
    assert stages(connection) == 0
    with versions.staged(connection, SHAPE, "stage_things", many()) as stage:
        kept = versions.keep_changed(connection, SHAPE, stage, NOON, "run")
        assert kept == versions.Kept(0, 0, 0)


def test_the_table_of_a_stage_is_gone_with_a_transaction_that_fails(engine: Engine) -> None:
    with pytest.raises(ZeroDivisionError):
        _fail_while_staged(engine)
    with connected(engine) as one:
        assert stages(one) == 0


def _fail_while_staged(engine: Engine) -> None:
    with connected(engine) as one:
        one.exec_driver_sql(_THINGS)
        with versions.staged(one, SHAPE, "stage_things", many()):
            assert stages(one) == 1
            raise ZeroDivisionError


def test_what_differs_ends_the_moment_its_next_version_begins(connection: Connection) -> None:
    hour = NOON + timedelta(hours=1)
    assert keep(connection, NOON, ("a", 1, "x"), ("b", 2, None)) == versions.Kept(2, 0, 0)
    assert keep(connection, hour, ("a", 5, "x"), ("b", 2, None)) == versions.Kept(0, 1, 0)
    assert held(connection) == [
        ("a", 1, "x", NOON, hour),
        ("a", 5, "x", hour, None),
        ("b", 2, None, NOON, None),
    ]


def test_what_is_said_again_writes_nothing(connection: Connection) -> None:
    keep(connection, NOON, ("a", 1, None))
    assert keep(connection, NOON + timedelta(hours=1), ("a", 1, None)) == versions.Kept(0, 0, 0)
    assert held(connection) == [("a", 1, None, NOON, None)]


def test_nothing_and_a_word_are_two_values(connection: Connection) -> None:
    keep(connection, NOON, ("a", 1, None))
    assert keep(connection, NOON, ("a", 1, "")).changed == 1


def test_two_changes_within_one_tick_of_the_clock_follow_one_another(
    connection: Connection,
) -> None:
    for units in (1, 2, 3):
        keep(connection, NOON, ("a", units, "x"))
    assert held(connection) == [
        ("a", 1, "x", NOON, NOON + TICK),
        ("a", 2, "x", NOON + TICK, NOON + 2 * TICK),
        ("a", 3, "x", NOON + 2 * TICK, None),
    ]


def test_what_is_older_than_what_is_held_is_left_out_and_counted(connection: Connection) -> None:
    keep(connection, NOON, ("a", 5, "x"))
    found = keep(connection, NOON, ("a", 3, "x"), ("b", 1, "x"), late="(s.units < c.units)")
    assert found == versions.Kept(new=1, changed=0, late=1)
    assert [row[:2] for row in held(connection)] == [("a", 5), ("b", 1)]


def test_the_same_rows_come_out_whether_few_or_many_are_compared(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(connection, NOON, *[(f"r{n}", n, "x") for n in range(50)])
    monkeypatch.setattr(versions, "FEW", 0)
    found = keep(connection, NOON, *[(f"r{n}", n + n % 2, "x") for n in range(60)])
    assert found == versions.Kept(new=10, changed=25, late=0)


def test_a_big_frame_goes_in_and_comes_out_as_it_was(connection: Connection) -> None:
    connection.exec_driver_sql(
        "create temp table kinds (word text, units bigint, per_day numeric(20, 6), is_new boolean, "
        "seen_at timestamptz)"
    )
    types = {
        "word": pyarrow.large_string(),
        "units": pyarrow.int64(),
        "per_day": pyarrow.decimal128(20, 6),
        "is_new": pyarrow.string(),
        "seen_at": pyarrow.timestamp("us", "UTC"),
    }
    rows = pyarrow.table(
        {
            "word": ['with "quotes", commas\nand lines', "", None],
            "units": [9_007_199_254_740_993, -1, None],
            "per_day": pyarrow.array([Decimal("0.000001"), Decimal(7), None], types["per_day"]),
            "is_new": [True, False, None],
            "seen_at": pyarrow.array([NOON + TICK, NOON, None], types["seen_at"]),
        }
    )
    assert send_frame(connection, "kinds", rows) == 3
    found = fetch_frame(connection, "select * from kinds", types)
    assert found["word"].iloc[:2].tolist() == ['with "quotes", commas\nand lines', ""]
    assert found["word"].isna().tolist() == [False, False, True]
    assert read_rows(connection, "select * from kinds")[0] == {
        "word": 'with "quotes", commas\nand lines',
        "units": 9_007_199_254_740_993,
        "per_day": Decimal("0.000001"),
        "is_new": True,
        "seen_at": NOON + TICK,
    }
    assert found["seen_at"].iloc[0] == pd.Timestamp(NOON + TICK)


def test_no_rows_are_a_frame_with_columns(connection: Connection) -> None:
    found = fetch_frame(
        connection, "select ref, units from things", {"ref": pyarrow.string(), "n": pyarrow.int64()}
    )
    assert list(found.columns) == ["ref", "n"]
    assert found.empty
