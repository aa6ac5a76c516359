"""Folders for persistent state: for the gateway, and for a command beside it.

A command uses the invocation counters of the gateway, because a number that both use would
repeat a nonce.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_GATEWAY_FILE = "tb_gateway.json"
_NAME = "dlms"
#: The default folder for the state of a user's programs (XDG Base Directory Specification).
_HOME = "~/.local/state"


def gateways_folder(storage: Mapping[str, Any], config_dir: Path) -> Path:
    """Return the connector's folder in the gateway's data folder.

    It is where the gateway's `storage` is, else in `data` beside its configuration folder.
    """
    data = storage.get("data_folder_path") or storage.get("data_file_path")
    if not isinstance(data, str) or not data:
        return config_dir.parent / "data" / _NAME
    # Folders end in "/" there; the gateway takes them relative to its working directory.
    return Path(os.path.dirname(data)) / _NAME  # noqa: PTH120


def commands_folder(configured: str | None, config_dir: Path) -> Path | None:
    """Return the state folder for a command with a configuration in `config_dir`.

    It is the configured folder, else the gateway's if its configuration is there too, else one
    of the user's own, so that each run continues after the last one; None for a user without
    a home.
    """
    storage = _storage(config_dir / _GATEWAY_FILE)
    if storage is not None:
        # The gateway's working directory is not known here: assume the parent of `config_dir`.
        return config_dir.parent / (configured or gateways_folder(storage, config_dir))
    if configured:
        return Path(configured)
    try:
        return Path(os.environ.get("XDG_STATE_HOME") or _HOME).expanduser() / "dlms-connector"
    except RuntimeError:
        return None


def _storage(path: Path) -> Mapping[str, Any] | None:
    """Return the gateway's section `storage`; None if there is no gateway's configuration."""
    try:
        found = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return None
    storage = found.get("storage") if isinstance(found, dict) else None
    return storage if isinstance(storage, dict) else {}
