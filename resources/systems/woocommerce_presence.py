"""The part of a WooCommerce client that asks what is there at all: ids of lists, and who is gone.

Ids alone are a fiftieth of the bytes. What is said of a thing is read elsewhere.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Protocol

import httpx

from resources.errors import ContractBroken, Missing
from resources.pages import Broken, Raw

ORDERS = "/wp-json/wc/v3/orders"

Params = dict[str, str | int]


class Page(Protocol):
    """What could be read of one answer."""

    @property
    def items(self) -> list[Raw | Broken]:
        """Its rows."""

    def check(self) -> None:
        """Raise what broke the page off."""

    def is_last(self, number: int, size: int) -> bool:
        """Whether nothing follows."""


class PresenceCalls(ABC):
    """Calls about which things one store has, for its client."""

    http: httpx.Client
    name: str
    per_page: int

    @abstractmethod
    def _refuse(self, answer: httpx.Response) -> None:
        """Raise what an answer other than a good one means."""

    @abstractmethod
    def _page(self, path: str, asked: Params, *, fields: str | None = None) -> Page:
        """Read one page of a list."""

    def order_ids(self, down_to: int = 1, *, trashed: bool = False) -> set[int]:
        """Return the ids of live orders, or of those in the trash, from `down_to` on.

        A list that moves meanwhile may show too few: absence here proves nothing.
        """
        return self._ids_down_to("orders", {"status": "trash" if trashed else "any"}, down_to)

    def customer_ids(self, down_to: int = 1) -> set[int]:
        """Return the ids of all accounts from `down_to` on; administrators may be buyers too."""
        return self._ids_down_to("customers", {"role": "all"}, down_to)

    def why_gone(self, order_id: str | int) -> str | None:
        """Return what the shop answers where an order is gone for good; None while it is there."""
        answer = self.http.get(f"{ORDERS}/{int(order_id)}")
        try:
            self._refuse(answer)
        except Missing as fault:
            # A route or a proxy that is missing says nothing about the order.
            if not (fault.code or "").endswith("invalid_id"):
                raise
            return answer.text
        return None

    def _ids_down_to(self, path: str, asked: Mapping[str, str], down_to: int) -> set[int]:
        """Walk a list from the newest id down: what is added meanwhile is seen twice, not missed.

        The walk ends with the page that passes `down_to`, so it is as long as what is new.
        """
        found, number = set[int](), 0
        while True:
            number += 1
            params: Params = {**asked, "orderby": "id", "order": "desc", "page": number}
            page = self._page(path, params, fields="id")
            page.check()
            ids = {int(row.resource_id) for row in page.items if row.resource_id}
            if ids and ids <= found:
                raise ContractBroken(self.name, "the shop answers the same page again and again")
            found |= ids
            if page.is_last(number, self.per_page) or (ids and min(ids) <= down_to):
                return {one for one in found if one >= down_to}
