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


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('{"connection": {"host": "a", "host": "b"}}', "line 1, column 30: the key 'host'"),
        ('{"a": 1,\r\n "\\u0061": 2}', "line 2, column 2: the key 'a'"),
        ('[{"a": {"a": "{\\"", "b": ["a", {"a": 1}]}},\n{"c": 1, "c" : 2}]', "line 2, column 10"),
    ],
)
def test_the_same_key_twice(text: str, problem: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(text)
    assert str(caught.value).startswith(problem)
    assert str(caught.value).endswith(" is twice in one object")


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ('{"a": 1} // mine', "JSON knows no comments"),
        ("{\n# mine\n}", "JSON knows no comments"),
        ('{"a": [1, ]}', "comma"),
        ('{"a": 1,\n}', "comma"),
    ],
)
def test_what_json_has_not_is_named(text: str, meant: str) -> None:
    with pytest.raises(ConfigError, match=r"line \d, column \d+: not valid JSON: ") as caught:
        parse(text)
    assert meant in str(caught.value)


def test_a_number_without_end_is_told_in_words_of_json() -> None:
    with pytest.raises(ConfigError, match="a number has too many digits"):
        parse("9" * 5000)


def test_files(tmp_path: Path) -> None:
    (tmp_path / "bom").write_bytes(b"\xef\xbb\xbf{}")
    (tmp_path / "latin").write_bytes(b'{"a": "\xe9"}')
    assert read(tmp_path / "bom") == "{}"
    with pytest.raises(ConfigError, match="not UTF-8"):
        read(tmp_path / "latin")
    with pytest.raises(ConfigError, match="No such file") as caught:
        read(tmp_path / "gone")
    assert caught.value.hint.startswith("check the name of the file")
    with pytest.raises(ConfigError, match="cannot be read"):
        read(tmp_path)
