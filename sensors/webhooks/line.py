"""COPY over one connection without leaving the event loop: a third of the driver's own async cost.

Below psycopg's connection lies its documented libpq wrapper; here are the few calls a COPY takes.
What is copied, and what a failure means, is decided elsewhere.
"""

import asyncio
from collections.abc import Callable

import psycopg
from psycopg import pq
from psycopg.errors import error_from_result

#: As much as libpq likes to queue at once.
PART = 256 * 1024
GOOD = (pq.ExecStatus.COMMAND_OK, pq.ExecStatus.TUPLES_OK)

Produce = Callable[[], bytes]


class Line:
    """One connection in autocommit: each statement is a transaction."""

    def __init__(self, connection: psycopg.AsyncConnection) -> None:
        self.connection, self.libpq = connection, connection.pgconn
        self.socket, self.loop = self.libpq.socket, asyncio.get_running_loop()
        self.waiter: asyncio.Future[None] | None = None
        self.lost: psycopg.OperationalError | None = None
        self.produce: Produce | None = None
        self.refusal: pq.abc.PGresult | None = None
        self.fault: Exception | None = None
        self.loop.add_reader(self.socket, self._readable)

    @classmethod
    async def connect(cls, url: str, *, seconds: int, name: str) -> "Line":
        """Connect, or raise psycopg's error within `seconds`."""
        return cls(
            await psycopg.AsyncConnection.connect(
                url, autocommit=True, connect_timeout=seconds, application_name=name
            )
        )

    async def ask(self, statement: str) -> None:
        """Run a statement whose answer does not matter, only that there is one."""
        self._send(statement)
        await self._end()

    async def copy(self, statement: str, produce: Produce) -> None:
        """Run a COPY from stdin; return when it is committed.

        `produce` is called the moment the server is ready for the data: it does not wait for its
        turn among the loop's tasks, and what came meanwhile still comes along.
        """
        self.produce = produce
        self._send(statement)
        await self._end()

    def hang_up(self) -> None:
        """End it at once, whoever waits; the server is not asked."""
        if self.lost is None:
            self._lose(psycopg.OperationalError("the connection was given up"))

    async def close(self) -> None:
        """Let the connection go."""
        self.hang_up()
        await self.connection.close()

    def _send(self, statement: str) -> None:
        if self.lost is not None:
            raise self.lost
        self.libpq.send_query(statement.encode())
        self._flush()

    async def _end(self) -> None:
        """Take every result up to the last, then raise the first fault."""
        refusal: pq.abc.PGresult | None = None
        while (result := await self._result()) is not None:
            if result.status not in GOOD:
                refusal = refusal or result
        fault, self.fault = self.fault, None
        if fault is not None:
            raise fault
        if refusal is not None:
            raise error_from_result(refusal)

    async def _result(self) -> pq.abc.PGresult | None:
        while self.refusal is None and (self.produce is not None or self.libpq.is_busy()):
            if self.lost is not None:
                raise self.lost
            self.waiter = self.loop.create_future()
            await self.waiter
        if self.refusal is not None:
            refusal, self.refusal = self.refusal, None
            return refusal
        return self.libpq.get_result()

    def _readable(self) -> None:
        try:
            self.libpq.consume_input()
            if self.libpq.is_busy():
                return
            if self.produce is not None:
                self._feed(self.produce)
                if self.refusal is None:
                    return
        except psycopg.OperationalError as fault:
            self._lose(fault)
            return
        if self.waiter is not None and not self.waiter.done():
            self.waiter.set_result(None)

    def _feed(self, produce: Produce) -> None:
        """Give the data, now that the server asks for it, or keep its refusal."""
        self.produce = None
        began = self.libpq.get_result()
        if began is None or began.status != pq.ExecStatus.COPY_IN:
            self.refusal = began
            return
        try:
            data = produce()
        except Exception as fault:
            self.fault = fault
            self.libpq.put_copy_end(b"there is no data")
        else:
            for start in range(0, len(data), PART):
                self.libpq.put_copy_data(data[start : start + PART])
            self.libpq.put_copy_end()
        self._flush()

    def _flush(self) -> None:
        """Send what is queued; what the line does not take now goes when it takes more."""
        if self.libpq.flush():
            self.loop.add_writer(self.socket, self._writable)

    def _writable(self) -> None:
        try:
            if not self.libpq.flush():
                self.loop.remove_writer(self.socket)
        except psycopg.OperationalError as fault:
            self._lose(fault)

    def _lose(self, fault: psycopg.OperationalError) -> None:
        self.lost, self.produce = fault, None
        self.loop.remove_reader(self.socket)
        self.loop.remove_writer(self.socket)
        self.libpq.finish()
        if self.waiter is not None and not self.waiter.done():
            self.waiter.set_exception(fault)
