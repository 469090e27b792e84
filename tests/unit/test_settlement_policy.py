"""What the settlements policy may say, and what it answers."""

from datetime import date
from decimal import Decimal
from typing import Any

import pydantic
import pytest

from sync_assets.domain.findings import FINANCE, FINDINGS
from sync_assets.domain.payments import SettledKind
from sync_assets.domain.settlement_policy import NO_FILE, SettlementPolicy, is_like


def policy(**said: Any) -> SettlementPolicy:
    """A policy as its file would say it."""
    return SettlementPolicy.model_validate({"version": 1, **said})


def test_without_a_file_nothing_is_forgiven_and_every_fee_is_agreed() -> None:
    rule = NO_FILE.rule("stripe_us")
    assert (rule.tolerance, rule.fees, rule.agreed_adjustments) == ({}, (), ())
    assert rule.agreed_fees == ("*",)
    assert (rule.settles_within_days, rule.bank_within_days, rule.reserve_days) == (10, 5, None)
    assert NO_FILE.companies == {}


def test_a_provider_says_only_what_is_otherwise_there() -> None:
    said = policy(
        default={"settles_within_days": 3, "tolerance": {"USD": "0.02"}},
        providers={"cod": {"settles_within_days": 30}, "card": {"tolerance": {"EUR": "0.05"}}},
    )
    assert said.rule("cod").settles_within_days == 30
    assert said.rule("cod").tolerance == {"USD": Decimal("0.02")}
    assert said.rule("card").settles_within_days == 3
    assert said.rule("card").tolerance == {"EUR": Decimal("0.05")}
    assert said.rule("nobody") == said.default


def test_what_a_provider_says_as_it_is_by_itself_outdoes_the_default() -> None:
    said = policy(default={"reserve_days": 90}, providers={"card": {"reserve_days": None}})
    assert said.rule("card").reserve_days is None
    assert said.rule("wallet").reserve_days == 90


def test_a_contract_holds_for_sales_of_every_method_unless_it_says_otherwise() -> None:
    said = policy(providers={"card": {"fees": [{"currency": "EUR", "percent": "1.4"}]}})
    (fee,) = said.rule("card").fees
    assert (fee.kinds, fee.methods) == ((SettledKind.SALE,), ("*",))
    assert (fee.fixed, fee.is_returned, fee.until) == (Decimal(0), False, None)
    assert fee.since == date(1970, 1, 1)


@pytest.mark.parametrize(
    "said",
    [
        {"version": 2},
        {"defaults": {}},
        {"default": {"tolerance": {"usd": "0.01"}}},
        {"default": {"tolerance": {"USD": "-0.01"}}},
        {"default": {"tolerance": {"USD": "0.00001"}}},
        {"default": {"settles_within_days": -1}},
        {"default": {"fees": [{"percent": "1"}]}},
        {"default": {"fees": [{"currency": "EUR", "percent": "101"}]}},
        {"default": {"fees": [{"currency": "EUR", "kinds": ["sales"]}]}},
        {"providers": {"Stripe US": {}}},
        {"companies": {"Acme": {"currency": "euro"}}},
        {"companies": {"Acme": {"currency": "EUR", "sales": "both"}}},
    ],
    ids=str,
)
def test_what_is_no_policy_is_refused(said: dict[str, Any]) -> None:
    with pytest.raises(pydantic.ValidationError):
        policy(**said)


def test_an_account_of_an_unknown_kind_is_named() -> None:
    company = {"currency": "EUR", "accounts": {"clearings.card": "1310"}}
    with pytest.raises(pydantic.ValidationError, match=r"'clearings.card' is no kind of account"):
        policy(companies={"Acme": company})


def test_a_time_zone_nobody_has_is_named() -> None:
    with pytest.raises(pydantic.ValidationError, match="'Mars/North' is no time zone"):
        policy(companies={"Acme": {"currency": "EUR", "timezone": "Mars/North"}})


def test_the_finest_account_that_is_named_counts() -> None:
    accounts = {"clearing": "1300", "clearing.card": "1310", "tax.vat-20": "2020"}
    books = policy(companies={"Acme": {"currency": "EUR", "accounts": accounts}}).companies["Acme"]
    assert books.account("clearing", "card", "eu") == "1310"
    assert books.account("clearing", None, "wallet") == "1300"
    assert books.account("tax", "vat-20") == "2020"
    assert books.account("tax", "vat-7") is None


def test_a_kind_of_entry_without_a_journal_goes_to_the_default() -> None:
    said = {"currency": "EUR", "journals": {"default": "MISC", "bank": "BNK1"}}
    books = policy(companies={"Acme": said}).companies["Acme"]
    assert (books.journal("bank"), books.journal("refunds")) == ("BNK1", "MISC")
    assert policy(companies={"A": {"currency": "EUR", "journals": {}}}).companies["A"].journal(
        "bank"
    ) == ("MISC")


@pytest.mark.parametrize(
    ("pattern", "words", "fits"),
    [
        ("*stripe*", "From STRIPE Payments Ltd", True),
        ("*stripe*", "From Strip", False),
        ("Monthly fee ?", "monthly fee 7", True),
        ("Monthly fee ?", "monthly fee 17", False),
        ("fee [eu]", "fee [eu]", True),
        ("fee [eu]", "fee e", False),
        ("*fee*", "two\nlines with a fee", True),
        ("5%", "5%", True),
        ("5%", "50", False),
    ],
)
def test_a_pattern_knows_the_star_and_the_question_mark_only(
    pattern: str, words: str, fits: bool
) -> None:
    assert is_like((pattern,), words) is fits


def test_no_pattern_fits_nothing() -> None:
    assert not is_like((), "anything")


# ---------------------------------------------------------------- findings


def test_every_finding_says_what_it_is_what_ends_it_and_whose_it_is() -> None:
    for code, one in FINDINGS.items():
        assert code.startswith("settlement."), code
        assert one.says, code
        assert one.ends, code
        assert one.owner_role in (FINANCE, "operations", "engineer"), code
        assert one.due_after.days >= 1, code


def test_a_person_may_accept_what_no_match_can_end() -> None:
    accepted = {code for code, one in FINDINGS.items() if one.can_release}
    assert {
        "settlement.before_order",
        "settlement.chargeback_refunded",
        "settlement.fee_over",
        "settlement.payout_unbalanced",
        "settlement.bank_gap",
    } <= accepted
    assert not accepted & {
        "settlement.order_unknown",
        "settlement.doubled",
        "settlement.bank_unexpected",
        "settlement.unsettled",
    }
