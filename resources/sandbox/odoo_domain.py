"""Odoo search domains in the stand-in: reading them, finding candidate rows by index, testing rows
and putting them in order. Knows fields only through the database it is given.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from resources.sandbox import odoo_errors as errors
from resources.sandbox.odoo_schema import RELATIONS, Field

if TYPE_CHECKING:
    from resources.sandbox.odoo_orm import Context, Database

Test = Callable[[int], bool]
Leaf = tuple[str, str, Any]

OPERATORS = frozenset(
    {
        *("=", "!=", "<>", "<", ">", "<=", ">=", "in", "not in"),
        *("like", "ilike", "not like", "not ilike", "=like", "=ilike"),
    }
)
NEGATIVE = {"!=": "=", "<>": "=", "not in": "in", "not like": "like", "not ilike": "ilike"}
SECOND = timedelta(seconds=1)


def search(
    db: "Database",
    model: str,
    domain: Sequence[Any],
    context: "Context",
    *,
    offset: int = 0,
    limit: int | None = None,
    order: str | None = None,
) -> list[int]:
    """Ids of the matching rows, in order."""
    tree = parse([*domain, *_always(db, model, domain, context)])
    test = compiled(db, model, tree, context)
    ids: Iterable[int] = candidates(db, model, tree)
    keys = _order(db, model, order or db.models[model].order)
    last = None if limit is None else offset + limit
    if keys == [("id", False)] or keys == [("id", True)]:
        ids = reversed(list(ids)) if keys[0][1] else ids
        return _taken(ids, test, last)[offset:]
    found = [id_ for id_ in ids if test(id_)]
    for name, descending in reversed(keys):
        found.sort(key=_sort_key(db, model, name, context), reverse=descending)
    return found[offset:last]


def _taken(ids: Iterable[int], test: Test, last: int | None) -> list[int]:
    found: list[int] = []
    for id_ in ids:
        if last is not None and len(found) >= last:
            break
        if test(id_):
            found.append(id_)
    return found


def _always(
    db: "Database", model: str, domain: Sequence[Any], context: "Context"
) -> list[list[Any]]:
    """Terms the server adds: archived rows and other companies' rows are not shown."""
    fields = db.models[model].fields
    asked = {str(term[0]) for term in domain if isinstance(term, list | tuple) and term}
    added: list[list[Any]] = []
    if "active" in fields and "active" not in asked and context.get("active_test", True):
        added.append(["active", "=", True])
    companies = context.get("allowed_company_ids")
    if companies and "company_id" in fields:
        added.append(["company_id", "in", [*companies, False]])
    if companies and "company_ids" in fields:
        added.append(["company_ids", "in", list(companies)])
    return added


def parse(domain: Sequence[Any]) -> tuple[Any, ...]:
    """The domain as a tree of ("&"|"|"|"!", parts…) and ("leaf", path, operator, value)."""
    stack: list[tuple[Any, ...]] = []
    for term in reversed(domain):
        if term == "!":
            stack.append(("!", stack.pop()))
        elif term in ("&", "|"):
            stack.append((term, stack.pop(), stack.pop()))
        elif isinstance(term, list | tuple) and len(term) == 3:
            stack.append(("leaf", *term))
        else:
            raise errors.value_error(f"Invalid leaf {term!r}")
    return ("&", *reversed(stack))


def leaves(tree: tuple[Any, ...]) -> list[Leaf]:
    """The leaves that every match must satisfy."""
    if tree[0] == "leaf":
        return [(tree[1], tree[2], tree[3])]
    if tree[0] == "&":
        return [leaf for part in tree[1:] for leaf in leaves(part)]
    return []


def candidates(db: "Database", model: str, tree: tuple[Any, ...]) -> Sequence[int]:
    """Ids that may match, ascending: by the best index, else a range of ids."""
    above, below, best = 0, float("inf"), None
    for path, operator, value in leaves(tree):
        if path == "id" and isinstance(value, int) and operator in ("<", "<=", ">", ">="):
            if operator.startswith(">"):
                above = max(above, value - (operator == ">="))
            else:
                below = min(below, value + (operator == "<="))
        found = _by_index(db, model, path, operator, value)
        if found is not None and (best is None or len(found) < len(best)):
            best = found
    if best is None:
        return db.tables.ids_between(model, above, below)
    return sorted(id_ for id_ in best if db.tables.get(model, id_) is not None)


def _by_index(db: "Database", model: str, path: str, operator: str, value: Any) -> set[int] | None:
    """Ids the leaf allows, where an index knows."""
    values = value if isinstance(value, list | tuple) else [value]
    if operator not in ("=", "in") or any(v is None or isinstance(v, bool) for v in values):
        return None
    head, _, rest = path.partition(".")
    field = db.models[model].fields.get(head)
    if path == "id":
        return {v for v in values if isinstance(v, int)}
    if field is None or (field.target and any(isinstance(v, str) for v in values) and not rest):
        return None
    if rest and field.target in db.models:
        inner = _by_index(db, field.target, rest, operator, value)
        if inner is None:
            return None
        if field.type == "one2many":
            held = (db.tables.get(field.target, id_) for id_ in inner)
            return {row[field.inverse] for row in held if row and row.get(field.inverse)}
        values = list(inner)
    if not db.tables.is_indexed(model, head):
        return None
    return {id_ for v in values for id_ in db.tables.find(model, head, v)}


def compiled(db: "Database", model: str, tree: tuple[Any, ...], context: "Context") -> Test:
    """The tree as a test of a row's id; unknown fields and operators are refused here."""
    kind, *parts = tree
    if kind == "leaf":
        return _leaf(db, model, (parts[0], parts[1], parts[2]), context)
    tests = [compiled(db, model, part, context) for part in parts]
    if kind == "!":
        return lambda id_: not tests[0](id_)
    if kind == "|":
        return lambda id_: any(test(id_) for test in tests)
    return lambda id_: all(test(id_) for test in tests)


def _leaf(db: "Database", model: str, leaf: Leaf, context: "Context") -> Test:
    path, operator, value = leaf
    if isinstance(path, int):  # (0, "=", 1) and (1, "=", 1): never and always
        return lambda id_: path == value
    head, _, rest = path.partition(".")
    field = db.models[model].fields.get(head)
    if field is None or (rest and field.type not in RELATIONS):
        shown = f"({path!r}, {operator!r}, {value!r})"
        raise errors.unknown_field_in_domain(db.version, model, path, shown)
    if operator not in OPERATORS:
        raise errors.value_error(f"Invalid operator {operator!r} in domain term {leaf!r}")
    get = db.getter(model, head, context)
    if rest:
        inner = _leaf(db, field.target, (rest, operator, value), context)
        return lambda id_: any(inner(other) for other in _several(get(id_)))
    if operator in NEGATIVE:
        positive = _positive(db, field, NEGATIVE[operator], value, context)
        return lambda id_: not positive(get(id_))
    positive = _positive(db, field, operator, value, context)
    return lambda id_: positive(get(id_))


def _several(value: Any) -> Iterable[int]:
    if value is None:
        return ()
    return (value,) if isinstance(value, int) else value


def _positive(
    db: "Database", field: Field, operator: str, value: Any, context: "Context"
) -> Callable[[Any], bool]:
    """A test of one value of the field."""
    if operator.endswith("like"):
        return _like(db, field, operator, str(value), context)
    if field.type in RELATIONS:
        return _related(db, field, value, context)
    if operator in ("=", "in"):
        return _equals(db, field, value)
    return _compares(db, field, operator, value)


def _like(
    db: "Database", field: Field, operator: str, value: str, context: "Context"
) -> Callable[[Any], bool]:
    """Patterns as in SQL: % is any text and _ any one character, also in the middle."""
    wild = "".join(".*" if c == "%" else "." if c == "_" else re.escape(c) for c in value)
    wild = wild if operator.startswith("=") else f".*{wild}.*"
    pattern = re.compile(wild, re.DOTALL | (re.IGNORECASE if "ilike" in operator else 0))
    if field.type in RELATIONS:
        return lambda ids: any(
            pattern.fullmatch(db.display_name(field.target, id_, context)) for id_ in _several(ids)
        )
    return lambda text: text is not None and pattern.fullmatch(str(text)) is not None


def _related(db: "Database", field: Field, value: Any, context: "Context") -> Callable[[Any], bool]:
    wanted = set(value) if isinstance(value, list | tuple) else {value}
    nothing = False in wanted or None in wanted
    ids = {v for v in wanted if isinstance(v, int) and not isinstance(v, bool)}
    names = {v for v in wanted if isinstance(v, str)}

    def test(held: Any) -> bool:
        several = list(_several(held))
        if not several:
            return nothing
        return any(
            id_ in ids or (names and db.display_name(field.target, id_, context) in names)
            for id_ in several
        )

    return test


def _equals(db: "Database", field: Field, value: Any) -> Callable[[Any], bool]:
    values = value if isinstance(value, list | tuple) else [value]
    wanted = {_operand(field, v) for v in values}
    if field.type == "boolean":
        wanted = {bool(v) for v in wanted}
    elif field.type in ("integer", "float", "monetary"):
        wanted = {v or 0 for v in wanted}
    if field.type == "datetime" and db.version >= 19:
        return lambda held: (held and held.replace(microsecond=0)) in wanted
    if None in wanted:
        wanted.add("")
    return lambda held: held in wanted


def _compares(db: "Database", field: Field, operator: str, value: Any) -> Callable[[Any], bool]:
    wanted = _operand(field, value)
    if field.type == "datetime" and isinstance(value, str) and len(value) == 10:
        # A day means its first second, or its last where the day itself must be covered.
        wanted += timedelta(days=1) - SECOND if operator in (">", "<=") else timedelta()
    shown = field.type == "datetime" and db.version >= 19

    def test(held: Any) -> bool:
        if held is None or wanted is None:
            return False
        held = held.replace(microsecond=0) if shown else held
        if operator == ">":
            return bool(held > wanted)
        if operator == ">=":
            return bool(held >= wanted)
        return bool(held < wanted) if operator == "<" else bool(held <= wanted)

    return test


def _operand(field: Field, value: Any) -> Any:
    """A domain's value as rows hold it; false and null mean no value."""
    if field.type == "boolean":
        return bool(value)
    if value is None or value is False:
        return None
    if field.type in ("float", "monetary"):
        return Decimal(str(value))
    if field.type == "datetime" and isinstance(value, str):
        form = "%Y-%m-%d" if len(value) == 10 else "%Y-%m-%d %H:%M:%S"
        try:
            return datetime.strptime(value, form).replace(tzinfo=UTC)
        except ValueError as fault:
            raise errors.value_error(str(fault)) from fault
    return value


def _order(db: "Database", model: str, order: str) -> list[tuple[str, bool]]:
    keys: list[tuple[str, bool]] = []
    for part in order.split(","):
        name, _, direction = part.strip().partition(" ")
        if name not in db.models[model].fields:
            raise errors.value_error(f"Invalid field '{name}' on model '{model}'")
        if direction.strip().lower() not in ("", "asc", "desc"):
            raise errors.user_error(f'Invalid "order" specified ({order}).')
        keys.append((name, direction.strip().lower() == "desc"))
        if name == "id":
            break
    return keys


def _sort_key(db: "Database", model: str, name: str, context: "Context") -> Callable[[int], Any]:
    """Rows without a value come last, or first when descending, as in the database."""
    field = db.models[model].fields[name]
    get = db.getter(model, name, context)
    if field.type == "many2one":
        return lambda id_: _nulls_last(get(id_) and db.display_name(field.target, get(id_)))
    return lambda id_: _nulls_last(get(id_))


def _nulls_last(value: Any) -> tuple[bool, Any]:
    return (value is None, 0 if value is None else value)
