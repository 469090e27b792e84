"""How stock is shared out among channels: the typed form of `policies/availability.yaml`.

The file is data; this module says what may stand in it and finds its mistakes. Reading the file is
`sync_assets/policies.py`, working out numbers by it is `availability.py`.
"""

import re
from decimal import Decimal
from functools import lru_cache
from typing import Annotated, Any, Literal

import pydantic

NAME = Annotated[str, pydantic.StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,30}$")]
Units = Annotated[int, pydantic.Field(ge=0)]
Share = Annotated[Decimal, pydantic.Field(ge=0, le=1, decimal_places=6)]


class PolicyError(Exception):
    """The policy cannot be used; the message says where and why."""


@lru_cache(maxsize=4096)
def sku_pattern(words: str) -> str:
    """A regular expression of SKUs written with * and ?; every other character is itself.

    Not `fnmatch`: real SKUs contain brackets.
    """
    return "".join({"*": ".*", "?": "."}.get(one) or re.escape(one) for one in words)


class Part(pydantic.BaseModel):
    """A part of the policy: unknown keys are mistakes."""

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid")


class Location(Part):
    """A stock location: which system tells its stock, and by which code."""

    source: NAME
    #: The system's own code of the warehouse.
    code: str
    #: Nothing is sold from a closed one; what is there stays counted.
    is_closed: bool = False


class Safety(Part):
    """What is kept back from sale: pieces, or days of demand; the larger of both."""

    units: Units = 0
    days: Decimal = pydantic.Field(default=Decimal(0), ge=0, le=3650, decimal_places=3)


class Backorder(Part):
    """Selling beyond the stock."""

    is_allowed: bool = False
    lead_days: int | None = pydantic.Field(default=None, ge=0)
    #: How many may be promised beyond the stock; nothing means no limit.
    limit_units: Units | None = None
    #: Whether the customer is told; some shops sell on without a word.
    tells_customer: bool = True


class Rule(Part):
    """What may be said of a channel, and differently of some of its SKUs."""

    safety: Safety | None = None
    #: Part of what is left after safety that the channel may see.
    share: Share | None = None
    #: The most the channel may see, however much there is.
    cap_units: Units | None = None
    backorder: Backorder | None = None
    #: Made when ordered: sold although there is no stock, from its components or within `limit`.
    is_assembled: bool | None = None
    #: Not for this channel at all.
    is_withheld: bool | None = None


class Override(Rule):
    """Rules for some SKUs of a channel; a later one wins over an earlier one."""

    #: SKUs; * is any characters, ? is one; letter case counts.
    skus: tuple[str, ...] = pydantic.Field(min_length=1)

    def matches(self, sku: str) -> bool:
        """Whether the rule is for this SKU."""
        return any(re.fullmatch(sku_pattern(one), sku, re.DOTALL) for one in self.skus)


class Channel(Rule):
    """Where we sell: a store by its name, or a marketplace, and what of the stock it may sell."""

    locations: tuple[NAME, ...] = pydantic.Field(min_length=1)
    #: Who gets the last pieces: the smaller number first, among equals the name.
    priority: int = pydantic.Field(default=100, ge=0)
    overrides: tuple[Override, ...] = ()
    #: A kit is not offered while a component has fewer than this for the channel.
    kits_pause_below_units: Units = 0


class Reserving(Part):
    """Which orders hold stock before the ERP has allocated it, and for how long unpaid."""

    states: tuple[Literal["pending_payment", "on_hold", "paid", "completed"], ...] = (
        "pending_payment",
        "on_hold",
        "paid",
        "completed",
    )
    pending_minutes: int = pydantic.Field(default=60, ge=1)
    on_hold_hours: int = pydantic.Field(default=168, ge=1)


class Guards(Part):
    """What is not sent without a person's word."""

    #: A plan that takes this part of a store's listings to nothing is held …
    mass_drop_share: Share = Decimal("0.3")
    #: … if it has at least so many.
    mass_drop_least: int = pydantic.Field(default=50, ge=1)
    #: Drift in at most so many listings of a store is put right without asking.
    heal_most: int = pydantic.Field(default=200, ge=0)
    heal_share: Share = Decimal("0.05")


class Policy(Part):
    """How all stock becomes what each channel may sell."""

    version: Literal[1] = 1
    #: Both may be empty only where nothing is configured: that is not for a file to say.
    locations: dict[NAME, Location]
    channels: dict[NAME, Channel]
    #: Below so many pieces, what channels share is divided among them instead of shown to all:
    #: then no two of them can sell the same piece. 0: never divided; nothing: always.
    divide_below_units: Units | None = 10
    #: Days of sales a channel's demand is measured over.
    demand_days: int = pydantic.Field(default=28, ge=1)
    reserving: Reserving = Reserving()
    guards: Guards = Guards()

    @pydantic.model_validator(mode="after")
    def _names_are_known(self) -> "Policy":
        for name, channel in self.channels.items():
            unknown = sorted(set(channel.locations) - set(self.locations))
            if unknown:
                known = ", ".join(sorted(self.locations))
                raise ValueError(f"channels.{name}.locations names {unknown[0]!r}; known: {known}")
        seen: dict[tuple[str, str], str] = {}
        for name, location in self.locations.items():
            other = seen.setdefault((location.source, location.code), name)
            if other != name:
                raise ValueError(f"locations {other} and {name} are the same place of one system")
        return self

    def __hash__(self) -> int:
        """Equal policies name the same channels and locations."""
        return hash((frozenset(self.channels), frozenset(self.locations)))

    def open_locations(self, channel: str) -> list[str]:
        """Where the channel sells from now, each once."""
        named = dict.fromkeys(self.channels[channel].locations)
        return [name for name in named if not self.locations[name].is_closed]

    def rule(self, channel: str, sku: str) -> Rule:
        """The channel's rule for one SKU: its own, with what the overrides say instead."""
        own = self.channels[channel]
        said = {name: getattr(own, name) for name in Rule.model_fields}
        for override in own.overrides:
            if override.matches(sku):
                said |= {
                    name: value
                    for name in Rule.model_fields
                    if (value := getattr(override, name)) is not None
                }
        return Rule(**said)


def parse(data: Any) -> Policy:
    """Check the data of a policy file."""
    try:
        return Policy.model_validate(data)
    except pydantic.ValidationError as fault:
        lines = [f"{'.'.join(map(str, e['loc'])) or 'policy'}: {e['msg']}" for e in fault.errors()]
        raise PolicyError("; ".join(lines)) from fault
