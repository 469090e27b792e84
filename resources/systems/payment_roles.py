"""What a payment provider does for us, as a small protocol; the clients beside fill it."""

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import Protocol

from resources.pages import Broken, Raw


class Payments(Protocol):
    """Tells what it took, gave back and paid out; it is only ever read."""

    system: str

    @property
    def things(self) -> tuple[str, ...]:
        """What it lists, by the name of its raw table."""

    def ping(self) -> str:
        """Sign in and name the account; raises SignInAgain or TryAgain."""

    def changed_since(
        self, thing: str, moment: datetime, overlap: timedelta
    ) -> Iterator[list[Raw | Broken]]:
        """Yield pages of a thing that changed since, oldest change first as far as it can say."""

    def of_payout_day(self, day: date) -> Iterator[tuple[str, list[Raw | Broken]]]:
        """Yield what belongs to the payouts of a UTC day: the thing, and a page of it."""
