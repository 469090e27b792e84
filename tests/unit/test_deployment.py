"""The stand-ins' deployment: data that settings accept, and the same after a way through TOML."""

import tomllib
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resources import settings
from resources.sandbox import deployment
from resources.sandbox.checkout import PAID
from sync_assets.domain.payments import SettledKind
from sync_assets.domain.settlement_policy import SettlementPolicy
from sync_assets.settlements import reading

URLS = {name: f"http://127.0.0.1:8000/{name}" for name in ("us", "uk", "eu", "odoo")}
NAMES = st.text(st.characters(codec="utf-8"), min_size=1, max_size=8)
VALUES = st.one_of(st.text(max_size=12), st.integers(-10, 10), st.booleans(), st.just([]))
TABLES = st.recursive(
    st.dictionaries(NAMES, VALUES | st.lists(VALUES, max_size=3), max_size=3),
    lambda inner: st.dictionaries(NAMES, VALUES | inner, max_size=3),
    max_leaves=5,
)


def test_the_three_stores_share_one_erp() -> None:
    found = settings.parse(deployment.deployment(URLS))
    assert sorted(found.stores) == ["eu", "uk", "us"]
    assert {store.erp for store in found.stores.values()} == {"odoo"}
    assert found.stores["us"].url == "http://127.0.0.1:8000/us"
    assert found.stores["us"].currencies == ("USD",)
    assert found.erps["odoo"].batch == 100
    assert found.endpoints() == {}


def test_whoever_measures_says_secrets_receiver_polling_and_batches() -> None:
    data = deployment.deployment(
        URLS,
        webhook_secrets=["new", "old"],
        receiver={"public_url": "http://127.0.0.1:8090", "port": 8090},
        store_options={"poll_seconds": 5, "lag_seconds": 0},
        batch=25,
        automation=True,
    )
    found = settings.parse(data)
    assert found.receiver.public_url == "http://127.0.0.1:8090"
    assert {store.poll_seconds for store in found.stores.values()} == {5}
    assert (found.erps["odoo"].batch, found.automation) == (25, True)
    secrets = found.endpoints()["uk"].secrets
    assert [secret.get_secret_value() for secret in secrets] == ["new", "old"]


def test_an_erp_of_another_kind_brings_its_own_description(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SOME_KEY", "secret")
    erp = {"kind": "tryton", "url": "http://t", "database": "d", "login": "a"}
    data = deployment.deployment(
        URLS, erp={**erp, "password": "env:SOME_KEY"}, erp_name="tryton", company="One Ltd"
    )
    found = settings.parse(tomllib.loads(deployment.as_toml(data)))
    assert {store.company for store in found.stores.values()} == {"One Ltd"}
    assert {store.erp for store in found.stores.values()} == {"tryton"}


def test_every_store_has_one_provider_with_a_bank_of_its_company(tmp_path: Path) -> None:
    found = settings.parse({**deployment.deployment(URLS), **deployment.money(tmp_path)})
    for store in ("us", "uk", "eu"):
        [name] = [name for name in found.providers if store in found.paid_by(name)]
        provider = found.providers[name]
        assert {"*", PAID[store][0]} == set(provider.payment_methods)
        assert provider.bank is not None
        bank = found.banks[provider.bank]
        assert (bank.company, bank.currency) == (
            found.stores[store].company,
            found.stores[store].currencies[0],
        )
    assert not any(reading.is_asked(one) for one in found.providers.values())


def test_the_policy_names_an_account_of_the_erp_for_whatever_is_booked() -> None:
    said = SettlementPolicy.model_validate_json(deployment.settlements_policy())
    codes = {kind: code for kind, code, _ in deployment.ACCOUNTS}
    assert len(set(codes.values())) == len(codes)
    for books in said.companies.values():
        assert dict(books.accounts) == codes
    [_, dispute, *_] = said.rule("stripe_us").fees
    assert (dispute.kinds, dispute.fixed) == ((SettledKind.CHARGEBACK,), Decimal("15.00"))


@given(TABLES)
def test_what_is_written_as_toml_reads_as_it_was(data: deployment.Data) -> None:
    assert tomllib.loads(deployment.as_toml(data)) == data


def test_what_toml_cannot_say_is_refused() -> None:
    with pytest.raises(TypeError, match="TOML has no word for NoneType"):
        deployment.as_toml({"key": None})
