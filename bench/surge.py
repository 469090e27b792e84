"""Sixfold order volume for two hours, simulated: what is lost, doubled, oversold, late.

    python bench/surge.py [--orders-per-minute 3] [--hours 2] [--compare-polling] [--json]

Three shops, one ERP that takes 5 calls at once and 60 a minute, is closed for ten minutes in the
middle of the surge and slow for five more; a share of its calls fails or loses its answer. Of the
deliveries 2 % are lost (and all of those of 2 % of the checkouts), 5 % doubled, others late or out
of order. Baskets are real ones, placed at random moments from the seed.

Product code: the receiver's application with signatures, inbox, the rules that start a run, hints
and polling, mapping, holds, plan, outbox, sending, bucket, breaker, drain, the webhooks' health,
and Postgres. The bench's own: time, the network, the stand-ins, and Dagster's daemon and launcher,
for which a loop stands that asks the same rules and does the steps of `orders_now`; one run at a
time, and for ten minutes after the maintenance six further senders. Time is simulated: a run takes
what its remote calls take, and meanwhile orders pile up.

Stock, catalogue and shipments have no pipelines yet. Here they are writes of those lanes in the
real outbox, sent through the real bucket by a plain sender of the bench: a catalogue of 5,000 and
stock levels for the account of one shop (which orders are read from as well), and a shipment of
every accepted order for a provider that takes 8 s an answer. What stock waits while the catalogue
is queued is compared with a run in which nothing but stock is written.

`oversold` are units the ERP accepted beyond its stock without an open exception that says so.
`--compare-polling` lets the same orders come with webhooks off and polling every 15 minutes.
Ends with 1 when anything is lost, doubled or oversold, or when stock waited for the catalogue.
"""

import argparse
import json
import random
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from resources import settings
from resources.sandbox import baskets
from resources.sandbox.surge import Surge
from resources.store import postgres
from sync_assets.ops import host
from sync_assets.ops.surge import START, Conditions, stock_alone
from sync_assets.ops.tally import Outcome, play, share

#: A call that is under way is not called back: so much later stock may be.
UNDER_WAY_SECONDS = 1.0
POLLING_SECONDS = 15 * 60
WRONG = ("lost", "doubled", "oversold", "unwanted", "shipments_lost", "shipments_doubled")
BARS, COLUMNS = "▁▂▃▄▅▆▇█", 76


def main() -> None:
    """Let it happen and tell."""
    wanted = _arguments()
    began = time.monotonic()
    random.seed(wanted.seed)  # the client spreads its retries
    surge = Surge(START, wanted.orders_per_minute, hours=wanted.hours, seed=wanted.seed)
    orders = list(baskets.orders(len(surge.moments()), wanted.seed))
    given = Conditions()
    with _database("_surge_alone") as place:
        alone = share(stock_alone(surge, place, given), 0.95)
    with _database("_surge") as place:
        outcome = play(surge, orders, place, given, _say)
    numbers = outcome.numbers
    numbers["stock_p95_seconds_without_catalogue"] = alone
    late = numbers["stock_p95_seconds"] > alone + UNDER_WAY_SECONDS
    numbers["stock_waited_for_catalogue"] = late
    if wanted.compare_polling:
        numbers["polling"] = _polled(surge, orders, given, numbers)
    numbers["real_seconds"] = round(time.monotonic() - began)
    sys.stdout.write(json.dumps(numbers) + "\n" if wanted.json else _told(outcome))
    for kind, keys in outcome.wrong.items():
        for key in keys:
            _say(f"{kind}: {key}")
    sys.exit(1 if late or any(numbers[name] for name in WRONG) else 0)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--orders-per-minute", type=float, default=3.0, help="the base rate; six times that for"
    )
    parser.add_argument("--hours", type=float, default=2.0, help="so many simulated hours")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--compare-polling", action="store_true", help="the same without webhooks")
    parser.add_argument("--json", action="store_true", help="one line of JSON")
    return parser.parse_args()


def _say(line: str) -> None:
    sys.stderr.write(line + "\n")


@contextmanager
def _database(suffix: str) -> Iterator[postgres.Databases]:
    """An empty database beside the deployment's own, for as long as it is needed."""
    found = postgres.find(settings.home())
    name = f"{found.store.database}{suffix}"
    postgres.drop_database(found, name)
    place = host.databases(suffix)
    try:
        yield place
    finally:
        postgres.drop_database(found, name)
        postgres.drop_database(found, str(place.dagster.database))


def _polled(
    surge: Surge, orders: Sequence[Any], given: Conditions, ours: dict[str, Any]
) -> dict[str, Any]:
    """The same orders without webhooks, and by how much more is unknown to the ERP meanwhile."""
    _say("once more, polling every 15 minutes")
    polling = replace(given, has_webhooks=False, has_traffic=False, poll_seconds=POLLING_SECONDS)
    with _database("_surge_polling") as place:
        numbers = play(surge, orders, place, polling, _say).numbers
    names = ("unknown_most", "unknown_p95")
    return {
        **{name: numbers[name] for name in (*names, "p50_seconds", "p95_seconds", "lost")},
        **{f"{name}_ratio": round(numbers[name] / max(1, ours[name]), 1) for name in names},
    }


def _told(outcome: Outcome) -> str:
    """The numbers as a small table, and what waited as lines of bars."""
    n = outcome.numbers
    rows = [
        ("orders placed, of them for the ERP", f"{n['orders']}, {n['wanted']}"),
        ("accepted, held for what was planted", f"{n['accepted']}, {n['held']}"),
        ("lost, doubled, oversold", f"{n['lost']}, {n['doubled']}, {n['oversold']}"),
        ("units short, orders flagged for it", f"{n['short_units']}, {n['flagged']}"),
        ("shop to receipt p50, p95, most", _seconds(n, "p50", "p95", "most")),
        ("  p95 away from the maintenance", _seconds(n, "calm_p95")),
        ("drained after the surge", _seconds(n, "drain")),
        ("caught up after the maintenance", _seconds(n, "recovery")),
        ("unknown to the ERP, most and p95", f"{n['unknown_most']}, {n['unknown_p95']}"),
        ("ERP: calls, too many (at once)", f"{n['erp_calls']}, {_too_many(n)}"),
        ("calls repeated, breaker openings", f"{n['retries']}, {n['breaker_openings']}"),
        ("runs, deliveries, found by polling", _counts(n)),
        ("stock p95 beside the catalogue", _seconds(n, "stock_p95")),
        ("  with nothing but stock", f"{n['stock_p95_seconds_without_catalogue']} s"),
        ("catalogue writes, p95", f"{n['catalogue_writes']}, {_seconds(n, 'catalogue_p95')}"),
        ("shipments, lost, doubled", _shipments(n)),
        ("  p95 with a provider of 8 s", _seconds(n, "shipment_p95")),
    ]
    if "polling" in n:
        p = n["polling"]
        rows += [
            ("polling: unknown most and p95", f"{p['unknown_most']}, {p['unknown_p95']}"),
            ("  times ours", f"{p['unknown_most_ratio']}, {p['unknown_p95_ratio']}"),
        ]
    lines = [f"{name:<38}{value}" for name, value in rows]
    lines += ["", f"inbox, at most {n['most_inbox']}", _bars([d.inbox for d in outcome.depths])]
    lines += [f"outbox, at most {n['most_outbox']}", _bars([d.outbox for d in outcome.depths])]
    lines += ["", f"{n['simulated_seconds']} s simulated in {n['real_seconds']} s"]
    return "\n".join(lines) + "\n"


def _seconds(numbers: dict[str, Any], *names: str) -> str:
    return ", ".join(f"{numbers[f'{name}_seconds']} s" for name in names)


def _too_many(numbers: dict[str, Any]) -> str:
    return f"{numbers['too_many_calls']} ({numbers['too_many_at_once']})"


def _counts(numbers: dict[str, Any]) -> str:
    return f"{numbers['runs']}, {numbers['deliveries']}, {numbers['found_by_polling']}"


def _shipments(numbers: dict[str, Any]) -> str:
    told = (numbers[name] for name in ("shipments", "shipments_lost", "shipments_doubled"))
    return ", ".join(map(str, told))


def _bars(values: Sequence[int]) -> str:
    """A line of bars, each the most of its part of the time."""
    most, width = max(1, *values), -(-len(values) // COLUMNS)
    parts = [max(values[n : n + width]) for n in range(0, len(values), width)]
    return "".join(BARS[part * (len(BARS) - 1) // most] for part in parts)


if __name__ == "__main__":
    main()
