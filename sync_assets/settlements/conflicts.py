"""Lines that were told twice and otherwise: which telling is right is for a person to say.

The first stands until then. Whichever is kept, both tellings are remembered, so that neither opens
the question again when it is told once more.
"""

from typing import Any

from sqlalchemy import Connection, text

from resources.store.exceptions import NotPossible
from resources.store.frames import read_rows
from sync_assets.settlements.mapping import MONEY, PAID_OUT, digest
from sync_assets.settlements.things import (
    SETTLED,
    Act,
    Thing,
    deciding,
    find,
    must_be_open,
    record,
)

_NUMBERS = frozenset(one for one in MONEY if one.endswith("_amount"))


def _said(name: str) -> str:
    """A value of the second telling; never by way of a float."""
    kept = f"c.said ->> '{name}'"
    return f"cast({kept} as numeric)" if name in _NUMBERS else kept


_BOTH = ", ".join(
    f"l.{name} as first_{name}, {_said(name)} as second_{name}" for name in (*MONEY, "payout_ref")
)
_OPEN = f"""
select c.line_ref, c.digest, l.provider, {_BOTH}, l.told_by as first_told_by,
    l.file_name as first_file, l.file_line as first_line, c.told_by as second_told_by,
    c.file_name as second_file, c.file_line as second_line, c.found_at
from core.settlement_conflicts c join core.settlement_lines l using (line_ref)
where c.settled_at is null and (cast(:provider as text) is null or l.provider = :provider)
  and (cast(:ref as text) is null or c.line_ref = :ref)
order by c.found_at, c.line_ref, c.digest
"""  # noqa: S608


def open_conflicts(
    connection: Connection, *, provider: str | None = None, ref: str | None = None
) -> list[dict[str, Any]]:
    """What nobody decided, the oldest first: both tellings side by side."""
    return read_rows(connection, _OPEN, provider=provider, ref=ref)


def keep_first(connection: Connection, ref: str, act: Act) -> None:
    """Say that what is held is right, whatever else was told."""
    with deciding(connection):
        find(connection, ref, SETTLED)
        found = _open(connection, ref)
        _settle(connection, ref, act)
        record(
            connection,
            act,
            "conflict_settled",
            ref,
            before={"open": [row["digest"] for row in found]},
            after={"kept": "first"},
        )


def keep_second(connection: Connection, ref: str, act: Act, digest: str | None = None) -> None:
    """Say that what was told later is right: it overwrites the line's money."""
    with deciding(connection):
        line = find(connection, ref, SETTLED)
        chosen = _chosen(_open(connection, ref), digest, ref)
        _must_be_free(connection, line)
        connection.execute(text(_REMEMBER_FIRST), {"ref": ref, "now": act.now})
        connection.execute(text(_OVERWRITE), {"ref": ref, "digest": chosen["digest"]})
        payouts = [chosen["first_payout_ref"], chosen["second_payout_ref"]]
        connection.execute(text(PAID_OUT), {"refs": [one for one in payouts if one]})
        _settle(connection, ref, act)
        names = (*MONEY, "payout_ref")
        record(
            connection,
            act,
            "conflict_settled",
            ref,
            before={name: chosen[f"first_{name}"] for name in names},
            after={"kept": "second", **{name: chosen[f"second_{name}"] for name in names}},
        )


def _open(connection: Connection, ref: str) -> list[dict[str, Any]]:
    found = open_conflicts(connection, ref=ref)
    if not found:
        raise NotPossible(
            f"Nothing waits to be decided about {ref}; `sync-assets settlements conflicts` lists "
            "what does."
        )
    return found


def _chosen(found: list[dict[str, Any]], digest: str | None, ref: str) -> dict[str, Any]:
    fits = [row for row in found if digest is None or str(row["digest"]).startswith(digest)]
    if len(fits) == 1:
        return fits[0]
    told = ", ".join(f"{row['digest'][:8]} ({row['second_net_amount']:f} net)" for row in found)
    raise NotPossible(f"{ref} was told otherwise as: {told}. Say which one, with --digest.")


def _must_be_free(connection: Connection, line: Thing) -> None:
    """What is matched or booked is not overwritten under the books."""
    must_be_open(line)
    if line.row["split_of"] is not None:
        raise NotPossible(f"{line.ref} is a part of {line.row['split_of']}; join that first.")
    rows = read_rows(connection, _BOOKED, ref=line.ref)
    if rows:
        entry = rows[0]["entry_ref"]
        raise NotPossible(
            f"{line.ref} is booked in {entry}. Take that back first with `sync-assets books "
            f"reverse {entry} --note …`, and decide before the next run books it anew."
        )


_BOOKED = """
select entry_ref from core.journal_sources
where source_kind = 'line' and source_ref = :ref and is_live order by 1 limit 1
"""
#: The digest is the mapping step's: told once more, the first opens no new conflict.
_REMEMBER_FIRST = f"""
insert into core.settlement_conflicts (line_ref, digest, said, told_by, file_name, file_line,
    found_at)
select l.line_ref, {digest("l")},
    to_jsonb(l) - 'is_split' - 'split_of' - 'run_id', l.told_by, l.file_name, l.file_line, :now
from core.settlement_lines l where l.line_ref = :ref
on conflict (line_ref, digest) do nothing
"""  # noqa: S608
_SET = ", ".join(f"{name} = {_said(name)}" for name in MONEY)
_OVERWRITE = f"""
update core.settlement_lines l set {_SET}, payout_ref = coalesce({_said("payout_ref")},
        l.payout_ref), told_by = c.told_by, file_name = c.file_name, file_line = c.file_line
from core.settlement_conflicts c
where l.line_ref = :ref and c.line_ref = l.line_ref and c.digest = :digest
"""  # noqa: S608


def _settle(connection: Connection, ref: str, act: Act) -> None:
    connection.execute(
        text(
            "update core.settlement_conflicts set settled_at = :now, settled_by = :by, "
            "note = :note where line_ref = :ref and settled_at is null"
        ),
        {"now": act.now, "by": act.by, "note": act.note, "ref": ref},
    )
