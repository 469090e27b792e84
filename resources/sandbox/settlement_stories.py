"""What happens to one order: captured at once or in parts, given back, disputed, held. A story puts
lines with its provider, and tells shop, books and webhooks what they know of it.
"""

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from random import Random

from resources.sandbox.settlement_facts import (
    EventFact,
    InvoiceFact,
    Move,
    OrderFact,
    Planted,
    RefundFact,
)
from resources.sandbox.settlement_orders import Sold
from resources.sandbox.settlement_terms import (
    ADYEN,
    COD,
    DAY,
    HOLD_DAYS,
    MARGIN,
    PAYPAL,
    PROVIDERS,
    STRIPE,
    Rates,
    contract,
)
from resources.sandbox.shop_order import cents

#: Parts of the year's orders that are captured twice, given back whole, disputed, held by PayPal,
#: whose refund fails, and that are named with a suffix.
IN_PARTS, GIVEN_BACK, DISPUTED, HELD, FAILED, SUFFIXED = 0.02, 0.012, 0.006, 0.01, 0.08, 0.05
WON = 0.45
LEAST_CONVERTED = Decimal("2.00")
FIRST_REFUND_ID = 5_000_000


@dataclass
class Books:
    """What all stories come to."""

    rates: Rates
    orders: list[OrderFact] = field(default_factory=list)
    refunds: list[RefundFact] = field(default_factory=list)
    events: list[EventFact] = field(default_factory=list)
    invoices: list[InvoiceFact] = field(default_factory=list)
    moves: dict[str, list[Move]] = field(default_factory=lambda: defaultdict(list))
    #: Lines that a later file tells otherwise.
    corrections: dict[str, list[Move]] = field(default_factory=lambda: defaultdict(list))
    planted: list[Planted] = field(default_factory=list)

    def plant(self, kind: str, finding: str, ref: str) -> None:
        """Remember a fault."""
        self.planted.append(Planted(kind, finding, ref))


class Story:
    """One order with one provider."""

    def __init__(self, sold: Sold, books: Books, seed: int, provider: str | None = None) -> None:
        self.order, self.refunds, self.books = sold.fact, sold.refunds, books
        self.terms = PROVIDERS[provider or sold.provider]
        self.name = self.terms.name
        self.dice = Random(f"{seed}:story:{self.order.order_ref}")  # noqa: S311
        self.number = int(self.order.number)
        self.lines = self.ids = 0
        suffix = ".1" if self.dice.random() < SUFFIXED else ""
        self.reference = f"{self.order.number}{suffix}"
        #: PayPal's authorisation or order, Stripe's intent; Adyen has one id for all.
        self.group = {STRIPE: f"pi_{self.number}", PAYPAL: f"7PO{self.number:014d}"}.get(
            self.name, self.order.payment_ref or ""
        )
        self.is_planted = False

    @property
    def begin(self) -> datetime:
        """When the money was taken."""
        return self.order.paid_at or self.order.placed_at

    @property
    def payment(self) -> str:
        """The id of the payment, which cash has not."""
        if self.name == COD:
            return ""
        return self.order.payment_ref or f"PSP9{self.number:012d}"

    # ------------------------------------------------------------ lines

    def line(self, kind: str, amount: Decimal, at: datetime, movement: str = "") -> Move:
        """Put a line of the order's own currency, with the fee of the contract."""
        return self.paid_line(kind, amount, self.order.currency, at, movement)

    def paid_line(
        self, kind: str, amount: Decimal, currency: str, at: datetime, movement: str = ""
    ) -> Move:
        """Put a line of what the customer paid or got, changed by the provider where need be."""
        settled, gross, paid = self.terms.currency, amount, None
        if currency != settled and self.name == PAYPAL:
            settled = currency
        elif currency != settled:
            rate = self._rate(at, currency)
            gross, paid = cents(amount * rate), (amount, currency, rate)
        agreed = contract(self.name, settled, at.date())
        fee = agreed.fee(kind, gross)
        made = self._put(
            Move(self.name, kind, "", at, settled, gross, fee, agreed.tax(fee), paid=paid), movement
        )
        if settled != self.terms.currency:
            self.convert(made)
        return made

    def convert(self, made: Move, is_whole: bool = True, margin: Decimal = MARGIN) -> Move:
        """Put PayPal's two sides of a change into the account's currency; answer the first one."""
        changed = cents(made.net * self._rate(made.at, made.currency, margin))
        sides = [(made.currency, -made.net)]
        if is_whole:
            sides.append((self.terms.currency, changed))
        put = [
            self._put(Move(self.name, "conversion", "", made.at, currency, amount), "")
            for currency, amount in sides
        ]
        for side in put:
            side.group, side.payment = made.id, ""
        return put[0]

    def _rate(self, at: datetime, currency: str, margin: Decimal = MARGIN) -> Decimal:
        rate = self.books.rates.rate(at.date(), currency, self.terms.currency)
        return (rate * margin).quantize(Decimal("0.000001"))

    def _put(self, move: Move, movement: str) -> Move:
        self.lines += 1
        move.id = self._line_id(move, movement)
        move.payment, move.group, move.reference = self.payment, self.group, self.reference
        move.movement = movement or move.id
        if self.name == PAYPAL:
            move.movement = move.id
        move.is_planted = self.is_planted
        self.books.moves[self.name].append(move)
        return move

    def _line_id(self, move: Move, movement: str) -> str:
        """Stripe numbers lines; elsewhere a movement's own id is the line's."""
        if self.name == STRIPE:
            return f"txn_{self.number}_{self.lines}"
        if self.name == PAYPAL and move.kind == "sale" and self.lines == 1 and not movement:
            return self.payment
        return movement or self.new_movement("")

    def new_movement(self, prefix: str) -> str:
        """An id that nothing else has, of a capture, refund or dispute; Stripe's begin so."""
        self.ids += 1
        if self.name == STRIPE:
            return f"{prefix}_{self.number}" + (f"_{self.ids}" if self.ids > 1 else "")
        if self.name == COD:
            return f"NN{self.number}-{self.ids}"
        if self.name == ADYEN:
            return f"MOD{self.number:010d}{self.ids:03d}"
        return f"7PL{self.number:011d}{self.ids:03d}"

    # ------------------------------------------------------------ what happens

    def sale(self, amount: Decimal | None = None, at: datetime | None = None) -> Move:
        """Settle the order, or another amount of it."""
        movement = self.payment if self.name == STRIPE else ""
        value = self.order.total if amount is None else amount
        return self.line("sale", value, at or self.begin, movement)

    def capture(self, place: int, amount: Decimal, at: datetime) -> Move:
        """Take a part of the order: an event of its own, and a line."""
        movement = f"{self.payment}_c{place}" if self.name == STRIPE else self.new_movement("")
        if self.name == PAYPAL and place == 1:
            # The shop keeps the authorisation's id where captures follow it.
            self.order.payment_ref = self.group
        made = self.line("sale", amount, at, movement)
        payment = made.id if self.name == PAYPAL else self.payment
        if self.name == PAYPAL:
            made.payment = payment
        self.event("captured", amount, at, movement, payment)
        return made

    def refund(self, amount: Decimal, at: datetime) -> tuple[RefundFact, Move]:
        """Give money back, in the shop and with the provider."""
        movement = self.new_movement("re")
        return self.shop_refund(amount, at, movement), self.line("refund", -amount, at, movement)

    def shop_refund(self, amount: Decimal, at: datetime, movement: str) -> RefundFact:
        """Let the shop know a refund."""
        place = len(self.books.refunds) + FIRST_REFUND_ID
        fact = RefundFact(
            refund_ref=f"{self.order.store}:{place}",
            order_ref=self.order.order_ref,
            amount=amount,
            currency=self.order.currency,
            provider_ref=movement,
            refunded_at=at,
            state="confirmed",
        )
        self.books.refunds.append(fact)
        self.order.changed_at = max(self.order.changed_at, at)
        if amount == self.order.total:
            self.order.state = "refunded"
        return fact

    def fail(self, fact: RefundFact, made: Move) -> Move:
        """Let a refund come back some days later."""
        at = fact.refunded_at + DAY * self.dice.randint(3, 6)
        fact.state, fact.failed_at, self.order.state = "failed", at, "completed"
        self.event("refund_failed", fact.amount, at, made.movement)
        return self.line("refund_failed", fact.amount, at, made.movement)

    def dispute(self, at: datetime, is_told: bool = True) -> Move:
        """Let the customer's bank take the money back."""
        movement = self.new_movement("dp")
        self.event("dispute_opened", self.order.total, at, movement)
        made = self.line("chargeback", -self.order.total, at + DAY, movement)
        if is_told:
            self.event("chargeback", self.order.total, made.at, made.movement)
        if self.name == PAYPAL:
            self.fee(made)
        return made

    def fee(self, dispute: Move) -> Move:
        """PayPal's fee of a dispute, which stands by itself and names the dispute."""
        amount = contract(PAYPAL, dispute.currency, dispute.at.date()).dispute_fee
        move = Move(self.name, "fee", "", dispute.at, dispute.currency, -amount)
        made = self._put(move, "")
        made.group, made.payment = dispute.id, ""
        return made

    def win(self, made: Move, amount: Decimal | None = None, is_told: bool = True) -> Move:
        """Get the money of a dispute back."""
        at = made.at + DAY * self.dice.randint(14, 40)
        value = self.order.total if amount is None else amount
        movement = self.new_movement("") if self.name == PAYPAL else made.movement
        self.event("dispute_won", value, at, movement)
        back = self.line("chargeback_reversed", value, at, movement)
        if is_told:
            self.event("chargeback_reversed", value, at, back.movement)
        return back

    def lose(self, made: Move) -> None:
        """Lose a dispute: nothing moves any more."""
        at = made.at + DAY * self.dice.randint(14, 40)
        self.event("dispute_lost", self.order.total, at, made.movement)

    def hold(self) -> Move:
        """PayPal keeps a sale for a while."""
        at = self.begin + timedelta(minutes=5)
        return self._put(Move(self.name, "reserve_held", "", at, "GBP", -self.order.total), "")

    def release(self, amount: Decimal, minutes: int = 0) -> Move:
        """And lets it go."""
        at = self.begin + DAY * HOLD_DAYS + timedelta(minutes=minutes)
        return self._put(Move(self.name, "reserve_released", "", at, "GBP", amount), "")

    def event(
        self, kind: str, amount: Decimal, at: datetime, movement: str, payment: str | None = None
    ) -> None:
        """Let the provider's webhook tell."""
        if self.name == COD:
            return
        self.books.events.append(
            EventFact(
                event_ref=f"{self.name}:{movement}:{kind}",
                provider=self.name,
                kind=kind,
                payment_id=payment or self.payment or None,
                group_id=self.group or None,
                movement_id=movement,
                order_reference=self.reference,
                amount=amount,
                currency=self.order.currency,
                happened_at=at,
            )
        )

    # ------------------------------------------------------------ the books

    def invoice(self, amount: Decimal | None = None, copy: int = 0) -> InvoiceFact:
        """Let the ERP invoice the order when it is shipped."""
        order = self.order
        at = self.begin + DAY * self.dice.randint(1, 3)
        value = order.total if amount is None else amount
        return self._invoice(
            "invoice", f"INV/{order.store}/{self.number}", value, order.tax, at, copy
        )

    def credit(self, fact: RefundFact) -> InvoiceFact:
        """Let the ERP credit a refund; its share of the tax is that of the order."""
        order = self.order
        tax = cents(order.tax * fact.amount / order.total)
        name = f"CRN/{order.store}/{fact.refund_ref.split(':')[1]}"
        return self._invoice("credit_memo", name, fact.amount, tax, fact.refunded_at)

    def _invoice(
        self,
        kind: str,
        name: str,
        amount: Decimal,
        tax: Decimal,
        at: datetime,
        copy: int = 0,
    ) -> InvoiceFact:
        number = f"{name}-{copy}" if copy else name
        fact = InvoiceFact(
            invoice_ref=f"odoo:{number}",
            system="odoo",
            order_ref=self.order.order_ref,
            number=number,
            state="posted",
            kind=kind,
            currency=self.order.currency,
            total_amount=amount,
            tax_amount=tax,
            invoiced_on=at.date(),
        )
        self.books.invoices.append(fact)
        return fact


def ordinary(story: Story) -> None:
    """What happens to an order in a clean year."""
    order, dice = story.order, story.dice
    if order.state == "cancelled" or order.total <= 0:
        return
    chance = dice.random()
    is_plain = order.currency == story.terms.currency
    if story.name != COD and chance < IN_PARTS and order.total >= 2:
        _in_parts(story)
    else:
        story.sale()
        if story.name == PAYPAL and is_plain and chance > 1 - HELD:
            story.hold()
            story.release(order.total)
    if story.refunds:
        for at, amount in story.refunds:
            # Converted, cents would be rounded to another rate.
            if is_plain or amount >= LEAST_CONVERTED:
                _give_back(story, amount, max(at, story.begin + DAY))
    elif dice.random() < GIVEN_BACK:
        _give_back(story, order.total, story.begin + DAY * dice.randint(5, 20))
    elif story.name != COD and is_plain and dice.random() < DISPUTED:
        _argue(story)
    story.invoice()


def _in_parts(story: Story) -> None:
    """Two captures: what was in stock, and the rest some days later."""
    total = story.order.total
    first = cents(total * story.dice.randint(30, 70) / 100)
    later = story.begin + DAY * story.dice.randint(1, 4)
    story.capture(1, first, story.begin)
    story.capture(2, total - first, later)
    story.order.changed_at = max(story.order.changed_at, later)


def _give_back(story: Story, amount: Decimal, at: datetime) -> None:
    fact, made = story.refund(amount, at)
    if story.name in (STRIPE, ADYEN) and story.dice.random() < FAILED:
        story.fail(fact, made)
    else:
        story.credit(fact)


def _argue(story: Story) -> None:
    made = story.dispute(story.begin + DAY * story.dice.randint(10, 40))
    if story.dice.random() < WON:
        story.win(made)
    else:
        story.lose(made)


def part_of(amount: Decimal) -> Decimal:
    """A third of it: neither nothing nor all."""
    return max(cents(amount / 3), Decimal("0.01"))
