"""A warehouse that talks by CSV files, as a stand-in: it takes our order files from a directory and
drops answers, shipments and returns, written as real ones write them.

It is the warehouse of `warehouse.py` behind another door: shelves, people and counts are there.
"""

import csv
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from resources.sandbox.warehouse import WarehouseStandIn
from resources.sandbox.warehouse_book import Row
from resources.sandbox.warehouse_orders import Denied

ACKNOWLEDGEMENTS = ("reference", "version", "outcome", "reason", "number", "acknowledged_at")
SHIPMENTS = (
    *("shipment_id", "reference", "line_key", "sku", "units", "cancelled_units"),
    *("tracking_number", "carrier", "weight_g", "shipped_at", "warehouse", "number"),
)
RETURNS = (
    *("return_id", "number", "reference", "sku", "requested_units", "received_units"),
    *("restock_units", "refurbish_units", "write_off_units"),
    *("tracking_number", "received_at", "warehouse", "reason"),
)
ADDRESS = ("name", "street", "city", "country", "postcode", "region")
Damage = Callable[[str], str]


@dataclass(frozen=True)
class Habits:
    """How this warehouse writes."""

    delimiter: str = ","
    encoding: str = "utf-8"
    #: Begins with a byte order mark, as Excel does.
    mark: bool = False
    line_end: str = "\r\n"
    #: Our names of columns to theirs.
    columns: Mapping[str, str] = field(default_factory=dict)
    #: Columns of theirs that mean nothing to us, with what stands in them.
    further: Mapping[str, str] = field(default_factory=dict)
    #: One folder for everything they drop.
    one_folder: bool = False


class WarehouseFilesStandIn:
    """One warehouse and its directory: `orders` is ours to write, the others are theirs."""

    def __init__(
        self,
        root: Path,
        *,
        now: Callable[[], datetime],
        places: Mapping[str, Mapping[str, int]] | None = None,
        habits: Habits | None = None,
    ) -> None:
        self.root, self.now, self.habits = root, now, habits or Habits()
        self.house = WarehouseStandIn(now=now, places=places)
        self._written = 0
        for what in ("orders", "acknowledgements", "shipments", "returns"):
            self.folder(what).mkdir(parents=True, exist_ok=True)
        (self.folder("orders") / "taken").mkdir(exist_ok=True)

    def folder(self, what: str) -> Path:
        """Where files of a kind lie: orders, acknowledgements, shipments, returns."""
        return self.root / ("out" if self.habits.one_folder and what != "orders" else what)

    # What we ask of it

    def take_in(self) -> list[str]:
        """Take every order file away and answer them in one file; returns the names taken."""
        answers: list[Row] = []
        taken = []
        for path in sorted(self.folder("orders").glob("*.csv"), key=_written_at):
            answers += self._answered(path)
            path.rename(path.parent / "taken" / path.name)
            taken.append(path.name)
        if answers and not self.house.orders.is_silent:
            self.drop("acknowledgements", self._text(ACKNOWLEDGEMENTS, answers))
        return taken

    def _answered(self, path: Path) -> Iterator[Row]:
        content = path.read_bytes().decode(self.habits.encoding)
        ours = {theirs: name for name, theirs in self.habits.columns.items()}
        reader = csv.DictReader(io.StringIO(content), delimiter=self.habits.delimiter)
        rows = [{ours.get(name, name): cell for name, cell in row.items()} for row in reader]
        key, action = rows[0]["key"], rows[0]["action"]
        said = {"reference": key, "version": rows[0]["version"]}
        said["acknowledged_at"] = self.house.book.said(self.now())
        try:
            held = self._done(key, action, rows)
        except Denied as no:
            if no.code == "outdated":
                return
            outcome = "cancel_rejected" if action == "cancel" else "rejected"
            yield {**said, "outcome": outcome, "reason": no.message}
            return
        outcome = "cancelled" if action == "cancel" else "accepted"
        yield {**said, "outcome": outcome, "number": held["number"]}

    def _done(self, key: str, action: str, rows: Sequence[Mapping[str, str]]) -> Row:
        if action == "cancel":
            return self.house.orders.cancel(key)
        lines = [
            {"key": row["line_key"], "sku": row["sku"], "units": int(row["units"])} for row in rows
        ]
        first = rows[0]
        body = {
            "key": key,
            "version": int(first["version"]),
            "warehouse": first["warehouse"],
            "ship_to": {name: first[name] for name in ADDRESS},
            "note": first["note"],
            "lines": lines,
        }
        return self.house.orders.put(key, body)[1]

    # What it tells

    def ship(self, key: str | Sequence[str], damage: Damage | None = None, **how: Any) -> str:
        """Ship as `WarehouseStandIn.ship` does, and drop a file of it; returns the id."""
        name = self.house.ship(key, **how)
        self.drop("shipments", self._text(SHIPMENTS, self._shipment(name)), damage)
        return name

    def correct(self, name: str, **changes: str) -> None:
        """Drop a later file that tells a shipment again, with other words in every row."""
        rows = [{**row, **changes} for row in self._shipment(name)]
        self.drop("shipments", self._text(SHIPMENTS, rows))

    def tell_whole_day(self) -> None:
        """Drop a file of everything shipped so far, told before or not."""
        rows = [row for name in self.house.book.rows["shipment"] for row in self._shipment(name)]
        self.drop("shipments", self._text(SHIPMENTS, rows))

    def receive_return(self, reference: str | None, lines: Sequence[Row], **how: Any) -> str:
        """Take goods in as `WarehouseStandIn` does, and drop a file of it; returns the id."""
        name = self.house.receive_return(reference, lines, **how)
        self._tell_return(name)
        return name

    def inspect_return(self, name: str, dispositions: Mapping[str, Mapping[str, int]]) -> None:
        """Say what becomes of units, and drop a later file of it."""
        self.house.inspect_return(name, dispositions)
        self._tell_return(name)

    def _tell_return(self, name: str) -> None:
        thing = self.house.book.rows["return"][name]
        rows = [{**thing, **line, "return_id": name} for line in thing["lines"]]
        self.drop("returns", self._text(RETURNS, rows))

    def _shipment(self, name: str) -> list[Row]:
        """One row for each line; what will not be shipped stands beside its article."""
        thing = self.house.book.rows["shipment"][name]
        short = {one["sku"]: one["units"] for one in thing["cancelled"]}
        rows = []
        for line in thing["lines"]:
            parcel = thing["parcels"][line["parcel"]] if line["parcel"] is not None else {}
            said = {**thing, **parcel, **line, "shipment_id": name}
            said["reference"] = line["reference"] or thing["reference"]
            rows.append({**said, "cancelled_units": short.pop(line["sku"], "")})
        common = {"shipment_id": name, "reference": thing["reference"], "units": 0}
        rows += [{**common, "sku": sku, "cancelled_units": n} for sku, n in short.items()]
        return rows

    # How it writes

    def drop(self, what: str, text: str, damage: Damage | None = None) -> Path:
        """Write a file as a whole: nobody sees it under its name before it is complete."""
        path = self._next(what)
        part = path.with_name(path.name + ".part")
        part.write_bytes(self._bytes(damage(text) if damage else text))
        return part.rename(path)

    def drop_half(self, what: str, text: str) -> Callable[[], None]:
        """Begin to write under the final name, as some do; call what is returned to go on."""
        path, content = self._next(what), self._bytes(text)
        half = len(content) // 2
        path.write_bytes(content[:half])

        def finish() -> None:
            with path.open("ab") as file:
                file.write(content[half:])

        return finish

    def send_again(self, what: str) -> Path:
        """Drop the newest file of a kind once more under another name."""
        found = list(self.folder(what).glob(f"{what}_*.csv"))
        content = max(found, key=lambda path: path.name).read_bytes()
        path = self._next(what)
        path.write_bytes(content)
        return path

    def _next(self, what: str) -> Path:
        self._written += 1
        stamp = self.now().astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
        return self.folder(what) / f"{what}_{stamp}_{self._written:04d}.csv"

    def _text(self, columns: Sequence[str], rows: Sequence[Row]) -> str:
        habits, text = self.habits, io.StringIO()
        writer = csv.writer(text, delimiter=habits.delimiter, lineterminator=habits.line_end)
        writer.writerow([*(habits.columns.get(name, name) for name in columns), *habits.further])
        for row in rows:
            cells = [row.get(name) for name in columns]
            told = ["" if cell is None else cell for cell in cells]
            writer.writerow([*told, *habits.further.values()])
        return text.getvalue()

    def _bytes(self, text: str) -> bytes:
        return ("\ufeff" if self.habits.mark else "").encode() + text.encode(self.habits.encoding)


def _written_at(path: Path) -> tuple[int, str]:
    return path.stat().st_mtime_ns, path.name
