"""Requests to ship in the words of our own warehouse contract, and its answers in ours. Pure.

The contract is docs/warehouse-http.md. Its states are our own words, so a state that is not in the
tables below is a warehouse that does not keep to it, and is rejected.
"""

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from sync_assets.domain.fulfilment import FulfilmentOrder, SeenFulfilment
from sync_assets.domain.returns import SeenReturn, SeenReturnLine
from sync_assets.domain.shipments import SeenLine, SeenParcel, SeenShipment
from sync_assets.mappers.payload import NEVER, Faults, Part

Payload = dict[str, Any]

FULFILMENT_STATES = frozenset(
    ("waiting", "acknowledged", "picking", "on_hold", "part_shipped", "shipped", "cancelled")
) | {"refused"}
SHIPMENT_STATES = frozenset(("packed", "shipped", "cancelled"))
RETURN_STATES = frozenset(("requested", "in_transit", "received", "inspected", "cancelled"))
DISPOSITIONS = ("restock_units", "refurbish_units", "write_off_units")
#: Things a webhook tells of, and under what name they are read again.
NAMED_BY = {"shipment": "id", "return": "id", "fulfilment_order": "key"}
HAPPENED = frozenset(("created", "updated"))

_OFFSET = re.compile(r"(?:Z|[+-]\d\d:\d\d)$")
MOST_UNITS = 10**9


# What it shall ship


def fulfilment_order(document: FulfilmentOrder, version: int = 1) -> Payload:
    """Return the body that asks for a document; of two bodies the higher version counts."""
    said = document.model_dump(exclude={"order_ref", "placed_at", "ship_by_at", "lines"})
    return {
        **said,
        "version": version,
        "placed_at": _said(document.placed_at),
        "ship_by_at": _said(document.ship_by_at) if document.ship_by_at else None,
        "lines": [
            {**line.model_dump(), "unit_amount": format(line.unit_amount, "f")}
            for line in document.lines
        ],
    }


def _said(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds")


# What it says


def seen(payload: Mapping[str, Any]) -> SeenFulfilment:
    """Return what the warehouse holds of a request; raises Rejected."""
    faults = Faults("fulfilment.malformed")
    whole = Part(payload, "", faults)
    units: dict[str, int] = {}
    for line in whole.parts("lines"):
        meant = _units(line, "units") - _units(line, "short_units", 0)
        if meant < 0:
            line.fault("short_units", "is more than was asked for")
        _add(units, _name(line, "sku"), meant)
    found = SeenFulfilment(
        key=_name(whole, "key"),
        remote_id=_name(whole, "id"),
        number=_maybe(whole, "number"),
        state=_state(whole, FULFILMENT_STATES),
        units=units,
        reason=whole.optional("reason"),
        payload=payload,
    )
    faults.settle()
    return found


def shipment(payload: Mapping[str, Any]) -> SeenShipment:
    """Return a shipment with its lines and parcels; raises Rejected."""
    faults = Faults("shipment.malformed")
    whole = Part(payload, "", faults)
    parcels = tuple(_parcel(part) for part in _parts(whole, "parcels"))
    cancelled: dict[str, int] = {}
    for part in _parts(whole, "cancelled"):
        _add(cancelled, _name(part, "sku"), _units(part, "units"))
    state = _state(whole, SHIPMENT_STATES)
    shipped_at = _instant_or_none(whole, "shipped_at")
    if state == "shipped" and shipped_at is None:
        whole.fault("shipped_at", "is missing, though it was shipped")
    found = SeenShipment(
        remote_id=_name(whole, "id"),
        number=_maybe(whole, "number"),
        state=state,
        changed_at=_instant(whole, "changed_at"),
        shipped_at=shipped_at,
        reference=_maybe(whole, "reference"),
        warehouse=whole.optional("warehouse"),
        lines=tuple(_line(part, len(parcels)) for part in whole.parts("lines")),
        parcels=parcels,
        cancelled=cancelled,
    )
    faults.settle()
    return found


def goods_back(payload: Mapping[str, Any]) -> SeenReturn:
    """Return goods that come back, with what became of each unit; raises Rejected."""
    faults = Faults("return.malformed")
    whole = Part(payload, "", faults)
    state = _state(whole, RETURN_STATES)
    found = SeenReturn(
        remote_id=_name(whole, "id"),
        number=_maybe(whole, "number"),
        state=state,
        changed_at=_instant(whole, "changed_at"),
        received_at=_instant_or_none(whole, "received_at"),
        reference=_maybe(whole, "reference"),
        warehouse=whole.optional("warehouse"),
        lines=tuple(_returned(part, state) for part in whole.parts("lines")),
        tracking_number=_maybe(whole, "tracking_number"),
        reason=whole.optional("reason"),
    )
    faults.settle()
    return found


def hinted(topic: str, body: str) -> str | None:
    """The id, or for a request our key, of the thing a webhook tells of; None: nothing to read."""
    thing, _, happened = topic.partition(".")
    if thing not in NAMED_BY or happened not in HAPPENED:
        return None
    try:
        told = json.loads(body)
    except (ValueError, RecursionError):
        return None
    name = told.get(NAMED_BY[thing]) if isinstance(told, dict) else None
    return name if isinstance(name, str) and name else None


def _line(part: Part, parcels: int) -> SeenLine:
    place = part.body.get("parcel")
    if place is not None and (type(place) is not int or not 0 <= place < parcels):
        part.fault("parcel", "is not the place of a parcel of the shipment")
        place = None
    return SeenLine(
        sku=_name(part, "sku"),
        units=_units(part, "units"),
        line_key=_maybe(part, "line_key"),
        reference=_maybe(part, "reference"),
        parcel=place,
    )


def _parcel(part: Part) -> SeenParcel:
    weight = part.measure("weight_g") if part.body.get("weight_g") is not None else None
    if weight is not None and weight < 0:
        part.fault("weight_g", "is negative")
    return SeenParcel(
        tracking_number=_maybe(part, "tracking_number"),
        carrier_words=part.optional("carrier"),
        tracking_url=_maybe(part, "tracking_url"),
        weight_g=weight,
    )


def _returned(part: Part, state: str) -> SeenReturnLine:
    restock, refurbish, write_off = (_units(part, name, 0) for name in DISPOSITIONS)
    received = _units(part, "received_units", 0)
    settled = restock + refurbish + write_off
    if settled > received:
        part.fault("received_units", "is less than the units something became of")
    elif state == "inspected" and settled < received:
        part.fault("received_units", "is more than the units something became of")
    return SeenReturnLine(
        sku=_name(part, "sku"),
        requested_units=_units(part, "requested_units", 0),
        received_units=received,
        restock_units=restock,
        refurbish_units=refurbish,
        write_off_units=write_off,
        line_key=_maybe(part, "line_key"),
    )


# Reading values


def _state(part: Part, known: frozenset[str]) -> str:
    word = part.text("state")
    if word and word not in known:
        part.fault("state", f"{word[:40]!r} is no state of the contract")
    return word


def _name(part: Part, key: str) -> str:
    text = part.text(key)
    if not text and isinstance(part.body.get(key), str):
        part.fault(key, "is empty")
    return text


def _maybe(part: Part, key: str) -> str | None:
    return part.optional(key) or None


def _units(part: Part, key: str, absent: int | None = None) -> int:
    value = part.body.get(key, absent)
    if type(value) is int and 0 <= value <= MOST_UNITS:
        return value
    part.fault(key, "is missing" if key not in part.body else "is not a whole number of units")
    return 0


def _parts(part: Part, key: str) -> list[Part]:
    """The objects of a list that may be left out."""
    return part.parts(key) if part.body.get(key) is not None else []


def _instant(part: Part, key: str) -> datetime:
    value = part.body.get(key)
    if isinstance(value, str) and not _OFFSET.search(value):
        part.fault(key, "has no offset, so nobody knows which moment is meant")
        return NEVER
    return part.instant(key)


def _instant_or_none(part: Part, key: str) -> datetime | None:
    return _instant(part, key) if part.body.get(key) is not None else None


def _add(units: dict[str, int], sku: str, more: int) -> None:
    units[sku] = units.get(sku, 0) + more
