"""Our warehouse contract's mapper: exact bodies out, every fault of an answer told at once."""

import json
from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import sync_assets.mappers.warehouse_http as mapper
from sync_assets.domain.fulfilment import FulfilmentLine, FulfilmentOrder, SeenFulfilment
from sync_assets.domain.orders import Rejected
from sync_assets.domain.returns import SeenReturn, SeenReturnLine
from sync_assets.domain.sales import Address

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
SHIPMENT = {
    "id": "S-1",
    "state": "shipped",
    "changed_at": "2026-11-21T13:00:00+01:00",
    "shipped_at": "2026-11-21T12:00:00Z",
    "lines": [{"sku": "SKU-1", "units": 2}],
}
RETURN = {
    "id": "R-1",
    "state": "received",
    "changed_at": "2026-11-21T12:00:00Z",
    "lines": [{"sku": "SKU-1", "requested_units": 2, "received_units": 2}],
}
REQUEST = {
    "id": "F-1",
    "key": "us:1042:f1",
    "state": "acknowledged",
    "lines": [{"sku": "SKU-1", "units": 2}],
}


def document(**changes: Any) -> FulfilmentOrder:
    line = FulfilmentLine(
        key="us:1042:product:1",
        sku="SKU-1",
        description="Widget",
        units=2,
        unit_amount=Decimal("1E+1"),
    )
    return FulfilmentOrder(
        **{
            "key": "us:1042:f1",
            "order_ref": "us:1042",
            "store": "us",
            "order_number": "W-1042",
            "warehouse": "EAST",
            "placed_at": datetime(2026, 11, 20, 18, 0, 5, 999, tzinfo=timezone(timedelta(hours=1))),
            "ship_by_at": NOON,
            "currency": "USD",
            "ship_to": Address(name="Ada", street="1 Demo Way", city="Chicago", country="US"),
            "shipping_method": "Express",
            "carrier": "UPS",
            "service": "Ground",
            "note": "ring",
            "lines": (line,),
        }
        | changes
    )


def faults(caught: pytest.ExceptionInfo[Rejected]) -> dict[str, str]:
    return {one.part: one.message for one in caught.value.problems}


# What it shall ship


def test_a_request_is_written_with_decimal_texts_and_times_in_utc() -> None:
    body = mapper.fulfilment_order(document(), version=3)
    assert json.loads(json.dumps(body)) == {
        "key": "us:1042:f1",
        "version": 3,
        "store": "us",
        "order_number": "W-1042",
        "warehouse": "EAST",
        "placed_at": "2026-11-20T17:00:05+00:00",
        "ship_by_at": "2026-11-21T12:00:00+00:00",
        "currency": "USD",
        "ship_to": {
            "name": "Ada",
            "company": "",
            "street": "1 Demo Way",
            "street2": "",
            "city": "Chicago",
            "region": "",
            "postcode": "",
            "country": "US",
            "email": "",
            "phone": "",
        },
        "shipping_method": "Express",
        "carrier": "UPS",
        "service": "Ground",
        "note": "ring",
        "lines": [
            {
                "key": "us:1042:product:1",
                "sku": "SKU-1",
                "description": "Widget",
                "units": 2,
                "unit_amount": "10",
            }
        ],
    }


def test_a_request_without_a_promise_says_so() -> None:
    assert mapper.fulfilment_order(document(ship_by_at=None))["ship_by_at"] is None


# What it holds


def test_units_it_will_not_ship_are_not_meant_to_be_shipped() -> None:
    lines = [
        {"sku": "SKU-1", "units": 2, "short_units": 1},
        {"sku": "SKU-1", "units": 3, "short_units": 0},
    ]
    payload = {**REQUEST, "number": "FO-1", "reason": "late", "lines": lines}
    assert mapper.seen(payload) == SeenFulfilment(
        "us:1042:f1", "F-1", "FO-1", "acknowledged", {"SKU-1": 4}, "late", payload
    )


@pytest.mark.parametrize("state", sorted(mapper.FULFILMENT_STATES))
def test_every_state_of_the_contract_is_ours(state: str) -> None:
    assert mapper.seen({**REQUEST, "state": state}).state == state


@pytest.mark.parametrize(
    ("read", "payload"),
    [(mapper.seen, REQUEST), (mapper.shipment, SHIPMENT), (mapper.goods_back, RETURN)],
)
def test_a_state_nobody_agreed_on_is_loud(read: Any, payload: dict[str, Any]) -> None:
    with pytest.raises(Rejected) as caught:
        read({**payload, "state": "teleported"})
    assert faults(caught) == {"state": "'teleported' is no state of the contract"}


def test_every_fault_of_a_request_is_told_at_once() -> None:
    with pytest.raises(Rejected) as caught:
        mapper.seen({"id": "", "state": 7, "lines": [{"units": 1, "short_units": 2}, "x"]})
    assert faults(caught) == {
        "lines[1]": "is not an object",
        "lines[0].short_units": "is more than was asked for",
        "lines[0].sku": "is missing",
        "key": "is missing",
        "id": "is empty",
        "state": "is not text",
    }


# What left


def test_a_shipment_may_say_no_more_than_it_must() -> None:
    seen = mapper.shipment({**SHIPMENT, "parcels": None, "reference": None})
    assert (seen.changed_at, seen.shipped_at, seen.warehouse) == (NOON, NOON, "")
    assert (seen.number, seen.reference, seen.parcels, dict(seen.cancelled)) == (None, None, (), {})


def test_weights_are_exact_and_units_not_shipped_add_up() -> None:
    seen = mapper.shipment(
        {
            **SHIPMENT,
            "parcels": [{"tracking_number": None, "weight_g": Decimal("1250.5"), "carrier": "UPS"}],
            "cancelled": [{"sku": "A", "units": 1}, {"sku": "A", "units": 2}],
        }
    )
    (parcel,) = seen.parcels
    assert (parcel.tracking_number, parcel.weight_g) == (None, Decimal("1250.5"))
    assert (parcel.carrier_words, dict(seen.cancelled)) == ("UPS", {"A": 3})


@pytest.mark.parametrize(
    ("change", "part", "message"),
    [
        ({"shipped_at": None}, "shipped_at", "is missing, though it was shipped"),
        (
            {"changed_at": "2026-11-21T12:00:00"},
            "changed_at",
            "has no offset, so nobody knows which moment is meant",
        ),
        ({"shipped_at": "yesterdayZ"}, "shipped_at", "is not a date and time"),
        (
            {"lines": [{"sku": "A", "units": 1.5}]},
            "lines[0].units",
            "is not a whole number of units",
        ),
        (
            {"lines": [{"sku": "A", "units": True}]},
            "lines[0].units",
            "is not a whole number of units",
        ),
        (
            {"lines": [{"sku": "A", "units": -1}]},
            "lines[0].units",
            "is not a whole number of units",
        ),
        (
            {"lines": [{"sku": "A", "units": 1, "parcel": 0}]},
            "lines[0].parcel",
            "is not the place of a parcel of the shipment",
        ),
        ({"parcels": [{"weight_g": "-1"}]}, "parcels[0].weight_g", "is negative"),
        ({"parcels": [{"weight_g": "1,2 kg"}]}, "parcels[0].weight_g", "is not a number"),
        ({"lines": None}, "lines", "is not a list"),
        ({"id": 7}, "id", "is not text"),
    ],
)
def test_a_shipment_that_cannot_be_read_names_the_part(
    change: dict[str, Any], part: str, message: str
) -> None:
    with pytest.raises(Rejected) as caught:
        mapper.shipment({**SHIPMENT, **change})
    assert faults(caught) == {part: message}


# What comes back


def test_goods_that_come_back_are_told_by_what_becomes_of_them() -> None:
    line = {
        "sku": "SKU-1",
        "line_key": "us:1042:product:1",
        "requested_units": 4,
        "received_units": 3,
        "restock_units": 1,
        "refurbish_units": 1,
        "write_off_units": 1,
    }
    payload = {
        **RETURN,
        "state": "inspected",
        "number": "RMA-1",
        "reference": "us:1042",
        "warehouse": "EAST",
        "tracking_number": "1Z9",
        "reason": "too small",
        "received_at": "2026-11-21T11:00:00Z",
        "lines": [line],
    }
    assert mapper.goods_back(payload) == SeenReturn(
        remote_id="R-1",
        number="RMA-1",
        state="inspected",
        changed_at=NOON,
        received_at=NOON - timedelta(hours=1),
        reference="us:1042",
        warehouse="EAST",
        lines=(SeenReturnLine("SKU-1", 4, 3, 1, 1, 1, "us:1042:product:1"),),
        tracking_number="1Z9",
        reason="too small",
    )


@pytest.mark.parametrize(
    ("state", "restocked", "message"),
    [
        ("received", 3, "is less than the units something became of"),
        ("inspected", 1, "is more than the units something became of"),
    ],
)
def test_units_something_became_of_are_those_that_came(
    state: str, restocked: int, message: str
) -> None:
    line = {"sku": "SKU-1", "received_units": 2, "restock_units": restocked}
    with pytest.raises(Rejected) as caught:
        mapper.goods_back({**RETURN, "state": state, "lines": [line]})
    assert faults(caught) == {"lines[0].received_units": message}


# Hints


@pytest.mark.parametrize(
    ("topic", "body", "thing"),
    [
        ("shipment.created", '{"id": "S-1"}', "S-1"),
        ("return.updated", '{"id": "R-1"}', "R-1"),
        ("fulfilment_order.updated", '{"id": "F-1", "key": "us:1042:f1"}', "us:1042:f1"),
        ("fulfilment_order.updated", '{"id": "F-1"}', None),
        ("shipment.deleted", '{"id": "S-1"}', None),
        ("stock.updated", '{"id": "S-1"}', None),
        ("shipment.created", '{"id": 7}', None),
        ("shipment.created", "[]", None),
        ("shipment.created", "nonsense", None),
    ],
)
def test_a_webhook_names_what_to_read_again(topic: str, body: str, thing: str | None) -> None:
    assert mapper.hinted(topic, body) == thing


# Anything at all

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.decimals(allow_nan=True),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.sampled_from([*SHIPMENT, "parcels", "cancelled", "reference", "number", "key"]), JSON)
def test_any_value_anywhere_is_read_or_rejected(key: str, value: object) -> None:
    for read, payload in (
        (mapper.seen, REQUEST),
        (mapper.shipment, SHIPMENT),
        (mapper.goods_back, RETURN),
    ):
        with suppress(Rejected):
            read({**payload, key: value})
