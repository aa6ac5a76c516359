"""Writing at meters that keep things back: read first, written, read back."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, cast

import pytest

from dlms_connector.commands.operations import Written, read, write
from dlms_connector.compose import Target, compose
from dlms_connector.cosem import AttributeRef
from dlms_connector.errors import CommandError, DlmsError, ObjectError, ServiceError, TooLargeError
from dlms_connector.interpret import DEFAULTS
from dlms_connector.obis import Obis
from dlms_connector.protocol.client import Client
from dlms_connector.protocol.data.data import Data, DataType, array, structure
from dlms_connector.protocol.talk import Talk
from tests.support.talks import drive

VOLTS = Obis.parse("1-0:32.7.0")
VALUE, SCALER = AttributeRef(3, VOLTS, 2), AttributeRef(3, VOLTS, 3)
TENTHS = structure(Data(DataType.INTEGER, -1), Data(DataType.ENUM, 35))
DENIED, EXCEPTION = ObjectError("reading", 3), ServiceError("reading", "service-not-allowed")


class Keeping:
    """A client of a meter that takes what is written, and answers reads as it is told."""

    lists = None

    def __init__(self, **answers: Data | DlmsError) -> None:
        self.answers = {VALUE: answers["value"], SCALER: answers["scaler"]}
        self.written: list[Data] = []

    def get(self, refs: Sequence[AttributeRef]) -> Talk[list[Data | DlmsError]]:
        yield from ()
        found = [self.answers[ref] for ref in refs]
        for one in found:
            if isinstance(one, ServiceError):
                raise one
        return found

    def set(self, writes: Sequence[tuple[AttributeRef, Data]]) -> Talk[list[None]]:
        yield from ()
        self.written += [value for _, value in writes]
        return [None] * len(writes)


def written(client: Keeping, value: Any, type_: str | None, scaler: int | None = None) -> Written:
    def encode(known: Data | None, power: int) -> Data:
        return compose(Target(name="V", type=type_, known=known, scaler=power), value)

    talk = write(cast("Client", client), VALUE, encode, DEFAULTS, scaler)
    return drive(talk, lambda sent: b"")


def test_a_value_too_large_for_an_answer_is_not_converted() -> None:
    """Dates take their time; the platform would not get them."""
    moment = Data(DataType.OCTET_STRING, bytes.fromhex("07EA060101 0A000000 8000 00"))
    client = cast("Client", Keeping(value=array(*[moment] * 20_000), scaler=TENTHS))
    with pytest.raises(TooLargeError, match="more than the 49152 bytes of an answer"):
        drive(read(client, VALUE, DEFAULTS, None), lambda sent: b"")
    client = cast("Client", Keeping(value=array(*[moment] * 1000), scaler=TENTHS))
    assert (
        len(cast("list[str]", drive(read(client, VALUE, DEFAULTS, None), lambda sent: b""))) == 1000
    )


def test_a_value_that_cannot_be_read_is_scaled_all_the_same() -> None:
    client = Keeping(value=DENIED, scaler=TENTHS)
    assert written(client, Decimal("230.5"), "uint16") == Written(None, None)
    assert client.written == [Data(DataType.LONG_UNSIGNED, 2305)]
    with pytest.raises(ObjectError):
        written(client, Decimal("230.55"), "uint16")


def test_a_number_is_not_written_where_its_scaler_is_not_known() -> None:
    client = Keeping(value=DENIED, scaler=DENIED)
    with pytest.raises(ObjectError):
        written(client, 230, "uint16")
    assert client.written == []
    assert written(client, 230, "uint16", -1) == Written(None, None)
    assert client.written == [Data(DataType.LONG_UNSIGNED, 2300)]


def test_an_exception_to_reading_is_a_refusal_of_reading() -> None:
    client = Keeping(value=EXCEPTION, scaler=TENTHS)
    assert written(client, 230, "uint16", -1) == Written(None, None)
    assert client.written == [Data(DataType.LONG_UNSIGNED, 2300)]
    with pytest.raises(ServiceError):
        written(client, 230, "uint16")


def test_what_is_written_is_written_whatever_reading_it_back_meets() -> None:
    class Once(Keeping):
        def set(self, writes: Sequence[tuple[AttributeRef, Data]]) -> Talk[list[None]]:
            self.answers[VALUE] = EXCEPTION
            return (yield from super().set(writes))

    client = Once(value=Data(DataType.LONG_UNSIGNED, 2300), scaler=TENTHS)
    assert written(client, 231, None) == Written(Decimal(230), None)
    assert client.written == [Data(DataType.LONG_UNSIGNED, 2310)]


def test_the_sentence_is_that_of_the_value_where_the_object_is_there() -> None:
    client = Keeping(value=Data(DataType.LONG_UNSIGNED, 2300), scaler=TENTHS)
    with pytest.raises(CommandError, match="cannot be written exactly"):
        written(client, Decimal("230.55"), None)
