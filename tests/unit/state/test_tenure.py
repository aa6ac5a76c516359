"""Counters where another gateway may have counted meanwhile."""

from __future__ import annotations

import gc
import json
from pathlib import Path

import pytest

from dlms_connector.config.model import Device, Dlms
from dlms_connector.config.secret import Secret
from dlms_connector.errors import RefusedError
from dlms_connector.obis import Obis
from dlms_connector.state.counters import begin_tenure, counter_of
from dlms_connector.state.invocation_counter import InvocationCounter
from dlms_connector.state.tenure import FILE, note_tenure, tenure_of

KEY = bytes(range(16))


def counter(folder: Path, *, readable: bool = True, name: str = "m") -> InvocationCounter:
    dlms = Dlms(
        security="AUTHENTICATION_ENCRYPTION",
        block_cipher_key=Secret(KEY),
        system_title=b"ABC12345",
        invocation_counter=Obis.parse("0-0:43.1.0") if readable else None,
    )
    device = Device.model_validate(
        {"device_name": name, "connection": {"type": "tcp", "host": "h"}, "dlms": dlms}
    )
    found = counter_of(device, folder)
    assert found is not None
    return found


def used(folder: Path, told: int = 500) -> int:
    """Count as a gateway does that was told where the meter is; return the last number."""
    one = counter(folder)
    if not one.known:
        one.learn(told)
    return max(one.next() for _ in range(5))


def test_who_is_alone_has_no_tenure(tmp_path: Path) -> None:
    assert not note_tenure(tmp_path, "", anew=False)
    assert tenure_of(tmp_path) is None
    used(tmp_path)
    assert counter(tmp_path).known


def test_a_restart_with_the_same_share_goes_on(tmp_path: Path) -> None:
    begin_tenure(tmp_path, "0 of 2", anew=False)
    last = used(tmp_path)
    begin_tenure(tmp_path, "0 of 2", anew=False)
    one = counter(tmp_path)
    assert one.known
    assert one.next() > last


@pytest.mark.parametrize("share", ["0 of 3", "", "1 of 2"])
def test_with_another_share_the_meter_is_asked(tmp_path: Path, share: str) -> None:
    begin_tenure(tmp_path, "0 of 2", anew=False)
    used(tmp_path)
    begin_tenure(tmp_path, share, anew=False)
    one = counter(tmp_path)
    assert not one.known
    with pytest.raises(RefusedError, match="another gateway may have counted"):
        one.next()
    one.learn(70_000)
    # What the other one sent and the meter never got counts, too.
    assert one.next() >= 80_000


def test_a_meter_tells_nothing_of_another_one_with_the_same_key(tmp_path: Path) -> None:
    """The other gateway may have used numbers with that one which this one has not seen."""
    begin_tenure(tmp_path, "0 of 2", anew=False)
    used(tmp_path)
    begin_tenure(tmp_path, "0 of 2", anew=True)
    one, other = counter(tmp_path), counter(tmp_path, name="other")
    one.learn(5_000)
    numbers = [one.next() for _ in range(5)]
    other.learn(90_000)
    assert numbers[0] > 90_000 + 10_000
    assert other.next() > numbers[-1]


def test_where_the_meter_tells_less_it_never_goes_back(tmp_path: Path) -> None:
    begin_tenure(tmp_path, "0 of 2", anew=False)
    last = used(tmp_path, told=200_000)
    begin_tenure(tmp_path, "0 of 2", anew=True)
    one = counter(tmp_path)
    one.learn(3)
    assert one.next() > last


def test_each_change_of_role_begins_anew(tmp_path: Path) -> None:
    """In one process, too, where the numbers are still known."""
    begin_tenure(tmp_path, "", anew=True)
    before = counter(tmp_path)
    before.learn(10)
    before.next()
    begin_tenure(tmp_path, "", anew=True)
    gc.collect()
    assert not counter(tmp_path).known
    assert before.known  # who is still there is not disturbed


def test_a_counter_that_cannot_be_read_is_not_guessed(tmp_path: Path) -> None:
    begin_tenure(tmp_path, "", anew=True)
    with pytest.raises(RefusedError, match="another gateway") as caught:
        counter(tmp_path, readable=False).next()
    assert "invocationCounter" in caught.value.hint


def test_the_first_time_a_fleet_is_shared(tmp_path: Path) -> None:
    used(tmp_path)
    begin_tenure(tmp_path, "0 of 2", anew=False)
    assert not counter(tmp_path).known


@pytest.mark.parametrize(
    "content",
    ["", "[]", "{}", '{"share": 1, "tenure": 2}', "\0", '{"share": "0 of 2", "ten": "a"}'],
)
def test_a_spoiled_file_costs_a_question(tmp_path: Path, content: str) -> None:
    begin_tenure(tmp_path, "0 of 2", anew=False)
    used(tmp_path)
    (tmp_path / FILE).write_text(content)
    assert not counter(tmp_path).known
    begin_tenure(tmp_path, "0 of 2", anew=False)
    assert json.loads((tmp_path / FILE).read_text())["share"] == "0 of 2"
    assert tenure_of(tmp_path) != "unreadable"
    assert not counter(tmp_path).known
