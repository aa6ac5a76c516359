"""Backups of a made-up gateway: what is in them, what is refused, and what is put back."""

from __future__ import annotations

import gzip
import io
import json
import shutil
import sqlite3
import tarfile
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from dlms_connector.backup import BackupError, Made, Opened, make, newest_of_one, restore
from dlms_connector.backup.archive import MANIFEST
from dlms_connector.state import copies, gateways_place
from tests.support.installed import CLEAR, Gateway, open_records

NOW = datetime(2026, 11, 27, 2, 30, tzinfo=timezone.utc)


@pytest.fixture
def gateway(tmp_path: Path) -> Gateway:
    return Gateway(tmp_path / "host")


def backed_up(gateway: Gateway, **more: Any) -> Made:
    return make(gateway.config, gateway.state, gateway.root / "backups", **more)


def rewritten(path: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    """Return a copy of an archive with another manifest."""
    new = path.with_name("changed.tar.gz")
    with tarfile.open(path) as old, tarfile.open(new, "w:gz") as made:
        for member in old:
            stream = old.extractfile(member)
            assert stream is not None
            content = stream.read()
            if member.name == MANIFEST:
                manifest = json.loads(content)
                change(manifest)
                content = json.dumps(manifest).encode()
            member.size = len(content)
            made.addfile(member, io.BytesIO(content))
    return new


def test_it_is_private_and_whole_and_leaves_nothing_else_behind(gateway: Gateway) -> None:
    made = backed_up(gateway)
    folder = made.path.parent
    assert folder.stat().st_mode & 0o777 == 0o700
    assert made.path.stat().st_mode & 0o777 == 0o600
    assert [path for path in folder.iterdir() if path.suffix != ".lock"] == [made.path]
    opened = Opened.of(made.path)
    assert opened.manifest == made.manifest
    assert opened.manifest.counters == 1
    assert opened.has_records
    names = set(opened.manifest.files)
    assert {"config/dlms.json", "config/fleet.csv", "state/counters.json"} <= names
    assert not any("configuration-" in name or "installation" in name for name in names)


def test_no_secret_is_in_it_unless_asked_for(gateway: Gateway) -> None:
    made = backed_up(gateway)
    content = gzip.decompress(made.path.read_bytes())
    for secret in CLEAR:
        assert secret.encode() not in content
    assert b"${file:house-2.key}" in content
    assert {one.path for one in made.left_out} == {
        "devices[0].dlms.password",
        "devices[0].dlms.pasword",
        "platform.password",
        "fleet.csv row 2, dlms.password",
        "fleet.csv row 3 (it is out of step)",
    }
    content = gzip.decompress(backed_up(gateway, with_secrets=True).path.read_bytes())
    for secret in CLEAR:
        assert secret.encode() in content
    assert b"the-token" not in content


@pytest.mark.parametrize(
    "section",
    [
        {"dlms": {"password": ["of-house-7"]}},
        {"dlms": {"pasword": 12345678}},
        {"dlms": {"pw": {"low": ["of-house-7"]}}},
        {"dlms": {"blockCipherKey": 12345678}},
        {"platform": {"url": "https://tb.example.com", "pasword": "of-house-7"}},
    ],
    ids=["a list", "a number", "an object", "a number as key", "of the platform"],
)
def test_what_may_be_a_secret_in_a_wrong_place_is_left_out(
    gateway: Gateway, section: dict[str, Any]
) -> None:
    (gateway.config / "dlms.json").write_text(
        json.dumps({"devices": [{"deviceName": "A"}, section]})
    )
    made = backed_up(gateway)
    content = gzip.decompress(made.path.read_bytes())
    assert b"of-house-7" not in content
    assert b"12345678" not in content
    assert len([one for one in made.left_out if "fleet.csv" not in one.path]) == 1


def test_what_is_no_secret_stays(gateway: Gateway) -> None:
    dlms = {
        "modeE": {"address": "12345678", "startBaudrate": 300},
        "timeZone": "Europe/Berlin",
        "clientAdress": 16,
        "password": "${env:METER_A}",
    }
    document = {"devices": [{"deviceName": "A", "dlms": dlms}]}
    (gateway.config / "dlms.json").write_text(json.dumps(document))
    opened = Opened.of(backed_up(gateway).path)
    assert json.loads(opened.contents["config/dlms.json"]) == document


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("dlms.json", '{"dlms": {"password": "x", "password": "${env:METER_A}"}}', "'password' is"),
        ("dlms.json", '{"devices": [', "no valid JSON"),
        ("fleet.csv", "A;10.0.0.1;of-house-7\nB;10.0.0.2;of-house-8\n", "deviceName"),
        ("fleet.csv", 'deviceName;dlms.password\nA;"of-house-7\n', "no table"),
    ],
    ids=["a key twice", "half of it", "no heading", "an open quote"],
)
def test_nothing_is_kept_of_which_it_is_not_known_what_is_secret(
    gateway: Gateway, name: str, text: str, told: str
) -> None:
    document = {"devicesFile": "fleet.csv", "devices": []}
    (gateway.config / "dlms.json").write_text(json.dumps(document))
    (gateway.config / name).write_text(text)
    with pytest.raises(BackupError, match=told):
        backed_up(gateway)
    assert not list((gateway.root / "backups").glob("*.tar.gz"))


def test_a_configuration_without_secrets_is_kept_octet_by_octet(gateway: Gateway) -> None:
    text = '{ "devices":\n\n [] ,  "journal": false}'
    (gateway.config / "dlms.json").write_text(text)
    assert Opened.of(backed_up(gateway).path).contents["config/dlms.json"] == text.encode()


def test_what_was_left_out_is_looked_for_in_a_file(gateway: Gateway, tmp_path: Path) -> None:
    made = backed_up(gateway)
    other = Gateway(tmp_path / "other", empty=True)
    restore(Opened.of(made.path), other.config)
    document = json.loads((other.config / "dlms.json").read_text())
    assert document["devices"][0]["dlms"]["password"] == "${file:restored/House_1-password}"
    assert (other.config / "dlms.json").stat().st_mode & 0o777 == 0o600
    entries = json.loads((other.config / "tb_gateway.json").read_text())["connectors"]
    assert entries == [
        {"type": "custom", "name": "DLMS", "class": "DLMSConnector", "configuration": "dlms.json"}
    ]


def test_the_records_of_a_gateway_that_writes(gateway: Gateway, tmp_path: Path) -> None:
    with open_records(gateway.state) as records:
        before = records.size()
        made = backed_up(gateway)
    other = Gateway(tmp_path / "other", empty=True)
    restore(Opened.of(made.path), other.config)
    with open_records(other.state, fill=False) as restored:
        assert restored.size() == before


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda content: content[: len(content) // 2], "damaged"),
        (lambda content: content[:-8], "damaged"),
        (lambda content: content[:-6] + b"\0\0\0\0\0\0", "damaged"),
        (lambda content: b"not an archive", "no backup"),
        (lambda content: gzip.compress(b"nor this"), "no backup"),
        (lambda content: gzip.compress(gzip.decompress(content).replace(b'"serial"', b'"SERIAL"')),
         "is not as the manifest says"),
    ],
)  # fmt: skip
def test_a_damaged_one_is_refused(
    gateway: Gateway, spoil: Callable[[bytes], bytes], told: str
) -> None:
    made = backed_up(gateway)
    made.path.write_bytes(spoil(made.path.read_bytes()))
    with pytest.raises(BackupError, match=told):
        Opened.of(made.path)


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        ({"version": 2, "connector": "9.0"}, "newer version of the connector .9.0, format 2."),
        ({"format": "something else"}, "not that of a backup"),
        ({"created": "yesterday"}, "makes no sense"),
        ({"files": {}}, "not as the manifest says"),
        ({"counters": float("inf")}, "makes no sense"),
        ({"devicesFile": 5}, "makes no sense"),
        ({"entry": ["x"]}, "makes no sense"),
        ({"entry": {"name": "\ud800"}}, "makes no sense"),
        ({"recordsVersion": "1"}, "makes no sense"),
    ],
)
def test_a_foreign_or_newer_one_is_refused(
    gateway: Gateway, keys: Mapping[str, Any], told: str
) -> None:
    changed = rewritten(backed_up(gateway).path, lambda manifest: manifest.update(keys))
    with pytest.raises(BackupError, match=told):
        Opened.of(changed)


@pytest.mark.parametrize(
    "keys", [{"recordsVersion": 99}, {"configuration": "../dlms.json"}, {"devicesFile": "/x.csv"}]
)
def test_one_that_does_not_fit_is_refused_before_anything_changes(
    gateway: Gateway, tmp_path: Path, keys: Mapping[str, Any]
) -> None:
    changed = rewritten(backed_up(gateway).path, lambda manifest: manifest.update(keys))
    other = Gateway(tmp_path / "other", empty=True)
    before = other.everything()
    with pytest.raises(BackupError):
        restore(Opened.of(changed), other.config)
    assert other.everything() == before


def test_a_host_whose_clock_is_behind_is_refused(gateway: Gateway, tmp_path: Path) -> None:
    opened = Opened.of(backed_up(gateway).path)
    other = Gateway(tmp_path / "other", empty=True)
    with pytest.raises(BackupError, match="set the clock first"):
        restore(opened, other.config, now=datetime(2000, 1, 1, tzinfo=timezone.utc))


def test_a_dry_run_changes_nothing(gateway: Gateway, tmp_path: Path) -> None:
    opened = Opened.of(backed_up(gateway).path)
    other = Gateway(tmp_path / "other", empty=True)
    before = other.everything()
    done = restore(opened, other.config, dry_run=True)
    assert other.everything() == before
    assert any("would write" in line and "dlms.json" in line for line in done.lines)
    assert any("would restore the state" in line for line in done.lines)


def test_what_is_replaced_is_kept(gateway: Gateway) -> None:
    opened = Opened.of(backed_up(gateway).path)
    for name in ("dlms.json", "fleet.csv"):
        (gateway.config / name).write_text(
            '{"devices": []}' if name == "dlms.json" else "deviceName\n"
        )
    restore(opened, gateway.config, now=NOW + timedelta(days=9999))
    kept = sorted(path.name for path in gateway.config.glob("*.bak"))
    assert [name.split(".")[0] for name in kept] == ["dlms", "fleet"]


def test_state_that_is_there_and_whole_does_not_go_back(gateway: Gateway) -> None:
    opened = Opened.of(backed_up(gateway).path)
    with open_records(gateway.state) as records:
        now = records.size()
    done = restore(opened, gateway.config)
    assert (done.same, done.counters) == (True, 0)
    with open_records(gateway.state, fill=False) as records:
        assert records.size() == now


def test_damaged_records_are_replaced_and_kept(gateway: Gateway) -> None:
    opened = Opened.of(backed_up(gateway).path)
    (gateway.state / "records.sqlite").write_bytes(b"no database")
    restore(opened, gateway.config)
    with sqlite3.connect(gateway.state / "records.sqlite") as connection:
        assert connection.execute("PRAGMA quick_check").fetchone() == ("ok",)
    (kept,) = gateway.state.glob("records.sqlite.*.bak")
    assert kept.read_bytes() == b"no database"


def test_the_gateway_follows_to_where_it_was_restored(gateway: Gateway, tmp_path: Path) -> None:
    opened = Opened.of(backed_up(gateway).path)
    other = Gateway(tmp_path / "other", empty=True)
    done = restore(opened, other.config)
    assert gateways_place(None, {}, other.config, "DLMS") == done.state


def test_a_folder_that_was_lost_is_made_anew(gateway: Gateway) -> None:
    opened = Opened.of(backed_up(gateway).path)
    shutil.rmtree(gateway.state)
    done = restore(opened, gateway.config)
    assert (done.state, done.same, done.counters) == (gateway.state, False, 1)
    assert gateways_place(None, {}, gateway.config, "DLMS") == gateway.state


def test_rotation_leaves_those_of_others(gateway: Gateway) -> None:
    folder = gateway.root / "backups"
    folder.mkdir()
    others = [folder / "dlms-backup-ffffffff-20200101T000000Z.tar.gz", folder / "holiday.jpg"]
    for path in others:
        path.touch()
    made = [backed_up(gateway, keep=2, now=NOW + timedelta(days=day)) for day in range(4)]
    left = {path for path in folder.iterdir() if not path.name.startswith(".")}
    assert left == {*others, made[2].path, made[3].path}
    assert made[3].removed == (made[1].path,)
    with pytest.raises(BackupError, match="2 installations"):
        newest_of_one(folder)
    others[0].unlink()
    assert newest_of_one(folder) == made[3].path


def test_a_failure_leaves_the_older_ones_and_no_draft(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = backed_up(gateway, keep=1)

    def full(*args: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("dlms_connector.backup.making.copy_records", full)
    with pytest.raises(OSError, match=r"No space left on device: '.*backups'"):
        backed_up(gateway, keep=1)
    left = [path for path in made.path.parent.iterdir() if path.suffix != ".lock"]
    assert left == [made.path]


def test_counters_of_a_backup_are_read_strictly() -> None:
    for bad in (b"[]", b'{"../x": {"number": 1, "written_s": 1}}', b'{"0123456789abcdef": 5}',
                b'{"0123456789abcdef": {"number": -1, "written_s": 1}}',
                b'{"0123456789abcdef": {"number": 1, "written_s": 1e99}}'):  # fmt: skip
        with pytest.raises(ValueError, match="it "):
            copies.of_json(bad)
