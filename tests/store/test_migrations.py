"""The schema: made from nothing, taken back to nothing, the same as our tables say, and with rules
that cannot be broken by whoever writes past our code.
"""

from collections.abc import Iterator, Mapping
from typing import Any
from uuid import uuid4

import pandas as pd
import pyarrow
import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import IntegrityError

from resources.store import postgres
from resources.store.engine import MIGRATIONS, connected, engine_for, head, migrate, revision
from resources.store.frames import read_rows
from sync_assets.domain.catalog import Listings, Prices, ProductComponents, Products
from sync_assets.domain.changes import OrderChanges
from sync_assets.domain.frames import Table
from sync_assets.domain.items import ProductRefs
from sync_assets.domain.journals import Invoices
from sync_assets.domain.orders import CORE_TABLES, Customers, OrderNotes
from sync_assets.domain.payments import (
    BankLines,
    BankStatements,
    PaymentEvents,
    Payments,
    Payouts,
)
from sync_assets.domain.progress import OrderLineProgress
from sync_assets.domain.returns import RefundLines, Refunds, ReturnLines, Returns
from sync_assets.domain.shipments import (
    FulfilmentLines,
    FulfilmentOrders,
    Parcels,
    ShipmentLines,
    Shipments,
    TrackingEvents,
)
from sync_assets.domain.statements import Statements
from sync_assets.domain.stock import Availability, Reservations, StockLevels, StockMovements

DAY = pd.ArrowDtype(pyarrow.date32())
SCHEMAS = {"raw", "core", "plan", "receipt", "mart", "ops"}
TABLES: Mapping[str, type[Table]] = {
    **CORE_TABLES,
    "customers": Customers,
    "order_notes": OrderNotes,
    "order_changes": OrderChanges,
    "product_refs": ProductRefs,
    "products": Products,
    "prices": Prices,
    "product_components": ProductComponents,
    "listings": Listings,
    "stock_movements": StockMovements,
    "fulfilment_orders": FulfilmentOrders,
    "fulfilment_lines": FulfilmentLines,
    "shipments": Shipments,
    "shipment_lines": ShipmentLines,
    "parcels": Parcels,
    "tracking_events": TrackingEvents,
    "order_line_progress": OrderLineProgress,
    "returns": Returns,
    "return_lines": ReturnLines,
    "refunds": Refunds,
    "refund_lines": RefundLines,
    "payment_events": PaymentEvents,
    "payments": Payments,
    "payouts": Payouts,
    "bank_lines": BankLines,
    "bank_statements": BankStatements,
    "invoices": Invoices,
    "reconciliations": Statements,
}
#: Columns that a row has from its first step on, which the same transaction takes.
BY_THE_FIRST_STEP = {(name, "state_at") for name in ("fulfilment_orders", "returns", "refunds")}
#: Tables that keep every version; a view of the same columns shows the current ones.
VERSIONED: Mapping[str, type[Table]] = {
    "stock_levels": StockLevels,
    "reservations": Reservations,
    "availability": Availability,
}
#: What steps remember or report; no frame of ours is checked against them.
REPORTS = {
    *("ref", "stock_readings", "demand", "policies", "listing_mismatches"),
    *("stock_shortfalls", "stock_drift", "stock_comparisons"),
    *("saga_rules", "saga_steps", "refund_verdicts", "restocked"),
    # What splits a person made is told beside the columns of a line.
    "settlement_lines",
    *("report_files", "report_faults", "settlement_conflicts", "settlement_requests"),
    *("matches", "match_items", "open_items", "exchange_rates", "periods"),
    *("journal_entries", "journal_lines", "journal_sources"),
}


@pytest.fixture
def empty(server: postgres.Databases) -> Iterator[Engine]:
    """An engine on a database without any schema of ours."""
    name = f"empty_{uuid4().hex[:8]}"
    postgres.create_database(server, name)
    engine = engine_for(postgres.Databases(server.store.set(database=name)))
    yield engine
    engine.dispose()
    postgres.drop_database(server, name)


def schemas(engine: Engine) -> set[str]:
    with connected(engine) as connection:
        rows = read_rows(connection, "select schema_name from information_schema.schemata")
    return {row["schema_name"] for row in rows} & SCHEMAS


def shape(engine: Engine) -> list[tuple[Any, ...]]:
    """Every column of every table of ours, with type, nullability and default."""
    with connected(engine) as connection:
        rows = connection.execute(
            text(
                "select table_schema, table_name, ordinal_position, column_name, data_type, "
                "is_nullable, column_default from information_schema.columns "
                "where table_schema = any(:ours) order by 1, 2, 3"
            ),
            {"ours": list(SCHEMAS)},
        )
        return [tuple(row) for row in rows]


def downgrade(engine: Engine) -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    with connected(engine) as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, "base")


# Up and down


def test_an_empty_database_becomes_ours_and_a_second_time_changes_nothing(empty: Engine) -> None:
    assert (schemas(empty), revision(empty)) == (set(), None)
    assert migrate(empty) == head()
    assert (schemas(empty), revision(empty)) == (SCHEMAS, head())
    before = shape(empty)
    assert migrate(empty) == head()
    assert shape(empty) == before


def test_going_down_leaves_nothing_and_going_up_again_makes_the_same(empty: Engine) -> None:
    migrate(empty)
    before = shape(empty)
    downgrade(empty)
    assert (schemas(empty), revision(empty)) == (set(), None)
    migrate(empty)
    assert shape(empty) == before


def test_all_times_are_utc_on_our_connections(empty: Engine) -> None:
    with connected(empty) as connection:
        assert connection.execute(text("show timezone")).scalar_one() == "UTC"


# The same columns as our tables


def columns(connection: Connection, schema: str, table: str) -> dict[str, dict[str, Any]]:
    rows = read_rows(
        connection,
        "select column_name, data_type, is_nullable = 'YES' as nullable, numeric_precision, "
        "numeric_scale from information_schema.columns "
        "where table_schema = :schema and table_name = :table",
        schema=schema,
        table=table,
    )
    return {row["column_name"]: row for row in rows}


def wanted_type(dtype: Any) -> set[str]:
    """The database's types that hold a column of ours."""
    if isinstance(dtype, pd.ArrowDtype):
        return {"date"} if dtype == DAY else {"numeric"}
    if isinstance(dtype, pd.DatetimeTZDtype):
        return {"timestamp with time zone"}
    known = {
        "int64": {"bigint", "integer"},
        "Int64": {"bigint"},
        "bool": {"boolean"},
        "object": {"jsonb"},
    }
    return known.get(str(dtype), {"text"})


@pytest.mark.parametrize("name", TABLES)
def test_a_core_table_has_the_columns_types_and_blanks_of_its_declaration(
    connection: Connection, name: str
) -> None:
    held = columns(connection, "core", name)
    declared = TABLES[name].to_schema().columns
    assert list(held) == [*declared, "run_id"]
    assert held["run_id"]["nullable"]
    for field, column in declared.items():
        assert held[field]["data_type"] in wanted_type(column.dtype.type), field
        may_be_absent = column.nullable or (name, field) in BY_THE_FIRST_STEP
        assert held[field]["nullable"] == may_be_absent, field
        if held[field]["data_type"] == "numeric":
            digits = (held[field]["numeric_precision"], held[field]["numeric_scale"])
            assert digits == (20, 6), field


@pytest.mark.parametrize("name", TABLES)
def test_a_core_tables_key_is_the_one_it_declares(connection: Connection, name: str) -> None:
    rows = read_rows(
        connection,
        "select a.attname from pg_index i join pg_attribute a on a.attrelid = i.indrelid "
        "and a.attnum = any(i.indkey) where i.indisprimary and i.indrelid = cast(:t as regclass)",
        t=f"core.{name}",
    )
    assert {row["attname"] for row in rows} == set(TABLES[name].to_schema().unique or [])


def test_every_core_table_is_declared(connection: Connection) -> None:
    rows = read_rows(
        connection,
        "select table_name from information_schema.tables "
        "where table_schema = 'core' and table_type = 'BASE TABLE'",
    )
    versions = {f"{name.removesuffix('s')}_versions" for name in VERSIONED}
    assert {row["table_name"] for row in rows} == {*TABLES, *versions, *REPORTS}


@pytest.mark.parametrize("name", VERSIONED)
def test_a_view_of_what_is_current_has_the_columns_of_its_declaration(
    connection: Connection, name: str
) -> None:
    held = columns(connection, "core", name)
    declared = VERSIONED[name].to_schema().columns
    assert list(held) == [*declared, "run_id"]
    for field, column in declared.items():
        assert held[field]["data_type"] in wanted_type(column.dtype.type), field


def test_all_money_and_every_moment_has_its_exact_type_everywhere(connection: Connection) -> None:
    rows = read_rows(
        connection,
        "select table_schema || '.' || table_name || '.' || column_name as name, data_type as type "
        "from information_schema.columns where table_schema = any(:ours)",
        ours=list(SCHEMAS),
    )
    types = {row["name"]: row["type"] for row in rows}
    assert not [n for n, t in types.items() if t in ("double precision", "real", "money")]
    assert not [n for n, t in types.items() if t == "timestamp without time zone"]
    assert {t for n, t in types.items() if n.endswith("_amount")} == {"numeric"}
    moments = {t for n, t in types.items() if n.endswith("_at") and ".mart." not in n}
    assert moments == {"timestamp with time zone"}


@pytest.mark.parametrize("layer", ["plan", "receipt"])
def test_every_erp_has_the_same_plan_and_receipt(connection: Connection, layer: str) -> None:
    odoo = columns(connection, layer, "odoo__sales_orders")
    assert odoo
    assert columns(connection, layer, "tryton__sales_orders") == odoo


# Rules by name


def refused(connection: Connection, statement: str) -> str:
    """The name of the rule that refuses a statement."""
    with pytest.raises(IntegrityError) as caught, connection.begin_nested():
        connection.execute(text(statement))
    fault: Any = caught.value.orig
    return str(fault.diag.constraint_name or fault.diag.column_name)


def insert(table: str, **values: str) -> str:
    """An insert of SQL expressions."""
    return f"insert into {table} ({', '.join(values)}) values ({', '.join(values.values())})"


def outbox(**more: str) -> str:
    given = {
        "system": "'odoo'",
        "operation": "'create'",
        "thing_ref": "'us:1'",
        "business_key": "'create:us:1'",
        "wanted_hash": "'h'",
        "core_version": "1",
        "lane": "2",
        "due_at": "now()",
        "correlation_id": "'c'",
        "created_at": "now()",
        "updated_at": "now()",
    }
    return insert("ops.outbox", **{**given, **more})


LEASED = {"state": "'leased'", "leased_by": "'w'", "lease_until": "now()"}


@pytest.mark.parametrize(
    ("broken", "rule"),
    [
        ({"state": "'lost'"}, "outbox_state_is_known"),
        ({"state": "'leased'"}, "outbox_lease_is_whole"),
        ({**LEASED, "leased_by": "null"}, "outbox_lease_is_whole"),
        ({**LEASED, "lease_until": "null"}, "outbox_lease_is_whole"),
        ({**LEASED, "state": "'waiting'"}, "outbox_lease_is_whole"),
        ({**LEASED, "state": "'done'"}, "outbox_lease_is_whole"),
        ({"leased_by": "'w'"}, "outbox_lease_is_whole"),
        ({"lease_until": "now()"}, "outbox_lease_is_whole"),
        ({"state": "'unknown'"}, "outbox_trouble_is_named"),
        ({"state": "'refused'"}, "outbox_trouble_is_named"),
        ({"state": "'parked'"}, "outbox_trouble_is_named"),
        ({"payload": "null", "wanted_hash": "null"}, "wanted_hash"),
    ],
)
def test_the_outbox_takes_no_write_in_a_state_that_makes_no_sense(
    connection: Connection, broken: dict[str, str], rule: str
) -> None:
    assert refused(connection, outbox(**broken)) == rule
    assert read_rows(connection, "select id from ops.outbox") == []


@pytest.mark.parametrize("state", ["waiting", "leased", "unknown", "parked"])
def test_a_thing_has_one_open_write_and_an_intention_one_row(
    connection: Connection, state: str
) -> None:
    open_one = LEASED if state == "leased" else {"state": f"'{state}'", "error_class": "'X'"}
    connection.execute(text(outbox(**open_one)))
    other = outbox(business_key="'cancel:us:1'")
    assert refused(connection, other) == "one_open_write_per_thing"
    assert refused(connection, outbox(thing_ref="'us:2'")) == "one_write_per_business_key"
    connection.execute(text(outbox(system="'tryton'")))
    ended = "update ops.outbox set state = 'done', leased_by = null, lease_until = null"
    connection.execute(text(ended))
    connection.execute(text(other))
    assert refused(connection, outbox()) == "one_write_per_business_key"


def inbox(**more: str) -> str:
    given = {
        "source": "'woocommerce'",
        "store": "'us'",
        "topic": "'order'",
        "body": "'{}'",
        "signature": "'valid'",
        "received_at": "now()",
        "due_at": "now()",
        "correlation_id": "'c'",
    }
    return insert("ops.inbox", **{**given, **more})


@pytest.mark.parametrize(
    ("broken", "rule"),
    [
        ({"state": "'lost'", "settled_at": "null"}, "inbox_state_is_known"),
        ({"signature": "'invalid'"}, "inbox_signature_is_known"),
        ({"state": "'leased'"}, "inbox_lease_is_whole"),
        ({**LEASED, "state": "'waiting'"}, "inbox_lease_is_whole"),
        ({"state": "'settled'"}, "inbox_settled_is_dated"),
        ({"state": "'quarantined'"}, "inbox_settled_is_dated"),
        ({"settled_at": "now()"}, "inbox_settled_is_dated"),
        ({"body": "null"}, "body"),
    ],
)
def test_the_inbox_takes_no_delivery_in_a_state_that_makes_no_sense(
    connection: Connection, broken: dict[str, str], rule: str
) -> None:
    assert refused(connection, inbox(**broken)) == rule


def exception(**more: str) -> str:
    given = {
        "code": "'order.total_zero'",
        "subject_kind": "'order'",
        "subject_ref": "'us:1'",
        "message": "'m'",
        "owner_role": "'finance'",
        "blocks": "true",
        "can_release": "false",
        "opened_at": "now()",
        "due_at": "now()",
    }
    return insert("ops.exception", **{**given, **more})


CLOSED = {"closed_at": "now()", "closed_by": "'olga'"}


@pytest.mark.parametrize(
    ("broken", "rule"),
    [
        ({"state": "'lost'", **CLOSED}, "exception_state_is_known"),
        ({"state": "'closed'"}, "exception_end_is_signed"),
        ({"state": "'closed'", "closed_at": "now()"}, "exception_end_is_signed"),
        ({"state": "'closed'", "closed_by": "'olga'"}, "exception_end_is_signed"),
        ({"state": "'open'", "closed_at": "now()"}, "exception_end_is_signed"),
        ({"state": "'released'", **CLOSED}, "only_releasable_is_released"),
        ({"owner_role": "null"}, "owner_role"),
        ({"due_at": "null"}, "due_at"),
    ],
)
def test_an_exception_has_an_owner_a_due_time_and_a_signed_end(
    connection: Connection, broken: dict[str, str], rule: str
) -> None:
    assert refused(connection, exception(**broken)) == rule


def test_a_reason_is_open_once_per_part_and_may_come_back(connection: Connection) -> None:
    connection.execute(text(exception()))
    assert refused(connection, exception()) == "one_open_exception_per_part"
    connection.execute(text(exception(part="'total'")))
    closed = "update ops.exception set state = 'closed', closed_at = now(), closed_by = 'olga'"
    connection.execute(text(closed))
    connection.execute(text(exception()))


def order(**more: str) -> str:
    given = dict.fromkeys(
        ("order_ref", "store", "order_id", "order_number", "state", "shop_status"), "'us:1'"
    )
    amounts = ("net", "shipping", "fee", "tax", "discount", "rounding", "total", "refunded")
    given |= {f"{name}_amount": "0" for name in amounts}
    given |= {"currency": "'USD'", "prices_include_tax": "false", "raw_version": "1"}
    given |= {"placed_at": "now()", "changed_at": "now()"}
    return insert("core.orders", **{**given, **more})


def test_an_order_that_does_not_tie_cannot_be_in_core(connection: Connection) -> None:
    tied = {"net_amount": "10", "tax_amount": "2", "rounding_amount": "0.01"}
    assert refused(connection, order(**tied, total_amount="12")) == "order_ties"
    assert refused(connection, order(**tied, total_amount="null")) == "total_amount"
    connection.execute(text(order(**tied, total_amount="12.01")))
    line = "insert into core.order_taxes select 'l', 'us:2', 'r', 'r', 'r', 1, false, 'USD', 1"
    assert refused(connection, line) == "order_taxes_order_ref_fkey"


def test_other_tables_know_their_words(connection: Connection) -> None:
    plan = insert(
        "plan.odoo__sales_orders",
        system="'odoo'",
        order_ref="'us:1'",
        action="'guess'",
        wanted_hash="'h'",
        core_version="1",
        amount="1",
        currency="'USD'",
        planned_at="now()",
    )
    receipt = insert(
        "receipt.tryton__sales_orders",
        system="'tryton'",
        order_ref="'us:1'",
        outcome="'maybe'",
        currency="'USD'",
        wanted_hash="'h'",
        core_version="1",
        attempts="1",
        answered_at="now()",
    )
    raw = insert(
        "raw.odoo__items",
        source="'odoo'",
        resource_id="'1'",
        changed_at="now()",
        content_hash="'h'",
        payload="'{}'",
        via="'guess'",
        received_at="now()",
    )
    system = insert(
        "ops.system",
        system="'odoo'",
        state="'asleep'",
        changed_at="now()",
        changed_by="'olga'",
    )
    rules = [refused(connection, statement) for statement in (plan, receipt, raw, system)]
    assert rules == [
        "plan_action_is_known",
        "receipt_outcome_is_known",
        "raw_via_is_known",
        "system_state_is_known",
    ]
