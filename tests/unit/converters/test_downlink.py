"""Downlink converters: ours, and a user's own as the gateway's loader finds it."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
from thingsboard_gateway.tb_utility.tb_loader import TBModuleLoader

from dlms_connector.compose import Target
from dlms_connector.errors import CommandError, ConfigError
from dlms_connector.protocol.data.data import Data, DataType
from dlms_converters.downlink import DLMSDownlinkConverter
from dlms_converters.own import downlink_converter
from dlms_converters.stored_value import stored_value
from tests.support.commands import LOG, device

OWN = """
from thingsboard_gateway.connectors.converter import Converter
from dlms_connector.protocol.data.data import Data, DataType


class Doubling(Converter):
    def __init__(self, config, logger):
        self.name, self.log = config.device_name, logger

    def convert(self, config, data):
        return Data(config.known.type, data * 2)


class Broken(Converter):
    def __init__(self, config, logger):
        raise ValueError("no such luck")

    def convert(self, config, data):
        return None
"""


@pytest.fixture
def extensions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the gateway's loader a folder of extensions to look into."""
    folder = tmp_path / "extensions" / "custom"
    folder.mkdir(parents=True)
    (folder / "own.py").write_text(OWN)
    monkeypatch.setattr(TBModuleLoader, "PATHS", [str(tmp_path / "extensions")])
    monkeypatch.setattr(TBModuleLoader, "LOADED_CONNECTORS", {})
    return folder


def test_ours_is_the_default() -> None:
    for name in (None, "DLMSDownlinkConverter"):
        made = downlink_converter(device(downlinkConverter=name), LOG, "custom")
        assert isinstance(made, DLMSDownlinkConverter)
    target = Target(name="x", known=Data(DataType.LONG_UNSIGNED, 1), scaler=-1)
    assert made.convert(target, 230.5) == Data(DataType.LONG_UNSIGNED, 2305)
    with pytest.raises(CommandError, match="cannot be written exactly"):
        made.convert(target, 230.55)


@pytest.mark.parametrize(
    ("known", "value", "written"),
    [
        (Data(DataType.VISIBLE_STRING, b"A"), '"00000001"', b"00000001"),
        (Data(DataType.VISIBLE_STRING, b"A"), '"1.10"', b"1.10"),
        (Data(DataType.UTF8_STRING, b"A"), '"-0"', b"-0"),
        (Data(DataType.VISIBLE_STRING, b"A"), r'"\"A\""', b'"A"'),  # a text with quotes, copied
        (Data(DataType.VISIBLE_STRING, b"A"), '"A"', b'"A"'),  # was never quoted by us
        (Data(DataType.VISIBLE_STRING, b"A"), '"00000001', b'"00000001'),
        (Data(DataType.VISIBLE_STRING, b"A"), "00000001", b"00000001"),
        (Data(DataType.VISIBLE_STRING, b"A"), {"type": "utf8-string", "value": '"01"'}, b"01"),
        (Data(DataType.OCTET_STRING, b"12345678"), '"00000001"', b"00000001"),
        (Data(DataType.OCTET_STRING, b"\x00\x01"), '"0002"', b"\x00\x02"),  # shown in hexadecimal
        (Data(DataType.BIT_STRING, "00000"), '"00011"', "00011"),
        (Data(DataType.LONG64, 1), '"9007199254740993"', 9007199254740993),
    ],
)
def test_a_text_that_was_copied_from_the_platform(known: Data, value: Any, written: Any) -> None:
    """In quotes, as it is sent because it looks like a number, it is the text without them."""
    made = downlink_converter(device(), LOG, "custom")
    assert made.convert(Target(name="x", known=known), value).value == written


def test_quotes_are_quotes_where_texts_are_sent_plain() -> None:
    made = downlink_converter(device(), LOG, "custom", "plain")
    target = Target(name="x", known=Data(DataType.VISIBLE_STRING, b"A"))
    assert made.convert(target, '"00000001"').value == b'"00000001"'


def test_what_is_sent_can_be_written_back() -> None:
    made = downlink_converter(device(), LOG, "custom")
    target = Target(name="x", known=Data(DataType.UTF8_STRING, b"A"))
    for text in ("00000001", "1.10", '"', '"1"', '""', '"\\u0031', "SIM-1.0", ""):
        assert made.convert(target, stored_value(text)).value == text.encode()


def test_a_users_own_is_found_by_its_name(extensions: Path) -> None:
    made: Any = downlink_converter(device(downlinkConverter="Doubling"), LOG, "custom")
    assert (made.name, made.log) == ("M1", LOG)
    known = Data(DataType.LONG_UNSIGNED, 1)
    doubled = made.convert(Target(name="x", known=known), 21)
    assert doubled == Data(DataType.LONG_UNSIGNED, 42)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("Nowhere", "the gateway finds no class Nowhere in its extensions folder custom"),
        ("Broken", "Broken cannot be made: ValueError: no such luck"),
    ],
)
def test_a_users_own_that_is_no_use(
    extensions: Path, name: str, sentence: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL)
    with pytest.raises(ConfigError, match=sentence):
        downlink_converter(device(downlinkConverter=name), LOG, "custom")
