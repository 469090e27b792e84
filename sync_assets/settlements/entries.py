"""Journal entries on their way to the ERP: planned as documents, sent once by our key, compared to
the cent and the day, and never changed there.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from types import ModuleType
from typing import Any

from sqlalchemy import Connection

from resources.errors import RemoteError, UnknownOutcome
from resources.store.engine import connected, one_at_a_time
from resources.store.frames import read_rows
from resources.wiring import Systems
from sync_assets.books import Books
from sync_assets.domain.journals import JournalDocument, JournalLine, SeenJournal
from sync_assets.domain.money import digits_of, rounded
from sync_assets.domain.orders import Problem, Rejected
from sync_assets.intents import CHUNK, Planned, Thing, keep_plan
from sync_assets.mappers import odoo_journals, tryton_journals
from sync_assets.writing import Answer, Manners, Outcome, Sent, send

#: All have `journal` and `seen_journal`.
MAPPERS: Mapping[str, ModuleType] = {"odoo": odoo_journals, "tryton": tryton_journals}
Say = Callable[[str], None]


def thing(kind: str) -> Thing:
    """Journal entries as a thing that is written to a kind of ERP."""
    return Thing(
        kind,
        "journal_entries",
        "journal",
        "catalog",
        subject_kind="settlement",
        ref_kind="journal",
        code="book",
    )


def erps_of(systems: Systems, kind: str) -> list[str]:
    """ERPs of a kind."""
    return [name for name, erp in systems.settings.erps.items() if erp.kind == kind]


# ---------------------------------------------------------------- planning


def plan(systems: Systems, kind: str, run_id: str | None) -> dict[str, int]:
    """Plan every entry that the ERP does not hold; answers how many of each action."""
    counts: dict[str, int] = {}
    for erp in erps_of(systems, kind):
        after = ""
        while True:
            with (
                connected(systems.engine) as connection,
                one_at_a_time(connection, f"plan journals {erp}"),
            ):
                rows = read_rows(
                    connection, _UNPLANNED.format(kind=kind), erp=erp, after=after, limit=CHUNK
                )
                if not rows:
                    break
                after = rows[-1]["entry_ref"]
                found = [_planned(one) for one in documents(connection, rows)]
                done = keep_plan(connection, thing(kind), erp, found, systems.now(), run_id)
            for action, count in done.items():
                counts[action] = counts.get(action, 0) + count
    return counts


_UNPLANNED = """
select e.* from core.journal_entries e
left join receipt.{kind}__journal_entries r on r.system = e.erp and r.key = e.entry_ref
left join plan.{kind}__journal_entries p on p.system = e.erp and p.key = e.entry_ref
where e.erp = :erp and r.key is null and p.key is null and e.entry_ref > :after
order by e.entry_ref limit :limit
"""


def documents(
    connection: Connection, entries: Sequence[Mapping[str, Any]]
) -> Iterable[JournalDocument]:
    """Entries as the ERP shall hold them."""
    lines: dict[str, list[JournalLine]] = {}
    for row in read_rows(
        connection,
        "select * from core.journal_lines where entry_ref = any(:refs) order by entry_ref, line_no",
        refs=[one["entry_ref"] for one in entries],
    ):
        lines.setdefault(row["entry_ref"], []).append(_line(row))
    for one in entries:
        yield JournalDocument(
            key=one["entry_ref"],
            company=one["company"],
            journal=one["journal"],
            on=one["posted_on"],
            company_currency=one["company_currency"],
            reference=one["batch_ref"],
            description=one["description"],
            lines=tuple(lines.get(one["entry_ref"], ())),
        )


def _line(row: Mapping[str, Any]) -> JournalLine:
    return JournalLine(
        account=row["account"],
        amount=rounded(row["amount"], digits_of(row["currency"])),
        currency=row["currency"],
        company_amount=row["company_amount"].normalize() + 0,
        description=" ".join(part for part in (row["description"], row["store"]) if part),
    )


def _planned(document: JournalDocument) -> Planned:
    wanted = document.model_dump_json()
    return Planned(
        key=document.key,
        order_ref=None,
        action="create",
        reason=f"posted on {document.on}",
        wanted=wanted,
        wanted_hash=hashlib.sha256(wanted.encode()).hexdigest()[:32],
        core_version=0,
        amount=sum((max(line.company_amount, Decimal()) for line in document.lines), Decimal()),
        currency=document.company_currency,
    )


# ---------------------------------------------------------------- sending


def post(systems: Systems, kind: str, erp: str, run_id: str | None, say: Say) -> Sent:
    """Have an ERP hold every entry, once."""
    account = systems.settings.erps[erp]
    with systems.erp(erp) as client:
        hand = EntryHand(Books(systems, kind, erp, client))
        manners = Manners(account.batch, account.retry_hours)
        return send(systems, thing(kind), erp, manners, hand, run_id, say)


@dataclass
class EntryHand:
    """Entries: drafts by our key, compared line by line, posted, and read back with their day."""

    books: Books

    def __post_init__(self) -> None:
        self.mapper = MAPPERS[self.books.kind]

    def is_there(self) -> bool:
        """Whether the ERP answers at all."""
        return self.books.is_there()

    def attempt(self, outcomes: Mapping[str, Outcome]) -> None:
        """Look up, draft what is not there, compare, post, and look again."""
        held = self._look_up(outcomes.values())
        for key, outcome in outcomes.items():
            outcome.begun = outcome.begun or key in held
        absent = [o for key, o in outcomes.items() if o.is_open and _lacks_lines(held.get(key))]
        self._draft(absent)
        fresh = self._look_up(one for one in absent if one.is_open)
        self._post([one for one in outcomes.values() if one.is_open], {**held, **fresh})

    def _look_up(self, outcomes: Iterable[Outcome]) -> dict[str, SeenJournal]:
        wanted = {outcome.key: outcome for outcome in outcomes}
        found = self.books.client.journals(list(wanted)) if wanted else {}
        return {
            key: seen
            for key, payload in found.items()
            if (seen := self._seen(wanted[key], payload)) is not None
        }

    def _seen(self, outcome: Outcome, payload: Mapping[str, Any]) -> SeenJournal | None:
        try:
            seen: SeenJournal = self.mapper.seen_journal(payload)
        except Rejected as refusal:
            outcome.problem = _ours(refusal)
            return None
        return seen

    def _draft(self, outcomes: Sequence[Outcome]) -> None:
        payloads = []
        for outcome in outcomes:
            try:
                payloads.append(self.mapper.journal(_document(outcome), self.books.references))
            except Rejected as refusal:
                outcome.problem = _ours(refusal)
        if not payloads:
            return
        for outcome in outcomes:
            outcome.begun = outcome.begun or outcome.is_open
        answers = self.books.client.put_journals(payloads)
        for outcome in outcomes:
            answer = answers.get(outcome.key)
            if isinstance(answer, RemoteError):
                outcome.error = answer

    def _post(self, outcomes: Sequence[Outcome], seen: Mapping[str, SeenJournal]) -> None:
        ready: dict[int, Outcome] = {}
        for outcome in outcomes:
            entry = seen.get(outcome.key)
            if entry is None:
                continue
            outcome.problem = self._differs(outcome, entry)
            if not outcome.is_open:
                continue
            if entry.state == "draft":
                ready[entry.remote_id] = outcome
            else:
                self._booked(outcome, entry)
        refusals = self.books.client.post_journals(list(ready)) if ready else {}
        after = self._look_up(ready.values())
        for remote_id, outcome in ready.items():
            entry = after.get(outcome.key)
            if entry is not None and entry.state in ("posted", "reversed"):
                self._booked(outcome, entry)
            elif outcome.is_open:
                said = f"posting {outcome.key} left it a draft"
                outcome.error = refusals.get(remote_id) or UnknownOutcome(self.books.erp, said)

    def _differs(self, outcome: Outcome, entry: SeenJournal) -> Problem | None:
        """Why an entry that is there is not ours."""
        erp = self.books.erp
        if entry.twins:
            said = f"{erp} holds it more than once; a person must cancel all but one"
            return Problem("book.doubled", "entry", said)
        if entry.state == "cancelled":
            said = f"{erp} holds it as cancelled; a person ended it there"
            return Problem("book.cancelled", "entry", said)
        off = sorted(_differences(_document(outcome), entry))
        if off:
            said = f"{erp} holds it otherwise: {'; '.join(off[:5])}"
            return Problem("book.amount_differs", "entry", said)
        return None

    def _booked(self, outcome: Outcome, entry: SeenJournal) -> None:
        document = _document(outcome)
        if entry.booked_on is not None and entry.booked_on != document.on:
            outcome.problem = Problem(
                "book.other_day",
                "date",
                f"{self.books.erp} booked it on {entry.booked_on}, not on {document.on}: its "
                "period is locked there; take it back there, or open the period",
            )
            return
        outcome.state = "done"
        outcome.answer = Answer(
            remote_id=str(entry.remote_id),
            number=entry.number,
            state=entry.state,
            amount=entry.total_amount,
            payload={"booked_on": entry.booked_on, "lines": entry.lines},
        )


def _lacks_lines(entry: SeenJournal | None) -> bool:
    """Whether it is not there, or is a head alone: a run died before it wrote the lines."""
    return entry is None or (entry.state == "draft" and not entry.lines)


def _differences(document: JournalDocument, entry: SeenJournal) -> Iterable[str]:
    """Accounts that do not come to what we posted."""
    wanted: dict[tuple[str, str], list[Any]] = {}
    for line in document.lines:
        sums = wanted.setdefault((line.account, line.currency), [0, 0])
        sums[0] += line.amount
        sums[1] += line.company_amount
    for key in wanted.keys() | entry.totals.keys():
        there = entry.totals.get(key)
        ours = wanted.get(key, [0, 0])
        theirs = [there.amount, there.company_amount] if there else [0, 0]
        if ours != theirs:
            yield f"account {key[0]} {key[1]}: {theirs[0]}, not {ours[0]}"


def _document(outcome: Outcome) -> JournalDocument:
    return JournalDocument.model_validate(outcome.write.payload)


def _ours(refusal: Rejected) -> Problem:
    first = refusal.problems[0]
    return replace(first, code=f"book.{first.code.partition('.')[2]}")
