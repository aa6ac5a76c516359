"""What a meter says against our frames, in words: DM and FRMR (ISO/IEC 13239), wrong numbers."""

from __future__ import annotations

from dlms_connector.errors import DroppedError, ProtocolError, RefusedError
from dlms_connector.hints import Symptom
from dlms_connector.protocol.datalink.hdlc_frame import (
    DISC,
    DM,
    FRMR,
    POLL_FINAL,
    SNRM,
    UI,
    Frame,
)
from dlms_connector.protocol.datalink.hdlc_transfer import EXCHANGING

_NAMES = {SNRM: "SNRM", DISC: "DISC", UI: "UI frame"}
#: The bits w, x, y and z of the last octet, from the lowest.
_REASONS = ("unknown control field", "unexpected information", "too long", "wrong N(R)")
_TOO_LONG = 4


def refuse_unnumbered(frame: Frame) -> None:
    """Raise DroppedError on DM (no session), ProtocolError on FRMR (frame reject)."""
    control = frame.control | POLL_FINAL
    if control == DM:
        raise DroppedError(EXCHANGING)
    if control == FRMR:
        raise rejection(EXCHANGING, frame.information)


def disconnected(doing: str) -> RefusedError:
    """Return the error for a meter that answers SNRM by DM."""
    problem = "the meter is in disconnected mode (DM)"
    error = RefusedError(doing, problem).showing(Symptom.HELD)
    error.perhaps_held = True
    return error


def rejection(doing: str, information: bytes) -> ProtocolError:
    """Return the error for a frame reject; its fields tell which frame, and why."""
    control = information[0] if information else None
    flags = information[-1] if information else 0
    named = [reason for bit, reason in enumerate(_REASONS) if flags >> bit & 1]
    parts = [", ".join(named) or "no reason given"]
    if control is not None:
        parts.append(f"rejected control field {_words(control)}")
    if len(information) > 2:
        parts.append(f"its V(S) {information[1] >> 1 & 7}, V(R) {information[1] >> 5}")
    error = ProtocolError(doing, f"the meter rejects our frame (FRMR: {'; '.join(parts)})")
    if flags & _TOO_LONG:
        return error.showing(Symptom.FRAME_TOO_LONG)
    numbered = doing == EXCHANGING and not (control or 0) & 1
    return error.showing(Symptom.FRAMES_REJECTED if numbered else Symptom.COMMAND_REJECTED)


def misnumbered(numbers: str) -> ProtocolError:
    """Return the error for a meter whose numbered frames never fit."""
    problem = f"numbered frames came with the wrong number, out of sequence: {numbers}"
    return ProtocolError(EXCHANGING, problem).showing(Symptom.MISNUMBERED)


def _words(control: int) -> str:
    if not control & 1:
        return f"{control:02x} (I frame, N(S) {control >> 1 & 7}, N(R) {control >> 5})"
    name = _NAMES.get(control | POLL_FINAL) or ("S frame" if control & 3 == 1 else "U frame")
    return f"{control:02x} ({name})"
