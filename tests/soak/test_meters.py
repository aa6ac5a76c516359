"""The simulated meters of a soak run."""

from __future__ import annotations

import socket
import time
from collections.abc import Mapping
from typing import Any

from tests.soak import fleet
from tests.soak.meters import Meters

_SNRM = bytes.fromhex("7ea0080203219386677e")
_HDLC = 0
assert fleet.kind_of(_HDLC).framing == "HDLC"

_TOLD: tuple[tuple[tuple[str, Mapping[str, Any]], ...], ...] = (
    (),
    (("set", {"silence": 1}), ("clear", {})),
    (("exchange", {}),),
    (("set", {"silence": 1}), ("clear", {})),
    (("exchange", {}),),
)


async def test_no_two_answers_come_in_a_millisecond() -> None:
    """Else the platform has one value of a key of two that were read."""
    with Meters([fleet.options(_HDLC)]) as meters:
        for told in _TOLD:
            for what, faults in told:
                meters.tell(what, 0, *([faults] if faults else []))
            await meters.counts()  # it has heard all
            with socket.create_connection(("127.0.0.1", meters.ports[0])) as line:
                line.settimeout(60.0)
                asked = time.monotonic()
                line.sendall(_SNRM)
                assert line.recv(1000)
                assert time.monotonic() - asked > 0.001, told
