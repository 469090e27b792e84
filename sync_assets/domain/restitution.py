"""What a return is worth, and when its money goes back: as a refund, or as other goods. Pure."""

from decimal import Decimal

from sync_assets.domain.after_sale import (
    GOODS_HERE,
    PIPELINE,
    WE_PAY,
    Case,
    Refund,
    Return,
    ReturnLine,
)
from sync_assets.domain.refund_limits import (
    ZERO,
    Share,
    fitted,
    less_fee,
    share,
    total,
    whole,
)
from sync_assets.domain.returns import RefundState as M
from sync_assets.domain.returns import ReturnState as R
from sync_assets.domain.returns import Source

ON_RECEIPT = frozenset({*GOODS_HERE, R.REFUNDING})
#: Whoever asked for it is charged for putting it back; a parcel that failed is nobody's wish.
CHARGED = frozenset({Source.REQUEST, Source.STORE_DROPOFF, Source.WAREHOUSE})


def value_of(case: Case, one: Return) -> Decimal:
    """What the customer paid for the units of a return."""
    return total(_goods(case, one, announced=True, percent=ZERO, before=False))


def may_keep(case: Case, one: Return) -> bool:
    """Whether goods that were asked for need not come back."""
    if one.source != Source.REQUEST or one.is_exchange or not one.is_agreed:
        return False
    value = value_of(case, one)
    return value > 0 and not one.received_units and case.rule.lets_keep(value, case.currency)


def _goods(
    case: Case, one: Return, *, announced: bool, percent: Decimal, before: bool = True
) -> list[Share]:
    """The shares of the goods; `announced`: of all that shall come, not only of what is there."""
    found = []
    for line in one.lines:
        sold = case.line(line.line_ref)
        if sold is None:
            continue
        gone = case.refunded_units(sold.line_ref) if before else 0
        units = min(_units(line, announced), max(int(sold.quantity) - gone, 0))
        if units > 0:
            part = share(sold, gone, units, case.digits)
            found.append(less_fee(part, percent, case.digits) if percent else part)
    return found


def _units(line: ReturnLine, announced: bool) -> int:
    return max(line.requested_units, line.received_units) if announced else line.received_units


def is_due(case: Case, one: Return) -> bool:
    """Whether a return has come so far that its money goes back."""
    if one.source not in WE_PAY:
        return False
    if one.state == R.APPROVED and may_keep(case, one):
        return True
    match case.rule.refund_on:
        case "approved" if one.is_agreed:
            return one.state in (R.APPROVED, R.IN_TRANSIT, *ON_RECEIPT)
        case "received":
            return one.state in ON_RECEIPT
    return one.state in (R.INSPECTED, R.REFUNDING)


def parts_of(case: Case, one: Return) -> list[Share]:
    """What goes back for a return now: goods, shipping by policy, within what is left."""
    announced = not one.received_units
    percent = case.rule.restocking_fee_percent if one.source in CHARGED else ZERO
    goods = _goods(case, one, announced=announced, percent=percent)
    if not goods:
        return []
    found = [*goods, *_shipping(case, goods)]
    return found if one.is_exchange else fitted(found, case.left(), case.digits)


def _shipping(case: Case, goods: list[Share]) -> list[Share]:
    if case.rule.refund_shipping == "never":
        return []
    if case.rule.refund_shipping == "full_return" and not _is_all(case, goods):
        return []
    return [
        whole(sold)
        for sold in case.lines
        if sold.kind == "shipping" and sold.net_amount and not _is_given(case, sold.line_ref)
    ]


def _is_all(case: Case, goods: list[Share]) -> bool:
    units = {part.line_ref: part.units for part in goods}
    return all(
        case.refunded_units(sold.line_ref) + units.get(sold.line_ref, 0) >= sold.quantity
        for sold in case.lines
        if sold.kind == "product"
    )


def _is_given(case: Case, line_ref: str) -> bool:
    void = (M.REFUSED, M.WITHDRAWN, M.REVERSED, M.FAILED)
    refunds = (one for one in case.refunds.values() if one.state not in void)
    return any(part.line_ref == line_ref for one in refunds for part in one.parts)


def _has_refund(case: Case, one: Return) -> bool:
    """Whether its money was decided on before: once is enough, whatever became of it."""
    return bool(case.refunds_of(one.ref))


def is_owed(case: Case, one: Return) -> bool:
    """Whether money must go back for a return, and nobody made a refund of it yet."""
    if not is_due(case, one) or _has_refund(case, one) or case.left() <= 0:
        return False
    if one.is_exchange and one.exchange_amount is None:
        return False
    return total(parts_of(case, one)) > 0


def wants_exchange(case: Case, one: Return) -> bool:
    """Whether the order that replaces the goods must be made now."""
    if not one.is_exchange or one.exchange_amount is not None or not one.is_agreed:
        return False
    return is_due(case, one) and not _has_refund(case, one)


def needs_word(case: Case, one: Return) -> bool:
    """Whether goods of an exchange are there that nobody agreed to."""
    if not one.is_exchange or one.exchange_amount is not None or one.is_agreed:
        return False
    return is_due(case, one) and not _has_refund(case, one)


def exchange_value(case: Case, one: Return) -> Decimal:
    """What the goods of an exchange are worth against the order that replaces them."""
    paid = [refund for refund in case.refunds_of(one.ref) if refund.method == "offset"]
    if paid:
        return sum((refund.amount for refund in case.refunds_of(one.ref)), ZERO)
    return total(parts_of(case, one))


def pay(case: Case) -> None:
    """Make the refunds that are due."""
    for ref in sorted(case.returns):
        one = case.returns[ref]
        if not is_owed(case, one):
            continue
        if one.is_exchange:
            _set_off(case, one)
        else:
            _refund(case, one, parts_of(case, one), case.rule.refund_method)


def _set_off(case: Case, one: Return) -> None:
    """The goods against the new order; what the new order costs less is given back in money."""
    assert one.exchange_amount is not None
    parts = parts_of(case, one)
    rest = max(total(parts) - one.exchange_amount, ZERO)
    _refund(case, one, parts, "offset", amount=total(parts) - rest)
    if rest:
        _refund(case, one, [], case.rule.refund_method, amount=rest)


def _refund(
    case: Case, one: Return, parts: list[Share], method: str, amount: Decimal | None = None
) -> None:
    made = Refund(
        ref=case.next_ref("m"),
        source=one.source,
        method=method,
        amount=total(parts) if amount is None else amount,
        parts=tuple(parts),
        made_at=case.now,
        is_ours=True,
        return_ref=one.ref,
        reason=_why(case, one, parts),
    )
    case.begin_refund(made, PIPELINE, f"for return {one.ref}", f"return {one.ref} is {one.state}")


def _why(case: Case, one: Return, parts: list[Share]) -> str:
    fee = case.rule.restocking_fee_percent if one.source in CHARGED and parts else ZERO
    kept = f", less a restocking fee of {fee.normalize():f} %" if fee else ""
    said = f": {one.reason}" if one.reason else ""
    return f"Return {one.ref}{kept}{said}"
