"""UPS, FedEx, USPS, Canada Post and Purolator: their histories, and what their codes hide."""

import json
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from sync_assets.domain.orders import Rejected
from sync_assets.domain.tracking import ParcelState, newest
from sync_assets.mappers.tracking import answer, trackings
from tests.carrier_answers import history, only, sample

NUMBER = "1Z999AA10123456784"


def ups(*activities: dict[str, Any]) -> str:
    package = {"trackingNumber": NUMBER, "activity": list(activities)}
    return json.dumps({"trackResponse": {"shipment": [{"package": [package]}]}})


def activity(kind: str, finer: str = "", words: str = "words", **more: Any) -> dict[str, Any]:
    status = {"type": kind, "code": "ZZ", "statusCode": finer, "description": words}
    return {"status": status, "date": "20210718", "time": "134500", **more}


def state(carrier: str, text: str) -> ParcelState:
    ((tracking,), *_) = (trackings(carrier, text),)
    (event,) = tracking.events
    assert event.is_known
    return event.state


def test_ups_says_what_happened_but_not_in_which_zone():
    tracking = only("ups", "TrackingResponseJSON")
    assert tracking.tracking_number == "1Z023E2X0214323462"
    assert history(tracking) == ["2021-02-10 07:13:56 in_transit"]
    (event,) = tracking.events
    assert (event.code, event.place, event.has_zone) == ("X/SR", "Wayne, NJ, US", False)
    assert tracking.expected_at is None
    assert tracking.signed_by is None


@pytest.mark.parametrize(
    ("kind", "finer", "expected"),
    [
        ("M", "003", ParcelState.LABEL_CREATED),
        ("MV", "007", ParcelState.CANCELLED),
        ("P", "038", ParcelState.PICKED_UP),
        ("I", "005", ParcelState.IN_TRANSIT),
        ("I", "021", ParcelState.OUT_FOR_DELIVERY),
        ("X", "013", ParcelState.EXCEPTION),
        ("X", "022", ParcelState.DELIVERY_FAILED),
        ("X", "017", ParcelState.AVAILABLE_FOR_PICKUP),
        ("D", "011", ParcelState.DELIVERED),
        ("D", "040", ParcelState.AVAILABLE_FOR_PICKUP),
        ("D", "021", ParcelState.DELIVERED),
        ("I", "036", ParcelState.RETURNING),
        ("RS", "035", ParcelState.RETURNING),
        ("RS", "034", ParcelState.RETURNED),
        ("RS", "", ParcelState.RETURNED),
    ],
)
def test_a_finer_code_sharpens_the_type_of_an_activity(kind, finer, expected):
    assert state("ups", ups(activity(kind, finer))) == expected


def test_ups_words_sharpen_a_coarse_type_and_never_overrule_a_clear_one():
    assert state("ups", ups(activity("I", "", "Out for Delivery"))) == ParcelState.OUT_FOR_DELIVERY
    assert state("ups", ups(activity("D", "", "Out for Delivery"))) == ParcelState.DELIVERED


def test_ups_gmt_fields_are_exact_where_local_ones_are_not():
    exact = activity("I", gmtDate="20210718", gmtTime="17:45:00", gmtOffset="-04:00")
    offset = activity("I", gmtOffset="-04:00")
    for one in (exact, offset):
        (tracking,) = trackings("ups", ups(one), zone=ZoneInfo("Asia/Tokyo"))
        (event,) = tracking.events
        assert event.happened_at == datetime(2021, 7, 18, 17, 45, tzinfo=UTC)
        assert event.has_zone


def test_a_time_without_a_zone_is_read_in_the_zone_we_are_told():
    (tracking,) = trackings("ups", ups(activity("I")), zone=ZoneInfo("America/New_York"))
    assert history(tracking) == ["2021-07-18 17:45:00 in_transit"]
    assert not tracking.events[0].has_zone


def test_fedex_tells_one_number_and_knows_nothing_of_the_other():
    told = answer("fedex", sample("fedex", "TrackingResponse"))
    (tracking,) = told.trackings
    assert tracking.tracking_number == "123456789012"
    assert history(tracking) == ["2018-02-02 19:01:00 picked_up"]
    assert tracking.expected_at == datetime(2021, 10, 15, 6, tzinfo=UTC)
    assert tracking.signed_by == "Reciever"
    assert [one.tracking_number for one in told.refused] == ["39936862321"]


def test_of_a_fedex_number_used_again_the_newest_history_counts():
    def result(day: str, code: str) -> dict[str, Any]:
        return {"scanEvents": [{"date": f"{day}T10:00:00-05:00", "eventType": code}]}

    old, new = result("2023-01-05", "DL"), result("2024-06-01", "PU")
    results = [{"trackingNumber": "123456789012", "trackResults": [old, new]}]
    text = json.dumps({"output": {"completeTrackResults": results}})
    (tracking,) = trackings("fedex", text)
    assert history(tracking) == ["2024-06-01 15:00:00 picked_up"]


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("OC", ParcelState.LABEL_CREATED),
        ("IT", ParcelState.IN_TRANSIT),
        ("OD", ParcelState.OUT_FOR_DELIVERY),
        ("DE", ParcelState.DELIVERY_FAILED),
        ("HL", ParcelState.AVAILABLE_FOR_PICKUP),
        ("DL", ParcelState.DELIVERED),
        ("RS", ParcelState.RETURNING),
        ("CA", ParcelState.CANCELLED),
        ("SE", ParcelState.EXCEPTION),
    ],
)
def test_fedex_scan_codes_are_ours(code, expected):
    scan = {"date": "2024-06-01T10:00:00-05:00", "eventType": code}
    results = [{"trackingNumber": "1", "trackResults": [{"scanEvents": [scan]}]}]
    assert state("fedex", json.dumps({"output": {"completeTrackResults": results}})) == expected


@pytest.mark.parametrize("carrier", ["usps", "usps_international"])
def test_usps_tells_a_parcel_from_label_to_locker(carrier):
    tracking = only(carrier, "TrackingResponse")
    assert tracking.tracking_number == "9400109104250532908587"
    assert tracking.carrier == carrier
    assert history(tracking) == [
        "2024-11-22 18:58:40 delivered",
        "2024-11-22 14:10:45 out_for_delivery",
        "2024-11-22 13:59:45 in_transit",
        "2024-11-20 06:13:31 in_transit",
        "2024-11-20 06:11:52 in_transit",
        "2024-11-19 23:07:58 in_transit",
        "2024-11-19 17:11:23 in_transit",
        "2024-11-19 11:16:41 in_transit",
        "2024-11-18 23:02:52 in_transit",
        "2024-11-18 22:01:35 in_transit",
        "2024-11-18 16:10:31 picked_up",
        "2024-11-15 16:32:33 label_created",
    ]
    assert tracking.events[0].words == "Delivered, Parcel Locker"
    assert tracking.events[0].place == "HERNANDO, FL"


def test_usps_local_time_and_offset_do_where_gmt_is_missing():
    told = {"eventTimestamp": "2024-11-22T13:58:00", "GMTOffset": "-05:00", "eventCode": "02"}
    (tracking,) = trackings("usps", json.dumps({"trackingNumber": "1", "trackingEvents": [told]}))
    assert history(tracking) == ["2024-11-22 18:58:00 delivery_failed"]
    assert tracking.events[0].has_zone


def test_canada_post_abbreviates_the_zone_and_says_the_same_twice():
    tracking = only("canadapost", "TrackingResponseXml")
    assert tracking.tracking_number == "7023210039414604"
    assert history(tracking) == [
        "2011-02-03 16:59:59 delivered",
        "2011-02-03 13:27:43 out_for_delivery",
        "2011-02-02 19:45:48 in_transit",
        "2011-02-02 11:19:57 exception",
        "2011-02-01 12:59:52 delivered",
        "2011-02-01 12:59:52 delivered",
    ]
    assert [event.code for event in tracking.events] == ["20", "0174", "0100", "0173", "1496", "20"]
    # Of the two that are the same, the one that also says where is kept.
    assert tracking.events[4].place == "QUEBEC, QC"
    assert tracking.signed_by == "HETU"
    assert tracking.expected_at == datetime(2011, 4, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    ("zone", "hour", "has_zone"), [("NST", 15, True), ("PDT", 19, True), ("", 12, False)]
)
def test_the_canadian_zones_are_known_and_no_zone_is_no_zone(zone, hour, has_zone):
    text = f"""<tracking-detail><pin>7023210039414604</pin><significant-events><occurrence>
        <event-identifier>0174</event-identifier><event-date>2024-07-01</event-date>
        <event-time>12:00:00</event-time><event-time-zone>{zone}</event-time-zone>
        </occurrence></significant-events></tracking-detail>"""
    ((event,),) = (tracking.events for tracking in trackings("canadapost", text))
    assert (event.happened_at.hour, event.has_zone) == (hour, has_zone)


def test_purolator_says_everything_twice_and_it_counts_once():
    tracking = only("purolator", "TRACKING_RESPONSE_XML")
    assert tracking.tracking_number == "M123"
    assert history(tracking) == ["2004-01-13 17:23:00 in_transit"]
    assert tracking.events[0].place == "MONTREAL SORT CTR/CTR TRIE, PQ"


def test_purolators_other_scan_with_new_words_is_kept_and_flagged():
    text = sample("purolator", "TRACKING_RESPONSE_XML")
    (tracking,) = trackings("purolator", text.replace("New Tracking Number Assigned -", "Gone"))
    assert history(tracking) == ["2004-01-13 17:23:00 unknown?"]
    assert (tracking.events[0].code, tracking.events[0].words) == ("Other", "Gone")
    assert newest(tracking.events) is None


def test_an_error_of_purolator_stands_inside_a_good_answer():
    text = """<E><ResponseInformation><Errors><Error><Code>1</Code>
        <Description>Invalid tracking number</Description></Error></Errors>
        </ResponseInformation></E>"""
    with pytest.raises(Rejected) as refused:
        trackings("purolator", text)
    (problem,) = refused.value.problems
    assert (problem.code, problem.message) == (
        "tracking.not_found",
        "Purolator said: Invalid tracking number",
    )
