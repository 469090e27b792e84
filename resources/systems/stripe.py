"""A Stripe account that is read: what moved its balance, and the charges, refunds, disputes and
payouts behind it, text as sent. What they mean is for the mapper `stripe_settlements`.

Stripe lists the newest first and by creation only. Walks go in slices of time, the oldest slice
first, each read whole and turned round; so a reader that breaks off has lost nothing behind its
watermark. What changed after its creation is found by the account's events, which Stripe keeps for
30 days; of an older window only what was created in it is found, as it is now.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import httpx

from resources.errors import ContractBroken, Missing
from resources.http import exact_json, raise_for_refusal
from resources.pages import Broken, Raw
from resources.systems.json_cuts import elements, members

#: The contract our requests and answers are tested against; newer fields come all the same.
VERSION = "2022-11-15"
#: The most Stripe gives at once, and enough to see the newest that can be read.
PAGE, GLANCE = 100, 10
#: A slice of time, and the longest one where nothing happens.
SLICE, LONGEST_SLICE = 86_400, 32 * 86_400
LONGEST_ID = 255
_TOO_LATE = 10**11

Params = Mapping[str, str | int | list[str]]
#: What comes along with a thing: a line's charge, refund or dispute, and when money was booked.
EXPAND = {
    "balance_transactions": ("source",),
    "charges": ("balance_transaction",),
    "refunds": ("balance_transaction", "failure_balance_transaction"),
    "disputes": (),
    "payouts": ("failure_balance_transaction",),
}
#: Events whose object is such a thing, and says that it changed.
EVENTS = {
    "charges": (
        *("charge.captured", "charge.expired", "charge.failed", "charge.refunded"),
        *("charge.succeeded", "charge.updated"),
    ),
    "refunds": ("charge.refund.updated", "refund.created", "refund.failed", "refund.updated"),
    "disputes": (
        *("charge.dispute.created", "charge.dispute.updated", "charge.dispute.closed"),
        *("charge.dispute.funds_withdrawn", "charge.dispute.funds_reinstated"),
    ),
    "payouts": (
        *("payout.created", "payout.updated", "payout.paid", "payout.failed", "payout.canceled"),
        "payout.reconciliation_completed",
    ),
}


class Stripe:
    """One account. `http` carries its address and its key, as a bearer or the user of Basic."""

    things = ("balance_transactions", "charges", "refunds", "disputes", "payouts")

    def __init__(self, http: httpx.Client, system: str) -> None:
        self.http, self.system = http, system

    def ping(self) -> str:
        """Ask for the balance; raises SignInAgain where our key is not taken or may not read it."""
        is_live = exact_json(self.system, self._get("balance", {})).get("livemode")
        return "Stripe, live mode" if is_live is True else "Stripe, test mode"

    def changed_since(
        self, thing: str, moment: datetime, overlap: timedelta
    ) -> Iterator[list[Raw | Broken]]:
        """Yield pages of what was created or changed since, oldest change first.

        `changed_at` is the latest event of a thing in its slice of time, else its creation.
        Balance transactions never change: they are found by creation alone.
        """
        start = max(0, int((moment - overlap).timestamp()))
        last, width = self._newest(thing, start), SLICE
        while last is not None and start <= last:
            rows = self._slice(thing, start, start + width)
            for at in range(0, len(rows), PAGE):
                yield rows[at : at + PAGE]
            start += width
            width = SLICE if rows else min(width * 2, LONGEST_SLICE)

    def of_payout_day(self, day: date) -> Iterator[tuple[str, list[Raw | Broken]]]:
        """Yield pages of the payouts that arrive on a day in UTC, then of what each is made of.

        What a person paid out by hand is made of nothing Stripe knows: of it, only its own
        transaction comes.
        """
        since = int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())
        asked = _within("arrival_date", since, since + 86_400)
        payouts: list[Raw] = []
        for page in self._walked("payouts", asked):
            payouts += [one for one in page if isinstance(one, Raw)]
            yield "payouts", page
        for payout in sorted(payouts, key=lambda one: (one.changed_at, one.resource_id)):
            for page in self._lines_of(payout):
                yield "balance_transactions", [_of_payout(one, payout) for one in page]

    # Walking

    def _lines_of(self, payout: Raw) -> Iterator[list[Raw | Broken]]:
        if payout.body.get("automatic") is not False:
            # Stripe refuses the filter for payouts made by hand.
            yield from self._walked("balance_transactions", {"payout": payout.resource_id})
            return
        own = payout.body.get("balance_transaction")
        one = self._read("balance_transactions", own) if isinstance(own, str) else None
        if one is not None:
            yield [one]

    def _newest(self, thing: str, since: int) -> int | None:
        """When the newest thing or event since was made; nothing later is promised by a walk."""
        asked: dict[str, str | int | list[str]] = {"created[gte]": since, "limit": GLANCE}
        moments = [self._first(thing, asked, since)]
        if thing in EVENTS:
            told = asked | {"types[]": list(EVENTS[thing])}
            moments.append(self._first("events", told, since))
        return max((one for one in moments if one is not None), default=None)

    def _first(self, thing: str, asked: dict[str, str | int | list[str]], since: int) -> int | None:
        """When the newest of a list that can be read was made; `since`, if none of it can be."""
        found = None
        for page in self._walked(thing, asked):
            found = since
            moments = (one.changed_at for one in page if isinstance(one, Raw))
            if (newest := next(moments, None)) is not None:
                return int(newest.timestamp())
        return found

    def _slice(self, thing: str, start: int, end: int) -> list[Raw | Broken]:
        """What was created or changed in a slice of time, oldest change first."""
        broken: list[Raw | Broken] = []
        found: dict[str, Raw] = {}
        for page in self._walked(thing, _within("created", start, end)):
            broken += [one for one in page if isinstance(one, Broken)]
            found |= {one.resource_id: one for one in page if isinstance(one, Raw)}
        known = set(found) | {one.resource_id for one in broken}
        for key, at in self._told(thing, start, end).items():
            if key in found:
                found[key] = replace(found[key], changed_at=max(found[key].changed_at, at))
            elif key not in known and (one := self._read(thing, key)) is not None:
                if isinstance(one, Raw):
                    found[key] = replace(one, changed_at=at)
                else:
                    broken.append(one)
        return broken + sorted(found.values(), key=lambda one: (one.changed_at, one.resource_id))

    def _told(self, thing: str, start: int, end: int) -> dict[str, datetime]:
        """Ids of things that events of a slice of time are about, with the latest event of each."""
        if thing not in EVENTS:
            return {}
        told: dict[str, datetime] = {}
        asked = _within("created", start, end) | {"types[]": list(EVENTS[thing])}
        for page in self._walked("events", asked):
            for event in page:
                about = _about(event) if isinstance(event, Raw) else None
                if about is None or not isinstance(event, Raw):
                    raise ContractBroken(self.system, "an event does not say what it is about")
                told[about] = max(event.changed_at, told.get(about, event.changed_at))
        return told

    def _walked(
        self, thing: str, asked: dict[str, str | int | list[str]]
    ) -> Iterator[list[Raw | Broken]]:
        """Walk a list from its newest item back; what is added on top moves nothing."""
        asked = {"limit": PAGE, **asked}
        if EXPAND.get(thing):
            asked["expand[]"] = [f"data.{name}" for name in EXPAND[thing]]
        while True:
            items, has_more = self._page(thing, asked, thing)
            if items:
                yield items
            if not has_more:
                return
            last = items[-1].resource_id if items else None
            if last is None or last == asked.get("starting_after"):
                raise ContractBroken(self.system, f"the list of {thing} does not go on")
            asked["starting_after"] = last

    def _read(self, thing: str, key: str) -> Raw | Broken | None:
        """One thing as it is now; None where it is gone."""
        if not _is_id(key):
            return None
        asked = {"expand[]": list(EXPAND[thing])} if EXPAND[thing] else {}
        try:
            text = self._get(f"{thing}/{key}", asked)
        except Missing:
            return None
        return self._item(text, exact_json(self.system, text))

    # The wire

    def _page(self, path: str, asked: Params, what: str) -> tuple[list[Raw | Broken], bool]:
        text = self._get(path, asked)
        try:
            said = members(text)
            items = [self._item(*cut) for cut in elements(said["data"][0])]
        except (KeyError, ValueError, ArithmeticError, RecursionError) as fault:
            raise ContractBroken(self.system, f"the list of {what} is broken: {fault}") from fault
        return items, said.get("has_more", ("", False))[1] is True

    def _get(self, path: str, asked: Params) -> str:
        answer = self.http.get(
            f"/v1/{path}", params=dict(asked), headers={"Stripe-Version": VERSION}
        )
        if "Request-Id" in answer.headers:  # Stripe's name of what finds a call in its logs
            answer.headers["X-Request-Id"] = answer.headers["Request-Id"]
        if answer.status_code >= 400:
            raise_for_refusal(self.system, answer, *_error(answer))
        if not answer.is_success:
            raise ContractBroken(self.system, f"answered {answer.status_code}")
        return answer.text

    def _item(self, text: str, value: Any) -> Raw | Broken:
        if not isinstance(value, dict):
            return Broken(self.system, None, text, "the item is not an object")
        key, made = value.get("id"), value.get("created")
        if not isinstance(key, str) or not _is_id(key):
            return Broken(self.system, None, text, "the item has no id")
        if type(made) is not int or not 0 <= made < _TOO_LATE:
            return Broken(self.system, key, text, "the item has no readable created")
        return Raw(key, text, value, datetime.fromtimestamp(made, UTC))


def _within(name: str, start: int, end: int) -> dict[str, str | int | list[str]]:
    return {f"{name}[gte]": start, f"{name}[lt]": end}


def _of_payout(line: Raw | Broken, payout: Raw) -> Raw | Broken:
    """A balance transaction with its payout written into it, under a name of ours.

    Stripe names the payout of a transaction nowhere in it: only a list asked for by payout tells,
    and what is kept must say for itself. It is newer than the same transaction read by creation,
    because it joined the payout when that was made.
    """
    if isinstance(line, Broken):
        return line
    key, rest = payout.resource_id, line.text[1:].lstrip()
    text = f'{{"_payout": "{key}", {rest}'
    changed_at = max(line.changed_at, payout.changed_at)
    return Raw(line.resource_id, text, {"_payout": key, **line.body}, changed_at)


def _about(event: Raw) -> str | None:
    data = event.body.get("data")
    thing = data.get("object") if isinstance(data, dict) else None
    key = thing.get("id") if isinstance(thing, dict) else None
    return key if isinstance(key, str) else None


def _error(answer: httpx.Response) -> tuple[str | None, str]:
    """Code and message of an error body, with the parameter it is about."""
    try:
        error = answer.json()["error"]
        code, message = error.get("code") or error["type"], str(error.get("message") or "")
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None, ""
    param = error.get("param")
    return str(code), f"{message} ({param})" if param else message


def _is_id(value: str) -> bool:
    """Whether a word can be an id, and stand in a path as it is."""
    return 0 < len(value) <= LONGEST_ID and value.isascii() and value.replace("_", "").isalnum()
