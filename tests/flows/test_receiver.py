"""The receiver as senders meet it: what is kept, what is answered, what is refused."""

import base64
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from resources import settings
from resources.store.postgres import Databases
from tests.receiving import (
    EVENT,
    US,
    Receiving,
    at,
    base64_of,
    configuration,
    hex_of,
    notice,
    run,
    signed,
)
from tests.worlds import START

ORDER = b'{"id":7,"status":"processing","billing":{"email":"ada@example.com"}}'


def test_every_recorded_delivery_is_kept_byte_for_byte(
    database: Databases, recordings: Path
) -> None:
    found = json.loads((recordings / "woocommerce" / "webhook_samples.json").read_text())
    secrets = sorted({one["secret"] for one in found if one["secret"]})
    samples = [one for one in found if one["secret"]]
    stores = {
        f"shop{n}": {"scheme": "woocommerce", "secrets": [secret]}
        for n, secret in enumerate(secrets)
    }

    async def story(one: Receiving) -> None:
        for sample in samples:
            body, name = base64.b64decode(sample["body_base64"]), secrets.index(sample["secret"])
            path = f"/webhooks/woocommerce/shop{name}"
            headers = {**sample["headers"], "Connection": "close"}
            assert (await one.post(path, body, headers)).status_code == 200
        rows = one.rows()
        assert [bytes(row["body"]) for row in rows] == [
            base64.b64decode(sample["body_base64"]) for sample in samples
        ]
        for row, sample in zip(rows, samples, strict=True):
            given = sample["headers"]
            assert (row["source"], row["signature"], row["state"]) == (
                "woocommerce",
                "valid",
                "waiting",
            )
            assert row["topic"] == given["X-WC-Webhook-Topic"]
            assert row["headers"] == {
                name.lower(): value for name, value in given.items() if name.startswith("X-WC-")
            }
            number = json.loads(bytes(row["body"])).get("id")
            assert row["resource_id"] == (str(number) if number else None)

    assert len(samples) == 24
    run(database, story, settings.parse({"webhooks": stores}))


def test_a_ping_is_answered_200_and_counted_but_not_kept(database: Databases) -> None:
    async def story(one: Receiving) -> None:
        form = {"content-type": "application/x-www-form-urlencoded"}
        answer = await one.post(US, b"webhook_id=6", form)
        assert (answer.status_code, answer.content) == (200, b"")
        assert one.count("ping") == 1
        assert one.rows() == []

    run(database, story)


def test_the_answer_comes_after_the_commit_and_names_the_row(database: Databases) -> None:
    async def story(one: Receiving) -> None:
        answer = await one.shop(ORDER)
        (row,) = one.rows()
        assert answer.status_code == 200
        assert answer.headers["x-correlation-id"] == row["correlation_id"]
        assert (row["source"], row["store"], row["topic"]) == ("woocommerce", "us", "order.updated")
        assert (row["resource_id"], bytes(row["body"])) == ("7", ORDER)
        assert (row["received_at"], row["due_at"], row["attempts"]) == (START, START, 0)
        assert one.commits == [1]
        assert one.count("kept") == 1

    run(database, story)


def test_cookies_and_credentials_are_not_kept(database: Databases) -> None:
    async def story(one: Receiving) -> None:
        await one.shop(ORDER, cookie="a=b", authorization="Basic c2VjcmV0", other="x")
        (row,) = one.rows()
        assert set(row["headers"]) == {name.lower() for name in signed(ORDER)}

    run(database, story)


def test_a_delivery_that_comes_again_is_kept_again(database: Databases) -> None:
    async def story(one: Receiving) -> None:
        for _ in range(2):
            assert (await one.shop(ORDER)).status_code == 200
        first, second = one.rows()
        assert first["correlation_id"] != second["correlation_id"]
        assert first["headers"] == second["headers"]  # the delivery id is no key

    run(database, story)


def test_both_secrets_are_taken_while_one_replaces_the_other(database: Databases) -> None:
    async def story(one: Receiving) -> None:
        assert (await one.shop(ORDER, secret="new")).status_code == 200
        assert (await one.shop(ORDER, secret="old")).status_code == 200
        assert (await one.shop(ORDER, secret="older")).status_code == 401
        assert len(one.rows()) == 2

    run(database, story, configuration(us={"secrets": ["new", "old"]}))


def test_what_cannot_be_read_is_set_aside_under_its_valid_signature(database: Databases) -> None:
    async def story(one: Receiving) -> None:
        for body in (b"\xff\x00", b"<html>", b""):
            assert (await one.shop(body)).status_code == 200
        rows = one.rows()
        assert [(row["state"], row["outcome"]) for row in rows] == [
            ("quarantined", "the body is not UTF-8"),
            ("quarantined", "the body is not JSON"),
            ("quarantined", "the body is not JSON"),
        ]
        assert [bytes(row["body"]) for row in rows] == [b"\xff\x00", b"<html>", b""]
        assert {row["settled_at"] for row in rows} == {START}
        assert one.count("quarantined") == 3

    run(database, story)


def test_every_item_of_one_body_is_a_delivery_and_all_share_its_fate(database: Databases) -> None:
    path = "/webhooks/adyen/bank"

    async def story(one: Receiving) -> None:
        body = json.dumps({"live": "true", "notificationItems": [notice(), notice()]}).encode()
        answer = await one.post(path, body)
        assert (answer.status_code, answer.content) == (200, b"[accepted]")
        rows = one.rows()
        assert [row["resource_id"] for row in rows] == ["7914073381342284"] * 2
        assert {row["correlation_id"] for row in rows} == {answer.headers["x-correlation-id"]}
        forged = {"live": "true", "notificationItems": [notice(), notice(success="false")]}
        assert (await one.post(path, json.dumps(forged).encode())).status_code == 401
        assert len(one.rows()) == 2
        assert one.commits == [2]

    run(database, story)


def test_every_scheme_has_its_endpoint(database: Databases) -> None:
    stamp = at(START).encode()
    key = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    stripe = b"t=" + stamp + b",v1=" + hex_of("whsec_stripe", stamp + b"." + EVENT)
    box = b'{"id":55}'
    standard = b"v1," + base64_of(key, b"m1." + stamp + b"." + box)
    parcel = b'{"description":"tracker.updated","result":{"id":"trk_1"}}'
    deliveries: list[tuple[str, bytes, dict[str, Any]]] = [
        ("stripe/pay", EVENT, {"stripe-signature": stripe}),
        (
            "shipbob/depot",
            box,
            {
                "webhook-id": "m1",
                "webhook-timestamp": stamp,
                "webhook-signature": standard,
                "x-webhook-topic": "order.shipped",
            },
        ),
        (
            "easypost/post",
            parcel,
            {"x-hmac-signature": b"hmac-sha256-hex=" + hex_of("se\u0301cret", parcel)},
        ),
        (
            "hmac/other",
            box,
            {"x-signature": hex_of("other-secret", box), "x-topic": "stock.changed"},
        ),
    ]

    async def story(one: Receiving) -> None:
        for path, body, headers in deliveries:
            answer = await one.post(f"/webhooks/{path}", body, headers)
            assert (path, answer.status_code) == (path, 200)
        told = [
            (row["source"], row["store"], row["topic"], row["resource_id"]) for row in one.rows()
        ]
        assert told == [
            ("stripe", "pay", "charge.refunded", "ch_1"),
            ("shipbob", "depot", "order.shipped", "55"),
            ("easypost", "post", "tracker.updated", "trk_1"),
            ("hmac", "other", "stock.changed", "55"),
        ]
        one.clock.forward(minutes=6)
        path, body, headers = deliveries[0]
        late = await one.post(f"/webhooks/{path}", body, headers)
        assert (late.status_code, late.json()) == (
            401,
            {"error": "Not taken: time stamp out of tolerance."},
        )
        assert len(one.rows()) == 4

    run(database, story)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", US, 405),
        ("PUT", US, 405),
        ("HEAD", US, 405),
        ("POST", "/", 404),
        ("POST", "/webhooks/woocommerce/nobody", 404),
        ("POST", "/webhooks/stripe/us", 404),
        ("POST", f"{US}/", 404),
        ("POST", "/health", 405),
        ("GET", "/nothing", 404),
    ],
)
def test_only_the_endpoints_given_out_take_deliveries(
    database: Databases, method: str, path: str, status: int
) -> None:
    async def story(one: Receiving) -> None:
        headers = {**signed(ORDER), "content-type": "application/json"}
        answer = await one.client.request(method, path, content=ORDER, headers=headers)
        assert answer.status_code == status
        assert one.rows() == []

    run(database, story)


@pytest.mark.parametrize(
    "headers",
    [
        {"content-type": "text/plain"},
        {"content-type": ""},
        {"content-type": "application/x-www-form-urlencoded"},
        {"content-type": "multipart/form-data; boundary=x"},
        {"content-encoding": "gzip"},
    ],
)
def test_only_plain_json_is_taken(database: Databases, headers: dict[str, str]) -> None:
    async def story(one: Receiving) -> None:
        assert (await one.shop(ORDER, **headers)).status_code == 415
        assert one.rows() == []

    run(database, story)


@pytest.mark.parametrize("media", ["Application/JSON; charset=utf-8", "application/foo+json"])
def test_json_may_be_spelled_in_its_other_ways(database: Databases, media: str) -> None:
    async def story(one: Receiving) -> None:
        assert (await one.shop(ORDER, **{"content-type": media})).status_code == 200

    run(database, story)


def test_a_body_beyond_the_limit_is_refused_however_it_comes(database: Databases) -> None:
    big = b"[" + b" " * 2048 + b"]"

    async def story(one: Receiving) -> None:
        async def parts() -> Any:
            for start in range(0, len(big), 100):
                yield big[start : start + 100]

        assert (await one.shop(big)).status_code == 413
        headers = {**signed(big), "content-type": "application/json"}
        answer = await one.client.post(US, content=parts(), headers=headers)
        assert answer.status_code == 413
        assert (await one.shop(b"[]", **{"content-length": "9" * 40})).status_code == 413
        assert (await one.shop(b"[]", **{"content-length": "-1"})).status_code == 400
        assert one.count("too_large") == 3
        assert one.rows() == []

    run(database, story, configuration(receiver={"max_body_bytes": 2048}))


def test_deliveries_come_from_listed_addresses_only(database: Databases) -> None:
    config = configuration(
        us={"allow_from": ["198.51.100.0/24"]}, receiver={"trusted_proxies": ["203.0.113.0/24"]}
    )

    async def story(one: Receiving) -> None:
        forwarded = "x-forwarded-for"
        assert (await one.shop(ORDER)).status_code == 403
        assert (await one.shop(ORDER, **{forwarded: "198.51.100.9, 192.0.2.1"})).status_code == 403
        assert (await one.shop(ORDER, **{forwarded: "198.51.100.9 x"})).status_code == 403
        assert one.rows() == []
        assert (await one.shop(ORDER, **{forwarded: "192.0.2.1, 198.51.100.9"})).status_code == 200
        assert len(one.rows()) == 1

    run(database, story, config)


def test_an_address_is_not_believed_from_who_is_no_proxy(database: Databases) -> None:
    async def story(one: Receiving) -> None:
        answer = await one.shop(ORDER, **{"x-forwarded-for": "198.51.100.9"})
        assert answer.status_code == 403
        assert one.rows() == []

    run(database, story, configuration(us={"allow_from": ["198.51.100.0/24"]}))


def test_a_sender_that_says_too_much_is_told_when_to_come_again(database: Databases) -> None:
    async def story(one: Receiving) -> None:
        answers = [await one.shop(ORDER) for _ in range(3)]
        assert [answer.status_code for answer in answers] == [200, 200, 429]
        assert answers[-1].headers["retry-after"] == "1"
        assert len(one.rows()) == 2
        one.clock.forward(seconds=1)
        assert (await one.shop(ORDER)).status_code == 200

    run(database, story, configuration(us={"events_per_second": 2}))


def test_forgers_and_pings_do_not_use_up_what_the_sender_may_say(database: Databases) -> None:
    config = configuration(
        us={"events_per_second": 2}, receiver={"trusted_proxies": ["203.0.113.0/24"]}
    )

    async def story(one: Receiving) -> None:
        forger, shop = {"x-forwarded-for": "192.0.2.1"}, {"x-forwarded-for": "198.51.100.9"}
        refused = [await one.shop(ORDER, secret="x", **forger) for _ in range(3)]
        assert [answer.status_code for answer in refused] == [401, 401, 429]
        assert (await one.shop(ORDER, **shop)).status_code == 200
        assert (await one.shop(ORDER, **shop)).status_code == 200

    run(database, story, config)


def test_health_readiness_and_metrics_are_told(database: Databases) -> None:
    async def story(one: Receiving) -> None:
        assert (await one.client.get("/health")).json() == {"alive": True, "endpoints": 6}
        assert (await one.client.get("/ready")).json() == {"ready": True}
        await one.shop(ORDER)
        await one.shop(ORDER, secret="x")
        text = (await one.client.get("/metrics")).text
        label = 'source="woocommerce",store="us"'
        assert f'sync_webhooks_received_total{{outcome="kept",{label}}} 1.0' in text
        assert f'sync_webhooks_received_total{{outcome="unauthorized",{label}}} 1.0' in text
        assert f"sync_webhooks_seconds_count{{{label}}} 1.0" in text
        assert "sync_webhooks_batch_rows_sum 1.0" in text
        assert "sync_webhooks_queue_rows 0.0" in text

    run(database, story)


def test_the_description_names_every_endpoint_and_no_secret(database: Databases) -> None:
    async def story(one: Receiving) -> None:
        answer = await one.client.get("/openapi.json")
        described = answer.json()
        posts = {path: one["post"] for path, one in described["paths"].items() if "post" in one}
        assert sorted(posts) == [
            "/webhooks/adyen/bank",
            "/webhooks/easypost/post",
            "/webhooks/hmac/other",
            "/webhooks/shipbob/depot",
            "/webhooks/stripe/pay",
            US,
        ]
        headers = {one["name"]: one["required"] for one in posts[US]["parameters"]}
        assert headers == {"X-WC-Webhook-Signature": False, "X-WC-Webhook-Topic": True}
        assert {"200", "401", "413", "429", "503"} <= set(posts[US]["responses"])
        assert described["servers"] == [{"url": "https://hooks.example.com"}]
        for secret in ("s3cret", "whsec", "other-secret", "44782DEF"):
            assert secret not in answer.text

    run(database, story, configuration(receiver={"public_url": "https://hooks.example.com"}))


def test_time_stamps_ahead_of_us_are_taken_within_the_tolerance(database: Databases) -> None:
    async def story(one: Receiving) -> None:
        for seconds, status in ((30, 200), (31, 401)):
            stamp = at(START + timedelta(seconds=seconds)).encode()
            made = b"t=" + stamp + b",v1=" + hex_of("whsec_stripe", stamp + b"." + EVENT)
            answer = await one.post("/webhooks/stripe/pay", EVENT, {"stripe-signature": made})
            assert answer.status_code == status
        assert len(one.rows()) == 1

    run(database, story, configuration(pay={"tolerance_seconds": 30}))
