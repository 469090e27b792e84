"""Requests to ship as lines of order files, and a warehouse's lines in our words. Pure.

A thing comes with all its lines of one file, when the file was said, and the zone of times without
an offset. The forms are in docs/warehouse-files.md.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, tzinfo
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sync_assets.domain.fulfilment import FulfilmentOrder, SeenFulfilment
from sync_assets.domain.returns import SeenReturn, SeenReturnLine
from sync_assets.domain.shipments import SeenLine, SeenParcel, SeenShipment
from sync_assets.mappers.csv_words import UNITS, moment
from sync_assets.mappers.payload import NEVER, Faults, Part, storable

Payload = dict[str, Any]

#: What a warehouse answers, and where the request stands then.
STATE_OF = {
    "accepted": "acknowledged",
    "acknowledged": "acknowledged",
    "picking": "picking",
    "cancel_rejected": "picking",
    "on_hold": "on_hold",
    "cancelled": "cancelled",
    "canceled": "cancelled",
    "rejected": "refused",
    "refused": "refused",
}
SHIPMENT_STATES = frozenset(("packed", "shipped", "cancelled"))
RETURN_STATES = frozenset(("requested", "in_transit", "received", "inspected", "cancelled"))
DISPOSITIONS = ("restock", "refurbish", "write_off")

WEIGHT = re.compile(r"[0-9]{1,9}(?:[.,][0-9]{1,2})?")


# What it shall ship


def fulfilment_order(document: FulfilmentOrder, version: int = 1) -> Payload:
    """Return key, version and lines of the file that asks for a document."""
    shared = {
        "store": document.store,
        "order_number": document.order_number,
        "warehouse": document.warehouse,
        "placed_at": _said(document.placed_at),
        "ship_by_at": _said(document.ship_by_at),
        **document.ship_to.model_dump(),
        "shipping_method": document.shipping_method,
        "carrier": document.carrier,
        "service": document.service,
        "note": document.note,
        "currency": document.currency,
    }
    rows = [
        {
            **shared,
            "line_key": line.key,
            "sku": line.sku,
            "description": line.description,
            "units": str(line.units),
            "unit_amount": format(line.unit_amount, "f"),
        }
        for line in document.lines
    ]
    return {"key": document.key, "version": version, "rows": rows}


def _said(moment: datetime | None) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds") if moment else ""


# What it says


def seen(payload: Mapping[str, Any]) -> SeenFulfilment:
    """Return where a request stands, by our file that waits or by an answer; raises Rejected."""
    if "rows" not in payload:
        key = str(payload["reference"])
        return SeenFulfilment(key, key, None, str(payload["state"]), payload=payload)
    faults = Faults("fulfilment.malformed")
    rows = _newest(_Row.all_of(payload, faults))
    states = [row.word("outcome", STATE_OF) for row in rows]
    key = _thing(payload, "reference", faults)
    faults.settle()
    # Of the lines of one version a single refusal refuses the request; else the last word counts.
    at = states.index("refused") if "refused" in states else len(states) - 1
    number = rows[at].text("number")
    reason = rows[at].text("reason")
    return SeenFulfilment(key, number or key, number or None, states[at], None, reason, payload)


def shipment(payload: Mapping[str, Any]) -> SeenShipment:
    """Return a shipment with lines and parcels from its rows; raises Rejected."""
    faults = Faults("shipment.malformed")
    rows = _Row.all_of(payload, faults)
    told_at, zone = _told(payload, faults)
    parcels = _parcels(rows)
    references = {row.text("reference") for row in rows}
    shipped = [moment for row in rows if (moment := row.moment("shipped_at", zone))]
    state = _only(rows, "state") or "shipped"
    if state not in SHIPMENT_STATES:
        faults.note("rows[0].state", f"{state[:40]!r} is no state of a shipment")
    cancelled: dict[str, int] = {}
    for row in rows:
        if units := row.units("cancelled_units", 0):
            _add(cancelled, row.text("sku"), units)
    found = SeenShipment(
        remote_id=_thing(payload, "shipment_id", faults),
        number=_only(rows, "number") or None,
        state=state,
        changed_at=told_at,
        shipped_at=max(shipped, default=told_at) if state == "shipped" else None,
        reference=references.pop() or None if len(references) == 1 else None,
        warehouse=_only(rows, "warehouse"),
        lines=tuple(_line(row, list(parcels)) for row in rows),
        parcels=tuple(parcels.values()),
        cancelled=cancelled,
    )
    faults.settle()
    return found


def goods_back(payload: Mapping[str, Any]) -> SeenReturn:
    """Return goods that came back from their rows, those of one article together."""
    faults = Faults("return.malformed")
    rows = _Row.all_of(payload, faults)
    told_at, zone = _told(payload, faults)
    lines: dict[tuple[str, str], SeenReturnLine] = {}
    for row in rows:
        line = _returned(row)
        place = (line.sku, line.line_key or "")
        lines[place] = _together(lines[place], line) if place in lines else line
    received = [moment for row in rows if (moment := row.moment("received_at", zone))]
    is_settled = all(_settled(line) == line.received_units for line in lines.values())
    state = _only(rows, "state") or ("inspected" if is_settled else "received")
    if state not in RETURN_STATES:
        faults.note("rows[0].state", f"{state[:40]!r} is no state of a return")
    elif state == "inspected" and not is_settled:
        faults.note("rows", "do not say of every unit that came what becomes of it")
    is_there = state in ("received", "inspected")
    found = SeenReturn(
        remote_id=_thing(payload, "return_id", faults),
        number=_only(rows, "number") or None,
        state=state,
        changed_at=told_at,
        received_at=max(received, default=told_at) if is_there else None,
        reference=_only(rows, "reference") or None,
        warehouse=_only(rows, "warehouse"),
        lines=tuple(lines.values()),
        tracking_number=_only(rows, "tracking_number") or None,
        reason=_only(rows, "reason"),
    )
    faults.settle()
    return found


# Lines of a shipment


def _line(row: "_Row", parcels: Sequence[str]) -> SeenLine:
    name = _parcel_name(row)
    return SeenLine(
        sku=row.needed("sku"),
        units=row.units("units"),
        line_key=row.text("line_key") or None,
        reference=row.text("reference") or None,
        parcel=parcels.index(name) if name is not None else None,
    )


def _parcel_name(row: "_Row") -> str | None:
    """What tells one parcel from another; None where the row says nothing of any."""
    said = [row.text(name) for name in ("tracking_number", "carrier", "weight_g")]
    return said[0] if any(said) else None


def _parcels(rows: "Sequence[_Row]") -> dict[str, SeenParcel]:
    """The parcels by tracking number, each as its first row tells it."""
    found: dict[str, SeenParcel] = {}
    for row in rows:
        name = _parcel_name(row)
        weight = row.weight("weight_g")
        if name is None:
            continue
        parcel = SeenParcel(
            tracking_number=name or None,
            carrier_words=row.text("carrier"),
            tracking_url=row.text("tracking_url") or None,
            weight_g=weight,
        )
        first = found.setdefault(name, parcel)
        if weight is not None and first.weight_g not in (None, weight):
            row.note("weight_g", "differs from another row of the same parcel")
    return found


# Lines of a return


def _returned(row: "_Row") -> SeenReturnLine:
    received = row.units("received_units")
    what = {name: row.units(f"{name}_units", 0) for name in DISPOSITIONS}
    word = row.text("disposition").casefold()
    if word and word not in DISPOSITIONS:
        row.note("disposition", f"is none of {', '.join(DISPOSITIONS)}")
    elif word and any(what.values()):
        row.note("disposition", "is said beside units by disposition")
    elif word:
        what[word] = received
    line = SeenReturnLine(
        sku=row.needed("sku"),
        requested_units=row.units("requested_units", received),
        received_units=received,
        restock_units=what["restock"],
        refurbish_units=what["refurbish"],
        write_off_units=what["write_off"],
        line_key=row.text("line_key") or None,
    )
    if _settled(line) > received:
        row.note("received_units", "is less than the units something became of")
    return line


def _together(one: SeenReturnLine, other: SeenReturnLine) -> SeenReturnLine:
    return SeenReturnLine(
        one.sku,
        one.requested_units + other.requested_units,
        one.received_units + other.received_units,
        one.restock_units + other.restock_units,
        one.refurbish_units + other.refurbish_units,
        one.write_off_units + other.write_off_units,
        one.line_key,
    )


def _settled(line: SeenReturnLine) -> int:
    return line.restock_units + line.refurbish_units + line.write_off_units


# Reading values


class _Row:
    """One line of a thing, and its place for whoever must mend it."""

    def __init__(self, cells: Mapping[str, Any], path: str, faults: Faults) -> None:
        self.cells, self.path, self.faults = cells, path, faults

    @classmethod
    def all_of(cls, payload: Mapping[str, Any], faults: Faults) -> "list[_Row]":
        """The lines of a thing; it has at least one."""
        parts = Part(payload, "", faults).parts("rows")
        if not parts and not faults.problems:
            faults.note("rows", "are none")
        return [cls(part.body, part.path, faults) for part in parts]

    def note(self, key: str, message: str) -> None:
        self.faults.note(f"{self.path}.{key}", message)

    def text(self, key: str) -> str:
        value = self.cells.get(key)
        return storable(value).strip() if isinstance(value, str) else ""

    def needed(self, key: str) -> str:
        text = self.text(key)
        if not text:
            self.note(key, "is empty")
        return text

    def word(self, key: str, meanings: Mapping[str, str]) -> str:
        text = self.text(key).casefold().replace(" ", "_")
        if text not in meanings:
            self.note(key, f"is none of {', '.join(meanings)}")
        return meanings.get(text, "")

    def units(self, key: str, absent: int | None = None) -> int:
        text = self.text(key)
        if not text and absent is not None:
            return absent
        found = UNITS.fullmatch(text) if text.isascii() else None
        if found is None:
            self.note(key, "is not a whole number of units, or negative")
            return 0
        return int(found[1])

    def weight(self, key: str) -> Decimal | None:
        text = self.text(key)
        if text and not (text.isascii() and WEIGHT.fullmatch(text)):
            self.note(key, "is not a weight in grams")
            return None
        return Decimal(text.replace(",", ".")) if text else None

    def moment(self, key: str, zone: tzinfo) -> datetime | None:
        text = self.text(key)
        found = moment(text, zone) if text else None
        if text and found is None:
            self.note(key, "is not a date and time, like 2026-11-21T06:00:00+01:00")
        return found


def _told(payload: Mapping[str, Any], faults: Faults) -> tuple[datetime, tzinfo]:
    """When the file was said, and where the clock hangs of times without an offset."""
    part = Part(payload, "", faults)
    moment, name = part.instant("told_at"), part.text("zone")
    try:
        return moment, ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        part.fault("zone", "is no time zone")
        return NEVER, UTC


def _thing(payload: Mapping[str, Any], key: str, faults: Faults) -> str:
    return Part(payload, "", faults).text(key)


def _only(rows: Sequence[_Row], key: str) -> str:
    """What the rows say together; those that say nothing agree."""
    said = {text: row for row in rows if (text := row.text(key))}
    if len(said) > 1:
        list(said.values())[-1].note(key, "differs from another row of the same thing")
    return next(iter(said), "")


def _newest(rows: Sequence[_Row]) -> list[_Row]:
    """The rows of the highest version; those that name none belong to it."""
    versions = [row.units("version", 0) for row in rows]
    newest = max(versions, default=0)
    return [row for row, version in zip(rows, versions, strict=True) if version in (0, newest)]


def _add(units: dict[str, int], sku: str, more: int) -> None:
    units[sku] = units.get(sku, 0) + more
