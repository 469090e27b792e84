"""Requests to ship in the warehouse stand-in: what it takes, what it refuses, until when it can be
changed. What it then ships is in `warehouse_dispatch.py`.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from resources.sandbox.warehouse_book import Book, Row

KIND = "fulfilment_order"
#: States in which somebody is at the shelf, or was.
PICKED = ("picking", "part_shipped", "shipped")
Refusal = Callable[[Mapping[str, Any]], bool]


class Denied(Exception):
    """A call that is answered with an error body."""

    def __init__(self, status: int, code: str, message: str, *fields: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.fields = status, code, message, fields


class Orders:
    """The requests by our key, and what this warehouse will not ship."""

    def __init__(self, book: Book, stock: Mapping[str, Counter[str]]) -> None:
        self.book, self.stock = book, stock
        self.bodies: dict[str, Row] = {}
        self.ids: dict[str, str] = {}
        self.refusals: list[tuple[Refusal, str]] = []
        self.is_silent = False
        #: Effects by name and key.
        self.effects: Counter[tuple[str, str]] = Counter()

    def row(self, key: str) -> Row:
        """What is held under a key; a caller of the stand-in must know what it sent."""
        return self.book.rows[KIND][self.ids[key]]

    def put(self, key: str, body: Row) -> tuple[int, Row]:
        """Take a request, or another version of it."""
        held = self.ids.get(key) and self.row(key)
        if held and self.bodies[key] == body:
            return 200, held
        self._check_shape(key, body)
        if held:
            _check_change(held, body)
        self._check_refusals(body)
        self.bodies[key] = body
        state = "waiting" if self.is_silent else "acknowledged"
        fields = {**_fields(body, self.place(body)), "state": state, "reason": ""}
        self.effects["change" if held else "create", key] += 1
        if held:
            self.book.change(KIND, self.ids[key], **fields)
            return 200, self.row(key)
        number = f"FO-{len(self.ids) + 1:05d}"
        self.ids[key] = self.book.new(KIND, {"key": key, "number": number, **fields})
        return 201, self.row(key)

    def cancel(self, key: str) -> Row:
        """Take a request back while nothing is picked."""
        if key not in self.ids:
            raise Denied(404, "not_found", "no fulfilment order has this key")
        state = self.row(key)["state"]
        if state in PICKED:
            raise Denied(409, "already_picked", f"it is {state} and cannot be cancelled")
        if state != "cancelled":
            self.effects["cancel", key] += 1
            self.move(key, "cancelled")
        return self.row(key)

    def move(self, key: str, state: str, reason: str = "") -> None:
        """Bring a request into another state."""
        self.book.change(KIND, self.ids[key], state=state, reason=reason)

    def place(self, body: Mapping[str, Any]) -> str:
        """The place it is to ship from; named or the only one."""
        if not body["warehouse"] and len(self.stock) == 1:
            return next(iter(self.stock))
        return str(body["warehouse"])

    def _check_shape(self, key: str, body: Row) -> None:
        faults = [] if body.get("key") == key else ["key"]
        faults += [] if _is_count(body.get("version")) else ["version"]
        faults += [] if isinstance(body.get("warehouse"), str) else ["warehouse"]
        ship_to, lines = body.get("ship_to"), body.get("lines")
        for name in ("name", "street", "city", "country"):
            if not isinstance(ship_to, dict) or not ship_to.get(name):
                faults.append(f"ship_to.{name}")
        if not isinstance(lines, list) or not lines:
            faults.append("lines")
        for at, line in enumerate(lines if isinstance(lines, list) else []):
            faults += [f"lines[{at}].{name}" for name in ("key", "sku") if not line.get(name)]
            faults += [] if _is_count(line.get("units")) else [f"lines[{at}].units"]
        if faults:
            raise Denied(422, "invalid", "parts of the request are missing or wrong", *faults)

    def _check_refusals(self, body: Row) -> None:
        place = self.place(body)
        if place not in self.stock:
            raise Denied(422, "unknown_warehouse", "we have no such place", "warehouse")
        known = {sku for shelf in self.stock.values() for sku in shelf}
        strange = [
            f"lines[{at}].sku" for at, n in enumerate(body["lines"]) if n["sku"] not in known
        ]
        if strange:
            raise Denied(422, "unknown_sku", "we do not stock this article", *strange)
        for is_meant, reason in self.refusals:
            if is_meant(body):
                raise Denied(422, "refused", reason)


def _check_change(held: Row, body: Row) -> None:
    if held["state"] == "cancelled":
        raise Denied(409, "cancelled", "it was cancelled; ask again under another key")
    if body["version"] < held["version"]:
        raise Denied(409, "outdated", f"we hold version {held['version']}")
    if held["state"] in PICKED:
        raise Denied(409, "already_picked", f"it is {held['state']} and cannot be changed")


def _fields(body: Row, place: str) -> Row:
    return {
        "version": body["version"],
        "warehouse": place,
        "lines": [
            {
                "key": line["key"],
                "sku": line["sku"],
                "units": line["units"],
                "shipped_units": 0,
                "short_units": 0,
            }
            for line in body["lines"]
        ],
    }


def _is_count(value: object) -> bool:
    return type(value) is int and value > 0
