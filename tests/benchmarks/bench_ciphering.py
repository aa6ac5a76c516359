"""What ciphering costs: ours against gurux's, in one process and one run.

python -m tests.benchmarks.bench_ciphering
"""

from __future__ import annotations

import io
import statistics
import timeit
from collections.abc import Callable
from contextlib import redirect_stdout

from gurux_dlms.AesGcmParameter import AesGcmParameter
from gurux_dlms.enums.Security import Security
from gurux_dlms.GXByteBuffer import GXByteBuffer
from gurux_dlms.GXDLMSChippering import GXDLMSChippering

from dlms_connector.protocol.security.ciphering import AUTHENTICATED, ENCRYPTED, CountUp, Keys
from dlms_connector.protocol.security.protection import Protection
from tests.support.secured_meter import (
    CLIENT_TITLE,
    SERVER_TITLE,
    authentication_key,
    block_key,
)

BOTH = AUTHENTICATED | ENCRYPTED
SIZES = (16, 100, 500)
BLOCK, AUTHENTICATION = block_key(0), authentication_key(0)


def microseconds(work: Callable[[], object], number: int) -> float:
    """The median of nine, so that a burst of other work does not count."""
    with redirect_stdout(io.StringIO()):  # gurux prints while it deciphers
        runs = timeit.repeat(work, number=number, repeat=9)
    return statistics.median(runs) / number * 1e6


def theirs(tag: int, title: bytes) -> AesGcmParameter:
    parameter = AesGcmParameter(tag, bytearray(title), BLOCK, AUTHENTICATION)
    parameter.security = Security(BOTH)
    parameter.invocationCounter = 1
    return parameter


def sides() -> tuple[Protection, Protection]:
    client, meter = (
        Protection(Keys(0, BLOCK, AUTHENTICATION), BOTH, title, CountUp())
        for title in (CLIENT_TITLE, SERVER_TITLE)
    )
    client.peer, meter.peer = SERVER_TITLE, CLIENT_TITLE
    return client, meter


def protect(size: int) -> tuple[float, float]:
    """Cipher a request: ours, gurux's."""
    client, plain = sides()[0], b"\xc0" + bytes(size - 1)
    parameter = theirs(0xC8, CLIENT_TITLE)
    return (
        microseconds(lambda: client.protect(plain), 5000),
        microseconds(lambda: GXDLMSChippering.encryptAesGcm(parameter, plain), 20),
    )


def unprotect(size: int) -> tuple[float, float]:
    """Decipher a reply, ours with its tag and counter verified: ours, gurux's (unverified)."""
    client, meter = sides()
    plain = b"\xc4" + bytes(size - 1)
    replies = iter([meter.protect(plain) for _ in range(9 * 2000)])
    parameter = theirs(0xCC, SERVER_TITLE)
    sealed = bytearray(GXDLMSChippering.encryptAesGcm(parameter, plain))
    with_title = theirs(0, SERVER_TITLE)
    return (
        microseconds(lambda: client.unprotect(next(replies)), 2000),
        microseconds(
            lambda: GXDLMSChippering.decryptAesGcm(None, with_title, GXByteBuffer(sealed)), 20
        ),
    )


def main() -> None:
    print("octets  what        ours µs  gurux µs     ratio")
    for size in SIZES:
        for name, measure in (("protect", protect), ("unprotect", unprotect)):
            ours, other = measure(size)
            print(f"{size:6}  {name:10} {ours:8.2f} {other:9.1f} {other / ours:8.0f}x")


if __name__ == "__main__":
    main()
