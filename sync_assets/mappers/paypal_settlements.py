"""PayPal's settlements in our words: rows of its report files and transactions of its search.
Pure; what webhooks say is in `paypal_notices`.

A balance at PayPal is not paid out at once, so a day's statement of one currency is the batch:
`<provider>:<YYYYMMDD>:<currency>`. In a file the day is that of the completion date in the offset
it is written with, which is the report's own zone. Over the API it is the day in UTC, as it is
asked for: an account is read one way or the other, or its days hold other lines. Every money line
gives a `payouts` row of kind `statement` whose paid amount is 0: what went to the bank is the sum
of the day's lines of kind `payout`, which a step adds up.

Files: amounts without sign in hundredths of every currency, CR or DR beside them; "100,00 yen and
$100.00 USD are both represented as 10000" (PayPal's settlement report specification), and samples
agree: 150 yen paid, 43 yen fee. A yen amount with a part of a yen refutes that, and is rejected.
API: signed decimals; a fee taken is negative.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal

from sync_assets.domain.orders import Row
from sync_assets.domain.payments import EventKind, Found, SettledKind, ToldBy
from sync_assets.mappers.paypal_codes import (
    AUTHORISATION,
    CODES,
    DISPLAY_ONLY,
    GROUPS,
    MOVED,
    NOT_MOVED,
    VOID,
)
from sync_assets.mappers.paypal_notices import notice
from sync_assets.mappers.paypal_values import (
    ZERO,
    Cells,
    Payload,
    balance,
    currency_of,
    cut,
    event_row,
    fee_units,
    id_of,
    mapping,
    missing,
    moment,
    money_of,
    same_currency,
    stamp,
    units,
    unread,
)

__all__ = ["OBJECTS", "notice", "report_line", "transaction"]

K = SettledKind
_CODE = re.compile(r"T[0-9]{4}", re.ASCII)

#: Lines that name the payment they belong to as their reference.
_OF_A_PAYMENT = frozenset(
    {
        K.REFUND,
        K.CHARGEBACK,
        K.CHARGEBACK_REVERSED,
        K.RESERVE_HELD,
        K.RESERVE_RELEASED,
        K.ADJUSTMENT,
    }
)
#: Lines whose reference is what they share with others: an order, an authorisation, a chargeback.
_OF_A_GROUP = frozenset({K.SALE, K.CONVERSION, K.FEE})
_BY_THE_CUSTOMER = frozenset({K.SALE, K.REFUND, K.CHARGEBACK, K.CHARGEBACK_REVERSED})
#: The money PayPal took back or gave back; nobody else tells of it.
_TOLD_AS = {
    K.CHARGEBACK: EventKind.CHARGEBACK,
    K.CHARGEBACK_REVERSED: EventKind.CHARGEBACK_REVERSED,
}


@dataclass(frozen=True)
class Booking:
    """One transaction, however it was told; `gross` is signed, `fee` is a cost where positive."""

    id: str
    code: str
    status: str
    gross: Decimal
    fee: Decimal
    currency: str
    booked_at: datetime
    day: date
    reference: str | None
    reference_type: str | None
    invoice: str | None
    custom: str | None
    bank_reference: str | None
    told_by: ToldBy
    file: str | None = None
    line: int = 0
    opening: Decimal | None = None
    closing: Decimal | None = None


def report_line(provider: str, payload: Payload) -> Found:
    """What one row of a report says: {file, line, kind, facts, row}, the row by PayPal's columns.

    The same transaction in a settlement and in a transaction report gives the same line.
    """
    if payload["kind"] == "sar":
        return Found()  # agreements to pay; what is paid by them stands in the other reports
    row, facts = Cells(mapping(payload, "row")), mapping(payload, "facts")
    currency = currency_of(row.needed("Gross Transaction Currency"))
    booked_at = stamp(row.needed("Transaction Completion Date"))
    is_opened_then = str(facts.get("from", ""))[:10] == f"{booked_at:%Y/%m/%d}"
    balances = facts if is_opened_then else {}
    # A settlement report lists what moved the balance, and has no status.
    status = row.said(STATUS_COLUMN) or ("S" if payload["kind"] == "stl" else None)
    return _found(
        provider,
        Booking(
            id=id_of(row.needed("Transaction ID"), "Transaction ID"),
            code=row.needed("Transaction Event Code"),
            status=status or missing(STATUS_COLUMN),
            gross=units(row, "Gross Transaction Amount", "Transaction Debit or Credit", currency),
            fee=-fee_units(row, currency),
            currency=currency,
            booked_at=booked_at.astimezone(UTC),
            day=booked_at.date(),
            reference=row.said("PayPal Reference ID"),
            reference_type=row.said("PayPal Reference ID Type"),
            invoice=row.said("Invoice ID"),
            custom=row.own("Custom Field"),
            bank_reference=row.said("Bank Reference ID"),
            told_by=ToldBy.FILE,
            file=str(payload["file"]),
            line=int(payload["line"]),
            opening=balance(balances.get(f"beginning:{currency}")),
            closing=balance(balances.get(f"ending:{currency}")),
        ),
    )


def transaction(provider: str, payload: Payload) -> Found:
    """What one item of the transaction search says: {transaction_info: {...}, ...}.

    A completed transaction was last changed when it completed; one that was reversed later was
    changed then, and its beginning is the best that is told.
    """
    info = mapping(payload, "transaction_info")
    row = Cells(info)
    gross, currency = money_of(info, "transaction_amount")
    fee, fee_currency = (
        money_of(info, "fee_amount") if info.get("fee_amount") is not None else (ZERO, currency)
    )
    same_currency("fee_amount", fee_currency, currency)
    status = row.needed("transaction_status")
    began = "transaction_initiation_date"
    last = "transaction_updated_date" if status != "V" else began
    booked_at = moment(row.said(last) or row.needed(began), last)
    return _found(
        provider,
        Booking(
            id=id_of(row.needed("transaction_id"), "transaction_id"),
            code=row.needed("transaction_event_code"),
            status=status,
            gross=gross,
            fee=-fee,
            currency=currency,
            booked_at=booked_at,
            day=booked_at.date(),
            reference=row.said("paypal_reference_id"),
            reference_type=row.said("paypal_reference_id_type"),
            invoice=row.said("invoice_id"),
            custom=row.own("custom_field"),
            bank_reference=row.said("bank_reference_id"),
            told_by=ToldBy.API,
        ),
    )


#: What the mapper reads of the API, by the client's name of the thing.
OBJECTS: Mapping[str, Callable[[str, Payload], Found]] = {"transactions": transaction}
STATUS_COLUMN = "Transactional Status"


def _found(provider: str, said: Booking) -> Found:
    if said.status not in MOVED | NOT_MOVED:
        raise unread("status", f"is {said.status[:10]!r}, a word we do not know")
    group = said.code[1:3] if _CODE.fullmatch(said.code) else ""
    if group == DISPLAY_ONLY:
        return Found()
    if group == AUTHORISATION:
        return _authorisation(provider, said)
    if said.status in NOT_MOVED:
        return _not_moved(provider, said, group)
    kind, words = _meaning(said, group)
    line = _line(provider, said, kind, words)
    found = Found(lines=[line], payouts=[_statement(provider, said)])
    if kind in _TOLD_AS:
        found.events.append(_event(provider, _TOLD_AS[kind], said, line["payment_id"], words))
    return found


def _meaning(said: Booking, group: str) -> tuple[SettledKind, str]:
    """The kind of a line, and the words for it."""
    meaning = CODES.get(said.code) or GROUPS.get(group)
    side = "credit" if said.gross >= 0 else "debit"
    if meaning is None:
        return K.ADJUSTMENT, f"unknown type {said.code[:20]}: {side}"
    kind = meaning.credit if said.gross >= 0 else meaning.debit
    return kind, f"{said.code} {meaning.words}, {side}"


def _authorisation(provider: str, said: Booking) -> Found:
    """Money that is only set aside: an event, whatever its status but denied."""
    if said.status == "D":
        return Found()
    is_void = said.code == VOID or said.status == "V"
    kind = EventKind.VOIDED if is_void else EventKind.AUTHORISED
    return Found(events=[_event(provider, kind, said, None, said.code, group_id=said.id)])


def _not_moved(provider: str, said: Booking, group: str) -> Found:
    """A denied payment has failed; of whatever else is pending or denied nothing is known yet."""
    if said.status == "D" and group == "00" and said.gross > 0:
        return Found(
            events=[
                _event(provider, EventKind.CAPTURE_FAILED, said, said.id, f"{said.code} denied")
            ]
        )
    return Found()


def _line(provider: str, said: Booking, kind: SettledKind, words: str) -> Row:
    reference = said.reference if said.reference_type in ("TXN", "ODR") else None
    payment_id = reference if kind in _OF_A_PAYMENT else None
    order = said.invoice or said.custom
    told = [words]
    if said.custom and said.custom != order:
        told.append(f"custom {said.custom}")
    if said.bank_reference:
        told.append(f"bank reference {said.bank_reference}")
    return {
        "line_ref": f"{provider}:{said.id}",
        "provider": provider,
        "kind": str(kind),
        "payout_ref": _statement_ref(provider, said),
        "payment_id": said.id if kind is K.SALE else payment_id,
        "group_id": reference if kind in _OF_A_GROUP else None,
        "movement_id": said.id,
        "order_reference": order,
        "method": "paypal" if kind in _BY_THE_CUSTOMER else None,
        "currency": said.currency,
        "gross_amount": said.gross,
        "fee_amount": said.fee,
        "fee_tax_amount": ZERO,
        "net_amount": said.gross - said.fee,
        "paid_amount": None,
        "paid_currency": None,
        "exchange_rate": None,
        "occurred_at": said.booked_at,
        "description": cut("; ".join(told)),
        "fee_detail": None,
        "told_by": str(said.told_by),
        "file_name": said.file,
        "file_line": said.line,
    }


def _statement_ref(provider: str, said: Booking) -> str:
    return f"{provider}:{said.day:%Y%m%d}:{said.currency}"


def _statement(provider: str, said: Booking) -> Row:
    """The day's statement the line stands in; its bank reference is that of a withdrawal."""
    return {
        "payout_ref": _statement_ref(provider, said),
        "provider": provider,
        "payout_id": f"{said.day:%Y%m%d}:{said.currency}",
        "kind": "statement",
        "currency": said.currency,
        "paid_amount": ZERO,
        "opening_amount": said.opening,
        "closing_amount": said.closing,
        "paid_on": said.day,
        "state": "paid",
        "bank_reference": said.bank_reference,
    }


def _event(
    provider: str,
    kind: EventKind,
    said: Booking,
    payment_id: str | None,
    reason: str,
    group_id: str | None = None,
) -> Row:
    return event_row(
        provider,
        kind,
        said.id,
        payment_id=payment_id,
        group_id=group_id,
        order_reference=said.invoice or said.custom,
        money=(said.gross, said.currency),
        happened_at=said.booked_at,
        reason=reason,
    )
