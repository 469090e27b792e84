"""`sync-assets returns`: what comes back and is given back, and what a person decides about it."""

import uuid
from collections.abc import Callable
from decimal import Decimal
from typing import Annotated, Any

import typer
from rich.markup import escape
from sqlalchemy import Connection

from resources.store import audit, sagas
from resources.store.engine import connected
from resources.store.exceptions import NotPossible
from resources.store.frames import read_rows
from resources.wiring import Systems
from sync_assets.domain.orders import Rejected
from sync_assets.domain.returns import Disposition, ExchangeLine, Source
from sync_assets.domain.sagas import CLOSED, Saga
from sync_assets.mappers.return_requests import ReturnRequest, WantedLine, body_of
from sync_assets.mappers.return_requests import request as checked
from sync_assets.ops import report
from sync_assets.ops.console import answer, clearly, fail, out, table
from sync_assets.ops.shell import AsJson, By, Demo, deployment_of, store_of
from sync_assets.returns import deciding, requests
from sync_assets.returns.deciding import Act

app = typer.Typer(
    no_args_is_help=True,
    help="Returns and refunds: list, show, request, receive, inspect, approve, reject, cancel.",
)
Ref = Annotated[
    str, typer.Argument(help="Our key of the return or refund, or the sender's reference.")
]
Reason = Annotated[str, typer.Option("--reason", help="Why; kept in the audit.")]
Units = Annotated[
    list[str] | None,
    typer.Option("--line", help="SKU and units, as TEA=2; may be said several times."),
]
MANY = 100


# ---------------------------------------------------------------- looking


@app.command("list")
def list_open(
    state: Annotated[str | None, typer.Option(help="Only this state.")] = None,
    store: Annotated[str | None, typer.Option(help="Only this store.")] = None,
    order: Annotated[str | None, typer.Option(help="Only this order, ended ones too.")] = None,
    refunds: Annotated[bool, typer.Option("--refunds", help="Refunds instead of returns.")] = False,
    every: Annotated[bool, typer.Option("--all", help="Ended ones too.")] = False,
    limit: Annotated[int, typer.Option(min=1, help="How many to show.")] = MANY,
    demo: Demo = False,
    as_json: AsJson = False,
) -> None:
    """List what is open, the oldest first."""
    saga = Saga.REFUND if refunds else Saga.RETURN
    ended = [] if every or order or state else sorted(CLOSED[saga])
    values = {"state": state, "store": store, "order": order, "ended": ended, "limit": limit}
    with clearly(), store_of(demo) as connection:
        rows = read_rows(connection, _REFUNDS if refunds else _RETURNS, **values)
    answer({"kind": f"{saga}s", "found": rows}, as_json, _tell_list)


_WANTED = """
(cast(:state as text) is null or t.state = :state)
  and (cast(:store as text) is null or t.store = :store)
  and (cast(:order as text) is null or t.order_ref = :order)
  and t.state <> all(:ended)
"""
_RETURNS = f"""
select t.return_ref, t.order_ref, t.source, t.state, t.state_at, t.is_exchange,
    t.requested_units, t.received_units, t.restock_units, t.refurbish_units, t.write_off_units,
    (select string_agg(distinct e.code, ', ') from ops.exception e
        where e.state = 'open' and e.subject_ref = t.return_ref) as waits_for
from mart.returns t where {_WANTED} order by t.state_at, t.return_ref limit :limit
"""  # noqa: S608
_REFUNDS = f"""
select t.refund_ref, t.order_ref, t.return_ref, t.method, t.state, t.state_at, t.amount,
    t.currency, t.credit_memo, t.credited_amount,
    (select string_agg(distinct e.code, ', ') from ops.exception e
        where e.state = 'open' and e.subject_ref = t.refund_ref) as waits_for
from mart.refunds t where {_WANTED} order by t.state_at, t.refund_ref limit :limit
"""  # noqa: S608


def _tell_list(found: dict[str, Any]) -> None:
    rows = [_readable(row) for row in found["found"]]
    if not rows:
        out.print(f"There are no such {found['kind']}.")
        return
    table(f"{len(rows)} {found['kind']}", rows)


def _readable(row: dict[str, Any]) -> dict[str, Any]:
    """Amounts with their currency beside them, states in words."""
    shown = dict(row)
    for name in ("amount", "credited_amount"):
        if shown.get(name) is not None:
            shown[name] = _money(shown[name])
    if shown.get("state"):
        shown["state"] = str(shown["state"]).replace("_", " ")
    return shown


def _money(amount: Decimal) -> str:
    whole = amount.normalize()
    exponent = whole.as_tuple().exponent
    return f"{amount:.2f}" if isinstance(exponent, int) and exponent >= -2 else f"{whole:f}"


@app.command()
def show(ref: Ref, demo: Demo = False, as_json: AsJson = False) -> None:
    """Show one return or refund: lines, money, every step with who and why, what it waits for."""
    with clearly(), store_of(demo) as connection:
        subject = deciding.find(connection, ref)
        found = _account(connection, subject)
    answer(found, as_json, _tell_one)


def _account(connection: Connection, subject: deciding.Subject) -> dict[str, Any]:
    is_return = subject.saga == Saga.RETURN
    lines = "core.return_lines" if is_return else "core.refund_lines"
    key = "return_ref" if is_return else "refund_ref"
    values = {"ref": subject.ref}
    return {
        "kind": str(subject.saga),
        "it": dict(subject.row),
        "lines": read_rows(
            connection,
            f"select * from {lines} where {key} = :ref order by line_no",  # noqa: S608
            **values,
        ),
        "refunds": read_rows(
            connection,
            "select refund_ref, method, state, amount, currency, reason from core.refunds "
            "where return_ref = :ref order by refund_ref",
            **values,
        ),
        "steps": sagas.steps_of(connection, [subject.ref]),
        "waits_for": read_rows(
            connection,
            "select id, code, message, owner_role, due_at, amount, currency from ops.exception "
            "where state = 'open' and subject_ref = :ref order by id",
            **values,
        ),
        "writes": read_rows(
            connection,
            "select system, operation, state, attempts, error_text from ops.outbox "
            "where thing_ref = :ref order by id",
            **values,
        ),
    }


_HIDDEN = frozenset({"run_id", "raw_version", "line_no", "return_ref", "refund_ref"})


def _tell_one(found: dict[str, Any]) -> None:
    row = found["it"]
    ref = row["return_ref"] if found["kind"] == "return" else row["refund_ref"]
    state = str(row["state"]).replace("_", " ")
    out.print(f"[bold]{found['kind']} {escape(ref)}[/bold]  {state}")
    for name, value in row.items():
        if value not in (None, "", False) and name not in {*_HIDDEN, "state"}:
            said = _money(value) if isinstance(value, Decimal) else report.plain(value)
            out.print(f"  {name.replace('_', ' '):<20}{escape(str(said))}")
    lines = [{k: v for k, v in one.items() if k not in _HIDDEN} for one in found["lines"]]
    table("Lines", lines)
    table("Refunds", [_readable(one) for one in found["refunds"]])
    table("Steps", found["steps"], ["at", "from_state", "to_state", "actor", "reason", "cause"])
    table("Writes", found["writes"])
    table("Waits for", found["waits_for"])


# ---------------------------------------------------------------- asking


@app.command()
def request(
    order: Annotated[str, typer.Argument(help="Our key of the order, its number, or its id.")],
    by: By,
    line: Units = None,
    reason: Annotated[str, typer.Option(help="Why it comes back; policies look at it.")] = "",
    store: Annotated[str | None, typer.Option(help="The store, where numbers repeat.")] = None,
    reference: Annotated[str | None, typer.Option(help="Your own; default: a new one.")] = None,
    dropoff: Annotated[
        bool, typer.Option("--dropoff", help="The goods were handed in and are here.")
    ] = False,
    replace: Annotated[
        list[str] | None, typer.Option("--replace", help="An exchange: SKU and units wanted.")
    ] = None,
    tracking: Annotated[str | None, typer.Option(help="Of the parcel it comes in.")] = None,
    demo: Demo = False,
    as_json: AsJson = False,
) -> None:
    """Ask for a return in somebody's name; the policy agrees to it, or a person."""
    if not line:
        fail("Say what comes back: --line TEA=1.")
    wanted = ReturnRequest(
        reference=reference or f"desk-{uuid.uuid4().hex[:8]}",
        order=order,
        store=store,
        source=Source.STORE_DROPOFF if dropoff else Source.REQUEST,
        reason=reason,
        lines=tuple(WantedLine(units, sku) for sku, units in _pairs(line)),
        is_exchange=bool(replace),
        replacement=tuple(ExchangeLine(sku=s, units=n) for s, n in _pairs(replace or [])),
        tracking_number=tracking,
    )
    with clearly(), deployment_of(demo) as systems, connected(systems.engine) as connection:
        try:
            checked(body_of(wanted))
        except Rejected as refusal:
            fail("; ".join(f"{one.part} {one.message}" for one in refusal.problems) + ".")
        ref = requests.put(connection, systems, wanted, None)
        subject = deciding.find(connection, ref)
        audit.record(
            connection, by, "return.requested", ref, systems.now(), reason=reason, order=order
        )
    _say(ref, subject.state, as_json)


def _pairs(said: list[str]) -> list[tuple[str, int]]:
    found = []
    for one in said:
        sku, _, units = one.rpartition("=")
        if not sku or not units.isascii() or not units.isdigit() or not int(units):
            fail(f"{one!r} is not a SKU and units, as TEA=2.")
        found.append((sku, int(units)))
    return found


def _say(ref: str, state: str, as_json: bool) -> None:
    said = {"ref": ref, "state": state}
    answer(
        said,
        as_json,
        lambda it: out.print(
            f"[green]✓[/green] {escape(it['ref'])} is {it['state'].replace('_', ' ')}. "
            f"The next run goes on with it; `sync-assets returns show {escape(it['ref'])}` tells."
        ),
    )


# ---------------------------------------------------------------- deciding


def _decide(
    ref: str,
    by: str,
    reason: str,
    demo: bool,
    as_json: bool,
    act: Callable[[Connection, Systems, Act], str],
) -> None:
    with clearly():
        if not reason.strip():
            raise NotPossible("Say why, with --reason.")
        with deployment_of(demo) as systems, connected(systems.engine) as connection:
            state = act(connection, systems, Act(by, reason, systems.now()))
            found = deciding.find(connection, ref)
        _say(found.ref, state, as_json)


@app.command()
def approve(
    ref: Ref,
    reason: Reason,
    by: By,
    as_refund: Annotated[
        bool, typer.Option("--as-refund", help="Of an exchange: money instead of goods.")
    ] = False,
    demo: Demo = False,
    as_json: AsJson = False,
) -> None:
    """Agree to a return, or let a refund go; of a failed refund: it was paid by other means."""
    _decide(
        ref,
        by,
        reason,
        demo,
        as_json,
        lambda c, systems, act: deciding.approve(c, systems, ref, act, as_refund=as_refund),
    )


@app.command()
def reject(ref: Ref, reason: Reason, by: By, demo: Demo = False, as_json: AsJson = False) -> None:
    """Turn down a return that was asked for, or a refund that waits for approval."""
    _decide(ref, by, reason, demo, as_json, lambda c, _, act: deciding.reject(c, ref, act))


@app.command()
def cancel(ref: Ref, reason: Reason, by: By, demo: Demo = False, as_json: AsJson = False) -> None:
    """End a return that will not come, or a refund that was not made."""
    _decide(ref, by, reason, demo, as_json, lambda c, _, act: deciding.cancel(c, ref, act))


@app.command()
def receive(
    ref: Ref,
    reason: Reason,
    by: By,
    line: Units = None,
    demo: Demo = False,
    as_json: AsJson = False,
) -> None:
    """Write down goods that are there: all that were announced, or some by SKU."""
    units = _pairs(line or [])
    _decide(ref, by, reason, demo, as_json, lambda c, _, act: deciding.receive(c, ref, act, units))


@app.command()
def inspect(
    ref: Ref,
    reason: Reason,
    to: Annotated[Disposition, typer.Option("--to", help="What becomes of them.")],
    by: By,
    line: Units = None,
    demo: Demo = False,
    as_json: AsJson = False,
) -> None:
    """Say what becomes of goods that are there: of all that are left, or of some by SKU."""
    units = _pairs(line or [])
    _decide(
        ref,
        by,
        reason,
        demo,
        as_json,
        lambda c, _, act: deciding.inspect(c, ref, act, to, units),
    )
