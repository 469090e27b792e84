"""Objects of a Stripe account as its API tells them, with the members its contract asks for."""

from typing import Any

Doc = dict[str, Any]


def charge(key: str, intent: str, amount: int, currency: str, at: int, brand: str) -> Doc:
    """An authorised charge."""
    address = dict.fromkeys(("city", "country", "line1", "line2", "postal_code", "state"))
    return {
        "id": key,
        "object": "charge",
        "amount": amount,
        "amount_captured": 0,
        "amount_refunded": 0,
        "balance_transaction": None,
        "billing_details": {"address": address, "email": None, "name": "Ada Field", "phone": None},
        "captured": False,
        "created": at,
        "currency": currency,
        "description": None,
        "disputed": False,
        "failure_code": None,
        "livemode": False,
        "metadata": {},
        "paid": True,
        "payment_intent": intent,
        "payment_method_details": {"type": "card", "card": _card(brand)},
        "refunded": False,
        "status": "succeeded",
    }


def _card(brand: str) -> Doc:
    nothing = ("checks", "fingerprint", "installments", "mandate", "three_d_secure", "wallet")
    return {
        "brand": brand,
        "country": "US",
        "exp_month": 8,
        "exp_year": 2030,
        "funding": "credit",
        "last4": "4242",
        "network": brand,
        **dict.fromkeys(nothing),
    }


def refund(key: str, charge: Doc, amount: int, at: int, line: str) -> Doc:
    """A refund that went through."""
    return {
        "id": key,
        "object": "refund",
        "amount": amount,
        "balance_transaction": line,
        "charge": charge["id"],
        "created": at,
        "currency": charge["currency"],
        "metadata": {},
        "payment_intent": charge["payment_intent"],
        "reason": "requested_by_customer",
        "status": "succeeded",
    }


def dispute(key: str, charge: Doc, amount: int, at: int) -> Doc:
    """A dispute that waits for our answer."""
    return {
        "id": key,
        "object": "dispute",
        "amount": amount,
        "balance_transactions": [],
        "charge": charge["id"],
        "created": at,
        "currency": charge["currency"],
        "evidence": {},
        "evidence_details": {
            "due_by": at + 7 * 86_400,
            "has_evidence": False,
            "past_due": False,
            "submission_count": 0,
        },
        "is_charge_refundable": False,
        "livemode": False,
        "metadata": {},
        "payment_intent": charge["payment_intent"],
        "reason": "fraudulent",
        "status": "needs_response",
    }


def payout(key: str, amount: int, currency: str, at: int, arrival: int, line: str) -> Doc:
    """A payout on its way."""
    return {
        "id": key,
        "object": "payout",
        "amount": amount,
        "arrival_date": arrival,
        "automatic": True,
        "balance_transaction": line,
        "created": at,
        "currency": currency,
        "description": "STRIPE PAYOUT",
        "destination": "ba_1",
        "failure_balance_transaction": None,
        "failure_code": None,
        "livemode": False,
        "metadata": {},
        "method": "standard",
        "reconciliation_status": "completed",
        "source_type": "card",
        "statement_descriptor": None,
        "status": "in_transit",
        "type": "bank_account",
    }


def fee(kind: str, amount: int, currency: str) -> Doc:
    """A part of a fee."""
    told = {"stripe_fee": "Stripe processing fees", "tax": "VAT"}[kind]
    fee = {"amount": amount, "application": None, "currency": currency}
    return {**fee, "description": told, "type": kind}
