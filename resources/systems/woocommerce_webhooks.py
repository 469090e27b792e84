"""The part of a WooCommerce client that tends webhooks: list, create, change and delete them.

Which ones there should be, and what to do about a dead one, is decided elsewhere. A shop never
shows a webhook's secret.
"""

from abc import ABC, abstractmethod
from typing import Any

import httpx

from resources.errors import ContractBroken, Missing
from resources.http import exact_json

ROUTE = "/wp-json/wc/v3/webhooks"
PER_PAGE = 100

Payload = dict[str, Any]
Params = dict[str, str | int]


class WebhookCalls(ABC):
    """Calls about the webhooks of one store, for its client."""

    http: httpx.Client
    name: str

    @abstractmethod
    def _refuse(self, answer: httpx.Response) -> None:
        """Raise what an answer other than a good one means."""

    def webhooks(self) -> list[Payload]:
        """Return every webhook of the shop, ours or not, in the order of their ids."""
        found: dict[int, Payload] = {}
        number = 0
        while True:
            number += 1
            params: Params = {"per_page": PER_PAGE, "orderby": "id", "order": "asc", "page": number}
            answer = self.http.get(ROUTE, params=params)
            page = self._said(answer)
            if not isinstance(page, list):
                raise ContractBroken(self.name, "the page of webhooks is not a list")
            new = {self._known(one)["id"]: one for one in page}
            if new and new.keys() <= found.keys():
                raise ContractBroken(self.name, "the shop answers the same page again and again")
            found |= new
            if len(page) < PER_PAGE:
                return list(found.values())

    def create_webhook(self, topic: str, delivery_url: str, secret: str, name: str) -> Payload:
        """Set up an active webhook; the shop pings the address at once."""
        wanted = {"name": name, "topic": topic, "delivery_url": delivery_url, "secret": secret}
        return self._known(self._said(self.http.post(ROUTE, json={**wanted, "status": "active"})))

    def update_webhook(self, webhook_id: str | int, **changes: str) -> Payload:
        """Change `status`, `delivery_url`, `secret`, `topic` or `name` of a webhook."""
        answer = self.http.put(f"{ROUTE}/{int(webhook_id)}", json=changes)
        return self._known(self._said(answer))

    def delete_webhook(self, webhook_id: str | int) -> None:
        """Remove a webhook for good; one that is gone already is no mistake."""
        answer = self.http.delete(f"{ROUTE}/{int(webhook_id)}", params={"force": "true"})
        try:
            self._refuse(answer)
        except Missing as fault:
            if not (fault.code or "").endswith("invalid_id"):
                raise

    def _said(self, answer: httpx.Response) -> Any:
        self._refuse(answer)
        return exact_json(self.name, answer.content)

    def _known(self, webhook: Any) -> Payload:
        """A webhook that can be told from others."""
        if not isinstance(webhook, dict) or type(webhook.get("id")) is not int:
            raise ContractBroken(self.name, "a webhook has no id")
        return webhook
