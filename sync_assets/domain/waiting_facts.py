"""What is known of one order, as far as it decides whom the order waits for (`waiting.py`)."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class OpenException:
    """A reason why a person must act."""

    id: int
    code: str
    subject_ref: str
    owner_role: str
    blocks: bool
    opened_at: datetime


@dataclass(frozen=True)
class OpenWrite:
    """A write that is not done."""

    system: str
    operation: str
    thing_ref: str
    state: str  # waiting, leased, unknown, parked
    attempts: int
    created_at: datetime
    due_at: datetime
    error_class: str | None = None


@dataclass(frozen=True)
class Rest:
    """A system nobody may ask now."""

    system: str
    state: str  # paused, draining, circuit_open
    reason: str | None
    since: datetime
    until: datetime | None


@dataclass(frozen=True)
class Request:
    """What one warehouse was asked to ship."""

    fulfilment_ref: str
    system: str
    state: str
    state_at: datetime | None
    release_at: datetime


@dataclass(frozen=True)
class Parcel:
    """A parcel on its way to the customer, or back."""

    parcel_ref: str
    tracking_number: str
    carrier: str
    state: str
    state_at: datetime | None
    left_at: datetime | None
    is_return: bool = False


@dataclass(frozen=True)
class GoodsBack:
    """A return, and the place it comes to."""

    return_ref: str
    state: str
    state_at: datetime | None
    location: str
    #: The parcel it comes in, if anybody told its number.
    parcel_ref: str | None = None


@dataclass(frozen=True)
class MoneyBack:
    """A refund, and whose it is to go on."""

    refund_ref: str
    state: str
    state_at: datetime | None
    return_ref: str | None = None


@dataclass(frozen=True)
class MoneyDue:
    """Money that a provider has still to settle, or to pay out."""

    #: The payment, the settled line or the payout.
    ref: str
    provider: str
    what: str  # settle, pay out
    since: datetime
    due: datetime | None = None


@dataclass(frozen=True)
class Units:
    """What one order line has come to."""

    ordered: int
    cancelled: int = 0
    requested: int = 0
    shipped: int = 0
    delivered: int = 0
    returned: int = 0


@dataclass(frozen=True)
class Facts:
    """All that decides whom one order waits for."""

    order_ref: str
    store: str
    #: Place in the pipeline up to the ERP, as `mart.orders` has it; nothing while not in core.
    pipeline_state: str | None
    placed_at: datetime | None = None
    accepted_at: datetime | None = None
    provider: str = ""
    #: Since when the oldest version waits to be mapped.
    unmapped_since: datetime | None = None
    exceptions: tuple[OpenException, ...] = ()
    writes: tuple[OpenWrite, ...] = ()
    rests: tuple[Rest, ...] = ()
    requests: tuple[Request, ...] = ()
    parcels: tuple[Parcel, ...] = ()
    returns: tuple[GoodsBack, ...] = ()
    refunds: tuple[MoneyBack, ...] = ()
    lines: tuple[Units, ...] = ()
    money: tuple[MoneyDue, ...] = ()

    @property
    def covered(self) -> set[str]:
        """Things a write or an exception already speaks for."""
        return {w.thing_ref for w in self.writes} | {e.subject_ref for e in self.exceptions}
