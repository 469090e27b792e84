"""What is known of some orders, for shipping them: their lines, what left, what was given back, who
was asked. Read in a few statements for a whole chunk; what follows from it is decided elsewhere.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import ROUND_CEILING, Decimal

from sqlalchemy import Connection

from resources.settings import Settings
from resources.store.frames import read_rows
from sync_assets.domain.fulfilling import Moved, Progress, Request, SoldLine, progress
from sync_assets.domain.fulfilment import FulfilmentState
from sync_assets.domain.orders import Row
from sync_assets.domain.planning import ENDED

#: States of refunds that never took anything off an order.
VOID_REFUNDS = ("refused", "withdrawn", "reversed")


@dataclass
class OrderFacts:
    """One order, as far as shipping goes."""

    order: Row
    lines: list[SoldLine] = field(default_factory=list)
    moves: list[Moved] = field(default_factory=list)
    #: Units by line: given back in money without a return, and come back.
    refunded: dict[str, int] = field(default_factory=dict)
    returned: dict[str, int] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)
    #: Rows of its requests with what was answered, by fulfilment_ref.
    standing: dict[str, Row] = field(default_factory=dict)
    #: What the ERP answered for the order itself.
    receipt: Row | None = None
    is_held: bool = False
    held_requests: frozenset[str] = frozenset()

    @property
    def ref(self) -> str:
        """Our key."""
        return str(self.order["order_ref"])

    @property
    def is_ended(self) -> bool:
        """Whether nothing more of it shall be shipped."""
        return self.order["state"] in {*ENDED, "refunded"}

    def progress(self) -> list[Progress]:
        """How far each line has come."""
        return progress(
            self.lines,
            self.moves,
            self.refunded,
            self.returned,
            self.requests,
            is_ended=self.is_ended,
        )

    @property
    def is_accepted(self) -> bool:
        """Whether the ERP holds it."""
        return self.receipt is not None and self.receipt["outcome"] == "accepted"


def load(connection: Connection, settings: Settings, keys: Sequence[str]) -> list[OrderFacts]:
    """The facts of these orders, in the order of their keys; unknown ones are left out."""
    orders = read_rows(
        connection,
        "select * from core.orders where order_ref = any(:keys) order by order_ref",
        keys=list(keys),
    )
    found = {row["order_ref"]: OrderFacts(row) for row in orders}
    if found:
        _lines(connection, settings, found)
        _moves(connection, settings, found)
        _money(connection, found)
        _requests(connection, found)
        _receipts(connection, found)
        _holds(connection, found)
    return list(found.values())


def _erps(settings: Settings) -> dict[str, list[str]]:
    return {
        "stores": list(settings.stores),
        "erps": [store.erp for store in settings.stores.values()],
    }


def _lines(connection: Connection, settings: Settings, found: Mapping[str, OrderFacts]) -> None:
    """Product lines that are goods, with what is in a kit; services and downloads do not ship."""
    rows = read_rows(connection, _LINES, keys=list(found), **_erps(settings))
    for row in rows:
        units = int(Decimal(row["quantity"]).to_integral_value(ROUND_CEILING))
        parts = {sku: Decimal(each) for sku, each in (row["parts"] or {}).items()}
        found[row["order_ref"]].lines.append(SoldLine(row["line_ref"], row["sku"], units, parts))


_LINES = """
select l.order_ref, l.line_ref, l.sku, l.quantity, k.parts
from core.order_lines l
join core.orders o using (order_ref)
left join unnest(cast(:stores as text[]), cast(:erps as text[])) as s (store, erp)
    on s.store = o.store
left join lateral (
    select bool_or(not q.is_virtual and q.kind <> 'service' and (q.is_stocked or q.kind = 'kit'))
        as is_goods
    from core.products q where q.system = s.erp and lower(q.sku) = lower(l.sku)
) g on true
left join lateral (
    select jsonb_object_agg(c.component_sku, c.component_units::text) as parts
    from core.kit_components c
    where c.system = s.erp and lower(c.sku) = lower(l.sku) and c.component_sku is not null
) k on true
where l.order_ref = any(:keys) and l.kind = 'product' and l.sku is not null and l.quantity > 0
  and coalesce(g.is_goods, true)
order by l.order_ref, l.position, l.line_ref
"""


def _moves(connection: Connection, settings: Settings, found: Mapping[str, OrderFacts]) -> None:
    """What left, and what will not: an ERP plans another delivery for one that was called off."""
    rows = read_rows(
        connection,
        """
        select l.order_ref, l.line_ref, l.sku, l.units, l.shipment_ref, l.fulfilment_ref,
            l.is_cancelled, coalesce(p.state in ('delivered', 'returning', 'returned'), false)
                as is_delivered
        from core.shipment_lines l
        join core.shipments s using (shipment_ref)
        left join core.parcels p using (parcel_ref)
        where l.order_ref = any(:keys) and l.line_ref is not null
          and (s.state = 'shipped'
               or l.is_cancelled and (s.state <> 'cancelled' or s.system <> all(:erps)))
        order by l.shipment_ref, l.line_no
        """,
        keys=list(found),
        erps=list(settings.erps),
    )
    for row in rows:
        values = {name: row[name] for name in Moved.__dataclass_fields__}
        found[row["order_ref"]].moves.append(Moved(**values))


def _money(connection: Connection, found: Mapping[str, OrderFacts]) -> None:
    """Units given back without their return, and units that came back."""
    rows = read_rows(
        connection,
        """
        select r.order_ref, l.line_ref, sum(l.units) as units
        from core.refunds r join core.refund_lines l using (refund_ref)
        where r.order_ref = any(:keys) and r.return_ref is null and l.line_ref is not null
          and r.state <> all(:void) group by 1, 2
        """,
        keys=list(found),
        void=list(VOID_REFUNDS),
    )
    for row in rows:
        found[row["order_ref"]].refunded[row["line_ref"]] = int(row["units"])
    rows = read_rows(
        connection,
        "select r.order_ref, l.line_ref, sum(l.received_units) as units "
        "from core.returns r join core.return_lines l using (return_ref) "
        "where r.order_ref = any(:keys) and l.line_ref is not null group by 1, 2",
        keys=list(found),
    )
    for row in rows:
        found[row["order_ref"]].returned[row["line_ref"]] = int(row["units"])


def _requests(connection: Connection, found: Mapping[str, OrderFacts]) -> None:
    """Requests with their units, and what became of the last write about each."""
    rows = read_rows(connection, _REQUESTS, keys=list(found))
    for row in rows:
        facts = found[row["order_ref"]]
        units = {ref: int(count) for ref, count in (row["units"] or {}).items()}
        asked = {ref: int(count) for ref, count in row["asked"].items()} if row["asked"] else None
        state = FulfilmentState(row["state"])
        facts.requests.append(Request(row["fulfilment_ref"], row["location"], state, units, asked))
        facts.standing[row["fulfilment_ref"]] = row


_REQUESTS = """
select f.*, u.units, r.outcome, r.remote_state, r.remote_id, r.wanted_hash as answered_hash,
    r.answered_at, x.operation, x.state as write_state, x.error_class, x.error_text,
    coalesce(b.is_begun, false) as is_begun, a.asked
from core.fulfilment_orders f
left join lateral (
    select jsonb_object_agg(l.line_ref, l.units) as units
    from core.fulfilment_lines l where l.fulfilment_ref = f.fulfilment_ref
) u on true
left join receipt.fulfilment_orders r on r.system = f.system and r.key = f.fulfilment_ref
left join lateral (
    select x.operation, x.state, x.error_class, x.error_text from ops.outbox x
    where x.system = f.system and x.thing_ref = f.fulfilment_ref
      and x.state in ('waiting', 'leased', 'unknown', 'parked') order by x.id desc limit 1
) x on true
left join lateral (
    select bool_or(x.attempts > 0 and x.state <> 'refused') as is_begun from ops.outbox x
    where x.system = f.system and x.thing_ref = f.fulfilment_ref
) b on true
left join lateral (
    select jsonb_object_agg(l.line ->> 'key', l.line -> 'units') as asked
    from (
        select x.payload from ops.outbox x
        where x.system = f.system and x.thing_ref = f.fulfilment_ref and x.state = 'done'
          and x.operation in ('fulfilment.create', 'fulfilment.change')
        order by x.updated_at desc, x.id desc limit 1
    ) w
    cross join lateral jsonb_array_elements(w.payload -> 'lines') l (line)
) a on true
where f.order_ref = any(:keys)
order by f.order_ref, f.fulfilment_ref
"""


def _receipts(connection: Connection, found: Mapping[str, OrderFacts]) -> None:
    rows = read_rows(
        connection,
        "select order_ref, system, erp_kind, outcome, remote_id, remote_number, answered_at "
        "from receipt.sales_orders where order_ref = any(:keys)",
        keys=list(found),
    )
    for row in rows:
        found[row["order_ref"]].receipt = row


def _holds(connection: Connection, found: Mapping[str, OrderFacts]) -> None:
    """What an open exception keeps back: the whole order, or one request."""
    requests = {ref: facts.ref for facts in found.values() for ref in facts.standing}
    rows = read_rows(
        connection,
        "select distinct subject_ref from ops.exception where state = 'open' and blocks "
        "and subject_ref = any(:subjects)",
        subjects=[*found, *requests],
    )
    held = {row["subject_ref"] for row in rows}
    for facts in found.values():
        facts.is_held = facts.ref in held
        facts.held_requests = frozenset(ref for ref in facts.standing if ref in held)


def addresses(connection: Connection, keys: Sequence[str]) -> dict[str, Row]:
    """Where each order goes: its shipping address, or the billing one where it has none."""
    rows = read_rows(
        connection,
        "select * from core.order_addresses where order_ref = any(:keys) "
        "order by order_ref, role",  # billing first: the shipping address wins
        keys=list(keys),
    )
    found: dict[str, Row] = {}
    for row in rows:
        if row["role"] == "billing" or row["street"]:
            found[row["order_ref"]] = row
    return found


def shipping_methods(connection: Connection, keys: Sequence[str]) -> dict[str, str]:
    """What customers chose, in the shop's words."""
    rows = read_rows(
        connection,
        "select order_ref, string_agg(description, ', ' order by position) as method "
        "from core.order_lines where order_ref = any(:keys) and kind = 'shipping' group by 1",
        keys=list(keys),
    )
    return {row["order_ref"]: str(row["method"]) for row in rows}


def amounts(connection: Connection, keys: Sequence[str]) -> dict[str, Row]:
    """What each line is called and cost, by line_ref."""
    rows = read_rows(
        connection,
        "select line_ref, description, quantity, net_amount from core.order_lines "
        "where order_ref = any(:keys)",
        keys=list(keys),
    )
    return {row["line_ref"]: row for row in rows}


def free_units(
    connection: Connection, skus: Sequence[str], places: Sequence[str]
) -> dict[str, dict[str, int] | None]:
    """What each place has to give, by SKU in lower case; None where nobody tells its stock.

    What is on hand and sound, less what the source has promised or what we have asked the place to
    ship, whichever is more: the source knows of most of our requests, but not yet of all.
    """
    told = {
        row["location"]
        for row in read_rows(
            connection,
            "select distinct location from core.stock_levels where location = any(:places)",
            places=list(places),
        )
    }
    rows = read_rows(connection, _FREE, places=list(places), skus=[sku.lower() for sku in skus])
    found: dict[str, dict[str, int] | None] = {
        place: ({} if place in told else None) for place in places
    }
    for row in rows:
        held = found[row["location"]]
        if held is not None:
            held[row["sku"]] = int(row["units"])
    return found


_FREE = """
select v.location, lower(v.sku) as sku,
    sum(v.on_hand_units - v.quarantined_units - greatest(v.allocated_units, coalesce(q.units, 0)))
        as units
from core.stock_levels v
left join lateral (
    select sum(l.units * coalesce(k.component_units, 1)) as units
    from core.fulfilment_lines l
    join core.fulfilment_orders f using (fulfilment_ref)
    left join (
        select distinct lower(c.sku) as kit, c.component_units from core.kit_components c
        where lower(c.component_sku) = lower(v.sku)
    ) k on k.kit = lower(l.sku)
    where (lower(l.sku) = lower(v.sku) or k.kit is not null) and f.location = v.location
      and f.state in ('planned', 'held', 'released', 'acknowledged', 'part_shipped')
) q on true
where v.location = any(:places) and lower(v.sku) = any(:skus)
group by 1, 2
"""
