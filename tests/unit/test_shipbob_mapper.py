"""ShipBob's mapper: what an order is asked for, every status in our words, and loud refusals."""

from contextlib import suppress
from copy import deepcopy
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import sync_assets.mappers.shipbob as shipbob
from sync_assets.domain.fulfilment import FulfilmentLine, FulfilmentOrder
from sync_assets.domain.orders import Rejected
from sync_assets.domain.sales import Address
from sync_assets.domain.shipments import SeenLine, SeenParcel

D = Decimal
ADDRESS = Address(name="Ada Field", street="12 Mill Lane", city="Albany", country="US")


def line(sku: str = "TEE", units: int = 2, amount: str = "19.99", n: int = 1) -> FulfilmentLine:
    return FulfilmentLine(
        key=f"us:1042:product:{n}",
        sku=sku,
        description=f"The {sku}",
        units=units,
        unit_amount=D(amount),
    )


def asked(*lines: FulfilmentLine, **changes: Any) -> dict[str, Any]:
    said = {
        "key": "us:1042:f1",
        "order_ref": "us:1042",
        "store": "us",
        "order_number": "1042",
        "warehouse": "8",
        "placed_at": datetime(2026, 11, 20, 4, 0, tzinfo=timezone(timedelta(hours=-5))),
        "currency": "USD",
        "ship_to": ADDRESS,
        "lines": lines or (line(),),
    }
    document = FulfilmentOrder.model_validate(said | changes)
    return shipbob.fulfilment_order(document, shipping_method="Standard")


def order(**changes: Any) -> dict[str, Any]:
    return {
        "id": 100001,
        "reference_id": "us:1042:f1",
        "order_number": "1042",
        "status": "Processing",
        "products": [{"reference_id": "TEE", "quantity": 2}],
        "shipments": [box()],
    } | changes


def box(**changes: Any) -> dict[str, Any]:
    items = [{"id": 31, "quantity": 2}]
    return {
        "id": 200001,
        "status": "Processing",
        "status_details": [],
        "created_date": "2026-11-20T09:00:00Z",
        "last_update_at": "2026-11-20T09:00:00Z",
        "last_tracking_update_at": None,
        "location": {"id": 8, "name": "Cicero (IL)"},
        "products": [{"reference_id": "TEE", "sku": "TEE", "inventory_items": items}],
        "tracking": None,
        "measurements": None,
        "actual_fulfillment_date": None,
    } | changes


def kept(shipments: int = 1, **changes: Any) -> dict[str, Any]:
    """A shipment as the client keeps it."""
    said = {"id": 100001, "reference_id": "us:1042:f1", "order_number": "1042"}
    said["products"] = [{"reference_id": "TEE", "quantity": 2}]
    return {"order": said, "shipments": shipments, "shipment": box(**changes)}


def goods(**changes: Any) -> dict[str, Any]:
    taken = [{"action": "Restock", "quantity_processed": 1}]
    return {
        "id": 5001,
        "reference_id": "us:1042:r1",
        "store_order_id": "1042",
        "original_shipment_id": 200001,
        "status": "Completed",
        "return_type": "Regular",
        "tracking_number": "RMA1",
        "fulfillment_center": {"id": 8},
        "insert_date": "2026-11-20T09:00:00Z",
        "completed_date": "2026-11-22T09:00:00Z",
        "inventory": [{"id": 31, "sku": "TEE", "quantity": 2, "action_taken": taken}],
    } | changes


def problems(call: Any, *args: Any) -> list[tuple[str, str]]:
    with pytest.raises(Rejected) as refusal:
        call(*args)
    return [(one.code, one.part) for one in refusal.value.problems]


# What it shall ship


def test_an_order_is_asked_for_in_shipbobs_words() -> None:
    assert asked() == {
        "reference_id": "us:1042:f1",
        "order_number": "1042",
        "type": "DTC",
        "shipping_method": "Standard",
        "purchase_date": "2026-11-20T09:00:00Z",
        "recipient": {
            "name": "Ada Field",
            "email": None,
            "phone_number": None,
            "address": {
                "address1": "12 Mill Lane",
                "address2": None,
                "company_name": None,
                "city": "Albany",
                "state": None,
                "zip_code": None,
                "country": "US",
            },
        },
        "products": [
            {"reference_id": "TEE", "name": "The TEE", "quantity": 2, "unit_price": D("19.99")}
        ],
        "location_id": 8,
    }


def test_a_service_by_policy_goes_before_the_usual_method() -> None:
    assert asked(service="2-Day")["shipping_method"] == "2-Day"


def test_no_place_leaves_the_choice_to_shipbob() -> None:
    assert "location_id" not in asked(warehouse="")


def test_lines_of_one_article_are_one_product_at_their_mean_price() -> None:
    body = asked(line(units=2, amount="10"), line(units=1, amount="4", n=2), line("MUG", 1, "5"))

    assert [(p["reference_id"], p["quantity"], p["unit_price"]) for p in body["products"]] == [
        ("TEE", 3, D("8")),
        ("MUG", 1, D("5")),
    ]


def test_a_line_without_units_is_not_asked_for() -> None:
    body = asked(line(), line("MUG", 0))

    assert [product["reference_id"] for product in body["products"]] == ["TEE"]


def test_a_company_without_a_person_is_the_recipient() -> None:
    address = ADDRESS.model_copy(update={"name": " ", "company": "Field & Sons"})

    assert asked(ship_to=address)["recipient"]["name"] == "Field & Sons"


def test_every_reason_why_an_order_cannot_be_asked_for_is_told_without_the_address() -> None:
    address = Address(name="", street="", city="Albany", country="")

    with pytest.raises(Rejected) as refusal:
        asked(line(units=0), ship_to=address, warehouse="WEST")

    assert [(one.code, one.part) for one in refusal.value.problems] == [
        ("fulfilment.malformed", "ship_to.name"),
        ("fulfilment.malformed", "ship_to.street"),
        ("fulfilment.malformed", "ship_to.country"),
        ("fulfilment.malformed", "warehouse"),
        ("fulfilment.malformed", "lines"),
    ]
    assert "Albany" not in str(refusal.value)


# How it stands


@pytest.mark.parametrize(
    ("status", "shipments", "state"),
    [
        ("ImportReview", [box(status="ImportReview")], "waiting"),
        ("Processing", [], "acknowledged"),
        ("Processing", [box()], "acknowledged"),
        ("Processing", [box(status="None")], "acknowledged"),
        ("Processing", [box(status_details=[{"name": "Picked"}])], "picking"),
        ("Processing", [box(status="LabeledCreated")], "picking"),
        ("Processing", [box(status="OnHold")], "on_hold"),
        ("Exception", [box(status="Exception")], "on_hold"),
        ("Exception", [], "on_hold"),
        ("Processing", [box(status="Completed"), box()], "part_shipped"),
        ("Processing", [box(status="Completed"), box(status="Cancelled")], "shipped"),
        ("PartiallyFulfilled", [box(status="Completed"), box(status="OnHold")], "part_shipped"),
        ("Fulfilled", [box(status="Completed")], "shipped"),
        ("Cancelled", [box(status="Cancelled")], "cancelled"),
        ("Processing", [box(status="CleanSweeped")], "acknowledged"),
    ],
)
def test_an_order_stands_as_its_shipments_tell(
    status: str, shipments: list[dict[str, Any]], state: str
) -> None:
    assert shipbob.seen(order(status=status, shipments=shipments)).state == state


def test_what_is_meant_to_be_shipped_leaves_out_what_was_cancelled() -> None:
    mug = [{"reference_id": "MUG", "inventory_items": [{"id": 32, "quantity": 1}]}]
    shipments = [box(), box(id=200002, status="Cancelled", products=mug)]

    found = shipbob.seen(order(shipments=shipments))

    assert (found.key, found.remote_id, found.number) == ("us:1042:f1", "100001", "1042")
    assert found.units == {"TEE": 2}


def test_lots_of_one_article_are_added_and_bundles_count_as_ordered() -> None:
    lots = [{"id": 31, "quantity": 1, "lot": "A"}, {"id": 31, "quantity": 1, "lot": "B"}]
    parts = [{"id": 31, "quantity": 2}, {"id": 32, "quantity": 4}]
    of_lots = box(products=[{"reference_id": "TEE", "inventory_items": lots}])
    of_parts = box(products=[{"reference_id": "KIT", "inventory_items": parts}])
    kits = [{"reference_id": "KIT", "quantity": 2}]

    assert shipbob.seen(order(shipments=[of_lots])).units == {"TEE": 2}
    assert shipbob.seen(order(shipments=[of_parts], products=kits)).units == {"KIT": 2}


def test_an_unknown_status_is_loud() -> None:
    assert problems(shipbob.seen, order(status="Packing")) == [("fulfilment.malformed", "status")]
    assert problems(shipbob.seen, order(shipments=[box(status="Lost")])) == [
        ("fulfilment.malformed", "shipments[0].status")
    ]
    assert problems(shipbob.shipment, kept(status="Lost")) == [
        ("shipment.malformed", "shipment.status")
    ]
    assert problems(shipbob.goods_back, goods(status="Eaten")) == [("return.malformed", "status")]


# Shipments


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("Processing", "packed"),
        ("OnHold", "packed"),
        ("LabeledCreated", "packed"),
        ("Completed", "shipped"),
        ("Cancelled", "cancelled"),
        ("CleanSweeped", "cancelled"),
    ],
)
def test_a_shipment_is_packed_shipped_or_cancelled(status: str, state: str) -> None:
    found = shipbob.shipment(kept(status=status))

    assert found.state == state
    assert (found.shipped_at is not None) == (state == "shipped")


def test_a_parcel_has_its_weight_in_grams_and_its_lines() -> None:
    tracking = {
        "carrier": "USPS",
        "tracking_number": " 9400100000000000000001 ",
        "tracking_url": "https://track.example/1",
        "shipping_date": "2026-11-21T08:00:00+01:00",
    }

    found = shipbob.shipment(
        kept(status="Completed", tracking=tracking, measurements={"total_weight_oz": 16})
    )

    assert found.parcels == (
        SeenParcel("9400100000000000000001", "USPS", "https://track.example/1", D("453.59")),
    )
    assert found.lines == (SeenLine("TEE", 2, parcel=0),)
    assert found.shipped_at == datetime(2026, 11, 21, 7, 0, tzinfo=UTC)
    assert found.reference == "us:1042:f1"
    assert found.warehouse == "8"


def test_nothing_weighed_is_no_weight_and_no_label_is_no_parcel() -> None:
    empty = {"carrier": None, "tracking_number": "", "tracking_url": None, "shipping_date": None}
    labelled = empty | {"tracking_number": "1Z1"}

    weightless = shipbob.shipment(kept(tracking=labelled, measurements={"total_weight_oz": 0}))
    bare = shipbob.shipment(kept(tracking=empty))

    assert weightless.parcels == (SeenParcel("1Z1"),)
    assert (bare.parcels, bare.lines) == ((), (SeenLine("TEE", 2),))


@pytest.mark.parametrize(
    ("times", "left"),
    [
        (
            {"actual_fulfillment_date": "2026-11-21T06:00:00Z"},
            datetime(2026, 11, 21, 6, tzinfo=UTC),
        ),
        ({"last_update_at": "2026-11-20T12:00:00Z"}, datetime(2026, 11, 20, 12, tzinfo=UTC)),
        ({}, datetime(2026, 11, 20, 9, tzinfo=UTC)),
    ],
)
def test_without_the_carriers_papers_it_left_when_it_was_done(
    times: dict[str, str], left: datetime
) -> None:
    assert shipbob.shipment(kept(status="Completed", **times)).shipped_at == left


def test_a_shipment_changed_when_it_was_touched_last() -> None:
    found = shipbob.shipment(kept(last_tracking_update_at="2026-11-23T01:02:03.4567Z"))

    assert found.changed_at == datetime(2026, 11, 23, 1, 2, 3, 456700, tzinfo=UTC)


def test_a_cancelled_shipment_has_no_lines_but_what_will_not_come() -> None:
    found = shipbob.shipment(kept(status="Cancelled"))

    assert (found.lines, found.parcels, found.cancelled) == ((), (), {"TEE": 2})


def test_an_order_of_another_hand_is_named_by_its_number() -> None:
    payload = kept()
    payload["order"]["reference_id"] = None

    assert shipbob.shipment(payload).reference == "1042"


def test_an_article_without_our_code_is_named_by_theirs_and_without_any_it_is_refused() -> None:
    theirs = {"reference_id": None, "sku": "SB-1", "inventory_items": [{"id": 31, "quantity": 1}]}
    nobody = theirs | {"sku": None}

    assert shipbob.shipment(kept(products=[theirs])).lines == (SeenLine("SB-1", 1),)
    assert problems(shipbob.shipment, kept(products=[nobody])) == [
        ("shipment.malformed", "shipment.products[0].sku")
    ]


# Goods that come back


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("AwaitingArrival", "requested"),
        ("Arrived", "received"),
        ("Processing", "received"),
        ("Completed", "inspected"),
        ("Cancelled", "cancelled"),
    ],
)
def test_a_return_stands_in_our_words(status: str, state: str) -> None:
    assert shipbob.goods_back(goods(status=status)).state == state


def test_units_are_counted_by_what_became_of_them() -> None:
    taken = [
        {"action": "Restock", "quantity_processed": 1},
        {"action": "Quarantine", "quantity_processed": 2},
        {"action": "Dispose", "quantity_processed": 3},
        {"action": "Restock", "quantity_processed": 4},
    ]
    item = {"sku": "TEE", "quantity": 11, "action_taken": taken}

    (found,) = shipbob.goods_back(goods(inventory=[item])).lines

    assert (found.requested_units, found.received_units) == (11, 10)
    assert (found.restock_units, found.refurbish_units, found.write_off_units) == (5, 2, 3)


def test_nothing_counts_as_received_before_it_is_processed() -> None:
    item = {"sku": "TEE", "quantity": 2, "action_taken": None}

    (found,) = shipbob.goods_back(goods(status="Arrived", inventory=[item])).lines

    assert (found.requested_units, found.received_units) == (2, 0)


def test_goods_are_there_when_they_arrived_or_else_when_they_were_done() -> None:
    arrived = goods(arrived_date="2026-11-21T10:00:00", processing_date="2026-11-21T12:00:00Z")

    assert shipbob.goods_back(arrived).received_at == datetime(2026, 11, 21, 10, tzinfo=UTC)
    assert shipbob.goods_back(goods()).received_at == datetime(2026, 11, 22, 9, tzinfo=UTC)
    assert shipbob.goods_back(goods(status="AwaitingArrival")).received_at is None


def test_a_return_names_our_key_or_the_order_or_the_shipment() -> None:
    names = [
        shipbob.goods_back(goods(**changes)).reference
        for changes in (
            {},
            {"reference_id": None},
            {"reference_id": "", "store_order_id": None},
            {"reference_id": None, "store_order_id": "", "original_shipment_id": None},
        )
    ]

    assert names == ["us:1042:r1", "1042", "200001", None]


def test_an_unknown_action_is_loud() -> None:
    item = {"sku": "TEE", "quantity": 1, "action_taken": [{"action": "Sell", "quantity": 1}]}

    assert problems(shipbob.goods_back, goods(inventory=[item])) == [
        ("return.malformed", "inventory[0].action_taken[0].action")
    ]


# Webhooks and broken payloads


@pytest.mark.parametrize(
    ("topic", "body", "named"),
    [
        ("order.shipped", {"id": 100001}, "order:100001"),
        ("order.shipment.on_hold", {"id": 200001, "order_id": 100001}, "200001"),
        ("return.updated", {"id": "5001"}, "5001"),
        ("billing.charge.created", {"id": 1}, None),
        ("order.shipped", {}, None),
        ("order.shipped", {"id": True}, None),
        ("order.shipped", {"id": -4}, None),
        ("order.shipped", {"id": 0}, None),
        ("order.shipped", {"id": None}, None),
        ("order.shipped", {"id": "a/../b"}, None),
    ],
)
def test_a_webhook_names_what_is_to_be_read_again(
    topic: str, body: dict[str, Any], named: str | None
) -> None:
    assert shipbob.hinted(topic, body) == named


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.decimals(allow_nan=False),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(), inner, max_size=2),
    max_leaves=4,
)


def paths(value: Any, so_far: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a payload."""
    found = [so_far] if so_far else []
    inner = value.items() if isinstance(value, dict) else ()
    for key, part in enumerate(value) if isinstance(value, list) else inner:
        found += paths(part, (*so_far, key))
    return found


def replaced(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    copy = deepcopy(value)
    place = copy
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = new
    return copy


FULL = box(
    status="Completed",
    tracking={"carrier": "UPS", "tracking_number": "1Z1", "shipping_date": "2026-11-20T09:00:00Z"},
    measurements={"total_weight_oz": 3},
    status_details=[{"name": "Picked", "description": "Picking Completed"}],
)


@given(data=st.data(), new=JSON)
def test_a_payload_with_anything_anywhere_is_mapped_or_rejected(data: Any, new: Any) -> None:
    for mapped, payload in (
        (shipbob.seen, order(shipments=[FULL])),
        (shipbob.shipment, kept() | {"shipment": FULL}),
        (shipbob.goods_back, goods()),
    ):
        path = data.draw(st.sampled_from(paths(payload)))
        with suppress(Rejected):
            mapped(replaced(payload, path, new))
