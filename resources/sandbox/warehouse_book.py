"""What the warehouse stand-in remembers: its things by kind, and in which order they changed."""

import base64
import binascii
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone, tzinfo
from typing import Any

Row = dict[str, Any]

#: It stands in central Europe, so its times are never spelled as ours are.
ZONE = timezone(timedelta(hours=1))
PREFIX = {"fulfilment_order": "F", "shipment": "S", "return": "R"}


class Book:
    """Rows by kind and id; each change is dated and numbered, and the newest can be unseen."""

    def __init__(self, now: Callable[[], datetime], zone: tzinfo = ZONE) -> None:
        self.now, self.zone = now, zone
        self.rows: dict[str, dict[str, Row]] = {kind: {} for kind in PREFIX}
        self.revisions: dict[tuple[str, str], int] = {}
        self._count = 0
        self._before: tuple[str, str, Row | None, int] | None = None

    def said(self, moment: datetime) -> str:
        """A moment as this warehouse writes it."""
        return moment.astimezone(self.zone).isoformat(timespec="microseconds")

    def new(self, kind: str, fields: Row) -> str:
        """Keep a new thing and return its id."""
        name = f"{PREFIX[kind]}-{1001 + len(self.rows[kind])}"
        self._put(kind, name, {"id": name, **fields})
        return name

    def change(self, kind: str, name: str, **fields: Any) -> None:
        """Change a thing; the row before stays as it was for those who saw it."""
        self._put(kind, name, {**self.rows[kind][name], **fields})

    def _put(self, kind: str, name: str, row: Row) -> None:
        place = (kind, name)
        self._before = (*place, self.rows[kind].get(name), self.revisions.get(place, 0))
        self._count += 1
        self.rows[kind][name] = {**row, "changed_at": self.said(self.now())}
        self.revisions[place] = self._count

    def changed(
        self, kind: str, since: datetime | None, cursor: str | None, limit: int
    ) -> tuple[list[Row], str | None]:
        """One page of things that changed, oldest change first, and where the next one starts."""
        after = revision_of(cursor) if cursor else 0
        wanted = [
            (self.revisions[kind, name], row)
            for name, row in self.rows[kind].items()
            if self.revisions[kind, name] > after
            and (since is None or datetime.fromisoformat(row["changed_at"]) >= since)
        ]
        wanted.sort(key=lambda pair: pair[0])
        page = wanted[:limit]
        return [row for _, row in page], _cursor(page[-1][0]) if len(wanted) > limit else None

    def named(self, kind: str, names: Sequence[str], by: str = "id") -> list[Row]:
        """Those of the things that exist."""
        return [row for row in self.rows[kind].values() if row[by] in names]

    @contextmanager
    def as_before(self) -> Iterator[None]:
        """Show the state before the newest change, as a replica that lags behind does."""
        if self._before is None:
            yield
            return
        kind, name, row, revision = self._before
        kept = self.rows[kind][name], self.revisions[kind, name]
        if row is None:
            del self.rows[kind][name]
        else:
            self.rows[kind][name], self.revisions[kind, name] = row, revision
        try:
            yield
        finally:
            self.rows[kind][name], self.revisions[kind, name] = kept


def _cursor(revision: int) -> str:
    return base64.urlsafe_b64encode(f"r{revision}".encode()).decode().rstrip("=")


def revision_of(cursor: str) -> int:
    """The change a cursor stands behind; raises ValueError for what is none of ours."""
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
    except (binascii.Error, UnicodeDecodeError) as fault:
        raise ValueError("not a cursor") from fault
    if text[:1] != "r":
        raise ValueError("not a cursor")
    return int(text[1:])
