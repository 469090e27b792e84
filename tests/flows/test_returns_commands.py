"""`sync-assets returns`: what a person sees and decides, and what each refusal leaves untouched."""

import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from resources.store import postgres
from sync_assets.ops.returns_commands import app
from tests.desk import desk
from tests.returning import AfterSale, after_sale
from tests.worlds import World


@pytest.fixture
def after(world: World, database: postgres.Databases, tmp_path: Path) -> Iterator[AfterSale]:
    with desk(world, database, tmp_path):
        config = (tmp_path / "sync.toml").read_text()
        found = after_sale(world, tmp_path)
        (tmp_path / "sync.toml").write_text(config)
        yield found


def said(*words: str) -> tuple[int, str]:
    """Exit code of a command and what it said."""
    result = CliRunner().invoke(app, list(words))
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.stdout if result.exit_code == 0 else result.stderr


def told(*words: str) -> dict[str, Any]:
    """The JSON a command answers."""
    code, out = said(*words, "--json")
    assert code == 0, out
    found: dict[str, Any] = json.loads(out)
    return found


@pytest.fixture
def number(after: AfterSale) -> int:
    """A shipped order, and no policy: a person decides everything."""
    number = after.world.place("us", payment_method="paypal")
    after.world.run()
    after.ship(f"us:{number}")
    return number


def test_a_return_by_hand_from_the_request_to_the_money(after: AfterSale, number: int) -> None:
    order = f"us:{number}"
    made = told("request", order, "--line", "TEA=1", "--reason", "too small", "--by", "ada")
    ref = f"{order}:r1"
    assert made == {"ref": ref, "state": "requested"}
    after.core()
    assert told("approve", ref, "--reason", "fine", "--by", "ada")["state"] == "approved"
    after.core()
    assert told("receive", ref, "--reason", "on the desk", "--by", "bob")["state"] == "received"
    after.core()
    done = told("inspect", ref, "--to", "restock", "--reason", "as new", "--by", "bob")
    assert done["state"] == "inspected"
    after.run()
    refund = f"{order}:m1"
    assert after.refunds() == {refund: "closed"} or after.refunds() == {refund: "awaiting_approval"}
    assert told("approve", refund, "--reason", "ok", "--by", "fin")["state"] == "approved"
    after.run(3)
    assert (after.returns(), after.refunds()) == ({ref: "closed"}, {refund: "closed"})
    audit = after.world.rows("select actor, action, subject_ref from ops.audit order by id")
    assert [(row["actor"], row["action"]) for row in audit] == [
        ("ada", "return.requested"),
        ("ada", "return.approved"),
        ("bob", "return.received"),
        ("bob", "return.inspected"),
        ("fin", "refund.approved"),
    ]


def test_what_is_open_is_listed_and_shown_with_steps_and_reasons(
    after: AfterSale, number: int
) -> None:
    told("request", f"us:{number}", "--line", "TEA=1", "--by", "ada")
    after.core()
    (row,) = told("list")["found"]
    assert (row["return_ref"], row["waits_for"]) == (f"us:{number}:r1", "return.approval")
    code, page = said("show", f"us:{number}:r1")
    assert code == 0
    for words in ("return us:", "requested", "TEA", "sender:desk", "return.approval"):
        assert words in page


def test_a_rejected_return_is_not_listed_and_pays_nothing(after: AfterSale, number: int) -> None:
    ref = told("request", f"us:{number}", "--line", "TEA=1", "--by", "ada")["ref"]
    after.core()
    assert told("reject", ref, "--reason", "worn", "--by", "ada")["state"] == "rejected"
    after.run(2)
    assert told("list")["found"] == []
    assert after.refunds() == {}
    assert after.codes() == {}


def test_a_refund_that_is_rejected_is_not_sent(after: AfterSale, number: int) -> None:
    order = f"us:{number}"
    ref = told("request", order, "--line", "TEA=1", "--dropoff", "--by", "ada")["ref"]
    after.core()
    told("inspect", ref, "--to", "restock", "--reason", "ok", "--by", "bob")
    after.run()
    told("reject", f"{order}:m1", "--reason", "stolen", "--by", "fin")
    after.run(2)
    assert after.refunds() == {f"{order}:m1": "refused"}
    assert after.returns() == {ref: "closed"}
    assert after.world.shops["us"].refunds_of(number) == []
    assert after.codes() == {}


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("show", "us:9:r1"), "There is no return or refund 'us:9:r1'"),
        (("approve", "us:9:r1", "--reason", "x"), "There is no return or refund"),
        (("reject", "REF", "--reason", " "), "Say why, with --reason."),
        (("inspect", "REF", "--to", "restock", "--reason", "x"), "is requested; goods are"),
        (("cancel", "REF", "--reason", "x", "--by", "ada"), None),
        (("receive", "REF", "--reason", "x", "--line", "TEA"), "is not a SKU and units"),
    ],
)
def test_what_cannot_be_done_is_said_with_what_would(
    after: AfterSale, number: int, words: tuple[str, ...], sentence: str | None
) -> None:
    ref = told("request", f"us:{number}", "--line", "TEA=1", "--by", "ada")["ref"]
    named = [ref if word == "REF" else word for word in words]
    by = [] if "--by" in named or named[0] == "show" else ["--by", "ada"]
    code, page = said(*named, *by)
    if sentence is None:
        assert code == 0
        assert after.returns() == {ref: "cancelled"}
    else:
        assert code == 2
        assert sentence in page
        assert after.returns() == {ref: "requested"}


def test_a_refund_of_the_shops_is_not_cancelled_here(after: AfterSale, number: int) -> None:
    made = after.world.shops["us"].refund(number, Decimal("5.00"))
    after.run()
    code, page = said("cancel", f"us:{made}", "--reason", "x", "--by", "ada")
    assert code == 2
    assert "delete its refund" in page
    assert after.refunds() == {f"us:{made}": "closed"}
