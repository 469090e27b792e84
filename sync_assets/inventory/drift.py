"""Whole stores compared with what we worked out: the step behind `core/stock_drift`.

All listings are read from the shop itself, so it finds what no webhook and no date of change tells:
numbers that importers wrote past the shop, listings that are gone, stock we know nothing of. What
looks different is read once more before it is believed. The judgement is in `domain/drift.py`.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

from sqlalchemy import Connection, text

from resources.http import in_lane
from resources.pages import Raw
from resources.store import exceptions, stale
from resources.store.engine import connected
from resources.store.frames import copy_rows, read_rows, scalar
from resources.systems.woocommerce import WooCommerce
from resources.wiring import Systems
from sync_assets.domain.drift import Difference, Kind, Treatment, Verdict, judge
from sync_assets.domain.orders import Problem, Rejected, Row
from sync_assets.inventory.planning import QUEUE, SECOND
from sync_assets.mappers import woocommerce_products as mapper
from sync_assets.policies import in_force
from sync_assets.trouble import exceptional

DRIFT = "stock.drift"
#: A person who releases a store's drift lets one comparison of the next day heal all it finds.
RELEASE = timedelta(days=1)
SHOWN = (
    *("product_id", "parent_id", "sku", "stock_management", "stock_units", "backorders"),
    *("stock_status", "changed_at", "price"),
)
#: What keeps no stock of its own in a shop.
WITHOUT_STOCK = ("grouped", "external")


def compare(systems: Systems, store: str, run_id: str | None) -> Verdict:
    """Compare one store with our numbers, heal or raise what differs, and keep what was found."""
    with systems.shop(store) as shop, in_lane("catalog"):
        shown = {row["product_id"]: row for row in _walk(shop)}
        with connected(systems.engine) as connection:
            doubtful = _differences(connection, store, shown.values())
        _look_again(shop, shown, doubtful)
    with connected(systems.engine) as connection:
        found = _differences(connection, store, shown.values())
        verdict = judge(
            found,
            len(shown),
            in_force(systems, connection).policy.guards,
            is_released=_is_released(connection, store, systems.now()),
        )
        if verdict.heals:
            _heal(connection, systems, store, verdict, shown)
        _tell(connection, systems, store, verdict, run_id)
        _keep(connection, systems, store, verdict, run_id)
    return verdict


def _walk(shop: WooCommerce) -> Iterator[Row]:
    """Every live product and variation; what cannot be read is told where it is mapped."""
    for pages in (shop.products(), shop.variations()):
        for page in pages:
            for one in page:
                if isinstance(one, Raw) and (row := _shown(one.body)) is not None:
                    yield row


def _shown(payload: Mapping[str, Any]) -> Row | None:
    if payload.get("type") in WITHOUT_STOCK:
        return None
    try:
        seen = mapper.stock_seen(payload)
    except Rejected:
        return None
    if payload.get("type") == "variable" and seen["stock_management"] == "no":
        return None  # its variations keep it
    return {**seen, "price": _price(payload.get("price"))}


def _price(said: object) -> Decimal | None:
    try:
        found = Decimal(str(said)) if said not in (None, "") else None
    except InvalidOperation:
        return None
    return found if found is None or found.is_finite() else None


def _look_again(shop: WooCommerce, shown: dict[int, Row], doubtful: Iterable[Difference]) -> None:
    """Read what differs once more: a walk takes minutes, and a shop sells meanwhile."""
    ids = [one.product_id for one in doubtful if one.kind == Kind.DIFFERENT]
    asked = [(one, shown[one]["parent_id"]) for one in ids]
    for product_id, payload in (shop.stock_of(asked) if asked else {}).items():
        try:
            shown[product_id] |= mapper.stock_seen(payload)
        except Rejected:
            continue


def _differences(connection: Connection, store: str, shown: Iterable[Row]) -> list[Difference]:
    """Compare in the database; what is on its way already is left out."""
    connection.exec_driver_sql("drop table if exists stage_shown")
    connection.exec_driver_sql(_STAGE)
    rows = ([row[name] for name in SHOWN] for row in shown)
    copy_rows(connection, "stage_shown", SHOWN, rows)
    connection.exec_driver_sql("analyze stage_shown")
    found = read_rows(connection, _COMPARE, store=store, second=SECOND)
    return [Difference(**{**row, "kind": Kind(row["kind"])}) for row in found]


_STAGE = """
create temp table stage_shown (product_id bigint primary key, parent_id bigint, sku text,
    stock_management text, stock_units bigint, backorders text, stock_status text,
    changed_at timestamptz, price numeric) on commit drop
"""
_COMPARE = """
with shown as materialized (
    select s.*, lower(s.sku) as folded, count(*) over (partition by lower(s.sku)) as twins
    from stage_shown s
), numbers as materialized (
    select lower(a.sku) as folded, min(a.sellable_units) as units,
           bool_or(a.backorder_units > 0) as is_beyond
    from core.availability_versions a
    where a.channel = :store and a.replaced_at is null group by 1
), orders as (
    select max(complete_until) as read_until from ops.watermark
    where source = :store and stream = 'orders'
), found as (
    select 'different' as kind, s.product_id, s.sku, s.folded, n.units as wanted_units,
           s.stock_units as seen_units, s.price, s.changed_at
    from shown s join numbers n using (folded)
    where s.twins = 1 and s.stock_management <> 'parent'
      and (s.stock_management = 'no' or s.stock_units is null
           or not (s.stock_units = n.units or (s.stock_units <= 0 and n.units <= 0))
           or (s.backorders <> 'no') <> n.is_beyond)
    union all
    select 'missing', l.product_id, l.sku, n.folded, n.units, null,
           coalesce(l.sale_amount, l.regular_amount), l.changed_at
    from core.listings l join numbers n on n.folded = lower(l.sku)
    where l.store = :store and l.status not in ('trash', 'auto-draft')
      and l.kind in ('simple', 'variation')
      and not exists (select from stage_shown s where s.product_id = l.product_id)
    union all
    select 'extra', s.product_id, s.sku, s.folded, null, s.stock_units, s.price, s.changed_at
    from shown s
    where s.stock_management = 'yes'
      and not exists (select from numbers n where n.folded = s.folded)
)
select f.kind, f.product_id, f.sku, f.wanted_units, f.seen_units, f.price
from found f cross join orders o
where f.kind = 'extra' or (
    not exists (select from plan.woocommerce__stock p
                where p.system = :store and p.product_id = f.product_id)
    and not exists (select from ops.outbox x
                    where x.system = :store
                      and x.thing_ref = :store || ':stock:' || f.product_id
                      and x.state in ('waiting', 'leased', 'unknown', 'parked'))
    and not exists (select from ops.stale t
                    where t.queue in ('availability', 'stock_plan') and t.key in (f.sku, '*'))
    and not exists (select from ops.stale t join core.order_lines i on i.order_ref = t.key
                    where t.queue = 'reservation' and lower(i.sku) = f.folded)
    and coalesce(o.read_until >= f.changed_at + cast(:second as interval), true))
order by f.kind, f.product_id
"""


def _is_released(connection: Connection, store: str, now: datetime) -> bool:
    return bool(
        scalar(
            connection,
            "select exists (select from ops.exception where state = 'released' and code = :code "
            "and subject_ref = :subject and closed_at > :since and not exists ("
            "select from core.stock_comparisons c where c.store = :store "
            "and c.compared_at > closed_at))",
            code=DRIFT,
            subject=f"{store}/stock",
            store=store,
            since=now - RELEASE,
        )
    )


def _heal(
    connection: Connection,
    systems: Systems,
    store: str,
    verdict: Verdict,
    shown: Mapping[int, Row],
) -> None:
    """Know what the shop shows and look at it again: the next plan sets the number."""
    different = [one for one in verdict.differences if one.kind == Kind.DIFFERENT]
    missing = [one.product_id for one in verdict.differences if one.kind == Kind.MISSING]
    rows = [{"store": store, **shown[one.product_id]} for one in different]
    if rows:
        connection.execute(text(_SEEN), rows)
    connection.execute(
        text(
            "update core.listings set status = 'trash' "
            "where store = :store and product_id = any(:ids)"
        ),
        {"store": store, "ids": missing},
    )
    stale.mark(connection, QUEUE, (one.sku for one in different if one.sku), systems.now())


_SEEN = """
update core.listings set stock_management = :stock_management, stock_units = :stock_units,
    backorders = :backorders, stock_status = :stock_status
where store = :store and product_id = :product_id and changed_at <= :changed_at
"""


def _tell(
    connection: Connection, systems: Systems, store: str, verdict: Verdict, run_id: str | None
) -> None:
    now, subject = systems.now(), f"{store}/stock"
    message = (
        f"{verdict.wrong} of {verdict.compared} listings show another number than ours, "
        f"{verdict.off_units} pieces in all; more than {verdict.most} are not put right without "
        "a person's word. See `sync-assets drift`"
    )
    found = (
        []
        if verdict.heals
        else [
            exceptional(
                Problem(DRIFT, "", message),
                subject,
                systems.settings.service_levels,
                sender_ref=store,
                amount=verdict.exposed_amount,
                currency=currency_of(systems, store),
                version=int(now.timestamp()),
            )
        ]
    )
    exceptions.reconcile(
        connection, found, subjects=[subject], codes=[DRIFT], now=now, run_id=run_id
    )


def currency_of(systems: Systems, store: str) -> str:
    """The currency of a store's prices."""
    return systems.settings.stores[store].currencies[0]


def _keep(
    connection: Connection, systems: Systems, store: str, verdict: Verdict, run_id: str | None
) -> None:
    now, currency = systems.now(), currency_of(systems, store)
    treated = [(one, verdict.treatment(one)) for one in verdict.differences]
    common = {"store": store, "at": now, "currency": currency, "run_id": run_id}
    rows = [
        {
            **common,
            "product_id": one.product_id,
            "sku": one.sku,
            "kind": one.kind.value,
            "wanted": one.wanted_units,
            "seen": one.seen_units,
            "off": one.off_units,
            "amount": one.exposed_amount,
            "treatment": treatment.value,
        }
        for one, treatment in treated
    ]
    if rows:
        connection.execute(text(_DRIFT), rows)
    counts = {kind.value: verdict.count(kind) for kind in Kind}
    connection.execute(
        text(_COMPARISON),
        {
            **common,
            **counts,
            "compared": verdict.compared,
            "off": verdict.off_units,
            "amount": verdict.exposed_amount,
            "healed": _count(treated, Treatment.HEALED),
            "raised": _count(treated, Treatment.RAISED),
        },
    )


def _count(treated: Sequence[tuple[Difference, Treatment]], treatment: Treatment) -> int:
    return sum(one == treatment for _, one in treated)


_DRIFT = """
insert into core.stock_drift (store, compared_at, product_id, sku, kind, wanted_units, seen_units,
    off_units, exposed_amount, currency, treatment, run_id)
values (:store, :at, :product_id, :sku, :kind, :wanted, :seen, :off, :amount, :currency,
    :treatment, :run_id)
"""
#: Two comparisons at one moment of our clock are one.
_COMPARISON = """
insert into core.stock_comparisons (store, compared_at, compared, missing, extra, different,
    off_units, exposed_amount, currency, healed, raised, run_id)
values (:store, :at, :compared, :missing, :extra, :different, :off, :amount, :currency, :healed,
    :raised, :run_id)
on conflict (store, compared_at) do nothing
"""


def last(connection: Connection, stores: Sequence[str]) -> list[Row]:
    """The newest comparison of each store, with at most twenty of its differences."""
    found = read_rows(
        connection,
        "select distinct on (store) * from core.stock_comparisons where store = any(:stores) "
        "order by store, compared_at desc",
        stores=list(stores),
    )
    for row in found:
        row["differences"] = read_rows(
            connection,
            "select product_id, sku, kind, wanted_units, seen_units, off_units, exposed_amount, "
            "currency, treatment from core.stock_drift where store = :store "
            "and compared_at = :at order by exposed_amount desc nulls last, product_id limit 20",
            store=row["store"],
            at=row["compared_at"],
        )
    return found
