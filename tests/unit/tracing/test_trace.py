"""A trace in memory: frames in their order, segments, halves, noise, a full disk."""

from __future__ import annotations

import io
import logging
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlms_connector.protocol.datalink import fcs
from dlms_connector.tracing.frames import Splitter, hdlc
from dlms_connector.tracing.trace import Trace
from dlms_connector.tracing.writers import PcapngWriter

LOG = logging.getLogger("test.trace")
SERIAL = bytes.fromhex("E6E600 C001C1 0001 0000600100FF 02 00")
TEXT = b"ELM4711000"


class Written:
    """Keeps what is written."""

    def __init__(self, fails: bool = False) -> None:
        self.frames: list[tuple[bool, bytes, str]] = []
        self.notes: list[str] = []
        self.fails = fails

    def frame(self, at_ms: int, outgoing: bool, kind: Any, octets: bytes, told: str) -> int:
        if self.fails:
            raise OSError(28, "No space left on device")
        self.frames.append((outgoing, octets, told))
        return len(octets)

    def note(self, at_ms: int, text: str) -> None:
        self.notes.append(text)

    def close(self) -> None:
        pass


def i_frame(number: int, info: bytes, *, more: bool = False, ours: bool = False) -> bytes:
    addresses = b"\x03\x21" if ours else b"\x21\x03"
    body = addresses[::-1] if False else addresses
    size = 2 + len(body) + 1 + 2 + len(info) + 2
    head = (0xA000 | (0x800 if more else 0) | size).to_bytes(2, "big") + body
    head += bytes((number << 1 | 0x10,))
    whole = head + fcs(head) + info
    return b"\x7e" + whole + fcs(whole) + b"\x7e"


def trace(written: Written, **options: Any) -> Trace:
    return Trace("m", [written], now_ms=lambda: 1_790_000_000_000, log=LOG, **options)


def test_an_apdu_in_segments_is_redacted_as_a_whole() -> None:
    written = Written()
    made = trace(written)
    made.sent(i_frame(0, SERIAL, ours=True))
    reply = b"\xe6\xe7\x00" + bytes.fromhex("C401C100 090A") + TEXT
    first, second = i_frame(0, reply[:12], more=True), i_frame(1, reply[12:])
    made.received(first[:5])
    made.received(first[5:] + second)
    made.close()
    shown = b"".join(octets for _, octets, _ in written.frames)
    assert len(shown) == len(i_frame(0, SERIAL)) + len(first) + len(second)
    assert b"ELM" not in shown
    assert b"4711000" not in shown
    assert all((fields := hdlc(octets)) and fields.check_ok for _, octets, _ in written.frames)
    assert "GET-response" in written.frames[-1][2]
    assert [outgoing for outgoing, _, _ in written.frames] == [True, False, False]


def test_a_segment_that_comes_twice_is_redacted_twice() -> None:
    written = Written()
    made = trace(written)
    made.sent(i_frame(0, SERIAL, ours=True))
    reply = b"\xe6\xe7\x00" + bytes.fromhex("C401C100 090A") + TEXT
    first, second = i_frame(0, reply[:12], more=True), i_frame(1, reply[12:])
    made.received(first + first + second)
    made.close()
    assert len(written.frames) == 4
    assert written.frames[1][1] == written.frames[2][1]
    assert "repeated" in written.frames[2][2]
    assert not any(b"ELM" in octets or b"4711" in octets for _, octets, _ in written.frames)


def test_what_is_no_whole_frame_shows_its_beginning_only() -> None:
    written = Written()
    made = trace(written)
    made.sent(i_frame(0, SERIAL, ours=True))
    frame = i_frame(0, b"\xe6\xe7\x00" + bytes.fromhex("C401C100 090A") + TEXT)
    made.received(frame[:-6])
    made.received(b"")
    made.sent(i_frame(0, SERIAL, ours=True))
    made.received(frame[:-3] + b"\x00\x00\x7e")
    made.close()
    assert "part of a frame" in written.frames[1][2]
    assert "FCS WRONG" in written.frames[3][2]
    assert not any(b"ELM" in octets for _, octets, _ in written.frames)


def test_damage_that_makes_a_frame_of_parameters_shows_no_secret() -> None:
    """A UA shows its information, but only if its check is right, and never a known secret."""
    for damaged in (True, False):
        written = Written()
        made = trace(written, secrets=[b"secret01"])
        head = b"\xa0\x13\x03\x21\x73"  # 2 + 1 + 1 + 1 + 2 + 10 + 2 octets
        body = head + fcs(head) + b"\x81\x80secret01"
        check = fcs(body)
        made.received(b"\x7e" + body + (check[::-1] if damaged else check) + b"\x7e")
        made.close()
        assert "UA" in written.frames[0][2]
        assert not any(b"secret01" in octets for _, octets, _ in written.frames)


def test_a_disk_that_is_full_ends_the_trace_only(caplog: pytest.LogCaptureFixture) -> None:
    made = trace(Written(fails=True))
    made.sent(i_frame(0, SERIAL, ours=True))
    made.received(b"\x7e")
    made.close()
    assert not made.is_open
    assert "No space left" in caplog.text


def test_its_size_is_bounded() -> None:
    written = Written()
    made = trace(written, most=100)
    for _ in range(50):
        made.sent(i_frame(0, SERIAL, ours=True))
    assert sum(len(octets) for _, octets, _ in written.frames) < 200
    assert "largest size" in written.notes[-1]


@given(st.lists(st.tuples(st.booleans(), st.binary(max_size=60)), max_size=20))
def test_no_octet_is_lost_and_nothing_is_raised(chunks: list[tuple[bool, bytes]]) -> None:
    written = Written()
    made = trace(written, everything=True)
    for outgoing, data in chunks:
        (made.sent if outgoing else made.received)(data)
    assert made.is_open
    made.close()
    for side in (True, False):
        sent = b"".join(data for outgoing, data in chunks if outgoing is side)
        seen = b"".join(octets for outgoing, octets, _ in written.frames if outgoing is side)
        assert seen.replace(b"\x7e", b"") == sent.replace(b"\x7e", b"")


@given(st.binary(max_size=300))
def test_a_splitter_always_comes_to_an_end(data: bytes) -> None:
    splitter = Splitter()
    for octet in data:
        for frame in splitter.feed(bytes((octet,))):
            assert frame.octets
    assert not list(splitter.rest())[1:]


def test_pcapng_is_made_of_blocks_with_checksums() -> None:
    file = io.BytesIO()
    writer = PcapngWriter(file)
    writer.frame(1_790_000_000_123, True, "wrapper", b"\x00\x01\x00\x10\x00\x01\x00\x00", "empty")
    content, kinds, at = file.getvalue(), [], 0
    packet = b""
    while at < len(content):
        kind, size = struct.unpack_from("<II", content, at)
        assert struct.unpack_from("<I", content, at + size - 4) == (size,)
        kinds.append(kind)
        packet = content[at : at + size]
        at += size
    assert kinds == [0x0A0D0D0A, 1, 6]
    high, low, length = struct.unpack_from("<III", packet, 12)
    assert (high << 32 | low) == 1_790_000_000_123_000
    ip = packet[28 : 28 + length]
    assert sum(struct.unpack(">10H", ip[:20])) % 0xFFFF == 0
    assert struct.unpack_from(">HHH", ip, 20) == (49_152, 4059, 16)
    assert b"empty" in packet
