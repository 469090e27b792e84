"""The part of a WooCommerce client that makes the orders of exchanges, once each by our key.

The shop has no idempotency for orders; what it finds by words is the transaction id, so that is our
key. What is in the order is decided elsewhere.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import Any

import httpx

from resources.errors import ContractBroken, Refused, UnknownOutcome
from resources.http import exact_json
from resources.pages import Broken, Raw, thing
from resources.systems.woocommerce_bounds import Params
from resources.systems.woocommerce_presence import Page
from resources.systems.woocommerce_products import sku_of

ROUTE = "/wp-json/wc/v3/orders"
DATES = ("date_modified_gmt",)
#: The default list leaves out trash and drafts, and takes them beside "any" for nothing.
STATUSES = ("any", "trash,checkout-draft,auto-draft")
#: What an order is in that was begun and not finished.
UNFINISHED = frozenset({"pending", "checkout-draft", "auto-draft"})

Payload = dict[str, Any]


class ExchangeCalls(ABC):
    """Calls about exchange orders of one store, for its client."""

    http: httpx.Client
    name: str
    store: str
    per_page: int

    @abstractmethod
    def _refuse(self, answer: httpx.Response) -> None:
        """Raise what an answer other than a good one means."""

    @abstractmethod
    def _page(self, path: str, asked: Params, *, fields: str | None = None) -> Page:
        """Read one page of a list."""

    @abstractmethod
    def products_by_sku(self, skus: Iterable[str]) -> list[Raw | Broken]:
        """Return the products and variations that have these SKUs."""

    def put_exchange(self, payload: Payload, key: str) -> Raw:
        """Make a paid order that is not there yet under our key; answers what the shop holds.

        One that was begun and lacks only its status is finished; one a person has put into the
        trash is not made again.
        """
        wanted = payload | {"transaction_id": key}
        found = self._exchange(key)
        if found is None:
            self._check_skus(wanted)
            return self._read(self.http.post(ROUTE, json=wanted))
        if found.body.get("status") not in UNFINISHED:
            return found
        if _bought(found.body) != _bought(wanted):
            # The shop shows an order before its lines are in it.
            half = f"order {found.resource_id} carries {key} and is not whole"
            raise UnknownOutcome(self.name, half, code="half_made")
        finished = {"status": wanted["status"]}
        return self._read(self.http.put(f"{ROUTE}/{int(found.resource_id)}", json=finished))

    def _exchange(self, key: str) -> Raw | None:
        """The order that has our key as its transaction id, in whatever status."""
        ours = [
            row
            for status in STATUSES
            for row in self._searched(key, status)
            if row.body.get("transaction_id") == key
        ]
        if len(ours) > 1:
            ids = ", ".join(row.resource_id for row in ours)
            raise Refused(self.name, f"{key} is more than one order: {ids}", code="doubled")
        return ours[0] if ours else None

    def _searched(self, key: str, status: str) -> list[Raw]:
        asked: Params = {"search": key, "status": status, "orderby": "id", "order": "desc"}
        page = self._page("orders", asked)
        page.check()
        if not page.is_last(1, self.per_page):
            raise ContractBroken(self.name, f"the shop finds more than a page of orders for {key}")
        if any(isinstance(row, Broken) for row in page.items):
            raise ContractBroken(self.name, f"an order found for {key} cannot be read")
        return [row for row in page.items if isinstance(row, Raw)]

    def _check_skus(self, wanted: Payload) -> None:
        """Refuse what the shop would take without a word as a line worth nothing."""
        skus = [str(line.get("sku") or "") for line in wanted["line_items"]]
        live = {
            sku_of(item)
            for item in self.products_by_sku(skus)
            if isinstance(item, Raw) and item.body.get("status") != "trash"
        }
        if missing := [sku for sku in skus if sku.casefold() not in live]:
            unknown = f"the shop does not sell {', '.join(missing)}"
            raise Refused(self.name, unknown, code="unknown_sku")

    def _read(self, answer: httpx.Response) -> Raw:
        """The order as answered; after an answer nobody can read only a look-up can tell."""
        self._refuse(answer)
        try:
            body = exact_json(self.name, answer.content)
        except ContractBroken as fault:
            raise UnknownOutcome(self.name, fault.message) from fault
        made = thing(self.store, answer.text, body, DATES)
        if isinstance(made, Broken):
            raise UnknownOutcome(self.name, f"in the order's answer {made.reason}")
        return made


def _bought(order: Mapping[str, Any]) -> list[tuple[str, int]]:
    """SKUs and units of an order, as the shop compares them."""
    lines = order.get("line_items") or []
    return sorted((str(line.get("sku") or "").casefold(), line["quantity"]) for line in lines)
