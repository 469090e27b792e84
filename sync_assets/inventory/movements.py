"""Stock movements: what an ERP says was moved, once each; a planned move is none yet."""

from sqlalchemy import Connection

from resources.store import exceptions
from resources.store.frames import copy_frame
from resources.wiring import Systems
from sync_assets.domain.orders import Problem, Rejected, Row
from sync_assets.domain.stock import StockMovements
from sync_assets.mappers.stock import STOCK_MAPPERS
from sync_assets.mapping import Mapped, chunks, parsed
from sync_assets.trouble import exceptional


def map_moves(systems: Systems, kind: str, run_id: str | None) -> Mapped:
    """Bring core.stock_movements up to the raw moves of one kind of ERP."""
    total, table = Mapped(), f"{kind}__stock_moves"
    for connection, versions in chunks(systems, table):
        rows: list[Row] = []
        found = []
        for version in versions:
            try:
                body = parsed(version["payload"])
                rows.append(STOCK_MAPPERS[kind].stock_movement(body, version["source"]))
            except Rejected as refusal:
                found += [
                    exceptional(
                        Problem("thing.malformed", one.part, one.message),
                        f"{version['source']}:{table}:{version['resource_id']}",
                        systems.settings.service_levels,
                        sender_ref=version["resource_id"],
                        version=version["version"],
                    )
                    for one in refusal.problems
                ]
        total.mapped += _append(connection, [row for row in rows if row], run_id)
        total.set_aside += len(found)
        subjects = [f"{v['source']}:{table}:{v['resource_id']}" for v in versions]
        exceptions.reconcile(
            connection, found, subjects=subjects, codes=["thing.malformed"], now=systems.now()
        )
    return total


def _append(connection: Connection, rows: list[Row], run_id: str | None) -> int:
    """A movement is told once; that its move was touched again later changes nothing."""
    if not rows:
        return 0
    frame = StockMovements.validate(StockMovements.frame(rows)).assign(run_id=run_id)
    connection.exec_driver_sql("drop table if exists stage_moves")
    connection.exec_driver_sql(
        "create temp table stage_moves (like core.stock_movements) on commit drop"
    )
    copy_frame(connection, "stage_moves", frame)
    return connection.exec_driver_sql(
        "insert into core.stock_movements select * from stage_moves on conflict do nothing"
    ).rowcount
