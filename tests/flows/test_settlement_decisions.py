"""What a person decides about money: what each act leaves behind, and that a refused one leaves
nothing.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
from sqlalchemy import Engine

from resources.store.exceptions import NotPossible
from sync_assets.domain.findings import FINDINGS, PREFIX
from sync_assets.domain.payments import Found
from sync_assets.domain.settlement_policy import (
    CompanyBooks,
    FeeRule,
    GiftCards,
    ProviderRule,
    SettlementPolicy,
    WriteOff,
)
from sync_assets.policies import read_yaml
from sync_assets.settlements import conflicts, deciding, dividing, giving_up, mapping
from sync_assets.settlements.deciding import Wanted
from sync_assets.settlements.dividing import Part
from sync_assets.settlements.things import Act
from tests.deciding_facts import MARCH, Desk, desk_at

D = Decimal


@pytest.fixture
def desk(engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    return desk_at(engine, tmp_path, monkeypatch)


def match(desk: Desk, *lines: str, by: str = "ada", **more: Any) -> int:
    with desk.sitting() as (connection, rules):
        return deciding.match(connection, rules, Wanted(list(lines), **more), desk.act(by))


def write_off(desk: Desk, ref: str, by: str = "ada") -> giving_up.Given:
    with desk.sitting() as (connection, rules):
        return giving_up.write_off(connection, rules, ref, desk.act(by))


def approve(desk: Desk, request: int, by: str = "bob") -> int:
    with desk.sitting() as (connection, rules):
        return giving_up.approve(connection, rules, request, desk.act(by, "agreed"))


def assign(desk: Desk, ref: str, account: str) -> int:
    with desk.sitting() as (connection, _):
        return deciding.assign(connection, ref, account, desk.act())


def unmatch(desk: Desk, number: int) -> list[dict[str, Any]]:
    with desk.sitting() as (connection, _):
        return deciding.unmatch(connection, number, desk.act("bob", "another order's"))


def split(desk: Desk, ref: str, *parts: Part) -> list[str]:
    with desk.sitting() as (connection, _):
        return dividing.split(connection, ref, parts, desk.act())


def join(desk: Desk, ref: str) -> list[str]:
    with desk.sitting() as (connection, _):
        return dividing.join(connection, ref, desk.act())


def refused(desk: Desk, sentence: str, act: Callable[[], Any]) -> None:
    """An act is refused with a sentence, and nothing of it is left."""
    before = desk.counts()
    with pytest.raises(NotPossible, match=sentence):
        act()
    assert desk.counts() == before


def items(desk: Desk, number: int) -> list[tuple[str, str, Decimal]]:
    query = "select side, ref, amount from core.match_items where match_id = :id order by 1, 2"
    return [(row["side"], row["ref"], row["amount"]) for row in desk.rows(query, id=number)]


def kept(desk: Desk, number: int) -> tuple[str, Decimal, str | None, str]:
    (row,) = desk.rows("select * from core.matches where match_id = :id", id=number)
    return row["rule"], row["difference_amount"], row["account"], row["matched_by"]


# ---------------------------------------------------------------- matching


def test_a_line_and_a_payment_are_matched_with_both_sides_and_who_did_it(desk: Desk) -> None:
    desk.line("stripe_us:txn_1", "50.00", fee="1.75")
    desk.payment("us:1042:capture", "50.00")
    number = match(desk, "stripe_us:txn_1", payments=["us:1042:capture"])
    assert kept(desk, number) == ("person", D("0.00"), None, "ada")
    assert items(desk, number) == [
        ("expected", "us:1042:capture", D("50.00")),
        ("settled", "stripe_us:txn_1", D("50.00")),
    ]
    assert desk.audit() == [
        ("ada", "settlement.matched", "stripe_us:txn_1"),
        ("ada", "settlement.matched", "us:1042:capture"),
    ]
    (told,) = desk.rows("select detail from ops.audit where subject_ref = 'stripe_us:txn_1'")
    assert told["detail"]["note"] == "as told by the provider"
    assert told["detail"]["before"] == {"match": None}
    assert told["detail"]["after"]["with"] == ["us:1042:capture"]


def test_one_line_may_settle_several_payments(desk: Desk) -> None:
    desk.line("stripe_us:txn_1", "80.00")
    desk.payment("us:1:capture", "50.00")
    desk.payment("us:2:capture", "30.00")
    number = match(desk, "stripe_us:txn_1", payments=["us:2:capture", "us:1:capture"])
    assert len(items(desk, number)) == 3


def test_a_difference_goes_to_the_account_that_is_named(desk: Desk) -> None:
    desk.line("stripe_us:txn_1", "49.50")
    desk.payment("us:1:capture", "50.00")
    refused(
        desk,
        r"differ by -0\.50 USD .* --difference-to",
        lambda: match(desk, "stripe_us:txn_1", payments=["us:1:capture"]),
    )
    number = match(
        desk, "stripe_us:txn_1", payments=["us:1:capture"], difference_to="fees", by="bob"
    )
    assert kept(desk, number) == ("person", D("-0.50"), "fees", "bob")


def test_a_payout_is_matched_with_the_bank_by_what_it_sent(desk: Desk) -> None:
    line = desk.payout("po_1", "100.00")
    desk.entry_of_bank("main:7", "99.00")
    number = match(desk, line, bank=["main:7"], difference_to="write_off")
    assert kept(desk, number) == ("bank_person", D("-1.00"), "write_off", "ada")
    assert items(desk, number) == [("bank", "main:7", D("99.00")), ("settled", line, D("100.00"))]


def test_two_entries_that_take_each_other_back_are_matched_by_themselves(desk: Desk) -> None:
    desk.entry_of_bank("main:7", "100.00")
    desk.entry_of_bank("main:8", "-100.00")
    number = match(desk, bank=["main:7", "main:8"])
    assert kept(desk, number) == ("bank_person", D(0), None, "ada")


@pytest.mark.parametrize(
    ("refs", "sentence"),
    [
        (["us:1:capture", "us:2:refund"], r"all of one side and come to 20\.00 USD"),
        (["us:1:capture", "us:1:chargeback"], "A chargeback and what it is of"),
    ],
)
def test_things_of_one_side_that_do_not_take_each_other_back_are_not_matched(
    desk: Desk, refs: list[str], sentence: str
) -> None:
    desk.payment("us:1:capture", "50.00")
    desk.payment("us:2:refund", "-30.00", kind="refund")
    desk.payment("us:1:chargeback", "-50.00", kind="chargeback")
    refused(desk, sentence, lambda: match(desk, payments=refs, difference_to="fees"))


def test_a_payout_that_was_sent_back_is_matched_with_its_return(desk: Desk) -> None:
    line = desk.payout("po_1", "100.00")
    back = desk.line("stripe_us:back", "100.00", kind="payout_returned")
    number = match(desk, line, back)
    assert kept(desk, number) == ("bank_person", D(0), None, "ada")


def test_what_the_customer_paid_in_another_currency_is_what_is_compared(desk: Desk) -> None:
    desk.line("stripe_us:txn_1", "54.10", paid_amount=D("50.00"), paid_currency="EUR")
    desk.payment("us:1:capture", "50.00", currency="EUR")
    number = match(desk, "stripe_us:txn_1", payments=["us:1:capture"])
    assert kept(desk, number)[1] == D(0)


@pytest.mark.parametrize(
    ("lines", "more", "sentence"),
    [
        (["txn_9"], {"payments": ["us:1:capture"]}, "There is no settled line 'txn_9'"),
        (["txn_1"], {"payments": ["us:9:capture"]}, "There is no expected payment"),
        (["txn_1"], {}, "A match needs two things"),
        (["txn_1", "txn_1"], {}, "txn_1 is named twice"),
        (["txn_1"], {"payments": ["uk:1:capture"]}, r"several accounts \(stripe_uk, stripe_us\)"),
        (["txn_1"], {"payments": ["us:2:capture"]}, r"several currencies \(EUR, USD\)"),
        (["txn_1"], {"bank": ["main:7"]}, "main:7 is an entry of the bank"),
        (["stripe_us:po_1:line", "txn_1"], {}, "is a payout and is matched with entries"),
        (["txn_1"], {"payments": ["us:1:capture"], "difference_to": "fees"}, "is no difference"),
        (["txn_2"], {"payments": ["us:1:capture"], "difference_to": "gifts"}, "no kind of account"),
        (["txn_2"], {"payments": ["us:1:capture"], "difference_to": "clearing"}, "ledgers alone"),
        (
            ["txn_2"],
            {"payments": ["us:1:capture"], "difference_to": "write_off"},
            r"30\.00 USD are more than the 25\.00 USD",
        ),
        (["txn_3"], {"payments": ["us:1:capture"]}, "txn_3 was split and counts no more"),
    ],
)
def test_what_does_not_belong_together_is_not_matched(
    desk: Desk, lines: list[str], more: dict[str, Any], sentence: str
) -> None:
    desk.line("txn_1", "50.00")
    desk.line("txn_2", "20.00")
    desk.line("txn_3", "50.00")
    desk.payout("po_1", "50.00")
    desk.payment("us:1:capture", "50.00")
    desk.payment("us:2:capture", "50.00", currency="EUR")
    desk.payment("uk:1:capture", "50.00", provider="stripe_uk")
    desk.entry_of_bank("main:7", "50.00")
    split(desk, "txn_3", Part(D("20.00")), Part(D("30.00")))
    refused(desk, sentence, lambda: match(desk, *lines, **more))


def test_what_is_matched_is_not_matched_again(desk: Desk) -> None:
    desk.line("txn_1", "50.00")
    desk.line("txn_2", "50.00")
    desk.payment("us:1:capture", "50.00")
    number = match(desk, "txn_1", payments=["us:1:capture"])
    refused(
        desk,
        f"us:1:capture is in match {number} already. End that first",
        lambda: match(desk, "txn_2", payments=["us:1:capture"]),
    )


@pytest.mark.parametrize(("by", "note", "sentence"), [("ada", " ", "--note"), ("", "x", "--by")])
def test_nothing_is_decided_without_who_and_why(
    desk: Desk, by: str, note: str, sentence: str
) -> None:
    refused(desk, sentence, lambda: Act(by, note, MARCH))


# ---------------------------------------------------------------- ending a match


def test_an_ended_match_leaves_its_things_open_and_says_who_ended_it(desk: Desk) -> None:
    desk.line("txn_1", "50.00")
    desk.payment("us:1:capture", "50.00")
    number = match(desk, "txn_1", payments=["us:1:capture"])
    found = unmatch(desk, number)
    assert [row["ref"] for row in found] == ["us:1:capture", "txn_1"]
    (row,) = desk.rows("select ended_at, ended_by, end_reason from core.matches")
    assert (row["ended_by"], row["end_reason"]) == ("bob", "another order's")
    assert desk.rows("select ref from core.match_items where is_live") == []
    assert desk.audit()[2:] == [
        ("bob", "settlement.unmatched", "us:1:capture"),
        ("bob", "settlement.unmatched", "txn_1"),
    ]
    assert match(desk, "txn_1", payments=["us:1:capture"]) != number


def test_a_match_is_ended_once(desk: Desk) -> None:
    refused(desk, "There is no match 7", lambda: unmatch(desk, 7))
    desk.line("txn_1", "50.00")
    number = assign(desk, "txn_1", "adjustments")
    unmatch(desk, number)
    refused(desk, f"Match {number} was ended by bob", lambda: unmatch(desk, number))


# ---------------------------------------------------------------- one thing by itself


def test_a_line_that_needs_no_counterpart_goes_to_an_account(desk: Desk) -> None:
    desk.line("txn_1", "-12.00", kind="adjustment")
    number = assign(desk, "txn_1", "adjustments")
    assert kept(desk, number) == ("assigned", D(0), "adjustments", "ada")
    assert items(desk, number) == [("settled", "txn_1", D("-12.00"))]


def test_an_entry_of_the_bank_goes_to_an_account(desk: Desk) -> None:
    desk.entry_of_bank("main:7", "12.00")
    number = assign(desk, "main:7", "fees")
    assert kept(desk, number) == ("bank_assigned", D(0), "fees", "ada")


def test_a_payout_that_never_arrives_leaves_what_is_on_its_way(desk: Desk) -> None:
    line = desk.payout("po_1", "20.00")
    number = assign(desk, line, "chargebacks")
    assert kept(desk, number) == ("bank_assigned", D("-20.00"), "chargebacks", "ada")


@pytest.mark.parametrize(
    ("ref", "account", "sentence"),
    [
        ("txn_1", "write_off", "settlements write-off"),
        ("txn_1", "transit", "is moved by the ledgers alone"),
        ("txn_1", "lunch", "is no kind of account; name one of: receivable"),
        ("us:1:capture", "fees", "us:1:capture is expected and not settled"),
        ("txn_9", "fees", "There is no"),
    ],
)
def test_what_goes_to_no_account_is_told(desk: Desk, ref: str, account: str, sentence: str) -> None:
    desk.line("txn_1", "50.00")
    desk.payment("us:1:capture", "50.00")
    refused(desk, sentence, lambda: assign(desk, ref, account))


# ---------------------------------------------------------------- giving up


def test_up_to_the_limit_one_person_writes_off(desk: Desk) -> None:
    desk.payment("us:1:capture", "25.00")
    given = write_off(desk, "us:1:capture")
    assert given.request_id is None
    assert given.match_id is not None
    assert kept(desk, given.match_id) == ("write_off", D(0), "write_off", "ada")
    assert items(desk, given.match_id) == [("expected", "us:1:capture", D("25.00"))]


def test_of_two_people_who_decide_at_the_same_moment_one_is_told(desk: Desk) -> None:
    """Whoever comes second sees what the first did, and does nothing of it again."""
    for number in range(10):
        ref = f"us:{number}:capture"
        desk.payment(ref, "25.00")
        start = Barrier(2)

        def decide(by: str, ref: str = ref, start: Barrier = start) -> giving_up.Given | str:
            start.wait(10)
            try:
                return write_off(desk, ref, by)
            except NotPossible as fault:
                return str(fault)

        with ThreadPoolExecutor(2) as people:
            told = list(people.map(decide, ("ada", "bob")))
        (sentence,) = [one for one in told if isinstance(one, str)]
        assert f"{ref} is" in sentence
        (given,) = [one for one in told if not isinstance(one, str)]
        found = desk.rows(
            "select match_id from core.match_items where ref = :ref and is_live", ref=ref
        )
        assert found == [{"match_id": given.match_id}]
    assert len(desk.audit()) == 10


def test_above_the_limit_another_person_must_agree(desk: Desk) -> None:
    desk.line("txn_1", "-25.01", kind="adjustment")
    given = write_off(desk, "txn_1")
    assert given.match_id is None
    assert desk.rows("select match_id from core.matches") == []
    request = given.request_id
    assert request is not None
    refused(desk, "ada asked for request", lambda: approve(desk, request, "ada"))
    refused(desk, "ada asked for request", lambda: approve(desk, request, " Ada "))
    refused(
        desk, f"ada asked for that already: request {request}", lambda: write_off(desk, "txn_1")
    )
    number = approve(desk, request)
    assert kept(desk, number) == ("write_off", D(0), "write_off", "bob")
    (row,) = desk.rows("select asked_by, decided_by, is_approved from core.settlement_requests")
    assert row == {"asked_by": "ada", "decided_by": "bob", "is_approved": True}
    assert desk.audit() == [
        ("ada", "settlement.write_off_asked", "txn_1"),
        ("bob", "settlement.write_off_approved", "txn_1"),
        ("bob", "settlement.matched", "txn_1"),
    ]
    refused(desk, f"Request {request} was approved by bob", lambda: approve(desk, request, "eve"))


def test_a_rejected_request_leaves_the_thing_open_to_be_asked_for_again(desk: Desk) -> None:
    desk.entry_of_bank("main:7", "-100.00")
    request = write_off(desk, "main:7").request_id
    assert request is not None
    with desk.sitting() as (connection, _):
        assert giving_up.reject(connection, request, desk.act("bob", "ask the bank")) == "main:7"
    assert desk.rows("select match_id from core.matches") == []
    assert write_off(desk, "main:7").request_id == request + 1
    with desk.sitting() as (connection, _):
        assert len(giving_up.requests(connection)) == 1
        assert len(giving_up.requests(connection, decided_too=True)) == 2


def test_above_the_most_nobody_writes_off(desk: Desk) -> None:
    desk.line("txn_1", "500.01")
    refused(desk, r"500\.01 USD are more than the 500\.00 USD", lambda: write_off(desk, "txn_1"))


def test_a_currency_without_a_limit_always_needs_two(desk: Desk) -> None:
    desk.payment("us:1:capture", "0.01", currency="EUR")
    desk.payment("us:2:capture", "1999", currency="JPY")
    assert write_off(desk, "us:1:capture").request_id is not None
    assert write_off(desk, "us:2:capture").match_id is not None


def test_what_changed_since_it_was_asked_for_is_not_approved(desk: Desk) -> None:
    desk.payment("us:1:capture", "30.00")
    request = write_off(desk, "us:1:capture").request_id
    assert request is not None
    desk.execute("update core.payments set amount = 300")
    refused(desk, r"is 300\.00 USD now and was 30\.00 USD", lambda: approve(desk, request))


def test_what_was_matched_meanwhile_is_not_approved(desk: Desk) -> None:
    desk.payment("us:1:capture", "30.00")
    desk.line("txn_1", "30.00")
    request = write_off(desk, "us:1:capture").request_id
    assert request is not None
    match(desk, "txn_1", payments=["us:1:capture"])
    refused(desk, "is in match", lambda: approve(desk, request))


def test_nothing_is_given_up_of_what_is_not_expected(desk: Desk) -> None:
    desk.payment("us:1:capture", "30.00", is_void=True)
    desk.payment("us:2:capture", "0.00")
    refused(desk, "nothing is expected of it", lambda: write_off(desk, "us:1:capture"))
    refused(desk, "is about no money", lambda: write_off(desk, "us:2:capture"))
    refused(desk, "There is no request 9", lambda: approve(desk, 9))


def test_without_a_policy_nobody_decides_about_money(desk: Desk) -> None:
    (desk.home / "policies" / "settlements.yaml").write_text("write_off: {limit: all}\n")
    desk.line("txn_1", "5.00")
    before = desk.counts()
    with pytest.raises(NotPossible, match="The settlements policy cannot be used"):
        write_off(desk, "txn_1")
    assert desk.counts() == before


# ---------------------------------------------------------------- dividing


def parts_of(desk: Desk, ref: str) -> list[tuple[Any, ...]]:
    query = (
        "select line_ref, gross_amount, fee_amount, fee_tax_amount, net_amount, order_reference, "
        "description, told_by from core.settlement_lines where split_of = :ref order by line_ref"
    )
    return [tuple(row.values()) for row in desk.rows(query, ref=ref)]


def test_the_parts_of_a_line_come_to_it_with_fee_and_tax(desk: Desk) -> None:
    desk.line("txn_1", "100.00", fee="3.20", fee_tax="0.61", order_reference="1042")
    found = split(desk, "txn_1", Part(D("66.67"), "1043"), Part(D("33.33"), "for 1044 in part"))
    assert found == ["txn_1#1", "txn_1#2"]
    assert parts_of(desk, "txn_1") == [
        ("txn_1#1", D("66.67"), D("2.13"), D("0.41"), D("64.13"), "1043", "1043", "person"),
        (
            *("txn_1#2", D("33.33"), D("1.07"), D("0.20"), D("32.06"), "1042"),
            *("for 1044 in part", "person"),
        ),
    ]
    assert desk.rows("select line_ref from core.settlement_lines where is_split") == [
        {"line_ref": "txn_1"}
    ]


def test_what_the_customer_paid_is_divided_too(desk: Desk) -> None:
    desk.line("txn_1", "-54.10", paid_amount=D("-50.00"), paid_currency="EUR", kind="refund")
    split(desk, "txn_1", Part(D("-27.05")), Part(D("-27.05")))
    query = "select paid_amount, paid_currency from core.settlement_lines where split_of = 'txn_1'"
    assert desk.rows(query) == [{"paid_amount": D("-25.00"), "paid_currency": "EUR"}] * 2


def test_a_fee_finer_than_the_currency_is_divided_exactly(desk: Desk) -> None:
    desk.line("txn_1", "10.00", fee="0.1231")
    split(desk, "txn_1", Part(D("5.00")), Part(D("5.00")))
    fees = [row[2] for row in parts_of(desk, "txn_1")]
    assert fees == [D("0.0616"), D("0.0615")]


@pytest.mark.parametrize(
    ("parts", "sentence"),
    [
        (
            ["60.00", "30.00"],
            r"come to 90\.00 USD, the line is 100\.00 USD: 10\.00 USD are missing",
        ),
        (["120.00", "-20.00"], "Each part has the sign of the line"),
        (["100.00", "0.00"], "Each part has the sign of the line"),
        (["33.333", "66.667"], "has more digits than USD"),
        (["100.00"], "Name two parts at least"),
    ],
)
def test_parts_that_do_not_tie_are_refused(desk: Desk, parts: list[str], sentence: str) -> None:
    desk.line("txn_1", "100.00")
    refused(desk, sentence, lambda: split(desk, "txn_1", *[Part(D(one)) for one in parts]))


def test_a_matched_line_and_a_part_are_not_split(desk: Desk) -> None:
    desk.line("txn_1", "10.00")
    desk.line("txn_2", "10.00")
    number = assign(desk, "txn_1", "adjustments")
    half = [Part(D("5.00")), Part(D("5.00"))]
    refused(desk, f"is in match {number} already", lambda: split(desk, "txn_1", *half))
    split(desk, "txn_2", *half)
    refused(desk, "txn_2 was split", lambda: split(desk, "txn_2", *half))
    thirds = [Part(D("2.00")), Part(D("3.00"))]
    refused(desk, "txn_2#1 is a part of txn_2", lambda: split(desk, "txn_2#1", *thirds))


def test_a_split_is_undone_until_a_part_is_matched(desk: Desk) -> None:
    desk.line("txn_1", "10.00")
    refused(desk, "txn_1 is not split", lambda: join(desk, "txn_1"))
    split(desk, "txn_1", Part(D("4.00")), Part(D("6.00")))
    number = assign(desk, "txn_1#1", "adjustments")
    refused(desk, f"txn_1#1 is in match {number}", lambda: join(desk, "txn_1"))
    unmatch(desk, number)
    assert join(desk, "txn_1") == ["txn_1#1", "txn_1#2"]
    assert desk.rows("select line_ref, is_split from core.settlement_lines") == [
        {"line_ref": "txn_1", "is_split": False}
    ]
    assert [(by, what) for by, what, _ in desk.audit()][-1] == ("ada", "settlement.joined")


def test_a_part_that_history_names_is_not_named_again(desk: Desk) -> None:
    desk.line("txn_1", "10.00")
    split(desk, "txn_1", Part(D("4.00")), Part(D("6.00")))
    unmatch(desk, assign(desk, "txn_1#2", "adjustments"))
    join(desk, "txn_1")
    assert split(desk, "txn_1", Part(D("5.00")), Part(D("5.00"))) == ["txn_1#3", "txn_1#4"]


def test_a_split_is_not_undone_while_a_part_is_booked(desk: Desk) -> None:
    line = desk.payout("po_1", "10.00")
    one, _ = split(desk, line, Part(D("-4.00")), Part(D("-6.00")))
    desk.journal(
        "settlement:1",
        [{"account": "1210", "amount": D(-4)}, {"account": "1220", "amount": D(4)}],
        [{"line_no": 1, "source_ref": one, "amount": D(-4)}],
    )
    refused(desk, "is booked in settlement:1", lambda: join(desk, line))


# ---------------------------------------------------------------- told otherwise


def told(ref: str, net: str, **more: Any) -> dict[str, Any]:
    row: dict[str, Any] = dict.fromkeys(
        ("payment_id", "group_id", "movement_id", "order_reference", "method", "fee_detail")
    )
    row |= dict.fromkeys(("paid_amount", "paid_currency", "exchange_rate"))
    return {
        **row,
        "line_ref": ref,
        "provider": "stripe_us",
        "kind": "sale",
        "payout_ref": "stripe_us:po_1",
        "currency": "USD",
        "gross_amount": D(net),
        "fee_amount": D(0),
        "fee_tax_amount": D(0),
        "net_amount": D(net),
        "occurred_at": MARCH,
        "description": "Charge",
        "told_by": "file",
        "file_name": "first.csv",
        "file_line": 2,
        **more,
    }


@pytest.fixture
def contested(desk: Desk) -> Callable[[], None]:
    """Two files say otherwise of one line; calling it lets both say it once more."""
    first = told("txn_1", "10.10")
    second = told("txn_1", "10.20", file_name="second.csv", payout_ref="stripe_us:po_2")

    def say() -> None:
        for one in (first, second):
            with desk.sitting() as (connection, _):
                mapping.write(connection, Found(lines=[one]), desk.systems, None)

    say()
    return say


def keep(desk: Desk, which: str, digest: str | None = None, ref: str = "txn_1") -> None:
    with desk.sitting() as (connection, _):
        if which == "first":
            conflicts.keep_first(connection, ref, desk.act())
        else:
            conflicts.keep_second(connection, ref, desk.act(), digest)


def now(desk: Desk) -> tuple[Decimal, str, str]:
    (row,) = desk.rows("select * from core.settlement_lines where line_ref = 'txn_1'")
    return row["net_amount"], row["payout_ref"], row["file_name"]


def waiting(desk: Desk) -> int:
    with desk.sitting() as (connection, _):
        return len(conflicts.open_conflicts(connection))


def test_both_tellings_are_shown_exactly(desk: Desk, contested: Callable[[], None]) -> None:
    with desk.sitting() as (connection, _):
        (row,) = conflicts.open_conflicts(connection, provider="stripe_us")
    assert (row["first_net_amount"], row["second_net_amount"]) == (D("10.10"), D("10.20"))
    assert (row["first_file"], row["second_file"]) == ("first.csv", "second.csv")


def test_the_first_telling_stays_and_the_question_is_closed_for_good(
    desk: Desk, contested: Callable[[], None]
) -> None:
    keep(desk, "first")
    contested()
    assert now(desk) == (D("10.10"), "stripe_us:po_1", "first.csv")
    assert waiting(desk) == 0
    assert desk.audit() == [("ada", "settlement.conflict_settled", "txn_1")]


def test_the_second_telling_overwrites_the_money_and_the_question_is_closed_for_good(
    desk: Desk, contested: Callable[[], None]
) -> None:
    keep(desk, "second")
    contested()
    assert now(desk) == (D("10.20"), "stripe_us:po_2", "second.csv")
    assert waiting(desk) == 0
    (row,) = desk.rows("select detail from ops.audit")
    assert row["detail"]["before"]["net_amount"] == "10.100000"
    assert row["detail"]["after"]["net_amount"] == "10.200000"


def test_a_matched_line_is_not_overwritten(desk: Desk, contested: Callable[[], None]) -> None:
    number = assign(desk, "txn_1", "adjustments")
    refused(desk, f"is in match {number} already", lambda: keep(desk, "second"))
    assert now(desk) == (D("10.10"), "stripe_us:po_1", "first.csv")
    assert waiting(desk) == 1


def test_a_booked_line_is_not_overwritten(desk: Desk, contested: Callable[[], None]) -> None:
    desk.journal(
        "settlement:1",
        [{"account": "1210", "amount": D("10.10")}, {"account": "1200", "amount": D("-10.10")}],
        [{"line_no": 1, "source_ref": "txn_1", "amount": D("10.10")}],
    )
    refused(desk, "txn_1 is booked in settlement:1", lambda: keep(desk, "second"))


def test_of_several_tellings_one_is_named(desk: Desk, contested: Callable[[], None]) -> None:
    third = told("txn_1", "10.30", file_name="third.csv")
    with desk.sitting() as (connection, _):
        mapping.write(connection, Found(lines=[third]), desk.systems, None)
        rows = conflicts.open_conflicts(connection)
    refused(desk, "Say which one, with --digest", lambda: keep(desk, "second"))
    (digest,) = [row["digest"] for row in rows if row["second_net_amount"] == D("10.30")]
    keep(desk, "second", digest[:8])
    assert now(desk) == (D("10.30"), "stripe_us:po_1", "third.csv")
    assert waiting(desk) == 0


def test_where_nothing_was_told_otherwise_nothing_is_decided(desk: Desk) -> None:
    desk.line("txn_1", "10.00")
    refused(desk, "Nothing waits to be decided about txn_1", lambda: keep(desk, "first"))
    refused(desk, "There is no settled line", lambda: keep(desk, "second", ref="txn_9"))


def test_a_days_statement_pays_out_what_its_lines_say_after_the_act(desk: Desk) -> None:
    desk.payout("po_1", "10.00", kind="statement")
    other = told(
        "stripe_us:po_1:line", "-12.00", kind="payout", file_name="second.csv", file_line=9
    )
    with desk.sitting() as (connection, _):
        mapping.write(connection, Found(lines=[other]), desk.systems, None)
    keep(desk, "second", ref="stripe_us:po_1:line")
    assert desk.rows("select paid_amount from core.payouts") == [{"paid_amount": D("12.00")}]


# ---------------------------------------------------------------- who works on it


def own(desk: Desk, to: str | None, *, by: str = "ada", take_over: bool = False) -> list[int]:
    with desk.sitting() as (connection, _):
        return deciding.own(connection, "txn_1", to, desk.act(by), take_over=take_over)


def test_all_that_is_open_of_a_thing_is_assigned_at_once(desk: Desk) -> None:
    refused(desk, "Nothing is open about 'txn_1'", lambda: own(desk, "eve"))
    desk.open_item("txn_1", "unsettled")
    desk.open_item("txn_1", "fee_over")
    assert len(own(desk, "eve")) == 2
    assert desk.rows("select distinct assigned_to from ops.exception") == [{"assigned_to": "eve"}]
    refused(desk, "txn_1 is assigned to eve already", lambda: own(desk, "eve"))
    refused(desk, "was assigned to eve", lambda: own(desk, "bob"))
    assert len(own(desk, "bob", take_over=True)) == 2
    assert len(own(desk, None, by="bob")) == 2


# ---------------------------------------------------------------- what finance reads


DOCS = Path(__file__).parents[2] / "docs"


def test_the_page_for_finance_has_every_finding_in_its_words() -> None:
    page = (DOCS / "settlements.md").read_text()
    for code, finding in FINDINGS.items():
        name = code.removeprefix(PREFIX)
        (row,) = [
            line for line in page.splitlines() if line.startswith(f"| `{name}` | {finding.says} |")
        ]
        assert row.endswith(f"| {finding.owner_role}, {finding.due_after.days} d |")


def test_the_example_of_the_policy_is_one() -> None:
    body = (DOCS / "examples" / "settlements.yaml").read_text()
    found = SettlementPolicy.model_validate(read_yaml(body))
    assert found.rule("paypal_uk").settles_within_days == 2
    assert found.rule("paypal_uk").bank_within_days == 5
    assert found.companies["Acme US Inc"].account("bank", "main") == "101401"
    assert found.write_off.limit["USD"] == D(25)


def test_the_example_of_the_policy_has_every_field() -> None:
    body = (DOCS / "examples" / "settlements.yaml").read_text()
    for part in (SettlementPolicy, ProviderRule, FeeRule, CompanyBooks, WriteOff, GiftCards):
        for name in part.model_fields:
            assert f"{name}:" in body, name
