"""One connection to an endpoint with one meter, or with several meters on a line."""

from __future__ import annotations

import random
from collections.abc import Sequence

from dlms_connector.simulator.datalink import Readout, SignOn, hdlc, hdlc_frames, wrapper
from dlms_connector.simulator.encoding.acse import AARQ
from dlms_connector.simulator.faults import Faults
from dlms_connector.simulator.meter import Meter
from dlms_connector.simulator.services import Replay, Session
from dlms_connector.simulator.serving.notification import frame_notification

_MODE_E, _READOUT = "HDLC_WITH_MODE_E", "IEC_62056_21"
#: An answer that another client waits for.
_OTHERS_REPLY = bytes.fromhex("C401C1001208FE")
#: What some modems say of themselves, with octets that a header may begin with.
_GREETING = b"TEST1024000000001,\x04\x20\x00\x00"


class _Line:
    """The state of one meter at one connection."""

    def __init__(self, meter: Meter) -> None:
        self.meter = meter
        recording = meter.options.recording
        self.session = Session(meter) if recording is None else Replay(recording)
        self.last_request = meter.monotonic()
        self.stale = b""
        self.deaf = self.disconnected = self.reached = False
        options = meter.options
        self.station = hdlc.Station(
            hdlc.Sizes(options.max_info, options.max_info, options.window, options.window),
            meter.faults,
            self.session.answer,
            self.session.end,
            options.skip_snrm,
        )

    def wakes(self) -> bool:
        """Note a request; return whether the meter answers at all."""
        now, faults = self.meter.monotonic(), self.meter.faults
        idle_for, self.last_request = now - self.last_request, now
        if "inactivity" in faults and idle_for > faults["inactivity"]:
            self.station.connected = False
            self.session.end()
        return "silence" not in faults and now >= self.meter.quiet_until

    @property
    def open(self) -> bool:
        """Whether an association or a data link is open."""
        return self.session.associated or self.station.connected


class Connection:
    """Takes bytes and returns bytes; uses no socket, and only the clocks of the meters.

    `closing` means that the meter closes the connection after the bytes are sent. `delay_s`
    is the delay of the last answer in seconds.
    """

    def __init__(self, meters: Sequence[Meter]) -> None:
        self._lines = [_Line(meter) for meter in meters]
        self._faults: Faults = meters[0].faults
        framing = meters[0].options.framing
        self._is_hdlc = framing != "WRAPPER"
        address, reads_out = b"%08d" % meters[0].seed, "readout" in self._faults
        self._sign_on = SignOn(address, reads_out=reads_out) if framing == _MODE_E else None
        self._readout = Readout(meters[0]) if framing == _READOUT else None
        self._framer = hdlc_frames.Framer()
        self._swapped = "swapped-header" in self._faults
        self._unwrapper = wrapper.Unwrapper(swapped=self._swapped)
        self._greets = True
        self._sent = 0
        self._opened_at, self._answered_at = meters[0].monotonic(), -1e9
        self.delay_s = 0.0
        self.closing = False
        self._number = 0
        for meter in meters:
            meter.connections += 1
            meter.seen["connection"] += 1
            if "single-client" in meter.faults and meter.connections > 1:
                self.closing = True
        self._number = meters[0].seen["connection"]

    @property
    def fragments(self) -> bool:
        """Whether each byte is sent separately."""
        return "one-byte-fragments" in self._faults

    def feed(self, data: bytes) -> bytes:
        """Take bytes that arrived and return the bytes to send."""
        if self.closing:
            return b""
        if self._deaf():
            return b""
        self._note_speaker(self._lines[0].meter)
        self.delay_s = 0.0
        out = data if "echo" in self._faults else b""
        if self._sign_on is not None and not self._sign_on.done:
            out += self._sign_on.feed(data) if self._lines[0].wakes() else b""
        elif self._readout is not None:
            out += self._readout.feed(data) if self._lines[0].wakes() else b""
        elif self._is_hdlc:
            for frame in self._framer.feed(data):
                out += self._hdlc(frame)
        else:
            for packet in self._unwrapper.feed(data):
                out += self._wrapper(packet)
        if out:
            self._answered_at = self._lines[0].meter.monotonic()
        return self._cut(out)

    def _note_speaker(self, meter: Meter) -> None:
        """Count where two clients talk to one meter: one goes on after another has begun."""
        if self._number < meter.newest_speaker:
            meter.seen["two-clients"] += 1
        meter.newest_speaker = max(meter.newest_speaker, self._number)

    def _deaf(self) -> bool:
        now, faults = self._lines[0].meter.monotonic(), self._faults
        return (
            now - self._opened_at < faults["deaf-after-connect"]
            or now - self._answered_at < faults["deaf-after-answer"]
        )

    def close(self) -> None:
        """Note that the connection is closed; a meter may stay silent after an unclean end."""
        for line in self._lines:
            meter = line.meter
            meter.connections -= 1
            if line.open and "quiet-after-unclean" in meter.faults:
                meter.quiet_until = meter.monotonic() + meter.faults["quiet-after-unclean"]
            if "keeps-association" not in meter.faults:
                line.session.end()

    def _hdlc(self, frame: hdlc_frames.Frame) -> bytes:
        out = b""
        for line in self._lines:
            options = line.meter.options
            if hdlc_frames.is_broadcast(frame.destination):
                if frame.control & ~hdlc.POLL == hdlc.DISC:
                    line.meter.association_held = False
                    line.station.disconnect()
            elif hdlc_frames.address_matches(
                frame.destination, options.logical_address, options.physical_address
            ):
                out += self._station(line, frame)
        return out

    def _station(self, line: _Line, frame: hdlc_frames.Frame) -> bytes:
        meter = line.meter
        if any(other.open for other in self._lines if other is not line):
            meter.seen["over-another"] += 1
        control = frame.control & ~hdlc.POLL
        resting = meter.monotonic() - self._answered_at < meter.faults["deaf-to-early-disc"]
        if (control == hdlc.DISC and resting) or (
            control == hdlc.SNRM and "silent-to-snrm" in meter.faults
        ):
            return b""
        if control in (hdlc.SNRM, hdlc.DISC):
            meter.seen["snrm" if control == hdlc.SNRM else "disc"] += 1
        if control == hdlc.DISC:
            meter.association_held = False
        if not line.wakes() or self._shuns(line, frame):
            return b""
        opens = control in (hdlc.SNRM, hdlc.DISC) or line.station.connected
        if not opens and "silent-once-dropped" in meter.faults:
            return b""
        unknown = meter.role_of(frame.source[0] >> 1) is None
        if unknown and "silent-to-wrong-sap" in meter.faults:
            return b""
        reply = line.station.take(frame)
        meter.link_held = line.station.connected or (meter.link_held and control != hdlc.DISC)
        if self._sign_on is not None and not line.station.connected:
            self._sign_on.restart()
        return self._answered(line, reply)

    def _shuns(self, line: _Line, frame: hdlc_frames.Frame) -> bool:
        """Apply the faults of opening and ending a link; return whether no answer is sent."""
        faults, control = line.meter.faults, frame.control & ~hdlc.POLL
        held = "keeps-link" in faults and line.meter.link_held
        if "deaf-to-first-frame" in faults and not line.reached:
            line.reached = True
            return True
        if line.deaf:
            return True
        if control == hdlc.SNRM and not frame.information:
            self.closing |= "close-on-bare-snrm" in faults
            if self.closing or "silent-to-bare-snrm" in faults:
                return True
        if control == hdlc.SNRM:
            return held or ("wants-disc-first" in faults and not line.disconnected)
        if control != hdlc.DISC:
            return False
        line.disconnected = True
        if held:
            line.station.resume(frame.source)
        knows_none = not line.station.connected
        line.deaf = "deaf-after-disc" in faults or (knows_none and "deaf-after-dm" in faults)
        self.closing |= knows_none and "close-on-disc" in faults
        return self.closing or "deaf-after-disc" in faults

    def _wrapper(self, packet: wrapper.Packet) -> bytes:
        out = b""
        for line in self._lines:
            if packet.destination == line.meter.options.logical_address and line.wakes():
                opens = packet.apdu[:1] == bytes((AARQ,)) or line.session.associated
                if not opens and "silent-once-dropped" in line.meter.faults:
                    continue
                reply = line.session.answer(packet.apdu, packet.source)
                client = int(line.meter.faults["others-session"]) or packet.source
                if client != packet.source:
                    reply = _OTHERS_REPLY
                if reply:
                    reply = wrapper.make_packet(
                        packet.destination, client, reply, swapped=self._swapped
                    )
                out += self._answered(line, reply or b"")
        return out

    def _answered(self, line: _Line, reply: bytes) -> bytes:
        """Apply the faults of the line to an answer."""
        faults = line.meter.faults
        self.closing |= line.session.closing
        if not reply or faults.every("lose"):
            return b""
        self.delay_s = max(self.delay_s, faults["delay"] + random.random() * faults["jitter"])  # noqa: S311
        if "push-while-asked" in faults:
            reply = frame_notification(line.meter) + reply
        fresh = reply
        if "stale-replies" in faults:
            reply = line.stale + reply
            line.stale = fresh
        if "garbage" in faults:
            noise = random.Random(len(reply))  # noqa: S311 (noise that repeats)
            reply = bytes(noise.choices(range(0x80, 0xA0), k=int(faults["garbage"]))) + reply
        if faults.every("cut-short"):
            reply = reply[:-2]
        if "garbage-behind" in faults:
            reply += bytes(random.Random(len(reply)).randbytes(int(faults["garbage-behind"])))  # noqa: S311
        if "greeting" in faults and self._greets:
            reply = _GREETING + reply
        self._greets = False
        if "flags" in faults and self._is_hdlc:
            reply = bytes((hdlc_frames.FLAG,)) * int(faults["flags"]) + reply
        return reply

    def _cut(self, out: bytes) -> bytes:
        if "drop-after" in self._faults:
            room = int(self._faults["drop-after"]) - self._sent
            if len(out) >= room:
                out, self.closing = out[: max(0, room)], True
        self._sent += len(out)
        return out
