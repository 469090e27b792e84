"""What an order's lines have come to, what is left to ship, and where each request stands. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

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
    #: Units its place was last asked for and did not refuse; None: nothing was, or nobody knows.
    asked: Mapping[str, int] | None = None

    def live_units(self, shipped: Mapping[tuple[str, str], int], line_ref: str) -> int:
        """Units of a line it may still ship."""
        if self.state not in LIVE:
            return 0
        return max(self.units.get(line_ref, 0) - shipped.get((self.ref, line_ref), 0), 0)


def units_as_sold(line: SoldLine, moves: Iterable[tuple[str, int]]) -> int:
    """Whole units of a line among SKUs and units that moved for it: a kit is whole or not there."""
    direct, each = _by_part(line, moves)
    return direct + int(min(each, default=Decimal()).to_integral_value(ROUND_FLOOR))


def units_spoilt(line: SoldLine, moves: Iterable[tuple[str, int]]) -> int:
    """Units of a line that cannot be whole without these: one missing component spoils a kit."""
    direct, each = _by_part(line, moves)
    return direct + int(max(each, default=Decimal()).to_integral_value(ROUND_CEILING))


def _by_part(line: SoldLine, moves: Iterable[tuple[str, int]]) -> tuple[int, list[Decimal]]:
    """Units told of the line's own SKU, and of how many kits the units of each component are."""
    found: dict[str, int] = {}
    for sku, units in moves:
        found[sku.casefold()] = found.get(sku.casefold(), 0) + units
    each = [Decimal(found.get(sku.casefold(), 0)) / n for sku, n in line.parts.items() if n > 0]
    return found.get(line.sku.casefold(), 0), each


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
    return {
        (ref, line.line_ref): units_spoilt(
            line,
            (
                (m.sku, m.units)
                for m in said
                if (m.fulfilment_ref, m.line_ref) == (ref, line.line_ref)
            ),
        )
        for line in lines
        for ref in {str(m.fulfilment_ref) for m in said if m.line_ref == line.line_ref}
    }


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


def needs(lines: Sequence[Progress], sold: Sequence[SoldLine]) -> list[Need]:
    """Units that nobody is asked to ship yet, with what is in them."""
    parts = {line.line_ref: line.parts for line in sold}
    return [
        Need(one.line_ref, one.sku, one.open - one.requested, parts.get(one.line_ref, {}))
        for one in lines
        if one.open > one.requested
    ]


def cuts(
    lines: Sequence[Progress],
    requests: Sequence[Request],
    shipped: Mapping[tuple[str, str], int],
) -> dict[tuple[str, str], int]:
    """New units by request and line, where more is asked for than is wanted.

    What nobody over there knows of goes first, then the newest request. What was refused is wanted
    of nobody any more once there is nothing open.
    """
    found: dict[tuple[str, str], int] = {}
    # References of one order differ in their running number only: the shorter is the older.
    order = sorted(requests, key=lambda r: (r.state in UNSENT, len(r.ref), r.ref), reverse=True)
    for line in lines:
        excess = line.requested - line.open
        for request in order:
            live = request.live_units(shipped, line.line_ref)
            taken = min(live, excess)
            held = request.units.get(line.line_ref, 0)
            if taken > 0:
                found[request.ref, line.line_ref] = held - taken
                excess -= taken
            elif request.state == F.REFUSED and line.open == 0 and held > 0:
                found[request.ref, line.line_ref] = 0
    return found


def units_of(
    request: Request,
    shipped: Mapping[tuple[str, str], int],
    turned_down: Mapping[tuple[str, str], int],
) -> tuple[int, int, int, int]:
    """Units of a request: wanted, shipped, turned down, and what it may ship that nobody wants.

    Too many of one line make up for none of another.
    """
    wanted = gone = down = unwanted = lacking = 0
    for ref in {*request.units, *(request.asked or {})}:
        units, left = request.units.get(ref, 0), shipped.get((request.ref, ref), 0)
        no = turned_down.get((request.ref, ref), 0)
        may_ship = max((request.asked or {}).get(ref, 0) - left - no, 0)
        wanted, gone = wanted + units, gone + left
        lacking += max(units - left, 0)
        down += min(no, max(units - left, 0))
        unwanted += max(may_ship - max(units - left - no, 0), 0)
    return wanted, wanted - lacking if lacking else gone, down, unwanted


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
    #: Units it was asked for and may still ship, though they are not wanted any more.
    unwanted: int = 0
    #: In which words the warehouse said no to all of it; it holds nothing of it.
    refusal: str = ""


#: It was said that goods left.
GONE = frozenset({F.PART_SHIPPED, F.SHORT, F.SHIPPED})


def next_state(one: Standing, now: datetime) -> tuple[F, str] | None:
    """Where a request stands now, and why; None while it stays."""
    found = _next(one, now)
    return None if found is None or found[0] == one.state else found


def _next(one: Standing, now: datetime) -> tuple[F, str] | None:
    if one.shipped > 0:
        return _moved(one)
    if one.state in UNSENT:
        return _unsent(one, now)
    if one.state == F.REFUSED and one.wanted == 0:
        return F.CANCELLED, "nothing of it is wanted any more"
    if one.state in GONE:
        return _over_there(one) or (F.ACKNOWLEDGED, "what had left has not left after all")
    if one.state == F.CANCELLED and _was_sent_meanwhile(one):
        return F.CANCEL_REQUESTED, "it was sent while it was taken back"
    if one.state in (F.RELEASED, F.ACKNOWLEDGED, F.CANCEL_REQUESTED):
        return _over_there(one)
    return None


def _was_sent_meanwhile(one: Standing) -> bool:
    """Whether the warehouse holds what was called off before it was sent, as we thought."""
    is_there = one.remote_state not in ("cancelled", "refused")
    return one.outcome == "accepted" and is_there and not one.is_cancel_refused


def _moved(one: Standing) -> tuple[F, str]:
    """Goods that left say more than any answer."""
    if one.shipped >= one.wanted:
        return _rest(one) if one.unwanted > 0 else (F.SHIPPED, f"all {one.shipped} units left")
    if one.shipped + one.turned_down >= one.wanted:
        return F.SHORT, f"{one.shipped} units left, {one.turned_down} will not be shipped"
    if one.outcome == "cancelled":
        return F.SHORT, f"{one.shipped} units left before the rest was taken back"
    return F.PART_SHIPPED, f"{one.shipped} of {one.wanted} units left"


def _rest(one: Standing) -> tuple[F, str]:
    """All that is wanted left, and the warehouse has more of it: it is called back."""
    if one.outcome == "cancelled" or one.remote_state == "cancelled":
        return F.SHORT, f"{one.shipped} units left before the rest was taken back"
    if one.remote_state == "shipped":
        return F.SHIPPED, f"{one.shipped} units left, and the warehouse says it is done"
    if one.is_cancel_refused:
        return F.PART_SHIPPED, f"{one.unwanted} units ship that nobody wants any more"
    return F.CANCEL_REQUESTED, f"{one.unwanted} units of it are not wanted any more"


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
    if one.refusal and one.outcome != "accepted":
        return F.REFUSED, f"the warehouse refused it: {one.refusal}"
    if one.outcome == "accepted" and one.state != F.CANCEL_REQUESTED:
        if one.remote_state in ("cancelled", "refused"):
            return F.REFUSED, f"the warehouse says it is {one.remote_state}"
        if one.remote_state not in (None, "waiting"):
            return F.ACKNOWLEDGED, f"the warehouse says it is {one.remote_state}"
    if one.state == F.CANCEL_REQUESTED:
        return F.ACKNOWLEDGED, "it is wanted again"
    return None
