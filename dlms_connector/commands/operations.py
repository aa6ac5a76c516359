"""The conversations of commands with the meter: read first, write, read back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from dlms_connector.cosem import CLASSES, AttributeRef, MethodRef
from dlms_connector.errors import (
    CommandError,
    DlmsError,
    ObjectError,
    ProtocolError,
    ScalerError,
    ServiceError,
    TooLargeError,
)
from dlms_connector.interpret import Options, ScalerUnit, interpret, is_longer, scaler_unit
from dlms_connector.protocol import Client, ask
from dlms_connector.protocol.data import Data
from dlms_connector.protocol.talk import Talk
from dlms_connector.reading import LARGEST_ANSWER, Value

#: Encodes a value, given the data that the meter holds (None if unknown) and its scaler.
Encode = Callable[[Data | None, int], Data]


@dataclass(frozen=True, slots=True)
class Written:
    """A write: the value before and after it, None where it could not be read.

    `changed` is false if the meter held the value already, so that nothing was written.
    """

    old: Value
    new: Value
    changed: bool = True


@dataclass(slots=True)
class Attempt:
    """The old and new value of a change, known even if it fails; None where unknown.

    `begun` says that the request was sent, or is about to be sent. `permit` raises CommandError
    if it must not be sent any more.
    """

    begun: bool = False
    old: Value = None
    new: Value = None
    permit: Callable[[], None] = field(default=lambda: None, repr=False)

    def begin(self, old: Value = None, new: Value = None) -> None:
        """Note that the request is sent now. Raises CommandError if it must not be."""
        self.permit()
        self.begun, self.old, self.new = True, old, new


def get_scaled(
    client: Client, ref: AttributeRef, scaler: int | None
) -> Talk[tuple[Data | ObjectError, ScalerUnit | None]]:
    """GET an attribute and the scaler and unit of its values, in one request where that works.

    A scaler that is given is used instead of the meter's. Raises ServiceError if the meter
    refuses to give the attribute this way.
    """
    row = CLASSES.get(ref.class_id)
    index = row.scalers.get(ref.attribute) if row and scaler is None else None
    if index is None:
        (only,) = yield from client.get([ref])
        return only, None if scaler is None else ScalerUnit(scaler)
    refs = [ref, AttributeRef(ref.class_id, ref.obis, index)]
    data, unit = yield from ask(client, refs)
    if isinstance(data, ServiceError):
        raise data
    if isinstance(unit, ObjectError | ServiceError):
        if isinstance(data, ObjectError):
            return data, None
        code = unit.code if isinstance(unit, ObjectError) else None
        raise ScalerError(str(unit), code)
    try:
        return data, scaler_unit(unit)
    except ProtocolError as error:  # concerns this object only; the line is fine
        raise ScalerError(f"reading {refs[1]}: {error.problem}") from error


def read(client: Client, ref: AttributeRef, options: Options, scaler: int | None) -> Talk[Value]:
    """Read an attribute as its value. Raises ObjectError."""
    data, scaling = yield from get_scaled(client, ref, scaler)
    if isinstance(data, ObjectError):
        raise data
    return interpret(ref, sendable(data, f"reading {ref}"), scaling, options)[0]


def sendable(data: Data, doing: str) -> Data:
    """Return data that fits in an answer. Raises TooLargeError: to interpret more is in vain."""
    if is_longer(data, LARGEST_ANSWER):
        problem = f"too large: as JSON it has more than the {LARGEST_ANSWER} bytes of an answer"
        raise TooLargeError(doing, problem)
    return data


def write(
    client: Client,
    ref: AttributeRef,
    encode: Encode,
    options: Options,
    scaler: int | None,
    *,
    only_if_different: bool = False,
    attempt: Attempt | None = None,
) -> Talk[Written]:
    """Read an attribute, SET it in the meter's own type, and read it back.

    Raises ObjectError if the meter refuses the write, CommandError if the value does not fit.
    An attribute that can be written but not read is written with the type from the caller.
    `attempt` receives the old and the new value before the SET.
    """
    found: Data | ObjectError | ServiceError
    scaling: ScalerUnit | None
    try:
        found, scaling = yield from get_scaled(client, ref, scaler)
    except ServiceError as error:  # some meters refuse to read it this way
        found, scaling = error, None if scaler is None else ScalerUnit(scaler)
    if isinstance(found, DlmsError) and scaling is None and _is_scaled(ref):
        raise found  # without the scaler, a wrong value would be written
    before = found if isinstance(found, Data) else None
    try:
        data = encode(before, scaling.scaler if scaling else 0)
    except CommandError as error:
        # The error of the read explains more than an unknown type.
        raise (found if isinstance(found, DlmsError) else error) from None

    def shown(held: Data | None) -> Value:
        if held is None or is_longer(held, LARGEST_ANSWER):
            return None
        return interpret(ref, held, scaling, options)[0]

    if only_if_different and data == before:
        return Written(shown(before), shown(before), changed=False)
    if attempt is not None:
        attempt.begin(shown(before), shown(data))
    (refused,) = yield from client.set([(ref, data)])
    if refused:
        raise refused
    try:
        (after,) = yield from client.get([ref])
    except ServiceError:  # the value is written nevertheless
        after = None
    return Written(shown(before), shown(after) if isinstance(after, Data) else None)


def _is_scaled(ref: AttributeRef) -> bool:
    row = CLASSES.get(ref.class_id)
    return row is not None and ref.attribute in row.scalers


def invoke(
    client: Client, method: MethodRef, argument: Data | None, attempt: Attempt
) -> Talk[Value]:
    """Invoke a method and return what it returns. Raises ObjectError."""
    attempt.begin()
    data = yield from client.action(method, argument)
    if data is None:
        return None
    # A return value belongs to no attribute: it is interpreted by its data type only.
    data = sendable(data, f"invoking {method}")
    value, _ = interpret(AttributeRef(method.class_id, method.obis, 0), data)
    return value
