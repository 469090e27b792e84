"""The part of a WooCommerce client that reads refunds and makes them, once each by our key.

The shop has no idempotency for refunds and writes our meta data only after the money has moved, so
our key also stands in the reason, which is saved before. What a refund means is not asked here.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

import httpx

from resources.errors import ContractBroken, Missing, Refused, RemoteError, UnknownOutcome
from resources.http import exact_json
from resources.pages import Broken, Raw, thing
from resources.systems.woocommerce_bounds import Params

API = "/wp-json/wc/v3"
KEY = "_sync_refund"
DATES = ("date_created_gmt",)
#: The shop's one code for every refund it did not make: too much, or a gateway that would not.
NOT_MADE = "woocommerce_rest_cannot_create_order_refund"

Payload = dict[str, Any]
Rows = list[Raw | Broken]


class RefundCalls(ABC):
    """Calls about the refunds of one store, for its client."""

    http: httpx.Client
    name: str
    store: str

    @abstractmethod
    def _refuse(self, answer: httpx.Response) -> None:
        """Raise what an answer other than a good one means."""

    @abstractmethod
    def _whole(self, path: str, asked: Params, seen: set[tuple[str, object]]) -> Iterator[Rows]:
        """Read a list whole."""

    def refunds_of(self, order_ids: Iterable[str | int]) -> dict[str, Rows]:
        """Return all refunds of each order, oldest first; their id is `<order>:<refund>`.

        An order that is gone has none, and neither has one whose refunds were deleted: no list,
        stamp or webhook tells of a refund that is gone.
        """
        return {key: self._refunds(key) for key in dict.fromkeys(map(str, order_ids))}

    def put_refund(self, order_id: int, payload: Payload, key: str) -> Raw:
        """Make a refund that is not there yet under our key; answers what the shop holds.

        Nothing is put back on the shelf by it: stock is ours to publish. An error of the shop's
        may have moved money all the same, so the refund is looked up before it is given up. One
        the gateway was to pay that says `refunded_payment: false` died while it was paid.
        """
        amount = Decimal(payload["amount"])
        if there := self._refund_with(order_id, key):
            return there
        answer = self.http.post(_route(order_id), json=_keyed(payload, key))
        if answer.status_code >= 500:
            there, rest = self._after_error(answer, order_id, key)
            if there:
                return there
            raise self._not_made(answer, payload, amount, rest)
        self._refuse(answer)
        return self._made(answer, order_id)

    def _refunds(self, order_id: str | int) -> Rows:
        path = f"orders/{int(order_id)}/refunds"
        try:
            found = [row for page in self._whole(path, {}, set()) for row in page]
        except Missing as answer:
            if not (answer.code or "").endswith("invalid_id"):
                raise
            return []
        return [of_order(order_id, row) for row in found]

    def _refund_with(self, order_id: int, key: str) -> Raw | None:
        """The refund that carries our key; one that cannot be read might be it."""
        refunds = self._refunds(order_id)
        if any(isinstance(refund, Broken) for refund in refunds):
            raise ContractBroken(self.name, f"a refund of order {order_id} cannot be read")
        ours = [one for one in refunds if isinstance(one, Raw) and _carries(one.body, key)]
        if len(ours) > 1:
            ids = ", ".join(one.resource_id for one in ours)
            raise Refused(self.name, f"{key} was refunded more than once: {ids}", code="doubled")
        return ours[0] if ours else None

    def _after_error(
        self, answer: httpx.Response, order_id: int, key: str
    ) -> tuple[Raw | None, Decimal | None]:
        """The refund, if it was made all the same, and what is left of the order."""
        code, message = _complaint(answer)
        try:
            if there := self._refund_with(order_id, key):
                return there, None
            rest = self._refundable(order_id) if code == NOT_MADE else None
        except RemoteError as fault:
            lost = f"the refund met an error, and looking it up another: {fault.message}"
            raise UnknownOutcome(self.name, lost, code=code) from fault
        if code != NOT_MADE:
            said = message or f"answered {answer.status_code}"
            raise UnknownOutcome(self.name, said, code=code)
        return None, rest

    def _not_made(
        self, answer: httpx.Response, payload: Payload, amount: Decimal, rest: Decimal | None
    ) -> Refused:
        """Why the shop made no refund, in a word of ours."""
        code, message = _complaint(answer)
        if rest is not None and amount > rest:
            over = f"{amount} is more than the {rest} that is left"
            return Refused(self.name, over, code="over_refunded")
        if payload.get("api_refund", True):
            code = "gateway_refused"
        return Refused(self.name, message or "no reason given", code=code)

    def _refundable(self, order_id: int) -> Decimal | None:
        """What is left to be refunded; the shop's own words for too much are in its language."""
        fields = {"_fields": "total,refunds"}
        answer = self.http.get(f"{API}/orders/{int(order_id)}", params=fields)
        self._refuse(answer)
        order = exact_json(self.name, answer.content)
        try:
            back = (abs(Decimal(refund["total"])) for refund in order["refunds"])
            return Decimal(order["total"]) - sum(back, Decimal())
        except (KeyError, TypeError, ValueError, InvalidOperation):
            return None

    def _made(self, answer: httpx.Response, order_id: int) -> Raw:
        """The refund as answered; after an answer nobody can read only a look-up can tell."""
        try:
            body = exact_json(self.name, answer.content)
        except ContractBroken as fault:
            raise UnknownOutcome(self.name, f"the refund's answer {fault.message}") from fault
        made = of_order(order_id, thing(self.store, answer.text, body, DATES))
        if isinstance(made, Broken):
            raise UnknownOutcome(self.name, f"in the refund's answer {made.reason}")
        return made


def of_order(order_id: str | int, row: Raw | Broken) -> Raw | Broken:
    """A thing that does not name its order, under an id that does."""
    key = f"{order_id}:{row.resource_id}"
    if isinstance(row, Raw):
        return Raw(key, row.text, row.body, row.changed_at)
    return Broken(row.store, key if row.resource_id else None, row.text, row.reason)


def _route(order_id: int) -> str:
    return f"{API}/orders/{int(order_id)}/refunds"


def _mark(key: str) -> str:
    return f"[ref {key}]"


def _keyed(payload: Payload, key: str) -> Payload:
    """The refund with our key in both places, and without a hand on the stock."""
    reason = f"{payload.get('reason') or ''} {_mark(key)}".strip()
    meta = [*payload.get("meta_data", ()), {"key": KEY, "value": key}]
    return payload | {"reason": reason, "api_restock": False, "meta_data": meta}


def _carries(body: Mapping[str, Any], key: str) -> bool:
    metas = body.get("meta_data")
    rows = metas if isinstance(metas, list) else []
    kept = (row for row in rows if isinstance(row, dict) and row.get("key") == KEY)
    if any(row.get("value") == key for row in kept):
        return True
    return str(body.get("reason") or "").endswith(_mark(key))


def _complaint(answer: httpx.Response) -> tuple[str | None, str]:
    """The shop's code and message; a crash may say anything."""
    try:
        said = answer.json()
    except (ValueError, RecursionError):
        return None, ""
    if not isinstance(said, dict) or said.get("code") is None:
        return None, ""
    return str(said["code"]), str(said.get("message", ""))
