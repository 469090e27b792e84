"""Which locations a source tells of, by the policy in force; and whose number of a SKU counts.

What a policy says is in `domain/policy.py`; reading and mapping stock is beside.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from sqlalchemy import Connection

from resources.store.engine import connected
from resources.store.frames import read_rows
from resources.wiring import Systems
from sync_assets import policies
from sync_assets.domain.policy import Policy


def places_of(policy: Policy, source: str) -> dict[str, str]:
    """The source's codes of warehouses to our names of locations."""
    return {one.code: name for name, one in policy.locations.items() if one.source == source}


def places(systems: Systems, source: str) -> dict[str, str]:
    """The same, by the policy in force."""
    with connected(systems.engine) as connection:
        return places_of(policies.in_force(systems, connection).policy, source)


@dataclass(frozen=True)
class Owners:
    """Whose a SKU is, by ERP: one active item, or nobody can say whose numbers count."""

    #: system, SKU to the items that may be meant.
    items: Mapping[tuple[str, str], frozenset[int]]

    def is_owner(self, system: str, sku: str, item: int | None) -> bool:
        """Whether this item's stock is the SKU's; an ERP's SKU nobody else has, is its own."""
        known = self.items.get((system, sku), frozenset())
        return item is None or not known or known == {item}


def owners(connection: Connection, systems: Collection[str], skus: Collection[str]) -> Owners:
    """Look up whose these SKUs are; archived items count only where no active one has the SKU."""
    rows = read_rows(
        connection,
        "select system, sku, item_id, is_active from core.product_refs "
        "where system = any(:systems) and sku = any(:skus)",
        systems=sorted(systems),
        skus=sorted(skus),
    )
    active: dict[tuple[str, str], set[int]] = {}
    archived: dict[tuple[str, str], set[int]] = {}
    for row in rows:
        group = active if row["is_active"] else archived
        group.setdefault((row["system"], row["sku"]), set()).add(row["item_id"])
    return Owners({key: frozenset(items) for key, items in {**archived, **active}.items()})
