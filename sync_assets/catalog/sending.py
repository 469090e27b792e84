"""Telling a shop about products, once: the step behind the receipt assets.

Batches go in the catalog's own lane and give way between two of them. Parents go before their
variations, what may have been sent already is looked up by SKU first, and what the shop answers
must show what we wrote. How ends are written down is in `settling.py`.
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from resources.errors import (
    Missing,
    NotAsked,
    Remedy,
    RemoteError,
    SignInAgain,
    Throttled,
    TryAgain,
    UnknownOutcome,
)
from resources.http import correlated, in_lane
from resources.store import raw
from resources.store.engine import connected, one_at_a_time
from resources.store.frames import read_rows
from resources.store.outbox import Write
from resources.systems.woocommerce import Raw, WooCommerce
from resources.wiring import Systems
from sync_assets.catalog import mapping, reading
from sync_assets.catalog.promotion import ARCHIVE, OPERATIONS, promote
from sync_assets.catalog.settling import Outcome, Sent, Settler
from sync_assets.domain.catalog import Listing
from sync_assets.domain.listing_changes import canonical
from sync_assets.domain.orders import Problem, Rejected, Row
from sync_assets.leasing import take, why_not_now, worker_name
from sync_assets.mappers import woocommerce_products

#: The shop takes so many at once; what is urgent goes between two batches.
BATCH = 100
LANE = "catalog"
Path = tuple[str, ...]


def send(
    systems: Systems,
    store: str,
    run_id: str | None,
    say: Callable[[str], None] = lambda line: None,
) -> Sent:
    """Send what is due to one store, batch by batch, until nothing is due."""
    total, worker = Sent(), worker_name(run_id)
    if store not in systems.settings.publishing("products"):
        return total
    promote(systems, store)
    if (rest := why_not_now(systems, store)) is not None:
        total.faults[store] = str(rest)
        return total
    # One writer a store: variations of one worker would wait for parents of another.
    with (
        connected(systems.engine) as guard,
        one_at_a_time(guard, f"send products {store}"),
        systems.shop(store) as shop,
    ):
        sender = Sender(systems, store, shop, run_id, worker)
        while not sender.is_away and (batch := take(systems, store, worker, BATCH, OPERATIONS)):
            started = time.perf_counter()
            try:
                sender.batch(batch, total)
            except SignInAgain as error:
                sender.settler.give_back([Outcome(w, begun=w.begun) for w in batch], error)
                raise
            say(f"{store}: {len(batch)} products in {time.perf_counter() - started:.1f} s")
    mapping.listings(systems, run_id)
    return total


@dataclass
class Sender:
    """Sends batches of leased writes of products to one store."""

    systems: Systems
    store: str
    shop: WooCommerce
    run_id: str | None
    worker: str
    #: The shop answers nobody, or asked for time: there is no use in going on.
    is_away: bool = False
    categories: dict[Path, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.settler = Settler(self.systems, self.store, self.run_id, self.worker)

    def batch(self, writes: Sequence[Write], total: Sent) -> None:
        """Send one batch and settle every write of it; parents are settled first."""
        outcomes = [Outcome(write, begun=write.begun) for write in writes]
        self._drop_unwanted(outcomes)
        total.withdrawn += self.settler.settle([o for o in outcomes if o.state == "stale"], total)
        due = [outcome for outcome in outcomes if outcome.state == "waiting"]
        for part in (
            [o for o in due if o.parent_key is None and o.write.operation != ARCHIVE],
            [o for o in due if o.parent_key is not None and o.write.operation != ARCHIVE],
            [o for o in due if o.write.operation == ARCHIVE],
        ):
            self._part(part, total)

    def _part(self, outcomes: list[Outcome], total: Sent) -> None:
        if not outcomes:
            return
        if self.is_away:
            total.later += self.settler.give_back(outcomes, TryAgain(self.store, "it is away"))
            return
        try:
            with correlated(outcomes[0].write.correlation_id), in_lane(LANE):
                self._attempt(outcomes)
        except SignInAgain as error:
            self.settler.give_back(outcomes, error)
            raise
        except RemoteError as error:
            total.faults[self.store if isinstance(error, NotAsked) else error.remedy] = str(error)
            if self._must_wait(error):
                total.later += self.settler.give_back(outcomes, error)
                return
            if len(outcomes) > 1:
                self._halves(outcomes, total)
                return
            outcomes[0].error = error
        self.settler.settle(outcomes, total)

    def _halves(self, outcomes: list[Outcome], total: Sent) -> None:
        """Send in two parts: one write spoils the call, and its neighbours are to go on."""
        middle = len(outcomes) // 2
        for half in (outcomes[:middle], outcomes[middle:]):
            self._part([Outcome(o.write, begun=o.begun) for o in half], total)

    def _must_wait(self, error: RemoteError) -> bool:
        """Whether the shop is busy or away; if not, these products are at fault."""
        if error.remedy == Remedy.FIND_OUT:
            return False
        self.is_away = self.is_away or isinstance(error, Throttled | NotAsked | TryAgain)
        return self.is_away

    def _drop_unwanted(self, outcomes: Sequence[Outcome]) -> None:
        """Send no price that a newer plan has replaced; it is worked out again, not replayed."""
        with connected(self.systems.engine) as connection:
            rows = read_rows(
                connection,
                "select key, wanted_hash from plan.woocommerce__products "
                "where system = :store and key = any(:keys) "
                "and action in ('create', 'change', 'archive')",
                store=self.store,
                keys=[outcome.key for outcome in outcomes],
            )
        planned = {row["key"]: row["wanted_hash"] for row in rows}
        for outcome in outcomes:
            if planned.get(outcome.key) != outcome.write.wanted_hash:
                outcome.state = "stale"

    def _attempt(self, outcomes: list[Outcome]) -> None:
        self._place(outcomes)
        self._look_up([o for o in outcomes if o.begun and o.state == "waiting" and not o.error])
        due = [o for o in outcomes if o.state == "waiting" and not o.error and not o.problem]
        trashed = [o for o in due if o.archive_to == "trash"]
        self._trash(trashed)
        self._put([o for o in due if o.archive_to != "trash"])
        self._notice_twins([o for o in due if o.was_created])

    def _place(self, outcomes: Sequence[Outcome]) -> None:
        """Find the shop's ids: of the products as last seen, and of the parents."""
        keys = {one for o in outcomes for one in (o.key, o.parent_key) if one}
        known = self._known(keys)
        for outcome in outcomes:
            row = known.get(outcome.key)
            outcome.product_id = outcome.planned_id or (row["product_id"] if row else None)
            outcome.parent_id = row["parent_id"] if row else None
            if outcome.parent_key:
                above = known.get(outcome.parent_key)
                outcome.parent_id = above["product_id"] if above else outcome.parent_id
                if outcome.parent_id is None:
                    outcome.error = TryAgain(self.store, "its parent is not in the shop yet")

    def _known(self, keys: Iterable[str]) -> dict[str, Row]:
        with connected(self.systems.engine) as connection:
            rows = read_rows(connection, _KNOWN, store=self.store, keys=sorted(keys))
        return {row["key"]: row for row in rows}

    def _look_up(self, begun: Sequence[Outcome]) -> None:
        """What an earlier attempt may have written is asked for by SKU before it is sent again."""
        there = {
            str(one.body.get("sku", "")).casefold(): one.body
            for one in self.shop.products_by_sku([o.sku for o in begun])
            if isinstance(one, Raw)
        }
        for outcome in begun:
            body = there.get(outcome.sku.casefold())
            if body is None:
                continue
            outcome.product_id = outcome.product_id or body["id"]
            if outcome.archive_to is None and not self._lacks(outcome, body):
                outcome.body, outcome.state = body, "done"

    def _trash(self, outcomes: Sequence[Outcome]) -> None:
        ids = {o.product_id: o for o in outcomes if o.product_id is not None}
        refusals = self.shop.trash_products(list(ids)) if ids else {}
        for product_id, outcome in ids.items():
            outcome.error = refusals.get(product_id)
            outcome.state = outcome.state if outcome.error else "done"
        # What is in the trash answers nobody's list: it is read by its id.
        after = self.shop.products_by_id([i for i, o in ids.items() if o.state == "done"])
        for one in after:
            if isinstance(one, Raw):
                ids[int(one.resource_id)].body = dict(one.body)

    def _put(self, outcomes: Sequence[Outcome]) -> None:
        self._make_categories([o.listing for o in outcomes if o.listing])
        writes, sent = [], {}
        for outcome in outcomes:
            try:
                fields = self._fields(outcome)
            except Rejected as refusal:
                outcome.problem = refusal.problems[0]
                continue
            writes.append(
                {
                    "key": outcome.key,
                    "id": outcome.product_id,
                    "parent": outcome.parent_id,
                    "fields": fields,
                }
            )
            sent[outcome.key] = outcome
        for outcome in sent.values():
            outcome.begun, outcome.was_created = True, outcome.product_id is None
        answers = self.shop.put_products(writes) if writes else {}
        for key, answer in answers.items():
            self._note(sent[key], answer)

    def _fields(self, outcome: Outcome) -> Mapping[str, Any]:
        if outcome.listing is None:
            return {"status": outcome.archive_to}
        return woocommerce_products.product_fields(outcome.listing, self.categories)

    def _make_categories(self, listings: Iterable[Listing]) -> None:
        """Make what the shop lacks, once a run; one that is refused costs only its products."""
        wanted = {
            path
            for one in listings
            if "categories" in one.fields_to_write
            for path in one.categories
            if path not in self.categories
        }
        if not wanted:
            return
        answers = self.shop.put_categories(sorted(wanted))
        made = {path: key for path, key in answers.items() if not isinstance(key, RemoteError)}
        self.categories |= made
        said = raw.Reading(self.store, "read_back", self.systems.now(), self.run_id)
        reading.keep_categories(
            self.systems, self.store, {key: path for path, key in made.items()}, said
        )

    def _note(self, outcome: Outcome, answer: Mapping[str, Any] | RemoteError) -> None:
        if isinstance(answer, Missing):
            outcome.state = "gone"
        elif isinstance(answer, RemoteError):
            outcome.error = answer
        else:
            outcome.body = dict(answer)
            outcome.was_created = outcome.was_created and not answer.get("existed")
            lacking = self._lacks(outcome, answer)
            if lacking:
                message = f"the shop took it and shows otherwise: {', '.join(lacking)}"
                outcome.problem = Problem("product.refused", "fields", message)
            else:
                outcome.state = "done"

    def _lacks(self, outcome: Outcome, body: Mapping[str, Any]) -> list[str]:
        """The written fields that the shop does not show as written."""
        try:
            shown = self._shown(body)
        except Rejected as refusal:
            return [problem.part for problem in refusal.problems]
        wanted = outcome.expected()
        return [name for name, value in wanted.items() if canonical(name, shown) != value]

    def _shown(self, body: Mapping[str, Any]) -> Row:
        paths = {key: path for path, key in self.categories.items()}
        named = {part["id"]: (str(part.get("name", "")),) for part in body.get("categories") or ()}
        return woocommerce_products.listing(body, self.store, named | paths)

    def _notice_twins(self, made: Sequence[Outcome]) -> None:
        """Read back what was made: two writers may have made the same SKU at the same time."""
        if not made:
            return
        try:
            found = self.shop.products_by_sku([outcome.sku for outcome in made])
        except UnknownOutcome:
            raise
        except RemoteError:
            return  # they are made; the next delta shows twins as well
        owners: dict[str, list[Mapping[str, Any]]] = {}
        for one in found:
            if isinstance(one, Raw):
                owners.setdefault(str(one.body.get("sku", "")).casefold(), []).append(one.body)
        for outcome in made:
            there = owners.get(outcome.sku.casefold(), [])
            if len(there) > 1:
                outcome.twins = [dict(body) for body in there]


_KNOWN = """
select distinct on (key) key, product_id, parent_id from (
    select r.key, r.product_id, r.parent_id, 1 as place from receipt.woocommerce__products r
    join core.listings l on l.store = r.system and l.product_id = r.product_id
    where r.system = :store and r.key = any(:keys)
    union all
    select r.key, r.product_id, r.parent_id, 2 from receipt.woocommerce__products r
    where r.system = :store and r.key = any(:keys) and r.outcome = 'created'
        and not exists (select from raw.woocommerce__products g where g.source = r.system
            and g.resource_id = r.product_id::text and g.via = 'gone')
    union all
    select p.key, p.product_id, null, 3 from plan.woocommerce__products p
    where p.system = :store and p.key = any(:keys) and p.product_id is not null
) found where product_id is not null order by key, place
"""
