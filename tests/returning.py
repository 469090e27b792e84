"""The steps after the sale on the small world, as plain calls, and what our tables say of them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from sqlalchemy import text

from resources import settings
from resources.store import inbox, raw, stale
from resources.store.engine import connected
from sync_assets.returns import goods, planning, requests, sending, verdicts
from sync_assets.returns.assets import bring_up
from sync_assets.returns.refunds import read
from tests.worlds import World

ENDPOINTS = {
    "portal": {"scheme": "hmac", "secrets": ["a secret"]},
    "stripe": {"scheme": "stripe", "secrets": ["another"]},
}
#: Agrees to everything and pays at once; other words of a test are added.
WILLING = "version: 1\ndefault:\n  auto_approve: true\n  refund_method: gateway\n"


def after_sale(world: World, folder: Path, **store: Any) -> "AfterSale":
    """The small world with its senders, and a policy file that is not there yet.

    `store` says what both stores have otherwise; the policy is looked for beside SYNC_CONFIG, which
    the test points into the folder.
    """
    said = world.systems.settings.model_dump(mode="python", exclude_unset=True)
    for one in said["stores"].values():
        one |= store
    said["webhooks"] = {**said.get("webhooks", {}), **ENDPOINTS}
    said["erps"]["odoo"]["quarantine_places"] = ["Returns"]
    world.systems.settings = settings.Settings.model_validate(said)
    (folder / "policies").mkdir(exist_ok=True)
    (folder / "sync.toml").write_text("")
    return AfterSale(world, folder / "policies" / "returns.yaml")


@dataclass
class AfterSale:
    """What a test does after the sale."""

    world: World
    policy: Path
    sent: dict[str, Any] = field(default_factory=dict)
    #: What a test found on the shelf before anything came back.
    on_shelf: int = 0

    def rule(self, words: str) -> None:
        """Put a policy in force."""
        self.policy.write_text(words)

    # What the shipments' side would say

    def ship(self, order: str, units: Mapping[str, int] | None = None) -> None:
        """Let units of an order have left, by SKU; all of them where none are named."""
        self.world.erp.ship(order, units)
        self.world.execute(
            """
            insert into core.order_line_progress (order_ref, line_ref, sku, ordered_units,
                cancelled_units, requested_units, shipped_units, delivered_units, returned_units,
                refunded_units)
            select order_ref, line_ref, sku, quantity::int, 0, quantity::int,
                coalesce((cast(:units as jsonb) ->> sku)::int,
                    case when cast(:units as jsonb) is null then quantity::int else 0 end), 0, 0, 0
            from core.order_lines where order_ref = :order and kind = 'product'
            on conflict (order_ref, line_ref) do update
            set shipped_units = excluded.shipped_units
            """,
            order=order,
            units=None if units is None else json.dumps(dict(units)),
        )
        self.look(order)

    def parcel(self, order: str, state: str, *, number: str = "1Z999", is_return: bool) -> None:
        """Let a parcel of an order come to a state; an outbound one holds all its units."""
        ref = f"parcel:{number}"
        with connected(self.world.systems.engine) as connection:
            connection.execute(
                text(
                    "insert into core.parcels (parcel_ref, tracking_number, carrier, "
                    "carrier_words, state, is_return) values (:ref, :number, 'ups', 'UPS', "
                    "'unknown', :back) on conflict do nothing"
                ),
                {"ref": ref, "number": number, "back": is_return},
            )
            if not is_return:
                connection.execute(text(_SHIPMENT), {"order": order, "ref": ref, "n": number})
            connection.execute(
                text("update core.parcels set state = :state where parcel_ref = :ref"),
                {"state": state, "ref": ref},
            )
        self.look(order)

    def look(self, order: str) -> None:
        """Let an order be looked at again."""
        with connected(self.world.systems.engine) as connection:
            stale.mark(connection, "after_sale", [order], self.world.clock())

    # What others say

    def ask(self, **said: Any) -> None:
        """Let a sender we know ask for a return; `body` says it word for word."""
        body = said.pop("body", None) or json.dumps(said).encode()
        self.deliver("hmac", "portal", "return.requested", body)

    def deliver(self, scheme: str, endpoint: str, topic: str, body: bytes) -> None:
        """Let a signed delivery have arrived."""
        one = inbox.Delivery(
            scheme, endpoint, topic, None, body, "c", self.world.clock(), signature="valid"
        )
        with connected(self.world.systems.engine) as connection:
            inbox.append(connection, [one])

    def stripe(
        self,
        status: str,
        *,
        refund: str = "re_1",
        amount: int,
        charge: str = "ch_1",
        currency: str = "usd",
        at: int | None = None,
        **more: Any,
    ) -> None:
        """Let Stripe say what became of a refund, now or at a second of its clock."""
        thing = {
            "id": refund,
            "object": "refund",
            "status": status,
            "amount": amount,
            "currency": currency,
            "charge": charge,
            "metadata": {},
            **more,
        }
        moment = int(self.world.clock().timestamp()) if at is None else at
        event = {"type": "refund.updated", "created": moment, "data": {"object": thing}}
        self.deliver("stripe", "stripe", "refund.updated", json.dumps(event).encode())

    def warehouse(
        self, number: str, state: str, lines: Sequence[Mapping[str, Any]], **more: Any
    ) -> None:
        """Let a warehouse of our own contract tell of goods that came back."""
        now = self.world.clock()
        body = {
            "id": number,
            "number": number,
            "state": state,
            "changed_at": now.isoformat(),
            "received_at": now.isoformat() if state in ("received", "inspected") else None,
            "reference": None,
            "warehouse": "north",
            "lines": list(lines),
            **more,
        }
        one = raw.Said(number, now, json.dumps(body))
        with connected(self.world.systems.engine) as connection:
            raw.append(connection, "http__returns", [one], raw.Reading("north", "delta", now))

    # What the pipeline does

    def core(self) -> Mapping[str, Any]:
        """Read the shops' refunds and bring the core tables up."""
        for store in self.world.shops:
            read(self.world.systems, store, "run")
        systems = self.world.systems
        requests.read(systems, "portal", "run")
        verdicts.read(systems, "stripe", "run")
        for name in goods.sources(systems.settings):
            goods.read(systems, name, "run")
        goods.map_goods(systems, "http", "run")
        return bring_up(systems, "run")

    def plan(self) -> None:
        """Plan for every store and ERP."""
        systems = self.world.systems
        for store in self.world.shops:
            planning.plan_refunds(systems, store, "run")
            planning.plan_exchanges(systems, store, "run")
        for plan in (planning.plan_memos, planning.plan_reversals, planning.plan_restocks):
            plan(systems, "odoo", "run")

    def send(self) -> None:
        """Send what is due, to shops and ERP."""
        self.send_to_shops()
        systems = self.world.systems
        for one in (sending.credit_memos, sending.credit_reversals, sending.restocks):
            self.sent[one.__name__] = one(systems, "odoo", "odoo", "run")

    def send_to_shops(self) -> None:
        """Send what is due to shops alone."""
        systems = self.world.systems
        for store in systems.settings.publishing("refunds"):
            self.sent[f"refunds {store}"] = sending.refunds(systems, store, "run")
            self.sent[f"exchanges {store}"] = sending.exchanges(systems, store, "run")

    def run(self, times: int = 1) -> None:
        """Do whole runs: orders first, then what follows after the sale."""
        for _ in range(times):
            self.world.run()
            self.core()
            self.plan()
            self.send()
            self.core()
            self.world.clock.forward(minutes=1)

    # What our tables say

    def refunds(self) -> dict[str, str]:
        """Refunds and where they stand."""
        rows = self.world.rows("select refund_ref, state from core.refunds order by 1")
        return {row["refund_ref"]: row["state"] for row in rows}

    def returns(self) -> dict[str, str]:
        """Returns and where they stand."""
        rows = self.world.rows("select return_ref, state from core.returns order by 1")
        return {row["return_ref"]: row["state"] for row in rows}

    def refund(self, ref: str) -> dict[str, Any]:
        """One refund."""
        (row,) = self.world.rows("select * from core.refunds where refund_ref = :r", r=ref)
        return row

    def steps(self, ref: str) -> list[tuple[str, str]]:
        """Steps of a saga: where to, and who."""
        query = "select to_state, actor from core.saga_steps where subject_ref = :r order by id"
        return [(row["to_state"], row["actor"]) for row in self.world.rows(query, r=ref)]

    def on_hand(self, sku: str, warehouse: str = "US1") -> int:
        """Units for sale that the ERP has of an article."""
        with self.world.systems.erp("odoo") as erp:
            (page,) = erp.stock_levels([warehouse], [self.world.erp.item(sku)])
        return int(page[0]["on_hand"]) - int(page[0]["quarantined"])

    def codes(self) -> dict[str, set[str]]:
        """Codes of what is open after the sale, by subject."""
        found: dict[str, set[str]] = {}
        query = "select subject_ref, code from ops.exception where state = 'open'"
        for row in self.world.rows(query):
            found.setdefault(row["subject_ref"], set()).add(row["code"])
        return found

    def memos(self) -> dict[str, tuple[str, Decimal]]:
        """Credit memos by refund: what the ERP answered."""
        rows = self.world.rows("select * from receipt.credit_memos where outcome = 'accepted'")
        return {row["key"]: (row["remote_state"], row["amount"]) for row in rows}


_SHIPMENT = """
with made as (
    insert into core.shipments (shipment_ref, system, state, shipped_at, carrier_words, changed_at,
        raw_version)
    values ('test:' || :n, 'test', 'shipped', now(), 'UPS', now(), 1)
    on conflict do nothing returning shipment_ref
)
insert into core.shipment_lines (shipment_ref, line_no, order_ref, line_ref, sku, units,
    parcel_ref, is_cancelled)
select made.shipment_ref, l.position, l.order_ref, l.line_ref, l.sku, l.quantity::int, :ref, false
from made, core.order_lines l where l.order_ref = :order and l.kind = 'product'
"""
