"""What payment providers say became of refunds: signed notices kept as verdicts, each given to its
refund.

A notice is believed because its provider signed it. One refund must fit it and no other; else it
waits for a person.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, text

from resources.store import exceptions, inbox
from resources.store.engine import connected, one_at_a_time
from resources.store.frames import read_rows
from resources.store.inbox import Kinds
from resources.wiring import Systems
from sync_assets.domain.orders import Problem, Rejected, Row
from sync_assets.domain.returns import SeenVerdict
from sync_assets.mappers.refund_verdicts import PROVIDERS, TOPICS
from sync_assets.mapping import parsed
from sync_assets.reading import Tally
from sync_assets.returns.requests import Deliveries, each_batch
from sync_assets.returns.settling import LOCK
from sync_assets.trouble import exceptional

UNMATCHED = "refund.verdict_unmatched"
#: A provider may be faster than the shop: the refund is read soon.
GRACE = timedelta(hours=1)


def endpoints(systems: Systems) -> dict[str, str]:
    """Endpoints of payment providers, and their schemes."""
    return {
        name: one.scheme
        for name, one in systems.settings.endpoints().items()
        if one.scheme in PROVIDERS
    }


def read(systems: Systems, endpoint: str, run_id: str | None) -> Tally:
    """Keep the verdicts that an endpoint's notices tell."""
    scheme, total = endpoints(systems)[endpoint], Tally()
    each_batch(
        systems,
        scheme,
        endpoint,
        Kinds(TOPICS[scheme]),
        run_id,
        lambda batch: _keep(systems, batch, scheme, total),
    )
    # Notices of payments and payouts are copied by the settlements, whoever ends them.
    each_batch(systems, scheme, endpoint, Kinds(TOPICS[scheme], False), run_id, _end)
    return total


def _end(batch: Deliveries) -> None:
    for row in batch.rows:
        batch.settle(row, "says nothing of a refund")


def _keep(systems: Systems, batch: Deliveries, scheme: str, total: Tally) -> None:
    for row in batch.rows:
        total.seen += 1
        if row["signature"] != "valid":
            batch.settle(row, "names nothing we follow")
            continue
        try:
            found = PROVIDERS[scheme](parsed(bytes(row["body"]).decode(errors="replace")))
        except Rejected as refusal:
            total.broken += 1
            _set_aside(systems, batch, row, refusal.problems)
            continue
        total.new += sum(_insert(batch.connection, one, row["id"]) for one in found)
        batch.settle(row, "read" if found else "names nothing we follow")


def _set_aside(systems: Systems, batch: Deliveries, row: Row, problems: list[Problem]) -> None:
    reasons = "; ".join(f"{one.part}: {one.message}" for one in problems)
    found = exceptional(
        Problem("thing.malformed", problems[0].part, f"delivery {row['id']}: {reasons}"),
        f"{batch.endpoint}:verdict:{row['id']}",
        systems.settings.service_levels,
        can_release=True,
    )
    exceptions.open_all(batch.connection, [found], now=batch.now)
    inbox.quarantine(batch.connection, [row["id"]], now=batch.now, outcome=reasons[:2000])


def _insert(connection: Connection, one: SeenVerdict, inbox_id: int) -> int:
    """Keep one verdict; told again it is the same one. A known refund gets it at once."""
    values: dict[str, Any] = {**vars(one), "inbox_id": inbox_id}
    return int(connection.execute(text(_VERDICT), values).rowcount)


_VERDICT = """
insert into core.refund_verdicts (provider, refund_id, state, happened_at, payment_id, reference,
    amount, currency, reason, inbox_id)
values (:provider, :refund_id, :state, :happened_at, :payment_id, :reference, :amount, :currency,
    :reason, :inbox_id)
on conflict (provider, refund_id, state, happened_at) do nothing
"""


# ---------------------------------------------------------------- whose they are


def match(systems: Systems, run_id: str | None) -> dict[str, int]:
    """Give every verdict without a refund the one it is about; answers how many of each kind."""
    counts = {"matched": 0, "unmatched": 0}
    with connected(systems.engine) as connection, one_at_a_time(connection, LOCK):
        waiting = read_rows(connection, _WAITING)
        found = []
        for one in waiting:
            refs = _candidates(connection, one)
            if len(refs) == 1:
                _give(connection, one, refs[0])
                counts["matched"] += 1
            else:
                counts["unmatched"] += 1
                if one["happened_at"] < systems.now() - GRACE:
                    found.append(_unmatched(systems, one, refs))
        exceptions.reconcile(
            connection,
            found,
            subjects=[_subject(one) for one in waiting],
            codes=[UNMATCHED],
            now=systems.now(),
            run_id=run_id,
        )
    return counts


#: One row for each refund of a provider: what its newest notice says.
_WAITING = """
select distinct on (provider, refund_id) provider, refund_id, payment_id, reference, amount,
    currency, happened_at
from core.refund_verdicts where refund_ref is null
order by provider, refund_id, happened_at desc
"""


def _candidates(connection: Connection, one: Row) -> list[str]:
    """Refunds that a verdict may be about, by the surest way that finds any."""
    for query in (_BY_ID, _BY_REFERENCE, _BY_PAYMENT):
        rows = read_rows(connection, query, **one)
        if rows:
            return [row["refund_ref"] for row in rows]
    return []


_BY_ID = "select refund_ref from core.refunds where provider_ref = :refund_id order by 1"
_BY_REFERENCE = """
select refund_ref from core.refunds where refund_ref = :reference
  and (provider_ref is null or provider_ref = :refund_id)
"""
_BY_PAYMENT = """
select m.refund_ref from core.orders o join core.refunds m using (order_ref)
where (o.payment_ref = :payment_id or o.payment_ref = :reference)
  and m.amount = :amount and m.currency = :currency and m.provider_ref is null
  and m.method <> 'offset'
  and m.state not in ('awaiting_approval', 'refused', 'withdrawn', 'reversed')
order by 1
"""


def _give(connection: Connection, one: Row, ref: str) -> None:
    connection.execute(
        text(
            "update core.refund_verdicts set refund_ref = :ref "
            "where provider = :provider and refund_id = :refund_id and refund_ref is null"
        ),
        {"ref": ref, "provider": one["provider"], "refund_id": one["refund_id"]},
    )
    # Written even where it is known: the order is looked at again because its refund changed.
    connection.execute(
        text("update core.refunds set provider_ref = :id where refund_ref = :ref"),
        {"id": one["refund_id"], "ref": ref},
    )


def _subject(one: Row) -> str:
    return f"{one['provider']}:{one['refund_id']}"


def _unmatched(systems: Systems, one: Row, refs: Sequence[str]) -> exceptions.Exceptional:
    several = f"several refunds fit it: {', '.join(refs[:5])}"
    said = several if refs else "no refund of that payment and amount is known"
    return exceptional(
        Problem(UNMATCHED, "", said),
        _subject(one),
        systems.settings.service_levels,
        amount=one["amount"],
        currency=one["currency"],
        sender_ref=one["reference"] or one["payment_id"],
    )
