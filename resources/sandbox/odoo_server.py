"""The server of the Odoo stand-in: the wire, signing in, rights, which method may be called.

How records behave stands in `odoo_orm`, `odoo_catalog`, `odoo_sales`, `odoo_stock`, `odoo_load`.
"""

import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from threading import Lock, RLock
from typing import Any

import httpx

from resources.sandbox import (
    odoo_billing,
    odoo_catalog,
    odoo_counts,
    odoo_entries,
    odoo_errors,
    odoo_invoices,
    odoo_load,
    odoo_sales,
    odoo_stock,
    odoo_transfers,
)
from resources.sandbox.faults import Faults, StandIn
from resources.sandbox.odoo_errors import OdooFault
from resources.sandbox.odoo_orm import Context, Database
from resources.sandbox.odoo_places import COUNTRIES, STATES, UNITS, coded
from resources.sandbox.odoo_rows import Row, Tables
from resources.sandbox.odoo_sales import ORDER, Sales
from resources.sandbox.odoo_schema import FIRST_ID, INDEXED, models
from resources.sandbox.odoo_schema_goods import MODULES

COMPANIES = (("Acme US Inc", "USD"), ("Acme UK Ltd", "GBP"), ("Acme Europe GmbH", "EUR"))
READS = frozenset({"search", "search_read", "search_count", "read", "fields_get"})
SERVER = {18: "18.0-20250702", 19: "19.0"}

#: Parameters by method, in their order; those of `search_read` take any further keyword.
PARAMETERS: dict[str, tuple[str, ...]] = {
    "search": ("domain", "offset", "limit", "order"),
    "search_count": ("domain", "limit"),
    "search_read": ("domain", "fields", "offset", "limit", "order"),
    "read": ("ids", "fields", "load"),
    "fields_get": ("allfields", "attributes"),
    "create": ("vals_list",),
    "write": ("ids", "vals"),
    "unlink": ("ids",),
    "load": ("fields", "data"),
    "action_confirm": ("ids",),
    "action_cancel": ("ids",),
    "action_draft": ("ids",),
}
ONLY_OF_ORDERS = ("action_confirm", "action_cancel", "action_draft")
#: What may be done with goods and documents: model and method.
GOODS: Mapping[tuple[str, str], Callable[[Database, list[int], Context], Any]] = {
    ("stock.picking", "button_validate"): odoo_transfers.validate,
    ("stock.backorder.confirmation", "process"): odoo_transfers.process,
    ("stock.return.picking", "action_create_returns"): odoo_transfers.create_returns,
    ("stock.quant", "action_apply_inventory"): odoo_counts.apply,
    ("stock.picking", "action_cancel"): odoo_transfers.cancel,
    ("stock.picking", "action_assign"): odoo_transfers.assign,
    ("stock.scrap", "action_validate"): odoo_transfers.scrap,
    ("account.move", "action_post"): odoo_invoices.post,
    ("account.move", "button_cancel"): odoo_invoices.cancel,
    ("account.move.reversal", "refund_moves"): odoo_billing.reverse,
    ("sale.advance.payment.inv", "create_invoices"): odoo_billing.create_invoices,
}
PARAMETERS |= {method: ("ids",) for _, method in GOODS}

#: Models for administrators only, with the group that may, by version.
PROTECTED = {
    "ir.model.data": {18: "Administration/Access Rights", 19: "Access Rights"},
    "decimal.precision": {18: "Administration/Settings", 19: "Role / Administrator"},
}
#: Models that everybody reads and only these groups change.
READ_ONLY = {"res.company": {18: "Administration/Access Rights", 19: "Access Rights"}}
ACTIONS = {"create": "create", "load": "create", "write": "modify", "unlink": "delete"}


class OdooServer(StandIn):
    """One Odoo database behind JSON-RPC."""

    name = "odoo"

    def __init__(
        self,
        *,
        version: int = 18,
        database: str = "erp",
        login: str = "sync",
        api_key: str = "key",
        now: Callable[[], datetime],
        companies: Sequence[tuple[str, str]] = COMPANIES,
        faults: Faults | None = None,
        concurrent_limit: int | None = None,
        administrator: bool = False,
        modules: Collection[str] = (),
    ) -> None:
        super().__init__(faults)
        self.version, self.database, self.login, self.api_key = version, database, login, api_key
        self.now, self.concurrent_limit, self.administrator = now, concurrent_limit, administrator
        self.uid = 9 if version == 18 else 7
        self.tables = Tables(INDEXED, FIRST_ID, now())
        self.db = Database(version, self.tables, self.uid)
        self.sales = Sales(self.db)
        self.modules: set[str] = set()
        self.install(*modules)
        rules = odoo_catalog.RULES | odoo_stock.RULES | odoo_transfers.RULES
        rules |= odoo_invoices.RULES | odoo_billing.RULES
        self.db.rules = rules | odoo_sales.rules(self.sales)
        self.db.derived = odoo_catalog.DERIVED | odoo_stock.DERIVED | odoo_sales.DERIVED
        self.db.derived |= odoo_invoices.DERIVED
        self.db.names = odoo_catalog.NAMES | odoo_stock.NAMES | odoo_sales.NAMES
        self.db.names |= odoo_entries.NAMES
        self.db.settle = self.sales.settle
        self.late_seconds = 0.0
        self.races = 0
        self._stale = False
        self._under_way = 0
        self._count, self.one_at_a_time = Lock(), RLock()
        self._found(companies)

    def _found(self, companies: Sequence[tuple[str, str]]) -> None:
        """What every database starts with."""
        with self.writing():
            insert = self.tables.insert
            insert("uom.uom", {"name": "Units"})
            insert("product.category", {"name": "All"})
            odoo_stock.customers(self.db)
            countries = {
                code: insert("res.country", {"code": code, "name": name})
                for code, name in coded(COUNTRIES)
            }
            for country, states in STATES.items():
                for code, name in coded(states):
                    state = {"code": code, "name": name, "country_id": countries[country]}
                    insert("res.country.state", state)
            for name, currency in companies:
                values = {"name": name, "currency_id": self.currency(currency)}
                odoo_invoices.open_books(self.db, insert("res.company", values))
            self.tables.next_id["res.users"] = self.uid
            insert("res.users", {"name": self.login, "login": self.login})

    def install(self, *modules: str) -> None:
        """Install modules that bring models or fields of their own."""
        self.modules |= set(modules)
        absent = {name for module in set(MODULES) - self.modules for name in MODULES[module]}
        known = {n: one for n, one in models(self.version).items() if n not in absent}
        for model, _, field in (name.partition("/") for name in absent if "/" in name):
            fields = {n: one for n, one in known[model].fields.items() if n != field}
            known[model] = replace(known[model], fields=fields)
        self.db.models = known

    # The wire

    def handle(self, request: httpx.Request) -> httpx.Response:
        """Answer one request, unless too many are under way."""
        with self._count:
            self._under_way += 1
            crowded = self.concurrent_limit is not None and self._under_way > self.concurrent_limit
        try:
            if crowded:
                self.calls[self.operation(request)] += 1
                return self.throttled(1)
            return super().handle(request)
        finally:
            with self._count:
                self._under_way -= 1

    def operation(self, request: httpx.Request) -> str:
        """`sale.order.load`, `common.authenticate`, or method and path of anything else."""
        call = _call(request)
        if call is None:
            return f"{request.method} {request.url.path}"
        params = call["params"]
        if params["service"] == "object" and len(params["args"]) > 4:
            return f"{params['args'][3]}.{params['args'][4]}"
        return f"{params['service']}.{params['method']}"

    def answer(self, request: httpx.Request) -> httpx.Response:
        """Do what a JSON-RPC call asks and answer it."""
        if request.url.path != "/jsonrpc" or request.method != "POST":
            return httpx.Response(404, html="<h1>Not Found</h1>")
        call = _call(request)
        if call is None:
            return httpx.Response(400, text="Invalid JSON data")
        answer: Row = {"jsonrpc": "2.0", "id": call.get("id")}
        try:
            with self.one_at_a_time:
                result = self._served(call["params"])
            if result is not None:
                answer["result"] = result
        except OdooFault as fault:
            code = 200 if self.version == 18 else 0
            answer["error"] = {
                "code": code,
                "message": "Odoo Server Error",
                "data": fault.data(),
            }
        return httpx.Response(
            200,
            content=json.dumps(answer).encode(),
            headers={"Content-Type": "application/json; charset=utf-8"},
        )

    def stale(self, request: httpx.Request) -> httpx.Response:
        """Answer a read without the newest change."""
        self._stale = True
        try:
            return self.answer(request)
        finally:
            self._stale = False

    def _served(self, params: Row) -> Any:
        service, method, args = params["service"], params["method"], params["args"]
        if service == "common" and method == "version":
            number = [self.version, 0, 0, "final", 0, ""]
            return {
                "server_version": SERVER[self.version],
                "server_version_info": number,
                "server_serie": f"{self.version}.0",
                "protocol_version": 1,
            }
        if args and args[0] != self.database:
            raise odoo_errors.no_database(str(args[0]))
        if service == "common" and method in ("authenticate", "login"):
            return self.uid if args[1:3] == [self.login, self.api_key] else False
        if service != "object" or method != "execute_kw":
            raise odoo_errors.no_method(service, method)
        if args[1:3] != [self.uid, self.api_key]:
            raise odoo_errors.access_denied()
        return self._executed(args[3], args[4], args[5], args[6] if len(args) > 6 else {})

    def _executed(self, model: str, method: str, args: list[Any], keywords: Row) -> Any:
        if model not in self.db.models:
            raise odoo_errors.no_model(model)
        if method.startswith("_"):
            raise odoo_errors.private_method(model, method)
        if not _is_known(model, method):
            raise odoo_errors.no_method(model, method)
        context: Context = keywords.get("context") or {}
        bound = _bound(model, method, args, keywords)
        self._check_rights(model, method, context)
        if method in READS:
            with self.tables.reading(self.now(), stale=self._stale):
                return self._read(model, method, context, bound)
        with self.writing():
            result = self._write(model, method, context, bound)
            self.sales.settle()
            return result

    def _check_rights(self, model: str, method: str, context: Context) -> None:
        known = set(self.tables.ids["res.company"])
        if not set(context.get("allowed_company_ids") or ()) <= known:
            raise odoo_errors.other_companies()
        groups = PROTECTED | ({} if method in READS else READ_ONLY)
        if model in groups and not self.administrator:
            action, group = ACTIONS.get(method, "access"), groups[model][self.version]
            raise odoo_errors.not_allowed(model, self.db.models[model].label, action, group)

    def _read(self, model: str, method: str, context: Context, bound: Row) -> Any:
        db = self.db
        if method == "fields_get":
            return self._fields(model, bound.get("allfields"), bound.get("attributes"))
        if method == "read":
            return db.read(model, _ids(bound), bound.get("fields"), context)
        domain = bound.get("domain") or []
        how = {"limit": bound.get("limit") or None, "order": bound.get("order") or None}
        if method == "search_count":
            return len(db.search(model, domain, context, order="id", limit=how["limit"]))
        found = db.search(model, domain, context, offset=bound.get("offset") or 0, **how)
        return found if method == "search" else db.read(model, found, bound.get("fields"), context)

    def _create(self, model: str, context: Context, bound: Row) -> Any:
        given = bound["vals_list"]
        many = given if isinstance(given, list) else [given]
        if model == "stock.quant" and context.get("inventory_mode"):
            ids = odoo_counts.note(self.db, many, context)
        else:
            ids = [self.db.create(model, values, context) for values in many]
        return ids if isinstance(given, list) else ids[0]

    def _write(self, model: str, method: str, context: Context, bound: Row) -> Any:
        if (model, method) in GOODS:
            return GOODS[model, method](self.db, _ids(bound), context)
        match method:
            case "create":
                return self._create(model, context, bound)
            case "load":
                matrix = (bound["fields"], bound["data"])
                if self.races > 0:
                    self.races -= 1
                    return odoo_load.conflicted(self.db, model, *matrix, context)
                return odoo_load.load(self.db, model, *matrix, context)
            case "write":
                self.db.write(model, _ids(bound), bound["vals"], context)
            case "unlink":
                self.db.unlink(model, _ids(bound))
            case "action_confirm":
                return self.sales.confirm(_ids(bound))
            case "action_cancel":
                return self.sales.cancel(_ids(bound), context)
            case _:
                return self.sales.back_to_draft(_ids(bound))
        return True

    def _fields(self, model: str, names: Any, attributes: Any) -> Row:
        fields = self.db.models[model].fields
        shown = {
            name: {
                "type": field.type,
                "string": field.label,
                "required": field.required,
                "readonly": field.readonly,
                "store": not field.derived,
                **({"relation": field.target} if field.target else {}),
                **({"selection": [[c, c] for c in field.choices]} if field.choices else {}),
            }
            for name, field in fields.items()
            if not names or name in names
        }
        if not attributes:
            return shown
        return {n: {a: v for a, v in s.items() if a in attributes} for n, s in shown.items()}

    @contextmanager
    def writing(self) -> Iterator[None]:
        """One call is one transaction; its start is the time of all its rows."""
        try:
            with self.one_at_a_time, self.tables.writing(self.now(), self.late_seconds):
                yield
        finally:
            self.sales.forget()

    def currency(self, name: str) -> int:
        """The id of a currency, made when it is new."""
        for id_, row in self.tables.rows["res.currency"].items():
            if row["name"] == name:
                return id_
        unit = Decimal(UNITS.get(name, "0.01"))
        row = {"name": name, "symbol": name, "rounding": unit}
        return self.tables.insert("res.currency", row)


def _is_known(model: str, method: str) -> bool:
    """Whether the model has the method: some are of one model only."""
    if (model, method) in GOODS:
        return True
    if method in ONLY_OF_ORDERS:
        return model == ORDER
    return method in PARAMETERS and all(method != of_goods for _, of_goods in GOODS)


def _call(request: httpx.Request) -> Row | None:
    """The JSON-RPC call in a request, read once."""
    if "odoo.call" not in request.extensions:
        try:
            body = json.loads(request.content, parse_float=Decimal)
        except ValueError:
            body = None
        is_call = isinstance(body, dict) and isinstance(body.get("params"), dict)
        request.extensions["odoo.call"] = body if is_call else None
    call: Row | None = request.extensions["odoo.call"]
    return call


def _bound(model: str, method: str, args: list[Any], keywords: Row) -> Row:
    """Arguments by parameter name."""
    names = PARAMETERS[method]
    given = {name: value for name, value in keywords.items() if name != "context"}
    unknown = [name for name in given if name not in names and method != "search_read"]
    if unknown or len(args) > len(names):
        what = f"an unexpected keyword argument {unknown[0]!r}" if unknown else "too many arguments"
        raise odoo_errors.bad_arguments(f"{method}() got {what}")
    bound = {**dict(zip(names, args, strict=False)), **given}
    needed = [n for n in ("ids", "vals_list", "vals", "fields", "data") if n in names]
    for name in needed if method not in READS else ():
        if name not in bound:
            message = f"{model}.{method}() missing 1 required positional argument: {name!r}"
            raise odoo_errors.bad_arguments(message)
    return bound


def _ids(bound: Row) -> list[int]:
    ids = bound.get("ids") or []
    return ids if isinstance(ids, list) else [ids]
