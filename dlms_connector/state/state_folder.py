"""Folders for persistent state: for the gateway, and for a command beside it.

A command uses the invocation counters of the gateway, because a number that both use would
repeat a nonce. Where it cannot find them, it does not cipher.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from dlms_connector.state import private_files
from dlms_connector.state.no_place import NoPlace
from dlms_connector.state.place import COMMANDS, NOTE, Wish, noted_by_key, settle

GATEWAY_FILE = "tb_gateway.json"
_NAME = "dlms"
#: The default folder for the state of a user's programs (XDG Base Directory Specification).
_HOME = "~/.local/state"
_MOST = 16 * 1024 * 1024

#: Configuration folders of the gateway's own packages, and the working directories that its
#: service file (Debian) and its image (Docker) start it in.
_DEBIAN = Path("/etc/thingsboard-gateway/config")
_DOCKER = Path("/thingsboard_gateway/config")
_STARTED_IN = {_DEBIAN: Path("/var/lib/thingsboard_gateway"), _DOCKER: Path("/")}
#: The gateway's own variable for its configuration folder.
_VARIABLE = "TB_GW_CONFIG_DIR"


def gateways_folder(storage: Mapping[str, Any], config_dir: Path) -> Path:
    """Return the connector's folder in the gateway's data folder.

    It is where the gateway's `storage` is, else in `data` beside its configuration folder.
    """
    data = _data(storage)
    if data is None:
        return config_dir.parent / "data" / _NAME
    # Folders end in "/" there; the gateway takes them relative to its working directory.
    return Path(os.path.dirname(data)) / _NAME  # noqa: PTH120


def gateways_place(
    configured: str | None, storage: Mapping[str, Any], config_dir: Path, connector: str
) -> Path | NoPlace:
    """Return the state folder for a connector of the gateway, created and noted. Raises OSError."""
    folder = Path(configured) if configured else gateways_folder(storage, config_dir)
    key, who = _key(configured, storage), f"connector {connector}"
    return settle(config_dir, Wish(key, who, Path.cwd() / folder, decides=True, sure=True))


def commands_folder(configured: str | None, config_dir: Path) -> Path | NoPlace | None:
    """Return the state folder for a command with a configuration in `config_dir`.

    It is the folder that is noted there; else the configured one; else the gateway's, if its
    configuration is there too or in a usual place; else one of the user's own, so that each run
    continues after the last one. None for a user without a home.
    """
    try:
        gateway = _gateway(config_dir)
        if isinstance(gateway, NoPlace):
            return gateway
        if gateway is None:
            return _own_folder(configured, config_dir)
        return settle(gateway, _wish(configured, gateway))
    except OSError as error:
        return NoPlace(
            f"the folder of the invocation counters cannot be used: {error}",
            "run the command as the user that runs the gateway, or set stateDirectory",
        )


def state_wish(configured: str | None, config_dir: Path) -> Wish:
    """Return the wish of a command that restores state: it decides where the gateway will find it.

    It is the folder that is noted, also if it was lost; else that of the configuration. Raises
    OSError or ValueError if the gateway's configuration cannot be read.
    """
    storage = _storage(config_dir / GATEWAY_FILE)
    wish = _wish(configured, config_dir)
    noted, key = noted_by_key(config_dir), _key(configured, storage)
    folder = noted.get(key)
    if folder is None and not configured and len({*noted.values()}) == 1:
        (folder,) = {*noted.values()}  # the gateway's environment may name it
    return replace(wish, key=key, folder=folder or wish.folder, decides=True)


def _own_folder(configured: str | None, config_dir: Path) -> Path | NoPlace | None:
    """Return the folder for a command without a gateway."""
    if configured:
        folder = Path.cwd() / configured
    else:
        try:
            home = Path(os.environ.get("XDG_STATE_HOME") or _HOME).expanduser()
        except RuntimeError:
            return None
        folder = home / "dlms-connector"
    if not configured and not (config_dir / NOTE).exists():
        return folder
    return settle(config_dir, Wish(configured or "", COMMANDS, folder, decides=True, sure=True))


def _wish(configured: str | None, gateway: Path) -> Wish:
    """Return where a gateway with this configuration folder keeps its state."""
    storage = _storage(gateway / GATEWAY_FILE)
    folder = Path(configured) if configured else gateways_folder(storage, gateway)
    started_in = _STARTED_IN.get(gateway)
    # Elsewhere its working directory is not known: it is noted, and the gateway follows.
    base = started_in or gateway.parent
    sure = folder.is_absolute() or started_in is not None
    chosen = bool(configured)
    key = _key(configured, storage)
    return Wish(key, COMMANDS, base / folder, decides=False, sure=sure, configured=chosen)


def _gateway(config_dir: Path) -> Path | NoPlace | None:
    """Return the configuration folder of the gateway that a command works beside, or None."""
    variable = os.environ.get(_VARIABLE)
    usual = [Path(variable)] if variable else []
    for folder in (config_dir, *usual, _DEBIAN, _DOCKER):
        try:
            (folder / GATEWAY_FILE).stat()
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            return _hidden(folder, error.strerror or str(error))
        try:
            _storage(folder / GATEWAY_FILE)
        except (OSError, ValueError) as error:
            return _hidden(folder, str(error))
        return folder
    return None


def _hidden(folder: Path, why: str) -> NoPlace:
    return NoPlace(
        f"there is a gateway in {folder}, and where it keeps its invocation counters cannot be "
        f"read in its {GATEWAY_FILE}: {why}",
        "run the command as the user that runs the gateway, and repair the file if it is no JSON",
    )


def _key(configured: str | None, storage: Mapping[str, Any]) -> str:
    """Return what the place is noted for: a changed configuration is another one."""
    return configured or f"storage {_data(storage) or ''}"


def _data(storage: Mapping[str, Any]) -> str | None:
    data = storage.get("data_folder_path") or storage.get("data_file_path")
    return data if isinstance(data, str) and data else None


def _storage(path: Path) -> Mapping[str, Any]:
    """Return the gateway's section `storage`. Raises OSError or ValueError."""
    found = private_files.load(path.resolve(), _MOST)
    storage = found.get("storage") if isinstance(found, dict) else None
    return storage if isinstance(storage, dict) else {}
