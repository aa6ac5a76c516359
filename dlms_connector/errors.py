"""All errors of the connector, sorted by what to do next.

    DlmsError
    ├── ConfigError          wait until the configuration is corrected
    ├── LinkError            close the link, try again later
    │   ├── ConnectError         the endpoint cannot be reached
    │   │   └── AbsentError          the meter has to dial in: wait until it does
    │   ├── LinkClosedError      the peer closed the connection
    │   ├── LinkTimeoutError     no complete reply in time
    │   │   └── UnreadyError         it says that it is ready, and has no answer
    │   ├── StateBusyError       our own state files do not answer in time
    │   └── ProtocolError        the peer violated the protocol
    │       ├── DroppedError         the meter has no session: the request was not carried out
    │       ├── ExcessError          a reply holds more than its question can need
    │       ├── OutOfStepError       an answer too many: the one before may be to another request
    │       ├── SecurityError        a reply that may be forged or replayed
    │       │   └── RepeatedError        its counter was used before: the true one may come yet
    │       └── CounterError         our invocation counter is too low: open again with a higher one
    ├── RefusedError         wait for a while: meters lock out clients that try often
    │   └── UnkeptError          our disk refuses, not the meter: try again sooner
    ├── CommandError         tell the caller: the call itself cannot be carried out
    ├── ServiceError         the meter does not support this service: ask in another way
    │   └── UnfitError           it answered for several attributes, but not as it should
    ├── ScalerError          do not use this value, keep the rest; the configuration can help
    └── ObjectError          skip this object, keep the rest
        └── TooLargeError        its value is larger than what may be read, or sent

Details are attributes; the message is one sentence. `symptoms` say what the failure looked like,
and `hint` what to try, from the table in `hints`. An error is raised or logged, never both.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from dlms_connector.hints import Symptom, sentence

E = TypeVar("E", bound="DlmsError")


class DlmsError(Exception):
    """Base class of all errors between the gateway and a meter."""

    #: What the failure looked like: rows of the table of hints.
    symptoms: tuple[Symptom, ...] = ()
    #: What the sentences of those rows name.
    facts: Mapping[str, object] = {}

    @property
    def hint(self) -> str:
        """What the reader of the message can try; "" if there is nothing."""
        return sentence(self.symptoms, self.facts)

    def showing(self: E, *symptoms: Symptom, **facts: object) -> E:
        """Return this error with what it looked like, in place of what its type says."""
        self.symptoms, self.facts = symptoms, facts
        return self


class ConfigError(DlmsError):
    """The configuration is wrong: only its author can correct it.

    `problems` are sentences; each begins with the JSON path of the problem.
    """

    symptoms: tuple[Symptom, ...] = (Symptom.CONFIGURATION,)

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class LinkError(DlmsError):
    """The link does not work: close it and try again later."""

    #: What had arrived of a reply or of a value in blocks; "" if nothing, or if it is ciphered.
    arrived = b""


class ConnectError(LinkError):
    """The endpoint could not be reached."""

    symptoms = (Symptom.UNREACHABLE,)

    def __init__(self, endpoint: str, reason: str) -> None:
        super().__init__(f"cannot connect to {endpoint}: {reason}")
        self.endpoint = endpoint
        self.reason = reason


class AbsentError(ConnectError):
    """The meter has to dial in, but has not: only the meter can open the connection.

    `since` is a text with the time when its last call ended, or when we began to wait.
    """

    symptoms = (Symptom.NOT_CALLED_IN,)

    def __init__(self, caller: str, door: str, since: str, has_called: bool) -> None:
        super().__init__(door, f"{caller} does not call")
        ever = "" if has_called else ", when the connector began to wait for it"
        self.args = (f"the meter has not dialled in since {since}{ever} ({caller} at {door})",)
        self.since = since


class LinkClosedError(LinkError):
    """The peer closed the connection."""

    symptoms = (Symptom.HUNG_UP,)

    def __init__(self, received: int = 0) -> None:
        super().__init__(f"the peer closed the connection ({received} bytes of a reply received)")
        self.received = received
        if received:
            self.symptoms = (Symptom.HUNG_UP_WITHIN,)


class LinkTimeoutError(LinkError):
    """No complete reply arrived in time; `stranger` describes another sender's frame, if any.

    `symptom` is what the silence looked like, where more is known than the number of octets.
    """

    symptoms = (Symptom.SILENCE,)
    #: Whether a reply has begun: nothing may be asked on this connection before it ends, because
    #: the answer would complete it.
    begun = False

    def __init__(
        self, tries: int, received: int, stranger: str = "", symptom: Symptom | None = None
    ) -> None:
        times = "once" if tries == 1 else f"{tries} times"
        heard = f"{received} bytes received" + (f", a frame {stranger}" if stranger else "")
        super().__init__(f"no complete reply, asked {times} ({heard})")
        self.tries = tries
        self.received = received
        self.stranger = stranger
        if symptom is not None:
            self.symptoms = (symptom,)
        elif received and type(self) is LinkTimeoutError:
            self.symptoms = (Symptom.SLOW,)


class UnreadyError(LinkTimeoutError):
    """The meter acknowledges the request (RR over HDLC) and has no answer for too long."""

    symptoms = (Symptom.UNREADY,)

    def __init__(self, seconds: float) -> None:
        super().__init__(1, 0)
        self.args = (
            f"the meter has said for {seconds:.0f} s that it is ready (RR), and had no answer",
        )
        self.seconds = seconds


class StateBusyError(LinkError):
    """A state file of ours was not read or written in time; the meter has nothing to do with it.

    With `at_once` nothing is wrong: a number has to be stored before it is used.
    """

    symptoms = (Symptom.STATE_BUSY,)

    def __init__(self, doing: str, problem: str, *, at_once: bool = False) -> None:
        super().__init__(f"{doing}: {problem}")
        self.at_once = at_once


class ProtocolError(LinkError):
    """The peer violated the protocol; the state of the link is unknown."""

    symptoms = (Symptom.MALFORMED,)

    def __init__(self, doing: str, problem: str) -> None:
        super().__init__(f"{doing}: {problem}")
        self.doing = doing
        self.problem = problem

    def while_doing(self, doing: str) -> ProtocolError:
        """Return the same error for an operation that the reader of the message knows."""
        return ProtocolError(doing, self.problem).showing(*self.symptoms, **self.facts)


class ExcessError(ProtocolError):
    """A reply holds more than its question can need: it is refused before it is built."""

    symptoms = (Symptom.EXCESS,)

    def while_doing(self, doing: str) -> ExcessError:
        """Return the same error for an operation that the reader of the message knows."""
        return ExcessError(doing, self.problem)


class DroppedError(ProtocolError):
    """The meter answered that it has no session: it has not processed the request."""

    symptoms = (Symptom.DROPPED,)

    def __init__(self, doing: str) -> None:
        super().__init__(doing, "the meter has dropped the session (DM)")


class OutOfStepError(ProtocolError):
    """An answer too many came: those that were taken may belong to other requests."""

    symptoms = (Symptom.LATE_ANSWER,)

    def __init__(self, doing: str) -> None:
        super().__init__(doing, "one answer too many came, and nothing tells answers apart")


class SecurityError(ProtocolError):
    """A reply that is forged, replayed or less protected than agreed: it is not used."""

    symptoms = (Symptom.KEYS,)
    #: Whether it is counted already.
    counted = False


class RepeatedError(SecurityError):
    """A reply with a counter that was used before: it is played back, or was delivered twice."""


#: The first invocation counters of an association that counts for itself.
_BEGINNINGS = (0, 1)


class CounterError(ProtocolError):
    """The meter requires a higher invocation counter; `expected` is the number it sent, or None.

    The counter has been raised where that was possible: open the association again.
    """

    symptoms = (Symptom.COUNTER_LOW,)

    def __init__(self, doing: str, expected: int | None) -> None:
        wanted = "a higher one" if expected is None else str(expected)
        super().__init__(doing, f"the meter refused our invocation counter and wants {wanted}")
        self.expected = expected
        if expected in _BEGINNINGS:
            self.symptoms = (Symptom.COUNTER_FROM_ONE,)


class RefusedError(DlmsError):
    """The meter refused. Do not retry every second: meters lock out clients that try often."""

    symptoms = (Symptom.REFUSED,)
    #: Whether the meter may have refused only because a session is open from before.
    perhaps_held = False

    def __init__(self, doing: str, diagnostic: str) -> None:
        super().__init__(f"{doing}: refused: {diagnostic}")
        self.doing = doing
        self.diagnostic = diagnostic


class UnkeptError(RefusedError):
    """What has to be on our disk before the meter is asked is not: nothing was sent."""

    symptoms = (Symptom.NOT_KEPT,)


class CommandError(DlmsError):
    """A call or a write that cannot be carried out as requested: tell the caller."""


class ServiceError(DlmsError):
    """The meter answered the whole request with an exception: ask in another way."""

    symptoms = (Symptom.UNSUPPORTED,)

    def __init__(self, doing: str, diagnostic: str) -> None:
        super().__init__(f"{doing}: {diagnostic}")
        self.doing = doing
        self.diagnostic = diagnostic


class UnfitError(ServiceError):
    """The meter answered for several attributes, but not so that it can be used: ask for one."""


#: Data-Access-Result, IEC 62056-5-3 clause 8 (COSEM APDU definitions).
DATA_ACCESS_RESULTS = {
    0: "success",
    1: "hardware-fault",
    2: "temporary-failure",
    3: "read-write-denied",
    4: "object-undefined",
    9: "object-class-inconsistent",
    11: "object-unavailable",
    12: "type-unmatched",
    13: "scope-of-access-violated",
    14: "data-block-unavailable",
    15: "long-get-aborted",
    16: "no-long-get-in-progress",
    17: "long-set-aborted",
    18: "no-long-set-in-progress",
    19: "data-block-number-invalid",
    250: "other-reason",
}


#: The meter is busy, perhaps still with this request: the same request works later.
TEMPORARY_FAILURE = 2

_SYMPTOMS = {
    TEMPORARY_FAILURE: Symptom.TEMPORARY,
    3: Symptom.DENIED,
    4: Symptom.UNDEFINED,
    9: Symptom.OTHER_CLASS,
    11: Symptom.UNAVAILABLE,
    12: Symptom.OTHER_TYPE,
    13: Symptom.DENIED,
}


class ObjectError(DlmsError):
    """The meter works but refuses this object: skip it, keep the rest.

    `code` is the Data-Access-Result (or Action-Result) of the meter.
    """

    symptoms = (Symptom.OBJECT_REFUSED,)

    def __init__(self, doing: str, code: int) -> None:
        super().__init__(f"{doing}: {DATA_ACCESS_RESULTS.get(code, 'unknown result')} ({code})")
        self.doing = doing
        self.code = code
        if type(self) is ObjectError and code in _SYMPTOMS:
            self.symptoms = (_SYMPTOMS[code],)


class ScalerError(DlmsError):
    """The meter gives a value but no scaler for it: the value may be wrong by powers of ten.

    `code` is the Data-Access-Result of the scaler, None if it makes no sense.
    """

    symptoms = (Symptom.NO_SCALER,)

    def __init__(self, problem: str, code: int | None = None) -> None:
        super().__init__(f"{problem}; without a scaler the value may be wrong by powers of ten")
        self.code = code


class TooLargeError(ObjectError):
    """The meter gave the object, but its value is too large to be read or sent; code is 0."""

    symptoms = (Symptom.TOO_LARGE,)

    def __init__(self, doing: str, problem: str) -> None:
        super().__init__(doing, 0)
        self.args = (f"{doing}: {problem}",)
        self.problem = problem
