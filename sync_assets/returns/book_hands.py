"""How an ERP is told of credit memos, of those to be taken back, and of goods that came back.

Every batch looks up what is there by our key first, so a lost answer, a killed worker and a
repeated run end in the same place.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from types import ModuleType
from typing import Any

from resources.errors import RemoteError
from resources.store.engine import connected
from resources.store.frames import read_rows
from resources.systems.roles import Payload
from sync_assets.books import Books
from sync_assets.domain.crediting import CreditReversal
from sync_assets.domain.money import digits_of, rounded
from sync_assets.domain.orders import Problem
from sync_assets.domain.planning import tolerance
from sync_assets.domain.returns import CreditMemo, Restock, SeenMemo, SeenRestock
from sync_assets.drafts import DraftHand, noted, set_aside
from sync_assets.mappers import odoo_memos, tryton_memos
from sync_assets.mappers.logistics import ERP_LOGISTICS
from sync_assets.routes import route_of
from sync_assets.writing import Answer, Outcome

#: All have `credit_memo`, `rounding_line` and `seen_memo`.
MEMO_MAPPERS: Mapping[str, ModuleType] = {"odoo": odoo_memos, "tryton": tryton_memos}

GOODS = "delivery"


# ---------------------------------------------------------------- credit memos


class MemoHand(DraftHand[SeenMemo]):
    """Credit memos, compared to the cent."""

    part = "memo"

    def __init__(self, books: Books) -> None:
        super().__init__(books)
        self.mapper = MEMO_MAPPERS[books.kind]

    def held(self, keys: list[str]) -> Mapping[str, Payload]:
        """Memos by our keys."""
        return self.books.client.credit_memos(keys)

    def seen(self, payload: Payload) -> SeenMemo:
        """A memo as we know memos."""
        seen: SeenMemo = self.mapper.seen_memo(payload)
        return seen

    def wanted(self, outcome: Outcome) -> Payload:
        """The memo as the client takes it."""
        memo: Payload = self.mapper.credit_memo(_memo(outcome), self.books.references)
        return memo

    def put(self, documents: Sequence[Payload]) -> Mapping[str, int | RemoteError]:
        """Draft memos."""
        return self.books.client.put_credit_memos(documents)

    def post(self, drafts: Sequence[int]) -> Mapping[int, RemoteError]:
        """Post memos."""
        return self.books.client.post_credit_memos(drafts)

    def unwanted(self, absent: Sequence[str]) -> set[str]:
        """Memos that the plan no longer has: their refunds were taken back meanwhile."""
        return self.books.unwanted("credit_memos", absent)

    def differs(self, outcome: Outcome, seen: SeenMemo) -> Problem | None:
        """Add a rounding line for a difference of cents; anything more waits for finance."""
        document = _memo(outcome)
        off = self._off(document, seen)
        if not off or seen.state == "reversed":
            return None
        route = route_of(document.store, self.books.systems.settings.stores[document.store])
        if seen.state == "draft" and abs(off) <= tolerance(route, len(document.lines)):
            item = self._rounding_item(route.rounding_item)
            if item is not None:
                line = self.mapper.rounding_line(document, off, item)
                self.books.client.add_credit_memo_line(seen.remote_id, line)
                again = self.look_up([outcome]).get(outcome.key, seen)
                if not (off := self._off(document, again)):
                    return None
        return Problem(
            "book.amount_differs",
            "total",
            f"the refund is {document.total_amount}, {self.books.erp} computes "
            f"{document.total_amount - off} {document.currency}; it is not posted",
        )

    def booked(self, outcome: Outcome, seen: SeenMemo) -> None:
        """Note how it stands there."""
        said = {"booked_on": seen.booked_on, "journal": seen.journal, "tax": seen.tax_amount}
        noted(outcome, seen, said)

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
            with set_aside(outcome, GOODS):
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
            with set_aside(outcomes[key], GOODS):
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
