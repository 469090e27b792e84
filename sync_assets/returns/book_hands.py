"""How an ERP is told of credit memos, of those to be taken back, and of goods that came back.

Every batch looks up what is there by our key first, so a lost answer, a killed worker and a
repeated run end in the same place.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from types import ModuleType
from typing import Any

from resources.errors import RemoteError, UnknownOutcome
from resources.store.engine import connected
from resources.store.frames import read_rows
from sync_assets.books import Books
from sync_assets.domain.crediting import CreditReversal
from sync_assets.domain.money import digits_of, rounded
from sync_assets.domain.orders import Problem, Rejected
from sync_assets.domain.planning import tolerance
from sync_assets.domain.returns import CreditMemo, Restock, SeenMemo, SeenRestock
from sync_assets.mappers import odoo_memos, tryton_memos
from sync_assets.mappers.logistics import ERP_LOGISTICS
from sync_assets.routes import route_of
from sync_assets.writing import Answer, Outcome

#: All have `credit_memo`, `rounding_line` and `seen_memo`.
MEMO_MAPPERS: Mapping[str, ModuleType] = {"odoo": odoo_memos, "tryton": tryton_memos}

GOODS = "delivery"


@contextmanager
def _set_aside(outcome: Outcome, code: str = "book") -> Iterator[None]:
    """Keep what a mapper rejects with its write, under a code of this subject's."""
    try:
        yield
    except Rejected as refusal:
        first = refusal.problems[0]
        outcome.problem = replace(first, code=f"{code}.{first.code.partition('.')[2]}")


# ---------------------------------------------------------------- credit memos


@dataclass
class MemoHand:
    """Credit memos: drafts by our key, compared to the cent, then posted."""

    books: Books

    def __post_init__(self) -> None:
        self.mapper = MEMO_MAPPERS[self.books.kind]

    def is_there(self) -> bool:
        """Whether the ERP answers at all."""
        return self.books.is_there()

    def attempt(self, outcomes: Mapping[str, Outcome]) -> None:
        """Look up, draft what is not there, compare, post, and read back."""
        held = self._look_up(outcomes.values())
        for key, outcome in outcomes.items():
            outcome.begun = outcome.begun or key in held
        absent = [key for key in outcomes if key not in held]
        for key in self.books.unwanted("credit_memos", absent):
            outcomes[key].state = "gone"
        unfinished = [
            one
            for key, one in outcomes.items()
            if one.is_open and (key not in held or held[key].state == "draft")
        ]
        self._draft(unfinished)
        fresh = self._look_up(one for one in unfinished if one.is_open)
        self._post([one for one in outcomes.values() if one.is_open], {**held, **fresh})

    def _look_up(self, outcomes: Iterable[Outcome]) -> dict[str, SeenMemo]:
        wanted = {outcome.key: outcome for outcome in outcomes}
        found = self.books.client.credit_memos(list(wanted)) if wanted else {}
        seen: dict[str, SeenMemo] = {}
        for key, payload in found.items():
            with _set_aside(wanted[key]):
                seen[key] = self.mapper.seen_memo(payload)
        return seen

    def _draft(self, outcomes: list[Outcome]) -> None:
        payloads = []
        for outcome in outcomes:
            with _set_aside(outcome):
                payloads.append(self.mapper.credit_memo(_memo(outcome), self.books.references))
        if not payloads:
            return
        for outcome in outcomes:
            outcome.begun = outcome.begun or outcome.is_open
        answers = self.books.client.put_credit_memos(payloads)
        for outcome in outcomes:
            answer = answers.get(outcome.key)
            if isinstance(answer, RemoteError):
                outcome.error = answer

    def _post(self, outcomes: list[Outcome], seen: Mapping[str, SeenMemo]) -> None:
        ready: dict[int, Outcome] = {}
        for outcome in outcomes:
            memo = seen.get(outcome.key)
            if memo is None:
                continue
            outcome.problem = self._doubled(memo) or self._compared(outcome, memo)
            if not outcome.is_open:
                continue
            if memo.state == "draft":
                ready[memo.remote_id] = outcome
            elif memo.state == "cancelled":
                said = f"{self.books.erp} holds it as cancelled; a person ended it there"
                outcome.problem = Problem("book.cancelled", "memo", said)
            else:
                _done(outcome, memo)
        refusals = self.books.client.post_credit_memos(list(ready)) if ready else {}
        after = self._look_up(ready.values())
        for remote_id, outcome in ready.items():
            memo = after.get(outcome.key)
            if memo is not None and memo.state in ("posted", "reversed"):
                _done(outcome, memo)
            elif outcome.is_open:
                said = f"posting {outcome.key} left it a draft"
                outcome.error = refusals.get(remote_id) or UnknownOutcome(self.books.erp, said)

    def _doubled(self, memo: SeenMemo) -> Problem | None:
        if not memo.payload.get("twins"):
            return None
        said = f"{self.books.erp} holds it more than once; a person must cancel all but one"
        return Problem("book.doubled", "memo", said)

    def _compared(self, outcome: Outcome, memo: SeenMemo) -> Problem | None:
        """Add a rounding line for a difference of cents; anything more waits for finance."""
        document = _memo(outcome)
        off = self._off(document, memo)
        if not off or memo.state in ("cancelled", "reversed"):
            return None
        route = route_of(document.store, self.books.systems.settings.stores[document.store])
        if memo.state == "draft" and abs(off) <= tolerance(route, len(document.lines)):
            item = self._rounding_item(route.rounding_item)
            if item is not None:
                line = self.mapper.rounding_line(document, off, item)
                self.books.client.add_credit_memo_line(memo.remote_id, line)
                again = self._look_up([outcome]).get(outcome.key, memo)
                if not (off := self._off(document, again)):
                    return None
        return Problem(
            "book.amount_differs",
            "total",
            f"the refund is {document.total_amount}, {self.books.erp} computes "
            f"{document.total_amount - off} {document.currency}; it is not posted",
        )

    def _off(self, document: CreditMemo, memo: SeenMemo) -> Decimal:
        digits = digits_of(document.currency)
        return rounded(document.total_amount - memo.total_amount, digits)

    def _rounding_item(self, code: str) -> int | None:
        with connected(self.books.systems.engine) as connection:
            rows = read_rows(
                connection,
                "select item_id from core.product_refs "
                "where system = :erp and sku = :sku and is_active",
                erp=self.books.erp,
                sku=code,
            )
        return int(rows[0]["item_id"]) if len(rows) == 1 else None


def _memo(outcome: Outcome) -> CreditMemo:
    return CreditMemo.model_validate(outcome.write.payload)


def _done(outcome: Outcome, memo: SeenMemo) -> None:
    outcome.state = "done"
    outcome.answer = Answer(
        remote_id=str(memo.remote_id),
        number=memo.number,
        state=memo.state,
        amount=memo.total_amount,
        payload={"booked_on": memo.booked_on, "journal": memo.journal, "tax": memo.tax_amount},
    )


# ---------------------------------------------------------------- taking them back


@dataclass
class ReversalHand:
    """Counter entries of posted memos; the client makes no second one."""

    books: Books

    def is_there(self) -> bool:
        """Whether the ERP answers at all."""
        return self.books.is_there()

    def attempt(self, outcomes: Mapping[str, Outcome]) -> None:
        """Take each memo back under a key of its own, by the day it shall stand under."""
        fresh = [key for key, one in outcomes.items() if not one.write.begun]
        for key in self.books.unwanted("credit_reversals", fresh):
            outcomes[key].state = "gone"
        by_day: dict[date, dict[int, Outcome]] = {}
        for outcome in (one for one in outcomes.values() if one.is_open):
            document = CreditReversal.model_validate(outcome.write.payload)
            by_day.setdefault(document.on, {})[document.memo_id] = outcome
        for day, wanted in by_day.items():
            self._reverse(day, wanted)

    def _reverse(self, day: date, wanted: Mapping[int, Outcome]) -> None:
        keys = {memo: f"{outcome.key}:reversal" for memo, outcome in wanted.items()}
        for outcome in wanted.values():
            outcome.begun = True
        answers = self.books.client.reverse_credit_memos(keys, day)
        for memo, outcome in wanted.items():
            answer = answers.get(memo)
            if isinstance(answer, RemoteError):
                outcome.error = answer
            elif answer is not None:
                document = CreditReversal.model_validate(outcome.write.payload)
                outcome.state = "done"
                outcome.answer = Answer(
                    remote_id=str(answer), state="posted", amount=document.total_amount
                )


# ---------------------------------------------------------------- goods


@dataclass
class RestockHand:
    """Goods that came back, booked once: the ERP's client takes over what others booked."""

    books: Books

    def __post_init__(self) -> None:
        self.mapper = ERP_LOGISTICS[self.books.kind]

    def is_there(self) -> bool:
        """Whether the ERP answers at all."""
        return self.books.is_there()

    def attempt(self, outcomes: Mapping[str, Outcome]) -> None:
        """Book one return of each order at a time: they share what left."""
        waiting = list(outcomes.values())
        while waiting:
            by_order = {_restock(one).order_id: one for one in reversed(waiting)}
            self._book({one.key: one for one in by_order.values()})
            waiting = [one for one in waiting if one not in by_order.values()]

    def _book(self, outcomes: Mapping[str, Outcome]) -> None:
        payloads = {}
        for key, outcome in outcomes.items():
            with _set_aside(outcome, GOODS):
                payloads[key] = self.mapper.restock(_restock(outcome))
        before = self._look_up(payloads, outcomes)
        sound = {key: one for key, one in payloads.items() if outcomes[key].is_open}
        if not sound:
            return
        known = self._booked_before(outcomes)
        begun = {key for key in sound if outcomes[key].begun}
        for key in sound:
            outcomes[key].begun = True
        refusals = self.books.client.put_restocks(list(sound.values()))
        after = self._look_up(sound, outcomes)
        for key in sound:
            outcome, seen = outcomes[key], after.get(key)
            if key in refusals:
                outcome.error = refusals[key]
            elif seen is not None and seen.state == "done":
                told = before.get(key)
                others = _others(told, known.get(_restock(outcome).order_ref, {}))
                _restocked(outcome, seen, {} if key in begun else others)
            elif seen is not None and seen.state == "cancelled":
                said = f"{self.books.erp} holds it as cancelled; a person ended it there"
                outcome.problem = Problem("delivery.cancelled", "restock", said)

    def _look_up(
        self, payloads: Mapping[str, Any], outcomes: Mapping[str, Outcome]
    ) -> dict[str, SeenRestock]:
        found = self.books.client.restocks(list(payloads.values())) if payloads else {}
        seen: dict[str, SeenRestock] = {}
        for key, payload in found.items():
            with _set_aside(outcomes[key], GOODS):
                seen[key] = self.mapper.seen_restock(payload)
        return seen

    def _booked_before(self, outcomes: Mapping[str, Outcome]) -> dict[str, dict[str, int]]:
        """Units by order and SKU that returns of ours account for already."""
        orders = sorted({_restock(one).order_ref for one in outcomes.values()})
        with connected(self.books.systems.engine) as connection:
            rows = read_rows(
                connection,
                f"""
                select b.order_ref, u.sku, sum((u.said ->> 'units')::bigint)::bigint as units
                from receipt.{self.books.kind}__restocks b,
                    jsonb_each(b.payload -> 'booked') as u (sku, said)
                where b.system = :erp and b.outcome = 'accepted' and b.order_ref = any(:orders)
                group by 1, 2
                """,  # noqa: S608
                erp=self.books.erp,
                orders=orders,
            )
        found: dict[str, dict[str, int]] = {}
        for row in rows:
            found.setdefault(row["order_ref"], {})[row["sku"]] = row["units"]
        return found


def _restock(outcome: Outcome) -> Restock:
    return Restock.model_validate(outcome.write.payload)


def _others(told: SeenRestock | None, known: Mapping[str, int]) -> dict[str, int]:
    """Units that somebody else had booked before us and that no return of ours accounts for."""
    units = told.units if told is not None else {}
    return {sku: count - known.get(sku, 0) for sku, count in units.items()}


def _restocked(outcome: Outcome, seen: SeenRestock, others: Mapping[str, int]) -> None:
    """Note what is booked by SKU, and who did it: somebody, if all of it was there before."""
    units: dict[str, int] = {}
    for line in _restock(outcome).lines:
        count = line.restock_units + line.refurbish_units + line.write_off_units
        units[line.sku] = units.get(line.sku, 0) + count
    booked = {
        sku: {
            "units": count,
            "by": "somebody" if others.get(sku, 0) >= count else "pipeline",
        }
        for sku, count in units.items()
        if count
    }
    outcome.state = "done"
    outcome.answer = Answer(
        remote_id=str(seen.remote_id),
        number=seen.number,
        state=seen.state,
        payload={"booked": booked},
    )
