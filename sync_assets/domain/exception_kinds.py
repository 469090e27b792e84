"""Every kind of exception in one table: whose it is, when it is due, what it stops, what ends it.

Where and when one is opened is decided by the steps; how it is kept, by the store.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from sync_assets.domain.findings import FINDINGS, Finding


class Finder(StrEnum):
    """Which step finds it, and closes it when it does not find it again."""

    READING = "reading"
    MAPPING = "mapping"
    VALIDATION = "validation"
    PLANNING = "planning"
    SENDING = "sending"
    WATCHING = "watching"


class Proof(StrEnum):
    """How it comes to light when a person closes it and it was not mended."""

    #: Its step looks at every open case in every run, and opens it again.
    LOOKED_AGAIN = "looked_again"
    #: No step looks again by itself: the ERP is asked before the person is believed.
    ERP_ASKED = "erp_asked"


@dataclass(frozen=True)
class Kind:
    """What a kind of trouble means for its subject."""

    owner_role: str
    found_by: Finder
    #: Ends the sentence "Closes by itself when …".
    ends: str
    due_after: timedelta = timedelta(hours=24)
    subject_kind: str = "order"
    blocks: bool = True
    can_release: bool = False
    #: None: a person's word would hide it, because nothing would open it again.
    proof: Proof | None = None


def _mapped(owner_role: str, ends: str) -> Kind:
    return Kind(owner_role, Finder.MAPPING, ends)


def _judged(owner_role: str, ends: str, *, can_release: bool = False, blocks: bool = True) -> Kind:
    return Kind(
        owner_role,
        Finder.VALIDATION,
        ends,
        blocks=blocks,
        can_release=can_release,
        proof=Proof.LOOKED_AGAIN,
    )


def _sent(owner_role: str, ends: str) -> Kind:
    """The parked write holds back what comes after it, not the exception."""
    return Kind(owner_role, Finder.SENDING, ends, blocks=False, proof=Proof.LOOKED_AGAIN)


_READABLE = (
    "the shop sends a version we can read, or `sync-assets remap` reads the kept one again with a "
    "mended mapper"
)
_ITEM = "the ERP has one active item of that SKU, or the line in the shop names another"
_ORDER = "the order in the shop is corrected or cancelled"
_SENT = "the write goes through, or the order is cancelled in the shop"
_STOCK_SENT = "the number is written, or the shop shows it by itself"

_LISTED = "the shop names a SKU of the ERP, or the listing is gone"


def _of_product(owner_role: str, ends: str) -> Kind:
    """Something about a product that no single write can mend; it stops nothing else."""
    return Kind(
        owner_role,
        Finder.PLANNING,
        ends,
        subject_kind="product",
        blocks=False,
        proof=Proof.LOOKED_AGAIN,
    )


def _of_item(ends: str) -> Kind:
    return Kind("operations", Finder.MAPPING, ends, subject_kind="product", blocks=False)


def _after(
    owner_role: str,
    ends: str,
    *,
    can_release: bool = False,
    subject_kind: str = "thing",
    due_after: timedelta = timedelta(hours=24),
) -> Kind:
    """Something after the sale: it stops its own return or refund, and nothing else."""
    return Kind(
        owner_role,
        Finder.PLANNING,
        ends,
        due_after=due_after,
        subject_kind=subject_kind,
        blocks=False,
        can_release=can_release,
        proof=Proof.LOOKED_AGAIN,
    )


def _of_shipping(ends: str, *, looks_at: str, owner: str = "operations") -> Kind:
    """Found anew whenever the thing is looked at; nothing else waits for it."""
    return Kind(
        owner,
        Finder.PLANNING,
        ends,
        subject_kind=looks_at,
        blocks=False,
        proof=Proof.LOOKED_AGAIN,
    )


def _of_file(ends: str) -> Kind:
    """What a file says only once: a newer one does not end it."""
    return Kind(
        "operations",
        Finder.READING,
        ends,
        subject_kind="system",
        blocks=False,
        can_release=True,
    )


def _of_money(finding: Finding) -> Kind:
    """Worked out anew by every run of the settlements; it stops nothing else."""
    return Kind(
        finding.owner_role,
        Finder.PLANNING,
        finding.ends,
        due_after=finding.due_after,
        subject_kind="settlement",
        blocks=False,
        can_release=finding.can_release,
        proof=Proof.LOOKED_AGAIN,
    )


KINDS: dict[str, Kind] = {
    **{code: _of_money(finding) for code, finding in FINDINGS.items()},
    "system.unreadable": Kind(
        "engineer",
        Finder.READING,
        "the system answers again; the next run asks it",
        due_after=timedelta(hours=1),
        subject_kind="system",
        blocks=False,
        proof=Proof.LOOKED_AGAIN,
    ),
    "thing.malformed": Kind(
        "engineer",
        Finder.MAPPING,
        "a newer version of it can be read",
        subject_kind="thing",
        blocks=False,
    ),
    "order.malformed": _mapped("engineer", _READABLE),
    "order.unknown_state": _mapped("engineer", _READABLE),
    "order.total_untied": _mapped("finance", _READABLE),
    "order.invalid": _mapped("engineer", _READABLE),
    "customer.malformed": _mapped("engineer", _READABLE),
    "order.store_unknown": _judged("engineer", "the configuration says where the store's go"),
    "order.sku_missing": _judged("operations", "the line in the shop names a SKU"),
    "order.sku_unknown": _judged("operations", _ITEM),
    "order.sku_inactive": _judged("operations", _ITEM),
    "order.sku_ambiguous": _judged("operations", _ITEM),
    "order.tax_unmapped": _judged("finance", "the store's `taxes` in the configuration name it"),
    "order.tax_missing": _judged("finance", _ORDER, can_release=True),
    "order.currency_not_allowed": _judged(
        "finance", "the store's `currencies` in the configuration allow it"
    ),
    "order.total_negative": _judged("finance", _ORDER),
    "order.total_zero": _judged("operations", _ORDER, can_release=True),
    "order.quantity_zero": _judged("operations", _ORDER),
    "order.no_lines": _judged("operations", _ORDER),
    "order.address_missing": _judged("support", _ORDER, can_release=True),
    "order.many_lines": _judged("operations", _ORDER, blocks=False),
    "order.changed_after_acceptance": Kind(
        "operations",
        Finder.PLANNING,
        "the shop wants again what the ERP holds, or the order is cancelled there",
        blocks=False,
        proof=Proof.ERP_ASKED,
    ),
    "order.vanished": Kind(
        "operations",
        Finder.MAPPING,
        "the order is there again in the shop",
        blocks=False,
        can_release=True,
    ),
    "store.orders_vanished": Kind(
        "engineer",
        Finder.WATCHING,
        "the shop has the orders again",
        due_after=timedelta(hours=1),
        subject_kind="system",
        blocks=False,
        can_release=True,
    ),
    "webhook.unhealthy": Kind(
        "engineer",
        Finder.WATCHING,
        "the next look finds the webhook active, with our address and secret",
        due_after=timedelta(hours=4),
        subject_kind="system",
        blocks=False,
        proof=Proof.LOOKED_AGAIN,
    ),
    "webhook.failing": Kind(
        "engineer",
        Finder.WATCHING,
        "the webhook stays active from one look to the next",
        due_after=timedelta(minutes=15),
        subject_kind="system",
        blocks=False,
        proof=Proof.LOOKED_AGAIN,
    ),
    "order.stock_unconfirmed": Kind(
        "operations",
        Finder.SENDING,
        "the order is cancelled",
        blocks=False,
        proof=Proof.ERP_ASKED,
    ),
    "stock.mass_drop": Kind(
        "operations",
        Finder.PLANNING,
        "fewer listings would be emptied, because their sources tell of stock again",
        due_after=timedelta(hours=1),
        subject_kind="system",
        blocks=False,
        can_release=True,
    ),
    "stock.managed_by_parent": Kind(
        "operations",
        Finder.PLANNING,
        "the variation keeps its own stock in the shop, or its parent has a number of its own",
        subject_kind="thing",
        blocks=False,
        proof=Proof.LOOKED_AGAIN,
    ),
    "stock.refused": Kind(
        "operations",
        Finder.SENDING,
        _STOCK_SENT,
        subject_kind="thing",
        blocks=False,
        proof=Proof.LOOKED_AGAIN,
    ),
    "stock.listing_gone": Kind(
        "operations",
        Finder.SENDING,
        "the shop shows the product again, or its listing is known to be gone",
        subject_kind="thing",
        blocks=False,
        proof=Proof.LOOKED_AGAIN,
    ),
    "stock.drift": Kind(
        "operations",
        Finder.WATCHING,
        "the next comparison finds no more differences than may be healed",
        subject_kind="system",
        blocks=False,
        can_release=True,
    ),
    "stock.shortfall": Kind(
        "operations",
        Finder.WATCHING,
        "there is as much as was promised: stock came in, or orders were cancelled",
        due_after=timedelta(hours=4),
        subject_kind="thing",
        blocks=False,
        proof=Proof.LOOKED_AGAIN,
    ),
    "erp.amount_differs": _sent("finance", _SENT),
    "product.sku_missing": _of_product("operations", "the item has a SKU, or is archived"),
    "product.sku_doubled": _of_product("operations", "one active item of the ERP has the SKU"),
    "listing.sku_missing": _of_product("operations", _LISTED),
    "listing.sku_unknown": _of_product("operations", _LISTED),
    "listing.sku_doubled": _of_product("operations", "one listing of the shop has the SKU"),
    "catalog.field_conflict": _of_product(
        "operations",
        "shop and ERP say the same again, or the catalog policy treats the change otherwise",
    ),
    "product.refused": Kind(
        "operations",
        Finder.SENDING,
        "the shop takes the write, or the plan no longer wants it",
        subject_kind="product",
        blocks=False,
        proof=Proof.LOOKED_AGAIN,
    ),
    "product.variants_alike": _of_item("the ERP tells the variants apart by their attributes"),
    "product.weight_unclear": _of_item("the ERP names a unit of weight for the item"),
    "product.price_unclear": _of_item("the ERP's price can be stated as an amount"),
    "product.unclear": _of_item("the ERP says it in a way that can be told to a shop"),
    "product.components_unclear": _of_item("the ERP states the kit in whole components"),
    "stock.location_unknown": Kind(
        "engineer",
        Finder.MAPPING,
        "a location of the stock policy names the warehouse, and it is read again",
        subject_kind="system",
        blocks=False,
        can_release=True,
    ),
    "stock.line_invalid": Kind(
        "operations",
        Finder.READING,
        "the warehouse sends a file without such a line",
        subject_kind="system",
        blocks=False,
        can_release=True,
    ),
    "stock.file_refused": Kind(
        "operations",
        Finder.READING,
        "the warehouse sends a file that can be read",
        due_after=timedelta(hours=4),
        subject_kind="system",
        blocks=False,
        can_release=True,
    ),
    "stock.kit_circle": Kind(
        "operations",
        Finder.PLANNING,
        "the ERP's bills of components no longer lead back to the kit",
        subject_kind="product",
        blocks=False,
        proof=Proof.LOOKED_AGAIN,
    ),
    "fulfilment.no_place": _of_shipping(
        "the fulfilment policy names a place that ships there", looks_at="order"
    ),
    "fulfilment.no_stock": _of_shipping(
        "a place has the stock, or the units are called off", looks_at="order"
    ),
    "fulfilment.held": Kind(
        "operations",
        Finder.WATCHING,
        "somebody lets it go, or the order is cancelled",
        subject_kind="fulfilment",
        can_release=True,
    ),
    "fulfilment.refused": _of_shipping(
        "the warehouse takes it after all, or it is replanned or cancelled", looks_at="fulfilment"
    ),
    "fulfilment.on_hold": _of_shipping("the warehouse goes on with it", looks_at="fulfilment"),
    "fulfilment.change_at_erp": _of_shipping(
        "the ERP's delivery is as the order wants it", looks_at="order"
    ),
    "shipment.order_unknown": _of_shipping(
        "the order it names is known", looks_at="shipment", owner="support"
    ),
    "shipment.line_unknown": _of_shipping(
        "the order has a line with that SKU, or the shipment is corrected", looks_at="shipment"
    ),
    "shipment.more_than_ordered": _of_shipping(
        "the warehouse corrects the shipment, or the order is for as many", looks_at="order"
    ),
    "shipment.after_the_end": _of_shipping(
        "the goods have come back, or the order is alive again", looks_at="order", owner="support"
    ),
    "tracking.word_unknown": Kind(
        "engineer",
        Finder.MAPPING,
        "the word has a state in our tables",
        subject_kind="carrier",
        blocks=False,
        can_release=True,
    ),
    "tracking.unreadable": Kind(
        "engineer",
        Finder.MAPPING,
        "the carrier sends an answer that can be read",
        subject_kind="thing",
        blocks=False,
        can_release=True,
    ),
    "parcel.lost": Kind(
        "support",
        Finder.MAPPING,
        "the carrier finds it",
        due_after=timedelta(hours=8),
        subject_kind="parcel",
        blocks=False,
        can_release=True,
    ),
    "parcel.troubled": Kind(
        "support",
        Finder.MAPPING,
        "the parcel moves on",
        subject_kind="parcel",
        blocks=False,
        can_release=True,
    ),
    "warehouse_file.line_invalid": _of_file("a person has seen to the line"),
    "warehouse_file.refused": _of_file("a person has seen to the file"),
    "policy.invalid": Kind(
        "engineer",
        Finder.READING,
        "the next run can use the policy file",
        due_after=timedelta(hours=4),
        subject_kind="policy",
        blocks=False,
        proof=Proof.LOOKED_AGAIN,
    ),
    "return.order_unknown": _after("support", "the order it names is known"),
    "return.approval": _after(
        "support",
        "`sync-assets returns approve` or `reject` decides it, or the goods come",
        subject_kind="return",
    ),
    "return.inspection": _after(
        "operations",
        "`sync-assets returns inspect` says what becomes of every unit",
        subject_kind="return",
    ),
    "return.too_many": _after(
        "operations", "more of the order is known to have left", can_release=True
    ),
    "return.late_units": _after(
        "operations", "its sender tells the units it told before", can_release=True
    ),
    "return.lost": _after(
        "support",
        "its goods are received, or `sync-assets returns cancel` ends it",
        subject_kind="return",
    ),
    "return.exchange_dearer": _after(
        "support", "a person releases it, once the difference is settled", can_release=True
    ),
    "refund.approval": _after(
        "finance", "`sync-assets returns approve` or `reject` decides it", subject_kind="refund"
    ),
    "refund.over": _after(
        "finance", "as much is left of the order again", can_release=True, subject_kind="refund"
    ),
    "refund.failed": _after(
        "finance",
        "the provider or a person says that the money is there",
        can_release=True,
        subject_kind="refund",
        due_after=timedelta(hours=4),
    ),
    "refund.vanished": _after(
        "finance", "the shop shows it again", can_release=True, subject_kind="refund"
    ),
    "refund.unconfirmed": _after(
        "finance", "the provider says how it ended", subject_kind="refund"
    ),
    "refund.not_sent": _after(
        "finance",
        "the store's `publishes` names refunds, or the shop shows a refund of that amount",
        subject_kind="refund",
    ),
    "refund.paid_after_all": _after(
        "finance",
        "a person releases it, once it is booked by hand",
        can_release=True,
        subject_kind="refund",
    ),
    "refund.not_creditable": _after(
        "finance",
        "the ERP has the items and the configuration the taxes that it names",
        subject_kind="refund",
    ),
    "refund.verdict_unmatched": _after(
        "finance", "one refund of that payment and amount is known", can_release=True
    ),
    # Technical faults, not rules of the business.
    "erp.given_up": _sent("engineer", _SENT),
    "erp.contract_broken": _sent("engineer", _SENT),
}
#: Systems refuse for reasons of their own; the mappers and clients name them.
ERP_TROUBLE = _sent("operations", _SENT)
_WANTED = "the write goes through, or nothing of the kind is wanted any more"
#: What begins so is found, and ended again, by sending alone: what an ERP is told after the sale,
#: what a shop and what a warehouse is told.
TROUBLE: dict[str, Kind] = {
    "erp.": ERP_TROUBLE,
    "book.": _sent("finance", _WANTED),
    "delivery.": _sent("operations", _WANTED),
    "shop.": _sent("support", _WANTED),
    "warehouse.": _sent("operations", _WANTED),
}

#: Told when a version says that the order is gone; unlike the others it is no fault of a payload.
VANISHED = "order.vanished"
MAPPING_CODES = [
    code
    for code, kind in KINDS.items()
    if kind.found_by == Finder.MAPPING and kind.subject_kind == "order" and code != VANISHED
]
#: Found and ended by looking at an order's returns and refunds.
AFTER_SALE_CODES = [
    *("return.approval", "return.inspection", "return.too_many", "return.lost"),
    *("return.exchange_dearer", "refund.approval", "refund.over", "refund.failed"),
    *("refund.vanished", "refund.unconfirmed", "refund.not_sent", "refund.paid_after_all"),
]
VALIDATION_CODES = [code for code, kind in KINDS.items() if kind.found_by == Finder.VALIDATION]
#: What begins so is found, and ended again, by sending alone.
SENDING_CODES = "erp."


def kind_of(code: str) -> Kind:
    """The kind of a code; one that nobody entered here is a mistake."""
    found = known(code)
    if found is None:
        raise LookupError(f"no kind of exception is called {code!r}")
    return found


def known(code: str) -> Kind | None:
    """The kind of a code; None for one of another version of this program."""
    return KINDS.get(code) or next(
        (kind for prefix, kind in TROUBLE.items() if code.startswith(prefix)), None
    )


def due_after(kind: Kind, hours: float | None, by_role: Mapping[str, float]) -> timedelta:
    """How long it may be open: what the deployment says of its owner, of all, else its own time."""
    said = by_role.get(kind.owner_role, hours)
    return kind.due_after if said is None else timedelta(hours=said)


def what_ends(
    code: str, exception_id: int, *, can_release: bool, is_parked: bool = False
) -> list[str]:
    """What ends an open exception, a sentence for each way."""
    kind, command = known(code), "`sync-assets exceptions"
    ways = [f"Closes by itself when {kind.ends}."] if kind else []
    if is_parked:
        ways.append(f"Retry with {command} retry {exception_id}` once its cause is mended.")
    if can_release:
        ways.append(
            f"Release with {command} release {exception_id} --reason …`: it goes on as it is, "
            "until it changes again."
        )
    if kind and kind.proof and not is_parked:
        ways.append(
            f"Resolve with {command} resolve {exception_id} --reason …` if it was mended outside; "
            f"{_PROOFS[kind.proof]}."
        )
    return ways or ["Ends with the version of this program that opened it."]


_PROOFS = {
    Proof.LOOKED_AGAIN: "if it was not, the next run opens it again",
    Proof.ERP_ASKED: "the ERP is asked first",
}


def why_unresolvable(code: str, exception_id: int, *, is_parked: bool) -> str | None:
    """Why a person must not close it by hand, and what to do instead; None if they may."""
    kind = known(code)
    if is_parked:
        return (
            "its write is parked. Send it with `sync-assets exceptions retry "
            f"{exception_id}`, or cancel the order in the shop; either ends the exception"
        )
    if kind is None or kind.proof is None:
        ends = kind.ends if kind else "the version of this program that opened it says so"
        return f"nothing would open it again if it was not mended. It closes by itself when {ends}"
    return None
