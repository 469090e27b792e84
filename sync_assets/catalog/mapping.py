"""From what ERPs and shops say of products to core rows: the steps behind the core assets.

An item's row, prices and components change in one transaction. What cannot be mapped, or breaks a
rule of its table, is set aside with its reasons; the item stays known to orders by its SKU.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import ModuleType
from typing import Any

import pandas as pd
import pandera.errors
import pyarrow
from sqlalchemy import Connection, text

from resources.store import exceptions
from resources.store.exceptions import Exceptional
from resources.store.frames import Unstorable, all_or_nothing, copy_frame, read_rows, upsert
from resources.wiring import Systems
from sync_assets.catalog.reading import GONE, TABLES, known_categories
from sync_assets.domain.catalog import (
    CatalogRows,
    Listings,
    Prices,
    ProductComponents,
    Products,
)
from sync_assets.domain.exception_kinds import KINDS, Finder
from sync_assets.domain.frames import Table
from sync_assets.domain.items import ProductRefs
from sync_assets.domain.orders import Problem, Rejected, Row
from sync_assets.mappers import ERP_MAPPERS, odoo_catalog, tryton_catalog, woocommerce_products
from sync_assets.mapping import Mapped, chunks, parsed, write
from sync_assets.trouble import exceptional

CATALOG_MAPPERS: Mapping[str, ModuleType] = {"odoo": odoo_catalog, "tryton": tryton_catalog}
CORE_TABLES: Mapping[str, type[Table]] = {
    "product_refs": ProductRefs,
    "products": Products,
    "prices": Prices,
    "product_components": ProductComponents,
}
#: Columns kept as JSON.
STRUCTURED = ("categories", "attributes", "images")
#: What a mapper may say of an item whose other parts it could read.
ITEM_CODES = [
    code
    for code, kind in KINDS.items()
    if kind.subject_kind == "product" and kind.found_by == Finder.MAPPING
]
Version = Mapping[str, Any]


@dataclass
class _Thing:
    """One raw version and what was made of it."""

    version: Version
    rows: Any


def items(systems: Systems, kind: str, run_id: str | None) -> Mapped:
    """Bring products, prices, components and refs up to the newest items of one kind of ERP."""
    total = Mapped()
    for connection, versions in chunks(systems, f"{kind}__items"):
        faults: list[tuple[Version, list[Problem]]] = []
        refs, whole = [], []
        for version in versions:
            try:
                body = parsed(version["payload"])
                refs.append({"system": version["source"], **ERP_MAPPERS[kind].item(dict(body))})
                rows = CATALOG_MAPPERS[kind].products(dict(body), version["source"])
                whole.append(_Thing(version, rows))
            except Rejected as refusal:
                faults.append((version, refusal.problems))
        write(connection, ProductRefs, "core.product_refs", refs, run_id)
        _each(connection, whole, faults, partial(_write_items, connection, run_id))
        _tell(connection, systems, f"{kind}__items", versions, faults)
        _tell_doubts(connection, systems, versions, whole, run_id)
        total.mapped += len(refs)
        total.set_aside += len(faults)
    return total


def listings(systems: Systems, run_id: str | None) -> Mapped:
    """Bring core.listings up to the newest products and variations of every store."""
    total = Mapped()
    for table in TABLES.values():
        for connection, versions in chunks(systems, table):
            done = _listings_chunk(connection, systems, table, versions, run_id)
            total.mapped += done.mapped
            total.set_aside += done.set_aside
    return total


def _listings_chunk(
    connection: Connection,
    systems: Systems,
    table: str,
    versions: Sequence[Version],
    run_id: str | None,
) -> Mapped:
    faults: list[tuple[Version, list[Problem]]] = []
    _forget(connection, [version for version in versions if version["via"] == GONE])
    paths = {v["source"]: known_categories(connection, v["source"]) for v in versions}
    whole = []
    for version in versions:
        if version["via"] == GONE:
            continue
        try:
            whole.append(_Thing(version, _listing(version, paths[version["source"]])))
        except Rejected as refusal:
            faults.append((version, refusal.problems))
    _each(connection, whole, faults, partial(_write_listings, connection, run_id))
    _tell(connection, systems, table, versions, faults)
    return Mapped(mapped=len(versions) - len(faults), set_aside=len(faults))


def _listing(version: Version, paths: Mapping[int, tuple[str, ...]]) -> Row:
    body = parsed(version["payload"])
    # One we have not read yet is known by its own name until we have.
    named = {
        part["id"]: (str(part.get("name", "")),)
        for part in body.get("categories") or ()
        if isinstance(part, dict) and type(part.get("id")) is int
    }
    row = woocommerce_products.listing(body, version["source"], named | dict(paths))
    return {**row, "raw_version": version["version"]}


def _forget(connection: Connection, gone: Sequence[Version]) -> None:
    connection.execute(
        text(
            "delete from core.listings l using unnest(cast(:stores as text[]), "
            "cast(:ids as bigint[])) as gone (store, id) "
            "where l.store = gone.store and l.product_id = gone.id"
        ),
        {
            "stores": [version["source"] for version in gone],
            "ids": [int(version["resource_id"]) for version in gone],
        },
    )


def _each(
    connection: Connection,
    things: list[_Thing],
    faults: list[tuple[Version, list[Problem]]],
    keep: Callable[[list[_Thing]], None],
) -> None:
    """Keep things together; where one spoils it, in halves, until it is alone and set aside."""
    if not things:
        return
    try:
        with all_or_nothing(connection):
            keep(things)
        return
    except (
        pandera.errors.SchemaError,
        pandera.errors.SchemaErrors,
        pyarrow.ArrowException,
        Unstorable,
        TypeError,
        ValueError,
    ) as fault:
        if len(things) == 1:
            faults.append((things[0].version, [Problem("thing.malformed", *_why(fault))]))
            return
    middle = len(things) // 2
    for half in (things[:middle], things[middle:]):
        _each(connection, half, faults, keep)


def _why(fault: Exception) -> tuple[str, str]:
    """Which column breaks which rule; never the value."""
    if isinstance(fault, pandera.errors.SchemaError):
        column = getattr(fault.schema, "name", None)
        return str(column or "row"), f"fails the check {fault.check}"
    if isinstance(fault, Unstorable):
        return "row", f"the database cannot hold it: {fault}"
    return "row", f"does not fit its table ({type(fault).__name__})"


def _write_items(connection: Connection, run_id: str | None, things: list[_Thing]) -> None:
    made: list[tuple[Version, CatalogRows]] = [(one.version, one.rows) for one in things]
    rows = [{**rows.product, "raw_version": version["version"]} for version, rows in made]
    frame = Products.validate(Products.frame(rows))
    upsert(connection, "core.products", _stored(frame, run_id), Products.key())
    for name, table, children in (
        ("prices", Prices, [row for _, rows in made for row in rows.prices]),
        ("product_components", ProductComponents, [r for _, rows in made for r in rows.components]),
    ):
        below = table.validate(table.frame(children))
        _replace(connection, name, made, below.assign(run_id=run_id))


def _replace(
    connection: Connection,
    name: str,
    made: Sequence[tuple[Version, CatalogRows]],
    frame: pd.DataFrame,
) -> None:
    """Make these rows all that there are for these items."""
    connection.execute(
        text(
            f"delete from core.{name} c using unnest(cast(:systems as text[]), "  # noqa: S608
            "cast(:ids as bigint[])) as item (system, id) "
            "where c.system = item.system and c.item_id = item.id"
        ),
        {
            "systems": [version["source"] for version, _ in made],
            "ids": [rows.product["item_id"] for _, rows in made],
        },
    )
    copy_frame(connection, f"core.{name}", frame)


def _write_listings(connection: Connection, run_id: str | None, things: list[_Thing]) -> None:
    """A variation may have come by its own list and by a delivery: the later change counts."""
    rows = [thing.rows for thing in things]
    held = {
        (row["store"], row["product_id"]): row["changed_at"]
        for row in read_rows(
            connection,
            "select store, product_id, changed_at from core.listings "
            "where store = any(:stores) and product_id = any(:ids)",
            stores=sorted({row["store"] for row in rows}),
            ids=[row["product_id"] for row in rows],
        )
    }
    fresh = [
        row
        for row in rows
        if (known := held.get((row["store"], row["product_id"]))) is None
        or row["changed_at"] >= known
    ]
    if fresh:
        frame = Listings.validate(Listings.frame(fresh))
        upsert(connection, "core.listings", _stored(frame, run_id), Listings.key())


def _stored(frame: pd.DataFrame, run_id: str | None) -> pd.DataFrame:
    """The frame as its table keeps it: structured columns as JSON."""
    texts = {name: [json.dumps(value) for value in frame[name]] for name in STRUCTURED}
    return frame.assign(**{n: pd.Series(v, dtype=object) for n, v in texts.items()}, run_id=run_id)


def _tell(
    connection: Connection,
    systems: Systems,
    table: str,
    versions: Sequence[Version],
    faults: Sequence[tuple[Version, list[Problem]]],
) -> None:
    """Set aside what could not be mapped; what can be read again is closed."""
    exceptions.reconcile(
        connection,
        [
            exceptional(
                Problem("thing.malformed", problem.part, problem.message),
                f"{version['source']}:{table}:{version['resource_id']}",
                systems.settings.service_levels,
                sender_ref=version["resource_id"],
                version=version["version"],
            )
            for version, problems in faults
            for problem in problems
        ],
        subjects=[f"{v['source']}:{table}:{v['resource_id']}" for v in versions],
        codes=["thing.malformed"],
        now=systems.now(),
    )


def _tell_doubts(
    connection: Connection,
    systems: Systems,
    versions: Sequence[Version],
    whole: Sequence[_Thing],
    run_id: str | None,
) -> None:
    """Report what of an item could not be said in ours; the rest of it goes on."""
    exceptions.reconcile(
        connection,
        list(_doubts(systems, whole)),
        subjects=[f"{v['source']}:product:{v['resource_id']}" for v in versions],
        codes=ITEM_CODES,
        now=systems.now(),
        run_id=run_id,
    )


def _doubts(systems: Systems, whole: Sequence[_Thing]) -> Iterator[Exceptional]:
    for thing in whole:
        version, rows = thing.version, thing.rows
        for problem in rows.problems:
            # Mappers may name doubts of their own; what is no kind of ours is still told.
            code = problem.code if problem.code in ITEM_CODES else "product.unclear"
            yield exceptional(
                Problem(code, problem.part, problem.message),
                f"{version['source']}:product:{version['resource_id']}",
                systems.settings.service_levels,
                sender_ref=rows.product["sku"] or version["resource_id"],
                version=version["version"],
            )
