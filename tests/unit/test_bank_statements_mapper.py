"""Bank lines and statements in our words, from what the readers give."""

from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resources.settings import BankAccount
from resources.systems.bank_reports import read_camt, read_csv
from resources.systems.report_files import Report
from sync_assets.domain.orders import Rejected
from sync_assets.domain.payments import BankLines, BankStatements, Found
from sync_assets.mappers.bank_statements import report_line

D = Decimal
FACTS = {
    "statement_id": "S-211",
    "sequence": "211",
    "currency": "EUR",
    "opening": "-100.00",
    "closing": "1134.06",
    "from": "2026-11-02",
    "until": "2026-11-03",
}
ROW = {
    "kind": "line",
    "key": "B-1",
    "entry": "1",
    "amount": "-1234.56",
    "currency": "EUR",
    "booked_on": "2026-11-02",
}


def payload(row: dict[str, str], facts: dict[str, str] | None = None) -> dict[str, Any]:
    said = FACTS if facts is None else facts
    return {"file": "s.xml", "line": 7, "kind": "camt.053", "facts": said, "row": row}


def mapped(report: Report) -> Found:
    found = Found()
    for line in report.lines:
        facts = {**report.facts, **line.facts}
        said = {"file": "f", "line": line.number, "kind": report.kind, "facts": facts}
        found.add(report_line("main", {**said, "row": line.row}))
    return found


def test_an_entry_becomes_a_bank_line_with_all_columns() -> None:
    row = {
        **ROW,
        "valued_on": "2026-11-04",
        "bank_reference": "B-1",
        "end_to_end_id": "PO-77",
        "counterparty": "Adyen N.V.",
        "description": "TX 1",
        "charges": "1.50 EUR",
        "is_reversal": "true",
    }
    found = report_line("main", payload(row))
    assert found.bank_lines == [
        {
            "bank_line_ref": "main:B-1",
            "account": "main",
            "statement_ref": "main:S-211:211",
            "booked_on": date(2026, 11, 2),
            "valued_on": date(2026, 11, 4),
            "amount": D("-1234.56"),
            "currency": "EUR",
            "bank_reference": "B-1",
            "end_to_end_id": "PO-77",
            "counterparty": "Adyen N.V.",
            "description": "TX 1 charges 1.50 EUR",
            "is_reversal": True,
            "file_name": "s.xml",
            "file_line": 7,
        }
    ]
    assert (found.lines, found.payouts, found.statements) == ([], [], [])


def test_what_an_entry_does_not_tell_is_empty() -> None:
    (line,) = report_line("main", payload(ROW)).bank_lines
    empty = ("valued_on", "bank_reference", "end_to_end_id", "counterparty")
    assert [line[name] for name in empty] == [None] * 4
    assert (line["description"], line["is_reversal"]) == ("", False)


def test_a_statement_becomes_a_row_of_its_own() -> None:
    found = report_line("main", payload({"kind": "statement"}))
    assert found.statements == [
        {
            "statement_ref": "main:S-211:211",
            "account": "main",
            "number": 211,
            "currency": "EUR",
            "opening_amount": D("-100.00"),
            "closing_amount": D("1134.06"),
            "from_on": date(2026, 11, 2),
            "until_on": date(2026, 11, 3),
        }
    ]
    assert found.bank_lines == []


def test_a_statement_without_sequence_or_balances_tells_none() -> None:
    bare = {name: FACTS[name] for name in ("statement_id", "currency", "from", "until")}
    (row,) = report_line("main", payload({"kind": "statement"}, bare)).statements
    assert (row["statement_ref"], row["number"]) == ("main:S-211", 0)
    assert (row["opening_amount"], row["closing_amount"]) == (None, None)
    legal = {**bare, "legal_sequence": "9", "page": "2"}
    (row,) = report_line("main", payload({"kind": "statement"}, legal)).statements
    assert (row["statement_ref"], row["number"]) == ("main:S-211:p2", 9)


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"kind": "other"}, "row.kind"),
        ({"amount": "1e3"}, "amount"),
        ({"amount": "1234567890123456"}, "amount"),
        ({"amount": "NaN"}, "amount"),
        ({"currency": "eur"}, "currency"),
        ({"booked_on": "2026-02-30"}, "booked_on"),
        ({"booked_on": "02.11.2026"}, "booked_on"),
        ({"valued_on": "soon"}, "valued_on"),
        ({"key": ""}, "key"),
    ],
)
def test_a_line_that_cannot_be_read_is_rejected(change: dict[str, str], part: str) -> None:
    with pytest.raises(Rejected) as why:
        report_line("main", payload({**ROW, **change}))
    assert [problem.part for problem in why.value.problems] == [part]
    assert [problem.code for problem in why.value.problems] == ["thing.malformed"]


def test_text_is_cut_to_what_is_kept_and_to_what_can_be() -> None:
    row = {**ROW, "description": "x\x00" + "y" * 600, "counterparty": "\ud800" * 600}
    (line,) = report_line("main", payload(row)).bank_lines
    assert line["description"] == "x\ufffd" + "y" * 498
    assert line["counterparty"] == "\ufffd" * 500


def test_rows_fit_the_tables_and_a_statement_ties() -> None:
    text = (
        '<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.13"><BkToCstmrStmt><Stmt>'
        "<Id>S1</Id><Acct><Ccy>EUR</Ccy></Acct>"
        '<Bal><Tp><CdOrPrtry><Cd>OPBD</Cd></CdOrPrtry></Tp><Amt Ccy="EUR">10.00</Amt>'
        "<CdtDbtInd>DBIT</CdtDbtInd><Dt><Dt>2026-11-02</Dt></Dt></Bal>"
        '<Bal><Tp><CdOrPrtry><Cd>CLBD</Cd></CdOrPrtry></Tp><Amt Ccy="EUR">82.45</Amt>'
        "<CdtDbtInd>CRDT</CdtDbtInd><Dt><Dt>2026-11-02</Dt></Dt></Bal>"
        '<Ntry><Amt Ccy="EUR">100.10</Amt><CdtDbtInd>CRDT</CdtDbtInd><Sts><Cd>BOOK</Cd></Sts>'
        "<BookgDt><Dt>2026-11-02</Dt></BookgDt></Ntry>"
        '<Ntry><Amt Ccy="EUR">7.65</Amt><CdtDbtInd>DBIT</CdtDbtInd><Sts><Cd>BOOK</Cd></Sts>'
        "<BookgDt><Dt>2026-11-02</Dt></BookgDt></Ntry></Stmt></BkToCstmrStmt></Document>"
    )
    found = mapped(read_camt("s.xml", text.encode()))
    (statement,) = found.statements
    moved = sum(line["amount"] for line in found.bank_lines)
    assert statement["opening_amount"] + moved == statement["closing_amount"] == D("82.45")
    assert {line["statement_ref"] for line in found.bank_lines} == {statement["statement_ref"]}
    assert set(found.bank_lines[0]) == set(BankLines.to_schema().columns)
    assert set(statement) == set(BankStatements.to_schema().columns)


CENTS = st.integers(-(10**9), 10**9).map(lambda cents: D(cents).scaleb(-2))


@given(
    CENTS,
    st.lists(st.tuples(st.integers(1, 5), CENTS), min_size=1, max_size=12),
    st.booleans(),
    st.booleans(),
)
def test_every_day_of_an_export_ties_to_its_balances(
    opening: Decimal, moves: list[tuple[int, Decimal]], is_turned: bool, comma: bool
) -> None:
    balance, lines = opening, []
    for day, amount in sorted(moves, key=lambda move: move[0]):
        balance += amount
        lines.append(f"2026-11-0{day};{amount};{balance}\n".replace(".", "," if comma else "."))
    text = "booked_on;amount;balance\n" + "".join(lines[::-1] if is_turned else lines)
    account = BankAccount.model_validate(
        {"kind": "csv", "inbox": "i", "currency": "EUR", "company": "c", "decimal_comma": comma}
    )
    found = mapped(read_csv("b.csv", text.encode(), account))
    assert len({line["bank_line_ref"] for line in found.bank_lines}) == len(moves)
    for one in found.statements:
        of_day = [
            line["amount"]
            for line in found.bank_lines
            if line["statement_ref"] == one["statement_ref"]
        ]
        assert one["opening_amount"] + sum(of_day) == one["closing_amount"]
    assert found.statements[0]["opening_amount"] == opening
    assert found.statements[-1]["closing_amount"] == balance


def test_a_file_under_another_name_gives_the_same_rows_but_for_the_name() -> None:
    account = BankAccount.model_validate(
        {"kind": "csv", "inbox": "i", "currency": "EUR", "company": "c"}
    )
    text = b"booked_on;amount;description\n2026-11-02;1.00;a\n2026-11-02;1.00;a\n"
    first, second = (mapped(read_csv(name, text, account)) for name in ("a.csv", "b.csv"))
    assert first == second
    report = read_csv("c.csv", text + b"2026-11-03;2.00;b\n", account)
    assert mapped(replace(report, lines=report.lines[:2])).bank_lines == first.bank_lines
