"""What credit memos and journal entries of an Odoo database have in common: both are
`account.move`, created once by our keys as drafts, and posted.

The head comes through `load()`, whose external id is the only guard against a twin. Lines are
written into the draft in one call that replaces what it has, so that the same call arriving twice
adds none; `load()` of lines inside a head would append them again.
"""

from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import ClassVar

from resources.errors import Missing, Refused, RemoteError, UnknownOutcome
from resources.systems.odoo_kits import many2one
from resources.systems.odoo_rpc import Row, Session, batches
from resources.systems.roles import Payload

MOVE, LINE = "account.move", "account.move.line"
KEY_BATCH, LOAD_BATCH, POST_BATCH = 200, 50, 20


class Drafts(ABC):
    """Moves of one type, through one session; `module` is that of our external ids."""

    #: One of them and several, in words.
    name: ClassVar[str]
    names: ClassVar[str]
    move_type: ClassVar[str]
    #: The field that shows the lines of a draft.
    line_ids: ClassVar[str]
    fields: ClassVar[Sequence[str]]

    def __init__(self, session: Session, module: str) -> None:
        self.session, self.module = session, module

    # What is there

    def held(self, keys: Sequence[str]) -> dict[str, Payload]:
        """Moves by our key with `reversals`, the entries that take them back; further live ones of
        a key are its `twins`.
        """
        found: dict[str, list[Payload]] = {}
        for batch in batches(dict.fromkeys(keys), KEY_BATCH):
            domain = [["ref", "in", batch], ["move_type", "=", self.move_type]]
            rows = self.session.rows(MOVE, domain, list(self.fields), order="id")
            counters = self._counters([row["id"] for row in rows])
            for row in self._complete(rows):
                taken_back = {**row, "reversals": counters[row["id"]]}
                found.setdefault(row["ref"], []).append(taken_back)
        return {key: _first_alive(rows) for key, rows in found.items()}

    def _complete(self, rows: Sequence[Payload]) -> Sequence[Payload]:
        """Moves with what has to be read elsewhere."""
        return rows

    def _counters(self, moves: Sequence[int]) -> dict[int, list[Payload]]:
        """Entries that are not cancelled, by the move they take back."""
        found: dict[int, list[Payload]] = defaultdict(list)
        if moves:
            domain = [["reversed_entry_id", "in", list(moves)], ["state", "!=", "cancel"]]
            fields = ["name", "ref", "state", "date", "reversed_entry_id"]
            for row in self.session.rows(MOVE, domain, fields, order="id"):
                found[many2one(row["reversed_entry_id"])].append(row)
        return found

    # Creating

    def put(self, documents: Sequence[Payload]) -> dict[str, int | RemoteError]:
        """Create drafts by our keys, heads first; what left the draft is not touched."""
        answers: dict[str, int | RemoteError] = {}
        unique = {document["key"]: document for document in documents}
        for batch in batches(unique.values(), LOAD_BATCH):
            answers |= self._put({document["key"]: document for document in batch})
        return answers

    @abstractmethod
    def _put(self, documents: Mapping[str, Payload]) -> dict[str, int | RemoteError]:
        """Create one batch, each with its lines."""

    def _load(self, heads: Sequence[Row]) -> dict[str, int | RemoteError]:
        loaded = self.session.load(MOVE, heads) if heads else {}
        return {k: ids[0] if isinstance(ids, list) else ids for k, ids in loaded.items()}

    def _empty_drafts(self, answers: Mapping[str, int | RemoteError]) -> dict[str, int]:
        """Drafts that have no line yet, by key."""
        keys = {id_: key for key, id_ in answers.items() if isinstance(id_, int)}
        states = self._states(keys)
        return {
            keys[id_]: id_
            for id_, row in states.items()
            if row["state"] == "draft" and not row[self.line_ids]
        }

    def _fill(self, move: int, lines: Sequence[Payload]) -> None:
        """Have a draft hold these lines and no others."""
        values = {self.line_ids: [[5, 0, 0], *([0, 0, line] for line in lines)]}
        self.session.write(MOVE, "write", [[move], values])

    def _doubled(self) -> Refused:
        text = f"several {self.names} carry this reference; a person must cancel all but one"
        return Refused(self.session.system, text, code="doubled")

    # Posting

    def post(self, ids: Sequence[int]) -> dict[int, RemoteError]:
        """Post drafts; answers the refusals only. One that is posted stays so."""
        refused: dict[int, RemoteError] = {}
        for batch in batches(dict.fromkeys(ids), POST_BATCH):
            states = self._states(batch)
            refused |= {id_: self._gone(id_) for id_ in batch if id_ not in states}
            refused |= self._post_all(
                {id_: row for id_, row in states.items() if row["state"] != "posted"}
            )
        return refused

    def _post_all(self, waiting: Mapping[int, Payload]) -> dict[int, RemoteError]:
        """Post drafts that are there, each with its state; answers the refusals only."""
        return self._post(list(waiting))

    def _post(self, ids: list[int]) -> dict[int, RemoteError]:
        """Post all at once, then believe the states; a refusal is looked for one by one."""
        refusal: Refused | None = None
        if not ids:
            return {}
        try:
            self.session.write(MOVE, "action_post", [ids])
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

    def _states(self, ids: Collection[int], more: Sequence[str] = ()) -> dict[int, Payload]:
        if not ids:
            return {}
        fields = ["state", "date", self.line_ids, *more]
        rows = self.session.rows(MOVE, [["id", "in", list(ids)]], fields, order="id")
        return {row["id"]: row for row in rows}

    def _gone(self, move: int) -> Missing:
        return Missing(self.session.system, f"{self.name} {move} is not there")

    def _unmoved(self) -> UnknownOutcome:
        # A replica may be behind: that it stands still is no proof that it was refused.
        text = "the ERP answered yes but the entry is not posted"
        return UnknownOutcome(self.session.system, text, code="unmoved")


def _first_alive(rows: list[Payload]) -> Payload:
    """The oldest that is not cancelled with the others as its twins, else the oldest."""
    alive = [row for row in rows if row["state"] != "cancel"]
    first, *twins = alive or rows[:1]
    return {**first, "twins": twins} if twins else first
