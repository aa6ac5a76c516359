"""Installs the connector in a gateway, and uninstalls it.

All changes are planned as a list first, then shown or applied: an error is raised before any
file is changed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from importlib import metadata, util
from pathlib import Path
from typing import Any, Literal

from dlms_connector.installation import json_text
from dlms_connector.installation.file_change import Change, InstallationError

ConnectorType = Literal["custom", "dlms"]

CLASS = "DLMSConnector"
MAIN_FILE = "tb_gateway.json"
SHIM = "dlms_extension.py"
FOLDERS = ("custom", "dlms")

DISTRIBUTION = "thingsboard-dlms-connector"

#: Where the Debian package of the gateway looks for extensions.
DEBIAN_EXTENSIONS = Path("/var/lib/thingsboard_gateway/extensions")

#: A text that is in our shims of every version, and in no file of others.
_MARK = "Where the gateway finds the DLMS connector"

#: For editors: `dlms.json` names it as its `$schema`.
SCHEMA_FILE = "dlms.schema.json"
_SCHEMA_TITLE = "DLMS connector"

#: Characters of a name that a message shows.
_MOST_SHOWN = 80


def install(
    config_dir: Path, extensions: Path | None = None, connector_type: ConnectorType | None = None
) -> list[Change]:
    """Return the changes that a gateway needs to find and start the connector.

    `extensions` is searched for if it is None. An existing entry keeps its type unless
    `connector_type` is given. Raises InstallationError.
    """
    main = config_dir / MAIN_FILE
    text = new = _read(main)
    entries = _entries(main, text)
    mine = _mine(entries)
    if mine is None:
        entry = {
            "type": connector_type or "custom",
            "name": _free_name(main, entries),
            "class": CLASS,
            "configuration": "dlms.json",
        }
        new = json_text.append(text, "connectors", entry)
    else:
        old = entries[mine]
        entry = {**old, "type": connector_type or old.get("type"), "class": CLASS}
        if entry != old:
            new = json_text.replace(text, "connectors", mine, entry)
    changes = [*_shims(extensions or _needed_extensions(config_dir))]
    own = _own_file(config_dir, entry)
    if own.is_symlink() and not own.exists():
        raise InstallationError(f"{own} is a link to nothing: remove it and try again")
    if not own.exists():
        changes.append(Change(own, None, packaged_text("dlms.json")))
    changes += _schema(own.with_name(SCHEMA_FILE))
    if new != text:
        # Last: if a change before fails, no entry names a file that does not exist.
        changes.append(Change(main, text, _with_line_ends_of(text, new)))
    return changes


def uninstall(config_dir: Path, extensions: Path | None = None) -> list[Change]:
    """Return the changes that undo `install`, and nothing else.

    A `dlms.json` that was edited is kept. Raises InstallationError.
    """
    changes = []
    folder = extensions or _found_extensions(config_dir)
    for path in (folder / name / SHIM for name in FOLDERS) if folder else ():
        if path.exists() and _MARK in (text := _read(path)) and not _is_pips(path):
            changes.append(Change(path, text, None))
    main = config_dir / MAIN_FILE
    text = new = _read(main)
    while (mine := _mine(entries := _entries(main, new))) is not None:
        own = _own_file(config_dir, entries[mine])
        new = json_text.remove(new, "connectors", mine)
        if own.exists() and is_example(written := _read(own)):
            changes.append(Change(own, written, None))
        schema = own.with_name(SCHEMA_FILE)
        if schema.exists() and _is_schema(written := _read(schema)):
            changes.append(Change(schema, written, None))
    if new != text:
        changes.insert(0, Change(main, text, _with_line_ends_of(text, new)))
    return changes


def configuration_file(config_dir: Path) -> Path:
    """Return the configuration file of the connector's entry. Raises InstallationError."""
    main = config_dir / MAIN_FILE
    entries = _entries(main, _read(main))
    mine = _mine(entries)
    return _own_file(config_dir, {} if mine is None else entries[mine])


def entry_of(config_dir: Path, name: str | None = None) -> dict[str, Any] | None:
    """Return the connector's entry, of several that with a name; None if there is none.

    Raises InstallationError.
    """
    main = config_dir / MAIN_FILE
    entries = _entries(main, _read(main))
    for entry in entries:
        if name is not None and _mine([entry]) is not None and entry.get("name") == name:
            return dict(entry)
    mine = _mine(entries)
    return None if mine is None else dict(entries[mine])


def with_entry(config_dir: Path, entry: Mapping[str, Any]) -> list[Change]:
    """Return the change that gives `tb_gateway.json` this entry, none if it has it.

    It takes the place of the one with the same name, or of the only one of the connector. Raises
    InstallationError.
    """
    main = config_dir / MAIN_FILE
    text = _read(main)
    entries = _entries(main, text)
    ours = [index for index, each in enumerate(entries) if _mine([each]) is not None]
    named = [index for index in ours if entries[index].get("name") == entry.get("name")]
    place = next(iter(named or (ours if len(ours) == 1 else ())), None)
    if place is None:
        new = json_text.append(text, "connectors", entry)
    elif all(entries[place].get(key) == value for key, value in entry.items()):
        return []
    else:
        new = json_text.replace(text, "connectors", place, {**entries[place], **entry})
    return [Change(main, text, _with_line_ends_of(text, new))]


def _own_file(config_dir: Path, entry: Mapping[str, Any]) -> Path:
    """Return the file that an entry names, be it there or not. Raises InstallationError."""
    name = str(entry.get("configuration") or "dlms.json")
    path = config_dir / name
    try:
        path.lstat()
    except FileNotFoundError:
        return path
    except (OSError, ValueError) as error:  # too long a name, or one that no file can have
        shown = name if len(name) <= _MOST_SHOWN else f"{name[:_MOST_SHOWN]}…"
        raise InstallationError(
            f"{config_dir / MAIN_FILE}: the connector's configuration {shown!r} cannot be read: "
            f"{getattr(error, 'strerror', None) or error}; name a file in this folder"
        ) from None
    return path


def _shims(extensions: Path) -> Iterator[Change]:
    for folder in FOLDERS:
        path, new = extensions / folder / SHIM, packaged_text(f"extensions/{folder}/{SHIM}")
        old = _read(path) if path.exists() else None
        if old is not None and _MARK not in old:
            raise InstallationError(f"{path} is not ours: move it away and try again")
        if old != new:
            yield Change(path, old, new)


def _schema(path: Path) -> Iterator[Change]:
    """Yield what brings the schema up to date; a file of somebody else is left as it is."""
    old, new = _read(path) if path.exists() else None, packaged_text(SCHEMA_FILE)
    if old != new and (old is None or _is_schema(old)):
        yield Change(path, old, new)


def _is_schema(text: str) -> bool:
    """Whether a file is the schema, of whichever version."""
    try:
        document = json.loads(text)
    except json.JSONDecodeError:
        return False
    return isinstance(document, dict) and document.get("title") == _SCHEMA_TITLE


def _needed_extensions(config_dir: Path) -> Path:
    if folder := _found_extensions(config_dir):
        return folder
    raise InstallationError(
        "the gateway's extensions folder is not where it usually is: name it by --extensions "
        "(Docker: the volume mounted at /thingsboard_gateway/extensions)"
    )


def _found_extensions(config_dir: Path) -> Path | None:
    """Return the extensions folder of the gateway with this configuration folder, if any."""
    for folder in (config_dir.resolve().parent / "extensions", DEBIAN_EXTENSIONS):
        if folder.is_dir():
            return folder
    spec = util.find_spec("thingsboard_gateway")
    # Without an origin there is no gateway here, only the shims that came with this package.
    if spec is not None and spec.origin and spec.submodule_search_locations:
        return Path(next(iter(spec.submodule_search_locations))) / "extensions"
    return None


def _is_pips(path: Path) -> bool:
    """Whether a shim belongs to the installed package: pip removes that, not `uninstall`."""
    try:
        files = metadata.distribution(DISTRIBUTION).files or []
    except metadata.PackageNotFoundError:
        return False
    return any(
        file.name == SHIM and Path(str(file.locate())).resolve() == path.resolve() for file in files
    )


def packaged_text(name: str) -> str:
    """Return the text of a file of gateway-config; in a checkout that is beside the package."""
    package = Path(__file__).parents[1]
    for folder in (package / "gateway_config", package.parent / "gateway-config"):
        if (folder / name).is_file():
            return (folder / name).read_text(encoding="utf-8")
    raise InstallationError(f"{name} is missing from this installation: install it again")


def _read(path: Path) -> str:
    try:
        return path.read_bytes().decode()
    except FileNotFoundError:
        raise InstallationError(
            f"{path} does not exist: --gateway-config names the folder with the gateway's "
            f"{MAIN_FILE}, such as /etc/thingsboard-gateway/config"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise InstallationError(f"cannot read {path}: {error}") from error


def _entries(main: Path, text: str) -> list[Any]:
    try:
        document = json.loads(text)
    except json.JSONDecodeError as error:
        raise InstallationError(
            f"{main} is no valid JSON: {error.msg} in line {error.lineno}, column {error.colno}"
        ) from None
    entries = document.get("connectors", []) if isinstance(document, dict) else None
    if not isinstance(entries, list):
        raise InstallationError(f"{main}: `connectors` is not a list")
    return entries


def _mine(entries: Sequence[Any]) -> int | None:
    """Return the index of the connector's entry; the platform makes type dlms without a class."""
    for index, entry in enumerate(entries):
        if isinstance(entry, dict) and (
            entry.get("class") == CLASS
            or (not entry.get("class") and str(entry.get("type")).lower() == "dlms")
        ):
            return index
    return None


def _with_line_ends_of(old: str, new: str) -> str:
    """Return `new` with the line ends of `old`."""
    return new.replace("\r\n", "\n").replace("\n", "\r\n") if "\r\n" in old else new


def _free_name(main: Path, entries: Sequence[Any]) -> str:
    name = "DLMS"
    if any(isinstance(entry, dict) and entry.get("name") == name for entry in entries):
        raise InstallationError(
            f"{main}: another connector is called {name}: rename it and try again"
        )
    return name


def is_example(text: str) -> bool:
    """Whether a text is the `dlms.json` that `install` writes, unedited; the gateway adds an id."""
    try:
        written, example = json.loads(text), json.loads(packaged_text("dlms.json"))
    except json.JSONDecodeError:
        return False
    if isinstance(written, dict):
        written.pop("id", None)
    return bool(written == example)
