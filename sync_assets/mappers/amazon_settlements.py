"""Rows of Amazon's settlement report in our words. Pure.

Every row is one amount of one article, fee or reserve, and becomes a line of its own: its gross is
the amount as it stands there, its fee is nothing, for Amazon tells fees as rows. What an order came
to is the sum of its lines; they share `payment_id`, the id of the order. The head of a settlement
is the payout of everything above and below it, so that all lines of a settlement come to nothing.

A deployment has its settlement lines from this report alone. What the API says of the same money
(mapper `amazon_finances`) has other ids and another grain, and gives events only.
https://developer-docs.amazon.com/sp-api/docs/report-type-values-settlement
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any

from sync_assets.domain.money import digits_of
from sync_assets.domain.orders import Problem, Rejected, Row
from sync_assets.domain.payments import LONGEST_TEXT, Found, SettledKind, ToldBy
from sync_assets.mappers.payload import storable

Payload = Mapping[str, Any]
Cells = Mapping[str, str]
ZERO = Decimal()

S = SettledKind
#: What prices and discounts of articles are, by the transaction they stand in. Claims of the
#: A-to-z guarantee are decided by Amazon against the seller, as a bank decides a chargeback.
#: A retrocharge corrects the tax of a sale later; it is none of what the customer paid then.
PRICED: Mapping[str, SettledKind] = {
    "order": S.SALE,
    "tbyb order payment": S.SALE,
    "refund": S.REFUND,
    "chargeback refund": S.CHARGEBACK,
    "a-to-z guarantee refund": S.CHARGEBACK,
    **dict.fromkeys(("order_retrocharge", "refund_retrocharge"), S.ADJUSTMENT),
    **dict.fromkeys(("liquidations", "liquidations adjustments"), S.ADJUSTMENT),
}
PRICES = frozenset({"itemprice", "promotion"})
FEES = frozenset(
    {
        *("itemfees", "itemrelatedfees", "orderfees", "shipmentfees", "otherfees"),
        *("cost of advertising", "costofadvertising", "couponredemptionfee"),
    }
)
#: Transactions that are fees, whatever their parts are called.
FEE_TRANSACTIONS = frozenset({"servicefee", "fbafees", "fba inventory fee"})
#: Taxes that the marketplace, or India, takes from the seller and pays itself.
WITHHELD = frozenset({"itemwithheldtax", "itemtcs", "itemtds"})
WITHHELD_WORDS = ("marketplacefacilitatortax", "marketplacefacilitatorvat", "lowvaluegoodstax")
#: Descriptions that stand for themselves, mostly of `other-transaction`.
DESCRIBED: Mapping[str, SettledKind] = {
    "current reserve amount": S.RESERVE_HELD,
    "previous reserve amount balance": S.RESERVE_RELEASED,
    **dict.fromkeys(
        (
            *("subscription fee", "storage fee", "storagerenewalbilling", "removalcomplete"),
            *("disposalcomplete", "disposal complete", "manual processing fee"),
            *("inbound transportation fee", "inbound defect fee", "lightning deal fee"),
            *("fba long-term storage", "shipping label purchase"),
            "shipping label purchase for return",
        ),
        S.FEE,
    ),
    **dict.fromkeys(
        (
            # What a settlement below nothing owes, and that a card was charged for it: the money
            # came in as the payout of that settlement, and these two rows of the next take it back.
            *("payable to amazon", "successful charge", "micro deposit"),
            *("balance adjustment", "balanceadjustment", "adjustment", "buyerrecharge", "goodwill"),
            *("safe-t reimbursement", "warehouse_damage", "warehouse_lost", "missing_from_inbound"),
            *("reversal_reimbursement", "compensated_clawback", "customer_return"),
            *("nonsubscriptionfeeadj", "non-subscription fee adjustment"),
            "manual processing fee reimbursement",
        ),
        S.ADJUSTMENT,
    ),
}
#: Types that are adjustments, whatever their descriptions are.
ADJUSTING = frozenset({"fba inventory reimbursement", "directpayment"})
RETURNED = "transfer of funds unsuccessful"

_CURRENCY = re.compile(r"[A-Z]{3}")
_MINUS = str.maketrans("\u2212\u2013", "--")
#: A mark and three digits behind it: thousands in one country, a fraction in another.
_DOUBTFUL = re.compile(r"-?[1-9][0-9]{0,2}[.,][0-9]{3}")
_PLAIN = re.compile(r"-?[0-9]{1,12}(?:[.,][0-9]{1,6})?")
_GROUPED = re.compile(
    r"(?P<whole>-?[1-9][0-9]{0,2}(?P<between>[., \u00a0\u202f'])[0-9]{3}"
    r"(?:(?P=between)[0-9]{3}){0,2})"
    r"(?:(?!(?P=between))[.,](?P<fraction>[0-9]{1,6}))?"
)
_STAMP = re.compile(
    r"(?:(?P<year>\d{4})(?P<mark>[-/.])(?P<month>\d\d?)(?P=mark)(?P<day>\d\d?)"
    r"|(?P<day_>\d\d?)\.(?P<month_>\d\d?)\.(?P<year_>\d{4}))"
    r"(?:[ T](?P<time>\d\d?:\d\d:\d\d)(?:\.\d+)?)?"
    r" ?(?P<zone>UTC|GMT|Z|[+-]\d\d:\d\d)?",
    re.ASCII,
)


def report_line(provider: str, payload: Payload) -> Found:
    """One line of a settlement; its head also as a payout for itself; raises Rejected."""
    row, facts = payload["row"], payload["facts"]
    if _text(row, "amount") is None and _text(row, "total-amount") is not None:
        return _head(provider, payload)
    settlement = _needed(row, "settlement-id")
    currency = _currency(row, facts)
    amount = amount_of(_needed(row, "amount"), "amount", currency)
    kind, description = _meaning(row)
    order = _text(row, "order-id")
    line = _line(payload) | {
        "line_ref": f"{provider}:{settlement}:{payload['line']}",
        "provider": provider,
        "kind": str(kind),
        "payout_ref": f"{provider}:{settlement}",
        "payment_id": order,
        "group_id": order,
        "movement_id": _text(row, "adjustment-id") or _text(row, "shipment-id"),
        "order_reference": _own(row, "merchant-order-id") or order,
        "currency": currency,
        "gross_amount": amount,
        "net_amount": amount,
        "occurred_at": _posted_at(row),
        "description": description,
    }
    return Found(lines=[line])


def _head(provider: str, payload: Payload) -> Found:
    row = payload["row"]
    settlement = _needed(row, "settlement-id")
    currency = _currency(row, {})
    total = amount_of(_needed(row, "total-amount"), "total-amount", currency)
    dated = "deposit-date" if _text(row, "deposit-date") else "settlement-end-date"
    paid_at = moment_of(_needed(row, dated), dated)
    payout: Row = {
        "payout_ref": f"{provider}:{settlement}",
        "provider": provider,
        "payout_id": settlement,
        "kind": "payout",
        "currency": currency,
        "paid_amount": total,
        "opening_amount": None,
        "closing_amount": None,
        "paid_on": paid_at.date(),
        "state": "paid",
        "bank_reference": None,
    }
    line = _line(payload) | {
        "line_ref": f"{provider}:{settlement}:payout",
        "provider": provider,
        "kind": str(S.PAYOUT),
        "payout_ref": payout["payout_ref"],
        "movement_id": settlement,
        "currency": currency,
        "gross_amount": ZERO - total,
        "net_amount": ZERO - total,
        "occurred_at": paid_at,
        "description": cut(f"payout of settlement {settlement}"),
    }
    return Found(lines=[line], payouts=[payout])


def _line(payload: Payload) -> Row:
    """What lines of a settlement have in common."""
    return {
        "payment_id": None,
        "group_id": None,
        "movement_id": None,
        "order_reference": None,
        "method": None,
        "fee_amount": ZERO,
        "fee_tax_amount": ZERO,
        "paid_amount": None,
        "paid_currency": None,
        "exchange_rate": None,
        "fee_detail": None,
        "told_by": str(ToldBy.FILE),
        "file_name": payload["file"],
        "file_line": payload["line"],
    }


# What a row is


def _meaning(row: Cells) -> tuple[SettledKind, str]:
    names = ("transaction-type", "amount-type", "amount-description")
    return _meaning_of(*(_text(row, name) or "" for name in names))


@lru_cache(maxsize=4096)
def _meaning_of(transaction: str, of_type: str, described: str) -> tuple[SettledKind, str]:
    """The kind of a row and its words; an unknown one is an adjustment that says so."""
    words = _words([transaction, of_type, described])
    kind = _kind(transaction.casefold(), of_type.casefold(), described.casefold())
    if kind is not None:
        return kind, cut(words)
    unknown = transaction if of_type.casefold() in PRICES else of_type
    if of_type.casefold() in ("", "other-transaction"):
        unknown = described
    return S.ADJUSTMENT, cut(f"unknown type {unknown}: {words}")


def _kind(transaction: str, of_type: str, described: str) -> SettledKind | None:
    if of_type in WITHHELD or described.startswith(WITHHELD_WORDS):
        return S.TAX_WITHHELD
    if of_type in PRICES:
        return PRICED.get(transaction)
    if of_type in FEES or transaction in FEE_TRANSACTIONS:
        return S.FEE
    if described.startswith(RETURNED):
        return S.PAYOUT_RETURNED
    if described in DESCRIBED:
        return DESCRIBED[described]
    return S.ADJUSTMENT if of_type in ADJUSTING else None


def _words(words: list[str]) -> str:
    """The words once each; `other-transaction` says nothing beside a description."""
    told = [one for one in dict.fromkeys(words) if one and one.casefold() != "other-transaction"]
    return " ".join(told) or words[0]


# Cells, also for the mapper of the API


def unread(part: str, message: str) -> Rejected:
    """What is raised where a part cannot be read; the message has no value of a person."""
    return Rejected([Problem("thing.malformed", part, message)])


def cut(text: str) -> str:
    """As much of somebody's words as is kept."""
    return storable(text)[:LONGEST_TEXT]


def amount_of(text: str, part: str, currency: str) -> Decimal:
    """Exact money, written with a point or a comma: `95.00`, `95,00`, `1.234,56`, `-1,234.56`.

    `1.234` is refused: it is twelve hundred in Germany and one and a bit in Ireland.
    """
    text = text.translate(_MINUS)
    grouped = _GROUPED.fullmatch(text)
    if _DOUBTFUL.fullmatch(text) and digits_of(currency) != 0:
        raise unread(part, "may be thousands or a fraction; book the row by hand")
    if grouped:
        whole = grouped["whole"].replace(grouped["between"], "")
        return Decimal(f"{whole}.{grouped['fraction'] or 0}") + ZERO
    if not _PLAIN.fullmatch(text):
        raise unread(part, "is not a plain amount")
    return Decimal(text.replace(",", ".")) + ZERO


@lru_cache(maxsize=4096)
def moment_of(text: str, part: str) -> datetime:
    """A moment as `2023-07-21 07:55:17 UTC` or `21.07.2023 07:55:17 UTC`; a bare day is its start.

    Days with strokes, `09/06/25`, are refused: the same report writes them in either order.
    """
    found = _STAMP.fullmatch(text)
    if found is None:
        raise unread(part, "is not a date and time of the report")
    year, month, day = (found[name] or found[f"{name}_"] for name in ("year", "month", "day"))
    time = found["time"] or "00:00:00"
    zone = found["zone"] if (found["zone"] or "").startswith(("+", "-")) else "+00:00"
    try:
        moment = datetime.fromisoformat(f"{year}-{month:0>2}-{day:0>2}T{time:0>8}{zone}")
        return moment.astimezone(UTC)
    except (ValueError, OverflowError) as fault:
        raise unread(part, "is no such date and time") from fault


def currency_of(text: object, part: str) -> str:
    """A currency code."""
    if not isinstance(text, str) or not _CURRENCY.fullmatch(text):
        raise unread(part, "is not a currency code of three capitals")
    return text


def _posted_at(row: Cells) -> datetime:
    name = "posted-date-time" if _text(row, "posted-date-time") else "posted-date"
    return moment_of(_needed(row, name), name)


def _currency(row: Cells, facts: Cells) -> str:
    return currency_of(_text(row, "currency") or _text(facts, "currency"), "currency")


def _text(row: Cells, name: str) -> str | None:
    return cut(row.get(name, "").strip()) or None


def _own(row: Cells, name: str) -> str | None:
    """What the shop calls it; an address of a person is not kept."""
    found = _text(row, name)
    return None if found is None or "@" in found else found


def _needed(row: Cells, name: str) -> str:
    found = _text(row, name)
    if found is None:
        raise unread(name, "is missing")
    return found
