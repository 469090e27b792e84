"""Stock files of a warehouse: complete ones only, every line accounted for, none lost."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import sync_assets.mappers.stock_files as mapper
from resources.errors import TryAgain
from resources.systems.stock_files import LINE_END, Outcome, StockFile, StockFiles
from sync_assets.domain.orders import Problem, Rejected

HEADER = "sku,location,on_hand,allocated,quarantined,incoming,counted_at"
NOW = datetime(2026, 11, 21, 6, 0, tzinfo=UTC)
BERLIN = ZoneInfo("Europe/Berlin")


def drop(inbox: Path, name: str, text: str | bytes, at: datetime = NOW) -> Path:
    path = inbox / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    os.utime(path, (at.timestamp(), at.timestamp()))
    return path


def files(inbox: Path, **how: Any) -> StockFiles:
    return StockFiles(inbox, "depot", **how)


def only(inbox: Path, **how: Any) -> StockFile:
    (found,) = files(inbox, **how).stock_files()
    return found


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


# Which files


def test_a_file_that_is_still_written_is_left_alone(tmp_path: Path) -> None:
    for name in ("stock.csv.part", "stock.tmp", ".stock.csv", "readme.txt"):
        drop(tmp_path, name, HEADER)
    (tmp_path / "folder.csv").mkdir()
    assert list(files(tmp_path).stock_files()) == []
    (tmp_path / "stock.csv.part").rename(tmp_path / "stock.csv")
    assert only(tmp_path).name == "stock.csv"


def test_files_come_in_the_order_in_which_they_were_written(tmp_path: Path) -> None:
    drop(tmp_path, "a.csv", f"{HEADER}\nA,L,1,,,,", NOW)
    drop(tmp_path, "b.csv", f"{HEADER}\nB,L,1,,,,", NOW - timedelta(hours=1))
    assert [found.name for found in files(tmp_path).stock_files()] == ["b.csv", "a.csv"]


def test_an_inbox_that_cannot_be_read_is_not_an_empty_one(tmp_path: Path) -> None:
    with pytest.raises(TryAgain, match="cannot be read"):
        list(files(tmp_path / "gone").stock_files())


def test_a_column_that_nobody_knows_in_the_configuration_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="'qty'"):
        files(tmp_path, columns={"qty": "Menge"})


# What stands in them


def test_lines_become_payloads_with_their_numbers(tmp_path: Path) -> None:
    drop(
        tmp_path, "s.csv", f"{HEADER}\r\n A-1 ,DE,5,1,0,2,\r\n\r\nA-2,DE,7,,,,2026-11-21T05:00Z\r\n"
    )
    found = only(tmp_path)
    assert (found.refusal, found.broken) == (None, [])
    assert [line.number for line in found.lines] == [2, 4]
    assert found.lines[0].payload == {
        "sku": "A-1",
        "location": "DE",
        "on_hand": "5",
        "allocated": "1",
        "quarantined": "0",
        "incoming": "2",
        "counted_at": "",
    }


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_the_delimiter_is_the_one_that_shows_our_columns(tmp_path: Path, delimiter: str) -> None:
    drop(tmp_path, "s.csv", delimiter.join(("sku", "on_hand")) + "\n" + delimiter.join(("A", "5")))
    assert only(tmp_path).lines[0].payload == {"sku": "A", "on_hand": "5"}


def test_their_names_of_columns_are_configured_and_their_case_does_not_matter(
    tmp_path: Path,
) -> None:
    drop(tmp_path, "s.csv", "Artikel;MENGE;Platz\nA;5;Halle 1")
    found = only(tmp_path, columns={"sku": "artikel", "on_hand": "Menge", "location": "Platz"})
    assert found.lines[0].payload == {"sku": "A", "on_hand": "5", "location": "Halle 1"}


def test_a_quoted_field_may_hold_the_delimiter(tmp_path: Path) -> None:
    drop(tmp_path, "s.csv", 'sku,location,on_hand\nA,"Hall 1, left ""A""",5')
    assert only(tmp_path).lines[0].payload["location"] == 'Hall 1, left "A"'


def test_a_broken_line_is_told_and_costs_no_neighbour(tmp_path: Path) -> None:
    text = 'sku,on_hand\nA,1\n"B,2\nC\nD,4,4\nE,\x005\nF,6'
    drop(tmp_path, "s.csv", text)
    found = only(tmp_path)
    assert [(line.number, line.payload["sku"]) for line in found.lines] == [(2, "A"), (7, "F")]
    assert [(line.number, line.reason) for line in found.broken] == [
        (3, "its quotes are not closed, or stand in the middle of a field"),
        (4, "has 1 fields, the header has 2"),
        (5, "has 3 fields, the header has 2"),
        (6, "holds a character that cannot be kept"),
    ]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "it has no header row"),
        ("\n \n", "it has no header row"),
        ("A,5\nB,6", "it has no header row that names its columns"),
        ("sku,on_hand,colour\nA,5,red", "it has columns that we do not know: 'colour'"),
        ("sku,on_hand,sku\nA,5,B", "it has the column sku more than once"),
        ("sku,location\nA,DE", "it lacks the column on_hand"),
        (b"sku,on_hand\nM\xfctze,5", "byte 13 is not UTF-8"),
    ],
)
def test_a_file_that_cannot_be_trusted_is_refused_whole(
    tmp_path: Path, text: str | bytes, reason: str
) -> None:
    drop(tmp_path, "s.csv", text)
    found = only(tmp_path)
    assert (found.refusal, list(found.lines), list(found.broken)) == (reason, [], [])


def test_a_column_that_is_configured_as_ignored_is_no_reason_to_refuse(tmp_path: Path) -> None:
    drop(tmp_path, "s.csv", "sku,Colour,on_hand\nA,red,5")
    assert only(tmp_path, ignored=["colour"]).lines[0].payload == {"sku": "A", "on_hand": "5"}


def test_a_file_that_is_too_large_is_refused_without_being_read(tmp_path: Path) -> None:
    drop(tmp_path, "s.csv", "sku,on_hand\nA,5")
    assert only(tmp_path, largest_bytes=10).refusal == "it is larger than 10 bytes"


def test_latin_1_is_read_only_where_it_is_configured(tmp_path: Path) -> None:
    drop(tmp_path, "s.csv", b"sku,on_hand\nM\xfctze,5")
    assert only(tmp_path, encoding="latin-1").lines[0].payload["sku"] == "Mütze"


def test_utf_8_is_recognised_with_and_without_a_mark_whatever_is_configured(tmp_path: Path) -> None:
    for mark in ("", "\ufeff"):
        drop(tmp_path, "s.csv", f"{mark}sku,on_hand\nMütze,5")
        assert only(tmp_path, encoding="latin-1").lines[0].payload["sku"] == "Mütze"


# When it is true


@pytest.mark.parametrize(
    ("name", "moment"),
    [
        ("stock_20261120T0615.csv", datetime(2026, 11, 20, 5, 15, tzinfo=UTC)),
        ("2026-11-20_06-15-30.csv", datetime(2026, 11, 20, 5, 15, 30, tzinfo=UTC)),
        ("stock-20261120T061530Z-full.csv", datetime(2026, 11, 20, 6, 15, 30, tzinfo=UTC)),
    ],
)
def test_a_time_in_the_name_is_local_unless_it_says_utc(
    tmp_path: Path, name: str, moment: datetime
) -> None:
    drop(tmp_path, name, "sku,on_hand\nA,5")
    found = only(tmp_path, zone=BERLIN)
    assert (found.true_at, found.true_at_from) == (moment, "name")


@pytest.mark.parametrize(
    "name", ["stock.csv", "stock_20261399T9999.csv", "order4711202611200615.csv"]
)
def test_without_a_time_in_the_name_it_is_when_the_file_was_written(
    tmp_path: Path, name: str
) -> None:
    drop(tmp_path, name, "sku,on_hand\nA,5")
    found = only(tmp_path)
    assert (found.true_at, found.true_at_from) == (NOW, "modified")


# Afterwards


def read(inbox: Path) -> tuple[StockFiles, StockFile]:
    source = files(inbox)
    (found,) = source.stock_files()
    return source, found


def test_a_file_that_is_done_moves_and_is_not_read_again(tmp_path: Path) -> None:
    drop(tmp_path, "s.csv", "sku,on_hand\nA,5")
    source, found = read(tmp_path)
    source.acknowledge("s.csv", Outcome.DONE)
    assert names(tmp_path / "done") == [f"s.{found.digest[:16]}.csv"]
    assert list(files(tmp_path).stock_files()) == []


def test_a_refused_file_has_its_reason_beside_it(tmp_path: Path) -> None:
    drop(tmp_path, "s.csv", "nonsense")
    source, found = read(tmp_path)
    source.acknowledge("s.csv", Outcome.REFUSED, found.refusal or "")
    kept = f"s.{found.digest[:16]}.csv"
    assert names(tmp_path / "refused") == [kept, f"{kept}.reason.txt"]
    reason = (tmp_path / "refused" / f"{kept}.reason.txt").read_text()
    assert reason == "it has no header row that names its columns\n"


def test_without_an_acknowledgement_it_is_read_again_with_the_same_digest(tmp_path: Path) -> None:
    drop(tmp_path, "s.csv", "sku,on_hand\nA,5")
    assert only(tmp_path).digest == only(tmp_path).digest


def test_acknowledging_twice_is_no_error_and_what_was_never_read_is(tmp_path: Path) -> None:
    drop(tmp_path, "s.csv", "sku,on_hand\nA,5")
    source, _ = read(tmp_path)
    source.acknowledge("s.csv", Outcome.DONE)
    source.acknowledge("s.csv", Outcome.DONE)
    with pytest.raises(ValueError, match="was not read"):
        source.acknowledge("other.csv", Outcome.DONE)


def test_a_newer_file_under_the_same_name_is_not_taken_for_the_one_that_was_read(
    tmp_path: Path,
) -> None:
    drop(tmp_path, "s.csv", "sku,on_hand\nA,5")
    source, _ = read(tmp_path)
    drop(tmp_path, "s.csv", "sku,on_hand\nA,4")
    source.acknowledge("s.csv", Outcome.DONE)
    assert names(tmp_path / "done") == []
    assert only(tmp_path).lines[0].payload["on_hand"] == "4"


def test_a_file_that_a_dying_run_half_moved_is_read_again(tmp_path: Path) -> None:
    drop(tmp_path, ".stock_20261120T0615.csv.taken", "sku,on_hand\nA,5")
    found = only(tmp_path)
    assert found.lines[0].payload == {"sku": "A", "on_hand": "5"}
    assert found.true_at == datetime(2026, 11, 20, 6, 15, tzinfo=UTC)
    assert names(tmp_path) == [found.name]


def test_two_files_of_the_same_name_are_both_kept_when_done(tmp_path: Path) -> None:
    for units in (5, 4):
        drop(tmp_path, "s.csv", f"sku,on_hand\nA,{units}")
        source, _ = read(tmp_path)
        source.acknowledge("s.csv", Outcome.DONE)
    assert len(names(tmp_path / "done")) == 2


def test_the_same_content_under_another_name_is_told_as_a_duplicate(tmp_path: Path) -> None:
    drop(tmp_path, "a.csv", "sku,on_hand\nA,5", NOW - timedelta(hours=1))
    drop(tmp_path, "b.csv", "sku,on_hand\nA,5")
    source = files(tmp_path)
    assert [found.duplicate_of for found in source.stock_files()] == [None, "a.csv"]
    source.acknowledge("a.csv", Outcome.DONE)
    (left,) = files(tmp_path).stock_files()
    assert left.duplicate_of == f"a.{left.digest[:16]}.csv"


# Any bytes at all


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.binary(max_size=300), st.sampled_from(["utf-8", "latin-1", "cp1252"]), st.booleans())
def test_any_bytes_are_read_and_every_line_is_a_row_or_a_broken_line(
    tmp_path: Path, content: bytes, encoding: str, has_header: bool
) -> None:
    head = b"sku;on_hand\n" if has_header else b""
    drop(tmp_path, "s.csv", head + content)
    found = only(tmp_path, encoding=encoding)
    numbers = [line.number for line in (*found.lines, *found.broken)]
    if found.refusal is None and has_header:
        text = (head + content).decode("utf-8-sig" if is_utf_8(head + content) else encoding)
        wanted = [n for n, row in enumerate(LINE_END.split(text), 1) if row.strip()]
        assert sorted(numbers) == wanted[1:]
    for line in found.lines:
        read_or_rejected(line.payload)


def is_utf_8(content: bytes) -> bool:
    try:
        content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return False
    return True


def read_or_rejected(payload: dict[str, str]) -> None:
    try:
        row = mapper.stock_level(payload, "depot", NOW, UTC, NOW)
    except Rejected:
        return
    assert row["on_hand_units"] >= 0


# Lines in our words


def level(zone: Any = UTC, **changes: str) -> dict[str, Any]:
    return mapper.stock_level({"sku": "A", "on_hand": "5", **changes}, "depot", NOW, zone, NOW)


def test_a_line_becomes_a_level_of_whole_units() -> None:
    assert level(location="DE", allocated="2", quarantined="1.0", incoming="3,00") == {
        "item_id": None,
        "sku": "A",
        "warehouse": "DE",
        "on_hand_units": 5,
        "allocated_units": 2,
        "quarantined_units": 1,
        "incoming_units": 3,
        "true_at": NOW,
    }


def test_a_file_without_a_column_for_the_place_is_about_the_warehouse_itself() -> None:
    assert level()["warehouse"] == "depot"
    with pytest.raises(Rejected, match="location: is empty"):
        level(location="")


@pytest.mark.parametrize(
    "text", ["-1", "1.5", "1.000", "1,000", "", "many", "5 pcs", "٣", "1e3", "12345678901"]
)
def test_units_that_are_not_whole_or_not_clear_are_a_problem(text: str) -> None:
    with pytest.raises(Rejected) as caught:
        level(on_hand=text)
    message = "is not a whole number of units, or negative"
    assert caught.value.problems == [Problem("stock.malformed", "on_hand", message)]


def test_every_fault_of_a_line_is_told_at_once_without_its_values() -> None:
    with pytest.raises(Rejected) as caught:
        level(sku=" ", allocated="x", counted_at="yesterday")
    assert [one.part for one in caught.value.problems] == ["sku", "allocated", "counted_at"]
    assert "yesterday" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-21T06:30:00+01:00", datetime(2026, 11, 21, 5, 30, tzinfo=UTC)),
        ("2026-11-21 05:30Z", datetime(2026, 11, 21, 5, 30, tzinfo=UTC)),
        ("2026-11-21 05:30", datetime(2026, 11, 21, 4, 30, tzinfo=UTC)),
        # Shown twice on the night the clocks go back: the earlier one.
        ("2026-10-25 02:30", datetime(2026, 10, 25, 0, 30, tzinfo=UTC)),
        ("", NOW),
    ],
)
def test_a_time_without_offset_is_the_warehouses_local_time(text: str, moment: datetime) -> None:
    assert level(zone=BERLIN, counted_at=text)["true_at"] == moment


@pytest.mark.parametrize("text", ["2026-11-21", "21.11.2026 06:00", "2026-02-30 06:00", "now"])
def test_a_time_that_is_not_clear_is_a_problem(text: str) -> None:
    with pytest.raises(Rejected, match="counted_at: is not a date and time"):
        level(counted_at=text)


def test_stock_of_the_future_is_a_problem_and_a_clock_a_little_ahead_is_not() -> None:
    assert level(counted_at="2026-11-21T06:04Z")["true_at"] == NOW
    with pytest.raises(Rejected, match="is in the future"):
        level(counted_at="2026-11-21T06:06Z")
