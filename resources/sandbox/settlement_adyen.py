"""Payouts of Adyen as its settlement detail reports: one CSV per batch, debit and credit in columns
of their own, times of Amsterdam with the zone beside them, the fee in its parts.
"""

from collections.abc import Iterable
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal

from resources.sandbox.settlement_facts import ZERO, Move, Payout
from resources.sandbox.settlement_payouts import AMSTERDAM
from resources.sandbox.shop_order import cents

COLUMNS = (
    *("Company Account", "Merchant Account", "Psp Reference", "Merchant Reference"),
    *("Payment Method", "Creation Date", "TimeZone", "Type", "Modification Reference"),
    *("Gross Currency", "Gross Debit (GC)", "Gross Credit (GC)", "Exchange Rate", "Net Currency"),
    *("Net Debit (NC)", "Net Credit (NC)", "Commission (NC)", "Markup (NC)", "Scheme Fees (NC)"),
    *("Interchange (NC)", "Payment Method Variant", "Modification Merchant Reference"),
    *("Batch Number", "Reserved4", "Reserved5", "Reserved6", "Reserved7", "Reserved8"),
    *("Reserved9", "Reserved10"),
)
HEAD = ",".join(COLUMNS)
COMPANY, MERCHANT = "Acme", "AcmeEurope"
TYPES = {
    "sale": "Settled",
    "refund": "Refunded",
    "refund_failed": "RefundedReversed",
    "chargeback": "Chargeback",
    "chargeback_reversed": "ChargebackReversed",
    "fee": "Fee",
    "reserve_held": "DepositCorrection",
    "reserve_released": "DepositCorrection",
    "adjustment": "ManualCorrected",
    "topup": "MerchantPayin",
}
METHODS = (("visa", "visaclassic"), ("mc", "mcstandarddebit"), ("ideal", "ideal"))
#: What goes to the customers' banks and the card schemes; the rest of the fee is Adyen's.
INTERCHANGE, SCHEME = Decimal("0.003"), Decimal("0.001")


def report(payout: Payout) -> tuple[str, bytes]:
    """The name and content of a batch's report."""
    rows = [HEAD, *(row(one, payout) for one in payout.moves), _payout(payout)]
    return f"settlement_detail_report_batch_{payout.id}.csv", ("\n".join(rows) + "\n").encode()


def correction(moves: Iterable[Move], payout: Payout) -> tuple[str, bytes]:
    """A file with only some lines of a batch, told again."""
    rows = [HEAD, *(row(one, payout) for one in moves)]
    name = f"settlement_detail_report_batch_{payout.id}_again.csv"
    return name, ("\n".join(rows) + "\n").encode()


def row(move: Move, payout: Payout) -> str:
    """One line of a batch; those without a payment are of the account."""
    debit, credit = _sides(move.net)
    is_paid = bool(move.payment)
    gross, currency, rate = move.paid or (move.gross, move.currency, Decimal(1))
    method, variant = METHODS[sum(map(ord, move.id)) % 3] if is_paid else ("", "")
    return ",".join(
        (
            *(COMPANY, MERCHANT, move.payment, move.reference, method),
            *_times(move.at),
            move.type or TYPES[move.kind],
            (move.movement if is_paid else move.words) or move.id,
            *((currency, *_sides(gross), f"{rate}") if is_paid else ("", "", "", "")),
            *(move.currency, debit, credit),
            *_parts(move),
            *(variant, "", payout.id, "", "", "", "", "", "", ""),
        )
    )


def _parts(move: Move) -> tuple[str, str, str, str]:
    """Commission, markup, scheme fees and interchange."""
    if not move.fee:
        return "", "", "", ""
    if move.kind != "sale":
        return f"{move.fee}", "", "", ""
    interchange, scheme = (cents(abs(move.gross) * one) for one in (INTERCHANGE, SCHEME))
    return f"{move.fee - interchange - scheme}", "", f"{scheme}", f"{interchange}"


def _payout(payout: Payout) -> str:
    debit, credit = _sides(-payout.amount)
    at = datetime.combine(payout.day, time(), UTC) + timedelta(hours=3)
    words = f'"{payout.bank_reference} batch {payout.id}, {MERCHANT}"'
    return ",".join(
        (
            *(COMPANY, MERCHANT, "", "", ""),
            *_times(at),
            *("MerchantPayout", words, "", "", "", "", payout.currency, debit, credit),
            *("", "", "", "", "", "", payout.id, "", "", "", "", "", "", ""),
        )
    )


def _sides(amount: Decimal) -> tuple[str, str]:
    return (f"{-amount}", "") if amount < ZERO else ("", f"{amount}")


def _times(moment: datetime) -> tuple[str, str]:
    local = moment.astimezone(AMSTERDAM)
    return f"{local:%Y-%m-%d %H:%M:%S}", "CEST" if local.dst() else "CET"
