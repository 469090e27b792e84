"""WooCommerce refunds become our rows, tied to the cent, and our requests become its words."""

import json
import re
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync_assets.domain.orders import Problem, Rejected
from sync_assets.domain.returns import (
    RefundLines,
    RefundRequest,
    RefundRequestLine,
    Refunds,
    SeenRefund,
)
from sync_assets.mappers.woocommerce_refunds import refund, refund_request, seen_refund

ROUTE = re.compile(r"/refunds(/\d+)?$")
MALFORMED = "refund.malformed"


def line(**said: Any) -> dict[str, Any]:
    row = {
        "id": 91,
        "quantity": -1,
        "total": "-19.99",
        "total_tax": "-1.77",
        "taxes": [{"id": 1, "total": "-1.77", "subtotal": "-1.77"}],
        "meta_data": [{"id": 5, "key": "_refunded_item_id", "value": "4589"}],
        "sku": "ORD-A",
    }
    return row | said


def shop_refund(**said: Any) -> dict[str, Any]:
    """One unit of 19.99 with 1.77 tax."""
    body = {
        "id": 881,
        "date_created_gmt": "2026-11-20T18:18:32",
        "amount": "21.76",
        "reason": "One broken",
        "refunded_payment": False,
        "meta_data": [{"id": 4, "key": "_refund_type", "value": "partial"}],
        "line_items": [line()],
        "shipping_lines": [],
        "fee_lines": [],
    }
    return body | said


def mapped(**said: Any) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    return refund(shop_refund(**said), "us", "us:1740", "1740:881", "USD")


def problems(**said: Any) -> list[Problem]:
    with pytest.raises(Rejected) as refusal:
        mapped(**said)
    return refusal.value.problems


# One refund


def test_a_refund_of_goods_becomes_a_row_and_its_lines() -> None:
    head, lines = mapped()

    assert head == {
        "refund_ref": "us:881",
        "order_ref": "us:1740",
        "store": "us",
        "return_ref": None,
        "source": "shop_refund",
        "method": "manual",
        "state": "requested",
        "currency": "USD",
        "amount": Decimal("21.76"),
        "net_amount": Decimal("19.99"),
        "shipping_amount": Decimal(0),
        "fee_amount": Decimal(0),
        "tax_amount": Decimal("1.77"),
        "unassigned_amount": Decimal("0.00"),
        "reason": "One broken",
        "provider_ref": None,
        "shop_refund_id": "881",
        "refunded_at": datetime(2026, 11, 20, 18, 18, 32, tzinfo=UTC),
        "raw_version": None,
        "own_key": None,
    }
    assert lines == [
        {
            "refund_ref": "us:881",
            "line_no": 0,
            "line_ref": "us:1740:product:4589",
            "kind": "product",
            "sku": "ORD-A",
            "units": 1,
            "net_amount": Decimal("19.99"),
            "tax_amount": Decimal("1.77"),
            "taxes": {"1": Decimal("1.77")},
        }
    ]


def test_its_rows_fit_the_tables() -> None:
    head, lines = mapped()
    del head["own_key"]

    assert len(Refunds.frame([head])) == 1
    assert len(RefundLines.frame(lines)) == 1


def test_shipping_and_fees_are_summed_apart_and_the_rest_is_unassigned() -> None:
    shipping = line(total="-7.50", total_tax="-0.67", taxes=[{"id": 1, "total": "-0.67"}])
    fee = line(total="-3.00", total_tax="0.00", taxes=[{"id": 1, "total": ""}])
    for one in (shipping, fee):
        del one["quantity"], one["sku"]
    head, lines = mapped(amount="35.00", shipping_lines=[shipping], fee_lines=[fee])

    parts = ("net_amount", "shipping_amount", "fee_amount", "tax_amount", "unassigned_amount")
    assert [head[name] for name in parts] == list(
        map(Decimal, ("19.99", "7.50", "3.00", "2.44", "2.07"))
    )
    assert sum(head[name] for name in parts) == head["amount"]
    assert [(one["line_no"], one["line_ref"], one["units"]) for one in lines] == [
        (0, "us:1740:product:4589", 1),
        (1, "us:1740:shipping:4589", 0),
        (2, "us:1740:fee:4589", 0),
    ]
    assert [one["sku"] for one in lines] == ["ORD-A", None, None]
    assert lines[2]["taxes"] == {}


def test_a_discount_taken_back_has_the_other_sign() -> None:
    head, lines = mapped(amount="16.76", fee_lines=[line(total="5.00", total_tax="0.00", taxes=[])])
    assert (head["fee_amount"], head["unassigned_amount"]) == (Decimal("-5.00"), Decimal("0.00"))
    assert lines[1]["net_amount"] == Decimal("-5.00")


@pytest.mark.parametrize("item", [None, "", "0", "x", True])
def test_a_line_that_names_no_order_line_is_kept_without_one(item: Any) -> None:
    meta = [{"key": "_refunded_item_id", "value": item}] if item is not None else []
    assert mapped(line_items=[line(meta_data=meta)])[1][0]["line_ref"] is None


def test_what_the_gateway_paid_is_told_from_what_was_given_by_hand() -> None:
    assert mapped(refunded_payment=True)[0]["method"] == "gateway"
    assert mapped(refunded_payment=False)[0]["method"] == "manual"


def test_our_key_is_read_from_the_meta_data_and_else_from_the_reason() -> None:
    ours = [{"id": 9, "key": "_sync_refund", "value": "us:1740:m1"}]
    by_meta = mapped(meta_data=ours, reason="One broken [ref us:1740:m1]")[0]
    by_reason = mapped(reason="One broken [ref us:1740:m2]")[0]
    bare = mapped(reason="[ref us:1740:m3]")[0]

    assert (by_meta["own_key"], by_meta["reason"]) == ("us:1740:m1", "One broken")
    assert (by_reason["own_key"], by_reason["reason"]) == ("us:1740:m2", "One broken")
    assert (bare["own_key"], bare["reason"]) == ("us:1740:m3", None)
    assert mapped(reason="see [ref us:1740:m1] please")[0]["own_key"] is None


# What does not tie or cannot be read


def test_lines_that_come_to_more_than_the_amount_are_rejected() -> None:
    (problem,) = problems(amount="21.74")
    assert problem.code == "refund.lines_above_amount"
    assert problem.message == "lines come to 21.76, the refund says 21.74"


def test_figures_shown_rounded_may_miss_the_amount_by_half_a_unit_each() -> None:
    head, _ = mapped(amount="21.75")
    assert head["unassigned_amount"] == Decimal("-0.01")


def test_taxes_by_rate_that_are_not_the_lines_tax_are_rejected() -> None:
    wrong = line(taxes=[{"id": 1, "total": "-1.70"}])
    assert [p.code for p in problems(line_items=[wrong])] == ["refund.tax_untied"]


@pytest.mark.parametrize(
    ("said", "part"),
    [
        ({"id": 882}, "id"),
        ({"id": None}, "id"),
        ({"amount": "-21.76"}, "amount"),
        ({"amount": "21,76"}, "amount"),
        ({"date_created_gmt": "soon"}, "date_created_gmt"),
        ({"refunded_payment": "no"}, "refunded_payment"),
        ({"line_items": None}, "line_items"),
        ({"shipping_lines": ["x"]}, "shipping_lines[0]"),
        ({"meta_data": {}}, "meta_data"),
        ({"line_items": [line(total="19.99")]}, "line_items[0].total"),
        ({"line_items": [line(quantity=1)]}, "line_items[0].quantity"),
        ({"line_items": [line(quantity=Decimal("-0.5"))]}, "line_items[0].quantity"),
        ({"line_items": [line(taxes=[{"id": 1, "total": "-1.77"}] * 2)]}, "line_items[0].taxes"),
    ],
)
def test_what_cannot_be_read_is_rejected_at_its_part(said: dict[str, Any], part: str) -> None:
    assert [(p.code, p.part) for p in problems(**said)] == [(MALFORMED, part)]


def test_a_payload_that_is_no_object_is_rejected() -> None:
    with pytest.raises(Rejected):
        refund([], "us", "us:1740", "1740:881")  # type: ignore[arg-type]


def test_messages_hold_nothing_of_what_people_wrote() -> None:
    found = problems(reason=["Ada Lovelace"], amount="Ada Lovelace")
    assert {p.part for p in found} == {"reason", "amount"}
    assert "Ada" not in " ".join(p.message for p in found)


MONEY = st.integers(0, 10**6).map(lambda cents: Decimal(cents) / 100)


@given(nets=st.lists(st.tuples(MONEY, MONEY), max_size=4), rest=MONEY)
def test_the_parts_of_a_refund_always_come_to_its_amount(
    nets: list[tuple[Decimal, Decimal]], rest: Decimal
) -> None:
    lines = [
        line(total=str(-net), total_tax=str(-tax), taxes=[{"id": 1, "total": str(-tax)}])
        for net, tax in nets
    ]
    amount = sum((net + tax for net, tax in nets), rest)
    head, rows = mapped(amount=f"{amount:.2f}", line_items=lines)

    assert head["unassigned_amount"] == rest
    assert sum(row["net_amount"] for row in rows) == head["net_amount"]
    assert head["net_amount"] + head["tax_amount"] + rest == head["amount"]


# The recordings


def recorded_refunds(folder: Path) -> list[dict[str, Any]]:
    """Every refund the recorded shop answered; what was cut from some is filled in blank."""
    blank = shop_refund(reason="", line_items=[], meta_data=[])
    found = []
    for path in sorted((folder / "woocommerce" / "transcripts").glob("*.json")):
        for entry in json.loads(path.read_text(), parse_float=Decimal):
            asked = entry.get("request")
            if asked and ROUTE.search(asked["path"]) and entry["response"]["status"] < 300:
                body = entry["response"]["body"]
                rows = body if isinstance(body, list) else [body]
                found += [blank | row for row in rows if "amount" in row]
    return found


def of_recorded(body: dict[str, Any]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    return refund(body, "us", "us:1740", f"1740:{body['id']}", "USD")


def test_every_recorded_refund_maps_but_the_one_that_contradicts_itself(recordings: Path) -> None:
    bodies = recorded_refunds(recordings)
    rejected = []
    heads = {}
    for body in bodies:
        try:
            heads[body["id"]] = of_recorded(body)[0]
        except Rejected as fault:
            rejected.append((body["id"], [p.code for p in fault.problems]))

    assert len(bodies) == 30
    assert rejected == [(1746, ["refund.lines_above_amount"])]
    assert len(heads) == 21
    for head in heads.values():
        parts = ("net_amount", "shipping_amount", "fee_amount", "tax_amount", "unassigned_amount")
        assert sum(head[name] for name in parts) == head["amount"]


@pytest.mark.parametrize(
    ("refund_id", "amount", "net", "tax", "unassigned", "units", "reason"),
    [
        (1742, "21.76", "19.99", "1.77", "0.00", [1], "One broken"),
        (1743, "2.50", "0", "0", "2.50", [], "Goodwill"),
        (1744, "0.00", "0", "0", "0.00", [], None),
        (1747, "1.00", "1.00", "0.00", "0.00", [50], None),
        (1765, "43.53", "0", "0", "43.53", [], "Order fully refunded."),
        (1778, "1.00", "1.00", "0.00", "0.00", [1], None),
    ],
)
def test_recorded_refunds_have_these_amounts(
    recordings: Path,
    refund_id: int,
    amount: str,
    net: str,
    tax: str,
    unassigned: str,
    units: list[int],
    reason: str | None,
) -> None:
    body = next(one for one in recorded_refunds(recordings) if one["id"] == refund_id)
    head, lines = of_recorded(body)

    assert (head["amount"], head["net_amount"]) == (Decimal(amount), Decimal(net))
    assert (head["tax_amount"], head["unassigned_amount"]) == (Decimal(tax), Decimal(unassigned))
    assert ([one["units"] for one in lines], head["reason"]) == (units, reason)
    assert (head["method"], head["own_key"]) == ("manual", None)


# Ours


def test_a_request_is_written_in_plain_amounts() -> None:
    document = RefundRequest(
        key="us:1740:m1",
        order_id=1740,
        amount=Decimal("29.93"),
        currency="USD",
        reason="One broken",
        lines=(
            RefundRequestLine(
                line_id=4589, units=1, net_amount=Decimal("19.99"), taxes={1: Decimal("1.77")}
            ),
            RefundRequestLine(line_id=4591, units=0, net_amount=Decimal("7.50")),
        ),
    )

    assert refund_request(document) == {
        "amount": "29.93",
        "reason": "One broken",
        "api_refund": True,
        "line_items": [
            {
                "id": 4589,
                "quantity": 1,
                "refund_total": "19.99",
                "refund_tax": [{"id": 1, "refund_total": "1.77"}],
            },
            {"id": 4591, "quantity": 0, "refund_total": "7.50", "refund_tax": []},
        ],
    }
    by_hand = document.model_copy(update={"by_gateway": False, "amount": Decimal("1E+2")})
    assert refund_request(by_hand)["api_refund"] is False
    assert refund_request(by_hand)["amount"] == "100"


def test_what_the_shop_holds_of_a_refund_of_ours_is_read_back() -> None:
    body = shop_refund(reason="One broken [ref us:1740:m1]", refunded_payment=True)
    assert seen_refund(body) == SeenRefund("us:1740:m1", 881, Decimal("21.76"), True)
    with pytest.raises(Rejected, match="does not hold our key"):
        seen_refund(shop_refund())
