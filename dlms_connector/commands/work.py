"""A call that was understood: what to do with the meter, and how to speak of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from dlms_connector.commands.kept import Kept
from dlms_connector.commands.operations import Attempt, Encode, Written
from dlms_connector.commands.request import Arguments
from dlms_connector.compose import Target
from dlms_connector.config import Device
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
from dlms_connector.protocol import Client
from dlms_connector.protocol.data import Data, DataType
from dlms_connector.protocol.talk import Talk
from dlms_connector.reading import Value

#: Associations, the security setup, M-Bus clients and the NTP setup: the arguments of their
#: methods are keys and proofs.
_KEY_HOLDERS = (12, 15, 64, 72, 100)
_HIDDEN = "it is not shown, as it may be a secret"
_UNFIT = f"the value does not fit; {_HIDDEN}; octets are given in hexadecimal, or as `text:…`"

#: What a method may return: a value, or a write with what was there before.
Outcome = Value | Written


class Converter(Protocol):
    """The gateway's interface of a downlink converter; ours, or the user's own."""

    def convert(self, config: Any, data: Any) -> Any:
        """Return the `Data` to write for a `Target` and a JSON value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """A conversation to hold, what it does in words, and whether it changes the meter.

    `timeout_s` is the time it gets if the caller does not say. `writes` is the attribute
    that is written, where it is one, and `attempt` what is written there. `argument` is what
    a method is given, as far as it may be shown.
    """

    talk: Callable[[Client], Talk[Outcome]]
    what: str
    changes: bool = False
    timeout_s: float | None = None
    writes: AttributeRef | None = None
    attempt: Attempt = field(default_factory=Attempt)
    argument: Value = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Local:
    """What is done without a conversation of its own, by the connector itself."""

    run: Callable[[], Awaitable[Value]]
    what: str
    changes: bool = False


@dataclass(frozen=True, slots=True)
class Context:
    """The meter that a call is for, how values are written for it, and what time it is.

    `clock_sets` remembers when clocks were set, `ways` how this meter's profiles are read.
    """

    device: Device
    converter: Converter
    now: Callable[[], datetime]
    clock_sets: Kept
    ways: Ways = field(default_factory=dict)

    @property
    def options(self) -> Options:
        """How the meter's values are read."""
        return options_of(self.device.dlms)

    def encoder(self, ref: AttributeRef, value: Any, type_: str | None) -> Encode:
        """Return what turns a value into data, once it is known what the meter holds."""

        def encode(known: Data | None, scaler: int) -> Data:
            return self.encode(str(ref), value, type_, ref=ref, known=known, scaler=scaler)

        return encode

    def argument(self, method: MethodRef, value: Any, type_: str | None) -> Data | None:
        """Return the argument of a method; a bare null is none."""
        if value is None and type_ is None:
            return None
        return self.encode(str(method), value, type_, secret=method.class_id in _KEY_HOLDERS)

    def shown_argument(self, method: MethodRef, argument: Data | None) -> Value:
        """Return the argument of a method for the audit: numbers alone, as octets may be keys.

        The integer 0 is what methods without a parameter are given.
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
        """Turn a value into data by the device's converter. Raises CommandError.

        What is written where keys and passwords are does not appear in what is raised.
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
        except Exception as error:  # it may be the user's own
            cause = _HIDDEN if secret else f"{type(error).__name__}: {error}"
            raise CommandError(f"{name}: the downlink converter failed: {cause}") from error
        if not isinstance(data, Data):
            raise CommandError(
                f"{name}: the downlink converter returned {type(data).__name__} instead of Data"
            )
        return data


@dataclass(frozen=True, slots=True)
class Method:
    """What understands a call; `changes` if what it does, or refuses, belongs in the audit."""

    build: Callable[[Context, Arguments], Work | Local]
    changes: bool = False
