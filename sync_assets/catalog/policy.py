"""The catalog policy in force: the file read again by every run, and each store as a market.

What may stand in the file is in `domain/ownership.py`.
"""

import hashlib
from pathlib import Path
from typing import Any

from resources.settings import Settings, config_path
from sync_assets.domain import ownership
from sync_assets.domain.listing_rules import Market
from sync_assets.domain.ownership import CatalogPolicy
from sync_assets.domain.policy import PolicyError
from sync_assets.policies import read_yaml


def in_force(settings: Settings) -> CatalogPolicy:
    """The policy of the deployment; where no file is named and none is there, the default one."""
    path = path_of(settings)
    try:
        data = _read(path, is_named="catalog" in settings.policies.model_fields_set)
        return ownership.parse(data, settings.stores)
    except PolicyError as fault:
        raise PolicyError(f"{path}: {fault}") from fault


def path_of(settings: Settings) -> Path:
    """Where the policy file is; a relative path starts at the configuration's folder."""
    return config_path().absolute().parent / settings.policies.catalog


def _read(path: Path, *, is_named: bool) -> Any:
    try:
        return read_yaml(path.read_text())
    except FileNotFoundError:
        if is_named:  # a typing error must not hand all fields to their default owners
            raise PolicyError("is not there") from None
        return None
    except UnicodeDecodeError as fault:
        raise PolicyError(f"is not YAML: {fault}") from fault
    except OSError as fault:
        raise PolicyError(f"cannot be read: {fault.strerror}") from fault


def market(settings: Settings, name: str, policy: CatalogPolicy) -> Market:
    """One store as its products are made for it."""
    store, own = settings.stores[name], policy.store(name)
    beside = {one.currencies[0] for one in settings.stores_of(store.erp).values()}
    listed = store.price_list or "" if own.price_list is None else own.price_list
    return Market(
        store=name,
        erp=store.erp,
        policy=own,
        price_list=listed,
        currency=own.currency or store.currencies[0],
        # One number is no price in two currencies; where all stores have one, it is that one's.
        own_currency=own.own_price_currency or (next(iter(beside)) if len(beside) == 1 else None),
        helpers=frozenset({store.shipping_item, store.fee_item, store.rounding_item}),
    )


def fingerprint(market: Market) -> str:
    """What of the policy and the configuration a store's plan was made by, as a short digest."""
    said = f"{market.policy.model_dump_json()}|{market.price_list}|{market.currency}"
    said += f"|{market.own_currency}|{sorted(market.helpers)}"
    return hashlib.sha256(said.encode()).hexdigest()[:12]
