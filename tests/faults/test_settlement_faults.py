"""A settlement run may die after any statement and around any request, and two may run at once:
in the end the same is matched, booked and posted as if nothing had happened, once.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from itertools import count
from pathlib import Path
from threading import Barrier
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import Engine

from resources.store import postgres
from resources.store.engine import engine_for
from sync_assets.settlements import steps
from tests.faults import killed_at_request, killed_at_statement, open_writes
from tests.settling import (
    US,
    Money,
    days,
    settled_world,
)
from tests.settling_files import (
    START,
    bank_camt,
    stripe_charge,
    stripe_file,
    stripe_payout,
)

PATIENCE = 120.0


@pytest.fixture
def one(engine: Engine, tmp_path: Path) -> Money:
    """The world of money."""
    return settled_world(engine, tmp_path)


@pytest.fixture
def twin(server: postgres.Databases, tmp_path: Path) -> Iterator[Money]:
    """The same world on a database of its own, in which nothing goes wrong."""
    name = f"test_{uuid4().hex[:8]}"
    postgres.create_database(server, name, template=str(server.store.database))
    engine = engine_for(postgres.Databases(server.store.set(database=name)))
    folder = tmp_path / "twin"
    folder.mkdir()
    yield settled_world(engine, folder)
    engine.dispose()
    postgres.drop_database(server, name)


def sell(one: Money, number: int, *, is_banked: bool = True) -> None:
    """Sell for 100.00, and have it paid out, in a payout and a statement of the bank of its own."""
    payout, at = f"po_{10_000 + number}", START + days(number)
    one.order(number, "100.00", payment=f"pi_{number}", at=at)
    one.drop(
        "stripe_us",
        f"{payout}.csv",
        stripe_file(
            stripe_charge(number, "100.00", "3.20", payout=payout, at=at),
            stripe_payout(payout, "96.80", at=at),
        ),
    )
    if not is_banked:
        return
    opening = str(500 + (number - 1) * Decimal("96.80"))
    paid = ("96.80", f"STRIPE {payout}")
    one.drop("main_usd", f"s{number}.xml", bank_camt(number, opening, paid, at=at + days(1)))


def told(one: Money) -> dict[str, Any]:
    """What reading and mapping leave, but for ids and moments."""
    return _asked(one, _TOLD)


def rows(one: Money) -> dict[str, Any]:
    """All that a run leaves, but for ids and moments."""
    return {
        **told(one),
        **_asked(one, _DONE),
        "matches": one.matches(),
        "open": one.open(),
        "books": one.books(),
        "erp": one.in_erp(),
    }


def _asked(one: Money, queries: dict[str, str]) -> dict[str, Any]:
    return {name: one.world.rows(query) for name, query in queries.items()}


_TOLD = {
    "lines": "select line_ref, payout_ref, net_amount from core.settlement_lines order by 1",
    "payouts": "select payout_ref, paid_amount, state from core.payouts order by 1",
    "bank": "select bank_line_ref, amount from core.bank_lines order by 1",
    "files": "select provider, file_name, state from core.report_files order by 1, 2",
}
_DONE = {
    "payments": "select payment_ref, amount, is_void from core.payments order by 1",
    "receipts": "select key, outcome, amount from receipt.odoo__journal_entries order by 1",
    "outbox": "select thing_ref, state from ops.outbox order by 1",
    "sources": "select source_kind, source_ref, amount from core.journal_sources order by 1, 2, 3",
}


def finish(one: Money) -> None:
    """Clean runs, with leases run out, until nothing waits to be sent."""
    for _ in range(5):
        one.settle(minutes=10)
        if not open_writes(one.world):
            return


def killed_everywhere(
    one: Money, prepare: Callable[[int], Any], step: Callable[[], Any], stride: int = 1
) -> tuple[int, int]:
    """Kill a step after its first statement, its second, … until it gets through; each time with
    something new to do. Answers how often that was, and how many statements it has."""
    for number, at in enumerate(count(1, stride), 1):
        prepare(number)
        with killed_at_statement(one.systems.engine, at) as axe:
            step()
        if axe.count < at:
            return number, axe.count
    raise AssertionError


# ---------------------------------------------------------------- every statement of each step


def test_reading_killed_at_any_statement_loses_and_doubles_no_file(one: Money) -> None:
    times, statements = killed_everywhere(one, lambda number: sell(one, number), one.read)
    assert statements > 10
    one.read()
    files = one.world.rows("select state, count(*) as n from core.report_files group by 1")
    assert files == [{"state": "read", "n": 2 * times}]
    for provider, thing in (("stripe_us", "stripe"), ("main_usd", "bank")):
        assert one.world.rows(f"select count(*) as n from raw.{thing}__report_lines") == [
            {"n": 2 * times}
        ]
        folder = one.folder / provider
        assert [path.name for path in folder.iterdir() if path.is_file()] == []


def test_mapping_killed_at_any_statement_leaves_nothing_half_done(one: Money, twin: Money) -> None:
    for each in (one, twin):
        for number in (1, 2):
            sell(each, number)
        each.read()
    steps.map_all(twin.systems, "run")
    whole = told(twin)

    def halves(_: int) -> None:
        """Each transaction is there whole, or not at all."""
        for name, held in told(one).items():
            assert held in ([], whole[name]), name

    killed_everywhere(one, halves, lambda: steps.map_all(one.systems, "run"))
    assert told(one) == whole


def test_matching_killed_all_along_matches_everything_once(one: Money) -> None:
    """After every seventh statement: nearly all of them are in one transaction."""

    def prepare(number: int) -> None:
        one.order(number, "100.00", payment=f"pi_{number}")
        _line(one, f"txn_{number}", f"pi_{number}")

    def step() -> None:
        steps.match(one.systems, "run")

    times, statements = killed_everywhere(one, prepare, step, stride=7)
    assert statements > 120
    steps.match(one.systems, "run")
    assert one.matches() == sorted(
        ("exact", f"stripe_us:txn_{n}", f"us:{n}:capture") for n in range(1, times + 1)
    )
    assert (one.open(), one.told()) == ({}, set())


def _line(one: Money, key: str, group: str) -> None:
    row = {
        "line_ref": f"stripe_us:{key}",
        "provider": "stripe_us",
        "kind": "sale",
        "payout_ref": "stripe_us:po_10001",
        "group_id": group,
        "currency": "USD",
        "gross_amount": Decimal(100),
        "fee_amount": Decimal("3.20"),
        "fee_tax_amount": Decimal(),
        "net_amount": Decimal("96.80"),
        "occurred_at": START,
        "description": "",
        "told_by": "file",
        "file_line": 1,
    }
    one.put("core.settlement_lines", row)


def test_posting_killed_at_any_statement_books_and_takes_back_everything_once(
    one: Money,
) -> None:
    """A payment turned out not to be one, and another is new."""
    _payment(one, 1)
    one.post()
    one.world.execute("update core.payments set is_void = true")
    one.world.clock.at = START + days(1)
    _payment(one, 2)
    before = one.counts()

    def unchanged(_: int) -> None:
        assert one.counts() == before

    _, statements = killed_everywhere(one, unchanged, one.post)
    assert statements > 40
    first, second = (f"receipts:{US}:stripe_us:us:day:2026-03-0{n}:2026-03:1" for n in (2, 3))
    assert one.books() == {
        first: ["03-02", "1100 -100.00 USD", "1200 100.00 USD"],
        f"correction:{first}:1": ["03-03", "1100 100.00 USD", "1200 -100.00 USD"],
        second: ["03-03", "1100 -100.00 USD", "1200 100.00 USD"],
    }
    after = one.counts()
    one.post()
    assert one.counts() == after


def _payment(one: Money, number: int) -> None:
    row = {
        "payment_ref": f"us:{number}:capture",
        "kind": "capture",
        "order_ref": f"us:{number}",
        "store": "us",
        "provider": "stripe_us",
        "amount": Decimal(100),
        "currency": "USD",
        "expected_at": one.world.clock(),
        "source": "order",
        "is_void": False,
    }
    one.put("core.payments", row)


# ---------------------------------------------------------------- the ERP


def entry(one: Money, number: int) -> str:
    """Put an entry that the ERP shall hold; answers its key."""
    on = date(2026, 3, 2) + timedelta(days=number)
    key = f"receipts:{US}:stripe_us:us:day:{on}:{on:%Y-%m}:1"
    head = {
        "entry_ref": key,
        "kind": "receipts",
        "company": US,
        "erp": "odoo",
        "journal": "MISC",
        "posted_on": on,
        "period": f"{on:%Y-%m}",
        "company_currency": "USD",
        "provider": "stripe_us",
        "store": "us",
        "batch_ref": f"day:{on}",
        "description": "Receipts",
        "created_at": one.world.clock(),
    }
    one.put("core.journal_entries", head)
    one.world.execute(
        "insert into core.journal_lines (entry_ref, line_no, account, account_kind, amount, "
        "currency, company_amount, description, item_count) values "
        "(:key, 1, '1200', 'clearing', 100, 'USD', 100, 'paid', 1), "
        "(:key, 2, '1100', 'receivable', -100, 'USD', -100, 'customers', 1)",
        key=key,
    )
    return key


def sent(one: Money) -> None:
    """Let leases run out, and send until nothing waits."""
    for _ in range(5):
        one.world.clock.forward(minutes=10)
        one.send()
        if not open_writes(one.world):
            break
    said = one.world.rows("select key, outcome from receipt.odoo__journal_entries order by key")
    keys = sorted(one.books())
    assert [(row["key"], row["outcome"]) for row in said] == [(key, "accepted") for key in keys]
    assert one.in_erp() == {key: sorted(lines) for key, (_, *lines) in one.books().items()}


def test_sending_killed_at_any_statement_posts_every_entry_once(one: Money) -> None:
    def prepare(number: int) -> None:
        one.world.clock.forward(minutes=10)
        entry(one, number)

    assert killed_everywhere(one, prepare, one.send)[1] > 15
    sent(one)


@pytest.mark.parametrize("before", [True, False])
def test_sending_killed_around_any_request_posts_every_entry_once(one: Money, before: bool) -> None:
    for at in count(1):
        one.world.clock.forward(minutes=10)
        entry(one, at)
        with killed_at_request(one.world, at, before=before) as axe:
            one.send()
        if axe.count < at:
            break
    assert at > 15
    sent(one)


# ---------------------------------------------------------------- whole runs


def test_whole_runs_killed_here_and_there_end_like_undisturbed_ones(
    one: Money, twin: Money
) -> None:
    for number, at in enumerate(range(11, 330, 40), 1):
        for each in (one, twin):
            each.world.clock.at = START + days(number + 1)
            sell(each, number)
        with killed_at_statement(one.systems.engine, at):
            one.settle()
        twin.settle()
    for each in (one, twin):
        finish(each)
    assert rows(one) == rows(twin)
    assert (one.open(), one.told()) == ({}, set())


@pytest.fixture
def workers(one: Money, database: postgres.Databases) -> Iterator[list[Money]]:
    """Two workers with connections of their own in the same world."""
    with ExitStack() as stack:
        made = []
        for _ in range(2):
            engine = engine_for(database)
            stack.callback(engine.dispose)
            systems = replace(one.systems, engine=engine)
            made.append(replace(one, world=replace(one.world, systems=systems)))
        yield made


def test_two_runs_at_once_make_nothing_twice(one: Money, twin: Money, workers: list[Money]) -> None:
    for number in range(1, 4):
        for each in (one, twin):
            each.world.clock.at = START + days(number + 1)
            sell(each, number)
        start = Barrier(len(workers))

        def settle(worker: Money, start: Barrier = start) -> None:
            start.wait(PATIENCE)
            worker.settle()

        with ThreadPoolExecutor(len(workers)) as pool:
            for done in [pool.submit(settle, worker) for worker in workers]:
                done.result(PATIENCE)
        twin.settle()
    for each in (one, twin):
        finish(each)
    assert rows(one) == rows(twin)
