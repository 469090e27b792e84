"""Shop orders of the generated year as facts: amounts as the shop shows them, who paid by what, and
where each order stands in the end. What providers make of them is told elsewhere.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from random import Random

from resources.sandbox.checkout import Amount, Checkout
from resources.sandbox.settlement_facts import ZERO, OrderFact
from resources.sandbox.settlement_terms import ADYEN, COD, PAYPAL, PROVIDERS, STRIPE
from resources.sandbox.shop_order import STORES, RefundPart, ShopOrder, cents

#: Of the orders of `eu`, those of `uk` whose customers pay in euro, and those with a gift card.
ON_DELIVERY, IN_EURO, GIFT_CARDS = 0.2, 0.05, 0.02
#: An order in `processing` that is older than this when the year ends is done.
DONE_AFTER = timedelta(days=7)
_UNPAID = ("on-hold", "pending", "failed")
FIRST_ID = 1001


@dataclass(slots=True)
class Sold:
    """An order, whose it is to settle, and what was given back of it in the shop."""

    fact: OrderFact
    provider: str
    refunds: tuple[tuple[datetime, Decimal], ...]

    @property
    def is_foreign(self) -> bool:
        """Whether the customer pays in another currency than the account's."""
        return self.fact.currency != PROVIDERS[self.provider].currency


def sold(orders: Iterable[ShopOrder], seed: int) -> Iterator[Sold]:
    """Make the facts of each order; ids count per store from 1001."""
    counters = {name: _Counter(name, seed) for name in STORES}
    for order in orders:
        yield counters[order.store].take(order)


class _Counter:
    def __init__(self, store: str, seed: int) -> None:
        self.store, self.seed, self.next = STORES[store], seed, FIRST_ID
        self.checkout = Checkout(self.store, {})

    def take(self, order: ShopOrder) -> Sold:
        number, self.next = self.next, self.next + 1
        dice = Random(f"{self.seed}:{self.store.name}:{number}")  # noqa: S311
        provider = self._provider(order, dice)
        fact = self._fact(order, number, dice)
        self._pay(order, fact, provider, dice)
        if provider == PAYPAL and fact.currency == "GBP" and dice.random() < IN_EURO:
            fact.currency = "EUR"
        refunds = tuple(
            (one.refunded_at, amount)
            for one in order.refunds
            if (amount := self._refunded(order, one.parts, fact.total)) > 0
        )
        return Sold(fact, provider, refunds if len(refunds) == 1 else ())

    def _provider(self, order: ShopOrder, dice: Random) -> str:
        if self.store.name == "eu":
            is_cash = dice.random() < ON_DELIVERY and order.currency == self.store.currency
            return COD if is_cash else ADYEN
        return STRIPE if self.store.name == "us" else PAYPAL

    def _refunded(self, order: ShopOrder, parts: Iterable[RefundPart], total: Decimal) -> Decimal:
        amounts = (self.checkout.amount(part.amount, order.tax).gross for part in parts)
        return min(sum(amounts, Decimal()), total)

    def _fact(self, order: ShopOrder, number: int, dice: Random) -> OrderFact:
        net, discount, tax = self._goods(order)
        shipping = self._sum(order, [one.amount for one in order.shipping])
        fees = self._sum(order, [one.amount for one in order.fees])
        tax += shipping.tax + fees.tax
        gross = net + shipping.net + fees.net + tax
        gift = cents(gross / 4) if gross > 8 and dice.random() < GIFT_CARDS else ZERO
        placed_at = order.placed_at
        return OrderFact(
            order_ref=f"{order.store}:{number}",
            store=order.store,
            order_id=str(number),
            number=str(number),
            currency=order.currency,
            total=gross - gift,
            net=net,
            shipping=shipping.net,
            tax=tax,
            fees=fees.net,
            discount=discount,
            gift_card=gift,
            placed_at=placed_at,
            paid_at=None,
            changed_at=placed_at,
            state="cancelled",
            payment_method=None,
            payment_ref=None,
        )

    def _goods(self, order: ShopOrder) -> tuple[Decimal, Decimal, Decimal]:
        """Net, discount and tax of the product lines."""
        net = discount = tax = ZERO
        for line in order.lines:
            after = self.checkout.amount(line.total, order.tax)
            net, tax = net + after.net, tax + after.tax
            if line.subtotal != line.total:
                discount += self.checkout.amount(line.subtotal, order.tax).net - after.net
        return net, discount, tax

    def _sum(self, order: ShopOrder, amounts: list[Decimal]) -> Amount:
        shown = (self.checkout.amount(one, order.tax) for one in amounts)
        return sum(shown, Amount(ZERO, ZERO))

    def _pay(self, order: ShopOrder, fact: OrderFact, provider: str, dice: Random) -> None:
        """Say how it was paid, if it was; unpaid orders are cancelled in the end."""
        fact.payment_method = PROVIDERS[provider].method
        if order.status in _UNPAID or order.status == "cancelled" or fact.total <= 0:
            fact.state = "completed" if fact.total <= 0 else "cancelled"
            return
        fact.state = "completed"
        waits = timedelta(days=dice.randint(2, 5)) if provider == COD else timedelta()
        fact.paid_at = fact.placed_at + waits + timedelta(seconds=dice.randint(20, 400))
        fact.changed_at = fact.paid_at
        fact.payment_ref = payment_id(provider, int(fact.number))


def payment_id(provider: str, number: int) -> str | None:
    """The id under which the shop knows the payment; cash has none."""
    return {
        STRIPE: f"ch_{number}",
        PAYPAL: f"7PC{number:014d}",
        ADYEN: f"PSP{number:013d}",
    }.get(provider)
