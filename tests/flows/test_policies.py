"""The policy file: read again by every run, kept word for word; it never stops the stock."""

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from resources.settings import Policies
from resources.store.engine import connected
from sync_assets import policies
from sync_assets.domain.policy import Backorder, PolicyError, Safety
from sync_assets.inventory.demand import Measured, measure_demand
from sync_assets.policies import InForce, read_yaml
from tests.worlds import World

GOOD = """
locations:
  reno: {source: odoo, code: US1}
  london: {source: odoo, code: UK1}
channels:
  us: {locations: [reno], share: 0.6, safety: {units: 2, days: 1.5}}
  uk: {locations: [london, reno]}
"""
OTHER = GOOD.replace("units: 2", "units: 3")
UNKNOWN_SOURCE = GOOD.replace("source: odoo, code: UK1", "source: oddo, code: UK1")
EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "availability.yaml"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the configuration; the policy file stands in `policies` below it."""
    (tmp_path / "policies").mkdir()
    monkeypatch.setenv("SYNC_CONFIG", str(tmp_path / "sync.toml"))
    return tmp_path / "policies" / "availability.yaml"


def in_force(world: World) -> InForce:
    world.clock.forward(minutes=1)
    with connected(world.systems.engine) as connection:
        return policies.in_force(world.systems, connection)


def troubles(world: World) -> list[tuple[str, str]]:
    rows = world.rows("select state, message from ops.exception where code = 'policy.invalid'")
    return [(row["state"], row["message"]) for row in rows]


def test_without_a_file_each_store_sells_its_own_warehouse(world: World, folder: Path) -> None:
    policy = in_force(world).policy
    assert {name: (one.source, one.code) for name, one in policy.locations.items()} == {
        "us1": ("odoo", "US1"),
        "uk1": ("odoo", "UK1"),
    }
    assert {name: one.locations for name, one in policy.channels.items()} == {
        "us": ("us1",),
        "uk": ("uk1",),
    }


def test_a_file_is_in_force_with_exact_numbers_and_kept_word_for_word(
    world: World, folder: Path
) -> None:
    folder.write_text(GOOD)
    found = in_force(world)
    assert found.policy.channels["us"].share == Decimal("0.6")
    assert found.policy.rule("us", "TEA").safety == Safety(units=2, days=Decimal("1.5"))
    assert world.rows("select name, policy_hash, body from core.policies") == [
        {"name": "availability", "policy_hash": found.policy_hash, "body": GOOD}
    ]


def test_a_changed_file_is_another_policy_at_once(world: World, folder: Path) -> None:
    folder.write_text(GOOD)
    first = in_force(world)
    folder.write_text(OTHER)
    second = in_force(world)
    assert second.policy_hash != first.policy_hash
    assert second.policy.rule("us", "TEA").safety.units == 3


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ("channels: [", "is not YAML"),
        (GOOD + "chanels: {}\n", "chanels: Extra inputs are not permitted"),
        (GOOD.replace("[reno]", "[rino]"), "channels.us.locations names 'rino'"),
        (UNKNOWN_SOURCE, "locations.london.source is 'oddo'"),
        (GOOD + "channels: {}\n", "line 8: 'channels' stands there twice"),
        ("", "Input should be a valid dictionary"),
        (GOOD.replace("0.6", "1.6"), "less than or equal to 1"),
    ],
)
def test_a_file_with_a_mistake_changes_nothing_and_is_told(
    world: World, folder: Path, words: str, why: str
) -> None:
    folder.write_text(GOOD)
    good = in_force(world)
    folder.write_text(words)
    found = in_force(world)
    assert (found.policy, found.policy_hash) == (good.policy, good.policy_hash)
    ((state, message),) = troubles(world)
    assert state == "open"
    assert message.startswith("availability.yaml: ")
    assert why in message
    folder.write_text(OTHER)
    assert in_force(world).policy.rule("us", "TEA").safety.units == 3
    assert [state for state, _ in troubles(world)] == ["closed"]


def test_the_last_good_policy_is_the_one_in_force_last(world: World, folder: Path) -> None:
    for words in (GOOD, OTHER, GOOD):
        folder.write_text(words)
        last = in_force(world)
    folder.write_text("nonsense")
    assert in_force(world).policy_hash == last.policy_hash


def test_a_first_file_with_a_mistake_leaves_what_the_configuration_implies(
    world: World, folder: Path
) -> None:
    folder.write_text(UNKNOWN_SOURCE)
    assert sorted(in_force(world).policy.locations) == ["uk1", "us1"]
    assert [state for state, _ in troubles(world)] == ["open"]


def test_a_file_that_is_named_and_missing_is_a_mistake(world: World, folder: Path) -> None:
    named = world.systems.settings.model_copy(
        update={"policies": Policies(availability=Path("policies/stock.yaml"))}
    )
    world.systems.settings = named
    in_force(world)
    ((_, message),) = troubles(world)
    assert message == "stock.yaml is not there; the last good policy stays in force"


def test_the_example_that_teaches_can_be_used() -> None:
    found = policies.of(EXAMPLE.read_text())
    assert found.policy.channels["eu"].share == Decimal("0.6")
    assert found.policy.rule("uk", "SOFA-2").backorder == Backorder(
        is_allowed=True, lead_days=21, limit_units=10
    )
    assert found.policy.open_locations("eu") == ["leipzig"]


def test_numbers_of_yaml_are_exact() -> None:
    assert read_yaml("share: 0.1") == {"share": Decimal("0.1")}
    with pytest.raises(PolicyError, match="line 1"):
        policies.of("share: .inf")


def test_what_may_be_a_slip_is_noted(world: World, folder: Path) -> None:
    policy = policies.of(
        "locations: {reno: {source: odoo, code: US1}, shed: {source: odoo, code: X}}\n"
        "channels: {us: {locations: [reno]}, ebay: {locations: [reno]}}"
    ).policy
    assert policies.notes(policy, world.systems.settings) == [
        "store uk is no channel: its stock is not published",
        "channel ebay is no store of the configuration: its numbers are worked out, not sent",
        "location shed is in no channel: nobody sells from it",
        "store uk ships from UK1 of odoo, which is no location: its orders reserve nothing",
    ]


@pytest.fixture
def measured(world: World, folder: Path) -> Callable[[], Measured]:
    def measure() -> Measured:
        with connected(world.systems.engine) as connection:
            return measure_demand(world.systems, connection)

    return measure


def demand(world: World) -> list[tuple[Any, ...]]:
    rows = world.rows("select channel, sku, units_per_day from core.demand order by 1, 2")
    return [(row["channel"], row["sku"], row["units_per_day"]) for row in rows]


def test_demand_is_what_sold_per_day_and_marks_what_rests_on_it(
    world: World, folder: Path, measured: Callable[[], Measured]
) -> None:
    folder.write_text(GOOD)
    world.place(lines={"TEA": 14, "MUG": 7})
    world.place(lines={"TEA": 14}, status="cancelled")
    world.run()
    world.execute("delete from ops.stale")
    assert measured() == Measured(True, 2, 2)
    assert demand(world) == [("us", "MUG", Decimal("0.25")), ("us", "TEA", Decimal("0.5"))]
    keys = world.rows("select key from ops.stale where queue = 'availability' order by 1")
    assert [row["key"] for row in keys] == ["MUG", "TEA"]
    assert measured() == Measured(True, 2, 0)


def test_old_sales_are_no_demand_any_more(
    world: World, folder: Path, measured: Callable[[], Measured]
) -> None:
    folder.write_text(GOOD)
    world.place(lines={"TEA": 14})
    world.run()
    measured()
    world.clock.forward(days=29)
    assert measured() == Measured(True, 0, 1)
    assert demand(world) == []


def test_demand_that_nothing_rests_on_is_not_measured(
    world: World, folder: Path, measured: Callable[[], Measured]
) -> None:
    world.place(lines={"TEA": 14})
    world.run()
    assert measured() == Measured()
    assert demand(world) == []
