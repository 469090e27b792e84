"""A system that only writes down what it is told, by key: a stand-in where nothing more is needed
than to see that each thing was said, and how often.
"""

from collections import Counter

import httpx

from resources.sandbox.faults import StandIn


class Notebook(StandIn):
    """`PUT /{kind}/{key}` is written down, `GET /{kind}/{key}` says whether it was."""

    name = "notebook"

    def __init__(self) -> None:
        super().__init__()
        #: How often each thing was said.
        self.noted: Counter[str] = Counter()

    def operation(self, request: httpx.Request) -> str:
        """Name of the call, as in `PUT stock`."""
        return f"{request.method} {request.url.path.split('/')[1]}"

    def answer(self, request: httpx.Request) -> httpx.Response:
        """Write down, or look up."""
        key = request.url.path
        if request.method == "GET":
            return httpx.Response(200 if key in self.noted else 404, json={})
        self.noted[key] += 1
        return httpx.Response(200, json={})

    def count(self, kind: str) -> int:
        """How many things of a kind were said."""
        return sum(key.startswith(f"/{kind}/") for key in self.noted)

    def doubled(self) -> int:
        """How often something was said again."""
        return sum(times - 1 for times in self.noted.values())
