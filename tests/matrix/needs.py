"""Meters that need a workaround: what is wrong with each, and what shows that it helps."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.matrix.configured import PASSWORD
from tests.matrix.oddities import CIPHERED_DLMS, CIPHERED_OPTIONS, SIGNED_DLMS, SIGNED_OPTIONS
from tests.matrix.services import PROFILE, rows
from tests.support.meeting import Meeting

_MESSAGE = {"key": "message", "obis": "0-0:96.13.0", "class": "data"}


async def _nothing_else(met: Meeting) -> bool:
    return True


def _seen_never(*names: str) -> Callable[[Meeting], Awaitable[bool]]:
    async def never(met: Meeting) -> bool:
        return not any(met.meter.seen[name] for name in names)

    return never


async def _rows_at_the_first_try(met: Meeting) -> bool:
    wanted = rows(met.meter, -6, -2)
    between = {"obis": PROFILE, "from": wanted[0]["time"], "to": wanted[-1]["time"]}
    answer = await met.call("readProfile", between)
    return answer == {"result": wanted} and met.meter.seen["by-range"] == 1


@dataclass(frozen=True, kw_only=True)
class Need:
    """A workaround, the meter that needs it, and what else must hold where it is set.

    Where it is set, all values arrive in each of two polls and the device stays online;
    where it is not, that or what else must hold does not.
    """

    key: str
    value: Any
    meter: str
    options: Mapping[str, Any] = field(default_factory=dict)
    connection: Mapping[str, Any] = field(default_factory=dict)
    dlms: Mapping[str, Any] = field(default_factory=dict)
    others: Mapping[str, Any] = field(default_factory=dict)
    items: tuple[Mapping[str, Any], ...] = ()
    framing: str = "HDLC"
    holds: Callable[[Meeting], Awaitable[bool]] = _nothing_else

    @property
    def name(self) -> str:
        """What the test is called."""
        return f"{self.key}={self.value}" if isinstance(self.value, str) else self.key


_BETWEEN_POLLS = {"keepOpen": False}
_PATIENT = {"timeoutMs": 2000}
_SIGNED = {name: value for name, value in SIGNED_OPTIONS.items() if name != "signed_requests"}

NEEDS = (
    Need(key="pauseAfterConnectMs", value=250, options={"faults": ["deaf-after-connect=0.2"]},
         meter="hears nothing at first, as behind a modem"),
    Need(key="pauseBeforeDisconnectMs", value=100, connection=_BETWEEN_POLLS,
         options={"faults": ["deaf-to-early-disc=0.05", "quiet-after-unclean=5"]},
         meter="does not hear an early DISC, and sulks"),
    Need(key="pauseBetweenFramesMs", value=60, options={"faults": ["deaf-after-answer=0.04"]},
         meter="is slow to listen after it has answered"),
    Need(key="quietAfterFailureMs", value=600, connection={"retries": 1, "timeoutMs": 50},
         options={"faults": ["quiet-after-unclean=0.5", "frmr-at=3"]},
         meter="is silent for a while after a session broke"),
    Need(key="clearFirst", value="always", options={"faults": ["wants-disc-first"]},
         meter="answers SNRM only behind a DISC on the same connection"),
    Need(key="clearFirst", value="never", holds=_seen_never("disc"),
         connection={"keepOpen": True, "retries": 1},
         options={"faults": ["frmr-at=3"]},
         meter="must see no DISC, also after a session broke"),
    Need(key="release", value="always", connection=_BETWEEN_POLLS,
         options={"faults": ["wants-release"]}, meter="ends an association by RLRQ only"),
    Need(key="release", value="never", framing="WRAPPER", connection=_BETWEEN_POLLS,
         options={"faults": ["silent-to-release"]}, holds=_seen_never("rlrq"),
         meter="does not answer RLRQ, so that each goodbye takes a timeout"),
    Need(key="preEstablished", value=True,
         options={"pre_established": True, "faults": ["refuse-association"]},
         meter="has its association from the beginning and takes no AARQ"),
    Need(key="connectionless", value=True, options={"faults": ["wants-ui"]},
         meter="rejects I frames by FRMR and takes UI frames"),
    Need(key="uncountedFrames", value=True, options={"faults": ["never-counts"]},
         meter="does not count its HDLC frames"),
    Need(key="wrapperByteOrder", value="little", framing="WRAPPER",
         options={"faults": ["swapped-header"]},
         meter="has the low octets first in the wrapper's header"),
    Need(key="skipSnrm", value=True, options={"skip_snrm": True, "faults": ["silent-to-snrm"]},
         meter="does not answer SNRM"),
    Need(key="maxInfoTransmit", value=48, others={"maxInfoReceive": 48},
         options={"faults": ["longest-frame=48"]},
         meter="loses long frames that come, whatever its UA says"),
    Need(key="maxInfoReceive", value=48, others={"maxInfoTransmit": 48}, items=(_MESSAGE,),
         options={"faults": ["longest-frame=48"]},
         meter="loses long frames that it sends, as behind a small buffer"),
    Need(key="maxPdu", value=128, options={"faults": ["longest-reply=128"]}, items=(_MESSAGE,),
         meter="cannot answer more at once, and does not say so"),
    Need(key="challengeSize", value=32, dlms={"authentication": "HIGH", "password": PASSWORD},
         options={"authentication": "HIGH", "password": PASSWORD.encode(),
                  "faults": ["challenge-size=32"]},
         meter="takes challenges of 32 bytes only"),
    Need(key="counterFromOne", value=True, connection=_BETWEEN_POLLS, dlms=CIPHERED_DLMS,
         options={**CIPHERED_OPTIONS, "faults": ["counter-from-one"]},
         meter="wants invocations counted from one in each association"),
    Need(key="serverCounterRestarts", value=True, connection=_BETWEEN_POLLS,
         dlms={**CIPHERED_DLMS, "authentication": "LOW", "password": PASSWORD},
         options={**CIPHERED_OPTIONS, "authentication": "LOW", "password": PASSWORD.encode(),
                  "faults": ["own-counter-restarts"]},
         meter="begins its own invocation counter anew in each association"),
    Need(key="authenticatedReplies", value="handshake", dlms=CIPHERED_DLMS,
         options={**CIPHERED_OPTIONS, "faults": ["authenticated-proof"]},
         meter="does not encrypt its own proof of HIGH authentication"),
    Need(key="authenticatedReplies", value="always", dlms=CIPHERED_DLMS,
         options={**CIPHERED_OPTIONS, "faults": ["authenticated-replies"]},
         meter="authenticates its replies and does not encrypt them"),
    Need(key="sign", value="handshake", connection=_PATIENT, dlms=SIGNED_DLMS,
         options={**_SIGNED, "faults": ["wants-signed-proof"]},
         meter="wants pass 3 of the authentication signed"),
    Need(key="sign", value="always", connection=_PATIENT, dlms=SIGNED_DLMS,
         options=SIGNED_OPTIONS, meter="wants every request signed"),
    Need(key="signOutside", value=True, connection=_PATIENT, dlms=SIGNED_DLMS,
         options={**SIGNED_OPTIONS, "faults": ["wants-signature-outside"]},
         others={"sign": "always"}, meter="wants the signature around the ciphering"),
    Need(key="fixedInvokeId", value=1, options={"faults": ["one-invoke-id=1"]},
         meter="answers everything with one invoke-id"),
    Need(key="useAccess", value=True, options={"without": {"multiple-references"}},
         holds=_seen_never("get"), meter="reads lists by ACCESS alone"),
    Need(key="singleReads", value=True, options={"faults": ["refuse-list"]},
         holds=_seen_never("get-with-list"), meter="offers lists and refuses them"),
    Need(key="skipDateTimeFields", value=["deviation"], holds=_rows_at_the_first_try,
         options={"faults": ["no-deviation"], "profile_days": 1}, connection=_PATIENT,
         meter="refuses dates that name a deviation"),
)  # fmt: skip

#: Workarounds with a test of their own in `test_workarounds`.
OTHERS = {
    "inactivityTimeoutMs": (
        "test_idle_associations_are_ended_before_the_meter_drops_them",
        "drops idle associations sooner than others do",
    ),
    "windowTransmit": ("test_windows_save_acknowledgements", "acknowledges several frames at once"),
    "windowReceive": ("test_windows_save_acknowledgements", "sends several frames at once"),
}
