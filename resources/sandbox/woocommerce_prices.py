"""How a WooCommerce stand-in reads prices and sales: what it makes of odd text, and what
is due now.

Which product has them is not known here.
"""

import re
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any
from zoneinfo import ZoneInfo

from resources.sandbox.woocommerce_till import Doc, written

#: All points but the last, and whatever is neither digit nor sign: the shop drops it in silence.
NOISE = re.compile(r"\.(?![^.]+$)|[^0-9.-]")
#: A change of any of these makes the shop work out the price anew.
PRICING = frozenset(
    {
        *("regular_price", "sale_price", "date_on_sale_from", "date_on_sale_from_gmt"),
        *("date_on_sale_to", "date_on_sale_to_gmt"),
    }
)


def cleaned(given: Any) -> str:
    """Return what the shop keeps of a price: "27,50" becomes 2750, a word becomes nothing."""
    return NOISE.sub("", str(given)) if given is not None else ""


def amount(text: str) -> Decimal | None:
    """Return a kept price as a number; none where there is none."""
    try:
        return Decimal(text) if text else None
    except InvalidOperation:
        return None


def is_on_sale(doc: Doc, now: str) -> bool:
    """Tell whether the sale price holds at a UTC stamp, by its dates alone."""
    sale, regular = amount(doc["sale_price"]), amount(doc["regular_price"])
    if sale is None or regular is None or sale >= regular:
        return False
    start, end = doc["date_on_sale_from_gmt"], doc["date_on_sale_to_gmt"]
    return (not start or start <= now) and (not end or now <= end)


def due_price(doc: Doc, now: str) -> str:
    """Return the price the product should have at a UTC stamp."""
    return str(doc["sale_price"] if is_on_sale(doc, now) else doc["regular_price"])


def price_given(doc: Doc, given: Doc, zone: ZoneInfo) -> None:
    """Write the prices and sale dates of a request; a sale above the price is dropped."""
    for name in ("regular_price", "sale_price"):
        if name in given:
            doc[name] = cleaned(given[name])
    for name in ("date_on_sale_from", "date_on_sale_to"):
        # The program asks whether they are set, so a null is passed over; "" takes them away.
        if given.get(name) is not None:
            doc |= _both(name, given[name], zone, zone)
        if given.get(f"{name}_gmt") is not None:
            doc |= _both(name, given[f"{name}_gmt"], UTC, zone)
    sale, regular = amount(doc["sale_price"]), amount(doc["regular_price"])
    if sale is None or regular is None or sale >= regular:
        doc["sale_price"] = ""


def _both(name: str, given: Any, spoken: Any, zone: ZoneInfo) -> Doc:
    """Both forms of a sale date; without offset it is taken in the zone it is spoken in."""
    try:
        moment = datetime.fromisoformat(str(given))
    except ValueError:  # "" among them; PHP reads no time in it and keeps none
        return {name: None, f"{name}_gmt": None}
    moment = moment if moment.tzinfo else moment.replace(tzinfo=spoken)
    return {name: written(moment, zone), f"{name}_gmt": written(moment, UTC)}
