"""`status` for a person: one screen, what is wrong first, the rest as tables."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.text import Text

from resources.notify import duration
from sync_assets.ops.console import laid_out
from sync_assets.ops.report import plain

Found = dict[str, Any]
COLOURS = {
    "critical": "bold red",
    "warning": "yellow",
    "info": "blue",
    "breached": "bold red",
    "late": "yellow",
    "ok": "green",
    "running": "green",
    "draining": "yellow",
    "paused": "yellow",
    "circuit_open": "bold red",
    "parked": "yellow",
    "unknown": "yellow",
}
NOTHING_YET = (
    "Nothing was read yet. `sync-assets run` reads your stores; `sync-assets demo` shows how it "
    "looks."
)


def screen(found: Found) -> RenderableType:
    """Everything `overview` found; empty parts are left out."""
    if is_untouched(found):
        return Text(NOTHING_YET)
    return Group(*_wrong(found), *_tables(found))


def is_untouched(found: Found) -> bool:
    """Whether nothing ever happened here."""
    parts = ("streams", "orders", "queues", "inbox", "exceptions", "quarantined")
    return not any(found[part] for part in parts)


def _wrong(found: Found) -> Iterator[RenderableType]:
    if not found["troubles"]:
        yield Text.from_markup("[green]✓[/green] Nothing is wrong.")
    for one in found["troubles"]:
        colour = COLOURS[one["severity"]]
        stake = f" At stake: {one['at_stake']}." if one["at_stake"] else ""
        yield Text.from_markup(
            f"[{colour}]✗ {escape(one['title'])}[/]  {escape(one['what'] + stake)}\n"
            f"    [dim]→ {escape(one['next_step'])}[/dim]"
        )


def _tables(found: Found) -> Iterator[RenderableType]:
    at = found["at"]
    parts = (
        ("Systems", [_system(row, at) for row in found["systems"]]),
        ("Service levels", [_level(row) for row in found["levels"]]),
        ("Writes not done", [_queue(row, at) for row in found["queues"]]),
        ("Deliveries not settled", [_inbox(row, at) for row in found["inbox"]]),
        ("Open exceptions", [_owner(row, at) for row in found["owners"]]),
        ("Money", [_money(row, at) for row in found["money"]["providers"]]),
        ("Journal entries waiting for the ERP", _entries(found, at)),
        ("Read up to", found["streams"]),
        ("Orders", found["orders"]),
        ("Core tables whose last check failed", [r for r in found["checks"] if not r["passed"]]),
    )
    for title, rows in parts:
        if rows:
            yield laid_out(title, rows)
    yield Text(_workers(found))


def _coloured(word: str) -> Text:
    return Text(word.replace("_", " "), style=COLOURS.get(word, ""))


def _age(moment: datetime | None, at: datetime) -> str:
    return duration(at - moment) if moment else ""


def _system(row: Found, at: datetime) -> Found:
    waiting = row["waiting"] + row["leased"]
    return {
        "system": row["system"],
        "state": _coloured(row["state"]),
        "lag_s": "" if row["lag_seconds"] is None else f"{row['lag_seconds']:,}",
        "waiting": waiting,
        "unknown": _count(row["unknown"], "unknown"),
        "parked": _count(row["parked"], "parked"),
        "oldest": _age(row["oldest_at"], at),
        "calls_15_min": row["calls"],
        "failed": _share(row["error_rate"]),
        "why": _why(row),
    }


def _count(number: int, word: str) -> Text | str:
    return Text(f"{number:,}", style=COLOURS[word]) if number else "0"


def _share(rate: float | None) -> Text | str:
    if not rate:
        return "" if rate is None else "0 %"
    return Text(f"{rate:.1%}".replace("%", " %"), style=COLOURS["late"])


def _why(row: Found) -> str:
    if row["state"] == "paused":
        until = f" until {row['until']:%Y-%m-%d %H:%M} UTC" if row["until"] else ""
        return f"{row['reason'] or 'no reason given'} ({row['changed_by']}){until}"
    if row["state"] == "circuit_open":
        return f"{row['failures']} failures in a row; next probe {row['probe_at']:%H:%M:%S} UTC"
    return f"{row['failures']} failures in a row" if row["failures"] else ""


def _level(row: Found) -> Found:
    return {
        "state": _coloured(row["state"]),
        "level": row["level"].replace("_", " "),
        "told": row["sentence"],
    }


def _queue(row: Found, at: datetime) -> Found:
    return {
        "system": row["system"],
        "lane": row["lane"],
        "state": _coloured(row["state"]),
        "writes": row["writes"],
        "tried_before": row["retried"],
        "oldest": _age(row["oldest_at"], at),
    }


def _inbox(row: Found, at: datetime) -> Found:
    return {
        "store": row["store"],
        "waiting": row["waiting"],
        "oldest": _age(row["oldest_at"], at),
    }


def _owner(row: Found, at: datetime) -> Found:
    overdue = row["overdue"]
    return {
        "owner": row["owner_role"],
        "open": row["open"],
        "overdue": Text(f"{overdue:,}", style=COLOURS["breached"]) if overdue else "0",
        "oldest": _age(row["oldest_at"], at),
        "at_stake": _amounts(row["amounts"]),
    }


def _money(row: Found, at: datetime) -> Found:
    """A provider or bank; empty where nothing is known."""
    return {
        "provider": row["provider"],
        "read": _ago(row["read_at"], at),
        "matched": "" if row["lines_matched"] is None else row["lines_matched"],
        "lines_open": row["lines_open"],
        "oldest_open": _age(row["oldest_at"], at),
        "open_money": _amounts(row["amounts"]),
        "payouts_not_in_bank": _not_in_bank(row),
    }


def _ago(moment: datetime | None, at: datetime) -> str:
    return f"{duration(at - moment)} ago" if moment else "never"


def _not_in_bank(row: Found) -> str:
    count, sums = row["payouts_not_in_bank"], _amounts(row["not_in_bank"])
    return f"{count}: {sums}" if count else "" if count is None else "0"


def _amounts(sums: Found) -> str:
    return ", ".join(f"{plain(amount)} {name}" for name, amount in sums.items())


def _entries(found: Found, at: datetime) -> list[Found]:
    return [
        {"erp": row["erp"], "entries": row["entries"], "oldest": _age(row["oldest_at"], at)}
        for row in found["money"]["entries_waiting"]
    ]


def _workers(found: Found) -> str:
    alive, waiting = found["workers_alive"], found["runs_waiting_for_a_worker"]
    told = f"{alive} warm workers" if alive != 1 else "1 warm worker"
    more = f", {waiting} runs wait for one" if waiting else ""
    return f"{told}{more}. More: sync-assets alerts, sync-assets exceptions list"
