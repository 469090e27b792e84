"""What a store shall show: prices, tax classes, families, and the reasons why not."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from sync_assets.domain.listing_rules import Market, price, shop_category, wanted_of, weight
from sync_assets.domain.ownership import Choice, StorePolicy

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
DAY = timedelta(days=1)


def market(price_list: str = "", currency: str = "USD", **policy: Any) -> Market:
    """A store of one ERP."""
    return Market("us", "odoo", StorePolicy(**policy), price_list, currency, "USD")


def product(**differently: Any) -> dict[str, Any]:
    """A plain product."""
    return {
        "system": "odoo",
        "item_id": 1,
        "sku": "TEA",
        "family_ref": None,
        "family_name": None,
        "kind": "simple",
        "name": "Tea",
        "description": "",
        "is_active": True,
        "is_for_sale": True,
        "is_stocked": True,
        "is_virtual": False,
        "tax_class": "VAT 20%",
        "weight_g": Decimal(250),
        "barcode": None,
        "item_group": "All / Drinks",
        "categories": ["All / Drinks"],
        "attributes": {},
        "images": [],
        "raw_version": 7,
        **differently,
    }


def listed(amount: str, **differently: Any) -> dict[str, Any]:
    """A price."""
    return {
        "price_list": "",
        "currency": None,
        "kind": "regular",
        "minimum_units": Decimal(0),
        "amount": Decimal(amount),
        "valid_from": None,
        "valid_until": None,
        **differently,
    }


def test_a_product_is_shown_with_its_price_weight_and_category() -> None:
    (one,) = wanted_of([product()], {1: [listed("9.904")]}, market(category_root="All"), NOW)
    shown = one.listing
    assert shown is not None
    assert (shown.key, shown.regular_price, shown.weight) == ("TEA", Decimal("9.90"), "0.25")
    assert (shown.categories, shown.tax_class, one.core_version) == ((("Drinks",),), "", 7)


@pytest.mark.parametrize(
    ("differently", "policy", "reason"),
    [
        ({"kind": "service"}, {}, "a service"),
        ({"is_active": False}, {}, "archived in the ERP"),
        ({"is_for_sale": False}, {}, "not for sale in the ERP"),
        ({"sku": "A,B"}, {}, "a SKU with a comma or blanks cannot be asked for in a shop"),
        ({}, {"exclude": Choice(skus=("T*",))}, "left out by the policy"),
        ({}, {"include": Choice(item_groups=("Food*",))}, "left out by the policy"),
        ({}, {"tax_classes": {"VAT 5%": "reduced"}}, "tax 'VAT 20%' of the ERP is not in "),
    ],
)
def test_what_is_not_shown_has_its_reason(
    differently: dict[str, Any], policy: dict[str, Any], reason: str
) -> None:
    (one,) = wanted_of([product(**differently)], {1: [listed("9.90")]}, market(**policy), NOW)
    assert one.listing is None
    assert (one.reason or "").startswith(reason)


def test_only_what_is_over_in_the_erp_is_put_away() -> None:
    over = wanted_of([product(is_active=False)], {}, market(), NOW)[0]
    without_price = wanted_of([product()], {}, market(), NOW)[0]
    assert (over.is_archived, without_price.is_archived) == (True, False)
    assert without_price.reason == "no price in the ERP"


@pytest.mark.parametrize(
    ("tax", "expected"),
    [("VAT 20%", ("", "taxable")), ("VAT 5%", ("reduced", "taxable")), ("", ("", "none"))],
)
def test_taxes_become_classes_of_the_shop(tax: str, expected: tuple[str, str]) -> None:
    classes = {"*": "standard", "VAT 5%": "reduced", "": "none"}
    (one,) = wanted_of(
        [product(tax_class=tax)], {1: [listed("1")]}, market(tax_classes=classes), NOW
    )
    assert one.listing is not None
    assert (one.listing.tax_class, one.listing.tax_status) == expected


# Prices


def test_a_price_comes_from_the_stores_list_and_currency_or_there_is_none() -> None:
    prices = [
        listed("9.90"),
        listed("8.00", price_list="Retail", currency="USD"),
        listed("7.00", price_list="Retail", currency="EUR"),
    ]

    def found(place: Market) -> Any:
        one = price(prices, "regular", place, NOW)
        return one if isinstance(one, str) else one["amount"]

    assert found(market()) == Decimal("9.90")
    assert found(market("Retail")) == Decimal("8.00")
    assert found(market("Retail", "EUR")) == Decimal("7.00")
    assert found(market("Retail", "GBP")) == "no price in GBP in price list 'Retail'"
    assert found(market("Club")) == "no price in price list 'Club'"
    assert found(market(currency="EUR")) == "no price in EUR in the ERP"


def test_prices_for_many_are_not_the_price_of_one() -> None:
    prices = [listed("9.90"), listed("5.00", minimum_units=Decimal(10))]
    found = price(prices, "regular", market(), NOW)
    assert not isinstance(found, str)
    assert found["amount"] == Decimal("9.90")


def test_a_sale_in_force_counts_before_the_next_and_one_that_is_over_not_at_all() -> None:
    over = listed("1.00", kind="sale", valid_from=NOW - 3 * DAY, valid_until=NOW)
    now = listed("8.00", kind="sale", valid_from=NOW - DAY, valid_until=NOW + DAY)
    later = listed("7.00", kind="sale", valid_from=NOW + 2 * DAY, valid_until=NOW + 3 * DAY)
    for prices, amount in (([over, now, later], "8.00"), ([over, later], "7.00")):
        found = price(prices, "sale", market(), NOW)
        assert not isinstance(found, str)
        assert found["amount"] == Decimal(amount)
    assert isinstance(price([over], "sale", market(), NOW), str)


def test_a_sale_is_shown_with_its_days_and_one_that_is_no_lower_is_not() -> None:
    sale = listed("8.00", kind="sale", valid_from=NOW, valid_until=NOW + DAY)
    (one,) = wanted_of([product()], {1: [listed("9.90"), sale]}, market(), NOW)
    assert one.listing is not None
    assert (one.listing.sale_price, one.listing.sale_from, one.listing.sale_until) == (
        Decimal("8.00"),
        NOW,
        NOW + DAY,
    )
    (same,) = wanted_of([product()], {1: [listed("8.00"), sale]}, market(), NOW)
    assert same.listing is not None
    assert (same.listing.sale_price, same.listing.sale_from) == (None, None)


def test_digits_follow_the_currency() -> None:
    (one,) = wanted_of(
        [product()], {1: [listed("990.4", currency="JPY")]}, market(currency="JPY"), NOW
    )
    assert one.listing is not None
    assert str(one.listing.regular_price) == "990"


# Families


def variant(item_id: int, size: str, **differently: Any) -> dict[str, Any]:
    """A variation of a shirt."""
    own = {"item_id": item_id, "sku": f"SH-{size}", "kind": "variation", "name": f"Shirt {size}"}
    family = {"family_ref": "odoo:5", "family_name": "Shirt", "attributes": {"Size": size}}
    return product(**{**own, **family, **differently})


def test_a_family_is_a_parent_with_all_options_and_then_its_variations() -> None:
    prices = {1: [listed("20")], 2: [listed("22")]}
    parent, small, middle = wanted_of([variant(1, "S"), variant(2, "M")], prices, market(), NOW)
    assert parent.listing is not None
    assert small.listing is not None
    assert middle.listing is not None
    assert (parent.key, parent.sku, parent.listing.kind) == ("odoo:5", None, "variable")
    assert parent.listing.attributes == {"Size": ("S", "M")}
    assert (parent.listing.name, parent.listing.regular_price) == ("Shirt", None)
    assert (small.listing.parent_key, small.listing.attributes) == ("odoo:5", {"Size": ("S",)})
    assert middle.listing.regular_price == Decimal(22)


def test_a_parent_offers_what_is_for_sale_only_and_is_over_with_its_last_variation() -> None:
    prices = {1: [listed("20")], 2: [listed("22")]}
    gone = variant(2, "M", is_active=False)
    parent, *_ = wanted_of([variant(1, "S"), gone], prices, market(), NOW)
    assert parent.listing is not None
    assert parent.listing.attributes == {"Size": ("S",)}
    parent, *_ = wanted_of([variant(1, "S", is_active=False), gone], prices, market(), NOW)
    assert (parent.listing, parent.is_archived) == (None, True)
    parent, *_ = wanted_of([variant(1, "S"), gone], {}, market(), NOW)
    assert (parent.listing, parent.is_archived) == (None, False)


@pytest.mark.parametrize(
    ("grams", "unit", "text"),
    [("250", "kg", "0.25"), ("1000", "g", "1000"), ("453.59237", "lbs", "1"), (None, "kg", "")],
)
def test_weights_are_in_the_shops_unit(grams: str | None, unit: str, text: str) -> None:
    assert weight(Decimal(grams) if grams else None, unit) == text


def test_categories_lose_the_root_and_take_the_names_that_are_mapped() -> None:
    policy = StorePolicy(category_root="All", category_map={"All / Office": "Home / Desks"})
    assert shop_category("All / Drinks / Tea", policy) == ("Drinks", "Tea")
    assert shop_category("All / Office", policy) == ("Home", "Desks")
    assert shop_category("All", policy) == ()
    assert shop_category("Allotment", policy) == ("Allotment",)
