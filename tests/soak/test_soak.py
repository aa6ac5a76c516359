"""A minute of a soak run: what is read is accounted for, and nothing is left behind.

Whether memory grows takes longer: `make soak`.
"""

from __future__ import annotations

from pathlib import Path

from tests.soak.__main__ import problems
from tests.soak.running import soak
from tests.soak.trouble import Pace

_METERS, _SECONDS = 8, 14.0
_PACE = Pace(
    fault_s=7.0,
    fault_takes_s=3.0,
    outage_s=4.0,
    outage_takes_s=2.0,
    table_s=4.0,
    remote_s=9.0,
    call_s=0.4,
    attribute_s=0.8,
    push_s=1.5,
)


async def test_every_value_is_accounted_for(tmp_path: Path) -> None:
    result = await soak(
        tmp_path,
        meters=_METERS,
        seconds=_SECONDS,
        period_s=0.5,
        seed=1,
        pace=_PACE,
        receipts=True,
        count_every_s=1.0,
    )
    account = result.account
    assert account.ok
    assert account.failed
    assert not account.dropped
    assert list(problems(result)) == []
