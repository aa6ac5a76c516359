"""The faults: what each does to the frame that it meets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from dlms_connector.simulator.datalink.hdlc_frames import fcs
from tests.faults.proxy import Effect, Pipe
from tests.faults.stages import Passing, information_at

#: Less than a timeout, and between two octets.
LATE_S, SLOW_S = 2.0, 0.01
#: The header of the wrapper, and the octets of an APDU that are no value.
_HEADER, _HEAD = 8, 3


def delay(pipe: Pipe, frame: Passing) -> None:
    pipe.to_us(frame.octets, LATE_S)


def drop(pipe: Pipe, frame: Passing) -> None:
    """Nothing is passed on."""


def duplicate(pipe: Pipe, frame: Passing) -> None:
    pipe.to_us(frame.octets)
    pipe.to_us(frame.octets, SLOW_S)


def reorder(pipe: Pipe, frame: Passing) -> None:
    pipe.proxy.behind.append(frame.octets)


def late(pipe: Pipe, frame: Passing) -> None:
    pipe.before.append(frame.octets)


def corrupt(pipe: Pipe, frame: Passing) -> None:
    octets, rng = bytearray(frame.octets), pipe.proxy.rng
    last = len(octets)
    if pipe.proxy.framing == "HDLC":
        at = rng.randrange(1, last - 1)
    else:
        # Nothing checks a value in clear but TCP itself: a proxy is above that.
        sealed = octets[_HEADER] not in (0x61, 0xC4, 0xC7, 0x63, 0x0F)
        at = rng.randrange(last if sealed else min(last, _HEADER + _HEAD))
    octets[at] ^= 1 << rng.randrange(8)
    pipe.to_us(bytes(octets))


def truncate(pipe: Pipe, frame: Passing) -> None:
    pipe.to_us(frame.octets[: pipe.proxy.rng.randrange(1, len(frame.octets))])


def dribble(pipe: Pipe, frame: Passing) -> None:
    for number, octet in enumerate(frame.octets):
        pipe.to_us(bytes((octet,)), SLOW_S * (number + 1))


def merge(pipe: Pipe, frame: Passing) -> None:
    other = pipe.proxy.unasked()
    pipe.to_us(other + frame.octets + other)


def stall(pipe: Pipe, frame: Passing) -> None:
    pipe.to_us(frame.octets[: len(frame.octets) // 2])
    pipe.mute = True


def reset(pipe: Pipe, frame: Passing) -> None:
    pipe.to_us(frame.octets[: len(frame.octets) // 2])
    pipe.reset()


def half_close(pipe: Pipe, frame: Passing) -> None:
    pipe.half_close()


def refuse(pipe: Pipe, frame: Passing) -> None:
    pipe.proxy.refuse()
    pipe.reset()


def silent(pipe: Pipe, frame: Passing) -> None:
    pipe.proxy.mute = True


def echo(pipe: Pipe, frame: Passing) -> None:
    pipe.to_us(frame.octets)
    pipe.to_meter(frame.octets)


def foreign(pipe: Pipe, frame: Passing) -> None:
    pipe.to_us(pipe.proxy.foreign(frame))
    pipe.to_us(frame.octets)


@dataclass(frozen=True)
class Fault:
    """A fault by its name; `on_request` says that it acts on what the connector sends."""

    name: str
    does: str
    effect: Effect
    on_request: bool = False


FAULTS = {
    fault.name: fault
    for fault in (
        Fault("delay", "the answer comes 2 s later, in time", delay),
        Fault("drop", "the answer is lost", drop),
        Fault("lose", "the request is lost", drop, on_request=True),
        Fault("duplicate", "the answer comes twice", duplicate),
        Fault("reorder", "the answer comes behind the next one", reorder),
        Fault("corrupt", "one bit of the answer is changed", corrupt),
        Fault("truncate", "the end of the answer is missing, what follows comes at once", truncate),
        Fault("dribble", "the answer comes octet by octet", dribble),
        Fault("merge", "the answer comes between two notifications, in one piece", merge),
        Fault("stall", "half of the answer comes, then nothing, with the connection open", stall),
        Fault("reset", "half of the answer comes, then RST", reset),
        Fault("half-close", "FIN comes in place of the answer", half_close),
        Fault("refuse", "RST, and then every connection is refused", refuse),
        Fault("silent", "connections are accepted, and nothing is said", silent, on_request=True),
        Fault("echo", "the request comes back before the answer", echo, on_request=True),
        Fault("late", "each answer comes only when the next request was sent", late),
        Fault("foreign", "an answer of another meter comes first, with another value", foreign),
    )
}


def of_another(framing: str) -> Callable[[Passing], bytes]:
    """Return what makes of a frame that of another meter: its address and its value differ."""
    return _of_another_station if framing == "HDLC" else _of_another_port


def _of_another_port(frame: Passing) -> bytes:
    octets = bytearray(frame.octets)
    octets[3] += 1
    octets[-1] ^= 0x55
    return bytes(octets)


def _of_another_station(frame: Passing) -> bytes:
    octets = bytearray(frame.octets)
    at = information_at(frame.octets)
    has_information = at < len(octets)
    control = at - 3 if has_information else len(octets) - 4
    octets[control - 1] ^= 0x20  # the last octet of the sender's address
    octets[control + 1 : control + 3] = fcs(bytes(octets[1 : control + 1]))
    if has_information:
        octets[-4] ^= 0x55
        octets[-3:-1] = fcs(bytes(octets[1:-3]))
    return bytes(octets)
