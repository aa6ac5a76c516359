"""Make converters by name: our own, or a user's class that the gateway's loader finds."""

from __future__ import annotations

from collections.abc import Mapping
from logging import Logger
from typing import Any

from thingsboard_gateway.tb_utility.tb_loader import TBModuleLoader

from dlms_connector.config import Device
from dlms_connector.errors import ConfigError
from dlms_converters.downlink import DLMSDownlinkConverter
from dlms_converters.stored_value import NumericTexts
from dlms_converters.uplink import DLMSUplinkConverter


def uplink_converter(
    device: Device,
    log: Logger,
    connector_type: str,
    strategy: Mapping[str, Any] | None,
    texts: NumericTexts = "quoted",
) -> Any:
    """Return a device's uplink converter.

    `strategy` is the connector's `reportStrategy`, `texts` its `numericTexts`. A user's class is
    created with the device and the logger. Raises ConfigError.
    """
    name = device.uplink_converter
    if name is None or name == DLMSUplinkConverter.__name__:
        made = DLMSUplinkConverter(device, log, strategy)
    else:
        made = _made("uplinkConverter", name, connector_type, device, log)
    if isinstance(made, DLMSUplinkConverter):
        made.numeric_texts = texts
        made.inherit(strategy)
    return made


def downlink_converter(
    device: Device, log: Logger, connector_type: str, texts: NumericTexts = "quoted"
) -> Any:
    """Return a device's downlink converter; `texts` is the connector's `numericTexts`.

    Raises ConfigError.
    """
    name = device.downlink_converter
    if name is None or name == DLMSDownlinkConverter.__name__:
        made: Any = DLMSDownlinkConverter(device, log)
    else:
        made = _made("downlinkConverter", name, connector_type, device, log)
    if isinstance(made, DLMSDownlinkConverter):
        made.numeric_texts = texts
    return made


def _made(key: str, name: str, connector_type: str, device: Device, log: Logger) -> Any:
    found = TBModuleLoader.import_module(connector_type, name)
    if not isinstance(found, type):
        causes = "; ".join(str(cause) for cause in found or ()) or "no file there defines it"
        raise ConfigError(
            f"{key}: the gateway finds no class {name} in its extensions folder "
            f"{connector_type}: {causes}"
        )
    # The loader takes any class that it meets there by that name, also what a file only imports.
    if not callable(getattr(found, "convert", None)):
        raise ConfigError(f"{key}: {name} is no converter: it has no method `convert`")
    try:
        return found(device, log)
    except Exception as error:  # a user's class may raise anything
        raise ConfigError(
            f"{key}: {name} cannot be made: {type(error).__name__}: {error}"
        ) from error
