"""The product we want a shop to show into the fields of a write, in WooCommerce's words, and back.

How what a shop shows is read is in `woocommerce_listings.py`, whose readers are offered here too.
Nothing is sent; what a shop keeps of a field, and for which kind of product, is told here.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from sync_assets.domain.catalog import Listing
from sync_assets.domain.orders import Row
from sync_assets.mappers.payload import Faults
from sync_assets.mappers.woocommerce_listings import (
    BACKORDERS,
    IMAGES,
    LEAD_DAYS,
    LEVELS,
    Path,
    image_name,
    listing,
    stock_seen,
    unwrapped,
)

__all__ = ["as_listed", "listing", "product_fields", "stock_fields", "stock_seen", "together"]

Payload = dict[str, Any]


def stock_fields(
    units: int, backorders: str, lead_days: int | None, manages: bool = True
) -> Payload:
    """Return the fields that set a quantity; a shop that does not manage it only says yes or no.

    Management is said every time: without it the shop takes a quantity and forgets it.
    """
    if type(units) is not int or backorders not in BACKORDERS:
        raise ValueError(f"no stock to write: {units!r} units, backorders {backorders!r}")
    days = None if lead_days is None else str(lead_days)  # null takes the note away
    meta = {"meta_data": [{"key": LEAD_DAYS, "value": days}]}
    if manages:
        return {"manage_stock": True, "stock_quantity": units, "backorders": backorders} | meta
    sells = units > 0 or backorders != "no"
    return {"manage_stock": False, "stock_status": "instock" if sells else "outofstock"} | meta


def together(*fields: Payload) -> Payload:
    """Return the fields of several writes as one; notes add up, where `|` would lose some."""
    notes = [note for one in fields for note in one.get("meta_data", [])]
    whole = {name: value for one in fields for name, value in one.items()}
    return whole | {"meta_data": notes} if notes else whole


def product_fields(wanted: Listing, categories: Mapping[Path, int]) -> Payload:
    """Return the fields of a write, those of `wanted.fields_to_write` the shop keeps for its kind.

    Raises `Rejected` where the shop cannot show what is wanted. `categories` are its ids by path.
    """
    faults = Faults("listing.unwritable")
    fields: Payload = {}
    for name in _writable(wanted):
        fields |= _WRITE[name](wanted, categories, faults)
    faults.settle()
    return fields


def as_listed(wanted: Listing) -> Row:
    """Return what `listing` reads of `wanted` once the shop took it, to compare column by column.

    Only the columns of `fields_to_write` that the shop keeps for this kind. A variation without a
    weight or image of its own shows its parent's, so that a blank one cannot be compared.
    """
    blank = {
        name for name in _INHERITED if wanted.kind == "variation" and not getattr(wanted, name)
    }
    return {
        _COLUMN.get(name, name): _AS_LISTED[name](wanted)
        for name in _writable(wanted)
        if name not in blank
    }


def _writable(wanted: Listing) -> list[str]:
    """The names to write, in a stable order, without those the shop drops for this kind."""
    unknown = wanted.fields_to_write - _WRITE.keys() - {"key", "parent_key"}
    if unknown:
        raise ValueError(f"no fields of a listing: {', '.join(sorted(unknown))}")
    dropped = _DROPPED.get(wanted.kind, frozenset())
    return [name for name in _WRITE if name in wanted.fields_to_write and name not in dropped]


def _write_attributes(wanted: Listing, faults: Faults) -> list[Payload]:
    if wanted.kind != "variation":
        return [
            {
                "name": name,
                "position": place,
                "visible": True,
                "variation": wanted.kind == "variable",
                "options": list(options),
            }
            for place, (name, options) in enumerate(wanted.attributes.items())
        ]
    for name, options in wanted.attributes.items():
        if len(options) != 1:
            faults.note(f"attributes.{name}", "of a variation has not exactly one value")
    return [
        {"name": name, "option": options[0]}
        for name, options in wanted.attributes.items()
        if options
    ]


def _write_categories(
    wanted: Listing, categories: Mapping[Path, int], faults: Faults
) -> list[Payload]:
    for path in wanted.categories:
        if path not in categories:
            faults.note("categories", f"{LEVELS.join(path)} is not in the shop")
    return [{"id": categories[path]} for path in wanted.categories if path in categories]


def _write_images(wanted: Listing) -> Payload:
    """Images by reference; the note keeps the references for the next reading."""
    images = [{"src": one, "name": image_name(one)} for one in wanted.images]
    note = {"meta_data": [{"key": IMAGES, "value": list(wanted.images) or None}]}
    if wanted.kind == "variation":
        return {"image": images[0] if images else ""} | note  # null would leave it as it is
    return {"images": images} | note


def _money(amount: Decimal | None) -> str:
    return "" if amount is None else format(amount, "f")


def _stamp(moment: datetime | None) -> str:
    """A date as the shop takes it; the empty text clears it, null would leave it as it is."""
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%S}" if moment else ""


def _second(moment: datetime | None) -> datetime | None:
    return moment.astimezone(UTC).replace(microsecond=0) if moment else None


def _sku(wanted: Listing) -> str:
    """A family without a SKU goes by its key: what has none could never be found again."""
    return wanted.sku or wanted.key


def _listed_description(wanted: Listing) -> str:
    """The shop shows descriptions of variations with markup around them in every context."""
    is_wrapped = wanted.kind == "variation" and wanted.description.endswith("</p>")
    return unwrapped(wanted.description + "\n" if is_wrapped else wanted.description)


def _listed_attributes(wanted: Listing) -> dict[str, Any]:
    if wanted.kind == "variation":
        return {name: options[0] for name, options in wanted.attributes.items() if options}
    return {name: list(options) for name, options in wanted.attributes.items()}


#: One field of the wanted product to the fields of a write.
_WRITE: Mapping[str, Callable[[Listing, Mapping[Path, int], Faults], Payload]] = {
    "sku": lambda w, _, __: {"sku": _sku(w)},
    "kind": lambda w, _, __: {"type": w.kind},
    "name": lambda w, _, __: {"name": w.name},
    "description": lambda w, _, __: {"description": w.description},
    "status": lambda w, _, __: {"status": w.status},
    "regular_price": lambda w, _, __: {"regular_price": _money(w.regular_price)},
    "sale_price": lambda w, _, __: {"sale_price": _money(w.sale_price)},
    "sale_from": lambda w, _, __: {"date_on_sale_from_gmt": _stamp(w.sale_from)},
    "sale_until": lambda w, _, __: {"date_on_sale_to_gmt": _stamp(w.sale_until)},
    "tax_class": lambda w, _, __: {"tax_class": w.tax_class},
    "tax_status": lambda w, _, __: {"tax_status": w.tax_status},
    "is_virtual": lambda w, _, __: {"virtual": w.is_virtual},
    "weight": lambda w, _, __: {"weight": w.weight},
    "barcode": lambda w, _, __: {"global_unique_id": w.barcode},
    "categories": lambda w, known, faults: {"categories": _write_categories(w, known, faults)},
    "attributes": lambda w, _, faults: {"attributes": _write_attributes(w, faults)},
    "images": lambda w, _, __: _write_images(w),
}

#: The same field as `listing` reads it afterwards.
_AS_LISTED: Mapping[str, Callable[[Listing], Any]] = {
    **{name: lambda w, name=name: getattr(w, name) for name in _WRITE},  # type: ignore[misc]
    "sku": _sku,
    "description": _listed_description,
    "sale_from": lambda w: _second(w.sale_from),
    "sale_until": lambda w: _second(w.sale_until),
    "categories": lambda w: [LEVELS.join(path) for path in w.categories],
    "attributes": _listed_attributes,
    "images": lambda w: list(w.images),
}
_COLUMN = {"regular_price": "regular_amount", "sale_price": "sale_amount"}

_INHERITED = ("weight", "images")
_PRICES = frozenset({"regular_price", "sale_price", "sale_from", "sale_until"})
#: What the shop takes without a word and does not keep for a kind of product.
_DROPPED: Mapping[str, frozenset[str]] = {
    "variable": _PRICES,
    "variation": frozenset({"kind", "name", "tax_status", "categories"}),
}
