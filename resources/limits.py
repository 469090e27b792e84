"""What an answer's headers say about the limit of calls, whoever's words they are.

Known: Retry-After; X-RateLimit-* and RateLimit-* of gateways and the IETF drafts; X-Remaining-Calls
and X-Retry-After (ShipBob); X-Shopify-Shop-Api-Call-Limit; x-amzn-RateLimit-Limit. Stripe, Odoo and
NetSuite answer 429 and give no numbers. What follows from it is decided elsewhere.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from email.utils import parsedate_to_datetime

REMAINING = ("X-RateLimit-Remaining", "RateLimit-Remaining", "X-Remaining-Calls")
RESET = ("X-RateLimit-Reset", "RateLimit-Reset", "X-Retry-After")
RATE = "X-Amzn-RateLimit-Limit"
USED_OF = "X-Shopify-Shop-Api-Call-Limit"
COMBINED = "RateLimit"
#: A reset beyond this is no span but a moment, in seconds or milliseconds since 1970.
MOMENT, MOMENT_MS = 1e9, 1e12


@dataclass(frozen=True)
class Told:
    """Calls left, seconds until there are more, calls per second; None where nothing is said."""

    remaining: int | None = None
    reset_seconds: float | None = None
    rate: Decimal | None = None


NOTHING = Told()


def told(headers: Mapping[str, str]) -> Told:
    """Read the limit an answer tells."""
    if not any("limit" in name or "remaining" in name for name in map(str.lower, headers)):
        return NOTHING
    remaining, reset = _combined(headers.get(COMBINED, ""))
    if remaining is None:
        remaining = _first(headers, REMAINING)
    if remaining is None:
        remaining = _unused(headers.get(USED_OF, ""))
    if reset is None:
        reset = _span(_first(headers, RESET), headers)
    rate = _number(headers.get(RATE, ""))
    return Told(
        int(remaining) if remaining is not None else None,
        float(reset) if reset is not None else None,
        rate if rate else None,
    )


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait before the next call; a date counts from the answer's own `Date`."""
    value = (headers.get("Retry-After") or headers.get("X-Retry-After") or "").strip()
    seconds = _number(value)
    if seconds is not None:
        return float(seconds)
    try:
        until, now = parsedate_to_datetime(value), _said_at(headers)
        return max(0.0, (until - now).total_seconds()) if now else None
    except (ValueError, TypeError):  # no date, or one of them without a zone
        return None


def _said_at(headers: Mapping[str, str]) -> datetime | None:
    try:
        return parsedate_to_datetime(headers.get("Date", ""))
    except (ValueError, TypeError):
        return None


def _number(text: str) -> Decimal | None:
    text = text.strip()
    return Decimal(text) if re.fullmatch(r"[0-9]{1,15}(\.[0-9]{1,9})?", text, re.ASCII) else None


def _first(headers: Mapping[str, str], names: tuple[str, ...]) -> Decimal | None:
    return next((n for name in names if (n := _number(headers.get(name, ""))) is not None), None)


def _span(value: Decimal | None, headers: Mapping[str, str]) -> Decimal | None:
    """Seconds from the answer on; a moment counts from the answer's own `Date`."""
    if value is None or value < MOMENT:
        return value
    moment = value / 1000 if value >= MOMENT_MS else value
    now = _said_at(headers)
    return max(Decimal(), moment - int(now.timestamp())) if now else None


def _unused(text: str) -> Decimal | None:
    used, _, whole = text.partition("/")
    first, last = _number(used), _number(whole)
    return max(Decimal(), last - first) if first is not None and last is not None else None


def _combined(text: str) -> tuple[Decimal | None, Decimal | None]:
    """Both drafts of one header: `remaining=5, reset=30` and `"name";r=5;t=30`."""
    parts = dict(part.split("=", 1) for part in re.split(r"[;,\s]+", text) if "=" in part)
    remaining = _number(parts.get("remaining", parts.get("r", "")))
    return remaining, _number(parts.get("reset", parts.get("t", "")))
