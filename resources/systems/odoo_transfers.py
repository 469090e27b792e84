"""Carrying out one Odoo parcel: its moves get quantities, it is validated, the rest stays open."""

from collections.abc import Mapping
from decimal import Decimal

from resources.errors import Refused, UnknownOutcome
from resources.systems.odoo_parcels import MOVE, OPEN, PICKING
from resources.systems.odoo_rpc import Session
from resources.systems.odoo_units import plain
from resources.systems.roles import Payload

WIZARD = "stock.backorder.confirmation"


def carry(session: Session, parcel: Payload, pieces: Mapping[int, Decimal]) -> None:
    """Move these pieces by move and nothing else of a parcel."""
    stays = [
        move["id"]
        for move in parcel["moves"]
        if move["state"] in OPEN and move["picked"] and move["id"] not in pieces
    ]
    if stays:
        session.write(MOVE, "write", [stays, {"picked": False}])
    alike: dict[Decimal, list[int]] = {}
    for move, quantity in pieces.items():
        alike.setdefault(quantity, []).append(move)
    for quantity, moves in alike.items():
        values = {"quantity": plain(quantity), "picked": True}
        session.write(MOVE, "write", [moves, values])
    validate(session, parcel["id"])


def validate(session: Session, picking: int) -> None:
    """Carry a parcel out; asked about the rest, let it have a parcel of its own."""
    answer = session.write(PICKING, "button_validate", [[picking]])
    if isinstance(answer, dict):
        if answer.get("res_model") != WIZARD:
            text = (
                f"Odoo asks about the parcel by {answer.get('res_model')!r}; a person must answer"
            )
            raise Refused(session.system, text, code="asked")
        context = answer.get("context") or {}
        wizard = session.write(WIZARD, "create", [[{"pick_ids": [[4, picking]]}]], **context)
        session.write(WIZARD, "process", [wizard], **context)
    rows = session.rows(PICKING, [["id", "=", picking]], ["state"])
    if not rows or rows[0]["state"] != "done":
        text = "the ERP answered yes but the parcel is not done"
        raise UnknownOutcome(session.system, text, code="unmoved")
