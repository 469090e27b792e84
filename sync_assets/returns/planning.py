"""What shops and ERPs must be told after the sale: refunds and exchanges there, credit memos, their
reversals and restocks here.

A plan follows from where a saga stands. What is wanted no more is planned as nothing, so that what
had no effect yet is taken back; nothing is sent here.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, text

from resources.store import exceptions
from resources.store.engine import connected, one_at_a_time
from resources.store.frames import read_rows
from resources.wiring import Systems
from sync_assets.domain import crediting, restitution
from sync_assets.domain.after_sale import Case, Refund, Return
from sync_assets.domain.crediting import Creditable, CreditReversal
from sync_assets.domain.orders import Problem, Row
from sync_assets.domain.planning import Items, Route
from sync_assets.domain.returns import ExchangeOrder, RefundRequest, RefundRequestLine
from sync_assets.domain.sales import Document
from sync_assets.intents import CHUNK, Planned, Thing, keep_plan
from sync_assets.returns import cases, requests
from sync_assets.returns.policy import in_force
from sync_assets.returns.settling import LOCK
from sync_assets.routes import route_of
from sync_assets.trouble import exceptional

REFUNDS = Thing("woocommerce", "refunds", "refund", "order", "refund", "refund", "shop")
EXCHANGES = Thing("woocommerce", "exchanges", "exchange", "order", "return", "exchange", "shop")


def credit_memos(kind: str) -> Thing:
    """Credit memos in one kind of ERP."""
    return Thing(kind, "credit_memos", "credit_memo", "order", "refund", "credit_memo", "book")


def credit_reversals(kind: str) -> Thing:
    """Credit memos that are taken back."""
    name = "credit_reversals"
    return Thing(kind, name, "credit_reversal", "order", "refund", "credit_reversal", "book")


def restocks(kind: str) -> Thing:
    """Goods that came back, in one kind of ERP."""
    return Thing(kind, "restocks", "restock", "shipment", "return", "restock", "delivery")


@dataclass(frozen=True)
class Wanted:
    """One thing that must be told, or why it cannot be told yet."""

    key: str
    order_ref: str
    document: Document | None
    reason: str
    amount: Decimal | None = None
    currency: str | None = None


def _planned(one: Wanted) -> Planned:
    action, words = "held", None
    if one.document is not None:
        action = "create"
        said = {**one.document.model_dump(mode="json"), "order_ref": one.order_ref}
        words = json.dumps(said, sort_keys=True)
    return Planned(
        key=one.key,
        order_ref=one.order_ref,
        action=action,
        reason=one.reason,
        wanted=words,
        wanted_hash=crediting.wanted_hash(words or ""),
        core_version=0,
        amount=one.amount,
        currency=one.currency,
    )


def _keep(
    connection: Connection,
    systems: Systems,
    thing: Thing,
    system: str,
    rows: Iterable[Wanted],
    run_id: str | None,
    counts: dict[str, int],
) -> None:
    planned = [_planned(one) for one in rows]
    found = keep_plan(connection, thing, system, planned, systems.now(), run_id)
    for action, count in found.items():
        counts[action] = counts.get(action, 0) + count


def _unplan(
    connection: Connection,
    systems: Systems,
    thing: Thing,
    system: str,
    condition: str,
    **values: Any,
) -> int:
    """Plan as nothing what was planned, is not answered, and is wanted no more."""
    query = f"""
        update plan.{thing.table} p set action = 'none', reason = 'not wanted any more',
            planned_at = :now
        where p.system = :system and p.action in ('create', 'held')
          and not exists (select from receipt.{thing.table} r
            where r.system = p.system and r.key = p.key and r.outcome = 'accepted')
          and not exists ({condition})
    """  # noqa: S608
    found = connection.execute(text(query), {"system": system, "now": systems.now(), **values})
    return int(found.rowcount)


# ---------------------------------------------------------------- told to a shop


def plan_refunds(systems: Systems, store: str, run_id: str | None) -> dict[str, int]:
    """Ask a store for every refund of ours that may be made, and take back what may not."""
    counts: dict[str, int] = {}
    wanted = (
        "select from core.refunds m where m.refund_ref = p.key "
        "and (m.state = 'submitted' or m.shop_refund_id is not null)"
    )
    with connected(systems.engine) as connection, one_at_a_time(connection, LOCK):
        counts["none"] = _unplan(connection, systems, REFUNDS, store, wanted)
        after = ""
        while rows := read_rows(connection, _TO_REFUND, store=store, after=after, limit=CHUNK):
            after = rows[-1]["refund_ref"]
            lines = _lines_of(connection, [row["refund_ref"] for row in rows])
            found = [_refund(row, lines.get(row["refund_ref"], [])) for row in rows]
            _keep(connection, systems, REFUNDS, store, found, run_id, counts)
    return counts


_TO_REFUND = """
select m.*, o.order_id from core.refunds m join core.orders o using (order_ref)
where m.store = :store and m.state = 'submitted' and m.method <> 'offset'
  and m.refund_ref > :after
  and not exists (select from receipt.woocommerce__refunds r
    where r.key = m.refund_ref and r.outcome = 'accepted')
order by m.refund_ref limit :limit
"""


def _lines_of(connection: Connection, refs: Sequence[str]) -> dict[str, list[Row]]:
    query = "select * from core.refund_lines where refund_ref = any(:refs) order by line_no"
    found: dict[str, list[Row]] = {}
    for row in read_rows(connection, query, refs=list(refs)):
        found.setdefault(row["refund_ref"], []).append(row)
    return found


def _refund(row: Row, lines: Sequence[Row]) -> Wanted:
    document = RefundRequest(
        key=row["refund_ref"],
        order_id=int(row["order_id"]),
        amount=crediting.plain(row["amount"]),
        currency=row["currency"],
        reason=row["reason"] or "",
        by_gateway=row["method"] == "gateway",
        lines=tuple(_refund_line(line) for line in lines if line["line_ref"]),
    )
    key, order = row["refund_ref"], row["order_ref"]
    return Wanted(key, order, document, "approved", row["amount"], row["currency"])


def _refund_line(line: Row) -> RefundRequestLine:
    taxes = {int(rate): crediting.plain(Decimal(said)) for rate, said in line["taxes"].items()}
    return RefundRequestLine(
        line_id=int(line["line_ref"].rpartition(":")[2]),
        units=line["units"],
        net_amount=crediting.plain(line["net_amount"]),
        taxes=taxes,
    )


def plan_exchanges(systems: Systems, store: str, run_id: str | None) -> dict[str, int]:
    """Ask a store for the orders that replace goods which came back."""
    counts: dict[str, int] = {}
    with connected(systems.engine) as connection, one_at_a_time(connection, LOCK):
        policy = in_force(systems, connection)
        orders = [row["order_ref"] for row in read_rows(connection, _EXCHANGES, store=store)]
        found = [
            _exchange(connection, case, one)
            for case in cases.load(connection, systems, policy, orders)
            for one in case.returns.values()
            if restitution.wants_exchange(case, one)
        ]
        keys = [one.key for one in found]
        wanted = "select where p.key = any(:wanted)"
        counts["none"] = _unplan(connection, systems, EXCHANGES, store, wanted, wanted=keys)
        _keep(connection, systems, EXCHANGES, store, found, run_id, counts)
    return counts


_EXCHANGES = """
select distinct r.order_ref from core.returns r
where r.store = :store and r.is_exchange and r.order_ref is not null
  and r.state in ('approved', 'in_transit', 'received', 'inspected', 'refunding')
  and not exists (select from receipt.woocommerce__exchanges x
    where x.key = r.return_ref and x.outcome = 'accepted')
"""


def _exchange(connection: Connection, case: Case, one: Return) -> Wanted:
    wanted = requests.replacement_of(connection, one.sender_ref)
    document = None
    if wanted is not None and wanted.replacement:
        document = ExchangeOrder(
            key=one.ref,
            order_id=int(case.order_ref.rpartition(":")[2]),
            lines=wanted.replacement,
            reason=one.reason,
        )
    reason = "the goods it replaces came back" if document else "nobody said what replaces them"
    value = restitution.exchange_value(case, one)
    return Wanted(one.ref, case.order_ref, document, reason, value, case.currency)


# ---------------------------------------------------------------- told to an ERP


def plan_memos(systems: Systems, kind: str, run_id: str | None) -> dict[str, int]:
    """Credit every refund that is confirmed, once its order is accepted."""
    counts: dict[str, int] = {}
    for erp in systems.settings.erps_of(kind):
        with connected(systems.engine) as connection, one_at_a_time(connection, LOCK):
            wanted = (
                "select from core.refunds m where m.refund_ref = p.key "
                "and m.state in ('confirmed', 'credited', 'closed')"
            )
            _add(counts, "none", _unplan(connection, systems, credit_memos(kind), erp, wanted))
            after = ""
            while refs := _next(connection, _TO_CREDIT.format(kind=kind), erp, after):
                after = refs[-1]
                found = _memos(connection, systems, kind, erp, refs)
                _keep(connection, systems, credit_memos(kind), erp, found, run_id, counts)
    return counts


def _add(counts: dict[str, int], action: str, count: int) -> None:
    counts[action] = counts.get(action, 0) + count


def _next(connection: Connection, query: str, erp: str, after: str) -> list[str]:
    rows = read_rows(connection, query, erp=erp, after=after, limit=CHUNK)
    return [row["key"] for row in rows]


_TO_CREDIT = """
select m.refund_ref as key from core.refunds m
join receipt.{kind}__sales_orders s on s.order_ref = m.order_ref and s.system = :erp
    and s.outcome = 'accepted'
where m.state in ('confirmed', 'credited', 'closed') and m.amount > 0 and not m.is_history
  and m.refund_ref > :after
  and not exists (select from receipt.{kind}__credit_memos c
    where c.key = m.refund_ref and c.outcome = 'accepted')
order by m.refund_ref limit :limit
"""


def _memos(
    connection: Connection, systems: Systems, kind: str, erp: str, refs: Sequence[str]
) -> list[Wanted]:
    found = _creditable(connection, kind, erp, refs)
    routes = {name: route_of(name, one) for name, one in systems.settings.stores_of(erp).items()}
    rows: list[Wanted] = []
    troubles: list[exceptions.Exceptional] = []
    for store, route in routes.items():
        group = [one for one in found if one.order["store"] == store]
        items = _items(connection, erp, group, route)
        for one in group:
            rows.append(_memo(systems, one, route, items, troubles))
    exceptions.reconcile(
        connection,
        troubles,
        subjects=list(refs),
        codes=[crediting.CODE],
        now=systems.now(),
    )
    return rows


def _memo(
    systems: Systems,
    one: Creditable,
    route: Route,
    items: Items,
    troubles: list[exceptions.Exceptional],
) -> Wanted:
    document, problems = crediting.credit_memo(one, route, items)
    troubles += [_uncreditable(systems, one, problem) for problem in problems]
    reason = "; ".join(problem.message for problem in problems) or "the refund is confirmed"
    refund, order = one.refund, one.order
    return Wanted(
        refund.ref, order["order_ref"], document, reason, refund.amount, order["currency"]
    )


def _uncreditable(systems: Systems, one: Creditable, problem: Problem) -> exceptions.Exceptional:
    return exceptional(
        problem,
        one.refund.ref,
        systems.settings.service_levels,
        amount=one.refund.amount,
        currency=one.order["currency"],
        sender_ref=one.refund.shop_id,
    )


def _items(connection: Connection, erp: str, group: Sequence[Creditable], route: Route) -> Items:
    codes = crediting.codes([one.refund for one in group], route) if group else set()
    rows = read_rows(
        connection,
        "select sku, item_id, is_active from core.product_refs "
        "where system = :erp and lower(sku) = any(:codes)",
        erp=erp,
        codes=sorted({code.lower() for code in codes}),
    )
    return Items(rows)


def _creditable(
    connection: Connection, kind: str, erp: str, refs: Sequence[str]
) -> list[Creditable]:
    rows = read_rows(connection, _REFUNDS.format(kind=kind), erp=erp, refs=list(refs))
    lines = _lines_of(connection, refs)
    orders = _orders(connection, [row["order_ref"] for row in rows])
    return [
        Creditable(
            refund=_refund_of(row, lines.get(row["refund_ref"], [])),
            order=orders[row["order_ref"]],
            order_id=int(row["erp_order_id"]),
            descriptions=orders[row["order_ref"]]["descriptions"] or {},
            rate_codes=orders[row["order_ref"]]["rate_codes"] or {},
            refunded_on=row["refunded_at"].date(),
        )
        for row in rows
    ]


def _refund_of(row: Row, lines: list[Row]) -> Refund:
    blank: dict[str, Any] = dict.fromkeys(("is_gone", "is_made", "is_credited", "is_reversed"))
    return cases.refund_of({**row, **blank, "lines": lines, "verdicts": [], "moved_by": None})


_REFUNDS = """
select m.*, s.remote_id as erp_order_id from core.refunds m
join receipt.{kind}__sales_orders s on s.order_ref = m.order_ref and s.system = :erp
where m.refund_ref = any(:refs) order by m.refund_ref
"""


def _orders(connection: Connection, keys: Sequence[str]) -> Mapping[str, Row]:
    rows = read_rows(
        connection,
        """
        select o.order_ref, o.store, o.currency, o.customer_ref,
            (select jsonb_object_agg(l.line_ref, l.description) from core.order_lines l
                where l.order_ref = o.order_ref) as descriptions,
            (select jsonb_object_agg(t.rate_id, t.rate_code) from core.order_taxes t
                where t.order_ref = o.order_ref) as rate_codes
        from core.orders o where o.order_ref = any(:keys)
        """,
        keys=list(keys),
    )
    return {row["order_ref"]: row for row in rows}


def plan_reversals(systems: Systems, kind: str, run_id: str | None) -> dict[str, int]:
    """Take back every credit memo whose refund failed, or is gone from the shop."""
    counts: dict[str, int] = {}
    thing = credit_reversals(kind)
    wanted = (
        "select from core.refunds m where m.refund_ref = p.key "
        "and m.state in ('failed', 'withdrawn', 'reversed')"
    )
    for erp in systems.settings.erps_of(kind):
        with connected(systems.engine) as connection, one_at_a_time(connection, LOCK):
            _add(counts, "none", _unplan(connection, systems, thing, erp, wanted))
            rows = read_rows(connection, _TO_REVERSE.format(kind=kind), erp=erp)
            found = [_reversal(systems, row) for row in rows]
            _keep(connection, systems, thing, erp, found, run_id, counts)
    return counts


#: As many as failed lately, which are few.
_TO_REVERSE = """
select m.refund_ref, m.order_ref, m.state, m.amount, m.currency, c.remote_id,
    p.wanted ->> 'on' as planned_on
from core.refunds m
join receipt.{kind}__credit_memos c on c.key = m.refund_ref and c.system = :erp
    and c.outcome = 'accepted'
left join plan.{kind}__credit_reversals p on p.key = m.refund_ref and p.system = :erp
where m.state in ('failed', 'withdrawn')
  and not exists (select from receipt.{kind}__credit_reversals v
    where v.key = m.refund_ref and v.system = :erp and v.outcome = 'accepted')
order by m.refund_ref
"""


def _reversal(systems: Systems, row: Row) -> Wanted:
    document = CreditReversal(
        key=row["refund_ref"],
        order_ref=row["order_ref"],
        memo_id=int(row["remote_id"]),
        total_amount=crediting.plain(row["amount"]),
        currency=row["currency"],
        # The day it was planned first: tomorrow it is still the same entry.
        on=row["planned_on"] or systems.now().date(),
    )
    reason = f"the refund is {row['state']}"
    key, order = row["refund_ref"], row["order_ref"]
    return Wanted(key, order, document, reason, row["amount"], row["currency"])


def plan_restocks(systems: Systems, kind: str, run_id: str | None) -> dict[str, int]:
    """Book the goods of every return whose units have a fate."""
    counts: dict[str, int] = {}
    thing = restocks(kind)
    for erp in systems.settings.erps_of(kind):
        with connected(systems.engine) as connection, one_at_a_time(connection, LOCK):
            after = ""
            while refs := _next(connection, _TO_RESTOCK.format(kind=kind), erp, after):
                after = refs[-1]
                found = list(_restocks(connection, systems, kind, erp, refs))
                _keep(connection, systems, thing, erp, found, run_id, counts)
    return counts


_TO_RESTOCK = """
select r.return_ref as key from core.returns r
join receipt.{kind}__sales_orders s on s.order_ref = r.order_ref and s.system = :erp
    and s.outcome = 'accepted'
where r.state in ('inspected', 'refunding', 'closed') and r.return_ref > :after
  and exists (select from core.return_lines l where l.return_ref = r.return_ref
    and l.line_ref is not null and l.received_units > 0)
  and not exists (select from receipt.{kind}__restocks b
    where b.key = r.return_ref and b.outcome = 'accepted')
order by r.return_ref limit :limit
"""


def _restocks(
    connection: Connection, systems: Systems, kind: str, erp: str, refs: Sequence[str]
) -> Iterator[Wanted]:
    rows = read_rows(connection, _RETURNS.format(kind=kind), erp=erp, refs=list(refs))
    policy = in_force(systems, connection)
    orders = sorted({row["order_ref"] for row in rows})
    found = {case.order_ref: case for case in cases.load(connection, systems, policy, orders)}
    for row in rows:
        one = found[row["order_ref"]].returns[row["return_ref"]]
        day = (row["received_at"] or row["state_at"]).date()
        document = crediting.restock(one, row["order_ref"], int(row["erp_order_id"]), day)
        if document is not None:
            yield Wanted(one.ref, row["order_ref"], document, "its units have a fate")


_RETURNS = """
select r.return_ref, r.order_ref, r.received_at, r.state_at, s.remote_id as erp_order_id
from core.returns r
join receipt.{kind}__sales_orders s on s.order_ref = r.order_ref and s.system = :erp
where r.return_ref = any(:refs) order by r.return_ref
"""
