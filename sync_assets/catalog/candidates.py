"""SKUs that are nearly the one that was meant: what a person most likely mistyped. Pure.

A shop's unknown SKU is compared with those of the ERP by its letters and digits alone, then by
likeness among the few that share a piece of it, so that many SKUs do not take many minutes.
"""

import difflib
from collections import Counter
from collections.abc import Iterable, Sequence

MOST = 3
#: Pieces of three letters tell which SKUs are worth a closer look.
PIECE = 3
CLOSER_LOOK = 20
#: A piece that so many SKUs have tells nothing of any.
COMMON = 2000
LEAST_LIKENESS = 0.6


def plain(sku: str) -> str:
    """A SKU's letters and digits, in small letters; O and 0, I, l and 1 look alike."""
    letters = "".join(letter for letter in sku.casefold() if letter.isalnum())
    return letters.translate(str.maketrans("oil", "011"))


class Candidates:
    """The SKUs of an ERP, ready to be asked for what is near another."""

    def __init__(self, skus: Iterable[str]) -> None:
        self.skus = sorted(set(skus))
        self._plain = [plain(sku) for sku in self.skus]
        self._same: dict[str, list[int]] = {}
        self._having: dict[str, list[int]] = {}
        for place, word in enumerate(self._plain):
            self._same.setdefault(word, []).append(place)
            for piece in _pieces(word):
                self._having.setdefault(piece, []).append(place)

    def near(self, sku: str, most: int = MOST) -> list[str]:
        """The nearest SKUs, the nearest first."""
        word = plain(sku)
        same = [self.skus[place] for place in self._same.get(word, []) if self.skus[place] != sku]
        if same:
            return same[:most]
        shared: Counter[int] = Counter()
        for piece in _pieces(word):
            having = self._having.get(piece, [])
            if len(having) <= COMMON:
                shared.update(having)
        closer = [place for place, _ in shared.most_common(CLOSER_LOOK)]
        return [self.skus[place] for place in self._likest(word, closer)[:most]]

    def _likest(self, word: str, places: Sequence[int]) -> list[int]:
        matcher = difflib.SequenceMatcher(b=word, autojunk=False)
        found = []
        for place in places:
            matcher.set_seq1(self._plain[place])
            if matcher.real_quick_ratio() >= LEAST_LIKENESS:
                found.append((-matcher.ratio(), self.skus[place], place))
        return [place for likeness, _, place in sorted(found) if -likeness >= LEAST_LIKENESS]


def _pieces(word: str) -> set[str]:
    padded = f"^{word}$"
    return {padded[at : at + PIECE] for at in range(max(1, len(padded) - PIECE + 1))}


def told(near: Sequence[str]) -> str:
    """The candidates as the end of a sentence."""
    return f"; nearest: {', '.join(near)}" if near else "; nothing like it is there"
