"""What is done about each webhook: decided from what the shop shows and what we remember."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from resources.store.webhooks import digest, fits
from sensors.webhook_health import (
    Deed,
    Remembered,
    Seen,
    Status,
    Wanted,
    decisions,
    mended_lately,
)

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
EARLIER = NOON - timedelta(hours=5)
URL = "https://hooks.example/webhooks/woocommerce/us"
TOPIC = "order.created"
OURS = Remembered("7", URL, has_newest_secret=True, healthy_at=EARLIER)
WANTED = Wanted(TOPIC, URL, OURS)
SEEN = Seen("7", TOPIC, Status.ACTIVE, URL, f"sync-assets {TOPIC}", EARLIER)
NEW = Wanted(TOPIC, URL)
REPEAT = replace(OURS, mended_at=NOON - timedelta(hours=23), mended_count=1)
LONG_AGO = replace(OURS, mended_at=NOON - timedelta(hours=24), mended_count=9)
NEVER_MADE = Remembered(None, URL, has_newest_secret=False)
OFF, PAUSED = replace(SEEN, status=Status.DISABLED), replace(SEEN, status=Status.PAUSED)
ELSEWHERE = replace(SEEN, delivery_url="https://else.example/")


@pytest.mark.parametrize(
    ("wanted", "seen", "deed", "is_trouble", "since"),
    [
        (WANTED, [SEEN], Deed.LEAVE, False, None),
        (NEW, [], Deed.CREATE, False, None),
        (replace(WANTED, ours=NEVER_MADE), [], Deed.CREATE, False, None),
        (WANTED, [], Deed.CREATE, True, EARLIER),
        (WANTED, [OFF], Deed.REACTIVATE, True, EARLIER),
        (NEW, [OFF], Deed.REACTIVATE, True, EARLIER),
        (replace(WANTED, ours=REPEAT), [OFF], Deed.RECREATE, True, EARLIER),
        (replace(WANTED, ours=LONG_AGO), [OFF], Deed.REACTIVATE, True, EARLIER),
        (WANTED, [PAUSED], Deed.WAIT, True, EARLIER),
        (WANTED, [ELSEWHERE], Deed.REPOINT, True, EARLIER),
        (
            replace(WANTED, ours=replace(OURS, delivery_url="https://former.example/")),
            [replace(SEEN, delivery_url="https://former.example/")],
            Deed.REPOINT,
            False,
            None,
        ),
        (NEW, [SEEN], Deed.REKEY, False, None),
        (
            replace(WANTED, ours=replace(OURS, has_newest_secret=False)),
            [SEEN],
            Deed.REKEY,
            False,
            None,
        ),
        (replace(WANTED, ours=replace(OURS, webhook_id="6")), [SEEN], Deed.REKEY, False, None),
    ],
)
def test_the_deed_follows_from_what_is_seen_and_remembered(
    wanted: Wanted, seen: list[Seen], deed: Deed, is_trouble: bool, since: datetime | None
) -> None:
    (found,) = decisions([wanted], seen, NOON)
    assert (found.deed, found.is_trouble, found.since) == (deed, is_trouble, since)
    assert found.topic == TOPIC
    assert found.why


def test_a_pause_ends_only_on_a_persons_word() -> None:
    assert decisions([WANTED], [PAUSED], NOON)[0].deed == Deed.WAIT
    assert decisions([WANTED], [PAUSED], NOON, resume=True)[0].deed == Deed.REACTIVATE


def test_a_webhook_of_somebody_else_is_left_alone_whatever_its_name() -> None:
    found = decisions([NEW], [ELSEWHERE], NOON)
    assert [(one.deed, one.seen) for one in found] == [
        (Deed.CREATE, None),
        (Deed.FOREIGN, ELSEWHERE),
    ]


def test_of_two_that_do_the_same_the_living_known_one_stays_and_only_ours_goes() -> None:
    second = replace(SEEN, webhook_id="9")
    by_hand = replace(SEEN, webhook_id="3", name="made by hand")
    found = decisions([WANTED], [by_hand, second, SEEN], NOON)

    assert [(one.deed, one.seen and one.seen.webhook_id) for one in found] == [
        (Deed.LEAVE, "7"),
        (Deed.DOUBLED, "3"),
        (Deed.REMOVE, "9"),
    ]
    assert [one.is_trouble for one in found] == [False, True, False]


def test_a_dead_twin_is_removed_beside_a_living_one() -> None:
    twin = replace(SEEN, webhook_id="9")
    first, second = decisions([WANTED], [OFF, twin], NOON)
    assert (first.deed, first.seen) == (Deed.REKEY, twin)
    assert (second.deed, second.seen) == (Deed.REMOVE, OFF)


def test_a_webhook_that_changed_its_topic_is_another_one() -> None:
    other = replace(SEEN, topic="order.restored")
    found = decisions([WANTED], [other], NOON)
    assert [one.deed for one in found] == [Deed.CREATE, Deed.FOREIGN]


def test_every_topic_is_decided_on_its_own() -> None:
    two = Wanted("order.updated", URL)
    found = decisions([WANTED, two], [SEEN], NOON)
    assert [(one.topic, one.deed) for one in found] == [
        (TOPIC, Deed.LEAVE),
        ("order.updated", Deed.CREATE),
    ]


def test_a_mend_is_a_repeat_for_a_day() -> None:
    assert mended_lately(REPEAT, NOON)
    assert not mended_lately(LONG_AGO, NOON)
    assert not mended_lately(OURS, NOON)


def test_a_digest_knows_its_secret_and_does_not_hold_it() -> None:
    kept = digest("a secret of the shop")
    assert fits("a secret of the shop", kept)
    assert not fits("another", kept)
    assert not fits("a secret of the shop", None)
    assert kept != digest("a secret of the shop")
    assert len(kept) == 17
