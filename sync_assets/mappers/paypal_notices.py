"""What PayPal's webhooks say of payments and disputes, in our words. Pure."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from sync_assets.domain.payments import EventKind, Found
from sync_assets.mappers.paypal_values import (
    Payload,
    event_row,
    id_of,
    mapping,
    missing,
    moment,
    money_of,
    part,
    text_of,
    unread,
)

CAPTURE_EVENTS = {
    "PAYMENT.CAPTURE.COMPLETED": EventKind.CAPTURED,
    "PAYMENT.CAPTURE.DENIED": EventKind.CAPTURE_FAILED,
    "PAYMENT.CAPTURE.DECLINED": EventKind.CAPTURE_FAILED,
}
#: Their resource is the refund or reversal; its link `up` leads to the capture.
BACK_EVENTS = {
    "PAYMENT.CAPTURE.REFUNDED": EventKind.REFUNDED,
    "PAYMENT.REFUND.FAILED": EventKind.REFUND_FAILED,
    "PAYMENT.CAPTURE.REVERSED": EventKind.CHARGEBACK,
}
AUTHORISATION_EVENTS = {
    "PAYMENT.AUTHORIZATION.CREATED": EventKind.AUTHORISED,
    "PAYMENT.AUTHORIZATION.VOIDED": EventKind.VOIDED,
}
#: With a payout PayPal pays the customer itself, and the seller keeps the money.
OUTCOMES = {
    "RESOLVED_BUYER_FAVOUR": EventKind.DISPUTE_LOST,
    "ACCEPTED": EventKind.DISPUTE_LOST,
    "RESOLVED_SELLER_FAVOUR": EventKind.DISPUTE_WON,
    "RESOLVED_WITH_PAYOUT": EventKind.DISPUTE_WON,
    "CANCELED_BY_BUYER": EventKind.DISPUTE_WON,
    "DENIED": EventKind.DISPUTE_WON,
}


def notice(provider: str, payload: Payload) -> Found:
    """What a webhook's body says: {event_type, create_time, resource}.

    An event has the same key as the row of a report that tells of the same transaction.
    """
    name = payload.get("event_type")
    if name in CAPTURE_EVENTS:
        resource = mapping(payload, "resource")
        return _told(provider, CAPTURE_EVENTS[name], payload, payment_id=resource.get("id"))
    if name in BACK_EVENTS:
        capture = _capture_of(mapping(payload, "resource"))
        return _told(provider, BACK_EVENTS[name], payload, payment_id=capture)
    if name in AUTHORISATION_EVENTS:
        return _told(provider, AUTHORISATION_EVENTS[name], payload, payment_id=None)
    if name == "CUSTOMER.DISPUTE.CREATED":
        return _dispute(provider, EventKind.DISPUTE_OPENED, payload)
    if name == "CUSTOMER.DISPUTE.RESOLVED":
        return _dispute(provider, _outcome(mapping(payload, "resource")), payload)
    return Found()


def _told(provider: str, kind: EventKind, payload: Payload, payment_id: Any) -> Found:
    resource = mapping(payload, "resource")
    key = id_of(text_of(resource.get("id")) or missing("resource.id"), "resource.id")
    related = part(part(resource, "supplementary_data"), "related_ids")
    own = key if kind in AUTHORISATION_EVENTS.values() else None
    row = event_row(
        provider,
        kind,
        key,
        payment_id=text_of(payment_id),
        group_id=text_of(related.get("order_id"))
        or text_of(related.get("authorization_id"))
        or own,
        order_reference=text_of(resource.get("invoice_id")) or text_of(resource.get("custom_id")),
        money=_amount_of(resource),
        happened_at=_happened(payload, resource),
        reason=text_of(part(resource, "status_details").get("reason")),
    )
    return Found(events=[row])


def _dispute(provider: str, kind: EventKind, payload: Payload) -> Found:
    resource = mapping(payload, "resource")
    listed = resource.get("disputed_transactions")
    disputed = part({"first": listed[0]}, "first") if isinstance(listed, list) and listed else {}
    row = event_row(
        provider,
        kind,
        id_of(text_of(resource.get("dispute_id")) or missing("dispute_id"), "dispute_id"),
        payment_id=text_of(disputed.get("seller_transaction_id")),
        group_id=None,
        order_reference=text_of(disputed.get("invoice_number")) or text_of(disputed.get("custom")),
        money=money_of(resource, "dispute_amount"),
        happened_at=_happened(payload, resource),
        reason=text_of(resource.get("reason")),
    )
    return Found(events=[row])


def _outcome(resource: Payload) -> EventKind:
    word = mapping(resource, "dispute_outcome").get("outcome_code")
    if word not in OUTCOMES:
        raise unread("outcome_code", "is a word we do not know")
    return OUTCOMES[word]


def _capture_of(resource: Payload) -> str | None:
    """The capture that a refund leads up to: .../v2/payments/captures/<id>."""
    links = resource.get("links")
    for link in links if isinstance(links, list) else ():
        if isinstance(link, Mapping) and link.get("rel") == "up":
            return text_of(str(link.get("href", "")).rstrip("/").rpartition("/")[2])
    return None


def _amount_of(resource: Payload) -> tuple[Decimal, str]:
    """Resources of version 1 say {total, currency}, those of version 2 {value, currency_code}."""
    said = mapping(resource, "amount")
    if "total" in said:
        said = {"value": said["total"], "currency_code": said.get("currency")}
    return money_of({"amount": said}, "amount")


def _happened(payload: Payload, resource: Payload) -> datetime:
    names = ("update_time", "create_time")
    said = next((text for name in names if (text := text_of(resource.get(name)))), None)
    return moment(said or text_of(payload.get("create_time")) or missing("time"), "create_time")
