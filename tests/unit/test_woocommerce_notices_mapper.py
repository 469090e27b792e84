"""Shipping notices and exchanges in WooCommerce's words, and notices read back from it."""

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest

from sync_assets.domain.fulfilment import NoticeLine, SeenNotice, ShippingNotice
from sync_assets.domain.orders import Rejected
from sync_assets.domain.returns import ExchangeLine, ExchangeOrder
from sync_assets.mappers.woocommerce_notices import exchange, notice, seen_notice

KEY = "north:5512/us:1042"
UPS = "https://ups.example/1Z999"


def shipped(**said: Any) -> ShippingNotice:
    """Two parcels of which one has an address to look at."""
    told: dict[str, Any] = {
        "key": KEY,
        "order_id": 1042,
        "shipped_at": datetime(2026, 11, 20, 18, 20, 42, tzinfo=UTC),
        "carrier": "ups",
        "carrier_name": "UPS",
        "tracking_numbers": ("1Z999", "1Z998"),
        "tracking_urls": (UPS,),
        "lines": (NoticeLine(line_id=4589, units=2),),
    }
    return ShippingNotice(**{**told, **said})


def meta(fulfilment: dict[str, Any]) -> dict[str, Any]:
    return {row["key"]: row["value"] for row in fulfilment["meta_data"]}


# Fulfillments


def test_a_notice_is_one_fulfilment_with_its_first_number_and_all_in_our_own_meta_data() -> None:
    payload = notice(shipped(), "fulfilments")

    assert payload.keys() == {"key", "fulfilment"}
    fulfilment = payload["fulfilment"]
    assert meta(fulfilment) == {
        "_items": [{"item_id": 4589, "qty": 2}],
        "_sync_shipment": KEY,
        "_sync_tracking_numbers": ["1Z999", "1Z998"],
        "_tracking_number": "1Z999",
        "_tracking_url": UPS,
        "_shipment_provider": "ups",
        "_provider_name": "UPS",
    }
    told = {name: value for name, value in fulfilment.items() if name != "meta_data"}
    assert told == {"status": "fulfilled", "is_fulfilled": True, "notify_customer": True}


def test_what_nobody_said_is_not_in_a_fulfilment() -> None:
    bare = shipped(carrier="", carrier_name="", tracking_numbers=(), tracking_urls=())
    kept = meta(notice(bare, "fulfilments")["fulfilment"])
    assert kept.keys() == {"_items", "_sync_shipment", "_sync_tracking_numbers"}


@pytest.mark.parametrize(
    ("code", "name", "provider", "shown"),
    [("", "Bob's Bikes", "other", "Bob's Bikes"), ("ups", "", "ups", "ups")],
)
def test_a_carrier_without_a_code_is_named(code: str, name: str, provider: str, shown: str) -> None:
    kept = meta(notice(shipped(carrier=code, carrier_name=name), "fulfilments")["fulfilment"])
    assert (kept["_shipment_provider"], kept["_provider_name"]) == (provider, shown)


# Notes


def test_a_note_names_the_day_the_carrier_and_every_number() -> None:
    payload = notice(shipped(), "notes")

    assert payload.keys() == {"key", "note", "tracking"}
    assert payload["note"] == (
        f"Shipped on 2026-11-20 with UPS.\nTracking numbers: 1Z999 ({UPS}), 1Z998"
    )


@pytest.mark.parametrize(
    ("said", "note"),
    [
        (
            {"tracking_numbers": ("1Z999",), "tracking_urls": ()},
            "Shipped on 2026-11-20 with UPS.\nTracking number: 1Z999",
        ),
        (
            {"tracking_numbers": (), "tracking_urls": (), "carrier": "", "carrier_name": ""},
            "Shipped on 2026-11-20.",
        ),
        ({"tracking_numbers": (), "carrier_name": ""}, "Shipped on 2026-11-20 with ups."),
    ],
)
def test_a_note_says_only_what_is_known(said: dict[str, Any], note: str) -> None:
    assert notice(shipped(**said), "notes")["note"] == note


def test_the_order_lists_a_row_per_number_and_one_where_there_is_none() -> None:
    row = {"key": KEY, "carrier": "ups", "shipped_at": "2026-11-20T18:20:42Z"}
    assert notice(shipped(), "notes")["tracking"] == [
        row | {"tracking_number": "1Z999", "url": UPS},
        row | {"tracking_number": "1Z998", "url": ""},
    ]
    bare = shipped(tracking_numbers=(), tracking_urls=())
    assert notice(bare, "notes")["tracking"] == [row | {"tracking_number": "", "url": ""}]


def test_a_moment_told_elsewhere_is_written_in_utc() -> None:
    tokyo = datetime(2026, 11, 21, 3, 20, 42, tzinfo=timezone(timedelta(hours=9)))
    payload = notice(shipped(shipped_at=tokyo), "notes")
    assert payload["tracking"][0]["shipped_at"] == "2026-11-20T18:20:42Z"
    assert payload["note"].startswith("Shipped on 2026-11-20 ")


def test_a_notice_whose_way_is_open_holds_both() -> None:
    both = notice(shipped(), "auto")
    assert both == notice(shipped(), "fulfilments") | notice(shipped(), "notes")
    with pytest.raises(ValueError, match="pigeon"):
        notice(shipped(), "pigeon")


# Read back


def test_a_fulfilment_is_read_back_with_all_its_numbers() -> None:
    shown = notice(shipped(), "fulfilments")["fulfilment"] | {"id": 7}
    assert seen_notice(shown) == SeenNotice(KEY, "7", "fulfilment", ("1Z999", "1Z998"))


def test_a_fulfilment_changed_by_hand_shows_what_the_customer_sees() -> None:
    rows = [
        {"key": "_sync_shipment", "value": KEY},
        {"key": "_tracking_number", "value": "9400"},
    ]
    assert seen_notice({"id": 7, "meta_data": rows}).tracking_numbers == ("9400",)
    assert seen_notice({"id": 7, "meta_data": rows[:1]}).tracking_numbers == ()


def test_a_note_is_read_back_with_the_numbers_of_the_orders_list() -> None:
    payload = notice(shipped(), "notes")
    shown = {
        "id": 3840,
        "note": f"{payload['note']}\n[ref {KEY}]",
        "tracking": payload["tracking"],
    }
    assert seen_notice(shown) == SeenNotice(KEY, "3840", "note", ("1Z999", "1Z998"))
    # The list was lost, or never written: then it is to be written.
    assert seen_notice(shown | {"tracking": []}).tracking_numbers == ()


@pytest.mark.parametrize(
    ("payload", "part"),
    [
        ({"id": 7, "meta_data": []}, "meta_data"),
        ({"id": 7, "meta_data": [{"key": "_sync_shipment", "value": 5}]}, "meta_data"),
        ({"id": 0, "meta_data": [{"key": "_sync_shipment", "value": KEY}]}, "id"),
        ({"id": 7, "note": "Stock levels reduced", "tracking": []}, "note"),
        ({"id": 7, "note": f"[ref {KEY}]", "tracking": None}, "tracking"),
        ([], "payload"),
    ],
)
def test_what_is_no_notice_of_ours_is_rejected(payload: Any, part: str) -> None:
    with pytest.raises(Rejected) as refusal:
        seen_notice(payload)
    assert [(p.code, p.part) for p in refusal.value.problems] == [("notice.malformed", part)]


# Exchanges


def old_order(**said: Any) -> dict[str, Any]:
    order = {
        "id": 1042,
        "currency": "USD",
        "customer_id": 5,
        "billing": {"first_name": "Ada", "company": "", "country": "US", "email": "a@example.com"},
        "shipping": {"first_name": "Ada", "country": "US", "phone": None},
        "total": "30.48",
    }
    return order | said


def replacing(**said: Any) -> ExchangeOrder:
    lines = (
        ExchangeLine(sku="MUG-RED", units=2, net_amount=Decimal("17.990")),
        ExchangeLine(sku="LID", units=1),
    )
    return ExchangeOrder(**{"key": "us:1042:r1", "order_id": 1042, "lines": lines, **said})


def test_an_exchange_is_a_paid_order_for_the_same_customer() -> None:
    assert exchange(replacing(), old_order()) == {
        "status": "processing",
        "currency": "USD",
        "customer_id": 5,
        "billing": {"first_name": "Ada", "country": "US", "email": "a@example.com"},
        "shipping": {"first_name": "Ada", "country": "US"},
        "payment_method": "exchange",
        "payment_method_title": "Exchange",
        "transaction_id": "us:1042:r1",
        "line_items": [
            {"sku": "MUG-RED", "quantity": 2, "subtotal": "17.990", "total": "17.990"},
            {"sku": "LID", "quantity": 1},
        ],
        "meta_data": [
            {"key": "_sync_exchange", "value": "us:1042:r1"},
            {"key": "_sync_exchange_of", "value": "1042"},
        ],
    }


def test_a_guests_exchange_names_no_account() -> None:
    assert exchange(replacing(), old_order(customer_id=0))["customer_id"] == 0


@pytest.mark.parametrize(
    ("body", "part"),
    [
        (old_order(id=1043), "id"),
        ([], "id"),
        (old_order(currency=None), "currency"),
        (old_order(billing=None), "billing"),
        (old_order(shipping={"city": 5}), "shipping.city"),
    ],
)
def test_another_order_or_one_that_cannot_be_read_is_rejected(body: Any, part: str) -> None:
    with pytest.raises(Rejected) as refusal:
        exchange(replacing(), body)
    assert [(p.code, p.part) for p in refusal.value.problems] == [("exchange.malformed", part)]
