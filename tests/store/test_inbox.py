"""The inbox: deliveries kept as received, leased once, settled by who holds them."""

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Engine, text

from resources.store import inbox
from resources.store.engine import connected
from resources.store.frames import driver, read_rows
from resources.store.inbox import Delivery

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def delivery(resource: str | None = "7", **more: Any) -> Delivery:
    given: dict[str, Any] = {
        "source": "woocommerce",
        "store": "us",
        "topic": "order.updated",
        "resource_id": resource,
        "body": b"{}",
        "correlation_id": "c-1",
        "received_at": NOON,
    }
    return Delivery(**{**given, **more})


def keep(engine: Engine, *deliveries: Delivery) -> list[int]:
    with connected(engine) as connection:
        return inbox.append(connection, deliveries)


def lease(connection: Connection, worker: str, **more: Any) -> dict[str, list[int]]:
    given: dict[str, Any] = {"source": "woocommerce", "store": "us", "now": NOON}
    hints = inbox.lease(connection, worker=worker, **{**given, **more})
    assert {kind for kind, _ in hints} <= {"order"}
    return {resource: ids for (_, resource), ids in hints.items()}


def taken(engine: Engine, worker: str, **more: Any) -> dict[str, list[int]]:
    with connected(engine) as connection:
        return lease(connection, worker, **more)


def settled(engine: Engine, ids: list[int], worker: str) -> int:
    with connected(engine) as connection:
        return inbox.settle(connection, ids, worker=worker, now=NOON + MINUTE, outcome="read")


def rows(engine: Engine) -> list[dict[str, Any]]:
    with connected(engine) as connection:
        return read_rows(connection, "select * from ops.inbox order by id")


def test_a_delivery_is_kept_as_received(engine: Engine) -> None:
    body = b'\xff\x00 {"a": "\\u0000"}'
    (one,) = keep(engine, delivery(body=body, signature="valid", headers={"x-wc-topic": "é"}))
    (row,) = rows(engine)
    assert (row["id"], bytes(row["body"])) == (one, body)
    assert (row["headers"], row["signature"]) == ({"x-wc-topic": "é"}, "valid")
    assert (row["state"], row["received_at"], row["due_at"]) == ("waiting", NOON, NOON)


def test_ids_come_in_the_order_of_the_deliveries(engine: Engine) -> None:
    ids = keep(engine, delivery("a"), delivery("b"), delivery("c"))
    assert ids == sorted(ids)
    assert [row["resource_id"] for row in rows(engine)] == ["a", "b", "c"]


def test_hints_of_one_resource_are_taken_together(engine: Engine) -> None:
    ids = keep(engine, delivery("7"), delivery("8"), delivery("7"), delivery(None), delivery("7"))
    assert taken(engine, "w1") == {
        "7": [ids[0], ids[2], ids[4]],
        "8": [ids[1]],
        "": [ids[3]],
    }


def test_things_of_different_kinds_are_not_taken_for_one(engine: Engine) -> None:
    ids = keep(engine, delivery("7"), delivery("7", topic="customer.updated"))
    with connected(engine) as connection:
        hints = inbox.lease(connection, source="woocommerce", store="us", worker="w", now=NOON)
    assert hints == {("order", "7"): ids[:1], ("customer", "7"): ids[1:]}


def test_deliveries_of_a_paused_store_are_kept_until_the_pause_ends(engine: Engine) -> None:
    keep(engine, delivery("7"), delivery("8", store="uk"))
    with connected(engine) as connection:
        connection.execute(
            text(
                "insert into ops.system (system, state, until, changed_at, changed_by) "
                "values ('us', 'paused', :until, :now, 'ada')"
            ),
            {"until": NOON + MINUTE, "now": NOON},
        )
    assert taken(engine, "w1") == {}
    assert list(taken(engine, "w1", store="uk")) == ["8"]
    assert list(taken(engine, "w1", now=NOON + MINUTE)) == ["7"]


def test_what_could_not_be_followed_waits_longer_each_time(engine: Engine) -> None:
    ids = keep(engine, delivery())
    for seconds, now in ((2, NOON), (4, NOON + MINUTE), (8, NOON + 2 * MINUTE)):
        taken(engine, "w1", now=now)
        with connected(engine) as connection:
            assert inbox.give_back(connection, ids, worker="w2", now=now) == 0
            assert inbox.give_back(connection, ids, worker="w1", now=now) == 1
        (row,) = rows(engine)
        assert (row["state"], row["leased_by"]) == ("waiting", None)
        assert row["due_at"] == now + timedelta(seconds=seconds)


def test_what_one_worker_took_another_does_not_get(engine: Engine) -> None:
    keep(engine, delivery())
    assert taken(engine, "w1") != {}
    assert taken(engine, "w2") == {}


def test_a_lease_that_ran_out_is_taken_again(engine: Engine) -> None:
    (one,) = keep(engine, delivery())
    taken(engine, "w1", hold=5 * MINUTE)
    assert taken(engine, "w2", now=NOON + 4 * MINUTE) == {}
    assert taken(engine, "w2", now=NOON + 5 * MINUTE) == {"7": [one]}
    (row,) = rows(engine)
    assert (row["attempts"], row["leased_by"]) == (2, "w2")


def test_a_worker_that_lost_its_lease_settles_nothing(engine: Engine) -> None:
    ids = keep(engine, delivery())
    taken(engine, "w1")
    taken(engine, "w2", now=NOON + 9 * MINUTE)
    assert settled(engine, ids, "w1") == 0
    assert [row["state"] for row in rows(engine)] == ["leased"]
    assert settled(engine, ids, "w2") == 1
    (row,) = rows(engine)
    assert (row["state"], row["outcome"], row["settled_at"]) == ("settled", "read", NOON + MINUTE)
    assert (row["leased_by"], row["lease_until"]) == (None, None)


def test_what_is_settled_is_settled_once_and_never_taken_again(engine: Engine) -> None:
    ids = keep(engine, delivery())
    taken(engine, "w1")
    assert settled(engine, ids, "w1") == 1
    assert settled(engine, ids, "w1") == 0
    assert taken(engine, "w1", now=NOON + timedelta(days=9)) == {}


def test_two_workers_at_once_share_the_deliveries_and_wait_for_nobody(engine: Engine) -> None:
    ids = keep(engine, *[delivery(str(n)) for n in range(4)])
    with engine.connect() as first, engine.connect() as second:
        second.execute(text("set lock_timeout = '2s'"))
        mine = lease(first, "w1", limit=3)
        theirs = lease(second, "w2", limit=3)
        first.commit()
        second.commit()
    assert sorted(one for hint in [*mine.values(), *theirs.values()] for one in hint) == ids
    assert (len(mine), len(theirs)) == (3, 1)


def test_only_what_is_due_at_this_store_is_taken_the_oldest_first(engine: Engine) -> None:
    late = delivery("late", due_at=NOON + MINUTE)
    keep(engine, delivery("uk", store="uk"), delivery("x", source="shipping"), late)
    keep(engine, delivery("new"), delivery("old", due_at=NOON - MINUTE))
    assert list(taken(engine, "w1", limit=1)) == ["old"]
    assert list(taken(engine, "w1")) == ["new"]
    assert list(taken(engine, "w1", now=NOON + MINUTE)) == ["late"]


def test_what_cannot_be_read_is_set_aside_with_its_body_and_reason(engine: Engine) -> None:
    ids = keep(engine, delivery(body=b"<html>"), delivery("8"))
    with connected(engine) as connection:
        inbox.quarantine(connection, ids[:1], now=NOON, outcome="no JSON")
    first, second = rows(engine)
    assert (first["state"], bytes(first["body"])) == ("quarantined", b"<html>")
    assert (first["outcome"], first["settled_at"]) == ("no JSON", NOON)
    assert second["state"] == "waiting"
    assert list(taken(engine, "w1")) == ["8"]


def test_what_is_copied_is_what_is_appended(engine: Engine) -> None:
    given = [
        delivery("7", body=b"\x00\xff{}", headers={"x-wc-topic": 'é"\\'}, signature="valid"),
        delivery(None, topic="", due_at=NOON + MINUTE),
        delivery("8", fault="the body is not JSON"),
    ]
    keep(engine, *given)
    with (
        connected(engine) as connection,
        driver(connection).cursor() as cursor,
        cursor.copy(inbox.COPY) as copy,
    ):
        copy.write(inbox.packed(given))
    found = rows(engine)
    appended, copied = found[:3], found[3:]
    for row in found:
        del row["id"]
    assert copied == appended
    assert [row["state"] for row in copied] == ["waiting", "waiting", "quarantined"]
    assert copied[2]["outcome"] == "the body is not JSON"
