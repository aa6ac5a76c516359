"""Each row of the table of hints is met in a conversation: with a simulated meter, or octets."""

from __future__ import annotations

import asyncio
import errno
import json
import socket
from collections.abc import Callable
from functools import reduce
from operator import xor
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from dlms_connector.cli import main
from dlms_connector.config import Device
from dlms_connector.cosem import AttributeRef
from dlms_connector.errors import DlmsError, LinkClosedError, LinkTimeoutError
from dlms_connector.hints import HINTS, SECTIONS, Symptom, looks_like, sentence
from dlms_connector.hints.reference import filled
from dlms_connector.link import make_link
from dlms_connector.link.unreachable import denied, unopened, unreachable
from dlms_connector.meter.counter_reading import read_counter
from dlms_connector.meter.exchange import converse
from dlms_connector.obis import Obis
from dlms_connector.protocol.client import get_one, make_client
from dlms_connector.protocol.datalink.hdlc_frame import FRMR, SNRM, UA, Frame
from dlms_connector.protocol.readout import read_out
from dlms_connector.protocol.security import CountUp
from dlms_connector.protocol.talk import Talk
from dlms_connector.simulator import Meter, MeterOptions
from dlms_connector.simulator.serving.connection import Connection
from tests.matrix.oddities import CIPHERED_DLMS, CIPHERED_OPTIONS
from tests.support.meeting import meeting, on_a_line
from tests.support.places import DOCS
from tests.support.talks import Peer, Script, drive

VOLTAGE = AttributeRef(3, Obis.parse("1-0:32.7.0"), 2)
CLIENT, SERVER = b"\x21", b"\x02\x03"
#: Rows of our own side, and of pushes: met in the tests of the rooms that name them.
ELSEWHERE = {
    *SECTIONS["On the gateway's side"],
    *SECTIONS["Pushes"],
    Symptom.NOT_CALLED_IN,
    Symptom.NOT_IN_READOUT,
    Symptom.NO_SUCH_READOUT_VALUE,
    Symptom.NO_SCALER,
    Symptom.TOO_LARGE,
    Symptom.NO_PROOF,
    Symptom.OTHER_TITLE,
    Symptom.NO_TITLE,
    Symptom.COUNTER_UNPROVEN,
    Symptom.COUNTER_UNLIKE,
    Symptom.COUNTER_ASKED_ALWAYS,
    Symptom.COUNTER_SHARED,
    Symptom.COUNTER_LEAPS,
    Symptom.LATE_ANSWER,
    Symptom.EXCESS,
    Symptom.OTHER_TYPE,
    Symptom.CANNOT_LISTEN,
    Symptom.ANSWERS_DISC,
    # What the types of errors say where nothing more is known.
    Symptom.REFUSED,
    Symptom.KEYS,
    Symptom.UNREACHABLE,
}


def device(framing: str, dlms: dict[str, Any], workarounds: dict[str, Any] | None) -> Device:
    return Device.model_validate(
        {
            "deviceName": "M1",
            "connection": {"host": "127.0.0.1", "retries": 1},
            "dlms": {"interfaceType": framing, **dlms},
            "workarounds": workarounds or {},
        }
    )


def talk_of(configured: Device, ref: AttributeRef, times: int) -> Talk[None]:
    """Connect, and read an object so often."""
    client = make_client(configured, CountUp(5000))
    yield from client.connect()
    for _ in range(times):
        yield from get_one(client, ref)


def met(talk: Talk[Any], peer: Peer) -> DlmsError:
    with pytest.raises(DlmsError) as caught:
        drive(talk, peer, most_silences=1000)
    return caught.value


def simulated(
    *faults: str,
    framing: str = "HDLC",
    dlms: dict[str, Any] | None = None,
    options: dict[str, Any] | None = None,
    workarounds: dict[str, Any] | None = None,
    ref: AttributeRef = VOLTAGE,
    alter: Callable[[bytes, bytes], bytes] = lambda sent, reply: reply,
    times: int = 1,
) -> DlmsError:
    """Read an object of a simulated meter; return what came of it.

    `alter` gets what was sent and what the meter answers, and returns what arrives.
    """
    meter = Meter(MeterOptions(framing=framing, faults=faults, now=lambda: 1.79e9, **options or {}))  # type: ignore[arg-type]
    line = Connection([meter])

    def peer(sent: bytes) -> bytes:
        reply = alter(sent, line.feed(sent))
        if line.closing and not reply:
            raise LinkClosedError
        return reply

    return met(talk_of(device(framing, dlms or {}, workarounds), ref, times), peer)


def answered(*answers: bytes, framing: str = "HDLC", **dlms: Any) -> DlmsError:
    """Return what comes of a peer that gives these answers in turn, and is silent then."""
    return met(talk_of(device(framing, dlms, None), VOLTAGE, 1), Script(answers))


def always(answer: Callable[[bytes], bytes], framing: str = "HDLC", **dlms: Any) -> DlmsError:
    return met(talk_of(device(framing, dlms, None), VOLTAGE, 1), answer)


def ciphered(*faults: str, times: int = 1, **more: Any) -> DlmsError:
    dlms = {**CIPHERED_DLMS, **more.pop("dlms", {})}
    options = {**CIPHERED_OPTIONS, **more.pop("options", {})}
    return simulated(*faults, framing="WRAPPER", dlms=dlms, options=options, times=times, **more)


def refused(diagnostic: int, **more: Any) -> DlmsError:
    return simulated(f"refuse-association={diagnostic}", **more)


def parity(text: bytes) -> bytes:
    return bytes(octet | (octet.bit_count() & 1) << 7 for octet in text)


def frame(control: int, information: bytes = b"", **more: bytes) -> bytes:
    destination, source = more.get("destination", CLIENT), more.get("source", SERVER)
    return Frame(destination, source, control, information).encode()


def block(lines: str) -> bytes:
    content = lines.encode() + b"\x03"
    return b"\x02" + content + bytes((reduce(xor, content, 0),))


def never_connected(error: OSError) -> DlmsError:
    return unreachable("10.0.0.1:4059", str(error), error)


def counter_refused() -> DlmsError:
    """A meter whose public client may not read the counter."""
    meter = Meter(MeterOptions(framing="WRAPPER", now=lambda: 1.79e9))
    client = make_client(device("WRAPPER", {}, None))
    return met(read_counter(client, Obis.parse("0-0:43.1.9")), Connection([meter]).feed)


def asked(ref: str, class_id: int = 3, attribute: int = 2) -> AttributeRef:
    return AttributeRef(class_id, Obis.parse(ref), attribute)


def with_code(code: int) -> DlmsError:
    """A meter that refuses the object with this Data-Access-Result."""

    def alter(sent: bytes, reply: bytes) -> bytes:
        if sent[8:9] != b"\xc0":
            return reply
        apdu = b"\xc4\x01" + sent[10:11] + b"\x01" + bytes((code,))
        return reply[:6] + len(apdu).to_bytes(2, "big") + apdu

    return simulated(framing="WRAPPER", alter=alter)


def rejecting(context: int, *, provider: bool = False) -> bytes:
    """Return an AARE over the wrapper that rejects, and names this application context."""
    source = 0xA2 if provider else 0xA1
    aare = bytes.fromhex(f"6117A10906076085740508010{context}A203020101A305{source:02X}03020101")
    return bytes.fromhex("0001 0001 0010") + len(aare).to_bytes(2, "big") + aare


def wanting(number: int) -> Callable[[bytes, bytes], bytes]:
    """A meter that refuses the invocation counter of services, and wants this one."""
    apdu = b"\xd8\x01\x06" + number.to_bytes(4, "big")

    def alter(sent: bytes, reply: bytes) -> bytes:
        service = sent[8:9] == b"\xc8"
        return reply[:6] + len(apdu).to_bytes(2, "big") + apdu if service else reply

    return alter


def replaying() -> Callable[[bytes, bytes], bytes]:
    """Somebody who gives the first answer again, later."""
    kept: list[bytes] = []

    def alter(sent: bytes, reply: bytes) -> bytes:
        if sent[8:9] != b"\xc8":
            return reply
        kept.append(reply)
        return kept[0] if len(kept) > 2 else reply

    return alter


def cut(sent: bytes, reply: bytes) -> bytes:
    return reply[:-4]


def seven(sent: bytes, reply: bytes) -> bytes:
    return bytes(octet & 0x7F for octet in reply)


def damaged(sent: bytes, reply: bytes) -> bytes:
    """An adapter that sends XON and XOFF within frames."""
    return reply[:4] + b"\x11" + reply[4:]


def deaf_after(count: int) -> Callable[[bytes, bytes], bytes]:
    """A line that brings so many answers and no more."""
    left = [count]

    def alter(sent: bytes, reply: bytes) -> bytes:
        left[0] -= bool(reply)
        return reply if left[0] >= 0 else b""

    return alter


WRAPPED = bytes.fromhex("0001 0001 0010 0003 0E0100")
IDENTIFIED = b"/ISk5\\2MT174-0001\r\n"
READOUT = block("F.F(00000000)\r\n1.8.0(0000012*kWh)\r\n!\r\n")
NOISE = bytes.fromhex("F00F33E1C2804455")

CONVERSATIONS: dict[Symptom, Callable[[], DlmsError]] = {
    Symptom.NAME_UNKNOWN: lambda: never_connected(socket.gaierror(-2, "Name not known")),
    Symptom.NO_ROUTE: lambda: never_connected(OSError(errno.EHOSTUNREACH, "No route to host")),
    Symptom.NO_CONNECT_ANSWER: lambda: never_connected(OSError(errno.ETIMEDOUT, "timed out")),
    Symptom.PORT_DENIED: lambda: unopened("/dev/ttyS9", "", PermissionError(errno.EACCES, "no")),
    Symptom.PORT_BUSY: lambda: unopened("/dev/ttyS9", "", OSError(errno.EBUSY, "busy")),
    Symptom.NOT_ALLOWED: lambda: denied("198.51.100.1:4059", "it is not in DLMS_ALLOW_HOSTS"),
    Symptom.HUNG_UP: lambda: simulated("close-on-wrong-sap", dlms={"clientAddress": 33}),
    Symptom.SILENCE: answered,
    Symptom.SILENCE_TO_ASSOCIATION: lambda: simulated(alter=deaf_after(1)),
    Symptom.UNREADY: lambda: simulated("silent-refusals", "refuse-association=1"),
    Symptom.SILENCE_IN_SESSION: lambda: simulated(alter=deaf_after(3), times=2),
    Symptom.SLOW: lambda: simulated(alter=deaf_after(4), ref=asked("0-0:40.0.0", 15)),
    Symptom.CUT_SHORT: lambda: simulated(alter=cut),
    Symptom.ECHO: lambda: always(bytes),
    Symptom.OTHER_SENDER: lambda: answered(*[frame(UA, source=b"\x02\x23")] * 2),
    Symptom.OTHERS_SESSION: lambda: simulated("others-session=18"),
    Symptom.LOOKS_LIKE_WRAPPER: lambda: answered(WRAPPED, WRAPPED),
    Symptom.LOOKS_LIKE_HDLC: lambda: answered(*[frame(UA)] * 2, framing="WRAPPER"),
    Symptom.IDENTIFICATION: lambda: answered(IDENTIFIED, IDENTIFIED),
    Symptom.TEXT: lambda: answered(b"NO CARRIER\r\n"),
    Symptom.SEVEN_BITS: lambda: simulated(alter=seven),
    Symptom.PARITY: lambda: answered(parity(IDENTIFIED), parity(IDENTIFIED)),
    Symptom.DAMAGED: lambda: simulated(alter=damaged),
    Symptom.NO_FRAME: lambda: answered(NOISE, NOISE),
    Symptom.SWAPPED_HEADER: lambda: simulated(
        framing="WRAPPER", alter=lambda sent, reply: bytes.fromhex("0100 0100 1000 0300 0E0100")
    ),
    Symptom.FRAMES_REJECTED: lambda: simulated("wants-ui"),
    Symptom.COMMAND_REJECTED: lambda: answered(frame(FRMR, bytes((SNRM, 0, 1)))),
    Symptom.FRAME_TOO_LONG: lambda: answered(frame(UA), frame(FRMR, bytes((0x10, 0, 4)))),
    Symptom.MISNUMBERED: lambda: simulated("wrong-sequence"),
    Symptom.NOISE: lambda: always(lambda sent: frame(UA, source=b"\x02\x05") * 5000),
    Symptom.HELD: lambda: answered(*[frame(0x1F)] * 2),
    Symptom.DROPPED: lambda: simulated("dm-at=2"),
    Symptom.READOUT: lambda: answered(IDENTIFIED, READOUT, framing="HDLC_WITH_MODE_E"),
    Symptom.SIGNED_ON: lambda: answered(IDENTIFIED, framing="HDLC_WITH_MODE_E"),
    Symptom.NO_IDENTIFICATION: lambda: answered(b"NO CARRIER\r\n", framing="HDLC_WITH_MODE_E"),
    Symptom.READOUT_DAMAGED: lambda: met(
        read_out(), Script([b"/ABC5NAME\r\n", READOUT[:-1] + b"?", b"", b""])
    ),
    Symptom.OTHER_CONTEXT: lambda: refused(2),
    Symptom.OTHER_NAMES: lambda: simulated("other-context", framing="WRAPPER"),
    Symptom.WANTS_CIPHERING: lambda: answered(rejecting(3), framing="WRAPPER"),
    Symptom.WANTS_CLEAR: lambda: answered(
        rejecting(1), framing="WRAPPER", **{**CIPHERED_DLMS, "clientAddress": 16}
    ),
    Symptom.UNKNOWN_CLIENT: lambda: refused(3),
    Symptom.OTHER_MECHANISM: lambda: refused(11),
    Symptom.MECHANISM_REQUIRED: lambda: refused(12),
    Symptom.AUTHENTICATION_FAILED: lambda: simulated(
        dlms={"authentication": "LOW", "password": "wrong"}, options={"authentication": "LOW"}
    ),
    Symptom.AUTHENTICATION_REQUIRED: lambda: simulated(options={"authentication": "LOW"}),
    Symptom.AUTHENTICATION_FAILED_CIPHERED: lambda: ciphered("refuse-association=13"),
    Symptom.NO_REASON: lambda: refused(1),
    Symptom.NO_REASON_CIPHERED: lambda: ciphered("refuse-association=1"),
    Symptom.NO_ASSOCIATION: lambda: answered(rejecting(1, provider=True), framing="WRAPPER"),
    Symptom.WRONG_TAG: lambda: ciphered("bad-tag"),
    Symptom.IN_CLEAR: lambda: ciphered("plain-replies"),
    Symptom.WEAKER: lambda: ciphered("authenticated-replies"),
    Symptom.CIPHERED: lambda: simulated(
        framing="WRAPPER",
        alter=lambda sent, reply: (
            reply[:6] + bytes.fromhex("0008 CC06 300000000100") if sent[8:9] == b"\xc0" else reply
        ),
    ),
    Symptom.COUNTER_SAME: lambda: ciphered("replayed-counter", times=3),
    Symptom.COUNTER_BACK: lambda: ciphered(alter=replaying(), times=3),
    Symptom.COUNTER_LOW: lambda: ciphered(alter=wanting(100_000)),
    Symptom.COUNTER_FROM_ONE: lambda: ciphered(alter=wanting(1)),
    Symptom.OTHER_SUITE: lambda: ciphered(
        alter=lambda sent, reply: (
            reply[:10] + b"\x31" + reply[11:] if reply[8:9] == b"\xcc" else reply
        )
    ),
    Symptom.NO_COUNTER: counter_refused,
    Symptom.MALFORMED: lambda: simulated("truncate=1"),
    Symptom.TEXT_FOR_APDU: lambda: simulated("text-replies", framing="WRAPPER"),
    Symptom.UNSUPPORTED: lambda: simulated("exception"),
    Symptom.OBJECT_REFUSED: lambda: with_code(250),
    Symptom.DENIED: lambda: with_code(3),
    Symptom.UNDEFINED: lambda: simulated(ref=asked("1-0:99.99.99")),
    Symptom.OTHER_CLASS: lambda: with_code(9),
    Symptom.UNAVAILABLE: lambda: with_code(11),
    Symptom.TEMPORARY: lambda: with_code(2),
}
SOCKETS = {Symptom.NOBODY_LISTENS, Symptom.HUNG_UP_WITHIN, Symptom.PORT_MISSING}


async def opened(connection: dict[str, Any]) -> DlmsError:
    link = make_link(
        Device.model_validate({"deviceName": "M", "connection": connection}).connection
    )
    with pytest.raises(DlmsError) as caught:
        await link.open()
    return caught.value


async def test_a_port_where_nobody_listens() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    error = await opened({"type": "tcp", "host": "127.0.0.1", "port": port})
    assert error.symptoms == (Symptom.NOBODY_LISTENS,)


async def test_a_serial_port_that_is_not_there() -> None:
    error = await opened({"type": "serial", "port": "/dev/ttyNotHere0"})
    assert error.symptoms == (Symptom.PORT_MISSING,)


async def test_a_peer_that_hangs_up_within_a_reply() -> None:
    async def half(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\x7e")
        writer.write(frame(UA)[:5])
        writer.close()

    async with await asyncio.start_server(half, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        configured = device("HDLC", {}, None)
        connection = configured.connection.model_copy(update={"port": port})
        link = make_link(connection)
        await link.open()
        with pytest.raises(LinkClosedError) as caught:
            await converse(talk_of(configured, VOLTAGE, 1), link, timeout_s=10)
        await link.close()
    assert caught.value.symptoms == (Symptom.HUNG_UP_WITHIN,)


@pytest.mark.parametrize("symptom", CONVERSATIONS, ids=lambda symptom: symptom.name.lower())
def test_a_conversation_shows_the_symptom(symptom: Symptom) -> None:
    error = CONVERSATIONS[symptom]()
    assert symptom in error.symptoms, f"{error.symptoms}: {error}"
    assert error.hint
    assert "…" not in error.hint.replace("windowReceive …", "")


def test_the_documentation_holds_the_table() -> None:
    text = (DOCS / "troubleshooting.md").read_text("utf-8")
    assert filled(text) == text, "run: make docs"
    assert "<!-- hints: table -->" in text


@pytest.mark.parametrize("octets", ["", "7e", "7ea0", "00", "0001", "ff" * 64, "7e" * 70, "2f"])
@pytest.mark.parametrize("framing", ["HDLC", "WRAPPER"])
def test_any_octets_look_like_something(octets: str, framing: Any) -> None:
    assert looks_like(bytes.fromhex(octets), framing) in HINTS


def test_a_fact_that_is_not_known_becomes_dots() -> None:
    assert sentence([Symptom.OTHER_SUITE]).startswith("set dlms.securitySuite to …")


def test_every_row_is_met_somewhere() -> None:
    assert set(HINTS) == set(Symptom)
    assert set(HINTS) - set(CONVERSATIONS) - ELSEWHERE - SOCKETS == set()


# Cases that were met in the field, where a hint once misled.


def test_octets_that_came_are_no_wrong_address() -> None:
    """A meter whose answer was cut off by the time of the whole talk was advised of addresses."""
    for error in (CONVERSATIONS[Symptom.SLOW](), LinkTimeoutError(3, 7240)):
        assert error.symptoms == (Symptom.SLOW,)
        assert "address" not in error.hint


@pytest.mark.parametrize("symptom", [Symptom.SILENCE_TO_ASSOCIATION, Symptom.SILENCE_IN_SESSION])
def test_who_has_answered_is_not_asked_for_its_address(symptom: Symptom) -> None:
    hint = CONVERSATIONS[symptom]().hint
    assert "logicalAddress" not in hint
    assert "right" in hint


def test_what_the_line_changes_to_is_no_identification() -> None:
    hint = CONVERSATIONS[Symptom.SIGNED_ON]().hint
    assert "itself as /" in hint
    assert hint.count("/") == 1
    assert "8N1" in hint


def test_an_answer_that_came_whole_is_no_noise() -> None:
    assert "noise" not in CONVERSATIONS[Symptom.MALFORMED]().hint


def test_the_address_in_the_answer_is_told() -> None:
    assert "set logicalAddress 1 and physicalAddress 17 under" in (
        CONVERSATIONS[Symptom.OTHER_SENDER]().hint
    )


async def test_commands_and_log_say_the_same(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """`check --connect`, `read`, the log and the state on the platform: one sentence."""
    meter = MeterOptions(faults=["wants-ui"], now=lambda: 1.79e9)
    remedy = HINTS[Symptom.FRAMES_REJECTED].remedy
    async with on_a_line("tcp", [meter]) as (line, meters):
        item = {"key": "voltage", "obis": "1-0:32.7.0"}
        configured = {"deviceName": "M1", "connection": line, "timeseries": [item]}
        async with meeting({"devices": [configured]}, tmp_path, meters) as met_there:
            error = await met_there.state("offline")
            assert error is not None
            assert error.hint == remedy
        assert remedy in caplog.text
        file = tmp_path / "dlms.json"
        file.write_text(json.dumps({"devices": [configured]}))
        for command in (["check", str(file), "--connect"], ["read", str(file)]):
            result = await asyncio.to_thread(CliRunner().invoke, main, command)
            assert remedy in result.output
