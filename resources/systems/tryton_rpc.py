"""One signed-in JSON-RPC session with a Tryton server: envelope, encoding, and what its error
shapes mean. Which models and buttons are called is in `tryton.py`.
"""

import base64
import itertools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any, TypeVar

import httpx

from resources.errors import (
    ContractBroken,
    Missing,
    Refused,
    RemoteError,
    SignInAgain,
    Throttled,
    TryAgain,
    UnknownOutcome,
)
from resources.http import exact_json, raise_for_refusal

Payload = dict[str, Any]
NOT_UNIQUE = "must be unique"
#: How many keys or ids are asked for at once.
KEY_BATCH = 200
T = TypeVar("T")
R = TypeVar("R")


class Consent(Refused):
    """Tryton asks a person to agree before it goes on; `code` names the warning."""


class Session:
    """Calls methods of one database as one user; signs in when needed, at most once per call.

    The user's preferences (company above all) are the base of every context: without them
    creating a sale fails and prices read as null. The language is fixed because the wording of
    a UserError is the only thing that tells its kinds apart.
    """

    def __init__(
        self, http: httpx.Client, database: str, login: str, password: str, system: str
    ) -> None:
        self.http, self.database, self.login = http, database, login
        self.system = system
        self._password = password
        self._ids = itertools.count(1)
        self._authorization: str | None = None
        self._context: Payload = {}
        self._turned_away: str | None = None

    def read(self, method: str, *params: Any, **context: Any) -> Any:
        """Call a method that changes nothing; the transport may repeat it."""
        return self._called(method, params, context, safe=True)

    def write(self, method: str, *params: Any, **context: Any) -> Any:
        """Call a method that may change something; repeated only when it never arrived."""
        return self._called(method, params, context, safe=False)

    def search(
        self,
        model: str,
        domain: list[Any],
        fields: Sequence[str],
        limit: int | None = None,
        **context: Any,
    ) -> list[Payload]:
        """Rows of a model in the order of their ids."""
        query = (domain, 0, limit, [["id", "ASC"]], list(fields))
        rows: list[Payload] = self.read(f"model.{model}.search_read", *query, **context)
        return rows

    def company(self) -> int | None:
        """The company our user works for; it decides prices, access and what day it is."""
        if self._authorization is None:
            self.sign_in()
        found = self._context.get("company")
        return None if found is None else int(found)

    def version(self) -> str:
        """Name the server's series; needs no session."""
        answer = self._post("/rpc/", "common.server.version", [], safe=True)
        return str(self._result(answer))

    def sign_in(self) -> None:
        """Open a session, unless the password was turned away before."""
        if self._turned_away is not None:
            # Failed logins are slowed to 24 s each and then locked out: never knock again.
            raise SignInAgain(self.system, self._turned_away)
        self._authorization, self._context = None, {}
        user, token = self._signed_in()
        identity = f"{self.login}:{user}:{token}".encode()
        self._authorization = "Session " + base64.b64encode(identity).decode()
        answer = self._with_context("model.res.user.get_preferences", [True], {}, safe=True)
        self._check_status(answer)
        self._context = {**self._result(answer), "language": "en"}

    def _signed_in(self) -> tuple[int, str]:
        secret = [self.login, {"password": self._password}, "en"]
        try:
            answer = self._post(self._path, "common.db.login", secret, safe=False)
            self._check_status(answer)
            result = self._result(answer)
        except SignInAgain:
            self._turned_away = f"user {self.login!r} is not accepted by {self.database!r}"
            raise SignInAgain(self.system, self._turned_away) from None
        except UnknownOutcome as lost:  # a session nobody uses harms nobody
            raise TryAgain(self.system, lost.message) from lost
        return int(result[0]), str(result[1])

    @property
    def _path(self) -> str:
        return f"/{self.database}/rpc/"

    def _called(
        self, method: str, params: Sequence[Any], context: Mapping[str, Any], *, safe: bool
    ) -> Any:
        if self._authorization is None:
            self.sign_in()
        answer = self._with_context(method, params, context, safe=safe)
        if answer.status_code == 401:  # sessions age; a refused call did nothing
            self.sign_in()
            answer = self._with_context(method, params, context, safe=safe)
        self._check_status(answer)
        return self._result(answer)

    def _with_context(
        self, method: str, params: Sequence[Any], context: Mapping[str, Any], *, safe: bool
    ) -> httpx.Response:
        return self._post(self._path, method, [*params, {**self._context, **context}], safe=safe)

    def _post(self, path: str, method: str, params: list[Any], *, safe: bool) -> httpx.Response:
        # Exactly these three keys: with others, errors come back as HTML pages.
        body = {"id": next(self._ids), "method": method, "params": params}
        headers = {"Content-Type": "application/json", "Accept-Encoding": "gzip"}
        if self._authorization:
            headers["Authorization"] = self._authorization
        return self.http.post(
            path, content=encoded(body), headers=headers, extensions={"safe": safe}
        )

    def _check_status(self, answer: httpx.Response) -> None:
        status = answer.status_code
        if status == 404:
            raise Refused(self.system, f"there is no database {self.database!r}", code="404")
        if status in (400, 403, 413, 422):
            what = f"answered {status} to a call it should know"
            raise ContractBroken(self.system, what, code=str(status))
        if status == 401:
            raise SignInAgain(self.system, "the session is not accepted", code="401")
        raise_for_refusal(self.system, answer, str(status), "")

    def _result(self, answer: httpx.Response) -> Any:
        body = exact_json(self.system, answer.content)
        if not isinstance(body, dict) or not ({"result", "error"} & body.keys()):
            raise ContractBroken(self.system, "the answer is no JSON-RPC answer")
        if "error" in body:
            raise failure(self.system, body["error"])
        return decoded(body["result"])


def failure(system: str, error: Any) -> RemoteError:
    """Make the error to raise from what stands under `error`."""
    kind, detail = (error[0], error[1:]) if isinstance(error, list) and error else (error, [])
    parts = detail[0] if detail and isinstance(detail[0], list) else []
    if kind == "UserError":
        return _broken_rule(system, parts)
    if kind == "UserWarning" and len(parts) >= 2:
        return Consent(system, _plain(parts[1]), code=str(parts[0]))
    if kind == "ConcurrencyException":
        return TryAgain(system, _plain(detail[0] if detail else kind), code=kind)
    if kind == "LoginException":
        return SignInAgain(system, "the server asks for a password", code=kind)
    if kind == "RateLimitException":
        return Throttled(system, "too many calls", code=kind)
    # Anything else is an exception of its code: an unknown field, model or value.
    return ContractBroken(system, f"failed with {_plain(kind)}")


def _broken_rule(system: str, parts: Sequence[Any]) -> RemoteError:
    message = ". ".join(_plain(part) for part in parts[:2] if part)
    kind = Missing if "that don't exist" in message else Refused
    return kind(system, message or "a rule was broken", code="UserError")


def _plain(text: Any) -> str:
    """Text with the no-break spaces of numbers and money made plain."""
    return str(text).replace("\u00a0", " ").replace("\u202f", " ")


def halving(
    things: Sequence[T], act: Callable[[Sequence[T]], Sequence[R]]
) -> Iterator[tuple[T, R | RemoteError]]:
    """Act on all at once; where one bad thing undoes the whole call, on halves down to it."""
    if not things:
        return
    try:
        results = act(things)
    except (Refused, ContractBroken) as fault:
        if len(things) == 1:
            yield things[0], fault
            return
        middle = len(things) // 2
        yield from halving(things[:middle], act)
        yield from halving(things[middle:], act)
        return
    yield from zip(things, results, strict=True)


def not_unique(outcome: object) -> bool:
    """Whether a create was refused because the thing is there; only the wording says so."""
    return isinstance(outcome, Refused) and NOT_UNIQUE in outcome.message


def batches(things: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """Cut a sequence into pieces of at most `size`."""
    for start in range(0, len(things), size):
        yield things[start : start + size]


def encoded(body: Any) -> bytes:
    """Write a call; amounts and days in Tryton's tagged form, so that no float is in between."""
    return json.dumps(body, default=_tagged).encode()


def _tagged(value: object) -> Payload:
    if isinstance(value, Decimal):
        return {"__class__": "Decimal", "decimal": str(value)}
    if isinstance(value, datetime) and value.tzinfo is not None:
        return _utc(value.astimezone(UTC))
    if isinstance(value, date) and not isinstance(value, datetime):
        return {
            "__class__": "date",
            "year": value.year,
            "month": value.month,
            "day": value.day,
        }
    raise TypeError(f"no JSON form of {type(value).__name__}")


def _utc(moment: datetime) -> Payload:
    """A moment as it is kept there: in UTC, without saying so."""
    names = ("year", "month", "day", "hour", "minute", "second", "microsecond")
    return {"__class__": "datetime", **{name: getattr(moment, name) for name in names}}


def decoded(value: Any) -> Any:
    """Read an answer: amounts as `Decimal`, days and UTC instants as ISO text."""
    if isinstance(value, list):
        return [decoded(part) for part in value]
    if not isinstance(value, dict):
        return value
    reader = READERS.get(value.get("__class__", ""))
    if reader is not None:
        return reader(value)
    return {key: decoded(part) for key, part in value.items()}


def _instant(value: Payload) -> str:
    day = date(value["year"], value["month"], value["day"])
    names = ("hour", "minute", "second", "microsecond")
    hour, minute, second, micro = (int(value.get(name, 0)) for name in names)
    return datetime.combine(day, time(hour, minute, second, micro, UTC)).isoformat()


def _day(value: Payload) -> str:
    return date(value["year"], value["month"], value["day"]).isoformat()


READERS: Mapping[str, Callable[[Payload], Any]] = {
    "Decimal": lambda value: Decimal(value["decimal"]),
    "datetime": _instant,
    "date": _day,
}
