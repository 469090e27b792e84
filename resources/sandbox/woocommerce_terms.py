"""Categories and tags of a WooCommerce stand-in: names with an id, which products carry.

Their routes are in `woocommerce_term_answers.py`.
"""

import re
from collections.abc import Iterable
from typing import Any

from resources.sandbox.woocommerce_catalog import links
from resources.sandbox.woocommerce_refusals import Declined
from resources.sandbox.woocommerce_till import Doc


class Terms:
    """One sort of names, such as categories; they may lie within one another."""

    def __init__(self, home: str, kind: str, first_id: int) -> None:
        self.home, self.kind = home, kind
        self.kept: dict[int, Doc] = {}
        #: What a product carries that is given none; tags have no such thing.
        self.default = 0
        self._last_id = first_id - 1

    def add(self, name: str, parent: int = 0, slug: str = "", description: str = "") -> int:
        """Add a name and return its id; one parent has it only once."""
        for other in self.kept.values():
            if other["parent"] == parent and other["name"].lower() == name.lower():
                message = "A term with the name provided already exists with this parent."
                data = {"status": 400, "resource_id": other["id"]}
                raise Declined(400, "term_exists", message, data)
        self._last_id += 1
        self.kept[self._last_id] = {
            "id": self._last_id,
            "name": name,
            "slug": self._slug(slug or name, parent),
            "parent": parent,
            "description": description,
        }
        return self._last_id

    def change(self, term_id: int, given: Doc) -> None:
        """Change a name or its place; products that carry it are not bumped by that."""
        term = self.kept[term_id]
        for name in ("name", "slug", "description"):
            if name in given:
                term[name] = str(given[name])
        if "parent" in given:
            term["parent"] = int(given["parent"])

    def drop(self, term_id: int) -> None:
        """Forget a name; what lay within it moves up."""
        gone = self.kept.pop(term_id)
        for other in self.kept.values():
            if other["parent"] == term_id:
                other["parent"] = gone["parent"]

    def picked(self, given: Iterable[Any]) -> list[Doc]:
        """Return the names a product is to carry; unknown ids are passed over in silence."""
        wanted = [int(one.get("id") or 0) if isinstance(one, dict) else int(one) for one in given]
        known = [term_id for term_id in dict.fromkeys(wanted) if term_id in self.kept]
        if not known and self.default:
            known = [self.default]
        found = [{name: self.kept[i][name] for name in ("id", "name", "slug")} for i in known]
        return sorted(found, key=lambda term: str(term["name"]).lower())

    def json(self, term_id: int, count: int) -> Doc:
        """Return a name as REST shows it, with how many products carry it."""
        term = self.kept[term_id]
        path = f"products/{self.kind}"
        shown = {name: term[name] for name in ("id", "name", "slug")}
        if self.kind == "categories":
            shown |= {"parent": term["parent"], "description": term["description"]}
            shown |= {"display": "default", "image": None, "menu_order": 0}
        else:
            shown["description"] = term["description"]
        return {**shown, "count": count, "_links": links(self.home, f"{path}/{term_id}", path)}

    def _slug(self, words: str, parent: int) -> str:
        """Make an address of a name; one that is taken is told apart by its parent or a number."""
        slug = re.sub(r"[^\w]+", "-", words.lower()).strip("-")
        taken = {term["slug"] for term in self.kept.values()}
        if slug in taken and parent:
            slug = f"{slug}-{self.kept[parent]['slug']}"
        numbered, number = slug, 2
        while numbered in taken:
            numbered, number = f"{slug}-{number}", number + 1
        return numbered
