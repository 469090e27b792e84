"""EasyPost's mapper: every status in our words, carriers in our codes, broken trackers refused."""

from contextlib import suppress
from copy import deepcopy
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import sync_assets.mappers.easypost as easypost
from sync_assets.domain import carriers
from sync_assets.domain.orders import Rejected
from sync_assets.domain.tracking import ParcelState, SeenEvent, SeenTracking, newest

ALBANY = {"city": "ALBANY", "state": "NY", "zip": "12207", "country": None}
NOWHERE = dict.fromkeys(ALBANY)


def scan(**changes: Any) -> dict[str, Any]:
    return {
        "object": "TrackingDetail",
        "message": "Arrived at USPS Facility",
        "description": "",
        "status": "in_transit",
        "status_detail": "arrived_at_facility",
        "datetime": "2026-11-20T09:00:00Z",
        "source": "USPS",
        "carrier_code": "10",
        "tracking_location": {"object": "TrackingLocation", **ALBANY},
    } | changes


def tracker(*scans: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {
        "id": "trk_1",
        "tracking_code": "9400100000000000000001",
        "status": "in_transit",
        "status_detail": "arrived_at_facility",
        "updated_at": "2026-11-20T09:05:00Z",
        "signed_by": None,
        "est_delivery_date": None,
        "carrier": "USPS",
        "tracking_details": list(scans),
    } | changes


def problems(payload: dict[str, Any]) -> list[tuple[str, str]]:
    with pytest.raises(Rejected) as refusal:
        easypost.tracking(payload)
    return [(one.code, one.part) for one in refusal.value.problems]


def test_a_tracker_tells_its_parcel_and_each_scan() -> None:
    payload = tracker(
        scan(), signed_by="A. Field", est_delivery_date="2026-11-22T00:00:00Z", carrier="FedEx"
    )

    assert easypost.tracking(payload) == SeenTracking(
        tracking_number="9400100000000000000001",
        carrier="fedex",
        events=(
            SeenEvent(
                state=ParcelState.IN_TRANSIT,
                is_known=True,
                words="Arrived at USPS Facility",
                code="10",
                happened_at=datetime(2026, 11, 20, 9, tzinfo=UTC),
                has_zone=True,
                place="ALBANY, NY, 12207",
            ),
        ),
        expected_at=datetime(2026, 11, 22, tzinfo=UTC),
        signed_by="A. Field",
    )


@pytest.mark.parametrize(
    ("status", "detail", "state"),
    [
        ("pre_transit", "label_created", "label_created"),
        ("pre_transit", "status_update", "label_created"),
        ("in_transit", "received_at_origin_facility", "picked_up"),
        ("in_transit", "departed_facility", "in_transit"),
        ("in_transit", "weather_delay", "in_transit"),
        ("in_transit", "arrived_at_pickup_location", "available_for_pickup"),
        ("in_transit", "delivery_exception", "delivery_failed"),
        ("in_transit", "held", "exception"),
        ("in_transit", "return", "returning"),
        ("in_transit", "lost", "lost"),
        ("out_for_delivery", "out_for_delivery", "out_for_delivery"),
        ("available_for_pickup", "", "available_for_pickup"),
        ("delivered", "arrived_at_destination", "delivered"),
        ("return_to_sender", "return", "returning"),
        ("return_to_sender", "arrived_at_destination", "returned"),
        ("failure", "damaged", "exception"),
        ("failure", "lost", "lost"),
        ("cancelled", "cancelled", "cancelled"),
        ("in_transit", "a detail nobody told us of", "in_transit"),
    ],
)
def test_status_and_detail_are_one_word_of_ours(status: str, detail: str, state: str) -> None:
    (event,) = easypost.tracking(tracker(scan(status=status, status_detail=detail))).events

    assert (str(event.state), event.is_known) == (state, True)


@pytest.mark.parametrize("status", ["unknown", "error", "teleported", "", None])
def test_what_says_nothing_of_the_parcel_is_kept_flagged_and_decides_nothing(
    status: str | None,
) -> None:
    later = scan(status=status, status_detail=None, datetime="2026-11-21T09:00:00Z")

    seen = easypost.tracking(tracker(scan(), later))

    assert [(str(one.state), one.is_known) for one in seen.events] == [
        ("in_transit", True),
        ("unknown", False),
    ]
    assert newest(seen.events) is seen.events[0]


def test_a_time_without_a_place_is_in_nobody_knows_which_zone() -> None:
    nowhere = scan(tracking_location={"object": "TrackingLocation", **NOWHERE})
    none = scan(tracking_location=None)
    no_offset = scan(datetime="2026-11-20T09:00:00")

    seen = easypost.tracking(tracker(nowhere, none, no_offset))

    assert [(one.has_zone, one.place) for one in seen.events] == [
        (False, None),
        (False, None),
        (False, "ALBANY, NY, 12207"),
    ]


def test_words_come_from_whatever_the_carrier_said() -> None:
    seen = easypost.tracking(
        tracker(
            scan(message="", description="Sorted"),
            scan(message=None, description=None, carrier_code=None),
        )
    )

    assert [(one.words, one.code) for one in seen.events] == [
        ("Sorted", "10"),
        ("in_transit", None),
    ]


def test_a_tracker_without_scans_has_no_events() -> None:
    assert easypost.tracking(tracker()).events == ()
    assert easypost.tracking(tracker(tracking_details=None)).events == ()


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("UPS", "ups"),
        ("UPSSurePost", "ups"),
        ("FedExSmartPost", "fedex"),
        ("DhlExpress", "dhl_express"),
        ("DHLExpress", "dhl_express"),
        ("DhlEcs", "dhl_ecommerce"),
        ("RoyalMailV3", "royalmail"),
        ("CanadaPost", "canadapost"),
        ("BetterTrucks", "better_trucks"),
        ("SFExpress", "sf_express"),
        ("Veho", "veho"),
    ],
)
def test_carriers_have_our_codes_and_unknown_ones_their_name(name: str, code: str) -> None:
    assert easypost.tracking(tracker(carrier=name)).carrier == code


def test_every_carrier_of_the_table_is_one_of_ours_and_is_asked_for_by_name() -> None:
    assert set(easypost.CARRIERS.values()) <= set(carriers.CARRIERS)
    for code in set(easypost.CARRIERS.values()):
        assert easypost.carrier_code(easypost.carrier_name(code) or "") == code
    assert [easypost.carrier_name(code) for code in ("ups", "dpd", "teleship", "", None)] == [
        *("UPS", "DPD"),
        *(None, None, None),
    ]


def test_what_cannot_be_read_is_refused_by_part() -> None:
    payload = tracker(scan(datetime=None), scan(datetime="yesterday"), 7, carrier=None)  # type: ignore[arg-type]

    assert problems(payload | {"tracking_code": " "}) == [
        ("tracking.malformed", "tracking_code"),
        ("tracking.malformed", "carrier"),
        ("tracking.malformed", "tracking_details[2]"),
        ("tracking.malformed", "tracking_details[0].datetime"),
        ("tracking.malformed", "tracking_details[1].datetime"),
    ]


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({"description": "tracker.updated", "result": {"id": "trk_1"}}, "trk_1"),
        ({"description": "tracker.created", "result": {"id": "trk_1"}}, "trk_1"),
        ({"description": "batch.updated", "result": {"id": "batch_1"}}, None),
        ({"description": "tracker.updated", "result": None}, None),
        ({"description": "tracker.updated", "result": {"id": 7}}, None),
        ({"description": "tracker.updated", "result": {"id": "trk_1\n"}}, None),
        ({"description": None}, None),
        ({}, None),
    ],
)
def test_an_event_names_the_tracker_to_read_again(body: dict[str, Any], named: str | None) -> None:
    assert easypost.hinted(body) == named


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.decimals(allow_nan=False),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(), inner, max_size=2),
    max_leaves=4,
)


@given(data=st.data(), new=JSON)
def test_a_tracker_with_anything_anywhere_is_mapped_or_rejected(data: Any, new: Any) -> None:
    payload = deepcopy(tracker(scan()))
    place = data.draw(
        st.sampled_from(
            [
                payload,
                payload["tracking_details"][0],
                payload["tracking_details"][0]["tracking_location"],
            ]
        )
    )
    place[data.draw(st.sampled_from(sorted(place)))] = new

    with suppress(Rejected):
        easypost.tracking(payload)
