"""What went wrong with another system, named for what to do next.

    RemoteError
    ├── TryAgain            the call had no effect, a later one may succeed
    │   ├── Throttled       ... and the system said how long to wait
    │   └── NotAsked        ... because we did not even call, on purpose
    │       ├── Paused      a person said so
    │       └── CircuitOpen it failed too often; a probe goes later
    ├── SignInAgain         the credentials were not accepted
    ├── Refused             the system understood and said no
    │   └── Missing         ... because the thing is not there
    ├── ContractBroken      the answer is not what the contract promises
    └── UnknownOutcome      a write was sent and its answer was lost

Retrying, parking and looking up are decided elsewhere, from `remedy`.
"""

from datetime import datetime
from enum import StrEnum


class Remedy(StrEnum):
    """What to do next about an error."""

    RETRY = "retry"
    SIGN_IN = "sign_in"
    GIVE_TO_PERSON = "give_to_person"
    FIND_OUT = "find_out"


class RemoteError(Exception):
    """Another system did not do what was asked; `reference` finds the call in its logs."""

    remedy = Remedy.GIVE_TO_PERSON

    def __init__(
        self, system: str, message: str, *, code: str | None = None, reference: str | None = None
    ) -> None:
        super().__init__(message)
        self.system, self.message, self.code, self.reference = system, message, code, reference

    def __str__(self) -> str:
        code = f" [{self.code}]" if self.code else ""
        reference = f" (request {self.reference})" if self.reference else ""
        return f"{self.system}: {self.message}{code}{reference}"


class TryAgain(RemoteError):
    """A passing fault; the call had no effect."""

    remedy = Remedy.RETRY


class Throttled(TryAgain):
    """Too many calls; wait `after_seconds` before the next one, if the system said so."""

    def __init__(
        self, system: str, message: str, *, after_seconds: float | None = None, **detail: str | None
    ) -> None:
        super().__init__(system, message, **detail)
        self.after_seconds = after_seconds


class NotAsked(TryAgain):
    """We did not call, on purpose; there is no use in trying before `until`, if that is known."""

    def __init__(
        self, system: str, message: str, *, until: datetime | None = None, **detail: str | None
    ) -> None:
        super().__init__(system, message, **detail)
        self.until = until


class Paused(NotAsked):
    """A person paused the system; it is meant, and nothing is wrong."""


class CircuitOpen(NotAsked):
    """The system failed too often in a row; the next probe goes at `until`."""


class SignInAgain(RemoteError):
    """The key, password or session was not accepted; nothing will work until it is mended."""

    remedy = Remedy.SIGN_IN


class Refused(RemoteError):
    """The system understood and said no; sending it again will not help."""


class Missing(Refused):
    """The thing asked for is not there."""


class ContractBroken(RemoteError):
    """The answer cannot be what the contract promises: broken JSON, a page that is no list."""


class UnknownOutcome(RemoteError):
    """A write was sent and its answer was lost; look the thing up by our key, then decide."""

    remedy = Remedy.FIND_OUT
