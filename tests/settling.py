"""A small world of money: stores of three companies, their providers and banks, the steps of one
settlement run as plain calls, and what our tables and the ERP say of it.

Orders and refunds are put as rows, past the shops, unless a test says otherwise; whatever providers
and banks say comes as report files, through the real readers and mappers.
"""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, text

from resources import settings
from resources.sandbox import deployment as sandbox
from resources.sandbox.odoo import OdooStandIn
from resources.sandbox.woocommerce import WooCommerceStandIn
from resources.store import sagas
from resources.store.engine import connected
from resources.wiring import Systems
from sync_assets.settlements import entries, posting, reading, steps
from tests.settling_files import IBAN, START
from tests.worlds import SKUS, Clock, World

Row = dict[str, Any]
US, UK, EU = "Acme US Inc", "Acme UK Ltd", "Acme EU GmbH"
#: name: currency, time zone, company, warehouse, rate code, percent, ERP tax, gross prices
STORES: dict[str, tuple[str, str, str, str, str, str, str, bool]] = {
    "us": ("USD", "America/New_York", US, "US1", "US-CA-1", "10", "US Sales Tax 10%", False),
    "uk": ("GBP", "Europe/London", UK, "UK1", "GB-VAT-1", "20", "UK VAT 20%", True),
    "eu": ("EUR", "Europe/Berlin", EU, "EU1", "DE-VAT-1", "19", "DE VAT 19%", True),
}
ACCOUNTS = {
    "bank": "1000",
    "receivable": "1100",
    "clearing": "1200",
    "balance": "1210",
    "transit": "1220",
    "reserve": "1230",
    "conversion": "1290",
    "fee_tax": "1400",
    "tax": "2200",
    "prepayments": "2300",
    "gift_cards": "2400",
    "sales": "4000",
    "shipping": "4010",
    "surcharges": "4020",
    "refunds": "4090",
    "fees": "6200",
    "chargebacks": "6300",
    "adjustments": "6900",
    "rounding": "6910",
    "write_off": "6920",
    "fx": "6950",
}
#: What the contracts say: percent and fixed part of a sale by provider and currency.
CONTRACTS: dict[str, list[tuple[str, str, str]]] = {
    "stripe_us": [("USD", "2.9", "0.30")],
    "paypal_uk": [("GBP", "2.9", "0.30"), ("EUR", "2.9", "0.30")],
    "adyen_eu": [("EUR", "1", "0.10")],
    "cod_eu": [("EUR", "0", "2.00")],
}
PROVIDERS: dict[str, Row] = {
    "stripe_us": {
        "kind": "stripe",
        "key": "sk_test",
        "stores": ["us"],
        "payment_methods": ["stripe"],
        "bank": "main_usd",
    },
    "paypal_uk": {
        "kind": "paypal",
        "client_id": "id",
        "secret": "secret",
        "stores": ["uk"],
        "payment_methods": ["paypal"],
    },
    "adyen_eu": {
        "kind": "adyen",
        "stores": ["eu"],
        "payment_methods": ["adyen"],
        "bank": "main_eu",
    },
    "cod_eu": {
        "kind": "files",
        "stores": ["eu"],
        "payment_methods": ["cod"],
        "bank": "main_eu",
    },
}


def settled_world(engine: Engine, folder: Path) -> "Money":
    """Three stores of three companies, four providers, two banks and an ERP with their accounts.

    Acme EU books its sales itself, when goods leave; the others leave that to the ERP.
    """
    clock = Clock(START)
    companies = [(company, currency) for currency, _, company, *_ in STORES.values()]
    erp = OdooStandIn(version=18, now=clock, companies=companies)
    shops: dict[str, WooCommerceStandIn] = {}
    for name, (currency, zone, company, warehouse, code, percent, tax, gross) in STORES.items():
        shops[name] = WooCommerceStandIn(
            name, currency=currency, timezone=zone, now=clock, prices_include_tax=gross
        )
        shops[name].tax_rate(code, Decimal(percent), "Tax")
        erp.add_warehouse(company, warehouse)
        erp.add_tax(company, tax, Decimal(percent), price_include=gross)
        for kind, number in ACCOUNTS.items():
            erp.add_account(company, number, kind)
    stock = {one[3]: Decimal(1000) for one in STORES.values()}
    for sku, price in SKUS.items():
        erp.add_product(sku, sku.title(), Decimal(price), stock)
    for code in ("SHIPPING", "FEE", "ROUNDING"):
        erp.add_product(code, code.title(), Decimal(), None)
    transports = {name: one.transport() for name, one in {**shops, "odoo": erp}.items()}
    systems = Systems(
        _deployment(folder), engine, now=clock, transports=transports, sleep=lambda seconds: None
    )
    money = Money(World(systems, clock, shops, erp), folder)
    money.rule()
    return money


def _deployment(folder: Path) -> settings.Settings:
    stores = {
        name: sandbox.store(
            f"https://{name}.test",
            company=company,
            warehouse=warehouse,
            currency=currency,
            taxes={code: tax},
            lag_seconds=0,
        )
        for name, (currency, _, company, warehouse, code, _, tax, _) in STORES.items()
    }
    providers = {
        name: {**one, "inbox": str(folder / name), **({} if name == "cod_eu" else {"asks": False})}
        for name, one in PROVIDERS.items()
    }
    banks = {
        "main_usd": {"kind": "camt053", "currency": "USD", "company": US, "iban": IBAN},
        "main_eu": {"kind": "csv", "currency": "EUR", "company": EU},
    }
    for name in (*providers, *banks):
        (folder / name).mkdir(exist_ok=True)
    return settings.parse(
        {
            "stores": stores,
            "erps": {"odoo": sandbox.odoo("https://odoo.test", batch=10)},
            "providers": providers,
            "banks": {name: {**one, "inbox": str(folder / name)} for name, one in banks.items()},
            "policies": {"settlements": str(folder / "settlements.yaml")},
            "backfill_from": "2026-01-01T00:00:00+00:00",
        }
    )


@dataclass
class Money:
    """What tests of money do and ask."""

    world: World
    folder: Path
    files: int = field(default=0, init=False)

    @property
    def systems(self) -> Systems:
        """Our side of the world."""
        return self.world.systems

    # What holds

    def rule(
        self,
        providers: Mapping[str, Row] | None = None,
        companies: Mapping[str, Row] | None = None,
        without: Sequence[str] = (),
        **more: Any,
    ) -> None:
        """Put a policy in force: contracts and accounts, with what a test says beside them.

        `without` are kinds of accounts that are not named.
        """
        accounts = {kind: code for kind, code in ACCOUNTS.items() if kind not in without}
        rules = {name: {"fees": list(map(_fee, fees))} for name, fees in CONTRACTS.items()}
        for name, said in (providers or {}).items():
            rules[name] = rules[name] | said
        books = {
            company: {
                "currency": currency,
                "timezone": zone,
                "sales": "journal" if company == EU else "erp",
                "accounts": accounts,
                **(companies or {}).get(company, {}),
            }
            for currency, zone, company, *_ in STORES.values()
        }
        said = {"version": 1, "providers": rules, "companies": books, **more}
        (self.folder / "settlements.yaml").write_text(json.dumps(said))

    # What happened

    def order(
        self,
        number: int,
        total: str,
        *,
        store: str = "us",
        method: str = "stripe",
        payment: str | None = None,
        lines: Sequence[tuple[str, ...]] = (),
        at: datetime | None = None,
        **more: Any,
    ) -> str:
        """Put an order as the mapper would; answers its key.

        `lines` are kind, SKU or words, units, net and perhaps tax; without any, all is one product.
        """
        ref, at = f"{store}:{number}", at or self.world.clock()
        currency = more.pop("currency", STORES[store][0])
        parts = [(*one, "0")[:5] for one in lines or (("product", "TEA", "1", total),)]
        sums = {
            kind: sum((Decimal(net) for what, _, _, net, _ in parts if what == kind), Decimal())
            for kind in ("product", "shipping", "fee")
        }
        row = {
            "order_ref": ref,
            "store": store,
            "order_id": str(number),
            "order_number": str(number),
            "state": "paid",
            "shop_status": "processing",
            "currency": currency,
            "prices_include_tax": False,
            "placed_at": at,
            "paid_at": at,
            "changed_at": at,
            "payment_method": method,
            "payment_ref": payment,
            "net_amount": sums["product"],
            "shipping_amount": sums["shipping"],
            "fee_amount": sums["fee"],
            "tax_amount": sum((Decimal(tax) for *_, tax in parts), Decimal()),
            "discount_amount": Decimal(),
            "rounding_amount": Decimal(),
            "total_amount": Decimal(total),
            "refunded_amount": Decimal(),
            "raw_version": 1,
            **more,
        }
        self.put("core.orders", row)
        for place, (kind, words, units, net, tax) in enumerate(parts):
            self._line(ref, currency, place, kind, words, (units, net, tax), STORES[store][4])
        return ref

    def _line(
        self,
        ref: str,
        currency: str,
        place: int,
        kind: str,
        words: str,
        sums: tuple[str, str, str],
        rate: str,
    ) -> None:
        units, net, tax = map(Decimal, sums)
        line = f"{ref}:{place}"
        row = {
            "line_ref": line,
            "order_ref": ref,
            "kind": kind,
            "position": place,
            "sku": words if kind == "product" else None,
            "description": words,
            "quantity": units,
            "currency": currency,
            "subtotal_amount": net,
            "net_amount": net,
            "tax_amount": tax,
        }
        self.put("core.order_lines", row)
        if tax:
            taxed = {
                "line_ref": line,
                "order_ref": ref,
                "rate_id": "1",
                "rate_code": rate,
                "label": "Tax",
                "is_compound": False,
                "currency": currency,
                "tax_amount": tax,
            }
            self.put("core.order_taxes", taxed)

    def ship(self, order: str, place: int, units: int, *, at: datetime | None = None) -> None:
        """Let units of an order's line leave, in a shipment of their own."""
        at = at or self.world.clock()
        line = f"{order}:{place}"
        ref = f"test:{line}:{at:%m%d%H%M}"
        shipment = {
            "shipment_ref": ref,
            "system": "test",
            "state": "shipped",
            "shipped_at": at,
            "carrier_words": "UPS",
            "changed_at": at,
            "raw_version": 1,
        }
        self.put("core.shipments", shipment)
        left = {
            "shipment_ref": ref,
            "line_no": 1,
            "order_ref": order,
            "line_ref": line,
            "sku": "TEA",
            "units": units,
            "is_cancelled": False,
        }
        self.put("core.shipment_lines", left)
        self.world.execute(_SHIPPED, order=order, line=line, units=units)

    def refund(
        self,
        ref: str,
        order: str,
        amount: str,
        *,
        state: str = "confirmed",
        provider_ref: str | None = None,
        tax: str = "0",
        **more: Any,
    ) -> str:
        """Put a refund of an order and take it to its state; answers its key."""
        store, at = order.partition(":")[0], self.world.clock()
        row = {
            "refund_ref": ref,
            "order_ref": order,
            "store": store,
            "source": "shop_refund",
            "method": "gateway",
            "currency": STORES[store][0],
            "amount": Decimal(amount),
            "net_amount": Decimal(amount) - Decimal(tax),
            "shipping_amount": Decimal(),
            "fee_amount": Decimal(),
            "tax_amount": Decimal(tax),
            "unassigned_amount": Decimal(),
            "provider_ref": provider_ref,
            "refunded_at": at,
            **more,
        }
        path = ("requested", "approved", "submitted", "confirmed")
        with connected(self.systems.engine) as connection:
            connection.execute(text(_insert("core.refunds", row)), row)
            self._take(connection, ref, ["", *path[: path.index(state) + 1]])
        return ref

    def move(self, refund: str, *path: str) -> None:
        """Take a refund through states; the first one is where it stands."""
        with connected(self.systems.engine) as connection:
            self._take(connection, refund, path)

    def _take(self, connection: Connection, refund: str, path: Sequence[str]) -> None:
        taken = [
            sagas.Step("refund", refund, one, other, "olga", "test", "test")
            for one, other in pairwise(path)
        ]
        sagas.take(connection, taken, self.world.clock())

    def rate(self, currency: str, company_currency: str, day: str, rate: str) -> None:
        """Let a rate of a day be known: company currency for one of the other."""
        row = {
            "currency": currency,
            "company_currency": company_currency,
            "on_day": day,
            "rate": Decimal(rate),
            "source": "test",
        }
        self.put("core.exchange_rates", row)

    def close(self, company: str, period: str, *, is_closed: bool = True) -> None:
        """Close a month of a company's books, or open it again."""
        self.world.execute(
            "insert into core.periods values (:c, :p, :closed, :now, 'olga', 'test') "
            "on conflict (company, period) do update set is_closed = excluded.is_closed",
            c=company,
            p=period,
            closed=is_closed,
            now=self.world.clock(),
        )

    def put(self, table: str, row: Row) -> None:
        """Put one row."""
        self.world.execute(_insert(table, row), **row)

    def drop(self, name: str, file: str, content: str) -> None:
        """Drop a report file; those dropped first are read first."""
        path = self.folder / name / file
        path.write_text(content)
        self.files += 1
        os.utime(path, ns=(self.files * 10**9, self.files * 10**9))

    # What the pipeline does

    def read(self) -> None:
        """Read what was dropped."""
        for name in (*self.systems.settings.providers, *self.systems.settings.banks):
            reading.files(self.systems, name, "run")

    def post(self) -> posting.Posted:
        """Make journals."""
        return posting.post(self.systems, "run")

    def send(self) -> Any:
        """Plan entries for the ERP and send what is due."""
        entries.plan(self.systems, "odoo", "run")
        return entries.post(self.systems, "odoo", "odoo", "run", lambda said: None)

    def settle(self, **later: float) -> steps.Matched:
        """One whole run, after some time if a test says so."""
        self.world.clock.forward(**later)
        self.read()
        steps.map_all(self.systems, "run")
        matched = steps.match(self.systems, "run")
        self.post()
        self.send()
        return matched

    # What our tables say

    def matches(self) -> list[tuple[str, ...]]:
        """Live matches: their rule, then what belongs together without the provider's name."""
        rows = self.world.rows(
            "select m.match_id, m.rule, m.difference_amount, i.ref from core.matches m "
            "join core.match_items i using (match_id) where m.ended_at is null "
            "order by m.match_id, i.side desc, i.ref"
        )
        found: dict[int, list[str]] = {}
        for row in rows:
            found.setdefault(row["match_id"], [row["rule"]]).append(row["ref"])
        return sorted(tuple(one) for one in found.values())

    def open(self) -> dict[tuple[str, str], str]:
        """What is open or doubtful: the thing and the finding, and the money at stake."""
        rows = self.world.rows("select ref, finding, amount, currency from core.open_items")
        return {
            (row["ref"], row["finding"].removeprefix("settlement.")): money(
                row["amount"], row["currency"]
            )
            for row in rows
        }

    def told(self) -> set[tuple[str, str]]:
        """Open exceptions of the subject: what they are about, and their code."""
        rows = self.world.rows(
            "select subject_ref, code from ops.exception where state = 'open' "
            "and code like 'settlement.%'"
        )
        return {(row["subject_ref"], row["code"].removeprefix("settlement.")) for row in rows}

    def held(self) -> set[tuple[str, str]]:
        """What is not booked: the account, rate or month that is missing, and the code."""
        return {
            (ref.removeprefix("books:"), code) for ref, code in self.told() if ref[:6] == "books:"
        }

    def books(self, like: str = "%") -> dict[str, list[str]]:
        """Journal entries by key: day, then account, amount and, if another, company amount."""
        rows = self.world.rows(
            "select e.entry_ref, e.posted_on, e.company_currency, l.* from core.journal_entries e "
            "join core.journal_lines l using (entry_ref) where e.entry_ref like :like "
            "order by e.entry_ref, l.account, l.currency, l.amount",
            like=like,
        )
        found: dict[str, list[str]] = {}
        for row in rows:
            said = f"{row['account']} {money(row['amount'], row['currency'])}"
            if row["currency"] != row["company_currency"]:
                said += f" = {money(row['company_amount'], row['company_currency'])}"
            found.setdefault(row["entry_ref"], [f"{row['posted_on']:%m-%d}"]).append(said)
        return found

    def entry(self, like: str) -> list[str]:
        """The one entry whose key is like this, as in `books`."""
        (found,) = self.books(like).values()
        return found

    def balances(self, company: str = US) -> dict[str, str]:
        """What each account has come to in the company's currency, those at zero left out."""
        rows = self.world.rows(
            "select l.account, e.company_currency, sum(l.company_amount) as amount "
            "from core.journal_lines l join core.journal_entries e using (entry_ref) "
            "where e.company = :company group by 1, 2 having sum(l.company_amount) <> 0 order by 1",
            company=company,
        )
        return {row["account"]: money(row["amount"], row["company_currency"]) for row in rows}

    def in_erp(self) -> dict[str, list[str]]:
        """Entries the ERP has posted, by our key, written as in `books` without the day."""
        found = {}
        for ref, (entry, *twins) in self.world.erp.entries_by_ref().items():
            assert not twins, ref
            assert entry["state"] == "posted", ref
            own = {company: currency for currency, _, company, *_ in STORES.values()}
            found[ref] = sorted(
                f"{line['account']} {money(line['amount'], line['currency'])}"
                + (
                    f" = {money(line['balance'], own[entry['company']])}"
                    if line["currency"] != own[entry["company"]]
                    else ""
                )
                for line in entry["lines"]
            )
        return found

    def counts(self) -> dict[str, int]:
        """Rows of everything a run may write."""
        return {
            table: self.world.rows(f"select count(*) as n from {table}")[0]["n"]
            for table in COUNTED
        }


COUNTED = (
    *("core.report_files", "core.report_faults", "core.settlement_lines", "core.payouts"),
    *("core.payment_events", "core.bank_lines", "core.bank_statements", "core.payments"),
    *("core.matches", "core.match_items", "core.settlement_conflicts", "core.open_items"),
    *("core.journal_entries", "core.journal_lines", "core.journal_sources", "ops.exception"),
    *("ops.outbox", "receipt.odoo__journal_entries", "plan.odoo__journal_entries"),
)
_SHIPPED = """
insert into core.order_line_progress (order_ref, line_ref, sku, ordered_units, cancelled_units,
    requested_units, shipped_units, delivered_units, returned_units, refunded_units)
select order_ref, line_ref, sku, quantity::int, 0, quantity::int, :units, 0, 0, 0
from core.order_lines where line_ref = :line and order_ref = :order
on conflict (order_ref, line_ref) do update
set shipped_units = held.shipped_units + excluded.shipped_units
""".replace("core.order_line_progress (", "core.order_line_progress as held (")


def _insert(table: str, row: Row) -> str:
    names, marks = ", ".join(row), ", ".join(f":{name}" for name in row)
    return f"insert into {table} ({names}) values ({marks})"


def money(amount: Decimal, currency: str) -> str:
    """An amount as people write it, to the cent; finer ones as they are."""
    cents = amount.quantize(Decimal("0.01"))
    return f"{cents if cents == amount else amount.normalize():f} {currency}".strip()


def _fee(said: tuple[str, str, str]) -> Row:
    currency, percent, fixed = said
    return {"currency": currency, "percent": percent, "fixed": fixed}


def days(count: float) -> timedelta:
    """So many days."""
    return timedelta(days=count)
