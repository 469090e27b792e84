"""What happened to what was written: raw versions, changes, plans, writes, receipts, steps, people.

These layers have one shape for every noun. What goods and money went through themselves is in
`trace_goods.py`.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from resources.store.frames import read_rows
from sync_assets.ops.trace_things import MONEY, ORDERS, RETURNS, SHIPMENTS, Row, Things

Event = dict[str, Any]
#: What is planned and written, by the view of its tables: its name for people, and its noun.
WRITTEN = {
    "sales_orders": ("sales order", ORDERS),
    "fulfilment_orders": ("request", SHIPMENTS),
    "deliveries": ("delivery", SHIPMENTS),
    "notices": ("shipping notice", SHIPMENTS),
    "completions": ("completion", SHIPMENTS),
    "exchanges": ("exchange order", RETURNS),
    "restocks": ("restock", RETURNS),
    "refunds": ("refund", MONEY),
    "credit_memos": ("credit memo", MONEY),
    "credit_reversals": ("credit reversal", MONEY),
}
#: The first word of a write's operation, where it says more than the key of its thing.
_OPERATIONS = {
    "sales_order": ORDERS,
    "fulfilment": SHIPMENTS,
    "delivery": SHIPMENTS,
    "notice": SHIPMENTS,
    "completion": SHIPMENTS,
    "exchange": RETURNS,
    "restock": RETURNS,
    "refund": MONEY,
    "credit_memo": MONEY,
    "credit_reversal": MONEY,
}
_SAGAS = {"fulfilment": SHIPMENTS, "return": RETURNS, "refund": MONEY}


def event(
    order_ref: str, at: datetime, noun: str, layer: str, system: str | None, what: str, row: Row
) -> Event:
    """One thing that happened; the ids of run and correlation are the row's."""
    return {
        "order_ref": order_ref,
        "at": at,
        "about": noun,
        "layer": layer,
        "system": system,
        "what": what,
        "run_id": row.get("run_id"),
        "correlation_id": row.get("correlation_id"),
    }


# ---------------------------------------------------------------- raw


#: Raw tables by the noun whose versions they hold.
RAW = {
    "order": ("woocommerce__orders",),
    "refund": ("woocommerce__refunds",),
    "request": ("files__acknowledgements",),
    "shipment": tuple(
        f"{kind}__shipments" for kind in ("files", "http", "shipbob", "odoo", "tryton")
    ),
    "return": tuple(
        f"{kind}__returns" for kind in ("files", "http", "shipbob", "odoo", "tryton", "requests")
    ),
    "parcel": ("easypost__trackers", "carriers__trackings"),
}


def raw_versions(connection: Connection, things: Things) -> list[Row]:
    """What systems said of these things, version by version, without the words themselves."""
    wanted = _said_by_others(things)
    nouns = sorted({noun for noun, _, _ in wanted})
    if not nouns:
        return []
    values = {}
    for noun in nouns:
        pairs = sorted(pair[1:] for pair in wanted if pair[0] == noun)
        values[f"{noun}_sources"] = [source for source, _ in pairs]
        values[f"{noun}_ids"] = [name for _, name in pairs]
    return [
        {**row, "order_ref": order_ref}
        for row in read_rows(connection, _raw_query(nouns), **values)
        for order_ref in sorted(wanted[row["noun"], row["source"], row["resource_id"]])
    ]


def _raw_query(nouns: Sequence[str]) -> str:
    """Over the tables of these nouns only: planning the others would cost more than reading."""
    parts = [
        f"select '{noun}' as noun, r.source, r.resource_id, r.version, r.via, "  # noqa: S608
        "r.changed_at, r.received_at as at, r.mapped_at, r.run_id, r.correlation_id "
        f"from unnest(cast(:{noun}_sources as text[]), cast(:{noun}_ids as text[])) "
        f"w (source, resource_id) join raw.{table} r using (source, resource_id)"
        for noun in nouns
        for table in RAW[noun]
    ]
    return f"select * from ({' union all '.join(parts)}) r order by at, version"  # noqa: S608


def _said_by_others(things: Things) -> dict[tuple[str, str, str], set[str]]:
    """Noun, source and id there of everything that may have been read, to its orders."""
    found: dict[tuple[str, str, str], set[str]] = {}

    def add(noun: str, source: str, name: str | None, order_ref: str) -> None:
        if source and name:
            found.setdefault((noun, source, name), set()).add(order_ref)

    for ref in things.order_refs:
        store, _, name = ref.partition(":")
        add("order", store, name, ref)
    for row in things.requests:
        add("request", row["system"], row["fulfilment_ref"], row["order_ref"])
    for row in things.shipped:
        name = row["shipment_ref"].removeprefix(f"{row['system']}:")
        add("shipment", row["system"], name, row["order_ref"])
    for row in things.refunds:
        add("refund", row["store"], row["shop_refund_id"], row["order_ref"])
    for row in things.returns:
        source, _, name = (row["sender_ref"] or "").partition(":")
        add("return", source, name, row["order_ref"])
    for row, order_ref, _ in things.owned(things.references, "our_ref"):
        if row["remote_kind"] in _REMOTE_KINDS:
            noun = _REMOTE_KINDS[row["remote_kind"]]
            add(noun, row["system"], row["remote_id"], order_ref)
    for row, order_ref, _ in things.owned(things.tracking, "parcel_ref"):
        add("parcel", row["told_by"], row["tracking_number"], order_ref)
    return found


#: What the identity map calls things that are read whole.
_REMOTE_KINDS = {"return": "return", "tracker": "parcel"}
_NOUN_OF_RAW = {"order": ORDERS, "refund": MONEY, "return": RETURNS}


def raw_events(versions: list[Row]) -> Iterator[Event]:
    """Each version, with the time at which the thing changed over there."""
    for row in versions:
        noun = _NOUN_OF_RAW.get(row["noun"], SHIPMENTS)
        what = f"version {row['version']} via {row['via']}, changed in the shop "
        if row["noun"] != "order":
            what = (
                f"{row['noun']} {row['resource_id']}: version {row['version']} via {row['via']}, "
                "changed there "
            )
        what += f"{row['changed_at']:%Y-%m-%d %H:%M:%S} UTC"
        yield event(row["order_ref"], row["at"], noun, "raw", row["source"], what, row)


# ---------------------------------------------------------------- core, plan, outbox, receipt


def change_events(connection: Connection, things: Things) -> Iterator[Event]:
    """What changed between two versions of an order; of an address only that it did."""
    rows = read_rows(
        connection,
        "select * from core.order_changes where order_ref = any(:orders) "
        "order by changed_at, raw_version, field",
        orders=things.order_refs,
    )
    for row in rows:
        what = f"{row['field']}: {row['before'] or 'nothing'} → {row['after'] or 'nothing'}"
        store = row["order_ref"].partition(":")[0]
        yield event(row["order_ref"], row["changed_at"], ORDERS, "core", store, what, row)


def _over(schema: str, columns: str, where: str) -> str:
    """A query over the tables of everything that is written; sales orders have no key of theirs."""
    parts = []
    for thing in WRITTEN:
        key = "order_ref" if thing == "sales_orders" else "key"
        found = where if key == "key" else "order_ref = any(:orders)"
        parts.append(
            f"select '{thing}' as thing, system, {key} as key, "  # noqa: S608
            f"order_ref, run_id, {columns} "
            f"from {schema}.{thing} where {found}"
        )
    return " union all ".join(parts)


_PLANS = f"""
select * from ({_over("plan", "action, reason, planned_at as at", "order_ref = any(:orders)")}) p
order by at, thing, system, key
"""  # noqa: S608

#: Not every document names its order, but its key always does.
_ANSWERS = _over(
    "receipt",
    "outcome, remote_number, remote_id::text as remote_id, payload ->> 'journal' as journal, "
    "answered_at as at, correlation_id",
    "order_ref = any(:orders) or key = any(:keys)",
)
_RECEIPTS = f"select * from ({_ANSWERS}) r order by at, thing, system, key"  # noqa: S608


def plan_events(connection: Connection, things: Things) -> Iterator[Event]:
    """What was to be done in other systems, and why."""
    for row in read_rows(connection, _PLANS, orders=things.order_refs):
        name, noun = WRITTEN[row["thing"]]
        what = f"{row['action']} in {row['system']}: {row['reason']}"
        if row["thing"] != "sales_orders":
            what = f"{name} {row['key']}: {what}"
        yield event(row["order_ref"], row["at"], noun, "plan", row["system"], what, row)


def receipt_events(connection: Connection, things: Things) -> Iterator[Event]:
    """What other systems answered, with their documents' numbers and journal entries."""
    rows = read_rows(connection, _RECEIPTS, orders=things.order_refs, keys=things.keys)
    for row in rows:
        name, noun = WRITTEN[row["thing"]]
        number = row["remote_number"] or row["remote_id"] or "nothing"
        what = f"{row['outcome']} by {row['system']} as {number}"
        if row["thing"] != "sales_orders":
            what = f"{name} {row['key']} {what}"
        if row["journal"]:
            what += f", journal entry {row['journal']}"
        owners = things.owners.get(row["key"]) or {row["order_ref"]: noun}
        for order_ref in owners:
            yield event(order_ref, row["at"], noun, "receipt", row["system"], what, row)


def writes(connection: Connection, things: Things) -> list[Row]:
    """Every write about these things, whatever became of it."""
    return read_rows(connection, _WRITES, keys=things.keys)


_WRITES = """
select thing_ref, system, operation, state, attempts, error_class, error_text, created_at, due_at,
       correlation_id
from ops.outbox where thing_ref = any(:keys) order by created_at, id
"""


def write_events(things: Things, rows: list[Row]) -> Iterator[Event]:
    """Each write with where it stands now."""
    for row, order_ref, noun in things.owned(rows, "thing_ref"):
        of = "" if row["thing_ref"] == order_ref else f" of {row['thing_ref']}"
        tries = "1 attempt" if row["attempts"] == 1 else f"{row['attempts']} attempts"
        what = f"{row['operation']}{of} to {row['system']}: {row['state']}, {tries}"
        if row["error_text"]:
            what += f", {row['error_text']}"
        told = _OPERATIONS.get(row["operation"].partition(".")[0], noun)
        yield event(order_ref, row["created_at"], told, "outbox", row["system"], what, row)


# ---------------------------------------------------------------- steps and people


def step_events(connection: Connection, things: Things) -> Iterator[Event]:
    """Steps of requests, returns and refunds: who took them, why, and what they follow from."""
    rows = read_rows(
        connection,
        "select * from core.saga_steps where subject_ref = any(:keys) order by id",
        keys=things.keys,
    )
    for row, order_ref, noun in things.owned(rows, "subject_ref"):
        what = (
            f"{row['saga']} {row['subject_ref']}: {row['from_state'] or 'nothing'} → "
            f"{row['to_state']} by {row['actor']}: {row['reason']} ({row['cause']})"
        )
        told = _SAGAS.get(row["saga"], noun)
        yield event(order_ref, row["at"], told, "saga", row["actor"], what, row)


def exceptions(connection: Connection, things: Things) -> list[Row]:
    """Why people had, or have, to act about these things."""
    return read_rows(
        connection,
        "select id, subject_ref, code, state, message, owner_role, blocks, opened_at, run_id "
        "from ops.exception where subject_ref = any(:keys) order by opened_at, id",
        keys=things.keys,
    )


def exception_events(things: Things, rows: list[Row]) -> Iterator[Event]:
    """Each exception with whether it is still open."""
    for row, order_ref, noun in things.owned(rows, "subject_ref"):
        of = "" if row["subject_ref"] == order_ref else f" of {row['subject_ref']}"
        what = f"{row['code']}{of} ({row['state']}): {row['message']}"
        yield event(order_ref, row["opened_at"], noun, "exception", row["owner_role"], what, row)


def audit_events(connection: Connection, things: Things) -> Iterator[Event]:
    """What people did, with the note they left."""
    rows = read_rows(
        connection,
        "select subject_ref, at, actor, action, detail ->> 'note' as note "
        "from ops.audit where subject_ref = any(:keys) order by id",
        keys=things.keys,
    )
    for row, order_ref, noun in things.owned(rows, "subject_ref"):
        of = "" if row["subject_ref"] == order_ref else f" of {row['subject_ref']}"
        note = f": {row['note']}" if row["note"] else ""
        what = f"{row['action']}{of} by {row['actor']}{note}"
        yield event(order_ref, row["at"], noun, "audit", row["actor"], what, row)
