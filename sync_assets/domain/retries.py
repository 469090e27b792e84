"""When a write that failed is tried again, for how long in all, and who gets it after that.

Facts in, a moment or a reason out: nothing here looks at the clock, sends or stores. A thousand
writes that failed together come back one by one, because each waits a little longer by its own
key; none comes back before the system said it may.
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum


class Trouble(StrEnum):
    """What kind of fault it was, named for what to do next."""

    PASSING = "passing"  # no effect, a later try may succeed
    THROTTLED = "throttled"  # ... and it said how long to wait
    AWAY = "away"  # nobody answers anybody: no write is to blame
    SIGN_IN = "sign_in"  # the key is not accepted: no write is to blame
    UNKNOWN_OUTCOME = "unknown_outcome"  # the answer was lost: look first
    CONTRACT_BROKEN = "contract_broken"  # the answer makes no sense
    REFUSED = "refused"  # understood, and said no


@dataclass(frozen=True)
class Rule:
    """How one kind of trouble is treated in the ordinary lane."""

    #: How much of the account's window: 1 is all of it, 0 none; nothing means for ever.
    window: float | None
    first_wait: timedelta = timedelta()
    factor: float = 2
    longest_wait: timedelta = timedelta(minutes=30)
    #: Tries at once before the first wait.
    at_once: int = 0
    #: The exception at the end; whose it is follows from its kind.
    code: str = "erp.given_up"


@dataclass(frozen=True)
class Pace:
    """How much of the waits and of the window a lane takes."""

    waits: float = 1
    window: float = 1


RULES = {
    Trouble.PASSING: Rule(1, timedelta(seconds=5)),
    Trouble.THROTTLED: Rule(1, timedelta(seconds=15), longest_wait=timedelta(minutes=15)),
    Trouble.AWAY: Rule(None, timedelta(minutes=1), factor=1),
    Trouble.SIGN_IN: Rule(None, timedelta(seconds=30), factor=1),
    # Looking costs one call for a whole batch and often settles it: twice at once, then with time.
    Trouble.UNKNOWN_OUTCOME: Rule(1, timedelta(seconds=5), at_once=2),
    # A proxy's error page passes; what still makes no sense after an hour is ours to mend.
    Trouble.CONTRACT_BROKEN: Rule(1 / 24, timedelta(minutes=1), code="erp.contract_broken"),
    Trouble.REFUSED: Rule(0, code="erp.refused"),
}
#: By the outbox' lanes. A cancellation or a stock level that is late does harm within hours.
PACES = {
    0: Pace(waits=1 / 5, window=1 / 12),
    1: Pace(waits=1 / 5, window=1 / 12),
    2: Pace(),
    3: Pace(),
    4: Pace(waits=2, window=3),
}
#: Fewer tries say nothing: a pause or an outage of ours must not use up a window.
FEWEST_TRIES = 5
#: How much longer than due a write may wait: a part of its wait, and no more than this.
JITTER = 0.5
LONGEST_JITTER = timedelta(minutes=5)
WINDOW = timedelta(hours=24)


@dataclass(frozen=True)
class RetryAt:
    """Try again, not before this moment."""

    moment: datetime


@dataclass(frozen=True)
class GiveUp:
    """Give it to a person; why."""

    reason: str


def next_try(
    trouble: Trouble,
    attempts: int,
    first_tried_at: datetime,
    now: datetime,
    lane: int,
    asked_seconds: float | None,
    seed: str,
    window: timedelta = WINDOW,
) -> RetryAt | GiveUp:
    """Say when a write that failed now, for the `attempts`-th time, is tried again, or why not."""
    rule, pace = RULES[trouble], PACES[lane]
    if rule.window == 0:
        return GiveUp("trying again cannot help")
    if rule.window is not None:
        whole = window * rule.window * pace.window
        if attempts >= FEWEST_TRIES and now - first_tried_at >= whole:
            return GiveUp(f"tried for {_told(whole)}")
    least = max(_wait(rule, attempts) * pace.waits, timedelta(seconds=asked_seconds or 0))
    spread = min(least * JITTER, LONGEST_JITTER)
    return RetryAt(now + least + spread * part_of(f"{seed}/{attempts}"))


def _wait(rule: Rule, attempts: int) -> timedelta:
    """The wait after so many tries, before the lane's pace and the jitter."""
    waited = attempts - rule.at_once
    if waited < 1:
        return timedelta()
    # Beyond 64 doublings every wait is the longest, and a power of it no number any more.
    growth = min(rule.factor ** min(waited - 1, 64), rule.longest_wait / rule.first_wait)
    return rule.first_wait * growth


def part_of(seed: str) -> float:
    """A number from 0 up to 1 that is the same for the same seed, everywhere."""
    return int.from_bytes(hashlib.sha256(seed.encode()).digest()[:6]) / 2**48


def history(attempts: int, first_at: datetime, last_at: datetime) -> str:
    """How often and when it was tried, for the person who gets it."""
    last = f"{last_at:%Y-%m-%d %H:%M} UTC"
    if attempts <= 1:
        return f"tried once, {last}"
    return f"tried {attempts} times, first {first_at:%Y-%m-%d %H:%M}, last {last}"


def _told(span: timedelta) -> str:
    hours = span / timedelta(hours=1)
    return f"{hours:g} hours" if hours >= 2 else f"{span / timedelta(minutes=1):g} minutes"
