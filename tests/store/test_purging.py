"""What leaves the tables when it is settled and old, and what stays however old it is."""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from random import Random
from typing import Any

import pytest
from sqlalchemy import Engine, text

from resources.settings import Retention
from resources.store import audit, exceptions, inbox, purging, raw
from resources.store.engine import connected
from resources.store.frames import read_rows
from resources.store.purging import Purged

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
DAY = timedelta(days=1)
KEPT = Retention()
ORDERS = "woocommerce__orders"


def run(engine: Engine, retention: Retention = KEPT, batch: int = 100) -> dict[str, int]:
    """Purge; answers rows by table, for those that lost any."""
    rows: Counter[str] = Counter()
    for taken in purging.purge(engine, retention, NOW, batch):
        rows[taken.table] += taken.rows
    return dict(+rows)


def counted(engine: Engine, retention: Retention = KEPT) -> dict[str, int]:
    return {one.table: one.rows for one in purging.countable(engine, retention, NOW) if one.rows}


def do(engine: Engine, statement: str, **values: Any) -> None:
    with connected(engine) as connection:
        connection.execute(text(statement), values)


def rows(engine: Engine, query: str) -> list[Any]:
    with connected(engine) as connection:
        return [tuple(row.values()) for row in read_rows(connection, query)]


# Inbox


def deliver(engine: Engine, name: str, age: timedelta, **more: Any) -> int:
    """One delivery, settled at once unless said otherwise."""
    given: dict[str, Any] = {
        "source": "us",
        "store": "us",
        "topic": ORDERS,
        "resource_id": name,
        "body": name.encode(),
        "state": "settled",
        "outcome": "read",
        "replay_of": None,
        **more,
    }
    ended = given["state"] in ("settled", "quarantined")
    with connected(engine) as connection:
        return int(
            connection.execute(
                text(
                    "insert into ops.inbox (source, store, topic, resource_id, body, signature, "
                    "received_at, due_at, correlation_id, state, settled_at, outcome, replay_of) "
                    "values (:source, :store, :topic, :resource_id, :body, 'valid', :at, :at, 'c', "
                    ":state, :settled_at, :outcome, :replay_of) returning id"
                ),
                {**given, "at": NOW - age, "settled_at": NOW - age if ended else None},
            ).scalar_one()
        )


def left_in_inbox(engine: Engine) -> list[str]:
    return [body.decode() for (body,) in rows(engine, "select body from ops.inbox order by id")]


def test_settled_deliveries_go_when_they_are_old(engine: Engine) -> None:
    deliver(engine, "old", 30 * DAY + timedelta(seconds=1))
    deliver(engine, "young", 30 * DAY)
    deliver(engine, "waiting", 300 * DAY, state="waiting")
    assert run(engine) == {"ops.inbox": 1}
    assert left_in_inbox(engine) == ["young", "waiting"]


def test_a_delivery_that_was_settled_late_is_kept_from_then_on(engine: Engine) -> None:
    deliver(engine, "late", 90 * DAY)
    do(engine, "update ops.inbox set settled_at = :at", at=NOW - DAY)
    assert run(engine) == {}


def test_a_leased_delivery_is_open_work(engine: Engine) -> None:
    deliver(engine, "7", 90 * DAY, state="waiting")
    with connected(engine) as connection:
        inbox.lease(connection, source="us", store="us", worker="w", now=NOW - 80 * DAY)
    assert run(engine) == {}


def unreadable(engine: Engine, name: str | None, body: bytes) -> str:
    """A quarantined delivery and its exception, as reading opens them; answers its subject."""
    deliver(
        engine, name or "", 90 * DAY, resource_id=name, body=body, state="quarantined", outcome="?"
    )
    subject = f"us:{name or 'unknown'}"
    part = sha256(body or b"?").hexdigest()[:12]
    found = exceptions.Exceptional("order.malformed", subject, "?", "engineer", part=part)
    with connected(engine) as connection:
        exceptions.open_all(connection, [found], now=NOW - 90 * DAY)
    return subject


@pytest.mark.parametrize(("name", "body"), [("7", b"{"), (None, b"{"), ("7", b"")])
def test_what_was_set_aside_goes_only_when_its_exception_has_ended(
    engine: Engine, name: str | None, body: bytes
) -> None:
    subject = unreadable(engine, name, body)
    assert run(engine) == {}
    with connected(engine) as connection:
        codes = ["order.malformed"]
        exceptions.reconcile(connection, [], subjects=[subject], codes=codes, now=NOW)
    assert run(engine) == {"ops.inbox": 1}
    assert len(rows(engine, "select id from ops.exception")) == 1


def test_what_was_set_aside_does_not_go_with_the_exception_of_another_body(engine: Engine) -> None:
    subject = unreadable(engine, None, b"one")
    with connected(engine) as connection:
        codes = ["order.malformed"]
        exceptions.reconcile(connection, [], subjects=[subject], codes=codes, now=NOW)
    unreadable(engine, None, b"two")
    deliver(engine, "three", 90 * DAY, resource_id=None, state="quarantined")
    assert run(engine) == {"ops.inbox": 1}
    assert left_in_inbox(engine) == ["two", "three"]


def test_a_delivery_stays_beside_its_replay_until_that_is_settled(engine: Engine) -> None:
    first = deliver(engine, "first", 90 * DAY)
    second = deliver(engine, "second", 90 * DAY)
    deliver(engine, "replayed", DAY, replay_of=first, state="waiting")
    deliver(engine, "replayed, settled", DAY, replay_of=second)
    assert run(engine) == {"ops.inbox": 1}
    assert left_in_inbox(engine) == ["first", "replayed", "replayed, settled"]


# Outbox


def write(engine: Engine, thing: str, state: str, age: timedelta, version: int = 0) -> None:
    do(
        engine,
        "insert into ops.outbox (system, operation, thing_ref, business_key, wanted_hash, "
        "core_version, lane, state, due_at, error_class, correlation_id, created_at, updated_at) "
        "values ('odoo', 'sales_order.create', :thing, :thing, 'h', :version, 2, :state, :at, 'E', "
        "'c', :at, :at)",
        thing=thing,
        state=state,
        at=NOW - age,
        version=version,
    )


def test_ended_writes_go_when_they_are_old_and_open_ones_never(engine: Engine) -> None:
    for state in ("done", "refused", "waiting", "unknown", "parked"):
        write(engine, f"us:{state}", state, 181 * DAY)
    write(engine, "us:young", "done", 180 * DAY)
    assert run(engine) == {"ops.outbox": 2}
    assert rows(engine, "select thing_ref from ops.outbox order by id") == [
        ("us:waiting",),
        ("us:unknown",),
        ("us:parked",),
        ("us:young",),
    ]


def test_a_write_stays_while_its_order_waits_for_a_person(engine: Engine) -> None:
    write(engine, "us:7", "done", 300 * DAY)
    found = exceptions.Exceptional("order.stock_unconfirmed", "us:7", "short", "operations")
    with connected(engine) as connection:
        exceptions.open_all(connection, [found], now=NOW - 300 * DAY)
    assert run(engine) == {}
    with connected(engine) as connection:
        exceptions.reconcile(
            connection, [], subjects=["us:7"], codes=["order.stock_unconfirmed"], now=NOW
        )
    assert run(engine) == {"ops.outbox": 1}


def test_an_order_whose_write_is_gone_is_not_written_again(engine: Engine) -> None:
    """The receipt stays, and it is the receipt that says what is done."""
    write(engine, "us:7", "done", 300 * DAY)
    do(
        engine,
        "insert into receipt.odoo__sales_orders (system, order_ref, outcome, currency, "
        "wanted_hash, core_version, attempts, answered_at) values ('odoo', 'us:7', 'accepted', "
        "'USD', 'h', 1, 1, :at)",
        at=NOW - 300 * DAY,
    )
    assert run(engine) == {"ops.outbox": 1}
    assert rows(engine, "select order_ref from receipt.sales_orders") == [("us:7",)]


# Raw


def said(
    engine: Engine, key: str, age: timedelta, *, mapped: bool = True, table: str = ORDERS
) -> int:
    """One version of a thing, told so long ago; answers its number."""
    at = NOW - age
    with connected(engine) as connection:
        reading = raw.Reading("us", "delta", at)
        raw.append(connection, table, [raw.Said(key, at, f'{{"at": "{at}"}}')], reading)
        if mapped:
            raw.mark_mapped(connection, table, raw.unmapped(connection, table, 10), at)
        query = f"select max(version) as version from raw.{table}"
        return int(read_rows(connection, query)[0]["version"])


def versions(engine: Engine, table: str = ORDERS) -> list[int]:
    return [version for (version,) in rows(engine, f"select version from raw.{table} order by 1")]


def test_a_version_goes_when_it_was_replaced_long_ago(engine: Engine) -> None:
    said(engine, "7", 400 * DAY)
    second = said(engine, "7", 300 * DAY)
    only = said(engine, "8", 900 * DAY)
    recent = [said(engine, "9", age) for age in (400 * DAY, 30 * DAY)]  # replaced lately
    assert run(engine) == {f"raw.{ORDERS}": 1}
    assert versions(engine) == [second, only, *recent]


def test_the_newest_is_told_by_its_change_not_by_its_arrival(engine: Engine) -> None:
    newest = said(engine, "7", 300 * DAY)
    with connected(engine) as connection:  # an older version that came late
        late = raw.Said("7", NOW - 400 * DAY, "{}")
        raw.append(connection, ORDERS, [late], raw.Reading("us", "webhook", NOW - 200 * DAY))
        raw.mark_mapped(connection, ORDERS, raw.unmapped(connection, ORDERS, 10), NOW)
    assert run(engine) == {f"raw.{ORDERS}": 1}
    assert versions(engine) == [newest]


def test_a_version_that_was_never_mapped_stays(engine: Engine) -> None:
    first = said(engine, "7", 400 * DAY, mapped=False)
    second = said(engine, "7", 300 * DAY, mapped=False)
    assert run(engine) == {}
    assert versions(engine) == [first, second]


def test_every_table_of_what_systems_said_is_purged(engine: Engine) -> None:
    tables = [name for (name,) in rows(engine, _RAW_TABLES)]
    for table in tables:
        said(engine, "7", 400 * DAY, table=table)
        said(engine, "7", 300 * DAY, table=table)
    assert len(tables) == 45
    assert run(engine) == {f"raw.{table}": 1 for table in tables}


_RAW_TABLES = "select table_name from information_schema.tables where table_schema = 'raw'"

POINTERS = {
    "core": "insert into core.orders (order_ref, store, order_id, order_number, state, "
    "shop_status, currency, prices_include_tax, placed_at, changed_at, net_amount, "
    "shipping_amount, fee_amount, tax_amount, discount_amount, rounding_amount, total_amount, "
    "refunded_amount, raw_version) values ('us:7', 'us', '7', '7', 'paid', 'processing', 'USD', "
    "false, now(), now(), 0, 0, 0, 0, 0, 0, 0, 0, :version)",
    "its changes": "insert into core.order_changes (order_ref, raw_version, changed_at, field) "
    "values ('us:7', :version, now(), 'state')",
    "a plan": "insert into plan.tryton__sales_orders (system, order_ref, action, wanted_hash, "
    "core_version, amount, currency, planned_at) values ('t', 'us:7', 'none', 'h', :version, 0, "
    "'USD', now())",
    "a receipt": "insert into receipt.odoo__sales_orders (system, order_ref, outcome, currency, "
    "wanted_hash, core_version, attempts, answered_at) values ('odoo', 'us:7', 'accepted', 'USD', "
    "'h', :version, 1, now())",
    "a write": "insert into ops.outbox (system, operation, thing_ref, business_key, wanted_hash, "
    "core_version, lane, due_at, correlation_id, created_at, updated_at) values ('odoo', 'o', "
    "'us:7', 'k', 'h', :version, 2, now(), 'c', now(), now())",
    "an ended exception": "insert into ops.exception (code, subject_kind, subject_ref, message, "
    "owner_role, blocks, can_release, version, state, opened_at, due_at, closed_at, closed_by) "
    "values ('c', 'order', 'us:7', 'm', 'engineer', false, false, :version, 'closed', now(), "
    "now(), now(), 'ada')",
}


@pytest.mark.parametrize("pointer", POINTERS)
def test_a_version_something_points_to_stays(engine: Engine, pointer: str) -> None:
    said(engine, "7", 500 * DAY)
    used = said(engine, "7", 400 * DAY)
    newest = said(engine, "7", 300 * DAY)
    do(engine, POINTERS[pointer], version=used)
    assert run(engine) == {f"raw.{ORDERS}": 1}
    assert versions(engine) == [used, newest]


def test_a_pointer_of_another_order_keeps_nothing(engine: Engine) -> None:
    first = said(engine, "8", 500 * DAY)
    newest = said(engine, "8", 300 * DAY)
    for pointer in POINTERS.values():
        do(engine, pointer, version=first)
    assert run(engine) == {f"raw.{ORDERS}": 1}
    assert versions(engine) == [newest]


def test_an_exception_of_a_customer_keeps_the_customers_version_only(engine: Engine) -> None:
    table = "woocommerce__customers"
    used = said(engine, "7", 400 * DAY, table=table)
    newest = said(engine, "7", 300 * DAY, table=table)
    orders = [said(engine, "7", age) for age in (400 * DAY, 300 * DAY)]
    assert used == orders[0]  # each table counts for itself
    do(
        engine,
        POINTERS["an ended exception"].replace("'us:7'", f"'us:{table}:7'"),
        version=used,
    )
    assert run(engine) == {f"raw.{ORDERS}": 1}
    assert versions(engine, table) == [used, newest]
    assert versions(engine) == orders[1:]


# What else would grow for ever


def test_counts_of_calls_ended_alerts_and_dead_workers_go(engine: Engine) -> None:
    for days in (14, 15):
        do(
            engine,
            "insert into ops.calls (system, minute) values ('odoo', :at)",
            at=NOW - days * DAY - timedelta(minutes=1) * (days > 14),
        )
    for key, days in (("old", 31), ("young", 29), ("open", None)):
        do(
            engine,
            "insert into ops.alert (key, scope, title, severity, what, next_step, since_at, "
            "first_at, last_at, ended_at) values (:key, 's', 't', 'warning', 'w', 'n', :first, "
            ":first, :first, :ended)",
            key=key,
            first=NOW - 60 * DAY,
            ended=NOW - days * DAY if days else None,
        )
    do(
        engine,
        "insert into ops.alert_told (key, channel) select key, 'log' from ops.alert",
    )
    for worker, hours in (("dead", 25), ("alive", 1)):
        do(
            engine,
            "insert into ops.worker (worker, started_at, beat_at, run_id) "
            "values (:worker, :at, :at, 'going on')",
            worker=worker,
            at=NOW - timedelta(hours=hours),
        )
    handed = (
        ("ended", "alive", 31),
        ("ended lately", "alive", 29),
        ("its worker died", "gone", None),
        ("going on", "alive", None),
    )
    for run_id, worker, days in handed:
        do(
            engine,
            "insert into ops.handover (run_id, job, snapshot_id, asked_at, taken_at, taken_by, "
            "ended_at) values (:run, 'orders', 's', :at, :at, :worker, :ended)",
            run=run_id,
            worker=worker,
            at=NOW - 60 * DAY,
            ended=NOW - days * DAY if days else None,
        )
    assert run(engine) == {
        "ops.calls": 1,
        "ops.alert": 1,
        "ops.worker": 1,
        "ops.handover": 2,
    }
    assert rows(engine, "select key from ops.alert order by 1") == [("open",), ("young",)]
    assert rows(engine, "select key from ops.alert_told order by 1") == [("open",), ("young",)]
    assert rows(engine, "select worker from ops.worker") == [("alive",)]
    assert rows(engine, "select run_id from ops.handover order by 1") == [
        ("ended lately",),
        ("going on",),
    ]


# How it goes about it


@pytest.mark.parametrize("batch", [1, 3, 7, 100])
def test_batches_of_any_size_take_the_same_rows(engine: Engine, batch: int) -> None:
    for n in range(7):
        deliver(engine, f"old {n}", 90 * DAY)
        deliver(engine, f"waiting {n}", 90 * DAY, state="waiting")
    do(
        engine,
        "insert into ops.calls (system, minute) select 'odoo', cast(:at as timestamptz) "
        "+ n * interval '1 minute' from generate_series(1, 7) n",
        at=NOW - 90 * DAY,
    )
    taken = list(purging.purge(engine, KEPT, NOW, batch))
    assert max(one.rows for one in taken) == min(batch, 7)
    assert {one.table: 0 for one in taken}.keys() >= {"ops.inbox", "ops.calls", f"raw.{ORDERS}"}
    assert sum(one.rows for one in taken if one.table == "ops.inbox") == 7
    assert left_in_inbox(engine) == [f"waiting {n}" for n in range(7)]
    assert rows(engine, "select * from ops.calls") == []


def test_counting_takes_nothing_and_says_what_a_purge_would_take(engine: Engine) -> None:
    deliver(engine, "old", 90 * DAY)
    said(engine, "7", 400 * DAY)
    said(engine, "7", 300 * DAY)
    expected = {"ops.inbox": 1, f"raw.{ORDERS}": 1}
    assert counted(engine) == counted(engine) == expected
    assert run(engine) == expected
    assert counted(engine) == run(engine) == {}


def test_another_number_of_days_holds_for_every_table(engine: Engine) -> None:
    deliver(engine, "7", 10 * DAY)
    write(engine, "us:7", "done", 10 * DAY)
    assert counted(engine, purging.older_than(KEPT, 10)) == {}
    assert counted(engine, purging.older_than(KEPT, 9)) == {"ops.inbox": 1, "ops.outbox": 1}
    assert purging.older_than(KEPT, None) == KEPT


def test_the_size_of_what_went_is_told(engine: Engine) -> None:
    deliver(engine, "7", 90 * DAY, body=Random(1).randbytes(100_000))
    (taken,) = [one for one in purging.purge(engine, KEPT, NOW) if one.rows]
    assert taken.table == "ops.inbox"
    assert 100_000 < taken.bytes < 101_000


def test_a_purge_that_is_broken_off_has_done_whole_batches_and_goes_on_later(
    engine: Engine,
) -> None:
    for n in range(7):
        deliver(engine, f"old {n}", 90 * DAY)
    going: Iterator[Purged] = purging.purge(engine, KEPT, NOW, batch=3)
    assert next(going) == Purged("ops.inbox", 3, pytest.approx(300, abs=200))
    going.close()  # type: ignore[attr-defined]
    assert left_in_inbox(engine) == [f"old {n}" for n in range(3, 7)]
    assert run(engine) == {"ops.inbox": 4}


def test_a_purge_waits_for_nobody_and_takes_what_is_free(engine: Engine) -> None:
    first = deliver(engine, "held", 90 * DAY)
    deliver(engine, "free", 90 * DAY)
    with connected(engine) as other:
        other.execute(text("select id from ops.inbox where id = :id for update"), {"id": first})
        assert run(engine) == {"ops.inbox": 1}
    assert left_in_inbox(engine) == ["held"]
    assert run(engine) == {"ops.inbox": 1}


def test_two_purges_at_once_take_every_row_once(engine: Engine) -> None:
    for n in range(6):
        deliver(engine, f"old {n}", 90 * DAY)
    one, two = (purging.purge(engine, KEPT, NOW, batch=2) for _ in range(2))
    taken = [next(one), next(two), next(one), next(two), *one, *two]
    assert sum(purged.rows for purged in taken) == 6
    assert left_in_inbox(engine) == []


def test_the_audit_and_every_exception_stay(engine: Engine) -> None:
    with connected(engine) as connection:
        audit.record(connection, "ada", "did", "us:7", NOW - 900 * DAY)
        found = [exceptions.Exceptional("order.invalid", "us:7", "m", "engineer")]
        exceptions.open_all(connection, found, now=NOW - 900 * DAY)
        exceptions.reconcile(
            connection, [], subjects=["us:7"], codes=["order.invalid"], now=NOW - 900 * DAY
        )
    assert run(engine) == {}
    with connected(engine) as connection:
        assert audit.broken(connection) == []
    assert len(rows(engine, "select id from ops.audit")) == 1
    assert rows(engine, "select state from ops.exception") == [("closed",)]


def test_numbers_that_were_replaced_long_ago_go_and_current_ones_stay(engine: Engine) -> None:
    insert = (
        "insert into core.availability_versions (channel, sku, atp_units, safety_units, "
        "sellable_units, backorder_units, limited_by, policy_hash, computed_at, replaced_at) "
        "values ('us', 'TEA', :units, 0, :units, 0, 'stock', 'x', :at, :replaced)"
    )
    with connected(engine) as connection:
        for units, age, replaced in ((3, 900, 800), (4, 800, 700), (5, 700, None)):
            values = {
                "units": units,
                "at": NOW - age * DAY,
                "replaced": NOW - replaced * DAY if replaced else None,
            }
            connection.execute(text(insert), values)
        connection.execute(text("truncate ops.stale"))
    assert run(engine) == {"core.availability_versions": 1}
    left = rows(engine, "select sellable_units from core.availability_versions order by 1")
    assert [units for (units,) in left] == [4, 5]
