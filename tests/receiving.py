"""A receiver for tests: its application on a real inbox, a clock that stands still, signatures."""

import asyncio
import base64
import hashlib
import hmac
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import httpx
import psycopg
from psycopg.rows import dict_row
from starlette.types import ASGIApp

from resources import settings
from resources.store.postgres import Databases
from sensors.webhooks import receiver
from sensors.webhooks.intake import Intake
from sensors.webhooks.metrics import Metrics
from tests.worlds import START, Clock

SECRET = "s3cret-öf-the-shop"  # noqa: RUF100, S105
US = "/webhooks/woocommerce/us"
ADYEN_KEY = "44782DEF547AAA06C910C43932B1EB0C71FC68D9D0C057550C48EC2ACF6BA056"
PEER = ("203.0.113.7", 40_000)
EVENT = b'{"id":"evt_1","type":"charge.refunded","data":{"object":{"id":"ch_1","object":"charge"}}}'


def configuration(**more: Any) -> settings.Settings:
    """One endpoint of every scheme; `us`, `pay` and `receiver` may say more."""
    us = {"scheme": "woocommerce", "secrets": [SECRET], **more.pop("us", {})}
    pay = {"scheme": "stripe", "secrets": ["whsec_stripe"], **more.pop("pay", {})}
    webhooks = {
        "us": us,
        "pay": pay,
        "bank": {"scheme": "adyen", "secrets": [ADYEN_KEY]},
        "post": {"scheme": "easypost", "secrets": ["sécret"]},
        "depot": {"scheme": "shipbob", "secrets": ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"]},
        "other": {"scheme": "hmac", "secrets": ["other-secret"]},
    }
    return settings.parse({"webhooks": webhooks, **more})


@dataclass
class Receiving:
    """One running application and what it kept."""

    app: ASGIApp
    client: httpx.AsyncClient
    intake: Intake
    metrics: Metrics
    clock: Clock
    database: Databases
    commits: list[int]

    async def post(
        self, path: str, body: bytes, headers: Mapping[str, Any] | None = None
    ) -> httpx.Response:
        """Send a body as it is."""
        given = httpx.Headers({"content-type": "application/json"})
        given.update(headers or {})
        return await self.client.post(path, content=body, headers=given)

    async def shop(
        self, body: bytes, *, secret: str = SECRET, topic: str = "order.updated", **more: str
    ) -> httpx.Response:
        """Send a delivery as the shop `us` would, signed."""
        return await self.post(US, body, {**signed(body, secret, topic), **more})

    def rows(self) -> list[dict[str, Any]]:
        """The inbox, oldest first."""
        return inbox_of(self.database)

    def count(self, outcome: str, name: str = "us", scheme: str = "woocommerce") -> float:
        """How often an endpoint counted this outcome."""
        labels = {"source": scheme, "store": name, "outcome": outcome}
        return self.metrics.registry.get_sample_value("sync_webhooks_received_total", labels) or 0


def signed(body: bytes, secret: str = SECRET, topic: str = "order.updated") -> dict[str, str]:
    """The headers of a shop's delivery."""
    resource, _, event = topic.partition(".")
    return {
        "X-WC-Webhook-Source": "https://shop.test/",
        "X-WC-Webhook-Topic": topic,
        "X-WC-Webhook-Resource": resource,
        "X-WC-Webhook-Event": event,
        "X-WC-Webhook-Signature": base64_of(secret, body).decode(),
        "X-WC-Webhook-ID": "108",
        "X-WC-Webhook-Delivery-ID": "461966f33a7a04a27c15025889a24cba",
    }


def inbox_of(database: Databases) -> list[dict[str, Any]]:
    """The rows of an inbox, oldest first, bodies as bytes."""
    with psycopg.connect(database.text(database.store), row_factory=dict_row) as connection:
        return connection.execute("select * from ops.inbox order by id").fetchall()


@asynccontextmanager
async def receiving(
    database: Databases,
    config: settings.Settings | None = None,
    peer: tuple[str, int] = PEER,
    **more: Any,
) -> AsyncIterator[Receiving]:
    """An application on this database, started and in the end stopped."""
    metrics, clock, commits = Metrics(), Clock(START), list[int]()
    told = receiver.told_to(metrics)

    def tell(rows: int, seconds: float, waiting: int) -> None:
        commits.append(rows)
        told(rows, seconds, waiting)

    intake = Intake(database.text(database.store), told=tell, **more)
    app = receiver.build(config or configuration(), intake, clock, metrics)
    transport = httpx.ASGITransport(app, client=peer)
    await intake.start()
    try:
        async with httpx.AsyncClient(transport=transport, base_url="http://hooks.test") as client:
            yield Receiving(app, client, intake, metrics, clock, database, commits)
    finally:
        await intake.stop()


def run(
    database: Databases, story: Callable[[Receiving], Awaitable[None]], *given: Any, **more: Any
) -> None:
    """Play one story on a receiver of its own."""

    async def play() -> None:
        async with receiving(database, *given, **more) as one:
            await story(one)

    asyncio.run(play())


def at(moment: datetime) -> str:
    """A moment as senders stamp it."""
    return str(int(moment.timestamp()))


def digest(secret: str | bytes, message: bytes) -> bytes:
    """HMAC-SHA256."""
    key = secret.encode() if isinstance(secret, str) else secret
    return hmac.new(key, message, hashlib.sha256).digest()


def base64_of(secret: str | bytes, message: bytes) -> bytes:
    """A signature in base64."""
    return base64.b64encode(digest(secret, message))


def hex_of(secret: str | bytes, message: bytes) -> bytes:
    """A signature in hex."""
    return digest(secret, message).hex().encode()


def notice(**more: Any) -> dict[str, Any]:
    """The item of the vendor library's own test, with its published signature."""
    item = {
        "pspReference": "7914073381342284",
        "merchantAccountCode": "TestMerchant",
        "merchantReference": "TestPayment-1407325143704",
        "amount": {"value": 1130, "currency": "EUR"},
        "eventCode": "AUTHORISATION",
        "success": "true",
        "additionalData": {"hmacSignature": "coqCmt/IZ4E3CzPvMY8zTjQVL5hYJUiBRg8UU+iCWo0="},
    }
    return {"NotificationRequestItem": {**item, **more}}
