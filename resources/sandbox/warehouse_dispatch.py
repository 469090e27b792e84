"""What the warehouse stand-in ships of its requests, in which parcels, and what it never will."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from resources.sandbox.warehouse_book import Book, Row
from resources.sandbox.warehouse_orders import KIND, Orders

Parcel = Mapping[str, Any]
CARRIER = "UPS Ground"


class Dispatch:
    """Takes goods from the shelf, once for each call."""

    def __init__(self, book: Book, orders: Orders, stock: Mapping[str, Counter[str]]) -> None:
        self.book, self.orders, self.stock = book, orders, stock
        #: What it will not ship, told with the next shipment of the request.
        self.untold: dict[str, Counter[str]] = {}

    def ship(
        self,
        keys: Sequence[str],
        lines: Mapping[str, int] | None,
        parcels: Sequence[Parcel],
        at: datetime,
    ) -> str:
        """Send off all that is open of the requests, or `lines` of the only one."""
        place = self._place(keys)
        if lines is not None and len(keys) > 1:
            raise ValueError("lines can be told for one request at a time")
        taken = [(key, *one) for key in keys for one in self._taken(key, lines)]
        self._from_shelf(place, taken)
        for key in keys:
            self._mark(key, Counter({line: n for k, line, _, n in taken if k == key}))
        shown = [_parcel(one, len(self.book.rows["shipment"]), i) for i, one in enumerate(parcels)]
        moment = self.book.said(at)
        return self.book.new(
            "shipment",
            {
                "number": f"LS{len(self.book.rows['shipment']) + 1:06d}",
                "state": "shipped",
                "warehouse": place,
                "shipped_at": moment,
                "reference": keys[0] if len(keys) == 1 else None,
                "parcels": shown,
                "lines": _lines(taken, parcels, is_shared=len(keys) > 1),
                "cancelled": self._told(keys),
            },
        )

    def short(self, key: str, sku: str, units: int) -> None:
        """Say that so many units will not be shipped."""
        row = self.orders.row(key)
        lines, left = [], units
        for line in row["lines"]:
            less = min(left, _open(line)) if line["sku"] == sku else 0
            left -= less
            lines.append({**line, "short_units": line["short_units"] + less})
        if left:
            raise ValueError(f"{key} has only {units - left} open units of {sku}")
        self.book.change(KIND, row["id"], lines=lines)
        self.untold.setdefault(key, Counter())[sku] += units
        self._settle(key)
        sent = [one for one in self.book.rows["shipment"].values() if _is_of(one, key)]
        if sent:
            told = Counter({one["sku"]: one["units"] for one in sent[-1]["cancelled"]})
            more = self.untold.pop(key) + told
            self.book.change("shipment", sent[-1]["id"], cancelled=_counted(more))

    def _place(self, keys: Sequence[str]) -> str:
        rows = [self.orders.row(key) for key in keys]
        shut = [row["key"] for row in rows if row["state"] in ("cancelled", "refused")]
        places = {row["warehouse"] for row in rows}
        if shut or len(places) != 1:
            raise ValueError(f"{shut[0]} is closed" if shut else "they lie in different places")
        return str(places.pop())

    def _taken(self, key: str, lines: Mapping[str, int] | None) -> list[tuple[str, str, int]]:
        """Line, SKU and units that leave now."""
        wanted = None if lines is None else Counter(lines)
        found = []
        for line in self.orders.row(key)["lines"]:
            units = _open(line) if wanted is None else min(_open(line), wanted[line["sku"]])
            if wanted is not None:
                wanted[line["sku"]] -= units
            if units:
                found.append((line["key"], line["sku"], units))
        if not found or (wanted is not None and any(wanted.values())):
            raise ValueError(f"{key} has not so much open")
        return found

    def _from_shelf(self, place: str, taken: Sequence[tuple[str, str, str, int]]) -> None:
        needed: Counter[str] = Counter()
        for _, _, sku, units in taken:
            needed[sku] += units
        for sku, units in needed.items():
            if self.stock[place][sku] < units:
                raise ValueError(f"{place} has {self.stock[place][sku]} of {sku}, not {units}")
        self.stock[place].subtract(needed)

    def _mark(self, key: str, shipped: Counter[str]) -> None:
        row = self.orders.row(key)
        lines = [
            {**line, "shipped_units": line["shipped_units"] + shipped[line["key"]]}
            for line in row["lines"]
        ]
        self.book.change(KIND, row["id"], lines=lines)
        self.orders.effects["ship", key] += 1
        self._settle(key)

    def _settle(self, key: str) -> None:
        """The state that the units of a request show."""
        lines = self.orders.row(key)["lines"]
        shipped, is_open = any(n["shipped_units"] for n in lines), any(map(_open, lines))
        if shipped:
            self.orders.move(key, "part_shipped" if is_open else "shipped")
        elif not is_open:
            self.orders.move(key, "refused", "nothing of it is there")

    def _told(self, keys: Sequence[str]) -> list[Row]:
        told: Counter[str] = Counter()
        for key in keys:
            told += self.untold.pop(key, Counter())
        return _counted(told)


def _is_of(shipment: Row, key: str) -> bool:
    return key in (shipment["reference"], *(line["reference"] for line in shipment["lines"]))


def _open(line: Row) -> int:
    return int(line["units"] - line["shipped_units"] - line["short_units"])


def _counted(units: Counter[str]) -> list[Row]:
    return [{"sku": sku, "units": n} for sku, n in sorted(units.items()) if n]


def _parcel(said: Parcel, shipment: int, place: int) -> Row:
    number = f"1Z999AA1{shipment + 1:06d}{place:04d}"
    return {
        "tracking_number": said.get("tracking_number", number),
        "carrier": said.get("carrier", CARRIER),
        "tracking_url": said.get("tracking_url"),
        "weight_g": said.get("weight_g"),
    }


def _lines(
    taken: Sequence[tuple[str, str, str, int]], parcels: Sequence[Parcel], is_shared: bool
) -> list[Row]:
    """Each line, cut where its units lie in several parcels whose contents are known."""
    contents: list[Counter[str]] = [Counter(one.get("lines", {})) for one in parcels]
    only = 0 if len(parcels) == 1 else None
    found = []
    for key, line, sku, units in taken:
        left = units
        base = {"sku": sku, "line_key": line, "reference": key if is_shared else None}
        for place, content in enumerate(contents):
            here = min(left, content[sku])
            if here:
                content[sku] -= here
                left -= here
                found.append({**base, "units": here, "parcel": place})
        if left:
            found.append({**base, "units": left, "parcel": only})
    return found
