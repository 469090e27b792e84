"""The SKU that was meant: what looks alike comes first, and many do not take long."""

import time

from sync_assets.catalog.candidates import Candidates, plain, told


def test_what_differs_in_case_blanks_and_look_alikes_only_is_the_nearest() -> None:
    near = Candidates(["AB-100", "AB-200", "XY-9"])
    assert near.near("ab 1OO") == ["AB-100"]
    assert near.near("AB100") == ["AB-100"]
    assert plain("Ab-Il0") == "ab110"


def test_at_most_three_are_told_the_likest_first() -> None:
    near = Candidates(["MUG-RED", "MUG-REDD", "MUG-BLUE", "MUG-RE", "POT"])
    found = near.near("MUG-REDS")
    assert found == ["MUG-RED", "MUG-REDD", "MUG-RE"]


def test_nothing_alike_is_told_as_nothing() -> None:
    assert Candidates(["TEA"]).near("QQQQQ") == []
    assert told([]) == "; nothing like it is there"
    assert told(["A", "B"]) == "; nearest: A, B"


def test_a_hundred_thousand_skus_are_searched_a_thousand_times_in_seconds() -> None:
    near = Candidates(f"{n % 977:03}-{n:06}-{'ABCDEFGH'[n % 8]}" for n in range(100_000))
    began = time.perf_counter()
    for n in range(1000):
        near.near(f"{n % 977:03}-{n * 97:06}x{'ABCDEFGH'[n % 8]}")
    assert time.perf_counter() - began < 20
