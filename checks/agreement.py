"""Whether shop, core and ERP say the same: counts, sums per currency and day, missing, doubled.

A difference is named by key, at most twenty of them, never by what stands in the rows. What is
under way (not read yet, or a write not done) is counted, and compared the next time.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import dagster as dg

from resources.errors import RemoteError
from resources.settings import Settings
from resources.store import raw
from resources.store.engine import connected
from resources.store.frames import read_rows
from resources.wiring import Systems
from sync_assets.domain.exception_kinds import MAPPING_CODES
from sync_assets.domain.money import digits_of, rounded
from sync_assets.domain.orders import Rejected, Row, order_ref
from sync_assets.domain.sales import SeenOrder
from sync_assets.mappers import ERP_MAPPERS
from sync_assets.orders.assets import core_key

MOST_KEYS = 20
KINDS = ("missing", "extra", "doubled", "different")
AHEAD = timedelta(days=1)


@dataclass
class Agreement:
    """What a comparison of two sides found."""

    compared: int = 0
    missing: list[str] = field(default_factory=list)
    extra: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    different: list[str] = field(default_factory=list)
    under_way: int = 0
    unreadable: list[str] = field(default_factory=list)
    left: dict[str, Decimal] = field(default_factory=dict)
    right: dict[str, Decimal] = field(default_factory=dict)

    @property
    def passed(self) -> bool:
        """Whether both sides say the same."""
        wrong = self.missing or self.extra or self.doubled or self.different or self.unreadable
        return not wrong and self.left == self.right

    def take(self, system: str, other: "Agreement") -> None:
        """Count one system's comparison in."""
        self.compared += other.compared
        self.under_way += other.under_way
        self.unreadable += other.unreadable
        for kind in KINDS:
            getattr(self, kind).extend(getattr(other, kind))
        for mine, theirs in ((self.left, other.left), (self.right, other.right)):
            mine.update({f"{system} {day}": amount for day, amount in theirs.items()})

    def metadata(self) -> dict[str, Any]:
        """Counts, sums and at most twenty keys of each kind."""
        shown: dict[str, Any] = {"compared": self.compared, "under_way": self.under_way}
        for kind in KINDS:
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
        if self.unreadable:
            shown["unreadable"] = "; ".join(self.unreadable)
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
    return _answer(systems, systems.settings.stores, shop_agreement)


def _answer(
    systems: Systems, names: Iterable[str], compared: Callable[[Systems, str], Agreement]
) -> dg.AssetCheckResult:
    """Compare system by system; one that does not answer is told, the others are compared."""
    total = Agreement()
    for name in names:
        try:
            total.take(name, compared(systems, name))
        except RemoteError as fault:
            total.unreadable.append(str(fault))
    return dg.AssetCheckResult(passed=total.passed, metadata=total.metadata())


def shop_agreement(systems: Systems, store: str) -> Agreement:
    """Compare one store's list of orders with core; what is set aside is accounted for."""
    with systems.shop(store) as shop:
        # Our clock may be behind the shop's, and an order it leaves out would look deleted.
        listed = [row for page in shop.order_totals(systems.now() + AHEAD) for row in page]
    with connected(systems.engine) as connection:
        read_until = raw.complete_until(connection, store, "orders")
        held = read_rows(
            connection,
            "select order_ref, total_amount, currency, (placed_at at time zone 'UTC')::date as day "
            "from core.orders where store = :store and state <> 'trashed'",
            store=store,
        )
        aside = read_rows(
            connection,
            "select distinct subject_ref from ops.exception where state = 'open' "
            "and code = any(:codes)",
            codes=MAPPING_CODES,
        )
    newer = {order_ref(store, row["id"]) for row in listed if _is_newer(row, read_until)}
    skipped = {row["subject_ref"] for row in aside} | newer
    shops = [
        {**row, "key": key} for row in listed if (key := order_ref(store, row["id"])) not in skipped
    ]
    ours = [row for row in held if row["order_ref"] not in skipped]
    seen = Counter(row["key"] for row in shops)
    found = compare(
        {row["key"]: Decimal(row["total"]) for row in shops},
        {row["order_ref"]: row["total_amount"] for row in ours},
        [key for key, times in seen.items() if times > 1],
    )
    found.under_way = len(newer)
    for row in shops:
        day = row["date_created_gmt"][:10]
        found.add_sum(found.left, row["currency"], day, Decimal(row["total"]))
    for row in ours:
        found.add_sum(found.right, row["currency"], row["day"], row["total_amount"])
    return found


def _is_newer(row: Row, read_until: datetime | None) -> bool:
    """Whether the order changed after we last read the store: the next reading brings it."""
    changed_at = datetime.fromisoformat(row["date_modified_gmt"]).replace(tzinfo=UTC)
    return read_until is not None and changed_at >= read_until.replace(microsecond=0)


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
        erps = [name for name, one in systems.settings.erps.items() if one.kind == kind]
        return _answer(systems, erps, erp_agreement)

    return check


#: Every order of an ERP's stores with what we expect there. A version newer than the receipt's is
#: a decision of its own (cancel, conflict, nothing): until it is taken, the receipt's total counts.
_EXPECTED = """
select o.order_ref, o.currency, (o.placed_at at time zone 'UTC')::date as day,
    case when r.core_version < o.raw_version then r.total_amount else o.total_amount end as amount,
    case
        when exists (select from ops.outbox x where x.thing_ref = o.order_ref
            and x.state in ('waiting', 'leased', 'unknown', 'parked')) then 'under_way'
        when r.outcome = 'accepted' then 'wanted'
        when r.outcome is null and p.action = 'create'
            and not exists (select from core.order_holds h where h.order_ref = o.order_ref)
            then 'wanted'
        else 'unwanted'
    end as standing
from core.orders o
left join receipt.sales_orders r on r.order_ref = o.order_ref
left join plan.sales_orders p on p.order_ref = o.order_ref
where o.store = any(:stores)
order by o.order_ref
"""


def erp_agreement(systems: Systems, erp: str) -> Agreement:
    """Read an ERP's orders by our keys and compare them with core."""
    with connected(systems.engine) as connection:
        rows = read_rows(
            connection,
            _EXPECTED,
            stores=list(systems.settings.stores_of(erp)),
        )
    standing = {row["order_ref"]: row["standing"] for row in rows}
    seen, strange = _seen(systems, erp, list(standing))
    alive = {key: one for key, one in seen.items() if one.state != "cancelled"}
    wanted = {r["order_ref"]: r["amount"] for r in rows if r["standing"] == "wanted"}
    settled = {k: one for k, one in alive.items() if standing[k] != "under_way"}
    found = compare(
        {key: amount for key, amount in wanted.items() if key not in strange},
        {key: one.total_amount for key, one in settled.items()},
        [key for key, one in alive.items() if one.payload.get("twins")],
    )
    # Accepted and a draft again: somebody took it back there, and nobody would ship it.
    reopened = [key for key, one in settled.items() if key in wanted and one.state == "draft"]
    found.different = sorted({*found.different, *strange, *reopened})
    found.under_way = sum(one == "under_way" for one in standing.values())
    of = {row["order_ref"]: (row["currency"], row["day"]) for row in rows}
    for key, amount in wanted.items():
        found.add_sum(found.left, *of[key], amount)
    for key, one in settled.items():
        found.add_sum(found.right, *of[key], one.total_amount)
    return found


def _seen(
    systems: Systems, erp: str, keys: Sequence[str]
) -> tuple[dict[str, SeenOrder], list[str]]:
    """What the ERP holds under our keys, and the keys it answers in words we do not know."""
    mapper = ERP_MAPPERS[systems.settings.erps[erp].kind]
    seen, strange = {}, []
    with systems.erp(erp) as client:
        for batch in batches(keys, 200):
            for key, payload in client.orders(batch).items():
                try:
                    seen[key] = _lean(mapper.seen(payload))
                except Rejected:
                    strange.append(key)
    return seen, strange


def _lean(order: SeenOrder) -> SeenOrder:
    """The order without all that the ERP said of it; there may be many."""
    twins = order.payload.get("twins")
    return replace(order, payload={"twins": twins} if twins else {})


def batches(keys: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    """Split keys into lists of at most `size`."""
    for start in range(0, len(keys), size):
        yield keys[start : start + size]
