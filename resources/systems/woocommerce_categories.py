"""The part of a WooCommerce client that tends product categories and names tax classes.

A category is known by its path of names from the top. The shop keeps names as HTML text; here they
are plain text.
"""

import html
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import httpx

from resources.errors import ContractBroken, Refused, RemoteError, TryAgain
from resources.http import exact_json
from resources.pages import Raw
from resources.systems.woocommerce_bounds import Params, by_id
from resources.systems.woocommerce_presence import Page

API = "/wp-json/wc/v3"
CATEGORIES = "products/categories"

Path = tuple[str, ...]


class CategoryCalls(ABC):
    """Calls about the categories and tax classes of one store, for its client."""

    http: httpx.Client
    name: str
    per_page: int

    @abstractmethod
    def _refuse(self, answer: httpx.Response) -> None:
        """Raise what an answer other than a good one means."""

    @abstractmethod
    def _page(self, path: str, asked: Params, *, fields: str | None = None) -> Page:
        """Read one page of a list."""

    def categories(self) -> dict[int, Path]:
        """Return the path of every category by its id."""
        named = {row["id"]: (_name(row), row.get("parent") or 0) for row in self._all_categories()}
        return {key: self._path(key, named) for key in named}

    def put_categories(self, paths: Sequence[Path]) -> dict[Path, int | RemoteError]:
        """Make the categories that are missing, parents first; answers the id of every path."""
        known: dict[Path, int | RemoteError] = {
            path: key for key, path in sorted(self.categories().items(), reverse=True)
        }
        for path in paths:
            for depth in range(1, len(path) + 1):
                above = known.get(path[: depth - 1], 0)
                if path[:depth] not in known:
                    known[path[:depth]] = self._make(path[depth - 1], above)
        return {path: known[path] for path in paths if path}

    def tax_classes(self) -> dict[str, str]:
        """Return the names of the tax classes by slug; products call `standard` an empty one."""
        answer = self.http.get(f"{API}/taxes/classes")
        self._refuse(answer)
        listed = exact_json(self.name, answer.content)
        if not isinstance(listed, list) or not all(_is_class(one) for one in listed):
            raise ContractBroken(self.name, "the tax classes are not a list of slugs and names")
        return {one["slug"]: html.unescape(one["name"]) for one in listed}

    def _all_categories(self) -> Iterator[dict[str, Any]]:
        number, found = 0, set[str]()
        while True:
            number += 1
            page = self._page(CATEGORIES, by_id(number), fields="id,name,parent")
            page.check()
            new = {row.resource_id for row in page.items if row.resource_id} - found
            if page.items and found and not new:
                raise ContractBroken(self.name, "the shop answers the same page again and again")
            found |= new
            yield from (row.body for row in page.items if isinstance(row, Raw))
            if page.is_last(number, self.per_page):
                return

    def _path(self, key: int, named: Mapping[int, tuple[str, int]]) -> Path:
        path: Path = ()
        while key:
            if key not in named:
                raise TryAgain(self.name, "a category names a parent that is not among them")
            name, key = named[key]
            path = (name, *path)
            if len(path) > len(named):
                raise ContractBroken(self.name, "a category is below itself")
        return path

    def _make(self, name: str, above: int | RemoteError) -> int | RemoteError:
        """Make one category; one made meanwhile by somebody else is as good."""
        if isinstance(above, RemoteError):
            return above
        wanted = {"name": name, "parent": above}
        answer = self.http.post(f"{API}/{CATEGORIES}", json=wanted)
        if answer.status_code == 400 and (there := self._existing(answer)):
            return there
        try:
            self._refuse(answer)
        except Refused as refusal:
            return refusal
        made = exact_json(self.name, answer.content)
        if not isinstance(made, dict) or type(made.get("id")) is not int or made["id"] < 1:
            raise ContractBroken(self.name, "the new category has no id")
        return int(made["id"])

    def _existing(self, answer: httpx.Response) -> int | None:
        said = exact_json(self.name, answer.content)
        if not isinstance(said, dict) or said.get("code") != "term_exists":
            return None
        data = said.get("data")
        there = data.get("resource_id") if isinstance(data, dict) else None
        return there if type(there) is int else None


def _name(row: Mapping[str, Any]) -> str:
    return html.unescape(str(row.get("name", "")))


def _is_class(one: object) -> bool:
    return (
        isinstance(one, dict)
        and isinstance(one.get("slug"), str)
        and isinstance(one.get("name"), str)
    )
