"""Stock as we hold it: levels, movements, reservations and what a channel may sell. Tables only;
the sums are in `availability.py`, when a reservation falls is in `reservations.py`.

Units are whole pieces. Part of a piece on hand does not count; part of one allocated counts whole.
"""

from enum import StrEnum

import pandas as pd
import pandera.pandas as pa

from sync_assets.domain.frames import Instant, Table

UNITS = {"unit": "each"}


class MovementKind(StrEnum):
    """Why stock moved."""

    RECEIPT = "receipt"
    SHIPMENT = "shipment"
    RETURN = "return"
    TRANSFER = "transfer"
    ADJUSTMENT = "adjustment"
    STORE_SALE = "store_sale"
    SCRAP = "scrap"


class StockLevels(Table):
    """One row per SKU and stock location as its source last told it."""

    sku: str = pa.Field(str_length={"min_value": 1}, description="Seller's article code")
    location: str = pa.Field(description="Our name of the stock location")
    source: str = pa.Field(description="System that told it")
    on_hand_units: int = pa.Field(metadata=UNITS, description="Physically there")
    allocated_units: int = pa.Field(
        ge=0, metadata=UNITS, description="Promised to orders the source knows, reserved or not"
    )
    quarantined_units: int = pa.Field(ge=0, metadata=UNITS, description="There, but not for sale")
    incoming_units: int = pa.Field(ge=0, metadata=UNITS, description="On their way to us")
    true_at: Instant = pa.Field(description="The moment the numbers are true for")

    class Config(Table.Config):
        unique = ["sku", "location"]


class StockMovements(Table):
    """One row per movement of stock that a source reports as done."""

    movement_ref: str = pa.Field(unique=True, description="Our key: system and its id")
    system: str = pa.Field(description="System that told it")
    item_id: int = pa.Field(description="The system's id of the item")
    sku: str = pa.Field(nullable=True, description="Seller's article code")
    kind: str = pa.Field(isin=list(MovementKind), description="Why it moved")
    from_warehouse: str = pa.Field(nullable=True, description="The system's code of the warehouse")
    to_warehouse: str = pa.Field(nullable=True, description="The system's code of the warehouse")
    units: int = pa.Field(ge=0, metadata=UNITS, description="How many")
    moved_at: Instant = pa.Field(description="When")
    origin: str = pa.Field(nullable=True, description="Document behind it")

    class Config(Table.Config):
        unique = ["movement_ref"]


class ReservationState(StrEnum):
    """Whether our reservation still counts, and why not."""

    OPEN = "open"
    COVERED = "covered"  # a reading newer than the ERP's allocation has it
    RELEASED = "released"  # the order ended, or wants less
    EXPIRED = "expired"  # never paid in time


class Reservations(Table):
    """One row per order and SKU: units promised to a customer that no stock reading shows yet."""

    order_ref: str = pa.Field(description="Our key of the order")
    sku: str = pa.Field(description="What is picked: a kit's components, not the kit")
    location: str = pa.Field(description="Where the order's store ships from")
    promised_units: int = pa.Field(ge=0, metadata=UNITS, description="Units the order wants now")
    allocated_units: int = pa.Field(
        ge=0, metadata=UNITS, description="Units of it the ERP has accepted"
    )
    open_units: int = pa.Field(
        ge=0, metadata=UNITS, description="Units no stock reading shows as allocated yet"
    )
    state: str = pa.Field(isin=list(ReservationState), description="Whether it counts")
    reserved_at: Instant = pa.Field(description="When the customer placed the order")
    allocated_at: Instant = pa.Field(nullable=True, description="When the ERP accepted it")
    expires_at: Instant = pa.Field(nullable=True, description="When it ends if nobody pays")
    ended_at: Instant = pa.Field(nullable=True, description="When it stopped to count")

    class Config(Table.Config):
        unique = ["order_ref", "sku"]


class Availability(Table):
    """One row per channel and SKU: what it may sell now, and what decided the number."""

    channel: str = pa.Field(description="Store or marketplace")
    sku: str = pa.Field(description="Seller's article code")
    atp_units: int = pa.Field(
        metadata=UNITS, description="Available to promise in the channel's locations"
    )
    safety_units: int = pa.Field(ge=0, metadata=UNITS, description="Kept back for safety")
    sellable_units: int = pa.Field(ge=0, metadata=UNITS, description="What the channel may sell")
    backorder_units: int = pa.Field(
        ge=0, metadata=UNITS, description="What it may sell beyond the stock"
    )
    lead_days: pd.Int64Dtype = pa.Field(
        nullable=True, metadata={"unit": "d"}, description="Days until what is not there ships"
    )
    limited_by: str = pa.Field(description="What decided: stock, safety, share, cap, component …")
    scarcest_sku: str = pa.Field(nullable=True, description="The component that decided, of a kit")
    policy_hash: str = pa.Field(description="The policy in force")
    computed_at: Instant = pa.Field(description="When the number was worked out")

    class Config(Table.Config):
        unique = ["channel", "sku"]
