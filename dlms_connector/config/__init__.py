"""The configuration: parsed once, strictly, into frozen values.

`load` and `load_file` read a `dlms.json` and report all problems at once. The model's classes are
what all other rooms see of a configuration. `preset` holds the presets that are shipped.
"""

from dlms_connector.config import preset
from dlms_connector.config.allowed_hosts import AllowedHosts, allowed_hosts
from dlms_connector.config.backup import Backup
from dlms_connector.config.delivery import Journal, PlatformAccess
from dlms_connector.config.dlms import SECRET_KEYS, Authentication, Dlms, InterfaceType, Standard
from dlms_connector.config.fleet_file import delimiter_of
from dlms_connector.config.formula import DEFAULT_FORMULA, evaluate
from dlms_connector.config.items import Item, ValueFormat
from dlms_connector.config.keys import DEVICES_FILE, is_empty
from dlms_connector.config.loading import Loaded, load, load_file
from dlms_connector.config.metrics import Metrics
from dlms_connector.config.model import (
    AttributeUpdate,
    AutoCreate,
    Configuration,
    Connection,
    ConnectionGroup,
    Device,
    DevicePush,
    ListenConnection,
    PushConnection,
    PushLayout,
    PushListener,
    RpcMethod,
    SerialConnection,
    TcpConnection,
    UdpConnection,
    Workarounds,
)
from dlms_connector.config.platform_names import acceptable, refusal
from dlms_connector.config.profiles import (
    EVENT_TABLES,
    EventTable,
    Profile,
    ProfileColumn,
    StatusTable,
    automatic_key,
    prefixes,
)
from dlms_connector.config.rows import Refused
from dlms_connector.config.schema import document_schema
from dlms_connector.config.secret import Secret, holds_reference
from dlms_connector.config.splitting import Files, FleetDocument
from dlms_connector.config.trace import DeviceTrace
from dlms_connector.config.types import duration, read_zone

__all__ = [
    "DEFAULT_FORMULA",
    "DEVICES_FILE",
    "EVENT_TABLES",
    "SECRET_KEYS",
    "AllowedHosts",
    "AttributeUpdate",
    "Authentication",
    "AutoCreate",
    "Backup",
    "Configuration",
    "Connection",
    "ConnectionGroup",
    "Device",
    "DevicePush",
    "DeviceTrace",
    "Dlms",
    "EventTable",
    "Files",
    "FleetDocument",
    "InterfaceType",
    "Item",
    "Journal",
    "ListenConnection",
    "Loaded",
    "Metrics",
    "PlatformAccess",
    "Profile",
    "ProfileColumn",
    "PushConnection",
    "PushLayout",
    "PushListener",
    "Refused",
    "RpcMethod",
    "Secret",
    "SerialConnection",
    "Standard",
    "StatusTable",
    "TcpConnection",
    "UdpConnection",
    "ValueFormat",
    "Workarounds",
    "acceptable",
    "allowed_hosts",
    "automatic_key",
    "delimiter_of",
    "document_schema",
    "duration",
    "evaluate",
    "holds_reference",
    "is_empty",
    "load",
    "load_file",
    "prefixes",
    "preset",
    "read_zone",
    "refusal",
]
