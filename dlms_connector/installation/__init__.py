"""Adding the connector to a gateway's configuration and removing it: `install`, `uninstall`.

Both return the list of file changes. Nothing is written before `apply`.
"""

from dlms_connector.installation.file_change import (
    Change,
    InstallationError,
    apply,
    give_to_folder,
)
from dlms_connector.installation.installation import (
    ConnectorType,
    configuration_file,
    entry_of,
    install,
    is_example,
    packaged_text,
    uninstall,
    with_entry,
)

__all__ = [
    "Change",
    "ConnectorType",
    "InstallationError",
    "apply",
    "configuration_file",
    "entry_of",
    "give_to_folder",
    "install",
    "is_example",
    "packaged_text",
    "uninstall",
    "with_entry",
]
