"""ShipBob's REST API of 2026-01: calls, pages, and what its refusals say. No meaning is given to
what is read; which calls are made is in `shipbob.py`.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from urllib.parse import parse_qs, urlsplit

import httpx

from resources.errors import ContractBroken, UnknownOutcome
from resources.http import exact_json, raise_for_refusal
from resources.pages import Broken, Raw, things
from resources.systems.json_cuts import Cut, members
from resources.systems.roles import Payload

VERSION = "/2026-01"
#: The most orders a page holds; other lists say no limit of theirs.
ORDERS_PAGE, LIST_PAGE = 250, 100
#: Keys and ids asked for at once: with more the address gets too long for gateways on the way.
BATCH = 50

Asked = Mapping[str, str | int]


class Api:
    """Calls of one account on behalf of one of its channels."""

    def __init__(self, http: httpx.Client, system: str, channel_id: int) -> None:
        self.http, self.system, self.channel_id = http, system, channel_id
        self._channel = {"shipbob_channel_id": str(channel_id)}

    def get(self, path: str, asked: Asked | None = None, *, any_channel: bool = False) -> str:
        """Return the text of an answer to a read."""
        headers = {} if any_channel else self._channel
        answer = self.http.get(VERSION + path, params=asked, headers=headers)
        self._refuse(answer)
        return answer.text

    def write(self, method: str, path: str, body: Payload | None = None) -> Payload:
        """Write, and return what the answer says of it."""
        content = json_of(body) if body is not None else None
        kind = {"Content-Type": "application/json"} if body is not None else {}
        answer = self.http.request(
            method, VERSION + path, content=content, headers={**self._channel, **kind}
        )
        self._refuse(answer)
        try:
            said = exact_json(self.system, answer.content)
        except ContractBroken as fault:
            raise UnknownOutcome(self.system, fault.message) from fault
        if not isinstance(said, dict):
            raise UnknownOutcome(self.system, "the answer to a write is no object")
        return said

    def orders(self, asked: Asked) -> list[Raw | Broken]:
        """Walk a list of orders by page number.

        In the order of their creation, so that one that enters the list while it is read moves
        others to later pages only: at worst an order comes twice.
        """
        found: dict[str, Raw] = {}
        broken: list[Raw | Broken] = []
        number = 0
        while True:
            number += 1
            page = {**asked, "SortOrder": "Oldest", "Page": number, "Limit": ORDERS_PAGE}
            items = self.cut("orders", self.get("/order", page))
            new = [one for one in items if one.resource_id not in found]
            found |= {one.resource_id: one for one in items if isinstance(one, Raw)}
            broken += [one for one in items if isinstance(one, Broken)]
            if len(items) < ORDERS_PAGE:
                return [*found.values(), *broken]
            if not new:
                raise ContractBroken(self.system, "the same page of orders comes again and again")

    def returns(self, asked: Asked) -> Iterator[list[Raw | Broken]]:
        """Walk a list of returns by its cursor."""
        yield from self._walked("/return", {**asked, "SortOrder": "Asc", "Limit": LIST_PAGE})

    def channels(self) -> Iterator[Payload]:
        """The channels our token has to do with."""
        for page in self._walked("/channel", {}):
            yield from (one.body for one in page if isinstance(one, Raw))

    def _walked(self, path: str, asked: Asked) -> Iterator[list[Raw | Broken]]:
        page, cursors = dict(asked), set[str]()
        while True:
            said = self.object(path, self.get(path, page, any_channel=True))
            text, items = said.get("items", ("[]", []))
            yield self.cut(path, "[]" if items is None else text)
            cursor = cursor_of(said.get("next", ("", None))[1])
            if not cursor:
                return
            if cursor in cursors:
                raise ContractBroken(self.system, f"the pages of {path} go round in a circle")
            cursors.add(cursor)
            page["Cursor"] = cursor

    def object(self, what: str, text: str) -> dict[str, Cut]:
        """Cut an object into its members."""
        try:
            return members(text)
        except (ValueError, ArithmeticError, RecursionError) as fault:
            raise ContractBroken(self.system, f"the answer on {what} is broken: {fault}") from fault

    def cut(self, what: str, text: str) -> list[Raw | Broken]:
        """Cut a list into its items; when they changed is not looked at."""
        items, reason = things(self.system, text.encode("utf-8", "replace"), ())
        if reason:
            raise ContractBroken(self.system, f"the list of {what} {reason}")
        return items

    def _refuse(self, answer: httpx.Response) -> None:
        if answer.status_code >= 400:
            raise_for_refusal(self.system, answer, str(answer.status_code), _said(answer))
        if not answer.is_success:
            raise ContractBroken(self.system, f"answered {answer.status_code}")


def _said(answer: httpx.Response) -> str:
    """What a refusal says: a map of fields, one error, or a problem; never the values."""
    try:
        body = answer.json()
    except (ValueError, RecursionError):
        return ""
    if not isinstance(body, dict):
        return ""
    for name in ("message", "detail", "title"):
        if isinstance(body.get(name), str) and body[name]:
            return str(body[name])
    fields = [
        f"{name}: {'; '.join(map(str, texts))}" if name else "; ".join(map(str, texts))
        for name, texts in body.items()
        if isinstance(texts, list)
    ]
    return ", ".join(fields)


def cursor_of(following: object) -> str | None:
    """The cursor of the next page, which comes bare or as the parameter of an address."""
    if not isinstance(following, str) or not following:
        return None
    if "?" not in following:
        return following
    asked = parse_qs(urlsplit(following).query)
    return next((values[0] for name, values in asked.items() if name.lower() == "cursor"), None)


def batches(names: Sequence[str]) -> Iterator[list[str]]:
    """Names once each; one with a comma cannot stand in a list of them."""
    wanted = [name for name in dict.fromkeys(names) if name and "," not in name]
    for start in range(0, len(wanted), BATCH):
        yield wanted[start : start + BATCH]


def said_at(moment: datetime) -> str:
    """A moment as a filter wants it; one without a zone is a mistake of the caller."""
    if moment.tzinfo is None:
        raise ValueError("a moment without a time zone")
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def json_of(body: Payload) -> bytes:
    """Write a body; amounts become numbers with the same digits."""
    return json.dumps(body, default=_number).encode()


def _number(value: object) -> float:
    if isinstance(value, Decimal) and Decimal(repr(number := float(value))) == value:
        return number
    raise TypeError(f"no exact JSON form of a {type(value).__name__}")
