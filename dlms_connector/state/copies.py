"""State in a backup, and put back so that nothing that counts upwards goes down.

A copy of a counter says where the counter was, not where it is. So what is restored has a stamp
that no file can have: it is taken for what it is, a copy, at its first use. Then the meter is asked
for its counter, or more numbers are skipped than can have been used since.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from dlms_connector.state import counter_files, heard, place, private_files
from dlms_connector.state.counter_files import Kind
from dlms_connector.state.numbers import FIRST, RESTORED_PER_S
from dlms_connector.state.pushed import FILE as PUSHED
from dlms_connector.state.pushed import PushedCounters
from dlms_connector.state.state_folder import state_wish

#: Files of the state that are kept as they are. Not among them: the last configuration, which may
#: hold secrets; a transfer of firmware, which is begun anew; what says whose folder it is.
_PLAIN = ("names-*.json", "online-*.json", "renamed-*.json", "clock-sets.json")
_LARGEST = 64 * 1024 * 1024
_OWNER = re.compile(r"[0-9a-f]{16}")
_LATEST_S = 1e11


@dataclass(frozen=True, slots=True)
class Copied:
    """A counter: the first number that is not reserved, and when that was written (Unix time).

    `skipped`: whether it has gone on from a copy before.
    """

    number: int
    written_s: float
    skipped: bool = False

    @property
    def beyond(self) -> float:
        """What tells of two which one goes on at the higher number, whenever that is."""
        return self.number + (0 if self.skipped else FIRST) - RESTORED_PER_S * self.written_s


def counters_in(
    folder: Path, breathe: Callable[[], None] = lambda: None
) -> tuple[dict[str, Copied], list[str]]:
    """Return the counters in a folder, and the names of files that tell no number.

    A counter is named by the hash of its key and title. `breathe` is called between files. Raises
    OSError.
    """
    found: dict[str, Copied] = {}
    unread = []
    for path in sorted(folder.glob("counter-*.json")):
        breathe()
        look = counter_files.look(path)
        if look.number is None:
            unread.append(path.name)
            continue
        # Files of an earlier version have the name of a device before the hash.
        owner = path.stem.rpartition("-")[2]
        one = Copied(look.number, look.written_s or path.stat().st_mtime, look.skipped)
        found[owner] = _further(one, found.get(owner))
    return found, unread


def to_json(counters: Mapping[str, Copied]) -> bytes:
    """Return counters as they stand in a backup."""
    return json.dumps({owner: asdict(one) for owner, one in counters.items()}).encode()


def of_json(content: bytes) -> dict[str, Copied]:
    """Read counters of a backup. Raises ValueError for anything that is none."""
    found = {}
    try:
        for owner, one in json.loads(content).items():
            number, written_s = one["number"], float(one["written_s"])
            if not _OWNER.fullmatch(owner) or type(number) is not int:
                raise ValueError("it names no counter")
            if not 0 <= number <= counter_files.LAST or not 0 <= written_s < _LATEST_S:
                raise ValueError("it holds no counter")
            found[owner] = Copied(number, written_s, one.get("skipped") is True)
    except (ArithmeticError, AttributeError, KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"it holds no counters: {error!r}") from None
    return found


def files_in(folder: Path) -> Iterator[Path]:
    """Yield the other files of a folder that belong into a backup."""
    for pattern in (*_PLAIN, heard.FILES, PUSHED):
        yield from sorted(path for path in folder.glob(pattern) if path.is_file())


def is_ours(name: str) -> bool:
    """Whether a file of this name may be restored into a folder of state."""
    path = Path(name)
    is_plain = path.name == name and "\0" not in name
    return is_plain and any(path.match(each) for each in (*_PLAIN, heard.FILES, PUSHED))


def read_file(path: Path) -> bytes:
    """Return the content of a file of `files_in`. Raises OSError or ValueError."""
    return private_files.read(path, _LARGEST)


def installation_of(folder: Path) -> str | None:
    """Return the random id of a folder that is as it was left; None for a copy, or without one."""
    return place.id_of(folder)


def state_folder_of(configured: str | None, config_dir: Path) -> Path:
    """Return where a gateway keeps its state, as noted or as it would; nothing is created.

    Raises OSError or ValueError if its configuration cannot be read.
    """
    return state_wish(configured, config_dir).folder


def prepare_folder(configured: str | None, config_dir: Path, installation: str | None) -> Path:
    """Return the folder in which the state of an installation is restored, created and noted.

    If it is another one than that of the backup, a counter that is in neither may have been used
    all the same: then no missing one begins at 1. Raises OSError.
    """
    folder = place.settle(config_dir, state_wish(configured, config_dir))
    assert isinstance(folder, Path)  # whoever decides gets one
    if installation is None or place.id_of(folder) != installation:
        place.mark_lost(config_dir, folder)
    return folder


def restore_counters(folder: Path, copied: Mapping[str, Copied], *, same: bool) -> int:
    """Put counters back; return how many are to be read from the meter, or raised, before use.

    `same`: the folder is the one that they were copied from. What it has then is newer, and stays.
    In another one nothing is certain any more, so what is only there is marked as well. Raises
    OSError.
    """
    present, _ = counters_in(folder)
    restored = 0
    for owner in sorted({*copied, *present}):
        path = folder / f"counter-{owner}.json"
        with counter_files.locked(path) as lock:
            look = counter_files.look(path)
            there, old = present.get(owner), copied.get(owner)
            kept = look.kind is Kind.KEPT and look.number is not None
            if same and kept and (old is None or (look.number or 0) >= old.number):
                continue
            if same and old is None:
                continue
            known = _further(old, there)
            _write(path, lock, known)
            restored += 1
    return restored


def restore_file(folder: Path, name: str, content: bytes, *, same: bool) -> bool:
    """Put a file back unless a newer one is there; false if that stays. Raises OSError.

    Numbers that were heard are joined with those that are known: the higher one counts.
    """
    path = folder / name
    if path.match(heard.FILES):
        heard.join(path, content)
        return True
    if name == PUSHED:
        _join_pushed(folder, content)
        return True
    if same and path.exists():
        return False
    private_files.write_octets(path, content)
    return True


def _further(one: Copied | None, other: Copied | None) -> Copied:
    """Return that of two from which it goes on at the higher number."""
    return max((each for each in (one, other) if each is not None), key=lambda each: each.beyond)


def _write(path: Path, lock: int, one: Copied) -> None:
    os.pwrite(lock, f"{one.number:<11}\n".encode(), 0)
    os.fsync(lock)
    content = {
        "device": "",
        "counter": path.stem,
        "next": one.number,
        "stamp": counter_files.RESTORED,
        **({"skipped": True} if one.skipped else {}),
    }
    private_files.write(path, content)
    # How old it is tells how many numbers may have been used since.
    os.utime(lock, (one.written_s, one.written_s))
    os.utime(path, (one.written_s, one.written_s))


def _join_pushed(folder: Path, content: bytes) -> None:
    beside = folder / f".{PUSHED}.restored"
    private_files.write_octets(beside, content)
    try:
        copied = PushedCounters(beside, place.LOG)
        copied.load()
        copied.store_in(folder / PUSHED)
    finally:
        beside.unlink(missing_ok=True)
