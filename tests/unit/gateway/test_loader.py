"""The shims, by the loader that the gateway really uses."""

import logging
import subprocess
import sys
from pathlib import Path

import pytest
from thingsboard_gateway.tb_utility.tb_loader import TBModuleLoader

import dlms_converters
from dlms_connector.connector import DLMSConnector
from dlms_converters.downlink import DLMSDownlinkConverter
from dlms_converters.uplink import DLMSUplinkConverter
from tests.support.places import GATEWAY_CONFIG

EXTENSIONS = GATEWAY_CONFIG / "extensions"
CLASSES = (DLMSConnector, DLMSUplinkConverter, DLMSDownlinkConverter)


@pytest.fixture(autouse=True)
def fresh_loader(monkeypatch: pytest.MonkeyPatch) -> None:
    """The loader remembers classes and paths for the life of the process."""
    monkeypatch.setattr(TBModuleLoader, "PATHS", [str(EXTENSIONS)])
    monkeypatch.setattr(TBModuleLoader, "LOADED_CONNECTORS", {})
    monkeypatch.setattr(sys, "dont_write_bytecode", True)


@pytest.mark.parametrize("kind", ["custom", "dlms"])
@pytest.mark.parametrize("wanted", CLASSES)
def test_the_gateway_finds_the_very_classes(kind: str, wanted: type) -> None:
    assert TBModuleLoader.import_module(kind, wanted.__name__) is wanted


def test_a_users_own_class_finds_them_by_package() -> None:
    assert dlms_converters.DLMSUplinkConverter is DLMSUplinkConverter
    assert dlms_converters.DLMSDownlinkConverter is DLMSDownlinkConverter
    assert not hasattr(dlms_converters, "DLMSConnector")


def test_the_package_of_converters_needs_no_gateway() -> None:
    program = "import sys, dlms_converters; print('thingsboard_gateway' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert ran.stdout.split() == [b"False"]


def test_both_folders_hold_the_same_shim_and_nothing_else() -> None:
    found = {path.relative_to(EXTENSIONS): path for path in EXTENSIONS.rglob("*.py")}
    assert {str(path) for path in found} == {"custom/dlms_extension.py", "dlms/dlms_extension.py"}
    assert len({path.read_bytes() for path in found.values()}) == 1


def test_what_cannot_be_imported_is_named_in_the_log(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "dlms_connector.connector", None)
    errors = TBModuleLoader.import_module("custom", "DLMSConnector")
    assert isinstance(errors, list)
    (record,) = [one for one in caplog.records if one.levelno == logging.ERROR]
    assert record.name == "service"
    assert "the DLMS connector cannot be imported: import of dlms_connector.connector halted" in (
        record.getMessage()
    )
    assert record.exc_info is not None


def test_another_class_of_type_custom_is_still_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "custom").mkdir()
    (tmp_path / "custom/other.py").write_text("class Other:\n    pass\n")
    monkeypatch.setattr(TBModuleLoader, "PATHS", [str(EXTENSIONS), str(tmp_path)])
    assert TBModuleLoader.import_module("custom", "Other").__name__ == "Other"
