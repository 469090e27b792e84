"""A ShipBob account that answers the calls of API 2026-01 a warehouse needs: stateful, with its
limit of calls, its pages and its words of refusal.

Here are the door, the routes, the handles for tests and the webhooks; orders are in
`shipbob_orders.py`, returns in `shipbob_returns.py`, their JSON in `shipbob_answers.py`, lists in
`shipbob_lists.py`. Not imitated: products, stock and receiving, returns made over the API,
cancelling one shipment, logs, billing.
"""

import json
import re
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import count
from typing import Any

import httpx

from resources.sandbox.faults import Faults, StandIn
from resources.sandbox.shipbob_answers import CHANNEL_NAME, Articles, Teller
from resources.sandbox.shipbob_lists import page_of_orders, page_of_returns
from resources.sandbox.shipbob_orders import Declined, Doc, Order, Orders, invalid
from resources.sandbox.shipbob_returns import Return, Returns
from resources.sandbox.shipbob_webhooks import signed

VERSION = "/2026-01"
MINUTE = timedelta(minutes=1)
ROUTES = {
    name: re.compile(re.escape(VERSION + name).replace(r"\{id\}", r"(\d+)"))
    for name in (
        *("/channel", "/order", "/order/{id}", "/order/{id}:cancel", "/shipment/{id}"),
        *("/shipment/{id}:updateAddress", "/shipment/{id}:getLineItems"),
        *("/shipment/{id}:updateLineItems", "/return", "/return/{id}"),
    )
}


class ShipBobStandIn(StandIn):
    """One account with one channel of ours and one fulfilment center."""

    name = "shipbob"
    controls = frozenset(
        {
            *("pick", "hold", "release", "ship", "deliver", "cancel", "announce_return"),
            *("receive_return", "process_return", "cancel_return", "order_json", "count"),
        }
    )

    def __init__(
        self,
        *,
        now: Callable[[], datetime],
        token: str = "pat_test",  # noqa: S107 - invented, for an account that does not exist
        channel_id: int = 7001,
        location: int = 8,
        webhook_secret: str = "whsec_c2hpcGJvYi10ZXN0LXNlY3JldC0wMDAx",  # noqa: S107
        calls_per_minute: int = 150,
        bundles: Mapping[str, Mapping[str, int]] | None = None,
        read_only: bool = False,
        faults: Faults | None = None,
    ) -> None:
        super().__init__(faults)
        self.now, self.token, self.channel_id = now, token, channel_id
        self.webhook_secret, self.calls_per_minute = webhook_secret, calls_per_minute
        self.read_only = read_only
        self.orders, self.returns = Orders(now, location), Returns(now)
        self.tell = Teller(Articles(bundles or {}), location)
        self._remember()
        self._recent: deque[datetime] = deque()
        self._messages = count(1)

    # The door

    def operation(self, request: httpx.Request) -> str:
        """Name of the call, as in `POST /order/{id}:cancel`."""
        return f"{request.method} {_route(request)[0]}"

    def answer(self, request: httpx.Request) -> httpx.Response:
        """Do what is asked and answer it, or say no in ShipBob's words."""
        wait, left = self._wait(), self.calls_per_minute - len(self._recent)
        if wait is not None:
            return self.throttled(wait)
        try:
            status, body = self._answer(request)
        except Declined as refusal:
            status, body = refusal.status, refusal.body
        return _response(status, body, {"x-remaining-calls": str(left)})

    def throttled(self, seconds: float) -> httpx.Response:
        """Too many calls in the last minute."""
        text = f"Rate limit is exceeded. Try again in {seconds:g} seconds."
        headers = {"x-retry-after": f"{seconds:g}", "x-remaining-calls": "0"}
        return _response(429, {"statusCode": 429, "message": text}, headers)

    def stale(self, request: httpx.Request) -> httpx.Response:
        """Answer a read from the state before the newest change."""
        if request.method != "GET":
            return self.answer(request)
        kept = self.orders.by_id, self.returns.by_id
        self.orders.by_id, self.returns.by_id = self._before
        try:
            return self.answer(request)
        finally:
            self.orders.by_id, self.returns.by_id = kept

    def _wait(self) -> int | None:
        """Count the call; answers the seconds to wait where it is one too many."""
        now = self.now()
        while self._recent and now - self._recent[0] >= MINUTE:
            self._recent.popleft()
        if len(self._recent) < self.calls_per_minute:
            self._recent.append(now)
            return None
        return max(1, -int(-(MINUTE - (now - self._recent[0])).total_seconds() // 1))

    def _answer(self, request: httpx.Request) -> tuple[int, Any]:
        if request.headers.get("Authorization") != f"Bearer {self.token}":
            raise Declined(401, {"statusCode": 401, "message": "Authorization missing or invalid"})
        route, number = _route(request)
        act = ACTIONS.get((request.method, route))
        if act is None:
            raise Declined(404)
        if request.method != "GET":
            self._check_channel(request)
            self._remember(*self._meant(route, number))
        return act(self, request, number)

    def _check_channel(self, request: httpx.Request) -> None:
        given = request.headers.get("shipbob_channel_id")
        if given is None:
            raise invalid("shipbob_channel_id", "The shipbob_channel_id header is required.")
        if given != str(self.channel_id) or self.read_only:
            raise Declined(403, {"statusCode": 403, "message": "No access to this resource."})

    def _meant(self, route: str, number: int) -> list[Order]:
        """The order a write is about."""
        if route.startswith("/shipment"):
            return [self.orders.holding(number)]
        return [self._order(number)] if number else []

    def _remember(self, *touched: Order | Return) -> None:
        """Keep what is about to change as it is, for reads that come from before."""
        orders = {one.id: deepcopy(one) for one in touched if isinstance(one, Order)}
        returns = {one.id: deepcopy(one) for one in touched if isinstance(one, Return)}
        self._before = (self.orders.by_id | orders, self.returns.by_id | returns)

    # What is asked over HTTP

    def channels(self, request: httpx.Request, number: int) -> tuple[int, Any]:
        """The channels the token reaches; each account has one it cannot write in."""
        scopes = ["orders_read", "returns_read"]
        ours = scopes if self.read_only else [*scopes, "orders_write", "returns_write"]
        items = [
            {"id": 1, "name": "ShipBob Default", "application_name": "SMA", "scopes": scopes},
            {
                "id": self.channel_id,
                "name": CHANNEL_NAME,
                "application_name": "PAT",
                "scopes": ours,
            },
        ]
        return 200, {"items": items, "next": None, "prev": None}

    def list_orders(self, request: httpx.Request, number: int) -> tuple[int, Any]:
        """One page of orders, of one channel where the header names it."""
        channel = request.headers.get("shipbob_channel_id")
        orders = self.orders.by_id.values()
        named = [one for one in orders if channel in (None, str(one.channel_id))]
        page = page_of_orders(named, dict(request.url.params))
        return 200, [self.tell.order(one) for one in page]

    def read_order(self, request: httpx.Request, number: int) -> tuple[int, Any]:
        """One order."""
        return 200, self.tell.order(self._order(number))

    def create_order(self, request: httpx.Request, number: int) -> tuple[int, Any]:
        """Take an order in."""
        body = _body(request)
        for name in ("reference_id", "shipping_method", "type", "recipient", "products"):
            if not body.get(name):
                raise invalid(name, f"The {name} field is required.")
        return 201, self.tell.order(self.orders.add(body, self.channel_id))

    def cancel_order(self, request: httpx.Request, number: int) -> tuple[int, Any]:
        """Call an order off, as far as nobody has its goods in hand."""
        order = self._order(number)
        told = self.orders.cancel(order)
        failed = sum(why is not None for why in told.values())
        status = "Success" if not failed else "PartialSuccess" if failed < len(told) else "Failure"
        results = [
            {"shipment_id": one, "action": "Cancel", "is_success": why is None, "reason": why}
            for one, why in told.items()
        ]
        answer = {"order_id": order.id, "status": status, "order": self.tell.order(order)}
        return 200, {**answer, "canceled_shipment_results": results}

    def read_shipment(self, request: httpx.Request, number: int) -> tuple[int, Any]:
        """One shipment."""
        return 200, self.tell.shipment(self.orders.shipment(number))

    def read_line_items(self, request: httpx.Request, number: int) -> tuple[int, Any]:
        """What one shipment holds."""
        return 200, self.tell.line_items(self.orders.shipment(number))

    def update_address(self, request: httpx.Request, number: int) -> tuple[int, Any]:
        """Send a shipment elsewhere."""
        body = _body(request)
        if not (body.get("street_address1") and body.get("city")):
            return 400, {"code": "INVALID_PARAMETER", "message": "The address is not complete."}
        return 200, _done(number, self.orders.move(self.orders.shipment(number), body))

    def update_line_items(self, request: httpx.Request, number: int) -> tuple[int, Any]:
        """Ship other numbers of what a shipment holds; the list must be whole."""
        shipment = self.orders.shipment(number)
        names = {self.tell.articles.id(sku): sku for sku in shipment.units}
        items = _body(request).get("items") or []
        units = {names.get(one["inventory_id"], ""): one["quantity"] for one in items}
        return 200, _done(number, self.orders.set_units(shipment, units))

    def list_returns(self, request: httpx.Request, number: int) -> tuple[int, Any]:
        """One page of returns."""
        returns = list(self.returns.by_id.values())
        return 200, page_of_returns(returns, dict(request.url.params), self.tell.goods_back)

    def read_return(self, request: httpx.Request, number: int) -> tuple[int, Any]:
        """One return."""
        return 200, self.tell.goods_back(self._return(number))

    def _order(self, number: int) -> Order:
        if number not in self.orders.by_id:
            raise Declined(404)
        return self.orders.by_id[number]

    def _return(self, number: int) -> Return:
        if number not in self.returns.by_id:
            raise Declined(404, {"title": "Not Found", "status": 404})
        return self.returns.by_id[number]

    # What happens in the warehouse, for tests and the demo

    def pick(self, reference: str) -> None:
        """Take an order's goods off their shelves: it can be neither changed nor cancelled."""
        self._remember(self.orders.of(reference))
        self.orders.pick(reference)

    def hold(self, reference: str, reason: str, says: str = "", *, status: str = "OnHold") -> None:
        """Keep an order back; `reason` is ShipBob's name, as InvalidAddress or OutOfStock."""
        self._remember(self.orders.of(reference))
        self.orders.hold(reference, reason, says, status)

    def release(self, reference: str) -> None:
        """Go on with an order that was kept back."""
        self._remember(self.orders.of(reference))
        self.orders.release(reference)

    def ship(
        self,
        reference: str,
        lines: Mapping[str, int] | None = None,
        parcels: Sequence[Mapping[str, Any]] = (),
        at: datetime | None = None,
    ) -> list[int]:
        """Send what is left of an order, or `lines` of it; answers the ids of the shipments.

        A parcel may say `tracking_number`, `carrier`, `service`, `weight_oz` and its own `lines`;
        each becomes a shipment, as one box is one there.
        """
        self._remember(self.orders.of(reference))
        boxes = [{"lines": lines, **parcel} for parcel in parcels or ({},)]
        return self.orders.ship(reference, boxes, at)

    def deliver(self, shipment: int, at: datetime | None = None) -> None:
        """Let the carrier say that the customer has a shipment."""
        self._remember(self.orders.holding(shipment))
        self.orders.deliver(shipment, at)

    def cancel(self, reference: str) -> None:
        """Let a person cancel an order in ShipBob's own pages."""
        self._remember(self.orders.of(reference))
        self.orders.cancel(self.orders.of(reference))

    def announce_return(
        self,
        lines: Mapping[str, int],
        *,
        reference: str | None = None,
        shipment: int | None = None,
        tracking_number: str | None = None,
    ) -> int:
        """Expect goods; answers the id of the return."""
        self._remember()
        number = None
        if shipment is not None:
            number = self.orders.holding(shipment).body.get("order_number")
        return self.returns.announce(lines, reference, shipment, number, tracking_number)

    def receive_return(self, number: int, at: datetime | None = None) -> None:
        """Let the parcel arrive."""
        self._remember(self.returns.by_id[number])
        self.returns.come_to(number, "Arrived", at)

    def process_return(
        self,
        number: int,
        actions: Mapping[str, Mapping[str, int]],
        at: datetime | None = None,
        *,
        is_last: bool = True,
    ) -> None:
        """Decide on units: `{"TEE": {"Restock": 1, "Dispose": 1}}`; the last ones complete it."""
        self._remember(self.returns.by_id[number])
        self.returns.process(number, actions, at)
        if is_last:
            self.returns.come_to(number, "Completed", at)

    def cancel_return(self, number: int) -> None:
        """Give up waiting for goods."""
        self._remember(self.returns.by_id[number])
        self.returns.come_to(number, "Cancelled")

    def order_json(self, reference: str) -> Doc:
        """An order as the API tells it."""
        return self.tell.order(self.orders.of(reference))

    def count(self, reference: str | None = None) -> int:
        """How many orders there are, or under one reference."""
        held = [one.body["reference_id"] for one in self.orders.by_id.values()]
        return len(held) if reference is None else held.count(reference)

    def webhook(self, topic: str, thing: str | int) -> tuple[dict[str, str], bytes]:
        """A signed delivery: of an order by its reference, a shipment or a return by its id."""
        if topic.startswith("order.shipment."):
            told = self.tell.shipment(self.orders.shipment(int(thing)))
        elif topic.startswith("order."):
            told = self.order_json(str(thing))
        else:
            told = self.tell.goods_back(self._return(int(thing)))
        body = _json(told).encode()
        message = f"msg_{next(self._messages):027d}"
        return signed(self.webhook_secret, message, self.now(), topic, body), body


Action = Callable[[ShipBobStandIn, httpx.Request, int], tuple[int, Any]]
ACTIONS: dict[tuple[str, str], Action] = {
    ("GET", "/channel"): ShipBobStandIn.channels,
    ("GET", "/order"): ShipBobStandIn.list_orders,
    ("POST", "/order"): ShipBobStandIn.create_order,
    ("GET", "/order/{id}"): ShipBobStandIn.read_order,
    ("POST", "/order/{id}:cancel"): ShipBobStandIn.cancel_order,
    ("GET", "/shipment/{id}"): ShipBobStandIn.read_shipment,
    ("GET", "/shipment/{id}:getLineItems"): ShipBobStandIn.read_line_items,
    ("PUT", "/shipment/{id}:updateAddress"): ShipBobStandIn.update_address,
    ("POST", "/shipment/{id}:updateLineItems"): ShipBobStandIn.update_line_items,
    ("GET", "/return"): ShipBobStandIn.list_returns,
    ("GET", "/return/{id}"): ShipBobStandIn.read_return,
}


def _route(request: httpx.Request) -> tuple[str, int]:
    """The route of a call, and the id in it."""
    path = request.url.path
    for name, pattern in ROUTES.items():
        if found := pattern.fullmatch(path):
            return name, int(found[1]) if found.groups() else 0
    return path, 0


def _body(request: httpx.Request) -> Doc:
    try:
        body = json.loads(request.content, parse_float=Decimal)
    except ValueError as fault:
        raise invalid("", "The JSON value could not be read.") from fault
    if not isinstance(body, dict):
        raise invalid("", "A non-empty request body is required.")
    return body


def _done(number: int, why_not: str | None) -> Doc:
    """How a change of a shipment ended; one that failed is answered 200 too."""
    if why_not is None:
        return {"id": number, "is_success": True}
    error = {"code": "VALIDATION_ERROR", "message": why_not}
    return {"id": number, "is_success": False, "error": error}


def _json(value: Any) -> str:
    return json.dumps(value, default=float)


def _response(status: int, body: Any, headers: Mapping[str, str]) -> httpx.Response:
    text = _json(body) if body != "" else ""
    return httpx.Response(
        status, headers={"Content-Type": "application/json", **headers}, text=text
    )
