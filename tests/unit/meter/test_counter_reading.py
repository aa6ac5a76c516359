"""The invocation counter as the meter knows it."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from dlms_connector.config.model import Device
from dlms_connector.cosem import AttributeRef
from dlms_connector.errors import (
    DlmsError,
    LinkTimeoutError,
    ObjectError,
    RefusedError,
    ServiceError,
)
from dlms_connector.meter.counter_reading import catch_up, public_device, read_counter
from dlms_connector.obis import Obis
from dlms_connector.protocol.data.axdr import Data, DataType
from dlms_connector.protocol.talk import Talk
from dlms_connector.state.counters import InvocationCounter
from tests.support.secured_meter import finish, secured

OBIS = Obis.parse("0-0:43.1.0")
DEVICE = Device.model_validate(
    {
        "device_name": "m",
        "connection": {"host": "h"},
        "dlms": secured(
            authentication="HIGH_GMAC",
            security="AUTHENTICATION_ENCRYPTION",
            invocation_counter=OBIS,
        ),
    }
)


class Public:
    def __init__(self, answer: Data | ObjectError | DlmsError) -> None:
        self.did: list[object] = []
        self._answer = answer

    def connect(self) -> Talk[None]:
        self.did.append("connect")
        yield from ()

    def get(self, refs: Sequence[AttributeRef]) -> Talk[list[Data | ObjectError]]:
        self.did.append(refs)
        yield from ()
        if isinstance(self._answer, Data | ObjectError):
            return [self._answer]
        raise self._answer

    def release(self) -> Talk[None]:
        self.did.append("release")
        yield from ()


def test_reads_through_the_public_client() -> None:
    client = Public(Data(DataType.DOUBLE_LONG_UNSIGNED, 4711))
    assert finish(read_counter(client, OBIS)) == 4711
    assert client.did == ["connect", [AttributeRef(1, OBIS, 2)], "release"]


@pytest.mark.parametrize(
    "answer",
    [
        ObjectError("reading", 3),
        ServiceError("reading", "exception"),
        Data(DataType.OCTET_STRING, b"x"),
        Data(DataType.LONG, -1),
    ],
)
def test_what_is_no_counter_is_refused(answer: Data | ObjectError | DlmsError) -> None:
    client = Public(answer)
    with pytest.raises(RefusedError) as caught:
        finish(read_counter(client, OBIS))
    assert "dlms.invocationCounter" in caught.value.hint
    assert client.did[-1] == "release"


def test_a_silent_meter_is_not_said_goodbye_to() -> None:
    client = Public(LinkTimeoutError(3, 0))
    with pytest.raises(LinkTimeoutError):
        finish(read_counter(client, OBIS))
    assert "release" not in client.did


def test_catches_up_where_it_must() -> None:
    counter = InvocationCounter("m", must_read=True)
    asked: list[Device] = []

    def make_client(device: Device) -> Public:
        asked.append(device)
        return Public(Data(DataType.DOUBLE_LONG_UNSIGNED, 41))

    for _ in range(2):
        finish(catch_up(counter, DEVICE, make_client))
    assert [device.dlms.client_address for device in asked] == [16]
    assert 42 <= counter.next() < 1000


def test_the_public_client_has_no_secrets() -> None:
    public = public_device(DEVICE)
    assert public.dlms.client_address == 16
    assert public.dlms.authentication == public.dlms.security == "NONE"
    assert public.dlms.block_cipher_key is public.dlms.authentication_key is None


def test_the_public_client_does_not_sign() -> None:
    workarounds = DEVICE.workarounds.model_copy(update={"sign": "always"})
    public = public_device(DEVICE.model_copy(update={"workarounds": workarounds}))
    assert public.workarounds.sign == "never"


class Twice(Public):
    """Gives another answer to the second reading."""

    def __init__(self, *values: int) -> None:
        super().__init__(ObjectError("reading", 3))
        self._values = iter(values)

    def get(self, refs: Sequence[AttributeRef]) -> Talk[list[Data | ObjectError]]:
        self.did.append(refs)
        yield from ()
        return [Data(DataType.DOUBLE_LONG_UNSIGNED, next(self._values))]


@pytest.mark.parametrize("again", [41, 0xFFFF_0000, 0xFFFF_FFFF])
def test_a_single_forged_counter_that_would_use_up_the_key_is_not_believed(again: int) -> None:
    client = Twice(0xFFFF_0001, again)
    with pytest.raises(RefusedError, match="shows 4294901761, and read again") as caught:
        finish(read_counter(client, OBIS))
    assert "not authenticated" in caught.value.hint
    assert client.did[-1] == "release"


def test_a_meter_that_really_is_that_far_says_so_again() -> None:
    assert finish(read_counter(Twice(3_000_000_000, 3_000_000_001), OBIS)) == 3_000_000_001
