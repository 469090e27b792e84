"""EasyPost's trackers: the client before a stand-in, the stand-in before recorded answers.

Every tracker that was recorded or published is mapped.
"""

import gzip
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pydantic
import pytest

import sync_assets.mappers.easypost as mapper
from resources.errors import ContractBroken, Missing, Refused, SignInAgain, Throttled, TryAgain
from resources.http import Manners, client
from resources.pages import Broken, Raw
from resources.sandbox.easypost import EasyPostStandIn
from resources.sandbox.faults import Fault, Trouble
from resources.settings import Endpoint
from resources.systems import easypost
from resources.systems.easypost import EasyPost
from sensors.webhooks.signatures import Genuine, sender_of
from sensors.webhooks.signatures import Refused as Forged
from sync_assets.domain.tracking import ParcelState, SeenEvent

SHARED = Path(__file__).resolve().parents[2].parent / "shared"
DATA = SHARED / "data" / "carriers" / "easypost"
NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
HOUR, NOTHING = timedelta(hours=1), timedelta()
CODE = "9400100000000000000001"

Doc = dict[str, Any]


class Clock:
    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        return self.now

    def tick(self, **span: float) -> None:
        self.now += timedelta(**span)


def account(clock: Clock | None = None) -> EasyPostStandIn:
    return EasyPostStandIn(now=clock or Clock())


def over(transport: httpx.BaseTransport, *, key: str = "EZTK_test", attempts: int = 1) -> EasyPost:
    http = client(
        "easypost",
        "https://api.easypost.com",
        Manners(attempts=attempts),
        auth=(key, ""),
        transport=transport,
        sleep=lambda seconds: None,
    )
    return EasyPost(http, "parcels")


def followed(*codes: str) -> tuple[EasyPostStandIn, EasyPost, Clock]:
    """An account that follows these parcels, each made a minute after the other."""
    clock = Clock()
    standin = account(clock)
    carriers = over(standin.transport())
    for code in codes or (CODE,):
        assert isinstance(carriers.track([(code, None)])[code], Raw)
        clock.tick(minutes=1)
    return standin, carriers, clock


def raws(pages: Iterable[list[Raw | Broken]]) -> list[Raw]:
    return [one for page in pages for one in page if isinstance(one, Raw)]


def recorded() -> list[Doc]:
    if not DATA.exists():
        pytest.skip("EasyPost's recorded answers are not beside the project (../shared)")
    lines = gzip.decompress((DATA / "recorded-http.jsonl.gz").read_bytes()).decode().splitlines()
    return [json.loads(line, parse_float=Decimal) for line in lines]


def answer(cassette: str, method: str, place: int = 0) -> Doc:
    """One recorded answer on trackers."""
    found = [r for r in recorded() if r["cassette"] == cassette and r["method"] == method]
    told: Doc = found[place]["response"]
    return told


def all_trackers(value: Any) -> Iterator[Doc]:
    """Every tracker anywhere in an answer."""
    if isinstance(value, dict):
        if value.get("object") == "Tracker":
            yield value
        for part in value.values():
            yield from all_trackers(part)
    elif isinstance(value, list):
        for part in value:
            yield from all_trackers(part)


# The client


def test_the_account_answers_in_which_mode_it_is() -> None:
    _, carriers, _ = followed()

    assert carriers.ping() == "EasyPost, test mode"
    assert over(account().transport()).ping() == "EasyPost"


def test_a_key_that_is_not_taken_has_to_be_mended_by_a_person() -> None:
    with pytest.raises(SignInAgain) as fault:
        over(account().transport(), key="old").ping()

    assert fault.value.code == "APIKEY.INACTIVE"


def test_a_parcel_followed_twice_has_one_tracker() -> None:
    standin = account()
    carriers = over(standin.transport())

    first = carriers.track([(CODE, "USPS"), ("1Z999AA10123456784", None)])
    again = carriers.track([(CODE, "USPS")])

    assert again == {CODE: first[CODE]}
    assert standin.count() == 2
    assert standin.of("1Z999AA10123456784").carrier == "UPS"


def test_a_lost_answer_to_the_making_is_simply_asked_again() -> None:
    standin = account()
    standin.faults.plan(Fault(Trouble.CUT_AFTER, "POST"))

    found = over(standin.transport(), attempts=2).track([(CODE, None)])

    assert isinstance(found[CODE], Raw)
    assert standin.count() == 1


def test_a_number_that_is_refused_stops_no_other() -> None:
    standin = account()

    found = over(standin.transport()).track([(" ", None), (CODE, None)])

    assert isinstance(found[" "], Refused)
    assert found[" "].code == "PARAMETER.REQUIRED"
    assert found[" "].message == "Missing required parameter. (tracking_code: cannot be blank)"
    assert isinstance(found[CODE], Raw)


def test_once_it_is_throttled_the_rest_is_not_asked_for() -> None:
    standin = account()
    standin.faults.plan(Fault(Trouble.THROTTLE, "POST", skip=1, seconds=9))

    found = over(standin.transport()).track([("A1", None), ("B2", None), ("C3", None)])

    assert isinstance(found["A1"], Raw)
    assert found["B2"] is found["C3"]
    assert isinstance(found["B2"], Throttled)
    assert found["B2"].after_seconds == 9
    assert standin.calls["POST /v2/trackers"] == 2


def test_trackers_are_read_by_id_and_what_is_gone_is_absent() -> None:
    standin, carriers, _ = followed("A1", "B2")
    first = standin.of("A1").id

    found = carriers.trackers_by_id([first, "trk_0", first, "../users", ""])

    assert [one.resource_id for one in found] == [first]
    assert standin.calls["GET /v2/trackers/{id}"] == 2


def test_a_tracker_is_kept_exactly_as_it_was_sent() -> None:
    text = '{ "id":"trk_1", "updated_at":"2026-11-20T12:00:00Z","weight":614.40, "x":"\\u00e9"}'
    listed = '{"trackers": [ ' + text + ' ], "has_more": false}'
    one = over(httpx.MockTransport(lambda _: httpx.Response(200, text=text)))
    many = over(httpx.MockTransport(lambda _: httpx.Response(200, text=listed)))

    (by_id,) = one.trackers_by_id(["trk_1"])
    ((by_change,),) = many.trackers_changed_since(NOON, HOUR)

    assert by_id == by_change == Raw("trk_1", text, json.loads(text, parse_float=Decimal), NOON)


def test_changes_come_oldest_first_though_the_list_is_by_creation(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(easypost, "PAGE", 2)
    standin, carriers, clock = followed(*"ABCDE")
    clock.tick(hours=1)
    moment = clock()
    for code in "CAE":
        standin.move(code, "in_transit", "departed_facility", "Departed")
        clock.tick(minutes=1)
    standin.calls.clear()

    pages = list(carriers.trackers_changed_since(moment, NOTHING))

    assert [[one.body["tracking_code"] for one in raws([page])] for page in pages] == [
        ["C", "A"],
        ["E"],
    ]
    assert standin.calls["GET /v2/trackers"] == 3


def test_the_overlap_widens_the_window_and_old_parcels_are_left_out() -> None:
    standin, carriers, clock = followed("OLD")
    clock.tick(days=200)
    carriers.track([(CODE, None)])
    standin.move("OLD", "in_transit", "departed_facility", "Departed")

    def codes(moment: datetime, overlap: timedelta) -> list[str]:
        return [
            o.body["tracking_code"] for o in raws(carriers.trackers_changed_since(moment, overlap))
        ]

    assert codes(clock() + HOUR, NOTHING) == []
    assert codes(clock() + HOUR, HOUR) == [CODE]


def test_what_is_no_tracker_costs_none_of_its_neighbours() -> None:
    items = [{"id": "trk_1", "updated_at": "2026-11-20T12:00:00Z"}, {"id": 7}, 3, {"id": "trk_2"}]
    page = {"trackers": items, "has_more": False}
    carriers = over(httpx.MockTransport(lambda _: httpx.Response(200, json=page)))

    (found,) = carriers.trackers_changed_since(NOON, NOTHING)

    assert [(type(one), one.resource_id) for one in found] == [
        (Broken, None),
        (Broken, None),
        (Broken, "trk_2"),
        (Raw, "trk_1"),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "<html>",
        "[]",
        "{}",
        '{"trackers": {}, "has_more": false}',
        '{"trackers": [{]}',
        '{"trackers": [], "has_more": true}',
        '{"trackers": [{"id": "trk_1"}], "has_more": true}',
    ],
)
def test_a_list_that_is_broken_or_goes_on_for_ever_breaks_the_contract(text: str) -> None:
    carriers = over(httpx.MockTransport(lambda _: httpx.Response(200, text=text)))

    with pytest.raises(ContractBroken):
        list(carriers.trackers_changed_since(NOON, NOTHING))


def test_errors_have_easyposts_code_and_a_failing_server_is_asked_later() -> None:
    standin = account()
    standin.faults.plan(Fault(Trouble.ERROR, "GET", status=500))
    carriers = over(standin.transport())

    with pytest.raises(TryAgain):
        carriers.ping()
    with pytest.raises(Missing) as gone:
        carriers._one(carriers.http.get("/v2/trackers/trk_0"))

    assert gone.value.code == "NOT_FOUND"


# The stand-in before recorded answers


def same(ours: Any, theirs: Any, path: str = "") -> None:
    """The same members, and values of the same type where both say something."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        assert set(ours) == set(theirs), path
        for name in ours:
            same(ours[name], theirs[name], f"{path}.{name}")
    elif isinstance(ours, list) and isinstance(theirs, list):
        for one in ours if theirs else ():
            same(one, theirs[0], f"{path}[]")
    elif ours is not None and theirs is not None:
        assert type(ours) is type(theirs), f"{path}: {ours!r} is not like {theirs!r}"


def told(method: str, path: str = "", **options: Any) -> Doc:
    """What the stand-in answers of a parcel on its way."""
    standin, carriers, _ = followed()
    standin.announce(CODE)
    if path:
        path = f"/{standin.of(CODE).id}"
    body: Doc = carriers.http.request(method, f"/v2/trackers{path}", **options).json()
    return body


def test_a_new_tracker_has_the_members_of_a_recorded_one() -> None:
    ours = told("POST", json={"tracker": {"tracking_code": CODE}})

    same(ours, answer("test_tracker_create", "POST"))


def test_a_read_tracker_has_the_members_of_a_recorded_one() -> None:
    same(told("GET", "by id"), answer("test_tracker_retrieve", "GET"))


def test_a_page_has_the_members_of_a_recorded_one() -> None:
    same(told("GET"), answer("test_tracker_all", "GET"))


def test_an_event_has_the_members_of_the_published_one() -> None:
    if not DATA.exists():
        pytest.skip("EasyPost's event is not beside the project (../shared)")
    standin, _, _ = followed()
    standin.announce(CODE)
    standin.move(CODE, "in_transit", "departed_facility", "Departed")
    _, body = standin.webhook(CODE)

    theirs = json.loads((DATA / "fixtures" / "event-body.json").read_text())
    same(json.loads(body), theirs)


def test_the_recorded_pages_are_walked_as_the_vendors_client_did() -> None:
    first, second = (answer("test_tracker_get_next_page", "GET", n) for n in (0, 1))
    asked = list[str | None]()

    def handle(request: httpx.Request) -> httpx.Response:
        before = request.url.params.get("before_id")
        asked.append(before)
        page = second | {"has_more": False} if before else first
        return httpx.Response(200, text=json.dumps(page, default=float))

    moment = datetime(2025, 3, 1, tzinfo=UTC)
    found = raws(over(httpx.MockTransport(handle)).trackers_changed_since(moment, NOTHING))

    assert asked == [None, first["trackers"][-1]["id"]]
    assert {one.resource_id for one in found} == {
        one["id"] for page in (first, second) for one in page["trackers"]
    }
    assert [one.changed_at for one in found] == sorted(one.changed_at for one in found)


# Recorded trackers mapped


def test_every_recorded_tracker_is_mapped() -> None:
    trackers = [one for line in recorded() for one in all_trackers(line["response"])]

    seen = [mapper.tracking(one) for one in trackers]

    events = Counter((str(e.state), e.is_known) for one in seen for e in one.events)
    assert (len(seen), {one.carrier for one in seen}) == (77, {"usps"})
    assert events == {
        ("label_created", True): 104,
        ("in_transit", True): 24,
        ("out_for_delivery", True): 6,
        ("delivered", True): 6,
        ("unknown", False): 5,  # "In test mode, only test tracking numbers are valid"
    }


def test_every_published_tracker_is_mapped() -> None:
    if not DATA.exists():
        pytest.skip("EasyPost's published answers are not beside the project (../shared)")
    files = sorted((DATA / "api-responses").rglob("*.json")) + sorted(DATA.glob("fixtures/*.json"))
    bodies = [json.loads(file.read_text(), parse_float=Decimal) for file in files]

    seen = [mapper.tracking(one) for body in bodies for one in all_trackers(body)]

    assert len(seen) == 17
    assert {one.carrier for one in seen} == {"usps", "fedex"}
    assert all(event.is_known for one in seen for event in one.events)


def test_the_examples_of_the_contract_are_mapped(recordings: Path) -> None:
    examples = json.loads((recordings / "easypost" / "examples.json").read_text())

    seen = [mapper.tracking(one) for one in all_trackers(examples)]

    assert {one.tracking_number for one in seen} >= {"EZ1000000001"}


def test_the_published_event_tells_the_way_of_a_parcel() -> None:
    if not DATA.exists():
        pytest.skip("EasyPost's event is not beside the project (../shared)")
    event = json.loads((DATA / "fixtures" / "event-body.json").read_text(), parse_float=Decimal)

    seen = mapper.tracking(event["result"])

    assert mapper.hinted(event) == "trk_1"
    assert (seen.tracking_number, seen.carrier) == ("1", "fedex")
    assert seen.expected_at == datetime(2024, 8, 5, tzinfo=UTC)
    assert [str(one.state) for one in seen.events] == ["label_created"] + ["in_transit"] * 6
    assert seen.events[1] == SeenEvent(
        state=ParcelState.IN_TRANSIT,
        is_known=True,
        words="Picked up",
        code="PU",
        happened_at=datetime(2024, 7, 31, 19, 27, tzinfo=UTC),
        has_zone=True,
        place="ORLANDO, FL, 32809, US",
    )


# Webhooks


def test_deliveries_are_signed_as_our_receiver_expects() -> None:
    standin, _, clock = followed()
    standin.announce(CODE)
    standin.deliver(CODE, signed_by="A. Field")
    headers, body = standin.webhook(CODE)
    secret = pydantic.SecretStr(standin.webhook_secret)
    sender = sender_of("parcels", Endpoint(scheme="easypost", secrets=(secret,)))
    raw = {name.lower().encode(): value.encode() for name, value in headers.items()}

    verdict = sender.judge(raw, body, clock())

    assert isinstance(verdict, Genuine)
    assert isinstance(sender.judge(raw, body + b" ", clock()), Forged)
    assert mapper.hinted(json.loads(body)) == standin.of(CODE).id
    assert json.loads(body)["previous_attributes"] == {"status": "pre_transit"}
    assert mapper.tracking(json.loads(body)["result"]).signed_by == "A. Field"


def test_a_parcel_moves_forward_and_late_news_changes_nothing() -> None:
    standin, carriers, clock = followed()
    standin.announce(CODE)
    clock.tick(days=2)
    standin.deliver(CODE)
    standin.move(CODE, "in_transit", "departed_facility", "Departed", clock() - timedelta(days=1))

    (raw,) = carriers.trackers_by_id([standin.of(CODE).id])
    assert isinstance(raw, Raw)

    assert raw.body["status"] == "delivered"
    assert [str(one.state) for one in mapper.tracking(raw.body).events] == [
        *("label_created", "in_transit", "delivered"),
    ]
