"""Files that must survive a restart, readable by their owner only.

Use `counter_of` for invocation counters: no number may be used twice under one key. Other rooms
write their own files with `private_files`.
"""

from dlms_connector.state import private_files
from dlms_connector.state.counter_files import LAST
from dlms_connector.state.counters import InvocationCounter, counter_of
from dlms_connector.state.state_folder import commands_folder, gateways_folder

__all__ = [
    "LAST",
    "InvocationCounter",
    "commands_folder",
    "counter_of",
    "gateways_folder",
    "private_files",
]
