"""A year of payments made from shop orders: report files of three providers and of cash on
delivery, statements of their banks, and what shop, books and webhooks know of it; clean to the
cent, with faults on request. The same orders and seed give the same bytes.

Signs and amounts are those of `settlement_facts`, contracts and banks those of `settlement_terms`.
Files go on for some months after the last order, until disputes and reserves are over.

A fault's own function says what else it touches. A payout in which a single line is planted still
is the sum of its lines; faults of payouts, statements and files are in ones of their own.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from itertools import chain
from random import Random

from resources.sandbox import (
    settlement_adyen,
    settlement_bank,
    settlement_cod,
    settlement_paypal,
    settlement_stripe,
)
from resources.sandbox.settlement_bank import Day, Entry, book, entries_of, other_entries
from resources.sandbox.settlement_bank_faults import (
    BANK_FAULTS,
    FILE_FAULTS,
    File,
    Spoiler,
    lose,
    unbalance,
    unknown_credits,
)
from resources.sandbox.settlement_facts import Files, OrderFact, Payout, Planted, Total, Year
from resources.sandbox.settlement_faults import HOLD_FAULTS, NO_INVOICE, ORDER_FAULTS, Fault
from resources.sandbox.settlement_loose import LOOSE_FAULTS, Loose, NotEnough
from resources.sandbox.settlement_orders import Sold, payment_id, sold
from resources.sandbox.settlement_payout_faults import (
    OF_THE_BANK,
    PAYOUT_FAULTS,
    Desk,
    never_released,
    plant,
    released_above,
)
from resources.sandbox.settlement_payouts import DAY_OF, hold_reserves, payouts
from resources.sandbox.settlement_stories import Books, Story, ordinary
from resources.sandbox.settlement_terms import (
    ADYEN,
    BANKS,
    COD,
    CONTRACTS,
    DAY,
    PAYPAL,
    PROVIDERS,
    STRIPE,
    Contract,
    Rates,
    Span,
)
from resources.sandbox.shop_order import ShopOrder

__all__ = ["ALL_KINDS", "CONTRACTS", "Contract", "NotEnough", "Planted", "Year", "year"]

#: Every kind of fault that can be planted.
ALL_KINDS = (
    *(one.kind for one in ORDER_FAULTS),
    *(one.kind for one in LOOSE_FAULTS),
    *HOLD_FAULTS,
    *(one.kind for one in PAYOUT_FAULTS),
    *BANK_FAULTS,
    *FILE_FAULTS,
)
WRITERS = {STRIPE: settlement_stripe, ADYEN: settlement_adyen, COD: settlement_cod}
#: The first orders have what came before them in the year, the last ones what comes after.
MARGIN_BEFORE, MARGIN_AFTER = timedelta(days=5), timedelta(days=30)
RATES_BEFORE, RATES_AFTER = timedelta(days=10), timedelta(days=150)
LEAST_TOTAL, FIRST_GHOST = 9, 900_001


def year(
    orders: Iterable[ShopOrder],
    seed: int,
    planted_each: int = 0,
    kinds: Sequence[str] = ALL_KINDS,
) -> Year:
    """Make a year of `orders`, in the order of time, with so many faults of each kind."""
    unknown = sorted(set(kinds) - set(ALL_KINDS))
    if unknown:
        raise ValueError(f"{unknown[0]!r} is no kind of fault; known: {', '.join(ALL_KINDS)}")
    return _Maker(list(sold(orders, seed)), seed, planted_each, kinds).make()


class _Maker:
    """Makes one year, step by step."""

    def __init__(self, sales: list[Sold], seed: int, times: int, kinds: Sequence[str]) -> None:
        if not sales:
            raise ValueError("there are no orders to make a year of")
        self.sales, self.seed, self.times, self.kinds = sales, seed, times, set(kinds)
        placed = [one.fact.placed_at for one in sales]
        self.span = Span(min(placed), max(placed))
        first, last = self.span.first - RATES_BEFORE, self.span.last + RATES_AFTER
        self.books = Books(Rates(seed, first.date(), last.date()))
        self.loose = Loose(self.books, self.span, seed)
        self.files: dict[str, list[File]] = defaultdict(list)
        self.totals: dict[tuple[str, str], Total] = defaultdict(Total)
        #: Files in which something of a payout or statement is planted: they stay whole.
        self.spoilt: set[str] = set()

    def make(self) -> Year:
        """Tell the stories, pay out, book at the banks, write the files."""
        self._tell()
        desk = self._pay_out()
        transfers = desk.transfers()
        self._write(desk)
        entries = [
            entry for one in (*transfers, *self.loose.transfers) for entry in entries_of(one)
        ]
        self._bank(desk, entries)
        self._spoil()
        books = self.books
        return Year(
            orders=[one.fact for one in self.sales],
            refunds=books.refunds,
            events=books.events,
            invoices=books.invoices,
            rates=books.rates.facts(),
            files=self._in_order(),
            planted=books.planted,
            totals=dict(sorted(self.totals.items())),
        )

    def _wanted(self, kind: str) -> int:
        return self.times if kind in self.kinds else 0

    # ------------------------------------------------------------ orders

    def _tell(self) -> None:
        """Tell each order's story, the ordinary one or that of its fault."""
        chosen, ghosts = self._chosen()
        for one in self.sales:
            fault = chosen.get(one.fact.order_ref)
            if fault is None:
                ordinary(Story(one, self.books, self.seed))
            else:
                self._plant(one, fault)
        for one, fault in ghosts:
            self._plant(one, fault)
        self.loose.clean()
        for kind in LOOSE_FAULTS:
            for place in range(self._wanted(kind.kind)):
                provider = kind.providers[place % len(kind.providers)]
                self.books.plant(kind.kind, kind.finding, kind.act(self.loose, provider))

    def _plant(self, one: Sold, fault: Fault) -> None:
        other = {ADYEN: COD, COD: ADYEN}.get(one.provider)
        story = Story(
            one, self.books, self.seed, other if fault.kind == "sale_other_provider" else None
        )
        story.is_planted = True
        self.books.plant(fault.kind, fault.finding, fault.act(story))
        if fault.kind not in NO_INVOICE:
            story.invoice()

    def _chosen(self) -> tuple[dict[str, Fault], list[tuple[Sold, Fault]]]:
        """Which order has which fault, and orders that nobody knows."""
        chosen: dict[str, Fault] = {}
        ghosts: list[tuple[Sold, Fault]] = []
        if not self.times:
            return chosen, ghosts
        pools = self._pools()
        for fault, place in self._order_faults():
            provider = fault.providers[place % len(fault.providers)]
            pool = pools[provider, fault.is_foreign]
            if not pool:
                raise NotEnough("orders", fault.kind, provider)
            one = pool.pop()
            if fault.is_ghost:
                ghosts.append((_ghost(one, FIRST_GHOST + len(ghosts)), fault))
            else:
                chosen[one.fact.order_ref] = fault
        return chosen, ghosts

    def _order_faults(self) -> Iterator[tuple[Fault, int]]:
        for fault in ORDER_FAULTS:
            for place in range(self._wanted(fault.kind)):
                yield fault, place
        for kind, fault in HOLD_FAULTS.items():
            for place in range(0, self._wanted(kind), 2):
                yield fault, place

    def _pools(self) -> dict[tuple[str, bool], list[Sold]]:
        """Orders that a fault may have, by provider and whether they are paid in its currency."""
        pools: dict[tuple[str, bool], list[Sold]] = defaultdict(list)
        first, last = self.span.first + MARGIN_BEFORE, self.span.last - MARGIN_AFTER
        for one in self.sales:
            fact = one.fact
            is_plain = fact.state == "completed" and fact.paid_at and not one.refunds
            if is_plain and fact.total >= LEAST_TOTAL and first <= fact.placed_at <= last:
                pools[one.provider, one.is_foreign].append(one)
        for key in sorted(pools):
            Random(f"{self.seed}:pool:{key}").shuffle(pools[key])  # noqa: S311
        return pools

    # ------------------------------------------------------------ payouts

    def _pay_out(self) -> Desk:
        moves = self.books.moves
        made = {name: payouts(name, moves.pop(name, [])) for name in DAY_OF}
        reserves = hold_reserves(made[ADYEN])
        own = moves.pop(PAYPAL, [])
        paypal = settlement_paypal.statements(own) if own else []
        dice = Random(f"{self.seed}:desk")  # noqa: S311
        desk = Desk(self.books, made, paypal, reserves, dice)
        for kind, act in (
            ("reserve_never_released", never_released),
            ("reserve_released_above", released_above),
        ):
            for _ in range(1, self._wanted(kind), 2):
                self.books.plant(kind, HOLD_FAULTS[kind].finding, act(desk))
        for fault in PAYOUT_FAULTS:
            plant(desk, fault, self._wanted(fault.kind))
        return desk

    def _write(self, desk: Desk) -> None:
        """Write the files of each provider, and count what they come to."""
        for name, made in desk.payouts.items():
            for payout in made:
                self._count(name, payout)
                file = File(payout.day, *WRITERS[name].report(payout))
                self._keep(name, file, bool(payout.fault))
            self._correct(name, made)
            made.clear()
        for one in desk.paypal:
            for move in one.moves:
                total = self.totals[PAYPAL, move.currency]
                if move.kind == "payout":
                    total.payouts -= move.gross
                else:
                    total.add(move)
            is_planted = bool(one.fault) or one.day in desk.withdrawals
            self._keep(PAYPAL, File(one.day + DAY, *settlement_paypal.report(one)), is_planted)

    def _keep(self, name: str, file: File, is_planted: bool) -> None:
        self.files[name].append(file)
        if is_planted:
            self.spoilt.add(file.name)

    def _count(self, name: str, payout: Payout) -> None:
        total = self.totals[name, payout.currency]
        for move in payout.moves:
            if not move.is_repeat:
                total.add(move)
        total.payouts += payout.amount

    def _correct(self, name: str, made: Sequence[Payout]) -> None:
        """Tell lines again, and otherwise, a week after they were told."""
        days = {one.day: one for one in made if one.fault != "payout_without_lines"}
        for number, move in enumerate(self.books.corrections.pop(name, []), 1):
            payout = days[DAY_OF[name](move)]
            file, content = WRITERS[name].correction([move], payout)
            stem, _, ending = file.rpartition(".")
            told = f"{stem}_{number}.{ending}"
            self._keep(name, File(payout.day + 7 * DAY, told, content), is_planted=True)

    # ------------------------------------------------------------ banks and files

    def _bank(self, desk: Desk, entries: list[Entry]) -> None:
        last = max(entry.day for entry in entries) if entries else self.span.last.date()
        entries += unknown_credits(desk, self.span, self._wanted("bank_credit_unknown"))
        others = other_entries(self.span.first.date(), last + 7 * DAY, self.seed)
        banks = book(chain(entries, others))
        findings = {
            fault.kind: fault.finding for fault in PAYOUT_FAULTS if fault.kind in OF_THE_BANK
        }
        for entry in entries:
            if entry.plant:
                finding = (findings | BANK_FAULTS)[entry.plant]
                self.books.plant(entry.plant, finding, entry.reference)
        unbalance(desk, banks, self._wanted("bank_statement_unbalanced"))
        lose(desk, banks, self._wanted("bank_statement_missing"))
        for name, said in banks.items():
            for file, own in _statements(name, said):
                busy = any(one.fault or (name, one.day) in desk.busy for one in own)
                self._keep(name, file, busy)

    def _spoil(self) -> None:
        for files in self.files.values():
            files.sort(key=lambda one: (one.day, one.name))
        spoiler = Spoiler(self.books, self.files, self.seed, self.spoilt)
        for kind in FILE_FAULTS:
            spoiler.spoil(kind, self._wanted(kind))

    def _in_order(self) -> Files:
        return {
            name: [(one.name, one.content) for one in self.files[name]]
            for name in (*PROVIDERS, *BANKS)
        }


def _ghost(one: Sold, number: int) -> Sold:
    """An order like another one, which no shop has."""
    fact: OrderFact = replace(
        one.fact,
        order_ref=f"{one.fact.store}:{number}",
        order_id=str(number),
        number=str(number),
        payment_ref=payment_id(one.provider, number),
    )
    return Sold(fact, one.provider, ())


def _statements(name: str, said: Sequence[Day]) -> Iterator[tuple[File, list[Day]]]:
    """The files of an account, each with the days that stand in it."""
    if BANKS[name].kind == "csv":
        for week in settlement_bank.weeks(said):
            yield File(week[-1].day, *settlement_bank.csv_week(week)), week
        return
    for one in said:
        if one.fault != "bank_statement_missing":
            yield File(one.day, *settlement_bank.camt(one)), [one]
