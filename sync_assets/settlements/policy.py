"""The settlements policy in force.

What may stand in the file is in `domain/settlement_policy.py`.
"""

from sqlalchemy import Connection

from resources.settings import Settings
from resources.wiring import Systems
from sync_assets.domain.policy import PolicyError
from sync_assets.domain.settlement_policy import NO_FILE, SettlementPolicy
from sync_assets.policy_files import PolicyFile


def _fits(policy: SettlementPolicy, settings: Settings) -> None:
    """Whether providers and companies are those of the configuration."""
    for name in sorted(set(policy.providers) - set(settings.providers)):
        known = ", ".join(sorted(settings.providers)) or "none"
        raise PolicyError(f"providers.{name} is no provider of the configuration; known: {known}")
    companies = {store.company for store in settings.stores.values()}
    companies |= {bank.company for bank in settings.banks.values()}
    for name in sorted(set(policy.companies) - companies):
        known = ", ".join(sorted(companies)) or "none"
        raise PolicyError(f"companies.{name} is no company of the configuration; known: {known}")


FILE = PolicyFile("settlements", SettlementPolicy, NO_FILE, _fits)


def in_force(systems: Systems, connection: Connection) -> SettlementPolicy | None:
    """The policy now; None where its file is broken and no good one is known."""
    return FILE.in_force(systems, connection)
