"""Reads a WooCommerce shop over its REST API v3: orders, customers and notes, text as sent.

Products, categories, webhooks, refunds, shipping notices and exchanges are read and written by the
parts beside this file. No meaning is given to what was read, and no page is trusted to be whole: a
list that moves while it is read is read in a way that neither loses nor doubles a row.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import httpx

from resources.errors import ContractBroken, Missing, Refused, TryAgain
from resources.http import exact_json, raise_for_refusal, redacted_url
from resources.pages import NO_DATE, Broken, Raw, thing, things
from resources.systems.woocommerce_bounds import EVER, SECOND, Params, between, by_id, floor
from resources.systems.woocommerce_categories import CategoryCalls
from resources.systems.woocommerce_exchanges import ExchangeCalls
from resources.systems.woocommerce_fulfilments import FulfilmentCalls
from resources.systems.woocommerce_presence import PresenceCalls
from resources.systems.woocommerce_product_writes import ProductWrites
from resources.systems.woocommerce_products import ProductCalls
from resources.systems.woocommerce_refunds import RefundCalls, of_order
from resources.systems.woocommerce_webhooks import WebhookCalls

__all__ = ["Broken", "Raw", "Shop", "WooCommerce"]

API = "/wp-json/wc/v3"
PASSES = 5
#: What a list must be asked with again when some of its rows are asked for by id.
SAME_LIST = ("status", "role", "context")
TOTALS = "id,total,currency,date_created_gmt,date_modified_gmt"
#: Where each kind of thing says when it changed; accounts never edited have no change.
CHANGED = {
    "orders": ("date_modified_gmt",),
    "products": ("date_modified_gmt",),
    "variations": ("date_modified_gmt",),
    "customers": ("date_modified_gmt", "date_created_gmt"),
    "notes": ("date_created_gmt",),
    "refunds": ("date_created_gmt",),
}


@dataclass(frozen=True)
class Shop:
    """What the open index of a site says about it."""

    name: str
    timezone: str
    gmt_offset: Decimal

    def __str__(self) -> str:
        return f"{self.name}, {self.timezone or f'UTC{self.gmt_offset:+}'}"


@dataclass(frozen=True)
class _Page:
    """What could be read of one answer, and what broke it off."""

    items: list[Raw | Broken]
    total: int | None
    fault: ContractBroken | None

    def check(self) -> None:
        """Raise what broke the page off."""
        if self.fault:
            raise self.fault

    def is_last(self, number: int, size: int) -> bool:
        """Whether nothing follows page `number`; rows may be hidden, so totals go first."""
        if self.total is not None:
            return number * size >= self.total
        return len(self.items) < size

    def stamps(self) -> list[datetime]:
        """When its rows changed, in the order they came."""
        return [item.changed_at for item in self.items if isinstance(item, Raw)]


class WooCommerce(
    ProductCalls,
    ProductWrites,
    CategoryCalls,
    WebhookCalls,
    PresenceCalls,
    RefundCalls,
    FulfilmentCalls,
    ExchangeCalls,
):
    """One store. `http` carries its address and keys; see `resources.http.client`."""

    per_page = 100

    def __init__(
        self, http: httpx.Client, store: str, lag_seconds: float = 30, overlap_seconds: float = 300
    ) -> None:
        self.http, self.store, self.name = http, store, f"woocommerce:{store}"
        self.lag, self.overlap = timedelta(seconds=lag_seconds), timedelta(seconds=overlap_seconds)

    def window(self, read_until: datetime, now: datetime) -> tuple[datetime, datetime]:
        """From when to when to read next: half-built orders stand still after the lag."""
        return read_until - self.overlap, now - self.lag

    def ping(self) -> Shop:
        """Ask who the shop is and whether it takes our key; raises SignInAgain if not."""
        fields = "name,timezone_string,gmt_offset,namespaces"
        answer = self.http.get("/wp-json/", params={"_fields": fields}, auth=None)
        self._refuse(answer)
        index = exact_json(self.name, answer.content)
        if not isinstance(index, dict):
            raise ContractBroken(self.name, "the site's index is not an object")
        if "wc/v3" not in index.get("namespaces", ["wc/v3"]):
            raise Refused(self.name, "the site has no WooCommerce API; is the plugin active?")
        self._page("orders", {"per_page": 1}, fields="id").check()
        name, zone = str(index.get("name", "")), str(index.get("timezone_string", ""))
        return Shop(name, zone, Decimal(str(index.get("gmt_offset") or 0)))

    def orders_changed_since(
        self, moment: datetime, until: datetime
    ) -> Iterator[list[Raw | Broken]]:
        """Yield pages of live orders changed from `moment` on and before `until`, oldest first."""
        yield from self._changes("orders", moment, until, {})

    def orders_trashed_since(
        self, moment: datetime, until: datetime
    ) -> Iterator[list[Raw | Broken]]:
        """Yield pages of orders in the trash; the shop shows them to no other question."""
        yield from self._changes("orders", moment, until, {"status": "trash"})

    def orders_placed_between(self, start: datetime, end: datetime) -> Iterator[list[Raw | Broken]]:
        """Yield pages of live orders placed from `start` on and before `end`."""
        placed = between("after", floor(start) - SECOND, "before", floor(end))
        yield from self._whole("orders", placed, set())

    def order_totals(self, until: datetime) -> Iterator[list[dict[str, Any]]]:
        """Yield pages of id, total, currency and dates of all live orders changed before `until`.

        For comparing sides: a tenth of the bytes, and no version to keep.
        """
        before = between("modified_after", EVER, "modified_before", floor(until))
        number = 0
        while True:
            number += 1
            page = self._page("orders", {**before, **by_id(number)}, fields=TOTALS)
            page.check()
            yield [item.body for item in page.items if isinstance(item, Raw)]
            if page.is_last(number, self.per_page):
                return

    def orders_by_id(self, ids: Iterable[str | int]) -> list[Raw | Broken]:
        """Return the orders that exist, in the trash or not; what is absent is gone for good."""
        found: list[Raw | Broken] = []
        for batch in self._batches(ids):
            found += self._included("orders", batch, {"status": "any"})
            found += self._included("orders", _absent(batch, found), {"status": "trash"})
            # Drafts are in neither list; that a thing is gone only its own address can tell.
            found += [order for key in _absent(batch, found) if (order := self._one("orders", key))]
        return found

    def customers(self) -> Iterator[list[Raw | Broken]]:
        """Yield pages of all accounts; administrators may be buyers too."""
        yield from self._whole("customers", {"role": "all"}, set())

    def customers_page(self, page: int) -> list[Raw | Broken]:
        """Return one page of all accounts in the order of their ids."""
        read = self._page("customers", {"role": "all", **by_id(page)})
        read.check()
        return read.items

    def customers_by_id(self, ids: Iterable[str | int]) -> list[Raw | Broken]:
        """Return the accounts that exist."""
        return [
            account
            for batch in self._batches(ids)
            for account in self._included("customers", batch, {"role": "all"})
        ]

    def order_notes(self, order_id: str | int) -> list[Raw | Broken]:
        """Return all notes of an order, none if it is gone; their id is `<order>:<note>`.

        A note does not name its order, and is kept apart from it.
        """
        try:
            page = self._page(f"orders/{int(order_id)}/notes", {})
        except Missing as answer:
            return _if_gone(answer)
        page.check()
        return [of_order(order_id, note) for note in page.items]

    def _changes(
        self, path: str, moment: datetime, until: datetime, asked: Params
    ) -> Iterator[list[Raw | Broken]]:
        """Always ask for the first page after the last stamp; offsets would move with the rows."""
        after, seen = floor(moment) - SECOND, set[tuple[str, object]]()
        until = floor(until)
        while True:
            window = asked | between("modified_after", after, "modified_before", until)
            page = self._page(path, {**window, "orderby": "modified", "order": "asc"})
            stamps, last_page = page.stamps(), page.is_last(1, self.per_page)
            if stamps != sorted(stamps) and not page.fault:
                yield from self._in_order(path, window, seen)
                return
            yield from _fresh(page.items, seen)
            page.check()
            if last_page:
                return
            if not stamps or stamps[0] <= after:
                raise ContractBroken(self.name, "the shop ignores modified_after")
            if stamps[-1] - SECOND > after:
                after = stamps[-1] - SECOND
            else:  # one second fills the page: read that second whole, then go on behind it
                second = between("modified_after", after, "modified_before", after + 2 * SECOND)
                yield from self._whole(path, asked | second, seen)
                after += SECOND
            seen = {key for key in seen if not isinstance(key[1], datetime) or key[1] > after}

    def _in_order(
        self, path: str, window: Params, seen: set[tuple[str, object]]
    ) -> Iterator[list[Raw | Broken]]:
        """Read a window the shop does not sort by UTC: post storage sorts by site time.

        Whoever keeps the pages may take the newest stamp of one as read up to, so all of it is
        read before the first page is given out.
        """
        rows = [item for page in self._whole(path, window, seen) for item in page]
        yield from self._by_change(rows)

    def _by_change(self, rows: list[Raw | Broken]) -> Iterator[list[Raw | Broken]]:
        """Yield pages of what was read, oldest change first."""
        rows.sort(key=lambda item: item.changed_at if isinstance(item, Raw) else NO_DATE)
        for start in range(0, len(rows), self.per_page):
            yield rows[start : start + self.per_page]

    def _whole(
        self, path: str, asked: Params, seen: set[tuple[str, object]]
    ) -> Iterator[list[Raw | Broken]]:
        """Walk a list by id; one longer than a page is confirmed by a second, light reading."""
        number, ids = 0, set[str]()
        while True:
            number += 1
            page = self._page(path, {**asked, **by_id(number)})
            ids |= self._new(page, ids)
            yield from _fresh(page.items, seen)
            page.check()
            if page.is_last(number, self.per_page):
                break
        if number > 1:
            yield from self._missed(path, asked, seen, ids)

    def _missed(
        self, path: str, asked: Params, seen: set[tuple[str, object]], ids: set[str]
    ) -> Iterator[list[Raw | Broken]]:
        """Ask by id for what a row leaving the list moved past the walk."""
        same_list: Params = {key: asked[key] for key in SAME_LIST if key in asked}
        before: set[str] = set()
        for _ in range(PASSES):
            listed, is_steady = self._ids(path, asked)
            for batch in self._batches(sorted(listed - ids, key=int)):
                yield from _fresh(self._included(path, batch, same_list), seen)
            ids |= listed
            if is_steady or listed == before:
                return
            before = listed
        raise TryAgain(self.name, f"the list of {path} changed under {PASSES} readings")

    def _ids(self, path: str, asked: Params) -> tuple[set[str], bool]:
        """The ids of a list, and whether it stood still meanwhile."""
        number, nameless, ids, totals = 0, 0, set[str](), set[int | None]()
        while True:
            number += 1
            page = self._page(path, {**asked, **by_id(number)}, fields="id")
            page.check()
            ids |= self._new(page, ids)
            nameless += sum(item.resource_id is None for item in page.items)
            totals.add(page.total)
            if page.is_last(number, self.per_page):
                return ids, totals <= {None, len(ids) + nameless}

    def _new(self, page: _Page, ids: set[str]) -> set[str]:
        """The ids a further page brings; one that brings none is the page before once more."""
        new = {item.resource_id for item in page.items if item.resource_id} - ids
        if page.items and ids and not new:
            raise ContractBroken(self.name, "the shop answers the same page again and again")
        return new

    def _included(self, path: str, ids: list[str], asked: Params) -> list[Raw | Broken]:
        if not ids:
            return []
        page = self._page(path, {**asked, "include": ",".join(ids)})
        page.check()
        return page.items

    def _batches(self, ids: Iterable[str | int]) -> Iterator[list[str]]:
        """Ids once each, in the number the shop answers at once; words are no ids."""
        wanted = [key for key in dict.fromkeys(map(str, ids)) if key.isascii() and key.isdecimal()]
        for start in range(0, len(wanted), self.per_page):
            yield wanted[start : start + self.per_page]

    def _one(self, path: str, key: str, asked: Params | None = None) -> Raw | Broken | None:
        try:
            answer = self.http.get(f"{API}/{path}/{key}", params=asked)
            self._refuse(answer)
        except Missing as fault:
            _if_gone(fault)
            return None
        value = exact_json(self.name, answer.content)
        return thing(self.store, answer.text, value, CHANGED[path])

    def _page(self, path: str, asked: Params, *, fields: str | None = None) -> _Page:
        params: Params = {"per_page": self.per_page, **asked}
        if fields:
            params["_fields"] = fields
        answer = self.http.get(f"{API}/{path}", params=params)
        self._refuse(answer)
        dates = () if fields else CHANGED[path.rpartition("/")[2]]
        items, reason = things(self.store, answer.content, dates)
        said = answer.headers.get("X-WP-Total", "")
        total = int(said) if said.isdecimal() else None
        hidden = 0 if reason or total is None else _hidden(params, total, len(items))
        if hidden and not items:
            reason = f"is empty, though the shop counts {total}"
        elif hidden and not fields:
            # Objects the shop cannot load are left out of its lists, and counted all the same.
            items.append(
                Broken(self.store, None, "", f"the shop counts {hidden} more than it shows")
            )
        fault = ContractBroken(self.name, f"the page of {path} {reason}") if reason else None
        return _Page(items, total, fault)

    def _refuse(self, answer: httpx.Response) -> None:
        """Raise what an answer other than a good one means, with what to do about it."""
        if answer.is_redirect:
            there = redacted_url(answer.headers.get("Location", ""))
            raise Refused(self.name, f"the shop sends us on to {there}; use that address")
        if answer.status_code < 400:
            return
        code, message = _complaint(answer)
        if answer.status_code == 401:
            message = (
                f"the shop does not accept the key: {message or 'no reason given'} {_hint(answer)}"
            )
        raise_for_refusal(self.name, answer, code, message)


def _hint(answer: httpx.Response) -> str:
    if answer.request.url.scheme == "http":
        return "WooCommerce ignores keys over plain http; use the https address."
    return (
        "Check key, secret and rights; behind a proxy, check that the shop knows it is "
        "called over TLS."
    )


def _complaint(answer: httpx.Response) -> tuple[str | None, str]:
    """WooCommerce's code and message; a security plugin may answer anything else."""
    try:
        body = json.loads(answer.content)
    except (ValueError, RecursionError):
        return None, ""
    if not isinstance(body, dict):
        return None, ""
    code = body.get("code")
    return str(code) if code is not None else None, str(body.get("message", ""))


def _if_gone(answer: Missing) -> list[Raw | Broken]:
    """Nothing, if the shop said the id is unknown; a missing route proves nothing."""
    if answer.code and answer.code.endswith("invalid_id"):
        return []
    raise answer


def _absent(ids: list[str], found: list[Raw | Broken]) -> list[str]:
    there = {item.resource_id for item in found}
    return [key for key in ids if key not in there]


def _fresh(
    items: list[Raw | Broken], seen: set[tuple[str, object]]
) -> Iterator[list[Raw | Broken]]:
    """Yield the items not given out yet in this state, as a page, if there are any."""
    fresh = []
    for item in items:
        key = ("", item.text) if isinstance(item, Broken) else (item.resource_id, item.changed_at)
        if key not in seen:
            seen.add(key)
            fresh.append(item)
    if fresh:
        yield fresh


def _hidden(asked: Params, total: int, shown: int) -> int:
    """How many rows a page lacks by the shop's own count."""
    size, page = int(asked["per_page"]), int(asked.get("page", 1))
    return max(0, min(size, total - (page - 1) * size) - shown)
