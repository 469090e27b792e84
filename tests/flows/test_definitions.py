"""The code location: what every asset shows, what jobs select, and what a run does and does not."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import dagster as dg
import pytest

from resources.errors import Refused, Remedy, RemoteError, SignInAgain, TryAgain, UnknownOutcome
from resources.sandbox.faults import Fault, Trouble
from resources.sandbox.odoo import OdooStandIn
from resources.settings import Settings, parse
from resources.store import inbox
from resources.store.engine import connected
from resources.store.postgres import DatabaseUnavailable
from sync_assets import jobs
from sync_assets.definitions import build_defs
from sync_assets.orders import assets
from sync_assets.outcomes import URGENT, counted, told
from sync_assets.settlements import assets as settlements
from tests.runs import Runs, failures, shown
from tests.worlds import World, deployment

RECEIPT = dg.AssetKey(["receipt", "odoo", "sales_orders"])
PLAN = dg.AssetKey(["plan", "odoo", "sales_orders"])
ITEMS = dg.AssetKey(["raw", "odoo", "items"])
#: The orders job in the order of its layers, asset by asset.
LIVE = [
    assets.RAW_ORDERS,
    assets.RAW_CUSTOMERS,
    assets.RAW_NOTES,
    ITEMS,
    assets.core_key("customers"),
    assets.core_key("order_notes"),
    assets.core_key("product_refs"),
    assets.HOLDS,
    PLAN,
    RECEIPT,
]
COMPARISONS = {"shop_and_core_agree", "core_and_odoo_agree"}
#: What steps report; no table of typed rows stands behind them.
REPORTS = {
    *("core/order_holds", "core/sku_problems", "core/listing_mismatches"),
    *("core/stock_shortfalls", "core/stock_drift", "core/refund_verdicts"),
}
#: Subjects in the order in which an order passes them.
SUBJECTS = ("catalog", "orders", "inventory", "shipments", "returns", "settlements")
AFTER_SALE = ("shipments", "returns", "settlements")
#: Read again into a table that has an asset of its own.
WITHOUT_ROWS = {"core/payouts_by_day"}
MONEY = {
    *("core/payment_events", "core/settlement_lines", "core/payouts", "core/bank_lines"),
    *("core/bank_statements", "core/payments", "core/invoices", "core/reconciliations"),
    *("core/matches", "core/open_items", "core/journal_entries", "core/journal_lines"),
}
#: What a person did to a line is told beside its columns.
BESIDE = {"is_split", "split_of"}
MONEY_CHECKS = {
    "payout_is_the_sum_of_its_lines": "core/payouts",
    "matched_and_open_are_all": "core/settlement_lines",
    "net_is_gross_less_fees": "core/settlement_lines",
    "fees_are_as_agreed": "core/settlement_lines",
    "journals_balance": "core/journal_lines",
    "journals_are_made_of_their_sources": "core/journal_lines",
    "trial_of_the_day": "core/invoices",
    "every_chargeback_has_an_order": "core/payments",
    "bank_statements_add_up": "core/bank_statements",
    "nothing_is_open_without_an_owner": "core/open_items",
}
#: A carrier's account is told of the parcels that left, and tells what became of them.
LOOKS_BACK = {"raw/easypost/trackers"}
#: The first step says since when; it is taken in the transaction that makes the row.
BEGUN_BY_A_STEP = {"fulfilment_orders", "returns", "refunds"}
VIEWS = {"stock_levels", "reservations", "availability"}
WITHOUT_COLUMN_LINEAGE = {
    *("core/order_changes", "core/product_refs", "core/products", "core/prices"),
    *("core/product_components", "core/listings", "core/stock_levels", "core/stock_movements"),
    *("core/reservations", "core/availability"),
    # Made of several systems' words, or of what followed from them: no column has one source.
    *("core/shipments", "core/shipment_lines", "core/parcels", "core/tracking_events"),
    *("core/fulfilment_orders", "core/fulfilment_lines", "core/order_line_progress"),
    *("core/returns", "core/return_lines", "core/refunds", "core/refund_lines"),
    *MONEY,
}


def both_kinds() -> Settings:
    """The small world's deployment with a second kind of ERP."""
    data = deployment().model_dump(mode="python")
    for store in data["stores"].values():
        store |= {name: store[name].get_secret_value() for name in ("key", "secret")}
    data["erps"]["odoo"]["api_key"] = "key"
    data["erps"]["tryton"] = {
        "kind": "tryton",
        "url": "https://tryton.test",
        "database": "erp",
        "login": "sync",
        "password": "pw",
    }
    files = {"orders_to": "out", "shipments_from": "in"}
    token = {"token": "token", "poll_seconds": 30}
    data["warehouses"] = {
        "north": {"kind": "http", "url": "https://north.test", **token},
        "bob": {"kind": "shipbob", "url": "https://bob.test", "channel_id": 1, **token},
        "depot": {"kind": "files", "shipping": files},
        "counted": {"kind": "files", "inbox": "stock"},
    }
    data["carriers"] = {"track": {"url": "https://track.test", "key": "key"}}
    data["webhooks"] = {"hook": {"scheme": "stripe", "secrets": ["secret"]}}
    data["providers"] = _providers()
    data["banks"] = {"main": {"inbox": "bank", "currency": "USD", "company": "Acme US Inc"}}
    return parse(data)


def _providers() -> dict[str, Any]:
    """An account of every kind."""
    us = {"stores": ["us"], "payment_methods": ["card"]}
    uk = {"stores": ["uk"], "payment_methods": ["wallet"]}
    seller = {"client_id": "id", "client_secret": "secret", "refresh_token": "token"}
    return {
        "stripe_us": {"kind": "stripe", "key": "key", "webhook": "hook", "bank": "main", **us},
        "amazon_us": {"kind": "amazon", **seller, **us},
        "paypal_uk": {"kind": "paypal", "client_id": "id", "secret": "secret", **uk},
        "adyen_uk": {"kind": "adyen", **uk},
        "cod_uk": {"kind": "files", "inbox": "cod", **uk},
    }


@pytest.fixture(scope="module")
def defs() -> dg.Definitions:
    """Every kind of ERP, warehouse, carrier, provider; nothing is opened."""
    return build_defs(both_kinds())


@pytest.fixture
def runs(world: World) -> Iterator[Runs]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield Runs(world, instance)


def specs(defs: dg.Definitions) -> dict[str, dg.AssetSpec]:
    return {spec.key.to_user_string(): spec for spec in defs.resolve_all_asset_specs()}


# ---------------------------------------------------------------- what is shown


def test_an_empty_deployment_loads_without_environment() -> None:
    found = build_defs(Settings())
    dg.Definitions.validate_loadable(found)
    assert "receipt/odoo/sales_orders" not in specs(found)


def test_definitions_load_without_opening_anything(defs: dg.Definitions) -> None:
    dg.Definitions.validate_loadable(defs)
    assert {"receipt/odoo/sales_orders", "receipt/tryton/sales_orders"} <= set(specs(defs))


def test_the_layers_follow_each_other(defs: dg.Definitions) -> None:
    layers, every = {"raw": 0, "core": 1, "plan": 2, "receipt": 3}, specs(defs)
    for key, spec in every.items():
        for dep in spec.deps:
            if key in LOOKS_BACK or _is_earlier(every[dep.asset_key.to_user_string()], spec):
                continue
            assert layers[dep.asset_key.path[0]] <= layers[key.split("/")[0]], key


def _is_earlier(dep: dg.AssetSpec, spec: dg.AssetSpec) -> bool:
    """Whether what comes after the sale rests on a subject before it, down to its receipts."""
    place = {name: number for number, name in enumerate(SUBJECTS)}
    is_after = spec.group_name in AFTER_SALE
    return is_after and place[str(dep.group_name)] < place[str(spec.group_name)]


def test_every_asset_has_owners_a_group_kinds_and_a_description(defs: dg.Definitions) -> None:
    for key, spec in specs(defs).items():
        assert spec.owners, key
        assert spec.group_name in SUBJECTS, key
        assert "postgres" in spec.kinds, key
        assert spec.description, key
        assert len(spec.description) > 25, key


def test_every_core_asset_shows_its_columns_and_every_lineage_leads_somewhere(
    defs: dg.Definitions,
) -> None:
    every = specs(defs)
    tables = {key for key in every if key.startswith("core/")} - REPORTS - WITHOUT_ROWS
    assert len(tables) == 41
    for key in tables:
        schema = every[key].metadata["dagster/column_schema"]
        names = {column.name for column in schema.columns}
        lineage = every[key].metadata.get("dagster/column_lineage")
        assert lineage is not None or key in WITHOUT_COLUMN_LINEAGE, key
        for column, deps in (lineage.deps_by_column if lineage else {}).items():
            assert column in names, key
            for dep in deps:
                raw = every[dep.asset_key.to_user_string()].metadata["dagster/column_schema"]
                assert dep.column_name in {c.name for c in raw.columns}, (key, column)


def test_the_columns_shown_are_those_of_the_database(defs: dg.Definitions, world: World) -> None:
    rows = world.rows(
        "select table_schema || '.' || table_name as name, column_name, data_type, is_nullable "
        "from information_schema.columns where table_schema = 'core'"
    )
    words = {"numeric": "numeric(20,6)", "timestamp with time zone": "timestamptz"}
    for spec in specs(defs).values():
        schema = spec.metadata.get("dagster/column_schema")
        if schema is None or spec.key.path[0] != "core":
            continue
        found = {
            row["column_name"]: (words.get(row["data_type"], row["data_type"]), row["is_nullable"])
            for row in rows
            if row["name"] == spec.metadata["dagster/table_name"] and row["column_name"] != "run_id"
        }
        told = {
            column.name: (column.type, "YES" if column.constraints.nullable else "NO")
            for column in schema.columns
        }
        found = {name: said for name, said in found.items() if name not in BESIDE}
        if spec.key.path[-1] in BEGUN_BY_A_STEP:
            told["state_at"] = (told["state_at"][0], "YES")
        if spec.key.path[-1] in VIEWS:  # of a view the database says of every column: maybe null
            told = {name: (kind, "YES") for name, (kind, _) in told.items()}
        integers = {name for name, (kind, _) in found.items() if kind == "integer"}
        assert {**found, **dict.fromkeys(integers, ("bigint", "NO"))} == told, spec.key


def test_every_table_named_by_an_asset_exists(defs: dg.Definitions, world: World) -> None:
    for spec in specs(defs).values():
        if name := spec.metadata.get("dagster/table_name"):
            assert world.rows("select to_regclass(:name) is not null as there", name=name) == [
                {"there": True}
            ]


def test_every_core_table_has_a_blocking_schema_check(defs: dg.Definitions) -> None:
    found = {
        spec.asset_key.to_user_string(): spec.blocking
        for check in defs.asset_checks or []
        if isinstance(check, dg.AssetChecksDefinition)
        for spec in check.check_specs
        if spec.name.endswith("_keep_their_schema")
    }
    tables = {key for key in specs(defs) if key.startswith("core/")}
    assert found == dict.fromkeys(tables - REPORTS - WITHOUT_ROWS, True)


def test_every_check_says_what_it_asks(defs: dg.Definitions) -> None:
    for check in defs.asset_checks or []:
        assert isinstance(check, dg.AssetChecksDefinition)
        for spec in check.check_specs:
            assert spec.description, spec.name


# ---------------------------------------------------------------- what jobs select


def selected(defs: dg.Definitions, job: str) -> set[str]:
    layer = defs.resolve_job_def(job).asset_layer
    return {key.to_user_string() for key in layer.selected_asset_keys}


def test_jobs_take_the_assets_they_say(defs: dg.Definitions) -> None:
    every = specs(defs)
    catalog = {key for key, spec in every.items() if spec.group_name == "catalog"}
    stock = {key for key, spec in every.items() if spec.group_name == "inventory"}
    identities = {"raw/odoo/items", "raw/tryton/items", "core/product_refs"}
    shipped, back, settled = (
        {k for k, s in every.items() if s.group_name == g} for g in AFTER_SALE
    )
    everything = set(every) - stock - (catalog - identities) - shipped - back - settled
    by_day, receipts = (
        {"raw/woocommerce/orders_by_day"},
        {
            "receipt/odoo/sales_orders",
            "receipt/tryton/sales_orders",
        },
    )
    plans = {"plan/odoo/sales_orders", "plan/tryton/sales_orders"}
    scan = {"raw/woocommerce/orders_scanned"}
    lists = {
        *("raw/woocommerce/customers", "raw/woocommerce/order_notes", "raw/odoo/items"),
        *("raw/tryton/items", "core/customers", "core/order_notes", "core/product_refs"),
    }
    assert selected(defs, jobs.ORDERS) == everything - by_day - scan
    assert selected(defs, jobs.ORDERS_NOW) == everything - by_day - scan - lists
    assert selected(defs, jobs.MASTER_DATA) == lists | {"core/order_holds"}
    assert selected(defs, jobs.DRY_RUN) == everything - by_day - scan - receipts
    assert selected(defs, jobs.SCAN) == scan
    assert selected(defs, jobs.COMPARE) == set()
    by_group = {f"{layer}/woocommerce/products_by_group" for layer in ("plan", "receipt")}
    assert selected(defs, jobs.CATALOG) == catalog - by_group
    assert selected(defs, jobs.CATALOG_PUSH) == by_group
    shown = {"raw/woocommerce/products", "raw/woocommerce/variations", "core/listings"}
    assert selected(defs, jobs.STOCK) == (stock | shown) - {"core/stock_drift"}
    assert selected(defs, jobs.STOCK_NOW) == selected(defs, jobs.STOCK)
    assert selected(defs, jobs.STOCK_SOLD) == {
        *("core/reservations", "core/availability"),
        *("plan/woocommerce/stock", "receipt/woocommerce/stock"),
    }
    assert selected(defs, jobs.STOCK_COMPARE) == {"core/stock_drift"}
    assert selected(defs, jobs.SHIPMENTS) == selected(defs, jobs.SHIPMENTS_NOW) == shipped
    assert selected(defs, jobs.RETURNS) == selected(defs, jobs.RETURNS_NOW) == back
    assert selected(defs, jobs.SETTLEMENTS) == settled - {"core/payouts_by_day"}
    assert selected(defs, jobs.PAYOUTS) == {"core/payouts_by_day"}
    backfilled = selected(defs, jobs.BACKFILL)
    assert by_day | {"core/orders", "core/order_lines", "core/customers"} <= backfilled
    assert not backfilled & (plans | receipts | {"raw/woocommerce/orders", "core/order_holds"})


def test_every_kind_that_ships_is_read_asked_and_answered(defs: dg.Definitions) -> None:
    every = set(specs(defs))
    kinds = ("files", "http", "odoo", "shipbob", "tryton")
    for name in (f"{layer}/{kind}" for kind in kinds for layer in ("raw", "plan", "receipt")):
        thing = "shipments" if name.startswith("raw") else "fulfilment_orders"
        assert f"{name}/{thing}" in every
    posted = {key for key in every if key.endswith("/deliveries")}
    assert posted == {
        f"{layer}/{erp}/deliveries" for layer in ("plan", "receipt") for erp in ("odoo", "tryton")
    }


def test_whatever_tells_of_money_is_read_and_what_is_booked_is_answered(
    defs: dg.Definitions,
) -> None:
    found = {key for key, spec in specs(defs).items() if spec.group_name == "settlements"}
    kinds = ("stripe", "paypal", "adyen", "amazon", "files", "bank")
    things = ("balance_transactions", "charges", "refunds", "disputes", "payouts")
    assert {key for key in found if key.startswith("raw/")} == {
        *(f"raw/{kind}/report_lines" for kind in kinds),
        *(f"raw/stripe/{thing}" for thing in things),
        *("raw/paypal/transactions", "raw/amazon/transactions"),
        *("raw/stripe/notices", "raw/adyen/notices", "raw/odoo/invoices", "raw/tryton/invoices"),
    }
    assert {key for key in found if key.startswith("core/")} == MONEY | WITHOUT_ROWS
    assert {key for key in found if key.startswith(("plan/", "receipt/"))} == {
        f"{layer}/{erp}/journal_entries"
        for layer in ("plan", "receipt")
        for erp in ("odoo", "tryton")
    }


def test_without_providers_there_is_nothing_of_settlements() -> None:
    without = both_kinds().model_copy(update={"providers": {}})
    found = build_defs(without)
    assert not [key for key, spec in specs(found).items() if spec.group_name == "settlements"]
    assert not {jobs.SETTLEMENTS, jobs.PAYOUTS} & {one.name for one in found.resolve_all_job_defs()}
    assert "settlements_due" not in {one.name for one in found.sensors or []}


def test_a_provider_and_a_day_are_a_partition_of_payouts_and_of_nothing_else(
    defs: dg.Definitions,
) -> None:
    parts = defs.resolve_job_def(jobs.PAYOUTS).partitions_def
    assert isinstance(parts, dg.MultiPartitionsDefinition)
    assert parts.partition_dimension_names == ["day", "provider"]
    providers = parts.get_partitions_def_for_dimension("provider").get_partition_keys()
    assert providers == ["adyen_uk", "amazon_us", "cod_uk", "paypal_uk", "stripe_us"]
    days = parts.get_partitions_def_for_dimension("day")
    assert isinstance(days, dg.DailyPartitionsDefinition)
    assert f"{days.start:%Y-%m-%d}" == "2026-01-01"
    assert defs.resolve_job_def(jobs.SETTLEMENTS).partitions_def is None


def test_checks_of_money_wait_until_the_run_has_judged_and_stop_nothing(
    defs: dg.Definitions,
) -> None:
    judged = settlements.core_key("open_items")
    found = {
        spec.name: spec
        for check in defs.asset_checks or []
        if isinstance(check, dg.AssetChecksDefinition)
        for spec in check.check_specs
        if spec.name in MONEY_CHECKS
    }
    assert {name: spec.asset_key.to_user_string() for name, spec in found.items()} == MONEY_CHECKS
    for name, spec in found.items():
        assert not spec.blocking, name
        waits_for = {dep.asset_key for dep in spec.additional_deps} | {spec.asset_key}
        assert judged in waits_for, name


def test_only_urgent_jobs_are_for_warm_workers(defs: dg.Definitions) -> None:
    found = {job.name for job in defs.resolve_all_job_defs() if URGENT in job.tags}
    assert found == {
        *(jobs.ORDERS_NOW, jobs.STOCK_NOW, jobs.STOCK_SOLD),
        *(jobs.SHIPMENTS_NOW, jobs.RETURNS_NOW),
    }


def test_sensors_start_the_job_they_watch_for(defs: dg.Definitions) -> None:
    started = {one.name: one.job_name for one in defs.sensors or [] if one.targets}
    assert started == {
        "arrivals": jobs.ORDERS_NOW,
        "due_writes": jobs.ORDERS_NOW,
        "deltas": jobs.ORDERS_NOW,
        "master_data_due": jobs.MASTER_DATA,
        "stock_arrivals": jobs.STOCK_NOW,
        "stock_deltas": jobs.STOCK_NOW,
        "stock_sold": jobs.STOCK_SOLD,
        "shipments_due": jobs.SHIPMENTS_NOW,
        "returns_due": jobs.RETURNS_NOW,
        "settlements_due": jobs.SETTLEMENTS,
    }


@pytest.mark.parametrize("is_on", [True, False])
def test_sensors_and_schedules_are_on_when_the_deployment_says_so(is_on: bool) -> None:
    found = build_defs(both_kinds().model_copy(update={"automation": is_on}))
    on = {one.name: one.default_status.value == "RUNNING" for one in found.sensors or []}
    on |= {one.name: one.default_status.value == "RUNNING" for one in found.schedules or []}
    assert len(on) >= 7
    assert set(on.values()) == {is_on}, on


# ---------------------------------------------------------------- what a run does


def test_an_urgent_run_carries_what_a_delivery_names_and_leaves_lists_alone(
    world: World, runs: Runs
) -> None:
    assert runs(jobs.ORDERS).success
    order = world.place()
    with connected(world.systems.engine) as connection:
        body = (world.shown("us", order)).encode()
        delivery = inbox.Delivery(
            "woocommerce", "us", "order.created", str(order), body, "c", world.clock()
        )
        inbox.append(connection, [delivery])
    before = {name: shop.calls.total() for name, shop in world.shops.items()}
    items = world.erp.calls["product.product.search_read"]
    result = runs(jobs.ORDERS_NOW)
    assert result.success
    assert world.outbox() == {f"us:{order}": "done"}
    calls = {name: shop.calls.total() - before[name] for name, shop in world.shops.items()}
    assert calls == {"us": 1, "uk": 0}
    assert world.erp.calls["product.product.search_read"] == items
    assert all(check.passed for check in result.get_asset_check_evaluations())


def test_a_run_is_seen_to_be_at_work_by_its_job(world: World, runs: Runs) -> None:
    assert runs(jobs.ORDERS_NOW).success
    rows = world.rows("select job, asked_at, begun_at from ops.job")
    assert rows == [{"job": jobs.ORDERS_NOW, "asked_at": None, "begun_at": world.clock()}]


def test_an_order_held_is_not_judged_again_by_every_urgent_run(world: World, runs: Runs) -> None:
    assert runs(jobs.ORDERS).success
    order = f"us:{world.place(lines={'NEW': 1})}"
    world.clock.forward(seconds=31)
    assert runs(jobs.ORDERS_NOW).success
    assert world.open_codes(order) == {"order.sku_unknown"}
    world.erp.add_product("NEW", "New", Decimal("5.00"), {"US1": Decimal(10)})
    world.clock.forward(seconds=31)
    again = runs(jobs.ORDERS_NOW)
    (holds,) = again.asset_materializations_for_node("core__order_holds")
    assert shown(holds)["validated"] == 0
    assert runs(jobs.MASTER_DATA).success  # knows the item, and ends the hold
    assert world.open_codes(order) == set()
    assert runs(jobs.ORDERS_NOW).success
    assert world.outbox() == {order: "done"}


def test_a_dry_run_plans_everything_and_sends_nothing(world: World, runs: Runs) -> None:
    ref = f"us:{world.place()}"
    world.clock.forward(seconds=2)
    result = runs(jobs.DRY_RUN)
    assert result.success
    ran = {check.check_name for check in result.get_asset_check_evaluations()}
    assert not ran & COMPARISONS
    assert world.rows("select order_ref, action from plan.sales_orders") == [
        {"order_ref": ref, "action": "create"}
    ]
    assert world.erp.order_count() == 0
    assert world.outbox() == {}


def test_the_orders_job_brings_receipts_and_the_comparison_agrees(world: World, runs: Runs) -> None:
    refs = {f"us:{world.place()}", f"uk:{world.place('uk')}"}
    world.clock.forward(seconds=2)
    result = runs(jobs.ORDERS)
    assert result.success
    checks = {check.check_name: check.passed for check in result.get_asset_check_evaluations()}
    assert all(checks.values())
    assert {"orders_keep_their_schema", "every_store_was_heard", "nothing_is_overdue"} <= set(
        checks
    )
    assert not set(checks) & COMPARISONS
    rows = world.rows("select order_ref, outcome, total_amount, run_id from receipt.sales_orders")
    assert {row["order_ref"] for row in rows} == refs
    assert {(row["outcome"], row["run_id"]) for row in rows} == {("accepted", result.run_id)}
    (receipt,) = result.asset_materializations_for_node("receipt__odoo__sales_orders")
    assert shown(receipt)["accepted"] == 2
    (orders,) = [
        one
        for one in result.asset_materializations_for_node("core_orders")
        if one.asset_key == assets.core_key("orders")
    ]
    assert shown(orders)["orders_mapped"] == 2
    assert orders.metadata["dagster/column_lineage"]

    calls = dict(world.erp.calls)
    compared = runs(jobs.COMPARE)
    found = {check.check_name: check.passed for check in compared.get_asset_check_evaluations()}
    assert found == dict.fromkeys(COMPARISONS, True)
    assert not compared.get_asset_materialization_events()
    written = {name for name, n in world.erp.calls.items() if n != calls.get(name, 0)}
    assert not [name for name in written if name.split(".")[-1] in ("load", "create", "write")]


@pytest.mark.parametrize("key", LIVE, ids=lambda key: key.to_user_string())
def test_running_any_step_again_sends_nothing_twice(world: World, runs: Runs, key: Any) -> None:
    world.place()
    world.place("uk")
    world.run()
    receipts = "select order_ref, remote_id, wanted_hash from receipt.sales_orders order by 1"
    before = world.rows(receipts)
    versions = world.rows("select count(*) as n from raw.woocommerce__orders")
    world.clock.forward(minutes=1)
    assert runs(jobs.ORDERS, key).success
    assert world.erp.order_count() == 2
    assert (
        world.rows("select order_ref, remote_id, wanted_hash from receipt.sales_orders") == before
    )
    assert world.rows("select count(*) as n from raw.woocommerce__orders") == versions
    assert world.rows("select distinct state from ops.outbox") == [{"state": "done"}]


def test_receipts_alone_send_what_was_planned_before(world: World, runs: Runs) -> None:
    ref = f"us:{world.place()}"
    world.clock.forward(seconds=2)
    assert runs(jobs.DRY_RUN).success
    assert runs(jobs.ORDERS, RECEIPT).success
    assert world.outbox() == {ref: "done"}
    (order,) = world.in_erp()[ref]
    assert (order["state"], order["amount_total"]) == ("sale", Decimal("34.11"))


# ---------------------------------------------------------------- what a run says when it fails


@pytest.mark.parametrize(
    ("fault", "sentence", "lasting"),
    [
        (
            SignInAgain("odoo", "no such key"),
            "Check the key, user and password of this system",
            True,
        ),
        (Refused("odoo", "closed"), "Sending it again will not help", True),
        (TryAgain("odoo", "away"), "It passes by itself", False),
        (UnknownOutcome("odoo", "lost"), "The next run looks up what happened", False),
    ],
)
def test_an_error_ends_in_one_sentence_and_says_whether_to_try_again(
    fault: RemoteError, sentence: str, lasting: bool
) -> None:
    with pytest.raises(dg.Failure) as caught, told():
        raise fault
    assert str(caught.value.description).startswith(f"odoo: {fault.message} {sentence}")
    assert "\n" not in str(caught.value.description)
    assert caught.value.allow_retries is not lasting
    assert shown(caught.value) == {"remedy": fault.remedy.value, "system": "odoo"}
    assert {fault.remedy} <= set(Remedy)


def test_a_database_away_ends_in_its_own_sentence() -> None:
    with pytest.raises(dg.Failure, match=r"^Postgres is away") as caught, told():
        raise DatabaseUnavailable("Postgres is away")
    assert caught.value.allow_retries


def test_other_errors_are_faults_of_ours_and_stay_as_they_are() -> None:
    with pytest.raises(KeyError), told():
        raise KeyError("a mistake")


def test_counts_leave_out_what_says_nothing() -> None:
    assert counted(rows=3, new=0, failed={}, told=None, faults={"a": "b"}) == {
        "dagster/row_count": 3,
        "new": 0,
        "faults": {"a": "b"},
    }


def test_a_wrong_erp_key_fails_the_sending_step_and_keeps_the_writes(
    world: World, runs: Runs
) -> None:
    ref = f"us:{world.place()}"
    world.clock.forward(seconds=2)
    assert runs(jobs.DRY_RUN).success
    world.erp.api_key = "another"
    result = runs(jobs.ORDERS, RECEIPT)
    (failure,) = failures(result).values()
    assert str(failure.description).startswith("odoo: ")
    assert str(failure.description).endswith(
        "Check the key, user and password of this system, then run again."
    )
    assert shown(failure) == {"remedy": "sign_in", "system": "odoo"}
    assert world.outbox() == {ref: "waiting"}
    world.erp.api_key = "key"
    world.clock.forward(seconds=45)
    assert runs(jobs.ORDERS, RECEIPT).success
    assert world.outbox() == {ref: "done"}
    assert world.erp.order_count() == 1


def test_a_wrong_key_of_one_erp_does_not_keep_the_other_waiting(world: World) -> None:
    other = _second_erp(world)
    us, uk = f"us:{world.place()}", f"uk:{world.place('uk')}"
    world.clock.forward(seconds=2)
    with dg.DagsterInstance.ephemeral() as instance:
        runs = Runs(world, instance)
        assert runs(jobs.DRY_RUN).success
        world.erp.api_key = "another"
        (failure,) = failures(runs(jobs.ORDERS, RECEIPT)).values()
    assert shown(failure)["system"] == "odoo"
    assert world.outbox() == {us: "waiting", uk: "done"}
    assert set(other.orders_by_ref()) == {uk}


def _second_erp(world: World) -> OdooStandIn:
    """Let the store `uk` send to an ERP of its own, the same kind again."""
    other = OdooStandIn(now=world.clock, companies=[("Acme UK Ltd", "GBP")])
    other.add_warehouse("Acme UK Ltd", "UK1")
    other.add_tax("Acme UK Ltd", "UK VAT 20%", Decimal(20), price_include=True)
    for sku in ("TEA", "MUG", "SHIPPING", "FEE", "ROUNDING"):
        other.add_product(sku, sku.title(), Decimal(1), {"UK1": Decimal(100)})
    settings = world.systems.settings
    erps = {**settings.erps, "zz_uk": settings.erps["odoo"]}
    stores = {**settings.stores, "uk": settings.stores["uk"].model_copy(update={"erp": "zz_uk"})}
    world.systems.settings = settings.model_copy(update={"erps": erps, "stores": stores})
    world.systems.transports = {**world.systems.transports, "zz_uk": other.transport()}
    return other


# ---------------------------------------------------------------- one system of several is away


def test_one_dead_store_does_not_stop_the_other_even_a_quiet_one(world: World, runs: Runs) -> None:
    world.shops["us"].faults.plan(Fault(Trouble.CUT_BEFORE, times=99))
    result = runs(jobs.ORDERS, assets.RAW_ORDERS)  # the other store has nothing new at all
    assert result.success
    (told_of,) = result.asset_materializations_for_node("raw__woocommerce__orders")
    assert list(shown(told_of)["failed"]) == ["us"]
    assert world.open_codes("us/orders") == {"system.unreadable"}
    assert world.open_codes("uk/orders") == set()

    world.shops["us"].faults.clear()
    world.clock.forward(minutes=1)
    assert runs(jobs.ORDERS, assets.RAW_ORDERS).success
    assert world.open_codes("us/orders") == set()
    closed = world.rows("select state, note, owner_role from ops.exception")
    assert closed == [{"state": "closed", "note": "the cause is gone", "owner_role": "engineer"}]


def test_orders_of_the_store_that_answers_reach_the_erp(world: World, runs: Runs) -> None:
    world.place("us")
    ref = f"uk:{world.place('uk')}"
    world.clock.forward(seconds=2)
    world.shops["us"].faults.plan(Fault(Trouble.CUT_BEFORE, times=999))
    assert runs(jobs.ORDERS).success
    assert world.outbox() == {ref: "done"}


def test_when_no_store_answers_the_step_fails_and_nothing_follows(world: World, runs: Runs) -> None:
    for shop in world.shops.values():
        shop.faults.plan(Fault(Trouble.CUT_BEFORE, times=999))
    result = runs(jobs.ORDERS)
    found = failures(result)
    assert set(found) == {"raw__woocommerce__orders", "raw__woocommerce__customers"}
    described = str(found["raw__woocommerce__orders"].description)
    assert described.count("cannot reach") == 2
    assert "\n" not in described
    made = {event.step_key for event in result.get_asset_materialization_events()}
    assert not made & {"core_orders", "order_holds", "plan__odoo__sales_orders"}
    assert world.open_codes("us/orders") == world.open_codes("uk/orders") == {"system.unreadable"}


def test_when_no_store_takes_its_key_the_step_says_to_check_it(world: World, runs: Runs) -> None:
    for shop in world.shops.values():
        shop.secret = "cs_changed"
    found = failures(runs(jobs.ORDERS))
    described = str(found["raw__woocommerce__orders"].description)
    assert described.endswith("Check the key, user and password of this system, then run again.")
    assert described.count("Check the key, user") == 1
    assert world.open_codes("us/orders") == {"system.unreadable"}
