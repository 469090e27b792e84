"""A small set of books for tests of what people decide: accounts, a bank, a policy, and facts put
into the core tables past every step.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, text

from resources import settings
from resources.sandbox import deployment
from resources.store import postgres
from resources.store.engine import connected
from resources.store.frames import copy_rows, read_rows
from resources.wiring import Systems
from sync_assets.domain.settlement_policy import SettlementPolicy
from sync_assets.settlements.things import Act, rules_of

Row = dict[str, Any]
NOON = datetime(2026, 3, 20, 12, tzinfo=UTC)
MARCH = datetime(2026, 3, 10, 9, tzinfo=UTC)
US, UK = "Acme US Inc", "Acme UK Ltd"
POLICY = """
version: 1
companies:
  Acme US Inc:
    currency: USD
    accounts: {clearing: "1200", balance: "1210", transit: "1220", bank: "1000", receivable: "1100",
      fees: "6100", fee_tax: "6110", adjustments: "6190", write_off: "6900", rounding: "6910",
      chargebacks: "6120", fx: "6950"}
write_off:
  limit: {USD: 25, JPY: 2000}
  most: {USD: 500}
"""
#: What acts may change: a refused one leaves all of them as they were.
TABLES = (
    *("core.matches", "core.match_items", "core.settlement_lines", "core.settlement_requests"),
    *("core.settlement_conflicts", "core.periods", "core.journal_entries", "core.journal_lines"),
    *("core.journal_sources", "core.exchange_rates", "ops.audit"),
)


def said() -> dict[str, Any]:
    """The configuration: two companies, an account each and one more, one bank."""
    stores = {
        name: deployment.store(
            f"https://{name}.test", company=company, warehouse="W", currency=currency, taxes={}
        )
        for name, company, currency in (("us", US, "USD"), ("uk", UK, "GBP"))
    }
    stripe = {"kind": "stripe", "key": "sk_test", "bank": "main", "stores": ["us"]}
    return {
        "backfill_from": "2026-01-01T00:00:00+00:00",
        "stores": stores,
        "erps": {"odoo": deployment.odoo("https://odoo.test")},
        "providers": {
            "stripe_us": {**stripe, "payment_methods": ["stripe"]},
            "cod_us": {"kind": "files", "stores": ["us"], "payment_methods": ["cod"]},
            "stripe_uk": {**stripe, "stores": ["uk"], "payment_methods": ["stripe"]},
        },
        "banks": {"main": {"inbox": "bank", "currency": "USD", "company": US}},
    }


@dataclass
class Desk:
    """Where finance sits: the systems, a clock, and the database."""

    systems: Systems
    home: Path

    @property
    def engine(self) -> Engine:
        """The database."""
        return self.systems.engine

    @contextmanager
    def sitting(self) -> Iterator[tuple[Connection, SettlementPolicy]]:
        """A transaction, with the policy in force."""
        with connected(self.engine) as connection:
            yield connection, rules_of(self.systems, connection)

    def act(self, by: str = "ada", note: str = "as told by the provider") -> Act:
        """Somebody decides now."""
        return Act(by, note, self.systems.now())

    def rows(self, query: str, **values: Any) -> list[Row]:
        """Rows of the database."""
        with connected(self.engine) as connection:
            return read_rows(connection, query, **values)

    def execute(self, statement: str, **values: Any) -> None:
        """Change the database by hand."""
        with connected(self.engine) as connection:
            connection.execute(text(statement), values)

    def counts(self) -> dict[str, Any]:
        """How many rows there are, and which lines count and how."""
        found: dict[str, Any] = {}
        for table in TABLES:
            found[table] = self.rows(f"select count(*) as n from {table}")[0]["n"]
        found["live"] = self.rows(
            "select count(*) filter (where ended_at is null) as matches from core.matches"
        )
        found["lines"] = self.rows(
            "select line_ref, net_amount, is_split from core.settlement_lines order by 1"
        )
        return found

    def audit(self) -> list[tuple[str, str, str]]:
        """Who did what to what, in order."""
        rows = self.rows("select actor, action, subject_ref from ops.audit order by id")
        return [(row["actor"], row["action"], row["subject_ref"]) for row in rows]

    def put(self, table: str, *rows: Row) -> None:
        """Put rows into a table."""
        names = sorted({name for row in rows for name in row})
        with connected(self.engine) as connection:
            copy_rows(connection, table, names, [[r.get(n) for n in names] for r in rows])

    # ------------------------------------------------------------ facts

    def line(self, ref: str, gross: str, **more: Any) -> str:
        """A settled line of stripe_us, in payout po_1; a cost in `fee` is positive."""
        fee, tax = Decimal(more.pop("fee", "0")), Decimal(more.pop("fee_tax", "0"))
        row = {
            "line_ref": ref,
            "provider": "stripe_us",
            "kind": "sale",
            "payout_ref": "stripe_us:po_1",
            "currency": "USD",
            "gross_amount": Decimal(gross),
            "fee_amount": fee,
            "fee_tax_amount": tax,
            "net_amount": Decimal(gross) - fee - tax,
            "occurred_at": MARCH,
            "description": "Charge",
            "told_by": "file",
            "file_name": "march.csv",
            "file_line": 2,
        }
        self.put("core.settlement_lines", {**row, **more})
        return ref

    def payout(self, number: str, amount: str, **more: Any) -> str:
        """A payout and its line, which is what the bank is to show."""
        ref = f"stripe_us:{number}"
        payout = {
            "payout_ref": ref,
            "provider": "stripe_us",
            "payout_id": number,
            "kind": "payout",
            "currency": "USD",
            "paid_amount": Decimal(amount),
            "paid_on": MARCH.date(),
            "state": "paid",
        }
        self.put("core.payouts", {**payout, **more})
        return self.line(f"{ref}:line", f"-{amount}", kind="payout", payout_ref=ref)

    def payment(self, ref: str, amount: str, **more: Any) -> str:
        """An expected payment of stripe_us."""
        row = {
            "payment_ref": ref,
            "kind": "capture",
            "order_ref": ":".join(ref.split(":")[:2]),
            "store": "us",
            "provider": "stripe_us",
            "amount": Decimal(amount),
            "currency": "USD",
            "order_number": ref.split(":")[1],
            "expected_at": MARCH,
            "source": "order",
            "is_void": False,
        }
        self.put("core.payments", {**row, **more})
        return ref

    def entry_of_bank(self, ref: str, amount: str, **more: Any) -> str:
        """A booked entry of the bank."""
        row = {
            "bank_line_ref": ref,
            "account": "main",
            "statement_ref": "main:1",
            "booked_on": date(2026, 3, 12),
            "amount": Decimal(amount),
            "currency": "USD",
            "description": "STRIPE",
            "is_reversal": False,
            "file_name": "bank.xml",
            "file_line": 1,
        }
        self.put("core.bank_lines", {**row, **more})
        return ref

    def open_item(self, ref: str, finding: str, amount: str = "0", **more: Any) -> None:
        """A finding, with its exception."""
        row = {
            "side": "settled",
            "ref": ref,
            "finding": f"settlement.{finding}",
            "detail": "settled 10 USD",
            "provider": "stripe_us",
            "amount": Decimal(amount),
            "currency": "USD",
            "since": MARCH,
            "is_waiting": False,
            "found_at": NOON,
        }
        row |= more
        self.put("core.open_items", row)
        self.execute(
            "insert into ops.exception (code, subject_kind, subject_ref, part, message, "
            "owner_role, blocks, can_release, opened_at, due_at) values (:code, 'settlement', "
            ":ref, '', 'is open', 'finance', false, false, :at, :at)",
            code=row["finding"],
            ref=ref,
            at=MARCH,
        )

    def journal(
        self, ref: str, lines: Sequence[Row], sources: Sequence[Row] = (), **more: Any
    ) -> str:
        """An entry; each line has `account`, `amount` and what is otherwise there."""
        on = more.pop("on", MARCH.date())
        row = {
            "entry_ref": ref,
            "kind": "settlement",
            "company": US,
            "erp": "odoo",
            "journal": "MISC",
            "posted_on": on,
            "period": f"{on:%Y-%m}",
            "company_currency": "USD",
            "provider": "stripe_us",
            "batch_ref": "stripe_us:po_1",
            "description": ref,
            "created_at": MARCH,
        }
        made = [
            {
                "entry_ref": ref,
                "line_no": place,
                "account_kind": "balance",
                "currency": "USD",
                "company_amount": one["amount"],
                "description": "settled",
                "item_count": 1,
                **one,
            }
            for place, one in enumerate(lines, start=1)
        ]
        of = [
            {
                "entry_ref": ref,
                "source_kind": "line",
                "purpose": "settlement",
                "is_live": True,
                "company_amount": one["amount"],
                **one,
            }
            for one in sources
        ]
        self.put("core.journal_entries", {**row, **more})
        self.put("core.journal_lines", *made)
        if of:
            self.put("core.journal_sources", *of)
        return ref


def desk_at(engine: Engine, home: Path, patch: pytest.MonkeyPatch) -> Desk:
    """Sit down at books with nothing in them; the policy file stands in `policies`."""
    (home / "policies").mkdir()
    (home / "policies" / "settlements.yaml").write_text(POLICY)
    (home / "sync.toml").write_text(deployment.as_toml(said()))
    patch.setenv("SYNC_CONFIG", str(home / "sync.toml"))
    return Desk(Systems(settings.parse(said()), engine, now=lambda: NOON), home)


def at_command_line(
    desk: Desk, database: postgres.Databases, patch: pytest.MonkeyPatch
) -> Mapping[str, str]:
    """Let commands find the same books."""
    values = {
        "SYNC_DATABASE_URL": database.text(database.store),
        "SYNC_HOME": str(desk.home),
        "USER": "ada",
        "COLUMNS": "250",
    }
    for name, value in values.items():
        patch.setenv(name, value)
    return values
