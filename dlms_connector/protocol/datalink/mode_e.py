"""The sign-on of optical ports: IEC 62056-21 mode E, after which the meter uses HDLC.

We send `/?!` at 300 baud 7E1 (a few meters want another rate). The meter identifies itself
and names its fastest baud rate. We choose binary mode and that rate, and both sides change
to it, 8N1. The meter then confirms at the new rate, but not all meters do. HDLC treats the
confirmation as line noise, so we only keep the line idle meanwhile.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from dlms_connector.errors import LinkError, LinkTimeoutError, ProtocolError
from dlms_connector.hints import Symptom
from dlms_connector.protocol.datalink.overheard import overheard, seven_bits
from dlms_connector.protocol.directive import LineSettings, Pause
from dlms_connector.protocol.octets import is_mostly_text, is_text, shown
from dlms_connector.protocol.talk import DataLink, Talk

#: Clause 6.3.14, table of baud rate identifications of mode C, which mode E shares.
BAUDRATES = {"0": 300, "1": 600, "2": 1200, "3": 2400, "4": 4800, "5": 9600, "6": 19200}

START_BAUDRATE = 300
#: The rate that meters propose most often; assumed for a session that an earlier run left open.
_USUAL_BAUDRATE = 9600
#: Time for the answer to a DISC, which is not read, in seconds.
_FAREWELL_S = 0.3
#: Idle time of the line after the change of rate, in seconds: optical heads need it.
SETTLE_S = 1.0

_BITS_PER_CHARACTER = 10
_REACTION_S = 0.2  # clause 6.3.14 item 7: the least time between a message and its answer
_LONGEST_IDENTIFICATION = 1024
_DOING = "signing on (IEC 62056-21 mode E)"
_BINARY = "2"
#: This much of a readout is printable; of 7 random bits three quarters are.
_SHARE_OF_READOUT = 0.9

# Manufacturer, baud rate, sequences of backslash and mode, name. The echo of our own
# `/?!` has no letters where the manufacturer is and so does not match.
_IDENTIFICATION = re.compile(
    rb"/([A-Za-z]{3})([0-9A-I])((?:\\[!-~])*)([^/!\r\n\x00-\x1f]{0,32})\r\n"
)


#: All up to the end of the identification, and the confirmation of our choice.
_SIGNED_ON = re.compile(rb"(?s)\A.*?" + _IDENTIFICATION.pattern + rb"|\x06[0-9]{3}\r\n")


@dataclass(frozen=True, slots=True)
class Identification:
    """The identification message of a meter."""

    manufacturer: str
    baud_character: str
    modes: str
    name: str

    def __str__(self) -> str:
        modes = "".join(f"\\{mode}" for mode in self.modes)
        return f"/{self.manufacturer}{self.baud_character}{modes}{self.name}"

    @property
    def offers_mode_e(self) -> bool:
        """Whether the message announces binary mode, HDLC."""
        return _BINARY in self.modes

    @property
    def baudrate(self) -> int | None:
        """The rate the meter proposes, in baud; None if it cannot change to any in mode E."""
        return BAUDRATES.get(self.baud_character)

    @classmethod
    def find(cls, received: bytes) -> Identification | None:
        """Return the first identification in what was received, if it is complete."""
        if not (match := _IDENTIFICATION.search(received)):
            return None
        maker, baud, modes, name = (group.decode("latin-1") for group in match.groups())
        return cls(maker, baud, modes.replace("\\", ""), name)


def sign_on(
    device_address: str = "",
    *,
    retries: int = 2,
    start_baudrate: int = START_BAUDRATE,
    max_baudrate: int | None = None,
    settle_s: float = SETTLE_S,
) -> Talk[Identification]:
    """Switch the meter to binary mode at the rate it proposes, or at most at `max_baudrate`.

    The line is idle for `settle_s` seconds after the change of rate.
    Raises LinkTimeoutError on silence, ProtocolError if the meter cannot do mode E.
    """
    yield LineSettings(start_baudrate, 7, "E")
    identification = yield from _identify(device_address, retries)
    character = _choose(identification, max_baudrate)
    choice = f"\x062{character}2\r\n".encode()
    yield Pause(_REACTION_S)
    yield LineSettings(
        BAUDRATES[character],
        send=choice,
        hold_s=len(choice) * _BITS_PER_CHARACTER / start_baudrate,
    )
    yield Pause(settle_s)
    return identification


class ModeE:
    """A data link that begins with a sign-on."""

    def __init__(
        self,
        datalink: DataLink,
        *,
        device_address: str = "",
        retries: int = 2,
        start_baudrate: int = START_BAUDRATE,
        max_baudrate: int | None = None,
        settle_s: float = SETTLE_S,
    ) -> None:
        self.identification: Identification | None = None
        self._datalink = datalink
        self._device_address = device_address
        self._retries = retries
        self._start_baudrate, self._max_baudrate = start_baudrate, max_baudrate
        self._settle_s = settle_s
        self._signed_on = False
        self._heard = bytearray()

    def connect(self) -> Talk[None]:
        """Sign on, then set the data link up.

        A meter that does not answer the first request may still be in the binary mode of an
        interrupted session. Then that session is ended by a DISC before the next request.
        Raises ProtocolError if text comes where HDLC should, or mode E is not offered.
        """
        self._heard.clear()
        try:
            self.identification = yield from self._sign_on(0)
        except LinkTimeoutError as silence:
            if not self._retries or silence.received:
                raise
            yield from self._end_earlier_session()
            self.identification = yield from self._sign_on(self._retries - 1)
        self._signed_on = True
        try:
            yield from overheard(self._datalink.connect(), self._heard)
        except LinkTimeoutError as silence:
            raise not_hdlc(self.identification, bytes(self._heard), silence) from silence

    def exchange(self, apdu: bytes, *, repeatable: bool = True) -> Talk[bytes]:
        """Send an APDU and return the answer."""
        return (yield from self._datalink.exchange(apdu, repeatable=repeatable))

    def receive(self) -> Talk[bytes]:
        """Return the next APDU."""
        return (yield from self._datalink.receive())

    def disconnect(self) -> Talk[bool | None]:
        """End the session; the meter then returns to its first rate by itself.

        Before a sign-on nothing is sent, because the meter could not receive it.
        """
        if not self._signed_on:
            return None
        self._signed_on = False
        return (yield from self._datalink.disconnect())

    def _sign_on(self, retries: int) -> Talk[Identification]:
        signing_on = sign_on(
            self._device_address,
            retries=retries,
            start_baudrate=self._start_baudrate,
            max_baudrate=self._max_baudrate,
            settle_s=self._settle_s,
        )
        return (yield from overheard(signing_on, self._heard))

    def _end_earlier_session(self) -> Talk[None]:
        """Send a DISC at the most likely rate of that session; do not wait for an answer."""
        rate = self._max_baudrate or _USUAL_BAUDRATE
        disconnecting = self._datalink.disconnect()
        disc = next(disconnecting)
        disconnecting.close()
        yield LineSettings(rate)
        sending_s = len(disc) * _BITS_PER_CHARACTER / rate
        yield LineSettings(self._start_baudrate, 7, "E", send=disc, hold_s=sending_s + _FAREWELL_S)


def not_hdlc(identification: Identification, heard: bytes, silence: LinkTimeoutError) -> LinkError:
    """Return the error for a meter that signed on and then answered no HDLC frame."""
    text = _SIGNED_ON.sub(b"", seven_bits(heard)).strip(b"\x00\x02\x03 \r\n")
    readable = is_mostly_text(text, _SHARE_OF_READOUT)
    offers = "" if identification.offers_mode_e else f", which offers no mode E (no \\{_BINARY})"
    named = f"the meter identified itself as {identification}{offers}"
    if readable or offers:
        came = f"{shown(text)} came instead of HDLC" if readable else "no HDLC frame came"
        return ProtocolError(_DOING, f"{named}; then {came}").showing(Symptom.READOUT)
    return silence.showing(Symptom.SIGNED_ON, identification=identification)


def _identify(device_address: str, retries: int) -> Talk[Identification]:
    request = f"/?{device_address}!\r\n".encode("ascii")
    received = bytearray()
    for _ in range(retries + 1):
        data = yield request
        while data:
            # If the line does not remove the parity bit, it arrives as bit 7.
            room = _LONGEST_IDENTIFICATION + 1 - len(received)
            received += seven_bits(data[:room])
            if identification := Identification.find(bytes(received)):
                return identification
            if len(received) > _LONGEST_IDENTIFICATION:
                raise _no_identification(bytes(received))
            data = yield b""
    text = bytes(received).replace(request, b"").strip()
    if is_text(text):
        raise _no_identification(text)
    symptom = Symptom.ECHO if received and not text else None
    raise LinkTimeoutError(retries + 1, len(received), symptom=symptom or _of_noise(text))


def _of_noise(text: bytes) -> Symptom:
    return Symptom.NO_FRAME if text else Symptom.SILENCE


def _no_identification(text: bytes) -> ProtocolError:
    problem = f"no identification in {len(text)} octets: {shown(text)}"
    return ProtocolError(_DOING, problem).showing(Symptom.NO_IDENTIFICATION)


def _choose(identification: Identification, fastest: int | None) -> str:
    """Return the character of the rate to change to."""
    if (proposed := identification.baudrate) is None:
        raise ProtocolError(
            _DOING,
            f"the meter {identification.manufacturer} proposes the rate "
            f"{identification.baud_character!r}, which is none of mode E: {identification}",
        )
    return max(_not_above(min(proposed, fastest or proposed)), default="0")


def _not_above(baudrate: int) -> Iterator[str]:
    return (character for character, rate in BAUDRATES.items() if rate <= baudrate)
