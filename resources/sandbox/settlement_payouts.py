"""When the providers that pay out everything do so, and which lines go into each payout: Stripe
each working day, Adyen and cash on delivery each week. Adyen's rolling reserve is made here.
"""

from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from resources.sandbox.settlement_facts import ZERO, Move, Payout
from resources.sandbox.settlement_terms import (
    ADYEN,
    COD,
    DAY,
    PROVIDERS,
    RESERVE_PERCENT,
    RESERVE_WEEKS,
    STRIPE,
    business_day,
)
from resources.sandbox.shop_order import cents

AMSTERDAM = ZoneInfo("Europe/Amsterdam")
#: Card networks rest: what is taken or given back then goes out, sales follow a day later.
QUIET = frozenset({(7, 4), (12, 25)})
#: Four digits, so that no batch's number is a part of another's.
FIRST_BATCH = 1001


def payouts(provider: str, moves: Iterable[Move]) -> list[Payout]:
    """Payouts in the order of time, each with its lines."""
    found: dict[date, Payout] = {}
    repeats = []
    day_of = DAY_OF[provider]
    for move in moves:
        if move.is_repeat:
            repeats.append(move)
        else:
            payout_on(found, provider, day_of(move)).moves.append(move)
    for move in repeats:
        days = [day for day in found if day > day_of(move)]
        found[min(days) if days else day_of(move)].moves.append(move)
    in_order = [found[day] for day in sorted(found)]
    for payout in in_order:
        payout.moves.sort(key=lambda one: (one.at, one.id))
    return in_order


def payout_on(found: dict[date, Payout], provider: str, day: date) -> Payout:
    """The payout of a day, made where there is none."""
    if day not in found:
        key, reference = ID_OF[provider](day)
        found[day] = Payout(provider, key, day, PROVIDERS[provider].currency, reference)
    return found[day]


def _stripe_day(move: Move) -> date:
    """Two days later, from Monday to Friday."""
    day = business_day((move.due or move.at).date() + 2 * DAY)
    if move.kind == "sale" and (day.month, day.day) in QUIET:
        return business_day(day + DAY)
    return day


def _week(move: Move) -> date:
    """The Monday of its week, where the provider is."""
    day = (move.due or move.at).astimezone(AMSTERDAM).date()
    return day - DAY * day.weekday()


def _adyen_day(move: Move) -> date:
    """The Tuesday after its week."""
    return _week(move) + 8 * DAY


def _cod_day(move: Move) -> date:
    """The Thursday after its week."""
    return _week(move) + 10 * DAY


def _adyen_id(day: date) -> tuple[str, str]:
    """Batches are counted by weeks from 2016 on."""
    number = FIRST_BATCH + (day - date(2016, 1, 5)).days // 7
    return str(number), f"TX{number:011d}XT"


def _cod_id(day: date) -> tuple[str, str]:
    year, week, _ = day.isocalendar()
    return f"NN-{year}-{week:02d}", f"NNR{year}{week:02d}"


DAY_OF: dict[str, Callable[[Move], date]] = {
    STRIPE: _stripe_day,
    ADYEN: _adyen_day,
    COD: _cod_day,
}
ID_OF: dict[str, Callable[[date], tuple[str, str]]] = {
    STRIPE: lambda day: (f"po_{day:%Y%m%d}", f"po_{day:%Y%m%d}"),
    ADYEN: _adyen_id,
    COD: _cod_id,
}


# Adyen's reserve


def hold_reserves(batches: list[Payout]) -> list[tuple[Payout, Move, Move]]:
    """Keep a part of each batch's sales for eight weeks; answers batch, hold and release."""
    found = {one.day: one for one in batches}
    reserves = []
    for batch in batches:
        sales = sum((one.gross for one in batch.moves if one.kind == "sale"), ZERO)
        amount = cents(sales * RESERVE_PERCENT / 100)
        if amount > 0:
            later = payout_on(found, ADYEN, batch.day + timedelta(weeks=RESERVE_WEEKS))
            hold = reserve(batch, batch, "reserve_held", -amount)
            reserves.append((batch, hold, reserve(later, batch, "reserve_released", amount)))
    batches[:] = [found[day] for day in sorted(found)]
    return reserves


def reserve(into: Payout, batch: Payout, kind: str, amount: Decimal, minute: int = 0) -> Move:
    """Put a line of a batch's reserve into a payout."""
    at = datetime.combine(into.day - 2 * DAY, time(20, minute), UTC)
    words = f"Rolling reserve {batch.id}"
    move = Move(ADYEN, kind, words, at, batch.currency, amount, words=words)
    into.moves.append(move)
    return move
