"""`sync-assets trace`: what a person reads, what a program gets, and how it ends."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from resources.store import postgres
from tests.desk import desk, said
from tests.traces import Traces, at
from tests.worlds import World


@pytest.fixture
def store(world: World, database: postgres.Databases, tmp_path: Path) -> Iterator[Traces]:
    """A shipped order with a return and a refund, where the command looks."""
    with desk(world, database, tmp_path) as found:
        made = Traces(found.systems.engine)
        made.order()
        made.accepted()
        made.progress(ordered=2, requested=2, shipped=2)
        made.request()
        made.steps("fulfilment", "us:1042:f1", 20, "released", "acknowledged", "shipped")
        made.shipment()
        made.tracked("parcel:1Z999", 120, "in_transit", "Departed [hub]")
        made.returned(tracking_number="1ZR 4")
        made.refund(shop_refund_id="881")
        yield made


def test_the_whole_life_is_told_to_people(store: Traces) -> None:
    told = said("trace", "1z 999")
    assert (told.code, told.err) == (0, "")
    lines = told.out.splitlines()
    assert lines[0] == "us:1042  shipped  34.11 USD  store us"
    assert lines[1].startswith("  waits for carrier ups (1Z 999): last word in transit ")
    assert [line.split(" since ")[0] for line in lines[2:4]] == [
        "  also waits for a person to approve us:1042:r1",
        "  also waits for our next run to judge refund us:881",
    ]
    titles = ["Lines", "Requests to warehouses", "Parcels", "Returns", "Refunds"]
    places = [told.out.index(title) for title in [*titles, "What happened (UTC)"]]
    assert places == sorted(places)
    assert "“Departed [hub]” = in transit in Springfield" in told.out
    assert "1 Test Street" not in told.out


def test_events_of_one_noun_may_be_asked_for(store: Traces) -> None:
    told = said("trace", "us:881", "--only", "money")
    assert told.code == 0
    assert "What happened: money (UTC)" in told.out
    assert "refund us:881 by shop refund: 10.00 USD, gateway" in told.out
    assert "Departed" not in told.out
    assert told.out.startswith("us:1042  shipped")


def test_a_noun_nobody_knows_is_refused(store: Traces) -> None:
    told = said("trace", "us:1042", "--only", "weather")
    assert (told.code, told.out) == (2, "")
    assert "shipments" in told.err


def test_a_program_gets_the_same_as_one_object(store: Traces) -> None:
    found = said("trace", "us:1042:f1", "--json", "--only", "shipments").json
    names = {"reference", "at", "only", "orders", "found", "of_no_order", "batches"}
    assert set(found) == names
    assert (found["reference"], found["only"], found["orders"]) == ("us:1042:f1", "shipments", 1)
    (one,) = found["found"]
    assert set(one) == {
        *("order_ref", "state", "waits_for", "says", "order", "lines", "requests", "shipments"),
        *("returns", "refunds", "references", "events", "found_by", "money"),
    }
    assert (one["state"], one["found_by"]) == ("shipped", ["our key"])
    assert [wait["on"] for wait in one["waits_for"]] == ["carrier", "person", "us"]
    assert {event["about"] for event in one["events"]} == {"shipments"}
    assert one["refunds"][0]["amount"] == "10.00"
    moments = [event["at"] for event in one["events"]]
    assert moments == sorted(moments)
    assert moments[-1] == at(120).isoformat()


def test_several_orders_are_counted_and_told_the_newest_first(store: Traces) -> None:
    for number in range(21):
        store.order(f"uk:{number}", order_number="1042", placed_at=at(60 + number))
    told = said("trace", "1042")
    assert told.code == 0
    first, *_ = told.out.splitlines()
    assert first == ("22 orders carry '1042', the newest first; the newest 20 are told.")
    assert told.out.index("uk:20  ") < told.out.index("uk:19  ")
    assert "us:1042  " not in told.out


def test_an_unknown_reference_ends_with_one_and_the_known_forms(store: Traces) -> None:
    told = said("trace", "nothing-such")
    assert (told.code, told.out) == (1, "")
    assert told.sentence() == (
        "Nothing is known under 'nothing-such'. Known forms: us:1042 (our key of an order), an "
        "order number, a payment reference, us:1042:f1 (a request to a warehouse), the "
        "warehouse's number or id of it, a shipment's number or id, a tracking number, of a "
        "return too, us:1042:r1 (a return), the sender's reference of it, an exchange order, "
        "us:881 (a refund), the shop's or the provider's id of it, the ERP's number or id of an "
        "order, a delivery or a credit memo, a provider's id of a payment, refund or dispute, "
        "stripe_us:txn_1 (a settled line) or the provider's id of it, stripe_us:po_1 (a payout) or "
        "the provider's id of it, a bank's reference, a journal entry or the ERP's number of it."
    )


def test_a_parcel_of_no_order_is_known_and_told_so(store: Traces) -> None:
    store.shipment("north:6000", tracking="1Z 777", orders=(None,))
    told = said("trace", "1Z777", "--json")
    assert (told.code, told.out) == (1, "")
    assert told.sentence() == (
        "'1Z777' is known (parcel parcel:1Z777), but nobody said yet which order it is of."
    )
