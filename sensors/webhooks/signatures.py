"""Who sent it: one verifier per signature scheme, and what a proven delivery says about itself.

Pure: secrets, headers, the raw body and the clock come in, a verdict goes out. Header names are
lower case, as an ASGI server gives them. What a refusal costs the caller is decided elsewhere.
"""

import base64
import binascii
import hmac
import json
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Any, NamedTuple, Protocol

from resources.settings import Endpoint, SettingsError
from sensors.webhooks import bodies

Headers = Mapping[bytes, bytes]
#: How a signature is written: base64 or hex, in one spelling only.
Form = Callable[[bytes], bytes]
PING = re.compile(rb"webhook_id=[0-9]{1,19}")
#: How WooCommerce begins every object: the id is there without reading the rest.
WOOCOMMERCE_ID = re.compile(rb'\{"id":([1-9][0-9]{0,18})[,}]')
TOPIC = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:/-]{0,119}")
NO_TOPIC = "the delivery names no topic"


class Said(NamedTuple):
    """What one delivery says about itself; `fault` is why it cannot be followed."""

    topic: str
    resource_id: str | None
    body: bytes
    fault: str | None = None


class Genuine(NamedTuple):
    """The sender is proven; one body may carry several deliveries."""

    said: tuple[Said, ...]


class Ping(NamedTuple):
    """A new webhook asks whether anybody is there; it cannot sign yet and tells nothing."""


class Refused(NamedTuple):
    """Nobody we know signed this."""

    reason: str


Verdict = Genuine | Ping | Refused


def _base64(made: bytes) -> bytes:
    return binascii.b2a_base64(made, newline=False)


UNSIGNED = Refused("no signature")
WRONG = Refused("wrong signature")
UNTIMED = Refused("no time stamp")
STALE = Refused("time stamp out of tolerance")


class Sender(Protocol):
    """One configured sender: how it proves itself."""

    @property
    def decides(self) -> tuple[bytes, ...]:
        """Headers that decide; given twice they are refused, because two readers may differ."""

    @property
    def keeps(self) -> tuple[bytes, ...]:
        """Headers kept with the delivery."""

    def judge(self, headers: Headers, body: bytes, now: datetime) -> Verdict:
        """Say whether the delivery is genuine, and what it says."""


def sender_of(name: str, endpoint: Endpoint) -> Sender:
    """The verifier of one endpoint, its keys made ready."""
    secrets = [secret.get_secret_value() for secret in endpoint.secrets]
    tolerance = endpoint.tolerance_seconds
    match endpoint.scheme:
        case "woocommerce":
            return WooCommerce(_plain(secrets))
        case "stripe":
            return Stripe(_plain(secrets), tolerance)
        case "adyen":
            return Adyen(_hexadecimal(name, secrets))
        case "easypost":
            normal = [unicodedata.normalize("NFKD", secret) for secret in secrets]
            return EasyPost(_plain(normal))
        case "shipbob":
            return ShipBob(_standard(name, secrets), tolerance)
        case "hmac":
            return generic(endpoint, _plain(secrets))


@dataclass(frozen=True)
class WooCommerce:
    """Base64 HMAC-SHA256 of the raw body; a new webhook's ping is a form and unsigned."""

    keys: tuple[bytes, ...]
    decides: tuple[bytes, ...] = (b"x-wc-webhook-signature", b"x-wc-webhook-topic")
    keeps: tuple[bytes, ...] = (
        b"x-wc-webhook-source",
        b"x-wc-webhook-topic",
        b"x-wc-webhook-resource",
        b"x-wc-webhook-event",
        b"x-wc-webhook-signature",
        b"x-wc-webhook-id",
        b"x-wc-webhook-delivery-id",
    )

    def judge(self, headers: Headers, body: bytes, now: datetime) -> Verdict:
        """Accept what one of the secrets signed; what it says is a hint, an error object too."""
        given = headers.get(b"x-wc-webhook-signature")
        if given is None:
            return Ping() if PING.fullmatch(body) else UNSIGNED
        if not _signed(self.keys, body, given):
            return WRONG
        topic = _text(headers, b"x-wc-webhook-topic")
        # A hint that names its thing is followed whatever its body says of it.
        if (found := WOOCOMMERCE_ID.match(body)) and body.endswith(b"}") and body.isascii():
            return _one(topic, found[1].decode(), body, None)
        value, fault = bodies.read(body)
        return _one(topic, bodies.number_of(bodies.member(value, "id")), body, fault)


@dataclass(frozen=True)
class Stripe:
    """`t=…,v1=…` over "t.body"; several v1 while the secret is changed."""

    keys: tuple[bytes, ...]
    tolerance_seconds: int
    decides: tuple[bytes, ...] = (b"stripe-signature",)
    keeps: tuple[bytes, ...] = (b"stripe-signature",)

    def judge(self, headers: Headers, body: bytes, now: datetime) -> Verdict:
        """Accept a fresh time stamp signed by one of the secrets."""
        given = headers.get(b"stripe-signature")
        if given is None:
            return UNSIGNED
        parts = [part.strip().partition(b"=") for part in given.split(b",")]
        stamps = [value for name, _, value in parts if name == b"t"]
        if len(stamps) != 1 or (at := _seconds(stamps[0])) is None:
            return UNTIMED
        signatures = [value for name, _, value in parts if name == b"v1"]
        if not _signed(self.keys, stamps[0] + b"." + body, *signatures, form=binascii.hexlify):
            return WRONG
        if not _fresh(at, now, self.tolerance_seconds):
            return STALE
        value, fault = bodies.read(body)
        thing = bodies.member(value, "data", "object", "id") or bodies.member(
            value, "related_object", "id"
        )
        return _one(bodies.member(value, "type"), bodies.id_of(thing), body, fault)


@dataclass(frozen=True)
class Adyen:
    """Each item carries its own signature; balance platform signs the body into a header."""

    keys: tuple[bytes, ...]
    decides: tuple[bytes, ...] = (b"hmacsignature",)
    keeps: tuple[bytes, ...] = (b"hmacsignature", b"protocol")

    def judge(self, headers: Headers, body: bytes, now: datetime) -> Verdict:
        """Accept all the items of a body, or none of them."""
        value, fault = bodies.read(body)
        given = headers.get(b"hmacsignature")
        if given is not None:
            if not _signed(self.keys, body, given):
                return WRONG
            thing = bodies.id_of(bodies.member(value, "data", "id"))
            return _one(bodies.member(value, "type"), thing, body, fault)
        return self._items(value, body)

    def _items(self, value: Any, body: bytes) -> Verdict:
        wrapped = bodies.member(value, "notificationItems")
        if not isinstance(wrapped, list) or not wrapped:
            return UNSIGNED
        items = [bodies.member(one, "NotificationRequestItem") for one in wrapped]
        for item in items:
            given = bodies.text_of(bodies.member(item, "additionalData", "hmacSignature"))
            if not given:
                return UNSIGNED
            if not _signed(self.keys, adyen_signs(item), given.encode("utf-8", "replace")):
                return WRONG
        if len(items) == 1:
            return Genuine((self._said(items[0], body),))
        alone = ({**value, "notificationItems": [one]} for one in wrapped)
        texts = [json.dumps(one, separators=(",", ":")).encode() for one in alone]
        return Genuine(tuple(map(self._said, items, texts)))

    @staticmethod
    def _said(item: Any, body: bytes) -> Said:
        thing = bodies.id_of(bodies.member(item, "pspReference"))
        return _told(bodies.member(item, "eventCode"), thing, body)


def adyen_signs(item: Any) -> bytes:
    """What Adyen signs of a notification item."""
    paths = (
        ("pspReference",),
        ("originalReference",),
        ("merchantAccountCode",),
        ("merchantReference",),
        ("amount", "value"),
        ("amount", "currency"),
        ("eventCode",),
        ("success",),
    )
    words = (_word(bodies.member(item, *path)) for path in paths)
    return ":".join(words).encode("utf-8", "replace")


def _word(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, str | int) else ""


@dataclass(frozen=True)
class EasyPost:
    """`hmac-sha256-hex=` over the raw body; the secret in its NFKD form."""

    keys: tuple[bytes, ...]
    decides: tuple[bytes, ...] = (b"x-hmac-signature",)
    keeps: tuple[bytes, ...] = (b"x-hmac-signature", b"x-webhook-user-id")

    def judge(self, headers: Headers, body: bytes, now: datetime) -> Verdict:
        """Accept what one of the secrets signed."""
        given = headers.get(b"x-hmac-signature")
        if given is None:
            return UNSIGNED
        bare = given.removeprefix(b"hmac-sha256-hex=")
        if not _signed(self.keys, body, bare, form=binascii.hexlify):
            return WRONG
        value, fault = bodies.read(body)
        thing = bodies.id_of(bodies.member(value, "result", "id"))
        return _one(bodies.member(value, "description"), thing, body, fault)


@dataclass(frozen=True)
class ShipBob:
    """Standard Webhooks: "id.timestamp.body", base64, several "v1," signatures."""

    keys: tuple[bytes, ...]
    tolerance_seconds: int
    decides: tuple[bytes, ...] = (
        b"webhook-id",
        b"webhook-timestamp",
        b"webhook-signature",
        b"x-webhook-topic",
    )
    keeps: tuple[bytes, ...] = decides

    def judge(self, headers: Headers, body: bytes, now: datetime) -> Verdict:
        """Accept a fresh time stamp signed by one of the secrets."""
        given, sender_id = headers.get(b"webhook-signature"), headers.get(b"webhook-id")
        stamp = headers.get(b"webhook-timestamp")
        if given is None or sender_id is None:
            return UNSIGNED
        if stamp is None or (at := _seconds(stamp)) is None:
            return UNTIMED
        signatures = [one[3:] for one in given.split() if one[:3] == b"v1,"]
        if not _signed(self.keys, b".".join((sender_id, stamp, body)), *signatures):
            return WRONG
        if not _fresh(at, now, self.tolerance_seconds):
            return STALE
        value, fault = bodies.read(body)
        topic = _text(headers, b"x-webhook-topic") or bodies.member(value, "topic")
        return _one(topic, bodies.id_of(bodies.member(value, "id")), body, fault)


@dataclass(frozen=True)
class Generic:
    """An HMAC-SHA256 of the raw body in a header of a configured name and form."""

    keys: tuple[bytes, ...]
    header: bytes
    topic_header: bytes
    prefix: bytes
    form: Form
    decides: tuple[bytes, ...] = field(default=())
    keeps: tuple[bytes, ...] = field(default=())

    def judge(self, headers: Headers, body: bytes, now: datetime) -> Verdict:
        """Accept what one of the secrets signed."""
        given = headers.get(self.header)
        if given is None or not given.startswith(self.prefix):
            return UNSIGNED
        if not _signed(self.keys, body, given[len(self.prefix) :], form=self.form):
            return WRONG
        value, fault = bodies.read(body)
        thing = bodies.id_of(bodies.member(value, "id"))
        return _one(_text(headers, self.topic_header), thing, body, fault)


def generic(endpoint: Endpoint, keys: tuple[bytes, ...]) -> Generic:
    """The verifier of a sender that says in the configuration how it signs."""
    header, topic = endpoint.header.lower().encode(), endpoint.topic_header.lower().encode()
    return Generic(
        keys,
        header,
        topic,
        endpoint.prefix.encode(),
        binascii.hexlify if endpoint.encoding == "hex" else _base64,
        decides=(header, topic),
        keeps=(header, topic),
    )


def _signed(keys: Iterable[bytes], message: bytes, *given: bytes, form: Form = _base64) -> bool:
    """Whether any key made any of the signatures; every pair is compared, in constant time."""
    found = False
    for key in keys:
        made = form(hmac.digest(key, message, "sha256"))
        for one in given:
            found |= hmac.compare_digest(made, one)
    return found


def _seconds(stamp: bytes) -> int | None:
    return int(stamp) if stamp.isdigit() and len(stamp) <= 12 else None


def _fresh(at: int, now: datetime, tolerance: int) -> bool:
    return abs(now.timestamp() - at) <= tolerance


def _text(headers: Headers, name: bytes) -> str:
    return headers.get(name, b"").decode("latin-1")


def _one(topic: object, thing: str | None, body: bytes, fault: str | None) -> Genuine:
    return Genuine((_told(topic, thing, body, fault),))


def _told(topic: object, thing: str | None, body: bytes, fault: str | None = None) -> Said:
    """What is said, with a topic that may be a word of ours, or why it cannot be followed."""
    if isinstance(topic, str) and _is_topic(topic):
        return Said(topic, thing, body, fault)
    return Said("", thing, body, fault or NO_TOPIC)


@lru_cache(maxsize=1024)
def _is_topic(word: str) -> bool:
    return TOPIC.fullmatch(word) is not None


def _plain(secrets: Sequence[str]) -> tuple[bytes, ...]:
    return tuple(secret.encode() for secret in secrets)


def _hexadecimal(name: str, secrets: Sequence[str]) -> tuple[bytes, ...]:
    try:
        return tuple(bytes.fromhex(secret) for secret in secrets)
    except ValueError as fault:
        raise SettingsError(f"webhooks.{name}.secrets: Adyen's HMAC key is hexadecimal") from fault


def _standard(name: str, secrets: Sequence[str]) -> tuple[bytes, ...]:
    try:
        return tuple(
            base64.b64decode(secret.removeprefix("whsec_"), validate=True)
            if secret.startswith("whsec_")
            else secret.encode()
            for secret in secrets
        )
    except binascii.Error as fault:
        raise SettingsError(
            f"webhooks.{name}.secrets: what follows whsec_ must be base64"
        ) from fault
