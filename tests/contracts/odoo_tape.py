"""Prepared answers for the Odoo client, and the order it writes."""

import json
from collections import defaultdict, deque
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import httpx

import sync_assets.mappers.odoo as mapper
from resources.http import Manners, client
from resources.systems.odoo import Odoo
from sync_assets.domain.sales import Address, Party, SalesLine, SalesOrder

D = Decimal
#: What is read with items and references; nothing of it is there unless a test plays it.
BESIDE_ITEMS = (
    "product.template",
    "product.template.attribute.value",
    "product.pricelist",
    "product.pricelist.item",
    "product.category",
    "account.tax",
    "account.journal",
    "account.account",
    "ir.attachment",
)
Answer = dict[str, Any] | httpx.Response | Exception


def said(value: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": 1, "result": value}


def failed(name: str, message: str) -> dict[str, Any]:
    data = {"name": name, "message": message, "debug": "Traceback: secret", "arguments": []}
    return {"jsonrpc": "2.0", "id": 1, "error": {"message": "Odoo Server Error", "data": data}}


@dataclass
class Call:
    model: str
    method: str
    args: list[Any]
    options: dict[str, Any]
    safe: bool


@dataclass
class Tape:
    """Plays prepared answers per model and method, and keeps what was asked."""

    line_fields: list[str] = field(default_factory=lambda: ["tax_ids", "product_uom_id"])
    calls: list[Call] = field(default_factory=list)
    answers: dict[tuple[str, str], deque[Answer]] = field(
        default_factory=lambda: defaultdict(deque)
    )

    def play(self, model: str, method: str, *answers: Answer) -> "Tape":
        self.answers[model, method].extend(answers)
        return self

    def __call__(self, request: httpx.Request) -> httpx.Response:
        params = json.loads(request.content)["params"]
        common = ["common", params["method"], params["args"], {}]
        target = params["args"][3:] if params["service"] == "object" else common
        model, method, args, options = target
        call = Call(model, method, args, options, request.extensions["safe"])
        self.calls.append(call)
        answer = self._answer(call)
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, httpx.Response):
            return answer
        return httpx.Response(200, content=json.dumps(answer, default=float))

    def _answer(self, call: Call) -> Answer:
        waiting = self.answers.get((call.model, call.method))
        if waiting:
            return waiting.popleft()
        usual: dict[tuple[str, str], Any] = {
            ("common", "authenticate"): 9,
            ("res.company", "search_read"): [{"id": 1}, {"id": 2}],
            ("sale.order.line", "fields_get"): {name: {} for name in self.line_fields},
            ("product.template", "fields_get"): {"name": {}, "is_storable": {}},
        }
        if (call.model, call.method) == ("mrp.bom", "fields_get"):
            return failed("odoo.exceptions.UserError", "Object mrp.bom doesn't exist")
        if call.model in BESIDE_ITEMS and call.method == "search_read":
            return said([])
        return said(usual[call.model, call.method])

    def of(self, model: str, method: str) -> list[Call]:
        return [call for call in self.calls if (call.model, call.method) == (model, method)]

    def rows(self, model: str) -> list[list[list[str]]]:
        """The rows of every `load` of a model."""
        return [call.args[1] for call in self.of(model, "load")]


def item(id_: int, **more: Any) -> dict[str, Any]:
    """An item with little to it."""
    values = {"product_template_attribute_value_ids": [], "product_tmpl_id": [id_, "Item"]}
    return {"id": id_, "product_template_variant_value_ids": [], **values, **more}


def odoo(tape: Tape) -> Odoo:
    http = client(
        "books",
        "http://odoo.example",
        Manners(attempts=2),
        transport=httpx.MockTransport(tape),
        sleep=lambda seconds: None,
    )
    return Odoo(http, "demo", "sync", "key", system="books")


ADA = Party(key="us:customer:5", address=Address(name="Ada", country="US"))
DEPOT = Party(key="us:customer:5:to:0f", address=Address(name="Depot", country="US"))
REFS = {
    "company": {"Acme": 1},
    "warehouse": {"WH": 7},
    "tax": {"15%": 31},
    "currency": {"USD": 1},
    "country": {"US": 233},
}


def document(number: int) -> SalesOrder:
    line = SalesLine(
        key=f"us:{number}:product:1",
        kind="product",
        item="SKU-1",
        item_id=105,
        description="Widget",
        quantity=D(3),
        net_amount=D("10.00"),
        tax_amount=D("1.50"),
        taxes=("15%",),
    )
    return SalesOrder(
        key=f"us:{number}",
        store="us",
        order_id=str(number),
        number=str(number),
        placed_at=datetime(2026, 11, 20, 17, tzinfo=UTC),
        currency="USD",
        company="Acme",
        warehouse="WH",
        party=ADA,
        ship_to=DEPOT,
        lines=(line,),
        total_amount=D("11.50"),
    )


def order(number: int) -> dict[str, Any]:
    return mapper.order(document(number), REFS, {ADA.key: 52, DEPOT.key: 54})


def states(**words: str) -> dict[str, Any]:
    return said([{"id": int(id_[1:]), "state": word} for id_, word in words.items()])
