"""What each role of system does for us, as small protocols; the clients beside this file fill
them. Payloads are in the system's own words, made and read by its mapper.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any, Protocol

from resources.errors import RemoteError
from resources.pages import Broken, Raw

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

    # What leaves, what comes back, and what is credited

    def shipments_changed_since(
        self, moment: datetime, overlap: timedelta
    ) -> Iterator[list[Raw | Broken]]:
        """Yield pages of outgoing deliveries with their lines that changed, oldest change first."""

    def shipments_of(self, orders: Sequence[int]) -> list[Raw | Broken]:
        """The outgoing deliveries of these sales orders, whole, in any state."""

    def returns_changed_since(
        self, moment: datetime, overlap: timedelta
    ) -> Iterator[list[Raw | Broken]]:
        """Yield pages of incoming returns with their lines that changed, oldest change first."""

    def deliveries(self, deliveries: Sequence[Payload]) -> dict[str, Payload]:
        """What the ERP holds of these deliveries of ours, by our key; absent: not even begun."""

    def put_deliveries(self, deliveries: Sequence[Payload]) -> dict[str, RemoteError]:
        """Post what left, in part or whole, and keep the rest open; answers the refusals only.

        A repeated call moves nothing twice: what carries our key is only brought to its end.
        """

    def credit_memos(self, keys: Sequence[str]) -> dict[str, Payload]:
        """The credit memos that exist for our keys; unknown keys are absent."""

    def put_credit_memos(self, memos: Sequence[Payload]) -> dict[str, int | RemoteError]:
        """Create drafts by our keys; a repeated call makes no second one and no second line."""

    def add_credit_memo_line(self, memo: int, line: Payload) -> None:
        """Add one line (rounding) to a draft, by its key; repeating adds nothing."""

    def post_credit_memos(self, ids: Sequence[int]) -> dict[int, RemoteError]:
        """Post drafts; answers the refusals only. Posting twice is no error."""

    def reverse_credit_memos(
        self, memos: Mapping[int, str], on: date
    ) -> dict[int, int | RemoteError]:
        """Take posted memos back by a counter entry under the key beside each; answers its id.

        A repeated call makes no second entry.
        """

    def restocks(self, restocks: Sequence[Payload]) -> dict[str, Payload]:
        """What the ERP holds of these goods that came back, by our key: a receipt of our own, or
        one somebody else booked for the same order, so that nothing is booked twice."""

    def put_restocks(self, restocks: Sequence[Payload]) -> dict[str, RemoteError]:
        """Book goods that came back: to the shelf, kept apart, or written off; refusals only.

        A repeated call moves nothing twice.
        """

    # The books

    def journals(self, keys: Sequence[str]) -> dict[str, Payload]:
        """The journal entries that exist for our keys, with lines; unknown keys are absent."""

    def put_journals(self, documents: Sequence[Payload]) -> dict[str, int | RemoteError]:
        """Create drafts by our keys; a repeated call makes no second one and no second line."""

    def post_journals(self, ids: Sequence[int]) -> dict[int, RemoteError]:
        """Post drafts; answers the refusals only. Posting twice is no error.

        An ERP may book another day than asked: the entry that is seen carries its day, and the
        call that posted it answers a refusal with the code `other_day` as well.
        """

    def invoices_changed_since(
        self, moment: datetime, overlap: timedelta
    ) -> Iterator[list[Raw | Broken]]:
        """Yield pages of invoices and credit memos to customers, with the orders they are for,
        that changed, oldest change first."""


class Warehouse(Protocol):
    """Ships what it is told to, once each, by our key.

    As with `Erp`, what writes takes a list and answers per key; `UnknownOutcome` is raised for the
    whole call, and the caller looks up.
    """

    system: str

    def ping(self) -> str:
        """Sign in and name what answers; raises SignInAgain or TryAgain."""

    def fulfilments(self, keys: Sequence[str]) -> dict[str, Payload]:
        """What the warehouse holds for our keys; unknown keys are absent."""

    def put_fulfilments(self, orders: Sequence[Payload]) -> dict[str, RemoteError]:
        """Ask it to ship, or to ship otherwise while nothing is picked; answers the refusals only.

        A repeated call makes no second one.
        """

    def cancel_fulfilments(self, keys: Sequence[str]) -> dict[str, RemoteError]:
        """Take requests back while nothing is picked; answers the refusals only.

        What is not there, or is cancelled already, is no refusal.
        """

    def shipments_changed_since(
        self, moment: datetime, overlap: timedelta
    ) -> Iterator[list[Raw | Broken]]:
        """Yield pages of shipments with lines and parcels that changed, oldest change first."""

    def shipments_by_id(self, ids: Sequence[str]) -> list[Raw | Broken]:
        """The shipments that exist, whole."""

    def returns_changed_since(
        self, moment: datetime, overlap: timedelta
    ) -> Iterator[list[Raw | Broken]]:
        """Yield pages of goods that come back, oldest change first."""

    def returns_by_id(self, ids: Sequence[str]) -> list[Raw | Broken]:
        """The returns that exist, whole."""
