"""What WooCommerce takes without a word and gets wrong: values its batches do not check.

Says whether the fields of one write are fit to be sent. What the values mean is not asked.
"""

import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

STATUSES = frozenset({"publish", "draft", "private", "pending"})
TYPES = frozenset({"simple", "variable", "grouped", "external"})
WORDS: Mapping[str, frozenset[str]] = {
    "status": STATUSES,
    "type": TYPES,
    "backorders": frozenset({"no", "notify", "yes"}),
    "stock_status": frozenset({"instock", "outofstock", "onbackorder"}),
    "tax_status": frozenset({"taxable", "shipping", "none"}),
}
FLAGS = ("manage_stock", "virtual", "downloadable")
NUMBERS = ("regular_price", "sale_price", "weight")
DATES = ("date_on_sale_from_gmt", "date_on_sale_to_gmt")
TEXTS = ("name", "description", "tax_class", "global_unique_id")
#: Dates in the shop's own time say something else twice a year; a relative change is no message.
NEVER_SENT = ("date_on_sale_from", "date_on_sale_to", "inventory_delta", "id", "parent_id")

_NUMBER = re.compile(r"[0-9]{1,12}(?:\.[0-9]{1,6})?")
_DATE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", re.ASCII)


def unfit(fields: Mapping[str, Any]) -> str | None:
    """Return the field a shop would get wrong and why, or None if all may be sent."""
    for name, value in fields.items():
        if name in NEVER_SENT:
            return f"{name} is not a field to write"
        if not _is_sendable(value):
            return f"{name} holds what JSON cannot say exactly"
        check = _CHECKS.get(name)
        if check and (fault := check(name, value)):
            return f"{name} {fault}"
    return _unfit_sale(fields)


def _word(name: str, value: object) -> str | None:
    known = isinstance(value, str) and value in WORDS[name]
    return None if known else f"is not one of {', '.join(sorted(WORDS[name]))}"


def _flag(name: str, value: object) -> str | None:
    return None if isinstance(value, bool) else "is not true or false"


def _number(name: str, value: object) -> str | None:
    """The empty text clears a price; a comma would make it a hundred times as large."""
    plain = isinstance(value, str) and (not value or _NUMBER.fullmatch(value))
    return None if plain else "is not a plain decimal number as text"


def _quantity(name: str, value: object) -> str | None:
    return None if type(value) is int else "is not a whole number"


def _date(name: str, value: object) -> str | None:
    """The empty text clears a date; null would leave it as it is."""
    plain = isinstance(value, str) and (not value or _DATE.fullmatch(value))
    return None if plain else "is not a date and time without offset"


def _text(name: str, value: object) -> str | None:
    return None if isinstance(value, str) else "is not text"


def _sku(name: str, value: object) -> str | None:
    """A SKU that the shop could not be asked for would be created again and again."""
    if not isinstance(value, str) or not value:
        return "is empty"
    if "," in value or value != " ".join(value.split()):
        return "holds a comma or blanks the shop cannot be asked for"
    return None


def _categories(name: str, value: object) -> str | None:
    """An unknown category falls to the default one without a word."""
    if not isinstance(value, list):
        return "are not a list of ids"
    ids = [one.get("id") if isinstance(one, dict) else None for one in value]
    whole = all(type(one) is int and one > 0 for one in ids)
    return None if whole else "are not a list of ids"


def _attributes(name: str, value: object) -> str | None:
    if not isinstance(value, list):
        return "are not a list"
    for one in value:
        if not isinstance(one, dict) or not (one.get("id") or one.get("name")):
            return "hold one without a name"
        options = one.get("options", [one.get("option")])
        if not isinstance(options, list) or not all(isinstance(word, str) for word in options):
            return "hold an option that is not text"
        if any("|" in word for word in options):  # the shop's own divider of options
            return "hold an option with a |, which the shop would make two"
    return None


def _meta(name: str, value: object) -> str | None:
    if not isinstance(value, list):
        return "is not a list of keys and values"
    named = all(isinstance(one, dict) and one.get("key") for one in value)
    return None if named else "is not a list of keys and values"


def _is_sendable(value: object) -> bool:
    """Whether it survives JSON: numbers with a point do not, nor does half a character."""
    if isinstance(value, str):
        return value.isascii() or not any("\ud800" <= letter <= "\udfff" for letter in value)
    if isinstance(value, list | tuple):
        return all(map(_is_sendable, value))
    if isinstance(value, dict):
        return all(map(_is_sendable, value.values()))
    return value is None or isinstance(value, bool | int)


def _unfit_sale(fields: Mapping[str, Any]) -> str | None:
    """A sale price that is no lower is dropped by the shop without a word."""
    regular, sale = fields.get("regular_price"), fields.get("sale_price")
    if regular and sale and Decimal(sale) >= Decimal(regular):
        return "sale_price is not below regular_price"
    return None


_CHECKS: Mapping[str, Callable[[str, Any], str | None]] = {
    **dict.fromkeys(WORDS, _word),
    **dict.fromkeys(FLAGS, _flag),
    **dict.fromkeys(NUMBERS, _number),
    **dict.fromkeys(DATES, _date),
    **dict.fromkeys(TEXTS, _text),
    "sku": _sku,
    "stock_quantity": _quantity,
    "categories": _categories,
    "attributes": _attributes,
    "meta_data": _meta,
}
