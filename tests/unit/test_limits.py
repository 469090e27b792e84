"""What limit headers say, in everybody's words; what nobody says is not made up."""

from collections.abc import Mapping
from decimal import Decimal

import httpx
import pytest

from resources.limits import NOTHING, Told, told

DATE = "Mon, 02 Mar 2026 09:00:00 GMT"
NINE = 1772442000  # 2026-03-02 09:00:00 UTC


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"X-RateLimit-Remaining": "7", "X-RateLimit-Reset": "12"}, Told(7, 12.0)),
        ({"RateLimit-Remaining": "0", "RateLimit-Reset": "3"}, Told(0, 3.0)),
        ({"RateLimit": "limit=100, remaining=50, reset=5"}, Told(50, 5.0)),
        ({"RateLimit": '"default";r=50;t=30'}, Told(50, 30.0)),
        ({"x-remaining-calls": "149", "x-retry-after": "20"}, Told(149, 20.0)),
        ({"X-Shopify-Shop-Api-Call-Limit": "32/40"}, Told(8)),
        ({"X-Shopify-Shop-Api-Call-Limit": "41/40"}, Told(0)),
        ({"x-amzn-RateLimit-Limit": "0.0167"}, Told(rate=Decimal("0.0167"))),
        (
            {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(NINE + 40), "Date": DATE},
            Told(0, 40.0),
        ),
        (
            {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": f"{NINE + 40}000", "Date": DATE},
            Told(0, 40.0),
        ),
        (
            {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(NINE - 40), "Date": DATE},
            Told(0, 0.0),
        ),
    ],
)
def test_the_known_families_are_read(headers: Mapping[str, str], expected: Told) -> None:
    assert told(httpx.Headers(headers)) == expected


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Retry-After": "7", "Content-Type": "application/json"},
        {"Stripe-Rate-Limited-Reason": "global-concurrency"},
        {"X-RateLimit-Limit": "100"},
        {"X-RateLimit-Remaining": "-1"},
        {"X-RateLimit-Remaining": "many"},
        {"X-RateLimit-Reset": str(NINE)},  # a moment, and no date to count it from
        {"X-Shopify-Shop-Api-Call-Limit": "40"},
        {"x-amzn-RateLimit-Limit": "0"},
        {"x-amzn-RateLimit-Limit": "NaN"},
        {"RateLimit": ";;=,r=x"},
    ],
)
def test_what_says_nothing_clear_says_nothing(headers: Mapping[str, str]) -> None:
    assert told(httpx.Headers(headers)) == NOTHING
