"""What is not sent without a person's word: a plan that would empty a store.

Works on the rows that `planning.py` has staged in `stage_plan`, before they are put down.
"""

from datetime import datetime, timedelta

from sqlalchemy import Connection, text

from resources.store import exceptions
from resources.store.frames import scalar
from resources.wiring import Systems
from sync_assets.domain.orders import Problem
from sync_assets.domain.policy import Guards
from sync_assets.domain.publishing import is_mass_drop
from sync_assets.trouble import exceptional

MASS_DROP = "stock.mass_drop"
#: How long a person's release of a mass drop lets a store's plans go, and how far back drops that
#: were sent already count: a source that dies page by page empties a shop no less.
RELEASE, WINDOW = timedelta(hours=1), timedelta(hours=1)


def hold_mass_drop(
    connection: Connection, systems: Systems, store: str, guards: Guards, run_id: str | None
) -> None:
    """Hold every drop to nothing where there are too many of them at once.

    Only these: an ERP that answers nothing must not empty a shop. Increases rest on what a source
    did say, and a number that falls to something is a sale elsewhere more often than a fault;
    holding those would sell pieces twice to be safe from selling none.
    """
    now, subject = systems.now(), f"{store}/stock"
    dropping = int(scalar(connection, _DROPPING, store=store, since=now - WINDOW))
    selling = int(scalar(connection, _SELLING, store=store)) if dropping else 0
    is_held = is_mass_drop(dropping, selling, guards) and not scalar(
        connection, _RELEASED, subject=subject, code=MASS_DROP, since=now - RELEASE
    )
    found = []
    if is_held:
        connection.execute(text(_HOLD))
        message = (
            f"{dropping} of {selling} listings that sell now would show nothing; is a source "
            "silent? None of them is written before this is released"
        )
        found = [
            exceptional(
                Problem(MASS_DROP, "", message),
                subject,
                systems.settings.service_levels,
                sender_ref=store,
                version=_version(connection, subject, now),
            )
        ]
    exceptions.reconcile(
        connection, found, subjects=[subject], codes=[MASS_DROP], now=now, run_id=run_id
    )


#: Those found now, those planned before and not sent yet, and those sent a moment ago.
_DROPPING = """
select count(distinct product_id) from (
    select product_id from stage_plan where is_drop and action in ('set', 'held')
    union
    select p.product_id from plan.woocommerce__stock p
    where p.system = :store and p.wanted_units <= 0 and p.seen_units > 0
      and p.wanted_backorders = 'no' and p.action in ('set', 'held')
      and exists (select from stage_plan where is_drop)
    union
    select r.product_id from receipt.woocommerce__stock r
    where r.system = :store and r.answered_at > :since and r.written_units <= 0
      and r.before_units > 0 and exists (select from stage_plan where is_drop)
) d
"""
#: What was emptied a moment ago sold until then.
_SELLING = """
select count(*) from core.listings
where store = :store and status <> 'trash' and (stock_units > 0 or backorders <> 'no'
    or (stock_management = 'no' and stock_status <> 'outofstock'))
"""
_RELEASED = """
select exists (select from ops.exception where state = 'released' and code = :code
    and subject_ref = :subject and closed_at > :since)
"""
_HOLD = "update stage_plan set action = 'held', reason = 'mass_drop' where is_drop"


def _version(connection: Connection, subject: str, now: datetime) -> int:
    """One number for as long as it stays open; a release of another time does not hold for it."""
    opened = scalar(
        connection,
        "select version from ops.exception where state = 'open' and code = :code "
        "and subject_ref = :subject",
        code=MASS_DROP,
        subject=subject,
    )
    return int(opened) if opened else int(now.timestamp())
