"""What is written about shipments, to whom: the things of this subject for the writing engine."""

from resources.settings import Settings
from sync_assets.intents import Thing
from sync_assets.writing import Manners

#: Kinds of systems that ship what they are told to.
WAREHOUSE_KINDS = ("files", "http", "shipbob")
ERP_KINDS = ("odoo", "tryton")
#: Writes to a shop about one order at a time: a batch is only how many are leased at once.
SHOP_BATCH = 50


def fulfilment_orders(kind: str) -> Thing:
    """Requests to a warehouse to ship."""
    return Thing(
        kind,
        "fulfilment_orders",
        "fulfilment",
        "shipment",
        subject_kind="fulfilment",
        ref_kind="fulfilment",
        code="warehouse",
    )


def deliveries(kind: str) -> Thing:
    """What left a warehouse that is not the ERP's own, posted in the ERP."""
    return Thing(
        kind,
        "deliveries",
        "delivery",
        "shipment",
        subject_kind="shipment",
        ref_kind="shipment",
        code="delivery",
    )


#: What customers see of a shipment.
NOTICES = Thing(
    "woocommerce",
    "notices",
    "notice",
    "shipment",
    subject_kind="shipment",
    ref_kind="notice",
    code="shop",
)
#: That everything of an order has left.
COMPLETIONS = Thing("woocommerce", "completions", "completion", "shipment", code="shop")


def manners(settings: Settings, system: str) -> Manners:
    """How a system wants to be written to."""
    if system in settings.stores:
        return Manners(SHOP_BATCH, settings.stores[system].retry_hours)
    known = settings.erps.get(system) or settings.warehouses[system]
    return Manners(known.batch, known.retry_hours)


def kinds_that_ship(settings: Settings) -> list[str]:
    """Kinds of systems of this deployment that are told what to ship, sorted."""
    found = {one.kind for one in settings.warehouses.values() if ships(one)}
    return sorted({*settings.erp_kinds(), *found})


def ships(warehouse: object) -> bool:
    """Whether a warehouse is told what to ship; one that only tells its stock is not."""
    return getattr(warehouse, "kind", "") != "files" or (
        getattr(warehouse, "shipping", None) is not None
    )


def systems_of(settings: Settings, kind: str) -> list[str]:
    """Systems of a kind that ship."""
    return [
        *settings.erps_of(kind),
        *[n for n, one in settings.warehouses.items() if one.kind == kind and ships(one)],
    ]
