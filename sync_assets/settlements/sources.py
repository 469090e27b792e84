"""Which provider says what in which form: its readers, its mapper and what its API lists.

The words of each kind of provider are in its mapper; here they are only found by the kind.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from resources.settings import (
    BankAccount,
    FilesProvider,
    ProviderSettings,
    Settings,
    StripeProvider,
)
from resources.systems import (
    adyen_reports,
    amazon_reports,
    bank_reports,
    paypal_reports,
    remittance_reports,
    stripe_reports,
)
from resources.systems.report_files import Report
from sync_assets.domain.payments import Found
from sync_assets.mappers import (
    adyen_notices,
    adyen_settlements,
    amazon_finances,
    amazon_settlements,
    bank_statements,
    files_settlements,
    paypal_settlements,
    stripe_notices,
    stripe_settlements,
)

Payload = Mapping[str, Any]
Mapper = Callable[[str, Payload], Found]
Reader = Callable[[str, bytes], Report]


@dataclass(frozen=True)
class Kind:
    """What can be read of one kind of provider."""

    report_line: Mapper
    #: Things its API lists, by the name of their raw table.
    objects: Mapping[str, Mapper]
    notice: Mapper | None = None


KINDS: Mapping[str, Kind] = {
    "stripe": Kind(
        stripe_settlements.report_line, stripe_settlements.OBJECTS, stripe_notices.notice
    ),
    "paypal": Kind(paypal_settlements.report_line, paypal_settlements.OBJECTS),
    "adyen": Kind(adyen_settlements.report_line, {}, adyen_notices.notice),
    "amazon": Kind(amazon_settlements.report_line, amazon_finances.OBJECTS),
    "files": Kind(files_settlements.report_line, {}),
}
BANK = "bank"
READERS: Mapping[str, Reader] = {
    "stripe": stripe_reports.read,
    "paypal": paypal_reports.read,
    "adyen": adyen_reports.read,
    "amazon": amazon_reports.read,
}
#: Endings of report files: Amazon's are tab separated text, banks send XML.
ENDINGS = (".csv", ".txt", ".tsv", ".xml", ".camt")


def reader(one: ProviderSettings | BankAccount) -> Reader:
    """How files of a provider or bank are read."""
    if isinstance(one, BankAccount):
        if one.kind == "camt053":
            return partial(bank_reports.read_camt, iban=one.iban, currency=one.currency)
        return partial(bank_reports.read_csv, account=one)
    if isinstance(one, FilesProvider):
        return partial(
            remittance_reports.read,
            columns=one.columns,
            ignored=one.ignored_columns,
            encoding=one.encoding,
            zone=one.timezone,
        )
    return READERS[one.kind]


def kinds_of(settings: Settings) -> list[str]:
    """Kinds of providers in use, sorted."""
    return sorted({one.kind for one in settings.providers.values()})


def table_of(kind: str, thing: str) -> str:
    """The raw table of a thing."""
    return f"{kind}__{thing}"


def mapper(settings: Settings, kind: str, thing: str) -> Mapper:
    """How a thing of a kind of provider, or of banks, is mapped."""
    if kind == "stripe":
        return _with_order_keys(settings, _mapper(kind, thing))
    return _mapper(kind, thing)


def _with_order_keys(settings: Settings, make: Callable[..., Found]) -> Mapper:
    """Shops' plugins write the order under names of their own."""

    def mapped(provider: str, payload: Payload) -> Found:
        one = settings.providers[provider]
        assert isinstance(one, StripeProvider)
        return make(provider, payload, order_keys=one.order_keys)

    return mapped


def _mapper(kind: str, thing: str) -> Mapper:
    if kind == BANK:
        return bank_statements.report_line
    found = KINDS[kind]
    if thing == "report_lines":
        return found.report_line
    if thing == "notices":
        assert found.notice is not None
        return found.notice
    return found.objects[thing]


def things_of(kind: str) -> list[str]:
    """Everything that is mapped of a kind; what only tells of payments comes first."""
    if kind == BANK:
        return ["report_lines"]
    found = KINDS[kind]
    return [
        *(["notices"] if found.notice is not None else []),
        *found.objects,
        "report_lines",
    ]
