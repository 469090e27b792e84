"""How a shop is asked for refunds and for orders that replace goods: one call each, looked up by
our key before anything is made, because a shop's answer may be lost after the money moved.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from resources.errors import Remedy, RemoteError, UnknownOutcome
from resources.pages import Raw
from resources.store.engine import connected
from resources.store.frames import read_rows
from resources.systems.woocommerce import WooCommerce
from resources.wiring import Systems
from sync_assets.domain.orders import Problem, Rejected
from sync_assets.domain.returns import ExchangeOrder, RefundRequest
from sync_assets.intents import Thing
from sync_assets.mappers import woocommerce_notices, woocommerce_refunds
from sync_assets.mapping import parsed
from sync_assets.writing import Answer, Outcome

#: Faults of one write; of any other the whole call is at fault.
OF_ONE = (Remedy.GIVE_TO_PERSON, Remedy.FIND_OUT)


@dataclass
class ShopHand(ABC):
    """What both kinds of writes do alike."""

    systems: Systems
    shop: WooCommerce
    store: str
    thing: Thing

    def attempt(self, outcomes: Mapping[str, Outcome]) -> None:
        """Bring about each write; a fault that is its own costs none of its neighbours."""
        wanted = self._wanted(list(outcomes))
        for outcome in outcomes.values():
            # A plan is newer than a leased write: what nobody wants any more is not made.
            if not outcome.write.begun and outcome.key not in wanted:
                outcome.state = "gone"
                continue
            try:
                self.make(outcome)
            except Rejected as refusal:
                first = refusal.problems[0]
                outcome.problem = Problem("shop.malformed", first.part, first.message)
            except RemoteError as fault:
                outcome.begun = outcome.begun or isinstance(fault, UnknownOutcome)
                if fault.remedy not in OF_ONE:
                    raise
                outcome.error = fault

    @abstractmethod
    def make(self, outcome: Outcome) -> None:
        """Make one thing that is not there yet, and say what is there."""

    def is_there(self) -> bool:
        """Whether the shop answers at all."""
        try:
            self.shop.ping()
        except RemoteError:
            return False
        return True

    def _wanted(self, keys: list[str]) -> set[str]:
        with connected(self.systems.engine) as connection:
            rows = read_rows(
                connection,
                f"select key from plan.{self.thing.table} "  # noqa: S608
                "where system = :store and key = any(:keys) and action = 'create'",
                store=self.store,
                keys=keys,
            )
        return {row["key"] for row in rows}


class RefundHand(ShopHand):
    """Refunds of ours."""

    def make(self, outcome: Outcome) -> None:
        """Have one refund made."""
        document = RefundRequest.model_validate(_document(outcome))
        payload = woocommerce_refunds.refund_request(document)
        made = self.shop.put_refund(document.order_id, payload, document.key)
        seen = woocommerce_refunds.seen_refund(made.body)
        outcome.begun = True
        if seen.amount != document.amount:
            said = f"the shop made {seen.amount} of {document.amount} {document.currency}"
            outcome.problem = Problem("shop.amount_differs", "amount", said)
            return
        outcome.state = "done"
        outcome.answer = Answer(
            remote_id=str(seen.remote_id),
            state="paid" if seen.is_paid else "noted",
            amount=seen.amount,
            payload=_shown(made),
        )


class ExchangeHand(ShopHand):
    """Orders that replace goods."""

    def make(self, outcome: Outcome) -> None:
        """Have one order made, for the customer of the order it replaces."""
        document = ExchangeOrder.model_validate(_document(outcome))
        payload = woocommerce_notices.exchange(document, self._order(document.order_id))
        made = self.shop.put_exchange(payload, document.key)
        total = made.body.get("total")
        outcome.begun = True
        outcome.state = "done"
        outcome.answer = Answer(
            remote_id=made.resource_id,
            number=str(made.body.get("number") or made.resource_id),
            state=str(made.body.get("status") or ""),
            amount=Decimal(str(total)),
            payload=_shown(made),
        )

    def _order(self, order_id: int) -> Mapping[str, Any]:
        """The order as the shop said it last: the new one is for the same customer."""
        with connected(self.systems.engine) as connection:
            rows = read_rows(
                connection,
                "select payload::text as payload from raw.woocommerce__orders "
                "where source = :store and resource_id = :id and via <> 'gone' "
                "order by changed_at desc, version desc limit 1",
                store=self.store,
                id=str(order_id),
            )
        if not rows:
            raise Rejected([Problem("shop.order_unread", "order", "the order was never read")])
        return parsed(rows[0]["payload"])


def _document(outcome: Outcome) -> dict[str, Any]:
    return {k: v for k, v in (outcome.write.payload or {}).items() if k != "order_ref"}


def _shown(made: Raw) -> dict[str, Any]:
    """What is kept of an answer: never addresses."""
    names = ("id", "amount", "total", "status", "reason", "refunded_payment", "date_created_gmt")
    return {name: made.body[name] for name in names if name in made.body}
