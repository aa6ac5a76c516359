"""One place for the state of one configuration, which the gateway and the commands find.

They may have other users, working directories and containers. So whoever comes first notes
beside the configuration (`.dlms-state.json`) where the state lies; all others follow. The folder
has a mark (`installation.json`) with the same random id: a folder that was lost, restored, or is
of another container does not have it, or its mark is a copy.
"""

from __future__ import annotations

import fcntl
import logging
import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from errno import EDQUOT, ENOSPC
from pathlib import Path
from typing import Any

from dlms_connector.state import counter_files, heard, private_files, pushed
from dlms_connector.state.counter_files import LAST, Found, Kind
from dlms_connector.state.file_lock import identity
from dlms_connector.state.no_place import NoPlace, is_denied, not_noted, not_yet, unreadable, unseen
from dlms_connector.state.numbers import unused

LOG = logging.getLogger(__name__)

NOTE = ".dlms-state.json"
MARK = "installation.json"
_NO_ROOM = frozenset((ENOSPC, EDQUOT))
#: Who uses a folder that a command has noted before the gateway did.
COMMANDS = "commands"

Entries = dict[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Wish:
    """Where the state would lie if nothing is noted yet.

    `key` is what is configured, for `who`. `decides`: whether the note may be changed; a command
    beside a gateway may not. `sure`: whether all others come to the same folder without a note.
    `configured`: whether somebody chose the folder, so that no other will do.
    """

    key: str
    who: str
    folder: Path
    decides: bool
    sure: bool
    configured: bool = True


def settle(config_dir: Path, wish: Wish) -> Path | NoPlace:
    """Return the folder for the state, created and noted. Raises OSError if there can be none."""
    note = config_dir / NOTE
    with _alone(config_dir):
        try:
            entries = _entries(note)
        except OSError as error:
            if not wish.decides:
                return unreadable(note, error)
            entries = {}
        return _settle(note, entries, wish)


def noted_folders(config_dir: Path) -> list[Path]:
    """Return the folders that hold state of a configuration, as noted; nothing is created."""
    return list(dict.fromkeys(noted_by_key(config_dir).values()))


def noted_by_key(config_dir: Path) -> dict[str, Path]:
    """Return them by what is configured; empty if the note cannot be read."""
    try:
        entries = _entries(config_dir / NOTE)
    except OSError:
        return {}
    return {key: Path(each["folder"]) for key, each in entries.items()}


def is_lost(folder: Path) -> bool:
    """Return whether files may be missing in a folder, since it was lost or restored.

    Raises OSError if it cannot be read for now.
    """
    try:
        found = private_files.load(folder / MARK)
    except FileNotFoundError:
        return False
    except ValueError:
        return True
    return not isinstance(found, dict) or bool(found.get("lost", True))


def mark_lost(config_dir: Path, folder: Path) -> None:
    """Note that files may be missing in a folder from now on. Raises OSError."""
    note = config_dir / NOTE
    with _alone(config_dir):
        chosen, entries = _marked(folder, lost=True), _entries(note)
        own = {
            key: {**each, "id": chosen} if Path(each["folder"]) == folder else each
            for key, each in entries.items()
        }
        private_files.write(note, own)


def _settle(note: Path, entries: Entries, wish: Wish) -> Path | NoPlace:
    if not wish.decides:
        return _follow(note, entries, wish)
    known = entries.get(wish.key)
    folder, lost = wish.folder, known is not None
    if known is not None and _is_usable(known):
        folder, lost = Path(known["folder"]), False
    private_files.make_folder(folder)
    for key, each in [*entries.items()]:
        # Numbers may have been used there since: it is another connector's, or was in use before.
        if key != wish.key and not _carry_over(each, folder):
            lost = True
            del entries[key]
    _note(note, entries, wish, folder, lost=lost)
    return folder


def _follow(note: Path, entries: Entries, wish: Wish) -> Path | NoPlace:
    """Return the folder for a command beside a gateway."""
    current = {key: each for key, each in entries.items() if each["users"]}
    known = current.get(wish.key)
    if known is None and len(current) == 1 and not wish.configured:
        (known,) = current.values()  # the gateway's environment may name it
    if known is not None:
        folder = Path(known["folder"])
        return folder if _is_usable(known) else unseen(folder)
    if current:
        return not_yet([each["folder"] for each in current.values()], wish.folder)
    if is_denied(wish.folder):
        return unseen(wish.folder)
    private_files.make_folder(wish.folder)
    error = _note(note, entries, wish, wish.folder, lost=False)
    return wish.folder if wish.sure or error is None else not_noted(note, error)


def _note(note: Path, entries: Entries, wish: Wish, folder: Path, *, lost: bool) -> OSError | None:
    """Note a folder and who uses it, if it is not noted yet; return the error if that fails."""
    users = set(entries.get(wish.key, {}).get("users", ()))
    try:
        chosen = _marked(folder, lost=lost)
    except OSError as error:
        # Without its mark, the counters of a lost folder would be believed.
        if lost or error.errno not in _NO_ROOM:
            raise
        return error
    own = {
        "folder": str(folder),
        "id": chosen,
        "users": sorted(users - {COMMANDS} | {wish.who}),
    }
    new = {key: _without(each, wish.who) for key, each in entries.items()} | {wish.key: own}
    try:
        if new != entries or not note.exists():
            private_files.write(note, new)
    except OSError as error:
        return error
    return None


def _without(entry: Mapping[str, Any], who: str) -> Mapping[str, Any]:
    """Return the entry of a folder that somebody uses no more; a gateway decides for commands."""
    return {**entry, "users": [user for user in entry["users"] if user not in (who, COMMANDS)]}


def _is_usable(entry: Mapping[str, Any]) -> bool:
    folder = Path(entry["folder"])
    return id_of(folder) == entry["id"] and os.access(folder, os.W_OK)


def _entries(note: Path) -> Entries:
    try:
        found = private_files.load(note)
    except FileNotFoundError:
        return {}
    except ValueError:
        private_files.put_aside(note)
        return {}
    entries = found.items() if isinstance(found, dict) else ()
    return {key: each for key, each in entries if _is_entry(each)}


def _is_entry(each: object) -> bool:
    """Whether it is what `_note` writes: a folder that can be, its id, and who uses it."""
    if not isinstance(each, dict) or not isinstance(each.get("users"), list):
        return False
    texts = (each.get("folder"), each.get("id"), *each["users"])
    if not all(isinstance(text, str) for text in texts):
        return False
    try:
        return b"\0" not in os.fsencode(each["folder"])
    except UnicodeEncodeError:
        return False


def _carry_over(entry: Mapping[str, Any], folder: Path) -> bool:
    """Take over the counters of a folder that was in use before; false if it is not there."""
    before = Path(entry["folder"])
    if before == folder:
        return True
    if id_of(before) != entry["id"]:
        return False
    try:
        for path in sorted(before.glob("counter-*.json")):
            _raise(folder / path.name, counter_files.look(path))
        heard.carry_over(before, folder)
        pushed.carry_over(before, folder)
    except (OSError, ValueError):
        return False
    return True


def _raise(path: Path, before: Found) -> None:
    number = unused(before)
    if number > (counter_files.look(path).number or 0):
        with counter_files.locked(path) as lock:
            here = counter_files.look(path)
            highest = min(max(number, unused(here)), LAST)
            skipped = any(each.skipped or each.kind is Kind.TOUCHED for each in (before, here))
            counter_files.keep(path, lock, highest, "", skipped=skipped)


def id_of(folder: Path) -> str | None:
    """Return the id in a folder's mark; None if there is none, or if it is a copy."""
    try:
        found = private_files.load(folder / MARK)
        descriptor = os.open(folder / MARK, private_files.READING)
    except (OSError, ValueError):
        return None
    try:
        own = identity(descriptor)
    finally:
        os.close(descriptor)
    if not isinstance(found, dict) or found.get("file") != own:
        return None
    return str(found.get("id"))


def _marked(folder: Path, *, lost: bool) -> str:
    """Return the id of a folder, with a new mark if there is none, or if it is a copy."""
    known = id_of(folder)
    if known is not None and not lost:
        return known
    mark, temporary = folder / MARK, folder / f"{MARK}.new"
    # A first mark says nothing of the past: the folder may be of an earlier version.
    lost = lost or (known is None and os.path.lexists(mark))
    with suppress(FileNotFoundError):
        temporary.unlink()
    descriptor = private_files.create(temporary)
    chosen = secrets.token_hex(16)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(
                f'{{"id": "{chosen}", "file": "{identity(descriptor)}", '
                f'"lost": {"true" if lost else "false"}}}'
            )
            file.flush()
            os.fsync(descriptor)
        temporary.replace(mark)
    except OSError:
        with suppress(OSError):
            temporary.unlink()
        raise
    private_files.sync_names(folder)
    return chosen


@contextmanager
def _alone(config_dir: Path) -> Iterator[None]:
    """Keep others from noting something else at the same moment, where that can be done."""
    try:
        descriptor = os.open(config_dir, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        yield
        return
    try:
        with suppress(OSError):  # it is held for milliseconds; who waits longer goes on
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)
