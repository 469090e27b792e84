"""A warehouse that talks by files, against a stand-in that writes them as real ones do."""

import errno
import json
import os
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import sync_assets.mappers.warehouse_files as mapper
from resources.errors import Refused, TryAgain, UnknownOutcome
from resources.pages import Broken, Raw
from resources.sandbox.warehouse_files import Habits, WarehouseFilesStandIn
from resources.systems import order_files
from resources.systems.csv_lines import BrokenLine
from resources.systems.folders import Entry, LocalFolder
from resources.systems.order_files import named, stem
from resources.systems.warehouse_files import IncomingFile, Kind, Outcome, WarehouseFiles
from resources.systems.warehouse_forms import ALL
from sync_assets.domain.fulfilment import FulfilmentLine, FulfilmentOrder
from sync_assets.domain.sales import Address
from sync_assets.domain.shipments import SeenLine, SeenParcel, SeenShipment

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
KEY, OTHER = "us:1042:f1", "us:1043:f1"
EVER = timedelta(days=365)
FOLDERS = {
    Kind.ACKNOWLEDGEMENT: "acknowledgements",
    Kind.SHIPMENT: "shipments",
    Kind.RETURN: "returns",
}


class Clock:
    """A clock that moves one minute for each look at it."""

    def __init__(self) -> None:
        self.at = NOON

    def __call__(self) -> datetime:
        self.at += timedelta(minutes=1)
        return self.at


@pytest.fixture
def depot(tmp_path: Path) -> WarehouseFilesStandIn:
    return WarehouseFilesStandIn(tmp_path, now=Clock())


def connected(
    there: WarehouseFilesStandIn, folder: type[LocalFolder] = LocalFolder, **how: Any
) -> WarehouseFiles:
    return WarehouseFiles(
        "depot",
        folder(there.folder("orders")),
        {kind: folder(there.folder(name)) for kind, name in FOLDERS.items()},
        **how,
    )


def asked_for(key: str = KEY, version: int = 1, **changes: Any) -> dict[str, Any]:
    """The payload of a request for two of SKU-1 and one of SKU-2."""
    order = key.rpartition(":")[0]
    lines = [(f"{order}:product:1", "SKU-1", 2), (f"{order}:product:2", "SKU-2", 1)]
    document = FulfilmentOrder(
        **{
            "key": key,
            "order_ref": order,
            "store": "us",
            "order_number": order.rpartition(":")[2],
            "warehouse": "EAST",
            "placed_at": NOON,
            "currency": "USD",
            "ship_to": Address(name="Ada", street="1 Demo Way", city="Chicago", country="US"),
            "lines": tuple(
                FulfilmentLine(key=k, sku=s, description=s, units=n, unit_amount=Decimal("11.00"))
                for k, s, n in lines
            ),
        }
        | changes
    )
    return mapper.fulfilment_order(document, version)


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.is_file())


def consumed(client: WarehouseFiles) -> list[IncomingFile]:
    """Read what waits, as a run does that commits and then moves each file away."""
    found = []
    for file in client.incoming():
        found.append(file)
        outcome = Outcome.REFUSED if file.refusal else Outcome.DONE
        client.acknowledge(file.name, outcome, file.refusal or "")
    return found


def answers(client: WarehouseFiles) -> dict[str, tuple[str, str]]:
    """State and reason by key, as the answers that wait say."""
    told = {}
    for file in consumed(client):
        assert (file.kind, file.refusal, file.broken) == (Kind.ACKNOWLEDGEMENT, None, [])
        for raw in file.rows:
            seen = mapper.seen(raw.body)
            told[seen.key] = (seen.state, seen.reason)
    return told


def shipments(client: WarehouseFiles) -> list[SeenShipment]:
    found = [file for file in client.incoming() if file.kind is Kind.SHIPMENT]
    return [mapper.shipment(raw.body) for file in found for raw in file.rows]


def shipped(there: WarehouseFilesStandIn, client: WarehouseFiles, *keys: str) -> None:
    """Ask for requests and have them accepted; the answers are read."""
    client.put_fulfilments([asked_for(key) for key in keys or (KEY,)])
    there.take_in()
    consumed(client)


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


# Files that are not as they should be


def spoiled(text: str) -> str:
    """The second line with an open quote, and one more that is too short."""
    header, first, *rest = text.split("\r\n")
    return "\r\n".join([header, '"' + first, "S-1009,cut off", *rest])


def test_a_broken_line_is_told_and_its_neighbours_go_on(depot: WarehouseFilesStandIn) -> None:
    client = connected(depot)
    shipped(depot, client)
    depot.ship(KEY, damage=spoiled)

    (file,) = client.incoming()

    assert file.broken == [
        BrokenLine(2, "its quotes are not closed, or stand in the middle of a field"),
        BrokenLine(3, "has 2 fields, the header has 12"),
    ]
    (raw,) = file.rows
    assert [row["sku"] for row in raw.body["rows"]] == ["SKU-2"]
    (page,) = client.shipments_changed_since(NOON, EVER)
    plain = file.name.partition("/")[2]
    assert page[1:] == [
        Broken("depot", None, "", f"{plain}, line {one.number}: {one.reason}")
        for one in file.broken
    ]


def test_a_line_that_names_no_shipment_is_set_aside(depot: WarehouseFilesStandIn) -> None:
    client = connected(depot)
    depot.drop("shipments", "shipment_id,reference,sku,units\n,us:1,A,1\nS-1,us:1,A,1\n")

    (file,) = client.incoming()

    assert file.broken == [BrokenLine(2, "names no shipment_id")]
    assert [raw.resource_id for raw in file.rows] == ["S-1"]


@pytest.mark.parametrize(
    ("text", "refusal"),
    [
        ("shipment_id,reference,sku\nS-1,us:1,A\n", "it lacks the column units"),
        (
            "shipment_id,reference,sku,units,mood\nS-1,us:1,A,1,good\n",
            "it has columns that we do not know: 'mood'",
        ),
        ("S-1,us:1,A,1\n", "it has no header row that names its columns"),
        ("", "it has no header row"),
    ],
)
@pytest.mark.parametrize("one_folder", [False, True])
def test_a_file_with_an_unknown_header_is_refused_whole(
    tmp_path: Path, text: str, refusal: str, one_folder: bool
) -> None:
    there = WarehouseFilesStandIn(tmp_path, now=Clock(), habits=Habits(one_folder=one_folder))
    client = connected(there)
    path = there.drop("shipments", text)

    (file,) = consumed(client)

    assert (file.refusal, file.rows, file.broken) == (refusal, (), ())
    assert file.kind is (None if one_folder else Kind.SHIPMENT)
    kept = f"{path.stem}.{file.digest[:16]}.csv"
    assert files(path.parent / "refused") == [kept, f"{kept}.reason.txt"]
    assert (path.parent / "refused" / f"{kept}.reason.txt").read_text() == f"{refusal}\n"
    assert files(path.parent) == []


def test_the_same_file_sent_again_is_told_as_a_duplicate(depot: WarehouseFilesStandIn) -> None:
    client = connected(depot)
    shipped(depot, client)
    depot.ship(KEY)
    depot.send_again("shipments")

    first, second = consumed(client)

    assert (first.duplicate_of, second.duplicate_of) == (None, first.name)
    kept = next((depot.folder("shipments") / "done").glob("*_0002.*.csv"))
    (depot.folder("shipments") / "later.csv").write_bytes(kept.read_bytes())
    (third,) = client.incoming()
    assert third.duplicate_of is not None
    assert first.digest[:16] in third.duplicate_of


def test_a_file_that_is_too_large_is_refused_without_being_read(
    depot: WarehouseFilesStandIn,
) -> None:
    client = connected(depot, largest_bytes=20)
    depot.drop("shipments", "shipment_id,reference,sku,units\n")
    (file,) = client.incoming()
    assert file.refusal == "it is larger than 20 bytes"
    assert list(client.shipments_changed_since(NOON, EVER)) == []


def test_a_file_that_is_still_written_is_left_alone(depot: WarehouseFilesStandIn) -> None:
    client = connected(depot)
    (depot.folder("shipments") / "a.csv.part").write_text("shipment_id,reference")
    assert list(client.incoming()) == []


def test_a_file_that_grows_after_it_was_read_is_read_again_whole(
    depot: WarehouseFilesStandIn,
) -> None:
    client = connected(depot)
    rows = "".join(f"S-1,us:1042:f1,SKU-{n},1\n" for n in range(9))
    finish = depot.drop_half("shipments", f"shipment_id,reference,sku,units\n{rows}")
    (half,) = client.incoming()
    finish()

    client.acknowledge(half.name, Outcome.DONE)

    (whole,) = client.incoming()
    assert len(half.rows[0].body["rows"]) < 9
    assert [row["sku"] for row in whole.rows[0].body["rows"]] == [f"SKU-{n}" for n in range(9)]


def test_without_an_acknowledgement_a_file_is_read_again(depot: WarehouseFilesStandIn) -> None:
    client = connected(depot)
    shipped(depot, client)
    depot.ship(KEY)

    (first,) = client.incoming()
    (again,) = connected(depot).incoming()

    assert (first.name, first.digest, first.rows) == (again.name, again.digest, again.rows)
    client.acknowledge(first.name, Outcome.DONE)
    client.acknowledge(first.name, Outcome.DONE)
    assert list(connected(depot).incoming()) == []
    for strange in ("shipments/other.csv", "elsewhere/a.csv", "a.csv"):
        with pytest.raises(ValueError, match="was not read before"):
            client.acknowledge(strange, Outcome.DONE)


def test_a_file_that_a_dying_run_half_moved_is_read_again(depot: WarehouseFilesStandIn) -> None:
    client = connected(depot)
    shipped(depot, client)
    depot.ship(KEY)
    (path,) = depot.folder("shipments").glob("*.csv")
    path.rename(path.with_name(f".{path.name}.taken"))

    (told,) = shipments(client)

    assert told.remote_id == "S-1001"


def test_a_column_that_nobody_knows_in_the_configuration_is_an_error(
    depot: WarehouseFilesStandIn,
) -> None:
    with pytest.raises(ValueError, match="'qty'"):
        connected(depot, columns={"qty": "Menge"})


# The document


def test_the_document_names_every_column_and_every_outcome() -> None:
    text = (Path(__file__).parents[2] / "docs" / "warehouse-files.md").read_text()
    named_there = set(re.findall(r"`([a-z_0-9]+)`", text))
    assert {*order_files.COLUMNS, *ALL} <= named_there
    assert {"accepted", "rejected", "cancelled", "cancel_rejected"} <= named_there


# A disk that says no


class Vanishing(LocalFolder):
    """Files that are taken away between being listed and being read."""

    def read(self, name: str) -> bytes:
        if name.startswith("shipments_") and "0001" in name:
            (Path(self.path) / name).unlink()
        return super().read(name)


class Locked(LocalFolder):
    """Files that may be seen and not be read, moved or written."""

    def read(self, name: str) -> bytes:
        raise PermissionError(errno.EACCES, "Permission denied")

    def rename(self, name: str, to: str) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    def write(self, name: str, content: bytes) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")


class Shut(LocalFolder):
    """A folder that may not be looked into."""

    def entries(self, under: str = "") -> list[Entry]:
        raise PermissionError(errno.EACCES, "Permission denied")


SHIPPED = "shipment_id,reference,sku,units\n{},us:1042:f1,SKU-1,1\n"


def test_a_file_that_vanished_is_not_there_and_the_next_one_is_read(
    depot: WarehouseFilesStandIn,
) -> None:
    depot.drop("shipments", SHIPPED.format("S-1"))
    depot.drop("shipments", SHIPPED.format("S-2"))

    found = [
        raw.resource_id for file in connected(depot, Vanishing).incoming() for raw in file.rows
    ]

    assert found == ["S-2"]


def test_files_that_cannot_be_read_are_left_for_another_time(depot: WarehouseFilesStandIn) -> None:
    path = depot.drop("shipments", SHIPPED.format("S-1"))
    with pytest.raises(TryAgain, match="depot: 1 files cannot be read: Permission denied"):
        list(connected(depot, Locked).incoming())
    assert path.exists()


def test_a_file_that_cannot_be_moved_is_moved_another_time(
    depot: WarehouseFilesStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = depot.drop("shipments", SHIPPED.format("S-1"))
    client = connected(depot)
    (file,) = client.incoming()
    with monkeypatch.context() as patch:
        patch.setattr(LocalFolder, "rename", Locked.rename)
        with pytest.raises(TryAgain, match="cannot be moved: Permission denied"):
            client.acknowledge(file.name, Outcome.DONE)
    assert path.exists()
    client.acknowledge(file.name, Outcome.DONE)
    assert not path.exists()


def test_a_folder_that_cannot_be_read_is_not_an_empty_one(depot: WarehouseFilesStandIn) -> None:
    client = connected(depot, Shut)
    for ask in (
        lambda: list(client.incoming()),
        lambda: client.fulfilments([KEY]),
        lambda: client.put_fulfilments([asked_for()]),
        lambda: list(client.shipments_changed_since(NOON, EVER)),
        client.ping,
    ):
        with pytest.raises(TryAgain, match="cannot be read: Permission denied"):
            ask()
    gone = WarehouseFiles("depot", LocalFolder(depot.root / "gone"), {})
    with pytest.raises(TryAgain, match="No such file"):
        gone.ping()
    assert connected(depot).ping() == f"files in {depot.folder('orders')}"


def test_a_request_that_cannot_be_written_leaves_nothing_to_be_seen(
    depot: WarehouseFilesStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = connected(depot)

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(TryAgain, match="cannot be written: No space left on device"):
            client.put_fulfilments([asked_for()])
    assert client.fulfilments([KEY]) == {}
    assert depot.take_in() == []

    client.put_fulfilments([asked_for()])
    assert len(depot.take_in()) == 1
    with pytest.raises(TryAgain, match="Permission denied"):
        connected(depot, Locked).put_fulfilments([asked_for()])


class Deaf(LocalFolder):
    """A server that renames and whose answer is lost."""

    def rename(self, name: str, to: str) -> None:
        super().rename(name, to)
        raise UnknownOutcome("depot", "the connection broke")


def test_a_move_whose_answer_is_lost_is_seen_by_the_next_reading(
    depot: WarehouseFilesStandIn,
) -> None:
    depot.drop("shipments", SHIPPED.format("S-1"))
    client = connected(depot, Deaf)
    (file,) = client.incoming()

    with pytest.raises(TryAgain, match="the connection broke"):
        client.acknowledge(file.name, Outcome.DONE)

    (again,) = connected(depot).incoming()
    assert again.digest == file.digest


def pages(client: WarehouseFiles) -> Iterator[list[Raw | Broken]]:
    return client.shipments_changed_since(NOON, EVER)


def test_a_refused_file_among_others_is_told_in_its_place(depot: WarehouseFilesStandIn) -> None:
    bad = depot.drop("shipments", "nonsense\n")
    depot.drop("shipments", SHIPPED.format("S-1"))

    first, second = pages(connected(depot))

    reason = f"{bad.name}: it has no header row that names its columns"
    assert first == [Broken("depot", None, "", reason)]
    assert [one.resource_id for one in second] == ["S-1"]
