"""An Amazon seller account over the Selling Partner API: transactions of its finances by the time
they were posted, and settlement reports, text as sent. What they mean is for the mappers.

Facts of the models `finances_2024-06-19` and `reports_2021-06-30`: a transaction may be listed 48
hours late, a search of more than 180 days finds nothing, its end lies two minutes back, and pages
may be empty. Settlement reports are made by Amazon, are only listed, and are kept 90 days; the
address of a report holds for five minutes. A call without a User-Agent is refused. Limits are per
operation: 0.5 calls a second for transactions, 0.0222 and 0.0167 for reports and their addresses;
429 says nothing of how long to wait.
"""

import time
import zlib
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from datetime import time as clock_time
from typing import Any

import httpx

from resources.errors import ContractBroken, Refused, SignInAgain, TryAgain
from resources.http import exact_json, raise_for_refusal, redacted_url
from resources.pages import Broken, Raw, moment_of
from resources.systems.json_cuts import elements, members

TOKEN = "/auth/o2/token"  # noqa: S105 - a path
TRANSACTIONS = "/finances/2024-06-19/transactions"
REPORTS = "/reports/2021-06-30/reports"
DOCUMENTS = "/reports/2021-06-30/documents"
REPORT_TYPE = "GET_V2_SETTLEMENT_REPORT_DATA_FLAT_FILE_V2"
#: Name and language, as the vendor's page on connecting asks for it.
USER_AGENT = "SyncAssets/1.0 (Language=Python)"
PAGE = 500
#: A slice of time that is read whole and sorted, far below the 180 days.
SLICE = timedelta(days=7)
LATE = timedelta(hours=48)
#: How near to now a search may end; a little more than the two minutes, clocks differ.
UNTIL = timedelta(seconds=150)
KEPT = timedelta(days=90)
SECOND = timedelta(seconds=1)
#: A token is renewed so long before it ends, for a call that is on its way then.
SPARE_SECONDS = 60
#: A settlement of a million rows has some 250 MB.
LARGEST_REPORT = 512 * 2**20
LONGEST_ID = 255
_GZIP = b"\x1f\x8b"

Params = Mapping[str, str | int]


class Amazon:
    """One seller account. `http` carries its region's address, `token_http` that of the sign-in.

    Neither carries the token: it is sent with calls of the API, and never to where reports lie.
    """

    things = ("transactions",)

    def __init__(
        self,
        http: httpx.Client,
        system: str,
        token_http: httpx.Client,
        client_id: str,
        client_secret: str,
        refresh_token: str,
        *,
        marketplace_ids: Sequence[str] = (),
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        clock: Callable[[], float] = time.monotonic,
        largest: int = LARGEST_REPORT,
    ) -> None:
        self.http, self.token_http, self.system = http, token_http, system
        self.marketplace_ids, self.now, self._clock = tuple(marketplace_ids), now, clock
        self.largest = largest
        self._credentials = {
            "grant_type": "refresh_token",
            "refresh_token": refresh_token,
            "client_id": client_id,
            "client_secret": client_secret,
        }
        self._token, self._token_ends = "", 0.0

    def ping(self) -> str:
        """Ask for the last hour; raises SignInAgain where credentials or the role fail."""
        end = self.now() - UNTIL
        items, _ = self._page(_between(end - timedelta(hours=1), end))
        body = next((one.body for one in items if isinstance(one, Raw)), {})
        who = body.get("sellingPartnerMetadata")
        seller = who.get("sellingPartnerId") if isinstance(who, dict) else None
        return f"Amazon, seller {seller}" if isinstance(seller, str) else "Amazon"

    def changed_since(
        self, thing: str, moment: datetime, overlap: timedelta
    ) -> Iterator[list[Raw | Broken]]:
        """Yield pages of what was posted, oldest first.

        Amazon may list a transaction 48 hours late: the overlap is never shorter than that.
        """
        if thing not in self.things:
            raise ValueError(f"{self.system} has no {thing}; it has {', '.join(self.things)}")
        end = self.now() - UNTIL
        start = moment - max(overlap, LATE)
        while start < end:
            until = min(start + SLICE, end)
            yield from self._slice(start, until)
            start = until

    def of_payout_day(self, day: date) -> Iterator[tuple[str, list[Raw | Broken]]]:
        """Yield the transactions posted on a day in UTC; they are complete two days after it.

        What was paid out on a day stands in the settlement report.
        """
        start = datetime.combine(day, clock_time(), UTC)
        end = min(start + timedelta(days=1), self.now() - UNTIL)
        if start < end:
            for page in self._slice(start, end):
                yield "transactions", page

    def reports_since(
        self, moment: datetime, known: Container[str] = ()
    ) -> Iterator[tuple[str, bytes]]:
        """Yield name and content of the settlement reports made since, the oldest first.

        A name is `settlement-<report id>.txt`; those that are known already are not fetched.
        """
        asked: dict[str, str | int] = {
            "reportTypes": REPORT_TYPE,
            "processingStatuses": "DONE",
            "createdSince": _stamp(max(moment, self.now() - KEPT + UNTIL)),
            "pageSize": 100,
        }
        if self.marketplace_ids:
            asked["marketplaceIds"] = ",".join(self.marketplace_ids)
        for name, document in self._listed(asked):
            if name not in known:
                yield name, self._document(document)

    # Transactions

    def _slice(self, start: datetime, end: datetime) -> Iterator[list[Raw | Broken]]:
        """Yield pages of a slice of time; the list promises no order, so it is read whole."""
        found: list[Raw | Broken] = []
        asked: dict[str, str | int] = _between(start, end)
        while True:
            items, token = self._page(asked)
            found += items
            if token is None:
                break
            if token == asked.get("nextToken"):
                raise ContractBroken(self.system, "the list of transactions does not go on")
            asked["nextToken"] = token  # beside what was asked for at first
        broken: list[Raw | Broken] = [one for one in found if isinstance(one, Broken)]
        raws = sorted((one for one in found if isinstance(one, Raw)), key=_order)
        rows = broken + raws
        for place in range(0, len(rows), PAGE):
            yield rows[place : place + PAGE]

    def _page(self, asked: Params) -> tuple[list[Raw | Broken], str | None]:
        answer = self._get(TRANSACTIONS, asked)
        try:
            said = members(members(answer.text)["payload"][0])
            items = [self._item(*cut) for cut in elements(said["transactions"][0])]
        except (KeyError, ValueError, ArithmeticError, RecursionError) as fault:
            raise ContractBroken(self.system, f"the transactions are broken: {fault}") from fault
        return items, self._next(said.get("nextToken", ("", None))[1])

    def _item(self, text: str, value: Any) -> Raw | Broken:
        if not isinstance(value, dict):
            return Broken(self.system, None, text, "the item is not an object")
        key = value.get("transactionId")
        if not isinstance(key, str) or not 0 < len(key) <= LONGEST_ID or not key.isprintable():
            return Broken(self.system, None, text, "the item has no transactionId")
        posted_at = moment_of(value.get("postedDate"))
        if posted_at is None:
            return Broken(self.system, key, text, "the item has no readable postedDate")
        return Raw(key, text, value, posted_at)

    def _next(self, token: object) -> str | None:
        if token is not None and not isinstance(token, str):
            raise ContractBroken(self.system, "nextToken is no text")
        return token or None

    # Reports

    def _listed(self, asked: Params) -> list[tuple[str, str]]:
        """Name and document of each report, the oldest first; the list begins with the newest."""
        found: list[tuple[datetime, str, str]] = []
        while True:
            body = self._object(self._get(REPORTS, asked))
            reports = body.get("reports")
            if not isinstance(reports, list):
                raise ContractBroken(self.system, "the list of reports is none")
            found += [self._report(one) for one in reports if _is_done(one)]
            token = self._next(body.get("nextToken"))
            if token is None:
                return [(name, document) for _, name, document in sorted(found)]
            if token == asked.get("nextToken"):
                raise ContractBroken(self.system, "the list of reports does not go on")
            asked = {"nextToken": token}  # anything beside it is refused

    def _report(self, one: Mapping[str, Any]) -> tuple[datetime, str, str]:
        key, document = one.get("reportId"), one.get("reportDocumentId")
        made_at = moment_of(one.get("createdTime"))
        if not _is_id(key) or not _is_id(document) or made_at is None:
            raise ContractBroken(self.system, "a report has no id, document or time")
        return made_at, f"settlement-{key}.txt", str(document)

    def _document(self, document: str) -> bytes:
        body = self._object(self._get(f"{DOCUMENTS}/{document}", {}))
        url, packed = body.get("url"), body.get("compressionAlgorithm")
        if not isinstance(url, str) or not url.startswith("https://"):
            raise ContractBroken(self.system, "a report has no https address")
        if packed not in (None, "GZIP"):
            raise ContractBroken(self.system, "a report is packed in a way that we do not know")
        # Told not to pack it for the way: the limit holds for what is unpacked, too.
        headers = {"Accept-Encoding": "identity", "User-Agent": USER_AGENT}
        answer = self.http.get(url, headers=headers, follow_redirects=False)
        if answer.status_code == 403:
            raise TryAgain(self.system, "the report's address has expired; ask for the list again")
        if answer.status_code >= 400:
            where = f"{redacted_url(url)} answered {answer.status_code}"
            raise_for_refusal(self.system, answer, None, where)
        if not answer.is_success:
            raise ContractBroken(self.system, f"a report answered {answer.status_code}")
        content = answer.content
        if packed and content.startswith(_GZIP):
            content = self._unpacked(content)
        if len(content) > self.largest:
            told = f"a report has more than {self.largest} bytes; fetch it yourself into the inbox"
            raise Refused(self.system, told)
        return content

    def _unpacked(self, content: bytes) -> bytes:
        """The content of all packed pieces; a byte more than allowed where it is too large."""
        found, rest = b"", content
        while rest and len(found) <= self.largest:
            unpacking = zlib.decompressobj(wbits=31)
            try:
                found += unpacking.decompress(rest, self.largest + 1 - len(found))
            except zlib.error as fault:
                told = f"a report cannot be unpacked: {fault}"
                raise ContractBroken(self.system, told) from fault
            if not unpacking.eof and len(found) <= self.largest:
                raise ContractBroken(self.system, "a report ends before all of it was unpacked")
            rest = unpacking.unused_data
        return found

    # The wire

    def _object(self, answer: httpx.Response) -> dict[str, Any]:
        body = exact_json(self.system, answer.content)
        if not isinstance(body, dict):
            raise ContractBroken(self.system, "the answer is no object")
        return body

    def _get(self, path: str, asked: Params) -> httpx.Response:
        """Ask with a token; one that is not taken is renewed once. Amazon says 403 of an old one,
        as of a missing role.
        """
        signed_in = bool(self._token)
        answer = self._ask(path, asked)
        if answer.status_code in (401, 403) and signed_in:
            self._token = ""
            answer = self._ask(path, asked)
        self._refuse(answer)
        return answer

    def _ask(self, path: str, asked: Params) -> httpx.Response:
        headers = {"x-amz-access-token": self._signed_in(), "User-Agent": USER_AGENT}
        return self.http.get(path, params=dict(asked), headers=headers)

    def _signed_in(self) -> str:
        """The token of an hour; it is kept in memory only."""
        if self._token and self._clock() < self._token_ends:
            return self._token
        answer = self.token_http.post(
            TOKEN,
            data=self._credentials,
            headers={"User-Agent": USER_AGENT},
            extensions={"safe": True},  # signing in twice changes nothing
        )
        if answer.status_code in (400, 401):
            code, message = _error(answer)
            told = message or "the refresh token is not taken"
            raise SignInAgain(self.system, f"{told}; authorise the application anew", code=code)
        self._refuse(answer)
        said = self._object(answer)
        token, seconds = said.get("access_token"), said.get("expires_in")
        if not isinstance(token, str) or not token or type(seconds) is not int:
            raise ContractBroken(self.system, "signing in gave no token")
        self._token, self._token_ends = token, self._clock() + seconds - SPARE_SECONDS
        return token

    def _refuse(self, answer: httpx.Response) -> None:
        if answer.status_code >= 400:
            raise_for_refusal(self.system, answer, *_error(answer))
        if not answer.is_success:
            raise ContractBroken(self.system, f"answered {answer.status_code}")


def _error(answer: httpx.Response) -> tuple[str | None, str]:
    """Code and message of the first error of the API, or of the sign-in, with Amazon's request."""
    try:
        body = answer.json()
        if "errors" in body:
            error = body["errors"][0]
            code, message = str(error["code"]), str(error.get("message") or "")
            details = error.get("details")
        else:
            code, message = str(body["error"]), str(body.get("error_description") or "")
            details = None
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError):
        return None, ""
    told = f"{message} ({details})" if details and details != message else message
    request = answer.headers.get("x-amzn-RequestId")
    return code, f"{told} [request {request}]" if request else told


def _between(start: datetime, end: datetime) -> dict[str, str | int]:
    return {"postedAfter": _stamp(start), "postedBefore": _stamp(end)}


def _stamp(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _order(one: Raw) -> tuple[datetime, str]:
    return one.changed_at, one.resource_id


def _is_done(one: object) -> bool:
    """Whether a report of a list is one that can be fetched."""
    wanted = ("DONE", REPORT_TYPE)
    return isinstance(one, dict) and (one.get("processingStatus"), one.get("reportType")) == wanted


def _is_id(value: object) -> bool:
    """Whether a word can be an id, and stand in a path or a file's name as it is."""
    plain = (
        value.replace("-", "").replace("_", "").replace(".", "") if isinstance(value, str) else ""
    )
    return (
        isinstance(value, str) and len(value) <= LONGEST_ID and plain.isascii() and plain.isalnum()
    )
