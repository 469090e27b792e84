"""One endpoint: what a request must be to be heard, and what its sender is told.

The cheap questions come first, the signature before anything is believed, the answer after the
commit. This is the hot path: plain ASGI, no framework between the server and the inbox.
"""

import asyncio
import json
import logging
import math
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import count
from os import urandom
from time import perf_counter
from typing import Protocol

from starlette.types import Message, Receive, Scope, Send

from resources.settings import Endpoint, Receiver
from resources.store.inbox import Delivery
from sensors.webhooks import limits
from sensors.webhooks.intake import Overloaded, Unavailable, Unstorable
from sensors.webhooks.metrics import Metrics
from sensors.webhooks.patience import Patience
from sensors.webhooks.signatures import Genuine, Ping, Refused, Sender, sender_of

log = logging.getLogger(__name__)

JSON, FORM = b"application/json", b"application/x-www-form-urlencoded"
#: Every sender takes 200 and reads no further, but Adyen's older endpoints look for this text.
ACCEPTED = {"adyen": b"[accepted]"}
#: Seconds until a sender should come again when the database is away.
AGAIN = 5
MOST_HEADERS = 100
#: A longer one is not kept; no sender's is.
LONGEST_HEADER = 1024
#: Bytes of unfinished bodies in memory at once, of all endpoints.
MOST_UNFINISHED = 128 * 1024 * 1024


class Keeper(Protocol):
    """Whoever keeps deliveries; `Intake` outside tests."""

    def keep(self, deliveries: Sequence[Delivery]) -> Awaitable[None]:
        """Return when they are on disk."""


class Denied(Exception):
    """A request that is not taken: status, what it counts as, and one sentence for its sender."""

    def __init__(
        self, status: int, outcome: str, sentence: str, *, headers: tuple[str, str] | None = None
    ) -> None:
        super().__init__(sentence)
        self.status, self.outcome, self.sentence, self.headers = status, outcome, sentence, headers


class Gone(Exception):
    """The sender hung up before its body was whole."""


@dataclass
class House:
    """What all endpoints of one receiver share."""

    settings: Receiver
    keeper: Keeper
    clock: Callable[[], datetime]
    metrics: Metrics
    quiet: limits.Occasionally = field(default_factory=limits.Occasionally)
    unfinished_bytes: int = 0
    patience: Patience = field(init=False)
    #: Correlation ids: a random beginning of this process, and a count.
    origin: str = field(default_factory=lambda: urandom(8).hex())
    count: Iterator[int] = field(default_factory=lambda: count(1))

    def __post_init__(self) -> None:
        self.patience = Patience(self.settings.body_seconds)

    def new_id(self) -> str:
        """A correlation id nobody had before."""
        return f"{self.origin}{next(self.count):016x}"


class Door:
    """One endpoint as an ASGI application."""

    def __init__(self, name: str, endpoint: Endpoint, house: House) -> None:
        self.name, self.endpoint, self.house = name, endpoint, house
        self.sender: Sender = sender_of(name, endpoint)
        self.allowance = limits.Bucket(endpoint.events_per_second)
        self.callers = limits.Callers(endpoint.events_per_second)
        self.seconds = house.metrics.seconds.labels(endpoint.scheme, name)
        self.keeps = [(header, header.decode()) for header in self.sender.keeps]
        self.counts = {
            outcome: house.metrics.received.labels(endpoint.scheme, name, outcome)
            for outcome in ("kept", "quarantined", "ping")
        }
        self.content = ACCEPTED.get(endpoint.scheme, b"")
        self.length = (b"content-length", str(len(self.content)).encode())

    @property
    def path(self) -> str:
        """Where it is found."""
        return f"/webhooks/{self.endpoint.scheme}/{self.name}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Take one request and answer it."""
        began, correlation_id = perf_counter(), self.house.new_id()
        try:
            outcome = await self._take(scope, receive, correlation_id)
        except Denied as no:
            self._count(no.outcome)
            await _refuse(send, no, correlation_id)
            return
        except Gone:
            self._count("disconnected")
            return
        self.counts[outcome].inc()
        if outcome != "ping":
            self.seconds.observe(perf_counter() - began)
        headers = [self.length, (b"x-correlation-id", correlation_id.encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": self.content})

    async def _take(self, scope: Scope, receive: Receive, correlation_id: str) -> str:
        if scope["method"] != "POST":
            raise Denied(405, "wrong_method", "Only POST is taken here.", headers=("Allow", "POST"))
        now = self.house.clock()
        caller = self._caller(scope)
        if self.endpoint.allow_from or self.callers.buckets:
            self._hear(caller, now)
        headers = self._headers(scope["headers"])
        is_form = self._is_form(headers)
        body = await self._body(headers, receive)
        verdict = self.sender.judge(headers, body, now)
        if isinstance(verdict, Refused):
            raise self._refused(verdict.reason, caller, now)
        if isinstance(verdict, Ping):  # unsigned: it must not use up what the sender may say
            self.callers.spend(caller, now.timestamp())
            return "ping"
        if (wait := self.allowance.wait(now.timestamp())) > 0:
            raise _throttled(wait)
        if is_form:
            raise Denied(415, "unsupported_type", "Only application/json is taken here.")
        return await self._keep(verdict, headers, now, correlation_id)

    def _caller(self, scope: Scope) -> str:
        peer, trusted = scope.get("client"), self.house.settings.trusted_proxies
        if not trusted:
            return peer[0] if peer else "unknown"
        forwarded = [value for name, value in scope["headers"] if name == b"x-forwarded-for"]
        return limits.caller(peer[0] if peer else None, forwarded, trusted)

    def _hear(self, caller: str, now: datetime) -> None:
        """Whether this caller may speak here at all."""
        allowed = self.endpoint.allow_from
        if allowed and not limits.is_within(limits.address_of(caller), allowed):
            self._tell("address not allowed", caller, now)
            raise Denied(403, "not_allowed", "Deliveries from this address are not taken.")
        if self.callers.is_blocked(caller, now.timestamp()):
            raise _throttled(1)

    def _headers(self, given: list[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
        """Headers by name; one that decides must not come twice."""
        headers = dict(given)
        if len(headers) == len(given) and len(given) <= MOST_HEADERS:
            return headers
        names = [name for name, _ in given]
        doubled = [
            name
            for name in (*self.sender.decides, b"content-type", b"content-length")
            if names.count(name) > 1
        ]
        if doubled:
            said = f"The header {doubled[0].decode('latin-1')} is given twice."
            raise Denied(400, "bad_headers", said)
        if len(given) > MOST_HEADERS:
            raise Denied(431, "bad_headers", "There are too many headers.")
        return headers

    def _is_form(self, headers: dict[bytes, bytes]) -> bool:
        """Whether it is a form, which only a ping may be; anything but JSON is refused."""
        media = headers.get(b"content-type", b"")
        if media != JSON:
            media = media.partition(b";")[0].strip().lower()
        coded = headers.get(b"content-encoding", b"identity").lower() != b"identity"
        is_form = media == FORM and self.endpoint.scheme == "woocommerce"
        if coded or not (is_form or media == JSON or media.endswith(b"+json")):
            raise Denied(
                415, "unsupported_type", "Only application/json, not compressed, is taken here."
            )
        return is_form

    async def _body(self, headers: dict[bytes, bytes], receive: Receive) -> bytes:
        """The whole body, in time and within its size."""
        most = self.house.settings.max_body_bytes
        declared = headers.get(b"content-length")
        if declared is not None:
            if not declared.isdigit():
                raise Denied(400, "bad_headers", "Content-Length is no number.")
            if len(declared) > 15 or int(declared) > most:
                raise self._too_large()
        patience, task = self.house.patience, asyncio.current_task()
        patience.begin(task)
        try:
            message = await receive()
            if message["type"] == "http.request" and not message.get("more_body"):
                body: bytes = message.get("body", b"")
                if len(body) > most:
                    raise self._too_large()
                return body
            return await self._rest(message, receive)
        except asyncio.CancelledError:
            if not patience.ran_out(task):
                raise
            raise Denied(408, "slow_body", "The body did not come in time.") from None
        finally:
            patience.end(task)

    async def _rest(self, message: Message, receive: Receive) -> bytes:
        """A body that comes in parts."""
        parts: list[bytes] = []
        size, house = 0, self.house
        try:
            while True:
                if message["type"] != "http.request":
                    raise Gone
                part = message.get("body", b"")
                parts.append(part)
                size += len(part)
                house.unfinished_bytes += len(part)
                if size > house.settings.max_body_bytes:
                    raise self._too_large()
                if not message.get("more_body"):
                    return b"".join(parts)
                if house.unfinished_bytes > MOST_UNFINISHED:
                    raise _unavailable("overloaded", "Too many bodies are under way.")
                message = await receive()
        finally:
            house.unfinished_bytes -= size

    def _too_large(self) -> Denied:
        most = self.house.settings.max_body_bytes
        return Denied(413, "too_large", f"A body may have {most} bytes.")

    def _refused(self, reason: str, caller: str, now: datetime) -> Denied:
        self.callers.spend(caller, now.timestamp())
        self._tell(reason, caller, now)
        return Denied(401, "unauthorized", f"Not taken: {reason}.")

    def _tell(self, reason: str, caller: str, now: datetime) -> None:
        """One line a minute for each reason and caller: never a body, header or secret."""
        held_back = self.house.quiet.due((self.name, reason, caller), now.timestamp())
        if held_back is not None:
            log.warning(
                "webhook refused: endpoint %s, client %s, %s (%d more like it before)",
                self.path,
                caller,
                reason,
                held_back,
            )

    async def _keep(
        self, verdict: Genuine, headers: dict[bytes, bytes], now: datetime, correlation_id: str
    ) -> str:
        source, worth = self.endpoint.scheme, self._worth_keeping(headers)
        deliveries = [
            Delivery(
                source,
                self.name,
                said.topic,
                said.resource_id,
                said.body,
                correlation_id,
                now,
                signature="valid",
                headers=worth,
                fault=said.fault,
            )
            for said in verdict.said
        ]
        try:
            await self.house.keeper.keep(deliveries)
        except Overloaded:
            raise _unavailable("overloaded", "Too much waits to be kept; come again.") from None
        except Unavailable as fault:
            self._tell_trouble(fault, now)
            raise _unavailable(
                "unavailable", "Deliveries cannot be kept now; come again."
            ) from None
        except Unstorable:
            raise Denied(422, "unstorable", "The delivery cannot be kept as it is.") from None
        return "quarantined" if all(said.fault for said in verdict.said) else "kept"

    def _worth_keeping(self, headers: dict[bytes, bytes]) -> dict[str, str]:
        """The sender's ids, topics and time stamps; never cookies or credentials."""
        return {
            name: value.decode("latin-1")
            for header, name in self.keeps
            if (value := headers.get(header)) is not None and len(value) <= LONGEST_HEADER
        }

    def _tell_trouble(self, fault: Unavailable, now: datetime) -> None:
        held_back = self.house.quiet.due(("unavailable",), now.timestamp())
        if held_back is not None:
            log.error("deliveries cannot be kept: %s (%d more before)", fault, held_back)

    def _count(self, outcome: str) -> None:
        self.house.metrics.received.labels(self.endpoint.scheme, self.name, outcome).inc()


def _throttled(wait: float) -> Denied:
    seconds = str(max(1, math.ceil(wait)))
    return Denied(
        429, "throttled", "Too many deliveries; come again.", headers=("Retry-After", seconds)
    )


def _unavailable(outcome: str, sentence: str) -> Denied:
    return Denied(503, outcome, sentence, headers=("Retry-After", str(AGAIN)))


async def _refuse(send: Send, no: Denied, correlation_id: str) -> None:
    """Answer no; where the body may still be coming, the line is closed with it."""
    content = json.dumps({"error": no.sentence}).encode()
    headers = [
        (b"content-type", JSON),
        (b"content-length", str(len(content)).encode()),
        (b"x-correlation-id", correlation_id.encode()),
    ]
    if no.headers:
        name, value = no.headers
        headers.append((name.lower().encode(), value.encode()))
    if no.status in (400, 403, 405, 408, 413, 415, 429, 431):
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": no.status, "headers": headers})
    await send({"type": "http.response.body", "body": content})
