"""The documentation points at what exists, and its examples are good configurations."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from dlms_connector.config.loading import load
from tests.support.places import ROOT

DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]

_LINK = re.compile(r"\]\((?!https?:|#)([^)#]+)[^)]*\)")
#: A file or folder of this repository, in backticks.
_PATH = re.compile(r"`((?:dlms_connector|converters|gateway-config|tests|docs)/[\w./-]*)`")
_VARIABLE = re.compile(r"\$\{env:(\w+)\}")
_JSON = re.compile(r"```json\n(.*?)```", re.DOTALL)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document: Path) -> None:
    links = _LINK.findall(document.read_text(encoding="utf-8"))
    assert [link for link in links if not (document.parent / link).exists()] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_paths_exist(document: Path) -> None:
    paths = _PATH.findall(document.read_text(encoding="utf-8"))
    assert [path for path in paths if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_whole_configurations_are_good(
    document: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for text in _JSON.findall(document.read_text(encoding="utf-8")):
        example = json.loads(text)
        for name in _VARIABLE.findall(text):
            monkeypatch.setenv(name, "12345678")
        if isinstance(example, dict) and "devices" in example and "…" not in text:
            assert load(example, base=tmp_path).every_problem == ()
