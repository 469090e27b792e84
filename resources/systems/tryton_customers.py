"""Customers of a Tryton database: parties by our code, and the addresses they have.

An address is never edited: posted invoices point at it. One that differs is added.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from resources.errors import ContractBroken, Refused, RemoteError
from resources.systems.tryton_rpc import (
    KEY_BATCH,
    Payload,
    Session,
    batches,
    halving,
    not_unique,
)

CREATE_BATCH = 50
ADDRESS_FIELDS = ("party_name", "attn", "street", "postal_code", "city", "country")
#: A party and what its address says.
AddressKey = tuple[Any, ...]


class Customers:
    """Parties and addresses, through one session."""

    def __init__(self, rpc: Session) -> None:
        self.rpc = rpc

    def put(self, parties: Sequence[Payload]) -> dict[str, int | RemoteError]:
        """Create customers by code; a known one gets the name, addresses and contacts it lacks."""
        wanted = {party["key"]: party for party in parties}
        known = self._known(list(wanted))
        answers: dict[str, int | RemoteError] = {key: row["id"] for key, row in known.items()}
        new = [party for key, party in wanted.items() if key not in known]
        for batch in batches(new, CREATE_BATCH):
            for party, outcome in halving(batch, self._create):
                answers[party["key"]] = self._settled(party, outcome)
        for key, row in known.items():
            fault = self._complete(row, wanted[key])
            if fault is not None:
                answers[key] = fault
        return answers

    def _create(self, parties: Sequence[Payload]) -> list[int]:
        values = [
            {
                "code": party["key"],
                "name": party["name"],
                "addresses": [["create", [party["address"]]]],
                "contact_mechanisms": [["create", party["contacts"]]],
            }
            for party in parties
        ]
        made: list[int] = self.rpc.write("model.party.party.create", values)
        return made

    def _settled(self, party: Payload, outcome: int | RemoteError) -> int | RemoteError:
        """Somebody else may have created it between our look and our call."""
        if not not_unique(outcome):
            return outcome
        row = self._known([party["key"]]).get(party["key"])
        return outcome if row is None else self._complete(row, party) or int(row["id"])

    def _known(self, keys: Sequence[str]) -> dict[str, Payload]:
        found: dict[str, Payload] = {}
        for batch in batches(keys, KEY_BATCH):
            # Archived ones keep their code.
            domain = [["code", "in", list(batch)], ["active", "in", [True, False]]]
            for row in self.rpc.search("party.party", domain, ("code", "name")):
                found[row["code"]] = row
        for field, model, names in (
            ("addresses", "party.address", ADDRESS_FIELDS),
            ("contacts", "party.contact_mechanism", ("type", "value")),
        ):
            of_party = self._of_parties(model, [row["id"] for row in found.values()], names)
            for row in found.values():
                row[field] = of_party.get(row["id"], [])
        return found

    def _of_parties(
        self, model: str, parties: Sequence[int], fields: Sequence[str]
    ) -> dict[int, list[Payload]]:
        found: dict[int, list[Payload]] = {}
        for batch in batches(parties, KEY_BATCH):
            domain = [["party", "in", list(batch)]]
            for row in self.rpc.search(model, domain, ("party", *fields)):
                found.setdefault(row["party"], []).append(row)
        return found

    def _complete(self, row: Payload, wanted: Payload) -> RemoteError | None:
        changes = _lacking(row, wanted)
        if not changes:
            return None
        try:
            self.rpc.write("model.party.party.write", [row["id"]], changes)
        except (Refused, ContractBroken) as fault:
            return fault
        return None

    def address_ids(
        self, wanted: Sequence[tuple[int, Payload]]
    ) -> dict[AddressKey, int | RemoteError]:
        """Ids of the addresses of these parties, by `address_key`; made where they lack one."""
        parties = list({party for party, _ in wanted})
        ids: dict[AddressKey, int | RemoteError] = {
            address_key(party, row): row["id"]
            for party, rows in self._of_parties("party.address", parties, ADDRESS_FIELDS).items()
            for row in rows
        }
        new = {
            key: {"party": party, **address}
            for party, address in wanted
            if (key := address_key(party, address)) not in ids
        }
        outcomes = halving(list(new.items()), self._create_addresses)
        return ids | {key: outcome for (key, _), outcome in outcomes}

    def _create_addresses(self, new: Sequence[tuple[AddressKey, Payload]]) -> list[int]:
        values = [address for _, address in new]
        made: list[int] = self.rpc.write("model.party.address.create", values)
        return made


def _lacking(row: Payload, wanted: Payload) -> Payload:
    """What a customer must be given: never a change of an address, invoices point at it."""
    changes: Payload = {}
    if row["name"] != wanted["name"]:
        changes["name"] = wanted["name"]
    addresses = {address_key(row["id"], address) for address in row["addresses"]}
    if address_key(row["id"], wanted["address"]) not in addresses:
        changes["addresses"] = [["create", [wanted["address"]]]]
    contacts = {_contact_key(contact) for contact in row["contacts"]}
    new = [contact for contact in wanted["contacts"] if _contact_key(contact) not in contacts]
    if new:
        changes["contact_mechanisms"] = [["create", new]]
    return changes


def address_key(party: int, address: Mapping[str, Any]) -> AddressKey:
    """What makes two addresses the same one."""
    return (party, *(address.get(field) or None for field in ADDRESS_FIELDS))


def _contact_key(contact: Mapping[str, Any]) -> tuple[str, str]:
    """Tryton may write a telephone number with other spaces than it was given."""
    return contact["type"], "".join(filter(str.isalnum, contact["value"])).lower()
