"""How `load` of the Odoo stand-in reads one cell of text, by the type of its field."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from resources.sandbox.odoo_errors import OdooFault
from resources.sandbox.odoo_orm import Context
from resources.sandbox.odoo_schema import Field

NO = ("", "0", "false", "no")
YES = ("1", "true", "yes")


class Unfit(Exception):
    """A cell that cannot be converted; `text` has the field's label at `{}`."""

    def __init__(self, text: str, **more: Any) -> None:
        super().__init__(text)
        self.text, self.more = text, more


def converted(field: Field, cell: Any, context: Context) -> Any:
    """The cell's value as `create` takes it; raises `Unfit`."""
    convert = CELLS.get(field.type)
    return cell if convert is None else convert(field, cell, context)


def _decimal(field: Field, cell: Any, context: Context) -> Any:
    try:
        float(cell)
    except ValueError:
        raise Unfit(f"'{cell}' does not seem to be a number for field '{{}}'") from None
    return cell


def _integer(field: Field, cell: Any, context: Context) -> int:
    try:
        return int(cell)
    except ValueError:
        raise Unfit(f"'{cell}' does not seem to be an integer for field '{{}}'") from None


def _boolean(field: Field, cell: Any, context: Context) -> bool:
    if not isinstance(cell, str):
        message = f"'{type(cell).__name__}' object has no attribute 'lower'"
        raise OdooFault("builtins.AttributeError", message)
    if cell.lower() in YES + NO:
        return cell.lower() in YES
    text = f"Unknown value '{cell}' for boolean field '{{}}'"
    raise Unfit(text, moreinfo="Use '1' for yes and '0' for no")


def _date(field: Field, cell: Any, context: Context) -> str:
    try:
        datetime.strptime(str(cell)[:10], "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        text = f"'{cell}' does not seem to be a valid date for field '{{}}'"
        raise Unfit(text, moreinfo="Use the format '2012-12-31'") from None
    return str(cell)[:10]


def _datetime(field: Field, cell: Any, context: Context) -> str:
    """A naive time is read in the caller's time zone, unlike in `create`."""
    form = "%Y-%m-%d" if len(str(cell)) <= 10 else "%Y-%m-%d %H:%M:%S"
    zone = ZoneInfo(str(context.get("tz") or "UTC"))
    try:
        moment = datetime.strptime(str(cell), form).replace(tzinfo=zone)
    except ValueError:
        text = f"'{cell}' does not seem to be a valid datetime for field '{{}}'"
        raise Unfit(text, moreinfo="Use the format '2012-12-31 23:59:59'") from None
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")


def _selection(field: Field, cell: Any, context: Context) -> str:
    for choice in field.choices:
        if str(cell).lower() == choice.lower():
            return choice
    text = f"Value '{cell}' not found in selection field '{{}}'"
    raise Unfit(text, moreinfo=list(field.choices))


CELLS: dict[str, Callable[[Field, Any, Context], Any]] = {
    "float": _decimal,
    "monetary": _decimal,
    "integer": _integer,
    "boolean": _boolean,
    "date": _date,
    "datetime": _datetime,
    "selection": _selection,
}
