"""CAMT.053 statements (ISO 20022, versions 001.02 to 001.13) as lines, whatever the namespace.

What the cells are is said in `bank_reports`. No kept library serves, so `defusedxml` reads the XML:
`pycamt` makes floats, `bankstatementparser` holds pandas below 3, and `camt053` leaves out
remittance texts and the amounts inside a batch.
"""

import hashlib
import io
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from xml.etree.ElementTree import Element, ParseError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import iterparse

from resources.systems.camt_entries import (
    CODE,
    Cells,
    Detail,
    day_of,
    decimal,
    detail,
    entry_lines,
    filled,
    is_booked,
    signed,
    text_of,
)
from resources.systems.csv_lines import BrokenRow
from resources.systems.report_files import BrokenLine, RefusedFile, Report, ReportLine

VERSIONS = frozenset(f"{number:02d}" for number in range(2, 14))
CONTAINER = "BkToCstmrStmt"
#: What else a bank sends in the same envelope, by the element that holds it.
OTHER_MESSAGES = {
    "BkToCstmrAcctRpt": "camt.052, a report within the day",
    "BkToCstmrDbtCdtNtfctn": "camt.054, a notification of debits and credits",
    "CstmrPmtStsRpt": "pain.002, a status report of payments",
    "CstmrCdtTrfInitn": "pain.001, an order of credit transfers",
    "CstmrDrctDbtInitn": "pain.008, an order of direct debits",
}
#: Booked balances: opening, of the statement before, closing, and between two pages.
BALANCES = frozenset({"OPBD", "PRCD", "CLBD", "ITBD"})
#: No version nests deeper than twenty; what does is no statement.
DEEPEST = 60

_VERSION = re.compile(r"camt\.053\.001\.(\d\d)")
_MESSAGE = re.compile(r"[a-z]{4}\.\d{3}\.\d{3}\.\d\d")


def read_camt(
    name: str, content: bytes, *, iban: str | None = None, currency: str | None = None
) -> Report:
    """Read the statements of one file; raises RefusedFile.

    `iban` and `currency` are those of the account whose file this is; another one's is refused.
    """
    reading = _Reading(iban, currency)
    try:
        for event, element in iterparse(io.BytesIO(content), ("start", "end"), forbid_dtd=True):
            reading.take(event, element)
    except RefusedFile:
        raise
    except BrokenRow as why:
        raise RefusedFile(f"a statement of it cannot be trusted: {why}") from why
    except DefusedXmlException as fault:
        reason = "it declares a document type or entities, which no statement needs"
        raise RefusedFile(reason) from fault
    except ParseError as fault:
        raise RefusedFile(f"it is no complete XML: {fault}") from fault
    except (ValueError, LookupError) as fault:
        raise RefusedFile("it is no XML in an encoding that we know") from fault
    return reading.report()


# A file while it is read


@dataclass
class _Statement:
    """What is known of a statement before it ends."""

    entries: int = 0
    #: Each line: its number in the file, its cells, the bank's reference of just this line.
    lines: list[tuple[int, Cells, str]] = field(default_factory=list)


class _Reading:
    def __init__(self, iban: str | None, currency: str | None) -> None:
        self.iban, self.currency = _account_id(iban or ""), currency
        self.version: str | None = None
        self.root = ""
        self.open: list[Element] = []
        self.names: list[str] = []
        self.details: list[Detail] = []
        self.statement = _Statement()
        self.accounts: set[str] = set()
        self.message: Cells = {}
        self.number = self.entries = self.not_booked = 0
        self.lines: list[ReportLine] = []
        self.heads: list[Cells] = []
        self.broken: list[BrokenLine] = []

    def take(self, event: str, element: Element) -> None:
        """Follow the parser; an element is read when it ends."""
        if event == "start":
            self._start(element)
            return
        element.tag = self.names[-1]  # only now: the parser compares the names of both ends
        if self._is_understood(element) and len(self.open) > 1:
            self.open[-2].remove(element)
        self.open.pop()
        self.names.pop()

    def report(self) -> Report:
        """What was read of the whole file."""
        if self.version is None:
            raise RefusedFile(f"it is no camt.053 but {self.root}; ask the bank for camt.053")
        if not self.heads:
            raise RefusedFile("it holds no statement")
        heads = enumerate(self.heads, self.number + 1)
        lines = [*self.lines, *(ReportLine(at, {"kind": "statement"}, head) for at, head in heads)]
        facts = {
            "format": f"camt.053.001.{self.version}" if self.version else "camt.053",
            "statements": str(len(self.heads)),
            "entries": str(self.entries),
            "not_booked": str(self.not_booked),
            **{key: self.message[key] for key in self.message if key != "page"},
        }
        return Report("camt.053", lines, self.broken, facts)

    def _start(self, element: Element) -> None:
        space, _, name = element.tag.rpartition("}")
        self.root = self.root or (_MESSAGE.findall(space) or [f"a file of {name[:40]!r}"])[0]
        self.open.append(element)
        self.names.append(name)
        if len(self.names) > DEEPEST:
            raise RefusedFile(f"it nests deeper than {DEEPEST} elements, which no statement does")
        if name == CONTAINER and self.version is None:
            self.version = _version(space)
        elif name in OTHER_MESSAGES and self.version is None:
            reason = f"it is {OTHER_MESSAGES[name]}; only statements (camt.053) are read here"
            raise RefusedFile(reason)

    def _is_understood(self, element: Element) -> bool:
        """Read an element if it is one of ours to read; true: nothing above will ask for it."""
        names = self.names
        match names[-1]:
            case "TxDtls" if names[-5:-1] == [CONTAINER, "Stmt", "Ntry", "NtryDtls"]:
                self.details.append(detail(element))
            case "Ntry" if names[-3:-1] == [CONTAINER, "Stmt"]:
                self._take_entry(element)
            case "Stmt" if names[-2:-1] == [CONTAINER]:
                self._close(element)
            case "GrpHdr":
                page = _page(element, "MsgPgntn")
                self.message = filled(message_id=text_of(element, "MsgId"), page=page)
            case _:
                return "Stmt" not in names and "GrpHdr" not in names
        return True

    def _take_entry(self, element: Element) -> None:
        details, self.details = self.details, []
        self.entries += 1
        self.statement.entries += 1
        self.number += 1
        try:
            if not is_booked(element):
                self.not_booked += 1
                return
            lines = entry_lines(element, details)
        except BrokenRow as why:
            self.broken.append(BrokenLine(self.number, str(why)))
            return
        for place, (cells, reference) in enumerate(lines):
            self.number += 1 if place else 0
            place_of = {"kind": "line", "entry": str(self.statement.entries)}
            if len(lines) > 1:
                place_of["detail"] = str(place + 1)
            self.statement.lines.append((self.number, {**place_of, **cells}, reference))

    def _close(self, element: Element) -> None:
        """Give a statement's lines their facts and keys, once all of them are known."""
        found, self.statement = self.statement, _Statement()
        self._check_account(element)
        lines = [cells for _, cells, _ in found.lines]
        facts = _facts(element, self.message.get("page", ""), self.currency or "", lines)
        if self.currency and facts["currency"] != self.currency:
            told = facts["currency"][:10]
            raise RefusedFile(f"it has a statement in {told}, the account is in {self.currency}")
        # A reversal may show the reference of what it takes back.
        keys = [
            f"{ref}:reversal" if "is_reversal" in cells else ref for _, cells, ref in found.lines
        ]
        seen = Counter(keys)
        for (number, cells, reference), key in zip(found.lines, keys, strict=True):
            if cells["currency"] != facts["currency"]:
                reason = f"is in {cells['currency']}, its statement is in {facts['currency']}"
                self.broken.append(BrokenLine(number, reason))
                continue
            cells["key"] = key if reference and seen[key] == 1 else _digest(facts, cells)
            self.lines.append(ReportLine(number, cells, facts))
        self.heads.append(facts)

    def _check_account(self, statement: Element) -> None:
        told = _account_id(text_of(statement, "Acct/Id/IBAN", "Acct/Id/Othr/Id"))
        self.accounts.add(told)
        if self.iban and told != self.iban:
            whose = f"of the account {_masked(told)}" if told else "of an account it does not name"
            raise RefusedFile(f"it has a statement {whose}, not of {_masked(self.iban)}")
        if len(self.accounts) > 1:
            these = " and ".join(sorted(_masked(one) for one in self.accounts))
            raise RefusedFile(f"it has statements of the accounts {these}; configure the IBAN")


# A statement


def _version(space: str) -> str:
    found = _VERSION.search(space)
    if found and found[1] not in VERSIONS:
        raise RefusedFile(f"it is {found[0]}; we know the versions 001.02 to 001.13")
    return found[1] if found else ""


def _facts(statement: Element, message_page: str, expected: str, lines: Sequence[Cells]) -> Cells:
    """What a statement says of itself."""
    name = text_of(statement, "Id")
    if not name:
        raise RefusedFile("it has a statement without an Id")
    page = _page(statement, "StmtPgntn") or message_page
    balances = list(_balances(statement))
    opening = _balance(balances, ("OPBD", "PRCD"), is_last=False, is_page=bool(page))
    closing = _balance(balances, ("CLBD",), is_last=True, is_page=bool(page))
    days = sorted(cells["booked_on"] for cells in lines)
    made_on = day_of(statement, "CreDtTm")
    opened_on = opening.day if opening and opening.kind == "OPBD" else ""
    until = (closing.day if closing else "") or day_of(statement, "FrToDt/ToDtTm", "FrToDt/ToDt")
    from_ = day_of(statement, "FrToDt/FrDtTm", "FrToDt/FrDt") or opened_on
    until = until or (days[-1] if days else made_on) or from_
    from_ = from_ or (days[0] if days else until)
    if not from_:
        raise RefusedFile(f"its statement {name[:40]} tells no day at all")
    more = filled(
        sequence=text_of(statement, "ElctrncSeqNb"),
        legal_sequence=text_of(statement, "LglSeqNb"),
        page=page,
        opening=opening.amount if opening else "",
        closing=closing.amount if closing else "",
    )
    currencies = [one.currency for one in (opening, closing) if one]
    currency = _currency(
        [text_of(statement, "Acct/Ccy"), *currencies],
        [cells["currency"] for cells in lines] or [expected],
    )
    return {"statement_id": name, "currency": currency, "from": from_, "until": until, **more}


def _currency(head: Sequence[str], lines: Sequence[str]) -> str:
    """The one currency of a statement: without it no sum of it means anything."""
    found = {one for one in head if one} or set(lines)
    if len(found) != 1 or not CODE.fullmatch(next(iter(found))):
        named = " and ".join(sorted(one[:10] for one in found if one)) or "no currency"
        raise RefusedFile(f"a statement of it is in {named}; it must be in one currency")
    return found.pop()


@dataclass(frozen=True)
class _Balance:
    kind: str
    day: str
    currency: str
    amount: str


def _balances(statement: Element) -> Iterator[_Balance]:
    for one in statement.findall("Bal"):
        kind, amount = text_of(one, "Tp/CdOrPrtry/Cd"), one.find("Amt")
        if amount is None or kind not in BALANCES:
            continue
        number = signed(decimal(amount.text or "", "a balance"), text_of(one, "CdtDbtInd"))
        yield _Balance(
            kind,
            day_of(one, "Dt/Dt", "Dt/DtTm"),
            amount.get("Ccy", ""),
            format(number, "f"),
        )


def _balance(
    balances: Sequence[_Balance], kinds: Sequence[str], is_last: bool, is_page: bool
) -> _Balance | None:
    """The outermost balance of the first kind that is told; a page may begin or end with ITBD."""
    for kind in kinds:
        if found := sorted((one for one in balances if one.kind == kind), key=lambda one: one.day):
            return found[-1 if is_last else 0]
    interim = [one for one in balances if one.kind == "ITBD"]
    outer = "OPBD" if is_last else "CLBD"
    is_sure = len(interim) == 2 or any(one.kind == outer for one in balances)
    return interim[-1 if is_last else 0] if interim and is_page and is_sure else None


def _page(element: Element, key: str) -> str:
    """The number of a page, where a statement is cut into several."""
    number, is_last = text_of(element, f"{key}/PgNb"), text_of(element, f"{key}/LastPgInd")
    return "" if number in ("", "1") and is_last in ("", "true", "1") else number


def _account_id(text: str) -> str:
    return re.sub(r"\s", "", text).upper()


def _masked(account: str) -> str:
    """The end of an account's number, enough for whoever knows it."""
    return f"****{account[-4:]}" if len(account) > 8 else "****"


def _digest(facts: Cells, cells: Cells) -> str:
    names = ("statement_id", "sequence", "page", "from", "until")
    place = [facts.get(name, "") for name in names] + [cells["entry"], cells.get("detail", "")]
    return hashlib.sha256("\x1f".join(place).encode()).hexdigest()[:24]
