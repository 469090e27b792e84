"""How a carrier's code and words become a state: a table each, and nothing guessed.

The code decides, because words are edited and translated. Words decide where there is no code, or
where the code is too coarse to tell ("in transit" on the van to the door).
"""

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from sync_assets.domain.tracking import ParcelState

#: Every parcel from abroad goes through customs; only one that is held there needs a person.
IN_CUSTOMS = ParcelState.IN_TRANSIT

Pattern = tuple[re.Pattern[str], ParcelState]


def plain(words: str) -> str:
    """Words as they are compared: no case, accents, punctuation or double blanks."""
    bare = unicodedata.normalize("NFKD", words.casefold().replace("œ", "oe").replace("ł", "l"))
    letters = "".join(c for c in bare if not unicodedata.combining(c))
    return " ".join(re.sub(r"[^a-z0-9]+", " ", letters).split())


def coded(state: ParcelState, codes: str) -> dict[str, ParcelState]:
    """Many codes of one state, written with blanks between them."""
    return dict.fromkeys(codes.split(), state)


def phrases(*told: tuple[ParcelState, Iterable[str]]) -> dict[str, ParcelState]:
    """Turn a readable table, state by state, into one of plain phrases."""
    return {plain(phrase): state for state, said in told for phrase in said}


def patterns(*told: tuple[str, ParcelState]) -> tuple[Pattern, ...]:
    """Patterns of plain words, in the order they are tried; each must fit the whole phrase."""
    return tuple((re.compile(pattern), state) for pattern, state in told)


@dataclass(frozen=True)
class Words:
    """What one carrier says, and what it means."""

    codes: Mapping[str, ParcelState] = field(default_factory=dict)
    phrases: Mapping[str, ParcelState] = field(default_factory=dict)
    patterns: tuple[Pattern, ...] = ()
    #: Codes that say too little: a known phrase beside them is believed rather.
    vague: frozenset[str] = frozenset()

    def state(self, codes: Iterable[str], words: str) -> tuple[ParcelState, bool]:
        """The state, and whether it is known; the first code in the table counts."""
        code = next((code for code in codes if code in self.codes), None)
        if code is not None and code not in self.vague:
            return self.codes[code], True
        spoken = self._spoken(words)
        if spoken is not None:
            return spoken, True
        return (self.codes[code], True) if code is not None else (ParcelState.UNKNOWN, False)

    def _spoken(self, words: str) -> ParcelState | None:
        said = plain(words)
        if said in self.phrases:
            return self.phrases[said]
        return next((state for told, state in self.patterns if told.fullmatch(said)), None)
