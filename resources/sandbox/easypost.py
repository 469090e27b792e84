"""An EasyPost account that follows parcels: trackers are made, listed and moved on, and their
changes told by signed webhooks.

Not imitated: buying labels, other objects, batches, and what carriers really say.
"""

import hashlib
import hmac
import json
import unicodedata
from base64 import b64decode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import httpx

from resources.sandbox.faults import Faults, StandIn

Doc = dict[str, Any]

PATH = "/v2/trackers"
USUAL, MOST = 20, 100
#: The same code is the same parcel so long.
ONE_PARCEL = timedelta(days=92)
HOUSTON = {"city": "HOUSTON", "state": "TX", "country": "US", "zip": "77063"}

SIGNATURE = "hmac-sha256-hex="


class Declined(Exception):
    """What is asked for is not done; carries EasyPost's answer."""

    def __init__(self, status: int, code: str, message: str, *fields: tuple[str, str]) -> None:
        super().__init__(status, code)
        errors = [{"field": name, "message": text} for name, text in fields]
        self.status = status
        self.body = {"error": {"code": code, "message": message, "errors": errors}}


@dataclass
class Scan:
    """One thing a carrier said of a parcel."""

    status: str
    detail: str
    message: str
    at: datetime
    code: str
    place: Mapping[str, str | None]


@dataclass
class Tracker:
    """What is known of one parcel; it is as far as its latest scan."""

    id: str
    code: str
    carrier: str
    created_at: datetime
    updated_at: datetime
    scans: list[Scan] = field(default_factory=list)
    signed_by: str | None = None
    expected_at: datetime | None = None
    previous: str | None = None

    @property
    def latest(self) -> Scan | None:
        """The scan it is known by."""
        return max(self.scans, key=lambda scan: scan.at, default=None)

    @property
    def status(self) -> str:
        """Where it is, in EasyPost's words."""
        return self.latest.status if self.latest else "unknown"


class EasyPostStandIn(StandIn):
    """One account in test mode."""

    name = "easypost"
    controls = frozenset({"announce", "move", "deliver", "send_back", "lose", "count"})

    def __init__(
        self,
        *,
        now: Callable[[], datetime],
        key: str = "EZTK_test",
        webhook_secret: str = "sécret",  # noqa: S107 - invented; one that NFKD changes
        faults: Faults | None = None,
    ) -> None:
        super().__init__(faults)
        self.now, self.key, self.webhook_secret = now, key, webhook_secret
        self.trackers: dict[str, Tracker] = {}
        self._made, self._events = count(1), count(1)

    # The door

    def operation(self, request: httpx.Request) -> str:
        """Name of the call, as in `GET /v2/trackers/{id}`."""
        path = request.url.path
        return f"{request.method} {PATH}/{{id}}" if _id(path) else f"{request.method} {path}"

    def answer(self, request: httpx.Request) -> httpx.Response:
        """Do what is asked and answer it, or say no in EasyPost's words."""
        try:
            status, body = self._answer(request)
        except Declined as refusal:
            status, body = refusal.status, refusal.body
        return httpx.Response(status, json=body)

    def throttled(self, seconds: float) -> httpx.Response:
        """Too many calls."""
        refusal = Declined(429, "RATE_LIMITED", "You are being rate limited.")
        return httpx.Response(429, json=refusal.body, headers={"Retry-After": f"{seconds:g}"})

    def _answer(self, request: httpx.Request) -> tuple[int, Any]:
        if _user(request) != self.key:
            raise Declined(401, "APIKEY.INACTIVE", "This api key is no longer active.")
        if (request.method, request.url.path) == ("GET", PATH):
            return 200, self._page(dict(request.url.params))
        if (request.method, request.url.path) == ("POST", PATH):
            return 201, _made(self._create(_wanted(request)))
        number = _id(request.url.path)
        if request.method != "GET" or number not in self.trackers:
            raise Declined(404, "NOT_FOUND", "The requested resource could not be found.")
        return 200, _listed(self.trackers[number])

    def _page(self, asked: Mapping[str, str]) -> Doc:
        """One page, the newest tracker first; the bounds of time are those of its making."""
        found = sorted(self.trackers.values(), key=lambda one: one.created_at)[::-1]
        for name, keeps in (("start_datetime", 1), ("end_datetime", -1)):
            if name in asked:
                bound = datetime.fromisoformat(asked[name])
                found = [one for one in found if (one.created_at - bound) * keeps >= timedelta()]
        ids = [one.id for one in found]
        if "before_id" in asked:
            last = asked["before_id"]
            found = found[ids.index(last) + 1 :] if last in ids else []
        size = min(int(asked.get("page_size", USUAL)), MOST)
        return {"trackers": list(map(_listed, found[:size])), "has_more": len(found) > size}

    def _create(self, wanted: Doc) -> Tracker:
        """Follow a parcel, or answer the tracker that does already."""
        code = wanted.get("tracking_code")
        if not isinstance(code, str) or not code.strip():
            missing = ("tracking_code", "cannot be blank")
            raise Declined(422, "PARAMETER.REQUIRED", "Missing required parameter.", missing)
        carrier = wanted.get("carrier") or ("UPS" if code.startswith("1Z") else "USPS")
        for one in self.trackers.values():
            is_recent = self.now() - one.created_at < ONE_PARCEL
            if (one.code, one.carrier) == (code, carrier) and is_recent:
                return one
        return self._follow(code, carrier)

    def _follow(self, code: str, carrier: str) -> Tracker:
        name = hashlib.sha256(f"tracker {next(self._made)}".encode()).hexdigest()[:32]
        made = Tracker(f"trk_{name}", code, carrier, self.now(), self.now())
        self.trackers[made.id] = made
        return made

    # What happens on the way, for tests and the demo

    def of(self, code: str) -> Tracker:
        """The newest tracker of a tracking number."""
        return [one for one in self.trackers.values() if one.code == code][-1]

    def announce(self, code: str, at: datetime | None = None) -> None:
        """A label was made, and nobody has the parcel yet."""
        self.move(code, "pre_transit", "label_created", "Shipping Label Created", at)

    def move(
        self,
        code: str,
        status: str,
        detail: str,
        message: str,
        at: datetime | None = None,
        *,
        carrier_code: str = "",
        place: Mapping[str, str | None] = HOUSTON,
    ) -> None:
        """Let the carrier say something; `at` may lie before what it said already."""
        tracker = self.of(code)
        tracker.previous = tracker.status
        scan = Scan(status, detail, message, at or self.now(), carrier_code, place)
        tracker.scans.append(scan)
        tracker.updated_at = self.now()
        tracker.expected_at = tracker.expected_at or scan.at + timedelta(days=3)

    def deliver(self, code: str, signed_by: str | None = None, at: datetime | None = None) -> None:
        """The customer has it."""
        self.move(code, "delivered", "arrived_at_destination", "Delivered", at)
        self.of(code).signed_by = signed_by

    def send_back(self, code: str, at: datetime | None = None) -> None:
        """It goes back to its sender."""
        self.move(code, "return_to_sender", "return", "Returned to Sender", at)

    def lose(self, code: str, at: datetime | None = None) -> None:
        """Nobody knows where it is."""
        self.move(code, "failure", "lost", "Package is lost", at)

    def count(self, code: str | None = None) -> int:
        """How many trackers there are, or of one tracking number."""
        codes = [one.code for one in self.trackers.values()]
        return len(codes) if code is None else codes.count(code)

    def webhook(
        self, code: str, description: str = "tracker.updated"
    ) -> tuple[dict[str, str], bytes]:
        """A signed delivery that tells how a parcel stands now."""
        tracker, at = self.of(code), _stamp(self.now()) or ""
        changed = {"status": tracker.previous} if description == "tracker.updated" else {}
        body = json.dumps(
            {
                "description": description,
                "mode": "test",
                "previous_attributes": changed,
                "created_at": at.replace("Z", ".000Z"),
                "pending_urls": ["https://shop.example/easypost"],
                "completed_urls": [],
                "updated_at": at.replace("Z", ".000Z"),
                "id": f"evt_{next(self._events):032x}",
                "user_id": "user_1",
                "status": "pending",
                "object": "Event",
                "result": _told(tracker),
            },
            ensure_ascii=False,
        ).encode()
        key = unicodedata.normalize("NFKD", self.webhook_secret).encode()
        signature = SIGNATURE + hmac.new(key, body, hashlib.sha256).hexdigest()
        return {"Content-Type": "application/json", "X-Hmac-Signature": signature}, body


# Their JSON


def _tracker(one: Tracker) -> Doc:
    """What every telling of a tracker has."""
    latest = one.latest
    return {
        "id": one.id,
        "object": "Tracker",
        "mode": "test",
        "tracking_code": one.code,
        "status": one.status,
        "status_detail": latest.detail if latest else "unknown",
        "created_at": _stamp(one.created_at),
        "updated_at": _stamp(one.updated_at),
        "signed_by": one.signed_by,
        "weight": None,
        "est_delivery_date": _stamp(one.expected_at),
        "shipment_id": None,
        "carrier": one.carrier,
        "tracking_details": [_scan(one, scan) for scan in sorted(one.scans, key=lambda s: s.at)],
        "carrier_detail": _carrier_detail(one),
        "public_url": f"https://track.easypost.example/{one.id}",
    }


def _made(one: Tracker) -> Doc:
    """As the answer to its making tells it: empty words are null there."""
    told = _told(one)
    blank = {"description": None, "carrier_code": None}
    told["tracking_details"] = [
        scan | {name: scan[name] or blank[name] for name in blank}
        for scan in told["tracking_details"]
    ]
    return told


def _told(one: Tracker) -> Doc:
    """As an event tells it."""
    return _tracker(one) | {"finalized": False, "is_return": False}


def _listed(one: Tracker) -> Doc:
    """As a list, and a reading of one, tell it."""
    return _tracker(one) | {"fees": []}


def _scan(one: Tracker, scan: Scan) -> Doc:
    return {
        "object": "TrackingDetail",
        "message": scan.message,
        "description": "",
        "status": scan.status,
        "status_detail": scan.detail,
        "datetime": _stamp(scan.at),
        "source": one.carrier,
        "carrier_code": scan.code,
        "tracking_location": {"object": "TrackingLocation", **scan.place},
    }


def _carrier_detail(one: Tracker) -> Doc | None:
    if not one.scans:
        return None
    names = ("container_type", "est_delivery_date_local", "est_delivery_time_local")
    later = ("guaranteed_delivery_date", "alternate_identifier", "initial_delivery_attempt")
    return {
        "object": "CarrierDetail",
        "service": "First-Class Package Service",
        **dict.fromkeys(names),
        "origin_location": "HOUSTON TX, 77001",
        "origin_tracking_location": {"object": "TrackingLocation", **HOUSTON},
        "destination_location": "CHARLESTON SC, 29401",
        "destination_tracking_location": None,
        **dict.fromkeys(later),
    }


def _stamp(moment: datetime | None) -> str | None:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if moment else None


# Calls taken apart


def _id(path: str) -> str:
    start, _, number = path.rpartition("/")
    return number if start == PATH else ""


def _user(request: httpx.Request) -> str:
    scheme, _, coded = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return ""
    return b64decode(coded).decode().partition(":")[0]


def _wanted(request: httpx.Request) -> Doc:
    try:
        body = json.loads(request.content)
    except ValueError:
        body = None
    wanted = body.get("tracker") if isinstance(body, dict) else None
    if not isinstance(wanted, dict):
        missing = ("tracker", "cannot be blank")
        raise Declined(422, "PARAMETER.REQUIRED", "Missing required parameter.", missing)
    return wanted
