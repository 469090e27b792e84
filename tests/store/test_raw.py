"""Raw: every version a system told, once; what is not mapped yet; how far a stream was read."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Connection, Engine

from resources.store import raw
from resources.store.engine import connected
from resources.store.frames import read_rows
from resources.store.raw import Reading, Said

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
ORDERS = "woocommerce__orders"
FROM_US = Reading("us", "delta", NOON, "run-1", "c-1")


def said(text: str, at: datetime = NOON, key: str = "7") -> Said:
    return Said(key, at, f'{{"v":"{text}"}}')


def keep(connection: Connection, *things: Said, reading: Reading = FROM_US) -> int:
    return raw.append(connection, ORDERS, things, reading)


def versions(connection: Connection) -> list[str]:
    rows = read_rows(connection, f"select payload ->> 'v' as v from raw.{ORDERS} order by version")
    return [row["v"] for row in rows]


def mapped(connection: Connection, limit: int = 10) -> list[str]:
    """Map what is pending; answers the versions mapped."""
    rows = raw.unmapped(connection, ORDERS, limit)
    raw.mark_mapped(connection, ORDERS, rows, NOON)
    return [row["payload"] for row in rows]


def pending(connection: Connection) -> list[str]:
    return [row["payload"] for row in raw.unmapped(connection, ORDERS, 10)]


# Versions


def test_a_thing_is_kept_with_how_it_reached_us(connection: Connection) -> None:
    assert keep(connection, Said("7", NOON, '{"a" : 1.10,  "b":"\\u00e9\\u0000"}')) == 1
    (row,) = read_rows(connection, f"select *, payload::text as text from raw.{ORDERS}")
    assert row["text"] == '{"a" : 1.10,  "b":"\\u00e9\\u0000"}'
    assert (row["source"], row["resource_id"], row["via"]) == ("us", "7", "delta")
    assert (row["changed_at"], row["received_at"]) == (NOON, NOON)
    assert (row["run_id"], row["correlation_id"], row["mapped_at"]) == ("run-1", "c-1", None)


def test_the_version_we_hold_is_not_kept_again(connection: Connection) -> None:
    assert keep(connection, said("a")) == 1
    assert keep(connection, said("a")) == 0
    assert keep(connection, said("a", NOON + MINUTE)) == 0
    assert versions(connection) == ["a"]


def test_a_thing_that_becomes_what_it_was_is_a_version_of_its_own(connection: Connection) -> None:
    for step, text in enumerate(("a", "b", "a")):
        assert keep(connection, said(text, NOON + step * MINUTE)) == 1
    assert versions(connection) == ["a", "b", "a"]
    assert pending(connection) == ['{"v":"a"}']


def test_two_texts_with_one_stamp_are_two_versions_and_the_later_one_counts(
    connection: Connection,
) -> None:
    assert keep(connection, said("half")) == 1
    assert keep(connection, said("whole")) == 1
    assert pending(connection) == ['{"v":"whole"}']


def test_an_older_version_that_comes_late_is_kept_once_and_is_not_the_newest(
    connection: Connection,
) -> None:
    keep(connection, said("new", NOON + MINUTE))
    assert keep(connection, said("old", NOON)) == 1
    assert keep(connection, said("old", NOON)) == 0
    assert versions(connection) == ["new", "old"]
    assert mapped(connection) == ['{"v":"new"}']
    assert pending(connection) == []


def test_the_same_thing_twice_in_one_page_is_one_version(connection: Connection) -> None:
    assert keep(connection, said("a"), said("a"), said("b", key="8")) == 2


def test_things_of_other_sources_are_other_things(connection: Connection) -> None:
    keep(connection, said("a"))
    assert keep(connection, said("a"), reading=Reading("uk", "delta", NOON)) == 1


def test_an_empty_page_keeps_nothing(connection: Connection) -> None:
    assert keep(connection) == 0


def test_many_pages_in_one_transaction_do_not_mix(connection: Connection) -> None:
    assert keep(connection, said("a")) == 1
    assert keep(connection, said("b", key="8")) == 1
    assert versions(connection) == ["a", "b"]


def test_what_the_database_cannot_hold_is_named_and_the_rest_is_kept(
    connection: Connection,
) -> None:
    bad = Said("2", NOON, '{"v":NaN}')
    things = [said("a", key="1"), bad, *[said(str(n), key=str(n)) for n in range(3, 9)]]
    new, refused = raw.append_storable(connection, ORDERS, things, FROM_US)
    assert (new, [thing for thing, _ in refused]) == (7, [bad])
    assert refused[0][1] == "the database cannot hold it: invalid input syntax for type json"
    assert len(versions(connection)) == 7


# Mapping


def test_only_the_newest_of_what_is_pending_is_mapped(connection: Connection) -> None:
    keep(connection, said("a"))
    keep(connection, said("b", NOON + MINUTE))
    assert mapped(connection) == ['{"v":"b"}']
    assert pending(connection) == []


def test_a_version_that_arrives_while_its_forerunner_is_mapped_stays_pending(
    connection: Connection,
) -> None:
    keep(connection, said("a"))
    rows = raw.unmapped(connection, ORDERS, 10)
    keep(connection, said("b", NOON + MINUTE))
    keep(connection, said("a'", NOON))
    raw.mark_mapped(connection, ORDERS, rows, NOON)
    left = read_rows(
        connection, f"select payload ->> 'v' as v from raw.{ORDERS} where mapped_at is null"
    )
    assert sorted(row["v"] for row in left) == ["a'", "b"]


def test_a_newest_version_is_mapped_again_when_an_older_one_comes_late(
    connection: Connection,
) -> None:
    keep(connection, said("new", NOON + MINUTE))
    mapped(connection)
    keep(connection, said("old"))
    assert mapped(connection) == ['{"v":"new"}']
    assert pending(connection) == []


def test_mapping_takes_so_many_things_at_a_time_and_ends(connection: Connection) -> None:
    keep(connection, *[said("a", key=str(n)) for n in range(5)])
    assert [len(mapped(connection, limit=2)) for _ in range(4)] == [2, 2, 1, 0]


def test_a_mended_mapper_gets_everything_again(connection: Connection) -> None:
    keep(connection, said("a"))
    keep(connection, said("b", key="8"), reading=Reading("uk", "delta", NOON))
    mapped(connection)
    assert raw.forget_mapping(connection, ORDERS, "uk") == 1
    assert pending(connection) == ['{"v":"b"}']
    assert raw.forget_mapping(connection, ORDERS) == 1
    assert len(pending(connection)) == 2


# Watermarks


def test_a_watermark_moves_on_and_never_back(connection: Connection) -> None:
    assert raw.complete_until(connection, "us", "orders") is None
    for moment in (NOON, NOON + MINUTE, NOON - MINUTE):
        raw.move_watermark(connection, "us", "orders", moment, NOON)
    assert raw.complete_until(connection, "us", "orders") == NOON + MINUTE


def test_streams_and_sources_have_watermarks_of_their_own(connection: Connection) -> None:
    raw.move_watermark(connection, "us", "orders", NOON, NOON)
    assert raw.complete_until(connection, "us", "orders_trashed") is None
    assert raw.complete_until(connection, "uk", "orders") is None


def test_a_watermark_moves_only_with_what_was_read(engine: Engine) -> None:
    class Killed(Exception):
        pass

    def dies() -> None:
        with connected(engine) as connection:
            keep(connection, said("a"))
            raw.move_watermark(connection, "us", "orders", NOON, NOON)
            raise Killed

    with pytest.raises(Killed):
        dies()
    with connected(engine) as connection:
        assert versions(connection) == []
        assert raw.complete_until(connection, "us", "orders") is None
