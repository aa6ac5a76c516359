"""Meters that talk first: the listeners, how a meter is known, and what it sends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, PrivateAttr, field_validator, model_validator

from dlms_connector.config.base import Model
from dlms_connector.config.dlms import Security
from dlms_connector.config.platform_names import PlatformName
from dlms_connector.config.types import (
    LONGEST_PERIOD_MS,
    Address,
    AttributeIndex,
    ClassId,
    DataBits,
    HexBytes,
    LineText,
    Network,
    ObisCode,
    StopBits,
    Truth,
    Whole,
)

if TYPE_CHECKING:
    from dlms_connector.config.model import Device

#: What may stand in the name of a device that is created.
MARKS = ("{systemTitle}", "{logicalDeviceName}", "{peer}")


class PushObject(Model):
    """What stands at one place of a push that has no names; without `obis` it is left out."""

    obis: ObisCode | None = Field(default=None, description="OBIS code of the object")
    class_id: ClassId = Field(
        default=3, alias="class", description="interface class by name or number"
    )
    attribute: AttributeIndex = Field(default=2, description="index of the attribute")
    scaler: Whole | None = Field(
        default=None, ge=-128, le=127, description="scaler (power of ten) of the value"
    )
    unit: str | None = Field(default=None, description="unit of the value, such as `Wh`")


class PushLayout(Model):
    """The objects of one kind of push, by their places in its outermost structure."""

    objects: tuple[PushObject, ...] = Field(
        min_length=1,
        max_length=256,
        description="the objects in their order; the layout is used for pushes with as many values",
    )


class DevicePush(Model):
    """How a meter that talks first is known, and what it sends.

    A ciphered push tells the system title of its sender. One in clear is known by the logical
    device name in it, or by the address it comes from.
    """

    system_title: HexBytes | None = Field(
        default=None,
        description="the meter's system title in hex; if not set, `dlms.serverSystemTitle`",
    )
    logical_device_name: LineText | None = Field(
        default=None,
        description="a text in its pushes by which the meter is known, such as its logical device "
        "name or its serial number",
    )
    peer: Address | None = Field(
        default=None, description="IP address the meter pushes from, if it comes from no other"
    )
    security: Security | None = Field(
        default=None,
        description="how the meter's pushes are protected at least; if not set, as `dlms.security`",
    )
    layouts: tuple[PushLayout, ...] = Field(
        default=(),
        description="the objects of pushes that name none, and whose push setup is not known",
    )
    unlisted: Truth = Field(
        default=True,
        description="send objects that no item of the device names too, under their OBIS code",
    )
    silent_after_ms: Whole | None = Field(
        default=None,
        ge=1000,
        le=LONGEST_PERIOD_MS,
        alias="silentAfter",
        description="ms without a push after which a meter that only pushes is `offline`; if not "
        "set, never",
    )


class AutoCreate(Model):
    """The rule by which a device is made for a meter that pushes and has no entry."""

    template: str = Field(
        min_length=1, description="an entry of `templates` or a preset: keys, items, layouts"
    )
    device_name: PlatformName = Field(
        default="{systemTitle}",
        min_length=1,
        description="the device's name, with `{systemTitle}` (hex), `{logicalDeviceName}` or "
        "`{peer}`: by this the meter is known then",
    )
    most: Whole = Field(
        default=1000, ge=1, le=100_000, description="how many devices may be made by the rule"
    )
    _prototype: Any = PrivateAttr(default=None)

    @field_validator("device_name")
    @classmethod
    def _names_one(cls, value: str) -> str:
        if sum(value.count(mark) for mark in MARKS) != 1:
            raise ValueError(f"names no meter: it needs one of {', '.join(MARKS)}")
        return value

    @property
    def prototype(self) -> Device | None:
        """The device of the template; None if the template cannot be used."""
        made: Device | None = self._prototype
        return made

    def made_of(self, prototype: Device) -> AutoCreate:
        """Return the rule with its device, which is built once, from the template."""
        rule = self.model_copy()
        rule._prototype = prototype  # noqa: SLF001 (the class's own)
        return rule


class PushListener(Model):
    """A listener for meters that send unsolicited data (push)."""

    type: Literal["tcp", "udp", "serial"] = Field(default="tcp", description="the kind of listener")
    host: str = Field(default="0.0.0.0", min_length=1, description="local address to listen on")  # noqa: S104
    port: Whole = Field(default=4059, ge=1, le=65535, description="local port to listen on")
    allow: tuple[Network, ...] = Field(
        default=(),
        description="networks that may connect, such as `10.0.0.0/8`; needed for tcp and udp",
    )
    serial_port: str | None = Field(
        default=None, min_length=1, description="for serial: the port, such as `/dev/ttyUSB0`"
    )
    baudrate: Whole = Field(default=2400, ge=110, le=4_000_000, description="serial: bits/s")
    bytesize: DataBits = Field(default=8, description="serial: data bits")
    parity: Literal["N", "E", "O"] = Field(
        default="N", description="serial: none, even (M-Bus) or odd parity"
    )
    stopbits: StopBits = Field(default=1, description="serial: stop bits")
    interface_type: Literal["WRAPPER", "HDLC", "MBUS"] = Field(
        default="WRAPPER",
        description="the framing: `WRAPPER`, `HDLC` (UI frames), or `MBUS` (wired M-Bus long "
        "frames, as on customer ports)",
    )
    device: str | None = Field(
        default=None,
        description="name of the device that all pushes here come from; if not set, each push "
        "tells it",
    )
    auto_create: AutoCreate | None = Field(
        default=None, description="make a device for a meter that has no entry, by this rule"
    )

    @model_validator(mode="after")
    def _has_what_its_kind_needs(self) -> PushListener:
        if self.type == "serial":
            if self.serial_port is None:
                raise ValueError("a serial listener needs serialPort")
            if self.interface_type == "WRAPPER":
                raise ValueError("WRAPPER does not go over a serial port: use HDLC or MBUS")
        elif not self.allow:
            raise ValueError("needs allow: the networks that may connect, such as 10.0.0.0/8")
        return self

    @property
    def door(self) -> str:
        """Where it listens, for messages."""
        if self.type == "serial":
            return f"serial:{self.serial_port}"
        return f"{self.type}://{self.host}:{self.port}"
