"""Group commit: deliveries that come together share one commit, and each is answered after its own.

One connection, one writer: while a commit is under way, what arrives gathers for the next one, so
light load waits for one commit and heavy load for few. A row the database cannot hold never costs
its neighbours theirs. Nothing is answered "kept" before it is.
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

import psycopg

from resources.store import inbox
from resources.store.frames import is_of_rows
from resources.store.inbox import Delivery
from sensors.webhooks.line import Line

#: Rows and bytes that may wait, and those of one commit; what a burst may cost in memory.
MOST_ROWS, MOST_BYTES = 10_000, 64 * 1024 * 1024
BATCH_ROWS, BATCH_BYTES = 500, 8 * 1024 * 1024
LEAST_SHARE = 16
CONNECT_SECONDS = 3
#: A commit that takes longer is given up: its senders are told to come again.
COMMIT_SECONDS = 10.0
READY_SECONDS = 2.0
PROBE = "select from ops.inbox limit 0"
NAME = "sync-assets receiver"


class Unavailable(Exception):
    """The database does not take deliveries now; the sender should come again."""


class Overloaded(Unavailable):
    """More waits for its commit than may."""


class Unstorable(Exception):
    """The database cannot hold this delivery in any form."""


@dataclass(eq=False, slots=True)
class Ticket:
    """What one request wants kept, all of it or nothing."""

    deliveries: Sequence[Delivery]
    done: asyncio.Future[None]
    rows: int
    size: int


Told = Callable[[int, float, int], None]


def _nobody(rows: int, seconds: float, waiting_rows: int) -> None:
    pass


@dataclass
class Intake:
    """Keeps deliveries in the inbox of one database."""

    url: str
    #: How long the first of a batch waits for company, where company is to be expected.
    company_seconds: float = 0.002
    #: Told of every commit its rows (none: it failed), its seconds, and the rows that wait.
    told: Told = _nobody
    commit_seconds: float = COMMIT_SECONDS
    most_rows: int = MOST_ROWS
    most_bytes: int = MOST_BYTES
    waiting_rows: int = 0
    waiting_bytes: int = 0
    _tickets: list[Ticket] = field(default_factory=list)
    #: Half of those lately seen at once: while they are committed, the other half is received.
    _company: int = 1
    _closing: bool = False
    _gave_up: bool = False
    _wanted: asyncio.Event = field(default_factory=asyncio.Event)
    _enough: asyncio.Event = field(default_factory=asyncio.Event)
    _writer: asyncio.Task[None] | None = None
    _line: Line | None = None

    async def start(self) -> None:
        """Begin to write; the database may come later."""
        self._writer = asyncio.create_task(self._write(), name="intake")

    async def stop(self) -> None:
        """Finish what was taken in, then let the database go."""
        self._closing = True
        self._wanted.set()
        self._enough.set()
        if self._writer is not None:
            await self._writer
        await self._disconnect()

    def keep(self, deliveries: Sequence[Delivery]) -> asyncio.Future[None]:
        """Done when the deliveries are on disk; fails where they are not."""
        return self._take(deliveries).done

    async def is_ready(self) -> bool:
        """Whether the database answers and has the table."""
        try:
            ticket = self._take(())
            async with asyncio.timeout(READY_SECONDS):
                await ticket.done
        except (Unavailable, TimeoutError):
            return False
        return True

    def _take(self, deliveries: Sequence[Delivery]) -> Ticket:
        if self._closing or self._writer is None:
            raise Unavailable("the receiver is stopping")
        rows, size = len(deliveries), sum([len(one.body) for one in deliveries])
        if self.waiting_rows + rows > self.most_rows or (
            self._tickets and self.waiting_bytes + size > self.most_bytes
        ):
            raise Overloaded("too many deliveries wait for their commit")
        ticket = Ticket(deliveries, asyncio.get_running_loop().create_future(), rows, size)
        self._tickets.append(ticket)
        self.waiting_rows += rows
        self.waiting_bytes += size
        self._wanted.set()
        if self.waiting_rows >= self._company // 2:
            self._enough.set()
        return ticket

    async def _write(self) -> None:
        while True:
            await self._wanted.wait()
            if not self._tickets:
                if self._closing:
                    return
                self._wanted.clear()
                continue
            await self._gather()
            await self._commit()

    async def _gather(self) -> None:
        """Wait a moment for company where much comes at once; a lone delivery waits for nobody."""
        if self.waiting_rows >= self._company // 2 or self._closing:
            return
        self._enough.clear()
        try:
            async with asyncio.timeout(self.company_seconds):
                await self._enough.wait()
        except TimeoutError:
            pass

    async def _commit(self) -> None:
        """Keep what waits in one commit; a connection that was lost meanwhile is made anew once."""
        batch: list[Ticket] = []
        began, self._gave_up = time.perf_counter(), False
        watch = asyncio.get_running_loop().call_later(self.commit_seconds, self._give_up)
        try:
            try:
                await self._keep_next(batch)
            except (psycopg.OperationalError, psycopg.InterfaceError):
                if self._gave_up:
                    raise
                # An answer lost with the connection may leave rows twice: deliveries are hints.
                await self._disconnect()
                await self._keep_next(batch)
        except Exception as fault:  # the writer outlives whatever befalls one batch
            self.told(0, time.perf_counter() - began, self.waiting_rows)
            _fail([*batch, *self._take_all()], Unavailable(_cause(fault)))
            await self._disconnect()
        else:
            self.told(_rows(batch), time.perf_counter() - began, self.waiting_rows)
        finally:
            watch.cancel()
            self._company = min((_rows(batch) + self.waiting_rows) // 2, BATCH_ROWS)

    def _give_up(self) -> None:
        """Hang up on a database that does not answer."""
        self._gave_up = True
        if self._line is not None:
            self._line.hang_up()

    async def _keep_next(self, batch: list[Ticket]) -> None:
        """Fill the batch when the database is ready for it, and keep it."""
        if batch:
            await self._keep(batch)
            return
        line = await self._connected()
        if not self.waiting_rows:  # somebody only asks whether it could be done
            batch += self._take_batch()
            await line.ask(PROBE)
            _settle(batch)
            return

        def produce() -> bytes:
            batch.extend(self._take_batch())
            return inbox.packed(one for ticket in batch for one in ticket.deliveries)

        try:
            await line.copy(inbox.COPY, produce)
        except psycopg.Error as fault:
            if not batch or not is_of_rows(fault):
                raise
            await self._keep_apart(batch, fault)
        else:
            _settle(batch)

    async def _keep(self, tickets: list[Ticket]) -> None:
        """Keep these tickets in one commit."""
        open_ones = [ticket for ticket in tickets if not ticket.done.done()]
        rows = [one for ticket in open_ones for one in ticket.deliveries]
        try:
            await (await self._connected()).copy(inbox.COPY, lambda: inbox.packed(rows))
        except psycopg.Error as fault:
            if not is_of_rows(fault):
                raise
            await self._keep_apart(open_ones, fault)
        else:
            _settle(open_ones)

    async def _keep_apart(self, tickets: list[Ticket], fault: psycopg.Error) -> None:
        """Find the ticket at fault by halves; its neighbours are kept as they are."""
        if len(tickets) == 1:
            await self._keep_bare(tickets[0], fault)
            return
        middle = len(tickets) // 2
        await self._keep(tickets[:middle])
        await self._keep(tickets[middle:])

    async def _keep_bare(self, ticket: Ticket, fault: psycopg.Error) -> None:
        """Set aside what the database cannot hold as it is: the body, who sent it, and why."""
        why = f"the database cannot hold it: {_cause(fault)}"
        bare = [
            replace(one, topic="", resource_id=None, headers={}, fault=why)
            for one in ticket.deliveries
        ]
        try:
            await (await self._connected()).copy(inbox.COPY, lambda: inbox.packed(bare))
        except psycopg.Error as again:
            if not is_of_rows(again):
                raise
            _fail([ticket], Unstorable(_cause(again)))
        else:
            _settle([ticket])

    def _take_batch(self) -> list[Ticket]:
        """The next tickets, the oldest first, as many as one commit may hold."""
        rows = size = count = 0
        most = max(self._company, LEAST_SHARE)
        for ticket in self._tickets:
            rows, size = rows + ticket.rows, size + ticket.size
            if count and (rows > most or size > BATCH_BYTES):
                break
            count += 1
        batch = self._tickets[:count]
        del self._tickets[:count]
        self.waiting_rows -= _rows(batch)
        self.waiting_bytes -= sum([ticket.size for ticket in batch])
        return batch

    def _take_all(self) -> list[Ticket]:
        """Every ticket that waits: where one cannot be kept, its senders need not wait longer."""
        tickets, self._tickets = self._tickets, []
        self.waiting_rows = self.waiting_bytes = 0
        return tickets

    async def _connected(self) -> Line:
        if self._line is None:
            self._line = await Line.connect(self.url, seconds=CONNECT_SECONDS, name=NAME)
            if self._gave_up:
                raise Unavailable("the database took too long to connect")
        return self._line

    async def _disconnect(self) -> None:
        line, self._line = self._line, None
        if line is not None:
            await line.close()


def _rows(tickets: Iterable[Ticket]) -> int:
    return sum([ticket.rows for ticket in tickets])


def _settle(tickets: Iterable[Ticket]) -> None:
    for ticket in tickets:
        if not ticket.done.done():
            ticket.done.set_result(None)


def _fail(tickets: Iterable[Ticket], fault: Exception) -> None:
    for ticket in tickets:
        if not ticket.done.done():
            ticket.done.set_exception(fault)


def _cause(fault: Exception) -> str:
    """The database's rule or state, never a value."""
    said = fault.diag.message_primary if isinstance(fault, psycopg.Error) else None
    return said or type(fault).__name__
