"""All meters of a configuration: their endpoints, their schedules, who talks when.

A line is one endpoint, at which several meters take turns; a member is one meter on its line.
Use `Fleet`: it opens the lines, polls what is due and runs the commands that are submitted.
"""

from dlms_connector.fleet.dial_in import Reception
from dlms_connector.fleet.fleet import Fleet
from dlms_connector.fleet.member import MeterState, UnavailableError

__all__ = ["Fleet", "MeterState", "Reception", "UnavailableError"]
