"""Targets on the disk: state, records, backups and the gateway's own files, after damage."""

from __future__ import annotations

import gzip
import io
import json
import logging
import shutil
import tarfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import datetime, timezone
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from dlms_connector.backup import Opened, make, restore
from dlms_connector.backup.archive import MANIFEST, BackupError
from dlms_connector.backup.making import COUNTERS
from dlms_connector.commands.kept import Kept
from dlms_connector.cosem import AttributeRef
from dlms_connector.errors import DlmsError
from dlms_connector.gateway import last_good
from dlms_connector.gateway.remembered import Remembered
from dlms_connector.gateway.states import ONLINE, State, States
from dlms_connector.installation import InstallationError
from dlms_connector.installation.installation import CLASS, install, uninstall
from dlms_connector.obis import Obis
from dlms_connector.protocol.services import Directory
from dlms_connector.records import Entry, Records, RecordsError, Slice, Source
from dlms_connector.state import (
    InvocationCounter,
    PushedCounters,
    ShortNameFile,
    begin_tenure,
    commands_folder,
    copies,
    counter_of,
    noted_folders,
)
from dlms_connector.state.heard import Heard
from dlms_connector.state.place import NOTE, Wish, is_lost, settle
from dlms_connector.state.tenure import tenure_of
from tests.fuzz.apdus import device_of, talking
from tests.fuzz.documents import changed, written
from tests.fuzz.files import file, folder
from tests.fuzz.target import Input, Target, WrongError
from tests.support.installed import Gateway, open_records
from tests.support.talks import drive
from tests.unit.state.test_no_number_twice import device

_LOG = logging.getLogger("fuzz.stored")
_LOG.propagate = False
_LOG.addHandler(logging.NullHandler())
#: It would lead a restored state out of the folder of this process.
_ELSEWHERE = b"stateDirectory"
_METER, _OTHER = bytes(range(8)), bytes(8)
_SENDER = "0" * 24


def _fresh(name: str) -> Path:
    """Return an empty folder."""
    path = folder() / name
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(mode=0o700)
    return path


# Files of the state


def _tenure(path: Path) -> None:
    began = tenure_of(path.parent)
    begin_tenure(path.parent, "a share", anew=False)
    if (now := tenure_of(path.parent)) in (None, "unreadable"):
        raise WrongError(f"the tenure is {now} after it has begun, {began} before")


def _heard(path: Path) -> None:
    heard = Heard("M", path, _LOG)
    heard.store()
    before = heard.highest(_METER)
    heard.note(_METER, before + 1, opening=True)
    heard.note(_OTHER, 7, opening=True)
    heard.store()
    again = Heard("M", path, _LOG)
    if again.highest(_METER) != before + 1 or again.highest(_OTHER) < 7:
        raise WrongError("what was heard is forgotten")


def _pushed(path: Path) -> None:
    pushed = PushedCounters(path, _LOG)
    pushed.load()
    before = pushed.highest(_SENDER)
    pushed.note(_SENDER, before + 1)
    pushed.store()
    again = PushedCounters(path, _LOG)
    again.load()
    if again.highest(_SENDER) != before + 1:
        raise WrongError(f"{again.highest(_SENDER)} is kept, {before + 1} was heard")


def _short_names(path: Path) -> None:
    found = ShortNameFile("M", path, _LOG)
    names, versions = found.load()
    found.save(names, versions)
    if found.load() != (names, versions):
        raise WrongError("the short names are not those that were kept")
    directory = Directory()
    directory.remember(names, versions)
    asked = talking(device_of(2), [], directory)
    refs = [AttributeRef(class_id, obis, 2) for class_id, obis in names]
    for talk in (asked.connect, lambda: asked.get(refs[:3]), asked.object_list):
        with suppress(DlmsError):
            drive(talk(), lambda sent: b"")


def _online(path: Path) -> None:
    told: list[tuple[str, State]] = []

    def tell(name: str, state: State) -> bool:
        told.append((name, state))
        return True

    states = States(tell, lambda name: True, _LOG)
    states.open(path, ["M1"])
    states.put("M1", State("meter", ONLINE, ""))
    states.keep()
    if set(Remembered(_LOG).open(path)) != {"M1"}:
        raise WrongError("other meters than M1 count as online")
    if not all(isinstance(state.device_type, str) for _, state in told):
        raise WrongError(f"{told} is told")


def _kept(path: Path) -> None:
    kept = Kept(path.parent, path.name, _LOG)
    before = dict(kept.get("M2"))
    kept.put("M1", {"at": "now"})
    again = Kept(path.parent, path.name, _LOG)
    if again.get("M1") != {"at": "now"} or again.get("M2") != before:
        raise WrongError(f"{again.get('M2')} is kept of M2, {before} was")


def _last_good(path: Path) -> None:
    raw = {"devices": [{"deviceName": "M"}]}
    last_good.keep(raw, path.parent, "C", _LOG)
    if json.loads(path.read_bytes()) != raw:
        raise WrongError("the configuration is not kept")


def _place(path: Path) -> None:
    state = path.parent / "state"
    noted_folders(path.parent)
    for decides in (False, True):
        wish = Wish("", "connector C", state, decides=decides, sure=True)
        found = settle(path.parent, wish)
        if decides and (not isinstance(found, Path) or found not in noted_folders(path.parent)):
            raise WrongError(f"{found} is not noted")
    commands_folder(str(state), path.parent)
    is_lost(state)


def _mark(path: Path) -> None:
    is_lost(path.parent)
    wish = Wish("", "connector C", path.parent, decides=True, sure=True)
    if settle(path.parent, wish) != path.parent or settle(path.parent, wish) != path.parent:
        raise WrongError("the folder is not found again")


#: Each file, what reads it, and what stands in it.
_FILES: tuple[tuple[str, Callable[[Path], None], bytes], ...] = (
    ("tenure.json", _tenure, b'{"share": "a share", "tenure": "0011223344556677"}'),
    ("heard-0.log", _heard, b"0001020304050607 4711\n0000000000000000 5\n"),
    ("pushed-counters.json", _pushed, b'{"highest": {"%s": 4711}}' % _SENDER.encode()),
    ("names-m.json", _short_names, b'{"meter": "M", "objects": [[3, "1-0:1.8.0", 31000, 1], '
     b'[15, "0-0:40.0.0", 64000, 2], [8, "0-0:1.0.0", 65528, 0]]}'),
    ("online-C.json", _online, b'{"M1": "meter", "M2": "meter"}'),
    ("clock-sets.json", _kept, b'{"M1": {"at": "2026-06-01"}, "M2": {"at": "2026-06-02"}}'),
    ("configuration-C.json", _last_good, b'{"devices": [{"deviceName": "M"}]}'),
    (NOTE, _place, b'{"": {"folder": "/dev/shm/state", "id": "00", "users": ["connector C"]}}'),
    ("installation.json", _mark, b'{"id": "0011", "file": "5.7", "lost": false}'),
    (NOTE, _place, b'{"storage ": {"folder": "state", "id": "00", "users": ["commands"]}, '
     b'"x": {"folder": "", "id": "", "users": []}}'),
)  # fmt: skip


def state(octets: bytes) -> None:
    """A file of the state with any content: it is used, or begun anew, and goes on then."""
    source = Input(octets)
    which = source.octet()
    name, use, content = _FILES[which % len(_FILES)]
    path = _fresh("state") / name
    if which & 0x80 and name.endswith(".json"):
        path.write_bytes(written(changed(json.loads(content), source)))
    else:
        path.write_bytes(source.rest())
    use(path)


# Invocation counters

#: The highest number that was used before the damage.
_USED = 5000


def _counter() -> tuple[InvocationCounter, Path]:
    """Return a counter that was used in a fresh folder, and its file."""
    there = _fresh("counters")
    counter = counter_of(device(), there, _LOG)
    assert counter is not None
    counter.learn(_USED - 101)
    while counter.next() < _USED:
        pass
    (path,) = there.glob("counter-*.json")
    return counter, path


def counters(octets: bytes) -> None:
    """One of a counter's two files is spoilt: no number comes twice, or none comes."""
    source = Input(octets)
    which, places = source.octet(), source.octet() % 4
    used, path = _counter()
    del used
    spoilt = path if which & 1 else path.with_suffix(".lock")
    content = bytearray(spoilt.read_bytes())
    for _ in range(places):
        at = source.number() % (len(content) + 1)
        content[at : at + source.octet() % 4] = source.take(source.octet() % 4)
    if which & 8:  # a number that makes sense, and all else as it was
        told = json.loads(path.read_bytes())
        spoilt, content = path, bytearray(written({**told, "next": source.number()}))
    elif which & 2:
        content[:] = source.rest()
    if which & 4:
        spoilt.unlink()
    else:
        spoilt.write_bytes(content)
    counter = counter_of(device(), path.parent, _LOG)
    assert counter is not None
    with suppress(DlmsError):
        if (number := counter.next()) <= _USED:
            raise WrongError(f"{number} comes again, {_USED} was used")


# Records

_PROFILE = Obis.parse("1-0:99.1.0")
_DAY_MS = 86_400_000
_NOW_MS = 20_000 * _DAY_MS
_ROUNDS = 2


@lru_cache(1)
def _recorded() -> tuple[bytes, tuple[int, ...]]:
    """Return a file of records with something in each table, and where it is not zero."""
    there = _fresh("recorded")
    with open_records(there) as records:
        source = Source("M1", _PROFILE)
        for period in (900, 0):
            start = _NOW_MS - period * 4000
            rows = [start + number * 900_000 for number in range(4)]
            part = Slice(source, period, start, start + 3_600_000, tuple(rows))
            kept = records.keep(part, [Entry(source, "meter", at, {"e": 1}) for at in rows])
            records.confirmed([kept[0].number])
            records.refused([kept[1].number], "too large")
        records.journal([Entry(Source("M1", None), "meter", _NOW_MS, {"power": 1.5})])
        records.noted("M1", "0-0:96.1.0 4711", _NOW_MS)
    content = (there / "records.sqlite").read_bytes()
    return content, tuple(at for at, octet in enumerate(content) if octet)


def records(octets: bytes) -> None:
    """A file of records with wrong octets: what it says is used, or it is kept aside at once."""
    source = Input(octets)
    content, places = _recorded()
    spoilt = bytearray(content)
    for _ in range(1 + source.octet() % 6):
        spoilt[places[source.number() % len(places)] + source.octet() % 2 - 1] = source.octet()
    there = _fresh("records")
    (there / "records.sqlite").write_bytes(spoilt)
    damaged = False
    for _ in range(_ROUNDS):
        try:
            opened = Records.open(there / "records.sqlite", _LOG, clock=lambda: _NOW_MS / 1000)
        except RecordsError as error:
            if "newer version" not in error.problem:
                raise
            return
        try:
            damaged = _use(opened, damaged=damaged)
        finally:
            opened.close()


def _use(opened: Records, *, damaged: bool) -> bool:
    """Do all that a gateway does with records; return whether they were found `damaged`, once."""
    one = Source("M1", _PROFILE)
    part = Slice(one, 900, _NOW_MS, _NOW_MS + 900_000, (_NOW_MS,))
    entry = Entry(one, "meter", _NOW_MS, {"e": 2})
    steps: tuple[Callable[[], Any], ...] = (
        opened.pending,
        opened.devices_pending,
        opened.size,
        lambda: opened.known(one),
        lambda: opened.keep(part, [entry]),
        lambda: opened.confirmed([each.number for each in opened.pending()][:2]),
        lambda: opened.missing(one, [_NOW_MS - 900_000]),
        lambda: opened.confirmed_instants(one, 0, _NOW_MS, 900),
        lambda: opened.lost("M1"),
        lambda: opened.trim(oldest_ms=_NOW_MS, most_bytes=0),
        lambda: opened.noted("M1", "0-0:96.1.0 4712", _NOW_MS),
    )
    for step in steps:
        try:
            step()
        except RecordsError:
            if damaged:
                raise
            damaged = True
    return damaged


# Backups

_MADE = datetime(2026, 11, 27, 2, 30, tzinfo=timezone.utc)


@lru_cache(1)
def _backup() -> dict[str, bytes]:
    """Return the members of a backup."""
    gateway = Gateway(_fresh("backed-up") / "host")
    path = make(gateway.config, gateway.state, gateway.root / "backups", now=_MADE).path
    with tarfile.open(path) as archive:
        streams = ((one.name, archive.extractfile(one)) for one in archive)
        return {name: stream.read() for name, stream in streams if stream is not None}


def _archived(members: dict[str, bytes]) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return made.getvalue()


def _promised(members: dict[str, bytes], manifest: Any) -> bytes:
    """Return a manifest with the right checksums of what is there."""
    if isinstance(manifest, dict):
        manifest["files"] = {
            name: {"size": len(content), "sha256": sha256(content).hexdigest()}
            for name, content in members.items()
            if name != MANIFEST
        }
    return json.dumps(manifest).encode("utf-8", "backslashreplace")


def backup(octets: bytes) -> None:
    """A backup that is damaged, or made up: it is put back, or refused before anything changes."""
    source = Input(octets)
    members = dict(_backup())
    what, name = source.octet() % 6, sorted(members)[source.octet() % len(members)]
    if what >= 4:  # of the manifest, or of the counters
        name = (MANIFEST, COUNTERS)[what - 4]
        members[name] = written(changed(json.loads(members[name]), source))
    content = source.rest()
    if _ELSEWHERE in content:
        return
    if what == 0:
        path = file("backup.tar.gz", content)
    else:
        if what == 1 and name != MANIFEST:
            members[name] = content
        elif what == 2:
            members[content.decode("utf-8", "replace")[:200]] = b"1"
        manifest = members[MANIFEST] if what != 3 else content
        with suppress(ValueError, RecursionError):
            manifest = _promised(members, json.loads(manifest))
        members[MANIFEST] = manifest
        path = file("backup.tar.gz", gzip.compress(_archived(members), 1))
    _put_back(path)


def _put_back(path: Path) -> None:
    there = _fresh("restored")
    host = Gateway(there / "host", empty=True)
    before = host.everything()
    try:
        found = Opened.of(path)
    except (BackupError, OSError):
        return
    try:
        restore(found, host.config, dry_run=True, now=_MADE)
        if host.everything() != before:
            raise WrongError("a dry run has changed something")
        restore(found, host.config, now=_MADE)
    except BackupError:
        pass
    except (InstallationError, OSError):
        return
    if {one.name for one in there.iterdir()} != {"host"}:
        raise WrongError("something was put beside the gateway's folder")


# The gateway's own file


def gateway_file(octets: bytes) -> None:
    """The gateway's `tb_gateway.json`: installed and uninstalled, all else is as it was."""
    there = _fresh("gateway")
    (there / "extensions").mkdir()
    main = there / "config" / "tb_gateway.json"
    main.parent.mkdir()
    main.write_bytes(octets)
    with suppress(OSError, ValueError):
        copies.state_folder_of(None, main.parent)
    try:
        changes = install(main.parent, there / "extensions")
    except InstallationError:
        return
    for one in changes:
        if one.path == main and one.new is not None:
            main.write_bytes(one.new.encode())
    before, after = json.loads(octets), json.loads(main.read_bytes())
    rest = [each for each in after.pop("connectors") if not _is_ours(each)]
    kept = [each for each in before.pop("connectors", []) if not _is_ours(each)]
    if (repr(before), repr(kept)) != (repr(after), repr(rest)):
        raise WrongError(f"{after} and {rest} is what became of {before} and {kept}")
    uninstall(main.parent, there / "extensions")


def _is_ours(entry: Any) -> bool:
    return isinstance(entry, dict) and (
        entry.get("class") == CLASS
        or (not entry.get("class") and str(entry.get("type")).lower() == "dlms")
    )


# Seeds


def _of_state() -> Iterator[bytes]:
    for number, (_, _, content) in enumerate(_FILES):
        changes = -128 % len(_FILES) + number + 0x80
        for what in range(6):
            yield bytes((changes, 1, 0, 1, what, 13, 2, 0, 1, 1, 0, what, 2))
        yield bytes((number,)) + content
        yield bytes((number,)) + content[: len(content) // 2]


def _of_counters() -> Iterator[bytes]:
    content = _counter()[1].read_bytes()
    for number in (0, 1, _USED - 4000, _USED, _USED + 50):
        yield bytes((8, 0, *divmod(number, 256)))
    for which in range(6):
        yield bytes((which, 0)) + content
        yield bytes((which, 2, 0, 40, 1, 1, 0x39, 0, 2, 1, 1, 0x31))


def _of_records() -> Iterator[bytes]:
    for number in range(40):
        yield bytes((2, *divmod(number * 97, 256), 1, 0x31, *divmod(number * 31, 256), 1, 0xFF))


def _of_backups() -> Iterator[bytes]:
    members = _backup()
    for some in ({}, {MANIFEST: members[MANIFEST]}, {"x": b"x"}):
        yield b"\0\0" + gzip.compress(_archived(some), 9)
    for number, name in enumerate(sorted(members)):
        if len(members[name]) < 2000:
            yield bytes((1, number)) + members[name]
    for name in ("config/../x.json", "state/online-../x.json", "/etc/x", "state/names-ä\0.json"):
        yield b"\2\0" + name.encode()
    yield b"\3\0" + members[MANIFEST]
    for what in range(6):
        yield bytes((4, 0, 1, what, 1, what, 13, 2, 3, 1, 0, what, 2))
        yield bytes((5, 0, 1, 0, 1, what, 13, 2, 0, 1, 1, what, 26))


def _of_gateway_files() -> Iterator[bytes]:
    yield b'{"thingsboard": {"host": "h"}, "connectors": [{"type": "mqtt", "name": "x"}]}'
    yield b'{\r\n  "storage": {"type": "memory"},\r\n  "connectors": []\r\n}\r\n'
    yield b'{"connectors":[\n\t{"type":"dlms","name":"D","configuration":"d.json"},\n\t{"a":1}\n]}'
    yield b'{"storage": {"data_folder_path": "./data/"}}'


_JSON = tuple(
    text.encode()
    for text in (
        '"', "{", "}", "[", "]", ":", ",", "null", "true", "1e999", "-1", '"\\ud800"', "\\u0000",
        "NaN", '"share"', '"tenure"', '"highest"', '"objects"', '"folder"', '"id"', '"users"',
        '"lost"', '"file"', '"next"', '"stamp"', '"counter"', '"skipped"', '"connectors"',
        '"class"', '"DLMSConnector"', '"configuration"', '"storage"', '"data_folder_path"',
        "9" * 400, '"number"', '"written_s"', '"entry"', '"devicesFile"', '"recordsVersion"',
    )
)  # fmt: skip

TARGETS = (
    Target("state", "files of the state", state, _of_state, _JSON, short=480),
    Target("counters", "files of a counter, one spoilt", counters, _of_counters, short=160),
    Target("records", "the file of records, spoilt", records, _of_records, longest=64, short=48),
    Target("backup", "a backup to put back", backup, _of_backups, _JSON, 4096, short=64),
    Target(
        "gateway-file", "the gateway's configuration", gateway_file, _of_gateway_files, _JSON,
        short=480,
    ),
)  # fmt: skip
