"""Ten thousand random requests: no fault of ours, nothing kept but what was signed."""

import logging
import random
from collections import Counter
from typing import Any

import pytest

from resources.store.postgres import Databases
from tests.receiving import EVENT, SECRET, US, Receiving, base64_of, configuration, run

REQUESTS = 10_000
SEED = 20260302
PERSON = b"ada.byron@example.com"
PATHS = [
    US,
    US,
    US,
    "/webhooks/stripe/pay",
    "/webhooks/adyen/bank",
    "/webhooks/easypost/post",
    "/webhooks/shipbob/depot",
    "/webhooks/hmac/other",
    "/webhooks/woocommerce/nobody",
    "/webhooks/woocommerce/..%2fus",
    "/webhooks//woocommerce/us",
    "/webhooks/%2e%2e/health",
    "/",
]
NAMES = [
    "x-wc-webhook-signature",
    "x-wc-webhook-topic",
    "x-wc-webhook-source",
    "stripe-signature",
    "hmacsignature",
    "x-hmac-signature",
    "webhook-id",
    "webhook-timestamp",
    "webhook-signature",
    "x-signature",
    "content-length",
    "content-encoding",
    "content-type",
    "transfer-encoding",
    "expect",
    "x-forwarded-for",
    "cookie",
    "authorization",
    "host",
]
PIECES = [
    b"",
    b"t=1,v1=00",
    b"v1,AAAA v1,",
    b"hmac-sha256-hex=zz",
    b"0",
    b"-1",
    b"99999999999999999999999",
    b"1e9",
    b"\xff\xfe",
    b"\x00",
    b"a" * 5000,
    b"application/json",
    b"gzip",
    b"chunked",
    b"100-continue",
    b"127.0.0.1, ::1, x",
    b"order.updated",
]
BODIES = [
    b"",
    b"{}",
    b"[]",
    b"null",
    b"webhook_id=1",
    b"webhook_id=1;",
    b'{"id":',
    b"[" * 5000,
    b'{"notificationItems":[{"NotificationRequestItem":{"additionalData":{"hmacSignature":"x"}}}]}',
    b'{"notificationItems":[[[]],{},null]}',
    b'{"id":"\\u0000","type":"\\ud800"}',
    b'{"id":' + b"9" * 4000 + b"}",
    EVENT,
    b'{"email":"' + PERSON + b'"}',
    b"\xef\xbb\xbf{}",
    b"\xff" * 64,
]


def random_bytes(dice: random.Random, most: int) -> bytes:
    return dice.randbytes(dice.randrange(most))


def random_body(dice: random.Random) -> bytes:
    body = dice.choice([dice.choice(BODIES), random_bytes(dice, 300), PERSON + b"x" * 5000])
    if body and dice.random() < 0.3:
        place = dice.randrange(len(body))
        body = body[:place] + random_bytes(dice, 4) + body[place + 1 :]
    return body


def random_headers(dice: random.Random) -> list[tuple[bytes, bytes]]:
    headers = [
        (
            dice.choice(NAMES).encode(),
            dice.choice([dice.choice(PIECES), random_bytes(dice, 40)]),
        )
        for _ in range(dice.randrange(6))
    ]
    if dice.random() < 0.7:
        headers.append((b"content-type", b"application/json"))
    return headers


def test_random_requests_find_no_fault_and_leave_nothing_unsigned(
    database: Databases, caplog: pytest.LogCaptureFixture
) -> None:
    dice = random.Random(SEED)
    config = configuration(
        us={"events_per_second": 1e6, "secrets": [SECRET, "second-secret"]},
        pay={"events_per_second": 1e6},
        receiver={"max_body_bytes": 4096, "trusted_proxies": ["203.0.113.0/24"]},
    )

    async def story(one: Receiving) -> None:
        described = (await one.client.get("/openapi.json")).json()["paths"]
        seen: Counter[int] = Counter()
        kept: list[bytes] = []
        for number in range(REQUESTS):
            path, body, headers = dice.choice(PATHS), random_body(dice), random_headers(dice)
            if number % 20 == 0:  # now and then a true one, whatever its body is
                secret = dice.choice([SECRET, "second-secret"])
                path, headers = (
                    US,
                    [
                        (b"x-wc-webhook-signature", base64_of(secret, body)),
                        (b"x-wc-webhook-topic", b"order.updated"),
                        (b"content-type", b"application/json"),
                    ],
                )
            method = "POST" if dice.random() < 0.95 else dice.choice(["GET", "PUT", "DELETE"])
            answer = await one.client.request(method, path, content=body, headers=headers)
            seen[answer.status_code] += 1
            if number % 20 == 0 and answer.status_code == 200:
                kept.append(body)
            if path in described:
                assert str(answer.status_code) in described[path]["post"]["responses"]
        assert max(seen) < 500
        assert {200, 400, 401, 404, 405, 413, 415, 429} >= set(seen) >= {200, 401, 404, 413, 415}
        rows = one.rows()
        assert [bytes(row["body"]) for row in rows] == kept
        assert len(kept) > REQUESTS / 20 / 2
        assert {row["signature"] for row in rows} == {"valid"}
        assert {row["state"] for row in rows} == {"waiting", "quarantined"}

    with caplog.at_level(logging.DEBUG):
        run(database, story, config)
    secrets: list[Any] = [SECRET, "second-secret", "whsec", "other-secret", PERSON.decode()]
    for word in secrets:
        assert word not in caplog.text
    assert len([record for record in caplog.records if record.name.startswith("sensors")]) < 100
