"""Our sales orders in Odoo's words, 18 and 19, and Odoo's orders and items in ours. Pure.

Payloads are rows for `load()`: texts by column, external ids without their module. Odoo says
`false` for every missing value. Fields are named as in 19; the client knows the older names.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from sync_assets.domain.money import digits_of, priced, rounded
from sync_assets.domain.orders import Problem, Rejected, Row
from sync_assets.domain.sales import Address, Party, SalesLine, SalesOrder, SeenOrder

Payload = dict[str, Any]
References = Mapping[str, Mapping[str, int]]

#: Odoo 18 rounds unit prices to two digits without a word, 19 keeps more: two hold in both.
PRICE_DIGITS = 2
#: The only form Odoo reads; `T`, `Z`, offsets and fractions are refused.
MOMENT = "%Y-%m-%d %H:%M:%S"

STATE_OF = {
    "draft": "draft",
    "sent": "draft",
    "sale": "confirmed",
    "done": "confirmed",
    "cancel": "cancelled",
}


def xid(prefix: str, key: str) -> str:
    """Return the external id of our key: other keys give other ids, in `[A-Za-z0-9_]` only."""
    if not (prefix.isascii() and prefix.isalnum()):
        raise ValueError(f"the prefix {prefix!r} must be letters and digits")
    return prefix + "_" + "".join(_escaped(letter) for letter in key)


def _escaped(letter: str) -> str:
    if letter.isascii() and letter.isalnum():
        return letter
    return "".join(f"_{byte:02x}" for byte in letter.encode())


def parties(doc: SalesOrder, refs: References) -> list[Payload]:
    """Return what `put_parties` needs for an order: its customer and the address of the parcel."""
    customer = party(doc.party, refs)
    if doc.ship_to.key == doc.party.key:
        return [customer]
    return [customer, delivery_address(doc.ship_to, doc.party, refs)]


def party(party: Party, refs: References) -> Payload:
    """Return a customer as a row of `res.partner`."""
    return {"key": party.key, "parent": None, "fields": _partner("party", "contact", party, refs)}


def delivery_address(ship_to: Party, party: Party, refs: References) -> Payload:
    """Return an address of `party`; the client puts the customer's id into `parent_id/.id`."""
    fields = _partner("address", "delivery", ship_to, refs)
    return {"key": ship_to.key, "parent": party.key, "fields": fields}


def _partner(prefix: str, kind: str, party: Party, refs: References) -> Row:
    address = party.address
    state = refs.get("state", {}).get(f"{address.country}/{address.region}")
    # Odoo keeps states of some countries only; elsewhere the region stays readable in the city.
    unknown_region = address.region if state is None else ""
    return {
        "id": xid(prefix, party.key),
        "type": kind,
        "parent_id/.id": "",
        "name": address.name or address.company,
        "company_name": address.company if address.company != address.name else "",
        "ref": party.key,
        "email": address.email,
        "phone": address.phone,
        "street": address.street,
        "street2": address.street2,
        "city": ", ".join(filter(None, (address.city, unknown_region))),
        "zip": address.postcode,
        "state_id/.id": str(state or ""),
        "country_id/.id": _country(address, refs),
    }


def _country(address: Address, refs: References) -> str:
    if not address.country:
        return ""
    found = refs.get("country", {}).get(address.country)
    if found is None:
        text = f"Odoo has no country {address.country!r}"
        raise Rejected([Problem("erp.country_unknown", "country", text)])
    return str(found)


def order(doc: SalesOrder, refs: References, parties: Mapping[str, int]) -> Payload:
    """Return an order as rows: its head and its lines; raises Rejected with every reason."""
    known = _Known(doc, refs)
    company = known.find("company", doc.company, "company")
    warehouse = known.find("warehouse", doc.warehouse, "warehouse")
    price_list = known.find("price_list", doc.price_list, "price list") if doc.price_list else ""
    known.check_currency()
    customer = known.party(doc.party.key, parties)
    address = known.party(doc.ship_to.key, parties)
    lines = list(_lines(doc, known))
    if known.problems:
        raise Rejected(known.problems)
    head = {
        "id": xid("so", doc.key),
        "partner_id/.id": customer,
        "partner_invoice_id/.id": customer,
        "partner_shipping_id/.id": address,
        "client_order_ref": doc.key,
        "origin": f"{doc.store}/{doc.number}",
        "company_id/.id": company,
        "warehouse_id/.id": warehouse,
        # Left out, Odoo takes the customer's price list and with it, perhaps, another currency.
        "pricelist_id/.id": price_list,
        "date_order": _moment(doc.placed_at),
    }
    return {"key": doc.key, "head": head, "lines": lines}


class _Known:
    """The ids behind the names of one order, and the names nobody knows."""

    def __init__(self, doc: SalesOrder, refs: References) -> None:
        self.doc, self.refs = doc, refs
        self.problems: list[Problem] = []

    def find(self, kind: str, name: str, part: str) -> str:
        """The id of a name, that of the order's own company first."""
        found = self._id(kind, name)
        if found is None:
            self.problem(f"erp.{kind}_unknown", part, f"Odoo has no single {part} {name!r}")
        return str(found or "")

    def _id(self, kind: str, name: str) -> int | None:
        ids = self.refs.get(kind, {})
        return ids.get(f"{self.doc.company}/{name}", ids.get(name))

    def is_gross(self, taxes: Sequence[str]) -> bool:
        """Whether Odoo reads the price of a line with these taxes as containing them."""
        contained = set(self.refs.get("gross_tax", {}).values())
        gross = [name for name in taxes if self._id("tax", name) in contained]
        if gross and len(gross) < len(taxes):
            text = f"{', '.join(taxes)}: some are contained in the price in Odoo, some are not"
            self.problem("erp.taxes_mixed", "tax", text)
        return bool(gross)

    def party(self, key: str, parties: Mapping[str, int]) -> str:
        """The id of a customer or address that was put before."""
        if key not in parties:
            self.problem("erp.party_unknown", "party", "the customer is not in Odoo yet")
        return str(parties.get(key, ""))

    def check_currency(self) -> None:
        """Odoo takes the currency from the price list, else from the company; it must be ours."""
        doc = self.doc
        wanted = self.refs.get("currency", {}).get(doc.currency)
        source = "price_list_currency" if doc.price_list else "company_currency"
        found = self._id(source, doc.price_list or doc.company)
        if wanted is None:
            text = f"{doc.currency} is not active in Odoo"
            self.problem("erp.currency_unknown", "currency", text)
        elif found is not None and found != wanted:
            text = f"{doc.currency} is not the currency Odoo would book this order in"
            self.problem("erp.currency_differs", "currency", text)

    def problem(self, code: str, part: str, message: str) -> None:
        """Remember a reason, each once."""
        found = Problem(code, part, message)
        if found not in self.problems:
            self.problems.append(found)


def _lines(doc: SalesOrder, known: _Known) -> Iterator[Row]:
    for place, line in enumerate(doc.lines, start=1):
        taxes = [known.find("tax", name, "tax") for name in line.taxes]
        pieces = _pieces(doc, line, known)
        given_up = sum((count for count, _ in pieces), Decimal()) != line.quantity
        for piece, (quantity, price) in enumerate(pieces, start=1):
            row = _row(line.key, line.item_id, line.description or line.item, quantity, price)
            row["id"] += f"_{piece}" if piece > 1 else ""
            row["name"] += f" ({line.quantity:f} units)" if given_up else ""
            yield row | {"tax_ids/.id": ",".join(taxes), "sequence": str(10 * place)}


def _pieces(doc: SalesOrder, line: SalesLine, known: _Known) -> list[tuple[Decimal, Decimal]]:
    digits = digits_of(doc.currency)
    amount = line.net_amount + (line.tax_amount if known.is_gross(line.taxes) else 0)
    try:
        # A database for dinars must keep three digits of a price; two would lose money.
        return priced(amount, line.quantity, max(PRICE_DIGITS, digits), digits)
    except ValueError as fault:
        known.problem("erp.amount_too_fine", line.key, str(fault))
        return []


def _row(key: str, item_id: int, name: str, quantity: Decimal, price: Decimal) -> Row:
    return {
        "id": xid("sol", key),
        "product_id/.id": str(item_id),
        "name": name,
        "product_uom_qty": f"{quantity:f}",
        "price_unit": f"{price:f}",
        # Empty, not absent: otherwise Odoo fills in the product's own taxes.
        "tax_ids/.id": "",
        "sequence": "0",
    }


def rounding_line(doc: SalesOrder, amount: Decimal, item_id: int) -> Payload:
    """Return the untaxed line that makes the order's total equal to the shop's."""
    row = _row(f"{doc.key}:rounding", item_id, "Rounding", Decimal(1), amount)
    return row | {"sequence": str(10 * (len(doc.lines) + 1))}


def seen(payload: Mapping[str, Any]) -> SeenOrder:
    """Return an order as Odoo shows it, in our words."""
    word = payload.get("state")
    if word not in STATE_OF:
        text = f"Odoo calls the order {word!r}, a word we do not know"
        raise Rejected([Problem("erp.unknown_state", "state", text)])
    currency = payload.get("currency_id") or (0, "")
    return SeenOrder(
        key=payload.get("client_order_ref") or "",
        remote_id=int(payload["id"]),
        number=payload.get("name") or None,
        state=STATE_OF[word],
        total_amount=rounded(_amount(payload.get("amount_total")), digits_of(currency[1])),
        lines=len(payload.get("order_line") or ()),
        payload=dict(payload),
    )


def item(payload: Mapping[str, Any]) -> Row:
    """Return a product as the row that names its SKU."""
    return {
        "sku": payload.get("default_code") or None,
        "item_id": int(payload["id"]),
        "name": payload.get("name") or "",
        "is_active": bool(payload["active"]),
        "changed_at": datetime.strptime(payload["write_date"], MOMENT).replace(tzinfo=UTC),
    }


def _amount(value: object) -> Decimal:
    if value is None:
        return Decimal()
    if isinstance(value, int | Decimal):  # false, a missing value, is 0
        return Decimal(value)
    raise TypeError(f"money must arrive as a decimal, not as {type(value).__name__}")


def _moment(at: datetime) -> str:
    if at.tzinfo is None:
        raise ValueError("an instant needs a time zone")
    return at.astimezone(UTC).strftime(MOMENT)
