"""Records of the Odoo stand-in as the API shows and takes them: types, required fields, x2many
commands, create, write, unlink and read. What a model does beyond that stands in its rules.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Any

from resources.sandbox import odoo_domain
from resources.sandbox import odoo_errors as errors
from resources.sandbox.odoo_rows import Row, Tables
from resources.sandbox.odoo_schema import RELATIONS, Field, models

Context = Mapping[str, Any]
Derived = Callable[["Database", int, Context], Any]

ZERO = Decimal()
UNITS = tuple(Decimal(1).scaleb(-digits) for digits in range(7))
NUMBERS = ("float", "monetary")
LENGTH_OF_DAY = 10
MOMENT, DAY = "%Y-%m-%d %H:%M:%S", "%Y-%m-%d"
#: In the context while `load` runs; new records may then bring their external id.
IMPORTING = "_import_current_module"
UNWRITTEN = frozenset(
    {"id", "create_date", "write_date", "create_uid", "write_uid", "display_name"}
)


def along(model: str, path: str) -> Derived:
    """A value read at the end of a path of many2one fields."""
    return lambda db, id_, context: db.follow(model, id_, path)


class Rules:
    """What one model does when its records are made, changed and removed; by default nothing."""

    def prepare(self, db: "Database", id_: int | None, values: Row) -> Row:
        """Values as given, with those that are really another record's passed on to it."""
        return values

    def complete(self, db: "Database", row: Row, context: Context) -> None:
        """Fill in what was not given for a new row."""

    def created(self, db: "Database", id_: int, context: Context) -> None:
        """Follow up a new row."""

    def written(self, db: "Database", id_: int, values: Row) -> None:
        """Follow up a change."""

    def leaving(self, db: "Database", id_: int) -> None:
        """Refuse or prepare a removal."""


class Database:
    """The records of one stand-in."""

    def __init__(self, version: int, tables: Tables, uid: int) -> None:
        self.version, self.tables, self.uid = version, tables, uid
        self.models = models(version)
        self.rules: dict[str, Rules] = {}
        self.derived: dict[tuple[str, str], Derived] = {}
        self.names: dict[str, Callable[[Database, int, Context], str]] = {}
        self.settle: Callable[[], None] = lambda: None

    # Reading

    def getter(self, model: str, name: str, context: Context) -> Callable[[int], Any]:
        """A function from a record's id to the field's value as rows hold it."""
        field = self.models[model].fields[name]
        if name == "id":
            return lambda id_: id_
        if name == "display_name":
            return lambda id_: self.display_name(model, id_, context)
        if name in ("create_uid", "write_uid"):
            return lambda id_: self.uid
        if (model, name) in self.derived:
            derive = self.derived[model, name]
            return lambda id_: derive(self, id_, context)
        if field.type == "one2many":
            return lambda id_: self._pointing_here(field, id_, context)
        missing = _missing(field)
        rows = self.tables
        return lambda id_: (rows.get(model, id_) or {}).get(name, missing)

    def value(self, model: str, id_: int, name: str, context: Context | None = None) -> Any:
        """One value of one record."""
        return self.getter(model, name, context or {})(id_)

    def follow(self, model: str, id_: int | None, path: str) -> Any:
        """The value at the end of a path of many2one fields; None where one is not set."""
        for name in path.split("."):
            if id_ is None:
                return None
            value, field = self.value(model, id_, name), self.models[model].fields[name]
            model, id_ = field.target, value
        return id_

    def _pointing_here(self, field: Field, id_: int, context: Context) -> tuple[int, ...]:
        """Ids of a one2many, in their order; archived ones are left out."""
        found = [
            (row.get("sequence", 0), other)
            for other in self.tables.find(field.target, field.inverse, id_)
            if (row := self.tables.get(field.target, other)) is not None
            and (row.get("active", True) or not context.get("active_test", True))
        ]
        return tuple(other for _, other in sorted(found))

    def display_name(self, model: str, id_: int, context: Context | None = None) -> str:
        """How people see the record."""
        if model in self.names:
            return self.names[model](self, id_, context or {})
        row = self.tables.get(model, id_)
        return str((row or {}).get("name", f"{model},{id_}"))

    def read(
        self, model: str, ids: Iterable[int], names: Sequence[str] | None, context: Context
    ) -> list[Row]:
        """Records as JSON shows them; records that are gone are left out."""
        wanted = list(dict.fromkeys(["id", *(names or self.models[model].fields)]))
        for name in wanted:
            if name not in self.models[model].fields:
                raise errors.unknown_field(self.version, model, name, writing=False)
        shows = [(name, self._shower(model, name, context)) for name in wanted]
        return [
            {name: show(id_) for name, show in shows}
            for id_ in ids
            if self.tables.get(model, id_) is not None
        ]

    def _shower(self, model: str, name: str, context: Context) -> Callable[[int], Any]:
        """A function from a record's id to the field's value in JSON."""
        field, get = self.models[model].fields[name], self.getter(model, name, context)
        if field.type == "many2one":
            return lambda id_: self._pair(field.target, get(id_), context)
        if field.type in RELATIONS:
            return lambda id_: list(get(id_) or ())
        if field.type in NUMBERS:
            return lambda id_: float(get(id_) or 0)
        if field.type in ("boolean", "integer"):
            return get
        if field.type == "datetime":
            return lambda id_: _shown_time(get(id_))
        if field.type == "date":
            return lambda id_: value.isoformat() if (value := get(id_)) else False
        return lambda id_: get(id_) or False

    def _pair(self, model: str, id_: int | None, context: Context) -> list[Any] | bool:
        return False if id_ is None else [id_, self.display_name(model, id_, context)]

    def search(
        self, model: str, domain: Sequence[Any], context: Context | None = None, **how: Any
    ) -> list[int]:
        """Ids of the matching records, in order."""
        return odoo_domain.search(self, model, domain, context or {}, **how)

    # Writing

    def create(self, model: str, values: Row, context: Context) -> int:
        """Make a record and give its id."""
        name = values.get("id")
        values = self.rule(model).prepare(self, None, self._known(model, values))
        row, commands = self._taken(model, values, {})
        row |= {"create_date": self.tables.transaction.start}
        row |= {"write_date": row["create_date"]}
        self.rule(model).complete(self, row, context)
        self._check_required(model, row)
        id_ = self.tables.insert(model, row)
        for field, command in commands:
            self._command(model, id_, field, command, context)
        self.rule(model).created(self, id_, context)
        if isinstance(name, str) and IMPORTING in context:
            self._name(model, id_, name)
        return id_

    def _name(self, model: str, id_: int, name: str) -> None:
        """Give the record an external id."""
        now = self.tables.transaction.start
        row = {"complete_name": name, "model": model, "res_id": id_}
        self.tables.insert("ir.model.data", {**row, "create_date": now, "write_date": now})

    def write(self, model: str, ids: Sequence[int], values: Row, context: Context) -> None:
        """Set the values on all records, if all are there."""
        self.check_exists(model, ids)
        values = self._known(model, values)
        for id_ in ids:
            mine = self.rule(model).prepare(self, id_, values)
            row, commands = self._taken(model, mine, self.tables.rows[model][id_])
            row["write_date"] = self.tables.transaction.start
            self.tables.change(model, id_, row)
            for field, command in commands:
                self._command(model, id_, field, command, context)
            self._check_required(model, self.tables.rows[model][id_])
            self.rule(model).written(self, id_, mine)

    def unlink(self, model: str, ids: Sequence[int]) -> None:
        """Remove the records, if all are there."""
        self.check_exists(model, ids)
        for id_ in ids:
            self.rule(model).leaving(self, id_)
            self.tables.delete(model, id_)
        gone = set(ids)
        for other in list(self.tables.rows["ir.model.data"]):
            row = self.tables.rows["ir.model.data"][other]
            if row["model"] == model and row["res_id"] in gone:
                self.tables.delete("ir.model.data", other)

    def check_exists(self, model: str, ids: Iterable[int]) -> None:
        """Refuse ids without a record."""
        for id_ in ids:
            if id_ not in self.tables.rows[model]:
                raise errors.missing(model, id_, self.uid)

    def rule(self, model: str) -> Rules:
        """The model's own behaviour."""
        return self.rules.get(model) or Rules()

    def _known(self, model: str, values: Row) -> Row:
        fields = self.models[model].fields
        for name in values:
            if name not in fields:
                raise errors.unknown_field(self.version, model, name, writing=True)
        return {name: value for name, value in values.items() if name not in UNWRITTEN}

    def _taken(self, model: str, values: Row, held: Row) -> tuple[Row, list[tuple[Field, Any]]]:
        """Given values as rows hold them, and the one2many commands apart."""
        fields = self.models[model].fields
        row: Row = {}
        commands: list[tuple[Field, Any]] = []
        for name, value in values.items():
            field = fields[name]
            if field.type == "one2many":
                commands += [(field, command) for command in value or ()]
            elif field.type == "many2many":
                row[name] = _linked(value, held.get(name, ()))
            elif not field.derived:
                row[name] = self._stored(model, field, value)
        return row, commands

    def _stored(self, model: str, field: Field, value: Any) -> Any:
        """A value from JSON as rows hold it."""
        if field.type in NUMBERS:
            return _number(field, value)
        if field.type == "integer":
            return int(value or 0)
        if field.type == "boolean":
            return bool(value)
        if value is None or value is False or value == "":
            return None
        if field.type == "many2one":
            self.check_exists(field.target, [value])
            return int(value)
        if field.type in ("datetime", "date"):
            return _moment(field, value)
        if field.type == "selection" and value not in field.choices:
            raise errors.value_error(f"Wrong value for {model}.{field.name}: {value!r}")
        return str(value)

    def _check_required(self, model: str, row: Row) -> None:
        for field in self.models[model].fields.values():
            if field.required and not field.derived and row.get(field.name) is None:
                label = self.models[model].label
                raise errors.required(self.version, model, label, field.name, field.label)

    def _command(
        self, model: str, id_: int, field: Field, command: Sequence[Any], context: Context
    ) -> None:
        """Carry out one command of a one2many: 0 create, 1 update, 2 and 3 remove, 4 link."""
        code, other, *rest = [*command, None, None][:3]
        if code == 0:
            self.create(field.target, {**(rest[0] or {}), field.inverse: id_}, context)
        elif code == 1:
            self.write(field.target, [other], rest[0], context)
        elif code in (2, 3):
            self.unlink(field.target, [other])
        elif code == 4:
            if self.tables.rows[field.target].get(other, {}).get(field.inverse) != id_:
                self.write(field.target, [other], {field.inverse: id_}, context)
        elif code == 5:
            self.unlink(field.target, self._pointing_here(field, id_, {"active_test": False}))
        else:
            raise errors.value_error(f"Wrong value for {model}.{field.name}: {command!r}")


def _missing(field: Field) -> Any:
    """What a row without the value shows inside."""
    if field.name == "active":
        return True
    if field.type in NUMBERS:
        return ZERO
    return {"boolean": False, "integer": 0, "many2many": ()}.get(field.type)


def _number(field: Field, value: Any) -> Decimal:
    """A number, silently rounded to the field's digits; null and false are 0."""
    try:
        number = Decimal(str(value or 0))
        return number if field.digits is None else rounded(number, UNITS[field.digits])
    except InvalidOperation as fault:
        message = f"could not convert string to float: {value!r}"
        raise errors.value_error(message) from fault


def rounded(number: Decimal, unit: Decimal) -> Decimal:
    """The number to the nearest multiple of `unit`, halves away from zero."""
    return (number / unit).quantize(Decimal(1), ROUND_HALF_UP) * unit


def _moment(field: Field, value: Any) -> datetime | date:
    """A naive UTC text as the server takes it; any other form is refused in Python's words."""
    form = DAY if len(str(value)) <= LENGTH_OF_DAY else MOMENT
    try:
        moment = datetime.strptime(str(value), form).replace(tzinfo=UTC)
    except ValueError as fault:
        raise errors.value_error(str(fault)) from fault
    return moment if field.type == "datetime" else moment.date()


def _shown_time(value: datetime | None) -> str | bool:
    return value.astimezone(UTC).strftime(MOMENT) if value else False


def _linked(value: Any, held: tuple[int, ...]) -> tuple[int, ...]:
    """The ids a many2many holds after commands; a plain list of ids or false replaces them."""
    ids: dict[int, None] = {}
    if value and not isinstance(value[0], int):
        ids = dict.fromkeys(held)
    for command in value or ():
        if isinstance(command, int):
            ids[command] = None
            continue
        code, other, *rest = command
        if code == 6:
            ids = dict.fromkeys(rest[0])
        elif code == 4:
            ids[other] = None
        elif code in (2, 3):
            ids.pop(other, None)
        elif code == 5:
            ids = {}
    return tuple(ids)
