"""The Tryton client against recorded answers of a real server, and against prepared ones."""

import json
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

import sync_assets.mappers.tryton as mapper
from resources.errors import (
    ContractBroken,
    Missing,
    Refused,
    RemoteError,
    SignInAgain,
    Throttled,
    TryAgain,
    UnknownOutcome,
)
from resources.http import Manners, client
from resources.systems.tryton import Tryton
from resources.systems.tryton_rpc import Consent, Session, encoded

D = Decimal
RECORDINGS = (
    Path(__file__).resolve().parents[2].parent / "shared" / "contracts" / "tryton" / "transcripts"
)
recorded = pytest.mark.skipif(
    not RECORDINGS.is_dir(), reason="the recordings of Tryton do not stand beside the project"
)
PREFERENCES = {"company": 1, "companies": [1], "company_filter": "one", "language": "de"}
Answer = Any


def said(value: Any) -> dict[str, Any]:
    return {"id": 1, "result": value}


def user_error(message: str) -> dict[str, Any]:
    return {"id": 1, "error": ["UserError", [message, "", None]]}


def warning(name: str) -> dict[str, Any]:
    return {"id": 1, "error": ["UserWarning", [name, "The forecast is lower.", ""]]}


def amount(text: str) -> dict[str, str]:
    return {"__class__": "Decimal", "decimal": text}


@dataclass
class Call:
    path: str
    method: str
    params: list[Any]
    context: dict[str, Any]
    safe: bool
    headers: httpx.Headers


@dataclass
class Tape:
    """Plays prepared answers per method, signs everybody in, and keeps what was asked."""

    calls: list[Call] = field(default_factory=list)
    answers: dict[str, deque[Answer]] = field(default_factory=lambda: defaultdict(deque))
    logins: int = 0

    def play(self, method: str, *answers: Answer) -> "Tape":
        self.answers[method].extend(answers)
        return self

    def __call__(self, request: httpx.Request) -> httpx.Response:
        body = json.loads(request.content)
        assert sorted(body) == ["id", "method", "params"]
        *params, context = body["params"] or [{}]
        call = Call(
            request.url.path,
            body["method"],
            params,
            context,
            request.extensions["safe"],
            request.headers,
        )
        self.calls.append(call)
        answer = self._answer(call)
        if isinstance(answer, Exception):
            raise answer
        return answer if isinstance(answer, httpx.Response) else httpx.Response(200, json=answer)

    def _answer(self, call: Call) -> Answer:
        prepared = self.answers[call.method]
        if prepared:
            found = prepared.popleft()
            return found(call) if callable(found) else found
        if call.method == "common.db.login":
            self.logins += 1
            return said([4, f"token-{self.logins}", None])
        if call.method == "model.res.user.get_preferences":
            return said(PREFERENCES)
        if call.method == "model.sale.sale.fields_get":
            return said({"shipment_cost_method": {}})
        raise AssertionError(f"nothing is prepared for {call.method}")

    def asked(self, method: str) -> list[Call]:
        return [call for call in self.calls if call.method == method]

    def count(self, method: str) -> int:
        return len(self.asked(method))


def erp(tape: Callable[[httpx.Request], httpx.Response], **options: Any) -> Tryton:
    http = client(
        "tryton",
        "http://tryton.test",
        Manners(attempts=2),
        transport=httpx.MockTransport(tape),
        sleep=lambda seconds: None,
    )
    return Tryton(http, "erp", "sync", "secret", web_shops={"eu": "Acme Europe"}, **options)


SALES, SALE = "model.sale.sale.search_read", "model.sale.sale"


# Recordings


def exchanges() -> Iterator[tuple[str, dict[str, Any]]]:
    for path in sorted(RECORDINGS.glob("*.json")) if RECORDINGS.is_dir() else []:
        for place, entry in enumerate(json.loads(path.read_text())):
            url, body = entry["request"]["url"], entry["request"].get("body")
            if url.endswith("/erp/rpc/") and isinstance(body, dict):
                yield f"{path.stem}-{place}", entry


def response(entry: dict[str, Any]) -> httpx.Response:
    status, body = entry["response"]["status"], entry["response"]["body"]
    return (
        httpx.Response(status, text=body)
        if isinstance(body, str)
        else httpx.Response(status, json=body)
    )


def expected_fault(entry: dict[str, Any]) -> type[RemoteError] | None:
    """What FACTS say about each shape, independently of how the client finds out."""
    status, body = entry["response"]["status"], entry["response"]["body"]
    if status != 200:
        kinds = {503: TryAgain, 401: SignInAgain, 429: Throttled, 404: Refused}
        return kinds.get(status, ContractBroken)
    if "error" not in body:
        return None
    kind, detail = body["error"][0], body["error"][1]
    if kind == "UserError":
        return Missing if "that don't exist" in detail[0] else Refused
    kinds = {
        "UserWarning": Consent,
        "ConcurrencyException": TryAgain,
        "LoginException": SignInAgain,
    }
    return kinds.get(kind, ContractBroken)


ERRORS = [(name, entry) for name, entry in exchanges() if expected_fault(entry)]


@recorded
@pytest.mark.parametrize(("name", "entry"), ERRORS, ids=[name for name, _ in ERRORS])
def test_each_recorded_error_is_classed_by_what_to_do_next(
    name: str, entry: dict[str, Any]
) -> None:
    method = entry["request"]["body"]["method"]
    tape = Tape().play(method, *[response(entry)] * 3)
    session = erp(tape).rpc
    with pytest.raises(RemoteError) as caught:
        session.sign_in() if method == "common.db.login" else session.write(method)
    assert type(caught.value) is expected_fault(entry)


@recorded
def test_every_kind_of_fault_was_recorded() -> None:
    kinds = {expected_fault(entry) for _, entry in ERRORS}
    assert kinds == {
        *(Refused, Missing, Consent, ContractBroken),
        *(SignInAgain, TryAgain, Throttled),
    }


@recorded
def test_every_recorded_answer_is_read_without_a_float_among_the_money() -> None:
    answers = 0
    for _, entry in exchanges():
        if expected_fault(entry) is None:
            method = entry["request"]["body"]["method"]
            tape = Tape().play(method, response(entry))
            session = erp(tape).rpc
            if not method.startswith("common.") and method != "model.res.user.get_preferences":
                assert not list(floats(session.read(method)))
                answers += 1
    assert answers > 300


def floats(value: Any) -> Iterator[float]:
    if isinstance(value, float):
        yield value
    elif isinstance(value, dict | list):
        for part in value.values() if isinstance(value, dict) else value:
            yield from floats(part)


@recorded
def test_a_recorded_order_is_seen_with_its_exact_total() -> None:
    entries = json.loads((RECORDINGS / "order.json").read_text())
    read = next(
        entry
        for entry in entries
        if entry["request"]["body"]["method"] == "model.sale.sale.read"
        and "untaxed_amount" in entry["request"]["body"]["params"][1]
    )
    row = erp(Tape().play("model.sale.sale.read", response(read))).rpc.read("model.sale.sale.read")
    found = mapper.seen({"key": "eu:1001", **row[0]})
    assert (found.state, found.total_amount, found.lines) == ("draft", D("52.80"), 2)


@recorded
def test_the_recorded_yes_that_left_an_order_unprocessed_is_told_as_a_refusal() -> None:
    """confirm_then_process_fails: quote and confirm say yes, no shipment, no invoice."""
    entries = json.loads((RECORDINGS / "confirm_then_process_fails.json").read_text())
    by_method: dict[str, list[httpx.Response]] = defaultdict(list)
    for entry in entries:
        by_method[entry["request"]["body"]["method"]].append(response(entry))
    left = by_method["model.sale.sale.read"][0].json()["result"]
    tape = Tape()
    for button in ("quote", "confirm"):
        tape.play(f"{SALE}.{button}", *by_method[f"{SALE}.{button}"])
    tape.play("model.res.user.warning.skip", *by_method["model.res.user.warning.skip"])
    tape.play("model.sale.line.search_read", said([{"id": 662, "sale": 351}]), said([]))
    states = ("draft", "quotation", "confirmed", "confirmed")
    tape.play(SALES, *(said([{"id": 351, "state": state}]) for state in states))
    tape.play(f"{SALE}.process", said(None))
    assert left == [{"state": "confirmed", "id": 351, "shipments": [], "invoices": []}]
    refusals = erp(tape).confirm([351])
    assert refusals[351].code == "stuck"
    assert "has no shipment and no invoice" in refusals[351].message
    skipped = [call.params for call in tape.asked("model.res.user.warning.skip")]
    assert skipped == [["stock_quantity_warning_662", False]] * 2
    assert tape.count(f"{SALE}.process") == 1


@recorded
def test_a_processed_order_is_called_off_with_the_recorded_calls() -> None:
    """handle_exception: shipment, invoice, then one wizard for each."""
    entries = json.loads((RECORDINGS / "handle_exception.json").read_text())
    sent = [entry["request"]["body"] for entry in entries]
    first = next(i for i, body in enumerate(sent) if body["method"].endswith("out.cancel"))
    tape = Tape()
    for entry in entries[first:]:
        if not entry["request"]["body"]["method"].endswith("sale.read"):
            tape.play(entry["request"]["body"]["method"], response(entry))
    behind = {"shipments": [935], "invoices": [938], "shipment_returns": [], "id": 961}
    alive = {**behind, "shipment_state": "waiting", "invoice_state": "pending"}
    broken = {**behind, "shipment_state": "exception", "invoice_state": "exception"}
    gone = {**behind, "shipment_state": "none", "invoice_state": "none", "state": "done"}
    processing = said([{"id": 961, "state": "processing"}])
    tape.play(SALES, *[processing] * 4, said([gone]))
    tape.play("model.sale.sale.read", said([alive]), said([broken]))
    tape.play("model.stock.shipment.out.search_read", said([{"id": 935, "state": "waiting"}]))
    tape.play("model.stock.shipment.out.return.search_read", said([]))
    tape.play("model.account.invoice.search_read", said([{"id": 938, "state": "draft"}]))
    for kind in ("shipment", "invoice"):
        tape.play(f"wizard.sale.handle.{kind}.exception.delete", said(None))
    tape.play(SALES, said([{"id": 961, "state": "done"}]))
    assert erp(tape).cancel([961]) == {}
    wanted = [
        (body["method"], body["params"][:-1])
        for body in sent[first:]
        if not body["method"].endswith("sale.read")
    ]
    made = [(call.method, call.params) for call in tape.calls if not call.safe]
    ours = [one for one in made if one[0] != "common.db.login" and ".delete" not in one[0]]
    assert ours == wanted


# Session


def test_a_call_carries_the_session_and_the_users_company_in_english() -> None:
    tape = Tape().play("model.party.party.search_read", said([]))
    erp(tape).rpc.search("party.party", [], ("name",))
    call = tape.calls[-1]
    assert call.path == "/erp/rpc/"
    assert call.headers["Authorization"] == "Session c3luYzo0OnRva2VuLTE="  # sync:4:token-1
    assert call.context == {**PREFERENCES, "language": "en"}


def test_every_call_asks_for_gzip_because_the_server_claims_it_anyway() -> None:
    tape = Tape().play("common.server.version", said("8.2"))
    assert erp(tape).ping() == "8.2"
    assert {call.headers["Accept-Encoding"] for call in tape.calls} == {"gzip"}
    assert tape.calls[0].path == "/rpc/"


def test_an_aged_session_is_renewed_once_and_the_call_repeated() -> None:
    method = "model.party.party.write"
    tape = Tape().play(method, httpx.Response(401), said(None))
    assert erp(tape).rpc.write(method, [1], {"name": "Ada"}) is None
    assert (tape.logins, tape.count(method)) == (2, 2)


def test_a_session_refused_twice_is_given_up() -> None:
    method = "model.party.party.write"
    tape = Tape().play(method, *[httpx.Response(401)] * 3)
    with pytest.raises(SignInAgain):
        erp(tape).rpc.write(method, [1], {})
    assert (tape.logins, tape.count(method)) == (2, 2)


def test_a_wrong_password_is_never_tried_twice() -> None:
    tape = Tape().play("common.db.login", *[httpx.Response(401)] * 5)
    tryton = erp(tape)
    for _ in range(3):
        with pytest.raises(SignInAgain, match="'sync' is not accepted by 'erp'"):
            tryton.orders(["eu:1"])
    assert tape.count("common.db.login") == 1


def test_a_lost_answer_to_a_login_is_no_unknown_outcome() -> None:
    tape = Tape().play("common.db.login", httpx.ReadTimeout("slow"))
    with pytest.raises(TryAgain):
        erp(tape).rpc.sign_in()


def test_an_unknown_database_is_named() -> None:
    tape = Tape().play("common.db.login", httpx.Response(404, text="Not Found"))
    with pytest.raises(Refused, match="no database 'erp'"):
        erp(tape).rpc.sign_in()


def test_a_read_is_repeated_and_a_write_is_not() -> None:
    lost = httpx.ReadTimeout("slow")
    tape = Tape().play("model.a.read", lost, said([1])).play("model.a.write", lost, said([1]))
    tryton = erp(tape)
    assert tryton.rpc.read("model.a.read") == [1]
    with pytest.raises(UnknownOutcome):
        tryton.rpc.write("model.a.write")
    assert tape.count("model.a.write") == 1


def test_a_locked_row_is_tried_again_because_it_was_rolled_back() -> None:
    tape = Tape().play("model.a.write", httpx.Response(503, text="could not obtain lock"), said(1))
    assert erp(tape).rpc.write("model.a.write") == 1


def test_an_answer_that_is_a_page_breaks_the_contract() -> None:
    tape = Tape().play("model.a.read", httpx.Response(200, text="<html>welcome</html>"))
    with pytest.raises(ContractBroken):
        erp(tape).rpc.read("model.a.read")


def test_the_password_is_in_no_error_and_no_representation() -> None:
    tape = Tape().play("common.db.login", httpx.Response(401))
    session: Session = erp(tape).rpc
    with pytest.raises(SignInAgain) as caught:
        session.sign_in()
    assert "secret" not in f"{caught.value}{caught.value.__cause__}{session!r}"


def test_amounts_are_written_with_their_tag() -> None:
    assert json.loads(encoded({"price": D("12.50")})) == {"price": amount("12.50")}
    with pytest.raises(TypeError):
        encoded({"at": object()})


# Reading


def test_a_name_two_things_have_is_left_out() -> None:
    tape = Tape()
    for model in ("company.company", "currency.currency", "web.shop", "product.uom"):
        tape.play(f"model.{model}.search_read", said([]))
    for model in ("account.invoice.payment_term", "country.country"):
        tape.play(f"model.{model}.search_read", said([]))
    for model in ("account.journal", "account.account"):
        tape.play(f"model.{model}.search_read", said([]))
    houses = [{"id": 1, "code": "EU1"}, {"id": 2, "code": "EU1"}, {"id": 3, "code": "US1"}]
    tape.play("model.stock.location.search_read", said([*houses, {"id": 4, "code": None}]))
    rows = [
        {"id": 1, "name": "VAT", "company.": {"id": 1, "rec_name": "Acme"}},
        {"id": 2, "name": "VAT", "company.": {"id": 2, "rec_name": "Other"}},
    ]
    tape.play("model.account.tax.search_read", said(rows))
    found = erp(tape).references()
    assert found["warehouse"] == {"US1": 3}
    assert found["tax"] == {"Acme/VAT": 1, "Other/VAT": 2}


def test_items_come_page_by_page_archived_ones_too() -> None:
    template = {"template": 7, "template.": {"account_category": None, "categories": []}}
    rows = [{"id": n, **template} for n in range(1, 1002)]
    tape = Tape().play("model.product.product.search_read", said(rows[:1000]), said([]))
    tape.play("model.product.product.search_read", said(rows[1000:]), said([]))
    for model in ("product.product", "product.template", "product.category"):
        tape.play(f"model.{model}.fields_get", said({}))
    no_such_model = {"id": 1, "error": ["'product.price_list.line'", ""]}
    tape.play("model.product.price_list.line.fields_get", no_such_model)
    tape.play("model.product.identifier.search_read", said([]), said([]))
    for model in ("company.company", "product.category"):
        tape.play(f"model.{model}.search_read", said([]))
    assert [len(page) for page in erp(tape).items()] == [1000, 1]
    asked = tape.asked("model.product.product.search_read")
    domains = [call.params[0] for call in asked if call.params[2] == 1000]
    assert [domain[0] for domain in domains] == [["id", ">", 0], ["id", ">", 1000]]
    assert ["active", "in", [True, False]] in domains[0]


def test_orders_are_found_by_web_shop_and_web_id() -> None:
    row = {"id": 9, "web_id": "1042", "web_shop.": {"id": 7, "name": "Acme Europe"}}
    tape = Tape().play(SALES, said([row | {"total_amount": amount("26.18")}]))
    found = erp(tape).orders(["eu:1042", "us:7"])
    assert found == {"eu:1042": {"key": "eu:1042", **row, "total_amount": D("26.18")}}
    call = tape.asked(SALES)[0]
    assert call.safe
    assert call.params[0] == [
        "OR",
        [["web_shop.name", "=", "Acme Europe"], ["web_id", "in", ["1042"]]],
        [["web_shop.name", "=", "us"], ["web_id", "in", ["7"]]],
    ]


def test_no_keys_ask_nothing() -> None:
    tape = Tape()
    assert erp(tape).orders([]) == {}
    assert tape.calls == []


# Customers

ADDRESS = {"street": "Musterweg 1", "city": "Berlin", "country": 60, "postal_code": "10115"}
ADA = {
    "key": "eu:customer:5",
    "name": "Ada",
    "address": ADDRESS,
    "contacts": [{"type": "phone", "value": "+49 30 901820"}],
}
PARTIES = "model.party.party.search_read"
ADDRESSES = "model.party.address.search_read"
CONTACTS = "model.party.contact_mechanism.search_read"
ADA_THERE = {"id": 4, "code": "eu:customer:5", "name": "Ada"}
PHONE_THERE = {"id": 2, "party": 4, "type": "phone", "value": "+49 30 90 18 20"}


def test_a_new_customer_is_created_with_address_and_contacts() -> None:
    tape = Tape().play(PARTIES, said([])).play("model.party.party.create", said([4]))
    assert erp(tape).put_parties([ADA]) == {"eu:customer:5": 4}
    assert tape.asked("model.party.party.create")[0].params == [
        [
            {
                "code": "eu:customer:5",
                "name": "Ada",
                "addresses": [["create", [ADDRESS]]],
                "contact_mechanisms": [["create", ADA["contacts"]]],
            }
        ]
    ]


def test_a_known_customer_who_lacks_nothing_is_not_written() -> None:
    tape = Tape().play(PARTIES, said([ADA_THERE])).play(CONTACTS, said([PHONE_THERE]))
    tape.play(ADDRESSES, said([{"id": 8, "party": 4, "attn": None, **ADDRESS}]))
    assert erp(tape).put_parties([ADA]) == {"eu:customer:5": 4}
    assert [call.method for call in tape.calls if not call.safe] == ["common.db.login"]


def test_a_new_address_is_added_and_the_old_one_left_as_it_is() -> None:
    tape = Tape().play(PARTIES, said([ADA_THERE])).play(CONTACTS, said([PHONE_THERE]))
    tape.play(ADDRESSES, said([{"id": 8, "party": 4, **ADDRESS, "street": "Altweg 9"}]))
    tape.play("model.party.party.write", said(None))
    assert erp(tape).put_parties([ADA]) == {"eu:customer:5": 4}
    written = tape.asked("model.party.party.write")[0].params
    assert written == [[4], {"addresses": [["create", [ADDRESS]]]}]


def test_a_customer_somebody_else_just_created_is_found_again() -> None:
    tape = Tape().play(PARTIES, said([]), said([ADA_THERE]))
    tape.play("model.party.party.create", user_error("The code on party must be unique."))
    tape.play(CONTACTS, said([PHONE_THERE])).play(ADDRESSES, said([{"party": 4, **ADDRESS}]))
    assert erp(tape).put_parties([ADA]) == {"eu:customer:5": 4}


# Orders


def order(number: int, **changes: Any) -> dict[str, Any]:
    line = {
        "key": f"eu:{number}:1",
        "sequence": 100,
        "product": 105,
        "description": "Widget",
        "quantity": D(2),
        "unit": 1,
        "unit_price": D("11.0000"),
        "taxes": [3],
    }
    head = {"web_shop": 7, "web_id": str(number), "party": 4, "shipment_cost_method": None}
    addresses = {"invoice_address": ADDRESS, "shipment_address": ADDRESS}
    return {"key": f"eu:{number}", **head, **addresses, "lines": [line], **changes}


def at_home(tape: Tape) -> Tape:
    return tape.play(ADDRESSES, said([{"id": 8, "party": 4, **ADDRESS}]))


def test_a_draft_is_created_whole_in_one_call() -> None:
    tape = at_home(Tape().play(SALES, said([])).play(f"{SALE}.create", said([31])))
    assert erp(tape).put_orders([order(1042)]) == {"eu:1042": 31}
    values = tape.asked(f"{SALE}.create")[0].params[0][0]
    assert (values["invoice_address"], values["shipment_address"]) == (8, 8)
    assert values["shipment_cost_method"] is None
    assert values["lines"] == [
        [
            "create",
            [
                {
                    "type": "line",
                    "sequence": 100,
                    "product": 105,
                    "description": "Widget",
                    "quantity": 2,
                    "unit": 1,
                    "unit_price": amount("11.0000"),
                    "taxes": [["add", [3]]],
                }
            ],
        ]
    ]
    assert "key" not in values


def test_a_server_without_shipment_cost_is_not_told_about_it() -> None:
    tape = at_home(Tape().play(SALES, said([])).play(f"{SALE}.create", said([31])))
    tape.play("model.sale.sale.fields_get", said({}))
    erp(tape).put_orders([order(1042)])
    assert "shipment_cost_method" not in tape.asked(f"{SALE}.create")[0].params[0][0]


def test_an_order_that_is_there_is_answered_and_not_created() -> None:
    tape = Tape().play(SALES, said([{"id": 31, "web_shop": 7, "web_id": "1042"}]))
    assert erp(tape).put_orders([order(1042)]) == {"eu:1042": 31}
    assert tape.count(f"{SALE}.create") == 0


def test_an_order_created_meanwhile_counts_as_existing() -> None:
    there = said([{"id": 31, "web_shop": 7, "web_id": "1042"}])
    tape = at_home(Tape().play(SALES, said([]), there))
    twin = "The web ID on the sale must be unique per shop."
    tape.play(f"{SALE}.create", user_error(twin))
    assert erp(tape).put_orders([order(1042)]) == {"eu:1042": 31}


def test_one_bad_order_does_not_stop_its_neighbours() -> None:
    def create(call: Call) -> Answer:
        numbers = [values["web_id"] for values in call.params[0]]
        return user_error("No tax.") if "3" in numbers else said([int(n) for n in numbers])

    tape = at_home(Tape().play(SALES, said([])).play(f"{SALE}.create", *[create] * 7))
    answers = erp(tape).put_orders([order(number) for number in range(1, 5)])
    refused = answers.pop("eu:3")
    assert isinstance(refused, Refused)
    assert refused.message == "No tax."
    assert answers == {"eu:1": 1, "eu:2": 2, "eu:4": 4}
    assert tape.count(f"{SALE}.create") == 5


def test_a_parcel_elsewhere_gets_an_address_added_to_the_customer() -> None:
    tape = at_home(Tape().play(SALES, said([])).play(f"{SALE}.create", said([31])))
    tape.play("model.party.address.create", said([9]))
    away = {**ADDRESS, "street": "Lager 2"}
    erp(tape).put_orders([order(1042, shipment_address=away)])
    assert tape.asked("model.party.address.create")[0].params == [[{"party": 4, **away}]]
    values = tape.asked(f"{SALE}.create")[0].params[0][0]
    assert (values["invoice_address"], values["shipment_address"]) == (8, 9)


def test_a_lost_answer_to_create_is_an_unknown_outcome_and_not_sent_again() -> None:
    tape = at_home(Tape().play(SALES, said([])))
    tape.play(f"{SALE}.create", httpx.ReadTimeout("slow"))
    with pytest.raises(UnknownOutcome):
        erp(tape).put_orders([order(1042)])
    assert tape.count(f"{SALE}.create") == 1


ROUNDING = {
    "key": "eu:1042:rounding",
    "sequence": 1_000_000,
    "product": 9,
    "description": "Rounding",
    "quantity": D(1),
    "unit_price": D("-0.02"),
    "taxes": [],
}


def test_a_rounding_line_is_added_in_the_unit_of_its_item() -> None:
    tape = Tape().play("model.sale.line.search_read", said([]))
    tape.play("model.product.product.search_read", said([{"id": 9, "sale_uom": 1}]))
    tape.play("model.sale.line.create", said([77]))
    erp(tape).add_line(31, ROUNDING)
    assert tape.asked("model.sale.line.create")[0].params == [
        [
            {
                "sale": 31,
                "type": "line",
                "sequence": 1_000_000,
                "product": 9,
                "description": "Rounding",
                "quantity": 1,
                "unit": 1,
                "unit_price": amount("-0.02"),
                "taxes": [["add", []]],
            }
        ]
    ]


def test_a_line_that_is_there_is_not_added_again() -> None:
    tape = Tape().play("model.sale.line.search_read", said([{"id": 77, "sequence": 1_000_000}]))
    erp(tape).add_line(31, ROUNDING)
    assert tape.count("model.sale.line.create") == 0


# Confirming and cancelling


def states(*rounds: dict[int, str]) -> list[Answer]:
    return [said([{"id": n, "state": s} for n, s in found.items()]) for found in rounds]


def test_a_draft_is_quoted_and_confirmed_and_its_state_read_back() -> None:
    rounds = states({31: "draft"}, {31: "quotation"}, {31: "processing"}, {31: "processing"})
    tape = Tape().play(SALES, *rounds).play(f"{SALE}.quote", said(None))
    tape.play(f"{SALE}.confirm", said(None))
    assert erp(tape).confirm([31]) == {}
    assert tape.count(f"{SALE}.process") == 0


def test_confirming_twice_presses_nothing() -> None:
    tape = Tape().play(SALES, *states(*[{31: "processing"}] * 4))
    assert erp(tape).confirm([31]) == {}
    assert not [call for call in tape.calls if call.method.startswith(f"{SALE}.con")]


def test_an_order_left_unprocessed_is_processed_with_a_second_call() -> None:
    rounds = states({31: "confirmed"}, {31: "confirmed"}, {31: "confirmed"}, {31: "processing"})
    tape = Tape().play(SALES, *rounds).play(f"{SALE}.process", said(None))
    assert erp(tape).confirm([31]) == {}
    assert tape.count(f"{SALE}.process") == 1


def test_an_order_that_cannot_be_processed_is_stuck_and_says_why() -> None:
    tape = Tape().play(SALES, *states(*[{31: "confirmed"}] * 4))
    tape.play(f"{SALE}.process", user_error("There is no account."))
    refusal = erp(tape).confirm([31])[31]
    assert isinstance(refusal, Refused)
    assert refusal.code == "stuck"
    assert refusal.message.endswith("no shipment and no invoice: There is no account.")


def test_only_the_bad_one_of_many_is_refused() -> None:
    def quote(call: Call) -> Answer:
        return user_error("No invoice address.") if 3 in call.params[0] else said(None)

    ids = dict.fromkeys(range(1, 5), "draft")
    quoted = {n: "draft" if n == 3 else "quotation" for n in ids}
    done = {n: "draft" if n == 3 else "processing" for n in ids}
    tape = Tape().play(SALES, *states(ids, quoted, done, done))
    tape.play(f"{SALE}.quote", *[quote] * 5).play(f"{SALE}.confirm", said(None))
    refusals = erp(tape).confirm(list(ids))
    assert {n: fault.message for n, fault in refusals.items()} == {3: "No invoice address."}
    assert tape.asked(f"{SALE}.confirm")[0].params == [[1, 2, 4]]


def test_short_stock_is_agreed_to_for_every_line_at_once() -> None:
    rounds = states({31: "draft"}, {31: "quotation"}, {31: "processing"}, {31: "processing"})
    lines = [{"id": 7, "sale": 31}, {"id": 8, "sale": 31}]
    tape = Tape().play(SALES, *rounds).play("model.sale.line.search_read", said(lines))
    tape.play(f"{SALE}.quote", warning("stock_quantity_warning_7"), said(None))
    tape.play(f"{SALE}.confirm", said(None)).play(
        "model.res.user.warning.skip", said(None), said(None)
    )
    assert erp(tape).confirm([31]) == {}
    skipped = [call.params for call in tape.asked("model.res.user.warning.skip")]
    assert skipped == [["stock_quantity_warning_7", False], ["stock_quantity_warning_8", False]]


def test_any_other_question_is_left_to_a_person() -> None:
    tape = Tape().play(SALES, *states(*[{31: "draft"}] * 4))
    tape.play(f"{SALE}.quote", warning("d1c17eb4.no_carrier"))
    refusal = erp(tape).confirm([31])[31]
    assert isinstance(refusal, Consent)
    assert refusal.code == "d1c17eb4.no_carrier"
    assert tape.count("model.res.user.warning.skip") == 0


def test_an_order_nobody_knows_is_missing() -> None:
    tape = Tape().play(SALES, *states({}, {}, {}, {}))
    assert isinstance(erp(tape).confirm([31])[31], Missing)


def test_a_draft_is_cancelled_and_a_cancelled_one_left_alone() -> None:
    before, after = {1: "draft", 2: "cancelled"}, {1: "cancelled", 2: "cancelled"}
    tape = Tape().play(SALES, *states(before, before, after, after))
    behind = {"shipment_state": "none", "invoice_state": "none", "shipments": [], "invoices": []}
    tape.play(SALES, said([{"id": n, "state": "cancelled", **behind} for n in (1, 2)]), said([]))
    tape.play(f"{SALE}.cancel", said(None))
    assert erp(tape).cancel([1, 2]) == {}
    assert tape.asked(f"{SALE}.cancel")[0].params == [[1]]


@pytest.mark.parametrize(
    ("shipment", "invoice", "code"), [("done", "draft", "shipped"), ("waiting", "paid", "invoiced")]
)
def test_what_has_left_or_is_booked_is_not_half_cancelled(
    shipment: str, invoice: str, code: str
) -> None:
    row = {
        "id": 31,
        "state": "processing",
        "shipment_state": "waiting",
        "invoice_state": "pending",
        "shipments": [4],
        "shipment_returns": [],
        "invoices": [5],
    }
    tape = Tape().play(SALES, *[said([row])] * 6).play("model.sale.sale.read", said([row]))
    tape.play("model.stock.shipment.out.search_read", said([{"id": 4, "state": shipment}]))
    tape.play("model.stock.shipment.out.return.search_read", said([]))
    tape.play("model.account.invoice.search_read", said([{"id": 5, "state": invoice}]))
    assert erp(tape).cancel([31])[31].code == code
    assert [call.method for call in tape.calls if not call.safe] == ["common.db.login"]


def test_stock_promised_beyond_what_is_there_was_promised_to_the_last_orders() -> None:
    lines = [{"id": n, "sale": 30 + n, "product": 105, "warehouse": 20} for n in (1, 2, 3)]
    tape = Tape().play("model.sale.line.search_read", said(lines))
    tape.play(
        "model.ir.date.today", said({"__class__": "date", "year": 2026, "month": 11, "day": 20})
    )
    tape.play("model.product.product.search_read", said([{"id": 105, "forecast_quantity": -2.0}]))
    moves = [
        {"id": n, "product": 105, "internal_quantity": 1.0, "origin": f"sale.line,{n}"}
        for n in (1, 2, 3)
    ]
    tape.play("model.stock.move.search_read", said(moves))
    assert erp(tape).unconfirmed_stock([31, 32, 33]) == {32, 33}
    asked = tape.asked("model.product.product.search_read")[0].context
    assert asked["locations"] == [20]
    assert asked["stock_date_end"]["day"] == 20
