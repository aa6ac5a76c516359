"""What the platform sends into typed commands."""

from __future__ import annotations

from collections.abc import Mapping
from logging import Logger
from typing import Any

from thingsboard_gateway.connectors.converter import Converter

from dlms_connector.config.model import Device
from dlms_connector.errors import ConfigError


class DLMSDownlinkConverter(Converter):  # type: ignore[misc]
    """Converts what the platform sends to one device; it knows no command yet."""

    def __init__(self, config: Device | Mapping[str, Any], logger: Logger) -> None:
        self._device = config if isinstance(config, Device) else Device.model_validate(config)
        self._log = logger

    def convert(self, config: Any, data: Any) -> Any:
        """Refuse; raises ConfigError."""
        raise ConfigError(f"{self._device.device_name}: writing to the meter is not supported")
