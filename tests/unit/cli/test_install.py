"""A gateway's folders before and after `install` and `uninstall`."""

import errno
import json
import os
import re
import shutil
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from dlms_connector.cli import install, uninstall
from dlms_connector.installation import installation
from tests.support.places import GATEWAY_CONFIG

TOKEN = "s3cr3t-t0ken"
MAIN = (
    "{\n"
    '  "thingsboard": {"host":   "tb.example", "security": '
    f'{{"type": "accessToken", "accessToken": "{TOKEN}"}}}},\n'
    '  "storage": {"type": "memory"},\n'
    '  "connectors": []\n'
    "}\n"
)


@pytest.fixture
def gateway(tmp_path: Path) -> Path:
    config = tmp_path / "config"
    config.mkdir()
    (config / "tb_gateway.json").write_text(MAIN)
    (tmp_path / "extensions").mkdir()
    return tmp_path


def run(command: str, gateway: Path, *options: str) -> Result:
    module = {"install": install, "uninstall": uninstall}[command]
    arguments = ["--gateway-config", str(gateway / "config"), *options]
    result = CliRunner().invoke(module.command, arguments)
    assert TOKEN not in result.output
    return result


def files(gateway: Path) -> dict[str, str]:
    return {
        str(path.relative_to(gateway)): path.read_text()
        for path in sorted(gateway.rglob("*"))
        if path.is_file() and path.suffix != ".bak"
    }


def entries(gateway: Path) -> list[dict[str, str]]:
    found: list[dict[str, str]] = json.loads((gateway / "config/tb_gateway.json").read_text())[
        "connectors"
    ]
    return found


@pytest.mark.parametrize("name", ["d" * 300 + ".json", "d\0.json", "tb_gateway.json/d.json"])
def test_a_configuration_that_no_file_can_be_is_told(gateway: Path, name: str) -> None:
    entry = {"type": "custom", "name": "DLMS", "class": "DLMSConnector", "configuration": name}
    text = MAIN.replace("[]", json.dumps([entry]))
    (gateway / "config/tb_gateway.json").write_text(text)
    for command in ("install", "uninstall"):
        result = run(command, gateway)
        assert result.exit_code == 1
        assert isinstance(result.exception, SystemExit)
        assert f"tb_gateway.json: the connector's configuration '{name[0]}" in result.output
        assert "name a file in this folder" in result.output
        assert "d" * 100 not in result.output
    assert files(gateway) == {"config/tb_gateway.json": text}


def test_install_adds_shims_entry_and_example(gateway: Path) -> None:
    assert run("install", gateway).exit_code == 0
    assert entries(gateway) == [
        {
            "type": "custom",
            "name": "DLMS",
            "class": "DLMSConnector",
            "configuration": "dlms.json",
        }
    ]
    found = files(gateway)
    for folder in ("custom", "dlms"):
        shim = f"extensions/{folder}/dlms_extension.py"
        assert found[shim] == (GATEWAY_CONFIG / shim).read_text()
    assert found["config/dlms.json"] == (GATEWAY_CONFIG / "dlms.json").read_text()
    schema = (GATEWAY_CONFIG / "dlms.schema.json").read_text()
    assert found["config/dlms.schema.json"] == schema
    # The rest of the file is as it was, alignment included.
    assert '{"host":   "tb.example", ' in found["config/tb_gateway.json"]


def test_install_again_does_nothing(gateway: Path) -> None:
    run("install", gateway)
    before = {path: path.stat().st_mtime_ns for path in gateway.rglob("*")}
    result = run("install", gateway)
    assert (result.exit_code, result.output) == (0, "nothing to do\n")
    assert {path: path.stat().st_mtime_ns for path in gateway.rglob("*")} == before


def test_backup_of_what_is_changed_and_of_nothing_else(gateway: Path) -> None:
    run("install", gateway)
    (backup,) = gateway.rglob("*.bak")
    assert re.fullmatch(r"tb_gateway\.json\.\d{8}T\d{6}\.bak", backup.name)
    assert backup.read_text() == MAIN


def test_uninstall_takes_back_everything(gateway: Path) -> None:
    before = files(gateway)
    run("install", gateway)
    assert run("uninstall", gateway).exit_code == 0
    assert files(gateway) == before
    assert not list((gateway / "extensions").iterdir())
    assert run("uninstall", gateway).output == "nothing to do\n"


def test_uninstall_leaves_what_somebody_worked_on(gateway: Path) -> None:
    run("install", gateway)
    other = gateway / "extensions/custom/mine.py"
    other.write_text("# mine\n")
    own = gateway / "config/dlms.json"
    own.write_text('{"devices": []}')
    run("uninstall", gateway)
    assert other.exists()
    assert own.read_text() == '{"devices": []}'
    assert not (gateway / "extensions/custom/dlms_extension.py").exists()


def test_uninstall_takes_an_example_to_which_the_gateway_added_its_id(gateway: Path) -> None:
    run("install", gateway)
    own = gateway / "config/dlms.json"
    own.write_text(json.dumps({**json.loads(own.read_text()), "id": "4711"}))
    run("uninstall", gateway)
    assert not own.exists()


def test_install_keeps_a_configuration_and_other_connectors(gateway: Path) -> None:
    main = gateway / "config/tb_gateway.json"
    main.write_text(MAIN.replace("[]", '[\n    {"type": "mqtt", "name": "M"}\n  ]'))
    (gateway / "config/dlms.json").write_text("{}")
    run("install", gateway, "--type", "dlms")
    assert [entry["type"] for entry in entries(gateway)] == ["mqtt", "dlms"]
    assert (gateway / "config/dlms.json").read_text() == "{}"


def test_type_of_an_entry_changes_only_when_asked(gateway: Path) -> None:
    run("install", gateway, "--type", "dlms")
    assert run("install", gateway).output == "nothing to do\n"
    assert entries(gateway)[0]["type"] == "dlms"
    run("install", gateway, "--type", "custom")
    assert entries(gateway)[0]["type"] == "custom"
    assert len(entries(gateway)) == 1


def test_dry_run_shows_a_diff_and_changes_nothing(gateway: Path) -> None:
    before = files(gateway)
    result = run("install", gateway, "--dry-run")
    assert files(gateway) == before
    assert '+      "class": "DLMSConnector",' in result.output
    assert "dry run: 5 files would change" in result.output
    run("install", gateway)
    result = run("uninstall", gateway, "--dry-run")
    assert '-      "class": "DLMSConnector",' in result.output
    assert "config/dlms.json" in str(files(gateway))


def test_dry_run_hides_the_token_of_a_file_in_one_line(gateway: Path) -> None:
    main = gateway / "config/tb_gateway.json"
    main.write_text(json.dumps(json.loads(MAIN)))
    assert '"accessToken": "***"' in run("install", gateway, "--dry-run").output


def test_an_explicit_extensions_folder(gateway: Path) -> None:
    folder = gateway / "volume"
    run("install", gateway, "--extensions", str(folder))
    assert (folder / "custom/dlms_extension.py").exists()
    assert not list((gateway / "extensions").iterdir())
    run("uninstall", gateway, "--extensions", str(folder))
    assert not list(folder.iterdir())


def test_an_older_shim_of_ours_is_renewed(gateway: Path) -> None:
    shim = gateway / "extensions/custom/dlms_extension.py"
    shim.parent.mkdir()
    shim.write_text('"""Where the gateway finds the DLMS connector: of an older version."""\n')
    run("install", gateway)
    assert shim.read_text() == (GATEWAY_CONFIG / "extensions/custom/dlms_extension.py").read_text()


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        ("config/tb_gateway.json", None, "does not exist: --gateway-config names the folder"),
        ("config/tb_gateway.json", '{"a": 1,}', "is no valid JSON: "),
        ("config/tb_gateway.json", "[]", "`connectors` is not a list"),
        ("config/tb_gateway.json", '{"connectors": [{"name": "DLMS"}]}', "is called DLMS: rename"),
        ("extensions/dlms/dlms_extension.py", "# other", "is not ours: move it away"),
    ],
)
def test_what_stands_in_the_way_is_said_and_nothing_is_touched(
    gateway: Path, name: str, text: str | None, sentence: str
) -> None:
    path = gateway / name
    path.parent.mkdir(exist_ok=True)
    if text is None:
        path.unlink()
    else:
        path.write_text(text)
    before = files(gateway)
    result = run("install", gateway)
    assert result.exit_code == 1
    assert sentence in result.output
    assert result.output.startswith("Error: ")
    assert files(gateway) == before


def test_a_file_keeps_its_permissions(gateway: Path) -> None:
    main = gateway / "config/tb_gateway.json"
    main.chmod(0o640)
    run("install", gateway)
    assert main.stat().st_mode & 0o777 == 0o640


def test_new_files_are_the_gateways(gateway: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It runs as a user of its own, and cannot start a connector whose file it cannot write."""
    given: dict[str, str] = {}

    def give(path: Path, like: Path) -> bool:
        given[str(path.relative_to(gateway))] = str(like.relative_to(gateway))
        return True

    monkeypatch.setattr("dlms_connector.installation.file_change._give", give)
    old = os.umask(0o077)
    try:
        assert run("install", gateway).exit_code == 0
    finally:
        os.umask(old)
    (backup,) = gateway.rglob("*.bak")
    folders = {f"extensions/{name}": "extensions" for name in ("custom", "dlms")}
    assert given == {
        **folders,
        **{f"{folder}/.dlms_extension.py.new": folder for folder in folders},
        "config/.dlms.json.new": "config",
        "config/.dlms.schema.json.new": "config",
        "config/.tb_gateway.json.new": "config/tb_gateway.json",
        str(backup.relative_to(gateway)): "config/tb_gateway.json",
    }
    for folder in folders:
        assert (gateway / folder).stat().st_mode & 0o777 == 0o755
        assert (gateway / folder / "dlms_extension.py").stat().st_mode & 0o777 == 0o644
    assert (gateway / "config/dlms.json").stat().st_mode & 0o777 == 0o600


@pytest.mark.skipif(os.geteuid() != 0, reason="only the administrator can give files away")
def test_new_files_have_the_owner_of_their_folder(gateway: Path) -> None:
    for path in (gateway / "config", gateway / "config/tb_gateway.json", gateway / "extensions"):
        os.chown(path, 1234, 5678)
    assert run("install", gateway).exit_code == 0
    for path in gateway.rglob("*"):
        assert (path.stat().st_uid, path.stat().st_gid) == (1234, 5678), path


def test_the_file_of_another_is_written_in_place(
    gateway: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    main = gateway / "config/tb_gateway.json"
    number = main.stat().st_ino

    monkeypatch.setattr("dlms_connector.installation.file_change._give", lambda path, like: False)
    assert run("install", gateway).exit_code == 0
    assert (main.stat().st_ino, len(entries(gateway))) == (number, 1)
    assert not list(gateway.rglob("*.new"))


@pytest.mark.parametrize("number", [errno.EBUSY, errno.EROFS])
def test_a_file_that_is_mounted_is_written_in_place(
    gateway: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """A container's volume may be a single file."""
    replace = Path.replace

    def refuse(path: Path, target: Path) -> Path:
        if target.name == "tb_gateway.json":
            raise OSError(number, "mounted")
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", refuse)
    assert run("install", gateway).exit_code == 0
    assert len(entries(gateway)) == 1
    assert not list(gateway.rglob("*.new"))


def test_a_full_disk_costs_no_file(gateway: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path, target: Path) -> Path:
        raise OSError(errno.ENOSPC, "no space left")

    before = files(gateway)
    monkeypatch.setattr(Path, "replace", refuse)
    result = run("install", gateway)
    assert (result.exit_code, files(gateway)) == (1, before)
    assert "no space left" in result.output


def test_a_link_stays_one(gateway: Path) -> None:
    main, real = gateway / "config/tb_gateway.json", gateway / "real.json"
    main.rename(real)
    main.symlink_to(real)
    run("install", gateway)
    assert main.is_symlink()
    assert len(json.loads(real.read_text())["connectors"]) == 1
    run("uninstall", gateway)
    assert main.is_symlink()
    assert real.read_text() == MAIN


def test_a_link_to_nothing_is_named(gateway: Path) -> None:
    (gateway / "config/dlms.json").symlink_to(gateway / "gone/dlms.json")
    before = files(gateway)
    result = run("install", gateway)
    assert (result.exit_code, files(gateway)) == (1, before)
    assert "is a link to nothing" in result.output


def test_line_ends_stay_as_they_are(gateway: Path) -> None:
    main = gateway / "config/tb_gateway.json"
    before = MAIN.replace("\n", "\r\n").encode()
    main.write_bytes(before)
    run("install", gateway)
    assert main.read_bytes().count(b"\r\n") == main.read_bytes().count(b"\n") > 5
    (backup,) = gateway.rglob("*.bak")
    assert backup.read_bytes() == before
    run("uninstall", gateway)
    assert main.read_bytes() == before


def test_an_entry_of_type_dlms_without_a_class_is_completed(gateway: Path) -> None:
    """The platform's own interface makes none for types that it does not know."""
    entry = {"type": "dlms", "name": "Meters", "configuration": "meters.json"}
    text = json.dumps({"connectors": [{"type": "modbus", "name": "M"}, entry]})
    (gateway / "config/tb_gateway.json").write_text(text)
    run("install", gateway)
    assert entries(gateway)[1:] == [{**entry, "class": "DLMSConnector"}]
    assert run("install", gateway).output == "nothing to do\n"


def test_the_shims_of_this_package_are_no_gateway(
    gateway: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In an environment without the gateway they alone lie in a folder of its name."""
    shutil.rmtree(gateway / "extensions")
    monkeypatch.setattr(installation, "DEBIAN_EXTENSIONS", gateway / "none")
    alone = ModuleSpec("thingsboard_gateway", None, is_package=True)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: alone)
    result = run("install", gateway)
    assert result.exit_code == 1
    assert "name it by --extensions" in result.output


def test_uninstall_needs_no_extensions_folder(
    gateway: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("install", gateway)
    shutil.rmtree(gateway / "extensions")
    monkeypatch.setattr(installation, "DEBIAN_EXTENSIONS", gateway / "none")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert run("uninstall", gateway).exit_code == 0
    assert entries(gateway) == []
    assert "--extensions" in run("install", gateway).output


def test_the_file_of_an_entry_is_named_as_the_entry_does(gateway: Path) -> None:
    entry = {"type": "dlms", "name": "x", "class": "DLMSConnector", "configuration": "meters.json"}
    (gateway / "config/tb_gateway.json").write_text(json.dumps({"connectors": [entry]}))
    result = run("install", gateway)
    assert (gateway / "config/meters.json").exists()
    assert "meters.json" in result.output
    assert "dlms.json" not in result.output


def test_the_next_step_is_told(gateway: Path) -> None:
    own = gateway / "config/dlms.json"
    told = run("install", gateway).stdout
    assert f"dlms-connector discover --host HOST --port PORT --output {own}" in told
    assert f"dlms-connector check --connect {own}" in told
    assert "sudo systemctl restart thingsboard-gateway" in told
    run("uninstall", gateway)
    own.write_text('{"devices": []}')
    assert "discover" not in run("install", gateway).stdout


def test_the_schema_is_renewed_and_that_of_another_is_left(gateway: Path) -> None:
    schema = gateway / "config/dlms.schema.json"
    schema.write_text('{"title": "DLMS connector", "properties": {}}')
    assert run("install", gateway).exit_code == 0
    assert schema.read_text() == (GATEWAY_CONFIG / "dlms.schema.json").read_text()
    for other in ('{"title": "something else"}', "[]", "no JSON"):
        schema.write_text(other)
        run("install", gateway)
        run("uninstall", gateway)
        assert schema.read_text() == other


def test_a_dry_run_does_not_print_the_schema(gateway: Path) -> None:
    output = run("install", gateway, "--dry-run").output
    assert "dlms.schema.json" in output
    assert len(output.splitlines()) < 200


def test_every_change_keeps_a_backup_of_its_own(gateway: Path) -> None:
    for kind in ("custom", "dlms", "custom", "dlms"):
        run("install", gateway, "--type", kind)
    run("uninstall", gateway)
    kept = [path.read_text() for path in (gateway / "config").glob("tb_gateway.json.*.bak")]
    assert len(kept) == 5
    assert kept.count(MAIN) == 1
