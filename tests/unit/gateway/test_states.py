"""The state of a meter on the platform: told without haste, and true at the end."""

import logging
from pathlib import Path

import pytest

from dlms_connector.gateway.states import State, States

LOG = logging.getLogger("states")
ONLINE = State("T", "online", "")
SILENT = State("T", "offline", "no reply")


class Platform:
    """What was sent, and which devices the gateway knows."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, str]] = []
        self.known: set[str] = set()
        self.full = False

    def send(self, name: str, state: State) -> bool:
        if not self.full:
            self.sent.append((name, state.state))
            self.known.add(name)
        return not self.full

    def states(self) -> States:
        return States(self.send, self.known.__contains__, LOG)


@pytest.fixture
def platform() -> Platform:
    return Platform()


def test_meters_that_were_never_heard_of_wait_for_values(platform: Platform) -> None:
    states = platform.states()
    for number in range(5000):
        states.put(f"dead{number}", SILENT)
    states.put("good", ONLINE)
    assert platform.sent == [("good", "online")]
    for _ in range(10):
        states.reconcile()
    assert len(platform.sent) == 21
    states.put("dead0", SILENT._replace(state="backoff"))
    assert platform.sent[-1] == ("dead0", "backoff")


def test_the_newest_state_is_told(platform: Platform) -> None:
    states = platform.states()
    states.put("M1", SILENT)
    states.put("M1", SILENT._replace(state="refused"))
    states.put("M2", SILENT)
    states.put("M2", ONLINE)
    states.reconcile()
    states.reconcile()
    assert platform.sent == [("M2", "online"), ("M1", "refused")]


def test_what_a_full_storage_did_not_take_is_told_later(platform: Platform) -> None:
    now = 0.0
    states = States(platform.send, platform.known.__contains__, LOG, clock=lambda: now)
    states.put("M1", ONLINE)
    states.put("M2", ONLINE)
    platform.full = True
    states.put("M1", SILENT)
    states.put("M2", SILENT)
    states.put("M2", ONLINE)
    now = 60.0
    states.reconcile()
    platform.full, now = False, 120.0
    for _ in range(3):
        states.reconcile()
    assert platform.sent[2:] == [("M1", "offline"), ("M2", "online")]


def test_a_deleted_device_gets_its_state_again(platform: Platform) -> None:
    states = platform.states()
    states.put("M1", ONLINE)
    states.again("M1")
    states.again("unknown")
    assert platform.sent == [("M1", "online")] * 2


def test_what_was_told_at_the_end_of_a_connection_is_told_again(platform: Platform) -> None:
    now = 0.0
    states = States(platform.send, platform.known.__contains__, LOG, clock=lambda: now)
    states.put("old", ONLINE)
    now = 1000.0
    for state in (ONLINE, SILENT, ONLINE):
        states.put("young", state)
    platform.sent.clear()
    now = 1060.0
    states.doubt()
    states.doubt()
    states.put("younger", ONLINE)
    for _ in range(3):
        states.reconcile()
    assert platform.sent == [("younger", "online"), ("young", "online")]


def test_what_changed_without_a_connection_is_told_once_more_behind_it(
    platform: Platform,
) -> None:
    """The old and the new state go out together then, and the platform may keep the older one."""
    now = 0.0
    states = States(platform.send, platform.known.__contains__, LOG, clock=lambda: now)
    states.connected()
    for name in ("wavering", "dead", "living"):
        states.put(name, ONLINE)
    now = 1000.0
    states.doubt()
    now = 2000.0
    states.put("wavering", SILENT)
    states.put("dead", SILENT)
    now = 2010.0
    states.put("wavering", ONLINE)
    now = 9000.0
    states.connected()
    platform.sent.clear()
    states.reconcile()
    assert platform.sent == []
    now = 9061.0
    states.put("living", SILENT)
    states.put("living", ONLINE)
    platform.sent.clear()
    states.reconcile()
    now = 9999.0
    states.reconcile()
    assert platform.sent == [("wavering", "online")]


def test_last_words(platform: Platform, tmp_path: Path) -> None:
    states = platform.states()
    states.open(tmp_path / "online.json", ["A", "B", "C"])
    for name in "ABC":
        states.put(name, ONLINE)
    states.put("B", SILENT)
    states.last_words(lambda: True)
    assert platform.sent[-2:] == [("A", "offline"), ("C", "offline")]
    platform.sent.clear()
    platform.states().open(tmp_path / "online.json", [])
    assert platform.sent == []


def test_who_is_not_polled_any_more_is_told_at_the_next_start(
    platform: Platform, tmp_path: Path
) -> None:
    states = platform.states()
    states.open(tmp_path / "online.json", ["A", "B", "C", "D"])
    for name in "ABCD":
        states.put(name, ONLINE)
    states.keep()  # and then the process was killed
    platform.sent.clear()
    states = platform.states()
    states.open(tmp_path / "online.json", ["A"], lambda name: name == "D")
    assert sorted(platform.sent) == [("B", "offline"), ("C", "offline")]
    platform.sent.clear()
    platform.states().open(tmp_path / "online.json", ["A", "B", "C", "D"])
    assert platform.sent == []


def test_without_time_the_rest_is_told_at_the_next_start(
    platform: Platform, tmp_path: Path
) -> None:
    states = platform.states()
    states.open(tmp_path / "online.json", ["A", "B"])
    states.put("A", ONLINE)
    states.put("B", ONLINE)
    moments = iter([True, False])
    states.last_words(lambda: next(moments))
    assert platform.sent[-1] == ("A", "offline")
    platform.sent.clear()
    platform.states().open(tmp_path / "online.json", [])
    assert platform.sent == [("B", "offline")]


def test_where_others_serve_the_same_meters_online_is_told_once_more(platform: Platform) -> None:
    """What the one before told last, that the meter is not polled, may come after it."""
    now = 0.0
    states = States(platform.send, platform.known.__contains__, LOG, shared=True, clock=lambda: now)
    for number in range(30):
        states.put(f"M{number}", ONLINE)
    states.put("M0", SILENT)
    platform.sent.clear()
    now = 59.0
    states.reconcile()
    assert platform.sent == []
    now = 61.0
    states.reconcile()
    states.reconcile()
    assert platform.sent[0] == ("M0", "offline")
    assert platform.sent[1:] == [(f"M{number}", "online") for number in range(1, 30)]
    now = 1000.0
    states.reconcile()
    assert len(platform.sent) == 30


def test_those_that_leave_are_told_so_if_they_were_online(
    platform: Platform, tmp_path: Path
) -> None:
    before = platform.states()
    before.put("earlier", ONLINE)
    before.open(tmp_path / "online.json", ["earlier"])
    before.keep()
    states = platform.states()
    names = ["earlier", "online", "silent", "another", "stays", "waits"]
    platform.known.update(names[:-1])
    states.open(tmp_path / "online.json", names)
    for name in ("online", "another", "stays"):
        states.put(name, ONLINE)
    states.put("silent", SILENT)
    states.put("waits", SILENT)
    platform.sent.clear()
    states.serve(["stays"], {"another"}.__contains__)
    assert sorted(platform.sent) == [("earlier", "offline"), ("online", "offline")]
    for _ in range(30):
        states.reconcile()
    assert len(platform.sent) == 2
    states.serve(["stays"])
    states.serve(["stays", "online"])
    assert len(platform.sent) == 2
    states.again("online")
    states.again("stays")
    assert platform.sent[2:] == [("stays", "online")]
