"""When runs of shipments and returns start: rules on what is pending, and who is asked when."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from resources import settings
from resources.settings import Settings
from resources.store import inbox, stale
from resources.store.engine import connected
from sensors import after_sale, pending
from sensors.pending import Interval, Pending
from sync_assets import jobs
from tests.worlds import World, deployment

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
QUIET = Pending(NOW)


def config(**more: Any) -> Settings:
    said = settings.Settings.model_validate(
        {
            "warehouses": {
                "north": {
                    "kind": "http",
                    "url": "https://north.test",
                    "token": "t",
                    "poll_seconds": 20,
                },
                "bob": {
                    "kind": "shipbob",
                    "url": "https://bob.test",
                    "token": "t",
                    "channel_id": 1,
                },
                "depot": {
                    "kind": "files",
                    "shipping": {"orders_to": "out", "shipments_from": "in"},
                    "poll_seconds": 90,
                },
                "counted": {"kind": "files", "inbox": "stock"},
            },
            "carriers": {"track": {"url": "https://track.test", "key": "k", "poll_seconds": 300}},
            **more,
        }
    )
    return deployment().model_copy(
        update={"warehouses": said.warehouses, "carriers": said.carriers}
    )


def shipments(seen: Pending) -> list[str]:
    rule = after_sale.rule(
        after_sale.SHIPMENT_QUEUES, after_sale.SHIPMENT_WRITES, after_sale.SHIPMENT_HINTS, []
    )
    return rule(seen)


def returns(seen: Pending) -> list[str]:
    rule = after_sale.rule(
        after_sale.RETURN_QUEUES, after_sale.RETURN_WRITES, after_sale.RETURN_HINTS, []
    )
    return rule(seen)


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        (QUIET, []),
        (replace(QUIET, elsewhere={"shipment": "3 of north"}), ["shipment: 3 of north"]),
        (
            replace(QUIET, elsewhere={"tracker": "1 of track", "tracking": "2 of relay"}),
            ["tracker: 1 of track", "tracking: 2 of relay"],
        ),
        (replace(QUIET, elsewhere={"return": "1 of north", "stripe": "4 of pay"}), []),
        (
            replace(QUIET, stale={"fulfilment": 2, "fulfilment_plan": 1, "after_sale": 9}),
            ["2 orders of fulfilment wait", "1 orders of fulfilment_plan wait"],
        ),
        (
            replace(QUIET, writes={"fulfilment": {"north": 2, "bob": 1}, "refund": {"us": 5}}),
            ["1 writes about a fulfilment to bob", "2 writes about a fulfilment to north"],
        ),
        (
            replace(QUIET, writes={"notice": {"us": 1}, "delivery": {"odoo": 3}}),
            ["3 writes about a delivery to odoo", "1 writes about a notice to us"],
        ),
        (replace(QUIET, hints={"us": 3}, unmapped=2, due_writes={"odoo": 1}), []),
        (
            replace(QUIET, elsewhere={"shipment": "3 of north"}, is_running=True),
            [],
        ),
    ],
)
def test_a_run_of_shipments_starts_for_what_concerns_them_unless_one_is_at_work(
    seen: Pending, expected: list[str]
) -> None:
    assert shipments(seen) == expected


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        (QUIET, []),
        (
            replace(QUIET, elsewhere={"return": "1 of north", "stripe": "4 of pay"}),
            ["return: 1 of north", "stripe: 4 of pay"],
        ),
        (replace(QUIET, elsewhere={"shipment": "3 of north"}), []),
        (
            replace(QUIET, stale={"after_sale": 9, "fulfilment": 2}),
            ["9 orders of after_sale wait"],
        ),
        (
            replace(QUIET, writes={"refund": {"us": 5}, "restock": {"odoo": 1}}),
            ["1 writes about a restock to odoo", "5 writes about a refund to us"],
        ),
        (replace(QUIET, stale={"after_sale": 9}, is_running=True), []),
    ],
)
def test_a_run_of_returns_starts_for_what_concerns_them(seen: Pending, expected: list[str]) -> None:
    assert returns(seen) == expected


def test_everybody_who_ships_or_tracks_is_asked_as_often_as_the_configuration_says() -> None:
    assert after_sale.shipment_polls(config()) == [
        Interval("odoo", "shipments", timedelta(seconds=60)),
        Interval("north", "shipments", timedelta(seconds=20)),
        Interval("bob", "shipments", timedelta(seconds=60)),
        Interval("depot", "files", timedelta(seconds=90)),
        Interval("track", "trackers", timedelta(seconds=300)),
    ]
    assert after_sale.return_polls(config()) == [
        Interval("odoo", "returns", timedelta(seconds=60)),
        Interval("north", "returns", timedelta(seconds=20)),
        Interval("bob", "returns", timedelta(seconds=60)),
    ]


def test_a_list_that_is_late_starts_a_run_and_names_it() -> None:
    polls = after_sale.shipment_polls(config())
    asked = {(one.source, one.stream): NOW for one in polls}
    rule = after_sale.rule((), (), (), polls)
    assert rule(replace(QUIET, asked_at=asked)) == []
    asked["north", "shipments"] = NOW - timedelta(seconds=20)
    assert rule(replace(QUIET, asked_at=asked)) == [
        "north was not asked for shipments since 2026-03-02 08:59:40 UTC"
    ]
    assert rule(replace(QUIET, asked_at=asked, resting=frozenset({"north"}))) == []


def test_a_deployment_without_stores_has_no_such_sensors() -> None:
    assert after_sale.build(Settings(), "a", "b", is_on=True) == []
    found = after_sale.build(config(), "a", "b", is_on=False)
    assert [(one.name, one.job_name) for one in found] == [
        ("shipments_due", "a"),
        ("returns_due", "b"),
    ]


# ---------------------------------------------------------------- the facts behind the rules


def look(world: World, *facts: pending.Fact) -> Pending:
    return pending.look(world.systems, jobs.SHIPMENTS_NOW, facts or after_sale.FACTS)


def test_deliveries_of_others_count_by_kind_and_providers_by_their_name(world: World) -> None:
    def deliver(source: str, store: str, topic: str, minutes: int = 0) -> None:
        now = world.clock()
        due = now + timedelta(minutes=minutes)
        one = inbox.Delivery(source, store, topic, "1", b"{}", "c", now, due)
        with connected(world.systems.engine) as connection:
            inbox.append(connection, [one])

    deliver("hmac", "north", "shipment.created")
    deliver("hmac", "north", "shipment.updated")
    deliver("hmac", "south", "shipment.created")
    deliver("hmac", "north", "return.created", minutes=5)
    deliver("stripe", "pay", "charge.refunded")
    deliver("woocommerce", "us", "order.updated")
    assert look(world).elsewhere == {"shipment": "2 of north, 1 of south", "stripe": "1 of pay"}
    world.clock.forward(minutes=5)
    assert look(world).elsewhere["return"] == "1 of north"


def test_marked_orders_count_by_queue(world: World) -> None:
    with connected(world.systems.engine) as connection:
        stale.mark(connection, "fulfilment", ["us:1", "us:2"], world.clock())
    assert look(world).stale == {"fulfilment": 2}


def test_only_what_is_asked_for_is_read(world: World) -> None:
    with connected(world.systems.engine) as connection:
        stale.mark(connection, "fulfilment", ["us:1"], world.clock())
    assert look(world, pending.Fact.POLLS).stale == {}
    assert look(world, pending.Fact.STALE).stale == {"fulfilment": 1}
