"""The one way out: an `httpx.Client` with timeouts, limits, pacing, retries of safe calls and
errors named by remedy. What a system's words mean stays in its client under `systems/`; what a gate
knows about the account, and where it keeps it, is the gate's own.
"""

import json
import logging
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Any, Protocol
from urllib.parse import urlsplit

import httpx
import tenacity

from resources.errors import (
    ContractBroken,
    Missing,
    NotAsked,
    Refused,
    RemoteError,
    SignInAgain,
    Throttled,
    TryAgain,
    UnknownOutcome,
)
from resources.limits import retry_after

log = logging.getLogger("sync_assets.http")

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
#: The answer can only have come before the request reached the application.
NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)

_correlation: ContextVar[str | None] = ContextVar("correlation", default=None)
_lane: ContextVar[str] = ContextVar("lane", default="order")


@contextmanager
def correlated(identifier: str) -> Iterator[None]:
    """Send `identifier` as `X-Correlation-ID` with every call made inside."""
    token = _correlation.set(identifier)
    try:
        yield
    finally:
        _correlation.reset(token)


def correlation_id() -> str:
    """The current correlation id, or a fresh one."""
    return _correlation.get() or uuid.uuid4().hex


@contextmanager
def in_lane(name: str) -> Iterator[None]:
    """Let the calls made inside wait with those of this lane; `stock` never behind `catalog`."""
    token = _lane.set(name)
    try:
        yield
    finally:
        _lane.reset(token)


def lane() -> str:
    """The lane of the calls made now."""
    return _lane.get()


class Outcome(StrEnum):
    """What one call says about the system, not about the thing it was for."""

    ANSWERED = "answered"
    #: It is there, and failed all the same.
    FAILED = "failed"
    THROTTLED = "throttled"
    AWAY = "away"


class Gate(Protocol):
    """What every call of an account passes, each attempt of it."""

    def before(self) -> None:
        """Wait for the call's turn, or raise what keeps it from going."""

    def after(
        self,
        outcome: Outcome,
        headers: Mapping[str, str],
        seconds: float,
        fault: RemoteError | None = None,
    ) -> None:
        """Take note of how a call ended; a call whose process died is not told."""

    def close(self) -> None:
        """Write down what was only remembered."""


@dataclass(frozen=True)
class Manners:
    """How we treat one account of one system."""

    connect_seconds: float = 5.0
    read_seconds: float = 60.0
    connections: int = 8
    calls_per_second: float | None = None
    attempts: int = 4
    first_wait_seconds: float = 0.5
    longest_wait_seconds: float = 30.0


class Transport(httpx.BaseTransport):
    """Asks its gate, retries safe calls and turns transport faults and statuses into our errors.

    A call is safe when its method is, or when the client says so with the request extension
    `safe` (JSON-RPC reads are POSTs). An unsafe call is repeated only when it never left or was
    turned away (429, 503).
    """

    def __init__(
        self,
        system: str,
        inner: httpx.BaseTransport,
        manners: Manners,
        sleep: Callable[[float], None],
        clock: Callable[[], float],
        gate: Gate,
    ) -> None:
        self.system, self.inner, self.manners, self.gate = system, inner, manners, gate
        self.sleep, self.clock = sleep, clock

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        return self._retrying()(self._once, request)

    def close(self) -> None:
        self.inner.close()
        self.gate.close()

    def _once(self, request: httpx.Request) -> httpx.Response:
        self.gate.before()
        request.headers.setdefault("X-Correlation-ID", correlation_id())
        began, headers = self.clock(), httpx.Headers()
        try:
            response = self._answered(request)
            headers = response.headers
            self._judge(request, response)
        except RemoteError as fault:
            self.gate.after(_outcome(fault), headers, self.clock() - began, fault)
            raise
        outcome = Outcome.FAILED if response.status_code >= 500 else Outcome.ANSWERED
        self.gate.after(outcome, headers, self.clock() - began)
        return response

    def _answered(self, request: httpx.Request) -> httpx.Response:
        try:
            response = self.inner.handle_request(request)
            try:
                response.read()
            finally:
                response.close()
        except httpx.TransportError as fault:
            raise self._lost(request, fault) from fault
        except httpx.DecodingError as fault:
            # What a write did is not known either when its answer cannot be unpacked.
            kind = ContractBroken if is_safe(request) else UnknownOutcome
            raise kind(self.system, f"unreadable answer: {fault}") from fault
        return response

    def _lost(self, request: httpx.Request, fault: httpx.TransportError) -> Exception:
        where = f"{request.method} {request.url.host}:{request.url.port or ''}".rstrip(":")
        if is_safe(request) or isinstance(fault, NEVER_SENT):
            return TryAgain(self.system, f"cannot reach {where} ({type(fault).__name__})")
        return UnknownOutcome(self.system, f"no answer from {where} ({type(fault).__name__})")

    def _judge(self, request: httpx.Request, response: httpx.Response) -> None:
        status = response.status_code
        reference = response.headers.get("X-Request-Id")
        pause = retry_after(response.headers)
        if status == 429 or (status == 503 and pause is not None):
            said = "too many calls" if status == 429 else f"answered {status}"
            raise Throttled(self.system, said, after_seconds=pause, reference=reference)
        if status == 503 or (status >= 500 and is_safe(request)):
            raise TryAgain(self.system, f"answered {status}", code=str(status), reference=reference)
        if status in (502, 504):  # a gateway lost the answer to a write
            lost = f"answered {status}"
            raise UnknownOutcome(self.system, lost, code=str(status), reference=reference)

    def _retrying(self) -> tenacity.Retrying:
        manners = self.manners
        return tenacity.Retrying(
            retry=tenacity.retry_if_exception(self._is_worth_waiting),
            stop=tenacity.stop_after_attempt(manners.attempts),
            wait=_Wait(manners),
            sleep=self.sleep,
            before_sleep=self._say,
            reraise=True,
        )

    def _is_worth_waiting(self, fault: BaseException) -> bool:
        """Whether to try again within this call; a longer pause is for whoever called."""
        if isinstance(fault, NotAsked):
            return False
        pause = fault.after_seconds if isinstance(fault, Throttled) else None
        return isinstance(fault, TryAgain) and (pause or 0) <= self.manners.longest_wait_seconds

    def _say(self, state: tenacity.RetryCallState) -> None:
        fault = state.outcome.exception() if state.outcome else None
        wait = state.next_action.sleep if state.next_action else 0.0
        log.warning("%s; attempt %s, next in %.1f s", fault, state.attempt_number, wait)


class _Wait(tenacity.wait.wait_base):
    """What the system asked for, else exponential with jitter."""

    def __init__(self, manners: Manners) -> None:
        self.backoff = tenacity.wait_random_exponential(
            multiplier=manners.first_wait_seconds, max=manners.longest_wait_seconds
        )

    def __call__(self, retry_state: tenacity.RetryCallState) -> float:
        fault = retry_state.outcome.exception() if retry_state.outcome else None
        if isinstance(fault, Throttled) and fault.after_seconds is not None:
            return fault.after_seconds
        return self.backoff(retry_state)


class Pace:
    """The gate of one client without a database: calls are kept apart, from the first ones on."""

    def __init__(
        self,
        calls_per_second: float | None,
        sleep: Callable[[float], None],
        clock: Callable[[], float],
    ) -> None:
        self.gap = 1 / calls_per_second if calls_per_second else 0.0
        self.sleep, self.clock = sleep, clock
        self.lock, self.free_at = threading.Lock(), clock()

    def before(self) -> None:
        """Wait until the next call may go."""
        with self.lock:
            now = self.clock()
            pause = max(0.0, self.free_at - now)
            self.free_at = now + pause + self.gap
        if pause:
            self.sleep(pause)

    def after(
        self,
        outcome: Outcome,
        headers: Mapping[str, str],
        seconds: float,
        fault: RemoteError | None = None,
    ) -> None:
        """Nothing: one client alone sees its own answers."""

    def close(self) -> None:
        """Nothing is remembered."""


def _outcome(fault: RemoteError) -> Outcome:
    """What a fault on the way says about the system."""
    if isinstance(fault, Throttled):
        return Outcome.THROTTLED
    return Outcome.AWAY if isinstance(fault, TryAgain | UnknownOutcome) else Outcome.FAILED


def is_safe(request: httpx.Request) -> bool:
    """Whether repeating the request cannot change anything there."""
    return bool(request.extensions.get("safe", request.method in SAFE_METHODS))


def client(
    system: str,
    base_url: str,
    manners: Manners | None = None,
    *,
    auth: httpx.Auth | tuple[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
    transport: httpx.BaseTransport | None = None,
    sleep: Callable[[float], None] | None = None,
    clock: Callable[[], float] = time.monotonic,
    gate: Gate | None = None,
) -> httpx.Client:
    """A client for one account of one system; `transport` stands in for the network in tests.

    Without a gate the client keeps its own calls apart and knows of nobody else's.
    """
    manners, sleep = manners or Manners(), sleep or time.sleep
    gate = gate or Pace(manners.calls_per_second, sleep, clock)
    url = httpx.URL(base_url)
    if url.userinfo:  # httpx logs whole addresses
        auth = auth or (url.username, url.password)
        url = url.copy_with(userinfo=b"")
    inner = transport or httpx.HTTPTransport(
        limits=httpx.Limits(max_connections=manners.connections), trust_env=False
    )
    return httpx.Client(
        base_url=url,
        auth=auth,
        headers={"Accept-Encoding": "gzip", **(headers or {})},
        timeout=httpx.Timeout(manners.read_seconds, connect=manners.connect_seconds),
        transport=Transport(system, inner, manners, sleep, clock, gate),
        trust_env=False,
    )


def exact_json(system: str, text: str | bytes) -> Any:
    """Parse an answer with its money exact: numbers with a point become `Decimal`."""
    try:
        return json.loads(text, parse_float=Decimal)
    except (ValueError, ArithmeticError, RecursionError) as fault:
        raise ContractBroken(system, f"the answer is not JSON: {fault}") from fault


def raise_for_refusal(
    system: str, response: httpx.Response, code: str | None, message: str
) -> None:
    """Raise what a 4xx or 5xx answer that reached us means; do nothing below 400."""
    status = response.status_code
    if status < 400:
        return
    reference = response.headers.get("X-Request-Id")
    kind = {401: SignInAgain, 403: SignInAgain, 404: Missing}.get(status, Refused)
    if status >= 500:
        # A write that died half way in the application: only a look-up can tell.
        kind = UnknownOutcome
    raise kind(system, message or f"answered {status}", code=code, reference=reference)


def redacted_url(url: str) -> str:
    """The URL without user, password and query, for people and logs."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", f":{parts.port}" if parts.port else ""
    except ValueError:  # another system may send us anything as an address
        return "an unreadable address"
    return f"{parts.scheme}://{f'[{host}]' if ':' in host else host}{port}{parts.path}"
