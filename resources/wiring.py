"""From configuration to working clients, as Dagster resources that build plain objects.

Tests pass the plain objects; only the code location and the command line use this module.
"""

import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import httpx
from sqlalchemy import Engine

from resources import http
from resources.settings import (
    Account,
    AdyenProvider,
    AmazonProvider,
    CalledProvider,
    FilesWarehouse,
    OdooErp,
    PayPalProvider,
    Settings,
    Sftp,
    ShipBobWarehouse,
    StripeProvider,
    TrytonErp,
    home,
)
from resources.store import postgres
from resources.store.circuit import Rules
from resources.store.engine import engine_for
from resources.store.gate import StoreGate
from resources.store.pace import Limit
from resources.systems.adyen import Adyen, Bounded
from resources.systems.amazon import Amazon
from resources.systems.bearer import BearerAuth
from resources.systems.easypost import EasyPost
from resources.systems.folders import Folder, LocalFolder
from resources.systems.odoo import Odoo
from resources.systems.payment_roles import Payments
from resources.systems.paypal import PayPal
from resources.systems.roles import Erp, Warehouse
from resources.systems.sftp import SftpServer
from resources.systems.shipbob import ShipBob
from resources.systems.stock_files import StockFiles
from resources.systems.stripe import Stripe
from resources.systems.tryton import Tryton
from resources.systems.warehouse_files import Kind, WarehouseFiles
from resources.systems.warehouse_http import WarehouseHttp
from resources.systems.woocommerce import WooCommerce

#: Seconds a probe may take beyond its call before another process sends one.
PROBE_MARGIN = 10.0


def utc_now() -> datetime:
    """The clock of the product."""
    return datetime.now(UTC)


@dataclass
class Systems:
    """Every outside system of a deployment, its database and its clock."""

    settings: Settings
    engine: Engine
    now: Callable[[], datetime] = utc_now
    #: Stand-ins by system name instead of the network, in tests.
    transports: Mapping[str, httpx.BaseTransport] = field(default_factory=dict)
    sleep: Callable[[float], None] | None = None
    #: Off only where the database has not our schema yet: then nobody knows of the others' calls.
    is_gated: bool = True

    @contextmanager
    def shop(self, name: str) -> Iterator[WooCommerce]:
        """A client of one store."""
        store = self.settings.stores[name]
        secrets = (store.key.get_secret_value(), store.secret.get_secret_value())
        with self._http(name, store, auth=secrets) as client:
            shop = WooCommerce(
                client,
                name,
                lag_seconds=store.lag_seconds,
                overlap_seconds=store.overlap_seconds,
            )
            shop.tracking_meta_key = store.tracking_meta_key
            yield shop

    @contextmanager
    def erp(self, name: str) -> Iterator[Erp]:
        """A client of one ERP."""
        erp = self.settings.erps[name]
        with self._http(name, erp) as client:
            yield (
                self._odoo(name, erp, client)
                if isinstance(erp, OdooErp)
                else self._tryton(name, erp, client)
            )

    @contextmanager
    def warehouse(self, name: str) -> Iterator[Warehouse]:
        """A client of one warehouse that ships what it is told to."""
        warehouse = self.settings.warehouses[name]
        if isinstance(warehouse, FilesWarehouse):
            with self._folders(name, warehouse) as client:
                yield client
            return
        with self._http(name, warehouse, auth=BearerAuth(warehouse.token)) as http:
            if isinstance(warehouse, ShipBobWarehouse):
                yield ShipBob(http, name, warehouse.channel_id)
            else:
                yield WarehouseHttp(http, name)

    @contextmanager
    def _folders(self, name: str, warehouse: FilesWarehouse) -> Iterator[WarehouseFiles]:
        """The client of a warehouse that exchanges files, here or on a server."""
        shipping = warehouse.shipping
        if shipping is None:
            raise ValueError(f"warehouses.{name} only tells its stock: it has no `shipping`")
        server = sftp_server(name, shipping.sftp) if shipping.sftp else None
        folder: Callable[[str], Folder] = (
            server.folder if server else lambda path: LocalFolder(Path(path))
        )
        said = {
            Kind.ACKNOWLEDGEMENT: shipping.acknowledgements_from,
            Kind.SHIPMENT: shipping.shipments_from,
            Kind.RETURN: shipping.returns_from,
        }
        try:
            yield WarehouseFiles(
                name,
                folder(shipping.orders_to),
                {kind: folder(path) for kind, path in said.items() if path},
                columns=shipping.columns,
                ignored=shipping.ignored_columns,
                encoding=shipping.encoding,
                timezone=shipping.timezone,
                delimiter=shipping.delimiter,
            )
        finally:
            if server:
                server.close()

    @contextmanager
    def carrier(self, name: str) -> Iterator[EasyPost]:
        """A client of one account that tracks parcels."""
        carrier = self.settings.carriers[name]
        with self._http(name, carrier, auth=(carrier.key.get_secret_value(), "")) as http:
            yield EasyPost(http, name)

    @contextmanager
    def provider(self, name: str) -> Iterator[Payments]:
        """A client of one account of a payment provider that has an API to read."""
        one = self.settings.providers[name]
        if isinstance(one, StripeProvider):
            with self._http(name, one, auth=BearerAuth(one.key)) as http:
                yield Stripe(http, name)
        elif isinstance(one, PayPalProvider):
            with self._http(name, one) as http:
                secret = one.secret.get_secret_value()
                yield PayPal(http, name, one.client_id, secret, now=self.now)
        elif isinstance(one, AmazonProvider):
            with self.amazon(name) as client:
                yield client
        else:
            raise ValueError(f"providers.{name} is not asked: it sends files and webhooks")

    @contextmanager
    def amazon(self, name: str) -> Iterator[Amazon]:
        """A client of one seller account, which signs in at another host than it is asked at."""
        one = self.settings.providers[name]
        if not isinstance(one, AmazonProvider):
            raise ValueError(f"providers.{name} is no Amazon account")
        host = Account(url=one.token_url, read_seconds=one.read_seconds)
        with self._http(name, one) as http, self._http(name, host) as tokens:
            yield Amazon(
                http,
                name,
                tokens,
                one.client_id,
                one.client_secret.get_secret_value(),
                one.refresh_token.get_secret_value(),
                marketplace_ids=one.marketplace_ids,
                now=self.now,
            )

    @contextmanager
    def adyen(self, name: str) -> Iterator[Adyen]:
        """A client that fetches the reports of one merchant account."""
        one = self.settings.providers[name]
        if not isinstance(one, AdyenProvider) or one.report_password is None:
            raise ValueError(f"providers.{name} has no report user")
        secrets = (one.report_user or "", one.report_password.get_secret_value())
        bound = Bounded(self.transports.get(name) or httpx.HTTPTransport(), name)
        with self._http(name, one, auth=secrets, transport=bound) as http:
            yield Adyen(http, name, one.report_hosts)

    def stock_files(self, name: str) -> StockFiles:
        """The files of one warehouse that drops its stock as such."""
        warehouse = self.settings.stock_files()[name]
        assert warehouse.inbox is not None
        return StockFiles(
            warehouse.inbox,
            name,
            columns=warehouse.columns,
            encoding=warehouse.encoding,
            zone=ZoneInfo(warehouse.timezone),
            ignored=warehouse.ignored_columns,
        )

    def _odoo(self, name: str, erp: OdooErp, client: httpx.Client) -> Erp:
        key = erp.api_key.get_secret_value()
        return Odoo(
            client,
            erp.database,
            erp.login,
            key,
            system=name,
            quarantine_places=erp.quarantine_places,
        )

    def _tryton(self, name: str, erp: TrytonErp, client: httpx.Client) -> Erp:
        shops = self.settings.stores_of(name)
        return Tryton(
            client,
            erp.database,
            erp.login,
            erp.password.get_secret_value(),
            system=name,
            web_shops={store: one.web_shop or store for store, one in shops.items()},
            quarantine_places=erp.quarantine_places,
            today=lambda: self.now().date(),
        )

    def _http(
        self,
        name: str,
        account: Account,
        auth: httpx.Auth | tuple[str, str] | None = None,
        transport: httpx.BaseTransport | None = None,
    ) -> httpx.Client:
        manners = http.Manners(
            read_seconds=account.read_seconds,
            calls_per_second=account.calls_per_second,
            attempts=account.attempts,
        )
        return http.client(
            name,
            account.url,
            manners,
            auth=auth,
            transport=transport or self.transports.get(name),
            sleep=self.sleep,
            gate=self._gate(name, account, manners) if self.is_gated else None,
        )

    def _gate(self, name: str, account: Account, manners: http.Manners) -> http.Gate:
        """What every call to `name` passes, in whichever process; a new one for each client."""
        return StoreGate(
            self.engine,
            name,
            limit_of(self.settings, name),
            Rules(
                # One call that fails as often as it is tried is not yet a system that is away.
                failures=max(account.breaker_failures, manners.attempts + 1),
                seconds=account.breaker_seconds,
                probe_seconds=manners.connect_seconds + manners.read_seconds + PROBE_MARGIN,
            ),
            now=self.now,
            sleep=self.sleep or time.sleep,
            patience_seconds=manners.longest_wait_seconds,
        )


def sftp_server(name: str, said: Sftp) -> SftpServer:
    """The server that files of `name` are exchanged with; nothing is asked yet."""
    return SftpServer(
        name,
        said.host,
        said.user,
        said.host_key,
        port=said.port,
        password=said.password.get_secret_value() if said.password else None,
        private_key=said.private_key.get_secret_value() if said.private_key else None,
        connect_seconds=said.connect_seconds,
    )


def accounts_of(settings: Settings) -> dict[str, Account]:
    """Every system that is called over HTTP, by name."""
    called = {n: w for n, w in settings.warehouses.items() if not isinstance(w, FilesWarehouse)}
    asked = {n: one for n, one in settings.providers.items() if isinstance(one, CalledProvider)}
    return {**settings.stores, **settings.erps, **called, **settings.carriers, **asked}


def limit_of(settings: Settings, name: str) -> Limit:
    """The limit of calls that `name` shares with every other name of the same real account."""
    accounts = accounts_of(settings)
    same = {key: one for key, one in accounts.items() if _place(one) == _place(accounts[name])}
    rates = [one.calls_per_second for one in same.values() if one.calls_per_second is not None]
    return Limit(
        min(same),
        Decimal(str(min(rates))) if rates else None,
        min(one.burst for one in same.values()),
    )


def _place(account: Account) -> tuple[str, str]:
    """Where the other side counts our calls: by address, and by database where it has several."""
    database = account.database if isinstance(account, OdooErp | TrytonErp) else ""
    return account.url.rstrip("/").lower(), database


def open_systems(settings: Settings) -> Systems:
    """The deployment's systems on its database."""
    return Systems(settings, engine_for(postgres.find(home())))


def environment(databases: postgres.Databases) -> dict[str, str]:
    """What a child process needs to find both databases."""
    return {
        "SYNC_DATABASE_URL": databases.text(databases.store),
        "SYNC_DAGSTER_URL": databases.text(databases.dagster),
        "SYNC_HOME": str(home()),
        "PATH": os.environ.get("PATH", ""),
    }
