"""Our sales orders in Tryton's words, and Tryton's orders and items in ours. Pure.

Amounts stay `Decimal`; Tryton refuses digits too many instead of rounding them. An order is known
there by its web shop and web id, its lines by their sequence.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

from sync_assets.domain.money import digits_of, priced, rounded
from sync_assets.domain.orders import Problem, Rejected, Row
from sync_assets.domain.sales import Address, Party, SalesLine, SalesOrder, SeenOrder

Payload = dict[str, Any]
References = Mapping[str, Mapping[str, int]]

PRICE_DIGITS = 4
#: The symbol of the unit of measure "Unit"; it has no digits behind the point.
UNIT = "u"
#: Sequences leave room for what people add between; a piece of a split line comes right after.
STEP, ROUNDING_SEQUENCE = 100, 1_000_000

STATE_OF = {
    "draft": "draft",
    "quotation": "draft",
    # Confirming answers "yes" before the order is processed; one left here has nothing behind it.
    "confirmed": "stuck",
    "processing": "confirmed",
    "done": "confirmed",
    "cancelled": "cancelled",
}


def parties(doc: SalesOrder, refs: References) -> list[Payload]:
    """Return what `put_parties` needs for an order; where the parcel goes is part of the order."""
    return [party(doc.party, refs)]


def party(party: Party, refs: References) -> Payload:
    """Return a customer with the address of the bill."""
    address = party.address
    contacts = (("email", address.email), ("phone", address.phone))
    return {
        "key": party.key,
        "name": address.company or address.name,
        "address": _address(address, refs, "party"),
        "contacts": [
            {"type": kind, "value": value.strip()} for kind, value in contacts if value.strip()
        ],
    }


def _address(address: Address, refs: References, part: str) -> Payload:
    """An address; its region is kept in the city, because not every country has regions there."""
    company, name = address.company.strip(), address.name.strip()
    street = [line.strip() for line in (address.street, address.street2) if line.strip()]
    place = [text.strip() for text in (address.city, address.region) if text.strip()]
    return {
        "party_name": company or name or None,
        "attn": name if company and name != company else None,
        "street": "\n".join(street) or None,
        "postal_code": address.postcode.strip() or None,
        "city": ", ".join(place) or None,
        "country": _country(address, refs, part),
    }


def _country(address: Address, refs: References, part: str) -> int | None:
    if not address.country:
        return None
    found = refs.get("country", {}).get(address.country)
    if found is None:
        text = f"Tryton has no country {address.country!r}"
        raise Rejected([Problem("erp.country_unknown", f"{part}.country", text)])
    return found


def order(doc: SalesOrder, refs: References, parties: Mapping[str, int]) -> Payload:
    """Return an order with its lines; raises Rejected with every reason."""
    known = _Known(doc, refs)
    customer, parcel = _addresses(doc, refs, known)
    payload = {
        "key": doc.key,
        "company": known.find("company", doc.company),
        "web_shop": known.find("web_shop", doc.web_shop or ""),
        "web_id": doc.order_id,
        "reference": doc.number,
        "party": parties[doc.party.key],
        "invoice_address": customer,
        "shipment_address": parcel,
        "warehouse": known.find("warehouse", doc.warehouse),
        "currency": known.find("currency", doc.currency),
        # Left out, it would be "today" in the company's time zone, not the day of the order.
        "sale_date": doc.placed_at.astimezone(UTC).date().isoformat(),
        "invoice_method": "order",
        "shipment_method": "order",
        # Otherwise the ERP adds a shipping line of its own and the total is no longer the shop's.
        "shipment_cost_method": None,
        "lines": list(_lines(doc, known)),
    }
    if known.problems:
        raise Rejected(known.problems)
    return payload


def _addresses(doc: SalesOrder, refs: References, known: "_Known") -> list[Payload]:
    found: list[Payload] = []
    for part, party in (("party", doc.party), ("ship_to", doc.ship_to)):
        try:
            found.append(_address(party.address, refs, part))
        except Rejected as fault:
            known.problems += fault.problems
            found.append({})
    return found


class _Known:
    """The ids behind the names of one order, and the names nobody knows."""

    def __init__(self, doc: SalesOrder, refs: References) -> None:
        self.doc, self.refs = doc, refs
        self.problems: list[Problem] = []

    def find(self, kind: str, name: str) -> int:
        """The id of a name, that of the order's own company first; 0 where there is none."""
        ids = self.refs.get(kind, {})
        found = ids.get(f"{self.doc.company}/{name}", ids.get(name))
        if found is None:
            text = f"Tryton has no single {kind.replace('_', ' ')} {name!r}"
            self.problem(f"erp.{kind}_unknown", kind, text)
        return found or 0

    def problem(self, code: str, part: str, message: str) -> None:
        """Remember a reason, each once."""
        found = Problem(code, part, message)
        if found not in self.problems:
            self.problems.append(found)


def _lines(doc: SalesOrder, known: _Known) -> Iterator[Payload]:
    unit = known.find("uom", UNIT)
    for place, line in enumerate(doc.lines, start=1):
        taxes = [known.find("tax", name) for name in line.taxes]
        pieces = _pieces(doc, line, known)
        given_up = sum((count for count, _ in pieces), Decimal()) != line.quantity
        words = f" ({line.quantity:f} units)" if given_up else ""
        for piece, (quantity, price) in enumerate(pieces):
            yield {
                "key": f"{line.key}:{piece + 1}" if piece else line.key,
                "sequence": STEP * place + piece,
                "product": line.item_id,
                "description": (line.description or line.item) + words,
                "quantity": quantity,
                "unit": unit,
                "unit_price": price,
                "taxes": taxes,
            }


def _pieces(doc: SalesOrder, line: SalesLine, known: _Known) -> list[tuple[Decimal, Decimal]]:
    digits = digits_of(doc.currency)
    if line.quantity != line.quantity.to_integral_value():
        return [(Decimal(1), line.net_amount)]  # the unit has no digits behind the point
    try:
        pieces = priced(line.net_amount, line.quantity, PRICE_DIGITS, digits)
        if any(_rounds_otherwise(*piece, digits) for piece in pieces):
            pieces = priced(line.net_amount, line.quantity, digits, digits)
    except ValueError as fault:
        known.problem("erp.amount_too_fine", line.key, str(fault))
        return []
    return pieces


def _rounds_otherwise(quantity: Decimal, price: Decimal, digits: int) -> bool:
    """Whether half a cent is in the balance: Tryton rounds it to the even cent, we do not."""
    exact = quantity * price
    theirs = exact.quantize(Decimal(1).scaleb(-digits), ROUND_HALF_EVEN)
    return theirs != rounded(exact, digits)


def rounding_line(doc: SalesOrder, amount: Decimal, item_id: int) -> Payload:
    """Return the untaxed line that makes the order's total equal to the shop's."""
    return {
        "key": f"{doc.key}:rounding",
        "sequence": ROUNDING_SEQUENCE,
        "product": item_id,
        "description": "Rounding",
        "quantity": Decimal(1),
        "unit_price": amount,
        "taxes": [],
    }


def seen(payload: Mapping[str, Any]) -> SeenOrder:
    """Return an order as Tryton shows it, in our words."""
    return SeenOrder(
        key=payload["key"],
        remote_id=int(payload["id"]),
        number=payload.get("number") or None,
        state="cancelled" if _called_off(payload) else _state(payload),
        total_amount=_amount(payload.get("total_amount")),
        lines=len(payload.get("lines") or ()),
        payload=dict(payload),
    )


def _state(payload: Mapping[str, Any]) -> str:
    word = payload.get("state")
    if word not in STATE_OF:
        text = f"Tryton calls the order {word!r}, a word we do not know"
        raise Rejected([Problem("erp.unknown_state", "state", text)])
    return STATE_OF[word]


def _called_off(payload: Mapping[str, Any]) -> bool:
    """Whether all behind a processed order was cancelled: Tryton then calls it done, too."""
    behind = bool(payload.get("shipments") or payload.get("invoices"))
    nothing_alive = payload.get("shipment_state") == payload.get("invoice_state") == "none"
    return payload.get("state") == "done" and nothing_alive and behind


def item(payload: Mapping[str, Any]) -> Row:
    """Return a product as the row that names its SKU; a price is a change of its template."""
    template = payload["template."]
    changed = (payload["last_modified_at"], template["last_modified_at"])
    return {
        "sku": payload.get("code") or None,
        "item_id": int(payload["id"]),
        "name": template.get("name") or "",
        "is_active": bool(payload["active"] and template["active"]),
        "changed_at": max(datetime.fromisoformat(moment) for moment in changed),
    }


def _amount(value: object) -> Decimal:
    if value is None:
        return Decimal()
    if isinstance(value, int | Decimal):
        return Decimal(value)
    raise TypeError(f"money must arrive as a decimal, not as {type(value).__name__}")
