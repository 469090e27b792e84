"""WooCommerce's products and variations into our listings, and what they say of stock.

Reads stored payloads only; asks nothing and writes nothing. A payload that is not wholly
understood becomes no row, but `Rejected` with every reason found.
"""

import hashlib
import html
import re
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from sync_assets.domain.orders import Rejected, Row
from sync_assets.mappers.payload import Faults, Part, storable

Path = tuple[str, ...]

KINDS = ("simple", "variable", "variation", "grouped", "external")
STATUSES = ("publish", "draft", "private", "pending", "future", "trash", "auto-draft")
BACKORDERS = ("no", "notify", "yes")
STOCK_STATUSES = ("instock", "outofstock", "onbackorder")
TAX_STATUSES = ("taxable", "shipping", "none")
MANAGED: Mapping[object, str] = {True: "yes", False: "no", "parent": "parent"}

#: Our own notes on a product: days until it is there again, and where its images came from.
LEAD_DAYS, IMAGES = "sync_lead_days", "sync_images"
#: The category a shop gives to what has none.
NO_CATEGORY = "uncategorized"
LEVELS = " / "

_PARENT = re.compile(r"/products/([1-9][0-9]{0,18})(?:[/?]|$)")
_DAYS = re.compile(r"[0-9]{1,4}")
_PLAIN_WORD = re.compile("[a-z0-9_-]{1,40}")


def listing(payload: Mapping[str, Any], store: str, paths: Mapping[int, Path] | None = None) -> Row:
    """Map one product or variation as the shop shows it; raises `Rejected` with all problems.

    `paths` are the shop's categories by id; without them a category is known by its name alone.
    """
    faults = Faults("listing.malformed")
    shop = _whole(payload, faults)
    kind = _kind(shop)
    is_variation = kind == "variation"
    row: Row = {
        "store": store,
        "product_id": _number(shop.id("id")),
        "parent_id": _parent(shop) if is_variation else None,
        "sku": shop.word("sku"),
        "kind": kind,
        "name": shop.optional("name") if is_variation else shop.text("name"),
        "status": _word(shop, "status", STATUSES),
        "description": unwrapped(shop.blank("description")),
        "regular_amount": _price(shop, "regular_price"),
        "sale_amount": _price(shop, "sale_price"),
        "sale_from": shop.instant_or_none("date_on_sale_from_gmt"),
        "sale_until": shop.instant_or_none("date_on_sale_to_gmt"),
        "tax_status": _word(shop, "tax_status", TAX_STATUSES),
        "tax_class": shop.blank("tax_class"),
        "is_virtual": shop.flag("virtual"),
        "weight": shop.blank("weight"),
        "barcode": shop.optional("global_unique_id"),
        "categories": [] if is_variation else _categories(shop, paths),
        "attributes": _attributes(shop, "option" if is_variation else "options"),
        "images": _images(shop, is_variation),
        **_stock(shop),
        "changed_at": shop.instant("date_modified_gmt"),
    }
    faults.settle()
    return row


def stock_seen(payload: Mapping[str, Any]) -> Row:
    """Map what the shop says of the stock of one product or variation; raises `Rejected`."""
    faults = Faults("stock.malformed")
    shop = _whole(payload, faults)
    parent = shop.id_or_none("parent_id") if "parent_id" in payload else None
    row: Row = {
        "product_id": _number(shop.id("id")),
        "parent_id": _number(parent) if parent else None,
        "sku": shop.word("sku"),
        **_stock(shop),
        "changed_at": shop.instant("date_modified_gmt"),
    }
    faults.settle()
    return row


def _whole(payload: object, faults: Faults) -> Part:
    if not isinstance(payload, Mapping):
        faults.note("payload", "is not an object")
        raise Rejected(faults.problems)
    return Part(payload, "", faults)


def _number(text: str) -> int:
    return int(text or 0)


def _kind(shop: Part) -> str:
    """The type; shops before 8.x do not name it where they list variations of a parent."""
    if "type" not in shop.body and _linked_parent(shop):
        return "variation"
    return _word(shop, "type", KINDS)


def _parent(shop: Part) -> int:
    """The parent's id; older shops name it in the links of a variation only."""
    if "parent_id" in shop.body:
        return _number(shop.id("parent_id"))
    linked = _linked_parent(shop)
    if not linked:
        shop.fault("parent_id", "is missing")
    return linked or 0


def _linked_parent(shop: Part) -> int | None:
    links = shop.body.get("_links")
    above = links.get("up") if isinstance(links, Mapping) else None
    for one in above if isinstance(above, list) else []:
        address = one.get("href") if isinstance(one, Mapping) else None
        if isinstance(address, str) and (found := _PARENT.search(address)):
            return int(found[1])
    return None


def _word(shop: Part, key: str, known: Iterable[str]) -> str:
    """One of the shop's words; an unknown one is a problem of its own."""
    word = shop.text(key)
    if isinstance(shop.body.get(key), str) and word not in known:
        said = f" ({word})" if _PLAIN_WORD.fullmatch(word) else ""
        code = f"{shop.faults.code.partition('.')[0]}.unknown_word"
        shop.faults.note(key, f"is a word we do not know{said}", code)
    return word


def _price(shop: Part, key: str) -> Decimal | None:
    return None if shop.body.get(key) == "" else shop.amount(key)


def _stock(shop: Part) -> Row:
    managed = shop.body.get("manage_stock")
    management = MANAGED.get(managed) if isinstance(managed, bool | str) else None
    if management is None:
        shop.fault("manage_stock", "is not true, false or parent")
    return {
        "stock_management": management,
        "stock_units": _units(shop),
        "backorders": _word(shop, "backorders", BACKORDERS),
        "stock_status": _word(shop, "stock_status", STOCK_STATUSES),
        "lead_days": _lead_days(shop),
    }


def _units(shop: Part) -> int | None:
    """Whole pieces; a shop that sells by weight is another business."""
    value = shop.body.get("stock_quantity", "")
    if value is None:
        return None
    if type(value) is int and abs(value) < 2**31:
        return value
    shop.fault("stock_quantity", "is not a whole number")
    return None


def _lead_days(shop: Part) -> int | None:
    value = _note(shop, LEAD_DAYS)
    if value is None or value == "":
        return None
    if type(value) in (int, str) and _DAYS.fullmatch(str(value)):
        return int(value)
    shop.fault(f"meta_data.{LEAD_DAYS}", "is not a number of days")
    return None


def _note(shop: Part, key: str) -> Any:
    """The value of one of our own notes; other people's are not looked at."""
    notes = shop.body.get("meta_data")
    for one in notes if isinstance(notes, list) else []:
        if isinstance(one, Mapping) and one.get("key") == key:
            return one.get("value")
    return None


def _categories(shop: Part, paths: Mapping[int, Path] | None) -> list[str]:
    """Paths in the shop's order; the category of what has none is no category."""
    found, parts = [], shop.parts("categories")
    for part in parts:
        key = _number(part.id("id"))
        if paths is None:
            found.append(html.unescape(part.text("name")))
        elif key in paths:
            found.append(LEVELS.join(paths[key]))
        elif key:
            part.faults.note(part.path, "is a category we do not know", "listing.unknown_category")
    if [part.body.get("slug") for part in parts] == [NO_CATEGORY]:
        return []
    return found


def _attributes(shop: Part, said: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for part in shop.parts("attributes"):
        name = part.text("name")
        if name in found:
            part.fault("name", "is named twice")
        found[name] = part.text(said) if said == "option" else _options(part)
    return found


def _options(part: Part) -> list[str]:
    options = part.body.get("options")
    if isinstance(options, list) and all(isinstance(one, str) for one in options):
        return [storable(one) for one in options]
    part.fault("options", "is not a list of text")
    return []


def _images(shop: Part, is_variation: bool) -> list[str]:
    """Where the images came from, as far as they are those we gave; else the shop's addresses.

    A shop keeps a copy under an address of its own. Ours carry a name made of the reference, so
    one that a person replaced is noticed.
    """
    ours = _references(_note(shop, IMAGES))
    found = [_reference(part, ours) for part in _shown_images(shop, is_variation)]
    # A variation shows one image only, whatever we had for it.
    is_first = is_variation and bool(ours) and found == list(ours.values())[:1]
    return list(ours.values()) if is_first else found


def _shown_images(shop: Part, is_variation: bool) -> list[Part]:
    if not is_variation:
        return shop.parts("images")
    image = shop.body.get("image")
    if image is None and "image" in shop.body:
        return []
    part = shop.part("image")
    return [] if part.body.get("id") == 0 else [part]  # 0: the shop's placeholder


def _reference(part: Part, ours: Mapping[str, str]) -> str:
    name = part.body.get("name")
    return (ours.get(name) if isinstance(name, str) else None) or part.text("src")


def _references(noted: object) -> dict[str, str]:
    """Our references by the names we gave to their images."""
    listed = noted if isinstance(noted, list) else []
    return {image_name(one): storable(one) for one in listed if isinstance(one, str)}


def image_name(reference: str) -> str:
    """Return the name an image of ours carries in a shop.

    Not the reference itself: a shop embellishes names, and a `x` between digits is no `x`.
    """
    return f"sync-{hashlib.sha256(reference.encode()).hexdigest()[:16]}"


def unwrapped(text: str) -> str:
    """Return text as it was written, where the shop only set paragraphs and line ends around it."""
    if not (text.startswith("<p>") and text.endswith("</p>\n")):
        return text
    paragraphs = text.removeprefix("<p>").removesuffix("</p>\n").split("</p>\n<p>")
    if any("<p" in one or "</p" in one for one in paragraphs):
        return text
    return "\n\n".join(one.replace("<br />\n", "\n") for one in paragraphs)
