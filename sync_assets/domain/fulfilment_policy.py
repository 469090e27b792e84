"""Which place ships what: the typed form of `policies/fulfilment.yaml`.

The file is data; this module says what may stand in it. Choosing places by it is `allocating.py`.
"""

import re
from decimal import Decimal
from typing import Annotated, Literal

import pydantic

from sync_assets.domain.policy import NAME, Part, sku_pattern

COUNTRY = Annotated[str, pydantic.StringConstraints(pattern=r"^[A-Z]{2}$")]
#: A country and a state of it, in the shop's code: `US-CA`.
REGION = Annotated[str, pydantic.StringConstraints(pattern=r"^[A-Z]{2}-.+$")]


class Place(Part):
    """A place that ships: a warehouse, a 3PL, or a store that fulfils orders from its shelf.

    A place has the name of the stock location it ships from; what is not said here is taken from
    there.
    """

    #: The system that is told: an ERP or a warehouse of the configuration.
    system: NAME | None = None
    #: That system's own code of the place.
    code: str | None = None
    kind: Literal["warehouse", "store"] = "warehouse"
    #: The ERP's code of the warehouse in which what left here is posted; empty: the order's own.
    erp_warehouse: str = ""
    #: Where it ships to; nothing said means anywhere.
    countries: tuple[COUNTRY, ...] = ()
    regions: tuple[REGION, ...] = ()
    #: Nothing new is sent to a closed one.
    is_closed: bool = False
    #: Takes any order: it is not asked for its stock first.
    assumes_stock: bool = False

    def serves(self, country: str, region: str) -> bool:
        """Whether it ships to an address."""
        if not self.countries and not self.regions:
            return True
        return country in self.countries or f"{country}-{region}" in self.regions


class CarrierChoice(Part):
    """Carrier and service for some shipping methods of the shop, in the warehouse's words."""

    #: Names of the shop's shipping methods; * is any characters. Letter case does not count.
    methods: tuple[str, ...] = pydantic.Field(min_length=1)
    carrier: str = ""
    service: str = ""

    def fits(self, method: str) -> bool:
        """Whether the customer chose one of these."""
        words = method.casefold()
        return any(
            re.fullmatch(sku_pattern(one.casefold()), words, re.DOTALL) for one in self.methods
        )


class StoreRule(Part):
    """Where a store's orders are shipped from, and when."""

    #: The first that can is asked first.
    ship_from: tuple[NAME, ...] = pydantic.Field(min_length=1)
    #: when_needed: an order may be shipped from several places when none has all of it.
    split: Literal["never", "when_needed"] = "never"
    #: Into so many parts at the most.
    most_parts: int = pydantic.Field(default=3, ge=1, le=20)
    #: What nobody has: waits until somebody does, or is released to the first place all the same.
    backorder: Literal["wait", "release"] = "release"
    #: Customers change their mind in the first minutes.
    release_after_minutes: int = pydantic.Field(default=0, ge=0)
    ship_within_hours: Decimal = pydantic.Field(default=Decimal(24), gt=0)
    carriers: tuple[CarrierChoice, ...] = ()
    #: Orders placed from then on are shipped. Without it a deployment that already ran begins with
    #: the orders accepted since shipments came to it, a new one with all.
    orders_from: pydantic.AwareDatetime | None = None
    #: Whether the shop's order is set to completed when everything has left.
    completes_orders: bool = True

    def carrier_for(self, method: str) -> CarrierChoice | None:
        """The first choice that fits a shipping method."""
        return next((one for one in self.carriers if one.fits(method)), None)


class FulfilmentPolicy(Part):
    """Which place ships which store's orders."""

    version: Literal[1] = 1
    places: dict[NAME, Place] = {}
    stores: dict[NAME, StoreRule] = {}

    @pydantic.model_validator(mode="after")
    def _places_are_known(self) -> "FulfilmentPolicy":
        for name, rule in self.stores.items():
            unknown = sorted(set(rule.ship_from) - set(self.places))
            if unknown:
                known = ", ".join(sorted(self.places)) or "none"
                raise ValueError(f"stores.{name}.ship_from names {unknown[0]!r}; places: {known}")
        return self
