"""Finds a meter's addresses and objects, and writes its device entry.

Safe for meters in use: the public client without authentication comes first, probes are few
and slow, each ends with a goodbye, and a secret is tried once.
"""

from dlms_connector.discovery.candidates import Candidate, Server, Wanted, preset_dlms
from dlms_connector.discovery.description import Description, FoundObject, describe
from dlms_connector.discovery.draft import Request
from dlms_connector.discovery.entry import items_of, left_out, objects_as_json
from dlms_connector.discovery.pace import Pace
from dlms_connector.discovery.probes import Attempt
from dlms_connector.discovery.report import brief, document, report
from dlms_connector.discovery.survey import Discovery, discover

__all__ = [
    "Attempt",
    "Candidate",
    "Description",
    "Discovery",
    "FoundObject",
    "Pace",
    "Request",
    "Server",
    "Wanted",
    "brief",
    "describe",
    "discover",
    "document",
    "items_of",
    "left_out",
    "objects_as_json",
    "preset_dlms",
    "report",
]
