"""PayPal's balance of the generated year: weekly withdrawals, and settlement reports (STL), one
file per day of London with balances of each currency; amounts in hundredths without a sign, CR or
DR beside them.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from resources.sandbox.settlement_facts import ZERO, Move, Transfer
from resources.sandbox.settlement_terms import DAY, PAYPAL, days

LONDON = ZoneInfo("Europe/London")
ACCOUNT = "ACMEUK00000001"
#: This much stays at PayPal; less than that much more is not worth a withdrawal.
KEPT, LEAST = Decimal("50.00"), Decimal("20.00")
CODES = {
    "sale": "T0006",
    "refund": "T1107",
    "chargeback": "T1201",
    "chargeback_reversed": "T1202",
    "fee": "T0106",
    "conversion": "T0200",
    "reserve_held": "T2103",
    "reserve_released": "T2104",
    "adjustment": "T1900",
    "topup": "T0300",
    "payout": "T0400",
}
#: Kinds whose reference is the order or authorisation they belong to, or what they are made for.
_OF_A_GROUP = frozenset({"sale", "conversion", "fee"})
COLUMNS = (
    *("Transaction ID", "Invoice ID", "PayPal Reference ID", "PayPal Reference ID Type"),
    *("Transaction Event Code", "Transaction Initiation Date", "Transaction Completion Date"),
    *("Transaction Debit or Credit", "Gross Transaction Amount", "Gross Transaction Currency"),
    *("Fee Debit or Credit", "Fee Amount", "Fee Currency", "Custom Field", "Consumer ID"),
    *("Payment Tracking ID", "Store ID", "Bank Reference ID", "Credit Transactional Fee"),
    *("Credit Promotional Fee", "Credit Term"),
)
HEAD = '"CH",' + ",".join(f'"{name}"' for name in COLUMNS)


@dataclass
class Statement:
    """One day of the balance."""

    day: date
    moves: list[Move] = field(default_factory=list)
    opening: dict[str, Decimal] = field(default_factory=dict)
    closing: dict[str, Decimal] = field(default_factory=dict)
    #: Of a line in pounds that moved the balance and is not told.
    untold: Decimal = ZERO
    fault: str = ""

    @property
    def is_planted(self) -> bool:
        """Whether anything in it is planted."""
        return bool(self.fault) or any(one.is_planted for one in self.moves)


def statements(moves: Iterable[Move]) -> list[Statement]:
    """The days on which something moved, and each Monday, without withdrawals."""
    found: dict[date, Statement] = {}
    for move in moves:
        day = (move.due or move.at).astimezone(LONDON).date()
        found.setdefault(day, Statement(day)).moves.append(move)
    for day in days(min(found), max(found) + 7 * DAY):
        if day.weekday() == 0:
            found.setdefault(day, Statement(day))
    return [found[day] for day in sorted(found)]


def withdraw(said: list[Statement]) -> list[Transfer]:
    """Fill in the balances, and withdraw each Monday; may be asked again."""
    transfers = []
    balance: dict[str, Decimal] = defaultdict(lambda: ZERO)
    for one in said:
        one.moves = [move for move in one.moves if move.kind != "payout"]
        amount = balance["GBP"] - KEPT
        if one.day.weekday() == 0 and amount >= LEAST:
            transfers.append(_withdrawal(one, amount))
        _count(one, balance)
    return transfers


def _withdrawal(one: Statement, amount: Decimal) -> Transfer:
    key, reference = f"7PW{one.day:%Y%m%d}000001", f"PPW{one.day:%Y%m%d}"
    at = datetime.combine(one.day, time(8), LONDON).astimezone(UTC)
    move = Move(PAYPAL, "payout", key, at, "GBP", -amount, movement=key, words=reference)
    one.moves.append(move)
    return Transfer(PAYPAL, key, f"{reference} {key}", amount, one.day)


def _count(one: Statement, balance: dict[str, Decimal]) -> None:
    one.moves.sort(key=lambda move: (move.at, move.id))
    currencies = {"GBP", *(move.currency for move in one.moves)}
    one.opening = {currency: balance[currency] for currency in sorted(currencies)}
    for move in one.moves:
        balance[move.currency] += move.net
    balance["GBP"] += one.untold
    one.closing = {currency: balance[currency] for currency in sorted(currencies)}


# Files


def report(one: Statement) -> tuple[str, bytes]:
    """The name and content of a day's report."""
    start = datetime.combine(one.day, time(), LONDON)
    end = datetime.combine(one.day, time(23, 59, 59), LONDON)
    footers = [_sums(currency, one) for currency in one.opening]
    count = len(one.moves)
    lines = [
        f'"RH",{_time(end + timedelta(hours=6))},"A","{ACCOUNT}",009,',
        '"FH",01',
        f'"SH",{_time(start)},{_time(end)},"{ACCOUNT}",""',
        HEAD,
        *(row(move) for move in one.moves),
        *(f'"SF",{footer}' for footer in footers),
        f'"SC",{count}',
        *(f'"RF",{footer}' for footer in footers),
        f'"RC",{count}',
        f'"FF",{count}',
    ]
    return f"STL-{one.day:%Y%m%d}.01.009.CSV", ("\n".join(lines) + "\n").encode()


def row(move: Move) -> str:
    """One transaction."""
    at = _time(move.at.astimezone(LONDON))
    reference, its_type = _reference(move)
    side = "CR" if move.gross >= 0 else "DR"
    fee = ("DR" if move.fee > 0 else "CR", _units(move.fee), move.currency) if move.fee else None
    fee_cells = f'"{fee[0]}",{fee[1]},"{fee[2]}"' if fee else ",,"
    bank = move.words if move.kind in ("payout", "topup") else ""
    return (
        f'"SB","{move.id}","{move.reference}","{reference}","{its_type}",'
        f'"{move.type or CODES[move.kind]}",{at},{at},"{side}",{_units(move.gross)},'
        f'"{move.currency}",{fee_cells},"","","","","{bank}",,,'
    )


def _reference(move: Move) -> tuple[str, str]:
    if move.kind in _OF_A_GROUP:
        return move.group, ("ODR" if move.kind == "sale" else "TXN") if move.group else ""
    return move.payment, "TXN" if move.payment else ""


def _sums(currency: str, one: Statement) -> str:
    """Currency, credits and debits of gross and fee, then balances: begin, end, available, held."""
    own = [move for move in one.moves if move.currency == currency]
    credits = sum((move.gross for move in own if move.gross > 0), ZERO)
    debits = sum((move.gross for move in own if move.gross < 0), ZERO)
    given = sum((move.fee for move in own if move.fee < 0), ZERO)
    taken = sum((move.fee for move in own if move.fee > 0), ZERO)
    sums = ",".join(_units(amount) for amount in (credits, debits, given, taken))
    begin, end = _side(one.opening[currency]), _side(one.closing[currency])
    return f'"{currency}",{sums},{begin},{end},{end},{end},"CR",0,"CR",0,1'


def _side(amount: Decimal) -> str:
    return f'"{"CR" if amount >= 0 else "DR"}",{_units(amount)}'


def _units(amount: Decimal) -> str:
    return str(int(abs(amount).scaleb(2)))


def _time(moment: datetime) -> str:
    return f"{moment:%Y/%m/%d %H:%M:%S %z}"
