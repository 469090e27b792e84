"""What a deployment on stand-ins says about itself, once, as plain data: the three invented stores
and their ERP, and the parts to describe others with. Whoever checks settings takes the data;
nothing here knows how.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from resources.sandbox.shop_order import STORES

Data = dict[str, Any]

#: What the stand-ins let in.
SHOP_KEYS = ("ck_test", "cs_test")
ERP_KEY = "key"


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
