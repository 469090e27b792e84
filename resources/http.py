"""The one way out: an `httpx.Client` with timeouts, limits, pacing, retries of safe calls and
errors named by remedy. What a system's words mean stays in its client under `systems/`.
"""

import json
import logging
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

import httpx
import tenacity
from pyrate_limiter import Duration, Limiter, Rate

from resources.errors import (
    ContractBroken,
    Missing,
    Refused,
    SignInAgain,
    Throttled,
    TryAgain,
    UnknownOutcome,
)

log = logging.getLogger("sync_assets.http")

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
#: The answer can only have come before the request reached the application.
NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)

_correlation: ContextVar[str | None] = ContextVar("correlation", default=None)


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
    """Paces, retries safe calls and turns transport faults and statuses into our errors.

    A call is safe when its method is, or when the client says so with the request extension
    `safe` (JSON-RPC reads are POSTs). An unsafe call is repeated only when it never left.
    """

    def __init__(
        self,
        system: str,
        inner: httpx.BaseTransport,
        manners: Manners,
        sleep: Callable[[float], None],
    ) -> None:
        self.system, self.inner, self.manners, self.sleep = system, inner, manners, sleep
        self.limiter = _limiter(manners)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        return self._retrying()(self._once, request)

    def close(self) -> None:
        self.inner.close()

    def _once(self, request: httpx.Request) -> httpx.Response:
        if self.limiter is not None:
            self.limiter.try_acquire(self.system)
        request.headers.setdefault("X-Correlation-ID", correlation_id())
        try:
            response = self.inner.handle_request(request)
            response.read()
        except httpx.TransportError as fault:
            raise self._lost(request, fault) from fault
        except httpx.StreamError as fault:  # the body could not be decoded
            raise ContractBroken(self.system, f"unreadable answer: {fault}") from fault
        return self._judged(request, response)

    def _lost(self, request: httpx.Request, fault: httpx.TransportError) -> Exception:
        where = f"{request.method} {request.url.host}:{request.url.port or ''}".rstrip(":")
        if is_safe(request) or isinstance(fault, NEVER_SENT):
            return TryAgain(self.system, f"cannot reach {where} ({type(fault).__name__})")
        return UnknownOutcome(self.system, f"no answer from {where} ({type(fault).__name__})")

    def _judged(self, request: httpx.Request, response: httpx.Response) -> httpx.Response:
        status = response.status_code
        reference = response.headers.get("X-Request-Id")
        if status == 429:
            raise Throttled(
                self.system,
                "too many calls",
                after_seconds=retry_after(response.headers),
                reference=reference,
            )
        if status in (502, 503, 504) or (status >= 500 and is_safe(request)):
            if status == 502 or status == 504:
                return self._gateway(request, status, reference)
            raise TryAgain(self.system, f"answered {status}", code=str(status), reference=reference)
        return response

    def _gateway(
        self, request: httpx.Request, status: int, reference: str | None
    ) -> httpx.Response:
        """A gateway lost the answer: for a write that is an unknown outcome."""
        kind = TryAgain if is_safe(request) else UnknownOutcome
        raise kind(self.system, f"answered {status}", code=str(status), reference=reference)

    def _retrying(self) -> tenacity.Retrying:
        manners = self.manners
        return tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(TryAgain),
            stop=tenacity.stop_after_attempt(manners.attempts),
            wait=_Wait(manners),
            sleep=self.sleep,
            before_sleep=self._say,
            reraise=True,
        )

    def _say(self, state: tenacity.RetryCallState) -> None:
        fault = state.outcome.exception() if state.outcome else None
        wait = state.next_action.sleep if state.next_action else 0.0
        log.warning("%s; attempt %s, next in %.1f s", fault, state.attempt_number, wait)


class _Wait(tenacity.wait.wait_base):
    """What the system asked for, else exponential with jitter."""

    def __init__(self, manners: Manners) -> None:
        self.longest = manners.longest_wait_seconds
        self.backoff = tenacity.wait_random_exponential(
            multiplier=manners.first_wait_seconds, max=manners.longest_wait_seconds
        )

    def __call__(self, retry_state: tenacity.RetryCallState) -> float:
        fault = retry_state.outcome.exception() if retry_state.outcome else None
        if isinstance(fault, Throttled) and fault.after_seconds is not None:
            return min(fault.after_seconds, self.longest)
        return self.backoff(retry_state)


def _limiter(manners: Manners) -> Limiter | None:
    if manners.calls_per_second is None:
        return None
    per_minute = max(1, int(manners.calls_per_second * 60))
    return Limiter(Rate(per_minute, Duration.MINUTE))


def is_safe(request: httpx.Request) -> bool:
    """Whether repeating the request cannot change anything there."""
    return bool(request.extensions.get("safe", request.method in SAFE_METHODS))


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds of a `Retry-After` header in its number form."""
    value = headers.get("Retry-After", "")
    return float(value) if value.replace(".", "", 1).isdigit() else None


def client(
    system: str,
    base_url: str,
    manners: Manners | None = None,
    *,
    auth: httpx.Auth | tuple[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
    transport: httpx.BaseTransport | None = None,
    sleep: Callable[[float], None] | None = None,
) -> httpx.Client:
    """A client for one account of one system; `transport` stands in for the network in tests."""
    import time

    manners = manners or Manners()
    inner = transport or httpx.HTTPTransport(
        limits=httpx.Limits(max_connections=manners.connections), trust_env=False
    )
    return httpx.Client(
        base_url=base_url,
        auth=auth,
        headers={"Accept-Encoding": "gzip", **(headers or {})},
        timeout=httpx.Timeout(manners.read_seconds, connect=manners.connect_seconds),
        transport=Transport(system, inner, manners, sleep or time.sleep),
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
    parts = urlsplit(url)
    host = parts.hostname or ""
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme}://{host}{port}{parts.path}"
