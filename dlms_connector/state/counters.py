"""The invocation counter of a device: who shares its key and system title shares its numbers."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from pathlib import Path
from threading import Lock
from weakref import WeakValueDictionary

from dlms_connector.config import Device
from dlms_connector.protocol.security import needs_keys
from dlms_connector.state import counter_files
from dlms_connector.state.heard import Heard
from dlms_connector.state.invocation_counter import WARN_AT, InvocationCounter
from dlms_connector.state.joint_numbers import JointNumbers
from dlms_connector.state.no_place import NoPlace
from dlms_connector.state.numbers import Numbers
from dlms_connector.state.place import is_lost
from dlms_connector.state.tenure import note_tenure, tenure_of

__all__ = ["WARN_AT", "InvocationCounter", "begin_tenure", "counter_of", "needs_counter"]

_LOG = logging.getLogger(__name__)

#: What is in use in this process, by path: one object for each file.
_numbers: WeakValueDictionary[Path, Numbers] = WeakValueDictionary()
_heard: WeakValueDictionary[Path, Heard] = WeakValueDictionary()
#: The folders of these files: one for each connector of the process.
_folders: set[Path] = set()
_sharing = Lock()


def needs_counter(device: Device) -> bool:
    """Return whether anything is ciphered or authenticated with a symmetric key."""
    return needs_keys(device.dlms)


def counter_of(
    device: Device,
    directory: Path | NoPlace | None,
    log: logging.Logger = _LOG,
    *,
    stranger: bool = False,
) -> InvocationCounter | None:
    """Return a device's counter, stored in a folder; None if it needs none.

    It needs none without keys, or if each association counts from 1. Without a folder, the
    counter must be read from the meter: numbers that are not stored would be used again.
    With `NoPlace` it gives out no number. A `stranger` is a meter that is only asked who it is:
    what it counts says nothing of the device. Nothing is read or written yet.
    """
    dlms, name = device.dlms, device.device_name
    if not needs_counter(device):
        return None
    if device.workarounds.counter_from_one:
        log.warning(
            "%s: workarounds.counterFromOne repeats numbers that ciphering needs to be unique: "
            "whoever records two associations can read them",
            name,
        )
        return None
    if isinstance(directory, NoPlace):
        return InvocationCounter(name, log=log, why_not=directory.error)
    keys = [_fingerprint(dlms.block_cipher_key or b"")]
    if device.workarounds.pre_established and dlms.dedicated_key:
        # It lasts, so no number may come twice with it either, whatever the other key is.
        keys.append(_fingerprint(dlms.dedicated_key))
    owners = [hashlib.sha256((dlms.system_title or b"") + key).hexdigest()[:16] for key in keys]
    heard = hashlib.sha256(b"heard" + keys[-1]).hexdigest()[:16]
    path = None if directory is None or stranger else directory / f"heard-{heard}.log"
    with _sharing:
        numbers = [_shared_numbers(name, directory, owner, log) for owner in dict.fromkeys(owners)]
        return InvocationCounter(
            name,
            must_read=directory is None or dlms.invocation_counter is not None,
            numbers=JointNumbers(numbers, _elsewhere),
            marks=_marks(device),
            heard=_shared_heard(name, path, log) if path else Heard(name, None, log),
            log=log,
        )


def begin_tenure(folder: Path, share: str, *, anew: bool) -> None:
    """Note that another gateway may have counted for the meters until now; see `tenure`.

    What this process knows of the folder's numbers counts no more. Raises OSError if it cannot be
    kept.
    """
    if note_tenure(folder, share, anew=anew):
        with _sharing:
            for path in [path for path in _numbers if path.parent == folder.absolute()]:
                del _numbers[path]


def _marks(device: Device) -> tuple[str, str]:
    """Return what tells a meter from others: its name, and where it is.

    Each is enough to know it again. Titles alone are not: not every maker sets them apart.
    """
    dlms = device.dlms
    address = (dlms.logical_address, dlms.physical_address, dlms.serial_number)
    return f"name {device.device_name}", f"place {device.connection.endpoint} {address}"


def _fingerprint(key: bytes) -> bytes:
    """Return a hash that stands for a key, and from which it cannot be found."""
    return hashlib.sha256(b"key fingerprint" + key).digest()


def _shared_numbers(name: str, directory: Path | None, owner: str, log: logging.Logger) -> Numbers:
    folder = directory.absolute() if directory else None  # one for all: thousands of paths have it
    path = folder / f"counter-{owner}.json" if folder else None
    key = path or Path(owner)  # without a folder they are shared in memory
    if (numbers := _numbers.get(key)) is None:
        if folder is None:
            numbers = Numbers(name, path, log=log)
        else:
            first = partial(counter_files.highest, folder, owner)
            lost, tenure = _of_folder(folder)
            numbers = Numbers(name, path, first=first, lost=lost, tenure=tenure, log=log)
        _numbers[key] = numbers
        if folder is not None:
            _folders.add(folder)
    numbers.serve(name)
    return numbers


@lru_cache(maxsize=16)
def _of_folder(folder: Path) -> tuple[Callable[[], bool], Callable[[], str | None]]:
    """Return what asks a folder whether files were lost, and for its tenure: one for all meters."""
    return partial(is_lost, folder), partial(tenure_of, folder)


def _elsewhere(numbers: Sequence[Numbers]) -> list[Numbers]:
    """Return those of the same keys and titles that an event loop uses in other folders."""
    if len(_folders) < 2:  # this is asked before each talk
        return []
    # By name, not by a look at all of them: a fleet of thousands has as many.
    paths = [one.path for one in numbers if one.path]
    with _sharing:
        places = [other / path.name for path in paths for other in _folders if other != path.parent]
        found = dict.fromkeys(_numbers.get(place) for place in places)
    return [other for other in found if other is not None and other.managed]


def _shared_heard(name: str, path: Path, log: logging.Logger) -> Heard:
    path = path.absolute()
    if (heard := _heard.get(path)) is None:
        heard = _heard[path] = Heard(name, path, log)
    return heard
