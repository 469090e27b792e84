"""Sensors woken by the bell: at once, but never before they look again, and never missing one."""

import threading
from collections.abc import Callable

import pytest

from sync_assets.ops.daemon import Woken


class Bell:
    """A bell that rings as planned; waiting moves the clock."""

    def __init__(self, rings: list[float]) -> None:
        self.now, self.rings = 0.0, rings
        self.waits: list[float] = []

    def wait(self, seconds: float, until: Callable[[], bool] = lambda: False) -> bool:
        self.waits.append(seconds)
        end = self.now + seconds
        if self.rings and self.rings[0] <= end:
            self.now = max(self.now, self.rings.pop(0))
            return True
        self.now = end
        return False


class Over(threading.Event):
    """The end of the daemon; waiting for it moves the clock too."""

    def __init__(self, bell: Bell) -> None:
        super().__init__()
        self.bell = bell

    def wait(self, timeout: float | None = None) -> bool:
        self.bell.now += timeout or 0.0
        return self.is_set()


def rounds(bell: Bell, count: int) -> list[float]:
    """When the next rounds begin."""
    woken = Woken(Over(bell), bell, lambda: bell.now)  # type: ignore[arg-type]
    found = []
    for _ in range(count):
        assert woken.wait(5.0) is False
        found.append(round(bell.now, 2))
    return found


def test_without_a_ring_sensors_look_every_five_seconds() -> None:
    assert rounds(Bell([]), 3) == [5.0, 10.0, 15.0]


def test_a_ring_is_followed_at_once_and_once_more() -> None:
    assert rounds(Bell([3.0]), 3) == [3.0, 4.02, 9.02]


@pytest.mark.parametrize("ring", [0.0, 0.4, 1.0])
def test_a_ring_too_early_waits_until_sensors_look_again(ring: float) -> None:
    assert rounds(Bell([ring]), 2) == [1.02, 2.04]


def test_the_end_is_told_at_once() -> None:
    bell = Bell([])
    over = Over(bell)
    over.set()
    woken = Woken(over, bell, lambda: bell.now)  # type: ignore[arg-type]
    assert woken.is_set()
    assert woken.wait(5.0) is True
