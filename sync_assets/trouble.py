"""A problem as an exception: whose it is, when it is due and what it stops follow from its kind.

What the kinds are is in `domain/exception_kinds.py`; a deployment may set the due times.
"""

from decimal import Decimal

from resources.settings import ServiceLevels
from resources.store.exceptions import Exceptional
from sync_assets.domain.exception_kinds import due_after, kind_of
from sync_assets.domain.orders import Problem


def exceptional(
    problem: Problem,
    subject_ref: str,
    levels: ServiceLevels,
    *,
    sender_ref: str | None = None,
    version: int | None = None,
    amount: Decimal | None = None,
    currency: str | None = None,
    can_release: bool | None = None,
) -> Exceptional:
    """Return the exception of a problem; `can_release` where the kind alone does not tell."""
    kind = kind_of(problem.code)
    # A default is what everybody has; only what the deployment itself says outdoes the kind.
    said = "exception_hours" in levels.model_fields_set
    return Exceptional(
        problem.code,
        subject_ref,
        problem.message,
        kind.owner_role,
        part=problem.part,
        subject_kind=kind.subject_kind,
        blocks=kind.blocks,
        can_release=kind.can_release if can_release is None else can_release,
        amount=amount,
        currency=currency,
        sender_ref=sender_ref,
        version=version,
        due_after=due_after(
            kind, levels.exception_hours if said else None, levels.exception_hours_by_role
        ),
    )
