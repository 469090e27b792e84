"""Faults that are planted in payouts and in how they reach the bank. Each has a payout of its own,
in which nothing else is planted, and a bank statement of its own.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from random import Random
from typing import NamedTuple

from resources.sandbox.settlement_adyen import MERCHANT
from resources.sandbox.settlement_bank import arrives
from resources.sandbox.settlement_facts import Move, Payout, Transfer
from resources.sandbox.settlement_loose import NotEnough, planted
from resources.sandbox.settlement_payouts import reserve
from resources.sandbox.settlement_paypal import Statement, withdraw
from resources.sandbox.settlement_stories import Books
from resources.sandbox.settlement_terms import (
    ADYEN,
    COD,
    DAY,
    PAYPAL,
    PROVIDERS,
    STRIPE,
    business_day,
)
from resources.sandbox.shop_order import cents


class PayoutFault(NamedTuple):
    """A kind of fault, its finding and where it can be."""

    kind: str
    finding: str
    providers: Sequence[str]


PAYOUT_FAULTS = (
    PayoutFault("payout_line_missing", "payout_unbalanced", (STRIPE, PAYPAL, ADYEN, COD)),
    PayoutFault("payout_without_lines", "payout_without_lines", (STRIPE, ADYEN, COD)),
    PayoutFault("payout_not_in_bank", "payout_not_in_bank", (STRIPE, PAYPAL, ADYEN, COD)),
    PayoutFault("payout_bank_short", "payout_bank_differs", (STRIPE, PAYPAL, ADYEN, COD)),
    PayoutFault("payout_returned", "payout_failed", (STRIPE, PAYPAL, ADYEN, COD)),
    PayoutFault("bank_credit_twice", "bank_doubled", (STRIPE, PAYPAL, ADYEN, COD)),
    PayoutFault("bank_wrong_account", "bank_wrong_account", (STRIPE,)),
)
#: Their subject is a booking, whose reference is known when the bank has booked.
OF_THE_BANK = frozenset(
    {"payout_bank_short", "payout_returned", "bank_credit_twice", "bank_wrong_account"}
)
#: A payout must be worth the trouble.
LEAST = Decimal("20.00")
UNTOLD = Decimal("23.45")


@dataclass
class Desk:
    """All payouts of the year, and which days of the banks have a fault already."""

    books: Books
    payouts: dict[str, list[Payout]]
    paypal: list[Statement]
    reserves: list[tuple[Payout, Move, Move]]
    dice: Random
    #: Withdrawals from PayPal, and what is planted in them by day.
    possible: list[Transfer] = field(default_factory=list)
    withdrawals: dict[date, str] = field(default_factory=dict)
    busy: set[tuple[str, date]] = field(default_factory=set)
    taken: int = 0

    def __post_init__(self) -> None:
        self.possible = withdraw(self.paypal)

    def transfers(self) -> list[Transfer]:
        """What goes to the banks, with what is planted there."""
        found = [
            Transfer(name, one.id, one.bank_reference, one.amount, one.day, one.fault)
            for name, payouts in self.payouts.items()
            for one in payouts
        ]
        for one in withdraw(self.paypal):
            one.fault = self.withdrawals.get(one.day, "")
            found.append(one)
        return found

    def take(self, bank: str, day: date, more: int = 0) -> bool:
        """Take a day of a bank's statements, and `more` working days after it, if they are free."""
        wanted = [(bank, day)]
        for _ in range(more):
            wanted.append((bank, business_day(wanted[-1][1] + DAY)))
        if any(one in self.busy for one in wanted):
            return False
        self.busy.update(wanted)
        return True


def plant(desk: Desk, fault: PayoutFault, times: int) -> None:
    """Plant a kind so many times, with one provider after the other."""
    for place in range(times):
        start = place % len(fault.providers)
        order = [*fault.providers[start:], *fault.providers[:start]]
        ref = next((ref for name in order if (ref := _try(desk, fault.kind, name))), None)
        if ref is None:
            raise NotEnough("payouts", fault.kind, " and ".join(fault.providers))
        if fault.kind not in OF_THE_BANK:
            desk.books.plant(fault.kind, fault.finding, ref)


def _try(desk: Desk, kind: str, provider: str) -> str | None:
    """Plant one with a provider, and answer its subject; nothing where no payout is free."""
    if provider == PAYPAL:
        return _in_balance(desk) if kind == "payout_line_missing" else _withdrawn(desk, kind)
    payouts = desk.payouts[provider]
    if kind == "payout_without_lines":
        return _without_lines(desk, provider)
    for place in _free(desk, payouts):
        payout = payouts[place]
        if not desk.take(PROVIDERS[provider].bank, _bank_day(payout), 2):
            continue
        payout.fault = kind
        if kind == "payout_line_missing":
            payout.untold = UNTOLD + desk.taken
        desk.taken += 1
        return subject(payout)
    return None


def _free(desk: Desk, payouts: list[Payout]) -> Iterator[int]:
    """Places of payouts in which nothing is planted, in an order of chance."""
    places = [
        place
        for place, one in enumerate(payouts[:-4])
        if not one.is_planted and one.amount >= LEAST
    ]
    desk.dice.shuffle(places)
    return iter(places)


def subject(payout: Payout) -> str:
    """What the key of a payout contains."""
    if payout.provider == ADYEN:
        return f"{MERCHANT}:{payout.id}:{payout.currency}"
    return payout.id


def _bank_day(payout: Payout) -> date:
    return arrives(Transfer(payout.provider, payout.id, "", payout.amount, payout.day))


def _without_lines(desk: Desk, provider: str) -> str | None:
    """A payout of its own, of which only the sum is told."""
    payouts = desk.payouts[provider]
    for place in _free(desk, payouts):
        near = payouts[place]
        if not desk.take(PROVIDERS[provider].bank, _bank_day(near)):
            continue
        desk.taken += 1
        number = desk.taken
        key, reference = {
            STRIPE: (f"po_x{number:04d}", f"po_x{number:04d}"),
            ADYEN: (f"{9000 + number}", f"TX9{number:010d}XT"),
            COD: (f"NN-X{number:04d}", f"NNRX{number:04d}"),
        }[provider]
        made = Payout(provider, key, near.day, near.currency, reference)
        made.untold, made.fault = Decimal("321.09") + number, "payout_without_lines"
        payouts.insert(place + 1, made)
        return subject(made)
    return None


def _in_balance(desk: Desk) -> str | None:
    """A day of PayPal's balance that ends with more than it tells."""
    days = [one for one in desk.paypal if not one.is_planted and one.day.weekday() != 0]
    if not days:
        return None
    one = desk.dice.choice(days)
    one.fault, one.untold = "payout_line_missing", UNTOLD + desk.taken
    desk.taken += 1
    return f"{one.day:%Y%m%d}:GBP"


def _withdrawn(desk: Desk, kind: str) -> str | None:
    """A withdrawal from PayPal that the bank has otherwise."""
    free = [
        one for one in desk.possible[:-2] if one.day not in desk.withdrawals and one.amount >= LEAST
    ]
    desk.dice.shuffle(free)
    for one in free:
        if desk.take("main_gbp", arrives(one), 2):
            desk.withdrawals[one.day] = kind
            return one.id
    return None


# Adyen's rolling reserve


def never_released(desk: Desk) -> str:
    """The reserve of one batch is held for good."""
    _, hold, release = _free_reserve(desk, "reserve_never_released")
    for payout in desk.payouts[ADYEN]:
        payout.moves = [move for move in payout.moves if move is not release]
    return planted(hold)


def released_above(desk: Desk) -> str:
    """The reserve of one batch is released, and a quarter of it again in the same payout."""
    batch, hold, release = _free_reserve(desk, "reserve_released_above")
    later = next(one for one in desk.payouts[ADYEN] if release in one.moves)
    amount = max(cents(-hold.gross / 4), Decimal("0.07"))
    held = {-one.gross for _, one, _ in desk.reserves}
    while amount in held:
        amount += Decimal("0.01")
    more = reserve(later, batch, "reserve_released", amount, minute=30)
    hold.is_planted = True
    return planted(more)


def _free_reserve(desk: Desk, kind: str) -> tuple[Payout, Move, Move]:
    free = [one for one in desk.reserves if not one[1].is_planted]
    if not free:
        raise NotEnough("batches", kind, ADYEN)
    return desk.dice.choice(free)
