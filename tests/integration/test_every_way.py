"""Every way to talk to a meter, through the real gateway process, at once.

`tests/matrix` has the cells in which each two of these meet; here are as few of them as
hold each single one.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest
import pytest_asyncio
import simplejson

from dlms_connector.simulator import Meter
from tests.matrix.cells import DIMENSIONS, Cell, cells
from tests.matrix.configured import KINDS, LINES, TEXT, device, options
from tests.matrix.services import PROFILE, SERVICES, rows
from tests.support.meeting import on_a_line
from tests.support.site import Configuration, Site, site

pytestmark = pytest.mark.asyncio(loop_scope="module")


def few() -> tuple[Cell, ...]:
    """Return cells that hold every value of every dimension, each time the one with most new."""
    left = {(name, value) for name, values in DIMENSIONS.items() for value in values}
    chosen: list[Cell] = []
    while left:
        best = max(cells(), key=lambda cell: len(left & vars(cell).items()))
        left -= vars(best).items()
        chosen.append(best)
    return tuple(chosen)


CELLS = few()
#: Services that no single call of the platform needs.
BEYOND_CALLS = ("set list", "action block")
NAMES = [f"{number:02} {cell.link}" for number, cell in enumerate(CELLS)]
_NUMBER = {"obis": "0-0:96.50.0", "class": "data"}
_MESSAGE = {"obis": "0-0:96.13.0", "class": "data"}
_RELAY = {"obis": "0-0:96.3.10", "class": 70, "method": 1, "value": 0, "type": "int8"}


@dataclass
class Served(Site):
    """A site, and the meters behind its devices by their names."""

    meters: dict[str, Meter]


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Served]:
    async with AsyncExitStack() as stack:
        devices, meters = [], {}
        for name, cell in zip(NAMES, CELLS, strict=True):
            count = 2 if cell.link in LINES else 1
            simulated = [options(cell, index) for index in range(count)]
            line, there = await stack.enter_async_context(
                on_a_line(KINDS.get(cell.link, "serial"), simulated)
            )
            for index, meter in enumerate(there):
                one = {**device(cell, index, line), "pollPeriod": 1000}
                one["deviceName"] = name if index == 0 else f"{name}, another"
                devices.append(one)
                meters[one["deviceName"]] = meter

        def configure(configuration: Configuration) -> None:
            configuration["devices"] = devices

        running = await stack.enter_async_context(
            site(tmp_path_factory.mktemp("ways"), [], configure)
        )
        await running.until_started()
        yield Served(**vars(running), meters=meters)


async def test_every_value_arrives_exactly_and_no_meter_failed(running: Served) -> None:
    for name, meter in running.meters.items():
        serial = meter.options.serial
        shown = {
            key: running.platform.telemetry(name, key)[0].value
            for key in ("energy", "voltage", "message")
        }
        assert shown == {
            "energy": Decimal(23017 + 1000 * serial).scaleb(-2),
            "voltage": Decimal(2300 + serial).scaleb(-1),
            "message": TEXT,
        }, name
        assert running.states(name)[-1] == "online"
    assert not running.log_lines("Traceback")


@pytest.mark.parametrize(("name", "cell"), [*zip(NAMES, CELLS, strict=True)], ids=NAMES)
async def test_calls_are_carried_out(running: Served, name: str, cell: Cell) -> None:
    meter = running.meters[name]
    method, params, answer = _call(cell, meter)
    exact = simplejson.loads(simplejson.dumps(answer), use_decimal=True)
    assert await running.platform.rpc(name, method, params) == {"result": exact}
    if method == "invokeMethod":
        assert meter.relay_state == 0
    if cell.service not in BEYOND_CALLS:
        assert meter.seen[SERVICES[cell.service].seen[cell.referencing]] > 0


def _call(cell: Cell, meter: Meter) -> tuple[str, dict[str, Any], Any]:
    """Return a call that needs the cell's service, and its result."""
    quarters = rows(meter, -8, -4)
    if cell.service == "set block":
        return "writeObject", {**_MESSAGE, "value": TEXT[::-1]}, TEXT[::-1]
    if cell.service.startswith("set"):
        return "writeObject", {**_NUMBER, "value": 777}, 777
    if cell.service.startswith("action"):
        return "invokeMethod", _RELAY, None
    if cell.service == "range":
        between = {"from": quarters[0]["time"], "to": quarters[-1]["time"]}
        return "readProfile", {"obis": PROFILE, **between}, quarters
    if cell.service == "entry":
        return "readProfile", {"obis": PROFILE, "last": 4}, rows(meter, -4, None)
    return "readObject", _MESSAGE, TEXT
