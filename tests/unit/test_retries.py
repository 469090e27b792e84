"""When a write is tried again: by kind of trouble and lane, within a window, never all at once."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resources.store.outbox import LANES
from sync_assets.domain.exception_kinds import kind_of
from sync_assets.domain.retries import (
    FEWEST_TRIES,
    JITTER,
    LONGEST_JITTER,
    PACES,
    RULES,
    GiveUp,
    RetryAt,
    Trouble,
    history,
    next_try,
)

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
CANCEL, ORDER, CATALOG = LANES["cancel"], LANES["order"], LANES["catalog"]
LATE = timedelta(days=30)


def wait(
    trouble: Trouble,
    attempts: int,
    *,
    lane: int = ORDER,
    asked: float | None = None,
    seed: str = "odoo/sales_order.create:us:7",
) -> timedelta:
    found = next_try(trouble, attempts, NOON, NOON, lane, asked, seed)
    assert isinstance(found, RetryAt)
    return found.moment - NOON


def outcome(trouble: Trouble, attempts: int, after: timedelta, lane: int = ORDER) -> object:
    found = next_try(trouble, attempts, NOON, NOON + after, lane, None, "a")
    return found.reason if isinstance(found, GiveUp) else "again"


def test_every_lane_has_a_pace_and_every_trouble_a_rule() -> None:
    assert PACES.keys() == set(LANES.values())
    assert RULES.keys() == set(Trouble)


def test_what_is_given_up_has_a_code_with_an_owner() -> None:
    owners = {trouble: kind_of(rule.code).owner_role for trouble, rule in RULES.items()}
    assert owners[Trouble.REFUSED] == "operations"
    assert owners[Trouble.PASSING] == owners[Trouble.CONTRACT_BROKEN] == "engineer"


def test_waits_double_up_to_the_longest() -> None:
    waits = [wait(Trouble.PASSING, n) / timedelta(seconds=1) for n in range(1, 13)]
    least = [5, 10, 20, 40, 80, 160, 320, 640, 1280, 1800, 1800, 1800]
    most = [min(one * 1.5, one + 300) for one in least]
    assert all(low <= w < high for low, w, high in zip(least, waits, most, strict=True))


def test_an_unknown_outcome_is_looked_up_twice_at_once_and_then_with_time() -> None:
    assert [wait(Trouble.UNKNOWN_OUTCOME, n) for n in (1, 2)] == [timedelta()] * 2
    assert wait(Trouble.UNKNOWN_OUTCOME, 3) >= timedelta(seconds=5)


@pytest.mark.parametrize("attempts", [1, 4, 9])
def test_urgent_lanes_try_sooner_and_catalog_later(attempts: int) -> None:
    urgent, ordinary, batch = (
        wait(Trouble.PASSING, attempts, lane=lane) for lane in (CANCEL, ORDER, CATALOG)
    )
    assert urgent < ordinary < batch


def test_urgent_lanes_reach_a_person_sooner() -> None:
    two, three, day = timedelta(hours=2), timedelta(days=3), timedelta(days=1)
    assert outcome(Trouble.PASSING, 9, two - timedelta(seconds=1), CANCEL) == "again"
    assert outcome(Trouble.PASSING, 9, two, CANCEL) == "tried for 2 hours"
    assert outcome(Trouble.PASSING, 9, day - timedelta(seconds=1)) == "again"
    assert outcome(Trouble.PASSING, 9, day) == "tried for 24 hours"
    assert outcome(Trouble.PASSING, 9, day, CATALOG) == "again"
    assert outcome(Trouble.PASSING, 9, three, CATALOG) == "tried for 72 hours"


def test_what_makes_no_sense_is_given_up_after_an_hour() -> None:
    hour = timedelta(hours=1)
    assert outcome(Trouble.CONTRACT_BROKEN, 9, hour - timedelta(seconds=1)) == "again"
    assert outcome(Trouble.CONTRACT_BROKEN, 9, hour) == "tried for 60 minutes"


def test_a_refusal_is_never_tried_again() -> None:
    assert outcome(Trouble.REFUSED, 1, timedelta()) == "trying again cannot help"


@pytest.mark.parametrize("trouble", [Trouble.AWAY, Trouble.SIGN_IN])
def test_a_system_that_is_away_or_a_wrong_key_costs_no_write_its_window(trouble: Trouble) -> None:
    assert outcome(trouble, 10_000, LATE) == "again"


def test_a_window_that_passed_while_nobody_tried_gives_nothing_up() -> None:
    assert outcome(Trouble.PASSING, FEWEST_TRIES - 1, LATE) == "again"
    assert outcome(Trouble.PASSING, FEWEST_TRIES, LATE) == "tried for 24 hours"


def test_the_window_is_the_accounts() -> None:
    after = NOON + timedelta(hours=3)
    long, short = (
        next_try(Trouble.PASSING, 9, NOON, after, ORDER, None, "a", timedelta(hours=hours))
        for hours in (4, 3)
    )
    assert isinstance(long, RetryAt)
    assert short == GiveUp("tried for 3 hours")


def test_a_thousand_writes_that_failed_together_do_not_come_back_together() -> None:
    keys = [f"odoo/sales_order.create:us:{n}" for n in range(1000)]
    for trouble, asked in ((Trouble.AWAY, None), (Trouble.THROTTLED, 60.0)):
        moments = [wait(trouble, 1, asked=asked, seed=key) for key in keys]
        assert min(moments) >= timedelta(seconds=60)
        seconds = Counter(int(moment / timedelta(seconds=1)) for moment in moments)
        assert len(seconds) == 30
        assert max(seconds.values()) < 60  # 33 on average
    again = {wait(Trouble.PASSING, 5, seed=key) for key in keys}
    assert len(again) == 1000


def test_the_same_write_waits_the_same_wherever_it_is_computed() -> None:
    assert wait(Trouble.AWAY, 1) == wait(Trouble.AWAY, 1)
    # exact, so that another version or machine that computes another one is noticed
    assert wait(Trouble.AWAY, 1) == timedelta(seconds=69, microseconds=536082)


@given(
    trouble=st.sampled_from([t for t in Trouble if RULES[t].window != 0]),
    attempts=st.integers(1, 10**6),
    lane=st.sampled_from(sorted(PACES)),
    asked=st.one_of(st.none(), st.floats(0, 10**6)),
    seed=st.text(max_size=20),
)
def test_no_write_comes_back_before_it_may_nor_much_later(
    trouble: Trouble, attempts: int, lane: int, asked: float | None, seed: str
) -> None:
    found = wait(trouble, attempts, lane=lane, asked=asked, seed=seed)
    least = timedelta(seconds=asked or 0)
    longest = max(least, RULES[trouble].longest_wait * PACES[lane].waits)
    assert least <= found <= longest + min(longest * JITTER, LONGEST_JITTER)


@given(lane=st.sampled_from(sorted(PACES)), trouble=st.sampled_from([Trouble.PASSING]))
def test_waits_never_shrink_by_more_than_their_jitter(lane: int, trouble: Trouble) -> None:
    waits = [wait(trouble, n, lane=lane) for n in range(1, 40)]
    assert all(later >= sooner / (1 + JITTER) for sooner, later in pairwise(waits))


def test_the_person_who_gets_it_reads_how_often_and_when() -> None:
    assert history(1, NOON, NOON) == "tried once, 2026-03-02 12:00 UTC"
    day = NOON + timedelta(days=1)
    assert history(16, NOON, day) == (
        "tried 16 times, first 2026-03-02 12:00, last 2026-03-03 12:00 UTC"
    )
