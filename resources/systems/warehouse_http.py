"""A warehouse that speaks our own plain contract (docs/warehouse-http.md): one method per thing we
ask of it, payloads as sent.

Requests to ship are put under our key, so that a repeated one makes no second; what a payload means
is for the mapper of the same name.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import httpx

from resources.errors import (
    ContractBroken,
    Missing,
    Refused,
    RemoteError,
    UnknownOutcome,
)
from resources.http import exact_json, raise_for_refusal
from resources.pages import Broken, Raw
from resources.systems.roles import Payload
from resources.systems.warehouse_items import Page, page

ORDERS, SHIPMENTS, RETURNS = "fulfilment-orders", "shipments", "returns"
#: How many things are asked for by name in one call, and how many come in one page.
KEY_BATCH, PAGE_SIZE = 50, 100


class WarehouseHttp:
    """One account of one warehouse; fills the role `Warehouse`."""

    def __init__(self, http: httpx.Client, system: str) -> None:
        self.http, self.system = http, system

    def ping(self) -> str:
        """Ask who answers; raises SignInAgain where our token is not taken."""
        answer = self._get("ping", {})
        said = exact_json(self.system, answer.content)
        if not isinstance(said, dict) or not isinstance(said.get("name"), str):
            raise ContractBroken(self.system, "the answer to ping names nobody")
        return str(said["name"])

    # What it shall ship

    def fulfilments(self, keys: Sequence[str]) -> dict[str, Payload]:
        """What the warehouse holds for our keys; unknown keys are absent."""
        found: dict[str, Payload] = {}
        for batch in _batches(keys):
            items = self._items(self._get(ORDERS, {"keys": ",".join(batch)}))
            found |= {one["key"]: one for one in items if one.get("key") in batch}
        return found

    def put_fulfilments(self, orders: Sequence[Payload]) -> dict[str, RemoteError]:
        """Ask for each under its key; answers the refusals only."""
        refused: dict[str, RemoteError] = {}
        for order in orders:
            try:
                self._write("PUT", _at(order["key"]), order["key"], order)
            except Refused as no:
                refused[order["key"]] = no
        return refused

    def cancel_fulfilments(self, keys: Sequence[str]) -> dict[str, RemoteError]:
        """Take requests back; answers the refusals only. What is not there is none."""
        refused: dict[str, RemoteError] = {}
        for key in dict.fromkeys(keys):
            try:
                self._write("POST", f"{_at(key)}/cancel", key, {})
            except Missing as no:
                if no.code != "not_found":  # some other server's 404 proves nothing
                    refused[key] = no
            except Refused as no:
                refused[key] = no
        return refused

    def _write(self, method: str, path: str, key: str, body: Payload) -> None:
        """Believe only an answer that names our key; anything else has to be looked up."""
        answer = self.http.request(method, path, json=body)
        self._refuse(answer)
        try:
            said = exact_json(self.system, answer.content)
        except ContractBroken as fault:
            raise UnknownOutcome(self.system, fault.message) from fault
        if not answer.is_success or not isinstance(said, dict) or said.get("key") != key:
            text = f"answered {answer.status_code} without naming what was asked for"
            raise UnknownOutcome(self.system, text)

    # What left, and what comes back

    def shipments_changed_since(
        self, moment: datetime, overlap: timedelta
    ) -> Iterator[list[Raw | Broken]]:
        """Yield pages of shipments that changed, oldest change first."""
        return self._changes(SHIPMENTS, moment - overlap)

    def shipments_by_id(self, ids: Sequence[str]) -> list[Raw | Broken]:
        """The shipments that exist, whole."""
        return self._by_id(SHIPMENTS, ids)

    def returns_changed_since(
        self, moment: datetime, overlap: timedelta
    ) -> Iterator[list[Raw | Broken]]:
        """Yield pages of goods that come back, oldest change first."""
        return self._changes(RETURNS, moment - overlap)

    def returns_by_id(self, ids: Sequence[str]) -> list[Raw | Broken]:
        """The returns that exist, whole."""
        return self._by_id(RETURNS, ids)

    def _changes(self, path: str, since: datetime) -> Iterator[list[Raw | Broken]]:
        """Follow the cursor; whoever keeps a page takes its newest change as read up to."""
        since = since.astimezone(UTC).replace(microsecond=0)  # some keep whole seconds only
        asked = {"changed_since": since.isoformat(), "limit": str(PAGE_SIZE)}
        newest, cursors = since, set[str]()
        while True:
            read = page(self.system, self._get(path, asked).content)
            stamps = [newest, *(one.changed_at for one in read.items if isinstance(one, Raw))]
            if stamps != sorted(stamps):
                raise ContractBroken(self.system, f"the {path} do not come oldest change first")
            yield read.items
            self._check(read, path)
            if read.next is None:
                return
            if read.next in cursors:
                raise ContractBroken(self.system, f"the pages of {path} go round in a circle")
            cursors.add(read.next)
            newest, asked = stamps[-1], {**asked, "cursor": read.next}

    def _by_id(self, path: str, ids: Sequence[str]) -> list[Raw | Broken]:
        found: list[Raw | Broken] = []
        for batch in _batches(ids):
            read = page(self.system, self._get(path, {"ids": ",".join(batch)}).content)
            self._check(read, path)
            found += [one for one in read.items if one.resource_id in (*batch, None)]
        return found

    def _check(self, read: Page, path: str) -> None:
        if read.fault:
            raise ContractBroken(self.system, f"the page of {path} {read.fault}")

    # The wire

    def _get(self, path: str, asked: Mapping[str, str]) -> httpx.Response:
        answer = self.http.get(f"/{path}", params=asked)
        self._refuse(answer)
        if not answer.is_success:
            raise ContractBroken(self.system, f"answered {answer.status_code} for {path}")
        return answer

    def _items(self, answer: httpx.Response) -> list[dict[str, Any]]:
        said = exact_json(self.system, answer.content)
        items = said.get("items") if isinstance(said, dict) else None
        if not isinstance(items, list) or not all(isinstance(one, dict) for one in items):
            raise ContractBroken(self.system, "the answer is no list of items")
        return items

    def _refuse(self, answer: httpx.Response) -> None:
        """Raise what a 4xx or 5xx answer means, in the warehouse's own words where it has any."""
        if answer.status_code >= 400:
            raise_for_refusal(self.system, answer, *_error(answer))


def _error(answer: httpx.Response) -> tuple[str | None, str]:
    """Code and message of an error body, with the names of the fields that are meant."""
    try:
        error = answer.json()["error"]
        code, message, fields = error["code"], error["message"], error.get("fields") or []
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None, ""
    named = ", ".join(str(field) for field in fields) if isinstance(fields, list) else ""
    return str(code), f"{message} ({named})" if named else str(message)


def _at(key: str) -> str:
    return f"/{ORDERS}/{quote(key, safe='')}"


def _batches(names: Iterable[str]) -> Iterator[list[str]]:
    """Names once each; one with a comma cannot be asked for in a list."""
    wanted = [name for name in dict.fromkeys(names) if name and "," not in name]
    for start in range(0, len(wanted), KEY_BATCH):
        yield wanted[start : start + KEY_BATCH]
