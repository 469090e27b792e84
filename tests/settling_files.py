"""Report files as providers and banks write them, a row at a time: Stripe, Adyen, PayPal, a
remittance of cash on delivery, and statements of the dollar and the euro account.
"""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

#: A Monday.
START = datetime(2026, 3, 2, 12, tzinfo=UTC)
IBAN = "DE02120300000000202051"
_STRIPE = (
    *("balance_transaction_id", "source_id", "charge_id", "payment_intent_id", "created_utc"),
    *("currency", "gross", "fee", "net", "reporting_category", "payment_method_type"),
    *("description", "automatic_payout_id", "automatic_payout_effective_at_utc"),
    *("customer_facing_amount", "customer_facing_currency"),
)


def stripe_row(
    key: str,
    category: str,
    gross: str,
    fee: str = "0.00",
    *,
    payout: str = "",
    at: datetime = START,
    **more: str,
) -> str:
    """A balance transaction as Stripe's itemised reports write it; `more` by their columns."""
    cells = {
        "balance_transaction_id": key,
        "created_utc": f"{at:%Y-%m-%d %H:%M:%S}",
        "currency": "usd",
        "gross": gross,
        "fee": fee,
        "net": str(Decimal(gross) - Decimal(fee)),
        "reporting_category": category,
        "automatic_payout_id": payout,
        "automatic_payout_effective_at_utc": f"{at:%Y-%m-%d} 00:00:00" if payout else "",
        **more,
    }
    return ",".join(cells.get(name, "") for name in _STRIPE)


def stripe_charge(number: int, gross: str, fee: str, **more: Any) -> str:
    """The line of a charge `ch_<number>` of the payment intent `pi_<number>`."""
    ids = {"source_id": f"ch_{number}", "charge_id": f"ch_{number}"}
    intent = {"payment_intent_id": f"pi_{number}", "payment_method_type": "card"}
    return stripe_row(f"txn_{number}", "charge", gross, fee, **{**ids, **intent, **more})


def stripe_payout(payout: str, amount: str, *, at: datetime = START) -> str:
    """The line of a payout itself; `amount` is what went to the bank."""
    gross = str(-Decimal(amount))
    return stripe_row(f"txn_{payout}", "payout", gross, payout=payout, source_id=payout, at=at)


def stripe_file(*rows: str) -> str:
    """A report of such rows."""
    return "\n".join((",".join(_STRIPE), *rows)) + "\n"


_ADYEN = (
    *("Company Account", "Merchant Account", "Psp Reference", "Merchant Reference"),
    *("Payment Method", "Creation Date", "TimeZone", "Type", "Modification Reference"),
    *("Gross Currency", "Gross Debit (GC)", "Gross Credit (GC)", "Exchange Rate", "Net Currency"),
    *("Net Debit (NC)", "Net Credit (NC)", "Commission (NC)", "Markup (NC)", "Scheme Fees (NC)"),
    *("Interchange (NC)", "Batch Number"),
)


def adyen_row(
    word: str,
    net: str,
    *,
    psp: str = "",
    movement: str = "",
    fee: str = "0",
    batch: int = 1,
    at: datetime = START,
) -> str:
    """A line of a settlement detail report in euros."""
    gross = Decimal(net) + Decimal(fee)
    cells = {
        "Company Account": "Acme",
        "Merchant Account": "AcmeEurope",
        "Psp Reference": psp,
        "Creation Date": f"{at:%Y-%m-%d %H:%M:%S}",
        "TimeZone": "UTC",
        "Type": word,
        "Modification Reference": movement,
        "Net Currency": "EUR",
        **dict(zip(("Net Debit (NC)", "Net Credit (NC)"), _sides(Decimal(net)), strict=True)),
        "Commission (NC)": fee if Decimal(fee) else "",
        "Batch Number": str(batch),
    }
    if psp:
        cells["Gross Currency"] = "EUR"
        cells["Gross Debit (GC)"], cells["Gross Credit (GC)"] = _sides(gross)
    return ",".join(cells.get(name, "") for name in _ADYEN)


def adyen_file(*rows: str) -> str:
    """A settlement detail report of such rows."""
    return "\n".join((",".join(_ADYEN), *rows)) + "\n"


def adyen_captures(psp: str, *captures: tuple[str, str], at: datetime = START) -> str:
    """A payments accounting report that tells of captures: their references and amounts."""
    head = (
        "Company Account,Merchant Account,Psp Reference,Merchant Reference,Booking Date,TimeZone,"
        "Record Type,Modification Psp Reference,Payment Currency,Original Amount,Captured (PC)"
    )
    rows = [
        f"Acme,AcmeEurope,{psp},,{at:%Y-%m-%d %H:%M:%S},UTC,SentForSettle,{movement},EUR,"
        f"{amount},{amount}"
        for movement, amount in captures
    ]
    return "\n".join((head, *rows)) + "\n"


def _sides(amount: Decimal) -> tuple[str, str]:
    return (f"{-amount}", "") if amount < 0 else ("", f"{amount}")


_PAYPAL = (
    *("Transaction ID", "Invoice ID", "PayPal Reference ID", "PayPal Reference ID Type"),
    *("Transaction Event Code", "Transaction Initiation Date", "Transaction Completion Date"),
    *("Transaction Debit or Credit", "Gross Transaction Amount", "Gross Transaction Currency"),
    *("Fee Debit or Credit", "Fee Amount", "Fee Currency", "Bank Reference ID"),
)


def paypal_row(
    key: str,
    code: str,
    gross: str,
    fee: str = "0",
    *,
    currency: str = "GBP",
    at: datetime = START,
    **more: str,
) -> str:
    """A row of a settlement report; `more`: invoice, reference, reference_type, bank."""
    amount, cost = Decimal(gross), Decimal(fee)
    moment = f"{at:%Y/%m/%d %H:%M:%S} +0000"
    fees = ("DR" if cost > 0 else "CR", f"{abs(cost) * 100:.0f}", currency) if cost else ("",) * 3
    cells = (
        *(key, more.get("invoice", ""), more.get("reference", "")),
        *(more.get("reference_type", "TXN") if more.get("reference") else "", code),
        *(moment, moment, "CR" if amount >= 0 else "DR", f"{abs(amount) * 100:.0f}", currency),
        *(*fees, more.get("bank", "")),
    )
    return ",".join(("SB", *cells))


def paypal_file(*rows: str) -> str:
    """A settlement report of such rows, without balances."""
    return "\n".join(("CH," + ",".join(_PAYPAL), *rows, f"FF,{len(rows)}")) + "\n"


def cod_file(*rows: str) -> str:
    """A remittance: id, order, kind, gross, fee, tax on the fee, net, payout, day, reference."""
    head = (
        "transaction_id,order_reference,kind,gross,fee,fee_tax,net,payout_id,paid_on,"
        "bank_reference,currency"
    )
    return "\n".join((head, *(f"{row},EUR" for row in rows))) + "\n"


def bank_camt(number: int, opening: str, *credits: tuple[str, str], at: datetime = START) -> str:
    """A day's statement of the dollar account: amounts and what the bank's text says."""
    closing = Decimal(opening) + sum((Decimal(amount) for amount, _ in credits), Decimal())
    day = f"{at:%Y-%m-%d}"
    rows = "".join(
        f"<Ntry>{_amount(Decimal(amount))}<Sts>BOOK</Sts><BookgDt><Dt>{day}</Dt></BookgDt>"
        f"<AcctSvcrRef>B{number}-{place}</AcctSvcrRef><NtryDtls><TxDtls>"
        f"<RmtInf><Ustrd>{words}</Ustrd></RmtInf></TxDtls></NtryDtls></Ntry>"
        for place, (amount, words) in enumerate(credits, 1)
    )
    sums = "".join(
        f"<Bal><Tp><CdOrPrtry><Cd>{code}</Cd></CdOrPrtry></Tp>{_amount(amount)}"
        f"<Dt><Dt>{day}</Dt></Dt></Bal>"
        for code, amount in (("OPBD", Decimal(opening)), ("CLBD", closing))
    )
    return (
        '<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.02"><BkToCstmrStmt>'
        f"<GrpHdr><MsgId>S{number}</MsgId><CreDtTm>{day}T20:00:00</CreDtTm></GrpHdr>"
        f"<Stmt><Id>S{number}</Id><ElctrncSeqNb>{number}</ElctrncSeqNb>"
        f"<FrToDt><FrDtTm>{day}T00:00:00</FrDtTm><ToDtTm>{day}T23:59:59</ToDtTm></FrToDt>"
        f"<Acct><Id><IBAN>{IBAN}</IBAN></Id><Ccy>USD</Ccy></Acct>{sums}{rows}"
        "</Stmt></BkToCstmrStmt></Document>"
    )


def _amount(amount: Decimal) -> str:
    side = "CRDT" if amount >= 0 else "DBIT"
    return f'<Amt Ccy="USD">{abs(amount)}</Amt><CdtDbtInd>{side}</CdtDbtInd>'


def bank_csv(*rows: tuple[str, str, str]) -> str:
    """An export of the euro account: day, amount, words."""
    return "\n".join(("booked_on;amount;description", *map(";".join, rows))) + "\n"
