"""The command line on a small world: stand-ins over HTTP, a configuration, and what was said.

The command line has the real clock, so what happens in the world happened in 2025.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from resources.sandbox import deployment
from resources.sandbox.serve import serve
from resources.store import postgres
from sync_assets.ops.cli import app
from tests.worlds import STORES, World

NOON = datetime(2025, 6, 2, 12, tzinfo=UTC)
LONG_AGO = datetime(2025, 1, 1, tzinfo=UTC)


@dataclass
class Told:
    """What one command said."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        """The one JSON object on stdout."""
        found = json.loads(self.out)
        assert isinstance(found, dict)
        assert self.out.count("\n") == 1
        return found

    def sentence(self) -> str:
        """Why a command failed: the last line on stderr."""
        assert self.code != 0
        assert "Traceback" not in self.out + self.err
        said = self.err.rpartition("✗ ")[2].strip()
        assert "\n" not in said
        return said


def said(*words: str, answers: str = "") -> Told:
    """Run one command; `answers` is what a person types."""
    result = CliRunner().invoke(app, list(words), input=answers)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return Told(result.exit_code, result.stdout, result.stderr)


@contextmanager
def desk(world: World, database: postgres.Databases, home: Path) -> Iterator[World]:
    """Sit down at a deployment of this world: the environment names its database and systems."""
    world.clock.at = NOON
    config = world.systems.settings
    world.systems.settings = config.model_copy(update={"backfill_from": LONG_AGO})
    with (
        pytest.MonkeyPatch.context() as patch,
        serve({**world.shops, "odoo": world.erp}) as urls,
    ):
        path = home / "sync.toml"
        path.write_text(deployment.as_toml(_said(urls, list(config.stores))))
        values = {
            "SYNC_DATABASE_URL": database.text(database.store),
            "SYNC_HOME": str(home),
            "SYNC_CONFIG": str(path),
            "USER": "tester",
            "COLUMNS": "200",
        }
        for name, value in values.items():
            patch.setenv(name, value)
        yield world


def _said(urls: dict[str, str], names: Sequence[str]) -> dict[str, Any]:
    stores = {}
    for name in names:
        currency, _, company, warehouse, code, _, tax, _ = STORES[name]
        stores[name] = deployment.store(
            urls[name],
            company=company,
            warehouse=warehouse,
            currency=currency,
            taxes={code: tax},
            lag_seconds=0,
            attempts=1,
        )
    return {
        "backfill_from": f"{LONG_AGO:%Y-%m-%dT%H:%M:%S+00:00}",
        "erps": {"odoo": deployment.odoo(urls["odoo"], attempts=1)},
        "stores": stores,
    }
