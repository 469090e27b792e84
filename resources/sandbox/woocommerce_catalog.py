"""Products, customers and notes of a WooCommerce stand-in, with the fields a store shows.

Here they are blank forms; what is written into those of products is in `woocommerce_listing.py`.
"""

import copy
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


#: What a variation says of itself, in the store's order; the rest is its parent's.
BLANK_VARIATION: Mapping[str, Any] = {
    "description": "",
    "permalink": "",
    **{name: BLANK_PRODUCT[name] for name in ("sku", "global_unique_id", "price")},
    **{name: BLANK_PRODUCT[name] for name in ("regular_price", "sale_price")},
    **dict.fromkeys(("date_on_sale_from", "date_on_sale_from_gmt")),
    **dict.fromkeys(("date_on_sale_to", "date_on_sale_to_gmt")),
    "on_sale": False,
    "status": "publish",
    "purchasable": True,
    **{name: BLANK_PRODUCT[name] for name in ("virtual", "downloadable", "downloads")},
    **{name: BLANK_PRODUCT[name] for name in ("download_limit", "download_expiry")},
    "tax_status": "taxable",
    "tax_class": "parent",
    **{name: BLANK_PRODUCT[name] for name in ("manage_stock", "stock_quantity", "stock_status")},
    **{name: BLANK_PRODUCT[name] for name in ("backorders", "backorders_allowed", "backordered")},
    **{name: BLANK_PRODUCT[name] for name in ("low_stock_amount", "weight", "dimensions")},
    **{name: BLANK_PRODUCT[name] for name in ("shipping_class", "shipping_class_id")},
    "image": None,
    "gallery_image_ids": [],
    "attributes": [],
    "menu_order": 0,
    "meta_data": [],
    "name": "",
}


def product(home: str, product_id: int, dates: Doc, name: str, slug: str) -> Doc:
    """A published simple product of which nothing more is known."""
    return {
        "id": product_id,
        "name": name,
        "slug": slug,
        "permalink": "",
        **dates,
        "type": "simple",
        "status": "publish",
        **copy.deepcopy(dict(BLANK_PRODUCT)),
        "_links": links(home, f"products/{product_id}", "products"),
    }


def variation(home: str, variation_id: int, dates: Doc, parent_id: int) -> Doc:
    """A published variation of which nothing more is known."""
    path = f"products/{parent_id}/variations"
    return {
        "id": variation_id,
        "type": "variation",
        **dates,
        **copy.deepcopy(dict(BLANK_VARIATION)),
        "parent_id": parent_id,
        "_links": {
            **links(home, f"{path}/{variation_id}", path),
            "up": [{"href": f"{home}/wp-json/wc/v3/products/{parent_id}"}],
        },
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
