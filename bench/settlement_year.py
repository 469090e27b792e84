"""A year of real baskets, paid, refunded, disputed and settled, through the real steps to the cent.

    python bench/settlement_year.py [--orders 156000] [--planted 10] [--seed 7] [--json]

Real grocery baskets become orders of three stores; Stripe, PayPal, Adyen and a carrier that
collects cash settle them in report files, banks show the payouts, the ERP invoices (all invented
from the seed, clean to the cent). The files are dropped into the inboxes of an empty deployment
and read, mapped, matched, judged and booked by the product's own steps. Of each of 59 kinds of
faults so many are planted as `--planted` says; the result says how many were found by the finding
they must have, and which findings nothing planted explains.

`unexplained` counts lines with neither a match nor a reason, `differences` what was read against
what was written; both must be empty. Ends with code 1 if they are not, or if a planted fault was
not found. The database lives in memory where there is room.
"""

import argparse
import json
import resource
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from resources.sandbox import baskets
from resources.sandbox.settlement_year import ALL_KINDS, year
from resources.store import postgres
from resources.store.engine import engine_for, migrate
from sync_assets.ops import settlement_year

MEMORY = Path("/dev/shm")
ROOM = 6 * 2**30


def main() -> None:
    """Make the year, settle it, tell."""
    wanted = _arguments()
    say = (lambda line: None) if wanted.json else (lambda line: sys.stderr.write(f"  {line}\n"))
    began = time.perf_counter()
    made = year(baskets.orders(wanted.orders, wanted.seed), wanted.seed, wanted.planted)
    say(f"made: {time.perf_counter() - began:.1f} s")
    in_memory = MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > ROOM
    folder = Path(tempfile.mkdtemp(prefix="sync-pg-", dir=MEMORY if in_memory else None))
    try:
        found = postgres.disposable(folder / "pg")
        postgres.create_missing(found)
        engine = engine_for(found)
        migrate(engine)
        judged = settlement_year.settle(engine, made, folder, say)
        engine.dispose()
    finally:
        postgres.stop_embedded(folder / "pg")
        shutil.rmtree(folder, ignore_errors=True)
    result: dict[str, Any] = {
        "orders": judged.orders,
        "lines": judged.lines,
        "matched": judged.matched,
        "open": judged.open,
        "unexplained": judged.unexplained,
        "differences": judged.differences,
        "journal_entries": judged.entries,
        "held": judged.held,
        "kinds": len(ALL_KINDS),
        "planted": judged.planted,
        "found": judged.found,
        "missed": judged.missed,
        "findings_beside": judged.beside,
        "examples": judged.examples,
        "seconds": judged.seconds,
        "peak_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }
    sys.stdout.write(json.dumps(result, indent=None if wanted.json else 2) + "\n")
    if judged.unexplained or judged.found < judged.planted:
        raise SystemExit(1)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--orders", type=int, default=156_000)
    parser.add_argument("--planted", type=int, default=10, help="how many of each kind of fault")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--json", action="store_true", help="one line of JSON, no progress")
    return parser.parse_args()


if __name__ == "__main__":
    main()
