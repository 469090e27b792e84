"""`sync-assets drift`: what shops show against what we worked out, as last compared, or now."""

from typing import Annotated, Any

import typer

from resources.store.engine import connected
from resources.wiring import Systems, utc_now
from sync_assets.inventory import drift
from sync_assets.ops.console import NO, answer, clearly, fail, out, table
from sync_assets.ops.shell import AsJson, Demo, deployment_of

app = typer.Typer()


@app.command("drift")
def show_drift(
    store: Annotated[str | None, typer.Option("--store", help="Only this store.")] = None,
    now: Annotated[
        bool, typer.Option("--now", help="Compare first: reads every listing of the store.")
    ] = False,
    demo: Demo = False,
    as_json: AsJson = False,
) -> None:
    """Show where shops differ from our numbers: pieces, money, and what is done about it.

    Ends with 1 where differences were left to a person.
    """
    with clearly(), deployment_of(demo) as systems:
        stores = _stores(systems, store)
        if now:
            for name in stores:
                drift.compare(systems, name, None)
        with connected(systems.engine) as connection:
            rows = drift.last(connection, stores)
    compared = {row["store"] for row in rows}
    never = [name for name in stores if name not in compared]
    answer({"at": utc_now(), "stores": rows, "never_compared": never}, as_json, _tell)
    if any(row["raised"] for row in rows):
        raise typer.Exit(NO)


def _stores(systems: Systems, store: str | None) -> list[str]:
    known = sorted(systems.settings.stores)
    if store is not None and store not in known:
        fail(f"There is no store {store!r}; stores: {', '.join(known) or 'none'}.")
    return known if store is None else [store]


def _tell(found: dict[str, Any]) -> None:
    columns = [
        *("store", "compared_at", "compared", "missing", "extra", "different"),
        *("off_units", "exposed_amount", "currency", "healed", "raised"),
    ]
    table("Last comparison", found["stores"], columns)
    for row in found["stores"]:
        table(f"{row['store']}: the dearest differences", row["differences"])
    for name in found["never_compared"]:
        out.print(f"{name} was never compared; `sync-assets drift --store {name} --now` does it.")
