"""The outbox: one row per intention, sent by one worker at a time, in the order of the lanes."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import IntegrityError

from resources.store import outbox
from resources.store.engine import connected
from resources.store.frames import read_rows
from resources.store.outbox import LANES, Intended, Settled, Write

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def intended(thing: str = "us:1", operation: str = "sales_order.create", **more: Any) -> Intended:
    given: dict[str, Any] = {
        "payload": {"total": "1.00"},
        "wanted_hash": "h1",
        "core_version": 1,
        "lane": LANES["order"],
        "correlation_id": "c-1",
    }
    return Intended(operation, thing, **{**given, **more})


def intend(engine: Engine, *writes: Intended, now: datetime = NOON) -> int:
    with connected(engine) as connection:
        return outbox.intend(connection, "odoo", writes, now)


def lease(connection: Connection, worker: str = "w1", **more: Any) -> list[Write]:
    given: dict[str, Any] = {"now": NOON, "limit": 10}
    return outbox.lease(connection, "odoo", worker=worker, **{**given, **more})


def taken(engine: Engine, worker: str = "w1", **more: Any) -> list[Write]:
    with connected(engine) as connection:
        return lease(connection, worker, **more)


def settle(engine: Engine, state: str, worker: str = "w1", **more: Any) -> int:
    """Let a worker settle every write; answers how many it still held."""
    with connected(engine) as connection:
        ids = [row["id"] for row in read_rows(connection, "select id from ops.outbox")]
        done = [Settled(one, state, **more) for one in ids]
        return outbox.settle(connection, done, worker=worker, now=NOON + MINUTE)


def rows(engine: Engine) -> list[dict[str, Any]]:
    with connected(engine) as connection:
        return read_rows(connection, "select * from ops.outbox order by id")


def one(engine: Engine) -> dict[str, Any]:
    (row,) = rows(engine)
    return row


# Intending


def test_the_same_intention_twice_is_one_row(engine: Engine) -> None:
    assert intend(engine, intended()) == 1
    assert intend(engine, intended(), now=NOON + MINUTE) == 0
    row = one(engine)
    assert (row["state"], row["business_key"]) == ("waiting", "sales_order.create:us:1")
    assert (row["created_at"], row["payload"]) == (NOON, {"total": "1.00"})


def test_a_write_not_sent_yet_takes_the_newer_payload(engine: Engine) -> None:
    intend(engine, intended())
    newer = intended(wanted_hash="h2", core_version=2, payload={"total": "2.00"})
    assert intend(engine, newer) == 1
    row = one(engine)
    assert (row["wanted_hash"], row["core_version"]) == ("h2", 2)
    assert row["payload"] == {"total": "2.00"}


@pytest.mark.parametrize("state", ["leased", "unknown", "done"])
def test_a_write_under_way_or_done_stays_as_it_is(engine: Engine, state: str) -> None:
    intend(engine, intended())
    taken(engine)
    if state != "leased":
        settle(engine, state, error_class="X")
    before = one(engine)
    assert intend(engine, intended(wanted_hash="h2", payload={})) == 0
    assert one(engine) == before


def test_a_parked_write_waits_again_only_with_something_new_to_say(engine: Engine) -> None:
    intend(engine, intended())
    taken(engine)
    settle(engine, "parked", error_class="Refused", error_text="no such tax")
    assert intend(engine, intended()) == 0
    assert one(engine)["state"] == "parked"
    assert intend(engine, intended(wanted_hash="h2")) == 1
    row = one(engine)
    assert (row["state"], row["error_class"], row["error_text"]) == ("waiting", None, None)


def test_another_write_of_a_thing_waits_for_the_one_before_it(engine: Engine) -> None:
    cancel = intended(operation="sales_order.cancel", lane=LANES["cancel"])
    intend(engine, intended())
    assert intend(engine, cancel) == 0
    taken(engine)
    settle(engine, "done")
    assert intend(engine, cancel) == 1
    assert [row["state"] for row in rows(engine)] == ["done", "waiting"]


def test_other_things_wait_for_nothing(engine: Engine) -> None:
    intend(engine, intended("us:1"))
    taken(engine)
    settle(engine, "parked", error_class="Refused")
    assert intend(engine, intended("us:2")) == 1
    assert [write.thing_ref for write in taken(engine)] == ["us:2"]


def test_what_was_withdrawn_can_be_wanted_again(engine: Engine) -> None:
    intend(engine, intended())
    with connected(engine) as connection:
        assert outbox.withdraw(connection, "odoo", ["us:1"], NOON) == 1
    row = one(engine)
    assert (row["state"], row["error_class"]) == ("refused", "withdrawn")
    assert taken(engine) == []
    assert intend(engine, intended()) == 1
    assert [write.thing_ref for write in taken(engine)] == ["us:1"]
    assert len(rows(engine)) == 1


@pytest.mark.parametrize("state", ["leased", "unknown", "done"])
def test_what_may_have_had_an_effect_is_not_withdrawn(engine: Engine, state: str) -> None:
    intend(engine, intended())
    taken(engine)
    if state != "leased":
        settle(engine, state, error_class="X")
    with connected(engine) as connection:
        assert outbox.withdraw(connection, "odoo", ["us:1"], NOON) == 0
    assert one(engine)["state"] == state


def test_only_the_named_system_and_thing_are_withdrawn(engine: Engine) -> None:
    intend(engine, intended("us:1"), intended("us:2"))
    with connected(engine) as connection:
        assert outbox.withdraw(connection, "tryton", ["us:1"], NOON) == 0
        assert outbox.withdraw(connection, "odoo", ["us:2"], NOON) == 1
    assert [row["state"] for row in rows(engine)] == ["waiting", "refused"]


# Leasing


def test_urgent_lanes_go_first_and_within_one_the_longest_due(engine: Engine) -> None:
    intend(engine, intended("us:3", lane=LANES["catalog"]))
    intend(engine, intended("us:2"), now=NOON - MINUTE)
    intend(engine, intended("us:1"), now=NOON - 2 * MINUTE)
    intend(engine, intended("us:9", "sales_order.cancel", lane=LANES["cancel"]))
    assert [write.thing_ref for write in taken(engine, limit=3)] == ["us:9", "us:1", "us:2"]
    assert [write.thing_ref for write in taken(engine)] == ["us:3"]


def test_what_is_not_due_or_not_ours_is_not_taken(engine: Engine) -> None:
    intend(engine, intended(), now=NOON + MINUTE)
    with connected(engine) as connection:
        outbox.intend(connection, "tryton", [intended()], NOON)
    assert taken(engine) == []
    assert len(taken(engine, now=NOON + MINUTE)) == 1


def test_two_workers_at_once_share_the_writes_and_wait_for_nobody(engine: Engine) -> None:
    intend(engine, *[intended(f"us:{n}") for n in range(4)])
    with engine.connect() as first, engine.connect() as second:
        second.execute(text("set lock_timeout = '2s'"))
        mine = lease(first, "w1", limit=3)
        theirs = lease(second, "w2", limit=3)
        first.commit()
        second.commit()
    assert [write.thing_ref for write in mine] == ["us:0", "us:1", "us:2"]
    assert [write.thing_ref for write in theirs] == ["us:3"]


def test_a_lease_that_ran_out_is_taken_again_and_known_as_begun(engine: Engine) -> None:
    intend(engine, intended())
    (fresh,) = taken(engine, "w1", hold=5 * MINUTE)
    assert (fresh.attempts, fresh.begun) == (1, False)
    assert taken(engine, "w2", now=NOON + 4 * MINUTE) == []
    (again,) = taken(engine, "w2", now=NOON + 5 * MINUTE)
    assert (again.attempts, again.begun) == (2, True)


def test_a_worker_that_lost_its_lease_changes_nothing(engine: Engine) -> None:
    intend(engine, intended())
    taken(engine, "w1")
    taken(engine, "w2", now=NOON + 9 * MINUTE)
    before = one(engine)
    assert settle(engine, "done", worker="w1") == 0
    assert one(engine) == before
    assert settle(engine, "done", worker="w2") == 1
    row = one(engine)
    assert (row["state"], row["leased_by"], row["lease_until"]) == ("done", None, None)


def test_an_unknown_outcome_is_taken_again_when_due(engine: Engine) -> None:
    intend(engine, intended())
    taken(engine)
    settle(engine, "unknown", error_class="UnknownOutcome", due_at=NOON + 3 * MINUTE)
    assert taken(engine, now=NOON + 2 * MINUTE) == []
    (write,) = taken(engine, now=NOON + 3 * MINUTE)
    assert write.begun


@pytest.mark.parametrize("state", ["done", "refused", "parked"])
def test_what_ended_is_not_taken_again(engine: Engine, state: str) -> None:
    intend(engine, intended())
    taken(engine)
    settle(engine, state, error_class="X")
    assert taken(engine, now=NOON + timedelta(days=9)) == []


def test_a_parked_write_goes_again_when_a_person_says_so(engine: Engine) -> None:
    intend(engine, intended())
    taken(engine)
    settle(engine, "parked", error_class="Refused", error_text="no such tax")
    with connected(engine) as connection:
        assert outbox.retry_parked(connection, "tryton", "us:1", NOON) == 0
        assert outbox.retry_parked(connection, None, "us:1", NOON) == 1
        assert outbox.retry_parked(connection, None, "us:1", NOON) == 0
    assert [write.thing_ref for write in taken(engine)] == ["us:1"]


@pytest.mark.parametrize("state", ["paused", "circuit_open"])
def test_nothing_is_sent_to_a_system_that_rests_until_it_may(engine: Engine, state: str) -> None:
    intend(engine, intended())
    with connected(engine) as connection:
        outbox.intend(connection, "tryton", [intended()], NOON)
        connection.execute(
            text(
                "insert into ops.system (system, state, until, changed_at, changed_by) "
                "values ('odoo', :state, :until, :now, 'olga')"
            ),
            {"state": state, "until": NOON + MINUTE, "now": NOON},
        )
        assert len(outbox.lease(connection, "tryton", worker="w", now=NOON, limit=9)) == 1
    assert taken(engine) == []
    assert [row["attempts"] for row in rows(engine) if row["system"] == "odoo"] == [0]
    assert len(taken(engine, now=NOON + MINUTE)) == 1


@pytest.mark.parametrize("state", ["running", "draining"])
def test_a_system_that_runs_or_drains_is_sent_what_is_due(engine: Engine, state: str) -> None:
    intend(engine, intended())
    with connected(engine) as connection:
        connection.execute(
            text(
                "insert into ops.system (system, state, changed_at, changed_by) "
                "values ('odoo', :state, now(), 'olga')"
            ),
            {"state": state},
        )
    assert len(taken(engine)) == 1


def test_a_state_that_does_not_exist_is_refused_by_the_database(engine: Engine) -> None:
    intend(engine, intended())
    taken(engine)
    with pytest.raises(IntegrityError, match="outbox_state_is_known"):
        settle(engine, "lost")
    assert one(engine)["state"] == "leased"


def test_trouble_without_a_name_is_refused_by_the_database(engine: Engine) -> None:
    intend(engine, intended())
    taken(engine)
    with pytest.raises(IntegrityError, match="outbox_trouble_is_named"):
        settle(engine, "parked")
    assert one(engine)["state"] == "leased"


def test_depth_counts_what_is_not_done(engine: Engine) -> None:
    intend(engine, intended("us:1"), intended("us:2"), now=NOON - MINUTE)
    intend(engine, intended("us:3"))
    with connected(engine) as connection:
        found = outbox.depth(connection)
    assert found == [
        {
            "system": "odoo",
            "state": "waiting",
            "writes": 3,
            "oldest": NOON - MINUTE,
            "next_due": NOON - MINUTE,
        }
    ]
