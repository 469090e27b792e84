"""Lists of a ShipBob stand-in: which of its things a query means, and how they come in pages."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TypeVar

from resources.sandbox.shipbob_orders import Doc, Order, invalid
from resources.sandbox.shipbob_returns import Return

T = TypeVar("T")
Query = Mapping[str, str]
MOST, USUAL = 250, 50
RETURNS_ADDRESS = "https://api.shipbob.com/2026-01/return"

#: Query parameters that compare a moment: of what, and whether it is the lower bound.
ORDER_MOMENTS: dict[str, tuple[Callable[[Order], Sequence[datetime | None]], bool]] = {
    "StartDate": (lambda one: [one.created_at], True),
    "EndDate": (lambda one: [one.created_at], False),
    "LastUpdateStartDate": (lambda one: [one.updated_at], True),
    "LastUpdateEndDate": (lambda one: [one.updated_at], False),
    "LastTrackingUpdateStartDate": (lambda one: [s.tracked_at for s in one.shipments], True),
    "LastTrackingUpdateEndDate": (lambda one: [s.tracked_at for s in one.shipments], False),
}
RETURN_MOMENTS: dict[str, tuple[Callable[[Return], Sequence[datetime | None]], bool]] = {
    "StartDate": (lambda one: [one.history[0][1]], True),
    "EndDate": (lambda one: [one.history[0][1]], False),
    "CompletedStartDate": (lambda one: [one.since("Completed")], True),
    "CompletedEndDate": (lambda one: [one.since("Completed")], False),
}


def page_of_orders(orders: Sequence[Order], query: Query) -> list[Order]:
    """One page, newest first unless asked otherwise; bounds and lists must all be met."""
    ids, references = listed(query, "IDs"), listed(query, "ReferenceIds")
    wanted = [
        one
        for one in within(orders, query, ORDER_MOMENTS)
        if (ids is None or str(one.id) in ids)
        and (references is None or one.body["reference_id"] in references)
        and (query.get("HasTracking") != "true" or any(s.tracking_number for s in one.shipments))
    ]
    order = query.get("SortOrder", "Newest")
    if order not in ("Newest", "Oldest"):
        raise invalid("SortOrder", "The value is not valid.")
    wanted.sort(key=lambda one: one.id, reverse=order == "Newest")
    size, number = whole(query, "Limit", USUAL), whole(query, "Page", 1)
    if size > MOST:
        raise invalid("Limit", f"The field Limit must be between 1 and {MOST}.")
    return wanted[(number - 1) * size : number * size]


def page_of_returns(returns: Sequence[Return], query: Query, tell: Callable[[Return], Doc]) -> Doc:
    """One page with the addresses of its neighbours."""
    ids, references = listed(query, "Ids"), listed(query, "ReferenceIds")
    statuses = listed(query, "Status")
    wanted = [
        one
        for one in within(returns, query, RETURN_MOMENTS)
        if (ids is None or str(one.id) in ids)
        and (references is None or one.reference in references)
        and (statuses is None or one.status in statuses)
    ]
    wanted.sort(key=lambda one: one.id, reverse=query.get("SortOrder") == "Desc")
    size, start = whole(query, "Limit", USUAL), whole(query, "Cursor", 0, least=0)
    after = start + size
    more, before = after < len(wanted), start > 0
    return {
        "items": [tell(one) for one in wanted[start:after]],
        "first": _address(0, size) if wanted else None,
        "last": _address((len(wanted) - 1) // size * size, size) if wanted else None,
        "next": _address(after, size) if more else None,
        "prev": _address(max(0, start - size), size) if before else None,
    }


def _address(cursor: int, size: int) -> str:
    return f"{RETURNS_ADDRESS}?Cursor={cursor}&Limit={size}"


def within(
    things: Sequence[T],
    query: Query,
    moments: Mapping[str, tuple[Callable[[T], Sequence[datetime | None]], bool]],
) -> list[T]:
    """Those that meet every bound of the query."""
    found = list(things)
    for name, (stamps, is_lower) in moments.items():
        if name in query:
            bound = moment(query, name)
            found = [
                one
                for one in found
                if any(at and (at >= bound if is_lower else at <= bound) for at in stamps(one))
            ]
    return found


def listed(query: Query, name: str) -> set[str] | None:
    """The values of a list with commas; None where nothing is asked."""
    return set(query[name].split(",")) if name in query else None


def whole(query: Query, name: str, absent: int, least: int = 1) -> int:
    """A number of the query."""
    text = query.get(name, str(absent))
    if not (text.isascii() and text.isdecimal() and int(text) >= least):
        raise invalid(name, f"The value '{text}' is not valid.")
    return int(text)


def moment(query: Query, name: str) -> datetime:
    """A moment of the query; without an offset it is in UTC."""
    try:
        found = datetime.fromisoformat(query[name])
    except ValueError as fault:
        raise invalid(name, f"The value '{query[name]}' is not valid.") from fault
    return found if found.tzinfo else found.replace(tzinfo=UTC)
