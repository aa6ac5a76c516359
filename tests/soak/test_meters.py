"""The simulated meters of a soak run."""

from __future__ import annotations

import multiprocessing
import socket
import time
from collections.abc import Mapping
from typing import Any

import pytest

from tests.soak import fleet
from tests.soak.meters import Meters, Site

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


def test_a_process_that_fails_to_start_is_noticed() -> None:
    with pytest.raises(EOFError), Meters([{"framing": "HDLC", "nonsense": 1}]):
        pass


async def test_a_meter_that_cannot_do_what_it_is_told_is_noticed() -> None:
    """Else a run would be good though some trouble was never made."""
    with Meters([fleet.options(_HDLC)]) as meters:
        meters.tell("set", 0, {"no such fault": 1})
        await meters.counts()  # what was told is being done
        with pytest.raises(ValueError, match="no such fault"):
            await meters.counts()


async def test_the_meters_end_with_whoever_tells_them() -> None:
    ours, theirs = multiprocessing.Pipe()
    site = Site([], theirs)
    ours.close()
    site.hear()
    assert site.ended.is_set()
