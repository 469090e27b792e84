"""Whom an order waits for: rules on facts, with their sentences."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from sync_assets.domain.waiting import On, at_rest, sentence, state_of, waits
from sync_assets.domain.waiting_facts import (
    Facts,
    GoodsBack,
    MoneyBack,
    OpenException,
    OpenWrite,
    Parcel,
    Request,
    Rest,
    Units,
)

NOW = datetime(2026, 3, 2, 14, 40, tzinfo=UTC)
REF = "us:1042"
ACCEPTED = Facts(REF, "us", "accepted", NOW - timedelta(days=3), NOW - timedelta(days=2), "stripe")


def ago(**span: float) -> datetime:
    return NOW - timedelta(**span)


def said(facts: Facts) -> list[str]:
    return [sentence(wait, NOW) for wait in waits(facts, NOW)]


def exception(number: int, *, subject: str = REF, blocks: bool = True) -> OpenException:
    return OpenException(number, "order.sku_unknown", subject, "finance", blocks, ago(hours=5))


def write(state: str = "waiting", attempts: int = 0, **more: Any) -> OpenWrite:
    made = OpenWrite("odoo", "sales_order.create", REF, state, attempts, ago(minutes=5), NOW)
    return replace(made, **more)


def request(state: str, **more: Any) -> Request:
    made = Request("us:1042:f1", "north", state, ago(minutes=38), ago(minutes=39))
    return replace(made, **more)


def parcel(state: str, state_at: datetime | None, **more: Any) -> Parcel:
    made = Parcel("parcel:1Z9", "1Z9", "ups", state, state_at, ago(days=3))
    return replace(made, **more)


# ---------------------------------------------------------------- up to the ERP


def test_an_order_with_nothing_open_waits_for_nothing() -> None:
    assert said(ACCEPTED) == []


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ("awaiting_payment", "waits for the customer to pay since 2026-02-27 14:40 (3 days)"),
        ("received", "waits for our next run to plan the order since 2026-02-27 14:40 (3 days)"),
    ],
)
def test_an_order_that_no_erp_has_waits_by_its_place_in_the_pipeline(
    state: str, expected: str
) -> None:
    assert said(replace(ACCEPTED, pipeline_state=state)) == [expected]


@pytest.mark.parametrize("state", ["not_wanted", "cancelled", "held"])
def test_some_places_in_the_pipeline_wait_for_nothing_by_themselves(state: str) -> None:
    assert said(replace(ACCEPTED, pipeline_state=state)) == []


def test_what_was_read_and_not_mapped_waits_for_us() -> None:
    facts = Facts(REF, "us", None, unmapped_since=ago(seconds=20))
    assert said(facts) == ["waits for our next run to map what the shop said since 14:39 (20 s)"]


@pytest.mark.parametrize(
    ("write", "expected"),
    [
        (
            write(),
            "waits for our next run to send sales_order.create to odoo since 14:35 (5 min)",
        ),
        (
            write("leased"),
            "waits for odoo to answer sales_order.create since 14:35 (5 min)",
        ),
        (
            write(attempts=2, due_at=NOW + timedelta(minutes=10)),
            "waits for odoo: 3rd attempt at 14:50",
        ),
        (write(attempts=1, due_at=ago(minutes=2)), "waits for odoo: 2nd attempt due since 14:38"),
        (write(attempts=10, due_at=NOW), "waits for odoo: 11th attempt due since 14:40"),
        (write(attempts=20, due_at=NOW), "waits for odoo: 21st attempt due since 14:40"),
        (
            write("unknown", 1, due_at=NOW + timedelta(days=1)),
            "waits for odoo: whether sales_order.create arrived is found out at 2026-03-03 14:40",
        ),
        (
            write("parked", 1, error_class="Refused"),
            "waits for a person: sales_order.create to odoo is parked (Refused) "
            "since 14:35 (5 min)",
        ),
    ],
)
def test_a_write_that_is_not_done_says_who_is_next(write: OpenWrite, expected: str) -> None:
    assert said(replace(ACCEPTED, pipeline_state="sending_waiting", writes=(write,))) == [expected]


def test_a_system_that_rests_is_waited_for_whatever_its_writes_want() -> None:
    rest = Rest("odoo", "paused", "moving house", ago(hours=3), None)
    facts = replace(ACCEPTED, writes=(write(attempts=3), write("unknown")), rests=(rest,))
    assert said(facts) == ["waits for odoo, which is paused (moving house) since 11:40 (3 h)"]
    over = replace(facts, rests=(replace(rest, until=ago(minutes=1)),))
    assert said(over)[0] == "waits for odoo: 4th attempt due since 14:40"


# ---------------------------------------------------------------- people


def test_what_blocks_is_told_first_and_what_does_not_last() -> None:
    facts = replace(
        ACCEPTED,
        exceptions=(exception(11, blocks=False), exception(12, subject="us:1042:r1")),
        requests=(request("released"),),
    )
    assert said(facts) == [
        "waits for a person: exception 12 (finance), order.sku_unknown since 09:40 (5 h)",
        "waits for warehouse north to acknowledge us:1042:f1 since 14:02 (38 min)",
        "waits for a person: exception 11 (finance), order.sku_unknown since 09:40 (5 h)",
    ]


def test_a_thing_an_exception_speaks_for_is_not_told_twice() -> None:
    parked = write("parked", 1, error_class="Refused")
    facts = replace(
        ACCEPTED,
        exceptions=(exception(12), exception(13, subject="us:1042:f1")),
        writes=(parked,),
        requests=(request("refused"), request("held", fulfilment_ref="us:1042:f2")),
    )
    assert [wait.on for wait in waits(facts, NOW)] == [On.PERSON, On.PERSON]


# ---------------------------------------------------------------- warehouses and carriers


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ("released", "waits for warehouse north to acknowledge us:1042:f1"),
        ("acknowledged", "waits for warehouse north to ship us:1042:f1"),
        ("part_shipped", "waits for warehouse north to ship the rest of us:1042:f1"),
        ("cancel_requested", "waits for warehouse north to cancel us:1042:f1"),
        ("planned", "waits for our next run to release us:1042:f1 to north"),
        ("held", "waits for a person: us:1042:f1 at north is held"),
        ("refused", "waits for a person: us:1042:f1 at north is refused"),
    ],
)
def test_a_request_waits_by_where_it_stands(state: str, expected: str) -> None:
    assert said(replace(ACCEPTED, requests=(request(state),))) == [
        f"{expected} since 14:02 (38 min)"
    ]


@pytest.mark.parametrize("state", ["shipped", "short", "cancelled"])
def test_a_request_that_ended_waits_for_nobody(state: str) -> None:
    assert said(replace(ACCEPTED, requests=(request(state),))) == []


def test_a_request_that_rests_a_while_says_when_it_goes() -> None:
    resting = request("planned", release_at=NOW + timedelta(minutes=20))
    assert said(replace(ACCEPTED, requests=(resting,))) == [
        "waits for our next run to release us:1042:f1 to north at 15:00"
    ]


def test_a_request_under_way_waits_for_its_write() -> None:
    sending = write(attempts=1, system="north", thing_ref="us:1042:f1", due_at=ago(minutes=1))
    facts = replace(ACCEPTED, requests=(request("released"),), writes=(sending,))
    assert said(facts) == ["waits for north: 2nd attempt due since 14:39"]


def test_units_nobody_was_asked_for_wait_for_us() -> None:
    lines = (Units(5, cancelled=1, requested=2, shipped=2), Units(1, requested=1))
    assert said(replace(ACCEPTED, lines=lines)) == [
        "waits for our next run to ask a warehouse for 2 units since 2026-02-28 14:40 (2 days)"
    ]


@pytest.mark.parametrize(
    ("parcel", "expected"),
    [
        (
            parcel("in_transit", ago(days=2)),
            ["waits for carrier ups (1Z9): last word in transit 2 days ago"],
        ),
        (
            parcel("unknown", None),
            ["waits for carrier ups to say a first word of 1Z9 since 2026-02-27 14:40 (3 days)"],
        ),
        (
            parcel("delivery_failed", ago(hours=1.9), carrier=""),
            ["waits for carrier (1Z9): last word delivery failed 114 min ago"],
        ),
        (parcel("delivered", ago(hours=1)), []),
        (parcel("lost", ago(hours=1)), []),
        (parcel("in_transit", ago(hours=1), is_return=True), []),
    ],
)
def test_a_parcel_waits_for_its_carrier(parcel: Parcel, expected: list[str]) -> None:
    assert said(replace(ACCEPTED, parcels=(parcel,))) == expected


# ---------------------------------------------------------------- goods and money that come back


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ("requested", "waits for a person to approve us:1042:r1"),
        ("approved", "waits for the customer to send us:1042:r1"),
        ("in_transit", "waits for warehouse north to receive us:1042:r1"),
        ("received", "waits for warehouse north to inspect us:1042:r1"),
        ("inspected", "waits for our next run to refund or close us:1042:r1"),
        ("refunding", "waits for our next run to refund or close us:1042:r1"),
        ("lost", "waits for a person to decide about us:1042:r1, which is lost"),
    ],
)
def test_a_return_waits_by_where_it_stands(state: str, expected: str) -> None:
    back = GoodsBack("us:1042:r1", state, ago(minutes=38), "north")
    assert said(replace(ACCEPTED, returns=(back,))) == [f"{expected} since 14:02 (38 min)"]


@pytest.mark.parametrize("state", ["closed", "rejected", "cancelled", "expired"])
def test_a_return_that_ended_waits_for_nobody(state: str) -> None:
    back = GoodsBack("us:1042:r1", state, ago(minutes=38), "north")
    assert said(replace(ACCEPTED, returns=(back,))) == []


def test_a_return_in_a_parcel_waits_for_the_carrier_until_it_is_there() -> None:
    back = GoodsBack("us:1042:r1", "in_transit", ago(days=5), "north", "parcel:1Z9")
    facts = replace(ACCEPTED, returns=(back,))
    moving = parcel("out_for_delivery", ago(hours=3), is_return=True)
    assert said(replace(facts, parcels=(moving,))) == [
        "waits for carrier ups (1Z9): last word out for delivery 3 h ago"
    ]
    there = replace(moving, state="delivered")
    assert said(replace(facts, parcels=(there,))) == [
        "waits for warehouse north to receive us:1042:r1 since 2026-02-25 14:40 (5 days)"
    ]


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ("requested", "waits for our next run to judge refund us:881"),
        ("awaiting_approval", "waits for a person to approve refund us:881"),
        ("approved", "waits for our next run to ask for refund us:881"),
        ("submitted", "waits for us to make refund us:881"),
        ("pending", "waits for provider stripe to confirm refund us:881"),
        ("confirmed", "waits for our next run to credit refund us:881"),
        ("credited", "waits for our next run to close refund us:881"),
        ("failed", "waits for a person to decide about refund us:881, which failed"),
    ],
)
def test_a_refund_waits_by_where_it_stands(state: str, expected: str) -> None:
    money = MoneyBack("us:881", state, ago(minutes=38))
    assert said(replace(ACCEPTED, refunds=(money,))) == [f"{expected} since 14:02 (38 min)"]


@pytest.mark.parametrize("state", ["closed", "refused", "reversed", "withdrawn"])
def test_a_refund_that_ended_waits_for_nobody(state: str) -> None:
    assert said(replace(ACCEPTED, refunds=(MoneyBack("us:881", state, NOW),))) == []


def test_a_return_being_paid_for_waits_for_its_refund_only() -> None:
    back = GoodsBack("us:1042:r1", "refunding", ago(minutes=50), "north")
    money = MoneyBack("us:881", "pending", ago(minutes=38), "us:1042:r1")
    assert said(replace(ACCEPTED, returns=(back,), refunds=(money,))) == [
        "waits for provider stripe to confirm refund us:881 since 14:02 (38 min)"
    ]
    paid = replace(money, state="closed")
    assert said(replace(ACCEPTED, returns=(back,), refunds=(paid,))) == [
        "waits for our next run to refund or close us:1042:r1 since 13:50 (50 min)"
    ]


# ---------------------------------------------------------------- in one word


@pytest.mark.parametrize(
    ("units", "expected"),
    [
        ((), "accepted"),
        ((Units(3),), "accepted"),
        ((Units(3, cancelled=3),), "cancelled"),
        ((Units(3, shipped=2),), "part_shipped"),
        ((Units(3, cancelled=1, shipped=2),), "shipped"),
        ((Units(2, shipped=2), Units(1)), "part_shipped"),
        ((Units(3, shipped=3, delivered=2),), "shipped"),
        ((Units(3, shipped=3, delivered=3),), "delivered"),
        ((Units(3, shipped=3, delivered=3, returned=1),), "delivered"),
        ((Units(3, shipped=3, delivered=3, returned=3),), "returned"),
    ],
)
def test_an_accepted_order_stands_where_its_goods_stand(
    units: tuple[Units, ...], expected: str
) -> None:
    assert state_of(replace(ACCEPTED, lines=units)) == expected


def test_an_order_a_warehouse_has_is_released() -> None:
    facts = replace(ACCEPTED, lines=(Units(3, requested=3),))
    assert state_of(replace(facts, requests=(request("acknowledged"),))) == "released"
    assert state_of(replace(facts, requests=(request("planned"),))) == "accepted"


def test_an_order_not_accepted_stands_where_the_pipeline_says() -> None:
    assert state_of(replace(ACCEPTED, pipeline_state="held", lines=(Units(3),))) == "held"
    assert state_of(replace(ACCEPTED, pipeline_state=None)) == "set_aside"


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ("delivered", "nothing: complete"),
        ("shipped", "nothing: complete"),
        ("returned", "nothing: complete"),
        ("not_wanted", "nothing: not wanted"),
        ("accepted", "nothing: accepted"),
    ],
)
def test_who_waits_for_nothing_is_complete_or_says_why(state: str, expected: str) -> None:
    assert at_rest(state) == expected
