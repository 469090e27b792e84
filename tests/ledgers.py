"""Both ledgers of money for tests of matching and judging: rows as steps would have put them, and
the two steps over them in one transaction.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, text

from resources.settings import Settings, parse
from resources.store.frames import copy_rows, read_rows
from sync_assets.domain.settlement_policy import SettlementPolicy
from sync_assets.settlements import diagnosing, matching

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
ZERO = Decimal(0)
#: Two card accounts of two banks, and one whose money comes without a bank of ours.
PROVIDERS: Mapping[str, Mapping[str, Any]] = {
    "card": {"kind": "stripe", "key": "k", "payment_methods": ["stripe"], "bank": "main"},
    "wallet": {
        "kind": "paypal",
        "client_id": "c",
        "secret": "s",
        "payment_methods": ["paypal"],
        "bank": "second",
    },
    "cod": {"kind": "files", "payment_methods": ["cod"]},
}


def configuration() -> Settings:
    """Two stores with an ERP, three providers and two banks."""
    store = {"url": "https://s.test", "key": "k", "secret": "s", "erp": "odoo", "warehouse": "W"}
    odoo = {"kind": "odoo", "url": "https://o.test", "database": "d", "login": "l", "api_key": "k"}
    bank = {"kind": "csv", "inbox": "inbox", "currency": "USD", "company": "Acme"}
    return parse(
        {
            "stores": {
                name: {**store, "company": "Acme", "currencies": ["USD", "EUR"]}
                for name in ("us", "uk")
            },
            "erps": {"odoo": odoo},
            "providers": PROVIDERS,
            "banks": {"main": bank, "second": bank, "third": bank},
        }
    )


@dataclass
class Ledgers:
    """What is expected and what was settled, in a database."""

    connection: Connection
    now: datetime = NOON + timedelta(days=2)
    policy: SettlementPolicy = field(default_factory=SettlementPolicy)
    settings: Settings = field(default_factory=configuration)

    # ------------------------------------------------------------ rows

    def put(self, table: str, **row: Any) -> None:
        """Add a row as it is."""
        copy_rows(self.connection, table, tuple(row), [tuple(row.values())])

    def execute(self, statement: str, **values: Any) -> None:
        """Change something by hand."""
        assert self.connection.execute(text(statement), values).rowcount

    def order(
        self, ref: str, total: str, *, state: str = "paid", at: datetime = NOON, **more: Any
    ) -> str:
        """An order; its total is all net."""
        store, _, number = ref.partition(":")
        amounts = dict.fromkeys(
            ("shipping_amount", "fee_amount", "tax_amount", "discount_amount", "rounding_amount"),
            ZERO,
        )
        facts = {"order_ref": ref, "store": store, "order_id": number, "order_number": number}
        facts |= {"state": state, "shop_status": state, "currency": "USD", "raw_version": 1}
        facts |= {"prices_include_tax": False, "placed_at": at, "changed_at": at, **amounts}
        facts |= {"net_amount": Decimal(total), "total_amount": Decimal(total)}
        self.put("core.orders", **{**facts, "refunded_amount": ZERO, **more})
        return ref

    def payment(
        self,
        ref: str,
        amount: str,
        *,
        kind: str = "capture",
        order: str | None = None,
        provider: str = "card",
        **more: Any,
    ) -> str:
        """An expected movement; of the order in its key, `us:1:capture`, unless told otherwise."""
        of = order or ":".join(ref.split(":")[:2])
        facts = {"payment_ref": ref, "kind": kind, "order_ref": of, "store": of.split(":")[0]}
        facts |= {"provider": provider, "amount": Decimal(amount), "currency": "USD"}
        facts |= {"expected_at": NOON, "source": "order", "is_void": False}
        self.put("core.payments", **{**facts, **more})
        return ref

    def line(
        self,
        ref: str,
        gross: str,
        *,
        kind: str = "sale",
        fee: str = "0",
        fee_tax: str = "0",
        provider: str = "card",
        **more: Any,
    ) -> str:
        """A settled line."""
        amounts = [Decimal(one) for one in (gross, fee, fee_tax)]
        facts = {"line_ref": ref, "provider": provider, "kind": kind, "currency": "USD"}
        facts |= {"gross_amount": amounts[0], "fee_amount": amounts[1]}
        facts |= {"fee_tax_amount": amounts[2], "net_amount": amounts[0] - amounts[1] - amounts[2]}
        facts |= {"occurred_at": NOON + timedelta(days=1), "description": "Charge"}
        self.put("core.settlement_lines", **{**facts, "told_by": "file", "file_line": 1, **more})
        return ref

    def payout(self, ref: str, paid: str, *, provider: str = "card", **more: Any) -> str:
        """A payout with its line; the lines that it pays out are the caller's."""
        line = {name: more.pop(name) for name in ("movement_id",) if name in more}
        facts = {"payout_ref": ref, "provider": provider, "payout_id": ref.split(":")[-1]}
        facts |= {"kind": "payout", "currency": "USD", "paid_amount": Decimal(paid)}
        facts |= {"paid_on": (NOON + timedelta(days=1)).date(), "state": "paid", **more}
        self.put("core.payouts", **facts)
        if Decimal(paid):
            self.line(f"{ref}:out", str(-Decimal(paid)), kind="payout", provider=provider,
                      payout_ref=ref, currency=facts["currency"], **line)  # fmt: skip
        return ref

    def bank(self, ref: str, amount: str, said: str = "", **more: Any) -> str:
        """A booked entry of a bank."""
        facts = {"bank_line_ref": ref, "account": "main", "statement_ref": "main:1"}
        facts |= {"booked_on": (NOON + timedelta(days=2)).date(), "amount": Decimal(amount)}
        facts |= {"currency": "USD", "description": said, "is_reversal": False}
        self.put("core.bank_lines", **{**facts, "file_name": "bank.csv", "file_line": 1, **more})
        return ref

    def statement(self, ref: str, number: int, opening: str, closing: str, day: date) -> str:
        """A statement of a bank for one day."""
        facts = {"statement_ref": ref, "account": "main", "number": number, "currency": "USD"}
        facts |= {"opening_amount": Decimal(opening), "closing_amount": Decimal(closing)}
        self.put("core.bank_statements", **facts, from_on=day, until_on=day)
        return ref

    def sold(self, number: int, amount: str = "10.00", **line: Any) -> str:
        """A payment with the line that settles it, tied by the provider's id; the line's key."""
        self.payment(f"us:{number}:capture", amount, payment_id=f"pay_{number}")
        return self.line(f"card:t{number}", amount, payment_id=f"pay_{number}", **line)

    # ------------------------------------------------------------ the steps

    def match(self) -> dict[str, int]:
        """Match; answers how many matches each rule found, without those that found none."""
        done = matching.match(self.connection, self.settings, self.policy, self.now, "run")
        return {rule: count for rule, count in done.items() if count}

    def judge(self) -> list[tuple[str, str]]:
        """Match and judge; answers findings and what they are of, in order."""
        self.match()
        diagnosing.diagnose(self.connection, self.settings, self.policy, self.now, "run")
        return [(row["finding"].removeprefix("settlement."), row["ref"]) for row in self.items()]

    def items(self) -> list[dict[str, Any]]:
        """Open items, in order."""
        return read_rows(self.connection, "select * from core.open_items order by finding, ref")

    def exceptions(self, state: str = "open") -> list[dict[str, Any]]:
        """Exceptions in a state, in order."""
        query = "select * from ops.exception where state = :state order by code, subject_ref"
        return read_rows(self.connection, query, state=state)

    def tied(self) -> list[tuple[str, str, str]]:
        """Rule, what was settled (or reached the bank) and its counterpart of each live match."""
        rows = read_rows(self.connection, _TIED)
        return [(row["rule"], row["left_refs"], row["right_refs"]) for row in rows]

    def end(self, ref: str) -> None:
        """End the match of a thing, as a person would."""
        self.execute(
            "update core.matches set ended_at = :now, ended_by = 'olga', end_reason = 'wrong' "
            "where match_id = (select match_id from core.match_items where ref = :ref and is_live)",
            now=self.now,
            ref=ref,
        )


#: In a match with the bank its entries stand on the left, and what was paid out on the right.
_TIED = """
select m.rule,
    string_agg(i.ref, ' ' order by i.ref) filter (where i.side = m.first) as left_refs,
    coalesce(string_agg(i.ref, ' ' order by i.ref) filter (where i.side <> m.first), '')
        as right_refs
from (
    select m.*, case when starts_with(m.rule, 'bank') then 'bank' else 'settled' end as first
    from core.matches m where m.ended_at is null
) m join core.match_items i using (match_id)
group by m.match_id, m.rule order by 2, 3
"""
