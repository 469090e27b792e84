"""Stock of an Odoo database: levels by item and warehouse, and the moves that changed.

Demand is read before what is on hand: goods that leave in between are then missing from both,
never counted as free. What a move means is for the mapper.
"""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from resources.errors import Missing, Refused
from resources.systems.odoo_catalog import PAGE, window
from resources.systems.odoo_kits import ARCHIVED_TOO, ITEM, Kits, many2one
from resources.systems.odoo_rpc import Session, batches
from resources.systems.roles import Payload

WAREHOUSE, PLACE, QUANT = "stock.warehouse", "stock.location", "stock.quant"
MOVE, PICKING = "stock.move", "stock.picking"
ZERO = Decimal()
PLACE_FIELDS = ["name", "complete_name", "usage", "warehouse_id"]
MOVE_FIELDS = [
    "product_id",
    "state",
    "quantity",
    "product_uom_qty",
    "product_qty",
    "location_id",
    "location_dest_id",
    "picking_id",
    "picking_code",
    "origin",
    "reference",
    "is_inventory",
    "scrapped",
    "scrap_id",
    "origin_returned_move_id",
    "date",
    "write_date",
]
#: Fields a cash desk puts on its parcels.
COUNTER_FIELDS = ("pos_order_id", "pos_session_id")
Key = tuple[int, int]


@dataclass(frozen=True)
class Places:
    """The internal places of some warehouses: whose each is, and which are set apart."""

    warehouse_of: Mapping[int, int]
    quarantine: Collection[int]


class Stock:
    """Levels and moves, through one session; `quarantine_places` are names of places."""

    def __init__(
        self, session: Session, kits: Kits, quarantine_places: Collection[str] = ()
    ) -> None:
        self.session, self.kits = session, kits
        self.quarantine_places = frozenset(quarantine_places)

    def levels(
        self, warehouses: Sequence[str], items: Sequence[int] | None = None
    ) -> Iterator[list[Payload]]:
        """Yield pages of stock by item and warehouse code, of all stocked items or of `items`.

        An item without any stock record is answered with zeros; one that is gone is left out.
        """
        ids = self._warehouse_ids(warehouses)
        places = self._places(ids.values())
        for page in self._all_items() if items is None else self._items(items):
            if page:
                yield self._levels(page, ids, places)

    def _all_items(self) -> Iterator[list[Payload]]:
        stocked = [["is_storable", "=", True]]
        if "is_storable" not in self.session.field_names("product.template"):
            stocked = [["type", "=", "product"]]
        after_id = 0
        while True:
            domain = [*stocked, ["id", ">", after_id]]
            options = {"order": "id", "limit": PAGE, "context": ARCHIVED_TOO}
            page = self.session.rows(ITEM, domain, ["default_code"], **options)
            yield page
            if len(page) < PAGE:
                return
            after_id = page[-1]["id"]

    def _items(self, items: Sequence[int]) -> Iterator[list[Payload]]:
        for batch in batches(dict.fromkeys(items), PAGE):
            domain = [["id", "in", batch]]
            options = {"order": "id", "context": ARCHIVED_TOO}
            yield self.session.rows(ITEM, domain, ["default_code"], **options)

    def _levels(
        self, page: list[Payload], warehouses: Mapping[str, int], places: Places
    ) -> list[Payload]:
        ids = [row["id"] for row in page]
        kits = self.kits.among(ids)
        stocked = [id_ for id_ in ids if id_ not in kits]
        demand = {code: self._demand(stocked, id_) for code, id_ in warehouses.items()}
        on_hand, quarantined = self._on_hand(stocked, places)
        levels = []
        for row in page:
            for code, warehouse in warehouses.items():
                key = (row["id"], warehouse)
                moving = demand[code].get(row["id"], {})
                levels.append(
                    {
                        "id": row["id"],
                        "sku": row["default_code"],
                        "warehouse": code,
                        "on_hand": on_hand[key],
                        "allocated": Decimal(moving.get("outgoing_qty", 0)),
                        "quarantined": quarantined[key],
                        "incoming": Decimal(moving.get("incoming_qty", 0)),
                    }
                )
        return levels

    def _demand(self, items: Sequence[int], warehouse: int) -> dict[int, Payload]:
        """What is to leave and to come, reserved or not.

        `free_qty` stops at zero however far an order goes beyond the stock; `outgoing_qty` was
        seen to show all 5000 of an order over 1000 pieces. Odoo adds the moves up itself, in the
        item's own unit; steps inside the warehouse do not count.
        """
        if not items:
            return {}
        context = {**ARCHIVED_TOO, "warehouse_id": warehouse}
        domain, fields = [["id", "in", list(items)]], ["outgoing_qty", "incoming_qty"]
        rows = self.session.rows(ITEM, domain, fields, order="id", context=context)
        return {row["id"]: row for row in rows}

    def _on_hand(
        self, items: Sequence[int], places: Places
    ) -> tuple[Mapping[Key, Decimal], Mapping[Key, Decimal]]:
        """Sums of the stock records by item and warehouse: of all places, of those set apart.

        Parallel counts leave several records of one place, also below zero: the sum counts.
        `read_group` would add up there, but answers the whole domain again with each group.
        """
        on_hand: dict[Key, Decimal] = defaultdict(Decimal)
        quarantined: dict[Key, Decimal] = defaultdict(Decimal)
        if not items or not places.warehouse_of:
            return on_hand, quarantined
        domain = [["product_id", "in", items], ["location_id", "in", sorted(places.warehouse_of)]]
        fields = ["product_id", "location_id", "quantity"]
        for row in self.session.rows(QUANT, domain, fields, order="id"):
            place = many2one(row["location_id"])
            key = (many2one(row["product_id"]), places.warehouse_of[place])
            on_hand[key] += Decimal(row["quantity"])
            if place in places.quarantine:
                quarantined[key] += Decimal(row["quantity"])
        return on_hand, quarantined

    # Warehouses and places

    def _warehouse_ids(self, codes: Sequence[str]) -> dict[str, int]:
        """Ids of warehouses by `CODE` or `Company/CODE`; codes repeat between companies."""
        rows = self.session.rows(WAREHOUSE, [], ["code", "company_id"], order="id")
        found: dict[str, set[int]] = defaultdict(set)
        for row in rows:
            found[row["code"]].add(row["id"])
            found[f"{row['company_id'][1]}/{row['code']}"].add(row["id"])
        for code in codes:
            if not found.get(code):
                raise Missing(self.session.system, f"there is no warehouse {code!r}")
            if len(found[code]) > 1:
                text = f"several companies have a warehouse {code!r}; name it Company/{code}"
                raise Refused(self.session.system, text)
        return {code: min(found[code]) for code in codes}

    def _places(self, warehouses: Collection[int]) -> Places:
        known = self.session.field_names(PLACE)
        marks = ["scrap_location"] if "scrap_location" in known else []
        domain = [["usage", "=", "internal"], ["warehouse_id", "in", sorted(warehouses)]]
        options = {"order": "id", "context": ARCHIVED_TOO}
        rows = self.session.rows(PLACE, domain, [*PLACE_FIELDS, *marks], **options)
        controlled = self._quality_places(warehouses)
        apart = [
            row["complete_name"]
            for row in rows
            if row.get("scrap_location")
            or row["id"] in controlled
            or {row["name"], row["complete_name"]} & self.quarantine_places
        ]
        return Places(
            {row["id"]: many2one(row["warehouse_id"]) for row in rows},
            {row["id"] for row in rows if _is_inside(row["complete_name"], apart)},
        )

    def _quality_places(self, warehouses: Collection[int]) -> set[int]:
        """Places where arrivals wait for their inspection."""
        if "wh_qc_stock_loc_id" not in self.session.field_names(WAREHOUSE):
            return set()
        domain, fields = [["id", "in", sorted(warehouses)]], ["wh_qc_stock_loc_id"]
        rows = self.session.rows(WAREHOUSE, domain, fields, order="id")
        return {many2one(row["wh_qc_stock_loc_id"]) for row in rows}

    # Moves

    def moved_since(self, moment: datetime, overlap: timedelta) -> Iterator[list[Payload]]:
        """Yield pages of moves changed since `moment` less `overlap`, oldest change first.

        Every change of a stock record was seen to come with a move: orders, reservations,
        receipts, returns, counts. A move that was deleted is not told. For the overlap and the
        cursor the same holds as for items; ids are taken in one snapshot here, too.
        """
        domain = [["write_date", ">=", window(moment, overlap)]]
        changed = self.session.rows(MOVE, domain, ["write_date"], order="write_date, id")
        known = self.session.field_names(MOVE)
        fields = [name for name in MOVE_FIELDS if name in known]
        places: dict[int, Payload] = {}
        codes: dict[int, str] = {}
        for batch in batches((row["id"] for row in changed), PAGE):
            rows = self.session.rows(MOVE, [["id", "in", batch]], fields, order="id")
            self._learn_places(rows, places, codes)
            found = {row["id"]: row for row in self._told(rows, places)}
            yield [found[id_] for id_ in batch if id_ in found]

    def _told(self, rows: list[Payload], places: Mapping[int, Payload]) -> Iterator[Payload]:
        skus = self._skus({many2one(row["product_id"]) for row in rows})
        sold = self._sold_over_the_counter({many2one(row["picking_id"]) for row in rows} - {0})
        for row in rows:
            yield {
                **row,
                "item": many2one(row["product_id"]),
                "sku": skus.get(many2one(row["product_id"]), False),
                "from": places[many2one(row["location_id"])],
                "to": places[many2one(row["location_dest_id"])],
                "over_the_counter": many2one(row["picking_id"]) in sold,
            }

    def _learn_places(
        self, rows: list[Payload], places: dict[int, Payload], codes: dict[int, str]
    ) -> None:
        """Read the places of a page that are new, with the code of their warehouse."""
        ids = {many2one(row[way]) for row in rows for way in ("location_id", "location_dest_id")}
        new = sorted(ids - set(places))
        if not new:
            return
        if not codes:
            options = {"order": "id", "context": ARCHIVED_TOO}
            found = self.session.rows(WAREHOUSE, [], ["code"], **options)
            codes |= {row["id"]: row["code"] for row in found}
        options = {"order": "id", "context": ARCHIVED_TOO}
        for row in self.session.rows(PLACE, [["id", "in", new]], PLACE_FIELDS, **options):
            code = codes.get(many2one(row["warehouse_id"]), False)
            places[row["id"]] = {**row, "warehouse": code}

    def _skus(self, items: Collection[int]) -> dict[int, Any]:
        if not items:
            return {}
        domain, options = [["id", "in", sorted(items)]], {"order": "id", "context": ARCHIVED_TOO}
        rows = self.session.rows(ITEM, domain, ["default_code"], **options)
        return {row["id"]: row["default_code"] for row in rows}

    def _sold_over_the_counter(self, pickings: Collection[int]) -> set[int]:
        """Parcels of a cash desk, where the database has any."""
        known = self.session.field_names(PICKING)
        fields = [name for name in COUNTER_FIELDS if name in known]
        if not fields or not pickings:
            return set()
        terms = [[name, "!=", False] for name in fields]
        domain = [["id", "in", sorted(pickings)], *["|"] * (len(terms) - 1), *terms]
        return {row["id"] for row in self.session.rows(PICKING, domain, ["name"], order="id")}


def _is_inside(name: str, places: Collection[str]) -> bool:
    return any(name == place or name.startswith(f"{place}/") for place in places)
