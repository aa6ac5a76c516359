"""What goes wrong with meters, by the names of the simulator's faults, and what comes of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dlms_connector.errors import (
    DlmsError,
    LinkClosedError,
    LinkTimeoutError,
    ProtocolError,
    RefusedError,
    SecurityError,
)
from dlms_connector.simulator.options import EXAMPLE_AUTHENTICATION_KEY, EXAMPLE_BLOCK_CIPHER_KEY
from dlms_connector.simulator.security.example_keys import (
    client_key,
    meter_key,
    private_octets,
    public_octets,
)

HDLC = ("HDLC",)
BOTH = ("HDLC", "WRAPPER")
ALL = ("HDLC", "WRAPPER", "udp", "SN")

#: A meter that wants everything ciphered, and the device that knows how.
CIPHERED_OPTIONS = {
    "client_address": 1,
    "authentication": "HIGH_GMAC",
    "security": "AUTHENTICATION_ENCRYPTION",
}
CIPHERED_DLMS = {
    "clientAddress": 1,
    "authentication": "HIGH_GMAC",
    "security": "AUTHENTICATION_ENCRYPTION",
    "systemTitle": "4142430000000001",
    "authenticationKey": f"hex:{EXAMPLE_AUTHENTICATION_KEY.hex()}",
    "blockCipherKey": f"hex:{EXAMPLE_BLOCK_CIPHER_KEY.hex()}",
}
SIGNED_OPTIONS = {**CIPHERED_OPTIONS, "security_suite": 1, "signed_requests": True}
SIGNED_DLMS = {
    **CIPHERED_DLMS,
    "securitySuite": 1,
    "signingKey": f"hex:{private_octets(client_key(1)).hex()}",
    "serverSigningKey": public_octets(meter_key(1)).hex(),
}
_PASSED_ON = {"keepOpen": False}


@dataclass(frozen=True, kw_only=True)
class Oddity:
    """A fault, the meter and device it is tried on, and the outcome.

    Without an `error` values arrive, all of them and exact, in each of two polls; the device
    stays online. With one, the device's first state is `state` and the error's sentence, with
    its hint, says `says`.
    """

    fault: str
    outcome: str
    framings: Sequence[str] = BOTH
    options: Mapping[str, Any] = field(default_factory=dict)
    connection: Mapping[str, Any] = field(default_factory=dict)
    dlms: Mapping[str, Any] = field(default_factory=dict)
    workarounds: Mapping[str, Any] = field(default_factory=dict)
    error: type[DlmsError] | None = None
    state: str = "backoff"
    says: str = ""

    @property
    def name(self) -> str:
        """The fault without its value."""
        return self.fault.partition("=")[0]


_IMPATIENT = {"timeoutMs": 80, "retries": 1}

ODDITIES = (
    # lists and blocks
    Oddity(fault="malformed-list", outcome="each object is asked for by itself"),
    Oddity(fault="short-list", outcome="each object is asked for by itself"),
    Oddity(fault="silent-to-list", outcome="each object is asked for by itself",
           framings=("WRAPPER",), connection={"timeoutMs": 300, "retries": 1}),
    Oddity(fault="exception-to-attribute=4", outcome="none: values are in others"),
    Oddity(fault="crowded-list", outcome="each object is asked for by itself"),
    Oddity(fault="refuse-list", outcome="each object is asked for by itself"),
    Oddity(
        fault="empty-blocks",
        outcome="the transfer ends at once, with a sentence",
        workarounds={"singleReads": True},
        framings=ALL,
        error=ProtocolError,
        says="block",
    ),
    Oddity(fault="double-wrapped-clock", outcome="the clock is read as if it were wrapped once"),
    # values and times
    Oddity(fault="impossible-deviation", outcome="it counts as not given: `dlms.timeZone` applies",
           dlms={"timeZone": "+00:00"}),
    Oddity(fault="unspecified-deviation", outcome="`dlms.timeZone` applies",
           dlms={"timeZone": "+00:00"}),
    Oddity(fault="wrong-weekday", outcome="the instant stands, and is suspect"),
    Oddity(fault="undefined-status", outcome="the instant stands, and is suspect"),
    Oddity(fault="long-scaler", outcome="none"),
    # an AARE that is not quite right
    Oddity(fault="aare-length=1", outcome="none: it is read by its fields", framings=ALL),
    Oddity(fault="aare-surplus=2", outcome="none: it is read by its fields", framings=ALL),
    Oddity(fault="short-initiate=2", outcome="none: what is there is enough", framings=ALL),
    Oddity(fault="other-context", outcome="the key to change is told", framings=ALL,
           error=ProtocolError, says="set dlms.referencing"),
    # goodbyes
    Oddity(fault="exception-to-release", outcome="none: the goodbye is no matter",
           framings=ALL, connection=_PASSED_ON),
    Oddity(fault="close-after-release", outcome="none: the next poll connects anew",
           framings=("HDLC", "WRAPPER", "SN"), connection=_PASSED_ON,
           workarounds={"release": "always"}),
    Oddity(fault="keeps-link", outcome="none: what was opened is ended by DISC", framings=HDLC,
           connection=_PASSED_ON),
    Oddity(fault="deaf-to-first-frame", outcome="none: SNRM is sent again", framings=HDLC,
           connection={**_PASSED_ON, "timeoutMs": 100}),
    Oddity(fault="deaf-after-dm", outcome="none: no DISC comes first unless a session broke",
           framings=HDLC, connection=_PASSED_ON),
    Oddity(fault="deaf-after-disc", outcome="none: what follows comes over a new connection",
           framings=HDLC, connection={**_PASSED_ON, "timeoutMs": 100}),
    Oddity(fault="close-on-disc", outcome="none: what follows comes over a new connection",
           framings=HDLC, connection=_PASSED_ON),
    Oddity(fault="keeps-association", outcome="none: what was opened is released",
           connection=_PASSED_ON),
    # who may talk
    Oddity(fault="silent-to-wrong-sap", outcome="silence is told, with what to check",
           dlms={"clientAddress": 33}, connection=_IMPATIENT, error=LinkTimeoutError,
           says="clientAddress"),
    Oddity(fault="close-on-wrong-sap", outcome="the closed connection is told, with what to check",
           dlms={"clientAddress": 33}, connection=_IMPATIENT, error=LinkClosedError,
           says="client address is unknown"),
    Oddity(fault="refuse-association=1", outcome="the refusal is told; no storm of new attempts",
           framings=ALL, state="refused", error=RefusedError, says="no-reason-given"),
    # time
    Oddity(fault="inactivity=180", outcome="the idle association is opened anew",
           framings=ALL, connection={"keepOpen": True}),
    Oddity(fault="delay=0.02", outcome="none"),
    Oddity(fault="jitter=0.02", outcome="none"),
    Oddity(fault="silence", outcome="silence is told, with what to check", framings=ALL,
           connection=_IMPATIENT, error=LinkTimeoutError, says="wrong address"),
    # answers that do not belong to the question
    Oddity(fault="stale-replies", outcome="none: answers to earlier questions are passed over",
           framings=ALL),
    Oddity(fault="wrong-invoke-id", connection=_IMPATIENT, error=ProtocolError,
           outcome="no value of it is used; the workaround is told",
           says="set workarounds.fixedInvokeId"),
    Oddity(fault="truncate=2", outcome="no value of it is used", error=ProtocolError,
           says="reading"),
    # what nobody asked for
    Oddity(fault="push-while-asked", framings=ALL,
           outcome="none: it is counted, and taken as a push"),
    Oddity(fault="llc-twice", outcome="none: they are taken off", framings=ALL),
    # the line
    Oddity(fault="one-byte-fragments", outcome="none"),
    Oddity(fault="garbage-behind=20", outcome="none", framings=ALL),
    Oddity(fault="greeting", outcome="none", framings=BOTH),
    Oddity(fault="cut-short=5", framings=ALL, connection={"timeoutMs": 100},
           outcome="never completed by what comes next: asked again, over a new connection"),
    Oddity(fault="text-replies", outcome="the text is told", error=ProtocolError,
           says="the text 'ERROR: not now"),
    Oddity(fault="garbage=20", outcome="none", framings=HDLC),
    Oddity(fault="flags=1000", outcome="none", framings=HDLC),
    Oddity(fault="echo", outcome="none", framings=HDLC),
    Oddity(fault="foreign-frames", outcome="none", framings=HDLC),
    Oddity(fault="fixed-sizes", outcome="none: what the UA says holds", framings=HDLC,
           options={"max_info": 512}, workarounds={"maxInfoReceive": 128}),
    Oddity(fault="lose=3", outcome="asked again", framings=HDLC, connection={"timeoutMs": 100}),
    Oddity(fault="bad-fcs=4", outcome="asked again", framings=HDLC, connection={"timeoutMs": 100}),
    Oddity(fault="wrong-sequence=7", outcome="asked again", framings=HDLC,
           connection={"timeoutMs": 100}),
    Oddity(fault="dm-at=2", outcome="the session is opened anew", framings=HDLC),
    Oddity(fault="frmr-at=2", outcome="the session is opened anew", framings=HDLC),
    Oddity(fault="drop-after=20", outcome="the closed connection is told", framings=BOTH,
           error=LinkClosedError, says="closed the connection"),
    # security
    Oddity(fault="counter-from-one", outcome="none: a new counter begins at one",
           options=CIPHERED_OPTIONS, dlms=CIPHERED_DLMS),
    Oddity(fault="wrong-server-challenge", outcome="the meter is not believed",
           options=CIPHERED_OPTIONS, dlms=CIPHERED_DLMS, error=SecurityError, says="wrong"),
    Oddity(fault="reflected-proof", outcome="the meter is not believed",
           options=CIPHERED_OPTIONS, dlms=CIPHERED_DLMS, error=SecurityError, says="wrong"),
    Oddity(fault="bad-tag", outcome="the meter is not believed",
           options=CIPHERED_OPTIONS, dlms=CIPHERED_DLMS, error=SecurityError, says="tag"),
    Oddity(fault="plain-replies", outcome="the meter is not believed",
           options=CIPHERED_OPTIONS, dlms=CIPHERED_DLMS, error=SecurityError, says="clear"),
    Oddity(fault="replayed-counter", outcome="the meter is not believed",
           options=CIPHERED_OPTIONS, dlms=CIPHERED_DLMS, error=SecurityError, says="counter"),
    Oddity(fault="bad-signature", outcome="the meter is not believed", options=SIGNED_OPTIONS,
           dlms=SIGNED_DLMS, workarounds={"sign": "always"}, error=SecurityError, says="signature"),
)  # fmt: skip

#: Faults that have a test of their own, in `test_oddities` if not said otherwise, and the outcome.
OTHERS = {
    "exception": (
        "test_a_meter_that_knows_no_service",
        "each object's exception is told; the device stays online",
    ),
    "swollen": (
        "test_a_meter_that_gives_arrays_for_values",
        "each value is refused before it is built, with a sentence; the device stays online",
    ),
    "no-range": ("test_a_profile_comes_whatever_the_meter_selects", "rows all the same"),
    "no-entry": ("test_a_profile_comes_whatever_the_meter_selects", "rows all the same"),
    "compressed-rows": (
        "test_a_profile_comes_whatever_the_meter_selects",
        "the left out times are told from the period",
    ),
    "delta-rows": (
        "test_a_profile_comes_whatever_the_meter_selects",
        "the differences are added up",
    ),
    "lost-rows": ("test_a_profile_comes_whatever_the_meter_selects", "the rows that there are"),
    "whole-objects": (
        "test_a_profile_comes_whatever_the_meter_selects",
        "the value of each object, by the scaler that comes with it",
    ),
    "index-255": ("test_a_profile_comes_whatever_the_meter_selects", "the values are meant"),
    "local-range": (
        "test_a_profile_comes_whatever_the_meter_selects",
        "rows all the same: asked for in the zone of its clock, and of its rows",
    ),
    "few-rows": ("test_a_profile_comes_whatever_the_meter_selects", "the others are asked for"),
    "wrong-order": ("test_a_profile_comes_whatever_the_meter_selects", "rows all the same"),
    "summer-time": (
        "test_a_clock_that_changes_with_the_season",
        "instants by the deviation of each date-time",
    ),
    "no-capture-period": (
        "test_a_capture_period_from_the_configuration",
        "`profiles[].capturePeriod` takes its place",
    ),
    "no-scaler": (
        "test_values_without_a_scaler",
        "no value that may be wrong by powers of ten; the message names `scaler` and `unit`",
    ),
    "null-scaler": ("test_values_without_a_scaler", "the same"),
    "readout": (
        "test_a_meter_without_mode_e",
        "its identification and its text are told",
    ),
    "silent-once-dropped": (
        "test_a_meter_that_drops_idle_associations_in_silence",
        "opened anew, twice; from then on ended before the meter drops it",
    ),
    "single-client": (
        "test_a_meter_for_one_client_only",
        "the closed connection is told, with what to check; online once the other has gone",
    ),
    # of `discover`, in tests/unit/discovery
    **dict.fromkeys(
        ("malformed-object", "silent-object", "killing-object"),
        ("test_a_bad_object_costs_itself_and_no_other", "`discover` skips the object and lists it"),
    ),
    "long-list": (
        "test_a_list_that_announces_more_than_it_has_is_read",
        "the objects that are there",
    ),
    **dict.fromkeys(
        ("close-on-bare-snrm", "silent-to-bare-snrm"),
        (
            "test_a_meter_that_wants_the_parameters_named_is_found",
            "`discover` finds `windowReceive`, with which SNRM names its parameters",
        ),
    ),
    "whole-list-only": (
        "test_without_selective_access_the_others_are_read_and_the_list_only_now_and_then",
        "none, unless the list breaks off: then what had come of it is used",
    ),
    **dict.fromkeys(
        ("silent-refusals", "frmr-refusals", "own-context"),
        (
            "test_short_names_are_tried_however_the_other_names_are_refused",
            "`discover` asks by short names",
        ),
    ),
    "others-session": (
        "test_another_clients_session_is_told_from_noise",
        "`discover` tells whose session is open",
    ),
}
