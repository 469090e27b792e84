"""Webhooks are set up, watched and mended in the shop; what was wrong is told and ends itself."""

import json
from dataclasses import replace
from typing import Any

import dagster as dg
import httpx
import pytest
from typer.testing import CliRunner

from resources.sandbox.faults import Fault, Trouble
from resources.sandbox.woocommerce import WooCommerceStandIn
from resources.sandbox.woocommerce_webhooks import Hook, signature
from resources.settings import Settings
from sensors import deliveries
from sensors.deliveries import Health, look, mend
from sensors.webhook_health import TOPICS, Deed
from sync_assets.ops import webhooks_commands
from sync_assets.ops.cli import app
from tests.worlds import World

URL = "https://hooks.example/webhooks/woocommerce/us"
OLD, NEW = "the first secret", "the second secret"


def configured(
    settings: Settings, *secrets: str, public_url: str = "https://hooks.example/"
) -> Any:
    """The same deployment with webhooks wanted of its first store."""
    data = settings.model_dump(exclude_unset=True)
    for name, store in data["stores"].items():
        store["key"], store["secret"] = "ck_test", "cs_test"
        store["webhook_secrets"] = secrets if name == "us" else ()
    for erp in data["erps"].values():
        erp["api_key"] = "key"
    data["receiver"] = {"public_url": public_url}
    return Settings.model_validate(data)


@pytest.fixture
def shop(world: World) -> WooCommerceStandIn:
    world.systems = replace(world.systems, settings=configured(world.systems.settings, OLD))
    return world.shops["us"]


def deeds(health: Health) -> dict[str, Deed]:
    return {one.decision.topic: one.decision.deed for one in health.findings}


def hooks(shop: WooCommerceStandIn) -> dict[str, Hook]:
    found = {hook.topic: hook for hook in shop.webhooks.hooks.values()}
    assert len(found) == len(shop.webhooks.hooks)
    return found


def open_ones(world: World) -> list[dict[str, Any]]:
    return world.rows("select * from ops.exception where state = 'open' order by part")


def row(world: World, topic: str) -> dict[str, Any]:
    (found,) = world.rows("select * from ops.webhook where topic = :topic", topic=topic)
    return found


def fail_until_disabled(world: World, shop: WooCommerceStandIn, topic: str) -> None:
    for _ in range(7):
        world.place()
    shop.deliver(lambda request: httpx.Response(500 if topic in _topic(request) else 200))
    assert hooks(shop)[topic].status == "disabled"


def _topic(request: httpx.Request) -> str:
    return str(request.headers.get("X-WC-Webhook-Topic", ""))


def test_a_shop_without_webhooks_gets_one_for_each_topic(
    world: World, shop: WooCommerceStandIn
) -> None:
    assert deeds(mend(world.systems, "us")) == dict.fromkeys(TOPICS, Deed.CREATE)

    made = hooks(shop)
    assert list(made) == list(TOPICS)
    assert {hook.delivery_url for hook in made.values()} == {URL}
    assert {hook.secret for hook in made.values()} == {OLD}
    assert made["order.created"].name == "sync-assets order.created"
    assert open_ones(world) == []
    assert deeds(mend(world.systems, "us")) == dict.fromkeys(TOPICS, Deed.LEAVE)
    assert shop.calls["POST webhooks"] == 6


def test_no_secret_is_kept_and_deliveries_are_signed_with_it(
    world: World, shop: WooCommerceStandIn
) -> None:
    mend(world.systems, "us")
    posted: list[httpx.Request] = []

    def post(request: httpx.Request) -> httpx.Response:
        posted.append(request)
        return httpx.Response(200)

    world.place()
    shop.deliver(post)
    news = [one for one in posted if "X-WC-Webhook-Topic" in one.headers]

    assert [_topic(one) for one in news] == ["order.updated", "order.created"]
    assert news[0].headers["X-WC-Webhook-Signature"] == signature(OLD, news[0].content)
    kept = json.dumps(world.rows("select * from ops.webhook"), default=str)
    assert OLD not in kept


def test_looking_changes_nothing(world: World, shop: WooCommerceStandIn) -> None:
    assert deeds(look(world.systems, "us")) == dict.fromkeys(TOPICS, Deed.CREATE)
    assert shop.webhooks.hooks == {}
    assert world.rows("select * from ops.webhook") == []


def test_a_store_without_secrets_or_address_is_left_alone(
    world: World, shop: WooCommerceStandIn
) -> None:
    assert mend(world.systems, "uk").skipped == deliveries.NOT_CONFIGURED
    assert world.shops["uk"].calls.total() == 0


def test_a_disabled_webhook_is_switched_on_and_told_until_it_stays_so(
    world: World, shop: WooCommerceStandIn
) -> None:
    mend(world.systems, "us")
    mend(world.systems, "us")
    fail_until_disabled(world, shop, "order.created")
    died = world.clock()
    world.clock.forward(minutes=5)
    found = mend(world.systems, "us")

    assert deeds(found)["order.created"] == Deed.REACTIVATE
    assert hooks(shop)["order.created"].status == "active"
    (told,) = open_ones(world)
    assert (told["code"], told["owner_role"], told["part"], told["subject_ref"]) == (
        "webhook.unhealthy",
        "engineer",
        "order.created",
        "us/webhooks",
    )
    assert told["message"] == (
        "order.created: the shop disabled it after failed deliveries; what happened since "
        f"{died:%Y-%m-%d %H:%M:%S} UTC came with deltas only. It was switched on."
    )
    assert row(world, "order.created")["mended_count"] == 1

    world.clock.forward(minutes=5)
    mend(world.systems, "us")
    assert open_ones(world) == []


def test_one_disabled_again_within_a_day_is_replaced_so_that_its_count_starts_at_none(
    world: World, shop: WooCommerceStandIn
) -> None:
    mend(world.systems, "us")
    fail_until_disabled(world, shop, "order.created")
    mend(world.systems, "us")
    first = hooks(shop)["order.created"].id
    world.place()
    shop.deliver(lambda request: httpx.Response(500 if "created" in _topic(request) else 200))
    assert hooks(shop)["order.created"].status == "disabled"
    world.clock.forward(hours=3)

    assert deeds(mend(world.systems, "us"))["order.created"] == Deed.RECREATE
    second = hooks(shop)["order.created"]
    assert second.id != first
    assert (second.status, second.failures, second.secret) == ("active", 0, OLD)
    assert row(world, "order.created")["webhook_id"] == str(second.id)
    assert [one["code"] for one in open_ones(world)] == ["webhook.unhealthy"]


def test_one_that_dies_again_and_again_is_told_louder(
    world: World, shop: WooCommerceStandIn
) -> None:
    mend(world.systems, "us")
    for _ in range(3):
        fail_until_disabled(world, shop, "order.created")
        world.clock.forward(minutes=30)
        mend(world.systems, "us")

    (told,) = open_ones(world)
    assert told["code"] == "webhook.failing"
    assert (told["due_at"] - told["opened_at"]).total_seconds() == 900
    assert "That was mend 3 in a row" in told["message"]

    world.clock.forward(days=2)
    mend(world.systems, "us")
    assert open_ones(world) == []
    fail_until_disabled(world, shop, "order.created")
    mend(world.systems, "us")
    assert row(world, "order.created")["mended_count"] == 1


def test_a_webhook_somebody_deleted_is_set_up_again_and_told_since_it_was_last_seen(
    world: World, shop: WooCommerceStandIn
) -> None:
    mend(world.systems, "us")
    world.clock.forward(minutes=5)
    mend(world.systems, "us")
    seen_at = world.clock()
    shop.webhooks.remove(hooks(shop)["order.updated"])
    world.clock.forward(minutes=5)

    assert deeds(mend(world.systems, "us"))["order.updated"] == Deed.CREATE
    assert hooks(shop)["order.updated"].status == "active"
    (told,) = open_ones(world)
    assert told["message"] == (
        "order.updated: it is gone from the shop; what happened since "
        f"{seen_at:%Y-%m-%d %H:%M:%S} UTC came with deltas only. It was set up."
    )


def test_a_new_secret_is_given_to_the_shop_once(world: World, shop: WooCommerceStandIn) -> None:
    mend(world.systems, "us")
    world.systems = replace(world.systems, settings=configured(world.systems.settings, NEW, OLD))

    assert deeds(mend(world.systems, "us")) == dict.fromkeys(TOPICS, Deed.REKEY)
    assert {hook.secret for hook in hooks(shop).values()} == {NEW}
    assert deeds(mend(world.systems, "us")) == dict.fromkeys(TOPICS, Deed.LEAVE)
    assert open_ones(world) == []


def test_one_made_by_hand_with_our_address_is_taken_over_with_our_secret(
    world: World, shop: WooCommerceStandIn
) -> None:
    shop.webhooks.add("order.created", URL, "typed by hand", "Orders", "active")
    found = mend(world.systems, "us")

    assert deeds(found)["order.created"] == Deed.REKEY
    hook = hooks(shop)["order.created"]
    assert (hook.id, hook.name, hook.secret) == (1, "Orders", OLD)


def test_a_changed_public_address_moves_the_webhooks_and_a_changed_webhook_is_told(
    world: World, shop: WooCommerceStandIn
) -> None:
    mend(world.systems, "us")
    moved = configured(world.systems.settings, OLD, public_url="https://new.example")
    world.systems = replace(world.systems, settings=moved)
    mend(world.systems, "us")
    address = "https://new.example/webhooks/woocommerce/us"
    assert {hook.delivery_url for hook in hooks(shop).values()} == {address}
    assert open_ones(world) == []

    shop.webhooks.change(hooks(shop)["order.deleted"], delivery_url="https://else.example/")
    mend(world.systems, "us")
    assert hooks(shop)["order.deleted"].delivery_url == address
    assert [one["part"] for one in open_ones(world)] == ["order.deleted"]


def test_webhooks_of_others_are_not_touched(world: World, shop: WooCommerceStandIn) -> None:
    theirs = shop.webhooks.add("order.created", "https://else.example/", "x", "theirs", "disabled")
    mend(world.systems, "us")
    assert (theirs.status, theirs.secret, theirs.delivery_url) == (
        "disabled",
        "x",
        "https://else.example/",
    )
    assert len(shop.webhooks.hooks) == 7
    assert open_ones(world) == []


def test_a_second_one_of_ours_is_removed(world: World, shop: WooCommerceStandIn) -> None:
    mend(world.systems, "us")
    shop.webhooks.add("order.created", URL, OLD, "sync-assets order.created", "active")
    mend(world.systems, "us")
    assert hooks(shop)["order.created"].id == 1


def test_a_pause_made_in_the_shop_is_told_and_ended_on_a_persons_word(
    world: World, shop: WooCommerceStandIn
) -> None:
    mend(world.systems, "us")
    shop.webhooks.change(hooks(shop)["order.created"], status="paused")
    mend(world.systems, "us")
    assert hooks(shop)["order.created"].status == "paused"
    assert [one["part"] for one in open_ones(world)] == ["order.created"]
    assert row(world, "order.created")["status"] == "paused"

    mend(world.systems, "us", resume=True, by="kim")
    assert hooks(shop)["order.created"].status == "active"
    (entry,) = world.rows("select actor, action, detail from ops.audit")
    assert (entry["actor"], entry["action"]) == ("kim", "webhook.reactivate")
    assert entry["detail"]["topic"] == "order.created"


def test_a_key_that_may_only_read_leaves_exceptions_that_say_so_and_asks_once(
    world: World, shop: WooCommerceStandIn
) -> None:
    shop.read_only = True
    found = mend(world.systems, "us")

    assert shop.webhooks.hooks == {}
    assert shop.calls["POST webhooks"] == 1
    assert [one["part"] for one in open_ones(world)] == sorted(TOPICS)
    assert all("give the key write right" in one["message"] for one in open_ones(world))
    assert not found.is_good
    assert row(world, "order.created")["status"] == "missing"

    shop.read_only = False
    mend(world.systems, "us")
    mend(world.systems, "us")
    assert open_ones(world) == []


def test_a_shop_that_does_not_answer_loses_neither_rows_nor_exceptions(
    world: World, shop: WooCommerceStandIn
) -> None:
    mend(world.systems, "us")
    shop.webhooks.change(hooks(shop)["order.created"], status="paused")
    mend(world.systems, "us")
    before = world.rows("select * from ops.webhook order by topic"), open_ones(world)
    shop.faults.plan(Fault(Trouble.CUT_BEFORE, "GET webhooks", times=9))
    found = mend(world.systems, "us")

    assert found.skipped.startswith("us: cannot reach")
    assert (world.rows("select * from ops.webhook order by topic"), open_ones(world)) == before


def test_a_creation_whose_answer_was_lost_is_found_by_the_next_look(
    world: World, shop: WooCommerceStandIn
) -> None:
    shop.faults.plan(Fault(Trouble.CUT_AFTER, "POST webhooks"))
    mend(world.systems, "us")
    assert [one["part"] for one in open_ones(world)] == ["order.created"]
    mend(world.systems, "us")
    mend(world.systems, "us")

    assert len(hooks(shop)) == 6
    assert open_ones(world) == []


def test_a_replacement_that_breaks_off_leaves_two_and_the_next_look_one(
    world: World, shop: WooCommerceStandIn
) -> None:
    mend(world.systems, "us")
    fail_until_disabled(world, shop, "order.created")
    mend(world.systems, "us")
    shop.webhooks.change(hooks(shop)["order.created"], status="disabled")
    shop.faults.plan(Fault(Trouble.CUT_BEFORE, "DELETE webhooks", times=9))
    mend(world.systems, "us")
    assert sorted(hook.status for hook in shop.webhooks.hooks.values()) == [
        *["active"] * 6,
        "disabled",
    ]
    shop.faults.clear()
    mend(world.systems, "us")
    assert {hook.status for hook in hooks(shop).values()} == {"active"}


# The sensor and the command


def test_the_sensor_looks_after_every_store_and_starts_no_run(
    world: World, shop: WooCommerceStandIn
) -> None:
    sensor = deliveries.build(is_on=False)
    context = dg.build_sensor_context(resources={"systems": world.systems})
    found = sensor.evaluate_tick(context)

    assert found.run_requests == []
    assert len(hooks(shop)) == 6
    assert found.skip_message is not None
    assert "us: create order.created" in found.skip_message
    assert f"uk: {deliveries.NOT_CONFIGURED}" in found.skip_message


@pytest.fixture
def command(world: World, shop: WooCommerceStandIn, monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    """The command line on the small world."""

    monkeypatch.setattr(webhooks_commands, "databases", lambda demo: None)
    monkeypatch.setattr(webhooks_commands, "engine_for", lambda place: world.systems.engine)
    monkeypatch.setattr(webhooks_commands, "Systems", lambda config, engine: world.systems)
    monkeypatch.setattr(webhooks_commands.settings, "load", lambda: world.systems.settings)
    return CliRunner()


def test_the_command_says_what_is_wrong_and_mends_on_request(
    command: CliRunner, shop: WooCommerceStandIn
) -> None:
    first = command.invoke(app, ["webhooks", "--json"])
    assert first.exit_code == 1
    assert [one["deed"] for one in json.loads(first.stdout)["webhooks"]] == ["create"] * 6
    assert shop.webhooks.hooks == {}

    mended = command.invoke(app, ["webhooks", "--mend", "--by", "kim"])
    assert mended.exit_code == 0
    assert "It was set up." in mended.stdout
    assert len(hooks(shop)) == 6

    last = command.invoke(app, ["webhooks", "--store", "us", "--json"])
    assert last.exit_code == 0
    found = json.loads(last.stdout)["webhooks"]
    assert [(one["status"], one["deed"]) for one in found] == [("active", "leave")] * 6


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--resume"], "--resume changes something: give --mend too."),
        (["--store", "moon"], "Unknown store 'moon'. Configured: uk, us."),
        (["--store", "uk"], "No webhooks are wanted: give the store `webhook_secrets`"),
    ],
)
def test_the_command_says_what_to_do_when_it_cannot(
    command: CliRunner, words: list[str], sentence: str
) -> None:
    found = command.invoke(app, ["webhooks", *words])
    assert found.exit_code == 2
    assert sentence in found.stderr
