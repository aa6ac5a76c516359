"""The configuration as frozen values: the defaults here are the documentation.

Names in JSON are camelCase, in the gateway's vocabulary. An unknown key is an error.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from dlms_connector.config.base import Model
from dlms_connector.config.connection import (
    Connection,
    ListenConnection,
    SerialConnection,
    TcpConnection,
    UdpConnection,
)
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
from dlms_connector.config.items import AttributeUpdate, Item, Profile, RpcMethod
from dlms_connector.config.report_strategy import ReportStrategy
from dlms_connector.config.types import (
    LONGEST_PERIOD_MS,
    Duration,
    KeepOpen,
    Name,
    Network,
    Whole,
    Writable,
)

__all__ = [
    "AttributeUpdate",
    "Authentication",
    "Configuration",
    "Connection",
    "DateTimeField",
    "Device",
    "Dlms",
    "InterfaceType",
    "Item",
    "Journal",
    "KeepOpen",
    "ListenConnection",
    "ModeE",
    "Model",
    "Profile",
    "PushListener",
    "RpcMethod",
    "Security",
    "SerialConnection",
    "Standard",
    "TcpConnection",
    "UdpConnection",
    "Workarounds",
]


class Device(Model):
    """A meter: where it is, how to talk to it, and what to read from it."""

    device_name: Name = Field(min_length=1, description="the device's name on the platform")
    device_type: Name = Field(
        default="DLMS Energy Meter", min_length=1, description="its device profile there"
    )
    template: str | None = Field(
        default=None, description="an entry of `templates`, or a preset shipped with the package"
    )
    connection: Connection = Field(description="where the meter is reached")
    dlms: Dlms = Field(default=Dlms(), description="how to talk to it")
    poll_period_ms: Whole = Field(
        default=60_000,
        ge=100,
        le=LONGEST_PERIOD_MS,
        alias="pollPeriod",
        description="period of its items, in ms",
    )
    report_strategy: ReportStrategy | None = Field(
        default=None, description="the gateway's report strategy for the device"
    )
    attributes: tuple[Item, ...] = Field(default=(), description="items sent as client attributes")
    timeseries: tuple[Item, ...] = Field(default=(), description="items sent as time series")
    profiles: tuple[Profile, ...] = Field(
        default=(), description="load profiles and event logs to follow; not in use yet"
    )
    attribute_updates: tuple[AttributeUpdate, ...] = Field(
        default=(), description="shared attributes that are written to the meter"
    )
    server_side_rpc: tuple[RpcMethod, ...] = Field(
        default=(), alias="serverSideRpc", description="methods the platform may call"
    )
    uplink_converter: str | None = Field(
        default=None, description="class name of a converter of your own for readings"
    )
    downlink_converter: str | None = Field(
        default=None, description="class name of a converter of your own for calls and writes"
    )
    allow_write: Writable = Field(
        default=False,
        description="what calls may write or invoke beyond configured methods: nothing, "
        "everything (`true`), or a list of OBIS codes",
    )
    workarounds: Workarounds = Field(default=Workarounds(), description="quirks of this meter")

    @model_validator(mode="before")
    @classmethod
    def _framing_follows_the_connection(cls, data: Any) -> Any:
        """Datagrams carry the wrapper unless the configuration says otherwise."""
        match data:
            case {"connection": {"type": "udp"}}:
                dlms = data.get("dlms") or {}
                if isinstance(dlms, dict) and not (
                    dlms.get("interfaceType") or dlms.get("interface_type")
                ):
                    return {**data, "dlms": {**dlms, "interfaceType": "WRAPPER"}}
        return data


class Journal(Model):
    """How much of polled readings is kept until the platform has confirmed them."""

    max_age: Duration = Field(
        default="P1D", description="the oldest reading kept, as ISO 8601 duration"
    )
    max_megabytes: Whole = Field(
        default=100, ge=1, le=100_000, description="the most disk space used"
    )


class PushListener(Model):
    """A door for meters that talk first."""

    type: Literal["tcp", "udp"] = Field(default="tcp", description="the transport listened on")
    host: str = Field(default="0.0.0.0", min_length=1, description="the local address")  # noqa: S104
    port: Whole = Field(default=4059, ge=1, le=65535, description="the local port")
    interface_type: Literal["WRAPPER", "HDLC"] = Field(default="WRAPPER", description="the framing")
    allow: tuple[Network, ...] = Field(
        min_length=1, description="networks that may connect, such as `10.0.0.0/8`"
    )


class Configuration(Model):
    """A whole `dlms.json` whose good devices are in force."""

    devices: tuple[Device, ...] = Field(default=(), description="the meters")
    report_strategy: ReportStrategy | None = Field(
        default=None, description="the gateway's report strategy for the connector"
    )
    state_directory: str | None = Field(
        default=None,
        description="where cursors, counters and the journal live; "
        "`dlms/` in the gateway's data folder where left out",
    )
    secrets_directory: str | None = Field(
        default=None,
        description="where `${file:…}` is looked up, besides `/run/secrets`; "
        "`secrets/` in the gateway's configuration folder where left out",
    )
    audit_telemetry: bool = Field(
        default=False,
        description="also sends every write, action and refusal as telemetry `dlmsAudit`",
    )
    journal: Literal[False] | Journal = Field(
        default=False,
        description="keeps polled readings until the platform confirmed them; not in use yet",
    )
    push: tuple[PushListener, ...] = Field(
        default=(), description="listeners for meters that talk first; not in use yet"
    )
    diagnostics_period_ms: Whole = Field(
        default=60_000,
        ge=0,
        le=LONGEST_PERIOD_MS,
        alias="diagnosticsPeriod",
        description="ms between diagnostics; 0 is off",
    )
