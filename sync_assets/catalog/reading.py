"""What ERPs and shops say of products, kept as said: the steps behind the raw assets."""

import json

from resources.store import raw
from resources.store.engine import connected
from resources.wiring import Systems
from sync_assets.domain.frames import DISTANT_PAST
from sync_assets.reading import Tally, was_read


def items(systems: Systems, erp: str, run_id: str | None) -> Tally:
    """Keep every sellable item of an ERP that we do not hold in its newest form."""
    kind = systems.settings.erps[erp].kind
    reading = raw.Reading(erp, "delta", systems.now(), run_id)
    total = Tally()
    with systems.erp(erp) as client:
        for page in client.items():
            said = [
                raw.Said(str(item["id"]), DISTANT_PAST, json.dumps(item, default=str))
                for item in page
            ]
            with connected(systems.engine) as connection:
                new = raw.append(connection, f"{kind}__items", said, reading)
            total.add(Tally(seen=len(page), new=new))
    was_read(systems, erp, "items", reading.received_at)
    return total
