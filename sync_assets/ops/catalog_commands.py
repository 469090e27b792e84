"""`sync-assets catalog`: where shops and ERPs differ in their products, and one product in full."""

import csv
import sys
from typing import Annotated, Any

import typer

from resources import settings
from sync_assets.catalog import mismatches as report
from sync_assets.catalog import policy
from sync_assets.domain.ownership import FIELDS
from sync_assets.domain.policy import PolicyError
from sync_assets.ops.console import NO, answer, clearly, fail, out, table
from sync_assets.ops.shell import AsJson, Demo, store_of

app = typer.Typer(no_args_is_help=True, help="Products: in the ERPs, in the shops, and between.")

COLUMNS = ("store", "key", "product_id", "field", "wanted", "seen", "owner", "treatment", "since")
TITLES = {
    "products": "In the ERPs",
    "prices": "Prices",
    "components": "Components",
    "listings": "In the shops",
    "plans": "Planned",
    "receipts": "Answered",
    "mismatches": "Differing",
    "exceptions": "Open",
}
MOST_LETTERS = 40


@app.command()
def mismatches(
    store: Annotated[str | None, typer.Option("--store", help="Only this store.")] = None,
    field: Annotated[str | None, typer.Option("--field", help="Only this field.")] = None,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print comma-separated values.")] = False,
    demo: Demo = False,
    as_json: AsJson = False,
) -> None:
    """List every field of a product in which a shop does not say what the ERP says.

    The owner is whose word counts; the treatment is what becomes of it: to_write and put_back are
    written by the next run, raised waits for a person, accepted stays as it is.
    """
    if field is not None and field not in FIELDS:
        fail(f"--field is one of {', '.join(FIELDS)}, not {field!r}.")
    with clearly(), store_of(demo) as connection:
        rows = report.of(connection, store, field)
        counted = report.counts(connection, store)
    if as_csv:
        writer = csv.DictWriter(sys.stdout, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        return
    answer({"mismatches": rows, "counts": counted}, as_json, _tell_mismatches)


def _tell_mismatches(found: dict[str, Any]) -> None:
    rows = found["mismatches"]
    if not rows:
        out.print("Shops and ERPs say the same of every product.")
        return
    table("Differences", [{**row, **_short(row)} for row in rows], COLUMNS)
    table("By field", found["counts"])


def _short(row: dict[str, Any]) -> dict[str, str]:
    texts = {name: str(row[name] or "") for name in ("wanted", "seen")}
    return {
        name: value if len(value) <= MOST_LETTERS else f"{value[:MOST_LETTERS]}…"
        for name, value in texts.items()
    }


@app.command()
def products(
    sku: Annotated[str, typer.Argument(help="A SKU, in any letter case; or a family's key.")],
    demo: Demo = False,
    as_json: AsJson = False,
) -> None:
    """Show one product: in the ERPs, in the shops, what is planned, what differs, what is open."""
    with clearly(), store_of(demo) as connection:
        found = report.product(connection, sku)
    answer({"sku": sku, **found}, as_json, _tell_product)
    if not any(found.values()):
        raise typer.Exit(NO)


def _tell_product(found: dict[str, Any]) -> None:
    shown = {name: found[name] for name in TITLES if found[name]}
    if not shown:
        out.print(f"No ERP and no shop has {found['sku']}.")
    for name, rows in shown.items():
        table(TITLES[name], rows)


@app.command("policy")
def show_policy(as_json: AsJson = False) -> None:
    """Check the catalog policy and show whose word counts for each field, store by store."""
    with clearly():
        said = settings.load()
        try:
            known = policy.in_force(said)
        except PolicyError as fault:
            fail(str(fault))
    rows = [
        {
            "store": store,
            "field": field,
            "owner": known.store(store).of(field).owner,
            "on_foreign_change": known.store(store).of(field).on_foreign_change,
        }
        for store in said.stores
        for field in FIELDS
    ]
    path = policy.path_of(said)
    where = str(path) if path.exists() else None
    answer({"file": where, "fields": rows}, as_json, lambda _: _tell_policy(where, rows))


def _tell_policy(where: str | None, rows: list[dict[str, Any]]) -> None:
    out.print(f"Policy of {where}." if where else "There is no policy file; this is the default.")
    table("Whose word counts", rows)
