"""What belongs to what, and what is open, as the data team reads it."""

import pandera.pandas as pa

from sync_assets.domain.frames import Instant, Money, Table
from sync_assets.domain.payments import CURRENCY

WORD = r"^[a-z_]+$"


class Matches(Table):
    """One row per match: what belongs to what, by which rule, with what difference.

    A match is ended, never deleted; its items are in `core.match_items`.
    """

    match_id: int = pa.Field(description="Number of the match")
    provider: str = pa.Field(nullable=True, description="Our name of the provider's account")
    rule: str = pa.Field(str_matches=WORD, description="Which rule found it; `person`: somebody")
    reason: str = pa.Field(
        str_length={"min_value": 1}, description="In words: which rule, which difference"
    )
    difference_amount: Money = pa.Field(description="Settled less expected, in `currency`")
    currency: str = pa.Field(str_matches=CURRENCY, description="ISO 4217 code")
    account: str = pa.Field(
        nullable=True,
        description="Kind of account for what differs or has no counterpart; none: by the line",
    )
    matched_at: Instant = pa.Field(description="When")
    matched_by: str = pa.Field(str_length={"min_value": 1}, description="Who: a person, or `rules`")
    ended_at: Instant = pa.Field(nullable=True, description="When it was ended; none: it holds")
    ended_by: str = pa.Field(nullable=True, description="By whom")
    end_reason: str = pa.Field(nullable=True, description="And why")

    class Config(Table.Config):
        unique = ["match_id"]


class OpenItems(Table):
    """One row per thing that is open or doubtful and the reason; worked out anew by each run.

    Owner and age are with the exception of the same subject and code.
    """

    side: str = pa.Field(str_matches=WORD, description="The ledger it is in")
    ref: str = pa.Field(str_length={"min_value": 1}, description="Our key of the thing there")
    finding: str = pa.Field(
        str_startswith="settlement.", description="The reason; also the code of its exception"
    )
    detail: str = pa.Field(description="The reason in words, with the figures")
    provider: str = pa.Field(nullable=True, description="Our name of the provider's account")
    order_ref: str = pa.Field(nullable=True, description="The order, where one is known")
    amount: Money = pa.Field(description="Money at stake, signed, in `currency`")
    currency: str = pa.Field(description="ISO 4217 code; empty where no money is at stake")
    since: Instant = pa.Field(description="Since when the money waits")
    is_waiting: bool = pa.Field(description="It waits for a time that will come, not for a person")
    found_at: Instant = pa.Field(description="When it was last worked out")

    class Config(Table.Config):
        unique = ["side", "ref", "finding"]
