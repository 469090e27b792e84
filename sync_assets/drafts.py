"""Documents that stand in an ERP's books as drafts before they are posted: credit memos and journal
entries are written by one hand.

Every batch looks up what is there by our key first, so a lost answer, a killed worker and a
repeated run end in the same place.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from resources.errors import RemoteError, UnknownOutcome
from resources.systems.roles import Payload
from sync_assets.books import Books
from sync_assets.domain.orders import Problem, Rejected
from sync_assets.writing import Answer, Outcome


class Seen(Protocol):
    """What the ERP holds of a document of ours."""

    @property
    def remote_id(self) -> int:
        """Its id there."""

    @property
    def number(self) -> str | None:
        """Its number, once it is posted."""

    @property
    def state(self) -> str:
        """draft, posted, cancelled, or reversed: taken back by another entry."""

    @property
    def total_amount(self) -> Decimal:
        """The money it is about."""

    @property
    def twins(self) -> int:
        """How many further documents of our key there are."""


S = TypeVar("S", bound=Seen)


@dataclass
class DraftHand(ABC, Generic[S]):
    """Drafts by our key, compared to what is wanted, then posted."""

    books: Books
    #: What the document is, in problems.
    part: ClassVar[str]

    def is_there(self) -> bool:
        """Whether the ERP answers at all."""
        return self.books.is_there()

    # What a kind of document says of itself

    @abstractmethod
    def held(self, keys: list[str]) -> Mapping[str, Payload]:
        """What the ERP holds by our keys."""

    @abstractmethod
    def seen(self, payload: Payload) -> S:
        """What that means; raises Rejected."""

    @abstractmethod
    def wanted(self, outcome: Outcome) -> Payload:
        """The document as the ERP's client takes it; raises Rejected."""

    @abstractmethod
    def put(self, documents: Sequence[Payload]) -> Mapping[str, int | RemoteError]:
        """Draft documents, each once by its key."""

    @abstractmethod
    def post(self, drafts: Sequence[int]) -> Mapping[int, RemoteError]:
        """Post drafts; answers the refusals."""

    @abstractmethod
    def differs(self, outcome: Outcome, seen: S) -> Problem | None:
        """Why a document that is there is not ours."""

    @abstractmethod
    def booked(self, outcome: Outcome, seen: S) -> None:
        """Note with the write how its document stands in the books."""

    def unwanted(self, absent: Sequence[str]) -> set[str]:
        """Those of the keys that are not wanted any more."""
        return set()

    def is_unfinished(self, seen: S | None) -> bool:
        """Whether a draft has to be put: a run may have died before it wrote its lines."""
        return seen is None or seen.state == "draft"

    # How all are written

    def attempt(self, outcomes: Mapping[str, Outcome]) -> None:
        """Look up, draft what is not there, compare, post, and look again."""
        held = self.look_up(outcomes.values())
        for key, outcome in outcomes.items():
            outcome.begun = outcome.begun or key in held
        for key in self.unwanted([key for key in outcomes if key not in held]):
            outcomes[key].state = "gone"
        unfinished = [
            one
            for key, one in outcomes.items()
            if one.is_open and self.is_unfinished(held.get(key))
        ]
        self._draft(unfinished)
        fresh = self.look_up(one for one in unfinished if one.is_open)
        self._post([one for one in outcomes.values() if one.is_open], {**held, **fresh})

    def look_up(self, outcomes: Iterable[Outcome]) -> dict[str, S]:
        """What the ERP holds of these; one that cannot be read is set aside with its reason."""
        wanted = {outcome.key: outcome for outcome in outcomes}
        found = self.held(list(wanted)) if wanted else {}
        seen: dict[str, S] = {}
        for key, payload in found.items():
            with set_aside(wanted[key]):
                seen[key] = self.seen(payload)
        return seen

    def _draft(self, outcomes: Sequence[Outcome]) -> None:
        documents = []
        for outcome in outcomes:
            with set_aside(outcome):
                documents.append(self.wanted(outcome))
        if not documents:
            return
        for outcome in outcomes:
            outcome.begun = outcome.begun or outcome.is_open
        answers = self.put(documents)
        for outcome in outcomes:
            answer = answers.get(outcome.key)
            if isinstance(answer, RemoteError):
                outcome.error = answer

    def _post(self, outcomes: Sequence[Outcome], seen: Mapping[str, S]) -> None:
        ready: dict[int, Outcome] = {}
        for outcome in outcomes:
            there = seen.get(outcome.key)
            if there is None:
                continue
            outcome.problem = self._ended(there) or self.differs(outcome, there)
            if not outcome.is_open:
                continue
            if there.state == "draft":
                ready[there.remote_id] = outcome
            else:
                self.booked(outcome, there)
        refusals = self.post(list(ready)) if ready else {}
        after = self.look_up(ready.values())
        for remote_id, outcome in ready.items():
            there = after.get(outcome.key)
            if there is not None and there.state in ("posted", "reversed"):
                self.booked(outcome, there)
            elif outcome.is_open:
                said = f"posting {outcome.key} left it a draft"
                outcome.error = refusals.get(remote_id) or UnknownOutcome(self.books.erp, said)

    def _ended(self, there: S) -> Problem | None:
        erp = self.books.erp
        if there.twins:
            said = f"{erp} holds it more than once; a person must cancel all but one"
            return Problem("book.doubled", self.part, said)
        if there.state == "cancelled":
            said = f"{erp} holds it as cancelled; a person ended it there"
            return Problem("book.cancelled", self.part, said)
        return None


def noted(outcome: Outcome, seen: Seen, payload: Mapping[str, Any]) -> None:
    """Mark a write as done, with what the ERP shows of it."""
    outcome.state = "done"
    outcome.answer = Answer(
        remote_id=str(seen.remote_id),
        number=seen.number,
        state=seen.state,
        amount=seen.total_amount,
        payload=payload,
    )


@contextmanager
def set_aside(outcome: Outcome, code: str = "book") -> Iterator[None]:
    """Keep what a mapper rejects with its write, under a code of this subject's."""
    try:
        yield
    except Rejected as refusal:
        first = refusal.problems[0]
        outcome.problem = replace(first, code=f"{code}.{first.code.partition('.')[2]}")
