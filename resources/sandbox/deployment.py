"""What a deployment on stand-ins says about itself, once, as plain data: the three invented stores
and their ERP, and the parts to describe others with. Whoever checks settings takes the data;
nothing here knows how.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from resources.sandbox import settlement_terms
from resources.sandbox.settlement_facts import ZERO
from resources.sandbox.settlement_terms import ADYEN, PAYPAL, STRIPE, Contract
from resources.sandbox.shop_order import STORES

Data = dict[str, Any]

#: What the stand-ins let in.
SHOP_KEYS = ("ck_test", "cs_test")
ERP_KEY = "key"
#: Providers that settle what the stores sell, with the rest of what settings want of their kind;
#: nobody is asked over a network, so the keys are empty words.
PROVIDERS: Mapping[str, Data] = {
    STRIPE: {"kind": "stripe", "key": "none"},
    PAYPAL: {"kind": "paypal", "client_id": "none", "secret": "none"},
    ADYEN: {"kind": "adyen"},
}
#: Accounts of every company of the stand-in ERP: kind of account, code there, name there.
ACCOUNTS = (
    ("bank", "1000", "Bank"),
    ("receivable", "1200", "Customers"),
    ("clearing", "1310", "Paid by customers, not settled yet"),
    ("balance", "1320", "Held by payment providers"),
    ("transit", "1330", "Paid out, not in the bank yet"),
    ("reserve", "1340", "Reserves of payment providers"),
    ("conversion", "1390", "Currency conversion"),
    ("fee_tax", "1410", "Tax on fees"),
    ("fees", "6400", "Fees of payment providers"),
    ("chargebacks", "6500", "Chargebacks"),
    ("adjustments", "6900", "Adjustments of payment providers"),
    ("write_off", "6950", "Written off"),
    ("fx", "6980", "Gain and loss of exchange"),
    ("rounding", "6990", "Rounding"),
)


def store(
    url: str,
    *,
    company: str,
    warehouse: str,
    currency: str,
    taxes: Mapping[str, str],
    erp: str = "odoo",
    keys: tuple[str, str] = SHOP_KEYS,
    **options: Any,
) -> Data:
    """Describe a store; further options stand in it as they are."""
    return {
        "url": url,
        "key": keys[0],
        "secret": keys[1],
        "erp": erp,
        "company": company,
        "warehouse": warehouse,
        "currencies": [currency],
        **options,
        "taxes": dict(taxes),
    }


def odoo(url: str, *, api_key: str = ERP_KEY, **options: Any) -> Data:
    """Describe the stand-in ERP; further options, such as `batch`, stand in it as they are."""
    return {
        "kind": "odoo",
        "url": url,
        "database": "erp",
        "login": "sync",
        "api_key": api_key,
        **options,
    }


def deployment(
    urls: Mapping[str, str],
    *,
    erp: Data | None = None,
    erp_name: str = "odoo",
    company: str | None = None,
    keys: tuple[str, str] = SHOP_KEYS,
    webhook_secrets: Sequence[str] = (),
    receiver: Mapping[str, Any] | None = None,
    store_options: Mapping[str, Any] | None = None,
    batch: int | None = None,
    backfill_from: str = "2010-01-01T00:00:00+00:00",
    **options: Any,
) -> Data:
    """Describe the three invented stores and the ERP they share.

    `urls` are by system name; `company` is the ERP's one company, where it has but one;
    `store_options` (`lag_seconds`, `poll_seconds` …) hold for every store, `receiver` says where
    webhooks come in (`public_url`, `port` …), other options stand at the top.
    """
    more = dict(store_options or {})
    if webhook_secrets:
        more["webhook_secrets"] = list(webhook_secrets)
    books = dict(erp) if erp is not None else odoo(urls[erp_name])
    if batch is not None:
        books["batch"] = batch
    said: Data = {"backfill_from": backfill_from, **options}
    if receiver:
        said["receiver"] = dict(receiver)
    return {
        **said,
        "erps": {erp_name: books},
        "stores": {
            name: store(
                urls[name],
                company=company or one.company,
                warehouse=one.warehouse,
                currency=one.currency,
                taxes={one.tax.code: one.erp_tax},
                erp=erp_name,
                keys=keys,
                web_shop=name,
                **more,
            )
            for name, one in STORES.items()
        },
    }


def catalog_policy() -> str:
    """Whose word counts for products of the invented stores: the ERP's for prices.

    Items keep their value in whatever currency a store sells in. No shop gets an item that it never
    sold: it would be nine thousand products of another country.
    """
    stores = {name: {"own_price_currency": one.currency} for name, one in STORES.items()}
    return json.dumps(
        {"version": 1, "defaults": {"creates_missing": False}, "stores": stores}, indent=2
    )


def money(folder: Path) -> Data:
    """Describe the stores' providers and the banks they pay to; files are dropped below `folder`.

    Whatever a store sells is paid by its one provider: `*` stands for methods without a name.
    """
    providers = {name: settlement_terms.PROVIDERS[name] for name in PROVIDERS}
    return {
        "providers": {
            name: {
                **PROVIDERS[name],
                "asks": False,
                "payment_methods": [one.method, "*"],
                "stores": [one.store],
                "bank": one.bank,
                "inbox": str(folder / name),
            }
            for name, one in providers.items()
        },
        "banks": {one.bank: _bank(one.bank, folder) for one in providers.values()},
    }


def _bank(name: str, folder: Path) -> Data:
    one = settlement_terms.BANKS[name]
    return {
        "kind": one.kind,
        "inbox": str(folder / name),
        "currency": one.currency,
        "company": one.company,
        # A CSV does not say whose it is.
        **({"iban": one.iban} if one.kind == "camt053" else {}),
    }


def settlements_policy() -> str:
    """What the invented providers may cost, and how it is booked; the ERP books sales itself."""
    providers = {name: settlement_terms.PROVIDERS[name] for name in PROVIDERS}
    said = {
        "version": 1,
        "providers": {
            name: {
                "settles_within_days": 30,
                "bank_within_days": 7,
                "tolerance": {one.currency: "0.05"},
                "fees": fee_rules(name),
                "agreed_fees": list(settlement_terms.AGREED_FEES[name]),
                "bank_names": [f"*{one.counterparty.lower()}*"],
            }
            for name, one in providers.items()
        },
        "companies": {
            one.company: {
                "currency": one.currency,
                "timezone": one.timezone,
                "sales": "erp",
                "journals": {"default": "MISC"},
                "accounts": {kind: code for kind, code, _ in ACCOUNTS},
            }
            for one in STORES.values()
        },
    }
    return json.dumps(said, indent=2)


def fee_rules(provider: str) -> list[Data]:
    """The contracts of a provider as rules; amounts as text, so that they stay exact."""
    return [
        rule for one in settlement_terms.CONTRACTS if one.provider == provider for rule in _of(one)
    ]


def _of(one: Contract) -> list[Data]:
    span = {"currency": one.currency, "since": f"{one.since}"}
    if one.until:
        span["until"] = f"{one.until}"
    tax = {"tax_percent": f"{one.tax_percent}"} if one.tax_percent else {}
    rules: list[Data] = [{**span, "percent": f"{one.percent}", "fixed": f"{one.fixed}", **tax}]
    for kind in ("refund", "chargeback"):
        if fixed := one.fee(kind, ZERO):
            rules.append({**span, "kinds": [kind], "fixed": f"{fixed}"})
    return rules


def as_toml(data: Mapping[str, Any]) -> str:
    """Write such data as TOML: texts, numbers, yes and no, lists of them, and tables."""
    return "\n".join(_lines(data, ())) + "\n"


def _lines(table: Mapping[str, Any], path: tuple[str, ...]) -> list[str]:
    """A table's own values first: what follows the head of an inner table belongs to that."""
    inner = {key: value for key, value in table.items() if isinstance(value, Mapping)}
    lines = [f"{_key(key)} = {_value(v)}" for key, v in table.items() if key not in inner]
    if path and (lines or not inner):
        lines = ["", f"[{'.'.join(map(_key, path))}]", *lines]
    for key, value in inner.items():
        lines += _lines(value, (*path, key))
    return lines


def _key(name: str) -> str:
    plain = name.replace("_", "").replace("-", "")
    return name if plain.isascii() and plain.isalnum() else _value(name)


def _value(value: Any) -> str:
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_value, value))}]"
    if not isinstance(value, str | bool | int | float):
        raise TypeError(f"TOML has no word for {type(value).__name__}")
    # JSON's words for these are TOML's, but for DEL, which TOML wants escaped.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
