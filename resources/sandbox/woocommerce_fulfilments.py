"""The fulfillments of a WooCommerce stand-in, a feature that is off like in the recorded store.

Fields and rules are from the vendor's REST API documentation and not from a recording: a change
takes away the meta data it does not name, and a deleted one is only marked. The routes are in
`woocommerce_fulfilment_answers.py`.
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from resources.sandbox.woocommerce_refusals import Declined
from resources.sandbox.woocommerce_till import Doc, Given

INVALID_ITEM = "Invalid item."


class Fulfilments:
    """The fulfillments of one store's orders."""

    def __init__(self) -> None:
        self.is_on = False
        self.kept: dict[int, list[Doc]] = {}
        #: Ids of those the customer was told of, once each time.
        self.told: list[int] = []
        self._last_id = self._last_meta = 0

    def of(self, order_id: int) -> list[Doc]:
        """Those of an order that are not deleted."""
        return [one for one in self.kept.get(order_id, ()) if one["date_deleted"] is None]

    def create(self, order_id: int, given: Given, when: datetime) -> Doc:
        """Write a new one."""
        meta = list(given.get("meta_data", ()))
        _check_items(meta)
        self._last_id += 1
        doc = {
            "id": self._last_id,
            "entity_type": "WC_Order",
            "entity_id": str(order_id),
            **_status(given, "unfulfilled"),
            "date_updated": _stamp(when),
            "date_deleted": None,
            "meta_data": [self._meta(one["key"], one["value"]) for one in meta],
        }
        self.kept.setdefault(order_id, []).append(doc)
        self._tell(doc, given)
        return doc

    def change(self, order_id: int, one_id: int, given: Given, when: datetime) -> Doc:
        """Change one; meta data is taken whole."""
        doc = self.known(order_id, one_id)
        if "meta_data" in given:
            _check_items(given["meta_data"])
            there = {row["key"]: row for row in doc["meta_data"]}
            doc["meta_data"] = [
                there.get(one["key"], self._meta(one["key"], None)) | {"value": one["value"]}
                for one in given["meta_data"]
            ]
        doc |= {**_status(given, doc["status"]), "date_updated": _stamp(when)}
        self._tell(doc, given)
        return doc

    def delete(self, order_id: int, one_id: int, when: datetime) -> None:
        """Mark one as deleted."""
        self.known(order_id, one_id)["date_deleted"] = _stamp(when)

    def known(self, order_id: int, one_id: int) -> Doc:
        """One of an order's."""
        for one in self.of(order_id):
            if one["id"] == one_id:
                return one
        raise Declined(400, "404", "Fulfillment not found.")

    def _tell(self, doc: Doc, given: Given) -> None:
        if doc["is_fulfilled"] and given.get("notify_customer"):
            self.told.append(doc["id"])

    def _meta(self, key: str, value: Any) -> Doc:
        self._last_meta += 1
        return {"id": self._last_meta, "key": key, "value": value}


def _status(given: Given, before: str) -> Doc:
    status = str(given.get("status", before))
    return {"status": status, "is_fulfilled": status == "fulfilled"}


def _check_items(meta: Iterable[Given]) -> None:
    items = next((one["value"] for one in meta if one["key"] == "_items"), None)
    if not items:
        raise Declined(400, "0", "The fulfillment should contain at least one item.")
    for one in items:
        numbers = one.get("item_id"), one.get("qty")
        if not all(isinstance(number, int) and number > 0 for number in numbers):
            raise Declined(400, "0", INVALID_ITEM)


def _stamp(when: datetime) -> str:
    return f"{when.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
