"""`sync-assets fulfilments` and `parcels`: what people see of shipments, and what they may do."""

from pathlib import Path

import pytest
from sqlalchemy import Engine

from resources.store import postgres
from tests.carrier_answers import FOLDER, only, sample
from tests.desk import said
from tests.shipping import ShippingWorld, shipping_world

UPS = "1Z999AA10123456784"


@pytest.fixture
def ship(
    engine: Engine,
    database: postgres.Databases,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> ShippingWorld:
    """A deployment whose command line looks into the world's database."""
    config = tmp_path / "sync.toml"
    config.write_text("")
    values = {
        "SYNC_CONFIG": str(config),
        "SYNC_HOME": str(tmp_path),
        "SYNC_DATABASE_URL": database.text(database.store),
        "USER": "tester",
        "COLUMNS": "200",
    }
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    return shipping_world(engine, tmp_path)


def delayed(ship: ShippingWorld) -> str:
    """An order that is planned and waits half an hour."""
    us = {**ship.policy["stores"]["us"], "release_after_minutes": 30}
    ship.rules({"stores": {**ship.policy["stores"], "us": us}})
    ref = ship.place()
    ship.run()
    return ref


def audited(ship: ShippingWorld) -> list[tuple[str, str, str | None]]:
    rows = ship.world.rows("select action, subject_ref, detail from ops.audit order by id")
    return [(row["action"], row["subject_ref"], row["detail"].get("note")) for row in rows]


def test_what_waits_is_listed_the_most_urgent_first(ship: ShippingWorld) -> None:
    assert said("fulfilments", "list").out.strip() == "Nothing waits to be shipped."
    first, second = ship.place(lines={"TEA": 1}), ship.place(lines={"MUG": 2})
    ship.run(2)
    told = said("fulfilments", "list", "--json").json["fulfilments"]
    assert [(row["fulfilment_ref"], row["location"], row["state"]) for row in told] == [
        (f"{first}:f1", "east", "acknowledged"),
        (f"{second}:f1", "east", "acknowledged"),
    ]
    assert [(row["units"], row["is_late"], row["remote_number"]) for row in told] == [
        (1, True, "FO-00001"),
        (2, True, "FO-00002"),
    ]
    assert f"{first}:f1" in said("fulfilments", "list", "--system", "north").out
    assert said("fulfilments", "list", "--system", "odoo").out.startswith("Nothing waits")

    ship.north.ship(f"{first}:f1")
    ship.run(2)
    left = said("fulfilments", "list", "--late", "--json").json["fulfilments"]
    assert [row["fulfilment_ref"] for row in left] == [f"{second}:f1"]
    ended = said("fulfilments", "list", "--order", first, "--json").json["fulfilments"]
    assert [(row["state"], row["is_late"]) for row in ended] == [("shipped", False)]


def test_a_state_there_is_not_is_told_with_those_there_are(ship: ShippingWorld) -> None:
    told = said("fulfilments", "list", "--state", "lost")
    assert told.sentence().startswith("There is no state 'lost'; states: planned, held, released")


def test_a_request_is_held_and_let_go_by_a_person(ship: ShippingWorld) -> None:
    ref = delayed(ship)
    held = said("fulfilments", "hold", f"{ref}:f1", "--reason", "customer calls back")
    assert held.out.strip() == f"{ref}:f1 is held; `sync-assets fulfilments release` lets it go."
    ship.world.clock.forward(hours=1)
    ship.run(2)
    assert ship.states(ref) == {f"{ref}:f1": "held"}
    assert ship.north.count("create") == 0
    twice = said("fulfilments", "hold", f"{ref}:f1", "--reason", "again")
    assert twice.sentence() == f"{ref}:f1 is held already."

    gone = said("fulfilments", "release", f"{ref}:f1", "--reason", "she called", "--json")
    assert gone.json == {"fulfilment_ref": f"{ref}:f1", "done": "goes on with the next run"}
    ship.run(3)
    assert ship.states(ref) == {f"{ref}:f1": "acknowledged"}
    assert ship.north.count("create") == 1
    assert [one[0] for one in audited(ship)] == ["fulfilment.held", "exception.released"]
    assert audited(ship)[0] == ("fulfilment.held", f"{ref}:f1", "customer calls back")
    assert ship.open_codes() == {}


def test_what_the_warehouse_knows_of_is_not_held_any_more(ship: ShippingWorld) -> None:
    ref = ship.place()
    ship.run(2)
    told = said("fulfilments", "hold", f"{ref}:f1", "--reason", "too late")
    assert told.sentence().startswith(f"{ref}:f1 is acknowledged: the warehouse knows of it.")
    free = said("fulfilments", "release", f"{ref}:f1", "--reason", "why not")
    assert free.sentence() == f"{ref}:f1 is not held by anybody."
    assert audited(ship) == []


@pytest.mark.parametrize("act", ["hold", "release", "replan"])
def test_a_request_nobody_knows_is_told(ship: ShippingWorld, act: str) -> None:
    told = said("fulfilments", act, "us:0:f1", "--reason", "?")
    assert told.sentence() == (
        "There is no request 'us:0:f1'; `sync-assets fulfilments list` shows them."
    )


def test_a_refused_request_is_replanned_and_another_is_not(ship: ShippingWorld) -> None:
    us = {**ship.policy["stores"]["us"], "ship_from": ["east"]}
    ship.rules({"stores": {**ship.policy["stores"], "us": us}})
    ship.north.refuse_sku("MUG", "mugs are banned")
    ref = ship.place()
    ship.run(2)
    assert ship.states(ref) == {f"{ref}:f1": "refused"}
    ship.north.orders.refusals.clear()
    done = said("fulfilments", "replan", f"{ref}:f1", "--reason", "allowed again")
    assert done.out.strip() == f"{ref}:f1 is planned again and goes out with the next run."
    ship.run(3)
    assert ship.states(ref) == {f"{ref}:f1": "acknowledged"}
    assert audited(ship) == [("fulfilment.replanned", f"{ref}:f1", "allowed again")]
    again = said("fulfilments", "replan", f"{ref}:f1", "--reason", "more")
    assert again.sentence() == (
        f"{ref}:f1 is acknowledged; only a refused one can be planned again."
    )
    (step,) = ship.world.rows(
        "select actor, reason from core.saga_steps where cause = 'command replan'"
    )
    assert (step["actor"], step["reason"]) == ("tester", "allowed again")


def test_parcels_are_listed_the_one_unheard_of_for_longest_first(ship: ShippingWorld) -> None:
    ref = ship.place(lines={"TEA": 1})
    ship.run(2)
    ship.north.ship(f"{ref}:f1", parcels=[{"tracking_number": UPS, "carrier": "UPS"}])
    ship.run(2)
    ship.track.move(UPS, "in_transit", "departed_facility", "Departed")
    ship.run()
    (row,) = said("parcels", "list", "--silent-days", "5", "--json").json["parcels"]
    assert (row["tracking_number"], row["carrier"], row["state"], row["orders"]) == (
        *(UPS, "ups", "in_transit", ref),
    )
    ship.track.deliver(UPS)
    ship.run()
    assert said("parcels", "list", "--json").json["parcels"] == []
    (row,) = said("parcels", "list", "--state", "delivered", "--json").json["parcels"]
    assert row["tracking_number"] == UPS


def test_words_nobody_entered_are_listed_and_end_with_one(ship: ShippingWorld) -> None:
    none = said("parcels", "words")
    assert (none.code, none.out.startswith("Every word of every carrier is known.")) == (0, True)
    ref = ship.place(lines={"TEA": 1})
    ship.run(2)
    ship.north.ship(f"{ref}:f1", parcels=[{"tracking_number": UPS, "carrier": "UPS"}])
    ship.run(2)
    ship.track.move(UPS, "beamed_up", "teleported", "Beamed up")
    ship.run()
    found = said("parcels", "words", "--json")
    (row,) = found.json["words"]
    assert (found.code, row["carrier"], row["events"]) == (1, "ups", 1)


def test_an_answer_is_looked_at_or_taken_over(ship: ShippingWorld) -> None:
    sample("ups", "TrackingResponseJSON")  # skips where it is not
    (path,) = (FOLDER / "ups").glob("TrackingResponseJSON.*")
    tracking = only("ups", "TrackingResponseJSON")
    (row,) = said("parcels", "import", "ups", str(path), "--check", "--json").json["files"]
    assert (row["parcels"], row["events"]) == (1, len(tracking.events))
    assert ship.world.rows("select * from core.tracking_events") == []
    taken = said("parcels", "import", "ups", str(path), "--json")
    assert (taken.code, taken.json["carrier"]) == (0, "ups")
    held = ship.world.rows("select count(*) as n from core.tracking_events")
    assert held == [{"n": len(tracking.events)}]
    said("parcels", "import", "ups", str(path))
    assert ship.world.rows("select count(*) as n from core.tracking_events") == held


def test_an_answer_without_a_parcel_is_told(ship: ShippingWorld, tmp_path: Path) -> None:
    path = tmp_path / "odd.json"
    path.write_text("{}")
    told = said("parcels", "import", "ups", str(path), "--json")
    assert (told.code, told.json["files"][0]["parcels"]) == (1, 0)
    strange = said("parcels", "import", "pigeon", str(path))
    assert strange.sentence().startswith("No answers of 'pigeon' are known; carriers: ")
