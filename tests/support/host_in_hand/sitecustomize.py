"""Runs first in a process whose host is in a test's hands: its clock, the disk of its state.

Python imports a module of this name before anything else. So the clock is moved under the whole
process, as the operating system would move it, while monotonic time stays. The disk is a small
tmpfs in a mount namespace of the process's own: it is truly full, and goes with the process.
"""

import ctypes
import mmap
import os
import struct
import time
from contextlib import suppress
from pathlib import Path

_NEW_MOUNTS, _NEW_USER = 0x00020000, 0x10000000


def _have_clock(path: str) -> None:
    """Let the clock be off by what stands in a file, in nanoseconds."""
    with Path(path).open("rb") as file:
        off = mmap.mmap(file.fileno(), 8, prot=mmap.PROT_READ)
    real_ns = time.time_ns

    def time_ns() -> int:
        return real_ns() + int(struct.unpack("<q", off)[0])

    time.time_ns = time_ns
    time.time = lambda: time_ns() / 1e9


def _have_disk(path: str, kilobytes: str, full: str) -> None:
    """Put a disk in place of a folder; with anything in `full` there is no room on it."""
    libc = ctypes.CDLL(None, use_errno=True)
    user, group = os.geteuid(), os.getegid()
    _check(libc.unshare(_NEW_USER | _NEW_MOUNTS))
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
    Path("/proc/self/gid_map").write_text(f"{group} {group} 1")
    options = f"size={kilobytes}k,mode=700".encode()
    _check(libc.mount(b"disk", os.fsencode(path), b"tmpfs", 0, options))
    if full:
        with Path(path, "ballast").open("ab", buffering=0) as file, suppress(OSError):
            while True:
                file.write(bytes(4096))


def _check(result: int) -> None:
    if result:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


if "HOST_CLOCK" in os.environ:
    _have_clock(os.environ["HOST_CLOCK"])
if "HOST_DISK" in os.environ:
    _have_disk(*os.environ["HOST_DISK"].rsplit(":", 2))
