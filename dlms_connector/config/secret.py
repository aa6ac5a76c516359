"""Key material that does not print, and where it may come from."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, InstanceOf


class Secret(bytes):
    """Key material: usable as bytes, never printed."""

    def __repr__(self) -> str:
        return f"<secret, {len(self)} bytes>"

    __str__ = __repr__


def _read(value: Any) -> Secret:
    return Secret(value.encode() if isinstance(value, str) else value)


SecretBytes = Annotated[InstanceOf[Secret], BeforeValidator(_read)]
