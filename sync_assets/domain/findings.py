"""Everything that may be wrong with money, by name: whose it is, and what ends it.

A finding is about one thing of one ledger; where it is found is decided by the settlement steps.
Each is an exception of the same code with an owner, an age and the money at stake.
"""

from dataclasses import dataclass
from datetime import timedelta

FINANCE, OPERATIONS, ENGINEER = "finance", "operations", "engineer"
_MATCHED = "it is matched, split, assigned or written off (`sync-assets settlements`)"
_LATER = f"a later line or order settles it, or {_MATCHED}"
DAY = timedelta(days=1)


@dataclass(frozen=True)
class Finding:
    """What a code means."""

    #: In words for people.
    says: str
    #: Ends the sentence "Closes by itself when …".
    ends: str
    owner_role: str = FINANCE
    due_after: timedelta = 3 * DAY

    @property
    def can_release(self) -> bool:
        """Whether a person may accept it as it is: what no match can end."""
        return _MATCHED not in self.ends


FINDINGS: dict[str, Finding] = {
    # ------------------------------------------------ lines of a settlement
    "settlement.order_unknown": Finding("names an order or payment we have not seen", _LATER),
    "settlement.no_reference": Finding("names no order, and no amount fits", _LATER),
    "settlement.amount_short": Finding("settles less than was captured", _LATER),
    "settlement.amount_over": Finding("settles more than was captured", _LATER),
    "settlement.currency_differs": Finding("is in another currency than the payment", _MATCHED),
    "settlement.wrong_provider": Finding("is expected from another account", _MATCHED),
    "settlement.doubled": Finding("settles again what another line settled", _MATCHED),
    "settlement.wrong_sign": Finding("has the sign of its opposite", _MATCHED),
    "settlement.before_order": Finding(
        "was settled before the order was placed", "its match is ended, or a person accepts it"
    ),
    "settlement.type_unknown": Finding("is of a type nobody told us of", _MATCHED, ENGINEER),
    "settlement.adjustment": Finding("is an adjustment nobody explained", _MATCHED),
    "settlement.conflict": Finding(
        "is told otherwise by another file; the first one stays",
        "a person says which is right (`sync-assets settlements conflicts`)",
    ),
    "settlement.in_two_payouts": Finding(
        "stands in two payouts",
        "a person says which is right (`sync-assets settlements conflicts`)",
    ),
    # ------------------------------------------------ refunds and disputes
    "settlement.refund_unknown": Finding("is a refund the shop does not know", _LATER),
    "settlement.refund_differs": Finding("is another amount than the refund in the shop", _LATER),
    "settlement.refund_doubled": Finding("pays a refund a second time", _MATCHED),
    "settlement.refund_over": Finding("refunds more than was captured", _MATCHED),
    "settlement.refund_returned": Finding(
        "is a refund that came back, and the shop does not know", _LATER
    ),
    "settlement.chargeback_unknown": Finding("is a chargeback of no order we know", _LATER),
    "settlement.chargeback_doubled": Finding("takes a disputed payment twice", _MATCHED),
    "settlement.chargeback_over": Finding("takes more than was captured", _MATCHED),
    "settlement.chargeback_refunded": Finding(
        "takes money that was refunded already: it is lost twice",
        "the chargeback is reversed or the refund comes back, or a person accepts it",
    ),
    "settlement.reversal_unknown": Finding("gives back a chargeback that was never taken", _LATER),
    "settlement.reversal_differs": Finding("gives back another amount than was taken", _LATER),
    # ------------------------------------------------ fees, reserves, conversions
    "settlement.fee_over": Finding(
        "costs more than the contract says",
        "the contract in the policy says so, or it is given back",
    ),
    "settlement.fee_under": Finding(
        "costs less than the contract says", "the contract in the policy says so"
    ),
    "settlement.fee_on_refund": Finding(
        "costs a fee where the contract has none", "the contract in the policy says so"
    ),
    "settlement.dispute_fee_differs": Finding(
        "has another dispute fee than the contract", "the contract in the policy says so"
    ),
    "settlement.fee_tax_differs": Finding(
        "has another tax on its fee than the contract", "the contract in the policy says so"
    ),
    "settlement.fee_unknown": Finding("is a fee the contract does not know", _MATCHED),
    "settlement.fee_doubled": Finding("is the same fee a second time", _MATCHED),
    "settlement.tax_withheld": Finding("withholds tax, which this provider must not", _MATCHED),
    "settlement.reserve_overdue": Finding(
        "is held longer than the contract says", "the reserve is released", due_after=7 * DAY
    ),
    "settlement.reserve_over_released": Finding("releases more than was held", _MATCHED),
    "settlement.conversion_unpaired": Finding(
        "is one side of a conversion without the other", _LATER
    ),
    "settlement.conversion_rate": Finding(
        "converts at a rate far from the one of the day", "the policy allows it, or it is corrected"
    ),
    # ------------------------------------------------ payouts and the bank
    "settlement.payout_unbalanced": Finding(
        "is not the sum of its lines", "the missing or wrong line is told", due_after=2 * DAY
    ),
    "settlement.payout_without_lines": Finding("has no lines", "its report is read", due_after=DAY),
    "settlement.payout_not_in_bank": Finding(
        "has not reached the bank in time", _LATER, due_after=DAY
    ),
    "settlement.payout_bank_differs": Finding("reached the bank as another amount", _LATER),
    "settlement.payout_failed": Finding("came back or failed", "it is paid again, or corrected"),
    "settlement.balance_gap": Finding(
        "begins with another balance than the one before ended with", "the missing report is read"
    ),
    "settlement.topup_not_in_bank": Finding("is not in the bank's statement", _LATER),
    "settlement.bank_unexpected": Finding("reached the bank and belongs to no payout", _LATER),
    "settlement.bank_doubled": Finding("reached the bank a second time", _MATCHED),
    "settlement.bank_wrong_account": Finding("reached another account than it should", _MATCHED),
    "settlement.bank_unbalanced": Finding(
        "does not come from its opening to its closing balance", "the missing entry is told"
    ),
    "settlement.bank_gap": Finding(
        "follows a statement that is missing", "the missing statement is read"
    ),
    # ------------------------------------------------ files
    "settlement.file_refused": Finding(
        "cannot be read", "a file that can be read is sent", OPERATIONS, DAY
    ),
    "settlement.line_broken": Finding(
        "has lines that cannot be read", "a file without such lines is sent", OPERATIONS, DAY
    ),
    "settlement.control_differs": Finding(
        "does not hold what it says it holds", "the whole file is sent", OPERATIONS, DAY
    ),
    # ------------------------------------------------ what we expected
    "settlement.unsettled": Finding("was captured and is not settled in time", _LATER),
    "settlement.refund_unsettled": Finding("was refunded and is not settled in time", _LATER),
    "settlement.cancelled_captured": Finding(
        "is cancelled, and its money was taken and not given back", "the money is given back"
    ),
    "settlement.over_captured": Finding("was captured above the order's total", "it is given back"),
    "settlement.part_captured": Finding(
        "is completed and was not captured whole", "the rest is captured, or the order corrected"
    ),
    # ------------------------------------------------ the books
    "settlement.invoice_missing": Finding(
        "is shipped and has no posted invoice in the ERP", "the ERP posts its invoice"
    ),
    "settlement.invoice_differs": Finding(
        "is invoiced with another amount than it was sold for", "the ERP corrects its invoice"
    ),
    "settlement.invoice_doubled": Finding("is invoiced twice", "the ERP takes one back"),
    "settlement.entry_differs": Finding(
        "is otherwise in the ERP than we posted it", "the ERP's entry is as posted, or taken back"
    ),
    "settlement.no_account": Finding(
        "cannot be posted: the policy names no account for it",
        "`accounts` in policies/settlements.yaml name it",
    ),
    "settlement.no_rate": Finding(
        "cannot be valued: no exchange rate of its day is known",
        "`sync-assets books rates` loads one",
    ),
    "settlement.period_closed": Finding(
        "belongs to a closed period", "the period is opened, or the policy posts it later"
    ),
}
PREFIX = "settlement."
