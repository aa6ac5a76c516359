"""Why a command does not cipher, and what to do: it does not find the gateway's counters."""

from __future__ import annotations

import os
import pwd
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from dlms_connector.errors import RefusedError
from dlms_connector.hints import Symptom
from dlms_connector.state.numbers import refused


@dataclass(frozen=True, slots=True)
class NoPlace:
    """There is no folder for counters that all would find; so nothing may be ciphered."""

    problem: str
    hint: str

    @property
    def error(self) -> RefusedError:
        """The error for whoever needs a number."""
        return refused(self.problem, Symptom.ELSEWHERE, remedy=self.hint)


def is_denied(folder: Path) -> bool:
    """Return whether this user may not use a folder, or its nearest parent that exists."""
    try:
        there = next(each for each in (folder, *folder.parents) if each.exists())
    except OSError:
        return True
    return not os.access(there, os.R_OK | os.W_OK | os.X_OK)


def unreadable(note: Path, error: OSError) -> NoPlace:
    """Return why there is none: the note belongs to another user."""
    return NoPlace(
        f"{note} tells where the invocation counters are kept, and cannot be read: "
        f"{error.strerror}",
        f"run the command as {_owner(note)}",
    )


def unseen(folder: Path) -> NoPlace:
    """Return why there is none: the gateway's folder is not here."""
    return NoPlace(
        f"the gateway keeps its invocation counters in {folder}, which is not to be used from "
        "here, or was replaced since",
        f"run the command where the gateway runs (in its container: `docker exec`), as "
        f"{_owner(folder)}; if the folder was replaced, start the gateway first",
    )


def not_yet(folders: list[str], wanted: Path) -> NoPlace:
    """Return why there is none: the gateway has not taken a configured folder yet."""
    return NoPlace(
        f"the gateway keeps its invocation counters in {', '.join(folders)}, and {wanted} is "
        "configured now",
        "restart the gateway, so that it takes the counters over",
    )


def not_noted(note: Path, error: OSError) -> NoPlace:
    """Return why there is none: others would come to another folder."""
    return NoPlace(
        "it is not known where the gateway keeps its invocation counters, and nothing can be "
        f"noted in {note}: {error.strerror}",
        f"start the gateway once, run the command as {_owner(note.parent)}, or set stateDirectory "
        "to an absolute path",
    )


def _owner(path: Path) -> str:
    """Return the user who owns a path, or its nearest parent that can be seen."""
    for each in (path, *path.parents):
        try:
            user = each.stat().st_uid
        except OSError:
            continue
        with suppress(KeyError):
            return f"the user {pwd.getpwuid(user).pw_name} (who owns {each})"
        return f"the user with the number {user}"
    return "the user that runs the gateway"
