"""Nothing of a load profile is lost, whatever fails on its way to the platform."""

from __future__ import annotations

from pathlib import Path

import pytest

from dlms_connector.demo.platform_rules import Manners
from tests.support.history import under_fire

pytestmark = pytest.mark.asyncio


@pytest.mark.parametrize("confirm", ["watermarks", "receipts"])
async def test_every_row_arrives_once_and_right(tmp_path: Path, confirm: str) -> None:
    manners = Manners(telemetry_s=0.1, attributes_s=0.05, receipts=confirm == "receipts")
    result = await under_fire(tmp_path, days=15, faults=7, seed=1, confirm=confirm, manners=manners)
    assert result.expected >= 14 * 96 - 1
    assert not result.missing
    assert not result.wrong
    assert not result.foreign
    assert result.unconfirmed == 0
