"""The saga of a return: which step follows from what is known, and what waits for a person. Pure.

The goods decide: what comes is received whatever was said before, and only money needs somebody who
agreed. A return ends when its goods are booked and its money is given back and credited.
"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

from sync_assets.domain import restitution
from sync_assets.domain.after_sale import (
    DEAD,
    PIPELINE,
    WE_PAY,
    Case,
    Refund,
    Return,
    ReturnLine,
    Trouble,
)
from sync_assets.domain.returns import Disposition, Source
from sync_assets.domain.returns import ReturnState as R
from sync_assets.domain.tracking import ParcelState as P

UNDER_WAY = frozenset(
    {
        *(P.PICKED_UP, P.IN_TRANSIT, P.OUT_FOR_DELIVERY, P.DELIVERY_FAILED),
        *(P.AVAILABLE_FOR_PICKUP, P.DELIVERED, P.RETURNING, P.RETURNED),
    }
)
#: Came back, or are coming, without anybody having been asked.
UNASKED = frozenset({Source.PARCEL, Source.WAREHOUSE, Source.SHOP_REFUND, Source.CANCELLATION})
FATES = {
    Disposition.RESTOCK: "restock_units",
    Disposition.REFURBISH: "refurbish_units",
    Disposition.WRITE_OFF: "write_off_units",
}


def advance(case: Case) -> None:
    """Take the next step of every return that has one."""
    for ref in sorted(case.returns):
        _step(case, case.returns[ref])


def _step(case: Case, one: Return) -> None:
    if one.received_units and one.state in (R.APPROVED, R.IN_TRANSIT, R.LOST, *DEAD):
        said = f"{one.received_units} units arrived"
        case.move_return(one, R.RECEIVED, one.told_by, said, "the goods")
    elif one.state == R.REQUESTED:
        _agree(case, one)
    elif one.state == R.APPROVED:
        _approved(case, one)
    elif one.state == R.IN_TRANSIT:
        _in_transit(case, one)
    elif one.state == R.RECEIVED:
        _received(case, one)
    elif one.state in (R.INSPECTED, R.REFUNDING):
        _settle(case, one)
    elif one.state in (R.CANCELLED, R.EXPIRED) and one.parcel in UNDER_WAY:
        said = "it was sent all the same"
        case.move_return(one, R.IN_TRANSIT, _carrier(one), said, "tracking")


def _agree(case: Case, one: Return) -> None:
    if one.source in WE_PAY and why_not_agreed(case, one) is None:
        case.move_return(one, R.APPROVED, PIPELINE, "the policy agrees by itself", "policy")
    elif one.source in UNASKED:
        case.move_return(one, R.APPROVED, one.told_by, _unasked(one), "the goods")
    elif one.received_units or one.parcel in UNDER_WAY:
        said = "the goods are on their way; its money waits for a person"
        case.move_return(one, R.APPROVED, f"goods:{one.ref}", said, "the goods")


def _unasked(one: Return) -> str:
    return {
        Source.PARCEL: "its parcel comes back",
        Source.WAREHOUSE: "the goods are there without having been announced",
        Source.SHOP_REFUND: "the shop gave the money back, and the goods had left",
        Source.CANCELLATION: "the order was ended after the goods had left",
    }[one.source]


def why_not_agreed(case: Case, one: Return) -> str | None:
    """Why a person must agree to a return that was asked for; None: nobody needs to."""
    value = restitution.value_of(case, one)
    if not any(line.line_ref for line in one.lines):
        return "none of it is known to have left"
    if one.is_exchange and not case.rule.exchanges:
        return "the store's policy knows no exchanges"
    if not case.rule.agrees_to(value, case.currency):
        return f"{value} {case.currency} need a person's word by the policy"
    since = case.delivered_at if case.rule.window_from == "delivered" else case.shipped_at
    if since is not None and one.requested_at - since > timedelta(days=case.rule.window_days):
        days = (one.requested_at - since).days
        return f"asked for {days} days after it was {case.rule.window_from}"
    return None


def _approved(case: Case, one: Return) -> None:
    if one.parcel in UNDER_WAY:
        case.move_return(one, R.IN_TRANSIT, _carrier(one), "its parcel is under way", "tracking")
    elif restitution.may_keep(case, one):
        if case.refunds_of(one.ref):
            said = "the customer may keep the goods"
            case.move_return(one, R.REFUNDING, PIPELINE, said, "policy")
    elif _older(case, one, case.rule.expires_days):
        said = f"nothing was sent within {case.rule.expires_days} days"
        case.move_return(one, R.EXPIRED, PIPELINE, said, "policy")


def _in_transit(case: Case, one: Return) -> None:
    if one.parcel == P.LOST:
        case.move_return(one, R.LOST, _carrier(one), "the carrier lost it", "tracking")
    elif _older(case, one, case.rule.lost_after_days):
        said = f"it did not arrive within {case.rule.lost_after_days} days"
        case.move_return(one, R.LOST, PIPELINE, said, "policy")


def _older(case: Case, one: Return, days: int) -> bool:
    return one.state_at is not None and case.now - one.state_at > timedelta(days=days)


def _carrier(one: Return) -> str:
    return f"carrier:{one.carrier}"


def _received(case: Case, one: Return) -> None:
    lines = tuple(_with_fate(case, one, line) for line in one.lines)
    case.set_lines(one, lines)
    one = case.returns[one.ref]
    if one.received_units and not any(line.open_units for line in lines):
        said = "it is said of every unit what becomes of it"
        case.move_return(one, R.INSPECTED, one.told_by, said, "inspection")


def _with_fate(case: Case, one: Return, line: ReturnLine) -> ReturnLine:
    """The line with what the policy says of units nobody inspected."""
    if not line.open_units:
        return line
    fate = case.rule.disposition_of(line.sku, one.reason)
    if fate is None:
        return line
    name = FATES[fate]
    return line.plus(ReturnLine(0, None, line.sku, 0, **{name: line.open_units}))


def _settle(case: Case, one: Return) -> None:
    """End a return whose goods and money are settled; else its money is under way."""
    paying = case.refunds_of(one.ref)
    is_paid = all(refund.is_at_rest for refund in paying)
    waits = (
        restitution.is_owed(case, one)
        or restitution.wants_exchange(case, one)
        or restitution.needs_word(case, one)
    )
    goods_done = one.is_booked or not one.received_units
    if is_paid and goods_done and not waits:
        said = "its goods are booked and its money is settled"
        case.move_return(one, R.CLOSED, PIPELINE, said, _ended(paying))
    elif one.state == R.INSPECTED and (paying or waits):
        case.move_return(one, R.REFUNDING, PIPELINE, "its money is under way", "inspection")


def _ended(paying: list[Refund]) -> str:
    return ", ".join(f"{one.ref} {one.state}" for one in paying) or "no refund of ours"


def allot(case: Case) -> None:
    """Give units that belong to no order line yet to lines that left and are in no other return."""
    for ref in sorted(case.returns):
        one = case.returns[ref]
        if one.state in (R.REQUESTED, R.APPROVED, R.IN_TRANSIT, R.RECEIVED):
            case.set_lines(one, _allotted(case, one))


def _allotted(case: Case, one: Return) -> tuple[ReturnLine, ...]:
    taken: dict[str, int] = {}
    found: list[ReturnLine] = []
    for line in (line for line in one.lines if line.line_ref is not None):
        assert line.line_ref is not None
        fits = _room(case, one, line.line_ref, taken)
        kept, over = line.split(min(fits, line.units))
        taken[line.line_ref] = taken.get(line.line_ref, 0) + kept.units
        found += [part for part in (kept, replace(over, line_ref=None)) if part.units]
    for line in (line for line in one.lines if line.line_ref is None):
        found += _lines_for(case, one, line, taken)
    merged = _merged(found)
    return tuple(replace(line, line_no=number) for number, line in enumerate(merged))


def _lines_for(
    case: Case, one: Return, line: ReturnLine, taken: dict[str, int]
) -> Iterator[ReturnLine]:
    rest = line
    for sold in case.lines:
        if sold.kind != "product" or (sold.sku or "").casefold() != line.sku.casefold():
            continue
        part, rest = rest.split(min(_room(case, one, sold.line_ref, taken), rest.units))
        if part.units:
            taken[sold.line_ref] = taken.get(sold.line_ref, 0) + part.units
            yield replace(part, line_ref=sold.line_ref)
    if rest.units:
        yield rest


def _room(case: Case, one: Return, line_ref: str, taken: dict[str, int]) -> int:
    sold = case.line(line_ref)
    if sold is None:
        return 0
    used = case.units_in_returns(line_ref, but=one.ref) + taken.get(line_ref, 0)
    return max(sold.shipped_units - used, 0)


def _merged(lines: list[ReturnLine]) -> list[ReturnLine]:
    """One line per order line and article."""
    found: dict[tuple[str | None, str], ReturnLine] = {}
    for line in lines:
        key = (line.line_ref, line.sku)
        held = found.get(key)
        found[key] = line if held is None else held.plus(line)
    return list(found.values())


def troubles(case: Case) -> Iterator[Trouble]:
    """What waits for a person about the returns of an order."""
    for one in case.returns.values():
        value = restitution.value_of(case, one)
        if one.state == R.REQUESTED and (why := why_not_agreed(case, one)) is not None:
            yield Trouble("return.approval", one.ref, why, value)
        if restitution.needs_word(case, one):
            said = "nobody agreed to the exchange; its goods are there"
            yield Trouble("return.approval", one.ref, said, value)
        if one.state == R.RECEIVED and (units := sum(line.open_units for line in one.lines)):
            said = f"nobody said what becomes of {units} units that are there"
            yield Trouble("return.inspection", one.ref, said, value)
        if one.state == R.LOST:
            yield Trouble("return.lost", one.ref, "it was sent back and did not arrive", value)
        loose = {line.sku: line.units for line in one.lines if line.line_ref is None}
        if loose and one.is_open:
            goods = ", ".join(f"{count} × {sku}" for sku, count in sorted(loose.items()))
            said = f"more came than had left, or other goods: {goods} are set aside"
            yield Trouble("return.too_many", one.ref, said)
        yield from _exchange_trouble(case, one)


def _exchange_trouble(case: Case, one: Return) -> Iterator[Trouble]:
    if one.exchange_amount is None:
        return
    dearer = one.exchange_amount - restitution.exchange_value(case, one)
    if dearer > 0:
        said = f"the new order costs {dearer} {case.currency} more than came back"
        yield Trouble("return.exchange_dearer", one.ref, said, dearer)
