"""The only module that imports gurux_dlms: its client builds requests, as plain octets.

Gurux builds whole APDUs in `InterfaceType.PDU`; framing and ciphering are ours. It is called
once per object and service: the request is cached and the invoke-id is set in a copy, which
takes under a microsecond. The import takes 0.2 s and is delayed until the first request.

`replies` parses the replies, not Gurux: Gurux accepts any invoke-id, loses the results of
single list items, and raises arbitrary exceptions on malformed replies.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from dlms_connector.errors import CommandError

#: Confirmed service at high priority, as Gurux sends it; the low four bits are the invoke-id.
CONFIRMED_HIGH = 0xC0

#: Number of cached requests; thousands of meters with the same template share a few dozen.
_KEPT = 4096

_NO_SELECTION = b"\x00"
_INVOKE_ID_AT = 2


@dataclass(frozen=True, slots=True)
class _Target:
    """The part of an object that Gurux needs; the content of `data` is sent unchanged."""

    name: str
    objectType: int  # noqa: N815 (Gurux's name)
    type: Any
    data: bytes = b""

    def getValue(self, _settings: Any, _event: Any) -> bytes:  # noqa: N802
        return self.data

    def getDataType(self, _index: int) -> Any:  # noqa: N802
        return self.type


def get_request(class_id: int, name: bytes, attribute: int, invoke_id: int) -> bytes:
    """Return a GET of one attribute, without selective access."""
    return _with_invoke_id(_get_template(class_id, name, attribute), invoke_id)


def set_request(class_id: int, name: bytes, attribute: int, value: bytes, invoke_id: int) -> bytes:
    """Return a SET of one attribute to a value that is encoded already."""
    return _with_invoke_id(_set_template(class_id, name, attribute), invoke_id) + value


def action_request(
    class_id: int, name: bytes, method: int, argument: bytes | None, invoke_id: int
) -> bytes:
    """Return an ACTION of one method, its argument encoded already; None for no argument."""
    request = _with_invoke_id(_action_template(class_id, name, method), invoke_id)
    return request[:-1] + b"\x00" if argument is None else request + argument


def select(request: bytes, selection: bytes) -> bytes:
    """Return a GET with selective access: selector and its parameters, encoded already."""
    if request[-1:] != _NO_SELECTION:
        raise AssertionError("only a GET without selective access can be given one")
    return request[:-1] + b"\x01" + selection


def _with_invoke_id(template: bytes, invoke_id: int) -> bytes:
    flags = bytes((CONFIRMED_HIGH | invoke_id,))
    return template[:_INVOKE_ID_AT] + flags + template[_INVOKE_ID_AT + 1 :]


@lru_cache(_KEPT)
def _get_template(class_id: int, name: bytes, attribute: int) -> bytes:
    with _our_errors(f"a GET of class {class_id} attribute {attribute}"):
        return _only(_client().read(_target(class_id, name), attribute))


@lru_cache(_KEPT)
def _set_template(class_id: int, name: bytes, attribute: int) -> bytes:
    with _our_errors(f"a SET of class {class_id} attribute {attribute}"):
        return _only(_client().write(_target(class_id, name), attribute))


@lru_cache(_KEPT)
def _action_template(class_id: int, name: bytes, method: int) -> bytes:
    with _our_errors(f"an ACTION of class {class_id} method {method}"):
        target = _target(class_id, name)
        return _only(_client().method(target, method, b"", target.type))


def _target(class_id: int, name: bytes) -> _Target:
    from gurux_dlms.enums import DataType

    # Gurux sends the octets given for a structure unchanged, so they are not encoded
    # twice. Here they are empty.
    return _Target(".".join(map(str, name)), class_id, DataType.STRUCTURE)


@lru_cache(1)
def _client() -> Any:
    from gurux_dlms.enums import Authentication, InterfaceType
    from gurux_dlms.secure.GXDLMSSecureClient import GXDLMSSecureClient

    # It holds no state of an association: addresses and security lie below the APDU.
    return GXDLMSSecureClient(True, 16, 1, Authentication.NONE, None, InterfaceType.PDU)


def _only(messages: list[Any]) -> bytes:
    (message,) = messages
    return bytes(message)


@contextmanager
def _our_errors(what: str) -> Iterator[None]:
    """Turn any exception of Gurux into a CommandError, and keep the cause."""
    try:
        yield
    except Exception as error:  # Gurux raises bare Exception too
        raise CommandError(f"{what} cannot be built: {error}") from error
