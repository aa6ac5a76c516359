"""Reading a meter out: its identification, and then a block of text (IEC 62056-21 clause 6).

The meter is asked with `/?!` at 300 baud, 7 bits, even parity. How it goes on is told by the
character behind its manufacturer: a digit offers another rate, which is acknowledged (mode C, and
E, whose meters give a readout too), a letter announces one (mode B), others keep the rate (mode A).
A meter that talks without being asked (mode D, a customer port) is taken as it comes.
"""

from __future__ import annotations

import re
from functools import reduce
from operator import xor

from dlms_connector.errors import LinkTimeoutError, ProtocolError
from dlms_connector.hints import Symptom
from dlms_connector.protocol.datalink import BAUDRATES, seven_bits
from dlms_connector.protocol.directive import LineSettings, Pause
from dlms_connector.protocol.octets import shown
from dlms_connector.protocol.talk import Talk

_DOING = "reading out (IEC 62056-21)"
_STX, _ETX, _NAK = 0x02, 0x03, b"\x15"
#: A readout is longer than any meter's, or it never ends.
_MOST = 64 * 1024
_REACTION_S = 0.2
_BITS_PER_CHARACTER = 10

_IDENTIFICATION = re.compile(rb"/([A-Za-z]{3})([!-~])([^\r\n/!]{0,64})\r\n")
#: Mode B announces its rate by a letter (clause 6.3.14, table of baud rate identifications).
_LETTER_RATES = {"A": 600, "B": 1200, "C": 2400, "D": 4800, "E": 9600, "F": 19200}
#: The end of a telegram without STX and ETX, with the CRC of customer ports (DSMR P1).
_END_OF_TELEGRAM = re.compile(rb"\r\n!([0-9A-Fa-f]{4})?\r\n")

#: The character of each octet; `\x1a` where its parity is wrong. A table, because what has come is
#: looked at again with each portion, be it of one octet.
_OF_EVEN_PARITY = bytes(
    octet & 0x7F if octet.bit_count() % 2 == 0 else 0x1A for octet in range(256)
)


def read_out(
    device_address: str = "",
    *,
    retries: int = 2,
    start_baudrate: int = 300,
    max_baudrate: int | None = None,
) -> Talk[str]:
    """Return the text of a readout, behind the identification.

    Raises LinkTimeoutError on silence; ProtocolError for text that is none, has no end, or whose
    block check (or CRC) is wrong after `retries` repetitions.
    """
    yield LineSettings(start_baudrate, 7, "E")
    request = f"/?{device_address}!\r\n".encode("ascii")
    heard, match = yield from _identified(request, retries)
    rest = heard[match.end() :]
    if not rest:
        rest = yield from _take_up(match[2].decode("ascii"), start_baudrate, max_baudrate)
    for _ in range(retries + 1):
        block = yield from _block(rest)
        whole = heard[match.start() : match.end()] + block
        if (text := _checked(whole, block)) is not None:
            return text
        if not (rest := (yield _NAK)):
            break
    raise _wrong(heard, "the block check of its data is wrong, and stays so if it is repeated")


def _identified(request: bytes, retries: int) -> Talk[tuple[bytes, re.Match[bytes]]]:
    """Ask for the identification; return what came, from its beginning on, and the match."""
    heard = bytearray()
    for _ in range(retries + 1):
        data = yield request
        while data:
            heard += data
            plain = _without_parity(bytes(heard)).replace(request, b"")
            if match := _IDENTIFICATION.search(plain):
                return plain, match
            if len(heard) > _MOST:
                raise _wrong(plain, f"no identification in {len(heard)} octets")
            data = yield b""
    raise LinkTimeoutError(retries + 1, len(heard))


def _take_up(character: str, start_baudrate: int, max_baudrate: int | None) -> Talk[bytes]:
    """Go on as the identification wants it: acknowledge a rate, follow one, or just listen.

    Return what has come meanwhile.
    """
    if character in BAUDRATES:
        most = min(BAUDRATES[character], max_baudrate or BAUDRATES[character])
        chosen = max((one for one, rate in BAUDRATES.items() if rate <= most), default="0")
        # Protocol control 0 (normal), the rate, mode 0 (data readout): clause 6.3.3.
        acknowledgement = f"\x060{chosen}0\r\n".encode("ascii")
        early = yield Pause(_REACTION_S)
        return early + (
            yield LineSettings(
                BAUDRATES[chosen],
                7,
                "E",
                send=acknowledgement,
                hold_s=len(acknowledgement) * _BITS_PER_CHARACTER / start_baudrate,
            )
        )
    if character in _LETTER_RATES:
        return (yield LineSettings(_LETTER_RATES[character], 7, "E"))
    return b""


def _block(begun: bytes) -> Talk[bytes]:
    """Return the octets up to the end of the block, with its check character."""
    raw = bytearray(begun)
    heard = _without_parity(bytes(raw))
    while (end := _end_of(heard)) is None:
        if len(heard) > _MOST:
            raise _wrong(heard, f"a readout that has not ended after {len(heard)} octets")
        data = yield b""
        if not data:
            raise _wrong(heard, f"the readout broke off after {len(heard)} octets")
        raw += data
        heard = _without_parity(bytes(raw))
    return heard[:end]


def _end_of(heard: bytes) -> int | None:
    start = heard.find(_STX)
    if start >= 0:
        end = heard.find(_ETX, start)
        return end + 2 if 0 <= end < len(heard) - 1 else None
    match = _END_OF_TELEGRAM.search(heard)
    return match.end() if match else None


def _checked(telegram: bytes, block: bytes) -> str | None:
    """Return the text of a block; None if its check says that it is damaged."""
    start = block.find(_STX)
    if start >= 0:
        # Over all behind STX, ETX included (clause 6.1, ISO/IEC 1155).
        content, check = block[start + 1 : -1], block[-1]
        return content[:-1].decode("latin-1") if reduce(xor, content, 0) == check else None
    match = _END_OF_TELEGRAM.search(block)
    assert match is not None, "a block without STX ends so"
    if match[1] is not None:
        checked = telegram[: telegram.rindex(b"!") + 1]
        if crc16(checked) != int(match[1], 16):
            return None
    return block.decode("latin-1")


def crc16(octets: bytes) -> int:
    """Return CRC-16 as customer ports append it: polynomial A001, reflected, from 0."""
    crc = 0
    for octet in octets:
        crc ^= octet
        for _ in range(8):
            crc = crc >> 1 ^ (0xA001 if crc & 1 else 0)
    return crc


def _without_parity(octets: bytes) -> bytes:
    """Return characters of 7 bits; a line that leaves their parity has it in bit 7.

    If it is there, a character with the wrong parity is replaced: it must not be read.
    """
    return octets if octets.isascii() else octets.translate(_OF_EVEN_PARITY)


def _wrong(heard: bytes, problem: str) -> ProtocolError:
    said = f"{problem}: {shown(seven_bits(heard))}"
    return ProtocolError(_DOING, said).showing(Symptom.READOUT_DAMAGED)
