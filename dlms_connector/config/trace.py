"""Frames of a meter that are written to files for a while."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from dlms_connector.config.base import Model
from dlms_connector.config.shown import shown
from dlms_connector.config.types import Whole


def _moment(value: Any) -> datetime:
    """Take a moment as ISO 8601 with its offset."""
    if isinstance(value, datetime):
        return value
    try:
        moment = datetime.fromisoformat(str(value).replace("Z", "+00:00"))
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise ValueError(f"{shown(value)} is not a moment such as 2026-12-01T12:00:00Z")
    return moment


Moment = Annotated[
    datetime,
    BeforeValidator(_moment),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]


class DeviceTrace(Model):
    """How long the frames of a meter are traced, and how much is written."""

    until: Moment | None = Field(
        default=None, description="end of the trace, as ISO 8601 with its offset"
    )
    minutes: Whole | None = Field(
        default=None,
        ge=1,
        le=1440,
        description="or its duration in minutes, from each start of the connector",
    )
    megabytes: Whole = Field(
        default=20, ge=1, le=200, description="largest size of its files together, in megabytes"
    )

    @model_validator(mode="after")
    def _has_one_end(self) -> DeviceTrace:
        """Take one of both ends: a trace without one would be forgotten."""
        if (self.until is None) == (self.minutes is None):
            raise ValueError("either `until` or `minutes` is needed")
        return self
