"""What the built packages carry."""

import subprocess
import sys
from importlib.metadata import distribution
from importlib.util import find_spec
from pathlib import Path
from zipfile import ZipFile

import pytest

from tests.support.places import ROOT

SHIMS = {
    "thingsboard_gateway/extensions/custom/dlms_extension.py",
    "thingsboard_gateway/extensions/dlms/dlms_extension.py",
}


def build(folder: Path) -> dict[str, bytes]:
    """Build the wheel by the backend itself; where it is not installed pip fetches it."""
    if find_spec("hatchling"):
        code = f"import hatchling.build as b; b.build_wheel({str(folder)!r})"
        command = [sys.executable, "-c", code]
    else:
        command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", str(folder), "."]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    with ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    return build(tmp_path_factory.mktemp("wheel"))


def test_shims_lie_where_the_gateway_looks(wheel: dict[str, bytes]) -> None:
    found = {name for name in wheel if name.startswith("thingsboard_gateway/")}
    # No __init__.py: the folders stay the gateway's own.
    assert found == SHIMS
    for name in SHIMS:
        source = ROOT / "gateway-config" / name.removeprefix("thingsboard_gateway/")
        assert wheel[name] == source.read_bytes()


def test_both_source_roots_are_packages(wheel: dict[str, bytes]) -> None:
    assert {name.split("/")[0] for name in wheel if ".dist-info" not in name} == {
        "dlms_connector",
        "dlms_converters",
        "thingsboard_gateway",
    }
    for name in ("dlms_connector/connector.py", "dlms_converters/uplink.py"):
        assert name in wheel
    assert {"dlms_connector/py.typed", "dlms_converters/py.typed"} <= set(wheel)
    assert not [name for name in wheel if name.startswith("converters") or "__pycache__" in name]


def test_what_install_copies_from_is_carried(wheel: dict[str, bytes]) -> None:
    folder = ROOT / "gateway-config"
    for path in folder.rglob("*"):
        parts = path.relative_to(folder).parts
        if path.is_file() and "__pycache__" not in parts and parts[0] != "docker":
            name = f"dlms_connector/gateway_config/{'/'.join(parts)}"
            assert wheel[name] == path.read_bytes()


def test_what_somebody_keeps_for_a_container_is_not_carried(wheel: dict[str, bytes]) -> None:
    assert [name for name in wheel if "gateway_config/docker" in name] == []
    ignored = (ROOT / ".gitignore").read_text("utf-8").splitlines()
    for kept in ("gateway.env", "secrets/*"):
        assert f"/gateway-config/docker/{kept}" in ignored


def test_the_installed_package_carries_the_shims() -> None:
    """Also where it is an editable install, as on a developer's machine."""
    files = {str(file) for file in distribution("thingsboard-dlms-connector").files or ()}
    assert files >= SHIMS
