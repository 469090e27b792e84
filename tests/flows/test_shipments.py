"""From an accepted order to the customer's parcel: released, shipped, told to shop and ERP."""

from pathlib import Path

import pytest
from sqlalchemy import Engine

from tests.shipping import ShippingWorld, shipping_world


@pytest.fixture
def ship(engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ShippingWorld:
    monkeypatch.setenv("SYNC_CONFIG", str(tmp_path / "sync.toml"))
    return shipping_world(engine, tmp_path)


def test_an_accepted_order_is_released_acknowledged_shipped_and_told(ship: ShippingWorld) -> None:
    ref = ship.place(lines={"TEA": 2, "MUG": 1})
    ship.run()
    assert ship.states(ref) == {f"{ref}:f1": "released"}
    ship.run()
    assert ship.states(ref) == {f"{ref}:f1": "acknowledged"}

    ship.north.ship(
        f"{ref}:f1", parcels=({"tracking_number": "1Z999AA10123456784", "carrier": "UPS"},)
    )
    ship.run(2)
    assert ship.states(ref) == {f"{ref}:f1": "shipped"}
    assert ship.progress(ref) == {
        "TEA": {"ordered": 2, "shipped": 2},
        "MUG": {"ordered": 1, "shipped": 1},
    }
    ship.run()
    assert ship.order(ref)["status"] == "completed"
