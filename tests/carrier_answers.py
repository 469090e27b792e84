"""The carriers' own answers, kept beside the project, and how tests write what came of them."""

from datetime import UTC
from functools import cache
from pathlib import Path

import pytest

from sync_assets.domain.tracking import SeenTracking
from sync_assets.mappers.tracking import answer

FOLDER = Path(__file__).resolve().parents[2] / "shared" / "data" / "carriers" / "tracking-responses"
WHY_NOT = "the carriers' answers are kept beside the project (../shared), and are not there"


def samples() -> list[Path]:
    """Every answer there is; skips where they are not."""
    if not FOLDER.exists():
        pytest.skip(WHY_NOT)
    return sorted(FOLDER.glob("*/*"))


@cache
def sample(carrier: str, name: str) -> str:
    """One answer, by carrier and file, whatever the file ends in."""
    if not FOLDER.exists():
        pytest.skip(WHY_NOT)
    (found,) = (FOLDER / carrier).glob(f"{name}.*")
    return found.read_text(encoding="utf-8")


def only(carrier: str, name: str) -> SeenTracking:
    """The one tracking of an answer that tells of one parcel and leaves nothing out."""
    told = answer(carrier, sample(carrier, name))
    assert told.refused == ()
    assert told.left_out == ()
    (tracking,) = told.trackings
    return tracking


def history(tracking: SeenTracking) -> list[str]:
    """Its events as told, each as time and state; `?` marks words nobody knows."""
    return [
        f"{event.happened_at.astimezone(UTC):%Y-%m-%d %H:%M:%S} {event.state}"
        + ("" if event.is_known else "?")
        for event in tracking.events
    ]
