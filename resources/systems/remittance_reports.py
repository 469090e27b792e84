"""CSV of whoever remits money and has no report of a form of its own: carriers that collect cash on
delivery, vouchers, other acquirers. What a line means is for the mapper of the files.

The columns have names of ours; those of a remitter that calls them otherwise are configured.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence

from resources.systems.csv_lines import Form, Line
from resources.systems.report_files import RefusedFile, Report, ReportLine

#: `kind` is sale, refund, chargeback, chargeback_reversed, fee, adjustment or payout. `fee` and
#: `fee_tax` are positive where they were taken. `transaction_id` is the remitter's id of the line:
#: an id that a sale shares with its refund is a `payment_id`.
COLUMNS = (
    *("transaction_id", "order_reference", "kind", "occurred_at", "currency", "gross", "fee"),
    *("fee_tax", "net", "payout_id", "paid_on", "bank_reference", "payment_id", "method"),
    "description",
)
REQUIRED = ("currency", "gross")
#: What tells lines without an id apart; those that are alike in it are numbered.
TOLD_BY = ("payout_id", "kind", "order_reference", "payment_id", "occurred_at", "paid_on")


def read(
    name: str,
    content: bytes,
    *,
    columns: Mapping[str, str],
    ignored: Collection[str],
    encoding: str,
    zone: str = "UTC",
) -> Report:
    """Read one file; raises RefusedFile.

    Beside its cells a line without `transaction_id` that is like an earlier one has `repeat`, its
    number among them from 2. Facts: `zone` of times without an offset, and `signs`: `signed` if a
    gross of the file is negative, else `unsigned`: there the kind says where money went.
    """
    lines, broken = Form(COLUMNS, REQUIRED, columns, ignored, encoding).read(content)
    if lines and not {"transaction_id", "order_reference"} & set(lines[0].payload):
        raise RefusedFile("it lacks the column order_reference or transaction_id, one of them")
    is_signed = any(_is_negative(line.payload["gross"]) for line in lines)
    facts = {"zone": zone, "signs": "signed" if is_signed else "unsigned"}
    return Report("remittance", _numbered(lines), broken, facts)


def _numbered(lines: Sequence[Line]) -> list[ReportLine]:
    seen: Counter[tuple[str, ...]] = Counter()
    found = []
    for line in lines:
        row = line.payload
        if not row.get("transaction_id"):
            place = tuple(row.get(name, "") for name in (*TOLD_BY, *REQUIRED))
            seen[place] += 1
            if seen[place] > 1:
                row["repeat"] = str(seen[place])
        found.append(ReportLine(line.number, row))
    return found


def _is_negative(text: str) -> bool:
    return text[:1] in ("-", "\u2212") or text[-1:] == "-"
