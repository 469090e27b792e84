"""The webhook receiver as an ASGI application: its endpoints, health, metrics and description.

It needs the database and nothing else: it stays up while the orchestrator is down. What an endpoint
takes is decided in `doors`, when it is on disk in `intake`.
"""

import gc
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime
from typing import Protocol

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from resources import settings
from resources.settings import Settings
from resources.store import postgres
from sensors.webhooks import openapi
from sensors.webhooks.doors import Door, House, Keeper
from sensors.webhooks.intake import Intake, Told
from sensors.webhooks.metrics import MEDIA_TYPE, Metrics

#: Requests leave little that only the collector finds; Python's 700 is once in ten requests.
COLLECT = (20_000, 20, 20)
#: What the framework refuses, as we count it.
REFUSED = {404: "unknown_path", 405: "wrong_method"}

Clock = Callable[[], datetime]


class Store(Keeper, Protocol):
    """What the application needs of its intake."""

    waiting_rows: int

    def start(self) -> Awaitable[None]:
        """Begin to keep deliveries."""

    def stop(self) -> Awaitable[None]:
        """Finish what was taken in."""

    def is_ready(self) -> Awaitable[bool]:
        """Whether deliveries can be kept now."""


def utc_now() -> datetime:
    """The clock of the receiver."""
    return datetime.now(UTC)


def build(
    config: Settings, intake: Store, clock: Clock = utc_now, metrics: Metrics | None = None
) -> ASGIApp:
    """The application: one endpoint per configured sender, and what operators ask of it."""
    metrics = metrics or Metrics()
    metrics.watch_queue(lambda: intake.waiting_rows)
    house = House(config.receiver, intake, clock, metrics)
    doors = [Door(name, endpoint, house) for name, endpoint in config.endpoints().items()]
    rest = Starlette(
        routes=_routes(config, intake, metrics, doors),
        lifespan=_lifespan(intake),
        exception_handlers={HTTPException: _refusal(metrics)},
    )
    rest.router.redirect_slashes = False
    return _Front({door.path.encode(): door for door in doors}, rest)


def from_environment() -> ASGIApp:
    """The application of this deployment, for a server that starts it by name."""
    config = settings.load()
    found = postgres.find(settings.home())
    metrics = Metrics()
    intake = Intake(
        found.text(found.store),
        company_seconds=config.receiver.commit_milliseconds / 1000,
        told=told_to(metrics),
    )
    return build(config, intake, metrics=metrics)


def told_to(metrics: Metrics) -> Told:
    """Count commits in `metrics`."""

    def told(rows: int, seconds: float, waiting_rows: int) -> None:
        metrics.queue.set(waiting_rows)
        if rows:
            metrics.batch.observe(rows)
            metrics.commit.observe(seconds)
        else:
            metrics.failed.inc()

    return told


class _Front:
    """Endpoints by their very path, as sent; everything else is the framework's."""

    def __init__(self, doors: Mapping[bytes, Door], rest: ASGIApp) -> None:
        self.doors, self.rest = doors, rest

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        # Only the spelling we gave out: no `..`, no doubled slash, no escapes to decode.
        door = self.doors.get(scope["raw_path"]) if scope["type"] == "http" else None
        return (door or self.rest)(scope, receive, send)


def _lifespan(intake: Store) -> Callable[[Starlette], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        await intake.start()
        # What is imported stays; the collector need not walk it again and again under load.
        gc.collect()
        gc.freeze()
        gc.set_threshold(*COLLECT)
        try:
            yield
        finally:
            await intake.stop()

    return lifespan


def _routes(config: Settings, intake: Store, metrics: Metrics, doors: list[Door]) -> list[Route]:
    description = openapi.describe(config, [door.path for door in doors])

    async def health(_: Request) -> Response:
        return JSONResponse({"alive": True, "endpoints": len(doors)})

    async def ready(_: Request) -> Response:
        if await intake.is_ready():
            return JSONResponse({"ready": True})
        told = {"ready": False, "error": "The database does not take deliveries now."}
        return JSONResponse(told, 503, headers={"Retry-After": "5"})

    async def numbers(_: Request) -> Response:
        return Response(metrics.text(), headers={"content-type": MEDIA_TYPE})

    async def described(_: Request) -> Response:
        return JSONResponse(description)

    return [
        Route("/health", health),
        Route("/ready", ready),
        Route("/metrics", numbers),
        Route("/openapi.json", described),
    ]


def _refusal(metrics: Metrics) -> Callable[[Request, Exception], Response]:
    def refuse(_: Request, fault: Exception) -> Response:
        """What the framework refuses, in our form; a stranger's path is counted, never named."""
        assert isinstance(fault, HTTPException)
        metrics.received.labels("", "", REFUSED.get(fault.status_code, "refused")).inc()
        return JSONResponse({"error": f"{fault.detail}."}, fault.status_code, headers=fault.headers)

    return refuse
