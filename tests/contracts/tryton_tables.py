"""Tables of a Tryton database in memory: they answer searches by the domain that is asked, and
take creates, writes and deletes; what buttons do is said by the test beside.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.contracts.test_tryton_client import Call, Tape, said

Row = dict[str, Any]
TODAY = {"__class__": "date", "year": 2026, "month": 11, "day": 30}
COMPARED: dict[str, Callable[[Any, Any], bool]] = {
    "=": lambda value, wanted: value == wanted,
    "!=": lambda value, wanted: value != wanted,
    "in": lambda value, wanted: value in wanted,
    ">": lambda value, wanted: value is not None and value > wanted,
    ">=": lambda value, wanted: value is not None and value >= wanted,
    "<": lambda value, wanted: value is not None and value < wanted,
    "<=": lambda value, wanted: value is not None and value <= wanted,
    "like": lambda value, wanted: str(value or "").startswith(wanted.rstrip("%")),
    "child_of": lambda value, wanted: value in wanted,
}


def moment(text: str) -> Row:
    """A moment as Tryton sends it; only what is asked is told apart, to the second."""
    day, _, clock = text.partition("T")
    year, month, date = (int(part) for part in day.split("-"))
    hour, minute, second = (int(part) for part in clock.split(":"))
    return {
        "__class__": "datetime",
        "year": year,
        "month": month,
        "day": date,
        "hour": hour,
        "minute": minute,
        "second": second,
        "microsecond": 0,
    }


def value_of(row: Row, path: str) -> Any:
    """What stands in a row under a dotted name."""
    name, _, rest = path.partition(".")
    if not rest:
        return row.get(name)
    return value_of(row.get(f"{name}.") or {}, rest)


def comparable(value: Any) -> Any:
    """Moments and days in an order."""
    if isinstance(value, dict) and "year" in value:
        names = ("year", "month", "day", "hour", "minute", "second")
        return tuple(value.get(name, 0) for name in names)
    return value


def matches(row: Row, domain: list[Any]) -> bool:
    """Whether a row is in a domain; clauses are joined by and, unless the first word is OR."""
    if domain and domain[0] == "OR":
        return any(matches(row, clause) for clause in domain[1:])
    if domain and isinstance(domain[0], str):
        path, how, wanted = domain[:3]
        return COMPARED[how](comparable(value_of(row, path)), comparable(wanted))
    return all(matches(row, clause) for clause in domain)


@dataclass
class Tables(Tape):
    """A server that holds `rows` by model; `buttons` change them."""

    rows: dict[str, list[Row]] = field(default_factory=dict)
    buttons: dict[str, Callable[[Call], Any]] = field(default_factory=dict)
    fields: tuple[str, ...] = ()

    def _answer(self, call: Call) -> Any:
        if self.answers[call.method] or call.method.startswith("common."):
            return super()._answer(call)
        model, _, verb = call.method.removeprefix("model.").rpartition(".")
        if call.method in self.buttons:
            return self._pressed(call)
        if call.method == "model.ir.date.today":
            return said(TODAY)
        if verb == "fields_get":
            return said({name: {} for name in call.params[0] if name in self.fields})
        doors = {"search_read": self._searched, "create": self._created, "write": self._written}
        if model in self.rows and verb in doors:
            return said(doors[verb](model, call))
        return super()._answer(call)

    def _pressed(self, call: Call) -> Any:
        answer = self.buttons[call.method](call)
        return said(None) if answer is None else answer

    def _searched(self, model: str, call: Call) -> list[Row]:
        domain, _, limit = call.params[:3]
        return [row for row in self.rows[model] if matches(row, domain)][:limit]

    def _created(self, model: str, call: Call) -> list[int]:
        made = []
        for values in call.params[0]:
            number = max([row["id"] for row in self.rows[model]], default=0) + 1
            self.rows[model].append({"id": number, "_timestamp": "1", **values})
            made.append(number)
        return made

    def _written(self, model: str, call: Call) -> None:
        ids, values = call.params
        for row in self.rows[model]:
            if row["id"] in ids:
                row.update(values)

    def row(self, model: str, number: int) -> Row:
        """One row."""
        return next(row for row in self.rows[model] if row["id"] == number)

    def sent(self, *verbs: str) -> list[Call]:
        """Calls of these verbs, in the order they came."""
        return [call for call in self.calls if call.method.rpartition(".")[2] in verbs]
