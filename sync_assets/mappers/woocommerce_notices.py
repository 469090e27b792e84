"""Shipping notices and exchange orders in WooCommerce's words, and what it shows of notices.

Fulfillments are as the vendor's REST API documentation has them, not as recorded.
"""

import re
from collections.abc import Mapping
from datetime import UTC
from typing import Any

from sync_assets.domain.fulfilment import SeenNotice, ShippingNotice
from sync_assets.domain.orders import Problem, Rejected
from sync_assets.domain.returns import ExchangeLine, ExchangeOrder
from sync_assets.mappers.payload import Faults, Part

KEY = "_sync_shipment"
NUMBERS = "_sync_tracking_numbers"
EXCHANGE_KEY, EXCHANGED = "_sync_exchange", "_sync_exchange_of"
WAYS = ("auto", "fulfilments", "notes")
#: The shop's own word for a carrier it has no word for; its name stands beside it.
OTHER = "other"

_NOTE_KEY = re.compile(r"\[ref ([^\[\]]+)\]\s*$")

Payload = dict[str, Any]


def notice(document: ShippingNotice, way: str) -> Payload:
    """Write a notice for one way, or for both where the client is to find out which."""
    if way not in WAYS:
        raise ValueError(f"{way} is no way to give a notice")
    payload: Payload = {"key": document.key}
    if way != "notes":
        payload["fulfilment"] = _fulfilment(document)
    if way != "fulfilments":
        payload |= {"note": _note(document), "tracking": _tracking(document)}
    return payload


def seen_notice(payload: Mapping[str, Any]) -> SeenNotice:
    """Read a notice of ours as the shop shows it; raises `Rejected`."""
    faults = Faults("notice.malformed")
    if not isinstance(payload, Mapping):
        faults.note("payload", "is not an object")
        faults.settle()
    said = Part(payload, "", faults)
    seen = _seen_note(said) if "note" in payload else _seen_fulfilment(said)
    faults.settle()
    return seen


def exchange(document: ExchangeOrder, order_body: Mapping[str, Any]) -> Payload:
    """Write the order that replaces returned goods, for the customer of the one it replaces."""
    if not isinstance(order_body, Mapping) or order_body.get("id") != document.order_id:
        message = "is not the order to be replaced"
        raise Rejected([Problem("exchange.malformed", "id", message)])
    faults = Faults("exchange.malformed")
    old = Part(order_body, "", faults)
    customer = int(old.id_or_none("customer_id") or 0)
    payload: Payload = {
        "status": "processing",
        "currency": old.text("currency"),
        "customer_id": customer,
        "billing": _address(old.part("billing")),
        "shipping": _address(old.part("shipping")),
        "payment_method": "exchange",
        "payment_method_title": "Exchange",
        "transaction_id": document.key,
        "line_items": [_exchange_line(line) for line in document.lines],
        "meta_data": [
            {"key": EXCHANGE_KEY, "value": document.key},
            {"key": EXCHANGED, "value": str(document.order_id)},
        ],
    }
    faults.settle()
    return payload


def _fulfilment(document: ShippingNotice) -> Payload:
    """One tracking number is all the shop shows of a fulfillment: the first one."""
    numbers, urls = document.tracking_numbers, document.tracking_urls
    meta: Payload = {
        "_items": [{"item_id": line.line_id, "qty": line.units} for line in document.lines],
        KEY: document.key,
        NUMBERS: list(numbers),
    }
    if numbers:
        meta["_tracking_number"] = numbers[0]
    if urls:
        meta["_tracking_url"] = urls[0]
    if document.carrier or document.carrier_name:
        meta["_shipment_provider"] = document.carrier or OTHER
        meta["_provider_name"] = document.carrier_name or document.carrier
    return {
        "status": "fulfilled",
        "is_fulfilled": True,
        "notify_customer": True,
        "meta_data": [{"key": key, "value": value} for key, value in meta.items()],
    }


def _note(document: ShippingNotice) -> str:
    """What the customer reads."""
    carrier = document.carrier_name or document.carrier
    day = document.shipped_at.astimezone(UTC).date()
    told = f"Shipped on {day}{f' with {carrier}' if carrier else ''}."
    pairs = _pairs(document)
    if not pairs:
        return told
    word = "Tracking number" if len(pairs) == 1 else "Tracking numbers"
    return f"{told}\n{word}: " + ", ".join(f"{no} ({url})" if url else no for no, url in pairs)


def _tracking(document: ShippingNotice) -> list[Payload]:
    """Rows for the order's meta data; a notice without a number has one all the same."""
    carrier = document.carrier or document.carrier_name
    return [
        {
            "key": document.key,
            "tracking_number": number,
            "carrier": carrier,
            "url": url,
            "shipped_at": f"{document.shipped_at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}",
        }
        for number, url in _pairs(document) or [("", "")]
    ]


def _pairs(document: ShippingNotice) -> list[tuple[str, str]]:
    """Each tracking number with its address, if there is one."""
    urls = [*document.tracking_urls, *[""] * len(document.tracking_numbers)]
    return list(zip(document.tracking_numbers, urls, strict=False))


def _seen_fulfilment(said: Part) -> SeenNotice:
    meta: Payload = {}
    for row in said.parts("meta_data"):
        meta.setdefault(row.text("key"), row.body.get("value"))
    key = meta.get(KEY)
    if not isinstance(key, str) or not key:
        said.fault("meta_data", "does not hold our key")
    numbers = meta.get(NUMBERS)
    if not isinstance(numbers, list):
        numbers = [meta.get("_tracking_number") or ""]
    return SeenNotice(str(key), said.id("id"), "fulfilment", tuple(_words(numbers)))


def _seen_note(said: Part) -> SeenNotice:
    """A note and, beside it, its part of the order's list, where the tracking numbers stand."""
    found = _NOTE_KEY.search(said.text("note"))
    if not found:
        said.fault("note", "does not end with our key")
    rows = [row.optional("tracking_number") for row in said.parts("tracking")]
    return SeenNotice(found[1] if found else "", said.id("id"), "note", tuple(_words(rows)))


def _words(values: list[Any]) -> list[str]:
    return [str(value) for value in values if value]


def _address(part: Part) -> Payload:
    """An address as the old order has it; a blank e-mail would be refused as none."""
    return {name: part.text(name) for name, value in part.body.items() if value not in (None, "")}


def _exchange_line(line: ExchangeLine) -> Payload:
    """Without an amount the shop's own price counts; with one, there is no discount to be seen."""
    wanted: Payload = {"sku": line.sku, "quantity": line.units}
    if line.net_amount is not None:
        amount = format(line.net_amount, "f")
        wanted |= {"subtotal": amount, "total": amount}
    return wanted
