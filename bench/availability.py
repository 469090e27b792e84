"""Stock in → what every channel may sell → the difference to publish, against the same sums bare.

    python bench/availability.py [--skus 100000] [--rounds 3] [--json]

100,000 SKUs in 10 locations, 5 % kits on top, 3 channels with safety stock, share and cap, one
store each. All three start from the same file of stock readings, find what shops show, open
reservations and kits in Postgres, where they are, and end with the rows that differ committed in a
table there; the rows are compared, and must be the same. In every round a tenth of the SKUs has
another stock than the shops show.

Ours: keeps every level and every number as versions, with what decided it, marks what depends on
it, and plans each store, with the guards. (i) bare pandas and (ii) one SQL statement know nothing
of that: no history and no explanation (nobody could say afterwards why a number was what it was),
no late readings, no receipts, no demand, no division of the last pieces, no backorders, no kits in
kits, no rules by SKU, no twins, no guard, no hold for orders not read yet, no second reading of
what did not change. The policy's few numbers are written into them. No order is open here: all
three look for reservations and find none.

`full` reads, compares and works out everything; `one_percent` is what a run does when 1 % of the
SKUs moved; `first` fills empty tables. Seconds are medians over the rounds, the memory is that of
our process while it runs ours; the database's own is not in it.
"""

import argparse
import contextlib
import json
import resource
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow
import pyarrow.csv
from sqlalchemy import Connection, Engine, text

from resources import settings
from resources.sandbox import deployment
from resources.store import postgres
from resources.store.engine import connected, engine_for, migrate
from resources.store.frames import BLOCK, driver, fetch_frame, read_rows, send_frame
from resources.wiring import Systems
from sync_assets.inventory import computing, levels, planning, reserving

LOCATIONS = [f"loc{number}" for number in range(10)]
CHANNELS = {"de": LOCATIONS[5:], "uk": LOCATIONS[3:9], "us": LOCATIONS[:6]}
SAFETY, SHARE_PERCENT, CAP = 2, 80, 400
UNITS = ("on_hand_units", "allocated_units", "quarantined_units", "incoming_units")
ROWS = ", ".join(("sku", "location", *UNITS))


def main() -> None:
    """Measure and tell."""
    wanted = _arguments()
    folder = Path(tempfile.mkdtemp(prefix="sync-pg-"))
    try:
        result = _measured(Bench(folder, wanted.skus), wanted.rounds)
    finally:
        postgres.stop_embedded(folder / "pg")
        shutil.rmtree(folder, ignore_errors=True)
    sys.stdout.write(json.dumps(result, indent=None if wanted.json else 2) + "\n")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--skus", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true", help="one line of JSON")
    return parser.parse_args()


@dataclass
class Bench:
    """The world of the measurement: files of readings, a database, and what shops show."""

    folder: Path
    skus: int
    parts: dict[str, list[float]] = field(default_factory=dict)
    now: datetime = datetime(2026, 3, 2, 9, tzinfo=UTC)

    def __post_init__(self) -> None:
        self.random = np.random.default_rng(20260302)
        self.names = np.array([f"SKU-{number:06d}" for number in range(self.skus)])
        shape = (self.skus, len(LOCATIONS))
        self.on_hand = self.random.integers(0, 40, shape)
        self.allocated = self.random.integers(0, 4, shape)
        self.quarantined = self.random.integers(0, 2, shape)
        found = postgres.embedded(self.folder / "pg")
        postgres.create_missing(found)
        self.engine = engine_for(found)
        migrate(self.engine)
        self.systems = Systems(_settings(self.folder), self.engine, now=lambda: self.now)
        with connected(self.engine) as connection:
            self._fill(connection)

    def _fill(self, connection: Connection) -> None:
        """Kits, and one listing per store and SKU; orders are read up to now."""
        kits = np.arange(self.skus // 20)
        inside = self.random.integers(0, self.skus, (len(kits), 2))
        inside[:, 1] = (inside[:, 0] + 1 + inside[:, 1] % (self.skus - 1)) % self.skus
        self.kits = pd.DataFrame(
            {
                "system": "odoo",
                "item_id": np.repeat(1_000_000 + kits, 2),
                "sku": np.repeat([f"KIT-{number:05d}" for number in kits], 2),
                "component_id": inside.ravel(),
                "component_sku": self.names[inside.ravel()],
                "component_units": np.tile([1, 2], len(kits)),
            }
        )
        send_frame(connection, "core.product_components", self.kits)
        everything = [*self.names, *self.kits["sku"].unique()]
        for store in CHANNELS:
            send_frame(connection, "core.listings", _listings(store, everything, self.now))
            connection.execute(
                text(
                    "insert into ops.watermark (source, stream, complete_until, updated_at) "
                    "values (:store, 'orders', :now + interval '1 day', :now)"
                ),
                {"store": store, "now": self.now},
            )
        connection.exec_driver_sql(
            "create table bare_plan (system text, product_id bigint, sku text, "
            "wanted_units bigint, seen_units bigint)"
        )
        connection.exec_driver_sql("analyze core.listings; analyze core.product_components")

    def change(self, share: float) -> np.ndarray[Any, Any]:
        """Let another stock be counted for a share of the SKUs; answers which."""
        chosen = self.random.choice(self.skus, int(self.skus * share), replace=False)
        places = self.random.integers(0, len(LOCATIONS), len(chosen))
        self.on_hand[chosen, places] += self.random.integers(5, 30, len(chosen))
        self.now += timedelta(minutes=1)
        return chosen

    def file(self, chosen: np.ndarray[Any, Any] | None = None) -> Path:
        """Write the readings as a mapper gives them, of all SKUs or of those chosen."""
        which = np.arange(self.skus) if chosen is None else chosen
        count, path = len(which) * len(LOCATIONS), self.folder / "readings.csv"
        rows = pyarrow.table(
            {
                "sku": np.repeat(self.names[which], len(LOCATIONS)),
                "location": np.tile(LOCATIONS, len(which)),
                "on_hand_units": self.on_hand[which].ravel(),
                "allocated_units": self.allocated[which].ravel(),
                "quarantined_units": self.quarantined[which].ravel(),
                "incoming_units": np.zeros(count, dtype=np.int64),
            }
        )
        # In no order, as they come: batches of items, warehouse by warehouse.
        rows = rows.take(pyarrow.array(self.random.permutation(count)))
        pyarrow.csv.write_csv(rows, path)
        return path

    def timed(self, name: str, step: Callable[[], Any]) -> float:
        """Do a step; remember and answer its seconds."""
        began = time.perf_counter()
        step()
        seconds = time.perf_counter() - began
        self.parts.setdefault(name, []).append(seconds)
        return seconds


def _settings(folder: Path) -> settings.Settings:
    """Three stores, each a channel with its own locations, and one ERP."""
    policy = {
        "locations": {name: {"source": "odoo", "code": name} for name in LOCATIONS},
        "channels": {
            name: {
                "locations": places,
                "safety": {"units": SAFETY},
                "share": SHARE_PERCENT / 100,
                "cap_units": CAP,
            }
            for name, places in CHANNELS.items()
        },
        "divide_below_units": 0,
        "guards": {"mass_drop_share": 1, "mass_drop_least": 1_000_000},
    }
    (folder / "policy.yaml").write_text(json.dumps(policy))
    stores = {
        name: deployment.store(
            f"http://{name}.test",
            company="Acme",
            warehouse=places[0],
            currency="EUR",
            taxes={},
        )
        for name, places in CHANNELS.items()
    }
    return settings.parse(
        {
            "stores": stores,
            "erps": {"odoo": deployment.odoo("http://odoo.test")},
            "policies": {"availability": str(folder / "policy.yaml")},
        }
    )


def _listings(store: str, skus: list[str], now: datetime) -> pyarrow.Table:
    count = len(skus)
    same: dict[str, Any] = {
        **dict.fromkeys(("description", "tax_class", "weight", "barcode"), ""),
        **dict.fromkeys(("categories", "attributes", "images"), "[]"),
        "store": store,
        "kind": "simple",
        "status": "publish",
        "tax_status": "taxable",
        "stock_management": "yes",
        "stock_units": 0,
        "stock_status": "instock",
        "backorders": "no",
        "is_virtual": False,
        "raw_version": 1,
        "changed_at": pyarrow.scalar(now, pyarrow.timestamp("us", "UTC")),
    }
    columns: dict[str, Any] = {n: pyarrow.repeat(value, count) for n, value in same.items()}
    return pyarrow.table({"product_id": np.arange(count), "sku": skus, "name": skus, **columns})


# Ours


def ours(bench: Bench, path: Path, kind: str, *, whole: bool) -> float:
    """Levels in, numbers, plan: the pipeline's own steps; answers the seconds of all."""
    systems, run = bench.systems, "bench"

    def take_in() -> None:
        rows = _with_source(pyarrow.csv.read_csv(path), bench.now)
        with connected(bench.engine) as connection:
            levels.take_in(connection, rows, bench.now, run, is_whole=whole)
            if whole:
                connection.execute(text(_READ), {"now": bench.now, "places": LOCATIONS})
                levels.count_readings(connection, "odoo__stock_levels", ["odoo"], bench.now)

    return sum(
        (
            bench.timed(f"{kind}.levels", take_in),
            bench.timed(f"{kind}.reservations", lambda: reserving.reserve(systems, run)),
            bench.timed(
                f"{kind}.availability", lambda: computing.compute(systems, run, whole=whole)
            ),
            bench.timed(
                f"{kind}.plan",
                lambda: planning.plan_stores(systems, list(CHANNELS), run, only_stale=not whole),
            ),
        )
    )


_READ = """
insert into core.stock_readings (source, location, seen_at)
select 'odoo', unnest(cast(:places as text[])), :now
on conflict (source, location) do update set seen_at = excluded.seen_at
"""


def _with_source(rows: pyarrow.Table, now: datetime) -> pyarrow.Table:
    moment = pyarrow.scalar(now, pyarrow.timestamp("us", "UTC"))
    rows = rows.append_column("source", pyarrow.repeat("odoo", len(rows)))
    rows = rows.append_column("true_at", pyarrow.repeat(moment, len(rows)))
    return rows.append_column("item_id", pyarrow.nulls(len(rows), pyarrow.int64()))


# (i) bare pandas


def in_pandas(bench: Bench, path: Path) -> None:
    """The same sums in memory; what else is needed is fetched, the difference is sent."""
    stock = pd.read_csv(path, engine="pyarrow")
    stock["free"] = stock["on_hand_units"] - stock["allocated_units"] - stock["quarantined_units"]
    words, units = pyarrow.string(), pyarrow.int64()
    with connected(bench.engine) as connection:
        held = fetch_frame(connection, _HELD, {"sku": words, "location": words, "free": units})
        parts = fetch_frame(
            connection,
            "select sku, component_sku, component_units::bigint from core.product_components",
            {"sku": words, "component_sku": words, "component_units": units},
        )
        shown = fetch_frame(
            connection,
            "select store, product_id, sku, stock_units from core.listings",
            {"system": words, "product_id": units, "sku": words, "seen_units": units},
        )
        pairs = shown.merge(_in_memory(stock, held, parts), on=["system", "sku"])
        differing = pairs[pairs["wanted_units"] != pairs["seen_units"]]
        connection.exec_driver_sql("truncate bare_plan")
        send_frame(connection, "bare_plan", differing)


#: What open orders hold, as pieces that are less.
_HELD = """
select sku, location, -sum(open_units)::bigint as free from core.reservation_versions
where replaced_at is null and state = 'open' group by 1, 2
"""


def _in_memory(stock: pd.DataFrame, held: pd.DataFrame, parts: pd.DataFrame) -> pd.DataFrame:
    """What each channel may sell, kits as well."""
    free = pd.concat([stock[["sku", "location", "free"]], held]) if len(held) else stock
    found = []
    for channel, places in CHANNELS.items():
        here = free[free["location"].isin(places)]
        own = _limited(here.groupby("sku", sort=False)["free"].sum().clip(lower=0))
        inside = parts["component_sku"].map(own) // parts["component_units"]
        kits = _limited(inside.groupby(parts["sku"], sort=False).min())
        numbers = pd.concat([own, kits]).rename("wanted_units").rename_axis("sku").reset_index()
        found.append(numbers.assign(system=channel))
    return pd.concat(found)


def _limited(stock: "pd.Series[int]") -> "pd.Series[int]":
    left = (stock - SAFETY).clip(lower=0)
    return (left * SHARE_PERCENT // 100).clip(upper=CAP)


# (ii) one SQL statement


def in_sql(bench: Bench, path: Path) -> None:
    """The same sums in one statement, over a table the file is copied into as it is."""
    with connected(bench.engine) as connection:
        connection.exec_driver_sql("set local work_mem = '64MB'")
        units = ", ".join(f"{name} bigint" for name in UNITS)
        connection.exec_driver_sql(
            f"create temp table readings (sku text, location text, {units}) on commit drop"
        )
        command = f"copy readings ({ROWS}) from stdin (format csv, header)"
        with (
            path.open("rb") as file,
            driver(connection).cursor() as cursor,
            cursor.copy(command) as copy,
        ):
            while block := file.read(BLOCK):
                copy.write(block)
        connection.exec_driver_sql("analyze readings")
        connection.exec_driver_sql("truncate bare_plan")
        connection.exec_driver_sql(_STATEMENT)


def _statement() -> str:
    sums = ", ".join(
        f"sum(free) filter (where location in ({', '.join(map(repr, places))})) as {name}"
        for name, places in CHANNELS.items()
    )
    values = ", ".join(f"('{name}', {name})" for name in CHANNELS)

    def limited(stock: str) -> str:
        return f"least(greatest({stock} - {SAFETY}, 0) * {SHARE_PERCENT} / 100, {CAP})"

    return f"""
    insert into bare_plan
    with left_over as (
        select sku, location, on_hand_units - allocated_units - quarantined_units as free
        from readings union all {_HELD}
    ), free as (select sku, {sums} from left_over group by sku),
    own as materialized (
        select channel, sku, {limited("greatest(atp, 0)::bigint")} as units
        from free cross join lateral (values {values}) as c (channel, atp)
    ), kits as (
        select o.channel, c.sku, {limited("min(o.units / c.component_units::bigint)")} as units
        from core.product_components c join own o on o.sku = c.component_sku group by 1, 2
    ), numbers as (select * from own union all select * from kits)
    select l.store, l.product_id, l.sku, n.units, l.stock_units
    from core.listings l join numbers n on n.channel = l.store and n.sku = l.sku
    where n.units <> l.stock_units
    """


_STATEMENT = _statement()


# The measurement


def _measured(bench: Bench, rounds: int) -> dict[str, Any]:
    bare: dict[str, list[float]] = {"pandas": [], "sql": []}
    times: dict[str, list[float]] = {"first": [], "full": [], "one_percent": []}
    peak = 0.0
    with _peak() as first_mib:
        times["first"].append(ours(bench, bench.file(), "first", whole=True))
    peak = max(peak, *first_mib)
    _publish(bench.engine)
    for _ in range(rounds):
        bench.change(0.1)
        path = bench.file()
        found = []
        for name, step in (("pandas", in_pandas), ("sql", in_sql)):
            bare[name].append(bench.timed(name, partial(step, bench, path)))
            found.append(_rows(bench.engine, "bare_plan"))
        with _peak() as full_mib:
            times["full"].append(ours(bench, path, "full", whole=True))
        peak = max(peak, *full_mib)
        mine = _rows(bench.engine, "plan.woocommerce__stock where action = 'set'")
        assert all(mine == theirs for theirs in found), "the three do not find the same"
        _publish(bench.engine)
        path = bench.file(bench.change(0.01))
        times["one_percent"].append(ours(bench, path, "one_percent", whole=False))
        _publish(bench.engine)
    return _told(bench, times, bare, peak, len(mine))


def _told(
    bench: Bench,
    times: dict[str, list[float]],
    bare: dict[str, list[float]],
    peak: float,
    differing: int,
) -> dict[str, Any]:
    middle = {name: statistics.median(found) for name, found in {**times, **bare}.items()}
    fastest = min(middle["pandas"], middle["sql"])
    return {
        "skus": bench.skus,
        "readings": bench.skus * len(LOCATIONS),
        "numbers": (bench.skus + bench.skus // 20) * len(CHANNELS),
        "differing": differing,
        "full_seconds": round(middle["full"], 2),
        "one_percent_seconds": round(middle["one_percent"], 2),
        "first_seconds": round(middle["first"], 2),
        "pandas_seconds": round(middle["pandas"], 2),
        "sql_seconds": round(middle["sql"], 2),
        "full_over_fastest_bare": round(middle["full"] / fastest, 2),
        "one_percent_over_full": round(middle["one_percent"] / middle["full"], 3),
        "peak_mib": round(peak),
        "parts": {
            name: round(statistics.median(found), 2)
            for name, found in bench.parts.items()
            if "." in name
        },
    }


def _rows(engine: Engine, table: str) -> set[tuple[Any, ...]]:
    query = f"select system, product_id, wanted_units, seen_units from {table}"
    with connected(engine) as connection:
        return {tuple(row.values()) for row in read_rows(connection, query)}


def _publish(engine: Engine) -> None:
    """Let shops show what was planned, as after sending; not timed."""
    with connected(engine) as connection:
        connection.exec_driver_sql(
            "update core.listings l set stock_units = p.wanted_units "
            "from plan.woocommerce__stock p where p.system = l.store "
            "and p.product_id = l.product_id"
        )
        connection.exec_driver_sql("truncate plan.woocommerce__stock")
        connection.exec_driver_sql("delete from ops.stale")
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        for table in ("core.listings", "core.stock_level_versions", "core.availability_versions"):
            connection.exec_driver_sql(f"vacuum analyze {table}")


@contextlib.contextmanager
def _peak() -> Iterator[list[float]]:
    """The most memory this process held meanwhile, where the system can tell; else ever."""
    found: list[float] = []
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
    yield found
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
        told = next(line for line in lines if line.startswith("VmHWM"))
        found.append(int(told.split()[1]) / 1024)
    except (OSError, StopIteration):
        found.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


if __name__ == "__main__":
    main()
