"""What each role of system does for us, as small protocols; the clients beside this file fill
them. Payloads are in the system's own words, made and read by its mapper.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Protocol

from resources.errors import RemoteError

Payload = dict[str, Any]

#: Names of an ERP's master data to its ids, by kind: {"company": {"Acme Ltd": 2}, "tax": {…}}.
References = Mapping[str, Mapping[str, int]]


class Erp(Protocol):
    """Takes sales orders once each, by our key.

    Every method that writes takes a list and answers per key, so that one bad thing does not stop
    its neighbours; `UnknownOutcome` is raised for the whole call, and the caller looks up.
    """

    system: str

    def ping(self) -> str:
        """Sign in and name the version; raises SignInAgain or TryAgain."""

    def references(self) -> References:
        """Ids of companies, warehouses, taxes, currencies … by the names people configure."""

    def items(self, after_id: int = 0) -> Iterator[list[Payload]]:
        """Yield pages of sellable items, archived ones too, in the order of their ids."""

    def items_changed_since(self, moment: datetime, overlap: timedelta) -> Iterator[list[Payload]]:
        """Yield pages of items of which anything a catalog shows changed since, prices too."""

    def stock_levels(
        self, warehouses: Sequence[str], items: Sequence[int] | None = None
    ) -> Iterator[list[Payload]]:
        """Yield pages of stock by item and warehouse code, of all stocked items or of `items`."""

    def moved_since(self, moment: datetime, overlap: timedelta) -> Iterator[list[Payload]]:
        """Yield pages of stock movements, planned ones too, that changed since."""

    def orders(self, keys: Sequence[str]) -> dict[str, Payload]:
        """The sales orders that exist for our keys; unknown keys are absent."""

    def put_parties(self, parties: Sequence[Payload]) -> dict[str, int | RemoteError]:
        """Create or update customers and addresses by our keys; answers their ids."""

    def put_orders(self, orders: Sequence[Payload]) -> dict[str, int | RemoteError]:
        """Create drafts by our keys; a repeated call makes no second one and no second line."""

    def add_line(self, order: int, line: Payload) -> None:
        """Add one line (rounding) to a draft, by its key; repeating adds nothing."""

    def confirm(self, ids: Sequence[int]) -> dict[int, RemoteError]:
        """Confirm drafts; answers the refusals only. Confirming twice is no error."""

    def cancel(self, ids: Sequence[int]) -> dict[int, RemoteError]:
        """Cancel orders; answers the refusals only. Cancelling twice is no error."""

    def unconfirmed_stock(self, ids: Sequence[int]) -> set[int]:
        """Those of the confirmed orders for which not all units could be reserved."""
