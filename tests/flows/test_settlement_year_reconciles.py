"""A generated year through the real steps: clean to the cent, every planted fault found by name.

The full year is `bench/settlement_year.py`; here are as many orders as hold one of each kind.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from sqlalchemy import Engine

from resources.sandbox import baskets
from resources.sandbox.settlement_year import ALL_KINDS, year
from resources.sandbox.shop_order import ShopOrder
from sync_assets.ops.settlement_year import settle


def _spread(count: int, times: int) -> Iterator[ShopOrder]:
    """Some weeks of baskets, drawn out so that there are payouts and statements enough."""
    first = None
    for one in baskets.orders(count):
        first = first or one.placed_at
        shift = (one.placed_at - first) * (times - 1)
        refunds = tuple(replace(r, refunded_at=r.refunded_at + shift) for r in one.refunds)
        yield replace(one, placed_at=one.placed_at + shift, refunds=refunds)


def test_a_clean_year_is_matched_whole_and_nothing_is_found(engine: Engine, tmp_path: Path) -> None:
    done = settle(engine, year(_spread(1200, 20), seed=3), tmp_path)
    assert done.lines == done.matched > 1200
    assert (done.open, done.unexplained, done.beside, done.differences) == (0, 0, {}, {})
    assert done.held == {}
    assert done.entries > 100


def test_every_planted_fault_is_found_by_its_finding(engine: Engine, tmp_path: Path) -> None:
    made = year(_spread(6000, 20), seed=7, planted_each=1)
    assert {one.kind for one in made.planted} == set(ALL_KINDS)
    done = settle(engine, made, tmp_path)
    assert done.missed == {}
    assert (done.found, done.unexplained) == (len(ALL_KINDS), 0)
