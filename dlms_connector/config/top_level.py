"""Reads the connector's own keys: all at the top of a document but devices and templates."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pydantic import BaseModel, ValidationError

from dlms_connector.config.base import DOCUMENT
from dlms_connector.config.device_building import Problem
from dlms_connector.config.folders import Folders
from dlms_connector.config.inheritance import Place
from dlms_connector.config.keys import DEVICES, DEVICES_FILE, NOT_OURS, SCHEMA_KEY
from dlms_connector.config.model import Configuration, Device
from dlms_connector.config.noted import Problems
from dlms_connector.config.problems import did_you_mean, problems_of
from dlms_connector.config.secret import SOURCE, SecretSource
from dlms_connector.config.shown import shown
from dlms_connector.config.templates import DEFAULTS, TEMPLATES
from dlms_connector.sharing import Share

_BUILT_ELSEWHERE = frozenset({DEVICES, DEVICES_FILE, TEMPLATES, DEFAULTS})


@dataclass(frozen=True)
class TopLevel:
    """The configuration, still without devices, and where their secrets are."""

    configuration: Configuration
    secrets: SecretSource


def read_top_level(
    document: Mapping[str, Any],
    config_dir: Path,
    folders: Folders,
    problems: Problems,
    *,
    share: Share | None,
    active_file: Path | None,
) -> TopLevel:
    """Read the connector's own keys. A wrong value is replaced by its default."""
    if not isinstance(named := document.get(SCHEMA_KEY, ""), str):
        problems.note(f"{SCHEMA_KEY}: expected text, got {shown(named)}")
    own = folders.put_in(
        {
            key: value
            for key, value in document.items()
            if key not in _BUILT_ELSEWHERE and key not in NOT_OURS
        }
    )
    if share is not None:
        own["shard"] = {"index": share.index, "count": share.count, "weights": share.weights}
    if active_file is not None:
        own["standby"] = {"activeFile": str(active_file)}
    secrets = folders.secrets_of(own, config_dir)
    context = {DOCUMENT: True, SOURCE: secrets.made_for("", _host(own.get("platform")))}
    try:
        return TopLevel(Configuration.model_validate(own, context=context), secrets)
    except ValidationError as error:
        for location, sentence, kind in problems_of(error, Configuration):
            if kind == "extra_forbidden" and len(location) == 1:
                sentence = _unknown(str(location[0]))
            problems.note(Problem(Place(""), location, sentence))
            own.pop(str(location[0]), None)
    return TopLevel(Configuration.model_validate(own, context=context), secrets)


def _host(platform: Any) -> dict[str, str]:
    """Return the platform's host, to which the secret of its user may be bound."""
    url = platform.get("url") if isinstance(platform, Mapping) else None
    with suppress(ValueError):
        if isinstance(url, str) and (host := urlsplit(url).hostname):
            return {"host": host}
    return {}


def _unknown(key: str) -> str:
    if key in _aliases(Device):
        return f"belongs to a device, or as `{DEFAULTS}.{key}` to all of them"
    return "unknown key" + did_you_mean(key, [*_BUILT_ELSEWHERE, *_aliases(Configuration)])


def _aliases(model: type[BaseModel]) -> list[str]:
    return [field.alias or "" for field in model.model_fields.values()]
