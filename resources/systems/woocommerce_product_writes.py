"""The part of a WooCommerce client that writes products and variations, once each by their SKU.

The shop has no upsert: what has no id is looked up by SKU before it is made, and once more when the
shop says that the SKU is taken. Batches are applied item by item and answered the same way; what
they would not check is checked in `woocommerce_values.py`. Nothing is ever deleted for good.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import httpx

from resources.errors import (
    ContractBroken,
    Missing,
    Refused,
    RemoteError,
    SignInAgain,
    UnknownOutcome,
)
from resources.http import exact_json
from resources.pages import Broken, Raw
from resources.systems.woocommerce_products import sku_of
from resources.systems.woocommerce_values import unfit

API = "/wp-json/wc/v3"
#: Items the shop takes at once, creates and updates together.
BATCH = 100
#: What it says where a SKU is taken; the second names nobody, because the owner is in the trash.
TAKEN = ("product_invalid_sku", "woocommerce_rest_product_not_created")

Payload = dict[str, Any]
Answer = Payload | RemoteError


@dataclass(frozen=True)
class _Write:
    """One product or variation to be written."""

    key: str
    id: int | None
    parent: int | None
    fields: Mapping[str, Any]
    existed: bool = False

    @property
    def sku(self) -> str:
        """The SKU it is found again by."""
        return str(self.fields["sku"])

    def item(self) -> Payload:
        """Its place in a batch."""
        return dict(self.fields) if self.id is None else {"id": self.id, **self.fields}


class ProductWrites(ABC):
    """Writes of the products of one store, for its client."""

    http: httpx.Client
    name: str

    @abstractmethod
    def _refuse(self, answer: httpx.Response) -> None:
        """Raise what an answer other than a good one means."""

    @abstractmethod
    def products_by_sku(self, skus: Iterable[str]) -> list[Raw | Broken]:
        """Return the products and variations that have these SKUs."""

    @abstractmethod
    def _one(self, path: str, key: str) -> Raw | Broken | None:
        """Read one thing at its own address."""

    def put_products(self, writes: Sequence[Payload]) -> dict[str, Answer]:
        """Create or change products; answers what the shop shows then, or its refusal, by key.

        Each write is `{"key", "id", "parent", "fields"}`: our SKU or family key, the shop's ids of
        the thing and of its variable parent or None, and fields in the shop's words. One without an
        id that is there already is changed, and its answer says `"existed": True`; out of the trash
        it comes when its fields name a status.
        """
        answers: dict[str, Answer] = {}
        due = self._found(list(self._fit(writes, answers)), answers)
        self._send(due, answers)
        taken = [w for w in due if w.id is None and _is_taken(answers[w.key])]
        again = [w for w in self._found(taken, answers) if w.id is not None]
        self._send(again, answers)
        return answers

    def trash_products(self, ids: Iterable[int]) -> dict[int, RemoteError]:
        """Put products or variations into the trash; answers the refusals only.

        One by one, because a batch deletes for good. What is there already or gone is no error.
        """
        refusals: dict[int, RemoteError] = {}
        for product_id in dict.fromkeys(ids):
            try:
                self._trash(product_id)
            except Refused as refusal:
                refusals[product_id] = refusal
        return refusals

    def _fit(self, writes: Sequence[Payload], answers: dict[str, Answer]) -> Iterator[_Write]:
        """The writes that may be sent; the others are refused here, where nothing is lost yet."""
        keys, skus = set[str](), set[str]()
        for write in writes:
            one = _write(write)
            if one.key in keys:
                raise ValueError(f"{one.key} is written twice in one call")
            keys.add(one.key)
            fault = unfit(one.fields)
            if not fault and one.id is None and one.sku.casefold() in skus:
                fault = "sku is created twice in one call"
            if fault:
                answers[one.key] = Refused(self.name, fault, code="unfit_value")
                continue
            skus |= {one.sku.casefold()} if one.id is None else set()
            yield one

    def _found(self, writes: list[_Write], answers: dict[str, Answer]) -> list[_Write]:
        """The writes with the ids of those that exist; one whose SKU is elsewhere is refused."""
        wanted = [write.sku for write in writes if write.id is None]
        owners: dict[str, list[Raw]] = {}
        for item in self.products_by_sku(wanted) if wanted else []:
            if isinstance(item, Raw) and (sku := sku_of(item)):
                owners.setdefault(sku, []).append(item)
        found = []
        for write in writes:
            there = owners.get(write.sku.casefold(), []) if write.id is None else []
            if fault := _elsewhere(write, there):
                answers[write.key] = Refused(self.name, fault, code="sku_elsewhere")
            elif there:
                found.append(replace(write, id=int(there[0].resource_id), existed=True))
            else:
                found.append(write)
        return found

    def _send(self, writes: list[_Write], answers: dict[str, Answer]) -> None:
        """Send one batch after the other, a parent's variations to the parent."""
        by_parent: dict[int | None, list[_Write]] = {}
        for write in writes:
            by_parent.setdefault(write.parent, []).append(write)
        for parent, group in by_parent.items():
            path = f"products/{parent}/variations/batch" if parent else "products/batch"
            for start in range(0, len(group), BATCH):
                answers |= self._batch(path, group[start : start + BATCH])

    def _batch(self, path: str, writes: list[_Write]) -> dict[str, Answer]:
        made = [write for write in writes if write.id is None]
        changed = [write for write in writes if write.id is not None]
        parts = {"create": made, "update": changed}
        body = {verb: [one.item() for one in part] for verb, part in parts.items() if part}
        answer = self.http.post(f"{API}/{path}", json=body)
        self._refuse(answer)
        said = exact_json(self.name, answer.content)
        found: dict[str, Answer] = {}
        for verb, part in parts.items():
            items = said.get(verb, []) if isinstance(said, dict) else []
            if not isinstance(items, list) or len(items) != len(part):
                raise ContractBroken(self.name, f"the batch answers not what was asked to {verb}")
            for write, item in zip(part, items, strict=True):
                found[write.key] = self._outcome(write, item)
        return found

    def _outcome(self, write: _Write, item: object) -> Answer:
        if not isinstance(item, dict):
            raise ContractBroken(self.name, "the batch answers something that is no product")
        if "error" in item:
            return self._refusal(item["error"])
        key = item.get("id")
        known = key == write.id if write.id is not None else type(key) is int and key > 0
        if not known or (write.id is None and _folded(item.get("sku")) != write.sku.casefold()):
            raise ContractBroken(self.name, f"the batch answers another thing for {write.key}")
        return item | {"existed": True} if write.existed else item

    def _refusal(self, error: object) -> RemoteError:
        said = error if isinstance(error, dict) else {}
        code, message = str(said.get("code", "")), str(said.get("message", "no reason given"))
        data = said.get("data")
        status = data.get("status") if isinstance(data, dict) else data
        kind: type[RemoteError] = Refused
        if code.endswith("invalid_id"):
            kind = Missing
        elif isinstance(status, int) and status >= 500:
            # It died half way; what it left can only be looked up.
            kind = UnknownOutcome
        elif status in (401, 403):
            kind = SignInAgain
        return kind(self.name, message, code=code or None)

    def _trash(self, product_id: int) -> None:
        answer = self.http.delete(f"{API}/products/{product_id}", params={"force": "false"})
        if _complaint(answer) == "woocommerce_rest_invalid_product_id":
            # A variation goes through its parent, which only its own address names.
            there = self._one("products", str(product_id))
            if there is None:
                return
            if isinstance(there, Broken):
                raise ContractBroken(self.name, f"product {product_id} cannot be read")
            parent = there.body.get("parent_id")
            path = f"{API}/products/{parent}/variations/{product_id}"
            answer = self.http.delete(path, params={"force": "false"})
        code = _complaint(answer) or ""
        if answer.status_code == 410 or (answer.status_code == 404 and code.endswith("invalid_id")):
            return
        if answer.status_code == 501:  # no trash there, and deleting for good is not ours to do
            raise Refused(self.name, "the shop keeps no trash", code=code or None)
        self._refuse(answer)


def _write(write: Payload) -> _Write:
    """What is created without a SKU could not be found again, so its key becomes its SKU."""
    fields = dict(write["fields"])
    if write["id"] is None:
        fields = {"sku": write["key"]} | fields
    return _Write(str(write["key"]), write["id"], write["parent"] or None, fields)


def _elsewhere(write: _Write, there: list[Raw]) -> str | None:
    """Why the owner of a SKU cannot be what is to be written, if so."""
    if len(there) > 1:
        ids = ", ".join(item.resource_id for item in there)
        return f"the shop has the SKU more than once: products {ids}"
    for item in there:
        parent = item.body.get("parent_id") if item.body.get("type") == "variation" else None
        if (parent or None) != write.parent:
            kind = f"a variation of product {parent}" if parent else "a product of its own"
            return f"the SKU belongs to {item.resource_id}, {kind}"
    return None


def _is_taken(answer: Answer) -> bool:
    return isinstance(answer, Refused) and answer.code in TAKEN


def _folded(sku: object) -> str | None:
    return sku.casefold() if isinstance(sku, str) else None


def _complaint(answer: httpx.Response) -> str | None:
    """The code of a refusal, if the shop itself gave one."""
    if answer.status_code < 400:
        return None
    try:
        said = answer.json()
    except ValueError:
        return None
    code = said.get("code") if isinstance(said, dict) else None
    return code if isinstance(code, str) else None
