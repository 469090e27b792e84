"""`sync-assets reconcile`: what a person and a program read, and what is written to files."""

import csv
import json
import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from sqlalchemy import Engine
from typer.testing import CliRunner

from resources.sandbox import deployment
from resources.store import postgres
from resources.store.engine import connected
from sync_assets.ops import reconcile_commands
from sync_assets.ops.reconcile_commands import app
from sync_assets.settlements import statement
from tests.settled_facts import MARCH, Facts

POLICY = """
companies:
  Acme US Inc: { currency: USD, timezone: America/New_York }
"""


@pytest.fixture
def facts(engine: Engine, database: postgres.Databases, tmp_path: Path) -> Iterator[Facts]:
    """A deployment with two providers, and a month of one of them that is not put away yet."""
    path = tmp_path / "sync.toml"
    path.write_text(deployment.as_toml(_configured()))
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies/settlements.yaml").write_text(POLICY)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SYNC_DATABASE_URL", database.text(database.store))
        patch.setenv("SYNC_HOME", str(tmp_path))
        patch.setenv("SYNC_CONFIG", str(path))
        patch.setenv("COLUMNS", "160")
        yield Facts()


def _configured() -> dict[str, Any]:
    stores = {
        name: deployment.store(
            "https://shop.invalid",
            company="Acme US Inc",
            warehouse="US1",
            currency="USD",
            taxes={},
        )
        for name in ("us", "outlet")
    }
    account = {"kind": "stripe", "key": "sk_test", "payment_methods": ["stripe"]}
    return {
        "backfill_from": "2017-01-01T00:00:00+00:00",
        "erps": {"odoo": deployment.odoo("https://erp.invalid")},
        "stores": stores,
        "providers": {"stripe_us": account, "stripe_eu": {**account, "payment_methods": ["sepa"]}},
    }


def month(facts: Facts) -> None:
    """Two orders, a refund, a monthly fee, a reserve, and two payouts of which one has come."""
    facts.sold(1, "100.00", fee="3.20")
    order = facts.order(
        "us:2", gross="90.00", discount="10.00", shipping="5.00", tax="8.00", gift_card="20.00"
    )
    paid = facts.payment(f"{order}:capture", "73.00", order=order)
    facts.line("stripe_us:txn_2", "73.00", fee="2.42", fee_tax="0.10")
    facts.match(["stripe_us:txn_2"], [paid])
    back = facts.payment("us:2:m1", "-13.00", kind="refund", order=order)
    facts.line("stripe_us:txn_3", "-13.00", kind="refund")
    facts.match(["stripe_us:txn_3"], [back])
    facts.match([facts.line("stripe_us:txn_4", "-5.00", kind="fee")])
    facts.match([facts.line("stripe_us:txn_5", "-10.00", kind="reserve_held")])
    first = facts.line("stripe_us:txn_6", "-60.00", kind="payout")
    facts.match([first], bank=[facts.bank("main:1", "60.00")])
    facts.line("stripe_us:txn_7", "-40.00", kind="payout")


def put(engine: Engine, facts: Facts) -> None:
    with connected(engine) as connection:
        facts.store(connection)


def said(*words: str) -> tuple[int, str, str]:
    """Exit code of a command, what it said, and what it complained of."""
    result = CliRunner().invoke(app, list(words))
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.stdout, result.stderr


def told(*words: str) -> dict[str, Any]:
    """The JSON of a period of one provider."""
    code, out, err = said("--period", "2017-03", "--provider", "stripe_us", *words, "--json")
    assert code == 0, err
    found: dict[str, Any] = json.loads(out)
    return found


def amounts(one: dict[str, Any]) -> dict[str, str]:
    """Lines that are not nothing, by name."""
    return {row["line"]: row["amount"] for row in one["lines"] if row["item_count"]}


MONTH = {
    "gross_sales": "190.00",
    "discounts": "-10.00",
    "shipping": "5.00",
    "tax": "8.00",
    "gift_cards": "-20.00",
    "captured": "173.00",
    "refunds": "-13.00",
    "fees": "-10.62",
    "fee_tax": "-0.10",
    "reserves": "-10.00",
    "net": "139.28",
    "paid_out": "-100.00",
    "balance_change": "39.28",
    "bank_received": "60.00",
    "bank_in_transit": "40.00",
}


def test_a_month_goes_from_gross_sales_to_the_bank(facts: Facts, engine: Engine) -> None:
    month(facts)
    put(engine, facts)
    (one,) = told()["statements"]
    assert (one["provider"], one["currency"], one["timezone"]) == (
        "stripe_us",
        "USD",
        "America/New_York",
    )
    assert amounts(one) == MONTH
    assert one["unexplained"] == "0.00"
    open_lines = {row["line"]: row["open_amount"] for row in one["lines"] if row["open_count"]}
    assert open_lines == {
        "paid_out": "-40.00",
        "balance_change": "-40.00",
        "bank_in_transit": "40.00",
    }


def test_a_person_reads_the_same_numbers_in_order(facts: Facts, engine: Engine) -> None:
    month(facts)
    put(engine, facts)
    code, page, _ = said("--period", "2017-03", "--provider", "stripe_us")
    assert code == 0
    words = (
        "Gross sales",
        "Discounts",
        "= Captured",
        "Refunds",
        "= Net",
        "Paid out",
        "In the bank",
    )
    places = [page.index(word) for word in words]
    assert places == sorted(places)
    assert re.search(r"= Captured\s+│\s+2\s+│\s+173\.00", page)
    assert "Surcharges" not in page
    assert "Unexplained" not in page


def test_a_store_is_shown_by_itself_and_payouts_belong_to_none(
    facts: Facts, engine: Engine
) -> None:
    month(facts)
    order = facts.order("outlet:9", gross="30.00")
    paid = facts.payment("outlet:9:capture", "30.00", order=order, store="outlet")
    facts.match([facts.line("stripe_us:txn_9", "30.00", fee="1.00")], [paid])
    put(engine, facts)
    (one,) = told()["statements"]
    assert set(one["stores"]) == {"", "us", "outlet"}
    assert amounts({"lines": one["stores"][""]})["paid_out"] == "-100.00"
    (only,) = told("--store", "outlet")["statements"]
    assert amounts(only) == {
        "gross_sales": "30.00",
        "captured": "30.00",
        "fees": "-1.00",
        "net": "29.00",
        "balance_change": "29.00",
    }
    _, page, _ = said("--period", "2017-03", "--provider", "stripe_us")
    assert "not by store" in page
    assert "outlet" in page


def test_a_month_is_one_of_the_companys_calendar(facts: Facts, engine: Engine) -> None:
    """Four in the morning in UTC is eleven at night in New York, and still March."""
    night = MARCH.replace(month=4, day=1, hour=3)
    facts.sold(1, "10.00", at=night)
    facts.sold(2, "20.00", at=night + timedelta(hours=1))
    put(engine, facts)
    (one,) = told()["statements"]
    assert amounts(one)["captured"] == "10.00"
    days = told("--period", "2017-04-01..2017-04-01")["statements"]
    assert amounts(days[0])["captured"] == "20.00"


def test_what_is_expected_and_what_waits_is_listed_by_reason(facts: Facts, engine: Engine) -> None:
    month(facts)
    facts.payment("us:7:capture", "55.00")
    facts.payment("us:8:capture", "7.00", is_void=True)
    facts.line("stripe_us:txn_8", "12.00")
    facts.open_item("stripe_us:txn_8", "settlement.order_unknown", "12.00")
    put(engine, facts)
    (one,) = told()["statements"]
    (due,) = one["expected"]
    assert (due["kind"], due["is_overdue"], due["amount"]) == ("capture", True, "55.00")
    (item,) = one["open_items"]
    assert (item["finding"], item["item_count"]) == ("settlement.order_unknown", 1)
    assert amounts(one)["sales_without_order"] == "12.00"
    _, page, _ = said("--period", "2017-03", "--provider", "stripe_us")
    assert "capture, overdue" in page
    assert "names an order or payment we have not seen" in page


def test_what_waits_for_no_provider_is_shown_where_all_are(facts: Facts, engine: Engine) -> None:
    facts.sold(1, "100.00")
    gap = {"side": "statement", "provider": None, "amount": "0", "currency": ""}
    facts.open_item("main:2", "settlement.bank_gap", **gap)
    broken = {"side": "file", "amount": "0", "currency": ""}
    facts.open_item("stripe_us:f1", "settlement.file_refused", **broken)
    put(engine, facts)
    _, out, _ = said("--period", "2017-03", "--json")
    nobody, stripe = json.loads(out)["statements"]
    assert (nobody["provider"], stripe["provider"]) == (None, "stripe_us")
    assert [item["finding"] for item in nobody["open_items"]] == ["settlement.bank_gap"]
    assert [item["finding"] for item in stripe["open_items"]] == ["settlement.file_refused"]
    assert len(told()["statements"]) == 1
    _, page, _ = said("--period", "2017-03")
    assert "Of no provider" in page


def test_strict_says_no_while_anything_is_open(facts: Facts, engine: Engine) -> None:
    facts.sold(1, "100.00")
    put(engine, facts)
    words = ("--period", "2017-03", "--provider", "stripe_us", "--strict")
    assert said(*words)[0] == 0
    later = Facts(first_match=100)
    later.line("stripe_us:txn_7", "-40.00", kind="payout")
    put(engine, later)
    assert said(*words)[0] == 1


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--period", "2017-13"), "'2017-13' is no period; write 2017-03, 2017-Q1, 2017 or"),
        (("--period", "2017-03", "--provider", "visa"), "providers: stripe_eu, stripe_us."),
        (("--period", "2017-03", "--store", "de"), "There is no store 'de'; stores: outlet, us."),
        (("--period", "2017-03", "--kept"), "2017-03 was never kept; leave out --kept."),
        (("--period", "2017-03-02..2017-03-09", "--kept"), "is not made of whole months"),
        (("--period", "2017-03", "--csv", "/nowhere/x.csv"), "/nowhere/x.csv cannot be written"),
    ],
)
def test_what_cannot_be_shown_is_refused_with_what_can(
    facts: Facts, engine: Engine, words: tuple[str, ...], sentence: str
) -> None:
    month(facts)
    put(engine, facts)
    code, out, err = said(*words)
    assert (code, out) == (2, "")
    assert sentence in err


def test_a_period_without_anything_names_the_time_that_has_something(
    facts: Facts, engine: Engine
) -> None:
    month(facts)
    put(engine, facts)
    code, _, err = said("--period", "2018", "--provider", "stripe_us")
    assert code == 1
    assert "in 2018; known is: stripe_us 2017-03 to 2017-03." in err


def test_kept_months_come_to_the_same_and_say_how_old_they_are(
    facts: Facts, engine: Engine
) -> None:
    month(facts)
    facts.sold(11, "11.00", at=MARCH - timedelta(days=31))
    put(engine, facts)
    with connected(engine) as connection:
        months = ["2017-01", "2017-02", "2017-03"]
        statement.refresh(connection, lambda provider: "America/New_York", months)
    fresh, kept = told(), told("--kept")
    assert kept["kept_at"] is not None
    assert kept["statements"] == fresh["statements"]
    _, page, _ = said("--period", "2017-03", "--provider", "stripe_us", "--kept")
    assert "As kept at" in page


def test_csv_has_a_row_for_every_store_and_line_in_plain_decimals(
    facts: Facts, engine: Engine, tmp_path: Path
) -> None:
    month(facts)
    put(engine, facts)
    path = tmp_path / "march.csv"
    told("--csv", str(path))
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == list(reconcile_commands.COLUMNS)
    found = {(row["store"], row["line"]): row for row in rows}
    assert len(found) == len(rows) == 2 * 26
    assert found["us", "captured"]["amount"] == "173.00"
    assert found["", "paid_out"]["open_amount"] == "-40.00"
    assert found["", "gross_sales"]["amount"] == "0.00"


@pytest.fixture
def html(facts: Facts, engine: Engine, tmp_path: Path) -> str:
    """The printed page of the month, with an order and a refund that are not settled."""
    month(facts)
    facts.payment("us:7:capture", "1055.00")
    put(engine, facts)
    path = tmp_path / "march.html"
    told("--html", str(path))
    return path.read_text()


def test_the_page_shows_the_numbers_of_the_table(html: str) -> None:
    for words in ("173.00", "−10.62", "139.28", "capture, overdue (us)", "1,055.00"):
        assert words in html
    assert "Open: 1 settled lines (−40.00 USD), 1 expected payments" in html


def test_the_page_needs_nothing_from_elsewhere(html: str) -> None:
    assert "<script" not in html
    assert not re.findall(r'(?:src|href)="(?!#)', html)
    assert "@import" not in html
    outside = set(re.findall(r'https?://[^"\s<]+', html))
    assert outside <= {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}


def test_the_chart_says_what_it_shows_to_those_who_do_not_see_it(html: str) -> None:
    (svg,) = re.findall(r"<svg.*?</svg>", html, re.DOTALL)
    chart = ElementTree.fromstring(svg)
    names = {one.get("id"): one.text for one in chart if one.get("id", "").startswith("chart")}
    assert names["chart-1"] == "Waterfall of stripe_us, 2017-03, in USD"
    assert "Captured 173.00; Refunds −13.00; Fees −10.62" in str(names["chart-1-says"])
    assert chart.get("aria-labelledby") == "chart-1 chart-1-says"


def test_the_same_numbers_make_the_same_page(facts: Facts, engine: Engine, tmp_path: Path) -> None:
    month(facts)
    put(engine, facts)
    pages = []
    for name in ("one", "two"):
        told("--html", str(tmp_path / name))
        pages.append(re.sub(r"on \d{4}-\d\d-\d\d \d\d:\d\d UTC", "", (tmp_path / name).read_text()))
    assert pages[0] == pages[1]
