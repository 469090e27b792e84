"""What is planned after the sale, sent: to every store and every ERP of a kind, one after another.

A system that fails does not stop the others; how a batch is sent is said by the hands beside.
"""

from collections.abc import Callable

from resources.wiring import Systems
from sync_assets.books import Books
from sync_assets.intents import Thing
from sync_assets.returns import planning
from sync_assets.returns.book_hands import MemoHand, RestockHand, ReversalHand
from sync_assets.returns.shop_hands import ExchangeHand, RefundHand, ShopHand
from sync_assets.writing import Manners, Sent, send

Say = Callable[[str], None]
#: Refunds are made one by one; so many are held at once.
SHOP_BATCH = 20


def _quiet(line: str) -> None:
    """Nobody listens."""


def refunds(systems: Systems, store: str, run_id: str | None, say: Say = _quiet) -> Sent:
    """Have a store make the refunds it is asked for."""
    return _to_shop(systems, store, planning.REFUNDS, RefundHand, run_id, say)


def exchanges(systems: Systems, store: str, run_id: str | None, say: Say = _quiet) -> Sent:
    """Have a store make the orders that replace goods."""
    return _to_shop(systems, store, planning.EXCHANGES, ExchangeHand, run_id, say)


def _to_shop(
    systems: Systems,
    store: str,
    thing: Thing,
    hand: type[ShopHand],
    run_id: str | None,
    say: Say,
) -> Sent:
    manners = Manners(SHOP_BATCH, systems.settings.stores[store].retry_hours)
    with systems.shop(store) as shop:
        made = hand(systems, shop, store, thing)
        return send(systems, thing, store, manners, made, run_id, say)


def credit_memos(
    systems: Systems, kind: str, erp: str, run_id: str | None, say: Say = _quiet
) -> Sent:
    """Have an ERP hold a credit memo for every refund that is confirmed."""
    return _to_erp(systems, kind, erp, planning.credit_memos(kind), MemoHand, run_id, say)


def credit_reversals(
    systems: Systems, kind: str, erp: str, run_id: str | None, say: Say = _quiet
) -> Sent:
    """Have an ERP take back the credit memos of refunds that failed."""
    return _to_erp(systems, kind, erp, planning.credit_reversals(kind), ReversalHand, run_id, say)


def restocks(systems: Systems, kind: str, erp: str, run_id: str | None, say: Say = _quiet) -> Sent:
    """Have an ERP book the goods that came back."""
    return _to_erp(systems, kind, erp, planning.restocks(kind), RestockHand, run_id, say)


def _to_erp(
    systems: Systems,
    kind: str,
    erp: str,
    thing: Thing,
    hand: type[MemoHand] | type[ReversalHand] | type[RestockHand],
    run_id: str | None,
    say: Say,
) -> Sent:
    account = systems.settings.erps[erp]
    manners = Manners(account.batch, account.retry_hours)
    with systems.erp(erp) as client:
        made = hand(Books(systems, kind, erp, client))
        return send(systems, thing, erp, manners, made, run_id, say)
