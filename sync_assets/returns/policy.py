"""The returns policy in force.

What may stand in the file is in `domain/returns_policy.py`.
"""

from sqlalchemy import Connection

from resources.wiring import Systems
from sync_assets.domain.returns_policy import NO_FILE, ReturnsPolicy
from sync_assets.policy_files import PolicyFile, stores_are_known

FILE = PolicyFile(
    "returns",
    ReturnsPolicy,
    NO_FILE,
    lambda policy, settings: stores_are_known(policy.stores, settings),
)


def in_force(systems: Systems, connection: Connection) -> ReturnsPolicy:
    """The policy now; where no good one is known a person decides everything."""
    return FILE.in_force(systems, connection) or NO_FILE
