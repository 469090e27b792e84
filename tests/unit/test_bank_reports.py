"""Bank statements as CAMT.053 of every version, and files that nobody should trust."""

import time
import tracemalloc
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resources.systems.bank_reports import read_camt
from resources.systems.report_files import RefusedFile, Report

IBAN = "DE89370400440532013000"
OTHER = "NL91ABNA0417164300"

V02 = f"""<?xml version="1.0" encoding="UTF-8"?>
<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.02">
 <BkToCstmrStmt>
  <GrpHdr><MsgId>M-1</MsgId><CreDtTm>2026-11-03T05:00:00+01:00</CreDtTm></GrpHdr>
  <Stmt>
   <Id>S-211</Id><ElctrncSeqNb>211</ElctrncSeqNb><LglSeqNb>9</LglSeqNb>
   <CreDtTm>2026-11-03T05:00:00+01:00</CreDtTm>
   <FrToDt><FrDtTm>2026-11-02T00:00:00</FrDtTm><ToDtTm>2026-11-03T00:00:00</ToDtTm></FrToDt>
   <Acct><Id><IBAN>{IBAN}</IBAN></Id><Ccy>EUR</Ccy></Acct>
   <Bal><Tp><CdOrPrtry><Cd>PRCD</Cd></CdOrPrtry></Tp><Amt Ccy="EUR">100.00</Amt>
    <CdtDbtInd>DBIT</CdtDbtInd><Dt><Dt>2026-11-01</Dt></Dt></Bal>
   <Bal><Tp><CdOrPrtry><Cd>CLBD</Cd></CdOrPrtry></Tp><Amt Ccy="EUR">1134.06</Amt>
    <CdtDbtInd>CRDT</CdtDbtInd><Dt><Dt>2026-11-02</Dt></Dt></Bal>
   <Bal><Tp><CdOrPrtry><Cd>CLAV</Cd></CdOrPrtry></Tp><Amt Ccy="EUR">9999.99</Amt>
    <CdtDbtInd>CRDT</CdtDbtInd><Dt><Dt>2026-11-02</Dt></Dt></Bal>
   <Ntry>
    <Amt Ccy="EUR">1234.56</Amt><CdtDbtInd>CRDT</CdtDbtInd><Sts>BOOK</Sts>
    <BookgDt><Dt>2026-11-02</Dt></BookgDt><ValDt><Dt>2026-11-03</Dt></ValDt>
    <AcctSvcrRef>B-1</AcctSvcrRef>
    <NtryDtls><TxDtls>
     <Refs><EndToEndId>PO-77</EndToEndId></Refs>
     <RltdPties><Dbtr><Nm>Stripe Payments</Nm></Dbtr><Cdtr><Nm>We GmbH</Nm></Cdtr></RltdPties>
     <RmtInf><Ustrd>STRIPE  po_1AbC</Ustrd><Ustrd>second   line</Ustrd>
      <Strd><CdtrRefInf><Ref>RF18539007547034</Ref></CdtrRefInf></Strd></RmtInf>
    </TxDtls></NtryDtls>
    <AddtlNtryInf>GUTSCHRIFT</AddtlNtryInf>
   </Ntry>
   <Ntry>
    <Amt Ccy="EUR">0.5</Amt><CdtDbtInd>DBIT</CdtDbtInd><RvslInd>true</RvslInd><Sts>BOOK</Sts>
    <BookgDt><DtTm>2026-11-02T23:30:00+01:00</DtTm></BookgDt><AcctSvcrRef>B-1</AcctSvcrRef>
    <NtryDtls><TxDtls><Refs><EndToEndId>NOTPROVIDED</EndToEndId></Refs>
     <RltdPties><Dbtr><Nm>Shopper</Nm></Dbtr><Cdtr><Nm>We GmbH</Nm></Cdtr></RltdPties>
     <RtrInf><Rsn><Cd>AC04</Cd></Rsn></RtrInf></TxDtls></NtryDtls>
   </Ntry>
   <Ntry>
    <Amt Ccy="EUR">7.00</Amt><CdtDbtInd>CRDT</CdtDbtInd><Sts>PDNG</Sts>
    <BookgDt><Dt>2026-11-02</Dt></BookgDt>
   </Ntry>
  </Stmt>
 </BkToCstmrStmt>
</Document>
"""


def entry(
    amount: str = "10.00",
    direction: str = "CRDT",
    reference: str = "R1",
    details: str = "",
    status: str = "<Sts><Cd>BOOK</Cd></Sts>",
    more: str = "",
    currency: str = "EUR",
    day: str = "<BookgDt><Dt>2026-11-02</Dt></BookgDt>",
) -> str:
    said = f"<AcctSvcrRef>{reference}</AcctSvcrRef>" if reference else ""
    return (
        f'<Ntry><Amt Ccy="{currency}">{amount}</Amt><CdtDbtInd>{direction}</CdtDbtInd>{status}'
        f"{day}{said}{more}<NtryDtls>{details}</NtryDtls></Ntry>"
    )


def part(amount: str, text: str, name: str = "", refs: str = "") -> str:
    """A detail as versions from 08 write it."""
    return (
        f'<TxDtls><Refs>{refs}</Refs><Amt Ccy="EUR">{amount}</Amt>'
        f"<RltdPties><Dbtr><Pty><Nm>{name}</Nm></Pty></Dbtr></RltdPties>"
        f"<RmtInf><Ustrd>{text}</Ustrd></RmtInf></TxDtls>"
    )


def balance(kind: str, amount: str, day: str = "2026-11-02", currency: str = "EUR") -> str:
    return (
        f"<Bal><Tp><CdOrPrtry><Cd>{kind}</Cd></CdOrPrtry></Tp>"
        f'<Amt Ccy="{currency}">{amount}</Amt><CdtDbtInd>CRDT</CdtDbtInd>'
        f"<Dt><Dt>{day}</Dt></Dt></Bal>"
    )


def statement(*entries: str, head: str = "<Id>S1</Id>", iban: str = IBAN, bal: str = "") -> str:
    bal = bal or balance("OPBD", "0.00") + balance("CLBD", "10.00")
    account = f"<Acct><Id><IBAN>{iban}</IBAN></Id></Acct>"
    return f"<Stmt>{head}{account}{bal}{''.join(entries)}</Stmt>"


def document(*statements: str, version: str = "08", message: str = "BkToCstmrStmt") -> bytes:
    space = f"urn:iso:std:iso:20022:tech:xsd:camt.053.001.{version}"
    body = "".join(statements)
    header = "<GrpHdr><MsgId>M</MsgId><CreDtTm>2026-11-03T05:00:00Z</CreDtTm></GrpHdr>"
    text = f'<Document xmlns="{space}"><{message}>{header}{body}</{message}></Document>'
    return text.encode()


def camt(*entries: str, **how: str) -> Report:
    return read_camt("s.xml", document(statement(*entries, **how)), iban=IBAN, currency="EUR")


def rows(report: Report) -> list[dict[str, str]]:
    return [dict(line.row) for line in report.lines if line.row["kind"] == "line"]


def refused(content: bytes, iban: str | None = IBAN, currency: str | None = "EUR") -> str:
    with pytest.raises(RefusedFile) as why:
        read_camt("s.xml", content, iban=iban, currency=currency)
    return str(why.value)


# CAMT: what a statement says


def test_a_statement_of_the_oldest_version_is_read_to_the_cent() -> None:
    report = read_camt("s.xml", V02.encode(), iban="DE89 3704 0044 0532 0130 00", currency="EUR")
    credit, reversal = rows(report)
    key = credit.pop("key")
    assert key == "B-1"
    assert credit == {
        "kind": "line",
        "entry": "1",
        "amount": "1234.56",
        "currency": "EUR",
        "booked_on": "2026-11-02",
        "valued_on": "2026-11-03",
        "bank_reference": "B-1",
        "end_to_end_id": "PO-77",
        "counterparty": "Stripe Payments",
        "description": "STRIPE po_1AbC second line RF18539007547034 GUTSCHRIFT",
    }
    assert (reversal["amount"], reversal["is_reversal"]) == ("-0.5", "true")
    assert (reversal["key"], reversal["booked_on"]) == ("B-1:reversal", "2026-11-02")
    assert (reversal["counterparty"], reversal["description"]) == ("Shopper", "return reason AC04")
    assert "end_to_end_id" not in reversal
    assert dict(report.lines[0].facts) == {
        "statement_id": "S-211",
        "sequence": "211",
        "legal_sequence": "9",
        "currency": "EUR",
        "opening": "-100.00",
        "closing": "1134.06",
        "from": "2026-11-02",
        "until": "2026-11-02",
    }


def test_what_is_not_booked_is_left_out_and_counted() -> None:
    report = read_camt("s.xml", V02.encode())
    assert report.kind == "camt.053"
    assert dict(report.facts) == {
        "format": "camt.053.001.02",
        "statements": "1",
        "entries": "3",
        "not_booked": "1",
        "message_id": "M-1",
    }
    assert [line.number for line in report.lines] == [1, 2, 4]


@pytest.mark.parametrize("version", [f"{number:02d}" for number in range(2, 14)])
def test_every_version_is_read_by_its_local_names(version: str) -> None:
    content = document(statement(entry(details=part("10.00", "hello", "Adyen"))), version=version)
    report = read_camt("s.xml", content, iban=IBAN, currency="EUR")
    assert report.facts["format"] == f"camt.053.001.{version}"
    (row,) = rows(report)
    assert (row["counterparty"], row["description"]) == ("Adyen", "hello")


def test_a_prefix_another_namespace_or_none_makes_no_difference() -> None:
    plain = document(statement(entry())).decode()
    space = plain[plain.index('"') : plain.index('"', plain.index('"') + 1) + 1]
    swiss = plain.replace(space, '"http://www.six-interbank-clearing.com/de/camt.053.001.04.ch.02"')
    prefixed = plain.replace("<", "<c:").replace("<c:/", "</c:").replace("xmlns=", "xmlns:c=")
    bare = plain.replace(f" xmlns={space}", "")
    wanted = rows(read_camt("s.xml", plain.encode()))
    for text in (swiss, prefixed, bare, f'<?xml version="1.0"?><Env>{plain}</Env>'):
        assert rows(read_camt("s.xml", text.encode())) == wanted
    assert rows(read_camt("s.xml", b"\xef\xbb\xbf" + plain.encode())) == wanted
    assert rows(read_camt("s.xml", plain.encode("utf-16"))) == wanted


def test_a_statement_without_entries_is_there_too() -> None:
    report = camt(bal=balance("OPBD", "5.00") + balance("CLBD", "5.00"))
    (line,) = report.lines
    assert (line.number, dict(line.row)) == (1, {"kind": "statement"})
    assert (line.facts["opening"], line.facts["closing"]) == ("5.00", "5.00")


def test_several_statements_of_a_file_keep_to_themselves() -> None:
    first = statement(entry(reference="A"), head="<Id>S1</Id>")
    second = statement(entry(reference="A"), entry("2"), head="<Id>S2</Id>")
    report = read_camt("s.xml", document(first, second), iban=IBAN)
    assert [(line.number, line.facts["statement_id"]) for line in report.lines] == [
        (1, "S1"),
        (2, "S2"),
        (3, "S2"),
        (4, "S1"),
        (5, "S2"),
    ]
    assert [row["entry"] for row in rows(report)] == ["1", "1", "2"]


def test_of_several_days_the_first_opening_and_the_last_closing_count() -> None:
    bal = (
        balance("CLBD", "20.00", "2026-11-03")
        + balance("OPBD", "15.00", "2026-11-03")
        + balance("CLBD", "15.00", "2026-11-02")
        + balance("OPBD", "10.00", "2026-11-02")
    )
    (line,) = camt(bal=bal).lines
    assert (line.facts["opening"], line.facts["closing"]) == ("10.00", "20.00")
    assert (line.facts["from"], line.facts["until"]) == ("2026-11-02", "2026-11-03")


def test_pages_of_a_statement_have_balances_of_their_own() -> None:
    def page(number: int, is_last: str, bal: str) -> str:
        numbered = f"<PgNb>{number}</PgNb><LastPgInd>{is_last}</LastPgInd>"
        return statement(entry(), head=f"<Id>S1</Id><StmtPgntn>{numbered}</StmtPgntn>", bal=bal)

    first = page(1, "false", balance("OPBD", "0.00") + balance("ITBD", "10.00"))
    middle = page(2, "false", balance("ITBD", "10.00") + balance("ITBD", "20.00"))
    last = page(3, "true", balance("ITBD", "20.00") + balance("CLBD", "30.00"))
    report = read_camt("s.xml", document(first, middle, last))
    heads = [line.facts for line in report.lines if line.row["kind"] == "statement"]
    assert [(one["page"], one["opening"], one["closing"]) for one in heads] == [
        ("1", "0.00", "10.00"),
        ("2", "10.00", "20.00"),
        ("3", "20.00", "30.00"),
    ]
    whole = camt(head="<Id>S1</Id><StmtPgntn><PgNb>1</PgNb><LastPgInd>true</LastPgInd></StmtPgntn>")
    assert "page" not in whole.lines[0].facts


# CAMT: entries


def test_a_batch_is_taken_apart_where_its_details_come_to_it() -> None:
    refs = "<AcctSvcrRef>T2</AcctSvcrRef><EndToEndId>E2</EndToEndId>"
    details = part("4.00", "order 1", "Ann") + part("6.00", "order 2", "Bob", refs)
    report = camt(entry("10.00", details=details, reference="B"), entry("1.00", reference="C"))
    one, two, three = rows(report)
    assert [(row["amount"], row["description"]) for row in (one, two)] == [
        ("4.00", "order 1"),
        ("6.00", "order 2"),
    ]
    assert (one["entry"], one["detail"], one["counterparty"]) == ("1", "1", "Ann")
    assert (one["bank_reference"], two["bank_reference"]) == ("B", "T2")
    assert (two["key"], two["end_to_end_id"], three["key"]) == ("T2", "E2", "C")
    assert len(one["key"]) == 24
    assert [line.number for line in report.lines] == [1, 2, 3, 4]


def test_a_batch_with_a_detail_the_other_way_still_comes_to_it() -> None:
    back = part("2.00", "refund").replace("</Amt>", "</Amt><CdtDbtInd>DBIT</CdtDbtInd>")
    found = rows(camt(entry("10.00", details=part("12.00", "sale") + back)))
    assert [row["amount"] for row in found] == ["12.00", "-2.00"]


def test_a_batch_of_the_old_version_tells_amounts_under_their_details() -> None:
    old = part("4.00", "a").replace('<Amt Ccy="EUR">4.00</Amt>', "") + part("6.00", "b")
    told = '<AmtDtls><InstdAmt><Amt Ccy="USD">5.00</Amt></InstdAmt></AmtDtls><RltdPties>'
    ours = '<AmtDtls><TxAmt><Amt Ccy="EUR">4.00</Amt></TxAmt></AmtDtls><RltdPties>'
    assert len(rows(camt(entry(details=old.replace("<RltdPties>", told, 1))))) == 1
    found = rows(camt(entry(details=old.replace("<RltdPties>", ours, 1))))
    assert [row["amount"] for row in found] == ["4.00", "6.00"]


def test_a_batch_that_does_not_come_to_its_entry_stays_one_line() -> None:
    details = part("4.00", "order 1", "Ann") + part("5.00", "order 2", "Bob")
    (row,) = rows(camt(entry("10.00", details=details)))
    assert (row["amount"], row["description"], row["key"]) == ("10.00", "order 1 order 2", "R1")
    assert "counterparty" not in row


def test_charges_are_kept_as_told() -> None:
    total = '<Chrgs><TtlChrgsAndTaxAmt Ccy="EUR">1.50</TtlChrgsAndTaxAmt></Chrgs>'
    record = '<Chrgs><Rcrd><Amt Ccy="EUR">0.35</Amt></Rcrd></Chrgs>'
    old = '<Chrgs><Amt Ccy="EUR">0.20</Amt></Chrgs><Chrgs><Amt Ccy="EUR">0.10</Amt></Chrgs>'
    found = rows(camt(entry(more=total), entry(more=record), entry(more=old)))
    assert [row["charges"] for row in found] == ["1.50 EUR", "0.35 EUR", "0.20 EUR, 0.10 EUR"]


def test_a_reference_that_comes_twice_or_says_there_is_none_is_no_key() -> None:
    report = camt(entry(reference="X"), entry(reference="X"), entry(reference="NONREF"), entry())
    keys = [row["key"] for row in rows(report)]
    assert keys[3] == "R1"
    assert [len(key) for key in keys[:3]] == [24, 24, 24]
    assert len(set(keys)) == 4
    assert "bank_reference" not in rows(report)[2]


def test_a_statement_that_is_sent_again_gives_the_same_keys() -> None:
    def said(identity: str, *entries: str) -> str:
        return statement(*entries, head=f"<Id>{identity}</Id>")

    mine = [entry(reference=""), entry("3", reference=""), entry("4", reference="K")]
    alone = rows(read_camt("a.xml", document(said("S9", *mine))))
    behind = read_camt("b.xml", document(said("S8", entry(), entry("2")), said("S9", *mine)))
    assert [row["key"] for row in rows(behind)[2:]] == [row["key"] for row in alone]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (entry("1,234.50"), "its amount is no plain amount without a sign"),
        (entry("-1.00"), "its amount is no plain amount without a sign"),
        (entry("1e3"), "its amount is no plain amount without a sign"),
        (entry(direction=""), "it does not say whether it is a credit or a debit"),
        (entry(day=""), "has neither a booking day nor a value day"),
        (entry(currency=""), "its amount has no currency code of three capitals"),
        (entry(currency="USD"), "is in USD, its statement is in EUR"),
        (
            entry(status="<Sts><Prtry>booked</Prtry></Sts>"),
            "its status is not BOOK, PDNG, INFO or FUTR: nobody knows if it is booked",
        ),
        ("<Ntry/>", "its status is not BOOK, PDNG, INFO or FUTR: nobody knows if it is booked"),
    ],
)
def test_an_entry_that_cannot_be_read_costs_no_other(text: str, reason: str) -> None:
    report = camt(entry(reference="A"), text, entry(reference="B"))
    assert [(one.number, one.reason) for one in report.broken] == [(2, reason)]
    assert [row["key"] for row in rows(report)] == ["A", "B"]
    assert [line.number for line in report.lines] == [1, 3, 4]


# CAMT: files that are refused


def test_a_statement_of_another_account_refuses_the_file_and_shows_no_number() -> None:
    mixed = document(statement(entry()), statement(entry(), head="<Id>S2</Id>", iban=OTHER))
    assert refused(mixed) == "it has a statement of the account ****4300, not of ****3000"
    assert refused(mixed, iban=None) == (
        "it has statements of the accounts ****3000 and ****4300; configure the IBAN"
    )
    nameless = document(statement(entry()).replace(f"<Id><IBAN>{IBAN}</IBAN></Id>", ""))
    assert refused(nameless).endswith("of an account it does not name, not of ****3000")
    assert refused(document(statement(entry())), currency="USD") == (
        "it has a statement in EUR, the account is in USD"
    )


@pytest.mark.parametrize(
    ("message", "named"),
    [
        ("BkToCstmrAcctRpt", "camt.052, a report within the day"),
        ("BkToCstmrDbtCdtNtfctn", "camt.054, a notification of debits and credits"),
        ("CstmrPmtStsRpt", "pain.002, a status report of payments"),
    ],
)
def test_another_message_is_refused_by_its_name(message: str, named: str) -> None:
    reason = refused(document(message=message))
    assert reason == f"it is {named}; only statements (camt.053) are read here"


def test_what_is_no_statement_at_all_is_refused() -> None:
    pacs = b'<Document xmlns="urn:iso:std:iso:20022:tech:xsd:pacs.008.001.08"><X/></Document>'
    assert refused(pacs) == "it is no camt.053 but pacs.008.001.08; ask the bank for camt.053"
    assert refused(b"<html/>").startswith("it is no camt.053 but a file of 'html'")
    assert refused(document()) == "it holds no statement"
    assert refused(document(version="14")).startswith("it is camt.053.001.14; we know")
    assert refused(b"").startswith("it is no complete XML")
    assert refused(b"booked_on;amount\n").startswith("it is no complete XML")
    assert refused(V02.encode()[:2000]).startswith("it is no complete XML")
    assert refused(document(statement(head=""))) == "it has a statement without an Id"
    assert refused(document(statement(bal=balance("OPBD", "1,00")))) == (
        "a statement of it cannot be trusted: a balance is no plain amount without a sign"
    )
    both = balance("OPBD", "1.00") + balance("CLBD", "1.00", currency="USD")
    assert refused(document(statement(bal=both))).startswith("a statement of it is in EUR and USD")


def test_an_entity_bomb_is_refused_before_it_goes_off() -> None:
    bomb = '<!DOCTYPE z [<!ENTITY a "aaaaaaaaaa">' + "".join(
        f'<!ENTITY {name} "{f"&{before};" * 10}">'
        for before, name in zip("abcdefghij", "bcdefghijk", strict=True)
    )
    text = document(statement(entry(details=part("10.00", "&k;")))).decode()
    assert refused(f"{bomb}]>{text}".encode()) == (
        "it declares a document type or entities, which no statement needs"
    )


def test_an_external_entity_is_refused_and_not_fetched(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("do not tell")
    text = document(statement(entry(details=part("10.00", "&x;")))).decode()
    for kind in (f'<!ENTITY x SYSTEM "{secret.as_uri()}">', "", '<!ENTITY % x SYSTEM "f:/x"> %x;'):
        reason = refused(f"<!DOCTYPE z [{kind}]>{text}".encode())
        assert reason == "it declares a document type or entities, which no statement needs"
    dtd = f'<!DOCTYPE z SYSTEM "{secret.as_uri()}">{text}'
    assert "document type" in refused(dtd.encode())
    assert "undefined entity" in refused(text.encode())


def test_fifty_megabytes_of_nesting_end_at_once() -> None:
    deep = b"<a>" * (50 * 2**20 // 3)
    tracemalloc.start()
    began = time.monotonic()
    reason = refused(deep)
    took = time.monotonic() - began
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert reason == "it nests deeper than 60 elements, which no statement does"
    assert took < 5
    assert peak < 20 * 2**20


def test_elements_that_nobody_reads_are_not_kept() -> None:
    junk = b"<Document>" + b"<x>yyyyyyyy</x>" * 20_000 + b"</Document>"
    tracemalloc.start()
    refused(junk)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2 * 2**20


@given(st.binary(max_size=300) | st.text(max_size=200).map(str.encode))
def test_whatever_bytes_come_the_answer_is_a_report_or_a_refusal(content: bytes) -> None:
    for text in (content, b'<?xml version="1.0" encoding="' + content[:12] + b'"?><a/>'):
        with pytest.raises(RefusedFile):
            read_camt("s.xml", text)


@given(st.integers(0, len(V02) - 1), st.sampled_from(["", "<", "x", "&", "</Stmt>", "9", "\x00"]))
def test_a_spoilt_statement_never_makes_the_reader_fall(place: int, what: str) -> None:
    with suppress(RefusedFile):
        read_camt("s.xml", (V02[:place] + what + V02[place + 1 :]).encode())
