"""Gateway and commands find one place for the counters of a key, or the command says why not."""

from __future__ import annotations

import errno
import json
import logging
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dlms_connector.errors import RefusedError, UnkeptError
from dlms_connector.gateway.prepared import state_directory
from dlms_connector.obis import Obis
from dlms_connector.state import NoPlace, commands_folder, counter_of, state_folder
from tests.unit.state.test_no_number_twice import counter, device, used

LOG = logging.getLogger("test.place")
STORAGE = {"data_folder_path": "./data/", "data_file_path": "./data/"}


class Site:
    """A gateway's folders, and whoever comes there."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch, layout: str) -> None:
        self._monkeypatch = monkeypatch
        self.config = root / "etc/thingsboard-gateway/config"
        self.runs_in = {"beside": self.config.parent}.get(layout, root / "var/lib/gateway")
        for folder in (self.config, self.runs_in, root / "elsewhere"):
            folder.mkdir(parents=True, exist_ok=True)
        self.elsewhere = root / "elsewhere"
        self.storage: dict[str, Any] = dict(STORAGE)
        self.write_gateway_file()
        known = {self.config: self.runs_in} if layout == "known" else {}
        monkeypatch.setattr(state_folder, "_STARTED_IN", known)
        monkeypatch.setenv("XDG_STATE_HOME", str(root / "home"))
        monkeypatch.delenv("TB_GW_CONFIG_DIR", raising=False)

    def write_gateway_file(self) -> None:
        text = json.dumps({"storage": self.storage})
        (self.config / "tb_gateway.json").write_text(text)

    def gateway(self, configured: str | None = None, name: str = "DLMS") -> Path | None:
        self._monkeypatch.chdir(self.runs_in)
        return state_directory(configured, self.storage, self.config, LOG, name)

    def command(self, configured: str | None = None, config: Path | None = None) -> Any:
        self._monkeypatch.chdir(self.elsewhere)
        return commands_folder(configured, config or self.config)


@pytest.fixture(params=["known", "unknown", "beside"])
def site(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    return Site(tmp_path, monkeypatch, request.param)


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    return Site(tmp_path, monkeypatch, "unknown")


CONFIGURED = [None, "state", "{}/state"]


@pytest.mark.parametrize("configured", CONFIGURED)
@pytest.mark.parametrize("order", ["gcgc", "cgcg", "ccgg"])
def test_whoever_comes_first_all_find_one_place(
    site: Site, configured: str | None, order: str
) -> None:
    configured = configured and configured.format(site.elsewhere)
    come: dict[str, Callable[[str | None], Path | None]] = {"g": site.gateway, "c": site.command}
    places = {come[who](configured) for who in order}
    assert len(places) == 1
    (place,) = places
    assert place is not None
    assert place.is_absolute()
    assert place.is_dir()


def test_the_gateway_started_by_hand_in_another_folder(site: Site) -> None:
    first = site.gateway()
    site.runs_in = site.elsewhere
    assert site.gateway() == first


@pytest.mark.parametrize(
    ("config", "started_in"),
    [("/etc/thingsboard-gateway/config", "/var/lib/thingsboard_gateway"),
     ("/thingsboard_gateway/config", "/")],
)  # fmt: skip
def test_the_gateways_own_packages_are_known(config: str, started_in: str) -> None:
    assert state_folder._STARTED_IN[Path(config)] == Path(started_in)


def test_a_configuration_beside_no_gateway_uses_the_one_of_this_machine(
    elsewhere: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state_folder, "_DEBIAN", elsewhere.config)
    folder = elsewhere.gateway()
    assert elsewhere.command(config=elsewhere.elsewhere) == folder
    monkeypatch.setattr(state_folder, "_DEBIAN", Path("/nowhere"))
    monkeypatch.setenv("TB_GW_CONFIG_DIR", f"{elsewhere.config}/")
    assert elsewhere.command(config=elsewhere.elsewhere) == folder


def refusal(place: Any) -> RefusedError:
    assert isinstance(place, NoPlace)
    made = counter_of(device(), place)
    assert made is not None
    with pytest.raises(RefusedError) as caught:
        made.next()
    return caught.value


def test_a_gateway_in_a_container_whose_folders_are_not_seen_here(elsewhere: Site) -> None:
    folder = elsewhere.gateway()
    assert folder is not None
    folder.rename(folder.with_name("in the container"))
    error = refusal(elsewhere.command())
    assert str(folder) in str(error)
    assert "docker exec" in error.hint
    folder.mkdir()  # another one of the same name
    assert str(folder) in str(refusal(elsewhere.command()))
    assert list(folder.iterdir()) == []


def test_a_configured_directory_that_the_gateway_has_not_taken_yet(elsewhere: Site) -> None:
    before = elsewhere.gateway()
    new = str(elsewhere.elsewhere / "new")
    error = refusal(elsewhere.command(new))
    assert str(before) in str(error)
    assert "restart the gateway" in error.hint
    assert elsewhere.gateway(new) == Path(new)
    assert elsewhere.command(new) == Path(new)


@pytest.mark.parametrize("back", [False, True])
def test_a_changed_state_directory_goes_on(elsewhere: Site, back: bool) -> None:
    numbers: list[int] = []
    for configured in (None, str(elsewhere.elsewhere / "new"), None if back else "third"):
        folder = elsewhere.gateway(configured)
        assert folder is not None
        numbers += used(counter(folder), 150)
    assert len(numbers) == 450
    assert len(set(numbers)) == 450


def test_a_new_folder_on_a_full_disk_is_used_and_noted_later(
    elsewhere: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    (elsewhere.runs_in / "data/dlms").mkdir(parents=True, mode=0o700)
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", no_room)
        folder = elsewhere.gateway()
        assert folder is not None
        with pytest.raises(UnkeptError, match="No space left"):
            counter(folder).next()
    assert [*folder.glob("installation*")] == []
    numbers = used(counter(folder))
    assert elsewhere.gateway() == folder
    assert len({*numbers, *used(counter(folder))}) == 2 * len(numbers)
    assert elsewhere.command() == folder


def test_a_lost_folder_on_a_full_disk_is_not_believed(
    elsewhere: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = elsewhere.gateway()
    assert folder is not None
    vanish(folder)
    monkeypatch.setattr(os, "fsync", no_room)
    assert elsewhere.gateway() is None


def no_room(descriptor: int) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def vanish(folder: Path) -> None:
    shutil.rmtree(folder)


def be_restored(folder: Path) -> None:
    """A backup that is older than the counter."""
    backup = folder.with_name("backup")
    shutil.copytree(folder, backup, ignore=shutil.ignore_patterns("counter-*"))
    shutil.rmtree(folder)
    shutil.copytree(backup, folder)


@pytest.mark.parametrize("happen", [vanish, be_restored], ids=lambda one: one.__name__)
def test_a_lost_folder_does_not_begin_anew(elsewhere: Site, happen: Callable[[Path], None]) -> None:
    """Such as that of a container that was made anew."""
    folder = elsewhere.gateway()
    assert folder is not None
    numbers = used(counter(folder))
    happen(folder)
    again = elsewhere.gateway()
    assert again == folder
    with pytest.raises(RefusedError, match="unknown where to go on") as caught:
        counter(folder).next()
    assert "dlms.invocationCounter" in caught.value.hint
    assert "delete" not in caught.value.hint
    told = counter(folder, invocation_counter=Obis.parse("0-0:43.1.0"))
    assert not told.known
    told.learn(numbers[-1] - 2)
    numbers += used(told)
    assert len(set(numbers)) == 10
    assert elsewhere.command() == folder


@pytest.mark.parametrize("text", ["{", "[" * 100_000, "[]", '{"": 7}', '{"": {"folder": 1}}'])
def test_a_spoilt_note_hinders_nobody(elsewhere: Site, text: str) -> None:
    (elsewhere.config / ".dlms-state.json").write_text(text)
    folder = elsewhere.gateway()
    assert folder is not None
    assert elsewhere.command() == folder


@pytest.mark.parametrize(
    "spoilt",
    [
        {"users": [1, "connector DLMS"]},
        {"users": [["connector DLMS"]]},
        {"folder": "state\0"},
        {"folder": "\ud800"},
        {"id": 7},
    ],
)
def test_an_entry_that_nobody_has_written_hinders_nobody(
    elsewhere: Site, spoilt: dict[str, Any]
) -> None:
    elsewhere.gateway()
    note = elsewhere.config / ".dlms-state.json"
    ((key, entry),) = json.loads(note.read_text()).items()
    note.write_text(json.dumps({key: {**entry, **spoilt}}))
    elsewhere.command()
    assert elsewhere.command() == elsewhere.gateway()


def test_two_connectors_with_a_place_each(elsewhere: Site) -> None:
    names = [None, str(elsewhere.elsewhere / "north")]
    for _ in range(2):
        places = [elsewhere.gateway(name, f"DLMS {name}") for name in names]
        assert len(set(places)) == 2
    assert [elsewhere.command(name) for name in names] == places


def test_what_was_heard_is_carried_over_once(elsewhere: Site) -> None:
    """Each start takes over what the other connector's folder has, which has it from here."""
    names = [None, str(elsewhere.elsewhere / "north")]
    places = [elsewhere.gateway(name, f"DLMS {name}") for name in names]
    text = "".join(f"{number:016x} {number}\n" for number in range(9))
    for place in places:
        assert place is not None
        (place / "heard-0.log").write_text(text)
    for _ in range(3):
        for name in names:
            elsewhere.gateway(name, f"DLMS {name}")
    assert [(place / "heard-0.log").read_text() for place in places if place] == [text, text]


def test_a_place_that_only_the_gateways_environment_names(elsewhere: Site) -> None:
    """And that was another one before: the folder that was left has no part in it."""
    elsewhere.gateway()
    named = elsewhere.gateway(str(elsewhere.elsewhere / "named"))
    assert elsewhere.command() == named
    back = elsewhere.gateway()
    assert back != named
    assert elsewhere.command() == back
    assert isinstance(elsewhere.command(str(named)), NoPlace)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def as_nobody(ask: Callable[[], object]) -> str:
    """Ask in a process of the user nobody; return the answer as text."""
    reading, writing = os.pipe()
    if (child := os.fork()) == 0:
        try:
            os.setgid(65534)
            os.setuid(65534)
            answer = repr(ask())
        except BaseException as error:
            answer = repr(error)
        os.write(writing, answer.encode()[:4000])
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as answered:
        answer = answered.read()
    os.waitpid(child, 0)
    return answer


@pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes another user")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@pytest.mark.parametrize("layout", ["known", "unknown", "beside"])
@pytest.mark.parametrize("configured", CONFIGURED)
@pytest.mark.parametrize("ran_before", [False, True])
def test_another_user_is_told_as_whom_to_run(
    open_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    layout: str,
    configured: str | None,
    ran_before: bool,
) -> None:
    site = Site(open_folder, monkeypatch, layout)
    configured = configured and configured.format(site.runs_in)
    if ran_before:
        site.gateway(configured)
    answer = as_nobody(lambda: site.command(configured))
    assert answer.startswith("NoPlace(")
    assert "root" in answer
    assert not (site.elsewhere / "state").exists()
    assert site.gateway(configured) == site.command(configured)
