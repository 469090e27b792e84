"""What an account may spend: one token bucket per real account, shared by every process.

One statement takes a token or says how long to wait. The clock is the caller's: a process whose
clock runs ahead by some seconds spends what those seconds bring once, and the others wait for it,
so that the rate holds for all of them together; keep clocks in step (NTP).
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from sqlalchemy import Connection, text

from resources.store.frames import read_rows
from resources.store.outbox import LANES

#: Lanes up to this one never queue: they take the next token before it is there.
URGENT = LANES["stock"]
#: What a lane leaves in the bucket for those above it, as a part of the burst.
LEFT_BY_LANE = {LANES["shipment"]: Decimal("0.25"), LANES["catalog"]: Decimal("0.5")}


@dataclass(frozen=True)
class Limit:
    """What we allow ourselves on one account; no rate means that none is known."""

    account: str
    per_second: Decimal | None = None
    burst: int = 1


@dataclass(frozen=True)
class Turn:
    """Whether a token was taken, and how long to wait: before the call, or before asking again."""

    granted: bool
    wait: timedelta


def rate_that_holds(limit: Limit, told: Decimal | None) -> Decimal | None:
    """Calls per second: our own limit or the one the system told, whichever is lower."""
    rates = [rate for rate in (limit.per_second, told) if rate is not None]
    return min(rates) if rates else None


def left_for_others(lane: int, burst: int) -> Decimal:
    """Return the tokens a lane leaves for those above it; a bucket of one cannot be shared."""
    return LEFT_BY_LANE.get(lane, Decimal()) * (burst - 1)


def take(
    connection: Connection,
    limit: Limit,
    rate: Decimal,
    *,
    lane: int,
    now: datetime,
    patience: timedelta,
    ceiling: int | None = None,
) -> Turn:
    """Take a token, or say when to ask again.

    An urgent call always gets the next token, even one that is still to come, and waits for it
    before it goes; a call that would have to wait beyond `patience` takes none. `ceiling` is what
    the system itself said is left.
    """
    values = {
        "account": limit.account,
        "rate": rate,
        "burst": limit.burst,
        "ceiling": ceiling,
        "left": left_for_others(lane, limit.burst),
        "is_urgent": lane <= URGENT,
        "patience": patience,
        "now": now,
    }
    rows = read_rows(connection, _TAKE, **values)
    if not rows:
        connection.execute(text(_FILL), values)
        rows = read_rows(connection, _TAKE, **values)
    return Turn(rows[0]["granted"], rows[0]["wait"])


_FILL = """
insert into ops.bucket (account, tokens, filled_at, updated_at)
values (:account, :burst, :now, :now) on conflict (account) do nothing
"""

#: Everything happens under the lock of the bucket's row. Rounding is always to our own loss.
_TAKE = """
with bucket as (
    select account, blocked_until, greatest(filled_at, :now) as filled_at,
        trunc(least(:burst, least(tokens, cast(:ceiling as numeric))
            + cast(:rate as numeric) * extract(epoch from greatest(filled_at, :now) - filled_at)),
            6) as tokens
    from ops.bucket where account = :account for update),
due as (
    select *, greatest(:now, blocked_until, filled_at + interval '1 microsecond' * cast(ceil(
        greatest(0, 1 + :left - tokens) / cast(:rate as numeric) * 1000000) as bigint)) - :now
        as wait
    from bucket),
turn as (
    select *, wait <= cast('0' as interval) or (:is_urgent and wait <= :patience) as granted
    from due)
update ops.bucket b
set tokens = turn.tokens - case when turn.granted then 1 else 0 end,
    filled_at = turn.filled_at, updated_at = :now
from turn where b.account = turn.account
returning turn.granted, turn.wait
"""


def block(connection: Connection, account: str, until: datetime, now: datetime) -> None:
    """Let nobody call the account before `until`: the system said so to one of us."""
    connection.execute(
        text(
            "insert into ops.bucket (account, tokens, filled_at, blocked_until, updated_at) "
            "values (:account, 0, :now, :until, :now) on conflict (account) do update "
            "set blocked_until = greatest(bucket.blocked_until, excluded.blocked_until), "
            "updated_at = excluded.updated_at"
        ),
        {"account": account, "until": until, "now": now},
    )


def tell_rate(connection: Connection, account: str, rate: Decimal, now: datetime) -> None:
    """Remember the calls per second that the system itself names."""
    connection.execute(
        text(
            "insert into ops.bucket (account, tokens, filled_at, told_rate, updated_at) "
            "values (:account, 0, :now, :rate, :now) on conflict (account) do update "
            "set told_rate = excluded.told_rate, updated_at = excluded.updated_at"
        ),
        {"account": account, "rate": rate, "now": now},
    )
