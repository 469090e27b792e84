"""Every kept answer of every carrier: how many become trackings, and what the others say."""

import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from sync_assets.domain.orders import Rejected
from sync_assets.mappers.tracking import CARRIERS, Answer, answer
from tests.carrier_answers import FOLDER, samples

#: The day the answers were collected; nothing in them can have happened later.
COLLECTED = datetime(2026, 6, 23, tzinfo=UTC)

REFUSED = {
    "asendia/ErrorResponse": "tracking.not_found",
    "australiapost/ErrorResponse": "tracking.carrier_error",
    "australiapost/TrackingErrorResponse": "tracking.not_found",
    "bpost/ErrorResponse": "tracking.carrier_error",
    "canadapost/AuthError": "tracking.not_authorised",
    "canadapost/UnknownTrackingNumberResponse": "tracking.not_found",
    "dhl_express/AuthError": "tracking.not_authorised",
    "dhl_express/TrackingSingleNotFound": "tracking.not_found",
    "dhl_parcel_de/TrackingErrorResponseXML": "tracking.not_found",
    "dhl_poland/ErrorResponseXML": "tracking.not_authorised",
    "dhl_universal/TrackingErrorResponseJSON": "tracking.not_found",
    "fedex/ErrorResponse": "tracking.carrier_error",
    "fedex/ProofOfDeliveryResponse": "tracking.no_events",
    "gls/ErrorResponse": "tracking.not_found",
    "hermes/TrackingErrorResponse": "tracking.not_found",
    "landmark/ERROR_RESPONSE_XML": "tracking.not_authorised",
    "laposte/ErrorResponse": "tracking.not_found",
    "mydhl/ErrorResponse": "tracking.not_found",
    "mydhl/ProofOfDeliveryResponse": "tracking.no_events",
    "parcelone/TrackingNoEventsResponseJSON": "tracking.no_events",
    "sendle/ErrorResponse": "tracking.not_found",
    "spring/TrackingErrorResponse": "tracking.not_found",
    "teleship/ErrorResponse": "tracking.not_found",
    "ups/AuthError": "tracking.not_authorised",
    "ups/InvalidTrackingNumberResponseJSON": "tracking.not_found",
    "ups/TrackingNumberNotFoundResponseJSON": "tracking.not_found",
    "usps/AuthErrorResponse": "tracking.not_authorised",
    "usps/ErrorResponse": "tracking.carrier_error",
    "usps_international/ErrorResponse": "tracking.carrier_error",
}
EVENTS = {
    "asendia": 3,
    "australiapost": 27,
    "bpost": 3,
    "canadapost": 6,
    "dhl_express": 20,
    "dhl_parcel_de": 7,
    "dhl_poland": 2,
    "dhl_universal": 1,
    "fedex": 1,
    "gls": 3,
    "hermes": 4,
    "landmark": 27,
    "laposte": 9,
    "mydhl": 2,
    "parcelone": 5,
    "purolator": 1,
    "sendle": 9,
    "spring": 2,
    "teleship": 5,
    "ups": 1,
    "usps": 12,
    "usps_international": 12,
}


@pytest.fixture(scope="module")
def read() -> dict[str, Answer | Rejected]:
    """What became of every file, by carrier and name."""
    return {f"{one.parent.name}/{one.stem}": _read(one.parent.name, one) for one in samples()}


def _read(carrier: str, path: Path) -> Answer | Rejected:
    try:
        return answer(carrier, path.read_text(encoding="utf-8"), now=COLLECTED)
    except Rejected as rejected:
        return rejected


def good(read: dict[str, Answer | Rejected]) -> dict[str, Answer]:
    return {name: one for name, one in read.items() if isinstance(one, Answer)}


def test_half_of_the_files_tell_of_parcels_and_half_of_them_refuse(read):
    assert len(read) == 58
    assert {name.partition("/")[0] for name in read} == set(CARRIERS) == set(EVENTS)
    assert len(good(read)) == 29


def test_every_refusal_has_one_reason_in_our_words(read):
    refused = {name: one.problems for name, one in read.items() if isinstance(one, Rejected)}
    assert {name: problem.code for name, (problem,) in refused.items()} == REFUSED
    assert Counter(REFUSED.values()) == {
        "tracking.not_found": 15,
        "tracking.not_authorised": 6,
        "tracking.carrier_error": 5,
        "tracking.no_events": 3,
    }


def test_every_refusal_says_in_one_short_sentence_what_the_carrier_said(read):
    said = {n: one.problems[0].message for n, one in read.items() if isinstance(one, Rejected)}
    assert said["ups/AuthError"] == "UPS said: Invalid Access License number"
    assert said["laposte/ErrorResponse"] == (
        "La Poste said: Le numéro que vous avez saisi n’est pas valide."
    )
    assert said["bpost/ErrorResponse"] == (
        "bpost said: An unexpected error occurred while executing the request!"
    )
    assert said["mydhl/ProofOfDeliveryResponse"] == "DHL Express (MyDHL) told of no event"
    assert max(map(len, said.values())) <= 170


def test_a_password_that_a_carrier_quotes_is_not_said_on(read):
    rejected = read["dhl_express/AuthError"]
    assert isinstance(rejected, Rejected)
    assert "testPwd" in (FOLDER / "dhl_express" / "AuthError.xml").read_text()
    assert "testPwd" not in str(rejected)
    assert rejected.problems[0].message.startswith("DHL Express said: Error Parsing incoming")


def test_every_event_is_told_once(read):
    told = Counter()
    for name, one in good(read).items():
        told[name.partition("/")[0]] += sum(len(tracking.events) for tracking in one.trackings)
    assert told == EVENTS
    assert told.total() == 162


def test_parcels_told_of_are_counted_and_none_of_their_events_is_left_out(read):
    assert sum(len(one.trackings) for one in good(read).values()) == 33
    assert [one.left_out for one in good(read).values() if one.left_out] == []


def test_only_the_placeholders_are_words_that_nobody_knows(read):
    unknown = [
        (name, event.code, event.words)
        for name, one in good(read).items()
        for tracking in one.trackings
        for event in tracking.events
        if not event.is_known
    ]
    assert unknown == [("dhl_poland/TrackingResponseXML", "string", "string")] * 2


def test_no_event_is_later_than_its_answer_could_be(read):
    events = [e for one in good(read).values() for t in one.trackings for e in t.events]
    assert max(event.happened_at for event in events) == datetime(
        2026, 1, 28, 3, 40, 52, tzinfo=UTC
    )
    assert min(event.happened_at for event in events) == datetime(2004, 1, 13, 17, 23, tzinfo=UTC)
    assert all(event.happened_at.utcoffset() == timedelta() for event in events)


def test_a_zone_is_said_by_thirteen_carriers_and_never_invented(read):
    zoned = {}
    for name, one in good(read).items():
        said = {event.has_zone for tracking in one.trackings for event in tracking.events}
        zoned.setdefault(name.partition("/")[0], set()).update(said)
    assert {carrier for carrier, said in zoned.items() if said == {True}} == {
        "asendia",
        "australiapost",
        "bpost",
        "canadapost",
        "fedex",
        "gls",
        "hermes",
        "laposte",
        "sendle",
        "spring",
        "teleship",
        "usps",
        "usps_international",
    }
    assert all(len(said) == 1 for said in zoned.values())


def test_one_parcel_among_good_ones_is_refused_alone(read):
    (name,) = [name for name, one in good(read).items() if one.refused]
    (refused,) = good(read)[name].refused
    assert name == "fedex/TrackingResponse"
    assert refused.tracking_number == "39936862321"
    assert refused.problem.code == "tracking.not_found"
    assert refused.problem.message == "FedEx said: Tracking number cannot be found."


def test_a_file_is_read_as_its_own_carrier_and_never_as_another(read):
    usps = (FOLDER / "usps" / "TrackingResponse.json").read_text()
    assert json.loads(usps)["trackingEvents"]
    with pytest.raises(Rejected) as refused:
        answer("ups", usps)
    assert refused.value.problems[0].code == "tracking.malformed"
