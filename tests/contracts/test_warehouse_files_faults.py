"""Files of a warehouse that are not as they should be, and a disk that says no."""

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from resources.errors import TryAgain, UnknownOutcome
from resources.pages import Broken, Raw
from resources.sandbox.warehouse_files import Habits, WarehouseFilesStandIn
from resources.systems.csv_lines import BrokenLine
from resources.systems.folders import Entry, LocalFolder
from resources.systems.warehouse_files import Kind, Outcome, WarehouseFiles
from tests.contracts.warehouse_depot import (
    EVER,
    KEY,
    NOON,
    Clock,
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
