"""Replaying deliveries: the things they named, what reading those again would change, and doing it.

A delivery is a hint, so nothing that was said then is applied again: the things are read now, and
the newest version wins as always. Only what is kept by version can be replayed; stock and prices
are recomputed instead.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from resources.settings import Settings
from resources.store import audit, inbox
from resources.store.engine import connected
from resources.store.inbox import Window
from resources.wiring import Systems
from sync_assets.domain.orders import order_ref
from sync_assets.hints import BATCH, SOURCE
from sync_assets.orders import foreseeing
from sync_assets.orders.foreseeing import Foreseen

#: What is read again by its id, and how it is foreseen.
KINDS: Mapping[str, Callable[[Systems, str, Sequence[str]], list[Foreseen]]] = {
    "order": foreseeing.orders,
    "customer": foreseeing.customers,
}


@dataclass(frozen=True)
class Thing:
    """One thing that deliveries of the window named."""

    store: str
    kind: str
    resource_id: str
    topic: str
    deliveries: int
    #: The newest of those deliveries.
    replay_of: int

    @property
    def ref(self) -> str:
        """Our key."""
        if self.kind == "order":
            return order_ref(self.store, self.resource_id)
        return f"{self.store}:{self.kind}:{self.resource_id}"


@dataclass
class Found:
    """What a window holds."""

    things: list[Thing] = field(default_factory=list)
    #: Deliveries that cannot be replayed, by store and kind, with the reason.
    left_out: list[dict[str, Any]] = field(default_factory=list)
    #: Deliveries that are followed anyway.
    under_way: int = 0
    #: Since when deliveries are kept; what is older was purged, or never came.
    kept_since: datetime | None = None

    @property
    def deliveries(self) -> int:
        """How many deliveries the things stand for."""
        return sum(thing.deliveries for thing in self.things)


def find(connection: Connection, settings: Settings, window: Window) -> Found:
    """Return what the ended deliveries of a window named, each thing once."""
    found = Found(
        under_way=inbox.under_way_in(connection, window),
        kept_since=inbox.kept_since(connection, window.source, window.store),
    )
    left: dict[tuple[str, str, str], int] = {}
    for row in inbox.ended_in(connection, window):
        why = why_not(row["store"], row["kind"], row["resource_id"], settings.stores)
        if why is None:
            names = ("store", "kind", "resource_id", "topic", "deliveries")
            found.things.append(Thing(**{n: row[n] for n in names}, replay_of=row["newest"]))
        else:
            key = (row["store"], row["kind"], why)
            left[key] = left.get(key, 0) + int(row["deliveries"])
    found.left_out = [
        {"store": store, "kind": kind, "deliveries": count, "why": why}
        for (store, kind, why), count in left.items()
    ]
    return found


def why_not(store: str, kind: str, resource_id: str | None, stores: Iterable[str]) -> str | None:
    """Why a delivery cannot be replayed; None if it can."""
    if kind not in KINDS:
        return "not replayable: recomputed instead"
    if store not in stores:
        return "no store of that name is configured"
    if not resource_id or not (resource_id.isascii() and resource_id.isdigit()):
        return "names nothing that could be read again"
    return None


def preview(
    systems: Systems, things: Sequence[Thing], tick: Callable[[int], None] = lambda count: None
) -> list[Foreseen]:
    """Read the things now and say what core would get and the plan would do; nothing is written."""
    found: list[Foreseen] = []
    for store, kind in dict.fromkeys((thing.store, thing.kind) for thing in things):
        ids = [t.resource_id for t in things if (t.store, t.kind) == (store, kind)]
        for start in range(0, len(ids), BATCH):
            batch = ids[start : start + BATCH]
            found += KINDS[kind](systems, store, batch)
            tick(len(batch))
    return found


def replay(
    systems: Systems, window: Window, things: Sequence[Thing], *, by: str, reason: str
) -> int:
    """Let the next run read the things again, each once; answer how many."""
    now = systems.now()
    hints = [
        {name: getattr(thing, name) for name in ("store", "topic", "resource_id", "replay_of")}
        for thing in things
    ]
    with connected(systems.engine) as connection:
        ids = inbox.deliver_again(connection, SOURCE, hints, now)
        audit.record(
            connection,
            by,
            "inbox.replayed",
            window.store or window.source,
            now,
            note=reason,
            window={name: str(value) for name, value in vars(window).items() if value},
            deliveries=sum(thing.deliveries for thing in things),
            things=len(ids),
            stores=sorted({thing.store for thing in things}),
            inbox={"first": min(ids), "last": max(ids)} if ids else None,
        )
    return len(ids)
