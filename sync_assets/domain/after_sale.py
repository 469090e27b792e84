"""What is known of one order after the sale: its returns, its refunds, and what the world said of
them. The rules work on this picture and nothing else; how it is read and written down is not here.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal

from sync_assets.domain.refund_limits import ZERO, Share, Sold, left_of
from sync_assets.domain.returns import RefundState, ReturnState, Source
from sync_assets.domain.returns_policy import ReturnRule
from sync_assets.domain.sagas import CLOSED, NOTHING, Saga
from sync_assets.domain.tracking import ParcelState

PIPELINE = "pipeline"
#: Actors that tell facts: that goods move is no promise of money.
NO_AGREEMENT = ("shop:", "warehouse:", "carrier:", "goods:")
#: Refunds whose money is on its way or gone; the database counts the same ones.
LIVE = frozenset(
    {
        *(RefundState.APPROVED, RefundState.SUBMITTED, RefundState.PENDING),
        *(RefundState.CONFIRMED, RefundState.CREDITED, RefundState.CLOSED),
    }
)
#: Refunds of ours that nobody outside knows of yet.
UNSENT = frozenset({RefundState.REQUESTED, RefundState.AWAITING_APPROVAL, RefundState.APPROVED})
#: Returns whose units are free for another return.
DEAD = frozenset({ReturnState.REJECTED, ReturnState.CANCELLED, ReturnState.EXPIRED})
GOODS_HERE = frozenset({ReturnState.RECEIVED, ReturnState.INSPECTED})
#: Sources whose refund is ours to make; of the others the shop made it, or will.
WE_PAY = frozenset({Source.REQUEST, Source.STORE_DROPOFF, Source.WAREHOUSE, Source.PARCEL})


@dataclass(frozen=True)
class Verdict:
    """The last word of a payment provider on a refund."""

    state: str  # pending, confirmed, failed
    provider: str
    happened_at: datetime
    reason: str = ""


def last_word(verdicts: Iterable[Verdict]) -> Verdict | None:
    """The verdict that counts: the latest; of the same moment the failed one."""
    order = {"failed": 2, "confirmed": 1}
    return max(verdicts, key=lambda v: (v.happened_at, order.get(v.state, 0)), default=None)


@dataclass(frozen=True)
class Refund:
    """One refund and what became of it outside."""

    ref: str
    source: Source
    method: str
    amount: Decimal
    parts: tuple[Share, ...]
    made_at: datetime
    is_ours: bool
    #: Made before refunds came to this deployment: its goods and books were settled by other means.
    is_history: bool = False
    state: str = NOTHING
    state_at: datetime | None = None
    #: Who took the last step.
    moved_by: str = PIPELINE
    return_ref: str | None = None
    reason: str = ""
    #: The shop's id of it, once it shows it; and whether it stopped showing it.
    shop_id: str | None = None
    is_gone: bool = False
    #: The shop answered that it made it.
    is_made: bool = False
    verdict: Verdict | None = None
    #: What the ERP holds: "", held, reversed.
    memo: str = ""

    @property
    def unassigned(self) -> Decimal:
        """What no part explains."""
        return self.amount - sum((one.amount for one in self.parts), ZERO)

    @property
    def is_at_rest(self) -> bool:
        """Whether nothing more will come of it by itself."""
        return self.state in CLOSED[Saga.REFUND]


@dataclass(frozen=True)
class ReturnLine:
    """Units of one article of a return; without a `line_ref` they belong to no order line."""

    line_no: int
    line_ref: str | None
    sku: str
    requested_units: int
    received_units: int = 0
    restock_units: int = 0
    refurbish_units: int = 0
    write_off_units: int = 0

    @property
    def open_units(self) -> int:
        """Units here of which nobody said what becomes of them."""
        fates = self.restock_units + self.refurbish_units + self.write_off_units
        return self.received_units - fates

    @property
    def units(self) -> int:
        """How many units it is about, announced or there."""
        return max(self.requested_units, self.received_units)

    def split(self, units: int) -> "tuple[ReturnLine, ReturnLine]":
        """The first `units` and the rest; what became of them goes with the first ones."""
        received = min(self.received_units, units)
        restock = min(self.restock_units, received)
        refurbish = min(self.refurbish_units, received - restock)
        first = replace(
            self,
            requested_units=min(self.requested_units, units),
            received_units=received,
            restock_units=restock,
            refurbish_units=refurbish,
            write_off_units=min(self.write_off_units, received - restock - refurbish),
        )
        return first, self._with(first, -1)

    def plus(self, other: "ReturnLine") -> "ReturnLine":
        """Both lines as one."""
        return self._with(other, 1)

    def _with(self, other: "ReturnLine", sign: int) -> "ReturnLine":
        return replace(
            self,
            requested_units=self.requested_units + sign * other.requested_units,
            received_units=self.received_units + sign * other.received_units,
            restock_units=self.restock_units + sign * other.restock_units,
            refurbish_units=self.refurbish_units + sign * other.refurbish_units,
            write_off_units=self.write_off_units + sign * other.write_off_units,
        )


@dataclass(frozen=True)
class Return:
    """One return and what the world said of it."""

    ref: str
    source: Source
    lines: tuple[ReturnLine, ...]
    requested_at: datetime
    state: str = NOTHING
    state_at: datetime | None = None
    reason: str = ""
    is_exchange: bool = False
    tracking_number: str | None = None
    sender_ref: str | None = None
    location: str | None = None
    received_at: datetime | None = None
    #: Who told of it, as an actor: `warehouse:north`, `carrier:ups`, `shop:us`.
    told_by: str = PIPELINE
    carrier: str = "unknown"
    #: Who agreed to it: the policy, a person, or nobody but the goods themselves.
    agreed_by: str | None = None
    #: It was rejected, cancelled or expired once; its money needs a person's word.
    was_ended: bool = False
    parcel: ParcelState | None = None
    #: What the order costs that replaces it, once it is made.
    exchange_amount: Decimal | None = None
    exchange_ref: str | None = None
    #: Its goods are booked in the ERP, as far as they are to be.
    is_booked: bool = False

    @property
    def received_units(self) -> int:
        """Units that arrived."""
        return sum(line.received_units for line in self.lines)

    @property
    def is_open(self) -> bool:
        """Whether something will still come of it."""
        return self.state not in CLOSED[Saga.RETURN]

    @property
    def is_agreed(self) -> bool:
        """Whether the policy or a person agreed; that goods came is no agreement."""
        by = self.agreed_by
        return by is not None and not by.startswith(NO_AGREEMENT) and not self.was_ended


@dataclass(frozen=True)
class Parcel:
    """An outbound parcel of the order that did not end with the customer."""

    ref: str
    state: ParcelState
    carrier: str | None
    tracking_number: str | None
    units: Mapping[str, int]  # by line_ref


@dataclass(frozen=True)
class Move:
    """One step of a saga."""

    saga: Saga
    ref: str
    from_state: str
    to_state: str
    actor: str
    reason: str
    cause: str


@dataclass(frozen=True)
class Trouble:
    """Something that waits for a person."""

    code: str
    ref: str
    message: str
    amount: Decimal | None = None
    #: What of it: a release holds for the part it was given for.
    part: str = ""


@dataclass
class Case:
    """One order after the sale, as the rules see it; what they decide is added at the end."""

    order_ref: str
    store: str
    currency: str
    digits: int
    order_state: str
    paid: Decimal
    lines: tuple[Sold, ...]
    rule: ReturnRule
    now: datetime
    #: A payment provider's word ends a refund, not the shop's.
    needs_provider: bool = False
    #: Refunds of ours are written in this store.
    publishes: bool = True
    #: accepted, awaited (it may still come), never
    in_erp: str = "accepted"
    shipped_at: datetime | None = None
    delivered_at: datetime | None = None
    parcels: tuple[Parcel, ...] = ()
    returns: dict[str, Return] = field(default_factory=dict)
    refunds: dict[str, Refund] = field(default_factory=dict)

    moves: list[Move] = field(default_factory=list)
    new_returns: list[str] = field(default_factory=list)
    new_refunds: list[str] = field(default_factory=list)
    #: Returns whose lines changed, and refunds that now belong to a return.
    changed_lines: set[str] = field(default_factory=set)
    linked: set[str] = field(default_factory=set)

    def line(self, line_ref: str | None) -> Sold | None:
        """The order line of a key."""
        return next((one for one in self.lines if one.line_ref == line_ref), None)

    def refunds_of(self, ref: str) -> list[Refund]:
        """The refunds that pay for a return."""
        return [one for one in self.refunds.values() if one.return_ref == ref]

    def left(self, but: str | None = None) -> Decimal:
        """What may still go back, not counting one refund."""
        given = (
            one.amount
            for one in self.refunds.values()
            if one.ref != but and one.method != "offset" and one.state in LIVE
        )
        return left_of(self.paid, given)

    def refunded_units(self, line_ref: str) -> int:
        """Units of a line whose money is given back, or on its way."""
        return sum(
            part.units
            for one in self.refunds.values()
            if one.state in LIVE | UNSENT
            for part in one.parts
            if part.line_ref == line_ref
        )

    def units_in_returns(self, line_ref: str, but: str | None = None) -> int:
        """Units of a line that are in returns already."""
        return sum(
            max(line.requested_units, line.received_units)
            for one in self.returns.values()
            if one.ref != but and one.state not in DEAD
            for line in one.lines
            if line.line_ref == line_ref
        )

    # What the rules change

    def move_return(self, one: Return, to: str, actor: str, reason: str, cause: str) -> None:
        """Take one step of a return."""
        self.moves.append(Move(Saga.RETURN, one.ref, one.state, to, actor, reason, cause))
        agreed_by = actor if to == ReturnState.APPROVED else one.agreed_by
        self.returns[one.ref] = replace(
            one,
            state=to,
            state_at=self.now,
            agreed_by=agreed_by,
            was_ended=one.was_ended or to in DEAD,
        )

    def move_refund(self, one: Refund, to: str, actor: str, reason: str, cause: str) -> None:
        """Take one step of a refund."""
        self.moves.append(Move(Saga.REFUND, one.ref, one.state, to, actor, reason, cause))
        self.refunds[one.ref] = replace(one, state=to, state_at=self.now, moved_by=actor)

    def begin_return(self, one: Return, actor: str, reason: str, cause: str) -> None:
        """Add a return."""
        self.returns[one.ref] = one
        self.new_returns.append(one.ref)
        self.move_return(one, ReturnState.REQUESTED, actor, reason, cause)

    def begin_refund(self, one: Refund, actor: str, reason: str, cause: str) -> None:
        """Add a refund."""
        self.refunds[one.ref] = one
        self.new_refunds.append(one.ref)
        self.move_refund(one, RefundState.REQUESTED, actor, reason, cause)

    def set_lines(self, one: Return, lines: tuple[ReturnLine, ...]) -> None:
        """Change the lines of a return."""
        if lines != one.lines:
            self.returns[one.ref] = replace(one, lines=lines)
            self.changed_lines.add(one.ref)

    def link(self, one: Refund, return_ref: str) -> None:
        """Let a refund pay for a return."""
        self.refunds[one.ref] = replace(one, return_ref=return_ref)
        self.linked.add(one.ref)

    def next_ref(self, letter: str) -> str:
        """The next key of a return (`r`) or a refund of ours (`m`) of this order."""
        held = [*self.returns, *self.refunds]
        head = f"{self.order_ref}:{letter}"
        used = [ref[len(head) :] for ref in held if ref.startswith(head)]
        return f"{head}{max((int(n) for n in used if n.isdecimal()), default=0) + 1}"
