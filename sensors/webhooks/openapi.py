"""The receiver's endpoints in OpenAPI words: what each wants to be given and what it answers."""

from typing import Any

from resources.settings import Endpoint, Settings

TITLE = "Webhook receiver"
SIGNED = {
    "woocommerce": ("X-WC-Webhook-Signature", "Base64 HMAC-SHA256 of the raw body."),
    "stripe": ("Stripe-Signature", "t=<seconds>,v1=<hex HMAC-SHA256 of 't.body'>."),
    "easypost": ("X-Hmac-Signature", "hmac-sha256-hex=<hex HMAC-SHA256 of the raw body>."),
    "shipbob": ("webhook-signature", "v1,<base64 HMAC-SHA256 of 'id.timestamp.body'>."),
}
#: Beside the signature, by scheme: header, whether it must be there, what it is.
FURTHER = {
    "woocommerce": [("X-WC-Webhook-Topic", True, "What happened, as order.updated.")],
    "shipbob": [
        ("webhook-id", True, "The sender's id of the message."),
        ("webhook-timestamp", True, "When it was signed, in seconds since 1970."),
        ("x-webhook-topic", False, "What happened; else the body's member `topic`."),
    ],
    "adyen": [
        ("hmacsignature", False, "Of balance platform: base64 HMAC-SHA256 of the raw body. Other "
         "bodies carry additionalData.hmacSignature in every item.")
    ],
}  # fmt: skip
ANSWERS = {
    "200": "It is on disk. Of a WooCommerce ping: somebody is here; nothing is kept.",
    "400": "A header that decides is given twice or makes no sense.",
    "401": "Nobody we know signed this.",
    "403": "The sender's address is not on the endpoint's list.",
    "405": "Only POST is taken.",
    "408": "The body did not come in time.",
    "413": "The body is too large.",
    "415": "The body is neither JSON nor a WooCommerce ping, or it is compressed.",
    "422": "The database cannot hold it in any form.",
    "429": "Too many deliveries; Retry-After says when to come again.",
    "431": "There are too many headers.",
    "503": "It cannot be kept now; Retry-After says when to come again.",
}
RETRY = {"Retry-After": {"schema": {"type": "integer"}, "description": "Seconds to wait."}}
CORRELATION = {
    "X-Correlation-ID": {"schema": {"type": "string"}, "description": "Finds it in the inbox."}
}


def describe(config: Settings, paths: list[str]) -> dict[str, Any]:
    """The description of every configured endpoint; no secret and no network is in it."""
    described = {
        path: {"post": _operation(name, endpoint, config.receiver.max_body_bytes)}
        for path, (name, endpoint) in zip(paths, config.endpoints().items(), strict=True)
    }
    public = config.receiver.public_url
    return {
        "openapi": "3.1.0",
        "info": {"title": TITLE, "version": "1", "description": __doc__},
        **({"servers": [{"url": public}]} if public else {}),
        "paths": {**described, **_own()},
    }


def _operation(name: str, endpoint: Endpoint, most: int) -> dict[str, Any]:
    media: dict[str, Any] = {
        "application/json": {"schema": {"description": "As the sender sends it."}}
    }
    if endpoint.scheme == "woocommerce":
        form = {"type": "object", "properties": {"webhook_id": {"type": "integer"}}}
        media["application/x-www-form-urlencoded"] = {"schema": form}
    return {
        "operationId": f"{endpoint.scheme}_{name}",
        "summary": f"Deliveries of {name} ({endpoint.scheme})",
        "description": f"A body may have {most} bytes.",
        "parameters": [
            {
                "name": header,
                "in": "header",
                "required": required,
                "schema": {"type": "string"},
                "description": told,
            }
            for header, required, told in _headers(endpoint)
        ],
        "requestBody": {"required": True, "content": media},
        "responses": {status: _answer(status) for status in ANSWERS},
    }


def _headers(endpoint: Endpoint) -> list[tuple[str, bool, str]]:
    if endpoint.scheme == "hmac":
        told = f"{endpoint.prefix}<{endpoint.encoding} HMAC-SHA256 of the raw body>."
        return [
            (endpoint.header, True, told),
            (endpoint.topic_header, True, "What happened."),
        ]
    further = FURTHER.get(endpoint.scheme, [])
    if endpoint.scheme not in SIGNED:
        return further
    name, told = SIGNED[endpoint.scheme]
    # WooCommerce's ping comes without one.
    return [(name, endpoint.scheme != "woocommerce", told), *further]


def _answer(status: str) -> dict[str, Any]:
    headers = CORRELATION | (RETRY if status in ("429", "503") else {})
    return {"description": ANSWERS[status], "headers": headers}


def _own() -> dict[str, Any]:
    told = {
        "/health": ("The process lives.", {"200": "It does."}),
        "/ready": (
            "Whether deliveries can be kept.",
            {"200": "They can.", "503": "The database does not take them."},
        ),
        "/metrics": ("Prometheus metrics.", {"200": "The numbers."}),
        "/openapi.json": ("This description.", {"200": "It."}),
    }
    return {
        path: {
            "get": {
                "summary": summary,
                "responses": {code: {"description": text} for code, text in answers.items()},
            }
        }
        for path, (summary, answers) in told.items()
    }
