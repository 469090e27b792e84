"""GLS, Hermes, bpost, La Poste and Australia Post: codes, French, free words, articles."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from sync_assets.domain.tracking import ParcelState, newest
from sync_assets.mappers.tracking import answer, trackings
from tests.carrier_answers import history, only, sample


def gls(*parcels: dict[str, Any]) -> str:
    return json.dumps({"parcels": list(parcels)})


def test_the_state_of_a_gls_parcel_is_news_if_its_history_does_not_know_it():
    tracking = only("gls", "TrackingResponse")
    assert tracking.tracking_number == "36301917596"
    assert history(tracking) == [
        "2024-10-07 08:46:14 picked_up",
        "2024-10-07 07:30:00 label_created",
        "2024-10-11 13:24:57 in_transit",
    ]
    assert tracking.events[2].code == "INTRANSIT"


def test_the_state_of_a_gls_parcel_is_no_news_if_its_history_knows_it():
    event = {"code": "DELIVD.NORMAL", "eventDateTime": "2024-10-12T10:02:00+0200"}
    parcel = {"requested": "36301917596", "status": "DELIVERED", "events": [event]}
    (tracking,) = trackings("gls", gls(parcel | {"statusDateTime": "2024-10-12T10:02:00+0200"}))
    assert history(tracking) == ["2024-10-12 08:02:00 delivered"]


def test_the_number_we_asked_for_names_a_gls_parcel_unless_it_names_several():
    event = {"code": "INTIAL.NORMAL", "eventDateTime": "2024-10-12T10:02:00+0200"}
    one = {"requested": "604831862623", "unitno": "60483186262", "events": [event]}
    other = {"requested": "604831862623", "unitno": "60483186263", "events": [event]}
    assert [t.tracking_number for t in trackings("gls", gls(one))] == ["604831862623"]
    assert [t.tracking_number for t in trackings("gls", gls(one, other))] == [
        "60483186262",
        "60483186263",
    ]


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("PREADVICE", ParcelState.LABEL_CREATED),
        ("INDELIVERY", ParcelState.OUT_FOR_DELIVERY),
        ("DELIVEREDPS", ParcelState.AVAILABLE_FOR_PICKUP),
        ("NOTDELIVERED", ParcelState.DELIVERY_FAILED),
        ("DELIVERED", ParcelState.DELIVERED),
    ],
)
def test_gls_states_are_ours(status, expected):
    parcel = {"requested": "1", "status": status, "statusDateTime": "2024-10-12T10:02:00+0200"}
    ((event,),) = (tracking.events for tracking in trackings("gls", gls(parcel)))
    assert event.state == expected


def test_hermes_tells_a_parcel_from_notice_to_door():
    tracking = only("hermes", "TrackingResponse")
    assert tracking.tracking_number == "H1234567890123456789"
    assert history(tracking) == [
        "2024-01-18 07:30:00 label_created",
        "2024-01-19 09:15:00 in_transit",
        "2024-01-20 06:00:00 out_for_delivery",
        "2024-01-20 13:30:00 delivered",
    ]
    assert tracking.expected_at == datetime(2024, 1, 20, 18, tzinfo=UTC)
    assert tracking.events[1].place == "Hamburg, DEU"


def test_bpost_tells_an_item_to_its_round():
    tracking = only("bpost", "TrackingResponse")
    assert tracking.tracking_number == "323212345659900040669030"
    assert history(tracking) == [
        "2012-11-22 22:19:29 in_transit",
        "2012-11-23 06:11:18 out_for_delivery",
        "2012-11-23 08:31:07 delivered",
    ]
    assert [event.code for event in tracking.events] == ["T00", "L00", "U01"]


def test_an_unknown_code_of_bpost_is_read_by_the_name_of_its_state():
    text = sample("bpost", "TrackingResponse").replace("U01", "U77").replace("T00", "T77")
    (tracking,) = trackings("bpost", text.replace("Sorted - sorted_out", "Misplaced"))
    assert [event.split()[2] for event in history(tracking)] == [
        "unknown?",
        "out_for_delivery",
        "delivered",
    ]


def test_la_poste_tells_a_parcel_to_brazil_in_french():
    tracking = only("laposte", "TrackingResponse")
    assert tracking.tracking_number == "EW112720413FR"
    assert history(tracking) == [
        "2023-03-09 08:38:00 delivered",
        "2023-03-09 08:01:00 out_for_delivery",
        "2023-03-08 15:25:00 in_transit",
        "2023-02-22 15:23:00 in_transit",
        "2023-02-18 11:27:00 in_transit",
        "2023-02-18 06:34:12 in_transit",
        "2023-02-17 22:13:12 in_transit",
        "2023-02-17 13:43:00 picked_up",
        "2023-02-17 13:41:00 label_created",
    ]
    assert tracking.expected_at == datetime(2023, 3, 9, 8, 38, tzinfo=UTC)
    assert tracking.events[0].words == "Votre colis est livré."


def test_la_poste_answers_several_numbers_each_with_its_own_code():
    good = json.loads(sample("laposte", "TrackingResponse"))
    bad = json.loads(sample("laposte", "ErrorResponse")) | {"idShip": "8K00009775862"}
    told = answer("laposte", json.dumps([*good, bad]))
    assert [one.tracking_number for one in told.trackings] == ["EW112720413FR"]
    assert [(one.tracking_number, one.problem.code) for one in told.refused] == [
        ("8K00009775862", "tracking.not_found")
    ]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("Votre colis est livré.", ParcelState.DELIVERED),
        ("Votre colis n'a pas pu être livré : adresse fermée", ParcelState.DELIVERY_FAILED),
        ("Votre colis est en cours d'acheminement.", ParcelState.IN_TRANSIT),
        ("Votre colis a été retourné à l'expéditeur", ParcelState.RETURNING),
        ("Votre colis rêve", ParcelState.UNKNOWN),
    ],
)
def test_french_words_are_read_where_the_code_is_new(words, expected):
    event = {"code": "XX9", "label": words, "date": "2023-03-09T09:38:00+01:00"}
    text = json.dumps(
        {"returnCode": 200, "shipment": {"idShip": "EW112720413FR", "event": [event]}}
    )
    ((told,),) = (tracking.events for tracking in trackings("laposte", text))
    assert (told.state, told.is_known) == (expected, expected != ParcelState.UNKNOWN)


def test_australia_post_tells_each_article_of_each_number():
    told = trackings("australiapost", sample("australiapost", "TrackingResponse"))
    outbound, inbound, new_zealand = told
    assert [one.tracking_number for one in told] == [
        "ET123456789AU",
        "LX123456789US",
        "00123456789000123400",
    ]
    assert history(outbound) == [
        "2021-02-02 21:08:00 in_transit",
        "2021-01-29 00:31:00 in_transit",
        "2021-01-28 17:54:00 in_transit",
        "2021-01-27 14:59:11 in_transit",
        "2021-01-27 12:51:48 in_transit",
        "2021-01-27 00:06:59 picked_up",
        "2021-01-26 16:04:03 label_created",
        "2021-01-26 13:22:43 label_created",
    ]
    assert history(inbound) == [
        "2021-01-21 00:04:27 delivered",
        "2021-01-20 21:34:14 out_for_delivery",
        "2021-01-20 00:55:37 in_transit",
        "2021-01-20 00:48:23 in_transit",
        "2021-01-19 11:13:13 in_transit",
        "2021-01-19 10:17:09 in_transit",
        "2021-01-19 05:09:03 in_transit",
        "2021-01-06 21:49:00 in_transit",
        "2021-01-05 21:27:00 picked_up",
    ]
    assert history(new_zealand) == [
        "2021-02-01 20:38:56 delivered",
        "2021-02-01 19:03:04 out_for_delivery",
        "2021-02-01 14:55:11 out_for_delivery",
        "2021-02-01 14:51:00 in_transit",
        "2021-02-01 14:21:00 in_transit",
        "2021-01-30 20:57:52 in_transit",
        "2021-01-27 16:33:43 in_transit",
        "2021-01-27 08:24:41 in_transit",
        "2021-01-27 02:31:54 label_created",
        "2021-01-27 02:31:07 label_created",
    ]
    found = [newest(one.events) for one in told]
    assert [one.state for one in found if one] == ["in_transit", "delivered", "delivered"]


def test_a_consignment_of_two_articles_is_two_parcels_and_a_bad_number_one_refusal():
    event = {"description": "Onboard for delivery", "date": "2021-01-21T08:34:14+11:00"}
    articles = [{"article_id": f"ABC{n}", "events": [event]} for n in (1, 2)]
    results = [
        {"tracking_id": "ABC", "trackable_items": [{"consignment_id": "ABC", "items": articles}]},
        {
            "tracking_id": "7XX1000",
            "errors": [{"code": "ESB-10001", "name": "Invalid tracking ID"}],
        },
    ]
    told = answer("australiapost", json.dumps({"tracking_results": results}))
    assert [one.tracking_number for one in told.trackings] == ["ABC1", "ABC2"]
    assert [one.tracking_number for one in told.refused] == ["7XX1000"]
