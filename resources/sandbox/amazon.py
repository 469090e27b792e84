"""An Amazon seller account: it signs in by refresh token, lists what was posted to its finances,
and makes settlement reports of it that are listed and fetched from another host, as Amazon's are.

Not imitated: other reports and their ordering, notifications, restricted tokens, filters other than
time, deferred transactions that are released by another one, several currencies in one account,
and limits of calls, which a planned fault stands for.
"""

import gzip
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import count
from typing import Any
from urllib.parse import parse_qs

import httpx

from resources.sandbox.amazon_settlement import ZERO, Movement, Part, written
from resources.sandbox.faults import Faults, StandIn

Doc = dict[str, Any]

TOKEN = "/auth/o2/token"  # noqa: S105 - a path
TRANSACTIONS = "/finances/2024-06-19/transactions"
REPORTS = "/reports/2021-06-30/reports"
DOCUMENTS = "/reports/2021-06-30/documents/"
SETTLEMENT = "GET_V2_SETTLEMENT_REPORT_DATA_FLAT_FILE_V2"
STORE = "tortuga-prod-na.s3-external-1.amazonaws.com"
TOKEN_SECONDS = 3600
LONGEST, RECENT = timedelta(days=180), timedelta(minutes=2)
ADDRESS_HOLDS = timedelta(minutes=5)
DENIED = "Access to requested resource is denied."
#: The name of a part in a transaction's breakdown, and whether it is a sale or an expense.
BROKEN_DOWN = {
    ("ItemPrice", "Principal"): ("ProductCharges", "Sales"),
    ("ItemPrice", "Shipping"): ("Shipping", "Sales"),
    ("ItemPrice", "Tax"): ("Tax", "Sales"),
    ("Promotion", "Principal"): ("PromoRebates", "Expenses"),
}


class Declined(Exception):
    """What is asked for is not done; carries Amazon's answer."""

    def __init__(self, status: int, body: Doc) -> None:
        super().__init__(status)
        self.status, self.body = status, body


@dataclass
class Settled:
    """One settlement report."""

    id: str
    document: str
    content: bytes
    made_at: datetime


class AmazonStandIn(StandIn):
    """One seller; `late` is how long a transaction takes to be listed, `page` how many at once."""

    name = "amazon"
    controls = frozenset({"ship", "refund", "charge_back", "claim", "charge", "settle", "count"})

    def __init__(
        self,
        *,
        now: Callable[[], datetime],
        client_id: str = "amzn1.application-oa2-client.1",
        client_secret: str = "secret",  # noqa: S107 - invented
        refresh_token: str = "Atzr|refresh",  # noqa: S107 - invented
        currency: str = "USD",
        decimal_comma: bool = False,
        packed: bool = True,
        page: int = 500,
        late: timedelta = timedelta(),
        faults: Faults | None = None,
    ) -> None:
        super().__init__(faults)
        self.now, self.currency, self.decimal_comma = now, currency, decimal_comma
        self.credentials = (client_id, client_secret, refresh_token)
        self.packed, self.page, self.late = packed, page, late
        self.movements: list[Movement] = []
        self.reports: list[Settled] = []
        self.reserve = ZERO
        #: Tokens and addresses that are taken, with the moment they end.
        self.tokens: dict[str, datetime] = {}
        self.addresses: dict[str, tuple[str, datetime]] = {}
        self._made = count(1)

    # The door

    def operation(self, request: httpx.Request) -> str:
        """Name of the call, as in `GET /reports/2021-06-30/reports`."""
        return f"{request.method} {request.url.path}"

    def answer(self, request: httpx.Request) -> httpx.Response:
        """Do what is asked and answer it, or say no in Amazon's words."""
        headers = {"x-amzn-RequestId": f"{next(self._made):08x}-amzn"}
        try:
            if request.url.host == STORE:
                return self._fetched(request)
            return httpx.Response(200, json=self._answer(request), headers=headers)
        except Declined as refusal:
            return httpx.Response(refusal.status, json=refusal.body, headers=headers)

    def throttled(self, seconds: float) -> httpx.Response:
        """Too many calls; how long to wait is not said."""
        body = _errors("QuotaExceeded", "You exceeded your quota for the requested resource.")
        return httpx.Response(429, json=body, headers={"x-amzn-RateLimit-Limit": "0.5"})

    def _answer(self, request: httpx.Request) -> Doc:
        path, asked = request.url.path, dict(request.url.params)
        if (request.method, path) == ("POST", TOKEN):
            return self._sign_in(request)
        if "Language=" not in request.headers.get("User-Agent", ""):
            raise _invalid("The User-Agent header is missing or malformed.")
        if self.tokens.get(request.headers.get("x-amz-access-token", ""), self.now()) <= self.now():
            told = "The access token you provided is revoked, malformed or invalid."
            raise Declined(403, _errors("Unauthorized", DENIED, told))
        if request.method == "GET" and path == TRANSACTIONS:
            return {"payload": self._transactions(asked)}
        if request.method == "GET" and path == REPORTS:
            return self._reports(asked)
        if request.method == "GET" and path.startswith(DOCUMENTS):
            return self._address(path.removeprefix(DOCUMENTS))
        raise Declined(404, _errors("NotFound", "The requested resource doesn't exist."))

    def _sign_in(self, request: httpx.Request) -> Doc:
        form = {name: said[0] for name, said in parse_qs(request.content.decode()).items()}
        client_id, secret, refresh_token = self.credentials
        if (form.get("client_id"), form.get("client_secret")) != (client_id, secret):
            told = "Client authentication failed"
            raise Declined(401, {"error": "invalid_client", "error_description": told})
        if form.get("grant_type") != "refresh_token" or form["refresh_token"] != refresh_token:
            told = "The request has an invalid grant parameter : refresh_token"
            raise Declined(400, {"error": "invalid_grant", "error_description": told})
        token = f"Atza|{next(self._made):08d}"
        self.tokens[token] = self.now() + timedelta(seconds=TOKEN_SECONDS)
        said = {"access_token": token, "token_type": "bearer", "expires_in": TOKEN_SECONDS}
        return said | {"refresh_token": refresh_token}

    def _transactions(self, asked: Mapping[str, str]) -> Doc:
        if "postedAfter" not in asked:
            raise _invalid("Start date cannot be null")
        start = _moment(asked["postedAfter"])
        end = _moment(asked["postedBefore"]) if "postedBefore" in asked else self.now() - RECENT
        if start > self.now() - RECENT or end > self.now() - RECENT or end <= start:
            raise _invalid("Date range is invalid.")
        within = end - start <= LONGEST
        found = [
            one
            for one in self.movements
            if within and start <= one.posted_at < end and one.shown_at <= self.now()
        ]
        token = asked.get("nextToken", f"{asked['postedAfter']}|0")
        since, _, place = token.partition("|")
        if since != asked["postedAfter"] or not place.isdecimal():
            raise _invalid("Invalid nextToken")
        rest = int(place) + self.page
        said: Doc = {"transactions": list(map(self._transaction, found[int(place) : rest]))}
        return said | ({"nextToken": f"{since}|{rest}"} if rest < len(found) else {})

    def _reports(self, asked: Mapping[str, str]) -> Doc:
        if "nextToken" in asked:
            if len(asked) > 1:
                raise _invalid("nextToken must be the only parameter")
            kinds, since, size, place = asked["nextToken"].split("|")
        elif "reportTypes" in asked:
            kinds, place = asked["reportTypes"], "0"
            since, size = asked.get("createdSince", ""), asked.get("pageSize", "10")
        else:
            raise _invalid("Either reportTypes or nextToken is required")
        start = _moment(since) if since else self.now() - timedelta(days=90)
        if not 1 <= int(size) <= 100 or start < self.now() - timedelta(days=90):
            raise _invalid("Invalid input")
        known = reversed(self.reports)
        found = [one for one in known if SETTLEMENT in kinds.split(",") and one.made_at >= start]
        rest = int(place) + int(size)
        said: Doc = {"reports": list(map(_report, found[int(place) : rest]))}
        more = {"nextToken": f"{kinds}|{since}|{size}|{rest}"} if rest < len(found) else {}
        return said | more

    def _address(self, document: str) -> Doc:
        if all(one.document != document for one in self.reports):
            raise _invalid("Invalid input")
        key = f"{next(self._made):08x}"
        self.addresses[key] = document, self.now() + ADDRESS_HOLDS
        url = f"https://{STORE}/{document}?X-Amz-Expires=300&X-Amz-Signature={key}"
        said = {"reportDocumentId": document, "url": url}
        return said | ({"compressionAlgorithm": "GZIP"} if self.packed else {})

    def _fetched(self, request: httpx.Request) -> httpx.Response:
        """A report from the store of files, which knows its address and nobody's token."""
        if "x-amz-access-token" in request.headers:
            return httpx.Response(400, text="<Error><Code>InvalidArgument</Code></Error>")
        key = request.url.params.get("X-Amz-Signature", "")
        document, ends = self.addresses.get(key, ("", self.now()))
        if ends <= self.now():
            told = "<Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>"
            return httpx.Response(403, text=told)
        content = next(one.content for one in self.reports if one.document == document)
        return httpx.Response(200, content=gzip.compress(content) if self.packed else content)

    def _transaction(self, one: Movement) -> Doc:
        related = [("ORDER_ID", one.order), ("SETTLEMENT_ID", one.settlement)]
        said: Doc = {
            "sellingPartnerMetadata": {
                "sellingPartnerId": "A3TH9S8BH6GOGM",
                "accountType": "Standard Orders",
                "marketplaceId": "ATVPDKIKX0DER",
            },
            "transactionType": one.type,
            "transactionId": one.id,
            "transactionStatus": "RELEASED",
            "description": {"Shipment": "Order Payment", "Refund": "Refund Order"}.get(one.type),
            "postedDate": _stamp(one.posted_at),
            "totalAmount": self._money(one.total),
            "relatedIdentifiers": [
                {"relatedIdentifierName": name, "relatedIdentifierValue": value}
                for name, value in related
                if value
            ],
            "items": [],
            "contexts": None,
        }
        return said | {"breakdowns": self._breakdowns(one)}

    def _breakdowns(self, one: Movement) -> list[Doc]:
        groups: dict[str, dict[str, Decimal]] = {}
        for of_type, description, amount in one.parts:
            name, group = BROKEN_DOWN.get((of_type, description), ("AmazonFees", "Expenses"))
            name = "TaxWithheld" if of_type == "ItemWithheldTax" else name
            inner = groups.setdefault(group, {})
            inner[name] = inner.get(name, ZERO) + amount
        return [
            self._breakdown(group, sum(inner.values(), ZERO))
            | {"breakdowns": [self._breakdown(name, amount) for name, amount in inner.items()]}
            for group, inner in groups.items()
        ]

    def _breakdown(self, name: str, amount: Decimal) -> Doc:
        return {"breakdownType": name, "breakdownAmount": self._money(amount), "breakdowns": None}

    def _money(self, amount: Decimal) -> Doc:
        return {"currencyAmount": float(amount), "currencyCode": self.currency}

    # What happens to the money, for tests and the demo

    def ship(
        self,
        order: str,
        principal: str,
        *,
        tax: str = "0",
        shipping: str = "0",
        discount: str = "0",
        commission: str = "0",
        withheld: str = "0",
        merchant_order: str = "",
    ) -> str:
        """An order leaves and its customer pays; answers the id of the transaction."""
        parts = (
            ("ItemPrice", "Principal", Decimal(principal)),
            ("ItemPrice", "Tax", Decimal(tax)),
            ("ItemPrice", "Shipping", Decimal(shipping)),
            ("Promotion", "Principal", -Decimal(discount)),
            ("ItemFees", "Commission", -Decimal(commission)),
            ("ItemWithheldTax", "MarketplaceFacilitatorTax-Principal", -Decimal(withheld)),
        )
        return self._book("Shipment", parts, order, merchant_order)

    def refund(self, id: str, fee_kept: str = "0") -> str:
        """We give all of a payment back; Amazon keeps some of its fee."""
        return self._back(id, "Refund", [("ItemFees", "RefundCommission", -Decimal(fee_kept))])

    def charge_back(self, id: str) -> str:
        """The customer's bank takes a payment back."""
        return self._back(id, "Chargeback", [])

    def claim(self, id: str) -> str:
        """Amazon gives a customer back what was paid, by its guarantee."""
        return self._back(id, "GuaranteeClaim", [])

    def charge(self, description: str, amount: str) -> str:
        """A fee by itself."""
        return self._book("ServiceFee", (("other-transaction", description, -Decimal(amount)),))

    def settle(self, reserve: str = "0") -> str:
        """Pay out what is not settled but for a reserve; answers the settlement's id."""
        settlement = f"{next(self._made) + 18_000_000_000}"
        open_now = [one for one in self.movements if not one.settlement]
        rows = [(one, part) for one in open_now for part in one.parts if part[2]]
        for description, amount in (
            ("Previous Reserve Amount Balance", self.reserve),
            ("Current Reserve Amount", -Decimal(reserve)),
        ):
            part = ("other-transaction", description, amount)
            held = Movement("", "ServiceFee", (part,), self.now(), self.now())
            rows += [(held, part)] if amount else []
        self.reserve = Decimal(reserve)
        total = sum((part[2] for _, part in rows), ZERO)
        for one in open_now:
            one.settlement = settlement
        facts = {"settlement-id": settlement, "currency": self.currency}
        content = written(facts, rows, self.now(), decimal_comma=self.decimal_comma)
        made = (f"{next(self._made) + 50_000}", f"amzn1.spdoc.1.{settlement}", content, self.now())
        self.reports.append(Settled(*made))
        if total:
            paid = self._book("Transfer", (("Transfer", "Disbursement", -total),))
            self.movements[-1].settlement = settlement
            assert self.movements[-1].id == paid
        return settlement

    def count(self, type: str | None = None) -> int:
        """How many transactions there are, or of one type."""
        return sum(type in (None, one.type) for one in self.movements)

    def take_tokens_back(self) -> None:
        """No token is taken any more."""
        self.tokens.clear()

    def _back(self, id: str, type: str, more: list[Part]) -> str:
        paid = next(one for one in self.movements if one.id == id)
        parts = [(of_type, description, -amount) for of_type, description, amount in paid.parts]
        return self._book(type, tuple(parts + more), paid.order, paid.merchant_order)

    def _book(
        self, type: str, parts: tuple[Part, ...], order: str = "", merchant_order: str = ""
    ) -> str:
        id = f"tx-{next(self._made):08d}"
        at = self.now()
        parts = tuple(part for part in parts if part[2])
        self.movements.append(Movement(id, type, parts, at, at + self.late, order, merchant_order))
        return id


# Their JSON


def _errors(code: str, message: str, details: str = "") -> Doc:
    return {"errors": [{"code": code, "message": message, "details": details}]}


def _invalid(message: str) -> Declined:
    return Declined(400, _errors("InvalidInput", message, message))


def _report(one: Settled) -> Doc:
    return {
        "reportId": one.id,
        "reportType": SETTLEMENT,
        "createdTime": one.made_at.isoformat(),
        "processingStatus": "DONE",
        "reportDocumentId": one.document,
    }


def _moment(said: str) -> datetime:
    try:
        moment = datetime.fromisoformat(said)
    except ValueError as fault:
        raise _invalid("Invalid date") from fault
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _stamp(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
