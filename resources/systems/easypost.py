"""An EasyPost account that follows parcels: trackers made, read by id and read by change, text as
sent. What a tracker says of its parcel is for the mapper of the same name.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from resources.errors import ContractBroken, Missing, Refused, RemoteError, TryAgain
from resources.http import exact_json, raise_for_refusal
from resources.pages import Broken, Raw, moment_of
from resources.systems.json_cuts import elements, members

PATH = "/v2/trackers"
PAGE = 100
#: A tracking number is followed so long; then the same one may mean another parcel.
FOLLOWED = timedelta(days=92)
LONGEST_ID = 120


class EasyPost:
    """One account. `http` carries its address and, as the user of Basic auth, its key."""

    def __init__(self, http: httpx.Client, system: str) -> None:
        self.http, self.system = http, system

    def ping(self) -> str:
        """Ask for one tracker; raises SignInAgain where our key is not taken."""
        items, _ = self._page({"page_size": 1})
        mode = items[0].body.get("mode") if items and isinstance(items[0], Raw) else None
        return f"EasyPost, {mode} mode" if isinstance(mode, str) else "EasyPost"

    def track(self, numbers: Sequence[tuple[str, str | None]]) -> dict[str, Raw | RemoteError]:
        """Follow tracking numbers, with EasyPost's name of the carrier if known; answers by number.

        A number already followed answers the tracker it has. Once EasyPost cannot be reached,
        the rest is not asked for; it is answered with the same fault.
        """
        answers: dict[str, Raw | RemoteError] = {}
        away: TryAgain | None = None
        for number, carrier in numbers:
            if away is not None:
                answers[number] = away
                continue
            try:
                answers[number] = self._tracked(number, carrier)
            except TryAgain as fault:
                answers[number] = away = fault
            except (Refused, ContractBroken) as fault:
                answers[number] = fault
        return answers

    def _tracked(self, number: str, carrier: str | None) -> Raw:
        wanted = {"tracking_code": number} | ({"carrier": carrier} if carrier else {})
        # Made twice, it is the same tracker: the call may be repeated as if it were a read.
        answer = self.http.post(PATH, json={"tracker": wanted}, extensions={"safe": True})
        return self._one(answer)

    def trackers_by_id(self, ids: Sequence[str]) -> list[Raw | Broken]:
        """The trackers that exist."""
        found: list[Raw | Broken] = []
        for one in dict.fromkeys(ids):
            if not _is_id(one):
                continue
            try:
                found.append(self._one(self.http.get(f"{PATH}/{one}")))
            except Missing:
                continue
        return found

    def trackers_changed_since(
        self, moment: datetime, overlap: timedelta
    ) -> Iterator[list[Raw | Broken]]:
        """Yield pages of trackers that changed, oldest change first.

        EasyPost lists by creation only. All those made within `FOLLOWED` are read, before the
        first page is given out; what changes meanwhile is in the next window.
        """
        since = moment - overlap
        found: dict[str, Raw] = {}
        broken: list[Raw | Broken] = []
        for page in self._walked(since - FOLLOWED):
            broken += [one for one in page if isinstance(one, Broken)]
            fresh = (one for one in page if isinstance(one, Raw) and one.changed_at >= since)
            found |= {one.resource_id: one for one in fresh}
        rows = broken + sorted(found.values(), key=lambda one: one.changed_at)
        for start in range(0, len(rows), PAGE):
            yield rows[start : start + PAGE]

    def _walked(self, made_since: datetime) -> Iterator[list[Raw | Broken]]:
        """Walk the list from the newest tracker back; what is added on top moves nothing."""
        start = made_since.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        asked: dict[str, str | int] = {"page_size": PAGE, "start_datetime": start}
        while True:
            items, has_more = self._page(asked)
            yield items
            if not has_more:
                return
            last = items[-1].resource_id if items else None
            if last is None or last == asked.get("before_id"):
                raise ContractBroken(self.system, "the list of trackers does not go on")
            asked["before_id"] = last

    # The wire

    def _page(self, asked: dict[str, str | int]) -> tuple[list[Raw | Broken], bool]:
        answer = self.http.get(PATH, params=asked)
        self._refuse(answer)
        try:
            said = members(answer.text)
            items = [self._item(*cut) for cut in elements(said["trackers"][0])]
        except (KeyError, ValueError, ArithmeticError, RecursionError) as fault:
            raise ContractBroken(self.system, f"the list of trackers is broken: {fault}") from fault
        return items, said.get("has_more", ("", False))[1] is True

    def _one(self, answer: httpx.Response) -> Raw:
        self._refuse(answer)
        item = self._item(answer.text, exact_json(self.system, answer.content))
        if isinstance(item, Broken):
            raise ContractBroken(self.system, f"the tracker cannot be kept: {item.reason}")
        return item

    def _item(self, text: str, value: Any) -> Raw | Broken:
        if not isinstance(value, dict):
            return Broken(self.system, None, text, "the item is not an object")
        key = value.get("id")
        if not isinstance(key, str) or not _is_id(key):
            return Broken(self.system, None, text, "the item has no id")
        changed_at = moment_of(value.get("updated_at"))
        if changed_at is None:
            return Broken(self.system, key, text, "the item has no readable updated_at")
        return Raw(key, text, value, changed_at)

    def _refuse(self, answer: httpx.Response) -> None:
        if answer.status_code >= 400:
            raise_for_refusal(self.system, answer, *_error(answer))
        if not answer.is_success:
            raise ContractBroken(self.system, f"answered {answer.status_code}")


def _error(answer: httpx.Response) -> tuple[str | None, str]:
    """Code and message of an error body, with what it says of single fields."""
    try:
        error = answer.json()["error"]
        code, message = str(error["code"]), str(error["message"])
    except (ValueError, TypeError, KeyError, RecursionError):
        return None, ""
    details = error.get("errors")
    fields = [
        f"{one.get('field')}: {one.get('message')}"
        for one in (details if isinstance(details, list) else ())
        if isinstance(one, dict)
    ]
    return code, f"{message} ({'; '.join(fields)})" if fields else message


def _is_id(value: str) -> bool:
    """Whether a word can be an id, and stand in a path as it is."""
    return len(value) <= LONGEST_ID and value.isascii() and value.replace("_", "").isalnum()
