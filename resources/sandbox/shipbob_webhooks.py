"""How a ShipBob stand-in signs a delivery: Standard Webhooks, and the topic in a header."""

import hashlib
import hmac
from base64 import b64decode, b64encode
from datetime import datetime


def signed(secret: str, message: str, at: datetime, topic: str, body: bytes) -> dict[str, str]:
    """The headers of one delivery; the key is what follows `whsec_`, decoded."""
    stamp = str(int(at.timestamp()))
    key = b64decode(secret.removeprefix("whsec_"))
    made = hmac.new(key, f"{message}.{stamp}.".encode() + body, hashlib.sha256).digest()
    return {
        "content-type": "application/json",
        "webhook-id": message,
        "webhook-timestamp": stamp,
        "webhook-signature": f"v1,{b64encode(made).decode()}",
        "x-webhook-topic": topic,
    }
