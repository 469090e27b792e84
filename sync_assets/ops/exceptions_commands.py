"""`sync-assets exceptions`: what waits for a person, and what a person may do about it."""

from typing import Annotated

import typer

from resources.store import audit, exceptions, outbox
from resources.wiring import utc_now
from sync_assets.ops.console import NO, answer, clearly, fail, out, table
from sync_assets.ops.shell import AsJson, Demo, store_of

app = typer.Typer(no_args_is_help=True, help="What waits for a person: list, release, retry.")


@app.command("list")
def list_exceptions(
    code: Annotated[str | None, typer.Option(help="Only this code.")] = None,
    subject: Annotated[str | None, typer.Option(help="Only this order.")] = None,
    demo: Demo = False,
    as_json: AsJson = False,
) -> None:
    """List what is open, the oldest due first."""
    with clearly(), store_of(demo) as connection:
        rows = exceptions.open_ones(connection, subject=subject, code=code)
    columns = ["id", "subject_ref", "code", "message", "owner_role", "amount", "currency"]
    answer(
        {"open": len(rows), "exceptions": rows},
        as_json,
        lambda value: (
            table(f"{value['open']} open", value["exceptions"], [*columns, "due_at"])
            if rows
            else out.print("Nothing is open.")
        ),
    )


@app.command()
def release(
    exception_id: Annotated[int, typer.Argument(help="Its id, from `exceptions list`.")],
    reason: Annotated[str, typer.Option("--reason", help="Why it may go on; kept in the audit.")],
    by: Annotated[str, typer.Option("--by", envvar="USER", help="Who decides.")],
    demo: Demo = False,
    as_json: AsJson = False,
) -> None:
    """Let an order go on in spite of one exception; holds for this version of the order."""
    with clearly(), store_of(demo) as connection:
        subject = exceptions.release(connection, exception_id, by=by, note=reason, now=utc_now())
    answer(
        {"released": exception_id, "subject_ref": subject},
        as_json,
        lambda _: out.print(f"{subject} goes on with the next run."),
    )


@app.command()
def retry(
    order_ref: Annotated[str, typer.Argument(help="The order whose parked write may go again.")],
    by: Annotated[str, typer.Option("--by", envvar="USER", help="Who decides.")],
    demo: Demo = False,
    as_json: AsJson = False,
) -> None:
    """Send a parked write again with the next run, after its cause was mended."""
    now = utc_now()
    with clearly(), store_of(demo) as connection:
        count = outbox.retry_parked(connection, None, order_ref, now)
        if count:
            audit.record(connection, by, "outbox.retried", order_ref, now)
    if not count:
        fail(f"Nothing is parked for {order_ref!r}; see `sync-assets status`.", NO)
    answer(
        {"order_ref": order_ref, "waiting": count},
        as_json,
        lambda _: out.print(f"{order_ref} goes again with the next run."),
    )
