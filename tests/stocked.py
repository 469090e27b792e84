"""The steps of the stock pipeline on the small world, as plain calls."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sync_assets.inventory import computing, levels, movements, reading, reserving
from tests.worlds import World


@dataclass
class Stock:
    """What a test does with stock, and what our tables say of it."""

    world: World
    kind: str = "odoo"

    def read(self, *, only_moved: bool = False) -> None:
        """Read moves, then levels: all of them, or of what moved."""
        for erp in self.world.systems.settings.erps:
            reading.stock_moves(self.world.systems, erp, "run")
            reading.stock_levels(self.world.systems, erp, "run", only_moved=only_moved)

    def core(self) -> levels.Levels:
        """Map moves and levels."""
        movements.map_moves(self.world.systems, self.kind, "run")
        return levels.map_levels(self.world.systems, self.kind, "run")

    def reserve(self, *, whole: bool = False) -> reserving.Reserved:
        """Work out reservations."""
        return reserving.reserve(self.world.systems, "run", whole=whole)

    def compute(self, *, whole: bool = False) -> computing.Computed:
        """Work out what channels may sell."""
        return computing.compute(self.world.systems, "run", whole=whole)

    def run(self, *, only_moved: bool = False) -> None:
        """Do one run of the stock pipeline; a minute later the next one is due."""
        self.world.clock.forward(seconds=2)
        self.read(only_moved=only_moved)
        self.core()
        self.reserve()
        self.compute()
        self.world.clock.forward(minutes=1)

    def levels(self, sku: str) -> dict[str, tuple[int, int]]:
        """On hand and allocated units by location."""
        query = "select * from core.stock_levels where sku = :sku order by location"
        rows = self.world.rows(query, sku=sku)
        return {row["location"]: (row["on_hand_units"], row["allocated_units"]) for row in rows}

    def sellable(self, sku: str) -> dict[str, int]:
        """Units by channel."""
        query = "select * from core.availability where sku = :sku order by channel"
        return {r["channel"]: r["sellable_units"] for r in self.world.rows(query, sku=sku)}

    def reservations(self, order_ref: str) -> dict[str, tuple[str, int]]:
        """State and open units by SKU."""
        query = "select * from core.reservations where order_ref = :ref order by sku"
        rows = self.world.rows(query, ref=order_ref)
        return {row["sku"]: (row["state"], row["open_units"]) for row in rows}

    def versions(self, sku: str, location: str) -> Sequence[dict[str, Any]]:
        """Every level of a SKU at a place, the oldest first."""
        return self.world.rows(
            "select * from core.stock_level_versions where sku = :sku and location = :location "
            "order by known_at",
            sku=sku,
            location=location,
        )
