"""Faults that are planted in the generated year, those of single orders and lines; what is done to
payouts, bank and files is in `settlement_payout_faults` and `settlement_bank_faults`.

Each fault has an order of its own that otherwise is like any other, and a line's fault leaves its
payout balanced: the sum is made of the lines as they are told.
"""

from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass
from decimal import Decimal

from resources.sandbox.settlement_facts import Move
from resources.sandbox.settlement_stories import Story, part_of
from resources.sandbox.settlement_terms import ADYEN, COD, DAY, PAYPAL, STRIPE, contract

ALL = (STRIPE, PAYPAL, ADYEN, COD)
CARDS = (STRIPE, ADYEN)
TOLD = (STRIPE, PAYPAL, ADYEN)
BATCHED = (STRIPE, ADYEN, COD)
OVER = Decimal("5.00")
FEW = Decimal("0.35")


@dataclass(frozen=True)
class Fault:
    """A kind of fault: its finding, where it can be, and how it is made."""

    kind: str
    finding: str
    providers: Sequence[str]
    #: Makes it, and answers the subject of the finding.
    act: Callable[[Story], str]
    #: Needs an order that is paid in another currency.
    is_foreign: bool = False
    #: Nobody knows the order.
    is_ghost: bool = False


def _capture(story: Story) -> str:
    return f"{story.order.order_ref}:capture"


# ---------------------------------------------------------------- sales


def sale_missing(story: Story) -> str:
    """The sale is in no payout, and in no sum of one."""
    return _capture(story)


def sale_settled_twice(story: Story) -> str:
    """The same payment is settled again under another id, a day later."""
    story.sale()
    return story.sale(at=story.begin + DAY).line_ref


def sale_short(story: Story) -> str:
    """A tenth is missing, the fee is that of what is settled. The capture stays open with it."""
    return story.sale(story.order.total - _tenth(story)).line_ref


def sale_over(story: Story) -> str:
    """A tenth is too much. The capture stays open with it."""
    return story.sale(story.order.total + _tenth(story)).line_ref


def _tenth(story: Story) -> Decimal:
    return max(part_of(story.order.total * Decimal("0.3")), Decimal("0.50"))


def sale_unknown_order(story: Story) -> str:
    """An order and a payment that nobody has seen."""
    return story.sale().line_ref


def sale_other_currency(story: Story) -> str:
    """The same number, but the customer paid it in francs or euro. The capture stays open with it;
    PayPal adds a pair of conversion."""
    currency = "EUR" if story.name == PAYPAL else "CHF"
    movement = story.payment if story.name == STRIPE else ""
    made = story.paid_line("sale", story.order.total, currency, story.begin, movement)
    return made.line_ref


def sale_other_provider(story: Story) -> str:
    """Told by the other account of the store. The capture stays open with it."""
    return story.sale().line_ref


def sale_negative(story: Story) -> str:
    """Taken from us, with a fee besides. The capture stays open with it."""
    return story.sale(-story.order.total).line_ref


def sale_before_order(story: Story) -> str:
    """Booked three days before the order was placed."""
    return story.sale(at=story.order.placed_at - 3 * DAY).line_ref


def line_told_otherwise(story: Story) -> str:
    """A file of its own tells the line again with one more, and that it is in the same payout."""
    made = story.sale()
    other = copy(made)
    other.gross += 1
    story.books.corrections[story.name].append(other)
    return made.line_ref


def line_in_two_payouts(story: Story) -> str:
    """The line stands again in the payout after its own, and is no part of that one's sum."""
    made = story.sale()
    other = copy(made)
    other.is_repeat = True
    story.books.moves[story.name].append(other)
    return made.line_ref


# ---------------------------------------------------------------- refunds


def refund_missing(story: Story) -> str:
    """The shop gave a third back, the provider never settled it."""
    story.sale()
    movement = story.new_movement("re")
    fact = story.shop_refund(part_of(story.order.total), story.begin + 6 * DAY, movement)
    story.credit(fact)
    return fact.refund_ref


def refund_unknown(story: Story) -> str:
    """A third is given back, of which the shop knows nothing."""
    story.sale()
    return _refund_line(story, part_of(story.order.total)).line_ref


def _refund_line(story: Story, amount: Decimal) -> Move:
    return story.line("refund", -amount, story.begin + 6 * DAY, story.new_movement("re"))


def refund_differs(story: Story) -> str:
    """One more is given back than the shop says."""
    story.sale()
    movement, amount = story.new_movement("re"), part_of(story.order.total)
    story.credit(story.shop_refund(amount, story.begin + 6 * DAY, movement))
    return story.line("refund", -amount - 1, story.begin + 6 * DAY, movement).line_ref


def refund_twice(story: Story) -> str:
    """The same refund again, under another id of the line, three days later."""
    story.sale()
    fact, made = story.refund(part_of(story.order.total), story.begin + 6 * DAY)
    story.credit(fact)
    movement = made.movement if story.name == STRIPE else story.new_movement("re")
    return story.line("refund", made.gross, made.at + 3 * DAY, movement).line_ref


def refund_over(story: Story) -> str:
    """More is given back than was captured, and the shop knows nothing of it."""
    story.sale()
    return _refund_line(story, story.order.total + OVER).line_ref


def refund_positive(story: Story) -> str:
    """A refund that gives us money. The refund stays open with it."""
    story.sale()
    movement, amount = story.new_movement("re"), part_of(story.order.total)
    story.credit(story.shop_refund(amount, story.begin + 6 * DAY, movement))
    return story.line("refund", amount, story.begin + 6 * DAY, movement).line_ref


# ---------------------------------------------------------------- disputes


def chargeback_unknown(story: Story) -> str:
    """A chargeback of a payment that nobody has seen."""
    movement = story.new_movement("dp")
    return story.line("chargeback", -story.order.total, story.begin + 9 * DAY, movement).line_ref


def chargeback_twice(story: Story) -> str:
    """The money of one dispute is taken twice."""
    story.sale()
    made = story.dispute(story.begin + 12 * DAY)
    movement = made.movement if story.name == STRIPE else story.new_movement("dp")
    return story.line("chargeback", made.gross, made.at + DAY, movement).line_ref


def chargeback_over(story: Story) -> str:
    """More is taken than was captured; the webhook told only that there is a dispute."""
    story.sale()
    at, movement = story.begin + 12 * DAY, story.new_movement("dp")
    story.event("dispute_opened", story.order.total, at, movement)
    return story.line("chargeback", -story.order.total - OVER, at + DAY, movement).line_ref


def chargeback_after_refund(story: Story) -> str:
    """Everything was given back, and then disputed and taken."""
    story.sale()
    story.credit(story.refund(story.order.total, story.begin + 6 * DAY)[0])
    return story.dispute(story.begin + 12 * DAY).line_ref


def reversal_unknown(story: Story) -> str:
    """A chargeback comes back that was never taken."""
    story.sale()
    at = story.begin + 20 * DAY
    movement = story.new_movement("dp")
    return story.line("chargeback_reversed", story.order.total, at, movement).line_ref


def reversal_differs(story: Story) -> str:
    """A third less comes back than was taken; the webhook told only that the dispute is won."""
    story.sale()
    made = story.dispute(story.begin + 12 * DAY)
    amount = story.order.total - part_of(story.order.total)
    return story.win(made, amount, is_told=False).line_ref


# ---------------------------------------------------------------- fees, holds, conversions


def fee_percent_over(story: Story) -> str:
    """One percent more than agreed."""
    made = story.sale()
    return _charge(made, max(part_of(made.gross * Decimal("0.03")), Decimal("0.10")))


def fee_fixed_under(story: Story) -> str:
    """A tenth of the currency less than agreed."""
    return _charge(story.sale(), Decimal("-0.10"))


def _charge(made: Move, more: Decimal) -> str:
    """Take more as fee; the tax on it is that of the fee."""
    made.fee += more
    made.fee_tax = contract(made.provider, made.currency, made.at.date()).tax(made.fee)
    return made.line_ref


def fee_on_refund(story: Story) -> str:
    """A refund costs something where the contract has nothing."""
    story.sale()
    fact, made = story.refund(part_of(story.order.total), story.begin + 6 * DAY)
    story.credit(fact)
    made.fee = FEW
    return made.line_ref


def dispute_fee_differs(story: Story) -> str:
    """A dispute costs five more."""
    story.sale()
    made = story.dispute(story.begin + 12 * DAY)
    made.fee += OVER
    story.lose(made)
    return made.line_ref


def fee_tax_differs(story: Story) -> str:
    """The tax on the fee is more than its rate."""
    made = story.sale()
    made.fee_tax += FEW
    return made.line_ref


def hold_never_released(story: Story) -> str:
    """PayPal keeps a sale for good."""
    story.sale()
    return story.hold().line_ref


def hold_released_above(story: Story) -> str:
    """A hold is released, and five more an hour later."""
    story.sale()
    story.hold()
    story.release(story.order.total)
    return story.release(OVER, 60).line_ref


def conversion_unpaired(story: Story) -> str:
    """What was changed into pounds is not there; no balance tells, for none of it came."""
    made = story.sale()
    moves = story.books.moves[story.name]
    moves.pop()
    return next(one for one in reversed(moves) if one.group == made.id).line_ref


def conversion_rate_off(story: Story) -> str:
    """Changed at a fifth below the rate of the day."""
    made = story.sale()
    del story.books.moves[story.name][-2:]
    return story.convert(made, margin=Decimal("0.80")).line_ref


# ---------------------------------------------------------------- orders


def cancelled_captured(story: Story) -> str:
    """The shop cancelled it, and the money was taken; the ERP has no invoice."""
    story.sale()
    story.order.state = "cancelled"
    return story.order.order_ref


def captured_over_order(story: Story) -> str:
    """Five were captured besides the total."""
    story.capture(1, story.order.total, story.begin)
    story.capture(2, OVER, story.begin + DAY)
    return story.order.order_ref


def captured_in_part(story: Story) -> str:
    """Two thirds were captured, and the order is completed."""
    story.capture(1, story.order.total - part_of(story.order.total), story.begin)
    return story.order.order_ref


def invoice_missing(story: Story) -> str:
    """The order is shipped, and the ERP has no invoice."""
    story.sale()
    return story.order.order_ref


def invoice_differs(story: Story) -> str:
    """The ERP invoiced one more."""
    story.sale()
    story.invoice(story.order.total + 1)
    return story.order.order_ref


def invoice_twice(story: Story) -> str:
    """The ERP has two invoices of the same amount."""
    story.sale()
    story.invoice()
    story.invoice(copy=2)
    return story.order.order_ref


#: Kinds that leave the order without the invoice that all others have.
NO_INVOICE = frozenset(
    {
        *("cancelled_captured", "invoice_missing", "invoice_differs", "invoice_twice"),
        *("sale_unknown_order", "chargeback_unknown"),
    }
)
#: A sale or refund of the wrong sign is no line of PayPal's (a payment sent, an adjustment), and is
#: refused in a remittance. PayPal's rows tell of their own disputes, whatever these are.
ORDER_FAULTS = (
    Fault("sale_missing", "unsettled", ALL, sale_missing),
    Fault("sale_settled_twice", "doubled", ALL, sale_settled_twice),
    Fault("sale_short", "amount_short", ALL, sale_short),
    Fault("sale_over", "amount_over", ALL, sale_over),
    Fault("sale_unknown_order", "order_unknown", ALL, sale_unknown_order, is_ghost=True),
    Fault("sale_other_currency", "currency_differs", TOLD, sale_other_currency),
    Fault("sale_other_provider", "wrong_provider", (ADYEN, COD), sale_other_provider),
    Fault("sale_negative", "wrong_sign", CARDS, sale_negative),
    Fault("sale_before_order", "before_order", ALL, sale_before_order),
    Fault("line_told_otherwise", "conflict", BATCHED, line_told_otherwise),
    Fault("line_in_two_payouts", "in_two_payouts", BATCHED, line_in_two_payouts),
    Fault("refund_missing", "refund_unsettled", ALL, refund_missing),
    Fault("refund_unknown", "refund_unknown", ALL, refund_unknown),
    Fault("refund_differs", "refund_differs", ALL, refund_differs),
    Fault("refund_twice", "refund_doubled", ALL, refund_twice),
    Fault("refund_over", "refund_over", ALL, refund_over),
    Fault("refund_positive", "wrong_sign", CARDS, refund_positive),
    Fault("chargeback_unknown", "chargeback_unknown", TOLD, chargeback_unknown, is_ghost=True),
    Fault("chargeback_twice", "chargeback_doubled", CARDS, chargeback_twice),
    Fault("chargeback_over", "chargeback_over", CARDS, chargeback_over),
    Fault("chargeback_after_refund", "chargeback_refunded", TOLD, chargeback_after_refund),
    Fault("reversal_unknown", "reversal_unknown", CARDS, reversal_unknown),
    Fault("reversal_differs", "reversal_differs", CARDS, reversal_differs),
    Fault("fee_percent_over", "fee_over", ALL, fee_percent_over),
    Fault("fee_fixed_under", "fee_under", ALL, fee_fixed_under),
    Fault("fee_on_refund", "fee_on_refund", (STRIPE, PAYPAL, COD), fee_on_refund),
    Fault("dispute_fee_differs", "dispute_fee_differs", CARDS, dispute_fee_differs),
    Fault("fee_tax_differs", "fee_tax_differs", (COD,), fee_tax_differs),
    Fault("conversion_unpaired", "conversion_unpaired", (PAYPAL,), conversion_unpaired, True),
    Fault("conversion_rate_off", "conversion_rate", (PAYPAL,), conversion_rate_off, True),
    Fault("cancelled_captured", "cancelled_captured", ALL, cancelled_captured),
    Fault("captured_over_order", "over_captured", TOLD, captured_over_order),
    Fault("captured_in_part", "part_captured", TOLD, captured_in_part),
    Fault("invoice_missing", "invoice_missing", ALL, invoice_missing),
    Fault("invoice_differs", "invoice_differs", ALL, invoice_differs),
    Fault("invoice_twice", "invoice_doubled", ALL, invoice_twice),
)
#: The reserves of PayPal are of single orders, those of Adyen of whole batches.
HOLD_FAULTS = {
    "reserve_never_released": Fault(
        "reserve_never_released", "reserve_overdue", (PAYPAL,), hold_never_released
    ),
    "reserve_released_above": Fault(
        "reserve_released_above", "reserve_over_released", (PAYPAL,), hold_released_above
    ),
}
