"""Stand-ins over real HTTP on this machine, for a demo in several processes and for tests.

Each stands under its own path; a JSON door beside them lets another process place orders. What a
stand-in answers is its own business.
"""

import asyncio
import json
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from resources.sandbox.faults import StandIn

HOST = "127.0.0.1"
#: Headers that belong to one connection; the server writes its own.
HOP = frozenset({"content-length", "content-encoding", "transfer-encoding", "connection"})

HangUp = Callable[[Scope], None]


@contextmanager
def serve(
    standins: Mapping[str, StandIn], port: int = 0, delays: Mapping[str, float] | None = None
) -> Iterator[dict[str, str]]:
    """Serve stand-ins on 127.0.0.1 and yield their base URLs by name; port 0 takes a free one.

    `delays` are the seconds a system takes for any answer, by name.
    """
    server: uvicorn.Server

    def hang_up(scope: Scope) -> None:
        for connection in list(server.server_state.connections):
            if isinstance(connection, H11Protocol) and connection.client == scope["client"]:
                connection.transport.abort()

    server = uvicorn.Server(_config(application(standins, hang_up, delays or {})))
    with socket.create_server((HOST, port)) as door:
        # asyncio does so only for sockets that name their protocol; an answer sent in two parts
        # would wait 40 ms for the first one's acknowledgement.
        door.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        base = f"http://{HOST}:{door.getsockname()[1]}"
        thread = threading.Thread(target=server.run, args=([door],), name="stand-ins", daemon=True)
        thread.start()
        try:
            # The socket listens already: calls made before the server is up wait in its queue.
            yield {name: f"{base}/{name}" for name in standins}
        finally:
            server.should_exit = True
            thread.join()


def application(
    standins: Mapping[str, StandIn], hang_up: HangUp, delays: Mapping[str, float]
) -> Starlette:
    """The stand-ins and their control door as an ASGI application."""
    doors = {
        name: Door(standin, hang_up, delays.get(name, 0.0)) for name, standin in standins.items()
    }

    async def control(request: Request) -> Response:
        door = doors.get(request.path_params["name"])
        if door is None:
            return _said(404, {"error": "no such stand-in"})
        return await run_in_threadpool(door.control, await request.body())

    routes = [Route("/_control/{name}", control, methods=["POST"])]
    routes += [Route(f"/{name}/{{rest:path}}", door) for name, door in doors.items()]
    return Starlette(routes=routes)


class Door:
    """Hands one stand-in its calls, one at a time, however many connections there are."""

    def __init__(self, standin: StandIn, hang_up: HangUp, delay: float = 0.0) -> None:
        self.standin, self.hang_up, self.delay = standin, hang_up, delay
        self.lock = threading.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or close its connection when the stand-in says it was cut.

        Over a wire a cut before the effect cannot be told from one after it, by anyone.
        """
        request = await _request(Request(scope, receive))
        if self.delay:
            await asyncio.sleep(self.delay)
        try:
            answer = await run_in_threadpool(self._handle, request)
        except httpx.TransportError:
            self.hang_up(scope)
            await _gone(receive)
            return
        headers = {k: v for k, v in answer.headers.items() if k.lower() not in HOP}
        await Response(answer.content, answer.status_code, headers)(scope, receive, send)

    def control(self, body: bytes) -> Response:
        """Call an allowed method of the stand-in: {"call": "place", "args": {…}}."""
        try:
            wish = json.loads(body, parse_float=Decimal)
            method, arguments = str(wish["call"]), dict(wish.get("args", {}))
        except (ValueError, TypeError, KeyError) as fault:
            return _said(400, {"error": f"not a call: {fault!r}"})
        if method not in self.standin.controls:
            return _said(403, {"error": f"{method} is not offered here"})
        try:
            with self.lock:
                result = getattr(self.standin, method)(**arguments)
        except Exception as fault:  # whatever it is, the caller is elsewhere and must be told
            return _said(400, {"error": f"{type(fault).__name__}: {fault}"})
        return _said(200, {"result": result})

    def _handle(self, request: httpx.Request) -> httpx.Response:
        with self.lock:
            return self.standin.handle(request)


async def _request(request: Request) -> httpx.Request:
    """The call as the stand-in sees it: without the path it stands under."""
    raw: bytes = request.scope.get("raw_path") or request.scope["path"].encode()
    path = "/" + raw.decode("ascii").lstrip("/").partition("/")[2]
    query = request.scope["query_string"].decode("ascii")
    url = f"http://{request.headers.get('host', HOST)}{path}{'?' if query else ''}{query}"
    body = await request.body()
    return httpx.Request(request.method, url, headers=request.headers.raw, content=body)


async def _gone(receive: Receive) -> None:
    """Wait until the server has noticed that the connection is gone."""
    while (await receive())["type"] != "http.disconnect":
        pass


def _said(status: int, body: Mapping[str, Any]) -> Response:
    text = json.dumps(body, default=str)
    return Response(text, status, media_type="application/json")


def _config(app: Starlette) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        lifespan="off",
        ws="none",
        loop="asyncio",
        http="h11",
        proxy_headers=False,
        server_header=False,
        date_header=False,
        timeout_graceful_shutdown=1,
    )
