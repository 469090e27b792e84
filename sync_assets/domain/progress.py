"""What order lines have come to, as a table: the one place that says how much is still to do."""

import pandera.pandas as pa

from sync_assets.domain.frames import Table

UNITS = {"unit": "each"}


class OrderLineProgress(Table):
    """One row per order line that ships, with what has become of its units."""

    order_ref: str = pa.Field(description="The order")
    line_ref: str = pa.Field(description="The order line")
    sku: str = pa.Field(description="Seller's article code")
    ordered_units: int = pa.Field(ge=0, metadata=UNITS, description="Ordered")
    cancelled_units: int = pa.Field(
        ge=0, metadata=UNITS, description="Refunded or called off before they left"
    )
    requested_units: int = pa.Field(
        ge=0, metadata=UNITS, description="Asked of a warehouse and not shipped yet"
    )
    shipped_units: int = pa.Field(ge=0, metadata=UNITS, description="Left a warehouse")
    delivered_units: int = pa.Field(ge=0, metadata=UNITS, description="With the customer")
    returned_units: int = pa.Field(ge=0, metadata=UNITS, description="Came back")
    refunded_units: int = pa.Field(
        ge=0, metadata=UNITS, description="Given back in money without a return"
    )

    class Config(Table.Config):
        unique = ["order_ref", "line_ref"]
