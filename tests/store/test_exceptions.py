"""Exceptions: opened once, closed when the cause is gone, released by a person for one version."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from threading import Thread
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, text

from resources.store import exceptions, outbox
from resources.store.engine import connected
from resources.store.exceptions import Exceptional, NotPossible, NotReleasable, Wanted
from resources.store.frames import read_rows

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
CODES = ["order.total_zero", "order.sku_unknown"]


def problem(code: str = "order.total_zero", subject: str = "us:1", **more: Any) -> Exceptional:
    given: dict[str, Any] = {"message": "for nothing", "owner_role": "operations", "version": 1}
    return Exceptional(code, subject, **{**given, **more})


def releasable(**more: Any) -> Exceptional:
    return problem(can_release=True, **more)


def found(
    connection: Connection, *problems: Exceptional, subjects: tuple[str, ...] = ("us:1",)
) -> tuple[int, int]:
    return exceptions.reconcile(
        connection, problems, subjects=subjects, codes=CODES, now=NOON + HOUR, run_id="run-1"
    )


def rows(connection: Connection) -> list[dict[str, Any]]:
    return read_rows(connection, "select * from ops.exception order by id")


def states(connection: Connection) -> list[str]:
    return [row["state"] for row in rows(connection)]


def release(connection: Connection, place: int = -1) -> str:
    one = rows(connection)[place]["id"]
    return exceptions.release(connection, one, by="olga", note="a gift", now=NOON)


def test_an_exception_has_an_owner_an_age_and_the_money_at_stake(connection: Connection) -> None:
    one = problem(amount=Decimal("12.340000"), currency="USD", sender_ref="1001", part="total")
    assert exceptions.open_all(connection, [one], now=NOON, run_id="run-1") == 1
    (row,) = rows(connection)
    assert (row["owner_role"], row["opened_at"], row["due_at"]) == (
        "operations",
        NOON,
        NOON + 24 * HOUR,
    )
    assert (row["amount"], row["currency"]) == (Decimal("12.34"), "USD")
    assert (row["sender_ref"], row["part"], row["run_id"]) == ("1001", "total", "run-1")


def test_what_is_found_again_stays_as_it_was_opened_and_tells_the_newest(
    connection: Connection,
) -> None:
    exceptions.open_all(connection, [problem()], now=NOON)
    again = problem(message="still for nothing", version=2, amount=Decimal(5))
    assert exceptions.open_all(connection, [again], now=NOON + HOUR) == 0
    (row,) = rows(connection)
    assert (row["opened_at"], row["due_at"]) == (NOON, NOON + 24 * HOUR)
    assert (row["message"], row["version"], row["amount"]) == ("still for nothing", 2, Decimal(5))


def test_parts_codes_and_subjects_are_exceptions_of_their_own(connection: Connection) -> None:
    several = [problem(part="a"), problem(part="b"), problem("order.sku_unknown")]
    assert exceptions.open_all(connection, [*several, problem(subject="us:2")], now=NOON) == 4


def test_one_problem_found_twice_at_once_is_opened_once(connection: Connection) -> None:
    twice = [problem(message="first"), problem(message="second")]
    assert exceptions.open_all(connection, twice, now=NOON) == 1
    assert [row["message"] for row in rows(connection)] == ["second"]


def test_how_many_were_opened_does_not_hang_on_what_others_close(engine: Engine) -> None:
    with connected(engine) as first:
        exceptions.open_all(first, [problem(subject="us:9")], now=NOON)
    with engine.connect() as other, connected(engine) as mine:
        exceptions.reconcile(other, [], subjects=["us:9"], codes=CODES, now=NOON)
        other.commit()
        assert exceptions.open_all(mine, [problem()], now=NOON) == 1


def test_nothing_found_opens_nothing(connection: Connection) -> None:
    assert exceptions.open_all(connection, [], now=NOON) == 0


def test_what_is_gone_is_closed_with_its_reason(connection: Connection) -> None:
    found(connection, problem(part="a"), problem(part="b"))
    assert found(connection, problem(part="b")) == (0, 1)
    gone, left = rows(connection)
    assert (gone["state"], gone["closed_by"], gone["note"]) == (
        "closed",
        "pipeline",
        "the cause is gone",
    )
    assert gone["closed_at"] == NOON + HOUR
    assert left["state"] == "open"


def test_only_what_was_looked_at_is_closed(connection: Connection) -> None:
    exceptions.open_all(connection, [problem(subject="us:2"), problem("erp.refused")], now=NOON)
    assert found(connection) == (0, 0)
    assert states(connection) == ["open", "open"]


def test_what_comes_back_is_opened_anew(connection: Connection) -> None:
    found(connection, problem())
    found(connection)
    assert found(connection, problem()) == (1, 0)
    assert states(connection) == ["closed", "open"]


# Releasing


def test_a_release_is_signed_and_audited(connection: Connection) -> None:
    found(connection, releasable())
    assert release(connection) == "us:1"
    (row,) = rows(connection)
    assert (row["state"], row["closed_by"], row["note"]) == ("released", "olga", "a gift")
    (entry,) = read_rows(connection, "select * from ops.audit")
    assert (entry["actor"], entry["action"]) == ("olga", "exception.released")
    assert (entry["subject_ref"], entry["detail"]) == (
        "us:1",
        {
            "exception": row["id"],
            "code": "order.total_zero",
            "part": "",
            "note": "a gift",
            "before": {"state": "open"},
            "after": {"state": "released"},
        },
    )


def test_a_release_holds_for_its_version_only(connection: Connection) -> None:
    found(connection, releasable())
    release(connection)
    assert found(connection, releasable()) == (0, 0)
    assert found(connection, releasable(version=2)) == (1, 0)
    assert states(connection) == ["released", "open"]


def test_a_release_covers_no_other_part_and_no_other_reason(connection: Connection) -> None:
    found(connection, releasable(part="a"))
    release(connection)
    assert found(connection, releasable(part="a"), releasable(part="b")) == (1, 0)
    assert found(connection, releasable(part="b"), problem("order.sku_unknown")) == (1, 0)


def test_a_release_of_what_has_no_version_holds(connection: Connection) -> None:
    found(connection, releasable(version=None))
    release(connection)
    assert found(connection, releasable(version=None)) == (0, 0)


def test_what_cannot_be_released_refuses_in_a_sentence_and_stays_open(
    connection: Connection,
) -> None:
    found(connection, problem("order.sku_unknown", message="SKU 'X': not known there"))
    with pytest.raises(NotReleasable) as refused:
        release(connection)
    assert str(refused.value) == (
        "order.sku_unknown cannot be released by hand: SKU 'X': not known there. "
        "Mend the cause; the next run closes it by itself."
    )
    assert states(connection) == ["open"]
    assert read_rows(connection, "select * from ops.audit") == []


def test_what_ended_or_never_was_is_not_released(connection: Connection) -> None:
    found(connection, releasable())
    release(connection)
    (row,) = rows(connection)
    told = rf"^Exception {row['id']} is released already, by olga at 2026-03-02 12:00 UTC\.$"
    with pytest.raises(NotPossible, match=told):
        release(connection)
    with pytest.raises(NotPossible, match=r"^There is no exception 999; `sync-assets exceptions "):
        exceptions.release(connection, 999, by="olga", note="", now=NOON)
    assert len(read_rows(connection, "select * from ops.audit")) == 1


# Looking


def test_open_ones_are_listed_the_oldest_due_first(connection: Connection) -> None:
    slow = problem(subject="us:1", due_after=48 * HOUR)
    soon = problem(subject="us:2", due_after=HOUR)
    exceptions.open_all(connection, [slow, soon, problem("order.sku_unknown", "us:3")], now=NOON)
    found(connection, subjects=("us:3",))

    def listed(**wanted: str) -> list[str]:
        return [row["subject_ref"] for row in exceptions.open_ones(connection, Wanted(**wanted))]

    assert listed() == ["us:2", "us:1"]
    assert listed(subject="us:1") == ["us:1"]
    assert listed(code="order.sku_unknown") == []


def test_an_exception_that_blocks_holds_its_order_and_no_other_does(
    connection: Connection,
) -> None:
    exceptions.open_all(
        connection,
        [
            problem(subject="us:1"),
            problem(subject="us:2", blocks=False),
            problem(subject="us:3", subject_kind="thing"),
        ],
        now=NOON,
    )
    exceptions.open_all(connection, [releasable(subject="us:4")], now=NOON)
    release(connection)
    held = read_rows(connection, "select order_ref, reason from core.order_holds")
    assert held == [{"order_ref": "us:1", "reason": "order.total_zero"}]


def test_open_ones_are_filtered_by_owner_person_and_lateness(connection: Connection) -> None:
    late = problem(subject="us:1", due_after=HOUR)
    money = problem(subject="us:2", owner_role="finance", due_after=3 * HOUR)
    exceptions.open_all(connection, [late, money, problem(subject="us:3")], now=NOON)
    (mine,) = [row["id"] for row in rows(connection) if row["subject_ref"] == "us:3"]
    exceptions.assign(connection, mine, "olga", by="olga", now=NOON)

    def found_by(**wanted: Any) -> list[str]:
        filtered = Wanted(**wanted)
        listed = [row["subject_ref"] for row in exceptions.open_ones(connection, filtered)]
        assert exceptions.count_open(connection, filtered) == len(listed)
        return listed

    assert found_by() == ["us:1", "us:2", "us:3"]
    assert found_by(owner="finance") == ["us:2"]
    assert found_by(assigned="olga") == ["us:3"]
    assert found_by(assigned="") == ["us:1", "us:2"]
    assert found_by(overdue_at=NOON + HOUR) == []
    assert found_by(overdue_at=NOON + 2 * HOUR) == ["us:1"]
    assert found_by(owner="finance", overdue_at=NOON + 9 * HOUR) == ["us:2"]


def test_a_list_can_be_cut_and_still_tells_how_many_there_are(connection: Connection) -> None:
    exceptions.open_all(connection, [problem(subject=f"us:{n}") for n in range(5)], now=NOON)
    assert len(exceptions.open_ones(connection, limit=2)) == 2
    assert exceptions.count_open(connection) == 5


# Assigning


def assign(connection: Connection, to: str | None, by: str = "olga", **more: Any) -> str:
    one = rows(connection)[-1]["id"]
    return exceptions.assign(connection, one, to, by=by, now=NOON + HOUR, **more)


def holder(connection: Connection) -> tuple[str | None, datetime | None]:
    row = rows(connection)[-1]
    return row["assigned_to"], row["assigned_at"]


def audited(connection: Connection) -> list[tuple[str, str, Any, Any]]:
    entries = read_rows(connection, "select * from ops.audit order by id")
    return [(e["actor"], e["action"], e["detail"]["before"], e["detail"]["after"]) for e in entries]


def test_who_works_on_it_is_kept_and_audited(connection: Connection) -> None:
    found(connection, problem())
    assert assign(connection, "ben", note="knows the item") == "us:1"
    assert holder(connection) == ("ben", NOON + HOUR)
    assert assign(connection, None, by="ben") == "us:1"
    assert holder(connection) == (None, None)
    assert audited(connection) == [
        ("olga", "exception.assigned", {"assigned_to": None}, {"assigned_to": "ben"}),
        ("ben", "exception.assigned", {"assigned_to": "ben"}, {"assigned_to": None}),
    ]
    notes = read_rows(connection, "select detail ->> 'note' as note from ops.audit order by id")
    assert [row["note"] for row in notes] == ["knows the item", ""]


def test_what_somebody_works_on_is_taken_over_only_on_purpose(connection: Connection) -> None:
    found(connection, problem())
    assign(connection, "ben")
    with pytest.raises(NotPossible) as refused:
        assign(connection, "olga")
    assert str(refused.value) == (
        f"Exception {rows(connection)[-1]['id']} was assigned to ben at 2026-03-02 13:00 UTC. Ask "
        "them, or take it over with --take-over."
    )
    assert holder(connection)[0] == "ben"
    assert len(audited(connection)) == 1
    assign(connection, "olga", take_over=True)
    assert holder(connection)[0] == "olga"


def test_whoever_works_on_it_may_pass_it_on(connection: Connection) -> None:
    found(connection, problem())
    assign(connection, "ben")
    assign(connection, "cleo", by="ben")
    assert holder(connection)[0] == "cleo"


def test_assigning_to_the_same_person_changes_nothing(connection: Connection) -> None:
    found(connection, problem())
    assign(connection, "ben")
    with pytest.raises(NotPossible, match=r"is assigned to ben already\.$"):
        assign(connection, "ben")
    assert len(audited(connection)) == 1


def test_of_two_who_take_it_at_once_the_second_is_told_who_has_it(engine: Engine) -> None:
    with connected(engine) as connection:
        exceptions.open_all(connection, [problem()], now=NOON)
        (one,) = [row["id"] for row in rows(connection)]
    told: list[str] = []

    def second() -> None:
        try:
            with connected(engine) as other:
                exceptions.assign(other, one, "ben", by="ben", now=NOON)
        except NotPossible as refusal:
            told.append(str(refusal))

    with connected(engine) as first:
        exceptions.assign(first, one, "olga", by="olga", now=NOON)
        waiting = Thread(target=second)
        waiting.start()
    waiting.join(30)
    assert told == [
        f"Exception {one} was assigned to olga at 2026-03-02 12:00 UTC. Ask them, or take it over "
        "with --take-over."
    ]
    with connected(engine) as connection:
        assert holder(connection)[0] == "olga"


def test_nobody_is_assigned_to_what_has_ended(connection: Connection) -> None:
    found(connection, releasable())
    release(connection)
    with pytest.raises(NotPossible, match=r"is released already, by olga"):
        assign(connection, "ben")
    assert holder(connection) == (None, None)


# Resolving


def resolve(connection: Connection) -> str:
    one = rows(connection)[-1]["id"]
    return exceptions.resolve(connection, one, by="ben", note="new item", now=NOON + 2 * HOUR)


def test_what_a_person_mended_outside_is_closed_in_their_name(connection: Connection) -> None:
    found(connection, problem())
    assert resolve(connection) == "us:1"
    (row,) = rows(connection)
    assert (row["state"], row["closed_by"], row["note"]) == ("closed", "ben", "new item")
    assert row["closed_at"] == NOON + 2 * HOUR
    assert audited(connection) == [
        ("ben", "exception.resolved", {"state": "open"}, {"state": "closed"})
    ]


def test_what_was_not_mended_is_opened_again_even_at_the_same_version(
    connection: Connection,
) -> None:
    found(connection, problem())
    resolve(connection)
    assert found(connection, problem()) == (1, 0)
    assert states(connection) == ["closed", "open"]


def test_what_ended_is_not_closed_twice(connection: Connection) -> None:
    found(connection, problem())
    resolve(connection)
    with pytest.raises(NotPossible, match=r"is closed already, by ben at 2026-03-02 14:00 UTC\.$"):
        resolve(connection)
    assert len(audited(connection)) == 1


# Writes behind


def test_writes_behind_an_exception_are_those_of_its_subject(connection: Connection) -> None:
    exceptions.open_all(
        connection,
        [problem("erp.refused", f"us:{n}", blocks=False) for n in (1, 2, 3)],
        now=NOON,
    )
    for thing in ("us:1", "us:2", "us:9"):
        write = outbox.Intended("sales_order.create", thing, {}, "h", 1, 2, "c")
        outbox.intend(connection, "odoo", [write], NOON)
    connection.execute(
        text(
            "update ops.outbox set state = 'parked', error_class = 'Refused' "
            "where thing_ref <> 'us:2'"
        )
    )
    (write,) = exceptions.writes_behind(connection, "us:1")
    assert (write["system"], write["state"], write["error_class"]) == ("odoo", "parked", "Refused")
    assert exceptions.writes_behind(connection, "us:3") == []
    assert exceptions.parked_behind(connection, "erp.refused") == ["us:1"]
    assert exceptions.parked_behind(connection, "erp.given_up") == []
