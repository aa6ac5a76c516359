"""The methods that every device has."""

from __future__ import annotations

from collections.abc import Mapping

from dlms_connector.commands.clock_calls import clock_reading, clock_setting
from dlms_connector.commands.completeness_calls import completeness
from dlms_connector.commands.discover_calls import discover_objects
from dlms_connector.commands.object_calls import invoke_method, read_object, write_object
from dlms_connector.commands.profile_calls import read_profile
from dlms_connector.commands.relay_calls import disconnecting, reconnecting, relay_reading
from dlms_connector.commands.work import Method

#: The built-in methods that talk to the meter, and the gateway's reserved `get` and `set`.
METHODS: Mapping[str, Method] = {
    "get": Method(read_object),
    "set": Method(write_object, changes=True),
    "readObject": Method(read_object),
    "writeObject": Method(write_object, changes=True),
    "invokeMethod": Method(invoke_method, changes=True),
    "readProfile": Method(read_profile),
    "getCompleteness": Method(completeness),
    "readClock": Method(clock_reading),
    "syncClock": Method(clock_setting, changes=True),
    "getRelayState": Method(relay_reading),
    "disconnectRelay": Method(disconnecting, changes=True),
    "reconnectRelay": Method(reconnecting, changes=True),
    "discover": Method(discover_objects),
}
