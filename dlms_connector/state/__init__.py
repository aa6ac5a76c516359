"""Files that must survive a restart, readable by their owner only.

Use `counter_of` for invocation counters: no number may be used twice under one key. Use
`short_names_of` for the short names of a meter. Other rooms write their own files with
`private_files`, tell by `Outage` when that fails, and by `copies` what a backup takes.
"""

from dlms_connector.state import copies, private_files
from dlms_connector.state.counter_files import LAST
from dlms_connector.state.counters import (
    WARN_AT,
    InvocationCounter,
    begin_tenure,
    counter_of,
    needs_counter,
)
from dlms_connector.state.file_lock import acquire_lock
from dlms_connector.state.no_place import NoPlace
from dlms_connector.state.outage import Outage
from dlms_connector.state.place import noted_folders
from dlms_connector.state.pushed import FILE as PUSHED_FILE
from dlms_connector.state.pushed import PushedCounters
from dlms_connector.state.short_name_files import ShortNameFile, short_names_of
from dlms_connector.state.state_folder import commands_folder, gateways_folder, gateways_place

__all__ = [
    "LAST",
    "PUSHED_FILE",
    "WARN_AT",
    "InvocationCounter",
    "NoPlace",
    "Outage",
    "PushedCounters",
    "ShortNameFile",
    "acquire_lock",
    "begin_tenure",
    "commands_folder",
    "copies",
    "counter_of",
    "gateways_folder",
    "gateways_place",
    "needs_counter",
    "noted_folders",
    "private_files",
    "short_names_of",
]
