"""What must change in a shop, field by field: whose field it is and who changed it."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync_assets.domain.catalog import Listing
from sync_assets.domain.listing_changes import (
    COLUMNS,
    Action,
    Decision,
    Difference,
    Held,
    canonical,
    decide,
    fields_of,
)
from sync_assets.domain.listing_rules import Wanted
from sync_assets.domain.ownership import FIELDS, Ownership, StorePolicy

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


def wanted(kind: str = "simple", **differently: Any) -> Wanted:
    """Tea, as a store shall show it."""
    said = {"key": "TEA", "sku": "TEA", "kind": kind, "name": "Tea", "regular_price": "9.90"}
    return Wanted("TEA", "TEA", "All", 1, Listing.model_validate(said | differently))


def shown(**differently: Any) -> dict[str, Any]:
    """Tea, as the shop shows it."""
    return {
        "product_id": 7,
        "kind": "simple",
        "name": "Tea",
        "description": "",
        "status": "publish",
        "regular_amount": Decimal("9.900000"),
        "sale_amount": None,
        "sale_from": None,
        "sale_until": None,
        "tax_class": "",
        "tax_status": "taxable",
        "categories": [],
        "attributes": {},
        "images": [],
        "weight": "",
        "barcode": "",
        "is_virtual": False,
        **differently,
    }


WRITTEN = {field: canonical(field, shown()) for field in FIELDS}
ERP = "erp"


def decided(
    seen: dict[str, Any] | None,
    *,
    want: dict[str, Any] | None = None,
    written: dict[str, str] | None = WRITTEN,
    rule: str = "put_back",
    **policy: Any,
) -> Decision:
    """The decision about tea."""
    price = Ownership.model_validate({"owner": ERP, "on_foreign_change": rule})
    said = StorePolicy(fields={"regular_price": price, "status": price}, **policy)
    held = Held([seen] if seen else [], written)
    return decide(wanted(), shown(**(want or {})), held, said)


PRICED = {"regular_amount": Decimal("1.00")}
NEW = {"regular_amount": Decimal("12.00")}


def test_what_is_the_same_needs_nothing() -> None:
    assert decided(shown()).action == Action.NONE


def test_what_the_shop_lacks_is_made_unless_the_policy_makes_nothing() -> None:
    assert decided(None, written=None).action == Action.CREATE
    left = decided(None, written=None, creates_missing=False)
    assert (left.action, left.reason) == (Action.NONE, "the policy makes no new products")


@pytest.mark.parametrize(
    ("seen", "want", "written", "rule", "treatment", "is_foreign"),
    [
        ({}, NEW, WRITTEN, "put_back", "to_write", False),  # the ERP changed it
        ({}, NEW, WRITTEN, "raise", "to_write", False),
        (PRICED, {}, WRITTEN, "put_back", "put_back", True),  # the shop changed it
        (PRICED, {}, WRITTEN, "raise", "raised", True),
        (PRICED, {}, WRITTEN, "accept", "accepted", True),
        (PRICED, NEW, WRITTEN, "put_back", "put_back", True),  # both did
        (PRICED, NEW, WRITTEN, "raise", "raised", True),
        (PRICED, NEW, WRITTEN, "accept", "to_write", True),
        (PRICED, {}, None, "raise", "to_write", False),  # nobody wrote it yet
    ],
)
def test_who_changed_a_price_decides_what_becomes_of_it(
    seen: dict[str, Any],
    want: dict[str, Any],
    written: dict[str, str] | None,
    rule: str,
    treatment: str,
    is_foreign: bool,
) -> None:
    decision = decided(shown(**seen), want=want, written=written, rule=rule)
    (one,) = decision.differences
    assert (one.field, one.treatment, one.is_foreign) == ("regular_price", treatment, is_foreign)
    writes = treatment in ("to_write", "put_back")
    assert decision.changed == (("regular_price",) if writes else ())


def test_a_field_of_the_shops_is_told_and_never_written() -> None:
    decision = decided(shown(name="Golden Tea"))
    assert decision.action == Action.NONE
    assert decision.differences == (Difference("name", "Tea", "Golden Tea", "shop", "accepted"),)


def test_what_the_erp_says_nothing_of_is_not_wanted_gone() -> None:
    erp_owns = {name: Ownership(owner="erp") for name in ("categories", "images", "attributes")}
    seen = shown(categories=["Sale"], images=["https://shop.test/tea.jpg"])
    decision = decide(wanted(), shown(), Held([seen], WRITTEN), StorePolicy(fields=erp_owns))
    assert (decision.action, decision.differences) == (Action.NONE, ())


def test_twins_and_other_kinds_are_conflicts() -> None:
    twins = Held([shown(product_id=7), shown(product_id=8)], None)
    decision = decide(wanted(), shown(), twins, StorePolicy())
    assert (decision.action, decision.reason) == (
        Action.CONFLICT,
        "the shop has the SKU more than once: products 7, 8",
    )
    other = decided(shown(kind="grouped"))
    assert (other.action, other.reason) == (
        Action.CONFLICT,
        "the shop has it as grouped, not as simple",
    )


@pytest.mark.parametrize(
    ("rule", "action"),
    [("put_back", Action.CREATE), ("raise", Action.CONFLICT), ("accept", Action.NONE)],
)
def test_what_was_deleted_in_the_shop_follows_the_rule_of_its_status(
    rule: str, action: Action
) -> None:
    assert decided(None, rule=rule).action == action


# Put away


def over(held: Held, **policy: Any) -> Decision:
    """The decision about tea that is archived in the ERP."""
    gone = Wanted("TEA", "TEA", "All", 1, reason="archived in the ERP", is_archived=True)
    return decide(gone, None, held, StorePolicy(**policy))


def test_what_is_over_is_put_away_once() -> None:
    first = over(Held([shown()], WRITTEN))
    assert (first.action, first.changed) == (Action.ARCHIVE, ("status",))
    assert first.differences[0].wanted == "draft"
    done = Held([shown(status="draft")], {"status": "draft"}, was_archived=True)
    assert over(done).action == Action.NONE
    assert over(Held()).action == Action.NONE


def test_a_variation_that_is_over_is_hidden_because_drafts_of_them_are_in_no_list() -> None:
    assert over(Held([shown(kind="variation")], WRITTEN)).differences[0].wanted == "private"
    in_trash = over(Held([shown(kind="variation")], WRITTEN), archived_becomes="trash")
    assert in_trash.differences[0].wanted == "trash"


def test_what_somebody_shows_again_follows_the_rule_of_its_status() -> None:
    again = Held([shown()], {"status": "draft"}, was_archived=True)
    assert over(again).action == Action.ARCHIVE
    raising = {"status": Ownership(owner="erp", on_foreign_change="raise")}
    assert over(again, fields=raising).action == Action.CONFLICT
    shops = {"status": Ownership(owner="shop")}
    assert over(Held([shown()], WRITTEN), fields=shops).action == Action.NONE


def test_what_a_person_published_after_looking_at_it_stays_published() -> None:
    draft = {**WRITTEN, "status": "draft"}
    decision = decided(shown(), want={"status": "draft"}, written=draft, new_status="draft")
    assert decision.action == Action.NONE


# Values


@pytest.mark.parametrize(
    ("field", "one", "same"),
    [
        ("regular_price", {"regular_amount": Decimal("9.9")}, {"regular_amount": Decimal("9.90")}),
        ("weight", {"weight": "0.250"}, {"weight": "0.25"}),
        ("weight", {"weight": "0"}, {"weight": ""}),
        ("description", {"description": " a\n"}, {"description": "a"}),
        ("categories", {"categories": ["B", "A"]}, {"categories": ["A", "B"]}),
        ("attributes", {"attributes": {"S": ["M", "L"]}}, {"attributes": {"S": ["L", "M"]}}),
        ("attributes", {"attributes": {"S": "M"}}, {"attributes": {"S": ["M"]}}),
        ("tax_class", {"tax_class": "x", "tax_status": "none"}, {"tax_status": "none"}),
    ],
)
def test_what_means_the_same_is_the_same(
    field: str, one: dict[str, Any], same: dict[str, Any]
) -> None:
    assert canonical(field, one) == canonical(field, same)


def test_a_sale_is_its_price_and_its_days() -> None:
    sale = {"sale_amount": Decimal("8.50"), "sale_from": NOON, "sale_until": None}
    assert canonical("sale_price", sale) == "8.5 from 2026-03-02T12:00:00+00:00"
    assert canonical("sale_price", {**sale, "sale_amount": None}) == ""


def test_parents_and_variations_have_only_what_is_their_own() -> None:
    assert "regular_price" not in fields_of(wanted("variable"))
    assert "name" not in fields_of(wanted("variation", parent_key="odoo:1"))
    assert set(COLUMNS) == set(FIELDS)


@given(
    rule=st.sampled_from(["put_back", "raise", "accept"]),
    prices=st.tuples(*[st.decimals(1, 9, places=0)] * 3),
)
def test_a_price_is_written_or_told_whenever_it_differs(
    rule: str, prices: tuple[Decimal, Decimal, Decimal]
) -> None:
    ours, theirs, last = prices
    decision = decided(
        shown(regular_amount=theirs),
        want={"regular_amount": ours},
        written={**WRITTEN, "regular_price": canonical("regular_price", {"regular_amount": last})},
        rule=rule,
    )
    assert (decision.differences == ()) == (ours == theirs)
    if "regular_price" in decision.changed:
        assert ours != theirs
