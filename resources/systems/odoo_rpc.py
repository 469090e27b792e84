"""JSON-RPC with one Odoo database as one user: envelope, sign-in, context, `load`, and what its
errors mean. Which models and methods are called is in `odoo.py`.

One call is one transaction there: a call answered with an error did nothing.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import httpx

from resources.errors import (
    ContractBroken,
    Missing,
    Refused,
    RemoteError,
    SignInAgain,
    TryAgain,
    UnknownOutcome,
)
from resources.http import exact_json, raise_for_refusal

Payload = dict[str, Any]
T = TypeVar("T")

#: What an exception of the server means; any other is a call the server cannot understand.
MEANING: Mapping[str, type[RemoteError]] = {
    "odoo.exceptions.AccessDenied": SignInAgain,
    "odoo.exceptions.UserError": Refused,
    "odoo.exceptions.RedirectWarning": Refused,
    "odoo.exceptions.ValidationError": Refused,
    "odoo.exceptions.AccessError": Refused,
    "odoo.exceptions.MissingError": Missing,
    "psycopg2.errors.SerializationFailure": TryAgain,
    "psycopg2.errors.DeadlockDetected": TryAgain,
    "psycopg2.errors.LockNotAvailable": TryAgain,
    "odoo.sql_db.PoolError": TryAgain,
}
NO_CONNECTION = "psycopg2.OperationalError"
#: Inside `load` a lost race has no name, only Postgres's words.
LOST_RACE = ("could not serialize access", "deadlock detected")
LOAD_ATTEMPTS = 3


@dataclass(frozen=True)
class Row:
    """One row of a `load`; rows of the same key are taken or refused together."""

    key: str
    values: Mapping[str, str]


class Session:
    """Calls methods of one database; signs in before the first."""

    def __init__(
        self, http: httpx.Client, database: str, login: str, secret: str, system: str
    ) -> None:
        self.http, self.database, self.login, self.system = http, database, login, system
        self._secret = secret
        self._user: int | None = None
        self._companies: list[int] | None = None
        self._fields: dict[str, frozenset[str]] = {}

    def version(self) -> str:
        """Name the server's version; needs no user."""
        answer = self._post("common", "version", [], safe=True)
        if not isinstance(answer, dict) or "server_version" not in answer:
            raise ContractBroken(self.system, "the server does not tell its version")
        return str(answer["server_version"])

    def sign_in(self) -> int:
        """Exchange login and key for the user's id."""
        secret = [self.database, self.login, self._secret, {}]
        user = self._post("common", "authenticate", secret, safe=True)
        if not isinstance(user, int) or not user:
            text = f"user {self.login!r} is not accepted by database {self.database!r}"
            raise SignInAgain(self.system, text)
        self._user = user
        return user

    def rows(
        self, model: str, domain: list[Any], fields: Sequence[str], **options: Any
    ) -> list[Payload]:
        """Records of a model; `context` among the options is added to the usual one."""
        rows = self._call(model, "search_read", [domain, list(fields)], options, safe=True)
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise ContractBroken(self.system, f"{model}.search_read answered no list of records")
        return rows

    def write(self, model: str, method: str, args: list[Any], **context: Any) -> Any:
        """Call a method that may change something; repeated only when it never arrived."""
        return self._call(model, method, args, {"context": context}, safe=False)

    def field_names(self, model: str) -> frozenset[str]:
        """Names of a model's fields in this database; asked once."""
        if model not in self._fields:
            found = self._call(model, "fields_get", [[]], {"attributes": ["type"]}, safe=True)
            if not isinstance(found, dict):
                raise ContractBroken(self.system, f"{model}.fields_get answered no fields")
            self._fields[model] = frozenset(found)
        return self._fields[model]

    def load(self, model: str, rows: Sequence[Row]) -> dict[str, list[int] | RemoteError]:
        """Create or update records by external id; answers ids, or the refusal, per key.

        One `load` is all or nothing, so keys that were refused are taken out and the rest is
        sent again; a lost race is run again a few times.
        """
        answers: dict[str, list[int] | RemoteError] = {}
        left, races = list(rows), 0
        while left:
            ids, errors = self._load_once(model, left)
            if ids is not None:
                return answers | _ids_by_key(left, ids)
            if any(word in _text(error) for error in errors for word in LOST_RACE):
                races += 1
                if races == LOAD_ATTEMPTS:
                    lost = TryAgain(self.system, f"others write the same {model} records")
                    return answers | dict.fromkeys((row.key for row in left), lost)
                continue
            refused = self._refused(left, errors)
            answers |= refused
            left = [row for row in left if row.key not in refused]
        return answers

    def _load_once(self, model: str, rows: Sequence[Row]) -> tuple[list[int] | None, list[Payload]]:
        columns = list(rows[0].values)
        data = [[row.values[column] for column in columns] for row in rows]
        answer = self.write(model, "load", [columns, data])
        ids = answer.get("ids") if isinstance(answer, dict) else None
        if (ids and len(ids) != len(rows)) or not isinstance(answer, dict):
            raise UnknownOutcome(self.system, f"{model}.load answered for other rows than sent")
        messages = answer.get("messages") or []
        return ids or None, [one for one in messages if one.get("type") != "warning"]

    def _refused(self, rows: Sequence[Row], errors: list[Payload]) -> dict[str, RemoteError]:
        refused: dict[str, RemoteError] = {}
        for error in errors:
            record = error.get("record")
            if isinstance(record, int) and record < len(rows):
                refusal = Refused(self.system, _text(error), code=error.get("field") or None)
                refused.setdefault(rows[record].key, refusal)
        if not refused:
            said = "; ".join(map(_text, errors)) or "load refused without a reason"
            return {row.key: Refused(self.system, said) for row in rows}
        if len(refused) > 1:
            # Odoo also books the failure of a whole batch to its first row. It is sent once
            # more with the rest; if it is guilty, it will be the one accused then.
            refused.pop(rows[0].key, None)
        return refused

    def _call(
        self, model: str, method: str, args: list[Any], options: Mapping[str, Any], *, safe: bool
    ) -> Any:
        user = self._user or self.sign_in()
        context = self._context(user) | options.get("context", {})
        keywords = {**options, "context": context}
        target = [self.database, user, self._secret, model, method, args, keywords]
        return self._post("object", "execute_kw", target, safe=safe)

    def _context(self, user: int) -> Payload:
        """Nothing is left to the user's own settings: wording, clock and companies are ours."""
        context: Payload = {"lang": "en_US", "tz": "UTC"}
        if self._companies is None:
            query = [
                "res.company",
                "search_read",
                [[], ["id"]],
                {"order": "id", "context": context},
            ]
            target = [self.database, user, self._secret, *query]
            found = self._post("object", "execute_kw", target, safe=True)
            self._companies = [row["id"] for row in found]
        return {**context, "allowed_company_ids": self._companies}

    def _post(self, service: str, method: str, args: list[Any], *, safe: bool) -> Any:
        params = {"service": service, "method": method, "args": args}
        body = {"jsonrpc": "2.0", "method": "call", "id": 1, "params": params}
        response = self.http.post("/jsonrpc", json=body, extensions={"safe": safe})
        raise_for_refusal(self.system, response, None, "")
        answer = self._envelope(response, safe)
        if "error" in answer:
            raise self._error(answer["error"], safe)
        # A method that returns nothing is answered without any result.
        return answer.get("result")

    def _envelope(self, response: httpx.Response, safe: bool) -> Payload:
        try:
            answer = exact_json(self.system, response.content)
            if not isinstance(answer, dict) or "jsonrpc" not in answer:
                raise ContractBroken(self.system, "the answer is not JSON-RPC")
        except ContractBroken as broken:
            if safe:
                raise
            raise UnknownOutcome(self.system, broken.message) from broken
        return answer

    def _error(self, error: Payload, safe: bool) -> RemoteError:
        """The error as ours, by its name; the server's traceback is left behind."""
        data = error.get("data") or {}
        name, said = str(data.get("name", "")), str(data.get("message") or error.get("message"))
        if name == NO_CONNECTION:
            return self._no_connection(said, safe)
        kind = MEANING.get(name, ContractBroken)
        if kind is SignInAgain:
            self._user = None
        return kind(self.system, said.strip(), code=name or None)

    def _no_connection(self, said: str, safe: bool) -> RemoteError:
        """The server cannot reach Postgres; only its words tell a wrong name from an outage."""
        if "does not exist" in said:
            text = f"there is no database {self.database!r} on this server"
            return Refused(self.system, text, code=NO_CONNECTION)
        kind = TryAgain if safe else UnknownOutcome
        return kind(self.system, "the server has no connection to its database", code=NO_CONNECTION)


def _ids_by_key(rows: Sequence[Row], ids: Sequence[int]) -> dict[str, list[int] | RemoteError]:
    found: dict[str, list[int]] = {}
    for row, id_ in zip(rows, ids, strict=True):
        found.setdefault(row.key, []).append(id_)
    return dict(found)


def _text(error: Payload) -> str:
    return str(error.get("message") or "").strip()


def batches(things: Iterable[T], size: int) -> Iterator[list[T]]:
    """Yield lists of at most `size` things."""
    batch: list[T] = []
    for thing in things:
        batch.append(thing)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch
