"""Requests below HTTP clients' manners, on a real server: slow, huge, doubled, crooked."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest
import uvicorn

from resources.store.postgres import Databases
from sensors.webhooks import receiver, serving
from sensors.webhooks.intake import Intake
from tests.receiving import US, configuration, inbox_of, signed
from tests.worlds import Clock

BODY = b'{"id":7}'


class Impatient(serving.PatientProtocol):
    """The server with a patience that tests can wait for."""

    head_seconds = 0.3


@dataclass
class Served:
    """A receiver behind a real socket."""

    port: int
    database: Databases

    def ask(self, *parts: bytes, wait: bool = True) -> bytes:
        """Send these bytes; answer everything that comes until the line is closed."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=20) as line:
            for part in parts:
                line.sendall(part)
            said = b""
            while wait and (piece := self._receive(line)):
                said += piece
            return said

    @staticmethod
    def _receive(line: socket.socket) -> bytes:
        try:
            return line.recv(65_536)
        except ConnectionResetError:
            return b""

    def status(self, *parts: bytes) -> int:
        """The status of the first answer; 0 where the line was closed without one."""
        said = self.ask(*parts)
        return int(said.split(b" ", 2)[1]) if said else 0


@contextmanager
def serving_on(database: Databases) -> Iterator[Served]:
    """Serve in a thread, on a free port."""
    intake = Intake(database.text(database.store))
    config = configuration(receiver={"max_body_bytes": 2048, "body_seconds": 0.3})
    app = receiver.build(config, intake, Clock())
    server = uvicorn.Server(serving.config(app, http=Impatient))
    with socket.create_server(("127.0.0.1", 0)) as door:
        thread = threading.Thread(target=server.run, args=([door],), daemon=True)
        thread.start()
        try:
            yield Served(int(door.getsockname()[1]), database)
        finally:
            server.should_exit = True
            thread.join()


def request(body: bytes = BODY, *more: bytes, path: str = US, length: bytes | None = None) -> bytes:
    """A signed delivery as bytes; the line is to be closed after its answer."""
    headers = {**signed(body), "Host": "x", "Content-Type": "application/json"}
    lines = [f"{name}: {value}".encode() for name, value in headers.items()]
    said = str(len(body)).encode() if length is None else length
    lines += [b"Content-Length: " + said, b"Connection: close", *more]
    return f"POST {path} HTTP/1.1\r\n".encode() + b"\r\n".join(lines) + b"\r\n\r\n" + body


def test_a_true_delivery_is_taken_in_one_piece_or_byte_by_byte(database: Databases) -> None:
    with serving_on(database) as served:
        assert served.status(request()) == 200
        text = request()
        assert served.status(*[text[n : n + 1] for n in range(len(text))]) == 200
    assert [row["resource_id"] for row in inbox_of(database)] == ["7", "7"]


@pytest.mark.parametrize(
    ("parts", "statuses"),
    [
        ([request(length=b"100")], {408}),  # the rest never comes
        ([request(length=b"99999999")], {413}),
        ([request(length=b"9" * 50)], {400, 413}),
        ([request(length=b"-5")], {400}),
        ([request(length=b"+8")], {400}),
        ([request(length=b"8, 8")], {400}),
        ([request(BODY, b"Content-Length: 8")], {400}),
        ([request(BODY, b"Content-Length: 9")], {400}),
        ([request(BODY, b"Transfer-Encoding: chunked")], {400}),
        ([request(BODY, b"X-WC-Webhook-Signature: AAAA")], {400}),
        ([request(BODY, b"x-wc-webhook-topic: order.deleted")], {400}),
        ([request(BODY, b"Bad Header: 1")], {400}),
        ([request(BODY, b"X-Nul: a\x00b")], {400}),
        ([request(BODY, b"X-Folded: a\r\n b")], {200, 400}),
        ([b"GARBAGE\r\n\r\n"], {400}),
        ([b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"], {400}),
        ([b"POST " + b"/" * 70_000], {0}),
        ([b"POST / HTTP/1.1\r\n", *[b"X-%d: y\r\n" % n * 50 for n in range(200)]], {0}),
        ([b"POST / HTTP/1.1\r\nHost: x\r\n"], {0}),  # the head never ends
        ([b""], {0}),  # nothing ever comes
    ],
)
def test_crooked_requests_are_refused_in_time_and_nothing_is_kept(
    database: Databases, parts: list[bytes], statuses: set[int]
) -> None:
    with serving_on(database) as served:
        status = served.status(*parts)
        assert served.status(request()) == 200  # and the receiver goes on
    assert status in statuses
    assert len(inbox_of(database)) == (2 if status == 200 else 1)


def test_a_huge_body_in_pieces_is_refused_before_its_end(database: Databases) -> None:
    head = request(b"", b"Transfer-Encoding: chunked").replace(b"Content-Length: 0\r\n", b"")
    piece = b"400\r\n" + b"x" * 1024 + b"\r\n"
    with serving_on(database) as served:
        assert served.status(head, piece, piece, piece) == 413
    assert inbox_of(database) == []


@pytest.mark.parametrize(
    "path",
    [
        "/webhooks/woocommerce/../woocommerce/us",
        "/webhooks/woocommerce/./us",
        "/webhooks//woocommerce/us",
        "//webhooks/woocommerce/us",
        "/webhooks/woocommerce/us/",
        "/webhooks/woocommerce/%75s",
        "/webhooks/woocommerce%2fus",
        "/webhooks/woocommerce/%2e%2e/woocommerce/us",
        "/webhooks/woocommerce/us%00",
        "/webhooks/woocommerce/us;x=1",
        "/webhooks/woocommerce/US",
        "/webhooks/woocommerce/",
        "/webhooks/../../etc/passwd",
        "/%",
    ],
)
def test_an_endpoint_has_one_spelling(database: Databases, path: str) -> None:
    with serving_on(database) as served:
        assert served.status(request(path=path)) == 404
    assert inbox_of(database) == []


@pytest.mark.parametrize("target", ["*", "x", "http://", "http://x", "/\xff", "[::1"])
def test_what_is_no_path_is_no_fault(database: Databases, target: str) -> None:
    text = request().replace(f"POST {US} ".encode(), f"POST {target} ".encode("latin-1"))
    with serving_on(database) as served:
        assert served.status(text) in {400, 404}
    assert inbox_of(database) == []


def test_a_query_does_not_change_whose_endpoint_it_is(database: Databases) -> None:
    with serving_on(database) as served:
        assert served.status(request(path=f"{US}?store=uk&secret=x")) == 200
    (row,) = inbox_of(database)
    assert row["store"] == "us"


def test_a_second_request_hidden_in_a_body_is_not_heard(database: Databases) -> None:
    hidden = request(b'{"id":666}')
    with serving_on(database) as served:
        said = served.ask(request(BODY + hidden, length=str(len(BODY)).encode()))
    assert said.count(b"HTTP/1.1 ") == 1
    assert inbox_of(database) == []
