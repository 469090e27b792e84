"""SKUs that do not meet: the step that tells a person what no rule can mend.

Looks at whole tables at once, opens what is there and closes what is not any more.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from sqlalchemy import Connection

from resources.store import exceptions
from resources.store.engine import connected, one_at_a_time
from resources.store.frames import read_rows
from resources.wiring import Systems
from sync_assets.catalog.candidates import Candidates, told
from sync_assets.domain.orders import Problem
from sync_assets.trouble import exceptional

CODES = [
    "product.sku_missing",
    "product.sku_doubled",
    "listing.sku_missing",
    "listing.sku_unknown",
    "listing.sku_doubled",
]
Found = tuple[Problem, str, str]
#: Unknown SKUs of a store that candidates are looked for; where more are, the store is at fault.
MOST_SEARCHED = 5000


def judge(systems: Systems, run_id: str | None) -> dict[str, int]:
    """Open and close exceptions about SKUs in ERPs and shops; answers how many by code."""
    with (
        connected(systems.engine) as connection,
        one_at_a_time(connection, "judge SKUs"),
    ):
        found = [
            exceptional(problem, subject, systems.settings.service_levels, sender_ref=sender)
            for problem, subject, sender in _found(connection, systems)
        ]
        open_ones = read_rows(
            connection,
            "select distinct subject_ref from ops.exception "
            "where state = 'open' and code = any(:codes)",
            codes=CODES,
        )
        exceptions.reconcile(
            connection,
            found,
            subjects=[row["subject_ref"] for row in open_ones],
            codes=CODES,
            now=systems.now(),
            run_id=run_id,
        )
    counts: dict[str, int] = {}
    for one in found:
        counts[one.code] = counts.get(one.code, 0) + 1
    return counts


def _found(connection: Connection, systems: Systems) -> Iterator[Found]:
    for row in read_rows(connection, _PRODUCTS_WITHOUT):
        problem = Problem("product.sku_missing", "sku", "the item is for sale and has no SKU")
        yield problem, f"{row['system']}:product:{row['item_id']}", str(row["item_id"])
    for row in read_rows(connection, _PRODUCTS_DOUBLED):
        message = f"active items {_ids(row)} have the same SKU; none of them is published"
        problem = Problem("product.sku_doubled", "sku", message)
        yield problem, f"{row['system']}:product:{row['sku']}", row["sku"]
    stores = {name: store.erp for name, store in systems.settings.stores.items()}
    for row in read_rows(connection, _LISTINGS_WITHOUT, stores=list(stores)):
        problem = Problem("listing.sku_missing", "sku", f"the {row['kind']} has no SKU in the shop")
        yield problem, _listing(row), str(row["product_id"])
    for row in read_rows(connection, _LISTINGS_DOUBLED, stores=list(stores)):
        message = f"products {_ids(row)} of the shop have the same SKU; none of them is written"
        problem = Problem("listing.sku_doubled", "sku", message)
        yield problem, f"{row['store']}:listing:{row['sku']}", row["sku"]
    yield from _unknown(connection, stores)


def _unknown(connection: Connection, stores: Mapping[str, str]) -> Iterator[Found]:
    """Listings whose SKU the ERP has not; of an ERP nobody has read yet nothing can be said."""
    near: dict[str, Candidates] = {}
    for store, erp in stores.items():
        rows = read_rows(connection, _LISTINGS_UNKNOWN, store=store, erp=erp)
        for place, row in enumerate(rows):
            if erp not in near:
                known = read_rows(connection, _KNOWN, erp=erp)
                near[erp] = Candidates(one["sku"] for one in known)
            message = f"{erp} has no such SKU"
            if place < MOST_SEARCHED:
                message += told(near[erp].near(row["sku"]))
            else:
                message += f", one of {len(rows)}"
            yield Problem("listing.sku_unknown", "sku", message), _listing(row), row["sku"]


def _listing(row: Mapping[str, Any]) -> str:
    return f"{row['store']}:listing:{row['product_id']}"


def _ids(row: Mapping[str, Any]) -> str:
    return ", ".join(str(one) for one in row["ids"])


_PRODUCTS_WITHOUT = """
select system, item_id from core.products
where sku is null and is_active and is_for_sale and kind <> 'service' order by 1, 2
"""
_PRODUCTS_DOUBLED = """
select system, min(sku) as sku, array_agg(item_id order by item_id) as ids from core.products
where sku is not null and is_active group by system, lower(sku) having count(*) > 1 order by 1, 2
"""
#: Parents and bundles are not sold themselves; what is in the trash is not sold at all.
_SOLD = "kind in ('simple', 'variation') and status <> 'trash'"
_LISTINGS_WITHOUT = f"""
select store, product_id, kind from core.listings
where sku is null and {_SOLD} and store = any(:stores) order by 1, 2
"""  # noqa: S608
_LISTINGS_DOUBLED = """
select store, min(sku) as sku, array_agg(product_id order by product_id) as ids
from core.listings where sku is not null and status <> 'trash' and store = any(:stores)
group by store, lower(sku) having count(*) > 1 order by 1, 2
"""
_LISTINGS_UNKNOWN = f"""
select l.store, l.product_id, l.sku from core.listings l
where l.store = :store and l.sku is not null and {_SOLD}
  and exists (select from core.products where system = :erp)
  and not exists (select from core.products p
      where p.system = :erp and lower(p.sku) = lower(l.sku))
order by l.product_id
"""  # noqa: S608
_KNOWN = "select sku from core.products where system = :erp and sku is not null and is_active"
