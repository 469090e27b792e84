"""Lines of order files out, lines of a warehouse's files in: exact, and every fault told."""

from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import sync_assets.mappers.warehouse_files as mapper
from sync_assets.domain.fulfilment import FulfilmentLine, FulfilmentOrder, SeenFulfilment
from sync_assets.domain.orders import Rejected
from sync_assets.domain.returns import SeenReturn, SeenReturnLine
from sync_assets.domain.sales import Address
from sync_assets.domain.shipments import SeenLine, SeenParcel

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
SAID = {"told_at": "2026-11-21T12:00:00+00:00", "zone": "Europe/Berlin"}


def answer(*rows: dict[str, str]) -> dict[str, Any]:
    return {"reference": "us:1042:f1", **SAID, "rows": list(rows)}


def parcels_of(*rows: dict[str, str]) -> dict[str, Any]:
    base = {"reference": "us:1042:f1", "sku": "SKU-1", "units": "1"}
    return {"shipment_id": "S-1", **SAID, "rows": [{**base, **row} for row in rows]}


def return_of(*rows: dict[str, str]) -> dict[str, Any]:
    base = {"reference": "us:1042", "sku": "SKU-1", "received_units": "2"}
    return {"return_id": "R-1", **SAID, "rows": [{**base, **row} for row in rows]}


def faults(read: Callable[[dict[str, Any]], object], payload: dict[str, Any]) -> dict[str, str]:
    with pytest.raises(Rejected) as caught:
        read(payload)
    return {one.part: one.message for one in caught.value.problems}


# What it shall ship


def test_a_request_becomes_one_row_per_article_with_the_address_in_each() -> None:
    lines = tuple(
        FulfilmentLine(
            key=f"us:1042:product:{n}",
            sku=f"SKU-{n}",
            description="Widget",
            units=n,
            unit_amount=Decimal("1E+1"),
        )
        for n in (1, 2)
    )
    document = FulfilmentOrder(
        key="us:1042:f1",
        order_ref="us:1042",
        store="us",
        order_number="W-1042",
        warehouse="EAST",
        placed_at=NOON,
        ship_by_at=None,
        currency="USD",
        ship_to=Address(name="Ada", street="1 Demo Way", city="Chicago", country="US"),
        carrier="UPS",
        lines=lines,
    )

    payload = mapper.fulfilment_order(document, 3)

    assert (payload["key"], payload["version"], len(payload["rows"])) == ("us:1042:f1", 3, 2)
    assert {name: cell for name, cell in payload["rows"][1].items() if cell} == {
        "store": "us",
        "order_number": "W-1042",
        "warehouse": "EAST",
        "placed_at": "2026-11-21T12:00:00+00:00",
        "name": "Ada",
        "street": "1 Demo Way",
        "city": "Chicago",
        "country": "US",
        "carrier": "UPS",
        "currency": "USD",
        "line_key": "us:1042:product:2",
        "sku": "SKU-2",
        "description": "Widget",
        "units": "2",
        "unit_amount": "10",
    }


# Its answers


def test_a_file_that_still_lies_there_is_a_request_that_waits() -> None:
    waits = {"reference": "us:1042:f1", "state": "waiting", "version": 1, "file": "a.csv"}
    assert mapper.seen(waits) == SeenFulfilment(
        "us:1042:f1", "us:1042:f1", None, "waiting", None, "", waits
    )


@pytest.mark.parametrize(
    ("word", "state"),
    [
        ("accepted", "acknowledged"),
        ("Rejected", "refused"),
        ("CANCELED", "cancelled"),
        ("on hold", "on_hold"),
        ("cancel_rejected", "picking"),
    ],
)
def test_the_words_of_an_answer_are_states_of_ours(word: str, state: str) -> None:
    payload = answer({"outcome": word, "number": "77", "reason": "why"})
    seen = mapper.seen(payload)
    assert (seen.state, seen.remote_id, seen.number, seen.reason) == (state, "77", "77", "why")


def test_one_refused_line_refuses_the_request_with_its_reason() -> None:
    seen = mapper.seen(
        answer({"outcome": "rejected", "reason": "no stock"}, {"outcome": "accepted"})
    )
    assert (seen.state, seen.reason, seen.number) == ("refused", "no stock", None)


def test_the_last_word_of_a_file_counts() -> None:
    seen = mapper.seen(
        answer({"outcome": "accepted", "version": "1"}, {"outcome": "cancelled", "version": ""})
    )
    assert seen.state == "cancelled"


def test_what_was_said_of_an_older_version_does_not_count() -> None:
    seen = mapper.seen(
        answer({"outcome": "rejected", "version": "1"}, {"outcome": "accepted", "version": "2"})
    )
    assert seen.state == "acknowledged"


def test_an_answer_nobody_agreed_on_is_loud() -> None:
    known = ", ".join(mapper.STATE_OF)
    assert faults(mapper.seen, answer({"outcome": "maybe", "version": "x"})) == {
        "rows[0].version": "is not a whole number of units, or negative",
        "rows[0].outcome": f"is none of {known}",
    }
    assert faults(mapper.seen, answer()) == {"rows": "are none"}


# What left


def test_rows_of_one_tracking_number_are_one_parcel() -> None:
    seen = mapper.shipment(
        parcels_of(
            {"tracking_number": "1Z1", "carrier": "UPS", "weight_g": "1250,5"},
            {"tracking_number": "1Z2", "carrier": "UPS", "weight_g": ""},
            {"tracking_number": "1Z1", "carrier": "UPS", "weight_g": "1250.50", "sku": "SKU-2"},
            {},
        )
    )
    assert seen.parcels == (
        SeenParcel("1Z1", "UPS", None, Decimal("1250.5")),
        SeenParcel("1Z2", "UPS", None, None),
    )
    assert [(line.sku, line.parcel) for line in seen.lines] == [
        ("SKU-1", 0),
        ("SKU-1", 1),
        ("SKU-2", 0),
        ("SKU-1", None),
    ]


def test_a_parcel_without_a_tracking_number_is_a_parcel() -> None:
    seen = mapper.shipment(parcels_of({"carrier": "Van", "tracking_number": ""}))
    assert seen.parcels == (SeenParcel(None, "Van", None, None),)
    assert seen.lines == (SeenLine("SKU-1", 1, None, "us:1042:f1", 0),)


def test_the_reference_is_the_shipments_only_if_all_rows_have_it() -> None:
    one, several = parcels_of({}, {}), parcels_of({}, {"reference": "us:1043:f1"})
    nameless = parcels_of({"reference": ""})
    assert mapper.shipment(one).reference == "us:1042:f1"
    assert mapper.shipment(nameless).reference is None
    assert mapper.shipment(several).reference is None
    assert [line.reference for line in mapper.shipment(several).lines] == [
        "us:1042:f1",
        "us:1043:f1",
    ]


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-21T10:00:00Z", datetime(2026, 11, 21, 10, tzinfo=UTC)),
        ("2026-11-21 11:00", datetime(2026, 11, 21, 10, tzinfo=UTC)),
        ("", NOON),
    ],
)
def test_without_a_time_it_left_when_the_file_was_written(text: str, moment: datetime) -> None:
    seen = mapper.shipment(parcels_of({"shipped_at": text}))
    assert (seen.shipped_at, seen.changed_at) == (moment, NOON)


def test_what_did_not_leave_has_no_time_at_which_it_left() -> None:
    seen = mapper.shipment(parcels_of({"state": "cancelled", "shipped_at": "2026-11-21 11:00"}))
    assert (seen.state, seen.shipped_at) == ("cancelled", None)


def test_units_that_will_never_come_add_up_by_article() -> None:
    seen = mapper.shipment(
        parcels_of({"cancelled_units": "1"}, {"units": "0", "cancelled_units": "2"}, {})
    )
    assert dict(seen.cancelled) == {"SKU-1": 3}
    assert [line.units for line in seen.lines] == [1, 0, 1]


@pytest.mark.parametrize(
    ("rows", "part", "message"),
    [
        ([{"sku": ""}], "rows[0].sku", "is empty"),
        ([{"units": ""}], "rows[0].units", "is not a whole number of units, or negative"),
        ([{"units": "1.000"}], "rows[0].units", "is not a whole number of units, or negative"),
        ([{"units": "-1"}], "rows[0].units", "is not a whole number of units, or negative"),
        ([{"units": "٣"}], "rows[0].units", "is not a whole number of units, or negative"),
        ([{"weight_g": "1,250"}], "rows[0].weight_g", "is not a weight in grams"),
        (
            [{"shipped_at": "21.11.2026"}],
            "rows[0].shipped_at",
            "is not a date and time, like 2026-11-21T06:00:00+01:00",
        ),
        ([{"state": "lost"}], "rows[0].state", "'lost' is no state of a shipment"),
        (
            [{"warehouse": "EAST"}, {"warehouse": "WEST"}],
            "rows[1].warehouse",
            "differs from another row of the same thing",
        ),
        (
            [
                {"tracking_number": "1Z", "weight_g": "1"},
                {"tracking_number": "1Z", "weight_g": "2"},
            ],
            "rows[1].weight_g",
            "differs from another row of the same parcel",
        ),
    ],
)
def test_a_shipment_that_cannot_be_read_names_the_row(
    rows: list[dict[str, str]], part: str, message: str
) -> None:
    assert faults(mapper.shipment, parcels_of(*rows)) == {part: message}


def test_a_thing_without_its_file_s_time_and_zone_proves_nothing() -> None:
    assert faults(mapper.shipment, {**parcels_of({}), "zone": "Mars/Base", "told_at": "now"}) == {
        "told_at": "is not a date and time",
        "zone": "is no time zone",
    }


# What comes back


def test_rows_of_one_article_add_up_and_their_dispositions_are_kept_apart() -> None:
    seen = mapper.goods_back(
        return_of(
            {
                "requested_units": "3",
                "disposition": "Restock",
                "tracking_number": "1Z9",
                "received_at": "2026-11-21 09:00",
                "number": "RMA-1",
            },
            {"received_units": "1", "requested_units": "0", "write_off_units": "1"},
            {"sku": "SKU-2", "received_units": "1", "refurbish_units": "1", "reason": "torn"},
        )
    )
    assert seen == SeenReturn(
        remote_id="R-1",
        number="RMA-1",
        state="inspected",
        changed_at=NOON,
        received_at=datetime(2026, 11, 21, 8, tzinfo=UTC),
        reference="us:1042",
        warehouse="",
        lines=(
            SeenReturnLine("SKU-1", 3, 3, 2, 0, 1),
            SeenReturnLine("SKU-2", 1, 1, 0, 1, 0),
        ),
        tracking_number="1Z9",
        reason="torn",
    )


def test_goods_nobody_looked_at_are_received_and_no_more() -> None:
    seen = mapper.goods_back(return_of({"restock_units": "1"}))
    assert (seen.state, seen.received_at) == ("received", NOON)


def test_what_is_announced_was_not_received() -> None:
    seen = mapper.goods_back(
        return_of({"state": "in_transit", "received_units": "0", "requested_units": "2"})
    )
    assert (seen.state, seen.received_at, seen.lines[0].requested_units) == ("in_transit", None, 2)


@pytest.mark.parametrize(
    ("row", "part", "message"),
    [
        (
            {"restock_units": "3"},
            "rows[0].received_units",
            "is less than the units something became of",
        ),
        (
            {"state": "inspected", "restock_units": "1"},
            "rows",
            "do not say of every unit that came what becomes of it",
        ),
        (
            {"disposition": "eaten"},
            "rows[0].disposition",
            "is none of restock, refurbish, write_off",
        ),
        (
            {"disposition": "restock", "write_off_units": "1"},
            "rows[0].disposition",
            "is said beside units by disposition",
        ),
        ({"state": "lost"}, "rows[0].state", "'lost' is no state of a return"),
        ({"sku": " "}, "rows[0].sku", "is empty"),
    ],
)
def test_a_return_that_cannot_be_read_names_the_row(
    row: dict[str, str], part: str, message: str
) -> None:
    assert faults(mapper.goods_back, return_of(row)) == {part: message}


# Anything at all

CELLS = st.dictionaries(
    st.sampled_from(
        (
            *("sku", "units", "state", "weight_g", "tracking_number", "shipped_at"),
            *("received_units", "restock_units", "disposition", "cancelled_units"),
            *("outcome", "version", "warehouse"),
        )
    ),
    st.text(max_size=8) | st.sampled_from(["1", "2", "shipped", "restock", "accepted", "SKU-1"]),
)


@given(st.lists(CELLS, max_size=4))
def test_any_rows_are_read_or_rejected(rows: list[dict[str, str]]) -> None:
    for read, payload in (
        (mapper.seen, answer(*rows)),
        (mapper.shipment, parcels_of(*rows)),
        (mapper.goods_back, return_of(*rows)),
    ):
        with suppress(Rejected):
            read(payload)
