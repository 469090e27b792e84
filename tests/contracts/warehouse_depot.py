"""A warehouse over files for tests: the stand-in, our client of it, and a request to ship."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import sync_assets.mappers.warehouse_files as mapper
from resources.sandbox.warehouse_files import WarehouseFilesStandIn
from resources.systems.folders import LocalFolder
from resources.systems.warehouse_files import IncomingFile, Kind, Outcome, WarehouseFiles
from sync_assets.domain.fulfilment import FulfilmentLine, FulfilmentOrder
from sync_assets.domain.sales import Address
from sync_assets.domain.shipments import SeenShipment

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
KEY, OTHER = "us:1042:f1", "us:1043:f1"
EVER = timedelta(days=365)
FOLDERS = {
    Kind.ACKNOWLEDGEMENT: "acknowledgements",
    Kind.SHIPMENT: "shipments",
    Kind.RETURN: "returns",
}


class Clock:
    """A clock that moves one minute for each look at it."""

    def __init__(self) -> None:
        self.at = NOON

    def __call__(self) -> datetime:
        self.at += timedelta(minutes=1)
        return self.at


def connected(
    there: WarehouseFilesStandIn, folder: type[LocalFolder] = LocalFolder, **how: Any
) -> WarehouseFiles:
    return WarehouseFiles(
        "depot",
        folder(there.folder("orders")),
        {kind: folder(there.folder(name)) for kind, name in FOLDERS.items()},
        **how,
    )


def asked_for(key: str = KEY, version: int = 1, **changes: Any) -> dict[str, Any]:
    """The payload of a request for two of SKU-1 and one of SKU-2."""
    order = key.rpartition(":")[0]
    lines = [(f"{order}:product:1", "SKU-1", 2), (f"{order}:product:2", "SKU-2", 1)]
    document = FulfilmentOrder(
        **{
            "key": key,
            "order_ref": order,
            "store": "us",
            "order_number": order.rpartition(":")[2],
            "warehouse": "EAST",
            "placed_at": NOON,
            "currency": "USD",
            "ship_to": Address(name="Ada", street="1 Demo Way", city="Chicago", country="US"),
            "lines": tuple(
                FulfilmentLine(key=k, sku=s, description=s, units=n, unit_amount=Decimal("11.00"))
                for k, s, n in lines
            ),
        }
        | changes
    )
    return mapper.fulfilment_order(document, version)


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.is_file())


def consumed(client: WarehouseFiles) -> list[IncomingFile]:
    """Read what waits, as a run does that commits and then moves each file away."""
    found = []
    for file in client.incoming():
        found.append(file)
        outcome = Outcome.REFUSED if file.refusal else Outcome.DONE
        client.acknowledge(file.name, outcome, file.refusal or "")
    return found


def answers(client: WarehouseFiles) -> dict[str, tuple[str, str]]:
    """State and reason by key, as the answers that wait say."""
    told = {}
    for file in consumed(client):
        assert (file.kind, file.refusal, file.broken) == (Kind.ACKNOWLEDGEMENT, None, [])
        for raw in file.rows:
            seen = mapper.seen(raw.body)
            told[seen.key] = (seen.state, seen.reason)
    return told


def shipments(client: WarehouseFiles) -> list[SeenShipment]:
    found = [file for file in client.incoming() if file.kind is Kind.SHIPMENT]
    return [mapper.shipment(raw.body) for file in found for raw in file.rows]


def shipped(there: WarehouseFilesStandIn, client: WarehouseFiles, *keys: str) -> None:
    """Ask for requests and have them accepted; the answers are read."""
    client.put_fulfilments([asked_for(key) for key in keys or (KEY,)])
    there.take_in()
    consumed(client)
