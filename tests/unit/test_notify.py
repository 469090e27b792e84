"""Messages and channels: exact texts, a mail server and a webhook on loopback, and no secrets."""

import json
import logging
import socketserver
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.message import Message as Mail
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from resources.notify import (
    ChannelFailed,
    EmailChannel,
    LogChannel,
    Message,
    SlackChannel,
    channels,
    compose,
    duration,
)
from resources.settings import Email, Notify
from resources.store.alerts import Alert, Claim, Severity

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
SLACK = "https://hooks.example.com/services/T0/B0/s3cr3t"


def alert(key: str = "backlog:odoo", **more: Any) -> Alert:
    values: dict[str, Any] = {
        "scope": "standing",
        "title": "Writes pile up for odoo",
        "severity": Severity.WARNING,
        "what": "1,200 writes wait, more than 1,000.",
        "next_step": "sync-assets status",
        "since_at": NOW - timedelta(minutes=35),
    }
    return Alert(key, **{**values, **more})


def claim(key: str = "backlog:odoo", **more: Any) -> Claim:
    return Claim(alert(key, **more), NOW - timedelta(minutes=10))


# ---------------------------------------------------------------- what is said


def test_a_message_says_what_since_when_which_how_much_and_what_next() -> None:
    found = compose(
        [claim(things=("us:7", "us:8"), things_count=1200, at_stake="1,204.50 USD")], NOW
    )
    assert found.title == "Writes pile up for odoo"
    assert found.severity == Severity.WARNING
    assert found.text == (
        "1,200 writes wait, more than 1,000.\n"
        "Since: 2026-03-02 08:25 UTC, 35 min ago\n"
        "Which (2 of 1200): us:7, us:8\n"
        "At stake: 1,204.50 USD\n"
        "Next: sync-assets status"
    )


def test_what_is_not_known_is_left_out() -> None:
    assert compose([claim()], NOW).text == (
        "1,200 writes wait, more than 1,000.\n"
        "Since: 2026-03-02 08:25 UTC, 35 min ago\n"
        "Next: sync-assets status"
    )


def test_no_more_than_twenty_keys_are_named() -> None:
    keys = tuple(f"us:{n}" for n in range(50))
    text = compose([claim(things=keys, things_count=50)], NOW).text
    assert f"Which (20 of 50): {', '.join(keys[:20])}\n" in text
    assert "us:20" not in text


def test_the_end_of_a_trouble_is_a_message_of_its_own() -> None:
    over = Claim(alert(), NOW - timedelta(hours=1), NOW)
    found = compose([over], NOW)
    assert (found.title, found.severity) == ("Over: Writes pile up for odoo", Severity.INFO)
    assert found.text == "It was there from 2026-03-02 08:00 to 2026-03-02 09:00 UTC."


def test_many_at_once_become_one_message() -> None:
    grave = claim("worker", title="No warm worker is alive", severity=Severity.CRITICAL)
    over = Claim(alert("x", title="Gone"), NOW - timedelta(hours=1), NOW)
    found = compose([grave, claim(), over], NOW)
    assert found.title == "1 critical, 1 warning, 1 over"
    assert found.severity == Severity.CRITICAL
    blocks = found.text.split("\n\n")
    assert [block.splitlines()[0] for block in blocks] == [
        "No warm worker is alive",
        "Writes pile up for odoo",
        "Over: Gone",
    ]


def test_a_flood_is_cut_and_says_where_the_rest_is() -> None:
    found = compose([claim(f"k{n}") for n in range(25)], NOW)
    assert found.title == "25 warning"
    assert found.text.count("Next: ") == 20
    assert found.text.endswith("\n\nAnd 5 more: sync-assets alerts")


@pytest.mark.parametrize(
    ("span", "said"),
    [
        (timedelta(seconds=-5), "0 min"),
        (timedelta(seconds=59), "0 min"),
        (timedelta(minutes=119), "119 min"),
        (timedelta(hours=2), "2 h"),
        (timedelta(hours=47), "47 h"),
        (timedelta(days=3), "3 days"),
    ],
)
def test_a_span_is_said_as_a_person_would(span: timedelta, said: str) -> None:
    assert duration(span) == said


MESSAGE = Message("Writes <pile> up & up", Severity.WARNING, "1 of 2\nNext: status", NOW)

# ---------------------------------------------------------------- log


@pytest.mark.parametrize(
    ("severity", "level"), [("info", "INFO"), ("warning", "WARNING"), ("critical", "ERROR")]
)
def test_the_log_gets_one_line(caplog: pytest.LogCaptureFixture, severity: str, level: str) -> None:
    caplog.set_level(logging.INFO)
    LogChannel().send(Message("Title", Severity(severity), "a\nb", NOW))
    assert caplog.record_tuples == [("sync_assets.alerts", getattr(logging, level), "Title: a | b")]


# ---------------------------------------------------------------- mail


class Post(socketserver.StreamRequestHandler):
    """A mail server of one conversation at a time; what it got is kept by the server."""

    def handle(self) -> None:
        server: Any = self.server
        self.wfile.write(b"220 mail.test\r\n")
        while line := self.rfile.readline():
            word = line.split()[0].upper().decode()
            server.words.append(line.strip().decode())
            self.wfile.write(self._answer(word, server))
            if word == "DATA":
                server.mails.append(self._body())
                self.wfile.write(b"250 kept\r\n")
            if word == "QUIT":
                return

    def _answer(self, word: str, server: Any) -> bytes:
        if word == "EHLO":
            return b"250-mail.test\r\n250 AUTH PLAIN LOGIN\r\n"
        if word == "AUTH":
            return b"235 ok\r\n" if server.takes_password else b"535 5.7.8 secret-pw is wrong\r\n"
        if word == "RCPT" and server.refuses in str(server.words[-1]):
            return b"550 no such person\r\n"
        return {"DATA": b"354 go on\r\n", "QUIT": b"221 bye\r\n"}.get(word, b"250 ok\r\n")

    def _body(self) -> bytes:
        lines = []
        while (line := self.rfile.readline()) != b".\r\n":
            lines.append(line)
        return b"".join(lines)


class Office(socketserver.TCPServer):
    """A mail server on a free port of loopback."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Post)
        self.mails: list[bytes] = []
        self.words: list[str] = []
        self.refuses = "nobody@nowhere"
        self.takes_password = True

    def settings(self, **more: Any) -> Email:
        values = {
            "server": "127.0.0.1",
            "port": self.server_address[1],
            "security": "none",
            "sender": "sync@shop.example",
            "to": ("ops@shop.example", "fin@shop.example"),
        }
        return Email(**{**values, **more})

    def only_mail(self) -> Mail:
        (found,) = self.mails
        return message_from_bytes(found)


@pytest.fixture
def office() -> Iterator[Office]:
    with Office() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_one_mail_goes_to_everybody(office: Office) -> None:
    EmailChannel(office.settings()).send(MESSAGE)
    mail = office.only_mail()
    assert mail["Subject"] == "[warning] Writes <pile> up & up"
    assert (mail["From"], mail["To"]) == ("sync@shop.example", "ops@shop.example, fin@shop.example")
    assert mail["Date"] == "Mon, 02 Mar 2026 09:00:00 +0000"
    assert str(mail.get_payload()).splitlines() == ["1 of 2", "Next: status"]
    assert "AUTH" not in " ".join(office.words)


def test_a_title_cannot_add_headers(office: Office) -> None:
    EmailChannel(office.settings()).send(Message("a\r\nBcc: x@y", Severity.INFO, "t", NOW))
    mail = office.only_mail()
    assert (mail["Subject"], mail["Bcc"]) == ("[info] a Bcc: x@y", None)


def test_user_and_password_are_used_where_they_are_given(office: Office) -> None:
    EmailChannel(office.settings(user="sync", password=SecretStr("secret-pw"))).send(MESSAGE)
    assert any(word.startswith("AUTH ") for word in office.words)
    assert len(office.mails) == 1


def test_a_wrong_password_is_told_without_the_password(
    office: Office, caplog: pytest.LogCaptureFixture
) -> None:
    office.takes_password = False
    settings = office.settings(user="sync", password=SecretStr("secret-pw"))
    with pytest.raises(ChannelFailed) as caught:
        EmailChannel(settings).send(MESSAGE)
    assert str(caught.value) == f"127.0.0.1:{settings.port} took no mail (SMTPAuthenticationError)"
    assert caught.value.__suppress_context__
    assert "secret-pw" not in caplog.text
    assert office.mails == []


def test_a_server_without_starttls_gets_nothing_over_an_open_line(office: Office) -> None:
    settings = office.settings(security="starttls", user="sync", password=SecretStr("secret-pw"))
    with pytest.raises(ChannelFailed, match="SMTPNotSupportedError"):
        EmailChannel(settings).send(MESSAGE)
    assert not any(word.startswith("AUTH") for word in office.words)
    assert office.mails == []


def test_a_server_that_is_not_there_is_told_in_one_sentence() -> None:
    with socketserver.TCPServer(("127.0.0.1", 0), Post) as server:
        port = server.server_address[1]
    settings = Email(server="127.0.0.1", port=port, security="none", sender="a@b.c", to=("d@e.f",))
    with pytest.raises(ChannelFailed) as caught:
        EmailChannel(settings).send(MESSAGE)
    assert str(caught.value) == f"127.0.0.1:{port} took no mail (ConnectionRefusedError)"


def test_one_refused_address_does_not_cost_the_others_their_mail(
    office: Office, caplog: pytest.LogCaptureFixture
) -> None:
    office.refuses = "fin@shop.example"
    EmailChannel(office.settings()).send(MESSAGE)
    assert len(office.mails) == 1
    assert caplog.messages == [f"127.0.0.1:{office.server_address[1]} refused 1 of 2 addresses"]


def test_when_every_address_is_refused_the_mail_failed(office: Office) -> None:
    office.refuses = "shop.example"
    with pytest.raises(ChannelFailed, match="refused every address"):
        EmailChannel(office.settings()).send(MESSAGE)
    assert office.mails == []


# ---------------------------------------------------------------- Slack


def slack(status: int = 200, seen: list[httpx.Request] | None = None) -> SlackChannel:
    def answer(request: httpx.Request) -> httpx.Response:
        (seen if seen is not None else []).append(request)
        return httpx.Response(status, text=f"no_service {SLACK}")

    return SlackChannel(SecretStr(SLACK), httpx.MockTransport(answer))


def test_a_webhook_gets_one_text_with_its_signs_escaped() -> None:
    seen: list[httpx.Request] = []
    slack(seen=seen).send(MESSAGE)
    (request,) = seen
    assert (request.method, str(request.url)) == ("POST", SLACK)
    assert request.headers["content-type"] == "application/json"
    assert json.loads(request.content) == {
        "text": "*Writes &lt;pile&gt; up &amp; up*\n1 of 2\nNext: status"
    }


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (302, "the webhook answered 302"),
        (404, "the webhook answered 404"),
        (429, "too many calls"),
        (500, "the webhook answered 500"),
        (503, "answered 503"),
    ],
)
def test_a_webhook_that_does_not_take_it_is_told_without_its_address(
    status: int, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with pytest.raises(ChannelFailed) as caught:
        slack(status).send(MESSAGE)
    assert str(caught.value) == said
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    assert "s3cr3t" not in caplog.text


def test_the_address_is_in_no_log_when_all_is_well(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    slack().send(MESSAGE)
    assert "hooks.example.com" in caplog.text  # httpx does log the call
    assert "s3cr3t" not in caplog.text
    assert "/services" not in caplog.text


def test_a_webhook_that_cannot_be_reached_is_tried_once() -> None:
    calls = []

    def away(request: httpx.Request) -> httpx.Response:
        calls.append(request)
        raise httpx.ConnectError("no route to s3cr3t")

    with pytest.raises(ChannelFailed) as caught:
        SlackChannel(SecretStr(SLACK), httpx.MockTransport(away)).send(MESSAGE)
    assert str(caught.value) == "cannot reach POST hooks.example.com (ConnectError)"
    assert len(calls) == 1


@pytest.mark.parametrize("address", ["s3cr3t", "ftp://h/s3cr3t", "http:///s3cr3t", ""])
def test_an_address_that_is_none_is_told_without_it(address: str) -> None:
    with pytest.raises(ChannelFailed, match=r"^slack_url is not an") as caught:
        SlackChannel(SecretStr(address)).send(MESSAGE)
    assert "s3cr3t" not in str(caught.value)


# ---------------------------------------------------------------- which channels


def test_the_log_is_always_a_channel_and_the_others_are_configured() -> None:
    assert [one.name for one in channels(Notify())] == ["log"]
    email = Email(server="mail.example", sender="a@b.c", to=("d@e.f",), password=SecretStr("pw"))
    found = channels(Notify(email=email, slack_url=SecretStr(SLACK)))
    assert [one.name for one in found] == ["log", "email", "slack"]
    assert "s3cr3t" not in repr(found)
    assert "pw'" not in repr(found)
