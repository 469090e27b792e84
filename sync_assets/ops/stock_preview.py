"""What another policy would change: its numbers beside those that hold, from the same facts."""

from typing import Any

import pandas as pd
from sqlalchemy import Connection

from resources.store.frames import read_rows
from sync_assets.domain.availability import availability
from sync_assets.domain.policy import Policy
from sync_assets.inventory import computing

SHOWN = 10


def changes(connection: Connection, policy: Policy) -> dict[str, Any]:
    """Per channel how many numbers would change and how, and the largest changes."""
    wanted = availability(computing.inputs_of(connection, policy, None))
    held = pd.DataFrame(
        read_rows(connection, "select channel, sku, sellable_units from core.availability"),
        columns=["channel", "sku", "sellable_units"],
    )
    pair = wanted[["channel", "sku", "sellable_units"]].merge(
        held,
        on=["channel", "sku"],
        how="outer",
        suffixes=("", "_before"),
        validate="one_to_one",
    )
    before = pair["sellable_units_before"].fillna(0).astype("int64")
    after = pair["sellable_units"].fillna(0).astype("int64")
    pair = pair.assign(before=before, after=after, change=after - before)
    differing = pair[pair["change"] != 0]
    return {
        "numbers": len(wanted),
        "changed": len(differing),
        "channels": [_of_channel(str(n), rows) for n, rows in differing.groupby("channel")],
        "largest": _largest(differing),
    }


def _of_channel(name: str, rows: pd.DataFrame) -> dict[str, Any]:
    return {
        "channel": name,
        "changed": len(rows),
        "up": int((rows["change"] > 0).sum()),
        "down": int((rows["change"] < 0).sum()),
        "to_nothing": int((rows["after"] == 0).sum()),
        "units": int(rows["change"].sum()),
    }


def _largest(rows: pd.DataFrame) -> list[dict[str, Any]]:
    order = rows["change"].abs().sort_values(ascending=False, kind="stable").index[:SHOWN]
    shown = rows.loc[order, ["channel", "sku", "before", "after"]]
    return [
        {"channel": c, "sku": s, "before": int(b), "after": int(a)}
        for c, s, b, a in shown.itertuples(index=False)
    ]
