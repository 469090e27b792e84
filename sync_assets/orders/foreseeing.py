"""What reading things again would change, found out without writing anything.

The shop is asked now, its words are mapped in memory and compared with core, and the plan's own
rules say what would follow. The database is read in transactions that cannot write.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import Connection, text

from resources.store import outbox
from resources.store.engine import connected
from resources.store.frames import read_rows
from resources.store.raw import Said
from resources.systems.woocommerce import Broken, Raw
from resources.wiring import Systems
from sync_assets.domain import planning
from sync_assets.domain.changes import order_changes
from sync_assets.domain.exception_kinds import MAPPING_CODES, VALIDATION_CODES, kind_of
from sync_assets.domain.orders import Problem, Rejected, Row, order_ref
from sync_assets.domain.planning import Action, Items, Route, Seen, ShopOrder
from sync_assets.mappers import woocommerce
from sync_assets.mapping import parsed
from sync_assets.orders import gone, mapping
from sync_assets.orders.planning import decision, items_for, with_parts
from sync_assets.routes import route_of

#: Stands for the number a version would get; newer than any that has one.
NEXT_VERSION = 2**62
HELD = "held"
CUSTOMER_FIELDS = ("email", "first_name", "last_name", "company", "phone", "country")


@dataclass(frozen=True)
class Foreseen:
    """What one thing would become."""

    ref: str
    #: new, changed, unchanged, older (we hold a newer version), gone, set_aside
    standing: str
    #: field, before and after; personal fields have neither.
    changes: list[Row] = field(default_factory=list)
    #: create, cancel, none, conflict or held; None where no plan follows.
    action: str | None = None
    reason: str = ""


@dataclass(frozen=True)
class Version:
    """The version that mapping would take up, as it finds it in raw."""

    version: int
    payload: str = ""
    via: str = "webhook"
    #: The shop showed one that is older than ours, so ours is mapped again.
    is_older: bool = False


@contextmanager
def looking(systems: Systems) -> Iterator[Connection]:
    """A transaction that reads one state of the database and cannot write."""
    with connected(systems.engine) as connection:
        connection.execute(text("set transaction isolation level repeatable read, read only"))
        yield connection


def orders(systems: Systems, store: str, ids: Sequence[str]) -> list[Foreseen]:
    """What reading these orders again would change."""
    with systems.shop(store) as shop:
        said = {one.resource_id: one for one in shop.orders_by_id(ids) if one.resource_id}
    refs = {key: order_ref(store, key) for key in ids}
    with looking(systems) as connection:
        taken = _taken(connection, "woocommerce__orders", store, ids, said)
        mapped, rejected = _mapped(connection, store, taken)
        for key, one in said.items():
            if isinstance(one, Broken):
                rejected.setdefault(refs[key], "order.malformed")
        before = mapping.core_now(connection, list(refs.values()))
        plans = _Plans(systems, connection, store).of(mapped, list(before), set(rejected))
    return [
        _foreseen_order(
            refs[key],
            taken.get(key),
            key not in said,
            before.get(refs[key]),
            mapped.get(refs[key]),
            rejected.get(refs[key]),
            plans.get(refs[key]),
        )
        for key in ids
    ]


def _foreseen_order(
    ref: str,
    taken: Version | None,
    is_gone: bool,
    before: Mapping[str, list[Row]] | None,
    after: Mapping[str, list[Row]] | None,
    rejected: str | None,
    plan: tuple[str, str] | None,
) -> Foreseen:
    action, reason = plan or (None, "")
    if rejected:
        return Foreseen(ref, "set_aside", action=HELD, reason=rejected)
    changes = order_changes(before, after) if after else []
    shown = [{name: one[name] for name in ("field", "before", "after")} for one in changes]
    return Foreseen(ref, _standing(taken, is_gone, before, after, shown), shown, action, reason)


def _standing(
    taken: Version | None, is_gone: bool, before: Any, after: Any, changes: list[Row]
) -> str:
    if is_gone:
        return "gone"
    if after and before is None:
        return "new"
    if changes:
        return "changed"
    return "older" if taken and taken.is_older else "unchanged"


def customers(systems: Systems, store: str, ids: Sequence[str]) -> list[Foreseen]:
    """What reading these accounts again would change; that fields change, not what they say."""
    with systems.shop(store) as shop:
        said = {one.resource_id: one for one in shop.customers_by_id(ids) if one.resource_id}
    with looking(systems) as connection:
        taken = _taken(connection, "woocommerce__customers", store, ids, said)
        query = "select * from core.customers where customer_ref = any(:keys)"
        refs = [f"{store}:customer:{key}" for key in ids]
        held = {row["customer_ref"]: row for row in read_rows(connection, query, keys=refs)}
    return [
        _foreseen_customer(store, ref, said.get(key), taken.get(key), held.get(ref))
        for key, ref in zip(ids, refs, strict=True)
    ]


def _foreseen_customer(
    store: str, ref: str, said: Raw | Broken | None, taken: Version | None, before: Row | None
) -> Foreseen:
    if isinstance(said, Broken):
        return Foreseen(ref, "set_aside", reason="thing.malformed")
    try:
        after = woocommerce.customer(store, parsed(taken.payload)) if taken else None
    except Rejected:
        return Foreseen(ref, "set_aside", reason="thing.malformed")
    moved = [n for n in CUSTOMER_FIELDS if after and before and after[n] != before[n]]
    changes = [{"field": name, "before": None, "after": None} for name in moved]
    return Foreseen(ref, _standing(taken, said is None, before, after, changes), changes)


def _taken(
    connection: Connection,
    table: str,
    store: str,
    ids: Sequence[str],
    said: Mapping[str, Raw | Broken],
) -> dict[str, Version]:
    """What mapping would take up of each thing, once what was said now is kept as well."""
    rows = read_rows(
        connection,
        f"""
        select resource_id, version, changed_at, content_hash, mapped_at
        from raw.{table} where source = :store and resource_id = any(:ids)
        order by resource_id, changed_at desc, version desc
        """,  # noqa: S608
        store=store,
        ids=list(ids),
    )
    held: dict[str, list[Row]] = {}
    for row in rows:
        held.setdefault(row["resource_id"], []).append(row)
    taken = {key: _would_take(said.get(key), held.get(key, [])) for key in ids}
    numbers = [one.version for one in taken.values() if one]
    query = (
        f"select version, payload::text as payload, via from raw.{table} where version = any(:v)"  # noqa: S608
    )
    kept = {row["version"]: row for row in read_rows(connection, query, v=numbers)}
    return {key: replace(one, **kept.get(one.version, {})) for key, one in taken.items() if one}


def _would_take(said: Raw | Broken | None, held: Sequence[Row]) -> Version | None:
    """The version mapping takes, a held one without its payload; None if nothing is to be mapped.

    As keeping does: equal to the newest we hold, or older and held already, it is not kept again.
    Whatever is kept, mapping takes the newest.
    """
    is_pending, is_older = any(row["mapped_at"] is None for row in held), False
    if isinstance(said, Raw):
        now = Version(NEXT_VERSION, said.text)
        if not held:
            return now
        key = (said.changed_at, Said(said.resource_id, said.changed_at, said.text).content_hash)
        keys = [(row["changed_at"], bytes(row["content_hash"])) for row in held]
        if key[1] != keys[0][1]:
            if key[0] >= keys[0][0]:
                return now
            is_older = key not in keys
    if not held or not (is_pending or is_older):
        return None
    return Version(held[0]["version"], is_older=is_older)


def _mapped(
    connection: Connection, store: str, taken: Mapping[str, Version]
) -> tuple[dict[str, dict[str, list[Row]]], dict[str, str]]:
    """Core rows by order, and the codes of those that would be set aside."""
    accepted: dict[str, dict[str, list[Row]]] = {}
    rejected: dict[str, list[Problem]] = {}
    for key, one in taken.items():
        version = {**vars(one), "source": store, "resource_id": key}
        try:
            accepted[order_ref(store, key)], _ = mapping.core_rows(connection, version)
        except Rejected as refusal:
            if one.via != gone.VIA:  # what is gone ends as core has it
                rejected[order_ref(store, key)] = refusal.problems
    mapping.valid_frames(accepted, rejected)
    return accepted, {
        ref: ", ".join(dict.fromkeys(problem.code for problem in problems))
        for ref, problems in rejected.items()
    }


class _Plans:
    """What planning would decide about orders of one store, from rows that are nowhere yet."""

    def __init__(self, systems: Systems, connection: Connection, store: str) -> None:
        self.connection, self.store = connection, store
        self.route: Route = route_of(store, systems.settings.stores[store])

    def of(
        self,
        mapped: Mapping[str, dict[str, list[Row]]],
        in_core: Sequence[str],
        rejected: set[str],
    ) -> dict[str, tuple[str, str]]:
        """Action and reason by order; those not mapped anew are judged as core has them."""
        stay = [ref for ref in in_core if ref not in mapped and ref not in rejected]
        kept = read_rows(
            self.connection, "select * from core.orders where order_ref = any(:k)", k=stay
        )
        shops = [_shop_order(tables) for tables in mapped.values()]
        shops += with_parts(self.connection, kept)
        items = items_for(self.connection, shops, self.route)
        seen, blocked = self._receipts(shops), self._blocked(shops, set(mapped))
        released = self._released(shops)
        return {
            shop.ref: self._one(shop, items, seen, blocked.get(shop.ref, set()), released)
            for shop in shops
        }

    def _one(
        self,
        shop: ShopOrder,
        items: Items,
        receipts: Mapping[str, tuple[Seen, int]],
        blocked: set[str],
        released: set[tuple[str, str, str, int]],
    ) -> tuple[str, str]:
        seen, version = receipts.get(shop.ref, (Seen(), -1))
        if version >= shop.order["raw_version"]:
            return Action.NONE.value, f"{seen.outcome} by {self.route.erp} as it is"
        is_sent = shop.order["state"] in self.route.send_states
        problems = planning.problems(shop, self.route, items) if is_sent else []
        found = {
            problem.code
            for problem in problems
            if kind_of(problem.code).blocks
            and (shop.ref, problem.code, problem.part, shop.order["raw_version"]) not in released
        }
        if found or blocked:
            return HELD, ", ".join(sorted(found | blocked))
        row = decision(shop, self.route, items, seen)
        return row["action"], row["reason"]

    def _receipts(self, shops: Sequence[ShopOrder]) -> dict[str, tuple[Seen, int]]:
        """What the ERP holds, and the version it was settled for; as planning sees it."""
        rows = read_rows(
            self.connection,
            "select order_ref, outcome, wanted_hash, core_version from receipt.sales_orders "
            "where system = :erp and order_ref = any(:keys)",
            erp=self.route.erp,
            keys=[shop.ref for shop in shops],
        )
        ended = [shop.ref for shop in shops if shop.order["state"] in planning.ENDED]
        begun = outbox.begun(self.connection, self.route.erp, ended)
        return {ref: (Seen("accepted"), -1) for ref in begun} | {
            row["order_ref"]: (Seen(row["outcome"], row["wanted_hash"]), row["core_version"])
            for row in rows
        }

    def _blocked(self, shops: Sequence[ShopOrder], mapped: set[str]) -> dict[str, set[str]]:
        """Codes that would go on blocking: found neither by mapping it anew nor by validation."""
        rows = read_rows(
            self.connection,
            "select order_ref, reason from core.order_holds where order_ref = any(:keys) "
            "and reason <> all(:judged)",
            keys=[shop.ref for shop in shops],
            judged=VALIDATION_CODES,
        )
        found: dict[str, set[str]] = {}
        for row in rows:
            if row["order_ref"] not in mapped or row["reason"] not in MAPPING_CODES:
                found.setdefault(row["order_ref"], set()).add(row["reason"])
        return found

    def _released(self, shops: Sequence[ShopOrder]) -> set[tuple[str, str, str, int]]:
        rows = read_rows(
            self.connection,
            "select subject_ref, code, part, version from ops.exception "
            "where state = 'released' and subject_ref = any(:keys)",
            keys=[shop.ref for shop in shops],
        )
        return {(row["subject_ref"], row["code"], row["part"], row["version"]) for row in rows}


def _shop_order(tables: Mapping[str, list[Row]]) -> ShopOrder:
    """The order as it would be read back from core, in core's order of parts."""
    return ShopOrder(
        tables["orders"][0],
        sorted(tables["order_lines"], key=lambda row: (row["position"], row["line_ref"])),
        sorted(tables["order_taxes"], key=lambda row: (row["line_ref"], row["rate_id"])),
        {row["role"]: row for row in tables["order_addresses"]},
    )
