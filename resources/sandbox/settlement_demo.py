"""What the demo's providers settle of the orders that were paid in its stores: report files and
bank statements in the words of `settlement_stripe` and the others, under the contracts of
`settlement_terms`, with a few faults. The same orders give the same bytes.

Of each provider one customer disputes a payment, and a fee is taken each month. What a shop gave
back is given back here; anything else that may happen to money is for the generated year.
"""

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal

from resources.sandbox import (
    settlement_adyen,
    settlement_bank,
    settlement_paypal,
    settlement_stripe,
)
from resources.sandbox.settlement_bank import Entry, book, entries_of, other_entries
from resources.sandbox.settlement_facts import Files, Move, Planted, RateFact, Transfer
from resources.sandbox.settlement_payouts import payouts
from resources.sandbox.settlement_terms import (
    ADYEN,
    BANKS,
    DAY,
    MARGIN,
    PAYPAL,
    PROVIDERS,
    STRIPE,
    Rates,
    contract,
)
from resources.sandbox.shop_order import cents

SEED = 0
NAMES = (STRIPE, PAYPAL, ADYEN)
PROVIDER_OF = {PROVIDERS[name].store: name for name in NAMES}
WRITERS = {STRIPE: settlement_stripe, ADYEN: settlement_adyen}
#: A fault is planted in nothing cheaper, so that it stays one after fees.
LEAST_TOTAL = Decimal(9)
#: Above this, a change of currency loses no more by cents than a rate may be off.
LEAST_CONVERTED = Decimal(2)
CENT_OFF, SHORT, FEE_ABOVE = Decimal("0.01"), Decimal("2.00"), Decimal("1.00")
MONTHLY_FEE = {STRIPE: "49.00", PAYPAL: "20.00", ADYEN: "35.00"}
DISPUTED_AFTER = timedelta(days=12)
RATES_BEFORE, RATES_AFTER = timedelta(days=10), timedelta(days=60)
#: What a tolerance ends is matched by this rule, and is no finding.
BY_TOLERANCE = "tolerance"


@dataclass(frozen=True, slots=True)
class Paid:
    """An order that a customer paid."""

    order_ref: str
    store: str
    number: str
    payment: str | None
    total: Decimal
    currency: str
    at: datetime
    #: Nothing was given back of it.
    is_plain: bool

    @property
    def provider(self) -> str:
        """Whose it is to settle."""
        return PROVIDER_OF[self.store]


@dataclass(frozen=True, slots=True)
class GivenBack:
    """A refund of the shop."""

    refund_ref: str
    order_ref: str
    amount: Decimal
    at: datetime


@dataclass
class Settled:
    """The files, what was planted in them, and the rates they were made with."""

    files: Files
    planted: list[Planted]
    rates: list[RateFact]


def settle(paid: Sequence[Paid], given: Iterable[GivenBack]) -> Settled:
    """Settle orders and refunds, pay out, and let the banks tell."""
    maker = _Maker(paid)
    maker.sell(given)
    transfers = [one for name in NAMES for one in maker.pay_out(name)]
    maker.lose(transfers)
    maker.bank(transfers)
    return Settled(maker.files, maker.planted, maker.rates.facts())


@dataclass
class _Maker:
    """Makes the files, step by step."""

    paid: Sequence[Paid]
    moves: dict[str, list[Move]] = field(default_factory=lambda: defaultdict(list))
    files: Files = field(default_factory=lambda: defaultdict(list))
    planted: list[Planted] = field(default_factory=list)

    def __post_init__(self) -> None:
        days = [one.at.date() for one in self.paid]
        self.span = min(days), max(days)
        self.rates = Rates(SEED, self.span[0] - RATES_BEFORE, self.span[1] + RATES_AFTER)

    # ------------------------------------------------------------ what is settled

    def sell(self, given: Iterable[GivenBack]) -> None:
        """Settle each order, with its fault where it was chosen for one."""
        chosen = self._chosen()
        for one in self.paid:
            chosen.get(one.order_ref, _sale)(self, one)
        orders = {one.order_ref: one for one in self.paid}
        for back in given:
            if back.order_ref in orders:
                _give_back(self, orders[back.order_ref], back)
        for name in NAMES:
            self._bill(name)

    def _chosen(self) -> dict[str, "Act"]:
        """Which orders have what; of few orders some faults are left out."""
        pools = {name: self._pool(name) for name in NAMES}
        chosen: dict[str, Act] = {}
        for name, act in (*FAULTS, *((name, _dispute) for name in NAMES)):
            pool = pools[name] or max(pools.values(), key=len)
            if pool and not (act is _dispute and not pools[name]):
                chosen[pool.pop().order_ref] = act
        return chosen

    def _pool(self, name: str) -> list[Paid]:
        plain = [
            one
            for one in self.paid
            if one.provider == name
            and one.is_plain
            and one.total >= LEAST_TOTAL
            and one.currency == PROVIDERS[name].currency
        ]
        return sorted(plain, key=lambda one: _mixed(one.order_ref))

    def line(
        self, one: Paid, kind: str, amount: Decimal, at: datetime, place: str, fee: Decimal | None
    ) -> Move:
        """Put a line of an order, changed into the account's currency as the provider does it."""
        name, own = one.provider, PROVIDERS[one.provider].currency
        move = Move(name, kind, _id(one, place), at, own, amount)
        if one.currency != own and name == PAYPAL:
            move.currency = one.currency
        elif one.currency != own:
            rate = self._rate(one, amount, at)
            move.gross, move.paid = cents(amount * rate), (amount, one.currency, rate)
        agreed = contract(name, move.currency, at.date()).fee(kind, move.gross)
        move.fee = agreed if fee is None else agreed + fee
        _name(move, one)
        self.moves[name].append(move)
        if move.currency != own:
            self._convert(move, one)
        return move

    def _rate(self, one: Paid, amount: Decimal, at: datetime) -> Decimal:
        own = PROVIDERS[one.provider].currency
        margin = MARGIN if abs(amount) >= LEAST_CONVERTED else 1
        rate = self.rates.rate(at.date(), one.currency, own)
        return (rate * margin).quantize(Decimal("0.000001"))

    def _convert(self, move: Move, one: Paid) -> None:
        """PayPal's two sides of a change into the account's currency."""
        changed = cents(move.net * self._rate(one, move.net, move.at))
        sides = (move.currency, -move.net), (PROVIDERS[PAYPAL].currency, changed)
        for place, (currency, amount) in enumerate(sides):
            side = Move(PAYPAL, "conversion", f"{move.id}C{place}", move.at, currency, amount)
            side.group = side.movement = move.id
            self.moves[PAYPAL].append(side)

    def _bill(self, name: str) -> None:
        """Take the fee of each month, an hour after the last sale in it."""
        last: dict[str, datetime] = {}
        for move in self.moves[name]:
            if move.kind == "sale":
                month = f"{move.at:%Y-%m}"
                last[month] = max(move.at, last.get(month, move.at))
        for month, at in last.items():
            words = {
                STRIPE: f"Radar ({month}): Standard",
                ADYEN: f"Transaction Fees {month}",
            }.get(name, "")
            key = {STRIPE: f"txn_fee_{month}", PAYPAL: f"7PF{month}", ADYEN: words}[name]
            amount = -Decimal(MONTHLY_FEE[name])
            when = at + timedelta(hours=1)
            currency = PROVIDERS[name].currency
            self.moves[name].append(Move(name, "fee", key, when, currency, amount, words=words))

    def plant(self, kind: str, finding: str, ref: str) -> None:
        """Remember a fault."""
        self.planted.append(Planted(kind, finding, ref))

    # ------------------------------------------------------------ what is paid out

    def pay_out(self, name: str) -> list[Transfer]:
        """Write a provider's files, and answer what it sends to the bank."""
        moves = self.moves[name]
        if not moves:
            return []
        if name == PAYPAL:
            said = settlement_paypal.statements(moves)
            transfers = settlement_paypal.withdraw(said)
            self.files[name] = [settlement_paypal.report(one) for one in said]
            return transfers
        made = payouts(name, moves)
        self.files[name] = [WRITERS[name].report(one) for one in made]
        return [
            Transfer(name, one.id, one.bank_reference, one.amount, one.day)
            for one in made
            if one.amount
        ]

    def lose(self, transfers: Sequence[Transfer]) -> None:
        """Let one payout never reach the bank: the smallest one of Stripe's, if it has any."""
        sent = [one for one in transfers if one.amount > 0]
        if not sent:
            return
        lost = min(sent, key=lambda one: (one.provider != STRIPE, one.amount, one.id))
        lost.fault = "payout_not_in_bank"
        self.plant("payout_not_in_bank", "payout_not_in_bank", lost.id)

    def bank(self, transfers: Sequence[Transfer]) -> None:
        """Write the statements of every account that something is paid to."""
        entries: list[Entry] = [entry for one in transfers for entry in entries_of(one)]
        accounts = {PROVIDERS[name].bank for name in NAMES if self.moves[name]}
        last = max((entry.day for entry in entries), default=self.span[1])
        others = other_entries(self.span[0], last, SEED)
        for name, days in book([*entries, *others]).items():
            if name not in accounts:
                continue
            if BANKS[name].kind == "csv":
                weeks = settlement_bank.weeks(days)
                self.files[name] = [settlement_bank.csv_week(week) for week in weeks]
            else:
                self.files[name] = [settlement_bank.camt(one) for one in days]


Act = Callable[[_Maker, Paid], None]


# What may happen to an order


def _sale(maker: _Maker, one: Paid) -> None:
    maker.line(one, "sale", one.total, one.at, "", None)


def _give_back(maker: _Maker, one: Paid, back: GivenBack) -> None:
    """Whatever the shop says, no money goes back before it came."""
    at, place = max(back.at, one.at + DAY), back.refund_ref.partition(":")[2]
    maker.line(one, "refund", -back.amount, at, f"R{place}", None)


def _dispute(maker: _Maker, one: Paid) -> None:
    """Sold as any other, and taken back by the customer's bank."""
    _sale(maker, one)
    at = one.at + DISPUTED_AFTER
    made = maker.line(one, "chargeback", -one.total, at, "D", None)
    if one.provider == PAYPAL:
        amount = -contract(PAYPAL, one.currency, at.date()).dispute_fee
        fee = Move(PAYPAL, "fee", f"{made.id}F", at, one.currency, amount)
        fee.group, fee.movement = made.id, fee.id
        fee.reference = one.number
        maker.moves[PAYPAL].append(fee)


def _cent_off(maker: _Maker, one: Paid) -> None:
    made = maker.line(one, "sale", one.total - CENT_OFF, one.at, "", None)
    maker.plant("sale_cent_off", BY_TOLERANCE, _key(made))


def _short(maker: _Maker, one: Paid) -> None:
    made = maker.line(one, "sale", one.total - SHORT, one.at, "", None)
    maker.plant("sale_short", "amount_short", _key(made))


def _twice(maker: _Maker, one: Paid) -> None:
    _sale(maker, one)
    again = maker.line(one, "sale", one.total, one.at + timedelta(minutes=5), "T", None)
    maker.plant("sale_twice", "doubled", _key(again))


def _ghost(maker: _Maker, one: Paid) -> None:
    """Sold as it should be; and another sale like it, of an order that no shop has."""
    _sale(maker, one)
    ghost = replace(
        one,
        order_ref=f"{one.store}:unknown",
        number="99999999",
        payment="payment-of-nobody",
    )
    made = maker.line(ghost, "sale", ghost.total, ghost.at, "", None)
    maker.plant("order_unknown", "order_unknown", _key(made))


def _dear(maker: _Maker, one: Paid) -> None:
    made = maker.line(one, "sale", one.total, one.at, "", FEE_ABOVE)
    maker.plant("fee_high", "fee_over", _key(made))


#: Where each is planted, as long as that provider has orders left.
FAULTS: Sequence[tuple[str, Act]] = (
    (STRIPE, _cent_off),
    (PAYPAL, _short),
    (ADYEN, _twice),
    (STRIPE, _ghost),
    (ADYEN, _dear),
)


# Names


def _id(one: Paid, place: str) -> str:
    """An id of a line that nothing else has, in the provider's manner."""
    key = one.order_ref.partition(":")[2].upper()
    return {
        STRIPE: f"txn_{key}{place}",
        PAYPAL: one.payment if one.payment and not place else f"7P{key}{place}",
        ADYEN: f"MOD{key}{place}",
    }[one.provider]


def _name(move: Move, one: Paid) -> None:
    """Payment, group and movement, as each provider writes them."""
    move.payment, move.reference = one.payment or move.id, one.number
    if move.provider == STRIPE:
        move.group = f"pi_{one.number}"
        move.movement = move.payment if move.kind == "sale" else move.id.replace("txn", "mv")
        return
    move.movement = move.id
    move.group = "" if move.provider == PAYPAL else move.payment


def _key(move: Move) -> str:
    """What the key of its line contains."""
    return move.id if move.provider == ADYEN else move.line_ref


def _mixed(ref: str) -> str:
    return hashlib.sha256(ref.encode()).hexdigest()


def rates_csv(rates: Iterable[RateFact]) -> Mapping[str, bytes]:
    """Rates as files, one for each company's currency."""
    rows: dict[str, list[str]] = defaultdict(lambda: ["day,currency,rate"])
    for one in rates:
        rows[one.company_currency].append(f"{one.day},{one.currency},{one.rate}")
    return {name: ("\n".join(said) + "\n").encode() for name, said in rows.items()}


def months(paid: Iterable[Paid]) -> Iterator[tuple[str, str, int]]:
    """Provider, month and orders in it, the most first."""
    counts: dict[tuple[str, str], int] = defaultdict(int)
    for one in paid:
        counts[one.provider, f"{one.at:%Y-%m}"] += 1
    for (name, month), count in sorted(counts.items(), key=lambda pair: (-pair[1], pair[0])):
        yield name, month, count
