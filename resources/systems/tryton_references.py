"""Ids of a Tryton database's master data by the names people configure."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from resources.systems.roles import References
from resources.systems.tryton_rpc import Payload, Session

TOP_TAXES: list[Any] = [["parent", "=", None]]
#: Kind of reference: model, domain and the fields that name it.
NAMED: Mapping[str, tuple[str, list[Any], tuple[str, ...]]] = {
    "warehouse": ("stock.location", [["type", "=", "warehouse"]], ("code",)),
    "currency": ("currency.currency", [], ("code",)),
    "web_shop": ("web.shop", [], ("name",)),
    "uom": ("product.uom", [], ("symbol", "name")),
    "payment_term": ("account.invoice.payment_term", [], ("name",)),
    "country": ("country.country", [], ("code",)),
}
#: Accounts that lines may be booked on; the others are headings.
BOOKABLE: list[Any] = [["type", "!=", None], ["closed", "!=", True]]


def references(rpc: Session) -> References:
    """Ids by name; a name of two things is left out.

    Taxes are known by `Company/name` as well, accounts and journals by `Company/code` only;
    journals belong to no company, so every company has them. `company_currency` tells the currency
    of the books.
    """
    found = {
        kind: _named(rpc.search(model, domain, names), names)
        for kind, (model, domain, names) in NAMED.items()
    }
    companies = rpc.search("company.company", [], ("rec_name", "currency"))
    taxes = rpc.search("account.tax", TOP_TAXES, ("name", "company.rec_name"))
    of_company = {f"{row['company.']['rec_name']}/{row['name']}": row["id"] for row in taxes}
    journals = _named(rpc.search("account.journal", [], ("code",)), ("code",))
    accounts = rpc.search("account.account", BOOKABLE, ("code", "company.rec_name"))
    return {
        **found,
        "company": _named(companies, ("rec_name",)),
        "company_currency": {row["rec_name"]: row["currency"] for row in companies},
        "tax": {**of_company, **_named(taxes, ("name",))},
        "journal": {
            f"{company['rec_name']}/{code}": id_
            for company in companies
            for code, id_ in journals.items()
        },
        "account": _single(
            (f"{row['company.']['rec_name']}/{row['code']}", row["id"])
            for row in accounts
            if row["code"]
        ),
    }


def _named(rows: Sequence[Payload], names: Sequence[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    for name in reversed(names):
        found |= _single((row[name], row["id"]) for row in rows if row[name])
    return found


def _single(pairs: Iterator[tuple[str, int]]) -> dict[str, int]:
    held = list(pairs)
    times = Counter(name for name, _ in held)
    return {name: id_ for name, id_ in held if times[name] == 1}
