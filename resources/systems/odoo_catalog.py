"""Items of an Odoo database for a catalog: all of them, or those of which anything changed.

What belongs to an item is put together in `odoo_items`; what it is worth is for the mapper.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from resources.systems.odoo_items import CATEGORY, ITEM, ITEM_FIELDS, RULE, VALUE, Page, Shared
from resources.systems.odoo_kits import ARCHIVED_TOO, BOM, Kits, many2one, readable
from resources.systems.odoo_rpc import Session, batches
from resources.systems.roles import Payload

PAGE = 500
#: A value is renamed, or its attribute, without the value of the template being written.
VALUE_SOURCES = ("product_attribute_value_id.write_date", "attribute_id.write_date")


class Catalog:
    """Items, through one session."""

    def __init__(self, session: Session, kits: Kits) -> None:
        self.session, self.kits = session, kits

    def items(self, after_id: int = 0) -> Iterator[list[Payload]]:
        """Yield pages of products, archived ones too, in the order of their ids."""
        shared = Shared(self.session)
        while True:
            page = self._items([["id", ">", after_id]], order="id", limit=PAGE)
            if page:
                yield Page(shared, self.kits, page).composed()
            if len(page) < PAGE:
                return
            after_id = page[-1]["id"]

    def items_changed_since(self, moment: datetime, overlap: timedelta) -> Iterator[list[Payload]]:
        """Yield pages of products changed since `moment` less `overlap`, oldest change first.

        `write_date` is the START of the writing transaction: what a long one wrote appears
        behind a cursor that has passed its start. So `overlap` must exceed the longest
        transaction (120 s by default) and the caller's cursor must stay `overlap` behind now.
        The ids are taken in one snapshot, since offsets shift while people write; each product
        comes once. Across calls rows repeat: seconds are all that is shown, so only equal
        content, never an equal `write_date`, proves that nothing changed.

        A product's time follows its template; price rules, kits, attribute values and categories
        have times of their own. What was deleted leaves no trace: only reading all shows that.
        """
        since = window(moment, overlap)
        shared = Shared(self.session)
        changed = self._items([["write_date", ">=", since]], ["write_date"], "write_date, id")
        ids = dict.fromkeys(row["id"] for row in changed)
        for domain in self._domains_changed(since, shared):
            ids |= dict.fromkeys(row["id"] for row in self._items(domain, ["write_date"], "id"))
        for batch in batches(ids, PAGE):
            found = {row["id"]: row for row in self._items([["id", "in", batch]])}
            rows = [found[id_] for id_ in batch if id_ in found]
            if rows:
                yield Page(shared, self.kits, rows).composed()

    def _items(
        self,
        domain: list[Any],
        fields: Sequence[str] = ITEM_FIELDS,
        order: str | None = None,
        limit: int | None = None,
    ) -> list[Payload]:
        options = {name: v for name, v in (("order", order), ("limit", limit)) if v is not None}
        return self.session.rows(ITEM, domain, fields, context=ARCHIVED_TOO, **options)

    # What else changes an item

    def _domains_changed(self, since: str, shared: Shared) -> Iterator[list[Any]]:
        """Domains of the items that something beside them changed."""
        rules = self._rules_changed(since)
        kits = self._kits_changed(since)
        if any(rule["applied_on"] == "3_global" for rule in rules):
            yield []
            return
        templates = {many2one(row["product_tmpl_id"]) for row in (*rules, *kits)} - {0}
        items = {many2one(row["product_id"]) for row in (*rules, *kits)} - {0}
        wide = {many2one(rule["categ_id"]) for rule in rules} - {0}
        categories = shared.below(wide | self._changed(CATEGORY, since))
        values = self._changed(VALUE, since, *VALUE_SOURCES)
        for field, ids in (
            ("product_tmpl_id", templates),
            ("id", items),
            ("categ_id", categories),
            ("product_template_attribute_value_ids", values),
        ):
            if ids:
                yield [[field, "in", sorted(ids)]]

    def _changed(self, model: str, since: str, *others: str) -> set[int]:
        terms = [[name, ">=", since] for name in ("write_date", *others)]
        domain = ["|"] * len(others) + terms
        rows = readable(self.session, model, domain, ["write_date"], order="id")
        return {row["id"] for row in rows or ()}

    def _rules_changed(self, since: str) -> list[Payload]:
        """Rules that changed, and all of a price list that did, an archived one included."""
        domain = ["|", ["write_date", ">=", since], ["pricelist_id.write_date", ">=", since]]
        fields = ["applied_on", "product_id", "product_tmpl_id", "categ_id"]
        found = readable(self.session, RULE, domain, fields, order="id", context=ARCHIVED_TOO)
        return found or []

    def _kits_changed(self, since: str) -> list[Payload]:
        if not self.kits.known():
            return []
        domain = ["|", ["write_date", ">=", since], ["bom_line_ids.write_date", ">=", since]]
        fields = ["product_id", "product_tmpl_id"]
        return readable(self.session, BOM, domain, fields, order="id", context=ARCHIVED_TOO) or []


def window(moment: datetime, overlap: timedelta) -> str:
    """The start of a window as Odoo reads it: naive UTC, whole seconds."""
    return (moment - overlap).astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")
