"""What was read, sent and confirmed, kept on disk until it is certain.

An *entry* is what the platform stores whole or not at all: the values of one device at one instant.
A *slice* is a range of a profile that was read to its end.
"""

from dlms_connector.records.entry import Entry, Slice, Source

__all__ = ["Entry", "Slice", "Source"]
