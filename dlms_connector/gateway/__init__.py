"""What stands between the ThingsBoard gateway and the meters' event loop.

Upwards: readings are converted and handed to the gateway's storage, and devices are announced.
Downwards: calls and shared attributes are taken from the gateway and passed to the loop, which
runs in a thread of its own. Only `connector` uses this room. `call_entry` and `device_filter`
are the modules that import the gateway.
"""

from dlms_connector.gateway import last_good
from dlms_connector.gateway.announcer import Announcer
from dlms_connector.gateway.call_entry import CallEntry
from dlms_connector.gateway.device_filter import denied_by
from dlms_connector.gateway.downlink import Downlink
from dlms_connector.gateway.file_watch import FileWatch
from dlms_connector.gateway.log_size import shorten
from dlms_connector.gateway.meters_thread import MetersThread
from dlms_connector.gateway.prepared import (
    devices_file,
    id_of,
    name_of,
    prepare,
    state_directory,
    usable,
)
from dlms_connector.gateway.remembered import file_name
from dlms_connector.gateway.renames import Renames
from dlms_connector.gateway.uplink import Converter, Uplink
from dlms_connector.gateway.uplink_queue import UplinkQueue

__all__ = [
    "Announcer",
    "CallEntry",
    "Converter",
    "Downlink",
    "FileWatch",
    "MetersThread",
    "Renames",
    "Uplink",
    "UplinkQueue",
    "denied_by",
    "devices_file",
    "file_name",
    "id_of",
    "last_good",
    "name_of",
    "prepare",
    "shorten",
    "state_directory",
    "usable",
]
