"""The products and variations of a WooCommerce stand-in: kept, found, changed, and told of.

How one is written is in `woocommerce_listing.py`; requests and answers are in
`woocommerce_product_answers.py`.
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime

from resources.sandbox.woocommerce_article import PASSED_ON, Article, article
from resources.sandbox.woocommerce_listing import ProductClerk, slugged
from resources.sandbox.woocommerce_prices import amount
from resources.sandbox.woocommerce_refusals import Declined
from resources.sandbox.woocommerce_shelf import Shelf
from resources.sandbox.woocommerce_stock import settle
from resources.sandbox.woocommerce_till import Doc, Given, written

Tell = Callable[[str, int], None]


class Products(Mapping[int, Doc]):
    """The products of one store by id; variations stand on a shelf of their own."""

    def __init__(
        self,
        clerk: ProductClerk,
        now: Callable[[], datetime],
        next_id: Callable[[], int],
        tell: Tell,
    ) -> None:
        self.clerk, self.now, self.next_id, self.tell = clerk, now, next_id, tell
        self.goods, self.variations = Shelf[Article](), Shelf[Article]()
        #: How many creations may still overlook that their SKU is taken, as a race lets them.
        self.blind_creations = 0
        self._by_sku: dict[str, list[int]] = {}
        self._by_barcode: dict[str, list[int]] = {}
        self._children: dict[int, list[int]] = {}
        self._slugs: dict[str, int] = {}
        self._before_trash: dict[int, str] = {}

    def __getitem__(self, product_id: int) -> Doc:
        """Read a product as it was given."""
        return self.known(product_id).doc()

    def __iter__(self) -> Iterator[int]:
        """Go through the ids of all products, variations left out."""
        return iter(self.goods.entries)

    def __len__(self) -> int:
        """Count the products, variations left out."""
        return len(self.goods.entries)

    # What one can ask

    def stamp(self) -> str:
        """The moment as the store writes it, in UTC."""
        return written(self.now(), UTC)

    def found(self, product_id: int) -> Article | None:
        """Return a product or variation, if there is one."""
        return self.goods.entries.get(product_id) or self.variations.entries.get(product_id)

    def known(self, product_id: int) -> Article:
        """Return a product or variation, or refuse."""
        one = self.found(product_id)
        if one is None:
            raise Declined(404, "woocommerce_rest_product_invalid_id", "Invalid ID.")
        return one

    def text(self, one: Article) -> str:
        """The JSON of a product, now."""
        return one.text(self.stamp())

    def children(self, parent_id: int) -> list[Article]:
        """The variations of a product, those in the trash too."""
        entries = self.variations.entries
        return [entries[child] for child in self._children.get(parent_id, ()) if child in entries]

    def with_sku(self, sku: str) -> list[Article]:
        """All that have a SKU, whatever its letter case and their status."""
        ids = self._by_sku.get(sku.lower(), ()) if sku else ()
        found = [self.found(product_id) for product_id in sorted(ids)]
        return [one for one in found if one is not None]

    def sold_as(self, sku: str) -> Article | None:
        """Return what a SKU buys: the first that has it and is not in the trash."""
        return next((one for one in self.with_sku(sku) if one.status != "trash"), None)

    def bought(self, line: Given) -> Article | None:
        """Return what an order line names by id or SKU, if the shop has it."""
        named = line.get("variation_id") or line.get("product_id")
        return self.found(int(named)) if named else self.sold_as(str(line.get("sku") or ""))

    def for_line(self, line: Given) -> Doc | None:
        """Return what an order line takes over from what it names."""
        one = self.bought(line)
        if one is None:
            return None
        found: Doc = {"id": one.id, "name": one.name, "sku": one.sku, "price": one.price}
        found |= {"global_unique_id": one.barcode, "parent_id": one.parent}
        if one.parent:
            parent = self.known(one.parent).name
            found |= {"parent_name": parent, "name": f"{parent} - {one.name}"}
            found["attributes"] = one.doc()["attributes"]
        return found

    def answered(self, one: Article) -> Doc:
        """The product as the answer to a write shows it."""
        doc = one.doc()
        return self.clerk.answered(doc, self.clerk.shown(doc, self.stamp(), self._parent_of(doc)))

    # What happens to them

    def create(self, given: Given) -> Article:
        """Create a product; news of it goes out twice, as the store has it."""
        self._refuse_taken(given, 0)
        when, name = self.now(), str(given.get("name") or "")
        doc = self.clerk.new(self.next_id(), name, self._slug(str(given.get("slug") or name)), when)
        self.clerk.change(doc, {"categories": (), **given}, when)
        if not doc["name"]:
            doc["name"] = "Product"
        if doc["type"] == "variable":
            self.clerk.gather(doc, [])
        made = self.keep(doc)
        if made.status == "publish":
            self.tell("product.published", made.id)
        self.tell("product.created", made.id)
        return made

    def create_variation(self, parent_id: int, given: Given) -> Article:
        """Create a variation of a product, which is bumped by it; nobody is told."""
        parent = self.goods.entries.get(parent_id)
        if parent is None:
            raise Declined(404, "woocommerce_rest_product_invalid_id", "Invalid ID.")
        self._refuse_taken(given, 0)
        when = self.now()
        doc = self.clerk.new_variation(self.next_id(), parent_id, when)
        self.clerk.change(doc, given, when, parent.doc())
        self._children.setdefault(parent_id, []).append(doc["id"])
        made = self.keep(doc)
        self._gather(parent_id, when)
        return made

    def change(self, product_id: int, given: Given) -> Article:
        """Change a product as a PUT does: it is bumped even by nothing at all."""
        before, when = self.known(product_id), self.now()
        self._refuse_taken(given, product_id)
        doc = before.doc()
        self.clerk.change(doc, given, when, self._parent_of(doc))
        if given.get("slug") and "slug" in doc:
            doc["slug"] = self._slug(str(given["slug"]))
        self._save(doc, when)
        if "publish" == doc["status"] != before.status and not before.parent:
            self.tell("product.published", product_id)
        self.tell("product.updated", product_id)
        return self.known(product_id)

    def trash(self, product_id: int) -> None:
        """Put a product into the trash with its variations; a coupon is said to be gone as well."""
        one, when = self.known(product_id), self.now()
        for child in self.children(product_id):
            if child.status != "trash":
                self._move(child, "trash", when)
        self._move(one, "trash", when)
        if one.parent:
            self._gather(one.parent, when)
            return
        self.tell("coupon.deleted", product_id)
        self.tell("product.deleted", product_id)

    def restore(self, product_id: int) -> None:
        """Take a product out of the trash as the owner does, with its variations."""
        one, when = self.known(product_id), self.now()
        for thing in (*self.children(product_id), one):
            if thing.status == "trash":
                self._move(thing, self._before_trash.get(thing.id, "publish"), when)
        if one.parent or one.kind == "variable":
            self._gather(one.parent or product_id, when)
        if not one.parent:
            self.tell("product.restored", product_id)

    def delete(self, product_id: int) -> None:
        """Delete a product for good, with its variations; no list or webhook tells."""
        one = self.known(product_id)
        for child in self.children(product_id):
            self._forget(child)
        self._children.pop(product_id, None)
        self._forget(one)
        if one.parent:
            self._children[one.parent].remove(product_id)
            self._gather(one.parent, self.now())

    def move_stock(self, product_id: int, units: int) -> tuple[int, int, int] | None:
        """Change a managed quantity by some units, as a sale does: who keeps it, from, to.

        A variation that leaves its stock to its parent moves the parent's. Nobody is told yet.
        """
        keeper = self.keeper(product_id)
        if keeper is None:
            return None
        doc, when = keeper.doc(), self.now()
        before = int(doc["stock_quantity"] or 0)
        doc["stock_quantity"] = before + units
        settle(doc, self._parent_of(doc))
        self._save(doc, when)
        return keeper.id, before, before + units

    def keeper(self, product_id: int) -> Article | None:
        """Return what manages the stock of a product: itself, its parent, or nothing."""
        one = self.found(product_id)
        if one is None or one.is_managed:
            return one
        parent = self.found(one.parent)
        return parent if parent is not None and parent.is_managed else None

    def overwrite_stock(self, product_id: int, units: int) -> None:
        """Write a quantity past the store, as importers do: not bumped, and nobody is told."""
        doc = self.known(product_id).doc()
        doc |= {"manage_stock": True, "stock_quantity": units}
        settle(doc)
        self.keep(doc)

    def run_scheduler(self) -> list[int]:
        """Let sales that began or ended reach the prices; return the products it changed."""
        now, when, changed = self.stamp(), self.now(), []
        for one in [*self.goods.entries.values(), *self.variations.entries.values()]:
            if one.window == (None, None) or one.kind == "variable":
                continue
            if one.price != amount(one.due(now)):
                doc = one.doc()
                doc["price"] = one.due(now)
                self._save(doc, when)
                self.tell("product.updated", one.id)
                changed.append(one.id)
        return changed

    def reprint(self, category_id: int | None = None, tag_id: int | None = None) -> None:
        """Write products anew that carry a changed name; they are not bumped."""
        terms = self.clerk.terms
        for one in list(self.goods.entries.values()):
            if tag_id is None and category_id not in one.categories:
                continue
            doc = one.doc()
            if tag_id is None or tag_id in [tag["id"] for tag in doc["tags"]]:
                doc["categories"] = terms["categories"].picked(doc["categories"])
                doc["tags"] = terms["tags"].picked(doc["tags"])
                self.keep(doc)

    # How they are kept

    def keep(self, doc: Doc) -> Article:
        """Render the product once and put it where lists and SKUs find it."""
        shown = self.clerk.shown(doc, self.stamp(), self._parent_of(doc))
        one, old = article(doc, shown), self.found(doc["id"])
        if old is not None:
            self._unlist(old)
        (self.variations if one.parent else self.goods).put(one)
        for key, index in ((one.sku.lower(), self._by_sku), (one.barcode, self._by_barcode)):
            if key:
                index.setdefault(key, []).append(one.id)
        return one

    def _save(self, doc: Doc, when: datetime) -> None:
        """Keep a changed product, and what its change means to its parent or its variations."""
        children = self.children(doc["id"])
        before = self.known(doc["id"]).doc() if children else doc
        self.clerk.bump(doc, when)
        if doc["type"] == "variable" and children:
            self.clerk.gather(doc, self._live(doc["id"]))
        self.keep(doc)
        if doc["parent_id"]:
            self._gather(doc["parent_id"], when)
        elif any(before[name] != doc[name] for name in PASSED_ON):
            for child in children:
                self.keep(child.doc())

    def _gather(self, parent_id: int, when: datetime) -> None:
        """Bring a parent in line with its variations; this bumps it, and nobody is told."""
        parent = self.goods.entries.get(parent_id)
        if parent is not None:
            doc = parent.doc()
            self.clerk.gather(doc, self._live(parent_id))
            self.clerk.bump(doc, when)
            self.keep(doc)

    def _live(self, parent_id: int) -> list[Article]:
        return [child for child in self.children(parent_id) if child.status != "trash"]

    def _move(self, one: Article, status: str, when: datetime) -> None:
        """Set a status without a look at anything else."""
        if status == "trash":
            self._before_trash[one.id] = one.status
        doc = one.doc() | {"status": status}
        if one.kind == "variable":
            doc["variations"] = [child.id for child in self._live(one.id)]
        self.clerk.bump(doc, when)
        self.keep(doc)

    def _forget(self, one: Article) -> None:
        self._unlist(one)
        (self.variations if one.parent else self.goods).drop(one.id)
        self._before_trash.pop(one.id, None)

    def _unlist(self, one: Article) -> None:
        for key, index in ((one.sku.lower(), self._by_sku), (one.barcode, self._by_barcode)):
            if key:
                index[key].remove(one.id)

    def _parent_of(self, doc: Doc) -> Doc | None:
        return self.goods.entries[doc["parent_id"]].doc() if doc["parent_id"] else None

    def _refuse_taken(self, given: Given, product_id: int) -> None:
        """Refuse a SKU or barcode that another one has; a trashed one only bars a creation."""
        barcode = str(given.get("global_unique_id") or "").strip()
        for other in self._by_barcode.get(barcode, ()) if barcode else ():
            if other != product_id and self.known(other).status != "trash":
                message = "Invalid or duplicated GTIN, UPC, EAN or ISBN."
                taken = {"status": 400, "resource_id": other}
                raise Declined(400, "product_invalid_global_unique_id", message, taken)
        sku = str(given.get("sku") or "").strip()
        others = [one for one in self.with_sku(sku) if one.id != product_id]
        if not others:
            return
        if not product_id and self.blind_creations > 0:
            self.blind_creations -= 1
            return
        owner = next((one for one in others if one.status != "trash"), None)
        if owner is not None:
            data: Doc = {"status": 400, "resource_id": owner.id}
            data["unique_sku"] = self._free_sku(sku)
            raise Declined(400, "product_invalid_sku", "Invalid or duplicated SKU.", data)
        if not product_id:
            message = (
                f"The product with SKU ({sku}) you are trying to insert is already present in the "
                "lookup table"
            )
            raise Declined(400, "woocommerce_rest_product_not_created", message)

    def _free_sku(self, sku: str) -> str:
        number = 1
        while self.with_sku(f"{sku}-{number}"):
            number += 1
        return f"{sku}-{number}"

    def _slug(self, words: str) -> str:
        """An address of its own for each product; the second one of a name gets a number."""
        slug = slugged(words)
        self._slugs[slug] = self._slugs.get(slug, 0) + 1
        return slug if self._slugs[slug] == 1 else f"{slug}-{self._slugs[slug]}"
