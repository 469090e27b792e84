"""Tryton's price lists in our words: which lines of a list a product meets, and what their
formulas come to. Pure.

A formula is an expression over the product's own price; one over anything else (its cost) is not
a price that we can state, and is told.
"""

import ast
import operator
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sync_assets.domain.orders import Problem
from sync_assets.mappers.payload import Part

PRICE_STEP = Decimal("0.0001")
LONGEST_FORMULA = 200
LARGEST = Decimal(10) ** 12
OPERATORS: Mapping[type[ast.operator], Callable[[Decimal, Decimal], Decimal]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}


class Unclear(ValueError):
    """A formula that we cannot work out; the message says why, without the formula."""


def in_force(lines: list[Part]) -> Iterator[Part]:
    """Lines of one list that can ever be the first to match, for a product they all are about.

    The first line whose minimum is reached wins there; one behind a line without dates that asks
    for no more is never reached.
    """
    reached: Decimal | None = None
    for line in lines:
        minimum = minimum_of(line)
        if reached is not None and minimum >= reached:
            continue
        yield line
        if not is_dated(line):
            reached = minimum


def minimum_of(line: Part) -> Decimal:
    """From how many units on a line holds."""
    return line.measure("minimum") if line.body.get("minimum") is not None else Decimal()


def is_dated(line: Part) -> bool:
    """Whether a line holds for a time only."""
    return bool(line.body.get("start") or line.body.get("end"))


def period(line: Part, zone: str | None) -> tuple[datetime | None, datetime | None]:
    """First moment and end of a line; its days are days of the company, both included."""
    start, end = _day(line, "start"), _day(line, "end")
    where = _zone(line, zone)
    return (
        _midnight(start, where) if start else None,
        _midnight(end + timedelta(days=1), where) if end else None,
    )


def _zone(line: Part, name: str | None) -> ZoneInfo:
    """The company's time zone; a company without one lives by UTC there."""
    try:
        return ZoneInfo(name or "UTC")
    except (ZoneInfoNotFoundError, ValueError):
        line.faults.note("company.timezone", "is no time zone that we know")
        return ZoneInfo("UTC")


def _day(line: Part, key: str) -> date | None:
    text = line.optional(key)
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        line.fault(key, "is not a day")
        return None


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time(), zone).astimezone(UTC)


def problem_of(line: Part, why: str) -> Problem:
    """Say that a line of a price list is left out."""
    return Problem("product.price_unclear", f"{line.path}.formula", f"the price {why}")


def worked_out(formula: str, own_price: Decimal | None) -> Decimal:
    """Return what a formula comes to for a product of that price, in the digits of a price."""
    if len(formula) > LONGEST_FORMULA or not formula.isascii():
        raise Unclear("is too long or no expression")
    try:
        tree = ast.parse(formula.strip(), mode="eval")
        amount = _value(tree.body, formula.strip(), own_price)
        if abs(amount) >= LARGEST:
            raise Unclear("is too large")
        return amount.quantize(PRICE_STEP, ROUND_HALF_EVEN)
    except (SyntaxError, ArithmeticError) as fault:
        raise Unclear("cannot be worked out") from fault


def _value(node: ast.expr, text: str, own_price: Decimal | None) -> Decimal:
    if isinstance(node, ast.BinOp) and type(node.op) in OPERATORS:
        left = _value(node.left, text, own_price)
        return OPERATORS[type(node.op)](left, _value(node.right, text, own_price))
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return -_value(node.operand, text, own_price)
    if isinstance(node, ast.Call):
        return _value(_only_argument(node), text, own_price)
    if isinstance(node, ast.Constant):
        return _number(node, text)
    if isinstance(node, ast.Name) and node.id in ("list_price", "unit_price"):
        if own_price is None:
            raise Unclear("is made of the product's own price, which it has not")
        return own_price
    raise Unclear("is made of something other than the product's own price")


def _only_argument(node: ast.Call) -> ast.expr:
    named = isinstance(node.func, ast.Name) and node.func.id == "Decimal"
    if not named or len(node.args) != 1 or node.keywords:
        raise Unclear("is made by a function that we do not know")
    return node.args[0]


def _number(node: ast.Constant, text: str) -> Decimal:
    """A number as it is written: read as a float it would no longer be exact."""
    if isinstance(node.value, bool) or not isinstance(node.value, int | float | str):
        raise Unclear("is made of something that is no number")
    written = node.value if isinstance(node.value, str) else text[node.col_offset :]
    found = Decimal(written if isinstance(node.value, str) else written[: _width(node)])
    if not found.is_finite():
        raise Unclear("is made of something that is no number")
    return found


def _width(node: ast.Constant) -> int:
    return (node.end_col_offset or node.col_offset) - node.col_offset
