"""Frames to tables and back: exact money, exact moments, exact text, or a refusal."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pandas as pd
import pandera.errors
import pandera.pandas as pa
import pyarrow
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, Engine, text

from resources.store import frames
from resources.store.frames import Unstorable, all_or_nothing, read_rows
from sync_assets.domain.frames import Instant, Money, Table
from tests.worlds import World

D = Decimal
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


class Things(Table):
    """One row per thing, with every kind of column."""

    ref: str = pa.Field(description="Its key")
    words: str = pa.Field(nullable=True, description="Text")
    units: int = pa.Field(description="A whole number")
    is_new: bool = pa.Field(description="A flag")
    net_amount: Money = pa.Field(description="Money")
    tax_amount: Money = pa.Field(nullable=True, description="Money, or none")
    seen_at: Instant = pa.Field(description="A moment")
    paid_at: Instant = pa.Field(nullable=True, description="A moment, or none")

    class Config(Table.Config):
        unique = ["ref"]


TABLE = """
create temp table things (ref text primary key, words text, units bigint not null,
    is_new boolean not null, net_amount numeric(20, 6) not null, tax_amount numeric(20, 6),
    seen_at timestamptz not null, paid_at timestamptz)
"""


def thing(ref: str = "a", **more: Any) -> dict[str, Any]:
    given: dict[str, Any] = {
        "ref": ref,
        "words": None,
        "units": 1,
        "is_new": True,
        "net_amount": D("1.10"),
        "tax_amount": None,
        "seen_at": NOON,
        "paid_at": None,
    }
    return {**given, **more}


@pytest.fixture
def things(connection: Connection) -> Connection:
    connection.execute(text(TABLE))
    return connection


def held(connection: Connection) -> list[dict[str, Any]]:
    return read_rows(connection, "select * from things order by ref")


# What a frame takes


def test_a_frame_has_the_columns_and_types_of_its_table() -> None:
    frame = Things.validate(Things.frame([thing(), thing("b", tax_amount=D("0.333333"))]))
    assert list(frame.columns) == Things.columns()
    assert frame["net_amount"].dtype == pd.ArrowDtype(pyarrow.decimal128(20, 6))
    assert str(frame["seen_at"].dtype) == "datetime64[us, UTC]"
    assert frame["net_amount"].tolist() == [D("1.100000")] * 2


@pytest.mark.parametrize(
    ("amount", "refusal"),
    [
        (1.1, pyarrow.ArrowTypeError),
        (1.0, pyarrow.ArrowTypeError),
        (float("nan"), pyarrow.ArrowTypeError),
        ("1.10", pyarrow.ArrowTypeError),
        (D("0.1234567"), pyarrow.ArrowInvalid),
        (D("123456789012345"), pyarrow.ArrowInvalid),
        (D("NaN"), pyarrow.ArrowInvalid),
        (D("Infinity"), pyarrow.ArrowInvalid),
    ],
)
def test_money_that_is_not_exact_is_refused(amount: object, refusal: type[Exception]) -> None:
    with pytest.raises(refusal):
        Things.frame([thing(net_amount=amount)])


@pytest.mark.parametrize("amount", [D("0"), D("-0.000001"), D("99999999999999.999999"), 7])
def test_exact_money_is_taken_as_it_is(amount: Any) -> None:
    assert Things.frame([thing(net_amount=amount)])["net_amount"].tolist() == [D(amount)]


def test_a_missing_value_is_refused_where_one_is_due() -> None:
    with pytest.raises(pandera.errors.SchemaErrors):
        Things.validate(Things.frame([thing(net_amount=None, seen_at=None)]), lazy=True)


def test_a_column_nobody_declared_is_refused() -> None:
    frame = Things.frame([thing()]).assign(extra=1)
    with pytest.raises(pandera.errors.SchemaErrors, match="extra"):
        Things.validate(frame, lazy=True)


def test_the_same_key_twice_is_refused() -> None:
    with pytest.raises(pandera.errors.SchemaError):
        Things.validate(Things.frame([thing(), thing()]))


def test_an_empty_frame_has_its_columns_all_the_same() -> None:
    assert list(Things.validate(Things.frame([])).columns) == Things.columns()


# There and back


MONEY = st.decimals(-(10**13), 10**13, allow_nan=False, allow_infinity=False, places=6)
ZONES = st.sampled_from([UTC, timezone(timedelta(hours=14)), timezone(timedelta(hours=-11))])
MOMENTS = st.datetimes(datetime(1000, 1, 2), datetime(9999, 12, 30), timezones=ZONES)  # noqa: DTZ001
WORDS = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\x00"))
ROWS = st.builds(
    thing,
    ref=WORDS,
    words=st.none() | WORDS,
    units=st.integers(-(2**63), 2**63 - 1),
    is_new=st.booleans(),
    net_amount=MONEY,
    tax_amount=st.none() | MONEY,
    seen_at=MOMENTS,
    paid_at=st.none() | MOMENTS,
)


@pytest.fixture(scope="module")
def table(common_engine: Engine) -> Iterator[Connection]:
    with common_engine.connect() as connection:
        connection.execute(text(TABLE))
        yield connection
        connection.rollback()


@settings(max_examples=60, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(ROWS, max_size=5, unique_by=lambda row: row["ref"]))
def test_what_is_copied_in_is_read_back_equal(
    table: Connection, rows: list[dict[str, Any]]
) -> None:
    table.execute(text("truncate things"))
    frame = Things.frame(rows)
    assert frames.copy_frame(table, "things", frame) == len(rows)
    by_key = {row["ref"]: row for row in read_rows(table, "select * from things")}
    assert by_key == {row["ref"]: row for row in rows}


def test_text_that_looks_like_copys_own_marks_stays_text(things: Connection) -> None:
    rows = [thing("a", words="\\N"), thing("b", words="\t\n\r\\."), thing("c", words="")]
    frames.copy_frame(things, "things", Things.frame([*rows, thing("d", words=None)]))
    assert [row["words"] for row in held(things)] == ["\\N", "\t\n\r\\.", "", None]


def test_times_are_read_back_aware_and_money_as_decimal(things: Connection) -> None:
    tokyo = timezone(timedelta(hours=9))
    row = thing(seen_at=datetime(2026, 3, 2, 21, tzinfo=tokyo), net_amount=D("0.10"))
    frames.copy_frame(things, "things", Things.frame([row]))
    (found,) = held(things)
    assert found["seen_at"] == NOON
    assert found["seen_at"].utcoffset() == timedelta()
    assert isinstance(found["net_amount"], Decimal)


# Upsert and replace


def test_upsert_adds_what_is_new_and_overwrites_what_is_there(things: Connection) -> None:
    frames.upsert(things, "things", Things.frame([thing("a"), thing("b")]), ["ref"])
    newer = Things.frame([thing("b", units=2, words="x"), thing("c")])
    assert frames.upsert(things, "things", newer, ["ref"]) == 2
    rows = [(row["ref"], row["units"], row["words"]) for row in held(things)]
    assert rows == [("a", 1, None), ("b", 2, "x"), ("c", 1, None)]


def test_an_empty_upsert_changes_nothing(things: Connection) -> None:
    frames.upsert(things, "things", Things.frame([thing()]), ["ref"])
    assert frames.upsert(things, "things", Things.frame([]), ["ref"]) == 0
    assert len(held(things)) == 1


def test_replace_makes_the_frame_all_that_is_held_for_its_keys(things: Connection) -> None:
    rows = [thing("a", words="1"), thing("b", words="1"), thing("c", words="2")]
    frames.upsert(things, "things", Things.frame(rows), ["ref"])
    frames.replace(things, "things", Things.frame([thing("d", words="1")]), by="words", keys=["1"])
    assert [(row["ref"], row["words"]) for row in held(things)] == [("c", "2"), ("d", "1")]
    frames.replace(things, "things", Things.frame([]), by="words", keys=["1", "2", "9"])
    assert held(things) == []


# What the database cannot hold


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"words": "a\x00b"}, "DataError"),
        ({"ref": "a"}, 'duplicate key value violates unique constraint "things_pkey"'),
    ],
)
def test_rows_the_database_refuses_are_undone_alone_and_the_rule_is_named(
    things: Connection, change: dict[str, Any], reason: str
) -> None:
    frames.copy_frame(things, "things", Things.frame([thing("a")]))
    rows = Things.frame([thing("b"), {**thing("c"), **change}])
    with pytest.raises(Unstorable) as refused, all_or_nothing(things):
        frames.copy_frame(things, "things", rows)
    assert str(refused.value) == reason
    assert [row["ref"] for row in held(things)] == ["a"]
    with all_or_nothing(things):
        frames.copy_frame(things, "things", Things.frame([thing("d")]))
    assert [row["ref"] for row in held(things)] == ["a", "d"]


def test_a_fault_of_ours_is_not_blamed_on_the_rows(things: Connection) -> None:
    with pytest.raises(Exception, match="does not exist"), all_or_nothing(things):
        frames.copy_rows(things, "nowhere", ["a"], [[1]])
    with pytest.raises(ZeroDivisionError), all_or_nothing(things):
        raise ZeroDivisionError
    assert held(things) == []


def test_money_of_an_order_is_the_same_in_shop_core_and_erp(world: World) -> None:
    order_id = world.place(lines={"TEA": 3})
    world.run()
    (row,) = world.rows("select total_amount from core.orders")
    (order,) = world.in_erp()[f"us:{order_id}"]
    assert row["total_amount"] == D("31.85") == D(str(order["amount_total"]))
