"""Faults that are planted in bank statements and in files; each has one of its own."""

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from itertools import pairwise
from pathlib import PurePosixPath
from random import Random
from typing import NamedTuple

from resources.sandbox.settlement_bank import Day, Entry
from resources.sandbox.settlement_loose import NotEnough
from resources.sandbox.settlement_payout_faults import Desk
from resources.sandbox.settlement_stories import Books
from resources.sandbox.settlement_terms import (
    ADYEN,
    BANKS,
    COD,
    PAYPAL,
    PROVIDERS,
    STRIPE,
    Span,
    business_day,
)


class File(NamedTuple):
    """One file, and the day it comes."""

    day: date
    name: str
    content: bytes


#: Kinds of the bank and of files, with their findings.
BANK_FAULTS = {
    "bank_credit_unknown": "bank_unexpected",
    "bank_statement_unbalanced": "bank_unbalanced",
    "bank_statement_missing": "bank_gap",
}
FILE_FAULTS = {
    "file_unreadable": "file_refused",
    "file_broken_line": "line_broken",
    "file_control_differs": "control_differs",
    "file_twice": "duplicate",
}
WITH_STATEMENTS = ("main_usd", "main_eur")
DAMAGED = b"%PDF-1.4\xff\xfe\x00\x01 not what it should be"


def unknown_credits(desk: Desk, span: Span, times: int) -> list[Entry]:
    """Credits in a provider's name that belong to no payout."""
    found: list[Entry] = []
    providers = list(PROVIDERS.values())
    while len(found) < times:
        provider = providers[len(found) % len(providers)]
        day = business_day(span.moment(desk.dice).date())
        if not desk.take(provider.bank, day):
            continue
        amount = Decimal("777.11") + len(found)
        words = f"{provider.counterparty} goodwill"
        entry = Entry(provider.bank, day, amount, provider.counterparty, words)
        entry.plant = "bank_credit_unknown"
        found.append(entry)
    return found


def unbalance(desk: Desk, banks: dict[str, list[Day]], times: int) -> None:
    """Leave an entry out of a statement, and in its balance."""
    for place in range(times):
        one, _ = _own_day(desk, banks, place, "bank_statement_unbalanced")
        one.fault = "bank_statement_unbalanced"
        one.entries[0].is_untold = True
        desk.books.plant(one.fault, BANK_FAULTS[one.fault], one.id)


def lose(desk: Desk, banks: dict[str, list[Day]], times: int) -> None:
    """Let a statement not come; the one after it follows a gap."""
    for place in range(times):
        one, after = _own_day(desk, banks, place, "bank_statement_missing")
        one.fault = "bank_statement_missing"
        after.fault = "follows"
        desk.books.plant(one.fault, BANK_FAULTS[one.fault], after.id)


def _own_day(desk: Desk, banks: dict[str, list[Day]], place: int, kind: str) -> tuple[Day, Day]:
    """A statement without anything of a provider, and the one after it; both unspoilt."""
    days = banks[WITH_STATEMENTS[place % len(WITH_STATEMENTS)]]
    free = [
        (one, after)
        for one, after in pairwise(days[1:])
        if one.is_ours and not _is_spoilt(desk, one) and not _is_spoilt(desk, after)
    ]
    if not free:
        raise NotEnough("statements", kind, days[0].bank.name)
    return desk.dice.choice(free)


def _is_spoilt(desk: Desk, one: Day) -> bool:
    return bool(one.fault) or (one.bank.name, one.day) in desk.busy


# Files


class Spoiler:
    """Spoils files; each at most once, and none of those in `used`."""

    def __init__(
        self, books: Books, files: dict[str, list[File]], seed: int, used: set[str]
    ) -> None:
        self.books, self.files = books, files
        self.dice = Random(f"{seed}:files")  # noqa: S311
        self.used = used

    def spoil(self, kind: str, times: int) -> None:
        """Plant a kind so many times."""
        make = {
            "file_unreadable": self._unreadable,
            "file_broken_line": self._broken_line,
            "file_control_differs": self._control,
            "file_twice": self._twice,
        }[kind]
        for place in range(times):
            self.books.plant(kind, FILE_FAULTS[kind], make(place))

    def _pick(self, owners: Sequence[str], place: int) -> tuple[list[File], int]:
        owner = owners[place % len(owners)]
        files = self.files[owner]
        free = [at for at, one in enumerate(files) if one.name not in self.used]
        if not free:
            raise NotEnough("files", "a fault of files", owner)
        at = self.dice.choice(free)
        self.used.add(files[at].name)
        return files, at

    def _unreadable(self, place: int) -> str:
        """A file that is none."""
        owners = (STRIPE, PAYPAL, ADYEN, COD, *BANKS)
        files, at = self._pick(owners, place)
        name = f"damaged_{place}{PurePosixPath(files[at].name).suffix}"
        files.insert(at + 1, File(files[at].day, name, DAMAGED + str(place).encode()))
        self.used.add(name)
        return name

    def _broken_line(self, place: int) -> str:
        """A line that was cut off, behind all others."""
        files, at = self._pick((STRIPE, ADYEN, COD), place)
        one = files[at]
        files[at] = one._replace(content=one.content + b"cut,off\n")
        return one.name

    def _control(self, place: int) -> str:
        """PayPal's footers count one row more than there are."""
        files, at = self._pick((PAYPAL,), place)
        one = files[at]
        lines = one.content.split(b"\n")
        for spot, line in enumerate(lines):
            name, _, count = line.partition(b",")
            if name in (b'"SC"', b'"RC"', b'"FF"'):
                lines[spot] = name + b"," + str(int(count) + 1).encode()
        files[at] = one._replace(content=b"\n".join(lines))
        return one.name

    def _twice(self, place: int) -> str:
        """The same file under another name."""
        files, at = self._pick((STRIPE, PAYPAL, ADYEN, COD, *BANKS), place)
        path = PurePosixPath(files[at].name)
        name = f"{path.stem} (1){path.suffix}"
        files.insert(at + 1, files[at]._replace(name=name))
        self.used.add(name)
        return name
