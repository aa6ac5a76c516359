"""Backups of a gateway's configuration and state, and putting them back.

`make` writes one archive beside a running gateway, `Opened.of` reads and proves one, and
`restore` puts it back. No secret is in an archive unless somebody asks for it, and no invocation
counter goes down.
"""

from dlms_connector.backup.archive import BackupError, Manifest, Opened
from dlms_connector.backup.making import Made, make
from dlms_connector.backup.naming import BusyError, is_due, newest, newest_of_one
from dlms_connector.backup.restoring import Part, Restored, restore

__all__ = [
    "BackupError",
    "BusyError",
    "Made",
    "Manifest",
    "Opened",
    "Part",
    "Restored",
    "is_due",
    "make",
    "newest",
    "newest_of_one",
    "restore",
]
