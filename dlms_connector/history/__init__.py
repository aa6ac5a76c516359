"""Load profiles, billing values and event logs: Profile Generic objects (class 7).

`ProfileReader` reads slices of a configured profile as readings, and `Planner` says which is next.
`by_time` and `last` read the rows of any profile, in the way that the meter supports. Everything
here is a talk or a pure function.
"""

from dlms_connector.history.errand import Errand, Progress
from dlms_connector.history.layouts import capture_period_s, layout
from dlms_connector.history.planner import DEFAULT_BACKFILL_S, Planner
from dlms_connector.history.profile_reader import Held, ProfileReader
from dlms_connector.history.profile_reading import Ways, by_time, last
from dlms_connector.history.profile_readings import NAME_SUFFIX, ProfileRead, readings_of
from dlms_connector.history.profiles import Column, Layout, Row

__all__ = [
    "DEFAULT_BACKFILL_S",
    "NAME_SUFFIX",
    "Column",
    "Errand",
    "Held",
    "Layout",
    "Planner",
    "ProfileRead",
    "ProfileReader",
    "Progress",
    "Row",
    "Ways",
    "by_time",
    "capture_period_s",
    "last",
    "layout",
    "readings_of",
]
