"""The one way out: an `httpx.Client` with timeouts, limits, pacing, retries of safe calls and
errors named by remedy. What a system's words mean stays in its client under `systems/`.
"""

import json
import logging
import re
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from decimal import Decimal
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

import httpx
import tenacity

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
    ) -> None:
        self.system, self.inner, self.manners, self.sleep = system, inner, manners, sleep
        self.pace = Pace(manners.calls_per_second, sleep, clock)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        return self._retrying()(self._once, request)

    def close(self) -> None:
        self.inner.close()

    def _once(self, request: httpx.Request) -> httpx.Response:
        self.pace.wait()
        request.headers.setdefault("X-Correlation-ID", correlation_id())
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
        return self._judged(request, response)

    def _lost(self, request: httpx.Request, fault: httpx.TransportError) -> Exception:
        where = f"{request.method} {request.url.host}:{request.url.port or ''}".rstrip(":")
        if is_safe(request) or isinstance(fault, NEVER_SENT):
            return TryAgain(self.system, f"cannot reach {where} ({type(fault).__name__})")
        return UnknownOutcome(self.system, f"no answer from {where} ({type(fault).__name__})")

    def _judged(self, request: httpx.Request, response: httpx.Response) -> httpx.Response:
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
        return response

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
    """Keeps calls apart, so that even the first ones stay below the limit of the account."""

    def __init__(
        self,
        calls_per_second: float | None,
        sleep: Callable[[float], None],
        clock: Callable[[], float],
    ) -> None:
        self.gap = 1 / calls_per_second if calls_per_second else 0.0
        self.sleep, self.clock = sleep, clock
        self.lock, self.free_at = threading.Lock(), clock()

    def wait(self) -> None:
        """Wait until the next call may go."""
        with self.lock:
            now = self.clock()
            pause = max(0.0, self.free_at - now)
            self.free_at = now + pause + self.gap
        if pause:
            self.sleep(pause)


def is_safe(request: httpx.Request) -> bool:
    """Whether repeating the request cannot change anything there."""
    return bool(request.extensions.get("safe", request.method in SAFE_METHODS))


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds of a `Retry-After` header; its date form counts from the answer's own `Date`."""
    value = headers.get("Retry-After", "").strip()
    if re.fullmatch(r"[0-9]{1,9}(\.[0-9]+)?", value):
        return float(value)
    try:
        until, now = parsedate_to_datetime(value), parsedate_to_datetime(headers.get("Date", ""))
        return max(0.0, (until - now).total_seconds())
    except (ValueError, TypeError):  # no date, or one of them without a zone
        return None


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
) -> httpx.Client:
    """A client for one account of one system; `transport` stands in for the network in tests."""
    manners = manners or Manners()
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
        transport=Transport(system, inner, manners, sleep or time.sleep, clock),
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
