"""A PayPal business account as its reporting tells it: transactions by window of time, balances,
text as sent. What a transaction means is for the mapper of settlements.

Facts of developer.paypal.com/docs/api/transaction-search/v1: a search spans at most 31 days and
three years back, a page holds at most 500 of at most 10,000 transactions, and one may appear three
hours late. Only what moves a balance is asked for.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from datetime import time as clock_time
from typing import Any

import httpx

from resources.errors import ContractBroken, Refused, SignInAgain, TryAgain
from resources.http import exact_json, raise_for_refusal
from resources.pages import Broken, Raw, moment_of
from resources.systems.json_cuts import elements, members

TOKEN = "/v1/oauth2/token"  # noqa: S105 - a path
TRANSACTIONS = "/v1/reporting/transactions"
BALANCES = "/v1/reporting/balances"
PAGE = 500
WINDOW = timedelta(days=31)
LATE = timedelta(hours=3)
KEPT = timedelta(days=3 * 365)
SECOND = timedelta(seconds=1)
#: A token is renewed so long before it ends, for a call that is on its way then.
SPARE_SECONDS = 60
TOO_MANY = "RESULTSET_TOO_LARGE"
NOT_YET = "start date is not available"


class PayPal:
    """One account. `http` carries its address; the client signs in itself."""

    things = ("transactions",)

    def __init__(
        self,
        http: httpx.Client,
        system: str,
        client_id: str,
        secret: str,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.http, self.system, self.now, self._clock = http, system, now, clock
        self._credentials = httpx.BasicAuth(client_id, secret)
        self._token, self._token_ends = "", 0.0

    def ping(self) -> str:
        """Ask for one transaction; raises SignInAgain where credentials or permission fail."""
        end = self.now() - LATE
        said = members(self._search(end - LATE, end, 1, size=1).text)
        account = said.get("account_number", ("", None))[1]
        return f"PayPal, account {account}" if isinstance(account, str) else "PayPal"

    def changed_since(
        self, thing: str, moment: datetime, overlap: timedelta
    ) -> Iterator[list[Raw | Broken]]:
        """Yield pages of what changed, oldest window first, each window in order of change.

        PayPal may show a transaction three hours late: the overlap is never shorter than that.
        """
        self._known(thing)
        now = self.now()
        start = max(moment - max(overlap, LATE), now - KEPT)
        while start < now:
            end = min(start + WINDOW - SECOND, now)
            yield from self._window(start, end)
            start = end + SECOND

    def of_payout_day(self, day: date) -> Iterator[tuple[str, list[Raw | Broken]]]:
        """Yield the transactions of one day in UTC; they are complete three hours after it."""
        start = datetime.combine(day, clock_time(), UTC)
        if start > self.now():
            return
        for page in self._window(start, start + timedelta(days=1) - SECOND):
            yield "transactions", page

    def balances(self, at: datetime | None = None) -> Raw:
        """The balances of all currencies at a moment, or the newest that are known."""
        asked = {"as_of_time": _stamp(at)} if at else {}
        answer = self._get(BALANCES, asked)
        body = exact_json(self.system, answer.content)
        known_at = moment_of(body.get("as_of_time")) if isinstance(body, dict) else None
        if known_at is None or not isinstance(body.get("balances"), list):
            raise ContractBroken(self.system, "the balances have no list or no time")
        return Raw(_stamp(known_at), answer.text, body, known_at)

    # Windows and pages

    def _window(self, start: datetime, end: datetime) -> Iterator[list[Raw | Broken]]:
        """Yield the pages of one window, or of its parts where it holds more than is served.

        The search promises no order: a window, of at most 10,000, is read whole and then sorted.
        """
        try:
            found = self._read(start, end)
        except Refused as refusal:
            if NOT_YET in refusal.message and start > self.now() - LATE:
                told = "has not got that far yet; ask again in three hours"
                raise TryAgain(self.system, told, code=refusal.code) from refusal
            if refusal.code != TOO_MANY or end - start < 2 * SECOND:
                raise
            middle = start + ((end - start) // 2 // SECOND) * SECOND
            yield from self._window(start, middle)
            yield from self._window(middle + SECOND, end)
            return
        broken: list[Raw | Broken] = [one for one in found if isinstance(one, Broken)]
        raws = sorted((one for one in found if isinstance(one, Raw)), key=lambda o: o.changed_at)
        rows = broken + raws
        for place in range(0, len(rows), PAGE):
            yield rows[place : place + PAGE]

    def _read(self, start: datetime, end: datetime) -> list[Raw | Broken]:
        found: list[Raw | Broken] = []
        page = pages = 1
        while page <= pages:
            answer = self._search(start, end, page)
            items, pages = self._page(answer)
            if page < pages and not items:
                raise ContractBroken(self.system, f"page {page} of {pages} is empty")
            found += items
            page += 1
        return found

    def _page(self, answer: httpx.Response) -> tuple[list[Raw | Broken], int]:
        try:
            said = members(answer.text)
            pages = said["total_pages"][1]
            listed = said.get("transaction_details", ("[]", []))
            items = [self._item(*cut) for cut in elements(listed[0])]
        except (KeyError, ValueError, ArithmeticError, RecursionError) as fault:
            raise ContractBroken(self.system, f"the transactions are broken: {fault}") from fault
        if type(pages) is not int:
            raise ContractBroken(self.system, "total_pages is no number")
        return items, pages

    def _item(self, text: str, value: Any) -> Raw | Broken:
        info = value.get("transaction_info") if isinstance(value, dict) else None
        if not isinstance(info, dict):
            return Broken(self.system, None, text, "the item has no transaction_info")
        key = info.get("transaction_id")
        if not isinstance(key, str) or not key or not key.isprintable():
            return Broken(self.system, None, text, "the item has no transaction_id")
        names = ("transaction_updated_date", "transaction_initiation_date")
        changed_at = next((m for name in names if (m := moment_of(info.get(name)))), None)
        if changed_at is None:
            return Broken(self.system, key, text, f"the item has no readable {names[0]}")
        return Raw(key, text, value, changed_at)

    def _known(self, thing: str) -> None:
        if thing not in self.things:
            raise ValueError(f"{self.system} has no {thing}; it has {', '.join(self.things)}")

    # The wire

    def _search(
        self, start: datetime, end: datetime, page: int, size: int | None = None
    ) -> httpx.Response:
        asked: dict[str, str | int] = {
            "start_date": _stamp(start),
            "end_date": _stamp(end),
            "fields": "all",
            "page_size": size or PAGE,
            "page": page,
        }
        return self._get(TRANSACTIONS, asked)

    def _get(self, path: str, asked: Mapping[str, str | int]) -> httpx.Response:
        """Ask with a token; one that was taken back before its time is renewed once."""
        answer = self._ask(path, asked)
        if answer.status_code == 401:
            self._token = ""
            answer = self._ask(path, asked)
        self._refuse(answer)
        return answer

    def _ask(self, path: str, asked: Mapping[str, str | int]) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self._signed_in()}"}
        return self.http.get(path, params=asked, headers=headers)

    def _signed_in(self) -> str:
        """The token of about nine hours; it is kept in memory only."""
        if self._token and self._clock() < self._token_ends:
            return self._token
        answer = self.http.post(
            TOKEN,
            data={"grant_type": "client_credentials"},
            auth=self._credentials,
            extensions={"safe": True},  # signing in twice changes nothing
        )
        if answer.status_code in (400, 401):  # PayPal says 401; OAuth allows 400
            code, message = _error(answer)
            raise SignInAgain(self.system, message or "the client id is not taken", code=code)
        self._refuse(answer)
        said = exact_json(self.system, answer.content)
        said = said if isinstance(said, dict) else {}
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
    """Code and message of an error body, with its details and the id PayPal asks for."""
    try:
        body = answer.json()
        code = str(body["name"] if "name" in body else body["error"])
        message = str(body.get("message") or body.get("error_description") or "")
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None, ""
    details = body.get("details")
    issues = [
        str(one.get("description") or one.get("issue"))
        for one in (details if isinstance(details, list) else ())
        if isinstance(one, dict)
    ]
    debug = body.get("debug_id")
    told = f"{message} ({'; '.join(issues)})" if issues else message
    return code, f"{told} [debug id {debug}]" if debug else told


def _stamp(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
