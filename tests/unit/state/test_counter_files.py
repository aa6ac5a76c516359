"""Files of counters in a folder with thousands of them."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from dlms_connector.state import counter_files

OWNER = "0123456789abcdef"


def test_a_folder_of_thousands_is_not_listed_for_each_meter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    older = tmp_path / f"counter-Cellar-{OWNER}.json"
    older.write_text(json.dumps({"next": 41}), "utf-8")
    for n in range(1200):
        (tmp_path / f"counter-{n:016x}.json").touch()
    listed, original = [], os.listdir

    def listdir(*args: Any) -> Any:
        listed.append(args)
        return original(*args)

    monkeypatch.setattr(os, "listdir", listdir)
    for n in range(300):
        (tmp_path / f"heard-{n:016x}.log").touch()
        assert counter_files.highest(tmp_path, OWNER) == 41
    assert len(listed) < 100
