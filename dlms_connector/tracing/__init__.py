"""Frames as they pass between us and a meter, decoded and redacted: as text and for Wireshark.

Use `trace_into` or `trace_to`: their `Trace` is a tap at the conversations of one meter. What
identifies the meter or its user is replaced by fillers of the same length, unless everything is
wanted.
"""

from dlms_connector.tracing.files import FOLDER, MOST_KEPT, open_writers, trace_into, trace_to
from dlms_connector.tracing.recording import FORMAT, VERSION, Recorder
from dlms_connector.tracing.redaction import secrets_of
from dlms_connector.tracing.tapped_link import tapped
from dlms_connector.tracing.trace import MOST_OCTETS, Trace
from dlms_connector.tracing.writers import Writer

__all__ = [
    "FOLDER",
    "FORMAT",
    "MOST_KEPT",
    "MOST_OCTETS",
    "VERSION",
    "Recorder",
    "Trace",
    "Writer",
    "open_writers",
    "secrets_of",
    "tapped",
    "trace_into",
    "trace_to",
]
