"""What can go wrong on the way to a stand-in, on request, and the door every call passes.

A stand-in answers `httpx.Request` with `httpx.Response`; what it knows and how it behaves stands
in its own file.
"""

import random
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

import httpx


class Trouble(StrEnum):
    """Kinds of fault; CUT_AFTER is the one where the effect happened and the answer is lost."""

    SLOW = "slow"
    THROTTLE = "throttle"
    ERROR = "error"
    CUT_BEFORE = "cut_before"
    CUT_AFTER = "cut_after"
    STALE = "stale"  # a read shows the state before the newest change
    TWICE = "twice"  # the network delivers the request a second time


@dataclass
class Fault:
    """One planned fault: on calls whose operation contains `operation`, `times` times."""

    trouble: Trouble
    operation: str = ""
    times: int = 1
    skip: int = 0
    status: int = 503
    seconds: float = 1.0

    def strikes(self, operation: str) -> bool:
        """Count the call down and say whether it is hit."""
        if self.operation not in operation or self.times <= 0:
            return False
        if self.skip > 0:
            self.skip -= 1
            return False
        self.times -= 1
        return True


@dataclass
class Faults:
    """The planned faults of one stand-in, and seeded random ones by rate."""

    planned: list[Fault] = field(default_factory=list)
    rates: Mapping[Trouble, float] = field(default_factory=dict)
    seed: int = 0

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)  # noqa: S311

    def plan(self, *faults: Fault) -> None:
        """Add faults to come."""
        self.planned.extend(faults)

    def clear(self) -> None:
        """Forget all faults to come."""
        self.planned.clear()
        self.rates = {}

    def next(self, operation: str) -> Fault | None:
        """The fault that strikes this call, if any."""
        for fault in self.planned:
            if fault.strikes(operation):
                return fault
        for trouble, rate in self.rates.items():
            if self.random.random() < rate:
                return Fault(trouble, times=0)
        return None


class StandIn(ABC):
    """Base of the stand-ins: counts calls, strikes faults, hands the rest to `answer`."""

    name = "stand-in"
    #: Methods another process may call through the control door of `serve`.
    controls: frozenset[str] = frozenset()

    def __init__(self, faults: Faults | None = None) -> None:
        self.faults = faults or Faults()
        self.calls: Counter[str] = Counter()
        self.sleep: Callable[[float], None] = lambda seconds: None
        #: Called with the operation after each effect; a test may raise here to kill the caller.
        self.after_effect: Callable[[str], None] = lambda operation: None

    def transport(self) -> httpx.MockTransport:
        """The stand-in as a transport for a sync or async client."""
        return httpx.MockTransport(self.handle)

    def handle(self, request: httpx.Request) -> httpx.Response:
        """Answer one request, with its fault if one is due."""
        operation = self.operation(request)
        self.calls[operation] += 1
        fault = self.faults.next(operation)
        response = self.answer(request) if fault is None else self._struck(fault, request)
        self.after_effect(operation)
        return response

    @abstractmethod
    def operation(self, request: httpx.Request) -> str:
        """Name of the call, as in `GET orders` or `sale.order.action_confirm`."""

    @abstractmethod
    def answer(self, request: httpx.Request) -> httpx.Response:
        """Do what is asked and answer it."""

    def stale(self, request: httpx.Request) -> httpx.Response:
        """Answer a read from the state before the newest change."""
        return self.answer(request)

    def throttled(self, seconds: float) -> httpx.Response:
        """Too many calls, in this system's words."""
        return httpx.Response(429, headers={"Retry-After": f"{seconds:g}"}, text="")

    def _struck(self, fault: Fault, request: httpx.Request) -> httpx.Response:
        match fault.trouble:
            case Trouble.SLOW:
                self.sleep(fault.seconds)
                return self.answer(request)
            case Trouble.THROTTLE:
                return self.throttled(fault.seconds)
            case Trouble.ERROR:
                return httpx.Response(fault.status, text=f"<html>{fault.status}</html>")
            case Trouble.CUT_BEFORE:
                raise httpx.ConnectError("connection refused", request=request)
            case Trouble.CUT_AFTER:
                self.answer(request)
                raise httpx.ReadError("connection reset", request=request)
            case Trouble.STALE:
                return self.stale(request)
            case Trouble.TWICE:
                self.answer(request)
                return self.answer(request)
