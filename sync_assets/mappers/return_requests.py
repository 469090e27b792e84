"""A request to send something back, in the words of our own contract (docs/returns.md), in ours.

Whoever sends it names the order in any form they have, and lines by SKU or by the shop's id of the
line. Raises `Rejected` with every reason.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sync_assets.domain.returns import ExchangeLine, Source
from sync_assets.mappers.payload import NEVER, Faults, Part

MOST_UNITS = 10**6
MOST_LINES = 500
SOURCES = (Source.REQUEST, Source.STORE_DROPOFF)
FIELDS = frozenset(
    {
        *("reference", "order", "store", "source", "reason", "is_exchange", "replacement"),
        *("lines", "tracking_number", "location", "requested_at"),
    }
)
_REFERENCE = re.compile(r"[^\s\x00-\x1f\x7f]{1,120}")


@dataclass(frozen=True)
class WantedLine:
    """Units of one article, or of one line of the order."""

    units: int
    sku: str | None = None
    line_id: int | None = None


@dataclass(frozen=True)
class ReturnRequest:
    """What somebody wants to send back."""

    reference: str
    order: str
    store: str | None
    source: Source
    reason: str
    lines: tuple[WantedLine, ...]
    is_exchange: bool = False
    replacement: tuple[ExchangeLine, ...] = ()
    tracking_number: str | None = None
    location: str | None = None
    requested_at: datetime | None = None


def reference_of(body: object) -> str | None:
    """The sender's own reference, as far as it can be read: what a bad request is named by."""
    said = body.get("reference") if isinstance(body, Mapping) else None
    return said if isinstance(said, str) and _REFERENCE.fullmatch(said) else None


def request(body: object) -> ReturnRequest:
    """Read a request; raises `Rejected` with every reason."""
    faults = Faults("thing.malformed")
    if not isinstance(body, Mapping):
        faults.note("body", "is not an object")
        faults.settle()
    assert isinstance(body, Mapping)
    said = Part(body, "", faults)
    for name in sorted(set(body) - FIELDS)[:5]:
        faults.note(str(name)[:40], "is no field of the contract")
    if reference_of(body) is None:
        said.fault("reference", "is not a word of at most 120 characters")
    found = ReturnRequest(
        reference=reference_of(body) or "",
        order=_order(said),
        store=_maybe(said, "store"),
        source=_source(said),
        reason=_maybe(said, "reason") or "",
        lines=_lines(said),
        is_exchange=_flag(said, "is_exchange"),
        replacement=_replacement(said),
        tracking_number=_maybe(said, "tracking_number"),
        location=_maybe(said, "location"),
        requested_at=_instant(said),
    )
    if found.is_exchange != bool(found.replacement):
        said.fault("replacement", "names goods if, and only if, it is an exchange")
    faults.settle()
    return found


def body_of(wanted: ReturnRequest) -> dict[str, Any]:
    """A request as our contract writes it."""
    lines = [
        {"units": one.units} | ({"line_id": one.line_id} if one.line_id else {"sku": one.sku})
        for one in wanted.lines
    ]
    said: dict[str, Any] = {
        "reference": wanted.reference,
        "order": wanted.order,
        "store": wanted.store,
        "source": str(wanted.source),
        "reason": wanted.reason,
        "lines": lines,
        "is_exchange": wanted.is_exchange,
        "replacement": [{"sku": one.sku, "units": one.units} for one in wanted.replacement],
        "tracking_number": wanted.tracking_number,
        "location": wanted.location,
        "requested_at": wanted.requested_at.isoformat() if wanted.requested_at else None,
    }
    return {name: value for name, value in said.items() if value not in (None, [], "")}


def _order(said: Part) -> str:
    """Our key of the order, its number or the shop's id; numbers may come as such."""
    value = said.body.get("order")
    if type(value) is int and value > 0:
        return str(value)
    return said.text("order").strip() or _fault(said, "order", "is empty")


def _fault(said: Part, key: str, message: str) -> str:
    said.fault(key, message)
    return ""


def _maybe(said: Part, key: str) -> str | None:
    return said.optional(key).strip()[:500] or None


def _flag(said: Part, key: str) -> bool:
    return said.flag(key) if said.body.get(key) is not None else False


def _source(said: Part) -> Source:
    word = said.optional("source") or Source.REQUEST
    if word not in SOURCES:
        said.fault("source", f"is neither {' nor '.join(SOURCES)}")
        return Source.REQUEST
    return Source(word)


def _lines(said: Part) -> tuple[WantedLine, ...]:
    parts = said.parts("lines")
    if not parts or len(parts) > MOST_LINES:
        said.fault("lines", f"are not 1 to {MOST_LINES}")
    return tuple(map(_line, parts))


def _line(part: Part) -> WantedLine:
    line_id = part.body.get("line_id")
    sku = _maybe(part, "sku")
    if line_id is not None:
        return WantedLine(_units(part), sku, int(part.id("line_id") or 0))
    if sku is None:
        part.fault("sku", "is missing, and so is line_id")
    return WantedLine(_units(part), sku)


def _units(part: Part) -> int:
    value = part.body.get("units")
    if type(value) is int and 0 < value <= MOST_UNITS:
        return value
    part.fault("units", "is not a whole number of pieces")
    return 0


def _replacement(said: Part) -> tuple[ExchangeLine, ...]:
    if said.body.get("replacement") is None:
        return ()
    return tuple(
        ExchangeLine(sku=part.text("sku"), units=_units(part)) for part in said.parts("replacement")
    )


def _instant(said: Part) -> datetime | None:
    if said.body.get("requested_at") is None:
        return None
    found = said.instant("requested_at")
    return None if found == NEVER else found
