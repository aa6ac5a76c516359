"""What gateway-config/ holds for Docker and systemd.

The image itself cannot be built here. Its steps are those of a shell; the script that starts the
gateway is run, the rest is held against the files and the documents it speaks of.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
from configparser import RawConfigParser
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.places import GATEWAY_CONFIG, ROOT

tomllib = pytest.importorskip("tomllib")  # of Python 3.11

DOCKER = GATEWAY_CONFIG / "docker"
DROP_IN = GATEWAY_CONFIG / "systemd" / "thingsboard-gateway.service.d" / "dlms.conf"
DOCKERFILE = (DOCKER / "Dockerfile").read_text("utf-8")
#: Volumes of the official image.
OFFICIAL = {f"/thingsboard_gateway/{name}" for name in ("config", "extensions", "logs")}


class Container:
    """The folders of a container, and its script as process 1."""

    def __init__(self, folder: Path) -> None:
        self.config, self.extensions = folder / "config", folder / "extensions"
        default = folder / "default"
        (default / "config").mkdir(parents=True)
        (default / "extensions" / "custom").mkdir(parents=True)
        (default / "official").mkdir()
        (default / "official" / "tb_gateway.json").write_text("of the official image")
        (default / "config" / "tb_gateway.json").write_text("shipped")
        (default / "config" / "dlms.json").write_text("shipped")
        self.environment = {
            **os.environ,
            "configs": str(self.config),
            "extensions": str(self.extensions),
            "logs": str(folder / "logs"),
            "DEFAULT_CONFIG": str(default),
        }

    def start(self, *command: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            ["/bin/sh", str(DOCKER / "start.sh"), *command],
            env=self.environment,
            stdout=subprocess.PIPE,
            text=True,
        )


@pytest.fixture
def container(tmp_path: Path) -> Container:
    return Container(tmp_path)


def test_a_new_volume_is_filled(container: Container) -> None:
    with container.start("true") as process:
        assert process.wait() == 0
    assert (container.config / "tb_gateway.json").read_text() == "shipped"
    assert (container.extensions / "custom").is_dir()


def test_the_official_configuration_makes_way(container: Container) -> None:
    """Docker fills a new volume with what the image has at its place."""
    container.config.mkdir()
    (container.config / "tb_gateway.json").write_text("of the official image")
    with container.start("true") as process:
        assert process.wait() == 0
    assert (container.config / "tb_gateway.json").read_text() == "shipped"


def test_what_is_there_stays(container: Container) -> None:
    container.config.mkdir()
    (container.config / "tb_gateway.json").write_text("mine")
    with container.start("true") as process:
        assert process.wait() == 0
    assert (container.config / "tb_gateway.json").read_text() == "mine"
    assert (container.config / "dlms.json").read_text() == "shipped"


def test_what_was_removed_does_not_come_back(container: Container) -> None:
    for _ in range(2):
        with container.start("true") as process:
            assert process.wait() == 0
        (container.config / "dlms.json").unlink(missing_ok=True)
    assert not (container.config / "dlms.json").exists()


def test_the_gateway_gets_the_signal_itself(container: Container) -> None:
    with container.start("/bin/sh", "-c", "echo $$; exec sleep 600") as process:
        assert process.stdout is not None
        assert int(process.stdout.readline()) == process.pid
        process.send_signal(signal.SIGTERM)  # SIGINT is ignored below a shell that runs this behind
        assert process.wait(60) == -signal.SIGTERM


def test_the_image_stops_as_the_gateway_wants_it() -> None:
    assert re.search(r"^STOPSIGNAL SIGINT$", DOCKERFILE, re.MULTILINE)
    service = compose()["services"]["tb-gateway"]
    assert service["stop_signal"] == "SIGINT"


def test_every_volume_of_the_image_has_a_name() -> None:
    own = set(re.findall(r"^VOLUME (\S+)$", DOCKERFILE, re.MULTILINE))
    assert own == {"/data"}
    document = compose()
    mounted = dict(
        volume.split(":")[:2] for volume in document["services"]["tb-gateway"]["volumes"]
    )
    named = {target for source, target in mounted.items() if source in document["volumes"]}
    assert named == OFFICIAL | own


def test_what_is_copied_is_there_and_not_ignored() -> None:
    ignored = (DOCKER / "Dockerfile.dockerignore").read_text("utf-8").split()
    kept = {line.removeprefix("!") for line in ignored if line.startswith("!")}
    copied = re.findall(r"^COPY (?!--from)(\S+) ", DOCKERFILE, re.MULTILINE)
    assert [path for path in copied if not (ROOT / path).exists()] == []
    assert [path for path in copied if path != "." and path.split("/")[0] not in kept] == []
    # The wheel is built in the image: what it is made of must get there.
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    wheel = project["tool"]["hatch"]["build"]["targets"]["wheel"]
    parts = {*wheel["packages"], *wheel["force-include"], *project["project"]["license-files"]}
    parts |= {project["project"]["readme"], wheel["hooks"]["custom"]["path"], "pyproject.toml"}
    assert {part.split("/")[0] for part in parts} == kept


def test_the_image_has_the_tested_gateway() -> None:
    version = re.search(r"^ARG GATEWAY=thingsboard/tb-gateway:(\S+)$", DOCKERFILE, re.MULTILINE)
    assert version is not None
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    (wanted,) = project["project"]["optional-dependencies"]["gateway"]
    assert f">={version[1]}," in wanted


def test_the_example_of_the_environment_names_no_secret() -> None:
    lines = (DOCKER / "gateway.env.example").read_text("utf-8").split()
    values = dict(line.split("=", 1) for line in lines)
    assert values["TB_GW_ACCESS_TOKEN"] == "YOUR_ACCESS_TOKEN"
    assert values["METER_01_PASSWORD"] == ""


def test_the_drop_in_replaces_what_the_package_stops_by() -> None:
    settings = RawConfigParser(strict=False, allow_no_value=True)
    settings.optionxform = str  # type: ignore[assignment, method-assign]
    settings.read(DROP_IN)
    service = settings["Service"]
    assert service["ExecStop"] == ""
    assert service["KillSignal"] == "SIGINT"
    assert int(service["LimitNOFILE"]) >= 65536


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd here")
def test_systemd_understands_the_drop_in(tmp_path: Path) -> None:
    unit = tmp_path / "thingsboard-gateway.service"
    unit.write_text("[Service]\nExecStart=/bin/sleep 1\nExecStop=/bin/kill -INT $MAINPID\n")
    shutil.copytree(DROP_IN.parent, tmp_path / DROP_IN.parent.name)
    command = ["systemd-analyze", "verify", "--man=no", str(unit)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, "")


def compose() -> dict[str, Any]:
    read: dict[str, Any] = yaml.safe_load((DOCKER / "compose.yaml").read_text("utf-8"))
    return read
