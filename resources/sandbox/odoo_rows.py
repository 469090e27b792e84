"""Rows of the Odoo stand-in in memory: tables, look-up indexes, transactions that roll back, and
what a reader sees of a transaction that is not committed yet. No field meaning is known here.
"""

from bisect import bisect_left, bisect_right, insort
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

Row = dict[str, Any]
Key = tuple[str, int]
#: Rows as they were before something happened; None where there was none.
Before = dict[Key, Row | None]


class Index:
    """Ids by the value of one field; most values have one id, which is then kept bare."""

    def __init__(self) -> None:
        self.ids: dict[Any, int | set[int]] = {}

    def add(self, value: Any, id_: int) -> None:
        """Note that the row has the value."""
        held = self.ids.get(value)
        if held is None:
            self.ids[value] = id_
        elif isinstance(held, set):
            held.add(id_)
        elif held != id_:
            self.ids[value] = {held, id_}

    def remove(self, value: Any, id_: int) -> None:
        """Forget that the row has the value."""
        held = self.ids.get(value)
        if isinstance(held, set):
            held.discard(id_)
            if held:
                return
        if held is not None:
            del self.ids[value]

    def get(self, value: Any) -> Collection[int]:
        """Ids of the rows with the value."""
        held = self.ids.get(value)
        if held is None:
            return ()
        return held if isinstance(held, set) else (held,)


@dataclass
class Transaction:
    """One call's writing: when it began, and how everything was before."""

    start: datetime
    before: Before = field(default_factory=dict)


class Tables:
    """Rows by model and id; ids are given once, as sequences of the database are."""

    def __init__(
        self, indexed: Mapping[str, Sequence[str]], first_id: Mapping[str, int], start: datetime
    ) -> None:
        self.rows: dict[str, dict[int, Row]] = defaultdict(dict)
        self.ids: dict[str, list[int]] = defaultdict(list)
        self.next_id: dict[str, int] = defaultdict(lambda: 1, first_id)
        self.indexes = {
            model: {name: Index() for name in fields} for model, fields in indexed.items()
        }
        self.transaction = Transaction(start)
        self.newest: Before = {}
        self._late: list[tuple[datetime, Before]] = []
        self._seen: Before = {}

    # Reading

    def get(self, model: str, id_: int) -> Row | None:
        """The row as the reader sees it."""
        if self._seen and (model, id_) in self._seen:
            return self._seen[model, id_]
        return self.rows[model].get(id_)

    def all_ids(self, model: str) -> Sequence[int]:
        """Ids of all rows, ascending."""
        if not self._seen:
            return self.ids[model]
        now = set(self.ids[model])
        for (other, id_), row in self._seen.items():
            if other == model:
                (now.discard if row is None else now.add)(id_)
        return sorted(now)

    def ids_between(self, model: str, above: int, below: float) -> Sequence[int]:
        """Ids above one and below another, ascending."""
        ids = self.all_ids(model)
        return ids[bisect_right(ids, above) : bisect_left(ids, below)]

    def find(self, model: str, name: str, value: Any) -> set[int]:
        """Ids of the rows with the value, by index."""
        found = set(self.indexes[model][name].get(value))
        for (other, id_), row in self._seen.items():
            if other == model:
                same = row is not None and row.get(name) == value
                (found.add if same else found.discard)(id_)
        return found

    def is_indexed(self, model: str, name: str) -> bool:
        """Whether `find` may be asked for this field."""
        return name in self.indexes.get(model, ())

    # Writing

    def insert(self, model: str, row: Row) -> int:
        """Add a row and give its id; an id is never given twice, even after a rollback."""
        id_ = self.next_id[model]
        self.next_id[model] = id_ + 1
        self.transaction.before.setdefault((model, id_), None)
        self._put(model, id_, row)
        return id_

    def change(self, model: str, id_: int, values: Row) -> None:
        """Set some values of a row; None takes the value away."""
        row = self.rows[model][id_]
        if (model, id_) not in self.transaction.before:
            self.transaction.before[model, id_] = dict(row)
        for name, index in self.indexes.get(model, {}).items():
            if name in values and row.get(name) != values[name]:
                if row.get(name) is not None:
                    index.remove(row[name], id_)
                if values[name] is not None:
                    index.add(values[name], id_)
        for name, value in values.items():
            if value is None:
                row.pop(name, None)
            else:
                row[name] = value

    def delete(self, model: str, id_: int) -> None:
        """Take a row away."""
        self.transaction.before.setdefault((model, id_), dict(self.rows[model][id_]))
        self._drop(model, id_)

    def _put(self, model: str, id_: int, row: Row) -> None:
        row = {name: value for name, value in row.items() if value is not None}
        self.rows[model][id_] = row
        insort(self.ids[model], id_)
        for name, index in self.indexes.get(model, {}).items():
            if name in row:
                index.add(row[name], id_)

    def _drop(self, model: str, id_: int) -> None:
        row = self.rows[model].pop(id_)
        del self.ids[model][bisect_left(self.ids[model], id_)]
        for name, index in self.indexes.get(model, {}).items():
            if name in row:
                index.remove(row[name], id_)

    # Transactions

    @contextmanager
    def writing(self, start: datetime, late: float = 0) -> Iterator[None]:
        """Write all or nothing; readers see it `late` seconds after its start."""
        self.transaction = Transaction(start)
        try:
            yield
        except BaseException:
            self.roll_back()
            raise
        if self.transaction.before:
            self.newest = self.transaction.before
            if late:
                self._late.append((start + timedelta(seconds=late), self.newest))

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """Write all or nothing inside a transaction."""
        outer = self.transaction
        self.transaction = Transaction(outer.start)
        try:
            yield
        except BaseException:
            self.roll_back()
            raise
        else:
            for key, row in self.transaction.before.items():
                outer.before.setdefault(key, row)
        finally:
            self.transaction = outer

    def roll_back(self) -> None:
        """Put everything back as it was when the transaction began."""
        for (model, id_), row in self.transaction.before.items():
            if id_ in self.rows[model]:
                self._drop(model, id_)
            if row is not None:
                self._put(model, id_, row)
        self.transaction.before.clear()

    @contextmanager
    def reading(self, now: datetime, *, stale: bool = False) -> Iterator[None]:
        """See what is committed by now; `stale` hides the newest change as well."""
        self._late = [(due, before) for due, before in self._late if due > now]
        seen: Before = {}
        for _, before in self._late:
            for key, row in before.items():
                seen.setdefault(key, row)
        for key, row in (self.newest if stale else {}).items():
            seen.setdefault(key, row)
        self._seen = seen
        try:
            yield
        finally:
            self._seen = {}
