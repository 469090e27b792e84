"""A PayPal business account with its reporting: it signs in by client credentials, and lists what
moved its balances by window of time, with balances at a moment.

Not imitated: checkout itself, disputes, report files, other fields of the search than those below,
filters other than time, and records that move no balance.
"""

from base64 import b64decode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import count
from math import ceil
from typing import Any
from urllib.parse import parse_qs

import httpx

from resources.sandbox.faults import Faults, StandIn

Doc = dict[str, Any]

TOKEN = "/v1/oauth2/token"  # noqa: S105 - a path
TRANSACTIONS = "/v1/reporting/transactions"
BALANCES = "/v1/reporting/balances"
USUAL_PAGE, LARGEST_PAGE = 100, 500
LONGEST = timedelta(days=31)
KEPT = timedelta(days=3 * 365)
TOKEN_SECONDS = 32400
UNREAD = "Request is not well-formed, syntactically incorrect, or violates schema."
ZERO = Decimal()


class Declined(Exception):
    """What is asked for is not done; carries PayPal's answer."""

    def __init__(self, status: int, body: Doc) -> None:
        super().__init__(status)
        self.status, self.body = status, body


@dataclass
class Movement:
    """One transaction; `gross` and `fee` are signed as they move the balance."""

    id: str
    code: str
    gross: Decimal
    fee: Decimal
    currency: str
    began_at: datetime
    updated_at: datetime
    #: From when on the search shows it.
    shown_at: datetime
    status: str = "S"
    reference: str | None = None
    reference_type: str | None = None
    invoice: str | None = None
    custom: str | None = None
    bank_reference: str | None = None


class PayPalStandIn(StandIn):
    """One account; `late` is how long a transaction takes to appear, `most` how many are served."""

    name = "paypal"
    controls = frozenset({"pay", "refund", "charge_back", "withdraw", "convert", "book", "count"})

    def __init__(
        self,
        *,
        now: Callable[[], datetime],
        client_id: str = "client",
        secret: str = "secret",  # noqa: S107 - invented
        account: str = "EZ782AXEUJUW8",
        most: int = 10_000,
        late: timedelta = timedelta(),
        faults: Faults | None = None,
    ) -> None:
        super().__init__(faults)
        self.now, self.client_id, self.secret, self.account = now, client_id, secret, account
        self.most, self.late = most, late
        self.movements: list[Movement] = []
        #: Tokens that are taken, with the moment they end.
        self.tokens: dict[str, datetime] = {}
        self._made = count(1)

    # The door

    def operation(self, request: httpx.Request) -> str:
        """Name of the call, as in `GET /v1/reporting/transactions`."""
        return f"{request.method} {request.url.path}"

    def answer(self, request: httpx.Request) -> httpx.Response:
        """Do what is asked and answer it, or say no in PayPal's words."""
        try:
            status, body = 200, self._answer(request)
        except Declined as refusal:
            status, body = refusal.status, refusal.body
        headers = {"Paypal-Debug-Id": str(body.get("debug_id", self._debug_id()))}
        return httpx.Response(status, json=body, headers=headers)

    def throttled(self, seconds: float) -> httpx.Response:
        """Too many calls; PayPal does not say how long to wait, the network before it may."""
        body = self._refusal("RATE_LIMIT_REACHED", "Too many requests. Blocked due to rate limit.")
        return httpx.Response(429, json=body, headers={"Retry-After": f"{seconds:g}"})

    def _answer(self, request: httpx.Request) -> Doc:
        call = request.method, request.url.path
        if call == ("POST", TOKEN):
            return self._sign_in(request)
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme != "Bearer" or self.tokens.get(token, self.now()) <= self.now():
            raise Declined(
                401, {"error": "invalid_token", "error_description": "Token signature failed"}
            )
        asked = dict(request.url.params)
        if call == ("GET", TRANSACTIONS):
            return self._page(asked)
        if call == ("GET", BALANCES):
            return self._balances(asked)
        missing = "The specified resource does not exist."
        raise Declined(404, self._refusal("RESOURCE_NOT_FOUND", missing))

    def _sign_in(self, request: httpx.Request) -> Doc:
        if _user(request) != (self.client_id, self.secret):
            told = "Client Authentication failed"
            raise Declined(401, {"error": "invalid_client", "error_description": told})
        if parse_qs(request.content.decode()).get("grant_type") != ["client_credentials"]:
            told = "unsupported grant_type"
            raise Declined(400, {"error": "unsupported_grant_type", "error_description": told})
        token = f"A21AA{next(self._made):08d}"
        self.tokens[token] = self.now() + timedelta(seconds=TOKEN_SECONDS)
        return {
            "scope": "https://uri.paypal.com/services/reporting/search/read",
            "access_token": token,
            "token_type": "Bearer",
            "app_id": "APP-80W284485P519543T",
            "expires_in": TOKEN_SECONDS,
            "nonce": "2026-01-06T00:00:00Z",
        }

    def _page(self, asked: Mapping[str, str]) -> Doc:
        start, end = self._moment(asked, "start_date"), self._moment(asked, "end_date")
        if end < start or end - start > LONGEST:
            raise self._bad("end_date", "Date range is greater than 31 days")
        if start > self.now() or start < self.now() - KEPT:
            raise self._bad("start_date", "Data for the given start date is not available.")
        size = self._number(asked, "page_size", USUAL_PAGE, LARGEST_PAGE)
        number = self._number(asked, "page", 1, 2**31 - 1)
        found = [one for one in self._shown() if start <= one.updated_at <= end]
        if len(found) > self.most:
            told = "Result set size is greater than the maximum limit. Change the filter criteria "
            raise Declined(400, self._refusal("RESULTSET_TOO_LARGE", f"{told}and try again."))
        return {
            "transaction_details": list(
                map(self._detail, found[(number - 1) * size : number * size])
            ),
            "account_number": self.account,
            "start_date": _stamp(start),
            "end_date": _stamp(min(end, self.now())),
            "last_refreshed_datetime": _stamp(self.now()),
            "page": number,
            "total_items": len(found),
            "total_pages": ceil(len(found) / size),
            "links": [{"href": TRANSACTIONS, "rel": "self", "method": "GET"}],
        }

    def _balances(self, asked: Mapping[str, str]) -> Doc:
        at = self._moment(asked, "as_of_time") if "as_of_time" in asked else self.now()
        totals: dict[str, Decimal] = {}
        for one in self.movements:
            if one.updated_at <= at:
                totals[one.currency] = totals.get(one.currency, ZERO) + one.gross + one.fee
        return {
            "balances": [
                {"currency": currency, "total_balance": _money(total, currency)}
                for currency, total in sorted(totals.items())
            ],
            "account_id": self.account,
            "as_of_time": _stamp(at),
            "last_refresh_time": _stamp(self.now()),
        }

    def _shown(self) -> list[Movement]:
        return [one for one in self.movements if one.shown_at <= self.now()]

    def _detail(self, one: Movement) -> Doc:
        info: Doc = {
            "transaction_id": one.id,
            "paypal_reference_id": one.reference,
            "paypal_reference_id_type": one.reference_type,
            "transaction_event_code": one.code,
            "transaction_initiation_date": _stamp(one.began_at),
            "transaction_updated_date": _stamp(one.updated_at),
            "transaction_amount": _money(one.gross, one.currency),
            "fee_amount": _money(one.fee, one.currency) if one.fee else None,
            "transaction_status": one.status,
            "bank_reference_id": one.bank_reference,
            "invoice_id": one.invoice,
            "custom_field": one.custom,
            "protection_eligibility": "01",
        }
        payer = {
            "account_id": "JT2CAPC9DQUAE",
            "email_address": "payer@example.com",
            "address_status": "Y",
            "payer_status": "Y",
            "payer_name": {"given_name": "Ada", "surname": "Payer"},
            "country_code": "US",
        }
        return {
            "transaction_info": {name: said for name, said in info.items() if said is not None},
            "payer_info": payer if one.code.startswith("T00") else {"address_status": "N"},
            "shipping_info": {"name": "Ada Payer"} if one.code.startswith("T00") else {},
            "cart_info": {},
            "store_info": {},
            "auction_info": {},
            "incentive_info": {},
        }

    # What is asked for, read

    def _moment(self, asked: Mapping[str, str], name: str) -> datetime:
        try:
            moment = datetime.fromisoformat(asked[name])
        except (KeyError, ValueError) as fault:
            raise self._bad(name, "Invalid date passed") from fault
        if moment.tzinfo is None:
            raise self._bad(name, "Invalid date passed")
        return moment

    def _number(self, asked: Mapping[str, str], name: str, usual: int, most: int) -> int:
        said = asked.get(name, str(usual))
        if not said.isdecimal() or not 1 <= int(said) <= most:
            raise self._bad(name, f"{name} is invalid")
        return int(said)

    def _bad(self, name: str, issue: str) -> Declined:
        detail = {"field": name, "location": "query", "issue": issue}
        return Declined(400, self._refusal("INVALID_REQUEST", UNREAD, [detail]))

    def _refusal(self, name: str, message: str, details: list[Doc] | None = None) -> Doc:
        body: Doc = {"name": name, "message": message, "debug_id": self._debug_id(), "links": []}
        return body | ({"details": details} if details else {})

    def _debug_id(self) -> str:
        return f"{next(self._made):013x}"

    # What happens to the money, for tests and the demo

    def pay(
        self,
        gross: str | Decimal,
        *,
        fee: str | Decimal = ZERO,
        currency: str = "USD",
        invoice: str | None = None,
        custom: str | None = None,
        at: datetime | None = None,
    ) -> str:
        """A customer pays; answers the id of the capture."""
        told = {"invoice": invoice, "custom": custom}
        return self.book("T0006", gross, currency, fee=-Decimal(fee), at=at, **told)

    def refund(
        self, id: str, gross: str | Decimal | None = None, *, fee: str | Decimal = ZERO
    ) -> str:
        """We give a payment back, in part or whole; `fee` is what PayPal gives back of its own."""
        paid = self.of(id)
        given = paid.gross if gross is None else Decimal(gross)
        back = [one.gross for one in self.movements if one.reference == id and one.code == "T1107"]
        if given - sum(back, ZERO) == paid.gross:
            paid.status = "V"  # in full
        return self._about(paid, "T1107", -given, Decimal(fee))

    def charge_back(self, id: str, fee: str | Decimal = "20.00") -> tuple[str, str]:
        """The customer's bank takes a payment back; answers the chargeback and its fee."""
        taken = self._about(self.of(id), "T1201", -self.of(id).gross, ZERO)
        return taken, self._about(self.of(taken), "T0106", -Decimal(fee), ZERO)

    def withdraw(self, gross: str | Decimal, currency: str = "USD") -> str:
        """Money goes to our bank."""
        reference = f"{next(self._made):013d}"
        return self.book("T0400", -Decimal(gross), currency, bank_reference=reference)

    def convert(self, id: str, into: str, gross: str | Decimal) -> tuple[str, str]:
        """What a payment left becomes another currency; answers both sides."""
        paid = self.of(id)
        out = self._about(paid, "T0200", -(paid.gross + paid.fee), ZERO)
        return out, self._about(paid, "T0200", Decimal(gross), ZERO, currency=into)

    def book(
        self,
        code: str,
        gross: str | Decimal,
        currency: str = "USD",
        *,
        fee: str | Decimal = ZERO,
        at: datetime | None = None,
        **more: Any,
    ) -> str:
        """Any movement, with its signs and more of its fields; answers its id."""
        id, moment = f"{next(self._made):016d}X", at or self.now()
        money = Decimal(gross), Decimal(fee), currency
        self.movements.append(
            Movement(id, code, *money, moment, moment, moment + self.late, **more)
        )
        return id

    def of(self, id: str) -> Movement:
        """The transaction of an id."""
        return next(one for one in self.movements if one.id == id)

    def count(self, code: str | None = None) -> int:
        """How many transactions there are, or of one code."""
        return sum(code in (None, one.code) for one in self.movements)

    def take_tokens_back(self) -> None:
        """No token is taken any more."""
        self.tokens.clear()

    def _about(
        self, other: Movement, code: str, gross: Decimal, fee: Decimal, currency: str | None = None
    ) -> str:
        return self.book(
            code,
            gross,
            currency or other.currency,
            fee=fee,
            reference=other.id,
            reference_type="TXN",
            invoice=other.invoice,
            custom=other.custom,
        )


# Their JSON


def _money(value: Decimal, currency: str) -> Doc:
    return {"currency_code": currency, "value": f"{value:f}"}


def _stamp(moment: datetime) -> str:
    """Without a colon in the offset, as the search writes it."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S+0000")


def _user(request: httpx.Request) -> tuple[str, str]:
    scheme, _, coded = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return "", ""
    user, _, password = b64decode(coded).decode().partition(":")
    return user, password
