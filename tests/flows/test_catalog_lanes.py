"""A full push of the catalog lets stock and orders go first, on one account with one limit."""

from dataclasses import replace
from datetime import datetime
from decimal import Decimal

import httpx

from resources.http import in_lane
from tests.catalogs import catalog_of
from tests.worlds import World


def test_a_call_about_stock_or_an_order_goes_before_the_next_batch_of_a_push(
    world: World,
) -> None:
    clock, shop = world.clock, world.shops["us"]
    world.erp.add_products([(f"P-{n:03}", f"Product {n}", Decimal(5), None) for n in range(350)])
    us = world.systems.settings.stores["us"].model_copy(
        update={"calls_per_second": 2.0, "burst": 5}
    )
    stores = {**world.systems.settings.stores, "us": us}
    pushes: list[datetime] = []
    waits: dict[str, list[float]] = {"stock": [], "order": [], "catalog": []}

    def answer(request: httpx.Request) -> httpx.Response:
        """Let somebody else ask the shop in the middle of every batch of the push."""
        if request.url.path.endswith("products/batch"):
            pushes.append(clock())
            for lane, waited in waits.items():
                began = clock()
                with in_lane(lane), systems.shop("us") as other:
                    other.ping()
                waited.append((clock() - began).total_seconds())
        return shop.handle(request)

    systems = replace(
        world.systems,
        settings=world.systems.settings.model_copy(update={"stores": stores}),
        transports={**world.systems.transports, "us": httpx.MockTransport(answer)},
        sleep=lambda seconds: clock.forward(seconds=seconds),
    )
    catalog = catalog_of(replace(world, systems=systems))
    _, sent = catalog.run()
    assert (sent.created, len(pushes)) == (353, 4)
    # Stock never waits, an order for the next token, the catalog until half the burst is there.
    assert waits == {"stock": [0.0] * 4, "order": [1.0] * 4, "catalog": [2.0] * 4}
