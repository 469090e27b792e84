"""What must be worked out again: nothing marked is lost, whoever marks or takes meanwhile."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Connection, Engine

from resources.store import stale
from resources.store.engine import connected
from resources.store.frames import read_rows

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
LATER = NOON + timedelta(minutes=1)


@pytest.fixture
def connection(engine: Engine) -> Iterator[Connection]:
    with connected(engine) as one:
        yield one


def test_what_is_marked_is_taken_once_the_oldest_first(connection: Connection) -> None:
    stale.mark(connection, "availability", ["POT"], LATER)
    stale.mark(connection, "availability", ["TEA", "MUG"], NOON)
    assert stale.take(connection, "availability", limit=2) == ["MUG", "TEA"]
    assert stale.take(connection, "availability") == ["POT"]
    assert stale.take(connection, "availability") == []


def test_queues_do_not_take_from_one_another(connection: Connection) -> None:
    stale.mark(connection, "availability", ["TEA"], NOON)
    assert stale.take(connection, "stock_plan") == []
    assert stale.count(connection, "availability") == 1


def test_a_key_marked_again_keeps_its_age_unless_it_is_wanted_once_more(
    connection: Connection,
) -> None:
    for queue, renew in (("availability", False), ("stock_reading", True)):
        stale.mark(connection, queue, ["TEA"], NOON)
        stale.mark(connection, queue, ["TEA"], LATER, renew=renew)
    assert stale.waiting(connection, "availability") == {"TEA": NOON}
    assert stale.waiting(connection, "stock_reading") == {"TEA": LATER}


def test_what_was_marked_anew_meanwhile_is_not_settled(connection: Connection) -> None:
    stale.mark(connection, "stock_reading", ["odoo:1", "odoo:2"], NOON)
    seen = stale.waiting(connection, "stock_reading")
    stale.mark(connection, "stock_reading", ["odoo:2"], LATER, renew=True)
    assert stale.settle(connection, "stock_reading", seen) == 1
    assert stale.waiting(connection, "stock_reading") == {"odoo:2": LATER}


def test_a_run_that_dies_leaves_what_it_took(engine: Engine) -> None:
    with connected(engine) as connection:
        stale.mark(connection, "availability", ["TEA"], NOON)

    def die() -> None:
        with connected(engine) as connection:
            assert stale.take(connection, "availability") == ["TEA"]
            raise InterruptedError

    with pytest.raises(InterruptedError):
        die()
    with connected(engine) as connection:
        assert stale.take(connection, "availability") == ["TEA"]


def test_a_taker_leaves_a_key_whose_change_it_cannot_see_yet(engine: Engine) -> None:
    with connected(engine) as connection:
        stale.mark(connection, "availability", ["TEA", "MUG"], NOON)
    with connected(engine) as changing:
        stale.mark(changing, "availability", ["TEA"], LATER)
        with connected(engine) as taking:
            assert stale.take(taking, "availability") == ["MUG"]
    with connected(engine) as taking:
        assert stale.take(taking, "availability") == ["TEA"]


def test_two_takers_share_the_keys(engine: Engine) -> None:
    with connected(engine) as connection:
        stale.mark(connection, "availability", ["A", "B", "C"], NOON)
    with connected(engine) as first, connected(engine) as second:
        assert stale.take(first, "availability", limit=2) == ["A", "B"]
        assert stale.take(second, "availability") == ["C"]


def test_a_million_levels_at_once_mark_everything_by_one_row(connection: Connection) -> None:
    connection.exec_driver_sql(
        "insert into core.stock_level_versions (sku, location, source, on_hand_units, "
        "allocated_units, quarantined_units, incoming_units, true_at, known_at) "
        "select 'S' || n, 'us1', 'odoo', 1, 0, 0, 0, now(), now() "
        "from generate_series(1, 20001) n"
    )
    assert stale.take(connection, "availability") == [stale.ALL]


def test_a_changed_level_marks_its_sku_and_a_changed_number_its_listings(
    connection: Connection,
) -> None:
    connection.exec_driver_sql(
        "insert into core.stock_level_versions (sku, location, source, on_hand_units, "
        "allocated_units, quarantined_units, incoming_units, true_at, known_at) "
        "values ('TEA', 'us1', 'odoo', 1, 0, 0, 0, now(), now())"
    )
    connection.exec_driver_sql(
        "insert into core.availability_versions (channel, sku, atp_units, safety_units, "
        "sellable_units, backorder_units, limited_by, policy_hash, computed_at) "
        "values ('us', 'POT', 1, 0, 1, 0, 'stock', 'x', now())"
    )
    rows = read_rows(connection, "select queue, key from ops.stale order by queue")
    assert [tuple(row.values()) for row in rows] == [("availability", "TEA"), ("stock_plan", "POT")]
