"""Objects of a Stripe account as its API tells them, small and written by hand."""

from datetime import UTC, datetime
from typing import Any

US = "stripe_us"
MORNING = datetime(2026, 3, 2, 10, tzinfo=UTC)
AT = int(MORNING.timestamp())

Doc = dict[str, Any]


def charge(**change: Any) -> Doc:
    return {
        "id": "ch_1",
        "object": "charge",
        "amount": 2500,
        "amount_captured": 2500,
        "captured": True,
        "created": AT,
        "currency": "usd",
        "metadata": {"order_id": "1042"},
        "payment_intent": "pi_1",
        "payment_method_details": {"type": "card", "card": {"brand": "visa"}},
        "billing_details": {"name": "Ada Field", "email": "ada@example.com"},
        "refunded": False,
        "status": "succeeded",
    } | change


def refund(**change: Any) -> Doc:
    return {
        "id": "re_1",
        "object": "refund",
        "amount": 1000,
        "balance_transaction": "txn_2",
        "charge": "ch_1",
        "created": AT,
        "currency": "usd",
        "metadata": {},
        "payment_intent": "pi_1",
        "reason": None,
        "status": "succeeded",
    } | change


def dispute(*moves: Doc, **change: Any) -> Doc:
    return {
        "id": "dp_1",
        "object": "dispute",
        "amount": 2500,
        "balance_transactions": list(moves),
        "charge": "ch_1",
        "created": AT,
        "currency": "usd",
        "metadata": {},
        "payment_intent": "pi_1",
        "reason": "fraudulent",
        "status": "needs_response",
    } | change


def payout(**change: Any) -> Doc:
    return {
        "id": "po_1",
        "object": "payout",
        "amount": 110050,
        "arrival_date": AT,
        "automatic": True,
        "balance_transaction": "txn_9",
        "created": AT - 86_400,
        "currency": "usd",
        "failure_code": None,
        "statement_descriptor": None,
        "status": "in_transit",
    } | change


def transaction(**change: Any) -> Doc:
    said = {
        "id": "txn_1",
        "object": "balance_transaction",
        "amount": 2500,
        "created": AT,
        "currency": "usd",
        "description": "Order 1042",
        "exchange_rate": None,
        "fee": 95,
        "fee_details": [{"type": "stripe_fee", "amount": 95, "currency": "usd"}],
        "reporting_category": "charge",
        "source": charge(),
        "type": "charge",
    } | change
    return {"net": said["amount"] - said["fee"], **said}


def moved(amount: int, at: int = AT, currency: str = "usd") -> Doc:
    """A transaction without a fee, as a dispute holds it."""
    return transaction(amount=amount, fee=0, fee_details=[], created=at, currency=currency)


def notice(kind: str, thing: Doc, created: int = AT + 60) -> Doc:
    return {"id": "evt_1", "type": kind, "created": created, "data": {"object": thing}}
