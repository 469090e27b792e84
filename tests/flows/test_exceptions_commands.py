"""`sync-assets exceptions`: what a person sees and does, and what each refusal leaves untouched."""

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from resources.sandbox.faults import Fault, Trouble
from resources.store import postgres
from tests.desk import desk, said
from tests.worlds import World


@pytest.fixture
def office(world: World, database: postgres.Databases, tmp_path: Path) -> Iterator[World]:
    with desk(world, database, tmp_path) as found:
        yield found


def open_one(office: World, ref: str, code: str) -> int:
    """The id of one open exception."""
    (row,) = office.rows(
        "select id from ops.exception where state = 'open' and subject_ref = :r and code = :c",
        r=ref,
        c=code,
    )
    return int(row["id"])


def row_of(office: World, exception_id: int) -> dict[str, Any]:
    (row,) = office.rows("select * from ops.exception where id = :id", id=exception_id)
    return row


def untouched(office: World) -> list[Any]:
    """All that a refusal must leave as it was."""
    return [
        office.rows(f"select * from {table} order by 1")
        for table in ("ops.exception", "ops.outbox", "ops.audit", "receipt.odoo__sales_orders")
    ]


def catch_up(office: World) -> None:
    """Move the world's clock to that of the command line."""
    (row,) = office.rows("select max(due_at) as at from ops.outbox")
    office.clock.at = row["at"]


def audit(office: World) -> list[dict[str, Any]]:
    return office.rows("select actor, action, subject_ref, detail from ops.audit order by id")


@pytest.fixture
def held(office: World) -> str:
    """An order of an item the ERP does not know."""
    ref = f"us:{office.place(lines={'NOPE': 1})}"
    office.run()
    return ref


@pytest.fixture
def parked(office: World) -> str:
    """An order the ERP refused."""
    office.erp.refuse("no credit", lambda order: True)
    ref = f"us:{office.place()}"
    office.run()
    assert office.outbox() == {ref: "parked"}
    return ref


# Looking


def test_a_list_shows_age_owner_and_person_and_tells_what_it_leaves_out(office: World) -> None:
    for _ in range(3):
        office.place(lines={"NOPE": 1})
    office.place("uk", lines={"TEA": 1}, billing={})
    office.run()
    found = said("exceptions", "list", "--json").json
    assert found["open"] == 4
    (first, *_) = found["exceptions"]
    assert first["is_overdue"] is True
    cut = said("exceptions", "list", "--limit", "1", "--json").json
    assert (cut["open"], len(cut["exceptions"])) == (4, 1)
    people = said("exceptions", "list", "--limit", "1")
    assert "overdue" in people.out
    assert "… and 3 more; see --limit and the filters." in people.out
    support = said("exceptions", "list", "--owner", "support", "--overdue", "--json").json
    assert [one["code"] for one in support["exceptions"]] == ["order.address_missing"]


def test_a_list_by_person_knows_nobody(office: World, held: str) -> None:
    one = str(open_one(office, held, "order.sku_unknown"))
    assert said("exceptions", "list", "--assigned", "nobody", "--json").json["open"] == 1
    assert said("exceptions", "assign", one, "--to", "ben").code == 0
    assert said("exceptions", "list", "--assigned", "nobody").out == "Nothing is open.\n"
    mine = said("exceptions", "list", "--assigned", "ben", "--json").json
    assert [row["assigned_to"] for row in mine["exceptions"]] == ["ben"]


def test_showing_one_tells_all_about_it_and_what_ends_it(office: World, held: str) -> None:
    one = open_one(office, held, "order.sku_unknown")
    found = said("exceptions", "show", str(one), "--json").json
    assert found["exception"]["subject_ref"] == held
    assert found["exception"]["amount"] == "5.36"
    assert found["writes"] == []
    assert {event["layer"] for event in found["events"]} >= {"raw", "exception"}
    assert found["ends"] == [
        "Closes by itself when the ERP has one active item of that SKU, or the line in the shop "
        "names another.",
        f"Resolve with `sync-assets exceptions resolve {one} --reason …` if it was mended outside; "
        "if it was not, the next run opens it again.",
    ]
    people = said("exceptions", "show", str(one))
    assert people.code == 0
    for words in (
        f"{one}  order.sku_unknown  {held}",
        "SKU 'NOPE' in odoo: not known there (line 0)",
        "owner         operations",
        "assigned to   nobody",
        "at stake      5.36 USD",
        f"sender's ref  {held.removeprefix('us:')}",
        "holds back    its order",
        "overdue",
        "→ Closes by itself when",
        "What happened",
    ):
        assert words in people.out, words
    assert not {"Ada", "Byron", "ada@example.com"} & set(people.out.split())


def test_showing_a_parked_one_names_the_write_and_how_to_send_it(
    office: World, parked: str
) -> None:
    one = open_one(office, parked, "erp.refused")
    found = said("exceptions", "show", str(one), "--json").json
    assert [(w["system"], w["state"]) for w in found["writes"]] == [("odoo", "parked")]
    assert found["ends"][1] == (
        f"Retry with `sync-assets exceptions retry {one}` once its cause is mended."
    )


def test_showing_what_ended_says_how_and_offers_nothing(office: World, held: str) -> None:
    one = open_one(office, held, "order.sku_unknown")
    said("exceptions", "resolve", str(one), "--reason", "item made")
    found = said("exceptions", "show", str(one), "--json").json
    assert found["ends"] == []
    assert "by tester: item made" in said("exceptions", "show", str(one)).out


def test_showing_what_is_not_there_says_where_to_look(office: World) -> None:
    told = said("exceptions", "show", "999")
    assert (told.code, told.out) == (2, "")
    assert told.sentence() == (
        "There is no exception 999; `sync-assets exceptions list` shows the open ones."
    )


# Assigning


def test_assigning_is_kept_and_audited(office: World, held: str) -> None:
    one = open_one(office, held, "order.sku_unknown")
    told = said("exceptions", "assign", str(one), "--to", "ben", "--reason", "his item", "--json")
    assert told.json == {"assigned": one, "to": "ben", "subject_ref": held}
    assert row_of(office, one)["assigned_to"] == "ben"
    assert audit(office) == [
        {
            "actor": "tester",
            "action": "exception.assigned",
            "subject_ref": held,
            "detail": {
                "exception": one,
                "code": "order.sku_unknown",
                "part": "line 0",
                "note": "his item",
                "before": {"assigned_to": None},
                "after": {"assigned_to": "ben"},
            },
        }
    ]
    assert said("exceptions", "assign", str(one), "--to", "nobody").code == 0
    assert row_of(office, one)["assigned_to"] is None


@pytest.mark.parametrize("name", ["", "  "])
def test_assigning_to_no_name_is_refused(office: World, held: str, name: str) -> None:
    one, before = open_one(office, held, "order.sku_unknown"), untouched(office)
    told = said("exceptions", "assign", str(one), "--to", name)
    assert (told.code, told.sentence()) == (2, "--to needs a name, or 'nobody'.")
    assert untouched(office) == before


def test_the_second_of_two_people_is_told_who_was_first(office: World, held: str) -> None:
    one = open_one(office, held, "order.sku_unknown")
    assert said("exceptions", "assign", str(one), "--to", "ben", "--by", "ben").code == 0
    before = untouched(office)
    told = said("exceptions", "assign", str(one), "--to", "cleo", "--by", "cleo")
    assert told.code == 2
    assert told.sentence().startswith(f"Exception {one} was assigned to ben at ")
    assert untouched(office) == before
    over = said("exceptions", "assign", str(one), "--to", "cleo", "--by", "cleo", "--take-over")
    assert over.code == 0
    assert row_of(office, one)["assigned_to"] == "cleo"


# Retrying


def test_a_parked_write_goes_again_by_the_id_of_its_exception(office: World, parked: str) -> None:
    one = open_one(office, parked, "erp.refused")
    office.erp.accept()
    told = said("exceptions", "retry", str(one), "--reason", "credit raised", "--json")
    assert told.json == {"order_ref": parked, "waiting": 1}
    (entry,) = audit(office)
    assert (entry["action"], entry["subject_ref"]) == ("outbox.retried", parked)
    assert entry["detail"] == {
        "note": "credit raised",
        "before": {"state": "parked", "errors": ["Refused"]},
        "after": {"state": "waiting"},
    }
    catch_up(office)
    office.run()
    assert [order["state"] for order in office.in_erp()[parked]] == ["sale"]
    assert row_of(office, one)["state"] == "closed"


def test_the_second_of_two_who_retry_is_told_that_nothing_is_parked(
    office: World, parked: str
) -> None:
    one = open_one(office, parked, "erp.refused")
    assert said("exceptions", "retry", parked).code == 0
    before = untouched(office)
    told = said("exceptions", "retry", str(one))
    assert told.sentence().startswith(f"No write is parked behind exception {one}. Closes by itse")
    again = said("exceptions", "retry", parked)
    assert (again.code, again.sentence()) == (
        1,
        f"Nothing is parked for '{parked}'; see `sync-assets status`.",
    )
    assert untouched(office) == before


def test_retrying_a_hold_says_what_ends_it(office: World, held: str) -> None:
    one, before = open_one(office, held, "order.sku_unknown"), untouched(office)
    told = said("exceptions", "retry", str(one))
    assert told.code == 2
    assert "Closes by itself when the ERP has one active item of that SKU" in told.sentence()
    assert untouched(office) == before


def test_all_of_one_code_go_again_when_somebody_agrees(office: World) -> None:
    office.erp.refuse("no credit", lambda order: True)
    refs = [f"us:{office.place()}" for _ in range(3)]
    office.run()
    before = untouched(office)
    told = said("exceptions", "retry", "--code", "erp.refused", answers="n\n")
    assert (told.code, told.sentence()) == (1, "Nothing was changed.")
    assert f"3 parked writes behind erp.refused: {', '.join(sorted(refs))}" in told.err
    unasked = said("exceptions", "retry", "--code", "erp.refused", "--json")
    assert (unasked.code, unasked.sentence()) == (2, "3 writes would go again; say --yes.")
    assert untouched(office) == before
    agreed = said("exceptions", "retry", "--code", "erp.refused", answers="y\n")
    assert agreed.out.endswith("3 writes go again with the next run.\n")
    assert set(office.outbox().values()) == {"waiting"}
    assert len(audit(office)) == 3


def test_all_of_one_code_go_again_at_once_with_yes(office: World, parked: str) -> None:
    told = said("exceptions", "retry", "--code", "erp.refused", "--yes", "--json")
    assert told.json == {"code": "erp.refused", "orders": 1, "waiting": 1}
    none = said("exceptions", "retry", "--code", "erp.refused", "--yes")
    assert (none.code, none.sentence()) == (
        1,
        "No write is parked behind 'erp.refused'; see `sync-assets exceptions list`.",
    )


@pytest.mark.parametrize("words", [[], ["us:1", "--code", "erp.refused"]])
def test_retry_needs_one_thing_to_do(office: World, words: list[str]) -> None:
    told = said("exceptions", "retry", *words)
    assert (told.code, told.sentence()) == (
        2,
        "Name one exception or order, or all of one kind with --code CODE.",
    )


# Resolving


def test_what_was_mended_outside_is_closed_in_the_persons_name(office: World, held: str) -> None:
    one = open_one(office, held, "order.sku_unknown")
    told = said("exceptions", "resolve", str(one), "--reason", "item made", "--json")
    assert told.json == {"resolved": one, "subject_ref": held}
    row = row_of(office, one)
    assert (row["state"], row["closed_by"], row["note"]) == ("closed", "tester", "item made")
    (entry,) = audit(office)
    assert (entry["actor"], entry["action"], entry["detail"]["before"]) == (
        "tester",
        "exception.resolved",
        {"state": "open"},
    )


def test_what_was_not_mended_is_open_again_after_the_next_run(office: World, held: str) -> None:
    one = open_one(office, held, "order.sku_unknown")
    said("exceptions", "resolve", str(one), "--reason", "item made")
    office.run()
    again = open_one(office, held, "order.sku_unknown")
    assert again != one
    assert office.in_erp() == {}
    assert office.outbox() == {}


def test_a_hold_on_what_cannot_be_read_is_not_closed_by_hand(office: World) -> None:
    order = office.place()
    office.show("us", order, office.shown("us", order).replace('"processing"', '"on-the-moon"'))
    office.run()
    one, before = open_one(office, f"us:{order}", "order.unknown_state"), untouched(office)
    told = said("exceptions", "resolve", str(one), "--reason", "never mind")
    assert told.code == 2
    assert told.sentence().startswith(
        "order.unknown_state cannot be closed by hand: nothing would open it again if it was not "
        "mended. It closes by itself when the shop sends a version we can read"
    )
    assert untouched(office) == before


def test_a_parked_write_is_settled_before_its_exception_is_closed(
    office: World, parked: str
) -> None:
    one, before = open_one(office, parked, "erp.refused"), untouched(office)
    told = said("exceptions", "resolve", str(one), "--reason", "never mind")
    assert told.sentence() == (
        "erp.refused cannot be closed by hand: its write is parked. Send it with `sync-assets "
        f"exceptions retry {one}`, or cancel the order in the shop; either ends the exception."
    )
    assert untouched(office) == before


def test_what_ended_meanwhile_is_not_closed_twice(office: World, held: str) -> None:
    one = open_one(office, held, "order.sku_unknown")
    said("exceptions", "resolve", str(one), "--reason", "item made", "--by", "ben")
    before = untouched(office)
    told = said("exceptions", "resolve", str(one), "--reason", "item made")
    assert told.sentence().startswith(f"Exception {one} is closed already, by ben at ")
    assert untouched(office) == before


# Resolving what only the ERP can tell


@pytest.fixture
def edited(office: World) -> str:
    """An order that was edited in the shop after the ERP accepted it."""
    order = office.place(lines={"TEA": 2, "MUG": 1})
    office.run()
    line = office.shops["us"].order_json(order)["line_items"][0]["id"]
    change = {"id": line, "quantity": 3, "total": "29.70", "subtotal": "29.70"}
    office.shops["us"].edit(order, line_items=[change])
    office.run()
    return f"us:{order}"


def carry(office: World, ref: str) -> None:
    """What a person makes of the order in the ERP: it is worth what the shop says."""
    (order,) = office.in_erp()[ref]
    with office.erp.writing():
        office.erp.tables.change("sale.order", order["id"], {"amount_total": Decimal("44.72")})


def test_an_edit_is_believed_carried_over_only_when_the_erp_shows_it(
    office: World, edited: str
) -> None:
    one, before = open_one(office, edited, "order.changed_after_acceptance"), untouched(office)
    told = said("exceptions", "resolve", str(one), "--reason", "done in odoo")
    assert told.sentence() == (
        f"The shop's {edited} is worth 44.72 USD, odoo still shows 34.11. Carry the edit into odoo "
        "first."
    )
    assert untouched(office) == before
    carry(office, edited)
    told = said("exceptions", "resolve", str(one), "--reason", "done in odoo")
    assert (told.code, told.out) == (0, f"{one} ({edited}) is closed.\n")
    office.run()
    assert office.open_codes(edited) == set()
    (receipt,) = office.rows("select total_amount, core_version from receipt.sales_orders")
    (order,) = office.rows("select total_amount, raw_version from core.orders")
    assert list(receipt.values()) == list(order.values())


def test_the_next_edit_is_a_conflict_of_its_own(office: World, edited: str) -> None:
    carry(office, edited)
    one = open_one(office, edited, "order.changed_after_acceptance")
    said("exceptions", "resolve", str(one), "--reason", "done in odoo")
    order = int(edited.removeprefix("us:"))
    office.shops["us"].edit(order, billing={"city": "Newtown"})
    office.run()
    assert open_one(office, edited, "order.changed_after_acceptance") != one


def test_an_order_cancelled_only_in_the_erp_is_no_edit_carried_over(
    office: World, edited: str
) -> None:
    one = open_one(office, edited, "order.changed_after_acceptance")
    office.execute("update receipt.odoo__sales_orders set outcome = 'cancelled'")
    before = untouched(office)
    told = said("exceptions", "resolve", str(one), "--reason", "fine")
    assert told.sentence() == (
        f"odoo cancelled {edited}, and the shop still wants it. Cancel it in the shop; the next "
        "run then closes the exception."
    )
    assert untouched(office) == before


def test_an_erp_that_is_away_proves_nothing(office: World, edited: str) -> None:
    one, before = open_one(office, edited, "order.changed_after_acceptance"), untouched(office)
    office.erp.faults.plan(Fault(Trouble.ERROR, times=99))
    told = said("exceptions", "resolve", str(one), "--reason", "done")
    assert told.code == 2
    assert told.sentence().startswith("odoo: ")
    assert untouched(office) == before


def test_missing_stock_is_believed_found_only_when_the_erp_has_reserved_it(office: World) -> None:
    order = office.place(lines={"TEA": 2000})
    office.run()
    ref = f"us:{order}"
    one, before = open_one(office, ref, "order.stock_unconfirmed"), untouched(office)
    told = said("exceptions", "resolve", str(one), "--reason", "stock came")
    assert told.sentence() == (
        f"odoo still has not reserved all units of {ref}. Give it the stock, or cancel the order "
        "in the shop."
    )
    assert untouched(office) == before
