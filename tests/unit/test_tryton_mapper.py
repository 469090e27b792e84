"""Tryton's mapper: digits that tie there, every unknown name told, called-off orders recognised."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import sync_assets.mappers.tryton as tryton
from sync_assets.domain.orders import Rejected
from sync_assets.domain.sales import Address, Party, SalesLine, SalesOrder

D = Decimal
REFS: Mapping[str, Mapping[str, int]] = {
    "company": {"Acme Trading GmbH": 1},
    "warehouse": {"EU1": 20, "US1": 12},
    "tax": {"Acme Trading GmbH/DE VAT 19%": 3, "DE VAT 19%": 3},
    "currency": {"EUR": 1, "USD": 2, "JPY": 4},
    "web_shop": {"Acme Europe": 7},
    "uom": {"u": 1, "Unit": 1},
    "country": {"DE": 60, "US": 233},
}
ADDRESS = Address(
    name="Zoë Beispiel",
    company="Beispiel & Söhne",
    street=" Musterweg 1 ",
    street2="Hinterhaus",
    city="Berlin",
    region="BE",
    postcode="10115",
    country="DE",
    email="zoe@example.com",
    phone="+49 30 901820",
)
ZOE = Party(key="eu:customer:5", address=ADDRESS)
DEPOT = Party(
    key="eu:customer:5:to:0f",
    address=Address(name="Zoë Beispiel", street="Lager 2", city="Potsdam", country="DE"),
)


def line(**changes: Any) -> SalesLine:
    return SalesLine.model_validate(
        {
            "key": "eu:1042:product:1",
            "kind": "product",
            "item": "SKU-1",
            "item_id": 105,
            "description": "Widget",
            "quantity": D(2),
            "net_amount": D("22.00"),
            "tax_amount": D("4.18"),
            "taxes": ("DE VAT 19%",),
        }
        | changes
    )


def doc(*lines: SalesLine, **changes: Any) -> SalesOrder:
    return SalesOrder.model_validate(
        {
            "key": "eu:1042",
            "store": "eu",
            "order_id": "1042",
            "number": "1042-A",
            "placed_at": datetime(2026, 11, 20, 23, 30, tzinfo=timezone(timedelta(hours=-5))),
            "currency": "EUR",
            "company": "Acme Trading GmbH",
            "warehouse": "EU1",
            "web_shop": "Acme Europe",
            "party": ZOE,
            "ship_to": DEPOT,
            "lines": lines or (line(),),
            "total_amount": D("26.18"),
        }
        | changes
    )


def order(document: SalesOrder, refs: Mapping[str, Mapping[str, int]] = REFS) -> dict[str, Any]:
    return tryton.order(document, refs, {ZOE.key: 15})


def problems(document: SalesOrder, **refs: Mapping[str, int]) -> list[tuple[str, str]]:
    with pytest.raises(Rejected) as caught:
        order(document, {**REFS, **refs})
    return [(problem.code, problem.part) for problem in caught.value.problems]


def test_an_order_is_known_by_its_web_shop_and_web_id() -> None:
    payload = order(doc())
    assert (payload["key"], payload["web_shop"], payload["web_id"]) == ("eu:1042", 7, "1042")
    assert payload["reference"] == "1042-A"


def test_names_become_ids() -> None:
    payload = order(doc())
    found = {name: payload[name] for name in ("company", "warehouse", "currency", "party")}
    assert found == {"company": 1, "warehouse": 20, "currency": 1, "party": 15}


def test_the_day_of_sale_is_that_of_utc() -> None:
    assert order(doc())["sale_date"] == "2026-11-21"


def test_the_erp_is_told_not_to_add_shipping_of_its_own() -> None:
    payload = order(doc())
    assert "shipment_cost_method" in payload
    assert payload["shipment_cost_method"] is None


def test_a_line_carries_its_exact_price_and_taxes() -> None:
    assert order(doc())["lines"] == [
        {
            "key": "eu:1042:product:1",
            "sequence": 100,
            "product": 105,
            "description": "Widget",
            "quantity": D(2),
            "unit": 1,
            "unit_price": D("11.0000"),
            "taxes": [3],
        }
    ]


def test_a_line_without_taxes_says_so() -> None:
    assert order(doc(line(taxes=())))["lines"][0]["taxes"] == []


def test_a_price_of_four_digits_keeps_one_line() -> None:
    lines = order(doc(line(quantity=D(3), net_amount=D("10.00"))))["lines"]
    assert [(one["quantity"], one["unit_price"]) for one in lines] == [(D(3), D("3.3333"))]


def test_a_price_that_cannot_tie_is_split_into_two_lines() -> None:
    lines = order(doc(line(quantity=D(1001), net_amount=D("0.01"))))["lines"]
    found = [(one["key"], one["sequence"], one["quantity"], one["unit_price"]) for one in lines]
    assert found == [
        ("eu:1042:product:1", 100, D(1000), D("0.00")),
        ("eu:1042:product:1:2", 101, D(1), D("0.01")),
    ]


def test_half_a_cent_is_not_left_to_the_erp_to_round() -> None:
    """75 × 0.0134 = 1.005: we would book 1.01, Tryton rounds to the even cent, 1.00."""
    lines = order(doc(line(quantity=D(75), net_amount=D("1.01"))))["lines"]
    assert booked(lines) == D("1.01")


def booked(lines: list[dict[str, Any]], step: str = "0.01") -> D:
    """What Tryton makes of the lines: quantity times price, half to even."""
    amounts = (one["quantity"] * one["unit_price"] for one in lines)
    return sum((amount.quantize(D(step), ROUND_HALF_EVEN) for amount in amounts), D())


@given(
    net=st.integers(-5_000_000, 5_000_000),
    quantity=st.integers(-5_000, 5_000).filter(bool),
    currency=st.sampled_from(["EUR", "JPY"]),
)
def test_what_tryton_books_is_what_the_shop_charged(net: int, quantity: int, currency: str) -> None:
    step = D("0.01") if currency == "EUR" else D(1)
    wanted = net * step
    one = line(quantity=D(quantity), net_amount=wanted)
    lines = order(doc(one, currency=currency))["lines"]
    assert booked(lines, str(step)) == wanted
    assert sum(found["quantity"] for found in lines) == quantity
    assert all(-found["unit_price"].as_tuple().exponent <= 4 for found in lines)
    assert len(lines) <= 2


def test_a_fractional_quantity_is_said_in_words() -> None:
    found = order(doc(line(quantity=D("1.5"), net_amount=D("9.99"))))["lines"][0]
    assert (found["quantity"], found["unit_price"]) == (D(1), D("9.99"))
    assert found["description"] == "Widget (1.5 units)"


def test_a_negative_fee_keeps_its_sign() -> None:
    found = order(doc(line(kind="fee", quantity=D(1), net_amount=D("-2.00"))))["lines"][0]
    assert (found["quantity"], found["unit_price"]) == (D(1), D("-2.0000"))


def test_an_amount_finer_than_the_currency_is_refused() -> None:
    found = problems(doc(line(net_amount=D("22.005"))))
    assert found == [("erp.amount_too_fine", "eu:1042:product:1")]


def test_every_unknown_name_is_told_at_once() -> None:
    document = doc(
        line(taxes=("Mars VAT", "Mars VAT")),
        company="Nobody",
        warehouse="MOON",
        currency="XXX",
        web_shop=None,
    )
    assert sorted(problems(document)) == [
        ("erp.company_unknown", "company"),
        ("erp.currency_unknown", "currency"),
        ("erp.tax_unknown", "tax"),
        ("erp.warehouse_unknown", "warehouse"),
        ("erp.web_shop_unknown", "web_shop"),
    ]


def test_an_erp_without_units_is_told() -> None:
    assert problems(doc(), uom={"kg": 2}) == [("erp.uom_unknown", "uom")]


def test_a_parcel_to_an_unknown_country_is_refused_without_naming_the_person() -> None:
    away = DEPOT.model_copy(update={"address": ADDRESS.model_copy(update={"country": "ZZ"})})
    with pytest.raises(Rejected) as caught:
        order(doc(ship_to=away))
    assert [problem.code for problem in caught.value.problems] == ["erp.country_unknown"]
    assert [problem.part for problem in caught.value.problems] == ["ship_to.country"]
    assert "Zoë" not in str(caught.value)


def test_the_tax_of_the_own_company_goes_first() -> None:
    taxes = {"DE VAT 19%": 8, "Acme Trading GmbH/DE VAT 19%": 9}
    assert order(doc(), {**REFS, "tax": taxes})["lines"][0]["taxes"] == [9]


def test_a_customer_has_the_address_of_the_bill_and_contacts() -> None:
    assert tryton.party(ZOE, REFS) == {
        "key": "eu:customer:5",
        "name": "Beispiel & Söhne",
        "address": {
            "party_name": "Beispiel & Söhne",
            "attn": "Zoë Beispiel",
            "street": "Musterweg 1\nHinterhaus",
            "postal_code": "10115",
            "city": "Berlin, BE",
            "country": 60,
        },
        "contacts": [
            {"type": "email", "value": "zoe@example.com"},
            {"type": "phone", "value": "+49 30 901820"},
        ],
    }


def test_where_the_parcel_goes_is_an_address_of_the_same_customer() -> None:
    assert [one["key"] for one in tryton.parties(doc(), REFS)] == ["eu:customer:5"]
    payload = order(doc())
    assert payload["invoice_address"]["street"] == "Musterweg 1\nHinterhaus"
    assert payload["shipment_address"] == {
        "party_name": "Zoë Beispiel",
        "attn": None,
        "street": "Lager 2",
        "postal_code": None,
        "city": "Potsdam",
        "country": 60,
    }


def test_the_rounding_line_is_one_untaxed_unit_at_its_own_place() -> None:
    assert tryton.rounding_line(doc(), D("-0.02"), 9) == {
        "key": "eu:1042:rounding",
        "sequence": 1_000_000,
        "product": 9,
        "description": "Rounding",
        "quantity": D(1),
        "unit_price": D("-0.02"),
        "taxes": [],
    }


def payload(**changes: Any) -> dict[str, Any]:
    return {
        "key": "eu:1042",
        "id": 31,
        "number": "7",
        "state": "processing",
        "shipment_state": "waiting",
        "invoice_state": "pending",
        "shipments": [4],
        "invoices": [5],
        "lines": [1, 2],
        "total_amount": D("26.18"),
    } | changes


@pytest.mark.parametrize(
    ("word", "state"),
    [
        ("draft", "draft"),
        ("quotation", "draft"),
        ("confirmed", "stuck"),
        ("processing", "confirmed"),
        ("done", "confirmed"),
        ("cancelled", "cancelled"),
    ],
)
def test_each_state_has_our_word(word: str, state: str) -> None:
    found = tryton.seen(payload(state=word))
    assert (found.key, found.remote_id, found.number) == ("eu:1042", 31, "7")
    assert (found.state, found.total_amount, found.lines) == (state, D("26.18"), 2)


def test_an_order_done_with_nothing_alive_behind_it_was_called_off() -> None:
    gone = payload(state="done", shipment_state="none", invoice_state="none")
    assert tryton.seen(gone).state == "cancelled"
    assert tryton.seen(gone | {"invoice_state": "paid"}).state == "confirmed"


def test_an_unknown_state_is_loud() -> None:
    with pytest.raises(Rejected, match="'archived'"):
        tryton.seen(payload(state="archived"))


def test_money_that_arrives_as_a_float_is_refused() -> None:
    with pytest.raises(TypeError, match="float"):
        tryton.seen(payload(total_amount=26.18))


def test_a_new_price_is_a_change_of_the_item() -> None:
    row = {
        "id": 8,
        "code": "SKU-7",
        "active": True,
        "last_modified_at": "2026-11-20T18:06:09.455740+00:00",
        "template.": {
            "name": "Widget",
            "active": True,
            "last_modified_at": "2026-11-20T19:00:00+00:00",
        },
    }
    assert tryton.item(row) == {
        "sku": "SKU-7",
        "item_id": 8,
        "name": "Widget",
        "is_active": True,
        "changed_at": datetime(2026, 11, 20, 19, 0, tzinfo=UTC),
    }
    archived = row | {"code": None, "template.": row["template."] | {"active": False}}
    assert tryton.item(archived)["is_active"] is False
    assert tryton.item(archived)["sku"] is None
