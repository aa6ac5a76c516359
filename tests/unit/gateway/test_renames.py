"""A renamed device keeps its name on the platform over restarts and crashes."""

import logging
from pathlib import Path

import pytest

from dlms_connector.gateway.renames import Renames, renamed_devices
from tests.support.gateway import FakeGateway

LOG = logging.getLogger("renames")


@pytest.fixture
def gateway(tmp_path: Path) -> FakeGateway:
    return FakeGateway(tmp_path)


def started(gateway: FakeGateway) -> Renames:
    renames = Renames(gateway, ["M1", "M2"], LOG)
    renames.open(gateway.folder / "renamed.json")
    renames.observe()
    return renames


def test_what_the_gateway_has_lost_is_given_back(gateway: FakeGateway) -> None:
    gateway.rename("M1", "Kitchen")
    gateway.rename("Other", "Not ours")
    started(gateway)
    renamed_devices(gateway).clear()  # its file was empty after a crash
    for _ in range(3):  # over any number of restarts
        assert started(gateway).name_of("M1") == "Kitchen"
    assert renamed_devices(gateway) == {"M1": "Kitchen"}


def test_a_name_of_the_gateway_goes_before_the_remembered_one(gateway: FakeGateway) -> None:
    gateway.rename("M1", "Kitchen")
    started(gateway)
    gateway.rename("M1", "Cellar")
    assert started(gateway).name_of("M1") == "Cellar"
    renamed_devices(gateway).clear()
    assert started(gateway).name_of("M1") == "Cellar"


def test_a_device_that_is_renamed_back_or_deleted_is_forgotten(gateway: FakeGateway) -> None:
    gateway.rename("M1", "Kitchen")
    renames = started(gateway)
    renamed_devices(gateway).clear()
    renames.observe()
    assert started(gateway).name_of("M1") == "M1"


def test_nothing_is_lost_before_the_file_is_known(gateway: FakeGateway) -> None:
    gateway.rename("M1", "Kitchen")
    started(gateway)
    renamed_devices(gateway).clear()
    renames = Renames(gateway, ["M1"], LOG)
    renames.observe()
    renames.open(gateway.folder / "renamed.json")
    renames.before_adding("M1", "T", "the connector")
    assert renames.name_of("M1") == "Kitchen"
    assert gateway.devices == {"M1": {"connector": "the connector", "deviceType": "T"}}


@pytest.mark.parametrize("content", ["", "[]", '{"M1": 5}', "{", "[" * 100_000])
def test_a_broken_file_costs_the_names_only(
    content: str, gateway: FakeGateway, caplog: pytest.LogCaptureFixture
) -> None:
    (gateway.folder / "renamed.json").write_text(content)
    assert started(gateway).name_of("M1") == "M1"
    gateway.rename("M2", "Hall")
    assert started(gateway).name_of("M2") == "Hall"
    assert len(caplog.messages) <= 2
