"""Is an installation healthy: facts about a gateway's host are gathered, then judged by checks.

`gather` reads files, processes and, where asked to, the platform; it changes nothing. `judge` is
pure: it turns the facts into one finding per check, each with a mark and a remedy.
"""

from dlms_connector.verification.checks import CHECKS, judge
from dlms_connector.verification.finding import Finding, Mark, is_healthy
from dlms_connector.verification.gathering import Sources, gather, running
from dlms_connector.verification.platform import ask_platform
from dlms_connector.verification.progress import Progress
from dlms_connector.verification.snapshot import (
    ConfigFile,
    Entry,
    FileRights,
    GatewayProcess,
    Holder,
    LogNews,
    OnPlatform,
    Probe,
    Snapshot,
)
from dlms_connector.verification.watching import Findings, Watch, changes

__all__ = [
    "CHECKS",
    "ConfigFile",
    "Entry",
    "FileRights",
    "Finding",
    "Findings",
    "GatewayProcess",
    "Holder",
    "LogNews",
    "Mark",
    "OnPlatform",
    "Probe",
    "Progress",
    "Snapshot",
    "Sources",
    "Watch",
    "ask_platform",
    "changes",
    "gather",
    "is_healthy",
    "judge",
    "running",
]
