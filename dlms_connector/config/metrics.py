"""Where metrics are served for Prometheus."""

from __future__ import annotations

from ipaddress import ip_address

from pydantic import Field, field_validator

from dlms_connector.config.base import Model
from dlms_connector.config.shown import shown
from dlms_connector.config.types import Whole


class Metrics(Model):
    """The connector's counters over HTTP, in the text format of Prometheus."""

    port: Whole = Field(ge=1, le=65535, description="TCP port; 9464 is usual for exporters")
    host: str = Field(
        default="127.0.0.1",
        description="address to listen at; another one than loopback lets everybody who reaches it "
        "read the metrics, which hold no secrets and no values",
    )
    per_meter: bool = Field(
        default=False,
        description="also serve series for each meter, with its name; six for each, which is much "
        "for thousands of meters",
    )

    @field_validator("host")
    @classmethod
    def _is_an_address(cls, host: str) -> str:
        """Take an address, or `localhost`: looking up a name would delay the start."""
        if host == "localhost":
            return "127.0.0.1"
        try:
            return str(ip_address(host))
        except ValueError:
            raise ValueError(f"{shown(host)} is not an IP address such as 127.0.0.1") from None
