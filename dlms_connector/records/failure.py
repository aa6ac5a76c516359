"""What goes wrong with the file of records, and what to do about it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from errno import EACCES, EDQUOT, EIO, ENOSPC, EROFS
from pathlib import Path

#: What SQLite says, the number of the operating system's error nearest to it, and what to do.
_ADVICE = (
    ("full", ENOSPC, "free some space on its disk"),
    ("locked", EACCES, "end the other program that uses it"),
    ("busy", EACCES, "end the other program that uses it"),
    ("readonly", EACCES, "give the file and its folder to the user that runs the gateway"),
    ("newer version", EACCES, "run that version, or move the file away"),
    ("unable to open", EACCES, "give the folder to the user that runs the gateway"),
)
#: Errors of a disk that passes by itself, or when somebody has made room.
_PASSING = frozenset((ENOSPC, EDQUOT, EIO, EROFS))
#: What SQLite says of a file that is none of its own, or is damaged.
_DAMAGE = (
    "malformed", "not a database", "file is encrypted", "unsupported file format",
    "Could not decode to UTF-8",
)  # fmt: skip


class RecordsError(OSError):
    """The file of records cannot be used; nothing of what was asked for was done."""

    def __init__(
        self, path: Path, doing: str, problem: str, advice: str = "", code: int = EIO
    ) -> None:
        super().__init__(code, problem, str(path))
        self.problem, self.advice, self._path, self._doing = problem, advice, path, doing

    @property
    def is_passing(self) -> bool:
        """Whether it is worth trying again: it is the disk's trouble, and nobody's mistake."""
        return self.errno in _PASSING

    def __str__(self) -> str:
        advice = f"; {self.advice}" if self.advice else ""
        return f"{self._path}: {self._doing}: {self.problem}{advice}"


def is_damage(error: BaseException | None) -> bool:
    """Whether SQLite's error says that the content of the file is not what it should be.

    Where it quotes what is damaged, its words may be no text, and Python's error takes their place.
    """
    if isinstance(error, UnicodeDecodeError):
        return True
    return isinstance(error, sqlite3.DatabaseError) and any(
        words in str(error) for words in _DAMAGE
    )


@contextmanager
def our_errors(path: Path, doing: str) -> Iterator[None]:
    """Turn what SQLite raises into a RecordsError."""
    try:
        yield
    except (sqlite3.Error, UnicodeDecodeError) as error:
        text = str(error)
        code, advice = next(
            ((code, advice) for words, code, advice in _ADVICE if words in text), (EIO, "")
        )
        raise RecordsError(path, doing, text, advice, code) from error
