"""Configurations with mistakes: gateway and good meters run, the log says what is wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dlms_connector.simulator import MeterOptions
from tests.support.site import GATEWAY, Configuration, Site, device, site

TWO_METERS = [MeterOptions(serial=1), MeterOptions(serial=2, framing="WRAPPER")]


async def test_a_bad_device_costs_the_good_ones_nothing(tmp_path: Path) -> None:
    def spoil(configuration: Configuration) -> None:
        wrong = device("Wrong", 4059, dlms={"clientAddress": 0, "clientAdress": 1})
        configuration["devices"].insert(1, wrong)

    async with site(tmp_path, TWO_METERS, spoil) as running:
        await running.until_polled("DLMS-Meter-01", "DLMS-Meter-02")
        await running.until(lambda: running.states("Wrong"))
        assert running.states("Wrong") == ["misconfigured"]
        sentence = running.platform.store.attributes("Wrong")["dlmsLastError"]
        for problem in ("dlms.clientAddress: 0 ", "clientAdress"):
            assert problem in sentence
            await running.until_logged(rf"\|ERROR\| DLMS \| Wrong is not polled: .*{problem}")
        # What is said about it connects it; the platform shall not take it for alive.
        await running.until(lambda: "Wrong" not in running.platform.connected)
        assert_healthy(running)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(
            '{\n  "logLevel": "INFO",\n  "devices": [\n    {"deviceName": "A",}\n  ]\n}\n',
            r"\|ERROR\| DLMS \| .*line 4.*column",
            id="a comma too many",
        ),
        pytest.param(
            '{"logLevel": "INFO", "name": "DLMS", "devices": [',
            r"\|ERROR\| DLMS \| .*line 1.*column",
            id="cut short",
        ),
        pytest.param(
            json.dumps({"logLevel": "INFO", "devices": 5, "defaults": [], "templates": 1}),
            r"\|ERROR\| DLMS \| .*devices",
            id="another shape",
        ),
    ],
)
async def test_a_configuration_that_makes_no_sense(
    tmp_path: Path, text: str, expected: str
) -> None:
    async with site(tmp_path, [], text=text) as running:
        await running.until_logged(expected)
        await running.until_logged("Gateway started")
        assert_healthy(running)


async def test_an_empty_file(tmp_path: Path) -> None:
    """The gateway itself drops a connector whose file is empty: ours must not make it worse."""
    async with site(tmp_path, [], text="") as running:
        await running.until_logged("Gateway started")
        await running.until(lambda: running.platform.telemetry(GATEWAY, "ALL_ERRORS_COUNT"))
        assert running.gateway.running
        assert not running.log_lines(r"dlms_connector|dlms_converters")


async def test_a_configuration_repaired_while_the_gateway_runs(tmp_path: Path) -> None:
    """Saved broken, saved again: the meters come back without a restart of the gateway."""
    async with site(tmp_path, TWO_METERS[:1], check_period_s=1) as running:
        await running.until_polled()
        good: dict[str, Any] = running.configuration
        running.gateway.write_configuration('{"logLevel": "INFO", "name": "DLMS", "devices": [{]}')
        await running.until_logged(r"\|ERROR\| DLMS \| .*line 1.*column")
        before = running.polls("DLMS-Meter-01")
        running.gateway.write_configuration(good)
        await running.until_polled(times=before + 2)
        assert_healthy(running)


def assert_healthy(running: Site) -> None:
    assert running.gateway.running
    assert not running.log_lines("Traceback")
