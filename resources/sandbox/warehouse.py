"""A warehouse that speaks our plain contract, as a stand-in: several places, stock in each, and
people at the shelves who pick, ship, run short and take goods back when they are told to.

The wire is here; requests, shipments and returns are in the parts beside this file.
"""

import hmac
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import unquote

import httpx

from resources.sandbox.faults import Faults, StandIn
from resources.sandbox.warehouse_book import Book, Row, revision_of
from resources.sandbox.warehouse_dispatch import Dispatch, Parcel
from resources.sandbox.warehouse_orders import KIND, Denied, Orders
from resources.sandbox.warehouse_returns import Returns

PLACES = {"EAST": {"SKU-1": 100, "SKU-2": 100}, "WEST": {"SKU-1": 100, "SKU-2": 100}}
LISTS = {"shipments": "shipment", "returns": "return"}
ORDERS = "fulfilment-orders"
MOST_NAMES, MOST_ROWS = 50, 250


class WarehouseStandIn(StandIn):
    """One warehouse company behind one token."""

    name = "warehouse"
    controls = frozenset(
        (
            *("pick", "hold", "ship", "short", "refuse_sku", "go_silent", "speak"),
            *("receive_return", "inspect_return", "count", "on_hand"),
        )
    )

    def __init__(
        self,
        *,
        now: Callable[[], datetime],
        token: str = "token",  # noqa: S107
        places: Mapping[str, Mapping[str, int]] | None = None,
        faults: Faults | None = None,
    ) -> None:
        super().__init__(faults)
        self.token, self.now = token, now
        self.stock = {place: Counter(shelf) for place, shelf in (places or PLACES).items()}
        self.book = Book(now)
        self.orders = Orders(self.book, self.stock)
        self.dispatch = Dispatch(self.book, self.orders, self.stock)
        self.returns = Returns(self.book, self.stock)

    # The wire

    def operation(self, request: httpx.Request) -> str:
        """Name of the call, as in `PUT fulfilment-orders/{key}`."""
        first, *rest = _segments(request)
        return " ".join((request.method, "/".join([first, *["{key}", *rest[1:]][: len(rest)]])))

    def answer(self, request: httpx.Request) -> httpx.Response:
        """Do what is asked and answer it, or say why not."""
        try:
            self._check_token(request)
            return self._routed(request)
        except Denied as no:
            error = {"code": no.code, "message": no.message, "fields": list(no.fields)}
            return httpx.Response(no.status, json={"error": error})

    def stale(self, request: httpx.Request) -> httpx.Response:
        """Answer a read from the state before the newest change."""
        if request.method != "GET":
            return self.answer(request)
        with self.book.as_before():
            return self.answer(request)

    def throttled(self, seconds: float) -> httpx.Response:
        """Too many calls."""
        error = {"code": "too_many_calls", "message": "slow down", "fields": []}
        return httpx.Response(429, headers={"Retry-After": f"{seconds:g}"}, json={"error": error})

    def _check_token(self, request: httpx.Request) -> None:
        given = request.headers.get("Authorization", "")
        if not hmac.compare_digest(given.encode(), f"Bearer {self.token}".encode()):
            raise Denied(401, "unauthorized", "the token is not known here")

    def _routed(self, request: httpx.Request) -> httpx.Response:
        match (request.method, *_segments(request)):
            case ("GET", "ping"):
                return httpx.Response(200, json={"name": "Example Fulfilment", "contract": 1})
            case ("GET", "fulfilment-orders"):
                names = _names(request, "keys")
                return _listed(self.book.named(KIND, names, by="key"), None)
            case ("GET", ("shipments" | "returns") as path):
                return self._things(LISTS[path], request)
            case ("PUT", "fulfilment-orders", key):
                status, row = self.orders.put(key, _body(request))
                return httpx.Response(status, json=row)
            case ("POST", "fulfilment-orders", key, "cancel"):
                return httpx.Response(200, json=self.orders.cancel(key))
        raise Denied(404, "no_such_address", "there is nothing at this address")

    def _things(self, kind: str, request: httpx.Request) -> httpx.Response:
        asked = request.url.params
        if "ids" in asked:
            return _listed(self.book.named(kind, _names(request, "ids")), None)
        try:
            since = datetime.fromisoformat(asked["changed_since"])
            limit = min(MOST_ROWS, max(1, int(asked.get("limit", "100"))))
            revision_of(asked.get("cursor", "cjA"))
            is_aware = since.tzinfo is not None
        except (KeyError, ValueError) as fault:
            raise Denied(
                400, "bad_query", "changed_since, cursor or limit cannot be read"
            ) from fault
        if not is_aware:
            raise Denied(400, "bad_query", "changed_since has no offset", "changed_since")
        return _listed(*self.book.changed(kind, since, asked.get("cursor"), limit))

    # The people at the shelves

    def pick(self, key: str) -> None:
        """Begin to pick; from here on it cannot be changed or cancelled."""
        self._check_open(key)
        self.orders.move(key, "picking")

    def hold(self, key: str, reason: str) -> None:
        """Keep it back for a reason."""
        self._check_open(key)
        self.orders.move(key, "on_hold", reason)

    def _check_open(self, key: str) -> None:
        state = self.orders.row(key)["state"]
        if state not in ("waiting", "acknowledged", "on_hold", "picking"):
            raise ValueError(f"{key} is {state}")

    def ship(
        self,
        key: str | Sequence[str],
        lines: Mapping[str, int] | None = None,
        parcels: Sequence[Parcel] = ({},),
        at: datetime | None = None,
    ) -> str:
        """Ship what is open, or `lines` by SKU, of one request or of several; returns the id.

        A parcel may say its tracking_number, carrier, weight_g, tracking_url, and its lines by SKU.
        """
        keys = [key] if isinstance(key, str) else list(key)
        return self.dispatch.ship(keys, lines, parcels, at or self.now())

    def short(self, key: str, sku: str, units: int) -> None:
        """Say that so many units will not be shipped; none left at all refuses the request."""
        self.dispatch.short(key, sku, units)

    def refuse(self, what: str | Callable[[Mapping[str, Any]], bool], reason: str) -> None:
        """Refuse from now on requests with this SKU, or those of which the function says yes."""

        def has_sku(body: Mapping[str, Any]) -> bool:
            return any(line["sku"] == what for line in body["lines"])

        self.orders.refusals.append((has_sku if isinstance(what, str) else what, reason))

    def refuse_sku(self, sku: str, reason: str) -> None:
        """Refuse requests with this SKU, told from another process."""
        self.refuse(sku, reason)

    def go_silent(self) -> None:
        """Take everything and acknowledge nothing."""
        self.orders.is_silent = True

    def speak(self) -> None:
        """Acknowledge what waits, and what comes."""
        self.orders.is_silent = False
        for key in self.orders.ids:
            if self.orders.row(key)["state"] == "waiting":
                self.orders.move(key, "acknowledged")

    def receive_return(
        self,
        reference: str | None,
        lines: Sequence[Mapping[str, Any]],
        tracking: str | None = None,
        place: str | None = None,
        reason: str = "",
    ) -> str:
        """Take goods in, as in [{"sku": "SKU-1", "units": 2, "restock": 1}]; returns the id."""
        where = place or next(iter(self.stock))
        return self.returns.receive(reference, lines, tracking, where, reason)

    def inspect_return(self, name: str, dispositions: Mapping[str, Mapping[str, int]]) -> None:
        """Say by SKU what becomes of units, as in {"SKU-1": {"restock": 1, "write_off": 1}}."""
        self.returns.inspect(name, dispositions)

    # What a test asks

    def on_hand(self, place: str, sku: str) -> int:
        """Units on the shelf."""
        return self.stock[place][sku]

    def count(self, effect: str, key: str | None = None) -> int:
        """How often something happened: create, change, cancel, ship; of one key or of all.

        `count("create")` is the number of distinct requests.
        """
        return sum(
            times
            for (what, whose), times in self.orders.effects.items()
            if what == effect and key in (None, whose)
        )

    def webhook(self, topic: str, thing: str, secret: str) -> tuple[dict[str, str], bytes]:
        """Headers and body of a delivery about a thing, by its id or, for a request, our key."""
        kind = topic.partition(".")[0]
        row = self.orders.row(thing) if kind == KIND else self.book.rows[kind][thing]
        body = json.dumps(row).encode()
        signature = hmac.new(secret.encode(), body, "sha256").hexdigest()
        headers = {"Content-Type": "application/json", "X-Topic": topic, "X-Signature": signature}
        return headers, body


def _segments(request: httpx.Request) -> list[str]:
    path = request.url.raw_path.decode("ascii").partition("?")[0]
    return [unquote(word) for word in path.strip("/").split("/")]


def _names(request: httpx.Request, name: str) -> list[str]:
    names = [one for one in request.url.params.get(name, "").split(",") if one]
    if not 0 < len(names) <= MOST_NAMES:
        raise Denied(400, "bad_query", f"name 1 to {MOST_NAMES} of them", name)
    return names


def _body(request: httpx.Request) -> Row:
    try:
        body = json.loads(request.content)
    except ValueError as fault:
        raise Denied(400, "not_json", "the body is not JSON") from fault
    if not isinstance(body, dict):
        raise Denied(400, "not_json", "the body is not an object")
    return body


def _listed(rows: Sequence[Row], following: str | None) -> httpx.Response:
    return httpx.Response(200, json={"items": list(rows), "next": following})
