"""Whether shop, core and ERP say the same: counts, sums per currency and day, missing, doubled.

A difference is named by key, at most twenty of them, never by what stands in the rows.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from typing import Any

import dagster as dg

from resources.settings import Settings
from resources.store.engine import connected
from resources.store.frames import read_rows
from resources.wiring import Systems
from sync_assets.domain.money import digits_of, rounded
from sync_assets.domain.orders import order_ref
from sync_assets.domain.planning import MAPPING_CODES
from sync_assets.mappers import ERP_MAPPERS
from sync_assets.orders.assets import core_key

MOST_KEYS = 20
#: How far back an agreement check looks; older days belong to the nightly comparison.
WINDOW = timedelta(days=3650)


@dataclass
class Agreement:
    """What a comparison of two sides found."""

    compared: int = 0
    missing: list[str] = field(default_factory=list)
    extra: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    different: list[str] = field(default_factory=list)
    left: dict[str, Decimal] = field(default_factory=dict)
    right: dict[str, Decimal] = field(default_factory=dict)

    @property
    def passed(self) -> bool:
        """Whether both sides say the same."""
        wrong = self.missing or self.extra or self.doubled or self.different
        return not wrong and self.left == self.right

    def metadata(self) -> dict[str, Any]:
        """Counts, sums and at most twenty keys of each kind."""
        shown: dict[str, Any] = {"compared": self.compared}
        for kind in ("missing", "extra", "doubled", "different"):
            keys = sorted(getattr(self, kind))
            shown[kind] = len(keys)
            if keys:
                shown[f"{kind}_keys"] = ", ".join(keys[:MOST_KEYS])
        unequal = {
            day: f"{self.left.get(day, 0)} against {self.right.get(day, 0)}"
            for day in sorted({*self.left, *self.right})
            if self.left.get(day) != self.right.get(day)
        }
        shown["unequal_sums"] = len(unequal)
        if unequal:
            shown["sums"] = dict(list(unequal.items())[:MOST_KEYS])
        return shown

    def add_sum(self, side: dict[str, Decimal], currency: str, day: Any, amount: Decimal) -> None:
        """Add an amount to one side's sum of a currency and day."""
        key = f"{currency} {day}"
        side[key] = side.get(key, Decimal()) + rounded(amount, digits_of(currency))


def compare(
    left: Mapping[str, Decimal], right: Mapping[str, Decimal], doubled: Iterable[str] = ()
) -> Agreement:
    """Compare amounts by key: `left` is what should be there, `right` what is."""
    return Agreement(
        compared=len(left.keys() & right.keys()),
        missing=sorted(left.keys() - right.keys()),
        extra=sorted(right.keys() - left.keys()),
        doubled=sorted(doubled),
        different=sorted(key for key in left.keys() & right.keys() if left[key] != right[key]),
    )


def build(settings: Settings) -> list[dg.AssetChecksDefinition]:
    """The agreement checks of a deployment's systems."""
    kinds = settings.erp_kinds()
    return [shop_and_core, refunds_within_orders, *[core_and_erp(kind) for kind in kinds]]


@dg.asset_check(
    asset=core_key("orders"),
    name="shop_and_core_agree",
    description="Every order the shops list is in core with the same total, or set aside with a "
    "reason; nothing is in core twice or that no shop knows.",
)
def shop_and_core(systems: dg.ResourceParam[Systems]) -> dg.AssetCheckResult:
    """Compare the shops' own lists with core."""
    total = Agreement()
    for store in systems.settings.stores:
        found = shop_agreement(systems, store)
        total.compared += found.compared
        for kind in ("missing", "extra", "doubled", "different"):
            getattr(total, kind).extend(getattr(found, kind))
        for side in ("left", "right"):
            for key, amount in getattr(found, side).items():
                getattr(total, side)[f"{store} {key}"] = amount
    return dg.AssetCheckResult(passed=total.passed, metadata=total.metadata())


def shop_agreement(systems: Systems, store: str) -> Agreement:
    """Compare one store's list of orders with core; what is set aside is accounted for."""
    lag = timedelta(seconds=systems.settings.stores[store].lag_seconds)
    until = systems.now() - lag
    with systems.shop(store) as shop:
        listed = [row for page in shop.order_totals(until) for row in page]
    with connected(systems.engine) as connection:
        held = read_rows(
            connection,
            "select order_ref, total_amount, currency, (placed_at at time zone 'UTC')::date as day "
            "from core.orders where store = :store and state <> 'trashed' and changed_at <= :until",
            store=store,
            until=until,
        )
        aside = read_rows(
            connection,
            "select distinct subject_ref from ops.exception where state = 'open' "
            "and code = any(:codes)",
            codes=MAPPING_CODES,
        )
    set_aside = {row["subject_ref"] for row in aside}
    shops: dict[str, Decimal] = {}
    doubled = []
    for row in listed:
        key = order_ref(store, row["id"])
        if key in shops:
            doubled.append(key)
        shops[key] = Decimal(row["total"])
    ours = {row["order_ref"]: row["total_amount"] for row in held}
    found = compare(
        {key: amount for key, amount in shops.items() if key not in set_aside},
        {key: amount for key, amount in ours.items() if key not in set_aside},
        doubled,
    )
    days = {order_ref(store, r["id"]): (r["currency"], r["date_created_gmt"][:10]) for r in listed}
    for key, amount in shops.items():
        if key not in set_aside:
            found.add_sum(found.left, *days[key], amount)
    for row in held:
        if row["order_ref"] not in set_aside:
            found.add_sum(found.right, row["currency"], row["day"], row["total_amount"])
    return found


@dg.asset_check(
    asset=core_key("order_refunds"),
    name="refunds_stay_within_orders",
    description="No order was refunded more than its customer paid.",
)
def refunds_within_orders(systems: dg.ResourceParam[Systems]) -> dg.AssetCheckResult:
    """Look for orders refunded above their total."""
    with connected(systems.engine) as connection:
        rows = read_rows(
            connection,
            "select o.order_ref from core.orders o join core.order_refunds r using (order_ref) "
            "group by o.order_ref having sum(r.refunded_amount) > o.total_amount order by 1",
        )
    keys = [row["order_ref"] for row in rows]
    return dg.AssetCheckResult(
        passed=not keys, metadata={"orders": len(keys), "keys": ", ".join(keys[:MOST_KEYS])}
    )


def core_and_erp(kind: str) -> dg.AssetChecksDefinition:
    """Build the check that an ERP holds what core says it accepted, once, for the same money."""

    @dg.asset_check(
        asset=dg.AssetKey(["receipt", kind, "sales_orders"]),
        name=f"core_and_{kind}_agree",
        description=f"Every order that {kind} accepted is there once, alive, for the shop's total; "
        "every order that could be sent is there, on its way, or held with a reason.",
    )
    def check(systems: dg.ResourceParam[Systems]) -> dg.AssetCheckResult:
        total = Agreement()
        for erp in [name for name, one in systems.settings.erps.items() if one.kind == kind]:
            found = erp_agreement(systems, erp)
            total.compared += found.compared
            for sort in ("missing", "extra", "doubled", "different"):
                getattr(total, sort).extend(getattr(found, sort))
            total.left.update({f"{erp} {key}": v for key, v in found.left.items()})
            total.right.update({f"{erp} {key}": v for key, v in found.right.items()})
        return dg.AssetCheckResult(passed=total.passed, metadata=total.metadata())

    return check


_EXPECTED = """
select o.order_ref, o.total_amount, o.currency, (o.placed_at at time zone 'UTC')::date as day,
       r.outcome
from core.orders o
left join receipt.sales_orders r using (order_ref)
where o.store = any(:stores) and o.placed_at >= :since
  and (r.outcome is not null
    or not exists (select from core.order_holds h where h.order_ref = o.order_ref)
   and not exists (select from ops.outbox x where x.thing_ref = o.order_ref
                   and x.state in ('waiting', 'leased', 'unknown', 'parked'))
   and exists (select from plan.sales_orders p where p.order_ref = o.order_ref
               and p.action = 'create'))
"""


def erp_agreement(systems: Systems, erp: str) -> Agreement:
    """Read an ERP's orders by our keys and compare them with core."""
    settings = systems.settings
    mapper = ERP_MAPPERS[settings.erps[erp].kind]
    with connected(systems.engine) as connection:
        rows = read_rows(
            connection,
            _EXPECTED,
            stores=list(settings.stores_of(erp)),
            since=systems.now() - WINDOW,
        )
    with systems.erp(erp) as client:
        seen = {
            key: mapper.seen(payload)
            for keys in batches([row["order_ref"] for row in rows], 200)
            for key, payload in client.orders(keys).items()
        }
    # An order edited in the shop after acceptance is an exception of its own: the receipt's
    # total is what both sides agreed on.
    wanted = [row for row in rows if row["outcome"] != "cancelled"]
    alive = {key: one for key, one in seen.items() if one.state != "cancelled"}
    found = compare(
        {row["order_ref"]: row["total_amount"] for row in wanted},
        {key: Decimal(one.total_amount) for key, one in alive.items()},
        [key for key, one in alive.items() if one.payload.get("twins")],
    )
    day_of = {row["order_ref"]: (row["currency"], row["day"]) for row in rows}
    for row in wanted:
        found.add_sum(found.left, row["currency"], row["day"], row["total_amount"])
    for key, one in alive.items():
        found.add_sum(found.right, *day_of[key], one.total_amount)
    return found


def batches(keys: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    """Split keys into lists of at most `size`."""
    for start in range(0, len(keys), size):
        yield keys[start : start + size]
