"""Stock of a Tryton database by product and warehouse, and the moves that change it.

What a warehouse holds is the field `quantity` of a product, read in the context of that
warehouse. What is promised and what comes in are sums of open moves over its border:
`forecast_quantity` gives only their balance, and leaves out what was planned for a day gone by.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from resources.errors import Missing
from resources.systems.tryton_rpc import Payload, Session, batches

#: A hundred quantities take the server about a tenth of a second.
LEVEL_PAGE, MOVE_PAGE = 500, 1000
ARCHIVED_TOO = ["active", "in", [True, False]]
#: A service has no stock; a kit has that of its components.
STOCKED = ["template.type", "in", ["goods", "assets"]]
#: `staging` moves are not decided on yet; Tryton does not count them either.
OPEN = ["state", "in", ["draft", "assigned"]]
MOVE_FIELDS = (
    *("product", "product.code", "state", "quantity", "internal_quantity"),
    *("from_location", "to_location", "planned_date", "effective_date"),
    *("shipment", "origin", "last_modified_at"),
)
PLACE_FIELDS = ("code", "name", "type", "parent", "waste_warehouses")


class Stock:
    """Quantities and moves, through one session."""

    def __init__(
        self,
        rpc: Session,
        quarantine_places: Collection[str] = (),
        today: Callable[[], date] | None = None,
    ) -> None:
        self.rpc = rpc
        self.quarantine_places = frozenset(quarantine_places)
        self._today = today or self._their_today

    def levels(
        self, warehouses: Sequence[str], items: Sequence[int] | None = None
    ) -> Iterator[list[Payload]]:
        """Yield a page per warehouse and batch of products; by id, also those without stock."""
        places = self._warehouses(warehouses)
        set_apart = {code: self._quarantine(place) for code, place in places.items()}
        for products in self._products() if items is None else self._named(items):
            for code, place in places.items():
                yield self._levels(products, code, place, set_apart[code])

    def _levels(
        self, products: Mapping[int, str | None], code: str, place: int, apart: Sequence[int]
    ) -> list[Payload]:
        ids = list(products)
        # Promises first: what ships between the calls is then missing twice, never there twice.
        allocated = self._open(ids, "from_location", "to_location", place, apart)
        incoming = self._open(ids, "to_location", "from_location", place, ())
        quarantined = self._quantities(ids, apart) if apart else {}
        on_hand = self._quantities(ids, [place])
        return [
            {
                "id": number,
                "sku": sku,
                "warehouse": code,
                "on_hand": on_hand.get(number, Decimal()),
                "allocated": allocated.get(number, Decimal()),
                "quarantined": quarantined.get(number, Decimal()),
                "incoming": incoming.get(number, Decimal()),
            }
            for number, sku in products.items()
        ]

    def _quantities(self, ids: Sequence[int], places: Sequence[int]) -> dict[int, Decimal]:
        """What lies in these places together; several warehouses would be added up as well."""
        rows = self.rpc.search(
            "product.product",
            [["id", "in", list(ids)], ARCHIVED_TOO],
            ("quantity",),
            locations=list(places),
            with_childs=True,
            stock_date_end=self._today(),
        )
        return {row["id"]: Decimal(row["quantity"]) for row in rows}

    def _open(
        self, ids: Sequence[int], inner: str, outer: str, place: int, apart: Sequence[int]
    ) -> dict[int, Decimal]:
        """Units of open moves with one end in the warehouse and the other outside of it.

        A delivery has two lists of moves; only those that leave the building cross the border.
        """
        domain: list[Any] = [
            ["product", "in", list(ids)],
            OPEN,
            [inner, "child_of", [place], "parent"],
            [outer, "not child_of", [place], "parent"],
        ]
        if apart:  # what leaves from there was never for sale
            domain.append([inner, "not child_of", list(apart), "parent"])
        found: dict[int, Decimal] = {}
        for row in self.rpc.search("stock.move", domain, ("product", "internal_quantity")):
            units = Decimal(row["internal_quantity"])
            found[row["product"]] = found.get(row["product"], Decimal()) + units
        return found

    # Which products, which places

    def _products(self) -> Iterator[dict[int, str | None]]:
        after = 0
        while True:
            domain = [["id", ">", after], ARCHIVED_TOO, STOCKED]
            page = self.rpc.search("product.product", domain, ("code",), limit=LEVEL_PAGE)
            if page:
                yield {row["id"]: row["code"] for row in page}
                after = page[-1]["id"]
            if len(page) < LEVEL_PAGE:
                return

    def _named(self, items: Sequence[int]) -> Iterator[dict[int, str | None]]:
        for batch in batches(list(dict.fromkeys(items)), LEVEL_PAGE):
            domain = [["id", "in", list(batch)], ARCHIVED_TOO, STOCKED]
            page = self.rpc.search("product.product", domain, ("code",))
            if page:
                yield {row["id"]: row["code"] for row in page}

    def _warehouses(self, codes: Sequence[str]) -> dict[str, int]:
        domain = [["type", "=", "warehouse"], ["code", "in", list(codes)]]
        rows = self.rpc.search("stock.location", domain, ("code",))
        found = {row["code"]: row["id"] for row in rows}
        for code in codes:
            if code not in found:
                raise Missing(self.rpc.system, f"there is no warehouse {code!r}")
        return {code: found[code] for code in dict.fromkeys(codes)}

    def _quarantine(self, warehouse: int) -> list[int]:
        if not self.quarantine_places:
            return []
        codes = sorted(self.quarantine_places)
        known = self.rpc.search("stock.location", [["code", "in", codes]], ("code",))
        for code in sorted(set(codes) - {row["code"] for row in known}):
            raise Missing(self.rpc.system, f"there is no place {code!r} to keep apart")
        within = ["parent", "child_of", [warehouse], "parent"]
        rows = self.rpc.search("stock.location", [["code", "in", codes], within], ("code",))
        return [row["id"] for row in rows]

    def _their_today(self) -> date:
        """The day it is for the company; with an earlier one today's moves would be missing."""
        return date.fromisoformat(self.rpc.read("model.ir.date.today"))

    # Moves

    def moved_since(self, moment: datetime, overlap: timedelta) -> Iterator[list[Payload]]:
        """Yield pages of moves in any state that changed since, with where they start and end.

        The overlap must be longer than the longest transaction there, whose start is the time.
        """
        wanted = ["last_modified_at", ">=", moment - overlap]
        places: dict[int, Payload] | None = None
        after = 0
        while True:
            domain = [["id", ">", after], wanted]
            page = self.rpc.search("stock.move", domain, MOVE_FIELDS, limit=MOVE_PAGE)
            if page:
                places = places or self._places()
                yield [_placed(row, places) for row in page]
                after = page[-1]["id"]
            if len(page) < MOVE_PAGE:
                return

    def _places(self) -> dict[int, Payload]:
        """Every location with its type and the code of the warehouse it belongs to."""
        rows = self.rpc.search("stock.location", [ARCHIVED_TOO], PLACE_FIELDS)
        by_id = {row["id"]: row for row in rows}
        return {number: _place(row, by_id) for number, row in by_id.items()}


def _place(row: Payload, by_id: Mapping[int, Payload]) -> Payload:
    return {
        "code": row["code"],
        "type": row["type"],
        "warehouse": _warehouse_of(row, by_id),
        "is_waste": bool(row["waste_warehouses"]),
    }


def _warehouse_of(row: Payload, by_id: Mapping[int, Payload]) -> str | None:
    place: Payload | None = row
    while place is not None and place["type"] != "warehouse":
        place = by_id.get(place["parent"] or 0)
    return None if place is None else place["code"] or place["name"]


def _placed(move: Payload, places: Mapping[int, Payload]) -> Payload:
    unknown: Payload = {"code": None, "type": None, "warehouse": None, "is_waste": False}
    return {
        **move,
        "from_place": places.get(move["from_location"], unknown),
        "to_place": places.get(move["to_location"], unknown),
    }
