"""A recorded conversation, served as a meter.

What was recorded is answered as it was; a single attribute also where it was recorded in a list, or
in blocks. Whatever else is asked for is undefined; other requests get no answer.
"""

from __future__ import annotations

from collections.abc import Sequence

from dlms_connector.simulator.encoding.data import Reader

#: An APDU and its answer; None where there was none.
Exchange = tuple[bytes, bytes | None]

_AARQ, _AARE, _RLRQ, _RLRE = 0x60, 0x61, 0x62, 0x63
_GET, _SET, _ACTION, _READ = 0xC0, 0xC1, 0xC3, 0x05
_NORMAL, _NEXT, _LIST = 1, 2, 3
#: data-access-result and action-result "object-undefined".
_UNDEFINED = 4
_DESCRIPTOR = 9
#: An association without proofs: the accepted context, and no authentication.
_ACCEPTED = bytes.fromhex("A109060760857405080101A203020100A305A103020100")
#: "Authentication required": the proofs that follow cannot be replayed.
_WANTS_PROOF = bytes.fromhex("A305A10302010E")


class Replay:
    """The association of one connection, from a recording of one meter."""

    closing = False

    def __init__(self, exchanges: Sequence[Exchange]) -> None:
        self.associated = False
        self._answers: dict[bytes, list[bytes | None]] = {}
        self._values: dict[bytes, bytes] = {}
        self._turns: dict[bytes, int] = {}
        self._asked = b""
        for request, reply in exchanges:
            if _is_hidden(reply):
                continue  # it is answered from single values, as far as there are any
            self._answers.setdefault(self._key(request), []).append(reply)
            if reply is not None:
                self._note(request, reply)
        self._collect_blocks()
        self._asked = b""

    def end(self) -> None:
        """End the association."""
        self.associated = False

    def answer(self, apdu: bytes, client: int) -> bytes | None:
        """Answer an APDU of any client; return None to send nothing."""
        tag = apdu[0] if apdu else 0
        if tag == _AARQ:
            self.associated = True
            self._turns.clear()
            return self._accept()
        key = self._key(apdu)
        if (known := self._answers.get(key)) is not None:
            turn = self._turns.get(key, 0)
            self._turns[key] = min(turn + 1, len(known) - 1)
            return _numbered(known[turn], apdu)
        if tag == _RLRQ:
            self.associated = False
            return bytes((_RLRE, 3, 0x80, 1, 0))
        return self._unknown(apdu, tag)

    def _accept(self) -> bytes | None:
        for answers in (known for key, known in self._answers.items() if key[:1] == b"\x60"):
            for reply in answers:
                if reply is not None and reply[0] == _AARE:
                    return _without_proof(reply)
        return None

    def _key(self, apdu: bytes) -> bytes:
        """Return what makes a request the same: all but its invoke-id, and what a block is of."""
        if apdu[:1] == bytes((_AARQ,)):
            return apdu[:1]
        if len(apdu) < 3 or apdu[0] not in (_GET, _SET, _ACTION):
            return apdu
        key = apdu[:2] + apdu[3:]
        if apdu[:2] == bytes((_GET, _NEXT)):
            return self._asked + key
        self._asked = key
        return key

    def _note(self, request: bytes, reply: bytes) -> None:
        """Keep the values of attributes, to answer for each of them."""
        if request[0] != _GET or reply[:1] != b"\xc4":
            return
        if request[1] == _NORMAL and reply[1] == _NORMAL:
            self._values[request[3 : 3 + _DESCRIPTOR]] = reply[3:]
        elif request[1] == _LIST and reply[1] == _LIST:
            self._values |= dict(zip(_descriptors(request), _results(reply[3:]), strict=False))

    def _collect_blocks(self) -> None:
        for key, replies in list(self._answers.items()):
            if key[:2] != bytes((_GET, _NORMAL)) or not _is_block(replies[0]):
                continue
            whole, number = b"", 0
            parts = [replies[0]]
            while parts and (part := parts[0]) is not None and _is_block(part):
                whole += Reader(part[9:]).string()
                if part[3]:
                    self._values.setdefault(key[2 : 2 + _DESCRIPTOR], b"\x00" + whole)
                    break
                number = int.from_bytes(part[4:8], "big")
                following = bytes((_GET, _NEXT)) + number.to_bytes(4, "big")
                parts = self._answers.get(key + following, [])

    def _unknown(self, apdu: bytes, tag: int) -> bytes | None:
        undefined = bytes((1, _UNDEFINED))
        if tag == _GET and apdu[1] == _NORMAL:
            value = self._values.get(apdu[3 : 3 + _DESCRIPTOR], undefined)
            return bytes((0xC4, _NORMAL, apdu[2])) + value
        if tag == _GET and apdu[1] == _LIST:
            wanted = _descriptors(apdu)
            values = (self._values.get(one, undefined) for one in wanted)
            return bytes((0xC4, _LIST, apdu[2], len(wanted))) + b"".join(values)
        if tag == _SET and apdu[1] == _NORMAL:
            return bytes((0xC5, _NORMAL, apdu[2], _UNDEFINED))
        if tag == _ACTION and apdu[1] == _NORMAL:
            return bytes((0xC7, _NORMAL, apdu[2], _UNDEFINED, 0))
        if tag == _READ and len(apdu) > 1:
            return bytes((0x0C, apdu[1])) + undefined * apdu[1]
        return None


def _is_block(reply: bytes | None) -> bool:
    return reply is not None and reply[:2] == b"\xc4\x02" and reply[8:9] == b"\x00"


def _is_hidden(reply: bytes | None) -> bool:
    """Whether a block is only of fillers, in which the values cannot be told apart."""
    return reply is not None and _is_block(reply) and not reply[12:].strip(b"*")


def _descriptors(request: bytes) -> list[bytes]:
    """Return the attributes of a list, as far as they are asked for without selection."""
    found, at = [], 4
    for _ in range(request[3]):
        found.append(request[at : at + _DESCRIPTOR])
        at += _DESCRIPTOR + 1
        if request[at - 1 : at] != b"\x00":
            break
    return found


def _results(octets: bytes) -> list[bytes]:
    reader, found = Reader(octets), []
    for _ in range(reader.length()):
        start = len(octets) - reader.left
        if reader.number() == 0:
            reader.data()
        else:
            reader.number()
        found.append(octets[start : len(octets) - reader.left])
    return found


def _numbered(reply: bytes | None, request: bytes) -> bytes | None:
    """Give an answer the invoke-id of its request."""
    if reply is None or reply[0] not in (0xC4, 0xC5, 0xC7) or len(request) < 3:
        return reply
    return reply[:2] + request[2:3] + reply[3:]


def _without_proof(aare: bytes) -> bytes:
    """Return an AARE that needs no proof: passwords are not recorded, so none can be checked."""
    if _WANTS_PROOF not in aare:
        return aare
    body = _ACCEPTED + aare[aare.rfind(b"\xbe\x10\x04\x0e") :]
    return bytes((_AARE, len(body))) + body
