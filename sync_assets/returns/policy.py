"""The returns policy in force, and how each store is treated by it and by its configuration.

What may stand in the file is in `domain/returns_policy.py`.
"""

from resources.settings import Settings
from sync_assets.domain.policy import PolicyError
from sync_assets.domain.returns_policy import NO_FILE, ReturnsPolicy
from sync_assets.policy_files import PolicyFile


def _must_fit(policy: ReturnsPolicy, settings: Settings) -> None:
    unknown = sorted(set(policy.stores) - set(settings.stores))
    if unknown:
        known = ", ".join(sorted(settings.stores)) or "none"
        raise PolicyError(f"stores.{unknown[0]} is no store of the configuration; known: {known}")


FILE: PolicyFile[ReturnsPolicy] = PolicyFile(
    "returns", ReturnsPolicy, lambda settings: NO_FILE, _must_fit
)
