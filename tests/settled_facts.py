"""Facts of money for tests: orders, what is expected of them, what was settled and matched.

They are collected as plain rows and put into the core tables at once, past every step.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection

from resources.store.frames import copy_rows

Row = dict[str, Any]
#: In the middle of the month that most tests ask for.
MARCH = datetime(2017, 3, 15, 12, tzinfo=UTC)
ZERO = Decimal(0)


def money(said: str | int | Decimal) -> Decimal:
    """An amount, from text."""
    return Decimal(said)


@dataclass
class Facts:
    """Rows by table, in the order in which they must be put."""

    tables: dict[str, list[Row]] = field(
        default_factory=lambda: {name: [] for name in ORDER_OF_TABLES}
    )
    first_match: int = 1
    matches: int = 0

    def order(
        self,
        ref: str,
        *,
        gross: str = "0",
        discount: str = "0",
        shipping: str = "0",
        fee: str = "0",
        gift_card: str = "0",
        tax: str = "0",
        rounding: str = "0",
        currency: str = "USD",
        at: datetime = MARCH,
    ) -> str:
        """An order of one product; `discount` and `gift_card` are positive."""
        store, _, number = ref.partition(":")
        net = money(gross) - money(discount)
        fees = money(fee) - money(gift_card)
        parts = (net, money(shipping), fees, money(tax), money(rounding))
        self.put(
            "core.orders",
            order_ref=ref,
            store=store,
            order_id=number,
            order_number=number,
            state="paid",
            shop_status="processing",
            currency=currency,
            prices_include_tax=False,
            placed_at=at,
            changed_at=at,
            net_amount=net,
            shipping_amount=money(shipping),
            fee_amount=fees,
            tax_amount=money(tax),
            discount_amount=money(discount),
            rounding_amount=money(rounding),
            total_amount=sum(parts, ZERO),
            refunded_amount=ZERO,
            raw_version=1,
        )
        self._order_line(ref, "product", "Tea", money(gross), net, currency)
        for words, amount in (("Rush", money(fee)), ("Gift card GC-1", -money(gift_card))):
            if amount:
                self._order_line(ref, "fee", words, amount, amount, currency)
        return ref

    def _order_line(
        self, ref: str, kind: str, words: str, subtotal: Decimal, net: Decimal, currency: str
    ) -> None:
        place = len(self.tables["core.order_lines"])
        self.put(
            "core.order_lines",
            line_ref=f"{ref}:{kind}:{place}",
            order_ref=ref,
            kind=kind,
            position=place,
            description=words,
            quantity=Decimal(1),
            currency=currency,
            subtotal_amount=subtotal,
            net_amount=net,
            tax_amount=ZERO,
        )

    def payment(
        self,
        ref: str,
        amount: str | Decimal,
        *,
        kind: str = "capture",
        order: str | None = None,
        store: str | None = "us",
        provider: str = "stripe_us",
        currency: str = "USD",
        at: datetime = MARCH,
        is_void: bool = False,
    ) -> str:
        """What is expected to be settled; `amount` is signed."""
        self.put(
            "core.payments",
            payment_ref=ref,
            kind=kind,
            order_ref=order,
            store=store,
            provider=provider,
            amount=money(amount),
            currency=currency,
            expected_at=at,
            source="order",
            is_void=is_void,
        )
        return ref

    def line(
        self,
        ref: str,
        gross: str | Decimal,
        *,
        kind: str = "sale",
        fee: str | Decimal = "0",
        fee_tax: str | Decimal = "0",
        provider: str = "stripe_us",
        currency: str = "USD",
        at: datetime = MARCH,
        **more: Any,
    ) -> str:
        """A settled line; a cost in `fee` is positive."""
        net = money(gross) - money(fee) - money(fee_tax)
        self.put(
            "core.settlement_lines",
            line_ref=ref,
            provider=provider,
            kind=kind,
            currency=currency,
            gross_amount=money(gross),
            fee_amount=money(fee),
            fee_tax_amount=money(fee_tax),
            net_amount=net,
            occurred_at=at,
            description=kind,
            told_by="file",
            file_line=1,
            **more,
        )
        return ref

    def bank(self, ref: str, amount: str | Decimal, *, currency: str = "USD") -> str:
        """A booked entry of a bank statement."""
        self.put(
            "core.bank_lines",
            bank_line_ref=ref,
            account="main",
            statement_ref="main:1",
            booked_on=(MARCH + timedelta(days=2)).date(),
            amount=money(amount),
            currency=currency,
            description="",
            is_reversal=False,
            file_name="bank.xml",
            file_line=1,
        )
        return ref

    def match(
        self,
        settled: Sequence[str] = (),
        expected: Sequence[str] = (),
        bank: Sequence[str] = (),
        *,
        is_live: bool = True,
    ) -> int:
        """A match of things by their keys."""
        number = self.first_match + self.matches
        self.matches += 1
        ended = {} if is_live else {"ended_at": MARCH, "ended_by": "olga", "end_reason": "wrong"}
        self.put(
            "core.matches",
            match_id=number,
            provider="stripe_us",
            rule="exact",
            reason="by the payment's id",
            difference_amount=ZERO,
            currency="USD",
            matched_at=MARCH,
            matched_by="rules",
            **ended,
        )
        for side, refs in (("settled", settled), ("expected", expected), ("bank", bank)):
            table, key, amount = SIDES[side]
            held = {row[key]: row for row in self.tables[table]}
            for ref in refs:
                self.put(
                    "core.match_items",
                    match_id=number,
                    side=side,
                    ref=ref,
                    amount=held[ref][amount],
                    currency=held[ref]["currency"],
                    is_live=is_live,
                )
        return number

    def open_item(self, ref: str, finding: str, amount: str, **more: Any) -> None:
        """Something that waits."""
        self.put(
            "core.open_items",
            **{
                "side": "settled",
                "ref": ref,
                "finding": finding,
                "detail": "",
                "provider": "stripe_us",
                "amount": money(amount),
                "currency": "USD",
                "since": MARCH,
                "is_waiting": False,
                "found_at": MARCH,
                **more,
            },
        )

    def sold(self, number: int, gross: str, *, at: datetime = MARCH, **line: Any) -> str:
        """A plain order, paid, settled and matched; answers the line's key."""
        order = self.order(f"us:{number}", gross=gross, at=at)
        paid = self.payment(f"{order}:capture", gross, order=order, at=at)
        settled = self.line(f"stripe_us:txn_{number}", gross, at=at, **line)
        self.match([settled], [paid])
        return settled

    def put(self, table: str, **row: Any) -> None:
        """Collect a row."""
        self.tables[table].append(row)

    def store(self, connection: Connection) -> None:
        """Put all of it into the database."""
        for table, found in self.tables.items():
            if found:
                names = sorted({name for row in found for name in row})
                values = [[row.get(name) for name in names] for row in found]
                copy_rows(connection, table, names, values)


ORDER_OF_TABLES = (
    *("core.orders", "core.order_lines", "core.payments", "core.settlement_lines"),
    *("core.bank_lines", "core.matches", "core.match_items", "core.open_items", "core.payouts"),
    *("ops.exception", "core.journal_entries", "core.journal_lines", "core.journal_sources"),
)
#: Table, key and amount of each side of a match.
SIDES = {
    "settled": ("core.settlement_lines", "line_ref", "net_amount"),
    "expected": ("core.payments", "payment_ref", "amount"),
    "bank": ("core.bank_lines", "bank_line_ref", "amount"),
}
