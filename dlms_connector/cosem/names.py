"""The names of enumerated attributes (IEC 62056-6-2), to show them and to write them."""

from __future__ import annotations

from collections.abc import Mapping

_BAUD = ("300", "600", "1200", "2400", "4800", "9600", "19200", "38400", "57600", "115200")


def _from(first: int, *names: str) -> Mapping[int, str]:
    return dict(enumerate(names, first))


#: By class and attribute.
NAMES: Mapping[tuple[int, int], Mapping[int, str]] = {
    (7, 5): _from(
        1, "fifo", "lifo", "largest", "smallest", "nearestToZero", "farthestFromZero"
    ),
    (8, 9): _from(
        0, "notDefined", "internalCrystal", "mains50Hz", "mains60Hz", "gps", "radio"
    ),
    (15, 8): _from(0, "nonAssociated", "associationPending", "associated"),
    (18, 6): _from(
        0, "notInitiated", "initiated", "verificationInitiated", "verificationSuccessful",
        "verificationFailed", "activationInitiated", "activationSuccessful", "activationFailed",
    ),
    (19, 3): _from(0, *_BAUD),
    (19, 4): _from(0, *_BAUD),
    (23, 2): _from(0, *_BAUD),
    (27, 2): _from(0, *_BAUD),
    (47, 3): _from(
        0, "notRegistered", "registeredHome", "searching", "registrationDenied", "unknown",
        "registeredRoaming",
    ),
    (47, 4): _from(0, "inactive", "incomingCall", "active"),
    (47, 5): _from(
        0, "inactive", "gprs", "edge", "umts", "hsdpa", "lte", "cdma", "lteCatM1", "lteCatNb1",
        "lteCatNb2",
    ),
    (70, 3): _from(0, "disconnected", "connected", "readyForReconnection"),
    (74, 2): _from(0, *_BAUD),
}  # fmt: skip


#: Transport and message format of a push (class 40, send_destination_and_method).
TRANSPORTS = _from(0, "tcp", "udp", "ftp", "smtp", "sms", "hdlc", "mBus", "zigBee", "gateway")
MESSAGES = _from(0, "aXdrApdu", "xmlApdu")


def code_of(class_id: int, attribute: int, name: str) -> int | None:
    """Return the number of a name of an enumerated attribute; None if it has no such name."""
    names = NAMES.get((class_id, attribute), {})
    return next((code for code, known in names.items() if known == name), None)
