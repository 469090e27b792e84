"""The one way out: what is repeated, what is not, how long we wait, and what is never told."""

import gzip
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from decimal import Decimal
from typing import Any

import httpx
import pytest

from resources import http
from resources.errors import (
    CircuitOpen,
    ContractBroken,
    Missing,
    Paused,
    Refused,
    RemoteError,
    SignInAgain,
    Throttled,
    TryAgain,
    UnknownOutcome,
)
from resources.http import Manners
from resources.limits import retry_after

#: A function makes the answer anew, where it must not be read before it is sent.
Answer = httpx.Response | Exception | Callable[[], httpx.Response]


class Line:
    """A network that answers as told, the last answer for ever, and a clock that sleeping moves."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers) or [httpx.Response(200, text="fine")]
        self.requests: list[httpx.Request] = []
        self.slept: list[float] = []
        self.at = 1000.0
        self.sent_at: list[float] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        self.sent_at.append(self.at)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        if not isinstance(answer, httpx.Response):
            return answer()
        return httpx.Response(answer.status_code, headers=answer.headers, content=answer.content)

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.at += seconds

    def clock(self) -> float:
        return self.at


def client(line: Line, *, url: str = "https://shop.test", **options: Any) -> httpx.Client:
    manners = Manners(**{"attempts": 3, "first_wait_seconds": 1.0, **options.pop("manners", {})})
    return http.client(
        "shop",
        url,
        manners,
        transport=httpx.MockTransport(line),
        sleep=line.sleep,
        clock=line.clock,
        **options,
    )


def said(status: int, **headers: str) -> httpx.Response:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.Response(status, headers=names, text="no")


def packed(wire: bytes) -> Callable[[], httpx.Response]:
    """An answer that says it is packed."""
    headers = {"Content-Encoding": "gzip"}
    return lambda: httpx.Response(200, headers=headers, stream=httpx.ByteStream(wire))


LOST = [httpx.ReadTimeout, httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError]
NEVER_LEFT = [httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout]

# What is repeated


@pytest.mark.parametrize("fault", [*LOST, *NEVER_LEFT])
def test_a_read_whose_answer_is_lost_is_repeated(fault: type[Exception]) -> None:
    line = Line(fault("gone"), httpx.Response(200, text="fine"))
    assert client(line).get("/orders").text == "fine"
    assert len(line.requests) == 2


@pytest.mark.parametrize("status", [500, 501, 502, 503, 504, 520])
def test_a_read_that_fails_over_there_is_repeated(status: int) -> None:
    line = Line(said(status), httpx.Response(200, text="fine"))
    assert client(line).get("/orders").text == "fine"
    assert len(line.requests) == 2


@pytest.mark.parametrize("fault", LOST)
def test_a_write_whose_answer_is_lost_is_unknown_and_not_repeated(fault: type[Exception]) -> None:
    line = Line(fault("gone"))
    with pytest.raises(UnknownOutcome, match=r"no answer from POST shop\.test"):
        client(line).post("/orders")
    assert len(line.requests) == 1
    assert line.slept == []


@pytest.mark.parametrize("fault", NEVER_LEFT)
def test_a_write_that_never_left_is_repeated(fault: type[Exception]) -> None:
    line = Line(fault("no way"), httpx.Response(201))
    assert client(line).post("/orders").status_code == 201
    assert len(line.requests) == 2


@pytest.mark.parametrize("status", [502, 504])
def test_a_write_lost_by_a_gateway_is_unknown_and_not_repeated(status: int) -> None:
    line = Line(said(status, X_Request_Id="r-7"))
    with pytest.raises(UnknownOutcome) as caught:
        client(line).post("/orders")
    assert str(caught.value) == f"shop: answered {status} [{status}] (request r-7)"
    assert len(line.requests) == 1


@pytest.mark.parametrize("turned_away", [said(503), said(429)])
def test_a_write_that_was_turned_away_is_repeated(turned_away: httpx.Response) -> None:
    line = Line(turned_away, httpx.Response(201))
    assert client(line).post("/orders").status_code == 201
    assert len(line.requests) == 2


def test_a_write_that_died_in_the_application_is_left_to_its_client() -> None:
    line = Line(said(500))
    answer = client(line).post("/orders")
    assert len(line.requests) == 1
    with pytest.raises(UnknownOutcome):
        http.raise_for_refusal("shop", answer, None, "")


def test_a_post_the_client_calls_safe_is_repeated_like_a_read() -> None:
    line = Line(httpx.ReadTimeout("late"), said(502), httpx.Response(200, text="fine"))
    assert client(line).post("/rpc", extensions={"safe": True}).text == "fine"
    assert len(line.requests) == 3


def test_a_get_the_client_calls_unsafe_is_not_repeated() -> None:
    line = Line(httpx.ReadTimeout("late"))
    with pytest.raises(UnknownOutcome):
        client(line).get("/confirm", extensions={"safe": False})
    assert len(line.requests) == 1


def test_a_repeated_write_carries_its_whole_body_again() -> None:
    line = Line(httpx.ConnectError("no way"), httpx.Response(201))
    client(line).post("/orders", json={"id": 7})
    assert [request.content for request in line.requests] == [b'{"id":7}'] * 2


@pytest.mark.parametrize("status", [200, 201, 301, 400, 401, 403, 404, 409, 422])
def test_an_answer_that_arrived_is_handed_on_as_it_is(status: int) -> None:
    line = Line(said(status))
    assert client(line).get("/orders").status_code == status
    assert len(line.requests) == 1


def test_trying_ends_with_the_last_fault() -> None:
    line = Line(said(500), said(502), said(504, X_Request_Id="last"))
    with pytest.raises(TryAgain, match=r"answered 504 \[504\] \(request last\)"):
        client(line).get("/orders")
    assert len(line.requests) == 3
    assert len(line.slept) == 2


# How long we wait


def test_pauses_grow_at_random_and_never_beyond_the_longest() -> None:
    line = Line(said(500))
    with pytest.raises(TryAgain):
        client(line, manners={"attempts": 9, "longest_wait_seconds": 4.0}).get("/orders")
    assert len(line.slept) == 8
    limits = [1.0, 2.0, *[4.0] * 6]
    assert all(0 <= pause <= most for pause, most in zip(line.slept, limits, strict=True))


@pytest.mark.parametrize("status", [429, 503])
def test_the_pause_a_system_asks_for_is_kept(status: int) -> None:
    line = Line(said(status, Retry_After="7"), httpx.Response(200))
    client(line).get("/orders")
    assert line.slept == [7.0]


def test_a_pause_beyond_our_patience_is_not_cut_short_but_handed_on() -> None:
    line = Line(said(429, Retry_After="3600"))
    with pytest.raises(Throttled) as caught:
        client(line).get("/orders")
    assert caught.value.after_seconds == 3600.0
    assert len(line.requests) == 1
    assert line.slept == []


def test_throttling_that_lasts_says_what_was_asked() -> None:
    line = Line(said(429, Retry_After="2"))
    with pytest.raises(Throttled) as caught:
        client(line).get("/orders")
    assert (str(caught.value), caught.value.after_seconds) == ("shop: too many calls", 2.0)
    assert line.slept == [2.0, 2.0]


DATE = "Mon, 02 Mar 2026 09:00:00 GMT"


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "0"}, 0.0),
        ({"Retry-After": " 12 "}, 12.0),
        ({"Retry-After": "1.5"}, 1.5),
        ({"Retry-After": "Mon, 02 Mar 2026 09:00:30 GMT", "Date": DATE}, 30.0),
        ({"Retry-After": "Mon, 02 Mar 2026 08:59:00 GMT", "Date": DATE}, 0.0),
        ({"Retry-After": "Mon, 02 Mar 2026 09:00:30 GMT"}, None),
        ({"Retry-After": "Mon, 02 Mar 2026 09:00:30", "Date": DATE}, None),
        ({"Retry-After": "-5"}, None),
        ({"Retry-After": "nan"}, None),
        ({"Retry-After": "²"}, None),
        ({"Retry-After": "soon"}, None),
        ({"X-Retry-After": "9"}, 9.0),
        ({}, None),
    ],
)
def test_a_retry_after_header_is_read_or_overlooked(
    headers: Mapping[str, str], seconds: float | None
) -> None:
    assert retry_after(headers) == seconds


def test_calls_are_kept_apart_from_the_first_on() -> None:
    line = Line()
    paced = client(line, manners={"calls_per_second": 4.0})
    for _ in range(3):
        paced.get("/orders")
    line.at += 10
    paced.get("/orders")
    assert line.sent_at == [1000.0, 1000.25, 1000.5, 1010.5]
    assert line.slept == [0.25, 0.25]


def test_a_repeated_call_is_paced_as_well() -> None:
    line = Line(said(503, Retry_After="0"), httpx.Response(200))
    client(line, manners={"calls_per_second": 0.5}).get("/orders")
    assert line.sent_at == [1000.0, 1002.0]


def test_without_a_limit_nothing_waits() -> None:
    line = Line()
    free = client(line)
    for _ in range(50):
        free.get("/orders")
    assert line.slept == []


# What is sent along


def test_all_calls_of_a_step_carry_its_correlation_id() -> None:
    line = Line(said(500), httpx.Response(200))
    with http.correlated("c-1"), client(line) as one:
        one.get("/orders")
        one.post("/orders")
    assert [request.headers["X-Correlation-ID"] for request in line.requests] == ["c-1"] * 3


def test_without_a_step_each_call_has_an_id_of_its_own_and_its_repeat_the_same() -> None:
    line = Line(said(500), httpx.Response(200))
    one = client(line)
    one.get("/orders")
    one.get("/orders")
    first, again, second = [request.headers["X-Correlation-ID"] for request in line.requests]
    assert first == again != second


def test_a_step_inside_a_step_gives_the_outer_id_back() -> None:
    with http.correlated("outer"):
        with http.correlated("inner"):
            assert http.correlation_id() == "inner"
        assert http.correlation_id() == "outer"


# What an answer means


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, Refused),
        (401, SignInAgain),
        (403, SignInAgain),
        (404, Missing),
        (409, Refused),
        (500, UnknownOutcome),
    ],
)
def test_a_refusal_is_named_by_what_to_do_next(status: int, kind: type[RemoteError]) -> None:
    answer = httpx.Response(status, headers={"X-Request-Id": "r-1"})
    with pytest.raises(kind) as caught:
        http.raise_for_refusal("shop", answer, "no_sale", "not today")
    assert type(caught.value) is kind
    assert str(caught.value) == "shop: not today [no_sale] (request r-1)"


def test_a_good_answer_is_no_refusal() -> None:
    http.raise_for_refusal("shop", httpx.Response(302), None, "")


def test_a_read_that_cannot_be_unpacked_breaks_the_contract() -> None:
    line = Line(packed(b"this is no gzip"))
    with pytest.raises(ContractBroken, match="unreadable answer"):
        client(line).get("/orders")
    assert len(line.requests) == 1


def test_a_write_whose_answer_cannot_be_unpacked_is_unknown() -> None:
    line = Line(packed(b"this is no gzip"))
    with pytest.raises(UnknownOutcome, match="unreadable answer"):
        client(line).post("/orders")
    assert len(line.requests) == 1


def test_an_answer_is_unpacked_once() -> None:
    assert client(Line(packed(gzip.compress(b"fine")))).get("/orders").text == "fine"


def test_money_in_an_answer_is_exact() -> None:
    found = http.exact_json("shop", '{"total": 0.1, "big": 12345678901234.56, "units": 3}')
    assert found == {"total": Decimal("0.1"), "big": Decimal("12345678901234.56"), "units": 3}
    assert isinstance(found["total"], Decimal)


@pytest.mark.parametrize("text", ["", "<html>", '{"a": ', b"\xff\xfe", "[" * 100_000])
def test_an_answer_that_is_no_json_breaks_the_contract(text: str | bytes) -> None:
    with pytest.raises(ContractBroken, match="not JSON"):
        http.exact_json("shop", text)


# What is never told


@pytest.fixture
def everything_logged(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    with caplog.at_level(logging.DEBUG):
        yield caplog


@pytest.mark.parametrize("answer", [httpx.ConnectError("x"), httpx.ReadTimeout("x"), said(500)])
def test_neither_key_nor_query_is_in_an_error_or_a_log_line(
    answer: Answer, everything_logged: pytest.LogCaptureFixture
) -> None:
    one = client(Line(answer), auth=("ck_key", "cs_secret"), headers={"X-Token": "t0ken"})
    with pytest.raises(TryAgain) as caught:
        one.get("/orders", params={"email": "ada@example.com"})
    ours = [r.getMessage() for r in everything_logged.records if r.name == http.log.name]
    told = f"{caught.value} {caught.value!r} {ours}"
    assert len(ours) == 2
    for secret in ("ck_key", "cs_secret", "t0ken", "ada@", "Y2tfa2V5"):
        assert secret not in told


def test_a_password_in_an_address_signs_in_and_is_logged_by_nobody(
    everything_logged: pytest.LogCaptureFixture,
) -> None:
    line = Line(said(500), httpx.Response(200))
    one = client(line, url="https://ada:pa%40ss@shop.test/base")
    assert one.get("/orders").status_code == 200
    assert str(line.requests[0].url) == "https://shop.test/base/orders"
    basic = httpx.BasicAuth("ada", "pa@ss")
    signed = next(basic.auth_flow(httpx.Request("GET", "https://shop.test")))
    assert line.requests[0].headers["Authorization"] == signed.headers["Authorization"]
    assert "HTTP Request: GET https://shop.test/base/orders" in everything_logged.text
    assert "pa%40ss" not in everything_logged.text


def test_no_proxy_of_the_environment_sees_our_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.test:1")
    line = Line()
    client(line).get("/orders")
    assert [request.url.host for request in line.requests] == ["shop.test"]


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://shop.test/wp-json?consumer_key=ck", "https://shop.test/wp-json"),
        ("https://ada:secret@shop.test:8443/x#part", "https://shop.test:8443/x"),
        ("http://[::1]:8069/odoo?db=erp", "http://[::1]:8069/odoo"),
        ("https://shop.test:99999999/?key=ck", "an unreadable address"),
        ("https://[bad/?key=ck", "an unreadable address"),
    ],
)
def test_an_address_is_shown_without_user_password_and_query(url: str, shown: str) -> None:
    assert http.redacted_url(url) == shown


# What a gate is told, and what it may forbid


class Watch:
    """A gate that remembers what it was told, and lets nobody through while it has a reason."""

    def __init__(self, refusal: Exception | None = None) -> None:
        self.refusal, self.asked, self.closed = refusal, 0, False
        self.told: list[tuple[http.Outcome, float]] = []
        self.lanes: list[str] = []
        self.headers: list[Mapping[str, str]] = []

    def before(self) -> None:
        self.asked += 1
        self.lanes.append(http.lane())
        if self.refusal is not None:
            raise self.refusal

    def after(
        self,
        outcome: http.Outcome,
        headers: Mapping[str, str],
        seconds: float,
        fault: RemoteError | None = None,
    ) -> None:
        assert (fault is None) == (outcome in ("answered", "failed"))
        self.told.append((outcome, seconds))
        self.headers.append(headers)

    def close(self) -> None:
        self.closed = True


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (said(200), http.Outcome.ANSWERED),
        (said(401), http.Outcome.ANSWERED),
        (said(404), http.Outcome.ANSWERED),
        (said(500), http.Outcome.FAILED),
        (said(429), http.Outcome.THROTTLED),
        (said(503, Retry_After="7"), http.Outcome.THROTTLED),
        (said(503), http.Outcome.AWAY),
        (said(502), http.Outcome.AWAY),
        (httpx.ReadTimeout("late"), http.Outcome.AWAY),
        (httpx.ConnectError("no way"), http.Outcome.AWAY),
    ],
)
def test_a_gate_is_told_what_a_write_says_about_the_system(
    answer: Answer, outcome: http.Outcome
) -> None:
    gate = Watch()
    with client(Line(answer), gate=gate, manners={"attempts": 1}) as one, suppress(RemoteError):
        one.post("/orders")
    assert gate.told == [(outcome, 0.0)]
    assert gate.closed


def test_a_read_that_fails_over_there_says_that_the_system_is_away() -> None:
    gate = Watch()
    with pytest.raises(TryAgain):
        client(Line(said(500)), gate=gate, manners={"attempts": 1}).get("/orders")
    assert gate.told == [(http.Outcome.AWAY, 0.0)]


def test_every_attempt_passes_the_gate() -> None:
    gate = Watch()
    line = Line(said(500), said(429, Retry_After="1"), httpx.Response(200))
    client(line, gate=gate).get("/orders")
    assert gate.asked == 3
    assert [outcome.value for outcome, _ in gate.told] == ["away", "throttled", "answered"]
    assert gate.headers[1]["Retry-After"] == "1"


@pytest.mark.parametrize("kind", [Paused, CircuitOpen])
def test_a_gate_that_is_shut_keeps_the_call_here_and_is_not_asked_twice(
    kind: type[RemoteError],
) -> None:
    line, gate = Line(), Watch(kind("shop", "not now"))
    with pytest.raises(kind, match="shop: not now"):
        client(line, gate=gate).get("/orders")
    assert (gate.asked, gate.told, line.requests, line.slept) == (1, [], [], [])


def test_a_call_that_dies_with_its_process_is_not_told() -> None:
    class Dead(BaseException):
        pass

    def die(request: httpx.Request) -> httpx.Response:
        raise Dead

    gate = Watch()
    one = http.client("shop", "https://shop.test", transport=httpx.MockTransport(die), gate=gate)
    with pytest.raises(Dead):
        one.get("/orders")
    assert gate.told == []


def test_calls_wait_in_the_lane_they_are_made_in() -> None:
    gate = Watch()
    one = client(Line(), gate=gate)
    one.get("/orders")
    with http.in_lane("catalog"):
        one.get("/items")
        with http.in_lane("stock"):
            one.get("/stock")
        one.get("/items")
    assert gate.lanes == ["order", "catalog", "stock", "catalog"]
