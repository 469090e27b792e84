"""An Adyen merchant account as we see it: reports behind the report user's password, and signed
notices. It settles what it is told to in batches, each with its settlement detail report.

Not imitated: payments themselves, dates of payouts by a calendar, and reports in other forms.
"""

import base64
import csv
import hashlib
import hmac
import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from itertools import count
from typing import Any

import httpx

from resources.sandbox.faults import Faults, StandIn

Doc = dict[str, Any]

HOST = "ca-live.adyen.com"
#: The columns of a report by default, in their order.
COLUMNS = (
    *("Company Account", "Merchant Account", "Psp Reference", "Merchant Reference"),
    *("Payment Method", "Creation Date", "TimeZone", "Type", "Modification Reference"),
    *("Gross Currency", "Gross Debit (GC)", "Gross Credit (GC)", "Exchange Rate"),
    *("Net Currency", "Net Debit (NC)", "Net Credit (NC)", "Commission (NC)", "Markup (NC)"),
    *("Scheme Fees (NC)", "Interchange (NC)", "Payment Method Variant"),
    *("Modification Merchant Reference", "Batch Number"),
)
SIGNED = (
    *("pspReference", "originalReference", "merchantAccountCode", "merchantReference"),
    *("value", "currency", "eventCode", "success"),
)


@dataclass(frozen=True)
class Entry:
    """One line of a batch: gross is signed and in the currency that is paid out, fees are costs."""

    type: str
    gross: Decimal
    at: datetime
    psp_reference: str = ""
    modification: str = ""
    merchant_reference: str = ""
    method: str = ""
    commission: Decimal = Decimal()
    interchange: Decimal = Decimal()
    currency: str = "EUR"
    #: What the customer paid, signed, its currency and the rate, where that is another currency.
    paid: tuple[Decimal, str, str] | None = None

    @property
    def net(self) -> Decimal:
        """What the balance moves by."""
        return self.gross - self.commission - self.interchange


class AdyenStandIn(StandIn):
    """One merchant account."""

    name = "adyen"
    controls = frozenset({"publish"})

    def __init__(
        self,
        *,
        now: Callable[[], datetime],
        account: str = "TestShop",
        report_user: str = "report@Company.TestShop",
        report_password: str = "secret",  # noqa: S107 - invented
        hmac_key: str = "44782DEF547AAA06C910C43932B1EB0C71FC68D9D0C057550C48EC2ACF6BA056",
        faults: Faults | None = None,
    ) -> None:
        super().__init__(faults)
        self.now, self.account, self.hmac_key = now, account, hmac_key
        self.sign_in = f"{report_user}:{report_password}"
        #: Contents of reports, and where others have gone, by path.
        self.reports: dict[str, bytes] = {}
        self.moved: dict[str, str] = {}
        self._transfers = count(1)

    # The door

    def operation(self, request: httpx.Request) -> str:
        """Name of the call, as in `GET report`."""
        return f"{request.method} report"

    def answer(self, request: httpx.Request) -> httpx.Response:
        """Hand a report out to whoever knows the password."""
        expected = "Basic " + base64.b64encode(self.sign_in.encode()).decode()
        if request.headers.get("Authorization") != expected:
            return httpx.Response(401, html="<html>HTTP Status 401</html>")
        path = request.url.path
        if path in self.moved:
            return httpx.Response(302, headers={"Location": self.moved[path]})
        if request.method != "GET" or path not in self.reports:
            return httpx.Response(404, html="<html>HTTP Status 404</html>")
        return httpx.Response(200, content=self.reports[path], headers={"Content-Type": "text/csv"})

    # What happens there, for tests and the demo

    def publish(self, name: str, content: str | bytes) -> str:
        """Put a report where it can be fetched; returns its address."""
        path = f"/reports/download/MerchantAccount/{self.account}/{name}"
        self.reports[path] = content.encode() if isinstance(content, str) else content
        return f"https://{HOST}{path}"

    def settle(self, batch: int, entries: Sequence[Entry], at: datetime) -> tuple[str, str]:
        """Close a batch: pay out what it comes to, in each of its currencies, and publish it.

        Returns name and address of its settlement detail report.
        """
        sums: dict[str, Decimal] = {}
        for entry in entries:
            sums[entry.currency] = sums.get(entry.currency, Decimal()) + entry.net
        payouts = [
            Entry(
                "MerchantPayout",
                -total,
                at,
                modification=f"TX{next(self._transfers):010d}XT batch {batch}, {self.account}",
                currency=currency,
            )
            for currency, total in sums.items()
        ]
        name = f"settlement_detail_report_batch_{batch}.csv"
        return name, self.publish(name, self.settlement_detail(batch, [*entries, *payouts]))

    def settlement_detail(self, batch: int, entries: Sequence[Entry]) -> str:
        """The text of a settlement detail report."""
        text = io.StringIO()
        writer = csv.DictWriter(text, COLUMNS, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(self._row(batch, entry) for entry in entries)
        return text.getvalue()

    def _row(self, batch: int, entry: Entry) -> dict[str, str]:
        gross, currency, rate = entry.paid or (entry.gross, entry.currency, "1")
        is_payment = bool(entry.psp_reference)
        return {
            "Company Account": "Company",
            "Merchant Account": self.account,
            "Psp Reference": entry.psp_reference,
            "Merchant Reference": entry.merchant_reference,
            "Payment Method": entry.method,
            "Creation Date": entry.at.strftime("%Y-%m-%d %H:%M:%S"),
            "TimeZone": entry.at.tzname() or "",
            "Type": entry.type,
            "Modification Reference": entry.modification,
            "Gross Currency": currency,
            **(_sides("Gross Debit (GC)", "Gross Credit (GC)", gross) if is_payment else {}),
            "Exchange Rate": rate if is_payment else "",
            "Net Currency": entry.currency,
            **_sides("Net Debit (NC)", "Net Credit (NC)", entry.net),
            "Commission (NC)": str(entry.commission or ""),
            "Interchange (NC)": str(entry.interchange or ""),
            "Batch Number": str(batch),
        }

    def report_available(self, name: str, url: str) -> tuple[dict[str, str], bytes]:
        """A signed delivery that tells of a report."""
        return self.notice(
            "REPORT_AVAILABLE", pspReference=name, reason=url, merchantReference="", value=0
        )

    def notice(
        self, code: str, *, value: int = 1000, currency: str = "EUR", **said: Any
    ) -> tuple[dict[str, str], bytes]:
        """A signed delivery of one item; `value` is in smallest units, the rest as Adyen says."""
        item: Doc = {
            "additionalData": {},
            "amount": {"currency": currency, "value": value},
            "eventCode": code,
            "eventDate": self.now().isoformat(timespec="seconds"),
            "merchantAccountCode": self.account,
            "merchantReference": "",
            "pspReference": "",
            "reason": "",
            "success": "true",
            **said,
        }
        item["additionalData"] = {**item["additionalData"], "hmacSignature": self._signature(item)}
        body = {"live": "false", "notificationItems": [{"NotificationRequestItem": item}]}
        return {"Content-Type": "application/json"}, json.dumps(body).encode()

    def _signature(self, item: Mapping[str, Any]) -> str:
        words = {**item, **item["amount"]}
        text = ":".join(str(words.get(name, "")) for name in SIGNED)
        digest = hmac.new(bytes.fromhex(self.hmac_key), text.encode(), hashlib.sha256).digest()
        return base64.b64encode(digest).decode()


def _sides(debit: str, credit: str, amount: Decimal) -> dict[str, str]:
    return {credit: str(amount)} if amount >= 0 else {debit: str(-amount)}
