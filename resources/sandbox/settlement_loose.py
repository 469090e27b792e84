"""What providers book that is of no order: monthly fees, our top-ups; and the faults in it."""

from calendar import month_name, monthrange
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random

from resources.sandbox.settlement_facts import Move, Transfer
from resources.sandbox.settlement_stories import Books
from resources.sandbox.settlement_terms import ADYEN, COD, PAYPAL, PROVIDERS, STRIPE, Span

TOPUP = Decimal("500.00")
#: Stripe is topped up on the fifteenth of these months.
TOPUP_MONTHS = (2, 5, 8, 11)
#: No basket comes to this.
UNHEARD_OF = Decimal("10007.77")


class Loose:
    """Lines without an order."""

    def __init__(self, books: Books, span: Span, seed: int) -> None:
        self.books, self.span = books, span
        self.dice = Random(f"{seed}:loose")  # noqa: S311
        self.count = 0
        #: What we paid to providers.
        self.transfers: list[Transfer] = []
        self.monthly: list[Move] = []

    def put(
        self, provider: str, kind: str, amount: Decimal, at: datetime | None = None, words: str = ""
    ) -> Move:
        """Put a line, at some moment of the year where none is said."""
        self.count += 1
        number = self.count
        key = {
            STRIPE: f"txn_x{number}",
            PAYPAL: f"7PX{number:014d}",
            COD: f"NNX{number}",
            ADYEN: words or f"Correction {_letters(number)}",
        }[provider]
        moment = at or self.span.moment(self.dice)
        move = Move(provider, kind, key, moment, PROVIDERS[provider].currency, amount, words=words)
        self.books.moves[provider].append(move)
        return move

    def topup(self, provider: str, at: datetime | None = None) -> Move:
        """Pay the provider; whether the bank knows is for who asks."""
        reference = f"TX9{self.count:010d}XT"
        made = self.put(provider, "topup", TOPUP, at, f"{reference} top-up")
        made.movement = {STRIPE: f"tu_{self.count}", ADYEN: reference}.get(provider, made.id)
        return made

    def clean(self) -> None:
        """Put what a clean year has."""
        for year, month in _months(self.span):
            fee = Decimal(self.dice.randint(2000, 9000)).scaleb(-2)
            last = datetime(year, month, monthrange(year, month)[1], 9, 30, tzinfo=UTC)
            day = last + timedelta(days=2)
            radar = f"Radar ({last:%Y-%m-%d}): Standard"
            self.monthly.append(self.put(STRIPE, "fee", -fee, day, radar))
            fees = f"Transaction Fees {month_name[month]} {year}"
            self.monthly.append(self.put(ADYEN, "fee", -fee, day + timedelta(hours=30), fees))
            if month in TOPUP_MONTHS:
                at = datetime(year, month, 15, 8, tzinfo=UTC)
                made = self.topup(STRIPE, at)
                words = f"TOPUP {made.movement}"
                self.transfers.append(Transfer(STRIPE, made.movement, words, -TOPUP, at.date()))


def _letters(number: int) -> str:
    """A number that nobody takes for one: digits might be those of an order."""
    return "".join("ABCDEFGHIJ"[int(digit)] for digit in f"{number:04d}")


def _months(span: Span) -> Iterator[tuple[int, int]]:
    year, month = span.first.year, span.first.month
    while (year, month) <= (span.last.year, span.last.month):
        yield year, month
        year, month = (year, month + 1) if month < 12 else (year + 1, 1)


# Faults


@dataclass(frozen=True)
class LooseFault:
    """A kind of fault that is of no order."""

    kind: str
    finding: str
    providers: Sequence[str]
    act: Callable[[Loose, str], str]


def type_unknown(loose: Loose, provider: str) -> str:
    """A type that nobody told us of."""
    made = loose.put(provider, "adjustment", Decimal("-4.20"))
    made.type = {STRIPE: "levitation", PAYPAL: "T9123", ADYEN: "Levitation", COD: "levitation"}[
        provider
    ]
    return planted(made)


def adjustment_unexplained(loose: Loose, provider: str) -> str:
    """An adjustment in words that no policy agrees to."""
    return planted(loose.put(provider, "adjustment", Decimal("-17.30")))


def no_reference(loose: Loose, provider: str) -> str:
    """A sale that names nothing, of an amount that nobody expects; free of fees."""
    made = loose.put(provider, "sale", UNHEARD_OF + loose.count)
    planted(made)
    if provider == COD:  # its id would be something to ask by
        made.id = ""
    return {ADYEN: made.id, COD: f"{made.gross:f}"}.get(provider, made.line_ref)


def fee_unknown(loose: Loose, provider: str) -> str:
    """A fee in words that were not agreed."""
    made = loose.put(provider, "fee", Decimal("-9.90"), words=f"Premium insights {loose.count:04d}")
    made.type = "T0104" if provider == PAYPAL else ""
    return planted(made)


def tax_withheld(loose: Loose, provider: str) -> str:
    """Tax that this provider must not keep."""
    return planted(loose.put(provider, "tax_withheld", Decimal("-12.60")))


def topup_not_in_bank(loose: Loose, provider: str) -> str:
    """A top-up that our bank knows nothing of."""
    return planted(loose.topup(provider))


def monthly_fee_twice(loose: Loose, provider: str) -> str:
    """The fee of a month again on the same day."""
    own = [one for one in loose.monthly if one.provider == provider and not one.is_planted]
    if not own:
        raise NotEnough("months", "monthly_fee_twice", provider)
    first = own[0]
    first.is_planted = True
    return planted(loose.put(provider, "fee", first.gross, first.at, first.words))


class NotEnough(ValueError):
    """There are too few orders or payouts for so many faults."""

    def __init__(self, what: str, kind: str, provider: str) -> None:
        super().__init__(
            f"too few {what} of {provider} to plant {kind}; give more orders or plant fewer of each"
        )


def planted(move: Move) -> str:
    """Mark a line as planted, and answer what the finding's subject contains."""
    move.is_planted = True
    return move.id if move.provider == ADYEN else move.line_ref


LOOSE_FAULTS = (
    LooseFault("type_unknown", "type_unknown", (STRIPE, PAYPAL, ADYEN, COD), type_unknown),
    LooseFault(
        "adjustment_unexplained",
        "adjustment",
        (STRIPE, PAYPAL, ADYEN, COD),
        adjustment_unexplained,
    ),
    LooseFault("no_reference", "no_reference", (STRIPE, ADYEN, COD), no_reference),
    LooseFault("fee_unknown", "fee_unknown", (STRIPE, PAYPAL, ADYEN), fee_unknown),
    LooseFault("tax_withheld", "tax_withheld", (COD,), tax_withheld),
    LooseFault(
        "topup_not_in_bank", "topup_not_in_bank", (STRIPE, PAYPAL, ADYEN), topup_not_in_bank
    ),
    LooseFault("monthly_fee_twice", "fee_doubled", (STRIPE, ADYEN), monthly_fee_twice),
)
