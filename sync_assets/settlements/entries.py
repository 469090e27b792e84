"""Journal entries on their way to the ERP: planned as documents, sent once by our key, compared to
the cent and the day, and never changed there.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from types import ModuleType
from typing import Any

from sqlalchemy import Connection

from resources.errors import RemoteError
from resources.store.engine import connected, one_at_a_time
from resources.store.frames import read_rows
from resources.systems.roles import Payload
from resources.wiring import Systems
from sync_assets.books import Books
from sync_assets.domain.journals import JournalDocument, JournalLine, SeenJournal
from sync_assets.domain.money import digits_of, rounded
from sync_assets.domain.orders import Problem
from sync_assets.drafts import DraftHand, noted
from sync_assets.intents import CHUNK, Planned, Thing, keep_plan
from sync_assets.mappers import odoo_journals, tryton_journals
from sync_assets.writing import Manners, Outcome, Sent, send

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


# ---------------------------------------------------------------- planning


def plan(systems: Systems, kind: str, run_id: str | None) -> dict[str, int]:
    """Plan every entry that the ERP does not hold; answers how many of each action."""
    counts: dict[str, int] = {}
    for erp in systems.settings.erps_of(kind):
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


class EntryHand(DraftHand[SeenJournal]):
    """Entries, compared line by line, and read back with their day."""

    part = "entry"

    def __init__(self, books: Books) -> None:
        super().__init__(books)
        self.mapper = MAPPERS[books.kind]

    def held(self, keys: list[str]) -> Mapping[str, Payload]:
        """Entries by our keys."""
        return self.books.client.journals(keys)

    def seen(self, payload: Payload) -> SeenJournal:
        """An entry as we know entries."""
        seen: SeenJournal = self.mapper.seen_journal(payload)
        return seen

    def wanted(self, outcome: Outcome) -> Payload:
        """The entry as the client takes it."""
        entry: Payload = self.mapper.journal(_document(outcome), self.books.references)
        return entry

    def put(self, documents: Sequence[Payload]) -> Mapping[str, int | RemoteError]:
        """Draft entries."""
        return self.books.client.put_journals(documents)

    def post(self, drafts: Sequence[int]) -> Mapping[int, RemoteError]:
        """Post entries."""
        return self.books.client.post_journals(drafts)

    def is_unfinished(self, seen: SeenJournal | None) -> bool:
        """Whether it is not there, or is a head alone: a run died before it wrote the lines."""
        return super().is_unfinished(seen) and not (seen and seen.lines)

    def differs(self, outcome: Outcome, seen: SeenJournal) -> Problem | None:
        """Accounts that do not come to what was to be posted."""
        off = sorted(_differences(_document(outcome), seen))
        if not off:
            return None
        said = f"{self.books.erp} holds it otherwise: {'; '.join(off[:5])}"
        return Problem("book.amount_differs", self.part, said)

    def booked(self, outcome: Outcome, seen: SeenJournal) -> None:
        """Note how it stands there; one under another day is told, not taken as done."""
        on = _document(outcome).on
        if seen.booked_on is not None and seen.booked_on != on:
            outcome.problem = Problem(
                "book.other_day",
                "date",
                f"{self.books.erp} booked it on {seen.booked_on}, not on {on}: its period is "
                "locked there; take it back there, or open the period",
            )
            return
        noted(outcome, seen, {"booked_on": seen.booked_on, "lines": seen.lines})


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
