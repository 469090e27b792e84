"""`status`, `metrics` and `alerts`: what a person and a program see of how everything stands."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from rich.console import Console
from sqlalchemy import Engine
from typer.testing import CliRunner

from resources.metrics import exposition
from resources.settings import Settings
from resources.store import outbox, postgres
from resources.store.engine import connected
from resources.wiring import utc_now
from sync_assets.ops import status_commands
from sync_assets.ops.cli import app
from sync_assets.ops.overview import overview, promise
from sync_assets.ops.report import plain
from sync_assets.ops.screen import screen
from sync_assets.service_levels import standing
from sync_assets.settlements import steps
from tests.settling import (
    PROVIDERS,
    Money,
    settled_world,
)
from tests.settling_files import START as MONEY_START
from tests.settling_files import (
    stripe_charge,
    stripe_file,
    stripe_payout,
    stripe_row,
)
from tests.worlds import START, World

NEXT_DAY = MONEY_START + timedelta(days=1)


def seen(world: World, **more: Any) -> dict[str, Any]:
    with connected(world.systems.engine) as connection:
        return overview(connection, world.systems.settings, world.clock(), **more)


def shown(world: World) -> str:
    """What a person sees, without colours."""
    page = Console(width=200, file=StringIO(), highlight=False)
    page.print(screen(seen(world)))
    return page.file.getvalue()  # type: ignore[attr-defined]


def system_of(world: World, name: str) -> dict[str, Any]:
    (found,) = [one for one in seen(world)["systems"] if one["system"] == name]
    return found


def put(world: World, table: str, **values: Any) -> None:
    world.execute(
        f"insert into {table} ({', '.join(values)}) "
        f"values ({', '.join(':' + name for name in values)})",
        **values,
    )


# ---------------------------------------------------------------- what is seen


def test_a_deployment_in_step_says_so_first(world: World) -> None:
    world.place()
    world.run()
    lines = shown(world).splitlines()
    assert lines[0] == "✓ Nothing is wrong."
    assert "Service levels" in shown(world)


def test_an_untouched_deployment_says_how_to_begin(world: World) -> None:
    assert shown(world).startswith("Nothing was read yet. `sync-assets run` reads your stores;")


def test_what_is_wrong_comes_first_with_what_to_do_the_gravest_on_top(world: World) -> None:
    world.erp.refuse("no credit")
    world.place()
    world.run()
    world.clock.forward(hours=3)
    lines = shown(world).splitlines()
    assert lines[0].startswith("✗ us is silent  It was not read to its end for 181 minutes")
    assert lines[1] == "    → sync-assets doctor"
    assert lines[4].startswith("✗ Writes for odoo are parked  Writes given to a person: 1;")
    assert lines[5] == "    → sync-assets exceptions list"


def test_each_system_shows_lag_queue_errors_and_oldest_item(world: World) -> None:
    world.run()
    writes = [outbox.Intended("order.create", f"us:{n}", None, "h", 1, 2, "c") for n in (1, 2)]
    with connected(world.systems.engine) as connection:
        outbox.intend(connection, "odoo", writes, world.clock())
    world.execute("delete from ops.calls")
    for minutes, calls, errors in ((1, 90, 9), (5, 10, 1), (20, 500, 500)):
        put(
            world,
            "ops.calls",
            system="odoo",
            minute=world.clock() - timedelta(minutes=minutes),
            calls=calls,
            errors=errors,
            throttled=2,
        )
    world.clock.forward(minutes=3)
    odoo, us = system_of(world, "odoo"), system_of(world, "us")
    assert (odoo["waiting"], odoo["parked"], odoo["unknown"]) == (2, 0, 0)
    assert odoo["oldest_at"] == world.clock() - timedelta(minutes=3)
    assert (odoo["calls"], odoo["errors"], odoo["throttled"], odoo["error_rate"]) == (
        100,
        10,
        4,
        0.1,
    )
    assert (us["lag_seconds"], us["state"], us["error_rate"]) == (240, "running", None)
    assert re.search(r"│ odoo +│ running .*│ +2 │ 0 .*│ 3 min +│ +100 │ 10\.0 % ", shown(world))
    (queue,) = seen(world)["queues"]
    assert (queue["system"], queue["lane"], queue["state"], queue["writes"]) == (
        "odoo",
        "order",
        "waiting",
        2,
    )


def test_a_paused_system_shows_who_why_and_until_when_and_comes_first(world: World) -> None:
    world.run()
    put(
        world,
        "ops.system",
        system="uk",
        state="paused",
        reason="moving house",
        until=START + timedelta(hours=5),
        changed_at=START,
        changed_by="ann",
    )
    assert seen(world)["systems"][0]["system"] == "uk"
    assert "moving house (ann) until 2026-03-02 14:00 UTC" in shown(world)
    world.clock.forward(hours=6)
    assert system_of(world, "uk")["state"] == "running"


def test_an_open_breaker_shows_its_failures_and_its_next_probe(world: World) -> None:
    world.run()
    put(
        world,
        "ops.system",
        system="odoo",
        state="circuit_open",
        changed_at=START,
        changed_by="pipeline",
        failures=5,
        opened_at=START,
        probe_at=START + timedelta(minutes=2),
    )
    assert system_of(world, "odoo")["state"] == "circuit_open"
    assert "circuit open" in shown(world)
    assert "5 failures in a row; next probe 09:02:00 UTC" in shown(world)


def test_exceptions_stand_by_owner_with_their_money_and_what_is_overdue(world: World) -> None:
    world.place(lines={"NOPE": 2})
    world.place("uk", lines={"NOPE": 1})
    world.run()
    world.clock.forward(hours=25)
    (owner,) = seen(world)["owners"]
    assert (owner["owner_role"], owner["open"], owner["overdue"]) == ("operations", 2, 2)
    assert plain(owner["amounts"]) == {"GBP": "6.00", "USD": "10.73"}
    assert re.search(r"│ operations +│ +2 │ 2 +│ 25 h +│ 6.00 GBP, 10.73 USD", shown(world))


def test_workers_and_what_waits_for_them_are_told(world: World) -> None:
    world.run()
    assert "0 warm workers." in shown(world)
    put(world, "ops.worker", worker="w", started_at=START, beat_at=world.clock())
    assert "1 warm worker." in shown(world)
    world.clock.forward(seconds=16)
    found = seen(world)
    assert (found["workers_alive"], found["workers"][0]["alive"]) == (0, False)


def test_failed_runs_are_among_what_is_wrong(world: World) -> None:
    world.run()
    put(
        world,
        "ops.alert",
        key="run:orders:x",
        scope="runs",
        title="Job orders failed",
        severity="critical",
        what="Step x failed.",
        next_step="UI: Runs",
        since_at=START,
        first_at=START,
        last_at=START,
    )
    assert [one["title"] for one in seen(world)["troubles"]] == ["Job orders failed"]
    assert shown(world).startswith("✗ Job orders failed  Step x failed.\n    → UI: Runs\n")


def test_no_address_and_no_name_is_seen(world: World) -> None:
    world.erp.refuse("no credit for Ada Byron")
    world.place()
    world.place(lines={"NOPE": 1})
    world.run()
    world.clock.forward(hours=30)
    everything = shown(world) + json.dumps(plain(seen(world)), default=str)
    for word in ("ada@example.com", "Byron", "1 Test Street", "cs_test", "ck_test"):
        assert word not in everything


def sold(engine: Engine, folder: Path) -> Money:
    """A sale and its refund that were paid out, and a line nobody knows; the bank was not read."""
    one = settled_world(engine, folder)
    one.order(1, "100.00", payment="pi_1")
    one.refund("us:r1", "us:1", "30.00", provider_ref="re_1")
    refund = {"source_id": "re_1", "charge_id": "ch_1", "payment_intent_id": "pi_1"}
    one.drop(
        "stripe_us",
        "po_10001.csv",
        stripe_file(
            stripe_charge(1, "100.00", "3.20", payout="po_10001"),
            stripe_row("txn_r1", "refund", "-30.00", payout="po_10001", at=NEXT_DAY, **refund),
            stripe_row("txn_9", "charge", "7.00", "0.50", source_id="ch_9", charge_id="ch_9"),
            stripe_payout("po_10001", "66.80", at=NEXT_DAY),
        ),
    )
    one.settle(days=2)
    return one


def test_money_is_told_by_provider(engine: Engine, tmp_path: Path) -> None:
    one = sold(engine, tmp_path)
    one.world.clock.forward(minutes=5)
    rows = {row["provider"]: row for row in seen(one.world)["money"]["providers"]}
    assert list(rows) == [*PROVIDERS, "main_usd", "main_eu"]
    assert rows["stripe_us"] == {
        "provider": "stripe_us",
        "read_at": one.world.clock() - timedelta(minutes=5),
        "lines_matched": 2,
        "lines_open": 1,
        "items_open": 1,
        "oldest_at": MONEY_START,
        "amounts": {"USD": Decimal(7)},
        "payouts_not_in_bank": 1,
        "not_in_bank": {"USD": Decimal("66.80")},
    }
    assert (rows["adyen_eu"]["lines_open"], rows["adyen_eu"]["payouts_not_in_bank"]) == (0, 0)
    assert rows["paypal_uk"]["payouts_not_in_bank"] is None
    assert re.search(
        r"│ stripe_us +│ 5 min ago +│ +2 │ +1 │ 2 days +│ 7.00 USD +│ 1: 66.80 USD ",
        shown(one.world),
    )
    assert "Journal entries waiting" not in shown(one.world)


def test_entries_that_no_erp_has_wait_for_it(engine: Engine, tmp_path: Path) -> None:
    one = settled_world(engine, tmp_path)
    one.order(1, "100.00", payment="pi_1")
    steps.map_all(one.systems, "run")
    steps.match(one.systems, "run")
    one.post()
    one.world.clock.forward(hours=3)
    assert seen(one.world)["money"]["entries_waiting"] == [
        {"erp": "odoo", "entries": 1, "oldest_at": MONEY_START}
    ]
    assert re.search(r"│ odoo │ +1 │ 3 h +│", shown(one.world))
    one.send()
    assert seen(one.world)["money"]["entries_waiting"] == []


def test_a_deployment_without_providers_tells_no_money(world: World) -> None:
    world.run()
    assert seen(world)["money"] == {"providers": [], "entries_waiting": []}
    assert "Money" not in shown(world)


def test_watching_leaves_out_what_looks_at_every_order(world: World) -> None:
    world.place()
    world.run()
    assert seen(world)["orders"] != []
    found = seen(world, whole=False)
    assert (found["orders"], found["outbox"]) == ([], [])
    assert found["levels"] == seen(world)["levels"]


def test_watching_leaves_out_what_looks_at_every_line(engine: Engine, tmp_path: Path) -> None:
    money = seen(sold(engine, tmp_path).world, whole=False)["money"]
    (row,) = [row for row in money["providers"] if row["provider"] == "stripe_us"]
    assert (row["lines_matched"], row["lines_open"], row["payouts_not_in_bank"]) == (None, 1, 1)
    assert money["entries_waiting"] == []


# ---------------------------------------------------------------- metrics


def metrics(world: World) -> dict[tuple[str, ...], float]:
    """Values by name and label values, the labels in the order of their names."""
    with connected(world.systems.engine) as connection:
        now = standing(connection, world.systems.settings, world.clock())
    text = exposition(now.found, [promise(one) for one in now.levels]).decode()
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_metrics_tell_lag_queues_acceptance_exceptions_and_levels(world: World) -> None:
    world.place()
    world.place(lines={"NOPE": 2})
    world.run()
    writes = [outbox.Intended("order.create", "us:9", None, "h", 1, 2, "c")]
    with connected(world.systems.engine) as connection:
        outbox.intend(connection, "odoo", writes, world.clock())
    world.clock.forward(minutes=1)
    found = metrics(world)
    expected = {
        ("sync_read_lag_seconds", "orders", "us"): 120,
        ("sync_writes", "order", "waiting", "odoo"): 1,
        ("sync_writes_retried", "order", "waiting", "odoo"): 0,
        ("sync_oldest_write_seconds", "order", "waiting", "odoo"): 60,
        ("sync_orders_accepted_last_hour",): 1,
        ("sync_order_acceptance_seconds", "0.5"): 2,
        ("sync_exceptions_open", "order.sku_unknown", "operations"): 1,
        ("sync_exceptions_overdue", "order.sku_unknown", "operations"): 0,
        ("sync_exceptions_amount", "USD", "operations"): 10.73,
        ("sync_unmapped_versions",): 0,
        ("sync_service_level_value", "backlog", "writes"): 1,
        ("sync_service_level_threshold", "backlog", "writes"): 1000,
        ("sync_service_level_state", "backlog", "ok"): 1,
        ("sync_service_level_state", "backlog", "breached"): 0,
        ("sync_workers_alive",): 0,
    }
    assert {key: found.get(key) for key in expected} == expected


def test_metrics_tell_deliveries_duplicates_and_replays(world: World) -> None:
    for thing, replay_of in (("1", None), ("1", None), ("2", None), ("2", 3)):
        put(
            world,
            "ops.inbox",
            source="woocommerce",
            store="us",
            topic="order.updated",
            resource_id=thing,
            body=b"",
            signature="valid",
            received_at=world.clock(),
            due_at=world.clock(),
            correlation_id="c",
            replay_of=replay_of,
        )
    world.clock.forward(seconds=30)
    found = metrics(world)
    assert {key[0]: value for key, value in found.items() if key[-1] == "us"} == {
        "sync_inbox_waiting": 4,
        "sync_oldest_delivery_seconds": 30,
        "sync_delivered_deliveries": 3,
        "sync_delivered_things": 2,
        "sync_delivered_replays": 1,
        "sync_duplicate_deliveries": 1,
        "sync_since_delivery_seconds": 30,
    }


def test_metrics_tell_what_money_is_open_and_how_fast_refunds_settle(
    engine: Engine, tmp_path: Path
) -> None:
    found = metrics(sold(engine, tmp_path).world)
    money = {
        key[0].removeprefix("sync_"): (key[1:], value)
        for key, value in found.items()
        if key[0].startswith(("sync_settlement_un", "sync_refund"))
    }
    assert money == {
        "settlement_unmatched_lines": (("stripe_us",), 1),
        "settlement_unmatched_seconds": (("stripe_us",), 2 * 86_400),
        "refunds_settled_last_day": (("stripe_us",), 1),
        "refund_settlement_seconds": (("stripe_us", "0.95"), 86_400),
    }
    unknown = "settlement.order_unknown"
    assert found["sync_settlement_open_items", unknown, "stripe_us"] == 1
    assert found["sync_settlement_open_amount", "USD", unknown, "stripe_us"] == 7
    assert not [key for key in found if "us:1" in key]


def test_metrics_name_no_thing_and_an_empty_database_has_some(world: World) -> None:
    assert ("sync_workers_alive",) in metrics(world)
    ref = f"us:{world.place(lines={'NOPE': 1})}"
    world.run()
    assert ref not in str(metrics(world))


# ---------------------------------------------------------------- the command line


@dataclass
class Desk:
    """A command line on the world's database."""

    world: World
    home: Path

    def said(self, *words: str, code: int = 0) -> str:
        result = CliRunner().invoke(app, list(words))
        assert result.exit_code == code, (result.output, result.exception)
        return result.stdout


@pytest.fixture
def desk(
    world: World,
    database: postgres.Databases,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> Iterator[Desk]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SYNC_DATABASE_URL", database.text(database.store))
    monkeypatch.setenv("SYNC_HOME", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.delenv("SYNC_CONFIG", raising=False)
    world.clock.at = utc_now()
    yield Desk(world, tmp_path)
    postgres.drop_database(database, str(database.dagster.database))


def test_status_is_one_object_for_programs(desk: Desk) -> None:
    desk.world.place()
    desk.world.run()
    out = desk.said("status", "--json")
    assert out.count("\n") == 1
    found = json.loads(out)
    assert [one["level"] for one in found["levels"]] == [
        "order_acceptance",
        "stock_freshness",
        "release_acknowledgement",
        "shipment_confirmation",
        "source_silence",
        "backlog",
        "exception_age",
    ]
    assert {"at", "streams", "orders", "unmapped", "outbox", "exceptions", "checks"} <= set(found)
    assert {"troubles", "systems", "queues", "inbox", "owners", "workers"} <= set(found)
    assert found["configuration"] is None


def test_who_looks_because_something_is_wrong_is_not_turned_away_by_the_configuration(
    desk: Desk,
) -> None:
    desk.world.place()
    desk.world.run()
    (desk.home / "sync.toml").write_text("[stores.us\n")
    out = desk.said("status")
    assert out.startswith("✗ sync.toml is not TOML: ")
    assert "service levels are judged by the defaults" in out
    assert "Systems" in out
    assert json.loads(desk.said("status", "--json"))["configuration"].startswith("sync.toml is")


def test_metrics_are_printed_as_a_collector_reads_them(desk: Desk) -> None:
    out = desk.said("metrics")
    families = {one.name for one in text_string_to_metric_families(out)}
    assert {"sync_workers_alive", "sync_service_level_state"} <= families


def test_watching_and_one_object_do_not_go_together(desk: Desk) -> None:
    assert desk.said("status", "--watch", "--json", code=2) == ""


def test_watching_shows_it_again_until_it_is_stopped(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    desk.world.place()
    desk.world.run()
    pauses: list[float] = []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 3:
            raise KeyboardInterrupt

    engine = desk.world.systems.engine
    status_commands.keep_showing(engine, Settings(), None, pause)
    assert pauses == [2.0, 2.0, 2.0]


# ---------------------------------------------------------------- alerts


def test_without_alerts_the_list_says_who_looks_for_them(desk: Desk) -> None:
    assert desk.said("alerts") == (
        "No alert is open. The sensors `alarms` and `failures` look for them.\n"
    )
    assert json.loads(desk.said("alerts", "--json"))["open"] == 0


def test_open_alerts_are_listed_with_what_to_do_and_who_knows(desk: Desk) -> None:
    world = desk.world
    put(
        world,
        "ops.alert",
        key="k",
        scope="standing",
        title="Writes [pile] up",
        severity="warning",
        what="Writes waiting: 9.",
        next_step="sync-assets status",
        since_at=world.clock() - timedelta(minutes=61),
        first_at=world.clock(),
        last_at=world.clock(),
        things=["us:1", "us:2"],
        things_count=9,
        at_stake="5.00 USD",
    )
    put(
        world,
        "ops.alert_told",
        key="k",
        channel="log",
        told_at=world.clock(),
        told_severity="warning",
    )
    put(world, "ops.alert_told", key="k", channel="slack")
    assert desk.said("alerts", "list").splitlines() == [
        "✗ Writes [pile] up  Writes waiting: 9.",
        "    2 of 9: us:1, us:2",
        "    for 61 min; told to log; not to slack; at stake: 5.00 USD",
        "    → sync-assets status",
    ]
    (found,) = json.loads(desk.said("alerts", "list", "--json"))["alerts"]
    assert (found["key"], found["told_to"], found["not_told_to"]) == ("k", "log", "slack")


def test_options_before_the_word_are_refused_with_the_right_order(desk: Desk) -> None:
    result = CliRunner().invoke(app, ["alerts", "--json", "list"])
    assert (result.exit_code, result.stdout) == (2, "")
    assert "Put the options last: sync-assets alerts list --json." in result.stderr


def test_a_test_message_says_which_channel_took_it(desk: Desk) -> None:
    out = desk.said("alerts", "test")
    assert out == (
        "✓ log: took it\n"
        "  Only the log is told. Set notify.email or notify.slack_url in sync.toml.\n"
    )
    (desk.home / "sync.toml").write_text(
        '[notify]\nslack_url = "http://127.0.0.1:9/services/s3cr3t"\n'
    )
    told = desk.said("alerts", "test", code=1)
    assert told == "✓ log: took it\n✗ slack: cannot reach POST 127.0.0.1:9 (ConnectError)\n"
    found = json.loads(desk.said("alerts", "test", "--json", code=1))
    assert [(one["channel"], one["ok"]) for one in found["channels"]] == [
        ("log", True),
        ("slack", False),
    ]
