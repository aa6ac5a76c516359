"""What may become of a cell: the right classes of errors, and where no values may be lost."""

from __future__ import annotations

from tests.faults.cells import Cell

OK, LOST = "ok", "lost"
_TIMEOUT, _CLOSED, _CONNECT = "LinkTimeoutError", "LinkClosedError", "ConnectError"
_PROTOCOL = ("ProtocolError", "SecurityError", "RepeatedError")

#: The errors that fit a fault; nothing else may be told of it.
RIGHT = {
    "drop": (_TIMEOUT,),
    "lose": (_TIMEOUT,),
    "reorder": (_TIMEOUT,),
    "late": (_TIMEOUT,),
    "corrupt": (_TIMEOUT, *_PROTOCOL),
    "truncate": (_TIMEOUT,),
    "stall": (_TIMEOUT,),
    "silent": (_TIMEOUT,),
    "reset": (_CLOSED,),
    "half-close": (_CLOSED,),
    "refuse": (_CONNECT, _CLOSED),
    "echo": _PROTOCOL,
}
#: While they last, nothing can be read in their stage.
_DEADLY = ("drop", "lose", "stall", "silent", "reset", "half-close", "refuse")
#: They do not end by themselves.
_LASTING = ("silent", "refuse")
#: What HDLC's numbers and check sequences make good, lastingly too.
_NUMBERED = ("reorder", "late", "echo")
#: Stages that are repeated, or begun anew in the same poll, also where no frame has a number.
_REPEATED = ("read", "list", "block", "release", "line")


def is_harmless(cell: Cell) -> bool:
    """Whether no value may be lost, however long the fault lasts."""
    numbered = cell.framing == "HDLC" and cell.fault in _NUMBERED and cell.stage != "push"
    return cell.fault not in RIGHT or numbered


def once(cell: Cell) -> tuple[str, ...]:
    """Return what may become of the poll, call or push that the fault meets once."""
    if is_harmless(cell):
        return (OK,)
    if cell.stage == "push":
        return OK, LOST
    right = RIGHT[cell.fault]
    if cell.fault in _LASTING:
        return right
    # A call has no time for a second try after silence.
    numbered = cell.framing == "HDLC" and cell.stage != "profile"
    return (OK,) if numbered or cell.stage in _REPEATED else (OK, *right)


def lasting(cell: Cell) -> tuple[str, ...]:
    """Return what may become of the first one that the lasting fault meets."""
    if is_harmless(cell):
        return (OK,)
    deadly = cell.fault in _DEADLY
    if cell.stage == "push":
        return (LOST,) if deadly else (OK, LOST)
    right = RIGHT[cell.fault]
    if cell.stage == "release" and cell.fault not in _LASTING:
        return (OK,)  # what was read is there, and nobody needs the answer
    return right if deadly else (OK, *right)
