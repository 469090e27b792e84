"""What a body says, read without trust: JSON or the reason why not, and ids that may be keys.

Which member names the thing is the sender's custom and stays in `signatures`.
"""

import json
from typing import Any, NoReturn

from pydantic_core import from_json

#: Longer ids than any sender gives are no ids.
LONGEST_ID = 200
LONGEST_NUMBER = 19
TOO_DEEP = "the body is nested too deeply"


def read(body: bytes) -> tuple[Any, str | None]:
    """The value of a JSON body and no fault, or nothing and why it is not JSON."""
    try:
        return from_json(body, allow_inf_nan=False), None
    except ValueError as fault:
        if "recursion" in str(fault):
            return None, TOO_DEEP
        # The fast parser refuses some of what the standard allows, such as a lone surrogate.
        return _read_slowly(body)


def _read_slowly(body: bytes) -> tuple[Any, str | None]:
    try:
        return json.loads(body.decode("utf-8"), parse_constant=_no_constant), None
    except UnicodeDecodeError:
        return None, "the body is not UTF-8"
    except RecursionError:
        return None, TOO_DEEP
    except ValueError:
        return None, "the body is not JSON"


def _no_constant(word: str) -> NoReturn:
    raise ValueError(word)


def member(value: Any, *path: str) -> Any:
    """What stands at `path` in nested objects; None where the way ends."""
    for step in path:
        if not isinstance(value, dict):
            return None
        value = value.get(step)
    return value


def number_of(value: Any) -> str | None:
    """A positive whole number as a resource id; None for anything else."""
    if isinstance(value, int) and not isinstance(value, bool) and 0 < value < 10**LONGEST_NUMBER:
        return str(value)
    return None


def id_of(value: Any) -> str | None:
    """A number or a short printable word as a resource id; None for anything else."""
    if isinstance(value, str) and 0 < len(value) <= LONGEST_ID and value.isprintable():
        return value
    return number_of(value)


def text_of(value: Any) -> str:
    """A word of the body; nothing where it is none."""
    return value if isinstance(value, str) else ""
