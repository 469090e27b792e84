"""Bank statements as files: CAMT.053 (read in `camt`) and CSV whose columns are configured. Both
become the same lines; what these mean for us is for the mapper.

A bank's XML has no columns, and only a reader knows how an account's CSV writes days and amounts,
so the cells have names of ours; what a file does not tell is left out:

- `kind`: `line`, or `statement` for the statement itself: one for each, behind all lines and with
  the numbers that follow, so that a statement without entries is there too.
- `key`: what tells the line from the others of the account, the same in every file that repeats
  it. CAMT: the bank's reference if the statement has it once, else a digest of statement and place
  in it. CSV: day, amount and reference, or a digest of the texts, numbered where rows are alike.
- `amount` (plain decimal, credit is positive), `currency`, `booked_on`, `valued_on` (ISO days),
  `is_reversal` (`true`), `bank_reference`, `end_to_end_id`, `counterparty`, `description`,
  `charges` (`1.50 EUR`, as told).
- `entry`, `detail`: place of a CAMT entry in its statement, and in a batch that was taken apart.

Facts of each: `statement_id`, `sequence`, `legal_sequence`, `page`, `currency`, `opening`,
`closing`, `from`, `until`. CSV names no statement: there each day is one, which overlapping
exports tell alike.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import cached_property
from itertools import pairwise
from typing import Protocol

from resources.systems.camt import read_camt
from resources.systems.camt_entries import Cells, without_placeholder
from resources.systems.csv_lines import BrokenRow, Form
from resources.systems.report_files import BrokenLine, RefusedFile, Report, ReportLine

__all__ = ["COLUMNS", "BankAccount", "read_camt", "read_csv"]

COLUMNS = (
    *("booked_on", "valued_on", "amount", "debit", "credit", "currency", "bank_reference"),
    *("end_to_end_id", "counterparty", "description", "balance"),
)
#: ISO 4217 currencies with three digits behind the point.
THREE_DIGITS = frozenset({"BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"})

_MINUS = str.maketrans("\u2212\u2013", "--")
#: Besides whichever of point and comma is not the decimal mark.
_BETWEEN_THOUSANDS = " \u00a0\u202f\u2009'\u2019"
_TEXTS = ("bank_reference", "end_to_end_id", "counterparty", "description")


class BankAccount(Protocol):
    """What of an account's configuration says how its CSV is written."""

    @property
    def currency(self) -> str: ...
    @property
    def columns(self) -> Mapping[str, str]: ...
    @property
    def ignored_columns(self) -> Sequence[str]: ...
    @property
    def encoding(self) -> str: ...
    @property
    def day_format(self) -> str: ...
    @property
    def decimal_comma(self) -> bool: ...


def read_csv(name: str, content: bytes, account: BankAccount) -> Report:
    """Read the rows of one export; raises RefusedFile.

    The delimiter is the one that shows most of the columns. With a column `balance`, each day's
    opening and closing follow from it, whichever way round the rows stand.
    """
    form = Form(COLUMNS, ("booked_on",), account.columns, account.ignored_columns, account.encoding)
    lines, broken = form.read(content)
    if lines and not ("amount" in lines[0].payload or {"debit", "credit"} <= set(lines[0].payload)):
        raise RefusedFile("it lacks the column amount, or both debit and credit")
    hand = _Hand(account.currency, account.day_format, account.decimal_comma)
    rows: list[_Row] = []
    for line in lines:
        try:
            rows.append(hand.row(line.number, line.payload))
        except BrokenRow as why:
            broken.append(BrokenLine(line.number, str(why)))
    broken.sort(key=lambda one: one.number)
    return Report("csv", _report_lines(rows, account.currency), broken, {"format": "csv"})


# One row


@dataclass(frozen=True, slots=True)
class _Row:
    number: int
    amount: Decimal
    balance: Decimal | None
    cells: Cells


class _Hand:
    """How an account's bank writes days and amounts."""

    def __init__(self, currency: str, day_format: str, decimal_comma: bool) -> None:
        self.currency, self.day_format = currency, day_format
        self.mark, self.other = (",", ".") if decimal_comma else (".", ",")
        self.digits = 3 if currency in THREE_DIGITS else 2
        self.days: dict[str, str] = {}

    def row(self, number: int, said: Mapping[str, str]) -> _Row:
        """A row with its day and amount in plain writing; raises BrokenRow."""
        if not said["booked_on"]:
            raise BrokenRow("has no booking day: it is not booked yet, or is no entry")
        currency = (said.get("currency") or self.currency).upper()
        if currency != self.currency:
            raise BrokenRow(f"is not in {self.currency}, the currency of the account")
        amount = self._amount_of(said)
        balance = self.amount("balance", said["balance"]) if said.get("balance") else None
        texts = {name: " ".join(said.get(name, "").split()) for name in _TEXTS}
        for name in ("bank_reference", "end_to_end_id"):
            texts[name] = without_placeholder(texts[name])
        cells = {
            "kind": "line",
            "amount": format(amount, "f"),
            "currency": currency,
            "booked_on": self.day("booked_on", said["booked_on"]),
            "valued_on": self.day("valued_on", said["valued_on"]) if said.get("valued_on") else "",
            **texts,
        }
        told = {name: text for name, text in cells.items() if text}
        return _Row(number, amount, balance, told)

    def _amount_of(self, said: Mapping[str, str]) -> Decimal:
        if said.get("amount"):
            return self.amount("amount", said["amount"])
        sides = {
            side: self.amount(side, said[side]) for side in ("debit", "credit") if said.get(side)
        }
        if not sides:
            raise BrokenRow("has no amount")
        if all(sides.values()) and len(sides) == 2:
            raise BrokenRow("has a debit and a credit")
        # A debit is one with a minus before it and without.
        return sides.get("credit", Decimal()) - abs(sides.get("debit", Decimal()))

    def day(self, column: str, text: str) -> str:
        """An ISO day."""
        if text not in self.days:
            try:
                found = datetime.strptime(text, self.day_format).date()  # noqa: DTZ007 - a day
            except ValueError as fault:
                raise BrokenRow(f"its {column} is no day written as {self.day_format}") from fault
            self.days[text] = found.isoformat()
        return self.days[text]

    def amount(self, column: str, text: str) -> Decimal:
        """An exact amount; raises BrokenRow where nobody can be sure of it."""
        body, is_negative = _unsigned(text)
        found = self._form.fullmatch(body)
        if found is None:
            raise BrokenRow(f"its {column} is no amount with {self.mark!r} before the cents")
        whole, fraction = found["whole"], found["fraction"] or ""
        groups = re.split(r"[^0-9]", whole)
        looks_like_thousands = len(fraction) == 3 and len(groups) == 1 and len(whole) <= 3
        looks_like_fraction = not fraction and len(groups) == 2 and self.other in whole
        if (looks_like_thousands and self.digits < 3 and whole != "0") or (
            looks_like_fraction and self.digits == 3
        ):
            raise BrokenRow(f"its {column} {text[:20]!r} may mean thousands or thousandths")
        number = Decimal("".join(groups) + (f".{fraction}" if fraction else ""))
        return -number if is_negative else number

    @cached_property
    def _form(self) -> re.Pattern[str]:
        between = re.escape(self.other + _BETWEEN_THOUSANDS)
        grouped = (
            rf"[0-9]{{1,3}}(?P<between>[{between}])[0-9]{{3}}(?:(?P=between)[0-9]{{3}}){{0,2}}"
        )
        mark = re.escape(self.mark)
        return re.compile(
            rf"(?P<whole>{grouped}|[0-9]{{1,14}})(?:{mark}(?P<fraction>[0-9]{{1,6}}))?"
        )


def _unsigned(text: str) -> tuple[str, bool]:
    """An amount without its sign, which may stand before or behind it."""
    body = text.translate(_MINUS).strip()
    is_negative = body.startswith("-") or body.endswith("-")
    if body[:1] in ("-", "+"):
        body = body[1:]
    elif body[-1:] in ("-", "+"):
        body = body[:-1]
    return body.strip(), is_negative


# All rows


def _report_lines(rows: Sequence[_Row], currency: str) -> list[ReportLine]:
    """The rows with keys and the facts of their day, and each day behind them."""
    in_order = rows[::-1] if _is_newest_first(rows) else rows
    by_day: dict[str, list[_Row]] = {}
    seen: Counter[str] = Counter()
    for row in in_order:  # so that an export the other way round numbers the same row alike
        by_day.setdefault(row.cells["booked_on"], []).append(row)
        key = _key(row.cells)
        seen[key] += 1
        row.cells["key"] = f"{key}:{seen[key]}" if seen[key] > 1 else key
    facts = {day: _facts(day, currency, by_day[day]) for day in sorted(by_day)}
    lines = [ReportLine(row.number, row.cells, facts[row.cells["booked_on"]]) for row in rows]
    start = rows[-1].number + 1 if rows else 1
    heads = enumerate(facts.values(), start)
    return lines + [ReportLine(number, {"kind": "statement"}, head) for number, head in heads]


def _key(cells: Cells) -> str:
    """A reference alone may come again, for a charge or another day; what a row says stays."""
    reference = cells.get("bank_reference", "")
    if not reference or len(reference) > 60:
        texts = "\x1f".join(cells.get(name, "") for name in _TEXTS)
        reference = hashlib.sha256(texts.encode()).hexdigest()[:16]
    return f"{cells['booked_on']}:{format(Decimal(cells['amount']).normalize(), 'f')}:{reference}"


def _is_newest_first(rows: Sequence[_Row]) -> bool:
    """Whether the last row was booked first: by the balances, without them by the days."""
    oldest = newest = 0
    for one, other in pairwise(rows):
        if one.balance is None or other.balance is None:
            continue
        oldest += other.balance == one.balance + other.amount
        newest += one.balance == other.balance + one.amount
    if oldest != newest or not rows:
        return newest > oldest
    return rows[0].cells["booked_on"] > rows[-1].cells["booked_on"]


def _facts(day: str, currency: str, rows: Sequence[_Row]) -> Cells:
    """A day as a statement, its rows in the order in which they were booked."""
    facts = {"statement_id": day, "currency": currency, "from": day, "until": day}
    told = [(place, row.balance) for place, row in enumerate(rows) if row.balance is not None]
    if told:
        (first, opening), (last, closing) = told[0], told[-1]
        before = sum((row.amount for row in rows[: first + 1]), Decimal())
        after = sum((row.amount for row in rows[last + 1 :]), Decimal())
        facts["opening"] = format(opening - before, "f")
        facts["closing"] = format(closing + after, "f")
    return facts
