"""Units that a system told of, put into the lines of a return. Pure.

What was announced stays as it was announced; what is there, and what became of it, is what the
system says of all its documents together, each time anew.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from sync_assets.domain.after_sale import ReturnLine
from sync_assets.domain.returns import SeenReturn, SeenReturnLine

Lines = tuple[ReturnLine, ...]


def told_lines(documents: Sequence[SeenReturn]) -> Lines:
    """The lines of documents, added up by article and named order line."""
    found: dict[tuple[str | None, str], ReturnLine] = {}
    for said in (line for one in documents for line in one.lines):
        line, key = _line(said), (said.line_key, said.sku.casefold())
        held = found.get(key)
        found[key] = line if held is None else held.plus(line)
    return _numbered(found.values())


def _line(said: SeenReturnLine) -> ReturnLine:
    return ReturnLine(
        line_no=0,
        line_ref=said.line_key,
        sku=said.sku,
        requested_units=said.requested_units,
        received_units=said.received_units,
        restock_units=said.restock_units,
        refurbish_units=said.refurbish_units,
        write_off_units=said.write_off_units,
    )


def merged(
    announced: Sequence[ReturnLine], told: Sequence[ReturnLine], before: Sequence[ReturnLine]
) -> Lines:
    """The lines of a return with the units that are told to be there.

    Units of an article fill the lines it was announced by, in their order; what is over, or was
    never announced, makes a line of its own. A return that only its system told of has no
    announcement but what it tells; then a line keeps the order line it was found to belong to.
    """
    if not announced:
        return _numbered(part for one in told for part in _as_before(one, before))
    lines = [
        ReturnLine(0, line.line_ref, line.sku, line.requested_units)
        for line in announced
        if line.requested_units
    ]
    rest = [left for one in told if (left := _filled(lines, one)).received_units]
    over = [replace(line, line_ref=None, requested_units=0) for line in rest]
    return _numbered([*lines, *over])


def _filled(lines: list[ReturnLine], left: ReturnLine) -> ReturnLine:
    """Put units into the announced lines of their article; answers what is over."""
    for place, line in enumerate(lines):
        if line.sku.casefold() == left.sku.casefold():
            room = line.requested_units - line.received_units
            part, left = left.split(min(room, left.received_units))
            lines[place] = line.plus(replace(part, requested_units=0))
    return left


def _as_before(left: ReturnLine, before: Sequence[ReturnLine]) -> Iterator[ReturnLine]:
    """What is told, with the order lines that the same units were found to belong to before."""
    for line in before:
        if line.line_ref is not None and line.sku.casefold() == left.sku.casefold():
            part, left = left.split(min(line.units, left.units))
            yield replace(part, line_ref=line.line_ref)
    if left.units:
        yield left


def _numbered(lines: Iterable[ReturnLine]) -> Lines:
    return tuple(replace(line, line_no=number) for number, line in enumerate(lines))
