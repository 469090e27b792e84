"""Ending a client's process after each of its writes to the Odoo stand-in, one after the other."""

from collections.abc import Callable

from odoo_shelf import Shelf

READS = ("search_read", "search", "fields_get", "authenticate")


class Killed(Exception):
    """The process ends here."""


def killed_everywhere(
    make: Callable[[], Shelf], put: Callable[[Shelf], object], check: Callable[[Shelf], None]
) -> int:
    """Kill a call after each of its writes, call again, and check; tells how many there were."""
    deaths = 0
    while is_killed(shelf := make(), put, deaths):
        for _ in range(2):
            put(shelf)
            check(shelf)
        deaths += 1
    check(shelf)
    return deaths


def is_killed(shelf: Shelf, put: Callable[[Shelf], object], after: int) -> bool:
    """Kill a call after its first `after` writes and one more, if there are so many."""
    left = after

    def die(operation: str) -> None:
        nonlocal left
        left -= operation.rpartition(".")[2] not in READS
        if left < 0:
            raise Killed

    shelf.erp.after_effect = die
    try:
        put(shelf)
    except Killed:
        return True
    finally:
        shelf.erp.after_effect = lambda operation: None
    return False
