"""DHL Express: its XML services and the MyDHL API (JSON) tell the same checkpoints.

Times are the checkpoint's own and written without a zone, unless MyDHL adds the offset. Signatory
fields hold account numbers and times of day too; only a name beside a delivery is one.
"""

from collections.abc import Iterable
from datetime import UTC, tzinfo

from sync_assets.domain.tracking import ParcelState
from sync_assets.mappers.tracking.refusals import NO_EVENTS
from sync_assets.mappers.tracking.shape import Carrier, Event, Failure, Parcel, number_of
from sync_assets.mappers.tracking.times import joined, moment
from sync_assets.mappers.tracking.tree import Node
from sync_assets.mappers.tracking.words import IN_CUSTOMS, Words, coded

CODES = {
    "SA": ParcelState.LABEL_CREATED,
    "PU": ParcelState.PICKED_UP,
    **coded(ParcelState.IN_TRANSIT, "AD AF AR CI CU DF FD HN IR LV MC MS PL PO RW SC SM TP TR UV"),
    **coded(IN_CUSTOMS, "BL BN BR CR ES IC"),
    "WC": ParcelState.OUT_FOR_DELIVERY,
    **coded(ParcelState.DELIVERY_FAILED, "CA CM MD ND NH RD"),
    "CC": ParcelState.AVAILABLE_FOR_PICKUP,
    **coded(ParcelState.DELIVERED, "OK DD"),
    "RT": ParcelState.RETURNING,
    **coded(ParcelState.EXCEPTION, "BA CD DM DP DS HI HP OH PD SI SS ST TD TI UD"),
}
WORDS = Words(codes=CODES)
_DELIVERED = ("OK", "DD")


def xml_parcels(root: Node, zone: tzinfo) -> Iterable[Parcel]:
    """One for each waybill, or what DHL says of it or of the request."""
    if failure := _failure(root.one("Response", "Status")):
        yield Parcel("", failure=failure)
    for waybill in root.many("AWBInfo"):
        yield _waybill(waybill, zone)


def _waybill(waybill: Node, zone: tzinfo) -> Parcel:
    shipment = waybill.one("ShipmentInfo")
    checkpoints = shipment.many("ShipmentEvent")
    expected = shipment.text("EstDlvyDateUTC")
    return Parcel(
        number_of(waybill.text("AWBNumber")),
        events=tuple(_checkpoint(one, zone) for one in checkpoints),
        failure=None if checkpoints else _failure(waybill.one("Status")),
        expected=moment(expected, UTC) or moment(shipment.text("EstDlvyDate"), zone),
        signed_by=_signatory(
            (one.text("ServiceEvent", "EventCode"), one.text("Signatory")) for one in checkpoints
        ),
    )


def _checkpoint(told: Node, zone: tzinfo) -> Event:
    return Event(
        words=told.text("ServiceEvent", "Description"),
        code=told.text("ServiceEvent", "EventCode"),
        at=joined(told.text("Date"), told.text("Time"), zone),
        place=told.text("ServiceArea", "Description"),
    )


def _failure(status: Node) -> Failure | None:
    condition = status.one("Condition")
    if not condition:
        return None
    return Failure(condition.text("ConditionData"), f"DHL {condition.text('ConditionCode')}")


def json_parcels(root: Node, zone: tzinfo) -> Iterable[Parcel]:
    """One for each shipment, or what the MyDHL API says instead."""
    if root.one("documents"):
        yield Parcel("", failure=Failure(ours=NO_EVENTS))
    elif root.one("detail") or root.one("title"):
        said = root.text("detail") or root.text("title")
        yield Parcel("", failure=Failure(said, root.text("status")))
    for shipment in root.many("shipments"):
        told = shipment.many("events")
        yield Parcel(
            number_of(shipment.text("shipmentTrackingNumber")),
            events=tuple(_event(one, zone) for one in told),
            expected=moment(
                shipment.text("estimatedDeliveryDate") or shipment.text("estimatedTimeOfDelivery"),
                zone,
            ),
            signed_by=_signatory((one.text("typeCode"), one.text("signedBy")) for one in told),
        )


def _event(told: Node, zone: tzinfo) -> Event:
    return Event(
        words=told.text("description"),
        code=told.text("typeCode"),
        at=joined(told.text("date"), told.text("time"), zone, told.text("GMTOffset")),
        place=told.text("serviceArea", "description"),
    )


def _signatory(told: Iterable[tuple[str, str]]) -> str:
    names = (name for code, name in told if code in _DELIVERED)
    return next((name for name in names if any(c.isalpha() for c in name)), "")


CARRIER = Carrier("xml", xml_parcels, WORDS)
MYDHL = Carrier("json", json_parcels, WORDS)
