"""Where each core column of orders comes from: field by field of the shop's payload."""

from sync_assets.lineage import fields_of

ADDRESS = {
    "first_name": "first_name",
    "last_name": "last_name",
    "company": "company",
    "street": "address_1",
    "street2": "address_2",
    "city": "city",
    "region": "state",
    "postcode": "postcode",
    "country": "country",
    "email": "email",
    "phone": "phone",
}
_LINES = ("line_items", "shipping_lines", "fee_lines")


def _of_lines(field: str) -> list[str]:
    return [f"{lines}[].{field}" for lines in _LINES]


#: Core table → column → fields of `raw/woocommerce/orders`.
ORDER_FIELDS: dict[str, dict[str, list[str]]] = {
    "orders": {
        "order_ref": ["id"],
        "order_id": ["id"],
        "order_number": ["number"],
        "state": ["status"],
        "shop_status": ["status"],
        "currency": ["currency"],
        "prices_include_tax": ["prices_include_tax"],
        "placed_at": ["date_created_gmt"],
        "paid_at": ["date_paid_gmt"],
        "changed_at": ["date_modified_gmt"],
        "customer_ref": ["customer_id", "billing.email"],
        "payment_method": ["payment_method"],
        "payment_ref": ["transaction_id"],
        "created_via": ["created_via"],
        "customer_note": ["customer_note"],
        "net_amount": ["line_items[].total"],
        "shipping_amount": ["shipping_lines[].total"],
        "fee_amount": ["fee_lines[].total"],
        "tax_amount": ["total_tax"],
        "discount_amount": ["discount_total"],
        "rounding_amount": ["total", *_of_lines("total"), "total_tax"],
        "total_amount": ["total"],
        "refunded_amount": ["refunds[].total"],
    },
    "order_lines": {
        "line_ref": ["id", *_of_lines("id")],
        "order_ref": ["id"],
        "sku": ["line_items[].sku"],
        "product_id": ["line_items[].product_id"],
        "variation_id": ["line_items[].variation_id"],
        "description": ["line_items[].name", "shipping_lines[].method_title", "fee_lines[].name"],
        "quantity": ["line_items[].quantity"],
        "currency": ["currency"],
        "subtotal_amount": ["line_items[].subtotal", *_of_lines("total")[1:]],
        "net_amount": _of_lines("total"),
        "tax_amount": _of_lines("total_tax"),
        "tax_class": ["line_items[].tax_class", "fee_lines[].tax_class"],
    },
    "order_taxes": {
        "line_ref": ["id", *_of_lines("id")],
        "order_ref": ["id"],
        "rate_id": _of_lines("taxes[].id"),
        "rate_code": ["tax_lines[].rate_code"],
        "label": ["tax_lines[].label"],
        "percent": ["tax_lines[].rate_percent"],
        "is_compound": ["tax_lines[].compound"],
        "currency": ["currency"],
        "tax_amount": _of_lines("taxes[].total"),
    },
    "order_discounts": {
        "order_ref": ["id"],
        "coupon_ref": ["id", "coupon_lines[].id"],
        "code": ["coupon_lines[].code"],
        "currency": ["currency"],
        "discount_amount": ["coupon_lines[].discount"],
        "discount_tax_amount": ["coupon_lines[].discount_tax"],
    },
    "order_refunds": {
        "order_ref": ["id"],
        "refund_ref": ["refunds[].id"],
        "currency": ["currency"],
        "refunded_amount": ["refunds[].total"],
        "reason": ["refunds[].reason"],
    },
    "order_addresses": {
        "order_ref": ["id"],
        **{ours: [f"billing.{their}", f"shipping.{their}"] for ours, their in ADDRESS.items()},
    },
    "customers": {
        "customer_ref": ["customer_id", "billing.email"],
        "email": ["billing.email"],
        "first_name": ["billing.first_name"],
        "last_name": ["billing.last_name"],
        "company": ["billing.company"],
        "phone": ["billing.phone"],
        "country": ["billing.country"],
        "changed_at": ["date_modified_gmt"],
    },
}
#: Core column → fields of `raw/woocommerce/customers`.
CUSTOMER_FIELDS = {
    "customer_ref": ["id"],
    "email": ["email"],
    "first_name": ["first_name"],
    "last_name": ["last_name"],
    "company": ["billing.company"],
    "phone": ["billing.phone"],
    "country": ["billing.country"],
    "changed_at": ["date_modified_gmt"],
}
#: Core column → fields of `raw/woocommerce/order_notes`.
NOTE_FIELDS = {
    "note_ref": ["id"],
    "noted_at": ["date_created_gmt"],
    "author": ["author"],
    "is_for_customer": ["customer_note"],
    "note": ["note"],
}


def order_fields() -> set[str]:
    """Every payload field that some core column is made from."""
    return {field for table in ORDER_FIELDS.values() for field in fields_of(table)}
