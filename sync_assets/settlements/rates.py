"""Exchange rates from a file: read exactly, all of it or nothing.

One row a day and currency: what one unit of it is worth in the company's currency.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from re import fullmatch
from typing import Any

from sqlalchemy import Connection, text

from resources.store.exceptions import NotPossible
from resources.store.frames import copy_rows, read_rows
from resources.systems.csv_lines import Form, Line, RefusedFile
from sync_assets.domain.payments import CURRENCY
from sync_assets.settlements.books import record
from sync_assets.settlements.things import Act

COLUMNS = ("day", "currency", "rate")
FORM = Form(known=COLUMNS, required=COLUMNS)
#: As the database has them: ten digits before the point and ten behind it.
DIGITS, MOST = 10, Decimal(10) ** 10
#: As many bad lines are told at once.
SHOWN = 20


@dataclass(frozen=True)
class Rate:
    """What one unit of a currency is worth on a day."""

    on: date
    currency: str
    rate: Decimal


@dataclass(frozen=True)
class Loaded:
    """What a file changed."""

    new: int
    changed: int
    same: int


def read(name: str, content: bytes, company_currency: str) -> list[Rate]:
    """The rates of a file; raises NotPossible with the numbers of all lines that cannot be read."""
    if not fullmatch(CURRENCY, company_currency):
        raise NotPossible(f"{company_currency!r} is no currency; write it as EUR.")
    try:
        lines, broken = FORM.read(content)
    except RefusedFile as why:
        raise NotPossible(
            f"{name} cannot be read: {why}. It needs the columns {', '.join(COLUMNS)}."
        ) from why
    faults = {one.number: one.reason for one in broken}
    found: dict[tuple[date, str], Rate] = {}
    for line in lines:
        try:
            one = _rate(line, company_currency)
            before = found.setdefault((one.on, one.currency), one)
            if before.rate != one.rate:
                raise ValueError(f"says another rate of {one.currency} on {one.on} than before")
        except ValueError as why:
            faults[line.number] = str(why)
    if faults:
        raise NotPossible(_told(name, faults))
    if not found:
        raise NotPossible(f"{name} has no rates in it.")
    return list(found.values())


def _rate(line: Line, company_currency: str) -> Rate:
    said = line.payload
    try:
        if not fullmatch(r"\d{4}-\d{2}-\d{2}", said["day"]):
            raise ValueError
        on = date.fromisoformat(said["day"])
    except ValueError:
        raise ValueError(f"{said['day']!r} is no day; write it as 2026-03-31") from None
    if not fullmatch(CURRENCY, said["currency"]):
        raise ValueError(f"{said['currency']!r} is no currency; write it as USD")
    if said["currency"] == company_currency:
        raise ValueError(f"{company_currency} is the company's own currency")
    return Rate(on, said["currency"], _number(said["rate"]))


def _number(said: str) -> Decimal:
    try:
        rate = Decimal(said) if fullmatch(r"\d+(\.\d+)?", said, flags=0) else None
    except InvalidOperation:
        rate = None
    if rate is None or not said.isascii():
        raise ValueError(f"{said!r} is no rate; write it as 1.0834")
    if not 0 < rate < MOST:
        raise ValueError(f"{said} is no rate: it must be above 0")
    if rate != round(rate, DIGITS):
        raise ValueError(f"{said} has more than {DIGITS} digits behind the point")
    return rate


def _told(name: str, faults: dict[int, str]) -> str:
    shown = "; ".join(f"line {number}: {faults[number]}" for number in sorted(faults)[:SHOWN])
    more = f"; and {len(faults) - SHOWN} more" if len(faults) > SHOWN else ""
    return f"{name} was not loaded, not even its good lines. {shown}{more}."


def load(
    connection: Connection, rates: Sequence[Rate], company_currency: str, source: str, act: Act
) -> Loaded:
    """Keep rates; one that is known with another number is overwritten."""
    connection.exec_driver_sql(
        "create temp table stage_rates (on_day date, currency text, rate numeric(20, 10)) "
        "on commit drop"
    )
    copy_rows(
        connection,
        "stage_rates",
        ("on_day", "currency", "rate"),
        ((one.on, one.currency, one.rate) for one in rates),
    )
    values = {"company_currency": company_currency}
    changes = read_rows(connection, _CHANGES, **values)
    connection.execute(text(_KEPT), {**values, "source": source})
    connection.exec_driver_sql("drop table stage_rates")
    new = [row for row in changes if row["before"] is None]
    changed = [row for row in changes if row["before"] is not None]
    record(
        connection,
        act,
        "rates_loaded",
        f"rates:{company_currency}",
        before={f"{row['currency']} {row['on_day']}": row["before"] for row in changed[:SHOWN]},
        after={
            "source": source,
            "new": len(new),
            "changed": {f"{r['currency']} {r['on_day']}": r["rate"] for r in changed[:SHOWN]},
            "changed_count": len(changed),
        },
    )
    return Loaded(len(new), len(changed), len(rates) - len(changes))


_CHANGES = """
select s.on_day, s.currency, s.rate, h.rate as before
from stage_rates s
left join core.exchange_rates h on h.on_day = s.on_day and h.currency = s.currency
    and h.company_currency = :company_currency
where h.rate is distinct from s.rate order by s.on_day, s.currency
"""
_KEPT = """
insert into core.exchange_rates as held (currency, company_currency, on_day, rate, source)
select currency, :company_currency, on_day, rate, :source from stage_rates order by 1, 3
on conflict (currency, company_currency, on_day) do update
set rate = excluded.rate, source = excluded.source where held.rate <> excluded.rate
"""


def newest(connection: Connection) -> list[dict[str, Any]]:
    """The newest rate of each pair of currencies, and how many days are known."""
    return read_rows(connection, _NEWEST)


_NEWEST = """
select distinct on (company_currency, currency) currency, company_currency, on_day, rate, source,
    count(*) over (partition by company_currency, currency) as days
from core.exchange_rates order by company_currency, currency, on_day desc
"""
