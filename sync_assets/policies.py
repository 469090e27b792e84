"""The stock policy in force: the file read again by every run, kept word for word, and what happens
when it cannot be used.

What may stand in the file is in `domain/policy.py`. A file with a mistake changes nothing: the last
good one stays in force, and an exception says what is wrong. Without a file each store sells what
its own warehouse has.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml
from sqlalchemy import Connection, text

from resources.settings import Settings, config_path
from resources.store import exceptions
from resources.store.frames import read_rows
from resources.wiring import Systems
from sync_assets.domain.orders import Problem
from sync_assets.domain.policy import Policy, PolicyError, parse
from sync_assets.trouble import exceptional

NAME, SUBJECT, INVALID = "availability", "policy/availability", "policy.invalid"


@dataclass(frozen=True)
class InForce:
    """The policy that numbers are worked out by, and the hash they are kept under."""

    policy: Policy
    policy_hash: str
    #: Word for word, as it was read.
    body: str
    #: Why the file is not the policy in force; None: it is, or there is none.
    fault: str | None = None


def in_force(systems: Systems, connection: Connection) -> InForce:
    """The policy now: the file, else the last good one, else what the configuration implies."""
    settings, fault = systems.settings, None
    try:
        found = from_file(settings) or from_settings(settings)
    except PolicyError as mistake:
        fault = str(mistake)
        found = _last_good(connection, settings) or from_settings(settings)
    if found.policy_hash != _newest(connection).get("policy_hash"):
        _keep(connection, systems, found)
    _tell(connection, systems, fault)
    return InForce(found.policy, found.policy_hash, found.body, fault)


def path_of(settings: Settings) -> Path:
    """Where the policy file is; a relative path starts at the configuration's folder."""
    return config_path().absolute().parent / settings.policies.availability


def from_file(settings: Settings, path: Path | None = None) -> InForce | None:
    """The policy of the file; None where there is none and none was named."""
    path = path or path_of(settings)
    try:
        body = path.read_text()
    except FileNotFoundError:
        if "availability" in settings.policies.model_fields_set:
            raise PolicyError(f"{path.name} is not there") from None
        return None
    except (OSError, UnicodeDecodeError) as fault:
        reason = getattr(fault, "strerror", None) or "is not UTF-8"
        raise PolicyError(f"{path.name} cannot be read: {reason}") from fault
    try:
        return of(body, settings)
    except PolicyError as fault:
        raise PolicyError(f"{path.name}: {fault}") from fault


def of(body: str, settings: Settings | None = None) -> InForce:
    """The policy of these words; with `settings`, whether it fits them too."""
    policy, policy_hash = _understood(body)
    if settings is not None:
        _must_fit(policy, settings)
    return InForce(policy, policy_hash, body)


@lru_cache(maxsize=8)
def _understood(body: str) -> tuple[Policy, str]:
    """The same words mean the same: a run asks several times, and a warm worker for days."""
    policy = parse(read_yaml(body))
    return policy, _hash(policy, body)


def _hash(policy: Policy, body: str) -> str:
    # The words alone would not do: another version of this program may read them otherwise.
    return hashlib.sha256(f"{body}\0{policy.model_dump_json()}".encode()).hexdigest()[:32]


def _must_fit(policy: Policy, settings: Settings) -> None:
    known = {*settings.erps, *settings.warehouses}
    for name, location in policy.locations.items():
        if location.source not in known:
            told = ", ".join(sorted(known)) or "none"
            raise PolicyError(
                f"locations.{name}.source is {location.source!r}; ERPs and warehouses of the "
                f"configuration: {told}"
            )
    if not policy.channels:
        raise PolicyError("channels: there is none, so nothing would be sold")


def notes(policy: Policy, settings: Settings) -> list[str]:
    """What is allowed, and may all the same be a slip."""
    found = [
        f"store {name} is no channel: its stock is not published"
        for name in sorted(set(settings.stores) - set(policy.channels))
    ]
    found += [
        f"channel {name} is no store of the configuration: its numbers are worked out, not sent"
        for name in sorted(set(policy.channels) - set(settings.stores))
    ]
    used = {place for channel in policy.channels.values() for place in channel.locations}
    found += [
        f"location {name} is in no channel: nobody sells from it"
        for name in sorted(set(policy.locations) - used)
    ]
    places = {(one.source, one.code) for one in policy.locations.values()}
    found += [
        f"store {name} ships from {store.warehouse} of {store.erp}, which is no location: its "
        "orders reserve nothing"
        for name, store in sorted(settings.stores.items())
        if (store.erp, store.warehouse) not in places
    ]
    return found


def from_settings(settings: Settings) -> InForce:
    """Every store sells what its own warehouse has."""
    names = _names({(s.erp, s.warehouse) for s in settings.stores.values()})
    locations = {name: {"source": erp, "code": code} for (erp, code), name in sorted(names.items())}
    channels = {
        name: {"locations": [names[store.erp, store.warehouse]]}
        for name, store in sorted(settings.stores.items())
    }
    head = "# Made from the configuration, because there is no policy file.\n"
    body = yaml.safe_dump({"version": 1, "locations": locations, "channels": channels})
    return of(head + body)


def _names(places: set[tuple[str, str]]) -> Mapping[tuple[str, str], str]:
    """A name for each warehouse; the ERP's goes before it where two would be called the same."""
    found: dict[tuple[str, str], str] = {}
    for erp, code in sorted(places):
        name = re.sub(r"[^a-z0-9]+", "_", code.lower()).strip("_")
        name = name if name[:1].isalpha() else f"w_{name}"
        for tried in (name, f"{erp}_{name}", *(f"{name[:26]}_{n}" for n in range(2, 1000))):
            if tried[:31] not in found.values():
                found[erp, code] = tried[:31]
                break
    return found


def kept(connection: Connection, policy_hash: str) -> str | None:
    """The words of a policy that was in force once."""
    rows = read_rows(
        connection,
        "select body from core.policies where name = :name and policy_hash = :hash",
        name=NAME,
        hash=policy_hash,
    )
    return str(rows[0]["body"]) if rows else None


def _keep(connection: Connection, systems: Systems, found: InForce) -> None:
    """Keep the words; a policy that comes back after another is dated anew, as the last good."""
    connection.execute(
        text(
            """
            insert into core.policies (name, policy_hash, body, applied_at)
            values (:name, :hash, :body, :now)
            on conflict (name, policy_hash) do update set applied_at = excluded.applied_at
            """
        ),
        {
            "name": NAME,
            "hash": found.policy_hash,
            "body": found.body,
            "now": systems.now(),
        },
    )


def _last_good(connection: Connection, settings: Settings) -> InForce | None:
    words = _newest(connection).get("body")
    try:
        return of(words, settings) if words else None
    except PolicyError:  # the configuration no longer has what it names
        return None


def _newest(connection: Connection) -> dict[str, Any]:
    query = (
        "select policy_hash, body from core.policies where name = :name "
        "order by applied_at desc limit 1"
    )
    return next(iter(read_rows(connection, query, name=NAME)), {})


def _tell(connection: Connection, systems: Systems, fault: str | None) -> None:
    levels = systems.settings.service_levels
    found = []
    if fault is not None:
        said = f"{fault}; the last good policy stays in force"
        found.append(exceptional(Problem(INVALID, "", said), SUBJECT, levels))
    exceptions.reconcile(connection, found, subjects=[SUBJECT], codes=[INVALID], now=systems.now())


class _Exact(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """Safe YAML with exact numbers, and no key said twice; policies are read by every step."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Refuse a key that stands twice: YAML would let the last one win without a word."""
        seen: set[Any] = set()
        for key, _ in node.value:
            name = self.construct_object(key, deep=True)
            if name in seen:
                raise PolicyError(f"line {key.start_mark.line + 1}: {name!r} stands there twice")
            seen.add(name)
        found: dict[Any, Any] = super().construct_mapping(node, deep)
        return found


def _decimal(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> Decimal:
    said = str(loader.construct_scalar(node))
    try:
        return Decimal(said.replace("_", ""))
    except ArithmeticError as fault:
        raise PolicyError(f"line {node.start_mark.line + 1}: {said!r} is no number") from fault


_Exact.add_constructor("tag:yaml.org,2002:float", _decimal)


def read_yaml(body: str) -> Any:
    """The data of a policy file, numbers exact."""
    try:
        return yaml.load(body, Loader=_Exact)  # noqa: S506 - a SafeLoader with exact numbers
    except (yaml.YAMLError, TypeError, ValueError) as fault:
        raise PolicyError(f"is not YAML: {' '.join(str(fault).split())}") from fault
