"""WooCommerce orders, customers and notes become our rows, or are rejected with every reason."""

import copy
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sync_assets.domain.orders import CORE_TABLES, Problem, Rejected, frame_of
from sync_assets.mappers import woocommerce
from tests.effort import at_most

GUEST_KEY = "us:guest:b5fc85e55755f9e0"  # sha256 of "ada@example.com"


def address(**said: str) -> dict[str, Any]:
    blank = dict.fromkeys(
        ("first_name", "last_name", "company", "address_1", "address_2"), ""
    ) | dict.fromkeys(("city", "state", "postcode", "country"), "")
    return blank | said


def tax_line(rate_id: int, **said: Any) -> dict[str, Any]:
    line = {
        "id": 70 + rate_id,
        "rate_code": f"US-NY-{rate_id}",
        "rate_id": rate_id,
        "label": "Sales tax",
        "compound": False,
        "tax_total": "0.00",
        "shipping_tax_total": "0.00",
        "rate_percent": Decimal("8.875"),
    }
    return line | said


def shop_order(**said: Any) -> dict[str, Any]:
    """A small valid order: one discounted product, shipping, a fee, a coupon and a refund."""
    order = {
        "id": 1042,
        "number": "1042",
        "status": "processing",
        "currency": "USD",
        "prices_include_tax": False,
        "date_created_gmt": "2026-03-01T10:00:00",
        "date_modified_gmt": "2026-03-01T10:00:05",
        "date_paid_gmt": "2026-03-01T10:00:04",
        "discount_total": "2.00",
        "total_tax": "2.49",
        "total": "30.48",
        "customer_id": 0,
        "billing": address(
            first_name="Ada", address_1="1 Test Rd", country="US", email=" Ada@Example.com "
        ),
        "shipping": address(),
        "payment_method": "bacs",
        "transaction_id": "",
        "created_via": "checkout",
        "customer_note": "",
        "line_items": [
            {
                "id": 1,
                "name": "Mug",
                "product_id": 9,
                "variation_id": 0,
                "quantity": 2,
                "tax_class": "",
                "subtotal": "19.99",
                "total": "17.99",
                "total_tax": "1.60",
                "taxes": [{"id": 1, "total": "1.60", "subtotal": "1.77"}],
                "sku": "MUG",
                "price": 8.995,
            }
        ],
        "tax_lines": [tax_line(1)],
        "shipping_lines": [
            {
                "id": 2,
                "method_title": "Flat rate",
                "total": "7.00",
                "total_tax": "0.62",
                "taxes": [
                    {"id": 1, "total": "0.62", "subtotal": ""},
                    {"id": 2, "total": "", "subtotal": ""},
                ],
            }
        ],
        "fee_lines": [
            {
                "id": 3,
                "name": "Gift wrap",
                "tax_class": "",
                "total": "3.00",
                "total_tax": "0.27",
                "taxes": [{"id": 1, "total": "0.27", "subtotal": ""}],
            }
        ],
        "coupon_lines": [{"id": 4, "code": "two", "discount": "2", "discount_tax": "0.17"}],
        "refunds": [{"id": 1050, "reason": "", "total": "-5.00", "total_tax": "0.00"}],
    }
    return order | said


def problems_of(body: Any) -> list[Problem]:
    with pytest.raises(Rejected) as refusal:
        woocommerce.order("us", body, 1)
    return refusal.value.problems


def parts_of(body: Any, code: str = "order.malformed") -> list[str]:
    found = problems_of(body)
    assert {problem.code for problem in found} == {code}
    return [problem.part for problem in found]


def test_an_order_becomes_one_row_with_exact_sums() -> None:
    rows = woocommerce.order("us", shop_order(), 7)

    assert set(rows) == set(CORE_TABLES)
    assert rows["orders"] == [
        {
            "order_ref": "us:1042",
            "store": "us",
            "order_id": "1042",
            "order_number": "1042",
            "state": "paid",
            "shop_status": "processing",
            "currency": "USD",
            "prices_include_tax": False,
            "placed_at": datetime(2026, 3, 1, 10, 0, 0, tzinfo=UTC),
            "paid_at": datetime(2026, 3, 1, 10, 0, 4, tzinfo=UTC),
            "changed_at": datetime(2026, 3, 1, 10, 0, 5, tzinfo=UTC),
            "customer_ref": GUEST_KEY,
            "payment_method": "bacs",
            "payment_ref": None,
            "created_via": "checkout",
            "customer_note": None,
            "net_amount": Decimal("17.99"),
            "shipping_amount": Decimal("7.00"),
            "fee_amount": Decimal("3.00"),
            "tax_amount": Decimal("2.49"),
            "discount_amount": Decimal("2.00"),
            "rounding_amount": Decimal("0.00"),
            "total_amount": Decimal("30.48"),
            "refunded_amount": Decimal("5.00"),
            "raw_version": 7,
        }
    ]


def test_products_shipping_and_fees_are_lines_in_the_shops_order() -> None:
    lines = woocommerce.order("us", shop_order(), 1)["order_lines"]

    assert [(line["line_ref"], line["position"], line["quantity"]) for line in lines] == [
        ("us:1042:product:1", 0, 2),
        ("us:1042:shipping:2", 1, 1),
        ("us:1042:fee:3", 2, 1),
    ]
    assert [(line["subtotal_amount"], line["net_amount"]) for line in lines] == [
        (Decimal("19.99"), Decimal("17.99")),
        (Decimal("7.00"), Decimal("7.00")),
        (Decimal("3.00"), Decimal("3.00")),
    ]
    assert (lines[0]["product_id"], lines[0]["variation_id"]) == ("9", None)


def test_a_tax_of_a_line_carries_what_the_order_says_about_its_rate() -> None:
    taxes = woocommerce.order("us", shop_order(), 1)["order_taxes"]

    assert [(tax["line_ref"], tax["rate_id"], tax["tax_amount"]) for tax in taxes] == [
        ("us:1042:product:1", "1", Decimal("1.60")),
        ("us:1042:shipping:2", "1", Decimal("0.62")),
        ("us:1042:fee:3", "1", Decimal("0.27")),
    ]
    assert (taxes[0]["rate_code"], taxes[0]["label"]) == ("US-NY-1", "Sales tax")
    assert (taxes[0]["percent"], taxes[0]["is_compound"]) == (Decimal("8.875"), False)


@pytest.mark.parametrize(
    ("tax", "kept"),
    [
        ({"id": 1, "total": "0.00", "subtotal": "0.00"}, True),
        ({"id": 1, "total": "", "subtotal": "0.27"}, True),
        ({"id": 1, "total": "", "subtotal": ""}, False),
        ({"id": 1, "total": None, "subtotal": ""}, False),
        ({"id": 5, "total": "0.00", "subtotal": ""}, False),
    ],
)
def test_a_tax_without_an_amount_is_kept_only_where_its_rate_applied(
    tax: dict[str, Any], kept: bool
) -> None:
    body = shop_order(total="27.99", total_tax="0.00")
    for key in ("line_items", "shipping_lines", "fee_lines"):
        body[key][0] |= {"total_tax": "0.00", "taxes": []}
    body["line_items"][0]["taxes"] = [tax]

    taxes = woocommerce.order("us", body, 1)["order_taxes"]

    assert [tax["tax_amount"] for tax in taxes] == ([Decimal(0)] if kept else [])


def test_a_tax_whose_rate_the_order_does_not_name_rejects_the_order() -> None:
    body = shop_order(tax_lines=[])

    assert parts_of(body) == [
        "line_items[0].taxes[0].id",
        "shipping_lines[0].taxes[0].id",
        "fee_lines[0].taxes[0].id",
    ]


def test_discounts_and_refunds_are_positive_amounts() -> None:
    rows = woocommerce.order("us", shop_order(), 1)

    assert rows["order_discounts"] == [
        {
            "order_ref": "us:1042",
            "coupon_ref": "us:1042:coupon:4",
            "code": "two",
            "currency": "USD",
            "discount_amount": Decimal("2"),
            "discount_tax_amount": Decimal("0.17"),
        }
    ]
    assert rows["order_refunds"] == [
        {
            "refund_ref": "us:refund:1050",
            "order_ref": "us:1042",
            "currency": "USD",
            "refunded_amount": Decimal("5.00"),
            "reason": None,
        }
    ]


def test_a_coupons_amount_with_many_digits_is_kept_to_six() -> None:
    body = shop_order()
    body["coupon_lines"][0]["discount"] = "1.66666666666667"

    rows = woocommerce.order("us", body, 1)["order_discounts"]

    assert rows[0]["discount_amount"] == Decimal("1.666667")


def test_a_blank_address_is_no_row() -> None:
    rows = woocommerce.order("us", shop_order(), 1)["order_addresses"]

    assert [(row["role"], row["street"], row["email"]) for row in rows] == [
        ("billing", "1 Test Rd", " Ada@Example.com ")
    ]


def test_an_empty_sku_is_no_sku() -> None:
    body = shop_order()
    body["line_items"][0]["sku"] = ""

    assert woocommerce.order("us", body, 1)["order_lines"][0]["sku"] is None


def test_the_unit_price_is_not_read() -> None:
    body = shop_order()
    del body["line_items"][0]["price"]

    assert woocommerce.order("us", body, 1) == woocommerce.order("us", shop_order(), 1)


@pytest.mark.parametrize(
    ("word", "state"),
    [
        ("pending", "pending_payment"),
        ("processing", "paid"),
        ("on-hold", "on_hold"),
        ("completed", "completed"),
        ("cancelled", "cancelled"),
        ("refunded", "refunded"),
        ("failed", "failed"),
        ("checkout-draft", "draft"),
        ("auto-draft", "draft"),
        ("draft", "draft"),
        ("trash", "trashed"),
    ],
)
def test_every_status_of_the_shop_has_a_state(word: str, state: str) -> None:
    head = woocommerce.order("us", shop_order(status=word), 1)["orders"][0]

    assert (head["state"], head["shop_status"]) == (state, word)


def test_an_unknown_status_is_said_beside_everything_else_that_is_wrong() -> None:
    found = problems_of(shop_order(status="shipped", total="99.00"))

    assert [(problem.code, problem.part) for problem in found] == [
        ("order.unknown_state", "status"),
        ("order.total_untied", "rounding"),
    ]
    assert found[0].message == "is a word we do not know (shipped)"


def test_all_malformed_parts_are_named_at_once() -> None:
    body = shop_order(currency="usd", total=30.48, date_paid_gmt="2026-03-01")
    del body["transaction_id"]
    body["line_items"][0] |= {"quantity": True, "total": "17,99"}

    assert sorted(parts_of(body)) == [
        "currency",
        "date_paid_gmt",
        "line_items[0].quantity",
        "line_items[0].total",
        "total",
        "transaction_id",
    ]


@pytest.mark.parametrize(
    "amount",
    [
        "1,99",
        "1.999,00",
        "$5",
        "",
        " 5",
        "5\n",
        "٣",
        "NaN",
        "1e3",
        "--5",
        "0.1234567",
        "1" * 13,
        None,
    ],
)
def test_what_is_no_plain_amount_is_not_guessed(amount: Any) -> None:
    assert parts_of(shop_order(total=amount)) == ["total"]


def test_messages_show_nothing_of_a_persons_data() -> None:
    body = shop_order(status="Ada Lovelace", billing={"first_name": ["Ada Lovelace"]})

    assert "Ada" not in str(Rejected(problems_of(body)))


def test_an_order_that_is_half_built_does_not_tie_and_is_set_aside() -> None:
    found = problems_of(shop_order(total="0.00", refunds=[]))

    assert [(problem.code, problem.part) for problem in found] == [
        ("order.total_untied", "rounding")
    ]


def test_an_id_that_comes_twice_rejects_the_order() -> None:
    body = shop_order(total="48.47", total_tax="2.49")
    body["line_items"].append(copy.deepcopy(body["line_items"][0]))

    assert "line_items" in parts_of(body)


def test_a_line_that_is_no_object_does_not_hide_the_faults_of_its_neighbours() -> None:
    body = shop_order()
    body["line_items"] = [17, body["line_items"][0] | {"total": None}]

    assert parts_of(body) == ["line_items[0]", "line_items[1].total"]


def test_a_refund_listed_as_positive_is_not_taken_for_one() -> None:
    body = shop_order()
    body["refunds"][0]["total"] = "5.00"

    assert parts_of(body) == ["refunds[0].total"]


def test_zero_decimal_shops_tie_in_whole_units() -> None:
    body = shop_order(
        currency="JPY", total="24", total_tax="2", discount_total="0", refunds=[], coupon_lines=[]
    )
    body["line_items"][0] |= {"subtotal": "22", "total": "22", "total_tax": "2"}
    body["line_items"][0]["taxes"] = [{"id": 1, "total": "2", "subtotal": "2"}]
    body |= {"shipping_lines": [], "fee_lines": []}

    assert woocommerce.order("jp", body, 1)["orders"][0]["total_amount"] == Decimal(24)


def test_emoji_and_right_to_left_text_stay_and_nul_is_replaced() -> None:
    body = shop_order(customer_note="שלום 🎁\x00!\ud83d")

    head = woocommerce.order("us", body, 1)["orders"][0]

    assert head["customer_note"] == "שלום 🎁\ufffd!\ufffd"


def test_a_guest_is_known_by_the_digest_of_the_e_mail_address() -> None:
    assert woocommerce.guest("us", shop_order()) == {
        "customer_ref": GUEST_KEY,
        "store": "us",
        "is_guest": True,
        "email": "ada@example.com",
        "first_name": "Ada",
        "last_name": "",
        "company": "",
        "phone": "",
        "country": "US",
        "changed_at": datetime(2026, 3, 1, 10, 0, 5, tzinfo=UTC),
    }


def test_a_guest_without_e_mail_is_known_by_the_order() -> None:
    body = shop_order(billing=address())

    assert woocommerce.customer_ref("us", body) == "us:guest:order:1042"


def test_the_buyer_with_an_account_is_no_guest() -> None:
    body = shop_order(customer_id=5)

    assert woocommerce.customer_ref("us", body) == "us:customer:5"
    assert woocommerce.guest("us", body) is None


def test_an_account_becomes_a_customer() -> None:
    account = {
        "id": 5,
        "date_modified_gmt": None,
        "email": "Bo@Example.com",
        "first_name": "Bo",
        "last_name": "Lind",
        "billing": address(company="Lind AB", country="SE"),
    }

    assert woocommerce.customer("eu", account) == {
        "customer_ref": "eu:customer:5",
        "store": "eu",
        "is_guest": False,
        "email": "bo@example.com",
        "first_name": "Bo",
        "last_name": "Lind",
        "company": "Lind AB",
        "phone": "",
        "country": "SE",
        "changed_at": None,
    }


def test_a_note_becomes_a_row_of_its_order() -> None:
    note = {
        "id": 38,
        "author": "admin",
        "date_created_gmt": "2026-03-01T10:01:00",
        "note": "Parcel handed over",
        "customer_note": True,
    }

    assert woocommerce.note("us", "1042", note) == {
        "note_ref": "us:1042:note:38",
        "order_ref": "us:1042",
        "noted_at": datetime(2026, 3, 1, 10, 1, tzinfo=UTC),
        "author": "admin",
        "is_for_customer": True,
        "note": "Parcel handed over",
    }


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.decimals()
    | st.text(max_size=8)
    | st.sampled_from(["", "0.00", "-1.00", "1E+20", "2026-13-01T00:00:00", "\ud800", "trash"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a payload where something can be put."""
    found = [path] if path else []
    inner = value if isinstance(value, dict) else {}
    inner = dict(enumerate(value)) if isinstance(value, list) else inner
    return found + [deep for key, item in inner.items() for deep in places(item, (*path, key))]


def put(body: Any, path: tuple[Any, ...], value: Any) -> None:
    try:
        for key in path[:-1]:
            body = body[key]
        body[path[-1]] = value
    except (KeyError, IndexError, TypeError):
        return  # an earlier change took the place away


PLACES = places(shop_order())


@settings(max_examples=at_most(150, 400), deadline=None, derandomize=True)
@given(st.lists(st.tuples(st.sampled_from(PLACES), JSON), min_size=1, max_size=3))
def test_whatever_the_shop_sends_becomes_valid_rows_or_a_rejection(changes: Any) -> None:
    body = shop_order()
    for path, value in changes:
        put(body, path, value)
    try:
        rows = woocommerce.order("us", body, 1)
    except Rejected:
        return
    assert woocommerce.customer_ref("us", body) == rows["orders"][0]["customer_ref"]
    woocommerce.guest("us", body)
    for name, table in CORE_TABLES.items():
        table.validate(frame_of(table, rows[name]))


@settings(max_examples=100, deadline=None, derandomize=True)
@given(JSON)
def test_a_payload_of_any_form_is_rejected_and_not_crashed_over(body: Any) -> None:
    for read in (
        lambda: woocommerce.order("us", body, 1),
        lambda: woocommerce.customer("us", body),
        lambda: woocommerce.guest("us", body),
        lambda: woocommerce.note("us", 1, body),
    ):
        with pytest.raises(Rejected):
            read()
