"""How much one sender may say, from where, and how often we speak of what was refused.

Counts are of this process; the clock is an argument.
"""

from collections import OrderedDict
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address

from resources.settings import NETWORK

Address = IPv4Address | IPv6Address
#: Callers remembered at once; the one unheard of for longest is forgotten first.
REMEMBERED = 10_000


class Bucket:
    """A token bucket that holds one second's worth, and at least one."""

    __slots__ = ("at", "capacity", "per_second", "tokens")

    def __init__(self, per_second: float) -> None:
        self.per_second, self.capacity = per_second, max(1.0, per_second)
        self.tokens, self.at = self.capacity, float("-inf")

    def wait(self, now: float, tokens: float = 1.0) -> float:
        """Take tokens and answer 0, or take none and answer the seconds until there are some."""
        earned = max(0.0, now - self.at) * self.per_second
        self.tokens, self.at = min(self.capacity, self.tokens + earned), now
        if self.tokens >= min(tokens, self.capacity):
            self.tokens -= tokens
            return 0.0
        return (min(tokens, self.capacity) - self.tokens) / self.per_second

    def is_empty(self, now: float) -> bool:
        """Whether nothing may be taken now; takes nothing."""
        earned = max(0.0, now - self.at) * self.per_second
        return self.tokens + earned < 1.0


class Callers:
    """A bucket per caller, for what nobody signed: forgers use up their own allowance only."""

    def __init__(self, per_second: float, most: int = REMEMBERED) -> None:
        self.per_second, self.most = per_second, most
        self.buckets: OrderedDict[str, Bucket] = OrderedDict()

    def is_blocked(self, caller: str, now: float) -> bool:
        """Whether this caller came unsigned too often to be heard now."""
        bucket = self.buckets.get(caller)
        return bucket is not None and bucket.is_empty(now)

    def spend(self, caller: str, now: float) -> None:
        """Count one request that nobody signed."""
        bucket = self.buckets.get(caller)
        if bucket is None:
            bucket = self.buckets[caller] = Bucket(self.per_second)
            if len(self.buckets) > self.most:
                self.buckets.popitem(last=False)
        self.buckets.move_to_end(caller)
        bucket.wait(now)


class Occasionally:
    """Lets the first of a kind through, then one a period with the count of those held back."""

    def __init__(self, period_seconds: float = 60, most: int = REMEMBERED) -> None:
        self.period_seconds, self.most = period_seconds, most
        self.seen: OrderedDict[tuple[str, ...], tuple[float, int]] = OrderedDict()

    def due(self, kind: tuple[str, ...], now: float) -> int | None:
        """How many were held back since the last one; None while it is too early."""
        told_at, held_back = self.seen.get(kind, (float("-inf"), 0))
        if now - told_at < self.period_seconds:
            self.seen[kind] = (told_at, held_back + 1)
            return None
        self.seen[kind] = (now, 0)
        self.seen.move_to_end(kind)
        if len(self.seen) > self.most:
            self.seen.popitem(last=False)
        return held_back


def address_of(text: str) -> Address | None:
    """An address, with IPv4 told as such where it comes inside IPv6."""
    try:
        found = ip_address(text.strip())
    except ValueError:
        return None
    mapped = found.ipv4_mapped if isinstance(found, IPv6Address) else None
    return mapped or found


def is_within(address: Address | None, networks: Sequence[NETWORK]) -> bool:
    """Whether an address belongs to one of the networks; nobody belongs to none."""
    return address is not None and any(address in network for network in networks)


def caller(peer: str | None, forwarded: Sequence[bytes], trusted: Sequence[NETWORK]) -> str:
    """Who calls: the peer, or the nearest address a trusted proxy vouches for.

    What stands left of the first untrusted hop was written by the caller and is not believed.
    """
    nearest = address_of(peer or "")
    if trusted and is_within(nearest, trusted):
        hops = b",".join(forwarded).decode("latin-1").split(",") if forwarded else []
        for hop in reversed(hops):
            found = address_of(hop)
            if found is None:
                return "unreadable"
            nearest = found
            if not is_within(found, trusted):
                break
    return str(nearest) if nearest is not None else "unknown"
