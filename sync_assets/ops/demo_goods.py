"""The demo's second half: prices and stock from the ERP to every shop, and what they show then."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagster as dg

from resources.sandbox import deployment
from resources.store.engine import connected
from resources.store.frames import read_rows, scalar
from resources.wiring import Systems
from sync_assets import jobs
from sync_assets.ops import runs


def write_policy(folder: Path) -> None:
    """Say whose word counts for the demo's products; JSON is YAML too."""
    path = folder / "policies" / "catalog.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(deployment.catalog_policy())


def carry(
    defs: dg.Definitions,
    instance: dg.DagsterInstance,
    systems: Systems,
    say: Callable[[str], None],
) -> list[dict[str, Any]]:
    """Bring prices and stock to the shops, then compare whole shops with what we worked out."""
    say("Comparing the ERP's products with what the shops show, and writing what differs")
    ran = [runs.execute(defs, jobs.CATALOG, instance)]
    say(f"Working out what each shop may sell: {_listings(systems):,} numbers to publish")
    ran.append(runs.execute(defs, jobs.STOCK, instance))
    for store in sorted(systems.settings.stores):
        say(f"Reading all of {store} again: does it show what it may sell?")
        ran.append(runs.execute(defs, jobs.STOCK_COMPARE, instance, store))
    return ran


def _listings(systems: Systems) -> int:
    with connected(systems.engine) as connection:
        return int(scalar(connection, "select count(*) from core.listings where sku is not null"))


def counted(systems: Systems) -> list[dict[str, Any]]:
    """By store: listings, what was published, and what still differs."""
    with connected(systems.engine) as connection:
        return read_rows(connection, _COUNTS)


_COUNTS = """
with newest as (
    select distinct on (store) * from core.stock_comparisons order by store, compared_at desc
)
select n.store,
    (select count(*) from core.listings l where l.store = n.store) as listings,
    (select count(*) from receipt.woocommerce__products r
     where r.system = n.store and r.outcome in ('created', 'changed')) as products_written,
    (select count(*) from receipt.woocommerce__stock r
     where r.system = n.store and r.outcome <> 'refused') as numbers_published,
    n.compared, n.different + n.missing as differ, n.off_units,
    round(coalesce(n.exposed_amount, 0), 2) || ' ' || coalesce(n.currency, '') as exposed
from newest n order by 1
"""
