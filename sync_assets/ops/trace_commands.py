"""`sync-assets trace`: one order's whole life, from any of its references."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated, Any, NoReturn

import typer
from rich.markup import escape

from resources.wiring import utc_now
from sync_assets.ops import trace_finding, trace_money, trace_things, tracing
from sync_assets.ops.console import NO, answer, clearly, fail, out, table
from sync_assets.ops.report import plain
from sync_assets.ops.settlements_open import readable
from sync_assets.ops.shell import AsJson, Demo, store_of

app = typer.Typer()


class Only(StrEnum):
    """What events may be asked for alone."""

    SHIPMENTS = trace_things.SHIPMENTS
    RETURNS = trace_things.RETURNS
    MONEY = trace_things.MONEY
    ORDERS = trace_things.ORDERS


_UNITS = ("ordered", "cancelled", "requested", "shipped", "delivered", "returned", "refunded")


@app.command()
def trace(
    reference: Annotated[
        str,
        typer.Argument(
            help="Our key (us:1042, us:1042:f1, us:1042:r1), an order number, a payment, a "
            "tracking number, a settled line, payout, bank or journal entry, or a number or id the "
            "warehouse, shop, provider or ERP gave."
        ),
    ],
    only: Annotated[
        Only | None,
        typer.Option("--only", help="Only what happened to these; the head is always told."),
    ] = None,
    demo: Demo = False,
    as_json: AsJson = False,
) -> None:
    """Follow one order through all systems, from any of its references.

    Tells where it stands, whom it waits for and since when, and what its lines have come to.

    Then everything that happened, in time order (UTC): what systems said, what was planned, written
    and answered, parcels and carriers' words, returns, refunds, credit memos, what people did.

    Several orders under one reference are all told, the newest first, at most twenty. Those of a
    payout, a bank entry or a journal entry are listed with counts and sums. Names and addresses are
    never shown. Ends with 1 when nothing is known.

    sync-assets trace us:1042

    sync-assets trace "1Z 999 AA1 01 2345 6784" --only shipments
    """
    with clearly(), store_of(demo) as connection:
        found = tracing.trace(connection, reference, utc_now(), only)
    if not found["found"]:
        _fail_unknown(reference, found["of_no_order"])
    answer(found, as_json, _tell)


def _fail_unknown(reference: str, of_no_order: Sequence[str]) -> NoReturn:
    if of_no_order:
        known = ", ".join(of_no_order)
        fail(f"{reference!r} is known ({known}), but nobody said yet which order it is of.", NO)
    forms = ", ".join(trace_finding.FORMS)
    fail(f"Nothing is known under {reference!r}. Known forms: {forms}.", NO)


# ---------------------------------------------------------------- for people


def _tell(value: dict[str, Any]) -> None:
    for batch in value["batches"]:
        rows = [readable(row) for row in trace_money.batch_rows(batch)]
        table(escape(trace_money.batch_title(batch)), rows)
    if value["batches"] and value["orders"] > 1:
        out.print("One of them: `sync-assets trace ORDER`.")
        return
    _tell_lives(value)


def _tell_lives(value: dict[str, Any]) -> None:
    shown = len(value["found"])
    if value["orders"] > 1:
        rest = "" if shown == value["orders"] else f"; the newest {shown} are told"
        out.print(
            f"{value['orders']} orders carry {escape(repr(value['reference']))}, "
            f"the newest first{rest}."
        )
    for found in value["found"]:
        _tell_head(found)
        _tell_things(found)
        columns = ["at", "layer", "system", "what", "run_id"]
        about = f": {value['only']}" if value["only"] else ""
        table(f"What happened{about} (UTC)", found["events"], columns)


def _tell_head(found: dict[str, Any]) -> None:
    ref, order = escape(found["order_ref"]), found["order"]
    if order:
        money = f"{plain(order['total_amount'])} {order['currency']}"
        out.print(f"[bold]{ref}[/bold]  {found['state']}  {money}  store {order['store']}")
    else:
        out.print(f"[bold]{ref}[/bold]  set aside, not in core")
    out.print(f"  {escape(found['says'])}")
    for wait in found["waits_for"][1:]:
        out.print(f"  also {escape(wait['says'])}")


def _tell_things(found: dict[str, Any]) -> None:
    table("Lines", [_line(row) for row in found["lines"]])
    requests = ["fulfilment_ref", "system", "location", "state", "state_at", "goods"]
    table("Requests to warehouses", found["requests"], [*requests, "remote_number"])
    parcels = {row["parcel_ref"]: row for row in found["shipments"] if row["parcel_ref"]}
    columns = ["tracking_number", "parcel_carrier", "parcel_state", "parcel_state_at"]
    table("Parcels", list(parcels.values()), [*columns, "shipment_ref"])
    columns = ["return_ref", "state", "state_at", "location", "tracking_number"]
    table("Returns", found["returns"], [*columns, "exchange_order_ref"])
    columns = ["refund_ref", "state", "state_at", "amount", "currency", "method", "return_ref"]
    table("Refunds", found["refunds"], columns)
    for title, name in _MONEY:
        rows = [readable(row) for row in found["money"][name]]
        table(title, rows, trace_money.TABLES[name])
    columns = ["our_ref", "system", "remote_kind", "remote_id", "remote_number", "first_seen_at"]
    table("References", found["references"], columns)


_MONEY = (("Payments", "payments"), ("Booked in", "entries"), ("Open of its money", "open"))


def _line(row: dict[str, Any]) -> dict[str, Any]:
    """A line for people: what it has come to, if it ships."""
    said = {name: row[name] for name in ("kind", "sku", "description", "quantity")}
    progress = {name: row[f"{name}_units"] for name in _UNITS[1:]}
    return {**said, **progress, "net_amount": row["net_amount"], "tax_amount": row["tax_amount"]}
