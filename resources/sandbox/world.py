"""The demo's world: three stand-in shops holding given orders, and a stand-in ERP that knows what
they sell. What was placed is counted here from the orders themselves, so that `expect` can be
held against what the shops show and what reached the ERP.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple

from resources.sandbox.baskets import UNSUPPORTED_CURRENCY
from resources.sandbox.checkout import UNPAID, Checkout, address
from resources.sandbox.deployment import ACCOUNTS
from resources.sandbox.faults import StandIn
from resources.sandbox.odoo import OdooStandIn
from resources.sandbox.shop_order import STORES, Defect, ShopOrder, Store, cents
from resources.sandbox.woocommerce import WooCommerceStandIn

Doc = dict[str, Any]
Now = Callable[[], datetime]

#: Items of the ERP that stand for what is no article.
SERVICES = {"SHIPPING": "Shipping", "FEE": "Fee", "ROUNDING": "Rounding"}
STOCK = 1_000


class Kind(NamedTuple):
    """What orders are counted by."""

    store: str
    status: str
    is_clean: bool  # nothing was planted in it


@dataclass(slots=True)
class Item:
    """An article the ERP must know, at the price of its first sale, and where it is sold from."""

    name: str
    price: Decimal
    warehouses: list[str] = field(default_factory=list)


@dataclass
class Tally:
    """Orders and the sums of their totals by currency."""

    orders: int = 0
    totals: dict[str, Decimal] = field(default_factory=dict)

    def add(self, orders: int, totals: dict[str, Decimal]) -> None:
        """Count orders in."""
        self.orders += orders
        for currency, total in totals.items():
            self.totals[currency] = self.totals.get(currency, Decimal()) + total

    def told(self) -> Doc:
        """The tally as plain values."""
        return {"orders": self.orders, "totals": dict(sorted(self.totals.items()))}


@dataclass
class World:
    """The stand-ins, and what was put into them; orders are named `store:id`."""

    shops: dict[str, WooCommerceStandIn]
    erp: OdooStandIn | None = None
    items: dict[str, Item] = field(default_factory=dict)
    sources: dict[str, str] = field(default_factory=dict)
    defects: dict[str, tuple[Defect, ...]] = field(default_factory=dict)
    placed: dict[Kind, Tally] = field(default_factory=lambda: defaultdict(Tally))
    refunded: dict[str, Decimal] = field(default_factory=lambda: defaultdict(Decimal))
    checkouts: dict[str, Checkout] = field(default_factory=dict)

    def standins(self) -> dict[str, StandIn]:
        """All stand-ins by name, as a server of them wants it."""
        return {**self.shops, **({"odoo": self.erp} if self.erp else {})}

    def expect(self) -> Doc:
        """Say what was placed: sums per store, status and currency, and the planted defects.

        `clean` is per store and status and leaves out orders with a planted defect; which
        statuses belong in the ERP is for the reader to know.
        """
        every = self._tallied(lambda kind: "all")
        return {
            "orders": sum(tally.orders for tally in self.placed.values()),
            "totals": every["all"]["totals"] if every else {},
            "refunded": dict(sorted(self.refunded.items())),
            "stores": self._tallied(lambda kind: kind.store),
            "statuses": self._tallied(lambda kind: kind.status),
            "clean": {store: self._clean(store) for store in self.shops},
            "defects": self._planted(),
            "spoiled_orders": len(self.defects),
        }

    def _clean(self, store: str) -> dict[str, Doc]:
        return self._tallied(
            lambda kind: kind.status if kind.is_clean and kind.store == store else None
        )

    def _planted(self) -> dict[str, dict[str, int]]:
        """Places and orders of each kind of defect."""
        places = Counter(defect for found in self.defects.values() for defect in found)
        orders = Counter(defect for found in self.defects.values() for defect in set(found))
        return {d.value: {"places": places[d], "orders": orders[d]} for d in Defect}

    def _tallied(self, name_of: Callable[[Kind], str | None]) -> dict[str, Doc]:
        tallies: dict[str, Tally] = defaultdict(Tally)
        for kind, tally in self.placed.items():
            name = name_of(kind)
            if name is not None:
                tallies[name].add(tally.orders, tally.totals)
        return {name: tallies[name].told() for name in sorted(tallies)}


def build(
    orders: Iterable[ShopOrder],
    now: Now,
    erp: str | None = "odoo",
    *,
    version: int = 18,
    stock: int = STOCK,
    are_placed: bool = True,
) -> World:
    """Place orders in fresh shops and fill a stand-in ERP, or none where a real one is used.

    Orders that are not placed are to come: the ERP knows what they will be about.
    """
    if erp not in ("odoo", None):
        raise ValueError(f"there is no stand-in for the ERP {erp!r}")
    world = World({name: _shop(store, now) for name, store in STORES.items()})
    counters = {name: _Counter(world, STORES[name], shop) for name, shop in world.shops.items()}
    world.checkouts = {name: counter.checkout for name, counter in counters.items()}
    for order in orders:
        counter = counters[order.store]
        counter.take(order) if are_placed else counter.offer(order)
    if erp:
        world.erp = _erp(world.items, now, version, stock)
    return world


def _shop(store: Store, now: Now) -> WooCommerceStandIn:
    return WooCommerceStandIn(
        store.name,
        currency=store.currency,
        timezone=store.timezone,
        now=now,
        prices_include_tax=store.prices_include_tax,
        base=(store.country, store.region),
    )


def _erp(items: dict[str, Item], now: Now, version: int, stock: int) -> OdooStandIn:
    companies = [(store.company, store.currency) for store in STORES.values()]
    erp = OdooStandIn(version=version, now=now, companies=companies)
    for store in STORES.values():
        erp.add_tax(
            store.company,
            store.erp_tax,
            store.tax.percent,
            price_include=store.prices_include_tax,
        )
        erp.add_warehouse(store.company, store.warehouse)
        for _, code, name in ACCOUNTS:
            erp.add_account(store.company, code, name)
    # What some customers pay in, although no store takes it: providers settle it all the same.
    erp.currency(UNSUPPORTED_CURRENCY)
    erp.add_products(
        (sku, item.name, item.price, dict.fromkeys(item.warehouses, stock))
        for sku, item in items.items()
    )
    for code, name in SERVICES.items():
        erp.add_product(code, name, Decimal(), kind="service")
    return erp


class _Counter:
    """Takes orders for one shop of the world and keeps the tally."""

    def __init__(self, world: World, store: Store, shop: WooCommerceStandIn) -> None:
        self.world, self.store, self.shop = world, store, shop
        rates = (store.tax, store.stray_tax)
        ids = {rate.code: shop.tax_rate(rate.code, rate.percent, rate.label) for rate in rates}
        self.checkout = Checkout(store, ids)
        self.accounts: dict[int, int] = {}

    def take(self, order: ShopOrder) -> None:
        """Place one order with its refunds, and note what it must come to."""
        order_id = self.shop.place(self.checkout.order(order, self._account(order)))
        total, refunded = self.checkout.total(order), self._refund(order_id, order)
        # Giving back the last cent makes an order refunded.
        status = "refunded" if refunded and refunded == total else order.status
        kind = Kind(self.store.name, status, not order.defects)
        self.world.placed[kind].add(1, {order.currency: total})
        if refunded:
            self.world.refunded[order.currency] += refunded
        ref = f"{self.store.name}:{order_id}"
        self.world.sources[ref] = order.source
        if order.defects:
            self.world.defects[ref] = order.defects
        self.offer(order)

    def _account(self, order: ShopOrder) -> int:
        """The shop's id of the customer, who opens an account with the first order."""
        if order.customer is None:
            return 0
        if order.customer not in self.accounts:
            person, home = order.person, address(order.person)
            self.accounts[order.customer] = self.shop.add_customer(
                person.email, person.first_name, person.last_name, billing=home, shipping=home
            )
        return self.accounts[order.customer]

    def _refund(self, order_id: int, order: ShopOrder) -> Decimal:
        """Give back in the shop what the order says, and answer the money."""
        if not order.refunds:
            return Decimal()
        line_ids = [line["id"] for line in self.shop.order_json(order_id)["line_items"]]
        whole = Decimal()
        for refund in order.refunds:
            amount, told = self.checkout.refund(refund, order.tax, line_ids)
            self.shop.refund(order_id, by_gateway=order.status not in UNPAID, **told)
            whole += amount
        return whole

    def offer(self, order: ShopOrder) -> None:
        """Remember what the ERP must sell; what was planted as unknown is none of it."""
        for line in order.lines:
            sku = self.checkout.sku(line)
            if sku is None or line.planted is not None:
                continue
            item = self.world.items.get(sku)
            if item is None:
                item = Item(line.name, cents(line.subtotal / line.quantity))
                self.world.items[sku] = item
            if self.store.warehouse not in item.warehouses:
                item.warehouses.append(self.store.warehouse)
