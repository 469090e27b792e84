"""What a real WooCommerce was recorded to answer: the client reads it, the mapper ties it."""

import base64
import json
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import pytest

from resources.errors import ContractBroken, Missing, Refused, RemoteError, SignInAgain
from resources.http import Manners, client
from resources.systems.woocommerce import Broken, Raw, WooCommerce
from sync_assets.domain.orders import CORE_TABLES, Rejected, Row, frame_of
from sync_assets.mappers import woocommerce

RECORDED = Path(__file__).resolve().parents[2].parent / "shared" / "contracts" / "woocommerce"
pytestmark = pytest.mark.skipif(
    not RECORDED.is_dir(), reason="the recordings are not beside the project"
)

#: What no answer with money trimmed to its own fields can be without.
HEAD: dict[str, Any] = {
    "refunds": [],
    "status": "processing",
    "number": "1",
    "date_created_gmt": "2026-11-20T18:00:00",
    "date_modified_gmt": "2026-11-20T18:00:00",
    "date_paid_gmt": None,
    "customer_id": 1,
    "payment_method": "",
    "transaction_id": "",
    "created_via": "",
    "customer_note": "",
}


@cache
def transcript(number: int) -> list[dict[str, Any]]:
    [path] = (RECORDED / "transcripts").glob(f"{number:02}_*.json")
    entries: list[dict[str, Any]] = json.loads(path.read_text(), parse_float=Decimal)
    return entries


def orders_in(value: Any) -> Iterator[dict[str, Any]]:
    """Every order object at any depth."""
    if isinstance(value, dict):
        if {"line_items", "total", "tax_lines"} <= value.keys():
            yield value
        for inner in value.values():
            yield from orders_in(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from orders_in(inner)


@cache
def recorded_orders() -> list[dict[str, Any]]:
    """Every distinct order of all transcripts and webhook samples."""
    bodies: list[Any] = [transcript(number) for number in range(1, 32)]
    for sample in json.loads((RECORDED / "webhook_samples.json").read_text()):
        body = base64.b64decode(sample["body_base64"])
        if body.startswith(b"{"):
            bodies.append(json.loads(body, parse_float=Decimal))
    distinct = {
        json.dumps(order, sort_keys=True, default=str): order
        for body in bodies
        for order in orders_in(body)
    }
    return list(distinct.values())


def trimmed(order_id: int, place: int = 0) -> dict[str, Any]:
    """A recorded order that was cut to its money, with the rest filled in."""
    found = [order for order in orders_in(transcript(11)) if order["id"] == order_id]
    blank = dict.fromkeys(woocommerce.ADDRESS_FIELDS.values(), "")
    return HEAD | {"billing": blank, "shipping": blank} | found[place]


def text_of(value: Any) -> str:
    return json.dumps(value, default=float)


class Replay:
    """Answers what was recorded for a request, and keeps what was asked."""

    def __init__(self, entries: list[dict[str, Any]], ignore: tuple[str, ...] = ()) -> None:
        self.entries = [entry for entry in entries if "response" in entry]
        self.ignore = ignore
        self.asked: list[dict[str, str]] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        asked = dict(request.url.params)
        self.asked.append(asked)
        for entry in self.entries:
            if entry["request"]["path"] == request.url.path and self._fits(entry, asked):
                return self._answer(entry["response"])
        raise AssertionError(f"nothing was recorded for {request.url}")

    def _fits(self, entry: dict[str, Any], asked: dict[str, str]) -> bool:
        recorded = {key: str(value) for key, value in entry["request"]["query"].items()}
        drop = {*self.ignore, "_fields"}
        return {k: v for k, v in recorded.items() if k not in drop} == {
            k: v for k, v in asked.items() if k not in drop
        }

    def _answer(self, recorded: dict[str, Any]) -> httpx.Response:
        headers = {k: v for k, v in recorded["headers"].items() if k.startswith("X-WP")}
        text = text_of(recorded["body"])
        return httpx.Response(recorded["status"], content=text, headers=headers)


def reading(answers: Any, base: str = "https://shop.test") -> WooCommerce:
    http = client(
        "us",
        base,
        Manners(attempts=1),
        auth=("ck", "cs"),
        transport=httpx.MockTransport(answers),
        sleep=lambda _: None,
    )
    return WooCommerce(http, "us")


def one(entry: dict[str, Any], base: str = "https://shop.test") -> WooCommerce:
    """A shop that gives one recorded answer to everything but its index."""

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/wp-json/":
            return httpx.Response(200, json={"name": "Sync Test Store"})
        recorded = entry["response"]
        return httpx.Response(recorded["status"], content=text_of(recorded["body"]))

    return reading(answer, base)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def ids(pages: Any) -> list[int]:
    return [int(item.resource_id) for page in pages for item in page]


FAR = utc("2026-11-20T19:00:00")


def test_every_recorded_order_ties_to_the_cent_or_names_what_was_cut_off() -> None:
    outcomes: Counter[str] = Counter()
    for body in recorded_orders():
        lacking = {*HEAD, "billing", "shipping"} - body.keys()
        if lacking:
            with pytest.raises(Rejected) as refusal:
                woocommerce.order("us", body, 1)
            assert {problem.message for problem in refusal.value.problems} == {"is missing"}
            assert {problem.part for problem in refusal.value.problems} == lacking
            outcomes[f"lacks {len(lacking)} parts"] += 1
        else:
            [head] = woocommerce.order("us", body, 1)["orders"]
            outcomes[f"ties, rounding {head['rounding_amount']}"] += 1

    assert outcomes == {"ties, rounding 0.00": 109, "lacks 13 parts": 13, "lacks 10 parts": 1}


def test_every_order_that_was_cut_to_its_money_ties_to_the_cent_too() -> None:
    cut = [body for body in orders_in(transcript(11)) if "status" not in body]
    blank = dict.fromkeys(woocommerce.ADDRESS_FIELDS.values(), "")

    found = [
        woocommerce.order("us", HEAD | {"billing": blank, "shipping": blank} | body, 1)
        for body in cut
    ]

    assert len(found) == 13
    assert {rows["orders"][0]["rounding_amount"] for rows in found} == {Decimal(0)}


def test_the_rows_of_all_recorded_orders_fit_their_tables() -> None:
    newest = {}
    for body in recorded_orders():
        try:
            newest[body["id"]] = woocommerce.order("us", body, 1)
        except Rejected:
            continue
    sizes = {}
    for name, table in CORE_TABLES.items():
        frame = frame_of(table, [row for rows in newest.values() for row in rows[name]])
        sizes[name] = len(table.validate(frame))

    assert sizes == {
        "orders": 106,
        "order_lines": 346,
        "order_taxes": 245,
        "order_discounts": 15,
        "order_refunds": 3,
        "order_addresses": 207,
    }


def missed_by_lines(rows: dict[str, list[Row]]) -> Decimal:
    """What the total misses of its lines and their own tax."""
    lines = sum((row["net_amount"] + row["tax_amount"] for row in rows["order_lines"]), Decimal())
    return Decimal(rows["orders"][0]["total_amount"] - lines)


def test_tax_rounded_at_subtotal_leaves_a_cent_between_lines_and_total() -> None:
    rows = woocommerce.order("us", trimmed(1730), 1)

    assert [line["tax_amount"] for line in rows["order_lines"]] == [Decimal("0.65")] * 3
    assert rows["orders"][0]["tax_amount"] == Decimal("1.94")
    assert rows["orders"][0]["rounding_amount"] == Decimal(0)
    assert missed_by_lines(rows) == Decimal("-0.01")


def test_more_digits_show_a_tax_by_rate_finer_than_the_lines() -> None:
    rows = woocommerce.order("us", trimmed(1736), 1)

    [tax], [line] = rows["order_taxes"], rows["order_lines"]
    assert line["tax_amount"] - tax["tax_amount"] == Decimal("0.000162")


def test_a_yen_order_ties_in_whole_yen() -> None:
    [head] = woocommerce.order("jp", trimmed(1739), 1)["orders"]

    assert (head["net_amount"], head["tax_amount"], head["total_amount"]) == (22, 2, 24)


def test_recorded_orders_have_the_refunds_they_were_given() -> None:
    refunds = {
        row["refund_ref"]: row["refunded_amount"]
        for body in recorded_orders()
        if body.get("refunds")
        for row in woocommerce.order("us", body, 1)["order_refunds"]
    }

    assert len(refunds) == 4
    assert min(refunds.values()) > 0


def test_recorded_customers_and_notes_become_rows() -> None:
    customers = transcript(27)[3]["response"]["body"]
    notes = transcript(13)[23]["response"]["body"]

    rows = [woocommerce.customer("us", body) for body in customers]
    told = [woocommerce.note("us", 1764, body) for body in notes]

    assert len({row["customer_ref"] for row in rows}) == 20
    assert all("@" in row["email"] for row in rows)
    assert told[0]["note"] == "Order status changed from Completed to Pending payment."
    assert told[0]["noted_at"] == utc("2026-11-20T18:19:47")


def test_a_whole_recorded_page_is_cut_into_its_exact_texts() -> None:
    entry = transcript(27)[0]
    page = one(entry).customers_page(1)

    assert len(page) == 100
    texts = [item.text for item in page if isinstance(item, Raw)]
    assert f"[{', '.join(texts)}]" == text_of(entry["response"]["body"])
    assert page[0].changed_at == utc(entry["response"]["body"][0]["date_modified_gmt"])  # type: ignore[union-attr]


@pytest.mark.parametrize("number", [14, 15])
def test_changes_are_found_by_their_stamps_east_and_west_of_greenwich(number: int) -> None:
    entries = [
        entry
        for entry in transcript(number)
        if {"modified_after", "dates_are_gmt", "include"}
        <= entry.get("request", {}).get("query", {}).keys()
        and entry["request"]["path"].endswith("/orders")
        and entry["response"]["status"] == 200
    ]
    found = {}
    for entry in entries:
        stamp = entry["request"]["query"]["modified_after"]
        if stamp[10] == "T" and len(stamp) == 19:  # the form the client sends
            replay = Replay([entry], ("include", "per_page", "orderby", "order", "modified_before"))
            # The client asks from one second before the moment it is given.
            moment = utc(stamp) + timedelta(seconds=1)
            found[entry["note"]] = ids(reading(replay).orders_changed_since(moment, FAR))
            assert replay.asked[0]["modified_after"] == stamp
            assert not replay.asked[0]["modified_after"].endswith("Z")

    assert (
        sorted(Counter(len(rows) for rows in found.values()).items())
        == {
            14: [(0, 2), (1, 2)],  # found a minute and a second before it, not at it nor after
            15: [(1, 2)],  # Berlin and Tokyo
        }[number]
    )


def test_the_walk_that_held_while_rows_moved_is_the_one_we_make() -> None:
    entries = [e for e in transcript(18) if e["note"].startswith("cursor walk, always page 1")]
    replay = Replay(entries, ("modified_before",))
    shop = reading(replay)
    shop.per_page = 5

    read = ids(shop.orders_changed_since(utc("2026-11-20T18:26:49"), FAR))

    assert [asked["modified_after"][11:] for asked in replay.asked] == [
        "18:26:48",
        "18:26:50",
        "18:26:51",
        "18:27:00",
    ]
    # 1821 was changed while the walk went on, and comes again in its new state.
    assert read == [
        1821,
        1822,
        1823,
        1824,
        1825,
        1826,
        1827,
        1828,
        1829,
        1830,
        1820,
        1831,
        1832,
        1821,
    ]


def test_a_row_that_offsets_missed_is_found_by_the_second_reading() -> None:
    """The recorded walk by id lost 1824 when 1819 was trashed; its list of ids still has it."""
    pages = [
        e for e in transcript(18) if e["note"].startswith("id asc, a row of page 1 is trashed")
    ]
    walk = [page["response"]["body"] for page in pages[:3]]
    live = [row for page in walk for row in page if row["id"] != 1819]
    live = sorted(
        [*live, {"id": 1824, "date_modified_gmt": "2026-11-20T18:26:51"}], key=lambda row: row["id"]
    )

    def answer(request: httpx.Request) -> httpx.Response:
        asked = request.url.params
        page = int(asked.get("page", 1))
        if "include" in asked:
            rows, total = [row for row in live if str(row["id"]) in asked["include"].split(",")], 1
        elif "_fields" in asked:
            rows, total = live[(page - 1) * 5 : page * 5], len(live)
        else:
            rows, total = walk[page - 1], int(pages[page - 1]["response"]["headers"]["X-WP-Total"])
        return httpx.Response(200, json=rows, headers={"X-WP-Total": str(total)})

    shop = reading(answer)
    shop.per_page = 5

    assert ids(shop.orders_placed_between(utc("2026-11-20T00:00:00"), FAR)) == [
        *range(1819, 1824),
        *range(1825, 1833),
        1824,
    ]


def test_trashed_orders_are_found_by_asking_for_the_trash_alone() -> None:
    entries = [transcript(17)[place] for place in (4, 5, 7, 8)]
    ignore = ("per_page", "orderby", "order", "modified_before")
    moment = utc("2026-11-20T18:26:36")

    trashed = ids(reading(Replay(entries, ignore)).orders_trashed_since(moment, FAR))
    live = ids(reading(Replay(entries, ignore)).orders_changed_since(moment, FAR))

    assert (trashed, live) == ([1813], [1815])


def test_of_three_orders_only_the_one_deleted_for_good_is_absent() -> None:
    gone = transcript(17)[10]

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/1814"):
            return httpx.Response(gone["response"]["status"], json=gone["response"]["body"])
        place = 4 if request.url.params["status"] == "trash" else 5
        return httpx.Response(200, json=transcript(17)[place]["response"]["body"])

    assert ids([reading(answer).orders_by_id([1813, 1814, 1815])]) == [1815, 1813]


@pytest.mark.parametrize("place", [1, 2, 3])
def test_a_key_the_shop_does_not_accept_ends_in_signing_in_again(place: int) -> None:
    with pytest.raises(SignInAgain, match="the shop does not accept the key") as refusal:
        one(transcript(1)[place]).ping()
    assert refusal.value.code == transcript(1)[place]["response"]["body"]["code"]


def test_plain_http_is_named_as_the_likely_cause() -> None:
    with pytest.raises(SignInAgain, match="ignores keys over plain http"):
        one(transcript(1)[7], "http://shop.test").ping()


def test_a_good_key_is_accepted() -> None:
    assert one(transcript(1)[0]).ping().name == "Sync Test Store"


def test_the_recorded_index_tells_the_zone() -> None:
    index = transcript(2)[7]["response"]["body"]

    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json=index if request.url.path == "/wp-json/" else [])

    shop = reading(answer).ping()
    assert (shop.timezone, shop.gmt_offset) == ("America/New_York", Decimal(-5))


@pytest.mark.parametrize(
    ("place", "kind", "code"),
    [
        (9, Refused, "rest_invalid_param"),
        (10, Refused, "rest_invalid_param"),
        (13, Refused, "rest_invalid_param"),
        (19, Missing, "rest_no_route"),
    ],
)
def test_recorded_errors_keep_the_shops_code(
    place: int, kind: type[RemoteError], code: str
) -> None:
    with pytest.raises(kind) as refusal:
        list(one(transcript(19)[place]).orders_changed_since(utc("2026-11-20T18:00:00"), FAR))
    assert refusal.value.code == code


def test_a_page_far_behind_the_end_is_an_end_and_no_error() -> None:
    assert one(transcript(19)[11]).customers_page(1) == []


def test_an_answer_in_an_envelope_is_no_list() -> None:
    with pytest.raises(ContractBroken, match="not a JSON list"):
        one(transcript(19)[20]).customers_page(1)


def test_accounts_of_every_role_are_asked_for() -> None:
    replay = Replay([transcript(9)[2]], ("per_page", "orderby", "order", "page"))

    page = reading(replay).customers_page(1)

    assert replay.asked[0]["role"] == "all"
    # The recorded page has no dates, and shows two accounts of 121.
    assert [type(item) for item in page] == [Broken] * 3
    assert [item.resource_id for item in page] == ["1", "2", None]


def test_a_recorded_half_built_order_is_one_stamp_with_two_contents() -> None:
    """Why a delta must lag: the stamp alone cannot tell the two apart."""
    seen = transcript(31)[0]["examples"][0]["states_seen"]
    stamp = seen[0]["date_modified_gmt"]
    totals = [state["total"] for state in seen if state["date_modified_gmt"] == stamp]
    assert totals == ["248.44", "224.42", "224.42"]

    def answer(request: httpx.Request) -> httpx.Response:
        assert request.url.params["modified_before"] <= "2026-11-20T19:32:45"
        return httpx.Response(200, json=[])

    shop = reading(answer)
    _, until = shop.window(utc("2026-11-20T19:30:00"), utc("2026-11-20T19:32:47"))
    assert list(shop.orders_changed_since(utc("2026-11-20T19:30:00"), until)) == []
