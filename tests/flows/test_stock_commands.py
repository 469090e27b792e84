"""`sync-assets explain` and `sync-assets policy`: what a person learns about a number."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from resources.store import postgres
from resources.store.engine import connected
from sync_assets import policies
from sync_assets.inventory import computing
from tests.desk import NOON, desk, said
from tests.worlds import World

POLICY = """
locations:
  reno: {source: odoo, code: US1}
  london: {source: odoo, code: UK1}
divide_below_units: 0
channels:
  us: {locations: [reno], safety: {units: 2}}
  uk: {locations: [reno, london], share: 0.6}
"""
HOUR = timedelta(hours=1)


@pytest.fixture
def office(world: World, database: postgres.Databases, tmp_path: Path) -> Iterator[World]:
    with desk(world, database, tmp_path) as found:
        (tmp_path / "policies").mkdir()
        (tmp_path / "policies" / "availability.yaml").write_text(POLICY)
        yield found


@pytest.fixture
def file(office: World, tmp_path: Path) -> Path:
    """The policy file."""
    return tmp_path / "policies" / "availability.yaml"


def level(office: World, sku: str, place: str, *units: int) -> None:
    """Let a source tell a level: on hand, allocated, quarantined."""
    office.execute(
        "update core.stock_level_versions set replaced_at = :now "
        "where sku = :sku and location = :place and replaced_at is null",
        sku=sku,
        place=place,
        now=office.clock.at,
    )
    office.execute(
        "insert into core.stock_level_versions (sku, location, source, on_hand_units, "
        "allocated_units, quarantined_units, incoming_units, true_at, known_at) "
        "values (:sku, :place, 'odoo', :on_hand, :allocated, :quarantined, 0, :now, :now)",
        sku=sku,
        place=place,
        on_hand=units[0],
        allocated=units[1],
        quarantined=units[2],
        now=office.clock.at,
    )


def compute(office: World) -> None:
    computing.compute(office.systems, "run", whole=True)
    office.clock.forward(minutes=10)


@pytest.fixture
def known(office: World) -> World:
    """Tea has a number in both channels, and had another one before."""
    level(office, "TEA", "reno", 12, 3, 1)
    compute(office)
    level(office, "TEA", "reno", 9, 3, 1)
    level(office, "TEA", "london", 5, 0, 0)
    compute(office)
    return office


def test_a_number_is_told_step_by_step_and_reckoned_again(known: World) -> None:
    told = said("explain", "TEA", "--channel", "uk")
    assert told.code == 0, told.err
    assert "TEA in uk: 6  decided by share" in told.out
    for step in (
        "reno: 9 on hand - 3 allocated - 1 quarantined - 0 reserved = 5",
        "london: 5 on hand - 0 allocated - 0 reserved = 5",
        "available to promise: 10",
        "share 60 % of 10 = 6",
        "worked out again: the same",
        "never published",
        "the shop lists no such SKU",
    ):
        assert step in told.out


def test_a_program_gets_the_same_as_one_object(known: World) -> None:
    found = said("explain", "TEA", "--json").json
    assert [(one["channel"], one["number"]["sellable_units"]) for one in found["channels"]] == [
        ("uk", 6),
        ("us", 3),
    ]
    assert [one["agrees"] for one in found["channels"]] == [True, True]
    assert found["channels"][1]["worked_out"]["limited_by"] == "safety"


def test_a_number_of_the_past_is_told_from_what_was_known_then(known: World) -> None:
    then = (NOON + timedelta(minutes=5)).isoformat()
    found = said("explain", "TEA", "--channel", "us", "--at", then, "--json").json
    (one,) = found["channels"]
    assert (one["number"]["sellable_units"], one["agrees"]) == (6, True)
    assert one["steps"][0] == "reno: 12 on hand - 3 allocated - 1 quarantined - 0 reserved = 8"


def test_the_past_is_told_by_the_policy_of_then(known: World, file: Path) -> None:
    file.write_text(POLICY.replace("units: 2", "units: 4"))
    compute(known)
    now = said("explain", "TEA", "--channel", "us", "--json").json["channels"][0]
    then = said("explain", "TEA", "--channel", "us", "--at", "2025-06-02T12:15", "--json").json
    assert (now["number"]["sellable_units"], now["agrees"]) == (1, True)
    assert (then["channels"][0]["number"]["sellable_units"], then["channels"][0]["agrees"]) == (
        3,
        True,
    )


def test_a_number_that_does_not_follow_is_said_loudly(known: World) -> None:
    known.execute("delete from ops.stale")
    known.execute("update core.availability_versions set sellable_units = 8 where channel = 'us'")
    known.execute("delete from ops.stale")
    told = said("explain", "TEA", "--channel", "us")
    assert told.code == 1
    assert "THE NUMBER KEPT IS ANOTHER: sellable 8 kept, 3 now" in told.out


def test_newer_facts_that_wait_are_no_fault(known: World) -> None:
    level(known, "TEA", "reno", 30, 0, 0)
    told = said("explain", "TEA", "--channel", "us")
    assert told.code == 0
    assert "newer facts came, and the next run works it out" in told.out


def test_what_was_published_and_shown_is_told(known: World) -> None:
    known.execute(
        "insert into receipt.woocommerce__stock (system, product_id, sku, outcome, wanted_units, "
        "written_units, read_back_units, attempts, answered_at) "
        "values ('us', 7, 'tea', 'set', 3, 3, 3, 1, :now)",
        now=known.clock.at,
    )
    known.execute(
        "insert into core.listings (store, product_id, sku, kind, name, status, description, "
        "tax_status, tax_class, is_virtual, weight, barcode, categories, attributes, images, "
        "stock_management, stock_units, backorders, stock_status, changed_at, raw_version) "
        "values ('us', 7, 'tea', 'simple', 'Tea', 'publish', '', 'taxable', '', false, '', '', "
        "'[]', '{}', '[]', 'yes', 2, 'no', 'instock', :now, 1)",
        now=known.clock.at,
    )
    told = said("explain", "TEA", "--channel", "us")
    assert "last published 2025-06-02 12:20:00 UTC: 3, read back as 3 (set)" in told.out
    assert "the shop showed 2, instock, as of 2025-06-02 12:20:00 UTC" in told.out


def test_a_kit_is_told_by_its_components(office: World) -> None:
    for sku, units in (("TEA", 9), ("MUG", 5)):
        level(office, sku, "reno", units, 0, 0)
        office.execute(
            "insert into core.product_components (system, item_id, sku, component_id, "
            "component_sku, component_units) values ('odoo', 1, 'SET', :id, :sku, :units)",
            id=units,
            sku=sku,
            units=2,
        )
    compute(office)
    found = said("explain", "SET", "--channel", "us", "--json").json["channels"][0]
    assert (found["number"]["scarcest_sku"], found["agrees"]) == ("MUG", True)
    assert found["steps"][:3] == [
        "MUG: 3 for this channel, 2 in each kit: enough for 1",
        "TEA: 7 for this channel, 2 in each kit: enough for 3",
        "the scarcest component is MUG",
    ]


def test_an_unknown_sku_is_told_with_its_nearest(known: World) -> None:
    told = said("explain", "TAE-")
    assert told.code == 1
    assert told.sentence() == "No number is known of 'TAE-'. Nearest: TEA."


def test_an_unreadable_time_is_refused(known: World) -> None:
    assert said("explain", "TEA", "--at", "yesterday").sentence() == (
        "--at needs a time as 2026-03-02T09:30, not 'yesterday'."
    )


def test_a_policy_is_checked_with_what_it_would_change_and_changes_nothing(
    known: World, file: Path
) -> None:
    before = known.rows("select * from core.availability order by channel, sku")
    other = file.with_name("other.yaml")
    other.write_text(POLICY.replace("units: 2", "units: 9"))
    found = said("policy", "check", str(other), "--json").json
    assert (found["numbers"], found["changed"], found["notes"]) == (2, 1, [])
    assert found["channels"] == [
        {"channel": "us", "changed": 1, "up": 0, "down": 1, "to_nothing": 1, "units": -3}
    ]
    assert found["largest"] == [{"channel": "us", "sku": "TEA", "before": 3, "after": 0}]
    assert known.rows("select * from core.availability order by channel, sku") == before
    assert len(known.rows("select 1 from core.policies")) == 1
    assert "It changes no number." in said("policy", "check").out


def test_a_policy_with_a_mistake_is_refused_with_its_place(known: World, file: Path) -> None:
    file.write_text(POLICY + "colour: red\n")
    told = said("policy", "check")
    assert told.code == 1
    assert told.sentence() == "availability.yaml: colour: Extra inputs are not permitted."


def test_the_policy_in_force_is_shown_even_when_its_file_is_broken(
    known: World, file: Path
) -> None:
    assert "share: 0.6" in said("policy", "show").out
    file.write_text("- nonsense")
    told = said("policy", "show")
    assert told.code == 1
    assert "the last good policy stays in force" in told.out
    assert "share: 0.6" in told.out


def test_a_policy_that_is_checked_is_not_in_force(known: World, file: Path) -> None:
    other = file.with_name("other.yaml")
    other.write_text(POLICY.replace("units: 2", "units: 9"))
    said("policy", "check", str(other))
    with connected(known.systems.engine) as connection:
        assert policies.in_force(known.systems, connection).body == POLICY
