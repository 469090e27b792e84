"""Seeded random faults on every wire, deaths among them: once they stop, all is well."""

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from resources.sandbox.faults import Trouble
from resources.store import postgres
from resources.store.engine import engine_for
from tests.effort import at_most
from tests.faults import assert_all_is_well, killed_at_request, place_some, recover, run
from tests.worlds import World, small_world

RATE = st.sampled_from([0.0, 0.03, 0.1, 0.25])
RATES = st.fixed_dictionaries(dict.fromkeys(Trouble, RATE))
#: At which request each run dies; most finish.
DEATHS = st.lists(st.one_of(st.none(), st.integers(1, 30)), min_size=2, max_size=3)
CHANGES = st.lists(st.sampled_from(["cancelled", "trash", "completed", None]), max_size=3)


@contextmanager
def fresh_world(server: postgres.Databases, version: int) -> Iterator[World]:
    """A small world on a database of its own; hypothesis makes several within one test."""
    name = f"test_{uuid4().hex[:8]}"
    postgres.create_database(server, name, template=str(server.store.database))
    engine = engine_for(postgres.Databases(server.store.set(database=name)))
    try:
        yield small_world(engine, version)
    finally:
        engine.dispose()
        postgres.drop_database(server, name)


def trouble(world: World, rates: dict[Trouble, float], seed: int) -> None:
    """Let random faults strike every system."""
    for number, one in enumerate([world.erp, *world.shops.values()]):
        one.faults.rates = {kind: rate for kind, rate in rates.items() if rate}
        one.faults.random.seed(seed + number)


@settings(
    max_examples=at_most(4, 8),
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
@given(
    rates=RATES,
    seed=st.integers(0, 10_000),
    deaths=DEATHS,
    changes=CHANGES,
    version=st.sampled_from([18, 19]),
)
def test_random_faults_lose_double_and_hide_nothing(
    server: postgres.Databases,
    rates: dict[Trouble, float],
    seed: int,
    deaths: list[int | None],
    changes: list[str | None],
    version: int,
) -> None:
    with fresh_world(server, version) as world:
        run(world)
        refs = place_some(world)
        trouble(world, rates, seed)
        for death in deaths:
            with killed_at_request(world, death or 0):
                run(world)
            world.clock.forward(minutes=6 if death else 0)
            place_some(world)
        for ref, status in zip(refs, changes, strict=False):
            change(world, ref, status)
        run(world)
        world.clock.forward(hours=2)
        for one in (world.erp, *world.shops.values()):
            one.faults.clear()
        recover(world)
        assert_all_is_well(world)
        assert world.rows("select * from ops.exception where state = 'open'") == []


def change(world: World, ref: str, status: str | None) -> None:
    """Let the shop's owner do something to an order."""
    store, order_id = ref.split(":")
    if status == "trash":
        world.shops[store].trash(int(order_id))
    elif status:
        world.shops[store].set_status(int(order_id), status)
