"""Meters read in the way of Gurux's samples: synchronously, a thread and a socket for each.

`gurux-net` is the library of the samples for sockets; only benchmarks need it.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

from gurux_common import ReceiveParameters
from gurux_dlms import GXByteBuffer, GXDLMSException, GXReplyData
from gurux_dlms.enums import Authentication, InterfaceType, Security
from gurux_dlms.objects import GXDLMSRegister
from gurux_dlms.secure import GXDLMSSecureClient
from gurux_net import GXNet
from gurux_net.enums import NetworkType

from tests.benchmarks import meters

_WAIT_MS = 10_000
_END_OF_FRAME = 0x7E


class Reader:
    """Reads registers of one meter; `next_counter` is the first number that is not used yet."""

    def __init__(self, number: int, port: int, framing: str, next_counter: int | None) -> None:
        hdlc = framing == "HDLC"
        kind = InterfaceType.HDLC if hdlc else InterfaceType.WRAPPER
        address = meters.PUBLIC if next_counter is None else meters.CLIENT
        # The simulated meters have logical and physical address 1 over HDLC.
        server = GXDLMSSecureClient.getServerAddress(1, 1) if hdlc else 1
        self._client = GXDLMSSecureClient(True, address, server, Authentication.NONE, None, kind)
        if next_counter is not None:
            ciphering = self._client.ciphering
            ciphering.security = Security.AUTHENTICATION_ENCRYPTION
            ciphering.systemTitle = meters.CLIENT_TITLE
            ciphering.blockCipherKey = meters.block_key(number)
            ciphering.authenticationKey = meters.AUTHENTICATION_KEY
            ciphering.invocationCounter = next_counter
        self._media = GXNet(NetworkType.TCP, "127.0.0.1", port)
        self._hdlc = hdlc
        self._registers = [GXDLMSRegister(_dotted(code)) for code in meters.REGISTERS]

    def connect(self) -> None:
        """Open the link and the association, and read scalers once."""
        self._media.open()
        if (request := self._client.snrmRequest()) is not None and len(request):
            reply = self._ask(request)
            self._client.parseUAResponse(reply.data)
        for request in self._client.aarqRequest():
            self._client.parseAareResponse(self._ask(request).data)
        for register in self._registers:
            self._read(register, 3)

    def read(self) -> int:
        """Read the value of each register; return how many exchanges that took."""
        for register in self._registers:
            assert self._read(register, 2) is not None
        return len(self._registers)

    def close(self) -> None:
        """Close the socket."""
        self._media.close()

    def _read(self, register: Any, attribute: int) -> Any:
        (request,) = self._client.read(register, attribute)
        reply = self._ask(request)
        return self._client.updateValue(register, attribute, reply.value)

    def _ask(self, request: Any) -> Any:
        reply, notify, received = GXReplyData(), GXReplyData(), GXByteBuffer()
        wanted = ReceiveParameters()
        wanted.waitTime = _WAIT_MS
        wanted.eop = _END_OF_FRAME if self._hdlc else None
        wanted.count = 5 if self._hdlc else 8
        with self._media.getSynchronous():
            self._media.send(request)
            while not self._client.getData(received, reply, notify):
                wanted.reply = None
                if wanted.eop is None:
                    wanted.count = self._client.getFrameSize(received)
                if not self._media.receive(wanted):
                    raise TimeoutError("the meter does not answer")
                received.set(wanted.reply)
        if reply.error:
            raise GXDLMSException(reply.error)
        return reply


def read_all(readers: Sequence[Reader], rounds: int) -> int:
    """Read all meters at the same time, so many rounds; return the number of exchanges."""
    done = [0] * len(readers)

    def work(number: int) -> None:
        for _ in range(rounds):
            done[number] += readers[number].read()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(len(readers))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if min(done) < rounds:
        raise SystemExit("a reader of the sample way has failed")
    return sum(done)


def _dotted(code: str) -> str:
    return code.replace("-", ".").replace(":", ".") + ".255"
