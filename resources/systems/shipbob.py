"""A ShipBob account as a warehouse: one method per thing we ask of it, text as sent.

A request to ship is an order there, and our key its reference, which ShipBob takes once for ever.
How an order that exists is changed is in `shipbob_changes.py`, the wire in `shipbob_api.py`.

A shipment is kept as an object we compose, because it does not tell what belongs to its order:
`{"order": {…}, "shipments": 2, "shipment": {…}}` with the order's members of `ORDER_SAYS`, the
number of its shipments, and the shipment, each exactly as sent.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import httpx

from resources.errors import ContractBroken, Missing, Refused, RemoteError
from resources.pages import NO_DATE, Broken, Raw, moment_of
from resources.systems.roles import Payload
from resources.systems.shipbob_api import (
    ORDERS_PAGE,
    Api,
    batches,
    said_at,
)
from resources.systems.shipbob_changes import Changes, is_cancelled, is_picked

ORDER_SAYS = ("id", "reference_id", "order_number", "products")
SHIPMENT_CHANGES = ("last_update_at", "last_tracking_update_at", "created_date")
RETURN_CHANGES = (
    *("insert_date", "awaiting_arrival_date", "arrived_date", "processing_date"),
    *("completed_date", "cancelled_date"),
)
OF_ORDER = "order:"
OPEN_RETURNS = "AwaitingArrival,Arrived,Processing"
#: No filter tells when a return was cancelled; older ones are cancelled by nobody.
CANCELLED_WITHIN = timedelta(days=90)


class ShipBob:
    """One account and the channel our orders are written in; fills the role `Warehouse`.

    `http` carries its address and token (`BearerAuth`); see `resources.http.client`.
    """

    def __init__(self, http: httpx.Client, system: str, channel_id: int) -> None:
        self.http, self.system = http, system
        self.api = Api(http, system, channel_id)
        self.changes = Changes(self.api)

    def ping(self) -> str:
        """Name the channel; raises SignInAgain, or Refused where it may not be written in."""
        wanted = self.api.channel_id
        for channel in self.api.channels():
            if channel.get("id") == wanted:
                return self._writable(channel)
        raise Refused(self.system, f"the token has no channel {wanted}", code="unknown_channel")

    def _writable(self, channel: Payload) -> str:
        if "orders_write" not in (channel.get("scopes") or ()):
            text = f"the token may not write orders of channel {channel['id']}"
            raise Refused(self.system, text, code="read_only")
        return f"ShipBob, channel {channel.get('name') or channel['id']}"

    # What it shall ship

    def fulfilments(self, keys: Sequence[str]) -> dict[str, Payload]:
        """The orders that exist under our keys; unknown keys are absent."""
        found: dict[str, Payload] = {}
        for batch in batches(keys):
            for order in self._bodies(self.api.orders({"ReferenceIds": ",".join(batch)})):
                if order.get("reference_id") in batch:
                    found[order["reference_id"]] = order
        return found

    def put_fulfilments(self, orders: Sequence[Payload]) -> dict[str, RemoteError]:
        """Create orders, or change those that exist; answers the refusals only.

        A change that ShipBob has no call for is refused: the order is never cancelled and made
        anew, for its reference is taken and its goods may be on the way.
        """
        there = self.fulfilments([order["reference_id"] for order in orders])
        refused: dict[str, RemoteError] = {}
        for order in orders:
            key = order["reference_id"]
            try:
                if key in there:
                    self.changes.apply(there[key], order)
                else:
                    self._create(order)
            except Refused as no:
                refused[key] = no
        return refused

    def _create(self, order: Payload) -> None:
        try:
            self.api.write("POST", "/order", order)
        except Refused as no:
            if no.code != "422":
                raise
            # A repeated reference is refused in words only; whether it is one the list tells.
            found = self.fulfilments([order["reference_id"]]).get(order["reference_id"])
            if found is None:
                raise
            self.changes.apply(found, order)

    def cancel_fulfilments(self, keys: Sequence[str]) -> dict[str, RemoteError]:
        """Cancel orders while nothing is picked; answers the refusals only."""
        refused: dict[str, RemoteError] = {}
        for key, order in self.fulfilments(keys).items():
            if is_cancelled(order):
                continue
            try:
                said = self.api.write("POST", f"/order/{order['id']}:cancel")
            except Missing:
                continue
            except Refused as no:
                if fault := self._not_cancelled(key, no.message):
                    refused[key] = fault
                continue
            if said.get("status") != "Success" and (
                fault := self._not_cancelled(key, _reasons(said))
            ):
                refused[key] = fault
        return refused

    def _not_cancelled(self, key: str, why: str) -> Refused | None:
        """What a refused cancellation means, by how the order stands now."""
        order = self.fulfilments([key]).get(key)
        if order is None or is_cancelled(order):
            return None
        code = "picked" if is_picked(order) else "cannot_cancel"
        return Refused(self.system, why or "the order is not cancelled", code=code)

    # What left, and what comes back

    def shipments_changed_since(
        self, moment: datetime, overlap: timedelta
    ) -> Iterator[list[Raw | Broken]]:
        """Yield pages of the shipments of orders that changed, oldest change first.

        ShipBob sorts by creation only, so that all is read before the first page is given out;
        what changes meanwhile is in the next window. Neighbours that did not change come too.
        """
        orders = self.api.orders({"LastUpdateStartDate": said_at(moment - overlap)})
        return self._by_change(self._shipments(orders))

    def shipments_by_id(self, ids: Sequence[str]) -> list[Raw | Broken]:
        """The shipments that exist, whole; `order:100001` stands for all of that order."""
        whole = [one.removeprefix(OF_ORDER) for one in ids if one.startswith(OF_ORDER)]
        wanted, owners = list(_numbers(ids)), dict.fromkeys(whole)
        for one in wanted:
            try:
                shipment = self.api.object("a shipment", self.api.get(f"/shipment/{one}"))
            except Missing:
                continue
            owners[str(shipment.get("order_id", ("", ""))[1])] = None
        return [
            one
            for one in self._shipments(self._orders(list(owners)))
            if one.resource_id in (None, *wanted) or _order_of(one) in whole
        ]

    def _orders(self, ids: Sequence[str]) -> Iterator[Raw | Broken]:
        for batch in batches(list(_numbers(ids))):
            orders = self.api.orders({"IDs": ",".join(batch)})
            yield from (one for one in orders if one.resource_id in batch)

    def _shipments(self, orders: Iterable[Raw | Broken]) -> Iterator[Raw | Broken]:
        for order in orders:
            if isinstance(order, Broken):
                yield order
                continue
            says = self.api.object("an order", order.text)
            text, value = says.get("shipments", ("[]", []))
            if not isinstance(value, list):
                continue
            own = ", ".join(f'"{name}": {says[name][0]}' for name in ORDER_SAYS if name in says)
            for one in self.api.cut("shipments", text):
                yield self._composed(f'{{"order": {{{own}}}, "shipments": {len(value)}', order, one)

    def _composed(self, begin: str, order: Raw, one: Raw | Broken) -> Raw | Broken:
        if isinstance(one, Broken):
            return one
        stamp = _latest(one.body, SHIPMENT_CHANGES)
        if stamp is None:
            return Broken(self.system, one.resource_id, one.text, "it does not say when it changed")
        text = f'{begin}, "shipment": {one.text}}}'
        value = {name: cut[1] for name, cut in self.api.object("a shipment", text).items()}
        return Raw(one.resource_id, text, value, stamp)

    def returns_changed_since(
        self, moment: datetime, overlap: timedelta
    ) -> Iterator[list[Raw | Broken]]:
        """Yield pages of returns that changed or are open, oldest change first.

        There is no filter for changes. Open ones come whole each time; others by when they were
        made, completed or, as far as `CANCELLED_WITHIN` reaches, cancelled.
        """
        since = said_at(moment - overlap)
        long_ago = said_at(moment - overlap - CANCELLED_WITHIN)
        found: dict[str, Raw | Broken] = {}
        for asked in (
            {"Status": OPEN_RETURNS},
            {"StartDate": since},
            {"CompletedStartDate": since},
            {"Status": "Cancelled", "StartDate": long_ago},
        ):
            for page in self.api.returns(asked):
                found |= {one.resource_id or one.text: self._dated(one) for one in page}
        return self._by_change(found.values())

    def returns_by_id(self, ids: Sequence[str]) -> list[Raw | Broken]:
        """The returns that exist, whole."""
        found: list[Raw | Broken] = []
        for batch in batches(list(_numbers(ids))):
            for page in self.api.returns({"Ids": ",".join(batch)}):
                found += [self._dated(one) for one in page if one.resource_id in (*batch, None)]
        return found

    def _dated(self, one: Raw | Broken) -> Raw | Broken:
        if isinstance(one, Broken):
            return one
        stamp = _latest(one.body, RETURN_CHANGES)
        if stamp is None:
            return Broken(self.system, one.resource_id, one.text, "it does not say when it changed")
        return replace(one, changed_at=stamp)

    def _by_change(self, rows: Iterable[Raw | Broken]) -> Iterator[list[Raw | Broken]]:
        found = sorted(rows, key=lambda one: one.changed_at if isinstance(one, Raw) else NO_DATE)
        for start in range(0, len(found), ORDERS_PAGE):
            yield found[start : start + ORDERS_PAGE]

    def _bodies(self, items: Iterable[Raw | Broken]) -> Iterator[Payload]:
        """The orders of a look-up; one that cannot be read may be ours, so it is no absence."""
        for one in items:
            if isinstance(one, Broken):
                raise ContractBroken(self.system, f"an order cannot be read: {one.reason}")
            shipments = one.body.get("shipments") or []
            if _objects(shipments) != shipments:
                raise ContractBroken(self.system, "the shipments of an order are no objects")
            yield one.body


def _order_of(one: Raw | Broken) -> str | None:
    """The id of the order a composed shipment belongs to."""
    return str(one.body["order"].get("id")) if isinstance(one, Raw) else None


def _objects(value: Any) -> list[Payload]:
    """The objects of a list; nothing where it is none."""
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _latest(body: Payload, names: Sequence[str]) -> datetime | None:
    """The latest of the moments a thing tells."""
    told: list[Any] = [body.get(name) for name in names]
    told += [step.get("timestamp") for step in _objects(body.get("status_history"))]
    return max((at for one in told if (at := moment_of(one))), default=None)


def _reasons(said: Payload) -> str:
    results = _objects(said.get("canceled_shipment_results"))
    return "; ".join(str(one["reason"]) for one in results if one.get("reason"))


def _numbers(ids: Iterable[str]) -> Iterator[str]:
    """Ids once each; what is no number is none of ShipBob's."""
    return (one for one in dict.fromkeys(ids) if one.isascii() and one.isdecimal())
