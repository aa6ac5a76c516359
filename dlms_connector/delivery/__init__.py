"""Proof that the platform has stored what was sent, and sending again until it has."""

from dlms_connector.delivery.audit import Audit
from dlms_connector.delivery.audit_thread import AuditThread
from dlms_connector.delivery.courier import Courier
from dlms_connector.delivery.courier_thread import CourierThread
from dlms_connector.delivery.platform_rest import PlatformRest
from dlms_connector.delivery.receipts import PROBE_KEY, RECEIPT_KEY
from dlms_connector.delivery.rest import Rest, RestError
from dlms_connector.delivery.watermarks import WATERMARK_KEY
from dlms_connector.delivery.ways import Confirm, JournalLimits, Outbox, Platform, Settings

__all__ = [
    "PROBE_KEY",
    "RECEIPT_KEY",
    "WATERMARK_KEY",
    "Audit",
    "AuditThread",
    "Confirm",
    "Courier",
    "CourierThread",
    "JournalLimits",
    "Outbox",
    "Platform",
    "PlatformRest",
    "Rest",
    "RestError",
    "Settings",
]
