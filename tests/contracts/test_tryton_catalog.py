"""Tryton's products with what belongs to them: modules found out, changes of every part seen."""

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

import sync_assets.mappers.tryton as identity
import sync_assets.mappers.tryton_catalog as mapper
from resources.errors import ContractBroken, TryAgain
from resources.systems.tryton_rpc import decoded, encoded
from tests.contracts.test_tryton_client import Call, Tape, amount, erp, response, said, user_error

D = Decimal
MOMENT = datetime(2026, 11, 20, 18, 6, 9, 455740, tzinfo=UTC)
PRODUCTS = "model.product.product.search_read"
LINE = "product.price_list.line"
Row = dict[str, Any]


def instant(moment: datetime) -> Row:
    names = ("year", "month", "day", "hour", "minute", "second", "microsecond")
    return {"__class__": "datetime", **{name: getattr(moment, name) for name in names}}


def no_such(model: str) -> Row:
    return {"id": 1, "error": [f"'{model}'", ""]}


def widget(number: int = 2, **changes: Any) -> Row:
    return {
        "id": number,
        "code": f"SKU-{number}",
        "suffix_code": f"SKU-{number}",
        "active": True,
        "description": None,
        "template": 3,
        "last_modified_at": instant(MOMENT),
        "template.": {
            "id": 3,
            "name": "Widget",
            "code": None,
            "type": "goods",
            "consumable": False,
            "salable": True,
            "active": True,
            "list_price": amount("11.00"),
            "account_category": 1,
            "categories": [5],
            "default_uom.": {"id": 1, "symbol": "u"},
            "last_modified_at": instant(MOMENT),
        },
        **changes,
    }


@dataclass
class Shelf(Tape):
    """A server whose every model has standing rows, with optional modules."""

    rows: dict[str, list[Row]] = field(default_factory=dict)
    fields: dict[str, set[str]] = field(default_factory=dict)

    def _answer(self, call: Call) -> Any:
        model, _, verb = call.method.removeprefix("model.").rpartition(".")
        if verb == "fields_get":
            known = self.fields.get(model)
            return no_such(model) if known is None else said({name: {} for name in known})
        if verb == "search_read" and model in self.rows:
            asked = [*call.params[4], "id"]
            return said(
                [{k: v for k, v in row.items() if _is_asked(k, asked)} for row in self.rows[model]]
            )
        return super()._answer(call)


def _is_asked(key: str, asked: list[str]) -> bool:
    return key in asked or any(name.startswith(key) for name in asked if key.endswith("."))


def shelf(**changes: Any) -> Shelf:
    rows = {
        "product.product": [widget()],
        "product.identifier": [{"id": 8, "product": 2, "type": "ean", "code": "4006381333931"}],
        "product.category": [
            {"id": 1, "rec_name": "Retail", "parent": None, "customer_taxes_used": [9]},
            {"id": 4, "rec_name": "Office", "parent": None, "customer_taxes_used": []},
            {"id": 5, "rec_name": "Office / Pens", "parent": 4, "customer_taxes_used": []},
        ],
        "account.tax": [{"id": 9, "name": "DE VAT 19%"}],
        "company.company": [{"id": 1, "currency.": {"code": "EUR"}, "timezone": "Europe/Berlin"}],
    }
    fields: dict[str, set[str]] = {
        "product.product": {"list_price_used", "identifiers", "list_prices"},
        "product.template": {"list_prices"},
        "product.category": {"customer_taxes_used"},
    }
    return Shelf(
        rows={**rows, **changes.get("rows", {})}, fields={**fields, **changes.get("fields", {})}
    )


def only(tape: Shelf) -> Row:
    (page,) = erp(tape).items()
    (row,) = page
    return row


def test_a_product_comes_with_what_a_catalog_shows_of_it() -> None:
    row = only(shelf())
    assert row["company"] == {"currency": "EUR", "timezone": "Europe/Berlin"}
    assert row["identifiers"] == [{"type": "ean", "code": "4006381333931"}]
    assert row["taxes"] == ["DE VAT 19%"]
    assert (row["account_category"], row["categories"]) == ("Retail", ["Office / Pens"])
    assert row["template."]["list_price"] == D("11.00")
    assert (row["variants"], row["components"], row["prices"]) == (1, [], [])


def test_what_named_a_sku_before_still_does() -> None:
    assert identity.item(only(shelf())) == {
        "sku": "SKU-2",
        "item_id": 2,
        "name": "Widget",
        "is_active": True,
        "changed_at": MOMENT,
    }


def test_only_salable_products_are_listed_and_archived_ones_too() -> None:
    tape = shelf()
    only(tape)
    assert tape.asked(PRODUCTS)[0].params[0] == [
        ["id", ">", 0],
        ["active", "in", [True, False]],
        ["template.salable", "=", True],
    ]


def test_siblings_are_counted_archived_ones_too() -> None:
    tape = shelf(rows={"product.product": [widget(2), widget(3, active=False)]})
    (page,) = erp(tape).items()
    assert [row["variants"] for row in page] == [2, 2]
    assert tape.asked(PRODUCTS)[1].params[0] == [
        ["template", "in", [3]],
        ["active", "in", [True, False]],
    ]


def test_an_optional_field_is_asked_for_only_where_it_is() -> None:
    plain, rich = shelf(), shelf(fields={"product.template": {"weight"}})
    only(plain)
    only(rich)
    weight = {"template.weight", "template.weight_uom.symbol"}
    assert not weight & set(plain.asked(PRODUCTS)[0].params[4])
    assert weight <= set(rich.asked(PRODUCTS)[0].params[4])


def test_features_are_found_out_once() -> None:
    tape = shelf()
    tryton = erp(tape)
    list(tryton.items())
    list(tryton.items())
    assert tape.count("model.product.product.fields_get") == 1
    assert tape.count(f"model.{LINE}.fields_get") == 1


def test_a_server_without_price_lists_is_not_asked_for_them() -> None:
    tape = shelf()
    only(tape)
    assert tape.count(f"model.{LINE}.search_read") == 0
    assert tape.count("model.product.component.search_read") == 0


def test_what_our_user_may_not_read_is_told_and_the_rest_goes_on() -> None:
    tape = priced(line(1))
    answer = tape._answer
    closed = (f"model.{LINE}.search_read", "model.account.tax.search_read")

    def refused(call: Call) -> Any:
        return (
            user_error("You are not allowed to access.") if call.method in closed else answer(call)
        )

    tape._answer = refused  # type: ignore[method-assign]
    row = only(tape)
    assert (row["unreadable"], row["prices"], row["taxes"]) == (["prices", "taxes"], [], [])
    assert row["categories"] == ["Office / Pens"]


def test_another_fault_of_a_model_is_not_taken_for_its_absence() -> None:
    tape = shelf()
    answer = tape._answer

    def broken(call: Call) -> Any:
        is_line = call.method == f"model.{LINE}.fields_get"
        return {"id": 1, "error": ["'formula'", ""]} if is_line else answer(call)

    tape._answer = broken  # type: ignore[method-assign]
    with pytest.raises(ContractBroken):
        list(erp(tape).items())


def line(number: int, **changes: Any) -> Row:
    return {
        "id": number,
        "price_list": 1,
        "price_list.": {"name": "Web", "tax_included": False},
        "sequence": None,
        "category": None,
        "product": None,
        "quantity": None,
        "formula": "list_price",
        **changes,
    }


def priced(*lines: Row, **changes: Any) -> Shelf:
    fields = {LINE: {"formula"}, **changes}
    return shelf(rows={LINE: list(lines)}, fields=fields)


def test_lines_of_other_products_and_categories_are_left_out() -> None:
    lines = (
        line(1, product=2, formula="1"),
        line(2, product=7, formula="2"),
        line(3, category=4, formula="3"),  # above the product's own category
        line(4, category=6, formula="4"),
        line(5, formula="5"),
    )
    assert [one["formula"] for one in only(priced(*lines))["prices"]] == ["1", "3", "5"]


def test_lines_stand_in_the_order_in_which_the_first_match_wins() -> None:
    lines = (line(1, sequence=20), line(2, sequence=10), line(3))
    places = {1: "20", 2: "10", 3: "none"}
    for one in lines:
        one["formula"] = places[one["id"]]
    assert [one["formula"] for one in only(priced(*lines))["prices"]] == ["none", "10", "20"]


def test_dates_of_lines_are_asked_for_only_where_the_module_is() -> None:
    plain, dated = priced(line(1)), priced(line(1), **{LINE: {"formula", "start_date", "end_date"}})
    only(plain)
    only(dated)
    asked = [tape.asked(f"model.{LINE}.search_read")[0].params[4] for tape in (plain, dated)]
    assert ["start_date" in fields for fields in asked] == [False, True]


def component(number: int, **changes: Any) -> Row:
    return {
        "id": number,
        "parent_template": 3,
        "parent_product": None,
        "product": 20 + number,
        "product.": {"code": f"PART-{number}", "default_uom": 1, "default_uom.": {"factor": 1.0}},
        "quantity": 2.0,
        "fixed": False,
        "unit": 1,
        "unit.": {"factor": 1.0},
        **changes,
    }


def kit(*components: Row) -> Shelf:
    rows = {"product.component": list(components)}
    return shelf(rows=rows, fields={"product.template": {"components"}})


def test_a_kit_has_the_components_of_its_template() -> None:
    row = only(kit(component(1), component(2, unit=6, **{"unit.": {"factor": 12.0}})))
    assert row["components"] == [
        {
            "item": 21,
            "sku": "PART-1",
            "units": D("2.0"),
            "factor": None,
            "own_factor": D("1.0"),
            "fixed": False,
        },
        {
            "item": 22,
            "sku": "PART-2",
            "units": D("2.0"),
            "factor": D("12.0"),
            "own_factor": D("1.0"),
            "fixed": False,
        },
    ]


def test_a_variant_with_components_of_its_own_has_only_those() -> None:
    row = only(kit(component(1), component(2, parent_product=2), component(3, parent_product=9)))
    assert [one["sku"] for one in row["components"]] == ["PART-2"]


# Changes


def clauses(tape: Shelf) -> list[Any]:
    list(erp(tape).items_changed_since(MOMENT, timedelta(minutes=5)))
    found: list[Any] = tape.asked(PRODUCTS)[0].params[0]
    return found


def test_a_change_of_product_or_template_or_their_parts_is_looked_for_with_overlap() -> None:
    since = instant(MOMENT - timedelta(minutes=5))
    assert clauses(shelf()) == [
        ["id", ">", 0],
        ["active", "in", [True, False]],
        [
            "OR",
            ["last_modified_at", ">=", since],
            ["template.last_modified_at", ">=", since],
            ["identifiers.last_modified_at", ">=", since],
            ["list_prices.last_modified_at", ">=", since],
            ["template.list_prices.last_modified_at", ">=", since],
        ],
    ]


@pytest.mark.parametrize(
    ("changed", "clause"),
    [
        ({"product": 7}, ["id", "in", [7]]),
        ({"category": 4}, ["template.categories_all", "child_of", [4], "parent"]),
        ({}, ["id", ">", 0]),
    ],
)
def test_a_changed_price_list_line_changes_the_products_it_is_about(
    changed: Row, clause: list[Any]
) -> None:
    assert clauses(priced(line(1, **changed)))[2][-1] == clause


def test_a_moment_is_sent_as_the_server_keeps_it_in_utc() -> None:
    moment = MOMENT.astimezone(tz=datetime.fromisoformat("2026-01-01T00:00+02:00").tzinfo)
    assert json.loads(encoded([moment])) == [instant(MOMENT)]
    with pytest.raises(TypeError):
        encoded([datetime(2026, 11, 20, 18, 6, 9)])  # noqa: DTZ001


# Recordings


def entries(recordings: Path, name: str) -> list[Row]:
    found: list[Row] = json.loads((recordings / "tryton/transcripts" / f"{name}.json").read_text())
    return found


def test_the_recorded_price_change_moves_the_template_and_so_the_item(recordings: Path) -> None:
    entry = entries(recordings, "delta")[5]
    assert "template.last_modified_at" in entry["request"]["body"]["params"][4]
    session = erp(Tape().play(PRODUCTS, response(entry))).rpc
    (row,) = session.search("product.product", [], ("code",))
    base = decoded(widget(identifiers=[]))
    payload = {**base, **row, "template.": {**base["template."], **row["template."]}}
    changed = mapper.products(payload, "tryton").product["changed_at"]
    assert changed == datetime(2026, 11, 20, 18, 6, 48, 543226, tzinfo=UTC)
    assert changed > datetime.fromisoformat(row["last_modified_at"])


def test_a_datetime_is_sent_in_the_recorded_form(recordings: Path) -> None:
    entry = entries(recordings, "delta")[3]
    recorded = entry["request"]["body"]["params"][0][0]
    names = ("year", "month", "day", "hour", "minute", "second", "microsecond")
    moment = datetime(*(recorded[2][name] for name in names), tzinfo=UTC)  # type: ignore[misc]
    assert json.loads(encoded([recorded[0], recorded[1], moment])) == recorded


def test_the_recorded_way_to_say_an_unknown_name_is_the_one_we_know(recordings: Path) -> None:
    """formats and errors: a bare KeyError, the name in quotes."""
    shapes = [
        one["response"]["body"]["error"]
        for one in entries(recordings, "errors")
        if isinstance(one["response"]["body"], dict) and "error" in one["response"]["body"]
    ]
    assert ["'nofield'", ""] in shapes


def test_the_recorded_variants_of_one_template_are_one_family(recordings: Path) -> None:
    entry = entries(recordings, "catalog")[3]
    answer = erp(Tape().play(PRODUCTS, response(entry)))
    rows = answer.rpc.search("product.product", [], ("code",))
    tape = shelf(rows={"product.product": [{**widget(), **row, "template": 23} for row in rows]})
    (page,) = erp(tape).items()
    found = [mapper.products(row, "tryton") for row in page]
    assert {one.product["sku"] for one in found} == {"A-SHIRT-S", "A-SHIRT-M"}
    assert {one.product["kind"] for one in found} == {"variation"}
    assert {one.product["family_ref"] for one in found} == {"tryton:3"}


def test_a_lost_connection_is_an_error_and_not_an_empty_catalog() -> None:
    tape = Tape().play("model.product.product.fields_get", *[httpx.ConnectError("away")] * 4)
    with pytest.raises(TryAgain):
        list(erp(tape).items())
