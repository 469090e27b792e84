"""What a system's error means for the write that met it: when it is tried again, or who gets it.

The rules are in `domain/retries.py`; here the wire's errors get their names.
"""

from datetime import datetime, timedelta

from resources.errors import (
    ContractBroken,
    Refused,
    RemoteError,
    SignInAgain,
    Throttled,
    TryAgain,
    UnknownOutcome,
)
from resources.store.outbox import Write
from sync_assets.domain import retries
from sync_assets.domain.retries import GiveUp, RetryAt, Trouble

#: The first that fits.
TROUBLES: dict[type[RemoteError], Trouble] = {
    Throttled: Trouble.THROTTLED,
    SignInAgain: Trouble.SIGN_IN,
    Refused: Trouble.REFUSED,
    ContractBroken: Trouble.CONTRACT_BROKEN,
    UnknownOutcome: Trouble.UNKNOWN_OUTCOME,
    TryAgain: Trouble.PASSING,
}


def trouble_of(error: RemoteError) -> Trouble:
    """The kind of trouble an error is."""
    return next((kind for one, kind in TROUBLES.items() if isinstance(error, one)), Trouble.REFUSED)


def code_of(error: RemoteError | None) -> str:
    """The kind of exception a write that is given up becomes."""
    return retries.RULES[trouble_of(error) if error else Trouble.REFUSED].code


def next_try(
    write: Write, error: RemoteError, now: datetime, window: timedelta
) -> RetryAt | GiveUp:
    """When a write that failed is tried again, or why it is not."""
    return _next(write, trouble_of(error), error, write.first_failed_at or now, now, window)


def unjudged_until(write: Write, error: RemoteError, now: datetime, window: timedelta) -> datetime:
    """When a write is due again that is not to blame: nobody answers, or not to us."""
    trouble = trouble_of(error)
    if trouble not in (Trouble.THROTTLED, Trouble.SIGN_IN):
        trouble = Trouble.AWAY
    found = _next(write, trouble, error, now, now, window)
    return found.moment if isinstance(found, RetryAt) else now


def _next(
    write: Write,
    trouble: Trouble,
    error: RemoteError,
    first_failed_at: datetime,
    now: datetime,
    window: timedelta,
) -> RetryAt | GiveUp:
    return retries.next_try(
        trouble,
        write.attempts,
        first_failed_at,
        now,
        write.lane,
        error.after_seconds if isinstance(error, Throttled) else None,
        f"{write.system}/{write.business_key}",
        window,
    )
