"""A small store for traces, made by hand: every table a trace reads, row by row.

Columns a test does not name have a value that fits; states move by steps, as the database demands.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, Engine, text

from resources.store.engine import connected
from resources.store.sagas import Step, take
from sync_assets.ops import tracing

#: What happens in the store happens from here on, by minutes.
START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
DAY = 24 * 60
Given = Mapping[str, Any]


def at(minutes: float) -> datetime:
    """A moment so many minutes after the start."""
    return START + timedelta(minutes=minutes)


_MONEY = {
    "net_amount": Decimal("31.80"),
    "shipping_amount": 0,
    "fee_amount": 0,
    "tax_amount": Decimal("2.31"),
}
_ORDER: Given = {
    **_MONEY,
    "state": "paid",
    "shop_status": "processing",
    "currency": "USD",
    "prices_include_tax": False,
    "placed_at": START,
    "paid_at": START,
    "changed_at": START,
    "payment_method": "stripe",
    "discount_amount": 0,
    "rounding_amount": 0,
    "total_amount": Decimal("34.11"),
    "refunded_amount": 0,
    "raw_version": 1,
}
_WRITTEN: Given = {"wanted_hash": "h", "core_version": 1, "run_id": "run-1"}
_RECEIPT: Given = {**_WRITTEN, "outcome": "accepted", "attempts": 1, "payload": None}
_OUTBOX: Given = {
    "wanted_hash": "h",
    "core_version": 1,
    "lane": 3,
    "state": "waiting",
    "attempts": 0,
    "correlation_id": "c-1",
}


@dataclass
class Traces:
    """The store, and the traces in it."""

    engine: Engine
    #: Steps taken so far move on from here.
    states: dict[str, str] = field(default_factory=dict)

    def put(self, table: str, **values: Any) -> None:
        """Insert one row."""
        with connected(self.engine) as connection:
            _insert(connection, table, values)

    def order(self, ref: str = "us:1042", **more: Any) -> None:
        """An order in core with two lines, and its address beside it."""
        store, _, order_id = ref.partition(":")
        number = more.pop("order_number", order_id)
        keys = {"order_ref": ref, "store": store, "order_id": order_id, "order_number": number}
        self.put("core.orders", **{**_ORDER, **keys, **more})
        for place, (sku, units) in enumerate((("TEA", 2), ("MUG", 1))):
            self._line(ref, place, sku, units)
        self.put("core.order_addresses", order_ref=ref, role="shipping", **ADDRESS)

    def _line(self, ref: str, place: int, sku: str, units: int) -> None:
        self.put(
            "core.order_lines",
            line_ref=f"{ref}:product:{place}",
            order_ref=ref,
            kind="product",
            position=place,
            sku=sku,
            description=sku.title(),
            quantity=units,
            currency="USD",
            subtotal_amount=15,
            net_amount=15,
            tax_amount=1,
        )

    def progress(self, ref: str = "us:1042", **units: int) -> None:
        """What the order's two lines have come to, in all on the first."""
        names = ("cancelled", "requested", "shipped", "delivered", "returned", "refunded")
        counts = {f"{name}_units": units.get(name, 0) for name in names}
        line = {"order_ref": ref, "line_ref": f"{ref}:product:0", "sku": "TEA"}
        ordered = units.get("ordered", 2)
        self.put("core.order_line_progress", **line, ordered_units=ordered, **counts)

    def version(self, table: str, source: str, name: str, minutes: float, **more: Any) -> None:
        """One raw version, with a payload that says where somebody lives."""
        values = {
            "source": source,
            "resource_id": name,
            "changed_at": at(minutes),
            "content_hash": b"x",
            "payload": '{"street": "1 Test Street"}',
            "via": "delta",
            "received_at": at(minutes),
            "run_id": "run-1",
            "mapped_at": at(minutes),
        }
        self.put(f"raw.{table}", **{**values, **more})

    def planned(self, table: str, system: str, key: str, minutes: float, **more: Any) -> None:
        """One row of a plan."""
        named = {} if table.endswith("sales_orders") else {"key": key}
        told = {"system": system, "planned_at": at(minutes)}
        wanted = {"action": "create", "reason": "it is due"}
        self.put(f"plan.{table}", **{**_WRITTEN, **told, **wanted, **named, **more})

    def accepted(self, ref: str = "us:1042", minutes: float = 3, **more: Any) -> None:
        """Plan and receipt of an order the ERP took."""
        money = {"order_ref": ref, "currency": "USD"}
        self.planned("odoo__sales_orders", "odoo", ref, minutes - 1, amount=34, **money)
        document = {"remote_id": 7, "remote_number": "S00007", "total_amount": Decimal("34.11")}
        told = {"system": "odoo", "answered_at": at(minutes)}
        values = {**_RECEIPT, **money, **document, **told, **more}
        self.put("receipt.odoo__sales_orders", **values)

    def answered(self, table: str, system: str, key: str, minutes: float, **more: Any) -> None:
        """One receipt of a thing that is written after the sale."""
        values = {**_RECEIPT, "system": system, "key": key, "answered_at": at(minutes)}
        self.put(f"receipt.{table}", **{**values, **more})

    def write(self, system: str, operation: str, key: str, minutes: float, **more: Any) -> None:
        """One write, waiting unless told otherwise."""
        when = {"created_at": at(minutes), "updated_at": at(minutes), "due_at": at(minutes)}
        named = {"system": system, "operation": operation, "thing_ref": key}
        key = f"{operation}:{key}"
        self.put("ops.outbox", **{**_OUTBOX, **when, **named, "business_key": key, **more})

    def exception(self, code: str, subject: str, minutes: float, **more: Any) -> int:
        """One exception; answers its id."""
        values: dict[str, Any] = {
            "code": code,
            "subject_kind": "order",
            "subject_ref": subject,
            "blocks": True,
            "message": "somebody must look",
            "owner_role": "finance",
            "can_release": False,
            "opened_at": at(minutes),
            "due_at": at(minutes + DAY),
        }
        self.put("ops.exception", **{**values, **more})
        with connected(self.engine) as connection:
            return int(connection.execute(text("select max(id) from ops.exception")).scalar_one())

    # Sagas

    def request(self, ref: str = "us:1042:f1", place: str = "north", minutes: float = 5) -> None:
        """A request to a warehouse, planned."""
        order_ref = ref.rpartition(":")[0]
        row = {
            "fulfilment_ref": ref,
            "order_ref": order_ref,
            "store": ref[:2],
            "location": place,
            "system": place,
            "release_at": at(minutes + 15),
            "planned_at": at(minutes),
            "reason": "the nearest",
            "core_version": 1,
        }
        self.begin("fulfilment", "core.fulfilment_orders", ref, "planned", minutes, row)
        line = {"line_ref": f"{order_ref}:product:0", "order_ref": order_ref, "sku": "TEA"}
        self.put("core.fulfilment_lines", fulfilment_ref=ref, units=2, **line)

    def returned(self, ref: str = "us:1042:r1", minutes: float = DAY, **more: Any) -> None:
        """A return of two units that was asked for."""
        order_ref = ref.rpartition(":")[0]
        row = {
            "return_ref": ref,
            "order_ref": order_ref,
            "store": ref[:2],
            "source": "request",
            "reason": "Ada says it is too small",
            "is_exchange": False,
            "location": "north",
            "requested_at": at(minutes),
            **more,
        }
        self.begin("return", "core.returns", ref, "requested", minutes, row)
        arrived = 2 if more.get("received_at") else 0
        self.put(
            "core.return_lines",
            return_ref=ref,
            line_no=0,
            sku="TEA",
            requested_units=2,
            received_units=arrived,
            restock_units=arrived // 2,
            refurbish_units=0,
            write_off_units=arrived // 2,
        )

    def refund(self, ref: str = "us:881", minutes: float = DAY, **more: Any) -> None:
        """A refund of 10.00 that was asked for."""
        row = {
            "refund_ref": ref,
            "order_ref": "us:1042",
            "store": "us",
            "source": "shop_refund",
            "method": "gateway",
            "currency": "USD",
            "amount": 10,
            "net_amount": 9,
            "shipping_amount": 0,
            "fee_amount": 0,
            "tax_amount": 1,
            "unassigned_amount": 0,
            "reason": "Ada asked kindly",
            "refunded_at": at(minutes),
            **more,
        }
        self.begin("refund", "core.refunds", ref, "requested", minutes, row)

    def begin(
        self, saga: str, table: str, ref: str, state: str, minutes: float, row: Given
    ) -> None:
        """Insert the subject of a saga with its first step, as one transaction must."""
        with connected(self.engine) as connection:
            _insert(connection, table, row)
            _step(
                connection, Step(saga, ref, "", state, "pipeline", "it begins", "a fact"), minutes
            )
        self.states[ref] = state

    def steps(self, saga: str, ref: str, minutes: float, *states: str, actor: str = "") -> None:
        """Take steps of a saga, a minute apart."""
        with connected(self.engine) as connection:
            for place, state in enumerate(states):
                step = Step(
                    *(saga, ref, self.states[ref], state),
                    *(actor or "pipeline", f"now {state}", "a fact"),
                )
                _step(connection, step, minutes + place)
                self.states[ref] = state

    # Goods

    def shipment(
        self,
        ref: str = "north:5512",
        minutes: float = 60,
        tracking: str | None = "1Z 999",
        orders: tuple[str | None, ...] = ("us:1042",),
        **more: Any,
    ) -> None:
        """A shipment of two units for each order, in one parcel."""
        system, _, name = ref.partition(":")
        values = {
            "shipment_ref": ref,
            "system": system,
            "remote_number": f"OUT/{name}",
            "location": system,
            "state": "shipped",
            "shipped_at": at(minutes),
            "carrier": "ups",
            "carrier_words": "UPS",
            "changed_at": at(minutes),
            "raw_version": 1,
        }
        self.put("core.shipments", **{**values, **more})
        parcel = f"parcel:{tracking.replace(' ', '').upper()}" if tracking else None
        if parcel:
            self.parcel(parcel, tracking)
        for place, order_ref in enumerate(orders):
            self.put(
                "core.shipment_lines",
                shipment_ref=ref,
                line_no=place,
                order_ref=order_ref,
                sku="TEA",
                units=2,
                is_cancelled=False,
                parcel_ref=parcel,
            )

    def parcel(self, ref: str, tracking: str | None, **more: Any) -> None:
        """A parcel nobody said anything about."""
        link = "https://carrier.test/?postcode=90001"
        values = {"carrier_words": "UPS", "carrier": "ups", "tracking_url": link}
        state = {"state": "unknown", "is_return": False}
        row = {"parcel_ref": ref, "tracking_number": tracking}
        self.put("core.parcels", **{**values, **state, **row, **more})

    def tracked(self, parcel: str, minutes: float, state: str, words: str, **more: Any) -> None:
        """Something a carrier said, and the parcel where it then is."""
        values = {
            "event_ref": f"{parcel}{minutes}",
            "parcel_ref": parcel,
            "carrier": "ups",
            "tracking_number": "1Z 999",
            "state": state,
            "is_known": True,
            "words": words,
            "happened_at": at(minutes),
            "has_zone": True,
            "place": "Springfield",
            "told_by": "easypost",
        }
        self.put("core.tracking_events", **{**values, **more})
        with connected(self.engine) as connection:
            connection.execute(
                text("update core.parcels set state = :s, state_at = :at where parcel_ref = :p"),
                {"s": state, "at": at(minutes), "p": parcel},
            )

    # Traces

    def trace(self, reference: str, minutes: float = 2 * DAY, **more: Any) -> dict[str, Any]:
        """What a trace at that moment tells."""
        with connected(self.engine) as connection:
            return tracing.trace(connection, reference, at(minutes), **more)

    def orders(self, reference: str) -> list[str]:
        """The orders behind a reference."""
        return [one["order_ref"] for one in self.trace(reference)["found"]]

    def life(self, reference: str = "us:1042", minutes: float = 2 * DAY) -> dict[str, Any]:
        """The one order behind a reference."""
        (found,) = self.trace(reference, minutes)["found"]
        return dict(found)

    def story(self, reference: str = "us:1042") -> list[tuple[int, str, str, str]]:
        """What happened: minutes after the start, noun, layer, what."""
        return [
            (
                *(int((one["at"] - START).total_seconds() // 60), one["about"], one["layer"]),
                one["what"],
            )
            for one in self.life(reference)["events"]
        ]


ADDRESS: Given = {
    "first_name": "Ada",
    "last_name": "Byron",
    "company": "",
    "street": "1 Test Street",
    "street2": "",
    "city": "Testville",
    "region": "CA",
    "postcode": "90001",
    "country": "US",
    "email": "ada@example.com",
    "phone": "",
}


def _insert(connection: Connection, table: str, values: Given) -> None:
    names = ", ".join(values)
    holes = ", ".join(f":{name}" for name in values)
    connection.execute(text(f"insert into {table} ({names}) values ({holes})"), dict(values))


def _step(connection: Connection, step: Step, minutes: float) -> None:
    take(connection, [step], at(minutes), "run-1")
