"""Requests in the words of our contract: what is read, and what is wrong with it."""

from decimal import Decimal
from typing import Any

import pytest

from sync_assets.domain.orders import Rejected
from sync_assets.domain.returns import ExchangeLine, Source
from sync_assets.mappers.return_requests import ReturnRequest, WantedLine, body_of, request

WHOLE: dict[str, Any] = {
    "reference": "RMA-7",
    "order": 1042,
    "store": "us",
    "source": "store_dropoff",
    "reason": "too small",
    "lines": [{"sku": "TEA", "units": 2}, {"line_id": 12, "units": 1}],
    "is_exchange": True,
    "replacement": [{"sku": "MUG", "units": 1}],
    "tracking_number": "1Z",
    "requested_at": "2026-03-02T10:00:00+01:00",
}


def test_a_whole_request_is_read() -> None:
    found = request(WHOLE)
    assert found == ReturnRequest(
        reference="RMA-7",
        order="1042",
        store="us",
        source=Source.STORE_DROPOFF,
        reason="too small",
        lines=(WantedLine(2, "TEA"), WantedLine(1, None, 12)),
        is_exchange=True,
        replacement=(ExchangeLine(sku="MUG", units=1),),
        tracking_number="1Z",
        requested_at=found.requested_at,
    )
    assert found.requested_at is not None
    assert found.requested_at.isoformat() == "2026-03-02T09:00:00+00:00"


def test_what_we_write_is_what_we_read() -> None:
    found = request(WHOLE)
    assert request(body_of(found)) == found


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"reference": ""}, "reference"),
        ({"reference": "a b"}, "reference"),
        ({"order": ""}, "order"),
        ({"order": 0}, "order"),
        ({"source": "post"}, "source"),
        ({"lines": []}, "lines"),
        ({"lines": [{"sku": "TEA", "units": Decimal("1.5")}]}, "lines[0].units"),
        ({"lines": [{"sku": "TEA", "units": True}]}, "lines[0].units"),
        ({"lines": [{"units": 1}]}, "lines[0].sku"),
        ({"lines": [{"line_id": -1, "units": 1}]}, "lines[0].line_id"),
        ({"is_exchange": "yes"}, "is_exchange"),
        ({"is_exchange": False}, "replacement"),
        ({"requested_at": "yesterday"}, "requested_at"),
        ({"refund": 5}, "refund"),
    ],
)
def test_what_is_wrong_is_named(change: dict[str, Any], part: str) -> None:
    with pytest.raises(Rejected) as refusal:
        request({**WHOLE, **change})
    assert part in {problem.part for problem in refusal.value.problems}


def test_a_body_that_is_no_object_is_no_request() -> None:
    with pytest.raises(Rejected):
        request(["RMA-7"])
