"""Credit memos in Tryton: invoices to the customer with negative quantities, once per key.

Our key stands in `reference`, which is not unique there: drafts of one key are looked up after
they are made, and all but the first are deleted; posting is what cannot be undone. Party, address
and accounts are those of the sales order and its invoice. A line names the line of the invoice it
takes back as its origin, never that of the sale, for which another unit would then be invoiced.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal

from resources.errors import ContractBroken, Missing, Refused, RemoteError
from resources.systems.tryton_buttons import press
from resources.systems.tryton_rpc import KEY_BATCH, Payload, Session, batches

MODEL, LINE = "account.invoice", "account.invoice.line"
#: The taxes are those of the refund, whatever the product has by default.
AGREED = (".invoice_taxes",)
POSTED = ("posted", "paid")
FIELDS = (
    *("number", "reference", "state", "untaxed_amount", "tax_amount", "total_amount"),
    *("currency.code", "invoice_date", "accounting_date", "move.number", "move.date"),
    *("lines", "company.rec_name", "last_modified_at"),
)
SALE_FIELDS = ("party", "invoice_party", "invoice_address", "payment_term", "invoices", "lines")
HEAD_FIELDS = ("company", "party", "invoice_address", "account", "journal", "currency")
COPIED_HEAD = (*HEAD_FIELDS, "payment_term")
COPIED_LINE = ("product", "account", "unit", "unit_price", "currency", "description", "taxes")


class Memos:
    """Credit memos and their counter entries, through one session."""

    def __init__(self, rpc: Session) -> None:
        self.rpc = rpc

    # What is there

    def known(self, keys: Sequence[str]) -> dict[str, Payload]:
        """The memos that exist for our keys, each with its `key` and what took it back.

        `twins` are the ids of others of its key that are posted as well.
        """
        found: dict[str, Payload] = {}
        for batch in batches(keys, KEY_BATCH):
            rows = self._by_key(batch)
            counters = self._counters(list(rows.values()))
            for key, row in rows.items():
                found[key] = {"key": key, **row, "taken_back_by": counters.get(row["id"], [])}
        return found

    def _by_key(self, keys: Sequence[str]) -> dict[str, Payload]:
        """The memo of each key: the posted one, else the first that is not cancelled."""
        domain = [["type", "=", "out"], ["reference", "in", list(keys)]]
        rows = self.rpc.search(MODEL, domain, FIELDS)
        rank = {"posted": 0, "paid": 0, "validated": 1, "draft": 1, "cancelled": 2}
        found: dict[str, Payload] = {}
        for row in sorted(rows, key=lambda row: (rank.get(row["state"], 3), row["id"])):
            first = found.setdefault(row["reference"], {**row, "twins": []})
            if row["id"] != first["id"] and row["state"] in POSTED:
                first["twins"].append(row["id"])
        return found

    def _counters(self, memos: Sequence[Payload]) -> dict[int, list[Payload]]:
        """Posted invoices whose lines name lines of these memos as their origin."""
        memo_of = {f"{LINE},{line}": memo["id"] for memo in memos for line in memo["lines"]}
        domain = [["origin", "in", list(memo_of)], ["invoice.state", "in", list(POSTED)]]
        fields = ("origin", "invoice.number", "invoice.reference")
        found: dict[int, list[Payload]] = defaultdict(list)
        for row in self.rpc.search(LINE, domain, fields) if memo_of else []:
            told, there = row["invoice."], found[memo_of[row["origin"]]]
            if told not in there:
                there.append(told)
        return found

    # Drafts

    def put(self, memos: Sequence[Payload]) -> dict[str, int | RemoteError]:
        """Create drafts; one whose key is there already is answered, not repeated."""
        known = self._by_key([memo["key"] for memo in memos])
        answers: dict[str, int | RemoteError] = {}
        for memo in memos:
            key = memo["key"]
            try:
                answers[key] = known[key]["id"] if key in known else self._create(memo)
            except (Refused, ContractBroken) as fault:
                answers[key] = fault
        return answers

    def _create(self, memo: Payload) -> int:
        sold = self._sold(memo)
        kept = ("company", "currency", "invoice_date", "accounting_date", "description")
        values = {
            **{name: memo[name] for name in kept},
            **sold["head"],
            "type": "out",
            "reference": memo["key"],
            "lines": [["create", [self._line(line, memo, sold) for line in memo["lines"]]]],
        }
        return self._first_of([values])

    def _first_of(self, values: Sequence[Payload]) -> int:
        """Create one draft; of twins that two made at the same time the first one stays."""
        (made,) = self.rpc.write(f"model.{MODEL}.create", list(values))
        key = values[0]["reference"]
        first = int(self._by_key([key])[key]["id"])
        if first != made:
            self.rpc.write(f"model.{MODEL}.delete", [made])
        return first

    def _sold(self, memo: Payload) -> Payload:
        """What a memo takes over from the order and its invoice."""
        rows = self.rpc.search("sale.sale", [["id", "=", memo["order"]]], SALE_FIELDS)
        if not rows:
            raise Missing(self.rpc.system, f"there is no order {memo['order']}")
        sale = rows[0]
        origins = [f"sale.line,{line}" for line in sale["lines"]]
        domain = [["origin", "in", origins], ["invoice.state", "!=", "cancelled"]]
        fields = ("product", "account", "unit", "invoice.account", "invoice.journal")
        lines = self.rpc.search(LINE, domain, fields) if origins else []
        invoice = lines[0]["invoice."] if lines else self._books(memo)
        head = {
            "party": sale["invoice_party"] or sale["party"],
            "invoice_address": sale["invoice_address"],
            # A memo is due at once.
            "payment_term": None,
            "account": invoice["account"],
            "journal": invoice["journal"],
        }
        return {"head": head, "lines": {row["product"]: row for row in reversed(lines)}}

    def _books(self, memo: Payload) -> Payload:
        """Account and journal for an order without an invoice: those the company has by default."""
        (config,) = self.rpc.read(
            "model.account.configuration.read", [1], ["default_account_receivable"]
        )
        journals = self.rpc.search("account.journal", [["type", "=", "revenue"]], ("name",))
        if not config["default_account_receivable"] or not journals:
            words = f"credit memo {memo['key']}: the books name no receivable or no revenue journal"
            raise Refused(self.rpc.system, words, code="no_account")
        return {"account": config["default_account_receivable"], "journal": journals[0]["id"]}

    def _line(self, line: Payload, memo: Payload, sold: Payload) -> Payload:
        taken = sold["lines"].get(line["product"])
        account, unit = (
            (taken["account"], taken["unit"]) if taken else self._of_product(line["product"])
        )
        kept = ("product", "description", "unit_price")
        return {
            **{name: line[name] for name in kept},
            "type": "line",
            "company": memo["company"],
            "currency": memo["currency"],
            "quantity": _plain(line["quantity"]),
            "unit": unit,
            "account": account,
            "taxes": [["add", list(line["taxes"])]],
            "origin": f"{LINE},{taken['id']}" if taken else None,
        }

    def _of_product(self, product: int) -> tuple[int, int]:
        """Revenue account and unit of a product that the order's invoice does not name."""
        fields = ("default_uom", "account_category.account_revenue")
        rows = self.rpc.search("product.product", [["id", "=", product]], fields)
        if not rows:
            raise Missing(self.rpc.system, f"there is no product {product}")
        account = (rows[0]["account_category."] or {}).get("account_revenue")
        if account is None:
            (config,) = self.rpc.read(
                "model.account.configuration.read", [1], ["default_category_account_revenue"]
            )
            account = config["default_category_account_revenue"]
        if account is None:
            words = f"product {product} has no revenue account"
            raise Refused(self.rpc.system, words, code="no_account")
        return int(account), int(rows[0]["default_uom"])

    def add_line(self, memo: int, line: Payload) -> None:
        """Add a line to a draft; one of its product and text is that line."""
        same = [["product", "=", line["product"]], ["description", "=", line["description"]]]
        if self.rpc.search(LINE, [["invoice", "=", memo], *same], ("quantity",)):
            return
        rows = self.rpc.search(MODEL, [["id", "=", memo]], ("company", "currency"))
        if not rows:
            raise Missing(self.rpc.system, f"there is no credit memo {memo}")
        values = self._line(line, rows[0], {"lines": {}})
        self.rpc.write(f"model.{MODEL}.write", [memo], {"lines": [["create", [values]]]})

    # Posting

    def post(self, ids: Sequence[int]) -> dict[int, RemoteError]:
        """Post drafts; answers the refusals only."""
        refusals: dict[int, RemoteError] = {}
        for number in ids:
            try:
                self._post(number)
            except (Refused, ContractBroken) as fault:
                refusals[number] = fault
        return refusals

    def _post(self, number: int) -> None:
        fields = ("state", "invoice_date", "company", "reference")
        rows = self.rpc.search(MODEL, [["id", "=", number]], fields)
        if not rows:
            raise Missing(self.rpc.system, f"there is no credit memo {number}")
        memo = rows[0]
        if memo["state"] in POSTED:
            return
        if memo["state"] == "cancelled":
            raise Refused(self.rpc.system, f"credit memo {number} is cancelled", code="cancelled")
        if self._by_key([memo["reference"]])[memo["reference"]]["id"] != number:
            words = f"credit memo {number} has a twin of the same key"
            raise Refused(self.rpc.system, words, code="twin")
        try:
            press(self.rpc, MODEL, "post", [number], AGREED)
        except Refused:
            if not self._moved_behind_the_newest(memo):
                raise
            press(self.rpc, MODEL, "post", [number], AGREED)

    def _moved_behind_the_newest(self, memo: Payload) -> bool:
        """Give it the day of the newest invoice, if that is later: numbers there go by day.

        The day it stands under in the books stays as it is.
        """
        domain = [
            ["type", "=", "out"],
            ["company", "=", memo["company"]],
            ["number", "!=", None],
            ["invoice_date", ">", date.fromisoformat(memo["invoice_date"])],
        ]
        later = [row["invoice_date"] for row in self.rpc.search(MODEL, domain, ("invoice_date",))]
        if not later:
            return False
        day = date.fromisoformat(max(later))
        self.rpc.write(f"model.{MODEL}.write", [memo["id"]], {"invoice_date": day})
        return True

    # Taking back

    def reverse(self, memos: Mapping[int, str], on: date) -> dict[int, int | RemoteError]:
        """Post an invoice over each memo's lines under the key beside it; answers its id."""
        answers: dict[int, int | RemoteError] = {}
        for number, key in memos.items():
            try:
                answers[number] = self._reverse(number, key, on)
            except (Refused, ContractBroken) as fault:
                answers[number] = fault
        return answers

    def _reverse(self, number: int, key: str, on: date) -> int:
        rows = self.rpc.search(
            MODEL, [["id", "=", number]], ("state", "total_amount", "lines", *COPIED_HEAD)
        )
        if not rows:
            raise Missing(self.rpc.system, f"there is no credit memo {number}")
        memo = rows[0]
        if memo["state"] not in POSTED:
            words = f"credit memo {number} is {memo['state']}, so there is nothing to take back"
            raise Refused(self.rpc.system, words, code=memo["state"])
        known = self._by_key([key]).get(key)
        entry = known["id"] if known else self._first_of([self._counter(memo, key, on)])
        self._post(entry)
        return int(entry)

    def _counter(self, memo: Payload, key: str, on: date) -> Payload:
        fields = ("quantity", *COPIED_LINE)
        lines = self.rpc.search(LINE, [["invoice", "=", memo["id"]]], fields)
        return {
            **{name: memo[name] for name in COPIED_HEAD},
            "type": "out",
            "reference": key,
            "invoice_date": on,
            "accounting_date": on,
            "lines": [["create", [_opposite(line, memo) for line in lines]]],
        }


def _opposite(line: Payload, memo: Payload) -> Payload:
    return {
        **{name: line[name] for name in COPIED_LINE},
        "type": "line",
        "company": memo["company"],
        "quantity": _plain(-line["quantity"]),
        "taxes": [["add", line["taxes"]]],
        "origin": f"{LINE},{line['id']}",
    }


def _plain(quantity: Decimal | int) -> Decimal | int:
    """Quantities are floats there, and whole ones are sent as integers."""
    whole = int(quantity)
    return whole if whole == quantity else quantity
