"""Several gateways for one fleet: which share of the meters is this one's, and when.

What the environment says goes before the document, so that one document serves all gateways. A
mistake here must not be repaired by a default: two gateways would ask the same meter at a time.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, ValidationError, WithJsonSchema

from dlms_connector.config.base import DOCUMENT, Model
from dlms_connector.config.problems import problems_of
from dlms_connector.config.shown import shown
from dlms_connector.config.types import Whole
from dlms_connector.errors import ConfigError
from dlms_connector.sharing import Share, ordinal, problem_of

INDEX, COUNT, WEIGHTS = "DLMS_SHARD_INDEX", "DLMS_SHARD_COUNT", "DLMS_SHARD_WEIGHTS"
ACTIVE_FILE = "DLMS_ACTIVE_FILE"
_MOST = 10_000


def _index(value: Any) -> int:
    """Take the number of a gateway, or the name of a pod that ends in it."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    found = ordinal(value) if isinstance(value, str) else None
    if found is None:
        raise ValueError(
            f"{shown(value)} is not the number of a gateway, nor a pod's name such as "
            "dlms-gateway-2"
        )
    return found


def _weight(value: Any) -> float:
    try:
        weight = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        weight = math.nan
    if not 0 <= weight <= _MOST:
        raise ValueError(f"{shown(value)} is not a weight from 0 to {_MOST}")
    return weight


Index = Annotated[
    int, BeforeValidator(_index), WithJsonSchema({"type": ["integer", "string"], "minimum": 0})
]
Weight = Annotated[
    float,
    BeforeValidator(_weight),
    WithJsonSchema({"type": "number", "minimum": 0, "maximum": _MOST}),
]


class Shard(Model):
    """The share of one gateway of a fleet that several gateways serve with one configuration."""

    index: Index | None = Field(
        default=None,
        ge=0,
        description="the number of this gateway, from 0; also the name of a pod that ends in it, "
        f"such as `dlms-gateway-2`. The environment variable `{INDEX}` goes before it",
    )
    count: Whole | None = Field(
        default=None,
        ge=1,
        le=_MOST,
        description=f"how many gateways there are. `{COUNT}` goes before it",
    )
    weights: tuple[Weight, ...] = Field(
        default=(),
        description="a number for each gateway: one of weight 2 gets twice as many meters as one "
        f"of weight 1; if not set, all are alike. `{WEIGHTS}` (`2,1,1`) goes before it",
    )


class Standby(Model):
    """When this gateway is the active one of a pair."""

    active_file: str = Field(
        min_length=1,
        description="the gateway is active as long as this file is there. The environment "
        f"variable `{ACTIVE_FILE}` goes before it; a configuration of the platform can only name "
        "a file in `/run` whose name begins with `dlms`",
        examples=["/run/dlms-active"],
    )


def share_of(document: Mapping[str, Any], environment: Mapping[str, str]) -> Share | None:
    """Return this gateway's share of the fleet; None if it is alone.

    Raises ConfigError if it is not certain which it is.
    """
    named = {"index": INDEX, "count": COUNT, "weights": WEIGHTS}
    given: dict[str, Any] = {
        key: text for key, name in named.items() if (text := environment.get(name))
    }
    if "weights" in given:
        given["weights"] = given["weights"].split(",")
    section = document.get("shard")
    if section is None and not given:
        return None
    wanted = {**section, **given} if isinstance(section, Mapping) else given or section
    shard: Shard = _read(Shard, wanted, "shard")
    weights = shard.weights or (1.0,) * (shard.count or 0)
    count = shard.count or len(weights)
    if not count:
        raise ConfigError(f"shard.count: required, or the environment variable {COUNT}")
    if len(weights) != count:
        raise ConfigError(f"shard.weights: {len(weights)} weights for {count} gateways")
    if not any(weights):
        raise ConfigError("shard.weights: one of them must be more than 0")
    if shard.index is None:
        raise ConfigError(
            f"shard.index: required, or the environment variable {INDEX}: it tells which of the "
            f"{count} gateways this is"
        )
    if shard.index >= count:
        raise ConfigError(
            f"shard.index: {shard.index} is not in 0..{count - 1}: there are {count} gateways"
        )
    return Share(shard.index, weights)


def standby_of(
    document: Mapping[str, Any], environment: Mapping[str, str], *, from_platform: bool
) -> Path | None:
    """Return the file that makes this gateway the active one; None if it always is.

    Raises ConfigError if it is not certain which it is.
    """
    if set_here := environment.get(ACTIVE_FILE):
        if problem := problem_of(set_here, from_platform=False):
            raise ConfigError(f"{ACTIVE_FILE}: {problem}")
        return Path(set_here)
    if (section := document.get("standby")) is None:
        return None
    standby: Standby = _read(Standby, section, "standby")
    named = standby.active_file
    if problem := problem_of(named, from_platform=from_platform):
        raise ConfigError(f"standby.activeFile: {problem}")
    return Path(named)


def _read(model: type[Any], section: Any, path: str) -> Any:
    try:
        return model.model_validate(section, context={DOCUMENT: True})
    except ValidationError as error:
        raise ConfigError(
            *(
                f"{'.'.join([path, *map(str, location)])}: {sentence}"
                for location, sentence, _ in problems_of(error, model)
            )
        ) from None
