"""The faults of a simulated meter, by name; they can be switched at any time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import inf
from typing import Any


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault: its parameter's name ("" for a plain switch) and default, and what it does."""

    name: str
    parameter: str
    default: float
    effect: str


_SWITCH = ""

#: All faults; `dlms-connector simulate --faults` prints this table.
FAULTS = {
    row.name: row
    for row in (
        # the line
        Fault("silence", _SWITCH, 1, "answers nothing at all"),
        Fault("delay", "seconds", 1, "waits before every answer"),
        Fault("jitter", "seconds", 1, "waits a random time up to this before every answer"),
        Fault("drop-after", "bytes", 100, "closes the connection after so many bytes sent on it"),
        Fault("one-byte-fragments", _SWITCH, 1, "sends each byte apart"),
        Fault("garbage", "bytes", 20, "sends noise before every frame"),
        Fault("garbage-behind", "bytes", 20, "sends noise behind every frame"),
        Fault("greeting", _SWITCH, 1, "sends a text before its first answer on a connection"),
        Fault("cut-short", "every", 2, "leaves the last two octets off every n-th answer"),
        Fault("text-replies", _SWITCH, 1, "answers every service by plain text"),
        Fault("flags", "count", 10_000, "sends HDLC flags before every frame"),
        Fault("echo", _SWITCH, 1, "sends back what it heard before it answers"),
        Fault("single-client", _SWITCH, 1, "closes a second connection at once"),
        Fault("quiet-after-unclean", "seconds", 12, "silent so long after an end without goodbye"),
        Fault("inactivity", "seconds", 180, "forgets the session after so long without a request"),
        Fault(
            "silent-once-dropped", _SWITCH, 1, "answers nothing where it has forgotten the session"
        ),
        Fault("deaf-after-connect", "seconds", 0.2, "hears nothing so long after a connection"),
        Fault("deaf-after-answer", "seconds", 0.05, "hears nothing so long after its last answer"),
        Fault("deaf-to-early-disc", "seconds", 0.05, "hears no DISC so soon after its last answer"),
        Fault("push-while-asked", _SWITCH, 1, "sends a DataNotification before every answer"),
        # wrapper
        Fault("swapped-header", _SWITCH, 1, "takes and sends headers with the low octets first"),
        # mode E
        Fault("readout", _SWITCH, 1, "offers no mode E, and sends an ASCII readout"),
        # HDLC
        Fault("silent-to-snrm", _SWITCH, 1, "does not answer SNRM"),
        Fault("close-on-bare-snrm", _SWITCH, 1, "hangs up at an SNRM without parameters"),
        Fault("silent-to-bare-snrm", _SWITCH, 1, "does not answer an SNRM without parameters"),
        Fault("deaf-after-dm", _SWITCH, 1, "hears nothing on a connection where DISC met DM"),
        Fault("deaf-after-disc", _SWITCH, 1, "answers no DISC, and nothing behind it"),
        Fault("close-on-disc", _SWITCH, 1, "closes the connection at a DISC without a session"),
        Fault(
            "keeps-link",
            _SWITCH,
            1,
            "does not answer SNRM until the last session was ended by DISC, on whatever connection",
        ),
        Fault("deaf-to-first-frame", _SWITCH, 1, "hears nothing of the first on a connection"),
        Fault("wants-disc-first", _SWITCH, 1, "answers SNRM only behind a DISC on its connection"),
        Fault("longest-frame", "octets", 64, "loses frames with more information, in and out"),
        Fault("bad-fcs", "every", 1, "damages the check sequence of every n-th frame"),
        Fault("wrong-sequence", "every", 1, "counts N(S) wrongly in every n-th information frame"),
        Fault("lose", "every", 2, "loses every n-th answer on the line, so that it is asked again"),
        Fault("dm-at", "request", 1, "answers the n-th information frame from now with DM"),
        Fault("frmr-at", "request", 1, "answers the n-th information frame from now with FRMR"),
        Fault("wants-ui", _SWITCH, 1, "rejects I frames by FRMR, and takes APDUs in UI frames"),
        Fault("never-counts", _SWITCH, 1, "sends every information frame with the numbers 0"),
        Fault("foreign-frames", _SWITCH, 1, "precedes answers by a frame for another client"),
        Fault("others-session", "client", 18, "answers only with frames for this other client"),
        Fault("fixed-sizes", _SWITCH, 1, "names its own frame sizes, whatever was proposed"),
        Fault("llc-twice", _SWITCH, 1, "repeats the LLC octets before its APDUs"),
        # association
        Fault("refuse-association", "diagnostic", 1, "refuses with this ACSE diagnostic"),
        Fault("silent-refusals", _SWITCH, 1, "is silent where it would refuse an association"),
        Fault("frmr-refusals", _SWITCH, 1, "rejects the frame where it would refuse an AARQ"),
        Fault(
            "own-context", _SWITCH, 1, "accepts any application context, and answers with its own"
        ),
        Fault("aare-length", "octets", 1, "announces an AARE that is so much longer"),
        Fault("aare-surplus", "octets", 2, "sends so many octets behind the end of its AARE"),
        Fault("short-initiate", "octets", 2, "cuts so many octets off its InitiateResponse"),
        Fault("other-context", _SWITCH, 1, "names the other application context in its AARE"),
        Fault("silent-to-wrong-sap", _SWITCH, 1, "does not answer clients that it does not know"),
        Fault("close-on-wrong-sap", _SWITCH, 1, "hangs up on clients that it does not know"),
        Fault(
            "keeps-association",
            _SWITCH,
            1,
            "refuses an association until the last was released or disconnected",
        ),
        Fault("wants-release", _SWITCH, 1, "refuses an association until RLRQ ended the last one"),
        Fault("silent-to-release", _SWITCH, 1, "does not answer RLRQ"),
        Fault("exception-to-release", _SWITCH, 1, "answers RLRQ with an exception"),
        Fault("close-after-release", _SWITCH, 1, "closes the connection after RLRE"),
        Fault(
            "counter-from-one", _SWITCH, 1, "wants the invocation counter to start at 1 each time"
        ),
        Fault(
            "own-counter-restarts", _SWITCH, 1, "begins its own invocation counter anew each time"
        ),
        Fault("challenge-size", "octets", 32, "takes challenges of this length only"),
        Fault("wants-signed-proof", _SWITCH, 1, "wants HLS pass 3 signed"),
        Fault("wants-signature-outside", _SWITCH, 1, "takes no signature within the ciphering"),
        # services
        Fault("exception", _SWITCH, 1, "answers every service with an exception"),
        Fault("refuse-list", _SWITCH, 1, "answers GET-with-list with an exception, though offered"),
        Fault("silent-to-list", _SWITCH, 1, "answers nothing to GET-with-list, though offered"),
        Fault(
            "exception-to-attribute", "index", 4, "answers GET of such attributes with an exception"
        ),
        Fault("malformed-list", _SWITCH, 1, "cuts list answers short in the middle of a value"),
        Fault("short-list", "missing", 1, "leaves so many items off list answers"),
        Fault(
            "malformed-object", "C", 52, "cuts the values of objects with this value group C short"
        ),
        Fault("silent-object", "C", 52, "answers no request for objects with this value group C"),
        Fault("killing-object", "C", 52, "hangs up when asked for objects with this value group C"),
        Fault("long-list", "entries", 5, "announces so many more objects than it lists"),
        Fault("whole-list-only", _SWITCH, 1, "gives its object list only as a whole"),
        Fault("crowded-list", "more", 1000, "adds so many items to list answers"),
        Fault("swollen", "octets", 500, "gives arrays for values: 61 values for each octet"),
        Fault("empty-blocks", _SWITCH, 1, "sends endless empty blocks that are not the last"),
        Fault("double-wrapped-clock", _SWITCH, 1, "wraps the clock of a list in two octet strings"),
        Fault("stale-replies", _SWITCH, 1, "sends the last answer again before each answer"),
        Fault("wrong-invoke-id", _SWITCH, 1, "answers with an invoke-id that was not asked"),
        Fault("one-invoke-id", "invoke-id", 1, "answers everything with this invoke-id"),
        Fault("longest-reply", "octets", 128, "answers with an exception where more would come"),
        Fault("no-deviation", _SWITCH, 1, "refuses dates in requests that name a deviation"),
        # values and times
        Fault("impossible-deviation", _SWITCH, 1, "writes the deviation FFFF for 'not given'"),
        Fault("unspecified-deviation", _SWITCH, 1, "writes the deviation 8000"),
        Fault("wrong-weekday", _SWITCH, 1, "writes weekday 0 and hundredths 200 in its dates"),
        Fault("undefined-status", _SWITCH, 1, "sets bits of the clock status that mean nothing"),
        Fault(
            "summer-time", _SWITCH, 1, "goes an hour forward from March to October, as in Europe"
        ),
        Fault("local-range", _SWITCH, 1, "compares a range by local time, without the deviation"),
        Fault("few-rows", "rows", 10, "gives at most so many rows of a range, the oldest"),
        Fault("no-capture-period", _SWITCH, 1, "tells a capture period of 0 for its profiles"),
        Fault("wrong-order", _SWITCH, 1, "gives the newest row first, but does not say so"),
        Fault("no-scaler", "result", 11, "refuses every scaler and unit with this result"),
        Fault("null-scaler", _SWITCH, 1, "gives null for every scaler and unit"),
        Fault("long-scaler", _SWITCH, 1, "writes scalers as long, and an element behind the unit"),
        Fault("truncate", "octets", 1, "cuts so many octets off every service answer"),
        Fault("no-range", _SWITCH, 1, "refuses selective access by range"),
        Fault("no-entry", _SWITCH, 1, "refuses selective access by entry"),
        Fault(
            "compressed-rows", _SWITCH, 1, "writes null for a row's time that follows the period"
        ),
        Fault("delta-rows", _SWITCH, 1, "writes numbers as the difference from the row before"),
        Fault("lost-rows", "every", 7, "has lost every n-th row of its load profile"),
        Fault("whole-objects", _SWITCH, 1, "captures whole objects: attribute index 0"),
        Fault("index-255", _SWITCH, 1, "tells attribute index 255 for what it captures"),
        # security
        Fault("wrong-server-challenge", _SWITCH, 1, "proves its identity wrongly in HLS pass 4"),
        Fault("reflected-proof", _SWITCH, 1, "answers in HLS pass 4 what it heard in pass 3"),
        Fault("authenticated-proof", _SWITCH, 1, "does not encrypt its proof in HLS pass 4"),
        Fault("authenticated-replies", _SWITCH, 1, "encrypts no reply, authenticates only"),
        Fault("bad-tag", _SWITCH, 1, "sends ciphered answers with a wrong tag"),
        Fault("bad-signature", _SWITCH, 1, "signs answers wrongly"),
        Fault("plain-replies", _SWITCH, 1, "answers ciphered requests in the clear"),
        Fault("replayed-counter", _SWITCH, 1, "sends ciphered answers with a stuck counter"),
    )
}


class Faults:
    """The active faults of one meter. Fast when there are none."""

    def __init__(self, faults: Mapping[str, float] | Iterable[str] = ()) -> None:
        self._active: dict[str, float] = {}
        self._counts: dict[str, int] = {}
        if isinstance(faults, Mapping):
            for name, value in faults.items():
                self.set(name, value)
        else:
            for text in faults:
                self.set(*parse_fault(text))

    def set(self, name: str, value: float | None = None) -> None:
        """Switch a fault on; raises ValueError for a name that is not in the table."""
        if name not in FAULTS:
            raise ValueError(f"{name!r} is no fault; there are: {', '.join(FAULTS)}")
        self._active[name] = FAULTS[name].default if value is None else value
        self._counts.pop(name, None)

    def clear(self, name: str | None = None) -> None:
        """Switch one fault off, or all faults."""
        for key in [name] if name else list(self._active):
            self._active.pop(key, None)
            self._counts.pop(key, None)

    @property
    def any(self) -> bool:
        """Whether any fault is active."""
        return bool(self._active)

    def __contains__(self, name: str) -> bool:
        return name in self._active

    def __getitem__(self, name: str) -> float:
        return self._active.get(name, 0)

    def every(self, name: str) -> bool:
        """Count a call; return true on every n-th one, where n is the value of the fault."""
        if name not in self._active:
            return False
        self._counts[name] = self._counts.get(name, 0) + 1
        return self._counts[name] % max(1, int(self._active[name])) == 0

    def once(self, name: str) -> bool:
        """Count a call; on the n-th one, end the fault and return true."""
        if not self.every(name):
            return False
        self.clear(name)
        return True


def parse_fault(text: str) -> tuple[str, float | None]:
    """Read `name` or `name=value`; raises ValueError with a message for the user."""
    name, _, value = text.partition("=")
    if name not in FAULTS:
        raise ValueError(f"{name!r} is no fault; `simulate --faults` lists them")
    try:
        number = float(value) if value else None
    except ValueError:
        raise ValueError(f"{text!r}: {value!r} is not a number") from None
    if number is not None and not 0 <= number < inf:
        raise ValueError(f"{text!r}: {value} is not a number from 0 up")
    return name, number


def fault_table() -> list[dict[str, Any]]:
    """Return the table's rows for printing."""
    return [
        {"name": f"{row.name}={row.default:g}" if row.parameter else row.name, "effect": row.effect}
        for row in FAULTS.values()
    ]
