"""Lines of a warehouse's stock files in our words. Pure.

Units are whole and not negative. A time with an offset is that moment; one without is the local
time of the warehouse's configured zone, the earlier moment where the clock shows it twice: stock
that looks older than it is releases no reservation too early.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta, tzinfo

from sync_assets.domain.orders import Row
from sync_assets.mappers.csv_words import UNITS, moment
from sync_assets.mappers.payload import Faults, storable

Payload = Mapping[str, str]

CODE = "stock.malformed"
#: How far a warehouse's clock may be ahead of ours.
AHEAD = timedelta(minutes=5)


def stock_level(
    payload: Payload, warehouse: str, file_moment: datetime, zone: tzinfo, now: datetime
) -> Row:
    """Return one line as a level with the moment it is true for; raises Rejected.

    A file without the column `location` is about the one place that `warehouse` names; a line
    without `counted_at` is true for `file_moment`.
    """
    faults = Faults(CODE)
    row = {
        "item_id": None,
        "sku": _named(payload, "sku", faults),
        "warehouse": _named(payload, "location", faults) if "location" in payload else warehouse,
        "on_hand_units": _units(payload, "on_hand", faults, is_needed=True),
        "allocated_units": _units(payload, "allocated", faults),
        "quarantined_units": _units(payload, "quarantined", faults),
        "incoming_units": _units(payload, "incoming", faults),
        "true_at": _true_at(payload, file_moment, zone, now, faults),
    }
    faults.settle()
    return row


def _named(payload: Payload, key: str, faults: Faults) -> str:
    text = storable(payload.get(key, "")).strip()
    if not text:
        faults.note(key, "is empty")
    return text


def _units(payload: Payload, key: str, faults: Faults, is_needed: bool = False) -> int:
    text = payload.get(key, "").strip()
    if not text and not is_needed:
        return 0
    found = UNITS.fullmatch(text)
    if found is None:
        faults.note(key, "is not a whole number of units, or negative")
        return 0
    return int(found[1])


def _true_at(
    payload: Payload, file_moment: datetime, zone: tzinfo, now: datetime, faults: Faults
) -> datetime:
    text = payload.get("counted_at", "").strip()
    found = moment(text, zone) if text else file_moment
    if found is None:
        faults.note("counted_at", "is not a date and time, like 2026-11-21T06:00:00+01:00")
        return file_moment
    if found > now + AHEAD:
        faults.note("counted_at", "is in the future")
    return min(found, now)
