"""The part of a WooCommerce client that tells customers what was shipped, and completes orders.

Two ways: the shop's own fulfillments, where that feature is on, or a note to the customer and a
list in the order's meta data. Routes and fields of fulfillments are from the vendor's REST API
documentation and not from a recording; notes and orders are as recorded. A fulfillment shows one
tracking number: a notice is one fulfillment with its first number, and meta data of ours has all.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import httpx

from resources.errors import ContractBroken, Missing, Refused, UnknownOutcome
from resources.pages import Broken, Raw

API = "/wp-json/wc/v3"
KEY = "_sync_shipment"
NOTE_KEY = re.compile(r"\[ref ([^\[\]]+)\]\s*$")
#: What cannot be completed any more, and what is not paid yet.
ENDED = frozenset({"cancelled", "refunded", "failed", "trash"})
UNPAID = frozenset({"pending", "on-hold", "checkout-draft", "auto-draft"})
WAYS = ("auto", "fulfilments", "notes")

Payload = dict[str, Any]


class FulfilmentCalls(ABC):
    """Calls about shipping notices of one store, for its client."""

    http: httpx.Client
    name: str
    #: Under which key the tracking numbers stand in an order's meta data, where notes are written.
    tracking_meta_key = "_tracking"
    #: Whether the shop has fulfillments; nobody asked yet.
    _has_fulfilments: bool | None = None

    @abstractmethod
    def _refuse(self, answer: httpx.Response) -> None:
        """Raise what an answer other than a good one means."""

    @abstractmethod
    def _said(self, answer: httpx.Response) -> Any:
        """What a good answer says."""

    @abstractmethod
    def order_notes(self, order_id: str | int) -> list[Raw | Broken]:
        """Return all notes of an order."""

    def has_fulfilments(self) -> bool:
        """Whether the shop's own fulfillments are switched on; asked once per client."""
        if self._has_fulfilments is None:
            try:
                self._refuse(self.http.get(_route(1)))
                self._has_fulfilments = True
            except Missing as answer:
                if not answer.code:  # a proxy's 404 says nothing about the shop
                    raise
                self._has_fulfilments = answer.code != "rest_no_route"
        return self._has_fulfilments

    def notices_of(self, order_id: int) -> list[Payload]:
        """Return the notices of ours on an order, whichever way they were given.

        Fulfillments are as sent; a note has `tracking` beside it: its part of the order's list.
        """
        ours = [one for one in self._fulfilments(order_id) if _meta(one).get(KEY)]
        notes = {key: note for note in self._notes(order_id) if (key := _note_key(note))}
        if not notes:
            return ours
        tracking = self._tracking(self._order(order_id))
        return ours + [
            note | {"tracking": [row for row in tracking if row.get("key") == key]}
            for key, note in notes.items()
        ]

    def put_notice(self, order_id: int, payload: Payload, way: str) -> Payload:
        """Show a notice to the customer once, by its key; answers what the shop holds.

        The payload holds the notice's `key`, and for each way it may go its part: `fulfilment`, or
        `note` and `tracking`. What is there already is only brought to what it should be. With
        `auto` a notice stays on the way it was first given, also after the feature is switched on.
        """
        if way not in WAYS:
            raise ValueError(f"{way} is no way to give a notice")
        if way == "auto":
            way = self._way(order_id, payload["key"])
        if way == "fulfilments":
            return self._put_fulfilment(order_id, payload["key"], payload["fulfilment"])
        return self._put_note(order_id, payload)

    def complete(self, order_id: int) -> None:
        """Set a paid order to completed; one that is completed is left alone.

        The shop would allow it from any status, and has no compare-and-set.
        """
        status = self._order(order_id, "id,status").get("status")
        if status == "completed":
            return
        if status != "processing":
            code = "ended" if status in ENDED else "unpaid" if status in UNPAID else "other_status"
            raise Refused(self.name, f"order {order_id} is {status}", code=code)
        self._change_order(order_id, {"status": "completed"})
        shown = self._order(order_id, "id,status").get("status")
        if shown != "completed":
            moved = f"order {order_id} was completed and is {shown} now"
            raise Refused(self.name, moved, code="other_status")

    def _way(self, order_id: int, key: str) -> str:
        if not self.has_fulfilments():
            return "notes"
        told = any(_note_key(note) == key for note in self._notes(order_id))
        return "notes" if told else "fulfilments"

    # Fulfillments

    def _fulfilments(self, order_id: int) -> list[Payload]:
        """What the shop holds for an order; nothing where the feature is off."""
        if not self.has_fulfilments():
            return []
        answer = self.http.get(_route(order_id))
        try:
            said = self._said(answer)
        except Missing as fault:
            if fault.code == "rest_no_route":  # switched off meanwhile
                self._has_fulfilments = None
            raise
        # The feature's first versions wrapped lists and single ones in an object.
        rows = said.get("fulfillments") if isinstance(said, dict) else said
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise ContractBroken(self.name, "the fulfillments are not a list of objects")
        return [row for row in rows if not row.get("date_deleted")]

    def _put_fulfilment(self, order_id: int, key: str, wanted: Payload) -> Payload:
        ours = [one for one in self._fulfilments(order_id) if _meta(one).get(KEY) == key]
        if not ours:
            return self._written(self.http.post(_route(order_id), json=wanted))
        if _shows(ours[0], wanted):
            return ours[0]
        # A change takes away the meta data it does not name, also that of others.
        meta = _meta(ours[0]) | _meta(wanted)
        rows = [{"key": name, "value": value} for name, value in meta.items()]
        route = f"{_route(order_id)}/{int(ours[0]['id'])}"
        return self._written(self.http.put(route, json=wanted | {"meta_data": rows}))

    # Notes, and the list in the order's meta data

    def _put_note(self, order_id: int, payload: Payload) -> Payload:
        """Write the list first and the note last: a note that is there says that all is done."""
        key, tracking = payload["key"], payload["tracking"]
        self._merge_tracking(order_id, key, tracking)
        note = next((one for one in self._notes(order_id) if _note_key(one) == key), None)
        if note is None:
            body = {"note": f"{payload['note']}\n[ref {key}]", "customer_note": True}
            note = self._written(self.http.post(f"{API}/orders/{int(order_id)}/notes", json=body))
        return note | {"tracking": tracking}

    def _notes(self, order_id: int) -> Iterator[Payload]:
        for note in self.order_notes(order_id):
            if isinstance(note, Broken):
                raise ContractBroken(self.name, f"a note of order {order_id} cannot be read")
            yield note.body

    def _merge_tracking(self, order_id: int, key: str, tracking: Sequence[Payload]) -> None:
        """Put our rows in place of those of this key; a list that holds them is left alone.

        Every change bumps the order, so an idle one would come back to us as news.
        """
        there = self._tracking(self._order(order_id, "id,meta_data"))
        if [row for row in there if row.get("key") == key] == list(tracking):
            return
        others = [row for row in there if row.get("key") != key]
        meta = [{"key": self.tracking_meta_key, "value": [*others, *tracking]}]
        self._change_order(order_id, {"meta_data": meta})

    def _tracking(self, order: Payload) -> list[Payload]:
        value = _meta(order).get(self.tracking_meta_key) or []
        if not isinstance(value, list) or not all(isinstance(row, dict) for row in value):
            taken = f"the meta data {self.tracking_meta_key} holds something that is not ours"
            raise Refused(self.name, taken, code="foreign_meta")
        return value

    # Orders and answers

    def _order(self, order_id: int, fields: str = "id,status,meta_data") -> Payload:
        path = f"{API}/orders/{int(order_id)}"
        order = self._said(self.http.get(path, params={"_fields": fields}))
        if not isinstance(order, dict):
            raise ContractBroken(self.name, f"order {order_id} is not an object")
        return order

    def _change_order(self, order_id: int, changes: Payload) -> None:
        self._refuse(self.http.put(f"{API}/orders/{int(order_id)}", json=changes))

    def _written(self, answer: httpx.Response) -> Payload:
        """What was written; after an answer nobody can read only a look-up can tell."""
        try:
            said = self._said(answer)
        except ContractBroken as fault:
            raise UnknownOutcome(self.name, fault.message) from fault
        one = said.get("fulfillment", said) if isinstance(said, dict) else None
        if not isinstance(one, dict) or type(one.get("id")) is not int:
            raise UnknownOutcome(self.name, "the answer to a write names no id")
        return one


def _route(order_id: int) -> str:
    return f"{API}/orders/{int(order_id)}/fulfillments"


def _meta(thing: Mapping[str, Any]) -> Payload:
    """Meta data by key; the first of equal keys counts, as it does in the shop."""
    rows = thing.get("meta_data")
    found: Payload = {}
    for row in rows if isinstance(rows, list) else []:
        if isinstance(row, dict) and isinstance(row.get("key"), str):
            found.setdefault(row["key"], row.get("value"))
    return found


def _note_key(note: Mapping[str, Any]) -> str | None:
    found = NOTE_KEY.search(str(note.get("note", "")))
    return found[1] if found else None


def _shows(there: Payload, wanted: Payload) -> bool:
    """Whether a fulfillment is as it should be already."""
    kept = _meta(there)
    if there.get("status") != wanted.get("status"):
        return False
    return all(kept.get(name) == value for name, value in _meta(wanted).items())
