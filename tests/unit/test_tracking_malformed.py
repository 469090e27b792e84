"""Whatever a carrier sends becomes trackings or one reason why not, and nothing else is raised."""

import copy
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sync_assets.domain.orders import Rejected
from sync_assets.domain.tracking import SeenTracking
from sync_assets.mappers.tracking import CARRIERS, Answer, answer, trackings
from sync_assets.mappers.tracking.refusals import sentence
from tests.carrier_answers import samples
from tests.effort import at_most

CODES = {
    "tracking.not_found",
    "tracking.not_authorised",
    "tracking.no_events",
    "tracking.malformed",
    "tracking.carrier_error",
}
modest = settings(
    max_examples=at_most(60, 150), deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)


def outcome(carrier: str, text: str) -> Answer | str:
    """The answer, or the code of the one problem."""
    try:
        told = answer(carrier, text)
    except Rejected as refused:
        (problem,) = refused.problems
        assert problem.code in CODES
        assert problem.part == carrier
        return problem.code
    assert told.trackings
    assert all(one.events and isinstance(one, SeenTracking) for one in told.trackings)
    return told


@modest
@given(st.sampled_from(sorted(CARRIERS)), st.text())
def test_any_text_is_malformed(carrier, text):
    assert outcome(carrier, text) == "tracking.malformed"


@modest
@given(st.sampled_from(sorted(CARRIERS)), junk)
def test_any_json_is_an_answer_or_one_problem(carrier, body):
    outcome(carrier, json.dumps(body))


@modest
@given(st.data())
def test_an_answer_cut_short_is_malformed_or_whole_without_its_last_comment(data):
    path = data.draw(st.sampled_from(samples()))
    text = path.read_text(encoding="utf-8").rstrip()
    cut = text[: data.draw(st.integers(0, len(text) - 1))]
    whole = outcome(path.parent.name, text)
    assert outcome(path.parent.name, cut) in ("tracking.malformed", whole)


def places(body: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The way to every value in a JSON body."""
    inner: list[tuple[Any, Any]] = []
    if isinstance(body, dict):
        inner = list(body.items())
    if isinstance(body, list):
        inner = list(enumerate(body))
    return [(*path, key) for key, _ in inner] + [
        place for key, value in inner for place in places(value, (*path, key))
    ]


@modest
@given(st.data())
def test_an_answer_with_anything_in_the_place_of_anything_is_still_read(data):
    path = data.draw(st.sampled_from([one for one in samples() if one.suffix == ".json"]))
    body = copy.deepcopy(json.loads(path.read_text(encoding="utf-8")))
    *way, last = data.draw(st.sampled_from(places(body)))
    inside = body
    for key in way:
        inside = inside[key]
    inside[last] = data.draw(junk)
    outcome(path.parent.name, json.dumps(body))


@modest
@given(st.data())
def test_an_xml_answer_with_any_of_its_texts_replaced_is_still_read(data):
    path = data.draw(st.sampled_from([one for one in samples() if one.suffix == ".xml"]))
    pieces = path.read_text(encoding="utf-8").split(">")
    place = data.draw(st.integers(1, len(pieces) - 1))
    pieces[place] = data.draw(st.text(max_size=12)) + "<" + pieces[place].partition("<")[2]
    outcome(path.parent.name, ">".join(pieces))


@pytest.mark.parametrize("carrier", CARRIERS)
@pytest.mark.parametrize("text", ["", "null", "[]", "{}", "123", '"words"', "<html/>", "NaN"])
def test_what_is_no_answer_of_the_carrier_is_malformed(carrier, text):
    assert outcome(carrier, text) == "tracking.malformed"


def test_a_carrier_nobody_reads_is_refused_as_such():
    with pytest.raises(Rejected) as refused:
        trackings("pigeon", "{}")
    (problem,) = refused.value.problems
    assert problem.message == "the answer is of a carrier nobody here reads"


BOMB = """<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]>
<itemTracking><itemCode>1</itemCode><stateInfo><time>2012-11-22T23:19:29+01:00</time>
<stateCode>U01</stateCode><stateDescription>&b;</stateDescription></stateInfo></itemTracking>"""


def test_an_entity_is_refused_before_anything_is_read():
    with pytest.raises(Rejected) as refused:
        trackings("bpost", BOMB)
    assert refused.value.problems[0].message == ("the answer declares a document type or an entity")


@pytest.mark.parametrize("carrier", ["ups", "bpost"])
def test_more_than_five_megabytes_are_refused_unread(carrier):
    with pytest.raises(Rejected) as refused:
        trackings(carrier, " " * 5_000_001)
    assert refused.value.problems[0].message == "the answer is larger than 5 MB"
    with pytest.raises(Rejected) as wide:
        trackings(carrier, "é" * 2_500_001)
    assert wide.value.problems[0].message == "the answer is larger than 5 MB"


@pytest.mark.parametrize(
    ("carrier", "text"),
    [
        ("ups", '{"trackResponse":' * 100_000),
        ("ups", "[" * 100_000),
        ("bpost", "<itemTracking>" * 100_000),
        ("dhl_parcel_de", "<data>" * 100_000 + "</data>" * 100_000),
    ],
)
def test_depth_is_no_danger(carrier, text):
    assert outcome(carrier, text) == "tracking.malformed"


def test_numbers_are_kept_as_written():
    text = """{"shipments": [{"id": 00340434161094015902, "events": []}]}"""
    assert outcome("dhl_universal", text) == "tracking.malformed"
    whole = text.replace("00340", "9" * 40).replace("[]", '[{"timestamp": "2024-01-15"}]')
    told = outcome("dhl_universal", whole)
    assert isinstance(told, Answer)
    assert told.trackings[0].tracking_number == "9" * 40 + "434161094015902"


def test_what_the_database_cannot_hold_is_replaced():
    event = {"code": "IT", "time": "2024-04-12T14:30:00Z", "carrierEventDescription": "a\x00\ud800"}
    text = json.dumps({"trackingNumber": "A1", "trackingEvents": [event]})
    (tracking,) = trackings("asendia", text)
    assert tracking.events[0].words == "a\ufffd\ufffd"


def test_words_without_end_are_cut():
    event = {"code": "IT", "time": "2024-04-12T14:30:00Z", "carrierEventDescription": "ab " * 999}
    text = json.dumps({"trackingNumber": "A1", "trackingEvents": [event]})
    (tracking,) = trackings("asendia", text)
    assert len(tracking.events[0].words) == 500


def test_an_answer_full_of_one_long_word_is_refused_quickly():
    said = "x" * 4_000_000
    text = json.dumps({"error": "oops", "error_description": said})
    assert outcome("sendle", text) == "tracking.carrier_error"
    assert len(sentence(said)) == 140


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("Not found. Please try again.", "Not found."),
        ("In element 'Password' : Value 'secret' is short", "In element … : Value … is short"),
        ("Write to jane@example.com", "Write to …"),
        ("Le numéro n'est pas l'attendu", "Le numéro n'est pas l'attendu"),
        ("  many\n  blanks ", "many blanks"),
    ],
)
def test_a_refusal_is_said_in_one_sentence_without_what_was_quoted(said, told):
    assert sentence(said) == told


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ("Authentication failed", "tracking.not_authorised"),
        ("Unauthorized", "tracking.not_authorised"),
        ("No shipments found for number 1", "tracking.not_found"),
        ("Le numéro est introuvable", "tracking.not_found"),
        ("Internal error", "tracking.carrier_error"),
    ],
)
def test_a_refusal_without_a_known_code_is_judged_by_its_words(said, code):
    text = json.dumps({"error": "E-42", "error_description": said})
    assert outcome("sendle", text) == code
