"""Payouts of Stripe as its payout reconciliation reports: one CSV per payout, a row per balance
transaction and one of the payout itself, amounts as decimals with the sign of the balance.
"""

from collections.abc import Iterable
from datetime import datetime, time, timedelta
from decimal import Decimal

from resources.sandbox.settlement_facts import Move, Payout

COLUMNS = (
    *("balance_transaction_id", "payment_metadata[external_identifier]", "source_id"),
    *("payment_intent_id", "charge_id", "created", "available_on"),
    *("automatic_payout_effective_at", "currency", "gross", "fee", "net", "reporting_category"),
    *("payment_method_type", "card_brand", "card_country", "card_funding", "description"),
    *("trace_id_status", "automatic_payout_id", "customer_facing_amount"),
    "customer_facing_currency",
)
HEAD = ",".join(COLUMNS)
CATEGORIES = {
    "sale": "charge",
    "refund": "refund",
    "refund_failed": "refund_failure",
    "chargeback": "dispute",
    "chargeback_reversed": "dispute_reversal",
    "fee": "fee",
    "adjustment": "other_adjustment",
    "topup": "topup",
}
CARDS = ("visa", "mastercard", "amex")
#: Kinds of lines that are of a payment.
_PAID = frozenset({"sale", "refund", "refund_failed", "chargeback", "chargeback_reversed"})


def report(payout: Payout) -> tuple[str, bytes]:
    """The name and content of a payout's report."""
    rows = [HEAD, *(row(one, payout) for one in payout.moves), _payout(payout)]
    name = f"payout_reconciliation_{payout.day:%Y-%m-%d}_{payout.id}.csv"
    return name, ("\n".join(rows) + "\n").encode()


def correction(moves: Iterable[Move], payout: Payout) -> tuple[str, bytes]:
    """A file with only some rows of a payout, told again."""
    rows = [HEAD, *(row(one, payout) for one in moves)]
    name = f"payout_reconciliation_{payout.day:%Y-%m-%d}_{payout.id}_again.csv"
    return name, ("\n".join(rows) + "\n").encode()


def row(move: Move, payout: Payout) -> str:
    """One balance transaction."""
    is_paid = move.kind in _PAID and bool(move.payment)
    paid, currency = (move.gross, move.currency) if move.paid is None else move.paid[:2]
    number = sum(map(ord, move.id))
    return ",".join(
        (
            move.id,
            move.reference if is_paid else "",
            move.movement,
            move.group if is_paid else "",
            move.payment if is_paid else "",
            _time(move.at),
            f"{payout.day:%Y-%m-%d} 00:00:00",
            f"{payout.day:%Y-%m-%d} 00:00:00",
            move.currency,
            f"{move.gross}",
            f"{move.fee}",
            f"{move.net}",
            move.type or CATEGORIES[move.kind],
            *(("card", CARDS[number % 3], "US", "credit") if is_paid else ("", "", "", "")),
            move.words,
            "supported",
            payout.id,
            *((f"{paid}", currency.lower()) if is_paid else ("", "")),
        )
    )


def _payout(payout: Payout) -> str:
    amount: Decimal = -payout.amount
    at = _time(datetime.combine(payout.day, time()) + timedelta(hours=6))
    day = f"{payout.day:%Y-%m-%d} 00:00:00"
    cells = (f"txn_{payout.id}", "", payout.id, "", "", at, day, day, payout.currency)
    sums = (f"{amount}", "0.00", f"{amount}", "payout", "", "", "", "", "STRIPE PAYOUT")
    return ",".join((*cells, *sums, "supported", payout.id, "", ""))


def _time(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S}"
