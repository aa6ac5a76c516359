"""The far end of a secured association, made of the symmetric parts: APDUs in, APDUs out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from dlms_connector.config.model import Dlms
from dlms_connector.errors import LinkTimeoutError
from dlms_connector.protocol.acse.acse import (
    AARQ,
    RLRQ,
    Aare,
    Aarq,
    Context,
    Diagnostic,
    Mechanism,
    encode_release,
)
from dlms_connector.protocol.acse.initiate import InitiateRequest, InitiateResponse
from dlms_connector.protocol.data.ber import decode_content, encode_length
from dlms_connector.protocol.security.authentication import Credentials, Handshake, Side
from dlms_connector.protocol.security.ciphering import PROTECTIONS, CountUp, Keys
from dlms_connector.protocol.security.general_signing import GENERAL_SIGNING, Signed
from dlms_connector.protocol.security.protection import DEDICATED, GLOBAL, Protection
from dlms_connector.protocol.security.signing import Signer
from dlms_connector.protocol.talk import Talk

T = TypeVar("T")

CLIENT_TITLE = bytes.fromhex("4757410000000001")
SERVER_TITLE = bytes.fromhex("4D4D4D0000BC614E")
SECRET = b"the password of HLS"
#: P-256 key pairs, as the secret number of each side.
CLIENT_NUMBER, SERVER_NUMBER = 0x1234567 << 200 | 99, 0x7654321 << 200 | 77


def block_key(suite: int) -> bytes:
    return bytes(range(32 if suite == 2 else 16))


def authentication_key(suite: int) -> bytes:
    return bytes(range(0xD0, 0xD0 + (32 if suite == 2 else 16)))


def finish(talk: Talk[T]) -> T:
    """Run a talk that needs no bytes from outside."""
    try:
        next(talk)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]
    raise AssertionError("the talk waits for bytes")


class Line:
    """A data link that carries whole APDUs to a function that answers them."""

    def __init__(self, answer: Callable[[bytes], bytes]) -> None:
        self._answer = answer
        self.heard: list[bytes] = []
        self.said: list[bytes] = []
        self.repeatable = True

    def exchange(self, apdu: bytes, *, repeatable: bool = True) -> Talk[bytes]:
        self.heard.append(apdu)
        self.repeatable = repeatable
        yield from ()
        self.said.append(self._answer(apdu))
        return self.said[-1]

    def connect(self) -> Talk[None]:
        yield from ()

    disconnect = connect

    def receive(self) -> Talk[bytes]:
        yield from ()
        raise LinkTimeoutError(1, 0)  # it says nothing unless it is asked


@dataclass
class SecuredMeter:
    """One that answers every GET with the same value; `twist` meddles with what it says."""

    dlms: Dlms
    signer: Signer | None = None
    counter: CountUp = field(default_factory=CountUp)
    twist: Callable[[bytes], bytes] = lambda apdu: apdu
    twist_aare: Callable[[Aare], Aare] = lambda aare: aare
    twist_answer: Callable[[bytes], bytes] = lambda answer: answer
    signs: bool = True
    signed: int = 0
    value: bytes = bytes.fromhex("C401C100 06 00003039")

    def __post_init__(self) -> None:
        suite = self.dlms.security_suite
        self.keys = Keys(suite, block_key(suite), authentication_key(suite))
        self.mechanism = Mechanism[self.dlms.authentication]
        self.protection: Protection | None = None
        if self.dlms.security != "NONE":
            self.protection = Protection(
                self.keys, PROTECTIONS[self.dlms.security], SERVER_TITLE, self.counter
            )
        self.handshake: Handshake | None = None
        self.proved = False

    def answer(self, apdu: bytes) -> bytes:
        if apdu[0] == AARQ:
            return self.twist(self._associate(Aarq.parse(apdu)))
        if apdu[0] == RLRQ:
            return self.twist(encode_release(0x63))
        plain = self.protection.unprotect(apdu) if self.protection else apdu
        if plain[0] == GENERAL_SIGNING:
            return self.twist(self._seal(self._answer_signed(plain)))
        return self.twist(self._seal(self._serve(plain)))

    def _seal(self, reply: bytes) -> bytes:
        return self.protection.protect(reply) if self.protection else reply

    def _answer_signed(self, apdu: bytes) -> bytes:
        assert self.signer is not None
        request = Signed.parse(apdu, self.signer)
        self.signed += 1
        reply = self._serve(request.content)
        if not self.signs:
            return reply
        answer = Signed(request.transaction, request.recipient, request.originator, reply)
        return answer.encode(self.signer)

    def _serve(self, plain: bytes) -> bytes:
        hls = plain[:1] == b"\xc3" or plain[:2] == b"\x05\x01"
        return self._authenticate(plain) if hls else self.value

    def _associate(self, aarq: Aarq) -> bytes:
        information = aarq.user_information
        if self.protection:
            self.protection.begin(fresh=True, peer=aarq.title)
            information = self.protection.unprotect(information)
        request = InitiateRequest.parse(information)
        self.request = request
        plain = InitiateResponse(request.conformance, 1000).encode()
        if self.protection:
            self.protection.general = "general-protection" in request.conformance
            general, self.protection.general = self.protection.general, False
            plain = self.protection.protect(plain, GLOBAL)
            self.protection.general = general
            if request.dedicated_key:
                suite = self.dlms.security_suite
                dedicated = Keys(suite, request.dedicated_key, authentication_key(suite))
                self.protection.use_dedicated(dedicated)
        aare = Aare(Context(aarq.context), 0, title=SERVER_TITLE, user_information=plain)
        if self.mechanism > Mechanism.LOW:
            aare = self._challenge(aarq, aare)
        return self.twist_aare(aare).encode()

    def _challenge(self, aarq: Aarq, aare: Aare) -> Aare:
        challenge = b"meter's question"
        self.handshake = Handshake(
            self.mechanism,
            Credentials(SECRET, self.keys, self.signer),
            Side(SERVER_TITLE, challenge),
            Side(aarq.title or b"", aarq.authentication or b""),
        )
        return replace(
            aare,
            diagnostic=Diagnostic.AUTHENTICATION_REQUIRED,
            mechanism=self.mechanism,
            challenge=challenge,
        )

    def _authenticate(self, request: bytes) -> bytes:
        assert self.handshake is not None
        start = request.index(b"\x09", 6 if request[0] == 5 else 13)
        answer, end = decode_content(request, start + 1, "reading pass 3")
        assert end == len(request)
        self.handshake.verify(answer)
        self.proved = True
        mine = self.twist_answer(self.handshake.answer(self.counter))
        head = b"\x0c\x01\x00" if request[0] == 5 else b"\xc7\x01" + request[2:3] + b"\x00\x01\x00"
        return head + b"\x09" + encode_length(len(mine)) + mine


def secured(**fields: Any) -> Dlms:
    """Return a configuration with titles and keys that fit `SecuredMeter`."""
    suite = fields.get("security_suite", 0)
    return Dlms(
        **{
            "interface_type": "WRAPPER",
            "client_address": 1,
            "password": SECRET,
            "system_title": CLIENT_TITLE,
            "block_cipher_key": block_key(suite),
            "authentication_key": authentication_key(suite),
            **fields,
        }
    )


__all__ = [
    "CLIENT_NUMBER",
    "CLIENT_TITLE",
    "DEDICATED",
    "GLOBAL",
    "SECRET",
    "SERVER_NUMBER",
    "SERVER_TITLE",
    "Line",
    "SecuredMeter",
    "authentication_key",
    "block_key",
    "finish",
    "secured",
]
