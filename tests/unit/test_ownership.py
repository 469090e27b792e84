"""The catalog policy: what may stand in it, whose word counts, and its mistakes told clearly."""

from pathlib import Path

import pytest

from resources import settings
from resources.sandbox import deployment
from sync_assets.catalog import policy
from sync_assets.domain.ownership import ERP_OWNS, FIELDS, parse
from sync_assets.domain.policy import PolicyError

EXAMPLE = Path(__file__).resolve().parents[2] / "docs" / "examples" / "catalog.yaml"


def two_stores(path: Path | None = None) -> settings.Settings:
    """A deployment whose policy is at a path, if it names one."""
    said = {"company": "A", "warehouse": "W", "taxes": {}}
    stores = {
        name: deployment.store(f"https://{name}.test", currency=currency, **said)
        for name, currency in (("us", "USD"), ("uk", "GBP"))
    }
    erps = {"odoo": deployment.odoo("https://odoo.test")}
    policies = {"catalog": str(path)} if path else {}
    return settings.parse({"stores": stores, "erps": erps, "policies": policies})


@pytest.fixture(autouse=True)
def _no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no policy be beside the configuration."""
    monkeypatch.setenv("SYNC_CONFIG", str(tmp_path / "sync.toml"))


def test_the_example_can_be_used() -> None:
    known = policy.in_force(two_stores(EXAMPLE))
    uk = known.store("uk")
    assert (uk.price_list, uk.currency, uk.of("status").on_foreign_change) == (
        "UK retail",
        "GBP",
        "raise",
    )
    assert uk.of("name").owner == "erp"
    assert (uk.publishes("All / Saleable / Office", "DESK"), uk.publishes("Other", "DESK")) == (
        True,
        False,
    )
    assert known.store("us").publishes("Other", "TEST-1") is False


def test_without_a_file_the_erp_owns_what_is_charged_and_sold() -> None:
    known = policy.in_force(two_stores()).store("us")
    assert {name for name in FIELDS if known.of(name).owner == "erp"} == set(ERP_OWNS)
    assert (known.creates_missing, known.archived_becomes) == (True, "draft")


def test_a_store_says_only_what_it_does_differently() -> None:
    known = parse(
        {
            "defaults": {"fields": {"name": "erp", "weight": "erp"}, "creates_missing": False},
            "stores": {"uk": {"fields": {"name": "shop"}}},
        }
    )
    uk = known.store("uk")
    assert (uk.of("name").owner, uk.of("weight").owner, uk.creates_missing) == (
        "shop",
        "erp",
        False,
    )
    assert known.store("us").of("name").owner == "erp"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("stores: {us: {fields: {nam: erp}}}", "stores.us.fields.nam"),
        ("stores: {us: {fields: {name: nobody}}}", "stores.us.fields.name.owner"),
        ("stores: {de: {}}", "stores.de: no store of the configuration has this name"),
        ("store: {}", "store: not a part of the policy; known: defaults, stores"),
        ("version: 2", "version: 2 is not known; this program reads 1"),
        ("defaults: {archived_becomes: deleted}", "defaults.archived_becomes"),
        ("- a list", "the policy is not a list of names and values"),
        ("a: [", "is not YAML"),
    ],
)
def test_a_mistake_is_told_with_its_place(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "catalog.yaml"
    path.write_text(text)
    with pytest.raises(PolicyError) as caught:
        policy.in_force(two_stores(path))
    assert str(caught.value).startswith(f"{path}: ")
    assert told in str(caught.value)


def test_a_file_that_is_named_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match="is not there"):
        policy.in_force(two_stores(tmp_path / "none.yaml"))


def test_a_file_beside_the_configuration_needs_no_name(tmp_path: Path) -> None:
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies" / "catalog.yaml").write_text("defaults: {weight_unit: g}")
    assert policy.in_force(two_stores()).store("us").weight_unit == "g"


def test_the_file_is_read_again_each_time(tmp_path: Path) -> None:
    path = tmp_path / "catalog.yaml"
    said = two_stores(path)
    path.write_text("defaults: {creates_missing: true}")
    assert policy.in_force(said).store("us").creates_missing is True
    path.write_text("defaults: {creates_missing: false}")
    assert policy.in_force(said).store("us").creates_missing is False


def test_stores_in_two_currencies_must_say_what_the_erps_own_prices_are_in() -> None:
    said = two_stores()
    known = {name: policy.market(said, name, policy.in_force(said)) for name in said.stores}
    assert {name: one.own_currency for name, one in known.items()} == {"us": None, "uk": None}
    alone = said.model_copy(update={"stores": {"uk": said.stores["uk"]}})
    assert policy.market(alone, "uk", policy.in_force(alone)).own_currency == "GBP"


def test_another_policy_is_another_fingerprint() -> None:
    said = two_stores()
    first = policy.market(said, "us", parse({}))
    second = policy.market(said, "us", parse({"defaults": {"weight_unit": "g"}}))
    assert policy.fingerprint(first) == policy.fingerprint(policy.market(said, "us", parse({})))
    assert policy.fingerprint(first) != policy.fingerprint(second)
