"""What is taken back and paid back by itself: the typed form of `policies/returns.yaml`.

The file is data; this module says what may stand in it and answers what it says of one case. The
steps that follow from it are decided in `returning.py` and `refunding.py`.
"""

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Literal

import pydantic

from sync_assets.domain.policy import NAME, Part, sku_pattern
from sync_assets.domain.returns import Disposition

CURRENCY = Annotated[str, pydantic.StringConstraints(pattern=r"^[A-Z]{3}$")]
AMOUNT = Annotated[Decimal, pydantic.Field(ge=0, max_digits=18, decimal_places=4)]
PERCENT = Annotated[Decimal, pydantic.Field(ge=0, le=100, decimal_places=4)]
DAYS = Annotated[int, pydantic.Field(ge=1, le=3650)]
#: Amounts by currency: 100 is not the same in dollars and in yen.
Amounts = Mapping[CURRENCY, AMOUNT]


class DispositionRule(Part):
    """What becomes of some goods, or of goods back for some reasons; the first one wins."""

    #: SKUs and reasons; * is any characters, ? is one. Letter case of a reason does not count.
    skus: tuple[str, ...] = ("*",)
    reasons: tuple[str, ...] = ("*",)
    disposition: Disposition

    def fits(self, sku: str, reason: str) -> bool:
        """Whether the rule is for this article and reason."""
        return _any(self.skus, sku) and _any([one.casefold() for one in self.reasons], reason)


def _any(patterns: list[str] | tuple[str, ...], word: str) -> bool:
    return any(re.fullmatch(sku_pattern(one), word, re.DOTALL) for one in patterns)


class ReturnRule(Part):
    """What holds for the returns and refunds of a store. What is said here is what no file says:
    a person approves everything."""

    #: Asked for later than this after delivery, a person decides.
    window_days: DAYS = 30
    window_from: Literal["delivered", "shipped"] = "delivered"
    #: Whether a return that is asked for in time is agreed to by itself, and up to which value.
    auto_approve: bool = False
    auto_approve_up_to: Amounts | None = None
    #: Refunds above this wait for a person; a currency that is not named always does.
    approval_above: Amounts | None = None
    #: When the money goes back.
    refund_on: Literal["approved", "received", "inspected"] = "inspected"
    refund_shipping: Literal["never", "full_return", "always"] = "full_return"
    #: gateway: the shop's payment gateway sends it; manual: a person does, the shop writes it down.
    refund_method: Literal["gateway", "manual"] = "gateway"
    #: Kept of goods and their tax.
    restocking_fee_percent: PERCENT = Decimal(0)
    #: What becomes of goods nobody inspected; ask: a person says so for each.
    disposition: Disposition | Literal["ask"] = "ask"
    dispositions: tuple[DispositionRule, ...] = ()
    #: Below this value the goods need not come back.
    keep_below: Amounts = {}
    #: Agreed to, and never sent.
    expires_days: DAYS = 30
    #: Under way, and never arrived.
    lost_after_days: DAYS = 45
    #: A payment provider must have said by then how a refund ended.
    verdict_days: DAYS = 14
    exchanges: bool = False
    #: Goods that a shop's refund or cancellation is for come back, if they had left.
    expects_goods: bool = True

    def agrees_to(self, value: Decimal, currency: str) -> bool:
        """Whether a return of that value needs nobody's word."""
        if not self.auto_approve or self.auto_approve_up_to is None:
            return self.auto_approve
        limit = self.auto_approve_up_to.get(currency)
        return limit is not None and value <= limit

    def pays_by_itself(self, amount: Decimal, currency: str) -> bool:
        """Whether a refund of that amount needs nobody's word."""
        if not self.auto_approve or self.approval_above is None:
            return self.auto_approve
        limit = self.approval_above.get(currency)
        return limit is not None and amount <= limit

    def lets_keep(self, value: Decimal, currency: str) -> bool:
        """Whether goods of that value need not come back."""
        limit = self.keep_below.get(currency)
        return limit is not None and value < limit

    def disposition_of(self, sku: str, reason: str) -> Disposition | None:
        """What becomes of an article that nobody inspected; None: a person must say."""
        word = reason.casefold()
        found = next((one.disposition for one in self.dispositions if one.fits(sku, word)), None)
        if found is not None:
            return found
        return None if self.disposition == "ask" else Disposition(self.disposition)


class ReturnsPolicy(Part):
    """What is taken back and paid back, by store."""

    version: Literal[1] = 1
    default: ReturnRule = ReturnRule()
    #: A store says only what is otherwise there.
    stores: Mapping[NAME, ReturnRule] = {}

    def rule(self, store: str) -> ReturnRule:
        """The rule of a store."""
        own = self.stores.get(store)
        if own is None:
            return self.default
        said = {name: getattr(own, name) for name in own.model_fields_set}
        return self.default.model_copy(update=said)


#: Without a file nothing is agreed to or paid by itself, and nothing is expected back.
NO_FILE = ReturnsPolicy(default=ReturnRule(expects_goods=False))
