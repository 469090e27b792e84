"""The configuration file: what it may say, and how a mistake in it is told."""

import copy
import re
import tomllib
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, get_args

import pytest

from resources import settings
from resources.settings import (
    AdyenProvider,
    AmazonProvider,
    BankAccount,
    FilesProvider,
    FilesWarehouse,
    HttpWarehouse,
    OdooErp,
    PayPalProvider,
    Settings,
    SettingsError,
    ShipBobWarehouse,
    StripeProvider,
    TrytonErp,
)
from sync_assets.domain.orders import OrderState

GOOD: dict[str, Any] = {
    "stores": {
        "us": {
            "url": "https://us.example",
            "key": "ck_very_secret",
            "secret": "cs_very_secret",
            "erp": "odoo",
            "company": "Acme US Inc",
            "warehouse": "US1",
            "currencies": ["USD"],
        }
    },
    "erps": {
        "odoo": {
            "kind": "odoo",
            "url": "https://odoo.example",
            "database": "erp",
            "login": "sync",
            "api_key": "key_very_secret",
        }
    },
}
TRYTON = {
    "kind": "tryton",
    "url": "https://tryton.example",
    "database": "erp",
    "login": "sync",
    "password": "pw_very_secret",
}

#: What TOML makes of a date and time without an offset.
LOCAL = tomllib.loads("at = 2026-03-01T00:00:00")["at"]


def changed(path: str, value: Any) -> dict[str, Any]:
    """The good configuration with one value changed; None takes it out."""
    data = copy.deepcopy(GOOD)
    *parents, last = path.split(".")
    part = data
    for name in parents:
        part = part[name]
    part[last] = value
    if value is None:
        del part[last]
    return data


def test_a_good_configuration_has_careful_defaults() -> None:
    store = settings.parse(GOOD).stores["us"]
    assert store.send_states == ("paid", "completed", "refunded")
    assert (store.send_orders_from, store.taxes, store.read_notes) == (None, {}, False)
    assert (store.lag_seconds, store.overlap_seconds) == (30, 300)
    assert (store.rounding_tolerance, store.rounding_per_line) == (
        Decimal("0.05"),
        Decimal("0.005"),
    )
    assert settings.parse(GOOD).backfill_from == datetime(2024, 1, 1, tzinfo=UTC)


def test_kinds_of_erp_may_stand_side_by_side() -> None:
    found = settings.parse(changed("erps.tryton", TRYTON))
    assert isinstance(found.erps["odoo"], OdooErp)
    assert isinstance(found.erps["tryton"], TrytonErp)
    assert found.erp_kinds() == ["odoo", "tryton"]
    assert list(found.stores_of("odoo")) == ["us"]
    assert found.stores_of("tryton") == {}


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (changed("stores.us.url", None), "stores.us.url: Field required"),
        (changed("stores.us.url", "us.example"), "stores.us.url: String should match pattern"),
        (changed("stores.us.url", "ftp://us.example"), "stores.us.url: String should match"),
        (changed("stores.us.colour", "red"), "stores.us.colour: Extra inputs are not permitted"),
        (changed("stores.us.erp", "sap"), "stores.us.erp is 'sap'; known ERPs: odoo"),
        (changed("stores.us.currencies", []), "stores.us.currencies: Tuple should have at least 1"),
        (changed("stores.us.currencies", ["usd"]), "stores.us.currencies.0: String should match"),
        (changed("stores.us.lag_seconds", -1), "stores.us.lag_seconds: Input should be greater"),
        (changed("stores.us.send_states", ["processing"]), "stores.us.send_states.0: Input should"),
        (changed("stores.us.rounding_tolerance", -1), "stores.us.rounding_tolerance: Input"),
        (changed("stores.us.calls_per_second", 0), "stores.us.calls_per_second: Input should"),
        (changed("stores.US", GOOD["stores"]["us"]), "stores.US.[key]: String should match"),
        (
            changed("erps.odoo.kind", "sap"),
            "erps.odoo: Input tag 'sap' found using 'kind' does not",
        ),
        (changed("erps.odoo.batch", 501), "erps.odoo.odoo.batch: Input should be less than"),
        (changed("erps.odoo.password", "x"), "erps.odoo.odoo.password: Extra inputs are not"),
        (changed("colour", "red"), "colour: Extra inputs are not permitted"),
    ],
)
def test_a_mistake_is_told_with_its_place(data: dict[str, Any], told: str) -> None:
    with pytest.raises(SettingsError) as caught:
        settings.parse(data)
    assert told in str(caught.value)
    assert "very_secret" not in str(caught.value)


@pytest.mark.parametrize("value", ["2026-03-01T00:00:00", LOCAL, "yesterday"])
@pytest.mark.parametrize("path", ["backfill_from", "stores.us.send_orders_from"])
def test_a_moment_without_offset_is_refused(path: str, value: Any) -> None:
    with pytest.raises(SettingsError, match=f"{path}: Input should"):
        settings.parse(changed(path, value))


def test_moments_are_kept_in_utc() -> None:
    found = settings.parse(changed("stores.us.send_orders_from", "2026-03-01T00:00:00-05:00"))
    assert found.stores["us"].send_orders_from == datetime(2026, 3, 1, 5, tzinfo=UTC)
    moment = found.stores["us"].send_orders_from
    assert moment is not None
    assert moment.tzinfo is UTC


def test_the_states_that_can_be_sent_are_the_states_we_have() -> None:
    assert set(get_args(settings.STATE)) == {state.value for state in OrderState}


def test_money_in_the_configuration_is_exact() -> None:
    found = settings.parse(changed("stores.us.rounding_tolerance", "0.10"))
    assert str(found.stores["us"].rounding_tolerance) == "0.10"


def test_secrets_come_from_the_environment_and_show_nowhere(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SHOP_SECRET", "cs_from_the_environment")
    found = settings.parse(changed("stores.us.secret", "env:SHOP_SECRET"))
    assert found.stores["us"].secret.get_secret_value() == "cs_from_the_environment"
    assert "cs_from_the_environment" not in repr(found)
    assert "very_secret" not in repr(found)


@pytest.mark.parametrize("value", [None, ""])
def test_a_missing_secret_is_named_with_its_place(
    monkeypatch: pytest.MonkeyPatch, value: str | None
) -> None:
    monkeypatch.delenv("SHOP_SECRET", raising=False)
    if value is not None:
        monkeypatch.setenv("SHOP_SECRET", value)
    with pytest.raises(SettingsError) as caught:
        settings.parse(changed("stores.us.secret", "env:SHOP_SECRET"))
    assert str(caught.value) == "stores.us.secret: set the environment variable SHOP_SECRET"


NORTH = {"kind": "http", "url": "https://north.example", "token": "token_very_secret"}
BOB = {
    "kind": "shipbob",
    "url": "https://bob.example",
    "token": "token_very_secret",
    "channel_id": 12,
}
FOLDERS = {"orders_to": "out", "shipments_from": "in"}
SERVER = {"host": "sftp.example", "user": "acme", "host_key": "ssh-ed25519 AAAA"}


def with_warehouse(name: str, said: dict[str, Any]) -> dict[str, Any]:
    return {**GOOD, "warehouses": {name: said}}


def test_warehouses_of_three_kinds_stand_side_by_side_with_careful_defaults() -> None:
    depot = {"shipping": {**FOLDERS, "delimiter": ";"}, "inbox": "stock"}
    said = {"north": NORTH, "bob": BOB, "depot": depot, "old": {"inbox": "stock"}}
    found = settings.parse({**GOOD, "warehouses": said}).warehouses
    assert [one.kind for one in found.values()] == ["http", "shipbob", "files", "files"]
    north, bob, files = found["north"], found["bob"], found["depot"]
    assert isinstance(north, HttpWarehouse)
    assert (north.batch, north.acknowledge_minutes, north.poll_seconds) == (25, 15, 60)
    assert isinstance(bob, ShipBobWarehouse)
    assert (bob.channel_id, bob.shipping_method) == (12, "Standard")
    assert isinstance(files, FilesWarehouse)
    assert (files.acknowledge_minutes, files.batch) == (60, 100)
    assert files.shipping is not None
    assert (files.shipping.delimiter, files.shipping.returns_from) == (";", None)
    assert "very_secret" not in repr(found)


def test_only_warehouses_with_an_inbox_tell_stock_by_files() -> None:
    said = {"north": NORTH, "depot": {"shipping": FOLDERS}, "old": {"inbox": "stock"}}
    assert list(settings.parse({**GOOD, "warehouses": said}).stock_files()) == ["old"]


def test_a_tracking_account_is_asked_every_five_minutes_unless_said() -> None:
    account = {"url": "https://track.example", "key": "key_very_secret"}
    found = settings.parse({**GOOD, "carriers": {"track": account}}).carriers["track"]
    assert (found.kind, found.poll_seconds) == ("easypost", 300)
    assert "very_secret" not in repr(found)


@pytest.mark.parametrize("how", [{"password": "pw"}, {"private_key": "key"}])
def test_a_server_for_files_has_a_pinned_key_and_one_way_to_sign_in(how: dict[str, str]) -> None:
    said = {"shipping": {**FOLDERS, "sftp": {**SERVER, **how}}}
    depot = settings.parse(with_warehouse("depot", said)).warehouses["depot"]
    assert isinstance(depot, FilesWarehouse)
    assert depot.shipping is not None
    assert depot.shipping.sftp is not None
    assert (depot.shipping.sftp.port, depot.shipping.sftp.host_key) == (22, "ssh-ed25519 AAAA")


@pytest.mark.parametrize(
    ("name", "said", "told"),
    [
        ("us", NORTH, "warehouses.us has the name of another system"),
        ("odoo", NORTH, "warehouses.odoo has the name of another system"),
        ("north", {**NORTH, "kind": "pigeon"}, "warehouses.north: "),
        ("north", {**NORTH, "colour": "red"}, "colour: Extra inputs are not permitted"),
        ("bob", {**BOB, "channel_id": None}, "warehouses.bob.shipbob.channel_id"),
        (
            "depot",
            {"shipping": {**FOLDERS, "sftp": SERVER}},
            "give a password or a private_key, one of them",
        ),
        (
            "depot",
            {"shipping": {**FOLDERS, "sftp": {**SERVER, "password": "a", "private_key": "b"}}},
            "give a password or a private_key, one of them",
        ),
        (
            "depot",
            {"shipping": {**FOLDERS, "sftp": {**SERVER, "password": "a", "host_key": None}}},
            "host_key",
        ),
    ],
)
def test_a_mistake_about_a_warehouse_is_told_with_its_place(
    name: str, said: dict[str, Any], told: str
) -> None:
    with pytest.raises(SettingsError) as caught:
        settings.parse(with_warehouse(name, said))
    assert told in str(caught.value)


def test_a_warehouse_and_a_tracking_account_have_names_of_their_own() -> None:
    account = {"url": "https://track.example", "key": "key"}
    data = {**GOOD, "warehouses": {"north": NORTH}, "carriers": {"north": account}}
    with pytest.raises(SettingsError, match=r"warehouses\.north has the name of another system"):
        settings.parse(data)


def test_a_store_says_what_of_ours_is_written_there_and_how_tracking_is_shown() -> None:
    store = settings.parse(GOOD).stores["us"]
    assert (store.tracking, store.tracking_meta_key) == ("auto", "_tracking")
    found = settings.parse(changed("stores.us.publishes", ["stock"]))
    assert (found.publishing("stock"), found.publishing("shipments")) == (["us"], [])
    with pytest.raises(SettingsError, match=r"stores\.us\.tracking"):
        settings.parse(changed("stores.us.tracking", "pigeon"))


PAID = {"payment_methods": ["card"]}
STRIPE = {"kind": "stripe", "key": "key_very_secret", **PAID}
PAYPAL = {"kind": "paypal", "client_id": "acme", "secret": "key_very_secret", **PAID}
ADYEN = {"kind": "adyen", **PAID}
AMAZON = {
    "kind": "amazon",
    "client_id": "acme",
    "client_secret": "key_very_secret",
    "refresh_token": "token_very_secret",
    **PAID,
}
FILES = {"kind": "files", "inbox": "cod", **PAID}
BANK = {"inbox": "bank", "currency": "USD", "company": "Acme US Inc"}
HOOK = {"scheme": "stripe", "secrets": ["hook_very_secret"]}
UK = {**GOOD["stores"]["us"], "company": "Acme UK Ltd", "warehouse": "UK1", "currencies": ["GBP"]}


def with_provider(said: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {**GOOD, "providers": {"pay": said}, **more}


def test_providers_of_every_kind_stand_side_by_side_with_careful_defaults() -> None:
    said = {"s": STRIPE, "p": PAYPAL, "a": ADYEN, "m": AMAZON, "f": FILES}
    found = settings.parse({**GOOD, "providers": said}).providers
    stripe, paypal, adyen, amazon, files = found.values()
    assert isinstance(stripe, StripeProvider)
    assert (stripe.url, stripe.asks, stripe.poll_seconds) == ("https://api.stripe.com", True, 900)
    assert stripe.order_keys == ("order_id", "external_identifier")
    assert (stripe.inbox, stripe.webhook, stripe.bank, stripe.stores) == (None, None, None, ())
    assert isinstance(paypal, PayPalProvider)
    assert paypal.url == "https://api-m.paypal.com"
    assert isinstance(adyen, AdyenProvider)
    assert (adyen.report_user, adyen.report_hosts) == (
        None,
        ("ca-live.adyen.com", "ca-test.adyen.com"),
    )
    assert isinstance(amazon, AmazonProvider)
    assert amazon.url == "https://sellingpartnerapi-eu.amazon.com"
    assert amazon.token_url == "https://api.amazon.com"
    assert isinstance(files, FilesProvider)
    assert (files.inbox, files.encoding, files.timezone) == (Path("cod"), "utf-8", "UTC")


def test_secrets_of_providers_show_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STRIPE_KEY", "sk_from_the_environment")
    adyen = {**ADYEN, "report_user": "report@Company.Acme", "report_password": "pw_very_secret"}
    stripe = {**STRIPE, "key": "env:STRIPE_KEY"}
    said = {"s": stripe, "p": PAYPAL, "a": adyen, "m": AMAZON}
    found = settings.parse({**GOOD, "providers": said, "webhooks": {"hook": HOOK}})
    one = found.providers["s"]
    assert isinstance(one, StripeProvider)
    assert one.key.get_secret_value() == "sk_from_the_environment"
    assert "from_the_environment" not in repr(found)
    assert "very_secret" not in repr(found)


def test_a_bank_account_is_read_from_camt_unless_said() -> None:
    csv = {**BANK, "kind": "csv", "decimal_comma": True, "day_format": "%d.%m.%Y"}
    found = settings.parse({**GOOD, "banks": {"main": BANK, "other": csv}}).banks
    assert found["main"] == BankAccount(inbox=Path("bank"), currency="USD", company="Acme US Inc")
    assert (found["main"].kind, found["main"].iban) == ("camt053", None)
    assert found["other"].kind == "csv"
    assert (found["other"].decimal_comma, found["other"].day_format) == (True, "%d.%m.%Y")


def test_an_account_serves_the_stores_it_names_or_all() -> None:
    stores = {**GOOD["stores"], "us2": GOOD["stores"]["us"]}
    said = {"all": STRIPE, "one": {**PAYPAL, "stores": ["us2"]}}
    found = settings.parse({**GOOD, "stores": stores, "providers": said})
    assert list(found.paid_by("all")) == ["us", "us2"]
    assert list(found.paid_by("one")) == ["us2"]


def test_an_account_names_its_bank_and_its_webhook() -> None:
    said = {**STRIPE, "bank": "main", "webhook": "hook"}
    data = with_provider(said, banks={"main": BANK}, webhooks={"hook": HOOK})
    one = settings.parse(data).providers["pay"]
    assert (one.bank, one.webhook) == ("main", "hook")


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ({**STRIPE, "kind": "cheque"}, "providers.pay: Input tag 'cheque' found using 'kind'"),
        (PAID, "providers.pay: Unable to extract tag using discriminator 'kind'"),
        ({**STRIPE, "key": None}, "providers.pay.stripe.key: Input should be a valid string"),
        ({"kind": "stripe", **PAID}, "providers.pay.stripe.key: Field required"),
        ({"kind": "stripe", "key": "k"}, "providers.pay.stripe.payment_methods: Field required"),
        ({**STRIPE, "payment_methods": []}, "payment_methods: Tuple should have at least 1 item"),
        ({**STRIPE, "secret": "s"}, "providers.pay.stripe.secret: Extra inputs are not permitted"),
        ({**PAYPAL, "poll_seconds": 0}, "providers.pay.paypal.poll_seconds: Input should be"),
        ({**FILES, "asks": True}, "providers.pay.files.asks: Extra inputs are not permitted"),
        ({**FILES, "url": "https://x"}, "providers.pay.files.url: Extra inputs are not permitted"),
        ({**ADYEN, "report_user": "u"}, "give report_user and report_password, or neither"),
        ({**ADYEN, "report_password": "p"}, "give report_user and report_password, or neither"),
        ({**STRIPE, "stores": ["eu"]}, "providers.pay.stores names 'eu', which is not set"),
        ({**STRIPE, "bank": "main"}, "providers.pay.bank names 'main', which is not set"),
        ({**STRIPE, "webhook": "hook"}, "providers.pay.webhook names 'hook', which is not set"),
    ],
)
def test_a_mistake_about_a_provider_is_told_with_its_place(said: dict[str, Any], told: str) -> None:
    with pytest.raises(SettingsError) as caught:
        settings.parse(with_provider(said))
    assert told in str(caught.value)
    assert "very_secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ({**BANK, "kind": "mt940"}, "banks.main.kind: Input should be 'camt053' or 'csv'"),
        ({**BANK, "currency": "usd"}, "banks.main.currency: String should match pattern"),
        ({**BANK, "inbox": None}, "banks.main.inbox: "),
        ({**BANK, "delimiter": ";"}, "banks.main.delimiter: Extra inputs are not permitted"),
        ({**BANK, "url": "https://x"}, "banks.main.url: Extra inputs are not permitted"),
    ],
)
def test_a_mistake_about_a_bank_is_told_with_its_place(said: dict[str, Any], told: str) -> None:
    with pytest.raises(SettingsError) as caught:
        settings.parse({**GOOD, "banks": {"main": said}})
    assert told in str(caught.value)


def test_an_account_of_a_provider_is_of_one_company() -> None:
    stores = {**GOOD["stores"], "uk": UK}
    with pytest.raises(SettingsError) as caught:
        settings.parse(with_provider(STRIPE, stores=stores))
    assert str(caught.value).endswith(
        "providers.pay serves stores of several companies (Acme UK Ltd, Acme US Inc); say "
        "`stores`, and give each company an account of its own"
    )
    both = {"us_pay": {**STRIPE, "stores": ["us"]}, "uk_pay": {**STRIPE, "stores": ["uk"]}}
    found = settings.parse({**GOOD, "stores": stores, "providers": both})
    assert list(found.paid_by("uk_pay")) == ["uk"]


@pytest.mark.parametrize("role", ["providers", "banks"])
@pytest.mark.parametrize("name", ["us", "odoo", "north", "track"])
def test_providers_and_banks_have_names_of_their_own(role: str, name: str) -> None:
    said = {"providers": STRIPE, "banks": BANK}[role]
    account = {"url": "https://track.example", "key": "key"}
    data = {**GOOD, "warehouses": {"north": NORTH}, "carriers": {"track": account}}
    with pytest.raises(SettingsError, match=rf"{role}\.{name} has the name of another system"):
        settings.parse({**data, role: {name: said}})


def test_a_provider_and_a_bank_have_names_of_their_own() -> None:
    data = {**GOOD, "providers": {"main": STRIPE}, "banks": {"main": BANK}}
    with pytest.raises(SettingsError, match=r"banks\.main has the name of another system"):
        settings.parse(data)


def test_the_configuration_that_the_documentation_shows_can_be_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    text = (Path(__file__).resolve().parents[2] / "docs" / "operating.md").read_text()
    for name in re.findall(r"env:(\w+)", text):
        monkeypatch.setenv(name, "secret")
    said: dict[str, Any] = {}
    for block in re.findall(r"```toml\n(.*?)```", text, re.DOTALL):
        for part, value in tomllib.loads(block).items():
            said[part] = {**said.get(part, {}), **value} if isinstance(value, dict) else value
    for name in ("uk", "eu"):  # its providers serve stores like the one it shows
        said["stores"][name] = said["stores"]["us"]
    found = settings.parse(said)
    kinds = [one.kind for one in found.providers.values()]
    assert kinds == ["stripe", "paypal", "adyen", "amazon", "files"]
    assert [one.kind for one in found.banks.values()] == ["camt053", "csv"]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SYNC_CONFIG", raising=False)
    return tmp_path


def test_without_a_file_there_is_an_empty_deployment(here: Path) -> None:
    assert settings.load() == Settings()


def test_the_file_in_the_current_folder_is_read(here: Path) -> None:
    (here / "sync.toml").write_text('backfill_from = "2025-06-01T00:00:00Z"\n')
    assert settings.load().backfill_from == datetime(2025, 6, 1, tzinfo=UTC)


def test_a_named_file_that_is_not_there_is_an_error(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SYNC_CONFIG", "elsewhere.toml")
    with pytest.raises(SettingsError, match=r"^SYNC_CONFIG names elsewhere.toml, which does not"):
        settings.load()


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"[stores", "sync.toml is not TOML: "),
        (b"a = '\xff'", "sync.toml is not TOML: "),
        (b"colour = 'red'", "sync.toml: colour: Extra inputs are not permitted"),
    ],
)
def test_a_broken_file_is_told_by_name(here: Path, content: bytes, told: str) -> None:
    (here / "sync.toml").write_bytes(content)
    with pytest.raises(SettingsError) as caught:
        settings.load()
    assert str(caught.value).startswith(told)


def test_a_folder_is_no_configuration(here: Path) -> None:
    (here / "sync.toml").mkdir()
    with pytest.raises(SettingsError, match=r"^sync.toml cannot be read: Is a directory$"):
        settings.load()
