"""What tests and demos may do with the products and the stock of the Odoo stand-in, as people and
warehouses would: each call is one transaction, with the moves the real one would write.
"""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from hashlib import sha1

from resources.sandbox import odoo_counts, odoo_transfers
from resources.sandbox import odoo_stock as stock
from resources.sandbox.odoo_catalog import TEMPLATE_DEFAULTS
from resources.sandbox.odoo_orm import ZERO
from resources.sandbox.odoo_rows import Row
from resources.sandbox.odoo_server import OdooServer
from resources.sandbox.odoo_stock import MOVE, OPEN, PICKING, PLACE
from resources.sandbox.odoo_variants import LINE, VALUE, VALUES

Amount = Decimal | str | int
Stock = Mapping[str, Decimal | int]
Units = Decimal | int
PRODUCT, TEMPLATE = "product.product", "product.template"


class Goods(OdooServer):
    """The stand-in's products and shelves, by SKU and warehouse code."""

    # Products

    def add_variants(
        self,
        name: str,
        price: Amount,
        variants: Mapping[str, Mapping[str, str]],
        stock: Mapping[str, Stock] | None = None,
        extra: Mapping[str, Amount] | None = None,
    ) -> dict[str, int]:
        """Add a product with variants: SKU to attribute values; `extra` is added per value.

        Every combination gets a variant, as there; one that is not named has no SKU.
        """
        with self.writing():
            values = {"name": name, "list_price": str(price), "is_storable": stock is not None}
            template = self.db.create(
                TEMPLATE,
                {
                    **values,
                    "attribute_line_ids": [
                        [0, 0, {"attribute_id": attribute, "value_ids": ids}]
                        for attribute, ids in self._attributes(variants)
                    ],
                },
                {},
            )
            ids = {sku: self._variant(template, chosen) for sku, chosen in variants.items()}
            for sku, id_ in ids.items():
                self.db.write(PRODUCT, [id_], {"default_code": sku}, {})
                self._fill(id_, (stock or {}).get(sku, {}))
            for line in self.tables.find(LINE, "product_tmpl_id", template):
                for value in self.tables.find(VALUE, "attribute_line_id", line):
                    more = (extra or {}).get(self.db.value(VALUE, value, "name"), 0)
                    self.tables.change(VALUE, value, {"price_extra": Decimal(more) or None})
        return ids

    def _attributes(self, variants: Mapping[str, Mapping[str, str]]) -> list[tuple[int, list[int]]]:
        chosen: dict[str, dict[str, None]] = {}
        for values in variants.values():
            for attribute, value in values.items():
                chosen.setdefault(attribute, {})[value] = None
        return [self._attribute(name, list(values)) for name, values in chosen.items()]

    def _attribute(self, name: str, values: list[str]) -> tuple[int, list[int]]:
        rows = self.tables.rows["product.attribute"].items()
        found = next((id_ for id_, row in rows if row["name"] == name), None)
        attribute = found or self.db.create("product.attribute", {"name": name}, {})
        model = "product.attribute.value"
        known = {
            self.db.value(model, id_, "name"): id_
            for id_ in self.tables.find(model, "attribute_id", attribute)
        }
        for value in values:
            if value not in known:
                row = {"name": value, "attribute_id": attribute}
                known[value] = self.db.create(model, row, {})
        return attribute, [known[value] for value in values]

    def _variant(self, template: int, chosen: Mapping[str, str]) -> int:
        def names(variant: int) -> dict[str, str]:
            values = self.db.value(PRODUCT, variant, VALUES)
            shown = (self.db.display_name(VALUE, value) for value in values)
            return dict(text.split(": ", 1) for text in shown)

        variants = self.tables.find(PRODUCT, "product_tmpl_id", template)
        return next(variant for variant in variants if names(variant) == chosen)

    def add_kit(self, sku: str, name: str, price: Amount, components: Mapping[str, Units]) -> int:
        """Add a product that is sold as one and picked as several."""
        self.install("mrp")
        with self.writing():
            kit = self.new_product(sku, name, price)
            template = self.db.value(PRODUCT, kit, "product_tmpl_id")
            lines = [
                [0, 0, {"product_id": self.item(part), "product_qty": str(units)}]
                for part, units in components.items()
            ]
            bill = {"product_tmpl_id": template, "type": "phantom", "bom_line_ids": lines}
            self.db.create("mrp.bom", bill, {})
        return kit

    def new_product(self, sku: str, name: str, price: Amount, **more: object) -> int:
        """Insert a product of one variant; the caller opens the transaction."""
        shared = {"create_date": self.tables.transaction.start, "default_code": sku}
        shared["write_date"] = shared["create_date"]
        own = {"name": name, "list_price": Decimal(price), **more}
        template = self.tables.insert(TEMPLATE, {**TEMPLATE_DEFAULTS, **own, **shared})
        return self.tables.insert(PRODUCT, {"product_tmpl_id": template, **shared})

    def set_price(
        self,
        sku: str,
        amount: Amount,
        price_list: str | None = None,
        *,
        minimum: Units = 0,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> int | None:
        """Set an item's own price, or add a rule to a price list and give the rule's id."""
        with self.writing():
            if price_list is None:
                self.db.write(PRODUCT, [self.item(sku)], {"lst_price": str(amount)}, {})
                return None
            rule: Row = {"applied_on": "0_product_variant", "fixed_price": str(amount)}
            rule |= {"product_id": self.item(sku), "pricelist_id": self._named_list(price_list)}
            for name, at in (("date_start", since), ("date_end", until)):
                rule |= {name: at.strftime("%Y-%m-%d %H:%M:%S")} if at else {}
            return self.db.create(
                "product.pricelist.item", {**rule, "min_quantity": str(minimum)}, {}
            )

    def add_price_rule(self, price_list: str, **values: object) -> int:
        """Add any rule to a price list, in Odoo's words."""
        with self.writing():
            rule = {"pricelist_id": self._named_list(price_list), **values}
            return self.db.create("product.pricelist.item", rule, {})

    def set_category(self, sku: str, *path: str) -> None:
        """Put a product into a category, made where it is new."""
        with self.writing():
            at: int | None = None
            for name in path:
                rows = self.tables.rows["product.category"].items()
                same = (i for i, r in rows if r["name"] == name and r.get("parent_id") == at)
                values = {"name": name, "parent_id": at}
                at = next(same, None) or self.db.create("product.category", values, {})
            self.db.write(PRODUCT, [self.item(sku)], {"categ_id": at}, {})

    def set_image(self, sku: str, content: bytes, *, of_variant: bool = False) -> None:
        """Give a product, or one variant only, an image."""
        with self.writing():
            model, field, id_ = TEMPLATE, "image_1920", self.item(sku)
            if of_variant:
                model, field = PRODUCT, "image_variant_1920"
            else:
                id_ = self.db.value(PRODUCT, id_, "product_tmpl_id")
            row = {"name": field, "res_model": model, "res_field": field, "res_id": id_}
            mark = sha1(content, usedforsecurity=False).hexdigest()
            self.tables.insert("ir.attachment", {**row, "checksum": mark})
            self.db.write(model, [id_], {}, {})

    def archive(self, sku: str, *, active: bool = False) -> None:
        """Archive an item, or bring it back."""
        with self.writing():
            self.db.write(PRODUCT, [self.item(sku)], {"active": active}, {})

    # Stock

    def receive(
        self, sku: str, warehouse: str, units: Units, *, origin: str = "P00001", done: bool = True
    ) -> str:
        """Receive goods from a vendor, or only announce them; answers the parcel's number."""
        with self.writing():
            way = (stock.place_of(self.db, "supplier"), self._shelf(warehouse))
            picking = self._parcel(warehouse, stock.IN, way, sku, units, origin)
            if done:
                odoo_transfers.finish(self.db, picking)
            return str(self.db.value(PICKING, picking, "name"))

    def validate(self, number: str) -> None:
        """Carry out a parcel by its number."""
        with self.writing():
            for picking in self.tables.find(PICKING, "name", number):
                odoo_transfers.finish(self.db, picking)

    def adjust(self, sku: str, warehouse: str, units: Units) -> None:
        """Find more on the shelf than the books say, or less."""
        with self.writing():
            odoo_counts.adjust(self.db, self.item(sku), self._shelf(warehouse), Decimal(units))

    def scrap(self, sku: str, warehouse: str, units: Units) -> None:
        """Throw goods away."""
        with self.writing():
            row = {"product_id": self.item(sku), "scrap_qty": str(units)}
            scrap = self.db.create("stock.scrap", row | {"location_id": self._shelf(warehouse)}, {})
            odoo_transfers.scrap(self.db, [scrap], {})

    def transfer(self, sku: str, source: str, target: str, units: Units) -> str:
        """Move goods from one warehouse to another; answers the parcel's number."""
        with self.writing():
            way = (self._shelf(source), self._shelf(target))
            picking = self._parcel(source, stock.INTERNAL_KIND, way, sku, units, None)
            odoo_transfers.finish(self.db, picking)
            return str(self.db.value(PICKING, picking, "name"))

    def set_aside(self, sku: str, warehouse: str, units: Units, place: str = "Returns") -> None:
        """Move goods to a place of the same warehouse, made where it is new."""
        with self.writing():
            way = (self._shelf(warehouse), self._place(warehouse, place))
            picking = self._parcel(warehouse, stock.INTERNAL_KIND, way, sku, units, None)
            odoo_transfers.finish(self.db, picking)

    def sell_over_the_counter(self, sku: str, warehouse: str, units: Units) -> None:
        """Sell goods in the shop round the corner."""
        self.install("point_of_sale")
        with self.writing():
            way = (self._shelf(warehouse), stock.customers(self.db))
            picking = self._parcel(warehouse, stock.OUT, way, sku, units, "POS/00001")
            self.tables.change(PICKING, picking, {"pos_order_id": 1})
            odoo_transfers.finish(self.db, picking)

    def ship(
        self,
        order_key: str,
        units: Mapping[str, Units] | None = None,
        tracking: str | None = None,
    ) -> Decimal:
        """Ship what is reserved for an order, or some units by SKU; the rest waits.

        Answers how many units left; a parcel for which nothing is there stays as it is.
        """
        shipped, wanted = ZERO, None if units is None else dict(units)
        with self.writing():
            for picking in self._parcels(order_key):
                taken = {m: self._take(m, wanted) for m in stock.open_moves(self.db, picking)}
                if not any(taken.values()):
                    continue
                for move, quantity in taken.items():
                    picked = {"quantity": str(quantity), "picked": bool(quantity)}
                    self.db.write(MOVE, [move], picked, {})
                if tracking is not None:
                    self.tables.change(PICKING, picking, {"carrier_tracking_ref": tracking})
                odoo_transfers.finish(self.db, picking)
                shipped += sum(taken.values(), ZERO)
        return shipped

    def _take(self, move: int, wanted: dict[str, Units] | None) -> Decimal:
        """Units of a move that go; `wanted` is counted down."""
        row = self.tables.rows[MOVE][move]
        if wanted is None:
            return Decimal(row.get("quantity", ZERO))
        sku = self.db.value(PRODUCT, row["product_id"], "default_code")
        taken = min(Decimal(wanted.get(sku, 0)), row["product_uom_qty"])
        wanted[sku] = Decimal(wanted.get(sku, 0)) - taken
        return Decimal(taken)

    def return_goods(self, order_key: str, sku: str, units: Units, to: str | None = None) -> str:
        """Take goods of an order back, to its shelf or to a place there; answers the number."""
        with self.writing():
            move = self._shipped(order_key, sku)
            row = self.tables.rows[MOVE][move]
            sent = self.tables.rows[PICKING][row["picking_id"]]
            warehouse = odoo_transfers.warehouse_of(self.db, row["picking_id"])
            code = self.db.value("stock.warehouse", warehouse, "code")
            target = row["location_id"] if to is None else self._place(code, to)
            more: Row = {"origin": f"Return of {sent['name']}", "return_id": row["picking_id"]}
            more["sale_id"] = sent["sale_id"]
            way = (row["location_dest_id"], target)
            picking = stock.add_picking(self.db, warehouse, stock.IN, way, more)
            whose = {"origin_returned_move_id": move, "sale_line_id": row["sale_line_id"]}
            back = stock.add_move(self.db, picking, row["product_id"], Decimal(units), **whose)
            stock.reserve(self.db, back)
            odoo_transfers.finish(self.db, picking)
            return str(self.db.value(PICKING, picking, "name"))

    # Looking things up

    def item(self, sku: str) -> int:
        """The id of the only item with a SKU."""
        [found] = self.tables.find(PRODUCT, "default_code", sku)
        return found

    def _parcel(
        self,
        warehouse: str,
        kind: tuple[str, str],
        way: tuple[int, int],
        sku: str,
        units: Units,
        origin: str | None,
    ) -> int:
        """A parcel of one product, everything of it taken whether it is there or not."""
        code = self._warehouse(warehouse)
        picking = stock.add_picking(self.db, code, kind, way, {"origin": origin})
        move = stock.add_move(self.db, picking, self.item(sku), Decimal(units))
        stock.reserve(self.db, move)
        self.db.write(MOVE, [move], {"quantity": str(units), "state": "assigned"}, {})
        stock.restate(self.db, picking)
        return picking

    def _parcels(self, order_key: str) -> list[int]:
        orders = self.tables.find("sale.order", "client_order_ref", order_key)
        parcels = sorted(p for o in orders for p in self.tables.find(PICKING, "sale_id", o))
        return [
            p
            for p in parcels
            if self.db.value(PICKING, p, "state") in OPEN
            and self.db.value(PICKING, p, "picking_type_code") == "outgoing"
        ]

    def _shipped(self, order_key: str, sku: str) -> int:
        orders = self.tables.find("sale.order", "client_order_ref", order_key)
        rows = self.tables.rows[MOVE]
        return next(
            move
            for order in sorted(orders)
            for line in self.db.value("sale.order", order, "order_line")
            for move in sorted(self.tables.find(MOVE, "sale_line_id", line))
            if rows[move]["state"] == "done"
            and self.db.value(PRODUCT, rows[move]["product_id"], "default_code") == sku
        )

    def _fill(self, product: int, shelves: Stock) -> None:
        for code, quantity in shelves.items():
            stock.put_on_hand(self.db, product, self._warehouse(code), Decimal(quantity))

    def _named_list(self, name: str) -> int:
        rows = self.tables.rows["product.pricelist"].items()
        return next(id_ for id_, row in rows if row["name"] == name)

    def _shelf(self, code: str) -> int:
        shelf: int = self.db.value("stock.warehouse", self._warehouse(code), "lot_stock_id")
        return shelf

    def _place(self, code: str, name: str) -> int:
        """A place inside a warehouse by its name, made where it is new."""
        full, rows = f"{code}/{name}", self.tables.rows[PLACE].items()
        found = next((id_ for id_, row in rows if row.get("complete_name") == full), None)
        if found is None:
            warehouse = self._warehouse(code)
            row = self.tables.rows["stock.warehouse"][warehouse]
            above = row["view_location_id"]
            found = stock.add_place(self.db, row["company_id"], name, full, "internal", above)
            self.tables.change(PLACE, found, {"warehouse_id": warehouse})
        return found

    def _warehouse(self, code: str) -> int:
        rows = self.tables.rows["stock.warehouse"]
        return next(id_ for id_, row in rows.items() if row["code"] == code)
