"""A few texts by device name that survive a restart, in one file of the state folder."""

from __future__ import annotations

import re
from collections.abc import Mapping
from logging import Logger
from pathlib import Path

from dlms_connector.state import Outage, private_files

#: Most octets of such a file: names of more devices than a gateway can poll.
_MOST = 64 * 1024 * 1024


def file_name(connector: str) -> str:
    """Return a connector's name as it can stand in the name of a file."""
    return re.sub(r"[^A-Za-z0-9_-]", "_", connector)


class Remembered:
    """Texts by device name; only in memory until `open` has told the file.

    The file belongs to one connector. It is written only when the texts have changed.
    """

    def __init__(self, log: Logger) -> None:
        self._log = log
        self._path: Path | None = None
        self._written: dict[str, str] = {}
        self._outage: Outage | None = None

    def open(self, path: Path) -> dict[str, str]:
        """Return the texts that an earlier run left; an unreadable file counts as empty."""
        self._path, self._outage = path, Outage(path.name, self._log)
        try:
            found = private_files.load(path, _MOST)
        except FileNotFoundError:
            found = {}
        except (OSError, ValueError) as error:
            aside = private_files.put_aside(path)
            kept = f", is kept as {aside.name}" if aside else ""
            self._log.warning("%s cannot be read%s and begins anew: %s", path, kept, error)
            found = {}
        texts = found if isinstance(found, dict) else {}
        self._written = {name: text for name, text in texts.items() if isinstance(text, str)}
        return dict(self._written)

    def keep(self, texts: Mapping[str, str]) -> None:
        """Write the texts if they have changed; call it often: what failed is tried again."""
        if self._path is None or self._outage is None or texts == self._written:
            return
        try:
            private_files.write(self._path, dict(texts))
        except OSError as error:
            self._outage.failed(error)
        else:
            self._written = dict(texts)
            self._outage.worked()
