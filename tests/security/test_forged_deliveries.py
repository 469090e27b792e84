"""What nobody signed: refused, not kept, and told in the log without a word of it."""

import logging
from typing import Any

import pytest

from resources.store.postgres import Databases
from tests.receiving import EVENT, SECRET, US, Receiving, at, configuration, hex_of, run, signed
from tests.worlds import START

BODY = b'{"id":7,"billing":{"email":"ada@example.com","phone":"555-0177"}}'


@pytest.mark.parametrize(
    "headers",
    [
        {"X-WC-Webhook-Signature": ""},
        {"X-WC-Webhook-Signature": "AAAA"},
        {"X-WC-Webhook-Signature": signed(BODY, "another")["X-WC-Webhook-Signature"]},
        {"X-WC-Webhook-Signature": signed(BODY + b" ")["X-WC-Webhook-Signature"]},
        {"X-WC-Webhook-Signature": signed(BODY)["X-WC-Webhook-Signature"].rstrip("=")},
        {"X-WC-Webhook-Signature": signed(BODY)["X-WC-Webhook-Signature"] + "=="},
        {"X-WC-Webhook-Signature": " " + signed(BODY)["X-WC-Webhook-Signature"].lower()},
        {"X-WC-Webhook-Signature": "\u00ff" * 44},
        {"X-WC-Webhook-Signature": "A" * 60_000},
    ],
)
def test_a_wrong_signature_is_refused_and_nothing_is_kept(
    database: Databases, headers: dict[str, str]
) -> None:
    async def story(one: Receiving) -> None:
        given = {name: value.encode("latin-1") for name, value in headers.items()}
        answer = await one.post(US, BODY, signed(BODY) | given)
        assert (answer.status_code, answer.json()) == (
            401,
            {"error": "Not taken: wrong signature."},
        )
        assert one.rows() == []
        assert one.count("unauthorized") == 1

    run(database, story)


def test_no_signature_is_refused_too(database: Databases) -> None:
    async def story(one: Receiving) -> None:
        assert (await one.post(US, BODY)).status_code == 401
        assert (await one.post("/webhooks/hmac/other", BODY)).status_code == 401
        assert (await one.post("/webhooks/adyen/bank", BODY)).status_code == 401
        assert one.rows() == []

    run(database, story)


def test_a_delivery_signed_for_one_store_is_no_delivery_of_another(database: Databases) -> None:
    config = configuration(us={"secrets": ["of-us"]})

    async def story(one: Receiving) -> None:
        assert (await one.shop(BODY, secret=SECRET)).status_code == 401
        assert one.rows() == []

    run(database, story, config)


def test_a_replayed_delivery_is_one_more_hint_and_an_old_stamped_one_is_refused(
    database: Databases,
) -> None:
    stamp = at(START).encode()
    stripe = {
        "stripe-signature": b"t=" + stamp + b",v1=" + hex_of("whsec_stripe", stamp + b"." + EVENT)
    }

    async def story(one: Receiving) -> None:
        for _ in range(2):
            assert (await one.shop(BODY)).status_code == 200
            assert (await one.post("/webhooks/stripe/pay", EVENT, stripe)).status_code == 200
        one.clock.forward(days=1)
        assert (await one.shop(BODY)).status_code == 200
        assert (await one.post("/webhooks/stripe/pay", EVENT, stripe)).status_code == 401
        assert [row["store"] for row in one.rows()] == ["us", "pay", "us", "pay", "us"]

    run(database, story)


@pytest.mark.parametrize(
    "name", ["X-WC-Webhook-Signature", "X-WC-Webhook-Topic", "Content-Type", "Content-Length"]
)
def test_a_header_that_decides_must_not_come_twice(database: Databases, name: str) -> None:
    async def story(one: Receiving) -> None:
        given = {**signed(BODY), "Content-Type": "application/json"}
        given["Content-Length"] = str(len(BODY))
        twice = [*given.items(), (name.lower(), given[name])]
        answer = await one.client.post(US, content=BODY, headers=twice)
        assert answer.status_code == 400
        assert answer.json() == {"error": f"The header {name.lower()} is given twice."}
        assert one.rows() == []

    run(database, story)


def test_headers_that_do_not_decide_may_come_twice(database: Databases) -> None:
    async def story(one: Receiving) -> None:
        given = [*signed(BODY).items(), ("content-type", "application/json")]
        doubled = [*given, ("via", "a"), ("via", "b"), ("cookie", "x=1"), ("cookie", "y=2")]
        answer = await one.client.post(US, content=BODY, headers=doubled)
        assert answer.status_code == 200
        many = [*given, *[(f"x-{n}", "1") for n in range(101)], ("x-1", "2")]
        assert (await one.client.post(US, content=BODY, headers=many)).status_code == 431
        assert len(one.rows()) == 1

    run(database, story)


def test_odd_header_values_are_kept_as_they_are_or_not_at_all(database: Databases) -> None:
    async def story(one: Receiving) -> None:
        odd: dict[str, Any] = {
            "x-wc-webhook-source": b"https://\xff\xfe.test/",
            "x-wc-webhook-id": b"9" * 5000,
            "x-wc-webhook-resource": b"\\u0000\"'",
        }
        answer = await one.post(US, BODY, signed(BODY) | odd)
        assert answer.status_code == 200
        (row,) = one.rows()
        assert row["headers"]["x-wc-webhook-source"] == "https://\u00ff\u00fe.test/"
        assert row["headers"]["x-wc-webhook-resource"] == "\\u0000\"'"
        assert "x-wc-webhook-id" not in row["headers"]

    run(database, story)


def test_a_refusal_is_told_once_a_minute_without_body_header_or_secret(
    database: Databases, caplog: pytest.LogCaptureFixture
) -> None:
    async def story(one: Receiving) -> None:
        with caplog.at_level(logging.DEBUG):
            for _ in range(5):
                await one.shop(BODY, secret="forged", cookie="session=1234")
            one.clock.forward(minutes=1)
            await one.shop(BODY, secret="forged")
        told = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
        assert told == [
            f"webhook refused: endpoint {US}, client 203.0.113.7, wrong signature ({n} more like "
            "it before)"
            for n in (0, 4)
        ]
        assert one.count("unauthorized") == 6
        for word in ("ada@", "555-0177", SECRET, "forged", "session"):
            assert word not in caplog.text

    run(database, story)
