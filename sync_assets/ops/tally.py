"""What a surge came to: every order counted on both sides, every wait measured.

The ERP is asked what it holds, not what we think it holds; what we know is read from our tables.
"""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any

from resources.sandbox.shop_order import ShopOrder
from resources.sandbox.surge import Surge
from resources.sandbox.timeline import Timeline
from resources.store import postgres
from resources.store.engine import connected
from resources.store.frames import read_rows
from sync_assets.ops.simulation import ERP
from sync_assets.ops.surge import Conditions, Depth, Say, Stage, counting
from sync_assets.ops.traffic import PROVIDER, SHOP, waits

#: The shop's words for orders that belong in the ERP.
SENT = ("processing", "completed")
MOST_KEYS = 20


@dataclass(frozen=True)
class Outcome:
    """Numbers, what they were counted from, and the keys of what went wrong."""

    numbers: dict[str, Any]
    depths: list[Depth]
    #: Orders of the surge before its maintenance that the ERP did not know, sorted.
    unknown: list[int]
    wrong: dict[str, list[str]]


def share(values: Sequence[float], part: float) -> float:
    """The value below which a part of sorted values lies."""
    return round(values[min(len(values) - 1, int(len(values) * part))], 1) if values else 0.0


def play(
    surge: Surge,
    baskets: Sequence[ShopOrder],
    place: postgres.Databases,
    given: Conditions,
    say: Say = lambda line: None,
) -> Outcome:
    """Let a surge happen on an empty database, wait until all is done, and count."""
    with counting() as retries, Timeline(surge.start) as timeline:
        stage = Stage(surge, baskets, place, given, timeline)
        try:
            stage.play(say)
            return Tally(stage).outcome(retries.count)
        finally:
            stage.close()


class Tally:
    """The orders of a stage that is over."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        placed = stage.simulation.placed
        self.wanted = {ref: order for ref, order in placed.items() if order.status in SENT}
        self.in_erp = stage.erp.orders_by_ref()
        self.confirmed = {
            ref for ref, rows in self.in_erp.items() if any(row["state"] == "sale" for row in rows)
        }
        self.known_at: dict[str, datetime] = {
            row["order_ref"]: row["answered_at"] for row in self._rows(_ACCEPTED)
        }
        missing = [r for r in self.wanted if r not in self.confirmed or r not in self.known_at]
        blocked = {row["ref"] for row in self._rows(_BLOCKED)}
        #: Waiting for a person because of what was planted in them; nothing else may wait.
        self.held = {ref for ref in missing if ref in blocked and self.wanted[ref].defects}
        self.lost = sorted(set(missing) - self.held)
        self.flagged = {row["ref"] for row in self._rows(_FLAGGED)}
        self.short = self._short()

    def outcome(self, retries: int) -> Outcome:
        """All that can be told."""
        stage = self.stage
        silent = sorted(self.short.keys() - self.flagged)
        numbers = {
            **self._orders(silent),
            **self._waits(),
            **self._calls(retries),
            **(self._lanes() if stage.given.has_traffic else {}),
        }
        wrong = {
            "lost": [f"{ref}: {self._said_of(ref)}" for ref in self.lost[:MOST_KEYS]],
            "doubled": sorted(r for r, rows in self.in_erp.items() if len(rows) > 1)[:MOST_KEYS],
            "oversold": silent[:MOST_KEYS],
        }
        return Outcome(numbers, stage.depths, self._unknown(), wrong)

    def _rows(self, query: str, **values: Any) -> list[dict[str, Any]]:
        with connected(self.stage.engine) as connection:
            return read_rows(connection, query, **values)

    def _orders(self, silent: Sequence[str]) -> dict[str, Any]:
        return {
            "orders": len(self.stage.simulation.placed),
            "wanted": len(self.wanted),
            "accepted": len(self.confirmed & self.wanted.keys()),
            "held": len(self.held),
            "lost": len(self.lost),
            "doubled": sum(len(rows) - 1 for rows in self.in_erp.values()),
            "unwanted": len(self.in_erp.keys() - self.wanted.keys()),
            "oversold": int(sum(self.short[ref] for ref in silent)),
            "short_units": int(sum(self.short.values())),
            "flagged": len(self.flagged),
        }

    def _waits(self) -> dict[str, Any]:
        after = {
            ref: (self.known_at[ref] - order.placed_at).total_seconds()
            for ref, order in self.wanted.items()
            if ref in self.known_at
        }
        every = sorted(after.values())
        calm = sorted(s for ref, s in after.items() if self._is_calm(self.wanted[ref].placed_at))
        ends, opens = self.stage.surge.ends_at, self.stage.maintenance[1]
        return {
            "p50_seconds": share(every, 0.50),
            "p95_seconds": share(every, 0.95),
            "most_seconds": share(every, 1.0),
            "calm_p95_seconds": share(calm, 0.95),
            "drain_seconds": self._caught_up(ends),
            "recovery_seconds": self._caught_up(opens),
            "most_inbox": max(depth.inbox for depth in self.stage.depths),
            "most_outbox": max(depth.outbox for depth in self.stage.depths),
            "unknown_most": max(self._unknown(), default=0),
            "unknown_p95": int(share(self._unknown(), 0.95)),
        }

    def _calls(self, retries: int) -> dict[str, Any]:
        stage = self.stage
        seen, opened = stage.erp_gateway.seen, [depth.openings for depth in stage.depths]
        return {
            "erp_calls": sum(seen.values()),
            "too_many_calls": seen["crowded"] + seen["throttled"],
            "too_many_at_once": seen["crowded"],
            "too_many_a_minute": seen["throttled"],
            "most_calls_at_once": stage.erp_gateway.most_under_way,
            "refused_in_maintenance": seen["closed"],
            "answers_lost": seen["cut"],
            "retries": retries,
            "writes_tried_again": self._rows(_TRIED_AGAIN, erp=ERP)[0]["tries"],
            "breaker_openings": sum(max(0, b - a) for a, b in pairwise([0, *opened])),
            "runs": stage.simulation.runs,
            "failed_runs": stage.simulation.failed_runs,
            "deliveries": self._rows("select count(*) as n from ops.inbox")[0]["n"],
            "found_by_polling": self._rows(_POLLED)[0]["n"],
            "simulated_seconds": round((stage.timeline() - stage.surge.start).total_seconds()),
        }

    def _lanes(self) -> dict[str, Any]:
        stage = self.stage
        said, noted = stage.traffic.asked, stage.provider.count("shipment")
        stock = waits(stage.engine, SHOP, "stock", beside_catalogue=True)
        return {
            "stock_writes": len(stock),
            "stock_p95_seconds": share(stock, 0.95),
            "catalogue_writes": stage.shop.count("catalog"),
            "catalogue_p95_seconds": share(waits(stage.engine, SHOP, "catalog"), 0.95),
            "shipments": noted,
            "shipments_lost": len(said) - noted,
            "shipments_doubled": stage.provider.doubled(),
            "shipment_p95_seconds": share(waits(stage.engine, PROVIDER, "shipment"), 0.95),
        }

    def _said_of(self, ref: str) -> str:
        return "; ".join(row["said"] for row in self._rows(_SAID, ref=ref)) or "nothing is known"

    def _short(self) -> dict[str, Decimal]:
        """Units beyond the stock on hand, by order, as the ERP's own moves have them."""
        rows = self.stage.erp.tables.rows
        found: dict[str, Decimal] = {}
        for move in rows["stock.move"].values():
            lacking = move["product_uom_qty"] - (move.get("quantity") or Decimal())
            if move["state"] in ("done", "cancel") or lacking <= 0:
                continue
            order = rows["sale.order.line"][move["sale_line_id"]]["order_id"]
            ref = rows["sale.order"][order]["client_order_ref"]
            found[ref] = found.get(ref, Decimal()) + lacking
        return found

    def _is_calm(self, at: datetime) -> bool:
        """Whether an order came when neither the maintenance nor its aftermath was near."""
        start, end = self.stage.maintenance
        return not start - timedelta(minutes=2) <= at < end + self.stage.given.slow_for * 2

    def _caught_up(self, moment: datetime) -> float:
        """Seconds after a moment until the ERP had every order that was placed before it."""
        times = [at for ref, at in self._known().items() if self.wanted[ref].placed_at <= moment]
        return round(max(0.0, (max(times, default=moment) - moment).total_seconds()), 1)

    def _known(self) -> Mapping[str, datetime]:
        return {ref: at for ref, at in self.known_at.items() if ref in self.wanted}

    def _unknown(self) -> list[int]:
        """Orders the ERP did not know, every half minute of the surge until its maintenance."""
        placed = sorted(o.placed_at for ref, o in self.wanted.items() if ref not in self.held)
        known, surge = sorted(self._known().values()), self.stage.surge
        return sorted(
            bisect_right(placed, depth.at) - bisect_right(known, depth.at)
            for depth in self.stage.depths
            if surge.begins_at <= depth.at < self.stage.maintenance[0]
        )


_ACCEPTED = "select order_ref, answered_at from receipt.sales_orders where outcome = 'accepted'"
_BLOCKED = "select subject_ref as ref from ops.exception where state = 'open' and blocks"
_FLAGGED = (
    "select subject_ref as ref from ops.exception "
    "where state = 'open' and code = 'order.stock_unconfirmed'"
)
_TRIED_AGAIN = (
    "select coalesce(sum(attempts - 1), 0)::int as tries from ops.outbox "
    "where system = :erp and attempts > 1"
)
_POLLED = (
    "select count(*) as n from (select source, resource_id, "
    "(array_agg(via order by version))[1] as first from raw.woocommerce__orders group by 1, 2) v "
    "where first = 'delta'"
)
_SAID = """
select code || ': ' || message as said from ops.exception
where subject_ref = :ref and state = 'open'
union all select concat_ws(' ', 'a write is', state, error_class) from ops.outbox
where thing_ref = :ref and system <> 'tpl'
"""
