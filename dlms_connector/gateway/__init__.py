"""What stands between the ThingsBoard gateway and the meters' event loop.

Upwards: readings are converted and handed to the gateway's storage, and devices are announced.
Downwards: calls and shared attributes are taken from the gateway and passed to the loop, which
runs in a thread of its own. Only `connector` uses this room. `call_entry` and `device_filter`
are the modules that import the gateway.
"""

from dlms_connector.gateway.log_size import shorten
from dlms_connector.gateway.measuring import Measuring
from dlms_connector.gateway.owner import Logs
from dlms_connector.gateway.parts import Parts
from dlms_connector.gateway.prepared import id_of, name_of
from dlms_connector.gateway.signals import end_in_order
from dlms_connector.gateway.storing import put_directly

__all__ = [
    "Logs",
    "Measuring",
    "Parts",
    "end_in_order",
    "id_of",
    "name_of",
    "put_directly",
    "shorten",
]
