import os
from pathlib import Path
from typing import Any

import pytest
from pydantic.alias_generators import to_snake

from dlms_connector.config.backup import Backup
from dlms_connector.config.loading import Loaded, load
from dlms_connector.config.model import Dlms
from dlms_connector.config.secret import Secret, SecretSource, find_below, holds_reference

TREASURE = "s3cr3t-Treasure"


def loaded_with(base: Path, secrets_directory: str | None = None, **dlms: Any) -> Loaded:
    device = {"deviceName": "m", "connection": {"host": "h"}, "dlms": dlms}
    return load({"devices": [device], "secretsDirectory": secrets_directory}, base=base)


def dlms_of(loaded: Loaded) -> Dlms:
    assert loaded.every_problem == ()
    return loaded.configuration.devices[0].dlms


@pytest.fixture
def secrets(tmp_path: Path) -> Path:
    (tmp_path / "secrets").mkdir()
    return tmp_path / "secrets"


def test_a_secret_does_not_print() -> None:
    secret = Secret(TREASURE.encode())
    texts = [
        repr(secret),
        str(secret),
        f"{secret}",
        f"{secret!r:>40}",
        str([secret]),
    ]
    assert not any("Treasure" in text for text in texts)
    assert secret == TREASURE.encode()


def test_a_model_does_not_print_its_secrets() -> None:
    dlms = Dlms.model_validate({"password": TREASURE, "blockCipherKey": "ab" * 16})
    texts = [repr(dlms), str(dlms), dlms.model_dump_json(), repr(dlms.model_dump())]
    assert not any("Treasure" in text or "abab" in text for text in texts)


def test_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("METER_1", "öffne")
    monkeypatch.setenv("DLMS_KEY", "00" * 15 + "0A")
    dlms = dlms_of(
        loaded_with(tmp_path, password="${env:METER_1}", blockCipherKey="${env:DLMS_KEY}")
    )
    assert dlms.password == "öffne".encode()
    assert dlms.block_cipher_key == bytes(15) + b"\n"


@pytest.mark.parametrize("name", ["HOME", "PATH", "METER", "dlms_x", "METER_A B", "XDLMS_A", ""])
def test_other_environment_names_are_refused(name: str, tmp_path: Path) -> None:
    (problem,) = loaded_with(tmp_path, password=f"${{env:{name}}}").every_problem
    assert problem == (
        "devices[0].dlms.password: "
        "the name of an environment variable must begin with DLMS_ or METER_"
    )


def test_a_variable_that_is_not_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("METER_GONE", raising=False)
    (problem,) = loaded_with(tmp_path, password="${env:METER_GONE}").every_problem
    assert "METER_GONE is not set" in problem


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n"])
def test_file(secrets: Path, end: bytes) -> None:
    (secrets / "one").write_bytes(b" \xff pass" + end)
    dlms = dlms_of(loaded_with(secrets.parent, password="${file:one}"))
    assert dlms.password == b" \xff pass"


def test_files_in_folders_and_by_absolute_path(secrets: Path) -> None:
    (secrets / "house").mkdir()
    (secrets / "house/1").write_text("a")
    for name in ("house/1", str(secrets / "house/1"), "house/../house/1"):
        assert dlms_of(loaded_with(secrets.parent, password=f"${{file:{name}}}")).password == b"a"


def test_hexadecimal_passwords(secrets: Path) -> None:
    (secrets / "one").write_text("hex:00ff\n")
    assert dlms_of(loaded_with(secrets.parent, password="${file:one}")).password == b"\0\xff"
    assert dlms_of(loaded_with(secrets.parent, password="hex:3132 33")).password == b"123"


def test_links_within_the_folder_are_followed(secrets: Path) -> None:
    (secrets / "..data").mkdir()  # as Kubernetes mounts secrets
    (secrets / "..data/one").write_text("a")
    (secrets / "one").symlink_to("..data/one")
    assert dlms_of(loaded_with(secrets.parent, password="${file:one}")).password == b"a"


@pytest.mark.parametrize("name", ["../outside", "link", "folder/outside", "{base}/outside"])
def test_nothing_leads_out_of_the_folder(name: str, secrets: Path) -> None:
    base = secrets.parent
    (base / "outside").write_text(TREASURE)
    (secrets / "link").symlink_to(base / "outside")
    (secrets / "folder").symlink_to(base)
    reference = "${file:" + name.format(base=base) + "}"
    (problem,) = loaded_with(base, password=reference).every_problem
    assert "does not lie under" in problem
    assert TREASURE not in problem


@pytest.mark.parametrize("name", ["missing", ".", "", "a\0b", "x" * 5000])
def test_what_is_no_file_is_refused(name: str, secrets: Path) -> None:
    (problem,) = loaded_with(secrets.parent, password=f"${{file:{name}}}").every_problem
    assert problem.startswith("devices[0].dlms.password: ")


def test_large_and_empty_files_are_refused(secrets: Path) -> None:
    (secrets / "large").write_text(TREASURE * 1000)
    (secrets / "empty").write_text("\n")
    (large,) = loaded_with(secrets.parent, password="${file:large}").every_problem
    (empty,) = loaded_with(secrets.parent, password="${file:empty}").every_problem
    assert "larger than 4096 bytes" in large
    assert empty.endswith("must not be empty")
    assert TREASURE not in large


def test_pipes_do_not_block(secrets: Path) -> None:
    os.mkfifo(secrets / "pipe")
    assert loaded_with(secrets.parent, password="${file:pipe}").every_problem


def test_another_folder_of_secrets(tmp_path: Path) -> None:
    (tmp_path / "config/vault").mkdir(parents=True)
    (tmp_path / "config/vault/one").write_text("inside")
    (tmp_path / "meter-secrets").mkdir()
    (tmp_path / "meter-secrets/one").write_text("beside")
    for folder, content in (("vault", b"inside"), (str(tmp_path / "meter-secrets"), b"beside")):
        loaded = loaded_with(tmp_path / "config", folder, password="${file:one}")
        assert dlms_of(loaded).password == content


@pytest.mark.parametrize("folder", ["/", "/etc", "..", "/proc/self", "a\0b"])
def test_the_host_does_not_become_a_folder_of_secrets(folder: str, tmp_path: Path) -> None:
    loaded = loaded_with(tmp_path, folder, password="${file:hostname}")
    assert loaded.problems[0].startswith("secretsDirectory: ")
    assert not loaded.configuration.devices


@pytest.mark.parametrize(
    "dlms",
    [
        {"password": TREASURE, "clientAddress": 0},
        {"password": {"text": TREASURE}},
        {"password": [TREASURE]},
        {"password": TREASURE + "${env:X}"},
        {"password": "hex:" + TREASURE},
        {"authenticationKey": TREASURE},
        {"blockCipherKey": TREASURE + "00"},
        {"signingKey": TREASURE},
        {"dedicatedKey": "00" * 15, "password": TREASURE},
        {"authentication": "LOWW", "password": TREASURE, "extra": TREASURE},
        {"password": TREASURE + "\ud800"},
        {"password": "${file:" + TREASURE + "}"},
        {"password": "${file:" + TREASURE},
        {"password": "${env:" + TREASURE + "}"},
        {"password": "${" + TREASURE + "}"},
    ],
)
def test_no_problem_shows_a_secret(dlms: dict[str, Any], tmp_path: Path) -> None:
    problems = loaded_with(tmp_path, **dlms).every_problem
    assert problems
    assert not any(TREASURE in problem for problem in problems)


def test_a_found_secret_is_not_shown_when_it_is_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("METER_KEY", TREASURE)
    (problem,) = loaded_with(tmp_path, blockCipherKey="${env:METER_KEY}").every_problem
    assert problem.startswith("devices[0].dlms.blockCipherKey: not hexadecimal")
    assert TREASURE not in problem


def test_checking_only_how_references_are_written() -> None:
    source = SecretSource(environment=None)
    assert source.read("${env:METER_X}") is None
    assert source.read("${file:x}") is None
    with pytest.raises(ValueError, match="must begin with"):
        source.read("${env:HOME}")


def test_a_source_does_not_print_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("METER_1", TREASURE)
    assert TREASURE not in repr(SecretSource())


def test_find_below_takes_the_first_folder_that_has_it(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
    (tmp_path / "b/x").write_text("b")
    folders = [tmp_path / "nowhere", tmp_path / "a", tmp_path / "b"]
    assert find_below(folders, "x") == (tmp_path / "b/x").resolve()
    with pytest.raises(ValueError, match="no such readable file"):
        find_below(folders, "y")


def test_what_looks_like_a_reference() -> None:
    assert holds_reference("${env:X}")
    assert not holds_reference("pa$$word{}")


@pytest.mark.parametrize("key", sorted(field.alias or "" for field in Dlms.model_fields.values()))
@pytest.mark.parametrize(
    "value", [TREASURE, 47_114_711, [TREASURE], {"a": TREASURE}, f"{TREASURE}!", f"LOW {TREASURE}"]
)
def test_a_secret_under_a_wrong_key_is_not_shown(key: str, value: Any, tmp_path: Path) -> None:
    device = {"deviceName": "a", "connection": {"host": "h"}, "dlms": {key: value}}
    for raw in ({"devices": [device]}, {"templates": {"t": {"dlms": device["dlms"]}}}):
        told = " ".join(load(raw, base=tmp_path).every_problem)
        assert TREASURE not in told
        assert "47114711" not in told


@pytest.mark.parametrize("mark", ["enableRemoteLogging", "configVersion"])
@pytest.mark.parametrize("key", ["secretsDirectory", "stateDirectory"])
def test_the_platform_chooses_no_folders(key: str, mark: str, tmp_path: Path) -> None:
    (tmp_path / "backup").mkdir()
    (tmp_path / "backup" / "tb_gateway.json").write_text(TREASURE)
    dlms = {"authentication": "LOW", "password": "${file:tb_gateway.json}"}
    device = {"deviceName": "m", "connection": {"host": "far"}, "dlms": dlms}
    loaded = load({key: "backup", mark: False, "devices": [device]}, base=tmp_path)
    assert loaded.configuration.devices == ()
    assert getattr(loaded.configuration, to_snake(key)) is None
    assert loaded.problems[0].startswith(f"{key}: not taken from a configuration that the platform")
    assert f"DLMS_{to_snake(key).upper()}" in loaded.problems[0]


@pytest.mark.parametrize("mark", ["enableRemoteLogging", "configVersion"])
def test_the_platform_chooses_no_folder_for_backups(mark: str, tmp_path: Path) -> None:
    loaded = load({"backup": {"directory": "/etc", "keep": 2}, mark: False}, base=tmp_path)
    assert loaded.configuration.backup == Backup(keep=2)
    (problem,) = loaded.problems
    assert problem.startswith("backup.directory: not taken from a configuration that the platform")
    assert "DLMS_BACKUP_DIRECTORY" in problem


def test_the_environment_chooses_the_folder_for_backups(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DLMS_BACKUP_DIRECTORY", "/mnt/kept")
    documents: list[dict[str, Any]] = [
        {"backup": {}},
        {"backup": {"directory": "/etc"}, "configVersion": 1},
    ]
    for raw in documents:
        loaded = load({"devices": [], **raw}, base=tmp_path)
        assert loaded.problems == ()
        assert loaded.configuration.backup == Backup(directory="/mnt/kept")


@pytest.mark.parametrize("at", ["24:00", "2:30", "02:60", 230, "noon"])
def test_a_time_of_day(at: object, tmp_path: Path) -> None:
    loaded = load({"backup": {"at": at}}, base=tmp_path)
    assert loaded.configuration.backup is None
    assert "is not a time of day such as 02:30" in loaded.problems[0]


def test_the_environment_chooses_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "m").write_text(TREASURE)
    monkeypatch.setenv("DLMS_SECRETS_DIRECTORY", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("DLMS_STATE_DIRECTORY", str(tmp_path / "state"))
    config = tmp_path / "config"
    config.mkdir()
    loaded = loaded_with(config, authentication="LOW", password="${file:m}")
    assert dlms_of(loaded).password == TREASURE.encode()
    assert loaded.configuration.state_directory == str(tmp_path / "state")


@pytest.mark.parametrize(
    ("lines", "wrong"),
    [
        ("device: m", ""),
        ("host: h", ""),
        ("host: 10.0.0.1\nhost: H", ""),
        ("device: m\nhost: h", ""),
        ("device: other", "device"),
        ("host: 10.0.0.1", "host"),
        ("device: m\nhost: 10.0.0.1", "host"),
        ("device: other\nhost: h", "device"),
    ],
)
def test_a_secret_is_for_the_device_and_host_that_its_file_names(
    lines: str, wrong: str, tmp_path: Path
) -> None:
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "m").write_text(f"{TREASURE}\n{lines}\n")
    loaded = loaded_with(tmp_path, authentication="LOW", password="${file:m}")
    if not wrong:
        assert dlms_of(loaded).password == TREASURE.encode()
        return
    (problem,) = loaded.every_problem
    assert (
        problem
        == f"devices[0].dlms.password: the secret's file says that it is for another {wrong}"
    )


@pytest.mark.parametrize(
    ("connection", "bound"),
    [
        ({"type": "udp", "host": "H"}, "host: h"),
        ({"type": "serial", "port": "/dev/ttyUSB0"}, "host: /dev/ttyUSB0"),
        ({"type": "listen", "peer": "10.0.0.9"}, "host: 10.0.0.9"),
    ],
)
def test_a_secret_is_bound_on_every_kind_of_connection(
    connection: dict[str, str], bound: str, tmp_path: Path
) -> None:
    (tmp_path / "secrets").mkdir()
    device = {"deviceName": "m", "connection": connection}
    device["dlms"] = {"authentication": "LOW", "password": "${file:m}"}
    for line, refused in ((bound, 0), ("host: elsewhere", 1)):
        (tmp_path / "secrets" / "m").write_text(f"{TREASURE}\n{line}\n")
        assert len(load({"devices": [device]}, base=tmp_path).refused) == refused


def test_lines_that_name_nobody_belong_to_the_secret(tmp_path: Path) -> None:
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "m").write_text("first\nsecond: line\n")
    loaded = loaded_with(tmp_path, authentication="LOW", password="${file:m}")
    assert dlms_of(loaded).password == b"first\nsecond: line"
