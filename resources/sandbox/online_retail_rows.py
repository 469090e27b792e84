"""The rows of the public data set "Online Retail" as its file has them, and what its words mean.

Reading only: what becomes of a row is decided in `online_retail`.
"""

import csv
import gzip
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.parquet as pq

LONDON = ZoneInfo("Europe/London")
COLUMNS = [
    "InvoiceNo",
    "StockCode",
    "Description",
    "Quantity",
    "InvoiceDate",
    "UnitPrice",
    "CustomerID",
    "Country",
]
ROWS_AT_ONCE = 65_536

#: The file's countries; two of them are none, and the Channel Islands have two codes.
COUNTRIES = {
    "Australia": "AU",
    "Austria": "AT",
    "Bahrain": "BH",
    "Belgium": "BE",
    "Brazil": "BR",
    "Canada": "CA",
    "Channel Islands": "JE",
    "Cyprus": "CY",
    "Czech Republic": "CZ",
    "Denmark": "DK",
    "EIRE": "IE",
    "European Community": "",
    "Finland": "FI",
    "France": "FR",
    "Germany": "DE",
    "Greece": "GR",
    "Hong Kong": "HK",
    "Iceland": "IS",
    "Israel": "IL",
    "Italy": "IT",
    "Japan": "JP",
    "Lebanon": "LB",
    "Lithuania": "LT",
    "Malta": "MT",
    "Netherlands": "NL",
    "Norway": "NO",
    "Poland": "PL",
    "Portugal": "PT",
    "RSA": "ZA",
    "Saudi Arabia": "SA",
    "Singapore": "SG",
    "Spain": "ES",
    "Sweden": "SE",
    "Switzerland": "CH",
    "USA": "US",
    "United Arab Emirates": "AE",
    "United Kingdom": "GB",
    "Unspecified": "",
}


class UnknownCountry(ValueError):
    """The file names a country that nobody has translated."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the file; `number` counts from 1."""

    number: int
    invoice: str
    code: str
    description: str  # trimmed, empty where the file has none
    blanks: bool  # whether there was something to trim
    quantity: int
    at: datetime  # UTC
    price: Decimal
    customer: int | None
    country: str  # ISO 3166 alpha-2, or empty

    @property
    def value(self) -> Decimal:
        """Quantity times price, exact."""
        return self.price * self.quantity


def rows(file: Path) -> Iterator[Row]:
    """Yield the lines of a parquet, `.csv` or `.csv.gz` file in the file's order."""
    told = _parquet(file) if file.suffix == ".parquet" else _csv(file)
    for number, row in enumerate(told, start=1):
        yield _row(number, row)


def _parquet(file: Path) -> Iterator[dict[str, Any]]:
    with pq.ParquetFile(file) as parquet:
        for batch in parquet.iter_batches(ROWS_AT_ONCE, columns=COLUMNS):
            place = batch.schema.get_field_index("InvoiceDate")
            times = batch.column(place).cast(pa.timestamp("us"))
            yield from batch.set_column(place, "InvoiceDate", times).to_pylist()


def _csv(file: Path) -> Iterator[dict[str, Any]]:
    opener = gzip.open if file.suffix == ".gz" else open
    with opener(file, "rt", encoding="utf-8", newline="") as lines:
        for row in csv.DictReader(lines):
            yield {**row, "InvoiceDate": datetime.fromisoformat(row["InvoiceDate"])}


def _row(number: int, row: dict[str, Any]) -> Row:
    description = row["Description"] or ""
    return Row(
        number=number,
        invoice=row["InvoiceNo"],
        code=_one(row["StockCode"]),
        description=_one(description.strip()),
        blanks=description != description.strip(),
        quantity=int(row["Quantity"]),
        at=_utc(row["InvoiceDate"]),
        price=_price(row["UnitPrice"]),
        customer=_customer(row["CustomerID"]),
        country=_country(row["Country"]),
    )


@lru_cache(maxsize=65_536)
def _one(text: str) -> str:
    """The same object for the same text: codes and descriptions come back a hundred times."""
    return text


@lru_cache(maxsize=1_024)
def _utc(local: datetime) -> datetime:
    """The instant a clock in London showed `local`."""
    return local.replace(tzinfo=LONDON).astimezone(UTC)


@lru_cache(maxsize=65_536)
def _price(text: str) -> Decimal:
    return Decimal(text)


def _customer(text: str | None) -> int | None:
    """The customer's number, which an export through floats left as `17850.0`."""
    return int(text.removesuffix(".0")) if text else None


def _country(name: str) -> str:
    if name not in COUNTRIES:
        raise UnknownCountry(f"no code for the country {name!r}")
    return COUNTRIES[name]
