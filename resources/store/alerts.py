"""Alerts: one row per trouble, and which channel was told of it, when.

Which troubles there are is decided elsewhere, and how a channel is reached too. Here they are kept,
ended, claimed and confirmed, so that however many processes look, each is told once.
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, text

from resources.store.frames import read_rows

MOST_THINGS = 20


class Severity(StrEnum):
    """How much it matters: to know, to look at today, to look at now."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


@dataclass(frozen=True)
class Alert:
    """One trouble; the same trouble always has the same key."""

    key: str
    scope: str
    title: str
    severity: Severity
    #: What happened, in one sentence of counts, limits and systems; never what stands in a row.
    what: str
    #: What to do next: a command, or a place in the UI.
    next_step: str
    since_at: datetime
    things: tuple[str, ...] = ()
    things_count: int = 0
    at_stake: str = ""


@dataclass(frozen=True)
class Claim:
    """An alert that one channel must be told of now, and nobody else tells it meanwhile."""

    alert: Alert
    first_at: datetime
    ended_at: datetime | None = None


def see(connection: Connection, alerts: Iterable[Alert], now: datetime) -> None:
    """Keep what was found; what had ended and is back is a new trouble, to be told again."""
    rows = [
        {**asdict(one), "things": list(one.things[:MOST_THINGS]), "now": now}
        for one in sorted(alerts, key=lambda one: one.key)
    ]
    if not rows:
        return
    connection.execute(text(_FORGET), {"keys": [row["key"] for row in rows]})
    connection.execute(text(_SEE), rows)


_FORGET = """
delete from ops.alert_told t using ops.alert a
where a.key = t.key and a.key = any(:keys) and a.ended_at is not null
"""
_SEE = """
insert into ops.alert as a (key, scope, title, severity, what, next_step, things, things_count,
    at_stake, since_at, first_at, last_at)
values (:key, :scope, :title, :severity, :what, :next_step, :things, :things_count, :at_stake,
    :since_at, :now, :now)
on conflict (key) do update
set scope = excluded.scope, title = excluded.title, severity = excluded.severity,
    what = excluded.what, next_step = excluded.next_step, things = excluded.things,
    things_count = excluded.things_count, at_stake = excluded.at_stake,
    since_at = excluded.since_at, last_at = excluded.last_at, ended_at = null,
    first_at = case when a.ended_at is null then a.first_at else excluded.first_at end,
    seen_count = case when a.ended_at is null then a.seen_count + 1 else 1 end
"""


def end(
    connection: Connection,
    scope: str,
    found: Sequence[str],
    now: datetime,
    quiet: timedelta,
) -> int:
    """End what a watch no longer finds and did not find for a while; answer how many."""
    done = connection.execute(
        text(
            "update ops.alert set ended_at = :now where scope = :scope and ended_at is null "
            "and key <> all(:found) and last_at <= :since"
        ),
        {"scope": scope, "found": list(found), "now": now, "since": now - quiet},
    )
    return int(done.rowcount)


def claim(
    connection: Connection,
    channel: str,
    now: datetime,
    *,
    repeat: timedelta,
    hold: timedelta = timedelta(minutes=5),
) -> list[Claim]:
    """Take what this channel must be told: new, graver, long ago, or over."""
    connection.execute(
        text(
            "insert into ops.alert_told (key, channel) select key, :channel from ops.alert "
            "where ended_at is null order by key on conflict do nothing"
        ),
        {"channel": channel},
    )
    rows = read_rows(
        connection, _CLAIM, channel=channel, now=now, again=now - repeat, until=now + hold
    )
    return sorted(map(_claim, rows), key=_gravest_first)


_CLAIM = """
update ops.alert_told t set claimed_until = :until
from ops.alert a
where t.key = a.key and t.channel = :channel
  and (t.claimed_until is null or t.claimed_until <= :now)
  and case
    when a.ended_at is not null then t.told_at is not null and t.end_told_at is null
    else t.told_at is null or t.told_at <= :again
      or array_position(array['info', 'warning', 'critical'], a.severity)
       > array_position(array['info', 'warning', 'critical'], t.told_severity)
  end
returning a.*
"""


def _claim(row: dict[str, Any]) -> Claim:
    values = {name: row[name] for name in Alert.__dataclass_fields__}
    alert = Alert(
        **{**values, "severity": Severity(row["severity"]), "things": tuple(row["things"])}
    )
    return Claim(alert, row["first_at"], row["ended_at"])


def _gravest_first(claim: Claim) -> tuple[bool, int, datetime, str]:
    rank = list(Severity).index(claim.alert.severity)
    return claim.ended_at is not None, -rank, claim.alert.since_at, claim.alert.key


def confirm(connection: Connection, channel: str, told: Sequence[Claim], now: datetime) -> None:
    """Record that a channel took the message."""
    connection.execute(
        text(
            """
            update ops.alert_told t
            set claimed_until = null, told_count = told_count + 1,
                told_at = case when d.is_over then t.told_at else :now end,
                told_severity = case when d.is_over then t.told_severity else d.severity end,
                end_told_at = case when d.is_over then cast(:now as timestamptz) end
            from unnest(cast(:keys as text[]), cast(:severities as text[]),
                        cast(:over as boolean[])) as d (key, severity, is_over)
            where t.key = d.key and t.channel = :channel
            """
        ),
        {
            "now": now,
            "channel": channel,
            "keys": [one.alert.key for one in told],
            "severities": [one.alert.severity.value for one in told],
            "over": [one.ended_at is not None for one in told],
        },
    )


def release(connection: Connection, channel: str, claims: Sequence[Claim]) -> None:
    """Give back what a channel could not be told; the next call tries again."""
    connection.execute(
        text(
            "update ops.alert_told set claimed_until = null "
            "where channel = :channel and key = any(:keys)"
        ),
        {"channel": channel, "keys": [one.alert.key for one in claims]},
    )


def open_ones(connection: Connection) -> list[dict[str, Any]]:
    """Open alerts, the gravest first, with the channels that know."""
    return read_rows(
        connection,
        """
        select a.key, a.scope, a.severity, a.title, a.what, a.next_step, a.things, a.things_count,
            a.at_stake, a.since_at, a.first_at, a.last_at, a.seen_count,
            min(t.told_at) as told_at,
            coalesce(string_agg(t.channel, ', ' order by t.channel)
                filter (where t.told_at is not null), '') as told_to,
            coalesce(string_agg(t.channel, ', ' order by t.channel)
                filter (where t.told_at is null), '') as not_told_to
        from ops.alert a left join ops.alert_told t on t.key = a.key
        where a.ended_at is null
        group by a.key
        order by array_position(array['critical', 'warning', 'info'], a.severity), a.first_at, a.key
        """,
    )
