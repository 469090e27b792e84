"""How a WooCommerce list is asked for a span of time and for one of its pages; no call is made."""

from datetime import UTC, datetime, timedelta

SECOND = timedelta(seconds=1)
EVER = datetime(2000, 1, 1, tzinfo=UTC)
NEVER = datetime(2200, 1, 1, tzinfo=UTC)

Params = dict[str, str | int]


def by_id(page: int) -> Params:
    """Return how to ask for one page in the order of ids."""
    return {"orderby": "id", "order": "asc", "page": page}


def floor(moment: datetime) -> datetime:
    """Return the moment in whole seconds of UTC; one without a zone is a mistake of the caller."""
    if moment.tzinfo is None:
        raise ValueError("a moment without a time zone")
    return moment.astimezone(UTC).replace(microsecond=0)


def between(lower: str, start: datetime, upper: str, end: datetime) -> Params:
    """Return bounds without offset and `dates_are_gmt`: with both an offset and it, shops err."""
    form = "%Y-%m-%dT%H:%M:%S"
    return {lower: start.strftime(form), upper: end.strftime(form), "dates_are_gmt": "true"}
