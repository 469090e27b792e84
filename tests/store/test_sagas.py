"""Steps of sagas in the database: what may be written down, and what nobody can break."""

from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import IntegrityError, ProgrammingError

from resources.store import sagas
from resources.store.frames import read_rows
from resources.store.sagas import Step
from sync_assets.domain.sagas import RULES, Saga

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)


def begin(connection: Connection, ref: str = "us:1:m1", amount: str = "5.00") -> None:
    """A refund that was asked for."""
    connection.execute(
        text(
            "insert into core.refunds (refund_ref, order_ref, store, source, method, currency, "
            "amount, net_amount, shipping_amount, fee_amount, tax_amount, unassigned_amount, "
            "refunded_at) values (:ref, 'us:1', 'us', 'request', 'gateway', 'USD', :amount, 0, 0, "
            "0, 0, :amount, :now)"
        ),
        {"ref": ref, "amount": amount, "now": NOW},
    )
    take(connection, "", "requested", ref=ref)


def take(connection: Connection, start: str, to: str, *, ref: str = "us:1:m1") -> None:
    sagas.take(connection, [Step("refund", ref, start, to, "ada", "because", "a test")], NOW)


def state(connection: Connection, ref: str = "us:1:m1") -> str:
    return sagas.states(connection, "refund", [ref])[ref]


def order(connection: Connection, total: str) -> None:
    """An order that was paid."""
    connection.execute(
        text(
            "insert into core.orders (order_ref, store, order_id, order_number, state, "
            "shop_status, currency, prices_include_tax, placed_at, changed_at, net_amount, "
            "shipping_amount, fee_amount, tax_amount, discount_amount, rounding_amount, "
            "total_amount, refunded_amount, raw_version) values ('us:1', 'us', '1', '1', 'paid', "
            "'processing', 'USD', false, :now, :now, :total, 0, 0, 0, 0, 0, :total, 0, 1)"
        ),
        {"now": NOW, "total": total},
    )


def broken(connection: Connection, *acts: Any) -> str:
    """The rule of the database that an act breaks; nothing of it is left."""
    with pytest.raises(IntegrityError) as refusal, connection.begin_nested():
        [act() for act in acts]
    return str(refusal.value.orig.diag.constraint_name)  # type: ignore[union-attr]


def test_the_database_and_the_rules_allow_the_same_steps(connection: Connection) -> None:
    rows = read_rows(connection, "select * from core.saga_rules")
    held = {(row["saga"], row["from_state"], row["to_state"]) for row in rows}
    ours = {
        (str(saga), start, to)
        for saga in Saga
        for start, then in RULES[saga].items()
        for to in then
    }
    assert held == ours


def test_a_step_moves_the_state_and_is_remembered(connection: Connection) -> None:
    begin(connection)
    take(connection, "requested", "approved")
    assert state(connection) == "approved"
    steps = sagas.steps_of(connection, ["us:1:m1"])
    assert [(s["from_state"], s["to_state"], s["actor"], s["at"]) for s in steps] == [
        ("", "requested", "ada", NOW),
        ("requested", "approved", "ada", NOW),
    ]


def test_a_step_that_is_not_in_the_table_is_refused(connection: Connection) -> None:
    begin(connection)
    said = broken(connection, lambda: take(connection, "requested", "confirmed"))
    assert said == "step_is_allowed"
    assert state(connection) == "requested"


def test_a_step_from_where_it_does_not_stand_is_refused(connection: Connection) -> None:
    begin(connection)
    said = broken(connection, lambda: take(connection, "approved", "confirmed"))
    assert said == "step_begins_where_it_stands"


def test_a_state_moves_by_nothing_but_a_step(connection: Connection) -> None:
    begin(connection)
    change = text("update core.refunds set state = 'closed'")
    assert broken(connection, lambda: connection.execute(change)) == "state_moves_by_steps"


def test_a_row_must_have_taken_a_step_when_its_transaction_ends(connection: Connection) -> None:
    begin(connection)
    copy = text(
        "insert into core.refunds select (json_populate_record(r, "
        '\'{"refund_ref": "us:1:m2", "state": ""}\')).* from core.refunds r'
    )
    checked = text("set constraints all immediate")
    acts = (lambda: connection.execute(copy), lambda: connection.execute(checked))
    assert broken(connection, *acts) == "saga_has_begun"


@pytest.mark.parametrize("field", ["actor", "reason", "cause"])
def test_a_step_without_who_or_why_is_refused(connection: Connection, field: str) -> None:
    begin(connection)
    values = vars(Step("refund", "us:1:m1", "requested", "approved", "ada", "so", "x"))
    unsigned = Step(**{**values, field: ""})
    assert broken(connection, lambda: sagas.take(connection, [unsigned], NOW)) == "step_is_signed"


@pytest.mark.parametrize(
    "statement", ["update core.saga_steps set actor = 'eve'", "delete from core.saga_steps"]
)
def test_what_was_written_down_stays(connection: Connection, statement: str) -> None:
    begin(connection)
    with pytest.raises(ProgrammingError, match="append-only"), connection.begin_nested():
        connection.execute(text(statement))
    assert len(sagas.steps_of(connection, ["us:1:m1"])) == 1


def test_never_more_is_given_back_than_was_paid(connection: Connection) -> None:
    order(connection, "8.00")
    for ref in ("us:1:m1", "us:1:m2"):
        begin(connection, ref)
    take(connection, "requested", "approved", ref="us:1:m1")
    over = broken(connection, lambda: take(connection, "requested", "approved", ref="us:1:m2"))
    assert over == "never_more_than_was_paid"
    take(connection, "approved", "withdrawn", ref="us:1:m1")
    take(connection, "requested", "approved", ref="us:1:m2")
    assert state(connection, "us:1:m2") == "approved"


def test_no_unit_has_two_fates(connection: Connection) -> None:
    connection.execute(
        text(
            "insert into core.returns (return_ref, source, reason, is_exchange, requested_at) "
            "values ('us:1:r1', 'request', '', false, :now)"
        ),
        {"now": NOW},
    )
    two = text(
        "insert into core.return_lines (return_ref, line_no, sku, requested_units, "
        "received_units, restock_units, refurbish_units, write_off_units) "
        "values ('us:1:r1', 0, 'TEA', 1, 1, 1, 0, 1)"
    )
    assert broken(connection, lambda: connection.execute(two)) == "no_unit_has_two_fates"
