"""Stand-ins over real HTTP: paths, faults on the wire, and the control door."""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime

import httpx
import pytest

from resources.sandbox.faults import Fault, StandIn, Trouble
from resources.sandbox.serve import serve
from resources.sandbox.woocommerce import WooCommerceStandIn

NOON = datetime(2026, 11, 20, 18, 20, 42, tzinfo=UTC)
ORDERS = "/wp-json/wc/v3/orders"
CART = {"line_items": [{"sku": "A", "quantity": 3, "subtotal": "21.99"}]}


class Echo(StandIn):
    """Says what it was asked."""

    controls = frozenset({"fail"})

    def operation(self, request: httpx.Request) -> str:
        return request.method

    def answer(self, request: httpx.Request) -> httpx.Response:
        body = {
            "path": request.url.raw_path.decode(),
            "body": request.content.decode(),
            "header": request.headers.get("X-Thing"),
        }
        return httpx.Response(207, json=body, headers={"X-Answer": "yes"})

    def fail(self, number: int) -> None:
        raise ValueError(f"no {number}")


@pytest.fixture
def shop() -> WooCommerceStandIn:
    return WooCommerceStandIn("us", now=lambda: NOON)


@pytest.fixture
def bases(shop: WooCommerceStandIn) -> Iterator[dict[str, str]]:
    with serve({"us": shop, "echo": Echo()}) as found:
        yield found


@pytest.fixture
def http(bases: dict[str, str]) -> Iterator[httpx.Client]:
    auth = ("ck_test", "cs_test")
    with httpx.Client(base_url=bases["us"], auth=auth, trust_env=False) as client:
        yield client


def control(bases: dict[str, str], name: str, content: object) -> httpx.Response:
    root = bases["us"].rpartition("/")[0]
    with httpx.Client(trust_env=False) as client:
        return client.post(f"{root}/_control/{name}", json=content)


def test_a_stand_in_sees_the_call_without_its_own_path(bases: dict[str, str]) -> None:
    with httpx.Client(trust_env=False) as client:
        answer = client.put(
            f"{bases['echo']}/a%2Fb/c", params={"q": "1+1"}, content="ü", headers={"X-Thing": "t"}
        )

    assert answer.status_code == 207
    assert answer.headers["X-Answer"] == "yes"
    assert answer.json() == {"path": "/a%2Fb/c?q=1%2B1", "body": "ü", "header": "t"}


def test_an_order_placed_through_the_control_door_is_listed(
    bases: dict[str, str], http: httpx.Client
) -> None:
    placed = control(bases, "us", {"call": "place", "args": {"order": CART}})
    counted = control(bases, "us", {"call": "totals_by_currency"})
    listed = http.get(ORDERS, params={"_fields": "id,total"})

    assert placed.json() == {"result": 1002}
    assert counted.json() == {"result": {"USD": "21.99"}}
    assert listed.json() == [{"id": 1002, "total": "21.99"}]
    assert listed.headers["X-WP-Total"] == "1"


@pytest.mark.parametrize(
    ("name", "content", "status", "error"),
    [
        ("us", {"call": "handle"}, 403, "handle is not offered here"),
        ("us", {"call": "__init__"}, 403, "__init__ is not offered here"),
        ("nobody", {"call": "count"}, 404, "no such stand-in"),
        ("us", ["count"], 400, "not a call"),
        ("echo", {"call": "fail", "args": {"number": 7}}, 400, "ValueError: no 7"),
        ("us", {"call": "trash", "args": {"order_id": 5}}, 400, "Declined: woocommerce_rest"),
    ],
)
def test_the_control_door_refuses_what_it_does_not_offer(
    bases: dict[str, str], name: str, content: object, status: int, error: str
) -> None:
    answer = control(bases, name, content)

    assert answer.status_code == status
    assert answer.json()["error"].startswith(error)


@pytest.mark.parametrize(("trouble", "orders"), [("cut_before", 0), ("cut_after", 1)])
def test_a_cut_connection_gives_no_answer_and_the_next_call_works(
    shop: WooCommerceStandIn,
    http: httpx.Client,
    caplog: pytest.LogCaptureFixture,
    trouble: str,
    orders: int,
) -> None:
    shop.faults.plan(Fault(Trouble(trouble), operation="POST orders"))
    with pytest.raises(httpx.TransportError):
        http.post(ORDERS, json={"status": "completed"})

    assert len(http.get(ORDERS).json()) == orders
    assert not [record for record in caplog.records if record.levelname in ("ERROR", "WARNING")]


def test_a_stand_in_takes_one_call_at_a_time(shop: WooCommerceStandIn, http: httpx.Client) -> None:
    inside, most = 0, 0

    def watch(operation: str) -> None:
        nonlocal inside, most
        inside -= 1

    def enter(seconds: float) -> None:
        nonlocal inside, most
        inside += 1
        most = max(most, inside)

    shop.sleep, shop.after_effect = enter, watch
    shop.faults.plan(Fault(Trouble.SLOW, times=40))
    threads = [
        threading.Thread(target=lambda: [http.post(ORDERS, json={}) for _ in range(5)])
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert most == 1
    assert shop.count() == 40
    assert sorted(shop.shelf.entries) == list(range(1001, 1041))


def test_a_head_request_has_no_body(shop: WooCommerceStandIn, http: httpx.Client) -> None:
    shop.place(CART)
    answer = http.head(ORDERS)

    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["X-WP-Total"] == "1"


def test_after_serving_the_port_is_free(shop: WooCommerceStandIn) -> None:
    with serve({"us": shop}) as first:
        port = int(first["us"].split(":")[2].partition("/")[0])
    with serve({"us": shop}, port) as second:
        assert second == first
        assert httpx.get(f"{second['us']}/wp-json/", trust_env=False).status_code == 200
