"""Journal entries of an Odoo database, created once by our keys and posted; and the invoices it
made, with the orders they are for.

As with credit memos the head comes through `load()`, whose external id is the only guard against a
twin, and lines are written in one call that replaces what the draft has. Nothing of an entry is
sent while a party it names is unknown.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from resources.errors import Missing, Refused, RemoteError, UnknownOutcome
from resources.systems.odoo_kits import many2one
from resources.systems.odoo_rpc import Row, Session, batches
from resources.systems.roles import Payload

ENTRY, LINE = "account.move", "account.move.line"
KEY_BATCH, LOAD_BATCH, POST_BATCH = 200, 50, 20
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


class Journals:
    """Entries that are no invoices, through one session; `module` is that of our external ids."""

    def __init__(self, session: Session, module: str) -> None:
        self.session, self.module = session, module

    def held(self, keys: Sequence[str]) -> dict[str, Payload]:
        """Entries by our key, with `lines` that name the account's code and `reversals`, the
        entries that take them back; further live ones of a key are its `twins`.
        """
        found: dict[str, list[Payload]] = {}
        for batch in batches(dict.fromkeys(keys), KEY_BATCH):
            domain = [["ref", "in", batch], ["move_type", "=", "entry"]]
            rows = self.session.rows(ENTRY, domain, ENTRY_FIELDS, order="id")
            lines, counters = self._lines(rows), self._counters([row["id"] for row in rows])
            for row in rows:
                row |= {"lines": lines[row["id"]], "reversals": counters[row["id"]]}
                found.setdefault(row["ref"], []).append(row)
        return {key: _first_alive(rows) for key, rows in found.items()}

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

    def _counters(self, entries: Sequence[int]) -> dict[int, list[Payload]]:
        """Entries that are not cancelled, by the one they take back."""
        found: dict[int, list[Payload]] = defaultdict(list)
        if entries:
            domain = [["reversed_entry_id", "in", list(entries)], ["state", "!=", "cancel"]]
            fields = ["name", "ref", "state", "date", "reversed_entry_id"]
            for row in self.session.rows(ENTRY, domain, fields, order="id"):
                found[many2one(row["reversed_entry_id"])].append(row)
        return found

    # Creating

    def put(self, entries: Sequence[Payload]) -> dict[str, int | RemoteError]:
        """Create drafts by our keys, heads first; what left the draft is not touched."""
        answers: dict[str, int | RemoteError] = {}
        unique = {entry["key"]: entry for entry in entries}
        for batch in batches(unique.values(), LOAD_BATCH):
            answers |= self._put({entry["key"]: entry for entry in batch})
        return answers

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
        if heads:
            loaded = self.session.load(ENTRY, heads)
            answers |= {k: ids[0] if isinstance(ids, list) else ids for k, ids in loaded.items()}
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
        ids = {id_: key for key, id_ in answers.items() if isinstance(id_, int)}
        for row in self._states(ids).values():
            if row["state"] != "draft" or row["line_ids"]:
                continue
            entry = entries[ids[row["id"]]]
            lines = [[0, 0, _line(line, parties)] for line in entry["lines"]]
            try:
                self.session.write(ENTRY, "write", [[row["id"]], {"line_ids": [[5, 0, 0], *lines]}])
            except Refused as no:
                refused[entry["key"]] = no
        return refused

    def _doubled(self) -> Refused:
        text = "several entries carry this reference; a person must cancel all but one"
        return Refused(self.session.system, text, code="doubled")

    # Posting

    def post(self, ids: Sequence[int]) -> dict[int, RemoteError]:
        """Post drafts; answers the refusals only. One that is posted stays so.

        A locked period moves an entry to another day without a word: then it is posted, and
        answered as refused with the code `other_day`. Only the call that posts can tell; whoever
        calls again must compare the day of the entry.
        """
        refused: dict[int, RemoteError] = {}
        for batch in batches(dict.fromkeys(ids), POST_BATCH):
            before = self._states(batch)
            refused |= {id_: self._gone(id_) for id_ in batch if id_ not in before}
            waiting = {id_: row for id_, row in before.items() if row["state"] != "posted"}
            refused |= {
                id_: self._empty(id_) for id_, row in waiting.items() if not row["line_ids"]
            }
            refused |= self._post([id_ for id_ in waiting if id_ not in refused])
            refused |= self._moved({n: row for n, row in waiting.items() if n not in refused})
        return refused

    def _post(self, ids: list[int]) -> dict[int, RemoteError]:
        """Post all at once, then believe the states; a refusal is looked for one by one."""
        refusal: Refused | None = None
        if not ids:
            return {}
        try:
            self.session.write(ENTRY, "action_post", [ids])
        except Refused as said:
            refusal = said
        states = self._states(ids)
        left = [id_ for id_ in ids if states.get(id_, {}).get("state") != "posted"]
        if refusal is None:
            return dict.fromkeys(left, self._unmoved())
        if len(ids) == 1:
            return dict.fromkeys(left, refusal)
        refused: dict[int, RemoteError] = {}
        for id_ in left:
            refused |= self._post([id_])
        return refused

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

    def _states(self, ids: Collection[int]) -> dict[int, Payload]:
        if not ids:
            return {}
        fields = ["state", "date", "line_ids"]
        rows = self.session.rows(ENTRY, [["id", "in", list(ids)]], fields, order="id")
        return {row["id"]: row for row in rows}

    def _gone(self, entry: int) -> Missing:
        return Missing(self.session.system, f"entry {entry} is not there")

    def _empty(self, entry: int) -> Refused:
        text = f"entry {entry} has no lines yet; it must be put again before it is posted"
        return Refused(self.session.system, text, code="empty")

    def _unmoved(self) -> UnknownOutcome:
        # A replica may be behind: that it stands still is no proof that it was refused.
        text = "the ERP answered yes but the entry is not posted"
        return UnknownOutcome(self.session.system, text, code="unmoved")


def _parties_of(entry: Payload) -> set[str]:
    return {line["party"] for line in entry["lines"] if line["party"] is not None}


def _line(line: Payload, parties: Mapping[str, int]) -> Payload:
    """A line as JSON-RPC takes it: Odoo reads numbers of few digits exactly as written."""
    values: Payload = {name: value for name, value in line.items() if name != "party"}
    amounts = {name: float(line[name]) for name in ("debit", "credit", "amount_currency")}
    party: dict[str, Any] = {} if line["party"] is None else {"partner_id": parties[line["party"]]}
    # Empty, not absent: otherwise Odoo fills in the account's own taxes, and books them.
    return {**values, **amounts, **party, "tax_ids": [[6, 0, []]]}


def _first_alive(rows: list[Payload]) -> Payload:
    """The oldest that is not cancelled with the others as its twins, else the oldest."""
    alive = [row for row in rows if row["state"] != "cancel"]
    first, *twins = alive or rows[:1]
    return {**first, "twins": twins} if twins else first
