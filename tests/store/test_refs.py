"""The identity map: a trace starts from any reference somebody has in hand."""

from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection

from resources.store import refs
from resources.store.refs import Ref

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
LATER = NOON + timedelta(hours=1)


def ref(our: str = "us:1", remote: str = "30", number: str | None = "S00030", **more: str) -> Ref:
    given = {"kind": "order", "system": "odoo", "remote_kind": "sales_order", **more}
    return Ref(our, remote_id=remote, remote_number=number, **given)


def found(connection: Connection, reference: str) -> list[tuple[str, str, str, str | None]]:
    rows = refs.find(connection, reference)
    return [(r["our_ref"], r["system"], r["remote_id"], r["remote_number"]) for r in rows]


def test_a_thing_is_found_by_our_key_its_id_and_its_number_there(connection: Connection) -> None:
    refs.remember(connection, [ref(), ref("us:2", "31", "S00031")], NOON)
    for reference in ("us:1", "30", "S00030"):
        assert found(connection, reference) == [("us:1", "odoo", "30", "S00030")]
    assert found(connection, "us:9") == []


def test_a_known_reference_learns_its_number_and_forgets_nothing(connection: Connection) -> None:
    refs.remember(connection, [ref(number=None)], NOON)
    refs.remember(connection, [ref(number="S00030")], LATER)
    refs.remember(connection, [ref(number=None)], LATER)
    assert found(connection, "us:1") == [("us:1", "odoo", "30", "S00030")]
    assert refs.find(connection, "us:1")[0]["first_seen_at"] == NOON


def test_one_id_there_stays_with_the_thing_it_was_first_seen_for(connection: Connection) -> None:
    refs.remember(connection, [ref("us:1")], NOON)
    refs.remember(connection, [ref("us:2")], LATER)
    assert found(connection, "30") == [("us:1", "odoo", "30", "S00030")]


def test_systems_and_kinds_number_their_things_for_themselves(connection: Connection) -> None:
    tryton, invoice = ref(system="tryton"), ref(remote_kind="invoice", number="INV/1")
    refs.remember(connection, [ref(), tryton, invoice], NOON)
    assert len(found(connection, "30")) == 3
    assert found(connection, "INV/1") == [("us:1", "odoo", "30", "INV/1")]


def test_references_come_in_the_order_they_were_seen(connection: Connection) -> None:
    refs.remember(connection, [ref(remote="31", number=None)], LATER)
    refs.remember(connection, [ref(remote="30", number=None)], NOON)
    assert [one[2] for one in found(connection, "us:1")] == ["30", "31"]


def test_nothing_to_remember_is_no_fault(connection: Connection) -> None:
    refs.remember(connection, [], NOON)
    assert found(connection, "us:1") == []
