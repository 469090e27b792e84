"""A Stripe account: charges, refunds, disputes and payouts, each with what it does to the balance,
listed newest first in pages, told of by events and signed webhooks.

Not imitated: payment intents as objects, customers, Connect, search, writing over the API, lags.
Fees and conversions are as the caller says; nothing is priced here.
"""

import hashlib
import hmac
import json
from base64 import b64decode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import ROUND_HALF_UP, Decimal
from itertools import count
from typing import Any

import httpx

from resources.sandbox import stripe_answers as answers
from resources.sandbox.faults import Faults, StandIn

Doc = dict[str, Any]

USUAL, MOST = 10, 100
_LIMITS = frozenset(map(str, range(1, MOST + 1)))
EVENTS_KEPT = timedelta(days=30)
LISTS = ("balance_transactions", "charges", "refunds", "disputes", "payouts", "events")
#: Lists that can be asked for by the day something arrives, and other filters of each.
FILTERS = {
    "balance_transactions": ("payout", "source", "type", "currency"),
    "charges": ("payment_intent",),
    "refunds": ("charge", "payment_intent"),
    "disputes": ("charge", "payment_intent"),
    "payouts": ("status",),
    "events": ("type",),
}
EXPANDABLE = {
    "balance_transaction": ("source",),
    "charge": ("balance_transaction", "payment_intent"),
    "refund": ("balance_transaction", "failure_balance_transaction", "charge"),
    "dispute": ("charge",),
    "payout": ("balance_transaction", "failure_balance_transaction"),
    "event": (),
}
#: Which list an id stands in, for members that are asked to be expanded.
LIST_OF = {
    "txn": "balance_transactions",
    "ch": "charges",
    "re": "refunds",
    "dp": "disputes",
    "po": "payouts",
}


class Declined(Exception):
    """What is asked for is not done; carries Stripe's answer."""

    def __init__(self, status: int, message: str, code: str = "", param: str = "") -> None:
        super().__init__(status, message)
        kind = "api_error" if status >= 500 else "invalid_request_error"
        error = {"type": kind, "message": message}
        error |= {"code": code} if code else {}
        error |= {"param": param} if param else {}
        self.status, self.body = status, {"error": error}


@dataclass(frozen=True)
class Conversion:
    """The balance's currency, where it is not the customer's, and its units for one of those."""

    currency: str
    rate: str

    def of(self, amount: int) -> int:
        """An amount of the customer's smallest units in the balance's; both have two digits."""
        return _converted(amount, self.rate)


class StripeStandIn(StandIn):
    """One account in test mode; amounts are whole smallest units."""

    name = "stripe"
    controls = frozenset(
        {
            *("charge", "capture", "let_expire", "refund", "fail_refund", "dispute"),
            *("close_dispute", "bill", "reserve", "release", "top_up", "adjust"),
            *("pay_out", "settle_payout", "fail_payout", "count"),
        }
    )

    def __init__(
        self,
        *,
        now: Callable[[], datetime],
        key: str = "sk_test_1",
        webhook_secret: str = "whsec_test",  # noqa: S107 - invented
        faults: Faults | None = None,
    ) -> None:
        super().__init__(faults)
        self.now, self.key, self.webhook_secret = now, key, webhook_secret
        self.kept: dict[str, dict[str, Doc]] = {name: {} for name in LISTS}
        #: The payout each transaction is paid out by; Stripe tells it only to who asks by payout.
        self.payout_of: dict[str, str] = {}
        self._numbers = count(1)

    # The door

    def operation(self, request: httpx.Request) -> str:
        """Name of the call, as in `GET /v1/charges/{id}`."""
        thing, key = _path(request)
        return f"{request.method} /v1/{thing}" + ("/{id}" if key else "")

    def answer(self, request: httpx.Request) -> httpx.Response:
        """Answer what is asked, or say no in Stripe's words."""
        try:
            status, body = 200, self._answer(request)
        except Declined as refusal:
            status, body = refusal.status, refusal.body
        return httpx.Response(status, json=body, headers={"Request-Id": f"req_{self._next()}"})

    def throttled(self, seconds: float) -> httpx.Response:
        """Too many calls; Stripe does not always say how long to wait."""
        refusal = Declined(429, "Request rate limit exceeded.", "rate_limit")
        headers = {"Stripe-Should-Retry": "true"}
        headers |= {"Retry-After": f"{seconds:g}"} if seconds else {}
        return httpx.Response(429, json=refusal.body, headers=headers)

    def _answer(self, request: httpx.Request) -> Doc:
        if _user(request) != self.key:
            raise Declined(401, "Invalid API Key provided: sk_test_********")
        thing, key = _path(request)
        if request.method != "GET" or (thing not in LISTS and thing != "balance"):
            raise Declined(404, f"Unrecognized request URL ({request.method}: {request.url.path}).")
        if thing == "balance":
            return self._balance()
        expand = request.url.params.get_list("expand[]")
        if not key:
            return self._page(thing, request.url.params, expand)
        if key not in self.kept[thing]:
            missing = f"No such {thing[:-1]}: '{key}'"
            raise Declined(404, missing, "resource_missing", "id")
        return self._expanded(self.kept[thing][key], expand)

    def _page(self, thing: str, asked: httpx.QueryParams, expand: list[str]) -> Doc:
        """One page, the newest first; bounds of time are those of its making."""
        self._check(thing, asked)
        found = [one for one in self._newest_first(thing) if self._is_asked(thing, one, asked)]
        if "starting_after" in asked:
            ids = [one["id"] for one in found]
            if asked["starting_after"] not in ids:
                missing = f"No such {thing[:-1]}: '{asked['starting_after']}'"
                raise Declined(400, missing, "resource_missing", "starting_after")
            found = found[ids.index(asked["starting_after"]) + 1 :]
        size = int(asked.get("limit", USUAL))
        paths = [path.removeprefix("data.") for path in expand]
        return {
            "object": "list",
            "url": f"/v1/{thing}",
            "has_more": len(found) > size,
            "data": [self._expanded(one, paths) for one in found[:size]],
        }

    def _check(self, thing: str, asked: httpx.QueryParams) -> None:
        plain = {name.partition("[")[0] for name in asked}
        known = {"limit", "starting_after", "created", "expand", *FILTERS[thing]}
        known |= {"arrival_date"} if thing == "payouts" else set()
        known |= {"types"} if thing == "events" else set()
        if unknown := sorted(plain - known):
            told = f"Received unknown parameter: {unknown[0]}"
            raise Declined(400, told, "parameter_unknown", unknown[0])
        if asked.get("limit", str(USUAL)) not in _LIMITS:
            told = f"Invalid integer: {asked['limit']}"
            raise Declined(400, told, "parameter_invalid_integer", "limit")
        payout = self.kept["payouts"].get(asked.get("payout", ""))
        if payout and not payout["automatic"]:
            told = "Balance transaction history can only be filtered on automatic transfers"
            raise Declined(400, f"{told}, not manual.", "", "payout")

    def _newest_first(self, thing: str) -> list[Doc]:
        made = list(self.kept[thing].values())
        if thing == "events":
            oldest = int((self.now() - EVENTS_KEPT).timestamp())
            made = [one for one in made if one["created"] >= oldest]
        numbered = sorted(enumerate(made), key=lambda one: (one[1]["created"], one[0]))
        return [one for _, one in reversed(numbered)]

    def _is_asked(self, thing: str, one: Doc, asked: httpx.QueryParams) -> bool:
        for name in ("created", "arrival_date"):
            for word, keeps in _BOUNDS.items():
                bound = asked.get(f"{name}[{word}]")
                if bound is not None and not keeps(one[name], int(bound)):
                    return False
        types = asked.get_list("types[]")
        if types and one["type"] not in types:
            return False
        if "payout" in asked and self.payout_of.get(one["id"]) != asked["payout"]:
            return False
        plain = [name for name in FILTERS[thing] if name in asked and name != "payout"]
        return all(one[name] == asked[name] for name in plain)

    def _expanded(self, thing: Doc, paths: list[str]) -> Doc:
        found: Doc = json.loads(json.dumps(thing))
        for path in paths:
            if path not in EXPANDABLE[found["object"]]:
                told = f"This property cannot be expanded ({path})."
                raise Declined(400, told, "", "expand")
            if not found.get(path):
                continue
            kept = self.kept.get(LIST_OF.get(str(found[path]).partition("_")[0], ""), {})
            found[path] = kept.get(found[path], found[path])
        return found

    def _balance(self) -> Doc:
        sums: dict[str, int] = {}
        for line in self.kept["balance_transactions"].values():
            sums[line["currency"]] = sums.get(line["currency"], 0) + line["net"]
        funds = [{"amount": sums[name], "currency": name} for name in sorted(sums)]
        return {"object": "balance", "livemode": False, "available": funds, "pending": []}

    # What happens, for tests and the demo

    def charge(
        self,
        amount: int,
        currency: str = "usd",
        *,
        fee: int = 0,
        tax: int = 0,
        capture: bool = True,
        order: str | None = None,
        settled: Conversion | None = None,
        brand: str = "visa",
    ) -> str:
        """A customer pays, or only authorises; `fee` includes `tax`. Answers the charge's id."""
        key, intent = f"ch_{self._next()}", f"pi_{self._next()}"
        self.kept["charges"][key] = answers.charge(
            key, intent, amount, currency, self._stamp(), brand
        ) | {"metadata": {"order_id": order} if order else {}}
        self._tell("charge.succeeded", "charges", key) if not capture else None
        if capture:
            self.capture(key, fee=fee, tax=tax, settled=settled, told="charge.succeeded")
        return key

    def capture(
        self,
        key: str,
        amount: int | None = None,
        *,
        fee: int = 0,
        tax: int = 0,
        settled: Conversion | None = None,
        told: str = "charge.captured",
    ) -> None:
        """Take what was authorised, or a part of it; the rest is let go."""
        charge = self.kept["charges"][key]
        taken = charge["amount"] if amount is None else amount
        currency = settled.currency if settled else charge["currency"]
        line = self._book(
            ("charge", "charge"),
            settled.of(taken) if settled else taken,
            currency,
            source=key,
            fee=(fee, tax),
            rate=settled.rate if settled else None,
        )
        charge |= {"captured": True, "amount_captured": taken, "balance_transaction": line}
        self._tell(told, "charges", key)

    def let_expire(self, key: str) -> None:
        """An authorisation is given up."""
        charge = self.kept["charges"][key]
        charge |= {"refunded": True, "amount_refunded": charge["amount"]}
        self._tell("charge.expired", "charges", key)

    def refund(self, charge: str, amount: int | None = None, order: str | None = None) -> str:
        """Give back a charge, or a part of it. Answers the refund's id."""
        paid, key = self.kept["charges"][charge], f"re_{self._next()}"
        given = paid["amount_captured"] - paid["amount_refunded"] if amount is None else amount
        paid["amount_refunded"] += given
        paid["refunded"] = paid["amount_refunded"] == paid["amount_captured"]
        booked = self.kept["balance_transactions"][paid["balance_transaction"]]
        rate = booked["exchange_rate"]
        moved = _converted(given, rate) if rate else given
        line = self._book(("refund", "refund"), -moved, booked["currency"], source=key, rate=rate)
        self.kept["refunds"][key] = answers.refund(key, paid, given, self._stamp(), line) | {
            "metadata": {"order_id": order} if order else {}
        }
        self._tell("refund.created", "refunds", key)
        self._tell("charge.refunded", "charges", charge)
        return key

    def fail_refund(self, key: str, reason: str = "lost_or_stolen_card") -> None:
        """The customer's bank sends it back."""
        refund = self.kept["refunds"][key]
        line = self.kept["balance_transactions"][refund["balance_transaction"]]
        back = self._book(
            ("refund_failure", "refund_failure"), -line["amount"], line["currency"], source=key
        )
        refund |= {
            "status": "failed",
            "failure_reason": reason,
            "failure_balance_transaction": back,
        }
        self._tell("refund.failed", "refunds", key)

    def dispute(self, charge: str, amount: int | None = None, *, fee: int = 1500) -> str:
        """The customer's bank takes a payment back, and Stripe a fee. Answers the dispute's id."""
        paid, key = self.kept["charges"][charge], f"dp_{self._next()}"
        taken = paid["amount_captured"] if amount is None else amount
        paid["disputed"] = True
        self.kept["disputes"][key] = answers.dispute(key, paid, taken, self._stamp())
        self._tell("charge.dispute.created", "disputes", key)
        self._move_dispute(key, "dispute", -taken, fee, "charge.dispute.funds_withdrawn")
        return key

    def close_dispute(self, key: str, *, won: bool) -> None:
        """The bank decides; what is won comes back, the fee does not."""
        dispute = self.kept["disputes"][key]
        dispute["status"] = "won" if won else "lost"
        if won:
            told = "charge.dispute.funds_reinstated"
            self._move_dispute(key, "dispute_reversal", dispute["amount"], 0, told)
        self._tell("charge.dispute.closed", "disputes", key)

    def _move_dispute(self, key: str, category: str, amount: int, fee: int, told: str) -> None:
        dispute = self.kept["disputes"][key]
        words = ("adjustment", category)
        line = self._book(words, amount, dispute["currency"], source=key, fee=(fee, 0))
        dispute["balance_transactions"].append(self.kept["balance_transactions"][line])
        self._tell(told, "disputes", key)

    def bill(self, amount: int, currency: str = "usd", description: str = "Radar") -> str:
        """Stripe takes a fee by itself."""
        return self._book(("stripe_fee", "fee"), -amount, currency, description=description)

    def reserve(self, amount: int, currency: str = "usd") -> str:
        """Stripe holds money back."""
        return self._book(("reserved_funds", "risk_reserved_funds"), -amount, currency)

    def release(self, amount: int, currency: str = "usd") -> str:
        """And lets it go."""
        return self._book(("reserved_funds", "risk_reserved_funds"), amount, currency)

    def top_up(self, amount: int, currency: str = "usd") -> str:
        """We pay Stripe."""
        return self._book(("topup", "topup"), amount, currency)

    def adjust(self, amount: int, currency: str = "usd", category: str = "other_adjustment") -> str:
        """Stripe corrects something by hand."""
        return self._book(("adjustment", category), amount, currency, description="Correction")

    def pay_out(
        self,
        currency: str = "usd",
        *,
        arrives: date | None = None,
        by_hand: int | None = None,
    ) -> str:
        """Pay out all that is not paid out yet, or an amount by hand. Answers the payout's id."""
        lines = self.kept["balance_transactions"].values()
        open_ = [x for x in lines if x["currency"] == currency and x["id"] not in self.payout_of]
        amount = sum(line["net"] for line in open_) if by_hand is None else by_hand
        key = f"po_{self._next()}"
        own = self._book(("payout", "payout"), -amount, currency, source=key)
        if by_hand is None:
            self.payout_of |= dict.fromkeys([*(line["id"] for line in open_), own], key)
        day = arrives or (self.now().astimezone(UTC) + timedelta(days=2)).date()
        arrival = int(datetime.combine(day, time(), UTC).timestamp())
        made = answers.payout(key, amount, currency, self._stamp(), arrival, own)
        self.kept["payouts"][key] = made | {"automatic": by_hand is None}
        self._tell("payout.created", "payouts", key)
        return key

    def settle_payout(self, key: str) -> None:
        """It reached the bank."""
        self.kept["payouts"][key]["status"] = "paid"
        self._tell("payout.paid", "payouts", key)

    def fail_payout(self, key: str, code: str = "account_closed") -> None:
        """The bank sends it back; the next payout has it."""
        payout = self.kept["payouts"][key]
        words = ("payout_failure", "payout_reversal")
        back = self._book(words, payout["amount"], payout["currency"], source=key)
        payout |= {
            "status": "failed",
            "failure_code": code,
            "failure_balance_transaction": back,
        }
        self._tell("payout.failed", "payouts", key)

    def count(self, thing: str) -> int:
        """How many there are."""
        return len(self.kept[thing])

    def webhook(self, kind: str, about: str) -> tuple[dict[str, str], bytes]:
        """The signed delivery of the newest event of a kind about a thing."""
        events = [one for one in self.kept["events"].values() if one["type"] == kind]
        event = [one for one in events if one["data"]["object"]["id"] == about][-1]
        body, at = json.dumps(event, ensure_ascii=False).encode(), self._stamp()
        signed = f"{at}.".encode() + body
        signature = hmac.new(self.webhook_secret.encode(), signed, hashlib.sha256).hexdigest()
        headers = {"Content-Type": "application/json", "Stripe-Signature": f"t={at},v1={signature}"}
        return headers, body

    # Books

    def _book(
        self,
        words: tuple[str, str],
        amount: int,
        currency: str,
        *,
        source: str | None = None,
        fee: tuple[int, int] = (0, 0),
        rate: Any = None,
        description: str | None = None,
    ) -> str:
        """Move the balance; `words` are type and reporting category, `fee` includes its tax."""
        key, (whole, tax) = f"txn_{self._next()}", fee
        parts = {"stripe_fee": whole - tax, "tax": tax}
        self.kept["balance_transactions"][key] = {
            "id": key,
            "object": "balance_transaction",
            "amount": amount,
            "available_on": self._stamp() + 2 * 86_400,
            "created": self._stamp(),
            "currency": currency,
            "description": description,
            "exchange_rate": None if rate is None else float(rate),
            "fee": whole,
            "fee_details": [
                answers.fee(name, part, currency) for name, part in parts.items() if part
            ],
            "net": amount - whole,
            "reporting_category": words[1],
            "source": source,
            "status": "pending",
            "type": words[0],
        }
        return key

    def _tell(self, kind: str, thing: str, key: str) -> None:
        """Remember an event with the thing as it is now."""
        number = f"evt_{self._next()}"
        self.kept["events"][number] = {
            "id": number,
            "object": "event",
            "api_version": "2022-11-15",
            "created": self._stamp(),
            "data": {"object": json.loads(json.dumps(self.kept[thing][key]))},
            "livemode": False,
            "pending_webhooks": 1,
            "request": {"id": None, "idempotency_key": None},
            "type": kind,
        }

    def _next(self) -> str:
        """A part of an id that looks like Stripe's."""
        return f"1{hashlib.sha256(f'stripe {next(self._numbers)}'.encode()).hexdigest()[:23]}"

    def _stamp(self) -> int:
        return int(self.now().timestamp())


# Calls taken apart

_BOUNDS: Mapping[str, Callable[[int, int], bool]] = {
    "gt": lambda one, bound: one > bound,
    "gte": lambda one, bound: one >= bound,
    "lt": lambda one, bound: one < bound,
    "lte": lambda one, bound: one <= bound,
}


def _converted(amount: int, rate: Any) -> int:
    return int((amount * Decimal(str(rate))).quantize(Decimal(1), ROUND_HALF_UP))


def _path(request: httpx.Request) -> tuple[str, str]:
    """The list a call is about, and the id in it if one is named."""
    thing, _, key = request.url.path.removeprefix("/v1/").partition("/")
    return thing, key


def _user(request: httpx.Request) -> str:
    scheme, _, told = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return str(told)
    if scheme.lower() != "basic":
        return ""
    return b64decode(told).decode().partition(":")[0]
