"""Reading ShipBob's payloads: statuses, articles, units and moments; every fault is noted. Pure."""

from collections.abc import Mapping
from datetime import datetime

from sync_assets.mappers.payload import ABSENT, Part, storable


def word_of(part: Part, known: Mapping[str, object]) -> str:
    """The status; one that is not in the table is a fault."""
    word = part.text("status")
    if word not in known and isinstance(part.body.get("status"), str):
        part.fault("status", f"{word[:40]!r} is no status we know")
    return word


def parts_of(part: Part, key: str) -> list[Part]:
    """The objects of a list that may be null or left out."""
    return part.parts(key) if part.body.get(key) is not None else []


def sku_of(part: Part) -> str:
    """The article: our own code where we gave it, else the one ShipBob knows."""
    text = part.optional("reference_id") or part.optional("sku")
    if not text:
        part.fault("sku", "is missing")
    return storable(text)


def count_of(part: Part, key: str) -> int:
    """Whole units, none or more."""
    value = part.body.get(key, ABSENT)
    if type(value) is int and 0 <= value <= 10**9:
        return value
    part.fault(key, "is missing" if value is ABSENT else "is not a whole number of units")
    return 0


def latest_of(part: Part, names: tuple[str, ...]) -> datetime:
    """The latest of the moments told; the first must be there."""
    more = [part.instant(name) for name in names[1:] if part.body.get(name) is not None]
    return max([part.instant(names[0]), *more])


def place_of(part: Part, key: str) -> str:
    """ShipBob's id of a fulfilment center; nothing while none is chosen."""
    if part.body.get(key) is None:
        return ""
    return part.part(key).id_or_none("id") or ""


def pieces_of(product: Part) -> int | None:
    """Units of a product, of all its lots; None for a bundle, of which only the parts are told."""
    items = parts_of(product, "inventory_items")
    if len({item.id("id") for item in items}) > 1:
        return None
    return sum(count_of(item, "quantity") for item in items)
