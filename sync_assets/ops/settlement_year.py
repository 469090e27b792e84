"""A generated year of payments, settled by the real steps: files are dropped into inboxes, read,
mapped, matched with orders and refunds, judged and booked; then counted against what was planted.

Orders, refunds and invoices are put into their core tables directly: how they come there is another
subject's proof.
"""

import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import yaml
from sqlalchemy import Connection, Engine, text

from resources import settings
from resources.sandbox import deployment, settlement_terms
from resources.sandbox.settlement_facts import OrderFact, Planted, Year
from resources.store.engine import connected
from resources.store.frames import copy_rows, read_rows, scalar
from resources.wiring import Systems
from sync_assets.settlements import posting, reading, steps

ZERO = Decimal(0)
#: Files go on for some months after the last order; the year is judged when all is over.
LATER = timedelta(days=240)
Say = Callable[[str], None]


@dataclass
class Judged:
    """What came of a year."""

    orders: int = 0
    lines: int = 0
    matched: int = 0
    open: int = 0
    unexplained: int = 0
    entries: int = 0
    planted: int = 0
    found: int = 0
    #: Planted kinds that were not all found, with how many were.
    missed: dict[str, str] = field(default_factory=dict)
    #: Findings that nothing planted explains, by code.
    beside: dict[str, int] = field(default_factory=dict)
    examples: list[str] = field(default_factory=list)
    #: What the files come to against what was read, by provider and currency; empty: to the cent.
    differences: dict[str, str] = field(default_factory=dict)
    held: dict[str, int] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)


def settle(engine: Engine, year: Year, folder: Path, say: Say = lambda line: None) -> Judged:
    """Carry a year through the steps in an empty database, and judge it."""
    last = max(one.placed_at for one in year.orders)
    now = last + LATER
    systems = Systems(_settings(folder), engine, now=lambda: now)
    done = Judged(orders=len(year.orders), planted=len(year.planted))
    began = time.perf_counter()

    def took(name: str) -> None:
        nonlocal began
        done.seconds[name] = round(time.perf_counter() - began, 1)
        say(f"{name}: {done.seconds[name]} s")
        began = time.perf_counter()

    _load(engine, year)
    took("load")
    _drop(systems, year)
    for name in (*systems.settings.providers, *systems.settings.banks):
        reading.files(systems, name, None)
    took("read")
    steps.map_all(systems, None)
    took("map")
    steps.match(systems, None)
    _fail_refunds(engine, year)
    steps.match(systems, None)
    took("match")
    posted = posting.post(systems, None)
    took("post")
    done.entries, done.held = posted.entries, posted.held
    with connected(engine) as connection:
        _count(connection, done)
        _differ(connection, year, done)
        _found(connection, year.planted, done)
    return done


# ---------------------------------------------------------------- the deployment


def _settings(folder: Path) -> settings.Settings:
    """Three stores, one ERP, four providers and their banks, with the contracts as policy."""
    policy = folder / "settlements.yaml"
    policy.write_text(yaml.safe_dump(policy_of_the_terms(), sort_keys=False))
    urls = {name: "http://127.0.0.1:1/" + name for name in ("us", "uk", "eu", "odoo")}
    data = deployment.deployment(urls)
    return settings.parse(
        {
            **data,
            "providers": {
                one.name: _provider(one, folder) for one in settlement_terms.PROVIDERS.values()
            },
            "banks": {
                one.name: {
                    "kind": one.kind,
                    "inbox": str(_inbox(folder, one.name)),
                    "iban": one.iban if one.kind == "camt053" else None,
                    "currency": one.currency,
                    "company": _company(data, one.name),
                }
                for one in settlement_terms.BANKS.values()
            },
            "policies": {"settlements": str(policy)},
        }
    )


def _inbox(folder: Path, name: str) -> Path:
    path = folder / "inbox" / name
    path.mkdir(parents=True, exist_ok=True)
    return path


def _company(data: Mapping[str, Any], bank: str) -> str:
    """The company of the store whose provider pays to a bank; a spare account is of the first."""
    stores = {one.bank: one.store for one in settlement_terms.PROVIDERS.values()}
    return str(data["stores"][stores.get(bank, "us")]["company"])


def _provider(one: settlement_terms.Provider, folder: Path) -> dict[str, Any]:
    own: dict[str, dict[str, Any]] = {
        "stripe": {"key": "sk_none", "asks": False},
        "paypal": {"client_id": "none", "secret": "none", "asks": False},
        "adyen": {"asks": False},
        "files": {},
    }
    kind = {"cod_eu": "files"}.get(one.name, one.name.partition("_")[0])
    return {
        "kind": kind,
        **own[kind],
        "payment_methods": [one.method],
        "stores": [one.store],
        "bank": one.bank,
        "inbox": str(_inbox(folder, one.name)),
    }


def policy_of_the_terms() -> dict[str, Any]:
    """The generated year's contracts as a settlements policy."""
    data = deployment.deployment(dict.fromkeys(("us", "uk", "eu", "odoo"), "http://127.0.0.1:1"))
    return {
        "version": 1,
        "providers": {
            name: {
                "settles_within_days": 45,
                "bank_within_days": 7,
                "fees": deployment.fee_rules(name),
                "agreed_fees": list(settlement_terms.AGREED_FEES[name]),
                "bank_names": [f"*{one.counterparty.lower()}*"],
                **_reserve(name),
            }
            for name, one in settlement_terms.PROVIDERS.items()
        },
        "companies": {
            one["company"]: {"currency": one["currencies"][0], "accounts": ACCOUNTS}
            for one in data["stores"].values()
        },
    }


#: Each bank of its own in the ledger, beside what every deployment has.
ACCOUNTS = {kind: code for kind, code, _ in deployment.ACCOUNTS} | {
    "bank.main_usd": "1001",
    "bank.main_gbp": "1002",
    "bank.main_eur": "1003",
    "tax_withheld": "2300",
    "prepayments": "2400",
}


def _reserve(name: str) -> dict[str, int]:
    days = settlement_terms.RESERVE_DAYS.get(name)
    return {"reserve_days": days} if days else {}


def _drop(systems: Systems, year: Year) -> None:
    """Put the files where providers and banks would."""
    for name, files in year.files.items():
        inbox = reading.settings_of(systems, name).inbox
        assert inbox is not None
        for place, (file, content) in enumerate(files):
            path = inbox / file
            path.write_bytes(content)
            _age(path, place)


def _age(path: Path, place: int) -> None:
    """Files are read in the order in which they were written."""
    at = 1_500_000_000 + place
    os.utime(path, (at, at))


# ---------------------------------------------------------------- facts


def _load(engine: Engine, year: Year) -> None:
    with connected(engine) as connection:
        _copy(connection, "core.orders", map(_order, year.orders))
        _copy(connection, "core.order_lines", _lines(year.orders))
        _load_refunds(connection, year)
        _copy(connection, "core.payment_events", (_plain(one) for one in year.events))
        _copy(connection, "core.invoices", (_plain(one) for one in year.invoices))
        _copy(
            connection,
            "core.exchange_rates",
            (
                {
                    "currency": one.currency,
                    "company_currency": one.company_currency,
                    "on_day": one.day,
                    "rate": one.rate,
                    "source": "generated",
                }
                for one in year.rates
            ),
        )
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("analyze")


def _plain(fact: Any) -> dict[str, Any]:
    return {name: getattr(fact, name) for name in fact.__slots__}


def _copy(connection: Connection, table: str, rows: Iterable[Mapping[str, Any]]) -> None:
    """COPY rows that all have the same columns."""
    found = iter(rows)
    first = next(found, None)
    if first is None:
        return
    names = list(first)

    def values() -> Iterator[list[Any]]:
        yield [first[name] for name in names]
        for row in found:
            yield [row[name] for name in names]

    copy_rows(connection, table, names, values())


def _order(one: OrderFact) -> dict[str, Any]:
    return {
        "order_ref": one.order_ref,
        "store": one.store,
        "order_id": one.order_id,
        "order_number": one.number,
        "state": one.state,
        "shop_status": one.state,
        "currency": one.currency,
        "prices_include_tax": False,
        "placed_at": one.placed_at,
        "paid_at": one.paid_at,
        "changed_at": one.changed_at,
        "payment_method": one.payment_method or "",
        "payment_ref": one.payment_ref,
        "net_amount": one.net,
        "shipping_amount": one.shipping,
        "fee_amount": one.fees - one.gift_card,
        "tax_amount": one.tax,
        "discount_amount": one.discount,
        "rounding_amount": ZERO,
        "total_amount": one.total,
        "refunded_amount": ZERO,
        "raw_version": 0,
    }


def _lines(orders: Iterable[OrderFact]) -> Iterator[dict[str, Any]]:
    for one in orders:
        parts = (
            ("product", "Goods", one.net, one.net + one.discount, one.tax),
            ("shipping", "Shipping", one.shipping, one.shipping, ZERO),
            ("fee", "Fee", one.fees, one.fees, ZERO),
            ("fee", "Gift card", -one.gift_card, -one.gift_card, ZERO),
        )
        for place, (kind, words, net, subtotal, tax) in enumerate(parts):
            if net or kind == "product":
                yield {
                    "line_ref": f"{one.order_ref}:{place}",
                    "order_ref": one.order_ref,
                    "kind": kind,
                    "position": place,
                    "sku": "GOODS" if kind == "product" else None,
                    "description": words,
                    "quantity": 1,
                    "currency": one.currency,
                    "subtotal_amount": subtotal,
                    "net_amount": net,
                    "tax_amount": tax,
                }


def _load_refunds(connection: Connection, year: Year) -> None:
    """Refunds move by steps only; the provider's word came at once."""
    stores = {one.order_ref: one.store for one in year.orders}
    _copy(
        connection,
        "core.refunds",
        (
            {
                "refund_ref": one.refund_ref,
                "order_ref": one.order_ref,
                "store": stores[one.order_ref],
                "source": "shop_refund",
                "method": "gateway",
                "currency": one.currency,
                "amount": one.amount,
                "net_amount": ZERO,
                "shipping_amount": ZERO,
                "fee_amount": ZERO,
                "tax_amount": ZERO,
                "unassigned_amount": one.amount,
                "provider_ref": one.provider_ref,
                "refunded_at": one.refunded_at,
            }
            for one in year.refunds
        ),
    )
    for before, after in (("", "requested"), ("requested", "approved"), ("approved", "confirmed")):
        _step(connection, before, after, [one.refund_ref for one in year.refunds], "refunded_at")


def _step(
    connection: Connection, before: str, after: str, refs: Sequence[str], at: str | datetime
) -> None:
    moment = at if isinstance(at, str) else "now()"
    connection.execute(
        text(
            f"""
            insert into core.saga_steps (saga, subject_ref, from_state, to_state, actor, reason,
                cause, at)
            select 'refund', refund_ref, :before, :after, 'generated', 'a generated year',
                'a generated year', {moment}
            from core.refunds where refund_ref = any(:refs) order by refund_ref
            """  # noqa: S608
        ),
        {"before": before, "after": after, "refs": list(refs)},
    )


def _fail_refunds(engine: Engine, year: Year) -> None:
    """What the provider could not give back, it says after the money had left."""
    refs = [one.refund_ref for one in year.refunds if one.state == "failed"]
    with connected(engine) as connection:
        if refs:
            _step(connection, "confirmed", "failed", refs, "refunded_at")


# ---------------------------------------------------------------- judging


def _count(connection: Connection, done: Judged) -> None:
    row = read_rows(connection, _COUNTS)[0]
    done.lines, done.matched = int(row["lines"]), int(row["matched"])
    done.unexplained = int(row["unexplained"])
    done.open = int(scalar(connection, "select count(*) from core.open_items"))


_COUNTS = """
select count(*) as lines, count(i.ref) as matched, count(*) filter (where i.ref is null
    and l.kind not in ('payout', 'payout_returned', 'topup') and not exists (
        select from core.open_items o where o.side = 'settled' and o.ref = l.line_ref))
    as unexplained
from core.settlement_lines l
left join core.match_items i on i.side = 'settled' and i.ref = l.line_ref and i.is_live
where not l.is_split
"""


def _differ(connection: Connection, year: Year, done: Judged) -> None:
    """What was read against what was written, to the cent, where nothing was planted in files."""
    rows = {
        (row["provider"], row["currency"]): row
        for row in read_rows(
            connection,
            "select provider, currency, sum(net_amount) filter (where kind <> 'payout') as net, "
            "-coalesce(sum(net_amount) filter (where kind = 'payout'), 0) as payouts "
            "from core.settlement_lines group by 1, 2",
        )
    }
    for key, total in year.totals.items():
        row = rows.get(key)
        net = row["net"] if row else ZERO
        if net != total.net:
            done.differences["/".join(key)] = f"read {net}, written {total.net}"


def _found(connection: Connection, planted: Sequence[Planted], done: Judged) -> None:
    """Which planted faults have their finding, and which findings have no planted fault."""
    items = read_rows(connection, _ITEMS)
    files = {
        row["file_name"]
        for row in read_rows(
            connection, "select file_name from core.report_files where state = 'duplicate'"
        )
    }
    by_finding: dict[str, list[dict[str, Any]]] = {}
    for row in items:
        by_finding.setdefault(row["finding"].removeprefix("settlement."), []).append(row)
    taken: set[int] = set()
    counts: dict[str, list[int]] = {}
    for one in planted:
        tally = counts.setdefault(one.kind, [0, 0])
        tally[1] += 1
        if one.finding == "duplicate":
            is_found = one.ref in files
        else:
            hits = [row for row in by_finding.get(one.finding, []) if one.ref in row["names"]]
            taken |= {id(row) for row in hits}
            is_found = bool(hits)
        tally[0] += is_found
        if not is_found and len(done.examples) < 40:
            done.examples.append(f"not found: {one.kind} {one.finding} {one.ref}")
    done.found = sum(found for found, _ in counts.values())
    done.missed = {
        kind: f"{found} of {wanted}"
        for kind, (found, wanted) in sorted(counts.items())
        if found < wanted
    }
    for row in items:
        if id(row) not in taken:
            name = row["finding"].removeprefix("settlement.")
            done.beside[name] = done.beside.get(name, 0) + 1
            if len(done.examples) < 80 and done.beside[name] <= 3:
                done.examples.append(f"beside: {name} {row['names'][:160]}")


#: Everything that a planted fault's reference may be in.
_ITEMS = """
select o.finding, concat_ws(' | ', o.ref, o.order_ref, o.detail, b.bank_reference, b.description,
    b.end_to_end_id, trim_scale(abs(o.amount))) as names
from core.open_items o
left join core.bank_lines b on o.side = 'bank' and b.bank_line_ref = o.ref
order by o.finding, o.ref
"""
