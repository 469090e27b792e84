"""Replaying deliveries: what is found, foreseen without writing, and then done exactly so."""

import random
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import InternalError

from resources.errors import RemoteError
from resources.sandbox.faults import Fault, Trouble
from resources.store import inbox, postgres
from resources.store.engine import connected
from resources.store.inbox import Delivery, Window
from sync_assets.orders import foreseeing, hints, mapping, replaying
from sync_assets.orders.foreseeing import Foreseen
from sync_assets.orders.replaying import Found, Thing
from tests.desk import desk, said
from tests.worlds import START, World

HOUR = timedelta(hours=1)
WINDOW = Window("woocommerce", START - HOUR, START + HOUR)


def deliver(
    world: World, key: object, topic: str = "order.updated", state: str = "settled", **more: Any
) -> int:
    """A delivery that came now and ended so."""
    given: dict[str, Any] = {
        "source": "woocommerce",
        "store": "us",
        "topic": topic,
        "resource_id": None if key is None else str(key),
        "body": b'{"first_name": "Ada"}',
        "correlation_id": "c-1",
        "received_at": world.clock(),
    }
    with connected(world.systems.engine) as connection:
        (one,) = inbox.append(connection, [Delivery(**{**given, **more})])
        if state in ("settled", "quarantined"):
            connection.execute(
                text(
                    "update ops.inbox set state = :state, settled_at = received_at where id = :id"
                ),
                {"state": state, "id": one},
            )
    return one


def find(world: World, window: Window = WINDOW) -> Found:
    with connected(world.systems.engine) as connection:
        return replaying.find(connection, world.systems.settings, window)


def foresee(world: World, *ids: int, store: str = "us") -> list[Foreseen]:
    things = [Thing(store, "order", str(one), "order.updated", 1, 1) for one in ids]
    return replaying.preview(world.systems, things)


#: How calls went is counted whoever makes them, and an account's limit holds for everybody.
COUNTERS = {"ops.calls", "ops.bucket", "ops.system"}


def counts(world: World) -> dict[str, int]:
    """Rows of every table but the counters of calls."""
    tables = world.rows(
        "select table_schema || '.' || table_name as name from information_schema.tables "
        "where table_schema in ('raw', 'core', 'plan', 'receipt', 'ops') "
        "and table_type = 'BASE TABLE' order by 1"
    )
    return {
        row["name"]: world.rows(f"select count(*) as n from {row['name']}")[0]["n"]
        for row in tables
        if row["name"] not in COUNTERS
    }


def contents(world: World) -> Mapping[str, Any]:
    """Counts of all tables, and digests of those a preview could spoil."""
    spoilt = ("core.orders", "core.order_lines", "ops.exception", "ops.inbox", "ops.outbox")
    return counts(world) | {
        f"{name} rows": world.rows(
            f"select md5(string_agg(t::text, '|' order by t::text)) as d from {name} t"
        )
        for name in (*spoilt, "raw.woocommerce__orders", "plan.odoo__sales_orders")
    }


def follow(world: World) -> None:
    """What the next run does with hints, and after them; no store is asked what else changed."""
    for store in world.shops:
        hints.follow(world.systems, store, "run")
    world.core()
    world.plan()


def later(world: World) -> None:
    world.clock.forward(minutes=5)


# What a window holds


def test_a_thing_is_found_once_however_often_it_was_delivered(world: World) -> None:
    deliver(world, 7, "order.created")
    later(world)
    last = deliver(world, 7)
    deliver(world, 7, store="uk")
    deliver(world, 7, "customer.updated")
    found = find(world)
    assert [(one.ref, one.deliveries) for one in found.things] == [
        ("uk:7", 1),
        ("us:customer:7", 1),
        ("us:7", 2),
    ]
    assert found.things[-1] == Thing("us", "order", "7", "order.updated", 2, last)
    assert found.deliveries == 4


def test_a_window_takes_its_beginning_and_leaves_its_end(world: World) -> None:
    deliver(world, 1, received_at=START)
    deliver(world, 2, received_at=START + HOUR)
    window = replace(WINDOW, start=START, end=START + HOUR)
    assert [one.resource_id for one in find(world, window).things] == ["1"]


@pytest.mark.parametrize(
    ("narrow", "refs"),
    [
        ({"store": "uk"}, ["uk:2"]),
        ({"topic": "order"}, ["uk:2", "us:1"]),
        ({"topic": "order.created"}, ["us:1"]),
        ({"topic": "customer"}, ["us:customer:3"]),
        ({"topic": "ord"}, []),
    ],
)
def test_a_window_may_be_narrowed(world: World, narrow: dict[str, Any], refs: list[str]) -> None:
    deliver(world, 1, "order.created")
    deliver(world, 2, store="uk")
    deliver(world, 3, "customer.created")
    found = find(world, replace(WINDOW, **narrow))
    assert [one.ref for one in found.things] == refs


def test_what_is_waiting_or_leased_is_counted_and_left_to_be_followed(world: World) -> None:
    deliver(world, 1)
    deliver(world, 2, state="waiting")
    world.execute(
        "insert into ops.inbox (source, store, topic, resource_id, body, signature, received_at, "
        "due_at, correlation_id, state, leased_by, lease_until) values ('woocommerce', 'us', "
        "'order.updated', '3', '', 'valid', :at, :at, 'c', 'leased', 'w', :at)",
        at=START,
    )
    found = find(world)
    assert ([one.ref for one in found.things], found.under_way) == (["us:1"], 2)


def test_what_cannot_be_replayed_is_listed_with_its_reason(world: World) -> None:
    deliver(world, 1, "product.updated")
    deliver(world, 2, "product.updated")
    deliver(world, 3, store="mars")
    deliver(world, None, state="quarantined")
    deliver(world, "x' or 1=1", state="quarantined")
    found = find(world)
    assert found.things == []
    assert {
        (one["store"], one["kind"], one["why"], one["deliveries"]) for one in found.left_out
    } == {
        ("us", "product", "not replayable: recomputed instead", 2),
        ("mars", "order", "no store of that name is configured", 1),
        ("us", "order", "names nothing that could be read again", 2),
    }


def test_things_set_aside_by_a_reading_are_no_deliveries(world: World) -> None:
    deliver(world, 1, "woocommerce__orders", state="quarantined", source="us")
    assert find(world).things == []


def test_it_is_told_since_when_deliveries_are_kept(world: World) -> None:
    assert find(world).kept_since is None
    deliver(world, 1)
    deliver(world, 2, store="uk", received_at=START - 9 * HOUR)
    assert find(world).kept_since == START - 9 * HOUR
    assert find(world, replace(WINDOW, store="us")).kept_since == START


# The preview


def test_a_preview_writes_nothing_at_all(world: World) -> None:
    ids = [world.place() for _ in range(3)]
    world.run()
    new = world.place()
    world.shops["us"].edit(ids[0], line_items=[{"sku": "POT", "quantity": 1}])
    world.shops["us"].trash(ids[1])
    for one in (*ids, new):
        deliver(world, one)
    before = contents(world)
    found = replaying.preview(world.systems, find(world).things)
    assert {one.standing for one in found} == {"new", "changed", "unchanged"}
    assert contents(world) == before


def test_the_database_itself_refuses_what_a_preview_would_write(world: World) -> None:
    with (
        pytest.raises(InternalError, match="read-only transaction"),
        foreseeing.looking(world.systems) as connection,
    ):
        connection.execute(text("delete from core.orders"))


def test_changes_are_shown_exactly_and_people_only_as_changed(world: World) -> None:
    order = world.place(lines={"TEA": 2, "MUG": 1})
    world.run()
    line = world.shops["us"].order_json(order)["line_items"][0]["id"]
    edit = {"id": line, "quantity": 3, "total": "29.70", "subtotal": "29.70"}
    world.shops["us"].edit(order, line_items=[edit], billing={"city": "Newtown"})
    (found,) = foresee(world, order)
    assert (found.ref, found.standing) == (f"us:{order}", "changed")
    changes = {one["field"]: (one["before"], one["after"]) for one in found.changes}
    assert changes == {
        "net_amount": ("31.8", "41.7"),
        "tax_amount": ("2.31", "3.02"),
        "total_amount": ("34.11", "44.72"),
        f"product:{line}.quantity": ("2", "3"),
        f"product:{line}.subtotal_amount": ("19.8", "29.7"),
        f"product:{line}.net_amount": ("19.8", "29.7"),
        f"product:{line}.tax_amount": ("1.44", "2.15"),
        "billing.city": (None, None),
    }
    assert "Newtown" not in str(found)
    assert (found.action, found.reason) == (
        "conflict",
        "edited in the shop after the ERP accepted it",
    )


def test_what_the_plan_would_do_is_told_for_every_kind_of_change(world: World) -> None:
    shop = world.shops["us"]
    quiet, ended, edited, late = (world.place() for _ in range(4))
    world.run()
    unpaid = world.place(status="pending")
    held = world.place(lines={"NOPE": 1})
    new = world.place()
    shop.set_status(ended, "cancelled")
    shop.edit(edited, billing={"city": "Newtown"})
    shop.delete(late)
    found = {one.ref: one for one in foresee(world, quiet, ended, edited, late, unpaid, held, new)}
    told = {ref: (one.standing, one.action, one.reason) for ref, one in found.items()}
    assert told == {
        f"us:{quiet}": ("unchanged", "none", "accepted by odoo as it is"),
        f"us:{ended}": ("changed", "cancel", "the shop says cancelled"),
        f"us:{edited}": ("changed", "conflict", "edited in the shop after the ERP accepted it"),
        f"us:{late}": ("gone", "none", "accepted by odoo as it is"),
        f"us:{unpaid}": ("new", "none", "pending_payment is not sent"),
        f"us:{held}": ("new", "held", "order.sku_unknown"),
        f"us:{new}": ("new", "create", "not there yet"),
    }


def test_what_could_not_be_mapped_would_be_set_aside(world: World) -> None:
    order = world.place()
    world.run()
    world.clock.forward(minutes=1)
    world.shops["us"].edit(order)
    world.show("us", order, world.shown("us", order).replace('"processing"', '"on-the-moon"'))
    (found,) = foresee(world, order)
    assert (found.standing, found.action, found.reason, found.changes) == (
        "set_aside",
        "held",
        "order.unknown_state",
        [],
    )


def test_an_older_version_than_ours_changes_nothing(world: World) -> None:
    order = world.place()
    world.run()
    old = world.shown("us", order)
    world.shops["us"].edit(order, billing={"city": "Newtown"})
    world.run()
    world.show("us", order, old.replace("1 Test Street", "9 Old Street"))
    (found,) = foresee(world, order)
    assert (found.standing, found.changes) == ("older", [])
    deliver(world, order)
    replaying.replay(world.systems, WINDOW, find(world).things, by="olga", reason="test")
    follow(world)
    (kept,) = world.rows("select city, street from core.order_addresses where role = 'billing'")
    assert kept == {"city": "Newtown", "street": "1 Test Street"}


def test_a_release_is_remembered_for_its_version_only(world: World) -> None:
    line = {"sku": "TEA", "quantity": 1, "subtotal": "0", "total": "0"}
    order = world.place(line_items=[line])
    world.clock.forward(seconds=2)
    for step in (world.read, world.core, world.plan):
        step()
    assert foresee(world, order)[0].action == "held"
    world.execute(
        "update ops.exception set state = 'released', closed_at = now(), closed_by = 'olga' "
        "where can_release"
    )
    assert [(one.standing, one.action) for one in foresee(world, order)] == [
        ("unchanged", "create")
    ]
    world.shops["us"].edit(order, billing={"city": "Newtown"})
    assert [(one.standing, one.action) for one in foresee(world, order)] == [("changed", "held")]


def test_accounts_are_foreseen_without_what_they_say(world: World) -> None:
    shop = world.shops["us"]
    account = shop.add_customer("ada@example.com", "Ada", "Byron")
    deliver(world, account, "customer.updated")
    (found,) = replaying.preview(world.systems, find(world).things)
    assert (found.ref, found.standing, found.action) == (f"us:customer:{account}", "new", None)
    replaying.replay(world.systems, WINDOW, find(world).things, by="olga", reason="test")
    hints.follow(world.systems, "us", "run")
    mapping.customers(world.systems, "run")
    world.clock.forward(minutes=1)
    shop.customers[account] |= {
        "last_name": "Lovelace",
        "date_modified_gmt": f"{world.clock():%Y-%m-%dT%H:%M:%S}",
    }
    (found,) = replaying.preview(world.systems, find(world).things)
    assert (found.standing, found.changes) == (
        "changed",
        [{"field": "last_name", "before": None, "after": None}],
    )


def test_a_store_that_is_away_spoils_the_preview_and_nothing_else(world: World) -> None:
    order = world.place()
    world.run()
    before = contents(world)
    world.shops["us"].faults.plan(Fault(Trouble.CUT_BEFORE, times=99))
    with pytest.raises(RemoteError, match=r"us: cannot reach|woocommerce"):
        foresee(world, order)
    assert contents(world) == before


# Doing it


def test_each_thing_is_delivered_again_once_and_audited(world: World) -> None:
    for topic in ("order.created", "order.updated"):
        deliver(world, 7, topic)
    last = deliver(world, 7, "order.deleted")
    other = deliver(world, 3, "customer.updated", store="uk")
    later(world)
    things = find(world).things
    done = replaying.replay(world.systems, WINDOW, things, by="olga", reason="shop was restored")
    assert done == 2
    rows = world.rows("select * from ops.inbox where replay_of is not null order by id")
    assert [
        (r["store"], r["topic"], r["resource_id"], r["replay_of"], bytes(r["body"]), r["state"])
        for r in rows
    ] == [
        ("us", "order.deleted", "7", last, b"", "waiting"),
        ("uk", "customer.updated", "3", other, b"", "waiting"),
    ]
    assert {(r["signature"], r["received_at"], r["due_at"]) for r in rows} == {
        ("not_needed", world.clock(), world.clock())
    }
    assert len({r["correlation_id"] for r in rows} | {"c-1"}) == 3
    (entry,) = world.rows("select * from ops.audit")
    assert (entry["actor"], entry["action"], entry["subject_ref"]) == (
        "olga",
        "inbox.replayed",
        "woocommerce",
    )
    assert entry["detail"] == {
        "note": "shop was restored",
        "window": {
            "source": "woocommerce",
            "start": str(WINDOW.start),
            "end": str(WINDOW.end),
        },
        "deliveries": 4,
        "things": 2,
        "stores": ["uk", "us"],
        "inbox": {"first": rows[0]["id"], "last": rows[1]["id"]},
    }


def test_a_replay_brings_what_was_missed(world: World) -> None:
    order = world.place()
    world.run()
    deliver(world, order)
    world.shops["us"].set_status(order, "cancelled")
    replaying.replay(world.systems, WINDOW, find(world).things, by="olga", reason="test")
    follow(world)
    world.send()
    assert [one["state"] for one in world.in_erp()[f"us:{order}"]] == ["cancel"]
    assert {row["state"] for row in world.rows("select state from ops.inbox")} == {"settled"}


def test_a_replay_of_what_did_not_change_changes_nothing(world: World) -> None:
    order = world.place()
    world.run()
    deliver(world, order)
    before = counts(world)
    replaying.replay(world.systems, WINDOW, find(world).things, by="olga", reason="test")
    follow(world)
    world.send()
    after = counts(world)
    grown = {name for name, count in after.items() if count != before[name]}
    assert grown == {"ops.inbox", "ops.audit"}
    assert len(world.in_erp()[f"us:{order}"]) == 1


def edit(world: World, order: int, dice: random.Random) -> None:
    """One thing that people do to an order in a shop."""
    shop = world.shops["us"]
    status = shop.order_json(order)["status"]
    line = shop.order_json(order)["line_items"][0]["id"]
    amount = f"{dice.randint(1, 4000) / 100:.2f}"
    deeds = {
        "nothing": lambda: shop.edit(order),
        "status": lambda: shop.set_status(
            order, dice.choice(["completed", "cancelled", "on-hold", "processing", "failed"])
        ),
        "quantity": lambda: shop.edit(
            order,
            line_items=[
                {"id": line, "quantity": dice.randint(1, 5), "total": amount, "subtotal": amount}
            ],
        ),
        "free": lambda: shop.edit(
            order, line_items=[{"id": line, "quantity": 1, "total": "0", "subtotal": "0"}]
        ),
        "more": lambda: shop.edit(
            order, line_items=[{"sku": dice.choice(["POT", "NOPE"]), "quantity": 1}]
        ),
        "address": lambda: shop.edit(order, billing={"city": f"Town {dice.randint(1, 9)}"}),
        "homeless": lambda: shop.edit(order, billing={"country": ""}),
        "elsewhere": lambda: shop.edit(
            order, shipping={"first_name": "Bo", "address_1": "2 Quay", "city": "Port"}
        ),
        "refund": lambda: shop.refund(order, "1.00") if shop.refundable(order) > 1 else None,
        "trash": lambda: shop.trash(order) if status != "trash" else shop.restore(order),
        "strange": lambda: world.show(
            "us", order, world.shown("us", order).replace('"currency":"USD"', '"currency":"usd"')
        ),
    }
    deeds[dice.choice(sorted(deeds))]()


def happened(world: World, refs: list[str], since: int) -> dict[str, Any]:
    """What core and plan say now, as a preview says it."""
    changes: dict[str, set[tuple[str, Any, Any]]] = {ref: set() for ref in refs}
    for row in world.rows("select * from core.order_changes where raw_version > :v", v=since):
        changes[row["order_ref"]].add((row["field"], row["before"], row["after"]))
    held = {row["order_ref"] for row in world.rows("select order_ref from core.order_holds")}
    plans = {
        row["order_ref"]: row["action"] for row in world.rows("select * from plan.sales_orders")
    }
    return {ref: (changes[ref], "held" if ref in held else plans.get(ref)) for ref in refs}


@pytest.mark.parametrize("seed", range(8))
def test_what_a_preview_shows_is_what_then_happens(world: World, seed: int) -> None:
    dice = random.Random(seed)
    world.shops["us"].add_product("POT", "Pot", "31.50")
    world.shops["us"].add_product("NOPE", "Nope", "5.00")
    ids = [world.place(lines={"TEA": dice.randint(1, 3), "MUG": 1}) for _ in range(8)]
    world.run()
    ids += [world.place(lines={"TEA": 1}) for _ in range(4)]
    world.clock.forward(seconds=2)
    for step in (world.read, world.core, world.plan):  # planned, not sent
        step()
    ids += [world.place() for _ in range(2)]
    for _ in range(2):
        world.clock.forward(minutes=1)
        for one in ids:
            if dice.random() < 0.7:
                edit(world, one, dice)
    for one in ids:
        deliver(world, one)
    (newest,) = world.rows("select max(version) as v from raw.woocommerce__orders")
    things = find(world).things
    foreseen = {one.ref: one for one in replaying.preview(world.systems, things)}
    assert set(foreseen) == {f"us:{one}" for one in ids}

    replaying.replay(world.systems, WINDOW, things, by="olga", reason="test")
    follow(world)
    then = happened(world, list(foreseen), newest["v"])
    for ref, one in foreseen.items():
        changes = {(c["field"], c["before"], c["after"]) for c in one.changes}
        assert (changes, _settled(one, then[ref][1])) == then[ref], (ref, one)


def _settled(one: Foreseen, planned: str | None) -> str | None:
    """A plan that is not looked at again keeps saying what was done by it."""
    if one.action == "none" and one.reason.endswith("as it is"):
        return planned
    if one.action == "none" and planned is None:
        return None
    return one.action


# The command


@pytest.fixture
def office(world: World, database: postgres.Databases, tmp_path: Path) -> Iterator[World]:
    with desk(world, database, tmp_path) as found:
        yield found


DAY = ("--from", "2025-06-02", "--to", "2025-06-03")
WHY = ("--reason", "the receiver was down")


@pytest.fixture
def missed(office: World) -> str:
    """An order of which we have heard, and that was cancelled since."""
    order = office.place()
    office.run()
    deliver(office, order)
    deliver(office, order, "order.created")
    office.shops["us"].set_status(order, "cancelled")
    return f"us:{order}"


def test_a_dry_run_shows_the_changes_and_the_plan_and_writes_nothing(
    office: World, missed: str
) -> None:
    deliver(office, 5, "product.updated")
    deliver(office, 6, state="waiting")
    before = contents(office)
    told = said("replay", *DAY, "--dry-run", "--json")
    assert told.code == 0
    assert told.json == {
        "from": "2025-06-02T00:00:00+00:00",
        "to": "2025-06-03T00:00:00+00:00",
        "deliveries": 2,
        "things": 1,
        "under_way": 1,
        "left_out": [
            {
                "store": "us",
                "kind": "product",
                "deliveries": 1,
                "why": "not replayable: recomputed instead",
            }
        ],
        "not_kept_before": office.rows("select min(received_at) as at from ops.inbox")[0][
            "at"
        ].isoformat(),
        "standings": {"changed": 1},
        "actions": {"cancel": 1},
        "preview": [
            {
                "ref": missed,
                "standing": "changed",
                "changes": [
                    {"field": "state", "before": "paid", "after": "cancelled"},
                    {"field": "shop_status", "before": "processing", "after": "cancelled"},
                ],
                "action": "cancel",
                "reason": "the shop says cancelled",
            }
        ],
        "replayed": 0,
    }
    people = said("replay", *DAY, "--dry-run")
    assert people.code == 0
    for words in (
        "What core would get",
        "What the plan would do",
        "the shop says cancelled",
        "not replayable: recomputed instead",
        "2 deliveries of 1 thing: 1 changed.",
        "Waiting or under way, and followed anyway: 1.",
        "Nothing changed.",
    ):
        assert words in people.out, words
    assert "Nothing received before 2025-06-02 12:01 UTC is kept any more" in people.err
    assert contents(office) == before


def test_a_replay_shows_asks_and_then_does_it(office: World, missed: str) -> None:
    before = contents(office)
    refused = said("replay", *DAY, *WHY, answers="n\n")
    assert (refused.code, refused.sentence()) == (1, "Nothing was changed.")
    assert "the shop says cancelled" in refused.out
    nobody = said("replay", *DAY, *WHY)
    assert nobody.sentence() == (
        "Nobody agreed, and nothing was changed; --yes goes on without asking."
    )
    assert contents(office) == before
    agreed = said("replay", *DAY, *WHY, answers="y\n")
    assert agreed.code == 0
    assert agreed.out.endswith("The next run reads 1 thing again.\n")
    (entry,) = office.rows("select actor, detail from ops.audit")
    assert (entry["actor"], entry["detail"]["note"]) == ("tester", "the receiver was down")
    (hint,) = office.rows("select due_at from ops.inbox where replay_of is not null")
    office.clock.at = hint["due_at"]
    follow(office)
    office.send()
    assert [one["state"] for one in office.in_erp()[missed]] == ["cancel"]


def test_a_replay_of_programs_says_yes_beforehand(office: World, missed: str) -> None:
    done = said("replay", *DAY, *WHY, "--yes", "--json")
    assert (done.code, done.json["replayed"]) == (0, 1)
    assert len(office.rows("select id from ops.inbox where replay_of is not null")) == 1


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (
            ["--from", "yesterday"],
            "--from needs a moment as 2026-03-02T09:00, in UTC unless it says so, not 'yesterday'.",
        ),
        (["--from", "2025-06-02", "--to", "2025-06-02", *WHY], "--to is not after --from."),
        ([*DAY], "Say why with --reason, or look first with --dry-run."),
        ([*DAY, "--reason", " "], "Say why with --reason, or look first with --dry-run."),
        (
            [*DAY, *WHY, "--json"],
            "With --json nobody can be asked: look first with --dry-run, then say --yes.",
        ),
        ([*DAY, *WHY, "--store", "mars"], "Unknown store mars. Configured: uk, us."),
        (
            [*DAY, *WHY, "--source", "stripe"],
            "Deliveries of 'stripe' cannot be replayed; only those of 'woocommerce' name things "
            "that can be read again.",
        ),
    ],
)
def test_what_makes_no_sense_is_refused(
    office: World, missed: str, words: list[str], sentence: str
) -> None:
    before = contents(office)
    told = said("replay", *words)
    assert (told.code, told.out, told.sentence()) == (2, "", sentence)
    assert contents(office) == before


def test_a_window_that_names_too_much_is_refused_before_the_shop_is_asked(
    office: World, missed: str
) -> None:
    deliver(office, 1)
    before, calls = contents(office), office.shops["us"].calls.copy()
    told = said("replay", *DAY, *WHY, "--yes", "--most", "1")
    assert (told.code, told.sentence()) == (
        2,
        "The window names 2 things, more than 1. Narrow --from and --to, --store or --topic, or "
        "raise --most. Nothing was read or changed.",
    )
    assert contents(office) == before
    assert office.shops["us"].calls == calls


def test_a_window_without_deliveries_says_so(office: World, missed: str) -> None:
    told = said("replay", "--from", "2025-07-01", "--to", "2025-07-02", *WHY, "--yes")
    assert (told.code, told.sentence()) == (
        1,
        "No delivery of that window can be replayed; nothing was changed.",
    )
    program = said("replay", "--from", "2025-07-01", "--to", "2025-07-02", "--dry-run", "--json")
    assert (program.code, program.json["things"]) == (1, 0)


def test_a_moment_may_name_its_offset(office: World, missed: str) -> None:
    found = said(
        "replay",
        "--from",
        "2025-06-02T14:01+02:00",
        "--to",
        "2025-06-02T12:02",
        "--dry-run",
        "--json",
    ).json
    assert (found["from"], found["things"]) == ("2025-06-02T12:01:00+00:00", 1)


def test_a_shop_that_is_away_ends_a_replay_before_anything_is_written(
    office: World, missed: str
) -> None:
    before = contents(office)
    office.shops["us"].faults.plan(Fault(Trouble.ERROR, times=99))
    told = said("replay", *DAY, *WHY, "--yes")
    assert told.code == 2
    assert "us" in told.sentence()
    assert contents(office) == before
