"""One meter: its association, what a poll asks, and what was learned about it.

Use `meter_of`: its result polls one meter over one link and returns an `Outcome`. `plan` and
`outcome` do no IO.
"""

from dlms_connector.meter.counter_reading import catch_up, public_device
from dlms_connector.meter.diagnostics import Statistics
from dlms_connector.meter.exchange import Tap, converse
from dlms_connector.meter.making import AnyMeter, meter_of
from dlms_connector.meter.meter import Meter
from dlms_connector.meter.outcome import Outcome
from dlms_connector.meter.plan import Wanted, wanted
from dlms_connector.meter.session import MakeClient
from dlms_connector.meter.unread import unread_of

__all__ = [
    "AnyMeter",
    "MakeClient",
    "Meter",
    "Outcome",
    "Statistics",
    "Tap",
    "Wanted",
    "catch_up",
    "converse",
    "meter_of",
    "public_device",
    "unread_of",
    "wanted",
]
