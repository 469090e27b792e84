"""A small world that ships: two shops, an ERP, a warehouse over HTTP with two places, and the steps
of the subject shipments as plain calls.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from sqlalchemy import Engine

from resources import settings
from resources.errors import RemoteError
from resources.sandbox.easypost import EasyPostStandIn
from resources.sandbox.faults import StandIn
from resources.sandbox.warehouse import WarehouseStandIn
from resources.store import inbox
from resources.store.engine import connected
from sensors.webhooks.signatures import Genuine, sender_of
from sync_assets.catalog import mapping as item_mapping
from sync_assets.reading import Tally, each_source
from sync_assets.returns import refunds, settling
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

SECRET = "s3cret-of-the-north"
#: How the warehouse and the tracking account sign what they push.
HOOKS: dict[str, Any] = {
    "north": {"scheme": "hmac", "secrets": [SECRET]},
    "track": {"scheme": "easypost", "secrets": ["sécret"]},
}
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
STOCK = {place: dict.fromkeys(("TEA", "MUG", "POT"), 1000) for place in ("EAST", "WEST")}


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
    #: What systems that were away or said no let a step end with.
    faults: list[RemoteError] = field(default_factory=list)

    @property
    def systems(self) -> Any:
        return self.world.systems

    def configure(self, **said: Mapping[str, Any]) -> None:
        """Add systems to the configuration, as its file would say them."""
        config = self.systems.settings
        more = settings.Settings.model_validate(said)
        self.systems.settings = config.model_copy(
            update={name: {**getattr(config, name), **getattr(more, name)} for name in said}
        )

    def connect(self, **stand_ins: StandIn) -> None:
        """Let stand-ins answer instead of the network."""
        more = {name: one.transport() for name, one in stand_ins.items()}
        self.systems.transports = {**self.systems.transports, **more}

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
        """Ask every system that ships for what is new; one that is away stops nobody."""
        for kind in kinds_that_ship(self.systems.settings):
            names = systems_of(self.systems.settings, kind)
            if kind == "files":
                self._each(names, "files", files.read)
            else:
                self._each(names, "shipments", reading.shipments)
        self._each(list(self.systems.settings.carriers), "trackers", reading.trackers)

    def _each(self, names: list[str], stream: str, read: Callable[..., Tally]) -> None:
        found = each_source(
            self.systems, names, stream, lambda name: read(self.systems, name, "run")
        )
        self.faults += found.faults

    def core(self) -> None:
        """Map what was said, and work out what orders have come to."""
        for kind in kinds_that_ship(self.systems.settings):
            mapping.shipments(self.systems, kind, "run")
        reading.carriers_answers(self.systems, "run")
        tracking.from_easypost(self.systems, "run")
        tracking.from_carriers(self.systems, "run")
        acknowledging.from_files(self.systems, "run")
        fulfilling.fulfil(self.systems, "run")

    def plan(self) -> planning.Plans:
        """Plan what everybody must be told."""
        return planning.plan(self.systems, "run")

    def send(self) -> None:
        """Tell them; a system that ends one step does not end the others."""
        config, systems = self.systems.settings, self.systems
        for kind in kinds_that_ship(config):
            self._act(sending.fulfilment_orders_of, systems, kind, "run", silent)
            for name in systems_of(config, kind):
                self._act(acknowledging.look_again, systems, kind, name)
        for kind in ERP_KINDS:
            self._act(sending.deliveries_of, systems, kind, "run", silent)
        self._act(sending.notices, systems, "run", silent)
        self._act(sending.completions, systems, "run", silent)

    def _act(self, act: Callable[..., Any], *given: Any) -> None:
        try:
            act(*given)
        except RemoteError as error:
            self.faults.append(error)

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
        """Let the orders subject follow what changed in the shops, and know their refunds."""
        self.world.run()
        for store in self.world.shops:
            refunds.read(self.systems, store, "run")
        refunds.map_refunds(self.systems, "run")
        settling.settle(self.systems, "run")

    def all_run(self, times: int = 1) -> None:
        """Let orders and shipments take turns."""
        for _ in range(times):
            self.shop_run()
            self.run()

    def refund(self, order_ref: str, units: Mapping[str, int]) -> None:
        """Give the customer money back in the shop for units that shall not be shipped."""
        store, order_id = self.place_of(order_ref)
        lines = {line["sku"]: line for line in self.order(order_ref)["line_items"]}
        self.world.shops[store].refund(
            order_id,
            lines=[
                {
                    "id": lines[sku]["id"],
                    "quantity": count,
                    "refund_total": str(float(lines[sku]["price"]) * count),
                }
                for sku, count in units.items()
            ],
        )

    def deliver(self, sender: str, headers: Mapping[str, str], body: bytes) -> None:
        """Let a sender push something that it signed; our receiver's rules judge and keep it."""
        endpoint, now = self.systems.settings.webhooks[sender], self.world.clock()
        raw = {name.lower().encode(): value.encode() for name, value in headers.items()}
        verdict = sender_of(sender, endpoint).judge(raw, body, now)
        assert isinstance(verdict, Genuine), verdict
        kept = [
            inbox.Delivery(endpoint.scheme, sender, one.topic, one.resource_id, one.body, "c", now)
            for one in verdict.said
        ]
        with connected(self.systems.engine) as connection:
            inbox.append(connection, kept)

    def heard(self) -> list[tuple[str, str, str | None]]:
        """What became of every delivery: topic, state and outcome."""
        rows = self.world.rows("select topic, state, outcome from ops.inbox order by id")
        return [(row["topic"], row["state"], row["outcome"]) for row in rows]

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

    def place_of(self, order_ref: str) -> tuple[str, int]:
        """Store and number of an order."""
        store, _, order_id = order_ref.partition(":")
        return store, int(order_id)

    def order(self, order_ref: str) -> dict[str, Any]:
        """The order as its shop shows it."""
        store, order_id = self.place_of(order_ref)
        return self.world.shops[store].order_json(order_id)

    def status(self, order_ref: str) -> str:
        """The order's status in its shop."""
        return str(self.order(order_ref)["status"])

    def notes(self, order_ref: str) -> list[str]:
        """What the customer was told by note."""
        store, order_id = self.place_of(order_ref)
        notes = self.world.shops[store].notes_of(order_id)
        return [note["note"] for note in notes if note["customer_note"]]

    def pickings(self, order_ref: str) -> list[tuple[str, dict[str, int]]]:
        """The ERP's parcels to the customer: state and units by SKU, of those done what left."""
        found = self.world.erp.pickings_of(order_ref)
        return [
            (one["state"], {sku: int(n) for sku, n in one[_of(one["state"])].items() if n})
            for one in found
            if one["kind"] == "outgoing"
        ]

    def writes(self) -> Counter[tuple[str, str]]:
        """Every write by operation and state."""
        return Counter(
            (row["operation"], row["state"])
            for row in self.world.rows("select operation, state from ops.outbox")
            if not row["operation"].startswith("sales_order.")
        )

    def open_codes(self) -> dict[str, set[str]]:
        """Codes of all open exceptions by what they are about."""
        found: dict[str, set[str]] = {}
        for row in self.world.rows(
            "select subject_ref, code from ops.exception where state='open'"
        ):
            found.setdefault(row["subject_ref"], set()).add(row["code"])
        return found

    def stock(self, place: str, units: Mapping[str, int]) -> None:
        """Know what a place has on hand."""
        now = self.world.clock()
        for sku, count in units.items():
            self.world.execute(
                "update core.stock_level_versions set replaced_at = :now "
                "where sku = :sku and location = :place and replaced_at is null",
                now=now,
                sku=sku,
                place=place,
            )
            self.world.execute(
                "insert into core.stock_level_versions (sku, location, source, on_hand_units, "
                "allocated_units, quarantined_units, incoming_units, true_at, known_at) "
                "values (:sku, :place, 'north', :units, 0, 0, 0, :now, :now)",
                now=now,
                sku=sku,
                place=place,
                units=count,
            )


def _of(state: str) -> str:
    return "done" if state == "done" else "asked"


def shipping_world(engine: Engine, home: Path, *, version: int = 18) -> ShippingWorld:
    """A small world with a warehouse and a tracking account; needs `SYNC_CONFIG` in `home`."""
    world = small_world(engine, version)
    north = WarehouseStandIn(now=world.clock, places=STOCK)
    track = EasyPostStandIn(now=world.clock, key="key")
    ship = ShippingWorld(world, north, track, home)
    ship.configure(warehouses={"north": NORTH}, carriers={"track": TRACK}, webhooks=HOOKS)
    ship.connect(north=north, track=track)
    ship.rules(POLICY)
    item_mapping.items(world.systems, "odoo", "run")
    return ship
