"""Load profiles, billing values and event logs: Profile Generic objects (class 7).

`profiles` tells what the rows of a profile say, `profile_reading` asks for them in the way that
the meter supports. Everything here is a talk or a pure function.
"""

from dlms_connector.history.layouts import capture_period_s
from dlms_connector.history.profile_reading import Ways, by_time, last
from dlms_connector.history.profiles import Row

__all__ = ["Row", "Ways", "by_time", "capture_period_s", "last"]
