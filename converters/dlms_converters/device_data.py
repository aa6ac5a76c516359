"""The gateway's converted data, readable by all parts of the gateway."""

from __future__ import annotations

from typing import Any

from thingsboard_gateway.gateway.entities.converted_data import ConvertedData


class DeviceData(ConvertedData):  # type: ignore[misc]
    """Converted data that the gateway's device filter can read, too."""

    __slots__ = ()

    @classmethod
    def of(cls, data: ConvertedData) -> DeviceData:
        """Return the data of a user's converter as DeviceData."""
        if isinstance(data, cls):
            return data
        result = cls(data.device_name, data.device_type)
        for name in ConvertedData.__slots__:
            setattr(result, name, getattr(data, name))
        return result

    def __getitem__(self, item: str) -> Any:
        if item == "deviceName":
            return self.device_name
        if item == "deviceType":
            return self.device_type
        return super().__getitem__(item)
