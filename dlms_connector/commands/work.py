"""The work of a parsed call: its conversation with the meter, and its description."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from typing import Any, Protocol

from dlms_connector.commands.kept import Kept
from dlms_connector.commands.operations import Attempt, Encode, Written
from dlms_connector.commands.request import Arguments
from dlms_connector.compose import Target
from dlms_connector.config import Device, Profile
from dlms_connector.cosem import AttributeRef, MethodRef
from dlms_connector.errors import CommandError
from dlms_connector.history import Ways
from dlms_connector.interpret import (
    DEFAULTS,
    Options,
    hidden,
    interpret,
    is_number,
    options_of,
    shape_of,
)
from dlms_connector.obis import Obis
from dlms_connector.protocol import Client
from dlms_connector.protocol.data import Data, DataType
from dlms_connector.protocol.talk import Talk
from dlms_connector.reading import Value
from dlms_connector.records import DayCount, Source

#: Associations, the security setup, M-Bus clients and the NTP setup: the arguments of their
#: methods are keys and authentication values.
_KEY_HOLDERS = (12, 15, 64, 72, 100)
_HIDDEN = "it is not shown, as it may be a secret"
_UNFIT = f"the value does not fit; {_HIDDEN}; octets are given in hexadecimal, or as `text:…`"

#: The result of a method: a value, or a write with the previous value.
Outcome = Value | Written


class Converter(Protocol):
    """The gateway's interface of a downlink converter: the built-in one, or a user's own."""

    def convert(self, config: Any, data: Any) -> Any:
        """Return the `Data` to write for a `Target` and a JSON value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """A conversation to run, its description, and whether it changes the meter.

    `timeout_s` applies if the caller gives no timeout. `writes` is the attribute or the method
    that changes the meter, if any, and `attempt` its old and new value. `argument` is the argument
    of a method, if it may be shown.
    """

    talk: Callable[[Client], Talk[Outcome]]
    what: str
    changes: bool = False
    timeout_s: float | None = None
    writes: AttributeRef | MethodRef | None = None
    attempt: Attempt = field(default_factory=Attempt)
    argument: Value = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Local:
    """Work that the connector does itself, without a conversation of its own."""

    run: Callable[[], Awaitable[Value]]
    what: str
    changes: bool = False


class Intervals(Protocol):
    """What is known of the intervals of profiles: the records."""

    def completeness(
        self, source: Source, start_ms: int, end_ms: int, zone: tzinfo
    ) -> Sequence[DayCount]:
        """Count the intervals of each local day; it may wait for the disk. Raises OSError."""


@dataclass(frozen=True, slots=True)
class Context:
    """The meter of a call, the converter for values to write, and the current time.

    `clock_sets` stores when clocks were set, `ways` how this meter's profiles are read,
    `intervals` what is known of their rows; None where no records are kept.
    """

    device: Device
    converter: Converter
    now: Callable[[], datetime]
    clock_sets: Kept
    ways: Ways = field(default_factory=dict)
    intervals: Intervals | None = None

    @property
    def options(self) -> Options:
        """How the meter's values are read."""
        return options_of(self.device.dlms)

    def profile(self, obis: Obis) -> Profile | None:
        """Return what the configuration says about a profile."""
        return next((one for one in self.device.profiles if one.obis == obis), None)

    def encoder(self, ref: AttributeRef, value: Any, type_: str | None) -> Encode:
        """Return a function that encodes a value, given the data that the meter holds."""

        def encode(known: Data | None, scaler: int) -> Data:
            return self.encode(str(ref), value, type_, ref=ref, known=known, scaler=scaler)

        return encode

    def argument(self, method: MethodRef, value: Any, type_: str | None) -> Data | None:
        """Return the argument of a method; None for null without a type."""
        if value is None and type_ is None:
            return None
        return self.encode(str(method), value, type_, secret=method.class_id in _KEY_HOLDERS)

    def shown_argument(self, method: MethodRef, argument: Data | None) -> Value:
        """Return the argument of a method for the audit: only numbers, as octets may be keys.

        The integer 0 is not shown: it is the argument of methods without a parameter.
        """
        if argument is None or argument == Data(DataType.INTEGER, 0):
            return None
        if method.class_id in _KEY_HOLDERS or not is_number(argument):
            return None
        return interpret(AttributeRef(method.class_id, method.obis, 0), argument)[0]

    def encode(
        self,
        name: str,
        value: Any,
        type_: str | None,
        *,
        ref: AttributeRef | None = None,
        known: Data | None = None,
        scaler: int = 0,
        secret: bool = False,
    ) -> Data:
        """Encode a value with the device's converter. Raises CommandError.

        The error does not quote a value for an attribute that holds keys or passwords.
        """
        secret = secret or (ref is not None and shape_of(ref, DEFAULTS) is hidden)
        target = Target(
            name=name,
            ref=ref,
            type=type_,
            known=known,
            scaler=scaler,
            from_utc=self.device.dlms.deviation_from_utc,
            skip=frozenset(self.device.workarounds.skip_date_time_fields),
        )
        try:
            data = self.converter.convert(target, value)
        except CommandError:
            if secret:
                raise CommandError(f"{name}: {_UNFIT}") from None
            raise
        except Exception as error:  # the converter may be the user's own
            cause = _HIDDEN if secret else f"{type(error).__name__}: {error}"
            raise CommandError(f"{name}: the downlink converter failed: {cause}") from error
        if not isinstance(data, Data):
            raise CommandError(
                f"{name}: the downlink converter returned {type(data).__name__} instead of Data"
            )
        return data


@dataclass(frozen=True, slots=True)
class Method:
    """Builds the work of a call; `changes` if the work, or its refusal, belongs in the audit."""

    build: Callable[[Context, Arguments], Work | Local]
    changes: bool = False
