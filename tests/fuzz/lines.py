"""Targets on the line: framers, data links, mode E, readouts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import lru_cache, reduce
from operator import xor
from typing import Any

from dlms_connector.errors import DlmsError
from dlms_connector.obis import Obis
from dlms_connector.protocol.datalink import arrivals, hdlc_usual, make_arrivals, wrapper
from dlms_connector.protocol.datalink.hdlc import Hdlc
from dlms_connector.protocol.datalink.hdlc_connectionless import ConnectionlessHdlc
from dlms_connector.protocol.datalink.hdlc_frame import (
    LONGEST_INFORMATION,
    Frame,
    FrameReader,
    information_control,
)
from dlms_connector.protocol.datalink.hdlc_parameters import HdlcParameters
from dlms_connector.protocol.datalink.hdlc_transfer import LLC_RESPONSE
from dlms_connector.protocol.datalink.mode_e import Identification, ModeE, sign_on
from dlms_connector.protocol.datalink.wrapper import Wrapper
from dlms_connector.protocol.datalink.wrapper_reader import Expected, WrapperReader
from dlms_connector.protocol.readout import data_sets, find, read_out
from dlms_connector.protocol.readout.reading_out import crc16
from dlms_connector.protocol.talk import Talk
from tests.fuzz import seeds
from tests.fuzz.target import Input, Target, WrongError, joined
from tests.support.hdlc_meter import CLIENT, SERVER, HdlcMeter
from tests.support.pushes import MAKERS, wrapped
from tests.support.talks import Script, Way, drive

_WAYS = (Way("whole"), Way("dribbled", at_once=1), Way("portions", at_once=7))
#: Octets that a reader of frames may keep: the longest frame, and what came with it.
_MOST_KEPT = 2 * 2048
_HDLC_WORDS = (b"\x7e", b"\x7e\xa0", b"\x7e\xa8", b"\xe6\xe7\x00", b"\xe6\xe6\x00", b"\x10\x73")


def _portions(octets: bytes, size: int) -> Iterator[bytes]:
    return (octets[at : at + size] for at in range(0, len(octets), size))


# Frames of HDLC


def _frames(portions: Iterator[bytes]) -> list[Frame]:
    reader, found = FrameReader(), []
    for portion in portions:
        reader.feed(portion)
        while (frame := reader.next()) is not None:
            found.append(frame)
        if len(reader._buffer) > _MOST_KEPT:
            raise WrongError(f"{len(reader._buffer)} octets are kept")
    return found


def hdlc_frames(octets: bytes) -> None:
    """The same frames come in whatever portions, and each of them is there octet for octet."""
    size, stream = 1 + (octets[0] if octets else 0), octets[1:]
    whole = _frames(iter([stream]))
    if _frames(_portions(stream, size)) != whole:
        raise WrongError("the frames depend on the portions in which they come")
    at = 0
    for frame in whole:
        at = stream.find(frame.encode(), at)
        if at < 0:
            raise WrongError(f"{frame} is not there")
    for frame in whole:
        HdlcParameters.decode(frame.information)


def hdlc_usual_way(octets: bytes) -> None:
    """What is taken as usual is what the parser takes, and the other way round."""
    source = Input(octets)
    control = information_control(source.octet() & 7, source.octet() & 7, poll=True)
    data = source.rest()
    _compare_usual(data, CLIENT, SERVER, control)


def _compare_usual(data: bytes, destination: bytes, source: bytes, control: int) -> None:
    taken = hdlc_usual.apdu_of(data, destination, source, control)
    frames = _frames(iter([data]))
    expected = None
    if len(frames) == 1 and frames[0].encode() == data:
        (frame,) = frames
        fits = (frame.destination, frame.source, frame.control) == (destination, source, control)
        if fits and not frame.segmented and frame.information.startswith(LLC_RESPONSE):
            expected = frame.information[len(LLC_RESPONSE) :]
    # A frame with more octets than a meter may send is left to the parser, which bounds it.
    if taken != expected and len(data) <= LONGEST_INFORMATION:
        raise WrongError(f"{taken!r} was taken, {expected!r} is there")


def hdlc_damage(octets: bytes) -> None:
    """A frame with up to three wrong bits, or a burst of 16, gives its true content or none."""
    source = Input(octets)
    kind, places = source.octet(), [source.number() for _ in range(3)]
    pattern = source.number() | 1
    information = LLC_RESPONSE + source.rest()[:LONGEST_INFORMATION]
    true = Frame(CLIENT, SERVER, 0x30, information)
    line = true.encode()
    number = int.from_bytes(line, "big")
    size = 8 * len(line)
    if kind & 1:
        number ^= pattern << places[0] % (size - 15)
    else:
        for place in places[: 1 + kind // 2 % 3]:
            number ^= 1 << place % size
    damaged = number.to_bytes(len(line), "big")
    for frame in _frames(iter([damaged])):
        if frame != true and (frame.destination, frame.source) == (CLIENT, SERVER):
            raise WrongError(f"{frame} came of {true}")
    taken = hdlc_usual.apdu_of(damaged, CLIENT, SERVER, 0x30)
    if taken is not None and taken != information[len(LLC_RESPONSE) :]:
        raise WrongError(f"{taken.hex()} came of {information.hex()}")


def _framed(part: bytes) -> bytes:
    """Return a frame with right checks; the first octet tells if it is segmented, then control."""
    head, information = part[:2].ljust(2, b"\0"), part[2 : 2 + LONGEST_INFORMATION]
    return Frame(CLIENT, SERVER, head[1], information, bool(head[0] & 1)).encode()


# Data links


def hdlc_link(octets: bytes) -> None:
    """A conversation over HDLC with whatever comes: a result or an error of ours."""
    source = Input(octets)
    how = source.octet()
    way = _WAYS[how % len(_WAYS)]
    parts = source.parts()
    peer = Script(map(_framed, parts) if how & 128 else parts)
    options: dict[str, Any] = {
        "retries": how >> 2 & 1,
        "proposal": HdlcParameters(512, 512, 7, 7) if how & 8 else None,
        "skip_snrm": bool(how & 16),
    }
    if how & 32:
        hdlc: Hdlc = ConnectionlessHdlc(CLIENT, SERVER, repeats=how >> 6 & 1, **options)
    else:
        hdlc = Hdlc(CLIENT, SERVER, counted=not how & 64, **options)
    _converse(hdlc, peer, way)


def _converse(link: Any, peer: Script, way: Way) -> None:
    talks: Sequence[Callable[[], Talk[Any]]] = (
        link.connect,
        lambda: link.exchange(b"\xc0\x01\xc1" + bytes(10)),
        lambda: link.exchange(bytes(300), repeatable=False),
        link.receive,
        link.disconnect,
    )
    for talk in talks:
        with suppress(DlmsError):
            drive(talk(), peer, way, most_silences=2000)


def wrapper_frames(octets: bytes) -> None:
    """Frames are found with and without known addresses, in bounded room."""
    source = Input(octets)
    how = source.octet()
    expected = Expected(1, 16, "little" if how & 1 else "big") if how & 2 else None
    reader = WrapperReader(expected, "little" if how & 1 else "big")
    size, stream = 1 + source.octet(), source.rest()
    if expected and (apdu := reader.whole(stream)) is not None:
        reader.feed(stream)
        if reader.next() != (1, 16, apdu):
            raise WrongError("the way for whole frames reads another APDU")
        reader = WrapperReader(expected, expected.order)
    with suppress(DlmsError):
        for portion in _portions(stream, size):
            reader.feed(portion)
            while reader.next() is not None:
                pass
            reader.noise, reader.beginning, reader.begun  # noqa: B018 (they must not raise)
    with suppress(DlmsError):
        reader.forget() if how & 4 else reader.reset()


def wrapper_link(octets: bytes) -> None:
    """A conversation over the wrapper with whatever comes."""
    source = Input(octets)
    how = source.octet()
    link = Wrapper(
        16,
        1,
        retries=how >> 2 & 1,
        datagrams=bool(how & 8),
        sends="little" if how & 16 else "big",
        expects="little" if how & 16 else "big",
        unmarked=bool(how & 32),
    )
    _converse(link, Script(source.parts()), _WAYS[how % len(_WAYS)])


def mode_e(octets: bytes) -> None:
    """A sign-on, and HDLC behind it."""
    source = Input(octets)
    how = source.octet()
    way, parts = _WAYS[how % len(_WAYS)], source.parts()
    with suppress(DlmsError):
        found = drive(sign_on("12345678", retries=1), Script(parts), way)
        if not isinstance(found, Identification):
            raise WrongError(f"{found!r} is no identification")
    link = ModeE(Hdlc(CLIENT, SERVER, retries=1), max_baudrate=9600 if how & 4 else None)
    _converse(link, Script(parts), way)


def readout(octets: bytes) -> None:
    """A block of text, and the data sets in it."""
    source = Input(octets)
    how = source.octet()
    with suppress(DlmsError):
        text = drive(read_out(retries=1), Script(source.parts()), _WAYS[how % 3])
        sets = list(data_sets(text))
        for one in sets:
            if (named := one.object) is not None:
                find(sets, named)
        find(sets, Obis.parse("1-0:1.8.0"))
    list(data_sets(octets.decode("latin-1")))


def readout_damage(octets: bytes) -> None:
    """A readout with one wrong octet gives some of what it says, or nothing."""
    source = Input(octets)
    kind, place, change = source.octet(), source.number(), 1 + source.octet() % 255
    text = bytes(32 + octet % 95 for octet in source.rest()).replace(b"!", b"")
    said = b"1-0:1.8.0(" + text + b")\r\n1-0:2.8.0(7*kWh)\r\n!"
    if kind & 1:
        first, block = b"/KFM5KAIFA-METER\r\n\r\n", said
        block += b"%04X\r\n" % crc16(first + block)
    else:
        first, block = b"/ISk5MT174-0001\r\n", said + b"\r\n\x03"
        block = b"\x02" + block + bytes((reduce(xor, block),))
    damaged = bytearray(block)
    # A mark of beginning or end that is lost is no wrong octet: what is between is another text.
    damaged[1 + place % (len(said) - 3)] ^= change
    with suppress(DlmsError):
        parts = [first + damaged] if kind & 1 else [first, bytes(damaged)]
        found = drive(read_out(retries=0), Script(parts))
        # An octet that became the mark of the end may cut it where its check happens to be right.
        if not {*data_sets(found)} <= {*data_sets(said.decode("latin-1"))}:
            raise WrongError(f"{found!r} came of {block!r}")


# What comes unasked


def framings(octets: bytes) -> None:
    """Whole APDUs out of streams of what meters push, in bounded room."""
    source = Input(octets)
    kind = source.octet()
    framing: Any = ("HDLC", "WRAPPER", "MBUS")[kind % 3]
    reader = make_arrivals(framing)
    size = 1 + source.octet()
    framed = kind & 128 and framing == "HDLC"
    stream = b"".join(map(_framed, source.parts())) if framed else source.rest()
    with suppress(DlmsError):
        for portion in _portions(stream, size):
            for arrival in reader.feed(portion):
                if not arrival.apdu:
                    raise WrongError("an empty APDU")
            if reader.held > arrivals._MOST_HELD:
                raise WrongError(f"{reader.held} octets are held")
            reader.begun  # noqa: B018 (it must not raise)
    reader.reset()
    if reader.begun or reader.held:
        raise WrongError("something is left after a reset")


# Seeds


@lru_cache(1)
def _hdlc_conversation() -> list[bytes]:
    meter = HdlcMeter(lambda apdu: apdu, ua=HdlcParameters(40, 40, 3, 3).encode(), size=40)
    answers: list[bytes] = []

    def peer(sent: bytes) -> bytes:
        answers.append(meter(sent))
        return answers[-1]

    hdlc = Hdlc(CLIENT, SERVER)
    drive(hdlc.connect(), peer)
    drive(hdlc.exchange(b"\xc0\x01\xc1" + bytes(10)), peer)
    drive(hdlc.exchange(bytes(300)), peer)
    drive(hdlc.disconnect(), peer)
    return answers


def _unframed(octets: bytes) -> bytes:
    """Return what `_framed` makes the first of these frames of."""
    frame = _frames(iter([octets]))[0]
    return bytes((frame.segmented, frame.control)) + frame.information


def _of_hdlc_links() -> Iterator[bytes]:
    for how in (0, 1, 2, 4, 8, 16, 32, 64):
        yield bytes((how,)) + joined(_hdlc_conversation())
    yield b"\0" + joined(seeds.frames_of_transcripts()[:8])
    for how in (0x80, 0x81, 0x88, 0xA0, 0xC0):
        yield bytes((how,)) + joined(map(_unframed, _hdlc_conversation()))


def _of_usual() -> Iterator[bytes]:
    for number in range(3):
        control = information_control(number, number + 1, poll=True)
        for answer in seeds.recorded_answers()[:3]:
            frame = Frame(CLIENT, SERVER, control, LLC_RESPONSE + answer)
            yield bytes((number, number + 1)) + frame.encode()


def _of_damage() -> Iterator[bytes]:
    for kind in range(6):
        for answer in seeds.recorded_answers()[:4]:
            yield bytes((kind, 0, 9, 0, 77, 1, 2, 0xA5, 0x5B)) + answer


def _of_wrappers() -> Iterator[bytes]:
    frames = [wrapper.encode(1, 16, answer) for answer in seeds.recorded_answers()[:6]]
    for how in range(8):
        order: Any = "little" if how & 1 else "big"
        yield bytes((how, 255)) + wrapper.encode(1, 16, seeds.recorded_answers()[0], order)
    yield bytes((2, 6)) + b"noise" + b"".join(frames)
    yield bytes((0, 6)) + frames[0][:-3] + b"".join(frames[1:])


def _of_wrapper_links() -> Iterator[bytes]:
    frames = [wrapper.encode(1, 16, answer) for answer in seeds.recorded_answers()[:5]]
    for how in (0, 1, 2, 4, 8, 32, 40):
        yield bytes((how,)) + joined(frames)


def _of_mode_e() -> Iterator[bytes]:
    for text in (
        b"/ISk5\\2MT174\r\n",
        b"/LGZ4\\2ZMD120\r\n",
        b"/ABC9 old\r\n",
        b"\xaf\xc9\xd3\xeb",
    ):
        yield b"\0" + joined([text, b"\x06252\r\n", *_hdlc_conversation()])


def _of_readouts() -> Iterator[bytes]:
    body = b"0.0.0(12345678)\r\n1.8.0(0001240.1*kWh)\r\nC.1.0(77)(88*V)\r\nF.F(00)\r\n!\r\n"
    block = b"\x02" + body + b"\x03"
    check = 0
    for octet in block[1:]:
        check ^= octet
    yield b"\0" + joined([b"/ISk5MT174-0001\r\n", block + bytes((check,))])
    yield b"\1" + joined([b"/ABCB old\r\n", block + bytes((check,))])
    yield b"\2" + joined([b"/KFM5KAIFA-METER\r\n\r\n1-3:0.2.8(42)\r\n1-0:1.8.1(001*kWh)\r\n!\r\n"])


def _of_damaged_readouts() -> Iterator[bytes]:
    for kind in range(2):
        yield bytes((kind, 0, 12, 0)) + b"0001240.1*kWh"
        yield bytes((kind, 0, 40, 0x7F)) + b"1"


def _of_framings() -> Iterator[bytes]:
    for push in MAKERS:
        kind = ("HDLC", "WRAPPER", "MBUS").index(push.framing)
        yield bytes((kind, 255)) + push.line[:700]
    whole = b"\xe6\xe7\0\x0f" + bytes(9)
    yield b"\x81\xff" + joined([b"\0\x13" + whole, b"\1\x13" + whole[:5], b"\0\x13" + whole[5:]])
    yield bytes((1, 3)) + wrapped(b"\x0f" + bytes(9)) + wrapped(b"\xdb\x08" + bytes(20))


TARGETS = (
    Target(
        "hdlc",
        "HDLC frames in a stream",
        hdlc_frames,
        lambda: (b"\x05" + frame for frame in seeds.frames_of_transcripts()),
        _HDLC_WORDS,
    ),
    Target("hdlc-usual", "HDLC, the short way", hdlc_usual_way, _of_usual, _HDLC_WORDS),
    Target("hdlc-damage", "HDLC, damaged frames", hdlc_damage, _of_damage),
    Target("hdlc-link", "HDLC, a conversation", hdlc_link, _of_hdlc_links, _HDLC_WORDS, short=640),
    Target(
        "wrapper",
        "wrapper frames in a stream",
        wrapper_frames,
        _of_wrappers,
        (b"\0\1\0\1\0\x10",),
        short=4000,
    ),
    Target(
        "wrapper-link",
        "wrapper, a conversation",
        wrapper_link,
        _of_wrapper_links,
        (b"\0\1\0\1\0\x10",),
        short=1600,
    ),
    Target(
        "mode-e",
        "mode E, and HDLC behind it",
        mode_e,
        _of_mode_e,
        (b"/ISk5\\2", b"\r\n", b"\x06"),
        short=1600,
    ),
    Target(
        "readout",
        "readout and its data sets",
        readout,
        _of_readouts,
        (b"(", b")", b"*kWh", b"\r\n", b"!\r\n"),
        longest=4096,
        short=3200,
    ),
    Target("readout-damage", "readouts with a wrong octet", readout_damage, _of_damaged_readouts),
    Target(
        "framings", "frames of pushes: HDLC, wrapper, M-Bus", framings, _of_framings, _HDLC_WORDS
    ),
)
