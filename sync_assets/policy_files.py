"""Policy files of which a mistake leaves the last good one in force: read again by every run, kept
word for word, and told when they cannot be used.

What may stand in a file is said by its subject; the stock policy has a reader of its own, because
its numbers are kept under its hash (`policies.py`).
"""

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

import pydantic
from sqlalchemy import Connection, text

from resources.settings import Settings, config_path
from resources.store import exceptions
from resources.store.frames import read_rows
from resources.wiring import Systems
from sync_assets.domain.orders import Problem
from sync_assets.domain.policy import PolicyError
from sync_assets.policies import INVALID, read_yaml
from sync_assets.trouble import exceptional

P = TypeVar("P", bound=pydantic.BaseModel)


@dataclass(frozen=True)
class PolicyFile(Generic[P]):
    """One policy of a deployment: what it is called, its form, and what holds without a file."""

    name: str
    form: type[P]
    #: What holds without a file.
    implied: P
    #: Whether it fits the configuration; raises PolicyError.
    must_fit: Callable[[P, Settings], None] = lambda policy, settings: None

    @property
    def subject(self) -> str:
        """What an exception about it is about."""
        return f"policy/{self.name}"

    def path(self, settings: Settings) -> Path:
        """Where the file is; a relative path starts at the configuration's folder."""
        named: Path = getattr(settings.policies, self.name)
        return config_path().absolute().parent / named

    def from_file(self, settings: Settings, path: Path | None = None) -> tuple[P, str] | None:
        """The policy of the file and its words; None where there is none and none was named."""
        path = path or self.path(settings)
        try:
            body = path.read_text()
        except FileNotFoundError:
            if self.name in settings.policies.model_fields_set:
                raise PolicyError(f"{path.name} is not there") from None
            return None
        except (OSError, UnicodeDecodeError) as fault:
            reason = getattr(fault, "strerror", None) or "is not UTF-8"
            raise PolicyError(f"{path.name} cannot be read: {reason}") from fault
        try:
            return self.of(body, settings), body
        except PolicyError as fault:
            raise PolicyError(f"{path.name}: {fault}") from fault

    def of(self, body: str, settings: Settings) -> P:
        """The policy of these words."""
        try:
            found = self.form.model_validate(read_yaml(body) or {})
        except pydantic.ValidationError as fault:
            lines = [f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in fault.errors()]
            raise PolicyError("; ".join(lines)) from fault
        self.must_fit(found, settings)
        return found

    def in_force(
        self,
        systems: Systems,
        connection: Connection,
        must_suit: Callable[[P], None] = lambda policy: None,
    ) -> P | None:
        """The policy now: the file, else what the configuration implies; a file that cannot be used
        leaves the last good one, and None where no good one is known.

        `must_suit`: whether it fits what else is in force; raises PolicyError.
        """
        settings, fault = systems.settings, None
        try:
            read = self._suitable(settings, must_suit)
        except PolicyError as mistake:
            fault, read = str(mistake), None
            found = self._last_good(connection, settings, must_suit)
        else:
            found = read[0] if read else self.implied
        if read:
            self._keep(connection, systems, read[1])
        self._tell(connection, systems, fault)
        return found

    def _suitable(self, settings: Settings, must_suit: Callable[[P], None]) -> tuple[P, str] | None:
        """The policy of the file, if it suits."""
        read = self.from_file(settings)
        try:
            if read:
                must_suit(read[0])
        except PolicyError as fault:
            raise PolicyError(f"{self.path(settings).name}: {fault}") from fault
        return read

    def _keep(self, connection: Connection, systems: Systems, body: str) -> None:
        digest = hashlib.sha256(body.encode()).hexdigest()[:32]
        connection.execute(
            text(
                """
                insert into core.policies (name, policy_hash, body, applied_at)
                select :name, :hash, :body, :now
                where :hash is distinct from (select policy_hash from core.policies
                    where name = :name order by applied_at desc limit 1)
                on conflict (name, policy_hash) do update set applied_at = excluded.applied_at
                """
            ),
            {"name": self.name, "hash": digest, "body": body, "now": systems.now()},
        )

    def _last_good(
        self, connection: Connection, settings: Settings, must_suit: Callable[[P], None]
    ) -> P | None:
        rows = read_rows(
            connection,
            "select body from core.policies where name = :name order by applied_at desc limit 1",
            name=self.name,
        )
        if not rows:
            return None
        try:
            found = self.of(str(rows[0]["body"]), settings)
            must_suit(found)
        except PolicyError:  # the configuration no longer has what it names
            return None
        return found

    def _tell(self, connection: Connection, systems: Systems, fault: str | None) -> None:
        levels = systems.settings.service_levels
        said = f"{fault}; the last good policy stays in force"
        found = [exceptional(Problem(INVALID, "", said), self.subject, levels)] if fault else []
        exceptions.reconcile(
            connection, found, subjects=[self.subject], codes=[INVALID], now=systems.now()
        )


def stores_are_known(named: Iterable[str], settings: Settings) -> None:
    """Raise PolicyError for a store that the configuration does not have."""
    unknown = sorted(set(named) - set(settings.stores))
    if unknown:
        known = ", ".join(sorted(settings.stores)) or "none"
        raise PolicyError(f"stores.{unknown[0]} is no store of the configuration; known: {known}")
