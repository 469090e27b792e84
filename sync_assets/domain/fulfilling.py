"""What an order's lines have come to, what is left to ship, and where each request stands. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import ROUND_FLOOR, Decimal

from sync_assets.domain.allocating import Need
from sync_assets.domain.fulfilment import FulfilmentState as F

#: States in which a warehouse may still ship what it was asked for.
LIVE = frozenset(
    {F.PLANNED, F.HELD, F.RELEASED, F.ACKNOWLEDGED, F.PART_SHIPPED, F.CANCEL_REQUESTED}
)
#: Nobody over there knows of it yet.
UNSENT = frozenset({F.PLANNED, F.HELD})


@dataclass(frozen=True)
class SoldLine:
    """An order line that is shipped."""

    line_ref: str
    sku: str
    units: int
    #: What is in one of it, if it is a kit: units by the component's SKU.
    parts: Mapping[str, Decimal] = field(default_factory=dict)


@dataclass(frozen=True)
class Moved:
    """Units told of in a shipment, matched to an order line."""

    line_ref: str
    sku: str  # the line's, or of a component of it
    units: int
    shipment_ref: str
    fulfilment_ref: str | None = None
    is_delivered: bool = False
    #: The warehouse says it will not ship these.
    is_cancelled: bool = False


@dataclass(frozen=True)
class Progress:
    """What one order line has come to."""

    line_ref: str
    sku: str
    ordered: int
    cancelled: int
    requested: int
    shipped: int
    delivered: int
    returned: int
    refunded: int

    @property
    def open(self) -> int:
        """Units that somebody shall still ship."""
        return max(self.ordered - self.cancelled - self.shipped, 0)


@dataclass(frozen=True)
class Request:
    """One fulfilment order, as far as its units go."""

    ref: str
    location: str
    state: F
    units: Mapping[str, int]  # by line_ref

    def live_units(self, shipped: Mapping[tuple[str, str], int], line_ref: str) -> int:
        """Units of a line it may still ship."""
        if self.state not in LIVE:
            return 0
        return max(self.units.get(line_ref, 0) - shipped.get((self.ref, line_ref), 0), 0)


def units_as_sold(line: SoldLine, moves: Iterable[tuple[str, int]]) -> int:
    """Whole units of a line among SKUs and units that moved for it: a kit is whole or not there."""
    found: dict[str, int] = {}
    for sku, units in moves:
        found[sku.casefold()] = found.get(sku.casefold(), 0) + units
    direct = found.get(line.sku.casefold(), 0)
    if not line.parts:
        return direct
    whole = min(
        (Decimal(found.get(sku.casefold(), 0)) / each for sku, each in line.parts.items()),
        default=Decimal(),
    )
    return direct + int(whole.to_integral_value(ROUND_FLOOR))


def shipped_by_line(lines: Sequence[SoldLine], moves: Sequence[Moved]) -> dict[str, int]:
    """Whole units of each line that left."""
    return {
        line.line_ref: units_as_sold(
            line,
            ((m.sku, m.units) for m in moves if m.line_ref == line.line_ref and not m.is_cancelled),
        )
        for line in lines
    }


def shipped_by_request(
    lines: Sequence[SoldLine], moves: Sequence[Moved]
) -> dict[tuple[str, str], int]:
    """Whole units of each line that left for each request."""
    refs = {move.fulfilment_ref for move in moves if move.fulfilment_ref}
    return {
        (ref, line_ref): units
        for ref in refs
        for line_ref, units in shipped_by_line(
            lines, [move for move in moves if move.fulfilment_ref == ref]
        ).items()
    }


def turned_down_by_request(
    lines: Sequence[SoldLine], moves: Sequence[Moved]
) -> dict[tuple[str, str], int]:
    """Whole units of each line that a warehouse said it will not ship, by request."""
    said = [move for move in moves if move.is_cancelled and move.fulfilment_ref]
    found: dict[tuple[str, str], int] = {}
    for line in lines:
        for ref in {move.fulfilment_ref for move in said if move.line_ref == line.line_ref}:
            units = sum(
                m.units for m in said if (m.fulfilment_ref, m.line_ref) == (ref, line.line_ref)
            )
            found[str(ref), line.line_ref] = units
    return found


def progress(
    lines: Sequence[SoldLine],
    moves: Sequence[Moved],
    refunded: Mapping[str, int],
    returned: Mapping[str, int],
    requests: Sequence[Request],
    *,
    is_ended: bool,
) -> list[Progress]:
    """What each line has come to.

    Units refunded without a return come off what has not left: nobody shall ship them. Nothing more
    of an order that ended shall be shipped.
    """
    shipped = shipped_by_line(lines, moves)
    delivered = shipped_by_line(lines, [move for move in moves if move.is_delivered])
    by_request = shipped_by_request(lines, moves)
    found = []
    for line in lines:
        ref, left = line.line_ref, max(line.units - shipped[line.line_ref], 0)
        found.append(
            Progress(
                line_ref=ref,
                sku=line.sku,
                ordered=line.units,
                cancelled=left if is_ended else min(refunded.get(ref, 0), left),
                requested=sum(one.live_units(by_request, ref) for one in requests),
                shipped=shipped[ref],
                delivered=delivered[ref],
                returned=returned.get(ref, 0),
                refunded=refunded.get(ref, 0),
            )
        )
    return found


def needs(lines: Sequence[Progress]) -> list[Need]:
    """Units that nobody is asked to ship yet."""
    return [
        Need(one.line_ref, one.sku, one.open - one.requested)
        for one in lines
        if one.open > one.requested
    ]


def cuts(
    lines: Sequence[Progress],
    requests: Sequence[Request],
    shipped: Mapping[tuple[str, str], int],
) -> dict[tuple[str, str], int]:
    """New units by request and line, where more is asked for than is wanted.

    What nobody over there knows of goes first, then the newest request.
    """
    found: dict[tuple[str, str], int] = {}
    order = sorted(requests, key=lambda r: (r.state in UNSENT, r.ref), reverse=True)
    for line in lines:
        excess = line.requested - line.open
        for request in order:
            live = request.live_units(shipped, line.line_ref)
            taken = min(live, excess)
            if taken > 0:
                held = request.units.get(line.line_ref, 0)
                found[request.ref, line.line_ref] = held - taken
                excess -= taken
    return found


@dataclass(frozen=True)
class Standing:
    """What is known of one request, for where it stands."""

    state: F
    wanted: int  # units it shall ship in all, after cuts
    shipped: int
    turned_down: int
    release_at: datetime
    is_held: bool = False
    #: What the warehouse answered: accepted, cancelled, refused; None: nothing yet.
    outcome: str | None = None
    #: Its own state, when it was last looked at.
    remote_state: str | None = None
    #: A write about it may be over there, or is on its way.
    is_begun: bool = False
    #: The taking back was refused: it ships.
    is_cancel_refused: bool = False


def next_state(one: Standing, now: datetime) -> tuple[F, str] | None:
    """Where a request stands now, and why; None while it stays."""
    found = _next(one, now)
    return None if found is None or found[0] == one.state else found


def _next(one: Standing, now: datetime) -> tuple[F, str] | None:
    if one.shipped > 0 and (moved := _moved(one)) is not None:
        return moved
    if one.state in UNSENT:
        return _unsent(one, now)
    if one.state == F.REFUSED and one.wanted == 0:
        return F.CANCELLED, "nothing of it is wanted any more"
    if one.state in (F.RELEASED, F.ACKNOWLEDGED, F.CANCEL_REQUESTED):
        return _over_there(one)
    return None


def _moved(one: Standing) -> tuple[F, str] | None:
    """Goods that left say more than any answer."""
    if one.shipped >= one.wanted:
        return F.SHIPPED, f"all {one.shipped} units left"
    if one.shipped + one.turned_down >= one.wanted:
        return F.SHORT, f"{one.shipped} units left, {one.turned_down} will not be shipped"
    if one.state in (F.CANCEL_REQUESTED, F.CANCELLED) and one.outcome == "cancelled":
        return F.SHORT, f"{one.shipped} units left before the rest was taken back"
    return F.PART_SHIPPED, f"{one.shipped} of {one.wanted} units left"


def _unsent(one: Standing, now: datetime) -> tuple[F, str] | None:
    if one.wanted == 0:
        return F.CANCELLED, "nothing of it is wanted any more"
    if one.is_held:
        return F.HELD, "an exception keeps it back"
    if one.state == F.HELD:
        return F.PLANNED, "nothing keeps it back any more"
    if one.release_at <= now:
        return F.RELEASED, "its time has come"
    return None


def _over_there(one: Standing) -> tuple[F, str] | None:
    if one.outcome == "cancelled":
        return F.CANCELLED, "the warehouse took it back"
    if one.wanted == 0:
        if one.remote_state == "cancelled":
            return F.CANCELLED, "the warehouse took it back"
        if one.outcome is None and not one.is_begun:
            return F.CANCELLED, "taken back before it was sent"
        if one.is_cancel_refused:
            return F.ACKNOWLEDGED, "the warehouse has picked it: it ships all the same"
        return F.CANCEL_REQUESTED, "nothing of it is wanted any more"
    if one.turned_down >= one.wanted:
        return F.REFUSED, "the warehouse will ship none of it"
    if one.outcome == "accepted" and one.state != F.CANCEL_REQUESTED:
        if one.remote_state in ("cancelled", "refused"):
            return F.REFUSED, f"the warehouse says it is {one.remote_state}"
        if one.remote_state not in (None, "waiting"):
            return F.ACKNOWLEDGED, f"the warehouse says it is {one.remote_state}"
    if one.state == F.CANCEL_REQUESTED:
        return F.ACKNOWLEDGED, "it is wanted again"
    return None
