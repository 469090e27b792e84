"""What channels may sell, on literals: every rule with its exact number."""

from decimal import Decimal
from typing import Any

import pytest

from sync_assets.domain.availability import UNLIMITED_UNITS, KitCycle, availability
from sync_assets.domain.demand import is_used
from sync_assets.domain.explaining import Component, SkuFacts, explain, sellable
from sync_assets.domain.policy import Policy, PolicyError, parse
from sync_assets.domain.stock import Availability
from tests.stock_facts import Stock, policy

TWO = ("leipzig", "paris")
PLAIN = {"us": {"locations": ["leipzig"]}}


def number(stock: Stock, rules: Policy, sku: str = "TEA", channel: str = "us") -> dict[str, Any]:
    """One number, what is missing as None."""
    found = availability(stock.inputs(rules)).astype(object)
    rows = found.where(found.notna(), None).to_dict("records")
    (row,) = [one for one in rows if (one["channel"], one["sku"]) == (channel, sku)]
    return dict(row)


def sold(stock: Stock, rules: Policy, sku: str = "TEA") -> dict[str, int]:
    """What each channel may sell, reckoned both ways."""
    found = {name: number(stock, rules, sku, name)["sellable_units"] for name in rules.channels}
    assert found == sellable(stock.facts(sku), rules)
    return found


def alone(**rule: Any) -> Policy:
    """One channel with one rule."""
    return policy({"us": {"locations": ["leipzig"], **rule}}, TWO)


TEN = Stock({("TEA", "leipzig"): (14, 2, 1)}, {("TEA", "leipzig"): 1})


def test_what_is_free_is_for_sale() -> None:
    assert number(TEN, alone()) == {
        "channel": "us",
        "sku": "TEA",
        "atp_units": 10,
        "safety_units": 0,
        "sellable_units": 10,
        "backorder_units": 0,
        "lead_days": None,
        "limited_by": "stock",
        "scarcest_sku": None,
    }


@pytest.mark.parametrize(
    ("rule", "units", "why"),
    [
        ({"safety": {"units": 3}}, 7, "safety"),
        ({"safety": {"units": 3, "days": "1.5"}}, 6, "safety"),
        ({"share": "0.35"}, 3, "share"),
        ({"safety": {"units": 3}, "share": "0.5"}, 3, "share"),
        ({"cap_units": 4}, 4, "cap"),
        ({"cap_units": 10}, 10, "stock"),
        ({"is_withheld": True}, 0, "withheld"),
        ({"safety": {"units": 30}}, 0, "safety"),
    ],
)
def test_safety_share_and_cap_hold_back(rule: dict[str, Any], units: int, why: str) -> None:
    sells = Stock(TEN.levels, TEN.reserved, demand={("us", "TEA"): Decimal("2.4")})
    found = number(sells, alone(**rule))
    assert (found["sellable_units"], found["limited_by"]) == (units, why)
    assert sold(sells, alone(**rule)) == {"us": units}


def test_a_deficit_lowers_what_other_locations_offer_to_those_who_sell_from_both() -> None:
    stock = Stock({("TEA", "leipzig"): (2, 6, 0), ("TEA", "paris"): (9, 0, 0)})
    rules = policy(
        {"eu": {"locations": ["leipzig", "paris"]}, "us": {"locations": ["paris"]}},
        TWO,
        divide_below_units=0,
    )
    assert sold(stock, rules) == {"eu": 5, "us": 9}
    assert number(stock, policy(PLAIN, TWO))["atp_units"] == -4
    assert number(stock, policy(PLAIN, TWO))["sellable_units"] == 0


def test_nothing_is_sold_from_a_closed_location() -> None:
    stock = Stock({("TEA", "leipzig"): (5, 0, 0), ("TEA", "paris"): (9, 0, 0)})
    both = {"us": {"locations": ["leipzig", "paris"]}}
    assert sold(stock, policy(both, TWO, closed=["paris"])) == {"us": 5}
    found = number(stock, policy(both, TWO, closed=TWO))
    assert (found["sellable_units"], found["limited_by"]) == (0, "closed")


def test_a_location_the_policy_does_not_name_does_not_count() -> None:
    stock = Stock({("TEA", "leipzig"): (5, 0, 0), ("TEA", "moon"): (9, 0, 0)})
    assert sold(stock, policy(PLAIN, TWO)) == {"us": 5}


def both(**more: Any) -> Policy:
    """Two channels that sell from the same place; us comes first."""
    told = {
        "eu": {"locations": ["leipzig"], "priority": 2},
        "us": {"locations": ["leipzig"], "priority": 1},
    }
    told = {name: {**one, **more.pop(name, {})} for name, one in told.items()}
    return policy(told, TWO, **more)


def test_few_pieces_are_divided_and_the_last_one_goes_to_the_first_in_order() -> None:
    nineteen = Stock({("TEA", "leipzig"): (19, 0, 0)})
    assert sold(nineteen, both(divide_below_units=20)) == {"eu": 9, "us": 10}
    assert number(nineteen, both(divide_below_units=20), channel="eu")["limited_by"] == "divided"


def test_many_pieces_are_shown_to_all() -> None:
    assert sold(Stock({("TEA", "leipzig"): (20, 0, 0)}), both()) == {"eu": 20, "us": 20}
    assert sold(Stock({("TEA", "leipzig"): (20, 0, 0)}), both(divide_below_units=None)) == {
        "eu": 10,
        "us": 10,
    }
    assert sold(Stock({("TEA", "leipzig"): (5, 0, 0)}), both(divide_below_units=0)) == {
        "eu": 5,
        "us": 5,
    }


def test_pieces_are_divided_by_demand() -> None:
    stock = Stock(
        {("TEA", "leipzig"): (12, 0, 0)},
        demand={("eu", "TEA"): Decimal("0.9"), ("us", "TEA"): Decimal("0.3")},
    )
    assert sold(stock, both(divide_below_units=20)) == {"eu": 9, "us": 3}


def test_a_share_limits_what_a_channel_gets_and_the_other_has_the_rest() -> None:
    stock = Stock({("TEA", "leipzig"): (10, 0, 0)})
    assert sold(stock, both(us={"share": "0.2"}, divide_below_units=11)) == {"eu": 8, "us": 2}
    assert sold(stock, both(eu={"share": "0.2"}, divide_below_units=11)) == {"eu": 2, "us": 8}


def test_pieces_withheld_from_a_channel_are_not_divided() -> None:
    stock = Stock({("TEA", "leipzig"): (10, 0, 0)})
    assert sold(stock, both(eu={"is_withheld": True})) == {"eu": 0, "us": 10}


def test_channels_without_a_common_place_do_not_share_their_deficits() -> None:
    stock = Stock({("TEA", "leipzig"): (4, 0, 0), ("TEA", "paris"): (0, 9, 0)})
    rules = policy({"eu": {"locations": ["paris"]}, "us": {"locations": ["leipzig"]}}, TWO)
    assert sold(stock, rules) == {"eu": 0, "us": 4}


def test_a_deficit_is_taken_from_those_who_sell_there_and_the_last_in_order_first() -> None:
    stock = Stock({("TEA", "leipzig"): (10, 0, 0), ("TEA", "paris"): (0, 8, 0)})
    told = {"eu": {"locations": ["leipzig", "paris"]}, "us": {"locations": ["leipzig"]}}
    assert sold(stock, policy(told, TWO)) == {"eu": 0, "us": 2}


SET = {"SET": [("TEA", Decimal(2)), ("MUG", Decimal(1))]}


def test_a_kit_is_what_its_scarcest_component_allows() -> None:
    stock = Stock({("TEA", "leipzig"): (9, 0, 0), ("MUG", "leipzig"): (7, 0, 0)}, components=SET)
    found = number(stock, alone(), "SET")
    assert (found["sellable_units"], found["limited_by"], found["scarcest_sku"]) == (
        4,
        "component",
        "TEA",
    )
    assert number(stock, alone(cap_units=3), "SET")["limited_by"] == "component"
    capped = alone(overrides=[{"skus": ["SET"], "cap_units": 3}])
    assert (number(stock, capped, "SET")["sellable_units"], sold(stock, capped)["us"]) == (3, 9)


def test_a_kit_pauses_while_a_component_is_scarce() -> None:
    stock = Stock({("TEA", "leipzig"): (9, 0, 0), ("MUG", "leipzig"): (2, 0, 0)}, components=SET)
    assert sold(stock, alone(kits_pause_below_units=2), "SET") == {"us": 2}
    assert sold(stock, alone(kits_pause_below_units=3), "SET") == {"us": 0}


@pytest.mark.parametrize("gone", ["GONE", None])
def test_a_kit_with_an_unknown_component_is_not_sold(gone: str | None) -> None:
    stock = Stock(
        {("TEA", "leipzig"): (9, 0, 0)},
        components={"SET": [("TEA", Decimal(1)), (gone, Decimal(1))]},
    )
    found = number(stock, alone(backorder={"is_allowed": True}), "SET")
    assert (found["sellable_units"], found["backorder_units"]) == (0, 0)
    assert (found["limited_by"], found["scarcest_sku"]) == ("component_unknown", gone)


def test_a_kit_of_kits_is_worked_out_from_the_inside() -> None:
    stock = Stock(
        {("TEA", "leipzig"): (13, 0, 0), ("MUG", "leipzig"): (9, 0, 0)},
        components={"BOX": [("SET", Decimal(3)), ("MUG", Decimal(1))], **SET},
    )
    found = number(stock, alone(), "BOX")
    assert (found["sellable_units"], found["scarcest_sku"]) == (2, "SET")
    assert sold(stock, alone(), "BOX") == {"us": 2}


def test_part_of_a_piece_in_a_kit_counts_exactly() -> None:
    stock = Stock({("OIL", "leipzig"): (7, 0, 0)}, components={"SET": [("OIL", Decimal("0.7"))]})
    assert sold(stock, alone(), "SET") == {"us": 10}


def test_kits_in_a_circle_are_an_error_that_names_them() -> None:
    stock = Stock(
        {("TEA", "leipzig"): (9, 0, 0)},
        components={"A": [("B", Decimal(1))], "B": [("A", Decimal(1))], "C": [("TEA", Decimal(1))]},
    )
    with pytest.raises(KitCycle, match="in a circle: A, B") as fault:
        availability(stock.inputs(alone()))
    assert fault.value.skus == ["A", "B"]
    inner = SkuFacts("A", components=[Component(SkuFacts("A"))])
    with pytest.raises(KitCycle):
        explain(inner, "us", alone())


def test_a_backorder_counts_what_is_promised_already_against_its_limit() -> None:
    rules = alone(backorder={"is_allowed": True, "lead_days": 21, "limit_units": 10})
    short = Stock({("TEA", "leipzig"): (2, 5, 0)})
    found = number(short, rules)
    assert (found["sellable_units"], found["backorder_units"], found["lead_days"]) == (0, 7, 21)
    assert found["limited_by"] == "backorder"
    assert number(TEN, rules)["limited_by"] == "stock"
    free = number(short, alone(backorder={"is_allowed": True}))
    assert free["backorder_units"] == UNLIMITED_UNITS - 3
    assert number(short, alone(backorder={"limit_units": 10}))["backorder_units"] == 0


def test_what_is_assembled_is_sold_from_its_components_or_within_its_limit() -> None:
    rules = alone(is_assembled=True, backorder={"lead_days": 14, "limit_units": 30})
    stock = Stock({("TEA", "leipzig"): (9, 0, 0), ("MUG", "leipzig"): (7, 0, 0)}, components=SET)
    found = number(stock, rules, "SET")
    assert (found["sellable_units"], found["lead_days"], found["limited_by"]) == (
        4,
        14,
        "assembled",
    )
    desk = number(Stock({("DESK", "leipzig"): (0, 0, 0)}), rules, "DESK")
    assert (desk["sellable_units"], desk["backorder_units"], desk["limited_by"]) == (
        0,
        30,
        "assembled",
    )


def test_a_sku_that_no_source_told_has_nothing() -> None:
    found = availability(TEN.inputs(alone(), ["TEA", "NEW"]))
    assert found["sku"].tolist() == ["NEW", "TEA"]
    assert found["sellable_units"].tolist() == [0, 10]
    assert found["limited_by"].tolist() == ["none", "stock"]


def test_a_later_override_wins_and_says_nothing_of_what_it_leaves_out() -> None:
    rules = alone(
        cap_units=9,
        safety={"units": 1},
        overrides=[
            {"skus": ["T*"], "cap_units": 5},
            {"skus": ["TE?"], "cap_units": 2},
            {"skus": ["tea", "T[E]A"], "cap_units": 1},
        ],
    )
    assert sold(TEN, rules) == {"us": 2}
    assert number(TEN, rules)["safety_units"] == 1


def test_the_numbers_are_rows_of_the_canonical_table() -> None:
    found = availability(TEN.inputs(both()))
    assert list(found.columns) == [
        name for name in Availability.columns() if name not in ("policy_hash", "computed_at")
    ]
    assert found.empty is False
    assert availability(TEN.inputs(parse({"locations": {}, "channels": {}}))).empty


def test_demand_is_measured_only_where_a_number_rests_on_it() -> None:
    assert is_used(both())
    assert not is_used(both(divide_below_units=0))
    assert is_used(alone(safety={"days": 2}))
    assert not is_used(alone(safety={"units": 2}))


@pytest.mark.parametrize(
    ("rule", "why"),
    [
        ({"share": "1.2"}, "channels.us.share"),
        ({"safety": {"unit": 2}}, "channels.us.safety.unit"),
        ({"cap_units": -1}, "channels.us.cap_units"),
        ({"overrides": [{"cap_units": 2}]}, "channels.us.overrides.0.skus"),
        ({"locations": ["mars"]}, "'mars'; known: leipzig, paris"),
    ],
)
def test_a_policy_with_a_mistake_says_where(rule: dict[str, Any], why: str) -> None:
    with pytest.raises(PolicyError, match=why):
        alone(**rule)


def test_an_explanation_reads_like_a_bill() -> None:
    stock = Stock(
        {("TEA", "leipzig"): (12, 3, 1), ("TEA", "paris"): (9, 0, 0)},
        {("TEA", "leipzig"): 2, ("TEA", "paris"): 1},
    )
    rules = policy(
        {
            "us": {
                "locations": ["leipzig", "paris"],
                "safety": {"units": 4},
                "share": "0.6",
                "cap_units": 5,
                "backorder": {"is_allowed": True, "limit_units": 3, "lead_days": 9},
            }
        },
        TWO,
    )
    assert explain(stock.facts("TEA"), "us", rules).steps == (
        "leipzig: 12 on hand - 3 allocated - 1 quarantined - 2 reserved = 6",
        "paris: 9 on hand - 0 allocated - 1 reserved = 8",
        "available to promise: 14",
        "safety keeps back 4: 10",
        "share 60 % of 10 = 6",
        "the channel sees 5 at most",
        "may be sold: 5",
        "beyond the stock: 3 more, 9 days until they ship",
    )
