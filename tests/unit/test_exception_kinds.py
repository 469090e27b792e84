"""Kinds of exceptions: each has an owner, a due time and something that ends it."""

import re
from datetime import timedelta
from pathlib import Path

import pytest

from resources.settings import ServiceLevels
from sync_assets.domain import exception_kinds as kinds
from sync_assets.domain.exception_kinds import (
    KINDS,
    MAPPING_CODES,
    VALIDATION_CODES,
    Finder,
    Proof,
    kind_of,
    what_ends,
    why_unresolvable,
)
from sync_assets.domain.orders import Problem
from sync_assets.trouble import exceptional

HOUR = timedelta(hours=1)


def test_every_kind_has_an_owner_and_says_what_ends_it() -> None:
    assert {kind.owner_role for kind in KINDS.values()} == {
        "engineer",
        "finance",
        "operations",
        "support",
    }
    for code, kind in KINDS.items():
        (first, *_) = what_ends(code, 7, can_release=kind.can_release)
        assert first == f"Closes by itself when {kind.ends}.", code


#: A mapper's words for what it cannot write; whoever writes it tells them in those of its system.
REWORDED = {
    *("exchange.malformed", "journal.empty", "journal.line_unfit", "journal.unbalanced"),
}


def test_few_orders_can_be_released_and_few_kinds_hold_nothing_back() -> None:
    assert {code for code, kind in KINDS.items() if kind.can_release and kind.blocks} == {
        "order.tax_missing",
        "order.total_zero",
        "order.address_missing",
        "fulfilment.held",
    }
    of_orders = {code for code, kind in KINDS.items() if kind.subject_kind == "order"}
    assert {code for code in of_orders if not KINDS[code].blocks} >= {
        "order.changed_after_acceptance",
        "order.stock_unconfirmed",
        "order.many_lines",
        "erp.amount_differs",
    }


def test_each_step_closes_only_what_it_finds() -> None:
    assert not set(VALIDATION_CODES) & set(MAPPING_CODES)
    assert set(MAPPING_CODES) == {
        "order.malformed",
        "order.unknown_state",
        "order.total_untied",
        "order.invalid",
        "customer.malformed",
    }
    assert {kind_of(code).found_by for code in VALIDATION_CODES} == {Finder.VALIDATION}


def test_whatever_an_erp_complains_of_belongs_to_operations_and_its_amounts_to_finance() -> None:
    assert kind_of("erp.tax_unknown").owner_role == "operations"
    assert kind_of("erp.refused").blocks is False
    assert kind_of("erp.amount_differs").owner_role == "finance"


def test_a_code_that_nobody_entered_is_loud_where_it_is_opened_and_harmless_where_it_is_shown() -> (
    None
):
    with pytest.raises(LookupError, match=r"'order\.on_the_moon'"):
        kind_of("order.on_the_moon")
    assert what_ends("order.on_the_moon", 7, can_release=False) == [
        "Ends with the version of this program that opened it."
    ]
    assert why_unresolvable("order.on_the_moon", 7, is_parked=False) is not None


def test_every_code_the_product_opens_is_entered() -> None:
    """Codes are written as words, so a search finds those that nobody entered."""
    project = Path(kinds.__file__).parents[2]
    said: set[str] = set()
    for folder in ("sync_assets", "checks", "sensors"):
        for path in (project / folder).rglob("*.py"):
            for found in re.finditer(r'Problem\(\s*"([a-z]+\.[a-z_]+)"', path.read_text()):
                said.add(found[1])
    assert len(said) > 20
    assert {code for code in said if kinds.known(code) is None} == REWORDED


# What a person may do


def test_ways_to_end_it_are_told_with_the_very_command() -> None:
    assert what_ends("order.total_zero", 7, can_release=True) == [
        "Closes by itself when the order in the shop is corrected or cancelled.",
        "Release with `sync-assets exceptions release 7 --reason …`: it goes on as it is, until it "
        "changes again.",
        "Resolve with `sync-assets exceptions resolve 7 --reason …` if it was mended outside; if "
        "it was not, the next run opens it again.",
    ]


def test_a_parked_write_is_retried_not_resolved() -> None:
    assert what_ends("erp.refused", 7, can_release=False, is_parked=True) == [
        "Closes by itself when the write goes through, or the order is cancelled in the shop.",
        "Retry with `sync-assets exceptions retry 7` once its cause is mended.",
    ]
    assert why_unresolvable("erp.refused", 7, is_parked=True) == (
        "its write is parked. Send it with `sync-assets exceptions retry 7`, or cancel the order "
        "in the shop; either ends the exception"
    )
    assert why_unresolvable("erp.refused", 7, is_parked=False) is None


def test_what_nothing_would_open_again_is_not_closed_by_hand() -> None:
    assert why_unresolvable("order.malformed", 7, is_parked=False) == (
        "nothing would open it again if it was not mended. It closes by itself when the shop sends "
        "a version we can read, or `sync-assets remap` reads the kept one again with a mended "
        "mapper"
    )
    closed_by_hand = {c for c in KINDS if why_unresolvable(c, 7, is_parked=False) is None}
    left = {code for code in KINDS if not KINDS[code].can_release} - closed_by_hand
    doubts = {code for code in KINDS if kind_of(code).ends.startswith("the ERP")}
    of_items = {code for code in doubts if KINDS[code].found_by == Finder.MAPPING}
    assert left == {*MAPPING_CODES, *of_items, "thing.malformed"}


def test_what_no_step_looks_at_again_needs_the_erp_asked() -> None:
    assert {code for code, kind in KINDS.items() if kind.proof == Proof.ERP_ASKED} == {
        "order.changed_after_acceptance",
        "order.stock_unconfirmed",
    }


# Due times


@pytest.mark.parametrize(
    ("levels", "untied", "unreadable"),
    [
        ({}, 24, 1),
        ({"exception_hours": 48}, 48, 48),
        ({"exception_hours_by_role": {"finance": 4}}, 4, 1),
        ({"exception_hours": 48, "exception_hours_by_role": {"engineer": 2}}, 48, 2),
        ({"exception_hours": 24}, 24, 24),
    ],
)
def test_a_deployment_may_say_when_things_are_due_else_the_kind_does(
    levels: dict[str, object], untied: int, unreadable: int
) -> None:
    said = ServiceLevels.model_validate(levels)
    money = exceptional(Problem("order.total_untied", "", ""), "us:1", said)
    away = exceptional(Problem("system.unreadable", "", ""), "us/orders", said)
    assert (money.due_after, away.due_after) == (untied * HOUR, unreadable * HOUR)


def test_an_exception_is_what_its_kind_says() -> None:
    one = exceptional(
        Problem("order.total_zero", "total", "for nothing"), "us:1", ServiceLevels(), version=3
    )
    assert (one.owner_role, one.blocks, one.can_release, one.subject_kind) == (
        "operations",
        True,
        True,
        "order",
    )
    assert (one.part, one.message, one.version) == ("total", "for nothing", 3)
    away = exceptional(Problem("system.unreadable", "", "gone"), "us/orders", ServiceLevels())
    assert (away.owner_role, away.blocks, away.subject_kind) == ("engineer", False, "system")
