"""Journal entries in Tryton, once per key.

Our key stands in `description`, which is not unique there: drafts of one key are looked up after
they are made, and all but the first are deleted; posting is what cannot be undone. An entry is
made with its lines in one call. Its period is ours to name: left out, Tryton takes that of today.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import date

from resources.errors import ContractBroken, Missing, Refused, RemoteError
from resources.systems.tryton_rpc import KEY_BATCH, Payload, Session, batches

MODEL, LINE, PERIOD = "account.move", "account.move.line", "account.period"
FIELDS = (
    *("number", "description", "state", "date", "post_date", "period.name", "journal.code"),
    *("company.rec_name", "company.currency.code", "last_modified_at"),
)
LINE_FIELDS = (
    *("move", "account.code", "debit", "credit", "second_currency.code"),
    *("amount_second_currency", "description", "party.code"),
)


class Journals:
    """Entries that are no invoices, through one session."""

    def __init__(self, rpc: Session) -> None:
        self.rpc = rpc

    # What is there

    def known(self, keys: Sequence[str]) -> dict[str, Payload]:
        """The entries that exist for our keys, each with its `key`, `lines` and what took it back.

        `twins` are the ids of others of its key that are posted as well.
        """
        found: dict[str, Payload] = {}
        for batch in batches(list(dict.fromkeys(keys)), KEY_BATCH):
            rows = self._by_key(batch)
            ids = [row["id"] for row in rows.values()]
            lines, counters = self._lines(ids), self._counters(ids)
            for key, row in rows.items():
                number = row["id"]
                more = {"lines": lines[number], "taken_back_by": counters[number]}
                found[key] = {"key": key, **row, **more}
        return found

    def _by_key(self, keys: Sequence[str]) -> dict[str, Payload]:
        """The entry of each key: the posted one, else the first.

        An entry that takes ours back is a copy of it, key and all, but names it as its origin.
        """
        domain = [["description", "in", list(keys)], ["origin", "=", None]]
        rows = self.rpc.search(MODEL, domain, FIELDS)
        found: dict[str, Payload] = {}
        for row in sorted(rows, key=lambda row: (row["state"] != "posted", row["id"])):
            first = found.setdefault(row["description"], {**row, "twins": []})
            if row["id"] != first["id"] and row["state"] == "posted":
                first["twins"].append(row["id"])
        return found

    def _lines(self, entries: Sequence[int]) -> dict[int, list[Payload]]:
        found: dict[int, list[Payload]] = defaultdict(list)
        domain = [["move", "in", list(entries)]]
        for row in self.rpc.search(LINE, domain, LINE_FIELDS) if entries else []:
            found[row["move"]].append(row)
        return found

    def _counters(self, entries: Sequence[int]) -> dict[int, list[Payload]]:
        """Posted entries by the one they name as their origin."""
        found: dict[int, list[Payload]] = defaultdict(list)
        names = {f"{MODEL},{number}": number for number in entries}
        domain = [["origin", "in", list(names)], ["state", "=", "posted"]]
        for row in self.rpc.search(MODEL, domain, ("number", "origin")) if names else []:
            found[names[row["origin"]]].append(row)
        return found

    # Drafts

    def put(self, entries: Sequence[Payload]) -> dict[str, int | RemoteError]:
        """Create drafts; one whose key is there already is answered, not repeated."""
        unique = {entry["key"]: entry for entry in entries}
        known: dict[str, Payload] = {}
        for batch in batches(list(unique), KEY_BATCH):
            known |= self._by_key(batch)
        parties = _Parties(self.rpc, [e for key, e in unique.items() if key not in known])
        answers: dict[str, int | RemoteError] = {}
        for key, entry in unique.items():
            try:
                answers[key] = known[key]["id"] if key in known else self._create(entry, parties)
            except (Refused, ContractBroken) as fault:
                answers[key] = fault
        return answers

    def _create(self, entry: Payload, parties: "_Parties") -> int:
        """Create one draft; of twins that two made at the same time the first one stays."""
        key = entry["key"]
        values = {
            "company": entry["company"],
            "journal": entry["journal"],
            "period": self._period(entry),
            "date": date.fromisoformat(entry["date"]),
            "description": key,
            "lines": [["create", [parties.line(line) for line in entry["lines"]]]],
        }
        (made,) = self.rpc.write(f"model.{MODEL}.create", [values])
        first = int(self._by_key([key])[key]["id"])
        if first != made:
            self.rpc.write(f"model.{MODEL}.delete", [made])
        return first

    def _period(self, entry: Payload) -> int:
        """The open period of the entry's day."""
        day = date.fromisoformat(entry["date"])
        domain = [
            ["company", "=", entry["company"]],
            ["type", "=", "standard"],
            ["start_date", "<=", day],
            ["end_date", ">=", day],
        ]
        rows = self.rpc.search(PERIOD, domain, ("name", "state"))
        if not rows:
            words = f"the books have no period for {day}; create it, nothing was sent"
            raise Refused(self.rpc.system, words, code="no_period")
        if rows[0]["state"] != "open":
            words = f"period {rows[0]['name']} is {rows[0]['state']} for {day}; nothing was sent"
            raise Refused(self.rpc.system, words, code="period_closed")
        return int(rows[0]["id"])

    # Posting

    def post(self, ids: Sequence[int]) -> dict[int, RemoteError]:
        """Post drafts; answers the refusals only. The day is never moved there."""
        refusals: dict[int, RemoteError] = {}
        for number in dict.fromkeys(ids):
            try:
                self._post(number)
            except (Refused, ContractBroken) as fault:
                refusals[number] = fault
        return refusals

    def _post(self, number: int) -> None:
        entry = self._entry(number)
        if entry["state"] == "posted":
            return
        key = entry["description"]
        if self._by_key([key]).get(key, {}).get("id") != number:
            words = f"entry {number} has a twin of the same key"
            raise Refused(self.rpc.system, words, code="twin")
        try:
            self.rpc.write(f"model.{MODEL}.post", [number])
        except Refused:
            # What somebody else posted meanwhile is refused by its state, but it is done.
            if self._entry(number)["state"] != "posted":
                raise

    def _entry(self, number: int) -> Payload:
        rows = self.rpc.search(MODEL, [["id", "=", number]], ("state", "description"))
        if not rows:
            raise Missing(self.rpc.system, f"there is no entry {number}")
        return rows[0]


class _Parties:
    """The parties that lines name, and the accounts that ask for one; both read at once."""

    def __init__(self, rpc: Session, entries: Iterable[Payload]) -> None:
        self.rpc = rpc
        lines = [line for entry in entries for line in entry["lines"] if line["party"] is not None]
        codes = sorted({line["party"] for line in lines})
        self.ids: dict[str, int] = {}
        for batch in batches(codes, KEY_BATCH):
            rows = rpc.search("party.party", [["code", "in", list(batch)]], ("code",))
            self.ids |= {row["code"]: row["id"] for row in rows}
        accounts = sorted({line["account"] for line in lines})
        domain = [["id", "in", accounts]]
        rows = rpc.search("account.account", domain, ("party_required",)) if accounts else []
        self.asking = {row["id"] for row in rows if row["party_required"]}

    def line(self, line: Payload) -> Mapping[str, object]:
        """The line as it is sent: a party is refused where the account does not ask for one."""
        values = {name: value for name, value in line.items() if name != "party"}
        if line["party"] is None or line["account"] not in self.asking:
            return values
        if line["party"] not in self.ids:
            words = f"no party has the code {line['party']!r}; nothing was sent"
            raise Refused(self.rpc.system, words, code="party_unknown")
        return {**values, "party": self.ids[line["party"]]}
