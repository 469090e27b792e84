"""The pictures of a WooCommerce stand-in's products: fetched once told of, then the shop's own.

Nothing is fetched here; a picture is its name and its place in the shop's library.
"""

from collections.abc import Callable
from datetime import datetime
from pathlib import PurePosixPath
from urllib.parse import urlsplit

from resources.sandbox.woocommerce_till import Doc, Given, Till


class Images:
    """The picture library of one store."""

    def __init__(self, home: str, till: Till, next_id: Callable[[], int]) -> None:
        self.home, self.till, self.next_id = home, till, next_id
        self.kept: dict[int, Doc] = {}
        self._names: dict[str, int] = {}

    def of(self, given: Given, when: datetime) -> Doc:
        """Return the picture a request names: one the shop has by id, else a copy of its own.

        A `src` is copied each time it is sent, and shown under the shop's own address.
        """
        kept = self.kept.get(int(given.get("id") or 0))
        if kept is None:
            kept = self._copied(str(given.get("src", "")), when)
        told = {name: str(given[name]) for name in ("name", "alt") if given.get(name)}
        self.kept[kept["id"]] = kept | told
        return self.kept[kept["id"]]

    def _copied(self, src: str, when: datetime) -> Doc:
        path = PurePosixPath(urlsplit(src).path)
        name = path.stem or "image"
        copies = self._names.get(path.name, 0)
        self._names[path.name] = copies + 1
        stem = f"{name}-{copies}" if copies else name
        folder = f"{self.home}/wp-content/uploads/{when:%Y/%m}"
        dates = self.till.dates("date_created", when) | self.till.dates("date_modified", when)
        place = {"src": f"{folder}/{stem}{path.suffix}", "name": stem, "alt": ""}
        return {"id": self.next_id(), **dates, **place}
