"""The demo: real baskets, three stand-in stores, an ERP, the pipeline, the UI, and the proof.

Every run starts from empty databases of its own, so it shows the same every time.
"""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from rich.markup import escape

from checks.agreement import erp_agreement, shop_agreement
from resources import settings
from resources.sandbox import deployment
from resources.store import postgres
from resources.store.engine import connected
from resources.store.frames import read_rows, scalar
from resources.wiring import Systems
from sync_assets import jobs
from sync_assets.domain.exception_kinds import MAPPING_CODES
from sync_assets.ops import (
    demo_goods,
    demo_money,
    demo_parcels,
    host,
    live,
    progress,
    rehearsal,
    report,
    runs,
)
from sync_assets.ops.console import err, out, table
from sync_assets.ops.tryton_server import PgPlace, TrytonFailed, prepare, running

#: The stand-ins take no others; a real ERP of the demo brings its own.
SECRETS = {
    "DEMO_SHOP_KEY": deployment.SHOP_KEYS[0],
    "DEMO_SHOP_SECRET": deployment.SHOP_KEYS[1],
    "DEMO_ERP_KEY": deployment.ERP_KEY,
    "DEMO_WEBHOOK_SECRET": rehearsal.WEBHOOK_SECRET,
}
WATCH_EVERY = 3.0
#: A shop's own job queue takes its time; this one is quick, so that what is seen is ours.
DELIVER_EVERY = 0.5


@dataclass(frozen=True)
class Wanted:
    """What the demo was asked for."""

    orders: int
    orders_given: bool
    orders_file: Path | None
    erp: str
    ui: bool
    port: int | None
    stay: bool
    watch: bool
    quiet: bool


def run(wanted: Wanted) -> dict[str, Any]:
    """Run the demo and answer its summary."""
    began = time.monotonic()
    say = _silent if wanted.quiet else _aloud
    say("Starting Postgres and a fresh pair of demo databases")
    place = _fresh_databases()
    with ExitStack() as stack:
        say("Placing the orders in three stand-in stores")
        world = stack.enter_context(_sandbox(wanted))
        erp = stack.enter_context(_erp(wanted, place, world, say))
        config = _write_config(world["urls"], erp)
        stack.enter_context(host.set_environment({**SECRETS, **erp["secrets"]}))
        url = _start_ui(stack, wanted, place, config, say)
        instance = stack.enter_context(host.instance(place, config))
        defs, systems = stack.enter_context(runs.opened(place))
        expected = world["expect"]["orders"]
        with progress.of_demo(systems.engine, expected, wanted.quiet):
            ran = [runs.execute(defs, jobs.ORDERS, instance)]
        say("Comparing shops, core and ERP")
        ran.append(runs.execute(defs, jobs.COMPARE, instance))
        carried = time.monotonic() - began
        ran += demo_goods.carry(defs, instance, systems, say)
        ran += demo_parcels.carry(defs, instance, systems, world["urls"], say)
        settled, money = demo_money.carry(defs, instance, systems, say)
        ran += settled
        summary = summarise(systems, world, ran, carried, url)
        summary["stock"] = demo_goods.counted(systems)
        summary["parcels"] = report.plain(demo_parcels.counted(systems))
        summary["money"] = report.plain(money)
        summary["seconds"] = round(time.monotonic() - began, 1)
        if not wanted.quiet and (wanted.stay or wanted.watch):
            tell(summary)
            _linger(wanted, systems, place, url, say)
        return summary


def _silent(line: str) -> None:
    """Say nothing: a program reads our output."""


def _aloud(line: str) -> None:
    err.print(f"  {line}")


def _fresh_databases() -> postgres.Databases:
    found = postgres.find(settings.home())
    demo = postgres.Databases(found.store.set(database=f"{found.store.database}_demo"))
    for url in (demo.store, demo.dagster):
        postgres.drop_database(demo, str(url.database))
    return host.databases("_demo")


@contextmanager
def _sandbox(wanted: Wanted) -> Iterator[dict[str, Any]]:
    """The stand-ins' process; yields what it said: addresses and what to expect."""
    options = ["--erp", "odoo" if wanted.erp == "odoo" else ""]
    if wanted.orders_file is None:
        options += ["--orders", str(wanted.orders)]
    else:
        options += ["--orders-file", str(wanted.orders_file.resolve())]
        options += ["--orders", str(wanted.orders)] if wanted.orders_given else []
    if wanted.watch:
        options += ["--watch", str(WATCH_EVERY), "--deliver", str(DELIVER_EVERY)]
    with rehearsal.sandbox(options) as world:
        yield world.said


@contextmanager
def _erp(
    wanted: Wanted, place: postgres.Databases, world: dict[str, Any], say: Callable[[str], None]
) -> Iterator[dict[str, Any]]:
    """The ERP's part of the configuration, and its secrets."""
    if wanted.erp == "odoo":
        yield {
            "name": "odoo",
            "secrets": {},
            "config": deployment.odoo(world["urls"]["odoo"], api_key="env:DEMO_ERP_KEY"),
        }
        return
    cache = settings.home() / "tryton"
    pg = PgPlace.at(place.text(place.store))
    try:
        prepare(cache, pg, say)
        with running(cache, pg, say) as tryton:
            say("Creating the items in Tryton")
            items = [(sku, name, Decimal(price)) for sku, name, price in world["items"]]
            tryton.seed_items(items)
            tryton.seed_stock(1000)
            yield {
                "name": "tryton",
                "secrets": {"DEMO_ERP_KEY": tryton.password},
                "config": {
                    "kind": "tryton",
                    "url": tryton.url,
                    "database": tryton.database,
                    "login": tryton.login,
                    "password": "env:DEMO_ERP_KEY",
                },
            }
    except TrytonFailed as fault:
        raise host.NotReady(str(fault)) from fault


def config_path() -> Path:
    """Where the demo's own configuration stands."""
    return settings.home() / "demo" / "sync.toml"


def _write_config(urls: dict[str, str], erp: dict[str, Any]) -> Path:
    """The demo's own sync.toml, for this process, the UI and whoever wants to look."""
    path = config_path()
    path.parent.mkdir(parents=True, exist_ok=True)
    port = host.free_port()
    money = demo_money.described(path.parent, erp["name"])
    policies = ("catalog", *(["settlements"] if money else []))
    data = deployment.deployment(
        urls,
        erp=erp["config"],
        erp_name=erp["name"],
        company=None if erp["name"] == "odoo" else erp_company(),
        keys=("env:DEMO_SHOP_KEY", "env:DEMO_SHOP_SECRET"),
        webhook_secrets=["env:DEMO_WEBHOOK_SECRET"],
        receiver={"port": port, "public_url": f"http://127.0.0.1:{port}"},
        store_options={"lag_seconds": 1},
        # Whole paths: whoever looks at the demo later stands somewhere else.
        policies={name: str(path.parent / "policies" / f"{name}.yaml") for name in policies},
        **money,
    )
    path.write_text(deployment.as_toml(data))
    demo_goods.write_policy(path.parent)
    return path


def erp_company() -> str:
    """The one company of the Tryton demo database."""
    from sync_assets.ops.tryton_seed import COMPANY

    return str(COMPANY)


def _start_ui(
    stack: ExitStack,
    wanted: Wanted,
    place: postgres.Databases,
    config: Path,
    say: Callable[[str], None],
) -> str | None:
    """Start the UI; it comes up while the pipeline runs."""
    os.environ["SYNC_CONFIG"] = str(config)
    if not wanted.ui or wanted.watch:  # --watch starts its own with all the rest
        return None
    port = wanted.port or host.free_port()
    # The sensor would run beside our own run; it is wanted only when the demo keeps going.
    url = stack.enter_context(host.web(place, port=port, config=config))
    say(f"Dagster UI: [bold]{url}[/bold] (up in a few seconds)")
    say(f"  lineage  {url}/asset-groups   orders by table, column lineage in each asset's page")
    say(f"  runs     {url}/runs           what runs now; rerun any step, nothing happens twice")
    return url


def summarise(
    systems: Systems,
    world: dict[str, Any],
    ran: list[dict[str, Any]],
    seconds: float,
    url: str | None,
) -> dict[str, Any]:
    """Count both sides again, from what the systems themselves say; `seconds` are the orders'."""
    shops = {name: shop_agreement(systems, name) for name in systems.settings.stores}
    erps = {name: erp_agreement(systems, name) for name in systems.settings.erps}
    with connected(systems.engine) as connection:
        states = {
            row["pipeline_state"]: row["orders"]
            for row in read_rows(
                connection,
                "select pipeline_state, count(*) as orders from mart.orders group by 1 order by 1",
            )
        }
        summary = {
            "shop_orders": world["expect"]["orders"],
            "core_orders": scalar(connection, "select count(*) from core.orders"),
            "set_aside": scalar(connection, _SET_ASIDE, codes=MAPPING_CODES),
            "accepted": states.get("accepted", 0),
            "held": scalar(connection, "select count(distinct order_ref) from core.order_holds"),
            "held_by_reason": report.held_by_reason(connection),
            "not_sent": {
                state: n for state, n in states.items() if state not in ("accepted", "held")
            },
            "erp_orders": sum(one.compared + len(one.extra) for one in erps.values()),
            "doubled": sum(len(one.doubled) for one in (*shops.values(), *erps.values())),
            "missing": sum(len(one.missing) for one in (*shops.values(), *erps.values())),
            "sums": report.plain(report.sums(connection)),
            "example": scalar(connection, "select max(order_ref) from receipt.sales_orders"),
        }
    summary["sums_match"] = all(one.left == one.right for one in (*shops.values(), *erps.values()))
    summary["different"] = sum(len(one.different) for one in (*shops.values(), *erps.values()))
    summary["planted_defects"] = world["expect"]["defects"]
    if world["file"]:
        summary["file"] = world["file"]
    summary["runs"] = ran
    summary["orders_per_second"] = round(summary["shop_orders"] / max(seconds, 0.001), 1)
    summary["peak_mib"] = host.peak_mib()
    summary["ui"] = url
    return summary


#: Orders that never became rows, with their reason.
_SET_ASIDE = """
select count(distinct e.subject_ref) from ops.exception e
where e.state = 'open' and e.subject_kind = 'order' and e.code = any(:codes)
  and not exists (select from core.orders o where o.order_ref = e.subject_ref)
"""


def in_step(summary: dict[str, Any]) -> bool:
    """Whether nothing is lost, nothing doubled, and every sum matches."""
    steps_ran = all(one["success"] for one in summary["runs"])
    # With --watch, further orders come in meanwhile.
    all_here = summary["core_orders"] + summary["set_aside"] >= summary["shop_orders"]
    return (
        steps_ran
        and all_here
        and summary["sums_match"]
        and not any(one["differ"] for one in summary["stock"])
        and all(one["refunded_total"] == one["credited_total"] for one in summary["parcels"])
        and all(one["shipped"] == one["customers_told"] for one in summary["parcels"])
        and demo_money.in_step(summary["money"])
        and not (summary["doubled"] or summary["missing"] or summary["different"])
    )


_TOLD: set[int] = set()


def tell(summary: dict[str, Any]) -> None:
    """Print the summary once."""
    if id(summary) in _TOLD:
        return
    _TOLD.add(id(summary))
    out.print()
    _tell_counts(summary)
    table(
        "Held, by reason",
        [{"reason": k, "orders": v} for k, v in summary["held_by_reason"].items()],
    )
    table("Not sent, by state", [{"state": k, "orders": v} for k, v in summary["not_sent"].items()])
    table("Sums per currency: shops (core), and what the ERP says it holds", summary["sums"])
    table("Products and stock: what shops show, against what they may sell", summary["stock"])
    table("Deliveries told to shops, and refunds against credit memos", summary["parcels"])
    _tell_money(summary["money"])
    if "file" in summary:
        told = [{"decision": k, "rows": v} for k, v in summary["file"]["decisions"].items()]
        table(f"Rows of the file: {summary['file']['rows']}", told)
    for one in summary["runs"]:
        for why in one["why"]:
            out.print(f"[red]{one['job']}: {why}[/red]")
    good = in_step(summary)
    verdict = "[green]In step:[/green] nothing lost, nothing twice, all sums and numbers match."
    out.print(verdict if good else "[red]Not in step; see above.[/red]")
    out.print("Look closer:")
    more = [f"reconcile {summary['money']['example']}"] if summary["money"] else []
    for command in ("status", "exceptions list", f"trace {summary['example']}", *more, "ui"):
        out.print(f"  {host.own_name()} {command} --demo")


def _tell_counts(summary: dict[str, Any]) -> None:
    names = ("shop_orders", "core_orders", "accepted", "held", "erp_orders", "doubled", "missing")
    table("Orders", [{name: summary[name] for name in (*names, "seconds")}])


def _tell_money(money: dict[str, Any]) -> None:
    if not money:
        return
    title = "Payments: what providers settled, what reached the bank, what is in the books"
    table(title, money["payments"], demo_money.SHOWN)
    table("Faults planted in report files and bank statements, and found", money["faults"])
    for one in money["beside"]:
        out.print(f"[red]Not planted, and found: {escape(one)}[/red]")


def _linger(
    wanted: Wanted,
    systems: Systems,
    place: postgres.Databases,
    url: str | None,
    say: Callable[[str], None],
) -> None:
    """Keep everything up until Ctrl-C; with --watch, let orders come in and tell them."""
    if wanted.watch:
        live.follow(systems, place, port=wanted.port, ui=wanted.ui, say=say)
        return
    out.print(f"Everything keeps running{f' at {url}' if url else ''}. Ctrl-C ends it.")
    host.forever()
