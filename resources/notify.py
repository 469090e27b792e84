"""Telling people: what a message says, the channels it goes through, and that it goes once.

What is worth telling is decided elsewhere. A message holds keys, counts and sums, never what
stands in a row; an address or password of a channel is in no message, log or error.
"""

import logging
import smtplib
import ssl
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.message import EmailMessage
from email.utils import format_datetime, make_msgid
from typing import Protocol

import httpx
from pydantic import SecretStr
from sqlalchemy import Connection, Engine

from resources import http
from resources.errors import RemoteError
from resources.settings import Email, Notify
from resources.store import alerts
from resources.store.alerts import MOST_THINGS, Alert, Claim, Severity
from resources.store.engine import connected, one_at_a_time

log = logging.getLogger("sync_assets.alerts")

#: What comes and goes within minutes is one trouble, told once.
QUIET = timedelta(minutes=5)
#: A sensor's tick has a minute for everything.
CHANNEL_SECONDS = 10.0
LEVELS = {
    Severity.INFO: logging.INFO,
    Severity.WARNING: logging.WARNING,
    Severity.CRITICAL: logging.ERROR,
}


class ChannelFailed(Exception):
    """A channel did not take a message; the sentence holds no secret."""


# ---------------------------------------------------------------- what is said


@dataclass(frozen=True)
class Message:
    """What a channel is given."""

    title: str
    severity: Severity
    text: str
    at: datetime


def compose(claims: Sequence[Claim], now: datetime) -> Message:
    """One message of however many troubles, the gravest first."""
    shown = claims[:MOST_THINGS]
    blocks = [_over(one) if one.ended_at else _block(one.alert, now) for one in shown]
    if len(claims) > len(shown):
        blocks.append(f"And {len(claims) - len(shown)} more: sync-assets alerts")
    gravest = max(
        (one.alert.severity for one in claims if not one.ended_at),
        key=list(Severity).index,
        default=Severity.INFO,
    )
    if len(claims) == 1:
        title, _, body = blocks[0].partition("\n")
        return Message(title, gravest, body, now)
    return Message(_headline(claims), gravest, "\n\n".join(blocks), now)


def _block(alert: Alert, now: datetime) -> str:
    """Title, what happened, since when, which, money at stake, what to do next."""
    since = f"{alert.since_at:%Y-%m-%d %H:%M} UTC, {duration(now - alert.since_at)} ago"
    lines = [alert.title, alert.what, f"Since: {since}"]
    if alert.things:
        few = alert.things[:MOST_THINGS]
        number = max(alert.things_count, len(few))
        counted = f"{len(few)} of {number}" if number > len(few) else f"{number}"
        lines.append(f"Which ({counted}): {', '.join(few)}")
    if alert.at_stake:
        lines.append(f"At stake: {alert.at_stake}")
    return "\n".join([*lines, f"Next: {alert.next_step}"])


def _over(claim: Claim) -> str:
    began, ended = claim.first_at, claim.ended_at or claim.first_at
    lasted = f"It was there from {began:%Y-%m-%d %H:%M} to {ended:%Y-%m-%d %H:%M} UTC."
    return f"Over: {claim.alert.title}\n{lasted}"


def _headline(claims: Sequence[Claim]) -> str:
    over = sum(one.ended_at is not None for one in claims)
    counts = Counter(one.alert.severity.value for one in claims if not one.ended_at)
    parts = [f"{counts[one.value]} {one.value}" for one in reversed(Severity) if counts[one.value]]
    return ", ".join([*parts, *([f"{over} over"] if over else [])])


def duration(span: timedelta) -> str:
    """A span in the unit a person would say it in."""
    minutes = max(0, int(span.total_seconds() // 60))
    if minutes < 120:
        return f"{minutes} min"
    return f"{minutes // 60} h" if minutes < 48 * 60 else f"{minutes // 1440} days"


# ---------------------------------------------------------------- by which way


class Channel(Protocol):
    """A way to reach people."""

    @property
    def name(self) -> str:
        """What it is called in answers and logs."""
        ...

    def send(self, message: Message) -> None:
        """Hand the message over, or raise `ChannelFailed`."""
        ...


@dataclass(frozen=True)
class LogChannel:
    """Our own log; always there."""

    name: str = "log"

    def send(self, message: Message) -> None:
        """Write one line."""
        said = f"{message.title}: {message.text}".replace("\n", " | ")
        log.log(LEVELS[message.severity], "%s", said)


@dataclass(frozen=True)
class EmailChannel:
    """A mail server."""

    settings: Email
    name: str = "email"

    def send(self, message: Message) -> None:
        """Send one mail to everybody who is named."""
        place = f"{self.settings.server}:{self.settings.port}"
        try:
            with self._server() as server:
                refused = server.send_message(self._mail(message))
        except smtplib.SMTPRecipientsRefused:
            raise ChannelFailed(f"{place} refused every address") from None
        except (smtplib.SMTPException, OSError) as fault:
            # A server's own words may repeat user and addresses.
            raise ChannelFailed(f"{place} took no mail ({type(fault).__name__})") from None
        if refused:
            log.warning("%s refused %d of %d addresses", place, len(refused), len(self.settings.to))

    def _server(self) -> smtplib.SMTP:
        to, tls = self.settings, ssl.create_default_context()
        here = to.sender.rpartition("@")[2].strip("> ") or "localhost"
        if to.security == "tls":
            server: smtplib.SMTP = smtplib.SMTP_SSL(
                to.server, to.port, here, timeout=CHANNEL_SECONDS, context=tls
            )
        else:
            server = smtplib.SMTP(to.server, to.port, here, timeout=CHANNEL_SECONDS)
        try:
            if to.security == "starttls":
                server.starttls(context=tls)
            if to.user is not None and to.password is not None:
                server.login(to.user, to.password.get_secret_value())
        except BaseException:
            server.close()
            raise
        return server

    def _mail(self, message: Message) -> EmailMessage:
        mail = EmailMessage()
        mail["Subject"] = " ".join(f"[{message.severity.value}] {message.title}".split())
        mail["From"], mail["To"] = self.settings.sender, ", ".join(self.settings.to)
        mail["Date"] = format_datetime(message.at)
        mail["Message-ID"] = make_msgid(domain="sync-assets.invalid")
        mail.set_content(message.text + "\n")
        return mail


@dataclass(frozen=True)
class SlackChannel:
    """A Slack-compatible incoming webhook; whoever knows its address may write to it."""

    address: SecretStr
    transport: httpx.BaseTransport | None = None
    name: str = "slack"

    def send(self, message: Message) -> None:
        """Post one text."""
        text = f"*{message.title}*\n{message.text}"
        for sign, escaped in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;")):
            text = text.replace(sign, escaped)
        try:
            with self._client() as client:
                status = client.post("/", json={"text": text}).status_code
        except RemoteError as fault:
            raise ChannelFailed(fault.message) from None
        if status >= 300:
            raise ChannelFailed(f"the webhook answered {status}")

    def _client(self) -> httpx.Client:
        try:
            url = httpx.URL(self.address.get_secret_value())
        except httpx.InvalidURL:
            raise ChannelFailed("slack_url is not an address") from None
        if url.scheme not in ("http", "https") or not url.host:
            raise ChannelFailed("slack_url is not an http or https address")
        inner = self.transport or httpx.HTTPTransport(trust_env=False)
        manners = http.Manners(
            connect_seconds=CHANNEL_SECONDS, read_seconds=CHANNEL_SECONDS, attempts=1
        )
        shown = f"{url.scheme}://{url.netloc.decode('ascii').rpartition('@')[2]}"
        return http.client("slack", shown, manners, transport=_Hidden(url, inner))


class _Hidden(httpx.BaseTransport):
    """Puts in the real address below everything that logs one."""

    def __init__(self, url: httpx.URL, inner: httpx.BaseTransport) -> None:
        self.url, self.inner = url, inner

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send the same request to the real address."""
        hidden = httpx.Request(
            request.method,
            self.url,
            headers=request.headers,
            content=request.read(),
            extensions=request.extensions,
        )
        return self.inner.handle_request(hidden)

    def close(self) -> None:
        """Close the transport below."""
        self.inner.close()


def channels(
    settings: Notify, transports: Mapping[str, httpx.BaseTransport] | None = None
) -> list[Channel]:
    """The channels of a deployment; a stand-in for `slack` in tests."""
    found: list[Channel] = [LogChannel()]
    if settings.email is not None:
        found.append(EmailChannel(settings.email))
    if settings.slack_url is not None:
        found.append(SlackChannel(settings.slack_url, (transports or {}).get("slack")))
    return found


# ---------------------------------------------------------------- once


@dataclass(frozen=True)
class Told:
    """How one channel fared."""

    channel: str
    alerts: int = 0
    failed: str | None = None


class Notifier:
    """Tells every channel what it does not know yet; a channel that fails is tried next time."""

    def __init__(
        self,
        settings: Notify,
        engine: Engine,
        now: Callable[[], datetime],
        ways: Sequence[Channel] | None = None,
    ) -> None:
        self.engine, self.now = engine, now
        self.repeat = timedelta(hours=settings.repeat_hours)
        self.ways = channels(settings) if ways is None else list(ways)

    def tell(self, found: Sequence[Alert], scope: str) -> list[Told]:
        """Take `found` as all the troubles of `scope`; say what is new, graver, lasting or over."""
        now = self.now()
        with self._alone() as connection:
            alerts.see(connection, found, now)
            alerts.end(connection, scope, [one.key for one in found], now, QUIET)
            claims = {
                way.name: alerts.claim(connection, way.name, now, repeat=self.repeat)
                for way in self.ways
            }
        return [self._say(way, claims[way.name], now) for way in self.ways if claims[way.name]]

    @contextmanager
    def _alone(self) -> Iterator[Connection]:
        with (
            connected(self.engine) as connection,
            one_at_a_time(connection, "tell alerts"),
        ):
            yield connection

    def _say(self, way: Channel, claims: list[Claim], now: datetime) -> Told:
        failed = _sent(way, compose(claims, now))
        with connected(self.engine) as connection:
            if failed is None:
                alerts.confirm(connection, way.name, claims, now)
            else:
                alerts.release(connection, way.name, claims)
        return Told(way.name, len(claims), failed)

    def test(self) -> list[Told]:
        """Send a test message through every channel."""
        message = Message(
            "This is a test",
            Severity.INFO,
            "Alerts of sync-assets reach this channel.\nNext: nothing to do",
            self.now(),
        )
        return [Told(way.name, 0, _sent(way, message)) for way in self.ways]


def _sent(way: Channel, message: Message) -> str | None:
    """Why the channel did not take it; none when it did."""
    try:
        way.send(message)
    except ChannelFailed as fault:
        reason = str(fault)
    except Exception as fault:  # whatever one channel does, the others and the run go on
        reason = f"failed unexpectedly ({type(fault).__name__})"
    else:
        return None
    log.warning("%s: %s; tried again with the next look", way.name, reason)
    return reason
