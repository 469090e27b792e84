"""What the Odoo stand-in shows beyond the recordings: searches, late commits, faults, companies."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from odoo_shelf import Shelf

from resources.sandbox.faults import Fault, Trouble

HEAD = ["id", "partner_id/.id", "client_order_ref"]
VERSION = {"service": "common", "method": "version", "args": []}


@pytest.fixture(params=[18, 19])
def shelf(request: pytest.FixtureRequest) -> Shelf:
    return Shelf(request.param)


def test_a_late_commit_is_seen_later_under_its_earlier_time(shelf: Shelf) -> None:
    shelf.order("us:1", origin="before")
    with shelf.erp.late_commit(5):
        shelf.order("us:2")
        shelf.call("sale.order", "write", [1], {"origin": "after"})
    shelf.moment += timedelta(seconds=3)
    shelf.order("us:3")
    fields = ["client_order_ref", "origin", "write_date"]

    def seen() -> list[tuple[Any, ...]]:
        rows = shelf.call("sale.order", "search_read", [], fields, order="write_date, id")
        return [tuple(row[name] for name in fields) for row in rows]

    early, late = "2026-11-20 12:00:00", "2026-11-20 12:00:03"
    assert seen() == [("us:1", "before", early), ("us:3", False, late)]
    assert shelf.found("sale.order", ["client_order_ref", "=", "us:2"]) == []
    assert shelf.found("sale.order", ["origin", "=", "before"]) == [1]
    shelf.moment += timedelta(seconds=2)
    assert seen() == [("us:1", "after", early), ("us:2", False, early), ("us:3", False, late)]


def test_a_stale_read_misses_the_newest_change(shelf: Shelf) -> None:
    shelf.order("us:1")
    shelf.erp.faults.plan(Fault(Trouble.STALE, "sale.order.search"))

    assert shelf.found("sale.order", ["client_order_ref", "in", ["us:1"]]) == []
    assert shelf.found("sale.order", ["client_order_ref", "in", ["us:1"]]) == [1]


def test_a_lost_answer_has_had_its_effect(shelf: Shelf) -> None:
    shelf.erp.faults.plan(Fault(Trouble.CUT_AFTER, "sale.order.load"))
    with pytest.raises(httpx.ReadError):
        shelf.load(HEAD, ["sync.so_1", str(shelf.ada), "us:1"])

    assert shelf.erp.order_count() == 1
    assert shelf.erp.count("sale.order.load") == 1


def test_too_many_calls_at_once_are_told_to_wait() -> None:
    shelf = Shelf(concurrent_limit=1)
    inner: list[httpx.Response] = []

    def second_call(operation: str) -> None:
        shelf.erp.after_effect = lambda operation: None
        inner.append(shelf.http.post("/jsonrpc", json={"params": VERSION}))

    shelf.erp.after_effect = second_call
    outer = shelf.http.post("/jsonrpc", json={"params": VERSION})

    assert (outer.status_code, inner[0].status_code) == (200, 429)
    assert inner[0].headers["Retry-After"] == "1"


def test_what_is_no_call_is_no_json_rpc(shelf: Shelf) -> None:
    assert shelf.http.post("/jsonrpc", content=b"<xml/>").status_code == 400
    assert shelf.http.get("/web/login").status_code == 404


FOUND: list[tuple[list[Any], list[str]]] = [
    ([["ref", "in", ["a", "c"]]], ["a", "c"]),
    (["|", ["ref", "=", "a"], ["name", "=", "Bob"]], ["a", "b"]),
    (["!", ["ref", "=", "a"], ["ref", "!=", False]], ["b", "c"]),
    ([["ref", "not in", ["a", "b"]], ["ref", "!=", False]], ["c"]),
    ([["parent_id.ref", "=", "a"]], ["b"]),
    ([["child_ids.ref", "=", "b"]], ["a"]),
    ([["country_id.code", "=", "FR"]], ["c"]),
    ([["name", "ilike", "AN"]], ["a"]),
    ([["name", "like", "_o_"]], ["b"]),
    ([["active", "=", False]], ["d"]),
    ([["email", "=", False], ["ref", "!=", False]], ["a", "b", "c"]),
]


@pytest.mark.parametrize(("domain", "refs"), FOUND)
def test_domains_find(domain: list[Any], refs: list[str], shelf: Shelf) -> None:
    shelf.call("res.partner", "write", [shelf.ada], {"ref": False})
    [france] = shelf.found("res.country", ["code", "=", "FR"])
    make: Callable[..., int] = lambda **values: shelf.call("res.partner", "create", values)  # noqa: E731
    ann = make(name="Ann", ref="a")
    make(name="Bob", ref="b", parent_id=ann)
    make(name="Cy", ref="c", country_id=france)
    make(name="Dee", ref="d", active=False)

    rows = shelf.call("res.partner", "search_read", domain, ["ref"], order="id")
    assert [row["ref"] for row in rows] == refs


@settings(max_examples=30, deadline=None)
@given(
    refs=st.lists(st.sampled_from("abc"), max_size=12),
    wanted=st.lists(st.sampled_from("abcd"), max_size=3),
    above=st.integers(18, 34),
    limit=st.integers(1, 5),
)
def test_an_index_finds_what_a_scan_finds(
    refs: list[str], wanted: list[str], above: int, limit: int
) -> None:
    shelf = Shelf()
    ids = shelf.call("res.partner", "create", [{"name": ref, "ref": ref} for ref in refs])
    expected = [i for i, ref in zip(ids, refs, strict=True) if ref in wanted and i > above]
    domain = [["ref", "in", wanted], ["id", ">", above]]

    found = shelf.call("res.partner", "search", domain, order="id", limit=limit)
    assert found == expected[:limit]
    assert shelf.call("res.partner", "search_count", domain) == len(expected)
    newest = shelf.call("res.partner", "search", domain, order="id desc", limit=limit)
    assert newest == expected[::-1][:limit]


def test_pages_follow_the_ids_and_show_archived_items_on_request(shelf: Shelf) -> None:
    ids = shelf.erp.add_products((f"SKU-{n}", f"Item {n}", "1", None) for n in range(5))
    shelf.call("product.product", "write", [ids[1]], {"active": False})
    after = [["id", ">", ids[0]]]
    how = {"order": "id", "limit": 3}
    archived = {"active_test": False}

    assert shelf.found("product.product", *after, **how) == ids[2:]
    assert shelf.found("product.product", *after, **how, context=archived) == ids[1:4]


def test_only_the_companies_of_the_context_are_seen(shelf: Shelf) -> None:
    shelf.order("us:1")
    mine, other = {"allowed_company_ids": [1]}, {"allowed_company_ids": [2]}

    assert shelf.found("sale.order", context=mine) == [1]
    assert shelf.found("sale.order", context=other) == []
    assert shelf.found("res.partner", context=other) == [shelf.ada]
    refused = shelf.refusal("sale.order", "search", [], context={"allowed_company_ids": [9]})
    assert refused[0] == "AccessError"


def test_an_administrator_reads_and_makes_external_ids() -> None:
    shelf = Shelf(administrator=True)
    shelf.load(HEAD, ["sync.so_1", str(shelf.ada), "us:1"])
    fields = ["module", "name", "model", "res_id"]
    [row] = shelf.call("ir.model.data", "search_read", [["module", "=", "sync"]], fields)
    row.pop("id")

    assert row == {"module": "sync", "name": "so_1", "model": "sale.order", "res_id": 1}
    name, message = shelf.refusal("ir.model.data", "create", row)
    assert name == "ValidationError"
    assert "Key (module, name)=(sync, so_1) already exists." in message


def test_a_missing_record_is_not_read_and_not_written(shelf: Shelf) -> None:
    assert shelf.call("sale.order", "read", [1, 2], ["name"]) == []
    assert shelf.refusal("sale.order", "action_confirm", [1])[0] == "MissingError"
    values = {"partner_id": shelf.ada, "order_line": [[0, 0, {"product_id": 999}]]}
    assert shelf.refusal("sale.order", "create", values)[0] == "MissingError"
    assert shelf.erp.order_count() == 0
