"""Folders that files are exchanged in, here or on an SFTP server: list, read, write whole, rename.

A file that vanished raises FileNotFoundError and one that cannot be read another OSError; a server
that is away raises TryAgain. Which files matter, and what they mean, is for whoever asks. The
server is in `sftp.py`.
"""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

PART = ".part"


@dataclass(frozen=True)
class Entry:
    """A regular file of a folder."""

    name: str
    size: int
    modified_ns: int


class Folder(Protocol):
    """One folder; names may lie one level below it, as in `done/a.csv`."""

    @property
    def path(self) -> str:
        """Where it is; folders of the same path are the same."""

    def entries(self, under: str = "") -> list[Entry]:
        """The regular files; a folder below that is not there yet has none."""

    def read(self, name: str) -> bytes:
        """The whole content."""

    def digest(self, name: str) -> str:
        """SHA-256 of the content, in hex."""

    def write(self, name: str, content: bytes) -> None:
        """Put a file there whole or not at all; nobody sees it before it is complete."""

    def rename(self, name: str, to: str) -> None:
        """Move a file within the folder, over what may be there; makes the folder below."""


class LocalFolder:
    """A folder of this machine."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @property
    def path(self) -> str:
        """Where it is."""
        return str(self._path)

    def entries(self, under: str = "") -> list[Entry]:
        """The regular files; a folder below that is not there yet has none."""
        found = []
        try:
            paths = list((self._path / under).iterdir())
        except FileNotFoundError:
            if under and self._path.exists():
                return []
            raise
        for path in paths:
            try:
                # Nothing that only looks like a file: reading a pipe would wait for ever.
                if path.is_file():
                    stat = path.stat()
                    found.append(Entry(path.name, stat.st_size, stat.st_mtime_ns))
            except FileNotFoundError:  # taken away between the two looks
                continue
        return found

    def read(self, name: str) -> bytes:
        """The whole content."""
        return (self._path / name).read_bytes()

    def digest(self, name: str) -> str:
        """SHA-256 of the content, in hex."""
        with (self._path / name).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def write(self, name: str, content: bytes) -> None:
        """Put a file there whole or not at all."""
        path = self._path / name
        self._make_parent(path)
        part = path.with_name(path.name + PART)
        with part.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
        if os.name == "posix":  # else a power cut may forget the name
            _settle(path.parent)

    def rename(self, name: str, to: str) -> None:
        """Move a file within the folder, over what may be there."""
        path = self._path / to
        self._make_parent(path)
        (self._path / name).replace(path)

    def _make_parent(self, path: Path) -> None:
        if path.parent != self._path:
            path.parent.mkdir(exist_ok=True)


def _settle(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
