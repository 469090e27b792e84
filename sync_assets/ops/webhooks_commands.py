"""`sync-assets webhooks`: how the webhooks in the shops stand, and mending them by hand."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from resources import settings
from resources.store.engine import engine_for
from resources.wiring import Systems
from sync_assets.ops.console import NO, answer, clearly, err, fail, out, table
from sync_assets.ops.shell import AsJson, By, databases

if TYPE_CHECKING:
    from sensors.deliveries import Finding, Health

app = typer.Typer()


@app.command("webhooks")
def show_webhooks(
    store: Annotated[str | None, typer.Option(help="Only this store. Default: all.")] = None,
    mend: Annotated[
        bool, typer.Option("--mend", help="Set up, switch on or replace what is not as it should.")
    ] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="With --mend: end pauses somebody made in the shop.")
    ] = False,
    by: By = "operator",
    as_json: AsJson = False,
) -> None:
    """Ask each shop for its webhooks, and say what is wrong with ours and what would mend it.

    Without --mend nothing is changed. While automation is on, the sensor webhook_health does the
    same every five minutes. Orders do not depend on it: deltas read what webhooks do not tell.
    Ends with code 1 while a webhook is not as it should be.
    """
    if resume and not mend:
        fail("--resume changes something: give --mend too.")
    with clearly():
        found = _found(settings.load(), store, mend=mend, resume=resume, by=by)
    shown = [row for one in found for row in _rows(one, mend)]
    skipped = [f"{one.store}: {one.skipped}" for one in found if one.skipped]
    answer({"webhooks": shown, "skipped": skipped}, as_json, _tell)
    if skipped or not all(row["healthy"] for row in shown):
        raise typer.Exit(NO)


def _found(
    config: settings.Settings, store: str | None, *, mend: bool, resume: bool, by: str
) -> "list[Health]":
    from sensors import deliveries

    ours = [name for name in config.stores if deliveries.expected(config, name)]
    if store is not None and store not in config.stores:
        fail(f"Unknown store {store!r}. Configured: {', '.join(sorted(config.stores)) or 'none'}.")
    wanted = [store] if store else ours
    if not set(wanted) & set(ours):
        fail(
            "No webhooks are wanted: give the store `webhook_secrets`, and `public_url` under "
            "[receiver], the address at which the shop reaches `sync-assets receiver`."
        )
    systems = Systems(config, engine_for(databases(False)))
    try:
        if not mend:
            return [deliveries.look(systems, name) for name in wanted]
        return [deliveries.mend(systems, name, resume=resume, by=by) for name in wanted]
    finally:
        systems.engine.dispose()


def _rows(health: "Health", is_mended: bool) -> list[dict[str, Any]]:
    return [_row(health.store, one, is_mended) for one in health.findings]


def _row(store: str, finding: "Finding", is_mended: bool) -> dict[str, Any]:
    from sensors.deliveries import outcome

    decision = finding.decision
    return {
        "store": store,
        "topic": decision.topic,
        "webhook_id": finding.webhook_id,
        "status": finding.status.value,
        "deed": decision.deed.value,
        "why": decision.why,
        "since": decision.since,
        "outcome": outcome(finding) if is_mended else None,
        "healthy": _is_healthy(finding, is_mended),
    }


def _is_healthy(finding: "Finding", is_mended: bool) -> bool:
    """Whether the webhook is as it should be now."""
    from sensors.deliveries import CALM, IDLE

    deed = finding.decision.deed
    return deed in CALM or (is_mended and deed not in IDLE and finding.fault is None)


def _tell(value: dict[str, Any]) -> None:
    for line in value["skipped"]:
        err.print(line, markup=False)
    columns = ["store", "topic", "webhook_id", "status", "deed", "why", "since"]
    is_mended = any(row["outcome"] for row in value["webhooks"])
    table("Webhooks", value["webhooks"], [*columns, "outcome"] if is_mended else columns)
    if not is_mended and not all(row["healthy"] for row in value["webhooks"]):
        out.print("Nothing was changed; --mend carries this out.")
