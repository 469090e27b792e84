"""`sync-assets fulfilments` and `parcels`: what warehouses were asked, where parcels are, and what
a person may do about it.
"""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer
from sqlalchemy import Connection

from resources.store import audit, exceptions, raw, stale
from resources.store.engine import connected
from resources.store.exceptions import NotPossible
from resources.store.frames import read_rows
from resources.wiring import utc_now
from sync_assets.domain.fulfilment import FulfilmentState
from sync_assets.domain.orders import Problem, Rejected
from sync_assets.domain.sagas import CLOSED, Saga
from sync_assets.mappers.tracking import CARRIERS
from sync_assets.mappers.tracking import answer as read_answer
from sync_assets.ops.console import NO, answer, clearly, fail, out, table
from sync_assets.ops.shell import AsJson, By, Demo, deployment_of, store_of
from sync_assets.shipments import reading, replanning, tracking
from sync_assets.trouble import exceptional

app = typer.Typer(
    no_args_is_help=True,
    help="What warehouses were asked to ship: list, hold, release, replan.",
)
parcels_app = typer.Typer(
    no_args_is_help=True,
    help="Parcels and what carriers say: list, words nobody knows, import of a carrier's answers.",
)
HELD = "fulfilment.held"
Ref = Annotated[str, typer.Argument(help="The request, as in `us:1042:f1`.")]
Reason = Annotated[str, typer.Option("--reason", help="Why; kept in the audit.")]
OVER = CLOSED[Saga.FULFILMENT]


@app.command("list")
def list_fulfilments(
    system: Annotated[str | None, typer.Option(help="Only of this warehouse or ERP.")] = None,
    order: Annotated[str | None, typer.Option(help="Only of this order; ended ones too.")] = None,
    state: Annotated[str | None, typer.Option(help="Only in this state.")] = None,
    late: Annotated[bool, typer.Option("--late", help="Only what should have left.")] = False,
    limit: Annotated[int, typer.Option(min=1, help="How many to show.")] = 100,
    demo: Demo = False,
    as_json: AsJson = False,
) -> None:
    """List what warehouses were asked to ship and have not, the most urgent first."""
    states = [one.value for one in FulfilmentState]
    if state is not None and state not in states:
        fail(f"There is no state {state!r}; states: {', '.join(states)}.")
    now = utc_now()
    with clearly(), store_of(demo) as connection:
        rows = read_rows(
            connection,
            """
            select f.fulfilment_ref, f.system, f.location, f.state, f.state_at,
                cast(f.units as bigint) as units,
                f.ship_by_at, f.remote_number, f.remote_id, o.total_amount, o.currency
            from mart.fulfilments f join core.orders o using (order_ref)
            where (cast(:system as text) is null or f.system = :system)
              and (cast(:order as text) is null or f.order_ref = :order)
              and (cast(:state as text) is null or f.state = :state)
              and (cast(:order as text) is not null or cast(:state as text) is not null
                   or f.state <> all(:over))
              and (not :late or f.ship_by_at < :now and f.state <> all(:over))
            order by f.ship_by_at nulls last, f.fulfilment_ref limit :limit
            """,
            over=sorted(OVER),
            system=system,
            order=order,
            state=state,
            late=late,
            now=now,
            limit=limit,
        )
    found = [{**row, "is_late": _is_late(row, now)} for row in rows]
    answer({"at": now, "fulfilments": found}, as_json, _tell_list)


def _is_late(row: dict[str, Any], now: datetime) -> bool:
    is_over = row["state"] in OVER
    return row["ship_by_at"] is not None and row["ship_by_at"] < now and not is_over


def _tell_list(found: dict[str, Any]) -> None:
    if not found["fulfilments"]:
        out.print("Nothing waits to be shipped.")
        return
    columns = ["fulfilment_ref", "system", "location", "state", "state_at", "units", "ship_by_at"]
    table("Requests to warehouses", found["fulfilments"], [*columns, "is_late", "remote_number"])


@app.command()
def hold(
    fulfilment_ref: Ref,
    reason: Reason,
    by: By = "operator",
    demo: Demo = False,
    as_json: AsJson = False,
) -> None:
    """Keep a request back that was not sent yet, until somebody lets it go."""
    with clearly(), deployment_of(demo) as systems, connected(systems.engine) as connection:
        row = _known(connection, fulfilment_ref)
        if row["state"] not in ("planned", "held"):
            raise NotPossible(
                f"{fulfilment_ref} is {row['state']}: the warehouse knows of it. Cancel the order "
                "in the shop, or ask the warehouse."
            )
        now = utc_now()
        found = exceptional(
            Problem(HELD, "", f"held by {by}: {reason}"),
            fulfilment_ref,
            systems.settings.service_levels,
            sender_ref=row["order_ref"],
        )
        if not exceptions.open_all(connection, [found], now=now):
            raise NotPossible(f"{fulfilment_ref} is held already.")
        audit.record(connection, by, "fulfilment.held", fulfilment_ref, now, note=reason)
        stale.mark(connection, "fulfilment", [row["order_ref"]], now)
    _done(fulfilment_ref, "is held; `sync-assets fulfilments release` lets it go", as_json)


@app.command()
def release(
    fulfilment_ref: Ref,
    reason: Reason,
    by: By = "operator",
    demo: Demo = False,
    as_json: AsJson = False,
) -> None:
    """Let a request go that was held."""
    with clearly(), store_of(demo) as connection:
        _known(connection, fulfilment_ref)
        rows = read_rows(
            connection,
            "select id from ops.exception where subject_ref = :ref and code = :code "
            "and state = 'open'",
            ref=fulfilment_ref,
            code=HELD,
        )
        if not rows:
            raise NotPossible(f"{fulfilment_ref} is not held by anybody.")
        for row in rows:
            exceptions.release(connection, row["id"], by=by, note=reason, now=utc_now())
    _done(fulfilment_ref, "goes on with the next run", as_json)


@app.command()
def replan(
    fulfilment_ref: Ref,
    reason: Reason,
    by: By = "operator",
    demo: Demo = False,
    as_json: AsJson = False,
) -> None:
    """Send a request again that its warehouse refused, after the cause was mended there."""
    with clearly(), store_of(demo) as connection:
        said = replanning.replan(connection, fulfilment_ref, by=by, reason=reason, now=utc_now())
    _done(fulfilment_ref, said, as_json)


def _known(connection: Connection, fulfilment_ref: str) -> dict[str, Any]:
    rows = read_rows(
        connection,
        "select order_ref, state from core.fulfilment_orders where fulfilment_ref = :ref "
        "for update",
        ref=fulfilment_ref,
    )
    if not rows:
        raise NotPossible(
            f"There is no request {fulfilment_ref!r}; `sync-assets fulfilments list` shows them."
        )
    return rows[0]


def _done(ref: str, said: str, as_json: bool) -> None:
    answer({"fulfilment_ref": ref, "done": said}, as_json, lambda _: out.print(f"{ref} {said}."))


# ---------------------------------------------------------------- parcels


@parcels_app.command("list")
def list_parcels(
    state: Annotated[str | None, typer.Option(help="Only in this state.")] = None,
    silent_days: Annotated[
        int | None, typer.Option(min=1, help="Only those nobody spoke of for so many days.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many to show.")] = 100,
    demo: Demo = False,
    as_json: AsJson = False,
) -> None:
    """List parcels that are under way, the one unheard of for longest first."""
    now = utc_now()
    since = now - timedelta(days=silent_days) if silent_days else None
    with clearly(), store_of(demo) as connection:
        rows = read_rows(
            connection,
            """
            select p.tracking_number, p.carrier, p.state, p.state_at, p.tracking_url,
                (select string_agg(distinct l.order_ref, ', ') from core.shipment_lines l
                 where l.parcel_ref = p.parcel_ref) as orders
            from core.parcels p
            where (cast(:state as text) is null
                   and p.state not in ('delivered', 'returned', 'cancelled') or p.state = :state)
              and (cast(:since as timestamptz) is null or p.state_at < :since)
            order by p.state_at nulls first, p.parcel_ref limit :limit
            """,
            state=state,
            since=since,
            limit=limit,
        )
    answer({"at": now, "parcels": rows}, as_json, lambda v: _tell_parcels(v["parcels"]))


def _tell_parcels(rows: list[dict[str, Any]]) -> None:
    if not rows:
        out.print("No parcel is under way.")
    table("Parcels", rows)


@parcels_app.command("words")
def words(demo: Demo = False, as_json: AsJson = False) -> None:
    """List words of carriers that have no state in our tables, the most frequent first.

    Ends with 1 when there are any.
    """
    with clearly(), store_of(demo) as connection:
        rows = read_rows(
            connection,
            "select carrier, code, words, count(*) as events, max(happened_at) as last_at "
            "from core.tracking_events where not is_known group by 1, 2, 3 "
            "order by 4 desc, 1, 2, 3",
        )
    answer({"words": rows}, as_json, lambda v: _tell_words(v["words"]))
    if rows:
        raise typer.Exit(NO)


def _tell_words(rows: list[dict[str, Any]]) -> None:
    if not rows:
        out.print("Every word of every carrier is known.")
    table("Words nobody entered", rows)


@parcels_app.command("import")
def import_answers(
    carrier: Annotated[str, typer.Argument(help="The carrier's code, as in `ups`.")],
    files: Annotated[
        list[Path], typer.Argument(exists=True, dir_okay=False, help="Its answers, JSON or XML.")
    ],
    number: Annotated[
        str | None, typer.Option("--number", help="The parcel asked for, if no answer names it.")
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Only say what would be made of them.")
    ] = False,
    demo: Demo = False,
    as_json: AsJson = False,
) -> None:
    """Take over a carrier's own tracking answers; what cannot be read is told, with its reason.

    Ends with 1 when an answer held no parcel at all.
    """
    if carrier not in CARRIERS:
        fail(f"No answers of {carrier!r} are known; carriers: {', '.join(sorted(CARRIERS))}.")
    found = [_read(carrier, path, number) for path in files]
    if not check:
        with clearly(), deployment_of(demo) as systems:
            with connected(systems.engine) as connection:
                for path, one in zip(files, found, strict=True):
                    named, at = number or one["named"] or path.name, datetime.now(UTC)
                    said = raw.Reading(carrier, "backfill", at)
                    reading.keep_answer(connection, carrier, named, one["text"], said, systems)
            tracking.from_carriers(systems, None)
    told = [{name: value for name, value in one.items() if name != "text"} for one in found]
    answer({"carrier": carrier, "files": told}, as_json, lambda v: table("Answers", v["files"]))
    if any(not one["parcels"] for one in found):
        raise typer.Exit(NO)


def _read(carrier: str, path: Path, number: str | None) -> dict[str, Any]:
    """What is made of one file."""
    text = path.read_text(encoding="utf-8", errors="replace")
    try:
        said = read_answer(carrier, text, asked=number or "")
    except Rejected as refusal:
        problem = refusal.problems[0]
        return _told(path, text, [], 0, 0, f"{problem.code}: {problem.message}")
    numbers = [one.tracking_number for one in said.trackings]
    events = [event for one in said.trackings for event in one.events]
    refused = "; ".join(f"{one.tracking_number}: {one.problem.code}" for one in said.refused)
    unknown = sum(not event.is_known for event in events)
    return _told(path, text, numbers, len(events), unknown, refused)


def _told(
    path: Path, text: str, numbers: list[str], events: int, unknown: int, refused: str
) -> dict[str, Any]:
    return {
        "file": path.name,
        "parcels": len(numbers),
        "events": events,
        "unknown_words": unknown,
        "refused": refused,
        "named": numbers[0] if len(numbers) == 1 else None,
        "text": text,
    }
