"""The command line against served stand-ins and a real database: answers, faults, exit codes.

One small deployment is brought up for all of this file; a test that changes it uses an order of
its own. The command line has the real clock, so what happens here happened in 2025.
"""

import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from resources.sandbox.serve import serve
from resources.store import postgres
from resources.store.engine import engine_for
from tests.desk import NOON, Told, said
from tests.worlds import STORES, World, small_world

CLOSED = "http://127.0.0.1:9"


@dataclass
class Office:
    """The deployment all tests share, and what its first runs said."""

    world: World
    urls: dict[str, str]
    home: Path
    database: postgres.Databases
    orders: dict[str, int] = field(default_factory=dict)
    runs: dict[str, Told] = field(default_factory=dict)

    def ref(self, name: str) -> str:
        """Our key of one of the orders placed beforehand."""
        return f"us:{self.orders[name]}"

    def config(self, name: str = "sync.toml", **changes: Any) -> str:
        """Write the configuration, with changes by `part.key`, and answer its path."""
        path = self.home / name
        path.write_text(_toml(self.urls, changes))
        return str(path)


def _toml(urls: Mapping[str, str], changes: Mapping[str, Any]) -> str:
    parts: dict[str, dict[str, Any]] = {
        "erps.odoo": {
            "kind": "odoo",
            "url": urls["odoo"],
            "database": "erp",
            "login": "sync",
            "api_key": "key",
            "attempts": 1,
        }
    }
    for name, (currency, _, company, warehouse, code, _, tax, _) in STORES.items():
        parts[f"stores.{name}"] = {
            "url": urls[name],
            "key": "ck_test",
            "secret": "cs_test",
            "erp": "odoo",
            "company": company,
            "warehouse": warehouse,
            "currencies": [currency],
            "lag_seconds": 0,
            "attempts": 1,
        }
        parts[f"stores.{name}.taxes"] = {code: tax}
    for place, value in changes.items():
        part, _, key = place.rpartition(".")
        parts[part][key] = value
    lines = ['backfill_from = "2025-06-01T00:00:00Z"']
    for part, values in parts.items():
        lines += [f"[{part}]", *[f"{json.dumps(k)} = {json.dumps(v)}" for k, v in values.items()]]
    return "\n".join(lines) + "\n"


@pytest.fixture(scope="module")
def office(server: postgres.Databases) -> Iterator[Office]:
    name = f"cli_{uuid4().hex[:8]}"
    postgres.create_database(server, name, template=str(server.store.database))
    database = postgres.Databases(server.store.set(database=name))
    engine, home = engine_for(database), Path(tempfile.mkdtemp(prefix="sync-cli-"))
    world = small_world(engine)
    world.clock.at = NOON
    with pytest.MonkeyPatch.context() as patch, serve({**world.shops, "odoo": world.erp}) as urls:
        found = Office(world, urls, home, database)
        patch.chdir(home)
        patch.setenv("SYNC_DATABASE_URL", database.text(database.store))
        patch.setenv("SYNC_HOME", str(home))
        patch.setenv("SYNC_CONFIG", found.config())
        patch.setenv("USER", "tester")
        patch.setenv("COLUMNS", "200")
        patch.delenv("DAGSTER_HOME", raising=False)
        _place(found)
        found.runs["empty"] = said("status")
        found.runs["dry"] = said("run", "--dry-run", "--json")
        found.runs["dry_erp_orders"] = Told(world.erp.order_count(), "", "")
        found.runs["run"] = said("run", "--compare", "--json")
        yield found
    engine.dispose()
    postgres.drop_database(database, name)
    postgres.drop_database(database, f"{name}_dagster")
    shutil.rmtree(home, ignore_errors=True)


def _place(office: Office) -> None:
    place = office.world.place
    office.world.erp.refuse("no credit", lambda order: order["client_order_ref"] in refused)
    office.orders |= {
        "good": place(transaction_id="pi_777"),
        "held": place(lines={"NOPE": 1}),
        "gift": place(line_items=[{"sku": "TEA", "quantity": 1, "subtotal": "0", "total": "0"}]),
        "parked": place(),
        "quiet": place("uk", placed_at=NOON - timedelta(days=1)),
    }
    refused = {office.ref("parked")}


# ---------------------------------------------------------------- help


def _commands() -> list[list[str]]:
    single = ["demo", "doctor", "status", "trace", "run", "backfill", "ui", "env", "remap"]
    return [[], *([name] for name in single), *(["exceptions", n] for n in ("list", "release"))]


@pytest.mark.parametrize("words", _commands(), ids=" ".join)
def test_every_command_explains_itself(words: list[str]) -> None:
    told = said(*words, "--help")
    assert told.code == 0
    assert "Usage:" in told.out
    assert len(told.out) > 300


def test_a_word_that_is_no_command_is_refused() -> None:
    told = said("sell")
    assert (told.code, told.out) == (2, "")
    assert "No such command 'sell'" in told.err


# ---------------------------------------------------------------- run


def test_an_untouched_deployment_says_what_to_do_next(office: Office) -> None:
    told = office.runs["empty"]
    assert (told.code, told.err) == (0, "")
    assert told.out.replace("\n", " ").startswith("Nothing was read yet. `sync-assets run` reads")


def test_a_dry_run_plans_and_sends_nothing(office: Office) -> None:
    told = office.runs["dry"]
    assert told.code == 0
    (run,) = told.json["runs"]
    assert (run["job"], run["success"], run["failed_steps"]) == ("orders_dry_run", True, [])
    assert office.runs["dry_erp_orders"].code == 0


def test_a_run_sends_and_compares_and_prints_one_object(office: Office) -> None:
    told = office.runs["run"]
    orders, compare = told.json["runs"]
    assert (orders["job"], orders["success"]) == ("orders", True)
    assert (compare["job"], compare["success"], compare["failed_checks"]) == (
        "orders_compare",
        True,
        [],
    )
    assert told.code == 0
    accepted = office.world.rows("select order_ref from receipt.sales_orders order by 1")
    refs = [office.ref("good"), f"uk:{office.orders['quiet']}"]
    assert {row["order_ref"] for row in accepted} == set(refs)


# ---------------------------------------------------------------- status and trace


def test_status_counts_what_was_read_sent_and_held(office: Office) -> None:
    found = said("status", "--json").json
    assert {one["source"] for one in found["streams"]} == {"us", "uk", "odoo"}
    states = {(one["store"], one["pipeline_state"]) for one in found["orders"]}
    assert {("us", "accepted"), ("us", "held"), ("uk", "accepted")} <= states
    assert "order.sku_unknown" in {one["code"] for one in found["exceptions"]}
    assert all(check["passed"] for check in found["checks"])
    assert found["unmapped"] == 0


def test_status_for_people_shows_tables(office: Office) -> None:
    told = said("status")
    assert (told.code, told.err) == (0, "")
    for title in ("Read up to", "Orders", "Open exceptions"):
        assert title in told.out


@pytest.mark.parametrize("form", ["our key", "order number", "payment reference", "ERP number"])
def test_an_order_is_traced_from_any_of_its_references(office: Office, form: str) -> None:
    ref = office.ref("good")
    (erp_order,) = office.world.in_erp()[ref]
    reference = {
        "our key": ref,
        "order number": str(office.orders["good"]),
        "payment reference": "pi_777",
        "ERP number": erp_order["name"],
    }[form]
    found = said("trace", reference, "--json").json["found"]
    assert ref in [one["order_ref"] for one in found]
    (order,) = [one for one in found if one["order_ref"] == ref]
    assert order["order"]["pipeline_state"] == "accepted"
    assert {event["layer"] for event in order["events"]} >= {"raw", "plan", "outbox", "receipt"}
    assert erp_order["name"] in {one["remote_number"] for one in order["references"]}


def test_a_trace_for_people_tells_the_story_in_order(office: Office) -> None:
    told = said("trace", office.ref("good"))
    assert (told.code, told.err) == (0, "")
    assert f"{office.ref('good')}  accepted  34.11 USD" in told.out
    places = [told.out.index(f" {layer} ") for layer in ("raw", "plan", "receipt")]
    assert places == sorted(places)


def test_an_unknown_reference_is_told_in_one_sentence(office: Office) -> None:
    told = said("trace", "us:999999")
    assert told.code == 1
    assert told.out == ""
    assert told.sentence().startswith("Nothing is known under 'us:999999'. Known forms: us:1042")


# ---------------------------------------------------------------- exceptions


def listed(*words: str) -> list[dict[str, Any]]:
    found = said("exceptions", "list", "--json", *words).json
    assert found["open"] == len(found["exceptions"])
    return list(found["exceptions"])


def test_exceptions_are_listed_by_code_and_by_order(office: Office) -> None:
    (held,) = listed("--code", "order.sku_unknown")
    assert (held["subject_ref"], held["owner_role"]) == (office.ref("held"), "operations")
    assert [one["code"] for one in listed("--subject", office.ref("held"))] == ["order.sku_unknown"]
    assert listed("--code", "order.no_such") == []
    assert said("exceptions", "list", "--code", "order.no_such").out == "Nothing is open.\n"
    assert "order.sku_unknown" in said("exceptions", "list").out


def test_a_hold_that_is_a_fact_cannot_be_released(office: Office) -> None:
    (held,) = listed("--code", "order.sku_unknown")
    told = said("exceptions", "release", str(held["id"]), "--reason", "please")
    assert told.code == 2
    assert told.sentence().startswith("order.sku_unknown cannot be released by hand: ")
    assert listed("--code", "order.sku_unknown") == [held]


def test_an_exception_that_is_not_there_cannot_be_released(office: Office) -> None:
    told = said("exceptions", "release", "999999", "--reason", "x")
    assert told.sentence() == (
        "There is no exception 999999; `sync-assets exceptions list` shows the open ones."
    )


def test_a_released_order_goes_on_with_the_next_run_and_the_audit_knows_who(
    office: Office,
) -> None:
    ref = office.ref("gift")
    (hold,) = [one for one in listed("--subject", ref) if one["can_release"]]
    assert hold["code"] == "order.total_zero"
    told = said("exceptions", "release", str(hold["id"]), "--reason", "a gift", "--json")
    assert told.json == {"released": hold["id"], "subject_ref": ref}
    again = said("exceptions", "release", str(hold["id"]), "--reason", "a gift")
    assert again.sentence().startswith(f"Exception {hold['id']} is released already, by tester at ")
    entries = office.world.rows(
        "select actor, action, detail->>'note' as note from ops.audit where subject_ref = :r", r=ref
    )
    assert entries == [{"actor": "tester", "action": "exception.released", "note": "a gift"}]
    assert said("run").code == 0
    assert [one["state"] for one in office.world.in_erp()[ref]] == ["sale"]


def test_a_parked_write_is_tried_again_when_a_person_says_so(office: Office) -> None:
    ref = office.ref("parked")
    assert office.world.outbox()[ref] == "parked"
    office.world.erp.accept()
    told = said("exceptions", "retry", ref, "--json")
    assert told.json == {"order_ref": ref, "waiting": 1}
    assert said("run").code == 0
    assert [one["state"] for one in office.world.in_erp()[ref]] == ["sale"]
    twice = said("exceptions", "retry", ref)
    assert twice.sentence() == f"Nothing is parked for '{ref}'; see `sync-assets status`."
    assert twice.code == 1


# ---------------------------------------------------------------- backfill


def test_a_backfill_counts_days_and_orders(office: Office) -> None:
    told = said("backfill", "--store", "uk", "--from", "2025-06-01", "--to", "2025-06-02", "--json")
    found = told.json
    assert (told.code, found["days"], found["failed"]) == (0, 2, 0)
    assert [(one["store"], one["day"], one["orders"]) for one in found["runs"]] == [
        ("uk", "2025-06-01", 1),
        ("uk", "2025-06-02", 0),
    ]


def test_a_backfill_for_people_ends_in_one_line(office: Office) -> None:
    told = said("backfill", "--store", "uk", "--from", "2025-06-01")
    assert told.code == 0
    assert told.out == "1 store days read, 1 orders, 0 days failed.\n"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ([], "--from needs a day as YYYY-MM-DD, not ''."),
        (["--from", "1 June"], "--from needs a day as YYYY-MM-DD, not '1 June'."),
        (["--from", "2025-06-02", "--to", "2025-06-01"], "--to is before --from."),
        (
            ["--from", "2025-06-01", "--store", "mars"],
            "Unknown store mars. Configured: uk, us.",
        ),
        (
            ["--from", "2025-05-31"],
            "Partitions begin on 2025-06-01; set backfill_from in the configuration.",
        ),
        (["--from", "2999-01-01"], "Partitions end today, in UTC; 2999-01-01 is not over yet."),
    ],
)
def test_a_backfill_of_impossible_days_is_refused(
    office: Office, words: Sequence[str], sentence: str
) -> None:
    told = said("backfill", *words)
    assert (told.code, told.out) == (2, "")
    assert told.sentence() == sentence


# ---------------------------------------------------------------- doctor


def test_a_healthy_deployment_is_all_green(office: Office) -> None:
    told = said("doctor", "--json")
    assert told.code == 0
    assert told.json["healthy"] is True
    assert [one["what"] for one in told.json["findings"]] == [
        "configuration",
        "database",
        "store us",
        "store uk",
        "erp odoo",
    ]
    people = said("doctor")
    assert people.out.count("✓") == 5
    assert "cs_test" not in told.out + people.out
    assert "✗" not in people.out


@pytest.mark.parametrize(
    ("changes", "what", "told"),
    [
        ({"stores.us.url": CLOSED}, "store us", "cannot reach GET 127.0.0.1:9 (ConnectError)"),
        ({"stores.us.secret": "wrong"}, "store us", "does not accept the key"),
        ({"stores.us.key": "wrong"}, "store us", "does not accept the key"),
        ({"erps.odoo.url": CLOSED}, "erp odoo", "cannot reach POST 127.0.0.1:9 (ConnectError)"),
        ({"erps.odoo.api_key": "wrong"}, "erp odoo", "odoo: "),
        ({"erps.odoo.database": "other"}, "erp odoo", "odoo: "),
    ],
)
def test_the_doctor_finds_what_is_wrong_and_looks_at_the_rest(
    office: Office, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], what: str, told: str
) -> None:
    monkeypatch.setenv("SYNC_CONFIG", office.config("bad.toml", **changes))
    found = said("doctor", "--json")
    assert found.code == 1
    bad = [one for one in found.json["findings"] if not one["ok"]]
    assert [one["what"] for one in bad] == [what]
    assert told in bad[0]["told"]
    assert "\n" not in bad[0]["told"]
    assert len(found.json["findings"]) == 5


# ---------------------------------------------------------------- what a person must mend


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"erps.odoo.api_key": "wrong"}, "user 'sync' is not accepted"),
        ({"erps.odoo.database": "other"}, "odoo: "),
        ({"erps.odoo.url": CLOSED}, "cannot reach POST 127.0.0.1:9"),
        ({"stores.us.url": CLOSED, "stores.uk.url": CLOSED}, "cannot reach GET 127.0.0.1:9"),
    ],
)
def test_a_run_that_fails_says_why_in_one_sentence(
    office: Office, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], words: str
) -> None:
    monkeypatch.setenv("SYNC_CONFIG", office.config("bad.toml", **changes))
    told = said("run", "--json")
    assert told.code == 1
    assert told.json["runs"][0]["success"] is False
    assert words in told.err
    assert "Traceback" not in told.err
    why = told.json["runs"][0]["why"]
    assert told.err.splitlines() == [f"✗ {sentence}" for sentence in dict.fromkeys(why)]
    assert len(set(why)) == 1


def test_a_comparison_that_disagrees_ends_with_one(office: Office) -> None:
    ref = f"uk:{office.orders['quiet']}"
    (order,) = office.world.in_erp()[ref]
    row = dict(office.world.erp.tables.rows["sale.order"][order["id"]])
    try:
        office.world.erp.tables.change("sale.order", order["id"], {"state": "cancel"})
        told = said("run", "--compare", "--json")
    finally:
        office.world.erp.tables.change("sale.order", order["id"], row)
    assert (told.code, told.json["runs"][1]["success"]) == (1, True)
    assert told.sentence() == (
        "The systems do not agree: receipt/odoo/sales_orders: core_and_odoo_agree; the run shows "
        "the keys."
    )


NO_SERVER = "postgresql://nobody@127.0.0.1:9/sync"


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        (NO_SERVER, "Postgres at 127.0.0.1:9 cannot be reached"),
        ("mysql://u@h/d", "SYNC_DATABASE_URL must be a postgresql:// URL, not mysql://"),
        ("postgresql://u@h", "SYNC_DATABASE_URL names no database; end it with one"),
        ("nonsense", "SYNC_DATABASE_URL "),
    ],
)
@pytest.mark.parametrize(
    "words",
    [
        ["status"],
        ["trace", "us:1"],
        ["run"],
        ["backfill", "--from", "2025-06-01"],
        ["exceptions", "list"],
        ["env"],
    ],
    ids=" ".join,
)
def test_a_database_out_of_reach_is_told_in_one_sentence(
    office: Office, monkeypatch: pytest.MonkeyPatch, url: str, sentence: str, words: list[str]
) -> None:
    monkeypatch.setenv("SYNC_DATABASE_URL", url)
    told = said(*words)
    assert (told.code, told.out) == (2, "")
    assert told.sentence().startswith(sentence)


def test_the_doctor_tells_a_database_that_is_not_there_and_makes_it_when_asked(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"cli_{uuid4().hex[:8]}"
    other = postgres.Databases(office.database.store.set(database=name))
    monkeypatch.setenv("SYNC_DATABASE_URL", other.text(other.store))
    first = said("doctor", "--json")
    (finding,) = [one for one in first.json["findings"] if one["what"] == "database"]
    assert f"has no database '{name}'" in finding["told"]
    assert first.code == 1
    try:
        assert said("doctor", "--create", "--json").json["healthy"] is True
        assert said("doctor", "--json").json["healthy"] is True
    finally:
        postgres.drop_database(other, name)
        postgres.drop_database(other, f"{name}_dagster")


def test_a_configuration_that_is_not_there_is_told(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SYNC_CONFIG", "elsewhere.toml")
    told = said("run")
    assert (told.code, told.out) == (2, "")
    assert told.sentence() == "SYNC_CONFIG names elsewhere.toml, which does not exist."


def test_without_any_store_a_run_says_how_to_begin(
    office: Office, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("SYNC_CONFIG")
    monkeypatch.chdir(tmp_path)
    told = said("run")
    assert told.code == 2
    assert told.sentence().startswith("No store is configured in sync.toml; see ")


@pytest.mark.parametrize("words", [["run"], ["doctor"], ["backfill", "--from", "2025-06-01"]])
def test_a_broken_configuration_is_told_with_its_place(
    office: Office, monkeypatch: pytest.MonkeyPatch, words: list[str]
) -> None:
    broken = office.home / "broken.toml"
    broken.write_text("[stores.us\n")
    monkeypatch.setenv("SYNC_CONFIG", str(broken))
    told = said(*words)
    assert (told.code, told.out) == (2, "")
    assert told.sentence().startswith(f"{broken} is not TOML: ")


def test_an_unset_secret_is_told_by_name(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    path = office.config("bad.toml", **{"erps.odoo.api_key": "env:NOT_SET_HERE"})
    monkeypatch.setenv("SYNC_CONFIG", path)
    told = said("doctor")
    expected = f"{path}: erps.odoo.api_key: set the environment variable NOT_SET_HERE"
    assert told.sentence() == expected


def test_env_prints_what_dagster_needs(office: Office) -> None:
    told = said("env")
    lines = dict(line.removeprefix("export ").split("=", 1) for line in told.out.splitlines())
    assert {"SYNC_DATABASE_URL", "SYNC_DAGSTER_URL", "DAGSTER_HOME", "SYNC_CONFIG"} <= set(lines)
    assert "postgresql+psycopg2" in lines["SYNC_DAGSTER_URL"]
    assert told.code == 0


def test_money_in_answers_is_exact_text(office: Office) -> None:
    (found,) = said("trace", office.ref("good"), "--json").json["found"]
    assert Decimal(found["order"]["total_amount"]) == Decimal("34.11")
    assert isinstance(found["order"]["total_amount"], str)
