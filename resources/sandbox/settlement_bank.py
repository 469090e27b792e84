"""Bank statements of the generated year: what providers pay, and what has nothing to do with them;
CAMT.053 with one statement per day and file, or CSV with one file per week.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from random import Random
from xml.sax.saxutils import escape

from resources.sandbox.settlement_facts import ZERO, Transfer
from resources.sandbox.settlement_terms import BANKS, DAY, PROVIDERS, Bank, business_day, days

#: Who pays us or is paid beside the providers.
LANDLORD, STAFF, WHOLESALE, OWN_BANK = (
    *("Harbour Estates Ltd", "Wages and salaries", "Corner Shops Wholesale"),
    "Interest of the bank",
)
OTHERS = (LANDLORD, STAFF, WHOLESALE, OWN_BANK)
OPENING = {"main_usd": "82000.00", "spare_usd": "10000.00", "main_gbp": "64000.00"}
CSV_HEAD = (
    "booked_on;valued_on;amount;currency;bank_reference;end_to_end_id;counterparty;description;"
    "balance"
)


@dataclass(slots=True)
class Entry:
    """One booking."""

    bank: str
    day: date
    amount: Decimal
    counterparty: str
    text: str
    reference: str = ""
    is_reversal: bool = False
    #: In the balance, and not told.
    is_untold: bool = False
    #: The planted kind whose subject it is.
    plant: str = ""


@dataclass(slots=True)
class Day:
    """The statement of one day."""

    bank: Bank
    day: date
    number: int
    opening: Decimal
    entries: list[Entry] = field(default_factory=list)
    fault: str = ""

    @property
    def closing(self) -> Decimal:
        """Balance in the evening."""
        return sum((one.amount for one in self.entries), self.opening)

    @property
    def id(self) -> str:
        """The bank's name of the statement."""
        return f"{self.bank.name.upper()}-{self.number:04d}"

    @property
    def is_ours(self) -> bool:
        """Nothing of a provider stands in it."""
        return all(one.counterparty in OTHERS for one in self.entries)


def arrives(transfer: Transfer) -> date:
    """The next working day."""
    return business_day(transfer.day + DAY)


def entries_of(transfer: Transfer) -> list[Entry]:
    """What the bank books of a transfer, its planted fault included."""
    provider, day = PROVIDERS[transfer.provider], arrives(transfer)
    text = f"{provider.counterparty} {transfer.reference}"
    entry = Entry(provider.bank, day, transfer.amount, provider.counterparty, text)
    match transfer.fault:
        case "payout_not_in_bank":
            return []
        case "payout_bank_short":
            entry.amount -= Decimal("12.34")
            entry.plant = transfer.fault
        case "bank_wrong_account":
            entry.bank, entry.plant = "spare_usd", transfer.fault
        case "bank_credit_twice":
            again = business_day(day + DAY)
            second = Entry(entry.bank, again, entry.amount, entry.counterparty, text)
            second.plant = transfer.fault
            return [entry, second]
        case "payout_returned":
            back = business_day(day + 2 * DAY)
            words = f"RETURNED {text}"
            gone = Entry(entry.bank, back, -entry.amount, entry.counterparty, words)
            gone.is_reversal, gone.plant = True, transfer.fault
            return [entry, gone]
    return [entry]


def other_entries(first: date, last: date, seed: int) -> list[Entry]:
    """Rent on the first, wages on the 25th, a wholesale customer each Saturday, interest."""
    dice = Random(f"{seed}:bank")  # noqa: S311
    found = []
    for day in days(first, last):
        for bank in BANKS:
            if bank == "spare_usd":
                if day.day == 28:
                    found.append(Entry(bank, day, Decimal("1.25"), OWN_BANK, "Interest"))
                continue
            if day.day == 1:
                rent = -Decimal("2400.00")
                found.append(Entry(bank, day, rent, LANDLORD, f"Rent {day:%m/%Y}"))
            if day.day == 25:
                wages = -Decimal(dice.randint(800_000, 1_200_000)).scaleb(-2)
                found.append(Entry(bank, day, wages, STAFF, f"Wages {day:%m/%Y}"))
            if day.weekday() == 5:
                paid = Decimal(dice.randint(20_000, 90_000)).scaleb(-2)
                words = f"Invoice W{day:%y%m%d}"
                found.append(Entry(bank, day, paid, WHOLESALE, words))
    return found


def book(entries: Iterable[Entry]) -> dict[str, list[Day]]:
    """Statements of each account, in the order of time, one per day with entries."""
    by_day: dict[tuple[str, date], list[Entry]] = defaultdict(list)
    for entry in entries:
        by_day[entry.bank, entry.day].append(entry)
    found: dict[str, list[Day]] = {name: [] for name in BANKS}
    for (name, day), own in sorted(by_day.items(), key=lambda pair: pair[0]):
        before = found[name]
        opening = before[-1].closing if before else Decimal(OPENING.get(name, "71000.00"))
        for place, entry in enumerate(own, 1):
            entry.reference = f"{name[-3:].upper()}{day:%Y%m%d}{place:03d}"
        before.append(Day(BANKS[name], day, len(before) + 1, opening, own))
    return found


# Files


def camt(one: Day) -> tuple[str, bytes]:
    """The file of one day's statement."""
    body = "".join(_entry(entry, one) for entry in one.entries if not entry.is_untold)
    text = (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.02"><BkToCstmrStmt>\n'
        f"<GrpHdr><MsgId>{one.id}</MsgId><CreDtTm>{one.day}T20:00:00</CreDtTm></GrpHdr>\n"
        f"<Stmt><Id>{one.id}</Id><ElctrncSeqNb>{one.number}</ElctrncSeqNb>"
        f"<CreDtTm>{one.day}T20:00:00</CreDtTm>"
        f"<FrToDt><FrDtTm>{one.day}T00:00:00</FrDtTm><ToDtTm>{one.day}T23:59:59</ToDtTm></FrToDt>"
        f"<Acct><Id><IBAN>{one.bank.iban}</IBAN></Id><Ccy>{one.bank.currency}</Ccy></Acct>\n"
        f"{_balance('OPBD', one.opening, one)}{_balance('CLBD', one.closing, one)}\n"
        f"{body}</Stmt></BkToCstmrStmt></Document>\n"
    )
    return f"camt053_{one.bank.name}_{one.day}_{one.number:04d}.xml", text.encode()


def _balance(code: str, amount: Decimal, one: Day) -> str:
    return (
        f"<Bal><Tp><CdOrPrtry><Cd>{code}</Cd></CdOrPrtry></Tp>{_amount(amount, one)}"
        f"<Dt><Dt>{one.day}</Dt></Dt></Bal>"
    )


def _amount(amount: Decimal, one: Day) -> str:
    side = "CRDT" if amount >= ZERO else "DBIT"
    return f'<Amt Ccy="{one.bank.currency}">{abs(amount)}</Amt><CdtDbtInd>{side}</CdtDbtInd>'


def _entry(entry: Entry, one: Day) -> str:
    party = "Dbtr" if entry.amount >= ZERO else "Cdtr"
    reversal = "<RvslInd>true</RvslInd>" if entry.is_reversal else ""
    return (
        f"<Ntry>{_amount(entry.amount, one)}{reversal}<Sts>BOOK</Sts>"
        f"<BookgDt><Dt>{entry.day}</Dt></BookgDt><ValDt><Dt>{entry.day}</Dt></ValDt>"
        f"<AcctSvcrRef>{entry.reference}</AcctSvcrRef>"
        "<BkTxCd><Prtry><Cd>166</Cd></Prtry></BkTxCd>"
        "<NtryDtls><TxDtls><Refs><EndToEndId>NOTPROVIDED</EndToEndId></Refs>"
        f"<RltdPties><{party}><Nm>{escape(entry.counterparty)}</Nm></{party}></RltdPties>"
        f"<RmtInf><Ustrd>{escape(entry.text)}</Ustrd></RmtInf></TxDtls></NtryDtls></Ntry>\n"
    )


def csv_week(week: list[Day]) -> tuple[str, bytes]:
    """The file of one week."""
    rows = [CSV_HEAD]
    for one in week:
        balance = one.opening
        for entry in one.entries:
            balance += entry.amount
            rows.append(
                f"{entry.day};{entry.day};{entry.amount};{one.bank.currency};{entry.reference};"
                f";{entry.counterparty};{entry.text};{balance}"
            )
    year, number, _ = week[0].day.isocalendar()
    name = f"{week[0].bank.name}_{year}-W{number:02d}.csv"
    return name, ("\n".join(rows) + "\n").encode()


def weeks(said: Iterable[Day]) -> list[list[Day]]:
    """Days by the week they are in."""
    found: dict[tuple[int, int], list[Day]] = defaultdict(list)
    for one in said:
        found[one.day.isocalendar()[:2]].append(one)
    return list(found.values())
