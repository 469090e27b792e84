"""`sync-assets catalog`: what differs, one product in full, and whose word counts."""

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from resources.store import postgres
from tests.catalogs import catalog_of
from tests.desk import desk, said
from tests.worlds import World


@pytest.fixture
def office(world: World, database: postgres.Databases, tmp_path: Path) -> Iterator[World]:
    """A shop that calls one product otherwise than the ERP, and asks another price of it."""
    catalog = catalog_of(world)
    catalog.run()
    shop = world.shops["us"]
    shop.edit_product(catalog.shown("TEA")["id"], name="Golden Tea", regular_price="8.00")
    world.clock.forward(seconds=2)
    catalog.read()
    catalog.plan()
    with desk(world, database, tmp_path):
        yield world
    postgres.drop_database(database, f"{database.store.database}_dagster")


def test_what_differs_is_listed_and_counted(office: World) -> None:
    told = said("catalog", "mismatches", "--json").json
    assert [
        (row["key"], row["field"], row["wanted"], row["seen"], row["treatment"])
        for row in told["mismatches"]
    ] == [
        ("TEA", "name", "Tea", "Golden Tea", "accepted"),
        ("TEA", "regular_price", "9.9", "8", "put_back"),
    ]
    assert [row["products"] for row in told["counts"]] == [1, 1]
    alone = said("catalog", "mismatches", "--field", "name", "--store", "us", "--json").json
    assert len(alone["mismatches"]) == 1
    assert "Golden Tea" in said("catalog", "mismatches").out
    none = said("catalog", "mismatches", "--store", "uk")
    assert none.out == "Shops and ERPs say the same of every product.\n"


def test_what_differs_can_be_taken_into_a_spreadsheet(office: World) -> None:
    lines = said("catalog", "mismatches", "--csv").out.splitlines()
    assert lines[0] == "store,key,product_id,field,wanted,seen,owner,treatment,since"
    assert lines[1].startswith("us,TEA,")
    assert ",name,Tea,Golden Tea,shop,accepted," in lines[1]


def test_an_unknown_field_is_a_clear_mistake(office: World) -> None:
    told = said("catalog", "mismatches", "--field", "colour")
    assert told.code == 2
    assert "--field is one of name, description" in told.err


def test_one_product_is_shown_with_all_that_is_known_of_it(office: World) -> None:
    told = said("catalog", "products", "tea", "--json").json
    assert [row["item_group"] for row in told["products"]] == ["All"]
    assert [Decimal(str(row["amount"])) for row in told["prices"]] == [Decimal("9.9")]
    assert [(row["store"], row["name"]) for row in told["listings"]] == [("us", "Golden Tea")]
    assert [(row["store"], row["action"]) for row in told["plans"]] == [("us", "change")]
    assert [row["outcome"] for row in told["receipts"]] == ["created"]
    unknown = said("catalog", "products", "NOPE")
    assert (unknown.code, unknown.out) == (1, "No ERP and no shop has NOPE.\n")


def test_the_policy_is_shown_and_its_mistakes_are_told(office: World, tmp_path: Path) -> None:
    told = said("catalog", "policy", "--json").json
    assert told["file"] is None
    owners = {row["field"]: row["owner"] for row in told["fields"] if row["store"] == "us"}
    assert (owners["regular_price"], owners["name"]) == ("erp", "shop")
