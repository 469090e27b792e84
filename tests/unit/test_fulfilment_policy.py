"""The fulfilment policy: what may stand in it, what it says of each place, and that a mistake in it
leaves the last good one in force.
"""

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml

from resources.settings import Policies, Settings
from resources.store.engine import connected
from sync_assets.domain.fulfilment_policy import CarrierChoice, FulfilmentPolicy, Place, StoreRule
from sync_assets.domain.policy import Policy, PolicyError, parse
from sync_assets.shipments import policy as policies
from sync_assets.shipments.policy import FILE, Rules, Site, rules_of
from tests.worlds import World, deployment

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "fulfilment.yaml"
NORTH = {"kind": "http", "url": "https://north.test", "token": "token"}
EAST = {"system": "north", "code": "EAST"}
GOOD: dict[str, Any] = {"places": {"east": EAST}, "stores": {"us": {"ship_from": ["east"]}}}


@pytest.fixture
def settings() -> Settings:
    """Two stores, an ERP and a warehouse."""
    more = Settings.model_validate({"warehouses": {"north": NORTH}})
    return deployment().model_copy(update={"warehouses": more.warehouses})


def of(settings: Settings, said: Any) -> FulfilmentPolicy:
    return FILE.of(said if isinstance(said, str) else yaml.safe_dump(said), settings)


def stock(**places: tuple[str, str]) -> Policy:
    """A stock policy with these locations: source and code of each."""
    return parse(
        {
            "locations": {n: {"source": s, "code": c} for n, (s, c) in places.items()},
            "channels": {"us": {"locations": list(places)}},
        }
    )


# ---------------------------------------------------------------- what may stand in it


def test_what_is_not_said_has_a_default(settings: Settings) -> None:
    rule = of(settings, GOOD).stores["us"]
    assert (rule.split, rule.most_parts, rule.backorder) == ("never", 3, "release")
    assert (rule.release_after_minutes, rule.ship_within_hours) == (0, Decimal(24))
    assert rule.completes_orders is True


def test_the_example_of_the_documentation_can_be_read(settings: Settings) -> None:
    found = of(settings, EXAMPLE.read_text())
    assert found.stores["us"].ship_from == ("us_main", "west_3pl", "flagship")
    assert found.places["flagship"].kind == "store"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"stores": {"us": {"ship_from": ["est"]}}}, "names 'est'; places: east"),
        ({"stores": {"us": {"ship_from": []}}}, "stores.us.ship_from: Tuple should have at least"),
        ({"stores": {"xx": {"ship_from": ["east"]}}}, "stores.xx is no store .* known: uk, us"),
        ({"stores": {"us": {"ship_form": ["east"]}}}, "stores.us.ship_form: Extra inputs"),
        (
            {"stores": {"us": {"ship_from": ["east"], "split": "always"}}},
            "'never' or 'when_needed'",
        ),
        (
            {"stores": {"us": {"ship_from": ["east"], "most_parts": 0}}},
            "greater than or equal to 1",
        ),
        ({"places": {"east": {**EAST, "countries": ["USA"]}}}, "places.east.countries.0"),
        ({"places": {"east": {**EAST, "regions": ["CA"]}}}, "places.east.regions.0"),
        ({"places": {"East": EAST}}, "places.East"),
        ({"version": 2}, "version: Input should be 1"),
    ],
)
def test_a_mistake_is_named_where_it_stands(
    settings: Settings, change: dict[str, Any], said: str
) -> None:
    with pytest.raises(PolicyError, match=said):
        of(settings, GOOD | change)


@pytest.mark.parametrize("said", ["- us", "stores: [", "east", "places: {east: {}, east: {}}"])
def test_what_is_no_policy_is_a_mistake(settings: Settings, said: str) -> None:
    with pytest.raises(PolicyError):
        of(settings, said)


def test_an_empty_file_says_nothing(settings: Settings) -> None:
    assert of(settings, "") == FulfilmentPolicy()


# ---------------------------------------------------------------- whereto, and how


@pytest.mark.parametrize(
    ("countries", "regions", "address", "serves"),
    [
        ((), (), ("FR", ""), True),
        (("US",), (), ("US", "CA"), True),
        (("US",), (), ("FR", ""), False),
        ((), ("US-CA",), ("US", "CA"), True),
        ((), ("US-CA",), ("US", "NY"), False),
        (("CA",), ("US-CA",), ("CA", "QC"), True),
        (("US",), (), ("", ""), False),
    ],
)
def test_a_place_serves_the_countries_and_regions_it_names(
    countries: tuple[str, ...], regions: tuple[str, ...], address: tuple[str, str], serves: bool
) -> None:
    assert Place(countries=countries, regions=regions).serves(*address) is serves


def test_the_first_choice_that_fits_a_shipping_method_says_the_carrier() -> None:
    rule = StoreRule(
        ship_from=("east",),
        carriers=(
            CarrierChoice(methods=("Express*",), carrier="UPS", service="Next Day Air"),
            CarrierChoice(methods=("*[Saver]", "Standard"), carrier="USPS"),
            CarrierChoice(methods=("*day*",), carrier="DHL"),
        ),
    )

    def carrier(method: str) -> str | None:
        found = rule.carrier_for(method)
        return found.carrier if found else None

    assert carrier("express (1 day)") == "UPS"
    assert carrier("Weekend [saver]") == "USPS"
    assert carrier("2-day") == "DHL"
    assert carrier("Pickup") is None
    assert carrier("") is None


# ---------------------------------------------------------------- places, filled in


def test_a_place_takes_system_and_code_from_the_stock_location_of_its_name(
    settings: Settings,
) -> None:
    policy = of(settings, {**GOOD, "places": {"east": {"countries": ["US"]}}})
    rules = rules_of(policy, stock(east=("north", "E1")), settings)
    assert rules.sites == {"east": Site("east", "north", "http", "E1", policy.places["east"])}
    assert not rules.sites["east"].is_erps_own


def test_what_the_place_says_itself_comes_first(settings: Settings) -> None:
    policy = of(settings, {**GOOD, "places": {"east": {"system": "odoo", "code": ""}}})
    site = rules_of(policy, stock(east=("north", "E1")), settings).sites["east"]
    assert (site.system, site.kind, site.code) == ("odoo", "odoo", "")
    assert site.is_erps_own


def test_a_place_that_nobody_knows_is_a_mistake(settings: Settings) -> None:
    nameless = of(settings, {**GOOD, "places": {"east": {}}})
    with pytest.raises(PolicyError, match=r"places.east: name its system"):
        rules_of(nameless, stock(west=("north", "W1")), settings)
    elsewhere = of(settings, {**GOOD, "places": {"east": {"system": "south"}}})
    with pytest.raises(PolicyError, match="'south'; ERPs and warehouses: north, odoo"):
        rules_of(elsewhere, stock(west=("north", "W1")), settings)


def test_our_name_of_a_place_is_found_by_its_code_or_where_there_is_only_one(
    settings: Settings,
) -> None:
    places = {"east": EAST, "west": {"system": "north", "code": "WEST"}, "own": {"system": "odoo"}}
    rules = rules_of(of(settings, {**GOOD, "places": places}), stock(x=("odoo", "US1")), settings)
    assert rules.name_of("north", "WEST") == "west"
    assert rules.name_of("north", "MOON") is None
    assert rules.name_of("odoo", "anything") == "own"
    assert rules.name_of("south", "EAST") is None
    assert rules.store("uk") is None


def test_without_a_policy_every_store_ships_from_its_erps_own_warehouse(
    settings: Settings,
) -> None:
    rules = rules_of(FulfilmentPolicy(), stock(reno=("odoo", "US1")), settings)
    own = {name: rules.policy.stores[name].ship_from for name in ("us", "uk")}
    assert own == {"us": ("reno",), "uk": ("own_uk",)}
    assert {(s.system, s.code, s.place.assumes_stock) for s in rules.sites.values()} == {
        ("odoo", "US1", True),
        ("odoo", "UK1", True),
    }


# ---------------------------------------------------------------- the file


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the policy file stands."""
    (tmp_path / "policies").mkdir()
    monkeypatch.setenv("SYNC_CONFIG", str(tmp_path / "sync.toml"))
    return tmp_path / "policies" / "fulfilment.yaml"


@pytest.fixture
def now(world: World, settings: Settings, file: Path) -> Callable[[], Rules]:
    """The rules in force, a minute later each time."""
    world.systems.settings = settings

    def in_force() -> Rules:
        world.clock.forward(minutes=1)
        with connected(world.systems.engine) as connection:
            return policies.in_force(world.systems, connection)

    return in_force


def told(world: World) -> list[str]:
    query = "select message from ops.exception where code = 'policy.invalid' and state = 'open'"
    return [row["message"] for row in world.rows(query)]


def kept(world: World) -> list[str]:
    query = "select body from core.policies where name = 'fulfilment' order by applied_at"
    return [row["body"] for row in world.rows(query)]


def test_without_a_file_the_erps_ship(world: World, now: Callable[[], Rules]) -> None:
    assert {site.system for site in now().sites.values()} == {"odoo"}
    assert (told(world), kept(world)) == ([], [])


def test_a_file_is_kept_word_for_word_once(
    world: World, now: Callable[[], Rules], file: Path
) -> None:
    file.write_text(first := "# ours\n" + yaml.safe_dump(GOOD))
    assert now().sites["east"].code == "EAST"
    now()
    assert kept(world) == [first]
    file.write_text(second := yaml.safe_dump({**GOOD, "places": {"east": {**EAST, "code": "E2"}}}))
    assert now().sites["east"].code == "E2"
    assert kept(world) == [first, second]


MISTAKES = {
    "unreadable": "stores: [",
    "misspelled": yaml.safe_dump({**GOOD, "store": {}}),
    "a store nobody has": yaml.safe_dump({**GOOD, "stores": {"fr": {"ship_from": ["east"]}}}),
    "a place at no system": yaml.safe_dump({**GOOD, "places": {"east": {"system": "south"}}}),
    "a place nobody knows": yaml.safe_dump({**GOOD, "places": {"east": {}}}),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_leaves_the_last_good_one_in_force_and_is_told_until_it_is_mended(
    world: World, now: Callable[[], Rules], file: Path, mistake: str
) -> None:
    file.write_text(good := yaml.safe_dump(GOOD))
    now()
    file.write_text(MISTAKES[mistake])
    assert now().sites["east"].code == "EAST"
    [said] = told(world)
    assert said.startswith("fulfilment.yaml: ")
    assert said.endswith("; the last good policy stays in force")
    assert kept(world) == [good]
    file.write_text(good)
    now()
    assert told(world) == []


def test_with_a_first_file_that_has_a_mistake_nobody_is_asked_to_ship(
    world: World, now: Callable[[], Rules], file: Path
) -> None:
    file.write_text(MISTAKES["a place at no system"])
    assert (now().sites, now().store("us")) == ({}, None)
    assert len(told(world)) == 1
    assert kept(world) == []


def test_a_last_good_one_that_no_longer_fits_is_not_used(
    world: World, now: Callable[[], Rules], file: Path
) -> None:
    file.write_text(yaml.safe_dump(GOOD))
    now()
    world.systems.settings = deployment()  # the warehouse is gone
    assert (now().sites, now().store("us")) == ({}, None)
    [said] = told(world)
    assert "places.east.system is 'north'; ERPs and warehouses: odoo" in said


def test_a_named_file_that_is_not_there_is_a_mistake(
    world: World, now: Callable[[], Rules], file: Path
) -> None:
    named = Policies(fulfilment=Path("policies/other.yaml"))
    world.systems.settings = world.systems.settings.model_copy(update={"policies": named})
    now()
    assert told(world) == ["other.yaml is not there; the last good policy stays in force"]


def test_the_older_of_two_good_ones_comes_back_when_it_is_written_again(
    world: World, now: Callable[[], Rules], file: Path
) -> None:
    first, second = (
        yaml.safe_dump({**GOOD, "places": {"east": {**EAST, "code": code}}}) for code in "AB"
    )
    for body in (first, second, first):
        file.write_text(body)
        now()
    file.write_text("stores: [")
    assert now().sites["east"].code == "A"
    assert kept(world) == [second, first]
