"""How much a sender may say, from where, and how often we speak of what was refused."""

from ipaddress import ip_network

import pytest

from sensors.webhooks.limits import Bucket, Callers, Occasionally, address_of, caller, is_within

PROXY = (ip_network("10.0.0.0/8"),)


def test_a_bucket_holds_one_second_and_says_how_long_to_wait() -> None:
    bucket = Bucket(2)
    assert [bucket.wait(100.0) for _ in range(3)] == [0, 0, 0.5]
    assert bucket.wait(100.25) == 0.25
    assert bucket.wait(100.5) == 0
    assert [bucket.wait(200.0) for _ in range(3)] == [0, 0, 0.5]


def test_a_slow_bucket_still_lets_one_through() -> None:
    bucket = Bucket(0.1)
    assert bucket.wait(0.0) == 0
    assert bucket.wait(0.0) == pytest.approx(10)
    assert bucket.wait(10.0) == 0


def test_a_clock_set_back_gives_no_tokens() -> None:
    bucket = Bucket(1)
    assert bucket.wait(100.0) == 0
    assert bucket.wait(50.0) == 1


def test_each_caller_uses_up_its_own_allowance() -> None:
    callers = Callers(2)
    for _ in range(2):
        assert not callers.is_blocked("forger", 0.0)
        callers.spend("forger", 0.0)
    assert callers.is_blocked("forger", 0.0)
    assert not callers.is_blocked("shop", 0.0)
    assert not callers.is_blocked("forger", 1.0)


def test_the_caller_unheard_of_for_longest_is_forgotten() -> None:
    callers = Callers(1, most=2)
    for name in ("a", "b", "a", "c"):
        callers.spend(name, 0.0)
    assert list(callers.buckets) == ["a", "c"]


def test_the_same_is_told_once_a_minute_with_the_count_of_the_rest() -> None:
    quiet = Occasionally(60)
    kind = ("us", "wrong signature")
    assert [quiet.due(kind, float(second)) for second in (0, 1, 59, 60, 61)] == [
        0, None, None, 2, None,
    ]  # fmt: skip
    assert quiet.due(("uk", "wrong signature"), 61.0) == 0


def test_what_was_told_is_remembered_of_so_many_only() -> None:
    quiet = Occasionally(60, most=2)
    for name in ("a", "b", "c"):
        assert quiet.due((name,), 0.0) == 0
    assert list(quiet.seen) == [("b",), ("c",)]


@pytest.mark.parametrize(
    ("peer", "forwarded", "expected"),
    [
        ("203.0.113.7", [], "203.0.113.7"),
        ("203.0.113.7", [b"198.51.100.1"], "203.0.113.7"),  # who is no proxy vouches for nobody
        ("10.0.0.1", [b"198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", [b"1.1.1.1, 198.51.100.1, 10.0.0.9"], "198.51.100.1"),
        ("10.0.0.1", [b"1.1.1.1", b"198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", [b"198.51.100.1, gibberish"], "unreadable"),
        ("10.0.0.1", [], "10.0.0.1"),
        ("::ffff:10.0.0.1", [b"2001:db8::1"], "2001:db8::1"),
        ("::ffff:203.0.113.7", [], "203.0.113.7"),
        (None, [b"198.51.100.1"], "unknown"),
    ],
)
def test_only_trusted_proxies_say_who_calls(
    peer: str | None, forwarded: list[bytes], expected: str
) -> None:
    assert caller(peer, forwarded, PROXY) == expected


def test_without_trusted_proxies_the_peer_is_the_caller() -> None:
    assert caller("10.0.0.1", [b"198.51.100.1"], ()) == "10.0.0.1"


def test_nobody_belongs_to_no_network() -> None:
    assert is_within(address_of("10.1.2.3"), PROXY)
    assert not is_within(address_of("11.1.2.3"), PROXY)
    assert not is_within(address_of("nobody"), PROXY)
    assert not is_within(address_of("::1"), PROXY)
