"""Replies cut short, noise behind and before frames, text: within one poll all is well, or told."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from dlms_connector.config.model import Device
from dlms_connector.errors import DlmsError, LinkError, ProtocolError
from dlms_connector.meter.outcome import Outcome
from dlms_connector.meter.plan import wanted
from dlms_connector.simulator import Meter, MeterOptions
from dlms_connector.state.counters import counter_of
from tests.matrix.oddities import CIPHERED_DLMS, CIPHERED_OPTIONS
from tests.support import fake_time
from tests.support.links import SimulatedLink
from tests.support.polled import meter_on

PLAIN: tuple[dict[str, Any], dict[str, Any]] = ({}, {})
CIPHERED = (CIPHERED_OPTIONS, CIPHERED_DLMS)
SHORT_NAMES = ({"referencing": "SN"}, {"referencing": "SN"})
PROTECTED = pytest.mark.parametrize(
    "kind", [PLAIN, CIPHERED, SHORT_NAMES], ids=["plain", "ciphered", "short names"]
)
NOW = 1_790_000_000
ITEMS = ("1-0:1.8.0", "1-0:32.7.0", "1-0:14.7.0")


def polls(
    framing: Any,
    kind: tuple[dict[str, Any], dict[str, Any]],
    *faults: str,
    times: int = 3,
    workarounds: dict[str, Any] | None = None,
) -> list[Outcome]:
    """Poll a simulated meter so often, each time over the association that there is."""

    async def body() -> list[Outcome]:
        options, dlms = kind
        meter = Meter(MeterOptions(framing=framing, hold_at=NOW, faults=list(faults), **options))
        device = Device.model_validate(
            {
                "deviceName": "M1",
                "connection": {"host": "h", "timeoutMs": 1000, "retries": 2},
                "dlms": {"interfaceType": framing, **dlms},
                "workarounds": workarounds or {},
                "timeseries": [{"key": code, "obis": code} for code in ITEMS],
            }
        )
        link = SimulatedLink(meter)
        polled = meter_on(device, link, now_ms=lambda: 0, counter=counter_of(device, Path(folder)))
        return [await polled.poll(wanted(device)) for _ in range(times)]

    with TemporaryDirectory() as folder:
        return fake_time.run(body())


def values(outcome: Outcome) -> dict[str, object]:
    return {reading.key: reading.value for reading in outcome.poll.readings}


#: What the meter holds, as it is read over a good line.
TRUE = values(polls("WRAPPER", PLAIN, times=1)[0])


def good(outcome: Outcome) -> bool:
    return not outcome.error and values(outcome) == TRUE


@PROTECTED
@pytest.mark.parametrize("fault", ["garbage-behind=7", "garbage-behind=300", "greeting"])
@pytest.mark.parametrize("framing", ["HDLC", "WRAPPER"])
def test_noise_behind_and_before_frames_costs_no_value(
    framing: str, fault: str, kind: tuple[dict[str, Any], dict[str, Any]]
) -> None:
    assert all(good(outcome) for outcome in polls(framing, kind, fault))


@PROTECTED
@pytest.mark.parametrize("every", [3, 4, 5, 7])
@pytest.mark.parametrize("framing", ["HDLC", "WRAPPER"])
def test_a_reply_cut_short_gives_no_wrong_value(
    framing: str, every: int, kind: tuple[dict[str, Any], dict[str, Any]]
) -> None:
    outcomes = polls(framing, kind, f"cut-short={every}", times=6)
    for outcome in outcomes:
        assert values(outcome).items() <= TRUE.items()
    # Each association takes three replies at least.
    assert every == 3 or sum(good(outcome) for outcome in outcomes) >= 4


@pytest.mark.parametrize("framing", ["HDLC", "WRAPPER"])
def test_text_in_place_of_an_apdu_is_shown(framing: str) -> None:
    (outcome,) = polls(framing, PLAIN, "text-replies", times=1)
    error = outcome.error or outcome.poll.failures[0].error
    assert isinstance(error, DlmsError)
    assert "the text 'ERROR: not now" in str(error)
    assert "ciphered" not in str(error)


def test_headers_in_the_other_order() -> None:
    (outcome,) = polls("WRAPPER", PLAIN, "swapped-header", times=1)
    assert isinstance(outcome.error, LinkError)
    little = {"wrapperByteOrder": "little"}
    assert all(map(good, polls("WRAPPER", PLAIN, "swapped-header", workarounds=little)))


@PROTECTED
@pytest.mark.parametrize(
    ("fault", "says", "workaround"),
    [
        ("wants-ui", "rejects our frame (FRMR: unknown control field", "connectionless"),
        ("never-counts", "with the wrong number", "uncountedFrames"),
    ],
)
def test_meters_with_frames_of_their_own(
    fault: str, says: str, workaround: str, kind: tuple[dict[str, Any], dict[str, Any]]
) -> None:
    (outcome,) = polls("HDLC", kind, fault, times=1)
    assert isinstance(outcome.error, ProtocolError)
    assert says in str(outcome.error)
    assert workaround in outcome.error.hint
    helped = polls("HDLC", kind, fault, workarounds={workaround: True})
    assert all(good(outcome) for outcome in helped), helped
