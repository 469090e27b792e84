"""What deliveries name of products and variations, read again from the shop.

How hints are followed is in `sync_assets/hints.py`. What was read is kept raw; mapping it to
listings is the catalog's. A delivery that only shows our own last write is counted as an echo: it
changes no number, so it makes no new plan.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from resources.pages import Broken, Raw
from resources.store import raw
from resources.store.engine import connected
from resources.store.frames import read_rows
from resources.systems.woocommerce import WooCommerce
from resources.wiring import Systems
from sync_assets import hints
from sync_assets.domain.orders import Rejected
from sync_assets.hints import PRODUCTS, Found, Thing
from sync_assets.mappers import woocommerce_products as mapper
from sync_assets.reading import Tally


@dataclass
class Followed:
    """What following a store's product deliveries brought."""

    tally: Tally = field(default_factory=Tally)
    #: Readings that show our own write and nothing else.
    echoes: int = 0


def follow(systems: Systems, store: str, run_id: str | None) -> Followed:
    """Read again the products and variations a store's deliveries name, until none is due."""
    done = Followed()

    def things(shop: WooCommerce, reading: raw.Reading) -> Mapping[str, Thing]:
        def ask(keys: Iterable[str]) -> Found:
            found = shop.products_by_id(keys)
            done.echoes += echoes(systems, store, found)
            return found

        return {"product": Thing(ask, table_of)}

    done.tally = hints.follow(systems, store, run_id, PRODUCTS, things)
    return done


def table_of(one: Raw | Broken) -> str:
    """The raw table of a product or variation: the shop lists them apart."""
    is_variation = isinstance(one, Raw) and one.body.get("type") == "variation"
    return "woocommerce__variations" if is_variation else "woocommerce__products"


def echoes(systems: Systems, store: str, found: Found) -> int:
    """Count what shows the number we wrote last, unchanged since."""
    whole = {int(one.resource_id): one.body for one in found if isinstance(one, Raw)}
    with connected(systems.engine) as connection:
        rows = read_rows(
            connection,
            "select distinct on (product_id) product_id, read_back_units, shop_changed_at "
            "from receipt.woocommerce__stock where system = :store and product_id = any(:ids) "
            "and written_units is not null order by product_id, id desc",
            store=store,
            ids=list(whole),
        )
    return sum(_is_echo(whole[int(row["product_id"])], row) for row in rows)


def _is_echo(payload: Mapping[str, Any], written: Mapping[str, Any]) -> bool:
    try:
        seen = mapper.stock_seen(payload)
    except Rejected:  # told where it is mapped
        return False
    return (seen["stock_units"], seen["changed_at"]) == (
        written["read_back_units"],
        written["shop_changed_at"],
    )
