"""What holds of every number, whatever the stock and whatever the policy."""

from collections import defaultdict
from dataclasses import replace
from decimal import Decimal
from typing import Any

from hypothesis import HealthCheck, given, settings
from pandas.testing import assert_frame_equal

from sync_assets.domain.availability import availability
from sync_assets.domain.dividing import interchangeable
from sync_assets.domain.explaining import explain
from sync_assets.domain.policy import Policy
from tests.effort import at_most
from tests.stock_facts import Stock, policies, stocks

modest = settings(
    max_examples=at_most(60, 150), deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
KEPT = (
    "atp_units",
    "safety_units",
    "sellable_units",
    "backorder_units",
    "lead_days",
    "limited_by",
    "scarcest_sku",
)


def rows(stock: Stock, policy: Policy) -> list[dict[str, Any]]:
    """Every number, what is missing as None."""
    found = availability(stock.inputs(policy)).astype(object)
    told: list[dict[str, Any]] = found.where(found.notna(), None).to_dict("records")
    return told


@modest
@given(stocks, policies)
def test_the_number_explained_is_the_number_worked_out(stock: Stock, policy: Policy) -> None:
    for row in rows(stock, policy):
        said = explain(stock.facts(row["sku"]), row["channel"], policy)
        assert {name: getattr(said, name) for name in KEPT} == {name: row[name] for name in KEPT}, (
            row["sku"],
            said.steps,
        )


@modest
@given(stocks, policies)
def test_no_channel_may_sell_more_than_its_rules_allow(stock: Stock, policy: Policy) -> None:
    for row in rows(stock, policy):
        rule, promise = policy.rule(row["channel"], row["sku"]), max(row["atp_units"], 0)
        left = max(promise - row["safety_units"], 0)
        assert 0 <= row["sellable_units"] <= left
        if rule.cap_units is not None:
            assert row["sellable_units"] <= rule.cap_units
        if rule.share is not None:
            assert row["sellable_units"] <= rule.share * left
        if rule.is_withheld:
            assert (row["sellable_units"], row["backorder_units"]) == (0, 0)


@modest
@given(stocks, policies)
def test_a_kit_never_exceeds_its_scarcest_component(stock: Stock, policy: Policy) -> None:
    found = {(row["channel"], row["sku"]): row for row in rows(stock, policy)}
    for (channel, sku), row in found.items():
        for part, units in stock.components.get(sku, []):
            there = found[channel, part]["sellable_units"] if part else 0
            assert row["sellable_units"] * units <= there
        if sku in stock.components:
            assert row["scarcest_sku"] in [part for part, _ in stock.components[sku]]


@modest
@given(stocks, policies)
def test_divided_pieces_are_never_given_to_two_channels(stock: Stock, policy: Policy) -> None:
    divided = policy.model_copy(update={"divide_below_units": None})
    sold: dict[str, int] = defaultdict(int)
    for row in rows(stock, divided):
        sold[row["sku"]] += row["sellable_units"]
    for sku in {sku for sku, _ in stock.levels}:
        sellers = [n for n in divided.channels if not divided.rule(n, sku).is_withheld]
        places = {place for name in sellers for place in divided.open_locations(name)}
        assert sold[sku] <= sum(max(stock.free(sku, place), 0) for place in places)
        if len(places) and _are_tied(divided, sellers):
            assert sold[sku] <= max(0, sum(stock.free(sku, place) for place in places))


@modest
@given(stocks, policies)
def test_levels_added_up_over_like_locations_give_the_same_numbers(
    stock: Stock, policy: Policy
) -> None:
    inputs, like = stock.inputs(policy), interchangeable(policy)
    first = {place: name for name, places in like.items() for place in places}
    named = inputs.levels.assign(
        location=[first.get(place, place) for place in inputs.levels["location"]]
    )
    summed = named.groupby(["sku", "location"], as_index=False).sum()
    assert_frame_equal(availability(replace(inputs, levels=summed)), availability(inputs))
    assert sorted(first) == sorted(policy.locations)


def _are_tied(policy: Policy, sellers: list[str]) -> bool:
    """Whether all of them share a location with the first."""
    first = set(policy.open_locations(sellers[0]))
    return all(first & set(policy.open_locations(name)) for name in sellers)


@modest
@given(stocks, policies)
def test_asking_for_some_skus_gives_the_numbers_of_all(stock: Stock, policy: Policy) -> None:
    every = rows(stock, policy)
    wanted = sorted({row["sku"] for row in every})[::2]
    found = availability(stock.inputs(policy, wanted)).astype(object)
    some = found.where(found.notna(), None).to_dict("records")
    assert some == [row for row in every if row["sku"] in wanted]


@modest
@given(stocks, policies)
def test_more_stock_never_lowers_what_may_be_promised(stock: Stock, policy: Policy) -> None:
    more = Stock(
        {key: (on_hand + 3, *rest) for key, (on_hand, *rest) in stock.levels.items()},
        stock.reserved,
        stock.components,
        {key: Decimal(units) for key, units in stock.demand.items()},
    )
    before = {(row["channel"], row["sku"]): row["atp_units"] for row in rows(stock, policy)}
    after = {(row["channel"], row["sku"]): row["atp_units"] for row in rows(more, policy)}
    assert all(after[key] >= units for key, units in before.items())
