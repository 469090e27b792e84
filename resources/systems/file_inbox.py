"""A folder that somebody drops files into: which of them are complete and new, and where a file
goes once it is dealt with.

A writer gives a file its ending (`.csv`) when it is complete; `.part` and `.tmp` are its business.
Remembering what was read is for the caller: a crash before `acknowledge` has the file read again.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum

from resources.errors import TryAgain
from resources.systems.file_names import with_digest
from resources.systems.folders import Entry, Folder

HELD = ".taken"
LARGEST_BYTES = 256 * 1024 * 1024


class Outcome(StrEnum):
    """What became of a file, and the folder it goes to."""

    DONE = "done"
    REFUSED = "refused"


@dataclass(frozen=True)
class Dropped:
    """One complete file."""

    name: str
    digest: str
    modified_ns: int
    #: None: it is larger than may be read.
    content: bytes | None
    #: Another file of the same content, waiting before it or done earlier.
    duplicate_of: str | None = None


@dataclass
class FileInbox:
    """One folder; `done/` and `refused/` are folders inside of it."""

    folder: Folder
    system: str
    largest_bytes: int = LARGEST_BYTES
    #: Endings of complete files; any other is its writer's business.
    endings: tuple[str, ...] = (".csv",)
    _read: dict[str, str] = field(default_factory=dict, init=False)

    def dropped(self) -> Iterator[Dropped]:
        """Yield every complete file that waits, oldest first."""
        first_of: dict[str, str] = {}
        away: list[str] = []
        waiting = self.waiting()
        kept = self._kept() if waiting else {}  # a list that only grows
        for entry in waiting:
            try:
                content = self._content(entry)
                digest = self._digest(entry, content)
            except FileNotFoundError:  # somebody else dealt with it, or the writer took it back
                continue
            except OSError as fault:
                away.append(fault.strerror or "unknown")
                continue
            earlier = first_of.setdefault(digest, entry.name)
            copy = earlier if earlier != entry.name else kept.get(digest[:16])
            self._read[entry.name] = digest
            yield Dropped(entry.name, digest, entry.modified_ns, content, copy)
        if away:
            raise TryAgain(self.system, f"{len(away)} files cannot be read: {away[0]}")

    def waiting(self) -> list[Entry]:
        """Complete files, the one written first at the head."""
        found = self._listed()
        held = [entry.name for entry in found if entry.name[0] == "." and entry.name.endswith(HELD)]
        if held:  # a run died while it moved them
            try:
                for name in held:
                    self._give_back(name)
            except OSError as fault:
                raise self._unreadable(fault) from fault
            found = self._listed()
        complete = [e for e in found if self._is_complete(e.name)]
        return sorted(complete, key=lambda entry: (entry.modified_ns, entry.name))

    def _is_complete(self, name: str) -> bool:
        return name[0] != "." and name.lower().endswith(self.endings)

    def done(self) -> list[Entry]:
        """Files that were dealt with, and taken as they were."""
        return self._listed(Outcome.DONE.value)

    def content(self, name: str) -> bytes | None:
        """What a file says, wherever in the inbox; None: it vanished meanwhile."""
        try:
            return self.folder.read(name)
        except FileNotFoundError:
            return None
        except OSError as fault:
            raise TryAgain(self.system, f"{name} cannot be read: {fault.strerror}") from fault

    def acknowledge(self, name: str, outcome: Outcome, reason: str = "") -> None:
        """Move a file out of the inbox; call it only after what it said was committed.

        A file that meanwhile has other content under the same name is left to be read.
        """
        digest = self._read.get(name)
        if digest is None:
            raise ValueError(f"{self.system}: {name!r} was not read before")
        held = f".{name}{HELD}"
        try:
            self.folder.rename(name, held)
        except FileNotFoundError:
            return  # moved by a run before us
        if self.folder.digest(held) != digest:
            self._give_back(held)
            return
        kept = f"{outcome.value}/{with_digest(name, digest)}"
        if reason:
            self.folder.write(f"{kept}.reason.txt", f"{reason}\n".encode())
        self.folder.rename(held, kept)

    def _give_back(self, held: str) -> None:
        """Return a file to the inbox under a name that no writer uses, so none is overwritten."""
        name = held.removeprefix(".").removesuffix(HELD)
        self.folder.rename(held, with_digest(name, self.folder.digest(held)))

    def _listed(self, under: str = "") -> list[Entry]:
        try:
            return self.folder.entries(under)
        except OSError as fault:  # a folder that cannot be read is not an empty one
            raise self._unreadable(fault) from fault

    def _unreadable(self, fault: OSError) -> TryAgain:
        return TryAgain(self.system, f"its inbox cannot be read: {fault.strerror}")

    def _kept(self) -> dict[str, str]:
        """Names of what was done before, by the first digits of its digest."""
        names = [entry.name for entry in self.done() if self._is_complete(entry.name)]
        return {name.split(".")[-2]: name for name in names if name.count(".") >= 2}

    def _content(self, entry: Entry) -> bytes | None:
        return None if entry.size > self.largest_bytes else self.folder.read(entry.name)

    def _digest(self, entry: Entry, content: bytes | None) -> str:
        if content is None:
            return self.folder.digest(entry.name)
        return hashlib.sha256(content).hexdigest()
