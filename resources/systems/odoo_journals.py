"""Journal entries of an Odoo database, created once by our keys and posted.

Nothing of an entry is sent while a party it names is unknown.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from resources.errors import Refused, RemoteError
from resources.systems.odoo_drafts import KEY_BATCH, LINE, Drafts
from resources.systems.odoo_kits import many2one
from resources.systems.odoo_rpc import Row, batches
from resources.systems.roles import Payload

ENTRY_FIELDS = [
    "name",
    "state",
    "ref",
    "date",
    "company_id",
    "company_currency_id",
    "journal_id",
    "line_ids",
    "write_date",
]
LINE_FIELDS = [
    "move_id",
    "account_id",
    "name",
    "debit",
    "credit",
    "amount_currency",
    "currency_id",
    "partner_id",
]


class Journals(Drafts):
    """Entries that are no invoices; those held have `lines` that name the account's code."""

    name, names = "entry", "entries"
    move_type, line_ids = "entry", "line_ids"
    fields = ENTRY_FIELDS

    def _complete(self, rows: Sequence[Payload]) -> Sequence[Payload]:
        lines = self._lines(rows)
        return [{**row, "lines": lines[row["id"]]} for row in rows]

    def _lines(self, entries: Sequence[Payload]) -> dict[int, list[Payload]]:
        found: dict[int, list[Payload]] = defaultdict(list)
        if not entries:
            return found
        company = {row["id"]: many2one(row["company_id"]) for row in entries}
        domain = [["move_id", "in", list(company)]]
        rows = self.session.rows(LINE, domain, LINE_FIELDS, order="id")
        codes = self._codes(
            (company[many2one(r["move_id"])], many2one(r["account_id"])) for r in rows
        )
        for row in rows:
            entry = many2one(row["move_id"])
            row["account_code"] = codes.get((company[entry], many2one(row["account_id"])))
            found[entry].append(row)
        return found

    def _codes(self, accounts: Iterable[tuple[int, int]]) -> dict[tuple[int, int], str]:
        """Codes by company and account; Odoo shows those of the one company asked as."""
        wanted: dict[int, set[int]] = defaultdict(set)
        for company, account in accounts:
            wanted[company].add(account)
        found: dict[tuple[int, int], str] = {}
        for company, ids in wanted.items():
            how = {"allowed_company_ids": [company], "active_test": False}
            domain = [["id", "in", sorted(ids)]]
            rows = self.session.rows("account.account", domain, ["code"], order="id", context=how)
            found |= {(company, row["id"]): row["code"] for row in rows if row["code"]}
        return found

    # Creating

    def _put(self, entries: Mapping[str, Payload]) -> dict[str, int | RemoteError]:
        answers: dict[str, int | RemoteError] = {}
        there = self.held(list(entries))
        parties = self._parties(entries.values())
        heads: list[Row] = []
        for key, entry in entries.items():
            unknown = [p for p in _parties_of(entry) if p not in parties]
            if "twins" in there.get(key, {}):
                answers[key] = self._doubled()
            elif key in there and there[key]["state"] != "draft":
                answers[key] = there[key]["id"]
            elif unknown:
                text = f"no single contact has the reference {unknown[0]!r}; nothing was sent"
                answers[key] = Refused(self.session.system, text, code="party_unknown")
            elif key in there:
                answers[key] = there[key]["id"]
            else:
                head = entry["head"]
                heads.append(Row(key, {**head, "id": f"{self.module}.{head['id']}"}))
        answers |= self._load(heads)
        return answers | self._put_lines(entries, answers, parties)

    def _parties(self, entries: Iterable[Payload]) -> dict[str, int]:
        """Contacts by their reference; one that two carry is nobody's."""
        wanted = sorted({party for entry in entries for party in _parties_of(entry)})
        found: dict[str, list[int]] = defaultdict(list)
        for batch in batches(wanted, KEY_BATCH):
            domain = [["ref", "in", batch], ["parent_id", "=", False]]
            for row in self.session.rows("res.partner", domain, ["ref"], order="id"):
                found[row["ref"]].append(row["id"])
        return {party: ids[0] for party, ids in found.items() if len(ids) == 1}

    def _put_lines(
        self,
        entries: Mapping[str, Payload],
        answers: Mapping[str, int | RemoteError],
        parties: Mapping[str, int],
    ) -> dict[str, int | RemoteError]:
        """Fill drafts that have no line yet; answers the refusals only."""
        refused: dict[str, int | RemoteError] = {}
        for key, move in self._empty_drafts(answers).items():
            try:
                self._fill(move, [_line(line, parties) for line in entries[key]["lines"]])
            except Refused as no:
                refused[key] = no
        return refused

    # Posting

    def post(self, ids: Sequence[int]) -> dict[int, RemoteError]:
        """Post drafts; answers the refusals only. One that is posted stays so.

        A locked period moves an entry to another day without a word: then it is posted, and
        answered as refused with the code `other_day`. Only the call that posts can tell; whoever
        calls again must compare the day of the entry.
        """
        return super().post(ids)

    def _post_all(self, waiting: Mapping[int, Payload]) -> dict[int, RemoteError]:
        empty = {id_: self._empty(id_) for id_, row in waiting.items() if not row["line_ids"]}
        refused = empty | self._post([id_ for id_ in waiting if id_ not in empty])
        return refused | self._moved({n: row for n, row in waiting.items() if n not in refused})

    def _moved(self, before: Mapping[int, Payload]) -> dict[int, RemoteError]:
        """Those whose day is another one now."""
        found: dict[int, RemoteError] = {}
        for id_, row in self._states(before).items():
            asked = before[id_]["date"]
            if row["date"] != asked:
                text = (
                    f"entry {id_} is posted, but on {row['date']} instead of {asked}, which is "
                    "locked; open the period and move it back, or accept the day"
                )
                found[id_] = Refused(self.session.system, text, code="other_day")
        return found

    def _empty(self, entry: int) -> Refused:
        text = f"entry {entry} has no lines yet; it must be put again before it is posted"
        return Refused(self.session.system, text, code="empty")


def _parties_of(entry: Payload) -> set[str]:
    return {line["party"] for line in entry["lines"] if line["party"] is not None}


def _line(line: Payload, parties: Mapping[str, int]) -> Payload:
    """A line as JSON-RPC takes it: Odoo reads numbers of few digits exactly as written."""
    values: Payload = {name: value for name, value in line.items() if name != "party"}
    amounts = {name: float(line[name]) for name in ("debit", "credit", "amount_currency")}
    party: dict[str, Any] = {} if line["party"] is None else {"partner_id": parties[line["party"]]}
    # Empty, not absent: otherwise Odoo fills in the account's own taxes, and books them.
    return {**values, **amounts, **party, "tax_ids": [[6, 0, []]]}
