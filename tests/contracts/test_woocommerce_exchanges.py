"""Orders that replace returned goods in a WooCommerce shop: made once, paid, of what it sells."""

from typing import Any

import pytest
from woocommerce_desk import connected, lost, paid_order
from woocommerce_shop import THERE, Entry, store

from resources.errors import ContractBroken, Refused, TryAgain, UnknownOutcome
from resources.sandbox.faults import Fault, Trouble
from resources.sandbox.woocommerce import WooCommerceStandIn
from sync_assets.domain.returns import ExchangeLine, ExchangeOrder
from sync_assets.mappers import woocommerce, woocommerce_notices

KEY = "us:1042:r1"
POST, PUT = "POST orders", "PUT orders/{id}"


def exchange(**fields: Any) -> Entry:
    return {
        "status": "processing",
        "currency": "USD",
        "billing": {"first_name": "Mira", "email": "mira@example.com", **THERE},
        "shipping": THERE,
        "payment_method": "exchange",
        "line_items": [{"sku": "ORD-B", "quantity": 2, "subtotal": "10.00", "total": "10.00"}],
        **fields,
    }


@pytest.fixture
def shop() -> WooCommerceStandIn:
    one = store()
    paid_order(one)
    return one


def exchanges(shop: WooCommerceStandIn) -> list[Entry]:
    docs = (shop.order_json(order) for order in shop.shelf.entries)
    return [doc for doc in docs if doc["transaction_id"] == KEY]


def test_an_exchange_is_a_paid_order_with_our_key_as_its_transaction(
    shop: WooCommerceStandIn,
) -> None:
    made = connected(shop).put_exchange(exchange(), KEY)

    (order,) = exchanges(shop)
    assert made.resource_id == str(order["id"])
    assert made.text == shop.entry(order["id"]).text
    assert (order["status"], order["payment_method"]) == ("processing", "exchange")
    assert (order["total"], order["total_tax"], order["discount_total"]) == (
        "10.89",
        "0.89",
        "0.00",
    )
    assert order["date_paid_gmt"] is not None
    assert order["billing"]["email"] == "mira@example.com"


def test_the_same_exchange_again_makes_no_second_order(shop: WooCommerceStandIn) -> None:
    woo = connected(shop)
    first, again = (woo.put_exchange(exchange(), KEY) for _ in range(2))

    assert first.text == again.text
    assert shop.calls[POST] == 1
    assert shop.count() == 2


def test_a_lost_answer_is_an_unknown_outcome_and_the_next_call_finds_the_order(
    shop: WooCommerceStandIn,
) -> None:
    woo = connected(shop)
    shop.faults.plan(Fault(Trouble.CUT_AFTER, "POST orders"))
    with pytest.raises(UnknownOutcome):
        woo.put_exchange(exchange(), KEY)

    found = woo.put_exchange(exchange(), KEY)
    assert [str(order["id"]) for order in exchanges(shop)] == [found.resource_id]
    assert shop.calls[POST] == 1


def test_a_call_that_never_arrived_is_made_by_the_next(shop: WooCommerceStandIn) -> None:
    woo = connected(shop)
    shop.faults.plan(Fault(Trouble.CUT_BEFORE, POST))
    with pytest.raises(TryAgain):
        woo.put_exchange(exchange(), KEY)
    assert exchanges(shop) == []
    woo.put_exchange(exchange(), KEY)
    assert len(exchanges(shop)) == 1


@pytest.mark.parametrize("left", ["checkout-draft", "pending"])
def test_an_order_that_was_begun_is_finished_and_not_made_again(
    shop: WooCommerceStandIn, left: str
) -> None:
    order = shop.take(exchange(status=left, transaction_id=KEY), shop.now())
    shop.faults.plan(lost(PUT))
    with pytest.raises(UnknownOutcome):
        connected(shop).put_exchange(exchange(), KEY)
    found = connected(shop).put_exchange(exchange(), KEY)

    assert found.resource_id == str(order)
    assert [one["status"] for one in exchanges(shop)] == ["processing"]
    assert shop.calls[POST] == 0


def test_an_order_whose_lines_are_not_in_it_yet_is_an_unknown_outcome(
    shop: WooCommerceStandIn,
) -> None:
    half = exchange(status="pending", transaction_id=KEY, line_items=[])
    shop.take(half, shop.now())
    with pytest.raises(UnknownOutcome) as unknown:
        connected(shop).put_exchange(exchange(), KEY)

    assert unknown.value.code == "half_made"
    assert [one["status"] for one in exchanges(shop)] == ["pending"]
    assert (shop.calls[POST], shop.calls[PUT]) == (0, 0)


@pytest.mark.parametrize("status", ["completed", "cancelled", "refunded"])
def test_an_exchange_that_went_on_is_answered_as_it_is(
    shop: WooCommerceStandIn, status: str
) -> None:
    woo = connected(shop)
    order = int(woo.put_exchange(exchange(), KEY).resource_id)
    shop.set_status(order, status)

    assert woo.put_exchange(exchange(), KEY).body["status"] == status
    assert shop.calls[PUT] == 0


def test_an_exchange_in_the_trash_is_not_made_again(shop: WooCommerceStandIn) -> None:
    woo = connected(shop)
    order = int(woo.put_exchange(exchange(), KEY).resource_id)
    shop.trash(order)

    assert woo.put_exchange(exchange(), KEY).body["status"] == "trash"
    assert shop.calls[POST] == 1


def test_a_key_found_within_another_one_is_not_ours(shop: WooCommerceStandIn) -> None:
    woo = connected(shop)
    longer = woo.put_exchange(exchange(), f"{KEY}1")
    made = woo.put_exchange(exchange(), KEY)

    assert made.resource_id != longer.resource_id
    assert len(exchanges(shop)) == 1


def test_a_key_that_is_two_orders_is_given_to_a_person(shop: WooCommerceStandIn) -> None:
    for _ in range(2):
        shop.place(exchange(transaction_id=KEY))
    with pytest.raises(Refused) as refused:
        connected(shop).put_exchange(exchange(), KEY)
    assert refused.value.code == "doubled"
    assert shop.calls[POST] == 0


@pytest.mark.parametrize("sku", ["NO-SUCH", "", "TRASHED"])
def test_goods_the_shop_does_not_sell_are_refused_before_an_order_is_made(
    shop: WooCommerceStandIn, sku: str
) -> None:
    shop.trash_product(shop.add_product("TRASHED", "Gone", "1.00"))
    lines = [{"sku": "ORD-B", "quantity": 1}, {"sku": sku, "quantity": 1}]
    with pytest.raises(Refused) as refused:
        connected(shop).put_exchange(exchange(line_items=lines), KEY)

    assert refused.value.code == "unknown_sku"
    assert exchanges(shop) == []


def test_a_shop_that_ignores_the_search_is_not_believed(shop: WooCommerceStandIn) -> None:
    for _ in range(3):
        shop.place(exchange(transaction_id=f"{KEY} or so"))
    with pytest.raises(ContractBroken, match="more than a page"):
        connected(shop, per_page=2).put_exchange(exchange(), KEY)
    assert shop.calls[POST] == 0


def test_an_exchange_written_from_the_old_order_is_a_whole_order_of_ours(
    shop: WooCommerceStandIn,
) -> None:
    old = next(iter(shop.shelf.entries))
    wanted = ExchangeOrder(key=KEY, order_id=old, lines=(ExchangeLine(sku="ord-b", units=3),))
    payload = woocommerce_notices.exchange(wanted, shop.order_json(old))
    made = connected(shop).put_exchange(payload, KEY)
    again = connected(shop).put_exchange(payload, KEY)

    assert again.text == made.text
    (head,) = woocommerce.order("us", made.body, 1)["orders"]
    assert (head["state"], head["payment_ref"], str(head["total_amount"])) == ("paid", KEY, "23.94")
    assert shop.order_json(int(made.resource_id))["billing"]["first_name"] == "Mira"
