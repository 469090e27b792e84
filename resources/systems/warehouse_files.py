"""A warehouse that exchanges CSV files with us, here or over SFTP (docs/warehouse-files.md).

What it drops is consumed: `incoming` reads, the caller commits, `acknowledge` moves the file away.
The client keeps nothing, so it knows of a request only while our file lies there; answers that were
read are for the caller to remember. What a line means is for the mapper of the same name.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from resources.errors import Refused, RemoteError, TryAgain, UnknownOutcome
from resources.pages import Broken, Raw
from resources.systems import order_files
from resources.systems.csv_lines import BrokenLine, RefusedFile, check_columns
from resources.systems.file_inbox import LARGEST_BYTES, Dropped, FileInbox, Outcome
from resources.systems.file_names import true_at
from resources.systems.folders import Entry, Folder
from resources.systems.order_files import OrderFile, Style, Unwritable
from resources.systems.roles import Payload
from resources.systems.warehouse_forms import ALL, Forms, Kind, Told

__all__ = ["IncomingFile", "Kind", "Outcome", "WarehouseFiles"]


@dataclass(frozen=True)
class IncomingFile:
    """One complete file that waits: its things, or why all of it is refused."""

    name: str
    digest: str
    #: None: a refused file of a folder that serves several kinds.
    kind: Kind | None
    #: When it was said: the time in its name, else when the file was written.
    told_at: datetime
    rows: Sequence[Raw] = ()
    broken: Sequence[BrokenLine] = ()
    refusal: str | None = None
    #: Another file of the same content, waiting before it or done earlier.
    duplicate_of: str | None = None


class WarehouseFiles:
    """One warehouse; fills the role `Warehouse`, and hands over what it drops by `incoming`."""

    def __init__(
        self,
        system: str,
        orders: Folder,
        incoming: Mapping[Kind, Folder],
        *,
        columns: Mapping[str, str] | None = None,
        ignored: Collection[str] = (),
        encoding: str = "utf-8",
        timezone: str = "UTC",
        delimiter: str = ",",
        largest_bytes: int = LARGEST_BYTES,
    ) -> None:
        columns = columns or {}
        check_columns(system, columns, tuple(dict.fromkeys((*order_files.COLUMNS, *ALL))))
        self.system, self.orders, self.zone = system, orders, ZoneInfo(timezone)
        self.style = Style(columns, encoding, delimiter)
        self.forms = Forms(columns, ignored, encoding, timezone)
        self.largest_bytes = largest_bytes
        #: Each folder once, with the kinds it serves, under the name its files are told by.
        self._kinds: dict[str, list[Kind]] = {}
        self._inboxes: dict[str, FileInbox] = {}
        label_of: dict[str, str] = {}
        for kind, folder in incoming.items():
            label = label_of.setdefault(folder.path, f"{kind.value}s")
            self._kinds.setdefault(label, []).append(kind)
            self._inboxes.setdefault(label, FileInbox(folder, system, largest_bytes))

    def ping(self) -> str:
        """Look into every folder; raises SignInAgain or TryAgain."""
        with self._disk("its folder for orders cannot be read"):
            self.orders.entries()
        for inbox in self._inboxes.values():
            inbox.waiting()
        return f"files in {self.orders.path}"

    # What it shall ship

    def fulfilments(self, keys: Sequence[str]) -> dict[str, Payload]:
        """Requests whose file still lies there; what was taken away we know nothing of."""
        lying: dict[str, list[tuple[int, str]]] = {}
        for entry in self._lying():
            found = order_files.named(entry.name)
            if found is not None and found[1] is not None:
                lying.setdefault(found[0], []).append((found[1], entry.name))
        return {
            key: _waiting(key, *max(lying[stem]))
            for key in keys
            if (stem := order_files.stem(key)) in lying
        }

    def put_fulfilments(self, orders: Sequence[Payload]) -> dict[str, RemoteError]:
        """Write one file for each; answers the refusals only. The same request is the same file."""
        refused: dict[str, RemoteError] = {}
        files: list[OrderFile] = []
        for order in orders:
            try:
                files.append(self.style.asks(order["key"], order["version"], order["rows"]))
            except Unwritable as why:
                refused[order["key"]] = Refused(self.system, str(why), code="encoding")
        self._write(files)
        return refused

    def cancel_fulfilments(self, keys: Sequence[str]) -> dict[str, RemoteError]:
        """Write a file for each that takes the request back; whether it did comes as an answer."""
        self._write([self.style.takes_back(key) for key in dict.fromkeys(keys)])
        return {}

    def _write(self, files: Sequence[OrderFile]) -> None:
        there = {entry.name for entry in self._lying()} if files else set()
        for file in files:
            if file.name not in there:
                with self._disk("a file for it cannot be written"):
                    self.orders.write(file.name, file.content)

    def _lying(self) -> list[Entry]:
        with self._disk("its folder for orders cannot be read"):
            return self.orders.entries()

    # What it drops

    def incoming(self) -> Iterator[IncomingFile]:
        """Yield every complete file that waits, oldest first in each folder.

        Answers come before shipments, and those before returns, where folders are their own.
        """
        for label, inbox in self._inboxes.items():
            for file in inbox.dropped():
                yield self._file(label, file)

    def acknowledge(self, name: str, outcome: Outcome, reason: str = "") -> None:
        """Move a file to `done/` or `refused/`; call it only after what it said was committed.

        A file that meanwhile has other content under the same name is left to be read.
        """
        label, _, plain = name.partition("/")
        if label not in self._inboxes:
            raise ValueError(f"{self.system}: {name!r} was not read before")
        try:
            with self._disk(f"{name} cannot be moved"):
                self._inboxes[label].acknowledge(plain, outcome, reason)
        except UnknownOutcome as fault:  # moved or not, the next reading sees where it is
            raise TryAgain(self.system, fault.message) from fault

    def _file(self, label: str, file: Dropped) -> IncomingFile:
        told_at, _ = true_at(file.name, file.modified_ns, self.zone)
        kinds = self._kinds[label]
        found = IncomingFile(
            f"{label}/{file.name}",
            file.digest,
            kinds[0] if len(kinds) == 1 else None,
            told_at,
            duplicate_of=file.duplicate_of and f"{label}/{file.duplicate_of}",
        )
        if file.content is None:
            return replace(found, refusal=f"it is larger than {self.largest_bytes} bytes")
        try:
            told = self.forms.read(kinds, file.content, told_at)
        except RefusedFile as why:
            return replace(found, refusal=str(why))
        return replace(found, kind=told.kind, rows=told.things, broken=told.broken)

    # The role's other way to ask: what lies there, read or not, and moved by nobody

    def shipments_changed_since(
        self, moment: datetime, overlap: timedelta
    ) -> Iterator[list[Raw | Broken]]:
        """Yield what each file told since says, done ones too, oldest first."""
        return self._told_since(Kind.SHIPMENT, moment - overlap)

    def shipments_by_id(self, ids: Sequence[str]) -> list[Raw | Broken]:
        """The shipments as they were told last; reads every file that is kept."""
        return self._told_last(Kind.SHIPMENT, ids)

    def returns_changed_since(
        self, moment: datetime, overlap: timedelta
    ) -> Iterator[list[Raw | Broken]]:
        """Yield what each file told since says, done ones too, oldest first."""
        return self._told_since(Kind.RETURN, moment - overlap)

    def returns_by_id(self, ids: Sequence[str]) -> list[Raw | Broken]:
        """The returns as they were told last; reads every file that is kept."""
        return self._told_last(Kind.RETURN, ids)

    def _told_last(self, kind: Kind, ids: Sequence[str]) -> list[Raw | Broken]:
        last: dict[str, Raw] = {}
        for page in self._told_since(kind, None):
            last |= {one.resource_id: one for one in page if isinstance(one, Raw)}
        return [last[name] for name in dict.fromkeys(ids) if name in last]

    def _told_since(self, kind: Kind, since: datetime | None) -> Iterator[list[Raw | Broken]]:
        for inbox, kinds in self._serving(kind):
            kept = [(f"{Outcome.DONE}/{entry.name}", entry) for entry in inbox.done()]
            kept += [(entry.name, entry) for entry in inbox.waiting()]
            dated = [
                (true_at(entry.name, entry.modified_ns, self.zone)[0], name)
                for name, entry in kept
                if name.lower().endswith(".csv") and entry.size <= self.largest_bytes
            ]
            for told_at, name in sorted(dated):
                if since is None or told_at >= since:
                    yield from self._page(inbox, kinds, kind, told_at, name)

    def _page(
        self, inbox: FileInbox, kinds: Sequence[Kind], kind: Kind, told_at: datetime, name: str
    ) -> Iterator[list[Raw | Broken]]:
        content = inbox.content(name)
        if content is None:
            return
        try:
            told = self.forms.read(kinds, content, told_at)
        except RefusedFile as why:
            yield [Broken(self.system, None, "", f"{name}: {why}")]
            return
        if told.kind is kind:
            yield [*told.things, *self._broken(told, name)]

    def _broken(self, told: Told, name: str) -> list[Broken]:
        return [
            Broken(self.system, None, "", f"{name}, line {line.number}: {line.reason}")
            for line in told.broken
        ]

    def _serving(self, kind: Kind) -> list[tuple[FileInbox, list[Kind]]]:
        return [(self._inboxes[label], of) for label, of in self._kinds.items() if kind in of]

    @contextmanager
    def _disk(self, what: str) -> Iterator[None]:
        """A disk that says no is a passing fault: nothing happened, and a person may mend it."""
        try:
            yield
        except OSError as fault:
            raise TryAgain(self.system, f"{what}: {fault.strerror or 'unknown'}") from fault


def _waiting(key: str, version: int, file: str) -> Payload:
    return {"reference": key, "state": "waiting", "version": version, "file": file}
