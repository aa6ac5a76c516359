"""All meters of a configuration: their endpoints, their schedules, who talks when.

A line is one endpoint, at which several meters take turns; a member is one meter on its line.
Use `Fleet`: it opens the lines, polls what is due and runs the commands that are submitted.
"""

from dlms_connector.fleet.backfill import ProfileProgress
from dlms_connector.fleet.dial_in import Reception
from dlms_connector.fleet.fleet import Fleet
from dlms_connector.fleet.member import UnavailableError
from dlms_connector.fleet.sink import FULL, Kept, MeterState, Sink

__all__ = [
    "FULL",
    "Fleet",
    "Kept",
    "MeterState",
    "ProfileProgress",
    "Reception",
    "Sink",
    "UnavailableError",
]
