"""What a shop may have sold that we do not know of yet, and how that bounds a number we write.

A shop's number falls at checkout; the order that explains it arrives a moment later. Until then a
number worked out from the orders we know is too high by just what was sold. The shop's own fall
since our last write, less the orders we know of since, is the most that can be missing.
"""


def unseen_units(
    seen_units: int | None, last_written_units: int | None, known_sold_units: int, is_quiet: bool
) -> int:
    """Bound what the shop sold without our knowing; nothing once it has been quiet for long enough.

    `known_sold_units` are those of the shop's orders placed since our last write.
    """
    if is_quiet or seen_units is None or last_written_units is None:
        return 0
    return max(0, last_written_units - seen_units - known_sold_units)


def target_units(wanted_units: int, unseen: int) -> int:
    """The number to write: what we worked out, less what may have been sold without our knowing.

    So a number never rises over a sale we have not seen, and one that falls falls far enough.
    """
    return max(0, wanted_units - unseen)
