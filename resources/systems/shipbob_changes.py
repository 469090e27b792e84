"""Bringing an order ShipBob holds to what we want, as far as its API goes: the address of shipments
and the number of units of what they hold already. Everything else is refused, and why.
"""

import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

from resources.errors import ContractBroken, Refused
from resources.http import exact_json
from resources.systems.roles import Payload
from resources.systems.shipbob_api import Api

#: Once a shipment says one of these, or its status does, somebody has its goods in hand.
PICKED_DETAILS = frozenset({"Picked", "Packed", "Labeled"})
PICKED_STATUS = frozenset({"LabeledCreated", "Completed"})
PLACE = ("address1", "address2", "company_name", "city", "state", "zip_code", "country")
SIGNS = re.compile(r"\W+")


class Changes:
    """Changes orders of one account."""

    def __init__(self, api: Api) -> None:
        self.api = api

    def apply(self, order: Payload, wanted: Payload) -> None:
        """Make the order what is wanted; does nothing where it is, raises Refused where it cannot.

        Each step looks first, so a change broken off half way is finished by the next one.
        """
        if is_cancelled(order):
            raise self._no("cancelled", "it was cancelled there, and its reference is used up")
        moved = [one for one in alive(order) if not _goes_to(one, order, wanted["recipient"])]
        has_other_units = units(order) != _wanted_units(wanted)
        has_other_way = _plain(order.get("shipping_method")) != _plain(wanted["shipping_method"])
        if not (moved or has_other_units or has_other_way):
            return
        if is_picked(order):
            raise self._no("picked", "it is picked, and cannot be changed any more")
        if has_other_way:
            raise self._no("cannot_change", "ShipBob changes no shipping method of an order")
        if has_other_units:
            self._set_units(order, wanted)
        for shipment in moved:
            self._move(shipment, wanted["recipient"])

    def _move(self, shipment: Payload, recipient: Payload) -> None:
        place = recipient["address"]
        body = {
            "recipient_name": recipient["name"],
            "company_name": place.get("company_name"),
            "street_address1": place["address1"],
            "street_address2": place.get("address2"),
            "city": place["city"],
            "state": place.get("state"),
            "zip_code": place.get("zip_code"),
            "country_code": place["country"],
            "email": recipient.get("email"),
            "phone_number": recipient.get("phone_number"),
        }
        self._checked(self.api.write("PUT", f"/shipment/{shipment['id']}:updateAddress", body))

    def _set_units(self, order: Payload, wanted: Payload) -> None:
        """Send the whole list of line items again: ShipBob knows no change of a part of it."""
        shipment = self._only_shipment(order)
        more = {sku: count for sku, count in _wanted_units(wanted).items() if count > 0}
        goods = {sku: inventory for sku, inventory, _ in _simple(shipment)}
        if set(more) != set(goods):
            raise self._no("cannot_change", "articles can be neither added to it nor taken away")
        lines = self._lines(shipment)
        if Counter(line["inventory_id"] for line in lines) != Counter(goods.values()):
            raise self._no("cannot_change", "it holds lots or bundles, which we do not change")
        counts = {goods[sku]: count for sku, count in more.items()}
        items = [
            {"inventory_id": line["inventory_id"], "quantity": counts[line["inventory_id"]]}
            for line in lines
        ]
        path = f"/shipment/{shipment['id']}:updateLineItems"
        self._checked(self.api.write("POST", path, {"items": items}))

    def _only_shipment(self, order: Payload) -> Payload:
        shipments = list(alive(order))
        if len(shipments) != 1 or len(list(_simple(shipments[0]))) != len(_products(shipments[0])):
            raise self._no("cannot_change", "it is split or holds bundles; units stay as they are")
        return shipments[0]

    def _lines(self, shipment: Payload) -> list[Payload]:
        text = self.api.get(f"/shipment/{shipment['id']}:getLineItems")
        lines = exact_json(self.api.system, text)
        if not isinstance(lines, list) or not all(
            isinstance(one, dict) and "inventory_id" in one for one in lines
        ):
            raise ContractBroken(self.api.system, "the line items of a shipment are no list")
        return lines

    def _checked(self, said: Payload) -> None:
        """A change that fails is answered 200 all the same."""
        if said.get("is_success") is not True:
            error = said.get("error") or {}
            text = str(error.get("message") or error.get("code") or "the change was not made")
            raise self._no("cannot_change", text)

    def _no(self, code: str, message: str) -> Refused:
        return Refused(self.api.system, message, code=code)


def is_cancelled(thing: Payload) -> bool:
    """Whether an order or shipment will not be shipped any more."""
    return thing.get("status") in ("Cancelled", "CleanSweeped")


def is_picked(order: Payload) -> bool:
    """Whether anything of an order is in hand, or gone."""
    return any(
        shipment.get("status") in PICKED_STATUS
        or any(one.get("name") in PICKED_DETAILS for one in shipment.get("status_details") or ())
        for shipment in alive(order)
    )


def alive(order: Payload) -> Iterator[Payload]:
    """The shipments of an order that were not cancelled."""
    return (one for one in order.get("shipments") or () if not is_cancelled(one))


def units(order: Payload) -> dict[str, int]:
    """Units by article an order means to ship: what its shipments say, else what was ordered.

    Of a bundle a shipment tells the parts only, so that its units are those of the order.
    """
    shipments = list(alive(order))
    if shipments and all(len(list(_simple(one))) == len(_products(one)) for one in shipments):
        counted = Counter[str]()
        for shipment in shipments:
            for sku, _, count in _simple(shipment):
                counted[sku] += count
        return dict(counted)
    return _wanted_units(order)


def _wanted_units(order: Payload) -> dict[str, int]:
    counted = Counter[str]()
    for product in order.get("products") or ():
        counted[str(product.get("reference_id"))] += product.get("quantity") or 0
    return dict(counted)


def _simple(shipment: Payload) -> Iterator[tuple[str, int, int]]:
    """Article, inventory id and units of each product that is no bundle."""
    for product in _products(shipment):
        items = product.get("inventory_items") or ()
        inventory = {item["id"] for item in items}
        if len(inventory) == 1 and product.get("reference_id"):
            yield product["reference_id"], inventory.pop(), sum(one["quantity"] for one in items)


def _products(shipment: Payload) -> list[Payload]:
    return list(shipment.get("products") or ())


def _goes_to(shipment: Payload, order: Payload, wanted: Payload) -> bool:
    """Whether a shipment goes where it shall; signs and letter case are the carrier's business."""
    held: dict[str, Any] = shipment.get("recipient") or order.get("recipient") or {}
    name = held.get("name") or held.get("full_name")
    place, there = held.get("address") or {}, wanted["address"]
    return _plain(name) == _plain(wanted["name"]) and all(
        _plain(place.get(part)) == _plain(there.get(part)) for part in PLACE
    )


def _plain(text: object) -> str:
    return SIGNS.sub("", str(text or "")).casefold()
