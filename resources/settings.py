"""The one typed configuration file: which stores, which ERPs, and how they belong together.

TOML, found by `SYNC_CONFIG` (default `sync.toml` in the current folder). Secrets are not in it:
`"env:NAME"` names the environment variable that holds one.
"""

import os
import re
import tomllib
from datetime import UTC, datetime
from decimal import Decimal
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Any, Literal

import platformdirs
import pydantic

NAME = Annotated[str, pydantic.StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,30}$")]
CURRENCY = Annotated[str, pydantic.StringConstraints(pattern=r"^[A-Z]{3}$")]
URL = Annotated[str, pydantic.StringConstraints(pattern=r"^https?://[^/\s]+")]
#: Without an offset nobody could say which moment is meant.
INSTANT = Annotated[
    pydantic.AwareDatetime, pydantic.AfterValidator(lambda moment: moment.astimezone(UTC))
]
#: Our states of an order; the shop's own words would never match one.
STATE = Literal[
    "draft",
    "pending_payment",
    "on_hold",
    "paid",
    "completed",
    "cancelled",
    "refunded",
    "failed",
    "trashed",
]


NETWORK = IPv4Network | IPv6Network


class SettingsError(Exception):
    """The configuration cannot be used; the message says where and why."""


class Part(pydantic.BaseModel):
    """A part of the configuration: unknown keys are mistakes."""

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid")


class Account(Part):
    """How one account of one system is reached and treated."""

    url: URL
    #: The limit of the account, shared by every process of ours; none means none is known.
    calls_per_second: float | None = pydantic.Field(default=None, gt=0)
    #: Calls that may go at once after a pause, before the limit holds.
    burst: int = pydantic.Field(default=1, ge=1)
    #: Failures in a row after which nobody calls for a while, and for how long.
    breaker_failures: int = pydantic.Field(default=5, ge=1)
    breaker_seconds: float = pydantic.Field(default=30, gt=0)
    attempts: int = pydantic.Field(default=4, ge=1)
    #: How long a write that fails for passing reasons is tried before a person gets it.
    retry_hours: float = pydantic.Field(default=24, gt=0)
    read_seconds: float = pydantic.Field(default=60, gt=0)


class Store(Account):
    """A WooCommerce store and where its orders go."""

    kind: Literal["woocommerce"] = "woocommerce"
    key: pydantic.SecretStr
    secret: pydantic.SecretStr
    erp: NAME
    company: str
    warehouse: str
    currencies: tuple[CURRENCY, ...] = pydantic.Field(min_length=1)
    price_list: str | None = None
    web_shop: str | None = None
    #: The shop's tax rate codes to the ERP's tax names; "" means a rate that is not passed on.
    taxes: dict[str, str] = {}
    #: Orders placed before this moment are kept and compared, but not sent to the ERP.
    send_orders_from: INSTANT | None = None
    send_states: tuple[STATE, ...] = ("paid", "completed", "refunded")
    shipping_item: str = "SHIPPING"
    fee_item: str = "FEE"
    rounding_item: str = "ROUNDING"
    #: An ERP's total may be off by the larger of these; the difference is a line of its own.
    rounding_tolerance: Decimal = pydantic.Field(default=Decimal("0.05"), ge=0)
    rounding_per_line: Decimal = pydantic.Field(default=Decimal("0.005"), ge=0)
    read_notes: bool = False
    #: Newest first; a second one is accepted while a new one is rolled out.
    webhook_secrets: tuple[pydantic.SecretStr, ...] = pydantic.Field(default=(), max_length=2)
    #: Addresses whose deliveries are taken; empty means all.
    webhooks_from: tuple[NETWORK, ...] = ()
    #: What of ours is written there; what is left out is planned and compared all the same.
    publishes: tuple[Literal["products", "stock", "shipments", "refunds"], ...] = (
        "products",
        "stock",
        "shipments",
        "refunds",
    )
    #: How customers see tracking: the shop's own fulfilments where it has them, else a note.
    tracking: Literal["auto", "fulfilments", "notes"] = "auto"
    #: Where notes are written: under which key the tracking numbers stand in the order's meta data.
    tracking_meta_key: str = "_tracking"
    #: Whose word ends a refund: the shop's, or the payment provider's, for these payment methods.
    refunds_confirmed_by_provider: tuple[str, ...] = ()
    #: How often the shop is asked for what its webhooks may have lost.
    poll_seconds: int = pydantic.Field(default=30, ge=1)
    lag_seconds: int = pydantic.Field(default=30, ge=0)
    overlap_seconds: int = pydantic.Field(default=300, ge=0)


class OdooErp(Account):
    """An Odoo database, 17 to 19."""

    kind: Literal["odoo"]
    database: str
    login: str
    api_key: pydantic.SecretStr
    batch: int = pydantic.Field(default=100, ge=1, le=500)
    #: Stock in these places is there, but not for sale.
    quarantine_places: tuple[str, ...] = ()


class TrytonErp(Account):
    """A Tryton database, 8."""

    kind: Literal["tryton"]
    database: str
    login: str
    password: pydantic.SecretStr
    batch: int = pydantic.Field(default=10, ge=1, le=200)
    #: Stock in these places is there, but not for sale.
    quarantine_places: tuple[str, ...] = ()


ErpSettings = Annotated[OdooErp | TrytonErp, pydantic.Field(discriminator="kind")]


class Columns(Part):
    """How a warehouse writes its CSV files."""

    encoding: Literal["utf-8", "latin-1", "cp1252"] = "utf-8"
    #: Our names of columns to theirs; what is left out has our name.
    columns: dict[str, str] = {}
    #: Columns of theirs we leave alone; any other unknown one refuses the file.
    ignored_columns: tuple[str, ...] = ()
    #: The zone of times without an offset.
    timezone: str = "UTC"


class Sftp(Part):
    """A server that files are exchanged with over SFTP."""

    host: str
    port: int = pydantic.Field(default=22, ge=1, le=65535)
    user: str
    password: pydantic.SecretStr | None = None
    #: A private key in OpenSSH's form.
    private_key: pydantic.SecretStr | None = None
    #: The server's public key, as `ssh-keyscan` prints it: nobody else may answer for it.
    host_key: str
    connect_seconds: float = pydantic.Field(default=15, gt=0)

    @pydantic.model_validator(mode="after")
    def _can_sign_in(self) -> "Sftp":
        if (self.password is None) == (self.private_key is None):
            raise ValueError("give a password or a private_key, one of them")
        return self


class ShippingFiles(Columns):
    """How requests go to a warehouse as files, and what it shipped comes back as files."""

    delimiter: Literal[",", ";", "\t"] = ","
    #: With it, the folders below are the server's; without, they are ours.
    sftp: Sftp | None = None
    #: Where we put requests to ship, one file each.
    orders_to: str
    #: Where it puts its acknowledgements, shipments and returns; one folder may serve all.
    acknowledgements_from: str | None = None
    shipments_from: str
    returns_from: str | None = None


class FilesWarehouse(Columns):
    """A warehouse that exchanges CSV files: its stock, what it shall ship, what it shipped."""

    kind: Literal["files"] = "files"
    #: Where it drops its stock; none: its stock is told by somebody else.
    inbox: Path | None = None
    shipping: ShippingFiles | None = None
    #: Writes to it are tried so long before a person gets them.
    retry_hours: float = pydantic.Field(default=24, gt=0)
    batch: int = pydantic.Field(default=100, ge=1, le=1000)
    #: A release it has not acknowledged by then is late.
    acknowledge_minutes: float = pydantic.Field(default=60, gt=0)
    poll_seconds: int = pydantic.Field(default=60, ge=1)


class WarehouseAccount(Account):
    """What warehouses with an API have in common."""

    batch: int = pydantic.Field(default=25, ge=1, le=500)
    acknowledge_minutes: float = pydantic.Field(default=15, gt=0)
    #: How often it is asked for what its webhooks may have lost.
    poll_seconds: int = pydantic.Field(default=60, ge=1)


class HttpWarehouse(WarehouseAccount):
    """A warehouse that speaks our own plain contract over HTTP (docs/warehouse-http.md)."""

    kind: Literal["http"]
    token: pydantic.SecretStr


class ShipBobWarehouse(WarehouseAccount):
    """A ShipBob account."""

    kind: Literal["shipbob"]
    token: pydantic.SecretStr
    #: The channel our orders are written in.
    channel_id: int
    #: Its shipping method for orders whose policy names none.
    shipping_method: str = "Standard"


def _kind_of(said: Any) -> str:
    """Warehouses were files before there were others; those need no `kind`."""
    kind = said.get("kind", "files") if isinstance(said, dict) else getattr(said, "kind", None)
    return str(kind)


WarehouseSettings = Annotated[
    Annotated[FilesWarehouse, pydantic.Tag("files")]
    | Annotated[HttpWarehouse, pydantic.Tag("http")]
    | Annotated[ShipBobWarehouse, pydantic.Tag("shipbob")],
    pydantic.Discriminator(_kind_of),
]


class EasyPostCarrier(Account):
    """An EasyPost account that tells what becomes of parcels."""

    kind: Literal["easypost"] = "easypost"
    key: pydantic.SecretStr
    poll_seconds: int = pydantic.Field(default=300, ge=1)


class PaymentAccount(Part):
    """What accounts of payment providers have in common; each belongs to one company."""

    #: The shops' payment methods whose money comes by this account; * stands for all others.
    payment_methods: tuple[str, ...] = pydantic.Field(min_length=1)
    #: The stores that use it; empty means all.
    stores: tuple[NAME, ...] = ()
    #: Where report files are dropped; a folder of ours.
    inbox: Path | None = None
    #: The entry of `webhooks` by which it tells what happened.
    webhook: NAME | None = None
    #: The bank account its payouts go to.
    bank: NAME | None = None
    poll_seconds: int = pydantic.Field(default=900, ge=1)


class CalledProvider(PaymentAccount, Account):
    """An account that is also asked over its API."""

    #: Off: only files and webhooks are read.
    asks: bool = True


class StripeProvider(CalledProvider):
    """A Stripe account."""

    kind: Literal["stripe"]
    url: URL = "https://api.stripe.com"
    key: pydantic.SecretStr
    #: Which meta data of a payment names the order; the shop's plugin writes `order_id`.
    order_keys: tuple[str, ...] = ("order_id", "external_identifier")


class PayPalProvider(CalledProvider):
    """A PayPal business account."""

    kind: Literal["paypal"]
    url: URL = "https://api-m.paypal.com"
    client_id: str
    secret: pydantic.SecretStr


class AdyenProvider(CalledProvider):
    """An Adyen merchant account: it has no reading API, only webhooks and reports."""

    kind: Literal["adyen"]
    url: URL = "https://ca-live.adyen.com"
    #: The report user; with it, reports that a webhook announces are fetched.
    report_user: str | None = None
    report_password: pydantic.SecretStr | None = None
    #: Hosts that reports may be fetched from; nobody else gets the password.
    report_hosts: tuple[str, ...] = ("ca-live.adyen.com", "ca-test.adyen.com")

    @pydantic.model_validator(mode="after")
    def _signs_in_whole(self) -> "AdyenProvider":
        if (self.report_user is None) != (self.report_password is None):
            raise ValueError("give report_user and report_password, or neither")
        return self


class AmazonProvider(CalledProvider):
    """An Amazon seller account: the marketplace pays out what it sold for us."""

    kind: Literal["amazon"]
    url: URL = "https://sellingpartnerapi-eu.amazon.com"
    token_url: URL = "https://api.amazon.com"  # noqa: S105 - an address
    client_id: str
    client_secret: pydantic.SecretStr
    refresh_token: pydantic.SecretStr
    marketplace_ids: tuple[str, ...] = ()


class FilesProvider(PaymentAccount, Columns):
    """Whoever remits money and sends a CSV of it: cash on delivery, vouchers, other acquirers."""

    kind: Literal["files"]


ProviderSettings = Annotated[
    StripeProvider | PayPalProvider | AdyenProvider | AmazonProvider | FilesProvider,
    pydantic.Field(discriminator="kind"),
]


class BankAccount(Columns):
    """A bank account whose statements are dropped as files."""

    kind: Literal["camt053", "csv"] = "camt053"
    inbox: Path
    #: Statements of another account are refused.
    iban: str | None = None
    currency: CURRENCY
    company: str
    #: How days and amounts are written in CSV.
    day_format: str = "%Y-%m-%d"
    decimal_comma: bool = False


class Policies(Part):
    """Files that say how stock is shared out and whose word counts for a product's fields.

    They are read again by every run; a relative path starts at the configuration file's folder.
    """

    availability: Path = Path("policies/availability.yaml")
    catalog: Path = Path("policies/catalog.yaml")
    fulfilment: Path = Path("policies/fulfilment.yaml")
    returns: Path = Path("policies/returns.yaml")
    settlements: Path = Path("policies/settlements.yaml")


class Endpoint(Part):
    """A sender of webhooks: how it signs, from where it calls, how much it may say."""

    scheme: Literal["woocommerce", "stripe", "adyen", "easypost", "shipbob", "hmac"]
    #: Newest first; two are valid at once while a secret is changed.
    secrets: tuple[pydantic.SecretStr, ...] = pydantic.Field(min_length=1, max_length=2)
    allow_from: tuple[NETWORK, ...] = ()
    events_per_second: float = pydantic.Field(default=200, gt=0)
    #: How old a signed time stamp may be; for schemes that sign one.
    tolerance_seconds: int = pydantic.Field(default=300, ge=1)
    #: Of the generic scheme: the header that carries the signature, its form and its prefix.
    header: str = "X-Signature"
    encoding: Literal["hex", "base64"] = "hex"
    prefix: str = ""
    topic_header: str = "X-Topic"


class Receiver(Part):
    """Where webhooks come in."""

    host: str = "127.0.0.1"
    port: int = pydantic.Field(default=8090, ge=1, le=65535)
    #: The address senders use, for webhooks we create ourselves.
    public_url: URL | None = None
    max_body_bytes: int = pydantic.Field(default=1_048_576, ge=1024)
    #: A body must have arrived whole by then.
    body_seconds: float = pydantic.Field(default=10, gt=0)
    #: Deliveries that come within this time share one commit.
    commit_milliseconds: float = pydantic.Field(default=2, ge=0, le=50)
    #: Proxies whose X-Forwarded-For is believed.
    trusted_proxies: tuple[NETWORK, ...] = ()


class ServiceLevels(Part):
    """What the business was promised; a breach is a warning on the asset and an alert."""

    order_acceptance_minutes: float = pydantic.Field(default=15, gt=0)
    stock_freshness_minutes: float = pydantic.Field(default=5, gt=0)
    shipment_confirmation_hours: float = pydantic.Field(default=24, gt=0)
    #: How long an exception may be open, by the role that owns it; others have `exception_hours`.
    exception_hours: float = pydantic.Field(default=24, gt=0)
    exception_hours_by_role: dict[str, Annotated[float, pydantic.Field(gt=0)]] = {}
    #: A source that was never silent so long is silent now.
    silent_after_minutes: float = pydantic.Field(default=60, gt=0)
    #: Writes waiting for one system.
    backlog: int = pydantic.Field(default=1000, ge=1)


class Email(Part):
    """A mail server and whom to write to."""

    server: str
    port: int = pydantic.Field(default=587, ge=1, le=65535)
    security: Literal["starttls", "tls", "none"] = "starttls"
    user: str | None = None
    password: pydantic.SecretStr | None = None
    sender: str
    to: tuple[str, ...] = pydantic.Field(min_length=1)


class Notify(Part):
    """Whom to tell about trouble; the log is always told."""

    email: Email | None = None
    #: A Slack-compatible incoming webhook; its address is a secret.
    slack_url: pydantic.SecretStr | None = None
    #: The same trouble is told again only after this long.
    repeat_hours: float = pydantic.Field(default=4, gt=0)


class Retention(Part):
    """How long what is settled is kept. Open work, exceptions and the audit are never purged."""

    inbox_days: int = pydantic.Field(default=30, ge=1)
    outbox_days: int = pydantic.Field(default=180, ge=1)
    #: Versions of a thing that a newer one replaced; the newest is always kept.
    raw_days: int = pydantic.Field(default=180, ge=1)
    runs_days: int = pydantic.Field(default=30, ge=1)
    calls_days: int = pydantic.Field(default=14, ge=1)
    #: Stock numbers that newer ones replaced; what is current is never purged.
    history_days: int = pydantic.Field(default=730, ge=1)


class Settings(Part):
    """Everything a deployment says about itself."""

    stores: dict[NAME, Store] = {}
    erps: dict[NAME, ErpSettings] = {}
    #: Warehouses that are not an ERP's own: they tell stock, and ship what they are told to.
    warehouses: dict[NAME, WarehouseSettings] = {}
    #: Accounts that track parcels.
    carriers: dict[NAME, EasyPostCarrier] = {}
    #: Accounts of payment providers and marketplaces, and the banks they pay to.
    providers: dict[NAME, ProviderSettings] = {}
    banks: dict[NAME, BankAccount] = {}
    policies: Policies = Policies()
    #: Further senders of webhooks; stores that have `webhook_secrets` need no entry.
    webhooks: dict[NAME, Endpoint] = {}
    receiver: Receiver = Receiver()
    service_levels: ServiceLevels = ServiceLevels()
    notify: Notify = Notify()
    retention: Retention = Retention()
    #: Whether sensors and schedules run unless somebody turned them off in the UI;
    #: `sync-assets up` turns them on.
    automation: bool = False
    #: How often customer accounts and the ERPs' items are read whole; they have no changes.
    master_data_minutes: float = pydantic.Field(default=15, gt=0)
    #: How often the stores' products are asked for what changed, and stock for what moved.
    stock_poll_seconds: int = pydantic.Field(default=60, ge=1)
    backfill_from: INSTANT = datetime.fromisoformat("2024-01-01T00:00:00+00:00")

    @pydantic.model_validator(mode="after")
    def _names_are_known(self) -> "Settings":
        for name, store in self.stores.items():
            if store.erp not in self.erps:
                known = ", ".join(self.erps) or "none"
                raise ValueError(f"stores.{name}.erp is {store.erp!r}; known ERPs: {known}")
        taken = {*self.stores, *self.erps}
        for role in ("carriers", "warehouses", "providers", "banks"):
            names = set(getattr(self, role))
            for name in sorted(names & taken):
                raise ValueError(f"{role}.{name} has the name of another system")
            taken |= names
        self._providers_fit()
        twice = sorted(set(self.webhooks) & set(self.stores))
        if twice:
            raise ValueError(f"webhooks.{twice[0]} has the name of a store; choose another")
        return self

    def _providers_fit(self) -> None:
        """An account of a provider is of one company, and what it names is there."""
        for name, one in self.providers.items():
            for what, named, known in (
                ("stores", one.stores, self.stores),
                ("bank", (one.bank,) if one.bank else (), self.banks),
                ("webhook", (one.webhook,) if one.webhook else (), self.webhooks),
            ):
                for unknown in sorted(set(named) - set(known)):
                    raise ValueError(f"providers.{name}.{what} names {unknown!r}, which is not set")
            companies = {(store.erp, store.company) for store in self.paid_by(name).values()}
            if len(companies) > 1:
                several = ", ".join(sorted(company for _, company in companies))
                raise ValueError(
                    f"providers.{name} serves stores of several companies ({several}); say "
                    "`stores`, and give each company an account of its own"
                )

    def paid_by(self, provider: str) -> dict[str, Store]:
        """Stores whose money comes by an account of a provider."""
        named = self.providers[provider].stores
        return {n: one for n, one in self.stores.items() if not named or n in named}

    def erp_kinds(self) -> list[str]:
        """Kinds of ERP in use, sorted."""
        return sorted({erp.kind for erp in self.erps.values()})

    def stock_files(self) -> dict[str, FilesWarehouse]:
        """Warehouses that drop their stock as files."""
        return {
            name: one
            for name, one in self.warehouses.items()
            if isinstance(one, FilesWarehouse) and one.inbox is not None
        }

    def endpoints(self) -> dict[str, Endpoint]:
        """Every sender of webhooks by name, the stores among them."""
        stores = {
            name: Endpoint(
                scheme="woocommerce",
                secrets=store.webhook_secrets,
                allow_from=store.webhooks_from,
            )
            for name, store in self.stores.items()
            if store.webhook_secrets
        }
        return {**stores, **self.webhooks}

    def publishing(self, what: Literal["products", "stock", "shipments", "refunds"]) -> list[str]:
        """Stores that such things are written to."""
        return [name for name, store in self.stores.items() if what in store.publishes]

    def erps_of(self, kind: str) -> list[str]:
        """ERPs of a kind."""
        return [name for name, erp in self.erps.items() if erp.kind == kind]

    def stores_of(self, erp: str) -> dict[str, Store]:
        """Stores whose orders go to `erp`."""
        return {name: store for name, store in self.stores.items() if store.erp == erp}


def home() -> Path:
    """Where local state lives: `SYNC_HOME`, or the user's data folder."""
    named = os.environ.get("SYNC_HOME")
    return Path(named) if named else Path(platformdirs.user_data_dir("sync-assets"))


def config_path() -> Path:
    """The configuration file in force."""
    return Path(os.environ.get("SYNC_CONFIG", "sync.toml"))


def load(path: Path | None = None) -> Settings:
    """Read and check the configuration; a missing file is an empty deployment."""
    path = path or config_path()
    if not path.exists():
        if "SYNC_CONFIG" in os.environ:
            raise SettingsError(f"SYNC_CONFIG names {path}, which does not exist.")
        return Settings()
    try:
        return parse({**tomllib.loads(path.read_text()), **_overrides()})
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as fault:
        raise SettingsError(f"{path} is not TOML: {fault}") from fault
    except OSError as fault:
        raise SettingsError(f"{path} cannot be read: {fault.strerror}") from fault
    except SettingsError as fault:
        raise SettingsError(f"{path}: {fault}") from fault


def _overrides() -> dict[str, Any]:
    """What the process that starts us decides, whatever the file says."""
    return {"automation": True} if os.environ.get("SYNC_AUTOMATION") == "on" else {}


def parse(data: dict[str, Any]) -> Settings:
    """Check configuration data, with secrets taken from the environment."""
    try:
        return Settings.model_validate(_with_secrets(data, ""))
    except pydantic.ValidationError as fault:
        lines = [f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in fault.errors()]
        raise SettingsError("; ".join(lines)) from fault


def _with_secrets(value: Any, where: str) -> Any:
    if isinstance(value, dict):
        return {k: _with_secrets(v, f"{where}.{k}".lstrip(".")) for k, v in value.items()}
    if isinstance(value, list):
        return [_with_secrets(one, f"{where}.{n}") for n, one in enumerate(value)]
    if isinstance(value, str) and (named := re.fullmatch(r"env:(\w+)", value)):
        secret = os.environ.get(named[1])
        if not secret:
            raise SettingsError(f"{where}: set the environment variable {named[1]}")
        return secret
    return value
