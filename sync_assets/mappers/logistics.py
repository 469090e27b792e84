"""The mappers of every kind of system that ships, takes back or is told of it."""

import json
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

from sync_assets.domain.fulfilment import FulfilmentOrder
from sync_assets.mappers import (
    odoo_logistics,
    shipbob,
    tryton_logistics,
    warehouse_files,
    warehouse_http,
)

#: All have `fulfilment_order` (but the ERPs), `seen`, `shipment` and `goods_back`.
SHIPMENT_MAPPERS: dict[str, ModuleType] = {
    "files": warehouse_files,
    "http": warehouse_http,
    "shipbob": shipbob,
    "odoo": odoo_logistics,
    "tryton": tryton_logistics,
}
#: What an ERP is told of goods: `delivery`, `seen_delivery`, `restock`, `seen_restock`.
ERP_LOGISTICS: dict[str, ModuleType] = {"odoo": odoo_logistics, "tryton": tryton_logistics}

Payload = dict[str, Any]


def fulfilment_order(
    kind: str, document: FulfilmentOrder, version: int, shipping_method: str
) -> Payload:
    """A request in a warehouse's words; some keep versions, some name a method of their own."""
    if kind == "shipbob":
        return shipbob.fulfilment_order(document, shipping_method=shipping_method)
    made: Callable[[FulfilmentOrder, int], Payload] = SHIPMENT_MAPPERS[kind].fulfilment_order
    return made(document, version)


def hinted(kind: str, topic: str, body: Mapping[str, Any]) -> tuple[str, str] | None:
    """What a webhook of a warehouse names: shipment, return or fulfilment, and its id."""
    if kind == "shipbob":
        thing = shipbob.hinted_kind(topic)
        key = shipbob.hinted(topic, body)
    else:
        thing = {"fulfilment_order": "fulfilment"}.get(first := topic.partition(".")[0], first)
        key = warehouse_http.hinted(topic, json.dumps(dict(body)))
    return (thing, key) if thing and key else None
