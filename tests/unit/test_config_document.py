from pathlib import Path

import pytest

from dlms_connector.config.document import parse, read
from dlms_connector.errors import ConfigError


def test_the_gateways_prefix_is_no_part_of_it() -> None:
    assert parse('{id_var_start}3c-1c{id_var_end}{"a": 1}') == {"a": 1}


def test_broken_json_has_line_and_column() -> None:
    text = '{id_var_start}3c{id_var_end}{\n  "logLevel": "INFO",\n  "devices": [,]\n}'
    with pytest.raises(ConfigError, match=r"line 3, column 15: not valid JSON"):
        parse(text)


@pytest.mark.parametrize("text", ["", " \n", "\ufeff", "{id_var_start}x{id_var_end}"])
def test_nothing(text: str) -> None:
    with pytest.raises(ConfigError, match="empty"):
        parse(text)


@pytest.mark.parametrize("text", ["[" * 100_000, "9" * 5000, "{'a': 1}", '{"a": 1} x', "\0"])
def test_what_is_not_json(text: str) -> None:
    with pytest.raises(ConfigError, match="not valid JSON"):
        parse(text)


def test_the_same_key_twice() -> None:
    with pytest.raises(ConfigError, match="'host' is twice"):
        parse('{"connection": {"host": "a", "host": "b"}}')


def test_files(tmp_path: Path) -> None:
    (tmp_path / "bom").write_bytes(b"\xef\xbb\xbf{}")
    (tmp_path / "latin").write_bytes(b'{"a": "\xe9"}')
    assert read(tmp_path / "bom") == "{}"
    with pytest.raises(ConfigError, match="not UTF-8"):
        read(tmp_path / "latin")
    with pytest.raises(ConfigError, match="No such file"):
        read(tmp_path / "gone")
    with pytest.raises(ConfigError, match="cannot be read"):
        read(tmp_path)
