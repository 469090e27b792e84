"""Asendia, Parcel.One, Sendle, Spring, Teleship and Landmark: who hands parcels on to others."""

import json
from datetime import UTC, datetime

import pytest

from sync_assets.domain.orders import Rejected
from sync_assets.domain.tracking import newest
from sync_assets.mappers.tracking import trackings
from tests.carrier_answers import history, only, sample


def test_asendia_tells_three_events():
    tracking = only("asendia", "TrackingResponse")
    assert tracking.tracking_number == "ASENDIA123456789"
    assert history(tracking) == [
        "2024-04-12 14:30:00 picked_up",
        "2024-04-13 09:15:00 in_transit",
        "2024-04-15 11:00:00 delivered",
    ]
    assert tracking.events[0].place == "Bern, CH"


def test_parcel_one_tells_the_number_of_the_last_mile_and_who_signed():
    tracking = only("parcelone", "TrackingResponseJSON")
    assert tracking.tracking_number == "DHL123456"
    assert history(tracking) == [
        "2024-01-15 14:30:00 delivered",
        "2024-01-15 08:00:00 out_for_delivery",
        "2024-01-14 22:00:00 in_transit",
        "2024-01-14 10:00:00 in_transit",
        "2024-01-13 16:00:00 picked_up",
    ]
    assert tracking.events[-1].code == "REGISTERED"
    assert tracking.signed_by == "John Doe"


def test_sendle_does_not_repeat_the_number_so_the_one_we_asked_for_stands():
    text = sample("sendle", "TrackingResponse")
    (tracking,) = trackings("sendle", text, asked="SNFJJ3")
    assert tracking.tracking_number == "SNFJJ3"
    assert history(tracking) == [
        "2023-04-03 08:20:00 exception",
        "2023-04-04 16:12:00 picked_up",
        "2023-04-04 20:55:00 in_transit",
        "2023-04-04 22:43:00 in_transit",
        "2023-04-05 03:14:00 in_transit",
        "2023-04-05 12:04:00 in_transit",
        "2023-04-05 12:59:00 in_transit",
        "2023-04-05 13:10:00 out_for_delivery",
        "2023-04-05 18:56:00 delivered",
    ]
    assert only("sendle", "TrackingResponse").tracking_number == ""


def test_spring_counts_seconds_and_says_errors_inside_a_good_answer():
    tracking = only("spring", "TrackingResponse")
    assert tracking.tracking_number == "LXAB00000000NL"
    assert history(tracking) == ["2024-01-01 12:00:00 picked_up", "2024-01-02 12:00:00 delivered"]
    assert tracking.events[0].has_zone
    with pytest.raises(Rejected):
        trackings("spring", sample("spring", "TrackingErrorResponse"))


def test_a_new_code_of_spring_is_read_by_its_words_or_not_at_all():
    events = [
        {"Timestamp": 1704110400, "Code": 4711, "Description": "Out for delivery"},
        {"Timestamp": 1704110401, "Code": 4712, "Description": "Delivered to the moon"},
    ]
    text = json.dumps({"Shipment": {"TrackingNumber": "LX1", "Events": events}})
    (tracking,) = trackings("spring", text)
    assert history(tracking) == [
        "2024-01-01 12:00:00 out_for_delivery",
        "2024-01-01 12:00:01 unknown?",
    ]


def test_teleship_calls_the_van_transit_and_its_words_tell_better():
    tracking = only("teleship", "TrackingResponse")
    assert tracking.tracking_number == "TELESHIP12345678901"
    assert history(tracking) == [
        "2025-01-15 09:15:00 picked_up",
        "2025-01-15 14:30:00 in_transit",
        "2025-01-16 02:45:00 in_transit",
        "2025-01-17 18:20:00 in_transit",
        "2025-01-18 08:00:00 out_for_delivery",
    ]
    assert [event.code for event in tracking.events][-1] == "in_transit"
    assert tracking.expected_at == datetime(2025, 1, 20, tzinfo=UTC)


LANDMARK = {
    "DELIVERED_TRACKING_RESPONSE_XML": [
        "2025-09-25 09:10:00 label_created",
        "2025-09-26 11:40:00 in_transit",
        "2025-09-27 08:30:00 in_transit",
        "2025-09-27 09:15:00 out_for_delivery",
        "2025-09-27 14:05:00 delivered",
    ],
    "DELIVERY_FAILED_TRACKING_RESPONSE_XML": [
        "2025-09-29 07:00:00 label_created",
        "2025-09-30 10:30:00 in_transit",
        "2025-10-01 14:00:00 in_transit",
        "2025-10-02 09:30:00 delivery_failed",
        "2025-10-03 18:00:00 delivery_failed",
    ],
    "EARLY_STAGE_TRACKING_RESPONSE_XML": [
        "2025-10-01 08:00:00 label_created",
        "2025-10-01 09:00:00 label_created",
        "2025-10-01 10:00:00 label_created",
        "2025-10-01 11:00:00 label_created",
        "2025-10-01 12:00:00 label_created",
    ],
    "IN_TRANSIT_TRACKING_RESPONSE_XML": [
        "2025-09-28 08:12:00 label_created",
        "2025-09-29 09:00:00 label_created",
        "2025-09-30 13:00:00 in_transit",
        "2025-10-01 17:45:00 in_transit",
    ],
    "OUT_FOR_DELIVERY_TRACKING_RESPONSE_XML": [
        "2025-09-29 06:20:00 label_created",
        "2025-09-30 08:45:00 in_transit",
        "2025-09-30 15:00:00 in_transit",
        "2025-10-01 09:30:00 in_transit",
        "2025-10-02 08:15:00 out_for_delivery",
    ],
    "TO_BE_ROUTED_TRACKING_RESPONSE_XML": ["2026-01-28 03:40:52 label_created"],
    "TRACKING_RESPONSE_XML": ["2025-10-01 15:02:00 in_transit", "2025-09-30 11:45:00 in_transit"],
}


@pytest.mark.parametrize("name", LANDMARK)
def test_landmark_writes_american_and_iso_times(name):
    tracking = only("landmark", name)
    assert history(tracking) == LANDMARK[name]
    assert not any(event.has_zone for event in tracking.events)


def test_a_landmark_parcel_is_known_by_the_number_of_who_delivers_it():
    tracking = only("landmark", "OUT_FOR_DELIVERY_TRACKING_RESPONSE_XML")
    assert tracking.tracking_number == "1Z999BB20234567895"
    current = newest(tracking.events)
    assert current is not None
    assert current.place == "Lyon, FR"
