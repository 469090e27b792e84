"""Alarms: what the facts of a small world make people hear, and what the sensors tell."""

import json
from datetime import timedelta
from decimal import Decimal
from typing import Any

import dagster as dg
import httpx
import pytest
from pydantic import SecretStr

from checks import freshness
from checks import service_levels as checks
from resources import settings
from resources.settings import Notify
from resources.store import exceptions, outbox
from resources.store.alerts import Alert
from resources.store.engine import connected
from resources.wiring import Systems
from sensors import alarms
from sync_assets.orders import assets
from tests.worlds import START, World


def found(world: World) -> dict[str, Alert]:
    return {one.key: one for one in alarms.found_in(world.systems)}


def configure(world: World, **changes: Any) -> None:
    """Change the deployment's settings."""
    world.systems.settings = world.systems.settings.model_copy(update=changes)


def with_webhooks(world: World, store: str) -> None:
    stores = world.systems.settings.stores
    changed = stores[store].model_copy(update={"webhook_secrets": (SecretStr("s"),)})
    configure(world, stores={**stores, store: changed})


def deliver(world: World, store: str, topic: str = "order.updated", **more: Any) -> None:
    values = {"state": "settled", "settled_at": world.clock(), "signature": "valid", **more}
    names = ", ".join(values)
    world.execute(
        "insert into ops.inbox (source, store, topic, resource_id, body, received_at, due_at, "
        f"correlation_id, {names}) values ('woocommerce', :store, :topic, '1', '', :now, :now, "
        f"'c', {', '.join(':' + name for name in values)})",
        store=store,
        topic=topic,
        now=world.clock(),
        **values,
    )


# ---------------------------------------------------------------- what is found


def test_a_deployment_in_step_has_nothing_to_tell(world: World) -> None:
    world.place()
    world.run()
    assert found(world) == {}


def test_stores_that_were_never_read_are_told(world: World) -> None:
    told = found(world)
    assert set(told) == {"silent:us", "silent:uk"}
    assert (told["silent:us"].severity, told["silent:us"].what) == (
        "critical",
        "It was never read to its end.",
    )


def test_a_store_that_is_not_read_any_more_is_told_by_name(world: World) -> None:
    world.run()
    world.clock.forward(minutes=90)
    one = found(world)["silent:uk"]
    assert one.title == "uk is silent"
    assert one.what == "It was not read to its end for 91 minutes, not 60."
    assert one.next_step == "sync-assets doctor"


def test_a_store_that_a_person_paused_is_not_called_silent(world: World) -> None:
    world.run()
    _system(world, "paused", system="uk", reason="moving house")
    world.clock.forward(minutes=90)
    assert set(found(world)) == {"silent:us"}


def test_orders_that_wait_too_long_are_told_with_their_keys_and_money(world: World) -> None:
    refs = [f"us:{world.place()}", f"us:{world.place()}"]
    world.clock.forward(seconds=2)
    world.read()
    world.core()
    assert "order_acceptance" not in found(world)
    world.clock.forward(minutes=20)
    one = found(world)["order_acceptance"]
    assert one.severity == "warning"
    assert (one.things, one.things_count, one.at_stake) == (tuple(refs), 2, "68.22 USD")
    assert one.what == (
        "Orders waiting for their ERP: 2 of 2 for longer than promised; the first is "
        f"{refs[0]} with 20 of 15 minutes."
    )
    assert one.since_at == START
    world.clock.forward(minutes=20)
    assert found(world)["order_acceptance"].severity == "critical"


def test_an_order_that_was_read_and_not_mapped_waits_too(world: World) -> None:
    ref = f"us:{world.place()}"
    world.clock.forward(seconds=2)
    world.read()
    world.clock.forward(minutes=20)
    one = found(world)["order_acceptance"]
    assert (one.things, one.at_stake) == ((ref,), "")


def test_an_order_held_with_a_reason_waits_for_a_person_and_not_for_us(world: World) -> None:
    world.place(lines={"NOPE": 1})
    world.run()
    world.clock.forward(minutes=50)
    assert "order_acceptance" not in found(world)
    world.clock.forward(hours=24)
    one = found(world)["overdue:operations"]
    assert one.what.startswith(
        "Exceptions that wait for operations beyond their time: 1; the oldest is open for 24 h."
    )
    assert (one.things_count, one.at_stake) == (1, "5.36 USD")


def test_orders_that_are_not_sent_wait_for_nobody(world: World) -> None:
    world.place(status="on-hold")
    world.place(status="cancelled")
    stores = world.systems.settings.stores
    later = stores["uk"].model_copy(update={"send_orders_from": START + timedelta(days=1)})
    configure(world, stores={**stores, "uk": later})
    world.place("uk")
    world.clock.forward(seconds=2)
    world.read()
    world.core()
    world.clock.forward(minutes=50)
    assert found(world) == {}


def test_a_refused_order_is_parked_and_told_as_that(world: World) -> None:
    world.erp.refuse("no credit for Ada Byron")
    ref = f"us:{world.place()}"
    world.run()
    world.clock.forward(minutes=50)
    told = found(world)
    assert set(told) == {"parked:odoo"}
    one = told["parked:odoo"]
    assert (one.what, one.things) == (
        "Writes given to a person: 1; later writes of the same things wait.",
        (ref,),
    )
    assert "Byron" not in str(told)


def test_a_backlog_is_told_by_system(world: World) -> None:
    world.run()
    configure(world, service_levels=settings.ServiceLevels(backlog=1))
    writes = [outbox.Intended("order.create", f"us:{n}", None, "h", 1, 2, "c") for n in (1, 2)]
    with connected(world.systems.engine) as connection:
        outbox.intend(connection, "odoo", writes[:1], world.clock())
    assert "backlog:odoo" not in found(world)
    with connected(world.systems.engine) as connection:
        outbox.intend(connection, "odoo", writes, world.clock())
    one = found(world)["backlog:odoo"]
    assert (one.title, one.severity) == ("Writes pile up for odoo", "critical")
    assert one.what == "Writes waiting: 2, more than 1."
    _system(world, "paused", reason="stock count")
    one = found(world)["backlog:odoo"]
    assert (one.what, one.severity) == ("Writes waiting: 2, more than 1; it is paused.", "warning")


def _system(world: World, state: str, **more: Any) -> None:
    values = {"system": "odoo", "state": state, "changed_by": "ann", **more}
    values.setdefault("changed_at", world.clock())
    world.execute(
        f"insert into ops.system ({', '.join(values)}) "
        f"values ({', '.join(':' + name for name in values)})",
        **values,
    )


def test_an_open_breaker_is_told_and_is_grave_when_orders_are_late_of_it(world: World) -> None:
    world.run()
    _system(
        world,
        "circuit_open",
        failures=5,
        opened_at=world.clock(),
        probe_at=world.clock() + timedelta(seconds=30),
    )
    one = found(world)["breaker:odoo"]
    assert (one.severity, one.title) == ("warning", "odoo does not answer")
    assert one.what == (
        "5 calls in a row failed, so it is left alone; the next probe goes at 09:01:32 UTC."
    )
    world.clock.forward(minutes=16)
    assert found(world)["breaker:odoo"].severity == "critical"


def test_a_pause_is_told_when_it_may_have_been_forgotten(world: World) -> None:
    world.run()
    _system(world, "paused", reason="stock count", until=world.clock() + timedelta(days=3))
    assert "pause_long:odoo" not in found(world)
    world.clock.forward(hours=25)
    one = found(world)["pause_long:odoo"]
    assert one.title == "odoo is paused for 25 h"
    assert one.next_step == "sync-assets resume odoo"


def test_a_pause_whose_end_nobody_noticed_is_told(world: World) -> None:
    world.run()
    _system(world, "paused", reason="stock count", until=world.clock() + timedelta(minutes=10))
    world.clock.forward(minutes=20)
    assert not {"pause_ended:odoo", "pause_long:odoo"} & set(found(world))
    world.clock.forward(minutes=10)
    assert "pause_ended:odoo" in found(world)


def test_an_absent_worker_is_told_where_one_ever_was(world: World) -> None:
    world.run()
    assert "worker" not in found(world)
    world.execute(
        "insert into ops.worker (worker, started_at, beat_at) values ('w', :now, :now)",
        now=world.clock(),
    )
    assert "worker" not in found(world)
    world.clock.forward(seconds=16)
    assert found(world)["worker"].title == "No warm worker is alive"
    world.clock.forward(days=2)
    assert "worker" not in found(world)


def test_deliveries_set_aside_are_told_for_a_day(world: World) -> None:
    world.run()
    deliver(world, "us", state="quarantined")
    one = found(world)["quarantined:us"]
    assert one.what == (
        "Deliveries of the last 24 hours that could not be read: 1; each is kept with its reason."
    )
    world.clock.forward(hours=25)
    assert "quarantined:us" not in found(world)


# ---------------------------------------------------------------- webhooks that are lost


def test_a_shop_whose_webhooks_stopped_while_orders_change_is_told(world: World) -> None:
    with_webhooks(world, "us")
    world.run()
    deliver(world, "us")
    world.clock.forward(minutes=70)
    world.place()
    world.run()
    one = found(world)["silent:us webhooks"]
    assert one.severity == "warning"
    assert one.what == (
        "Nothing came for 71 minutes, which may be 60; it loses webhooks; changes that came by "
        "delta alone: 1."
    )


def test_a_quiet_shop_and_a_shop_that_delivers_lose_nothing(world: World) -> None:
    with_webhooks(world, "us")
    deliver(world, "us")
    world.clock.forward(minutes=70)
    world.run()
    assert found(world) == {}  # nothing changed, so nothing had to be delivered
    deliver(world, "us")
    world.place()
    world.run()
    assert found(world) == {}


def test_a_sender_that_delivered_at_this_hour_yesterday_is_silent_now(world: World) -> None:
    stripe = settings.Endpoint(scheme="stripe", secrets=(SecretStr("s"),))
    configure(world, webhooks={"stripe": stripe})
    world.run()
    assert found(world) == {}
    deliver(world, "stripe", "charge.succeeded")
    world.clock.forward(days=1, minutes=20)
    world.run()
    one = found(world)["silent:stripe webhooks"]
    assert one.what.endswith("it delivered at this hour yesterday.")
    deliver(world, "stripe", "charge.succeeded")
    assert found(world) == {}


# ---------------------------------------------------------------- the sensors


def tick(world: World, name: str, instance: dg.DagsterInstance, *jobs: str) -> str:
    """Evaluate one of the sensors and answer what it says."""
    sensors = {
        one.name: one for one in alarms.build(world.systems.settings, jobs or ["orders"], [])
    }
    context = dg.build_sensor_context(instance=instance, resources={"systems": world.systems})
    answer = sensors[name](context)
    assert isinstance(answer, dg.SkipReason)
    return str(answer.skip_message)


def slack(world: World) -> list[str]:
    """Let Slack listen; answers what it hears."""
    heard: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        heard.append(json.loads(request.content)["text"])
        return httpx.Response(200)

    configure(world, notify=Notify(slack_url=SecretStr("https://hooks.test/s3cr3t")))
    world.systems.transports = {
        **world.systems.transports,
        "slack": httpx.MockTransport(answer),
    }
    return heard


def test_the_alarm_sensor_tells_once_and_says_what_it_did(world: World) -> None:
    heard = slack(world)
    with dg.DagsterInstance.ephemeral() as instance:
        first = tick(world, "alarms", instance)
        second = tick(world, "alarms", instance)
        world.run()
        third = tick(world, "alarms", instance)
        world.clock.forward(minutes=5)
        fourth = tick(world, "alarms", instance)
    assert first == "2 troubles; log was told of 2; slack was told of 2"
    assert second == "2 troubles; nobody had to be told"
    assert third == "0 troubles; nobody had to be told"
    assert fourth == "0 troubles; log was told of 2; slack was told of 2"
    assert heard[0].startswith("*2 critical*\nuk is silent\nIt was never read to its end.\n")
    assert heard[1].startswith("*2 over*\nOver: uk is silent\n")
    assert len(heard) == 2


def test_the_failure_sensor_leaves_the_other_watch_alone(world: World) -> None:
    heard = slack(world)
    with dg.DagsterInstance.ephemeral() as instance:
        tick(world, "alarms", instance)
        world.clock.forward(hours=1)
        assert tick(world, "failures", instance) == "0 troubles; nobody had to be told"
    assert len(heard) == 1
    assert world.rows("select count(*) as n from ops.alert where ended_at is null") == [{"n": 2}]


@pytest.mark.parametrize("automation", [True, False])
def test_sensors_run_where_automation_is_on(world: World, automation: bool) -> None:
    configure(world, automation=automation)
    built = alarms.build(world.systems.settings, ["orders"], [])
    status = dg.DefaultSensorStatus.RUNNING if automation else dg.DefaultSensorStatus.STOPPED
    assert {one.name: one.default_status for one in built} == {
        "alarms": status,
        "failures": status,
    }


# ---------------------------------------------------------------- checks


def checked(world: World) -> dict[str, dg.AssetCheckEvaluation]:
    """Run the service level checks as Dagster does."""
    names = {asset for _, asset in checks.CHECKS.values()}
    job = dg.define_asset_job("levels", dg.AssetSelection.all_asset_checks())
    defs = dg.Definitions(
        [dg.AssetSpec(name) for name in names],
        asset_checks=[checks.build()],
        jobs=[job],
        resources={"systems": _opened(world.systems)},
    )
    with dg.DagsterInstance.ephemeral() as instance:
        done = defs.resolve_job_def("levels").execute_in_process(
            instance=instance,
            run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
        )
    return {one.check_name: one for one in done.get_asset_check_evaluations()}


def _opened(systems: Systems) -> dg.ResourceDefinition:
    return dg.ResourceDefinition(lambda _: systems)


def test_every_level_is_a_check_that_warns(world: World) -> None:
    world.run()
    told = checked(world)
    assert set(told) == {name for name, _ in checks.CHECKS.values()}
    assert all(one.passed for one in told.values())
    ref = f"us:{world.place()}"
    world.clock.forward(seconds=2)
    world.read()
    world.core()
    world.clock.forward(minutes=16)
    late = checked(world)["orders_are_accepted_in_time"]
    assert (late.passed, late.severity) == (False, dg.AssetCheckSeverity.WARN)
    shown = {name: value.value for name, value in late.metadata.items()}
    assert shown == {
        "state": "breached",
        "measured": 1,
        "breached": 1,
        "breached_keys": ref,
        "at_stake": "34.11 USD",
        "unit": "minutes",
        "threshold": 15,
        "value": 16.0,
    }


@pytest.mark.parametrize(
    ("minutes", "warn", "fail"), [(15, 450, 900), (0.5, 60, 120), (2, 60, 120), (1.5, 60, 120)]
)
def test_what_an_order_passes_has_a_freshness_policy(
    world: World, minutes: float, warn: int, fail: int
) -> None:
    configure(world, service_levels=settings.ServiceLevels(order_acceptance_minutes=minutes))
    given = world.systems.settings
    policies = {
        spec.key.to_user_string(): spec.freshness_policy
        for one in freshness.stated(assets.build(given), given)
        for spec in one.specs
        if spec.freshness_policy is not None
    }
    assert set(policies) == {
        "raw/woocommerce/orders",
        "core/orders",
        "receipt/odoo/sales_orders",
    }
    assert set(policies.values()) == {
        dg.FreshnessPolicy.time_window(timedelta(seconds=fail), timedelta(seconds=warn))
    }


def test_a_role_with_less_time_is_overdue_before_its_due_time(world: World) -> None:
    configure(
        world,
        service_levels=settings.ServiceLevels(exception_hours_by_role={"operations": 1}),
    )
    world.run()
    problem = exceptions.Exceptional(
        "x.y", "us:7", "m", "operations", amount=Decimal(5), currency="USD"
    )
    with connected(world.systems.engine) as connection:
        exceptions.open_all(connection, [problem], now=world.clock())
    world.clock.forward(minutes=50)
    assert "overdue:operations" not in found(world)
    world.clock.forward(minutes=11)
    one = found(world)["overdue:operations"]
    assert (one.things, one.at_stake) == (("us:7",), "5.00 USD")
