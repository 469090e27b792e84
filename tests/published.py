"""Shops that sell, and numbers to publish, without the pipeline before them: for tests of stock."""

import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from resources.store import exceptions, raw
from resources.store.engine import connected
from resources.store.frames import read_rows
from sync_assets import mapping
from sync_assets.domain.catalog import Listings
from sync_assets.domain.orders import Row
from sync_assets.inventory import planning, sending
from sync_assets.inventory.settling import Sent
from sync_assets.mappers import woocommerce_products as mapper
from tests.worlds import SKUS, World

UNITS = 10


def open_shops(world: World, units: int = UNITS) -> None:
    """Let both shops sell every SKU with as many pieces, and let us know what they show."""
    for store, shop in world.shops.items():
        for sku, price in SKUS.items():
            shop.add_product(sku, sku.title(), price, units=units)
        read_listings(world, store)
    count_orders(world)
    clear_marks(world)


def read_listings(world: World, store: str) -> None:
    """Know what a shop shows, variations too."""
    systems = world.systems
    with systems.shop(store) as shop:
        pages = [*shop.products(), *shop.variations()]
    rows = [
        _storable({**mapper.listing(one.body, store), "raw_version": 1})
        for page in pages
        for one in page
        if hasattr(one, "body")
    ]
    with connected(systems.engine) as connection:
        mapping.write(connection, Listings, "core.listings", rows, "run")


def _storable(row: Row) -> Row:
    return {n: json.dumps(v) if isinstance(v, dict | list) else v for n, v in row.items()}


def count_orders(world: World) -> None:
    """Let every order up to now be counted in our numbers."""
    world.clock.forward(seconds=5)
    with connected(world.systems.engine) as connection:
        for store in world.shops:
            raw.move_watermark(connection, store, "orders", world.clock(), world.clock())


def number(
    world: World,
    sku: str,
    units: int,
    channel: str = "us",
    *,
    backorder: int = 0,
    lead_days: int | None = None,
) -> None:
    """Let a channel be able to sell so many pieces."""
    world.clock.forward(seconds=1)
    values = {"channel": channel, "sku": sku, "at": world.clock()}
    world.execute(
        "update core.availability_versions set replaced_at = :at "
        "where channel = :channel and sku = :sku and replaced_at is null",
        **values,
    )
    world.execute(
        "insert into core.availability_versions (channel, sku, atp_units, safety_units, "
        "sellable_units, backorder_units, lead_days, limited_by, policy_hash, computed_at) "
        "values (:channel, :sku, :units, 0, :units, :backorder, :days, 'stock', 'x', :at)",
        **values,
        units=units,
        backorder=backorder,
        days=lead_days,
    )


def plan(world: World, *, only_stale: bool = True) -> dict[str, planning.Planned]:
    """Plan every store."""
    stores = list(world.shops)
    return planning.plan_stores(world.systems, stores, "run", only_stale=only_stale)


def publish(world: World, store: str = "us") -> Sent:
    """Plan what is marked and send it."""
    plan(world)
    return sending.send_stock(world.systems, store, "run")


def planned(world: World, store: str = "us") -> dict[str, tuple[Any, ...]]:
    """Action, reason, wanted and seen number by SKU."""
    rows = world.rows(
        "select * from plan.woocommerce__stock where system = :store order by sku", store=store
    )
    names = ("action", "reason", "wanted_units", "seen_units")
    return {row["sku"]: tuple(row[name] for name in names) for row in rows}


def receipts(world: World, store: str = "us") -> list[tuple[Any, ...]]:
    """SKU, outcome, before, sold meanwhile, written and read back, in their order."""
    rows = world.rows(
        "select * from receipt.woocommerce__stock where system = :store order by id", store=store
    )
    names = (
        *("sku", "outcome", "before_units", "sold_meanwhile_units"),
        *("written_units", "read_back_units"),
    )
    return [tuple(row[name] for name in names) for row in rows]


def marks(world: World) -> set[str]:
    """SKUs that are to be planned again."""
    return {r["key"] for r in world.rows("select key from ops.stale where queue = 'stock_plan'")}


def clear_marks(world: World) -> None:
    """Forget what is marked."""
    world.execute("delete from ops.stale")


def release(world: World, code: str) -> None:
    """A person lets the one open exception of a code go."""
    with connected(world.systems.engine) as connection:
        (row,) = read_rows(
            connection, "select id from ops.exception where state = 'open' and code = :c", c=code
        )
        exceptions.release(connection, row["id"], by="ada", note="checked", now=world.clock())


@contextmanager
def sells_when(world: World, store: str, operation: str, sku: str, units: int) -> Iterator[None]:
    """Let a shop sell pieces the moment a call of that operation was answered, once."""
    shop, left = world.shops[store], [True]
    plain = shop.after_effect

    def sell(done: str) -> None:
        plain(done)
        if left and operation in done:
            left.clear()
            world.clock.forward(seconds=1)
            world.place(store, lines={sku: units}, transaction_id=uuid.uuid4().hex)

    shop.after_effect = sell
    try:
        yield
    finally:
        shop.after_effect = plain
