"""Who sent it: every scheme's proof, and what a proven delivery says about itself."""

import base64
import json
import unicodedata
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from resources.settings import Endpoint, SettingsError
from sensors.webhooks.signatures import (
    NO_TOPIC,
    STALE,
    UNSIGNED,
    UNTIMED,
    WRONG,
    Genuine,
    Ping,
    Said,
    Sender,
    Verdict,
    sender_of,
)
from tests.receiving import ADYEN_KEY, EVENT, base64_of, hex_of, notice

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
STAMP = str(int(NOW.timestamp())).encode()


def sender(scheme: str, *secrets: str, **more: Any) -> Sender:
    return sender_of("one", Endpoint(scheme=scheme, secrets=secrets, **more))  # type: ignore[arg-type]


def samples(recordings: Path) -> list[dict[str, Any]]:
    """Recorded deliveries of a real shop, the ping left out."""
    found = json.loads((recordings / "woocommerce" / "webhook_samples.json").read_text())
    return [one for one in found if one["secret"] is not None]


def judged(sample: dict[str, Any], body: bytes, *secrets: str) -> Verdict:
    headers = {k.lower().encode(): v.encode() for k, v in sample["headers"].items()}
    return sender("woocommerce", *(secrets or (sample["secret"],))).judge(headers, body, NOW)


def test_every_recorded_delivery_of_a_real_shop_is_genuine(recordings: Path) -> None:
    found = samples(recordings)
    assert len(found) == 24
    for sample in found:
        body = base64.b64decode(sample["body_base64"])
        verdict = judged(sample, body)
        said = json.loads(body)
        number = str(said["id"]) if "id" in said else None
        topic = sample["headers"]["X-WC-Webhook-Topic"]
        assert verdict == Genuine((Said(topic, number, body),))


def test_no_bit_of_a_recorded_body_may_differ(recordings: Path) -> None:
    for sample in samples(recordings):
        body = bytearray(base64.b64decode(sample["body_base64"]))
        proof = sender("woocommerce", sample["secret"])
        headers = {k.lower().encode(): v.encode() for k, v in sample["headers"].items()}
        for place in range(len(body)):
            for bit in range(8) if len(body) < 200 else (place % 8,):
                body[place] ^= 1 << bit
                assert proof.judge(headers, bytes(body), NOW) is WRONG
                body[place] ^= 1 << bit
        assert isinstance(proof.judge(headers, bytes(body), NOW), Genuine)


def test_no_bit_of_a_recorded_signature_may_differ(recordings: Path) -> None:
    for sample in samples(recordings):
        body = base64.b64decode(sample["body_base64"])
        headers = {k.lower().encode(): v.encode() for k, v in sample["headers"].items()}
        given = bytearray(headers[b"x-wc-webhook-signature"])
        for place in range(len(given)):
            for bit in range(8):
                given[place] ^= 1 << bit
                flipped = {**headers, b"x-wc-webhook-signature": bytes(given)}
                assert sender("woocommerce", sample["secret"]).judge(flipped, body, NOW) is WRONG
                given[place] ^= 1 << bit


def test_the_recorded_ping_is_a_ping(recordings: Path) -> None:
    found = json.loads((recordings / "woocommerce" / "webhook_samples.json").read_text())
    (ping,) = [one for one in found if one["secret"] is None]
    assert judged(ping, base64.b64decode(ping["body_base64"]), "any") == Ping()


def woocommerce(body: bytes, secret: str = "new", topic: bytes = b"order.updated") -> Verdict:
    headers = {
        b"x-wc-webhook-signature": base64_of(secret, body),
        b"x-wc-webhook-topic": topic,
    }
    return sender("woocommerce", "new", "old").judge(headers, body, NOW)


def test_two_secrets_are_valid_while_one_replaces_the_other() -> None:
    body = b'{"id":7,"status":"processing"}'
    genuine = Genuine((Said("order.updated", "7", body),))
    assert woocommerce(body, "new") == genuine
    assert woocommerce(body, "old") == genuine
    assert woocommerce(body, "older") == WRONG


def test_only_an_unsigned_form_that_names_a_webhook_is_a_ping() -> None:
    shop = sender("woocommerce", "s")
    assert shop.judge({}, b"webhook_id=12", NOW) == Ping()
    for body in (b"webhook_id=", b"webhook_id=1&a=2", b"webhook_id=x", b"", b'{"id":1}'):
        assert shop.judge({}, body, NOW) == UNSIGNED
    headers = {b"x-wc-webhook-signature": b"AAAA"}
    assert shop.judge(headers, b"webhook_id=12", NOW) == WRONG


@pytest.mark.parametrize(
    ("body", "resource_id", "fault"),
    [
        (b'{"id":7}', "7", None),
        (b'{"name":"x","id":7}', "7", None),
        (b'{"id":7,"name":"\xc3\xa9"}', "7", None),
        (b'{"code":"woocommerce_rest_cannot_view","message":"Sorry"}', None, None),
        (b'{"action":"woocommerce_order_status_completed","arg":1846}', None, None),
        (b'{"id":0}', None, None),
        (b'{"id":-7}', None, None),
        (b'{"id":true}', None, None),
        (b'{"id":7.5}', None, None),
        (b'{"id":"7; drop table"}', None, None),
        (b'{"id":99999999999999999999}', None, None),
        (b'{"lone":"\\ud800","id":7}', "7", None),
        (b"[]", None, None),
        (b"null", None, None),
        (b"", None, "the body is not JSON"),
        (b'{"id":7', None, "the body is not JSON"),
        (b'{"id":NaN}', None, "the body is not JSON"),
        (b"<html>", None, "the body is not JSON"),
        (b'{"name":"\xff","id":7}', None, "the body is not UTF-8"),
        (b"[" * 100_000, None, "the body is nested too deeply"),
    ],
)
def test_the_thing_is_named_by_a_whole_positive_number_or_not_at_all(
    body: bytes, resource_id: str | None, fault: str | None
) -> None:
    assert woocommerce(body) == Genuine((Said("order.updated", resource_id, body, fault),))


@pytest.mark.parametrize("topic", [b"", b"a b", b"order\n", b"\xff", b"x" * 121, b"';--"])
def test_a_delivery_without_a_usable_topic_is_kept_with_the_reason(topic: bytes) -> None:
    body = b'{"id":7}'
    assert woocommerce(body, topic=topic) == Genuine((Said("", "7", body, NO_TOPIC),))


def stripe(body: bytes, header: bytes, now: datetime = NOW) -> Verdict:
    proof = sender("stripe", "whsec_new", "whsec_old", tolerance_seconds=300)
    return proof.judge({b"stripe-signature": header}, body, now)


def test_stripe_signs_its_time_stamp_with_the_body() -> None:
    good = hex_of("whsec_new", STAMP + b"." + EVENT)
    old = hex_of("whsec_old", STAMP + b"." + EVENT)
    other = hex_of("whsec_other", STAMP + b"." + EVENT)
    genuine = Genuine((Said("charge.refunded", "ch_1", EVENT),))
    assert stripe(EVENT, b"t=" + STAMP + b",v1=" + good) == genuine
    assert stripe(EVENT, b"t=" + STAMP + b",v1=" + old + b",v0=abc") == genuine
    assert stripe(EVENT, b"t=" + STAMP + b",v1=" + other + b",v1=" + good) == genuine
    assert stripe(EVENT, b"t=" + STAMP + b",v1=" + other) == WRONG
    assert stripe(EVENT, b"t=" + STAMP + b",v0=" + good) == WRONG
    assert stripe(EVENT, b"t=" + str(int(STAMP) + 1).encode() + b",v1=" + good) == WRONG
    assert stripe(EVENT + b" ", b"t=" + STAMP + b",v1=" + good) == WRONG


def test_stripe_is_believed_within_the_tolerance_only() -> None:
    header = b"t=" + STAMP + b",v1=" + hex_of("whsec_new", STAMP + b"." + EVENT)
    for seconds in (-300, 0, 300):
        assert isinstance(stripe(EVENT, header, NOW + timedelta(seconds=seconds)), Genuine)
    for seconds in (-301, 301):
        assert stripe(EVENT, header, NOW + timedelta(seconds=seconds)) == STALE


def test_stripe_without_a_usable_time_stamp_is_refused() -> None:
    good = hex_of("whsec_new", STAMP + b"." + EVENT)
    for stamp in (b"", b"t=", b"t=x,", b"t=-1,", b"t=1,t=2,", b"t=" + b"9" * 40 + b","):
        assert stripe(EVENT, stamp + b"v1=" + good) == UNTIMED
    assert sender("stripe", "s").judge({}, EVENT, NOW) == UNSIGNED


def test_a_thin_event_names_what_it_is_about() -> None:
    body = b'{"type":"v2.core.account.updated","related_object":{"id":"acct_1"}}'
    header = b"t=" + STAMP + b",v1=" + hex_of("whsec_new", STAMP + b"." + body)
    assert stripe(body, header) == Genuine((Said("v2.core.account.updated", "acct_1", body),))


def adyen(*items: dict[str, Any]) -> Verdict:
    body = json.dumps({"live": "false", "notificationItems": list(items)}).encode()
    return sender("adyen", ADYEN_KEY).judge({}, body, NOW)


def test_adyen_signs_every_item_by_itself() -> None:
    body = json.dumps({"live": "false", "notificationItems": [notice()]}).encode()
    assert adyen(notice()) == Genuine((Said("AUTHORISATION", "7914073381342284", body),))


def test_each_item_of_adyen_becomes_a_delivery_of_its_own() -> None:
    second = notice(pspReference="1", originalReference="7914073381342284", eventCode="REFUND")
    signs = b"1:7914073381342284:TestMerchant:TestPayment-1407325143704:1130:EUR:REFUND:true"
    item = second["NotificationRequestItem"]
    item["additionalData"] = {
        "hmacSignature": base64_of(bytes.fromhex(ADYEN_KEY), signs).decode(),
        "note": "é",
    }
    verdict = adyen(notice(), second)
    assert isinstance(verdict, Genuine)
    assert [(one.topic, one.resource_id) for one in verdict.said] == [
        ("AUTHORISATION", "7914073381342284"),
        ("REFUND", "1"),
    ]
    assert [json.loads(one.body) for one in verdict.said] == [
        {"live": "false", "notificationItems": [notice()]},
        {"live": "false", "notificationItems": [second]},
    ]


def test_one_wrong_item_of_adyen_refuses_them_all() -> None:
    assert adyen(notice(), notice(success="false")) == WRONG
    assert adyen(notice(), notice(amount={"value": 1131, "currency": "EUR"})) == WRONG
    assert adyen(notice(), notice(additionalData={})) == UNSIGNED
    assert adyen() == UNSIGNED
    assert adyen({"NotificationRequestItem": None}) == UNSIGNED


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b'{"notificationItems":{}}', b"\xff"])
def test_a_body_of_adyen_without_items_is_refused(body: bytes) -> None:
    assert sender("adyen", ADYEN_KEY).judge({}, body, NOW) == UNSIGNED


def test_adyens_balance_platform_signs_the_whole_body() -> None:
    body = b'{"type":"balancePlatform.report.created","data":{"id":"R1"}}'
    header = base64_of(bytes.fromhex(ADYEN_KEY), body)
    proof = sender("adyen", ADYEN_KEY)
    genuine = Genuine((Said("balancePlatform.report.created", "R1", body),))
    assert proof.judge({b"hmacsignature": header}, body, NOW) == genuine
    assert proof.judge({b"hmacsignature": header}, body + b" ", NOW) == WRONG


def test_easypost_signs_with_the_compatible_form_of_its_secret() -> None:
    secret = "ﬁne sécret"  # one letter that is two, and one that is composed
    body = b'{"id":"evt_1","description":"tracker.updated","result":{"id":"trk_1"}}'
    header = b"hmac-sha256-hex=" + hex_of(unicodedata.normalize("NFKD", secret), body)
    genuine = Genuine((Said("tracker.updated", "trk_1", body),))
    proof = sender("easypost", secret)
    assert proof.judge({b"x-hmac-signature": header}, body, NOW) == genuine
    plain = b"hmac-sha256-hex=" + hex_of(secret, body)
    assert proof.judge({b"x-hmac-signature": plain}, body, NOW) == WRONG
    assert proof.judge({}, body, NOW) == UNSIGNED


def test_shipbob_follows_the_standard_with_its_own_example() -> None:
    moment = datetime.fromtimestamp(1614265330, UTC)
    body = b'{"test": 2432232314}'
    headers = {
        b"webhook-id": b"msg_p5jXN8AQM9LWM0D4loKWxJek",
        b"webhook-timestamp": b"1614265330",
        b"webhook-signature": b"v1,AAAA v1a,BBBB v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
        b"x-webhook-topic": b"order.shipped",
    }
    proof = sender("shipbob", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    assert proof.judge(headers, body, moment) == Genuine((Said("order.shipped", None, body),))
    assert proof.judge(headers, body, moment + timedelta(seconds=301)) == STALE
    assert proof.judge({**headers, b"webhook-id": b"msg_2"}, body, moment) == WRONG
    assert proof.judge({**headers, b"webhook-timestamp": b"soon"}, body, moment) == UNTIMED
    without = {k: v for k, v in headers.items() if k != b"webhook-signature"}
    assert proof.judge(without, body, moment) == UNSIGNED


def test_shipbobs_secret_may_be_plain_text() -> None:
    body = b'{"id":55,"topic":"order.shipped"}'
    signature = b"v1," + base64_of("plain", b"m1." + STAMP + b"." + body)
    headers = {
        b"webhook-id": b"m1",
        b"webhook-timestamp": STAMP,
        b"webhook-signature": signature,
    }
    assert sender("shipbob", "plain").judge(headers, body, NOW) == Genuine(
        (Said("order.shipped", "55", body),)
    )


@pytest.mark.parametrize("encoding", ["hex", "base64"])
def test_a_generic_sender_says_how_it_signs(encoding: str) -> None:
    body = b'{"id":"A-1"}'
    made = hex_of("s", body) if encoding == "hex" else base64_of("s", body)
    proof = sender(
        "hmac", "s", header="X-Sig", encoding=encoding, prefix="sha256=", topic_header="X-Kind"
    )
    headers = {b"x-sig": b"sha256=" + made, b"x-kind": b"stock.changed"}
    assert proof.judge(headers, body, NOW) == Genuine((Said("stock.changed", "A-1", body),))
    assert proof.judge({**headers, b"x-sig": made}, body, NOW) == UNSIGNED
    assert proof.judge({**headers, b"x-sig": b"sha256=" + made[:-1]}, body, NOW) == WRONG
    assert proof.judge({b"x-kind": b"stock.changed"}, body, NOW) == UNSIGNED
    assert proof.decides == (b"x-sig", b"x-kind")


def test_a_key_that_cannot_be_one_is_told_by_its_place_and_not_by_its_value() -> None:
    for scheme, secret in (("adyen", "not hex: s3cret"), ("shipbob", "whsec_s3cret!")):
        with pytest.raises(SettingsError, match=r"webhooks\.one\.secrets") as told:
            sender(scheme, secret)
        assert "s3cret" not in str(told.value)
