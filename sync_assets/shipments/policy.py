"""The fulfilment policy in force, and its places as whom to tell and whose stock to ask.

What may stand in the file is in `domain/fulfilment_policy.py`. Without a file every order ships
from its ERP's own warehouse, as the ERP planned it.
"""

from dataclasses import dataclass
from functools import cached_property

from sqlalchemy import Connection

from resources.settings import Settings
from resources.wiring import Systems
from sync_assets import policies
from sync_assets.domain.fulfilment_policy import FulfilmentPolicy, Place, StoreRule
from sync_assets.domain.policy import Policy, PolicyError
from sync_assets.policy_files import PolicyFile, stores_are_known


@dataclass(frozen=True)
class Site:
    """One place, with everything about it known."""

    name: str
    system: str
    #: Kind of that system: odoo, tryton, http, files, shipbob.
    kind: str
    code: str
    place: Place

    @property
    def is_erps_own(self) -> bool:
        """Whether an ERP ships by itself what it was sold."""
        return self.kind in ("odoo", "tryton")


@dataclass(frozen=True)
class Rules:
    """The policy in force, with the sites it names."""

    policy: FulfilmentPolicy
    sites: dict[str, Site]

    def store(self, name: str) -> StoreRule | None:
        """How a store's orders are shipped; None: nobody said."""
        return self.policy.stores.get(name)

    @cached_property
    def by_code(self) -> dict[tuple[str, str], str]:
        """Our name of a place by its system and that system's code."""
        return {(site.system, site.code): site.name for site in self.sites.values()}

    def name_of(self, system: str, code: str) -> str | None:
        """Our name of the place a system calls so; its only one where it names none."""
        found = self.by_code.get((system, code))
        mine = [site.name for site in self.sites.values() if site.system == system]
        return found or (mine[0] if len(mine) == 1 else None)


def kind_of_system(settings: Settings, name: str) -> str | None:
    """The kind of an ERP or warehouse that ships."""
    if name in settings.erps:
        return settings.erps[name].kind
    found = settings.warehouses.get(name)
    return found.kind if found else None


def in_force(systems: Systems, connection: Connection) -> Rules:
    """The policy now, over the stock locations of the stock policy."""
    stock = policies.in_force(systems, connection).policy

    def places_are_known(policy: FulfilmentPolicy) -> None:
        rules_of(policy, stock, systems.settings)

    policy = FILE.in_force(systems, connection, places_are_known)
    if policy is None:  # who was meant to ship, nobody knows, so nobody is asked
        return Rules(FulfilmentPolicy(), {})
    return rules_of(policy, stock, systems.settings)


def rules_of(policy: FulfilmentPolicy, stock: Policy, settings: Settings) -> Rules:
    """The policy with its places filled in."""
    if not policy.stores:
        policy = _by_erp(stock, settings)
    sites = {name: _site(name, place, stock, settings) for name, place in policy.places.items()}
    return Rules(policy, sites)


def _site(name: str, place: Place, stock: Policy, settings: Settings) -> Site:
    location = stock.locations.get(name)
    system = place.system or (location.source if location else None)
    if system is None:
        raise PolicyError(f"places.{name}: name its system; no stock location is called so")
    kind = kind_of_system(settings, system)
    if kind is None:
        known = ", ".join(sorted({*settings.erps, *settings.warehouses})) or "none"
        raise PolicyError(f"places.{name}.system is {system!r}; ERPs and warehouses: {known}")
    code = place.code if place.code is not None else (location.code if location else "")
    return Site(name, system, kind, code, place)


def _by_erp(stock: Policy, settings: Settings) -> FulfilmentPolicy:
    """Every store is shipped from its ERP's warehouse, whatever the ERP has."""
    names = {(one.source, one.code): name for name, one in stock.locations.items()}
    places, stores = {}, {}
    for store, said in settings.stores.items():
        name = names.get((said.erp, said.warehouse)) or f"own_{store}"[:31]
        places[name] = Place(system=said.erp, code=said.warehouse, assumes_stock=True)
        stores[store] = StoreRule(ship_from=(name,))
    return FulfilmentPolicy(places=places, stores=stores)


FILE = PolicyFile(
    "fulfilment",
    FulfilmentPolicy,
    FulfilmentPolicy(),
    lambda policy, settings: stores_are_known(policy.stores, settings),
)
