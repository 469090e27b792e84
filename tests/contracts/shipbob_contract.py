"""ShipBob's contract as a check of requests and answers, and a stand-in behind it."""

import json
import re
from collections.abc import Callable, Iterable
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import pydantic
import pytest

import sync_assets.mappers.shipbob as mapper
from resources.http import Manners, client
from resources.pages import Broken, Raw
from resources.sandbox.shipbob import ShipBobStandIn
from resources.systems.bearer import BearerAuth
from resources.systems.shipbob import ShipBob
from sync_assets.domain.fulfilment import FulfilmentLine, FulfilmentOrder
from sync_assets.domain.sales import Address

FILE = (
    Path(__file__).resolve().parents[2].parent
    / "shared"
    / "contracts"
    / "shipbob"
    / "openapi-2026-01.json"
)
HOUR, NOTHING = timedelta(hours=1), timedelta()
NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


class Clock:
    def __init__(self, now: datetime = NOON) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def tick(self, seconds: float = 1) -> None:
        self.now += timedelta(seconds=seconds)


class Contract:
    """The operations of the OpenAPI; objects may hold nothing it does not name."""

    def __init__(self, spec: dict[str, Any]) -> None:
        self.jsonschema = pytest.importorskip("jsonschema_rs")
        self.paths, self.components = spec["paths"], _closed(spec["components"])
        self.patterns = {
            path: re.compile(re.sub(r"\\\{\w+\\\}", r"([^/:]+)", re.escape(path)))
            for path in self.paths
        }
        self.validators: dict[str, Any] = {}

    def check(self, request: httpx.Request, answer: httpx.Response) -> None:
        """Fail unless both keep to the contract; 429 stands in none of its operations."""
        operation = self.operation(request)
        self._check_parameters(operation, request)
        body = operation.get("requestBody")
        if body is not None:
            self._check_body("request", body, request.content)
        else:
            assert not request.content, "a body where the contract has none"
        if answer.status_code != 429:
            told = operation["responses"].get(str(answer.status_code))
            assert told is not None, f"{answer.status_code} is no answer of {request.url.path}"
            self._check_body("answer", told, answer.content)

    def operation(self, request: httpx.Request) -> dict[str, Any]:
        for path, pattern in self.patterns.items():
            if pattern.fullmatch(request.url.path) and request.method.lower() in self.paths[path]:
                found: dict[str, Any] = self.paths[path][request.method.lower()]
                return found
        raise AssertionError(f"no operation {request.method} {request.url.path}")

    def _check_parameters(self, operation: dict[str, Any], request: httpx.Request) -> None:
        known = {(p["in"], p["name"]): p for p in operation.get("parameters", ())}
        for name, value in request.url.params.items():
            assert ("query", name) in known, f"no parameter {name} of {request.url.path}"
            self._check_value(known["query", name]["schema"], value, name)
        for (place, name), parameter in known.items():
            if place == "header" and parameter.get("required"):
                assert request.headers.get(name), f"the header {name} is missing"

    def _check_value(self, schema: dict[str, Any], text: str, name: str) -> None:
        kind = schema.get("type")
        value: Any = int(text) if kind == "integer" and re.fullmatch(r"-?\d+", text) else text
        value = {"true": True, "false": False}.get(text, value) if kind == "boolean" else value
        self._validate(f"parameter {name}", schema, value)

    def _check_body(self, what: str, told: dict[str, Any], content: bytes) -> None:
        schema = told.get("content", {}).get("application/json", {}).get("schema")
        if not schema or (not content and what == "answer"):
            return
        self._validate(what, schema, json.loads(content))

    def _validate(self, what: str, schema: dict[str, Any], value: Any) -> None:
        key = json.dumps(schema, sort_keys=True)
        if key not in self.validators:
            whole = {**schema, "components": self.components}
            self.validators[key] = self.jsonschema.Draft202012Validator(
                whole, validate_formats=True
            )
        faults = [
            f"{what} {'/'.join(map(str, fault.instance_path))}: {fault.message}"
            for fault in self.validators[key].iter_errors(value)
        ]
        assert not faults, "\n".join(faults)


def _closed(components: dict[str, Any]) -> dict[str, Any]:
    """The same schemas, but an object holds nothing that is not named."""
    found = deepcopy(components)
    for schema in found["schemas"].values():
        if schema.get("properties"):
            schema.setdefault("additionalProperties", False)
    return found


@cache
def contract() -> Contract:
    if not FILE.exists():
        pytest.skip("ShipBob's contract is kept beside the project (../shared), and is not there")
    return Contract(json.loads(FILE.read_text()))


def checked(standin: ShipBobStandIn) -> httpx.MockTransport:
    """The stand-in behind the contract: a wrong call and a wrong answer fail alike."""
    whole = contract()

    def handle(request: httpx.Request) -> httpx.Response:
        answer = standin.handle(request)
        whole.check(request, answer)
        return answer

    return httpx.MockTransport(handle)


def account(**options: Any) -> ShipBobStandIn:
    options.setdefault("now", Clock())
    return ShipBobStandIn(**options)


def over(
    transport: httpx.BaseTransport,
    *,
    token: str = "pat_test",
    channel_id: int = 7001,
    attempts: int = 1,
    sleep: Callable[[float], None] = lambda seconds: None,
) -> ShipBob:
    """A client of what answers on a transport."""
    auth = BearerAuth(pydantic.SecretStr(token))
    http = client(
        "shipbob",
        "https://api.shipbob.com",
        Manners(attempts=attempts),
        auth=auth,
        transport=transport,
        sleep=sleep,
    )
    return ShipBob(http, "threepl", channel_id)


def warehouse(standin: ShipBobStandIn, **options: Any) -> ShipBob:
    """The client before a stand-in, with the contract between them."""
    return over(checked(standin), **options)


def ask(shipbob: ShipBob, key: str = "us:1042:f1", **units: int) -> None:
    """Ask for units of articles, two shirts and a mug if nothing is said."""
    lines = tuple(
        FulfilmentLine(
            key=f"{key}:{n}", sku=sku, description=sku, units=count, unit_amount=Decimal("9.90")
        )
        for n, (sku, count) in enumerate((units or {"TEE": 2, "MUG": 1}).items())
    )
    document = FulfilmentOrder(
        key=key,
        order_ref="us:1042",
        store="us",
        order_number="1042",
        warehouse="8",
        placed_at=datetime(2026, 11, 20, 9, 30, tzinfo=UTC),
        currency="USD",
        ship_to=Address(name="Ada Field", street="12 Mill Lane", city="Albany", country="US"),
        lines=lines,
    )
    body = mapper.fulfilment_order(document, shipping_method="Standard")
    assert shipbob.put_fulfilments([body]) == {}


def asked(**options: Any) -> tuple[ShipBobStandIn, ShipBob, Clock]:
    """An account that was asked for two shirts and a mug."""
    clock = Clock()
    standin = account(now=clock, **options)
    shipbob = warehouse(standin)
    ask(shipbob)
    clock.tick(60)
    return standin, shipbob, clock


def raws(pages: Iterable[list[Raw | Broken]]) -> list[Raw]:
    found = [one for page in pages for one in page]
    assert all(isinstance(one, Raw) for one in found)
    return [one for one in found if isinstance(one, Raw)]
