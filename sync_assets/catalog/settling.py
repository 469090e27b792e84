"""How writes of products ended, written down: their state, receipt, what the shop answered, and the
exceptions.

One transaction a batch, and only for writes whose lease is still ours.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, text

from resources.errors import NotAsked, RemoteError, UnknownOutcome
from resources.store import exceptions, outbox, raw
from resources.store.engine import connected
from resources.store.outbox import Settled, Write
from resources.wiring import Systems
from sync_assets import attempts
from sync_assets.catalog.planning import subject
from sync_assets.catalog.promotion import ARCHIVE, key_of
from sync_assets.catalog.reading import GONE, keep_answers
from sync_assets.domain import retries
from sync_assets.domain.catalog import Listing
from sync_assets.domain.listing_changes import NOT_OF, WRITTEN, canonical
from sync_assets.domain.orders import Problem
from sync_assets.domain.retries import GiveUp
from sync_assets.mappers import woocommerce_products
from sync_assets.trouble import exceptional


@dataclass
class Sent:
    """What one sending step achieved."""

    created: int = 0
    changed: int = 0
    adopted: int = 0
    archived: int = 0
    withdrawn: int = 0
    parked: int = 0
    later: int = 0
    twins: int = 0
    faults: dict[str, str] = field(default_factory=dict)

    def add(self, other: "Sent") -> None:
        """Count another store's writes in."""
        for name in self.__dataclass_fields__:
            if name != "faults":
                setattr(self, name, getattr(self, name) + getattr(other, name))
        self.faults.update(other.faults)


@dataclass
class Outcome:
    """How one write ended, as far as this attempt knows."""

    write: Write
    state: str = "waiting"
    product_id: int | None = None
    parent_id: int | None = None
    body: Mapping[str, Any] | None = None
    error: RemoteError | None = None
    problem: Problem | None = None
    #: Something of it may be in the shop, as far as this attempt has seen.
    begun: bool = False
    was_created: bool = False
    twins: Sequence[Mapping[str, Any]] = ()

    def __post_init__(self) -> None:
        payload = self.write.payload or {}
        wanted = payload.get("wanted") or {}
        self.key = key_of(self.write.thing_ref)
        self.planned_id: int | None = payload.get("product_id")
        #: What it is looked up by; a family goes by its key.
        self.sku = str(payload.get("sku") or self.key)
        self.archive_to: str | None = wanted.get("archive_to")
        self.listing = None if self.archive_to else Listing.model_validate(wanted)
        self.parent_key = self.listing.parent_key if self.listing else None

    def expected(self) -> dict[str, str]:
        """What the shop must show of the written fields, as text by field."""
        if self.listing is None:
            return {"status": self.archive_to or ""}
        shown = woocommerce_products.as_listed(self.listing)
        kept = set(WRITTEN) - NOT_OF.get(self.listing.kind, frozenset())
        return {
            name: canonical(name, shown)
            for name, parts in WRITTEN.items()
            if name in kept and parts <= self.listing.fields_to_write
        }


@dataclass
class Settler:
    """Writes down how the writes of one worker to one store ended."""

    systems: Systems
    store: str
    run_id: str | None
    worker: str

    @property
    def window(self) -> timedelta:
        """How long a write that fails for passing reasons is tried."""
        return timedelta(hours=self.systems.settings.stores[self.store].retry_hours)

    def settle(self, outcomes: Sequence[Outcome], total: Sent) -> int:
        """Record how writes ended; answers how many were still ours."""
        if not outcomes:
            return 0
        now = self.systems.now()
        with connected(self.systems.engine) as connection:
            ours = outbox.held(connection, [o.write.id for o in outcomes], worker=self.worker)
            kept = [outcome for outcome in outcomes if outcome.write.id in ours]
            settled = [self._settled(outcome, now, total) for outcome in kept]
            outbox.settle(connection, settled, worker=self.worker, now=now)
            self._receipts(connection, [o for o in kept if o.state == "done"], now)
            self._keep_answers(connection, kept, now)
            self._tell(connection, kept, now)
        return len(kept)

    def give_back(self, outcomes: Iterable[Outcome], error: RemoteError) -> int:
        """Return writes unjudged: the key or the shop is at fault, not the products."""
        now = self.systems.now()
        kind, said = type(error).__name__, str(error)
        returned = []
        for outcome in outcomes:
            due = None
            if not isinstance(error, NotAsked):
                due = attempts.unjudged_until(outcome.write, error, now, self.window)
            state = "unknown" if outcome.begun else "waiting"
            returned.append(Settled(outcome.write.id, state, kind, said, due, counts=False))
        with connected(self.systems.engine) as connection:
            return outbox.settle(connection, returned, worker=self.worker, now=now)

    def _settled(self, outcome: Outcome, now: datetime, total: Sent) -> Settled:
        write, error = outcome.write, outcome.error
        if outcome.state == "done":
            self._count(outcome, total)
            return Settled(write.id, "done")
        if outcome.state == "stale":
            return Settled(write.id, "refused", "withdrawn", "a newer plan wants otherwise")
        if outcome.state == "gone":
            total.withdrawn += 1
            return Settled(write.id, "refused", "withdrawn", "the product is gone from the shop")
        if outcome.problem is not None:
            return self._parked(outcome, outcome.problem.code, outcome.problem.message, total)
        if error is None:
            error = outcome.error = UnknownOutcome(self.store, "the shop said nothing of it")
        then = attempts.next_try(write, error, now, self.window)
        if isinstance(then, GiveUp):
            return self._parked(outcome, type(error).__name__, str(error), total)
        total.later += 1
        state = "unknown" if isinstance(error, UnknownOutcome) or outcome.begun else "waiting"
        return Settled(write.id, state, type(error).__name__, str(error), then.moment)

    def _parked(self, outcome: Outcome, kind: str, message: str, total: Sent) -> Settled:
        outcome.state = "parked"
        total.parked += 1
        return Settled(outcome.write.id, "parked", kind, message)

    def _count(self, outcome: Outcome, total: Sent) -> None:
        name = self._outcome(outcome)
        setattr(total, name, getattr(total, name) + 1)
        total.twins += bool(outcome.twins)

    def _outcome(self, outcome: Outcome) -> str:
        if outcome.write.operation == ARCHIVE:
            return "archived"
        if outcome.was_created:
            return "created"
        return "changed" if outcome.planned_id else "adopted"

    def _receipts(self, connection: Connection, done: Sequence[Outcome], now: datetime) -> None:
        rows = [self._receipt(outcome, now) for outcome in done]
        if rows:
            connection.execute(text(_RECEIPT), rows)

    def _receipt(self, outcome: Outcome, now: datetime) -> dict[str, Any]:
        body = outcome.body or {}
        return {
            "system": self.store,
            "key": outcome.key,
            "sku": (outcome.write.payload or {}).get("sku"),
            "outcome": self._outcome(outcome),
            "product_id": body.get("id", outcome.product_id),
            "parent_id": outcome.parent_id,
            "written": json.dumps(outcome.expected()),
            "wanted_hash": outcome.write.wanted_hash,
            "attempts": outcome.write.attempts,
            "now": now,
            "shop_changed_at": _moment(body.get("date_modified_gmt")),
            "correlation_id": outcome.write.correlation_id,
            "run_id": self.run_id,
        }

    def _keep_answers(
        self, connection: Connection, outcomes: Sequence[Outcome], now: datetime
    ) -> None:
        """What the shop answered is what it shows now: our own echo will be no news."""
        said = raw.Reading(self.store, "read_back", now, self.run_id)
        bodies = [one for o in outcomes for one in (*o.twins, o.body) if one]
        keep_answers(connection, self.store, bodies, said)
        gone = raw.Reading(self.store, GONE, now, self.run_id)
        for outcome in outcomes:
            if outcome.state == "gone" and outcome.product_id:
                key = str(outcome.product_id)
                text_ = json.dumps({"id": outcome.product_id, "gone": True})
                table = "variations" if outcome.parent_key else "products"
                raw.append(connection, f"woocommerce__{table}", [raw.Said(key, now, text_)], gone)

    def _tell(self, connection: Connection, outcomes: Sequence[Outcome], now: datetime) -> None:
        """Open what a person must see; close it where the write went through."""
        exceptions.reconcile(
            connection,
            [self._exceptional(o, now) for o in outcomes if o.state == "parked"],
            subjects=[subject(self.store, o.key) for o in outcomes if o.state != "waiting"],
            codes=["product.refused"],
            now=now,
            run_id=self.run_id,
        )

    def _exceptional(self, outcome: Outcome, now: datetime) -> exceptions.Exceptional:
        write = outcome.write
        said = outcome.problem.message if outcome.problem else str(outcome.error)
        part = outcome.problem.part if outcome.problem else write.operation
        tried = retries.history(write.attempts, write.first_failed_at or now, now)
        return exceptional(
            Problem("product.refused", part, f"{said} ({tried})"),
            subject(self.store, outcome.key),
            self.systems.settings.service_levels,
            sender_ref=str(outcome.product_id or outcome.key),
            version=write.core_version,
        )


def _moment(stamp: object) -> datetime | None:
    return datetime.fromisoformat(f"{stamp}+00:00") if isinstance(stamp, str) else None


_RECEIPT = """
insert into receipt.woocommerce__products (system, key, sku, outcome, product_id, parent_id,
    written, wanted_hash, attempts, answered_at, shop_changed_at, correlation_id, run_id)
values (:system, :key, :sku, :outcome, :product_id, :parent_id, cast(:written as jsonb),
    :wanted_hash, :attempts, :now, :shop_changed_at, :correlation_id, :run_id)
on conflict (system, key) do update
set outcome = excluded.outcome, product_id = excluded.product_id, parent_id = excluded.parent_id,
    written = woocommerce__products.written || excluded.written,
    wanted_hash = excluded.wanted_hash, attempts = excluded.attempts,
    answered_at = excluded.answered_at, shop_changed_at = excluded.shop_changed_at,
    correlation_id = excluded.correlation_id, run_id = excluded.run_id
"""
