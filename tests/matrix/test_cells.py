"""Every cell: a configured device, polled by the real fleet, and values that are exact."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from dlms_connector.simulator import Meter
from tests.matrix.cells import DIMENSIONS, Cell, cells, parts_of, wanted
from tests.matrix.configured import KINDS, LINES, TEXT, device, options
from tests.matrix.services import SERVICES
from tests.support.meeting import Meeting, meeting, on_a_line

#: What the meter counted of each way to cipher.
_CIPHERED = {
    "glo": "global",
    "ded": "dedicated",
    "general-glo": "general-global",
    "general-ded": "general-dedicated",
}


@pytest.mark.parametrize("cell", cells(), ids=lambda cell: cell.name)
async def test_cell(cell: Cell, tmp_path: Path) -> None:
    count = 2 if cell.link in LINES else 1
    await _meet(KINDS.get(cell.link, "serial"), [cell] * count, tmp_path)


async def _meet(kind: str, on_line: Sequence[Cell], folder: Path) -> None:
    """Have the meters of these cells, on one line, polled and asked."""
    simulated = [options(cell, index) for index, cell in enumerate(on_line)]
    async with on_a_line(kind, simulated) as (line, meters):
        devices = [device(cell, index, line) for index, cell in enumerate(on_line)]
        async with meeting({"devices": devices}, folder, meters) as met:
            await met.polled()
            for cell, name, meter in zip(on_line, met.names, meters, strict=True):
                await SERVICES[cell.service].carry_out(met, meter, name)
            for cell, name, meter in zip(on_line, met.names, meters, strict=True):
                _check(cell, met, name, meter)


_PLAIN = Cell(
    link="tcp line",
    framing="HDLC/2",
    referencing="LN",
    authentication="NONE",
    security="NONE",
    suite="0",
    ciphering="none",
    signing="never",
    service="get list",
)
_CIPHERED_CELL = replace(
    _PLAIN,
    authentication="HIGH_GMAC",
    security="AUTHENTICATION_ENCRYPTION",
    ciphering="ded",
)
_SHORT = replace(_PLAIN, referencing="SN", authentication="HIGH_SHA256", service="set")


@pytest.mark.parametrize("kind", ["tcp", "serial"])
async def test_meters_of_one_line_may_differ_in_all_but_the_framing(
    kind: str, tmp_path: Path
) -> None:
    await _meet(kind, [_PLAIN, _CIPHERED_CELL, _SHORT], tmp_path)


async def test_mode_e_through_a_converter(tmp_path: Path) -> None:
    await _meet("tcp", [replace(_CIPHERED_CELL, link="serial mode E")], tmp_path)


def _check(cell: Cell, met: Meeting, name: str, meter: Meter) -> None:
    serial = meter.options.serial
    assert met.values(name, poll=0) == {
        "energy": Decimal(23017 + 1000 * serial).scaleb(-2),
        "voltage": Decimal(2300 + serial).scaleb(-1),
        "message": TEXT,
    }
    assert met.units(name) == {"energy": "Wh", "voltage": "V", "message": None}
    assert met.failures(name) == ()
    assert met.sink.state_names(name)[-1] == "online"
    statistics = met.fleet.statistics(name)
    assert (statistics.retries, statistics.reconnects) == (0, 0)
    if cell.link != "dial-in":  # before the call there is nobody to poll
        assert met.sink.state_names(name) == ["online"]
        assert statistics.polls_failed == 0
    _check_way(cell, meter)


def _check_way(cell: Cell, meter: Meter) -> None:
    """Hold what the meter was asked against what the cell stands for."""
    seen, service = meter.seen, SERVICES[cell.service]
    assert seen[service.seen[cell.referencing]] > 0
    if service.never:
        assert seen[service.never[cell.referencing]] == 0
    assert (seen["refused"], seen["forged"], seen["replayed"]) == (0, 0, 0)
    assert (seen["proof"] > 0) == cell.authentication.startswith("HIGH")
    assert (seen["signed"] > 0) == (cell.signing != "never")
    used = {name for name in _CIPHERED.values() if seen[name]}
    if cell.security == "NONE":
        assert used == set()
    else:
        _check_ciphering(cell, used)
    assert (seen["snrm"] > 0) == (cell.framing != "WRAPPER")


def _check_ciphering(cell: Cell, used: set[str]) -> None:
    way = _CIPHERED[cell.ciphering]
    general = "general-" + way.removeprefix("general-")
    # What is signed, and ACCESS, have no tag of their own when ciphered but the general one.
    without_tag = cell.signing == "always" or cell.service == "ACCESS"
    # What travels inside the AARQ has the global key, whatever comes after it.
    wanted = {"global", general if without_tag else way}
    wanted |= set() if cell.signing == "never" else {general}
    assert wanted <= used <= wanted | {way}


def test_every_value_and_every_pair_is_met() -> None:
    met = {part for cell in cells() for part in parts_of(vars(cell))}
    assert [part for part in wanted() if part not in met] == []
    for name, values in DIMENSIONS.items():
        assert {getattr(cell, name) for cell in cells()} == set(values)
