"""Counting in composed Odoo parcels: whole units of order lines, also where a line is a kit and its
components move, and the pieces each move has to carry for them.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from decimal import Decimal

from resources.systems.roles import Payload

ZERO = Decimal()


def units_of(parcel: Payload, of: str, states: Collection[str]) -> dict[int, int]:
    """Whole units by order line that the moves of some states show in `demand` or `quantity`.

    Of a kit as many as its scarcest component allows.
    """
    counted: dict[tuple[int, int], Decimal] = defaultdict(Decimal)
    for move in parcel["moves"]:
        if move["state"] in states and move["line"]:
            counted[move["line"], move["product"]] += move[of]
    return {
        line["id"]: min(
            int(counted[line["id"], part["product"]] // part["per_unit"])
            for part in line["contents"]
        )
        for line in parcel["lines"]
    }


def by_sku(parcel: Payload, units: Mapping[int, int]) -> dict[str, int]:
    """Units by SKU of units by order line."""
    found: dict[str, int] = defaultdict(int)
    for line in parcel["lines"]:
        if line["sku"] and units.get(line["id"]):
            found[line["sku"]] += units[line["id"]]
    return dict(found)


def done_by_sku(parcels: Iterable[Payload]) -> dict[str, int]:
    """Units by SKU that parcels moved."""
    found: dict[str, int] = defaultdict(int)
    for parcel in parcels:
        for sku, units in by_sku(parcel, units_of(parcel, "quantity", ("done",))).items():
            found[sku] += units
    return dict(found)


def shares_of(
    parcel: Payload, wanted: Mapping[str, int], available: Mapping[int, int]
) -> dict[int, int]:
    """Units by order line that a parcel can give of what is wanted by SKU, in order of lines."""
    left, given = dict(wanted), dict[int, int]()
    for line in parcel["lines"]:
        take = min(left.get(line["sku"], 0), available.get(line["id"], 0))
        if take > 0:
            given[line["id"]], left[line["sku"]] = take, left[line["sku"]] - take
    return given


def moves_for(
    parcel: Payload, units: Mapping[int, int], room: Mapping[int, Decimal]
) -> dict[int, Decimal]:
    """Pieces by move for units by order line; `room` is what each move can take."""
    given: dict[int, Decimal] = {}
    for line in parcel["lines"]:
        for part in line["contents"]:
            left = units.get(line["id"], 0) * part["per_unit"]
            for move in parcel["moves"]:
                is_part = (move["line"], move["product"]) == (line["id"], part["product"])
                if is_part and left > 0 and (take := min(left, room.get(move["id"], ZERO))) > 0:
                    given[move["id"]], left = given.get(move["id"], ZERO) + take, left - take
    return given


def less(wanted: Mapping[str, int], had: Mapping[str, int]) -> dict[str, int]:
    """What of the wanted is not there yet, by SKU."""
    return {
        sku: units - had.get(sku, 0) for sku, units in wanted.items() if units > had.get(sku, 0)
    }


def plain(number: Decimal) -> int | float:
    """A quantity as JSON writes it; those of pieces are whole."""
    return int(number) if number == number.to_integral_value() else float(number)
