"""Products our client and mapper write to the stand-in shop are read back as they were wanted."""

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from resources.errors import RemoteError
from resources.http import Manners, client
from resources.pages import Raw
from resources.systems.woocommerce import WooCommerce
from sync_assets.domain.catalog import Listing
from sync_assets.mappers import woocommerce_products as products
from tests.contracts.woocommerce_shop import NOON, Clock, store

ALL = frozenset(Listing.model_fields) - {"key", "parent_key", "fields_to_write"}
CATEGORIES = [("Home", "Lamps & Bulbs"), ("Garden",)]
LAMP = Listing(
    key="LAMP",
    sku="LAMP",
    kind="simple",
    name="Lamp",
    description="Bright\nand warm",
    regular_price=Decimal("24.90"),
    sale_price=Decimal("19.50"),
    sale_from=NOON + timedelta(days=1),
    sale_until=NOON + timedelta(days=3),
    weight="0.8",
    barcode="4006381333931",
    categories=(CATEGORIES[0],),
    images=("https://dam.test/lamp-800x600.jpg",),
    attributes={"Color": ("Red", "Blue")},
    fields_to_write=ALL,
)
TEE = Listing(
    key="odoo:7",
    sku=None,
    kind="variable",
    name="Tee",
    categories=(CATEGORIES[1],),
    attributes={"Size": ("S", "M")},
    fields_to_write=ALL,
)
SIZES = [
    Listing(
        key=f"TEE-{size}",
        sku=f"TEE-{size}",
        kind="variation",
        parent_key="odoo:7",
        name="Tee",
        description="Soft",
        regular_price=Decimal("9.90"),
        attributes={"Size": (size,)},
        fields_to_write=ALL,
    )
    for size in ("S", "M")
]
WANTED = {one.key: one for one in (LAMP, TEE, *SIZES)}


class Round:
    """One stand-in shop, its client, and what was written to it."""

    def __init__(self) -> None:
        self.clock = Clock()
        shop = store(self.clock)
        http = client(
            "us",
            shop.home,
            Manners(attempts=1),
            auth=("ck_test", "cs_test"),
            transport=shop.transport(),
            sleep=lambda _: None,
        )
        self.woo = WooCommerce(http, "us")
        self.categories: Any = self.woo.put_categories(CATEGORIES)
        self.ids: dict[str, int] = {}

    def push(self) -> dict[str, Any]:
        """Write everything as if nothing were known of the shop."""
        said = self.woo.put_products([self.write(LAMP), self.write(TEE)])
        parent = said["odoo:7"]
        assert not isinstance(parent, RemoteError)
        said |= self.woo.put_products([self.write(one, parent["id"]) for one in SIZES])
        self.ids = {key: body["id"] for key, body in said.items() if isinstance(body, dict)}
        return said

    def write(self, wanted: Listing, parent: int | None = None) -> dict[str, Any]:
        fields = products.product_fields(wanted, self.categories)
        return {"key": wanted.key, "id": None, "parent": parent, "fields": fields}

    def differences(self, body: dict[str, Any]) -> dict[str, Any]:
        """What a shown product has otherwise than wanted."""
        row = products.listing(body, "us", self.woo.categories())
        wanted = products.as_listed(WANTED[body["sku"]])
        return {name: row[name] for name, value in wanted.items() if row[name] != value}

    def read(self, pages: Callable[..., Any]) -> list[dict[str, Any]]:
        """What changed in the last hour."""
        self.clock.tick(60)
        now = self.clock()
        read = [item for page in pages(now - timedelta(hours=1), now) for item in page]
        return [item.body for item in read if isinstance(item, Raw) and item.body["sku"] in WANTED]


@pytest.fixture
def shop() -> Round:
    return Round()


def test_the_answer_to_a_write_shows_what_was_wanted(shop: Round) -> None:
    said = shop.push()

    assert {key: shop.differences(body) for key, body in said.items()} == {
        one: {} for one in WANTED
    }


def test_what_is_read_later_shows_it_too(shop: Round) -> None:
    shop.push()

    changed = shop.read(shop.woo.products_changed_since)
    changed += shop.read(shop.woo.variations_changed_since)

    assert sorted(body["sku"] for body in changed) == sorted(WANTED)
    assert [shop.differences(body) for body in changed] == [{}] * 4


def test_pushing_twice_makes_nothing_twice(shop: Round) -> None:
    shop.push()
    first = dict(shop.ids)

    said = shop.push()

    assert shop.ids == first
    assert all(body["existed"] for body in said.values())


def test_a_quantity_that_is_put_is_seen_and_no_other_field_moves(shop: Round) -> None:
    shop.push()
    ids = shop.ids
    fields = products.stock_fields(5, "notify", 4)
    write = {"key": "TEE-S", "id": ids["TEE-S"], "parent": ids["odoo:7"], "fields": fields}

    answer: Any = shop.woo.put_products([write])["TEE-S"]
    light = shop.woo.stock_of([(ids["LAMP"], None), (ids["TEE-S"], ids["odoo:7"])])

    assert products.stock_seen(answer)["lead_days"] == 4
    assert shop.differences(answer) == {}
    seen = {key: products.stock_seen(body) for key, body in light.items()}
    assert (seen[ids["TEE-S"]]["stock_units"], seen[ids["TEE-S"]]["backorders"]) == (5, "notify")
    assert (seen[ids["LAMP"]]["stock_management"], seen[ids["LAMP"]]["stock_units"]) == ("no", None)


def test_a_trashed_product_is_seen_in_the_trash_and_comes_back_with_its_old_id(shop: Round) -> None:
    shop.push()
    lamp = shop.ids["LAMP"]

    assert shop.woo.trash_products([lamp, shop.ids["TEE-M"]]) == {}

    [trashed] = shop.read(shop.woo.products_trashed_since)
    assert (trashed["id"], trashed["status"]) == (lamp, "trash")
    assert [body["sku"] for body in shop.read(shop.woo.variations_trashed_since)] == ["TEE-M"]
    back: Any = shop.woo.put_products([shop.write(LAMP)])["LAMP"]
    assert (back["id"], back["status"], back["existed"]) == (lamp, "publish", True)
