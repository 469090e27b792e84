"""What must change in a shop so that it shows what we want: field by field, each by its owner.

Pure: what is wanted, what the shop shows and what we last wrote in, a decision out. A field that
differs from what we wrote although we want nothing else was changed over there.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import Any, Literal

from sync_assets.domain.listing_rules import Wanted, plain_number
from sync_assets.domain.orders import Row
from sync_assets.domain.ownership import FIELDS, StorePolicy

Treatment = Literal["to_write", "put_back", "raised", "accepted"]
#: A field of the policy to the columns of core.listings it speaks of.
COLUMNS: Mapping[str, tuple[str, ...]] = {
    **{name: (name,) for name in FIELDS},
    "regular_price": ("regular_amount",),
    "sale_price": ("sale_amount", "sale_from", "sale_until"),
    "tax_class": ("tax_class", "tax_status"),
}
#: The same field to the fields of a write.
WRITTEN: Mapping[str, frozenset[str]] = {
    **{name: frozenset({name}) for name in FIELDS},
    "sale_price": frozenset({"sale_price", "sale_from", "sale_until"}),
    "tax_class": frozenset({"tax_class", "tax_status"}),
}
_INHERITED = frozenset({"name", "tax_class", "categories"})
_OF_VARIATIONS = frozenset({"regular_price", "sale_price", "weight", "barcode", "is_virtual"})
#: What a kind of product has not of its own: a variation's parent has it, or its variations.
NOT_OF: Mapping[str, frozenset[str]] = {"variation": _INHERITED, "variable": _OF_VARIATIONS}
#: Where the ERP says nothing of these it has no opinion; it does not want them gone.
SILENT_IF_EMPTY = ("categories", "attributes", "images")


class Action(StrEnum):
    """What must be done in the shop."""

    CREATE = "create"
    CHANGE = "change"
    ARCHIVE = "archive"
    NONE = "none"
    CONFLICT = "conflict"


@dataclass(frozen=True)
class Difference:
    """One field that a shop shows otherwise than the ERP says."""

    field: str
    wanted: str
    seen: str
    owner: str
    treatment: Treatment
    #: Somebody changed it over there.
    is_foreign: bool = False


@dataclass(frozen=True)
class Held:
    """What a shop holds of a product: listings with its SKU, and what we last wrote."""

    listings: Sequence[Row] = ()
    #: Field to text, as `canonical` gives it; None if we never wrote it.
    written: Mapping[str, str] | None = None
    was_archived: bool = False
    #: The product we wrote, where it shows another SKU now.
    renamed: Row | None = None


@dataclass(frozen=True)
class Decision:
    """What the plan says of one product."""

    action: Action
    reason: str | None = None
    product_id: int | None = None
    changed: tuple[str, ...] = ()
    differences: tuple[Difference, ...] = ()
    #: Fields of the ERP's that both sides show alike: what we may count as written.
    agreed: Mapping[str, str] = field(default_factory=dict)


def canonical(field: str, row: Mapping[str, Any]) -> str:
    """A field's value as text, the same text for what means the same."""
    values = [row.get(column) for column in COLUMNS[field]]
    if field == "sale_price":
        return _sale(*values)
    if field == "tax_class" and values[1] == "none":
        return "none"
    return _CANONICAL.get(field, _text)(values[0])


def _text(value: Any) -> str:
    return "" if value is None else str(value).strip()


def _flag(value: Any) -> str:
    return "yes" if value else "no"


def _amount(value: Decimal | None) -> str:
    return "" if value is None else plain_number(value)


def _weight(value: Any) -> str:
    """A weight of nothing is none; shops write both."""
    try:
        number = Decimal(_text(value) or "0")
    except InvalidOperation:
        return _text(value)
    return plain_number(number) if number else ""


def _sale(amount: Decimal | None, start: datetime | None, end: datetime | None) -> str:
    if amount is None:
        return ""
    return _amount(amount) + "".join(
        f" {word} {moment.replace(microsecond=0).isoformat()}"
        for word, moment in (("from", start), ("until", end))
        if moment
    )


def _attributes(value: Mapping[str, Any] | None) -> str:
    parts = []
    for name, options in sorted((value or {}).items()):
        listed = [options] if isinstance(options, str) else sorted(options)
        parts.append(f"{name}: {', '.join(listed)}")
    return "; ".join(parts)


_CANONICAL = {
    "regular_price": _amount,
    "weight": _weight,
    "is_virtual": _flag,
    "categories": lambda value: " | ".join(sorted(value or ())),
    "images": lambda value: " | ".join(value or ()),
    "attributes": _attributes,
}


def fields_of(wanted: Wanted) -> list[str]:
    """The fields a shop keeps for this kind of product and the ERP has something to say of."""
    listing = wanted.listing
    if listing is None:
        return []
    kept = [name for name in FIELDS if name not in NOT_OF.get(listing.kind, frozenset())]
    return [n for n in kept if n not in SILENT_IF_EMPTY or getattr(listing, n)]


def decide(wanted: Wanted, expected: Row | None, held: Held, policy: StorePolicy) -> Decision:
    """What must be done about one product; `expected` is how the shop would show what is wanted."""
    if len(held.listings) > 1:
        ids = ", ".join(str(row["product_id"]) for row in held.listings)
        return Decision(Action.CONFLICT, f"the shop has the SKU more than once: products {ids}")
    seen = held.listings[0] if held.listings else None
    if wanted.listing is None or expected is None:
        return _put_away(wanted, seen, held, policy)
    if seen is None and held.renamed is not None:
        reason = f"product {held.renamed['product_id']} in the shop has another SKU now"
        return Decision(Action.CONFLICT, reason, held.renamed["product_id"])
    if seen is None:
        return _make(held, policy)
    if seen["kind"] != wanted.listing.kind:
        reason = f"the shop has it as {seen['kind']}, not as {wanted.listing.kind}"
        return Decision(Action.CONFLICT, reason, seen["product_id"])
    return _compare(wanted, expected, seen, held, policy)


def _make(held: Held, policy: StorePolicy) -> Decision:
    if held.written is not None and not held.was_archived:
        rule = policy.of("status")
        if rule.owner == "shop" or rule.on_foreign_change == "accept":
            return Decision(Action.NONE, "deleted in the shop, which owns the status")
        if rule.on_foreign_change == "raise":
            gone = Difference("status", "publish", "deleted", "erp", "raised", is_foreign=True)
            return Decision(Action.CONFLICT, "deleted in the shop", differences=(gone,))
    if not policy.creates_missing:
        return Decision(Action.NONE, "the policy makes no new products")
    return Decision(Action.CREATE)


def _put_away(wanted: Wanted, seen: Row | None, held: Held, policy: StorePolicy) -> Decision:
    """End what is over in the ERP; what is only not wanted, or never was ours, stays as it is."""
    key = seen["product_id"] if seen else None
    if seen is None or not wanted.is_archived:
        return Decision(Action.NONE, wanted.reason, key)
    shown, ended = seen["status"], policy.archived_becomes
    if seen["kind"] == "variation" and ended == "draft":
        ended = "private"  # a shop shows drafts of variations in no list
    if shown in (ended, "trash"):
        return Decision(Action.NONE, wanted.reason, key)
    rule = policy.of("status")
    if rule.owner == "shop":
        return Decision(Action.NONE, f"{wanted.reason}; the shop owns the status", key)
    told = Difference("status", ended, shown, "erp", "to_write")
    if held.was_archived and (held.written or {}).get("status") == ended:
        told = _foreign("status", ended, shown, rule.on_foreign_change)
    if told.treatment in ("raised", "accepted"):
        action = Action.CONFLICT if told.treatment == "raised" else Action.NONE
        return Decision(action, f"{wanted.reason}, and shown again in the shop", key, (), (told,))
    return Decision(Action.ARCHIVE, wanted.reason, key, ("status",), (told,))


def _compare(wanted: Wanted, expected: Row, seen: Row, held: Held, policy: StorePolicy) -> Decision:
    found = tuple(
        one
        for field in fields_of(wanted)
        if (one := _difference(field, wanted, expected, seen, held, policy)) is not None
    )
    changed = tuple(d.field for d in found if d.treatment in ("to_write", "put_back"))
    raised = [d.field for d in found if d.treatment == "raised"]
    action = Action.CHANGE if changed else Action.CONFLICT if raised else Action.NONE
    reason = f"changed in the shop: {', '.join(raised)}" if raised else None
    differ = {one.field for one in found}
    agreed = {f: canonical(f, seen) for f in fields_of(wanted) if f not in differ}
    return Decision(action, reason, seen["product_id"], changed, found, agreed)


def _difference(
    field: str, wanted: Wanted, expected: Row, seen: Row, held: Held, policy: StorePolicy
) -> Difference | None:
    ours, theirs = canonical(field, expected), canonical(field, seen)
    if ours == theirs or _is_shown_as_reviewed(field, seen, policy):
        return None
    rule, last = policy.of(field), (held.written or {}).get(field)
    if rule.owner == "shop":
        return Difference(field, ours, theirs, "shop", "accepted")
    if field == "status" and _is_back(seen, held):
        return Difference(field, ours, theirs, "erp", "to_write")
    if last is None or last == theirs:
        return Difference(field, ours, theirs, "erp", "to_write")
    if last != ours and rule.on_foreign_change == "accept":
        # Accepted until the ERP says something new, and now it does.
        return Difference(field, ours, theirs, "erp", "to_write", is_foreign=True)
    return _foreign(field, ours, theirs, rule.on_foreign_change)


def _is_shown_as_reviewed(field: str, seen: Row, policy: StorePolicy) -> bool:
    """Whether a person published what we made for them to look at first."""
    return field == "status" and policy.new_status != "publish" and seen["status"] == "publish"


def _is_back(seen: Row, held: Held) -> bool:
    """Whether the product was put away by us and is for sale again."""
    return held.was_archived and seen["status"] in ("draft", "private", "trash")


def _foreign(field: str, ours: str, theirs: str, rule: str) -> Difference:
    treatments: Mapping[str, Treatment] = {
        "put_back": "put_back",
        "raise": "raised",
        "accept": "accepted",
    }
    return Difference(field, ours, theirs, "erp", treatments[rule], is_foreign=True)
