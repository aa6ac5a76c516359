"""The documentation points at what exists, and its examples are good.

Configurations and parts of them go through the loader, command lines through the parser of the
commands. Documents in two languages hold the same of both.
"""

from __future__ import annotations

import ast
import inspect
import json
import re
import shlex
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from dlms_connector.cli import main
from dlms_connector.commands.methods import METHODS
from dlms_connector.config.loading import load
from dlms_connector.simulator.objects.overrides import read_overrides
from dlms_connector.simulator.objects.profiles import objects_of
from tests.support.places import DOCS, GATEWAY_CONFIG, ROOT

DOCUMENTS = [
    *sorted(ROOT.glob("README*.md")),
    *sorted(DOCS.rglob("*.md")),
    *sorted(GATEWAY_CONFIG.rglob("*.md")),
]
#: An original, and its translation: prose differs, what is typed does not.
TRANSLATIONS = {
    "README.md": "README.es.md",
    "docs/quick-start.md": "docs/es/inicio-rapido.md",
    "docs/migration.md": "docs/es/migracion.md",
}

_LINK = re.compile(r"\]\((?!https?:|#)([^)#]+)[^)]*\)")
#: A file or folder of this repository, in backticks.
_PATH = re.compile(r"`((?:dlms_connector|converters|gateway-config|tests|docs)/[\w./-]*)`")
_REFERENCE = re.compile(r"\$\{(env|file):([\w-]+)\}")
_FENCE = re.compile(r"^( *)```(\w+)\n(.*?)^ *```$", re.DOTALL | re.MULTILINE)
_OBIS = re.compile(r"\d+-\d+:\d+\.\d+\.\d+")
#: What separates a command of ours from what the shell does with it.
_SHELL = {"|", "||", "&&", ">", ";", "&"}


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


each_document = pytest.mark.parametrize("document", DOCUMENTS, ids=named)


def fences(document: Path, *languages: str) -> Iterator[str]:
    """Yield the blocks of a document that are written in one of these languages."""
    for indent, language, text in _FENCE.findall(document.read_text("utf-8")):
        if language in languages:
            yield re.sub(rf"^{indent}", "", text, flags=re.MULTILINE)


@each_document
def test_links_lead_somewhere(document: Path) -> None:
    links = _LINK.findall(document.read_text(encoding="utf-8"))
    assert [link for link in links if not (document.parent / link).exists()] == []


@pytest.mark.parametrize("document", sorted(DOCS.rglob("*.md")), ids=named)
def test_links_of_the_site_stay_in_it(document: Path) -> None:
    links = _LINK.findall(document.read_text(encoding="utf-8"))
    assert [one for one in links if DOCS not in (document.parent / one).resolve().parents] == []


@each_document
def test_paths_exist(document: Path) -> None:
    paths = _PATH.findall(document.read_text(encoding="utf-8"))
    assert [path for path in paths if not (ROOT / path).exists()] == []


def test_every_page_has_its_place_in_the_site() -> None:
    """The site's own build is strict about it too; this says so without building it."""
    text = (ROOT / "mkdocs.yml").read_text("utf-8")
    nav = yaml.safe_load(text[text.index("\nnav:") :])["nav"]
    pages = {named(path).removeprefix("docs/") for path in DOCS.rglob("*.md")}
    assert sorted(_pages(nav)) == sorted(pages)


@pytest.mark.parametrize("document", sorted(DOCS.rglob("*.md")), ids=named)
def test_lists_are_lists_in_the_site_too(document: Path) -> None:
    """Its Markdown wants four spaces before what belongs to an item, and a line before a list."""
    wrong, before, fenced = [], "", False
    for number, line in enumerate(document.read_text("utf-8").splitlines(), 1):
        fenced ^= line.startswith("```")
        continued = re.match(r" {1,3}\S", line) and not before
        glued = re.match(r"(- |\d+\. )", line) and before and not re.match(_OF_A_LIST, before)
        if not fenced and (continued or glued):
            wrong.append(f"{number}: {line}")
        before = line
    assert wrong == []


#: A line that is an item, or goes on with one.
_OF_A_LIST = re.compile(r"(- |\d+\. |\s+\S)")


def _pages(node: Any) -> Iterator[str]:
    if isinstance(node, str):
        yield node
    for inner in (
        node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    ):
        yield from _pages(inner)


@each_document
def test_configurations_and_parts_of_them_are_good(
    document: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "secrets").mkdir()
    for text in fences(document, "json"):
        example = json.loads(text)
        if "…" in text:
            continue
        for kind, name in _REFERENCE.findall(text):
            if kind == "env":
                monkeypatch.setenv(name, "12345678")
            else:
                (tmp_path / "secrets" / name).write_text("12345678")
        _hold(example, tmp_path)


def _hold(example: Any, base: Path) -> None:
    """Hold that an example is good, as what it is."""
    for is_one, hold in _KINDS.items():
        if is_one(example):
            hold(example, base)
            return
    raise AssertionError(f"which part of a configuration is this? {example}")


def _loads(example: Any, base: Path) -> None:
    assert load(example, base=base).every_problem == ()


def _device(keys: Mapping[str, Any], base: Path) -> None:
    needed = {"deviceName": "M", "connection": {"host": "192.0.2.1"}}
    _loads({"devices": [{**needed, **keys}]}, base)


def _call(example: Mapping[str, Any], base: Path) -> None:
    assert example["method"] in {*METHODS, "traceFrames", "reconnect", "getStatistics"}


def _entry(example: Mapping[str, Any], base: Path) -> None:
    gateway = json.loads((GATEWAY_CONFIG / "tb_gateway.json").read_text("utf-8"))
    assert example in gateway["connectors"]


def _objects(example: Mapping[str, Any], base: Path) -> None:
    assert read_overrides(example, objects_of("household"))


#: How to tell the parts of a configuration, and what each must stand.
_KINDS: Mapping[Callable[[Any], bool], Callable[[Any, Path], None]] = {
    lambda example: "devices" in example: _loads,
    lambda example: "method" in example: _call,
    lambda example: example.get("class") == "DLMSConnector": _entry,
    lambda example: all(map(_OBIS.match, example)): _objects,
    lambda example: "obis" in example: lambda it, base: _device({"profiles": [it]}, base),
    lambda example: "deviceName" in example or "attributeUpdates" in example: _device,
    lambda example: True: lambda it, base: _loads({**it, "devices": []}, base),
}


@each_document
def test_our_commands_are_understood(
    document: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "house-1.json").touch()  # a recording that one document has made before
    failed = []
    for line in _command_lines(document):
        try:
            _parse(_ours(line))
        except (click.ClickException, SystemExit) as error:
            failed.append((line, str(error)))
    assert failed == []


def _command_lines(document: Path) -> Iterator[str]:
    for text in fences(document, "sh", "bash", "console"):
        for line in re.sub(r"\\\n\s*", " ", text).splitlines():
            if re.match(r"\s*(\$ |sudo |\w+=\S+ )*.*\bdlms-connector ", line):
                yield line.removeprefix("$ ").strip()


def _ours(line: str) -> list[str]:
    """Return the arguments of dlms-connector in a line of shell; none if it is not run there."""
    words = shlex.split(line, comments=True)
    if "dlms-connector" not in words or line.startswith(("wrote", "sudo ln")):
        return []
    arguments = []
    for word in words[words.index("dlms-connector") + 1 :]:
        if word in _SHELL:
            break
        arguments.append(_STOOD_FOR.get(word, word))
    return arguments


@each_document
def test_tables_of_meters_are_good(document: Path, tmp_path: Path) -> None:
    (tmp_path / "secrets").mkdir()
    for text in fences(document, "csv"):
        for _, name in _REFERENCE.findall(text):
            (tmp_path / "secrets" / name).write_text("12345678")
        (tmp_path / "meters.csv").write_text(text, "utf-8")
        _loads({"devicesFile": "meters.csv", "templates": {"house": {}}}, tmp_path)


@each_document
async def test_programs_run(document: Path) -> None:
    for text in fences(document, "python"):
        code = compile(text, str(document), "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        running = eval(code, {"__name__": "example"})
        if inspect.isawaitable(running):
            await running


#: Words that the reader replaces.
_STOOD_FOR = {"HOST": "192.0.2.1", "PORT": "4059"}


def _parse(arguments: list[str]) -> None:
    if not arguments:
        return
    group = click.Context(main, info_name="dlms-connector")
    command = main.get_command(group, arguments[0])
    assert command is not None, arguments
    command.make_context(arguments[0], arguments[1:], parent=group).close()


@each_document
def test_what_is_made_can_be_made(document: Path) -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    targets = set(re.findall(r"^([\w-]+):", makefile, re.MULTILINE))
    text = document.read_text("utf-8")
    named = set(re.findall(r"(?:^|`)make ([a-z-]+)", text, re.MULTILINE))
    assert named - targets == set()


def test_changes_are_tested_by_the_command_that_users_are_given() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    checks = (ROOT / ".ci" / "run").read_text("utf-8").splitlines()
    assert "make test" in checks
    assert "\nmake test " in readme


@pytest.mark.parametrize(("original", "translation"), TRANSLATIONS.items())
def test_a_translation_has_what_the_original_has(original: str, translation: str) -> None:
    typed, also = (
        [_without_comments(text) for text in fences(ROOT / name, "sh", "bash", "json")]
        for name in (original, translation)
    )
    assert typed == also


def _without_comments(text: str) -> str:
    return "\n".join(re.sub(r"\s+# .*", "", line) for line in text.splitlines())
