"""An entry of a CAMT.053 statement as lines: the whole of it, or each detail of a batch that comes
to it. Elements have the names of the standard, without namespaces.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from xml.etree.ElementTree import Element

from resources.systems.csv_lines import BrokenRow

Cells = dict[str, str]

#: Joined texts stop here; the mapper cuts to what is kept.
LONGEST = 2000
#: What banks write where there is no reference.
NO_REFERENCE = frozenset({"NOTPROVIDED", "NOTAVAILABLE", "NOTAVAIL", "NONREF", "NOREF", "NONE"})
#: Entries that have not moved the booked balance.
NOT_BOOKED = frozenset({"PDNG", "INFO", "FUTR"})

CODE = re.compile("[A-Z]{3}")
_MONEY = re.compile(r"\+?([0-9]{1,14}(?:\.[0-9]{1,6})?)")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


@dataclass(frozen=True, slots=True)
class Detail:
    """One transaction inside an entry."""

    #: Currency and amount, from each place that may tell it, the best one first.
    amounts: tuple[tuple[str, str], ...]
    direction: str
    cells: Cells
    debtor: str
    creditor: str
    texts: tuple[str, ...]


def is_booked(entry: Element) -> bool:
    """Whether an entry has moved the booked balance; an unknown status raises BrokenRow."""
    status = text_of(entry, "Sts/Cd", "Sts")
    if status != "BOOK" and status not in NOT_BOOKED:
        raise BrokenRow("its status is not BOOK, PDNG, INFO or FUTR: nobody knows if it is booked")
    return status == "BOOK"


def entry_lines(entry: Element, details: Sequence[Detail]) -> list[tuple[Cells, str]]:
    """An entry as one line, or a batch as a line for each detail if these come to its amount.

    Beside each line stands the bank's reference of just this line.
    """
    amount = entry.find("Amt")
    if amount is None:
        raise BrokenRow("has no amount")
    currency = amount.get("Ccy", "")
    if not CODE.fullmatch(currency):
        raise BrokenRow("its amount has no currency code of three capitals")
    direction = text_of(entry, "CdtDbtInd")
    total = signed(decimal(amount.text or "", "its amount"), direction)
    is_reversal = text_of(entry, "RvslInd") in ("true", "1")
    shared = filled(
        currency=currency,
        booked_on=day_of(entry, "BookgDt/Dt", "BookgDt/DtTm", "ValDt/Dt", "ValDt/DtTm"),
        valued_on=day_of(entry, "ValDt/Dt", "ValDt/DtTm"),
        is_reversal="true" if is_reversal else "",
        bank_reference=without_placeholder(text_of(entry, "AcctSvcrRef")),
    )
    if "booked_on" not in shared:
        raise BrokenRow("has neither a booking day nor a value day")
    more = text_of(entry, "AddtlNtryInf")
    parts = _parts(details, currency, direction)
    if len(parts) > 1 and sum(parts) == total:
        return [
            (_cells([one], part, shared, is_reversal, more), one.cells.get("bank_reference", ""))
            for one, part in zip(details, parts, strict=True)
        ]
    cells = _cells(details, total, shared, is_reversal, more)
    if charges := _charges(entry):
        cells["charges"] = charges
    if "bank_reference" in shared:
        cells["bank_reference"] = shared["bank_reference"]
    return [(cells, cells.get("bank_reference", ""))]


def _parts(details: Sequence[Detail], currency: str, direction: str) -> list[Decimal]:
    """The signed amounts of all details, or none where one does not tell it in the currency."""
    parts = []
    for one in details:
        told = next((amount for code, amount in one.amounts if code == currency), None)
        if told is None or not _MONEY.fullmatch(told):
            return []
        parts.append(signed(decimal(told, "an amount"), one.direction or direction))
    return parts


def _cells(
    details: Sequence[Detail], amount: Decimal, shared: Cells, is_reversal: bool, more: str
) -> Cells:
    """The cells of a line; what several details say differently is not said of the line."""
    # The parties of a reversal stand as in what it takes back.
    is_paid_to_us = (amount >= 0) != is_reversal
    parties = {one.debtor if is_paid_to_us else one.creditor for one in details}
    texts: dict[str, None] = {}
    for one in details:
        texts.update(dict.fromkeys(one.texts))
        if sum(map(len, texts)) > LONGEST:
            break
    if more:
        texts[more] = None
    said = filled(
        amount=format(amount, "f"),
        counterparty=parties.pop() if len(parties) == 1 else "",
        description=" ".join(texts)[:LONGEST],
    )
    return {**shared, **(details[0].cells if len(details) == 1 else {}), **said}


def detail(element: Element) -> Detail:
    """Read a `TxDtls`; its amount stands in other places in the older versions."""
    places = ("Amt", "AmtDtls/TxAmt/Amt", "AmtDtls/InstdAmt/Amt")
    found = [amount for place in places if (amount := element.find(place)) is not None]
    reason = text_of(element, "RtrInf/Rsn/Cd", "RtrInf/Rsn/Prtry")
    texts = [
        " ".join(_all(element, "RmtInf/Ustrd")),
        *_all(element, "RmtInf/Strd/CdtrRefInf/Ref"),
        *_all(element, "RmtInf/Strd/RfrdDocInf/Nb"),
        *_all(element, "RmtInf/Strd/AddtlRmtInf"),
        text_of(element, "AddtlTxInf"),
        f"return reason {reason}" if reason else "",
    ]
    return Detail(
        amounts=tuple((one.get("Ccy", ""), (one.text or "").strip()) for one in found),
        direction=text_of(element, "CdtDbtInd"),
        cells=filled(
            bank_reference=without_placeholder(text_of(element, "Refs/AcctSvcrRef")),
            end_to_end_id=without_placeholder(text_of(element, "Refs/EndToEndId")),
            charges=_charges(element),
        ),
        debtor=text_of(element, "RltdPties/Dbtr/Nm", "RltdPties/Dbtr/Pty/Nm"),
        creditor=text_of(element, "RltdPties/Cdtr/Nm", "RltdPties/Cdtr/Pty/Nm"),
        texts=tuple(text for text in texts if text),
    )


def _charges(element: Element) -> str:
    """Charges as told, `1.50 EUR`; in the older versions the amount stands by itself."""
    found = element.findall("Chrgs/TtlChrgsAndTaxAmt")
    found = found or [*element.findall("Chrgs/Rcrd/Amt"), *element.findall("Chrgs/Amt")]
    said = (f"{(one.text or '').strip()} {one.get('Ccy', '')}".strip() for one in found)
    return ", ".join(one for one in said if one)[:LONGEST]


# Values


def text_of(element: Element, *places: str) -> str:
    """The first text that is there, its white space made one; empty: there is none."""
    for place in places:
        if text := " ".join((element.findtext(place) or "").split()):
            return text
    return ""


def _all(element: Element, place: str) -> list[str]:
    found = (" ".join((one.text or "").split()) for one in element.findall(place))
    return [text for text in found if text]


def day_of(element: Element, *places: str) -> str:
    """The day as the bank wrote it: that of a time is the day at the bank."""
    text = text_of(element, *places)[:10]
    return text if _DAY.fullmatch(text) else ""


def decimal(text: str, what: str) -> Decimal:
    found = _MONEY.fullmatch(text.strip())
    if found is None:
        raise BrokenRow(f"{what} is no plain amount without a sign")
    return Decimal(found[1])


def signed(amount: Decimal, direction: str) -> Decimal:
    if amount and direction not in ("CRDT", "DBIT"):
        raise BrokenRow("it does not say whether it is a credit or a debit")
    return -amount if amount and direction == "DBIT" else amount


def filled(**cells: str) -> Cells:
    return {name: text for name, text in cells.items() if text}


def without_placeholder(text: str) -> str:
    """A reference, or nothing where the bank says in words that there is none."""
    return "" if re.sub(r"[\s_-]", "", text).upper() in NO_REFERENCE else text
