"""The configuration as frozen values; the documentation is generated from these models.

Names in JSON are camelCase, in the gateway's vocabulary. An unknown key is an error.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from dlms_connector.config.backup import Backup
from dlms_connector.config.base import Model
from dlms_connector.config.connection import (
    Connection,
    ConnectionGroup,
    ListenConnection,
    PushConnection,
    SerialConnection,
    TcpConnection,
    UdpConnection,
)
from dlms_connector.config.delivery import Confirm, Journal, PlatformAccess
from dlms_connector.config.dlms import (
    Authentication,
    DateTimeField,
    Dlms,
    InterfaceType,
    ModeE,
    Security,
    Standard,
    Workarounds,
)
from dlms_connector.config.items import AttributeUpdate, Item, RpcMethod
from dlms_connector.config.metrics import Metrics
from dlms_connector.config.platform_names import PlatformName
from dlms_connector.config.profiles import Profile, ProfileColumn
from dlms_connector.config.push import AutoCreate, DevicePush, PushLayout, PushListener, PushObject
from dlms_connector.config.report_strategy import ReportStrategy
from dlms_connector.config.sharing import Shard, Standby
from dlms_connector.config.trace import DeviceTrace
from dlms_connector.config.types import (
    LONGEST_PERIOD_MS,
    KeepOpen,
    Whole,
    Writable,
)
from dlms_connector.obis import Obis

__all__ = [
    "AttributeUpdate",
    "Authentication",
    "AutoCreate",
    "Backup",
    "Configuration",
    "Connection",
    "ConnectionGroup",
    "DateTimeField",
    "Device",
    "DevicePush",
    "DeviceTrace",
    "Dlms",
    "InterfaceType",
    "Item",
    "Journal",
    "KeepOpen",
    "ListenConnection",
    "ModeE",
    "Model",
    "PlatformAccess",
    "Profile",
    "ProfileColumn",
    "PushConnection",
    "PushLayout",
    "PushListener",
    "PushObject",
    "RpcMethod",
    "Security",
    "SerialConnection",
    "Shard",
    "Standard",
    "Standby",
    "TcpConnection",
    "UdpConnection",
    "Workarounds",
]


class Device(Model):
    """A meter: where it is, how to talk to it, and what to read from it."""

    device_name: PlatformName = Field(min_length=1, description="the device's name on the platform")
    device_type: PlatformName = Field(
        default="DLMS Energy Meter", min_length=1, description="the device profile on the platform"
    )
    template: str | None = Field(
        default=None, description="an entry of `templates`, or a preset shipped with the package"
    )
    connection: Connection = Field(description="how to reach the meter")
    dlms: Dlms = Field(default=Dlms(), description="framing, addresses, authentication and keys")
    poll_period_ms: Whole = Field(
        default=60_000,
        ge=100,
        le=LONGEST_PERIOD_MS,
        alias="pollPeriod",
        description="poll period of the items, in ms",
    )
    report_strategy: ReportStrategy | None = Field(
        default=None, description="the gateway's report strategy for the device"
    )
    attributes: tuple[Item, ...] = Field(default=(), description="items sent as client attributes")
    timeseries: tuple[Item, ...] = Field(default=(), description="items sent as time series")
    profiles: tuple[Profile, ...] = Field(
        default=(),
        description="load profiles, billing values and event logs: their rows are read between "
        "polls and sent at the time at which they were captured",
    )
    attribute_updates: tuple[AttributeUpdate, ...] = Field(
        default=(), description="shared attributes that are written to the meter"
    )
    server_side_rpc: tuple[RpcMethod, ...] = Field(
        default=(), alias="serverSideRpc", description="RPC methods that the platform may call"
    )
    uplink_converter: str | None = Field(
        default=None, description="class name of your own converter for readings"
    )
    downlink_converter: str | None = Field(
        default=None, description="class name of your own converter for RPC calls and writes"
    )
    allow_write: Writable = Field(
        default=False,
        description="what RPC calls may write or invoke besides the configured methods: nothing "
        "(`false`), everything (`true`), or the objects in a list of OBIS codes",
    )
    push: DevicePush = Field(
        default=DevicePush(), description="how a meter that talks first is known, what it sends"
    )
    trace: DeviceTrace | None = Field(
        default=None, description="write the meter's frames to files for a while (tracing.md)"
    )
    workarounds: Workarounds = Field(
        default=Workarounds(), description="settings for a meter that deviates from the standard"
    )

    @property
    def base_names(self) -> dict[tuple[int, Obis], int]:
        """The short names of the configuration, by class and logical name."""
        rows: tuple[Item | AttributeUpdate | RpcMethod, ...] = (
            *self.attributes,
            *self.timeseries,
            *self.attribute_updates,
            *self.server_side_rpc,
        )
        return {
            (row.class_id, row.obis): row.base_name for row in rows if row.base_name is not None
        }

    @property
    def is_polled(self) -> bool:
        """Whether the meter is asked; else it only pushes."""
        return not isinstance(self.connection, PushConnection)

    @model_validator(mode="before")
    @classmethod
    def _framing_follows_the_connection(cls, data: Any) -> Any:
        """Set interfaceType WRAPPER for udp if the configuration sets none."""
        match data:
            case {"connection": {"type": "udp"}}:
                dlms = data.get("dlms") or {}
                if isinstance(dlms, dict) and not (
                    dlms.get("interfaceType") or dlms.get("interface_type")
                ):
                    return {**data, "dlms": {**dlms, "interfaceType": "WRAPPER"}}
        return data


class Configuration(Model):
    """A complete `dlms.json` with its valid devices only."""

    devices: tuple[Device, ...] = Field(default=(), description="the meters")
    groups: dict[str, ConnectionGroup] = Field(
        default={},
        description="named limits for connections; a device joins one by `connection.group`",
    )
    report_strategy: ReportStrategy | None = Field(
        default=None, description="the gateway's report strategy for the connector"
    )
    numeric_texts: Literal["quoted", "plain"] = Field(
        default="quoted",
        description='how a text that looks like a number is sent: `quoted` (`"00000001"`, as JSON '
        "text), because the platform would store the number 1; `plain` if its "
        "`JSON_TYPE_CAST_ENABLED` is `false`",
    )
    state_directory: str | None = Field(
        default=None,
        description="folder for cursors, counters and the journal; "
        "if not set, `dlms/` in the gateway's data folder. The environment variable "
        "`DLMS_STATE_DIRECTORY` goes before it; the platform cannot set it",
    )
    secrets_directory: str | None = Field(
        default=None,
        description="folder for the files of `${file:…}`, in addition to `/run/secrets`; "
        "if not set, `secrets/` in the gateway's configuration folder. The environment variable "
        "`DLMS_SECRETS_DIRECTORY` goes before it; the platform cannot set it",
    )
    backup: Backup | None = Field(
        default=None, description="back up configuration and state each day (recovery.md)"
    )
    audit_telemetry: bool = Field(
        default=False,
        description="also send every write, action and refusal as telemetry `dlmsAudit`",
    )
    journal: Literal[False] | Journal = Field(
        default=False,
        description="keep polled readings until the platform has confirmed them (delivery.md)",
    )
    confirm: Confirm = Field(
        default="auto",
        description="how it is found out that the platform has stored what was sent: `receipts` "
        "(the rule chain answers: stored), `watermarks` (very likely stored), `none`, or `auto`: "
        "receipts where they come, else watermarks",
    )
    confirm_period_ms: Whole = Field(
        default=60_000,
        ge=1_000,
        le=86_400_000,
        alias="confirmPeriod",
        description="least time between two confirmations of one device by watermarks, and time "
        "until what has no receipt is sent again, in ms",
    )
    platform: PlatformAccess | None = Field(
        default=None,
        description="the platform's REST API, where stored rows are counted (audit)",
    )
    shard: Shard | None = Field(
        default=None,
        description="this gateway's share of the fleet, if several gateways have the same "
        "configuration (scaling.md)",
    )
    standby: Standby | None = Field(
        default=None,
        description="of two gateways with the same meters only one polls (high-availability.md)",
    )
    push: tuple[PushListener, ...] = Field(
        default=(), description="listeners for meters that send unsolicited data (push)"
    )
    metrics: Metrics | None = Field(
        default=None,
        description="serve the connector's counters for Prometheus (docs/metrics.md)",
    )
    diagnostics_period_ms: Whole = Field(
        default=60_000,
        ge=0,
        le=LONGEST_PERIOD_MS,
        alias="diagnosticsPeriod",
        description="period of the diagnostics, in ms; 0 switches them off",
    )
