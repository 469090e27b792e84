"""The returns of a ShipBob stand-in: announced, arrived, processed unit by unit, or cancelled."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import count


@dataclass
class Return:
    """Goods that come back."""

    id: int
    reference: str | None
    shipment_id: int | None
    store_order_id: str | None
    tracking_number: str | None
    units: dict[str, int]
    #: When it came to each status, in their order.
    history: list[tuple[str, datetime]]
    return_type: str = "Regular"
    #: Units by article and what was done with them.
    taken: dict[str, dict[str, int]] = field(default_factory=dict)

    @property
    def status(self) -> str:
        """The status it came to last."""
        return self.history[-1][0]

    def since(self, status: str) -> datetime | None:
        """When it came to a status."""
        return next((at for one, at in self.history if one == status), None)


class Returns:
    """The returns of one account."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self.now = now
        self.by_id: dict[int, Return] = {}
        self._ids = count(5001)

    def announce(
        self,
        lines: Mapping[str, int],
        reference: str | None,
        shipment_id: int | None,
        store_order_id: str | None,
        tracking_number: str | None,
    ) -> int:
        """Expect goods."""
        found = Return(
            next(self._ids),
            reference,
            shipment_id,
            store_order_id,
            tracking_number,
            dict(lines),
            [("AwaitingArrival", self.now())],
        )
        self.by_id[found.id] = found
        return found.id

    def come_to(self, number: int, status: str, at: datetime | None = None) -> None:
        """Move one on; nothing moves one that is completed or cancelled."""
        found = self.by_id[number]
        if found.status in ("Completed", "Cancelled"):
            raise ValueError(f"return {number} is {found.status}")
        found.history.append((status, at or self.now()))

    def process(
        self, number: int, actions: Mapping[str, Mapping[str, int]], at: datetime | None
    ) -> None:
        """Do something with units: Restock, Quarantine or Dispose."""
        found = self.by_id[number]
        for sku, done in actions.items():
            taken = found.taken.setdefault(sku, {})
            for action, units in done.items():
                taken[action] = taken.get(action, 0) + units
        if found.status != "Processing":
            self.come_to(number, "Processing", at)
