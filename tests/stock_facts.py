"""Facts of stock for tests: the same ones as frames and as one SKU's facts, and random ones."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import pandas as pd
from hypothesis import strategies as st

from sync_assets.domain.availability import Inputs
from sync_assets.domain.explaining import Component, SkuFacts, StockAt
from sync_assets.domain.policy import Policy, parse

PLACES = ("berlin", "leipzig", "lyon", "paris")
CHANNELS = ("eu", "uk", "us")
GOODS = ("MUG", "POT", "TEA [GREEN]", "ÖL_1")
KITS = ("KIT-A", "KIT-B", "KIT-C")


@dataclass
class Stock:
    """What is known of stock, in the form tests are written in."""

    levels: dict[tuple[str, str], tuple[int, int, int]] = field(default_factory=dict)
    reserved: dict[tuple[str, str], int] = field(default_factory=dict)
    components: dict[str, list[tuple[str | None, Decimal]]] = field(default_factory=dict)
    demand: dict[tuple[str, str], Decimal] = field(default_factory=dict)

    def inputs(self, policy: Policy, skus: list[str] | None = None) -> Inputs:
        """As frames."""
        return Inputs(
            levels=_frame(
                ("sku", "location", "on_hand_units", "allocated_units", "quarantined_units"),
                [(*key, *units) for key, units in self.levels.items()],
            ),
            reservations=_frame(
                ("sku", "location", "open_units"),
                [(*key, units) for key, units in self.reserved.items()],
            ),
            components=_frame(
                ("kit_sku", "component_sku", "component_units"),
                [(kit, *part) for kit, parts in self.components.items() for part in parts],
            ),
            demand=_frame(
                ("channel", "sku", "units_per_day"),
                [(*key, units) for key, units in self.demand.items()],
            ),
            policy=policy,
            skus=skus,
        )

    def facts(self, sku: str) -> SkuFacts:
        """As one SKU's facts."""
        return SkuFacts(
            sku,
            levels={p: StockAt(*units) for (s, p), units in self.levels.items() if s == sku},
            reserved={p: units for (s, p), units in self.reserved.items() if s == sku},
            demand={c: units for (c, s), units in self.demand.items() if s == sku},
            components=[
                Component(None if part is None else self.facts(part), units)
                for part, units in self.components.get(sku, [])
            ],
        )

    def free(self, sku: str, place: str) -> int:
        """What nobody has a claim on."""
        on_hand, allocated, quarantined = self.levels.get((sku, place), (0, 0, 0))
        return on_hand - allocated - quarantined - self.reserved.get((sku, place), 0)


TYPES = {"sku": "str", "location": "str", "kit_sku": "str", "component_sku": "str"}


def _frame(columns: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> pd.DataFrame:
    data = {name: [row[place] for row in rows] for place, name in enumerate(columns)}
    return pd.DataFrame(
        {name: pd.Series(values, dtype=_type(name)) for name, values in data.items()}
    )


def _type(column: str) -> str:
    if column in ("units_per_day", "component_units"):
        return "object"
    return "int64" if column.endswith("_units") else "str"


def policy(channels: Mapping[str, Any], places: Sequence[str] = PLACES, **more: Any) -> Policy:
    """A policy over these places; those named in `closed` are closed."""
    closed = more.pop("closed", ())
    locations = {
        name: {"source": "odoo", "code": name.upper(), "is_closed": name in closed}
        for name in places
    }
    return parse({"locations": locations, "channels": dict(channels), **more})


units = st.integers(0, 25)
decimals = st.decimals(0, 9, places=3)
rules = st.fixed_dictionaries(
    {},
    optional={
        "safety": st.fixed_dictionaries(
            {"units": st.integers(0, 4), "days": st.decimals(0, 3, places=1)}
        ),
        "share": st.sampled_from([Decimal("0"), Decimal("0.25"), Decimal("0.6"), Decimal("1")]),
        "cap_units": st.integers(0, 10),
        "backorder": st.fixed_dictionaries(
            {
                "is_allowed": st.booleans(),
                "lead_days": st.one_of(st.none(), st.integers(0, 30)),
                "limit_units": st.one_of(st.none(), st.integers(0, 12)),
            }
        ),
        "is_assembled": st.booleans(),
        "is_withheld": st.booleans(),
    },
)
patterns = st.sampled_from(["*", "KIT-*", "MUG", "TEA [GREEN]", "T?A*", "*_1", "ÖL?1"])
overrides = st.builds(
    lambda rule, skus: {**rule, "skus": skus}, rules, st.lists(patterns, min_size=1, max_size=2)
)
channels = st.builds(
    lambda rule, places, priority, over, pause: {
        **rule,
        "locations": places,
        "priority": priority,
        "overrides": over,
        "kits_pause_below_units": pause,
    },
    rules,
    st.lists(st.sampled_from(PLACES), min_size=1, max_size=3, unique=True),
    st.integers(0, 2),
    st.lists(overrides, max_size=2),
    st.integers(0, 3),
)
policies = st.builds(
    lambda told, below, closed: policy(told, divide_below_units=below, closed=closed),
    st.dictionaries(st.sampled_from(CHANNELS), channels, min_size=1),
    st.sampled_from([None, 0, 10, 20, 40]),
    st.lists(st.sampled_from(PLACES), max_size=1),
)
cells = st.tuples(st.sampled_from(GOODS), st.sampled_from(PLACES))
stocks = st.builds(
    Stock,
    levels=st.dictionaries(cells, st.tuples(units, units, st.integers(0, 3)), max_size=12),
    reserved=st.dictionaries(cells, st.integers(0, 8), max_size=6),
    # A kit's parts are goods, kits before it, a SKU nobody knows, and none at all.
    components=st.fixed_dictionaries(
        {},
        optional={
            kit: st.lists(
                st.tuples(
                    st.sampled_from([*GOODS, *GOODS, *KITS[:place], "GONE", None]),
                    st.sampled_from([Decimal(1), Decimal(2), Decimal("0.5"), Decimal("1.75")]),
                ),
                min_size=1,
                max_size=3,
                unique_by=lambda part: part[0],
            )
            for place, kit in enumerate(KITS)
        },
    ),
    demand=st.dictionaries(
        st.tuples(st.sampled_from(CHANNELS), st.sampled_from([*GOODS, *KITS])), decimals, max_size=8
    ),
)
