"""What goods and money of an order went through: shipments, parcels, carriers' words, returns,
refunds and what providers said of them.
"""

from collections.abc import Iterable, Iterator
from itertools import groupby

from sqlalchemy import Connection

from resources.store.frames import read_rows
from sync_assets.ops.report import plain
from sync_assets.ops.trace_events import Event, event
from sync_assets.ops.trace_things import MONEY, RETURNS, SHIPMENTS, Row, Things

_DISPOSITIONS = {
    "restock_units": "back on the shelf",
    "refurbish_units": "kept apart",
    "write_off_units": "written off",
}


def shipment_events(things: Things) -> Iterator[Event]:
    """What left, when, and in which parcels."""

    def key(row: Row) -> tuple[str, str]:
        return row["shipment_ref"], row["order_ref"]

    for (shipment, order_ref), lines in groupby(sorted(things.shipped, key=key), key=key):
        rows = list(lines)
        first = rows[0]
        number = f" ({first['remote_number']})" if first["remote_number"] else ""
        by = f" by {first['carrier']}" if first["carrier"] else ""
        what = (
            f"shipment {shipment}{number} {first['state']}{by}: {_goods(rows)}{_not_coming(rows)}"
        )
        parcels = dict.fromkeys(row["tracking_number"] for row in rows if row["tracking_number"])
        if parcels:
            what += f"; parcels {', '.join(parcels)}"
        at = first["shipped_at"] or first["changed_at"]
        yield event(order_ref, at, SHIPMENTS, "core", first["system"], what, first)


def _goods(rows: Iterable[Row], *, cancelled: bool = False) -> str:
    chosen = [row for row in rows if row["is_cancelled"] == cancelled]
    return ", ".join(f"{row['units']} × {row['sku']}" for row in chosen) or "nothing"


def _not_coming(rows: list[Row]) -> str:
    """What the warehouse says it will not ship any more."""
    gone = any(row["is_cancelled"] for row in rows)
    return f"; will not ship {_goods(rows, cancelled=True)}" if gone else ""


def parcel_events(things: Things) -> Iterator[Event]:
    """Where a parcel stands, if nobody's tracking event says it."""
    told = {(row["parcel_ref"], row["happened_at"]) for row in things.tracking}
    rows = {row["parcel_ref"]: row for row in things.shipped if row["parcel_ref"]}
    for row, order_ref, noun in things.owned(rows.values(), "parcel_ref"):
        at = row["parcel_state_at"]
        if at is not None and (row["parcel_ref"], at) not in told:
            state = row["parcel_state"].replace("_", " ")
            what = f"parcel {row['tracking_number'] or row['parcel_ref']}: {state}"
            yield event(order_ref, at, noun, "core", row["parcel_carrier"], what, {})


def tracking_events(things: Things) -> Iterator[Event]:
    """What carriers said, in their words and in ours."""
    for row, order_ref, noun in things.owned(things.tracking, "parcel_ref"):
        said = f"{row['code']} " if row["code"] else ""
        ours = row["state"].replace("_", " ") if row["is_known"] else "a word nobody knows"
        place = f" in {row['place']}" if row["place"] else ""
        zone = "" if row["has_zone"] else ", its zone unsaid"
        what = f"parcel {row['tracking_number']}: {said}“{row['words']}” = {ours}{place}{zone}"
        yield event(order_ref, row["happened_at"], noun, "tracking", row["carrier"], what, row)


def return_events(things: Things) -> Iterator[Event]:
    """What was announced, what arrived, and what became of it."""
    for row in things.returns:
        ref, order_ref, lines = row["return_ref"], row["order_ref"], row["lines"]
        wish = ", for other goods" if row["is_exchange"] else ""
        goods = ", ".join(f"{line['requested_units']} × {line['sku']}" for line in lines)
        what = f"return {ref} by {row['source'].replace('_', ' ')}{wish}: {goods or 'no goods'}"
        yield event(order_ref, row["requested_at"], RETURNS, "core", row["store"], what, row)
        if row["received_at"]:
            arrived = "; ".join(_arrived(line) for line in lines)
            what = f"return {ref} arrived: {arrived or 'no goods'}"
            yield event(order_ref, row["received_at"], RETURNS, "core", row["location"], what, row)
    for row in things.replaced:
        new, old = row["exchange_order_ref"], row["order_ref"] or "an order nobody knows"
        what = f"{new} replaces the goods of return {row['return_ref']} of {old}"
        yield event(new, row["requested_at"], RETURNS, "core", row["store"], what, row)


def _arrived(line: Row) -> str:
    fates = [f"{line[name]} {said}" for name, said in _DISPOSITIONS.items() if line[name]]
    became = f" ({', '.join(fates)})" if fates else ""
    return f"{line['received_units']} of {line['requested_units']} × {line['sku']}{became}"


def refund_events(things: Things) -> Iterator[Event]:
    """Money that was asked back."""
    for row in things.refunds:
        goods = f" for {row['goods']}" if row["goods"] else ""
        of = f", of return {row['return_ref']}" if row["return_ref"] else ""
        what = (
            f"refund {row['refund_ref']} by {row['source'].replace('_', ' ')}: "
            f"{plain(row['amount'])} {row['currency']}{goods}, {row['method']}{of}"
        )
        yield event(row["order_ref"], row["refunded_at"], MONEY, "core", row["store"], what, row)


def verdict_events(connection: Connection, things: Things) -> Iterator[Event]:
    """What payment providers said became of refunds."""
    rows = read_rows(connection, _VERDICTS, keys=[row["refund_ref"] for row in things.refunds])
    for row, order_ref, noun in things.owned(rows, "refund_ref"):
        why = f": {row['reason']}" if row["reason"] else ""
        what = f"refund {row['refund_ref']} ({row['refund_id']}) is {row['state']}{why}"
        yield event(order_ref, row["happened_at"], noun, "raw", row["provider"], what, {})


_VERDICTS = """
select provider, refund_id, state, happened_at, reason, refund_ref
from core.refund_verdicts where refund_ref = any(:keys) order by happened_at
"""


def restock_events(connection: Connection, things: Things) -> Iterator[Event]:
    """Units that an ERP booked back, and who did it."""
    rows = read_rows(
        connection,
        "select * from core.restocked where return_ref = any(:keys) order by booked_at, sku",
        keys=[row["return_ref"] for row in things.returns],
    )
    for row, order_ref, noun in things.owned(rows, "return_ref"):
        what = (
            f"{row['units']} × {row['sku']} of {row['return_ref']} booked back by "
            f"{'us' if row['booked_by'] == 'pipeline' else 'somebody in ' + row['system']}"
        )
        yield event(order_ref, row["booked_at"], noun, "core", row["system"], what, {})
