"""Models of the Odoo stand-in for variants, categories, price rules, kits, images and the wizards
of parcels, as tables of the form `odoo_schema` explains. `module` models are there once installed.
"""

TABLES = """
product.category | Product Category | complete_name
    name             char                     R   Name
    complete_name    char                     rd  Complete Name
    parent_id        many2one:product.category -  Parent Category
    parent_path      char                     rd  Parent Path
    child_id         one2many:product.category/parent_id - Child Categories

product.attribute | Attribute | sequence, id
    name             char                     R   Attribute
    sequence         integer                  -   Sequence
    create_variant   selection:always,dynamic,no_variant R Variant Creation
    value_ids        one2many:product.attribute.value/attribute_id - Values

product.attribute.value | Attribute Value | attribute_id, sequence, id
    name             char                     R   Value
    sequence         integer                  -   Sequence
    attribute_id     many2one:product.attribute R Attribute

product.template.attribute.line | Product Template Attribute Line | sequence, attribute_id, id
    sequence         integer                  -   Sequence
    product_tmpl_id  many2one:product.template R  Product Template
    attribute_id     many2one:product.attribute R Attribute
    value_ids        many2many:product.attribute.value - Values

product.template.attribute.value | Product Template Attribute Value | attribute_line_id, \
product_attribute_value_id, id
    name             char                     rd  Value
    product_attribute_value_id many2one:product.attribute.value R Attribute Value
    attribute_line_id many2one:product.template.attribute.line R Attribute Line
    attribute_id     many2one:product.attribute rd Attribute
    product_tmpl_id  many2one:product.template rd Product Template
    price_extra      float:price              -   Extra Price

product.pricelist.item | Pricelist Rule | applied_on, min_quantity desc, categ_id desc, id desc
    pricelist_id     many2one:product.pricelist R Pricelist
    applied_on       selection:3_global,2_product_category,1_product,0_product_variant R Apply On
    product_tmpl_id  many2one:product.template -  Product
    product_id       many2one:product.product -   Variant
    categ_id         many2one:product.category -  Category
    min_quantity     float                    -   Min. Quantity
    compute_price    selection:percentage,formula,fixed R Compute Price
    fixed_price      float:price              -   Fixed Price
    percent_price    float                    -   Percentage Price
    price_discount   float:2                  -   Price Discount
    base             selection:list_price,standard_price,pricelist R Based on
    base_pricelist_id many2one:product.pricelist - Other Pricelist
    date_start       datetime                 -   Start Date
    date_end         datetime                 -   End Date
    currency_id      many2one:res.currency    rd  Currency
    company_id       many2one:res.company     rd  Company

ir.attachment | Attachment | id desc
    name             char                     R   Name
    res_model        char                     -   Resource Model
    res_field        char                     -   Resource Field
    res_id           integer                  -   Resource ID
    checksum         char                     r   Checksum/SHA1
    mimetype         char                     r   Mime Type

mrp.bom | Bill of Material | sequence, id
    sequence         integer                  -   Sequence
    type             selection:normal,phantom R   BoM Type
    product_tmpl_id  many2one:product.template R  Product
    product_id       many2one:product.product -   Product Variant
    product_qty      float                    R   Quantity
    product_uom_id   many2one:uom.uom         R   Unit of Measure
    bom_line_ids     one2many:mrp.bom.line/bom_id - BoM Lines
    company_id       many2one:res.company     -   Company
    active           boolean                  -   Active

mrp.bom.line | Bill of Material Line | sequence, id
    sequence         integer                  -   Sequence
    bom_id           many2one:mrp.bom         R   Parent BoM
    product_id       many2one:product.product R   Component
    product_qty      float                    R   Quantity
    product_uom_id   many2one:uom.uom         R   Product Unit of Measure
    bom_product_template_attribute_value_ids many2many:product.template.attribute.value - \
Apply on Variants

stock.scrap | Scrap | id desc
    name             char                     R   Reference
    product_id       many2one:product.product R   Product
    scrap_qty        float:2                  R   Quantity
    location_id      many2one:stock.location  R   Source Location
    scrap_location_id many2one:stock.location R   Scrap Location
    state            selection:draft,done     r   Status
    origin           char                     -   Source Document
    company_id       many2one:res.company     R   Company
    date_done        datetime                 r   Date

stock.backorder.confirmation | Backorder Confirmation | id
    pick_ids         many2many:stock.picking  -   Pick

stock.return.picking | Return Picking | id
    picking_id       many2one:stock.picking   -   Picking
    product_return_moves one2many:stock.return.picking.line/wizard_id - Moves

stock.return.picking.line | Return Picking Line | id
    wizard_id        many2one:stock.return.picking - Wizard
    product_id       many2one:product.product R   Product
    quantity         float:2                  R   Quantity
    move_id          many2one:stock.move      -   Move
"""

INDEXED: dict[str, tuple[str, ...]] = {
    "product.template.attribute.line": ("product_tmpl_id",),
    "product.template.attribute.value": ("attribute_line_id",),
    "product.attribute.value": ("attribute_id",),
    "product.category": ("parent_id",),
    "product.pricelist.item": ("product_tmpl_id", "product_id"),
    "ir.attachment": ("res_id",),
    "mrp.bom": ("product_tmpl_id",),
    "mrp.bom.line": ("bom_id",),
    "stock.location": ("usage", "warehouse_id"),
    "stock.return.picking.line": ("wizard_id",),
}

#: Models and fields that come with a module which not every company installs.
MODULES: dict[str, tuple[str, ...]] = {
    "mrp": ("mrp.bom", "mrp.bom.line"),
    "point_of_sale": ("stock.picking/pos_order_id",),
}
