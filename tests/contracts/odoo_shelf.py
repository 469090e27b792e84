"""A stocked Odoo stand-in, a clock to set, and short ways to call it; for the tests beside."""

from datetime import UTC, datetime
from typing import Any

import httpx

from resources.sandbox.odoo import OdooStandIn

NOON = datetime(2026, 11, 20, 12, 0, 0, 250_000, tzinfo=UTC)


class Shelf:
    """A stocked stand-in, a clock to set, and calls to it."""

    def __init__(self, version: int = 18, **how: Any) -> None:
        self.moment = NOON
        self.erp = OdooStandIn(version=version, now=lambda: self.moment, **how)
        self.http = httpx.Client(base_url="http://odoo", transport=self.erp.transport())
        self.taxes = "tax_id" if version == 18 else "tax_ids"
        self.erp.add_warehouse("Acme US Inc", "US1")
        self.erp.add_warehouse("Acme UK Ltd", "UK1")
        self.mug = self.erp.add_product("MUG", "Mug", "9.99", {"US1": 5, "UK1": 3})
        self.pen = self.erp.add_product("PEN", "Pen", "1.50", {"US1": 100})
        self.ada = self.call("res.partner", "create", {"name": "Ada", "ref": "ada"})

    def answer(self, model: str, method: str, *args: Any, **keywords: Any) -> dict[str, Any]:
        """The whole answer to a call."""
        target = ["erp", self.erp.uid, "key", model, method, list(args), keywords]
        params = {"service": "object", "method": "execute_kw", "args": target}
        response = self.http.post("/jsonrpc", json={"jsonrpc": "2.0", "id": 1, "params": params})
        assert response.status_code == 200
        answer: dict[str, Any] = response.json()
        return answer

    def call(self, model: str, method: str, *args: Any, **keywords: Any) -> Any:
        """The result of a call that must succeed."""
        return self.answer(model, method, *args, **keywords)["result"]

    def refusal(self, model: str, method: str, *args: Any, **keywords: Any) -> tuple[str, str]:
        """Name and text of the error of a call that must fail."""
        data = self.answer(model, method, *args, **keywords)["error"]["data"]
        return str(data["name"]).rpartition(".")[2], str(data["message"])

    def load(self, columns: list[str], *rows: list[Any], **context: Any) -> Any:
        """Load orders."""
        return self.call("sale.order", "load", columns, list(rows), context=context)

    def order(self, ref: str, *lines: dict[str, Any], **head: Any) -> int:
        """Create a draft."""
        commands = [[0, 0, line] for line in lines]
        values = {"partner_id": self.ada, "client_order_ref": ref, "order_line": commands, **head}
        return int(self.call("sale.order", "create", values))

    def one(self, ref: str) -> dict[str, Any]:
        """The only order of a reference."""
        [order] = self.erp.orders_by_ref()[ref]
        return order

    def found(self, model: str, *domain: Any, **how: Any) -> list[int]:
        """Ids found by a domain."""
        return list(self.call(model, "search", list(domain), **how))
