"""What each channel may sell: facts from our tables in, the rules of `domain/availability.py`, the
numbers that differ out. Works on the SKUs that were marked, or on all.

The marks go in the transaction that writes the numbers, so a run that dies leaves them.
"""

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import datetime

import pandas as pd
import pyarrow
from sqlalchemy import Connection, text

from resources.store import exceptions, stale, versions
from resources.store.engine import connected, one_at_a_time
from resources.store.frames import fetch_frame, literal, read_rows, scalar, stage_keys
from resources.wiring import Systems
from sync_assets import policies
from sync_assets.domain.availability import Inputs, KitCycle, availability
from sync_assets.domain.dividing import interchangeable
from sync_assets.domain.orders import Problem
from sync_assets.domain.policy import Policy
from sync_assets.trouble import exceptional

QUEUE = "availability"
NUMBERS = versions.Versioned(
    "core.availability_versions",
    key=("channel", "sku"),
    compared=(
        *("atp_units", "safety_units", "sellable_units", "backorder_units", "lead_days"),
        *("limited_by", "scarcest_sku", "policy_hash"),
    ),
    since="computed_at",
)
#: With more marks than this it is asked whether working out everything is less work.
MANY = 2_000
TEXT, UNITS = pyarrow.large_string(), pyarrow.int64()
EXACT = pyarrow.decimal128(20, 6)


@dataclass
class Computed:
    """What one step worked out."""

    computed: int = 0
    new: int = 0
    changed: int = 0
    #: Numbers of channels or SKUs that are no more.
    ended: int = 0
    is_whole: bool = False
    by_limit: dict[str, int] = field(default_factory=dict)


def compute(systems: Systems, run_id: str | None, *, whole: bool = False) -> Computed:
    """Work out what was marked; all of it when asked to, or when the policy is another one."""
    with (
        connected(systems.engine) as connection,
        one_at_a_time(connection, QUEUE),
    ):
        force = policies.in_force(systems, connection)
        keys = stale.take(connection, QUEUE)
        skus = None
        if not (whole or _is_for_all(connection, keys, force.policy_hash)):
            if not keys:
                return Computed()
            skus = _with_kits(connection, keys)
        found = _numbers(systems, connection, force.policy, skus, run_id)
        return _keep(connection, found, force.policy_hash, skus, systems.now(), run_id)


def _is_for_all(connection: Connection, keys: Sequence[str], policy_hash: str) -> bool:
    """Whether all is worked out: marked so, by another policy, or more than a third is marked."""
    if stale.ALL in keys:
        return True
    last = scalar(
        connection,
        "select policy_hash from core.availability_versions where replaced_at is null "
        "order by channel, sku limit 1",
    )
    if last != policy_hash:
        return True
    if len(keys) < MANY:
        return False
    query = "select count(distinct sku) from core.stock_level_versions where replaced_at is null"
    return len(keys) * 3 > int(scalar(connection, query))


def _with_kits(connection: Connection, keys: Sequence[str]) -> list[str]:
    """The SKUs, and the kits that contain one of them, however deep inside."""
    rows = read_rows(
        connection,
        """
        with recursive touched (sku) as (
            select unnest(cast(:keys as text[]))
            union
            select c.sku from core.product_components c
            join touched t on t.sku = c.component_sku where c.sku is not null
        )
        select sku from touched order by sku
        """,
        keys=list(keys),
    )
    return [row["sku"] for row in rows]


def _numbers(
    systems: Systems,
    connection: Connection,
    policy: Policy,
    skus: list[str] | None,
    run_id: str | None,
) -> pd.DataFrame:
    """The numbers; kits that contain one another in a circle sell nothing, and a person is told."""
    inputs = inputs_of(connection, policy, skus)
    circle: list[str] = []
    try:
        found = availability(inputs)
    except KitCycle as fault:
        circle = fault.skus
        kept = inputs.components[~inputs.components["kit_sku"].isin(circle)]
        nothing = pd.DataFrame({"kit_sku": circle, "component_sku": None, "component_units": 1})
        parts = pd.concat([kept, nothing.astype(kept.dtypes.to_dict())], ignore_index=True)
        found = availability(
            Inputs(
                inputs.levels,
                inputs.reservations,
                parts,
                inputs.demand,
                policy,
                skus,
            )
        )
    _tell_circle(systems, connection, circle, run_id)
    return found


def _tell_circle(
    systems: Systems, connection: Connection, circle: list[str], run_id: str | None
) -> None:
    message = "kits contain one another in a circle; none of them is sold"
    exceptions.reconcile(
        connection,
        [
            exceptional(
                Problem("stock.kit_circle", "components", message),
                f"sku:{sku}",
                systems.settings.service_levels,
                sender_ref=sku,
            )
            for sku in circle
        ],
        subjects=_circles_open(connection) + [f"sku:{sku}" for sku in circle],
        codes=["stock.kit_circle"],
        now=systems.now(),
        run_id=run_id,
    )


def _circles_open(connection: Connection) -> list[str]:
    wanted = exceptions.Wanted(code="stock.kit_circle")
    return [row["subject_ref"] for row in exceptions.open_ones(connection, wanted)]


def inputs_of(connection: Connection, policy: Policy, skus: list[str] | None) -> Inputs:
    """The facts of these SKUs and of what is inside of them, or of all."""
    within = ""
    if skus is not None:
        stage_keys(connection, "stage_skus", _with_components(connection, skus))
        within = "join stage_skus k on k.key = v.sku"
    levels = _free(connection, interchangeable(policy), within)
    reservations = fetch_frame(
        connection,
        f"select v.sku, v.location, sum(v.open_units) from core.reservation_versions v {within} "  # noqa: S608
        "where v.replaced_at is null and v.state = 'open' group by 1, 2",
        {"sku": TEXT, "location": TEXT, "open_units": UNITS},
    )
    components = fetch_frame(
        connection,
        f"select distinct v.sku, v.component_sku, v.component_units "  # noqa: S608
        f"from core.kit_components v {within}",
        {"kit_sku": TEXT, "component_sku": TEXT, "component_units": EXACT},
    )
    demand = fetch_frame(
        connection,
        f"select v.channel, v.sku, v.units_per_day from core.demand v {within}",  # noqa: S608
        {"channel": TEXT, "sku": TEXT, "units_per_day": EXACT},
    )
    return Inputs(levels, reservations, components, demand, policy, skus)


def _free(connection: Connection, groups: Mapping[str, Sequence[str]], within: str) -> pd.DataFrame:
    """What is free by SKU and group of locations, as levels of which nothing is allocated.

    Asked for by SKU, a group a column: a tenth of the rows to carry, and added up over there.
    """
    columns = ", ".join(
        "sum(v.on_hand_units - v.allocated_units - v.quarantined_units) "
        f"filter (where v.location = any({literal(list(names))}))::bigint"
        for names in groups.values()
    )
    query = (
        f"select v.sku, {columns} from core.stock_level_versions v {within} "  # noqa: S608
        "where v.replaced_at is null group by v.sku"
    )
    with versions.joined_well(connection, "stage_skus") if within else nullcontext():
        wide = fetch_frame(connection, query, {"sku": TEXT, **dict.fromkeys(groups, UNITS)})
    parts = []
    for name in groups:
        told = wide[name].notna()
        part = pd.DataFrame({"sku": wide["sku"][told], "on_hand_units": wide[name][told]})
        parts.append(part.assign(location=name))
    levels = pd.concat(parts, ignore_index=True).astype({"on_hand_units": "int64"})
    return levels.assign(allocated_units=0, quarantined_units=0)


def _with_components(connection: Connection, skus: Sequence[str]) -> list[str]:
    rows = read_rows(
        connection,
        """
        with recursive inside (sku) as (
            select unnest(cast(:skus as text[]))
            union
            select c.component_sku from core.product_components c
            join inside i on i.sku = c.sku where c.component_sku is not null
        )
        select sku from inside order by sku
        """,
        skus=list(skus),
    )
    return [row["sku"] for row in rows]


def _keep(
    connection: Connection,
    found: pd.DataFrame,
    policy_hash: str,
    skus: list[str] | None,
    now: datetime,
    run_id: str | None,
) -> Computed:
    """Write the numbers that differ; end those of channels and SKUs that have none any more."""
    rows = pyarrow.Table.from_pandas(found, preserve_index=False)
    rows = rows.append_column("policy_hash", pyarrow.repeat(policy_hash, len(found)))
    rows = rows.select(NUMBERS.columns)
    with versions.staged(connection, NUMBERS, "stage_numbers", rows) as stage:
        kept = versions.keep_changed(connection, NUMBERS, stage, now, run_id)
        ended = _end_others(connection, stage, len(found), now) if skus is None else 0
    counts = found["limited_by"].value_counts().to_dict()
    return Computed(
        computed=len(found),
        new=kept.new,
        changed=kept.changed,
        ended=ended,
        is_whole=skus is None,
        by_limit={str(word): int(n) for word, n in counts.items()},
    )


def _end_others(connection: Connection, stage: str, count: int, now: datetime) -> int:
    """Close what was worked out before and has no number now: a channel or SKU that is no more."""
    query = "select count(*) from core.availability_versions where replaced_at is null"
    if scalar(connection, query) == count:
        return 0
    rows = connection.execute(
        text(
            f"""
            with others as (
                select channel, sku from core.availability_versions where replaced_at is null
                except select channel, sku from {stage}
            )
            update core.availability_versions v
            set replaced_at = greatest(:now, v.computed_at + interval '1 microsecond')
            from others o
            where v.channel = o.channel and v.sku = o.sku and v.replaced_at is null
            returning v.sku
            """  # noqa: S608
        ),
        {"now": now},
    )
    ended = [row.sku for row in rows]
    stale.mark(connection, "stock_plan", ended, now)
    return len(ended)
