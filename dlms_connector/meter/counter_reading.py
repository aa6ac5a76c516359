"""Reads the invocation counter of a meter through its public client.

Use it before the first ciphered association, and once after a failure that a too low counter
would explain:

    if counter is not None:
        await counter.begin()
    await converse(catch_up(counter, device, make_client), link, …)
    try:
        await converse(client.connect(), link, …, top_up=counter.top_up)
    except (RefusedError, LinkClosedError, LinkTimeoutError):
        counter.doubt()
        raise
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Protocol, TypeGuard

from dlms_connector.config import Device
from dlms_connector.cosem import AttributeRef
from dlms_connector.errors import (
    ConfigError,
    ConnectError,
    DlmsError,
    LinkError,
    LinkTimeoutError,
    ObjectError,
    RefusedError,
    SecurityError,
    StateBusyError,
)
from dlms_connector.hints import Symptom
from dlms_connector.obis import Obis
from dlms_connector.protocol.data import Data
from dlms_connector.protocol.talk import Talk
from dlms_connector.state import LAST, WARN_AT, InvocationCounter

#: The client address of the public client, which may read invocation counters.
PUBLIC_CLIENT = 16

_DOING = "reading the invocation counter"
#: Two readings in a row differ by less: nobody else talks so fast to the meter.
_NEAR = 1000


class PublicClient(Protocol):
    """The methods of a client that are needed to read a counter."""

    def connect(self) -> Talk[None]:
        """Open the association."""
        ...

    def get(self, refs: Sequence[AttributeRef]) -> Talk[list[Data | ObjectError]]:
        """Read attributes."""
        ...

    def release(self) -> Talk[None]:
        """Release the association."""
        ...


def public_device(device: Device) -> Device:
    """Return the device as the public client sees it: no authentication and no keys."""
    nothing = ("password", "system_title", "authentication_key", "block_cipher_key",
               "dedicated_key", "signing_key", "server_signing_key")  # fmt: skip
    dlms = device.dlms.model_copy(
        update={
            "client_address": PUBLIC_CLIENT,
            "authentication": "NONE",
            "security": "NONE",
            "general_ciphering": False,
            **dict.fromkeys(nothing),
        }
    )
    workarounds = device.workarounds.model_copy(
        update={"pre_established": False, "sign": "never"}  # it has no key to sign with
    )
    return device.model_copy(update={"dlms": dlms, "workarounds": workarounds})


def read_counter(client: PublicClient, obis: Obis) -> Talk[int]:
    """Read the last invocation counter that the meter saw, with a client of `public_device`.

    Raises RefusedError when the meter does not give it, LinkError when it is silent.
    """
    yield from client.connect()
    try:
        (answer,) = yield from client.get([AttributeRef(1, obis, 2)])
        again = answer
        if isinstance(answer, Data) and _is_counter(answer.value) and answer.value >= WARN_AT:
            # So far ahead it would use up the key; a single forged reply shall not do that.
            (again,) = yield from client.get([AttributeRef(1, obis, 2)])
    except LinkError:
        raise
    except DlmsError as error:
        with suppress(DlmsError):
            yield from client.release()
        raise _refused(f"the meter does not give {obis}") from error
    yield from client.release()
    if isinstance(answer, ObjectError):
        raise _refused(f"the meter does not give {obis}") from answer
    if not _is_counter(answer.value):
        raise _refused(f"{obis} holds no counter")
    second = again.value if isinstance(again, Data) else None
    if not _is_counter(second) or not 0 <= second - answer.value < _NEAR:
        unlike = _refused(f"{obis} shows {answer.value}, and read again {second}")
        raise unlike.showing(Symptom.COUNTER_UNLIKE)
    return second


def catch_up(
    counter: InvocationCounter, device: Device, make_client: Callable[[Device], PublicClient]
) -> Talk[None]:
    """Read the counter unless it is known; the association is released afterwards."""
    obis = device.dlms.invocation_counter
    if counter.known or obis is None:
        return
    client = make_client(public_device(device))
    counter.learn((yield from read_counter(client, obis)))


def doubts(counter: InvocationCounter | None, error: DlmsError) -> bool:
    """Whether a too low counter may be the cause of an error, and reading it again may help."""
    if isinstance(error, StateBusyError):
        return error.at_once
    if counter is None or isinstance(error, ConfigError | ConnectError | SecurityError):
        return False
    known_before = counter.known
    counter.doubt()
    doubted = known_before and not counter.known
    # Silence has many causes: reading the counter at the next try is early enough.
    return doubted and not isinstance(error, LinkTimeoutError)


def _is_counter(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= LAST


def _refused(problem: str) -> RefusedError:
    return RefusedError(_DOING, problem).showing(Symptom.NO_COUNTER)
