"""Exceptions: opened once, closed when the cause is gone, released by a person for one version."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import Connection, Engine

from resources.store import exceptions
from resources.store.engine import connected
from resources.store.exceptions import Exceptional, NotReleasable
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
        {"code": "order.total_zero", "note": "a gift"},
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
    with pytest.raises(NotReleasable, match=rf"^Exception {row['id']} is released already\.$"):
        release(connection)
    with pytest.raises(NotReleasable, match=r"^There is no exception 999\.$"):
        exceptions.release(connection, 999, by="olga", note="", now=NOON)
    assert len(read_rows(connection, "select * from ops.audit")) == 1


# Looking


def test_open_ones_are_listed_the_oldest_due_first(connection: Connection) -> None:
    slow = problem(subject="us:1", due_after=48 * HOUR)
    soon = problem(subject="us:2", due_after=HOUR)
    exceptions.open_all(connection, [slow, soon, problem("order.sku_unknown", "us:3")], now=NOON)
    found(connection, subjects=("us:3",))

    def listed(**wanted: str) -> list[str]:
        return [row["subject_ref"] for row in exceptions.open_ones(connection, **wanted)]

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
