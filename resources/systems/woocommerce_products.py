"""The part of a WooCommerce client that reads products, variations and their stock, text as sent.

Products are asked for in the `edit` context: the other one wraps descriptions in markup that
nobody wrote. Shops before 10.3 have no list of all variations; theirs are read parent by parent.
What is written is in `woocommerce_product_writes.py`.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

from resources.errors import Missing, TryAgain
from resources.pages import Broken, Raw
from resources.systems.woocommerce_bounds import NEVER, SECOND, Params, between, floor
from resources.systems.woocommerce_presence import Page

LIVE: Params = {"status": "any", "context": "edit"}
TRASHED: Params = {"status": "trash", "context": "edit"}
STOCK = (
    "id,parent_id,sku,type,manage_stock,stock_quantity,backorders,stock_status,date_modified_gmt"
)
#: SKUs asked for at once, and their characters: addresses over 8,000 are refused by many servers.
SKUS, CHARACTERS = 100, 3000
READINGS = 5

Payload = dict[str, Any]
Rows = list[Raw | Broken]
Seen = set[tuple[str, object]]


class ProductCalls(ABC):
    """Readings of the products of one store, for its client."""

    name: str
    per_page: int
    #: Whether the shop lists the variations of all parents, as far as we know.
    lists_variations = True

    @abstractmethod
    def _page(self, path: str, asked: Params, *, fields: str | None = None) -> Page:
        """Read one page of a list."""

    @abstractmethod
    def _changes(
        self, path: str, moment: datetime, until: datetime, asked: Params
    ) -> Iterator[Rows]:
        """Read what changed in a span of time."""

    @abstractmethod
    def _whole(self, path: str, asked: Params, seen: Seen) -> Iterator[Rows]:
        """Walk a list by id."""

    @abstractmethod
    def _by_change(self, rows: Rows) -> Iterator[Rows]:
        """Yield pages of what was read, oldest change first."""

    @abstractmethod
    def _ids(self, path: str, asked: Params) -> tuple[set[str], bool]:
        """The ids of a list, and whether it stood still meanwhile."""

    @abstractmethod
    def _included(self, path: str, ids: list[str], asked: Params) -> Rows:
        """Read the rows of a list that have these ids."""

    @abstractmethod
    def _batches(self, ids: Iterable[str | int]) -> Iterator[list[str]]:
        """Ids once each, in the number the shop answers at once."""

    @abstractmethod
    def _one(self, path: str, key: str, asked: Params | None = None) -> Raw | Broken | None:
        """Read one thing at its own address."""

    def products_changed_since(self, moment: datetime, until: datetime) -> Iterator[Rows]:
        """Yield pages of live products changed from `moment` on and before `until`, oldest first.

        A variable product comes whenever one of its variations changed.
        """
        yield from self._changes("products", moment, until, LIVE)

    def products_trashed_since(self, moment: datetime, until: datetime) -> Iterator[Rows]:
        """Yield pages of products in the trash; the shop shows them to no other question."""
        yield from self._changes("products", moment, until, TRASHED)

    def variations_changed_since(self, moment: datetime, until: datetime) -> Iterator[Rows]:
        """Yield pages of live variations changed from `moment` on and before `until`."""
        try:
            if self.lists_variations:
                yield from self._changes("variations", moment, until, LIVE)
                return
        except Missing as answer:
            self._note_no_list(answer)
        yield from self._changed_below_parents(floor(moment), floor(until), LIVE)

    def variations_trashed_since(self, moment: datetime, until: datetime) -> Iterator[Rows]:
        """Yield pages of variations in the trash, on their own or together with their parent."""
        try:
            if self.lists_variations:
                yield from self._changes("variations", moment, until, TRASHED)
                return
        except Missing as answer:
            self._note_no_list(answer)
        yield from self._changed_below_parents(floor(moment), floor(until), TRASHED)

    def products(self) -> Iterator[Rows]:
        """Yield pages of all live products, variations apart."""
        yield from self._whole("products", LIVE, set())

    def variations(self) -> Iterator[Rows]:
        """Yield pages of all live variations."""
        try:
            if self.lists_variations:
                yield from self._whole("variations", LIVE, set())
                return
        except Missing as answer:
            self._note_no_list(answer)
        for parent in sorted(self._parents({"status": "any"}), key=int):
            yield from self._below(parent, LIVE)

    def products_by_id(self, ids: Iterable[str | int]) -> Rows:
        """Return the products and variations that exist, in the trash or not."""
        found: Rows = []
        for batch in self._batches(ids):
            found += self._included("products", batch, LIVE)
            found += self._listed_variations(_absent(batch, found))
            found += self._included("products", _absent(batch, found), TRASHED)
            # Drafts of no list, and variations in the trash, answer at their own address only.
            for key in _absent(batch, found):
                if one := self._one("products", key, {"context": "edit"}):
                    found.append(one)
        return found

    def products_by_sku(self, skus: Iterable[str]) -> Rows:
        """Return the products and variations that have these SKUs, whatever their letter case.

        The trash is asked for what no live one has: a SKU there cannot be given again. A SKU with
        a comma cannot be asked for, and finds nothing.
        """
        found: Rows = []
        distinct = [sku for sku in dict.fromkeys(skus) if sku and "," not in sku]
        for asked in (LIVE, TRASHED):
            there = {sku_of(item) for item in found}
            wanted = [sku for sku in distinct if sku.casefold() not in there]
            for portion in _portions(wanted):
                batch: Params = asked | {"sku": ",".join(portion)}
                found += [row for page in self._whole("products", batch, set()) for row in page]
        return found

    def stock_of(self, things: Iterable[tuple[int, int | None]]) -> dict[int, Payload]:
        """Return what the shop says now of the stock of `(id, parent id or None)`, by id.

        What is in the trash or gone is absent.
        """
        below: dict[int | None, list[int]] = {}
        for product_id, parent_id in things:
            below.setdefault(parent_id or None, []).append(product_id)
        found = self._stock_at("products", below.pop(None, []))
        try:
            if self.lists_variations:
                together = [product_id for ids in below.values() for product_id in ids]
                return found | self._stock_at("variations", together)
        except Missing as answer:
            self._note_no_list(answer)
        for parent_id, ids in below.items():
            found |= self._stock_at(f"products/{parent_id}/variations", ids)
        return found

    def _stock_at(self, path: str, ids: list[int]) -> dict[int, Payload]:
        found: dict[int, Payload] = {}
        for batch in self._batches(ids):
            asked: Params = {"status": "any", "include": ",".join(batch)}
            page = self._page(path, asked, fields=STOCK)
            page.check()
            found |= {int(row.resource_id): row.body for row in page.items if isinstance(row, Raw)}
        return found

    def _listed_variations(self, ids: list[str]) -> Rows:
        """Those of the ids that are live variations; none where the shop has no list of them."""
        try:
            return self._included("variations", ids, LIVE) if self.lists_variations else []
        except Missing as answer:
            self._note_no_list(answer)
            return []

    def _changed_below_parents(
        self, moment: datetime, until: datetime, asked: Params
    ) -> Iterator[Rows]:
        """Read the variations of every parent changed since: each bumps its parent with itself.

        A parent may have been bumped once more after `until`, so it is asked for without an end.
        """
        window = between("modified_after", moment - SECOND, "modified_before", NEVER)
        parents: set[str] = set()
        for status in dict.fromkeys(("any", str(asked["status"]))):
            parents |= self._parents({**window, "status": status})
        rows = [
            row
            for parent in sorted(parents, key=int)
            for page in self._below(parent, asked)
            for row in page
            if isinstance(row, Broken) or moment <= row.changed_at < until
        ]
        yield from self._by_change(rows)

    def _below(self, parent: str, asked: Params) -> Iterator[Rows]:
        """The variations of one parent, none if it is gone meanwhile."""
        try:
            yield from self._whole(f"products/{parent}/variations", asked, set())
        except Missing as answer:
            if not (answer.code or "").endswith("invalid_id"):
                raise

    def _parents(self, asked: Params) -> set[str]:
        """The ids of the variable products of a list, read until two readings agree."""
        found: set[str] = set()
        for _ in range(READINGS):
            listed, is_steady = self._ids("products", {**asked, "type": "variable"})
            if is_steady or (found and listed <= found):
                return found | listed
            found |= listed
        raise TryAgain(self.name, f"the list of products changed under {READINGS} readings")

    def _note_no_list(self, answer: Missing) -> None:
        """Remember that the shop has no list of all variations, if that is what it said."""
        if answer.code != "rest_no_route":
            raise answer
        self.lists_variations = False


def sku_of(item: Raw | Broken) -> str | None:
    """Return the SKU of what was read, as the shop compares it."""
    sku = item.body.get("sku") if isinstance(item, Raw) else None
    return sku.casefold() if isinstance(sku, str) and sku else None


def _portions(skus: list[str]) -> Iterator[list[str]]:
    """As many SKUs as one address bears."""
    portion: list[str] = []
    for sku in skus:
        if portion and (len(portion) == SKUS or len(",".join([*portion, sku])) > CHARACTERS):
            yield portion
            portion = []
        portion.append(sku)
    if portion:
        yield portion


def _absent(ids: list[str], found: Rows) -> list[str]:
    there = {item.resource_id for item in found}
    return [key for key in ids if key not in there]
