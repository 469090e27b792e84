"""The saga of a refund: which step follows from what is known, and what waits for a person. Pure.

A shop's refund is a fact and is followed; one of ours is made only when it is allowed, and never
above what is left. What fails after it was credited, or is taken away in the shop, is taken back by
a counter entry before it ends.
"""

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal

from sync_assets.domain.after_sale import PIPELINE, UNSENT, Case, Refund, Trouble
from sync_assets.domain.refund_limits import left_of
from sync_assets.domain.returns import RefundState as M

#: Made in the shop and not looked at yet: they count before they are counted.
COMING = frozenset({M.REQUESTED})
#: States out of which a refund can still be undone by the shop or the provider.
MADE = frozenset({M.APPROVED, M.SUBMITTED, M.PENDING, M.CONFIRMED, M.CREDITED, M.CLOSED, M.FAILED})
ENDED = frozenset({M.WITHDRAWN, M.REVERSED})
SAID_FAILED = frozenset({M.PENDING, M.CONFIRMED, M.CREDITED, M.CLOSED})


def advance(case: Case) -> None:
    """Take the next step of every refund that has one, ours first."""
    for ref in sorted(case.refunds, key=lambda key: (not case.refunds[key].is_ours, key)):
        _step(case, case.refunds[ref])


def _step(case: Case, one: Refund) -> None:
    shop = f"shop:{case.store}"
    if one.is_gone and (one.state in MADE or one.state == M.REQUESTED):
        said = "the shop does not show it any more"
        case.move_refund(one, M.WITHDRAWN, shop, said, f"refund {one.shop_id} is gone")
    elif (twin := _twin(case, one)) is not None:
        said = f"the shop made it itself as {twin.ref}"
        case.move_refund(one, M.WITHDRAWN, shop, said, f"refund {twin.shop_id}")
        if one.return_ref is not None:
            case.link(case.refunds[twin.ref], one.return_ref)
    elif one.state in (M.REQUESTED, M.APPROVED):
        _allow(case, one)
    elif one.state == M.SUBMITTED and (one.is_made or one.shop_id):
        _made(case, one)
    elif one.state in SAID_FAILED and _says(one, "failed"):
        _provider(case, one, M.FAILED)
    elif one.state == M.PENDING and _says(one, "confirmed"):
        _provider(case, one, M.CONFIRMED)
    elif one.state == M.CONFIRMED:
        _credit(case, one)
    elif one.state == M.CREDITED:
        case.move_refund(one, M.CLOSED, PIPELINE, "everything about it is done", "credit memo")
    elif one.state in (M.FAILED, M.WITHDRAWN):
        _undo(case, one)


def _twin(case: Case, one: Refund) -> Refund | None:
    """The same money, given back by a person in the shop while ours was waiting."""
    if not one.is_ours or one.state not in UNSENT or one.method == "offset":
        return None
    return next(
        (
            other
            for other in case.refunds.values()
            if not other.is_ours
            and other.return_ref is None
            and not other.is_gone
            and other.state in MADE | COMING
            and other.amount == one.amount
            and other.made_at >= one.made_at
        ),
        None,
    )


def _allow(case: Case, one: Refund) -> None:
    if not one.is_ours:
        _follow(case, one)
    elif one.method != "offset" and one.amount > (left := _left_for_ours(case, one)):
        ends = M.REFUSED if one.state == M.REQUESTED else M.WITHDRAWN
        said = f"{one.amount} is more than the {left} {case.currency} that is left"
        case.move_refund(one, ends, PIPELINE, said, "what was paid and refunded")
    elif one.state == M.APPROVED:
        _ask(case, one)
    elif _needs_nobody(case, one):
        case.move_refund(one, M.APPROVED, PIPELINE, "the policy pays it by itself", "policy")
    else:
        said = "a person must approve it"
        case.move_refund(one, M.AWAITING_APPROVAL, PIPELINE, said, "policy")


def _left_for_ours(case: Case, one: Refund) -> Decimal:
    """What is left for one of ours: what the shop made and nobody looked at comes first."""
    coming = [
        other.amount
        for other in case.refunds.values()
        if not other.is_ours and other.state == M.REQUESTED and not other.is_gone
    ]
    return left_of(case.left(but=one.ref), coming)


def _needs_nobody(case: Case, one: Refund) -> bool:
    back = case.returns.get(one.return_ref or "")
    if not case.rule.pays_by_itself(one.amount, case.currency):
        return False
    return back is None or back.is_agreed


def _follow(case: Case, one: Refund) -> None:
    """A refund of the shop's: approved because it is there, and confirmed by whoever must."""
    shop, cause = f"shop:{case.store}", f"refund {one.shop_id}"
    if one.state == M.REQUESTED:
        if one.amount <= case.left(but=one.ref):
            case.move_refund(one, M.APPROVED, shop, "made in the shop", cause)
        return
    _confirm(case, one, shop, cause)


def _confirm(case: Case, one: Refund, actor: str, cause: str) -> None:
    if case.needs_provider and one.amount:
        said = "the payment provider has not said how it ended"
        case.move_refund(one, M.PENDING, actor, said, cause)
    else:
        case.move_refund(one, M.CONFIRMED, actor, "the shop gave the money back", cause)


def _ask(case: Case, one: Refund) -> None:
    if one.method == "offset":
        back = case.returns.get(one.return_ref or "")
        if back is not None and back.exchange_amount is not None:
            said = "set off against the order that replaces the goods"
            case.move_refund(one, M.CONFIRMED, PIPELINE, said, f"order {back.exchange_ref}")
    elif case.publishes or one.shop_id:
        case.move_refund(one, M.SUBMITTED, PIPELINE, "the shop is asked to make it", "policy")


def _made(case: Case, one: Refund) -> None:
    cause = f"refund {one.shop_id}" if one.shop_id else "the shop's answer"
    _confirm(case, one, f"shop:{case.store}", cause)


def _says(one: Refund, word: str) -> bool:
    return one.verdict is not None and one.verdict.state == word


def _provider(case: Case, one: Refund, to: M) -> None:
    assert one.verdict is not None
    said = "the provider could not give it back" if to == M.FAILED else "the provider gave it back"
    if one.verdict.reason:
        said += f": {one.verdict.reason}"
    cause = f"verdict of {one.verdict.happened_at:%Y-%m-%d %H:%M:%S} UTC"
    case.move_refund(one, to, f"provider:{one.verdict.provider}", said, cause)


def _credit(case: Case, one: Refund) -> None:
    if one.memo == "held":
        case.move_refund(one, M.CREDITED, PIPELINE, "the ERP holds its credit memo", "receipt")
    elif not one.amount:
        case.move_refund(one, M.CREDITED, PIPELINE, "there is nothing to credit", "amount")
    elif case.in_erp == "never":
        said = "no ERP holds the order, so there is nothing to credit"
        case.move_refund(one, M.CREDITED, PIPELINE, said, "order")


def _undo(case: Case, one: Refund) -> None:
    if one.memo == "reversed":
        said = "its credit memo is taken back"
        case.move_refund(one, M.REVERSED, PIPELINE, said, "counter entry")
    elif one.state == M.FAILED and _says(one, "confirmed"):
        _provider(case, one, M.CONFIRMED)


def troubles(case: Case) -> Iterator[Trouble]:
    """What waits for a person about the refunds of an order."""
    for one in case.refunds.values():
        found = _trouble(case, one)
        if found is not None:
            code, message = found
            yield Trouble(code, one.ref, message, one.amount)


def _trouble(case: Case, one: Refund) -> tuple[str, str] | None:
    money = f"{one.amount} {case.currency}"
    if one.state == M.AWAITING_APPROVAL:
        return "refund.approval", f"{money} wait for a person's approval"
    if _is_over(case, one):
        return "refund.over", f"{money} are more than what is left of the order"
    if one.state == M.PENDING and _is_late(case, one):
        return "refund.unconfirmed", f"the provider has not said what became of {money}"
    if one.state == M.APPROVED and one.is_ours and one.method != "offset" and not case.publishes:
        return "refund.not_sent", f"refunds are not written in this store; give {money} back there"
    if one.state == M.FAILED or (one.state in ENDED and _says(one, "failed")):
        return "refund.failed", f"the customer has not got {money}"
    if one.state == M.REVERSED and _says(one, "confirmed"):
        return "refund.paid_after_all", f"{money} were paid after the credit was taken back"
    if one.is_gone:
        return "refund.vanished", f"the shop does not show the refund of {money} any more"
    return None


def _is_over(case: Case, one: Refund) -> bool:
    if not one.is_ours:
        return one.state == M.REQUESTED
    was_paid = one.return_ref is not None and any(
        other.ref != one.ref and not other.is_ours for other in case.refunds_of(one.return_ref)
    )
    return one.state in (M.REFUSED, M.WITHDRAWN) and one.moved_by == PIPELINE and not was_paid


def _is_late(case: Case, one: Refund) -> bool:
    since = one.state_at or one.made_at
    return case.now - since > timedelta(days=case.rule.verdict_days)
