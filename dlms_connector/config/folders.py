"""The folders of a configuration that only somebody at the host may choose."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dlms_connector.config.noted import Problems
from dlms_connector.config.secret import RUN_SECRETS, SecretSource
from dlms_connector.config.shown import shown

_STATE, _SECRETS, _BACKUP = "stateDirectory", "secretsDirectory", "backup"
_VARIABLES = {_STATE: "DLMS_STATE_DIRECTORY", _SECRETS: "DLMS_SECRETS_DIRECTORY"}
_BACKUP_VARIABLE = "DLMS_BACKUP_DIRECTORY"


class Folders:
    """Tells which folders are used: the environment's, else the document's.

    The platform must not choose them: it could read the gateway's own files as a secret and send it
    to a host of its choice, have invocation counters begin again, or have archives written and
    removed wherever it says.
    """

    def __init__(
        self, environment: Mapping[str, str], problems: Problems, *, from_platform: bool
    ) -> None:
        self._environment, self._problems = environment, problems
        self._from_platform = from_platform

    def put_in(self, own: Mapping[str, Any]) -> dict[str, Any]:
        """Return the connector's own keys with the folders that are used."""
        found = dict(own)
        for key, variable in _VARIABLES.items():
            found[key] = self._folder(key, own.get(key), variable)
        if isinstance(section := own.get(_BACKUP), Mapping):
            named = self._folder(f"{_BACKUP}.directory", section.get("directory"), _BACKUP_VARIABLE)
            found[_BACKUP] = {**section, "directory": named}
        return found

    def secrets_of(self, own: Mapping[str, Any], config_dir: Path) -> SecretSource:
        """Return what references to secrets are looked up in."""
        return SecretSource(self._of_secrets(own.get(_SECRETS), config_dir), self._environment)

    def _of_secrets(self, named: Any, config_dir: Path) -> tuple[Path, ...]:
        config_dir = config_dir.resolve()
        usual = (config_dir / "secrets", RUN_SECRETS)
        if not isinstance(named, str):
            return usual
        try:
            path = (config_dir / named).resolve()
        except (OSError, RuntimeError, ValueError):
            self._problems.note(f"{_SECRETS}: {shown(named)} is not the name of a folder")
            return usual
        # The configuration may come from the platform: it must not make every file of the host
        # readable as a secret, nor the gateway's own files, which contain its access token.
        trusted = bool(self._environment.get(_VARIABLES[_SECRETS]))
        if trusted or config_dir in path.parents or "secret" in path.name.lower():
            return (path, RUN_SECRETS)
        self._problems.note(
            f"{_SECRETS}: name a folder within the gateway's configuration folder, "
            "or one whose name says that it holds secrets, such as /srv/meters/secrets"
        )
        return usual

    def _folder(self, key: str, named: Any, variable: str) -> Any:
        if set_here := self._environment.get(variable):
            return set_here
        if named is not None and self._from_platform:
            self._problems.note(
                f"{key}: not taken from a configuration that the platform has written; "
                f"set the environment variable {variable} of the gateway's process"
            )
            return None
        return named
