"""Times as carriers write them, in UTC; one that cannot be costs the event and nothing else."""

import json
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync_assets.domain.orders import Rejected
from sync_assets.mappers.tracking import answer, trackings
from sync_assets.mappers.tracking.times import epoch, joined, moment

BERLIN = ZoneInfo("Europe/Berlin")
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)


@pytest.mark.parametrize(
    ("written", "expected", "has_zone"),
    [
        ("2024-04-12T14:30:00Z", utc(2024, 4, 12, 14, 30), True),
        ("2021-02-03T08:08:00+11:00", utc(2021, 2, 2, 21, 8), True),
        ("2024-10-11T15:24:57+0200", utc(2024, 10, 11, 13, 24, 57), True),
        ("2024-10-11T15:24:57-07", utc(2024, 10, 11, 22, 24, 57), True),
        ("2012-11-23T07:11:18.923+01:00", utc(2012, 11, 23, 6, 11, 18), True),
        ("2023-04-05 18:56:00 UTC", utc(2023, 4, 5, 18, 56), True),
        ("2021-05-07 23:59:00 GMT-04:00", utc(2021, 5, 8, 3, 59), True),
        ("2024-11-15 11:09:19.000000", utc(2024, 11, 15, 10, 9, 19), False),
        ("2024-07-15T08:00:00", utc(2024, 7, 15, 6), False),
        ("18.03.2016 10:02", utc(2016, 3, 18, 9, 2), False),
        ("09/25/2025 09:10 AM", utc(2025, 9, 25, 7, 10), False),
        ("09/27/2025 02:05 PM", utc(2025, 9, 27, 12, 5), False),
        ("10/01/2025 12:00 PM", utc(2025, 10, 1, 10), False),
        ("10/01/2025 12:30 a.m.", utc(2025, 9, 30, 22, 30), False),
        ("20210718", utc(2021, 7, 17, 22), False),
        ("20210718 134500", utc(2021, 7, 18, 11, 45), False),
        ("20210718T1345Z", utc(2021, 7, 18, 13, 45), True),
        ("2011-04-05", utc(2011, 4, 4, 22), False),
        ("2011-04-29+02:00", utc(2011, 4, 28, 22), True),
    ],
)
def test_a_time_is_read_as_the_carrier_means_it(written, expected, has_zone):
    found = moment(written, BERLIN)
    assert found is not None
    assert (found.at, found.has_zone) == (expected, has_zone)


@pytest.mark.parametrize(
    "written",
    [
        "",
        "string",
        "2023-02-29T10:00:00Z",
        "2023-13-01",
        "2023-01-01T24:30:00Z",
        "2023-01-01T10:61:00Z",
        "2023-01-01T10:00:00+25:00",
        "2023-01-01T10:00:00+01:75",
        "13/25/2025 09:10 AM",
        "09/25/2025 13:10 PM",
        "09/25/2025 00:10 AM",
        "0001-01-01T00:00:00",
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-14:00",
        "1970-01-01T00:00:00Z",
        "2023-01-01T10:00:00Z and more",
        "٢٠٢٣-01-01",
        "5 March 2023",
    ],
)
def test_a_time_that_cannot_be_is_none(written):
    assert moment(written, BERLIN) is None


@given(st.text(max_size=40))
def test_any_text_is_a_time_or_none(written):
    found = moment(written, BERLIN)
    assert found is None or found.at.utcoffset() == timedelta()


@given(st.integers(min_value=0, max_value=100 * 365 * 86_400))
def test_what_is_written_with_an_offset_is_read_back(seconds):
    exact = utc(1990, 1, 1) + timedelta(seconds=seconds)
    found = moment(exact.astimezone(BERLIN).isoformat(), ZoneInfo("Asia/Tokyo"))
    assert found is not None
    assert found.at == exact


def test_day_and_clock_apart_are_one_time_and_the_day_alone_is_midnight():
    whole, day = joined("2004-01-13", "172300", BERLIN), joined("2004-01-13", "", BERLIN)
    assert whole is not None
    assert day is not None
    assert (whole.at, day.at) == (utc(2004, 1, 13, 16, 23), utc(2004, 1, 12, 23))
    assert joined("2004-01-13", "252300", BERLIN) is None
    assert joined("", "172300", BERLIN) is None


def test_seconds_since_1970_are_in_utc():
    found = epoch("1704110400")
    assert found is not None
    assert (found.at, found.has_zone) == (utc(2024, 1, 1, 12), True)
    assert epoch("17041104000000") is None
    assert epoch("-5") is None


def asendia(*times: str) -> str:
    events = [{"code": "IT", "time": one, "carrierEventDescription": one} for one in times]
    return json.dumps({"trackingNumber": "ASENDIA1", "trackingEvents": events})


def test_an_impossible_time_costs_its_event_and_not_its_neighbours():
    told = answer("asendia", asendia("2026-02-28T10:00:00Z", "2026-02-30T10:00:00Z"))
    (tracking,) = told.trackings
    assert [event.happened_at for event in tracking.events] == [utc(2026, 2, 28, 10)]
    (left_out,) = told.left_out
    assert left_out.tracking_number == "ASENDIA1"
    assert left_out.problem.code == "tracking.malformed"
    assert left_out.problem.message == "event 2 has no time that can be"


def test_a_parcel_of_impossible_times_only_is_refused():
    with pytest.raises(Rejected) as refused:
        trackings("asendia", asendia("yesterday", "2026-02-30T10:00:00Z"))
    (problem,) = refused.value.problems
    assert problem.code == "tracking.malformed"


def test_what_has_not_happened_yet_is_left_out_with_room_for_bad_clocks():
    text = asendia(
        "2026-03-01T12:59:00Z",  # a clock that is fast
        "2026-03-01T13:01:00Z",
        "2026-03-02T01:59:00",  # noon somewhere, if nobody says where
        "2026-03-02T02:01:00",
    )
    told = answer("asendia", text, now=NOW)
    assert [event.words for event in told.trackings[0].events] == [
        "2026-03-01T12:59:00Z",
        "2026-03-02T01:59:00",
    ]
    assert [one.problem.message for one in told.left_out] == [
        "event 2 lies in the future",
        "event 4 lies in the future",
    ]
    assert len(answer("asendia", text).trackings[0].events) == 4


def test_the_same_event_told_twice_is_one_and_in_the_order_told():
    later, sooner = "2026-02-28T10:00:00Z", "2026-02-27T10:00:00Z"
    (tracking,) = trackings("asendia", asendia(later, sooner, later))
    assert [event.words for event in tracking.events] == [later, sooner]
