"""PayPal's transaction event codes and what each is to us; tables only."""

from dataclasses import dataclass

from sync_assets.domain.payments import SettledKind

K = SettledKind


@dataclass(frozen=True)
class Meaning:
    """What transactions of one code are, when they credit us and when they debit us."""

    words: str
    credit: SettledKind
    debit: SettledKind


def _both(words: str, kind: SettledKind) -> Meaning:
    return Meaning(words, kind, kind)


_HOLD = (K.RESERVE_RELEASED, K.RESERVE_HELD)
_CHARGEBACK = (K.CHARGEBACK_REVERSED, K.CHARGEBACK)
#: By PayPal's event groups, of which it says that they are enough for reconciliation
#: (developer.paypal.com/docs/reports/reference/tcodes). A payment that we sent is no sale.
GROUPS = {
    "00": Meaning("payment", K.SALE, K.ADJUSTMENT),
    "01": _both("fee", K.FEE),
    "02": _both("currency conversion", K.CONVERSION),
    "03": _both("deposit from bank", K.TOPUP),
    "04": Meaning("withdrawal to bank", K.PAYOUT_RETURNED, K.PAYOUT),
    "05": _both("debit card", K.ADJUSTMENT),
    "06": _both("credit card withdrawal", K.ADJUSTMENT),
    "07": _both("credit card deposit", K.ADJUSTMENT),
    "08": _both("bonus", K.ADJUSTMENT),
    "09": _both("incentive", K.ADJUSTMENT),
    "10": _both("bill pay", K.ADJUSTMENT),
    "14": _both("dividend", K.ADJUSTMENT),
    "15": Meaning("hold", *_HOLD),
    "16": _both("buyer credit deposit", K.ADJUSTMENT),
    "17": _both("withdrawal to a non-bank", K.ADJUSTMENT),
    "18": _both("buyer credit withdrawal", K.ADJUSTMENT),
    "19": _both("account correction", K.ADJUSTMENT),
    "20": _both("transfer between accounts", K.ADJUSTMENT),
    "22": _both("transfer", K.ADJUSTMENT),
    "30": Meaning("generic instrument", K.SALE, K.ADJUSTMENT),
    "50": _both("deferred disbursement", K.ADJUSTMENT),
    "97": _both("account payable or receivable", K.ADJUSTMENT),
    "99": _both("other", K.ADJUSTMENT),
}
#: Groups 11 (reversals), 12 (account adjustments) and 21 (reserves) have codes of several kinds;
#: a code of theirs that is not here is unknown.
CODES = {
    "T1100": _both("general reversal", K.ADJUSTMENT),
    "T1101": _both("reversal of withdrawal", K.PAYOUT_RETURNED),
    "T1102": _both("reversal of debit card", K.ADJUSTMENT),
    "T1103": _both("reversal of points", K.ADJUSTMENT),
    "T1104": _both("reversal of deposit", K.TOPUP),
    "T1105": Meaning("reversal of hold", *_HOLD),
    "T1106": Meaning("payment reversal", *_CHARGEBACK),
    "T1107": Meaning("refund", K.ADJUSTMENT, K.REFUND),
    "T1108": _both("fee reversal", K.FEE),
    "T1109": _both("fee refund", K.FEE),
    "T1110": Meaning("hold for dispute investigation", *_HOLD),
    "T1111": Meaning("cancellation of hold for dispute", *_HOLD),
    "T1112": _both("MAM reversal", K.ADJUSTMENT),
    "T1113": Meaning("non-reference credit", K.ADJUSTMENT, K.REFUND),
    "T1114": _both("mass payment reversal", K.ADJUSTMENT),
    "T1115": _both("mass payment refund", K.ADJUSTMENT),
    "T1116": _both("instant payment review reversal", K.ADJUSTMENT),
    "T1117": _both("rebate reversal", K.ADJUSTMENT),
    "T1118": _both("generic instrument reversal, seller", K.ADJUSTMENT),
    "T1119": _both("generic instrument reversal, buyer", K.ADJUSTMENT),
    "T1200": _both("account adjustment", K.ADJUSTMENT),
    "T1201": Meaning("chargeback", *_CHARGEBACK),
    "T1202": Meaning("chargeback reversal", *_CHARGEBACK),
    "T1203": _both("charge-off", K.ADJUSTMENT),
    "T1204": _both("incentive adjustment", K.ADJUSTMENT),
    "T1205": Meaning("reimbursement of chargeback", *_CHARGEBACK),
    "T1207": Meaning("chargeback re-presentment rejection", *_CHARGEBACK),
    "T1208": Meaning("chargeback cancellation", *_CHARGEBACK),
    "T2101": Meaning("general hold", *_HOLD),
    "T2102": Meaning("general hold release", *_HOLD),
    "T2103": Meaning("reserve hold", *_HOLD),
    "T2104": Meaning("reserve release", *_HOLD),
    "T2105": Meaning("payment review hold", *_HOLD),
    "T2106": Meaning("payment review release", *_HOLD),
    "T2107": Meaning("payment hold", *_HOLD),
    "T2108": Meaning("payment hold release", *_HOLD),
    "T2109": _both("gift certificate purchase", K.ADJUSTMENT),
    "T2110": _both("gift certificate redemption", K.ADJUSTMENT),
    "T2111": Meaning("funds not yet available", *_HOLD),
    "T2112": Meaning("funds available", *_HOLD),
    "T2113": Meaning("blocked payments", *_HOLD),
}
AUTHORISATION, DISPLAY_ONLY = "13", "98"
VOID = "T1302"
#: Completed, reversed later, pending, denied. What is reversed did move: its way back is a
#: transaction of its own, and settlement reports list both. Pending and denied ones move nothing.
MOVED, NOT_MOVED = frozenset({"S", "V"}), frozenset({"P", "D"})
