"""The Odoo stand-in against recordings of real servers: the recorded requests, in their order,
must be answered as recorded; the server's traceback is the only part that may differ.
"""

import json
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from resources.sandbox.odoo import OdooStandIn

RECORDINGS = Path(__file__).resolve().parents[2].parent / "shared" / "contracts" / "odoo"
pytestmark = pytest.mark.skipif(
    not RECORDINGS.is_dir(), reason="the recordings of real Odoo servers are not beside the project"
)

Pair = dict[str, Any]
#: What the recorded databases held: version, customer, first variant and template, delivery item.
IDS = {
    18: {
        "customer": 52,
        "product": 105,
        "template": 102,
        "delivery": 49,
        "bench": 133,
        "payer": 58,
    },
    19: {"customer": 47, "product": 58, "template": 42, "delivery": 56, "bench": 91, "payer": 54},
}
LETTER = {18: "C", 19: "A"}
BOTH = pytest.mark.parametrize("version", [18, 19])


class Recorded:
    """A stand-in that holds what a recorded database held, and a clock to set."""

    def __init__(self, version: int, at: str) -> None:
        self.version = version
        self.moment = datetime.fromisoformat(at).replace(tzinfo=UTC) + timedelta(microseconds=420)
        self.erp = OdooStandIn(
            version=version,
            database="demo",
            api_key="<api-key>",
            now=lambda: self.moment,
            companies=[("YourCompany", "USD")],
        )
        self.http = httpx.Client(base_url="http://odoo", transport=self.erp.transport())
        self.tax = self.erp.add_tax("YourCompany", "15%", 15)
        places = {18: (7, 2), 19: (4, 2)}[version]
        self.erp.next_id("stock.location", places[0])
        self.erp.next_id("stock.picking.type", places[1])
        self.erp.add_warehouse("YourCompany", "WH")

    def make(self, model: str, id_: int, **values: Any) -> None:
        """Make a record with the recorded id."""
        self.erp.next_id(model, id_)
        assert self.call(model, "create", [values]) == [id_]

    def call(self, model: str, method: str, *positional: Any) -> Any:
        """The result of a call that is not recorded."""
        args = ["demo", self.erp.uid, "<api-key>", model, method, list(positional), {}]
        params = {"service": "object", "method": "execute_kw", "args": args}
        return self.http.post("/jsonrpc", json={"id": 0, "params": params}).json()["result"]

    def product(self, id_: int, sku: str, name: str, **more: Any) -> None:
        """Make a product with the recorded id, taxed at 15 %."""
        self.erp.next_id("product.product", id_)
        self.erp.add_product(sku, name, "11", taxes=[self.tax], **more)

    def customer(self) -> None:
        """Make the recorded customer and her delivery address."""
        id_ = IDS[self.version]["customer"]
        ref = f"{LETTER[self.version]}-WOO-C-1"
        self.make("res.partner", id_, name="Ada Example", ref=ref)
        address = {"name": "Ada Delivery", "type": "delivery", "parent_id": id_}
        self.make("res.partner", id_ + 2, **address)

    def widgets(self) -> None:
        """Make the recorded first products, a thousand pieces each."""
        letter, first = LETTER[self.version], IDS[self.version]["product"]
        for number in range(1, 8):
            sku, name = f"{letter}-SKU-{number:03}", f"Widget {letter} {number}"
            self.product(first + number - 1, sku, name, stock={"WH": 1000})

    def replay(self, pairs: Iterable[Pair], between: Callable[[Pair], None] | None = None) -> int:
        """Send recorded requests and compare every answer; tells how many there were."""
        count = 0
        for pair in pairs:
            if between:
                between(pair)
            body = pair["request"]["body"]
            answer = self.http.post("/jsonrpc", json=body)
            recorded = pair["response"]
            assert answer.status_code == recorded["status"]
            assert answer.headers["content-type"] == recorded["headers"]["content-type"]
            assert _told(answer.json()) == _told(recorded["body"]), body["params"]["args"][3:]
            count += 1
        return count


def _told(body: Pair) -> Pair:
    """An answer without the server's traceback and its host."""
    error = body.get("error")
    if error is not None:
        assert isinstance(error["data"].pop("debug"), str)
        data = json.dumps(error["data"]).replace("db.example", "localhost")
        error["data"] = json.loads(data)
    return body


def _pairs(version: int, flow: str) -> Iterator[Pair]:
    """Recorded JSON-RPC calls of the integration user, and those without a user."""
    uid = {18: 9, 19: 7}[version]
    for pair in json.loads((RECORDINGS / f"v{version}" / f"{flow}.json").read_text()):
        body = pair["request"]["body"]
        if isinstance(body, dict):
            args = body["params"]["args"]
            if body["params"]["service"] == "common" or args[1] == uid:
                yield pair


def _args(pair: Pair) -> list[Any]:
    args: list[Any] = pair["request"]["body"]["params"]["args"]
    return args


def _called(pair: Pair) -> tuple[str, str]:
    args = _args(pair)
    return (args[3], args[4]) if len(args) > 4 else ("common", "")


@BOTH
def test_signing_in_is_answered_as_recorded(version: int) -> None:
    recorded = Recorded(version, "2026-11-20 18:00:00")
    assert recorded.replay(_pairs(version, "auth")) == 4


@BOTH
def test_an_order_lives_as_recorded(version: int) -> None:
    at = {18: "2026-11-20 18:36:34", 19: "2026-11-20 18:49:29"}[version]
    recorded, ids = Recorded(version, at), IDS[version]
    recorded.customer()
    recorded.product(ids["delivery"], "Delivery_007", "Standard delivery", kind="service")
    recorded.widgets()
    carrier = {"name": "Standard delivery", "delivery_type": "fixed"}
    recorded.make("delivery.carrier", 1, **carrier, product_id=ids["delivery"])
    order, line, picking, number = {18: (30, 60, 22, 17), 19: (25, 51, 20, 15)}[version]
    recorded.erp.next_id("sale.order", order)
    recorded.erp.next_id("sale.order.line", line)
    recorded.erp.next_id("stock.picking", picking)
    recorded.erp.next_id("WH/OUT", number)

    recorded.erp.next_id("stock.move", {18: 94, 19: 66}[version])

    assert recorded.replay(_pairs(version, "order")) == 28
    parcel = next(_pairs(version, "delivery"))
    assert recorded.replay([parcel]) == 1


@BOTH
def test_sums_are_rounded_as_recorded(version: int) -> None:
    recorded, ids = Recorded(version, "2026-11-20 18:40:00"), IDS[version]
    recorded.make("res.partner", ids["payer"], name="Bench")
    recorded.product(ids["bench"], "BENCH", "Bench")
    order, line = {18: (639, 1272), 19: (215, 424)}[version]
    recorded.erp.next_id("sale.order", order)
    recorded.erp.next_id("sale.order.line", line)

    assert recorded.replay(_pairs(version, "money")) == 5


@BOTH
def test_times_are_read_and_refused_as_recorded(version: int) -> None:
    recorded, ids = Recorded(version, "2026-11-20 18:40:00"), IDS[version]
    recorded.make("res.partner", ids["payer"], name="Bench")
    recorded.erp.next_id("sale.order", {18: 638, 19: 214}[version])
    orders = [pair for pair in _pairs(version, "datetime") if _called(pair)[0] == "sale.order"]

    assert recorded.replay(orders) == 7


@BOTH
def test_errors_are_worded_as_recorded(version: int) -> None:
    recorded = Recorded(version, "2026-11-20 18:40:00")
    partner, order, name = {18: (47, 28, "Ada Example"), 19: (10, 24, "Gemini Furniture")}[version]
    recorded.make("res.partner", partner, name=name)
    recorded.make("sale.order", order, partner_id=partner)
    # The other user has no stand-in, and accounting, which forbids the removal, neither.
    asked = [
        pair
        for pair in _pairs(version, "errors")
        if _called(pair) not in (("common", ""), ("res.partner", "unlink"))
    ]

    assert recorded.replay(asked) == 11


@BOTH
def test_contacts_are_kept_as_recorded(version: int) -> None:
    at = {18: "2026-11-20 18:36:33", 19: "2026-11-20 18:49:28"}[version]
    recorded = Recorded(version, at)
    recorded.erp.next_id("res.partner", IDS[version]["customer"])

    assert recorded.replay(_pairs(version, "party")) == 9


@BOTH
def test_products_are_kept_as_recorded(version: int) -> None:
    at = {18: "2026-11-20 18:36:20", 19: "2026-11-20 18:49:21"}[version]
    recorded, ids = Recorded(version, at), IDS[version]
    recorded.erp.next_id("product.template", ids["template"])
    recorded.erp.next_id("product.product", ids["product"])
    shirt = {18: 124, 19: 64}[version]

    def between(pair: Pair) -> None:
        if _args(pair)[4] == "load" and len(_args(pair)[5][1]) == 2:
            recorded.erp.next_id("product.template", shirt + 1)

    assert recorded.replay(filter(_without_attributes, _pairs(version, "catalog")), between) == 15


def _without_attributes(pair: Pair) -> bool:
    """Products with several variants, and exports, are not stood in for."""
    model, method = _called(pair)
    text = json.dumps(_args(pair))
    others = ("attribute", "SHIRT", "[124]", "[64]", "product_variant_ids")
    is_shirt = any(word in text for word in others)
    is_variant = model == "product.product" and 'product_tmpl_id", "in' in text
    return not (is_shirt or is_variant or method == "export_data")


@BOTH
def test_changes_are_found_as_recorded(version: int) -> None:
    first = {18: "2026-11-20 18:36:20", 19: "2026-11-20 18:49:21"}[version]
    later = {18: "2026-11-20 18:36:46", 19: "2026-11-20 18:49:40"}[version]
    recorded, ids = Recorded(version, first), IDS[version]
    recorded.make("res.partner", ids["customer"], name="Ada Example")
    letter = LETTER[version]
    for number in range(20):
        recorded.erp.next_id("product.template", ids["template"] + number)
        sku = f"{letter}-SKU-{number + 1:03}"
        recorded.product(ids["product"] + number, sku, f"Widget {letter} {number + 1}")
    recorded.moment += timedelta(seconds=10)
    recorded.erp.set_stock(f"{letter}-SKU-002", "WH", 5)  # stock does not move a product's time
    assert recorded.call("product.template", "write", [ids["template"]], {"weight": 1}) is True
    asked = [p for p in _pairs(version, "delta") if not _called(p)[0].startswith("stock.")]

    def between(pair: Pair) -> None:
        if _called(pair)[1] == "write":
            recorded.moment = datetime.fromisoformat(later).replace(tzinfo=UTC)

    assert recorded.replay(asked, between) == 11


@BOTH
def test_a_lost_race_of_loads_is_told_as_recorded(version: int) -> None:
    recorded = Recorded(version, "2026-11-20 18:51:00")
    recorded.erp.next_id("res.partner", {18: 100, 19: 92}[version])
    loads = [pair for pair in _pairs(version, "races") if _called(pair)[1] == "load"]

    def between(pair: Pair) -> None:
        if pair["response"]["body"]["result"]["ids"] is False:
            recorded.erp.serialize_races(1)

    assert recorded.replay(loads, between) == 4


@BOTH
def test_master_data_is_listed_as_recorded(version: int) -> None:
    recorded = Recorded(version, "2026-11-20 18:40:00")
    warehouse, place, kind = {18: (4, 40, 26), 19: (3, 33, 18)}[version]
    recorded.erp.next_id("stock.location", place)
    recorded.erp.next_id("stock.picking.type", kind)
    recorded.erp.next_id("stock.warehouse", warehouse)
    recorded.erp.add_warehouse("YourCompany", "WH2", "Second")
    if version == 19:
        recorded.erp.next_id("account.tax", 3)
        recorded.erp.add_tax("YourCompany", "0% Exports", 0)
    asked = [pair for pair in _pairs(version, "lookups") if _called(pair)[0] != "delivery.carrier"]

    # 19 was asked for its warehouses before the second one was made, too.
    assert recorded.replay(asked[-6:]) == 6


@BOTH
def test_fields_have_the_recorded_types(version: int) -> None:
    recorded = Recorded(version, "2026-11-20 18:40:00")
    [pair] = _pairs(version, "fields")
    shown = recorded.http.post("/jsonrpc", json=pair["request"]["body"]).json()["result"]
    real = pair["response"]["body"]["result"]

    assert len(shown) == 31
    assert shown == {name: real[name] for name in shown}
