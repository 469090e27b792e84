"""What to do about each webhook of a store: rules on what its shop shows and what we remember.

Nothing is asked or changed here; the step that does is in `deliveries.py`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

#: What we consume today: hints about orders and accounts.
TOPICS = (
    "order.created",
    "order.updated",
    "order.deleted",
    "order.restored",
    "customer.created",
    "customer.updated",
)
OUR_NAME = "sync-assets"
#: A mend within this time of the last one is a repeat.
REPEAT_WITHIN = timedelta(days=1)
#: So many mends in a row, and somebody must look at the way from the shop to us.
MANY_MENDS = 3


class Status(StrEnum):
    """How a webhook stands; the first three are the shop's own words."""

    ACTIVE = "active"
    PAUSED = "paused"
    DISABLED = "disabled"
    MISSING = "missing"


class Deed(StrEnum):
    """What to do about one webhook."""

    LEAVE = "leave"
    CREATE = "create"
    #: Switch it on. Its count of failures stays, so the next one disables it again.
    REACTIVATE = "reactivate"
    #: Put a new one in its place, whose count starts at none.
    RECREATE = "recreate"
    REPOINT = "repoint"
    #: A secret cannot be read back, only given again.
    REKEY = "rekey"
    #: Somebody paused it in the shop, and ends that.
    WAIT = "wait"
    #: A second one of ours.
    REMOVE = "remove"
    #: A second one that is not ours to remove.
    DOUBLED = "doubled"
    #: None of our business.
    FOREIGN = "foreign"


@dataclass(frozen=True)
class Remembered:
    """What we know of the webhook we had for a topic."""

    webhook_id: str | None
    delivery_url: str
    #: Whether it signs with the newest secret of the configuration.
    has_newest_secret: bool
    healthy_at: datetime | None = None
    mended_at: datetime | None = None
    mended_count: int = 0


@dataclass(frozen=True)
class Wanted:
    """A webhook there should be."""

    topic: str
    delivery_url: str
    ours: Remembered | None = None

    @property
    def name(self) -> str:
        """What it is called in the shop."""
        return f"{OUR_NAME} {self.topic}"


@dataclass(frozen=True)
class Seen:
    """A webhook the shop has."""

    webhook_id: str
    topic: str
    status: Status
    delivery_url: str
    name: str
    changed_at: datetime | None = None


@dataclass(frozen=True)
class Decision:
    """What to do about one webhook, and why."""

    deed: Deed
    topic: str
    why: str
    wanted: Wanted | None = None
    seen: Seen | None = None
    #: Whether news were lost meanwhile, or may have been; a person is told.
    is_trouble: bool = False
    #: Since when it did not deliver, as far as anybody knows.
    since: datetime | None = None

    @property
    def status(self) -> Status:
        """How the webhook stood when it was looked at."""
        return self.seen.status if self.seen else Status.MISSING


def decisions(
    wanted: Sequence[Wanted], seen: Sequence[Seen], now: datetime, *, resume: bool = False
) -> list[Decision]:
    """Decide about every webhook wanted or seen; `resume` also ends pauses, as a person's word."""
    found, taken = list[Decision](), set[str]()
    for one in wanted:
        mine = sorted((s for s in seen if _is_ours(s, one)), key=lambda s: _worse(s, one))
        taken |= {s.webhook_id for s in mine}
        found.append(_about(one, mine[0], now, resume) if mine else _missing(one))
        found += [_second(one, mine[0], other) for other in mine[1:]]
    others = [s for s in seen if s.webhook_id not in taken]
    return found + [Decision(Deed.FOREIGN, s.topic, _foreign(s), seen=s) for s in others]


def _is_ours(seen: Seen, wanted: Wanted) -> bool:
    """A name proves nothing: two deployments on one shop would take each other's."""
    is_known = wanted.ours is not None and wanted.ours.webhook_id == seen.webhook_id
    return seen.topic == wanted.topic and (is_known or seen.delivery_url == wanted.delivery_url)


def _worse(seen: Seen, wanted: Wanted) -> tuple[bool, bool, bool, int]:
    """Sorts the best one first: alive, pointing to us, known, old."""
    return (
        seen.status != Status.ACTIVE,
        seen.delivery_url != wanted.delivery_url,
        wanted.ours is None or wanted.ours.webhook_id != seen.webhook_id,
        int(seen.webhook_id),
    )


def _missing(wanted: Wanted) -> Decision:
    ours = wanted.ours
    if ours is None or (ours.webhook_id is None and ours.healthy_at is None):
        return Decision(Deed.CREATE, wanted.topic, "it was never set up", wanted)
    why = "it is gone from the shop"
    return Decision(Deed.CREATE, wanted.topic, why, wanted, is_trouble=True, since=ours.healthy_at)


def _about(wanted: Wanted, seen: Seen, now: datetime, resume: bool) -> Decision:
    ours, topic = wanted.ours, wanted.topic
    if seen.status == Status.PAUSED and not resume:
        why = "somebody paused it in the shop; end that there, or with --resume"
        return Decision(Deed.WAIT, topic, why, wanted, seen, True, seen.changed_at)
    if seen.status != Status.ACTIVE:
        return _switched_off(wanted, seen, now)
    if seen.delivery_url != wanted.delivery_url:
        is_moved = ours is not None and ours.delivery_url == wanted.delivery_url
        why = "it was pointed elsewhere in the shop" if is_moved else "our address is another now"
        since = seen.changed_at if is_moved else None
        return Decision(Deed.REPOINT, topic, why, wanted, seen, is_moved, since)
    if ours is None or ours.webhook_id != seen.webhook_id:
        why = "we did not set it up, and its secret cannot be read back"
        return Decision(Deed.REKEY, topic, why, wanted, seen)
    if not ours.has_newest_secret:
        return Decision(Deed.REKEY, topic, "it signs with a former secret", wanted, seen)
    return Decision(Deed.LEAVE, topic, "it is active", wanted, seen)


def _switched_off(wanted: Wanted, seen: Seen, now: datetime) -> Decision:
    is_repeat = wanted.ours is not None and mended_lately(wanted.ours, now)
    if seen.status == Status.PAUSED:
        deed, why = Deed.REACTIVATE, "it was paused in the shop"
    elif is_repeat:
        deed = Deed.RECREATE
        why = (
            "the shop disabled it again within a day; switched on, it would keep its count of "
            "failures, and a new one starts at none"
        )
    else:
        deed, why = Deed.REACTIVATE, "the shop disabled it after failed deliveries"
    return Decision(deed, wanted.topic, why, wanted, seen, True, seen.changed_at)


def mended_lately(ours: Remembered, now: datetime) -> bool:
    """Whether the last mend is so recent that another one is a repeat."""
    return ours.mended_at is not None and now - ours.mended_at < REPEAT_WITHIN


def _second(wanted: Wanted, best: Seen, other: Seen) -> Decision:
    is_ours = other.name.startswith(f"{OUR_NAME} ")
    why = f"{best.webhook_id} does the same" + ("" if is_ours else "; remove one of them")
    deed = Deed.REMOVE if is_ours else Deed.DOUBLED
    return Decision(deed, wanted.topic, why, wanted, other, is_trouble=not is_ours)


def _foreign(seen: Seen) -> str:
    if seen.name.startswith(f"{OUR_NAME} "):
        return "it has our name, and another address or topic; another deployment's, or a former"
    return "it is not ours"
