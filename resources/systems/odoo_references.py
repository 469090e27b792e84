"""Ids of an Odoo database's master data by the names people configure."""

from collections.abc import Iterator, Mapping
from typing import Any

from resources.systems.odoo_kits import many2one
from resources.systems.odoo_rpc import Session
from resources.systems.roles import Payload, References

#: Kind of reference: model, domain and the field that names it.
NAMED: Mapping[str, tuple[str, list[Any], str]] = {
    "company": ("res.company", [], "name"),
    "warehouse": ("stock.warehouse", [], "code"),
    "tax": ("account.tax", [["type_tax_use", "=", "sale"]], "name"),
    "price_list": ("product.pricelist", [], "name"),
    "currency": ("res.currency", [], "name"),
    "country": ("res.country", [], "code"),
    "state": ("res.country.state", [], "code"),
    "journal": ("account.journal", [], "code"),
}
#: Fields read with them: whose company or country it is, and which currency it brings.
BESIDE: Mapping[str, list[str]] = {
    "company": ["currency_id"],
    "warehouse": ["company_id"],
    "tax": ["company_id", "price_include"],
    "price_list": ["company_id", "currency_id"],
    "state": ["country_id"],
    "journal": ["company_id"],
}


def references(session: Session) -> References:
    """Ids by name, and by `Company/name` or `Country/code`; a name that two carry is left out.

    `company_currency` and `price_list_currency` tell the currency an order would get, `gross_tax`
    the taxes that are contained in the price. Accounts are known by `Company/code` only.
    """
    rows = {kind: _named(session, kind) for kind in NAMED}
    country = {row["id"]: str(row["code"]) for row in rows["country"]}
    for state in rows["state"]:
        state["country_id"] = [0, country.get(many2one(state["country_id"]), "")]
    found = {
        kind: _by_name((name, row["id"]) for row in rows[kind] for name in _names(kind, row))
        for kind in NAMED
    }
    for kind in ("company", "price_list"):
        found[f"{kind}_currency"] = _by_name(
            (name, many2one(row["currency_id"])) for row in rows[kind] for name in _names(kind, row)
        )
    gross = [row for row in rows["tax"] if row["price_include"]]
    found["gross_tax"] = _by_name((n, row["id"]) for row in gross for n in _names("tax", row))
    found["account"] = _by_name(_accounts(session, rows["company"]))
    return found


def _named(session: Session, kind: str) -> list[Payload]:
    model, domain, name = NAMED[kind]
    return session.rows(model, domain, [name, *BESIDE.get(kind, [])], order="id")


def _accounts(session: Session, companies: list[Payload]) -> Iterator[tuple[str, int]]:
    """Accounts company by company: an account has a code of its own in each."""
    for company in companies:
        alone = {"allowed_company_ids": [company["id"]]}
        rows = session.rows("account.account", [], ["code"], order="id", context=alone)
        for row in rows:
            if row["code"]:
                yield f"{company['name']}/{row['code']}", row["id"]


def _names(kind: str, row: Payload) -> Iterator[str]:
    """The names under which people may configure a record."""
    name = str(row[NAMED[kind][2]])
    owner = row.get("country_id") or row.get("company_id")
    if kind != "state":
        yield name
    if owner:
        yield f"{owner[1]}/{name}"


def _by_name(pairs: Iterator[tuple[str, int]]) -> dict[str, int]:
    found: dict[str, set[int]] = {}
    for name, id_ in pairs:
        found.setdefault(name, set()).add(id_)
    return {name: ids.pop() for name, ids in found.items() if len(ids) == 1}
