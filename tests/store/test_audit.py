"""The audit trail: append-only, one chain however many write, and tampering shows."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from resources.store import audit
from resources.store.engine import connected
from resources.store.frames import read_rows

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


def record(connection: Connection, *subjects: str) -> None:
    for subject in subjects:
        audit.record(connection, "olga", "exception.released", subject, NOON, note="ok")


def behind_the_back(connection: Connection, statement: str) -> None:
    """What somebody does who may switch triggers off."""
    connection.execute(text("alter table ops.audit disable trigger user"))
    connection.execute(text(statement))
    connection.execute(text("alter table ops.audit enable trigger user"))


def test_an_entry_says_who_did_what_when(connection: Connection) -> None:
    audit.record(connection, "olga", "paid", "us:1", NOON, amount=Decimal("1.10"), note="é")
    (row,) = read_rows(connection, "select * from ops.audit")
    assert (row["id"], row["at"], row["actor"], row["action"]) == (1, NOON, "olga", "paid")
    assert (row["subject_ref"], row["detail"]) == ("us:1", {"amount": "1.10", "note": "é"})


def test_each_entry_seals_the_one_before(connection: Connection) -> None:
    record(connection, "us:1", "us:2", "us:3")
    rows = read_rows(connection, "select id, previous_hash, hash from ops.audit order by id")
    assert [row["id"] for row in rows] == [1, 2, 3]
    assert bytes(rows[0]["previous_hash"]) == b"\x00"
    assert [bytes(row["previous_hash"]) for row in rows[1:]] == [
        bytes(row["hash"]) for row in rows[:2]
    ]
    assert audit.broken(connection) == []


def test_entries_of_one_statement_are_one_chain(connection: Connection) -> None:
    connection.execute(
        text(
            "insert into ops.audit (at, actor, action, subject_ref) "
            "select now(), 'olga', 'x', 'us:' || n from generate_series(1, 20) as n"
        )
    )
    assert len(read_rows(connection, "select distinct previous_hash from ops.audit")) == 20
    assert audit.broken(connection) == []


def test_a_seal_of_ones_own_is_not_taken(connection: Connection) -> None:
    connection.execute(
        text(
            "insert into ops.audit (at, actor, action, subject_ref, previous_hash, hash) "
            "values (now(), 'olga', 'x', 'us:1', 'forged', 'forged')"
        )
    )
    assert audit.broken(connection) == []


@pytest.mark.parametrize(
    "statement",
    [
        "update ops.audit set actor = 'eve'",
        "update ops.audit set detail = detail where id = 1",
        "delete from ops.audit where id = 2",
        "truncate ops.audit",
    ],
)
def test_nothing_in_the_trail_is_changed_or_taken_away(
    connection: Connection, statement: str
) -> None:
    record(connection, "us:1", "us:2")
    with pytest.raises(DBAPIError, match=r"ops\.audit is append-only"), connection.begin_nested():
        connection.execute(text(statement))
    assert [r["actor"] for r in read_rows(connection, "select * from ops.audit")] == ["olga"] * 2


@pytest.mark.parametrize(
    ("statement", "broken"),
    [
        ("update ops.audit set actor = 'eve' where id = 2", [2]),
        ("update ops.audit set at = at + interval '1 second' where id = 2", [2]),
        ("""update ops.audit set detail = '{"note": "no"}' where id = 3""", [3]),
        ("update ops.audit set subject_ref = 'us:9' where id = 1", [1]),
        ("delete from ops.audit where id = 1", [2]),
        ("delete from ops.audit where id = 2", [3]),
        (
            "update ops.audit set actor = 'eve', hash = sha256(previous_hash || convert_to("
            "concat_ws('|', id, extract(epoch from at), 'eve', action, subject_ref, "
            "detail::text), 'UTF8')) where id = 1",
            [2],
        ),
    ],
)
def test_tampering_behind_the_triggers_shows(
    connection: Connection, statement: str, broken: list[int]
) -> None:
    record(connection, "us:1", "us:2", "us:3")
    behind_the_back(connection, statement)
    assert audit.broken(connection) == broken


def test_what_is_rolled_back_leaves_no_gap(engine: Engine) -> None:
    with connected(engine) as connection:
        record(connection, "us:1")
    with engine.connect() as connection:
        record(connection, "us:2")
        connection.rollback()
    with connected(engine) as connection:
        record(connection, "us:3")
        assert [r["id"] for r in read_rows(connection, "select id from ops.audit")] == [1, 2]
        assert audit.broken(connection) == []


def test_entries_written_at_the_same_time_keep_one_chain(engine: Engine) -> None:
    def write(worker: int) -> None:
        for step in range(10):
            with connected(engine) as connection:
                record(connection, f"us:{worker}:{step}")

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(4)))
    with connected(engine) as connection:
        rows = read_rows(connection, "select id, previous_hash from ops.audit order by id")
        assert [row["id"] for row in rows] == list(range(1, 41))
        assert len({bytes(row["previous_hash"]) for row in rows}) == 40
        assert audit.broken(connection) == []
