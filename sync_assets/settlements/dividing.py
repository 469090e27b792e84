"""Dividing a settled line into parts that come to it exactly, and putting them together again.

The parts are lines that a person told; the line itself stays as the provider told it and counts no
more.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, text

from resources.store.exceptions import NotPossible
from resources.store.frames import read_rows, scalar
from sync_assets.domain.money import digits_of, shares
from sync_assets.domain.payments import LONGEST_TEXT, ToldBy
from sync_assets.settlements.things import (
    SETTLED,
    Act,
    Thing,
    deciding,
    find,
    money,
    must_be_open,
    record,
)


@dataclass(frozen=True)
class Part:
    """One part: its gross amount with the line's sign, and what a person says of it."""

    amount: Decimal
    #: One word names its order; more are kept as its description.
    words: str | None = None


def split(connection: Connection, ref: str, parts: Sequence[Part], act: Act) -> list[str]:
    """Divide a line; answers the keys of its parts."""
    with deciding(connection):
        line = find(connection, ref, SETTLED)
        must_be_open(line)
        _must_tie(line, parts)
        rows = _rows(line, parts, _first_free(connection, ref))
        connection.execute(text(_SPLIT), {"ref": ref})
        connection.execute(text(_PARTS), rows)
        record(
            connection,
            act,
            "split",
            ref,
            before={"gross": line.row["gross_amount"], "is_split": False},
            after={"parts": [_told(row) for row in rows], "is_split": True},
        )
    return [row["part_ref"] for row in rows]


def _must_tie(line: Thing, parts: Sequence[Part]) -> None:
    """The parts of a line come to its gross amount, each with its sign."""
    gross, currency = line.row["gross_amount"], line.row["currency"]
    if line.row["split_of"] is not None:
        whole = line.row["split_of"]
        raise NotPossible(
            f"{line.ref} is a part of {whole}. Join that with `sync-assets settlements split "
            f"{whole} --join`, and split it anew."
        )
    if len(parts) < 2:
        raise NotPossible("Name two parts at least: --part 60.00=1042 --part 40.00=1043.")
    for one in parts:
        if one.amount != round(one.amount, digits_of(currency)):
            raise NotPossible(f"{one.amount} has more digits than {currency}.")
        if not one.amount or (one.amount > 0) != (gross > 0):
            raise NotPossible(
                f"Each part has the sign of the line, which is {money(gross, currency)}; "
                f"{one.amount} has not."
            )
    total = sum((one.amount for one in parts), Decimal())
    if total != gross:
        raise NotPossible(
            f"The parts come to {money(total, currency)}, the line is {money(gross, currency)}: "
            f"{money(gross - total, currency)} are missing."
        )


def _rows(line: Thing, parts: Sequence[Part], first: int) -> list[dict[str, Any]]:
    """The parts as lines; fees, tax and what the customer paid are divided like the gross."""
    row, weights = line.row, [abs(one.amount) for one in parts]
    fees = _shares(row["fee_amount"], weights, row["currency"])
    taxes = _shares(row["fee_tax_amount"], weights, row["currency"])
    paid: Sequence[Decimal | None] = [None] * len(parts)
    if row["paid_amount"] is not None:
        paid = _shares(row["paid_amount"], weights, row["paid_currency"])
    return [
        {
            "ref": line.ref,
            "part_ref": f"{line.ref}#{number}",
            "reference": one.words if one.words and " " not in one.words else None,
            "words": one.words[:LONGEST_TEXT] if one.words else None,
            "gross": one.amount,
            "fee": fee,
            "tax": tax,
            "net": one.amount - fee - tax,
            "paid": share,
            "told_by": str(ToldBy.PERSON),
        }
        for number, (one, fee, tax, share) in enumerate(
            zip(parts, fees, taxes, paid, strict=True), start=first
        )
    ]


def _shares(total: Decimal, weights: Sequence[Decimal], currency: str) -> list[Decimal]:
    """Some providers tell fees with more digits than the currency has."""
    exponent = (total.normalize() + 0).as_tuple().exponent
    told = -exponent if isinstance(exponent, int) else 0
    return shares(total, weights, max(told, digits_of(currency)))


def _first_free(connection: Connection, ref: str) -> int:
    """A number that no part of an earlier split had: what is kept of that one names it."""
    used = scalar(connection, _USED, stem=f"{ref}#")
    return int(used or 0) + 1


_USED = """
select max(cast(substr(u.ref, length(:stem) + 1) as integer)) from (
    select ref from core.match_items where side = 'settled' and starts_with(ref, :stem)
    union all select source_ref from core.journal_sources
    where source_kind = 'line' and starts_with(source_ref, :stem)
) u (ref) where substr(u.ref, length(:stem) + 1) ~ '^[0-9]{1,6}$'
"""
_SPLIT = "update core.settlement_lines set is_split = true where line_ref = :ref"
_PARTS = """
insert into core.settlement_lines (line_ref, provider, kind, payout_ref, payment_id, group_id,
    movement_id, order_reference, method, currency, gross_amount, fee_amount, fee_tax_amount,
    net_amount, paid_amount, paid_currency, exchange_rate, occurred_at, description, fee_detail,
    told_by, file_name, file_line, split_of)
select :part_ref, provider, kind, payout_ref, payment_id, group_id, movement_id,
    coalesce(cast(:reference as text), order_reference), method, currency, :gross, :fee, :tax,
    :net, :paid, paid_currency, exchange_rate, occurred_at, coalesce(cast(:words as text),
    description), null, :told_by, file_name, file_line, line_ref
from core.settlement_lines where line_ref = :ref
"""


def _told(row: dict[str, Any]) -> dict[str, Any]:
    return {"ref": row["part_ref"], "gross": row["gross"], "words": row["words"]}


# ---------------------------------------------------------------- taking back


def join(connection: Connection, ref: str, act: Act) -> list[str]:
    """Let a line that was split count itself again; answers the parts that are gone."""
    with deciding(connection):
        line = find(connection, ref, SETTLED)
        if not line.row["is_split"]:
            raise NotPossible(f"{ref} is not split; it counts as it is.")
        parts = read_rows(connection, _PARTS_OF, ref=ref)
        for one in parts:
            if one["match_id"] is not None:
                raise NotPossible(
                    f"{one['line_ref']} is in match {one['match_id']}. End that first: "
                    f"`sync-assets settlements unmatch {one['match_id']} --note …`."
                )
            if one["entry_ref"] is not None:
                raise NotPossible(
                    f"{one['line_ref']} is booked in {one['entry_ref']}. The next run takes that "
                    "back once its match is ended; a payout's entry is taken back with "
                    f"`sync-assets books reverse {one['entry_ref']}`."
                )
        connection.execute(
            text("delete from core.settlement_lines where split_of = :ref"), {"ref": ref}
        )
        connection.execute(
            text("update core.settlement_lines set is_split = false where line_ref = :ref"),
            {"ref": ref},
        )
        told = [{"ref": one["line_ref"], "gross": one["gross_amount"]} for one in parts]
        record(
            connection,
            act,
            "joined",
            ref,
            before={"parts": told, "is_split": True},
            after={"is_split": False},
        )
    return [str(one["line_ref"]) for one in parts]


_PARTS_OF = """
select l.line_ref, l.gross_amount, i.match_id,
    (select min(s.entry_ref) from core.journal_sources s where s.source_kind = 'line'
        and s.source_ref = l.line_ref and s.is_live) as entry_ref
from core.settlement_lines l
left join core.match_items i on i.side = 'settled' and i.ref = l.line_ref and i.is_live
where l.split_of = :ref order by l.line_ref for update of l
"""
