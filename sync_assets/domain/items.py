"""Items: which of an ERP's things stands behind a SKU."""

import pandera.pandas as pa

from sync_assets.domain.frames import Instant, Table


class ProductRefs(Table):
    """One row per ERP and item: the identity of a SKU there."""

    system: str = pa.Field(description="Our name of the ERP")
    item_id: int = pa.Field(description="The ERP's id")
    sku: str = pa.Field(nullable=True, description="Seller's article code, as the ERP writes it")
    name: str = pa.Field(description="Name in the ERP")
    is_active: bool = pa.Field(description="Not archived there")
    changed_at: Instant = pa.Field(description="When the ERP last changed it")

    class Config(Table.Config):
        unique = ["system", "item_id"]
