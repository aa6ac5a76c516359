"""When and where the connector backs itself up."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, WithJsonSchema

from dlms_connector.config.base import Model
from dlms_connector.config.shown import shown
from dlms_connector.config.types import Whole

_TIME = r"([01]\d|2[0-3]):[0-5]\d"


def _time_of_day(value: Any) -> str:
    if isinstance(value, str) and re.fullmatch(_TIME, value.strip()):
        return value.strip()
    raise ValueError(f"{shown(value)} is not a time of day such as 02:30")


TimeOfDay = Annotated[
    str,
    BeforeValidator(_time_of_day),
    WithJsonSchema({"type": "string", "pattern": f"^{_TIME}$"}),
]


class Backup(Model):
    """A daily backup of configuration and state, without secrets."""

    directory: str | None = Field(
        default=None,
        min_length=1,
        description="folder for the archives, best on another disk; if not set, `dlms-backups/` "
        "beside the folder of the state. The environment variable `DLMS_BACKUP_DIRECTORY` goes "
        "before it; the platform cannot set it",
    )
    keep: Whole = Field(default=7, ge=1, le=366, description="archives that are kept")
    at: TimeOfDay = Field(
        default="02:30",
        description="when it is made, by the host's local time; one that was missed is made up for",
    )
