"""How long the tests search: minutes by default, all with SYNC_TESTS=long (`make test-long`)."""

import os
from typing import TypeVar

T = TypeVar("T")
IS_LONG = os.environ.get("SYNC_TESTS") == "long"


def at_most(short: T, long: T) -> T:
    """How much of a search is done: `long` only where somebody asked for it."""
    return long if IS_LONG else short
