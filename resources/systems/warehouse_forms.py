"""The kinds of file a warehouse drops for us, and lines of them put together to things.

Lines that name the same thing are one thing, in one file: a shipment of three lines, an answer to a
request line by line. What they mean is for the mapper.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from resources.pages import Raw
from resources.systems.csv_lines import BrokenLine, Form, Line, RefusedFile


class Kind(StrEnum):
    """What a file tells of."""

    ACKNOWLEDGEMENT = "acknowledgement"
    SHIPMENT = "shipment"
    RETURN = "return"


#: The column that names the thing, what a file cannot do without, and what else it may say.
NAMED_BY = {
    Kind.ACKNOWLEDGEMENT: "reference",
    Kind.SHIPMENT: "shipment_id",
    Kind.RETURN: "return_id",
}
REQUIRED = {
    Kind.ACKNOWLEDGEMENT: ("reference", "outcome"),
    Kind.SHIPMENT: ("shipment_id", "reference", "sku", "units"),
    Kind.RETURN: ("return_id", "sku", "received_units"),
}
COLUMNS = {
    Kind.ACKNOWLEDGEMENT: (
        *REQUIRED[Kind.ACKNOWLEDGEMENT],
        *("version", "number", "reason", "acknowledged_at"),
    ),
    Kind.SHIPMENT: (
        *REQUIRED[Kind.SHIPMENT],
        *("number", "state", "line_key", "tracking_number", "carrier", "tracking_url"),
        *("weight_g", "shipped_at", "warehouse", "cancelled_units"),
    ),
    Kind.RETURN: (
        *REQUIRED[Kind.RETURN],
        *("reference", "number", "state", "line_key", "requested_units", "disposition"),
        *("restock_units", "refurbish_units", "write_off_units"),
        *("tracking_number", "received_at", "warehouse", "reason"),
    ),
}
ALL = tuple(dict.fromkeys(name for columns in COLUMNS.values() for name in columns))


@dataclass(frozen=True)
class Told:
    """What one file says: things with their lines, and lines that cannot be read."""

    kind: Kind
    things: list[Raw]
    broken: list[BrokenLine]


@dataclass(frozen=True)
class Forms:
    """How one warehouse writes the files it drops."""

    columns: Mapping[str, str]
    ignored: Collection[str] = ()
    encoding: str = "utf-8"
    timezone: str = "UTC"

    def read(self, kinds: Sequence[Kind], content: bytes, told_at: datetime) -> Told:
        """Read a file of one of the kinds, by its header; raises RefusedFile."""
        refusals: list[RefusedFile] = []
        for kind in kinds:
            form = Form(COLUMNS[kind], REQUIRED[kind], self.columns, self.ignored, self.encoding)
            try:
                lines, broken = form.read(content)
            except RefusedFile as why:
                refusals.append(why)
                continue
            return self._things(kind, lines, broken, told_at)
        raise max(refusals, key=lambda why: why.known)

    def _things(
        self, kind: Kind, lines: Sequence[Line], broken: Sequence[BrokenLine], told_at: datetime
    ) -> Told:
        by = NAMED_BY[kind]
        rows: dict[str, list[dict[str, str]]] = {}
        nameless: list[BrokenLine] = []
        for line in lines:
            if name := line.payload[by]:
                rows.setdefault(name, []).append(line.payload)
            else:
                nameless.append(BrokenLine(line.number, f"names no {by}"))
        said = {"told_at": told_at.isoformat(), "zone": self.timezone}
        things = [
            _thing({by: name, **said, "rows": of}, name, told_at) for name, of in rows.items()
        ]
        return Told(kind, things, sorted([*broken, *nameless], key=lambda one: one.number))


def _thing(body: dict[str, object], name: str, told_at: datetime) -> Raw:
    return Raw(name, json.dumps(body, ensure_ascii=False), body, told_at)
