"""What stands in front of a system in the cloud: the time an answer takes, how many calls it takes
at once and in a minute, and the hours in which it is closed.

Any stand-in can be put behind it; what that one answers is its own business.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime

import httpx

from resources.sandbox.faults import StandIn

Span = tuple[datetime, datetime]
#: A call that is turned away costs its caller the way there and back.
TURNED_AWAY_SECONDS = 0.05


class Gateway:
    """The door of one system, with the clock of a simulation."""

    def __init__(
        self,
        standin: StandIn,
        now: Callable[[], datetime],
        sleep: Callable[[float], None],
        *,
        seconds: float,
        concurrent: int | None = None,
        per_minute: int | None = None,
        closed: Sequence[Span] = (),
        slow: Sequence[tuple[Span, float]] = (),
    ) -> None:
        self.standin, self.now, self.sleep = standin, now, sleep
        self.seconds, self.concurrent, self.per_minute = seconds, concurrent, per_minute
        self.closed, self.slow = closed, slow
        #: What became of calls: answered, crowded, throttled, closed, cut.
        self.seen: Counter[str] = Counter()
        self.most_under_way = 0
        self._under_way = 0
        self._minute, self._spent = now(), 0

    def transport(self) -> httpx.MockTransport:
        """The system as a transport for a client."""
        return httpx.MockTransport(self.handle)

    def handle(self, request: httpx.Request) -> httpx.Response:
        """Answer one request when its time is over, or turn it away."""
        if _spanned(self.closed, self.now()):
            self.seen["closed"] += 1
            self.sleep(TURNED_AWAY_SECONDS)
            raise httpx.ConnectError("closed for maintenance", request=request)
        if (seconds := self._too_many()) is not None:
            self.sleep(TURNED_AWAY_SECONDS)
            return self.standin.throttled(seconds)
        self._under_way += 1
        self.most_under_way = max(self.most_under_way, self._under_way)
        try:
            self.sleep(self._takes())
            answer = self.standin.handle(request)
        except httpx.TransportError:
            self.seen["cut"] += 1
            raise
        finally:
            self._under_way -= 1
        self.seen["failed" if answer.status_code >= 500 else "answered"] += 1
        return answer

    def _too_many(self) -> float | None:
        """Seconds after which the caller may come again; None lets it in."""
        if self.concurrent is not None and self._under_way >= self.concurrent:
            self.seen["crowded"] += 1
            return 1.0
        now = self.now()
        minute = now.replace(second=0, microsecond=0)
        if minute != self._minute:
            self._minute, self._spent = minute, 0
        if self.per_minute is not None and self._spent >= self.per_minute:
            self.seen["throttled"] += 1
            return float(60 - now.second)
        self._spent += 1
        return None

    def _takes(self) -> float:
        now = self.now()
        return next((s for span, s in self.slow if _spanned([span], now)), self.seconds)


def _spanned(spans: Sequence[Span], now: datetime) -> bool:
    return any(start <= now < end for start, end in spans)
