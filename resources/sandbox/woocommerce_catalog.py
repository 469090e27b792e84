"""Products, customers and notes of a WooCommerce stand-in, with the fields a store shows.

Products are what orders need of them: a simple article with a price. Stock is not kept.
"""

import hashlib
from collections.abc import Mapping
from typing import Any

from resources.sandbox.woocommerce_till import ALLOW, Doc, address

BLANK_PRODUCT: Mapping[str, Any] = {
    "featured": False,
    "catalog_visibility": "visible",
    "description": "",
    "short_description": "",
    "sku": "",
    "price": "",
    "regular_price": "",
    "sale_price": "",
    "date_on_sale_from": None,
    "date_on_sale_from_gmt": None,
    "date_on_sale_to": None,
    "date_on_sale_to_gmt": None,
    "on_sale": False,
    "purchasable": True,
    "total_sales": 0,
    "virtual": False,
    "downloadable": False,
    "downloads": [],
    "download_limit": -1,
    "download_expiry": -1,
    "external_url": "",
    "button_text": "",
    "tax_status": "taxable",
    "tax_class": "",
    "manage_stock": False,
    "stock_quantity": None,
    "backorders": "no",
    "backorders_allowed": False,
    "backordered": False,
    "low_stock_amount": None,
    "sold_individually": False,
    "weight": "",
    "dimensions": {"length": "", "width": "", "height": ""},
    "shipping_required": True,
    "shipping_taxable": True,
    "shipping_class": "",
    "shipping_class_id": 0,
    "reviews_allowed": True,
    "average_rating": "0.00",
    "rating_count": 0,
    "upsell_ids": [],
    "cross_sell_ids": [],
    "parent_id": 0,
    "purchase_note": "",
    "categories": [],
    "brands": [],
    "tags": [],
    "images": [],
    "attributes": [],
    "default_attributes": [],
    "variations": [],
    "grouped_products": [],
    "menu_order": 0,
    "price_html": "",
    "related_ids": [],
    "meta_data": [],
    "stock_status": "instock",
    "has_options": False,
    "post_password": "",
    "global_unique_id": "",
}


def product(home: str, product_id: int, dates: Doc, sku: str, name: str, price: str) -> Doc:
    """A published simple product."""
    slug = "-".join(name.lower().split())
    return {
        "id": product_id,
        "name": name,
        "slug": slug,
        "permalink": f"{home}/product/{slug}/",
        **dates,
        "type": "simple",
        "status": "publish",
        **BLANK_PRODUCT,
        "sku": sku,
        "price": price,
        "regular_price": price,
        "_links": links(home, f"products/{product_id}", "products"),
    }


def customer(
    home: str, customer_id: int, dates: Doc, email: str, names: tuple[str, str], given: Doc
) -> Doc:
    """An account; the field order of its addresses differs from that of orders."""
    digest = hashlib.sha256(email.lower().encode()).hexdigest()
    return {
        "id": customer_id,
        **dates,
        "email": email,
        "first_name": names[0],
        "last_name": names[1],
        "role": "customer",
        "username": email.split("@")[0],
        "billing": _account_address(given.get("billing"), email=True),
        "shipping": _account_address(given.get("shipping"), email=False),
        "is_paying_customer": False,
        "avatar_url": f"https://secure.gravatar.com/avatar/{digest}?s=96&d=mm&r=g",
        "meta_data": [],
        "_links": links(home, f"customers/{customer_id}", "customers"),
    }


def note(home: str, order_id: int, note_id: int, dates: Doc, text: str, told: Doc) -> Doc:
    """A note on an order; `told` says who wrote it and whether the customer reads it."""
    path = f"orders/{order_id}/notes"
    return {
        "id": note_id,
        "author": told["author"],
        **dates,
        "note": text,
        "customer_note": told["customer_note"],
        "_links": {
            **links(home, f"{path}/{note_id}", path, allow=["GET", "DELETE"]),
            "up": [{"href": f"{home}/wp-json/wc/v3/orders/{order_id}"}],
        },
    }


def links(home: str, path: str, collection: str, allow: list[str] | None = None) -> Doc:
    """Where the thing itself and its like are found."""
    base = f"{home}/wp-json/wc/v3"
    hints = {"allow": allow or ALLOW}
    return {
        "self": [{"href": f"{base}/{path}", "targetHints": hints}],
        "collection": [{"href": f"{base}/{collection}"}],
    }


def _account_address(given: Doc | None, *, email: bool) -> Doc:
    found = address(given, email=email)
    names = [name for name in found if name not in ("state", "email", "phone")]
    return {name: found[name] for name in [*names, "state", *found] if name in found}
