"""The file that makes a gateway of a pair the active one.

keepalived or Pacemaker creates and removes it. Only its existence counts: it is neither opened nor
read, so that it tells whoever names it nothing about what is in it.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

#: Folders in which a configuration of the platform may name a file, and how its name begins.
_RUN = (PurePosixPath("/run"), PurePosixPath("/var/run"))
_PREFIX = "dlms"


@dataclass(frozen=True, slots=True)
class RoleFile:
    """A file by whose existence a gateway is the active one."""

    path: Path

    def is_active(self) -> bool:
        """Whether the file is there; one that cannot be seen is not."""
        try:
            return os.path.lexists(self.path)
        except (OSError, ValueError):
            return False


def problem_of(path: str, *, from_platform: bool) -> str | None:
    """Return what is wrong with a path of a configuration, None if it can be used.

    Who has taken over the platform could ask for each file of the host whether it exists, by a
    configuration that names it. So from there, only files of this purpose can be named.
    """
    if "\0" in path or not path.strip():
        return "expected the name of a file"
    named = PurePosixPath(path)
    if not named.is_absolute():
        return "expected an absolute path such as /run/dlms-active"
    if not from_platform:
        return None
    if ".." in named.parts or not named.name.startswith(_PREFIX) or named.parent not in _RUN:
        return (
            "a configuration that the platform has written can only name a file in /run whose name "
            "begins with dlms; for another one set the environment variable DLMS_ACTIVE_FILE of "
            "the gateway's process"
        )
    return None
