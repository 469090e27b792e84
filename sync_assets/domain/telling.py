"""From what the world said of an order to all that follows: returns nobody asked for, the steps of
both sagas until none is left, and what waits for a person. Pure.
"""

from collections.abc import Mapping
from dataclasses import replace

from sync_assets.domain import refunding, restitution, returning
from sync_assets.domain.after_sale import DEAD, Case, Parcel, Refund, Return, ReturnLine, Trouble
from sync_assets.domain.orders import OrderState
from sync_assets.domain.planning import ENDED
from sync_assets.domain.returns import RefundState as M
from sync_assets.domain.returns import ReturnState as R
from sync_assets.domain.returns import Source
from sync_assets.domain.tracking import ParcelState as P

#: More rounds than any story has steps: a rule that never rests is a mistake of ours.
MOST_ROUNDS = 60
CAME_BACK = frozenset({P.RETURNING, P.RETURNED})
STILL_AWAY = frozenset({R.REQUESTED, R.APPROVED, R.IN_TRANSIT, R.LOST, *DEAD})
VOID = frozenset({M.REFUSED, M.WITHDRAWN, M.REVERSED})


def settle(case: Case) -> list[Trouble]:
    """Let everything follow that follows; answers what waits for a person."""
    for _ in range(MOST_ROUNDS):
        before = len(case.moves)
        _open(case)
        returning.allot(case)
        _join(case)
        refunding.advance(case)
        returning.advance(case)
        restitution.pay(case)
        if len(case.moves) == before:
            return [*returning.troubles(case), *refunding.troubles(case)]
    raise AssertionError(f"{case.order_ref} never comes to rest")


def _open(case: Case) -> None:
    for parcel in case.parcels:
        if parcel.state in CAME_BACK:
            _open_parcel(case, parcel)
    if case.rule.expects_goods:
        for ref in sorted(case.refunds):
            _open_for_refund(case, case.refunds[ref])
        if OrderState(case.order_state) in {*ENDED, OrderState.REFUNDED}:
            units = {one.line_ref: _unspoken(case, one.line_ref) for one in case.lines}
            _begin(case, Source.CANCELLATION, units, f"shop:{case.store}", "the order was ended")


def _away(case: Case, line_ref: str) -> int:
    """Units of a line that left and are in no return."""
    sold = case.line(line_ref)
    left = sold.shipped_units if sold is not None and sold.kind == "product" else 0
    return max(left - case.units_in_returns(line_ref), 0)


def _unspoken(case: Case, line_ref: str) -> int:
    """Units that left and were in no return ever: one that came to nothing is not begun again."""
    ended = sum(
        line.requested_units
        for one in case.returns.values()
        if one.state in DEAD
        for line in one.lines
        if line.line_ref == line_ref
    )
    return max(_away(case, line_ref) - ended, 0)


def _open_parcel(case: Case, parcel: Parcel) -> None:
    """One return for an outbound parcel that comes back; when it is back, its goods are."""
    carrier = f"carrier:{parcel.carrier or 'unknown'}"
    known = next((r for r in case.returns.values() if r.sender_ref == parcel.ref), None)
    if known is None:
        units = {ref: min(n, _away(case, ref)) for ref, n in parcel.units.items()}
        known = _begin(case, Source.PARCEL, units, carrier, "undelivered", parcel)
    if known is not None and parcel.state == P.RETURNED and known.state in STILL_AWAY:
        back = tuple(replace(one, received_units=one.requested_units) for one in known.lines)
        case.set_lines(known, back)


def _open_for_refund(case: Case, one: Refund) -> None:
    """Goods that had left when the shop gave their money back are expected, once."""
    if one.is_history or one.is_ours or one.return_ref is not None:
        return
    if one.is_gone or one.state in VOID:
        return
    if _payable(case, one) is not None:
        return
    units: dict[str, int] = {}
    for part in one.parts:
        if part.line_ref is not None and part.units:
            units[part.line_ref] = min(part.units, _unspoken(case, part.line_ref))
    reason = one.reason or "refunded in the shop"
    begun = _begin(case, Source.SHOP_REFUND, units, f"shop:{case.store}", reason)
    if begun is not None:
        case.link(one, begun.ref)


def _join(case: Case) -> None:
    """Let a refund of the shop's pay for the open return of the same goods, where it has none."""
    for ref in sorted(case.refunds):
        one = case.refunds[ref]
        if one.is_ours or one.return_ref is not None or one.is_gone or one.state in VOID:
            continue
        found = _payable(case, one)
        if found is not None:
            case.link(one, found.ref)


def _payable(case: Case, one: Refund) -> Return | None:
    """The one open return without a refund whose goods this refund pays for, all of them."""
    units = {part.line_ref: part.units for part in one.parts if part.units}
    if not units:
        return None
    found = [
        back
        for back in case.returns.values()
        if back.is_open
        and back.requested_at <= one.made_at
        and not case.refunds_of(back.ref)
        and {line.line_ref for line in back.lines if line.line_ref} == set(units)
        and all(units[ref] >= count for ref, count in _units_of(back).items())
    ]
    return found[0] if len(found) == 1 else None


def _units_of(one: Return) -> dict[str, int]:
    """Units of a return by order line."""
    found: dict[str, int] = {}
    for line in one.lines:
        if line.line_ref is not None:
            found[line.line_ref] = found.get(line.line_ref, 0) + line.units
    return found


def _begin(
    case: Case,
    source: Source,
    units: Mapping[str, int],
    actor: str,
    reason: str,
    parcel: Parcel | None = None,
) -> Return | None:
    wanted = [(case.line(ref), count) for ref, count in sorted(units.items()) if count > 0]
    lines = tuple(
        ReturnLine(number, sold.line_ref, sold.sku or "", count)
        for number, (sold, count) in enumerate(
            (sold, count) for sold, count in wanted if sold is not None
        )
    )
    if not lines:
        return None
    made = Return(
        ref=case.next_ref("r"),
        source=source,
        lines=lines,
        requested_at=case.now,
        reason=reason,
        told_by=actor,
        carrier=(parcel.carrier or "unknown") if parcel else "unknown",
        tracking_number=parcel.tracking_number if parcel else None,
        sender_ref=parcel.ref if parcel else None,
        parcel=parcel.state if parcel else None,
    )
    case.begin_return(made, actor, reason, f"parcel {parcel.ref}" if parcel else actor)
    return case.returns[made.ref]
