"""Convert values that the platform writes into COSEM data for the meter.

A user's own converter can replace this class. It is created as `Converter(config, logger)`,
where `config` is the device. Its `convert(config, data)` gets a `Target` (what is written,
the meter's present value, its scaler) and the JSON value, and returns `Data`.
"""

from __future__ import annotations

from collections.abc import Mapping
from logging import Logger
from typing import Any

from thingsboard_gateway.connectors.converter import Converter

from dlms_connector.compose import Target, compose
from dlms_connector.config import Device
from dlms_connector.protocol.data import Data


class DLMSDownlinkConverter(Converter):  # type: ignore[misc]
    """Converts values for one device, exactly: 230.5 at scaler -1 is written as 2305.

    Nothing is rounded; a value that does not fit is refused.
    """

    def __init__(self, config: Device | Mapping[str, Any], logger: Logger) -> None:
        self._log = logger

    def convert(self, config: Target, data: Any) -> Data:
        """Return the data to write. Raises CommandError with a sentence for the caller."""
        return compose(config, data)
