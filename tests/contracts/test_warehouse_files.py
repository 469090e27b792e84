"""A warehouse that talks by files, against a stand-in that writes them as real ones do."""

import json
import os
import re
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import sync_assets.mappers.warehouse_files as mapper
from resources.errors import Refused
from resources.pages import Raw
from resources.sandbox.warehouse_files import Habits, WarehouseFilesStandIn
from resources.systems import order_files
from resources.systems.order_files import named, stem
from resources.systems.warehouse_files import Kind
from resources.systems.warehouse_forms import ALL
from sync_assets.domain.sales import Address
from sync_assets.domain.shipments import SeenLine, SeenParcel, SeenShipment
from tests.contracts.warehouse_depot import (
    EVER,
    KEY,
    NOON,
    OTHER,
    Clock,
    answers,
    asked_for,
    connected,
    consumed,
    files,
    shipments,
    shipped,
)


@pytest.fixture
def depot(tmp_path: Path) -> WarehouseFilesStandIn:
    return WarehouseFilesStandIn(tmp_path, now=Clock())


# Asking to ship


def test_a_request_is_one_file_with_a_line_for_each_article(depot: WarehouseFilesStandIn) -> None:
    client = connected(depot)

    assert client.put_fulfilments([asked_for(note="ring\r\ntwice", version=3)]) == {}

    (name,) = files(depot.folder("orders"))
    assert name.startswith("us-1042-f1.v3.")
    assert named(name) == ("us-1042-f1", 3)
    header, *rows, end = (depot.folder("orders") / name).read_bytes().decode().split("\r\n")
    assert header == (
        "action,key,version,store,order_number,warehouse,placed_at,ship_by_at,name,company,"
        "street,street2,city,region,postcode,country,email,phone,shipping_method,carrier,"
        "service,note,line_key,sku,description,units,unit_amount,currency"
    )
    begin = "ship,us:1042:f1,3,us,1042,EAST,2026-11-21T12:00:00+00:00,,Ada,,1 Demo Way,,Chicago,"
    assert rows == [
        begin + ",,US,,,,,,ring twice,us:1042:product:1,SKU-1,SKU-1,2,11.00,USD",
        begin + ",,US,,,,,,ring twice,us:1042:product:2,SKU-2,SKU-2,1,11.00,USD",
    ]
    assert end == ""


def test_writing_the_same_twice_is_the_same_file(depot: WarehouseFilesStandIn) -> None:
    client = connected(depot)
    client.put_fulfilments([asked_for()])
    (path,) = depot.folder("orders").glob("*.csv")
    os.utime(path, (1, 1))

    client.put_fulfilments([asked_for()])

    assert files(depot.folder("orders")) == [path.name]
    assert path.stat().st_mtime == 1


def test_the_same_request_written_again_after_it_was_taken_makes_no_second(
    depot: WarehouseFilesStandIn,
) -> None:
    client = connected(depot)
    client.put_fulfilments([asked_for()])
    depot.take_in()
    client.put_fulfilments([asked_for()])
    depot.take_in()

    assert depot.house.count("create") == 1
    assert answers(client) == {KEY: ("acknowledged", "")}


def test_we_know_of_a_request_only_while_its_file_lies_there(
    depot: WarehouseFilesStandIn,
) -> None:
    client = connected(depot)
    client.put_fulfilments([asked_for(version=9), asked_for(version=10)])

    held = client.fulfilments([KEY, OTHER])
    assert list(held) == [KEY]
    assert (held[KEY]["version"], mapper.seen(held[KEY]).state) == (10, "waiting")

    depot.take_in()
    assert client.fulfilments([KEY]) == {}


def test_a_changed_request_is_another_file_of_a_higher_version(
    depot: WarehouseFilesStandIn,
) -> None:
    client = connected(depot)
    fewer = asked_for(version=2)
    fewer["rows"] = fewer["rows"][:1]
    client.put_fulfilments([asked_for()])
    client.put_fulfilments([fewer])
    assert len(files(depot.folder("orders"))) == 2

    depot.take_in()

    assert answers(client) == {KEY: ("acknowledged", "")}
    assert [line["sku"] for line in depot.house.orders.row(KEY)["lines"]] == ["SKU-1"]
    assert (depot.house.count("create"), depot.house.count("change")) == (1, 1)


def test_letters_the_warehouse_cannot_write_are_refused_and_cost_no_neighbour(
    depot: WarehouseFilesStandIn,
) -> None:
    client = connected(depot, encoding="latin-1")
    odd = asked_for(
        ship_to=Address(name="Łukasz", street="1 Demo Way", city="Chicago", country="US")
    )

    refused = client.put_fulfilments([odd, asked_for(OTHER)])

    assert {key: (type(no), no.code, no.message) for key, no in refused.items()} == {
        KEY: (Refused, "encoding", "name has letters that latin-1 does not have")
    }
    assert list(client.fulfilments([KEY, OTHER])) == [OTHER]


@given(st.lists(st.text(min_size=1, max_size=12), min_size=2, max_size=2, unique=True))
def test_other_keys_make_other_names_on_any_file_system(keys: list[str]) -> None:
    one, other = map(stem, keys)
    assert one != other
    assert all(letter.isascii() and (letter.isalnum() or letter in "_+-") for letter in one)


# Its answers


def test_a_refusal_comes_with_its_reason(depot: WarehouseFilesStandIn) -> None:
    client = connected(depot)
    depot.house.refuse("SKU-2", "no batteries")
    client.put_fulfilments([asked_for(), asked_for(OTHER, warehouse="MOON")])
    depot.take_in()

    assert answers(client) == {
        KEY: ("refused", "no batteries"),
        OTHER: ("refused", "we have no such place"),
    }
    assert depot.house.count("create") == 0


def test_a_request_is_taken_back_by_a_file_until_it_is_picked(
    depot: WarehouseFilesStandIn,
) -> None:
    client = connected(depot)
    shipped(depot, client, KEY, OTHER)
    depot.house.pick(OTHER)

    assert client.cancel_fulfilments([KEY, OTHER]) == {}
    assert client.cancel_fulfilments([KEY]) == {}
    assert len(files(depot.folder("orders"))) == 2
    depot.take_in()

    assert answers(client) == {
        KEY: ("cancelled", ""),
        OTHER: ("picking", "it is picking and cannot be cancelled"),
    }
    assert depot.house.count("cancel") == 1


def test_a_silent_warehouse_takes_files_and_answers_nothing(depot: WarehouseFilesStandIn) -> None:
    client = connected(depot)
    depot.house.go_silent()
    client.put_fulfilments([asked_for()])
    depot.take_in()

    assert list(client.incoming()) == []
    assert depot.house.count("create") == 1


# What left


def test_lines_of_a_shipment_come_together_with_their_texts(depot: WarehouseFilesStandIn) -> None:
    client = connected(depot, timezone="Europe/Berlin")
    shipped(depot, client)
    parcel = {"tracking_number": "1Z 1", "weight_g": 1250}
    depot.ship(KEY, parcels=[parcel], at=NOON)

    (file,) = client.incoming()

    told_at = depot.now.at  # type: ignore[attr-defined]
    assert (file.kind, file.told_at, file.broken) == (Kind.SHIPMENT, told_at, [])
    (raw,) = file.rows
    assert (raw.resource_id, raw.changed_at) == ("S-1001", told_at)
    assert json.loads(raw.text) == raw.body
    assert raw.body["rows"][1] == {
        "shipment_id": "S-1001",
        "reference": KEY,
        "line_key": "us:1042:product:2",
        "sku": "SKU-2",
        "units": "1",
        "cancelled_units": "",
        "tracking_number": "1Z 1",
        "carrier": "UPS Ground",
        "weight_g": "1250",
        "shipped_at": "2026-11-21T13:00:00.000000+01:00",
        "warehouse": "EAST",
        "number": "LS000001",
    }
    assert mapper.shipment(raw.body) == SeenShipment(
        remote_id="S-1001",
        number="LS000001",
        state="shipped",
        changed_at=told_at,
        shipped_at=NOON,
        reference=KEY,
        warehouse="EAST",
        lines=(
            SeenLine("SKU-1", 2, "us:1042:product:1", KEY, 0),
            SeenLine("SKU-2", 1, "us:1042:product:2", KEY, 0),
        ),
        parcels=(SeenParcel("1Z 1", "UPS Ground", None, Decimal(1250)),),
    )


def test_one_parcel_of_several_orders_and_units_that_never_come(
    depot: WarehouseFilesStandIn,
) -> None:
    client = connected(depot)
    shipped(depot, client, KEY, OTHER)
    depot.house.short(KEY, "SKU-2", 1)
    depot.ship([KEY, OTHER])

    (told,) = shipments(client)

    assert (told.reference, len(told.parcels), dict(told.cancelled)) == (None, 1, {"SKU-2": 1})
    assert [(line.reference, line.sku, line.units) for line in told.lines] == [
        (KEY, "SKU-1", 2),
        (OTHER, "SKU-1", 2),
        (OTHER, "SKU-2", 1),
    ]


def test_a_correction_is_the_same_shipment_told_later(depot: WarehouseFilesStandIn) -> None:
    client = connected(depot)
    shipped(depot, client)
    depot.ship(KEY, parcels=[{"tracking_number": "WRONG"}])
    depot.correct("S-1001", tracking_number="RIGHT")

    first, second = shipments(client)

    assert (first.remote_id, second.remote_id) == ("S-1001", "S-1001")
    assert first.changed_at < second.changed_at
    assert [one.parcels[0].tracking_number for one in (first, second)] == ["WRONG", "RIGHT"]
    (last,) = client.shipments_by_id(["S-1001", "S-9"])
    assert isinstance(last, Raw)
    assert mapper.shipment(last.body) == second


def test_a_file_of_the_whole_day_tells_shipments_again(depot: WarehouseFilesStandIn) -> None:
    client = connected(depot)
    shipped(depot, client, KEY, OTHER)
    depot.ship(KEY)
    consumed(client)
    depot.ship(OTHER)
    depot.tell_whole_day()

    assert [one.remote_id for one in shipments(client)] == ["S-1002", "S-1001", "S-1002"]


def test_what_was_read_can_be_read_again_from_the_files_that_are_kept(
    depot: WarehouseFilesStandIn,
) -> None:
    client = connected(depot)
    shipped(depot, client, KEY, OTHER)
    depot.ship(KEY)
    between = depot.now()
    consumed(client)
    depot.ship(OTHER)

    def ids(since: datetime, overlap: timedelta) -> list[list[str | None]]:
        pages = client.shipments_changed_since(since, overlap)
        return [[one.resource_id for one in page] for page in pages]

    assert ids(between, EVER) == [["S-1001"], ["S-1002"]]
    assert ids(between, timedelta(0)) == [["S-1002"]]
    assert len(files(depot.folder("shipments"))) == 1


def test_goods_that_come_back_are_told_when_they_come_and_when_they_are_inspected(
    depot: WarehouseFilesStandIn,
) -> None:
    client = connected(depot)
    shipped(depot, client)
    depot.ship(KEY)
    name = depot.receive_return(KEY, [{"sku": "SKU-1", "units": 2}], tracking="1Z9")
    depot.inspect_return(name, {"SKU-1": {"restock": 1, "write_off": 1}})

    told = [file for file in client.incoming() if file.kind is Kind.RETURN]
    first, second = (mapper.goods_back(raw.body) for file in told for raw in file.rows)

    assert (first.state, first.reference, first.tracking_number) == ("received", KEY, "1Z9")
    assert (second.state, second.lines[0].restock_units, second.lines[0].write_off_units) == (
        "inspected",
        1,
        1,
    )
    (last,) = client.returns_by_id([name])
    assert isinstance(last, Raw)
    assert mapper.goods_back(last.body) == second
    assert [len(page) for page in client.returns_changed_since(NOON, EVER)] == [1, 1]


# How warehouses write


@pytest.mark.parametrize(
    "habits",
    [
        Habits(delimiter=";", line_end="\n"),
        Habits(delimiter="\t", line_end="\r"),
        Habits(mark=True),
        Habits(encoding="latin-1", columns={"reason": "Begründung", "sku": "Artikel"}),
        Habits(further={"Filler": "x", "Printed": ""}),
        Habits(columns={"shipment_id": "Lieferschein", "reference": "Auftrag", "units": "MENGE"}),
        Habits(one_folder=True),
    ],
    ids=["semicolons", "tabs", "mark", "latin-1", "further", "renamed", "one_folder"],
)
def test_every_habit_of_a_warehouse_is_understood(tmp_path: Path, habits: Habits) -> None:
    there = WarehouseFilesStandIn(tmp_path, now=Clock(), habits=habits)
    client = connected(
        there,
        columns=habits.columns,
        encoding=habits.encoding,
        delimiter=habits.delimiter,
        ignored=["filler", "PRINTED"],
    )
    client.put_fulfilments([asked_for()])
    there.take_in()
    assert answers(client) == {KEY: ("acknowledged", "")}

    there.ship(KEY)
    there.receive_return(KEY, [{"sku": "SKU-1", "units": 1, "restock": 1}])

    (told,) = shipments(client)
    assert [(line.sku, line.units) for line in told.lines] == [("SKU-1", 2), ("SKU-2", 1)]
    (back,) = client.returns_by_id(["R-1001"])
    assert isinstance(back, Raw)
    assert mapper.goods_back(back.body).state == "inspected"
    assert client.shipments_by_id(["R-1001"]) == []


# The document


def test_the_document_names_every_column_and_every_outcome() -> None:
    text = (Path(__file__).parents[2] / "docs" / "warehouse-files.md").read_text()
    named_there = set(re.findall(r"`([a-z_0-9]+)`", text))
    assert {*order_files.COLUMNS, *ALL} <= named_there
    assert {"accepted", "rejected", "cancelled", "cancel_rejected"} <= named_there
