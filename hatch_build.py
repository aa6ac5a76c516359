"""What an editable install carries besides the two source folders."""

from __future__ import annotations

from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class EditableShims(BuildHookInterface):  # type: ignore[type-arg]
    """Puts the shims where the gateway looks; the rest is read from the checkout itself."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Add the shims to an editable wheel."""
        if version == "editable":
            build_data["force_include_editable"] = {
                f"gateway-config/extensions/{folder}": f"thingsboard_gateway/extensions/{folder}"
                for folder in ("custom", "dlms")
            }
