"""Telling warehouses, ERPs and shops what is planned: each system with its hand."""

from collections.abc import Callable

from resources.settings import ShipBobWarehouse
from resources.store.engine import connected
from resources.store.frames import read_rows
from resources.wiring import Systems
from sync_assets.shipments.hands import (
    CompletionHand,
    DeliveryHand,
    FilesHand,
    NoticeHand,
    OwnWarehouseHand,
    WarehouseHand,
)
from sync_assets.shipments.things import (
    COMPLETIONS,
    ERP_KINDS,
    NOTICES,
    deliveries,
    fulfilment_orders,
    manners,
    systems_of,
)
from sync_assets.writing import Sent, each, send

Say = Callable[[str], None]


def fulfilment_orders_of(systems: Systems, kind: str, run_id: str | None, say: Say) -> Sent:
    """Ask every warehouse of a kind to ship what is released."""
    names = systems_of(systems.settings, kind)
    return each(names, lambda name: _fulfilment_orders(systems, kind, name, run_id, say))


def _fulfilment_orders(
    systems: Systems, kind: str, name: str, run_id: str | None, say: Say
) -> Sent:
    thing, how = fulfilment_orders(kind), manners(systems.settings, name)
    if kind in ERP_KINDS:
        with systems.erp(name) as erp:
            own = OwnWarehouseHand(erp, kind, _order_ids(systems, name))
            return send(systems, thing, name, how, own, run_id, say)
    said = systems.settings.warehouses[name]
    method = said.shipping_method if isinstance(said, ShipBobWarehouse) else ""
    with systems.warehouse(name) as client:
        files = FilesHand(client) if kind == "files" else None
        hand = files or WarehouseHand(client, kind, method)
        return send(systems, thing, name, how, hand, run_id, say)


def _order_ids(systems: Systems, erp: str) -> dict[str, int]:
    """The ERP's ids of orders with a request it is to be asked about."""
    with connected(systems.engine) as connection:
        rows = read_rows(
            connection,
            "select distinct r.order_ref, r.remote_id from core.fulfilment_orders f "
            "join receipt.sales_orders r on r.order_ref = f.order_ref and r.system = f.system "
            "where f.system = :erp and r.remote_id is not null "
            "and f.state not in ('planned', 'held', 'shipped', 'short', 'cancelled')",
            erp=erp,
        )
    return {row["order_ref"]: int(row["remote_id"]) for row in rows}


def deliveries_of(systems: Systems, kind: str, run_id: str | None, say: Say) -> Sent:
    """Post in every ERP of a kind what left elsewhere."""

    def post(name: str) -> Sent:
        with systems.erp(name) as erp:
            how = manners(systems.settings, name)
            hand = DeliveryHand(erp, kind)
            return send(systems, deliveries(kind), name, how, hand, run_id, say)

    return each(systems.settings.erps_of(kind), post)


def notices(systems: Systems, run_id: str | None, say: Say) -> Sent:
    """Show customers of every store what left."""

    def tell(name: str) -> Sent:
        with systems.shop(name) as shop:
            hand = NoticeHand(shop, systems.settings.stores[name].tracking)
            how = manners(systems.settings, name)
            return send(systems, NOTICES, name, how, hand, run_id, say)

    return each(systems.settings.publishing("shipments"), tell)


def completions(systems: Systems, run_id: str | None, say: Say) -> Sent:
    """Complete the orders of which everything left."""

    def complete(name: str) -> Sent:
        with systems.shop(name) as shop:
            how = manners(systems.settings, name)
            return send(systems, COMPLETIONS, name, how, CompletionHand(shop), run_id, say)

    return each(systems.settings.publishing("shipments"), complete)
