"""What the user sees on ThingsBoard: dashboards, device profile, alarm rules; installing them.

The documents are made from the keys that the connector sends, and committed in
gateway-config/thingsboard/ for those who import by hand.
"""

from dlms_connector.thingsboard.checking import Checked, KeyUse, check
from dlms_connector.thingsboard.documents import DEVICE_TYPE, Documents, documents, receipts_chain
from dlms_connector.thingsboard.installing import Installer, Receipts, Step

__all__ = [
    "DEVICE_TYPE",
    "Checked",
    "Documents",
    "Installer",
    "KeyUse",
    "Receipts",
    "Step",
    "check",
    "documents",
    "receipts_chain",
]
