"""Any reference leads to its orders: ours, a number, or an id another system gave."""

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import Engine, event

from resources.store import postgres, refs
from resources.store.engine import connected, engine_for
from sync_assets.ops import trace_finding
from tests.traces import DAY, START, Traces, at


@pytest.fixture
def store(engine: Engine) -> Traces:
    """A store a test may add to."""
    return _filled(engine)


@pytest.fixture(scope="module")
def known(server: postgres.Databases) -> Iterator[Traces]:
    """The same store, for tests that only look."""
    name = f"trace_{uuid4().hex[:8]}"
    postgres.create_database(server, name, template=str(server.store.database))
    engine = engine_for(postgres.Databases(server.store.set(database=name)))
    yield _filled(engine)
    engine.dispose()
    postgres.drop_database(server, name)


def _filled(engine: Engine) -> Traces:
    """One order that went all the way, known under every kind of reference, and a stranger."""
    made = Traces(engine)
    made.order("us:1042", order_number="A-77", payment_ref="pi_777")
    made.order("us:2000")
    made.accepted()
    made.request()
    made.answered(
        "http__fulfilment_orders", "north", "us:1042:f1", 6, remote_id="w9", remote_number="WO-9"
    )
    made.shipment()
    made.answered(
        "odoo__deliveries",
        "odoo",
        "north:5512/us:1042",
        70,
        remote_id="31",
        remote_number="WH/OUT/00031",
    )
    made.returned(
        sender_ref="desk:RMA-5", tracking_number="1zr-000 4", exchange_order_ref="us:3000"
    )
    made.answered("odoo__restocks", "odoo", "us:1042:r1", DAY, remote_number="WH/IN/00004")
    made.answered(
        "woocommerce__exchanges", "us", "us:1042:r1", DAY, remote_id="3000", remote_number="EX-3000"
    )
    made.refund(shop_refund_id="881", provider_ref="re_55")
    made.put(
        "core.refund_verdicts",
        provider="adyen",
        refund_id="psp-6",
        state="pending",
        happened_at=at(DAY),
        reason="",
        refund_ref="us:881",
    )
    made.answered(
        "odoo__credit_memos", "odoo", "us:881", DAY, remote_id="61", remote_number="RINV/2026/00061"
    )
    made.answered(
        "odoo__credit_reversals", "odoo", "us:881", DAY, remote_id="62", remote_number="MISC/62"
    )
    with connected(engine) as connection:
        ref = refs.Ref("us:1042", "order", "odoo", "sales_order", "70007", "S00007")
        refs.remember(connection, [ref], START)
    return made


@pytest.mark.parametrize(
    ("reference", "form"),
    [
        ("us:1042", "our key"),
        ("A-77", "order number"),
        ("#A-77", "order number"),
        (" A-77 ", "order number"),
        ("1042", "order id of the shop"),
        ("pi_777", "payment reference"),
        ("S00007", "odoo sales order"),
        ("70007", "odoo sales order"),
        ("us:1042:f1", "our key"),
        ("WO-9", "north order"),
        ("w9", "north order"),
        ("north:5512", "our key"),
        ("5512", "north shipment"),
        ("OUT/5512", "north shipment"),
        ("1Z999", "tracking number"),
        ("1z 99 9", "tracking number"),
        ("parcel:1Z999", "our key"),
        ("WH/OUT/00031", "odoo delivery"),
        ("31", "odoo delivery"),
        ("north:5512/us:1042", "our key"),
        ("us:1042:r1", "our key"),
        ("RMA-5", "sender's reference of a return"),
        ("desk:RMA-5", "sender's reference of a return"),
        ("1ZR0004", "tracking number of a return"),
        ("1zr 000-4", "tracking number of a return"),
        ("WH/IN/00004", "odoo restock"),
        ("us:3000", "exchange order"),
        ("3000", "us exchange order"),
        ("EX-3000", "us exchange order"),
        ("us:881", "our key"),
        ("881", "refund of the shop"),
        ("re_55", "refund of the provider"),
        ("psp-6", "adyen refund"),
        ("RINV/2026/00061", "odoo credit memo"),
        ("61", "odoo credit memo"),
        ("MISC/62", "odoo credit reversal"),
    ],
)
def test_every_form_leads_to_the_order_and_says_which_it_is(
    known: Traces, reference: str, form: str
) -> None:
    found = known.trace(reference)
    assert [one["order_ref"] for one in found["found"]] == ["us:1042"]
    assert found["found"][0]["found_by"] == [form]
    assert (found["orders"], found["of_no_order"]) == (1, [])


@pytest.mark.parametrize(
    "reference", ["", "  ", "#", "us:9999", "A-78", "a-77", "S00008", "1Z99", "---", "/", "us:"]
)
def test_an_unknown_reference_leads_nowhere(known: Traces, reference: str) -> None:
    found = known.trace(reference)
    assert (found["found"], found["orders"], found["of_no_order"]) == ([], 0, [])


def test_a_shipment_of_two_orders_leads_to_both_and_a_delivery_of_it_to_one(store: Traces) -> None:
    store.shipment("north:6000", tracking="1Z 222", orders=("us:1042", "us:2000"))
    assert sorted(store.orders("north:6000")) == ["us:1042", "us:2000"]
    assert sorted(store.orders("1Z222")) == ["us:1042", "us:2000"]
    assert store.orders("north:6000/us:2000") == ["us:2000"]


def test_several_orders_are_told_the_newest_first_and_twenty_at_most(store: Traces) -> None:
    for number in range(22):
        store.order(f"us:5{number:03}", order_number="SAME", placed_at=at(number))
    found = store.trace("SAME")
    assert found["orders"] == 22
    assert [one["order_ref"] for one in found["found"]] == [f"us:5{n:03}" for n in range(21, 1, -1)]


def test_one_word_may_be_known_to_several_systems(store: Traces) -> None:
    store.order("us:31", placed_at=at(5))
    found = store.trace("31")["found"]
    assert [(one["order_ref"], one["found_by"]) for one in found] == [
        ("us:31", ["order number"]),
        ("us:1042", ["odoo delivery"]),
    ]


@pytest.mark.parametrize(
    ("reference", "nobodys"),
    [
        ("1Z 444", ["parcel parcel:1Z444"]),
        ("north:7000", ["shipment north:7000"]),
        ("OUT/7000", ["shipment north:7000"]),
    ],
)
def test_what_is_of_no_order_yet_is_told_as_known(
    store: Traces, reference: str, nobodys: list[str]
) -> None:
    store.shipment("north:7000", tracking="1Z 444", orders=(None,))
    found = store.trace(reference)
    assert (found["found"], found["of_no_order"]) == ([], nobodys)


def test_an_order_that_was_read_and_not_mapped_is_found_by_its_key(store: Traces) -> None:
    store.version("woocommerce__orders", "us", "4711", 1, mapped_at=None)
    found = store.life("us:4711", minutes=11)
    assert (found["state"], found["order"]) == ("set_aside", None)
    assert found["says"] == (
        "waits for our next run to map what the shop said since 09:01 (10 min)"
    )


def test_a_thing_of_ours_leads_to_its_orders_and_a_number_does_not(known: Traces) -> None:
    def orders(key: str) -> list[str]:
        with connected(known.engine) as connection:
            return trace_finding.orders_of(connection, key)

    assert orders("us:1042:f1") == orders("us:1042:r1") == orders("us:881") == ["us:1042"]
    assert orders("A-77") == orders("TEA") == []


def test_a_trace_reads_every_table_by_an_index(known: Traces) -> None:
    """Whatever is compared is indexed; only the few systems are read whole."""
    asked: list[tuple[str, Any]] = []

    def listen(_c: Any, _cursor: Any, statement: str, values: Any, *_: Any) -> None:
        asked.append((statement, values))

    event.listen(known.engine, "before_cursor_execute", listen)
    known.trace("us:1042")
    event.remove(known.engine, "before_cursor_execute", listen)
    without = set()
    with connected(known.engine) as connection:
        connection.exec_driver_sql("set local enable_seqscan = off")
        for statement, values in asked:
            explained = f"explain (format json) {statement}"
            plan = connection.exec_driver_sql(explained, values).scalar_one()
            without |= {scan["Relation Name"] for scan in _whole(plan[0]["Plan"])}
    assert len(asked) == 25
    assert without == {"system"}


def _whole(node: dict[str, Any]) -> list[dict[str, Any]]:
    """Scans that read a table, or an index, from end to end."""
    below = [one for part in node.get("Plans", []) for one in _whole(part)]
    kind = node["Node Type"]
    is_whole = kind == "Seq Scan" or (kind.startswith("Index") and "Index Cond" not in node)
    return [*below, node] if is_whole else below
