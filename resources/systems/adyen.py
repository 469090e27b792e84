"""Adyen's reports, fetched from where a notice says they are: only over https, only from hosts that
are configured, as the report user. What stands in a report is for `adyen_reports`.

The address comes from outside. Whoever could name another one would get the report user's password.
"""

import re
from collections.abc import Collection, Iterator
from urllib.parse import unquote, urljoin

import httpx

from resources.errors import ContractBroken, Refused
from resources.http import raise_for_refusal, redacted_url

#: A settlement of a million lines has some 250 MB.
LARGEST_REPORT = 512 * 2**20
MOST_REDIRECTS = 3
#: What may be the name of a file of ours.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")


class Adyen:
    """One account's reports. `http` signs in as the report user (role "Merchant report")."""

    def __init__(
        self,
        http: httpx.Client,
        system: str,
        hosts: Collection[str],
        largest: int = LARGEST_REPORT,
    ) -> None:
        self.http, self.system, self.largest = http, system, largest
        self.hosts = frozenset(host.casefold() for host in hosts)

    def report(self, url: str) -> tuple[str, bytes]:
        """Name and content of the report at an address that a notice names.

        As in `https://ca-live.adyen.com/reports/download/MerchantAccount/<account>/<name>.csv`.
        """
        name = self._name(self._allowed(url))
        for _ in range(MOST_REDIRECTS + 1):
            # Told not to pack it: the limit holds for what is unpacked, too.
            answer = self.http.get(
                url, headers={"Accept-Encoding": "identity"}, follow_redirects=False
            )
            if not answer.has_redirect_location:
                return name, self._content(answer)
            url = str(self._allowed(urljoin(url, answer.headers["Location"])))
        raise ContractBroken(self.system, f"was sent on more than {MOST_REDIRECTS} times")

    def _allowed(self, url: str) -> httpx.URL:
        """The address, if the password may go there."""
        try:
            found = httpx.URL(url)
        except (httpx.InvalidURL, ValueError) as fault:
            raise Refused(self.system, "the report's address cannot be read") from fault
        where = redacted_url(url)
        if found.scheme != "https" or found.userinfo or found.port not in (None, 443):
            raise Refused(self.system, f"{where} is not a plain https address; nothing was asked")
        if found.host.casefold() not in self.hosts:
            raise Refused(
                self.system,
                f"{where} is on no host of `report_hosts`; nothing was asked. Add the host if it "
                "is Adyen's; if it is a page to sign in at, check the report user",
            )
        return found

    def _name(self, url: httpx.URL) -> str:
        name = unquote(url.path).rsplit("/", 1)[-1]
        if not _NAME.fullmatch(name):
            raise Refused(self.system, "the report's address ends in no name of a file")
        return name

    def _content(self, answer: httpx.Response) -> bytes:
        if answer.status_code >= 400:
            hint = (
                "; check the report user and its role" if answer.status_code in (401, 403) else ""
            )
            raise_for_refusal(self.system, answer, None, f"answered {answer.status_code}{hint}")
        if not answer.is_success:
            raise ContractBroken(self.system, f"answered {answer.status_code}")
        if len(answer.content) > self.largest:
            raise TooLarge(self.system, self.largest)
        if answer.headers.get("Content-Type", "").casefold().startswith("text/html"):
            raise ContractBroken(
                self.system, "answered a web page, not a report; check the report user and its role"
            )
        return answer.content


class TooLarge(Refused):
    """The report has more bytes than we take."""

    def __init__(self, system: str, largest: int) -> None:
        super().__init__(
            system, f"the report has more than {largest} bytes; fetch it yourself into the inbox"
        )


class Bounded(httpx.BaseTransport):
    """A transport that stops reading an answer once it is too large, before it fills the memory.

    Give it to `resources.http.client` as its transport: what reads an answer whole stands above it.
    """

    def __init__(
        self, inner: httpx.BaseTransport, system: str, largest: int = LARGEST_REPORT
    ) -> None:
        self.inner, self.system, self.largest = inner, system, largest

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        response = self.inner.handle_request(request)
        assert isinstance(response.stream, httpx.SyncByteStream)
        response.stream = _Counted(response.stream, self.system, self.largest)
        return response

    def close(self) -> None:
        self.inner.close()


class _Counted(httpx.SyncByteStream):
    def __init__(self, inner: httpx.SyncByteStream, system: str, largest: int) -> None:
        self.inner, self.system, self.largest = inner, system, largest

    def __iter__(self) -> Iterator[bytes]:
        taken = 0
        for piece in self.inner:
            taken += len(piece)
            if taken > self.largest:
                raise TooLarge(self.system, self.largest)
            yield piece

    def close(self) -> None:
        self.inner.close()
