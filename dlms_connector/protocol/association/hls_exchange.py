"""Passes 3 and 4 of high level security (HLS): the APDUs with the answers (IEC 62056-5-3).

With logical names the answer is sent by an ACTION on the current association. With short
names it is sent by a Read with parameterized access to the same method.
"""

from __future__ import annotations

from dlms_connector.errors import ProtocolError, RefusedError, SecurityError
from dlms_connector.hints import Symptom
from dlms_connector.protocol.data.ber import decode_content, encode_length

_OCTET_STRING = 9

#: Class 15, 0-0:40.0.0, method 1, with a parameter; invoke-id and priority precede it.
_LN_METHOD = bytes.fromhex("000F 0000280000FF 01 01")
#: One variable, by parameterized access: base name FA00, method 8 at 58, selector 0.
_SN_READ = bytes.fromhex("05 01 04 FA58 00")

#: The same method by a Write: one variable by name, one value.
_SN_WRITE = bytes.fromhex("06 01 02 FA58 01")
_WRITE_RESPONSE = 0x0D
#: Octets accepted after the meter's answer: none, or a WriteResponse with success, which some
#: meters send in the same frame, with or without its own LLC octets.
_TAILS = (b"", b"\x0d\x01\x00", b"\xe6\xe7\x00\x0d\x01\x00")

_DOING = "authenticating"


def encode_answer(referencing: str, answer: bytes, invoke_id: int) -> bytes:
    """Return the request that carries our answer to the meter's challenge."""
    data = bytes([_OCTET_STRING]) + encode_length(len(answer)) + answer
    if referencing == "SN":
        return _SN_READ + data
    return bytes([0xC3, 0x01, 0xC0 | invoke_id]) + _LN_METHOD + data


def encode_written_answer(answer: bytes) -> bytes:
    """Return the request for meters that allow no Read before pass 3.

    They take the answer in a Write, as for any other method. They reply with a ReadResponse;
    some add a WriteResponse.
    """
    return _SN_WRITE + bytes([_OCTET_STRING]) + encode_length(len(answer)) + answer


def parse_answer(referencing: str, reply: bytes, invoke_id: int) -> bytes:
    """Return the meter's answer to our challenge.

    Raises RefusedError if the meter refuses our answer, SecurityError if it sends no answer
    to our challenge, ProtocolError for any other reply.
    """
    at = _read_sn(reply) if referencing == "SN" else _read_ln(reply, invoke_id)
    if reply[at : at + 1] != bytes([_OCTET_STRING]):
        raise SecurityError(_DOING, "the meter does not answer our challenge")
    answer, end = decode_content(reply, at + 1, _DOING)
    if reply[end:] not in _TAILS:
        raise ProtocolError(_DOING, f"{len(reply) - end} octets too many")
    return answer


def refused(diagnostic: str) -> RefusedError:
    """Return the error for a meter that refuses our answer."""
    return RefusedError(_DOING, diagnostic).showing(Symptom.AUTHENTICATION_FAILED)


def _read_ln(reply: bytes, invoke_id: int) -> int:
    """Return where the data of an action-response-normal begins."""
    if len(reply) < 5 or reply[:2] != b"\xc7\x01" or reply[2] & 0x0F != invoke_id:
        raise _unexpected(reply)
    if reply[3]:
        raise refused(f"the meter did not accept our answer, action-result {reply[3]}")
    if reply[4] == 1 and reply[5:6] == b"\x01":
        raise refused("the meter gave a data-access-result for an answer")
    if reply[4:6] != b"\x01\x00":
        raise SecurityError(_DOING, "the meter does not answer our challenge")
    return 6


def _read_sn(reply: bytes) -> int:
    """Return where the data of a read-response begins."""
    if len(reply) < 3 or reply[:2] not in (b"\x0c\x01", bytes([_WRITE_RESPONSE, 1])):
        raise _unexpected(reply)
    if reply[2] == 1:
        raise refused("the meter did not accept our answer")
    if reply[2]:
        raise _unexpected(reply)
    if reply[0] == _WRITE_RESPONSE:
        raise SecurityError(_DOING, "the meter does not answer our challenge")
    return 3


def _unexpected(reply: bytes) -> Exception:
    if reply[:1] in (b"\xd8", b"\x0e"):
        return refused(f"the meter answered with an exception ({reply[:4].hex(' ')})")
    return ProtocolError(_DOING, f"an APDU that begins with {reply[:3].hex(' ')} is no answer")
