"""What ERPs and shops say of products, kept as said: the steps behind the raw assets.

Shops are asked for what changed, and whole on the first reading or when asked to; only a whole
reading that came to its end tells what is gone, and each thing it misses is asked for by name.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection

from resources.store import raw
from resources.store.engine import connected
from resources.store.frames import read_rows
from resources.systems.roles import Payload
from resources.systems.woocommerce import Raw, WooCommerce
from resources.wiring import Systems
from sync_assets.domain.frames import DISTANT_PAST
from sync_assets.reading import Page, Tally, keep_stream, kept, resume_at, was_read

#: ERPs show when a transaction began, not when it ended: the longest one must fit in.
ITEMS_OVERLAP = timedelta(minutes=5)
#: How a version reached us that says a product is gone.
GONE = "gone"
TABLES = {"products": "woocommerce__products", "variations": "woocommerce__variations"}
CATEGORIES = "woocommerce__categories"


def items(systems: Systems, erp: str, run_id: str | None, *, only_changed: bool = False) -> Tally:
    """Keep the sellable items of an ERP that we do not hold in their newest form.

    `only_changed`: those that changed since the last reading, if there was one.
    """
    reading = raw.Reading(erp, "delta", systems.now(), run_id)
    since = _items_read_until(systems, erp) if only_changed else None
    total = Tally()
    with systems.erp(erp) as client:
        if since is None:
            pages = client.items()
        else:
            pages = client.items_changed_since(since, ITEMS_OVERLAP)
        for page in pages:
            total.add(_keep_items(systems, erp, page, reading))
    # A delta must not look like a whole reading to those who watch over these.
    was_read(systems, erp, "items" if since is None else "items_changed", reading.received_at)
    return total


def _keep_items(systems: Systems, erp: str, page: list[Payload], reading: raw.Reading) -> Tally:
    table = f"{systems.settings.erps[erp].kind}__items"
    said = [raw.Said(str(item["id"]), DISTANT_PAST, json.dumps(item, default=str)) for item in page]
    with connected(systems.engine) as connection:
        return Tally(seen=len(page), new=raw.append(connection, table, said, reading))


def _items_read_until(systems: Systems, erp: str) -> datetime | None:
    with connected(systems.engine) as connection:
        found = [raw.complete_until(connection, erp, s) for s in ("items", "items_changed")]
    return max((moment for moment in found if moment), default=None)


def shop_things(
    systems: Systems, store: str, stream: str, run_id: str | None, *, whole: bool = False
) -> Tally:
    """Keep a store's `products` or `variations` that changed; all of them the first time."""
    with connected(systems.engine) as connection:
        is_first = raw.complete_until(connection, store, stream) is None
    with systems.shop(store) as shop:
        if whole or is_first:
            return _whole(systems, shop, store, stream, run_id)
        return _changed(systems, shop, store, stream, run_id)


def _changed(
    systems: Systems, shop: WooCommerce, store: str, stream: str, run_id: str | None
) -> Tally:
    now, total = systems.now(), Tally()
    until = now - timedelta(seconds=systems.settings.stores[store].lag_seconds)
    changed, trashed = {
        "products": (shop.products_changed_since, shop.products_trashed_since),
        "variations": (shop.variations_changed_since, shop.variations_trashed_since),
    }[stream]
    for name, read, via in ((stream, changed, "delta"), (f"{stream}_trashed", trashed, "trash")):
        since = resume_at(systems, store, name)
        reading = raw.Reading(store, via, now, run_id)
        pages = _with_categories(systems, shop, read(since, until), reading)
        total.add(keep_stream(systems, name, pages, reading, until, table=TABLES[stream]))
    return total


def _whole(
    systems: Systems, shop: WooCommerce, store: str, stream: str, run_id: str | None
) -> Tally:
    """Walk the whole list; what core shows and the walk did not meet is asked for by its id."""
    reading = raw.Reading(store, "scan", systems.now(), run_id)
    keep_categories(systems, store, shop.categories(), reading)
    total, met, listed = Tally(), set[str](), _listed(systems, store, stream)
    for page in shop.products() if stream == "products" else shop.variations():
        met |= {one.resource_id for one in page if one.resource_id is not None}
        total.add(kept(systems, TABLES[stream], page, reading))
    total.add(_missed(systems, shop, stream, sorted(listed - met, key=int), reading))
    lag = timedelta(seconds=systems.settings.stores[store].lag_seconds)
    for name in (stream, f"{stream}_trashed"):
        was_read(systems, store, name, reading.received_at - lag)
    return total


def _listed(systems: Systems, store: str, stream: str) -> set[str]:
    """The ids core shows, before the walk: what is new meanwhile cannot be missed by it."""
    kinds = "= 'variation'" if stream == "variations" else "<> 'variation'"
    with connected(systems.engine) as connection:
        rows = read_rows(
            connection,
            f"select product_id from core.listings where store = :store and kind {kinds}",  # noqa: S608
            store=store,
        )
    return {str(row["product_id"]) for row in rows}


def _missed(
    systems: Systems, shop: WooCommerce, stream: str, ids: list[str], reading: raw.Reading
) -> Tally:
    """Keep what is in the trash or came back; note as gone what the shop does not know by id."""
    total = Tally()
    for start in range(0, len(ids), 100):
        batch = ids[start : start + 100]
        found = shop.products_by_id(batch)
        there = {one.resource_id for one in found}
        total.add(kept(systems, TABLES[stream], found, reading))
        absent = [key for key in batch if key not in there]
        total.add(keep_gone(systems, reading.source, stream, absent, reading.run_id))
    return total


def keep_gone(
    systems: Systems, store: str, stream: str, ids: Iterable[str], run_id: str | None
) -> Tally:
    """Note products as gone for good; core.listings follows."""
    reading = raw.Reading(store, GONE, systems.now(), run_id)
    said = [
        raw.Said(key, reading.received_at, json.dumps({"id": int(key), "gone": True}))
        for key in ids
    ]
    with connected(systems.engine) as connection:
        return Tally(seen=len(said), new=raw.append(connection, TABLES[stream], said, reading))


def _with_categories(
    systems: Systems, shop: WooCommerce, pages: Iterator[Page], reading: raw.Reading
) -> Iterator[Page]:
    """Pass pages on; before one that names a category we do not know, all of them are read."""
    known = set(known_categories_of(systems, reading.source))
    for page in pages:
        if not _named_categories(page) <= known:
            keep_categories(systems, reading.source, shop.categories(), reading)
            known = set(known_categories_of(systems, reading.source)) | _named_categories(page)
        yield page


def _named_categories(page: Page) -> set[int]:
    found: set[int] = set()
    for one in page:
        listed = one.body.get("categories") if isinstance(one, Raw) else None
        for part in listed if isinstance(listed, list) else []:
            if isinstance(part, dict) and type(part.get("id")) is int:
                found.add(part["id"])
    return found


def keep_categories(
    systems: Systems, store: str, paths: Mapping[int, tuple[str, ...]], reading: raw.Reading
) -> None:
    """Keep a store's categories; of one that has another path now, products are mapped again."""
    with connected(systems.engine) as connection:
        before = known_categories(connection, store)
        said = [
            raw.Said(str(key), DISTANT_PAST, json.dumps({"id": key, "path": list(path)}))
            for key, path in paths.items()
            if before.get(key) != path
        ]
        if said:
            raw.append(connection, CATEGORIES, said, reading)
        if any(int(one.resource_id) in before for one in said):
            raw.forget_mapping(connection, TABLES["products"], store)


def known_categories_of(systems: Systems, store: str) -> dict[int, tuple[str, ...]]:
    """The paths of a store's categories by id, as last read."""
    with connected(systems.engine) as connection:
        return known_categories(connection, store)


def known_categories(connection: Connection, store: str) -> dict[int, tuple[str, ...]]:
    """The paths of a store's categories by id, as last read."""
    rows = read_rows(
        connection,
        "select distinct on (resource_id) payload from raw.woocommerce__categories "
        "where source = :store order by resource_id, changed_at desc, version desc",
        store=store,
    )
    return {row["payload"]["id"]: tuple(row["payload"]["path"]) for row in rows}


def keep_answers(
    connection: Connection, store: str, answers: Iterable[Mapping[str, Any]], reading: raw.Reading
) -> None:
    """Keep what a shop answered to a write as it keeps what it reads."""
    said: dict[str, list[raw.Said]] = {table: [] for table in TABLES.values()}
    for body in answers:
        changed = datetime.fromisoformat(f"{body['date_modified_gmt']}+00:00")
        text = exact_text({k: v for k, v in body.items() if k != "existed"})
        stream = "variations" if body.get("parent_id") else "products"
        said[TABLES[stream]].append(raw.Said(str(body["id"]), changed, text))
    for table, things in said.items():
        if things:
            raw.append_storable(connection, table, things, reading)


def exact_text(body: Mapping[str, Any]) -> str:
    """A payload as JSON again, its decimals as numbers of the same digits."""
    return _MARKED.sub(r"\1", json.dumps(body, default=_marked))


#: JSON has no other way to take a decimal; a NUL begins no text that a system sends.
_MARKED = re.compile(r'"\\u0000(-?[0-9.]+)"')


def _marked(value: object) -> str:
    return f"\x00{value:f}" if isinstance(value, Decimal) else str(value)
