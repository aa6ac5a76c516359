"""What the platform asks of meters: calls, attribute updates, and what they may do.

The gateway's side of it is `gateway.downlink`. A new method is a row in `methods`.
"""

from dlms_connector.commands import image_file
from dlms_connector.commands.attribute_updates import AttributeUpdates
from dlms_connector.commands.audit import Audit, Event
from dlms_connector.commands.dispatcher import STOPPED, Answer, Dispatcher
from dlms_connector.commands.image_calls import image_methods
from dlms_connector.commands.image_jobs import ImageJobs
from dlms_connector.commands.kept import Kept
from dlms_connector.commands.ledger import Ledger
from dlms_connector.commands.meters import Meters
from dlms_connector.commands.request import Request, device_request, named, wanted_timeout_s
from dlms_connector.commands.trace_calls import Traces
from dlms_connector.commands.work import Context, Converter, Intervals

__all__ = [
    "STOPPED",
    "Answer",
    "AttributeUpdates",
    "Audit",
    "Context",
    "Converter",
    "Dispatcher",
    "Event",
    "ImageJobs",
    "Intervals",
    "Kept",
    "Ledger",
    "Meters",
    "Request",
    "Traces",
    "device_request",
    "image_file",
    "image_methods",
    "named",
    "wanted_timeout_s",
]
