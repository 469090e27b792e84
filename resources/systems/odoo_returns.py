"""Goods that come back to an Odoo database: returns are read, and those booked elsewhere are taken
back, kept apart or scrapped, once.

A return is made by Odoo's wizard, which cannot carry our mark: the parcel it leaves is marked next,
and one that is found open, unmarked and with exactly these units is taken for it. Receipts that
somebody else booked for the order count; they get our mark, so that they count once.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from resources.errors import ContractBroken, Missing, Refused, RemoteError, UnknownOutcome
from resources.pages import Broken, Raw
from resources.systems.odoo_kits import many2one
from resources.systems.odoo_parcels import MOVE, OPEN, PICKING, Parcels
from resources.systems.odoo_transfers import carry
from resources.systems.odoo_units import (
    ZERO,
    by_sku,
    done_by_sku,
    less,
    moves_for,
    plain,
    shares_of,
    units_of,
)
from resources.systems.roles import Payload

RETURN, RETURN_LINE, SCRAP = "stock.return.picking", "stock.return.picking.line", "stock.scrap"
INCOMING: list[Any] = [
    ["return_id", "!=", False],
    "|",
    ["sale_id", "!=", False],
    ["return_id.sale_id", "!=", False],
    ["location_id.usage", "=", "customer"],
]
SHELF, APART, TAKEN = "", "#apart", "#taken"
ROUNDS = 40
Parts = list[Payload]


@dataclass(frozen=True)
class Targets:
    """Units by SKU that shall lie on the shelf, apart, and be scrapped from the shelf."""

    shelf: Mapping[str, int]
    apart: Mapping[str, int]
    scrapped: Mapping[str, int]


class Returns:
    """Parcels that bring goods of sales orders back, through one session."""

    def __init__(self, parcels: Parcels, quarantine_places: Collection[str] = ()) -> None:
        self.parcels, self.session = parcels, parcels.session
        self.quarantine_places = frozenset(quarantine_places)

    def changed_since(self, moment: datetime, overlap: timedelta) -> Iterator[list[Raw | Broken]]:
        """Yield pages of parcels from customers that changed, oldest change first."""
        return self.parcels.changed_since(INCOMING, moment, overlap)

    def held(self, restocks: Sequence[Payload]) -> dict[str, Payload]:
        """Receipts by key, ours or somebody else's; `units` are all the order has given back."""
        every = self.parcels.of_orders([restock["order"] for restock in restocks])
        found: dict[str, Payload] = {}
        for restock in restocks:
            parcels = [p for p in every if p["order"] and p["order"]["id"] == restock["order"]]
            done = [p for p in _returns(parcels) if p["state"] == "done"]
            mine = [p for p in _returns(parcels) if p["ours"] == restock["key"]]
            if mine or done:
                found[restock["key"]] = self._told(restock, parcels, mine, done)
        return found

    def _told(self, restock: Payload, parcels: Parts, mine: Parts, done: Parts) -> Payload:
        state = "done"
        if mine:
            is_cancelled = all(parcel["state"] == "cancel" for parcel in mine)
            state = "cancelled" if is_cancelled else self._state(restock, parcels)
        first = (mine or done)[0]
        return {
            "key": restock["key"],
            "id": first["id"],
            "name": first["name"],
            "state": state,
            "is_ours": bool(mine),
            "units": done_by_sku(done),
        }

    def _state(self, restock: Payload, parcels: Parts) -> str:
        targets = _targets(restock, parcels)
        missing = _missing(restock, parcels, targets)
        is_scrapped = not self._unscrapped(restock, parcels, targets)
        return "done" if not any(missing.values()) and is_scrapped else "begun"

    def put(self, restocks: Sequence[Payload]) -> dict[str, RemoteError]:
        """Book what came back and is not booked yet; answers the refusals only."""
        refused: dict[str, RemoteError] = {}
        for restock in {one["key"]: one for one in restocks}.values():
            try:
                self._book(restock)
            except (Refused, ContractBroken) as fault:
                refused[restock["key"]] = fault
        return refused

    def _book(self, restock: Payload) -> None:
        for _ in range(ROUNDS):
            parcels = self.parcels.of_orders([restock["order"]])
            if not self._step(restock, parcels):
                return
        text = "the ERP answered yes to every step but the goods are not booked"
        raise UnknownOutcome(self.session.system, text, code="unmoved")

    def _step(self, restock: Payload, parcels: Parts) -> bool:
        """Take one step towards what shall be; False when nothing is left to do."""
        if (other := self._adoptable(restock, parcels)) is not None:
            self._mark(other, restock["key"] + TAKEN)
            return True
        targets = _targets(restock, parcels)
        missing = _missing(restock, parcels, targets)
        self._check(restock, parcels, missing)
        for part, units in missing.items():
            if units:
                self._take_back(restock, parcels, part, units)
                return True
        return self._scrap(restock, parcels, targets) or self._tidy(restock, parcels)

    def _adoptable(self, restock: Payload, parcels: Parts) -> Payload | None:
        """A receipt that somebody else booked of what is still missing here."""
        missing = less(_wanted(restock), done_by_sku(_ours(parcels, restock["key"])))
        for parcel in _returns(parcels):
            if parcel["state"] != "done" or parcel["ours"] is not None:
                continue
            units = done_by_sku([parcel])
            if not set(units) & set(missing):
                continue
            if less(units, missing):
                text = f"{parcel['name']} brought back more of the order than this return tells of"
                raise Refused(self.session.system, text, code="returned_otherwise")
            return parcel
        return None

    def _check(self, restock: Payload, parcels: Parts, missing: Mapping[str, Any]) -> None:
        """All or nothing: what cannot be booked in full is not begun."""
        total: dict[str, int] = {}
        for units in missing.values():
            for sku, count in units.items():
                total[sku] = total.get(sku, 0) + count
        short = less(total, _returnable_by_sku(parcels))
        if short:
            what = ", ".join(f"{units} of {sku}" for sku, units in sorted(short.items()))
            text = f"more came back than left of order {restock['order']}: {what}"
            kind = Refused if parcels else Missing
            raise kind(self.session.system, text, code="over_returned")
        if missing[APART]:
            self._place_apart(restock, parcels)

    # One parcel that brings goods back

    def _take_back(
        self, restock: Payload, parcels: Parts, part: str, missing: Mapping[str, int]
    ) -> None:
        mark = restock["key"] + part
        begun = [p for p in _returns(parcels) if p["mark"] == mark and _is_open(p)]
        if begun:
            return self._finish(restock, parcels, begun[0], part)
        sent, pieces = _next_sent(parcels, missing)
        made = next((p for p in _returns(parcels) if _is_made(p, sent, pieces)), None)
        if made is not None:
            return self._mark(made, mark)
        return self._create(sent, pieces)

    def _create(self, sent: Payload, pieces: Mapping[int, Decimal]) -> None:
        """Let the wizard make the parcel that brings these pieces back."""
        at = {"active_model": PICKING, "active_id": sent["id"], "active_ids": [sent["id"]]}
        wizard = self.session.write(RETURN, "create", [[{"picking_id": sent["id"]}]], **at)
        fields = ["product_id", "quantity", "move_id"]
        lines = self.session.rows(RETURN_LINE, [["wizard_id", "in", wizard]], fields)
        for line in lines:
            quantity = pieces.get(many2one(line["move_id"]), ZERO)
            if quantity != line["quantity"]:
                values = {"quantity": plain(quantity)}
                self.session.write(RETURN_LINE, "write", [[line["id"]], values])
        self.session.write(RETURN, "action_create_returns", [wizard], **at)

    def _mark(self, parcel: Payload, mark: str) -> None:
        values = {"origin": self.parcels.marked(parcel["origin"], mark)}
        self.session.write(PICKING, "write", [[parcel["id"]], values])

    def _finish(self, restock: Payload, parcels: Parts, parcel: Payload, part: str) -> None:
        place = self._target(restock, parcels, parcel, part)
        moves = [move for move in parcel["moves"] if move["state"] in (*OPEN, "draft")]
        if parcel["to"] != place:
            self.session.write(PICKING, "write", [[parcel["id"]], {"location_dest_id": place}])
        elsewhere = [move["id"] for move in moves if move["to"] != place]
        if elsewhere:
            self.session.write(MOVE, "write", [elsewhere, {"location_dest_id": place}])
        carry(self.session, parcel, {move["id"]: move["demand"] for move in moves})

    def _tidy(self, restock: Payload, parcels: Parts) -> bool:
        """Call off what a wizard of ours left without need: its call may arrive twice."""
        idle = [p for p in _returns(parcels) if _is_open(p) and p["ours"] in (None, restock["key"])]
        if not idle:
            return False
        us = self.session.sign_in()
        ids = [parcel["id"] for parcel in idle if parcel["made_by"] == us]
        if ids:
            self.session.write(PICKING, "action_cancel", [ids])
        return bool(ids)

    # Places

    def _target(self, restock: Payload, parcels: Parts, parcel: Payload, part: str) -> int:
        if part == APART:
            return self._place_apart(restock, parcels)
        if restock["warehouse"]:
            named = self.parcels.warehouse(restock["warehouse"])
            if named["id"] != parcel["warehouse_id"]:
                return many2one(named["lot_stock_id"])
        return int(parcel["to"])

    def _place_apart(self, restock: Payload, parcels: Parts) -> int:
        """The first place of the warehouse that is configured for goods not for sale."""
        if restock["warehouse"]:
            warehouse = self.parcels.warehouse(restock["warehouse"])["id"]
        else:
            warehouse = next(p["warehouse_id"] for p in parcels if _has_left(p))
        domain = [["usage", "=", "internal"], ["warehouse_id", "=", warehouse]]
        fields = ["name", "complete_name"]
        for place in self.session.rows("stock.location", domain, fields, order="id"):
            if {place["name"], place["complete_name"]} & self.quarantine_places:
                return int(place["id"])
        text = "no place for goods that are not for sale is configured in that warehouse"
        raise Refused(self.session.system, text, code="no_quarantine_place")

    # Goods of no more use

    def _unscrapped(self, restock: Payload, parcels: Parts, targets: Targets) -> list[Payload]:
        """What is still to be scrapped of the shelf, and scraps of ours that are not done."""
        mine = [p for p in _returns(parcels) if p["mark"] == restock["key"] + SHELF]
        left, wanted = dict(targets.scrapped), dict[int, tuple[Decimal, Payload]]()
        for parcel in mine:
            units = shares_of(parcel, left, units_of(parcel, "quantity", ("done",)))
            left = less(left, by_sku(parcel, units))
            room = {move["id"]: move["quantity"] for move in parcel["moves"]}
            for move, pieces in moves_for(parcel, units, room).items():
                product = next(m["product"] for m in parcel["moves"] if m["id"] == move)
                wanted[product] = (wanted.get(product, (ZERO,))[0] + pieces, parcel)
        if not wanted:
            return []
        mark = self.parcels.marked("", restock["key"]).strip()
        domain, fields = [["origin", "=", mark]], ["product_id", "scrap_qty", "state"]
        scraps = self.session.rows(SCRAP, domain, fields, order="id")
        known = {many2one(scrap["product_id"]) for scrap in scraps}
        return [scrap for scrap in scraps if scrap["state"] != "done"] + [
            {
                "product_id": product,
                "scrap_qty": plain(pieces),
                "location_id": parcel["to"],
                "company_id": parcel["company"],
                "origin": mark,
            }
            for product, (pieces, parcel) in wanted.items()
            if product not in known
        ]

    def _scrap(self, restock: Payload, parcels: Parts, targets: Targets) -> bool:
        """Scrap one product; it is noted first and done by the next step."""
        waiting = self._unscrapped(restock, parcels, targets)
        if not waiting:
            return False
        first = waiting[0]
        if "id" not in first:
            self.session.write(SCRAP, "create", [[first]])
            return True
        answer = self.session.write(SCRAP, "action_validate", [[first["id"]]])
        if isinstance(answer, dict):
            text = "there is less on the shelf than shall be scrapped; a person must look"
            raise Refused(self.session.system, text, code="not_scrapped")
        return True


def _returns(parcels: Parts) -> Parts:
    return [p for p in parcels if p["return_of"] and p["from_customer"]]


def _ours(parcels: Parts, key: str) -> Parts:
    return [parcel for parcel in _returns(parcels) if parcel["ours"] == key]


def _is_open(parcel: Payload) -> bool:
    return parcel["state"] in (*OPEN, "draft")


def _has_left(parcel: Payload) -> bool:
    return bool(parcel["to_customer"] and parcel["state"] == "done")


def _wanted(restock: Payload) -> dict[str, int]:
    total: dict[str, int] = {}
    for kind in ("restock", "refurbish", "write_off"):
        for sku, units in restock[kind].items():
            total[sku] = total.get(sku, 0) + units
    return total


def _targets(restock: Payload, parcels: Parts) -> Targets:
    """What we have to book ourselves: receipts of others cover what goes to the shelf first."""
    key = restock["key"]
    taken = done_by_sku(p for p in _returns(parcels) if p["mark"] == key + TAKEN)
    left: dict[str, dict[str, int]] = {}
    for kind in ("restock", "refurbish", "write_off"):
        wanted = restock[kind]
        left[kind] = less(wanted, taken)
        taken = {sku: max(0, units - wanted.get(sku, 0)) for sku, units in taken.items()}
    shelf = dict(left["restock"])
    for sku, units in left["write_off"].items():
        shelf[sku] = shelf.get(sku, 0) + units
    return Targets(shelf, left["refurbish"], left["write_off"])


def _missing(restock: Payload, parcels: Parts, targets: Targets) -> dict[str, dict[str, int]]:
    """Units by part and SKU that no receipt of ours has moved."""
    missing: dict[str, dict[str, int]] = {}
    for part, wanted in ((SHELF, targets.shelf), (APART, targets.apart)):
        mark = restock["key"] + part
        mine = [parcel for parcel in _returns(parcels) if parcel["mark"] == mark]
        missing[part] = less(wanted, done_by_sku(mine))
    return missing


def _room(parcel: Payload, parcels: Parts) -> dict[int, Decimal]:
    """Pieces by move of a parcel that left and were not brought back."""
    back: dict[int, Decimal] = {}
    for move in (m for p in _returns(parcels) for m in p["moves"] if m["state"] == "done"):
        back[move["returns"]] = back.get(move["returns"], ZERO) + move["quantity"]
    done = [move for move in parcel["moves"] if move["state"] == "done"]
    return {move["id"]: move["quantity"] - back.get(move["id"], ZERO) for move in done}


def _returnable(parcel: Payload, parcels: Parts) -> dict[int, int]:
    """Whole units by order line that a parcel may still give back."""
    room = _room(parcel, parcels)
    moves = [{**move, "quantity": room.get(move["id"], ZERO)} for move in parcel["moves"]]
    return units_of({**parcel, "moves": moves}, "quantity", ("done",))


def _returnable_by_sku(parcels: Parts) -> dict[str, int]:
    found: dict[str, int] = {}
    for parcel in filter(_has_left, parcels):
        for sku, units in by_sku(parcel, _returnable(parcel, parcels)).items():
            found[sku] = found.get(sku, 0) + units
    return found


def _next_sent(parcels: Parts, missing: Mapping[str, int]) -> tuple[Payload, dict[int, Decimal]]:
    """The first parcel that can give back some of what is missing, and its pieces by move."""
    for parcel in filter(_has_left, parcels):
        units = shares_of(parcel, missing, _returnable(parcel, parcels))
        if units:
            return parcel, moves_for(parcel, units, _room(parcel, parcels))
    raise AssertionError("what is missing was found to be returnable")


def _is_made(parcel: Payload, sent: Payload, pieces: Mapping[int, Decimal]) -> bool:
    """Whether an open parcel is what the wizard made of exactly these pieces."""
    if parcel["mark"] is not None or parcel["return_of"] != sent["id"] or not _is_open(parcel):
        return False
    brings = {move["returns"]: move["demand"] for move in parcel["moves"]}
    return brings == dict(pieces)
