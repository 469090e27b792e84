"""Credit memos of an Odoo database: created once by our keys, posted, taken back."""

from collections.abc import Mapping, Sequence
from datetime import date

from resources.errors import Missing, Refused, RemoteError
from resources.systems.odoo_drafts import LINE, MOVE, Drafts
from resources.systems.odoo_kits import many2one
from resources.systems.odoo_rpc import Row, Session
from resources.systems.roles import Payload

WIZARD = "account.move.reversal"
MEMO_FIELDS = [
    "name",
    "state",
    "ref",
    "move_type",
    "date",
    "invoice_date",
    "amount_untaxed",
    "amount_tax",
    "amount_total",
    "currency_id",
    "company_id",
    "journal_id",
    "partner_id",
    "invoice_origin",
    "invoice_line_ids",
    "reversed_entry_id",
    "payment_state",
    "write_date",
]
ORDER_FIELDS = ["name", "company_id", "partner_id", "partner_invoice_id", "invoice_ids"]


class Memos(Drafts):
    """Customer credit notes."""

    name, names = "credit memo", "credit notes"
    move_type, line_ids = "out_refund", "invoice_line_ids"
    fields = MEMO_FIELDS

    # Creating

    def _put(self, memos: Mapping[str, Payload]) -> dict[str, int | RemoteError]:
        answers: dict[str, int | RemoteError] = {}
        there = self.held(list(memos))
        orders = _Orders(self.session, [memo["order"] for memo in memos.values()])
        heads: list[Row] = []
        for key, memo in memos.items():
            if "twins" in there.get(key, {}):
                answers[key] = self._doubled()
            elif key in there:
                answers[key] = there[key]["id"]
            else:
                try:
                    heads.append(self._head(key, memo, orders))
                except Refused as refused:
                    answers[key] = refused
        answers |= self._load(heads)
        return answers | self._put_lines(memos, answers, orders)

    def _head(self, key: str, memo: Payload, orders: "_Orders") -> Row:
        order = orders.order(memo["order"])
        if many2one(order["company_id"]) != memo["company"]:
            text = f"order {memo['order']} belongs to another company than the credit memo"
            raise Refused(self.session.system, text, code="company_differs")
        invoices = orders.invoices(memo["order"])
        only = invoices[0] if len(invoices) == 1 else ""
        partner = many2one(order["partner_invoice_id"]) or many2one(order["partner_id"])
        columns = {
            **memo["head"],
            "id": f"{self.module}.{memo['head']['id']}",
            "move_type": "out_refund",
            "invoice_origin": str(order["name"]),
            "partner_id/.id": str(partner),
            "journal_id/.id": str(orders.journal(many2one(order["company_id"]))),
            "reversed_entry_id/.id": str(only),
        }
        return Row(key, columns)

    def _put_lines(
        self,
        memos: Mapping[str, Payload],
        answers: Mapping[str, int | RemoteError],
        orders: "_Orders",
    ) -> dict[str, int | RemoteError]:
        """Fill drafts that have no line yet; answers the refusals only."""
        refused: dict[str, int | RemoteError] = {}
        for key, move in self._empty_drafts(answers).items():
            order, lines = memos[key]["order"], memos[key]["lines"]
            try:
                self._fill(move, [orders.with_sale(order, line) for line in lines])
            except Refused as no:
                refused[key] = no
        return refused

    def add_line(self, memo: int, line: Payload) -> None:
        """Add one line to a draft, unless one of this product and name is there."""
        domain = [["move_id", "=", memo], ["product_id", "=", line["product_id"]]]
        if not self.session.rows(LINE, [*domain, ["name", "=", line["name"]]], ["name"]):
            self.session.write(MOVE, "write", [[memo], {"invoice_line_ids": [[0, 0, _json(line)]]}])

    # Taking back

    def reverse(self, memos: Mapping[int, str], on: date) -> dict[int, int | RemoteError]:
        """Take posted memos back by a counter entry each; answers its id."""
        answers: dict[int, int | RemoteError] = {}
        for memo, key in memos.items():
            try:
                answers[memo] = self._reverse(memo, key, on)
            except Refused as refused:
                answers[memo] = refused
        return answers

    def _reverse(self, memo: int, key: str, on: date) -> int:
        """The wizard names its entry by the memo only, so it is looked for by that and named."""
        counters = self._counters([memo]).get(memo)
        if counters is None:
            self._let_reverse(memo, key, on)
            counters = self._counters([memo]).get(memo)
        if not counters:
            raise self._unmoved()
        counter = counters[0]
        if counter["state"] == "draft":
            if counter["ref"] != key:
                self.session.write(MOVE, "write", [[counter["id"]], {"ref": key}])
            self.session.write(MOVE, "action_post", [[counter["id"]]])
            if self._states([counter["id"]])[counter["id"]]["state"] != "posted":
                raise self._unmoved()
        return int(counter["id"])

    def _let_reverse(self, memo: int, key: str, on: date) -> None:
        held = self._states([memo], ["journal_id"]).get(memo)
        if held is None:
            raise self._gone(memo)
        if held["state"] != "posted":
            text = f"credit memo {memo} is {held['state']!r}, there is nothing to take back"
            raise Refused(self.session.system, text, code="not_posted")
        at = {"active_model": MOVE, "active_id": memo, "active_ids": [memo]}
        values = {"reason": key, "journal_id": many2one(held["journal_id"]), "date": f"{on}"}
        wizard = self.session.write(WIZARD, "create", [[values]], **at)
        self.session.write(WIZARD, "refund_moves", [wizard], **at)


class _Orders:
    """What credit memos need to know of their orders, read at once."""

    def __init__(self, session: Session, ids: Sequence[int]) -> None:
        self.session = session
        wanted = [["id", "in", sorted(set(ids))]]
        rows = session.rows("sale.order", wanted, ORDER_FIELDS, order="id")
        self.rows = {row["id"]: row for row in rows}
        self._posted = self._posted_invoices()
        self._journals = self._sale_journals()
        self._lines = self._lines_by_item()

    def _posted_invoices(self) -> set[int]:
        every = sorted({id_ for row in self.rows.values() for id_ in row["invoice_ids"]})
        if not every:
            return set()
        domain = [["id", "in", every], ["move_type", "=", "out_invoice"], ["state", "=", "posted"]]
        return {row["id"] for row in self.session.rows(MOVE, domain, ["name"], order="id")}

    def _sale_journals(self) -> dict[int, int]:
        """The first sales journal of each company, which Odoo would take as well."""
        companies = sorted({many2one(row["company_id"]) for row in self.rows.values()})
        domain = [["type", "=", "sale"], ["company_id", "in", companies]]
        rows = self.session.rows("account.journal", domain, ["company_id"], order="sequence, id")
        return {many2one(row["company_id"]): row["id"] for row in reversed(rows)}

    def _lines_by_item(self) -> dict[tuple[int, int], list[int]]:
        domain, fields = [["order_id", "in", sorted(self.rows)]], ["order_id", "product_id"]
        found: dict[tuple[int, int], list[int]] = {}
        for row in self.session.rows("sale.order.line", domain, fields, order="id"):
            key = (many2one(row["order_id"]), many2one(row["product_id"]))
            found.setdefault(key, []).append(row["id"])
        return found

    def order(self, id_: int) -> Payload:
        """The order, which must be there."""
        if id_ not in self.rows:
            raise Missing(self.session.system, f"order {id_} is not there")
        return self.rows[id_]

    def invoices(self, order: int) -> list[int]:
        """The order's posted invoices."""
        return [id_ for id_ in self.rows[order]["invoice_ids"] if id_ in self._posted]

    def journal(self, company: int) -> int:
        """The company's journal for sales."""
        if company not in self._journals:
            text = f"company {company} has no journal for sales"
            raise Refused(self.session.system, text, code="no_journal")
        return self._journals[company]

    def with_sale(self, order: int, line: Payload) -> Payload:
        """The line, tied to the only line of the order that sold its item.

        Only units, and only where the order was invoiced: else Odoo would count what was never
        given back as still to invoice.
        """
        sold = self._lines.get((order, line["product_id"]), [])
        tied = sold if len(sold) == 1 and line["is_sold"] and self.invoices(order) else []
        return _json(line) | ({"sale_line_ids": [[6, 0, tied]]} if tied else {})


def _json(line: Payload) -> Payload:
    """A line as JSON-RPC takes it: Odoo reads numbers of few digits exactly as written."""
    return {
        **{name: value for name, value in line.items() if name != "is_sold"},
        "quantity": float(line["quantity"]),
        "price_unit": float(line["price_unit"]),
        "tax_ids": [[6, 0, list(line["tax_ids"])]],
    }
