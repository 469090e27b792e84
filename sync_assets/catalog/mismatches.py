"""Where a shop does not say what the ERP says: the report per channel, and one product in full."""

from typing import Any

from sqlalchemy import Connection

from resources.store.frames import read_rows

Row = dict[str, Any]


def of(connection: Connection, store: str | None = None, field: str | None = None) -> list[Row]:
    """Every field that differs, the longest standing first."""
    return read_rows(
        connection,
        "select store, key, product_id, field, wanted, seen, owner, treatment, since "
        "from core.listing_mismatches where (cast(:store as text) is null or store = :store) "
        "and (cast(:field as text) is null or field = :field) order by since, store, key, field",
        store=store,
        field=field,
    )


def counts(connection: Connection, store: str | None = None) -> list[Row]:
    """How many fields differ, by store, field and what becomes of it."""
    return read_rows(
        connection,
        "select store, field, owner, treatment, count(*) as products "
        "from core.listing_mismatches where (cast(:store as text) is null or store = :store) "
        "group by 1, 2, 3, 4 order by 1, 2, 3, 4",
        store=store,
    )


def product(connection: Connection, sku: str) -> Row:
    """Everything about one SKU: in the ERPs, in the shops, planned, answered, differing, open."""
    queries = {
        "products": "select system, item_id, sku, kind, name, item_group, is_active, is_for_sale, "
        "family_ref, tax_class, changed_at from core.products where lower(sku) = lower(:sku) "
        "order by system, item_id",
        "prices": "select system, price_list, currency, kind, minimum_units, amount, valid_from, "
        "valid_until from core.prices where lower(sku) = lower(:sku) "
        "order by system, price_list, kind, minimum_units, valid_from",
        "components": "select system, component_sku, component_units from core.product_components "
        "where lower(sku) = lower(:sku) order by system, component_id",
        "listings": "select store, product_id, parent_id, kind, status, name, regular_amount, "
        "sale_amount, stock_units, changed_at from core.listings where lower(sku) = lower(:sku) "
        "order by store, product_id",
        "plans": "select system as store, action, reason, changed_fields, planned_at "
        "from plan.woocommerce__products where lower(key) = lower(:sku) order by system",
        "receipts": "select system as store, outcome, product_id, attempts, answered_at "
        "from receipt.woocommerce__products where lower(key) = lower(:sku) order by system",
        "mismatches": "select store, field, wanted, seen, owner, treatment, since "
        "from core.listing_mismatches where lower(key) = lower(:sku) order by store, field",
        "exceptions": "select id, code, subject_ref, message from ops.exception "
        "where state = 'open' and (lower(sender_ref) = lower(:sku) "
        "or lower(subject_ref) like '%:product:' || lower(:sku)) order by id",
    }
    return {name: read_rows(connection, query, sku=sku) for name, query in queries.items()}
