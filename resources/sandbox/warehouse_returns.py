"""Goods that come back to the warehouse stand-in, and what becomes of each unit."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from resources.sandbox.warehouse_book import Book, Row

KIND = "return"
DISPOSITIONS = ("restock", "refurbish", "write_off")


class Returns:
    """Returns by id; what is restocked lies on the shelf again."""

    def __init__(self, book: Book, stock: Mapping[str, Counter[str]]) -> None:
        self.book, self.stock = book, stock

    def receive(
        self,
        reference: str | None,
        lines: Sequence[Mapping[str, Any]],
        tracking: str | None,
        place: str,
        reason: str,
    ) -> str:
        """Take goods in: `{"sku", "units"}` each, with dispositions where they are known already.

        Once every unit has one, the return is inspected.
        """
        shown = [_line(line) for line in lines]
        name = self.book.new(
            KIND,
            {
                "number": f"RMA-{len(self.book.rows[KIND]) + 1:05d}",
                "state": "inspected" if all(map(_is_settled, shown)) else "received",
                "warehouse": place,
                "reference": reference,
                "tracking_number": tracking,
                "reason": reason,
                "received_at": self.book.said(self.book.now()),
                "lines": shown,
            },
        )
        self._restock(place, [(line["sku"], line["restock_units"]) for line in shown])
        return name

    def inspect(self, name: str, dispositions: Mapping[str, Mapping[str, int]]) -> None:
        """Say by SKU what becomes of units, as in {"SKU-1": {"restock": 2}}."""
        row, more = self.book.rows[KIND][name], []
        for line in row["lines"]:
            said = dispositions.get(line["sku"], {})
            changed = {f"{what}_units": line[f"{what}_units"] + n for what, n in said.items()}
            more.append({**line, **changed})
            if _settled(more[-1]) > line["received_units"]:
                raise ValueError(f"only {line['received_units']} of {line['sku']} came back")
        state = "inspected" if all(map(_is_settled, more)) else "received"
        self.book.change(KIND, name, lines=more, state=state)
        restocked = [(sku, said.get("restock", 0)) for sku, said in dispositions.items()]
        self._restock(row["warehouse"], restocked)

    def _restock(self, place: str, units: Sequence[tuple[str, int]]) -> None:
        for sku, more in units:
            self.stock[place][sku] += more


def _line(said: Mapping[str, Any]) -> Row:
    line = {
        "sku": said["sku"],
        "line_key": said.get("line_key"),
        "requested_units": said.get("requested", said["units"]),
        "received_units": said["units"],
        **{f"{what}_units": said.get(what, 0) for what in DISPOSITIONS},
    }
    if _settled(line) > line["received_units"]:
        raise ValueError(f"only {line['received_units']} of {line['sku']} came back")
    return line


def _settled(line: Row) -> int:
    return sum(int(line[f"{what}_units"]) for what in DISPOSITIONS)


def _is_settled(line: Row) -> bool:
    return _settled(line) == int(line["received_units"])
