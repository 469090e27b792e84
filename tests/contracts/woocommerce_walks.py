"""Recorded requests put to a stand-in shop one after another, and the answers compared."""

import json
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import httpx
from woocommerce_shop import RECORDED_HOME, Clock, Entry, replay

from resources.sandbox.woocommerce import WooCommerceStandIn

#: Not imitated: other products that suit, and prices as pages show them.
LOOSE = {"related_ids", "price_html"}


def shop_at(clock: Clock, first_id: int = 1001) -> WooCommerceStandIn:
    """An empty shop with the recorded one's first categories."""
    shop = WooCommerceStandIn("us", now=clock, first_id=first_id)
    for name in ("Lighting", "Kitchen", "Garden", "Office", "Outdoor", "Toys"):
        shop.add_category(name)
    return shop


def known(value: Any, shop: WooCommerceStandIn, swap: dict[int, int]) -> Any:
    """A recorded body in the words of our shop."""
    text = json.dumps(value, default=float).replace(RECORDED_HOME, shop.home)
    for theirs, ours in swap.items():
        text = text.replace(str(theirs), str(ours))
    return json.loads(text)


def assert_answered_alike(
    answer: httpx.Response,
    entry: Entry,
    shop: WooCommerceStandIn,
    swap: dict[int, int],
    loose: frozenset[str] = frozenset(),
) -> None:
    """The same status, and every recorded field with its value; whole bodies have no field more."""
    theirs, note = entry["response"], entry.get("note")
    ours = answer.json()
    body = theirs["body"]
    assert answer.status_code == theirs["status"], (note, ours)
    for mine, theirs_one in zip(rows(ours), rows(body), strict=True):
        learn(mine, theirs_one, swap)
        wanted = known(theirs_one, shop, swap)
        for name in wanted.keys() - LOOSE - loose:
            assert mine.get(name, "no such field") == wanted[name], (note, name)
        if not theirs.get("body_fields_trimmed"):
            assert set(mine) == set(wanted), note
        if "_fields" not in entry["request"]["query"] and not theirs.get("body_fields_trimmed"):
            assert list(mine) == list(wanted), note
    for name in ("X-WP-Total", "X-WP-TotalPages"):
        assert answer.headers.get(name) == theirs["headers"].get(name), note


def rows(body: Any) -> list[Entry]:
    """The objects of an answer: its rows, its batch items, or itself."""
    if isinstance(body, list):
        return body
    if body.keys() & {"create", "update", "delete"}:
        return [one for items in body.values() for one in items]
    return [body]


def learn(mine: Entry, theirs: Entry, swap: dict[int, int]) -> None:
    """Note which ids of ours stand for the recorded ones."""
    pairs = [
        (theirs, mine),
        *zip(theirs.get("meta_data", ()), mine.get("meta_data", ()), strict=False),
    ]
    for old, new in pairs:
        if old.get("id") and new.get("id") and "error" not in old:
            swap[old["id"]] = new["id"]


def walk(
    shop: WooCommerceStandIn,
    clock: Clock,
    entries: list[Entry],
    swap: dict[int, int] | None = None,
    loose: frozenset[str] = frozenset(),
) -> dict[int, int]:
    """Put recorded requests to the shop, each at its own second, and compare the answers."""
    swap = {} if swap is None else swap
    for entry in entries:
        clock.at(stamp_of(entry))
        assert_answered_alike(replay(shop, entry, swap), entry, shop, swap, loose)
    return swap


def stamp_of(entry: Entry) -> str:
    """The second a write had in the store, or else the one it was asked at."""
    body = entry["response"]["body"]
    is_write = entry["request"]["method"] in ("POST", "PUT") and isinstance(body, dict)
    one = rows(body)[0] if is_write and rows(body) else {}
    ended = datetime.fromisoformat(entry["at"]) + timedelta(
        seconds=float(entry["response"]["elapsed_s"])
    )
    return str(one.get("date_modified_gmt") or f"{ended:%Y-%m-%dT%H:%M:%S}")


def shape(values: list[Any]) -> dict[str, set[str]]:
    """Every path in some JSON values with the types found there."""
    found: dict[str, set[str]] = {}

    def walk(path: str, value: Any) -> None:
        if isinstance(value, dict):
            found.setdefault(path, set()).add("object")
            for name, below in value.items():
                walk(f"{path}.{name}", below)
        elif isinstance(value, list):
            found.setdefault(path, set()).add("list")
            for below in value:
                walk(f"{path}[]", below)
        else:
            kind = "number" if isinstance(value, Decimal | float) else type(value).__name__
            found.setdefault(path, set()).add(kind)

    for value in values:
        walk("", value)
    return found


def assert_same_shape(ours: list[Any], theirs: list[Any], loose: set[str] | None = None) -> None:
    """The same paths, and no type the store was not seen to send there."""
    mine, recording = shape(ours), shape(theirs)
    skip = tuple(loose or ())
    both = {path for path in mine | recording if not path.startswith(skip) or not skip}
    assert {path for path in mine if path in both} == {p for p in recording if p in both}
    strange = {p: mine[p] - recording[p] for p in both if mine[p] - recording[p]}
    assert strange == {}
