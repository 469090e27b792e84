"""DHL's companies: Express in XML and JSON, Paket in Germany, Poland, and the unified tracking."""

import json
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from sync_assets.domain.orders import Rejected
from sync_assets.domain.tracking import ParcelState
from sync_assets.mappers.tracking import answer, trackings
from tests.carrier_answers import history, only, sample

BERLIN = ZoneInfo("Europe/Berlin")


def test_express_tells_three_waybills_in_one_answer():
    first, second, third = trackings("dhl_express", sample("dhl_express", "TrackingResponseXML"))
    assert history(first) == [
        "2009-08-28 13:26:00 picked_up",
        "2009-08-28 19:27:00 in_transit",
        "2009-08-28 19:27:00 in_transit",
        "2009-08-28 20:39:01 in_transit",
        "2009-08-28 21:17:57 in_transit",
        "2009-08-28 22:01:00 in_transit",
        "2009-08-29 00:32:16 in_transit",
        "2009-08-29 01:05:03 in_transit",
        "2009-08-29 05:52:19 in_transit",
        "2009-08-30 19:43:22 in_transit",
        "2009-08-30 23:30:00 in_transit",
        "2009-08-31 02:06:00 in_transit",
        "2009-08-31 06:23:00 in_transit",
        "2009-08-31 08:59:00 in_transit",
        "2009-08-31 09:19:00 out_for_delivery",
        "2009-08-31 10:09:00 delivered",
    ]
    assert history(second) == ["2009-08-26 10:00:00 picked_up"]
    assert history(third) == ["2009-08-13 23:58:00 picked_up", "2009-08-14 02:19:50 in_transit"]
    assert [one.tracking_number for one in (first, second, third)] == [
        "3180831640",
        "7740842550",
        "1815115363",
    ]


def test_only_a_name_beside_a_delivery_is_a_signature():
    first, second, third = trackings("dhl_express", sample("dhl_express", "TrackingResponseXML"))
    # The other signatories are an account number, a time of day and "21.20".
    assert [one.signed_by for one in (first, second, third)] == ["CAMPAGNA", None, None]


def test_express_says_the_expected_day_in_utc_and_events_without_a_zone():
    tracking = only("dhl_express", "IntransitTrackingResponseXML")
    assert history(tracking) == ["2021-05-05 09:42:00 picked_up"]
    assert not tracking.events[0].has_zone
    assert tracking.expected_at == datetime(2021, 5, 8, 3, 59, tzinfo=UTC)


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("SA", ParcelState.LABEL_CREATED),
        ("CR", ParcelState.IN_TRANSIT),
        ("NH", ParcelState.DELIVERY_FAILED),
        ("CC", ParcelState.AVAILABLE_FOR_PICKUP),
        ("RT", ParcelState.RETURNING),
        ("OH", ParcelState.EXCEPTION),
        ("UD", ParcelState.EXCEPTION),
    ],
)
def test_both_services_of_express_speak_of_the_same_checkpoints(code, expected):
    event = {"date": "2024-01-15", "time": "17:00:00", "typeCode": code}
    shipments = [{"shipmentTrackingNumber": "9356579890", "events": [event]}]
    told = sample("dhl_express", "IntransitTrackingResponseXML").replace(">PU<", f">{code}<")
    (json_told,) = trackings("mydhl", json.dumps({"shipments": shipments}))
    (xml_told,) = trackings("dhl_express", told)
    assert json_told.events[0].state == xml_told.events[0].state == expected


def test_mydhl_tells_days_and_clocks_apart():
    tracking = only("mydhl", "TrackingResponse")
    assert tracking.tracking_number == "9356579890"
    assert history(tracking) == ["2024-01-15 17:00:00 delivered", "2024-01-15 08:00:00 picked_up"]
    assert tracking.events[1].place == "Los Angeles, CA"
    assert tracking.expected_at == datetime(2024, 1, 15, 17, tzinfo=UTC)


def test_mydhl_times_with_an_offset_are_exact():
    event = {"date": "2024-01-15", "time": "17:00:00", "GMTOffset": "-05:00", "typeCode": "OK"}
    shipments = [{"shipmentTrackingNumber": "9356579890", "events": [event]}]
    (tracking,) = trackings("mydhl", json.dumps({"shipments": shipments}), zone=BERLIN)
    assert history(tracking) == ["2024-01-15 22:00:00 delivered"]
    assert tracking.events[0].has_zone


def test_dhl_paket_writes_german_local_times():
    (tracking,) = trackings(
        "dhl_parcel_de", sample("dhl_parcel_de", "TrackingResponseXML"), zone=BERLIN
    )
    assert tracking.tracking_number == "00340434161094015902"
    assert history(tracking) == [
        "2016-03-17 10:44:00 picked_up",
        "2016-03-17 12:54:00 in_transit",
        "2016-03-17 12:55:00 picked_up",
        "2016-03-17 14:51:00 in_transit",
        "2016-03-18 02:32:00 in_transit",
        "2016-03-18 08:02:00 out_for_delivery",
        "2016-03-18 09:02:00 delivered",
    ]
    assert not any(event.has_zone for event in tracking.events)
    assert tracking.signed_by == "Kraemer"
    assert tracking.events[-1].place == "Bonn, Germany"


def test_a_parcel_on_its_way_back_is_not_delivered_where_it_was_sent_from():
    text = sample("dhl_parcel_de", "TrackingResponseXML")
    (tracking,) = trackings("dhl_parcel_de", text.replace('sendung="false"', 'sendung="true"'))
    assert {event.state for event in tracking.events[:-1]} == {ParcelState.RETURNING}
    assert tracking.events[-1].state == ParcelState.RETURNED


def test_without_codes_the_words_of_dhl_paket_are_read():
    text = """<data name="piece-shipment-list" code="0"><data name="piece-shipment"
        error-status="0" piece-code="00340434161094015902">
        <data name="piece-event" event-timestamp="18.03.2016 10:02"
            event-status="Die Sendung wurde erfolgreich zugestellt."/>
        <data name="piece-event" event-timestamp="18.03.2016 09:02"
            event-status="Die Sendung konnte nicht zugestellt werden"/>
        <data name="piece-event" event-timestamp="17.03.2016 09:02"
            event-status="Die Sendung wurde verspeist"/></data></data>"""
    (tracking,) = trackings("dhl_parcel_de", text)
    assert history(tracking) == [
        "2016-03-18 10:02:00 delivered",
        "2016-03-18 09:02:00 delivery_failed",
        "2016-03-17 09:02:00 unknown?",
    ]


def test_a_piece_of_dhl_paket_that_is_an_error_is_refused_beside_the_good_one():
    good = sample("dhl_parcel_de", "TrackingResponseXML")
    bad = """<data name="piece-shipment" error-status="100" piece-code="00340434161094015919"
        piece-status-desc="No data found"/></data>"""
    told = answer("dhl_parcel_de", good.rstrip().removesuffix("</data>") + bad)
    assert [one.tracking_number for one in told.trackings] == ["00340434161094015902"]
    assert [(one.tracking_number, one.problem.code) for one in told.refused] == [
        ("00340434161094015919", "tracking.not_found")
    ]


def test_placeholders_of_dhl_poland_are_events_nobody_understands():
    (tracking,) = trackings("dhl_poland", sample("dhl_poland", "TrackingResponseXML"))
    assert tracking.tracking_number == "24333892874"
    assert history(tracking) == ["2012-10-12 07:40:31 unknown?", "2012-10-12 06:40:31 unknown?"]
    assert tracking.signed_by is None


def test_dhl_poland_codes_are_read_in_polish_time():
    text = sample("dhl_poland", "TrackingResponseXML").replace("<status>string", "<status>DOR", 1)
    (tracking,) = trackings("dhl_poland", text, zone=ZoneInfo("Europe/Warsaw"))
    assert history(tracking) == ["2012-10-12 05:40:31 delivered", "2012-10-12 04:40:31 unknown?"]


def test_the_unified_tracking_is_believed_by_its_code_and_says_no_name():
    tracking = only("dhl_universal", "TrackingResponseJSON")
    assert tracking.tracking_number == "7777777770"
    assert history(tracking) == ["2018-03-02 07:53:47 label_created"]
    assert tracking.events[0].code == "pre-transit"
    assert tracking.events[0].words == "DELIVERED"
    assert tracking.expected_at == datetime(2018, 8, 3, tzinfo=UTC)


@pytest.mark.parametrize(
    ("code", "words", "expected"),
    [
        ("transit", "Arrived somewhere", ParcelState.IN_TRANSIT),
        ("transit", "OUT FOR DELIVERY", ParcelState.OUT_FOR_DELIVERY),
        ("failure", "Returned to shipper", ParcelState.RETURNED),
        ("failure", "Something else", ParcelState.EXCEPTION),
        ("delivered", "OUT FOR DELIVERY", ParcelState.DELIVERED),
    ],
)
def test_coarse_codes_of_the_unified_tracking_are_sharpened_by_words(code, words, expected):
    event = {"timestamp": "2024-01-15T17:00:00Z", "statusCode": code, "status": words}
    text = json.dumps({"shipments": [{"id": "7777777770", "events": [event]}]})
    ((told,),) = (tracking.events for tracking in trackings("dhl_universal", text))
    assert (told.state, told.is_known) == (expected, True)


def test_a_state_without_a_history_is_an_event():
    status = {"timestamp": "2024-01-15T17:00:00Z", "statusCode": "delivered", "status": "delivered"}
    text = json.dumps({"shipments": [{"id": "7777777770", "status": status, "events": []}]})
    (tracking,) = trackings("dhl_universal", text)
    assert history(tracking) == ["2024-01-15 17:00:00 delivered"]


def test_a_piece_of_poland_with_a_fault_says_it_in_polish():
    with pytest.raises(Rejected) as refused:
        trackings("dhl_poland", sample("dhl_poland", "ErrorResponseXML"))
    (problem,) = refused.value.problems
    assert problem.message == "DHL Parcel Polska said: Nieprawidlowe dane autoryzacyjne"
