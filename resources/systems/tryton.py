"""Tryton as an ERP over JSON-RPC: one method per thing we ask of it, payloads as it sends them.

The session, its encoding and its error shapes are in `tryton_rpc.py`; what a payload means is
for the mapper of the same name. One call is one transaction there: a refused call did nothing.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import httpx

from resources.errors import Missing, Refused, RemoteError
from resources.pages import Broken, Raw
from resources.systems import tryton_references
from resources.systems.roles import Payload, References
from resources.systems.tryton_catalog import Catalog
from resources.systems.tryton_customers import Customers, address_key
from resources.systems.tryton_deliveries import Deliveries
from resources.systems.tryton_fulfilment import Fulfilment
from resources.systems.tryton_invoices import Invoices
from resources.systems.tryton_journals import Journals
from resources.systems.tryton_memos import Memos
from resources.systems.tryton_returns import Restocks
from resources.systems.tryton_rpc import KEY_BATCH, Consent, Session, batches, halving, not_unique
from resources.systems.tryton_shipments import BACK, OUT, Shipments
from resources.systems.tryton_stock import Stock

CREATE_BATCH = 50
#: Confirming costs most of a second each, and the answer must come before the read timeout.
CONFIRM_BATCH = 10
#: Asked at quote and at confirm when stock is short; `unconfirmed_stock` shows these orders.
AGREED = ("stock_quantity_warning_",)

ORDER_FIELDS = (
    *("number", "reference", "state", "shipment_state", "invoice_state", "shipments", "invoices"),
    *("untaxed_amount", "tax_amount", "total_amount", "currency.code", "lines"),
    *("web_id", "web_shop.name", "company.rec_name", "warehouse.code", "party.code"),
    "last_modified_at",
)

#: What confirming takes: the state an order is in, and the button that moves it on.
STEPS = (("draft", "quote"), ("quotation", "confirm"), ("confirmed", "process"))
#: How an order no longer wanted is called off, state by state.
UNDO = (("confirmed", "draft"), ("draft", "cancel"), ("quotation", "cancel"))


class Tryton:
    """One database of one Tryton server, as one user.

    `web_shops` names the web shop of each of our stores; a store left out is its own name. An
    order's key is (web shop, web id), which the database there keeps unique. What lies in
    `quarantine_places` (codes of locations) is there, but not for sale; `today` is asked of the
    server where it is not given.
    """

    def __init__(
        self,
        http: httpx.Client,
        database: str,
        login: str,
        password: str,
        system: str = "tryton",
        web_shops: Mapping[str, str] | None = None,
        quarantine_places: Collection[str] = (),
        today: Callable[[], date] | None = None,
    ) -> None:
        self.system = system
        self.web_shops = dict(web_shops or {})
        self.rpc = Session(http, database, login, password, system)
        self.customers = Customers(self.rpc)
        self.fulfilment = Fulfilment(self.rpc)
        self.catalog = Catalog(self.rpc)
        self.stock = Stock(self.rpc, quarantine_places, today)
        self.shipments = Shipments(self.rpc, self._order_key, quarantine_places)
        self.outbound = Deliveries(self.rpc, self.shipments, self.fulfilment, today)
        self.inbound = Restocks(self.rpc, quarantine_places, today)
        self.memos = Memos(self.rpc)
        self.entries = Journals(self.rpc)
        self.invoices = Invoices(self.rpc, self._order_key)
        self._has_shipment_cost: bool | None = None

    def ping(self) -> str:
        """Sign in and name the version."""
        version = self.rpc.version()
        self.rpc.sign_in()
        return version

    # Reading

    def references(self) -> References:
        """Ids of master data by the names people configure; a name of two things is left out."""
        return tryton_references.references(self.rpc)

    def items(self, after_id: int = 0) -> Iterator[list[Payload]]:
        """Yield pages of salable products, archived ones too, in the order of their ids."""
        yield from self.catalog.items(after_id)

    def items_changed_since(self, moment: datetime, overlap: timedelta) -> Iterator[list[Payload]]:
        """Yield pages of products of which anything a catalog shows changed since."""
        yield from self.catalog.changed_since(moment, overlap)

    def stock_levels(
        self, warehouses: Sequence[str], items: Sequence[int] | None = None
    ) -> Iterator[list[Payload]]:
        """Yield pages of stock by product and warehouse code, of all goods or of `items`."""
        yield from self.stock.levels(warehouses, items)

    def moved_since(self, moment: datetime, overlap: timedelta) -> Iterator[list[Payload]]:
        """Yield pages of stock moves in any state that changed since."""
        yield from self.stock.moved_since(moment, overlap)

    def orders(self, keys: Sequence[str]) -> dict[str, Payload]:
        """The orders that exist for our keys, each with its `key`."""
        found: dict[str, Payload] = {}
        for batch in batches(keys, KEY_BATCH):
            key_of = {self._web_key(key): key for key in batch}
            for row in self._by_web_id(key_of, "web_shop.name", ORDER_FIELDS):
                key = key_of.get((row["web_shop."]["name"], row["web_id"]))
                if key is not None:
                    found[key] = {"key": key, **row}
        return found

    def _web_key(self, key: str) -> tuple[str, str]:
        store, _, number = key.partition(":")
        return self.web_shops.get(store, store), number

    def _order_key(self, web_shop: str, web_id: str) -> str | None:
        """Our key of a sale of a web shop; None where it is no store of ours."""
        if not self.web_shops:
            return f"{web_shop}:{web_id}"
        stores = [store for store, shop in self.web_shops.items() if shop == web_shop]
        return f"{stores[0]}:{web_id}" if stores else None

    def _by_web_id(
        self, pairs: Iterable[tuple[Any, str]], shop_field: str, fields: Sequence[str]
    ) -> list[Payload]:
        by_shop: dict[Any, list[str]] = {}
        for shop, web_id in pairs:
            by_shop.setdefault(shop, []).append(web_id)
        clauses = [
            [[shop_field, "=", shop], ["web_id", "in", ids]] for shop, ids in by_shop.items()
        ]
        return self.rpc.search("sale.sale", ["OR", *clauses], fields) if clauses else []

    # Customers

    def put_parties(self, parties: Sequence[Payload]) -> dict[str, int | RemoteError]:
        """Create customers by code; a known one gets the name, addresses and contacts it lacks."""
        return self.customers.put(parties)

    # Orders

    def put_orders(self, orders: Sequence[Payload]) -> dict[str, int | RemoteError]:
        """Create drafts; an order whose web id is there already is answered, not repeated."""
        answers: dict[str, int | RemoteError] = {}
        for batch in batches(orders, CREATE_BATCH):
            answers |= self._existing(batch)
            new = [order for order in batch if order["key"] not in answers]
            ready, refused = self._addressed(new)
            answers |= refused
            for order, outcome in halving(ready, self._create_orders):
                key = order["key"]
                taken = self._existing([order]) if not_unique(outcome) else {}
                answers[key] = taken.get(key, outcome)
        return answers

    def _existing(self, orders: Sequence[Payload]) -> dict[str, int | RemoteError]:
        key_of = {(order["web_shop"], order["web_id"]): order["key"] for order in orders}
        rows = self._by_web_id(key_of, "web_shop", ("web_shop", "web_id"))
        return {key_of[row["web_shop"], row["web_id"]]: row["id"] for row in rows}

    def _addressed(
        self, orders: Sequence[Payload]
    ) -> tuple[list[Payload], dict[str, int | RemoteError]]:
        """Orders with the ids of their addresses, made where the customer lacks them."""
        roles = ("invoice_address", "shipment_address")
        ids = self.customers.address_ids(
            [(order["party"], order[role]) for order in orders for role in roles]
        )
        ready: list[Payload] = []
        refused: dict[str, int | RemoteError] = {}
        for order in orders:
            outcomes = {role: ids[address_key(order["party"], order[role])] for role in roles}
            fault = next((o for o in outcomes.values() if isinstance(o, RemoteError)), None)
            if fault is not None:
                refused[order["key"]] = fault
            else:
                ready.append({**order, **outcomes})
        return ready, refused

    def _create_orders(self, orders: Sequence[Payload]) -> list[int]:
        values = [self._sale(order) for order in orders]
        made: list[int] = self.rpc.write("model.sale.sale.create", values)
        return made

    def _sale(self, order: Payload) -> Payload:
        values = {name: value for name, value in order.items() if name not in ("key", "lines")}
        if not self._with_shipment_cost():
            values.pop("shipment_cost_method", None)
        return {**values, "lines": [["create", [_line(line) for line in order["lines"]]]]}

    def _with_shipment_cost(self) -> bool:
        """Whether the module is active that would add a shipping line of its own."""
        if self._has_shipment_cost is None:
            name = "shipment_cost_method"
            self._has_shipment_cost = bool(self.rpc.read("model.sale.sale.fields_get", [name]))
        return self._has_shipment_cost

    def add_line(self, order: int, line: Payload) -> None:
        """Add a line to a draft; one at its sequence, or of its item and text, is that line."""
        same = [
            "OR",
            [["sequence", "=", line["sequence"]]],
            [["product", "=", line["product"]], ["description", "=", line["description"]]],
        ]
        if not self.rpc.search("sale.line", [["sale", "=", order], same], ("sequence",)):
            values = {"sale": order, "unit": self._unit(line["product"]), **_line(line)}
            self.rpc.write("model.sale.line.create", [values])

    def _unit(self, product: int) -> int | None:
        rows = self.rpc.search("product.product", [["id", "=", product]], ("sale_uom",))
        return rows[0]["sale_uom"] if rows else None

    # Confirming

    def confirm(self, ids: Sequence[int]) -> dict[int, RemoteError]:
        """Confirm drafts and see that shipment and invoice stand behind them."""
        refusals: dict[int, RemoteError] = {}
        for batch in batches(ids, CONFIRM_BATCH):
            refusals |= self._confirm(batch)
        return refusals

    def _confirm(self, ids: Sequence[int]) -> dict[int, RemoteError]:
        faults: dict[int, RemoteError] = {}
        for state, button in STEPS:
            here = [number for number, seen in self._states(ids).items() if seen == state]
            faults |= self._press(button, here)
        # A "yes" to confirm is given before the order is processed: only its state counts.
        return self._left_behind(ids, faults, ("processing", "done"))

    def _left_behind(
        self, ids: Sequence[int], faults: Mapping[int, RemoteError], wanted: Sequence[str]
    ) -> dict[int, RemoteError]:
        states = self._states(ids)
        return {
            number: self._why(number, states.get(number), faults.get(number))
            for number in ids
            if states.get(number) not in wanted
        }

    def _why(self, number: int, state: str | None, fault: RemoteError | None) -> RemoteError:
        if state is None:
            return Missing(self.system, f"there is no order {number}")
        if state == "confirmed":
            what = f"order {number} is confirmed, but has no shipment and no invoice"
            return Refused(self.system, f"{what}: {fault.message}" if fault else what, code="stuck")
        return fault or Refused(self.system, f"order {number} stays {state}", code=state)

    def _states(self, ids: Sequence[int]) -> dict[int, str]:
        rows = self.rpc.search("sale.sale", [["id", "in", list(ids)]], ("state",))
        return {row["id"]: row["state"] for row in rows}

    def _press(self, button: str, ids: Sequence[int]) -> dict[int, RemoteError]:
        outcomes = halving(ids, lambda part: self._agreeing(button, part))
        return {number: fault for number, fault in outcomes if isinstance(fault, RemoteError)}

    def _agreeing(self, button: str, ids: Sequence[int]) -> Sequence[None]:
        """Press a button, and again after agreeing to what it asks; never twice to the same."""
        agreed: set[str] = set()
        while True:
            try:
                self.rpc.write(f"model.sale.sale.{button}", list(ids))
            except Consent as asked:
                names = self._agreeable(asked.code or "", ids) - agreed
                if not names:
                    raise
                for name in sorted(names):
                    self.rpc.write("model.res.user.warning.skip", name, False)
                agreed |= names
            else:
                return [None] * len(ids)

    def _agreeable(self, name: str, ids: Sequence[int]) -> set[str]:
        """What to agree to when asked `name`: the same for every line, else each asks in turn.

        An empty store asks about ninety lines of ten orders, and starts over after each.
        """
        prefix = next((prefix for prefix in AGREED if name.startswith(prefix)), None)
        if prefix is None:
            return set()
        lines = self.rpc.search("sale.line", [["sale", "in", list(ids)]], ("sale",))
        return {name, *(f"{prefix}{line['id']}" for line in lines)}

    # Cancelling

    def cancel(self, ids: Sequence[int]) -> dict[int, RemoteError]:
        """Cancel orders, with the shipments and invoices behind them, and read them back."""
        faults: dict[int, RemoteError] = {}
        for state, button in UNDO:
            here = [number for number, seen in self._states(ids).items() if seen == state]
            faults |= self._press(button, here)
        for number, state in self._states(ids).items():
            if state in ("processing", "done"):
                fault = self.fulfilment.withdraw(number)
                faults |= {number: fault} if fault else {}
        withdrawn = self.fulfilment.withdrawn(ids)
        left = [number for number in ids if number not in withdrawn]
        return self._left_behind(left, faults, ())

    def unconfirmed_stock(self, ids: Sequence[int]) -> set[int]:
        """Orders among `ids` that were accepted although there is not enough on hand."""
        return self.fulfilment.short_of_stock(ids)

    # What leaves, what comes back, and what is credited

    def shipments_changed_since(
        self, moment: datetime, overlap: timedelta
    ) -> Iterator[list[Raw | Broken]]:
        """Yield pages of deliveries to customers that changed, oldest change first."""
        yield from self.shipments.changed_since(OUT, moment, overlap)

    def shipments_of(self, orders: Sequence[int]) -> list[Raw | Broken]:
        """The deliveries of these sales, whole, in any state."""
        return self.shipments.of_orders(orders)

    def returns_changed_since(
        self, moment: datetime, overlap: timedelta
    ) -> Iterator[list[Raw | Broken]]:
        """Yield pages of returns from customers that changed, oldest change first."""
        yield from self.shipments.changed_since(BACK, moment, overlap)

    def deliveries(self, deliveries: Sequence[Payload]) -> dict[str, Payload]:
        """The shipments that carry our keys, and whether what is left of the order is settled."""
        return self.outbound.known(deliveries)

    def put_deliveries(self, deliveries: Sequence[Payload]) -> dict[str, RemoteError]:
        """Post what left; a part leaves the rest in a new shipment, unless it was the last."""
        return self.outbound.put(deliveries)

    def credit_memos(self, keys: Sequence[str]) -> dict[str, Payload]:
        """The credit memos that exist for our keys, each with its `key`."""
        return self.memos.known(keys)

    def put_credit_memos(self, memos: Sequence[Payload]) -> dict[str, int | RemoteError]:
        """Create drafts; a memo whose key is there already is answered, not repeated."""
        return self.memos.put(memos)

    def add_credit_memo_line(self, memo: int, line: Payload) -> None:
        """Add a line to a draft; one of its product and text is that line."""
        self.memos.add_line(memo, line)

    def post_credit_memos(self, ids: Sequence[int]) -> dict[int, RemoteError]:
        """Post drafts, which gives them their number and their entry in the books."""
        return self.memos.post(ids)

    def reverse_credit_memos(
        self, memos: Mapping[int, str], on: date
    ) -> dict[int, int | RemoteError]:
        """Post an invoice over the lines of each memo, under the key beside it."""
        return self.memos.reverse(memos, on)

    def restocks(self, restocks: Sequence[Payload]) -> dict[str, Payload]:
        """What is received of goods that came back, by us or by somebody else."""
        return self.inbound.known(restocks)

    def put_restocks(self, restocks: Sequence[Payload]) -> dict[str, RemoteError]:
        """Receive what came back where it belongs; what somebody else received is adopted."""
        return self.inbound.put(restocks)

    # The books

    def journals(self, keys: Sequence[str]) -> dict[str, Payload]:
        """The journal entries that exist for our keys, each with its `key` and its lines."""
        return self.entries.known(keys)

    def put_journals(self, documents: Sequence[Payload]) -> dict[str, int | RemoteError]:
        """Create drafts; an entry whose key is there already is answered, not repeated."""
        return self.entries.put(documents)

    def post_journals(self, ids: Sequence[int]) -> dict[int, RemoteError]:
        """Post drafts, which gives them their number; answers the refusals only."""
        return self.entries.post(ids)

    def invoices_changed_since(
        self, moment: datetime, overlap: timedelta
    ) -> Iterator[list[Raw | Broken]]:
        """Yield pages of invoices and credit memos to customers that changed, oldest first."""
        yield from self.invoices.changed_since(moment, overlap)


def _line(line: Payload) -> Payload:
    """A line as it is sent; quantities are floats there, and whole ones are sent as integers."""
    values = {name: value for name, value in line.items() if name not in ("key", "taxes")}
    quantity = line["quantity"]
    if isinstance(quantity, Decimal) and quantity == quantity.to_integral_value():
        values["quantity"] = int(quantity)
    return {**values, "type": "line", "taxes": [["add", list(line["taxes"])]]}
