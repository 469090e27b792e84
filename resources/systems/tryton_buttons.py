"""Buttons of Tryton's documents: pressing them, and agreeing to what they ask meanwhile."""

from collections.abc import Sequence

from resources.systems.tryton_rpc import Consent, Session


def press(
    rpc: Session, model: str, button: str, ids: Sequence[int], agreed: tuple[str, ...] = ()
) -> None:
    """Press a button; a question whose name ends in one of `agreed` is answered yes, once."""
    said: set[str] = set()
    while True:
        try:
            rpc.write(f"model.{model}.{button}", list(ids))
            return
        except Consent as asked:
            name = asked.code or ""
            if name in said or not name.endswith(agreed):
                raise
            rpc.write("model.res.user.warning.skip", name, False)
            said.add(name)
