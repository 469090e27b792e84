"""The publishing assets as Dagster runs them: from a delivery and a number to the shop."""

import dagster as dg
import pytest

from sync_assets.inventory import publishing_assets as publishing
from sync_assets.outcomes import URGENT
from tests import published
from tests.published import number, open_shops
from tests.worlds import World


@pytest.mark.parametrize("tags", [{}, {URGENT: "true"}])
def test_a_run_brings_numbers_to_the_shops_and_tells_what_it_did(
    world: World, tags: dict[str, str]
) -> None:
    open_shops(world)
    number(world, "TEA", 7)
    number(world, "MUG", 3, "uk")
    assets = publishing.build(world.systems.settings)
    found = dg.materialize(
        [one for one in assets if one.key != publishing.DRIFT],
        resources={"systems": world.systems},
        tags=tags,
    )
    assert found.success
    assert world.shops["us"].stock_of("TEA") == 7
    assert world.shops["uk"].stock_of("MUG") == 3
    told = found.asset_materializations_for_node("receipt__woocommerce__stock")[0].metadata
    assert told["outcomes"].value == {"set": 2}
    assert published.planned(world) == {}


def test_a_store_is_compared_as_a_partition(world: World) -> None:
    open_shops(world)
    number(world, "TEA", 10)
    published.plan(world)
    published.count_orders(world)
    world.shops["us"].overwrite_stock("TEA", 14)
    found = dg.materialize(
        [publishing.stock_drift(world.systems.settings)],
        resources={"systems": world.systems},
        partition_key="us",
    )
    told = found.asset_materializations_for_node("core__stock_drift")[0].metadata
    assert (told["different"].value, told["off_units"].value, told["healed"].value) == (1, 4, 1)
    assert told["exposed"].value == "39.60 USD"
