"""From configuration to working clients, as Dagster resources that build plain objects.

Tests pass the plain objects; only the code location and the command line use this module.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

import httpx
from sqlalchemy import Engine

from resources import http
from resources.settings import OdooErp, Settings, Store, TrytonErp, home
from resources.store import postgres
from resources.store.engine import engine_for
from resources.systems.odoo import Odoo
from resources.systems.roles import Erp
from resources.systems.tryton import Tryton
from resources.systems.woocommerce import WooCommerce


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

    @contextmanager
    def shop(self, name: str) -> Iterator[WooCommerce]:
        """A client of one store."""
        store = self.settings.stores[name]
        secrets = (store.key.get_secret_value(), store.secret.get_secret_value())
        with self._http(name, store, auth=secrets) as client:
            yield WooCommerce(
                client,
                name,
                lag_seconds=store.lag_seconds,
                overlap_seconds=store.overlap_seconds,
            )

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

    def _odoo(self, name: str, erp: OdooErp, client: httpx.Client) -> Erp:
        key = erp.api_key.get_secret_value()
        return Odoo(client, erp.database, erp.login, key, system=name)

    def _tryton(self, name: str, erp: TrytonErp, client: httpx.Client) -> Erp:
        shops = self.settings.stores_of(name)
        return Tryton(
            client,
            erp.database,
            erp.login,
            erp.password.get_secret_value(),
            system=name,
            web_shops={store: one.web_shop or store for store, one in shops.items()},
        )

    def _http(
        self,
        name: str,
        account: Store | OdooErp | TrytonErp,
        auth: tuple[str, str] | None = None,
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
            transport=self.transports.get(name),
            sleep=self.sleep,
        )


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
