"""What a store shall show beside what it shows: the facts a plan of products is made from.

Reads core tables and receipts in chunks that keep families whole; decides nothing and writes
nothing.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from resources.store.frames import read_rows
from sync_assets.domain.catalog import Listing
from sync_assets.domain.listing_changes import Held, fields_of
from sync_assets.domain.listing_rules import Market, Wanted, wanted_of
from sync_assets.domain.orders import Row
from sync_assets.mappers import woocommerce_products

#: Items looked at together; a family stays whole even if it is larger.
CHUNK = 1000


@dataclass(frozen=True)
class Scope:
    """Which products of an ERP are planned; nothing said means all."""

    item_groups: Sequence[str] | None = None
    #: Only what changed in the ERP or in the shop since this moment.
    since: datetime | None = None
    skus: Sequence[str] | None = None

    @property
    def is_whole(self) -> bool:
        """Whether nothing of the store is left out."""
        return self == Scope()


@dataclass
class Facts:
    """Products of one chunk: what is wanted of each, and what the shop holds of it."""

    wanted: list[Wanted] = field(default_factory=list)
    held: dict[str, Held] = field(default_factory=dict)


def expected(wanted: Wanted) -> Row | None:
    """How the shop would show what is wanted, by the columns of core.listings."""
    if wanted.listing is None:
        return None
    return woocommerce_products.as_listed(whole(wanted.listing, fields_of(wanted)))


def whole(listing: Listing, fields: Sequence[str]) -> Listing:
    """The listing with all that goes with these fields to be written."""
    names = {*fields, "sale_from", "sale_until", "tax_status"}
    return listing.model_copy(update={"fields_to_write": frozenset(names)})


def chunks(
    connection: Connection, market: Market, kind: str, scope: Scope, now: datetime
) -> Iterator[tuple[Market, list[int]]]:
    """Yield item ids in chunks, families whole, and the market with its doubled SKUs."""
    rows = read_rows(
        connection,
        _ITEMS.format(kind=kind),
        now=now,
        erp=market.erp,
        store=market.store,
        groups=None if scope.item_groups is None else list(scope.item_groups),
        skus=None if scope.skus is None else [sku.lower() for sku in scope.skus],
        since=scope.since,
    )
    doubled = frozenset(row["sku"] for row in rows if row["is_doubled"])
    known, ids, last = replace(market, doubled=doubled), list[int](), None
    for row in rows:
        if len(ids) >= CHUNK and row["unit"] != last:
            yield known, ids
            ids = []
        ids.append(row["item_id"])
        last = row["unit"]
    if ids:
        yield known, ids


#: One item a SKU: an active one before those archived. A unit is a family or an item alone; it is
#: looked at when anything of it changed: in the ERP, in the shop, or a price that begins or ends.
_ITEMS = """
with known as (
    select p.item_id, lower(p.sku) as sku, p.item_group, lower(p.family_ref) as family,
        coalesce(p.family_ref, 'item ' || p.item_id) as unit,
        row_number() over same as place,
        count(*) filter (where p.is_active) over (partition by lower(p.sku)) > 1 as is_doubled
    from core.products p where p.system = :erp and p.sku is not null
    window same as (partition by lower(p.sku) order by p.is_active desc, p.item_id)
), said as (
    select resource_id::bigint as product_id from raw.woocommerce__products
    where source = :store and mapped_at >= :since
    union
    select resource_id::bigint from raw.woocommerce__variations
    where source = :store and mapped_at >= :since
), touched as (
    select n.resource_id::bigint as item_id from raw.{kind}__items n
    where n.source = :erp and n.mapped_at >= :since
    union
    select c.item_id from core.prices c
    where c.system = :erp
      and (c.valid_from between :since and :now or c.valid_until between :since and :now)
    union
    select k.item_id from known k
    join core.listings l on l.store = :store and lower(l.sku) = k.sku
    join said on said.product_id = l.product_id
    union
    select k.item_id from known k
    join receipt.woocommerce__products t on t.system = :store and lower(t.key) in (k.sku, k.family)
    join said on said.product_id = t.product_id
), chosen as (
    select distinct unit from known k
    where (cast(:since as timestamptz) is null or k.item_id in (select item_id from touched))
      and (cast(:groups as text[]) is null or k.item_group = any(:groups))
      and (cast(:skus as text[]) is null or k.sku = any(:skus))
)
select k.item_id, k.unit, k.sku, k.is_doubled from known k join chosen using (unit)
where k.place = 1 order by k.unit, k.item_id
"""


def facts(connection: Connection, market: Market, ids: list[int], now: datetime) -> Facts:
    """What is wanted of these items, and what the shop holds of each."""
    found = Facts(list(_wanted(connection, market, ids, now)))
    found.held = held(connection, market.store, found.wanted)
    return found


def _wanted(
    connection: Connection, market: Market, ids: list[int], now: datetime
) -> Iterator[Wanted]:
    query = (
        "select * from core.products where system = :erp and item_id = any(:ids) order by item_id"
    )
    prices: dict[int, list[Row]] = {}
    for row in read_rows(
        connection,
        "select * from core.prices where system = :erp and item_id = any(:ids) "
        "and price_list = :listed",
        erp=market.erp,
        ids=ids,
        listed=market.price_list,
    ):
        prices.setdefault(row["item_id"], []).append(row)
    units: dict[Any, list[Row]] = {}
    for row in read_rows(connection, query, erp=market.erp, ids=ids):
        units.setdefault(row["family_ref"] or row["item_id"], []).append(row)
    for products in units.values():
        yield from wanted_of(products, prices, market, now)


def held(connection: Connection, store: str, wanted: Sequence[Wanted]) -> dict[str, Held]:
    """What the shop holds of each product, by our key."""
    keys = [one.key for one in wanted]
    receipts = {
        row["key"]: row
        for row in read_rows(
            connection,
            "select key, product_id, outcome, written from receipt.woocommerce__products "
            "where system = :store and key = any(:keys)",
            store=store,
            keys=keys,
        )
    }
    ids = [row["product_id"] for row in receipts.values() if row["product_id"]]
    shown = read_rows(connection, _SHOWN, store=store, skus=[k.lower() for k in keys], ids=ids)
    by_sku: dict[str, list[Row]] = {}
    for row in shown:
        by_sku.setdefault((row["sku"] or "").lower(), []).append(row)
    by_id = {row["product_id"]: row for row in shown}
    parents = _parents(connection, store, wanted, by_sku)
    return {one.key: _held(one, by_sku, by_id, parents, receipts.get(one.key)) for one in wanted}


_SHOWN = """
select * from core.listings where store = :store and lower(sku) = any(:skus)
union
select * from core.listings where store = :store and product_id = any(:ids)
order by product_id
"""


def _parents(
    connection: Connection,
    store: str,
    wanted: Sequence[Wanted],
    by_sku: Mapping[str, Sequence[Row]],
) -> dict[str, Row]:
    """What the shop has above variations of ours, whatever SKU it gave to it, by family."""
    above: dict[int, str] = {}
    for one in wanted:
        family = one.listing.parent_key if one.listing else None
        for row in by_sku.get(one.key.lower(), ()) if family else ():
            if family and row["kind"] == "variation" and row["parent_id"]:
                above[row["parent_id"]] = family
    rows = read_rows(
        connection,
        "select * from core.listings where store = :store and product_id = any(:ids)",
        store=store,
        ids=list(above),
    )
    return {above[row["product_id"]]: row for row in rows}


def _held(
    one: Wanted,
    by_sku: Mapping[str, Sequence[Row]],
    by_id: Mapping[int, Row],
    parents: Mapping[str, Row],
    receipt: Row | None,
) -> Held:
    shown = [row for row in by_sku.get(one.key.lower(), ()) if row["status"] != "trash"]
    shown = shown or list(by_sku.get(one.key.lower(), ()))[:1]
    known = by_id.get(receipt["product_id"]) if receipt else None
    if not shown and one.sku is None:  # a family's own SKU may be anything
        above = known or parents.get(one.key)
        shown = [above] if above else []
    return Held(
        shown,
        receipt["written"] if receipt else None,
        was_archived=receipt is not None and receipt["outcome"] == "archived",
        renamed=known if known and not shown else None,
    )
