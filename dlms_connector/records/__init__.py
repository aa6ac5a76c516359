"""What was read, sent and confirmed, kept on disk until it is certain.

An *entry* is what the platform stores whole or not at all: the values of one device at one instant.
A *slice* is a range of a profile that was read to its end. The *outbox* has the entries that are
not confirmed yet; the *ledger* says of each interval whether it was read, sent and confirmed, or
why not. `Records` is the file with both; `Known` is what it says of one profile.
"""

from dlms_connector.records.completeness import REASONS, DayCount
from dlms_connector.records.days import DAY_MS, DAY_S, Day, all_slots, grid, regridded, runs
from dlms_connector.records.entry import Entry, EntryError, Slice, Source
from dlms_connector.records.failure import RecordsError
from dlms_connector.records.housekeeping import Dropped
from dlms_connector.records.known import CLOCK_IS_SET_MS, Known, Spans, merged, without
from dlms_connector.records.ledger import Ledger, reading
from dlms_connector.records.opening import VERSION, check_copy, copy_records
from dlms_connector.records.outbox import OutboxSize
from dlms_connector.records.records import Records
from dlms_connector.records.totals import DailyTotals, totals

__all__ = [
    "CLOCK_IS_SET_MS",
    "DAY_MS",
    "DAY_S",
    "REASONS",
    "VERSION",
    "DailyTotals",
    "Day",
    "DayCount",
    "Dropped",
    "Entry",
    "EntryError",
    "Known",
    "Ledger",
    "OutboxSize",
    "Records",
    "RecordsError",
    "Slice",
    "Source",
    "Spans",
    "all_slots",
    "check_copy",
    "copy_records",
    "grid",
    "merged",
    "reading",
    "regridded",
    "runs",
    "totals",
    "without",
]
