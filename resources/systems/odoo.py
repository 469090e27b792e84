"""Odoo 18 and 19 as an ERP over JSON-RPC: one method per thing we ask of it, payloads as sent.

The session, `load` and what errors mean are in `odoo_rpc.py`, items in `odoo_catalog.py`, stock in
`odoo_stock.py`, what follows an order in `odoo_deliveries.py`, `odoo_returns.py` and
`odoo_memos.py`, the books in `odoo_journals.py` and `odoo_invoices.py`; what a payload means is for
the mapper of the same name. Everything is created
through `load()` with external ids: their unique index is the only guard Odoo has against a second
order.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any

import httpx

from resources.errors import Missing, Refused, RemoteError, UnknownOutcome
from resources.pages import Broken, Raw
from resources.systems import odoo_references
from resources.systems.odoo_catalog import Catalog
from resources.systems.odoo_deliveries import Deliveries
from resources.systems.odoo_invoices import Invoices
from resources.systems.odoo_journals import Journals
from resources.systems.odoo_kits import Kits
from resources.systems.odoo_memos import Memos
from resources.systems.odoo_parcels import Parcels
from resources.systems.odoo_returns import Returns
from resources.systems.odoo_rpc import Row, Session, batches
from resources.systems.odoo_stock import Stock
from resources.systems.roles import Payload, References

#: One call with 60 to 200 orders takes 7 to 10 s there; the answer must beat the read timeout.
KEY_BATCH, LOAD_BATCH, LINE_BATCH, ACTION_BATCH = 200, 100, 300, 50

ORDER_FIELDS = [
    "name",
    "state",
    "amount_untaxed",
    "amount_tax",
    "amount_total",
    "currency_id",
    "company_id",
    "order_line",
    "client_order_ref",
    "write_date",
]
DRAFT, CONFIRMED, CANCELLED = ("draft", "sent"), ("sale", "done"), ("cancel",)

#: What fields of a sale line were called before 19.
OLDER_NAME = {"tax_ids": "tax_id", "product_uom_id": "product_uom"}


class Odoo:
    """One Odoo database; fills the role `Erp`."""

    def __init__(
        self,
        http: httpx.Client,
        database: str,
        login: str,
        api_key: str,
        system: str = "odoo",
        module: str = "sync",
        quarantine_places: Collection[str] = (),
    ) -> None:
        self.system, self.module = system, module
        self.session = Session(http, database, login, api_key, system)
        kits = Kits(self.session)
        self.catalog = Catalog(self.session, kits)
        self.stock = Stock(self.session, kits, quarantine_places)
        parcels = Parcels(self.session, kits, module)
        self.parcels_out = Deliveries(parcels)
        self.parcels_back = Returns(parcels, quarantine_places)
        self.memos = Memos(self.session, module)
        self.entries = Journals(self.session, module)
        self.invoices = Invoices(self.session)

    def ping(self) -> str:
        """Sign in and name the version."""
        self.session.sign_in()
        return self.session.version()

    def references(self) -> References:
        """Ids by name, and by `Company/name` or `Country/code`; a name that two carry is left out.

        `company_currency` and `price_list_currency` tell the currency an order would get,
        `gross_tax` the taxes that are contained in the price. Accounts are known by
        `Company/code` only.
        """
        return odoo_references.references(self.session)

    def items(self, after_id: int = 0) -> Iterator[list[Payload]]:
        """Yield pages of products, archived ones too, in the order of their ids."""
        return self.catalog.items(after_id)

    def items_changed_since(self, moment: datetime, overlap: timedelta) -> Iterator[list[Payload]]:
        """Yield pages of products of which anything a catalog shows changed, oldest first."""
        return self.catalog.items_changed_since(moment, overlap)

    def stock_levels(
        self, warehouses: Sequence[str], items: Sequence[int] | None = None
    ) -> Iterator[list[Payload]]:
        """Yield pages of stock by item and warehouse code, of all stocked items or of `items`."""
        return self.stock.levels(warehouses, items)

    def moved_since(self, moment: datetime, overlap: timedelta) -> Iterator[list[Payload]]:
        """Yield pages of stock movements in any state that changed, oldest change first."""
        return self.stock.moved_since(moment, overlap)

    def orders(self, keys: Sequence[str]) -> dict[str, Payload]:
        """The sales orders that exist for our keys; further live ones of a key are its `twins`.

        `client_order_ref` is not unique, and external ids are for administrators to read.
        """
        found: dict[str, list[Payload]] = {}
        for batch in batches(dict.fromkeys(keys), KEY_BATCH):
            domain = [["client_order_ref", "in", batch]]
            for row in self.session.rows("sale.order", domain, ORDER_FIELDS, order="id"):
                found.setdefault(row["client_order_ref"], []).append(row)
        return {key: _first_alive(rows) for key, rows in found.items()}

    def put_parties(self, parties: Sequence[Payload]) -> dict[str, int | RemoteError]:
        """Create or update customers, then their addresses; both must be in the same call."""
        answers: dict[str, int | RemoteError] = {}
        unique = {party["key"]: party for party in parties}
        for has_parent in (False, True):
            ready: list[Row] = []
            for key, party in unique.items():
                if (party.get("parent") is not None) != has_parent:
                    continue
                parent = answers.get(party["parent"]) if has_parent else ""
                if parent is None or isinstance(parent, RemoteError):
                    answers[key] = parent or Refused(self.system, "its customer was not sent")
                    continue
                ready.append(self._row(key, party["fields"] | {"parent_id/.id": str(parent)}))
            for batch in batches(ready, LOAD_BATCH):
                answers |= _single(self.session.load("res.partner", batch))
        return answers

    def put_orders(self, orders: Sequence[Payload]) -> dict[str, int | RemoteError]:
        """Create drafts by our keys, heads first; an order that left the draft is not touched.

        Lines are records with external ids of their own, because a head that is loaded again
        with lines inside appends them. An order with a refused line stays a draft without any.
        """
        answers: dict[str, int | RemoteError] = {}
        unique = {order["key"]: order for order in orders}
        for batch in batches(unique.values(), LOAD_BATCH):
            answers |= self._put_orders({order["key"]: order for order in batch})
        return answers

    def _put_orders(self, orders: Mapping[str, Payload]) -> dict[str, int | RemoteError]:
        answers: dict[str, int | RemoteError] = {}
        there = self.orders(list(orders))
        for key, seen in there.items():
            if "twins" in seen:
                answers[key] = self._doubled()
            elif seen["state"] not in DRAFT:
                answers[key] = seen["id"]
        heads = [self._row(key, o["head"]) for key, o in orders.items() if key not in answers]
        loaded = _single(self.session.load("sale.order", heads))
        for key, id_ in loaded.items():
            not_ours = isinstance(id_, int) and key in there and there[key]["id"] != id_
            answers[key] = self._doubled() if not_ours else id_
        drafts = {key: id_ for key, id_ in answers.items() if isinstance(id_, int)}
        states = self._states(drafts.values())
        drafts = {key: id_ for key, id_ in drafts.items() if states.get(id_) in DRAFT}
        return answers | self._put_lines({key: orders[key]["lines"] for key in drafts}, drafts)

    def _doubled(self) -> Refused:
        text = "several orders carry this customer reference; a person must cancel all but one"
        return Refused(self.system, text, code="doubled")

    def _put_lines(
        self, lines: Mapping[str, Sequence[Payload]], ids: Mapping[str, int]
    ) -> dict[str, int | RemoteError]:
        """Load lines, those of one order always together; answers the refusals only."""
        refused: dict[str, int | RemoteError] = {}
        rows: list[Row] = []
        for place, (key, order_lines) in enumerate(lines.items(), start=1):
            rows += [self._line(key, ids[key], line) for line in order_lines]
            if len(rows) >= LINE_BATCH or place == len(lines):
                loaded = self.session.load("sale.order.line", rows)
                refused |= {k: no for k, no in loaded.items() if isinstance(no, RemoteError)}
                rows = []
        return refused

    def add_line(self, order: int, line: Payload) -> None:
        """Add one line to a draft, by its key; repeating adds nothing."""
        answer = self.session.load("sale.order.line", [self._line("line", order, line)])["line"]
        if isinstance(answer, RemoteError):
            raise answer

    def _line(self, key: str, order: int, line: Payload) -> Row:
        known = self.session.field_names("sale.order.line")
        columns = {_known_column(column, known): value for column, value in line.items()}
        return self._row(key, columns | {"order_id/.id": str(order)})

    def _row(self, key: str, columns: Mapping[str, str]) -> Row:
        return Row(key, {**columns, "id": f"{self.module}.{columns['id']}"})

    def confirm(self, ids: Sequence[int]) -> dict[int, RemoteError]:
        """Confirm drafts; answers the refusals only. Confirming twice is no error."""
        return self._bring(ids, "action_confirm", CONFIRMED)

    def cancel(self, ids: Sequence[int]) -> dict[int, RemoteError]:
        """Cancel orders; answers the refusals only. Cancelling twice is no error."""
        # Without this word 18 answers with a wizard and cancels nothing.
        return self._bring(ids, "action_cancel", CANCELLED, disable_cancel_warning=True)

    def _bring(
        self, ids: Sequence[int], method: str, goal: Collection[str], **context: Any
    ) -> dict[int, RemoteError]:
        refused: dict[int, RemoteError] = {}
        for batch in batches(dict.fromkeys(ids), ACTION_BATCH):
            refused |= self._bring_batch(batch, method, goal, context)
        return refused

    def _bring_batch(
        self, ids: list[int], method: str, goal: Collection[str], context: Payload
    ) -> dict[int, RemoteError]:
        """Call for all, then believe the states; halve those that a refusal left behind."""
        refusal: Refused | None = None
        try:
            self.session.write("sale.order", method, [ids], **context)
        except Refused as said:
            refusal = said
        states = self._states(ids)
        left = [id_ for id_ in ids if states.get(id_) not in goal]
        if refusal is None:
            return {id_: self._unmoved(id_, states.get(id_)) for id_ in left}
        if len(ids) == 1:
            return dict.fromkeys(left, refusal)
        halves = [left] if len(left) < len(ids) else [ids[: len(ids) // 2], ids[len(ids) // 2 :]]
        refused: dict[int, RemoteError] = {}
        for half in filter(None, halves):
            refused |= self._bring_batch(half, method, goal, context)
        return refused

    def _unmoved(self, order: int, state: str | None) -> RemoteError:
        if state is None:
            return Missing(self.system, f"order {order} is not there")
        # A replica may be behind: that the order stands still is no proof that it was refused.
        text = f"the ERP answered yes but the order is still {state!r}"
        return UnknownOutcome(self.system, text, code="unmoved")

    def _states(self, ids: Collection[int]) -> dict[int, str]:
        if not ids:
            return {}
        rows = self.session.rows("sale.order", [["id", "in", list(ids)]], ["state"])
        return {row["id"]: row["state"] for row in rows}

    def unconfirmed_stock(self, ids: Sequence[int]) -> set[int]:
        """The confirmed orders among `ids` whose demand is not fully reserved.

        Odoo confirms beyond its stock without a word; only the moves show it.
        """
        fields = ["sale_line_id", "product_uom_qty", "quantity", "state"]
        short: set[int] = set()
        for batch in batches(dict.fromkeys(ids), KEY_BATCH):
            of_order = [["sale_line_id.order_id", "in", batch]]
            moves = self.session.rows("stock.move", of_order, fields)
            lines = [_id(move["sale_line_id"]) for move in moves if _is_short(move)]
            if lines:
                of_line = [["id", "in", lines]]
                found = self.session.rows("sale.order.line", of_line, ["order_id"])
                short |= {_id(line["order_id"]) for line in found}
        return short

    # What leaves, what comes back, and what is credited

    def shipments_changed_since(
        self, moment: datetime, overlap: timedelta
    ) -> Iterator[list[Raw | Broken]]:
        """Yield pages of parcels to customers with their moves that changed, oldest first."""
        return self.parcels_out.changed_since(moment, overlap)

    def shipments_of(self, orders: Sequence[int]) -> list[Raw | Broken]:
        """The parcels to customers of these sales orders, whole, in any state."""
        return self.parcels_out.of_orders(orders)

    def returns_changed_since(
        self, moment: datetime, overlap: timedelta
    ) -> Iterator[list[Raw | Broken]]:
        """Yield pages of parcels from customers with their moves that changed, oldest first."""
        return self.parcels_back.changed_since(moment, overlap)

    def deliveries(self, deliveries: Sequence[Payload]) -> dict[str, Payload]:
        """What is there of these deliveries of ours, by our key; absent: not even begun."""
        return self.parcels_out.held(deliveries)

    def put_deliveries(self, deliveries: Sequence[Payload]) -> dict[str, RemoteError]:
        """Post what left and keep the rest open; answers the refusals only."""
        return self.parcels_out.put(deliveries)

    def credit_memos(self, keys: Sequence[str]) -> dict[str, Payload]:
        """The credit notes that exist for our keys; unknown keys are absent."""
        return self.memos.held(keys)

    def put_credit_memos(self, memos: Sequence[Payload]) -> dict[str, int | RemoteError]:
        """Create drafts by our keys; a repeated call makes no second one and no second line."""
        return self.memos.put(memos)

    def add_credit_memo_line(self, memo: int, line: Payload) -> None:
        """Add one line to a draft; repeating adds nothing."""
        self.memos.add_line(memo, line)

    def post_credit_memos(self, ids: Sequence[int]) -> dict[int, RemoteError]:
        """Post drafts; answers the refusals only. Posting twice is no error."""
        return self.memos.post(ids)

    def reverse_credit_memos(
        self, memos: Mapping[int, str], on: date
    ) -> dict[int, int | RemoteError]:
        """Take posted memos back by a counter entry under the key beside each; answers its id."""
        return self.memos.reverse(memos, on)

    def restocks(self, restocks: Sequence[Payload]) -> dict[str, Payload]:
        """What is there of these goods that came back, by our key, whoever booked it."""
        return self.parcels_back.held(restocks)

    def put_restocks(self, restocks: Sequence[Payload]) -> dict[str, RemoteError]:
        """Take goods back to the shelf, keep them apart or scrap them; refusals only."""
        return self.parcels_back.put(restocks)

    # The books

    def journals(self, keys: Sequence[str]) -> dict[str, Payload]:
        """The journal entries that exist for our keys, with their lines; others are absent."""
        return self.entries.held(keys)

    def put_journals(self, documents: Sequence[Payload]) -> dict[str, int | RemoteError]:
        """Create drafts by our keys; a repeated call makes no second one and no second line."""
        return self.entries.put(documents)

    def post_journals(self, ids: Sequence[int]) -> dict[int, RemoteError]:
        """Post drafts; answers the refusals, and what was posted on another day than asked."""
        return self.entries.post(ids)

    def invoices_changed_since(
        self, moment: datetime, overlap: timedelta
    ) -> Iterator[list[Raw | Broken]]:
        """Yield pages of invoices and credit notes to customers that changed, oldest first."""
        return self.invoices.changed_since(moment, overlap)


def _is_short(move: Payload) -> bool:
    return move["state"] not in ("done", "cancel") and move["quantity"] < move["product_uom_qty"]


def _id(many2one: Any) -> int:
    """The id in `[7, "name"]`; 0 for a missing value, which Odoo writes as false."""
    return int(many2one[0]) if many2one else 0


def _first_alive(rows: list[Payload]) -> Payload:
    """The oldest order that is not cancelled with the others as its twins, else the oldest.

    Cancelling all but one is how a person clears a doubled order, so the dead do not count.
    """
    alive = [row for row in rows if row["state"] not in CANCELLED]
    first, *twins = alive or rows[:1]
    return {**first, "twins": twins} if twins else first


def _single(loaded: Mapping[str, list[int] | RemoteError]) -> dict[str, int | RemoteError]:
    return {key: ids[0] if isinstance(ids, list) else ids for key, ids in loaded.items()}


def _known_column(column: str, known: Collection[str]) -> str:
    name, *rest = column.split("/")
    return "/".join([name if name in known else OLDER_NAME.get(name, name), *rest])
