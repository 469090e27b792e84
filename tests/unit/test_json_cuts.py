"""JSON cut into parts: each part's exact text, and nothing taken for JSON that is none."""

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resources.systems.json_cuts import elements, members

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


def test_parts_come_as_they_were_written() -> None:
    text = ' { "a" : 1.50 ,\n"b":[ {"c":"\\u00e9"} , 2 ] ,"d":{} } '

    found = members(text)

    assert [(name, cut) for name, (cut, _) in found.items()] == [
        ("a", "1.50"),
        ("b", '[ {"c":"\\u00e9"} , 2 ]'),
        ("d", "{}"),
    ]
    assert found["a"][1] == Decimal("1.50")
    assert [cut for cut, _ in elements(found["b"][0])] == ['{"c":"\\u00e9"}', "2"]


def test_of_a_name_that_comes_twice_the_last_counts() -> None:
    assert members('{"a": 1, "a": 2}') == {"a": ("2", 2)}


@given(value=st.dictionaries(st.text(), VALUES), indent=st.none() | st.integers(0, 3))
def test_the_members_of_an_object_are_all_of_it(value: dict[str, Any], indent: int | None) -> None:
    found = members(json.dumps(value, indent=indent))

    assert {name: part for name, (_, part) in found.items()} == value
    assert {name: json.loads(cut) for name, (cut, _) in found.items()} == value


@given(value=st.lists(VALUES), indent=st.none() | st.integers(0, 3))
def test_the_elements_of_a_list_are_all_of_it(value: list[Any], indent: int | None) -> None:
    found = list(elements(json.dumps(value, indent=indent)))

    assert [part for _, part in found] == value
    assert [json.loads(cut) for cut, _ in found] == value


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        "{a: 1}",
        '{"a"}',
        '{"a": }',
        '{"a": 1',
        '{"a": 1 "b"',
        '{"a": 1} x',
        '{"a": 1,}',
        "{1: 2}",
    ],
)
def test_what_is_no_object_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the reader says why, in words of its own
        members(text)


@pytest.mark.parametrize("text", ["", "[", "{}", "[1", "[1 2]", "[1] 2", "[,]", "[1,]"])
def test_what_is_no_list_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the reader says why, in words of its own
        list(elements(text))
