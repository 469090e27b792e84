"""Group commit: deliveries share commits, each is answered after its own, none costs another."""

import asyncio
import json
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest

from resources.store import postgres
from resources.store.engine import engine_for, migrate
from resources.store.inbox import Delivery
from resources.store.postgres import Databases
from sensors.webhooks.intake import Intake, Overloaded, Unavailable
from tests.receiving import Receiving, inbox_of, receiving, run
from tests.worlds import START


def delivery(number: int, **more: Any) -> Delivery:
    body = json.dumps({"id": number}).encode()
    one = Delivery(
        "woocommerce", "us", "order.updated", str(number), body, f"c{number}", START, None, "valid"
    )
    return replace(one, **more)


def ids(database: Databases) -> list[str | None]:
    return [row["resource_id"] for row in inbox_of(database)]


def on_disk(connection: psycopg.Connection, correlation_id: str) -> int:
    query = "select count(*) from ops.inbox where correlation_id = %s"
    (count,) = connection.execute(query, (correlation_id,)).fetchone() or (0,)
    return int(count)


def test_deliveries_that_come_together_share_few_commits(database: Databases) -> None:
    async def story(one: Receiving) -> None:
        await asyncio.gather(*[one.intake.keep([delivery(n)]) for n in range(400)])
        assert sorted(map(int, filter(None, ids(database)))) == list(range(400))
        assert sum(one.commits) == 400
        assert len(one.commits) <= 8

    run(database, story)


def test_each_is_answered_after_its_own_commit(database: Databases) -> None:
    async def story(one: Receiving) -> None:
        seen: list[int] = []
        with psycopg.connect(database.text(database.store), autocommit=True) as witness:

            async def keep(number: int) -> None:
                await one.intake.keep([delivery(number)])
                seen.append(on_disk(witness, f"c{number}"))

            await asyncio.gather(*[keep(number) for number in range(100)])
        assert seen == [1] * 100

    run(database, story)


def test_a_lone_delivery_waits_for_nobody(database: Databases) -> None:
    async def story(one: Receiving) -> None:
        for number in range(3):
            await one.intake.keep([delivery(number)])
        assert one.commits == [1, 1, 1]

    run(database, story, company_seconds=60.0)


def test_one_word_announces_a_whole_commit(database: Databases) -> None:
    async def story(one: Receiving) -> None:
        with psycopg.connect(database.text(database.store), autocommit=True) as listener:
            listener.execute("listen sync_work")
            await asyncio.gather(*[one.intake.keep([delivery(n)]) for n in range(100)])
            # A word reaches its listener a moment after the commit.
            said = listener.notifies(timeout=10, stop_after=len(one.commits))
            assert [found.payload for found in said] == ["inbox"] * len(one.commits)
            assert await one.intake.is_ready()
            assert list(listener.notifies(timeout=0)) == []

    run(database, story)


def test_a_row_the_database_cannot_hold_costs_its_neighbours_nothing(database: Databases) -> None:
    bad = delivery(13, headers={"x-wc-webhook-topic": "nul \x00"})

    async def story(one: Receiving) -> None:
        others = [delivery(n) for n in range(40) if n != 13]
        await asyncio.gather(
            *[one.intake.keep([each]) for each in [*others[:13], bad, *others[13:]]]
        )
        rows = inbox_of(database)
        set_aside = [row for row in rows if row["state"] == "quarantined"]
        assert sorted(int(row["resource_id"]) for row in rows if row["state"] == "waiting") == [
            n for n in range(40) if n != 13
        ]
        (row,) = set_aside
        assert (bytes(row["body"]), row["correlation_id"]) == (b'{"id": 13}', "c13")
        assert row["outcome"] == "the database cannot hold it: unsupported Unicode escape sequence"
        assert (row["headers"], row["topic"], row["settled_at"]) == ({}, "", START)

    run(database, story)


def test_deliveries_of_one_body_are_kept_all_or_not_at_all(database: Databases) -> None:
    async def story(one: Receiving) -> None:
        bad = delivery(2, headers={"a": "\x00"})
        await one.intake.keep([delivery(1), bad])
        assert [row["state"] for row in inbox_of(database)] == ["quarantined"] * 2
        assert one.commits == [2]

    run(database, story)


def test_large_bodies_go_through_the_same_line(database: Databases) -> None:
    async def story(one: Receiving) -> None:
        bodies = [bytes([n]) * 1_000_000 for n in range(20)]
        await asyncio.gather(
            *[one.intake.keep([delivery(n, body=body)]) for n, body in enumerate(bodies)]
        )
        assert sorted(bytes(row["body"]) for row in inbox_of(database)) == bodies

    run(database, story)


class Blocked:
    """Somebody who holds the inbox, so that no commit ends."""

    def __init__(self, database: Databases) -> None:
        self.connection = psycopg.connect(database.text(database.store))

    def __enter__(self) -> "Blocked":
        self.connection.execute("lock table ops.inbox in exclusive mode")
        return self

    def __exit__(self, *_: object) -> None:
        self.connection.close()


def test_more_than_may_wait_is_sent_away_and_the_rest_is_kept(database: Databases) -> None:
    async def story(one: Receiving) -> None:
        with Blocked(database):
            first = asyncio.ensure_future(one.intake.keep([delivery(0)]))
            waiting = [asyncio.ensure_future(one.intake.keep([delivery(n)])) for n in (1, 2)]
            await asyncio.sleep(0)
            with pytest.raises(Overloaded):
                await one.intake.keep([delivery(3), delivery(4)])
            answer = await one.shop(b'{"id":5}')
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
            assert one.count("overloaded") == 1
        await asyncio.gather(first, *waiting)
        assert sorted(filter(None, ids(database))) == ["0", "1", "2"]

    run(database, story, most_rows=3)


def test_a_database_that_does_not_answer_is_given_up_and_tried_again(database: Databases) -> None:
    async def story(one: Receiving) -> None:
        with Blocked(database):
            answer = await one.shop(b'{"id":1}')
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
            assert answer.json() == {"error": "Deliveries cannot be kept now; come again."}
        assert (await one.shop(b'{"id":2}')).status_code == 200
        assert "2" in ids(database)

    run(database, story, commit_seconds=0.2)


def test_a_connection_that_was_ended_meanwhile_is_made_anew(database: Databases) -> None:
    async def story(one: Receiving) -> None:
        await one.intake.keep([delivery(1)])
        with psycopg.connect(database.text(database.store), autocommit=True) as admin:
            ended = admin.execute(
                "select pg_terminate_backend(pid, 5000) from pg_stat_activity "
                "where application_name = 'sync-assets receiver' and datname = %s",
                (database.store.database,),
            ).fetchall()
        assert ended == [(True,)]
        assert (await one.shop(b'{"id":2}')).status_code == 200
        assert ids(database) == ["1", "2"]

    run(database, story)


def test_a_schema_that_is_not_there_yet_is_a_database_that_is_away(
    server: Databases,
) -> None:
    name = f"bare_{os.getpid()}"
    postgres.create_database(server, name)
    bare = Databases(server.store.set(database=name))

    async def story(one: Receiving) -> None:
        assert (await one.shop(b'{"id":1}')).status_code == 503
        assert (await one.client.get("/ready")).status_code == 503
        engine = engine_for(bare)
        migrate(engine)
        engine.dispose()
        assert (await one.client.get("/ready")).status_code == 200
        assert (await one.shop(b'{"id":1}')).status_code == 200
        assert ids(bare) == ["1"]

    try:
        run(bare, story)
    finally:
        postgres.drop_database(server, name)


def test_stopping_finishes_what_was_taken_in(database: Databases) -> None:
    async def story() -> None:
        async with receiving(database) as one:
            kept = [asyncio.ensure_future(one.intake.keep([delivery(n)])) for n in range(50)]
            await asyncio.sleep(0)
            await one.intake.stop()
            await asyncio.gather(*kept)
            with pytest.raises(Unavailable):
                await one.intake.keep([delivery(99)])
            assert (await one.shop(b'{"id":99}')).status_code == 503

    asyncio.run(story())
    assert sorted(map(int, filter(None, ids(database)))) == list(range(50))


def test_an_intake_that_was_not_started_takes_nothing() -> None:
    async def story() -> None:
        with pytest.raises(Unavailable):
            await Intake("postgresql://nobody@127.0.0.1:9/x").keep([delivery(1)])

    asyncio.run(story())


@pytest.fixture
def own_server() -> Iterator[tuple[Path, Databases]]:
    """A database server of this test alone, which may be killed."""
    folder = Path(tempfile.mkdtemp(prefix="sync-own-"))
    found = postgres.embedded(folder)
    postgres.create_database(found, str(found.store.database))
    engine = engine_for(found)
    migrate(engine)
    engine.dispose()
    yield folder, found
    postgres.stop_embedded(folder)
    shutil.rmtree(folder, ignore_errors=True)


def test_the_database_may_be_killed_and_come_back_while_deliveries_go_on(
    own_server: tuple[Path, Databases],
) -> None:
    folder, database = own_server
    accepted: list[int] = []

    async def story(one: Receiving) -> None:
        async def send(numbers: range) -> set[int]:
            answers = await asyncio.gather(
                *[one.shop(json.dumps({"id": n}).encode()) for n in numbers]
            )
            told = dict(zip(numbers, answers, strict=True))
            accepted.extend(n for n, answer in told.items() if answer.status_code == 200)
            return {answer.status_code for answer in answers}

        assert await send(range(1, 51)) == {200}
        postmaster = int((folder / "postmaster.pid").read_text().split()[0])
        os.kill(postmaster, signal.SIGKILL)
        while await send(range(51, 61)) != {503}:
            pass  # its children take a moment to notice; what they still take is kept
        ready = await one.client.get("/ready")
        assert (ready.status_code, ready.headers["retry-after"]) == (503, "5")
        assert (await one.client.get("/health")).status_code == 200
        while not postgres.revive_embedded(folder):
            pass
        while (await one.client.get("/ready")).status_code != 200:
            pass  # what the first call meets may still be the old server's end
        assert await send(range(61, 111)) == {200}

    run(database, story)
    kept = [int(row["resource_id"]) for row in inbox_of(database)]
    assert set(accepted) <= set(kept)
    assert sorted(n for n in kept if n > 60) == list(range(61, 111))
