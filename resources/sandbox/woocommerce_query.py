"""What a WooCommerce list request asks for, and the headers that tell how much there is.

Date bounds follow the store's own reading of them, the wrong one included.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from resources.sandbox.woocommerce_refusals import STAMP, split_list
from resources.sandbox.woocommerce_shelf import Bounds, Wanted
from resources.sandbox.woocommerce_till import Doc

Query = Mapping[str, str]

API = "/wp-json/wc/v3"
TRUE = ("1", "true", "yes")
COLUMNS = {"date": ("after", "before"), "modified": ("modified_after", "modified_before")}


def wanted(query: Query, zone: ZoneInfo) -> Wanted:
    """The orders a checked request asks for."""
    per_page, page = paging(query)
    return Wanted(
        statuses=_statuses(query),
        sort=query.get("orderby", "date"),
        descending=query.get("order", "desc") == "desc",
        bounds=bounds(query, zone),
        include=ids(query["include"]) if query.get("include") else None,
        customer=int(query["customer"]) if query.get("customer") else None,
        search=query.get("search", ""),
        per_page=per_page,
        skip=int(query.get("offset", (page - 1) * per_page)),
    )


def paging(query: Query) -> tuple[int, int]:
    """Rows a page, and the page."""
    return int(query.get("per_page", "10")), int(query.get("page", "1"))


def ids(words: str) -> tuple[int, ...]:
    """Ids of a comma list; what is no number counts as 0, which nothing has."""
    return tuple(int(word) if word.isdecimal() else 0 for word in split_list(words))


def utc_bound(stamp: str, zone: ZoneInfo, is_gmt: bool) -> str:
    """The UTC stamp the store compares with.

    A stamp with an offset is turned into site time first. With `dates_are_gmt` that site time is
    then taken for UTC, which is the store's fault to be shown, not ours to mend.
    """
    found = STAMP.match(stamp)
    if found is None:
        raise ValueError(f"not a stamp: {stamp}")
    site = datetime.fromisoformat(f"{found[1]}T{found[2]}{found[3] or ''}")
    site = site.astimezone(zone) if site.tzinfo else site.replace(tzinfo=zone)
    known = site.replace(tzinfo=UTC) if is_gmt else site.astimezone(UTC)
    return known.replace(tzinfo=None).isoformat()


def counted(
    home: str, path: str, query: Query, total: int, rows: int, *, of_orders: bool = False
) -> dict[str, str]:
    """Totals and links of a list; a page of orders past the end says that there are none."""
    per_page, page = paging(query)
    if of_orders and not rows:
        total = 0
    pages = -(-total // per_page)
    headers = {"X-WP-Total": str(total), "X-WP-TotalPages": str(pages)}
    given = _normal(query, rows) if of_orders else list(query.items())
    base, links = f"{home}{path}", []
    if page > 1:
        links.append(f'<{base}?{_turned(given, min(page - 1, pages))}>; rel="prev"')
    if page < pages:
        links.append(f'<{base}?{_turned(given, page + 1)}>; rel="next"')
    return headers | ({"Link": ", ".join(links)} if links else {})


def picked(doc: Doc, fields: str | None, *, alone: bool = False) -> Doc:
    """The fields asked for, in the store's order; a single answer keeps its links."""
    if not fields:
        return doc
    names = [*split_list(fields), *(["_links"] if alone and "_links" in doc else [])]
    return _nested(doc, [name.split(".") for name in names])


def _nested(doc: Doc, paths: Sequence[Sequence[str]]) -> Doc:
    found: Doc = {}
    for name, value in doc.items():
        below = [path[1:] for path in paths if path[0] == name]
        if not below:
            continue
        deeper = all(below) and isinstance(value, dict)
        found[name] = _nested(value, below) if deeper else value
    return found


def _statuses(query: Query) -> frozenset[str] | None:
    """Statuses asked for; "any" beside others still leaves out trash and drafts."""
    words = split_list(query.get("status", "any"))
    return None if not words or "any" in words else frozenset(words)


def bounds(query: Query, zone: ZoneInfo) -> dict[str, Bounds]:
    """The stamps a checked request bounds its list by."""
    is_gmt = query.get("dates_are_gmt", "").lower() in TRUE
    found: dict[str, Bounds] = {}
    for sort, names in COLUMNS.items():
        low, high = (
            utc_bound(query[name], zone, is_gmt) if query.get(name) else None for name in names
        )
        if low or high:
            found[sort] = (low, high)
    return found


def _normal(query: Query, rows: int) -> list[tuple[str, str]]:
    """The parameters as the store repeats them: status last and as a list, then its defaults."""
    given = [(name, value) for name, value in query.items() if name != "status"]
    given = [("dates_are_gmt", "1") if _is_true(pair) else pair for pair in given]
    given = [pair for name, value in given for pair in _listed(name, value)]
    given += _as_list("status", split_list(query.get("status", "any")))
    return given + ([("dp", "2"), ("context", "view")] if rows else [])


def _listed(name: str, value: str) -> list[tuple[str, Any]]:
    return _as_list(name, split_list(value)) if name == "include" else [(name, value)]


def _as_list(name: str, values: Sequence[str]) -> list[tuple[str, str]]:
    return [(f"{name}[{place}]", value) for place, value in enumerate(values)]


def _is_true(pair: tuple[str, str]) -> bool:
    return pair[0] == "dates_are_gmt" and pair[1].lower() in TRUE


def _turned(given: Sequence[tuple[str, str]], page: int) -> str:
    """The parameters with another page, in its place or at the end."""
    turned = [(name, str(page) if name == "page" else value) for name, value in given]
    if all(name != "page" for name, _ in given):
        turned.append(("page", str(page)))
    return urlencode(turned)
