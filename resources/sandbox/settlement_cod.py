"""Payouts of cash on delivery as CSV remittances with a row per parcel and one of the payout; signs
are written, and fees are positive where they were taken.
"""

from collections.abc import Iterable

from resources.sandbox.settlement_facts import Move, Payout

HEAD = (
    "transaction_id,order_reference,kind,occurred_at,currency,gross,fee,fee_tax,net,"
    "payout_id,paid_on,bank_reference"
)


def report(payout: Payout) -> tuple[str, bytes]:
    """The name and content of a remittance."""
    amount = -payout.amount
    last = (
        f"{payout.id},,payout,{payout.day}T06:00:00Z,{payout.currency},{amount},0.00,0.00,{amount}"
    )
    rows = [HEAD, *(row(one, payout) for one in payout.moves), f"{last},{_payout(payout)}"]
    return f"remittance_{payout.day}_{payout.id}.csv", ("\r\n".join(rows) + "\r\n").encode()


def correction(moves: Iterable[Move], payout: Payout) -> tuple[str, bytes]:
    """A file with only some rows of a payout, told again."""
    rows = [HEAD, *(row(one, payout) for one in moves)]
    return f"remittance_{payout.day}_{payout.id}_again.csv", ("\r\n".join(rows) + "\r\n").encode()


def row(move: Move, payout: Payout) -> str:
    """One line."""
    kind = move.type or move.kind
    return (
        f"{move.id},{move.reference},{kind},{move.at:%Y-%m-%dT%H:%M:%SZ},{move.currency},"
        f"{move.gross},{move.fee},{move.fee_tax},{move.net},{_payout(payout)}"
    )


def _payout(payout: Payout) -> str:
    return f"{payout.id},{payout.day},{payout.bank_reference}"
