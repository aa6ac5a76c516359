"""Presets shipped with the package: known settings of a meter, as a template.

A preset is a JSON file with the keys of a device. Its `about` gives the source of its facts.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any, Literal

from pydantic import Field

from dlms_connector.config.base import Model

_FOLDER = files("dlms_connector.config") / "presets"

Mark = Literal["confirmed", "deduced"]


class About(Model):
    """The source of a preset's facts, and how certain they are."""

    meter: str = Field(min_length=1)
    source: str = Field(min_length=1)
    facts: Mapping[str, Mark] = Field(min_length=1)
    notes: tuple[str, ...] = ()


@cache
def names() -> tuple[str, ...]:
    """Return the names of all presets, sorted."""
    stems = (file.name.removesuffix(".json") for file in _FOLDER.iterdir())
    return tuple(sorted(stem for stem in stems if not stem.startswith("_")))


@cache
def _document(name: str) -> dict[str, Any]:
    document = json.loads((_FOLDER / f"{name}.json").read_text("utf-8"))
    if not isinstance(document, dict):
        raise TypeError(f"preset {name} is not an object")
    return document


def values(name: str) -> dict[str, Any]:
    """Return the device keys of a preset; KeyError if there is none of that name."""
    if name not in names():
        raise KeyError(name)
    return {key: value for key, value in _document(name).items() if key != "about"}


def about(name: str) -> About:
    """Return the source of a preset's facts."""
    return About.model_validate(_document(name)["about"])
