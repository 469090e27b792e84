"""`load` of the Odoo stand-in: rows of text become records, created or updated by external id.

Errors never raise; they are listed, and nothing is written when there is one. Lines of an order
under their own external id (`order_line/id`) are updated when they exist, others are appended.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from resources.sandbox import odoo_errors as errors
from resources.sandbox.odoo_catalog import external_id
from resources.sandbox.odoo_cells import NO, Unfit, converted
from resources.sandbox.odoo_errors import OdooFault
from resources.sandbox.odoo_orm import IMPORTING, Context, Database
from resources.sandbox.odoo_rows import Row
from resources.sandbox.odoo_schema import RELATIONS, Field

Message = dict[str, Any]
Path = tuple[str, ...]
Matrix = Sequence[Sequence[Any]]

#: Ways a column names a record: external id, database id, or what people see.
NAMING = ("id", ".id", "")
MANY_ERRORS = 10


@dataclass
class Record:
    """One record of the matrix: where it stands, its external id, its converted values."""

    place: Message
    external_id: str | None
    values: Row


def load(db: Database, model: str, header: Sequence[str], data: Matrix, context: Context) -> Row:
    """Create or update the records of the matrix, all or none."""
    loader = Loader(db, model, header, context)
    ids = loader.load(data)
    return {"ids": ids, "messages": loader.messages, "nextrow": 0}


def conflicted(
    db: Database, model: str, header: Sequence[str], data: Matrix, context: Context
) -> Row:
    """What the loser of a race gets: its first record could not be written, so nothing was."""
    loader = Loader(db, model, header, context)
    rows = next((rows for _, rows in loader.extracted(data)), {"from": 0, "to": 0})
    message = {"rows": rows, "record": 0, "type": "error", "message": errors.CONFLICT}
    return {"ids": False, "messages": [message], "nextrow": 0}


class Loader:
    """One call of `load`."""

    def __init__(self, db: Database, model: str, header: Sequence[str], context: Context) -> None:
        self.db, self.model = db, model
        self.module = str(context.get("module", "__import__"))
        self.context: Context = {**context, IMPORTING: self.module}
        self.paths = [_path(name) for name in header]
        self.messages: list[Message] = []
        self.batch: list[Record] = []
        self.batch_ids: set[str] = set()
        self.ids: list[int] = []
        self._check()

    def _check(self) -> None:
        """Refuse unknown columns, which is a programming error there too."""
        for path in self.paths:
            at = self.model
            for name in path:
                if name in NAMING:
                    break
                field = self.db.models[at].fields.get(name)
                if field is None:
                    raise OdooFault("builtins.KeyError", repr(name))
                at = field.target

    def load(self, data: Matrix) -> list[int] | bool:
        """Convert and write everything; the ids, or False and nothing written."""
        try:
            with self.db.tables.savepoint():
                for number, (raw, rows) in enumerate(self.extracted(data)):
                    self._add(raw, {"rows": rows, "record": number})
                self.flush()
                if any(message["type"] == "error" for message in self.messages):
                    raise _Refused
        except _Refused:
            return False
        return self.ids

    def extracted(self, data: Matrix) -> Iterator[tuple[Row, dict[str, int]]]:
        """The records of the matrix with the rows each spans."""
        return self._extracted(self.model, self.paths, data)

    def _add(self, raw: Row, place: Message) -> None:
        values = self._converted(raw, place)
        name = raw.get("id") or None
        if name is not None:
            name = self._full(str(name))
            self.batch_ids.add(name)
        elif raw.get(".id"):
            values["id"] = self._database_id(raw[".id"], place)
        self.batch.append(Record(place, name, values))

    def _database_id(self, value: Any, place: Message) -> int | None:
        id_ = int(value) if str(value).isdigit() else None
        if id_ in self.db.tables.rows[self.model]:
            return id_
        text = f"Unknown database identifier '{value}'"
        self.messages.append({**place, "type": "error", "field": ".id", "message": text})
        return None

    # Reading the matrix

    def _extracted(
        self, model: str, paths: Sequence[Path], data: Sequence[Sequence[Any]]
    ) -> Iterator[tuple[Row, dict[str, int]]]:
        """Records with the rows they span: rows with one2many cells only continue a record."""
        fields = self.db.models[model].fields
        types = [fields[p[0]].type if p[0] in fields else "" for p in paths]
        many = [i for i, type_ in enumerate(types) if type_ == "one2many"]
        own = [i for i, type_ in enumerate(types) if type_ != "one2many"]
        index = 0
        while index < len(data):
            end = index + 1
            while end < len(data) and _continues(data[end], many, own):
                end += 1
            yield self._one(model, paths, types, data[index:end]), {"from": index, "to": end - 1}
            index = end

    def _one(
        self, model: str, paths: Sequence[Path], types: Sequence[str], span: Sequence[Sequence[Any]]
    ) -> Row:
        record: Row = {}
        for i, path in enumerate(paths):
            if types[i] not in RELATIONS:
                record[path[0]] = span[0][i]
        for name in dict.fromkeys(
            p[0] for p, t in zip(paths, types, strict=True) if t in RELATIONS
        ):
            record[name] = self._below(model, name, paths, span)
        return record

    def _below(
        self, model: str, name: str, paths: Sequence[Path], span: Sequence[Sequence[Any]]
    ) -> list[Row]:
        """The records in a relational field's columns."""
        columns = [i for i, path in enumerate(paths) if path[0] == name]
        cells = [row for row in ([r[i] for i in columns] for r in span) if any(row)]
        below = [paths[i][1:] for i in columns]
        if any(not path for path in below):  # the column names records by what people see
            return [{"": row[0]} for row in cells]
        target = self.db.models[model].fields[name].target
        return [record for record, _ in self._extracted(target, below, cells)]

    # Converting cells

    def _converted(self, raw: Row, place: Message) -> Row:
        fields = self.db.models[self.model].fields
        values: Row = {}
        for name, cell in raw.items():
            if name in NAMING:
                continue
            field = fields[name]
            try:
                values[name] = self._cell(field, cell) if cell else False
            except Unfit as unfit:
                text = unfit.text.replace("{}", field.label)
                message = {**place, "type": "error", "field": name, "message": text, **unfit.more}
                self.messages.append({**message, "field_name": field.label})
        return values

    def _cell(self, field: Field, cell: Any) -> Any:
        if field.type == "one2many":
            return [command for record in cell for command in self._line(field, record)]
        if field.type in RELATIONS:
            return self._references(field, cell)
        return converted(field, cell, self.context)

    def _line(self, field: Field, record: Row) -> list[list[Any]]:
        """Commands for one record of a one2many."""
        values: Row = {}
        for name, cell in record.items():
            if name in NAMING:
                continue
            below = self.db.models[field.target].fields[name]
            try:
                values[name] = self._cell(below, cell) if cell else False
            except Unfit as unfit:
                text = unfit.text.replace("{}", "{}/" + below.label)
                raise Unfit(text, **unfit.more) from unfit
        held = self._held(field, record)
        if held is not None:
            return [[4, held, 0], [1, held, values]]
        if record.get("id"):
            values["id"] = self._full(str(record["id"]))
        return [[0, 0, values]]

    def _held(self, field: Field, record: Row) -> int | None:
        """The existing record a one2many's cells name; an unknown external id is a new one."""
        for way in NAMING:
            if record.get(way):
                try:
                    return self._reference(field, way, record[way])
                except Unfit:
                    if way != "id":
                        raise
        return None

    def _references(self, field: Field, cell: list[Row]) -> Any:
        if len(cell[0]) != 1:
            text = (
                "Ambiguous specification for field '{}', only provide one of name, external id "
                "or database id"
            )
            raise Unfit(text)
        [(way, value)] = cell[0].items()
        if way not in NAMING:
            text = "Can not create Many-To-One records indirectly, import the field separately"
            raise Unfit(text)
        if field.type == "many2one":
            return self._reference(field, way, value) or False
        ids = [self._reference(field, way, part) for part in str(value).split(",")]
        return [[6, 0, ids]]

    def _reference(self, field: Field, way: str, value: Any) -> int | None:
        """The database id that a cell names by database id, external id or name."""
        if way and isinstance(value, str) and value.lower() in NO:
            return None
        found: int | None = None
        if way == ".id":
            kind, known = "database id", self.db.tables.rows[field.target]
            found = int(value) if str(value).isdigit() and int(value) in known else None
        elif way == "id":
            kind, full = "external id", self._full(str(value))
            if full in self.batch_ids:
                self.flush()
            found = self._behind(field.target, full)
        else:
            kind = "name"
            ids = self.db.search(field.target, [["display_name", "=", value]], limit=1)
            found = ids[0] if ids else None
        if found is None:
            text = f"No matching record found for {kind} '{value}' in field '{{}}'"
            raise Unfit(text, moreinfo=_possible_values(field, way))
        return found

    def _behind(self, model: str, full: str) -> int | None:
        row = external_id(self.db, full)
        if row is None or row["res_id"] not in self.db.tables.rows[row["model"]]:
            return None
        if row["model"] != model:
            text = f"Invalid external ID {full}: expected model {model!r}, found {row['model']!r}"
            raise Unfit(text)
        return int(row["res_id"])

    def _full(self, name: str) -> str:
        return name if "." in name else f"{self.module}.{name}"

    # Writing

    def flush(self) -> None:
        """Write what is converted so far: at once, or one by one to find who is wrong."""
        batch, self.batch = self.batch, []
        self.batch_ids.clear()
        if not batch:
            return
        common: Message | None = None
        try:
            with self.db.tables.savepoint():
                self.ids += self._written(batch)
                return
        except OdooFault as fault:
            if fault.is_for_people and fault.in_load is None:
                common = {**batch[0].place, "type": "error", "message": fault.message}
        faults = self._one_by_one(batch)
        if faults and common and common not in self.messages:
            self.messages.insert(0, common)  # the server blames the first record as well

    def _one_by_one(self, batch: Sequence[Record]) -> int:
        faults = 0
        for number, record in enumerate(batch, 1):
            try:
                with self.db.tables.savepoint():
                    self.ids += self._written([record])
            except OdooFault as fault:
                self.messages.append(_message(record, fault))
                faults += 1
            if faults >= MANY_ERRORS and faults >= number / 10:
                self.messages.append({"type": "warning", "message": TOO_MANY})
                break
        return faults

    def _written(self, batch: Sequence[Record]) -> list[int]:
        """Update the known, create the others."""
        ids = [self._put(record) for record in batch]
        self.db.settle()
        return ids

    def _put(self, record: Record) -> int:
        held = external_id(self.db, record.external_id) if record.external_id else None
        if held is not None and held["model"] != self.model:
            raise errors.validation_error(
                f"For external id {record.external_id} when trying to create/update a record of "
                f"model {self.model} found record of different model {held['model']}"
            )
        id_ = held["res_id"] if held else record.values.get("id")
        if id_ is None:
            values = {**record.values, "id": record.external_id}
            return self.db.create(self.model, values, self.context)
        self.db.write(self.model, [id_], record.values, self.context)
        return int(id_)


class _Refused(Exception):
    """Some record is wrong, so nothing is written."""


def _path(column: str) -> Path:
    """A column's field path; `partner_id.id` and `partner_id/.id` mean the same."""
    column = re.sub(r"([^/])\.id", r"\1/.id", column)
    return tuple(re.sub(r"([^/]):id", r"\1/id", column).split("/"))


def _continues(row: Sequence[Any], many: Sequence[int], own: Sequence[int]) -> bool:
    return any(row[i] for i in many) and not any(row[i] for i in own)


def _message(record: Record, fault: OdooFault) -> Message:
    if not fault.is_for_people:
        kind = fault.name.removeprefix("builtins.")
        text = f"Unknown error during import: <class '{kind}'>: {fault.message}"
        more = {"moreinfo": "Resolve other errors first"}
        return {**record.place, "type": "error", "message": text, **more}
    message = {**record.place, "type": "error", "message": fault.in_load or fault.message}
    return {**message, "field": fault.field} if fault.field else message


TOO_MANY = (
    "Found more than 10 errors and more than one error per 10 records, interrupted to avoid "
    "showing too many errors."
)


def _possible_values(field: Field, way: str) -> Row:
    """The window Odoo's own import screen would open."""
    where: Row = {"res_model": field.target}
    if way:
        where = {"res_model": "ir.model.data", "domain": [["model", "=", field.target]]}
    return {
        "name": "Possible Values",
        "type": "ir.actions.act_window",
        "target": "new",
        "view_mode": "list,form",
        "views": [[False, "list"], [False, "form"]],
        "context": {"create": False},
        "help": "See all possible values",
        **where,
    }
