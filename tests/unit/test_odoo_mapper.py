"""Odoo's mapper: exact amounts out, every unknown name told, false read as missing."""

import re
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import sync_assets.mappers.odoo as odoo
from sync_assets.domain.money import rounded
from sync_assets.domain.orders import Rejected
from sync_assets.domain.sales import Address, Party, SalesLine, SalesOrder

D = Decimal
REFS = {
    "company": {"Acme": 1, "Acme Europe": 2},
    "company_currency": {"Acme": 1, "Acme Europe": 2},
    "warehouse": {"WH": 7, "Acme/WH": 7},
    "tax": {"Acme/15%": 31, "Acme Europe/15%": 32, "Eco": 33},
    "price_list": {"Web USD": 5, "Web EUR": 6},
    "price_list_currency": {"Web USD": 1, "Web EUR": 2},
    "currency": {"USD": 1, "EUR": 2, "KWD": 3, "JPY": 4},
    "country": {"US": 233, "DE": 57},
    "state": {"US/IL": 24},
}
ADDRESS = Address(
    name="Ada Example",
    company="Example & Co",
    street="1 Demo Way",
    street2="Floor 2",
    city="Chicago",
    region="IL",
    postcode="60601",
    country="US",
    email="ada@example.com",
    phone="+1 312 555 0100",
)
ADA = Party(key="us:customer:5", address=ADDRESS)
DEPOT = Party(
    key="us:customer:5:to:0f", address=Address(name="Ada Depot", street="2 Ship St", country="US")
)


def line(**changes: Any) -> SalesLine:
    return SalesLine.model_validate(
        {
            "key": "us:1042:product:1",
            "kind": "product",
            "item": "SKU-1",
            "item_id": 105,
            "description": "Widget",
            "quantity": D(2),
            "net_amount": D("22.00"),
            "tax_amount": D("3.30"),
            "taxes": ("15%",),
        }
        | changes
    )


def document(*lines: SalesLine, **changes: Any) -> SalesOrder:
    return SalesOrder.model_validate(
        {
            "key": "us:1042",
            "store": "us",
            "order_id": "1042",
            "number": "W-1042",
            "placed_at": datetime(2026, 11, 20, 18, 0, 5, 999, tzinfo=timezone(timedelta(hours=1))),
            "currency": "USD",
            "company": "Acme",
            "warehouse": "WH",
            "price_list": "Web USD",
            "party": ADA,
            "ship_to": DEPOT,
            "lines": lines or (line(),),
            "total_amount": D("25.30"),
        }
        | changes
    )


IDS = {ADA.key: 52, DEPOT.key: 54}


def codes(doc: SalesOrder, ids: dict[str, int] = IDS) -> list[tuple[str, str]]:
    with pytest.raises(Rejected) as rejected:
        odoo.order(doc, REFS, ids)
    return [(problem.code, problem.part) for problem in rejected.value.problems]


def test_an_external_id_is_readable_where_the_key_is() -> None:
    assert odoo.xid("so", "us:1042") == "so_us_3a1042"
    assert odoo.xid("so", "us_1042") == "so_us_5f1042"
    assert odoo.xid("party", "é:1") == "party__c3_a9_3a1"


def test_a_prefix_that_could_run_into_the_key_is_an_error() -> None:
    with pytest.raises(ValueError, match="letters and digits"):
        odoo.xid("so_l", "1")


KEYS = st.text(st.characters(codec="utf-8"), max_size=12) | st.text("a_:3", max_size=8)


@given(st.sampled_from(["so", "sol"]), KEYS, st.sampled_from(["so", "sol"]), KEYS)
def test_different_keys_have_different_external_ids(
    prefix: str, key: str, other_prefix: str, other: str
) -> None:
    one, two = odoo.xid(prefix, key), odoo.xid(other_prefix, other)
    assert re.fullmatch(r"[A-Za-z0-9_]+", one)
    assert (one == two) == ((prefix, key) == (other_prefix, other))
    assert f"{one}_2" != two  # the second piece of a line is nobody's own key


def test_a_customer_becomes_a_contact_row() -> None:
    assert odoo.party(ADA, REFS) == {
        "key": "us:customer:5",
        "parent": None,
        "fields": {
            "id": "party_us_3acustomer_3a5",
            "type": "contact",
            "parent_id/.id": "",
            "name": "Ada Example",
            "company_name": "Example & Co",
            "ref": "us:customer:5",
            "email": "ada@example.com",
            "phone": "+1 312 555 0100",
            "street": "1 Demo Way",
            "street2": "Floor 2",
            "city": "Chicago",
            "zip": "60601",
            "state_id/.id": "24",
            "country_id/.id": "233",
        },
    }


def test_a_delivery_address_belongs_to_its_customer() -> None:
    payload = odoo.delivery_address(DEPOT, ADA, REFS)
    assert payload["key"] == "us:customer:5:to:0f"
    assert payload["parent"] == "us:customer:5"
    assert payload["fields"]["type"] == "delivery"
    assert payload["fields"]["id"] == "address_us_3acustomer_3a5_3ato_3a0f"
    assert payload["fields"].keys() == odoo.party(ADA, REFS)["fields"].keys()


def test_an_order_needs_one_party_or_two() -> None:
    assert [one["key"] for one in odoo.parties(document(), REFS)] == [ADA.key, DEPOT.key]
    assert [one["key"] for one in odoo.parties(document(ship_to=ADA), REFS)] == [ADA.key]


def test_a_region_odoo_does_not_keep_stays_readable_in_the_city() -> None:
    address = ADDRESS.model_copy(update={"country": "DE", "region": "Hessen", "city": "Kassel"})
    fields = odoo.party(Party(key="k", address=address), REFS)["fields"]
    assert (fields["city"], fields["state_id/.id"]) == ("Kassel, Hessen", "")


def test_a_country_odoo_does_not_keep_is_refused_and_none_at_all_is_not() -> None:
    nowhere = ADDRESS.model_copy(update={"country": "XX"})
    with pytest.raises(Rejected) as rejected:
        odoo.party(Party(key="k", address=nowhere), REFS)
    assert [problem.code for problem in rejected.value.problems] == ["erp.country_unknown"]
    bare = Party(key="k", address=Address(name="Guest"))
    assert odoo.party(bare, REFS)["fields"]["country_id/.id"] == ""


def test_a_company_without_a_person_is_named_once() -> None:
    address = Address(name="Example & Co", company="Example & Co")
    fields = odoo.party(Party(key="k", address=address), REFS)["fields"]
    assert (fields["name"], fields["company_name"]) == ("Example & Co", "")


def test_an_order_becomes_a_head_and_lines_in_load_columns() -> None:
    assert odoo.order(document(), REFS, IDS) == {
        "key": "us:1042",
        "head": {
            "id": "so_us_3a1042",
            "partner_id/.id": "52",
            "partner_invoice_id/.id": "52",
            "partner_shipping_id/.id": "54",
            "client_order_ref": "us:1042",
            "origin": "us/W-1042",
            "company_id/.id": "1",
            "warehouse_id/.id": "7",
            "pricelist_id/.id": "5",
            "date_order": "2026-11-20 17:00:05",
        },
        "lines": [
            {
                "id": "sol_us_3a1042_3aproduct_3a1",
                "product_id/.id": "105",
                "name": "Widget",
                "product_uom_qty": "2",
                "price_unit": "11.00",
                "tax_ids/.id": "31",
                "sequence": "10",
            }
        ],
    }


def test_a_line_that_no_price_of_two_digits_ties_becomes_two() -> None:
    split = line(quantity=D(3), net_amount=D("10.00"))
    lines = odoo.order(document(split, line(key="us:1042:product:2")), REFS, IDS)["lines"]
    assert [
        (one["id"], one["product_uom_qty"], one["price_unit"], one["sequence"]) for one in lines
    ] == [
        ("sol_us_3a1042_3aproduct_3a1", "2", "3.33", "10"),
        ("sol_us_3a1042_3aproduct_3a1_2", "1", "3.34", "10"),
        ("sol_us_3a1042_3aproduct_3a2", "2", "11.00", "20"),
    ]


def test_a_given_up_quantity_is_said_in_words() -> None:
    lines = odoo.order(document(line(quantity=D("250.50"), net_amount=D("1000.01"))), REFS, IDS)
    (row,) = lines["lines"]
    assert (row["product_uom_qty"], row["price_unit"]) == ("1", "1000.01")
    assert row["name"] == "Widget (250.50 units)"


def test_a_negative_fee_keeps_its_sign_and_an_untaxed_line_says_so() -> None:
    fee = line(kind="fee", quantity=D(1), net_amount=D("-2.50"), taxes=(), description="")
    (row,) = odoo.order(document(fee), REFS, IDS)["lines"]
    assert (row["price_unit"], row["tax_ids/.id"], row["name"]) == ("-2.50", "", "SKU-1")


def test_a_tax_that_odoo_contains_in_the_price_gets_the_gross_price() -> None:
    refs = REFS | {"gross_tax": {"15%": 31}}
    (row,) = odoo.order(document(line()), refs, IDS)["lines"]
    assert row["price_unit"] == "12.65"


def test_another_companys_tax_of_the_same_name_does_not_make_the_price_gross() -> None:
    refs = REFS | {"gross_tax": {"15%": 32, "Acme Europe/15%": 32}}
    (row,) = odoo.order(document(line()), refs, IDS)["lines"]
    assert row["price_unit"] == "11.00"


def test_taxes_of_both_kinds_on_one_line_are_refused() -> None:
    refs = REFS | {"gross_tax": {"15%": 31}}
    with pytest.raises(Rejected) as refusal:
        odoo.order(document(line(taxes=("15%", "Eco"))), refs, IDS)
    assert [p.code for p in refusal.value.problems] == ["erp.taxes_mixed"]


def test_several_taxes_are_joined_and_the_companys_own_comes_first() -> None:
    (row,) = odoo.order(document(line(taxes=("15%", "Eco"))), REFS, IDS)["lines"]
    assert row["tax_ids/.id"] == "31,33"


def test_without_a_price_list_the_column_is_empty_rather_than_left_to_the_customer() -> None:
    assert odoo.order(document(price_list=None), REFS, IDS)["head"]["pricelist_id/.id"] == ""


def test_every_unknown_name_is_told_at_once() -> None:
    doc = document(
        line(taxes=("No such tax",)),
        line(key="us:1042:product:2", taxes=("No such tax",)),
        company="Nobody",
        warehouse="Nowhere",
        price_list="No list",
        currency="XXX",
    )
    assert codes(doc) == [
        ("erp.company_unknown", "company"),
        ("erp.warehouse_unknown", "warehouse"),
        ("erp.price_list_unknown", "price list"),
        ("erp.currency_unknown", "currency"),
        ("erp.tax_unknown", "tax"),
    ]


def test_a_tax_name_that_two_companies_share_is_unknown_to_a_third() -> None:
    refs = REFS | {"company": {"Third": 3}, "company_currency": {"Third": 1}}
    with pytest.raises(Rejected) as rejected:
        odoo.order(document(company="Third"), refs, IDS)
    assert [problem.code for problem in rejected.value.problems] == ["erp.tax_unknown"]


def test_a_currency_that_odoo_would_not_book_is_refused() -> None:
    assert codes(document(price_list="Web EUR")) == [("erp.currency_differs", "currency")]
    assert codes(document(price_list=None, currency="EUR")) == [
        ("erp.currency_differs", "currency")
    ]


def test_a_customer_who_was_not_put_is_told() -> None:
    assert codes(document(), {}) == [("erp.party_unknown", "party")]


def test_an_amount_finer_than_the_currency_is_told() -> None:
    yen = document(line(net_amount=D("10.5")), currency="JPY", price_list=None, company="Acme")
    assert ("erp.amount_too_fine", "us:1042:product:1") in codes(yen)


def test_a_currency_of_three_digits_gets_prices_of_three() -> None:
    refs = REFS | {"price_list_currency": {"Web USD": 3}}
    dinars = document(line(quantity=D(1), net_amount=D("1.234")), currency="KWD")
    (row,) = odoo.order(dinars, refs, IDS)["lines"]
    assert row["price_unit"] == "1.234"


def test_a_time_without_a_zone_is_an_error() -> None:
    with pytest.raises(ValueError, match="time zone"):
        odoo.order(document(placed_at=datetime(2026, 11, 20, 17)), REFS, IDS)  # noqa: DTZ001


CENTS = st.integers(-(10**7), 10**7).map(lambda cents: D(cents).scaleb(-2))
QUANTITIES = st.integers(1, 500).map(D) | st.decimals(0, 50, places=3)


@given(st.lists(st.tuples(CENTS, QUANTITIES), min_size=1, max_size=8))
def test_the_lines_always_come_to_the_documents_net_under_unique_ids(
    amounts: list[tuple[Decimal, Decimal]],
) -> None:
    lines = [
        line(key=f"us:1042:product:{place}", net_amount=net, quantity=quantity)
        for place, (net, quantity) in enumerate(amounts)
    ]
    rows = odoo.order(document(*lines), REFS, IDS)["lines"]
    total = sum(rounded(D(r["product_uom_qty"]) * D(r["price_unit"]), 2) for r in rows)
    assert total == sum(net for net, _ in amounts)
    assert len({row["id"] for row in rows}) == len(rows)
    assert not [r for r in rows if "E" in r["product_uom_qty"] + r["price_unit"]]


def test_the_rounding_line_stands_last_and_untaxed() -> None:
    assert odoo.rounding_line(document(), D("-0.01"), 900) == {
        "id": "sol_us_3a1042_3arounding",
        "product_id/.id": "900",
        "name": "Rounding",
        "product_uom_qty": "1",
        "price_unit": "-0.01",
        "tax_ids/.id": "",
        "sequence": "20",
    }


SEEN = {
    "id": 30,
    "name": "S00030",
    "state": "draft",
    "amount_total": D("50.6"),
    "currency_id": [1, "USD"],
    "order_line": [60, 61],
    "client_order_ref": "us:1042",
}


@pytest.mark.parametrize(
    ("word", "state"),
    [
        ("draft", "draft"),
        ("sent", "draft"),
        ("sale", "confirmed"),
        ("done", "confirmed"),
        ("cancel", "cancelled"),
    ],
)
def test_odoos_words_for_states_are_ours(word: str, state: str) -> None:
    assert odoo.seen(SEEN | {"state": word}).state == state


def test_a_seen_order_has_an_exact_total_in_its_currency() -> None:
    order = odoo.seen(SEEN | {"amount_total": D("50.599999999999994")})
    assert str(order.total_amount) == "50.60"
    assert (order.key, order.remote_id, order.number, order.lines) == ("us:1042", 30, "S00030", 2)
    yen = odoo.seen(SEEN | {"currency_id": [4, "JPY"], "amount_total": D("50.0")})
    assert str(yen.total_amount) == "50"


def test_false_is_a_missing_value_in_an_order() -> None:
    empty = dict.fromkeys(("name", "client_order_ref", "order_line", "currency_id"), False)
    order = odoo.seen(SEEN | empty | {"amount_total": False})
    assert (order.key, order.number, order.lines, str(order.total_amount)) == ("", None, 0, "0.00")


@pytest.mark.parametrize("word", ["archived", False, None])
def test_an_unknown_state_is_loud(word: object) -> None:
    with pytest.raises(Rejected) as rejected:
        odoo.seen(SEEN | {"state": word})
    assert [problem.code for problem in rejected.value.problems] == ["erp.unknown_state"]


def test_a_float_total_is_an_error() -> None:
    with pytest.raises(TypeError, match="decimal"):
        odoo.seen(SEEN | {"amount_total": 50.6})


def test_a_product_becomes_the_row_of_its_sku() -> None:
    payload = {
        "id": 105,
        "default_code": "C-SKU-001",
        "name": "Widget C 1",
        "active": True,
        "write_date": "2026-11-20 18:36:20",
        "barcode": False,
    }
    assert odoo.item(payload) == {
        "sku": "C-SKU-001",
        "item_id": 105,
        "name": "Widget C 1",
        "is_active": True,
        "changed_at": datetime(2026, 11, 20, 18, 36, 20, tzinfo=UTC),
    }
    archived = odoo.item(payload | {"default_code": False, "active": False})
    assert (archived["sku"], archived["is_active"]) == (None, False)
