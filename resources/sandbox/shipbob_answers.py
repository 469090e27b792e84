"""What a ShipBob stand-in tells of its orders, shipments and returns: their JSON of 2026-01."""

from collections.abc import Mapping
from datetime import UTC, datetime
from itertools import count

from resources.sandbox.shipbob_orders import TRACKING_PAGE, Doc, Order, Shipment
from resources.sandbox.shipbob_returns import Return

CHANNEL_NAME = "Custom"
LOCATION_NAME = "Cicero (IL)"


class Articles:
    """ShipBob's ids of articles; a bundle is made of others and has no stock of its own."""

    def __init__(self, bundles: Mapping[str, Mapping[str, int]]) -> None:
        self.bundles = bundles
        self._ids: dict[str, int] = {}
        self._fresh = count(30001)

    def id(self, name: str) -> int:
        """The id of an article or of its stock; a new article gets one at once."""
        if name not in self._ids:
            self._ids[name] = next(self._fresh)
        return self._ids[name]

    def parts(self, sku: str, units: int) -> dict[str, int]:
        """Units by name of what lies on the shelf."""
        if sku not in self.bundles:
            return {sku: units}
        return {part: each * units for part, each in self.bundles[sku].items()}


def stamp(moment: datetime | None) -> str | None:
    """A moment as ShipBob writes it."""
    if moment is None:
        return None
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


class Teller:
    """Writes the JSON of one account."""

    def __init__(self, articles: Articles, location: int) -> None:
        self.articles, self.location = articles, location

    def order(self, order: Order) -> Doc:
        """An order with its shipments."""
        body = order.body
        return {
            "id": order.id,
            "created_date": stamp(order.created_at),
            "purchase_date": body.get("purchase_date"),
            "reference_id": body["reference_id"],
            "order_number": body.get("order_number"),
            "status": order.status,
            "type": body["type"],
            "channel": {"id": order.channel_id, "name": CHANNEL_NAME},
            "shipping_method": body["shipping_method"],
            "recipient": body["recipient"],
            "products": [self._ordered(product) for product in body["products"]],
            "tags": body.get("tags") or [],
            "shipments": [self.shipment(one) for one in order.shipments],
            "gift_message": body.get("gift_message"),
            "financials": {"total_price": None},
        }

    def _ordered(self, product: Doc) -> Doc:
        name = product.get("reference_id")
        return {
            "id": product.get("id") or self.articles.id(f"product {name}"),
            "reference_id": name,
            "quantity": product["quantity"],
            "quantity_unit_of_measure_code": None,
            "sku": product.get("sku") or name,
            "gtin": None,
            "upc": None,
            "unit_price": product.get("unit_price"),
            "external_line_id": None,
        }

    def shipment(self, one: Shipment) -> Doc:
        """A shipment."""
        place = {"id": self.location, "name": LOCATION_NAME}
        nowhere = {"id": 0, "name": None}
        return {
            "id": one.id,
            "order_id": one.order_id,
            "reference_id": one.reference,
            "status": one.status,
            "status_details": [_detail(*detail) for detail in one.details],
            "created_date": stamp(one.created_at),
            "last_update_at": stamp(one.updated_at),
            "last_tracking_update_at": stamp(one.tracked_at),
            "location": place if one.status != "Exception" else nowhere,
            "recipient": {**one.recipient, "full_name": one.recipient["name"]},
            "products": [self._packed(sku, units) for sku, units in one.units.items()],
            "tracking": _tracking(one),
            "measurements": _measurements(one),
            "package_material_type": "Unknown" if not one.weight_oz else "Box",
            "ship_option": "Standard",
            "actual_fulfillment_date": stamp(one.shipped_at),
            "delivery_date": stamp(one.delivered_at),
            "is_tracking_uploaded": False,
            "require_signature": False,
            "gift_message": None,
            "insurance_value": None,
            "invoice_amount": None,
            "invoice_currency_code": None,
            "estimated_fulfillment_date": None,
            "estimated_fulfillment_date_status": "PendingOnTime",
            "parent_cartons": [],
        }

    def _packed(self, sku: str, units: int) -> Doc:
        return {
            "id": self.articles.id(f"product {sku}"),
            "reference_id": sku,
            "sku": sku,
            "name": sku,
            "inventory_items": [
                {
                    "id": self.articles.id(part),
                    "name": part,
                    "quantity": pieces,
                    "quantity_committed": pieces,
                    "lot": None,
                    "expiration_date": None,
                    "is_dangerous_goods": False,
                    "serial_numbers": [],
                }
                for part, pieces in self.articles.parts(sku, units).items()
            ],
        }

    def line_items(self, one: Shipment) -> list[Doc]:
        """What a shipment holds by stock, as it is sent back to change it."""
        return [
            {
                "inventory_id": self.articles.id(part),
                "quantity": pieces,
                "committed_quantity": pieces,
                "is_hazmat": False,
                "is_lot": False,
                "product_variant": {"id": self.articles.id(f"product {sku}"), "sku": sku},
                "serial_numbers": [],
            }
            for sku, units in one.units.items()
            for part, pieces in self.articles.parts(sku, units).items()
        ]

    def goods_back(self, one: Return) -> Doc:
        """A return."""
        return {
            "id": one.id,
            "reference_id": one.reference,
            "status": one.status,
            "return_type": one.return_type,
            "store_order_id": one.store_order_id,
            "original_shipment_id": one.shipment_id,
            "tracking_number": one.tracking_number,
            "shipment_tracking_number": None,
            "customer_name": None,
            "fulfillment_center": {"id": self.location, "name": LOCATION_NAME},
            "channel": {"id": 0, "name": None},
            "insert_date": stamp(one.history[0][1]),
            "awaiting_arrival_date": stamp(one.since("AwaitingArrival")),
            "arrived_date": stamp(one.since("Arrived")),
            "processing_date": stamp(one.since("Processing")),
            "completed_date": stamp(one.since("Completed")),
            "cancelled_date": stamp(one.since("Cancelled")),
            "status_history": [
                {"status": word, "timestamp": stamp(at)} for word, at in one.history
            ],
            "inventory": [self._returned(one, sku, units) for sku, units in one.units.items()],
            "invoice": {"amount": None, "currency_code": None},
            "transactions": [],
        }

    def _returned(self, one: Return, sku: str, units: int) -> Doc:
        taken = one.taken.get(sku, {})
        return {
            "id": self.articles.id(sku),
            "sku": sku,
            "name": sku,
            "quantity": units,
            "barcodes": [],
            "lot_information": {"number": None, "expiration": None, "minimumShelfLife": None},
            "action_requested": {"action": "Default", "action_type": None, "instructions": None},
            "action_taken": [
                {
                    "action": action,
                    "quantity_processed": n,
                    "action_reason": None,
                    "image_url": None,
                }
                for action, n in taken.items()
            ],
        }


def _detail(number: int, name: str, says: str) -> Doc:
    return {
        "id": number,
        "name": name,
        "description": says,
        "inventory_id": None,
        "exception_fulfillment_center_id": None,
        "extra_information": {"validation_messages": []},
    }


def _tracking(one: Shipment) -> Doc:
    number = one.tracking_number
    return {
        "carrier": one.carrier,
        "carrier_service": one.service,
        "tracking_number": number,
        "tracking_url": f"{TRACKING_PAGE}{number}" if number else None,
        "shipping_date": stamp(one.shipped_at),
        "bol": None,
        "pro_number": None,
        "scac": None,
    }


def _measurements(one: Shipment) -> Doc:
    inches = 6 if one.weight_oz else 0
    names = ("depth_in", "length_in", "width_in")
    return {**dict.fromkeys(names, inches), "total_weight_oz": one.weight_oz}
