"""A small world that ships: two shops, an ERP, a warehouse over HTTP with two places, and the steps
of the subject shipments as plain calls.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from sqlalchemy import Engine

from resources import settings
from resources.sandbox.easypost import EasyPostStandIn
from resources.sandbox.warehouse import WarehouseStandIn
from sync_assets.catalog import mapping as item_mapping
from sync_assets.shipments import (
    acknowledging,
    files,
    fulfilling,
    mapping,
    planning,
    reading,
    sending,
    tracking,
)
from sync_assets.shipments.things import ERP_KINDS, kinds_that_ship, systems_of
from tests.worlds import World, small_world

NORTH = {"kind": "http", "url": "https://north.test", "token": "token", "poll_seconds": 1}
TRACK = {"kind": "easypost", "url": "https://track.test", "key": "key", "poll_seconds": 1}
#: Both places of the warehouse serve the US store; the UK one is shipped by the ERP.
POLICY: dict[str, Any] = {
    "version": 1,
    "places": {
        "east": {"system": "north", "code": "EAST", "assumes_stock": True},
        "west": {"system": "north", "code": "WEST", "assumes_stock": True},
        "uk_own": {"system": "odoo", "code": "UK1", "assumes_stock": True},
    },
    "stores": {
        "us": {"ship_from": ["east", "west"], "split": "when_needed"},
        "uk": {"ship_from": ["uk_own"]},
    },
}
STOCK = {place: dict.fromkeys(("TEA", "MUG", "POT"), 100) for place in ("EAST", "WEST")}


def silent(line: str) -> None:
    """Whom nobody tells how a batch went."""


@dataclass
class ShippingWorld:
    """A world whose accepted orders leave warehouses."""

    world: World
    north: WarehouseStandIn
    track: EasyPostStandIn
    home: Path
    policy: dict[str, Any] = field(default_factory=dict)

    @property
    def systems(self) -> Any:
        return self.world.systems

    def rules(self, change: Mapping[str, Any]) -> None:
        """Write another fulfilment policy."""
        self.policy = {**self.policy, **change}
        (self.home / "policies").mkdir(exist_ok=True)
        (self.home / "policies" / "fulfilment.yaml").write_text(yaml.safe_dump(self.policy))

    def place(self, store: str = "us", **more: Any) -> str:
        """Place an order and have the ERP accept it; answers our key."""
        order_id = self.world.place(store, **more)
        self.world.run()
        return f"{store}:{order_id}"

    def read(self) -> None:
        """Ask every system that ships for what is new."""
        for kind in kinds_that_ship(self.systems.settings):
            for name in systems_of(self.systems.settings, kind):
                if kind == "files":
                    files.read(self.systems, name, "run")
                else:
                    reading.shipments(self.systems, name, "run")

    def core(self) -> None:
        """Map what was said, and work out what orders have come to."""
        for kind in kinds_that_ship(self.systems.settings):
            mapping.shipments(self.systems, kind, "run")
        for carrier in self.systems.settings.carriers:
            reading.trackers(self.systems, carrier, "run")
        reading.carriers_answers(self.systems, "run")
        tracking.from_easypost(self.systems, "run")
        tracking.from_carriers(self.systems, "run")
        acknowledging.from_files(self.systems, "run")
        fulfilling.fulfil(self.systems, "run")

    def plan(self) -> planning.Plans:
        """Plan what everybody must be told."""
        return planning.plan(self.systems, "run")

    def send(self) -> None:
        """Tell them."""
        config = self.systems.settings
        for kind in kinds_that_ship(config):
            sending.fulfilment_orders_of(self.systems, kind, "run", silent)
            for name in systems_of(config, kind):
                acknowledging.look_again(self.systems, kind, name)
        for kind in ERP_KINDS:
            sending.deliveries_of(self.systems, kind, "run", silent)
        sending.notices(self.systems, "run", silent)
        sending.completions(self.systems, "run", silent)

    @property
    def steps(self) -> list[Callable[[], Any]]:
        """The steps of one run, in order."""
        return [self.read, self.core, self.plan, self.send]

    def run(self, times: int = 1) -> None:
        """Do whole runs, a minute apart."""
        for _ in range(times):
            self.world.clock.forward(seconds=2)
            for step in self.steps:
                step()
            self.world.clock.forward(minutes=1)

    def shop_run(self) -> None:
        """Let the orders subject follow what changed in the shops."""
        self.world.run()

    def states(self, order_ref: str) -> dict[str, str]:
        """Where each request of an order stands."""
        rows = self.world.rows(
            "select fulfilment_ref, state from core.fulfilment_orders where order_ref = :r",
            r=order_ref,
        )
        return {row["fulfilment_ref"]: row["state"] for row in rows}

    def progress(self, order_ref: str) -> dict[str, dict[str, int]]:
        """What each line of an order has come to, by SKU; what is nothing is left out."""
        rows = self.world.rows(
            "select * from core.order_line_progress where order_ref = :r", r=order_ref
        )
        return {
            row["sku"]: {
                name.removesuffix("_units"): count
                for name, count in row.items()
                if name.endswith("_units") and count
            }
            for row in rows
        }

    def steps_of(self, ref: str) -> list[str]:
        """The states a subject went through."""
        rows = self.world.rows(
            "select to_state from core.saga_steps where subject_ref = :r order by id", r=ref
        )
        return [row["to_state"] for row in rows]

    def order(self, order_ref: str) -> dict[str, Any]:
        """The order as its shop shows it."""
        store, _, order_id = order_ref.partition(":")
        return self.world.shops[store].order_json(int(order_id))


def shipping_world(engine: Engine, home: Path, *, version: int = 18) -> ShippingWorld:
    """A small world with a warehouse and a tracking account; needs `SYNC_CONFIG` in `home`."""
    world = small_world(engine, version)
    north = WarehouseStandIn(now=world.clock, places=STOCK)
    track = EasyPostStandIn(now=world.clock, key="key")
    old = world.systems.settings
    parsed = settings.Settings.model_validate(
        {"warehouses": {"north": NORTH}, "carriers": {"track": TRACK}}
    )
    world.systems.settings = old.model_copy(
        update={"warehouses": parsed.warehouses, "carriers": parsed.carriers}
    )
    world.systems.transports = {
        **world.systems.transports,
        "north": north.transport(),
        "track": track.transport(),
    }
    ship = ShippingWorld(world, north, track, home)
    ship.rules(POLICY)
    item_mapping.items(world.systems, "odoo", "run")
    return ship
