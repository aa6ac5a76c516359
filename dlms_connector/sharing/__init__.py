"""Which meters are this gateway's, now: its share of a fleet, and whether it is on duty.

A share is fixed while a configuration is loaded (`Share`, `Units`); duty changes at any moment
(`RoleFile`). Both are facts that others tell: the rule is the same in every gateway, so that no two
of them take the same meter for theirs.
"""

from dlms_connector.sharing.rendezvous import owner
from dlms_connector.sharing.role_file import RoleFile, problem_of
from dlms_connector.sharing.share import WHOLE_FLEET, Share, ordinal, weights_text
from dlms_connector.sharing.units import Units

__all__ = [
    "WHOLE_FLEET",
    "RoleFile",
    "Share",
    "Units",
    "ordinal",
    "owner",
    "problem_of",
    "weights_text",
]
