"""What a returns policy may say, and what it says of one case."""

from decimal import Decimal
from pathlib import Path

import pydantic
import pytest

from sync_assets.domain.returns import Disposition
from sync_assets.domain.returns_policy import NO_FILE, ReturnRule, ReturnsPolicy
from sync_assets.policies import read_yaml

D = Decimal


def rule(**said: object) -> ReturnRule:
    return ReturnsPolicy.model_validate({"version": 1, "default": said}).rule("us")


def test_without_a_file_nothing_is_agreed_to_or_paid_by_itself() -> None:
    nothing = NO_FILE.rule("us")
    assert not nothing.agrees_to(D(1), "USD")
    assert not nothing.pays_by_itself(D(1), "USD")
    assert not nothing.expects_goods
    assert nothing.disposition_of("TEA", "") is None


def test_a_limit_holds_for_its_currency_and_no_other() -> None:
    willing = rule(auto_approve=True, auto_approve_up_to={"USD": 100}, approval_above={"USD": 50})
    assert [willing.agrees_to(D(n), "USD") for n in ("100", "100.01")] == [True, False]
    assert [willing.pays_by_itself(D(n), "USD") for n in ("50", "50.01")] == [True, False]
    assert not willing.agrees_to(D(1), "EUR")
    assert not willing.pays_by_itself(D(1), "EUR")


def test_nothing_is_kept_by_the_customer_without_an_amount_in_the_currency() -> None:
    kind = rule(keep_below={"USD": 5})
    assert [kind.lets_keep(D(n), "USD") for n in ("4.99", "5")] == [True, False]
    assert not kind.lets_keep(D(1), "EUR")


def test_the_first_rule_that_fits_says_what_becomes_of_goods() -> None:
    told = rule(
        disposition="restock",
        dispositions=[
            {"reasons": ["*damaged*", "broken"], "disposition": "write_off"},
            {"skus": ["MUG-*"], "disposition": "refurbish"},
        ],
    )
    assert told.disposition_of("MUG-1", "arrived DAMAGED, sorry") == Disposition.WRITE_OFF
    assert told.disposition_of("MUG-1", "too small") == Disposition.REFURBISH
    assert told.disposition_of("TEA", "too small") == Disposition.RESTOCK


def test_a_store_says_only_what_is_otherwise_there() -> None:
    policy = ReturnsPolicy.model_validate(
        {
            "default": {"auto_approve": True, "window_days": 14},
            "stores": {"uk": {"window_days": 60}},
        }
    )
    assert (policy.rule("us").window_days, policy.rule("uk").window_days) == (14, 60)
    assert policy.rule("uk").auto_approve


@pytest.mark.parametrize(
    "said",
    [
        {"default": {"auto_aprove": True}},
        {"default": {"window_days": 0}},
        {"default": {"restocking_fee_percent": 101}},
        {"default": {"approval_above": {"usd": 5}}},
        {"default": {"approval_above": {"USD": -1}}},
        {"default": {"dispositions": [{"disposition": "burn"}]}},
        {"version": 2},
    ],
)
def test_a_mistake_is_no_policy(said: dict[str, object]) -> None:
    with pytest.raises(pydantic.ValidationError):
        ReturnsPolicy.model_validate(said)


def test_the_example_in_the_documentation_is_a_policy() -> None:
    example = Path(__file__).parents[2] / "docs" / "examples" / "returns.yaml"
    policy = ReturnsPolicy.model_validate(read_yaml(example.read_text()))
    assert policy.default.auto_approve
    assert policy.stores
