"""How the receiver is served: uvicorn on uvloop, with the patience for a request's head bounded.

What a request means is not decided here.
"""

import asyncio
from typing import Any

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

#: A head must be whole by then, and no larger.
HEAD_SECONDS = 10.0
HEAD_BYTES = 65_536
CONNECTIONS = 2_000
#: How long requests under way may take when the receiver is told to stop.
GRACE_SECONDS = 20
#: Connections the kernel may hold while a busy receiver does not take them.
BACKLOG = 4_096
FACTORY = "sensors.webhooks.receiver:from_environment"


class PatientProtocol(HttpToolsProtocol):
    """Hangs up on who never ends the head of a request; the server itself would wait for ever."""

    head_seconds, head_bytes = HEAD_SECONDS, HEAD_BYTES
    _in_head, _head_size = True, 0
    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._arm()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if not self._in_head or self.transport.is_closing():
            return
        self._head_size += len(data)
        if self._head_size > self.head_bytes:
            self._hang_up()
        elif self._deadline is None:
            self._arm()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head, self._head_size = True, 0

    def on_headers_complete(self) -> None:
        self._in_head = False
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
        super().on_headers_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
        super().connection_lost(exc)

    def _arm(self) -> None:
        self._deadline = self.loop.call_later(self.head_seconds, self._hang_up)

    def _hang_up(self) -> None:
        self._deadline = None
        if not self.transport.is_closing():
            self.transport.close()


OPTIONS: dict[str, Any] = {
    "loop": "uvloop",
    "http": PatientProtocol,
    "ws": "none",
    "interface": "asgi3",
    "lifespan": "on",
    # The addresses of proxies are believed by our own rule only.
    "proxy_headers": False,
    "server_header": False,
    "access_log": False,
    # It would tell of every malformed request; what we refuse is counted and told rarely.
    "log_level": "error",
    "log_config": None,
    "limit_concurrency": CONNECTIONS,
    "backlog": BACKLOG,
    "timeout_keep_alive": 65,
    "timeout_graceful_shutdown": GRACE_SECONDS,
}


def config(app: ASGIApp, **other: Any) -> uvicorn.Config:
    """The server's configuration for an application that is already built."""
    return uvicorn.Config(app, **{**OPTIONS, **other})


def serve(host: str, port: int, workers: int) -> None:
    """Serve this deployment's receiver until it is told to stop; each worker builds its own."""
    uvicorn.run(FACTORY, factory=True, host=host, port=port, workers=workers, **OPTIONS)
