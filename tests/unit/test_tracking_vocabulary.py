"""One vocabulary: which event says where a parcel is now, and tables that hold no guesses."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync_assets.domain.tracking import FINAL, ParcelState, SeenEvent, newest
from sync_assets.mappers.tracking import CARRIERS
from sync_assets.mappers.tracking.phrases import FREE_TEXT
from sync_assets.mappers.tracking.words import Words, coded, phrases, plain

START = datetime(2026, 3, 1, tzinfo=UTC)
KNOWN = sorted(set(ParcelState) - {ParcelState.UNKNOWN})


def event(state: ParcelState, hour: int, *, is_known: bool = True) -> SeenEvent:
    at = START + timedelta(hours=hour)
    return SeenEvent(state, is_known, f"{state} at {hour}", None, at, True)


def unknown(hour: int) -> SeenEvent:
    return event(ParcelState.UNKNOWN, hour, is_known=False)


told = st.builds(event, st.sampled_from(KNOWN), st.integers(0, 6))
histories = st.lists(st.one_of(told, st.builds(unknown, st.integers(0, 6))), max_size=8)


def state(events: list[SeenEvent]) -> ParcelState | None:
    current = newest(events)
    return current.state if current else None


@given(histories.flatmap(lambda h: st.tuples(st.just(h), st.permutations(h))))
def test_the_order_in_which_events_come_does_not_matter(pair):
    as_told, shuffled = pair
    assert state(shuffled) == state(as_told)


@given(histories, st.data())
def test_an_event_told_again_changes_nothing(history, data):
    again = data.draw(st.lists(st.sampled_from(history), max_size=8)) if history else []
    assert state(history + again) == state(history)


@given(histories, st.lists(st.builds(unknown, st.integers(-5, 12)), max_size=4))
def test_what_nobody_understands_never_decides(history, noise):
    assert state(history + noise) == state(history)


@given(st.lists(st.sampled_from(KNOWN), min_size=2, max_size=8))
def test_a_delivered_parcel_can_only_come_back(states):
    events = [event(one, hour) for hour, one in enumerate(states)]
    for told_so_far in range(1, len(events)):
        if state(events[:told_so_far]) == ParcelState.DELIVERED:
            assert state(events[: told_so_far + 1]) in {
                ParcelState.DELIVERED,
                ParcelState.RETURNING,
                ParcelState.RETURNED,
            }


@given(st.lists(st.sampled_from(sorted(set(KNOWN) - FINAL)), min_size=1, max_size=8))
def test_what_is_not_final_gives_way_to_what_came_later(states):
    assert state([event(one, hour) for hour, one in enumerate(states)]) == states[-1]


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        ([ParcelState.DELIVERED, ParcelState.IN_TRANSIT], ParcelState.DELIVERED),
        ([ParcelState.DELIVERED, ParcelState.RETURNING], ParcelState.RETURNING),
        ([ParcelState.RETURNED, ParcelState.DELIVERED], ParcelState.RETURNED),
        ([ParcelState.LOST, ParcelState.DELIVERED], ParcelState.DELIVERED),
        ([ParcelState.CANCELLED, ParcelState.PICKED_UP], ParcelState.PICKED_UP),
        ([], None),
    ],
)
def test_final_states_are_left_only_for_what_can_follow(states, expected):
    assert state([event(one, hour) for hour, one in enumerate(states)]) == expected


def test_at_one_moment_the_state_further_along_counts():
    scans = [event(ParcelState.DELIVERED, 1), event(ParcelState.OUT_FOR_DELIVERY, 1)]
    assert state(scans) == state(scans[::-1]) == ParcelState.DELIVERED


@pytest.mark.parametrize("carrier", CARRIERS)
def test_no_table_calls_a_word_known_that_means_nothing(carrier):
    words = CARRIERS[carrier].words
    meant = {*words.codes.values(), *words.phrases.values(), *(s for _, s in words.patterns)}
    assert meant
    assert ParcelState.UNKNOWN not in meant
    assert words.vague <= set(words.codes)


@pytest.mark.parametrize("carrier", CARRIERS)
def test_every_phrase_of_a_table_is_written_as_it_is_compared(carrier):
    words = CARRIERS[carrier].words
    assert [phrase for phrase in words.phrases if plain(phrase) != phrase or not phrase] == []


@pytest.mark.parametrize("carrier", CARRIERS)
def test_every_table_can_say_that_a_parcel_was_delivered(carrier):
    assert ParcelState.DELIVERED in {
        *CARRIERS[carrier].words.codes.values(),
        *CARRIERS[carrier].words.phrases.values(),
    }


@pytest.mark.parametrize("carrier", CARRIERS)
@pytest.mark.parametrize("words", ["", "Gone fishing", "Not delivered to the wrong dog"])
def test_a_word_that_is_in_no_table_is_flagged(carrier, words):
    table = CARRIERS[carrier].words
    assert table.state(("no such code",), words) == (ParcelState.UNKNOWN, False)


def test_a_code_decides_before_words_and_words_before_a_vague_code():
    words = Words(
        codes=coded(ParcelState.IN_TRANSIT, "move roam"),
        phrases=phrases((ParcelState.DELIVERED, ("Done!",))),
        vague=frozenset({"roam"}),
    )
    assert words.state(("move",), "done") == (ParcelState.IN_TRANSIT, True)
    assert words.state(("roam",), "done") == (ParcelState.DELIVERED, True)
    assert words.state(("roam",), "what") == (ParcelState.IN_TRANSIT, True)
    assert words.state(("new",), "done") == (ParcelState.DELIVERED, True)
    assert words.state(("new",), "what") == (ParcelState.UNKNOWN, False)


@pytest.mark.parametrize(
    ("written", "compared"),
    [
        ("  OUT  FOR Delivery! ", "out for delivery"),
        ("Zurückgesandt", "zuruckgesandt"),
        ("n’a pas pu être livré", "n a pas pu etre livre"),
        ("Grüße", "grusse"),
        ("przesyłka", "przesylka"),
    ],
)
def test_words_are_compared_without_case_accents_and_punctuation(written, compared):
    assert plain(written) == compared


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("Delivered", ParcelState.DELIVERED),
        ("Your package has been delivered to the recipient", ParcelState.DELIVERED),
        ("Delivered - Left with neighbour", ParcelState.DELIVERED),
        ("Parcel could not be delivered", ParcelState.DELIVERY_FAILED),
        ("Attempted delivery - no one home", ParcelState.DELIVERY_FAILED),
        ("The item is available for pickup at Lyon", ParcelState.AVAILABLE_FOR_PICKUP),
        ("Arrived at collection point Main St", ParcelState.AVAILABLE_FOR_PICKUP),
        ("Arrived at depot", ParcelState.IN_TRANSIT),
        ("Return to sender - refused", ParcelState.RETURNING),
        ("Returned to sender", ParcelState.RETURNED),
        ("Held by customs: papers missing", ParcelState.EXCEPTION),
        ("Cleared customs", ParcelState.IN_TRANSIT),
        ("Die Sendung wurde erfolgreich zugestellt.", ParcelState.DELIVERED),
        ("Die Sendung konnte heute nicht zugestellt werden.", ParcelState.UNKNOWN),
        ("Die Sendung wurde nicht zugestellt", ParcelState.DELIVERY_FAILED),
        ("Ihre Sendung liegt in der Filiale zur Abholung bereit", ParcelState.AVAILABLE_FOR_PICKUP),
        ("Votre colis est en cours de livraison", ParcelState.OUT_FOR_DELIVERY),
        # What only resembles a known phrase is left alone.
        ("Delivered to wrong address", ParcelState.UNKNOWN),
        ("Delivered at depot", ParcelState.UNKNOWN),
        ("Left in a safe place", ParcelState.UNKNOWN),
        ("Collected", ParcelState.UNKNOWN),
        ("Picked up", ParcelState.UNKNOWN),
        ("Will be delivered", ParcelState.UNKNOWN),
        ("Die Sendung wurde dem Empfänger übergeben", ParcelState.UNKNOWN),
    ],
)
def test_free_text_is_read_narrowly(words, expected):
    table = Words(patterns=FREE_TEXT)
    assert table.state((), words) == (expected, expected != ParcelState.UNKNOWN)
