"""Bills of components of an Odoo database: which products are kits, where kits are known at all."""

from collections.abc import Collection, Sequence
from typing import Any

from resources.errors import Refused
from resources.systems.odoo_rpc import Session
from resources.systems.roles import Payload

ITEM, BOM = "product.product", "mrp.bom"
BOM_FIELDS = ["product_tmpl_id", "product_id", "product_qty", "product_uom_id", "sequence"]
#: The model is not there when the server says this of it; without a right it says the other.
ABSENT, NO_RIGHT = "odoo.exceptions.UserError", "odoo.exceptions.AccessError"
ARCHIVED_TOO = {"active_test": False}


class Kits:
    """Bills of kits, through one session."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self._known: bool | None = None

    def known(self) -> bool:
        """Whether the database knows bills of components; asked once."""
        if self._known is None:
            try:
                self._known = bool(self.session.field_names(BOM))
            except Refused as refused:
                if refused.code != ABSENT:
                    raise
                self._known = False
        return self._known

    def among(self, items: Collection[int]) -> set[int]:
        """Those of the items that are kits: they have no stock of their own."""
        if not self.known() or not items:
            return set()
        domain, fields = [["id", "in", sorted(items)]], ["product_tmpl_id"]
        rows = self.session.rows(ITEM, domain, fields, order="id", context=ARCHIVED_TOO)
        templates = {row["id"]: many2one(row["product_tmpl_id"]) for row in rows}
        boms = self.boms(set(templates.values())) or []
        return {id_ for id_, template in templates.items() if bom_of(boms, id_, template)}

    def boms(self, templates: Collection[int]) -> list[Payload] | None:
        """Bills of kits of some templates, those Odoo would take first in front."""
        domain = [["type", "=", "phantom"], ["product_tmpl_id", "in", sorted(templates)]]
        rows = readable(self.session, BOM, domain, BOM_FIELDS, order="id")
        return None if rows is None else sorted(rows, key=_by_choice)


def _by_choice(bom: Payload) -> tuple[Any, ...]:
    return (bom["sequence"], not bom["product_id"], bom["id"])


def readable(
    session: Session, model: str, domain: list[Any], fields: Sequence[str], **options: Any
) -> list[Payload] | None:
    """Records of a model, or None where the user has no right to them."""
    try:
        return session.rows(model, domain, fields, **options)
    except Refused as refused:
        if refused.code != NO_RIGHT:
            raise
        return None


def many2one(value: Any) -> int:
    """The id in `[7, "name"]`; 0 for a missing value, which Odoo writes as false."""
    return int(value[0]) if value else 0


def bom_of(boms: Sequence[Payload], item: int, template: int) -> Payload | None:
    """The bill Odoo takes for an item: the first that is for it, or for all of its template."""
    for bom in boms:
        is_for_item = many2one(bom["product_id"]) in (0, item)
        if is_for_item and many2one(bom["product_tmpl_id"]) == template:
            return bom
    return None
