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

from dlms_connector.compose import Target, compose, is_text, typed
from dlms_connector.config import Device
from dlms_connector.protocol.data import Data
from dlms_converters.stored_value import NumericTexts, original


class DLMSDownlinkConverter(Converter):  # type: ignore[misc]
    """Converts values for one device, exactly: 230.5 at scaler -1 is written as 2305.

    Nothing is rounded; a value that does not fit is refused. A text in the form in which the
    uplink converter sends texts that look like numbers, `"00000001"` in double quotes, is taken
    without them.
    """

    #: How texts that look like numbers are sent: the connector's `numericTexts`.
    numeric_texts: NumericTexts = "quoted"

    def __init__(self, config: Device | Mapping[str, Any], logger: Logger) -> None:
        self._log = logger

    def convert(self, config: Target, data: Any) -> Data:
        """Return the data to write. Raises CommandError with a sentence for the caller."""
        return compose(config, self._unquoted(config, data))

    def _unquoted(self, target: Target, value: Any) -> Any:
        if self.numeric_texts == "plain":
            return value
        if typed(value):
            return {**value, "value": original(value["value"])}
        text = original(value)
        if text is not value and target.type is None and is_text(target.known):
            return f"text:{text}"  # not hexadecimal: it stands in the place of a text
        return text
