"""The models and fields the Odoo stand-in serves, as tables, for versions 18 and 19.

Only what a shop integration reads or writes is here; values and rules stand in `odoo_orm` and
`odoo_sales`. A line is: field, type, flags, label. Flags: R required, r read only, d worked out
on reading, 8 and 9 known to that version only, - none.
"""

from dataclasses import dataclass
from functools import cache

from resources.sandbox import odoo_schema_books as books
from resources.sandbox import odoo_schema_goods as goods

RELATIONS = ("many2one", "one2many", "many2many")


@dataclass(frozen=True, slots=True)
class Field:
    """One field: `target` is the related model, `inverse` its field that points back."""

    name: str
    type: str
    label: str
    target: str = ""
    inverse: str = ""
    choices: tuple[str, ...] = ()
    digits: int | None = None
    required: bool = False
    readonly: bool = False
    derived: bool = False


@dataclass(frozen=True, slots=True)
class Model:
    """One model: its people's name, order of rows when none is asked, and fields."""

    name: str
    label: str
    order: str
    fields: dict[str, Field]


COMMON = """
    id               integer                  r   ID
    display_name     char                     rd  Display Name
    create_date      datetime                 r   Created on
    write_date       datetime                 r   Last Updated on
    create_uid       many2one:res.users       r   Created by
    write_uid        many2one:res.users       r   Last Updated by
"""

TABLES = """
res.users | User | name, login
    name             char                     R   Name
    login            char                     R   Login

res.company | Companies | sequence, name
    name             char                     R   Company Name
    sequence         integer                  -   Sequence
    currency_id      many2one:res.currency    R   Currency
    fiscalyear_lock_date date                 -   Global Lock Date
    active           boolean                  -   Active

res.currency | Currency | active desc, name
    name             char                     R   Currency
    symbol           char                     R   Symbol
    rounding         float                    -   Rounding Factor
    decimal_places   integer                  rd  Decimal Places
    active           boolean                  -   Active

res.country | Country | name
    name             char                     R   Country Name
    code             char                     R   Country Code
    state_ids        one2many:res.country.state/country_id - States

res.country.state | Country state | code
    name             char                     R   State Name
    code             char                     R   State Code
    country_id       many2one:res.country     R   Country

res.partner | Contact | complete_name, id desc
    name             char                     -   Name
    complete_name    char                     rd  Complete Name
    ref              char                     -   Reference
    email            char                     -   Email
    phone            char                     -   Phone
    mobile           char                     8   Mobile
    street           char                     -   Street
    street2          char                     -   Street2
    city             char                     -   City
    zip              char                     -   Zip
    state_id         many2one:res.country.state - State
    country_id       many2one:res.country     -   Country
    type             selection:contact,invoice,delivery,other - Address Type
    parent_id        many2one:res.partner     -   Related Company
    child_ids        one2many:res.partner/parent_id - Contact
    commercial_partner_id many2one:res.partner rd Commercial Entity
    company_type     selection:person,company d   Company Type
    is_company       boolean                  -   Is a Company
    company_name     char                     -   Company Name
    company_id       many2one:res.company     -   Company
    vat              char                     -   Tax ID
    lang             char                     -   Language
    comment          html                     -   Notes
    color            integer                  -   Color Index
    customer_rank    integer                  -   Customer Rank
    active           boolean                  -   Active

uom.uom | Product Unit of Measure | id
    name             char                     R   Unit of Measure
    active           boolean                  -   Active

product.template | Product | name, id
    name             char                     R   Name
    default_code     char                     -   Internal Reference
    barcode          char                     -   Barcode
    list_price       float:price              -   Sales Price
    standard_price   float:price              -   Cost
    type             selection:consu,service,combo R Product Type
    is_storable      boolean                  -   Track Inventory
    taxes_id         many2many:account.tax    -   Sales Taxes
    uom_id           many2one:uom.uom         R   Unit of Measure
    invoice_policy   selection:order,delivery -   Invoicing Policy
    sale_ok          boolean                  -   Sales
    purchase_ok      boolean                  -   Purchase
    description_sale text                     -   Sales Description
    weight           float:2                  -   Weight
    weight_uom_name  char                     rd  Weight unit of measure label
    categ_id         many2one:product.category -  Product Category
    attribute_line_ids one2many:product.template.attribute.line/product_tmpl_id - \
Product Attributes
    company_id       many2one:res.company     -   Company
    currency_id      many2one:res.currency    rd  Currency
    product_variant_ids one2many:product.product/product_tmpl_id - Products
    product_variant_id many2one:product.product rd Product
    product_variant_count integer             rd  # Product Variants
    active           boolean                  -   Active

product.product | Product Variant | default_code, name, id
    product_tmpl_id  many2one:product.template R  Product Template
    default_code     char                     -   Internal Reference
    barcode          char                     -   Barcode
    active           boolean                  -   Active
    name             char                     Rd  Name
    list_price       float:price              d   Sales Price
    lst_price        float:price              d   Sales Price
    standard_price   float:price              d   Cost
    type             selection:consu,service,combo d Product Type
    is_storable      boolean                  d   Track Inventory
    taxes_id         many2many:account.tax    d   Sales Taxes
    uom_id           many2one:uom.uom         d   Unit of Measure
    invoice_policy   selection:order,delivery d   Invoicing Policy
    sale_ok          boolean                  d   Sales
    purchase_ok      boolean                  d   Purchase
    description_sale text                     d   Sales Description
    weight           float:2                  d   Weight
    categ_id         many2one:product.category d  Product Category
    product_template_attribute_value_ids many2many:product.template.attribute.value - \
Attribute Values
    product_template_variant_value_ids many2many:product.template.attribute.value rd \
Variant Values
    company_id       many2one:res.company     d   Company
    currency_id      many2one:res.currency    rd  Currency
    qty_available    float:2                  rd  Quantity On Hand
    free_qty         float:2                  rd  Free To Use Quantity
    virtual_available float:2                 rd  Forecasted Quantity
    incoming_qty     float:2                  rd  Incoming
    outgoing_qty     float:2                  rd  Outgoing

product.pricelist | Pricelist | sequence, id
    name             char                     R   Pricelist Name
    sequence         integer                  -   Sequence
    currency_id      many2one:res.currency    R   Currency
    company_id       many2one:res.company     -   Company
    active           boolean                  -   Active

account.tax | Tax | sequence, id
    name             char                     R   Tax Name
    amount           float                    R   Amount
    amount_type      selection:group,fixed,percent,division R Tax Computation
    type_tax_use     selection:sale,purchase,none R Tax Type
    price_include    boolean                  rd  Price Include
    price_include_override selection:tax_included,tax_excluded - Included in Price
    include_base_amount boolean               -   Affect Base of Subsequent Taxes
    is_base_affected boolean                  -   Base Affected by Previous Taxes
    sequence         integer                  R   Sequence
    company_id       many2one:res.company     Rr  Company
    active           boolean                  -   Active

account.payment.term | Payment Terms | id
    name             char                     R   Payment Terms

delivery.carrier | Shipping Methods | id
    name             char                     R   Delivery Method
    delivery_type    selection:base_on_rule,fixed R Provider
    product_id       many2one:product.product R   Delivery Product
    fixed_price      float                    -   Fixed Price
    active           boolean                  -   Active

stock.location | Inventory Locations | id
    name             char                     R   Location Name
    complete_name    char                     -   Full Location Name
    location_id      many2one:stock.location  -   Parent Location
    scrap_location   boolean                  8   Is a Scrap Location?
    usage            selection:supplier,view,internal,customer,inventory,production,transit R \
Location Type
    company_id       many2one:res.company     -   Company
    warehouse_id     many2one:stock.warehouse -   Warehouse
    active           boolean                  -   Active

stock.picking.type | Picking Type | id
    name             char                     R   Operation Type
    code             selection:incoming,outgoing,internal R Type of Operation
    warehouse_id     many2one:stock.warehouse -   Warehouse

stock.warehouse | Warehouse | sequence, id
    name             char                     R   Warehouse
    code             char                     R   Short Name
    sequence         integer                  -   Sequence
    company_id       many2one:res.company     R   Company
    lot_stock_id     many2one:stock.location  R   Location Stock
    view_location_id many2one:stock.location  R   View Location
    wh_qc_stock_loc_id many2one:stock.location -  Quality Control Location
    in_type_id       many2one:stock.picking.type - In Type
    int_type_id      many2one:stock.picking.type - Internal Type
    out_type_id      many2one:stock.picking.type - Out Type
    pick_type_id     many2one:stock.picking.type - Pick Type
    pack_type_id     many2one:stock.picking.type - Pack Type
    wh_pack_stock_loc_id many2one:stock.location - Packing Location
    wh_output_stock_loc_id many2one:stock.location - Output Location
    delivery_steps   selection:ship_only,pick_ship,pick_pack_ship R Outgoing Shipments
    partner_id       many2one:res.partner     -   Address
    active           boolean                  -   Active

stock.quant | Quants | id
    product_id       many2one:product.product R   Product
    location_id      many2one:stock.location  R   Location
    quantity         float:2                  -   Quantity
    reserved_quantity float:2                 R   Reserved Quantity
    available_quantity float:2                rd  Available Quantity
    inventory_quantity float:2                -   Counted Quantity
    warehouse_id     many2one:stock.warehouse rd  Warehouse
    company_id       many2one:res.company     rd  Company

sale.order | Sales Order | date_order desc, id desc
    name             char                     R   Order Reference
    state            selection:draft,sent,sale,cancel r Status
    locked           boolean                  -   Locked
    client_order_ref char                     -   Customer Reference
    origin           char                     -   Source Document
    reference        char                     -   Payment Ref.
    date_order       datetime                 R   Order Date
    commitment_date  datetime                 -   Delivery Date
    validity_date    date                     -   Expiration
    note             html                     -   Terms and conditions
    company_id       many2one:res.company     R   Company
    partner_id       many2one:res.partner     R   Customer
    partner_invoice_id many2one:res.partner   R   Invoice Address
    partner_shipping_id many2one:res.partner  R   Delivery Address
    pricelist_id     many2one:product.pricelist - Pricelist
    currency_id      many2one:res.currency    r   Currency
    payment_term_id  many2one:account.payment.term - Payment Terms
    user_id          many2one:res.users       -   Salesperson
    warehouse_id     many2one:stock.warehouse -   Warehouse
    carrier_id       many2one:delivery.carrier -  Delivery Method
    order_line       one2many:sale.order.line/order_id - Order Lines
    amount_untaxed   monetary                 r   Untaxed Amount
    amount_tax       monetary                 r   Taxes
    amount_total     monetary                 r   Total
    invoice_status   selection:upselling,invoiced,to+invoice,no rd Invoice Status
    delivery_status  selection:pending,started,partial,full rd Delivery Status
    picking_ids      one2many:stock.picking/sale_id - Transfers
    invoice_ids      many2many:account.move   rd  Invoices
    duplicated_order_ids many2many:sale.order rd  Duplicated Order

sale.order.line | Sales Order Line | order_id, sequence, id
    order_id         many2one:sale.order      R   Order Reference
    sequence         integer                  -   Sequence
    company_id       many2one:res.company     rd  Company
    currency_id      many2one:res.currency    rd  Currency
    order_partner_id many2one:res.partner     rd  Customer
    state            selection:draft,sent,sale,cancel rd Order Status
    warehouse_id     many2one:stock.warehouse rd  Warehouse
    display_type     selection:line_section,line_note - Display Type
    product_id       many2one:product.product -   Product
    product_template_id many2one:product.template d Product Template
    name             text                     R   Description
    product_uom_qty  float:2                  R   Quantity
    product_uom      many2one:uom.uom         8   Unit of Measure
    product_uom_id   many2one:uom.uom         9   Unit
    tax_id           many2many:account.tax    8   Taxes
    tax_ids          many2many:account.tax    9   Taxes
    price_unit       float:price              R   Unit Price
    discount         float:2                  -   Discount (%)
    price_subtotal   monetary                 r   Subtotal
    price_tax        float                    r   Total Tax
    price_total      monetary                 r   Total
    customer_lead    float                    R   Lead Time
    is_delivery      boolean                  -   Is a Delivery
    qty_delivered    float:2                  -   Delivery Quantity
    qty_invoiced     float:2                  r   Invoiced Quantity
    qty_to_invoice   float:2                  rd  Quantity To Invoice
    move_ids         one2many:stock.move/sale_line_id - Stock Moves

stock.picking | Transfer | scheduled_date, id desc
    name             char                     r   Reference
    state            selection:draft,waiting,confirmed,assigned,done,cancel r Status
    origin           char                     -   Source Document
    partner_id       many2one:res.partner     -   Contact
    sale_id          many2one:sale.order      -   Sales Order
    company_id       many2one:res.company     rd  Company
    location_id      many2one:stock.location  R   Source Location
    location_dest_id many2one:stock.location  R   Destination Location
    picking_type_id  many2one:stock.picking.type R Operation Type
    picking_type_code selection:incoming,outgoing,internal rd Type of Operation
    scheduled_date   datetime                 -   Scheduled Date
    date_done        datetime                 -   Date of Transfer
    carrier_id       many2one:delivery.carrier -  Carrier
    carrier_tracking_ref char                 -   Tracking Reference
    backorder_id     many2one:stock.picking   r   Back Order of
    return_id        many2one:stock.picking   r   Return of
    pos_order_id     integer                  -   PoS Order
    products_availability_state selection:available,expected,late rd Products Availability State
    move_ids         one2many:stock.move/picking_id - Stock Moves

stock.move | Stock Move | sequence, id
    sequence         integer                  -   Sequence
    product_id       many2one:product.product R   Product
    product_uom_qty  float:2                  R   Demand
    product_qty      float:2                  rd  Real Quantity
    product_uom      many2one:uom.uom         rd  Unit of Measure
    quantity         float:2                  -   Quantity
    picked           boolean                  -   Picked
    state            selection:draft,waiting,confirmed,partially_available,assigned,done,cancel r \
Status
    picking_id       many2one:stock.picking   -   Transfer
    sale_line_id     many2one:sale.order.line -   Sale Line
    location_id      many2one:stock.location  R   Source Location
    location_dest_id many2one:stock.location  R   Destination Location
    location_usage   char                     rd  Source Location Type
    location_dest_usage char                  rd  Destination Location Type
    picking_code     selection:incoming,outgoing,internal rd Type of Operation
    origin           char                     -   Source Document
    reference        char                     -   Reference
    is_inventory     boolean                  -   Inventory
    scrapped         boolean                  rd8 Scrapped
    scrap_id         many2one:stock.scrap     r   Scrap operation
    origin_returned_move_id many2one:stock.move - Origin return move
    date             datetime                 R   Date Scheduled
    company_id       many2one:res.company     rd  Company

decimal.precision | Decimal Precision | id
    name             char                     R   Usage
    digits           integer                  R   Digits

ir.model.data | Model Data | module, model, name
    name             char                     Rd  External Identifier
    module           char                     Rd  Module
    complete_name    char                     r   Complete ID
    model            char                     R   Model Name
    res_id           integer                  -   Record ID
"""

#: Fields whose values are looked up by an index; everything else is scanned.
INDEXED: dict[str, tuple[str, ...]] = {
    "res.country": ("code",),
    "res.country.state": ("country_id",),
    "res.partner": ("ref", "parent_id", "email"),
    "product.template": ("default_code", "barcode"),
    "product.product": ("default_code", "barcode", "product_tmpl_id"),
    "stock.quant": ("product_id",),
    "sale.order": ("client_order_ref", "name", "origin", "partner_id"),
    "sale.order.line": ("order_id",),
    "stock.picking": ("sale_id", "name"),
    "stock.move": ("picking_id", "sale_line_id", "product_id"),
    "ir.model.data": ("complete_name",),
    **goods.INDEXED,
    **books.INDEXED,
}

#: The first id of each model: apart, so that ids of two models are not mixed up unnoticed.
FIRST_ID: dict[str, int] = {
    "product.template": 40,
    "product.product": 57,
    "res.partner": 20,
    "stock.location": 2,
    "sale.order.line": 31,
    "stock.picking": 12,
    "stock.move": 63,
}


@cache
def models(version: int) -> dict[str, Model]:
    """The models of one version by name."""
    text = (TABLES + goods.TABLES + books.TABLES).replace("\\\n", "")
    found = (_model(block, version) for block in text.strip().split("\n\n"))
    return {model.name: model for model in found}


def _model(block: str, version: int) -> Model:
    head, *lines = block.splitlines()
    name, label, order = (part.strip() for part in head.split("|"))
    fields: dict[str, Field] = {}
    for line in [*lines, *COMMON.strip().splitlines()]:
        field, kind, flags, text = line.split(maxsplit=3)
        if field not in fields and not {"8", "9"} & set(flags) - {str(version)[-1]}:
            fields[field] = _field(field, kind, flags, text, version)
    return Model(name, label, order, fields)


def _field(name: str, kind: str, flags: str, label: str, version: int) -> Field:
    type_, _, detail = kind.partition(":")
    target, _, inverse = detail.partition("/") if type_ in RELATIONS else ("", "", "")
    return Field(
        name=name,
        type=type_,
        label=label,
        target=target,
        inverse=inverse,
        choices=tuple(detail.replace("+", " ").split(",")) if type_ == "selection" else (),
        digits=_digits(detail, version) if type_ == "float" else None,
        required="R" in flags,
        readonly="r" in flags,
        derived="d" in flags,
    )


def _digits(detail: str, version: int) -> int | None:
    """Digits a number is rounded to when written; 19 keeps prices as they come."""
    if detail == "price":
        return 2 if version == 18 else None
    return int(detail) if detail else None
