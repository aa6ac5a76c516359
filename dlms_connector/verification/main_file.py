"""The gateway's own configuration, `tb_gateway.json`, as its process takes it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dlms_connector.verification.processes import Process
from dlms_connector.verification.snapshot import Entry

_LARGEST = 4_000_000
#: The variable by which a container tells its gateway the token.
TOLD_BY = "TB_GW_ACCESS_TOKEN"
_CLASS = "DLMSConnector"


def read_main(config_dir: Path) -> tuple[Mapping[str, Any], str]:
    """Return the content of the file, and why there is none; one of them is empty."""
    path = config_dir / "tb_gateway.json"
    try:
        found = json.loads(path.read_bytes()[:_LARGEST])
    except OSError as error:
        return {}, f"{path}: {error.strerror or error}"
    except (ValueError, RecursionError):
        return {}, f"{path} is no valid JSON"
    return (found, "") if isinstance(found, dict) else ({}, f"{path} is no object")


def as_started(main: Mapping[str, Any], process: Process | None) -> Mapping[str, Any]:
    """Return the gateway's configuration with what its environment puts in place of it.

    Containers are told platform and token so (`TbUtility.get_service_environmental_variables` of
    the gateway).
    """
    told = (process.environment or {}) if process else {}
    platform = _part(main, "thingsboard")
    changed = {**platform, "security": dict(_part(platform, "security"))}
    if host := told.get("TB_GW_HOST"):
        changed["host"] = host
    if (port := told.get("TB_GW_PORT", "")).isdecimal():
        changed["port"] = int(port)
    if token := told.get(TOLD_BY):
        changed["security"]["accessToken"] = token
    return {**main, "thingsboard": changed}


def connectors_entry(main: Mapping[str, Any]) -> Entry | None:
    """Return the entry of our connector, also one that lacks the class."""
    entries = main.get("connectors")
    for each in entries if isinstance(entries, list) else ():
        if not isinstance(each, Mapping):
            continue
        kind, name = str(each.get("type", "")), str(each.get("class") or "")
        if name == _CLASS or (not name and kind.lower() == "dlms"):
            return Entry(name=str(each.get("name", "")), type=kind, class_name=name)
    return None


def port_of(main: Mapping[str, Any]) -> int:
    """Return the port of the platform's broker."""
    port = _part(main, "thingsboard").get("port")
    return port if isinstance(port, int) else 1883


def platform_of(main: Mapping[str, Any]) -> tuple[object, int]:
    """Return where the platform is."""
    return _part(main, "thingsboard").get("host"), port_of(main)


def token_of(main: Mapping[str, Any]) -> str | None:
    """Return the gateway's access token; None if it has none, or one that is no secret."""
    token = _part(_part(main, "thingsboard"), "security").get("accessToken")
    return token if isinstance(token, str) and len(token) >= 8 else None


def _part(whole: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    part = whole.get(key)
    return part if isinstance(part, Mapping) else {}
