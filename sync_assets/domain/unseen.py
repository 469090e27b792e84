"""What a shop may have sold that we do not know of yet, and how that bounds a number we write.

A shop's number falls at checkout; the order that explains it arrives a moment later. Until then a
number worked out from the orders we know is too high by just what was sold. How far the shop's
number fell by itself since our last write that knew of every order, less the orders we know of
since, is the most that can be missing. `inventory/planning.py` says the same in SQL.
"""


def unseen_units(fallen_units: int | None, known_sold_units: int, is_counted: bool) -> int:
    """Bound what the shop sold without our knowing; nothing where every order is counted.

    `known_sold_units` are those of the shop's orders placed since that write.
    """
    if is_counted or fallen_units is None:
        return 0
    return max(0, fallen_units - known_sold_units)


def target_units(wanted_units: int, unseen: int) -> int:
    """The number to write: what we worked out, less what may have been sold without our knowing.

    So a number never rises over a sale we have not seen, and one that falls falls far enough.
    """
    return max(0, wanted_units - unseen)
