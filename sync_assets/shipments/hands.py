"""How batches are sent: to warehouses, to the ERP, to the shop. Each looks first, so that a lost
answer, a killed worker and a repeated run all end in the same place.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from resources.errors import Refused, RemoteError, TryAgain
from resources.pages import Broken, Raw
from resources.systems.roles import Erp, Warehouse
from resources.systems.woocommerce import WooCommerce
from sync_assets.domain.fulfilment import (
    Delivery,
    FulfilmentOrder,
    SeenFulfilment,
    SeenNotice,
    ShippingNotice,
)
from sync_assets.domain.orders import Problem, Rejected
from sync_assets.mappers import woocommerce_notices
from sync_assets.mappers.logistics import ERP_LOGISTICS, SHIPMENT_MAPPERS, fulfilment_order
from sync_assets.writing import Answer, Outcome

#: What a warehouse answers when goods cannot be called back any more.
GONE_ALREADY = ("shipped", "part_shipped", "picking")
#: It ships, and not as it is wanted now.
CHANGE_REFUSED = "warehouse.change_refused"


@contextmanager
def set_aside(outcome: Outcome, code: str) -> Iterator[None]:
    """Keep what a mapper rejects with its own write, under a code of the system's."""
    try:
        yield
    except Rejected as refusal:
        first = refusal.problems[0]
        outcome.problem = Problem(f"{code}.malformed", first.part, first.message)


def by_reference(kind: str, said: Sequence[Raw | Broken]) -> dict[str, list[Any]]:
    """Deliveries of an ERP by the order they name; what cannot be read is told where it is kept."""
    found: dict[str, list[Any]] = {}
    for one in said:
        if isinstance(one, Raw):
            with suppress(Rejected):
                reference = SHIPMENT_MAPPERS[kind].shipment(one.body).reference
                found.setdefault(str(reference), []).append(one.body)
    return found


@dataclass
class WarehouseHand:
    """Asks a warehouse to ship, otherwise or not at all."""

    client: Warehouse
    kind: str
    #: The account's own word for how to ship what no policy says.
    shipping_method: str = ""

    def is_there(self) -> bool:
        """Whether it answers at all."""
        return answers(self.client)

    def attempt(self, outcomes: Mapping[str, Outcome]) -> None:
        """Look, write what differs, look again."""
        held = self._look_up(outcomes)
        for key, outcome in outcomes.items():
            outcome.begun = outcome.begun or key in held
        self._cancel(
            {k: o for k, o in outcomes.items() if o.action == "cancel" and o.is_open}, held
        )
        wanted = {k: o for k, o in outcomes.items() if o.action != "cancel" and o.is_open}
        self._put(wanted, held)

    def _look_up(self, outcomes: Mapping[str, Outcome]) -> dict[str, SeenFulfilment]:
        mapper, found = SHIPMENT_MAPPERS[self.kind], {}
        for key, payload in self.client.fulfilments(list(outcomes)).items():
            with set_aside(outcomes[key], "warehouse"):
                found[key] = mapper.seen(payload)
        return found

    def _put(self, wanted: Mapping[str, Outcome], held: Mapping[str, SeenFulfilment]) -> None:
        lacking = {k: one for k, one in wanted.items() if not _agrees(one, held.get(k))}
        payloads = asked_for(lacking, self.kind, self.shipping_method)
        refused = self.client.put_fulfilments(payloads) if payloads else {}
        for key, error in refused.items():
            _refuse(wanted[key], error, held.get(key))
        sent = {k: one for k, one in lacking.items() if one.is_open}
        after = {**held, **(self._look_up(sent) if sent else {})}
        for key, outcome in wanted.items():
            if outcome.is_open and key in after:
                outcome.state, outcome.answer = "done", _answer(after[key])

    def _cancel(self, wanted: Mapping[str, Outcome], held: Mapping[str, SeenFulfilment]) -> None:
        """Take back; what is not there, or is cancelled, needs nothing."""
        alive = [k for k in wanted if k in held and held[k].state != "cancelled"]
        refused = self.client.cancel_fulfilments(alive) if alive else {}
        after = self._look_up({key: wanted[key] for key in alive})
        for key, outcome in wanted.items():
            seen = after.get(key, held.get(key))
            if seen is None or seen.state == "cancelled":
                outcome.state, outcome.answer = "done", _answer(seen) if seen else None
            elif seen.state in GONE_ALREADY:
                said = f"it is {seen.state} already and ships"
                outcome.error = refused.get(key) or Refused(self.client.system, said, code="picked")
            else:
                outcome.error = refused.get(key)


def asked_for(
    outcomes: Mapping[str, Outcome], kind: str, shipping_method: str = ""
) -> list[dict[str, Any]]:
    """Requests in the warehouse's words; one it has no words for stops none of the others."""
    found = []
    for outcome in outcomes.values():
        with set_aside(outcome, "warehouse"):
            document = FulfilmentOrder.model_validate(outcome.write.payload)
            version = outcome.write.core_version
            found.append(fulfilment_order(kind, document, version, shipping_method))
            outcome.begun = True
    return found


def _agrees(outcome: Outcome, seen: SeenFulfilment | None) -> bool:
    """Whether the warehouse says that it holds this very version of the request.

    Equal units prove nothing: the address may be another. Who keeps no versions is asked again,
    and its client writes what differs.
    """
    if seen is None or seen.state in ("cancelled", "refused", "waiting"):
        return False
    return seen.payload.get("version") == outcome.write.core_version


def _refuse(outcome: Outcome, error: RemoteError, seen: SeenFulfilment | None) -> None:
    """What a refusal means: of what the warehouse holds, that it stays as it is."""
    if seen is None or seen.state in ("cancelled", "refused"):
        outcome.error = error
    else:
        outcome.problem = Problem(CHANGE_REFUSED, outcome.write.operation, str(error))


def _answer(seen: SeenFulfilment) -> Answer:
    return Answer(seen.remote_id, seen.number, seen.state, payload=seen.payload)


@dataclass
class FilesHand:
    """Writes files for a warehouse that answers by files: what it says of them comes later."""

    client: Warehouse

    def is_there(self) -> bool:
        """Whether its folders can be reached."""
        return answers(self.client)

    def attempt(self, outcomes: Mapping[str, Outcome]) -> None:
        """Write each request, or its taking back; the same one is the same file."""
        self._cancel([one for one in outcomes.values() if one.action == "cancel"])
        wanted = {key: one for key, one in outcomes.items() if one.action != "cancel"}
        payloads = asked_for(wanted, "files")
        refused = self.client.put_fulfilments(payloads) if payloads else {}
        for key, outcome in wanted.items():
            if key in refused:
                outcome.error = refused[key]
            elif outcome.is_open:
                outcome.state, outcome.answer = "done", Answer(state="waiting")

    def _cancel(self, outcomes: list[Outcome]) -> None:
        for one in outcomes:
            one.begun = True
        refused = self.client.cancel_fulfilments([one.key for one in outcomes]) if outcomes else {}
        for one in outcomes:
            if one.key in refused:
                one.error = refused[one.key]
            else:
                one.state, one.answer, one.is_asked = "done", Answer(state="cancel_asked"), True


@dataclass
class OwnWarehouseHand:
    """Looks whether an ERP has planned the delivery of what it was sold; takes it back."""

    client: Erp
    kind: str
    #: The ERP's id of each order.
    orders: Mapping[str, int]

    def is_there(self) -> bool:
        """Whether it answers at all."""
        return answers(self.client)

    def attempt(self, outcomes: Mapping[str, Outcome]) -> None:
        """Look for deliveries of the orders; there is nothing to be written to ask for them."""
        wanted = {k: o for k, o in outcomes.items() if o.action != "cancel"}
        held = self._look_up(wanted)
        for key, outcome in wanted.items():
            if not outcome.is_open:
                continue
            seen = held.get(str((outcome.write.payload or {}).get("order_ref")))
            if seen is not None:
                outcome.state, outcome.answer = "done", _answer(seen)
            else:
                said = f"no delivery of {key} is planned there yet"
                outcome.error = TryAgain(self.client.system, said)
        self._cancel({k: o for k, o in outcomes.items() if o.action == "cancel"})

    def _look_up(self, outcomes: Mapping[str, Outcome]) -> dict[str, SeenFulfilment]:
        """What is planned for each order, by our key of it."""
        mapper = SHIPMENT_MAPPERS[self.kind]
        refs = {str((one.write.payload or {}).get("order_ref")): one for one in outcomes.values()}
        asked = sorted({self.orders[ref] for ref in refs if ref in self.orders})
        said = self.client.shipments_of(asked) if asked else []
        found: dict[str, SeenFulfilment] = {}
        for ref, bodies in by_reference(self.kind, said).items():
            if ref in refs:
                with set_aside(refs[ref], "warehouse"):
                    found[ref] = mapper.seen(bodies)
        return found

    def _cancel(self, outcomes: Mapping[str, Outcome]) -> None:
        """Nothing more of the order shall leave: what is still open there is called off."""
        payloads = []
        for key, outcome in outcomes.items():
            document = FulfilmentOrder.model_validate(outcome.write.payload)
            order = self.orders.get(document.order_ref)
            if order is None:
                outcome.state = "done"
                continue
            closing = Delivery(
                key=f"{key}/rest",
                order_ref=document.order_ref,
                order_id=order,
                shipped_at=document.placed_at,
                lines=(),
                is_last=True,
            )
            payloads.append(ERP_LOGISTICS[self.kind].delivery(closing))
        refused = self.client.put_deliveries(payloads) if payloads else {}
        for key, outcome in outcomes.items():
            error = refused.get(f"{key}/rest")
            if error is not None:
                outcome.error = error
            else:
                outcome.state = "done"


@dataclass
class DeliveryHand:
    """Posts in the ERP what left a warehouse that is not its own."""

    client: Erp
    kind: str

    def is_there(self) -> bool:
        """Whether it answers at all."""
        return answers(self.client)

    def attempt(self, outcomes: Mapping[str, Outcome]) -> None:
        """Post what is not posted, and read back what was moved."""
        mapper = ERP_LOGISTICS[self.kind]
        documents = {k: Delivery.model_validate(o.write.payload) for k, o in outcomes.items()}
        payloads = {key: mapper.delivery(document) for key, document in documents.items()}
        held = self.client.deliveries(list(payloads.values()))
        for key, outcome in outcomes.items():
            outcome.begun = outcome.begun or key in held
        refused = self.client.put_deliveries(list(payloads.values()))
        after = self.client.deliveries(list(payloads.values()))
        for key, outcome in outcomes.items():
            if key in refused:
                outcome.error = refused[key]
            elif key in after:
                self._settle(outcome, documents[key], mapper.seen_delivery(after[key]))

    def _settle(self, outcome: Outcome, document: Delivery, seen: Any) -> None:
        if seen.state == "done":
            outcome.state = "done"
            outcome.answer = Answer(
                str(seen.remote_id), seen.number, seen.state, payload=seen.payload
            )


@dataclass
class NoticeHand:
    """Shows customers what left, the way their shop can."""

    client: WooCommerce
    way: str

    def is_there(self) -> bool:
        """Whether it answers at all."""
        return answers(self.client)

    def attempt(self, outcomes: Mapping[str, Outcome]) -> None:
        """One order at a time: the shop takes no more."""
        for outcome in outcomes.values():
            document = ShippingNotice.model_validate(outcome.write.payload)
            outcome.begun = True
            try:
                with set_aside(outcome, "shop"):
                    payload = woocommerce_notices.notice(document, self.way)
                    said = self.client.put_notice(document.order_id, payload, self.way)
                    seen: SeenNotice = woocommerce_notices.seen_notice(said)
                    outcome.state = "done"
                    outcome.answer = Answer(seen.remote_id, None, seen.way)
            except RemoteError as error:
                if len(outcomes) == 1:
                    raise
                outcome.error = error


@dataclass
class CompletionHand:
    """Sets orders to completed when everything has left."""

    client: WooCommerce

    def is_there(self) -> bool:
        """Whether it answers at all."""
        return answers(self.client)

    def attempt(self, outcomes: Mapping[str, Outcome]) -> None:
        """One order at a time."""
        for outcome in outcomes.values():
            order_id = (outcome.write.payload or {})["order_id"]
            outcome.begun = True
            try:
                self.client.complete(order_id)
            except RemoteError as error:
                if len(outcomes) == 1:
                    raise
                outcome.error = error
                continue
            outcome.state, outcome.answer = "done", Answer(str(order_id), None, "completed")


def answers(client: Warehouse | Erp | WooCommerce) -> bool:
    """Whether a system answers at all."""
    try:
        client.ping()
    except RemoteError:
        return False
    return True
