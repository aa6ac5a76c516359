"""Whether a gateway is on duty, what it tells of it, and that a change is noticed."""

from __future__ import annotations

import logging
from pathlib import Path
from threading import Event
from types import SimpleNamespace
from typing import Any

import pytest

from dlms_connector.config import Configuration
from dlms_connector.config.sharing import Standby
from dlms_connector.gateway.duty import Duty
from dlms_connector.sharing import Share

LOG = logging.getLogger("test")
#: For a busy machine.
WITHIN_S = 30.0


def paired(path: Path) -> Configuration:
    return Configuration(standby=Standby(active_file=str(path)))


def never() -> None:
    raise AssertionError("nothing has changed")


def test_alone_it_is_on_duty() -> None:
    duty = Duty(Configuration(), None, LOG, never)
    assert duty.active
    assert not duty.is_shared
    assert duty.attributes() == {}
    assert duty.refusal == ""


def test_with_a_share() -> None:
    duty = Duty(Configuration(), Share(1, (1.0, 1.0)), LOG, never)
    assert duty.active
    assert duty.is_shared
    assert duty.attributes() == {"dlmsShare": "1 of 2"}


def test_the_file_decides(tmp_path: Path) -> None:
    path = tmp_path / "dlms-active"
    duty = Duty(paired(path), None, LOG, never)
    assert not duty.active
    assert duty.attributes() == {"dlmsRole": "standby"}
    assert str(path) in duty.refusal
    path.touch()
    assert not duty.active  # as it was when it was made
    assert Duty(paired(path), None, LOG, never).attributes() == {"dlmsRole": "active"}


@pytest.mark.parametrize("there", [False, True])
def test_a_change_is_noticed(tmp_path: Path, there: bool) -> None:
    path = tmp_path / "dlms-active"
    if there:
        path.touch()
    changed = Event()
    duty = Duty(paired(path), None, LOG, changed.set)
    duty.begin("DLMS")
    try:
        if there:
            path.unlink()
        else:
            path.touch()
        assert changed.wait(WITHIN_S)
    finally:
        duty.end()


def test_it_is_told_once_in_each_session(tmp_path: Path) -> None:
    sent: list[Any] = []
    session = SimpleNamespace(now=object())
    inner = SimpleNamespace(socket=lambda: session.now)
    client = SimpleNamespace(send_attributes=sent.append, _client=inner)
    gateway = SimpleNamespace(tb_client=None)
    duty = Duty(paired(tmp_path / "dlms-active"), None, LOG, never)
    duty.tell(gateway)
    gateway.tb_client = SimpleNamespace(client=client, is_connected=lambda: True)
    for _ in range(3):
        duty.tell(gateway)
    assert sent == [{"dlmsRole": "standby"}]
    session.now = object()
    duty.tell(gateway)
    assert len(sent) == 2
