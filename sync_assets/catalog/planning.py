"""What each shop must be told about products: the step behind the plan assets.

Compares what we want with what we have seen, field by field, and puts the difference down; what a
person must decide becomes an exception. Nothing is sent here.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, text

from resources.store import exceptions, raw
from resources.store.engine import connected, one_at_a_time
from resources.store.exceptions import Exceptional
from resources.store.frames import copy_rows
from resources.wiring import Systems
from sync_assets.catalog import policy, wanting
from sync_assets.catalog.wanting import Facts, Scope
from sync_assets.domain import listing_changes
from sync_assets.domain.listing_changes import WRITTEN, Action, Decision, Held, fields_of
from sync_assets.domain.listing_rules import Market, Wanted
from sync_assets.domain.orders import Problem
from sync_assets.domain.ownership import CatalogPolicy
from sync_assets.trouble import exceptional

#: What was mapped at a moment is in the table by then.
COMMITTED_WITHIN = timedelta(minutes=10)
SHOWN_LETTERS = 60


@dataclass
class Planned:
    """What one planning step decided."""

    looked_at: int = 0
    actions: dict[str, int] = field(default_factory=dict)
    #: Fields that somebody changed in a shop although they are the ERP's, by what becomes of it.
    foreign: dict[str, int] = field(default_factory=dict)
    adopted: int = 0

    def count(self, decision: Decision) -> None:
        """Count one decision."""
        self.looked_at += 1
        self.actions[decision.action] = self.actions.get(decision.action, 0) + 1
        for one in decision.differences:
            if one.is_foreign:
                self.foreign[one.treatment] = self.foreign.get(one.treatment, 0) + 1

    def add(self, other: "Planned") -> None:
        """Count another store's decisions in."""
        self.looked_at += other.looked_at
        self.adopted += other.adopted
        for mine, theirs in ((self.actions, other.actions), (self.foreign, other.foreign)):
            for name, number in theirs.items():
                mine[name] = mine.get(name, 0) + number


def plan(
    systems: Systems,
    store: str,
    run_id: str | None,
    *,
    only_new: bool = False,
    item_groups: Sequence[str] | None = None,
    said: CatalogPolicy | None = None,
) -> Planned:
    """Put down what must happen to a store's products.

    `only_new`: what changed in the ERP or the shop since the last plan by the same policy.
    """
    market = policy.market(systems.settings, store, said or policy.in_force(systems.settings))
    kind, now = systems.settings.erps[market.erp].kind, systems.now()
    total, stream = Planned(), f"catalog_plan_{policy.fingerprint(market)}"
    with connected(systems.engine) as connection:
        until = raw.complete_until(connection, store, stream) if only_new else None
        since = until - COMMITTED_WITHIN if until else None
        scope = Scope(item_groups=item_groups, since=since)
        listed = list(wanting.chunks(connection, market, kind, scope, now))
    for known, ids in listed:
        with (
            connected(systems.engine) as connection,
            one_at_a_time(connection, f"catalog {store}"),
        ):
            found = wanting.facts(connection, known, ids, now)
            _plan_chunk(connection, systems, known, found, now, run_id, total)
    with connected(systems.engine) as connection:
        if scope.is_whole:
            _forget_older(connection, store, now)
        if not item_groups:
            raw.move_watermark(connection, store, stream, now, now)
    return total


def _plan_chunk(
    connection: Connection,
    systems: Systems,
    market: Market,
    found: Facts,
    now: datetime,
    run_id: str | None,
    total: Planned,
) -> None:
    decided: list[tuple[Wanted, Held, Decision]] = []
    for wanted in found.wanted:
        held = found.held[wanted.key]
        decision = listing_changes.decide(wanted, wanting.expected(wanted), held, market.policy)
        total.count(decision)
        decided.append((wanted, held, decision))
    rows = [_row(market, wanted, decision) for wanted, _, decision in decided]
    stamped = {"planned_at": now, "run_id": run_id}
    _write_plans(connection, [{**row, **stamped} for row in rows])
    total.adopted += _write_agreed(connection, market.store, decided, now, run_id)
    _write_mismatches(connection, market.store, decided, now, run_id)
    exceptions.reconcile(
        connection,
        [one for wanted, _, d in decided for one in _conflicts(systems, market, wanted, d)],
        subjects=[subject(market.store, wanted.key) for wanted, _, _ in decided],
        codes=["catalog.field_conflict"],
        now=now,
        run_id=run_id,
    )


def subject(store: str, key: str) -> str:
    """The name of a store's product in exceptions."""
    return f"{store}:product:{key}"


def _row(market: Market, wanted: Wanted, decision: Decision) -> dict[str, Any]:
    body = _body(market, wanted, decision)
    return {
        "system": market.store,
        "key": wanted.key,
        "sku": wanted.sku,
        "action": decision.action.value,
        "reason": decision.reason,
        "product_id": decision.product_id,
        "parent_key": wanted.listing.parent_key if wanted.listing else None,
        "item_group": wanted.item_group,
        "wanted": body,
        "changed_fields": list(decision.changed),
        "wanted_hash": hashlib.sha256((body or "").encode()).hexdigest() if body else "",
        "core_version": wanted.core_version,
    }


def _body(market: Market, wanted: Wanted, decision: Decision) -> str | None:
    """What is to be written, as the payload of a write; nothing where nothing is."""
    if decision.action == Action.ARCHIVE:
        ended = decision.differences[0].wanted
        return json.dumps({"archive_to": ended})
    if wanted.listing is None or decision.action not in (Action.CREATE, Action.CHANGE):
        return None
    if decision.action == Action.CREATE:
        names = {"sku", "kind", *_names(fields_of(wanted))}
        if not wanted.listing.sale_price:
            names -= WRITTEN["sale_price"]
    else:
        names = _names(decision.changed)
    document = wanted.listing.model_copy(update={"fields_to_write": frozenset(names)})
    body = document.model_dump(mode="json")
    return json.dumps({**body, "fields_to_write": sorted(names)}, sort_keys=True)


def _names(fields: Iterable[str]) -> set[str]:
    return {name for one in fields for name in WRITTEN[one]}


_PLAN_COLUMNS = (
    *("system", "key", "sku", "action", "reason", "product_id", "parent_key", "item_group"),
    *("wanted", "changed_fields", "wanted_hash", "core_version", "planned_at", "run_id"),
)


def _write_plans(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    connection.exec_driver_sql(
        "create temp table if not exists stage_product_plan "
        "(like plan.woocommerce__products) on commit drop"
    )
    connection.exec_driver_sql("truncate stage_product_plan")
    copy_rows(
        connection,
        "stage_product_plan",
        _PLAN_COLUMNS,
        ([row[column] for column in _PLAN_COLUMNS] for row in rows),
    )
    names = ", ".join(_PLAN_COLUMNS)
    changed = ", ".join(f"{c} = excluded.{c}" for c in _PLAN_COLUMNS[2:])
    connection.exec_driver_sql(
        f"insert into plan.woocommerce__products ({names}) select {names} "  # noqa: S608
        f"from stage_product_plan on conflict (system, key) do update set {changed}"
    )


def _write_agreed(
    connection: Connection,
    store: str,
    decided: Sequence[tuple[Wanted, Held, Decision]],
    now: datetime,
    run_id: str | None,
) -> int:
    """Remember what both sides show alike as written; answers how many listings were adopted.

    A listing that was there before us is taken over, so that a later change of it is noticed.
    """
    rows = [
        {
            "system": store,
            "key": wanted.key,
            "sku": wanted.sku,
            "product_id": decision.product_id,
            "parent_id": held.listings[0]["parent_id"],
            "written": json.dumps(dict(decision.agreed)),
            "now": now,
            "run_id": run_id,
        }
        for wanted, held, decision in decided
        if held.listings
        and decision.agreed
        and any((held.written or {}).get(k) != v for k, v in decision.agreed.items())
    ]
    if rows:
        connection.execute(text(_AGREED), rows)
    return sum(1 for _, held, decision in decided if decision.agreed and held.written is None)


_AGREED = """
insert into receipt.woocommerce__products (system, key, sku, outcome, product_id, parent_id,
    written, wanted_hash, attempts, answered_at, run_id)
values (:system, :key, :sku, 'adopted', :product_id, :parent_id, cast(:written as jsonb), '', 0,
    :now, :run_id)
on conflict (system, key) do update
set written = woocommerce__products.written || excluded.written,
    product_id = excluded.product_id, parent_id = excluded.parent_id
"""


def _write_mismatches(
    connection: Connection,
    store: str,
    decided: Sequence[tuple[Wanted, Held, Decision]],
    now: datetime,
    run_id: str | None,
) -> None:
    """Make the report of these products what was found; what was there keeps its first day."""
    found = [
        {
            "store": store,
            "product_id": decision.product_id,
            "key": wanted.key,
            "field": one.field,
            "wanted": one.wanted,
            "seen": one.seen,
            "owner": one.owner,
            "treatment": one.treatment,
        }
        for wanted, _, decision in decided
        for one in decision.differences
        if decision.product_id is not None
    ]
    values = {
        "store": store,
        "keys": [wanted.key for wanted, _, _ in decided],
        "found": json.dumps(found),
        "now": now,
        "run_id": run_id,
    }
    connection.execute(text(_GONE_MISMATCHES), values)
    if found:
        connection.execute(text(_MISMATCHES), values)


_GONE_MISMATCHES = """
delete from core.listing_mismatches m where m.store = :store and m.key = any(:keys)
  and not exists (
    select from jsonb_to_recordset(cast(:found as jsonb)) as f (product_id bigint, field text)
    where f.product_id = m.product_id and f.field = m.field)
"""
_MISMATCHES = """
insert into core.listing_mismatches (store, product_id, key, field, wanted, seen, owner,
    treatment, since, run_id)
select f.store, f.product_id, f.key, f.field, f.wanted, f.seen, f.owner, f.treatment, :now, :run_id
from jsonb_to_recordset(cast(:found as jsonb)) as f (store text, product_id bigint, key text,
    field text, wanted text, seen text, owner text, treatment text)
on conflict (store, product_id, field) do update
set key = excluded.key, wanted = excluded.wanted, seen = excluded.seen, owner = excluded.owner,
    treatment = excluded.treatment, run_id = excluded.run_id
"""


def _conflicts(
    systems: Systems, market: Market, wanted: Wanted, decision: Decision
) -> list[Exceptional]:
    found = [
        Problem(
            "catalog.field_conflict",
            one.field,
            f"the shop says {_short(one.seen)}, {market.erp} says {_short(one.wanted)}",
        )
        for one in decision.differences
        if one.treatment == "raised"
    ]
    if decision.action == Action.CONFLICT and not found:
        found = [Problem("catalog.field_conflict", "product", decision.reason or "")]
    return [
        exceptional(
            problem,
            subject(market.store, wanted.key),
            systems.settings.service_levels,
            sender_ref=str(decision.product_id or wanted.key),
            version=wanted.core_version,
        )
        for problem in found
    ]


def _short(value: str) -> str:
    told = value if len(value) <= SHOWN_LETTERS else f"{value[:SHOWN_LETTERS]}…"
    return repr(told)


def _forget_older(connection: Connection, store: str, now: datetime) -> None:
    """Drop plans and reports of keys that the ERP has no longer."""
    values = {"store": store, "now": now}
    connection.execute(
        text("delete from plan.woocommerce__products where system = :store and planned_at < :now"),
        values,
    )
    connection.execute(
        text(
            "delete from core.listing_mismatches m where m.store = :store and not exists (select "
            "from plan.woocommerce__products p where p.system = m.store and p.key = m.key)"
        ),
        values,
    )
