"""The catalog's steps over the small world, as plain calls."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sync_assets.catalog import mapping, planning, reading, sending, sku_problems
from sync_assets.catalog.planning import Planned
from sync_assets.catalog.settling import Sent
from sync_assets.domain import ownership
from sync_assets.domain.ownership import CatalogPolicy
from tests.worlds import World

#: What the ERP's own prices are in; a world of two currencies must say so.
SAID = {
    "defaults": {"archived_becomes": "draft"},
    "stores": {"us": {"own_price_currency": "USD"}, "uk": {"own_price_currency": "GBP"}},
}


@dataclass
class Catalog:
    """The catalog of a small world."""

    world: World
    policy: CatalogPolicy

    def read(self, *, only_changed: bool = False, whole: bool = False) -> None:
        """Read what the ERP sells and what the shops show, and map it."""
        systems = self.world.systems
        for erp in systems.settings.erps:
            reading.items(systems, erp, "run", only_changed=only_changed)
        for store in self.world.shops:
            for stream in ("products", "variations"):
                reading.shop_things(systems, store, stream, "run", whole=whole)
        mapping.items(systems, "odoo", "run")
        mapping.listings(systems, "run")

    def judge(self) -> dict[str, int]:
        """Judge the SKUs."""
        return sku_problems.judge(self.world.systems, "run")

    def plan(
        self, store: str = "us", *, only_new: bool = False, groups: Sequence[str] | None = None
    ) -> Planned:
        """Plan one store."""
        return planning.plan(
            self.world.systems,
            store,
            "run",
            only_new=only_new,
            item_groups=groups,
            said=self.policy,
        )

    def send(self, store: str = "us") -> Sent:
        """Send what is due to one store."""
        return sending.send(self.world.systems, store, "run")

    def run(self, store: str = "us", **how: Any) -> tuple[Planned, Sent]:
        """Do one whole run for one store; a minute later the next one is due."""
        self.world.clock.forward(seconds=2)
        self.read()
        planned = self.plan(store, **how)
        self.world.clock.forward(seconds=2)
        sent = self.send(store)
        self.world.clock.forward(minutes=1)
        return planned, sent

    def plans(self, store: str = "us") -> dict[str, str]:
        """Action by key."""
        query = "select key, action from plan.woocommerce__products where system = :s"
        return {row["key"]: row["action"] for row in self.world.rows(query, s=store)}

    def reason(self, key: str, store: str = "us") -> str | None:
        """Why something is planned so."""
        query = "select reason from plan.woocommerce__products where system = :s and key = :k"
        return str(self.world.rows(query, s=store, k=key)[0]["reason"])

    def shown(self, sku: str, store: str = "us") -> dict[str, Any]:
        """The one product or variation the shop has with a SKU."""
        (product_id,) = self.world.shops[store].products_with(sku)
        return dict(self.world.shops[store].product_json(product_id))

    def writes(self, store: str = "us") -> int:
        """How many writes of products the shop was asked for."""
        calls = self.world.shops[store].calls
        return sum(n for name, n in calls.items() if "products" in name and _writes(name))


def _writes(name: str) -> bool:
    return name.split()[0] in ("POST", "PUT", "PATCH", "DELETE")


def catalog_of(world: World, **differently: Any) -> Catalog:
    """A catalog with a policy that says what each store's own prices are in."""
    stores = {name: {**own, **differently} for name, own in SAID["stores"].items()}
    said = {"defaults": SAID["defaults"], "stores": stores}
    return Catalog(world, ownership.parse(said, world.shops))


PRICE = Decimal("9.90")
